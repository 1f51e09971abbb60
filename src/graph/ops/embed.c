/* Rows of a table of token embeddings, plus rows of one of positions. A table is real when it is trained, of
 * activations when it is frozen. Gradients of an id that comes again are added in the order of the rows, whatever the
 * threads.
 *
 * The adapter's term is that of lora_delta.c for an x that is 1 at the id and 0 elsewhere: what is a product with A
 * there is a column of A here. With Ahat = [A; A - A0], Bhat = [B - B0, B0] and g = scaling,
 *
 *   forward    u = g Ahat[:,id]      y += u Bhat^T
 *   backward   v = g dy Bhat         dA[:,id] += v1 + v2     dB += (u1^T dy)^T */
#include "graph/ops.h"
#include "graph/ops/lora_delta.h"

typedef struct attributes {
    lf_dtype dtype; /* of activations */
    int64_t B, T;
    const int32_t *rows[2]; /* of either table: ids, positions */
    const lf_lora *lora;    /* NULL: none */
} attributes;
extern const lf_op lf_op_embed;
enum { TOKENS, POSITIONS, TABLES, LORA_A = TABLES, LORA_B, INPUTS };
enum { U }; /* slot of saved: u [rows,R] */

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
    const int64_t V = n->in[TOKENS]->shape[0], C = n->in[TOKENS]->shape[1];
    if (a->lora && (n->in[LORA_A]->numel != a->lora->r * V || n->in[LORA_B]->numel != C * a->lora->r))
        return lf_fail(err, LF_ESHAPE,
                       "embed: an adapter of rank %lld has A of %lld numbers and B of %lld, the table is [%lld, %lld]",
                       (long long)a->lora->r, (long long)n->in[LORA_A]->numel, (long long)n->in[LORA_B]->numel,
                       (long long)V, (long long)C);
    n->out->ndim = 3;
    n->out->shape[0] = a->B;
    n->out->shape[1] = a->T;
    n->out->shape[2] = n->in[TOKENS]->shape[1];
    n->out->dtype = a->dtype;
    return LF_OK;
}

/* ---- the adapter ---- */

/* y += its term. Both factors of Bhat, as wide as the table's rows, are made each time; of A only the columns. */
static void add_adapter(lf_graph *g, lf_node *n) {
    const attributes *a = attributes_of(n);
    const lf_lora *l = a->lora;
    const lf_kernels *k = lf_graph_kernels(g);
    const int64_t rows = a->B * a->T, V = n->in[TOKENS]->shape[0], C = n->in[TOKENS]->shape[1],
                  R = lf_lora_delta_rank(l);
    void *u = lf_save(g, n, U, k->act_dtype, rows * R), *B = lf_graph_take(g, k->dtype, R * C);
    if (u && B) {
        k->gather_columns(u, l->A.data, l->A0, a->rows[TOKENS], rows, l->r, V, l->scaling);
        k->lora_factors(NULL, NULL, NULL, 0, B, l->A.data, l->B.data, l->A0, l->B0, l->r, 0, C, 1, 1);
        k->low_rank_add(n->out->data, C, u, R, B, C, rows, C, R);
    }
    lf_graph_give(g, B);
}

static void adapter_gradients(lf_graph *g, lf_node *n) {
    const attributes *a = attributes_of(n);
    const lf_lora *l = a->lora;
    const lf_kernels *k = lf_graph_kernels(g);
    const int64_t rows = a->B * a->T, V = n->in[TOKENS]->shape[0], C = n->in[TOKENS]->shape[1],
                  R = lf_lora_delta_rank(l);
    bool ignored, ok = true;
    void *dA = lf_grad_out(g, n, LORA_A, &ignored), *dB = lf_grad_out(g, n, LORA_B, &ignored);
    void *B = lf_graph_take(g, k->act_dtype, C * R), *v = lf_graph_take(g, k->act_dtype, rows * R),
         *D = lf_graph_take(g, k->dtype, l->r * C);
    if (B && v && D) {
        k->lora_factors(NULL, NULL, B, R, NULL, l->A.data, l->B.data, l->A0, l->B0, l->r, 0, C, 1, l->scaling);
        ok = !dA || k->gemm(false, false, rows, R, C, n->out->grad, C, B, R, false, v, R);
        if (ok && dA) k->scatter_columns(dA, v, a->rows[TOKENS], l->padding, rows, l->r, R / l->r, V);
        ok = ok && (!dB || k->low_rank_sum(D, C, false, n->saved[U], R, n->out->grad, C, rows, l->r, C));
        if (ok && dB) k->wide->add_transposed(dB, D, C, C, l->r);
    }
    if (!ok) lf_no_memory(lf_graph_failure(g), "embed: a product of %lld rows", (long long)rows);
    lf_graph_give(g, B);
    lf_graph_give(g, v);
    lf_graph_give(g, D);
}

/* ---- all of it ---- */

static void embed_forward(lf_graph *g, lf_node *n) {
    const attributes *a = attributes_of(n);
    const lf_kernels *k = lf_graph_kernels(g);
    for (int i = 0; i < TABLES; i++) {
        if (n->in[i])
            k->gather_rows(n->out->data, i > 0, n->in[i]->data, n->in[i]->dtype == k->dtype, a->rows[i], a->B * a->T,
                           n->out->shape[2]);
        if (i == TOKENS && a->lora) add_adapter(g, n);
    }
}

static void embed_backward(lf_graph *g, lf_node *n) {
    const attributes *a = attributes_of(n);
    bool ignored;
    for (int i = 0; i < TABLES; i++) {
        void *dtable = lf_grad_out(g, n, i, &ignored);
        if (dtable) lf_graph_kernels(g)->scatter_rows(dtable, n->out->grad, a->rows[i], a->B * a->T, n->out->shape[2]);
    }
    if (a->lora) adapter_gradients(g, n);
}

static const int32_t ids[] = {4, 0, 4, 2, 4, 1}, positions[] = {0, 1, 2, 0, 0, 1};
static lf_tensor *build(lf_graph *g, lf_tensor **in) { return lf_embed(g, ids, 2, 3, in[0], NULL, NULL, NULL); }
static lf_tensor *build_positions(lf_graph *g, lf_tensor **in) {
    return lf_embed(g, ids, 2, 3, in[0], NULL, in[1], positions);
}
static lf_tensor *build_one(lf_graph *g, lf_tensor **in) { return lf_embed(g, ids, 1, 1, in[0], NULL, NULL, NULL); }
static lf_tensor *build_twice(lf_graph *g, lf_tensor **in) {
    return lf_add(g, build(g, in), lf_embed(g, positions, 2, 3, in[0], NULL, NULL, NULL));
}

/* The adapter's own tensors; a case's inputs take their place: table, A, B, positions' table. */
static lf_lora case_lora;
static double A0[2 * 5], B0[3 * 2];

static lf_tensor *with_lora(lf_graph *g, lf_tensor **in, bool delta, int32_t padding, lf_tensor *table_of_positions) {
    case_lora =
        (lf_lora){.r = in[1]->shape[0], .scaling = 1.7, .dropout = 0.5, .A = *in[1], .B = *in[2], .padding = padding};
    for (int i = 0; i < 10; i++) A0[i] = 0.3 * i - 1;
    for (int i = 0; i < 6; i++) B0[i] = 0.7 - 0.2 * i;
    case_lora.A0 = delta ? A0 : NULL;
    case_lora.B0 = delta ? B0 : NULL;
    const attributes a = {LF_F64, 2, 3, {ids, positions}, &case_lora};
    return lf_graph_apply(g, &lf_op_embed, INPUTS, (lf_tensor *[]){in[0], table_of_positions, in[1], in[2]}, &a,
                          sizeof a);
}
static lf_tensor *build_lora(lf_graph *g, lf_tensor **in) { return with_lora(g, in, false, -1, NULL); }
static lf_tensor *build_lora_positions(lf_graph *g, lf_tensor **in) { return with_lora(g, in, false, -1, in[3]); }
static lf_tensor *build_lora_delta(lf_graph *g, lf_tensor **in) {
    return lf_add(g, with_lora(g, in, true, -1, NULL), with_lora(g, in, true, -1, NULL));
}

#define WITH_LORA(constant)                                                                                            \
    {2, {5, 3}, constant}, {2, {2, 5}, false}, { 2, {3, 2}, false }

static const lf_op_case cases[] = {
    {"repeated ids", 1, {{2, {5, 3}, false}}, build, 1e-9},
    {"one channel", 1, {{2, {5, 1}, false}}, build, 1e-9},
    {"one row", 1, {{2, {5, 4}, false}}, build_one, 1e-9},
    {"positions", 2, {{2, {5, 4}, false}, {2, {3, 4}, false}}, build_positions, 1e-9},
    {"table constant", 2, {{2, {5, 3}, true}, {2, {4, 3}, false}}, build_positions, 1e-9},
    {"positions constant", 2, {{2, {5, 3}, false}, {2, {3, 3}, true}}, build_positions, 1e-9},
    {"lora", 3, {WITH_LORA(true)}, build_lora, 1e-8},
    {"lora, table trained, positions", 4, {WITH_LORA(false), {2, {3, 3}, false}}, build_lora_positions, 1e-8},
    {"lora, delta form, used twice", 3, {WITH_LORA(true)}, build_lora_delta, 1e-8},
    {"lora, one channel, one id", 3, {{2, {5, 1}, true}, {2, {1, 5}, false}, {2, {1, 1}, false}}, build_lora, 1e-8},
    {"lora, factor constant", 3, {{2, {5, 3}, true}, {2, {2, 5}, true}, {2, {3, 2}, false}}, build_lora, 1e-8},
    {"used twice", 1, {{2, {5, 3}, false}}, build_twice, 1e-9},
    {.name = NULL},
};

const lf_op lf_op_embed = {
    .name = "embed", .shape = embed_shape, .forward = embed_forward, .backward = embed_backward, .cases = cases};

lf_tensor *lf_embed(lf_graph *g, const int32_t *token_ids, int64_t B, int64_t T, lf_tensor *table, lf_lora *lora,
                    lf_tensor *positions_table, const int32_t *at) {
    const attributes a = {lf_graph_kernels(g)->act_dtype, B, T, {token_ids, at}, lora};
    lf_tensor *const inputs[INPUTS] = {table, positions_table, lora ? &lora->A : NULL, lora ? &lora->B : NULL};
    return table ? lf_graph_apply(g, &lf_op_embed, INPUTS, inputs, &a, sizeof a) : NULL;
}
