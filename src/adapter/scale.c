/* An adapter at another size: W + scale dW, by lora_B, so that what is evaluated is what is written ("rewinding",
 * arXiv 2605.28819). PEFT's alpha is a whole number and may be given by pattern, so it is left alone. */
#include <string.h>

#include "adapter/card.h"
#include "adapter/peft_file.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/obj.h"
#include "text/tokenizer.h"

static int64_t numel_of_B(const lf_adapter *a, int64_t i) { return a->match.modules[i]->lora->B.numel; }

/* Before the first change. */
static lf_status keep(lf_adapter *a, lf_err *err) {
    const int64_t n = a->match.count;
    int64_t numbers = 0;
    if (a->read_B) return LF_OK;
    for (int64_t i = 0; i < n; i++) numbers += numel_of_B(a, i);
    float **kept = lf_malloc((size_t)n * sizeof *kept + (size_t)numbers * sizeof **kept);
    if (!kept) return lf_no_memory(err, "an adapter's %lld numbers", (long long)numbers);
    float *at = (float *)(kept + n);
    for (int64_t i = 0; i < n; i++) {
        kept[i] = at;
        memcpy(at, a->match.modules[i]->lora->B.data, (size_t)numel_of_B(a, i) * sizeof *at);
        at += numel_of_B(a, i);
    }
    a->read_B = kept;
    return LF_OK;
}

lf_status lf_adapter_set_scale(lf_adapter *a, double scale, lf_err *err) {
    if (scale == a->scale) return LF_OK;
    if (a->use_dora)
        return lf_fail(err, LF_EUNSUPPORTED,
                       "the adapter has magnitudes (DoRA): W + %g dW is not defined for it; only plain adapters can be "
                       "scaled",
                       scale);
    lf_status rc;
    if ((rc = keep(a, err)) || (rc = lf_nn_scale_beside(a->nn, scale, err))) return rc;
    for (int64_t i = 0; i < a->match.count; i++) {
        float *B = a->match.modules[i]->lora->B.data;
        for (int64_t k = 0; k < numel_of_B(a, i); k++) B[k] = (float)(scale * (double)a->read_B[i][k]);
    }
    a->scale = scale;
    return LF_OK;
}

/* ---- the folder ---- */

typedef struct scaled {
    const lf_adapter *a;
    const lf_adapter_file *f;
    const char *dir, *results;
} scaled;

/* The module whose lora_B this tensor is; NULL: it is another tensor, which stays as it is. */
static const lf_module *changed(const scaled *s, const lf_st_tensor *t) {
    for (int64_t i = 0; i < s->f->n_entries; i++)
        if (s->f->entries[i].B == t) return lf_nn_find(s->a->nn, s->f->entries[i].module);
    return NULL;
}

static bool is_changed(const scaled *s, const lf_st_tensor *t) {
    return changed(s, t) || lf_beside_param(s->a, s->f, t);
}

static lf_status declare(const scaled *s, lf_st_writer *w, lf_err *err) {
    lf_status rc = LF_OK;
    for (int64_t i = 0; !rc && i < lf_safetensors_count(s->f->st); i++) {
        const lf_st_tensor *t = lf_safetensors_at(s->f->st, i);
        if (lf_peft_is_second(s->f, t->name)) continue; /* it would still say what the whole adapter is */
        rc = lf_st_writer_declare(w, t->name, is_changed(s, t) ? LF_F32 : t->dtype, t->ndim, t->shape, err);
    }
    return rc;
}

static lf_status write_tensor(const scaled *s, lf_st_writer *w, const lf_st_tensor *t, lf_err *err) {
    const lf_module *m = changed(s, t);
    const lf_param *p = lf_beside_param(s->a, s->f, t);
    if (m) return lf_st_writer_write_f32(w, m->lora->B.data, t->numel, err);
    return p ? lf_peft_write_param(w, s->a->nn, p, err) : lf_st_writer_write(w, t->data, t->size, err);
}

static lf_status write_tensors(const scaled *s, lf_err *err) {
    lf_st_writer *w = NULL;
    char *path = lf_path_join(s->dir, LF_PEFT_WEIGHTS);
    lf_status rc = path ? lf_st_writer_new(&w, path, err) : lf_no_memory(err, "writing the adapter %s", s->dir);
    if (!rc) rc = declare(s, w, err);
    for (int64_t i = 0; !rc && i < lf_safetensors_count(s->f->st); i++) {
        const lf_st_tensor *t = lf_safetensors_at(s->f->st, i);
        if (!lf_peft_is_second(s->f, t->name)) rc = write_tensor(s, w, t, err);
    }
    if (!rc) {
        rc = lf_st_writer_commit(w, err);
        w = NULL;
    }
    lf_st_writer_abort(w);
    lf_free(path);
    return rc;
}

/* Of an adapter that was rewound before, the product. */
static double whole_scale(const scaled *s) {
    const cJSON *before = cJSON_GetObjectItemCaseSensitive(s->f->facts, "adapter_scale");
    return s->a->scale * (cJSON_IsNumber(before) ? before->valuedouble : 1);
}

static lf_status write_facts(const scaled *s, lf_err *err) {
    lf_obj o = lf_obj_of(s->f->facts ? cJSON_Duplicate(s->f->facts, true) : cJSON_CreateObject());
    const double scale = whole_scale(s);
    lf_obj_drop(&o, "adapter_scale");
    lf_obj_number(&o, "adapter_scale", scale);
    return lf_obj_write_in(&o, s->dir, LF_ADAPTER_FACTS, true, err);
}

static lf_status write_card(const scaled *s, lf_err *err) {
    char *more = lf_format("\nIts updates are λ = %g of those that were trained (`lora-ft rewind`). %s\n",
                           whole_scale(s), s->results);
    const lf_status rc =
        more ? lf_card_copy(s->f->dir, s->dir, more, err) : lf_no_memory(err, "writing the adapter %s", s->dir);
    lf_free(more);
    return rc;
}

/* What else belongs to an adapter: PEFT's configuration, the card, and a tokenizer that came with it. */
static lf_status copy_rest(const scaled *s, lf_err *err) {
    lf_status rc;
    if ((rc = lf_copy_if_there(s->f->dir, s->dir, LF_PEFT_CONFIG, err)) || (rc = write_card(s, err))) return rc;
    return lf_tokenizer_copy_files(s->f->dir, s->dir, err);
}

lf_status lf_adapter_save_scaled(const lf_adapter *a, const lf_adapter_file *f, const char *dir, const char *results,
                                 lf_err *err) {
    char *aside = lf_name_beside(dir, "tmp");
    if (!aside) return lf_no_memory(err, "writing the adapter %s", dir);
    const scaled s = {a, f, aside, results};
    lf_status rc = lf_mkdir_p(aside, err);
    if (!rc && !(rc = write_tensors(&s, err)) && !(rc = write_facts(&s, err)) && !(rc = copy_rest(&s, err)))
        rc = lf_replace_dir(aside, dir, err);
    if (rc) (void)lf_remove_tree(aside, NULL); /* the first failure is what counts */
    lf_free(aside);
    return rc;
}
