#include "examples/letters/render.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

/* Which random number decides what. */
enum { FONT, CASE, ANGLE, SHEAR, ASPECT, EXTENT, SHIFT_X, SHIFT_Y, WEIGHT, BRIGHTNESS, NOISE };

/* Half-widths and ranges of the variation. */
static const double max_half_tangent = 0.0524;            /* tan(6 degrees / 2) */
static const double max_shear = 0.1;                      /* horizontal, per unit of height */
static const double min_aspect = 0.92, max_aspect = 1.09; /* width is multiplied by it */
static const double min_extent = 0.72, max_extent = 0.92; /* longer side of the letter, of the picture's */
static const double max_shift = 0.06;                     /* of the picture's side; never over the border */
static const double min_weight = 0.35, max_weight = 0.70; /* grey of a half-covered pixel: thin or heavy strokes */
static const double min_brightness = 0.75, max_brightness = 1.0;
static const double max_noise = 8.0; /* standard deviation in grey levels of 255 */

/* stb_truetype rasterizes 16-bit coordinates: the letter is laid out with its longer side this long. */
static const double grid = 16384.0;
static const float flatness = 0.2f; /* error of a curve drawn as lines, in pixels */

struct lf_renderer {
    int size, n_cases;
    uint64_t seed;
    uint8_t *pixels;
    stbtt_vertex *vertices;
    int capacity;
};

typedef struct affine {
    double xx, xy, yx, yy;
} affine;

typedef struct box {
    double x0, y0, x1, y1;
} box;

lf_renderer *lf_renderer_new(int size, int n_cases, uint64_t seed) {
    lf_renderer *r = lf_calloc(1, sizeof *r);
    if (!r) return NULL;
    *r =
        (lf_renderer){.size = size, .n_cases = n_cases, .seed = seed, .pixels = lf_malloc((size_t)size * (size_t)size)};
    if (r->pixels) return r;
    lf_renderer_free(r);
    return NULL;
}

void lf_renderer_free(lf_renderer *r) {
    if (!r) return;
    lf_free(r->vertices);
    lf_free(r->pixels);
    lf_free(r);
}

static double between(lf_rng_key key, uint64_t what, double low, double high) {
    return low + (high - low) * lf_rng_uniform(key, what);
}

/* Rotation * shear * stretch. The rotation by t = tan(angle / 2) needs no sine. */
static affine draw_affine(lf_rng_key key) {
    const double t = between(key, ANGLE, -max_half_tangent, max_half_tangent);
    const double c = (1 - t * t) / (1 + t * t), s = 2 * t / (1 + t * t);
    const double shear = between(key, SHEAR, -max_shear, max_shear),
                 aspect = between(key, ASPECT, min_aspect, max_aspect);
    return (affine){.xx = c * aspect, .xy = c * shear - s, .yx = s * aspect, .yy = s * shear + c};
}

static double map_x(affine m, double x, double y) { return m.xx * x + m.xy * y; }
static double map_y(affine m, double x, double y) { return m.yx * x + m.yy * y; }

static void extend(box *b, double x, double y) {
    b->x0 = fmin(b->x0, x);
    b->x1 = fmax(b->x1, x);
    b->y0 = fmin(b->y0, y);
    b->y1 = fmax(b->y1, y);
}

/* The box of the mapped control points; the curve lies inside. */
static box bounds(affine m, const lf_outline *o) {
    box b = {INFINITY, INFINITY, -INFINITY, -INFINITY};
    for (int i = 0; i < o->n; i++) {
        const stbtt_vertex *v = &o->vertices[i];
        extend(&b, map_x(m, v->x, v->y), map_y(m, v->x, v->y));
        if (v->type == STBTT_vcurve) extend(&b, map_x(m, v->cx, v->cy), map_y(m, v->cx, v->cy));
    }
    return b;
}

static short to_grid(double x) { return (short)floor(x + 0.5); }

/* The outline mapped, centred on 0 and scaled so that the longer side of its box is `grid`. */
static const stbtt_vertex *lay_out(lf_renderer *r, const lf_outline *o, affine m, box b) {
    if (o->n > r->capacity) {
        stbtt_vertex *vertices = lf_realloc(r->vertices, (size_t)o->n * sizeof *vertices);
        if (!vertices) return NULL;
        r->vertices = vertices;
        r->capacity = o->n;
    }
    const double scale = grid / fmax(fmax(b.x1 - b.x0, b.y1 - b.y0), 1.0);
    const double x0 = (b.x0 + b.x1) / 2, y0 = (b.y0 + b.y1) / 2;
    for (int i = 0; i < o->n; i++) {
        stbtt_vertex v = o->vertices[i];
        const double x = v.x, y = v.y, cx = v.cx, cy = v.cy;
        v.x = to_grid(scale * (map_x(m, x, y) - x0));
        v.y = to_grid(scale * (map_y(m, x, y) - y0));
        if (v.type == STBTT_vcurve) {
            v.cx = to_grid(scale * (map_x(m, cx, cy) - x0));
            v.cy = to_grid(scale * (map_y(m, cx, cy) - y0));
        }
        r->vertices[i] = v;
    }
    return r->vertices;
}

/* As far as the border allows, but not further than max_shift. */
static double draw_shift(lf_rng_key key, uint64_t what, double side, double size) {
    const double room = fmin((size - side) / 2, max_shift * size);
    return between(key, what, -room, room);
}

static void rasterize(lf_renderer *r, lf_rng_key key, const lf_outline *o, box b) {
    const double size = r->size, longer = fmax(fmax(b.x1 - b.x0, b.y1 - b.y0), 1.0);
    const double extent = size * between(key, EXTENT, min_extent, max_extent);
    const double x = size / 2 + draw_shift(key, SHIFT_X, extent * (b.x1 - b.x0) / longer, size);
    const double y = size / 2 + draw_shift(key, SHIFT_Y, extent * (b.y1 - b.y0) / longer, size);
    const float scale = (float)(extent / grid);
    stbtt__bitmap bitmap = {r->size, r->size, r->size, r->pixels};
    memset(r->pixels, 0, (size_t)r->size * (size_t)r->size);
    stbtt_Rasterize(&bitmap, flatness, r->vertices, o->n, scale, scale, (float)x, (float)y, 0, 0, 1, NULL);
}

/* Coverage to grey. Schlick's bias curve c / ((1/w - 2)(1 - c) + 1) takes 1/2 to w ("Fast alternatives to Perlin's bias
 * and gain functions", Graphics Gems IV, 1994): at w < 1/2 strokes look thinner, above thicker. The noise is the sum of
 * four bytes, near enough to normal: mean 510, variance 4 (256^2 - 1) / 12. */
static void shade(lf_renderer *r, lf_rng_key key) {
    const double curve = 1 / between(key, WEIGHT, min_weight, max_weight) - 2;
    const double brightness = 255 * between(key, BRIGHTNESS, min_brightness, max_brightness);
    const double noise = between(key, NOISE, 0, max_noise) / 147.80;
    const size_t n = (size_t)r->size * (size_t)r->size;
    for (size_t i = 0; i < n; i++) {
        const double c = r->pixels[i] / 255.0;
        const uint32_t u = lf_rng_u32(key, i);
        const double sum = (double)((u & 255) + (u >> 8 & 255) + (u >> 16 & 255) + (u >> 24));
        const double grey = brightness * c / (curve * (1 - c) + 1) + noise * (sum - 510);
        r->pixels[i] = (uint8_t)floor(fmin(fmax(grey, 0), 255) + 0.5);
    }
}

const uint8_t *lf_render(lf_renderer *r, const lf_fontset *fonts, uint32_t split, uint32_t letter, uint32_t index) {
    const uint64_t stream = ((uint64_t)split * LF_LETTERS_CLASSES + letter) << 32 | index;
    const lf_rng_key key = lf_rng_make(r->seed, LF_RNG_LETTERS, stream);
    const lf_font *font = fonts->fonts[lf_rng_below(key, FONT, (uint64_t)fonts->n)];
    const int alphabet = (int)lf_rng_below(key, CASE, (uint64_t)r->n_cases);
    const lf_outline *outline = lf_font_outline(font, alphabet * LF_LETTERS_CLASSES + (int)letter);
    const affine m = draw_affine(key);
    const box b = bounds(m, outline);
    if (!lay_out(r, outline, m, b)) return NULL;
    rasterize(r, key, outline, b);
    shade(r, key);
    return r->pixels;
}
