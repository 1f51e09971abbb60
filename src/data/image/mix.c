#include "data/image/mix.h"

#include <math.h>
#include <string.h>

bool lf_mixes(const lf_picture_mixing *m) { return m->mixup > 0 || m->cutmix > 0; }

/* ---- the share ---- */

/* The logarithm of a Gamma(a, 1) variable: of a below 1 it may be smaller than any number. */
static double log_gamma_variable(double a, lf_rng_key key, uint64_t *draw) {
    const double boost = a < 1 ? log(1 - lf_rng_uniform(key, (*draw)++)) / a : 0; /* of (0, 1] */
    const double d = (a < 1 ? a + 1 : a) - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        const double x = lf_rng_normal(key, (*draw)++), u = 1 - lf_rng_uniform(key, (*draw)++), v = pow(1 + c * x, 3);
        if (v > 0 && log(u) < 0.5 * x * x + d - d * v + d * log(v)) return boost + log(d * v);
    }
}

double lf_mix_share(double alpha, lf_rng_key key, uint64_t *draw) {
    const double a = log_gamma_variable(alpha, key, draw), b = log_gamma_variable(alpha, key, draw);
    return 1 / (1 + exp(b - a));
}

/* ---- rows with their neighbours ---- */

/* x = share x + (1 - share) (the row before), of n numbers a row; held: room for one. */
static void mix_rows(float *x, int64_t rows, int64_t n, double share, float *held) {
    const float own = (float)share, other = (float)(1 - share);
    memcpy(held, x + (rows - 1) * n, (size_t)n * sizeof *held);
    for (int64_t i = rows - 1; i >= 0; i--) {
        float *to = x + i * n;
        const float *from = i ? to - n : held;
        for (int64_t j = 0; j < n; j++) to[j] = own * to[j] + other * from[j];
    }
}

static int64_t size_of(const lf_mixed_batch *b) { return (int64_t)b->channels * b->H * b->W; }

static void mix_values(const lf_mixed_batch *b, double share) {
    if (b->values) mix_rows(b->values, b->B, b->n_values, share, b->held);
}

void lf_mix_up(const lf_mixed_batch *b, double share) {
    mix_rows(b->pixels, b->B, size_of(b), share, b->held);
    mix_values(b, share);
}

void lf_mix_box(int box[4], double share, int x, int y, int W, int H) {
    const double half = 0.5 * sqrt(1 - share);
    const int w = (int)(half * W), h = (int)(half * H);
    box[0] = x - w > 0 ? x - w : 0;
    box[1] = y - h > 0 ? y - h : 0;
    box[2] = x + w < W ? x + w : W;
    box[3] = y + h < H ? y + h : H;
}

static void copy_box(const lf_mixed_batch *b, float *to, const float *from, const int box[4]) {
    for (int c = 0; c < b->channels; c++)
        for (int y = box[1]; y < box[3]; y++) {
            const int64_t at = ((int64_t)c * b->H + y) * b->W + box[0];
            memcpy(to + at, from + at, (size_t)(box[2] - box[0]) * sizeof *to);
        }
}

double lf_mix_cut(const lf_mixed_batch *b, const int box[4]) {
    const double share = 1 - (double)(box[2] - box[0]) * (box[3] - box[1]) / ((double)b->W * b->H);
    const int64_t n = size_of(b);
    memcpy(b->held, b->pixels + (b->B - 1) * n, (size_t)n * sizeof *b->held);
    for (int64_t i = b->B - 1; i >= 0; i--) copy_box(b, b->pixels + i * n, i ? b->pixels + (i - 1) * n : b->held, box);
    mix_values(b, share);
    return share;
}

double lf_mix(const lf_mixed_batch *b, const lf_picture_mixing *m, lf_rng_key key, int64_t number) {
    uint64_t draw = (uint64_t)number << 20; /* a batch has a space of its own */
    if (b->B < 2) return 1;
    const bool either = m->mixup > 0 && m->cutmix > 0,
               cuts = either ? lf_rng_below(key, draw++, 2) == 1 : m->cutmix > 0;
    const int x = (int)lf_rng_below(key, draw, (uint64_t)b->W), y = (int)lf_rng_below(key, draw + 1, (uint64_t)b->H);
    draw += 2;
    const double share = lf_mix_share(cuts ? m->cutmix : m->mixup, key, &draw);
    if (!cuts) {
        lf_mix_up(b, share);
        return share;
    }
    int box[4];
    lf_mix_box(box, share, x, y, b->W, b->H);
    return lf_mix_cut(b, box);
}
