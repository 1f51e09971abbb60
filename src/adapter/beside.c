/* What is trained and saved beside the factors of an adapter, in PEFT's names: biases (the key `bias`). */
#include <string.h>

#include "adapter/peft_file.h"
#include "base/log.h"
#include "base/mem.h"

/* ---- which ---- */

const char *lf_bias_named(const char *name) {
    static const char *const names[] = {LF_BIAS_NONE, LF_BIAS_ALL, LF_BIAS_LORA};
    for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i], name)) return names[i];
    return name ? NULL : LF_BIAS_NONE;
}

static bool is_bias(const lf_nn *nn, const lf_param *p, const lf_module **holder) {
    for (int64_t i = 0; i < nn->n_modules; i++) {
        *holder = nn->modules[i];
        if ((*holder)->bias == p) return true;
    }
    return false;
}

/* "all": of every module but heads, which are trained and saved whole or (of masked tokens) not there when a model is
 * trained for classes; "lora_only": of those that carry an adapter. */
static bool is_chosen(const lf_nn *nn, const lf_param *p, const char *bias) {
    const lf_module *m;
    if (!strcmp(bias, LF_BIAS_NONE) || !is_bias(nn, p, &m)) return false;
    return strcmp(bias, LF_BIAS_ALL) ? m->lora != NULL : m->head == LF_NO_HEAD;
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

static lf_status not_there(const lf_adapter_file *f, const lf_param *p, lf_err *err) {
    return lf_fail(err, LF_EDATA,
                   "%s: tensor '" LF_PEFT_PREFIX "%s' is missing, but key 'bias' in " LF_PEFT_CONFIG
                   " says that it was trained; is the file complete? (Older versions of PEFT left biases out.)",
                   f->weights_path, p->name);
}

static lf_status check_size(const lf_adapter_file *f, const lf_peft_whole *w, const lf_param *p, lf_err *err) {
    char want[64], found[64];
    bool same = w->t->ndim == p->tensor.ndim;
    for (int i = 0; same && i < p->tensor.ndim; i++) same = w->t->shape[i] == p->tensor.shape[i];
    if (same) return LF_OK;
    return lf_fail(
        err, LF_ESHAPE,
        "%s: tensor '%s': expected %s for this base model, found %s; was the adapter made for another model?",
        f->weights_path, w->t->name, lf_shape_str(want, sizeof want, p->tensor.ndim, p->tensor.shape),
        lf_shape_str(found, sizeof found, w->t->ndim, w->t->shape));
}

/* Every tensor of the file that is no factor finds its place. */
static lf_status check_all_have_a_place(const lf_adapter_file *f, const lf_nn *nn, const char *bias, lf_err *err) {
    for (int64_t i = 0; i < f->n_wholes; i++) {
        bool placed = false;
        for (int64_t k = 0; !placed && k < nn->n_params; k++)
            placed = is_of(&f->wholes[i], nn->params[k]) && is_chosen(nn, nn->params[k], bias);
        if (!placed)
            return lf_fail(err, LF_EDATA,
                           "%s: tensor '%s': the base model has no such bias, or key 'bias' (\"%s\") in " LF_PEFT_CONFIG
                           " does not mean it; was the adapter made for another model?",
                           f->weights_path, f->wholes[i].t->name, bias);
    }
    return LF_OK;
}

/* ---- all of them ---- */

static lf_status put(lf_nn *nn, lf_param *p, const lf_adapter_file *f, bool trained, lf_err *err) {
    const lf_peft_whole *w = find(f, p);
    lf_status rc;
    if (!f) return lf_nn_put_beside(nn, p, NULL, trained, err);
    if (!w) return not_there(f, p, err);
    if ((rc = check_size(f, w, p, err))) return rc;
    float *values = lf_malloc((size_t)w->t->numel * sizeof *values);
    if (!values) return lf_no_memory(err, "%s", p->name);
    lf_to_f32(values, w->t->data, w->t->dtype, w->t->numel);
    rc = lf_nn_put_beside(nn, p, values, trained, err);
    lf_free(values);
    return rc;
}

lf_status lf_beside_put(const lf_adapter *a, const lf_adapter_file *f, bool trained, lf_err *err) {
    int64_t n = 0;
    lf_status rc = f ? check_all_have_a_place(f, a->nn, a->bias, err) : LF_OK;
    for (int64_t i = 0; !rc && i < a->nn->n_params; i++) {
        lf_param *p = a->nn->params[i];
        if (!is_chosen(a->nn, p, a->bias)) continue;
        rc = put(a->nn, p, f, trained, err);
        n++;
    }
    if (!rc && trained && strcmp(a->bias, LF_BIAS_NONE))
        lf_info("bias %s: %lld biases are trained beside the adapter", a->bias, (long long)n);
    return rc;
}
