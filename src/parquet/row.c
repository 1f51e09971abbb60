/* Rows, put together from the entries of their leaves. An entry has two levels: of how many lists it goes on in one
 * (rep), and how much of what is optional is there (def). */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/json_number.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "parquet/internal.h"

typedef struct putting {
    const lf_parquet *p;
    int64_t row;
    lf_pq_cursor *cursors; /* [n_leaves] by leaf; those of columns that are left out are not opened */
    lf_err *err;
} putting;

static lf_status wrong(const putting *r, const lf_pq_node *n, const char *what) {
    return lf_fail(r->err, LF_EDATA, "%s: row %" PRId64 ": column '%.100s': %s", r->p->path, r->row, n->name, what);
}

static lf_status no_memory(const putting *r) { return lf_no_memory(r->err, "a row of %s", r->p->path); }

static lf_pq_cursor *first_of(const putting *r, const lf_pq_node *n) { return &r->cursors[n->first_leaf]; }

/* ---- leaves --------------------------------------------------------------------------------------------------------
 */

/* A number by its text, so that it is kept as it is: above 2^53, or 1.0. */
static lf_status number_of_text(cJSON **out, const putting *r, const char *text) {
    return lf_json_parse(out, text, strlen(text), r->p->path, r->err);
}

static lf_status whole_number(cJSON **out, const putting *r, const lf_pq_node *n, uint64_t bits) {
    static const int64_t exact = INT64_C(1) << 53;
    const int64_t v = n->meaning == LF_PQ_UNSIGNED && n->type == LF_PQ_INT32 ? (int64_t)(uint32_t)bits : (int64_t)bits;
    const bool beyond = n->meaning == LF_PQ_UNSIGNED && v < 0;
    char text[32];
    if (!beyond && v >= -exact && v <= exact) {
        *out = cJSON_CreateNumber((double)v);
        return *out ? LF_OK : no_memory(r);
    }
    if (beyond)
        snprintf(text, sizeof text, "%" PRIu64, bits);
    else
        snprintf(text, sizeof text, "%" PRId64, v);
    return number_of_text(out, r, text);
}

/* The fewest digits that read back to it, with a point: 1.0. What is no number is null. */
static lf_status real_number(cJSON **out, const putting *r, double v) {
    char text[40];
    if (!isfinite(v)) {
        *out = cJSON_CreateNull();
        return *out ? LF_OK : no_memory(r);
    }
    lf_float_repr(text, v);
    return number_of_text(out, r, text);
}

static double half_to_double(const unsigned char *s) {
    const int bits = s[0] | s[1] << 8, exponent = bits >> 10 & 0x1f, fraction = bits & 0x3ff;
    const double sign = bits & 0x8000 ? -1 : 1;
    if (exponent == 0x1f) return fraction ? NAN : sign * INFINITY;
    return sign * (exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24));
}

static lf_status text_value(cJSON **out, const putting *r, const lf_pq_node *n, const unsigned char *bytes,
                            size_t size) {
    const size_t bad = lf_utf8_invalid((const char *)bytes, size);
    char what[64];
    if (bad != size) {
        snprintf(what, sizeof what, "byte 0x%02x is not UTF-8", bytes[bad]);
        return wrong(r, n, what);
    }
    if (size && memchr(bytes, 0, size)) return wrong(r, n, "a NUL byte in a text");
    char *text = lf_copy_text((const char *)bytes, size);
    *out = text ? cJSON_CreateString(text) : NULL;
    lf_free(text);
    return *out ? LF_OK : no_memory(r);
}

static lf_status leaf_value(cJSON **out, const putting *r, const lf_pq_node *n) {
    uint64_t bits;
    const unsigned char *bytes;
    size_t size;
    double real;
    if (first_of(r, n)->def != n->max_def) return wrong(r, n, "its parts do not fit together");
    lf_pq_cursor_value(first_of(r, n), &bits, &bytes, &size);
    if (n->meaning == LF_PQ_TEXT) return text_value(out, r, n, bytes, size);
    if (n->meaning == LF_PQ_HALF) return real_number(out, r, half_to_double(bytes));
    if (n->meaning == LF_PQ_NULLS) return wrong(r, n, "a value in a column of nulls");
    if (n->type == LF_PQ_BOOLEAN) {
        *out = cJSON_CreateBool(bits != 0);
        return *out ? LF_OK : no_memory(r);
    }
    if (n->type == LF_PQ_INT32 || n->type == LF_PQ_INT64) return whole_number(out, r, n, bits);
    memcpy(&real, &bits, sizeof real);
    return real_number(out, r, real);
}

/* ---- nodes ---------------------------------------------------------------------------------------------------------
 */

/* All leaves below go on by an entry. */
static lf_status advance(const putting *r, const lf_pq_node *n) {
    lf_status rc = LF_OK;
    for (int i = 0; i < n->n_leaves && !rc; i++) {
        lf_pq_cursor *c = &r->cursors[n->first_leaf + i];
        rc = c->ended ? wrong(r, n, "its parts do not fit together") : lf_pq_cursor_next(c, r->err);
    }
    return rc;
}

static lf_status content(cJSON **out, const putting *r, const lf_pq_node *n);

static lf_status put_null(cJSON **out, const putting *r, const lf_pq_node *n) {
    *out = cJSON_CreateNull();
    return *out ? advance(r, n) : no_memory(r);
}

/* A repeated node is an array of what `item` makes; it is empty where its level says that there is none. */
static lf_status array(cJSON **out, const putting *r, const lf_pq_node *n, const lf_pq_node *item,
                       lf_status (*make)(cJSON **out, const putting *r, const lf_pq_node *n)) {
    const lf_pq_cursor *c = first_of(r, n);
    cJSON *list = cJSON_CreateArray();
    lf_status rc = list ? LF_OK : no_memory(r);
    if (!rc && c->def < n->max_def) {
        rc = advance(r, n);
    } else {
        for (bool more = !rc; more;) {
            cJSON *one = NULL;
            if (!(rc = make(&one, r, item)) && !cJSON_AddItemToArray(list, one)) {
                cJSON_Delete(one);
                rc = no_memory(r);
            }
            more = !rc && !c->ended && c->rep >= n->max_rep;
            if (more && c->rep > n->max_rep) rc = wrong(r, n, "its levels do not fit together");
            more = more && !rc;
        }
    }
    if (rc)
        cJSON_Delete(list);
    else
        *out = list;
    return rc;
}

/* A node as it stands in the schema. */
static lf_status value(cJSON **out, const putting *r, const lf_pq_node *n) {
    if (first_of(r, n)->ended) return wrong(r, n, "its parts do not fit together");
    if (n->repetition == LF_PQ_REPEATED) return array(out, r, n, n, content);
    if (n->repetition == LF_PQ_OPTIONAL && first_of(r, n)->def < n->max_def) return put_null(out, r, n);
    return content(out, r, n);
}

/* The one repeated child of a list is the element itself, or, as it is written today, a group around it. */
static lf_status list(cJSON **out, const putting *r, const lf_pq_node *n) {
    const lf_pq_node *repeated = n + 1;
    char tuple[128];
    snprintf(tuple, sizeof tuple, "%.100s_tuple", n->name);
    const bool is_element = repeated->leaf || repeated->n_children != 1 || !strcmp(repeated->name, "array") ||
                            !strcmp(repeated->name, tuple);
    return is_element ? array(out, r, repeated, repeated, content) : array(out, r, repeated, repeated + 1, value);
}

static lf_status structure(cJSON **out, const putting *r, const lf_pq_node *n) {
    cJSON *object = cJSON_CreateObject();
    lf_status rc = object ? LF_OK : no_memory(r);
    const lf_pq_node *child = n + 1;
    for (int i = 0; i < n->n_children && !rc; i++, child = &r->p->nodes[child->next]) {
        cJSON *one = NULL;
        if (!(rc = value(&one, r, child)) && !cJSON_AddItemToObject(object, child->name, one)) {
            cJSON_Delete(one);
            rc = no_memory(r);
        }
    }
    if (rc)
        cJSON_Delete(object);
    else
        *out = object;
    return rc;
}

/* What is in a node that is there. */
static lf_status content(cJSON **out, const putting *r, const lf_pq_node *n) {
    if (n->meaning == LF_PQ_LIST) return list(out, r, n);
    if (!n->leaf) return structure(out, r, n);
    lf_status rc = leaf_value(out, r, n);
    if (rc || !(rc = advance(r, n))) return rc;
    cJSON_Delete(*out);
    *out = NULL;
    return rc;
}

/* ---- rows ----------------------------------------------------------------------------------------------------------
 */

/* The row group of a row, which becomes its number there. Groups without rows stand before one that has some. */
static int64_t group_of(const lf_parquet *p, int64_t *row) {
    int64_t low = 0, high = p->n_groups - 1;
    while (low < high) {
        const int64_t middle = low + (high - low + 1) / 2;
        if (p->groups[middle].first_row <= *row)
            low = middle;
        else
            high = middle - 1;
    }
    while (p->groups[low].n_rows == 0) low--; /* those at the end begin where the file ends */
    *row -= p->groups[low].first_row;
    return low;
}

static lf_status open_cursors(const putting *r, const lf_pq_node *n, int64_t group, int64_t row) {
    lf_status rc = LF_OK;
    for (int i = n->first_leaf; i < n->first_leaf + n->n_leaves && !rc; i++)
        rc = lf_pq_cursor_open(&r->cursors[i], r->p, group, i, row, r->err);
    return rc;
}

static lf_status all_ended(const putting *r, const lf_pq_node *n) {
    for (int i = n->first_leaf; i < n->first_leaf + n->n_leaves; i++)
        if (!r->cursors[i].ended) return wrong(r, n, "its parts do not fit together");
    return LF_OK;
}

/* A column at a time, so that few pages are held at once. */
static lf_status put_column(cJSON *object, const putting *r, const lf_pq_node *n, int64_t group, int64_t row) {
    cJSON *one = NULL;
    lf_status rc = open_cursors(r, n, group, row);
    if (!rc) rc = value(&one, r, n);
    if (!rc) rc = all_ended(r, n);
    for (int i = n->first_leaf; i < n->first_leaf + n->n_leaves; i++) lf_pq_cursor_close(&r->cursors[i]);
    if (!rc && cJSON_AddItemToObject(object, n->name, one)) return LF_OK;
    cJSON_Delete(one);
    return rc ? rc : no_memory(r);
}

lf_status lf_parquet_row(const lf_parquet *p, int64_t i, cJSON **out, lf_err *err) {
    putting r = {.p = p, .row = i, .err = err};
    int64_t row = i;
    const int64_t group = group_of(p, &row);
    cJSON *object = cJSON_CreateObject();
    r.cursors = lf_calloc((size_t)p->n_leaves, sizeof *r.cursors);
    lf_status rc = object && r.cursors ? LF_OK : no_memory(&r);
    for (int64_t c = 0; c < p->n_columns && !rc; c++)
        if (!p->columns[c].left_out) rc = put_column(object, &r, &p->nodes[p->column_nodes[c]], group, row);
    lf_free(r.cursors);
    if (rc)
        cJSON_Delete(object);
    else
        *out = object;
    return rc;
}

/* ---- one leaf ------------------------------------------------------------------------------------------------------
 */

static const lf_pq_node *leaf_node(const lf_parquet *p, int64_t leaf) { return &p->nodes[p->leaves[leaf]]; }

int64_t lf_parquet_leaf(const lf_parquet *p, const char *path) {
    const lf_pq_node *n = &p->nodes[0];
    while (*path) {
        const size_t size = strcspn(path, ".");
        const lf_pq_node *child = n + 1, *found = NULL;
        for (int i = 0; i < n->n_children; i++, child = &p->nodes[child->next])
            if (!strncmp(child->name, path, size) && !child->name[size]) found = child;
        if (!found) return -1;
        n = found;
        path += path[size] ? size + 1 : size;
    }
    return n->leaf && n->max_rep == 0 ? n->first_leaf : -1;
}

bool lf_parquet_leaf_is_bytes(const lf_parquet *p, int64_t leaf) {
    return leaf_node(p, leaf)->type == LF_PQ_BYTE_ARRAY;
}

bool lf_parquet_leaf_is_integer(const lf_parquet *p, int64_t leaf) {
    const lf_pq_node *n = leaf_node(p, leaf);
    const bool whole = n->type == LF_PQ_INT32 || n->type == LF_PQ_INT64 || n->type == LF_PQ_BOOLEAN;
    return whole && !n->left_out && !(n->type == LF_PQ_INT64 && n->meaning == LF_PQ_UNSIGNED);
}

/* *there: it is not null, and the cursor is at it. */
static lf_status find_value(lf_pq_cursor *c, bool *there, const lf_parquet *p, int64_t leaf, int64_t row, lf_err *err) {
    const int64_t group = group_of(p, &row);
    const lf_status rc = lf_pq_cursor_open(c, p, group, (int)leaf, row, err);
    *there = !rc && c->def == leaf_node(p, leaf)->max_def;
    return rc;
}

lf_status lf_parquet_get_bytes(const lf_parquet *p, int64_t leaf, int64_t row, unsigned char **out, size_t *n,
                               lf_err *err) {
    lf_pq_cursor c;
    bool there;
    uint64_t bits;
    const unsigned char *bytes;
    *out = NULL;
    *n = 0;
    lf_status rc = find_value(&c, &there, p, leaf, row, err);
    if (there) {
        lf_pq_cursor_value(&c, &bits, &bytes, n);
        *out = (unsigned char *)lf_copy_text((const char *)bytes, *n);
        if (!*out) rc = lf_no_memory(err, "%zu bytes of %s", *n, p->path);
    }
    lf_pq_cursor_close(&c);
    return rc;
}

lf_status lf_parquet_get_integer(const lf_parquet *p, int64_t leaf, int64_t row, int64_t *out, bool *is_null,
                                 lf_err *err) {
    lf_pq_cursor c;
    bool there;
    uint64_t bits = 0;
    const unsigned char *bytes;
    size_t n;
    const lf_status rc = find_value(&c, &there, p, leaf, row, err);
    if (there) lf_pq_cursor_value(&c, &bits, &bytes, &n);
    const lf_pq_node *node = leaf_node(p, leaf);
    *is_null = !there;
    *out = node->meaning == LF_PQ_UNSIGNED && node->type == LF_PQ_INT32 ? (int64_t)(uint32_t)bits : (int64_t)bits;
    lf_pq_cursor_close(&c);
    return rc;
}
