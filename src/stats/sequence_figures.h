/* The figures of a sequence of tasks that a report averages; docs/method.md, "Tasks one after the other". */
#ifndef LF_STATS_SEQUENCE_FIGURES_H
#define LF_STATS_SEQUENCE_FIGURES_H

#include "stats/figures.h"

enum { LF_SEQUENCE_STARTS = 2 }; /* figures in front that are not averaged */

/* Each ends with name NULL. Which one a sequence has, the gain in its all_results.json tells: average_accuracy, ... */
extern const lf_metric lf_sequence_accuracy[], lf_sequence_accuracy_beside_text[], lf_sequence_correlation[],
    lf_sequence_correlation_beside_text[], lf_sequence_language[];

#endif
