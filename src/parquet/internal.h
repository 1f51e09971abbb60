/* What the files of this folder share: the footer as read (footer.c), pages decoded (encoding.c, page.c), the pages of
 * a column in a row group and the cache of them (chunk.c), rows (row.c). */
#ifndef LF_PARQUET_INTERNAL_H
#define LF_PARQUET_INTERNAL_H

#include "base/mapping.h"
#include "base/pool.h"
#include "io/blocks.h"
#include "parquet/parquet.h"

/* ---- limits --------------------------------------------------------------------------------------------------------
 */

#define LF_PARQUET_MAX_LEVELS 32                 /* lists and optional parts within one another */
#define LF_PARQUET_MAX_VALUES (INT64_C(1) << 24) /* in a page */
/* What a page may unpack to: so many times its size, 64 MiB in any case, and never more than 1 GiB. */
#define LF_PARQUET_PAGE_TIMES 1000
#define LF_PARQUET_PAGE_FREE  (UINT64_C(64) << 20)
#define LF_PARQUET_PAGE_MOST  (UINT64_C(1) << 30)

/* ---- the schema ----------------------------------------------------------------------------------------------------
 */

typedef enum lf_pq_type {
    LF_PQ_BOOLEAN,
    LF_PQ_INT32,
    LF_PQ_INT64,
    LF_PQ_INT96,
    LF_PQ_FLOAT,
    LF_PQ_DOUBLE,
    LF_PQ_BYTE_ARRAY,
    LF_PQ_FIXED
} lf_pq_type;
typedef enum lf_pq_repetition { LF_PQ_REQUIRED, LF_PQ_OPTIONAL, LF_PQ_REPEATED } lf_pq_repetition;

/* What a leaf's values are to a row; or what a group is. */
typedef enum lf_pq_meaning {
    LF_PQ_PLAIN,    /* numbers, truth values: as the type says */
    LF_PQ_UNSIGNED, /* an integer */
    LF_PQ_TEXT,
    LF_PQ_HALF,  /* a float of two bytes */
    LF_PQ_NULLS, /* nothing but nulls */
    LF_PQ_LIST,
    LF_PQ_NOT_READ /* `left_out` says why */
} lf_pq_meaning;

typedef struct lf_pq_node {
    const char *name, *left_out; /* left_out: NULL if it and all below can be in a row */
    bool leaf;
    lf_pq_type type; /* of a leaf */
    int type_length; /* LF_PQ_FIXED: bytes */
    lf_pq_repetition repetition;
    lf_pq_meaning meaning;
    int max_def, max_rep; /* levels at which it is there, and at which it repeats */
    int first_leaf, n_leaves;
    int n_children;
    int next; /* the node behind it and all below it; its first child is the node after it */
} lf_pq_node;

/* ---- decoded pages -------------------------------------------------------------------------------------------------
 */

typedef struct lf_pq_slice {
    uint32_t at, n; /* in the page's bytes */
} lf_pq_slice;

/* Values of one type: of a page, or a dictionary. */
typedef struct lf_pq_values {
    int64_t n;
    uint64_t *bits;      /* numbers: integers sign-extended, floats as double; NULL: bytes */
    lf_pq_slice *slices; /* bytes; NULL of a fixed length: slice i is at i * fixed */
    uint32_t fixed;
    const unsigned char *bytes;  /* of `slices`; in the map or in `owned` */
    unsigned char *owned, *made; /* lf_free: the unpacked page, bytes that an encoding made; or NULL */
    size_t size;                 /* of all that is on the heap */
} lf_pq_values;

typedef struct lf_pq_decoded {
    int64_t n;        /* entries: values and nulls */
    uint8_t *rep;     /* [n]; NULL: all 0 */
    uint8_t *def;     /* [n]; NULL: all the most there is */
    uint32_t *place;  /* [n] number of an entry's value, if it has one; NULL: entry i is value i */
    uint32_t *starts; /* [n_starts] entries at which rows begin; NULL: every one */
    int64_t n_starts;
    uint32_t *index; /* [values.n] into the dictionary; NULL: `values` are the values */
    lf_pq_values values;
    size_t size; /* of all that is on the heap */
} lf_pq_decoded;

void lf_pq_values_free(lf_pq_values *v);
void lf_pq_decoded_free(lf_pq_decoded *d); /* and d itself; NULL is allowed */

/* ---- the footer ----------------------------------------------------------------------------------------------------
 */

/* A column of a row group. */
typedef struct lf_pq_meta {
    int codec;
    int64_t n_values;
    uint64_t begin, end; /* in the file */
} lf_pq_meta;

typedef struct lf_pq_page lf_pq_page;

typedef struct lf_pq_chunk {
    lf_pq_meta meta;
    lf_pq_page *pages; /* [n_pages] in the file's order, a dictionary first; NULL until it is asked for, then it stays;
                        * under the cache's lock */
    int64_t n_pages;
    bool has_dictionary;
} lf_pq_chunk;

typedef struct lf_pq_group {
    int64_t first_row, n_rows;
    lf_pq_chunk *chunks; /* [n_leaves] */
} lf_pq_group;

struct lf_parquet {
    const char *path;
    const lf_mapping *mapping;
    const unsigned char *map; /* its bytes */
    size_t size;
    lf_arena *arena;
    lf_pq_node *nodes; /* [n_nodes]; 0 is the root */
    int n_nodes;
    int *leaves; /* [n_leaves] their nodes */
    int n_leaves;
    lf_parquet_column *columns; /* [n_columns] */
    int *column_nodes;          /* [n_columns] */
    int64_t n_columns;
    lf_pq_group *groups; /* [n_groups] */
    int64_t n_groups, n_rows;
    uint64_t unpacked;
    cJSON *features_of; /* the "info" of `datasets`, or NULL */
};

/* Fills all of p but path, mapping, map and size. */
lf_status lf_pq_footer_read(lf_parquet *p, lf_err *err);

/* Where in the file something is, for messages. */
typedef struct lf_pq_where {
    const lf_parquet *p;
    int64_t group;
    int leaf;
} lf_pq_where;
lf_status lf_pq_damaged(const lf_pq_where *w, lf_err *err, const char *format, ...) LF_PRINTF(3, 4);

/* ---- codecs --------------------------------------------------------------------------------------------------------
 */

enum { LF_PQ_UNCOMPRESSED = 0 };
bool lf_pq_codec_known(int codec, const char **name); /* *name: what it is called */
lf_unpack_block *lf_pq_codec_unpack(int codec);       /* of one that is known and not LF_PQ_UNCOMPRESSED */

/* ---- encodings -----------------------------------------------------------------------------------------------------
 */

typedef enum lf_pq_encoding {
    LF_PQ_ENC_PLAIN = 0,
    LF_PQ_ENC_PLAIN_DICTIONARY = 2,
    LF_PQ_ENC_RLE = 3,
    LF_PQ_ENC_BIT_PACKED = 4,
    LF_PQ_ENC_DELTA_BINARY = 5,
    LF_PQ_ENC_DELTA_LENGTH = 6,
    LF_PQ_ENC_DELTA_BYTES = 7,
    LF_PQ_ENC_RLE_DICTIONARY = 8,
    LF_PQ_ENC_SPLIT = 9
} lf_pq_encoding;

typedef struct lf_pq_bytes {
    const unsigned char *at, *end;
} lf_pq_bytes;

/* Each returns NULL, or what is wrong; lf_pq_no_memory is one such reason. What is read is taken off b. */
extern const char lf_pq_no_memory[];
/* n numbers of `width` bits (0 to 32), in runs and packed. */
const char *lf_pq_read_runs(uint32_t *out, int64_t n, int width, lf_pq_bytes *b);
const char *lf_pq_read_levels(uint8_t *out, int64_t n, int most, lf_pq_bytes *b);
/* n values; v->bytes and what owns them are set, v->n too. `base`: where slices count from, and b lies within. */
const char *lf_pq_read_values(lf_pq_values *v, int64_t n, const lf_pq_node *leaf, int encoding,
                              const unsigned char *base, lf_pq_bytes *b);

/* ---- pages ---------------------------------------------------------------------------------------------------------
 */

struct lf_pq_page {
    uint64_t at; /* of its bytes in the file */
    uint32_t packed, unpacked;
    int64_t n; /* entries */
    int encoding;
    bool dictionary, v2, is_packed; /* is_packed: v2 may say that it is not, whatever the codec */
    bool has_crc;
    uint32_t crc, rep_size, def_size; /* v2 */
    int64_t first_row;                /* how many rows of the row group begin before it */
    /* under the cache's lock */
    lf_pq_decoded *decoded;
    int64_t users;
    lf_pq_page *newer, *older, *dictionary_used; /* the last: held while this one is decoded */
};

/* Reads the header at *at, and moves behind the page. */
lf_status lf_pq_page_header(lf_pq_page *page, uint64_t *at, const lf_pq_meta *m, const lf_pq_where *w, lf_err *err);
/* Decodes all of it; `dictionary_n`: values of the chunk's dictionary, -1 if it has none. */
lf_status lf_pq_page_decode(lf_pq_decoded **out, const lf_pq_page *page, const lf_pq_meta *m, int64_t dictionary_n,
                            const lf_pq_where *w, lf_err *err);

/* ---- chunks and the cache ------------------------------------------------------------------------------------------
 */

/* An entry of a leaf, on its way through a row. Holds the page it is in. */
typedef struct lf_pq_cursor {
    lf_pq_where where;
    lf_pq_chunk *chunk;
    int64_t page, entry;          /* page: a data page */
    const lf_pq_decoded *decoded; /* NULL: none is held */
    const lf_pq_values *values;   /* of the page, or of its dictionary */
    bool ended;                   /* the row has no more entries */
    uint8_t rep, def;             /* of the entry, unless ended */
} lf_pq_cursor;

/* To the first entry of a row (counted in its row group). */
lf_status lf_pq_cursor_open(lf_pq_cursor *c, const lf_parquet *p, int64_t group, int leaf, int64_t row, lf_err *err);
lf_status lf_pq_cursor_next(lf_pq_cursor *c, lf_err *err);
void lf_pq_cursor_close(lf_pq_cursor *c);
/* The entry's value, which is there (def is the leaf's most). *bytes is NULL for numbers. */
void lf_pq_cursor_value(const lf_pq_cursor *c, uint64_t *bits, const unsigned char **bytes, size_t *n);

void lf_pq_chunk_free(lf_pq_chunk *c); /* nobody uses its pages */

#endif
