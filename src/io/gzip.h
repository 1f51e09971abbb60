#ifndef LF_IO_GZIP_H
#define LF_IO_GZIP_H
#include "base/error.h"
#include <stddef.h>

/* The whole content of a file, inflated if it is gzip (recognised by its magic bytes, not by its name). `limit` is the
 * most bytes accepted (a bomb is LF_EDATA); a truncated or corrupt stream is LF_EDATA. Freed by lf_free. */
lf_status lf_read_maybe_gzip(unsigned char **out, size_t *size, const char *path, size_t limit, lf_err *err);

#endif
