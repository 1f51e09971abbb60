#include "eval/score.h"

#include "base/log.h"

static void add(lf_score_sum *sum, const lf_label_score *scores, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (!scores[i].target) continue;
        sum->nll += scores[i].nll;
        sum->ce += scores[i].ce;
        sum->kl += scores[i].kl;
        sum->correct += scores[i].correct;
        sum->targets++;
    }
}

static lf_status score_batch(lf_score_sum *sum, const lf_example_batch *b, const lf_scorer *scorer, lf_err *err) {
    const lf_label_score *scores;
    int64_t n;
    const lf_status rc = scorer->score(scorer->context, b, &scores, &n, err);
    if (rc) return rc;
    add(sum, scores, n);
    sum->rows += b->in.B;
    sum->examples += b->examples;
    sum->items += b->items;
    return LF_OK;
}

static lf_status each_batch(lf_score_sum *sum, lf_examples *e, const lf_scorer *scorer, const lf_eval_opts *opts,
                            lf_progress *bar, lf_err *err) {
    for (;;) {
        const lf_example_batch *b;
        lf_status rc = e->next(e->data, &b, err);
        if (rc || !b) return rc;
        if (opts->interruptible && lf_interrupted())
            return lf_fail(err, LF_EINTERRUPTED, "interrupted after %lld of %lld %s", (long long)sum->rows,
                           (long long)e->count, e->unit);
        if ((rc = score_batch(sum, b, scorer, err))) return rc;
        char text[64] = "";
        if (sum->targets) scorer->say(sum, text, sizeof text);
        if (bar) lf_progress_update(bar, sum->rows + e->skipped(e->data), text);
    }
}

lf_status lf_score_examples(lf_score_sum *out, lf_examples *e, const lf_scorer *scorer, const lf_eval_opts *opts,
                            lf_err *err) {
    lf_progress bar;
    const bool shown = opts->what && opts->what[0];
    *out = (lf_score_sum){0};
    lf_status rc = e->begin(e->data, err);
    if (rc) return rc;
    if (shown) lf_progress_begin(&bar, opts->what, e->count);
    rc = each_batch(out, e, scorer, opts, shown ? &bar : NULL, err);
    if (shown) lf_progress_end(&bar, "");
    out->skipped = e->skipped(e->data);
    e->end(e->data);
    return rc;
}
