/* GGUF files, read: nothing in one is trusted, every length, count, offset and name is checked before use. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mapping.h"
#include "base/mem.h"
#include "gguf/format.h"

static const struct {
    const char *name;
    size_t size;
} values[] = {
#define VALUE(name, c) {#name, sizeof(c)},
    LF_GGUF_VALUE_LIST(VALUE)
#undef VALUE
};

static const struct {
    uint32_t number, block, bytes;
    const char *name;
} types[] = {
#define LF_GGUF_TENSOR_TYPE(number, name, block, bytes) {number, block, bytes, #name},
#include "gguf/types.def"
#undef LF_GGUF_TENSOR_TYPE
};
enum { N_TYPES = sizeof types / sizeof *types };

struct lf_gguf {
    char *path;
    const lf_mapping *map;
    lf_gguf_key *keys;
    lf_gguf_tensor *tensors;
    int64_t n_keys, n_tensors;
};

static size_t type_row(uint32_t type) {
    size_t i = 0;
    while (i < N_TYPES && types[i].number != type) i++;
    return i;
}

const char *lf_gguf_type_name(uint32_t type) { return type_row(type) < N_TYPES ? types[type_row(type)].name : NULL; }

/* ---- what the file has, in order ---- */

typedef struct reading {
    lf_gguf *g;
    const unsigned char *at;
    size_t left;
    lf_err *err;
} reading;

static lf_status too_short(const reading *r, const char *what) {
    return lf_fail(r->err, LF_EDATA, "%s: byte %zu: the file ends within %s; is the download complete?", r->g->path,
                   r->g->map->size - r->left, what);
}

static uint64_t number_at(const unsigned char *p, size_t n) {
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++) value |= (uint64_t)p[i] << (8 * i);
    return value;
}

static lf_status take(reading *r, uint64_t *value, size_t n, const char *what) {
    *value = 0;
    if (r->left < n) return too_short(r, what);
    *value = number_at(r->at, n);
    r->at += n;
    r->left -= n;
    return LF_OK;
}

static lf_status take_text(reading *r, const char **s, size_t *n, uint64_t most, const char *what) {
    uint64_t size;
    const lf_status rc = take(r, &size, 8, what);
    if (rc) return rc;
    if (size > most)
        return lf_fail(r->err, LF_EDATA, "%s: byte %zu: expected %s of at most %" PRIu64 " bytes, found %" PRIu64,
                       r->g->path, r->g->map->size - r->left, what, most, size);
    if (size > r->left) return too_short(r, what);
    *s = (const char *)r->at;
    *n = (size_t)size;
    r->at += size;
    r->left -= (size_t)size;
    return LF_OK;
}

static int shown(size_t n) { return n < 100 ? (int)n : 100; }

static lf_status bad_key(const reading *r, const lf_gguf_key *k, lf_status status, const char *expected,
                         uint64_t found) {
    return lf_fail(r->err, status, "%s: key '%.*s': expected %s, found %" PRIu64, r->g->path, shown(k->name_size),
                   k->name, expected, found);
}

/* ---- keys ---- */

static lf_status take_type(reading *r, lf_gguf_key *k) {
    uint64_t type;
    const lf_status rc = take(r, &type, 4, "the type of a value");
    if (rc) return rc;
    if (type >= LF_GGUF_N_VALUES) return bad_key(r, k, LF_EDATA, "a type of value below 13", type);
    k->type = (lf_gguf_value)type;
    return LF_OK;
}

static lf_status take_values(reading *r, lf_gguf_key *k) {
    const unsigned char *begin = k->data = r->at;
    uint64_t bytes;
    lf_status rc = LF_OK;
    if (k->type == LF_GGUF_STRING) {
        const char *s;
        size_t n;
        for (uint64_t i = 0; i < k->count && !rc; i++) rc = take_text(r, &s, &n, UINT64_MAX, "a string");
    } else if (lf_mul_overflow(k->count, values[k->type].size, &bytes) || bytes > r->left) {
        return too_short(r, "a value");
    } else {
        for (uint64_t i = 0; k->type == LF_GGUF_BOOL && i < bytes; i++)
            if (r->at[i] > 1) return bad_key(r, k, LF_EDATA, "0 or 1", r->at[i]);
        r->at += bytes;
        r->left -= (size_t)bytes;
    }
    k->size = (size_t)(r->at - begin);
    return rc;
}

static lf_status take_key(reading *r, lf_gguf_key *k) {
    lf_status rc;
    *k = (lf_gguf_key){.count = 1};
    if ((rc = take_text(r, &k->name, &k->name_size, LF_GGUF_KEY, "a key")) || (rc = take_type(r, k))) return rc;
    if (k->type == LF_GGUF_ARRAY) {
        k->is_array = true;
        if ((rc = take_type(r, k)) || (rc = take(r, &k->count, 8, "an array"))) return rc;
        if (k->type == LF_GGUF_ARRAY)
            return bad_key(r, k, LF_EUNSUPPORTED, "an array of plain values (not of arrays)", LF_GGUF_ARRAY);
    }
    return take_values(r, k);
}

/* ---- tensors ---- */

static lf_status bad_tensor(const reading *r, const lf_gguf_tensor *t, lf_status status, const char *expected,
                            uint64_t found) {
    return lf_fail(r->err, status, "%s: tensor '%.*s': expected %s, found %" PRIu64, r->g->path, shown(t->name_size),
                   t->name, expected, found);
}

static lf_status take_shape(reading *r, lf_gguf_tensor *t) {
    uint64_t ndim;
    lf_status rc = take(r, &ndim, 4, "a tensor");
    if (rc) return rc;
    if (ndim < 1 || ndim > LF_GGUF_DIMS) return bad_tensor(r, t, LF_EDATA, "1 to 4 dims", ndim);
    t->ndim = (int)ndim;
    t->numel = 1;
    for (int d = t->ndim; d-- > 0 && !rc;)
        if (!(rc = take(r, &t->shape[d], 8, "a tensor")) &&
            (t->shape[d] == 0 || lf_mul_overflow(t->numel, t->shape[d], &t->numel) || t->numel > INT64_MAX))
            rc = bad_tensor(r, t, LF_EDATA, "dims above 0, whose product fits into 63 bits", t->shape[d]);
    return rc;
}

/* *offset: where its numbers are said to be, behind all that comes before the first of them. */
static lf_status take_tensor(reading *r, lf_gguf_tensor *t, uint64_t *offset) {
    uint64_t type, bytes;
    lf_status rc;
    *t = (lf_gguf_tensor){0};
    if ((rc = take_text(r, &t->name, &t->name_size, LF_GGUF_NAME, "the name of a tensor")) || (rc = take_shape(r, t)) ||
        (rc = take(r, &type, 4, "a tensor")) || (rc = take(r, offset, 8, "a tensor")))
        return rc;
    const size_t row = type_row((uint32_t)type);
    if (row == N_TYPES) return bad_tensor(r, t, LF_EUNSUPPORTED, "a known number format", type);
    t->type = (uint32_t)type;
    const uint64_t last = t->shape[t->ndim - 1];
    if (last % types[row].block) return bad_tensor(r, t, LF_EDATA, "rows of whole blocks", last);
    if (lf_mul_overflow(t->numel / types[row].block, types[row].bytes, &bytes) || bytes > INT64_MAX)
        return bad_tensor(r, t, LF_EDATA, "fewer numbers", t->numel);
    t->size = (size_t)bytes;
    return LF_OK;
}

static lf_status alignment_of(const reading *r, uint64_t *alignment) {
    const lf_gguf_key *k = lf_gguf_find_key(r->g, "general.alignment");
    *alignment = LF_GGUF_ALIGNMENT;
    if (!k) return LF_OK;
    if (k->is_array || k->type != LF_GGUF_U32) return bad_key(r, k, LF_EDATA, "a number of type 4", (uint64_t)k->type);
    *alignment = number_at(k->data, 4);
    if (*alignment && (*alignment & (*alignment - 1)) == 0) return LF_OK;
    return bad_key(r, k, LF_EDATA, "a power of two", *alignment);
}

/* Numbers stand one tensor behind the other, each from a multiple of the alignment on. */
static lf_status place_tensors(reading *r, const uint64_t *offsets) {
    uint64_t alignment, expected = 0;
    lf_status rc = alignment_of(r, &alignment);
    if (rc) return rc;
    const uint64_t at = r->g->map->size - r->left, skip = (alignment - at % alignment) % alignment;
    if (r->g->n_tensors && skip > r->left) return too_short(r, "the tensors");
    const uint64_t room = skip > r->left ? 0 : r->left - skip;
    for (int64_t i = 0; i < r->g->n_tensors; i++) {
        lf_gguf_tensor *t = &r->g->tensors[i];
        if (offsets[i] != expected)
            return lf_fail(r->err, LF_EDATA, "%s: tensor '%.*s': expected offset %" PRIu64 ", found %" PRIu64,
                           r->g->path, shown(t->name_size), t->name, expected, offsets[i]);
        if (expected > room || t->size > room - expected)
            return bad_tensor(r, t, LF_EDATA, "its numbers within the file (is the download complete?); its bytes",
                              t->size);
        t->data = r->at + skip + expected;
        const uint64_t end = expected + t->size;
        expected = end + (alignment - end % alignment) % alignment;
    }
    return LF_OK;
}

/* ---- names ---- */

typedef struct named {
    const char *name;
    size_t size;
} named;

static int by_name(const void *a, const void *b) {
    const named *x = a, *y = b;
    const int order = memcmp(x->name, y->name, x->size < y->size ? x->size : y->size);
    return order ? order : (x->size > y->size) - (x->size < y->size);
}

static lf_status check_once(const reading *r, named *names, size_t n, const char *what) {
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 1; i < n; i++)
        if (by_name(&names[i - 1], &names[i]) == 0)
            return lf_fail(r->err, LF_EDATA, "%s: %s '%.*s' is there twice", r->g->path, what, shown(names[i].size),
                           names[i].name);
    return LF_OK;
}

static lf_status check_names(const reading *r) {
    const lf_gguf *g = r->g;
    const int64_t most = g->n_keys > g->n_tensors ? g->n_keys : g->n_tensors;
    named *names = lf_calloc((size_t)most, sizeof *names);
    if (!names) return lf_no_memory(r->err, "the names in %s", g->path);
    for (int64_t i = 0; i < g->n_keys; i++) names[i] = (named){g->keys[i].name, g->keys[i].name_size};
    lf_status rc = check_once(r, names, (size_t)g->n_keys, "key");
    for (int64_t i = 0; i < g->n_tensors; i++) names[i] = (named){g->tensors[i].name, g->tensors[i].name_size};
    if (!rc) rc = check_once(r, names, (size_t)g->n_tensors, "tensor");
    lf_free(names);
    return rc;
}

/* ---- the file ---- */

static lf_status check_version(const reading *r, uint64_t version) {
    if (version == 2 || version == LF_GGUF_VERSION) return LF_OK; /* 2 differs from 3 in that it is never big endian */
    const bool turned = version && version % 0x1000000 == 0;
    return lf_fail(r->err, LF_EUNSUPPORTED, "%s: expected GGUF of version 2 or 3, found %" PRIu64 "%s", r->g->path,
                   turned ? version >> 24 : version, turned ? " in big-endian order" : "");
}

enum { KEY_BYTES = 8 + 4 + 1, TENSOR_BYTES = 8 + 4 + 8 + 4 + 8 }; /* at least */

static lf_status take_all(reading *r) {
    uint64_t magic, version, n_tensors, n_keys;
    lf_gguf *g = r->g;
    lf_status rc;
    if (r->left < 4 || memcmp(r->at, LF_GGUF_MAGIC, 4) != 0)
        return lf_fail(r->err, LF_EDATA, "%s: no GGUF file: it does not begin with " LF_GGUF_MAGIC, g->path);
    if ((rc = take(r, &magic, 4, "the header")) || (rc = take(r, &version, 4, "the header")) ||
        (rc = check_version(r, version)) || (rc = take(r, &n_tensors, 8, "the header")) ||
        (rc = take(r, &n_keys, 8, "the header")))
        return rc;
    if (n_keys > r->left / KEY_BYTES || n_tensors > r->left / TENSOR_BYTES)
        return lf_fail(r->err, LF_EDATA,
                       "%s: %" PRIu64 " keys and %" PRIu64 " tensors are more than the file has room for; is the "
                       "download complete?",
                       g->path, n_keys, n_tensors);
    uint64_t *offsets = lf_calloc((size_t)n_tensors, sizeof *offsets);
    g->keys = lf_calloc((size_t)n_keys, sizeof *g->keys);
    g->tensors = lf_calloc((size_t)n_tensors, sizeof *g->tensors);
    if (!offsets || !g->keys || !g->tensors) rc = lf_no_memory(r->err, "the keys of %s", g->path);
    for (; !rc && (uint64_t)g->n_keys < n_keys; g->n_keys++) rc = take_key(r, &g->keys[g->n_keys]);
    for (; !rc && (uint64_t)g->n_tensors < n_tensors; g->n_tensors++)
        rc = take_tensor(r, &g->tensors[g->n_tensors], &offsets[g->n_tensors]);
    if (!rc && !(rc = check_names(r))) rc = place_tensors(r, offsets);
    lf_free(offsets);
    return rc;
}

static lf_status map_file(lf_gguf *g, lf_err *err) {
    struct stat st;
    const int fd = lf_open_to_read(g->path);
    if (fd < 0) return lf_fail_errno(err, "open", g->path);
    lf_status rc = fstat(fd, &st) == 0 ? LF_OK : lf_fail_errno(err, "read", g->path);
    if (!rc && (!S_ISREG(st.st_mode) || st.st_size == 0))
        rc = lf_fail(err, LF_EDATA, "%s: expected a GGUF file, found %s", g->path,
                     S_ISREG(st.st_mode) ? "an empty one" : "something that is not a regular file");
    if (!rc) rc = lf_mapping_open(&g->map, fd, g->path, err);
    close(fd);
    return rc;
}

lf_status lf_gguf_open(lf_gguf **out, const char *path, lf_err *err) {
    *out = NULL;
    lf_gguf *g = lf_calloc(1, sizeof *g);
    if (!g || !(g->path = lf_strdup(path))) {
        lf_free(g);
        return lf_no_memory(err, "%s", path);
    }
    lf_status rc = map_file(g, err);
    if (!rc) rc = take_all(&(reading){g, g->map->data, g->map->size, err});
    if (rc)
        lf_gguf_close(g);
    else
        *out = g;
    return rc;
}

void lf_gguf_close(lf_gguf *g) {
    if (!g) return;
    lf_mapping_close(g->map);
    lf_free(g->keys);
    lf_free(g->tensors);
    lf_free(g->path);
    lf_free(g);
}

/* ---- asking ---- */

int64_t lf_gguf_n_keys(const lf_gguf *g) { return g->n_keys; }
int64_t lf_gguf_n_tensors(const lf_gguf *g) { return g->n_tensors; }
const lf_gguf_key *lf_gguf_key_at(const lf_gguf *g, int64_t i) { return &g->keys[i]; }
const lf_gguf_tensor *lf_gguf_tensor_at(const lf_gguf *g, int64_t i) { return &g->tensors[i]; }

const lf_gguf_key *lf_gguf_find_key(const lf_gguf *g, const char *name) {
    const size_t n = strlen(name);
    for (int64_t i = 0; i < g->n_keys; i++)
        if (g->keys[i].name_size == n && memcmp(g->keys[i].name, name, n) == 0) return &g->keys[i];
    return NULL;
}

const lf_gguf_tensor *lf_gguf_find(const lf_gguf *g, const char *name) {
    const size_t n = strlen(name);
    for (int64_t i = 0; i < g->n_tensors; i++)
        if (g->tensors[i].name_size == n && memcmp(g->tensors[i].name, name, n) == 0) return &g->tensors[i];
    return NULL;
}

bool lf_gguf_string(const lf_gguf *g, const char *key, const char **s, size_t *n) {
    const lf_gguf_key *k = lf_gguf_find_key(g, key);
    if (!k || k->is_array || k->type != LF_GGUF_STRING) return false;
    *s = (const char *)k->data + 8;
    *n = k->size - 8;
    return true;
}

bool lf_gguf_number(const lf_gguf *g, const char *key, double *value) {
    const lf_gguf_key *k = lf_gguf_find_key(g, key);
    if (!k || k->is_array || k->type == LF_GGUF_STRING || k->type == LF_GGUF_BOOL) return false;
    switch (k->type) {
#define READ(name, c)                                                                                                  \
    case LF_GGUF_##name: {                                                                                             \
        c x;                                                                                                           \
        memcpy(&x, k->data, sizeof x);                                                                                 \
        *value = (double)x;                                                                                            \
        return true;                                                                                                   \
    }
        LF_GGUF_VALUE_LIST(READ)
#undef READ
    default: return false;
    }
}
