/* Of classes: the logits of the base's own head, a few numbers an example, which are kept where the examples are fixed.
 * The model's are those of the same frozen head, by which forgetting is measured too; where that head is trained
 * itself (reuse_head), of the trained one, which is what the model says. */
#include "base/mem.h"
#include "data/class_names.h"
#include "task/classes.h"
#include "task/kl.h"
#include "task/source.h"

static const lf_classifier *tuned(const lf_task *t) {
    const lf_model *m = t->model;
    return lf_cfg_bool(t->cfg, LF_reuse_head) && !t->keeps_head ? &m->head : &m->base_head;
}

static lf_status check(const lf_task *t, lf_key_id key, lf_err *err) {
    const lf_classifier *head = &t->model->base_head;
    if (!head->module)
        return lf_cfg_fail(t->cfg, key, err,
                           "keeps what the base says of examples, and %s has no head that says classes; replay_ratio "
                           "and l2_to_base need none",
                           t->model->path);
    if (head->problem == LF_SINGLE_LABEL) return LF_OK;
    return lf_cfg_fail(t->cfg, key, err,
                       "is of heads that say one class of an example, and that of %s is for %s; replay_ratio and "
                       "l2_to_base keep others",
                       t->model->path, lf_problem_name(head->problem));
}

/* A class of the new task that the base's head does not have is nothing that could be taken out of what it says, and
 * its number is another class's there. */
static lf_status check_target(const lf_task *t, bool of_train, lf_err *err) {
    const lf_classifier *head = &t->model->base_head;
    lf_data_labels l;
    if (head->n_labels < 3)
        return lf_cfg_fail(t->cfg, LF_kl_mask_target, err,
                           "takes the true class out, and %s has %lld classes: of what is left every model says the "
                           "same; leave it out",
                           t->model->path, (long long)head->n_labels);
    if (!of_train || !t->source->labels(t, LF_DATA_TRAIN, &l)) return LF_OK;
    if (!l.classes || l.problem != LF_SINGLE_LABEL)
        return lf_cfg_fail(
            t->cfg, LF_kl_mask_target, err,
            "is of examples with one class each, and the labels of %s are for %s; give other kl_data, or "
            "leave it out",
            l.path, lf_problem_name(l.problem));
    for (int64_t c = 0; c < l.n; c++)
        if (lf_class_names_find(l.classes[c], head->labels, head->n_labels) < 0)
            return lf_cfg_fail(t->cfg, LF_kl_mask_target, err,
                               "takes the true class out of what the base says, and '%s' of train_data (%s) is none of "
                               "the %lld classes of %s; give kl_data of its classes, train its own head on "
                               "(reuse_head), or leave it out",
                               l.classes[c], l.path, (long long)head->n_labels, t->model->path);
    return LF_OK;
}

static int64_t width(const lf_task *t) { return t->model->base_head.n_labels; }

static lf_tensor *logits(lf_task *t, const lf_example_batch *b, const lf_classifier *head, bool base) {
    const lf_pass pass = {.in = b->in, .base = base, .head = head};
    lf_tensor *features = lf_model_features(t->model, t->g, &pass),
              *made = lf_model_logits(t->g, head->module, features);
    lf_done(t->g, features);
    return made;
}

static lf_status ask(lf_said_room *out, lf_task *t, const lf_example_batch *b, lf_err *err) {
    if (!lf_grow(&out->data, &out->size, b->in.B * width(t) * (int64_t)sizeof(float)))
        return lf_no_memory(err, "what the base says of a batch");
    lf_graph_begin(t->g, false, false, 0);
    const lf_tensor *made = logits(t, b, &t->model->base_head, true);
    const lf_status rc = lf_graph_status(t->g, err);
    if (rc) return rc;
    lf_graph_kernels(t->g)->to_f32((float *)(void *)out->data, made->data, made->numel);
    return LF_OK;
}

static lf_tensor *loss(lf_task *t, const lf_example_batch *b, const void *said, lf_loss_counts *counts) {
    *counts = (lf_loss_counts){.targets = b->in.B};
    const int32_t *without = lf_cfg_bool(t->cfg, LF_kl_mask_target) ? b->labels : NULL;
    return lf_kl_to(t->g, logits(t, b, tuned(t), false), said, without, 1);
}

const lf_kl_type lf_kl_classes = {
    .check = check, .check_target = check_target, .width = width, .ask = ask, .loss = loss};
