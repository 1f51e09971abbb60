/* What tasks that say classes share, of pictures (task_image.c) and of texts (task_classification.c): whose labels a
 * data set has, and how a head is judged. */
#ifndef LF_TASK_CLASSES_H
#define LF_TASK_CLASSES_H

#include "task/task.h"

bool lf_classes_head_stays(const lf_task *t); /* the model's, with its labels, instead of a new one */
/* `labels`, `evaluate` and `compare` of lf_task_type. */
lf_status lf_classes_labels(const lf_task *t, lf_data_role role, lf_key_id key, const char *const **names, int64_t *n,
                            lf_err *err);
lf_status lf_classes_evaluate(lf_task *t, lf_accuracy *out, lf_model *m, lf_data_role role, const char *save,
                              lf_err *err);
void lf_classes_compare(lf_results *r);

#endif
