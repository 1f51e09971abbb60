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

static void embed_tokens(void *x_, const void *patches_, const void *cls, const void *pos_, int64_t B, int64_t N,
                         int64_t C) {
    act *x = x_;
    const act *patches = patches_;
    const float *pos = pos_;
    PARALLEL(B * (N + 1) * C)
    for (int64_t row = 0; row < B * (N + 1); row++) {
        const int64_t b = row / (N + 1), t = row % (N + 1);
        if (t == 0) {
            SIMD for (int64_t c = 0; c < C; c++) x[row * C + c] = ST(((const float *)cls)[c] + pos[c]);
        } else {
            const act *patch = patches + (b * N + t - 1) * C;
            SIMD for (int64_t c = 0; c < C; c++) x[row * C + c] = ST(LD(patch[c]) + pos[t * C + c]);
        }
    }
}

static void embed_tokens_backward(void *dpatches_, void *dcls_, void *dpos_, const void *dx_, int64_t B, int64_t N,
                                  int64_t C) {
    act *dpatches = dpatches_;
    float *dpos = dpos_;
    const act *dx = dx_;
    PARALLEL(B * (N + 1) * C)
    for (int64_t t = 0; t <= N; t++) {
        float *dcls = t == 0 ? dcls_ : NULL;
        for (int64_t b = 0; b < B; b++) {
            const act *d = dx + (b * (N + 1) + t) * C;
            if (dpatches && t > 0) memcpy(dpatches + (b * N + t - 1) * C, d, (size_t)C * sizeof(act));
            if (dcls) to_real(dcls, true, d, C);
            if (dpos) to_real(dpos + t * C, true, d, C);
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
