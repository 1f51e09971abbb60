#include "train/estimate.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/number.h"
#include "base/obj.h"
#include "train/remedies.h"

/* As many batches as are enough to know how long they take: the first makes products and touches pages, and does not
 * count where there are others. */
enum { MOST_BATCHES = 8, MOST_SECONDS = 20 };
static const double mb = 1024.0 * 1024.0;

/* The last batch of pictures is smaller, and what it computes takes memory of its own sizes beside the others'. Batches
 * of texts are of many sizes in any case. */
static bool has_rest(const lf_run *run, lf_example_batch *rest, const lf_example_batch *of, int64_t rows) {
    const int64_t n = rows % of->in.B;
    if (run->model->family->input != LF_PIXELS || n == 0 || rows < of->in.B) return false;
    *rest = *of;
    rest->in.B = rest->examples = rest->items = rest->targets = n;
    return true;
}

/* ---- one step ---- */

/* Number `micro` of the run, with the examples of remedies behind it; below 0: without, and nothing is kept of it. */
static lf_status train_batch(lf_run *run, const lf_example_batch *b, int64_t micro, double *seconds, lf_err *err) {
    const double began = lf_now();
    lf_loss_counts counts = {0};
    bool data_failed;
    lf_optimizer_clear_gradients(&run->optimizer);
    lf_graph_begin(run->g, true, true, 0);
    lf_tensor *loss = micro < 0 ? run->task->type->loss(run->task, b, &counts) : lf_run_loss(run, b, &counts);
    lf_status rc = lf_graph_status(run->g, err);
    if (!rc) rc = lf_graph_backward(run->g, loss, 1, err);
    lf_window w = {.targets = counts.targets, .weight = counts.weight};
    if (!rc && micro >= 0) rc = lf_remedies_learn(run, micro, &w, &data_failed, err);
    if (!rc) lf_optimizer_step(&run->optimizer, 0, 1);
    *seconds = lf_now() - began;
    return rc;
}

/* The first batches of an epoch are such as all others, unless texts of like length go together: then batches from all
 * over it are. */
static lf_status stand_at(lf_run *run, int64_t batch, lf_err *err) {
    const bool apart = run->model->family->input == LF_TOKENS && lf_cfg_bool(run->cfg, LF_group_by_length);
    if (batch > 0 && !apart) return LF_OK;
    const int64_t at = run->batches_per_epoch > MOST_BATCHES ? batch * run->batches_per_epoch / MOST_BATCHES : batch;
    return run->task->source->start(run->task, LF_DATA_TRAIN, 0, at % run->batches_per_epoch, (lf_portion){0}, err);
}

/* Mean seconds of a micro-batch, with the optimiser's step, which is little of it; *again: of one whose examples were
 * seen before. */
static lf_status time_training(lf_run *run, double *mean, double *again, lf_err *err) {
    const lf_source_type *source = run->task->source;
    double first = 0, sum = 0, second_time = 0, seconds;
    int n = 0, n_again = 0;
    lf_status rc = LF_OK;
    const int64_t all = run->total_steps * run->accumulation;
    for (int i = 0; !rc && i < MOST_BATCHES && i < all && sum + first < MOST_SECONDS && !lf_interrupted(); i++) {
        const lf_example_batch *b;
        lf_example_batch rest;
        if ((rc = stand_at(run, i, err)) || (rc = source->next(run->task, LF_DATA_TRAIN, &b, err)) || !b ||
            (rc = train_batch(run, b, i, &seconds, err)))
            break;
        if (i > 0) sum += seconds, n++;
        if (run->prefix && i > 0 && !(rc = train_batch(run, b, i, &seconds, err))) second_time += seconds, n_again++;
        if (i > 0) continue;
        first = seconds;
        if (run->total_steps >= run->steps_per_epoch &&
            has_rest(run, &rest, b, source->count(run->task, LF_DATA_TRAIN)))
            rc = train_batch(run, &rest, -1, &seconds, err);
    }
    *mean = n ? sum / n : first;
    *again = n_again ? second_time / n_again : *mean;
    return rc;
}

/* ---- one evaluation ---- */

/* What judging a batch computes: the loss of next tokens, or features, beside which a head is nothing. */
static lf_status judge_batch(lf_run *run, const lf_example_batch *b, lf_err *err) {
    lf_loss_counts counts = {0};
    const lf_pass pass = {.in = b->in};
    lf_graph_begin(run->g, false, false, 0);
    if (run->task->type->output == LF_NEXT_TOKEN)
        (void)run->task->type->loss(run->task, b, &counts);
    else
        (void)lf_model_features(run->model, run->g, &pass);
    return lf_graph_status(run->g, err);
}

/* Seconds of one pass over a role's data, from their first batches. */
static lf_status time_role(lf_run *run, lf_data_role role, double *seconds, lf_err *err) {
    enum { ENOUGH_BATCHES = 3 };
    lf_examples *e;
    int64_t rows = 0, n = 0;
    *seconds = 0;
    if (!run->task->source->has_data(run->task, role)) return LF_OK;
    lf_status rc = run->task->source->examples(run->task, role, &e, err);
    if (rc || (rc = e->begin(e->data, (lf_portion){0}, err))) return rc;
    const double began = lf_now();
    for (const lf_example_batch *b; n < ENOUGH_BATCHES && !lf_interrupted() && !(rc = e->next(e->data, &b, err)) && b;
         n++) {
        lf_example_batch rest;
        if ((rc = judge_batch(run, b, err))) break;
        rows += b->in.B;
        if (n > 0 || !has_rest(run, &rest, b, e->count)) continue;
        if ((rc = judge_batch(run, &rest, err))) break;
        rows += rest.in.B;
    }
    e->end(e->data);
    if (rows) *seconds = (lf_now() - began) / (double)rows * (double)e->count;
    return rc;
}

static lf_status time_judging(lf_run *run, double *seconds, lf_err *err) {
    double role[LF_DATA_ROLES] = {0}, ignored;
    const double began = lf_now();
    lf_status rc = lf_run_measure_update(run, run->model, &ignored, err);
    const double update = lf_now() - began;
    for (int i = 0; i < LF_DATA_ROLES && !rc; i++)
        if ((!lf_data_is_trained_on((lf_data_role)i) && i != LF_DATA_CALIBRATION) ||
            lf_remedies_kept_bytes(run, (lf_data_role)i) > 0)
            rc = time_role(run, (lf_data_role)i, &role[i], err);
    /* Next tokens are compared with the base's each time; of classes its answers are kept. */
    const double passes = run->task->type->output == LF_NEXT_TOKEN && run->method != LF_METHOD_FULL ? 2 : 1,
                 base = role[LF_DATA_BASE] + role[LF_DATA_BASE_EVAL], each = role[LF_DATA_EVAL] + passes * base;
    *seconds = base + each * (double)(lf_run_evaluations(run) + 1) + role[LF_DATA_TEST] + update;
    for (int i = 0; i < LF_DATA_ROLES; i++)
        if (lf_data_is_trained_on((lf_data_role)i)) *seconds += role[i]; /* what is kept of it */
    return rc;
}

/* ---- memory ---- */

/* The end of a run opens what was written on a base of its own: its copies, but not what is mapped, come twice. The
 * base's answers are kept all along. */
static double peak_mb(const lf_run *run) {
    const lf_model *m = run->model;
    double more = run->method == LF_METHOD_FULL ? (double)lf_nn_count(&m->nn, false) * (double)sizeof(float)
                                                : (double)lf_model_bytes_of_closing(m);
    for (int role = 0; role < LF_DATA_ROLES; role++)
        if (lf_data_is_base((lf_data_role)role) && run->task->source->has_data(run->task, (lf_data_role)role) &&
            run->task->type->output == LF_CLASSES)
            more += (double)run->task->source->count(run->task, (lf_data_role)role) * (double)m->base_head.n_labels *
                    (double)sizeof(float);
    for (int role = 0; role < LF_DATA_ROLES; role++) more += lf_remedies_kept_bytes(run, (lf_data_role)role);
    more += lf_prefix_to_come(run->prefix);
    more += (double)lf_tree_bytes(run->accumulation, run->optimizer.numbers); /* there already, but not touched */
    const double now = (double)lf_rss_bytes() + more, peak = (double)lf_peak_rss_bytes();
    return (now > peak ? now : peak) / mb;
}

/* ---- all of it ---- */

lf_status lf_run_estimate(lf_run *run, lf_estimate *out, lf_err *err) {
    double micro = 0, again = 0;
    *out = (lf_estimate){0};
    lf_status rc = time_training(run, &micro, &again, err);
    if (rc || (rc = time_judging(run, &out->judging_seconds, err))) return rc;
    if (lf_interrupted()) return lf_fail(err, LF_EINTERRUPTED, "interrupted before the run's time was known");
    const double epochs = (double)run->total_steps / (double)run->steps_per_epoch;
    const double later = epochs > 1 ? epochs - 1 : 0; /* than the first */
    out->train_seconds = (micro * (epochs - later) + again * later) * (double)run->batches_per_epoch;
    out->step_seconds = out->train_seconds / (double)run->total_steps;
    out->mapped_mb = (double)lf_model_mapped_bytes(run->model) / mb;
    out->peak_mb = peak_mb(run);
    return rc;
}

void lf_estimate_say(const lf_run *run, const lf_estimate *e) {
    char all[32], steps[32], judging[32], shared[80] = "";
    if (e->mapped_mb >= 1)
        snprintf(shared, sizeof shared, " (%.0f MB of it the model's file, which other runs share)", e->mapped_mb);
    lf_info("it will take about %.0f MB at its peak%s and %s: %lld steps %s, evaluations %s", e->peak_mb, shared,
            lf_number_duration(all, sizeof all, e->train_seconds + e->judging_seconds), (long long)run->total_steps,
            lf_number_duration(steps, sizeof steps, e->train_seconds),
            lf_number_duration(judging, sizeof judging, e->judging_seconds));
}

cJSON *lf_estimate_json(const lf_estimate *e) {
    lf_obj o = lf_obj_new();
    lf_obj_number(&o, "peak_mb", e->peak_mb);
    lf_obj_number(&o, "mapped_mb", e->mapped_mb);
    lf_obj_number(&o, "step_seconds", e->step_seconds);
    lf_obj_number(&o, "train_seconds", e->train_seconds);
    lf_obj_number(&o, "judging_seconds", e->judging_seconds);
    return lf_obj_take(&o);
}
