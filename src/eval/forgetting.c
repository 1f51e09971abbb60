/* What the base task lost: the tuned model through the base's own head, against the untouched base on the same
 * examples, by the kind of its output. The base's logits over classes are kept as they came, so that an untouched model
 * has a divergence of zero, not of a rounding. A model without a head of its own is judged by the neighbours of its
 * features, which need no head, and of which nothing is kept but the figure. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "eval/answers.h"
#include "eval/eval.h"
#include "eval/eval_internal.h"
#include "eval/score.h"

enum { KNN_SAMPLES = 2000 };

typedef struct measurement measurement;
typedef lf_status (*lf_measure_fn)(lf_base_score *out, measurement *me, lf_model *m, lf_graph *g,
                                   const lf_eval_opts *opts, lf_err *err);

typedef void lf_diverge_fn(const float *base, const float *tuned, int64_t n, double *ce, double *kl);

struct lf_forgetting {
    lf_measure_fn measure;
    lf_diverge_fn *diverge; /* of the base's own head */
    lf_problem problem;
    lf_examples *e;
    int64_t V, dim;   /* 0 of tokens, as all that follows up to `before`; V 0: by neighbours, no logits */
    float *logits;    /* [N, V] of the untouched base, a row an example of e */
    uint8_t *seen;    /* [N]: 0 where the example could not be read */
    int64_t n_spread; /* examples whose features are kept; 0: no k-NN */
    float *features;  /* [n_spread, dim], of the measurement that is going on */
    int32_t *labels;  /* [n_spread] */
    lf_base_score before;
};

/* The state of one measurement. */
struct measurement {
    lf_forgetting *f;
    bool keep;           /* the untouched base: keep its logits */
    lf_answers *answers; /* the tuned model's, which the base's are marked for */
    int64_t count, n_features;
    double ce, kl;
};

/* Is example i one of n evenly spread over N (those at floor(j N / n))? A folder's examples come class by class, so the
 * first n would hold a few classes only. */
static bool is_spread(int64_t i, int64_t n, int64_t N) {
    const int64_t j = (i * n + N - 1) / N;
    return j < n && j * N / n == i;
}

static bool was_right(const lf_forgetting *f, const float *base, const lf_example_batch *b, int64_t row) {
    if (f->problem == LF_SINGLE_LABEL) return lf_argmax(base, f->V) == b->labels[row];
    for (int64_t v = 0; v < f->V; v++)
        if ((base[v] > 0) != (b->values[row * f->V + v] > 0.5f)) return false;
    return true;
}

/* What the base had answered, for who compares the two. */
static lf_status mark_base(const measurement *me, const lf_example_batch *b, int64_t row, lf_err *err) {
    const lf_forgetting *f = me->f;
    const bool labelled = f->problem == LF_SINGLE_LABEL ? b->labels[row] >= 0 : b->values != NULL;
    if (!me->answers || me->answers->how != LF_ANSWERS_AGAINST_BASE || !labelled) return LF_OK;
    const int64_t at = b->indices[row];
    return lf_answers_mark(me->answers, at, was_right(f, f->logits + at * f->V, b, row), err);
}

static lf_status compare(measurement *me, int64_t index, const float *logits, lf_err *err) {
    lf_forgetting *f = me->f;
    float *base = f->logits + index * f->V;
    char name[512];
    if (me->keep) {
        memcpy(base, logits, (size_t)f->V * sizeof *base);
        f->seen[index] = 1;
    } else if (!f->seen[index]) {
        return lf_fail(err, LF_EDATA, "%s: could not be read when the base was measured, but can be now",
                       f->e->name(f->e->data, index, name, sizeof name));
    }
    double ce, kl;
    f->diverge(base, logits, f->V, &ce, &kl);
    me->ce += ce;
    me->kl += kl;
    me->count++;
    return LF_OK;
}

static void keep_features(measurement *me, const lf_example_batch *b, const float *features) {
    lf_forgetting *f = me->f;
    for (int64_t i = 0; i < b->in.B; i++) {
        if (b->labels[i] < 0 || !f->n_spread || !is_spread(b->indices[i], f->n_spread, f->e->count)) continue;
        memcpy(f->features + me->n_features * f->dim, features + i * f->dim, (size_t)f->dim * sizeof *features);
        f->labels[me->n_features++] = b->labels[i];
    }
}

static lf_status visit(void *context, const lf_example_batch *b, const float *features, const float *logits, int64_t V,
                       lf_err *err) {
    measurement *me = context;
    for (int64_t i = 0; i < b->in.B && logits; i++) {
        lf_status rc = compare(me, b->indices[i], logits + i * V, err);
        if (rc || (rc = mark_base(me, b, i, err))) return rc;
    }
    keep_features(me, b, features);
    return LF_OK;
}

void lf_divergence(const float *base, const float *tuned, int64_t n, double *ce, double *kl) {
    const double lse_base = lf_log_sum_exp(base, n), lse_tuned = lf_log_sum_exp(tuned, n);
    *ce = *kl = 0;
    for (int64_t i = 0; i < n; i++) {
        const double log_base = (double)base[i] - lse_base, log_tuned = (double)tuned[i] - lse_tuned, p = exp(log_base);
        if (p == 0) continue; /* 0 log 0, also where a logit is -inf */
        *ce -= p * log_tuned;
        *kl += p * (log_base - log_tuned);
    }
}

void lf_divergence_of_several(const float *base, const float *tuned, int64_t n, double *ce, double *kl) {
    *ce = *kl = 0;
    for (int64_t i = 0; i < n; i++) {
        const double p = 1 / (1 + exp(-(double)base[i])), own = lf_yes_or_no_loss((double)base[i], p),
                     cross = lf_yes_or_no_loss((double)tuned[i], p);
        *ce += cross / (double)n;
        *kl += (cross - own) / (double)n;
    }
}

/* Numbers are no shares. */
static void no_divergence(const float *base, const float *tuned, int64_t n, double *ce, double *kl) {
    (void)base;
    (void)tuned;
    (void)n;
    *ce = *kl = NAN;
}

static lf_diverge_fn *const diverge_by[LF_N_PROBLEMS] = {
    [LF_SINGLE_LABEL] = lf_divergence, [LF_MULTI_LABEL] = lf_divergence_of_several, [LF_REGRESSION] = no_divergence};

/* ---- a measurement, by the kind of output ---- */

static lf_status measure_classes(lf_base_score *out, measurement *me, lf_model *m, lf_graph *g,
                                 const lf_eval_opts *asked, lf_err *err) {
    lf_forgetting *f = me->f;
    const lf_module *head = m->base_head.module;
    if (!head || head->out != f->V || head->in != f->dim)
        return lf_fail(err, LF_EDATA, "%s: has no head of %lld classes, which the base was measured with", m->path,
                       (long long)f->V);
    lf_accuracy a;
    lf_eval_opts opts = *asked;
    opts.base = me->keep;
    opts.answers = me->answers;
    const lf_status rc = lf_evaluate(&a, m, g, m->base_head.module, f->e, &opts, visit, me, err);
    if (rc) return rc;
    *out = (lf_base_score){.count = a.count,
                           .accuracy = a.accuracy,
                           .loss = a.loss,
                           .ce = me->ce / (double)me->count,
                           .kl = me->kl / (double)me->count,
                           .knn = NAN,
                           .knn_count = me->n_features};
    if (!f->n_spread) return LF_OK;
    return lf_knn_accuracy(&out->knn, lf_graph_kernels(g), f->features, f->labels, me->n_features, f->dim, f->V, err);
}

static lf_status measure_neighbours(lf_base_score *out, measurement *me, lf_model *m, lf_graph *g,
                                    const lf_eval_opts *asked, lf_err *err) {
    lf_forgetting *f = me->f;
    lf_eval_opts opts = *asked;
    opts.base = me->keep;
    lf_status rc = lf_evaluate_features(m, g, f->e, &opts, visit, me, err);
    if (rc) return rc;
    const int64_t n = me->n_features;
    if (n < 2)
        return lf_fail(err, LF_EDATA, "%s: of its examples %lld have labels and can be read; neighbours need two",
                       f->e->path, (long long)n);
    if (!me->keep && n != f->before.knn_count)
        return lf_fail(err, LF_EDATA, "%s: %lld examples could be read when the base was measured, and now %lld",
                       f->e->path, (long long)f->before.knn_count, (long long)n);
    int64_t n_classes = 0;
    for (int64_t i = 0; i < n; i++)
        if (f->labels[i] >= n_classes) n_classes = f->labels[i] + 1;
    *out = (lf_base_score){
        .count = n, .loss = NAN, .ce = NAN, .kl = NAN, .knn_count = n, .by_neighbours = 1, .accuracy = NAN};
    rc = lf_knn_accuracy(&out->knn, lf_graph_kernels(g), f->features, f->labels, n, f->dim, n_classes, err);
    out->accuracy = out->knn;
    return rc;
}

/* The untouched base is the model without its adapter; where all weights were trained it is gone, and only the losses
 * are compared. */
static lf_status measure_tokens(lf_base_score *out, measurement *me, lf_model *m, lf_graph *g,
                                const lf_eval_opts *asked, lf_err *err) {
    const bool beside = !me->keep && !asked->base_is_gone;
    lf_eval_opts opts = *asked;
    opts.answers = me->answers;
    lf_score_sum sum;
    const lf_status rc = lf_score_tokens(&sum, m, g, me->f->e,
                                         me->keep ? LF_SCORE_BASE
                                         : beside ? LF_SCORE_BESIDE_BASE
                                                  : LF_SCORE_MODEL,
                                         &opts, NULL, err);
    if (rc) return rc;
    const double n = (double)sum.targets;
    *out = (lf_base_score){.count = sum.targets,
                           .accuracy = (double)sum.correct / n,
                           .loss = sum.nll / n,
                           .ce = beside ? sum.ce / n : NAN,
                           .kl = beside ? sum.kl / n : NAN,
                           .knn = NAN};
    return LF_OK;
}

static lf_measure_fn measure_by(lf_output_kind output, const lf_model *m) {
    return output != LF_CLASSES ? measure_tokens : m->base_head.module ? measure_classes : measure_neighbours;
}

/* ---- making room ---- */

static lf_status allocate(lf_forgetting *f, lf_err *err) {
    const int64_t N = f->e->count;
    uint64_t numbers;
    const bool fits = !lf_mul_overflow((uint64_t)N, (uint64_t)f->V, &numbers) && numbers < SIZE_MAX / sizeof(float);
    if (f->V) {
        f->logits = fits ? lf_aligned_alloc((size_t)numbers * sizeof *f->logits) : NULL;
        f->seen = lf_calloc((size_t)N, sizeof *f->seen);
        if (!f->logits || !f->seen)
            return lf_no_memory(err, "the base's logits, %lld examples x %lld classes; try max_forgetting_samples",
                                (long long)N, (long long)f->V);
    }
    if (!f->n_spread) return LF_OK;
    f->features = lf_aligned_alloc((size_t)(f->n_spread * f->dim) * sizeof *f->features);
    f->labels = lf_calloc((size_t)f->n_spread, sizeof *f->labels);
    if (f->features && f->labels) return LF_OK;
    return lf_no_memory(err, "the features of %lld examples; try a smaller knn_reference_samples",
                        (long long)f->n_spread);
}

static lf_status make_room(lf_forgetting *f, const lf_model *m, const lf_eval_opts *opts, bool with_knn, lf_err *err) {
    if (f->measure == measure_tokens) return LF_OK;
    const int64_t N = f->e->count, most = opts->knn_samples ? opts->knn_samples : KNN_SAMPLES;
    const lf_module *head = m->base_head.module;
    f->V = head ? head->out : 0;
    f->problem = m->base_head.problem;
    f->diverge = diverge_by[f->problem];
    f->dim = head ? head->in : lf_model_feature_width(m);
    f->n_spread = head && !with_knn ? 0 : most < N ? most : N;
    return allocate(f, err);
}

lf_status lf_forgetting_room(lf_forgetting **out, const lf_model *m, lf_output_kind output, lf_examples *e,
                             const lf_eval_opts *opts, bool with_knn, lf_err *err) {
    *out = NULL;
    lf_forgetting *f = lf_calloc(1, sizeof *f);
    if (!f) return lf_no_memory(err, "measuring the base");
    *f = (lf_forgetting){.measure = measure_by(output, m), .e = e};
    const lf_status rc = make_room(f, m, opts, with_knn, err);
    if (rc)
        lf_forgetting_free(f);
    else
        *out = f;
    return rc;
}

lf_status lf_forgetting_new(lf_forgetting **out, lf_model *m, lf_graph *g, lf_output_kind output, lf_examples *e,
                            const lf_eval_opts *opts, bool with_knn, lf_err *err) {
    lf_forgetting *f;
    *out = NULL;
    lf_status rc = lf_forgetting_room(&f, m, output, e, opts, with_knn, err);
    if (rc) return rc;
    measurement me = {.f = f, .keep = true};
    rc = f->measure(&f->before, &me, m, g, opts, err);
    if (rc)
        lf_forgetting_free(f);
    else
        *out = f;
    return rc;
}

void lf_forgetting_arrays(lf_forgetting *f, float **logits, int64_t *V, uint8_t **seen, int64_t *N) {
    *logits = f->logits;
    *V = f->V;
    *seen = f->seen;
    *N = f->e->count;
}

double lf_forgetting_kl(const lf_forgetting *from, const lf_forgetting *to) {
    double sum = 0;
    int64_t n = 0;
    if (!from->V || from->V != to->V || from->e->count != to->e->count) return NAN;
    for (int64_t i = 0; i < from->e->count; i++) {
        double ce, kl;
        if (!from->seen[i] || !to->seen[i]) continue;
        from->diverge(from->logits + i * from->V, to->logits + i * to->V, from->V, &ce, &kl);
        sum += kl;
        n++;
    }
    return n ? sum / (double)n : NAN;
}

void lf_forgetting_set_before(lf_forgetting *f, const lf_base_score *score) {
    f->before = *score;
    f->before.by_neighbours = f->measure == measure_neighbours;
}

void lf_forgetting_free(lf_forgetting *f) {
    if (!f) return;
    lf_aligned_free(f->logits);
    lf_free(f->seen);
    lf_aligned_free(f->features);
    lf_free(f->labels);
    lf_free(f);
}

const lf_base_score *lf_forgetting_before(const lf_forgetting *f) { return &f->before; }

lf_status lf_forgetting_measure(lf_base_score *out, lf_forgetting *f, lf_model *m, lf_graph *g,
                                const lf_eval_opts *opts, lf_err *err) {
    lf_answers own = {0};
    measurement me = {.f = f, .answers = opts->answers ? opts->answers : &own};
    lf_answers_begin(me.answers, me.answers->how);
    const lf_status rc = f->measure(out, &me, m, g, opts, err);
    if (!rc) out->changes = me.answers->changes;
    lf_answers_free(&own);
    return rc;
}
