#include "tools/predictions.h"

#include <math.h>

#include "base/mem.h"
#include "eval/eval_internal.h"

/* Where several labels may hold, each has its score. */
void lf_predictions_of(lf_predictions *p, const lf_classifier *head, const lf_config *cfg) {
    const int64_t usual = head->problem == LF_MULTI_LABEL ? head->n_labels : 1,
                  asked = lf_cfg_is_set(cfg, LF_top_k) ? lf_cfg_i64(cfg, LF_top_k) : usual;
    p->names = head->labels;
    p->n_labels = head->n_labels;
    p->problem = head->problem;
    p->top_k = head->problem == LF_REGRESSION ? head->n_labels : asked < head->n_labels ? asked : head->n_labels;
}

bool lf_predictions_hold_class(const lf_predictions *p, int64_t i, int64_t c) {
    return p->holds ? p->holds[i * p->n_labels + c] : p->guesses[i * p->top_k].label == c;
}

lf_status lf_predictions_hold(lf_predictions *p, int64_t n, lf_err *err) {
    uint64_t all, each;
    p->indices = lf_calloc((size_t)n, sizeof *p->indices);
    p->guesses =
        lf_mul_overflow((uint64_t)n, (uint64_t)p->top_k, &all) ? NULL : lf_calloc((size_t)all, sizeof *p->guesses);
    const bool several = p->problem == LF_MULTI_LABEL;
    if (several && !lf_mul_overflow((uint64_t)n, (uint64_t)p->n_labels, &each))
        p->holds = lf_calloc((size_t)each, sizeof *p->holds);
    return p->indices && p->guesses && (p->holds || !several) ? LF_OK
                                                              : lf_no_memory(err, "%lld predictions", (long long)n);
}

void lf_predictions_free(lf_predictions *p) {
    lf_free(p->indices);
    lf_free(p->guesses);
    lf_free(p->holds);
    *p = (lf_predictions){0};
}

/* ---- guesses ---- */

/* What a logit says: the share of a class among all, how sure it is that a class holds, or the number itself. */
static double score_of(lf_problem problem, double logit, double log_sum) {
    if (problem == LF_REGRESSION) return logit;
    return problem == LF_MULTI_LABEL ? 1 / (1 + exp(-logit)) : exp(logit - log_sum);
}

bool lf_predictions_are_several_numbers(const lf_predictions *p) {
    return p->problem == LF_REGRESSION && p->n_labels > 1;
}

/* The top_k largest, the first of equals before the others; of several numbers all. */
static void choose(const lf_predictions *p, lf_guess *top, const float *logits, int64_t V) {
    const double log_sum = lf_log_sum_exp(logits, V);
    int64_t n = 0;
    if (lf_predictions_are_several_numbers(p)) {
        for (int32_t v = 0; v < V; v++) top[v] = (lf_guess){v, logits[v]};
        return;
    }
    for (int32_t v = 0; v < V; v++) {
        if (n == p->top_k && !(logits[v] > logits[top[n - 1].label])) continue;
        int64_t at = n < p->top_k ? n++ : n - 1;
        for (; at > 0 && logits[v] > logits[top[at - 1].label]; at--) top[at] = top[at - 1];
        top[at].label = v;
    }
    for (int64_t i = 0; i < n; i++) top[i].score = (float)score_of(p->problem, (double)logits[top[i].label], log_sum);
}

lf_status lf_predictions_add(void *predictions, const lf_example_batch *b, const float *features, const float *logits,
                             int64_t V, lf_err *err) {
    (void)features;
    (void)err;
    lf_predictions *p = predictions;
    for (int64_t i = 0; i < b->in.B; i++, p->count++) {
        p->indices[p->count] = b->indices[i];
        choose(p, p->guesses + p->count * p->top_k, logits + i * V, V);
        for (int64_t v = 0; v < V && p->holds; v++) p->holds[p->count * V + v] = logits[i * V + v] > 0;
    }
    return LF_OK;
}

/* ---- JSON ---- */

static void put_guess(lf_obj *o, const lf_predictions *p, const lf_guess *g) {
    if (p->problem != LF_REGRESSION) lf_obj_string(o, "label", p->names[g->label]);
    lf_obj_number(o, p->how->score, (double)g->score);
}

cJSON *lf_predictions_held(const lf_predictions *p, int64_t i) {
    lf_obj list = lf_list_new();
    for (int64_t c = 0; c < p->n_labels; c++)
        if (lf_predictions_hold_class(p, i, c)) lf_list_string(&list, p->names[c]);
    return lf_obj_take(&list);
}

static cJSON *numbers_json(const lf_predictions *p, const lf_guess *all) {
    lf_obj o = lf_obj_new();
    for (int64_t k = 0; k < p->top_k; k++) lf_obj_number(&o, p->names[k], (double)all[k].score);
    return lf_obj_take(&o);
}

static cJSON *guesses_json(const lf_predictions *p, const lf_guess *top) {
    lf_obj list = lf_list_new();
    for (int64_t k = 0; k < p->top_k; k++) {
        lf_obj one = lf_obj_new();
        put_guess(&one, p, &top[k]);
        lf_list_put(&list, lf_obj_take(&one));
    }
    return lf_obj_take(&list);
}

lf_status lf_predictions_json(cJSON **out, const lf_predictions *p, int64_t i, lf_err *err) {
    const lf_guess *top = p->guesses + i * p->top_k;
    lf_obj o = lf_obj_new();
    lf_status rc = p->how->put(&o, p, p->indices[i], err);
    const bool numbers = lf_predictions_are_several_numbers(p);
    if (!rc && !numbers) put_guess(&o, p, top);
    if (!rc && numbers) lf_obj_put(&o, "scores", numbers_json(p, top));
    if (!rc && p->holds) lf_obj_put(&o, "labels", lf_predictions_held(p, i));
    if (!rc && p->how->put_more) rc = p->how->put_more(&o, p, i, err);
    if (!rc && p->top_k > 1 && !numbers) lf_obj_put(&o, "top_k", guesses_json(p, top));
    *out = lf_obj_take(&o);
    if (!rc) return LF_OK;
    cJSON_Delete(*out);
    *out = NULL;
    return rc;
}
