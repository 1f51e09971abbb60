/* Passes through a model, whatever its family. */
#include "base/mem.h"
#include "model/family.h"

bool lf_model_says(const lf_model *m, lf_output_kind output) {
    if (output == LF_CLASSES) return m->head.module != NULL;
    return m->lm_head && (output == LF_MASKED_TOKEN) == (m->family->masked != NULL);
}

lf_pass *lf_pass_keep(lf_graph *g, const lf_pass *pass) {
    lf_pass *kept = lf_graph_take_bytes(g, sizeof *kept);
    if (kept) *kept = *pass;
    return kept;
}

int64_t lf_model_feature_width(const lf_model *m) { return m->head.module ? m->head.module->in : m->hidden_size; }

/* Where each row's last token stands that is no padding; 0 in a row of padding alone. In the graph's memory. */
static int32_t *last_tokens(const lf_model *m, lf_graph *g, const lf_model_input *in) {
    int32_t *columns = lf_graph_take_bytes(g, in->B * (int64_t)sizeof *columns);
    for (int64_t row = 0; columns && row < in->B; row++) {
        const int32_t *ids = in->ids + row * in->T;
        int64_t at = (in->lengths ? in->lengths[row] : in->T) - 1;
        while (at > 0 && ids[at] == m->tokens.pad) at--;
        columns[row] = (int32_t)at;
    }
    return columns;
}

static lf_tensor *last_states(const lf_model *m, lf_graph *g, lf_pass *pass) {
    const int32_t *columns = last_tokens(m, g, &pass->in);
    lf_tensor *hidden = columns ? m->family->hidden(m, g, pass) : NULL;
    return lf_to_real(g, lf_nn_then(g, hidden, lf_select_tokens(g, hidden, columns)));
}

/* A pass of the base sees all parameters as they were. */
static lf_tensor *run(const lf_model *m, lf_graph *g, const lf_pass *pass,
                      lf_tensor *(*build)(const lf_model *m, lf_graph *g, lf_pass *pass)) {
    lf_pass *kept = lf_pass_keep(g, pass);
    const bool before = lf_nn_show_base(&m->nn, pass->base);
    lf_tensor *t = kept ? build(m, g, kept) : NULL;
    lf_nn_show_base(&m->nn, before);
    return t;
}

lf_tensor *lf_model_features(const lf_model *m, lf_graph *g, const lf_pass *pass) {
    return run(m, g, pass, m->family->features ? m->family->features : last_states);
}

lf_tensor *lf_model_logits(lf_graph *g, lf_module *head, lf_tensor *features) {
    return lf_nn_linear(g, true, head, features);
}

lf_tensor *lf_lm_hidden(const lf_model *m, lf_graph *g, const lf_pass *pass) {
    return run(m, g, pass, m->family->masked ? m->family->masked : m->family->hidden);
}

void lf_model_lm_head(const lf_model *m, bool base, lf_lm_head *out) {
    const bool frozen = m->lm_head->frozen.data && (base || !m->lm_head->weight->own);
    *out = (lf_lm_head){.frozen = frozen ? &m->lm_head->frozen : NULL,
                        .weight = frozen ? NULL : &m->lm_head->weight->tensor,
                        .bias = m->lm_head->bias ? &m->lm_head->bias->tensor : NULL,
                        .scale = m->logits_scale,
                        .softcap = m->logits_softcap,
                        .lora = base ? NULL : m->lm_head->lora};
}

/* ---- layers ---- */

bool lf_pass_begins_late(const lf_pass *pass) { return pass->prefix && pass->prefix->known; }

/* What enters the first layer that is run. */
static lf_tensor *late_beginning(const lf_model_input *in, lf_graph *g, const lf_prefix *p) {
    const lf_dtype type = lf_graph_kernels(g)->act_dtype;
    const int64_t shape[] = {in->B, p->T, p->C};
    void *data = lf_graph_take(g, type, in->B * p->T * p->C);
    if (!data) return NULL;
    p->put(p->store, data, p->T);
    lf_graph_leave_out(g, p->nodes - lf_graph_nodes(g));
    return lf_graph_input(g, 3, shape, data);
}

static void keep_prefix(lf_graph *g, lf_prefix *p, const lf_tensor *x) {
    if (!x) return;
    p->nodes = lf_graph_nodes(g);
    const lf_prefix_seen seen = {x->data, x->shape[0], x->shape[1], x->shape[2], !x->requires_grad, lf_graph_drew(g)};
    lf_err err = {0};
    const lf_status rc = p->keep(p->store, &seen, &err);
    if (rc) lf_graph_fail(g, rc, "%s", err.message);
}

typedef struct layer_call {
    lf_layer_fn layer;
    const void *context;
    const lf_pass *pass;
} layer_call;

static lf_tensor *call_layer(const void *call_, lf_graph *g, lf_tensor *x) {
    const layer_call *c = call_;
    return c->layer(c->context, c->pass, g, x);
}

lf_tensor *lf_model_layers(lf_graph *g, lf_layer_fn layer, const lf_pass *pass, const void *layers, size_t size,
                           int64_t n, bool remake, lf_tensor *x) {
    layer_call *calls = remake && n ? lf_graph_take_bytes(g, n * (int64_t)sizeof *calls) : NULL;
    if (remake && n && !calls) return NULL;
    lf_prefix *p = pass->prefix;
    const bool late = lf_pass_begins_late(pass);
    const int64_t kept = !p ? -1 : p->layer < n ? p->layer : n;
    if (late) x = late_beginning(&pass->in, g, p);
    for (int64_t i = late ? kept : 0; i < n; i++) {
        if (i == kept && !late) keep_prefix(g, p, x);
        const void *context = (const char *)layers + (size_t)i * size;
        if (!remake) {
            x = layer(context, pass, g, x);
            continue;
        }
        calls[i] = (layer_call){layer, context, pass};
        x = lf_nn_then(g, x, lf_checkpoint(g, call_layer, &calls[i], x));
    }
    if (kept == n && !late) keep_prefix(g, p, x);
    return x;
}
