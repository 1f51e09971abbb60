/* What stands in a tensor. */
#include <math.h>

#include "io/safetensors.h"

bool lf_st_has_no_number(const lf_st_tensor *t, int64_t *at, float *value) {
    enum { PIECE = 4096 };
    float piece[PIECE];
    if (!lf_dtype_is_float(t->dtype)) return false;
    const size_t size = lf_dtype_size(t->dtype);
    for (int64_t from = 0; from < t->numel; from += PIECE) {
        const int64_t n = t->numel - from < PIECE ? t->numel - from : PIECE;
        lf_to_f32(piece, (const char *)t->data + (size_t)from * size, t->dtype, n);
        for (int64_t i = 0; i < n; i++) {
            if (isfinite(piece[i])) continue;
            *at = from + i;
            *value = piece[i];
            return true;
        }
    }
    return false;
}
