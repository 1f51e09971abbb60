/* Frozen weights in bf16: what replaces the frozen products of an fp32 table. */
#ifndef LF_KERNELS_BF16_H
#define LF_KERNELS_BF16_H

#include "kernels/kernels.h"

bool lf_bf16_native(void);             /* oneDNN multiplies bf16 with the processor's own instructions */
void lf_bf16_onednn(lf_kernels *table); /* needs lf_bf16_native */
void lf_bf16_reference(lf_kernels *table);

#endif
