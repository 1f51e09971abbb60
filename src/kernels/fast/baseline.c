/* The fast kernels for every processor of this architecture. */
#if defined(__x86_64__)
#define FAST_NAME "sse2"
#else
#define FAST_NAME "generic"
#endif
#define FAST_TABLE  lf_kernels_baseline
#define FAST_WIDE   lf_kernels_baseline
#define FAST_BF16   0
#define FAST_ONEDNN 0
#define FAST_VECTOR 16
#define FAST_DOT    0
#include "kernels/fast/body.inc.c"
