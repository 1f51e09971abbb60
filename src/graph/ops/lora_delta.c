/* The mathematics of an adapter, in delta form (docs/architecture.md). Of one part, with g = scaling:
 *
 *   Ahat = [A; A - A0] [2r,in],  Bhat = [B - B0, B0] [out,2r]
 *   forward    u = g x Ahat^T           y  += u Bhat^T
 *   backward   v = g dy Bhat            dx += v Ahat
 *              P = v^T x = [P1; P2]     dA += P1 + P2
 *              D = u^T dy = [D1; D2]    dB += D1^T
 *
 * The two halves of u are u1 = g x A^T and u2 = g x (A - A0)^T, those of v are v1 = g dy (B - B0) and v2 = g dy B0.
 * So P1 + P2 = g (dy B)^T x and D1^T = g dy^T x A^T: the gradients of the residual form W - g B0 A0 + g B A, and D2 is
 * never made. A start at B0 = 0 needs no second half: Ahat = A, Bhat = B, R = r, and the same lines hold.
 *
 * Dropout acts on the x of this term alone: u = g drop(x) Ahat^T, P = v^T drop(x), dx += drop'(v Ahat). */
#include "graph/ops/lora_delta.h"

int64_t lf_lora_delta_rank(const lf_lora *lora) { return !lora ? 0 : lora->A0 ? 2 * lora->r : lora->r; }

static bool drops(const lf_graph *g, const lf_group_extents *e) {
    bool any = false;
    for (int p = 0; p < e->n; p++) any = any || (e->parts[p].lora && e->parts[p].lora->dropout > 0);
    return any && lf_graph_training(g);
}

static lf_view take(lf_graph *g, lf_dtype dtype, int64_t rows, int64_t columns) {
    return (lf_view){lf_graph_take(g, dtype, rows * columns), columns, dtype};
}

/* Activations that are rounded: a group's product part by part, without the zeros beside the parts in Bhat. Else the
 * sums of floats would be others than they have always been. */
static bool is_by_parts(const lf_lora_delta *d) { return d->e.n > 1 && d->k->act_dtype != d->k->dtype; }

/* Either factor bears `scaling` once: A in forward, for u, and B in backward, for v. */
static void make_factors(lf_lora_delta *d, bool backward) {
    const lf_group_extents *e = &d->e;
    const bool wants_A = !backward || d->drops; /* with dropout dx goes through it */
    if (e->n > 1 && backward && !is_by_parts(d)) d->k->fill(d->B_act.data, 0, e->out * e->R);
    for (int p = 0; p < e->n; p++) {
        const lf_part_extents *at = &e->parts[p];
        const lf_lora *l = at->lora;
        if (!l) continue;
        d->k->lora_factors(wants_A ? lf_view_at(d->A_act, at->u, 0).data : NULL,
                           backward ? lf_view_at(d->A_real, at->u, 0).data : NULL,
                           backward ? lf_view_at(d->B_act, at->y, at->u).data : NULL, d->B_act.ld,
                           backward ? NULL : d->B_real[p].data, l->A.data, l->B.data, l->A0, l->B0, l->r, e->in,
                           at->out, backward ? 1 : l->scaling, backward ? l->scaling : 1);
    }
}

bool lf_lora_delta_begin(lf_graph *g, lf_lora_delta *d, const lf_kernels *k, const lf_group_extents *e, bool backward) {
    const int64_t A_size = e->R * e->in, B_size = e->out * e->R;
    *d = (lf_lora_delta){.k = k, .e = *e, .drops = drops(g, e)};
    d->A_act = take(g, k->act_dtype, e->R, e->in);
    d->B_act = take(g, k->act_dtype, e->out, e->R);
    d->real = lf_graph_take(g, k->dtype, A_size + B_size);
    d->A_real = (lf_view){d->real, e->in, k->dtype};
    lf_view B_real = lf_view_at(d->A_real, e->R, 0);
    for (int p = 0; p < e->n; p++) {
        d->B_real[p] = (lf_view){B_real.data, e->parts[p].out, k->dtype};
        B_real = lf_view_at(d->B_real[p], e->parts[p].R, 0);
    }
    if (backward) {
        d->v = take(g, k->act_dtype, e->rows, e->R);
        d->P = take(g, k->dtype, e->R, e->in);
        d->D = take(g, k->dtype, e->R, e->out);
    }
    if (!d->A_act.data || !d->B_act.data || !d->real) return false;
    if (backward && (!d->v.data || !d->P.data || !d->D.data)) return false;
    make_factors(d, backward);
    return true;
}

void lf_lora_delta_end(lf_graph *g, lf_lora_delta *d) {
    void *const all[] = {d->D.data, d->P.data, d->v.data, d->A_act.data, d->B_act.data, d->real};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) lf_graph_give(g, all[i]);
}

bool lf_lora_delta_forward(const lf_lora_delta *d, lf_rows b, lf_view y, lf_view u, lf_const_view x) {
    const lf_kernels *k = d->k;
    const lf_group_extents *e = &d->e;
    const lf_view ub = lf_view_at(u, b.from, 0);
    if (!d->drops && !k->gemm(false, true, b.n, e->R, e->in, lf_const_view_at(x, b.from, 0).data, x.ld, d->A_act.data,
                              d->A_act.ld, false, ub.data, ub.ld))
        return false;
    for (int p = 0; p < e->n; p++) {
        const lf_part_extents *at = &e->parts[p];
        if (at->lora)
            k->low_rank_add(lf_view_at(y, b.from, at->y).data, y.ld, lf_view_at(ub, 0, at->u).data, u.ld,
                            d->B_real[p].data, d->B_real[p].ld, b.n, at->out, at->R);
    }
    return true;
}

/* v = dy Bhat, n rows */
static bool down(const lf_lora_delta *d, int64_t n, lf_view v, lf_const_view dy) {
    const lf_kernels *k = d->k;
    const lf_group_extents *e = &d->e;
    bool ok = true;
    if (!is_by_parts(d))
        return k->gemm(false, false, n, e->R, e->out, dy.data, dy.ld, d->B_act.data, d->B_act.ld, false, v.data, v.ld);
    for (int p = 0; p < e->n && ok; p++) {
        const lf_part_extents *at = &e->parts[p];
        if (at->lora)
            ok = k->gemm(false, false, n, at->R, at->out, lf_const_view_at(dy, 0, at->y).data, dy.ld,
                         lf_view_at(d->B_act, at->y, at->u).data, d->B_act.ld, false, lf_view_at(v, 0, at->u).data,
                         v.ld);
    }
    return ok;
}

bool lf_lora_delta_backward_rows(const lf_lora_delta *d, int64_t n, bool add, lf_view v, lf_view dx, lf_const_view dy,
                                 lf_const_view u, lf_const_view x) {
    const lf_kernels *k = d->k;
    const lf_group_extents *e = &d->e;
    if (!down(d, n, v, dy)) return false;
    for (int p = 0; p < e->n; p++) { /* D1 is all that dB wants of D */
        const lf_part_extents *at = &e->parts[p];
        if (at->lora &&
            !k->low_rank_sum(lf_view_at(d->D, at->u, at->y).data, d->D.ld, add, lf_const_view_at(u, 0, at->u).data,
                             u.ld, lf_const_view_at(dy, 0, at->y).data, dy.ld, n, at->lora->r, at->out))
            return false;
    }
    if (d->drops) return true;
    if (!k->low_rank_sum(d->P.data, d->P.ld, add, v.data, v.ld, x.data, x.ld, n, e->R, e->in)) return false;
    if (dx.data) k->low_rank_add(dx.data, dx.ld, v.data, v.ld, d->A_real.data, d->A_real.ld, n, e->in, e->R);
    return true;
}

bool lf_lora_delta_backward(const lf_lora_delta *d, lf_rows b, lf_view dx, lf_const_view dy, lf_const_view u,
                            lf_const_view x) {
    return lf_lora_delta_backward_rows(d, b.n, b.from > 0, lf_view_at(d->v, b.from, 0), lf_view_at(dx, b.from, 0),
                                       lf_const_view_at(dy, b.from, 0), lf_const_view_at(u, b.from, 0),
                                       lf_const_view_at(x, b.from, 0));
}

/* ---- dropout ---- */

static lf_rng_key key_of(lf_rng_key key, int p) {
    key.k[0] += (uint32_t)p * 0x9e3779b9u;
    return key;
}

/* Part p's x, in pool memory; without data if there was none. */
static lf_view dropped(lf_graph *g, const lf_lora_delta *d, int p, lf_const_view x, lf_rng_key key) {
    const lf_view xp = take(g, x.dtype, d->e.rows, d->e.in);
    if (xp.data)
        d->k->dropout(xp.data, false, x.data, d->e.rows * d->e.in, d->e.parts[p].lora->dropout, key_of(key, p));
    return xp;
}

bool lf_lora_delta_drop_forward(lf_graph *g, const lf_lora_delta *d, lf_view u, lf_const_view x, lf_rng_key key) {
    const lf_group_extents *e = &d->e;
    bool ok = true;
    for (int p = 0; p < e->n && ok; p++) {
        const lf_part_extents *at = &e->parts[p];
        if (!at->lora) continue;
        const lf_view xp = dropped(g, d, p, x, key);
        if (xp.data)
            ok = d->k->gemm(false, true, e->rows, at->R, e->in, xp.data, xp.ld, lf_view_at(d->A_act, at->u, 0).data,
                            d->A_act.ld, false, lf_view_at(u, 0, at->u).data, u.ld);
        lf_graph_give(g, xp.data);
    }
    return ok;
}

bool lf_lora_delta_drop_backward(lf_graph *g, const lf_lora_delta *d, lf_view dx, lf_const_view x, lf_rng_key key) {
    const lf_kernels *k = d->k;
    const lf_group_extents *e = &d->e;
    bool ok = true;
    for (int p = 0; p < e->n && ok; p++) {
        const lf_part_extents *at = &e->parts[p];
        const lf_view xp = at->lora ? dropped(g, d, p, x, key) : (lf_view){0}, v = lf_view_at(d->v, 0, at->u);
        if (!xp.data) continue;
        ok = k->gemm_real(true, false, at->R, e->in, e->rows, v.data, v.ld, xp.data, xp.ld, false,
                          lf_view_at(d->P, at->u, 0).data, d->P.ld);
        if (ok && dx.data) { /* xp has served; through it to dx */
            ok = k->gemm(false, false, e->rows, e->in, at->R, v.data, v.ld, lf_view_at(d->A_act, at->u, 0).data,
                         d->A_act.ld, false, xp.data, xp.ld);
            if (ok) k->dropout(dx.data, true, xp.data, e->rows * e->in, at->lora->dropout, key_of(key, p));
        }
        lf_graph_give(g, xp.data);
    }
    return ok;
}

void lf_lora_delta_add(const lf_lora_delta *d, int p, void *dA, void *dB) {
    const lf_kernels *wide = d->k->wide;
    const lf_part_extents *at = &d->e.parts[p];
    if (!at->lora) return;
    const int64_t r = at->lora->r;
    for (int64_t half = 0; dA && half < at->R; half += r)
        wide->axpy(dA, 1, lf_view_at(d->P, at->u + half, 0).data, r * d->e.in);
    if (dB) wide->add_transposed(dB, lf_view_at(d->D, at->u, at->y).data, d->D.ld, at->out, r);
}
