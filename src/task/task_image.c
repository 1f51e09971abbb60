/* The task of saying which class a picture is of, or which several are true of it: a head on the model's features,
 * labels, accuracy. */
#include <stddef.h>

#include "task/classes.h"
#include "task/kl.h"

static lf_status check(const lf_task *t, lf_err *err) {
    lf_problem p;
    const char *texts = lf_cfg_str(t->cfg, LF_class_embeddings);
    if (lf_problem_named(&p, lf_cfg_str(t->cfg, LF_problem_type)) && p == LF_REGRESSION)
        return lf_cfg_fail(t->cfg, LF_problem_type, err, "pictures have classes; numbers are for texts");
    return texts && t->model->weights ? lf_model_compare_with(t->model, texts, err) : LF_OK; /* not just its config */
}

const lf_task_type lf_task_image = {
    .best_metric = "accuracy",
    .auto_class = NULL,
    .hub_task = "image-classification",
    .base_data = "base task",
    .input = LF_PIXELS,
    .output = LF_CLASSES,
    .check = check,
    .problem = lf_classes_problem,
    .opened = lf_classes_opened,
    .labels = lf_classes_labels,
    .prepare = lf_classes_prepare,
    .loss = lf_classes_loss,
    .kl = &lf_kl_classes,
    .evaluate = lf_classes_evaluate,
    .judged_by = LF_BY_ACCURACY,
    .chance = lf_classes_chance,
    .compare = lf_classes_compare,
    .say = lf_classes_say,
};
