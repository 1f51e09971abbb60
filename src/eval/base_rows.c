/* What a base says of the first tokens of its data, kept to be compared with what another says of them. */
#include <math.h>

#include "base/mem.h"
#include "eval/eval.h"
#include "eval/eval_internal.h"
#include "graph/lm_score.h"

enum { MOST_NUMBERS = 1 << 24, MOST_ROWS = 2048 };

void lf_base_rows_free(lf_base_rows *r) {
    lf_aligned_free(r->logits);
    *r = (lf_base_rows){0};
}

static bool is_full(const lf_base_rows *r) { return r->n == r->room; }

static lf_status make_room(lf_base_rows *r, const lf_lm_head *head, lf_err *err) {
    if (r->logits) return LF_OK;
    r->V = head->frozen ? head->frozen->out : head->weight->shape[0];
    r->room = MOST_NUMBERS / r->V < MOST_ROWS ? MOST_NUMBERS / r->V : MOST_ROWS;
    if (r->room < 1) r->room = 1;
    r->logits = lf_aligned_alloc((size_t)(r->room * r->V) * sizeof *r->logits);
    return r->logits ? LF_OK : lf_no_memory(err, "the base's logits of %lld tokens", (long long)r->room);
}

/* The batch's rows that have a target, until there are enough. */
static lf_status take_batch(lf_base_rows *r, lf_model *m, lf_graph *g, const lf_example_batch *b, lf_err *err) {
    const lf_pass pass = {.in = b->in, .base = true};
    lf_lm_head head;
    lf_graph_begin(g, false, false, 0);
    lf_tensor *hidden = lf_lm_hidden(m, g, &pass);
    lf_status rc = lf_graph_status(g, err);
    if (rc) return rc;
    lf_model_lm_head(m, true, &head);
    if ((rc = make_room(r, &head, err))) return rc;
    const int64_t C = hidden->shape[hidden->ndim - 1];
    for (int64_t i = 0; i < b->in.B * b->in.T && !is_full(r); i++) {
        if (b->labels[i] < 0) continue;
        const char *row = (const char *)hidden->data + (size_t)(i * C) * lf_dtype_size(hidden->dtype);
        void *logits = lf_lm_logits(g, row, 1, &head);
        if (!logits) return lf_graph_status(g, err);
        lf_graph_kernels(g)->to_f32(r->logits + r->n++ * r->V, logits, r->V);
        lf_graph_give(g, logits);
    }
    return LF_OK;
}

lf_status lf_base_rows_take(lf_base_rows *r, lf_model *m, lf_graph *g, lf_examples *e, lf_err *err) {
    *r = (lf_base_rows){0};
    lf_status rc = e->begin(e->data, (lf_portion){0}, err);
    if (rc) return rc;
    for (const lf_example_batch *b; !rc && !(r->logits && is_full(r)) && !(rc = e->next(e->data, &b, err)) && b;)
        if (b->targets) rc = take_batch(r, m, g, b, err);
    e->end(e->data);
    return rc;
}

double lf_base_rows_kl(const lf_base_rows *from, const lf_base_rows *to) {
    double sum = 0;
    if (!from->n || from->n != to->n || from->V != to->V) return NAN;
    for (int64_t i = 0; i < from->n; i++) {
        double ce, kl;
        lf_divergence(from->logits + i * from->V, to->logits + i * to->V, from->V, &ce, &kl);
        sum += kl;
    }
    return sum / (double)from->n;
}
