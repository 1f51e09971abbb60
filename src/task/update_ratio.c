#include "task/update_ratio.h"

#include <math.h>

#include "base/log.h"
#include "base/mem.h"

struct lf_update_ratio {
    lf_nn *nn;
    lf_lora_probe *probes; /* one for each module of nn, used by those with an adapter */
};

lf_status lf_update_ratio_begin(lf_update_ratio **out, lf_nn *nn, lf_err *err) {
    lf_update_ratio *u = *out = lf_calloc(1, sizeof *u);
    if (u) *u = (lf_update_ratio){.nn = nn, .probes = lf_calloc((size_t)nn->n_modules, sizeof *u->probes)};
    if (!u || !u->probes) {
        lf_free(u);
        *out = NULL;
        return lf_no_memory(err, "measuring %lld modules", (long long)nn->n_modules);
    }
    for (int64_t i = 0; i < nn->n_modules; i++)
        if (nn->modules[i]->lora) nn->modules[i]->lora->probe = &u->probes[i];
    return LF_OK;
}

double lf_update_ratio_end(lf_update_ratio *u) {
    double sum = 0;
    int64_t modules = 0;
    if (!u) return NAN;
    for (int64_t i = 0; i < u->nn->n_modules; i++) {
        const lf_lora_probe *probe = &u->probes[i];
        if (u->nn->modules[i]->lora) u->nn->modules[i]->lora->probe = NULL;
        if (!probe->rows) continue;
        sum += probe->sum / (double)probe->rows;
        modules++;
    }
    lf_free(u->probes);
    lf_free(u);
    return modules ? sum / (double)modules : NAN;
}

/* Embeddings and the output layer of a vocabulary ask no probe: they are not among the modules that count. */
static bool is_measured(const lf_module *m) {
    return m->lora && m->kind == LF_MODULE_LINEAR && m->head != LF_TOKEN_HEAD;
}

lf_status lf_update_ratio_measure(double *out, lf_task *t, lf_model *m, lf_data_role role, lf_err *err) {
    bool adapted = false, measured = false;
    *out = NAN;
    for (int64_t i = 0; i < m->nn.n_modules; i++) {
        const lf_lora *l = m->nn.modules[i]->lora;
        if (l && l->magnitude.data) { /* DoRA changes W itself: what it adds is no product of its own */
            lf_info("update_ratio is not measured with use_dora, whose update is no product of two factors");
            return LF_OK;
        }
        adapted = adapted || l;
        measured = measured || is_measured(m->nn.modules[i]);
    }
    if (adapted && !measured)
        lf_info(
            "update_ratio is not measured on an embedding or an output layer, and the adapter is on no other module");
    if (!measured) return LF_OK;
    lf_update_ratio *u;
    lf_status rc = lf_update_ratio_begin(&u, &m->nn, err);
    const lf_look_opts opts = {.examples = LF_UPDATE_EXAMPLES, .tokens = LF_UPDATE_TOKENS};
    if (!rc) rc = t->source->look(t, m, role, &opts, err);
    const double ratio = lf_update_ratio_end(u);
    if (!rc) *out = ratio;
    return rc;
}
