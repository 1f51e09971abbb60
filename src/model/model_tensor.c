#include "model/model_tensor.h"

#include <string.h>

#include "base/mem.h"

static void file_shape(const lf_param *p, int64_t shape[LF_TENSOR_DIMS]) {
    memcpy(shape, p->tensor.shape, sizeof p->tensor.shape);
    if (!p->transposed) return;
    shape[0] = p->tensor.shape[1];
    shape[1] = p->tensor.shape[0];
}

lf_status lf_param_check(const lf_param *p, const lf_st_tensor *t, const char *config_path, lf_err *err) {
    char want[64], found[64];
    int64_t shape[LF_TENSOR_DIMS];
    file_shape(p, shape);
    bool same = t->ndim == p->tensor.ndim;
    for (int i = 0; same && i < t->ndim; i++) same = t->shape[i] == shape[i];
    if (!same)
        return lf_fail(err, LF_ESHAPE, "%s: tensor '%s': expected shape %s (by %s), found %s; are the two files from one checkpoint?",
                       t->path, t->name, lf_shape_str(want, sizeof want, p->tensor.ndim, shape), config_path,
                       lf_shape_str(found, sizeof found, t->ndim, t->shape));
    if (!lf_dtype_is_float(t->dtype))
        return lf_fail(err, LF_EUNSUPPORTED, "%s: tensor '%s': expected F32, F16 or BF16, found %s (quantised models are not supported)",
                       t->path, t->name, lf_dtype_name(t->dtype));
    return LF_OK;
}

/* Row i of the file is column i of the weight; a piece of a row at a time, so that no second matrix is needed. */
static void read_turned(const lf_param *p, const lf_st_tensor *t, float *W) {
    enum { PIECE = 1024 };
    float piece[PIECE];
    const int64_t out = p->tensor.shape[0], in = p->tensor.shape[1];
    for (int64_t i = 0; i < in; i++)
        for (int64_t o = 0; o < out; o += PIECE) {
            const int64_t n = out - o < PIECE ? out - o : PIECE;
            lf_to_f32(piece, (const char *)t->data + (size_t)(i * out + o) * lf_dtype_size(t->dtype), t->dtype, n);
            for (int64_t j = 0; j < n; j++) W[(o + j) * in + i] = piece[j];
        }
}

void lf_param_read(const lf_param *p, const lf_st_tensor *t, float *out) {
    if (p->transposed) read_turned(p, t, out);
    else lf_to_f32(out, t->data, t->dtype, t->numel);
}

lf_status lf_param_declare(lf_st_writer *w, const lf_param *p, lf_dtype dtype, lf_err *err) {
    int64_t shape[LF_TENSOR_DIMS];
    file_shape(p, shape);
    return lf_st_writer_declare(w, p->file_name, dtype, p->tensor.ndim, shape, err);
}

lf_status lf_param_write(lf_st_writer *w, const lf_param *p, const float *values, lf_err *err) {
    if (!p->transposed) return lf_st_writer_write_f32(w, values, p->tensor.numel, err);
    const int64_t out = p->tensor.shape[0], in = p->tensor.shape[1];
    float *turned = lf_aligned_alloc((size_t)(out * in) * sizeof *turned);
    if (!turned) return lf_fail(err, LF_ENOMEM, "%s: out of memory for writing it", p->name);
    for (int64_t o = 0; o < out; o++)
        for (int64_t i = 0; i < in; i++) turned[i * out + o] = values[o * in + i];
    const lf_status rc = lf_st_writer_write_f32(w, turned, out * in, err);
    lf_aligned_free(turned);
    return rc;
}
