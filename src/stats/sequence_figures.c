/* No yardstick of runs: what a sequence says of its tasks is made of runs' gains, what it says of the base is theirs.
 */
#include "stats/sequence_figures.h"

#include <stddef.h>

#define LINE(name, label, unit, scale, role, better)                                                                   \
    { name, label, unit, scale, LF_ROLE_##role, LF_##better##_IS_BETTER, NULL, 0 }

/* What others are calculated from, of the tasks and of the base. */
#define STARTS(unit, scale, base, base_unit, base_scale, better)                                                       \
    LINE("average_before", "average before any task", unit, scale, START, MORE),                                       \
        LINE("base_before", base, base_unit, base_scale, START, better)
/* Of the tasks: measure as all_results.json calls it, unit and scale of a score, unit of a difference. */
#define TASKS(measure, unit, scale, difference)                                                                        \
    LINE("average_" measure, "average of all tasks", unit, scale, GAIN, MORE),                                         \
        LINE("test_average_" measure, "average of all tasks, test", unit, scale, TEST_GAIN, MORE),                     \
        LINE("average_incremental_" measure, "average over the sequence", unit, scale, MEAN, MORE),                    \
        LINE("average_when_learned_" measure, "average when learned", unit, scale, MEAN, MORE),                        \
        LINE("bwt", "BWT", difference, scale, COMPARED, MORE), LINE("fwt", "FWT", difference, scale, MEAN, MORE),      \
        LINE("forgetting", "forgetting of tasks", difference, scale, COMPARED, LESS),                                  \
        LINE("forgetting_since_learned", "forgetting since learned", difference, scale, MEAN, LESS),                   \
        LINE("intransigence", "intransigence", difference, scale, COMPARED, LESS)
/* Of the base's own data. */
#define BASE(after, unit, scale, better, difference)                                                                   \
    LINE("base_after", after, unit, scale, MEAN, better),                                                              \
        LINE("base_forgetting", "forgetting of the base", difference, scale, COST, LESS),                              \
        LINE("base_retention", "retention of the base", "%", 100, KEPT, MORE)

#define BESIDE_ACCURACY(measure, unit, scale, difference)                                                              \
    STARTS(unit, scale, "base task before", "%", 100, MORE), TASKS(measure, unit, scale, difference),                  \
        BASE("base task, accuracy", "%", 100, MORE, "points"), {                                                       \
        0                                                                                                              \
    }
#define BESIDE_PERPLEXITY(measure, unit, scale, difference)                                                            \
    STARTS(unit, scale, "perplexity, pretraining text before", "", 1, LESS), TASKS(measure, unit, scale, difference),  \
        BASE("pretraining text, perplexity", "", 1, LESS, "nats"), {                                                   \
        0                                                                                                              \
    }

const lf_metric lf_sequence_accuracy[] = {BESIDE_ACCURACY("accuracy", "%", 100, "points")};
const lf_metric lf_sequence_accuracy_beside_text[] = {BESIDE_PERPLEXITY("accuracy", "%", 100, "points")};
const lf_metric lf_sequence_correlation[] = {BESIDE_ACCURACY("correlation", "", 1, "")};
const lf_metric lf_sequence_correlation_beside_text[] = {BESIDE_PERPLEXITY("correlation", "", 1, "")};
const lf_metric lf_sequence_language[] = {BESIDE_PERPLEXITY("log_probability", "nats", 1, "nats")};
#define FITS(list) (sizeof list / sizeof *list <= LF_MAX_METRICS + LF_SEQUENCE_STARTS + 1)
_Static_assert(FITS(lf_sequence_accuracy) && FITS(lf_sequence_language), "a cell has room for every figure");
