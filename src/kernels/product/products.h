/* Products by the libraries that do them best: oneDNN (AVX-512, AVX512_BF16, AMX), BLAS for floats elsewhere. One
 * description serves them all. Called from one thread at a time, outside parallel regions. */
#ifndef LF_KERNELS_PRODUCT_PRODUCTS_H
#define LF_KERNELS_PRODUCT_PRODUCTS_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/kernels.h"

/* C [M,N] = op(A) op(B) + bias, or += op(A) op(B); row-major, op(A) [M,K], op(B) [K,N]. Sums are in float. */
typedef struct lf_product {
    bool in_bf16, out_bf16; /* of A and B, of C: bf16, else float. Floats in, bf16 out is not needed, so not there */
    bool transpose_a, transpose_b, add;
    int64_t M, N, K, lda, ldb, ldc;
    const float *bias; /* [N], or NULL; not with `add` */
} lf_product;

/* oneDNN. Primitives are made once for each shape and kept; false if one cannot be made (out of memory). */
bool lf_onednn_has_float(void); /* its products of floats are written for this processor (AVX-512) */
bool lf_onednn_has_bf16(void);  /* the processor multiplies bf16, and oneDNN may use it (DNNL_MAX_CPU_ISA) */
/* Products of bytes are exact and fast here (VNNI, AMX). Elsewhere oneDNN multiplies bytes by an instruction that
 * saturates: exact for small ones alone. */
bool lf_onednn_has_int8(void);
/* C [M,N] = A op(B), whole numbers: A [M,K], op(B) [K,N] of -127 .. 127 */
bool lf_onednn_int8_product(int32_t *C, int64_t ldc, const int8_t *A, int64_t lda, const int8_t *B, int64_t ldb,
                            bool transpose_b, int64_t M, int64_t N, int64_t K);
bool lf_onednn_has_amx(void); /* and by AMX */
bool lf_onednn_product(const lf_product *p, const void *A, const void *B, void *C);

/* A frozen weight in bf16, packed twice, for x W^T and for dy W, each in the layout that oneDNN asks for. */
int64_t lf_onednn_packed_size(int64_t out, int64_t in); /* -1: failed */
bool lf_onednn_pack(lf_frozen *w, const float *W);
bool lf_onednn_unpack(const lf_frozen *w, float *W);
/* y [rows,out] = x W^T + bias (float, may be NULL), or backward dx [rows,in] = or += dy W; in bf16, but the bias and,
 * unless out_bf16, the result. */
bool lf_onednn_packed_product(const lf_frozen *w, bool backward, bool out_bf16, void *y, const void *x, int64_t rows,
                              const float *bias, bool add);

/* C [M,N] = or += (A op(B)) with the scales of A's rows and the columns' own, + bias: A [M,K] bytes -127 .. 127 with
 * scales [M, blocks], one for each `block` columns; op(B) [K,N] bytes of that kind. In float, or bf16 if out_bf16. */
enum { LF_VNNI_ROWS = 256 };
typedef struct lf_bytes_product {
    const int8_t *A, *B;
    const float *scales, *columns, *bias; /* columns, bias [N]: or NULL */
    int32_t *sums;                        /* [M, blocks], to write to */
    void *C;
    bool transpose_b, out_bf16, add;
    int64_t M, N, K, block, ldb, ldc; /* M at most LF_VNNI_ROWS */
} lf_bytes_product;

bool lf_vnni_runs_here(int64_t K);
void lf_vnni_product(const lf_bytes_product *p);

void lf_blas_product(const lf_product *p, const float *A, const float *B, float *C); /* floats only */
/* bf16 in, by way of blocks of floats and BLAS: for processors that cannot multiply bf16. Right, and slow. */
void lf_blas_bf16_product(const lf_product *p, const uint16_t *A, const uint16_t *B, void *C);

#endif
