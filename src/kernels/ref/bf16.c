/* The reference with activations in bf16. */
#include <stdint.h>

static inline double
widened(uint16_t h) { /* lf_bf16_to_f32, where the compiler sees it: the reference is slow enough */
    const union {
        uint32_t bits;
        float value;
    } u = {(uint32_t)h << 16};
    return (double)u.value;
}

#define real          float
#define act           uint16_t
#define LD(a)         widened(a)
#define ST(x)         lf_f32_to_bf16((float)(x))
#define REF_NAME      "ref+bf16ref"
#define REF_DTYPE     LF_F32
#define REF_ACT       LF_BF16
#define REF_TABLE     lf_kernels_ref_bf16
#define REF_WIDE      &lf_kernels_ref_f32
#define REF_PRECISION "bf16"
#define REF_EXACT     false
#include "kernels/ref/body.inc.c"
