#include "parquet/thrift.h"

#include <limits.h>
#include <string.h>

enum { MAX_DEPTH = 32 };

lf_thrift lf_thrift_over(const void *bytes, size_t n) {
    return (lf_thrift){.at = bytes, .end = (const unsigned char *)bytes + n};
}

static void fail(lf_thrift *t) {
    t->failed = true;
    t->at = t->end;
}

static int byte(lf_thrift *t) {
    if (t->at < t->end) return *t->at++;
    fail(t);
    return 0;
}

static uint64_t varint(lf_thrift *t) {
    uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        const int b = byte(t);
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) return v;
    }
    fail(t);
    return 0;
}

static int64_t zigzag(lf_thrift *t) {
    const uint64_t v = varint(t);
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static void advance(lf_thrift *t, uint64_t n) {
    if (n > (uint64_t)(t->end - t->at))
        fail(t);
    else
        t->at += n;
}

bool lf_thrift_next(lf_thrift *t, lf_thrift_field *f) {
    const int b = byte(t), delta = b >> 4;
    f->type = (lf_thrift_type)(b & 0xf);
    if (t->failed || f->type == LF_THRIFT_STOP) return false;
    const int64_t id = delta ? f->id + delta : zigzag(t);
    if (f->type > LF_THRIFT_STRUCT || id < 0 || id > INT16_MAX) fail(t);
    f->id = (int)id;
    return !t->failed;
}

int64_t lf_thrift_integer(lf_thrift *t, const lf_thrift_field *f) {
    if (f->type == LF_THRIFT_I8) return (signed char)byte(t);
    if (f->type == LF_THRIFT_I16 || f->type == LF_THRIFT_I32 || f->type == LF_THRIFT_I64) return zigzag(t);
    fail(t);
    return 0;
}

int32_t lf_thrift_i32(lf_thrift *t, const lf_thrift_field *f) {
    const int64_t v = lf_thrift_integer(t, f);
    if (v >= 0 && v <= INT32_MAX) return (int32_t)v;
    fail(t);
    return 0;
}

bool lf_thrift_bool(lf_thrift *t, const lf_thrift_field *f) {
    if (f->type != LF_THRIFT_TRUE && f->type != LF_THRIFT_FALSE) fail(t);
    return f->type == LF_THRIFT_TRUE;
}

const unsigned char *lf_thrift_binary(lf_thrift *t, const lf_thrift_field *f, size_t *n) {
    *n = 0;
    if (f->type != LF_THRIFT_BINARY) fail(t);
    const uint64_t size = varint(t);
    const unsigned char *const s = t->at;
    advance(t, size);
    if (t->failed) return NULL;
    *n = (size_t)size;
    return s;
}

/* The size and type at the head of a list. */
static size_t list_head(lf_thrift *t, lf_thrift_type *element) {
    const int b = byte(t);
    const uint64_t n = b >> 4 == 15 ? varint(t) : (uint64_t)(b >> 4);
    *element = (lf_thrift_type)(b & 0xf);
    if (n > (uint64_t)(t->end - t->at)) fail(t);
    return t->failed ? 0 : (size_t)n;
}

size_t lf_thrift_list(lf_thrift *t, const lf_thrift_field *f, lf_thrift_type element) {
    lf_thrift_type found;
    if (f->type != LF_THRIFT_LIST) fail(t);
    const size_t n = list_head(t, &found);
    if (n && found != element) fail(t);
    return t->failed ? 0 : n;
}

/* ---- skipping ------------------------------------------------------------------------------------------------------
 * Depth is limited, and each step takes a byte or more. */

static void skip_value(lf_thrift *t, lf_thrift_type type, bool in_list);

static void skip_list(lf_thrift *t) {
    lf_thrift_type element;
    const size_t n = list_head(t, &element);
    for (size_t i = 0; i < n && !t->failed; i++) skip_value(t, element, true);
}

static void skip_map(lf_thrift *t) {
    const uint64_t n = varint(t);
    if (n == 0 || t->failed) return;
    const int types = byte(t);
    for (uint64_t i = 0; i < n && !t->failed; i++) {
        skip_value(t, (lf_thrift_type)(types >> 4), true);
        skip_value(t, (lf_thrift_type)(types & 0xf), true);
    }
}

static void skip_struct(lf_thrift *t) {
    lf_thrift_field f = {0};
    while (lf_thrift_next(t, &f)) skip_value(t, f.type, false);
}

static void skip_value(lf_thrift *t, lf_thrift_type type, bool in_list) {
    enum { DOUBLE_BYTES = 8 };
    if (++t->depth > MAX_DEPTH) fail(t);
    if (type == LF_THRIFT_TRUE || type == LF_THRIFT_FALSE) {
        if (in_list) (void)byte(t);
    } else if (type == LF_THRIFT_I8) {
        (void)byte(t);
    } else if (type >= LF_THRIFT_I16 && type <= LF_THRIFT_I64) {
        (void)varint(t);
    } else if (type == LF_THRIFT_DOUBLE) {
        advance(t, DOUBLE_BYTES);
    } else if (type == LF_THRIFT_BINARY) {
        advance(t, varint(t));
    } else if (type == LF_THRIFT_LIST || type == LF_THRIFT_SET) {
        skip_list(t);
    } else if (type == LF_THRIFT_MAP) {
        skip_map(t);
    } else if (type == LF_THRIFT_STRUCT) {
        skip_struct(t);
    } else {
        fail(t);
    }
    t->depth--;
}

void lf_thrift_skip(lf_thrift *t, const lf_thrift_field *f) { skip_value(t, f->type, false); }
