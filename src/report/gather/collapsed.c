#include "report/gather/collapsed.h"

#include <math.h>
#include <stddef.h>

#include "base/json.h"
#include "stats/stats.h"

enum { ENOUGH = 20 }; /* examples: of fewer it may be chance */

/* ---- is a figure at chance? -1: nobody knows ---- */

typedef int at_chance_fn(double figure, double n, double chance);

static int share(double figure, double n, double chance) {
    double low, high;
    if (!(n >= ENOUGH) || !(chance > 0) || !(figure >= 0 && figure <= 1)) return -1;
    lf_wilson(figure, (int64_t)n, &low, &high);
    return low <= chance;
}

/* By Fisher's transformation. */
static int correlation(double figure, double n, double chance) {
    (void)chance;
    if (!(n >= ENOUGH) || !(fabs(figure) <= 1)) return -1;
    return atanh(figure) - LF_NORMAL_975 / sqrt(n - 3) <= 0;
}

static int perplexity(double figure, double n, double chance) {
    (void)n;
    return figure > 0 && chance > 0 ? figure >= chance : -1;
}

/* NULL: of a sequence, whose runs say it themselves. */
static at_chance_fn *const new_task_by[LF_N_YARDSTICKS] = {[LF_BY_ACCURACY] = share,
                                                           [LF_BY_PERPLEXITY] = perplexity,
                                                           [LF_BY_CORRELATION] = correlation,
                                                           [LF_BY_ACCURACY_BESIDE_TEXT] = share,
                                                           [LF_BY_CORRELATION_BESIDE_TEXT] = correlation};

/* ---- of a run ---- */

static int new_task(const cJSON *results, const lf_yardstick *y) {
    at_chance_fn *at = new_task_by[y - lf_yardsticks];
    if (!at) return -1;
    const double chance = lf_json_number_in(results, "eval_chance"),
                 eval = lf_json_number_in(results, lf_metric_in_role(y, LF_ROLE_GAIN)->name),
                 test = lf_json_number_in(results, lf_metric_in_role(y, LF_ROLE_TEST_GAIN)->name);
    return isfinite(eval) ? at(eval, lf_json_number_in(results, "eval_samples"), chance)
                          : at(test, lf_json_number_in(results, "test_samples"), chance);
}

static int base(const cJSON *results, const lf_yardstick *y, const char *figure) {
    at_chance_fn *at = y->base_log ? perplexity : share;
    return at(lf_json_number_in(results, figure), lf_json_number_in(results, "base_samples"),
              lf_json_number_in(results, "base_chance"));
}

int lf_base_knew(const cJSON *results, const lf_yardstick *y) {
    const int at_chance = base(results, y, "base_before");
    return at_chance < 0 ? -1 : !at_chance;
}

const char *lf_collapsed_how(const cJSON *results, const lf_yardstick *y) {
    if (lf_json_number_in(results, "steps") < 1) return NULL; /* nothing was trained */
    const char *stuck = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(results, "nothing_learned"));
    if (stuck) return stuck;
    const bool new_fell = new_task(results, y) == 1,
               base_fell = lf_base_knew(results, y) == 1 && base(results, y, "base_after") == 1;
    return new_fell && base_fell ? "on the new task and on the base's no better than a guess"
           : new_fell            ? "on the new task no better than a guess"
           : base_fell           ? "on the base's task no better than a guess"
                                 : NULL;
}
