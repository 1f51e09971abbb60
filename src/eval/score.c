#include "eval/score.h"

#include "base/log.h"
#include "base/world.h"
#include "eval/shared_score.h"

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

static lf_status take(lf_scoring *s, const lf_example_batch *b, lf_err *err) {
    const lf_label_score *scores;
    lf_score_sum *sum = s->sum;
    int64_t n;
    const lf_status rc = s->scorer->score(s->scorer->context, b, &scores, &n, err);
    if (rc) return rc == LF_EDIVERGED || rc == LF_EDATA ? lf_world_all_know(rc) : rc; /* of numbers that all have */
    add(sum, scores, n);
    sum->rows += b->in.B;
    sum->examples += b->examples;
    sum->items += b->items;
    char text[64] = "";
    if (sum->targets) s->scorer->say(sum, text, sizeof text);
    if (s->bar) lf_progress_update(s->bar, sum->rows + sum->skipped, text);
    return LF_OK;
}

static lf_status each_batch(lf_scoring *s, lf_err *err) {
    const lf_scorer *scorer = s->scorer;
    for (;;) {
        const lf_example_batch *b;
        lf_said pieces[LF_SAID];
        int n;
        lf_status rc = s->e->next(s->e->data, &b, err);
        s->sum->skipped = s->e->skipped(s->e->data);
        if (rc || !b) return rc;
        if (s->interruptible && lf_interrupted()) return lf_score_interrupted(s, err);
        if ((rc = scorer->room(scorer->context, b, pieces, &n, err)) || (rc = scorer->run(scorer->context, b, err)) ||
            (rc = take(s, b, err)))
            return rc;
    }
}

lf_status lf_score_examples(lf_score_sum *out, lf_examples *e, const lf_scorer *scorer, const lf_eval_opts *opts,
                            lf_err *err) {
    lf_progress bar;
    const bool shown = opts->what && opts->what[0], shared = lf_world_size() > 1;
    *out = (lf_score_sum){0};
    lf_status rc = e->begin(e->data, lf_score_portion(), err);
    if (rc) return rc;
    if (shown) lf_progress_begin(&bar, opts->what, e->count);
    lf_scoring s = {out, e, scorer, shown ? &bar : NULL, opts->interruptible};
    rc = shared ? lf_score_shared(&s, take, err) : each_batch(&s, err);
    if (shown) lf_progress_end(&bar, "");
    e->end(e->data);
    return rc;
}
