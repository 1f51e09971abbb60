/* Several adapters that were trained one after the other, each on what those before it had made of the base, as one on
 * the base itself: the factors stand behind one another, so the update is the sum of theirs, exactly. A scaling other
 * than 1 goes into B. */
#include <string.h>

#include "adapter/peft_file.h"
#include "base/json.h"
#include "base/mem.h"

typedef struct summing {
    const lf_adapter_file *const *f;
    int64_t n;
    lf_nn *nn;
    lf_adapter *a;
} summing;

/* What has no sum. */
static lf_status check_file(const lf_adapter_file *f, const lf_adapter_file *last, lf_err *err) {
    bool same = false;
    if (f->head_only || f->config.use_dora)
        return lf_fail(err, LF_EUNSUPPORTED, "%s: %s, so it is not added to others: only plain adapters are", f->dir,
                       f->head_only ? "it is a head alone" : "it has magnitudes (DoRA)");
    if (!lf_json_same(&same, f->config.modules_to_save, last->config.modules_to_save))
        return lf_no_memory(err, "adding adapters");
    if (same && strcmp(f->config.bias, last->config.bias) == 0) return LF_OK;
    return lf_fail(err, LF_EUNSUPPORTED,
                   "%s and %s save other modules whole (modules_to_save, bias), so they are not added", f->dir,
                   last->dir);
}

static lf_status check_modules(const summing *s, const lf_adapter_file *f, lf_err *err) {
    for (int64_t i = 0; i < f->n_entries; i++)
        if (!lf_nn_find(s->nn, f->entries[i].module))
            return lf_fail(err, LF_EDATA,
                           "%s: the base model has no module '%s'; was the adapter made for another model?",
                           f->weights_path, f->entries[i].module);
    return LF_OK;
}

/* Rows first .. first + r - 1 of A, and the same columns of B. */
static lf_status put_behind(const lf_module *m, const lf_peft_entry *e, double scaling, int64_t first, lf_err *err) {
    float *A = m->lora->A.data, *B = m->lora->B.data;
    const int64_t r = e->r, R = m->lora->r;
    float *own = lf_malloc((size_t)e->B->numel * sizeof *own);
    if (!own) return lf_no_memory(err, "adding adapters on %s", m->name);
    lf_to_f32(A + first * m->in, e->A->data, e->A->dtype, e->A->numel);
    lf_to_f32(own, e->B->data, e->B->dtype, e->B->numel);
    for (int64_t o = 0; o < m->out; o++)
        for (int64_t k = 0; k < r; k++) B[o * R + first + k] = (float)(scaling * (double)own[o * r + k]);
    lf_free(own);
    return LF_OK;
}

static lf_status rank_of(int64_t *R, const summing *s, const lf_module *m, lf_err *err) {
    const lf_peft_entry *e;
    lf_status rc = LF_OK;
    *R = 0;
    for (int64_t i = 0; i < s->n && !rc; i++) {
        if ((rc = lf_peft_find(&e, s->f[i], m, err)) || !e) continue;
        rc = lf_peft_check_fit(s->f[i], e, m, err);
        *R += e->r;
    }
    return rc;
}

static lf_status add_module(summing *s, lf_module *m, int64_t R, lf_err *err) {
    lf_match *match = &s->a->match;
    int64_t first = 0;
    lf_status rc = lf_lora_attach(s->nn, m, R, 1, s->a->lora_dropout, false, LF_FORM_ZERO, err);
    for (int64_t i = 0; i < s->n && !rc; i++) {
        const lf_peft_entry *e;
        const lf_adapter_file *f = s->f[i];
        if ((rc = lf_peft_find(&e, f, m, err)) || !e) continue;
        rc = put_behind(m, e, lf_lora_scaling(e->alpha, e->r, f->config.use_rslora), first, err);
        first += e->r;
    }
    match->modules[match->count] = m;
    match->r[match->count] = R;
    match->alpha[match->count++] = (double)R;
    return rc;
}

static lf_status add_all(summing *s, lf_err *err) {
    lf_status rc = LF_OK;
    lf_lora_detach_all(s->nn);
    for (int64_t i = 0; i < s->n && !rc; i++) rc = check_modules(s, s->f[i], err);
    for (int64_t i = 0; i < s->nn->n_modules && !rc; i++) {
        int64_t R;
        rc = rank_of(&R, s, s->nn->modules[i], err);
        if (!rc && R) rc = add_module(s, s->nn->modules[i], R, err);
    }
    if (rc || !s->a->match.count) return rc;
    s->a->r = s->a->match.r[0];
    s->a->lora_alpha = s->a->match.alpha[0];
    return LF_OK;
}

static lf_status make_room(summing *s, lf_err *err) {
    const lf_peft_config *c = &s->f[s->n - 1]->config;
    const size_t n = (size_t)s->nn->n_modules;
    lf_adapter *a = s->a = lf_calloc(1, sizeof *a);
    if (!a) return lf_no_memory(err, "adding adapters");
    *a = (lf_adapter){.nn = s->nn, .scale = 1, .lora_dropout = c->lora_dropout, .bias = c->bias};
    a->match.modules = lf_calloc(n, sizeof *a->match.modules);
    a->match.r = lf_calloc(n, sizeof *a->match.r);
    a->match.alpha = lf_calloc(n, sizeof *a->match.alpha);
    if (!a->match.modules || !a->match.r || !a->match.alpha) return lf_no_memory(err, "adding adapters");
    return lf_adapter_keep_lists(a, NULL, NULL, c->modules_to_save, err);
}

lf_status lf_adapter_apply_sum(lf_adapter **out, const lf_adapter_file *const *f, int64_t n, lf_nn *nn, lf_module *head,
                               lf_err *err) {
    summing s = {.f = f, .n = n, .nn = nn};
    const lf_adapter_file *last = f[n - 1];
    lf_status rc = LF_OK;
    *out = NULL;
    for (int64_t i = 0; i < n && !rc; i++) rc = check_file(f[i], last, err);
    if (!rc && !(rc = make_room(&s, err)) && !(rc = add_all(&s, err)) && !(rc = lf_beside_put(s.a, last, false, err)) &&
        !(rc = lf_adapter_apply_head(last, nn, head, err))) {
        *out = s.a;
        s.a = NULL;
    }
    if (rc) lf_lora_detach_all(nn);
    lf_adapter_free(s.a);
    return rc;
}
