#include "graph/ops/lora_probe.h"

#include <math.h>

static lf_lora_probe *probe_of(const lf_group_extents *e, int p) {
    return e->parts[p].lora ? e->parts[p].lora->probe : NULL;
}
static bool measures(const lf_lora_probe *probe) { return probe && !probe->see && !probe->gradient; }

bool lf_lora_is_probed(const lf_group_extents *e) {
    bool any = false;
    for (int p = 0; p < e->n; p++) any = any || measures(probe_of(e, p));
    return any;
}

static bool counts(const lf_lora_probe *probe, int64_t rows, int64_t row) {
    return !(probe->ignored && probe->n_ignored == rows && probe->ignored[row]);
}

/* ---- what goes in, and the gradient ---- */

enum { SHOWN_ROWS = 1024 }; /* at a time */

/* Rows b of x that count, one behind the other, as real numbers. */
static int64_t gather(const lf_kernels *k, const lf_group_extents *e, const lf_lora_probe *probe, lf_rows b, lf_view to,
                      lf_const_view x) {
    int64_t n = 0;
    for (int64_t i = b.from; i < b.from + b.n; i++)
        if (counts(probe, e->rows, i))
            k->to_real(lf_view_at(to, n++, 0).data, false, lf_const_view_at(x, i, 0).data, e->in);
    return n;
}

void lf_lora_show_rows(lf_graph *g, const lf_kernels *k, const lf_group_extents *e, lf_const_view x) {
    for (int p = 0; p < e->n; p++) {
        const lf_lora_probe *probe = probe_of(e, p);
        if (!probe || !probe->see) continue;
        const lf_view rows = {lf_graph_take(g, k->dtype, SHOWN_ROWS * e->in), e->in, k->dtype};
        for (lf_rows b = {0}; rows.data && b.from < e->rows; b.from += b.n) {
            b.n = e->rows - b.from < SHOWN_ROWS ? e->rows - b.from : SHOWN_ROWS;
            probe->see(probe->context, rows.data, gather(k, e, probe, b, rows, x));
        }
        lf_graph_give(g, rows.data);
    }
}

bool lf_lora_show_gradient(const lf_kernels *k, const lf_group_extents *e, lf_const_view dy, lf_const_view x) {
    bool ok = true;
    for (int p = 0; p < e->n; p++) {
        const lf_part_extents *at = &e->parts[p];
        const lf_lora_probe *probe = probe_of(e, p);
        if (probe && probe->gradient)
            ok = ok && k->gemm_real(true, false, at->out, e->in, e->rows, lf_const_view_at(dy, 0, at->y).data, dy.ld,
                                    x.data, x.ld, true, probe->gradient, e->in);
    }
    return ok;
}

/* ---- the size of the term ---- */

static void count_row(lf_lora_probe *probe, int64_t rows, int64_t row, double term, double product) {
    if (product > 0 && counts(probe, rows, row)) {
        probe->sum += sqrt(term / product);
        probe->rows++;
    }
}

/* The part's term in full precision, and both norms of each row. */
static void probe_part(const lf_lora_delta *d, int p, lf_rows b, lf_view term, lf_const_view product, lf_view u) {
    const lf_kernels *wide = d->k->wide;
    const lf_part_extents *at = &d->e.parts[p];
    wide->low_rank_add(lf_view_at(term, 0, at->y).data, term.ld, lf_view_at(u, 0, at->u).data, u.ld, d->B_real[p].data,
                       d->B_real[p].ld, b.n, at->out, at->R);
    for (int64_t i = 0; i < b.n; i++)
        count_row(at->lora->probe, d->e.rows, b.from + i, wide->sum_squares(lf_view_at(term, i, at->y).data, at->out),
                  wide->sum_squares(lf_const_view_at(product, i, at->y).data, at->out));
}

void lf_lora_probe_rows(lf_graph *g, const lf_lora_delta *d, lf_rows b, lf_const_view product, lf_const_view u) {
    const lf_kernels *wide = d->k->wide;
    const lf_group_extents *e = &d->e;
    const lf_view term = {lf_graph_take(g, wide->dtype, b.n * e->out), e->out, wide->dtype},
                  u_real = {lf_graph_take(g, wide->dtype, b.n * e->R), e->R, wide->dtype};
    if (term.data && u_real.data) {
        d->k->to_real(u_real.data, false, lf_const_view_at(u, b.from, 0).data, b.n * e->R);
        wide->fill(term.data, 0, b.n * e->out);
        for (int p = 0; p < e->n; p++)
            if (measures(probe_of(e, p))) probe_part(d, p, b, term, product, u_real);
    }
    lf_graph_give(g, u_real.data);
    lf_graph_give(g, term.data);
}
