/* The reference in float: what the fast kernels are checked with. */
#define real      float
#define REF_DTYPE LF_F32
#define REF_TABLE lf_kernels_ref_f32
#include "kernels/kernels_ref.inc.c"
