/* Parquet files as `datasets`, pyarrow and the Hub write them, row by row in any order.
 *
 * Opening reads the footer alone. A row is put together from its columns' pages: a page is found by an index that is
 * made when a column of a row group is first asked for, and is decoded as a whole. Decoded pages are kept, in all files
 * of the process together, up to lf_parquet_cache_limit; what was not used for longest goes first. The file is mapped.
 *
 * Read are data pages v1 and v2, all encodings that pyarrow can write (plain, dictionaries, run lengths, the deltas,
 * byte stream split), the codecs UNCOMPRESSED, SNAPPY, GZIP and ZSTD, and nested columns: lists, structs, lists of
 * structs and so on. A column that holds what cannot be a JSON value (bytes, dates, decimals, maps, ...) is left out
 * of rows and says why; its bytes and whole numbers can still be read by themselves.
 *
 * The file is taken to be written against us: whatever it says is checked against its size and against what it says
 * elsewhere, and what a page may unpack to is limited. */
#ifndef LF_PARQUET_PARQUET_H
#define LF_PARQUET_PARQUET_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define LF_PARQUET_EXTENSIONS "parquet|pq"

typedef struct lf_parquet lf_parquet;

/* LF_ENOTFOUND, LF_EIO; LF_EDATA naming the file: no Parquet, damaged, or of a kind that is not read (encrypted, an
 * unknown codec). */
lf_status lf_parquet_open(lf_parquet **out, const char *path, lf_err *err);
void lf_parquet_close(lf_parquet *p);

bool lf_parquet_begins(const void *bytes, size_t n); /* do a file's first bytes look like one? */
int64_t lf_parquet_rows(const lf_parquet *p);
uint64_t lf_parquet_bytes(const lf_parquet *p); /* of all columns, unpacked */

/* What `datasets` wrote of the columns: {"label": {"_type": "ClassLabel", "names": [...]}, ...}; NULL: nothing. */
const cJSON *lf_parquet_features(const lf_parquet *p);

/* A column: a field of a row. */
typedef struct lf_parquet_column {
    const char *name;
    const char *left_out; /* NULL: it is in rows; else why not: "it holds bytes" */
} lf_parquet_column;
int64_t lf_parquet_columns(const lf_parquet *p);
const lf_parquet_column *lf_parquet_column_at(const lf_parquet *p, int64_t i);

/* Row i (from 0) as an object, its columns in the file's order; lists are arrays, structs objects, and what is missing
 * is null. Integers are exact. Text is checked to be UTF-8 without NUL. Thread safe. LF_EDATA names file, column and
 * row. */
lf_status lf_parquet_row(const lf_parquet *p, int64_t i, cJSON **out, lf_err *err);

/* A leaf: a column, or a part of a struct ("image.bytes"); not within a list. -1: there is none. */
int64_t lf_parquet_leaf(const lf_parquet *p, const char *path);
bool lf_parquet_leaf_is_bytes(const lf_parquet *p, int64_t leaf);   /* text is bytes too */
bool lf_parquet_leaf_is_integer(const lf_parquet *p, int64_t leaf); /* of a size that an int64_t holds; or boolean */
/* *out (lf_free) with a NUL behind it; NULL if it is null. Thread safe. */
lf_status lf_parquet_get_bytes(const lf_parquet *p, int64_t leaf, int64_t row, unsigned char **out, size_t *n,
                               lf_err *err);
lf_status lf_parquet_get_integer(const lf_parquet *p, int64_t leaf, int64_t row, int64_t *out, bool *is_null,
                                 lf_err *err);

/* Bytes of decoded pages that are kept when nobody uses them. Returns what it was before: 256 MiB to begin with. */
size_t lf_parquet_cache_limit(size_t bytes);

#endif
