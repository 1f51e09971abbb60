/* Frozen weights in four bits: their panels are multiplied by the libraries. */

/* The columns of y [rows, .., ldy apart] that a panel [n,K] of a weight's rows makes, as act or real. */
static bool multiply_panel(void *y, int64_t ldy, bool as_real, const void *x, int64_t K, const void *panel,
                           int64_t rows, int64_t n, const real *bias) {
    return product((lf_product){.out_bf16 = FAST_BF16 && !as_real,
                                .transpose_b = true,
                                .M = rows,
                                .N = n,
                                .K = K,
                                .lda = K,
                                .ldb = K,
                                .ldc = ldy,
                                .bias = bias},
                   x, panel, y);
}

#include "kernels/frozen_nf4.inc.c"
