/* Rows of a table of token embeddings, plus rows of one of positions. A table is real when it is trained, of
 * activations when it is frozen. Gradients of an id that comes again are added in the order of the rows, whatever the
 * threads. */
#include "graph/ops.h"

typedef struct attributes {
    lf_dtype dtype; /* of activations */
    int64_t B, T;
    const int32_t *rows[2]; /* of either table: ids, positions */
} attributes;
enum { TOKENS, POSITIONS, TABLES };

static const attributes *attributes_of(const lf_node *n) { return (const void *)n->attributes; }

static lf_status check_table(const lf_node *n, int i, lf_err *err) {
    static const char *const names[] = {"token", "position"};
    const attributes *a = attributes_of(n);
    const lf_tensor *table = n->in[i];
    if (table->ndim != 2 || table->shape[1] != n->in[TOKENS]->shape[1] ||
        (table->dtype == LF_BF16 && (a->dtype != LF_BF16 || table->requires_grad)))
        return lf_fail(err, LF_ESHAPE, "embed: the table of %ss has %d dims, rows of %lld (%s), activations are %s",
                       names[i], table->ndim, (long long)table->shape[table->ndim - 1], lf_dtype_name(table->dtype),
                       lf_dtype_name(a->dtype));
    for (int64_t row = 0; row < a->B * a->T; row++)
        if (a->rows[i][row] < 0 || a->rows[i][row] >= table->shape[0])
            return lf_fail(
                err, LF_ESHAPE,
                "embed: %s %d in row %lld, but the table has %lld; are tokenizer and model of one checkpoint?",
                names[i], a->rows[i][row], (long long)row, (long long)table->shape[0]);
    return LF_OK;
}

static lf_status embed_shape(lf_node *n, lf_err *err) {
    const attributes *a = attributes_of(n);
    for (int i = 0; i < TABLES; i++) {
        const lf_status rc = n->in[i] ? check_table(n, i, err) : LF_OK;
        if (rc) return rc;
    }
    n->out->ndim = 3;
    n->out->shape[0] = a->B;
    n->out->shape[1] = a->T;
    n->out->shape[2] = n->in[TOKENS]->shape[1];
    n->out->dtype = a->dtype;
    return LF_OK;
}

static void embed_forward(lf_graph *g, lf_node *n) {
    const attributes *a = attributes_of(n);
    const lf_kernels *k = lf_graph_kernels(g);
    for (int i = 0; i < TABLES; i++)
        if (n->in[i])
            k->gather_rows(n->out->data, i > 0, n->in[i]->data, n->in[i]->dtype == k->dtype, a->rows[i], a->B * a->T,
                           n->out->shape[2]);
}

static void embed_backward(lf_graph *g, lf_node *n) {
    const attributes *a = attributes_of(n);
    bool ignored;
    for (int i = 0; i < TABLES; i++) {
        void *dtable = lf_grad_out(g, n, i, &ignored);
        if (dtable) lf_graph_kernels(g)->scatter_rows(dtable, n->out->grad, a->rows[i], a->B * a->T, n->out->shape[2]);
    }
}

static const int32_t ids[] = {4, 0, 4, 2, 4, 1}, positions[] = {0, 1, 2, 0, 0, 1};
static lf_tensor *build(lf_graph *g, lf_tensor **in) { return lf_embed(g, ids, 2, 3, in[0], NULL, NULL); }
static lf_tensor *build_positions(lf_graph *g, lf_tensor **in) {
    return lf_embed(g, ids, 2, 3, in[0], in[1], positions);
}
static lf_tensor *build_one(lf_graph *g, lf_tensor **in) { return lf_embed(g, ids, 1, 1, in[0], NULL, NULL); }
static lf_tensor *build_twice(lf_graph *g, lf_tensor **in) {
    return lf_add(g, build(g, in), lf_embed(g, positions, 2, 3, in[0], NULL, NULL));
}

static const lf_op_case cases[] = {
    {"repeated ids", 1, {{2, {5, 3}, false}}, build, 1e-9},
    {"one channel", 1, {{2, {5, 1}, false}}, build, 1e-9},
    {"one row", 1, {{2, {5, 4}, false}}, build_one, 1e-9},
    {"positions", 2, {{2, {5, 4}, false}, {2, {3, 4}, false}}, build_positions, 1e-9},
    {"table constant", 2, {{2, {5, 3}, true}, {2, {4, 3}, false}}, build_positions, 1e-9},
    {"positions constant", 2, {{2, {5, 3}, false}, {2, {3, 3}, true}}, build_positions, 1e-9},
    {"used twice", 1, {{2, {5, 3}, false}}, build_twice, 1e-9},
    {.name = NULL},
};

const lf_op lf_op_embed = {
    .name = "embed", .shape = embed_shape, .forward = embed_forward, .backward = embed_backward, .cases = cases};

lf_tensor *lf_embed(lf_graph *g, const int32_t *token_ids, int64_t B, int64_t T, lf_tensor *table,
                    lf_tensor *positions_table, const int32_t *at) {
    const attributes a = {lf_graph_kernels(g)->act_dtype, B, T, {token_ids, at}};
    return table ? lf_graph_apply(g, &lf_op_embed, TABLES, (lf_tensor *[]){table, positions_table}, &a, sizeof a)
                 : NULL;
}
