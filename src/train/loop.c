/* The training loop. A step is `accumulation` micro-batches whose losses are summed (tree.h); the sum is divided by the
 * number of targets of the whole window when the optimiser uses it, so accumulation equals the big batch, the last
 * window included. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/number.h"
#include "base/world.h"
#include "train/remedies.h"
#include "train/stuck.h"
#include "train/together.h"

typedef struct loop {
    lf_run *run;
    const lf_example_batch *early;                                 /* served already, but of a later place; else NULL */
    double grad_norm, rate, started, seconds_before, eval_seconds; /* rate: that the last step was done with */
    int64_t items, skipped_before, skipped;
    lf_step_word word; /* of the step that is done; failed data, and nothing else, may have ended the run */
    lf_rank_times times;
    lf_stuck stuck;
    bool said_stuck, said_above;
    lf_err log_failure; /* of a row that could not be written; zeros: none */
} loop;

static lf_status diverged(const lf_run *run, const char *tensor, double value, lf_err *err) {
    if (run->progress.step == 0) {
        const lf_status rc = lf_fail(err, LF_EDIVERGED,
                                     "step 1: %s is %g before any weight was changed; are the weights of the model "
                                     "small enough for its precision?",
                                     tensor, value);
        return lf_model_blame(run->model, rc, err);
    }
    char rate[40];
    lf_number_rate(rate, sizeof rate,
                   run->optimizer.learning_rate * lf_schedule_factor(&run->schedule, run->progress.step),
                   LF_MOMENT_DIGITS);
    return lf_fail(err, LF_EDIVERGED,
                   "step %lld: %s is %g; try a lower learning_rate (now %s), warmup_steps, or a smaller max_grad_norm",
                   (long long)run->progress.step + 1, tensor, value, rate);
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

static lf_status micro_batch(loop *l, const lf_example_batch *b, int64_t micro, lf_window *w, lf_err *err) {
    lf_run *run = l->run;
    lf_graph *g = run->g;
    lf_loss_counts counts = {0};
    lf_optimizer_clear_gradients(&run->optimizer);
    lf_graph_begin(g, true, true, (uint64_t)(run->progress.step * run->accumulation + micro));
    lf_tensor *loss = lf_run_loss(run, b, &counts);
    lf_status rc = lf_graph_status(g, err);
    if (rc) return rc;
    float value;
    run->k->to_f32(&value, loss->data, 1);
    if (!isfinite(value)) return name_the_culprit(run, (double)value, err);
    *w = (lf_window){
        .loss = (double)value, .targets = counts.targets, .correct = counts.correct, .weight = counts.weight};
    l->word.items += b->items;
    return lf_graph_backward(g, loss, 1, err);
}

static lf_status optimiser_step(loop *l, const lf_window *w, lf_err *err) {
    lf_run *run = l->run;
    const double targets = lf_remedies_targets(w), mean = 1 / targets,
                 max_norm = lf_cfg_f64(run->cfg, LF_max_grad_norm);
    lf_remedies_penalise(run, targets);
    l->grad_norm = lf_optimizer_gradient_norm(&run->optimizer, mean);
    if (!isfinite(l->grad_norm)) return lf_world_all_know(name_the_culprit(run, l->grad_norm, err));
    const double clip = max_norm > 0 && l->grad_norm > max_norm ? max_norm / (l->grad_norm + 1e-6) : 1; /* as torch */
    const double factor = lf_schedule_factor(&run->schedule, run->progress.step);
    l->rate = run->optimizer.learning_rate * factor;
    lf_optimizer_step(&run->optimizer, factor, mean * clip);
    lf_average_step(&run->average);
    return LF_OK;
}

/* Where the step's window stands in the data. */
typedef struct place {
    int64_t epoch, first, n; /* its batches are first .. first + n - 1 of the epoch */
} place;

/* A window never crosses the end of an epoch. */
static place window_of(const lf_run *run) {
    const int64_t first = run->progress.step % run->steps_per_epoch * run->accumulation,
                  left = run->batches_per_epoch - first;
    return (place){run->progress.step / run->steps_per_epoch, first,
                   left < run->accumulation ? left : run->accumulation};
}

/* The step alone says which batch this is: one of bad pictures only is not served, and must not shift those that
 * follow. */
static lf_status leaf(void *context, int64_t micro, lf_window *w, bool *there, lf_err *err) {
    loop *l = context;
    lf_run *run = l->run;
    const place at = window_of(run);
    lf_status rc;
    if (!l->early && (rc = run->task->source->next(run->task, LF_DATA_TRAIN, &l->early, err))) {
        l->word.data_failed = true;
        return rc;
    }
    const lf_example_batch *b = l->early;
    const double began = lf_now();
    if (b->epoch != at.epoch || b->number != at.first + micro) return LF_OK;
    l->early = NULL;
    *there = b->in.B && b->targets;
    if (!*there) return LF_OK;
    rc = micro_batch(l, b, micro, w, err);
    if (!rc)
        rc = lf_remedies_learn(run, at.epoch * run->batches_per_epoch + at.first + micro, w, &l->word.data_failed, err);
    l->word.seconds += lf_now() - began;
    l->word.leaves++;
    return rc;
}

/* One step of the optimiser, or none after a window without a target (bad pictures only): there is nothing to learn. */
static lf_status train_step(loop *l, lf_err *err) {
    lf_run *run = l->run;
    lf_window *sum = &run->progress.since_log;
    lf_tree_result found;
    l->word = (lf_step_word){0};
    lf_status rc = lf_tree_sum(&run->tree, window_of(run).n, leaf, l, &found, err);
    if (rc) return rc;
    l->word.w = found.w;
    l->word.failure = found.failure;
    l->word.skipped = run->task->source->skipped(run->task);
    rc = lf_together_step(&l->word, &l->times, err);
    l->skipped = l->word.skipped;
    if (rc) return rc;
    l->items += l->word.items;
    lf_window_add(sum, &l->word.w);
    if (l->word.w.targets && !(rc = lf_tree_spread(&run->tree, err))) rc = optimiser_step(l, &l->word.w, err);
    if (!rc) run->progress.step++;
    return rc;
}

/* ---- what happens beside the steps ---- */

static double seconds(const loop *l) { return l->seconds_before + lf_now() - l->started; }

static lf_obj begin_row(const lf_run *run) {
    lf_obj row = lf_obj_new();
    lf_obj_number(&row, "step", (double)run->progress.step);
    lf_obj_number(&row, "epoch", (double)run->progress.step / (double)run->steps_per_epoch);
    return row;
}

/* A step was done; with a row, that is told. */
static void tell(const loop *l, const cJSON *row) {
    const lf_run *run = l->run;
    const lf_window *w = &l->word.w;
    lf_watcher_tell(run->watcher,
                    &(lf_moment){.step = run->progress.step,
                                 .max_steps = run->total_steps,
                                 .epoch = (double)run->progress.step / (double)run->steps_per_epoch,
                                 .loss = w->targets ? w->loss / w->weight : (double)NAN,
                                 .learning_rate = l->rate},
                    row);
}

static void warn_if_above(loop *l) {
    if (l->said_above || !lf_stuck_is_above(&l->stuck)) return;
    l->said_above = true;
    lf_warn("step %lld: the loss has been above %.3g from step %lld on, far above that of a guess or of the start: the "
            "learning_rate is likely too high",
            (long long)l->run->progress.step, lf_stuck_bar(&l->stuck), (long long)l->stuck.above_from);
}

static void warn_if_stuck(loop *l) {
    char how[160];
    if (l->said_stuck || !lf_stuck_how(&l->stuck, how, sizeof how)) return;
    l->said_stuck = true;
    lf_warn("step %lld: nothing is learned: %s; end it, and look at the data (more than one class? labels in order?), "
            "or try "
            "a lower learning_rate, warmup_steps or a smaller max_grad_norm",
            (long long)l->run->progress.step, how);
}

/* A row that cannot be written ends the run, but after the step, with a checkpoint. */
static lf_status put_row(loop *l, lf_obj *row, lf_err *err) {
    lf_err why = {0};
    lf_stuck_row(&l->stuck, row->json);
    warn_if_stuck(l);
    warn_if_above(l);
    tell(l, row->json);
    const lf_status rc = lf_metrics_write(&l->run->metrics, lf_obj_take(row), &why);
    if (rc != LF_EIO || l->run->progress.step == 0) return rc ? lf_fail(err, rc, "%s", why.message) : LF_OK;
    l->log_failure = why;
    return LF_OK;
}

static lf_status log_step(loop *l, lf_err *err) {
    lf_run *run = l->run;
    const lf_window *w = &run->progress.since_log;
    lf_obj row = begin_row(run);
    lf_obj_number(&row, "loss", w->loss / w->weight);
    lf_obj_number(&row, "train_accuracy", (double)w->correct / (double)w->targets);
    lf_obj_number(&row, "learning_rate",
                  run->optimizer.learning_rate * lf_schedule_factor(&run->schedule, run->progress.step - 1));
    lf_obj_number(&row, "grad_norm", l->grad_norm);
    lf_terms_log(&row, w->terms);
    run->progress.since_log = (lf_window){0};
    lf_rank_times_say(&l->times);
    return put_row(l, &row, err);
}

/* In the order in which data are read. */
static lf_status find(lf_run *run, lf_found *f, lf_accuracy *a, lf_base_score *base, lf_err *err) {
    const lf_task_type *task = run->task->type;
    lf_base_score chosen;
    lf_status rc = LF_OK;
    *f = (lf_found){.eval = run->has_eval ? a : NULL, .selection = LF_NO_SELECTION};
    if (run->has_eval && (rc = task->evaluate(run->task, a, run->model, LF_DATA_EVAL, NULL, err))) return rc;
    if (run->selects) {
        if ((rc = lf_task_measure_tuned(run->task, LF_DATA_BASE_EVAL, &chosen, run->model, err))) return rc;
        f->selection = lf_results_selection(task, f->eval, &run->before[LF_DATA_BASE_EVAL], &chosen);
    }
    return run->has_base ? lf_task_measure_tuned(run->task, LF_DATA_BASE, base, run->model, err) : LF_OK;
}

static lf_status evaluate(loop *l, lf_err *err) {
    lf_run *run = l->run;
    const lf_task_type *task = run->task->type;
    const double began = lf_now();
    lf_accuracy a;
    lf_base_score base;
    lf_found f;
    lf_err cause = {0};
    lf_average_swap(&run->average); /* what is judged */
    lf_status rc = find(run, &f, &a, &base, &cause);
    lf_average_swap(&run->average);
    if (rc) return lf_fail(err, rc, "step %lld: %s", (long long)run->progress.step, cause.message);
    if (run->progress.step) {
        lf_run_note_best(run, &f);
        lf_run_note_rate(run, &f);
    } else {
        if ((rc = lf_run_check_metric(run, &f, err))) return rc;
        if (run->has_eval) run->progress.eval_accuracy_before = a.accuracy;
        if (run->has_eval) run->progress.eval_loss_before = a.loss;
    }
    lf_obj row = begin_row(run);
    char text[200];
    lf_results_step(&row, task->judged_by, f.eval, run->has_base ? &base : NULL);
    lf_selection_put(&row, &f.selection);
    task->say(text, sizeof text, f.eval, run->has_base ? &base : NULL);
    if (text[0]) lf_info("step %lld: %s", (long long)run->progress.step, text);
    l->eval_seconds += lf_now() - began;
    lf_detail("step %lld: evaluated in %.2f s", (long long)run->progress.step, lf_now() - began);
    return put_row(l, &row, err);
}

static bool is_due(const lf_run *run, lf_key_id strategy_key, int64_t step, int64_t every) {
    const char *strategy = lf_cfg_str(run->cfg, strategy_key);
    if (strcmp(strategy, "steps") == 0) return step % every == 0;
    return strcmp(strategy, "epoch") == 0 && step % run->steps_per_epoch == 0;
}

static int64_t eval_every(const lf_run *run) {
    return lf_cfg_is_set(run->cfg, LF_eval_steps) ? lf_cfg_i64(run->cfg, LF_eval_steps)
                                                  : lf_cfg_i64(run->cfg, LF_logging_steps);
}

/* eval_delay in steps; it is epochs where evaluations come by epochs, as transformers counts. */
static double first_evaluation(const lf_run *run) {
    const bool by_epochs = strcmp(lf_cfg_str(run->cfg, LF_eval_strategy), "epoch") == 0;
    return lf_cfg_f64(run->cfg, LF_eval_delay) * (by_epochs ? (double)run->steps_per_epoch : 1);
}

static bool evaluates_after(const lf_run *run, int64_t step) {
    return step == run->total_steps ||
           (is_due(run, LF_eval_strategy, step, eval_every(run)) && (double)step >= first_evaluation(run));
}

int64_t lf_run_evaluations(const lf_run *run) {
    const char *strategy = lf_cfg_str(run->cfg, LF_eval_strategy);
    const int64_t total = run->total_steps, every = strcmp(strategy, "steps") == 0   ? eval_every(run)
                                                    : strcmp(strategy, "epoch") == 0 ? run->steps_per_epoch
                                                                                     : total + 1;
    const double first = ceil(first_evaluation(run));
    const int64_t until = total - 1, /* the last step has one in any case */
        left_out = first > (double)until ? until / every
                   : first >= 1          ? ((int64_t)first - 1) / every
                                         : 0;
    return 1 + until / every - left_out + 1;
}

static lf_status save(loop *l, lf_err *err) {
    lf_run *run = l->run;
    const double began = lf_now();
    run->progress.train_seconds = seconds(l);
    run->progress.skipped_images = l->skipped_before + l->skipped;
    const lf_status rc = lf_checkpoint_save(run, err);
    if (!rc)
        lf_detail("step %lld: a checkpoint was written in %.2f s", (long long)run->progress.step, lf_now() - began);
    return rc;
}

/* What was learned until now is kept, and `advice` says how to go on with it. */
static lf_status end_with_checkpoint(loop *l, lf_status rc, int64_t at, const char *advice, lf_err *err) {
    lf_run *run = l->run;
    lf_err kept = {0}, ended = {0};
    if (save(l, &kept)) {
        lf_warn("no checkpoint of step %lld: %s", (long long)run->progress.step, kept.message);
        return rc;
    }
    lf_fail(&ended, rc, "step %lld: %s; %s/checkpoint-%lld is written, %s", (long long)at, err->message, run->dir,
            (long long)run->progress.step, advice);
    *err = ended;
    return rc;
}

static bool nothing_to_keep(const loop *l, lf_status rc, const lf_err *err) {
    return !err || l->run->progress.step == 0 || rc == LF_EINTERRUPTED || rc == LF_ENOMEM;
}

/* Data that changed under the run, or were not checked before it. The state is that of the step before: what a window
 * has begun to add up are gradients, which no checkpoint holds. */
static lf_status end_at_data(loop *l, lf_status rc, lf_err *err) {
    lf_run *run = l->run;
    const lf_source_type *source = run->task->source;
    const bool can_skip = rc == LF_EDATA && source->check && !lf_cfg_bool(run->cfg, LF_skip_bad_images);
    lf_err kept = {0};
    if (nothing_to_keep(l, rc, err)) return rc;
    const lf_status again = can_skip && lf_world_is_first() ? lf_run_hash_data_again(run, &kept) : LF_OK;
    if (lf_world_first_did(again, &kept)) {
        lf_warn("no checkpoint of step %lld: %s", (long long)run->progress.step, kept.message);
        return rc;
    }
    return end_with_checkpoint(l, rc, run->progress.step + 1,
                               can_skip ? "go on with --resume_from_checkpoint true --skip_bad_images"
                                        : "put the data back as they were and go on with --resume_from_checkpoint true",
                               err);
}

/* A log that cannot be written any more: a full disk, a limit on the size of files. Rank 0 knows why. */
static lf_status end_at_log(loop *l, lf_err *err) {
    lf_err why = l->log_failure;
    if (!why.status) lf_fail(&why, LF_EIO, "metrics.jsonl cannot be written");
    const lf_status rc = end_with_checkpoint(l, why.status, l->run->progress.step,
                                             "make room and go on with --resume_from_checkpoint true", &why);
    if (err) *err = why;
    return lf_world_all_know(rc);
}

/* A run that was stopped early stays so when it is resumed. */
static bool out_of_patience(const lf_run *run) {
    const int64_t patience = lf_cfg_i64(run->cfg, LF_early_stopping_patience);
    return patience > 0 && run->progress.evals_without_gain >= patience;
}

/* The best step needs a checkpoint of its own where the run is to end with it. */
static bool is_best_to_end_with(const lf_run *run) {
    return lf_cfg_bool(run->cfg, LF_load_best_model_at_end) && run->progress.best_step == run->progress.step;
}

static bool save_is_due(const lf_run *run, bool stop) {
    const bool keeps = strcmp(lf_cfg_str(run->cfg, LF_save_strategy), "no") != 0;
    return (stop && keeps) || is_due(run, LF_save_strategy, run->progress.step, lf_cfg_i64(run->cfg, LF_save_steps)) ||
           is_best_to_end_with(run);
}

/* A checkpoint that cannot be written ends no run that can do without it: there may be room again when the next one is
 * due. */
static lf_status save_if_possible(loop *l, bool is_needed, bool *saved, lf_err *err) {
    lf_run *run = l->run;
    lf_err why = {0};
    const lf_status rc = save(l, &why);
    *saved = rc == LF_OK;
    if (rc == LF_EIO && !is_needed) {
        lf_warn("no checkpoint of step %lld: %s; training goes on", (long long)run->progress.step, why.message);
        return LF_OK;
    }
    return rc ? lf_fail(err, rc, "%s", why.message) : LF_OK;
}

static lf_status log_and_evaluate(loop *l, bool last, lf_err *err) {
    lf_run *run = l->run;
    const int64_t step = run->progress.step;
    lf_status rc = LF_OK;
    if (run->progress.since_log.targets && (step % lf_cfg_i64(run->cfg, LF_logging_steps) == 0 || last ||
                                            (step == 1 && lf_cfg_bool(run->cfg, LF_logging_first_step))))
        rc = log_step(l, err);
    if (!rc && evaluates_after(run, step) && (run->has_eval || run->has_base)) rc = evaluate(l, err);
    return rc;
}

static lf_status after_step(loop *l, bool *stop, lf_err *err) {
    lf_run *run = l->run;
    const int64_t step = run->progress.step;
    const bool last = step == run->total_steps;
    lf_status rc = log_and_evaluate(l, last, err);
    *stop = last || out_of_patience(run);
    if (!rc && *stop && !last)
        lf_info("step %lld: stopped early, %lld evaluations without a better metric", (long long)step,
                (long long)run->progress.evals_without_gain);
    const bool enough = run->watcher && run->watcher->stop;
    bool flags[] = {lf_interrupted() || enough, lf_now() > run->deadline, lf_checkpoint_taken(),
                    l->log_failure.status != LF_OK};
    if (!rc) rc = lf_world_any(flags, 4, err); /* at any rank */
    if (!rc && flags[3]) return end_at_log(l, err);
    const bool interrupted = (flags[0] || flags[1]) && !*stop, requested = flags[2];
    bool saved = false;
    if (!rc && (interrupted || requested || save_is_due(run, *stop)))
        rc = save_if_possible(l, interrupted || is_best_to_end_with(run), &saved, err);
    if (requested && saved)
        lf_info("step %lld: %s/checkpoint-%lld is written, as requested", (long long)step, run->dir, (long long)step);
    if (!rc && interrupted)
        rc = lf_world_all_know(lf_fail(
            err, LF_EINTERRUPTED,
            "%s after step %lld; %s/checkpoint-%lld is written, go on with --resume_from_checkpoint true",
            flags[0] ? "interrupted" : "max_train_minutes are over", (long long)step, run->dir, (long long)step));
    return rc;
}

static const char ends_after_step[] =
    "stopping after this step, with a checkpoint; a second Ctrl-C ends it at once, without one";

lf_status lf_run_loop(lf_run *run, lf_err *err) {
    loop l = {.run = run,
              .rate = NAN,
              .started = lf_now(),
              .seconds_before = run->progress.train_seconds,
              .skipped_before = run->progress.skipped_images};
    const lf_source_type *source = run->task->source;
    run->chance = run->task->type->chance(run->model, false);
    l.stuck = lf_stuck_begin(run->chance);
    lf_status rc = lf_rank_times_new(&l.times, err);
    if (!rc)
        rc = source->start(run->task, LF_DATA_TRAIN, run->progress.step / run->steps_per_epoch,
                           run->progress.step % run->steps_per_epoch * run->accumulation, lf_tree_portion(&run->tree),
                           err);
    if (!rc && run->progress.step == 0 && (run->has_eval || run->has_base)) rc = evaluate(&l, err);
    run->task->interruptible = false;
    if (lf_world_is_first()) lf_interrupt_means(ends_after_step);
    lf_progress bar;
    lf_progress_begin(&bar, "train", run->total_steps);
    bar.first = run->progress.step;
    bool stop = run->progress.step >= run->total_steps || out_of_patience(run);
    while (!rc && !stop) {
        if ((rc = train_step(&l, err))) {
            if (l.word.data_failed) rc = lf_world_all_know(end_at_data(&l, rc, err));
            break;
        }
        char detail[128];
        const double busy = lf_now() - l.started - l.eval_seconds;
        const lf_window *sum = &run->progress.since_log;
        snprintf(detail, sizeof detail, "epoch %.2f  loss %.4f  acc %.3f  %.1f %s/s",
                 (double)run->progress.step / (double)run->steps_per_epoch, sum->targets ? sum->loss / sum->weight : 0,
                 sum->targets ? (double)sum->correct / (double)sum->targets : 0, (double)l.items / busy, source->unit);
        lf_progress_update(&bar, run->progress.step, detail);
        tell(&l, NULL);
        rc = after_step(&l, &stop, err);
    }
    const double busy = lf_now() - l.started - l.eval_seconds;
    char summary[128] = "";
    if (!rc)
        snprintf(summary, sizeof summary, "%lld steps, %.1f s, %.1f %s/s", (long long)run->progress.step, busy,
                 (double)l.items / busy, source->unit);
    lf_progress_end(&bar, summary);
    lf_rank_times_free(&l.times);
    run->progress.skipped_images = l.skipped_before + l.skipped;
    if (run->progress.skipped_images)
        lf_warn("%lld pictures could not be read and were left out", (long long)run->progress.skipped_images);
    run->progress.train_seconds = seconds(&l);
    run->results.data_wait_seconds = l.items ? source->waited(run->task) : NAN;
    run->results.items_per_second = l.items ? (double)l.items / busy : NAN;
    return rc;
}
