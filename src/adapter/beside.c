/* What is trained and saved beside the factors of an adapter, in PEFT's names: biases (the key `bias`), and modules
 * whole (modules_to_save). */
#include <string.h>

#include "adapter/peft_file.h"
#include "adapter/saved.h"
#include "base/log.h"
#include "base/mem.h"

/* ---- which ---- */

const char *lf_bias_named(const char *name) {
    static const char *const names[] = {LF_BIAS_NONE, LF_BIAS_ALL, LF_BIAS_LORA};
    for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i], name)) return names[i];
    return name ? NULL : LF_BIAS_NONE;
}

/* "all": of every module but heads, which are trained and saved whole or (of masked tokens) not there when a model is
 * trained for classes; "lora_only": of those that carry an adapter. */
static bool is_chosen_bias(const lf_module *m, const lf_param *p, const char *bias) {
    if (!strcmp(bias, LF_BIAS_NONE) || !m || m->bias != p) return false;
    return strcmp(bias, LF_BIAS_ALL) ? m->lora != NULL : m->head == LF_NO_HEAD;
}

/* A classifier, with the layers that are trained with it, is saved without being named; PEFT's models that classify
 * have no masked-language-model head. */
static bool is_saved(const lf_adapter *a, const lf_module *m, const lf_param *p) {
    if (m && (m->head == LF_CLASS_HEAD || m->head == LF_MASKED_HEAD)) return false;
    return lf_saves_param(a->saves, p->name) || lf_saves_param(a->saves, p->file_name);
}

static bool is_chosen(const lf_adapter *a, const lf_param *p) {
    const lf_module *m = lf_nn_holder(a->nn, p);
    return is_saved(a, m, p) || is_chosen_bias(m, p, a->bias);
}

/* PEFT would save the adapter's layer with the factors in it. */
static lf_status not_both(const lf_module *m, lf_err *err) {
    return lf_fail(err, LF_EUSAGE,
                   "modules_to_save: a name in it ends '%s' too, which target_modules gives an adapter; write more of "
                   "the name, or leave the module out of the targets",
                   m->name);
}

/* A group with an own weight is multiplied part by part, and DoRA's norms come from the product of them all. */
static lf_status check_dora(const lf_module *m, lf_err *err) {
    for (int i = 0; m->group && i < m->group->n; i++) {
        const lf_module *other = m->group->parts[i];
        if (other->lora && other->lora->magnitude.data)
            return lf_fail(err, LF_EUNSUPPORTED,
                           "use_dora: '%s' is multiplied together with '%s', which modules_to_save trains whole; "
                           "exclude the one (exclude_modules), or save the other no longer",
                           other->name, m->name);
    }
    return LF_OK;
}

static lf_status check_can_be_saved(const lf_adapter *a, const lf_param *p, lf_err *err) {
    const lf_module *m = lf_nn_holder(a->nn, p);
    if (!is_saved(a, m, p)) return LF_OK;
    if (p->use == LF_PARAM_CONSTANT)
        return lf_fail(err, LF_EUNSUPPORTED,
                       "modules_to_save: '%s' has no gradient in this version; name other modules", p->name);
    if (m && m->lora) return not_both(m, err);
    return m && m->weight == p ? check_dora(m, err) : LF_OK;
}

/* ---- tied weights ---- */

static bool saves(const lf_adapter *a, const lf_module *m) {
    return lf_saves_module(a->saves, m->name) || lf_saves_module(a->saves, m->alias);
}

/* PEFT copies the modules that are named, so that of a tied weight one is trained, or both apart. */
static lf_status untie(const lf_adapter *a, bool say, lf_err *err) {
    lf_nn *nn = a->nn;
    lf_status rc = LF_OK;
    for (int64_t i = 0; !rc && i < nn->n_modules; i++) {
        lf_module *m = nn->modules[i];
        const lf_module *first = m->weight ? lf_nn_holder(nn, m->weight) : m;
        if (first == m || !(saves(a, m) || saves(a, first))) continue;
        rc = lf_nn_untie(nn, m, err);
        if (!rc && say && m->head != LF_MASKED_HEAD)
            lf_info("modules_to_save: '%s' and '%s' are one weight in the base (tie_word_embeddings) and two from here "
                    "on, as in PEFT; a merged model holds both",
                    first->name, m->name);
    }
    return rc;
}

/* ---- of a file ---- */

static bool is_of(const lf_peft_whole *w, const lf_param *p) {
    const char *const names[] = {p->name, p->file_name};
    const size_t n = strlen(w->module);
    for (int i = 0; i < 2; i++)
        if (!strncmp(names[i], w->module, n) && names[i][n] == '.' && !strcmp(names[i] + n + 1, w->leaf)) return true;
    return false;
}

static const lf_peft_whole *find(const lf_adapter_file *f, const lf_param *p) {
    for (int64_t i = 0; f && i < f->n_wholes; i++)
        if (is_of(&f->wholes[i], p)) return &f->wholes[i];
    return NULL;
}

const lf_param *lf_beside_param(const lf_adapter *a, const lf_adapter_file *f, const lf_st_tensor *t) {
    for (int64_t i = 0; i < f->n_wholes; i++)
        for (int64_t k = 0; k < a->nn->n_params && f->wholes[i].t == t; k++)
            if (is_of(&f->wholes[i], a->nn->params[k]) && lf_nn_is_beside(a->nn, a->nn->params[k]))
                return a->nn->params[k];
    return NULL;
}

static lf_status not_there(const lf_adapter_file *f, const lf_param *p, lf_err *err) {
    return lf_fail(
        err, LF_EDATA,
        "%s: tensor '" LF_PEFT_PREFIX "%s' is missing, but key '%s' in " LF_PEFT_CONFIG
        " says that it was trained; is the file complete?%s",
        f->weights_path, p->name, lf_saves_param(f->config.modules_to_save, p->name) ? "modules_to_save" : "bias",
        lf_saves_param(f->config.modules_to_save, p->name) ? "" : " (Older versions of PEFT left biases out.)");
}

/* A vocabulary may have grown. */
static lf_status check_size(const lf_adapter *a, const lf_adapter_file *f, const lf_peft_whole *w, const lf_param *p,
                            lf_err *err) {
    char want[64], found[64];
    int64_t shape[LF_TENSOR_DIMS];
    lf_param_file_shape(p, shape);
    bool same = w->t->ndim == p->tensor.ndim;
    for (int i = 0; same && i < p->tensor.ndim; i++)
        same = w->t->shape[i] == shape[i] || (i == 0 && w->t->shape[i] > shape[i] && lf_nn_is_vocabulary(a->nn, p));
    if (same) return LF_OK;
    return lf_fail(
        err, LF_ESHAPE,
        "%s: tensor '%s': expected %s for this base model, found %s; was the adapter made for another model?",
        f->weights_path, w->t->name, lf_shape_str(want, sizeof want, p->tensor.ndim, shape),
        lf_shape_str(found, sizeof found, w->t->ndim, w->t->shape));
}

/* The layers before a head have a place with it (lf_adapter_apply_head). */
static bool has_a_place(const lf_adapter *a, const lf_peft_whole *w) {
    const lf_module *m = lf_nn_find(a->nn, w->module);
    if (m && m->feeds_head && m->head == LF_CLASS_HEAD) return true;
    for (int64_t k = 0; k < a->nn->n_params; k++)
        if (is_of(w, a->nn->params[k]) && is_chosen(a, a->nn->params[k])) return true;
    return false;
}

/* Every tensor of the file that is no factor finds its place. */
static lf_status check_all_have_a_place(const lf_adapter *a, const lf_adapter_file *f, lf_err *err) {
    for (int64_t i = 0; i < f->n_wholes; i++)
        if (!has_a_place(a, &f->wholes[i]))
            return lf_fail(err, LF_EDATA,
                           "%s: tensor '%s': the base model has no such parameter, or keys 'bias' (\"%s\") and "
                           "'modules_to_save' in " LF_PEFT_CONFIG
                           " do not mean it; was the adapter made for another model?",
                           f->weights_path, f->wholes[i].t->name, a->bias);
    return LF_OK;
}

/* A file's numbers as the model computes with them. Of a vocabulary there may be more rows than the file has. */
static lf_status values_of(const lf_peft_whole *w, const lf_param *p, int64_t rows, float **out, lf_err *err) {
    const int64_t n = w->t->numel, C = w->t->ndim ? n / w->t->shape[0] : n;
    float *stored = *out = lf_malloc((size_t)(rows ? rows * C : n) * (p->transposed ? 2 : 1) * sizeof *stored);
    if (!stored) return lf_no_memory(err, "%s", p->name);
    if (p->transposed) stored += n;
    lf_to_f32(stored, w->t->data, w->t->dtype, n);
    if (p->transposed) lf_transpose(*out, stored, p->tensor.shape[1], p->tensor.shape[0]);
    for (int64_t i = 0; p->plus_one && i < n; i++) (*out)[i] += 1;
    return rows ? lf_nn_fill_rows(*out, w->t->shape[0], rows, C, err) : LF_OK;
}

/* ---- all of them ---- */

/* Rows of its own tensor; 0: as many as it has. */
static int64_t rows_of(const lf_adapter *a, const lf_peft_whole *w, const lf_param *p) {
    if (!lf_nn_is_vocabulary(a->nn, p)) return 0;
    return w && w->t->shape[0] > a->vocabulary ? w->t->shape[0] : a->vocabulary;
}

/* What nothing is made of stays as it is, but PEFT wants all of a saved module. */
static lf_status put(const lf_adapter *a, lf_param *p, const lf_adapter_file *f, bool wanted, lf_err *err) {
    const lf_peft_whole *w = find(f, p);
    const int64_t rows = rows_of(a, w, p);
    const bool trained = wanted && p->use != LF_PARAM_IDLE;
    float *values = NULL;
    lf_status rc;
    if (!f || (!w && rows)) return lf_nn_put_beside(a->nn, p, NULL, rows, trained, err);
    if (!w) return not_there(f, p, err);
    if ((rc = check_size(a, f, w, p, err)) || (rc = values_of(w, p, rows, &values, err))) {
        lf_free(values);
        return rc;
    }
    rc = lf_nn_put_beside(a->nn, p, values, rows, trained, err);
    lf_free(values);
    return rc;
}

/* ---- the vocabulary ---- */

/* Does this module say, or take, the tokens that the tuned model knows? Of a model that classifies the output layer is
 * not used. */
static bool has_vocabulary(const lf_nn *nn, const lf_module *m) {
    return m->of_tokens || (m->head == LF_TOKEN_HEAD && lf_nn_may_carry(nn, m));
}

static bool holds_weight(const lf_adapter_file *f, const lf_module *m) {
    for (int64_t i = 0; f && i < f->n_wholes; i++) {
        const lf_peft_whole *w = &f->wholes[i];
        if (!strcmp(w->leaf, "weight") && (!strcmp(w->module, m->name) || !strcmp(w->module, m->alias))) return true;
    }
    return false;
}

/* By the last part of its name, as users of PEFT write it. */
static bool list(lf_adapter *a, const lf_module *m) {
    const char *dot = strrchr(m->name, '.');
    if (saves(a, m)) return true;
    if (!a->saves && !(a->saves = cJSON_CreateArray())) return false;
    cJSON *name = cJSON_CreateString(dot ? dot + 1 : m->name);
    if (name && cJSON_AddItemToArray(a->saves, name)) return true;
    cJSON_Delete(name);
    return false;
}

lf_status lf_beside_list_vocabulary(lf_adapter *a, const lf_adapter_file *f, lf_err *err) {
    for (int64_t i = 0; i < a->nn->n_modules; i++) {
        const lf_module *m = a->nn->modules[i];
        if (has_vocabulary(a->nn, m) && (a->vocabulary || holds_weight(f, m)) && !list(a, m))
            return lf_no_memory(err, "modules_to_save");
    }
    return LF_OK;
}

int64_t lf_adapter_file_vocabulary(const lf_adapter_file *f, const lf_nn *nn) {
    for (int64_t i = 0; i < nn->n_modules; i++)
        for (int64_t k = 0; nn->modules[i]->of_tokens && k < f->n_wholes; k++)
            if (is_of(&f->wholes[k], nn->modules[i]->weight)) return f->wholes[k].t->shape[0];
    return 0;
}

/* All that take and say tokens know the same ones. */
static lf_status check_vocabulary(const lf_adapter *a, const lf_adapter_file *f, lf_err *err) {
    const lf_module *first = NULL;
    for (int64_t i = 0; i < a->nn->n_modules; i++) {
        const lf_module *m = a->nn->modules[i];
        if (!m->weight || !has_vocabulary(a->nn, m)) continue;
        if (!first) first = m;
        if (m->weight->tensor.shape[0] != first->weight->tensor.shape[0])
            return lf_fail(
                err, LF_EUNSUPPORTED,
                "%s: '%s' has %lld rows and '%s' %lld: the vocabulary was resized, and one of the two is not "
                "in the file; save both (modules_to_save, or save_embedding_layers of save_pretrained)",
                f ? f->weights_path : "added_tokens", first->name, (long long)first->weight->tensor.shape[0], m->name,
                (long long)m->weight->tensor.shape[0]);
    }
    return LF_OK;
}

/* As the Trainer of transformers does: all but biases and norms. */
static bool decays(const lf_module *m, const lf_param *p) { return !m || (m->bias != p && m->kind != LF_MODULE_NORM); }

static void say(const lf_adapter *a, int64_t n_biases, int64_t n_saved, int64_t numbers) {
    if (strcmp(a->bias, LF_BIAS_NONE))
        lf_info("bias %s: %lld biases are trained beside the adapter", a->bias, (long long)n_biases);
    if (n_saved)
        lf_info("modules_to_save: %lld parameters of %lld numbers are trained whole beside the adapter",
                (long long)n_saved, (long long)numbers);
}

lf_status lf_beside_put(const lf_adapter *a, const lf_adapter_file *f, bool trained, lf_err *err) {
    lf_nn *nn = a->nn;
    int64_t n_biases = 0, n_saved = 0, numbers = 0;
    lf_status rc = LF_OK;
    for (int64_t i = 0; !rc && i < nn->n_params; i++) rc = check_can_be_saved(a, nn->params[i], err);
    if (!rc) rc = untie(a, trained, err);
    if (!rc && f) rc = check_all_have_a_place(a, f, err);
    for (int64_t i = 0; !rc && i < nn->n_params; i++) {
        lf_param *p = nn->params[i];
        const lf_module *m = lf_nn_holder(nn, p);
        if (!is_chosen(a, p)) continue;
        if ((rc = put(a, p, f, trained, err)) || !is_saved(a, m, p)) {
            n_biases++;
            continue;
        }
        p->decays = decays(m, p);
        n_saved++;
        numbers += p->tensor.numel;
    }
    if (!rc) rc = check_vocabulary(a, f, err);
    if (!rc && trained) say(a, n_biases, n_saved, numbers);
    return rc;
}

bool lf_adapter_saves_modules(const lf_adapter *a) {
    bool any = false;
    for (int64_t i = 0; i < a->nn->n_params; i++) {
        const lf_param *p = a->nn->params[i];
        any = any || (lf_nn_is_beside(a->nn, p) && is_saved(a, lf_nn_holder(a->nn, p), p));
    }
    return any;
}
