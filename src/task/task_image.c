/* The task of saying which class a picture is of: a head on the model's features, labels, accuracy. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "eval/eval_internal.h"
#include "task/classes.h"
#include "task/source.h"

enum { RANDOM_LABELS = 100 }; /* of the head that a model without one gets for measuring speed */

/* ---- labels and heads ---- */

/* For measuring speed. */
static lf_status random_head(lf_task *t, lf_err *err) {
    if (t->model->base_head.module) return lf_model_train_head(t->model, err);
    char text[RANDOM_LABELS][24];
    const char *names[RANDOM_LABELS];
    for (int i = 0; i < RANDOM_LABELS; i++) {
        snprintf(text[i], sizeof text[i], "LABEL_%d", i);
        names[i] = text[i];
    }
    return lf_model_new_head(t->model, RANDOM_LABELS, names, (uint64_t)lf_cfg_i64(t->cfg, LF_seed), err);
}

static lf_status prepare(lf_task *t, lf_err *err) {
    int64_t n;
    const char *const *names = t->source->classes(t, &n);
    if (!names) return random_head(t, err);
    if (t->keeps_head) return LF_OK;
    if (lf_cfg_bool(t->cfg, LF_reuse_head)) return lf_model_train_head(t->model, err);
    return lf_model_new_head(t->model, n, names, (uint64_t)lf_cfg_i64(t->cfg, LF_seed), err);
}

static lf_tensor *loss(lf_task *t, const lf_example_batch *b, lf_loss_counts *counts) {
    const lf_pass pass = {.in = b->in};
    const int64_t V = t->model->head.n_labels;
    lf_tensor *features = lf_model_features(t->model, t->g, &pass);
    lf_tensor *logits = lf_model_logits(t->g, t->model->head.module, features);
    lf_done(t->g, features);
    *counts = (lf_loss_counts){.targets = b->in.B};
    for (int64_t i = 0; logits && i < b->in.B; i++)
        counts->correct += lf_argmax((const float *)logits->data + i * V, V) == b->labels[i];
    return lf_cross_entropy(t->g, logits, b->labels, 1, lf_cfg_f64(t->cfg, LF_label_smoothing_factor));
}

/* ---- results ---- */

static double chance(const lf_model *m, bool base) {
    if (base && !m->base_head.module) return NAN; /* by neighbours: the classes are those of the data */
    return 1 / (double)(base ? m->base_head.n_labels : m->head.n_labels);
}

static void say(char *text, size_t size, const lf_accuracy *a, const lf_base_score *base) {
    text[0] = 0;
    if (a) snprintf(text, size, "accuracy %.4f  loss %.4f  ", a->accuracy, a->loss);
    const size_t n = strlen(text);
    if (base && base->by_neighbours)
        snprintf(text + n, size - n, "base task, by neighbours %.4f", base->accuracy);
    else if (base)
        snprintf(text + n, size - n, "base task %.4f  KL %.5f", base->accuracy, base->kl);
}

const lf_task_type lf_task_image = {
    .best_metric = "accuracy",
    .auto_class = NULL,
    .base_data = "base task",
    .input = LF_PIXELS,
    .output = LF_CLASSES,
    .labels = lf_classes_labels,
    .prepare = prepare,
    .loss = loss,
    .evaluate = lf_classes_evaluate,
    .judged_by = LF_BY_ACCURACY,
    .chance = chance,
    .compare = lf_classes_compare,
    .say = say,
};
