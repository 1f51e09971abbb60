/* The fast kernels for x86-64 with AVX2 and FMA. */
#define FAST_NAME  "avx2"
#define FAST_TABLE lf_kernels_avx2
#include "kernels/kernels_fast.inc.c"
