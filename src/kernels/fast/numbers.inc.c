/* What the loops over functions of one number compute with: a float, of many of which the compiler makes vectors; or,
 * where the processor has dot products of bf16, a vector itself. Then e^x takes a third of the instructions, because
 * the processor rounds and scales by powers of two itself, and a result is rounded to bf16 by one instead of eight (it
 * takes numbers below the smallest normal one for zero).
 *
 * A loop is EACH_NUMBER(i, n): entry i, or entries i .. i + 15 of n, of which those beyond the last are neither read
 * nor written. Functions of numbers: NaN gives NaN. */

#if FAST_DOT

typedef floats num;

#define EACH_NUMBER(i, n) for (int64_t i = 0; i < (n); i += VECTOR_LANES)

static inline __mmask16 first_lanes(int64_t n) { return (__mmask16)(n >= 16 ? 0xffffu : n <= 0 ? 0 : (1u << n) - 1u); }

/* `n`: how many there are from p on */
static inline num load_number(const act *p, int64_t n) {
    return (num)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(first_lanes(n), p)), 16);
}
static inline num load_real_number(const float *p, int64_t n) { return (num)_mm512_maskz_loadu_ps(first_lanes(n), p); }
static inline __m256i rounded(num x) { return (__m256i)_mm512_cvtneps_pbh((__m512)x); }
static inline void store_number(act *p, int64_t n, num x) { _mm256_mask_storeu_epi16(p, first_lanes(n), rounded(x)); }
static inline void store_real_number(float *p, int64_t n, num x) {
    _mm512_mask_storeu_ps(p, first_lanes(n), (__m512)x);
}

static inline num number_of(float x) { return (num)_mm512_set1_ps(x); }
static inline num magnitude_of(num x) { return (num)_mm512_abs_ps((__m512)x); }
static inline num where_less(num x, num y, num a, num b) { /* x < y ? a : b */
    return (num)_mm512_mask_blend_ps(_mm512_cmp_ps_mask((__m512)x, (__m512)y, _CMP_LT_OQ), (__m512)b, (__m512)a);
}
static inline num keep_nan(num y, num x) { /* nan_if_nan */
    return (num)_mm512_mask_mov_ps((__m512)y, _mm512_cmp_ps_mask((__m512)x, (__m512)x, _CMP_UNORD_Q), (__m512)x);
}
/* x held within -limit .. limit. The second operand is the result where one is NaN. */
static inline num hold(num x, float limit) {
    return (num)_mm512_min_ps(_mm512_set1_ps(limit), _mm512_max_ps(_mm512_set1_ps(-limit), (__m512)x));
}

/* As fast_exp, whose polynomial this is. */
static inline num exp_of(num x) {
    const __m512 c = (__m512)hold(x, 104.0f);
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(c, _mm512_set1_ps(0x1.715476p+0f)),
                                          _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const num r =
        (num)_mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.7f7d1cp-20f), _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.62e4p-1f), c));
    return (num)_mm512_scalef_ps((__m512)(1 + (r + r * r * exp_rest(r))), n);
}

#else

typedef float num;

#define EACH_NUMBER(i, n) SIMD for (int64_t i = 0; i < (n); i++)

static inline num load_number(const act *p, int64_t n) { return (void)n, LD(*p); }
static inline num load_real_number(const float *p, int64_t n) { return (void)n, *p; }
static inline void store_number(act *p, int64_t n, num x) { (void)n, *p = ST(x); }
static inline void store_real_number(float *p, int64_t n, num x) { (void)n, *p = x; }

static inline num number_of(float x) { return x; }
static inline num magnitude_of(num x) { return fabsf(x); }
static inline num where_less(num x, num y, num a, num b) { return x < y ? a : b; }
static inline num keep_nan(num y, num x) { return nan_if_nan(y, x); }
static inline num hold(num x, float limit) { return clamp(x, limit); }
static inline num exp_of(num x) { return fast_exp(x); }

#endif

/* y = or += a f; y may be a */
static void store_product(act *y, bool add, const act *a, const float *restrict f, int64_t n) {
    if (add) {
        EACH_NUMBER(i, n)
        store_number(y + i, n - i,
                     load_number(y + i, n - i) + load_number(a + i, n - i) * load_real_number(f + i, n - i));
    } else {
        EACH_NUMBER(i, n)
        store_number(y + i, n - i, load_number(a + i, n - i) * load_real_number(f + i, n - i));
    }
}

/* Phi and phi of the normal distribution; both to 1e-6 relative in the tails too, where 1 + erf(x) would cancel:
 * Phi(-|x|) = e^(-x^2 / 2) z p(z), z = 1 / (1 + 0.35 |x|). */
typedef struct normal_values {
    num cdf, density;
} normal_values;

static inline normal_values normal_distribution(num x) {
    const num e = exp_of(-0.5f * x * x);
    const num z = 1 / (1 + 0.35f * magnitude_of(x));
    num p = -0x1.ddb938p-6f * z + 0x1.26f9cap-3f;
    p = p * z - 0x1.05fac4p-2f;
    p = p * z + 0x1.4649a6p-3f;
    p = p * z - 0x1.7c50f8p-6f;
    p = p * z + 0x1.b057f4p-4f;
    p = p * z + 0x1.eac9b2p-4f;
    p = p * z + 0x1.1e70c4p-3f;
    p = p * z + 0x1.1df1c6p-3f;
    const num tail = e * (p * z);
    return (normal_values){where_less(x, number_of(0), tail, 1 - tail), 0x1.988454p-2f * e};
}

/* a where |x| < limit, else b; by bits, as nan_if_nan. NaN is not below. */
#if FAST_DOT
static inline num if_below(num x, float limit, num a, num b) {
    return where_less(magnitude_of(x), number_of(limit), a, b);
}
#else
static inline num if_below(num x, float limit, num a, num b) {
    const float_bits u = {.value = x}, most = {.value = limit}, v = {.value = a}, w = {.value = b};
    const int32_t below = ((u.bits & MAGNITUDE) - most.bits) >> 31;
    const float_bits y = {.bits = (v.bits & below) | (w.bits & ~below)};
    return y.value;
}
#endif

/* To 2e-7 relative: x + x^3 p(x^2) near 0, where the quotient of exponentials would cancel. */
static inline num tanh_of(num x) {
    const num z = x * x, e = exp_of(-2 * magnitude_of(x)), magnitude = (1 - e) / (1 + e);
    num p = -0x1.75e1d2p-8f * z + 0x1.52269cp-6f;
    p = p * z - 0x1.b83c5ap-5f;
    p = p * z + 0x1.110726p-3f;
    p = p * z - 0x1.555532p-2f;
    return if_below(x, 0.625f, x + x * z * p, where_less(x, number_of(0), -magnitude, magnitude));
}

/* tanh' = 1 - tanh^2, to 4e-7 relative in the tails too. */
static inline num tanh_slope_of(num x) {
    const num e = exp_of(-2 * magnitude_of(x)), s = 1 / (1 + e);
    return 4 * e * s * s;
}

/* 1 / (1 + e^-x) = (1 + tanh(x / 2)) / 2 */
static inline num sigmoid(num x) { return 1 / (1 + exp_of(-x)); }
