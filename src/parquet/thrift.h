/* Thrift's compact protocol, as far as Parquet's metadata need it. A reader fails once and for all: what is read after
 * that is 0, and lists and structs have nothing in them, so a caller asks at the end. */
#ifndef LF_PARQUET_THRIFT_H
#define LF_PARQUET_THRIFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lf_thrift {
    const unsigned char *at, *end;
    int depth;
    bool failed;
} lf_thrift;

typedef enum lf_thrift_type {
    LF_THRIFT_STOP,
    LF_THRIFT_TRUE,
    LF_THRIFT_FALSE,
    LF_THRIFT_I8,
    LF_THRIFT_I16,
    LF_THRIFT_I32,
    LF_THRIFT_I64,
    LF_THRIFT_DOUBLE,
    LF_THRIFT_BINARY,
    LF_THRIFT_LIST,
    LF_THRIFT_SET,
    LF_THRIFT_MAP,
    LF_THRIFT_STRUCT
} lf_thrift_type;

/* A field of a struct. {0} before the first one of a struct. */
typedef struct lf_thrift_field {
    int id;
    lf_thrift_type type;
} lf_thrift_field;

lf_thrift lf_thrift_over(const void *bytes, size_t n);
/* The next field; false at the struct's end. Its value is to be read, or skipped, before the next. */
bool lf_thrift_next(lf_thrift *t, lf_thrift_field *f);
void lf_thrift_skip(lf_thrift *t, const lf_thrift_field *f);

/* The field's value; failed if it is of another type, or does not fit. */
int64_t lf_thrift_integer(lf_thrift *t, const lf_thrift_field *f);
int32_t lf_thrift_i32(lf_thrift *t, const lf_thrift_field *f); /* >= 0 */
bool lf_thrift_bool(lf_thrift *t, const lf_thrift_field *f);
const unsigned char *lf_thrift_binary(lf_thrift *t, const lf_thrift_field *f, size_t *n);
/* How many elements; each of them takes at least a byte, so there are no more than bytes are left. A list of structs is
 * read with fields that begin at {0}. */
size_t lf_thrift_list(lf_thrift *t, const lf_thrift_field *f, lf_thrift_type element);

#endif
