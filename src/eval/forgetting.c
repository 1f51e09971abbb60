/* What the base task lost: the tuned model through the base's own head, against the untouched base on the same
 * examples. The base's logits are kept as they came, so that an untouched model has a divergence of zero, not of a
 * rounding. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "eval/eval.h"
#include "eval/eval_internal.h"

enum { KNN_SAMPLES = 2000 };

struct lf_forgetting {
    const lf_dataset *d;
    int64_t V, dim;
    float *logits;    /* [N, V] of the untouched base, a row an example of d */
    uint8_t *seen;    /* [N]: 0 where the picture could not be read */
    int64_t n_spread; /* examples whose features are kept; 0: no k-NN */
    float *features;  /* [n_spread, dim], of the measurement that is going on */
    int32_t *labels;  /* [n_spread] */
    lf_base_score before;
};

/* The state of one measurement. */
typedef struct measurement {
    lf_forgetting *f;
    bool keep; /* the untouched base: keep its logits */
    int64_t count, n_features;
    double ce, kl;
} measurement;

/* Is example i one of n evenly spread over N (those at floor(j N / n))? A folder's examples come class by class, so the
 * first n would hold a few classes only. */
static bool is_spread(int64_t i, int64_t n, int64_t N) {
    const int64_t j = (i * n + N - 1) / N;
    return j < n && j * N / n == i;
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
                       lf_dataset_example_name(f->d, index, name, sizeof name));
    }
    double ce, kl;
    lf_divergence(base, logits, f->V, &ce, &kl);
    me->ce += ce;
    me->kl += kl;
    me->count++;
    return LF_OK;
}

static lf_status visit(void *context, const lf_batch *b, const float *features, const float *logits, int64_t V,
                       lf_err *err) {
    measurement *me = context;
    lf_forgetting *f = me->f;
    for (int64_t i = 0; i < b->B; i++) {
        const lf_status rc = compare(me, b->indices[i], logits + i * V, err);
        if (rc) return rc;
        if (b->labels[i] < 0 || !f->n_spread || !is_spread(b->indices[i], f->n_spread, lf_dataset_count(f->d)))
            continue;
        memcpy(f->features + me->n_features * f->dim, features + i * f->dim, (size_t)f->dim * sizeof *features);
        f->labels[me->n_features++] = b->labels[i];
    }
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

static lf_status measure(lf_base_score *out, measurement *me, lf_model *m, lf_graph *g, const lf_eval_opts *asked,
                         bool base, lf_err *err) {
    lf_forgetting *f = me->f;
    if (!m->base_head.module || m->base_head.module->out != f->V || m->hidden_size != f->dim)
        return lf_fail(err, LF_EDATA, "%s: has no head of %lld classes, which the base was measured with", m->path,
                       (long long)f->V);
    lf_accuracy a;
    lf_eval_opts opts = *asked;
    opts.base = base;
    const lf_status rc = lf_evaluate(&a, m, g, m->base_head.module, f->d, &opts, visit, me, err);
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

static lf_status allocate(lf_forgetting *f, lf_err *err) {
    const int64_t N = lf_dataset_count(f->d);
    uint64_t numbers;
    const bool fits = !lf_mul_overflow((uint64_t)N, (uint64_t)f->V, &numbers) && numbers < SIZE_MAX / sizeof(float);
    f->logits = fits ? lf_aligned_alloc((size_t)numbers * sizeof *f->logits) : NULL;
    f->seen = lf_calloc((size_t)N, sizeof *f->seen);
    if (f->n_spread) {
        f->features = lf_aligned_alloc((size_t)(f->n_spread * f->dim) * sizeof *f->features);
        f->labels = lf_calloc((size_t)f->n_spread, sizeof *f->labels);
    }
    if (f->logits && f->seen && (!f->n_spread || (f->features && f->labels))) return LF_OK;
    return lf_no_memory(err, "the base's logits, %lld examples x %lld classes; try max_forgetting_samples",
                        (long long)N, (long long)f->V);
}

lf_status lf_forgetting_room(lf_forgetting **out, const lf_model *m, const lf_dataset *d, const lf_eval_opts *opts,
                             bool with_knn, lf_err *err) {
    *out = NULL;
    if (!m->base_head.module)
        return lf_fail(err, LF_EDATA, "%s: the model has no head of its own, so there is no base task to forget",
                       m->path);
    lf_forgetting *f = lf_calloc(1, sizeof *f);
    if (!f) return lf_no_memory(err, "measuring the base");
    const int64_t N = lf_dataset_count(d), most = opts->knn_samples ? opts->knn_samples : KNN_SAMPLES;
    *f = (lf_forgetting){.d = d, .V = m->base_head.module->out, .dim = m->hidden_size, .n_spread = with_knn ? most : 0};
    if (f->n_spread > N) f->n_spread = N;
    const lf_status rc = allocate(f, err);
    if (rc)
        lf_forgetting_free(f);
    else
        *out = f;
    return rc;
}

lf_status lf_forgetting_new(lf_forgetting **out, lf_model *m, lf_graph *g, const lf_dataset *d,
                            const lf_eval_opts *opts, bool with_knn, lf_err *err) {
    lf_forgetting *f;
    *out = NULL;
    lf_status rc = lf_forgetting_room(&f, m, d, opts, with_knn, err);
    if (rc) return rc;
    measurement me = {.f = f, .keep = true};
    rc = measure(&f->before, &me, m, g, opts, true, err);
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
    *N = lf_dataset_count(f->d);
}

void lf_forgetting_set_before(lf_forgetting *f, const lf_base_score *score) { f->before = *score; }

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
    measurement me = {.f = f};
    return measure(out, &me, m, g, opts, false, err);
}
