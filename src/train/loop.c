/* The training loop. A step is `accumulation` micro-batches whose losses are summed; the sum is divided by the number of
 * targets of the whole window when the optimiser uses it, so accumulation equals the big batch, the last window included. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "train/run.h"

typedef struct loop {
    lf_run *run;
    lf_loader *loader;
    const lf_batch *early;  /* served already, but of a later window; else NULL */
    double grad_norm, started, seconds_before, eval_seconds;
    int64_t images, skipped_before;
} loop;

static int64_t count_correct(const float *logits, const lf_batch *b, int64_t V) {
    int64_t correct = 0;
    for (int64_t i = 0; i < b->B; i++) {
        int64_t best = 0;
        for (int64_t v = 1; v < V; v++)
            if (logits[i * V + v] > logits[i * V + best]) best = v;
        correct += best == b->labels[i];
    }
    return correct;
}

static lf_status diverged(const lf_run *run, const char *tensor, double value, lf_err *err) {
    if (run->at.step == 0)
        return lf_fail(err, LF_EDIVERGED, "step 1: %s is %g before any weight was changed; are the weights of the model finite, and small enough for fp32?",
                       tensor, value);
    return lf_fail(err, LF_EDIVERGED, "step %lld: %s is %g; try a lower learning_rate (now %g), warmup_steps, or a smaller max_grad_norm",
                   (long long)run->at.step + 1, tensor, value, run->optimizer.learning_rate * lf_schedule_factor(&run->schedule, run->at.step));
}

/* Names the first trained tensor with a value (or gradient) that is not finite. */
static lf_status name_the_culprit(const lf_run *run, double value, lf_err *err) {
    char name[400];
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < run->n_trainables; i++) {
            const lf_tensor *t = run->trainables[i].tensor;
            const double s = run->k->sum_squares(pass ? t->grad : t->data, t->numel);
            if (isfinite(s)) continue;
            snprintf(name, sizeof name, "%s'%s'", pass ? "the gradient of " : "", run->trainables[i].name);
            return diverged(run, name, s, err);
        }
    return diverged(run, "the loss", value, err);
}

static lf_status micro_batch(loop *l, const lf_batch *b, int64_t micro, lf_window *w, lf_err *err) {
    lf_run *run = l->run;
    lf_graph *g = run->g;
    const lf_model_input in = {.B = b->B, .pixels = b->pixels};
    lf_graph_begin(g, true, true, (uint64_t)(run->at.step * run->accumulation + micro));
    lf_tensor *features = lf_model_features(run->model, g, &in);
    lf_tensor *logits = lf_model_logits(run->model, g, run->model->head, features);
    lf_done(g, features);
    lf_tensor *loss = lf_cross_entropy(g, logits, b->labels, 1, lf_cfg_f64(run->cfg, "label_smoothing_factor"));
    lf_status rc = lf_graph_status(g, err);
    if (rc) return rc;
    float value;
    run->k->to_f32(&value, loss->data, 1);
    if (!isfinite(value)) return name_the_culprit(run, (double)value, err);
    w->loss += (double)value;
    w->targets += b->B;
    w->correct += count_correct(logits->data, b, run->model->num_labels);
    return lf_graph_backward(g, loss, 1, err);
}

static lf_status optimiser_step(loop *l, const lf_window *w, lf_err *err) {
    lf_run *run = l->run;
    const double mean = 1 / (double)w->targets, max_norm = lf_cfg_f64(run->cfg, "max_grad_norm");
    l->grad_norm = lf_optimizer_gradient_norm(&run->optimizer, mean);
    if (!isfinite(l->grad_norm)) return name_the_culprit(run, l->grad_norm, err);
    const double clip = max_norm > 0 && l->grad_norm > max_norm ? max_norm / (l->grad_norm + 1e-6) : 1; /* as torch */
    lf_optimizer_step(&run->optimizer, lf_schedule_factor(&run->schedule, run->at.step), mean * clip);
    return LF_OK;
}

/* The micro-batches of the step's window, which never crosses the end of an epoch. The step alone says which batches they
 * are: one of bad pictures only is not served, and must not shift those that follow. */
static lf_status run_window(loop *l, lf_window *w, lf_err *err) {
    lf_run *run = l->run;
    const int64_t epoch = run->at.step / run->steps_per_epoch, first = run->at.step % run->steps_per_epoch * run->accumulation;
    int64_t last = lf_loader_batches_per_epoch(l->loader) - 1;
    if (last > first + run->accumulation - 1) last = first + run->accumulation - 1;
    for (int64_t number = first; number <= last; number++) {
        lf_status rc;
        if (!l->early && (rc = lf_loader_next(l->loader, &l->early, err))) return rc;
        const lf_batch *b = l->early;
        if (b->epoch != epoch || b->number > last) return LF_OK;
        number = b->number;
        l->early = NULL;
        if ((rc = micro_batch(l, b, number - first, w, err))) return rc;
    }
    return LF_OK;
}

/* One step of the optimiser, or none after a window of bad pictures only: there is nothing to learn. */
static lf_status train_step(loop *l, lf_err *err) {
    lf_run *run = l->run;
    lf_window w = {0}, *sum = &run->at.since_log;
    lf_optimizer_clear_gradients(&run->optimizer);
    lf_status rc = run_window(l, &w, err);
    if (rc) return rc;
    sum->loss += w.loss;
    sum->targets += w.targets;
    sum->correct += w.correct;
    l->images += w.targets;
    if (w.targets) rc = optimiser_step(l, &w, err);
    if (!rc) run->at.step++;
    return rc;
}

/* ---- what happens beside the steps ---- */

static double seconds(const loop *l) { return l->seconds_before + lf_now() - l->started; }

static lf_status log_step(loop *l, lf_err *err) {
    lf_run *run = l->run;
    const lf_window *w = &run->at.since_log;
    cJSON *row = cJSON_CreateObject();
    cJSON_AddNumberToObject(row, "step", (double)run->at.step);
    cJSON_AddNumberToObject(row, "epoch", (double)run->at.step / (double)run->steps_per_epoch);
    cJSON_AddNumberToObject(row, "loss", w->loss / (double)w->targets);
    cJSON_AddNumberToObject(row, "train_accuracy", (double)w->correct / (double)w->targets);
    cJSON_AddNumberToObject(row, "learning_rate", run->optimizer.learning_rate * lf_schedule_factor(&run->schedule, run->at.step - 1));
    cJSON_AddNumberToObject(row, "grad_norm", l->grad_norm);
    run->at.since_log = (lf_window){0};
    return lf_metrics_write(&run->metrics, row, err);
}

static bool is_better(const lf_run *run, double metric) {
    const bool loss = strcmp(lf_cfg_str(run->cfg, "metric_for_best_model"), "loss") == 0;
    const bool greater = lf_cfg_is_given(run->cfg, "greater_is_better") ? lf_cfg_bool(run->cfg, "greater_is_better") : !loss;
    return isnan(run->at.best_metric) || (greater ? metric > run->at.best_metric : metric < run->at.best_metric);
}

static void note_best(lf_run *run, const lf_accuracy *a) {
    const double metric = strcmp(lf_cfg_str(run->cfg, "metric_for_best_model"), "loss") == 0 ? a->loss : a->accuracy;
    if (is_better(run, metric)) {
        run->at.best_metric = metric;
        run->at.best_step = run->at.step;
        run->at.evals_without_gain = 0;
    } else
        run->at.evals_without_gain++;
}

static lf_status evaluate(loop *l, lf_err *err) {
    lf_run *run = l->run;
    const double began = lf_now();
    cJSON *row = cJSON_CreateObject();
    cJSON_AddNumberToObject(row, "step", (double)run->at.step);
    cJSON_AddNumberToObject(row, "epoch", (double)run->at.step / (double)run->steps_per_epoch);
    lf_accuracy a = {.accuracy = NAN};
    lf_base_score base = {.accuracy = NAN};
    lf_status rc = LF_OK;
    lf_err cause = {0};
    if (run->eval && !(rc = lf_evaluate(&a, run->model, run->g, run->model->head, run->eval, &run->eval_opts, NULL, NULL, &cause))) {
        cJSON_AddNumberToObject(row, "eval_accuracy", a.accuracy);
        cJSON_AddNumberToObject(row, "eval_loss", a.loss);
        if (run->at.step == 0) run->at.eval_accuracy_before = a.accuracy;
        else note_best(run, &a);
    }
    if (run->forgetting && !rc && !(rc = lf_forgetting_measure(&base, run->forgetting, run->model, run->g, &run->eval_opts, &cause))) {
        cJSON_AddNumberToObject(row, "base_accuracy", base.accuracy);
        cJSON_AddNumberToObject(row, "base_loss", base.loss);
        cJSON_AddNumberToObject(row, "base_ce", base.ce);
        cJSON_AddNumberToObject(row, "base_kl", base.kl);
        if (isfinite(base.knn)) cJSON_AddNumberToObject(row, "base_knn", base.knn);
    }
    if (rc) {
        cJSON_Delete(row);
        return lf_fail(err, rc, "step %lld: %s", (long long)run->at.step, cause.message);
    }
    char text[160] = "";
    if (run->eval) snprintf(text, sizeof text, "accuracy %.4f  loss %.4f  ", a.accuracy, a.loss);
    if (run->forgetting) snprintf(text + strlen(text), sizeof text - strlen(text), "base task %.4f  KL %.5f", base.accuracy, base.kl);
    if (text[0]) lf_info("step %lld: %s", (long long)run->at.step, text);
    l->eval_seconds += lf_now() - began;
    return lf_metrics_write(&run->metrics, row, err);
}

static bool is_due(const lf_run *run, const char *strategy_key, int64_t every) {
    const char *strategy = lf_cfg_str(run->cfg, strategy_key);
    if (strcmp(strategy, "steps") == 0) return run->at.step % every == 0;
    return strcmp(strategy, "epoch") == 0 && run->at.step % run->steps_per_epoch == 0;
}

static int64_t eval_every(const lf_run *run) {
    return lf_cfg_is_set(run->cfg, "eval_steps") ? lf_cfg_i64(run->cfg, "eval_steps") : lf_cfg_i64(run->cfg, "logging_steps");
}

static lf_status save(loop *l, lf_err *err) {
    l->run->at.train_seconds = seconds(l);
    l->run->at.skipped_images = l->skipped_before + lf_loader_skipped(l->loader);
    return lf_checkpoint_save(l->run, err);
}

/* A run that was stopped early stays so when it is resumed. */
static bool out_of_patience(const lf_run *run) {
    const int64_t patience = lf_cfg_i64(run->cfg, "early_stopping_patience");
    return patience > 0 && run->at.evals_without_gain >= patience;
}

/* The best step needs a checkpoint of its own where the run is to end with it. */
static bool save_is_due(const lf_run *run, bool stop) {
    const bool keeps = strcmp(lf_cfg_str(run->cfg, "save_strategy"), "no") != 0;
    return (stop && keeps) || is_due(run, "save_strategy", lf_cfg_i64(run->cfg, "save_steps")) ||
           (lf_cfg_bool(run->cfg, "load_best_model_at_end") && run->at.best_step == run->at.step);
}

static lf_status after_step(loop *l, bool *stop, lf_err *err) {
    lf_run *run = l->run;
    const bool last = run->at.step == run->total_steps;
    const int64_t step = run->at.step;
    lf_status rc = LF_OK;
    if (run->at.since_log.targets && (step % lf_cfg_i64(run->cfg, "logging_steps") == 0 || last || (step == 1 && lf_cfg_bool(run->cfg, "logging_first_step"))))
        rc = log_step(l, err);
    if (!rc && (is_due(run, "eval_strategy", eval_every(run)) || last) && (run->eval || run->forgetting)) rc = evaluate(l, err);
    *stop = last || out_of_patience(run);
    if (!rc && *stop && !last)
        lf_info("step %lld: stopped early, %lld evaluations without a better metric", (long long)step, (long long)run->at.evals_without_gain);
    const bool interrupted = lf_interrupted() && !*stop;
    if (!rc && (interrupted || save_is_due(run, *stop))) rc = save(l, err);
    if (!rc && interrupted)
        rc = lf_fail(err, LF_EINTERRUPTED, "interrupted after step %lld; %s/checkpoint-%lld is written, go on with --resume_from_checkpoint true",
                     (long long)step, run->dir, (long long)step);
    return rc;
}

static lf_status open_loader(loop *l, lf_err *err) {
    lf_run *run = l->run;
    lf_augmentation augmentation;
    if (!lf_augmentation_parse(lf_cfg_str(run->cfg, "augmentation"), &augmentation))
        return lf_cfg_fail(run->cfg, "augmentation", err, "there is no such augmentation");
    const lf_loader_opts o = {.batch_size = run->batch_size, .workers = run->eval_opts.workers, .shuffle = true,
                              .seed = (uint64_t)lf_cfg_i64(run->cfg, "seed"), .augmentation = augmentation, .processor = &run->processor,
                              .skip_bad_images = run->eval_opts.skip_bad_images, .first_epoch = run->at.step / run->steps_per_epoch,
                              .first_batch = run->at.step % run->steps_per_epoch * run->accumulation, .epochs = INT64_MAX};
    return lf_loader_new(&l->loader, run->train, &o, err);
}

lf_status lf_run_loop(lf_run *run, lf_err *err) {
    loop l = {.run = run, .started = lf_now(), .seconds_before = run->at.train_seconds, .skipped_before = run->at.skipped_images};
    lf_status rc = open_loader(&l, err);
    if (!rc && run->at.step == 0 && (run->eval || run->forgetting)) rc = evaluate(&l, err);
    lf_progress bar;
    lf_progress_begin(&bar, "train", run->total_steps);
    bar.first = run->at.step;
    bool stop = run->at.step >= run->total_steps || out_of_patience(run);
    while (!rc && !stop) {
        if ((rc = train_step(&l, err))) break;
        char detail[128];
        const double busy = lf_now() - l.started - l.eval_seconds;
        const lf_window *sum = &run->at.since_log;
        snprintf(detail, sizeof detail, "epoch %.2f  loss %.4f  acc %.3f  %.1f images/s", (double)run->at.step / (double)run->steps_per_epoch,
                 sum->targets ? sum->loss / (double)sum->targets : 0, sum->targets ? (double)sum->correct / (double)sum->targets : 0,
                 (double)l.images / busy);
        lf_progress_update(&bar, run->at.step, detail);
        rc = after_step(&l, &stop, err);
    }
    const double busy = lf_now() - l.started - l.eval_seconds;
    char summary[128] = "";
    if (!rc) snprintf(summary, sizeof summary, "%lld steps, %.1f s, %.1f images/s", (long long)run->at.step, busy, (double)l.images / busy);
    lf_progress_end(&bar, summary);
    if (l.loader) run->at.skipped_images = l.skipped_before + lf_loader_skipped(l.loader);
    if (run->at.skipped_images) lf_warn("%lld pictures could not be read and were left out", (long long)run->at.skipped_images);
    run->at.train_seconds = seconds(&l);
    run->results.items_per_second = l.images ? (double)l.images / busy : NAN;
    lf_loader_free(l.loader);
    return rc;
}
