/* What a summary takes of one run. */
#include <math.h>
#include <string.h>

#include "config/config.h"
#include "report/gather/summary_internal.h"

/* The harmonic mean is of new-task accuracy, or of test accuracy where there is none, and base_after. */
double lf_figure_of(const lf_yardstick *y, const lf_gathered_run *r, const char *name) {
    if (strcmp(name, "harmonic_mean") != 0) return lf_run_number(r, name);
    const double judged = lf_run_number(r, lf_metric_in_role(y, LF_ROLE_GAIN)->name);
    return lf_harmonic_mean(isfinite(judged) ? judged : lf_run_number(r, lf_metric_in_role(y, LF_ROLE_TEST_GAIN)->name),
                            lf_run_number(r, "base_after"));
}

const lf_metric *lf_gain_metric(const lf_summary *s) {
    return lf_metric_in_role(s->from->yardstick, s->by_eval ? LF_ROLE_GAIN : LF_ROLE_TEST_GAIN);
}

double lf_gain_of(const lf_summary *s, const lf_gathered_run *r) {
    return lf_gain_from(s->from->yardstick, lf_run_number(r, lf_gain_metric(s)->name));
}

bool lf_is_task_key(const char *key) { return (lf_key_traits(key) & (LF_IS_MODEL | LF_IS_DATA)) != 0; }
bool lf_is_method_key(const char *key) { return !(lf_key_traits(key) & (LF_IS_DRAW | LF_IS_RATE)); }

const cJSON *lf_run_value(const lf_gathered_run *r, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(r->config, key);
}
