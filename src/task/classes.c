#include "task/classes.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/slice.h"
#include "eval/eval_internal.h"
#include "task/source.h"

bool lf_classes_head_stays(const lf_task *t) { return t->keeps_head || lf_cfg_bool(t->cfg, LF_reuse_head); }

/* ---- what the labels are ---- */

/* Old examples are of the labels of the head that stays or, beside a new one, of the base's own; NULL: there is none,
 * and they are of the training data's. */
static const lf_classifier *old_head(const lf_task *t) {
    const lf_model *m = t->model;
    return lf_classes_head_stays(t) ? &m->head : m->base_head.module ? &m->base_head : NULL;
}

/* Is it told by the base's own head? */
static bool is_of_base(const lf_task *t, lf_data_role role) {
    return lf_data_is_base(role) || (role == LF_DATA_KL && lf_task_reads_labels(t, role));
}

/* The key decides; else the head that stays, or is judged; else, of what is judged, the training data. */
bool lf_classes_problem(const lf_task *t, lf_data_role role, lf_problem *out) {
    const lf_model *m = t->model;
    const lf_classifier *head = NULL;
    lf_data_labels trained;
    if (is_of_base(t, role)) {
        *out = m->base_head.problem;
        return m->base_head.module;
    }
    if (!lf_task_reads_labels(t, role)) return false;
    if (role == LF_DATA_REPLAY && old_head(t)) {
        *out = old_head(t)->problem;
        return true;
    }
    if (lf_problem_named(out, lf_cfg_str(t->cfg, LF_problem_type))) return true;
    if (role != LF_DATA_TRAIN && t->source->labels(t, LF_DATA_TRAIN, &trained)) {
        *out = trained.problem;
        return true;
    }
    if (role == LF_DATA_TRAIN ? !lf_classes_head_stays(t)
                              : lf_head_in_use(&head, m, t->cfg, "key 'data'", NULL) != LF_OK)
        return false;
    *out = head ? head->problem : m->head.problem;
    return true;
}

static void say_classes(const lf_data_labels *l) {
    char list[200] = "";
    for (int64_t i = 0; i < l->n; i++) lf_list_append(list, sizeof list, l->classes[i]);
    if (l->problem == LF_REGRESSION)
        lf_info("%s: the labels are numbers, %lld of each example (problem_type regression)", l->path,
                (long long)l->width);
    else
        lf_info("%s: %lld classes%s: %s", l->path, (long long)l->n,
                l->problem == LF_MULTI_LABEL ? ", several of which may hold (problem_type "
                                               "multi_label_classification)"
                                             : "",
                list);
    if (l->n == 1 && l->problem == LF_SINGLE_LABEL)
        lf_warn("train_data: %s: there is one class alone, '%s', so there is nothing to tell apart", l->path,
                l->classes[0]);
}

/* Of one class with one example nothing can be learned and judged too. */
static lf_status warn_of_rare(const lf_data_labels *l, lf_err *err) {
    int64_t rare = 0;
    char list[200] = "";
    if (l->problem != LF_SINGLE_LABEL) return LF_OK;
    int64_t *counts = lf_calloc((size_t)l->n, sizeof *counts);
    if (!counts) return lf_no_memory(err, "the counts of %lld classes", (long long)l->n);
    for (int64_t i = 0; i < l->count; i++) counts[l->class_of(l->data, i)]++;
    for (int64_t c = 0; c < l->n; c++) {
        if (counts[c] > 1) continue;
        rare++;
        lf_list_append(list, sizeof list, l->classes[c]);
    }
    lf_free(counts);
    if (rare)
        lf_warn("train_data: %s: %lld of %lld classes have one example or none: %s", l->path, (long long)rare,
                (long long)l->n, list);
    return LF_OK;
}

static lf_status check_head_fits(const lf_classifier *head, const lf_data_labels *l, lf_err *err) {
    if (l->problem == head->problem && (l->problem != LF_REGRESSION || head->n_labels == l->width)) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: labels for %s, but the head that stays has %lld labels for %s; make a new head",
                   l->path, lf_problem_name(l->problem), (long long)head->n_labels, lf_problem_name(head->problem));
}

/* Labels of what the model knew before: of classes accuracy says how much is forgotten, or neighbours do. */
static lf_status check_base(const lf_task *t, const lf_data_labels *l, lf_err *err) {
    const lf_classifier *head = &t->model->base_head;
    if (head->module && head->problem == LF_REGRESSION)
        return lf_fail(err, LF_EUNSUPPORTED,
                       "key 'forgetting_data': %s has labels, and the head of %s says numbers (problem_type "
                       "regression), of which forgetting is not measured; leave forgetting_data out, or give text "
                       "without labels to a model that says words",
                       l->path, t->model->path);
    if (t->model->base_head.module || l->problem == LF_SINGLE_LABEL) return LF_OK;
    return lf_fail(err, LF_EDATA,
                   "key 'forgetting_data': %s: labels for %s, but the model has no head of its own, and nearest "
                   "neighbours need one class each; give data with one",
                   l->path, lf_problem_name(l->problem));
}

/* What is judged has as many numbers of each example as the training data have, or the head that is judged. */
static lf_status check_width(const lf_task *t, lf_data_role role, const lf_data_labels *l, lf_err *err) {
    const lf_classifier *head = &t->model->base_head;
    lf_data_labels trained;
    const bool by_data = !lf_data_is_base(role) && t->source->labels(t, LF_DATA_TRAIN, &trained);
    if (l->problem != LF_REGRESSION) return LF_OK;
    const lf_status rc =
        by_data || lf_data_is_base(role) ? LF_OK : lf_head_in_use(&head, t->model, t->cfg, "key 'data'", err);
    const int64_t expected = rc ? 0 : by_data ? trained.width : head->n_labels;
    if (rc || expected == l->width) return rc;
    return lf_fail(err, LF_EDATA, "%s: %lld numbers as label of each example, expected %lld, as %s", l->path,
                   (long long)l->width, (long long)expected, by_data ? "the training data have" : "the head says");
}

lf_status lf_classes_opened(lf_task *t, lf_data_role role, lf_err *err) {
    lf_data_labels l;
    if (!lf_task_reads_labels(t, role) || role == LF_DATA_KL || !t->source->labels(t, role, &l)) return LF_OK;
    if (role == LF_DATA_REPLAY && old_head(t)) return check_head_fits(old_head(t), &l, err);
    const lf_status rc = lf_data_is_base(role) ? check_base(t, &l, err) : LF_OK;
    if (rc || role != LF_DATA_TRAIN) return rc ? rc : check_width(t, role, &l, err);
    if (l.problem != LF_SINGLE_LABEL)
        lf_config_say_no_effect(t->cfg, "label_smoothing_factor", "where labels are not one class each");
    if (l.problem != LF_SINGLE_LABEL && lf_task_balances(t))
        return lf_cfg_fail(t->cfg, LF_sampler, err, "is of examples with one class each; the labels of %s are for %s",
                           l.path, lf_problem_name(l.problem));
    say_classes(&l);
    return lf_classes_head_stays(t) ? check_head_fits(&t->model->head, &l, err) : warn_of_rare(&l, err);
}

/* ---- whose they are ---- */

static lf_status take(const lf_classifier *head, const char *const **names, int64_t *n) {
    *names = head->labels;
    *n = head->n_labels;
    return LF_OK;
}

/* Training data name their classes themselves, unless the head stays; so do data of the base's, where it has no head of
 * its own. What is judged goes by the labels of the training data; where nothing is trained, by those of the head that
 * is judged. */
lf_status lf_classes_labels(const lf_task *t, lf_data_role role, lf_key_id key, const char *const **names, int64_t *n,
                            lf_err *err) {
    const lf_model *m = t->model;
    const lf_classifier *head;
    lf_data_labels trained;
    (void)key;
    *names = NULL;
    if (!lf_task_reads_labels(t, role)) return LF_OK;
    if (role == LF_DATA_TRAIN) return lf_classes_head_stays(t) ? take(&m->head, names, n) : LF_OK;
    if (role == LF_DATA_REPLAY && old_head(t)) return take(old_head(t), names, n);
    if (is_of_base(t, role)) return m->base_head.module ? take(&m->base_head, names, n) : LF_OK;
    if (t->source->labels(t, LF_DATA_TRAIN, &trained) && trained.classes) {
        *names = trained.classes;
        *n = trained.n;
        return LF_OK;
    }
    const lf_status rc = lf_head_in_use(&head, m, t->cfg, "key 'data'", err);
    return rc ? rc : take(head, names, n);
}

/* ---- heads ---- */

static lf_status new_head(lf_task *t, const char *const *names, int64_t n, lf_problem p, lf_err *err) {
    const lf_status rc = lf_model_new_head(t->model, n, names, (uint64_t)lf_cfg_i64(t->cfg, LF_seed), err);
    if (!rc) t->model->head.problem = p;
    return rc;
}

/* For measuring speed: where the model has none, one with so many labels as are usual. */
static lf_status random_head(lf_task *t, lf_err *err) {
    enum { OF_PICTURES = 100, OF_TEXTS = 2 };
    char text[OF_PICTURES][24];
    const char *names[OF_PICTURES];
    if (t->model->base_head.module && t->model->base_head.problem == LF_SINGLE_LABEL)
        return lf_model_train_head(t->model, err);
    for (int i = 0; i < OF_PICTURES; i++) {
        snprintf(text[i], sizeof text[i], "LABEL_%d", i);
        names[i] = text[i];
    }
    return new_head(t, names, t->type->input == LF_PIXELS ? OF_PICTURES : OF_TEXTS, LF_SINGLE_LABEL, err);
}

static lf_status fit_head(lf_task *t, lf_err *err) {
    static const char *const of_a_number[] = {"LABEL_0"}; /* its one label, which transformers gives this name */
    lf_data_labels l;
    if (!t->source->labels(t, LF_DATA_TRAIN, &l)) return random_head(t, err);
    if (t->keeps_head) return LF_OK;
    if (lf_cfg_bool(t->cfg, LF_reuse_head)) return lf_model_train_head(t->model, err);
    if (t->model->family->unclassified)
        lf_warn("%s: transformers has no ...ForSequenceClassification of model_type '%s': what is trained is read by "
                "lora-ft, but neither by PEFT nor by transformers",
                t->model->path, t->model->family->model_type);
    if (l.problem != LF_REGRESSION) return new_head(t, l.classes, l.n, l.problem, err);
    return new_head(t, l.numbers ? l.numbers : of_a_number, l.width, l.problem, err);
}

lf_status lf_classes_prepare(lf_task *t, lf_err *err) {
    const lf_status rc = fit_head(t, err);
    return rc ? rc : lf_classes_weigh(t, err);
}

/* ---- the loss ---- */

/* What a row is its own label's; the rest is its partner's. */
static double own_share(const lf_example_batch *b) { return b->partners ? b->share : 1; }

/* What the targets weigh together. */
static double weight_of(const lf_example_batch *b, const float *weights) {
    const double own = own_share(b);
    double sum = 0;
    for (int64_t i = 0; weights && i < b->in.B; i++) {
        if (b->labels[i] < 0) continue;
        sum += own * (double)weights[b->labels[i]];
        if (own < 1) sum += (1 - own) * (double)weights[b->partners[i]];
    }
    return weights ? sum : (double)b->targets;
}

/* Of pictures that are mixed: so much of the loss of each one's label, and the rest of its partner's. */
static lf_tensor *class_loss(const lf_task *t, lf_tensor *logits, const lf_example_batch *b, const float *weights) {
    const double smoothing = lf_cfg_f64(t->cfg, LF_label_smoothing_factor), own = own_share(b);
    lf_tensor *loss = own > 0 ? lf_weighted_cross_entropy(t->g, logits, b->labels, weights, 1 / own, smoothing) : NULL;
    if (own >= 1) return loss;
    lf_tensor *other = lf_weighted_cross_entropy(t->g, logits, b->partners, weights, 1 / (1 - own), smoothing);
    return loss ? lf_add(t->g, loss, other) : other;
}

/* As transformers has it: of several labels the mean over all of them, of numbers the squared difference. */
lf_tensor *lf_classes_loss(lf_task *t, const lf_example_batch *b, lf_loss_counts *counts) {
    const lf_classifier *head = b->old && old_head(t) ? old_head(t) : &t->model->head;
    const lf_pass pass = {
        .in = b->in, .head = head == &t->model->head ? NULL : head, .prefix = lf_prefix_for(t->prefix, b)};
    const int64_t V = head->n_labels;
    lf_tensor *features = lf_model_features(t->model, t->g, &pass);
    lf_tensor *logits = lf_model_logits(t->g, head->module, features);
    lf_done(t->g, features);
    const float *weights = b->old ? NULL : t->class_weights; /* they are of the new task's classes */
    *counts = (lf_loss_counts){.targets = b->targets, .weight = weight_of(b, weights)};
    if (head->problem == LF_MULTI_LABEL) return lf_bce_loss(t->g, logits, b->values, (double)V);
    if (head->problem == LF_REGRESSION) return lf_mse_loss(t->g, logits, b->values, (double)V);
    for (int64_t i = 0; logits && i < b->in.B; i++)
        counts->correct += lf_argmax((const float *)logits->data + i * V, V) == b->labels[i];
    return class_loss(t, logits, b, weights);
}

/* ---- judging ---- */

lf_status lf_classes_evaluate(lf_task *t, lf_accuracy *out, lf_model *m, lf_data_role role, const char *save,
                              lf_err *err) {
    const lf_eval_opts o = lf_task_judge_opts(t, role, "evaluate");
    const lf_classifier *head;
    lf_examples *e;
    lf_status rc;
    if ((rc = lf_head_in_use(&head, m, t->cfg, "key 'data'", err)) || (rc = t->source->examples(t, role, &e, err)))
        return rc;
    rc = save ? lf_evaluate_saving(out, m, t->g, head->module, e, &o, save, err)
              : lf_evaluate(out, m, t->g, head->module, e, &o, NULL, NULL, err);
    if (!rc) out->targets = out->count;
    return rc;
}

/* ---- results ---- */

double lf_classes_chance(const lf_model *m, bool base) {
    const lf_classifier *head = base ? &m->base_head : &m->head;
    if (base && !head->module) return NAN; /* by neighbours: the classes are those of the data */
    return head->problem == LF_SINGLE_LABEL ? 1 / (double)head->n_labels : 0;
}

void lf_classes_compare(lf_results *r) {
    r->base_before = r->before.accuracy;
    r->base_after = r->after.accuracy;
    r->forgetting = r->base_before > 0 ? r->base_before - r->base_after : NAN; /* nothing known, nothing forgotten */
    r->retention = r->base_before > 0 ? r->base_after / r->base_before : NAN;
}

void lf_classes_say_new(char *text, size_t size, const lf_accuracy *a) {
    const size_t n = strlen(text);
    if (a) snprintf(text + n, size - n, "accuracy %.4f  loss %.4f  ", a->accuracy, a->loss);
}

void lf_classes_say_base(char *text, size_t size, const lf_base_score *base) {
    size_t n = strlen(text);
    if (!base) return;
    snprintf(text + n, size - n, "base task%s %.4f", base->by_neighbours ? ", by neighbours" : "", base->accuracy);
    n = strlen(text);
    if (isfinite(base->kl)) snprintf(text + n, size - n, "  KL %.5f", base->kl);
}

void lf_classes_say(char *text, size_t size, const lf_accuracy *a, const lf_base_score *base) {
    text[0] = 0;
    lf_classes_say_new(text, size, a);
    lf_classes_say_base(text, size, base);
}
