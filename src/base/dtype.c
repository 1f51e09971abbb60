#include "base/dtype.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
} info[] = {
#define ROW(e, name, size) [e] = {name, size},
    LF_DTYPE_LIST(ROW)
#undef ROW
};

size_t lf_dtype_size(lf_dtype t) { return info[t].size; }
const char *lf_dtype_name(lf_dtype t) { return info[t].name; }
bool lf_dtype_is_float(lf_dtype t) { return t == LF_F64 || t == LF_F32 || t == LF_F16 || t == LF_BF16; }

bool lf_dtype_parse(const char *name, lf_dtype *out) {
    for (int i = 0; i < LF_N_DTYPES; i++)
        if (strcmp(info[i].name, name) == 0) {
            *out = (lf_dtype)i;
            return true;
        }
    return false;
}

static float from_bits(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static uint32_t to_bits(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

float lf_bf16_to_f32(uint16_t h) { return from_bits((uint32_t)h << 16); }

uint16_t lf_f32_to_bf16(float f) {
    const uint32_t u = to_bits(f);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((u >> 16) | 0x40u); /* keep NaN a NaN */
    return (uint16_t)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

float lf_f16_to_f32(uint16_t h) {
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = (h >> 10) & 0x1fu, mantissa = h & 0x3ffu;
    if (exponent == 0x1f) return from_bits(sign | 0x7f800000u | (mantissa << 13));
    if (exponent != 0) return from_bits(sign | ((exponent + 112u) << 23) | (mantissa << 13));
    const float f = (float)mantissa * 0x1p-24f; /* subnormal or zero: exact in float */
    return sign ? -f : f;
}

uint16_t lf_f32_to_f16(float f) {
    const uint32_t u = to_bits(f), sign = (u >> 16) & 0x8000u, a = u & 0x7fffffffu;
    if (a > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
    if (a >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* rounds to 65536 or more */
    if (a < 0x38800000u) {                                   /* below 2^-14: a multiple of 2^-24 */
        const float scaled = from_bits(a) * 0x1p24f;         /* at most 1024, so the rounding below is exact */
        const float rounded = (scaled + 0x1p23f) - 0x1p23f;  /* to nearest even */
        return (uint16_t)(sign | (uint32_t)rounded);
    }
    return (uint16_t)(sign | ((a - 0x38000000u + 0xfffu + ((a >> 13) & 1u)) >> 13));
}

void lf_to_f32(float *dst, const void *src, lf_dtype src_type, int64_t n) {
    const unsigned char *p = src;
    assert(lf_dtype_is_float(src_type));
    if (src_type == LF_F32) {
        if (n > 0) memcpy(dst, src, (size_t)n * sizeof *dst); /* an empty tensor may have no address */
    } else if (src_type == LF_F64) {
        for (int64_t i = 0; i < n; i++) {
            double d;
            memcpy(&d, p + 8 * i, sizeof d);
            dst[i] = (float)d;
        }
    } else {
        for (int64_t i = 0; i < n; i++) {
            uint16_t h;
            memcpy(&h, p + 2 * i, sizeof h);
            dst[i] = src_type == LF_BF16 ? lf_bf16_to_f32(h) : lf_f16_to_f32(h);
        }
    }
}

void lf_from_f32(void *dst, lf_dtype dst_type, const float *src, int64_t n) {
    unsigned char *p = dst;
    assert(lf_dtype_is_float(dst_type));
    if (dst_type == LF_F32) {
        if (n > 0) memcpy(dst, src, (size_t)n * sizeof *src);
    } else if (dst_type == LF_F64) {
        for (int64_t i = 0; i < n; i++) {
            const double d = (double)src[i];
            memcpy(p + 8 * i, &d, sizeof d);
        }
    } else {
        for (int64_t i = 0; i < n; i++) {
            const uint16_t h = dst_type == LF_BF16 ? lf_f32_to_bf16(src[i]) : lf_f32_to_f16(src[i]);
            memcpy(p + 2 * i, &h, sizeof h);
        }
    }
}

int64_t lf_round_f32(void *dst, lf_dtype dst_type, const float *src, int64_t n) {
    const unsigned char *p = dst;
    const int64_t size = (int64_t)lf_dtype_size(dst_type);
    lf_from_f32(dst, dst_type, src, n);
    for (int64_t i = 0; i < n && size < (int64_t)sizeof *src; i++) {
        float back;
        lf_to_f32(&back, p + i * size, dst_type, 1);
        if (isfinite(src[i]) && !isfinite(back)) return i;
    }
    return n;
}
