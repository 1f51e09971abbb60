/* Heads: the file's own stays as the frozen base head; the one in use may be a new one, or a trained copy. */
#include <string.h>

#include "base/mem.h"
#include "model/model.h"

lf_status lf_model_need_head(const lf_model *m, const char *what, lf_err *err) {
    if (!m->head.module)
        return lf_fail(err, LF_EUNSUPPORTED, "%s: a model of type '%s' has no classification head, but %s needs one",
                       m->path, m->family->model_type, what);
    if (m->base_head.module || m->head.module->weight->tensor.data) return LF_OK;
    return lf_fail(err, LF_EDATA,
                   "%s: the model has no classification head ('%s' is not in its file), but %s needs one", m->path,
                   m->head.module->weight->file_name, what);
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

static lf_status make_trained_head(lf_model *m, int64_t num_labels, lf_err *err) {
    lf_nn *nn = &m->nn;
    const lf_module *old = m->head.module;
    lf_module *head = lf_nn_module(nn, LF_MODULE_LINEAR, num_labels, old->in, old->name, old->alias);
    if (!head) return lf_no_memory(err, "a head of %lld labels", (long long)num_labels);
    head->head = LF_CLASS_HEAD;
    head->weight = lf_nn_param(nn, old->name, old->alias, "weight", 2, (int64_t[]){num_labels, old->in}, true);
    if (old->bias) head->bias = lf_nn_param(nn, old->name, old->alias, "bias", 1, (int64_t[]){num_labels}, false);
    if (!head->weight || (old->bias && !head->bias))
        return lf_no_memory(err, "a head of %lld labels", (long long)num_labels);
    lf_status rc;
    if ((rc = lf_nn_hold(nn, head->weight, err)) || (rc = lf_nn_train(nn, head->weight, err)) ||
        (head->bias && ((rc = lf_nn_hold(nn, head->bias, err)) || (rc = lf_nn_train(nn, head->bias, err)))))
        return rc;
    take_places(nn, old, head);
    m->head.module = head;
    return LF_OK;
}

static lf_status fill(lf_model *m, lf_param *p, lf_rng_key key, lf_err *err) {
    float *buffer = lf_aligned_alloc((size_t)p->tensor.numel * sizeof *buffer);
    if (!buffer) return lf_no_memory(err, "%s", p->name);
    m->family->init_param(m, p, key, buffer);
    m->nn.k->from_f32(p->tensor.data, buffer, p->tensor.numel);
    lf_aligned_free(buffer);
    return LF_OK;
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
    if ((rc = make_trained_head(m, num_labels, err)) ||
        (rc = fill(m, m->head.module->weight, lf_rng_make(seed, LF_RNG_HEAD_INIT, 0), err)) ||
        (m->head.module->bias && (rc = fill(m, m->head.module->bias, lf_rng_make(seed, LF_RNG_HEAD_INIT, 1), err))))
        return rc;
    m->head.n_labels = num_labels;
    m->head.labels = names;
    return LF_OK;
}

lf_status lf_model_train_head(lf_model *m, lf_err *err) {
    lf_status rc = lf_model_need_head(m, "reuse_head", err);
    const lf_module *old = m->head.module;
    if (rc || (old->weight->tensor.grad) || (rc = make_trained_head(m, old->out, err))) return rc;
    float *W = lf_aligned_alloc((size_t)(old->out * old->in) * sizeof *W);
    if (!W) return lf_no_memory(err, "%s", old->name);
    rc = lf_nn_weight(&m->nn, old, W, err);
    if (!rc) m->nn.k->from_f32(m->head.module->weight->tensor.data, W, old->out * old->in);
    if (old->bias)
        memcpy(m->head.module->bias->tensor.data, old->bias->tensor.data,
               (size_t)old->out * lf_dtype_size(m->nn.k->dtype));
    lf_aligned_free(W);
    return rc;
}
