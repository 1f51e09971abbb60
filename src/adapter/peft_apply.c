/* Putting an opened adapter into a model: every tensor finds its module, every module that is meant finds its tensors.
 */
#include <string.h>

#include "adapter/peft_file.h"
#include "adapter/saved.h"
#include "adapter/targets.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

typedef struct applying {
    const lf_adapter_file *f;
    lf_nn *nn;
    lf_adapter *a;
    bool old_names; /* the file spells modules as transformers 4 did */
} applying;

/* ---- which module ---- */

static void put(const lf_nn *nn, lf_tensor *to, const lf_st_tensor *from, float *buffer) {
    lf_to_f32(buffer, from->data, from->dtype, from->numel);
    nn->k->from_f32(to->data, buffer, from->numel);
}

static lf_status check_carries(const applying *p, const lf_module *m, const lf_peft_entry *e, lf_err *err) {
    if (!lf_nn_may_carry(p->nn, m))
        return lf_fail(err, LF_EUNSUPPORTED, "%s: module '%s' is %s: it cannot carry an adapter", p->f->weights_path,
                       e->module,
                       m->head ? "a head that this model has no use for beside its adapter" : "no linear layer");
    if (e->of_embedding != (m->kind == LF_MODULE_EMBEDDING))
        return lf_fail(err, LF_EDATA,
                       "%s: module '%s': its tensors are named as those of %s, but in the base model it is %s; was the "
                       "adapter made for another model?",
                       p->f->weights_path, e->module, e->of_embedding ? "an embedding" : "a linear layer",
                       e->of_embedding ? "a linear layer" : "an embedding");
    return p->a->use_dora ? lf_lora_check_dora(m, p->f->config_path, err) : LF_OK;
}

static lf_status apply_entry(applying *p, lf_module *m, const lf_peft_entry *e, lf_err *err) {
    lf_match *match = &p->a->match;
    const double scaling = lf_lora_scaling(e->alpha, e->r, p->a->use_rslora);
    lf_status rc = check_carries(p, m, e, err);
    if (rc || (rc = lf_peft_check_fit(p->f, e, m, err)) ||
        (rc = lf_lora_attach(p->nn, m, e->r, scaling, p->a->lora_dropout, false,
                             lf_peft_holds_B(p->f) ? LF_FORM_HELD : LF_FORM_ZERO, err)))
        return rc;
    if (p->a->use_dora && (rc = lf_lora_add_magnitude(p->nn, m, false, err))) return rc;
    match->modules[match->count] = m;
    match->r[match->count] = e->r;
    match->alpha[match->count++] = e->alpha;
    const int64_t n = e->A->numel > e->B->numel ? e->A->numel : e->B->numel;
    float *buffer = lf_malloc((size_t)n * sizeof *buffer);
    if (!buffer) return lf_no_memory(err, "applying the adapter %s", p->f->dir);
    put(p->nn, &m->lora->A, e->A, buffer);
    put(p->nn, &m->lora->B, e->B, buffer);
    if (e->magnitude) put(p->nn, &m->lora->magnitude, e->magnitude, buffer);
    lf_free(buffer);
    return LF_OK;
}

static lf_status apply_all(applying *p, lf_err *err) {
    const lf_adapter_file *f = p->f;
    lf_lora_detach_all(p->nn);
    for (int64_t i = 0; i < f->n_entries; i++)
        if (!lf_nn_find(p->nn, f->entries[i].module))
            return lf_fail(err, LF_EDATA,
                           "%s: the base model has no module '%s'; was the adapter made for another model?",
                           f->weights_path, f->entries[i].module);
    for (int64_t i = 0; i < p->nn->n_modules; i++) {
        lf_module *m = p->nn->modules[i];
        const lf_peft_entry *e;
        lf_status rc = lf_peft_find(&e, f, m, err);
        if (!rc && !e) continue;
        if (rc || (rc = apply_entry(p, m, e, err))) return rc;
        p->old_names = strcmp(e->module, m->name) != 0;
    }
    return LF_OK;
}

/* ---- weights under adapters ---- */

/* The file's number as it would be had the base's been written so. */
static bool same_number(const lf_st_tensor *t, int64_t i, float base) {
    double rounded; /* large and aligned enough for every float type */
    float number, again;
    lf_to_f32(&number, (const char *)t->data + (size_t)i * lf_dtype_size(t->dtype), t->dtype, 1);
    lf_from_f32(&rounded, t->dtype, &base, 1);
    lf_to_f32(&again, &rounded, t->dtype, 1);
    return number == again;
}

/* PEFT puts them into the base. Where they are the base's own, there is nothing to do. */
static lf_status check_copy(const applying *p, const lf_peft_copy *c, lf_err *err) {
    const lf_module *m = lf_nn_find(p->nn, c->module);
    const bool turned = m && m->lora && (m->kind == LF_MODULE_EMBEDDING || m->weight->transposed);
    bool same =
        m && m->lora && c->t->shape[0] == (turned ? m->in : m->out) && c->t->shape[1] == (turned ? m->out : m->in);
    float *W = same ? lf_aligned_alloc((size_t)c->t->numel * sizeof *W) : NULL;
    if (same && !W) return lf_no_memory(err, "the weight of %s", m->name);
    const lf_status rc = same ? lf_nn_weight(p->nn, m, W, err) : LF_OK;
    for (int64_t i = 0; !rc && same && i < c->t->numel; i++) {
        const int64_t columns = c->t->shape[1];
        same = same_number(c->t, i, W[turned ? i % columns * m->in + i / columns : i]);
    }
    lf_aligned_free(W);
    if (rc || same) return rc;
    return lf_fail(
        err, LF_EUNSUPPORTED,
        "%s: tensor '%s' is not the base model's weight: it was trained under the adapter, or its vocabulary was "
        "resized, which is not supported; try the model that PEFT's merge_and_unload makes of both",
        p->f->weights_path, c->t->name);
}

static lf_status check_copies(const applying *p, lf_err *err) {
    lf_status rc = LF_OK;
    for (int64_t i = 0; !rc && i < p->f->n_copies; i++) rc = check_copy(p, &p->f->copies[i], err);
    return rc;
}

/* ---- do target_modules and tensors say the same ---- */

static lf_status check_module(const applying *p, const lf_targets *t, const lf_module *m, bool *hits, lf_err *err) {
    const char *name = p->old_names ? m->alias : m->name;
    bool excluded, hit = false;
    memset(hits, 0, (size_t)lf_targets_count(t) * sizeof *hits);
    const lf_status rc = lf_targets_look(t, name, hits, &excluded, err);
    if (rc) return rc;
    for (int64_t k = 0; k < lf_targets_count(t); k++) hit |= hits[k];
    hit =
        hit && !(p->f->head && strcmp(p->f->head, name) == 0) && !lf_saves_instead(p->f->config.modules_to_save, name);
    hit = hit && m->head != LF_MASKED_HEAD;
    if (hit && lf_targets_all_linear(t)) hit = m->kind == LF_MODULE_LINEAR && !m->head;
    if (hit && !m->lora)
        return lf_fail(err, LF_EDATA,
                       "%s: tensor '" LF_PEFT_PREFIX
                       "%s.lora_A.weight' is missing, but target_modules in " LF_PEFT_CONFIG
                       " names this module; is the file complete?",
                       p->f->weights_path, name);
    const bool tied = p->f->config.ensure_weight_tying && m->head == LF_TOKEN_HEAD;
    if (!hit && m->lora && !tied && !(m->head && lf_targets_all_linear(t)))
        return lf_fail(err, LF_EDATA,
                       "%s: module '%s' has tensors, but target_modules in " LF_PEFT_CONFIG
                       " does not name it; are the two files of one adapter?",
                       p->f->weights_path, name);
    return LF_OK;
}

static lf_status check_targets(const applying *p, lf_err *err) {
    const lf_peft_config *c = &p->f->config;
    if (p->f->head_only || !c->target_modules) return LF_OK;
    lf_targets *t = NULL;
    bool *hits = NULL;
    char *source = lf_format("%s: ", p->f->config_path);
    const lf_target_rules rules = {c->target_modules, c->exclude_modules, c->layers_to_transform, c->layers_pattern,
                                   source};
    lf_status rc = source ? lf_targets_new(&t, &rules, err) : lf_no_memory(err, "applying the adapter %s", p->f->dir);
    if (rc) goto out;
    hits = lf_calloc((size_t)lf_targets_count(t), sizeof *hits);
    if (!hits) rc = lf_no_memory(err, "applying the adapter %s", p->f->dir);
    for (int64_t i = 0; !rc && i < p->nn->n_modules; i++) rc = check_module(p, t, p->nn->modules[i], hits, err);
out:
    if (rc == LF_EUSAGE) { /* a pattern that is wrong in a file is bad data */
        rc = LF_EDATA;
        if (err) err->status = rc;
    }
    lf_free(hits);
    lf_targets_free(t);
    lf_free(source);
    return rc;
}

/* ---- the head ---- */

static lf_status has_no_place(const lf_adapter_file *f, const char *name, const char *model, lf_err *err) {
    return lf_fail(err, LF_EUNSUPPORTED,
                   "%s: module '%s' is saved whole (modules_to_save), but there is no such module in %s; try the model "
                   "that the adapter was trained on",
                   f->weights_path, name, model);
}

static bool same_shape(const lf_st_tensor *t, const lf_param *p) {
    if (!t || !p) return !t && !p;
    bool same = t->ndim == p->tensor.ndim;
    for (int i = 0; same && i < t->ndim; i++) same = t->shape[i] == p->tensor.shape[i];
    return same;
}

/* A module, or what holds parameters without one (a class token). */
static bool is_in_model(const lf_nn *nn, const char *module) {
    const size_t n = strlen(module);
    bool is = lf_nn_find(nn, module);
    for (int64_t i = 0; !is && i < nn->n_params; i++) {
        const char *const names[] = {nn->params[i]->name, nn->params[i]->file_name};
        for (int k = 0; k < 2; k++) is = is || (strncmp(names[k], module, n) == 0 && names[k][n] == '.');
    }
    return is;
}

static lf_status check_modules(const lf_adapter_file *f, const lf_nn *nn, const char *model, lf_err *err) {
    for (int64_t i = 0; i < f->n_wholes; i++)
        if (f->wholes[i].saved && !is_in_model(nn, f->wholes[i].module))
            return has_no_place(f, f->wholes[i].module, model, err);
    return LF_OK;
}

/* A layer before the head that the file holds. */
static bool is_inner(const lf_adapter_file *f, const lf_module *m) {
    return m->feeds_head && lf_adapter_file_holds(f, m);
}

static lf_status check_inner(const lf_adapter_file *f, const lf_nn *nn, const char *model, lf_err *err) {
    for (int64_t i = 0; i < nn->n_modules; i++) {
        const lf_module *m = nn->modules[i];
        if (is_inner(f, m) && !(lf_peft_saved(f, m, "weight") && same_shape(lf_peft_saved(f, m, "weight"), m->weight) &&
                                same_shape(lf_peft_saved(f, m, "bias"), m->bias)))
            return lf_fail(err, LF_ESHAPE,
                           "%s: the tensors of '%s' are not all there, or not of the size that %s has; was the adapter "
                           "made for another model?",
                           f->weights_path, m->name, model);
    }
    return LF_OK;
}

lf_status lf_adapter_check_head(const lf_adapter_file *f, const lf_nn *nn, const lf_module *head, const char *model,
                                lf_err *err) {
    const lf_st_tensor *t = f->head_weight;
    if (f->head && (!head || (strcmp(f->head, head->name) && strcmp(f->head, head->alias))))
        return has_no_place(f, f->head, model, err);
    lf_status rc = check_modules(f, nn, model, err);
    if (rc || !f->head || (rc = check_inner(f, nn, model, err)) ||
        (t->shape[1] == head->in && !f->head_bias == !head->bias))
        return rc;
    char found[64];
    return lf_fail(err, LF_ESHAPE,
                   "%s: tensor '%s': expected [.., %lld]%s for the head of %s, found %s%s; was the adapter made for "
                   "another model?",
                   f->weights_path, t->name, (long long)head->in, head->bias ? " with a bias" : " without a bias",
                   model, lf_shape_str(found, sizeof found, 2, t->shape), f->head_bias ? " with one" : " without");
}

static lf_status put_module(const lf_adapter_file *f, const lf_nn *nn, lf_module *m, const lf_st_tensor *weight,
                            const lf_st_tensor *bias, lf_err *err) {
    const int64_t n = bias && bias->numel > weight->numel ? bias->numel : weight->numel;
    float *buffer = lf_malloc((size_t)n * sizeof *buffer);
    if (!buffer) return lf_no_memory(err, "applying the adapter %s", f->dir);
    put(nn, &m->weight->tensor, weight, buffer);
    if (m->bias) put(nn, &m->bias->tensor, bias, buffer);
    lf_free(buffer);
    return LF_OK;
}

/* Whoever made the head has made these too: they hold their numbers. */
static lf_status apply_inner(const lf_adapter_file *f, const lf_nn *nn, lf_err *err) {
    lf_status rc = LF_OK;
    for (int64_t i = 0; !rc && i < nn->n_modules; i++) {
        lf_module *m = nn->modules[i];
        if (!is_inner(f, m) || m->head != LF_CLASS_HEAD) continue;
        rc = put_module(f, nn, m, lf_peft_saved(f, m, "weight"), lf_peft_saved(f, m, "bias"), err);
    }
    return rc;
}

lf_status lf_adapter_apply_head(const lf_adapter_file *f, const lf_nn *nn, lf_module *head, lf_err *err) {
    const lf_status rc = lf_adapter_check_head(f, nn, head, "this model", err);
    if (rc || !f->head) return rc;
    if (f->head_weight->shape[0] != head->out) {
        char found[64];
        return lf_fail(err, LF_ESHAPE,
                       "%s: tensor '%s': expected [%lld, %lld] for this model's head, found %s; was the adapter made "
                       "for another model?",
                       f->weights_path, f->head_weight->name, (long long)head->out, (long long)head->in,
                       lf_shape_str(found, sizeof found, 2, f->head_weight->shape));
    }
    const lf_status put_head = put_module(f, nn, head, f->head_weight, f->head_bias, err);
    return put_head ? put_head : apply_inner(f, nn, err);
}

static lf_status make_room(applying *p, lf_err *err) {
    const lf_peft_config *c = &p->f->config;
    const size_t n = (size_t)p->f->n_entries;
    lf_adapter *a = p->a = lf_calloc(1, sizeof *a);
    if (!a) return lf_no_memory(err, "applying the adapter %s", p->f->dir);
    *a = (lf_adapter){.nn = p->nn,
                      .r = c->r,
                      .scale = 1,
                      .lora_alpha = c->lora_alpha,
                      .lora_dropout = c->lora_dropout,
                      .use_rslora = c->use_rslora,
                      .use_dora = c->use_dora,
                      .bias = p->f->head_only ? LF_BIAS_NONE : c->bias};
    a->match.modules = lf_calloc(n, sizeof *a->match.modules);
    a->match.r = lf_calloc(n, sizeof *a->match.r);
    a->match.alpha = lf_calloc(n, sizeof *a->match.alpha);
    a->match.coverage = lf_format("  %lld modules with adapters, from %s", (long long)n, p->f->dir);
    if (!a->match.modules || !a->match.r || !a->match.alpha || !a->match.coverage)
        return lf_no_memory(err, "applying the adapter %s", p->f->dir);
    return lf_adapter_keep_lists(a, c->rank_pattern, c->alpha_pattern, c->modules_to_save, err);
}

lf_status lf_adapter_apply(lf_adapter **out, const lf_adapter_file *f, lf_nn *nn, lf_module *head,
                           const char *base_hash, lf_err *err) {
    applying p = {.f = f, .nn = nn};
    *out = NULL;
    lf_status rc = make_room(&p, err);
    if (rc || (rc = lf_beside_list_vocabulary(p.a, f, err)) || (rc = apply_all(&p, err)) ||
        (rc = check_targets(&p, err)) || (rc = check_copies(&p, err)) || (rc = lf_beside_put(p.a, f, false, err)) ||
        (rc = lf_adapter_apply_head(f, nn, head, err)))
        goto out;
    lf_adapter_compare_base(f, base_hash);
    *out = p.a;
    p.a = NULL;
out:
    if (rc) lf_lora_detach_all(nn);
    lf_adapter_free(p.a);
    return rc;
}
