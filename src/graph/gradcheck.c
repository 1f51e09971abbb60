/* Finite differences in double on the reference kernels. The output is weighted with random numbers: a plain sum would
 * hide errors (that of a softmax is constant). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "graph/graph_internal.h"

typedef struct check {
    const lf_op_case *c;
    lf_graph *g;
    lf_tensor in[LF_MAX_INPUTS];
    lf_tensor *in_p[LF_MAX_INPUTS];
    lf_rng_key weights;
} check;

static lf_tensor *build(check *k, bool with_grad) {
    lf_graph_begin(k->g, true, with_grad, 0);
    return k->c->build(k->g, k->in_p);
}

static double weighted_output(check *k) {
    const lf_tensor *out = build(k, false);
    if (!out) return NAN;
    double sum = 0;
    for (int64_t i = 0; i < out->numel; i++)
        sum += lf_rng_normal(k->weights, (uint64_t)i) * ((const double *)out->data)[i];
    return sum;
}

static lf_status analytic(check *k, lf_err *err) {
    lf_tensor *out = build(k, true);
    if (!out) return lf_graph_status(k->g, err);
    if (!out->requires_grad) return LF_OK;
    out->grad = lf_graph_take(k->g, out->dtype, out->numel);
    if (!out->grad) return lf_graph_status(k->g, err);
    for (int64_t i = 0; i < out->numel; i++) ((double *)out->grad)[i] = lf_rng_normal(k->weights, (uint64_t)i);
    return lf_graph_walk_back(k->g, out, err);
}

/* Fourth-order central difference: with h = 1e-3 its own error is about 1e-12 for the smooth functions here. */
static double numeric(check *k, double *x) {
    const double h = 1e-3, at = *x;
    static const struct {
        double offset, weight;
    } stencil[] = {{-2, 1.0 / 12}, {-1, -8.0 / 12}, {1, 8.0 / 12}, {2, -1.0 / 12}};
    double sum = 0;
    for (int i = 0; i < 4; i++) {
        *x = at + stencil[i].offset * h;
        sum += stencil[i].weight * weighted_output(k);
    }
    *x = at;
    return sum / h;
}

/* Functions with a kink have it at 0: further away than the stencil reaches. */
static double beside_zero(double x) { return x + copysign(0.01, x); }

double lf_gradcheck(const lf_op_case *c, uint64_t seed, lf_err *err) {
    check k = {.c = c, .g = lf_graph_new(&lf_kernels_ref_f64, seed), .weights = lf_rng_make(seed, LF_RNG_TEST, 1000)};
    double worst = k.g ? 0 : INFINITY;
    for (int i = 0; i < c->n_in && k.g; i++) {
        int64_t numel = 1;
        for (int d = 0; d < c->in[i].ndim; d++) numel *= c->in[i].shape[d];
        double *data = lf_calloc((size_t)numel, sizeof *data), *grad = lf_calloc((size_t)numel, sizeof *grad);
        if (!data || !grad) worst = INFINITY;
        const lf_rng_key key = lf_rng_make(seed, LF_RNG_TEST, (uint64_t)i);
        for (int64_t j = 0; j < numel && data; j++) data[j] = beside_zero(lf_rng_normal(key, (uint64_t)j));
        lf_tensor_init(&k.in[i], LF_F64, c->in[i].ndim, c->in[i].shape, data, grad);
        k.in[i].requires_grad = !c->in[i].constant;
        k.in_p[i] = &k.in[i];
    }
    if (isfinite(worst) && analytic(&k, err)) worst = INFINITY;
    for (int i = 0; i < c->n_in && isfinite(worst); i++) {
        if (c->in[i].constant) continue;
        double scale = 1e-3, difference = 0; /* against the largest entry: small entries carry the stencil's rounding */
        for (int64_t j = 0; j < k.in[i].numel; j++) {
            const double a = ((double *)k.in[i].grad)[j], n = numeric(&k, (double *)k.in[i].data + j);
            scale = fmax(scale, fabs(n));
            const double d = fabs(a - n);
            difference = isfinite(d) ? fmax(difference, d) : INFINITY;
        }
        worst = isfinite(difference) ? fmax(worst, difference / scale) : INFINITY;
    }
    if (k.g && lf_graph_status(k.g, err)) worst = INFINITY;
    for (int i = 0; i < c->n_in; i++) {
        lf_free(k.in[i].data);
        lf_free(k.in[i].grad);
    }
    lf_graph_free(k.g);
    return worst;
}
