/* Products by BLAS. */
#include <assert.h>
#include <cblas.h>
#include <omp.h>

#include "kernels/product/products.h"

static inline int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }

static void sgemm(bool transpose_a, bool transpose_b, int64_t M, int64_t N, int64_t K, const float *A, int64_t lda,
                  const float *B, int64_t ldb, bool add, float *C, int64_t ldc) {
    assert(M <= INT32_MAX && N <= INT32_MAX && K <= INT32_MAX && lda <= INT32_MAX && ldb <= INT32_MAX &&
           ldc <= INT32_MAX);
    cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans,
                (blasint)M, (blasint)N, (blasint)K, 1, A, (blasint)lda, B, (blasint)ldb, add ? 1 : 0, C, (blasint)ldc);
}

static void add_bias(float *C, const float *bias, int64_t M, int64_t N, int64_t ldc) {
    if (!bias) return;
#pragma omp parallel for schedule(static) num_threads(lf_threads()) if (M * N > 32768)
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < N; j++) C[i * ldc + j] += bias[j];
}

/* The longer side of C is cut into one piece a thread. OpenBLAS's own threads take a third longer for the thin products
 * of an adapter, and no less for the others; with too short pieces the choice is left to it. */
void lf_blas_product(const lf_product *p, const float *A, const float *B, float *C) {
    const bool ta = p->transpose_a, tb = p->transpose_b, by_rows = p->M >= p->N;
    const int64_t side = by_rows ? p->M : p->N, threads = lf_threads();
    const int64_t pieces = side >= 64 * threads && (double)p->M * (double)p->N * (double)p->K > 1e6 ? threads : 1;
    if (p->M == 0 || p->N == 0) return;
    if (pieces == 1) {
        sgemm(ta, tb, p->M, p->N, p->K, A, p->lda, B, p->ldb, p->add, C, p->ldc);
    } else {
#pragma omp parallel for schedule(static) num_threads(lf_threads())
        for (int64_t piece = 0; piece < pieces; piece++) {
            const int64_t from = side * piece / pieces, n = side * (piece + 1) / pieces - from;
            if (by_rows)
                sgemm(ta, tb, n, p->N, p->K, ta ? A + from : A + from * p->lda, p->lda, B, p->ldb, p->add,
                      C + from * p->ldc, p->ldc);
            else
                sgemm(ta, tb, p->M, n, p->K, A, p->lda, tb ? B + from * p->ldb : B + from, p->ldb, p->add, C + from,
                      p->ldc);
        }
    }
    add_bias(C, p->bias, p->M, p->N, p->ldc);
}

/* ---- bf16 by way of floats ---- */

enum { TILE = 64, DEPTH = 256 };

static float widened(uint16_t h) {
    const union {
        uint32_t bits;
        float value;
    } u = {(uint32_t)h << 16};
    return u.value;
}

/* Rows row .. row+n-1 of op(X), numbers from .. from+depth-1 of each, as floats [n, DEPTH]. `across`: a row of op(X) is
 * a column of X. */
static void gather(float *to, const uint16_t *X, int64_t ld, bool across, int64_t row, int64_t n, int64_t from,
                   int64_t depth) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < depth; k++)
            to[i * DEPTH + k] = widened(X[across ? (from + k) * ld + row + i : (row + i) * ld + from + k]);
}

static void store_tile(const lf_product *p, void *C, const float *tile, int64_t i, int64_t j, int64_t m, int64_t n) {
    for (int64_t a = 0; a < m; a++)
        for (int64_t b = 0; b < n; b++) {
            const int64_t at = (i + a) * p->ldc + j + b;
            const float before = !p->add       ? (p->bias ? p->bias[j + b] : 0)
                                 : p->out_bf16 ? widened(((uint16_t *)C)[at])
                                               : ((float *)C)[at];
            const float value = before + tile[a * TILE + b];
            if (p->out_bf16)
                ((uint16_t *)C)[at] = lf_f32_to_bf16(value);
            else
                ((float *)C)[at] = value;
        }
}

void lf_blas_bf16_product(const lf_product *p, const uint16_t *A, const uint16_t *B, void *C) {
    const int64_t down = (p->M + TILE - 1) / TILE, across = (p->N + TILE - 1) / TILE;
#pragma omp parallel for schedule(static) num_threads(lf_threads()) if (p->M * p->N * p->K > 32768)
    for (int64_t t = 0; t < down * across; t++) {
        const int64_t i = t / across * TILE, j = t % across * TILE, m = at_most(TILE, p->M - i),
                      n = at_most(TILE, p->N - j);
        float a[TILE * DEPTH], b[TILE * DEPTH], tile[TILE * TILE] = {0};
        for (int64_t k = 0; k < p->K; k += DEPTH) {
            const int64_t depth = at_most(DEPTH, p->K - k);
            gather(a, A, p->lda, p->transpose_a, i, m, k, depth);
            gather(b, B, p->ldb, !p->transpose_b, j, n, k, depth);
            sgemm(false, true, m, n, depth, a, DEPTH, b, DEPTH, k > 0, tile, TILE);
        }
        store_tile(p, C, tile, i, j, m, n);
    }
}
