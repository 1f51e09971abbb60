#include <assert.h>
#include <cblas.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>

#include "base/mem.h"
#include "linalg/svd_internal.h"

enum { METHODS_VERSION = 1 };

void lf_svd_solver(char *text, size_t size) {
    lapack_int major = 0, minor = 0, patch = 0;
    LAPACKE_ilaver(&major, &minor, &patch);
    snprintf(text, size, "methods %d, LAPACK %d.%d.%d, %s, %s", METHODS_VERSION, (int)major, (int)minor, (int)patch,
             openblas_get_config(), openblas_get_corename());
}

/* The first entry that is NaN or Inf, as an error. */
static lf_status find_not_finite(const lf_svd_weight *w, const float *W, lf_err *err) {
    for (int64_t i = 0; i < w->out; i++)
        for (int64_t j = 0; j < w->in; j++)
            if (!isfinite(W[i * w->in + j]))
                return lf_fail(err, LF_EDATA,
                               "%s: entry [%" PRId64 ", %" PRId64
                               "] of the weight is %g, expected finite numbers; is the "
                               "model file damaged, or its training diverged?",
                               w->name, i, j, (double)W[i * w->in + j]);
    return LF_OK;
}

lf_status lf_svd_begin_empty(lf_svd_weight *w, int64_t out, int64_t in, const char *name, lf_err *err) {
    assert(out >= 1 && in >= 1);
    *w = (lf_svd_weight){.name = name, .blas_threads = omp_get_max_threads()};
    /* A setting of this thread only, unlike openblas_set_num_threads. How BLAS splits a sum depends on its number of
     * threads; with one, the bytes are the same from anywhere. */
    omp_set_num_threads(1);
    if (out > INT32_MAX || in > INT32_MAX)
        return lf_fail(err, LF_EUNSUPPORTED,
                       "%s: shape [%" PRId64 ", %" PRId64
                       "], expected at most %d rows and columns (LAPACK's limit); leave "
                       "it out of target_modules",
                       name, out, in, INT32_MAX);
    w->out = (lapack_int)out;
    w->in = (lapack_int)in;
    w->n = (lapack_int)(out < in ? out : in);
    return (w->arena = lf_arena_new()) ? LF_OK : lf_svd_out_of_memory(w, err);
}

lf_status lf_svd_begin(lf_svd_weight *w, const float *W, int64_t out, int64_t in, const char *name, lf_err *err) {
    const lf_status rc = lf_svd_begin_empty(w, out, in, name, err);
    if (rc) return rc;
    if (!(w->Wt = lf_svd_doubles(w, in, out))) return lf_svd_out_of_memory(w, err);
    int all_finite = 1;
    for (int64_t i = 0; i < out * in; i++) {
        w->Wt[i] = (double)W[i];
        all_finite &= fabsf(W[i]) <= FLT_MAX;
    }
    return all_finite ? LF_OK : find_not_finite(w, W, err);
}

void lf_svd_end(lf_svd_weight *w) {
    lf_arena_free(w->arena);
    omp_set_num_threads(w->blas_threads);
}

static void *array(lf_svd_weight *w, int64_t rows, int64_t columns, size_t size) {
    uint64_t count, bytes;
    if (lf_mul_overflow((uint64_t)rows, (uint64_t)columns, &count) || lf_mul_overflow(count, size, &bytes)) return NULL;
    return lf_arena_alloc(w->arena, bytes);
}

double *lf_svd_doubles(lf_svd_weight *w, int64_t rows, int64_t columns) {
    return array(w, rows, columns, sizeof(double));
}

float *lf_svd_floats(lf_svd_weight *w, int64_t rows, int64_t columns) { return array(w, rows, columns, sizeof(float)); }

lapack_int *lf_svd_ints(lf_svd_weight *w, int64_t count) { return array(w, count, 1, sizeof(lapack_int)); }

lf_status lf_svd_out_of_memory(const lf_svd_weight *w, lf_err *err) {
    return lf_no_memory(err, "the decomposition of %s [%d, %d]; try fewer threads or a smaller model", w->name,
                        (int)w->out, (int)w->in);
}

lf_status lf_svd_dgesdd(lf_svd_weight *w, double *M, lapack_int rows, lapack_int columns, double *sigma, double *L,
                        double *Rt, lf_err *err) {
    const char job = L ? 'S' : 'N';
    const lapack_int k = rows < columns ? rows : columns;
    double best_size;
    lapack_int *iwork = lf_svd_ints(w, 8 * (int64_t)k);
    if (!iwork) return lf_svd_out_of_memory(w, err);
    lapack_int info = LAPACKE_dgesdd_work(LAPACK_COL_MAJOR, job, rows, columns, M, rows, sigma, L, rows, Rt, k,
                                          &best_size, -1, iwork);
    assert(info == 0);
    if (best_size > INT32_MAX)
        return lf_fail(
            err, LF_EUNSUPPORTED,
            "%s: the full decomposition of a [%d, %d] weight needs more workspace than LAPACK can count; leave "
            "it out of target_modules",
            w->name, (int)w->out, (int)w->in);
    double *work = lf_svd_doubles(w, (int64_t)best_size, 1);
    if (!work) return lf_svd_out_of_memory(w, err);
    info = LAPACKE_dgesdd_work(LAPACK_COL_MAJOR, job, rows, columns, M, rows, sigma, L, rows, Rt, k, work,
                               (lapack_int)best_size, iwork);
    if (info != 0)
        return lf_fail(
            err, LF_ENUMERIC,
            "%s: singular value decomposition of this [%d, %d] weight: expected convergence, got info %d from "
            "dgesdd; leave it out of target_modules",
            w->name, (int)w->out, (int)w->in, (int)info);
    return LF_OK;
}

void lf_svd_to_row_major(double *dst, const double *src, int64_t rows, int64_t columns) {
    enum { TILE = 16 }; /* 128 bytes a side: both sides stay in cache while a tile is turned */
    for (int64_t i0 = 0; i0 < rows; i0 += TILE)
        for (int64_t j0 = 0; j0 < columns; j0 += TILE)
            for (int64_t i = i0; i < i0 + TILE && i < rows; i++)
                for (int64_t j = j0; j < j0 + TILE && j < columns; j++) dst[i * columns + j] = src[j * rows + i];
}

void lf_svd_fix_signs(double *U, int64_t out, double *V, int64_t in, int64_t r) {
    for (int64_t k = 0; k < r; k++) {
        double largest = 0;
        for (int64_t j = 0; j < in; j++)
            if (fabs(V[j * r + k]) > fabs(largest)) largest = V[j * r + k];
        if (largest >= 0) continue;
        for (int64_t j = 0; j < in; j++) V[j * r + k] = -V[j * r + k];
        for (int64_t i = 0; i < out; i++) U[i * r + k] = -U[i * r + k];
    }
}
