/* What a language model makes of texts that a program has. */
#include <math.h>

#include "eval/answers.h"
#include "library/records.h"
#include "library/session.h"

static lf_status take(void *scores, const lf_one_answer *a, lf_err *err) {
    (void)err;
    ((lf_text_score *)scores)[a->index] =
        (lf_text_score){.tokens = a->targets, .right = a->right, .loss = a->targets ? a->loss : (double)NAN};
    return LF_OK;
}

/* The pass that `eval` makes over such records. */
static lf_status score(lf_session *s, lf_text_score *scores, lf_text_score *all, lf_err *err) {
    lf_task *t = s->task;
    lf_answers answers = {.how = LF_ANSWERS_AGAINST_KEPT, .visit = take, .context = scores};
    lf_examples *e;
    lf_score_sum sum;
    t->answers = scores ? &answers : NULL;
    t->interruptible = true;
    const lf_eval_opts o = lf_task_judge_opts(t, LF_DATA_EVAL, "");
    t->answers = NULL;
    lf_status rc = t->source->examples(t, LF_DATA_EVAL, &e, err);
    if (!rc) rc = lf_score_tokens(&sum, t->model, t->g, e, LF_SCORE_MODEL, &o, NULL, err);
    if (!rc && all)
        *all = (lf_text_score){.tokens = sum.targets, .right = sum.correct, .loss = sum.nll / (double)sum.targets};
    lf_answers_free(&answers);
    return rc;
}

static lf_status score_records(lf_session *s, const lf_text *texts, int64_t n, lf_text_score *scores,
                               lf_text_score *all, lf_err *err) {
    static const lf_record_names names = {.alone = "text", .first = "prompt", .second = "completion"};
    cJSON *records;
    lf_status rc;
    if (!(rc = lf_records_of(&records, texts, n, &names, err)) &&
        !(rc = lf_language_give(s->task, LF_DATA_EVAL, records, err)))
        rc = score(s, scores, all, err);
    (void)lf_language_give(s->task, LF_DATA_EVAL, NULL, NULL);
    cJSON_Delete(records);
    return rc;
}

lf_status lf_session_score(lf_session *s, const lf_text *texts, int64_t n, lf_text_score *scores, lf_text_score *all,
                           lf_err *err) {
    const lf_model *m = s->opened.model;
    const lf_text_score nothing = {.loss = NAN};
    if (!lf_session_writes(s))
        return lf_fail(err, LF_EUNSUPPORTED, "%s: a model of type '%s' gives no probability to texts", m->config_path,
                       m->family->model_type);
    for (int64_t i = 0; i < n && scores; i++) scores[i] = nothing;
    if (all) *all = nothing;
    if (n <= 0) return LF_OK;
    lf_status rc = lf_session_begin(s, err);
    if (rc) return rc;
    return lf_call_end(score_records(s, texts, n, scores, all, err));
}
