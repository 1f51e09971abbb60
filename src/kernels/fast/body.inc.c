/* The fast kernels, over plain C loops that the compiler vectorises for the instruction set it is given, and libraries
 * for products. Included twice for each set, for activations in float and in bf16, by files that define FAST_NAME its
 * name FAST_TABLE    the lf_kernels to define FAST_WIDE     the same set's table for floats FAST_BF16     1:
 * activations in bf16 FAST_VECTOR   bytes of its vectors FAST_DOT      1: attention by the processor's dot products of
 * bf16 (needs FAST_BF16) FAST_ONEDNN   1: products in float by oneDNN where it has kernels for AVX-512, else by BLAS
 * Everything is static: one set's code can never be linked into another's. */
#include <assert.h>
#include <cblas.h>
#include <dnnl.h>
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <string.h>

#include "base/mapping.h"
#include "base/mem.h"
#include "kernels/fast/fast.h"
#include "kernels/int8.h"
#include "kernels/nf4.h"
#include "kernels/product/products.h"

/* Threads cost a few microseconds: less work than this stays on one. The static schedule gives every thread the same
 * part each time. Within a parallel region these loops are sequential. */
enum { SERIAL_BELOW = 32768 };
#define LF_PRAGMA(text) _Pragma(#text)
#define PARALLEL(work)                                                                                                 \
    LF_PRAGMA(omp parallel for schedule(static) num_threads(lf_threads()) if ((work) > SERIAL_BELOW))
#define PARALLEL_SIMD(work)                                                                                            \
    LF_PRAGMA(omp parallel for simd schedule(static) num_threads(lf_threads()) if (parallel : (work) > SERIAL_BELOW))
#define SIMD LF_PRAGMA(omp simd)

/* Numbers that fit in the first-level cache; pieces that a sum is cut into whatever the threads. */
enum { CHUNK = 1024, PIECES = 64 };

static inline int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t piece_begin(int64_t n, int64_t piece) { return n / PIECES * piece + n % PIECES * piece / PIECES; }

#include "kernels/fast/math.inc.c"

/* An activation to float and back. */
#if FAST_BF16
typedef uint16_t act;
#define LD(a) bf16_to_float(a)
#define ST(x) float_to_bf16(x)
#else
typedef float act;
#define LD(a) (a)
#define ST(x) (x)
#endif
typedef float real;

#include "kernels/fast/vectors.inc.c"

#include "kernels/fast/numbers.inc.c"

#include "kernels/fast/product.inc.c"

#include "kernels/fast/frozen_plain.inc.c"

#include "kernels/fast/frozen_packed.inc.c"

#include "kernels/fast/lowrank.inc.c"

#include "kernels/fast/int8.inc.c"

#define FLOATS_TABLE FAST_WIDE
#include "kernels/frozen_int8.inc.c"

#include "kernels/fast/frozen_nf4.inc.c"

#define FROZEN_FORMATS                                                                                                 \
    FROZEN_FORMAT(PLAIN, plain), FROZEN_FORMAT(PACKED, packed), FROZEN_FORMAT(INT8, int8),                             \
        FROZEN_FORMAT(INT8_BLOCKS, int8), FROZEN_FORMAT(NF4, nf4)
#include "kernels/frozen.inc.c"

#include "kernels/fast/elementwise.inc.c"

#include "kernels/fast/dora.inc.c"

#include "kernels/fast/activation.inc.c"

#include "kernels/fast/dropout.inc.c"

#include "kernels/fast/norm.inc.c"

#include "kernels/fast/rmsnorm.inc.c"

#include "kernels/fast/loss.inc.c"

#include "kernels/fast/lm_loss.inc.c"

#include "kernels/fast/attention.inc.c"

#include "kernels/fast/tokens.inc.c"

#include "kernels/fast/language.inc.c"

#include "kernels/fast/optim.inc.c"

const lf_kernels FAST_TABLE = {
    .name = FAST_NAME,
    .precision = FAST_BF16 ? "bf16" : "fp32",
    .dtype = LF_F32,
    .act_dtype = FAST_BF16 ? LF_BF16 : LF_F32,
    .wide = &FAST_WIDE,
    .frozen_exact = !FAST_BF16,
#define LF_KERNEL(kind, result, name, parameters, arguments) .name = name,
#include "kernels/kernels.def"
#undef LF_KERNEL
};
