#include <math.h>

#include "base/log.h"
#include "train/run.h"

lf_status lf_run_leave_quantised(lf_run *run, lf_kept_base *kept, lf_err *err) {
    const lf_status rc = run->has_base ? lf_task_keep_base(kept, run->task, err) : LF_OK;
    lf_nn_release_quantised(&run->model->nn);
    return rc;
}

/* Of a model with a head of classes the first evaluation was of a head that nobody had trained: it stays. So does that
 * of a model with new tokens, which the base cannot read. */
static lf_status measure_eval(lf_run *run, lf_model *m, lf_err *err) {
    lf_accuracy a;
    if (!run->has_eval || run->task->type->output == LF_CLASSES || lf_model_has_grown(m)) return LF_OK;
    run->task->untouched = true;
    const lf_status rc = run->task->type->evaluate(run->task, &a, m, LF_DATA_EVAL, NULL, err);
    run->task->untouched = false;
    if (rc) return rc;
    run->progress.eval_accuracy_before = a.accuracy;
    run->progress.eval_loss_before = a.loss;
    return LF_OK;
}

static lf_status measure_base(lf_run *run, const lf_kept_base *kept, lf_err *err) {
    const lf_base_score quantised = run->before[LF_DATA_BASE];
    double kl;
    lf_status rc = lf_run_measure_base(run, err);
    if (!rc) rc = lf_task_kept_kl(&kl, kept, run->task, err);
    if (!rc) lf_results_put_quantised(&run->results, &quantised, kl);
    return rc;
}

lf_status lf_run_measure_untouched(lf_run *run, const lf_kept_base *kept, lf_model *m, lf_err *err) {
    lf_model *trained_on = run->task->model;
    const lf_classifier own_head = m->base_head;
    lf_info("trained on a base in %s; the final figures are of the untouched base in %s",
            lf_cfg_str(run->cfg, LF_frozen_precision), run->k->precision);
    /* One of class_embeddings is in no file: that in memory is frozen, not quantised, and the same. */
    if (trained_on->base_head.comparing) m->base_head = trained_on->base_head;
    run->task->model = m;
    lf_status rc = run->has_base ? measure_base(run, kept, err) : LF_OK;
    run->task->model = trained_on;
    m->base_head = own_head;
    return rc ? rc : measure_eval(run, m, err);
}
