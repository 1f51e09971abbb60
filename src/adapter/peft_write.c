/* Adapter folders as PEFT reads them: always a plain LoRA on the untouched base. A start that is residual is written as
 * Ahat = [A; A - A0], Bhat = [B - B0, B0]: twice the rank, the same update, and no cancellation. */
#include <stdio.h>
#include <string.h>

#include "adapter/card.h"
#include "adapter/peft_readme.h"
#include "adapter/peft_writing.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/obj.h"

/* ---- lora_ft.json ---- */

static cJSON *labels_json(const lf_adapter_facts *f) {
    lf_obj labels = lf_obj_new();
    for (int64_t i = 0; i < f->num_labels; i++) {
        char id[24];
        snprintf(id, sizeof id, "%lld", (long long)i);
        lf_obj_string(&labels, id, f->id2label[i]);
    }
    return lf_obj_take(&labels);
}

static lf_status write_facts(const lf_peft_writing *w, lf_err *err) {
    const lf_adapter_facts *f = w->facts;
    lf_obj o = lf_obj_new();
    lf_obj_string(&o, "kind", w->a ? "lora" : "head");
    lf_obj_string(&o, "lora_ft_version", lf_version());
    lf_obj_string(&o, "base_model", f->base_path);
    lf_obj_string(&o, "base_hash", f->base_hash);
    lf_obj_string(&o, "head", f->head ? lf_peft_written_name(w, f->head) : NULL);
    if (f->problem_type) lf_obj_string(&o, "problem_type", f->problem_type);
    if (f->id2label) lf_obj_put(&o, "id2label", labels_json(f));
    lf_obj_number(&o, "num_labels", (double)f->num_labels);
    lf_obj_number(&o, "seed", (double)f->seed);
    lf_obj_number(&o, "threads", f->threads);
    if (w->a) lf_obj_number(&o, "trained_r", (double)w->a->r);
    if (w->a) lf_obj_bool(&o, "delta_form", w->a->residual);
    if (w->a && w->a->held) lf_obj_string(&o, LF_ADAPTER_HELD, "lora_B");
    if (f->run) lf_obj_copy(&o, "run", f->run);
    return lf_obj_write_in(&o, w->dir, LF_ADAPTER_FACTS, true, err);
}

/* ---- adapter_model.safetensors ---- */

/* Ahat [R, in] and Bhat [out, R], R as written. */
static void plain_factors(const lf_lora *l, const lf_module *m, float *A, float *B) {
    const int64_t r = l->r, R = l->A0 ? 2 * r : r;
    const float *lora_A = l->A.data, *lora_B = l->B.data, *A0 = l->A0, *B0 = l->B0;
    memcpy(A, lora_A, (size_t)(r * m->in) * sizeof *A);
    for (int64_t i = 0; A0 && i < r * m->in; i++) A[r * m->in + i] = lora_A[i] - A0[i];
    for (int64_t o = 0; o < m->out; o++)
        for (int64_t k = 0; k < r; k++) {
            B[o * R + k] = lora_B[o * r + k] - (B0 ? B0[o * r + k] : 0);
            if (B0) B[o * R + r + k] = B0[o * r + k];
        }
}

static lf_status declare(const lf_peft_writing *w, lf_st_writer *st, const lf_module *m, const char *leaf, int ndim,
                         int64_t rows, int64_t columns, lf_err *err) {
    char *name = lf_format(LF_PEFT_PREFIX "%s.%s", lf_peft_written_name(w, m), leaf);
    const lf_status rc = name ? lf_st_writer_declare(st, name, LF_F32, ndim, (int64_t[]){rows, columns}, err)
                              : lf_no_memory(err, "writing the adapter %s", w->dir);
    lf_free(name);
    return rc;
}

/* What was trained beside the factors. Of an adapter's module PEFT calls it "<module>.base_layer.bias". */
static lf_status declare_beside(const lf_peft_writing *w, lf_st_writer *st, const lf_param *p, lf_err *err) {
    const char *name = lf_peft_written_param(w, p), *leaf = lf_peft_leaf(name);
    const lf_module *m = lf_nn_holder(w->nn, p);
    int64_t shape[LF_TENSOR_DIMS];
    lf_param_file_shape(p, shape);
    char *full =
        lf_format(LF_PEFT_PREFIX "%.*s%s.%s", (int)(leaf - name - 1), name, m && m->lora ? ".base_layer" : "", leaf);
    const lf_status rc = full ? lf_st_writer_declare(st, full, LF_F32, p->tensor.ndim, shape, err)
                              : lf_no_memory(err, "writing the adapter %s", w->dir);
    lf_free(full);
    return rc;
}

static lf_status declare_all(const lf_peft_writing *w, lf_st_writer *st, lf_err *err) {
    lf_status rc = LF_OK;
    const lf_module *head = w->facts->head;
    for (int64_t i = 0; !rc && w->a && i < w->a->match.count; i++) {
        const lf_module *m = w->a->match.modules[i];
        const int64_t R = lf_peft_written_rank(w, m->lora->r);
        const bool table = m->kind == LF_MODULE_EMBEDDING;
        rc = declare(w, st, m, table ? "lora_embedding_A" : "lora_A.weight", 2, R, m->in, err);
        if (!rc) rc = declare(w, st, m, table ? "lora_embedding_B" : "lora_B.weight", 2, m->out, R, err);
        if (!rc && w->a->use_dora) rc = declare(w, st, m, "lora_magnitude_vector", 1, m->out, 0, err);
    }
    for (int64_t i = 0; !rc && w->a && i < w->nn->n_params; i++)
        if (lf_nn_is_beside(w->nn, w->nn->params[i])) rc = declare_beside(w, st, w->nn->params[i], err);
    if (!rc && head) rc = declare(w, st, head, "weight", 2, head->out, head->in, err);
    if (!rc && head && head->bias) rc = declare(w, st, head, "bias", 1, head->out, 0, err);
    for (int64_t i = 0; !rc && i < w->nn->n_modules; i++) {
        const lf_module *m = w->nn->modules[i];
        if (!lf_peft_is_saved_inner(w, m)) continue;
        rc = declare(w, st, m, "weight", m->weight->tensor.ndim, m->out, m->in, err);
        if (!rc && m->bias) rc = declare(w, st, m, "bias", 1, m->out, 0, err);
    }
    return rc;
}

static lf_status write_lora(const lf_peft_writing *w, lf_st_writer *st, const lf_module *m, lf_err *err) {
    const int64_t R = lf_peft_written_rank(w, m->lora->r), n_A = R * m->in, n_B = m->out * R;
    float *memory = lf_malloc((size_t)(n_A + n_B) * sizeof *memory);
    if (!memory) return lf_no_memory(err, "writing the adapter %s", w->dir);
    plain_factors(m->lora, m, memory, memory + n_A);
    lf_status rc = lf_st_writer_write_f32(st, memory, n_A, err);
    if (!rc) rc = lf_st_writer_write_f32(st, memory + n_A, n_B, err);
    if (!rc && w->a->use_dora) rc = lf_st_writer_write_f32(st, m->lora->magnitude.data, m->out, err);
    lf_free(memory);
    return rc;
}

/* A parameter as a file of the base holds it. */
lf_status lf_peft_write_param(lf_st_writer *st, const lf_nn *nn, const lf_param *p, lf_err *err) {
    const int64_t n = p->tensor.numel;
    float *values = lf_malloc((size_t)n * (p->transposed ? 2 : 1) * sizeof *values);
    if (!values) return lf_no_memory(err, "writing %s", p->name);
    nn->k->to_f32(values, p->tensor.data, n);
    for (int64_t i = 0; p->plus_one && i < n; i++) values[i] -= 1;
    if (p->transposed) lf_transpose(values + n, values, p->tensor.shape[0], p->tensor.shape[1]);
    const lf_status rc = lf_st_writer_write_f32(st, p->transposed ? values + n : values, n, err);
    lf_free(values);
    return rc;
}

static lf_status write_head(const lf_peft_writing *w, lf_st_writer *st, lf_err *err) {
    const lf_module *head = w->facts->head;
    float *memory = lf_malloc((size_t)(head->out * (head->in + 1)) * sizeof *memory),
          *bias = memory ? memory + head->out * head->in : NULL;
    if (!memory) return lf_no_memory(err, "writing the adapter %s", w->dir);
    lf_status rc = lf_nn_weight(w->nn, head, memory, err);
    if (!rc) rc = lf_st_writer_write_f32(st, memory, head->out * head->in, err);
    if (!rc && head->bias) {
        w->nn->k->to_f32(bias, head->bias->tensor.data, head->out);
        rc = lf_st_writer_write_f32(st, bias, head->out, err);
    }
    lf_free(memory);
    return rc;
}

static lf_status write_inner(const lf_peft_writing *w, lf_st_writer *st, lf_err *err) {
    lf_status rc = LF_OK;
    for (int64_t i = 0; !rc && i < w->nn->n_modules; i++) {
        const lf_module *m = w->nn->modules[i];
        if (!lf_peft_is_saved_inner(w, m)) continue;
        rc = lf_peft_write_param(st, w->nn, m->weight, err);
        if (!rc && m->bias) rc = lf_peft_write_param(st, w->nn, m->bias, err);
    }
    return rc;
}

static lf_status write_weights(const lf_peft_writing *w, lf_err *err) {
    lf_st_writer *st = NULL;
    char *path = lf_path_join(w->dir, LF_PEFT_WEIGHTS);
    lf_status rc = path ? lf_st_writer_new(&st, path, err) : lf_no_memory(err, "writing the adapter %s", w->dir);
    if (!rc) rc = declare_all(w, st, err);
    for (int64_t i = 0; !rc && w->a && i < w->a->match.count; i++) rc = write_lora(w, st, w->a->match.modules[i], err);
    for (int64_t i = 0; !rc && w->a && i < w->nn->n_params; i++)
        if (lf_nn_is_beside(w->nn, w->nn->params[i])) rc = lf_peft_write_param(st, w->nn, w->nn->params[i], err);
    if (!rc && w->facts->head) rc = write_head(w, st, err);
    if (!rc) rc = write_inner(w, st, err);
    if (!rc) {
        rc = lf_st_writer_commit(st, err);
        st = NULL;
    }
    lf_st_writer_abort(st);
    lf_free(path);
    return rc;
}

/* ---- the folder ---- */

lf_status lf_adapter_write_card(const lf_adapter *a, const lf_nn *nn, const char *dir, const lf_adapter_facts *facts,
                                lf_err *err) {
    char *text = lf_peft_readme(a, nn, facts);
    const lf_status rc = text ? lf_card_write(dir, text, err) : lf_no_memory(err, "writing the adapter %s", dir);
    lf_free(text);
    return rc;
}

static lf_status write_files(const lf_peft_writing *w, lf_err *err) {
    lf_status rc;
    if ((rc = lf_mkdir_p(w->dir, err)) || (rc = write_weights(w, err)) || (rc = write_facts(w, err)) ||
        (w->facts->beside && (rc = w->facts->beside(w->facts->context, w->dir, err))))
        return rc;
    if (!w->a) return LF_OK;
    if ((rc = lf_peft_write_config(w, err))) return rc;
    return lf_adapter_write_card(w->a, w->nn, w->dir, w->facts, err);
}

lf_status lf_adapter_save(const lf_adapter *a, const lf_nn *nn, const char *dir, const lf_adapter_facts *facts,
                          lf_err *err) {
    char *aside = lf_name_beside(dir, "tmp");
    const lf_peft_writing w = {a, nn, facts, aside};
    lf_status rc = aside ? write_files(&w, err) : lf_no_memory(err, "writing the adapter %s", dir);
    if (!rc && !(rc = lf_card_keep(dir, aside, err))) rc = lf_replace_dir(aside, dir, err);
    if (rc && aside) (void)lf_remove_tree(aside, NULL); /* the first failure is what counts */
    lf_free(aside);
    return rc;
}
