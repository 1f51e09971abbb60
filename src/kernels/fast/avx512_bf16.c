/* The fast kernels for x86-64 with AVX-512 F, DQ, BW and VL, activations in bf16. */
#define FAST_NAME   "avx512"
#define FAST_TABLE  lf_kernels_avx512_bf16
#define FAST_WIDE   lf_kernels_avx512
#define FAST_BF16   1
#define FAST_ONEDNN 1
#define FAST_VNNI   1
#define FAST_VECTOR 64
#define FAST_DOT    0
#include "kernels/fast/body.inc.c"
