/* The fast kernels for x86-64 with AVX-512 F, DQ, BW and VL. */
#define FAST_NAME  "avx512"
#define FAST_TABLE lf_kernels_avx512
#include "kernels/kernels_fast.inc.c"
