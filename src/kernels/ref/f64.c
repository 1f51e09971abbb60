/* The reference in double: for gradient checks. */
#define real          double
#define act           double
#define LD(a)         (a)
#define ST(x)         (x)
#define REF_NAME      "ref"
#define REF_DTYPE     LF_F64
#define REF_ACT       LF_F64
#define REF_TABLE     lf_kernels_ref_f64
#define REF_WIDE      &lf_kernels_ref_f64
#define REF_PRECISION "fp32"
#define REF_EXACT     true
#include "kernels/ref/body.inc.c"
