/* Vectors of the compiler's own kind, and numbers to and from them. */

#if FAST_VECTOR == 64
#include <immintrin.h>
#endif

enum { VECTOR_LANES = FAST_VECTOR / 4 };
typedef float floats __attribute__((vector_size(FAST_VECTOR)));
typedef uint32_t words __attribute__((vector_size(FAST_VECTOR)));
typedef uint16_t halves __attribute__((vector_size(FAST_VECTOR / 2)));

#if FAST_BF16 && FAST_VECTOR == 64 /* gcc 12 makes two halves of these conversions */
static inline words widen(const act *p) { return (words)_mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)p)); }
static inline void narrow(act *p, words x) { _mm256_storeu_si256((void *)p, _mm512_cvtepi32_epi16((__m512i)x)); }
#elif FAST_BF16
static inline words widen(const act *p) {
    halves h;
    memcpy(&h, p, sizeof h);
    return __builtin_convertvector(h, words);
}

static inline void narrow(act *p, words x) {
    const halves h = __builtin_convertvector(x, halves);
    memcpy(p, &h, sizeof h);
}
#endif

#if FAST_BF16
static inline floats load_act(const act *p) { return (floats)(widen(p) << 16); }

static inline void store_act(act *p, floats x) { /* as float_to_bf16 */
    const words u = (words)x, rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16, nan = (u >> 16) | 0x40u;
    const words is_nan = (words)((u & 0x7fffffffu) > 0x7f800000u);
    narrow(p, (rounded & ~is_nan) | (nan & is_nan));
}
#else
static inline floats load_act(const act *p) {
    floats x;
    memcpy(&x, p, sizeof x);
    return x;
}

static inline void store_act(act *p, floats x) { memcpy(p, &x, sizeof x); }
#endif

static inline floats load_floats(const float *p) {
    floats x;
    memcpy(&x, p, sizeof x);
    return x;
}
