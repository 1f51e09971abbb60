/* The definition of the arithmetic of frozen weights in int8 (kernels.def). What becomes whole numbers is computed in
 * float, whatever the activations: so every backend makes the same ones. */

static void int8_quantise(int8_t *q, float *scales, const void *x_, const float *fold, int64_t rows, int64_t C,
                          int64_t group) {
    const act *x = x_;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t from = 0; from < C; from += group, scales++) {
            const int64_t to = from + group < C ? from + group : C;
            float most = 0;
            for (int64_t c = from; c < to; c++) {
                const float z = (float)LD(x[i * C + c]) * (fold ? fold[c] : 1.0f);
                if (isnan(z) || fabsf(z) > most) most = fabsf(z); /* NaN stays: nothing is larger */
            }
            *scales = most < LF_INT8_LEAST ? 0 : most / 127.0f;
            const bool counts = most >= LF_INT8_LEAST && most <= LF_INT8_MOST;
            for (int64_t c = from; c < to; c++) {
                const float z = (float)LD(x[i * C + c]) * (fold ? fold[c] : 1.0f);
                q[i * C + c] = counts ? (int8_t)rintf(z * (127.0f / most)) : 0;
            }
        }
}

static bool int8_product(int32_t *C, int64_t ldc, const int8_t *A, int64_t lda, const int8_t *B, int64_t ldb,
                         bool transpose_b, int64_t M, int64_t N, int64_t K) {
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < N; j++) {
            int32_t sum = 0;
            for (int64_t k = 0; k < K; k++) sum += A[i * lda + k] * B[transpose_b ? j * ldb + k : k * ldb + j];
            C[i * ldc + j] = sum;
        }
    return true;
}

static void int8_store(void *y, int64_t ldy, bool as_real, bool add, const int32_t *sums, const void *before_,
                       const float *scales, int64_t step, const float *columns, const void *bias_, int64_t rows,
                       int64_t C) {
    const real *before = before_, *bias = bias_;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < C; c++) {
            const double own = (double)sums[i * C + c] * (double)scales[i * step];
            const double all = (before ? (double)before[i * C + c] : 0) + own;
            const double value = all * (columns ? (double)columns[c] : 1) + (bias ? (double)bias[c] : 0);
            if (as_real)
                store_real((real *)y + i * ldy + c, add, value);
            else
                store((act *)y + i * ldy + c, add, value);
        }
}
