/* What tasks that say classes share, of pictures (task_image.c) and of texts (task_classification.c): what labels are,
 * whose they are, the head, the loss, and how a head is judged. */
#ifndef LF_TASK_CLASSES_H
#define LF_TASK_CLASSES_H

#include "task/task.h"

bool lf_classes_head_stays(const lf_task *t); /* the model's, with its labels, instead of a new one */

/* class_weights.c: t->class_weights as class_weights says, once there is a head. LF_EUSAGE: they do not fit it. */
lf_status lf_classes_weigh(lf_task *t, lf_err *err);

/* Members of lf_task_type. */
bool lf_classes_problem(const lf_task *t, lf_data_role role, lf_problem *out);
lf_status lf_classes_opened(lf_task *t, lf_data_role role, lf_err *err); /* of a role whose data have labels */
lf_status lf_classes_labels(const lf_task *t, lf_data_role role, lf_key_id key, const char *const **names, int64_t *n,
                            lf_err *err);
lf_status lf_classes_prepare(lf_task *t, lf_err *err);
lf_tensor *lf_classes_loss(lf_task *t, const lf_example_batch *b, lf_loss_counts *counts);
lf_status lf_classes_evaluate(lf_task *t, lf_accuracy *out, lf_model *m, lf_data_role role, const char *save,
                              lf_err *err);
double lf_classes_chance(const lf_model *m, bool base);
void lf_classes_compare(lf_results *r);
void lf_classes_say(char *text, size_t size, const lf_accuracy *a, const lf_base_score *base);
/* The parts of that line, put behind what `text` holds. */
void lf_classes_say_new(char *text, size_t size, const lf_accuracy *a);
void lf_classes_say_base(char *text, size_t size, const lf_base_score *base);

#endif
