#include "graph/ops/lora_probe.h"

#include <math.h>

bool lf_lora_is_probed(const lf_group_extents *e) {
    bool any = false;
    for (int p = 0; p < e->n; p++) any = any || (e->parts[p].lora && e->parts[p].lora->probe);
    return any;
}

static void count_row(lf_lora_probe *probe, int64_t rows, int64_t row, double term, double product) {
    if (product > 0 && !(probe->ignored && probe->n_ignored == rows && probe->ignored[row])) {
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
            if (e->parts[p].lora && e->parts[p].lora->probe) probe_part(d, p, b, term, product, u_real);
    }
    lf_graph_give(g, u_real.data);
    lf_graph_give(g, term.data);
}
