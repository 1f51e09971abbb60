/* The reference in double: what gradients are checked with. */
#define real      double
#define REF_DTYPE LF_F64
#define REF_TABLE lf_kernels_ref_f64
#include "kernels/kernels_ref.inc.c"
