/* A and B random, both different from zero, with B A = 0: of r orthonormal vectors one half spans what A says, the
 * other what B listens to (as PEFT's "orthogonal": A = P^T X / 10, B = Y Q / 10, P and Q [r/2, r] the rows, X and Y
 * normal). The product is zero but for rounding, and subtracted, so that step 0 is the base to the last bit. */
#include <math.h>

#include "adapter/adapter_internal.h"
#include "base/mem.h"
#include "linalg/qr.h"

static const double SIZE = 0.1;

/* Normal numbers, from the `from`-th of the module's on. */
static double *normal(const lf_init_input *in, int64_t from, int64_t n) {
    const lf_rng_key key = lf_rng_make(in->seed, LF_RNG_ADAPTER_INIT, in->stream);
    double *x = lf_malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; x && i < n; i++) x[i] = lf_rng_normal(key, (uint64_t)(from + i));
    return x;
}

/* A random orthonormal [r, r]. */
static lf_status directions(const lf_init_input *in, double *Q, lf_err *err) {
    const int64_t n = in->r * in->r;
    double *drawn = normal(in, 0, n), *R = lf_malloc((size_t)n * sizeof *R);
    float *square = lf_malloc((size_t)n * sizeof *square);
    lf_status rc = drawn && R && square ? LF_OK : lf_no_memory(err, "the start of %s", in->name);
    for (int64_t i = 0; !rc && i < n; i++) square[i] = (float)drawn[i];
    if (!rc) rc = lf_qr_first(square, in->r, in->r, in->r, Q, R, in->name, err);
    lf_free(drawn);
    lf_free(R);
    lf_free(square);
    return rc;
}

/* A [r,in] = P^T X and B [out,r] = Y P', P the even rows of Q and P' the odd ones. */
static void fill(const lf_init_input *in, const double *Q, const double *X, const double *Y, float *A, float *B) {
    const int64_t r = in->r, half = r / 2;
    for (int64_t k = 0; k < r; k++)
        for (int64_t j = 0; j < in->in; j++) {
            double a = 0;
            for (int64_t h = 0; h < half; h++) a += Q[2 * h * r + k] * X[h * in->in + j];
            A[k * in->in + j] = (float)(SIZE * a);
        }
    for (int64_t o = 0; o < in->out; o++)
        for (int64_t k = 0; k < r; k++) {
            double b = 0;
            for (int64_t h = 0; h < half; h++) b += Y[o * half + h] * Q[(2 * h + 1) * r + k];
            B[o * r + k] = (float)(SIZE * b);
        }
}

lf_status lf_init_orthogonal(const lf_init_input *in, float *A, float *B, lf_init_report *report, lf_err *err) {
    const int64_t r = in->r, n_X = r / 2 * in->in, n_Y = r / 2 * in->out;
    if (r % 2)
        return lf_fail(
            err, LF_EUSAGE,
            "%s: init_lora_weights orthogonal: r = %lld, but half of it is A's and half of it B's; give it an "
            "even r",
            in->name, (long long)r);
    double *Q = lf_malloc((size_t)(r * r) * sizeof *Q), *X = normal(in, r * r, n_X), *Y = normal(in, r * r + n_X, n_Y);
    lf_status rc = Q && X && Y ? directions(in, Q, err) : lf_no_memory(err, "the start of %s", in->name);
    if (!rc) fill(in, Q, X, Y, A, B);
    lf_free(Q);
    lf_free(X);
    lf_free(Y);
    *report = (lf_init_report){.start = -1};
    return rc;
}
