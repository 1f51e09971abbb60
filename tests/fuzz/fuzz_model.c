/* A model's folder from elsewhere: config.json and the tensors as lines (tensors.h), with a NUL between. One line of
 * error, or a model whose weights are all there. */
#include "model/model.h"
#include "tensors.h"

static void look(const lf_model *m) {
    require(m->hidden_size > 0 && m->n_layers >= 0 && m->nn.n_modules > 0);
    require(m->head.n_labels >= 0 && strlen(m->hash) == 32);
    for (int64_t i = 0; m->head.labels && i < m->head.n_labels; i++) require(m->head.labels[i] != NULL);
    for (int64_t i = 0; i < m->nn.n_modules; i++) {
        const lf_module *module = m->nn.modules[i];
        if (module->kind != LF_MODULE_LINEAR || module->out * module->in > TENSORS_MOST_NUMBERS) continue;
        float *W = malloc((size_t)(module->out * module->in) * sizeof *W);
        lf_err err = {0};
        require(W != NULL);
        require_said(lf_nn_weight(&m->nn, module, W, &err), &err);
        free(W);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    lf_log_set_level(LF_LOG_QUIET);
    const bool frozen = take_byte(&in) & 1;
    const fuzz_part config = take_part(&in), lines = take_part(&in), bytes = take_rest(&in);
    put_part("config.json", config);
    put_tensors(in_folder("model.safetensors"), lines, bytes.s, bytes.n);
    const lf_model_opts opts = {.k = &lf_kernels_ref_f32, .load = frozen ? LF_LOAD_FROZEN : LF_LOAD_NOTHING};
    lf_model *m = NULL;
    lf_err err = {0};
    const lf_status rc = lf_model_open(&m, own_folder(), &opts, &err);
    require_said(rc, &err);
    require((rc == LF_OK) == (m != NULL) && (rc == LF_OK || rc == LF_ENOMEM || lf_status_exit_code(rc) == 3));
    if (m) look(m);
    lf_model_free(m);
    free(config.s);
    free(lines.s);
    free(bytes.s);
    require(lf_alloc_live() == 0);
    return 0;
}
