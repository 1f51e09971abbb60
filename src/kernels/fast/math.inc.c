/* Functions of one number without branches or calls, so that loops over them become vectors. Coefficients are fitted by
 * fit_math.py. NaN gives NaN. */

typedef union float_bits {
    float value;
    int32_t bits;
} float_bits;

enum { SIGN = INT32_MIN, MAGNITUDE = INT32_MAX, INFINITE = 0x7f800000, QUIET_NAN = 0x7fc00000 };

static inline float bf16_to_float(uint16_t h) {
    const float_bits u = {.bits = (int32_t)((uint32_t)h << 16)};
    return u.value;
}

/* As lf_f32_to_bf16: to nearest even, NaN stays NaN. */
static inline uint16_t float_to_bf16(float x) {
    const float_bits v = {.value = x};
    const uint32_t u = (uint32_t)v.bits, rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
    return (uint16_t)((u & 0x7fffffffu) > 0x7f800000u ? (u >> 16) | 0x40u : rounded);
}

/* y, or NaN where x is NaN. This and the next by bits: of comparisons of floats gcc makes branches around whole
 * expressions, and branches around a conversion to int are not vectorised. */
static inline float nan_if_nan(float y, float x) {
    const float_bits u = {.value = x}, v = {.value = y};
    const float_bits z = {.bits = v.bits | ((u.bits & MAGNITUDE) > INFINITE ? QUIET_NAN : 0)};
    return z.value;
}

/* x held within -limit .. limit; NaN becomes a limit. Bits order as magnitudes do. */
static inline float clamp(float x, float limit) {
    const float_bits u = {.value = x}, most = {.value = limit};
    const int32_t magnitude = u.bits & MAGNITUDE;
    const float_bits y = {.bits = (magnitude < most.bits ? magnitude : most.bits) | (u.bits & SIGN)};
    return y.value;
}

static inline int32_t round_to_int(float x) { /* halves away from zero */
    const float_bits u = {.value = x}, half = {.value = 0.5f};
    const float_bits signed_half = {.bits = half.bits | (u.bits & SIGN)};
    return (int32_t)(x + signed_half.value);
}

static inline float power_of_two(int32_t n) { /* -126 <= n <= 127 */
    const float_bits u = {.bits = (n + 127) * (1 << 23)};
    return u.value;
}

/* (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2; of a float, or of vectors of them (numbers.inc.c) */
#define exp_rest(r)                                                                                                    \
    ((((0x1.6a244cp-10f * (r) + 0x1.1239d4p-7f) * (r) + 0x1.5558f2p-5f) * (r) + 0x1.555492p-3f) * (r) + 0x1.fffffcp-2f)

/* e^x to 2e-7 relative; 0 below -104, infinity above 88.73. x = n ln 2 + r; 2^n in two factors, because -150 .. 150 is
 * more than one number can hold. */
static inline float fast_exp(float x) {
    const float c = clamp(x, 104.0f);
    const int32_t n = round_to_int(c * 0x1.715476p+0f); /* 1 / ln 2 */
    const float high = c - (float)n * 0x1.62e4p-1f;     /* ln 2 in two parts; this product is exact */
    const float r = high - (float)n * 0x1.7f7d1cp-20f;
    const float q = exp_rest(r);
    const int32_t half = n >> 1;
    const float y = (1 + (r + r * r * q)) * power_of_two(half) * power_of_two(n - half);
    return nan_if_nan(y, x);
}
