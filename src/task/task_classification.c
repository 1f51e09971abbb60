/* The task of saying what a text is, or what is true of two: a class, several classes, or a number, by a head on the
 * model's features of it. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "task/classes.h"
#include "task/kl.h"
#include "task/language.h"

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

static const lf_task_type *type_for(const lf_task *t, lf_problem p) {
    const bool text = base_is_text(t);
    if (p == LF_REGRESSION) return text ? &numbers_beside_text : &numbers;
    return text ? &classes_beside_text : &lf_task_classification;
}

static bool judged_by_numbers(const lf_task *t) { return t->type == &numbers || t->type == &numbers_beside_text; }

/* Of texts without labels, whose words the model is asked for: has it a head for them? */
static lf_status check_words(const lf_task *t, lf_err *err) {
    if (lf_model_says(t->model, LF_NEXT_TOKEN) || lf_model_says(t->model, LF_MASKED_TOKEN)) return LF_OK;
    return lf_fail(err, LF_EDATA,
                   "key 'forgetting_data': %s has no labels, and %s no head of the vocabulary to read it with; give "
                   "data with a label, which nearest neighbours are found for",
                   lf_text_dataset_path(lf_language_of(t)->data[LF_DATA_BASE]), t->model->path);
}

static lf_status opened(lf_task *t, lf_data_role role, lf_err *err) {
    lf_data_labels l;
    if (!lf_task_reads_labels(t, role) || role == LF_DATA_KL) return LF_OK; /* those of KL are classes of the base's */
    const bool labelled = t->source->labels(t, role, &l);
    const lf_status rc = labelled ? LF_OK : check_words(t, err);
    if (rc) return rc;
    t->type = type_for(t, !lf_data_is_base(role) ? l.problem : judged_by_numbers(t) ? LF_REGRESSION : LF_SINGLE_LABEL);
    return lf_classes_opened(t, role, err);
}

/* ---- results ---- */

static double chance_beside_text(const lf_model *m, bool base) {
    return base ? (double)m->tokens.table->in : lf_classes_chance(m, false);
}

static void say_text(char *text, size_t size, const lf_base_score *base) {
    const size_t n = strlen(text);
    snprintf(text + n, size - n, "pretraining text %.4g", exp(base->loss));
    if (isfinite(base->kl)) snprintf(text + strlen(text), size - strlen(text), "  KL %.5f", base->kl);
}

static void say_new_numbers(char *text, size_t size, const lf_accuracy *a) {
    if (a) snprintf(text, size, "Pearson %.4f  Spearman %.4f  loss %.4f  ", a->pearson, a->spearman, a->loss);
}

#define SAY(name, of_new, of_base)                                                                                     \
    static void name(char *text, size_t size, const lf_accuracy *a, const lf_base_score *base) {                       \
        text[0] = 0;                                                                                                   \
        of_new(text, size, a);                                                                                         \
        if (base) of_base(text, size, base);                                                                           \
    }
SAY(say_classes_and_text, lf_classes_say_new, say_text)
SAY(say_numbers_and_base, say_new_numbers, lf_classes_say_base)
SAY(say_numbers_and_text, say_new_numbers, say_text)

#define CLASSIFICATION(best, yardstick, what_base, chance_of, compared, said)                                          \
    {                                                                                                                  \
        .best_metric = best, .auto_class = "AutoModelForSequenceClassification", .peft_task_type = "SEQ_CLS",          \
        .hub_task = "text-classification", .base_data = what_base, .input = LF_TOKENS, .output = LF_CLASSES,           \
        .base_output = base_output, .problem = lf_classes_problem, .opened = opened, .labels = lf_classes_labels,      \
        .prepare = lf_classes_prepare, .loss = lf_classes_loss, .kl = &lf_kl_classes, .evaluate = lf_classes_evaluate, \
        .judged_by = yardstick, .chance = chance_of, .compare = compared, .say = said                                  \
    }

const lf_task_type lf_task_classification =
    CLASSIFICATION("accuracy", LF_BY_ACCURACY, "base task", lf_classes_chance, lf_classes_compare, lf_classes_say);
static const lf_task_type classes_beside_text =
    CLASSIFICATION("accuracy", LF_BY_ACCURACY_BESIDE_TEXT, "pretraining text", chance_beside_text,
                   lf_results_compare_text, say_classes_and_text);
static const lf_task_type numbers = CLASSIFICATION("pearson", LF_BY_CORRELATION, "base task", lf_classes_chance,
                                                   lf_classes_compare, say_numbers_and_base);
static const lf_task_type numbers_beside_text =
    CLASSIFICATION("pearson", LF_BY_CORRELATION_BESIDE_TEXT, "pretraining text", chance_beside_text,
                   lf_results_compare_text, say_numbers_and_text);
