/* figures.def as tables, one set a yardstick. */
#include "stats/figures.h"

#include <math.h>
#include <stddef.h>

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
#define OF_EVERY(...)       __VA_ARGS__

#define OF_ACCURACY(...)    __VA_ARGS__
#define OF_PERPLEXITY(...)
#define ROLE_START(...)
#define ROLE_CARD(...)
static const lf_metric averaged_by_accuracy[] = {
#include "stats/figures.def"
    {0}};
#undef ROLE_START
#undef ROLE_CARD
#define ROLE_START(...) __VA_ARGS__
#define ROLE_CARD(...)  __VA_ARGS__
static const lf_metric figures_by_accuracy[] = {
#include "stats/figures.def"
    {0}};
#undef ROLE_START
#undef ROLE_CARD
#undef OF_ACCURACY
#undef OF_PERPLEXITY

#define OF_PERPLEXITY(...) __VA_ARGS__
#define OF_ACCURACY(...)
#define ROLE_START(...)
#define ROLE_CARD(...)
static const lf_metric averaged_by_perplexity[] = {
#include "stats/figures.def"
    {0}};
#undef ROLE_START
#undef ROLE_CARD
#define ROLE_START(...) __VA_ARGS__
#define ROLE_CARD(...)  __VA_ARGS__
static const lf_metric figures_by_perplexity[] = {
#include "stats/figures.def"
    {0}};
#undef ROLE_START
#undef ROLE_CARD
#undef OF_PERPLEXITY
#undef OF_ACCURACY

/* ---- metrics.jsonl ---- */

#undef FIGURE
#undef DERIVED
#undef BASIS
#undef STEP_EVAL
#undef STEP_BASE
#define STEP_EVAL(yardstick, when, how, name, member, look, title, label, unit, scale)                                 \
    OF_##yardstick({#name, LF_LOOK_##look, title, label, unit, scale}, )
#define STEP_BASE        STEP_EVAL

#define OF_ACCURACY(...) __VA_ARGS__
#define OF_PERPLEXITY(...)
static const lf_step_figure accuracy_steps[] = {
#include "stats/figures.def"
    {0}};
#undef OF_ACCURACY
#undef OF_PERPLEXITY

#define OF_PERPLEXITY(...) __VA_ARGS__
#define OF_ACCURACY(...)
static const lf_step_figure perplexity_steps[] = {
#include "stats/figures.def"
    {0}};

_Static_assert(sizeof averaged_by_accuracy / sizeof *averaged_by_accuracy <= LF_MAX_METRICS + 1 &&
                   sizeof averaged_by_perplexity / sizeof *averaged_by_perplexity <= LF_MAX_METRICS + 1,
               "a cell has room for every figure");

/* ---- yardsticks ---- */

const lf_yardstick lf_yardsticks[LF_N_YARDSTICKS] = {
    [LF_BY_ACCURACY] = {.name = "accuracy",
                        .article = "an",
                        .of = "pictures",
                        .start = "eval_chance",
                        .difference = "new task",
                        .difference_unit = "points",
                        .difference_scale = 100,
                        .matched = "%s at %.2f %%",
                        .metrics = averaged_by_accuracy,
                        .figures = figures_by_accuracy,
                        .steps = accuracy_steps},
    [LF_BY_PERPLEXITY] = {.name = "perplexity",
                          .article = "a",
                          .of = "language",
                          .log = true,
                          .start = "eval_perplexity_before",
                          .start_is_of_eval = true,
                          .worst = "base_chance",
                          .difference = "new text, - ln perplexity",
                          .difference_unit = "nats",
                          .difference_scale = 1,
                          .matched = "%s at perplexity %.4g",
                          .metrics = averaged_by_perplexity,
                          .figures = figures_by_perplexity,
                          .steps = perplexity_steps},
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

double lf_gain_shown(const lf_yardstick *y, double gain) {
    const double figure = sign_of(y) * gain;
    return lf_metric_in_role(y, LF_ROLE_GAIN)->scale * (y->log ? exp(figure) : figure);
}
