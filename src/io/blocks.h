/* Blocks in memory whose unpacked size is known. */
#ifndef LF_IO_BLOCKS_H
#define LF_IO_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exactly n bytes of `size` packed ones; false if there are more or fewer, the data are damaged, or no memory. */
typedef bool lf_unpack_block(void *out, size_t n, const void *packed, size_t size);
extern lf_unpack_block lf_unpack_snappy, lf_unpack_zstd, lf_unpack_gzip;

uint32_t lf_crc32(const void *bytes, size_t n); /* as gzip and PNG have it */

#endif
