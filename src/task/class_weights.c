/* Weights of classes in the training loss, as torch's CrossEntropyLoss(weight): an example's loss is multiplied by its
 * class's, and a step divides by the sum of those. */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "task/classes.h"
#include "task/source.h"

static lf_status unfit(const lf_task *t, lf_err *err) {
    const lf_classifier *head = &t->model->head;
    return lf_cfg_fail(t->cfg, LF_class_weights, err,
                       "expected balanced, or a list of %lld numbers above 0, one for each class in the order of the "
                       "labels (the first is '%s', the last '%s')",
                       (long long)head->n_labels, head->labels[0], head->labels[head->n_labels - 1]);
}

static lf_status take_list(const lf_task *t, const cJSON *list, lf_err *err) {
    const cJSON *item;
    int64_t n = 0;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != t->model->head.n_labels) return unfit(t, err);
    cJSON_ArrayForEach(item, list) {
        const float w = cJSON_IsNumber(item) ? (float)item->valuedouble : 0;
        if (!(w > 0 && w <= 1e6f)) return unfit(t, err);
        t->class_weights[n++] = w;
    }
    return LF_OK;
}

/* As scikit-learn's: examples / (classes * examples of the class), of the classes that have any; 1 of the others. */
static lf_status balance(const lf_task *t, const lf_data_labels *l, lf_err *err) {
    const int64_t V = t->model->head.n_labels;
    int64_t *counts = lf_calloc((size_t)V, sizeof *counts), present = 0;
    if (!counts) return lf_no_memory(err, "the counts of %lld classes", (long long)V);
    for (int64_t i = 0; i < l->count; i++) counts[l->class_of(l->data, i)]++;
    for (int64_t c = 0; c < V; c++) present += counts[c] > 0;
    for (int64_t c = 0; c < V; c++)
        t->class_weights[c] = counts[c] ? (float)((double)l->count / ((double)present * (double)counts[c])) : 1;
    lf_free(counts);
    return LF_OK;
}

static void say(const lf_task *t) {
    const lf_classifier *head = &t->model->head;
    int64_t low = 0, high = 0;
    for (int64_t c = 1; c < head->n_labels; c++) {
        if (t->class_weights[c] < t->class_weights[low]) low = c;
        if (t->class_weights[c] > t->class_weights[high]) high = c;
    }
    lf_info("class_weights: from %.4g ('%s') to %.4g ('%s')", (double)t->class_weights[low], head->labels[low],
            (double)t->class_weights[high], head->labels[high]);
}

/* Weights that are all 1 are none: the same bytes. */
static bool all_one(const float *w, int64_t n) {
    while (n > 0 && w[n - 1] == 1) n--;
    return n == 0;
}

lf_status lf_classes_weigh(lf_task *t, lf_err *err) {
    const cJSON *asked = lf_cfg_json(t->cfg, LF_class_weights);
    const char *word = cJSON_GetStringValue(asked);
    lf_data_labels l;
    if (!asked || !t->source->labels(t, LF_DATA_TRAIN, &l)) return LF_OK;
    if (l.problem != LF_SINGLE_LABEL)
        return lf_cfg_fail(t->cfg, LF_class_weights, err,
                           "are of examples with one class each; the labels of %s are for %s", l.path,
                           lf_problem_name(l.problem));
    t->class_weights = lf_calloc((size_t)t->model->head.n_labels, sizeof *t->class_weights);
    if (!t->class_weights) return lf_no_memory(err, "class_weights");
    const lf_status rc = word && strcmp(word, "balanced") == 0 ? balance(t, &l, err) : take_list(t, asked, err);
    if (rc) return rc;
    say(t);
    if (word && lf_task_balances(t))
        lf_warn("class_weights balanced and sampler balanced each make up for rare classes: together they count twice");
    if (!all_one(t->class_weights, t->model->head.n_labels)) return LF_OK;
    lf_free(t->class_weights);
    t->class_weights = NULL;
    return LF_OK;
}
