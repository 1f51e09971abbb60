#include "graph/lm_score.h"

#include "graph/lm_blocks.h"

/* Of one block, by way of b: the base's hidden numbers take x over once the model's have served. ce, kl: NULL without a
 * base. */
static bool score_block(lf_graph *g, const lf_lm_blocks *b, const void *hidden, const void *base_hidden, void *lse,
                        void *base_logits, double *ce, double *kl, lf_label_score *out) {
    lf_lm_blocks_gather(b, hidden);
    if (!lf_lm_blocks_logits(g, b, b->logits)) return false;
    b->k->lm_cross_entropy(lse, b->nll, NULL, b->correct, b->logits, b->label, b->n, b->V);
    if (base_hidden) {
        lf_lm_blocks_gather(b, base_hidden);
        if (!lf_lm_blocks_logits(g, b, base_logits)) return false;
        b->k->lm_compare(ce, kl, b->logits, base_logits, b->n, b->V);
    }
    for (int64_t i = 0; i < b->n; i++)
        out[b->row[i]] = (lf_label_score){.target = true,
                                          .correct = b->correct[i],
                                          .nll = b->nll[i],
                                          .ce = base_hidden ? ce[i] : 0,
                                          .kl = base_hidden ? kl[i] : 0};
    return true;
}

static void check_labels(lf_graph *g, const int32_t *labels, int64_t rows, int64_t V) {
    for (int64_t i = 0; i < rows; i++)
        if (labels[i] >= V)
            lf_graph_fail(g, LF_ESHAPE, "lm_score: label %d of row %lld, but the vocabulary has %lld", labels[i],
                          (long long)i, (long long)V);
}

lf_status lf_lm_score(lf_graph *g, const void *hidden, const void *base_hidden, const lf_lm_head *head,
                      const int32_t *labels, int64_t rows, lf_label_score *out) {
    const lf_kernels *k = lf_graph_kernels(g);
    lf_lm_blocks b;
    lf_lm_blocks_begin(g, &b, k, rows, head);
    check_labels(g, labels, rows, b.V);
    void *lse = lf_graph_take(g, k->dtype, b.size),
         *base_logits = base_hidden ? lf_graph_take(g, k->dtype, b.size * b.V) : NULL;
    double *compared = lf_graph_take(g, LF_F64, 2 * b.size); /* ce, kl */
    bool ok = !lf_graph_status(g, NULL);
    for (int64_t i = 0; ok && i < rows; i++) out[i] = (lf_label_score){0};
    while (ok && lf_lm_blocks_next(&b, labels))
        ok = score_block(g, &b, hidden, base_hidden, lse, base_logits, compared, compared + b.size, out);
    lf_graph_give(g, compared);
    lf_graph_give(g, base_logits);
    lf_graph_give(g, lse);
    lf_lm_blocks_end(g, &b);
    return lf_graph_status(g, NULL);
}

void *lf_lm_logits(lf_graph *g, const void *hidden, const lf_lm_head *head) {
    static const int32_t any = 0;
    const lf_kernels *k = lf_graph_kernels(g);
    lf_lm_blocks b;
    lf_lm_blocks_begin(g, &b, k, 1, head);
    void *logits = lf_graph_take(g, k->dtype, b.V);
    bool ok = !lf_graph_status(g, NULL) && lf_lm_blocks_next(&b, &any);
    if (ok) {
        lf_lm_blocks_gather(&b, hidden);
        ok = lf_lm_blocks_logits(g, &b, logits);
    }
    lf_lm_blocks_end(g, &b);
    if (!ok) lf_graph_give(g, logits);
    return ok ? logits : NULL;
}
