/* The kernels frozen_*, over the formats (frozen.def) that a backend has. Included behind them by its body, which
 * defines FROZEN_FORMATS, a list of FROZEN_FORMAT(ID, name). */
typedef struct frozen_format {
    int64_t (*size)(int64_t out, int64_t in), (*scratch)(int64_t out, int64_t in);
    bool (*prepare)(lf_frozen *w, const float *W);
    bool (*restore)(const lf_frozen *w, float *W);
    bool (*forward)(const lf_frozen *w, void *y, const void *x, int64_t rows, const void *bias);
    bool (*forward_real)(const lf_frozen *w, void *y, const void *x, int64_t rows);
    bool (*backward)(const lf_frozen *w, void *dx, const void *dy, int64_t rows, bool add);
} frozen_format;

/* Products of these need no memory of their own. */
#define plain_scratch  NULL
#define packed_scratch NULL
#define FROZEN_FORMAT(ID, name)                                                                                        \
    [LF_FROZEN_##ID] = {name##_size,    name##_scratch,      name##_prepare, name##_restore,                           \
                        name##_forward, name##_forward_real, name##_backward}
static const frozen_format frozen_formats[LF_FROZEN_FORMATS] = {FROZEN_FORMATS};
#undef FROZEN_FORMAT

static int64_t frozen_size(lf_frozen_format format, int64_t out, int64_t in) {
    return frozen_formats[format].size ? frozen_formats[format].size(out, in) : 0;
}

static int64_t frozen_scratch(lf_frozen_format format, int64_t out, int64_t in) {
    return frozen_formats[format].scratch ? frozen_formats[format].scratch(out, in) : 0;
}

static bool frozen_prepare(lf_frozen *w, const float *W) { return frozen_formats[w->format].prepare(w, W); }

static bool frozen_restore(const lf_frozen *w, float *W) { return frozen_formats[w->format].restore(w, W); }

/* A pass that is made but once, or seldom, need not hold the whole model. */
static bool done_with(const lf_frozen *w, bool ok) {
    if (w->lets_go) lf_mapping_drop(w->data, (size_t)(w->out * w->in) * sizeof(act));
    return ok;
}

static bool frozen_forward(const lf_frozen *w, void *y, const void *x, int64_t rows, const void *bias) {
    return done_with(w, frozen_formats[w->format].forward(w, y, x, rows, bias));
}

static bool frozen_forward_real(const lf_frozen *w, void *y, const void *x, int64_t rows) {
    return done_with(w, frozen_formats[w->format].forward_real(w, y, x, rows));
}

static bool frozen_backward(const lf_frozen *w, void *dx, const void *dy, int64_t rows, bool add) {
    return done_with(w, frozen_formats[w->format].backward(w, dx, dy, rows, add));
}
