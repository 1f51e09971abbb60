/* The fast fp32 kernels, over plain C loops that the compiler vectorises for the instruction set it is given, and BLAS.
 * Included once for each set, by files that define
 *   FAST_NAME        its name
 *   FAST_TABLE       the lf_kernels to define
 * Everything is static: one set's code can never be linked into another's. */
#include <assert.h>
#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <string.h>

#include "kernels/fast.h"

/* Threads cost a few microseconds: less work than this stays on one. The static schedule gives every thread the same
 * part each time. Within a parallel region these loops are sequential. */
enum { SERIAL_BELOW = 32768 };
#define LF_PRAGMA(text) _Pragma(#text)
#define PARALLEL(work) \
    LF_PRAGMA(omp parallel for schedule(static) num_threads(lf_threads()) if ((work) > SERIAL_BELOW))
#define PARALLEL_SIMD(work) \
    LF_PRAGMA(omp parallel for simd schedule(static) num_threads(lf_threads()) if (parallel : (work) > SERIAL_BELOW))
#define SIMD LF_PRAGMA(omp simd)

/* Numbers that fit in the first-level cache; pieces that a sum is cut into whatever the threads. */
enum { CHUNK = 1024, PIECES = 64 };

static inline int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t piece_begin(int64_t n, int64_t piece) { return n / PIECES * piece + n % PIECES * piece / PIECES; }

/* y = or += a f; y may be a */
static void store_product(float *y, bool add, const float *a, const float *restrict f, int64_t n) {
    if (add) {
        SIMD
        for (int64_t i = 0; i < n; i++) y[i] += a[i] * f[i];
    } else {
        SIMD
        for (int64_t i = 0; i < n; i++) y[i] = a[i] * f[i];
    }
}

#include "kernels/fast_math.inc.c"

#include "kernels/fast_product.inc.c"

#include "kernels/fast_elementwise.inc.c"

#include "kernels/fast_dropout.inc.c"

#include "kernels/fast_norm.inc.c"

#include "kernels/fast_loss.inc.c"

#include "kernels/fast_attention.inc.c"

#include "kernels/fast_tokens.inc.c"

#include "kernels/fast_optim.inc.c"

const lf_kernels FAST_TABLE = {
    .name = FAST_NAME,
    .precision = "fp32",
    .dtype = LF_F32,
    .frozen_exact = true,
    .gemm = gemm,
    .frozen_size = frozen_size,
    .frozen_prepare = frozen_prepare,
    .frozen_restore = frozen_restore,
    .frozen_scratch = frozen_scratch,
    .frozen_forward = frozen_forward,
    .frozen_backward = frozen_backward,
    .fill = fill,
    .from_f32 = from_f32,
    .to_f32 = copy_f32,
    .add = add_arrays,
    .axpy = axpy,
    .sub = sub_arrays,
    .bias = bias,
    .column_sums = column_sums,
    .layernorm = layernorm,
    .layernorm_backward = layernorm_backward,
    .gelu = gelu,
    .gelu_backward = gelu_backward,
    .dropout = dropout,
    .attention_scratch = attention_scratch,
    .attention = attention,
    .attention_backward = attention_backward,
    .patchify = patchify,
    .embed_tokens = embed_tokens,
    .embed_tokens_backward = embed_tokens_backward,
    .select_token = select_token,
    .select_token_backward = select_token_backward,
    .cross_entropy = cross_entropy,
    .cross_entropy_backward = cross_entropy_backward,
    .sum_squares = sum_squares,
    .adamw = adamw,
    .sgd = sgd,
};
