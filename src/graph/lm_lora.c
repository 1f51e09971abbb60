#include "graph/lm_lora.h"

static lf_view take(lf_graph *g, lf_dtype dtype, int64_t rows, int64_t columns) {
    return (lf_view){lf_graph_take(g, dtype, rows * columns), columns, dtype};
}

static lf_group_extents extents_of(const lf_lora *lora, int64_t size, int64_t C, int64_t V) {
    const int64_t R = lf_lora_delta_rank(lora);
    return (lf_group_extents){.rows = size, .in = C, .out = V, .R = R, .n = 1, .parts = {{lora, 0, V, 0, R}}};
}

bool lf_lm_lora_begin(lf_graph *g, lf_lm_lora *l, const lf_kernels *k, const lf_lora *lora, int64_t size, int64_t C,
                      int64_t V, bool gradients, lf_rng_key key) {
    *l = (lf_lm_lora){.key = key};
    if (!lora) return true;
    const lf_group_extents e = extents_of(lora, size, C, V);
    bool ok = lf_lora_delta_begin(g, &l->forward, k, &e, false) &&
              (!gradients || lf_lora_delta_begin(g, &l->backward, k, &e, true));
    l->u = take(g, k->act_dtype, size, e.R);
    l->u_real = k->act_dtype == k->dtype ? l->u : take(g, k->dtype, size, e.R);
    if (l->forward.drops) l->x = take(g, k->act_dtype, size, C);
    if (l->forward.drops && gradients) l->dx = take(g, k->act_dtype, size, C);
    l->forward.drops = l->backward.drops = false; /* a block's x is dropped here, by numbers of its own */
    return ok && !lf_graph_status(g, NULL);
}

/* Each block has other numbers of the generator than those before it. */
static lf_rng_key key_of(const lf_lm_lora *l) {
    lf_rng_key key = l->key;
    key.k[1] += (uint32_t)l->blocks;
    return key;
}

/* What A sees of x. */
static const void *seen(const lf_lm_lora *l, int64_t n, const void *x) {
    const lf_lora_delta *d = &l->forward;
    if (!l->x.data) return x;
    d->k->dropout(l->x.data, false, x, n * d->e.in, d->e.parts[0].lora->dropout, key_of(l));
    return l->x.data;
}

bool lf_lm_lora_logits(lf_lm_lora *l, int64_t n, void *logits, const void *x) {
    const lf_lora_delta *d = &l->forward;
    const lf_kernels *k = d->k;
    const int64_t R = d->e.R, C = d->e.in, V = d->e.out;
    l->blocks++;
    if (!k->gemm(false, true, n, R, C, seen(l, n, x), C, d->A_act.data, C, false, l->u.data, R)) return false;
    if (l->u_real.data != l->u.data) k->to_real(l->u_real.data, false, l->u.data, n * R);
    k->wide->low_rank_add(logits, V, l->u_real.data, R, d->B_real[0].data, V, n, V, R);
    return true;
}

bool lf_lm_lora_backward(lf_lm_lora *l, int64_t n, void *dx, const void *dlogits, const void *x) {
    const lf_lora_delta *d = &l->backward;
    const lf_kernels *k = d->k;
    const int64_t C = d->e.in, V = d->e.out;
    const bool drops = l->x.data;
    const lf_view to = {dx && drops ? l->dx.data : dx, C, k->act_dtype};
    if (dx && drops) k->fill(to.data, 0, n * C);
    if (!lf_lora_delta_backward_rows(d, n, l->sums, d->v, to, (lf_const_view){dlogits, V, k->act_dtype},
                                     lf_view_read(l->u), (lf_const_view){drops ? l->x.data : x, C, k->act_dtype}))
        return false;
    l->sums = true;
    if (dx && drops) k->dropout(dx, true, to.data, n * C, d->e.parts[0].lora->dropout, key_of(l));
    return true;
}

void lf_lm_lora_add(const lf_lm_lora *l, void *dA, void *dB) {
    if (l->sums) lf_lora_delta_add(&l->backward, 0, dA, dB);
}

void lf_lm_lora_end(lf_graph *g, lf_lm_lora *l) {
    if (l->u_real.data != l->u.data) lf_graph_give(g, l->u_real.data);
    lf_graph_give(g, l->u.data);
    lf_graph_give(g, l->x.data);
    lf_graph_give(g, l->dx.data);
    lf_lora_delta_end(g, &l->backward);
    lf_lora_delta_end(g, &l->forward);
}
