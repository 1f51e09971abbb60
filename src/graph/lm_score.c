#include "graph/lm_score.h"

#include <string.h>

#include "graph/lm_blocks.h"

/* The next block's logits into b->logits; false: there is no block left, or the graph has failed. */
static bool next_logits(lf_graph *g, lf_lm_blocks *b, const int32_t *labels, const void *hidden) {
    if (!lf_lm_blocks_next(b, labels)) return false;
    lf_lm_blocks_gather(b, hidden);
    return lf_lm_blocks_logits(g, b, b->logits);
}

/* base: the same block's, or NULL; ce, kl: NULL without one. */
static void score_block(const lf_lm_blocks *b, const lf_lm_blocks *base, void *lse, double *ce, double *kl,
                        lf_label_score *out) {
    b->k->lm_cross_entropy(lse, b->nll, NULL, b->correct, b->logits, b->label, b->n, b->V);
    if (base) b->k->lm_compare(ce, kl, b->logits, base->logits, NULL, b->n, b->V);
    if (base) b->k->lm_cross_entropy(lse, base->nll, NULL, base->correct, base->logits, b->label, b->n, b->V);
    for (int64_t i = 0; i < b->n; i++)
        out[b->row[i]] = (lf_label_score){.target = true,
                                          .correct = b->correct[i],
                                          .compared = base,
                                          .base_correct = base && base->correct[i],
                                          .nll = b->nll[i],
                                          .ce = base ? ce[i] : 0,
                                          .kl = base ? kl[i] : 0};
}

static void check_labels(lf_graph *g, const int32_t *labels, int64_t rows, int64_t V) {
    for (int64_t i = 0; i < rows; i++)
        if (labels[i] >= V)
            lf_graph_fail(g, LF_ESHAPE, "lm_score: label %d of row %lld, but the vocabulary has %lld", labels[i],
                          (long long)i, (long long)V);
}

lf_status lf_lm_score(lf_graph *g, const void *hidden, const lf_lm_head *head, const void *base_hidden,
                      const lf_lm_head *base_head, const int32_t *labels, int64_t rows, lf_label_score *out) {
    const lf_kernels *k = lf_graph_kernels(g);
    const lf_rng_key none = {{0}};
    lf_lm_blocks b, base = {.k = k};
    lf_lm_blocks_begin(g, &b, k, rows, head, false, none);
    if (base_hidden) lf_lm_blocks_begin_wide(g, &base, k, rows, base_head, b.V);
    check_labels(g, labels, rows, b.V);
    void *lse = lf_graph_take(g, k->dtype, b.size);
    double *compared = lf_graph_take(g, LF_F64, 2 * b.size); /* ce, kl */
    bool ok = !lf_graph_status(g, NULL);
    for (int64_t i = 0; ok && i < rows; i++) out[i] = (lf_label_score){0};
    while (ok && next_logits(g, &b, labels, hidden) && (!base_hidden || next_logits(g, &base, labels, base_hidden)))
        score_block(&b, base_hidden ? &base : NULL, lse, compared, compared + b.size, out);
    lf_graph_give(g, compared);
    lf_graph_give(g, lse);
    if (base_hidden) lf_lm_blocks_end(g, &base);
    lf_lm_blocks_end(g, &b);
    return lf_graph_status(g, NULL);
}

void *lf_lm_logits(lf_graph *g, const void *hidden, int64_t rows, const lf_lm_head *head) {
    const lf_kernels *k = lf_graph_kernels(g);
    lf_lm_blocks b;
    lf_lm_blocks_begin(g, &b, k, rows, head, false, (lf_rng_key){{0}});
    void *logits = lf_graph_take(g, k->dtype, rows * b.V);
    int32_t *any = lf_graph_take_bytes(g, rows * (int64_t)sizeof *any);
    bool ok = !lf_graph_status(g, NULL);
    if (ok) memset(any, 0, (size_t)rows * sizeof *any);
    while (ok && lf_lm_blocks_next(&b, any)) {
        lf_lm_blocks_gather(&b, hidden);
        ok = lf_lm_blocks_logits(g, &b, (char *)logits + (size_t)(b.before * b.V) * lf_dtype_size(k->dtype));
    }
    lf_graph_give(g, any);
    lf_lm_blocks_end(g, &b);
    if (!ok) lf_graph_give(g, logits);
    return ok ? logits : NULL;
}
