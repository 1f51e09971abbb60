/* The scorer of classes: a head on the features of whatever goes in; and the features alone. */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "eval/answers.h"
#include "eval/counted.h"
#include "eval/eval.h"
#include "eval/eval_internal.h"
#include "eval/kept_rows.h"
#include "eval/score.h"
#include "stats/stats.h"

double lf_count_accuracy(const lf_class_counts *c) {
    int64_t are = 0, right = 0;
    if (c->several) return c->rows ? (double)c->exact / (double)c->rows : NAN;
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
    lf_problem problem;
    lf_kept_rows kept;       /* for figures that need all of them */
    lf_confusion *confusion; /* NULL, or without room: not asked */
    lf_class_counts classes; /* its arrays are one piece of memory, at `are` */
    lf_answers *answers;     /* NULL: not asked */
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

/* Numbers of an example that go into the head. */
static int64_t width_of(const scoring *s) { return s->head ? s->head->in : lf_model_feature_width(s->m); }

static lf_status make_room(scoring *s, int64_t rows, lf_err *err) {
    if (rows <= s->room) return LF_OK;
    free_room(s);
    s->features = lf_aligned_alloc((size_t)(rows * width_of(s)) * sizeof *s->features);
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

/* Each label by itself: yes where the logit is above 0. */
static void score_several(scoring *s, const float *logits, const float *values, lf_label_score *out) {
    const int64_t V = s->head->out;
    bool exact = true;
    *out = (lf_label_score){.target = true};
    for (int64_t v = 0; v < V; v++) {
        const bool is = values[v] > 0.5f, taken = logits[v] > 0;
        s->classes.are[v] += is;
        s->classes.taken[v] += taken;
        s->classes.right[v] += is && taken;
        exact = exact && is == taken;
        if (s->confusion && s->confusion->n) lf_confusion_count(s->confusion, v, is, taken);
        out->nll += lf_yes_or_no_loss((double)logits[v], (double)values[v]) / (double)V;
    }
    out->correct = exact;
    s->classes.exact += exact;
}

static void score_numbers(const scoring *s, const float *logits, const float *values, lf_label_score *out) {
    const int64_t V = s->head->out;
    *out = (lf_label_score){.target = true};
    for (int64_t v = 0; v < V; v++) {
        const double d = (double)logits[v] - (double)values[v];
        out->nll += d * d / (double)V;
    }
}

static lf_status keep_row(scoring *s, const lf_example_batch *b, int64_t row, lf_err *err) {
    const int64_t V = s->head->out;
    s->classes.rows++;
    if (!s->classes.all) return LF_OK;
    return lf_keep_row(&s->kept, s->logits + row * V, b->labels ? b->labels[row] : -1,
                       s->problem == LF_SINGLE_LABEL ? NULL : b->values + row * V, err);
}

static bool is_finite_row(const float *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i];
    return isfinite(sum);
}

/* Is the label among the LF_TOP largest logits, of equals the first? */
static bool is_near(const float *logits, int64_t V, int64_t label) {
    int64_t before = 0;
    for (int64_t v = 0; v < V; v++) before += logits[v] > logits[label] || (logits[v] == logits[label] && v < label);
    return before < LF_TOP;
}

static void count_class(scoring *s, const float *logits, int64_t label, int64_t taken) {
    s->classes.are[label]++;
    s->classes.taken[taken]++;
    s->classes.right[taken] += taken == label;
    s->classes.near += is_near(logits, s->head->out, label);
    if (s->confusion && s->confusion->n) s->confusion->counts[label * s->confusion->n + taken]++;
}

static lf_status score_row(scoring *s, const lf_example_batch *b, int64_t row, lf_err *err) {
    const int64_t V = s->head->out;
    const int32_t label = b->labels[row];
    const float *logits = s->logits + row * V;
    const double lse = lf_log_sum_exp(logits, V);
    char name[512];
    if (!isfinite(lse) || !is_finite_row(logits, V))
        return lf_model_blame(s->m,
                              lf_fail(err, LF_EDIVERGED, "%s: the logits are not finite; are the weights?",
                                      s->e->name(s->e->data, b->indices[row], name, sizeof name)),
                              err);
    if (label >= V)
        return lf_fail(err, LF_EDATA, "%s: label %d, but the head '%s' has %lld classes",
                       s->e->name(s->e->data, b->indices[row], name, sizeof name), label, s->head->name, (long long)V);
    s->scores[row] = (lf_label_score){0};
    if (s->problem != LF_SINGLE_LABEL) {
        if (!b->values) return LF_OK;
        if (s->problem == LF_MULTI_LABEL)
            score_several(s, logits, b->values + row * V, &s->scores[row]);
        else
            score_numbers(s, logits, b->values + row * V, &s->scores[row]);
        return keep_row(s, b, row, err);
    }
    if (label < 0) return LF_OK;
    const int64_t taken = lf_argmax(logits, V);
    count_class(s, logits, label, taken);
    s->scores[row] = (lf_label_score){.target = true, .correct = taken == label, .nll = lse - (double)logits[label]};
    return keep_row(s, b, row, err);
}

/* Features, where somebody is shown them, and logits. */
static lf_status room(void *context, const lf_example_batch *b, lf_said pieces[LF_SAID], int *n, lf_err *err) {
    scoring *s = context;
    const lf_status rc = make_room(s, b->in.B, err);
    *n = 0;
    if (s->visit) pieces[(*n)++] = (lf_said){s->features, (size_t)(b->in.B * width_of(s)) * sizeof *s->features};
    if (s->head) pieces[(*n)++] = (lf_said){s->logits, (size_t)(b->in.B * s->head->out) * sizeof *s->logits};
    return rc;
}

static lf_status run(void *context, const lf_example_batch *b, lf_err *err) { return forward(context, b, err); }

static lf_status score(void *context, const lf_example_batch *b, const lf_label_score **scores, int64_t *n,
                       lf_err *err) {
    scoring *s = context;
    lf_status rc;
    for (int64_t i = 0; i < b->in.B; i++)
        if ((rc = score_row(s, b, i, err))) return rc;
    *scores = s->scores;
    *n = b->in.B;
    if (s->visit && (rc = s->visit(s->context, b, s->features, s->logits, s->head->out, err))) return rc;
    if (!s->answers) return LF_OK;
    const lf_answered said = {b, s->scores, s->logits, s->head->out, s->problem != LF_REGRESSION};
    return lf_answers_take(s->answers, &said, err);
}

static lf_status check_features(const scoring *s, const lf_example_batch *b, lf_err *err) {
    const int64_t width = width_of(s);
    char name[512];
    for (int64_t i = 0; i < b->in.B * width; i++)
        if (!isfinite(s->features[i]))
            return lf_model_blame(s->m,
                                  lf_fail(err, LF_EDIVERGED, "%s: the features are not finite; are the weights?",
                                          s->e->name(s->e->data, b->indices[i / width], name, sizeof name)),
                                  err);
    return LF_OK;
}

static lf_status look(void *context, const lf_example_batch *b, const lf_label_score **scores, int64_t *n,
                      lf_err *err) {
    scoring *s = context;
    lf_status rc;
    *scores = NULL;
    *n = 0;
    if ((rc = check_features(s, b, err))) return rc;
    return s->visit(s->context, b, s->features, NULL, 0, err);
}

static void say(const lf_score_sum *sum, char *text, size_t size) {
    snprintf(text, size, "accuracy %.4f", (double)sum->correct / (double)sum->targets);
}

static void say_loss(const lf_score_sum *sum, char *text, size_t size) {
    snprintf(text, size, "loss %.4f", sum->nll / (double)sum->targets);
}

static lf_problem problem_of(const lf_model *m, const lf_module *head) {
    return head == m->base_head.module ? m->base_head.problem : m->head.problem;
}

/* From the sums and from what was kept. */
static lf_status put_figures(lf_accuracy *out, const scoring *s, const lf_score_sum *sum, lf_err *err) {
    *out = (lf_accuracy)LF_ACCURACY_NONE;
    out->count = sum->examples;
    out->items = sum->items;
    out->skipped = sum->skipped;
    if (sum->targets) out->loss = sum->nll / (double)sum->targets;
    lf_count_all(out->counted, &s->classes);
    if (s->problem == LF_REGRESSION)
        for (int i = 0; i < LF_N_COUNTED; i++) out->counted[i] = NAN;
    out->accuracy = out->counted[LF_COUNTED_accuracy];
    lf_wilson(out->accuracy, s->classes.rows, &out->accuracy_low, &out->accuracy_high);
    const lf_status rc = lf_kept_auc(&out->auc, &s->kept, err);
    return rc ? rc : lf_kept_correlations(&out->pearson, &out->spearman, &s->kept, err);
}

static lf_status make_confusion(lf_confusion *c, lf_problem problem, int64_t V, lf_err *err) {
    *c = (lf_confusion){.several = problem == LF_MULTI_LABEL};
    if (problem == LF_REGRESSION || V > LF_CONFUSION_CLASSES) return LF_OK;
    c->counts = lf_calloc((size_t)(V * (c->several ? LF_CONFUSION_COUNTS : V)), sizeof *c->counts);
    if (!c->counts) return lf_no_memory(err, "which of %lld classes is taken for which", (long long)V);
    c->n = V;
    return LF_OK;
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
    s.problem = problem_of(m, head);
    s.kept = (lf_kept_rows){.problem = s.problem, .V = V};
    s.classes = (lf_class_counts){.n = V,
                                  .are = counts,
                                  .taken = counts + V,
                                  .right = counts + 2 * V,
                                  .several = s.problem == LF_MULTI_LABEL,
                                  .all = m->family->input == LF_TOKENS || s.problem == LF_MULTI_LABEL};
    const lf_scorer scorer = {&s, room, run, score, s.problem == LF_REGRESSION ? say_loss : say};
    s.confusion = opts->confusion;
    s.answers = opts->answers;
    lf_status rc = s.confusion ? make_confusion(s.confusion, s.problem, V, err) : LF_OK;
    if (!rc) rc = lf_score_examples(&sum, e, &scorer, opts, err);
    if (!rc) rc = put_figures(out, &s, &sum, err);
    if (!rc && s.answers) out->changes = s.answers->changes;
    lf_kept_rows_free(&s.kept);
    free_room(&s);
    lf_free(counts);
    return rc;
}

lf_status lf_evaluate_features(lf_model *m, lf_graph *g, lf_examples *e, const lf_eval_opts *opts, lf_eval_visit visit,
                               void *context, lf_err *err) {
    scoring s = {.m = m, .g = g, .e = e, .base = opts->base, .visit = visit, .context = context};
    lf_score_sum sum;
    const lf_status rc = lf_score_examples(&sum, e, &(lf_scorer){&s, room, run, look, say}, opts, err);
    free_room(&s);
    return rc;
}
