/* Dropout: lf_rng_u32's own numbers, 16 Philox blocks (base/rng.c) at a time. */

enum { PHILOX_NUMBERS = 64 };

/* Numbers 4 * block .. 4 * block + 63. */
static void philox(uint32_t *restrict out, lf_rng_key key, uint64_t block) {
    SIMD for (int lane = 0; lane < PHILOX_NUMBERS / 4; lane++) {
        const uint64_t counter = block + (uint64_t)lane;
        uint32_t c0 = (uint32_t)counter, c1 = (uint32_t)(counter >> 32), c2 = 0, c3 = 0;
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
        out[4 * lane] = c0;
        out[4 * lane + 1] = c1;
        out[4 * lane + 2] = c2;
        out[4 * lane + 3] = c3;
    }
}

/* What dropout multiplies by: `scale` where the number is at least `threshold`, else 0. */
typedef struct dropout_rule {
    lf_rng_key key;
    uint32_t threshold;
    float scale;
} dropout_rule;

static dropout_rule dropout_rule_make(double p, lf_rng_key key) {
    const double threshold = ceil(p * 0x1p32);
    if (threshold >= 0x1p32) return (dropout_rule){key, 0, 0}; /* nothing is kept */
    return (dropout_rule){key, threshold > 0 ? (uint32_t)threshold : 0, (float)(1 / (1 - p))};
}

static void dropout_factors(float *restrict factor, const dropout_rule *rule, int64_t first, int64_t n) {
    const uint32_t threshold = rule->threshold;
    const float scale = rule->scale;
    for (int64_t done = 0; done < n;) {
        uint32_t numbers[PHILOX_NUMBERS];
        const int64_t skip = (first + done) & 3, size = min64(PHILOX_NUMBERS - skip, n - done);
        philox(numbers, rule->key, (uint64_t)(first + done) >> 2);
        SIMD for (int64_t i = 0; i < size; i++) factor[done + i] = numbers[skip + i] >= threshold ? scale : 0.0f;
        done += size;
    }
}

static void noise(void *y_, const void *x_, int64_t n, double size, lf_rng_key key) {
    act *y = y_;
    const act *x = x_;
    const float low = (float)-size, step = (float)(2 * size * 0x1p-32);
    PARALLEL(n)
    for (int64_t begin = 0; begin < n; begin += PHILOX_NUMBERS) {
        uint32_t numbers[PHILOX_NUMBERS];
        const int64_t end = min64(PHILOX_NUMBERS, n - begin);
        philox(numbers, key, (uint64_t)begin >> 2);
        SIMD for (int64_t i = 0; i < end; i++) y[begin + i] = ST(LD(x[begin + i]) + (low + step * (float)numbers[i]));
    }
}

static void dropout(void *y_, bool add, const void *x_, int64_t n, double p, lf_rng_key key) {
    act *y = y_;
    const act *x = x_;
    const dropout_rule rule = dropout_rule_make(p, key);
    PARALLEL(n)
    for (int64_t begin = 0; begin < n; begin += CHUNK) {
        const int64_t size = min64(CHUNK, n - begin);
        float factor[CHUNK];
        dropout_factors(factor, &rule, begin, size);
        store_product(y + begin, add, x + begin, factor, size);
    }
}
