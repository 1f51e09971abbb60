/* Which tensor of a file is which parameter, its values, and that the file holds what config.json says and no more. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "model/family.h"

const char *lf_param_written_name(const lf_param *p) { return p->whole_rows ? p->name : p->file_name; }

/* Does t hold it among other rows? */
static bool is_slice_of(const lf_param *p, const lf_st_tensor *t) {
    return p->whole_rows && t->ndim > 0 && t->shape[0] == p->whole_rows;
}

/* Where its numbers begin in t. */
static const char *begin_in(const lf_param *p, const lf_st_tensor *t) {
    const int64_t before = is_slice_of(p, t) ? p->first_row * (t->numel / t->shape[0]) : 0;
    return (const char *)t->data + (size_t)before * lf_dtype_size(t->dtype);
}

const void *lf_param_in_place(const lf_param *p, const lf_st_tensor *t, lf_dtype type) {
    return t->dtype == type && !p->transposed && !p->plus_one ? begin_in(p, t) : NULL;
}

bool lf_param_stored(const lf_model *m, const lf_param *p, const lf_st_tensor *t, float *out) {
    float *as_stored = p->transposed ? lf_aligned_alloc((size_t)t->numel * sizeof *as_stored) : out;
    if (!as_stored) return false;
    lf_to_f32(as_stored, begin_in(p, t), t->dtype, p->tensor.numel);
    lf_safetensors_drop_pages(m->weights, t);
    if (p->transposed) {
        lf_transpose(out, as_stored, p->tensor.shape[1], p->tensor.shape[0]);
        lf_aligned_free(as_stored);
    }
    return true;
}

bool lf_param_read(const lf_model *m, const lf_param *p, const lf_st_tensor *t, float *out) {
    if (!lf_param_stored(m, p, t, out)) return false;
    for (int64_t i = 0; p->plus_one && i < t->numel; i++) out[i] += 1;
    return true;
}

bool lf_family_ignores(const lf_family *f, const char *tensor) {
    const size_t n = strlen(tensor);
    for (const char *const *unused = f->unused; *unused; unused++) {
        const size_t k = strlen(*unused);
        if (k <= n && memcmp((*unused)[0] == '.' ? tensor + n - k : tensor, *unused, k) == 0) return true;
    }
    return false;
}

/* Under a name, and as the first BERTs were written: LayerNorm.gamma and LayerNorm.beta. */
static const lf_st_tensor *find_spelled(const lf_safetensors *st, const char *name) {
    static const char *const spellings[][2] = {{"LayerNorm.weight", "LayerNorm.gamma"},
                                               {"LayerNorm.bias", "LayerNorm.beta"}};
    const lf_st_tensor *t = lf_safetensors_find(st, name);
    const size_t n = strlen(name);
    for (size_t i = 0; !t && i < sizeof spellings / sizeof *spellings; i++) {
        const size_t k = strlen(spellings[i][0]);
        char old[256];
        if (n < k || strcmp(name + n - k, spellings[i][0]) != 0) continue;
        snprintf(old, sizeof old, "%.*s%s", (int)(n - k), name, spellings[i][1]);
        t = lf_safetensors_find(st, old);
    }
    return t;
}

/* By the name number `way`: transformers 4 and 5 may call a module by two names; a bare base model (ViTModel) leaves
 * the prefix out. */
enum { NAMINGS = 4 };
static const lf_st_tensor *find_by(const lf_family *f, const lf_safetensors *st, const lf_param *p, int way) {
    const char *name = way % 2 ? p->name : p->file_name;
    const size_t k = strlen(f->prefix);
    if (way < 2) return find_spelled(st, name);
    return strncmp(name, f->prefix, k) == 0 ? find_spelled(st, name + k) : NULL;
}

const lf_st_tensor *lf_family_find(const lf_family *f, const lf_safetensors *st, const lf_param *p) {
    const lf_st_tensor *t = NULL;
    for (int way = 0; !t && way < NAMINGS; way++) t = find_by(f, st, p, way);
    return t || !p->twin ? t : lf_family_find(f, st, p->twin);
}

/* Numbers are floats here: of F64, that none becomes infinite. */
static lf_status check_range(const lf_st_tensor *t, lf_err *err) {
    for (int64_t i = 0; t->dtype == LF_F64 && i < t->numel; i++) {
        double x;
        memcpy(&x, (const char *)t->data + (size_t)i * sizeof x, sizeof x);
        if (isfinite(x) && fabs(x) > FLT_MAX)
            return lf_fail(err, LF_EDATA,
                           "%s: tensor '%s': number %lld is %g, which is too large for F32; scale the weights, or save "
                           "them again in a format that holds them",
                           t->path, t->name, (long long)i, x);
    }
    return LF_OK;
}

lf_status lf_param_check(const lf_model *m, const lf_param *p, const lf_st_tensor *t, lf_err *err) {
    char want[64], found[64];
    int64_t shape[LF_TENSOR_DIMS];
    lf_param_file_shape(p, shape);
    if (is_slice_of(p, t)) shape[0] = p->whole_rows;
    bool same = t->ndim == p->tensor.ndim;
    const bool rows_alone = same && t->ndim == 2 && t->shape[1] == shape[1];
    const char *const key = rows_alone ? p->rows_key : NULL;
    for (int i = 0; same && i < t->ndim; i++) same = t->shape[i] == shape[i];
    if (!same)
        return lf_fail(err, LF_ESHAPE,
                       "%s: tensor '%s': expected shape %s (by %s%s%s%s), found %s; are the two files from one "
                       "checkpoint?",
                       t->path, t->name, lf_shape_str(want, sizeof want, p->tensor.ndim, shape), m->config_path,
                       key ? ": key '" : "", key ? key : "", key ? "'" : "",
                       lf_shape_str(found, sizeof found, t->ndim, t->shape));
    if (!lf_dtype_is_float(t->dtype))
        return lf_fail(err, LF_EUNSUPPORTED,
                       "%s: tensor '%s': expected F32, F16 or BF16, found %s (quantised models are not supported)",
                       t->path, t->name, lf_dtype_name(t->dtype));
    return check_range(t, err);
}

/* Do they hold the same numbers, to the digits of the shorter format? A second copy may have been saved in another one,
 * and 0 may be -0 in it. */
static bool same_numbers(const lf_st_tensor *a, const lf_st_tensor *b) {
    enum { CHUNK = 4096 };
    float x[CHUNK], y[CHUNK];
    double rounded[CHUNK]; /* large and aligned enough for every float type */
    const lf_st_tensor *shorter = lf_dtype_size(a->dtype) < lf_dtype_size(b->dtype) ? a : b;
    if (a->dtype == b->dtype && a->size == b->size && memcmp(a->data, b->data, a->size) == 0) return true; /* usual */
    if (!lf_dtype_is_float(a->dtype) || !lf_dtype_is_float(b->dtype) || a->numel != b->numel) return false;
    for (int64_t i = 0; i < a->numel; i += CHUNK) {
        const int64_t n = a->numel - i < CHUNK ? a->numel - i : CHUNK;
        lf_to_f32(x, (const char *)a->data + (size_t)i * lf_dtype_size(a->dtype), a->dtype, n);
        lf_to_f32(y, (const char *)b->data + (size_t)i * lf_dtype_size(b->dtype), b->dtype, n);
        float *longer = shorter == a ? y : x;
        lf_from_f32(rounded, shorter->dtype, longer, n);
        lf_to_f32(longer, rounded, shorter->dtype, n);
        for (int64_t k = 0; k < n; k++)
            if (x[k] != y[k] && !(isnan(x[k]) && isnan(y[k]))) return false;
    }
    return true;
}

static bool same_tensor(const lf_st_tensor *a, const lf_st_tensor *b) {
    return a->ndim == b->ndim && memcmp(a->shape, b->shape, sizeof *a->shape * (size_t)a->ndim) == 0 &&
           same_numbers(a, b);
}

static bool is_weight_of(const lf_module *module, const char *tensor) {
    const size_t n = strlen(module->name);
    return strncmp(tensor, module->name, n) == 0 && strcmp(tensor + n, ".weight") == 0;
}

/* Files of tied models may hold the output's weight a second time. One with other values would be lost. */
static lf_status check_tied_copy(const lf_model *m, const lf_st_tensor *t, bool *is_copy, lf_err *err) {
    *is_copy = m->tied && m->lm_head && is_weight_of(m->lm_head, t->name);
    const lf_st_tensor *table = *is_copy ? lf_family_find(m->family, m->weights, m->tokens.embedding) : NULL;
    if (!table || same_tensor(table, t)) return LF_OK;
    return lf_fail(err, LF_EDATA,
                   "%s: tensor '%s' differs from '%s', but key 'tie_word_embeddings' in %s says that they are one; set "
                   "it to false "
                   "if the model has both",
                   t->path, t->name, table->name, m->config_path);
}

/* The same of any parameter that the file holds under two of its names (cls.predictions.bias and its decoder's). */
static lf_status check_use(const lf_model *m, const lf_st_tensor *t, const lf_param *p, bool *used, lf_err *err) {
    for (int way = 0; !*used && way < NAMINGS; way++) *used = find_by(m->family, m->weights, p, way) == t;
    const lf_st_tensor *first = *used ? lf_family_find(m->family, m->weights, p) : t;
    const bool unread = !m->tied && m->lm_head && p == m->lm_head->bias; /* an untied head has two, and reads its own */
    if (first == t || unread || same_tensor(first, t)) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: tensor '%s' differs from '%s', but they are two names of one parameter", t->path,
                   t->name, first->name);
}

/* A tensor that nothing asked for means that the model is not what config.json says it is. */
lf_status lf_model_check_all_used(const lf_model *m, lf_err *err) {
    const int64_t n = lf_safetensors_count(m->weights);
    for (int64_t i = 0; i < n; i++) {
        const lf_st_tensor *t = lf_safetensors_at(m->weights, i);
        bool used;
        lf_status rc = check_tied_copy(m, t, &used, err);
        used |= lf_family_ignores(m->family, t->name);
        for (int64_t j = 0; j < m->nn.n_params && !rc && !used; j++) rc = check_use(m, t, m->nn.params[j], &used, err);
        if (rc) return rc;
        if (!used)
            return lf_fail(err, LF_EDATA,
                           "%s: tensor '%s' belongs to no part of the model that %s describes (model_type '%s')",
                           t->path, t->name, m->config_path, m->family->model_type);
    }
    return LF_OK;
}
