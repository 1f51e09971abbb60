/* figures.def as tables, one set a yardstick. */
#include "stats/figures.h"

#include <math.h>
#include <stddef.h>

#include "stats/sequence_figures.h"
#include "stats/stats.h"

#define LF_FIGURES_AGAIN

#define LINE(name, label, unit, scale, role, better, card, decimals)                                                   \
    {#name, label, unit, scale, LF_ROLE_##role, LF_##better##_IS_BETTER, card, decimals},
#define FIGURE(yardstick, kind, always, name, member, role, better, card, decimals, label, unit, scale)                \
    OF_##yardstick(ROLE_##role(LINE(name, label, unit, scale, role, better, card, decimals)))
#define DERIVED(yardstick, name, role, better, label, unit, scale)                                                     \
    OF_##yardstick(ROLE_##role(LINE(name, label, unit, scale, role, better, NULL, 0)))
#define BASIS(yardstick, kind, always, name, member)                                                                   \
    OF_##yardstick(ROLE_START(LINE(name, NULL, "", 1, START, MORE, NULL, 0)))
#define PLAIN(yardstick, kind, always, name, member)
#define ROLE_GAIN(...)      __VA_ARGS__
#define ROLE_TEST_GAIN(...) __VA_ARGS__
#define ROLE_COST(...)      __VA_ARGS__
#define ROLE_KEPT(...)      __VA_ARGS__
#define ROLE_MEAN(...)      __VA_ARGS__

#define ROLE_START(...)
#define ROLE_CARD(...)
#define LF_TABLE_BEGIN(yardstick) static const lf_metric averaged_by_##yardstick[] = {
#define LF_TABLE_END                                                                                                   \
    { 0 }                                                                                                              \
    }                                                                                                                  \
    ;
#include "stats/each_yardstick.inc"

#undef ROLE_START
#undef ROLE_CARD
#define ROLE_START(...)           __VA_ARGS__
#define ROLE_CARD(...)            __VA_ARGS__
#define LF_TABLE_BEGIN(yardstick) static const lf_metric figures_by_##yardstick[] = {
#define LF_TABLE_END                                                                                                   \
    { 0 }                                                                                                              \
    }                                                                                                                  \
    ;
#include "stats/each_yardstick.inc"

/* ---- metrics.jsonl ---- */

#undef FIGURE
#undef DERIVED
#undef BASIS
#undef STEP_EVAL
#undef STEP_BASE
#define STEP_EVAL(yardstick, when, how, name, member, look, title, label, unit, scale)                                 \
    OF_##yardstick({#name, LF_LOOK_##look, title, label, unit, scale}, )
#define STEP_BASE                 STEP_EVAL
#define LF_TABLE_BEGIN(yardstick) static const lf_step_figure steps_by_##yardstick[] = {
#define LF_TABLE_END                                                                                                   \
    { 0 }                                                                                                              \
    }                                                                                                                  \
    ;
#include "stats/each_yardstick.inc"

#define FITS(yardstick) (sizeof averaged_by_##yardstick / sizeof *averaged_by_##yardstick <= LF_MAX_METRICS + 1)
_Static_assert(FITS(ACCURACY) && FITS(PERPLEXITY) && FITS(CORRELATION) && FITS(ACCURACY_BESIDE_TEXT) &&
                   FITS(CORRELATION_BESIDE_TEXT),
               "a cell has room for every figure");

/* ---- yardsticks ---- */

#define TABLES(yardstick)                                                                                              \
    .metrics = averaged_by_##yardstick, .figures = figures_by_##yardstick, .steps = steps_by_##yardstick
#define OF_CLASSES                                                                                                     \
    .name = "accuracy", .article = "an", .start = "eval_chance", .difference = "new task",                             \
    .difference_unit = "points", .difference_scale = 100, .matched = "%s at %.2f %%"
#define OF_NUMBERS                                                                                                     \
    .name = "Pearson correlation", .article = "a", .start = "eval_chance", .difference = "new task, Pearson",          \
    .difference_unit = "", .difference_scale = 1, .matched = "%s at a correlation of %.4g"
#define BESIDE_TEXT .mark = "base_tokens", .base_log = true, .worst = "base_chance"

static const lf_step_figure no_steps[] = {{0}};
#define SEQUENCE(list)                                                                                                 \
    .metrics = list + LF_SEQUENCE_STARTS, .figures = list, .steps = no_steps, .start = "average_before"
#define SEQUENCE_OF_CLASSES                                                                                            \
    .name = "average accuracy", .article = "an", .difference = "average of all tasks", .difference_unit = "points",    \
    .difference_scale = 100, .matched = "%s at an average of %.2f %%"
#define SEQUENCE_OF_NUMBERS                                                                                            \
    .name = "average correlation", .article = "an", .difference = "average of all tasks", .difference_unit = "",       \
    .difference_scale = 1, .matched = "%s at an average of %.4g"
#define SEQUENCE_BESIDE_TEXT .mark = "base_by_perplexity", .base_log = true

const lf_yardstick lf_yardsticks[LF_N_YARDSTICKS] = {
    [LF_BY_ACCURACY] = {OF_CLASSES, .of = "classes", TABLES(ACCURACY)},
    [LF_BY_PERPLEXITY] = {.name = "perplexity",
                          .article = "a",
                          .of = "language",
                          .log = true,
                          .base_log = true,
                          .start = "eval_perplexity_before",
                          .start_is_of_eval = true,
                          .worst = "base_chance",
                          .difference = "new text, - ln perplexity",
                          .difference_unit = "nats",
                          .difference_scale = 1,
                          .matched = "%s at perplexity %.4g",
                          .writes = true,
                          TABLES(PERPLEXITY)},
    [LF_BY_CORRELATION] = {OF_NUMBERS, .of = "numbers", TABLES(CORRELATION)},
    [LF_BY_ACCURACY_BESIDE_TEXT] = {OF_CLASSES, .of = "classes beside language", BESIDE_TEXT,
                                    TABLES(ACCURACY_BESIDE_TEXT)},
    [LF_BY_CORRELATION_BESIDE_TEXT] = {OF_NUMBERS, .of = "numbers beside language", BESIDE_TEXT,
                                       TABLES(CORRELATION_BESIDE_TEXT)},
    [LF_BY_SEQUENCE_OF_ACCURACY] = {SEQUENCE_OF_CLASSES, .of = "sequences of classes", SEQUENCE(lf_sequence_accuracy)},
    [LF_BY_SEQUENCE_OF_PERPLEXITY] = {.name = "average log-probability",
                                      .article = "an",
                                      .of = "sequences of language",
                                      .base_log = true,
                                      .difference = "average of all tasks",
                                      .difference_unit = "nats",
                                      .difference_scale = 1,
                                      .matched = "%s at an average of %.4g",
                                      .writes = true,
                                      SEQUENCE(lf_sequence_language)},
    [LF_BY_SEQUENCE_OF_CORRELATION] = {SEQUENCE_OF_NUMBERS, .of = "sequences of numbers",
                                       SEQUENCE(lf_sequence_correlation)},
    [LF_BY_SEQUENCE_OF_ACCURACY_BESIDE_TEXT] = {SEQUENCE_OF_CLASSES, .of = "sequences of classes beside language",
                                                SEQUENCE_BESIDE_TEXT, SEQUENCE(lf_sequence_accuracy_beside_text)},
    [LF_BY_SEQUENCE_OF_CORRELATION_BESIDE_TEXT] = {SEQUENCE_OF_NUMBERS, .of = "sequences of numbers beside language",
                                                   SEQUENCE_BESIDE_TEXT, SEQUENCE(lf_sequence_correlation_beside_text)},
};

const lf_metric *lf_metric_in_role(const lf_yardstick *y, lf_role role) {
    const lf_metric *m = y->metrics;
    while (m->name && m->role != role) m++;
    return m;
}

static double sign_of(const lf_yardstick *y) {
    return lf_metric_in_role(y, LF_ROLE_GAIN)->better == LF_LESS_IS_BETTER ? -1 : 1;
}

double lf_gain_from(const lf_yardstick *y, double figure) {
    if (y->log && !(figure > 0)) return NAN;
    return sign_of(y) * (y->log ? log(figure) : figure);
}

double lf_kept_from(const lf_yardstick *y, double figure) {
    if (!y->base_log) return figure;
    return figure > 0 ? -log(figure) : NAN;
}

double lf_tradeoff_of(const lf_yardstick *y, double figure, double retention) {
    if (isnan(figure) || isnan(retention)) return NAN;
    if (y->log) return figure > 0 ? retention / figure : NAN;
    return lf_harmonic_mean(fmax(figure, 0), retention);
}

double lf_gain_shown(const lf_yardstick *y, double gain) {
    const double figure = sign_of(y) * gain;
    return lf_metric_in_role(y, LF_ROLE_GAIN)->scale * (y->log ? exp(figure) : figure);
}
