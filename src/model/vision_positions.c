/* Positions of patches: another grid than the file's, and biases by distance. */
#include "model/vision.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/string.h"

/* ---- preprocessor_config.json ---- */

/* A number, or {"height", "width"}; false: neither. */
static bool read_sides(const cJSON *size, int64_t *height, int64_t *width) {
    if (cJSON_IsNumber(size)) return lf_json_exact_i64(size, height) && lf_json_exact_i64(size, width);
    return lf_json_exact_i64(cJSON_GetObjectItemCaseSensitive(size, "height"), height) &&
           lf_json_exact_i64(cJSON_GetObjectItemCaseSensitive(size, "width"), width);
}

static void take_size(const cJSON *json, lf_pixel_facts *out) {
    const cJSON *crop = cJSON_GetObjectItemCaseSensitive(json, "crop_size"),
                *crops = cJSON_GetObjectItemCaseSensitive(json, "do_center_crop");
    const bool cropped = crop && !cJSON_IsNull(crop) && (!crops || cJSON_IsTrue(crops));
    int64_t height, width;
    if (!cropped && cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(json, "do_resize"))) return; /* as they come */
    if (!read_sides(cropped ? crop : cJSON_GetObjectItemCaseSensitive(json, "size"), &height, &width)) return;
    if (height < 1 || width < 1 || height > 16384 || width > 16384) return;
    out->height = height;
    out->width = width;
}

lf_status lf_vision_prepared_size(const lf_model *m, lf_pixel_facts *out, lf_err *err) {
    const size_t folder = (size_t)(lf_path_base(m->config_path) - m->config_path);
    char *path = lf_format("%.*spreprocessor_config.json", (int)folder, m->config_path);
    if (!path) return lf_no_memory(err, "%s", m->path);
    cJSON *json = NULL;
    const lf_status rc = lf_is_file(path) ? lf_json_read(&json, path, err) : LF_OK;
    if (json) take_size(json, out);
    cJSON_Delete(json);
    lf_free(path);
    return rc;
}

/* ---- bicubic interpolation ---- */

/* The cubic convolution kernel with parameter a (Keys 1981). */
static double cubic(double x, double a) {
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((x - 5) * x + 8) * x * a - 4 * a : 0;
}

/* Adds what place i of `to` takes from each of `from`: four neighbours, those beyond the border taken from the border,
 * a = -3/4. */
static void plain_weights(double *w, int64_t i, int64_t from, int64_t to) {
    const double at = ((double)i + 0.5) * (double)from / (double)to - 0.5, first = floor(at);
    for (int64_t k = -1; k <= 2; k++) {
        int64_t j = (int64_t)first + k;
        j = j < 0 ? 0 : j >= from ? from - 1 : j;
        w[j] += cubic(at - first - (double)k, -0.75);
    }
}

/* The same with a filter as wide as the places are apart, cut off at the border and divided by its sum; a = -1/2. */
static void wide_weights(double *w, int64_t i, int64_t from, int64_t to) {
    const double scale = (double)from / (double)to, wide = scale > 1 ? scale : 1, centre = scale * ((double)i + 0.5);
    const int64_t lowest = (int64_t)(centre - 2 * wide + 0.5), end = (int64_t)(centre + 2 * wide + 0.5);
    double sum = 0;
    for (int64_t j = lowest < 0 ? 0 : lowest; j < end && j < from; j++)
        sum += w[j] = cubic(((double)j - centre + 0.5) / wide, -0.5);
    for (int64_t j = 0; j < from; j++) w[j] /= sum;
}

/* Of one side: w [to, from], cleared before. */
static void side_weights(double *w, int64_t from, int64_t to, bool antialias) {
    for (int64_t i = 0; i < to; i++) (antialias ? wide_weights : plain_weights)(w + i * from, i, from, to);
}

/* rows: those of places in the new grid; the product of the weights of both sides. */
static void fill_matrix(float *matrix, int64_t front, lf_patch_grid from, lf_patch_grid to, const double *down,
                        const double *across) {
    const int64_t columns = front + from.height * from.width;
    for (int64_t t = 0; t < front; t++) matrix[t * columns + t] = 1;
    for (int64_t y = 0; y < to.height; y++)
        for (int64_t x = 0; x < to.width; x++) {
            float *row = matrix + (front + y * to.width + x) * columns + front;
            for (int64_t i = 0; i < from.height; i++)
                for (int64_t j = 0; j < from.width; j++)
                    row[i * from.width + j] = (float)(down[y * from.height + i] * across[x * from.width + j]);
        }
}

/* A constant of the model's: `values` in the backend's real numbers. */
static lf_tensor *constant(lf_nn *nn, const float *values, int ndim, const int64_t *shape) {
    int64_t n = 1;
    for (int i = 0; i < ndim; i++) n *= shape[i];
    lf_tensor *t = lf_arena_alloc(nn->arena, sizeof *t);
    void *data = lf_arena_alloc(nn->arena, (size_t)n * lf_dtype_size(nn->k->dtype));
    if (!t || !data) return NULL;
    nn->k->from_f32(data, values, n);
    lf_tensor_init(t, nn->k->dtype, ndim, shape, data, NULL);
    return t;
}

lf_tensor *lf_vision_resample(lf_nn *nn, int64_t front, lf_patch_grid from, lf_patch_grid to, bool antialias) {
    const int64_t shape[] = {front + to.height * to.width, front + from.height * from.width};
    double *down = lf_calloc((size_t)(to.height * from.height), sizeof *down),
           *across = lf_calloc((size_t)(to.width * from.width), sizeof *across);
    float *matrix = lf_calloc((size_t)(shape[0] * shape[1]), sizeof *matrix);
    lf_tensor *out = NULL;
    if (down && across && matrix) {
        side_weights(down, from.height, to.height, antialias);
        side_weights(across, from.width, to.width, antialias);
        fill_matrix(matrix, front, from, to, down, across);
        out = constant(nn, matrix, 2, shape);
    }
    lf_free(matrix);
    lf_free(across);
    lf_free(down);
    return out;
}

lf_tensor *lf_vision_placed(lf_nn *nn, const lf_tensor *table, const lf_tensor *matrix) {
    const int64_t to = matrix->shape[0], from = matrix->shape[1], C = table->numel / from;
    lf_tensor *t = lf_arena_alloc(nn->arena, sizeof *t);
    void *data = lf_arena_alloc(nn->arena, (size_t)(to * C) * lf_dtype_size(nn->k->dtype));
    if (!t || !data ||
        !nn->k->wide->gemm(false, false, to, C, from, matrix->data, from, table->data, C, false, data, C))
        return NULL;
    lf_tensor_init(t, nn->k->dtype, 2, (int64_t[]){to, C}, data, NULL);
    return t;
}

/* ---- bias by relative position ---- */

/* The row of the table for a query and a key, numbered as tokens. */
static int64_t relative_row(int64_t query, int64_t key, lf_patch_grid g) {
    const int64_t distances = (2 * g.height - 1) * (2 * g.width - 1);
    if (query == 0 || key == 0) return distances + (query > 0 ? 1 : key > 0 ? 0 : 2);
    const int64_t q = query - 1, k = key - 1, down = q / g.width - k / g.width + g.height - 1,
                  across = q % g.width - k % g.width + g.width - 1;
    return down * (2 * g.width - 1) + across;
}

lf_tensor *lf_vision_relative_bias(lf_nn *nn, const lf_tensor *table, lf_patch_grid grid) {
    const int64_t T = 1 + grid.height * grid.width, heads = table->shape[1];
    float *values = lf_malloc((size_t)table->numel * sizeof *values),
          *bias = lf_malloc((size_t)(heads * T * T) * sizeof *bias);
    lf_tensor *out = NULL;
    if (values && bias) {
        nn->k->to_f32(values, table->data, table->numel);
        for (int64_t h = 0; h < heads; h++)
            for (int64_t q = 0; q < T; q++)
                for (int64_t k = 0; k < T; k++)
                    bias[(h * T + q) * T + k] = values[relative_row(q, k, grid) * heads + h];
        out = constant(nn, bias, 3, (int64_t[]){heads, T, T});
    }
    lf_free(bias);
    lf_free(values);
    return out;
}
