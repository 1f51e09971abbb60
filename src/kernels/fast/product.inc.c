/* Products, by the libraries (products.h). */

static bool by_onednn(void) { return FAST_BF16 ? lf_onednn_has_bf16() : FAST_ONEDNN && lf_onednn_has_float(); }

static bool product(lf_product p, const void *A, const void *B, void *C) {
    p.in_bf16 = FAST_BF16;
    if (by_onednn()) return lf_onednn_product(&p, A, B, C);
    if (FAST_BF16)
        lf_blas_bf16_product(&p, A, B, C);
    else
        lf_blas_product(&p, A, B, C);
    return true;
}

static bool gemm(bool transpose_a, bool transpose_b, int64_t M, int64_t N, int64_t K, const void *A, int64_t lda,
                 const void *B, int64_t ldb, bool add, void *C, int64_t ldc) {
    return product((lf_product){.out_bf16 = FAST_BF16,
                                .transpose_a = transpose_a,
                                .transpose_b = transpose_b,
                                .add = add,
                                .M = M,
                                .N = N,
                                .K = K,
                                .lda = lda,
                                .ldb = ldb,
                                .ldc = ldc},
                   A, B, C);
}

static bool gemm_real(bool transpose_a, bool transpose_b, int64_t M, int64_t N, int64_t K, const void *A, int64_t lda,
                      const void *B, int64_t ldb, bool add, void *C, int64_t ldc) {
    return product((lf_product){.transpose_a = transpose_a,
                                .transpose_b = transpose_b,
                                .add = add,
                                .M = M,
                                .N = N,
                                .K = K,
                                .lda = lda,
                                .ldb = ldb,
                                .ldc = ldc},
                   A, B, C);
}

/* scale (X - X0) [rows,columns] as activations, rows ld apart, and as floats, transposed or not. X0, as_act and
 * as_float may be NULL. */
static void scaled_difference(act *as_act, int64_t ld, float *as_float, bool transposed, const float *X,
                              const float *X0, int64_t rows, int64_t columns, float scale) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < columns; c++) {
            const float value = scale * (X[i * columns + c] - (X0 ? X0[i * columns + c] : 0));
            if (as_act) as_act[i * ld + c] = ST(value);
            if (as_float) as_float[transposed ? c * rows + i : i * columns + c] = value;
        }
}

static void lora_factors(void *A_act_, void *A_real_, void *B_act_, int64_t ldb, void *B_real_, const void *A,
                         const void *B, const void *A0, const void *B0, int64_t r, int64_t in, int64_t out,
                         double scale_a, double scale_b) {
    act *A_act = A_act_, *B_act = B_act_;
    float *A_real = A_real_, *B_real = B_real_;
    const float a = (float)scale_a, b = (float)scale_b;
    scaled_difference(A_act, in, A_real, false, A, NULL, r, in, a);
    if (A0)
        scaled_difference(A_act ? A_act + r * in : NULL, in, A_real ? A_real + r * in : NULL, false, A, A0, r, in, a);
    scaled_difference(B_act, ldb, B_real, true, B, B0, out, r, b);
    if (B0)
        scaled_difference(B_act ? B_act + r : NULL, ldb, B_real ? B_real + r * out : NULL, true, B0, NULL, out, r, b);
}

static void add_transposed(void *y_, const void *x_, int64_t ldx, int64_t rows, int64_t C) {
    float *y = y_;
    const float *x = x_;
    for (int64_t c = 0; c < C; c++)
        for (int64_t row = 0; row < rows; row++) y[row * C + c] += x[c * ldx + row];
}
