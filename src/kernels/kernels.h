/* The work of a training step, as one table of functions a backend. A buffer is opaque to everyone left of this folder.
 * The numbers in it are of one of two types: act   activations and their gradients, what lives on the tape:
 * lf_kernels.act_dtype real  parameters, their gradients, the optimiser's state and statistics (mean, log-sum-exp):
 * lf_kernels.dtype They differ in bf16 alone: act is bf16, real is float, and everything is computed in float and
 * rounded once when stored. Arguments are act unless the comment says real.
 *
 * The plain reference (ref/body.inc.c, built for double, float and bf16) is the definition; faster ones are checked
 * against it. Threads and intrinsics live here only.
 *
 * A kernel allocates nothing. Sizes are int64_t. Reductions run in an order that depends on the sizes and the number of
 * threads alone, so that results are the same bytes every time. Products may be oneDNN's, which makes (and allocates) a
 * primitive for a shape that it has not seen yet: they alone can fail, and return false then. A warm step finds all of
 * them made. `add`: the result is added to what is there (gradients), else it overwrites.
 */
#ifndef LF_KERNELS_KERNELS_H
#define LF_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/dtype.h"
#include "base/error.h"
#include "base/rng.h"

/* A weight [out, in] that never changes, in the layout that its backend wants for x W^T and dy W. */
typedef struct lf_frozen {
    int64_t out, in;
    void *data;
    lf_dtype act_dtype; /* of what it is multiplied with: its table's */
} lf_frozen;

/* softmax(scale * q k^T) v a head; q, o: [B, Tq, H * D] with row stride ldq / ldo; k, v: [B, T, Hkv * D], row stride
 * ldkv. H is a multiple of Hkv (grouped-query attention). The queries are those of the last Tq of T positions: query i
 * stands at position T - Tq + i. Dropout acts on the normalised probabilities; the number of entry (b, h, i, j) is
 * ((b * H + h) * Tq + i) * T + j. */
typedef struct lf_attention_dims {
    int64_t B, T, Tq, H, Hkv, D;
    int64_t ldq, ldkv, ldo;
    double scale;
    bool causal;
    int64_t window;       /* causal only: a query sees the last `window` keys, its own included; 0: all */
    const int32_t *first; /* causal only: [B,Tq], the first key that a query sees (its document's start); NULL: 0 */
    double dropout;       /* 0: none */
    lf_rng_key key;
} lf_attention_dims;

typedef struct lf_adamw_step {
    double learning_rate, beta1, beta2, epsilon, weight_decay;
    double correction1, correction2; /* 1 - beta^t */
    double gradient_scale;           /* clipping: the gradient is multiplied by this first */
} lf_adamw_step;

typedef struct lf_kernels lf_kernels;
struct lf_kernels {
    const char
        *name; /* "ref", "sse2", "avx2", "avx512"; "generic" on other processors; with "+bf16" or "+bf16ref" behind */
    const char *precision;     /* of activations, frozen weights and products: "fp32", "bf16" */
    lf_dtype dtype, act_dtype; /* real, act */
    const lf_kernels *wide;    /* the table whose activations are real: itself, but for bf16 (heads and losses) */

    /* C [M,N] = or += op(A) op(B); row-major, op(A) [M,K], op(B) [K,N]. gemm_real: C is real. */
    bool (*gemm)(bool transpose_a, bool transpose_b, int64_t M, int64_t N, int64_t K, const void *A, int64_t lda,
                 const void *B, int64_t ldb, bool add, void *C, int64_t ldc);
    bool (*gemm_real)(bool transpose_a, bool transpose_b, int64_t M, int64_t N, int64_t K, const void *A, int64_t lda,
                      const void *B, int64_t ldb, bool add, void *C, int64_t ldc);

    /* Frozen weights. size: bytes that w->data needs (-1: failed); prepare converts W [out,in] floats into it. */
    bool frozen_exact; /* restore gives the very numbers that prepare was given */
    int64_t (*frozen_size)(int64_t out, int64_t in);
    bool (*frozen_prepare)(lf_frozen *w, const float *W);
    bool (*frozen_restore)(const lf_frozen *w, float *W); /* back to floats [out,in] */
    /* y = x W^T + bias; bias [out] real, may be NULL */
    bool (*frozen_forward)(const lf_frozen *w, void *y, const void *x, int64_t rows, const void *bias);
    bool (*frozen_forward_real)(const lf_frozen *w, void *y, const void *x, int64_t rows); /* y = x W^T, y real */
    bool (*frozen_backward)(const lf_frozen *w, void *dx, const void *dy, int64_t rows, bool add); /* dx = dy W */

    /* An adapter's products. From A, A0 [r,in] and B, B0 [out,r], all real, its factors, with R = 2r: Ahat [R,in] =
     * scale_a [A; A-A0] and Bhat [out,R] = scale_b [B-B0, B0]; without A0 and B0 (both NULL) the scaled A and B, R = r.
     * As activations A_act [R,in] and B_act [out,R], rows ldb apart; and as real numbers A_real [R,in] and B_real
     * [R,out], Bhat transposed. Any of the four may be NULL. */
    void (*lora_factors)(void *A_act, void *A_real, void *B_act, int64_t ldb, void *B_real, const void *A,
                         const void *B, const void *A0, const void *B0, int64_t r, int64_t in, int64_t out,
                         double scale_a, double scale_b);
    /* y [rows,C] += u [rows,R] F [R,C]; F real, small R */
    void (*low_rank_add)(void *y, int64_t ldy, const void *u, int64_t ldu, const void *F, int64_t ldf, int64_t rows,
                         int64_t C, int64_t R);
    /* S [R,C] = or += u^T z, u [rows,R], z [rows,C]; S real, small R */
    bool (*low_rank_sum)(void *S, int64_t lds, bool add, const void *u, int64_t ldu, const void *z, int64_t ldz,
                         int64_t rows, int64_t R, int64_t C);
    void (*add_transposed)(void *y, const void *x, int64_t ldx, int64_t rows,
                           int64_t C); /* y [rows,C] += x^T, x [C,rows]; real */

    void (*fill)(void *y, double value, int64_t n);
    void (*from_f32)(void *y, const float *x, int64_t n);          /* y real */
    void (*to_f32)(float *y, const void *x, int64_t n);            /* x real */
    void (*to_act)(void *y, bool add, const void *x, int64_t n);   /* x real */
    void (*to_real)(void *y, bool add, const void *x, int64_t n);  /* y real */
    void (*add)(void *y, const void *a, const void *b, int64_t n); /* y = a + b; y may be a or b */
    void (*axpy)(void *y, double alpha, const void *x, int64_t n); /* y += alpha x */
    /* y[row,:] += b, b real; db += sum over rows, db real; rows of y and dy are ld apart */
    void (*bias)(void *y, int64_t ld, const void *b, int64_t rows, int64_t C);
    void (*column_sums)(void *db, const void *dy, int64_t ld, int64_t rows, int64_t C);

    /* mean and rstd [rows] are written; w, b [C]; all four real. */
    void (*layernorm)(void *y, void *mean, void *rstd, const void *x, const void *w, const void *b, int64_t rows,
                      int64_t C, double epsilon);
    /* dx (NULL: not wanted) is overwritten or added to; dw, db (NULL: not wanted) are added to, and real. */
    void (*layernorm_backward)(void *dx, bool add, void *dw, void *db, const void *dy, const void *x, const void *mean,
                               const void *rstd, const void *w, int64_t rows, int64_t C);

    /* exact: x Phi(x) by erf; tanh: 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). */
    void (*gelu)(void *y, const void *x, int64_t n, bool tanh_form);
    void (*gelu_backward)(void *dx, bool add, const void *dy, const void *x, int64_t n, bool tanh_form);

    /* y = x * keep / (1 - p); entry i is kept if lf_rng_u32(key, i) >= p * 2^32. y may be x. Its own backward. */
    void (*dropout)(void *y, bool add, const void *x, int64_t n, double p, lf_rng_key key);

    /* lse [B, H, Tq] real: log-sum-exp of the scaled scores, kept for backward. scratch: attention_scratch bytes. */
    int64_t (*attention_scratch)(const lf_attention_dims *d, bool backward);
    void (*attention)(void *o, void *lse, const void *q, const void *k, const void *v, const lf_attention_dims *d,
                      void *scratch);
    /* dq, dk, dv have the strides of q, k, v and are overwritten. */
    void (*attention_backward)(void *dq, void *dk, void *dv, const void *dout, const void *o, const void *lse,
                               const void *q, const void *k, const void *v, const lf_attention_dims *d, void *scratch);

    /* pixels [B, channels, H, W] floats -> patches [B, (H/P)*(W/P), channels*P*P], rows first, channel slowest in a
     * patch. */
    void (*patchify)(void *patches, const float *pixels, int64_t B, int64_t channels, int64_t H, int64_t W, int64_t P);

    /* x [B, N+1, C]: x[b,0] = cls + pos[0]; x[b,1+i] = patches[b,i] + pos[1+i]. cls, pos real. */
    void (*embed_tokens)(void *x, const void *patches, const void *cls, const void *pos, int64_t B, int64_t N,
                         int64_t C);
    /* dpatches overwritten; dcls, dpos (real) added to. Each may be NULL. */
    void (*embed_tokens_backward)(void *dpatches, void *dcls, void *dpos, const void *dx, int64_t B, int64_t N,
                                  int64_t C);

    /* y [B, C] = x [B, T, C] at token t; backward zeroes the other tokens unless add. */
    void (*select_token)(void *y, const void *x, int64_t B, int64_t T, int64_t C, int64_t t);
    void (*select_token_backward)(void *dx, bool add, const void *dy, int64_t B, int64_t T, int64_t C, int64_t t);

    /* Mean over rows is the caller's: returns the sum over rows of
     *   (1-e) * -log p[label] + e * mean_v -log p[v],  e = label smoothing; rows with label < 0 count nothing.
     * lse [rows] real is written. */
    double (*cross_entropy)(void *lse, const void *logits, const int32_t *labels, int64_t rows, int64_t V,
                            double smoothing);
    void (*cross_entropy_backward)(void *dlogits, bool add, double dloss, const void *lse, const void *logits,
                                   const int32_t *labels, int64_t rows, int64_t V, double smoothing);

    /* ---- for language models ---- */
    /* y = x rstd w, rstd = 1 / sqrt(mean(x^2) + epsilon). A row holds `groups` groups of C numbers side by side (heads,
     * or one group), each normed by itself with the same w [C]; rows of x and y are ld apart. rstd [rows, groups] is
     * written; it and w are real. */
    void (*rmsnorm)(void *y, void *rstd, const void *x, const void *w, int64_t rows, int64_t groups, int64_t C,
                    int64_t ld, double epsilon);
    /* dx (NULL: not wanted) is overwritten or added to; dw (NULL: not wanted) is added to, and real. All rows are ld
     * apart. */
    void (*rmsnorm_backward)(void *dx, bool add, void *dw, const void *dy, const void *x, const void *rstd,
                             const void *w, int64_t rows, int64_t groups, int64_t C, int64_t ld);
    /* The first C numbers of each row; rows of both are ld apart. */
    void (*copy_columns)(void *y, bool add, const void *x, int64_t ld, int64_t rows, int64_t C);
    /* Each of `heads` heads of D numbers side by side, halves x1, x2: y1 = x1 cos - x2 sin, y2 = x2 cos + x1 sin, with
     * row positions[row] of cosines and sines [.., D/2] (floats, whatever the backend); inverse: turned back, which is
     * its backward. Rows of x and y are ld apart. */
    void (*rope)(void *y, bool add, const void *x, const float *cosines, const float *sines, const int32_t *positions,
                 bool inverse, int64_t rows, int64_t heads, int64_t D, int64_t ld);
    /* y [rows, C] = silu(g) u of x [rows, 2C], rows [g, u]; silu(g) = g / (1 + e^-g) */
    void (*silu_mul)(void *y, const void *x, int64_t rows, int64_t C);
    void (*silu_mul_backward)(void *dx, bool add, const void *dy, const void *x, int64_t rows, int64_t C);
    /* y [rows, C] = row ids[row] of the table, which is real or of activations. */
    void (*gather_rows)(void *y, bool add, const void *table, bool table_is_real, const int32_t *ids, int64_t rows,
                        int64_t C);
    /* Row ids[row] of dtable, real, += row of dy [rows, C], one row after the other (an id may come again). */
    void (*scatter_rows)(void *dtable, const void *dy, const int32_t *ids, int64_t rows, int64_t C);

    /* Cross-entropy over a vocabulary, from real logits [rows, V]; every row has a label. For each row: lse real; nll =
     * -log p[label]; uniform (NULL: not wanted) = mean_v -log p[v], for label smoothing; correct: label is the first of
     * the largest logits. */
    void (*lm_cross_entropy)(void *lse, double *nll, double *uniform, bool *correct, const void *logits,
                             const int32_t *labels, int64_t rows, int64_t V);
    /* dlogits act, overwritten: scale d((1-e) nll + e uniform), e = smoothing. May be logits where act is real. */
    void (*lm_cross_entropy_backward)(void *dlogits, double scale, const void *lse, const void *logits,
                                      const int32_t *labels, int64_t rows, int64_t V, double smoothing);
    /* Of each row's p = softmax(logits) against q = softmax(base), both real: ce = -sum q log p, kl = sum q log(q / p),
     * which is exactly 0 for equal logits. */
    void (*lm_compare)(double *ce, double *kl, const void *logits, const void *base, int64_t rows, int64_t V);

    /* ---- for optimisers: everything real ---- */
    /* Sum of squares; NaN or Inf if x holds any. */
    double (*sum_squares)(const void *x, int64_t n);
    /* p, m, v, g: n numbers each. Decoupled weight decay (Loshchilov and Hutter 2019), as torch.optim.AdamW. */
    void (*adamw)(void *p, void *m, void *v, const void *g, int64_t n, const lf_adamw_step *step);
    /* buf = momentum * buf + g + weight_decay * p (first: buf = ...); p -= lr * buf, as torch.optim.SGD. */
    void (*sgd)(void *p, void *buf, const void *g, int64_t n, double lr, double momentum, double weight_decay,
                double gradient_scale, bool first);
};

extern const lf_kernels lf_kernels_ref_f64, lf_kernels_ref_f32, lf_kernels_ref_bf16;

/* The fastest backend that this processor runs. The environment variable LF_KERNELS (ref, sse2, avx2, avx512) forces
 * one: LF_EUNSUPPORTED if the processor lacks it, LF_EUSAGE if there is no such name. `precision`: "fp32"; "bf16", with
 * activations, frozen weights and products in bf16: by oneDNN where it finds AVX512_BF16 or AMX (DNNL_MAX_CPU_ISA
 * limits it), else, and with LF_KERNELS=ref, by way of fp32, which is right but slow, with a warning; "auto": bf16
 * where it is native, else fp32. */
lf_status lf_kernels_select(const lf_kernels **out, const char *precision, lf_err *err);
/* All backends of a precision ("fp32", "bf16") that this processor runs, fastest first; returns their number. For
 * tests. */
int lf_kernels_available(const char *precision, const lf_kernels *out[], int max);

/* Threads of all kernels and BLAS calls: 0 = OMP_NUM_THREADS, else the number of cores. Returns the number set. */
int lf_threads_set(int threads);
int lf_threads(void);

/* Runs work(context, i) for i = 0 .. n-1 on all threads, in any order (for decompositions). */
void lf_parallel_for(int64_t n, void (*work)(void *context, int64_t i), void *context);

#endif
