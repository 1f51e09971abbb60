/* A frozen weight packed twice by oneDNN (product/onednn.c): of bf16, where oneDNN multiplies it. Elsewhere there is no
 * such format. */

static int64_t packed_size(int64_t out, int64_t in) {
    return FAST_BF16 && lf_onednn_has_bf16() ? lf_onednn_packed_size(out, in) : 0;
}

static bool packed_prepare(lf_frozen *w, const float *W) { return lf_onednn_pack(w, W); }

static bool packed_restore(const lf_frozen *w, float *W) { return lf_onednn_unpack(w, W); }

static bool packed_forward(const lf_frozen *w, void *y, const void *x, int64_t rows, const void *bias) {
    return lf_onednn_packed_product(w, false, true, y, x, rows, bias, false);
}

static bool packed_forward_real(const lf_frozen *w, void *y, const void *x, int64_t rows) {
    return lf_onednn_packed_product(w, false, false, y, x, rows, NULL, false);
}

static bool packed_backward(const lf_frozen *w, void *dx, const void *dy, int64_t rows, bool add) {
    return lf_onednn_packed_product(w, true, true, dx, dy, rows, NULL, add);
}
