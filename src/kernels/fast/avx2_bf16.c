/* The fast kernels for x86-64 with AVX2 and FMA, activations in bf16. */
#define FAST_NAME   "avx2"
#define FAST_TABLE  lf_kernels_avx2_bf16
#define FAST_WIDE   lf_kernels_avx2
#define FAST_BF16   1
#define FAST_ONEDNN 0
#define FAST_VECTOR 32
#define FAST_DOT    0
#include "kernels/fast/body.inc.c"
