/* Frozen weights in four bits (nf4.h): a panel of them is made activations in scratch, multiplied, and forgotten.
 * Forward a panel is some rows of W, whose columns of y it makes whole; backward some columns, whose columns of dx. So
 * nothing is rounded more often than in a product of the whole. The backend that includes it has multiply_panel. */
enum { NF4_NUMBERS = 1 << 20 }; /* of a panel, about */

static int64_t nf4_size(int64_t out, int64_t in) { return lf_nf4_size(out, in); }

static bool nf4_prepare(lf_frozen *w, const float *W) {
    lf_nf4_prepare(w, W);
    return true;
}

static bool nf4_restore(const lf_frozen *w, float *W) {
    float block[LF_NF4_BLOCK];
    for (int64_t row = 0; row < w->out; row++)
        for (int64_t c = 0; c < w->in; c += LF_NF4_BLOCK) {
            const int n = lf_nf4_block(w, row, c / LF_NF4_BLOCK, block);
            memcpy(W + row * w->in + c, block, (size_t)n * sizeof *W);
        }
    return true;
}

static int64_t nf4_rows(int64_t in) { return NF4_NUMBERS / in < 1 ? 1 : NF4_NUMBERS / in; }
static int64_t nf4_columns(int64_t out) {
    const int64_t blocks = NF4_NUMBERS / out / LF_NF4_BLOCK;
    return (blocks < 1 ? 1 : blocks) * LF_NF4_BLOCK;
}

static int64_t nf4_scratch(int64_t out, int64_t in) {
    const int64_t rows = nf4_rows(in) < out ? nf4_rows(in) : out,
                  columns = nf4_columns(out) < in ? nf4_columns(out) : in;
    return (rows * in > columns * out ? rows * in : columns * out) * (int64_t)sizeof(act);
}

typedef struct nf4_panel {
    const lf_frozen *w;
    int64_t row, rows, column, columns;
} nf4_panel;

static void nf4_panel_row(void *context, int64_t i) {
    const nf4_panel *p = context;
    act *to = (act *)p->w->scratch->data + i * p->columns;
    float block[LF_NF4_BLOCK];
    for (int64_t c = 0; c < p->columns; c += LF_NF4_BLOCK) {
        const int n = lf_nf4_block(p->w, p->row + i, (p->column + c) / LF_NF4_BLOCK, block);
        for (int k = 0; k < n; k++) to[c + k] = ST(block[k]);
    }
}

static bool nf4_forward_as(const lf_frozen *w, void *y, bool as_real, const void *x, int64_t rows, const real *bias) {
    const int64_t most = nf4_rows(w->in), number = as_real ? (int64_t)sizeof(real) : (int64_t)sizeof(act);
    bool ok = true;
    for (int64_t from = 0; from < w->out && ok; from += most) {
        nf4_panel p = {w, from, w->out - from < most ? w->out - from : most, 0, w->in};
        lf_parallel_for(p.rows, nf4_panel_row, &p);
        ok = multiply_panel((char *)y + from * number, w->out, as_real, x, w->in, w->scratch->data, rows, p.rows,
                            bias ? bias + from : NULL);
    }
    return ok;
}

static bool nf4_forward(const lf_frozen *w, void *y, const void *x, int64_t rows, const void *bias) {
    return nf4_forward_as(w, y, false, x, rows, bias);
}

static bool nf4_forward_real(const lf_frozen *w, void *y, const void *x, int64_t rows) {
    return nf4_forward_as(w, y, true, x, rows, NULL);
}

static bool nf4_backward(const lf_frozen *w, void *dx, const void *dy, int64_t rows, bool add) {
    const int64_t most = nf4_columns(w->out);
    bool ok = true;
    for (int64_t from = 0; from < w->in && ok; from += most) {
        nf4_panel p = {w, 0, w->out, from, w->in - from < most ? w->in - from : most};
        lf_parallel_for(p.rows, nf4_panel_row, &p);
        ok = gemm(false, false, rows, p.columns, w->out, dy, w->out, w->scratch->data, p.columns, add, (act *)dx + from,
                  w->in);
    }
    return ok;
}
