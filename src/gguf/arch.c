/* The families that go into GGUF, a line of families.def each, by the form that they have (form.h). */
#include "gguf/arch.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/slice.h"
#include "gguf/form.h"

#define LF_GGUF_FAMILY(family, its_form, ...) extern const lf_gguf_form lf_gguf_form_##its_form;
#include "gguf/families.def"
#undef LF_GGUF_FAMILY

static const lf_gguf_arch families[] = {
#define LF_GGUF_FAMILY(family, its_form, ...) {.model_type = #family, .form = &lf_gguf_form_##its_form, __VA_ARGS__},
#include "gguf/families.def"
#undef LF_GGUF_FAMILY
};
enum { N_FAMILIES = sizeof families / sizeof *families };

const char *lf_gguf_arch_name(const lf_gguf_arch *a) { return a->name; }

lf_status lf_gguf_arch_of(const lf_gguf_arch **out, const lf_model *m, lf_err *err) {
    char known[256] = "";
    *out = NULL;
    for (size_t i = 0; i < N_FAMILIES; i++) {
        lf_list_append(known, sizeof known, families[i].model_type);
        if (strcmp(families[i].model_type, m->family->model_type) == 0) *out = &families[i];
    }
    if (!*out)
        return lf_fail(err, LF_EUNSUPPORTED, "%s: key 'model_type': '%s' does not go into GGUF here; those that do: %s",
                       m->config_path, m->family->model_type, known);
    if (m->head.module || !m->lm_head)
        return lf_fail(err, LF_EUNSUPPORTED, "%s: %s; GGUF is written of models that say next tokens", m->config_path,
                       m->head.module ? "the model is a classifier" : "the model has no output layer");
    return (*out)->form->check(*out, m, err);
}

void lf_gguf_put_sizes(lf_gguf_writer *w, const lf_gguf_arch *a, const lf_model *m) {
    const lf_gguf_putting p = {w, a->name};
    lf_gguf_put_size(&p, "vocab_size", m->tokens.vocab_size);
    lf_gguf_put_size(&p, "context_length", m->tokens.max_positions);
    lf_gguf_put_size(&p, "embedding_length", m->hidden_size);
    lf_gguf_put_size(&p, "block_count", m->n_layers);
    a->form->put_sizes(&p, a, m);
}

/* ---- tensors ---- */

/* "<layers><number>.<module>.<leaf>" in its parts; false: it is of no layer. */
static bool split(const lf_gguf_form *f, const char *param, int *number, const char **module, size_t *size) {
    const size_t before = strlen(f->layers);
    int n = 0;
    const char *leaf = strrchr(param, '.');
    if (strncmp(param, f->layers, before) != 0 || sscanf(param + before, "%d.%n", number, &n) != 1 || !n ||
        leaf < param + before + n)
        return false;
    *module = param + before + n;
    *size = (size_t)(leaf - *module);
    return true;
}

static const char *name_in_layer(const lf_gguf_form *f, const lf_model *m, const char *module, size_t size) {
    const char *to = f->renamed ? f->renamed(m, module, size) : NULL;
    return to ? to : lf_gguf_find_renamed(f->in_layer, module, size);
}

lf_status lf_gguf_tensor_name(char **out, const lf_gguf_arch *a, const lf_model *m, const char *param, lf_err *err) {
    const lf_gguf_form *f = a->form;
    const char *leaf = strrchr(param, '.'), *module, *to = NULL;
    int number;
    size_t size;
    const bool layered = split(f, param, &number, &module, &size);
    *out = NULL;
    if (layered)
        to = name_in_layer(f, m, module, size);
    else if (leaf)
        to = lf_gguf_find_renamed(f->ends, param, (size_t)(leaf - param));
    if (!to || (!a->untied && to == f->ends[0].to))
        return lf_fail(err, LF_EUNSUPPORTED, "%s: tensor '%s': llama.cpp has none such for model_type '%s'", m->path,
                       param, m->family->model_type);
    *out = layered ? lf_format("blk.%d.%s%s", number, to, leaf) : lf_format("%s%s", to, leaf);
    return *out ? LF_OK : lf_no_memory(err, "%s", param);
}

bool lf_gguf_stays_f32(const lf_gguf_arch *a, const char *tensor) {
    return a->form->f32 && strcmp(a->form->f32, tensor) == 0;
}

int64_t lf_gguf_turned_heads(const lf_gguf_arch *a, const lf_model *m, const char *param) {
    int number;
    const char *module;
    size_t size;
    if (!a->turned || !a->form->heads || !split(a->form, param, &number, &module, &size)) return 0;
    const char *to = name_in_layer(a->form, m, module, size);
    return to ? a->form->heads(m, to) : 0;
}

void lf_gguf_turn_rows(float *to, const float *from, int64_t heads, int64_t rows, int64_t n) {
    const int64_t D = rows / heads, half = D / 2;
    for (int64_t i = 0; i < rows; i++) {
        const int64_t head = i / D, at = i % D, row = head * D + 2 * (at % half) + at / half;
        memcpy(to + row * n, from + i * n, (size_t)n * sizeof *to);
    }
}

void lf_gguf_rope_factors(float *out, int64_t *n, const lf_gguf_arch *a, const lf_model *m) {
    *n = 0;
    if (a->form->rope_factors) a->form->rope_factors(out, n, m);
}
