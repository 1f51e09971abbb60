/* A run that came to its end and is left with no more than a guess: it trained, and its figure of the new task, or that
 * of the base's, is at chance. */
#ifndef LF_REPORT_GATHER_COLLAPSED_H
#define LF_REPORT_GATHER_COLLAPSED_H

#include <cjson/cJSON.h>

#include "stats/figures.h"

/* Of an all_results.json, by its yardstick. Shares and correlations are at chance where the lower end of their 95 %
 * interval over examples does not pass it (of fewer than 20 examples nobody knows), perplexities where they are not
 * below the size of the vocabulary. A new task is judged by evaluation data, without any by test data; a base only
 * where it was above chance before. A run that learned nothing says so itself ("nothing_learned", train/stuck.h). In
 * words, "on the new task no better than a guess"; NULL: it stands, or the files do not tell. */
const char *lf_collapsed_how(const cJSON *results, const lf_yardstick *y);

/* Was the base above chance before anything was trained? -1: the files do not tell; 0: no, its labels may not be the
 * model's; 1: yes. */
int lf_base_knew(const cJSON *results, const lf_yardstick *y);

#endif
