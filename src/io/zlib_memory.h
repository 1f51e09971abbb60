/* zlib with this program's heap, so that its blocks are counted and made to fail like all others. */
#ifndef LF_IO_ZLIB_MEMORY_H
#define LF_IO_ZLIB_MEMORY_H

#include <zlib.h>

z_stream lf_zlib_stream(void); /* for inflateInit and the like */

#endif
