/* The reference in float: what the fast kernels are checked with. */
#define real          float
#define act           float
#define LD(a)         ((double)(a))
#define ST(x)         ((float)(x))
#define REF_NAME      "ref"
#define REF_DTYPE     LF_F32
#define REF_ACT       LF_F32
#define REF_TABLE     lf_kernels_ref_f32
#define REF_WIDE      &lf_kernels_ref_f32
#define REF_PRECISION "fp32"
#define REF_EXACT     true
#include "kernels/ref/body.inc.c"
