/* The fast kernels: fast/body.inc.c, compiled once for each instruction set (kernels.cmake) and type of activations. */
#ifndef LF_KERNELS_FAST_FAST_H
#define LF_KERNELS_FAST_FAST_H

#include "kernels/kernels.h"

extern const lf_kernels lf_kernels_baseline,
    lf_kernels_baseline_bf16; /* what every processor of this architecture runs */
#if defined(__x86_64__)
extern const lf_kernels lf_kernels_avx2, lf_kernels_avx2_bf16, lf_kernels_avx512, lf_kernels_avx512_bf16,
    lf_kernels_avx512_dot;
#endif

#endif
