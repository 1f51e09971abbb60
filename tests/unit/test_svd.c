/* Singular values and vectors are checked against LAPACK's dgesvd (QR iteration: not the algorithm under test), and by
 * what must hold for any block whatever LAPACK says: U and V orthonormal, and W - U diag(sigma) V^T has exactly the
 * singular values that are not in the block. The last also holds inside clusters, where vectors are a matter of taste.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "linalg/sturm.h"
#include "linalg/svd.h"

#define ASSERT_LE(a, b) assert_le((a), (b), #a " <= " #b, __LINE__)
static void assert_le(double a, double b, const char *what, int line) {
    if (!(a <= b)) fail_msg("line %d: %s: %.3e > %.3e", line, what, a, b);
}
#define ASSERT_OK(call) assert_ok((call), &err, __LINE__)
static void assert_ok(lf_status rc, const lf_err *err, int line) {
    if (rc != LF_OK) fail_msg("line %d: %s", line, err->message);
}

static double *doubles(int64_t count) {
    double *p = test_calloc((size_t)count, sizeof(double));
    assert_non_null(p);
    return p;
}

/* ---- test matrices ------------------------------------------------------------------------------------------------
 */

typedef double spectrum(int64_t i, int64_t n);
static double graded_1e6(int64_t i, int64_t n) { return pow(1e-6, (double)i / (double)(n - 1)); }
static double graded_1e2(int64_t i, int64_t n) { return pow(1e-2, (double)i / (double)(n - 1)); }
static double harmonic(int64_t i, int64_t n) { return (void)n, 1 / (double)(i + 1); }
static double steps_of_8(int64_t i, int64_t n) { return (void)n, 4 - (double)(i / 8) / 2; } /* 4 x8, 3.5 x8, ... */

static double *random_orthonormal(int64_t rows, int64_t columns, uint64_t stream) {
    double *Q = doubles(rows * columns), *tau = doubles(columns);
    const lf_rng_key key = lf_rng_make(7, LF_RNG_TEST, stream);
    for (int64_t i = 0; i < rows * columns; i++) Q[i] = lf_rng_normal(key, (uint64_t)i);
    const lapack_int m = (lapack_int)rows, n = (lapack_int)columns;
    assert_int_equal(LAPACKE_dgeqrf(LAPACK_ROW_MAJOR, m, n, Q, n, tau), 0);
    assert_int_equal(LAPACKE_dorgqr(LAPACK_ROW_MAJOR, m, n, n, Q, n, tau), 0);
    test_free(tau);
    return Q;
}

/* scale * Q1 diag(sigma) Q2^T, rounded to float; freed by test_free. */
static float *matrix_of(int64_t out, int64_t in, spectrum *sigma, double scale) {
    const int64_t n = out < in ? out : in;
    double *Q1 = random_orthonormal(out, n, 1), *Q2 = random_orthonormal(in, n, 2);
    float *W = test_calloc((size_t)(out * in), sizeof(float));
    for (int64_t i = 0; i < out; i++)
        for (int64_t j = 0; j < in; j++) {
            double sum = 0;
            for (int64_t k = 0; k < n; k++) sum += Q1[i * n + k] * sigma(k, n) * Q2[j * n + k];
            W[i * in + j] = (float)(scale * sum);
        }
    test_free(Q1);
    test_free(Q2);
    return W;
}

/* Of exact rank: small integers, so that float and double sums are exact. */
static float *integer_matrix(int64_t out, int64_t in, int64_t rank) {
    const lf_rng_key key = lf_rng_make(11, LF_RNG_TEST, 3);
    float *W = test_calloc((size_t)(out * in), sizeof(float));
    for (int64_t k = 0; k < rank; k++)
        for (int64_t i = 0; i < out; i++)
            for (int64_t j = 0; j < in; j++) {
                const double a = (double)lf_rng_below(key, (uint64_t)(k * out + i), 9) - 4;
                const double b = (double)lf_rng_below(key, (uint64_t)(1000000 + k * in + j), 9) - 4;
                W[i * in + j] += (float)(a * b);
            }
    return W;
}

/* ---- the reference ------------------------------------------------------------------------------------------------
 */

typedef struct reference {
    int64_t out, in, n;
    double *U, *sigma, *Vt; /* row-major [out, n], [n], [n, in] */
} reference;

static void reference_values(const double *M, int64_t rows, int64_t columns, double *sigma, double *U, double *Vt) {
    const int64_t n = rows < columns ? rows : columns;
    double *copy = doubles(rows * columns), *superdiagonal = doubles(n);
    memcpy(copy, M, sizeof(double) * (size_t)(rows * columns));
    const char job = U ? 'S' : 'N';
    double none;
    assert_int_equal(LAPACKE_dgesvd(LAPACK_ROW_MAJOR, job, job, (lapack_int)rows, (lapack_int)columns, copy,
                                    (lapack_int)columns, sigma, U ? U : &none, (lapack_int)n, Vt ? Vt : &none,
                                    (lapack_int)columns, superdiagonal),
                     0);
    test_free(copy);
    test_free(superdiagonal);
}

static double *to_double(const float *W, int64_t count) {
    double *D = doubles(count);
    for (int64_t i = 0; i < count; i++) D[i] = (double)W[i];
    return D;
}

static reference reference_new(const float *W, int64_t out, int64_t in) {
    const int64_t n = out < in ? out : in;
    reference ref = {out, in, n, doubles(out * n), doubles(n), doubles(n * in)};
    double *D = to_double(W, out * in);
    reference_values(D, out, in, ref.sigma, ref.U, ref.Vt);
    test_free(D);
    return ref;
}

static void reference_free(reference *ref) {
    test_free(ref->U);
    test_free(ref->sigma);
    test_free(ref->Vt);
}

/* ---- properties ---------------------------------------------------------------------------------------------------
 */

static double orthogonality(const double *X, int64_t rows, int64_t r) {
    double error = 0;
    for (int64_t a = 0; a < r; a++)
        for (int64_t b = 0; b < r; b++) {
            double dot = 0;
            for (int64_t i = 0; i < rows; i++) dot += X[i * r + a] * X[i * r + b];
            error = fmax(error, fabs(dot - (a == b)));
        }
    return error;
}

/* |W - U diag(sigma) V^T|, into D [out, in], Frobenius */
static double subtract_block(double *D, const float *W, int64_t out, int64_t in, int64_t r, const double *U,
                             const double *sigma, const double *V) {
    double square = 0;
    for (int64_t i = 0; i < out; i++)
        for (int64_t j = 0; j < in; j++) {
            double sum = (double)W[i * in + j];
            for (int64_t k = 0; k < r; k++) sum -= U[i * r + k] * sigma[k] * V[j * r + k];
            D[i * in + j] = sum;
            square += sum * sum;
        }
    return sqrt(square);
}

static int descending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* What is left of W has the other singular values, and zeros. */
static void check_complement(const float *W, const reference *ref, int64_t s, int64_t r, const double *U,
                             const double *sigma, const double *V) {
    double *D = doubles(ref->out * ref->in), *left = doubles(ref->n), *expected = doubles(ref->n);
    subtract_block(D, W, ref->out, ref->in, r, U, sigma, V);
    reference_values(D, ref->out, ref->in, left, NULL, NULL);
    memcpy(expected, ref->sigma, sizeof(double) * (size_t)ref->n);
    for (int64_t k = s; k < s + r; k++) expected[k] = 0;
    qsort(expected, (size_t)ref->n, sizeof(double), descending);
    for (int64_t k = 0; k < ref->n; k++)
        ASSERT_LE(fabs(left[k] - expected[k]), 2e-6 * ref->sigma[s] + 1e-14 * ref->sigma[0]);
    test_free(D);
    test_free(left);
    test_free(expected);
}

static void check_signs(const double *V, int64_t in, int64_t r) {
    for (int64_t k = 0; k < r; k++) {
        double largest = 0;
        for (int64_t j = 0; j < in; j++)
            if (fabs(V[j * r + k]) > fabs(largest)) largest = V[j * r + k];
        assert_true(largest > 0);
    }
}

/* |U diag(sigma) V^T - the reference's block| relative to the block */
static double product_error(const reference *ref, int64_t s, int64_t r, const double *U, const double *sigma,
                            const double *V) {
    double error = 0, norm = 0;
    for (int64_t k = s; k < s + r; k++) norm += ref->sigma[k] * ref->sigma[k];
    for (int64_t i = 0; i < ref->out; i++)
        for (int64_t j = 0; j < ref->in; j++) {
            double sum = 0;
            for (int64_t k = 0; k < r; k++)
                sum += U[i * r + k] * sigma[k] * V[j * r + k] -
                       ref->U[i * ref->n + s + k] * ref->sigma[s + k] * ref->Vt[(s + k) * ref->in + j];
            error += sum * sum;
        }
    return sqrt(error / norm);
}

/* Sine of the largest angle between the columns of V [in, r] and the reference's v_a .. v_b-1: |(I - P) V|_F bounds it.
 */
static double angle_outside(const reference *ref, int64_t a, int64_t b, const double *V, int64_t r) {
    double square = 0;
    for (int64_t k = 0; k < r; k++) {
        double *rest = doubles(ref->in);
        for (int64_t j = 0; j < ref->in; j++) rest[j] = V[j * r + k];
        for (int64_t c = a; c < b; c++) {
            const double *v = ref->Vt + c * ref->in;
            double dot = 0;
            for (int64_t j = 0; j < ref->in; j++) dot += V[j * r + k] * v[j];
            for (int64_t j = 0; j < ref->in; j++) rest[j] -= dot * v[j];
        }
        for (int64_t j = 0; j < ref->in; j++) square += rest[j] * rest[j];
        test_free(rest);
    }
    return sqrt(square);
}

typedef struct block {
    double *U, *sigma, *V;
    lf_svd_block_info info;
} block;

/* The block, with everything checked that holds for any matrix. */
static block checked_block(const float *W, const reference *ref, int64_t s, int64_t r) {
    lf_err err = {0};
    block b = {.U = doubles(ref->out * r), .sigma = doubles(r), .V = doubles(ref->in * r)};
    ASSERT_OK(lf_svd_block(W, ref->out, ref->in, s, r, b.U, b.sigma, b.V, &b.info, "w", &err));
    ASSERT_LE(orthogonality(b.U, ref->out, r), 1e-10);
    ASSERT_LE(orthogonality(b.V, ref->in, r), 1e-10);
    ASSERT_LE(b.info.orthogonality, 1e-10);
    ASSERT_LE(b.info.residual, 1e-6);
    ASSERT_LE(fabs(b.info.sigma_max - ref->sigma[0]), 1e-12 * ref->sigma[0]);
    for (int64_t k = 0; k < r; k++) {
        const double expected = ref->sigma[s + k], floor = 1e-14 * ref->sigma[0];
        ASSERT_LE(fabs(b.sigma[k] - expected), 1e-5 * expected + floor); /* down to condition 1e6 */
        if (k > 0) assert_true(b.sigma[k] <= b.sigma[k - 1]);
    }
    check_signs(b.V, ref->in, r);
    check_complement(W, ref, s, r, b.U, b.sigma, b.V);
    return b;
}

static void block_free(block *b) {
    test_free(b->U);
    test_free(b->sigma);
    test_free(b->V);
}

enum { GRAM = LF_SVD_GRAM, BIDIAGONAL = LF_SVD_BIDIAGONAL, EITHER };

/* A block with gaps at both its borders: also the product and the angles. */
static void check_separated(int64_t out, int64_t in, spectrum *sigma, double scale, int64_t s, int64_t r, int way) {
    float *W = matrix_of(out, in, sigma, scale);
    reference ref = reference_new(W, out, in);
    block b = checked_block(W, &ref, s, r);
    if (way != EITHER) assert_int_equal(b.info.way, way);
    assert_int_equal(b.info.n_dead, 0);
    ASSERT_LE(product_error(&ref, s, r, b.U, b.sigma, b.V), 1e-4);
    ASSERT_LE(angle_outside(&ref, s, s + r, b.V, r), 1e-4);
    block_free(&b);
    reference_free(&ref);
    test_free(W);
}

/* ---- tests --------------------------------------------------------------------------------------------------------
 */

static void block_of_tall_wide_and_square(void **state) {
    (void)state;
    check_separated(90, 40, graded_1e2, 1, 12, 6, GRAM);
    check_separated(40, 90, graded_1e2, 1, 12, 6, GRAM);
    check_separated(48, 48, graded_1e2, 1, 20, 8, GRAM);
    check_separated(130, 120, harmonic, 1, 50, 16, GRAM); /* beyond the block sizes of LAPACK */
}

static void block_at_the_ends_and_whole(void **state) {
    (void)state;
    check_separated(60, 40, graded_1e2, 1, 0, 5, GRAM);
    check_separated(60, 40, graded_1e2, 1, 35, 5, GRAM);
    check_separated(40, 60, graded_1e2, 1, 0, 40, GRAM);
    for (int64_t s = 0; s < 7; s++) check_separated(9, 7, harmonic, 1, s, 1, GRAM);
}

static void block_of_a_single_row_or_column(void **state) {
    (void)state;
    const float W[] = {3, 0, -4};
    lf_err err = {0};
    double U[3], sigma, V[3];
    ASSERT_OK(lf_svd_block(W, 1, 3, 0, 1, U, &sigma, V, NULL, "w", &err));
    ASSERT_LE(fabs(sigma - 5), 1e-14);
    ASSERT_LE(fabs(U[0] + 1), 1e-14);
    ASSERT_LE(fabs(V[0] + 0.6) + fabs(V[1]) + fabs(V[2] - 0.8), 1e-14);
    ASSERT_OK(lf_svd_block(W, 3, 1, 0, 1, U, &sigma, V, NULL, "w", &err));
    ASSERT_LE(fabs(sigma - 5), 1e-14);
    ASSERT_LE(fabs(U[0] - 0.6) + fabs(U[1]) + fabs(U[2] + 0.8) + fabs(V[0] - 1), 1e-14);
}

/* The Gram matrix has no accuracy at the lower end of condition 1e6 (sigma^2 / sigma_1^2 = 1e-12): there the test of
 * the result must refuse it. */
static void block_of_condition_1e6(void **state) {
    (void)state;
    check_separated(70, 60, graded_1e6, 1, 0, 8, GRAM);
    check_separated(70, 60, graded_1e6, 1, 26, 8, GRAM);
    check_separated(70, 60, graded_1e6, 1, 52, 8, BIDIAGONAL);
    check_separated(60, 70, graded_1e6, 1, 52, 8, BIDIAGONAL);
    check_separated(60, 60, graded_1e6, 1, 0, 60, EITHER); /* the last count is near its limit: it depends on BLAS */
    check_separated(60, 60, graded_1e6, 1, 52, 8, BIDIAGONAL);
    check_separated(60, 60, graded_1e6, 1, 45, 8, BIDIAGONAL); /* not at the end */
    check_separated(60, 40, graded_1e6, 1e-20, 36, 4, BIDIAGONAL);
    check_separated(140, 130, graded_1e6, 1, 114, 16, BIDIAGONAL); /* beyond the block sizes of LAPACK */
}

static void block_does_not_depend_on_scale(void **state) {
    (void)state;
    check_separated(50, 40, graded_1e2, 1e-30, 10, 5, GRAM);
    check_separated(50, 40, graded_1e2, 1e30, 10, 5, GRAM);
}

static void block_of_clusters(void **state) {
    (void)state;
    float *W = matrix_of(64, 48, steps_of_8, 1); /* equal up to float rounding of W, 1e-7 */
    reference ref = reference_new(W, 64, 48);
    static const struct {
        int64_t s, r, a, b; /* a, b: the clusters that hold the block */
    } cases[] = {{10, 4, 8, 16}, {4, 8, 0, 16}, {20, 16, 16, 40}, {7, 1, 0, 8}, {40, 8, 40, 48}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        block b = checked_block(W, &ref, cases[i].s, cases[i].r);
        assert_int_equal(b.info.way, LF_SVD_GRAM);
        ASSERT_LE(angle_outside(&ref, cases[i].a, cases[i].b, b.V, cases[i].r), 1e-6);
        block_free(&b);
    }
    block whole = checked_block(W, &ref, 16, 8); /* a whole cluster: its product is unique */
    ASSERT_LE(product_error(&ref, 16, 8, whole.U, whole.sigma, whole.V), 1e-6);
    block_free(&whole);
    reference_free(&ref);
    test_free(W);
}

/* The same where Gram has no accuracy: a few large values, and clusters of 8 far below. */
static double low_steps_of_8(int64_t i, int64_t n) { return i < 8 ? 1 : 1e-6 * steps_of_8(i, n); }
static void block_of_low_clusters(void **state) {
    (void)state;
    float *W = test_calloc(48 * 48, sizeof(float)); /* in fp32 only a permutation has clusters this far down */
    for (int64_t i = 0; i < 48; i++) W[i * 48 + (i * 5 + 3) % 48] = (float)low_steps_of_8(i, 48);
    float *dense = matrix_of(64, 48, low_steps_of_8, 1);
    reference ref = reference_new(W, 48, 48), dense_ref = reference_new(dense, 64, 48);
    for (int64_t s = 8; s <= 40; s += 4) {
        block b = checked_block(W, &ref, s, 8), c = checked_block(dense, &dense_ref, s, 8);
        ASSERT_LE(angle_outside(&ref, s / 8 * 8, s / 8 * 8 + 16 < 48 ? s / 8 * 8 + 16 : 48, b.V, 8), 1e-6);
        assert_int_equal(c.info.way, BIDIAGONAL);
        block_free(&b);
        block_free(&c);
    }
    reference_free(&ref);
    reference_free(&dense_ref);
    test_free(W);
    test_free(dense);
}

static void block_of_exact_clusters(void **state) {
    (void)state;
    float *W = test_calloc(32 * 32, sizeof(float)); /* a permutation, half of it times 2 */
    for (int64_t i = 0; i < 32; i++) W[i * 32 + (i * 5 + 3) % 32] = i < 16 ? 2 : -1;
    reference ref = reference_new(W, 32, 32);
    for (int64_t s = 0; s <= 24; s += 4) {
        block b = checked_block(W, &ref, s, 8);
        assert_int_equal(b.info.way, LF_SVD_GRAM);
        block_free(&b);
    }
    reference_free(&ref);
    test_free(W);
}

static void dead_components_are_counted_and_orthonormal(void **state) {
    (void)state;
    for (int shape = 0; shape < 3; shape++) {
        const int64_t out = shape == 1 ? 18 : 24, in = shape == 0 ? 18 : 24, n = out < in ? out : in, rank = 5;
        float *W = integer_matrix(out, in, rank);
        reference ref = reference_new(W, out, in);
        for (int64_t s = 0; s + 6 <= n; s++) {
            block b = checked_block(W, &ref, s, 6);
            assert_int_equal(b.info.n_dead, s < rank ? s + 1 : 6);
            block_free(&b);
        }
        reference_free(&ref);
        test_free(W);
    }
}

static void zero_rows_columns_and_matrix(void **state) {
    (void)state;
    float *W = matrix_of(40, 30, graded_1e2, 1);
    for (int64_t i = 0; i < 40; i++)
        for (int64_t j = 0; j < 30; j++)
            if (i % 4 == 0 || j >= 20) W[i * 30 + j] = 0;
    reference ref = reference_new(W, 40, 30);
    block live = checked_block(W, &ref, 5, 10);
    assert_int_equal(live.info.n_dead, 0);
    assert_int_equal(live.info.way, LF_SVD_GRAM);
    block half = checked_block(W, &ref, 15, 10);
    assert_int_equal(half.info.n_dead, 5);
    memset(W, 0, sizeof(float) * 40 * 30);
    reference zero = reference_new(W, 40, 30);
    block dead = checked_block(W, &zero, 8, 4);
    assert_int_equal(dead.info.n_dead, 4);
    block_free(&live);
    block_free(&half);
    block_free(&dead);
    reference_free(&ref);
    reference_free(&zero);
    test_free(W);
}

static void full_agrees_with_reference(void **state) {
    (void)state;
    static const struct {
        int64_t out, in;
        spectrum *sigma;
    } cases[] = {{50, 30, graded_1e6}, {30, 50, graded_1e6}, {40, 40, harmonic}, {1, 9, harmonic}, {9, 1, harmonic}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t out = cases[i].out, in = cases[i].in, n = out < in ? out : in;
        float *W = matrix_of(out, in, n == 1 ? harmonic : cases[i].sigma, 1);
        reference ref = reference_new(W, out, in);
        double *U = doubles(out * n), *sigma = doubles(n), *values = doubles(n), *V = doubles(in * n);
        lf_err err = {0};
        ASSERT_OK(lf_svd_full(W, out, in, sigma, U, V, "w", &err));
        ASSERT_OK(lf_svd_values(W, out, in, values, "w", &err));
        for (int64_t k = 0; k < n; k++) {
            ASSERT_LE(fabs(sigma[k] - ref.sigma[k]), 1e-8 * ref.sigma[k]);
            ASSERT_LE(fabs(values[k] - ref.sigma[k]), 1e-8 * ref.sigma[k]);
        }
        ASSERT_LE(orthogonality(U, out, n), 1e-12);
        ASSERT_LE(orthogonality(V, in, n), 1e-12);
        ASSERT_LE(product_error(&ref, 0, n, U, sigma, V), 1e-12);
        check_signs(V, in, n);
        test_free(U);
        test_free(sigma);
        test_free(values);
        test_free(V);
        reference_free(&ref);
        test_free(W);
    }
}

/* From the Gram matrix down to where it is accurate, then not. */
static void values_of_any_condition(void **state) {
    (void)state;
    static const struct {
        int64_t out, in;
        double low;
    } cases[] = {{90, 60, 1e-3}, {60, 90, 1e-4}, {70, 70, 4e-5}, {70, 70, 2e-5}, {70, 60, 1e-6}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float *W = matrix_of(cases[i].out, cases[i].in, harmonic, 1); /* the last component is made smaller below */
        reference ref = reference_new(W, cases[i].out, cases[i].in);
        const int64_t n = ref.n;
        for (int64_t a = 0; a < ref.out; a++)
            for (int64_t b = 0; b < ref.in; b++)
                W[a * ref.in + b] -= (float)((ref.sigma[n - 1] - cases[i].low * ref.sigma[0]) * ref.U[a * n + n - 1] *
                                             ref.Vt[(n - 1) * ref.in + b]);
        reference_free(&ref);
        ref = reference_new(W, cases[i].out, cases[i].in);
        double *sigma = doubles(n);
        lf_err err = {0};
        ASSERT_OK(lf_svd_values(W, ref.out, ref.in, sigma, "w", &err));
        for (int64_t k = 0; k < n; k++) ASSERT_LE(fabs(sigma[k] - ref.sigma[k]), 1e-6 * ref.sigma[k]);
        test_free(sigma);
        reference_free(&ref);
        test_free(W);
    }
}

enum { PLACED_R = 6 };
static lf_status place_at(const void *context, const double *sigma_all, int64_t *s, lf_err *err) {
    if (sigma_all[0] < sigma_all[1]) return lf_fail(err, LF_EFAIL, "not descending");
    *s = *(const int64_t *)context;
    return *s < 0 ? lf_fail(err, LF_EUSAGE, "no place") : LF_OK;
}

static void placed_block_is_values_and_block(void **state) {
    (void)state;
    enum { R_OUT = 50, R_IN = 40 };
    spectrum *const spectra[] = {graded_1e2, graded_1e6};
    for (int i = 0; i < 2; i++)
        for (int64_t s = 0; s + PLACED_R <= R_IN; s += 17) {
            float *W = matrix_of(R_OUT, R_IN, spectra[i], 1);
            double all[2][R_IN], U[2][R_OUT * PLACED_R], sigma[2][PLACED_R], V[2][R_IN * PLACED_R];
            lf_svd_block_info info[2];
            lf_err err = {0};
            ASSERT_OK(lf_svd_block_placed(W, R_OUT, R_IN, place_at, &s, PLACED_R, all[0], U[0], sigma[0], V[0],
                                          &info[0], "w", &err));
            ASSERT_OK(lf_svd_values(W, R_OUT, R_IN, all[1], "w", &err));
            ASSERT_OK(lf_svd_block(W, R_OUT, R_IN, s, PLACED_R, U[1], sigma[1], V[1], &info[1], "w", &err));
            assert_memory_equal(all[0], all[1], sizeof all[0]);
            assert_memory_equal(U[0], U[1], sizeof U[0]);
            assert_memory_equal(sigma[0], sigma[1], sizeof sigma[0]);
            assert_memory_equal(V[0], V[1], sizeof V[0]);
            assert_int_equal(info[0].way, info[1].way);
            const int64_t none = -1;
            assert_int_equal(lf_svd_block_placed(W, R_OUT, R_IN, place_at, &none, PLACED_R, all[0], U[0], sigma[0],
                                                 V[0], NULL, "w", &err),
                             LF_EUSAGE);
            test_free(W);
        }
}

/* ---- a weight and an update ---- */

static void low_rank_values_are_those_of_the_product(void **state) {
    (void)state;
    static const int64_t cases[][3] = {{9, 7, 3}, {5, 30, 4}, {30, 5, 4}, {6, 6, 6}, {4, 9, 12}, {9, 4, 6}, {1, 8, 2}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const int64_t out = cases[c][0], in = cases[c][1], q = cases[c][2], n = out < in ? out : in;
        const lf_rng_key key = lf_rng_make(3, LF_RNG_TEST, c);
        double L[400], R[400], P[400] = {0}, all[32], sigma[32], work[32];
        for (int64_t i = 0; i < out * q; i++) L[i] = lf_rng_normal(key, (uint64_t)i);
        for (int64_t i = 0; i < q * in; i++) R[i] = lf_rng_normal(key, (uint64_t)(1000 + i));
        for (int64_t i = 0; i < out; i++)
            for (int64_t k = 0; k < q; k++)
                for (int64_t j = 0; j < in; j++) P[i * in + j] += L[i * q + k] * R[k * in + j];
        assert_int_equal(LAPACKE_dgesvd(LAPACK_ROW_MAJOR, 'N', 'N', (lapack_int)out, (lapack_int)in, P, (lapack_int)in,
                                        all, NULL, 1, NULL, 1, work),
                         0);
        lf_err err = {0};
        ASSERT_OK(lf_svd_low_rank_values(L, R, out, in, q, sigma, "w", &err));
        for (int64_t k = 0; k < n && k < q; k++) ASSERT_LE(fabs(sigma[k] - all[k]), 1e-13 * all[0]);
    }
}

/* W + L R, where L R is exact in floats, is the float matrix of the sum: the same bytes. */
static void updated_block_is_the_block_of_the_sum(void **state) {
    (void)state;
    enum { OUT = 24, IN = 17, Q = 2, R = 5 };
    float *W = matrix_of(OUT, IN, harmonic, 1), sum[OUT * IN];
    double L[OUT * Q] = {0}, E[Q * IN] = {0}, U[2][OUT * R], sigma[2][R], V[2][IN * R];
    L[3 * Q] = 0.5, L[7 * Q + 1] = -1, E[4] = 8, E[IN + 9] = 0.25;
    for (int i = 0; i < OUT * IN; i++) W[i] = (float)(round((double)W[i] * 1024) / 1024), sum[i] = W[i];
    sum[3 * IN + 4] += 4;
    sum[7 * IN + 9] -= 0.25F;
    lf_err err = {0};
    for (int64_t s = 0; s + R <= IN; s += 6) {
        ASSERT_OK(lf_svd_block_updated(W, L, E, OUT, IN, Q, s, R, U[0], sigma[0], V[0], "w", &err));
        ASSERT_OK(lf_svd_block(sum, OUT, IN, s, R, U[1], sigma[1], V[1], NULL, "w", &err));
        assert_memory_equal(U[0], U[1], sizeof U[0]);
        assert_memory_equal(sigma[0], sigma[1], sizeof sigma[0]);
        assert_memory_equal(V[0], V[1], sizeof V[0]);
    }
    E[2] = NAN;
    assert_int_equal(lf_svd_block_updated(W, L, E, OUT, IN, Q, 0, R, U[0], sigma[0], V[0], "w", &err), LF_EDATA);
    assert_non_null(strstr(err.message, "w: the update of the weight"));
    test_free(W);
}

/* ---- randomized ---------------------------------------------------------------------------------------------------
 */

static double randomized_error(const float *W, int64_t out, int64_t in, int64_t r, int niter, double *sigma) {
    double *U = doubles(out * r), *V = doubles(in * r), *D = doubles(out * in);
    lf_err err = {0};
    ASSERT_OK(lf_svd_randomized(W, out, in, r, niter, 1, 0, U, sigma, V, "w", &err));
    ASSERT_LE(orthogonality(U, out, r), 1e-12);
    ASSERT_LE(orthogonality(V, in, r), 1e-12);
    check_signs(V, in, r);
    const double error = subtract_block(D, W, out, in, r, U, sigma, V);
    test_free(U);
    test_free(V);
    test_free(D);
    return error;
}

static void randomized_error_falls_with_niter(void **state) {
    (void)state;
    for (int wide = 0; wide < 2; wide++) {
        const int64_t out = wide ? 80 : 140, in = wide ? 140 : 80, r = 8;
        float *W = matrix_of(out, in, harmonic, 1);
        reference ref = reference_new(W, out, in);
        double best = 0, sigma[8];
        for (int64_t k = r; k < ref.n; k++) best += ref.sigma[k] * ref.sigma[k];
        best = sqrt(best);
        double last = INFINITY;
        static const int niters[] = {0, 1, 4, 16};
        for (size_t i = 0; i < sizeof niters / sizeof *niters; i++) {
            const double excess = randomized_error(W, out, in, r, niters[i], sigma) / best - 1;
            assert_true(excess >= -1e-12); /* Eckart-Young */
            assert_true(excess < last / 2);
            last = excess;
        }
        ASSERT_LE(last, 1e-8);
        for (int64_t k = 0; k < r; k++) ASSERT_LE(fabs(sigma[k] - ref.sigma[k]), 1e-6 * ref.sigma[k]);
        reference_free(&ref);
        test_free(W);
    }
}

static void randomized_is_exact_for_low_rank(void **state) {
    (void)state;
    double sigma[30];
    for (int64_t r = 5; r <= 30; r += 5) {
        float *W = integer_matrix(40, 30, 5);
        reference ref = reference_new(W, 40, 30);
        ASSERT_LE(randomized_error(W, 40, 30, r, 0, sigma), 1e-12 * ref.sigma[0]);
        for (int64_t k = 0; k < r; k++) ASSERT_LE(fabs(sigma[k] - ref.sigma[k]), 1e-12 * ref.sigma[0]);
        reference_free(&ref);
        test_free(W);
    }
    float *row = integer_matrix(1, 12, 1);
    ASSERT_LE(randomized_error(row, 1, 12, 1, 0, sigma), 1e-12 * sigma[0]);
    test_free(row);
}

static void randomized_follows_its_seed(void **state) {
    (void)state;
    enum { OUT = 60, IN = 50, R = 4 };
    static const uint64_t seeds[][2] = {{1, 0}, {1, 0}, {2, 0}, {1, 1}};
    float *W = matrix_of(OUT, IN, harmonic, 1);
    double U[4][OUT * R], sigma[4][R], V[4][IN * R];
    lf_err err = {0};
    for (size_t i = 0; i < 4; i++)
        ASSERT_OK(lf_svd_randomized(W, OUT, IN, R, 1, seeds[i][0], seeds[i][1], U[i], sigma[i], V[i], "w", &err));
    assert_memory_equal(U[0], U[1], sizeof U[0]);
    assert_memory_equal(sigma[0], sigma[1], sizeof sigma[0]);
    assert_memory_equal(V[0], V[1], sizeof V[0]);
    assert_memory_not_equal(U[0], U[2], sizeof U[0]);
    assert_memory_not_equal(U[0], U[3], sizeof U[0]);
    test_free(W);
}

/* ---- same bytes from anywhere, bad input, no memory -----------------------------------------------------------------
 */

enum { BIG_OUT = 300, BIG_IN = 260, BIG_R = 12 }; /* large enough for BLAS to use its threads if it may */

typedef struct all_results {
    double U[3][BIG_OUT * BIG_R], sigma[3][BIG_R], V[3][BIG_IN * BIG_R]; /* by Gram, bidiagonal, randomized */
    lf_svd_way way[2];
} all_results;

static lf_status decompose_all(const float *W, all_results *a) {
    lf_err err = {0};
    lf_svd_block_info info = {0};
    lf_status rc = lf_svd_block(W, BIG_OUT, BIG_IN, 90, BIG_R, a->U[0], a->sigma[0], a->V[0], &info, "w", &err);
    a->way[0] = info.way;
    if (!rc)
        rc = lf_svd_block(W, BIG_OUT, BIG_IN, BIG_IN - BIG_R, BIG_R, a->U[1], a->sigma[1], a->V[1], &info, "w", &err);
    a->way[1] = info.way;
    if (!rc) rc = lf_svd_randomized(W, BIG_OUT, BIG_IN, BIG_R, 2, 1, 0, a->U[2], a->sigma[2], a->V[2], "w", &err);
    return rc;
}

static void same_bytes_from_anywhere(void **state) {
    (void)state;
    float *W = matrix_of(BIG_OUT, BIG_IN, graded_1e6, 1);
    all_results *a = test_calloc(5, sizeof *a);
    lf_status rc[5];
    omp_set_num_threads(1);
    rc[0] = decompose_all(W, &a[0]);
    omp_set_num_threads(2);
    rc[1] = decompose_all(W, &a[1]);
    rc[2] = decompose_all(W, &a[2]);
    assert_int_equal(omp_get_max_threads(), 2); /* the caller's own setting is as it was */
#pragma omp parallel for num_threads(2) schedule(static, 1)
    for (int i = 3; i < 5; i++) rc[i] = decompose_all(W, &a[i]);
    for (int i = 0; i < 5; i++) assert_int_equal(rc[i], LF_OK);
    assert_int_equal(a[0].way[0], GRAM);
    assert_int_equal(a[0].way[1], BIDIAGONAL);
    for (int i = 1; i < 5; i++) assert_memory_equal(&a[0], &a[i], sizeof a[0]);
    test_free(a);
    test_free(W);
}

enum { OUT = 24, IN = 16, N = 16, R = 4 };
typedef lf_status decompose(const float *W, double *U, double *sigma, double *V, lf_err *err);
static const char NAME[] = "vit.encoder.layer.3.weight";

static lf_status by_full(const float *W, double *U, double *sigma, double *V, lf_err *err) {
    return lf_svd_full(W, OUT, IN, sigma, U, V, NAME, err);
}
static lf_status by_values(const float *W, double *U, double *sigma, double *V, lf_err *err) {
    return (void)U, (void)V, lf_svd_values(W, OUT, IN, sigma, NAME, err);
}
static lf_status by_block(const float *W, double *U, double *sigma, double *V, lf_err *err) {
    return lf_svd_block(W, OUT, IN, 5, R, U, sigma, V, NULL, NAME, err);
}
static lf_status by_last_block(const float *W, double *U, double *sigma, double *V, lf_err *err) {
    return lf_svd_block(W, OUT, IN, N - R, R, U, sigma, V, NULL, NAME, err);
}
static lf_status by_placed_block(const float *W, double *U, double *sigma, double *V, lf_err *err) {
    const int64_t s = 5;
    double all[N];
    return lf_svd_block_placed(W, OUT, IN, place_at, &s, R, all, U, sigma, V, NULL, NAME, err);
}
static lf_status by_sketch(const float *W, double *U, double *sigma, double *V, lf_err *err) {
    return lf_svd_randomized(W, OUT, IN, R, 2, 1, 0, U, sigma, V, NAME, err);
}
static decompose *const all_ways[] = {by_full, by_values, by_block, by_last_block, by_placed_block, by_sketch};
enum { N_WAYS = sizeof all_ways / sizeof *all_ways };

static void not_a_number_names_weight_and_place(void **state) {
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    double U[OUT * N], sigma[N], V[IN * N];
    for (size_t i = 0; i < N_WAYS; i++)
        for (size_t k = 0; k < 3; k++) {
            float *W = matrix_of(OUT, IN, graded_1e6, 1);
            lf_err err = {0};
            W[23 * IN + 15] = bad[k];
            assert_int_equal(all_ways[i](W, U, sigma, V, &err), LF_EDATA);
            assert_int_equal(err.status, LF_EDATA);
            assert_non_null(strstr(err.message, NAME));
            assert_non_null(strstr(err.message, "[23, 15]"));
            assert_null(strchr(err.message, '\n'));
            test_free(W);
        }
    assert_int_equal(lf_alloc_live(), 0);
}

static void failing_allocations_leak_nothing(void **state) {
    (void)state;
    double U[OUT * N], sigma[N], V[IN * N];
    float *W = matrix_of(OUT, IN, graded_1e6, 1);
    for (size_t i = 0; i < N_WAYS; i++) {
        lf_status rc = LF_ENOMEM;
        int64_t failures = 0;
        for (; rc != LF_OK; failures++) {
            lf_err err = {0};
            const int threads = omp_get_max_threads();
            lf_alloc_fail_after(failures);
            rc = all_ways[i](W, U, sigma, V, &err);
            lf_alloc_fail_after(-1);
            assert_int_equal(lf_alloc_live(), 0);
            assert_int_equal(omp_get_max_threads(), threads);
            if (rc == LF_OK) break;
            assert_int_equal(rc, LF_ENOMEM);
            assert_non_null(strstr(err.message, NAME));
        }
        assert_true(failures > 0);
    }
    test_free(W);
}

/* ---- Sturm counts ---------------------------------------------------------------------------------------------------
 */

/* Second differences: eigenvalues 2 - 2 cos(k pi / (n + 1)), k = 1 .. n. */
static void sturm_counts_known_eigenvalues(void **state) {
    (void)state;
    enum { SIZE = 20 };
    double d[SIZE], e[SIZE - 1], values[SIZE];
    for (int i = 0; i < SIZE; i++) d[i] = 2;
    for (int i = 0; i + 1 < SIZE; i++) e[i] = -1;
    for (int i = 0; i < SIZE; i++) values[i] = 2 - 2 * cos((SIZE - i) * acos(-1.0) / (SIZE + 1)); /* descending */
    const lf_tridiagonal t = {SIZE, d, e};
    for (int i = 0; i < SIZE; i++) {
        assert_int_equal(lf_tridiagonal_count_above(&t, values[i] * (1 + 1e-12)), i);
        assert_int_equal(lf_tridiagonal_count_above(&t, values[i] * (1 - 1e-12)), i + 1);
    }
    ASSERT_LE(fabs(lf_tridiagonal_largest(&t) - values[0]), 1e-14 * values[0]);
    assert_int_equal(lf_tridiagonal_count_above(&t, 2), SIZE / 2); /* the first pivot is exactly zero */

    assert_true(lf_tridiagonal_is_block(&t, 5, 4, values[5], values[8], 1e-12));
    assert_false(lf_tridiagonal_is_block(&t, 4, 4, values[5], values[8], 1e-12)); /* numbered one too low */
    assert_false(lf_tridiagonal_is_block(&t, 6, 4, values[5], values[8], 1e-12)); /* one too high */
    assert_false(lf_tridiagonal_is_block(&t, 5, 4, values[5], values[9], 1e-12)); /* one skipped */
    assert_false(lf_tridiagonal_is_block(&t, 5, 4, values[5], values[7], 1e-12)); /* one found twice */
    assert_false(lf_tridiagonal_is_block(&t, 5, 4, values[4], values[8], 1e-12));
    assert_false(lf_tridiagonal_is_block(&t, 5, 4, values[6], values[8], 1e-12));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(block_of_tall_wide_and_square),
        cmocka_unit_test(block_at_the_ends_and_whole),
        cmocka_unit_test(block_of_a_single_row_or_column),
        cmocka_unit_test(block_of_condition_1e6),
        cmocka_unit_test(block_does_not_depend_on_scale),
        cmocka_unit_test(block_of_clusters),
        cmocka_unit_test(block_of_low_clusters),
        cmocka_unit_test(block_of_exact_clusters),
        cmocka_unit_test(dead_components_are_counted_and_orthonormal),
        cmocka_unit_test(zero_rows_columns_and_matrix),
        cmocka_unit_test(full_agrees_with_reference),
        cmocka_unit_test(values_of_any_condition),
        cmocka_unit_test(placed_block_is_values_and_block),
        cmocka_unit_test(low_rank_values_are_those_of_the_product),
        cmocka_unit_test(updated_block_is_the_block_of_the_sum),
        cmocka_unit_test(randomized_error_falls_with_niter),
        cmocka_unit_test(randomized_is_exact_for_low_rank),
        cmocka_unit_test(randomized_follows_its_seed),
        cmocka_unit_test(same_bytes_from_anywhere),
        cmocka_unit_test(not_a_number_names_weight_and_place),
        cmocka_unit_test(failing_allocations_leak_nothing),
        cmocka_unit_test(sturm_counts_known_eigenvalues),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
