#include "kernels/nf4.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

/* By the definition of the header: quantiles of the normal distribution, over the largest. */
const float lf_nf4_values[LF_NF4_VALUES] = {
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
};

/* In decade i (10^(i - 6), i = 0 .. 6) the middles of 2^i equal parts of [0.1, 1], of either sign; and 0 and 1. */
void lf_nf4_scale_values(float out[LF_NF4_BLOCKS]) {
    enum { DECADES = 7, ZERO = LF_NF4_BLOCKS / 2 - 1 };
    int at = 0;
    for (int i = 0; i < DECADES; i++)
        for (int j = 0; j < 1 << i; j++, at++) {
            const double middle = (0.1 + 0.9 * (j + 0.5) / (1 << i)) * pow(10, i - (DECADES - 1));
            out[ZERO + 1 + at] = (float)middle;
            out[ZERO - 1 - at] = (float)-middle;
        }
    out[ZERO] = 0;
    out[LF_NF4_BLOCKS - 1] = 1;
}

/* ---- where it lies ---- */

typedef struct layout {
    int64_t row_blocks, blocks, row_bytes;
    float *mean;     /* of the blocks' largest magnitudes */
    float *largest;  /* [blocks / 256] what is left of them */
    float *values;   /* [256] those that a block's byte means */
    uint8_t *scales; /* [blocks] */
    uint8_t *pairs;  /* [out, row_bytes] numbers 2k and 2k + 1 of a row: the low and the high four bits */
    int64_t size;
} layout;

static layout layout_of(int64_t out, int64_t in, void *data) {
    layout l = {.row_blocks = (in + LF_NF4_BLOCK - 1) / LF_NF4_BLOCK, .row_bytes = (in + 1) / 2};
    l.blocks = out * l.row_blocks;
    const int64_t hundreds = (l.blocks + LF_NF4_BLOCKS - 1) / LF_NF4_BLOCKS;
    const int64_t values = 64, largest = values + LF_NF4_BLOCKS * (int64_t)sizeof(float),
                  scales = largest + lf_align_up(hundreds * (int64_t)sizeof(float)),
                  pairs = scales + lf_align_up(l.blocks);
    l.size = pairs + out * l.row_bytes;
    if (!data) return l;
    char *at = data;
    l.mean = data;
    l.values = (float *)(void *)(at + values);
    l.largest = (float *)(void *)(at + largest);
    l.scales = (uint8_t *)at + scales;
    l.pairs = (uint8_t *)at + pairs;
    return l;
}

int64_t lf_nf4_size(int64_t out, int64_t in) { return layout_of(out, in, NULL).size; }

/* ---- making it ---- */

/* Of n values in order the one that is nearest; of two the lower. */
static int nearest(const float *values, int n, float x) {
    int below = 0, above = n - 1;
    while (above - below > 1) {
        const int middle = (below + above) / 2;
        if (values[middle] <= x)
            below = middle;
        else
            above = middle;
    }
    return x - values[below] <= values[above] - x ? below : above;
}

typedef struct making {
    const layout *l;
    const float *W;
    int64_t in;
} making;

static int64_t block_length(int64_t in, int64_t b) {
    const int64_t left = in - b * LF_NF4_BLOCK;
    return left < LF_NF4_BLOCK ? left : LF_NF4_BLOCK;
}

static float largest_of(const float *x, int64_t n) {
    float most = 0;
    for (int64_t i = 0; i < n; i++)
        if (isnan(x[i]) || fabsf(x[i]) > most) most = fabsf(x[i]);
    return most;
}

static void make_row(void *context, int64_t row) {
    const making *m = context;
    uint8_t *pairs = m->l->pairs + row * m->l->row_bytes;
    memset(pairs, 0, (size_t)m->l->row_bytes);
    for (int64_t b = 0; b < m->l->row_blocks; b++) {
        const int64_t first = b * LF_NF4_BLOCK, n = block_length(m->in, b);
        const float *x = m->W + row * m->in + first, most = largest_of(x, n), over = most > 0 ? 1 / most : 0;
        for (int64_t i = 0; i < n; i++)
            pairs[(first + i) / 2] |=
                (uint8_t)(nearest(lf_nf4_values, LF_NF4_VALUES, x[i] * over) << ((first + i) % 2 * 4));
    }
}

static float most_of_block(const making *m, int64_t block) {
    const int64_t row = block / m->l->row_blocks, b = block % m->l->row_blocks;
    return largest_of(m->W + row * m->in + b * LF_NF4_BLOCK, block_length(m->in, b));
}

static void make_scales(void *context, int64_t hundred) {
    const making *m = context;
    const layout *l = m->l;
    const int64_t first = hundred * LF_NF4_BLOCKS, left = l->blocks - first,
                  n = left < LF_NF4_BLOCKS ? left : LF_NF4_BLOCKS;
    float rest[LF_NF4_BLOCKS];
    for (int64_t i = 0; i < n; i++) rest[i] = most_of_block(m, first + i) - *l->mean;
    const float most = l->largest[hundred] = largest_of(rest, n), over = most > 0 ? 1 / most : 0;
    for (int64_t i = 0; i < n; i++) l->scales[first + i] = (uint8_t)nearest(l->values, LF_NF4_BLOCKS, rest[i] * over);
}

void lf_nf4_prepare(lf_frozen *w, const float *W) {
    const layout l = layout_of(w->out, w->in, w->data);
    making m = {&l, W, w->in};
    double sum = 0;
    for (int64_t b = 0; b < l.blocks; b++) sum += (double)most_of_block(&m, b);
    *l.mean = (float)(sum / (double)l.blocks);
    lf_nf4_scale_values(l.values);
    lf_parallel_for((l.blocks + LF_NF4_BLOCKS - 1) / LF_NF4_BLOCKS, make_scales, &m);
    lf_parallel_for(w->out, make_row, &m);
}

/* ---- reading it ---- */

int lf_nf4_block(const lf_frozen *w, int64_t row, int64_t b, float out[LF_NF4_BLOCK]) {
    const layout l = layout_of(w->out, w->in, w->data);
    const int64_t block = row * l.row_blocks + b;
    const int n = (int)block_length(w->in, b);
    const uint8_t *pairs = l.pairs + row * l.row_bytes + b * (LF_NF4_BLOCK / 2);
    const float scale = l.values[l.scales[block]] * l.largest[block / LF_NF4_BLOCKS] + *l.mean;
    float values[LF_NF4_VALUES];
    for (int i = 0; i < LF_NF4_VALUES; i++) values[i] = lf_nf4_values[i] * scale;
    for (int i = 0; i + 1 < n; i += 2) {
        out[i] = values[pairs[i / 2] & 15];
        out[i + 1] = values[pairs[i / 2] >> 4];
    }
    if (n & 1) out[n - 1] = values[pairs[n / 2] & 15];
    return n;
}
