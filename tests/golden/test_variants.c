/* Adapters with more than factors, next to PEFT's (scripts/make-golden-variants.py): losses of ten steps from its
 * start, first gradients of what is saved whole, its file read and written again, the base under it, and the merged
 * model. */
#define _POSIX_C_SOURCE 200809L
#include "golden/lm_fixture.h"

#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "graph/lm_score.h"

/* A variant: the settings of its training that PEFT's were given, beside r, lora_alpha, rate and decay. */
typedef struct variant {
    const char *base, *name;
    const char *keys[4][2];
} variant;
#define ENDS                                                                                                           \
    { "target_modules", "[\"embed_tokens\", \"lm_head\", \"q_proj\", \"down_proj\"]" }
#define GPT2_ENDS                                                                                                      \
    { "target_modules", "[\"wte\", \"lm_head\", \"c_attn\"]" }

#define SAVE "modules_to_save"
static const variant variants[] = {
    {"lm-qwen2", "bias_lora_only", {{"bias", "lora_only"}}},
    {"lm-gpt2", "bias_lora_only", {{"bias", "lora_only"}}},
    {"lm-qwen2", "bias_all", {{"bias", "all"}}},
    {"lm-gpt2", "bias_all", {{"bias", "all"}}},
    {"lm-qwen2", "loraplus", {{"bias", "all"}, {"loraplus_lr_ratio", "4"}}},
    {"vit-base", "bias_lora_only", {{"bias", "lora_only"}, {"target_modules", "[\"q_proj\", \"v_proj\", \"fc1\"]"}}},
    {"lm-qwen2", "dora", {{"use_dora", "true"}}},
    {"lm-gpt2", "dora_bias", {{"use_dora", "true"}, {"bias", "lora_only"}}},
    {"vit-base", "dora", {{"use_dora", "true"}, {"target_modules", "[\"q_proj\", \"v_proj\", \"fc1\"]"}}},
    {"lm-llama", "ends", {ENDS}}, /* no tied weight */
    {"lm-llama3", "ends", {ENDS}},
    {"lm-gpt2", "ends", {GPT2_ENDS}},
    {"lm-gemma3", "ends", {ENDS}}, /* scaled embeddings */
    {"lm-qwen2",
     "ends_patterns",
     {ENDS,
      {"use_rslora", "true"},
      {"rank_pattern", "{\"embed_tokens\": 2, \"lm_head\": 6}"},
      {"alpha_pattern", "{\"lm_head\": 3}"}}},
    {"lm-llama", "ends_padded", {ENDS}},
    {"lm-llama3", "ends_embed", {{"target_modules", "[\"embed_tokens\"]"}}},
    {"lm-llama3", "ends_head", {{"target_modules", "[\"lm_head\"]"}}},
    {"lm-granite", "ends_head", {{"target_modules", "[\"lm_head\"]"}}}, /* scaled logits */
    {"lm-llama3", "ends_tied", {{"target_modules", "[\"embed_tokens\", \"lm_head\"]"}}},
    {"enc-bert", "ends_words", {{"target_modules", "[\"word_embeddings\", \"query\"]"}}},
    {"lm-qwen2", "ends_loraplus", {ENDS, {"loraplus_lr_ratio", "4"}}},
    {"vit-base", "bias_all", {{"bias", "all"}, {"target_modules", "[\"q_proj\", \"v_proj\", \"fc1\"]"}}},
    {"lm-llama",
     "saved",
     {{SAVE, "[\"embed_tokens\", \"lm_head\", \"model.norm\", \"layers.0.self_attn.k_proj\", "
             "\"layers.1.mlp.down_proj\"]"}}},
    {"lm-qwen2", "saved", {{"bias", "all"}, {SAVE, "embed_tokens,lm_head,norm"}}},
    {"lm-qwen2", "saved_head", {{SAVE, "lm_head"}}},
    {"lm-qwen2", "saved_embedding", {{SAVE, "embed_tokens"}}},
    {"lm-qwen2", "saved_tied", {{SAVE, "embed_tokens"}}},
    {"lm-qwen2", "saved_loraplus", {{SAVE, "embed_tokens,norm"}, {"loraplus_lr_ratio", "4"}, {"weight_decay", "0"}}},
    {"lm-gpt2", "saved", {{SAVE, "wte,wpe,ln_f,h.0.mlp.c_fc"}}},
    {"lm-gemma3", "saved", {{SAVE, "embed_tokens,norm"}}},
    {"lm-llama", "saved_grown", {{SAVE, "embed_tokens,lm_head"}}},
    {"lm-qwen2", "saved_grown", {{SAVE, "embed_tokens"}}}, /* tied; new tokens mean the other end too */
    {"lm-gpt2", "saved_grown", {{"bias", "none"}}},
    {"lm-llama", "grown_auto", {{"bias", "none"}}},
    {"lm-qwen2", "grown_auto", {{"bias", "none"}}},
    {"vit-base",
     "saved",
     {{SAVE, "classifier,layernorm_before,vit.embeddings,layers.1.mlp.fc2"},
      {"target_modules", "[\"q_proj\", \"v_proj\", \"fc1\"]"}}},
    {"enc-bert",
     "saved",
     {{SAVE, "pooler,embeddings.LayerNorm,word_embeddings"}, {"target_modules", "[\"query\", \"value\"]"}}},
};
enum { N_VARIANTS = sizeof variants / sizeof variants[0] };

/* ---- a case: the base with its batches, and what PEFT made ---- */

typedef struct varied {
    const variant *v;
    fixture f;
    char dir[600]; /* PEFT's adapter */
    lf_safetensors *gold;
} varied;

static bool is_lm(const variant *v) { return strncmp(v->base, "lm-", 3) == 0; }
static bool is_encoder(const variant *v) { return strncmp(v->base, "enc-", 4) == 0; }

/* PEFT trained the two modules as one (ensure_weight_tying), or neither (_auto), which training here does not. */
static bool is_for_reading(const variant *v) { return strstr(v->name, "_tied") || strstr(v->name, "_auto"); }

/* With tokens that the base does not have, but for batch 0, which the base can say. */
static bool is_grown(const variant *v) { return strstr(v->name, "grown") != NULL; }

enum { PADDED = 5 }; /* of "padded": the id whose embedding is not trained, which its config.json does not say */
static bool has_ends(const variant *v) { return strncmp(v->name, "ends", 4) == 0; }

/* The configuration of the variant's training. */
static lf_config *config_of(const variant *v) {
    lf_config *cfg;
    OK(lf_config_new(&cfg, "train", &err));
    static const char *const keys[][2] = {
        {"model", "m"},      {"train_data", "d"},       {"output_dir", "o"},      {"r", "4"},
        {"lora_alpha", "6"}, {"learning_rate", "5e-3"}, {"weight_decay", "0.01"}, {"precision", "fp32"}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) OK(lf_config_set(cfg, keys[i][0], keys[i][1], &err));
    for (int i = 0; i < 4 && v->keys[i][0]; i++) OK(lf_config_set(cfg, v->keys[i][0], v->keys[i][1], &err));
    OK(lf_config_finish(cfg, &err));
    return cfg;
}

/* What is trained with a head is said before it is made. */
static void make_head(const variant *v, fixture *f) {
    const char *names[64];
    const lf_st_tensor *w = lf_safetensors_find(f->gold, is_encoder(v) ? "start.classifier.weight" : "head.weight");
    lf_config *cfg = config_of(v);
    for (int i = 0; i < 64; i++) names[i] = "x";
    lf_adapter_mark_saved(&f->model->nn, lf_cfg_list(cfg, LF_modules_to_save));
    OK(lf_model_new_head(f->model, w->shape[0], names, 0, &err));
    set(&f->model->head.module->weight->tensor, w->data);
    set(&f->model->head.module->bias->tensor, golden(f, is_encoder(v) ? "start.classifier.bias" : "head.bias", NULL));
    lf_config_free(cfg);
}

static void open_varied(varied *c, const variant *v, const lf_kernels *k) {
    char path[700];
    *c = (varied){.v = v};
    if (is_lm(v))
        open_case(&c->f, v->base, k, LF_LOAD_FROZEN);
    else {
        open_model(&c->f, v->base, k, LF_LOAD_FROZEN);
        const lf_st_tensor *inputs = lf_safetensors_find(c->f.gold, is_encoder(v) ? "ids" : "pixels");
        c->f.B = inputs->shape[1];
        c->f.T = inputs->shape[2];
        make_head(v, &c->f);
    }
    snprintf(c->dir, sizeof c->dir, "%s/golden/variants/%s-%s", LF_TEST_DIR, v->base, v->name);
    snprintf(path, sizeof path, "%s/golden.safetensors", c->dir);
    OK(lf_safetensors_open(&c->gold, path, &err));
    if (strstr(v->name, "padded")) c->f.model->tokens.table->padding = PADDED;
}

static void close_varied(varied *c) {
    lf_safetensors_close(c->gold);
    close_case(&c->f);
}

static const float *theirs(const varied *c, const char *what, int64_t *n) {
    const lf_st_tensor *t = lf_safetensors_find(c->gold, what);
    if (!t) fail_msg("%s-%s has no '%s'", c->v->base, c->v->name, what);
    if (n) *n = t->numel;
    return t->data;
}

static const float *pixels_of(const fixture *f, int64_t batch) {
    int64_t n;
    const float *p = golden(f, "pixels", &n);
    return p + batch * (n / N_BATCHES);
}

static const int32_t *numbers_of(const fixture *f, const char *what, int64_t batch) {
    const lf_st_tensor *t = lf_safetensors_find(f->gold, what);
    return (const int32_t *)t->data + batch * (t->numel / N_BATCHES);
}

static lf_model_input input_of(const fixture *f, int64_t batch) {
    if (f->model->family->input == LF_PIXELS) return (lf_model_input){.B = f->B, .pixels = pixels_of(f, batch)};
    return (lf_model_input){.B = f->B,
                            .T = f->T,
                            .ids = numbers_of(f, "ids", batch),
                            .lengths = numbers_of(f, "lengths", batch),
                            .token_types = numbers_of(f, "token_types", batch)};
}

static lf_tensor *class_logits(fixture *f, int64_t batch, bool base, bool grad) {
    const lf_pass pass = {.in = input_of(f, batch), .base = base};
    lf_graph_begin(f->g, grad, grad, 0);
    return lf_model_logits(f->g, f->model->head.module, lf_model_features(f->model, f->g, &pass));
}

/* The base's ids, or those that the variant has of its own. */
static const int32_t *ids_of(const varied *c, int64_t batch) {
    const lf_st_tensor *own = lf_safetensors_find(c->gold, "ids");
    return own ? (const int32_t *)own->data + batch * c->f.B * c->f.T : batch_ids(&c->f, batch);
}

static lf_tensor *token_states(varied *c, int64_t batch, bool base, bool grad) {
    const fixture *f = &c->f;
    const lf_pass pass = {.in = {.B = f->B, .T = f->T, .ids = ids_of(c, batch), .positions = f->positions},
                          .base = base};
    lf_graph_begin(f->g, grad, grad, 0);
    return lf_lm_hidden(f->model, f->g, &pass);
}

static const int32_t *labels_of(const varied *c, int64_t batch) {
    const lf_st_tensor *own = lf_safetensors_find(c->gold, "labels");
    return own ? (const int32_t *)own->data + batch * c->f.B * c->f.T : batch_labels(&c->f, batch);
}

static lf_tensor *token_logits(varied *c, bool base) {
    return through_head_of(&c->f, base, token_states(c, 0, base, false));
}

/* Of batch 0, as they are or as the base says them. */
static const lf_tensor *logits_now(varied *c, bool base) {
    const lf_tensor *logits = is_lm(c->v) ? token_logits(c, base) : class_logits(&c->f, 0, base, false);
    OK(lf_graph_status(c->f.g, &err));
    return logits;
}

static float *copy_of(const lf_tensor *logits) {
    float *copy = lf_malloc((size_t)logits->numel * sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, logits->data, (size_t)logits->numel * sizeof *copy);
    return copy;
}

static void check_logits_now(varied *c, bool base, const float *want, double tolerance) {
    const lf_tensor *logits = logits_now(c, base);
    char what[200];
    snprintf(what, sizeof what, "%s-%s %s: logits of the %s", c->v->base, c->v->name, c->f.k->name,
             base ? "base" : "adapter");
    check_close(what, logits->data, want, logits->numel, tolerance);
}

/* ---- training ---- */

static void open_variant(training *t, varied *c) {
    lf_adapter_opts opts;
    *t = (training){.init = "kaiming", .cfg = config_of(c->v)};
    OK(lf_adapter_opts_read(&opts, t->cfg, &err));
    if (is_grown(c->v)) {
        const lf_st_tensor *logits = lf_safetensors_find(c->gold, "logits_after");
        opts.vocabulary = logits->shape[logits->ndim - 1];
    }
    OK(lf_adapter_new(&t->adapter, &c->f.model->nn, &opts, &err));
    lf_model_take_vocabulary(c->f.model);
    for (int64_t i = 0; i < lf_adapter_count(t->adapter); i++) {
        const lf_module *m = lf_adapter_module(t->adapter, i);
        const bool table = m->kind == LF_MODULE_EMBEDDING;
        char key[160];
        snprintf(key, sizeof key, "start.%s.%s", m->name, table ? "lora_embedding_B" : "lora_A");
        set(table ? &m->lora->B : &m->lora->A, theirs(c, key, NULL));
    }
    OK(lf_nn_trainables(&c->f.model->nn, &t->list, &t->count, &err));
    OK(lf_optimizer_init(&t->optimizer, c->f.k, t->list, t->count, t->cfg, &err));
}

static lf_tensor *token_loss(varied *c, int64_t batch) {
    lf_tensor *hidden = token_states(c, batch, false, true);
    lf_lm_head head;
    lf_model_lm_head(c->f.model, false, &head);
    return lf_lm_loss(c->f.g, hidden, &head, labels_of(c, batch), (double)targets_in(&c->f, batch), 0, NULL);
}

static lf_tensor *step_loss(varied *c, int step) {
    fixture *f = &c->f;
    f->model->gradient_checkpointing = step % 2;
    if (is_lm(c->v)) return token_loss(c, step % N_BATCHES);
    return lf_cross_entropy(f->g, class_logits(f, step % N_BATCHES, false, true),
                            numbers_of(f, "labels", step % N_BATCHES), (double)f->B, 0);
}

/* Those of parameters that are saved whole: as the file holds them. */
static void check_gradients(varied *c) {
    const lf_nn *nn = &c->f.model->nn;
    int64_t n_checked = 0, n_given = 0;
    for (int64_t i = 0; i < lf_safetensors_count(c->gold); i++) {
        const char *name = lf_safetensors_at(c->gold, i)->name;
        n_given += strncmp(name, "grad.", 5) == 0 && !strstr(name, "lora_");
    }
    for (int64_t i = 0; i < nn->n_params && n_given; i++) {
        const lf_param *p = nn->params[i];
        char what[300];
        if (!p->tensor.requires_grad) continue;
        snprintf(what, sizeof what, "grad.%s", p->name);
        const float *want = theirs(c, what, NULL);
        float *found = lf_malloc((size_t)p->tensor.numel * sizeof *found);
        if (p->transposed)
            lf_transpose(found, p->tensor.grad, p->tensor.shape[0], p->tensor.shape[1]);
        else
            memcpy(found, p->tensor.grad, (size_t)p->tensor.numel * sizeof *found);
        if (!strstr(what, "k_proj.bias")) check_close(what, found, want, p->tensor.numel, in_bf16(c->f.k) ? 0.3 : 1e-3);
        lf_free(found);
        n_checked++;
    }
    assert_int_equal(n_checked, n_given);
}

static void train_steps(varied *c, training *t) {
    const float *want = theirs(c, "losses", NULL);
    for (int step = 0; step < STEPS; step++) {
        lf_optimizer_clear_gradients(&t->optimizer);
        lf_tensor *loss = step_loss(c, step);
        OK(lf_graph_status(c->f.g, &err));
        const float value = *(const float *)loss->data;
        if (!(fabsf(value - want[step]) <= (in_bf16(c->f.k) ? 4.5e-2f : 1e-3f) * want[step]))
            fail_msg("%s-%s, %s: step %d: loss %.7f, PEFT has %.7f", c->v->base, c->v->name, c->f.k->name, step,
                     (double)value, (double)want[step]);
        OK(lf_graph_backward(c->f.g, loss, 1, &err));
        if (step == 0) check_gradients(c);
        const double norm = lf_optimizer_gradient_norm(&t->optimizer, 1);
        lf_optimizer_step(&t->optimizer, 1, norm > 1 ? 1 / (norm + 1e-6) : 1);
    }
}

/* The gradients of all factors, at PEFT's trained adapter. */
static void check_factor_gradients(varied *c, training *t) {
    char path[700], key[320];
    lf_safetensors *trained;
    snprintf(path, sizeof path, "%s/adapter_model.safetensors", c->dir);
    OK(lf_safetensors_open(&trained, path, &err));
    for (int64_t i = 0; i < t->count; i++) {
        const lf_trainable *one = &t->list[i];
        const bool weight = strstr(one->name, "lora_") && !one->of_embedding;
        snprintf(key, sizeof key, "base_model.model.%s%s", one->name, weight ? ".weight" : "");
        set(one->tensor, lf_safetensors_find(trained, key)->data);
    }
    lf_safetensors_close(trained);
    lf_optimizer_clear_gradients(&t->optimizer);
    lf_tensor *loss = step_loss(c, 1);
    OK(lf_graph_status(c->f.g, &err));
    OK(lf_graph_backward(c->f.g, loss, 1, &err));
    for (int64_t i = 0; i < t->count; i++) {
        snprintf(key, sizeof key, "grad.%s", t->list[i].name);
        if (!strstr(key, "lora_")) continue;
        check_close(key, t->list[i].tensor->grad, theirs(c, key, NULL), t->list[i].tensor->numel, 1e-3);
    }
}

/* Batch 0 before the first step, of a model that has grown: what the base says of the tokens that it has. */
static void check_first_tokens(varied *c, const float *base, double tolerance) {
    const int64_t V = c->f.model->tokens.table->in, V_now = c->f.model->tokens.vocab_size;
    const lf_tensor *logits = logits_now(c, false);
    assert_int_equal(logits->numel, c->f.B * c->f.T * V_now);
    for (int64_t row = 0; row < c->f.B * c->f.T; row++)
        check_close("the base's tokens", (const float *)logits->data + row * V_now, base + row * V, V, tolerance);
}

/* PEFT's losses; and the base under the adapter is what it was, bit for bit. */
static void check_training(const variant *v, const lf_kernels *k) {
    varied c;
    training t;
    if (is_for_reading(v)) return;
    open_varied(&c, v, k);
    float *untouched = copy_of(logits_now(&c, true));
    open_variant(&t, &c);
    /* step 0: with magnitudes a layer's product and its bias are added one after the other, and a trained weight is
     * multiplied otherwise than a frozen one, which may round */
    const bool rounds = strstr(v->name, "dora") || strstr(v->name, "saved");
    const double rounding = !rounds ? 0 : in_bf16(k) ? 6e-2 : 1e-5;
    if (is_grown(v))
        check_first_tokens(&c, untouched, rounding);
    else if (is_lm(v))
        check_logits_now(&c, false, untouched, rounding);
    train_steps(&c, &t);
    if (!in_bf16(k)) check_logits_now(&c, false, theirs(&c, "logits_after", NULL), 5e-3);
    if (is_lm(v)) check_logits_now(&c, true, untouched, 0); /* a classifier's head is trained, and the base's another */
    lf_free(untouched);
    if (has_ends(v) && !in_bf16(k)) check_factor_gradients(&c, &t);
    close_training(&t);
    close_varied(&c);
}

/* ---- files ---- */

static char *scratch(void) {
    static int n;
    static char path[200];
    snprintf(path, sizeof path, "%s/variants-%d-%d", LF_BUILD_DIR, (int)getpid(), n++);
    return path;
}

static lf_adapter *apply(varied *c, const char *dir) {
    lf_adapter_file *file;
    lf_adapter *a;
    OK(lf_adapter_open(&file, dir, &err));
    OK(lf_adapter_apply(&a, file, &c->f.model->nn, c->f.model->head.module, c->f.model->hash, &err));
    lf_model_take_vocabulary(c->f.model);
    lf_adapter_close(file);
    return a;
}

/* The same names and shapes in both; `more` are let through in theirs: copies that PEFT writes and nobody needs. */
static bool is_more(const char *name) {
    return strstr(name, ".original_module.") || strstr(name, ".modules_to_save.") || strstr(name, ".base_layer.weight");
}
static void check_same_tensors(const char *their_dir, const char *our_dir) {
    const char *const dirs[] = {their_dir, our_dir};
    lf_safetensors *st[2];
    for (int i = 0; i < 2; i++) {
        char path[800];
        snprintf(path, sizeof path, "%s/adapter_model.safetensors", dirs[i]);
        OK(lf_safetensors_open(&st[i], path, &err));
    }
    for (int i = 0; i < 2; i++)
        for (int64_t j = 0; j < lf_safetensors_count(st[i]); j++) {
            const lf_st_tensor *t = lf_safetensors_at(st[i], j), *u = lf_safetensors_find(st[1 - i], t->name);
            if (!u && !is_more(t->name)) fail_msg("%s: '%s' is not in %s", dirs[i], t->name, dirs[1 - i]);
            if (u) assert_true(u->ndim == t->ndim && !memcmp(u->shape, t->shape, (size_t)t->ndim * sizeof *t->shape));
        }
    for (int i = 0; i < 2; i++) lf_safetensors_close(st[i]);
}

/* Token by token, through the cache: the logits after the first text. */
static void check_cached(varied *c) {
    const fixture *f = &c->f;
    lf_kv_cache *cache;
    lf_lm_head head;
    const int64_t V = f->model->tokens.vocab_size, first = f->T / 2;
    OK(lf_kv_cache_new(&cache, f->model, f->T, &err));
    lf_model_lm_head(f->model, false, &head);
    const void *logits = NULL;
    for (int64_t from = 0; from < f->T; from += first) {
        const int64_t n = f->T - from < first ? f->T - from : first;
        lf_graph_begin(f->g, false, false, 0);
        const lf_tensor *hidden = lf_lm_hidden_cached(f->model, f->g, ids_of(c, 0) + from, n, cache);
        OK(lf_graph_status(f->g, &err));
        logits = lf_lm_logits(f->g, (const float *)hidden->data + hidden->numel - f->model->hidden_size, 1, &head);
    }
    OK(lf_graph_status(f->g, &err));
    check_close("cached logits", logits, theirs(c, "logits_after", NULL) + (f->T - 1) * V, V, 1e-4);
    lf_kv_cache_free(cache);
}

/* A start that is subtracted, or has a factor of zeros, leaves the base as it was, bit for bit, on an embedding and an
 * output layer too. */
static void check_starts(const variant *v, const lf_kernels *k) {
    static const char *const starts[] = {"pissa", "milora", "intermediate", "slice_random",
                                         "olora", "mica",   "slice_zero"};
    for (size_t i = 0; has_ends(v) && is_lm(v) && i < sizeof starts / sizeof *starts; i++) {
        varied c;
        lf_adapter *a;
        lf_adapter_opts opts;
        open_varied(&c, v, k);
        lf_config *cfg = config_of(v);
        OK(lf_adapter_opts_read(&opts, cfg, &err));
        opts.init = starts[i];
        opts.use_rslora = false; /* PEFT refuses it beside patterns */
        opts.position = (lf_position){LF_POSITION_FRACTION, 0.5};
        float *untouched = copy_of(logits_now(&c, true));
        OK(lf_adapter_new(&a, &c.f.model->nn, &opts, &err));
        for (int64_t j = 0; j < lf_adapter_count(a); j++) {
            const lf_lora *l = lf_adapter_module(a, j)->lora;
            float *A = l->A.data;
            const bool A_is_zero = k->sum_squares(A, l->A.numel) == 0,
                       B_is_zero = k->sum_squares(l->B.data, l->B.numel) == 0;
            if (l->A0)
                assert_true(!memcmp(A, l->A0, (size_t)l->A.numel * sizeof(float)) && !A_is_zero && !B_is_zero);
            else
                assert_true(l->B_is_held ? A_is_zero && !B_is_zero : B_is_zero && !A_is_zero);
        }
        check_logits_now(&c, false, untouched, 0);
        lf_free(untouched);
        lf_adapter_free(a);
        lf_config_free(cfg);
        close_varied(&c);
    }
}

/* PEFT's file gives PEFT's logits; what is written of it has the same names, and gives them again. */
static void check_file(const variant *v, const lf_kernels *k) {
    varied c;
    char *ours = scratch();
    open_varied(&c, v, k);
    lf_adapter *a = apply(&c, c.dir);
    check_logits_now(&c, false, theirs(&c, "logits_after", NULL), 1e-4);
    if (has_ends(v) && is_lm(v)) check_cached(&c);
    const lf_adapter_facts facts = {.base_path = v->base,
                                    .head = c.f.model->head.module,
                                    .num_labels = c.f.model->head.n_labels,
                                    .id2label = c.f.model->head.labels,
                                    .task_type = is_lm(v) ? "CAUSAL_LM" : NULL};
    OK(lf_adapter_save(a, &c.f.model->nn, ours, &facts, &err));
    lf_adapter_free(a);
    check_same_tensors(c.dir, ours);
    a = apply(&c, ours);
    check_logits_now(&c, false, theirs(&c, "logits_after", NULL), 1e-4);
    lf_adapter_free(a);
    OK(lf_remove_tree(ours, &err));
    close_varied(&c);
}

/* What PEFT wrote a second time, under another name, would still be of the whole adapter. */
static void check_nothing_second(const char *dir) {
    static const char *const seconds[] = {".original_module.", ".modules_to_save."};
    lf_safetensors *st;
    char *path = lf_path_join(dir, "adapter_model.safetensors");
    OK(lf_safetensors_open(&st, path, &err));
    lf_free(path);
    for (int64_t i = 0; i < lf_safetensors_count(st); i++)
        for (int k = 0; k < 2; k++)
            if (strstr(lf_safetensors_at(st, i)->name, seconds[k])) fail_msg("%s", lf_safetensors_at(st, i)->name);
    lf_safetensors_close(st);
}

/* PEFT's file at half its size, with what is saved beside the factors and a vocabulary that has grown, is what is
 * written of it. */
static void check_scaled(const variant *v, const lf_kernels *k) {
    varied c;
    char *ours = scratch();
    lf_adapter_file *file;
    lf_adapter *a;
    if (strstr(v->name, "dora")) return; /* refused */
    open_varied(&c, v, k);
    OK(lf_adapter_open(&file, c.dir, &err));
    OK(lf_adapter_apply(&a, file, &c.f.model->nn, c.f.model->head.module, c.f.model->hash, &err));
    lf_model_take_vocabulary(c.f.model);
    OK(lf_adapter_set_scale(a, 0.5, &err));
    float *half = copy_of(logits_now(&c, false));
    OK(lf_adapter_save_scaled(a, file, ours, "", &err));
    lf_adapter_free(a);
    lf_adapter_close(file);
    check_nothing_second(ours);
    a = apply(&c, ours);
    check_logits_now(&c, false, half, 0);
    lf_adapter_free(a);
    lf_free(half);
    OK(lf_remove_tree(ours, &err));
    close_varied(&c);
}

static lf_status merge(void *context, const lf_module *m, float *W, lf_err *why) {
    (void)context;
    return lf_adapter_merge(m, W, why);
}

/* The merged model gives them without an adapter. */
static void check_merged(const variant *v, const lf_kernels *k) {
    varied c;
    char *dir = scratch();
    lf_model *base;
    lf_adapter_file *file;
    lf_adapter *a;
    open_varied(&c, v, k);
    if (!is_lm(v)) { /* a head of other labels is the business of eval/adapted.h */
        close_varied(&c);
        return;
    }
    OK(lf_model_open(&base, c.f.dir, &(lf_model_opts){.k = k, .load = LF_LOAD_NOTHING}, &err));
    OK(lf_adapter_open(&file, c.dir, &err));
    OK(lf_adapter_apply(&a, file, &base->nn, NULL, base->hash, &err));
    lf_model_take_vocabulary(base);
    OK(lf_model_write(base, dir, LF_F32, merge, NULL, &err));
    lf_adapter_free(a);
    lf_adapter_close(file);
    lf_model_free(base);
    lf_model_free(c.f.model);
    OK(lf_model_open(&c.f.model, dir, &(lf_model_opts){.k = k, .load = LF_LOAD_FROZEN}, &err));
    check_logits_now(&c, false, theirs(&c, "logits_after", NULL), 1e-4);
    OK(lf_remove_tree(dir, &err));
    close_varied(&c);
}

/* ---- all ---- */

static void each(void (*check)(const variant *v, const lf_kernels *k), const char *precision) {
    const lf_kernels *k[8];
    const int n = lf_kernels_available(precision, k, 8);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < N_VARIANTS; j++) check(&variants[j], k[i]);
    assert_int_equal(lf_alloc_live(), 0);
}

static void test_training(void **state) {
    (void)state;
    each(check_training, "fp32");
    each(check_training, "bf16");
}

static void test_files(void **state) {
    (void)state;
    each(check_file, "fp32");
}

static void test_scaled(void **state) {
    (void)state;
    each(check_scaled, "fp32");
}

static void test_subtracted(void **state) {
    (void)state;
    each(check_starts, "fp32");
}

static void test_merged(void **state) {
    (void)state;
    each(check_merged, "fp32");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_training), cmocka_unit_test(test_files),
                                       cmocka_unit_test(test_scaled), cmocka_unit_test(test_subtracted),
                                       cmocka_unit_test(test_merged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
