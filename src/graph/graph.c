#include "graph/graph_internal.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "base/mem.h"

lf_graph *lf_graph_new(const lf_kernels *k, uint64_t seed) {
    lf_graph *g = lf_calloc(1, sizeof *g);
    if (!g) return NULL;
    g->k = k;
    g->seed = seed;
    g->pool = lf_pool_new();
    if (!g->pool) {
        lf_free(g);
        return NULL;
    }
    return g;
}

void lf_graph_free(lf_graph *g) {
    if (!g) return;
    lf_pool_free(g->pool);
    lf_free(g);
}

void lf_graph_begin(lf_graph *g, bool training, bool with_grad, uint64_t step) {
    lf_pool_reset(g->pool);
    g->last = NULL;
    g->n_nodes = 0;
    g->drew = false;
    g->step = step;
    g->training = training;
    g->with_grad = with_grad;
    g->failure = (lf_err){0};
}

lf_status lf_graph_status(const lf_graph *g, lf_err *err) {
    return g->failure.status ? lf_fail(err, g->failure.status, "%s", g->failure.message) : LF_OK;
}

const lf_kernels *lf_graph_kernels(const lf_graph *g) { return g->k; }
const lf_kernels *lf_kernels_for(const lf_graph *g, const lf_tensor *t) {
    return t->dtype == g->k->act_dtype ? g->k : g->k->wide;
}
bool lf_graph_training(const lf_graph *g) { return g->training; }
uint64_t lf_graph_nodes(const lf_graph *g) { return g->n_nodes; }
void lf_graph_leave_out(lf_graph *g, uint64_t nodes) { g->n_nodes += nodes; }
bool lf_graph_drew(const lf_graph *g) { return g->drew; }
void lf_graph_draws(lf_graph *g) { g->drew = true; }
int64_t lf_graph_bytes(const lf_graph *g) { return lf_pool_bytes(g->pool); }

void lf_graph_shrink(lf_graph *g) { lf_pool_shrink(g->pool); }

void lf_graph_fail(lf_graph *g, lf_status status, const char *format, ...) {
    if (g->failure.status) return;
    char message[sizeof g->failure.message];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    lf_fail(&g->failure, status, "%s", message);
}

lf_err *lf_graph_failure(lf_graph *g) { return &g->failure; }

void *lf_graph_take_bytes(lf_graph *g, int64_t bytes) {
    if (g->failure.status) return NULL;
    void *p = lf_pool_take(g->pool, (size_t)bytes);
    if (!p)
        lf_no_memory(&g->failure, "%lld more bytes of the step (%.1f MB held); try a smaller batch", (long long)bytes,
                     (double)lf_pool_bytes(g->pool) / 1e6);
    return p;
}

void *lf_graph_take(lf_graph *g, lf_dtype dtype, int64_t numbers) {
    return lf_graph_take_bytes(g, numbers * (int64_t)lf_dtype_size(dtype));
}

void lf_graph_give(lf_graph *g, void *block) { lf_pool_give(g->pool, block); }

void *lf_save(lf_graph *g, lf_node *node, int slot, lf_dtype dtype, int64_t numbers) {
    if (!node->saved[slot]) node->saved[slot] = lf_graph_take(g, dtype, numbers);
    return node->saved[slot];
}

static void set_shape(lf_tensor *t, int ndim, const int64_t *shape) {
    assert(ndim >= 1 && ndim <= LF_TENSOR_DIMS);
    t->ndim = ndim;
    t->numel = 1;
    for (int i = 0; i < ndim; i++) {
        t->shape[i] = shape[i];
        t->numel *= shape[i];
    }
}

void lf_tensor_init(lf_tensor *t, lf_dtype dtype, int ndim, const int64_t *shape, void *data, void *grad) {
    *t = (lf_tensor){.dtype = dtype, .data = data, .grad = grad, .requires_grad = grad != NULL, .is_leaf = true};
    set_shape(t, ndim, shape);
}

lf_tensor *lf_graph_input(lf_graph *g, int ndim, const int64_t *shape, void *data) {
    lf_tensor *t = lf_graph_take_bytes(g, sizeof *t);
    if (t) lf_tensor_init(t, g->k->act_dtype, ndim, shape, data, NULL);
    return t;
}

bool lf_node_keeps(const lf_graph *g, const lf_node *node) { return g->with_grad && node->out->requires_grad; }

static void give_saved(lf_graph *g, lf_node *node) {
    for (int i = 0; i < LF_MAX_SAVED; i++) {
        lf_pool_give(g->pool, node->saved[i]);
        node->saved[i] = NULL;
    }
}

lf_tensor *lf_graph_apply(lf_graph *g, const lf_op *op, int n_in, lf_tensor *const *in, const void *attributes,
                          size_t size) {
    assert(n_in <= LF_MAX_INPUTS && size <= sizeof((lf_node *)0)->attributes);
    lf_node *node = lf_graph_take_bytes(g, sizeof *node);
    lf_tensor *out = lf_graph_take_bytes(g, sizeof *out);
    if (!node || !out) return NULL;
    memset(node, 0, sizeof *node);
    memset(out, 0, sizeof *out);
    node->op = op;
    node->n_in = n_in;
    node->out = out;
    node->key = lf_rng_make(g->seed, LF_RNG_DROPOUT, (g->step << 20) + g->n_nodes++);
    if (size) memcpy(node->attributes, attributes, size);
    for (int i = 0; i < n_in; i++) {
        node->in[i] = in[i];
        if (in[i] && in[i]->requires_grad) out->requires_grad = true;
    }
    out->dtype = n_in > 0 ? in[0]->dtype : g->k->act_dtype;
    lf_err err = {0};
    const lf_status rc = op->shape(node, &err);
    if (rc) {
        lf_graph_fail(g, rc, "%s", err.message);
        return NULL;
    }
    set_shape(out, out->ndim, out->shape);
    out->data = lf_graph_take(g, out->dtype, out->numel);
    if (!out->data) return NULL;
    op->forward(g, node);
    if (g->failure.status) return NULL;
    if (!lf_node_keeps(g, node)) { /* nothing of this op is needed later but its output */
        give_saved(g, node);
        lf_pool_give(g->pool, node);
        return out;
    }
    out->producer = node;
    node->needs = op->needs_of ? op->needs_of(node) : op->needs;
    out->needed = (node->needs & LF_NEEDS_OUTPUT) != 0;
    for (int i = 0; i < n_in; i++)
        if (in[i] && (op->cheap || (node->needs & LF_NEEDS(i)))) in[i]->needed = true;
    node->previous = g->last;
    g->last = node;
    return out;
}

static void give_value(lf_graph *g, lf_tensor *t) {
    lf_pool_give(g->pool, t->data);
    t->data = NULL;
}

void lf_done(lf_graph *g, lf_tensor *t) {
    if (!t || t->is_leaf || t->done) return;
    t->done = true;
    const bool can_be_made_again = t->producer && t->producer->op->cheap;
    if (!t->needed || can_be_made_again) give_value(g, t);
}

static void make_again(lf_graph *g, lf_tensor *t) {
    if (t->data) return;
    assert(t->producer && t->producer->op->cheap);
    for (int i = 0; i < t->producer->n_in; i++)
        if (t->producer->in[i]) make_again(g, t->producer->in[i]);
    t->data = lf_graph_take(g, t->dtype, t->numel);
    if (t->data) t->producer->op->forward(g, t->producer);
}

double lf_dloss(const lf_node *node) {
    const lf_tensor *out = node->out;
    return out->dtype == LF_F64 ? *(const double *)out->grad : (double)*(const float *)out->grad;
}

void *lf_grad_out(lf_graph *g, lf_node *node, int i, bool *add) {
    if (!lf_wants_grad(node, i)) return NULL;
    lf_tensor *t = node->in[i];
    *add = t->grad != NULL;
    if (!t->grad) t->grad = lf_graph_take(g, t->dtype, t->numel);
    return t->grad;
}

void *lf_grad_in_place(lf_graph *g, lf_node *node, int i, bool *add) {
    lf_tensor *t = node->in[i];
    if (!lf_wants_grad(node, i) || t->grad) return lf_grad_out(g, node, i, add);
    assert(t->numel == node->out->numel && t->dtype == node->out->dtype);
    *add = false;
    t->grad = node->out->grad;
    node->out->grad = NULL;
    return t->grad;
}

static void node_backward(lf_graph *g, lf_node *node) {
    lf_tensor *out = node->out;
    if (out->grad) { /* else: the value was not used for the loss */
        for (int i = 0; i < node->n_in; i++)
            if (node->in[i] && (node->needs & LF_NEEDS(i))) make_again(g, node->in[i]);
        if (node->needs & LF_NEEDS_OUTPUT) make_again(g, out);
        if (!g->failure.status) node->op->backward(g, node);
    }
    lf_pool_give(g->pool, out->grad);
    out->grad = NULL;
    give_value(g, out); /* all who read it come later on the tape, and are through */
    give_saved(g, node);
}

lf_status lf_graph_walk_back(lf_graph *g, lf_tensor *t, lf_err *err) {
    assert(t->grad && g->with_grad);
    (void)t;
    for (lf_node *node = g->last; node && !g->failure.status; node = node->previous) node_backward(g, node);
    g->last = NULL;
    return lf_graph_status(g, err);
}

lf_status lf_graph_backward(lf_graph *g, lf_tensor *loss, double dloss, lf_err *err) {
    if (g->failure.status) return lf_graph_status(g, err);
    assert(loss && loss->numel == 1);
    if (!loss->requires_grad) return lf_fail(err, LF_EFAIL, "backward: nothing that is trained leads to the loss");
    loss->grad = lf_graph_take(g, loss->dtype, 1);
    if (!loss->grad) return lf_graph_status(g, err);
    lf_kernels_for(g, loss)->fill(loss->grad, dloss, 1);
    return lf_graph_walk_back(g, loss, err);
}
