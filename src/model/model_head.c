/* Heads: the file's own stays as the frozen base head; the one in use may be a new one, or a trained copy. */
#include <string.h>

#include "base/mem.h"
#include "model/family.h"

lf_status lf_model_need_head(const lf_model *m, const char *what, lf_err *err) {
    if (!m->head.module)
        return lf_fail(err, LF_EUNSUPPORTED, "%s: a model of type '%s' has no classification head, but %s needs one",
                       m->path, m->family->model_type, what);
    if (m->base_head.module || m->head.module->weight->tensor.data) return LF_OK;
    return lf_fail(err, LF_EDATA,
                   "%s: the model has no classification head ('%s' is not in its file), but %s needs one", m->path,
                   m->head.module->weight->file_name, what);
}

lf_status lf_model_add_classifier(lf_model *m, lf_err *err) {
    if (m->head.module) return LF_OK;
    if (!m->family->hidden)
        return lf_fail(err, LF_EUNSUPPORTED, "%s: a model of type '%s' cannot classify", m->path,
                       m->family->model_type);
    return lf_family_classifier(m, m->hidden_size, false, LF_CAUSAL_CLASSIFIER)
               ? LF_OK
               : lf_no_memory(err, "a head of %s", m->path);
}

/* The table holds the head in use: the new module and its parameters take the old ones' places. */
static void take_places(lf_nn *nn, const lf_module *old, lf_module *new_head) {
    nn->n_modules--; /* they were appended */
    nn->n_params -= new_head->bias ? 2 : 1;
    for (int64_t i = 0; i < nn->n_modules; i++)
        if (nn->modules[i] == old) nn->modules[i] = new_head;
    for (int64_t i = 0; i < nn->n_params; i++) {
        if (nn->params[i] == old->weight) nn->params[i] = new_head->weight;
        if (nn->params[i] == old->bias) nn->params[i] = new_head->bias;
    }
}

/* A trained parameter like `old`, with `rows` rows. NULL: out of memory, or there is no old one. */
static lf_param *trained_like(lf_nn *nn, const lf_module *module, const lf_param *old, const char *leaf, int64_t rows) {
    if (!old) return NULL;
    int64_t shape[LF_TENSOR_DIMS];
    memcpy(shape, old->tensor.shape, sizeof shape);
    shape[0] = rows;
    lf_param *p = lf_nn_param(nn, module->name, module->alias, leaf, old->tensor.ndim, shape, old->decays);
    return p && !lf_nn_hold(nn, p, NULL) && !lf_nn_train(nn, p, NULL) ? p : NULL;
}

/* Puts a trained module into the place of `*place`, of `rows` outputs; its numbers are not set. */
static lf_status make_trained(lf_model *m, lf_module **place, int64_t rows, lf_err *err) {
    lf_nn *nn = &m->nn;
    const lf_module *old = *place;
    lf_module *made = lf_nn_module(nn, old->kind, rows, old->in, old->name, old->alias);
    if (!made) return lf_no_memory(err, "a trained %s", old->name);
    made->head = LF_CLASS_HEAD;
    made->feeds_head = old->feeds_head;
    made->weight = trained_like(nn, made, old->weight, "weight", rows);
    made->bias = trained_like(nn, made, old->bias, "bias", rows);
    if (!made->weight || (old->bias && !made->bias)) return lf_no_memory(err, "a trained %s", old->name);
    take_places(nn, old, made);
    *place = made;
    return LF_OK;
}

/* p's numbers: those of `from`, or (NULL) random ones by the key. */
static lf_status fill(lf_model *m, lf_param *p, const lf_param *from, lf_rng_key key, lf_err *err) {
    float *buffer = lf_aligned_alloc((size_t)p->tensor.numel * sizeof *buffer);
    if (!buffer) return lf_no_memory(err, "%s", p->name);
    lf_status rc = LF_OK;
    if (from)
        rc = lf_param_values(m, from, buffer, err);
    else
        m->family->init_param(m, p, key, buffer);
    if (!rc) m->nn.k->from_f32(p->tensor.data, buffer, p->tensor.numel);
    lf_aligned_free(buffer);
    return rc;
}

/* Weight and bias of the module that took the place of `old`: old's (`keep`), or random, numbers `first` and first + 1
 * of those that the seed gives. */
static lf_status fill_module(lf_model *m, const lf_module *made, const lf_module *old, bool keep, uint64_t seed,
                             uint64_t first, lf_err *err) {
    const lf_status rc =
        fill(m, made->weight, keep ? old->weight : NULL, lf_rng_make(seed, LF_RNG_HEAD_INIT, first), err);
    if (rc || !made->bias) return rc;
    return fill(m, made->bias, keep ? old->bias : NULL, lf_rng_make(seed, LF_RNG_HEAD_INIT, first + 1), err);
}

/* The inner layers that are trained with a head: its own, and those that the file lacks, which would else stay random
 * and be in no file. */
static lf_status train_inner(lf_model *m, uint64_t seed, lf_err *err) {
    lf_status rc = LF_OK;
    for (int i = 0; !rc && i < LF_HEAD_LAYERS; i++) {
        const lf_module *old = m->head.inner[i];
        if (!old) continue;
        const bool there = m->base_head.inner[i] || old->weight->tensor.data;
        if (old->weight->tensor.grad || (there && old->head != LF_CLASS_HEAD && !old->saved)) continue;
        if (!(rc = make_trained(m, &m->head.inner[i], old->out, err)))
            rc = fill_module(m, m->head.inner[i], old, there, seed, 2 + 2 * (uint64_t)i, err);
    }
    return rc;
}

lf_status lf_model_new_head(lf_model *m, int64_t num_labels, const char *const *class_names, uint64_t seed,
                            lf_err *err) {
    if (!m->head.module)
        return lf_fail(err, LF_EUNSUPPORTED, "%s: a model of type '%s' has no classification head to be replaced",
                       m->path, m->family->model_type);
    const char **names = lf_arena_alloc(m->nn.arena, (size_t)num_labels * sizeof *names);
    for (int64_t i = 0; names && i < num_labels; i++)
        if (!(names[i] = lf_arena_strdup(m->nn.arena, class_names[i]))) names = NULL;
    if (!names) return lf_no_memory(err, "%lld labels", (long long)num_labels);
    lf_status rc;
    if ((rc = make_trained(m, &m->head.module, num_labels, err)) ||
        (rc = fill_module(m, m->head.module, NULL, false, seed, 0, err)) || (rc = train_inner(m, seed, err)))
        return rc;
    m->head.n_labels = num_labels;
    m->head.labels = names;
    return LF_OK;
}

lf_status lf_model_train_head(lf_model *m, lf_err *err) {
    lf_status rc = lf_model_need_head(m, "reuse_head", err);
    const lf_module *old = m->head.module;
    if (!rc && (m->base_head.two_tokens || m->base_head.comparing))
        return lf_fail(
            err, LF_EUNSUPPORTED,
            "%s: its own head judges the base, and is none that transformers trains: it %s; leave reuse_head "
            "out, for a new one",
            m->path, m->base_head.comparing ? "compares with texts" : "is the average of two");
    if (rc || (old->weight->tensor.grad) || (rc = make_trained(m, &m->head.module, old->out, err)) ||
        (rc = fill_module(m, m->head.module, old, true, 0, 0, err)))
        return rc;
    return train_inner(m, 0, err);
}

static void keep_rows(lf_param *p, const lf_param *old) {
    if (p) memcpy(p->tensor.data, old->tensor.data, (size_t)old->tensor.numel * lf_dtype_size(old->tensor.dtype));
}

lf_status lf_model_grow_head(lf_model *m, int64_t n, const char *const *class_names, uint64_t seed, lf_err *err) {
    const lf_module *old = m->head.module;
    const int64_t had = m->head.n_labels;
    const char **names = lf_calloc((size_t)(had + n), sizeof *names);
    if (!names) return lf_no_memory(err, "%lld more labels", (long long)n);
    for (int64_t i = 0; i < had + n; i++) names[i] = i < had ? m->head.labels[i] : class_names[i - had];
    const lf_status rc = lf_model_new_head(m, had + n, names, seed, err); /* its inner layers are trained already */
    lf_free(names);
    if (rc) return rc;
    keep_rows(m->head.module->weight, old->weight);
    keep_rows(m->head.module->bias, old->bias);
    return LF_OK;
}
