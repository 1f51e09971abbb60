/* Antialiased resize, the way Pillow defines it: every output pixel is a weighted mean of the source pixels under a
 * filter that is stretched by the scale when the picture shrinks. One direction after the other, 8 bits in between,
 * weights in 22-bit fixed point: the same results, not only about the same, because a classifier was trained on those.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "data/image/internal.h"

enum {
    WEIGHT_BITS = 22,                   /* 8 bits of pixel + 22 of weight leave 2 for overshoot and sign in an int32 */
    ROUND_HALF = 1 << (WEIGHT_BITS - 1) /* where every sum begins */
};

static const double PI = 3.14159265358979323846;

static double box_weight(double x) { return x > -0.5 && x <= 0.5 ? 1 : 0; }

static double triangle_weight(double x) {
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

static double hamming_weight(double x) {
    x = fabs(x);
    if (x == 0) return 1;
    if (x >= 1) return 0;
    x *= PI;
    return sin(x) / x * (0.54 + 0.46 * cos(x));
}

static double cubic_weight(double x) { /* Keys' kernel with a = -1/2 */
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

static double sinc(double x) {
    if (x == 0) return 1;
    x *= PI;
    return sin(x) / x;
}

static double lanczos_weight(double x) { return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0; }

static const struct filter {
    double radius; /* in output pixels, if the picture shrinks, else in source pixels */
    double (*weight)(double x);
} filters[] = {
    [LF_BOX] = {0.5, box_weight},     [LF_BILINEAR] = {1, triangle_weight}, [LF_HAMMING] = {1, hamming_weight},
    [LF_BICUBIC] = {2, cubic_weight}, [LF_LANCZOS] = {3, lanczos_weight},
};

/* One direction: output i is the sum over j of weights[i * width + j] * source[first[i] + j], j < count[i]. */
typedef struct taps {
    int n, width;
    int *first, *count;
    int32_t *weights;
} taps;

static void taps_free(taps *t) {
    lf_free(t->first);
    lf_free(t->weights);
    *t = (taps){0};
}

static int32_t fixed_point(double w) { return (int32_t)(w * (1 << WEIGHT_BITS) + (w < 0 ? -0.5 : 0.5)); }

/* Weights of one output pixel into w; they sum to 1 also where the border cuts the window. */
static void fill_window(int *first, int *count, double *w, int source, double centre, double radius, double inverse,
                        const struct filter *f) {
    int begin = (int)(centre - radius + 0.5), end = (int)(centre + radius + 0.5);
    if (begin < 0) begin = 0;
    if (end > source) end = source;
    double sum = 0;
    for (int j = 0; j < end - begin; j++) {
        w[j] = f->weight((j + begin - centre + 0.5) * inverse);
        sum += w[j];
    }
    for (int j = 0; sum != 0 && j < end - begin; j++) w[j] /= sum;
    *first = begin;
    *count = end - begin;
}

/* The interval [low, high] of `source` pixels onto n. Box borders are floats in Pillow; their difference too. */
static lf_status taps_make(taps *t, int source, float low, float high, int n, const struct filter *f, lf_err *err) {
    const double scale = (double)(high - low) / n;
    const double stretch = scale > 1 ? scale : 1;
    const double radius = f->radius * stretch;
    const double window_size = ceil(radius) * 2 + 1;
    const int width = window_size < source ? (int)window_size : source;
    double *window = lf_malloc((size_t)width * sizeof *window);
    *t = (taps){.n = n, .width = width, .first = lf_malloc(2 * (size_t)n * sizeof(int))};
    t->weights = lf_calloc((size_t)n, (size_t)width * sizeof *t->weights);
    if (!window || !t->first || !t->weights) {
        lf_free(window);
        taps_free(t);
        return lf_no_memory(err, "resizing %d pixels to %d", source, n);
    }
    t->count = t->first + n;
    for (int i = 0; i < n; i++) {
        fill_window(&t->first[i], &t->count[i], window, source, low + (i + 0.5) * scale, radius, 1 / stretch, f);
        for (int j = 0; j < t->count[i]; j++)
            t->weights[(size_t)i * (size_t)width + (size_t)j] = fixed_point(window[j]);
    }
    lf_free(window);
    return LF_OK;
}

static unsigned char clip(int32_t sum) {
    const int32_t v = sum >> WEIGHT_BITS; /* arithmetic in gcc and clang: rounds down, as needed */
    return (unsigned char)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* C is a constant at each call, so that the compiler makes one loop for grey and one for RGB. */
static inline void columns_of(unsigned char *out, const unsigned char *in, const taps *t, const int C) {
    for (int x = 0; x < t->n; x++) {
        const unsigned char *p = in + (size_t)t->first[x] * (size_t)C;
        const int32_t *w = t->weights + (size_t)x * (size_t)t->width;
        int32_t sum[3] = {ROUND_HALF, ROUND_HALF, ROUND_HALF};
        for (int j = 0; j < t->count[x]; j++)
            for (int c = 0; c < C; c++) sum[c] += p[j * C + c] * w[j];
        for (int c = 0; c < C; c++) *out++ = clip(sum[c]);
    }
}

/* Rows y0 .. y0+rows-1 of `in`, each made t->n pixels wide. */
static lf_status resize_across(lf_image *out, const lf_image *in, int y0, int rows, const taps *t, lf_err *err) {
    const lf_status rc = lf_image_new(out, t->n, rows, in->channels, err);
    const size_t in_row = lf_image_bytes(in->width, 1, in->channels), out_row = lf_image_bytes(t->n, 1, in->channels);
    for (int y = 0; y < rows && !rc; y++) {
        unsigned char *q = out->pixels + (size_t)y * out_row;
        const unsigned char *p = in->pixels + (size_t)(y0 + y) * in_row;
        if (in->channels == 1)
            columns_of(q, p, t, 1);
        else
            columns_of(q, p, t, 3);
    }
    return rc;
}

/* The picture made t->n pixels high. `in` begins at the row y0 that t counts from. */
static lf_status resize_down(lf_image *out, const lf_image *in, int y0, const taps *t, lf_err *err) {
    const size_t row = lf_image_bytes(in->width, 1, in->channels);
    int32_t *sums = lf_malloc(row * sizeof *sums);
    if (!sums) return lf_no_memory(err, "resizing a picture %d pixels wide", in->width);
    const lf_status rc = lf_image_new(out, in->width, t->n, in->channels, err);
    for (int y = 0; y < t->n && !rc; y++) {
        for (size_t i = 0; i < row; i++) sums[i] = ROUND_HALF;
        for (int j = 0; j < t->count[y]; j++) {
            const unsigned char *p = in->pixels + (size_t)(t->first[y] - y0 + j) * row;
            const int32_t w = t->weights[(size_t)y * (size_t)t->width + (size_t)j];
            for (size_t i = 0; i < row; i++) sums[i] += p[i] * w;
        }
        for (size_t i = 0; i < row; i++) out->pixels[(size_t)y * row + i] = clip(sums[i]);
    }
    lf_free(sums);
    return rc;
}

/* Which direction goes first shows in the last bit. Pillow went across first up to version 12; since 13 it goes down
 * first where that takes away more than twice as many rows as columns, whatever the box. */
static bool down_first(const lf_image *in, int w, int h) {
    return h < in->height && in->height - h > 2 * (in->width - w);
}

static bool rescales(int n, int source, float low, float high) { return n != source || low != 0 || high != (float)n; }

/* At least one direction rescales. */
static lf_status resize_filtered(lf_image *out, const lf_image *in, int w, int h, const struct filter *f,
                                 const float box[4], lf_err *err) {
    taps across = {0}, down = {0};
    lf_image middle = {0};
    const bool wide = rescales(w, in->width, box[0], box[2]), high = rescales(h, in->height, box[1], box[3]);
    lf_status rc = LF_OK;
    if (wide) rc = taps_make(&across, in->width, box[0], box[2], w, f, err);
    if (!rc && high) rc = taps_make(&down, in->height, box[1], box[3], h, f, err);
    if (rc) goto out;
    if (!high) {
        rc = resize_across(out, in, 0, h, &across, err);
    } else if (!wide) {
        rc = resize_down(out, in, 0, &down, err);
    } else if (down_first(in, w, h)) {
        rc = resize_down(&middle, in, 0, &down, err);
        if (!rc) rc = resize_across(out, &middle, 0, h, &across, err);
    } else { /* across, but only the rows that will be read */
        const int y0 = down.first[0], y1 = down.first[h - 1] + down.count[h - 1];
        rc = resize_across(&middle, in, y0, y1 - y0, &across, err);
        if (!rc) rc = resize_down(out, &middle, y0, &down, err);
    }
out:
    lf_image_free(&middle);
    taps_free(&across);
    taps_free(&down);
    return rc;
}

/* Source index under the middle of each of n output pixels. The steps are added up, as Pillow does: i * step would
 * round to the other neighbour now and then. */
static void nearest_indices(int *index, int source, float low, float high, int n) {
    const double step = (double)(high - low) / n;
    double at = low + step * 0.5;
    for (int i = 0; i < n; i++, at += step) {
        const int j = (int)at;
        index[i] = j < source ? j : source - 1;
    }
}

static lf_status resize_nearest(lf_image *out, const lf_image *in, int w, int h, const float box[4], lf_err *err) {
    int *across = lf_malloc(((size_t)w + (size_t)h) * sizeof *across);
    if (!across) return lf_no_memory(err, "resizing to %d x %d", w, h);
    int *down = across + w;
    const lf_status rc = lf_image_new(out, w, h, in->channels, err);
    if (!rc) {
        nearest_indices(across, in->width, box[0], box[2], w);
        nearest_indices(down, in->height, box[1], box[3], h);
        const size_t pixel = (size_t)in->channels, row = lf_image_bytes(in->width, 1, in->channels);
        unsigned char *q = out->pixels;
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++, q += pixel)
                memcpy(q, in->pixels + (size_t)down[y] * row + (size_t)across[x] * pixel, pixel);
    }
    lf_free(across);
    return rc;
}

lf_status lf_image_resize(lf_image *out, const lf_image *in, int w, int h, lf_resample how, const double box[4],
                          lf_err *err) {
    *out = (lf_image){0};
    if (w < 1 || h < 1 || (int64_t)w * h > LF_IMAGE_MAX_PIXELS)
        return lf_fail(err, LF_EDATA, "cannot resize %d x %d pixels to %d x %d: expected 1 to %d pixels", in->width,
                       in->height, w, h, LF_IMAGE_MAX_PIXELS);
    const double whole[4] = {0, 0, in->width, in->height};
    const double *b = box ? box : whole;
    const float edges[4] = {(float)b[0], (float)b[1], (float)b[2], (float)b[3]};
    if (!(edges[0] >= 0 && edges[1] >= 0 && edges[0] < edges[2] && edges[1] < edges[3] &&
          edges[2] <= (float)in->width && edges[3] <= (float)in->height))
        return lf_fail(err, LF_EFAIL, "the box (%g, %g, %g, %g) is not inside a picture of %d x %d pixels", b[0], b[1],
                       b[2], b[3], in->width, in->height);
    if (!rescales(w, in->width, edges[0], edges[2]) && !rescales(h, in->height, edges[1], edges[3]))
        return lf_image_convert(out, in, in->channels, err);
    if (how == LF_NEAREST) return resize_nearest(out, in, w, h, edges, err);
    if (!filters[how].weight) return lf_fail(err, LF_EFAIL, "resample %d is none of 0 to 5", (int)how);
    return resize_filtered(out, in, w, h, &filters[how], edges, err);
}
