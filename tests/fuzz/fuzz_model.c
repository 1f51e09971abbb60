/* A model's folder from elsewhere: two bytes that say what is done with it, then config.json, the tensors as lines
 * (tensors.h) and their bytes, with NULs between; or other files (files.h). One line of error, or a model whose weights
 * are all there, and which computes something of its input, or says why not. */
#include "files.h"
#include "model/model_internal.h"
#include "tensors.h"

enum { LOAD = 3, COPY = 4, INT8 = 8, NF4 = 16, BF16 = 32, COMPUTE = 64, OTHER_FILES = 128 }; /* the first */
enum { TRAINING = 1, NEW_HEAD = 2, OWN_HEAD = 4, OUTLINE = 8, PREPARED = 16, CHECKPOINTED = 32, LETS_GO = 64 };

/* ---- what a model says of itself ---- */

static void look(const lf_model *m) {
    require(m->hidden_size > 0 && m->n_layers >= 0 && m->nn.n_modules > 0);
    require(m->head.n_labels >= 0);
    for (int64_t i = 0; m->head.labels && i < m->head.n_labels; i++) require(m->head.labels[i] != NULL);
    require(lf_model_frozen_layers(m) <= m->n_layers && lf_model_largest_param(m) > 0 && !lf_model_has_grown(m));
}

static void look_at_weights(lf_model *m, lf_status rc) {
    lf_err err = {0};
    require(strlen(m->hash) == 32 && lf_model_mapped_bytes(m) >= 0);
    (void)lf_model_bytes_of_closing(m);
    (void)lf_model_need_head(m, "the target", NULL);
    for (int64_t i = 0; i < m->nn.n_modules; i++) {
        const lf_module *module = m->nn.modules[i];
        if (module->kind != LF_MODULE_LINEAR || module->out * module->in > TENSORS_MOST_NUMBERS) continue;
        float *W = malloc((size_t)(module->out * module->in) * sizeof *W);
        lf_err why = {0};
        require(W != NULL);
        require_said(lf_nn_weight(&m->nn, module, W, &why), &why);
        free(W);
    }
    const lf_status blamed = lf_model_blame(m, rc, &err);
    require(blamed == rc || blamed == LF_EDATA);
    err = (lf_err){0};
    require(lf_model_check_unchanged(m, &err) == LF_OK);
}

/* ---- what it computes ---- */

enum { ROWS = 2, TOKENS = 6, MOST_NUMBERS = 1 << 18, MOST_PIXELS = 1 << 14 };

static bool is_small(const lf_model *m) {
    int64_t numbers = 0;
    for (int64_t i = 0; i < m->nn.n_params; i++) {
        const int64_t n = m->nn.params[i]->tensor.numel;
        if (n > MOST_NUMBERS || (numbers += n) > MOST_NUMBERS) return false;
    }
    return m->pixels.channels * m->pixels.height * m->pixels.width <= MOST_PIXELS;
}

static lf_model_input make_input(const lf_model *m, bool causal, float **pixels) {
    static int32_t ids[ROWS * TOKENS], positions[ROWS * TOKENS], lengths[ROWS] = {TOKENS, TOKENS - 2},
                                                                 types[ROWS * TOKENS];
    lf_model_input in = {.B = ROWS};
    if (m->family->input == LF_PIXELS) {
        const int64_t n = ROWS * m->pixels.channels * m->pixels.height * m->pixels.width;
        require((*pixels = malloc((size_t)n * sizeof **pixels)) != NULL);
        for (int64_t i = 0; i < n; i++) (*pixels)[i] = 0.1f * (float)(i % 7 - 3);
        in.pixels = *pixels;
        return in;
    }
    for (int32_t i = 0; i < ROWS * TOKENS; i++) {
        ids[i] = (int32_t)((i * 7 + 5) % m->tokens.vocab_size);
        positions[i] = i % TOKENS;
        types[i] = i % TOKENS > 3;
    }
    in.T = TOKENS;
    in.ids = ids;
    in.positions = causal ? positions : NULL;
    in.lengths = causal ? NULL : lengths;
    in.token_types = causal ? NULL : types;
    return in;
}

static void end_pass(lf_graph *g) {
    lf_err err = {0};
    require_said(lf_graph_status(g, &err), &err);
}

static void say_tokens(const lf_model *m, lf_graph *g, const lf_pass *pass, bool training) {
    lf_lm_head head;
    lf_model_lm_head(m, false, &head);
    lf_graph_begin(g, training, training, 0);
    (void)lf_to_real(g, lf_linear(g, lf_lm_hidden(m, g, pass), head.frozen, head.weight, NULL, NULL));
    end_pass(g);
}

static void say_classes(const lf_model *m, lf_graph *g, const lf_pass *pass, bool training) {
    const lf_classifier *head = pass->head ? pass->head : &m->head;
    lf_graph_begin(g, training, training, 1);
    (void)lf_model_logits(g, head->module, lf_model_features(m, g, pass));
    end_pass(g);
}

/* Token by token, as text is generated. */
static void say_next(const lf_model *m, lf_graph *g, const lf_model_input *in) {
    lf_kv_cache *cache = NULL;
    lf_err err = {0};
    const lf_status rc = lf_kv_cache_new(&cache, m, TOKENS, &err);
    require_said(rc, &err);
    for (int64_t at = 0; !rc && at < TOKENS; at += 3) {
        lf_graph_begin(g, false, false, 0);
        (void)lf_lm_hidden_cached(m, g, in->ids + at, 3, cache);
        end_pass(g);
    }
    lf_kv_cache_free(cache);
}

static void compute(const lf_model *m, bool training) {
    float *pixels = NULL;
    const bool causal = lf_model_says(m, LF_NEXT_TOKEN) || (m->family->hidden && m->family->input == LF_TOKENS);
    const lf_pass pass = {.in = make_input(m, causal, &pixels)};
    lf_graph *g = lf_graph_new(m->nn.k, 1);
    require(g != NULL);
    if (m->head.module && m->head.module->weight->tensor.data) say_classes(m, g, &pass, training);
    if (m->base_head.module) {
        lf_pass base = pass;
        base.head = &m->base_head;
        base.base = true;
        say_classes(m, g, &base, false);
    }
    if (lf_model_says(m, LF_NEXT_TOKEN) || lf_model_says(m, LF_MASKED_TOKEN)) say_tokens(m, g, &pass, training);
    if (lf_model_says(m, LF_NEXT_TOKEN)) say_next(m, g, &pass.in);
    lf_graph_free(g);
    free(pixels);
}

/* ---- heads ---- */

static void change_head(lf_model *m, uint8_t how) {
    static const char *const names[] = {"a", "b", "c"};
    lf_err err = {0};
    lf_status rc = LF_OK;
    if (how & OWN_HEAD) rc = lf_model_train_head(m, &err);
    require_said(rc, &err);
    err = (lf_err){0};
    if (!(how & NEW_HEAD)) return;
    rc = lf_model_add_classifier(m, &err);
    if (!rc && !(how & OWN_HEAD)) rc = lf_model_new_head(m, 2, names, 7, &err);
    if (!rc && m->head.module && m->head.module->weight->tensor.grad) rc = lf_model_grow_head(m, 1, names + 2, 8, &err);
    require_said(rc, &err);
}

/* ---- an input ---- */

static void check(lf_status rc, const lf_err *err, const lf_model *m) {
    require_said(rc, err);
    require((rc == LF_OK) == (m != NULL) && (rc == LF_OK || rc == LF_ENOMEM || lf_status_exit_code(rc) == 3));
}

/* What config.json alone says; a small model is also made anew of it, with random weights. */
static void outline(const char *config, const lf_kernels *k, uint8_t how) {
    lf_model *m = NULL;
    lf_err err = {0};
    lf_status rc = lf_model_outline(&m, config, k, &err);
    check(rc, &err, m);
    if (!m) return;
    look(m);
    const bool small = is_small(m);
    lf_model_free(m);
    if (!small) return;
    err = (lf_err){0};
    rc = lf_model_new(&m, config, k, 3, &err);
    check(rc, &err, m);
    if (m) compute(m, how & TRAINING);
    lf_model_free(m);
}

static void use(const char *path, const lf_kernels *k, uint8_t what, uint8_t how) {
    static const lf_load loads[] = {LF_LOAD_NOTHING, LF_LOAD_FROZEN, LF_LOAD_TRAINED, LF_LOAD_FROZEN};
    const lf_model_opts opts = {.k = k,
                                .load = loads[what & LOAD],
                                .weights = what & COPY ? LF_WEIGHTS_COPY : LF_WEIGHTS_MAP,
                                .lets_go = how & LETS_GO,
                                .quantised = what & INT8  ? LF_FROZEN_INT8
                                             : what & NF4 ? LF_FROZEN_NF4
                                                          : LF_FROZEN_PLAIN};
    lf_model *m = NULL;
    lf_err err = {0};
    const lf_status rc = lf_model_open(&m, path, &opts, &err);
    check(rc, &err, m);
    if (!m) return;
    look(m);
    look_at_weights(m, rc);
    if (opts.load != LF_LOAD_NOTHING) {
        m->gradient_checkpointing = how & CHECKPOINTED;
        m->neftune_noise_alpha = how & TRAINING ? 1 : 0;
        change_head(m, how);
        if ((what & COMPUTE) && is_small(m)) compute(m, how & TRAINING);
    }
    lf_model_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    lf_log_set_level(LF_LOG_QUIET);
    const uint8_t what = take_byte(&in), how = take_byte(&in);
    const lf_kernels *k = what & BF16 ? &lf_kernels_ref_bf16 : &lf_kernels_ref_f32;
    if (what & OTHER_FILES) {
        put_folder("model", &in);
        use(in_folder("model"), k, what, how);
        use(in_folder("model/file.gguf"), k, what, how);
        outline(in_folder("model"), k, how);
        require(lf_alloc_live() == 0);
        return 0;
    }
    const fuzz_part config = take_part(&in), prepared = how & PREPARED ? take_part(&in) : take_bytes(&in, 0),
                    lines = take_part(&in), bytes = take_rest(&in);
    put_part("config.json", config);
    if (how & PREPARED)
        put_part("preprocessor_config.json", prepared);
    else
        remove(in_folder("preprocessor_config.json"));
    put_tensors(in_folder("model.safetensors"), lines, bytes.s, bytes.n);
    use(own_folder(), k, what, how);
    if (how & OUTLINE) outline(in_folder("config.json"), k, how);
    free(config.s);
    free(prepared.s);
    free(lines.s);
    free(bytes.s);
    require(lf_alloc_live() == 0);
    return 0;
}
