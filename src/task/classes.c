#include "task/classes.h"

#include <math.h>

#include "eval/eval_internal.h"
#include "task/source.h"

bool lf_classes_head_stays(const lf_task *t) { return t->keeps_head || lf_cfg_bool(t->cfg, LF_reuse_head); }

static lf_status take(const lf_classifier *head, const char *const **names, int64_t *n) {
    *names = head->labels;
    *n = head->n_labels;
    return LF_OK;
}

/* Training data name their classes themselves, unless the head stays; so do data of the base's, where it has no head of
 * its own. What is judged goes by the labels of the training data; where nothing is trained, by those of the head that
 * is judged. */
lf_status lf_classes_labels(const lf_task *t, lf_data_role role, lf_key_id key, const char *const **names, int64_t *n,
                            lf_err *err) {
    const lf_model *m = t->model;
    const lf_classifier *head;
    (void)key;
    *names = NULL;
    if (role == LF_DATA_TRAIN) return lf_classes_head_stays(t) ? take(&m->head, names, n) : LF_OK;
    if (role == LF_DATA_BASE) return m->base_head.module ? take(&m->base_head, names, n) : LF_OK;
    *names = t->source->classes(t, n);
    if (*names) return LF_OK;
    const lf_status rc = lf_head_in_use(&head, m, t->cfg, "key 'data'", err);
    return rc ? rc : take(head, names, n);
}

lf_status lf_classes_evaluate(lf_task *t, lf_accuracy *out, lf_model *m, lf_data_role role, const char *save,
                              lf_err *err) {
    const lf_eval_opts o = lf_task_judge_opts(t, "evaluate");
    const lf_classifier *head;
    lf_examples *e;
    lf_status rc;
    if ((rc = lf_head_in_use(&head, m, t->cfg, "key 'data'", err)) || (rc = t->source->examples(t, role, &e, err)))
        return rc;
    rc = save ? lf_evaluate_saving(out, m, t->g, head->module, e, &o, save, err)
              : lf_evaluate(out, m, t->g, head->module, e, &o, NULL, NULL, err);
    if (!rc) out->targets = out->count;
    return rc;
}

void lf_classes_compare(lf_results *r) {
    r->base_before = r->before.accuracy;
    r->base_after = r->after.accuracy;
    r->forgetting = r->base_before > 0 ? r->base_before - r->base_after : NAN; /* nothing known, nothing forgotten */
    r->retention = r->base_before > 0 ? r->base_after / r->base_before : NAN;
}
