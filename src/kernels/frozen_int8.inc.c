/* Frozen weights in int8 (int8.h), from the kernels int8_* of the backend that includes it. A block of rows is made
 * bytes at a time, and a block of columns of its product made numbers, in scratch. data: the rows' scales, then the
 * bytes [out,in]. FLOATS_TABLE: the table whose activations are floats. */
enum { INT8_ROWS = 256, INT8_COLUMNS = 2048 };

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t int8_block(const lf_frozen *w) { return w->format == LF_FROZEN_INT8_BLOCKS ? LF_INT8_BLOCK : w->in; }
static float *int8_scales(const lf_frozen *w) { return w->data; }
static int8_t *int8_bytes(const lf_frozen *w) {
    return (int8_t *)w->data + lf_align_up(w->out * (int64_t)sizeof(float));
}

static int64_t int8_size(int64_t out, int64_t in) {
    return larger(out, in) > LF_INT8_LONGEST ? 0 : lf_align_up(out * (int64_t)sizeof(float)) + out * in;
}

static bool int8_prepare(lf_frozen *w, const float *W) {
    FLOATS_TABLE.int8_quantise(int8_bytes(w), int8_scales(w), W, NULL, w->out, w->in, w->in);
    return true;
}

static bool int8_restore(const lf_frozen *w, float *W) {
    for (int64_t i = 0; i < w->out * w->in; i++) W[i] = (float)int8_bytes(w)[i] * int8_scales(w)[i / w->in];
    return true;
}

/* ---- scratch ---- */

typedef struct int8_parts {
    int8_t *q;     /* [INT8_ROWS, in or out] */
    float *scales; /* of q */
    int32_t *sums; /* [INT8_ROWS, INT8_COLUMNS], rows as far apart as there are columns */
    real *before;  /* the same, of the blocks of columns of x before this one */
} int8_parts;

static int64_t int8_scratch(int64_t out, int64_t in) {
    const int64_t blocks = (in + LF_INT8_BLOCK - 1) / LF_INT8_BLOCK, tile = INT8_ROWS * INT8_COLUMNS;
    return lf_align_up(INT8_ROWS * larger(out, in)) + lf_align_up(INT8_ROWS * blocks * (int64_t)sizeof(float)) +
           tile * (int64_t)(sizeof(int32_t) + sizeof(real));
}

static int8_parts int8_parts_of(const lf_frozen *w) {
    const int64_t blocks = (w->in + LF_INT8_BLOCK - 1) / LF_INT8_BLOCK;
    char *at = w->scratch->data;
    int8_parts p = {.q = (int8_t *)at};
    p.scales = (float *)(at += lf_align_up(INT8_ROWS * larger(w->out, w->in)));
    p.sums = (int32_t *)(at += lf_align_up(INT8_ROWS * blocks * (int64_t)sizeof(float)));
    p.before = (real *)(at + INT8_ROWS * INT8_COLUMNS * (int64_t)sizeof(int32_t));
    return p;
}

static int64_t int8_smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- both directions ---- */

#ifdef FAST_VNNI
/* Of n rows of bytes all columns of the product, in either direction. */
static bool int8_whole(const lf_frozen *w, const int8_parts *p, bool backward, void *y, bool as_real, bool add,
                       int64_t n, const real *bias) {
    if (!lf_vnni_runs_here(backward ? w->out : w->in)) return false;
    lf_vnni_product(&(lf_bytes_product){.A = p->q,
                                        .B = int8_bytes(w),
                                        .scales = p->scales,
                                        .columns = backward ? NULL : int8_scales(w),
                                        .bias = bias,
                                        .sums = p->sums,
                                        .C = y,
                                        .transpose_b = !backward,
                                        .out_bf16 = !as_real && sizeof(act) < sizeof(real),
                                        .add = add,
                                        .M = n,
                                        .N = backward ? w->in : w->out,
                                        .K = backward ? w->out : w->in,
                                        .block = backward ? w->out : int8_block(w),
                                        .ldb = w->in,
                                        .ldc = backward ? w->in : w->out});
    return true;
}
#else
static bool int8_whole(const lf_frozen *w, const int8_parts *p, bool backward, void *y, bool as_real, bool add,
                       int64_t n, const real *bias) {
    (void)w, (void)p, (void)backward, (void)y, (void)as_real, (void)add, (void)n, (void)bias;
    return false;
}
#endif

/* Of n rows of bytes the columns `from` .. from + m - 1 of y, as act or real. */
static bool int8_columns(const lf_frozen *w, const int8_parts *p, char *y, bool as_real, int64_t n, int64_t from,
                         int64_t m, const real *bias) {
    const int64_t block = int8_block(w), blocks = (w->in + block - 1) / block;
    const int8_t *Q = int8_bytes(w) + from * w->in;
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t k = b * block;
        const bool last = b + 1 == blocks;
        if (!int8_product(p->sums, m, p->q + k, w->in, Q + k, w->in, true, n, m, int8_smaller(block, w->in - k)))
            return false;
        if (!last)
            int8_store(p->before, m, true, b > 0, p->sums, NULL, p->scales + b, blocks, NULL, NULL, n, m);
        else
            int8_store(y, w->out, as_real, false, p->sums, b > 0 ? p->before : NULL, p->scales + b, blocks,
                       int8_scales(w) + from, bias ? bias + from : NULL, n, m);
    }
    return true;
}

static bool int8_forward_as(const lf_frozen *w, void *y, bool as_real, const void *x, int64_t rows, const real *bias) {
    const int8_parts p = int8_parts_of(w);
    const int64_t number = as_real ? (int64_t)sizeof(real) : (int64_t)sizeof(act);
    bool ok = true;
    for (int64_t row = 0; row < rows && ok; row += INT8_ROWS) {
        const int64_t n = int8_smaller(INT8_ROWS, rows - row);
        int8_quantise(p.q, p.scales, (const act *)x + row * w->in, NULL, n, w->in, int8_block(w));
        if (int8_whole(w, &p, false, (char *)y + row * w->out * number, as_real, false, n, bias)) continue;
        for (int64_t from = 0; from < w->out && ok; from += INT8_COLUMNS)
            ok = int8_columns(w, &p, (char *)y + (row * w->out + from) * number, as_real, n, from,
                              int8_smaller(INT8_COLUMNS, w->out - from), bias);
    }
    return ok;
}

static bool int8_forward(const lf_frozen *w, void *y, const void *x, int64_t rows, const void *bias) {
    return int8_forward_as(w, y, false, x, rows, bias);
}

static bool int8_forward_real(const lf_frozen *w, void *y, const void *x, int64_t rows) {
    return int8_forward_as(w, y, true, x, rows, NULL);
}

static bool int8_backward(const lf_frozen *w, void *dx, const void *dy, int64_t rows, bool add) {
    const int8_parts p = int8_parts_of(w);
    bool ok = true;
    for (int64_t row = 0; row < rows && ok; row += INT8_ROWS) {
        const int64_t n = int8_smaller(INT8_ROWS, rows - row);
        int8_quantise(p.q, p.scales, (const act *)dy + row * w->out, int8_scales(w), n, w->out, w->out);
        if (int8_whole(w, &p, true, (act *)dx + row * w->in, false, add, n, NULL)) continue;
        for (int64_t from = 0; from < w->in && ok; from += INT8_COLUMNS) {
            const int64_t m = int8_smaller(INT8_COLUMNS, w->in - from);
            ok = int8_product(p.sums, m, p.q, w->out, int8_bytes(w) + from, w->in, false, n, m, w->out);
            if (ok)
                int8_store((act *)dx + row * w->in + from, w->in, false, add, p.sums, NULL, p.scales, 1, NULL, NULL, n,
                           m);
        }
    }
    return ok;
}
