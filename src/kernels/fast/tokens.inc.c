/* Tokens of a picture. */

static void patchify(void *patches_, const float *pixels, int64_t B, int64_t channels, int64_t H, int64_t W,
                     int64_t P) {
    act *patches = patches_;
    const int64_t down = H / P, across = W / P;
    PARALLEL(B * channels * H * W)
    for (int64_t band = 0; band < B * down; band++) {
        const int64_t b = band / down, top = band % down * P;
        act *out = patches + band * across * channels * P * P;
        for (int64_t column = 0; column < across; column++)
            for (int64_t c = 0; c < channels; c++)
                for (int64_t y = 0; y < P; y++, out += P) {
                    const float *line = pixels + ((b * channels + c) * H + top + y) * W + column * P;
                    SIMD for (int64_t x = 0; x < P; x++) out[x] = ST(line[x]);
                }
    }
}

/* One row: token + place, where there is a place. */
static void put_prefix(act *restrict x, const float *restrict token, const float *restrict place, int64_t C) {
    if (place) {
        SIMD for (int64_t c = 0; c < C; c++) x[c] = ST(token[c] + place[c]);
    } else {
        SIMD for (int64_t c = 0; c < C; c++) x[c] = ST(token[c]);
    }
}

static void put_patch(act *restrict x, const act *restrict patch, const float *restrict place, int64_t C) {
    if (place) {
        SIMD for (int64_t c = 0; c < C; c++) x[c] = ST(LD(patch[c]) + place[c]);
    } else {
        memcpy(x, patch, (size_t)C * sizeof *x);
    }
}

static void embed_tokens(void *x_, const void *patches_, const void *prefix_, const void *pos_, int64_t B, int64_t N,
                         int64_t C, int64_t P, int64_t K) {
    act *x = x_;
    const act *patches = patches_;
    const float *prefix = prefix_, *pos = pos_;
    const int64_t T = P + N;
    PARALLEL(B * T * C)
    for (int64_t row = 0; row < B * T; row++) {
        const int64_t b = row / T, t = row % T;
        if (t < P)
            put_prefix(x + row * C, prefix + t * C, pos && t < K ? pos + t * C : NULL, C);
        else
            put_patch(x + row * C, patches + (b * N + t - P) * C, pos ? pos + (K + t - P) * C : NULL, C);
    }
}

static void embed_tokens_backward(void *dpatches_, void *dprefix_, void *dpos_, const void *dx_, int64_t B, int64_t N,
                                  int64_t C, int64_t P, int64_t K) {
    act *dpatches = dpatches_;
    const act *dx = dx_;
    const int64_t T = P + N;
    PARALLEL(B * T * C)
    for (int64_t t = 0; t < T; t++) {
        const bool placed = dpos_ && (t >= P || t < K);
        float *dprefix = dprefix_ && t < P ? (float *)dprefix_ + t * C : NULL,
              *dpos = placed ? (float *)dpos_ + (t < P ? t : K + t - P) * C : NULL;
        for (int64_t b = 0; b < B; b++) {
            const act *d = dx + (b * T + t) * C;
            if (dpatches && t >= P) memcpy(dpatches + (b * N + t - P) * C, d, (size_t)C * sizeof(act));
            if (dprefix) to_real(dprefix, true, d, C);
            if (dpos) to_real(dpos, true, d, C);
        }
    }
}

static void select_token(void *y_, const void *x_, int64_t B, int64_t T, int64_t C, int64_t t) {
    act *y = y_;
    const act *x = x_;
    for (int64_t b = 0; b < B; b++) memcpy(y + b * C, x + (b * T + t) * C, (size_t)C * sizeof(act));
}

static void select_token_backward(void *dx_, bool add, const void *dy_, int64_t B, int64_t T, int64_t C, int64_t t) {
    act *dx = dx_;
    const act *dy = dy_;
    if (!add) fill(dx, 0, B * T * C);
    for (int64_t b = 0; b < B; b++) {
        axpy(dx + (b * T + t) * C, 1, dy + b * C, C);
    }
}

static void select_tokens(void *y_, const void *x_, const int32_t *columns, int64_t B, int64_t T, int64_t C) {
    act *y = y_;
    const act *x = x_;
    for (int64_t b = 0; b < B; b++) memcpy(y + b * C, x + (b * T + columns[b]) * C, (size_t)C * sizeof(act));
}

static void select_tokens_backward(void *dx_, bool add, const void *dy_, const int32_t *columns, int64_t B, int64_t T,
                                   int64_t C) {
    act *dx = dx_;
    const act *dy = dy_;
    if (!add) fill(dx, 0, B * T * C);
    for (int64_t b = 0; b < B; b++) axpy(dx + (b * T + columns[b]) * C, 1, dy + b * C, C);
}

/* n columns of a row's mean over `tokens` rows of x, C apart */
static void mean_columns(act *restrict y, const act *restrict x, int64_t tokens, int64_t C, int64_t n) {
    float sum[CHUNK] = {0};
    const float share = 1 / (float)tokens;
    for (int64_t t = 0; t < tokens; t++) SIMD for (int64_t c = 0; c < n; c++) sum[c] += LD(x[t * C + c]);
    SIMD for (int64_t c = 0; c < n; c++) y[c] = ST(sum[c] * share);
}

static void mean_tokens(void *y_, const void *x_, int64_t first, const int32_t *lengths, int64_t B, int64_t T,
                        int64_t C) {
    act *y = y_;
    const act *x = x_;
    PARALLEL(B * T * C)
    for (int64_t b = 0; b < B; b++)
        for (int64_t c = 0; c < C; c += CHUNK)
            mean_columns(y + b * C + c, x + (b * T + first) * C + c, (lengths ? lengths[b] : T) - first, C,
                         min64(CHUNK, C - c));
}

static void mean_tokens_backward(void *dx_, bool add, const void *dy_, int64_t first, const int32_t *lengths, int64_t B,
                                 int64_t T, int64_t C) {
    act *dx = dx_;
    const act *dy = dy_;
    if (!add) fill(dx, 0, B * T * C);
    PARALLEL(B * T * C)
    for (int64_t b = 0; b < B; b++) {
        const int64_t end = lengths ? lengths[b] : T;
        const float share = 1 / (float)(end - first);
        for (int64_t t = first; t < end; t++) {
            act *to = dx + (b * T + t) * C;
            SIMD for (int64_t c = 0; c < C; c++) to[c] = ST(LD(to[c]) + LD(dy[b * C + c]) * share);
        }
    }
}
