/* Products, by BLAS. */

static void sgemm(bool transpose_a, bool transpose_b, int64_t M, int64_t N, int64_t K, float alpha, const float *A,
                  int64_t lda, const float *B, int64_t ldb, float beta, float *C, int64_t ldc) {
    assert(M <= INT32_MAX && N <= INT32_MAX && K <= INT32_MAX && lda <= INT32_MAX && ldb <= INT32_MAX && ldc <= INT32_MAX);
    cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans,
                (blasint)M, (blasint)N, (blasint)K, alpha, A, (blasint)lda, B, (blasint)ldb, beta, C, (blasint)ldc);
}

/* The longer side of C is cut into one piece a thread. OpenBLAS's own threads take a third longer for the thin products
 * of an adapter, and no less for the others; with too short pieces the choice is left to it. */
static void gemm(bool transpose_a, bool transpose_b, int64_t M, int64_t N, int64_t K, double alpha, const void *A_,
                 int64_t lda, const void *B_, int64_t ldb, double beta, void *C_, int64_t ldc) {
    const float *A = A_, *B = B_;
    float *C = C_;
    const bool by_rows = M >= N;
    const int64_t side = by_rows ? M : N, threads = lf_threads();
    const int64_t pieces = side >= 64 * threads && (double)M * (double)N * (double)K > 1e6 ? threads : 1;
    if (M == 0 || N == 0) return;
    if (pieces == 1) {
        sgemm(transpose_a, transpose_b, M, N, K, (float)alpha, A, lda, B, ldb, (float)beta, C, ldc);
        return;
    }
#pragma omp parallel for schedule(static) num_threads(lf_threads())
    for (int64_t piece = 0; piece < pieces; piece++) {
        const int64_t from = side * piece / pieces, n = side * (piece + 1) / pieces - from;
        if (by_rows)
            sgemm(transpose_a, transpose_b, n, N, K, (float)alpha, transpose_a ? A + from : A + from * lda, lda, B, ldb,
                  (float)beta, C + from * ldc, ldc);
        else
            sgemm(transpose_a, transpose_b, M, n, K, (float)alpha, A, lda, transpose_b ? B + from * ldb : B + from, ldb,
                  (float)beta, C + from, ldc);
    }
}

static int64_t frozen_size(int64_t out, int64_t in) { return out * in * (int64_t)sizeof(float); }

static bool frozen_prepare(lf_frozen *w, const float *W) {
    memcpy(w->data, W, (size_t)frozen_size(w->out, w->in));
    return true;
}

static bool frozen_restore(const lf_frozen *w, float *W) {
    memcpy(W, w->data, (size_t)frozen_size(w->out, w->in));
    return true;
}

static int64_t frozen_scratch(const lf_frozen *w, int64_t rows, bool backward) {
    (void)w;
    (void)rows;
    (void)backward;
    return 0;
}

static bool frozen_forward(const lf_frozen *w, void *y, const void *x, int64_t rows, void *scratch) {
    (void)scratch;
    gemm(false, true, rows, w->out, w->in, 1, x, w->in, w->data, w->in, 0, y, w->out);
    return true;
}

static bool frozen_backward(const lf_frozen *w, void *dx, const void *dy, int64_t rows, bool add, void *scratch) {
    (void)scratch;
    gemm(false, false, rows, w->in, w->out, 1, dy, w->out, w->data, w->in, add, dx, w->in);
    return true;
}
