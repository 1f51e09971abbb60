/* Tokens of a picture. */

static void patchify(void *patches_, const float *pixels, int64_t B, int64_t channels, int64_t H, int64_t W, int64_t P) {
    float *patches = patches_;
    const int64_t down = H / P, across = W / P;
    PARALLEL(B * channels * H * W)
    for (int64_t band = 0; band < B * down; band++) {
        const int64_t b = band / down, top = band % down * P;
        float *out = patches + band * across * channels * P * P;
        for (int64_t column = 0; column < across; column++)
            for (int64_t c = 0; c < channels; c++)
                for (int64_t y = 0; y < P; y++, out += P)
                    memcpy(out, pixels + ((b * channels + c) * H + top + y) * W + column * P, (size_t)P * sizeof(float));
    }
}

static void embed_tokens(void *x_, const void *patches_, const void *cls, const void *pos_, int64_t B, int64_t N,
                         int64_t C) {
    float *x = x_;
    const float *patches = patches_, *pos = pos_;
    PARALLEL(B * (N + 1) * C)
    for (int64_t row = 0; row < B * (N + 1); row++) {
        const int64_t b = row / (N + 1), t = row % (N + 1);
        const float *token = t == 0 ? cls : patches + (b * N + t - 1) * C;
        SIMD
        for (int64_t c = 0; c < C; c++) x[row * C + c] = token[c] + pos[t * C + c];
    }
}

static void embed_tokens_backward(void *dpatches_, void *dcls_, void *dpos_, const void *dx_, int64_t B, int64_t N,
                                  int64_t C) {
    float *dpatches = dpatches_, *dpos = dpos_;
    const float *dx = dx_;
    PARALLEL(B * (N + 1) * C)
    for (int64_t t = 0; t <= N; t++) {
        float *dcls = t == 0 ? dcls_ : NULL;
        for (int64_t b = 0; b < B; b++) {
            const float *d = dx + (b * (N + 1) + t) * C;
            if (dpatches && t > 0) memcpy(dpatches + (b * N + t - 1) * C, d, (size_t)C * sizeof(float));
            if (dcls) add_arrays(dcls, dcls, d, C);
            if (dpos) add_arrays(dpos + t * C, dpos + t * C, d, C);
        }
    }
}

static void select_token(void *y_, const void *x_, int64_t B, int64_t T, int64_t C, int64_t t) {
    float *y = y_;
    const float *x = x_;
    for (int64_t b = 0; b < B; b++) memcpy(y + b * C, x + (b * T + t) * C, (size_t)C * sizeof(float));
}

static void select_token_backward(void *dx_, bool add, const void *dy_, int64_t B, int64_t T, int64_t C, int64_t t) {
    float *dx = dx_;
    const float *dy = dy_;
    if (!add) fill(dx, 0, B * T * C);
    for (int64_t b = 0; b < B; b++) {
        float *row = dx + (b * T + t) * C;
        add_arrays(row, row, dy + b * C, C);
    }
}
