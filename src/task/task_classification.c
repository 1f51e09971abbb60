/* The task of saying what a text is, or what is true of two: a class, several classes, or a number, by a head on the
 * model's features of it. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/slice.h"
#include "eval/eval_internal.h"
#include "task/classes.h"
#include "task/language.h"

enum { RANDOM_LABELS = 2 }; /* of the head that a model without one gets for measuring speed */

/* What a run is judged by follows from what its labels are and from what the base is judged by. */
static const lf_task_type numbers, numbers_beside_text, classes_beside_text;

static bool base_is_text(const lf_task *t) {
    const lf_text_dataset *base = lf_language_of(t)->data[LF_DATA_BASE];
    return base && !lf_text_dataset_is(base, LF_TEXT_CLASSIFIED);
}

static lf_output_kind base_output(const lf_task *t) {
    return !base_is_text(t) ? LF_CLASSES : lf_model_says(t->model, LF_MASKED_TOKEN) ? LF_MASKED_TOKEN : LF_NEXT_TOKEN;
}

/* ---- what the labels are ---- */

/* The key decides; else the head that stays, or is judged; else, of what is judged, the training data. */
static bool problem(const lf_task *t, lf_data_role role, lf_problem *out) {
    const lf_text_dataset *trained = lf_language_of(t)->data[LF_DATA_TRAIN];
    const lf_model *m = t->model;
    const lf_classifier *head = NULL;
    if (role == LF_DATA_BASE) {
        *out = m->base_head.problem;
        return m->base_head.module;
    }
    if (lf_problem_named(out, lf_cfg_str(t->cfg, LF_problem_type))) return true;
    if (trained && role != LF_DATA_TRAIN) {
        *out = lf_text_dataset_problem(trained);
        return true;
    }
    if (role == LF_DATA_TRAIN ? !lf_classes_head_stays(t)
                              : lf_head_in_use(&head, m, t->cfg, "key 'data'", NULL) != LF_OK)
        return false;
    *out = head ? head->problem : m->head.problem;
    return true;
}

static const lf_task_type *type_for(const lf_task *t, lf_problem p) {
    const bool text = base_is_text(t);
    if (p == LF_REGRESSION) return text ? &numbers_beside_text : &numbers;
    return text ? &classes_beside_text : &lf_task_classification;
}

static bool judged_by_numbers(const lf_task *t) { return t->type == &numbers || t->type == &numbers_beside_text; }

static void say_classes(const lf_text_dataset *d) {
    int64_t n;
    char list[200] = "";
    const char *const *names = lf_text_dataset_classes(d, &n);
    for (int64_t i = 0; i < n; i++) lf_list_append(list, sizeof list, names[i]);
    if (lf_text_dataset_problem(d) == LF_REGRESSION)
        lf_info("%s: the labels are numbers (problem_type regression)", lf_text_dataset_path(d));
    else
        lf_info("%s: %lld classes%s: %s", lf_text_dataset_path(d), (long long)n,
                lf_text_dataset_problem(d) == LF_MULTI_LABEL ? ", several of which may hold (problem_type "
                                                               "multi_label_classification)"
                                                             : "",
                list);
    if (names && n == 1 && lf_text_dataset_problem(d) == LF_SINGLE_LABEL)
        lf_warn("train_data: %s: there is one class alone, '%s', so there is nothing to tell apart",
                lf_text_dataset_path(d), names[0]);
}

/* Of one class with one example nothing can be learned and judged too. */
static lf_status warn_of_rare(const lf_text_dataset *d, lf_err *err) {
    int64_t n, rare = 0;
    char list[200] = "";
    const char *const *names = lf_text_dataset_classes(d, &n);
    if (!names || lf_text_dataset_problem(d) != LF_SINGLE_LABEL) return LF_OK;
    int64_t *counts = lf_calloc((size_t)n, sizeof *counts);
    if (!counts) return lf_no_memory(err, "the counts of %lld classes", (long long)n);
    for (int64_t i = 0; i < lf_text_dataset_count(d); i++) counts[lf_text_dataset_class(d, i)]++;
    for (int64_t c = 0; c < n; c++) {
        if (counts[c] > 1) continue;
        rare++;
        lf_list_append(list, sizeof list, names[c]);
    }
    lf_free(counts);
    if (rare)
        lf_warn("train_data: %s: %lld of %lld classes have one example or none: %s", lf_text_dataset_path(d),
                (long long)rare, (long long)n, list);
    return LF_OK;
}

static lf_status check_head_fits(const lf_task *t, lf_data_role role, const lf_text_dataset *d, lf_err *err) {
    const lf_classifier *head = &t->model->head;
    const lf_problem p = lf_text_dataset_problem(d);
    if (role != LF_DATA_TRAIN || !lf_classes_head_stays(t)) return LF_OK;
    if (p == head->problem && (p != LF_REGRESSION || head->n_labels == 1)) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: labels for %s, but the head that stays has %lld labels for %s; make a new head",
                   lf_text_dataset_path(d), lf_problem_name(p), (long long)head->n_labels,
                   lf_problem_name(head->problem));
}

static lf_status opened(lf_task *t, lf_data_role role, const lf_text_dataset *d, lf_err *err) {
    const bool labelled = lf_text_dataset_is(d, LF_TEXT_CLASSIFIED);
    if (role == LF_DATA_BASE && !labelled && !lf_model_says(t->model, LF_NEXT_TOKEN) &&
        !lf_model_says(t->model, LF_MASKED_TOKEN))
        return lf_fail(
            err, LF_EDATA,
            "key 'forgetting_data': %s has no labels, and %s no head of the vocabulary to read it with; give "
            "data with a label, which nearest neighbours are found for",
            lf_text_dataset_path(d), t->model->path);
    t->type = type_for(t, role != LF_DATA_BASE   ? lf_text_dataset_problem(d)
                          : judged_by_numbers(t) ? LF_REGRESSION
                                                 : LF_SINGLE_LABEL);
    if (!labelled || role != LF_DATA_TRAIN) return LF_OK;
    if (lf_text_dataset_problem(d) != LF_SINGLE_LABEL)
        lf_config_say_no_effect(t->cfg, "label_smoothing_factor", "where labels are not one class each");
    say_classes(d);
    const lf_status rc = warn_of_rare(d, err);
    return rc ? rc : check_head_fits(t, role, d, err);
}

/* ---- labels and heads ---- */

static lf_status new_head(lf_task *t, const char *const *names, int64_t n, lf_problem p, lf_err *err) {
    const lf_status rc = lf_model_new_head(t->model, n, names, (uint64_t)lf_cfg_i64(t->cfg, LF_seed), err);
    if (!rc) t->model->head.problem = p;
    return rc;
}

/* Numbers have one label, which transformers gives this name. */
static const char *const of_a_number[] = {"LABEL_0"};

/* For measuring speed. */
static lf_status random_head(lf_task *t, lf_err *err) {
    static const char *const names[RANDOM_LABELS] = {"LABEL_0", "LABEL_1"};
    if (t->model->base_head.module && t->model->base_head.problem == LF_SINGLE_LABEL)
        return lf_model_train_head(t->model, err);
    return new_head(t, names, RANDOM_LABELS, LF_SINGLE_LABEL, err);
}

static lf_status prepare(lf_task *t, lf_err *err) {
    const lf_text_dataset *d = lf_language_of(t)->data[LF_DATA_TRAIN];
    int64_t n;
    if (!d) return random_head(t, err);
    if (t->keeps_head) return LF_OK;
    if (lf_cfg_bool(t->cfg, LF_reuse_head)) return lf_model_train_head(t->model, err);
    const lf_problem p = lf_text_dataset_problem(d);
    const char *const *names = p == LF_REGRESSION ? of_a_number : t->source->classes(t, &n);
    return new_head(t, names, p == LF_REGRESSION ? 1 : n, p, err);
}

/* ---- the loss ---- */

/* As transformers has it: of several labels the mean over all of them, of numbers the squared difference. */
static lf_tensor *loss(lf_task *t, const lf_example_batch *b, lf_loss_counts *counts) {
    const lf_pass pass = {.in = b->in};
    const lf_classifier *head = &t->model->head;
    const int64_t V = head->n_labels;
    lf_tensor *features = lf_model_features(t->model, t->g, &pass);
    lf_tensor *logits = lf_model_logits(t->g, head->module, features);
    lf_done(t->g, features);
    *counts = (lf_loss_counts){.targets = b->targets};
    if (head->problem == LF_MULTI_LABEL) return lf_bce_loss(t->g, logits, b->values, (double)V);
    if (head->problem == LF_REGRESSION) return lf_mse_loss(t->g, logits, b->values, (double)V);
    for (int64_t i = 0; logits && i < b->in.B; i++)
        counts->correct += lf_argmax((const float *)logits->data + i * V, V) == b->labels[i];
    return lf_cross_entropy(t->g, logits, b->labels, 1, lf_cfg_f64(t->cfg, LF_label_smoothing_factor));
}

/* ---- results ---- */

static double chance(const lf_model *m, bool base) {
    if (base) return m->base_head.module ? 1 / (double)m->base_head.n_labels : NAN;
    return m->head.problem == LF_SINGLE_LABEL ? 1 / (double)m->head.n_labels : 0;
}

static double chance_beside_text(const lf_model *m, bool base) {
    return base ? (double)m->tokens.vocab_size : chance(m, false);
}

static void say_base(char *text, size_t size, const lf_base_score *base) {
    const size_t n = strlen(text);
    snprintf(text + n, size - n, isfinite(base->kl) ? "base task %.4f  KL %.5f" : "base task, by neighbours %.4f",
             base->accuracy, base->kl);
}

static void say_text(char *text, size_t size, const lf_base_score *base) {
    const size_t n = strlen(text);
    snprintf(text + n, size - n, "pretraining text %.4g", exp(base->loss));
    if (isfinite(base->kl)) snprintf(text + strlen(text), size - strlen(text), "  KL %.5f", base->kl);
}

static void say_new(char *text, size_t size, const lf_accuracy *a) {
    text[0] = 0;
    if (a) snprintf(text, size, "accuracy %.4f  loss %.4f  ", a->accuracy, a->loss);
}

static void say_new_numbers(char *text, size_t size, const lf_accuracy *a) {
    text[0] = 0;
    if (a) snprintf(text, size, "Pearson %.4f  Spearman %.4f  loss %.4f  ", a->pearson, a->spearman, a->loss);
}

#define SAY(name, of_new, of_base)                                                                                     \
    static void name(char *text, size_t size, const lf_accuracy *a, const lf_base_score *base) {                       \
        of_new(text, size, a);                                                                                         \
        if (base) of_base(text, size, base);                                                                           \
    }
SAY(say_classes_and_base, say_new, say_base)
SAY(say_classes_and_text, say_new, say_text)
SAY(say_numbers_and_base, say_new_numbers, say_base)
SAY(say_numbers_and_text, say_new_numbers, say_text)

#define CLASSIFICATION(best, yardstick, what_base, chance_of, compared, said)                                          \
    {                                                                                                                  \
        .best_metric = best, .auto_class = "AutoModelForSequenceClassification", .peft_task_type = "SEQ_CLS",          \
        .base_data = what_base, .input = LF_TOKENS, .output = LF_CLASSES, .base_output = base_output,                  \
        .problem = problem, .opened = opened, .labels = lf_classes_labels, .prepare = prepare, .loss = loss,           \
        .evaluate = lf_classes_evaluate, .judged_by = yardstick, .chance = chance_of, .compare = compared, .say = said \
    }

const lf_task_type lf_task_classification =
    CLASSIFICATION("accuracy", LF_BY_ACCURACY, "base task", chance, lf_classes_compare, say_classes_and_base);
static const lf_task_type classes_beside_text =
    CLASSIFICATION("accuracy", LF_BY_ACCURACY_BESIDE_TEXT, "pretraining text", chance_beside_text,
                   lf_results_compare_text, say_classes_and_text);
static const lf_task_type numbers =
    CLASSIFICATION("pearson", LF_BY_CORRELATION, "base task", chance, lf_classes_compare, say_numbers_and_base);
static const lf_task_type numbers_beside_text =
    CLASSIFICATION("pearson", LF_BY_CORRELATION_BESIDE_TEXT, "pretraining text", chance_beside_text,
                   lf_results_compare_text, say_numbers_and_text);
