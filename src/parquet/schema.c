#include "parquet/schema.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

enum { NONE = -1 };

/* ---- one element ---------------------------------------------------------------------------------------------------
 */

/* What an element says of itself. */
typedef struct element {
    int type, type_length, repetition, n_children;
    int converted, logical; /* numbers of the format; NONE: not given */
    bool is_unsigned;       /* of a logical integer */
    const unsigned char *name;
    size_t name_size;
} element;

/* The fields of a SchemaElement. */
enum { E_TYPE = 1, E_TYPE_LENGTH, E_REPETITION, E_NAME, E_CHILDREN, E_CONVERTED, E_LOGICAL = 10 };
/* Converted types. */
enum {
    C_UTF8,
    C_MAP,
    C_MAP_KEY_VALUE,
    C_LIST,
    C_ENUM,
    C_DECIMAL,
    C_DATE,
    C_TIME,
    C_TIME_MICROS,
    C_TIMESTAMP,
    C_TIMESTAMP_MICROS,
    C_UINT_8,
    C_UINT_64 = 14,
    C_INT_8,
    C_INT_64 = 18,
    C_JSON,
    C_BSON,
    C_INTERVAL
};
/* Logical types: fields of a union. */
enum {
    L_STRING = 1,
    L_MAP,
    L_LIST,
    L_ENUM,
    L_DECIMAL,
    L_DATE,
    L_TIME,
    L_TIMESTAMP,
    L_INTEGER = 10,
    L_NULLS,
    L_JSON,
    L_BSON,
    L_UUID,
    L_FLOAT16
};

static void read_logical_integer(element *e, lf_thrift *t) {
    enum { IS_SIGNED = 2 };
    for (lf_thrift_field f = {0}; lf_thrift_next(t, &f);) {
        if (f.id == IS_SIGNED)
            e->is_unsigned = !lf_thrift_bool(t, &f);
        else
            lf_thrift_skip(t, &f);
    }
}

static void read_logical(element *e, lf_thrift *t, const lf_thrift_field *of) {
    if (of->type != LF_THRIFT_STRUCT) {
        t->failed = true;
        return;
    }
    for (lf_thrift_field f = {0}; lf_thrift_next(t, &f);) {
        e->logical = f.id;
        if (f.id == L_INTEGER && f.type == LF_THRIFT_STRUCT)
            read_logical_integer(e, t);
        else
            lf_thrift_skip(t, &f);
    }
}

static void read_element(element *e, lf_thrift *t) {
    *e = (element){.type = NONE, .converted = NONE, .logical = NONE};
    for (lf_thrift_field f = {0}; lf_thrift_next(t, &f);) {
        switch (f.id) {
        case E_TYPE: e->type = lf_thrift_i32(t, &f); break;
        case E_TYPE_LENGTH: e->type_length = lf_thrift_i32(t, &f); break;
        case E_REPETITION: e->repetition = lf_thrift_i32(t, &f); break;
        case E_NAME: e->name = lf_thrift_binary(t, &f, &e->name_size); break;
        case E_CHILDREN: e->n_children = lf_thrift_i32(t, &f); break;
        case E_CONVERTED: e->converted = lf_thrift_i32(t, &f); break;
        case E_LOGICAL: read_logical(e, t, &f); break;
        default: lf_thrift_skip(t, &f);
        }
    }
}

/* ---- what it means -------------------------------------------------------------------------------------------------
 */

/* Annotations of leaves, by converted and logical type. The first that fits is taken. */
static const struct {
    int converted, logical;
    lf_pq_meaning meaning;
    const char *left_out;
} annotations[] = {
    {C_UTF8, L_STRING, LF_PQ_TEXT, NULL},
    {C_ENUM, L_ENUM, LF_PQ_TEXT, NULL},
    {C_JSON, L_JSON, LF_PQ_TEXT, NULL},
    {NONE, L_NULLS, LF_PQ_NULLS, NULL},
    {NONE, L_FLOAT16, LF_PQ_HALF, NULL},
    {C_DECIMAL, L_DECIMAL, LF_PQ_NOT_READ, "it holds decimals; write them as text or float64"},
    {C_DATE, L_DATE, LF_PQ_NOT_READ, "it holds dates; write them as text"},
    {C_TIME, L_TIME, LF_PQ_NOT_READ, "it holds times; write them as text"},
    {C_TIME_MICROS, NONE, LF_PQ_NOT_READ, "it holds times; write them as text"},
    {C_TIMESTAMP, L_TIMESTAMP, LF_PQ_NOT_READ, "it holds timestamps; write them as text"},
    {C_TIMESTAMP_MICROS, NONE, LF_PQ_NOT_READ, "it holds timestamps; write them as text"},
    {C_BSON, L_BSON, LF_PQ_NOT_READ, "it holds BSON; write it as JSON text"},
    {C_INTERVAL, NONE, LF_PQ_NOT_READ, "it holds intervals; write them as text"},
    {NONE, L_UUID, LF_PQ_NOT_READ, "it holds UUIDs as bytes; write them as text"},
};

enum { N_ANNOTATIONS = sizeof annotations / sizeof *annotations };

static void annotate_leaf(lf_pq_node *n, const element *e) {
    n->meaning = LF_PQ_PLAIN;
    for (int i = 0; i < N_ANNOTATIONS; i++)
        if ((annotations[i].converted != NONE && annotations[i].converted == e->converted) ||
            (annotations[i].logical != NONE && annotations[i].logical == e->logical)) {
            n->meaning = annotations[i].meaning;
            n->left_out = annotations[i].left_out;
            break;
        }
    const bool bytes = n->type == LF_PQ_BYTE_ARRAY || n->type == LF_PQ_FIXED;
    const bool integer = n->type == LF_PQ_INT32 || n->type == LF_PQ_INT64;
    if (integer && (e->is_unsigned || (e->converted >= C_UINT_8 && e->converted <= C_UINT_64)))
        n->meaning = LF_PQ_UNSIGNED;
    const bool fits = n->meaning == LF_PQ_TEXT    ? n->type == LF_PQ_BYTE_ARRAY
                      : n->meaning == LF_PQ_HALF  ? n->type == LF_PQ_FIXED && n->type_length == 2
                      : n->meaning == LF_PQ_PLAIN ? !bytes && n->type != LF_PQ_INT96
                                                  : true;
    if (fits) return;
    n->meaning = LF_PQ_NOT_READ;
    n->left_out = n->type == LF_PQ_INT96 ? "it holds timestamps of type INT96; write them as text" : "it holds bytes";
}

static bool is_map(const element *e) {
    return e->logical == L_MAP || e->converted == C_MAP || e->converted == C_MAP_KEY_VALUE;
}

/* ---- the tree ------------------------------------------------------------------------------------------------------
 */

typedef struct building {
    lf_parquet *p;
    lf_thrift *t;
    int most; /* elements */
    lf_err *err;
} building;

static lf_status wrong(const building *b, const char *what) {
    return lf_fail(b->err, LF_EDATA, "%s: the schema in the footer is damaged: %s", b->p->path, what);
}

static lf_status take_name(building *b, lf_pq_node *n, const element *e) {
    if (lf_utf8_invalid((const char *)e->name, e->name_size) != e->name_size ||
        memchr(e->name ? (const char *)e->name : "", 0, e->name_size))
        return wrong(b, "a name that is not UTF-8");
    char *name = lf_arena_alloc(b->p->arena, e->name_size + 1);
    if (!name) return lf_no_memory(b->err, "the columns of %s", b->p->path);
    if (e->name_size) memcpy(name, e->name, e->name_size);
    n->name = name;
    return LF_OK;
}

static lf_status check_leaf(const building *b, const lf_pq_node *n, const element *e) {
    enum { MOST_FIXED = 1 << 20 };
    if (e->type < LF_PQ_BOOLEAN || e->type > LF_PQ_FIXED) return wrong(b, "a column of an unknown type");
    if (n->type == LF_PQ_FIXED && (n->type_length < 1 || n->type_length > MOST_FIXED))
        return wrong(b, "values of an impossible length");
    return LF_OK;
}

/* A node by its element; levels are those of the parent, to which its own are added. */
static lf_status make_node(building *b, lf_pq_node *n, const element *e, int depth) {
    if (e->repetition > LF_PQ_REPEATED) return wrong(b, "an unknown repetition");
    n->leaf = e->n_children == 0 && depth > 0;
    n->type = n->leaf && e->type != NONE ? (lf_pq_type)e->type : LF_PQ_BOOLEAN;
    n->type_length = e->type_length;
    n->repetition = depth ? (lf_pq_repetition)e->repetition : LF_PQ_REQUIRED;
    n->n_children = e->n_children;
    n->max_def += n->repetition != LF_PQ_REQUIRED;
    n->max_rep += n->repetition == LF_PQ_REPEATED;
    n->first_leaf = b->p->n_leaves;
    if (n->max_def > LF_PARQUET_MAX_LEVELS || depth > LF_PARQUET_MAX_LEVELS)
        return wrong(b, "columns are nested too deep");
    lf_status rc = take_name(b, n, e);
    if (!rc && n->leaf && !(rc = check_leaf(b, n, e))) annotate_leaf(n, e);
    return rc;
}

/* The reason why a group is left out is that of the first child that is, with its name. */
static lf_status inherit(building *b, lf_pq_node *n, const lf_pq_node *child) {
    if (n->left_out || !child->left_out) return LF_OK;
    char *text = lf_format("its '%.100s': %s", child->name, child->left_out);
    n->left_out = text ? lf_arena_strdup(b->p->arena, text) : NULL;
    lf_free(text);
    return n->left_out ? LF_OK : lf_no_memory(b->err, "the columns of %s", b->p->path);
}

/* The node of the next element, and all below it. Depth is limited by make_node. */
static lf_status build(building *b, int max_def, int max_rep, int depth) {
    lf_parquet *p = b->p;
    element e;
    if (p->n_nodes == b->most) return wrong(b, "fewer columns than it says");
    read_element(&e, b->t);
    if (b->t->failed) return wrong(b, "cut short");
    const int self = p->n_nodes++;
    lf_pq_node *n = &p->nodes[self];
    *n = (lf_pq_node){.max_def = max_def, .max_rep = max_rep};
    lf_status rc = make_node(b, n, &e, depth);
    if (!rc && n->leaf) p->leaves[p->n_leaves++] = self;
    for (int i = 0; i < e.n_children && !rc; i++) {
        const int child = p->n_nodes;
        rc = build(b, n->max_def, n->max_rep, depth + 1);
        if (!rc && depth > 0) rc = inherit(b, n, &p->nodes[child]);
    }
    n->next = p->n_nodes;
    n->n_leaves = p->n_leaves - n->first_leaf;
    if (rc || n->leaf || depth == 0) return rc;
    if (n->n_leaves == 0) return wrong(b, "a group without columns");
    if (is_map(&e)) n->left_out = "it holds maps; write them as structs, or as lists of keys and of values";
    if ((e.logical == L_LIST || e.converted == C_LIST) && n->n_children == 1 &&
        p->nodes[self + 1].repetition == LF_PQ_REPEATED)
        n->meaning = LF_PQ_LIST;
    return LF_OK;
}

static lf_status list_columns(building *b) {
    lf_parquet *p = b->p;
    const size_t n = (size_t)p->nodes[0].n_children;
    p->columns = lf_arena_alloc(p->arena, (n + 1) * sizeof *p->columns);
    p->column_nodes = lf_arena_alloc(p->arena, (n + 1) * sizeof *p->column_nodes);
    if (!p->columns || !p->column_nodes) return lf_no_memory(b->err, "the columns of %s", p->path);
    for (int at = 1; at < p->n_nodes; at = p->nodes[at].next) {
        for (int64_t i = 0; i < p->n_columns; i++)
            if (!strcmp(p->columns[i].name, p->nodes[at].name))
                return lf_fail(b->err, LF_EDATA, "%s: column '%.100s' is there twice; rename one", p->path,
                               p->nodes[at].name);
        p->column_nodes[p->n_columns] = at;
        p->columns[p->n_columns++] = (lf_parquet_column){p->nodes[at].name, p->nodes[at].left_out};
    }
    return LF_OK;
}

lf_status lf_pq_schema_read(lf_parquet *p, lf_thrift *t, const lf_thrift_field *f, lf_err *err) {
    enum { MOST_ELEMENTS = 1 << 14 }; /* names are compared with one another */
    building b = {.p = p, .t = t, .err = err};
    const size_t n = lf_thrift_list(t, f, LF_THRIFT_STRUCT);
    if (p->nodes) return wrong(&b, "it is there twice");
    if (t->failed || n < 2) return wrong(&b, "no columns");
    if (n > MOST_ELEMENTS) return wrong(&b, "more than 16384 columns");
    b.most = (int)n;
    p->nodes = lf_arena_alloc(p->arena, n * sizeof *p->nodes);
    p->leaves = lf_arena_alloc(p->arena, n * sizeof *p->leaves);
    if (!p->nodes || !p->leaves) return lf_no_memory(err, "the columns of %s", p->path);
    lf_status rc = build(&b, 0, 0, 0);
    if (!rc && p->n_nodes != b.most) rc = wrong(&b, "more columns than it says");
    return rc ? rc : list_columns(&b);
}
