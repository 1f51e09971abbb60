/* What the logits of a classifier mean. The words are those of config.json's problem_type in transformers. */
#ifndef LF_BASE_PROBLEM_H
#define LF_BASE_PROBLEM_H

#include "lora_ft.h" /* lf_problem: one class of several; each class yes or no; numbers */

const char *lf_problem_name(lf_problem p); /* "single_label_classification" */
/* False: there is none of that name. */
bool lf_problem_named(lf_problem *out, const char *name);

#endif
