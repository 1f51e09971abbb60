/* The scorer of classes: a head on the features of whatever goes in; and the features alone. */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "eval/counted.h"
#include "eval/eval.h"
#include "eval/eval_internal.h"
#include "eval/score.h"

int64_t lf_argmax(const float *x, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

double lf_log_sum_exp(const float *x, int64_t n) {
    const double most = (double)x[lf_argmax(x, n)];
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += exp((double)x[i] - most);
    return most + log(sum);
}

double lf_count_accuracy(const lf_class_counts *c) {
    int64_t are = 0, right = 0;
    for (int64_t k = 0; k < c->n; k++) {
        are += c->are[k];
        right += c->right[k];
    }
    return are ? (double)right / (double)are : NAN;
}

typedef struct scoring {
    lf_model *m;
    lf_graph *g;
    lf_module *head; /* NULL: features alone */
    const lf_examples *e;
    bool base;
    int64_t room;             /* rows that the next three have room for */
    float *features, *logits; /* of one batch */
    lf_label_score *scores;
    lf_class_counts classes; /* its arrays are one piece of memory, at `are` */
    lf_eval_visit visit;
    void *context;
} scoring;

static void free_room(scoring *s) {
    lf_aligned_free(s->features);
    lf_aligned_free(s->logits);
    lf_free(s->scores);
    s->features = s->logits = NULL;
    s->scores = NULL;
    s->room = 0;
}

static lf_status make_room(scoring *s, int64_t rows, lf_err *err) {
    if (rows <= s->room) return LF_OK;
    free_room(s);
    s->features = lf_aligned_alloc((size_t)(rows * lf_model_feature_width(s->m)) * sizeof *s->features);
    if (!s->features) return lf_no_memory(err, "a batch's features");
    if (s->head) {
        s->logits = lf_aligned_alloc((size_t)(rows * s->head->out) * sizeof *s->logits);
        s->scores = lf_calloc((size_t)rows, sizeof *s->scores);
        if (!s->logits || !s->scores) return lf_no_memory(err, "a batch's logits");
    }
    s->room = rows;
    return LF_OK;
}

static lf_status forward(scoring *s, const lf_example_batch *b, lf_err *err) {
    const lf_kernels *k = lf_graph_kernels(s->g);
    const lf_pass pass = {
        .in = b->in, .base = s->base, .head = s->head == s->m->base_head.module ? &s->m->base_head : &s->m->head};
    lf_graph_begin(s->g, false, false, 0);
    lf_tensor *features = lf_model_features(s->m, s->g, &pass);
    const lf_tensor *logits = s->head ? lf_model_logits(s->g, s->head, features) : NULL;
    const lf_status rc = lf_graph_status(s->g, err);
    if (rc) return rc;
    k->to_f32(s->features, features->data, features->numel);
    if (logits) k->to_f32(s->logits, logits->data, logits->numel);
    return LF_OK;
}

static lf_status score_row(scoring *s, const lf_example_batch *b, int64_t row, lf_err *err) {
    const int64_t V = s->head->out;
    const int32_t label = b->labels[row];
    const float *logits = s->logits + row * V;
    const double lse = lf_log_sum_exp(logits, V);
    char name[512];
    if (!isfinite(lse))
        return lf_fail(err, LF_EDIVERGED, "%s: the logits are not finite; are the weights?",
                       s->e->name(s->e->data, b->indices[row], name, sizeof name));
    if (label >= V)
        return lf_fail(err, LF_EDATA, "%s: label %d, but the head '%s' has %lld classes",
                       s->e->name(s->e->data, b->indices[row], name, sizeof name), label, s->head->name, (long long)V);
    s->scores[row] = (lf_label_score){0};
    if (label < 0) return LF_OK;
    const int64_t taken = lf_argmax(logits, V);
    s->classes.are[label]++;
    s->classes.taken[taken]++;
    s->classes.right[taken] += taken == label;
    s->scores[row] = (lf_label_score){.target = true, .correct = taken == label, .nll = lse - (double)logits[label]};
    return LF_OK;
}

static lf_status score(void *context, const lf_example_batch *b, const lf_label_score **scores, int64_t *n,
                       lf_err *err) {
    scoring *s = context;
    lf_status rc;
    if ((rc = make_room(s, b->in.B, err)) || (rc = forward(s, b, err))) return rc;
    for (int64_t i = 0; i < b->in.B; i++)
        if ((rc = score_row(s, b, i, err))) return rc;
    *scores = s->scores;
    *n = b->in.B;
    return s->visit ? s->visit(s->context, b, s->features, s->logits, s->head->out, err) : LF_OK;
}

static lf_status check_features(const scoring *s, const lf_example_batch *b, lf_err *err) {
    const int64_t width = lf_model_feature_width(s->m);
    char name[512];
    for (int64_t i = 0; i < b->in.B * width; i++)
        if (!isfinite(s->features[i]))
            return lf_fail(err, LF_EDIVERGED, "%s: the features are not finite; are the weights?",
                           s->e->name(s->e->data, b->indices[i / width], name, sizeof name));
    return LF_OK;
}

static lf_status look(void *context, const lf_example_batch *b, const lf_label_score **scores, int64_t *n,
                      lf_err *err) {
    scoring *s = context;
    lf_status rc;
    *scores = NULL;
    *n = 0;
    if ((rc = make_room(s, b->in.B, err)) || (rc = forward(s, b, err)) || (rc = check_features(s, b, err))) return rc;
    return s->visit(s->context, b, s->features, NULL, 0, err);
}

static void say(const lf_score_sum *sum, char *text, size_t size) {
    snprintf(text, size, "accuracy %.4f", (double)sum->correct / (double)sum->targets);
}

lf_status lf_evaluate(lf_accuracy *out, lf_model *m, lf_graph *g, lf_module *head, lf_examples *e,
                      const lf_eval_opts *opts, lf_eval_visit visit, void *context, lf_err *err) {
    if (!head || !(lf_nn_is_frozen(head) || head->weight->tensor.data))
        return lf_fail(err, LF_EDATA,
                       "%s: the model has no classification head; train one, or give an adapter with one", m->path);
    scoring s = {.m = m, .g = g, .head = head, .e = e, .base = opts->base, .visit = visit, .context = context};
    lf_score_sum sum;
    const int64_t V = head->out;
    int64_t *counts = lf_calloc((size_t)(3 * V), sizeof *counts);
    if (!counts) return lf_no_memory(err, "the counts of %lld classes", (long long)V);
    s.classes = (lf_class_counts){V, counts, counts + V, counts + 2 * V};
    const lf_status rc = lf_score_examples(&sum, e, &(lf_scorer){&s, score, say}, opts, err);
    if (!rc) {
        *out = (lf_accuracy){
            .count = sum.examples, .skipped = sum.skipped, .loss = sum.targets ? sum.nll / (double)sum.targets : NAN};
        lf_count_all(out->counted, &s.classes);
        out->accuracy = out->counted[LF_COUNTED_accuracy];
    }
    free_room(&s);
    lf_free(counts);
    return rc;
}

lf_status lf_evaluate_features(lf_model *m, lf_graph *g, lf_examples *e, const lf_eval_opts *opts, lf_eval_visit visit,
                               void *context, lf_err *err) {
    scoring s = {.m = m, .g = g, .e = e, .base = opts->base, .visit = visit, .context = context};
    lf_score_sum sum;
    const lf_status rc = lf_score_examples(&sum, e, &(lf_scorer){&s, look, say}, opts, err);
    free_room(&s);
    return rc;
}
