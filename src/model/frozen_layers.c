/* How much of a model's beginning is frozen, by the names of what is trained: a module of a layer has the layer's
 * number as a part of its name of its own ("vit.layers.3.attention.q_proj"), and stands in the table where it is run.
 */
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

/* -1: of none. */
static int64_t layer_of(const char *name) {
    for (const char *s = name; s; s = strchr(s, '.')) {
        s += *s == '.';
        const size_t digits = strspn(s, "0123456789");
        if (digits && (s[digits] == '.' || !s[digits])) return strtoll(s, NULL, 10);
    }
    return -1;
}

static bool is_of_head(const lf_module *m) { return m->head != LF_NO_HEAD || m->feeds_head || m->exact; }

/* Before which of n layers it is run that is not of one: 0, or n where it stands behind all of them. */
static int64_t outside(const lf_model *m, const lf_module *module) {
    if (is_of_head(module)) return m->n_layers;
    bool behind = true;
    for (int64_t i = m->nn.n_modules - 1; i >= 0 && m->nn.modules[i] != module; i--)
        behind = behind && layer_of(m->nn.modules[i]->name) < 0;
    return module->kind == LF_MODULE_NORM && behind ? m->n_layers : 0;
}

/* The first layer that changes with it. */
static int64_t first_of(const lf_model *m, const lf_module *module, const char *name) {
    const int64_t layer = layer_of(name);
    return layer >= 0 ? layer : module ? outside(m, module) : 0;
}

int64_t lf_model_frozen_layers(const lf_model *m) {
    int64_t first = m->n_layers;
    for (int64_t i = 0; i < m->nn.n_params; i++) {
        const lf_param *p = m->nn.params[i];
        if (!p->tensor.requires_grad) continue;
        const int64_t at = first_of(m, lf_nn_holder(&m->nn, p), p->name);
        if (at < first) first = at;
    }
    for (int64_t i = 0; i < m->nn.n_modules; i++) {
        const lf_module *module = m->nn.modules[i];
        const int64_t at = module->lora ? first_of(m, module, module->name) : first;
        if (at < first) first = at;
    }
    return first;
}
