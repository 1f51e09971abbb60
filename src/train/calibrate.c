/* The passes of the base for starts that look at data (adapter/calibrate.h): which examples, and through what. */
#include "adapter/calibrate.h"

#include <math.h>

#include "base/log.h"
#include "train/run.h"

static const lf_init *start_of(const lf_config *cfg) {
    const char *name;
    return lf_init_of(lf_cfg_json(cfg, LF_init_lora_weights), &name);
}

static bool is_asked(const lf_run *run, const lf_init *init) {
    return run->method == LF_METHOD_LORA && !run->from && init && lf_init_reads_data(init);
}

bool lf_run_calibrates(const lf_run *run) { return is_asked(run, start_of(run->cfg)); }

/* ---- whose data ---- */

lf_status lf_run_open_calibration(lf_run *run, lf_err *err) {
    const lf_init *init = start_of(run->cfg);
    const lf_data_from from = {.key = LF_calibration_data, .split = "train"};
    if (!is_asked(run, init) || init->reads == LF_READS_GRADIENT) return LF_OK;
    if (lf_cfg_json(run->cfg, from.key))
        return run->task->source->open_data(run->task, LF_DATA_CALIBRATION, &from, err);
    if (init->reads == LF_READS_TARGET) return LF_OK;
    if (!lf_cfg_json(run->cfg, LF_forgetting_data))
        return lf_cfg_fail(run->cfg, LF_calibration_data, err,
                           "init_lora_weights %s looks at examples of what is to be kept: set it, or forgetting_data",
                           init->name);
    if (run->task->source->has_data(run->task, LF_DATA_BASE_EVAL)) return LF_OK; /* which is not reported */
    lf_warn(
        "init_lora_weights %s: what is to be kept is read off forgetting_data, on which forgetting is measured too; "
        "other examples of it as calibration_data make that figure an honest one",
        init->name);
    return LF_OK;
}

/* Where a start reads both, calibration_data are what is to be kept. */
static lf_data_role role_of(const lf_run *run, lf_init_reads what) {
    const lf_source_type *source = run->task->source;
    const bool both = start_of(run->cfg)->reads == LF_READS_BOTH;
    if (source->has_data(run->task, LF_DATA_CALIBRATION) && (what == LF_READS_KEPT || !both))
        return LF_DATA_CALIBRATION;
    if (what != LF_READS_KEPT) return LF_DATA_TRAIN;
    return source->has_data(run->task, LF_DATA_BASE_EVAL) ? LF_DATA_BASE_EVAL : LF_DATA_BASE;
}

/* ---- passes ---- */

static lf_status see_inputs(lf_run *run, lf_init_reads what, lf_err *err) {
    const lf_look_opts o = {.examples = lf_cfg_i64(run->cfg, LF_calibration_samples),
                            .drawn = true,
                            .seed = (uint64_t)lf_cfg_i64(run->cfg, LF_data_seed)};
    return run->task->source->look(run->task, run->model, role_of(run, what), &o, err);
}

static lf_status pass_back(lf_run *run, const lf_example_batch *b, lf_err *err) {
    lf_loss_counts counts = {0};
    float value;
    lf_graph_begin(run->g, false, true, 0);
    lf_tensor *loss = run->task->type->loss(run->task, b, &counts);
    const lf_status rc = lf_graph_status(run->g, err);
    if (rc) return rc;
    run->k->to_f32(&value, loss->data, 1);
    if (!isfinite(value)) {
        const lf_status bad =
            lf_fail(err, LF_EDIVERGED,
                    "the loss of a training batch is %g before any weight was changed; are the weights "
                    "of the model small enough for its precision?",
                    (double)value);
        return lf_model_blame(run->model, bad, err);
    }
    return lf_graph_backward(run->g, loss, 1, err);
}

/* Over the first examples of training. What it leaves in the gradients of trained tensors the first step clears. */
static lf_status see_gradients(lf_run *run, lf_err *err) {
    const lf_source_type *source = run->task->source;
    lf_status rc = source->start(run->task, LF_DATA_TRAIN, 0, 0, (lf_portion){0}, err);
    for (int64_t left = lf_cfg_i64(run->cfg, LF_calibration_samples); !rc && left > 0;) {
        const lf_example_batch *b;
        if ((rc = source->next(run->task, LF_DATA_TRAIN, &b, err)) || b->epoch > 0) break;
        rc = lf_interrupted() ? lf_fail(err, LF_EINTERRUPTED, "interrupted while the start was calibrated")
                              : pass_back(run, b, err);
        left -= b->in.B;
    }
    return rc;
}

lf_status lf_run_calibrate(void *context, lf_init_reads what, lf_err *err) {
    return what == LF_READS_GRADIENT ? see_gradients(context, err) : see_inputs(context, what, err);
}
