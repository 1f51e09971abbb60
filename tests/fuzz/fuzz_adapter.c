/* An adapter's folder from elsewhere: adapter_config.json, lora_ft.json (empty: there is none), the tensors as lines
 * (tensors.h) and their bytes, with NULs between. One line of error, or an adapter that is put on a small model, or
 * refused by it; on it, merging makes a number of every weight. */
#include "adapter/adapter.h"
#include "base/json.h"
#include "tensors.h"

enum { C = 4, V = 6, LABELS = 3, LAYERS = 2 };

/* ---- the model ---- */

static lf_module *add_module(lf_nn *nn, lf_module_kind kind, int64_t out, int64_t in, const char *name) {
    lf_module *m = lf_nn_module(nn, kind, out, in, name, name);
    require(m != NULL);
    const int64_t shape[2] = {kind == LF_MODULE_EMBEDDING ? in : out, kind == LF_MODULE_EMBEDDING ? out : in};
    if (kind == LF_MODULE_NORM) {
        m->weight = lf_nn_param(nn, name, name, "weight", 1, shape, false);
    } else {
        m->weight = lf_nn_param(nn, name, name, "weight", 2, shape, true);
        if (kind == LF_MODULE_LINEAR) m->bias = lf_nn_param(nn, name, name, "bias", 1, &out, false);
    }
    require(m->weight && lf_nn_hold(nn, m->weight, NULL) == LF_OK);
    require(!m->bias || lf_nn_hold(nn, m->bias, NULL) == LF_OK);
    for (int64_t i = 0; i < m->weight->tensor.numel; i++) ((float *)m->weight->tensor.data)[i] = 0.1f * (float)(i % 5);
    for (int64_t i = 0; m->bias && i < out; i++) ((float *)m->bias->tensor.data)[i] = 0.5f;
    return m;
}

static lf_module *make_model(lf_nn *nn) {
    char name[64];
    require(lf_nn_init(nn, &lf_kernels_ref_f32, NULL) == LF_OK);
    add_module(nn, LF_MODULE_EMBEDDING, C, V, "model.embed_tokens")->of_tokens = true;
    for (int i = 0; i < LAYERS; i++) {
        snprintf(name, sizeof name, "model.layers.%d.self_attn.q_proj", i);
        add_module(nn, LF_MODULE_LINEAR, C, C, name);
        snprintf(name, sizeof name, "model.layers.%d.mlp.up_proj", i);
        add_module(nn, LF_MODULE_LINEAR, 2 * C, C, name);
        snprintf(name, sizeof name, "model.layers.%d.norm", i);
        add_module(nn, LF_MODULE_NORM, C, C, name);
    }
    lf_module *head = add_module(nn, LF_MODULE_LINEAR, LABELS, C, "score");
    head->head = LF_CLASS_HEAD;
    return head;
}

/* ---- what is done with an adapter ---- */

static void look_at_merged(const lf_nn *nn) {
    float W[2 * C * C];
    for (int64_t i = 0; i < nn->n_modules; i++) {
        const lf_module *m = nn->modules[i];
        if (!m->lora || m->kind != LF_MODULE_LINEAR || m->head) continue;
        lf_err err = {0};
        lf_status rc = lf_nn_weight(nn, m, W, &err);
        if (!rc) rc = lf_adapter_merge(m, W, &err);
        require_said(rc, &err);
    }
}

static void put_on(const lf_adapter_file *f) {
    lf_nn nn;
    lf_adapter *a = NULL;
    lf_err err = {0};
    lf_module *head = make_model(&nn);
    lf_status rc = lf_adapter_check_head(f, &nn, head, "the model", &err);
    const char *const *names;
    const int64_t labels = lf_adapter_file_labels(f, &names);
    require_said(rc, &err);
    if (!rc)
        rc = lf_adapter_apply(&a, f, &nn, labels == LABELS ? head : NULL, "0123456789abcdef0123456789abcdef", &err);
    require_said(rc, &err);
    require((rc == LF_OK) == (a != NULL));
    if (a) look_at_merged(&nn);
    if (a && lf_adapter_set_scale(a, 0.5, &err) == LF_OK) require(lf_adapter_set_scale(a, 1, &err) == LF_OK);
    lf_adapter_free(a);
    lf_nn_free(&nn);
}

static void ask(const lf_adapter_file *f) {
    const char *const *names;
    char hash[33];
    lf_problem problem;
    const int64_t labels = lf_adapter_file_labels(f, &names);
    require((labels > 0) == (lf_adapter_file_head(f) != NULL));
    for (int64_t i = 0; names && i < labels; i++) require(names[i] != NULL);
    (void)lf_adapter_file_problem(f, &problem);
    (void)lf_adapter_file_trained(f);
    require(lf_adapter_file_hash(f, hash, NULL) == LF_OK && strlen(hash) == 32);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    lf_adapter_file *f = NULL;
    lf_err err = {0};
    lf_log_set_level(LF_LOG_QUIET);
    const fuzz_part config = take_part(&in), facts = take_part(&in), lines = take_part(&in), bytes = take_rest(&in);
    put_part("adapter_config.json", config);
    if (facts.n)
        put_part("lora_ft.json", facts);
    else
        remove(in_folder("lora_ft.json"));
    put_tensors(in_folder("adapter_model.safetensors"), lines, bytes.s, bytes.n);
    const lf_status rc = lf_adapter_open(&f, own_folder(), &err);
    require_said(rc, &err);
    require((rc == LF_OK) == (f != NULL) && (rc == LF_OK || lf_status_exit_code(rc) == 3));
    if (f) {
        ask(f);
        put_on(f);
    }
    lf_adapter_close(f);
    free(config.s);
    free(facts.s);
    free(lines.s);
    free(bytes.s);
    require(lf_alloc_live() == 0);
    return 0;
}
