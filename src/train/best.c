/* Which evaluation is the best: by a figure of the evaluation data, by what is forgotten, or by both. What is forgotten
 * is found on LF_DATA_BASE_EVAL, which nothing is reported of (docs/method.md, "Choosing"). */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/log.h"
#include "base/number.h"
#include "base/slice.h"
#include "stats/stats.h"
#include "train/run.h"

/* ---- what metric_for_best_model can be ---- */

static double of_eval(const lf_found *f, size_t member) {
    double value = NAN;
    if (f->eval) memcpy(&value, (const char *)f->eval + member, sizeof value);
    return value;
}

static double of_selection(const lf_found *f, size_t member) {
    double value;
    memcpy(&value, (const char *)&f->selection + member, sizeof value);
    return value;
}

static const struct metric {
    const char *name;
    double (*of)(const lf_found *f, size_t member); /* NAN: not measured */
    size_t member;
    bool less_is_better;
} metrics[] = {
#define EVAL(name, member, less)                                                                                       \
    { name, of_eval, offsetof(lf_accuracy, member), less }
#define CHOSEN(name, member, less)                                                                                     \
    { name, of_selection, offsetof(lf_selection, member), less }
    EVAL("accuracy", accuracy, false),
    EVAL("loss", loss, true),
    EVAL("f1_macro", counted[LF_COUNTED_f1_macro], false),
    EVAL("f1_micro", counted[LF_COUNTED_f1_micro], false),
    EVAL("f1_weighted", counted[LF_COUNTED_f1_weighted], false),
    EVAL("matthews", counted[LF_COUNTED_matthews], false),
    EVAL("auc", auc, false),
    EVAL("pearson", pearson, false),
    EVAL("spearman", spearman, false),
    CHOSEN("retention", retention, false),
    CHOSEN("forgetting", forgetting, true),
    CHOSEN("tradeoff", tradeoff, false),
#undef EVAL
#undef CHOSEN
};
enum { METRICS = sizeof metrics / sizeof *metrics };

const char *lf_run_best_metric(const lf_run *run) {
    return lf_cfg_is_given(run->cfg, LF_metric_for_best_model) ? lf_cfg_str(run->cfg, LF_metric_for_best_model)
                                                               : run->task->type->best_metric;
}

static const struct metric *metric_named(const char *name) {
    int i = 0;
    while (i + 1 < METRICS && strcmp(metrics[i].name, name)) i++;
    return &metrics[i];
}

static const struct metric *metric_of(const lf_run *run) { return metric_named(lf_run_best_metric(run)); }

/* What reduce_lr_on_plateau watches: as in transformers' Trainer the loss, unless a metric is given. */
static const struct metric *watched(const lf_run *run) {
    return lf_cfg_is_given(run->cfg, LF_metric_for_best_model) ? metric_of(run) : metric_named("loss");
}

static double value_of(const struct metric *m, const lf_found *f) { return m->of(f, m->member); }

/* ---- can it be found? ---- */

static bool less_of(const lf_run *run, const struct metric *m) {
    const bool given = lf_cfg_is_given(run->cfg, LF_greater_is_better);
    return given ? !lf_cfg_bool(run->cfg, LF_greater_is_better) : m->less_is_better;
}

static bool is_of_base(const struct metric *m) {
    return m->of == of_selection && m->member != offsetof(lf_selection, tradeoff);
}

static lf_status check_schedule(const lf_run *run, lf_err *err) {
    lf_schedule s;
    const struct metric *m = watched(run);
    const lf_status rc = lf_schedule_read(&s, run->cfg, 1, err);
    if (rc || !s.watches) return rc;
    if (strcmp(lf_cfg_str(run->cfg, LF_eval_strategy), "no") == 0)
        return lf_cfg_fail(run->cfg, LF_lr_scheduler_type, err,
                           "watches evaluations, and eval_strategy is no; set it to epoch or steps");
    if (!lf_schedule_agrees(&s, less_of(run, m)))
        return lf_cfg_fail(run->cfg, LF_lr_scheduler_kwargs, err,
                           "'mode': %s of '%s' is better here; leave it out, or set metric_for_best_model and "
                           "greater_is_better",
                           less_of(run, m) ? "less" : "more", m->name);
    if (run->has_eval || is_of_base(m)) return LF_OK;
    return lf_cfg_fail(run->cfg, LF_lr_scheduler_type, err,
                       "needs evaluation data: set eval_data or train_val_split (there is no val/ beside train/)");
}

/* What waits for a better metric would wait for ever without data to measure it on. */
lf_status lf_run_check_choice(const lf_run *run, lf_err *err) {
    const lf_key_id key = lf_cfg_bool(run->cfg, LF_load_best_model_at_end)       ? LF_load_best_model_at_end
                          : lf_cfg_i64(run->cfg, LF_early_stopping_patience) > 0 ? LF_early_stopping_patience
                                                                                 : LF_NO_KEY;
    const struct metric *m = metric_of(run);
    const lf_status rc = check_schedule(run, err);
    if (rc || run->has_eval || !key || is_of_base(m)) return rc;
    return lf_cfg_fail(run->cfg, key, err,
                       "needs evaluation data: set eval_data or train_val_split (there is no val/ beside train/)");
}

lf_status lf_run_check_metric(const lf_run *run, const lf_found *f, lf_err *err) {
    char list[200] = "";
    if ((!f->eval && !f->selection.count) || !lf_cfg_is_given(run->cfg, LF_metric_for_best_model) ||
        !isnan(value_of(metric_of(run), f)))
        return LF_OK;
    for (int i = 0; i < METRICS; i++)
        if (!isnan(value_of(&metrics[i], f))) lf_list_append(list, sizeof list, metrics[i].name);
    return lf_cfg_fail(run->cfg, LF_metric_for_best_model, err,
                       "'%s' is not measured on these evaluation data; expected one of %s", lf_run_best_metric(run),
                       list);
}

/* ---- the best ---- */

static lf_wish wish_of(const lf_run *run) {
    const bool limit = lf_cfg_is_set(run->cfg, LF_max_forgetting);
    return (lf_wish){.less_is_better = less_of(run, metric_of(run)),
                     .most_cost = limit ? lf_cfg_f64(run->cfg, LF_max_forgetting) : NAN};
}

static const lf_metric *cost_of(const lf_run *run) {
    return lf_metric_in_role(&lf_yardsticks[run->task->type->judged_by], LF_ROLE_COST);
}

static lf_candidate best_so_far(const lf_run *run) {
    return (lf_candidate){run->progress.best_metric, run->progress.best_forgetting};
}

void lf_run_note_best(lf_run *run, const lf_found *f) {
    const lf_wish wish = wish_of(run);
    const lf_candidate c = {value_of(metric_of(run), f), cost_of(run)->scale * f->selection.forgetting};
    lf_progress_state *p = &run->progress;
    if (!f->eval && !f->selection.count) return;
    if (!lf_is_better(&wish, c, best_so_far(run))) {
        p->evals_without_gain++;
        return;
    }
    const double least = lf_cfg_f64(run->cfg, LF_early_stopping_threshold); /* 0: any gain, also one in cost alone */
    const bool is_gain = least == 0 || !p->best_step || !(fabs(c.figure - p->best_metric) <= least);
    p->best_metric = c.figure;
    p->best_forgetting = c.cost;
    p->best_step = p->step;
    p->evals_without_gain = is_gain ? 0 : p->evals_without_gain + 1;
}

void lf_run_note_rate(lf_run *run, const lf_found *f) {
    const struct metric *m = watched(run);
    if (!run->schedule.watches || !lf_schedule_note(&run->schedule, value_of(m, f), less_of(run, m))) return;
    char rate[40];
    lf_number_rate(rate, sizeof rate, run->optimizer.learning_rate * run->schedule.plateau.factor, LF_MOMENT_DIGITS);
    lf_info("step %lld: no better %s for long enough, the learning rate is %s from now on (reduce_lr_on_plateau)",
            (long long)run->progress.step, m->name, rate);
}

void lf_run_say_best(const lf_run *run) {
    const lf_wish wish = wish_of(run);
    const lf_candidate best = best_so_far(run);
    const lf_metric *cost = cost_of(run);
    if (!run->progress.best_step || lf_is_within(&wish, best)) return;
    lf_warn("no evaluation forgot as little as max_forgetting, %g %s; the best is the one that forgot least, that of "
            "step %lld with %.4g",
            wish.most_cost, cost->unit, (long long)run->progress.best_step, best.cost);
}
