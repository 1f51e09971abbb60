/* The fast fp32 kernels: kernels_fast.inc.c, compiled once for each instruction set (kernels.cmake). */
#ifndef LF_KERNELS_FAST_H
#define LF_KERNELS_FAST_H

#include "kernels/kernels.h"

extern const lf_kernels lf_kernels_baseline; /* what every processor of this architecture runs */
#if defined(__x86_64__)
extern const lf_kernels lf_kernels_avx2, lf_kernels_avx512;
#endif

#endif
