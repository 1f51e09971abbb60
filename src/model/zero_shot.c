/* A head out of the embeddings of texts: logits are exp(logit_scale) cos(picture, text of the class) + logit_bias, as
 * transformers' CLIPModel and SiglipModel have them (logits_per_image). */
#include "model/zero_shot.h"

#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "model/family.h"

/* ---- tensors of the model's file that no parameter is for ---- */

static lf_status find(const lf_model *m, const char *name, const lf_st_tensor **out, lf_err *err) {
    *out = lf_safetensors_find(m->weights, name);
    if (*out && lf_dtype_is_float((*out)->dtype)) return LF_OK;
    return lf_fail(
        err, LF_EDATA,
        "key 'class_embeddings': %s has no tensor '%s'; expected a file of a whole CLIPModel or SiglipModel, "
        "which holds what compares pictures with texts",
        m->path, name);
}

/* As floats (lf_aligned_free). */
static lf_status values_of(const lf_st_tensor *t, float **out, lf_err *err) {
    *out = lf_aligned_alloc((size_t)(t->numel + 1) * sizeof **out);
    if (!*out) return lf_no_memory(err, "%s", t->name);
    lf_to_f32(*out, t->data, t->dtype, t->numel);
    return LF_OK;
}

static lf_status read_scalar(const lf_model *m, const char *name, double *out, lf_err *err) {
    const lf_st_tensor *t;
    lf_status rc = find(m, name, &t, err);
    if (rc) return rc;
    if (t->numel != 1) return lf_fail(err, LF_ESHAPE, "%s: tensor '%s': expected one number", t->path, name);
    float x;
    lf_to_f32(&x, t->data, t->dtype, 1);
    *out = (double)x;
    return LF_OK;
}

/* ---- modules in no table ---- */

/* A parameter of `module` that holds `values`; it is dropped with the module. */
static lf_param *held(lf_model *m, const char *module, const char *leaf, int ndim, const int64_t *shape,
                      const float *values) {
    lf_param *p = lf_nn_param(&m->nn, module, module, leaf, ndim, shape, false);
    if (!p || lf_nn_hold(&m->nn, p, NULL)) return NULL;
    m->nn.k->from_f32(p->tensor.data, values, p->tensor.numel);
    return p;
}

lf_module *lf_model_frozen_layer(lf_model *m, const char *name, lf_head_kind kind, int64_t out, int64_t in,
                                 const float *W, const float *b) {
    lf_module *made = lf_nn_module(&m->nn, LF_MODULE_LINEAR, out, in, name, name);
    if (!made) return NULL;
    made->head = kind;
    made->exact = true;
    made->weight = lf_nn_param(&m->nn, name, name, "weight", 2, (int64_t[]){out, in}, false);
    if (b) made->bias = held(m, name, "bias", 1, &out, b);
    const bool good = made->weight && (made->bias || !b) && !lf_nn_freeze(&m->nn, made, W, NULL);
    lf_nn_drop(&m->nn, made);
    return good ? made : NULL;
}

/* A layer of the file: rows `first` to first + out of the tensor `weight` [rows,in], and of `bias` (NULL: none). */
typedef struct layer {
    lf_module **to;
    const char *weight, *bias;
    int64_t out, in, first, rows; /* out 0: what the file says, as all of its rows */
} layer;

static lf_status check_shape(const lf_st_tensor *t, int64_t rows, int64_t columns, lf_err *err) {
    char found[64], wanted[64];
    const int64_t shape[] = {rows, columns};
    const int ndim = columns ? 2 : 1;
    if (t->ndim == ndim && t->shape[0] == rows && (!columns || t->shape[1] == columns)) return LF_OK;
    return lf_fail(err, LF_ESHAPE, "%s: tensor '%s': expected shape %s, found %s", t->path, t->name,
                   lf_shape_str(wanted, sizeof wanted, ndim, shape),
                   lf_shape_str(found, sizeof found, t->ndim, t->shape));
}

static lf_status make_layer(lf_model *m, const layer *l, lf_head_kind kind, lf_err *err) {
    const lf_st_tensor *w, *b = NULL;
    float *W = NULL, *bias = NULL;
    lf_status rc = find(m, l->weight, &w, err);
    if (rc) return rc;
    const int64_t out = l->out ? l->out : w->shape[0], rows = l->rows ? l->rows : out,
                  in = l->in          ? l->in
                       : w->ndim == 2 ? w->shape[1]
                                      : 0;
    if (!(rc = check_shape(w, rows, in, err)) && !(rc = values_of(w, &W, err)) && l->bias &&
        !(rc = find(m, l->bias, &b, err)) && !(rc = check_shape(b, rows, 0, err)))
        rc = values_of(b, &bias, err);
    if (!rc && !(*l->to = lf_model_frozen_layer(m, l->weight, kind, out, in, W + l->first * in,
                                                bias ? bias + l->first : NULL)))
        rc = lf_no_memory(err, "%s", l->weight);
    lf_aligned_free(bias);
    lf_aligned_free(W);
    return rc;
}

/* ---- what compares ---- */

#define POOLING "vision_model.head."

static lf_status make_norm(lf_model *m, lf_module **out, lf_err *err) {
    static const char name[] = POOLING "layernorm";
    const lf_st_tensor *w, *b;
    float *weight = NULL, *bias = NULL;
    const int64_t C = m->hidden_size;
    lf_status rc;
    if (!(rc = find(m, POOLING "layernorm.weight", &w, err)) && !(rc = find(m, POOLING "layernorm.bias", &b, err)) &&
        !(rc = check_shape(w, C, 0, err)) && !(rc = check_shape(b, C, 0, err)) && !(rc = values_of(w, &weight, err)))
        rc = values_of(b, &bias, err);
    lf_module *made = rc ? NULL : lf_nn_module(&m->nn, LF_MODULE_NORM, C, C, name, name);
    if (made) {
        made->weight = held(m, name, "weight", 1, &C, weight);
        made->bias = held(m, name, "bias", 1, &C, bias);
        lf_nn_drop(&m->nn, made);
        if (made->weight && made->bias) *out = made;
    }
    if (!rc && !*out) rc = lf_no_memory(err, "%s", name);
    lf_aligned_free(weight);
    lf_aligned_free(bias);
    return rc;
}

/* A parameter that no module has, out of the table. */
static lf_param *alone(lf_model *m, const char *name, int ndim, const int64_t *shape, const float *values) {
    lf_param *p = held(m, name, "", ndim, shape, values);
    if (p) m->nn.n_params--; /* it was appended */
    return p;
}

static lf_status make_probe(lf_model *m, lf_param **out, lf_err *err) {
    const lf_st_tensor *t;
    float *values = NULL;
    lf_status rc = find(m, POOLING "probe", &t, err);
    if (!rc && t->numel != m->hidden_size)
        rc = lf_fail(err, LF_ESHAPE, "%s: tensor '%s': expected %lld numbers, found %lld", t->path, t->name,
                     (long long)m->hidden_size, (long long)t->numel);
    if (!rc && !(rc = values_of(t, &values, err)) &&
        !(*out = alone(m, "zero_shot.probe", 3, (int64_t[]){1, 1, m->hidden_size}, values)))
        rc = lf_no_memory(err, "%s", t->name);
    lf_aligned_free(values);
    return rc;
}

static lf_status make_pooling(lf_model *m, lf_probe_pooling **out, lf_err *err) {
    const int64_t C = m->hidden_size;
    lf_probe_pooling *p = *out = lf_arena_alloc(m->nn.arena, sizeof *p);
    if (!p) return lf_no_memory(err, "%s", m->path);
    const layer layers[] = {
        {&p->q, POOLING "attention.in_proj_weight", POOLING "attention.in_proj_bias", C, C, 0, 3 * C},
        {&p->kv, POOLING "attention.in_proj_weight", POOLING "attention.in_proj_bias", 2 * C, C, C, 3 * C},
        {&p->o, POOLING "attention.out_proj.weight", POOLING "attention.out_proj.bias", C, C, 0, 0},
        {&p->fc1, POOLING "mlp.fc1.weight", POOLING "mlp.fc1.bias", 0, C, 0, 0},
        {&p->fc2, POOLING "mlp.fc2.weight", POOLING "mlp.fc2.bias", C, 0, 0, 0},
    };
    lf_status rc = make_probe(m, &p->probe, err);
    for (size_t i = 0; !rc && i < sizeof layers / sizeof *layers; i++) rc = make_layer(m, &layers[i], LF_NO_HEAD, err);
    if (!rc) rc = make_norm(m, &p->norm, err);
    if (!rc && p->fc2->in != p->fc1->out)
        rc = lf_fail(err, LF_ESHAPE, "%s: the MLP of '" POOLING "' does not fit together", m->path);
    return rc;
}

/* *width: of the space in which both are compared. */
static lf_status make_comparing(lf_model *m, struct lf_comparing **out, bool *biased, int64_t *width, lf_err *err) {
    struct lf_comparing *c = *out = lf_arena_alloc(m->nn.arena, sizeof *c);
    if (!c) return lf_no_memory(err, "%s", m->path);
    *biased = lf_safetensors_find(m->weights, "logit_bias"); /* SigLIP's */
    lf_status rc;
    if (*biased) {
        rc = make_pooling(m, &c->pooling, err);
        *width = m->hidden_size;
    } else {
        const layer l = {&c->projection, "visual_projection.weight", NULL, 0, m->hidden_size, 0, 0};
        rc = make_layer(m, &l, LF_CLASS_HEAD, err);
        *width = rc ? 0 : c->projection->out;
    }
    if (rc) return rc;
    float *unit = lf_aligned_alloc((size_t)*width * sizeof *unit);
    for (int64_t i = 0; unit && i < *width; i++) unit[i] = (float)(1 / sqrt((double)*width));
    c->unit = unit ? alone(m, "zero_shot.unit", 1, width, unit) : NULL;
    lf_aligned_free(unit);
    return c->unit ? LF_OK : lf_no_memory(err, "%s", m->path);
}

/* ---- the file of embeddings ---- */

static lf_status read_names(lf_model *m, const lf_safetensors *st, int64_t n, const char ***out, lf_err *err) {
    const char *text = lf_safetensors_metadata(st, "classes"), *path = lf_safetensors_path(st);
    cJSON *list = NULL;
    const cJSON *v;
    lf_status rc = LF_OK;
    int64_t k = 0;
    if (!text || lf_json_parse(&list, text, strlen(text), path, err) || !cJSON_IsArray(list) ||
        cJSON_GetArraySize(list) != n)
        rc =
            lf_fail(err, LF_EDATA,
                    "%s: metadata 'classes': expected a list in JSON of the names of %lld classes, one for each row of "
                    "'class_embeddings'",
                    path, (long long)n);
    *out = rc ? NULL : lf_arena_alloc(m->nn.arena, (size_t)n * sizeof **out);
    if (!rc && !*out) rc = lf_no_memory(err, "%s", path);
    cJSON_ArrayForEach(v, list) {
        if (rc) break;
        if (!cJSON_IsString(v) || !*v->valuestring)
            rc = lf_fail(err, LF_EDATA, "%s: metadata 'classes': expected the names of classes", path);
        else if (!((*out)[k++] = lf_arena_strdup(m->nn.arena, v->valuestring)))
            rc = lf_no_memory(err, "%s", path);
    }
    cJSON_Delete(list);
    return rc;
}

/* Rows of length `scale`. */
static lf_status scale_rows(float *E, int64_t n, int64_t D, double scale, const char *path, lf_err *err) {
    for (int64_t i = 0; i < n; i++) {
        double squares = 0;
        for (int64_t j = 0; j < D; j++) squares += (double)E[i * D + j] * (double)E[i * D + j];
        if (!(squares > 0) || !isfinite(squares))
            return lf_fail(err, LF_EDATA, "%s: the embedding of class %lld has no direction", path, (long long)i);
        for (int64_t j = 0; j < D; j++) E[i * D + j] = (float)(scale * (double)E[i * D + j] / sqrt(squares));
    }
    return LF_OK;
}

static lf_status read_embeddings(const lf_safetensors *st, int64_t D, const lf_st_tensor **out, lf_err *err) {
    const lf_st_tensor *t = *out = lf_safetensors_find(st, "class_embeddings");
    char found[64];
    if (t && t->ndim == 2 && t->shape[0] > 0 && t->shape[1] == D && lf_dtype_is_float(t->dtype)) return LF_OK;
    if (!t)
        return lf_fail(err, LF_EDATA, "%s: no tensor 'class_embeddings'; scripts/class-embeddings.py makes such a file",
                       lf_safetensors_path(st));
    return lf_fail(err, LF_ESHAPE,
                   "%s: tensor 'class_embeddings': expected floats of shape [classes, %lld], as this model has them, "
                   "found %s; is it of another model?",
                   lf_safetensors_path(st), (long long)D, lf_shape_str(found, sizeof found, t->ndim, t->shape));
}

/* The layer of all classes: rows of the texts' directions times the scale, and the bias. */
static lf_status make_head(lf_model *m, const lf_st_tensor *t, double scale, const double *bias, lf_err *err) {
    const int64_t n = t->shape[0], D = t->shape[1];
    float *E = NULL, *b = bias ? lf_aligned_alloc((size_t)n * sizeof *b) : NULL;
    lf_status rc = values_of(t, &E, err);
    if (!rc && bias && !b) rc = lf_no_memory(err, "%s", t->path);
    for (int64_t i = 0; !rc && bias && i < n; i++) b[i] = (float)*bias;
    if (!rc) rc = scale_rows(E, n, D, scale, t->path, err);
    if (!rc && !(m->base_head.module = lf_model_frozen_layer(m, "class_embeddings", LF_CLASS_HEAD, n, D, E, b)))
        rc = lf_no_memory(err, "%s", t->path);
    lf_aligned_free(b);
    lf_aligned_free(E);
    return rc;
}

static lf_status take(lf_model *m, const lf_safetensors *st, lf_err *err) {
    struct lf_comparing *c;
    const lf_st_tensor *t;
    const char **names;
    double scale = 0, bias = 0;
    bool biased = false;
    int64_t D = 0;
    lf_status rc;
    if ((rc = read_scalar(m, "logit_scale", &scale, err)) || (rc = make_comparing(m, &c, &biased, &D, err)) ||
        (biased && (rc = read_scalar(m, "logit_bias", &bias, err))) || (rc = read_embeddings(st, D, &t, err)) ||
        (rc = read_names(m, st, t->shape[0], &names, err)) ||
        (rc = make_head(m, t, exp(scale), biased ? &bias : NULL, err)))
        return rc;
    m->base_head.problem = LF_SINGLE_LABEL;
    m->base_head.n_labels = t->shape[0];
    m->base_head.labels = names;
    m->base_head.comparing = c;
    return LF_OK;
}

lf_status lf_model_compare_with(lf_model *m, const char *path, lf_err *err) {
    lf_safetensors *st = NULL;
    if (!m->family->compares)
        return lf_fail(err, LF_EUNSUPPORTED,
                       "key 'class_embeddings': a model of type '%s' (%s) is not trained to compare pictures with "
                       "texts; expected clip or siglip",
                       m->family->model_type, m->path);
    if (m->base_head.module)
        return lf_fail(err, LF_EDATA, "key 'class_embeddings': %s has a classifier of its own, which is judged",
                       m->path);
    lf_status rc = lf_safetensors_open(&st, path, err);
    if (!rc) rc = take(m, st, err);
    lf_safetensors_close(st);
    return rc;
}
