/* The work of a training step, as one table of functions a backend: kernels.def has a line for each, and says what it
 * computes. A buffer is opaque to everyone left of this folder. The numbers in it are of one of two types:
 *
 *   act    activations and their gradients, what lives on the tape: lf_kernels.act_dtype
 *   real   parameters, their gradients, the optimiser's state and statistics (mean, log-sum-exp): lf_kernels.dtype
 *
 * They differ in bf16 alone: act is bf16, real is float, and everything is computed in float and rounded once when
 * stored.
 *
 * The plain reference (ref/body.inc.c, built for double, float and bf16) is the definition; faster ones are checked
 * against it. Threads and intrinsics live here only.
 *
 * A kernel allocates nothing. Sizes are int64_t. Reductions run in an order that depends on the sizes and the number of
 * threads alone, so that results are the same bytes every time. Products may be oneDNN's, which makes (and allocates) a
 * primitive for a shape that it has not seen yet: they alone can fail, and return false then. A warm step finds all of
 * them made. */
#ifndef LF_KERNELS_KERNELS_H
#define LF_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/dtype.h"
#include "base/error.h"
#include "base/rng.h"

/* How a frozen weight lies in memory. */
typedef enum lf_frozen_format {
#define LF_FROZEN(ID, name, exact) LF_FROZEN_##ID,
#include "kernels/frozen.def"
#undef LF_FROZEN
    LF_FROZEN_FORMATS
} lf_frozen_format;

/* Memory that products write to and nobody reads afterwards. */
typedef struct lf_scratch {
    void *data;
    int64_t size;
} lf_scratch;

/* A weight [out, in] that never changes, for x W^T and dy W. */
typedef struct lf_frozen {
    int64_t out, in;
    void *data;         /* as `format` says; never written but by frozen_prepare: it may be of a mapped file */
    lf_dtype act_dtype; /* of what it is multiplied with: its table's */
    lf_frozen_format format;
    const lf_scratch *scratch; /* NULL: the format needs none */
    bool lets_go;              /* plain, of a mapped file: its pages are given back after each product */
} lf_frozen;

bool lf_frozen_is_exact(lf_frozen_format format); /* as in frozen.def */

/* softmax(scale * q k^T) v a head; q, o: [B, Tq, H * D] with row stride ldq / ldo; k, v: [B, T, Hkv * D], row stride
 * ldkv. H is a multiple of Hkv (grouped-query attention). The queries are those of the last Tq of T positions: query i
 * stands at position T - Tq + i. A score is u = scale q.k, then softcap tanh(u / softcap) if there is a softcap, plus
 * the bias. A query that sees no key (padding, far behind a text) has o = 0 and lse = 0. Dropout acts on the normalised
 * probabilities; the number of entry (b, h, i, j) is ((b * H + h) * Tq + i) * T + j. */
typedef struct lf_attention_dims {
    int64_t B, T, Tq, H, Hkv, D;
    int64_t ldq, ldkv, ldo;
    double scale;
    bool causal;
    /* 0: all keys. causal: a query sees the last `window` keys, its own included; else those at most `window` positions
     * from its own, to either side (transformers' bidirectional sliding window, inclusive) */
    int64_t window;
    const int32_t *first;   /* causal only: [B,Tq], the first key that a query sees (its document's start); NULL: 0 */
    const int32_t *lengths; /* not causal only: [B], keys from lengths[b] on are padding that no query sees; NULL: T */
    double softcap;         /* 0: none */
    const void *bias;       /* [H,Tq,T] real, a constant; NULL: none */
    double dropout;         /* 0: none */
    lf_rng_key key;
} lf_attention_dims;

typedef enum lf_activation_kind {
#define LF_ACTIVATION(kind, name, names) kind,
#include "kernels/activations.def"
#undef LF_ACTIVATION
    LF_ACTIVATIONS
} lf_activation_kind;

/* Losses of numbers instead of classes: several labels at once (binary cross-entropy of each), regression. */
typedef enum lf_value_loss_kind { LF_BCE, LF_MSE, LF_VALUE_LOSSES } lf_value_loss_kind;

typedef struct lf_adamw_step {
    double learning_rate, beta1, beta2, epsilon, weight_decay;
    double correction1, correction2; /* 1 - beta^t */
    double gradient_scale;           /* clipping: the gradient is multiplied by this first */
} lf_adamw_step;

typedef struct lf_adafactor_step {
    double learning_rate, weight_decay, gradient_scale;
    double keep;      /* of the squares' running means: 1 - t^-0.8 */
    double epsilon;   /* added to each square */
    double threshold; /* the root mean square that an update is scaled down to */
} lf_adafactor_step;

typedef struct lf_kernels lf_kernels;
struct lf_kernels {
    /* "ref", "sse2", "avx2", "avx512"; "generic" on other processors; with "+bf16" or "+bf16ref" behind */
    const char *name;
    const char *precision;     /* of activations, frozen weights and products: "fp32", "bf16" */
    lf_dtype dtype, act_dtype; /* real, act */
    const lf_kernels *wide;    /* the table whose activations are real: itself, but for bf16 (heads and losses) */
    bool frozen_exact; /* frozen_restore of an exact format gives the very numbers that frozen_prepare was given */

#define LF_KERNEL(kind, result, name, parameters, arguments) result(*name) parameters;
#include "kernels/kernels.def"
#undef LF_KERNEL
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

/* Threads of all kernels and BLAS calls: 0 = OMP_NUM_THREADS, else SLURM_CPUS_PER_TASK, else the
 * number of cores. Returns the number set; 0: there is no memory for what the libraries take for so many, and the
 * number is as it was. */
int lf_threads_set(int threads);
lf_status lf_threads_take(int *set, int threads, lf_err *err); /* likewise, and 0 is an error */
int lf_threads_available(void);                                /* what 0 would set */
int lf_threads(void);

/* Runs work(context, i) for i = 0 .. n-1 on all threads, in any order (for decompositions). */
void lf_parallel_for(int64_t n, void (*work)(void *context, int64_t i), void *context);

#endif
