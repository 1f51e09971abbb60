#include "base/rng.h"

#include <math.h>

static uint64_t mix(uint64_t x) { /* splitmix64's finalizer: a bijection, so distinct inputs stay distinct */
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

lf_rng_key lf_rng_make(uint64_t seed, lf_rng_purpose purpose, uint64_t stream) {
    const uint64_t k = mix(mix(mix(seed + 0x9e3779b97f4a7c15u) + (uint64_t)purpose) + stream);
    return (lf_rng_key){{(uint32_t)k, (uint32_t)(k >> 32)}};
}

void lf_rng_block(lf_rng_key key, uint64_t hi, uint64_t lo, uint32_t out[4]) {
    uint32_t c0 = (uint32_t)lo, c1 = (uint32_t)(lo >> 32), c2 = (uint32_t)hi, c3 = (uint32_t)(hi >> 32);
    uint32_t k0 = key.k[0], k1 = key.k[1];
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xd2511f53u * c0, p1 = (uint64_t)0xcd9e8d57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += 0x9e3779b9u;
        k1 += 0xbb67ae85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

uint32_t lf_rng_u32(lf_rng_key key, uint64_t index) {
    uint32_t w[4];
    lf_rng_block(key, 0, index >> 2, w);
    return w[index & 3];
}

static uint64_t u64(lf_rng_key key, uint64_t index) {
    uint32_t w[4];
    lf_rng_block(key, 1, index >> 1, w);
    return index & 1 ? (uint64_t)w[3] << 32 | w[2] : (uint64_t)w[1] << 32 | w[0];
}

double lf_rng_uniform(lf_rng_key key, uint64_t index) { return (double)(u64(key, index) >> 11) * 0x1p-53; }

double lf_rng_normal(lf_rng_key key, uint64_t index) {
    uint32_t w[4];
    lf_rng_block(key, 2, index, w);
    const double u = ((double)(((uint64_t)w[1] << 32 | w[0]) >> 11) + 1.0) * 0x1p-53; /* (0, 1]: log is finite */
    const double v = (double)(((uint64_t)w[3] << 32 | w[2]) >> 11) * 0x1p-53;
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586476925286766559 * v);
}

double lf_rng_normal_within(lf_rng_key key, uint64_t *draw, double cutoff) {
    double z;
    do z = lf_rng_normal(key, (*draw)++);
    while (fabs(z) > cutoff);
    return z;
}

uint64_t lf_rng_below(lf_rng_key key, uint64_t index, uint64_t n) {
    __extension__ typedef unsigned __int128 u128;
    return (uint64_t)((u128)u64(key, index) * n >> 64);
}

void lf_rng_permutation(lf_rng_key key, int64_t *out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t j = (int64_t)lf_rng_below(key, (uint64_t)i, (uint64_t)i + 1);
        const int64_t t = out[i];
        out[i] = out[j];
        out[j] = t;
    }
}
