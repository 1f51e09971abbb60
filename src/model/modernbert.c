/* ModernBERT as transformers has it (Warner et al. 2024): an encoder of pre-norm blocks with rotary positions and gated
 * MLPs; most layers see the tokens nearby alone, and turn them by other frequencies than the layers that see all. Norms
 * may have no bias. The classifier and the masked-language-model head share the layers before them, `head`. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "model/family.h"

enum { ROPE_FULL, ROPE_NEARBY, N_ROPES };
enum { DENSE, NORM }; /* the layers before both heads */

typedef struct layer {
    lf_module *attn_norm, *Wqkv, *attn_Wo, *mlp_norm, *Wi, *mlp_Wo; /* attn_norm NULL in the first layer */
    const lf_model *model;
    int64_t window; /* seen to either side; 0: all */
} layer;

typedef struct modernbert {
    int64_t heads, head_dim, intermediate_size;
    double epsilon, embedding_dropout, attention_dropout, mlp_dropout, classifier_dropout;
    double initializer_range, cutoff; /* of random weights: in standard deviations */
    bool norm_bias, attention_bias, mlp_bias, classifier_bias, decoder_bias;
    bool mean; /* of all tokens, for the classifier; else the first token */
    lf_activation_kind activation, of_head;
    lf_module *embedding_norm, *final_norm;
    lf_tensor no_bias; /* [hidden_size] zeros, of norms without one */
    layer *layers;
    int64_t *windows; /* [n_layers] */
    lf_rope_table ropes[N_ROPES];
} modernbert;

/* ---- config.json ---- */

static lf_status read_sizes(lf_model *m, modernbert *v, lf_err *err) {
    const struct {
        const char *key;
        int64_t fallback, max, *to;
    } sizes[] = {
        {"vocab_size", 50368, 1 << 24, &m->tokens.vocab_size},
        {"hidden_size", 768, 65536, &m->hidden_size},
        {"intermediate_size", 1152, 1 << 20, &v->intermediate_size},
        {"num_hidden_layers", 22, 1024, &m->n_layers},
        {"num_attention_heads", 12, 4096, &v->heads},
        {"max_position_embeddings", 8192, 1 << 27, &m->tokens.max_positions},
    };
    lf_status rc = LF_OK;
    for (size_t i = 0; !rc && i < sizeof sizes / sizeof sizes[0]; i++)
        rc = lf_family_size(m, sizes[i].key, sizes[i].fallback, sizes[i].max, sizes[i].to, err);
    if (rc || (rc = lf_family_multiple(m, "hidden_size", m->hidden_size, "num_attention_heads", v->heads, err)))
        return rc;
    v->head_dim = m->hidden_size / v->heads;
    if (v->head_dim % 2 == 0) return LF_OK;
    return lf_fail(err, LF_EUNSUPPORTED,
                   "%s: key 'hidden_size': heads of %lld numbers are odd, and rotary embeddings need pairs",
                   m->config_path, (long long)v->head_dim);
}

static lf_status read_numbers(const lf_model *m, modernbert *v, lf_err *err) {
    const struct {
        const char *key;
        double fallback, *to;
    } shares[] = {
        {"embedding_dropout", 0, &v->embedding_dropout},
        {"attention_dropout", 0, &v->attention_dropout},
        {"mlp_dropout", 0, &v->mlp_dropout},
        {"classifier_dropout", 0, &v->classifier_dropout},
    };
    lf_status rc = LF_OK;
    for (size_t i = 0; !rc && i < sizeof shares / sizeof shares[0]; i++)
        rc = lf_family_share(m, shares[i].key, shares[i].fallback, shares[i].to, err);
    if (rc || (rc = lf_family_positive(m, "norm_eps", 1e-5, &v->epsilon, err)) ||
        (rc = lf_family_positive(m, "initializer_cutoff_factor", 2, &v->cutoff, err)))
        return rc;
    return lf_json_get_f64(m->config, "initializer_range", 0.02, &v->initializer_range, m->config_path, err);
}

static lf_status read_switches(lf_model *m, modernbert *v, lf_err *err) {
    const struct {
        const char *key;
        bool fallback, *to;
    } switches[] = {
        {"norm_bias", false, &v->norm_bias},      {"attention_bias", false, &v->attention_bias},
        {"mlp_bias", false, &v->mlp_bias},        {"classifier_bias", false, &v->classifier_bias},
        {"decoder_bias", true, &v->decoder_bias}, {"tie_word_embeddings", true, &m->tied},
    };
    lf_status rc = LF_OK;
    for (size_t i = 0; !rc && i < sizeof switches / sizeof switches[0]; i++)
        rc = lf_json_get_bool(m->config, switches[i].key, switches[i].fallback, switches[i].to, m->config_path, err);
    return rc;
}

static lf_status read_pooling(const lf_model *m, modernbert *v, lf_err *err) {
    const char *pooling;
    const lf_status rc = lf_json_get_str(m->config, "classifier_pooling", "cls", &pooling, m->config_path, err);
    if (rc) return rc;
    v->mean = strcmp(pooling, "mean") == 0;
    if (v->mean || strcmp(pooling, "cls") == 0) return LF_OK;
    return lf_fail(err, LF_EUNSUPPORTED, "%s: key 'classifier_pooling': '%s' is not supported; known: cls, mean",
                   m->config_path, pooling);
}

/* local_attention counts both sides. The first layer sees all, and then every so manieth, unless layer_types says. */
static lf_status read_windows(const lf_model *m, modernbert *v, lf_err *err) {
    int64_t both, every;
    lf_status rc;
    if ((rc = lf_family_size(m, "local_attention", 128, INT32_MAX, &both, err)) ||
        (rc = lf_family_size(m, "global_attn_every_n_layers", 3, INT32_MAX, &every, err)))
        return rc;
    if (both < 2)
        return lf_fail(err, LF_EUNSUPPORTED, "%s: key 'local_attention': expected at least 2, found %lld",
                       m->config_path, (long long)both);
    for (int64_t i = 0; i < m->n_layers; i++) v->windows[i] = i % every ? both / 2 : 0;
    return lf_family_layer_types(m, both / 2, false, "local_attention", v->windows, err);
}

static lf_status read_ropes(lf_model *m, modernbert *v, lf_err *err) {
    static const lf_rope_keys keys[N_ROPES] = {
        /* ROPE_FULL, ROPE_NEARBY */
        {.theta_key = "global_rope_theta", .theta = 160000, .layers = "full_attention", .scaled = true},
        {.theta_key = "local_rope_theta", .theta = 10000, .layers = "sliding_attention", .scaled = true},
    };
    lf_status rc = LF_OK;
    for (int i = 0; !rc && i < N_ROPES; i++) rc = lf_rope_read(&v->ropes[i], m, v->head_dim, &keys[i], err);
    if (!rc) lf_rope_limits(m, v->ropes, N_ROPES);
    return rc;
}

static lf_status read_config(lf_model *m, modernbert *v, lf_err *err) {
    lf_status rc;
    if ((rc = lf_family_check_class(m, true, err)) || (rc = read_sizes(m, v, err)) || (rc = read_numbers(m, v, err)) ||
        (rc = read_switches(m, v, err)) || (rc = read_pooling(m, v, err)) ||
        (rc = lf_family_activation(m, "hidden_activation", "gelu", &v->activation, err)))
        return rc;
    return lf_family_activation(m, "classifier_activation", "gelu", &v->of_head, err);
}

/* ---- the table of modules ---- */

static bool declare_layer(lf_model *m, const modernbert *v, layer *l, int64_t number) {
    const int64_t C = m->hidden_size, I = v->intermediate_size;
    l->model = m;
    l->window = v->windows[number];
    const lf_layer_part parts[] = {
        {&l->attn_norm, 0, number ? C : 0, v->norm_bias, "attn_norm", NULL, false},
        {&l->Wqkv, 3 * C, C, v->attention_bias, "attn.Wqkv", NULL, false},
        {&l->attn_Wo, C, C, v->attention_bias, "attn.Wo", NULL, false},
        {&l->mlp_norm, 0, C, v->norm_bias, "mlp_norm", NULL, false},
        {&l->Wi, 2 * I, C, v->mlp_bias, "mlp.Wi", NULL, false},
        {&l->mlp_Wo, C, I, v->mlp_bias, "mlp.Wo", NULL, false},
    };
    static const char layers[] = "model.layers";
    if (!lf_family_layer(&m->nn, layers, layers, number, parts, sizeof parts / sizeof *parts)) return false;
    l->mlp_Wo->of_gate = true;
    return true;
}

static bool declare_heads(lf_model *m, const modernbert *v) {
    lf_module **inner = m->head.inner;
    const int64_t C = m->hidden_size;
    if (!(inner[DENSE] = lf_family_linear(&m->nn, C, C, v->classifier_bias, "head.dense", NULL)) ||
        !(inner[NORM] = lf_family_norm(&m->nn, C, v->norm_bias, "head.norm", NULL)))
        return false;
    inner[DENSE]->feeds_head = inner[NORM]->feeds_head = true;
    return lf_family_classifier(m, C, true, "classifier") && lf_family_masked_head(m, "decoder", v->decoder_bias, NULL);
}

static bool make_zeros(lf_model *m, modernbert *v) {
    const int64_t C = m->hidden_size;
    const size_t size = (size_t)C * lf_dtype_size(m->nn.k->dtype);
    void *zeros = lf_arena_alloc(m->nn.arena, size);
    if (!zeros) return false;
    memset(zeros, 0, size);
    lf_tensor_init(&v->no_bias, m->nn.k->dtype, 1, &C, zeros, NULL);
    return true;
}

static lf_status modernbert_declare(lf_model *m, lf_err *err) {
    modernbert *v = m->impl = lf_arena_alloc(m->nn.arena, sizeof *v);
    if (!v) return lf_no_memory(err, "%s", m->path);
    *v = (modernbert){0};
    lf_status rc = read_config(m, v, err);
    if (rc) return rc;
    v->layers = lf_arena_alloc(m->nn.arena, (size_t)m->n_layers * sizeof *v->layers);
    v->windows = lf_arena_alloc(m->nn.arena, (size_t)m->n_layers * sizeof *v->windows);
    if (!v->layers || !v->windows || !make_zeros(m, v)) return lf_no_memory(err, "%s", m->path);
    if ((rc = read_windows(m, v, err)) || (rc = read_ropes(m, v, err))) return rc;
    bool ok = lf_family_embedding(m, "model.embeddings.tok_embeddings");
    if (ok) lf_family_padding(m, 50283);
    ok =
        ok && (v->embedding_norm = lf_family_norm(&m->nn, m->hidden_size, v->norm_bias, "model.embeddings.norm", NULL));
    for (int64_t i = 0; ok && i < m->n_layers; i++) ok = declare_layer(m, v, &v->layers[i], i);
    ok = ok && (v->final_norm = lf_family_norm(&m->nn, m->hidden_size, v->norm_bias, "model.final_norm", NULL)) &&
         declare_heads(m, v);
    return ok ? LF_OK : lf_no_memory(err, "the table of modules of %s", m->path);
}

/* Weights normal, cut off: by initializer_range, less for those that end a branch, more for the classifier. */
static void modernbert_init_param(const lf_model *m, const lf_param *p, lf_rng_key key, float *out) {
    const modernbert *v = m->impl;
    const bool weight = p->tensor.ndim > 1, norm = !weight && strstr(p->name, ".weight");
    const bool ends = strstr(p->name, ".Wo.") || strstr(p->name, "head.dense.") || strstr(p->name, "decoder.");
    const double by = strstr(p->name, "classifier.") ? 1 / sqrt((double)m->hidden_size)
                      : ends                         ? v->initializer_range / sqrt(2 * (double)m->n_layers)
                                                     : v->initializer_range;
    uint64_t draw = 0;
    for (int64_t i = 0; i < p->tensor.numel; i++) {
        const double z = weight ? lf_rng_normal_within(key, &draw, v->cutoff) : 0;
        out[i] = norm ? 1.0f : (float)(by * z);
    }
}

/* ---- forward ---- */

static lf_tensor *norm(const modernbert *v, lf_graph *g, lf_module *m, lf_tensor *x) {
    lf_tensor *none = (lf_tensor *)&v->no_bias; /* read alone */
    return lf_layernorm(g, x, &m->weight->tensor, m->bias ? &m->bias->tensor : none, v->epsilon);
}

/* What attention makes of x, before its last product. */
static lf_tensor *attend(const layer *l, const modernbert *v, const lf_pass *pass, lf_graph *g, lf_tensor *x) {
    const lf_rope_rows *turn = &pass->rotation[l->window ? ROPE_NEARBY : ROPE_FULL];
    const lf_attention_opts opts = {.heads = v->heads,
                                    .kv_heads = v->heads,
                                    .window = l->window,
                                    .lengths = pass->in.lengths,
                                    .dropout = v->attention_dropout};
    lf_tensor *h = l->attn_norm ? norm(v, g, l->attn_norm, x) : x, *qkv = lf_nn_linear(g, pass->base, l->Wqkv, h);
    if (l->attn_norm) lf_done(g, h);
    qkv = lf_nn_then(g, qkv,
                     lf_rope(g, qkv, turn->cosines, turn->sines, turn->positions, turn->turned, v->heads, v->heads));
    return lf_nn_then(g, qkv, lf_attention(g, qkv, &opts));
}

/* The rest of the layer, of the same tokens of what came in and of what attention made. */
static lf_tensor *after_attention(const layer *l, const modernbert *v, const lf_pass *pass, lf_graph *g, lf_tensor *x,
                                  lf_tensor *attended) {
    lf_tensor *o = lf_nn_then(g, attended, lf_nn_linear(g, pass->base, l->attn_Wo, attended));
    x = lf_nn_residual(g, x, lf_dropout(g, o, v->attention_dropout));
    lf_tensor *h = norm(v, g, l->mlp_norm, x), *both = lf_nn_then(g, h, lf_nn_linear(g, pass->base, l->Wi, h));
    lf_tensor *product = lf_dropout(g, lf_nn_then(g, both, lf_gated(g, both, v->activation)), v->mlp_dropout);
    return lf_nn_residual(g, x, lf_nn_then(g, product, lf_nn_linear(g, pass->base, l->mlp_Wo, product)));
}

static lf_tensor *build_layer(const void *layer_, const lf_pass *pass, lf_graph *g, lf_tensor *x) {
    const layer *l = layer_;
    const modernbert *v = l->model->impl;
    return after_attention(l, v, pass, g, x, attend(l, v, pass, g, x));
}

/* Positions count from 0 in every row. */
static const int32_t *count_positions(lf_graph *g, const lf_model_input *in) {
    int32_t *positions = lf_graph_take_bytes(g, in->B * in->T * (int64_t)sizeof *positions);
    for (int64_t i = 0; positions && i < in->B * in->T; i++) positions[i] = (int32_t)(i % in->T);
    return positions;
}

static lf_tensor *embed(const lf_model *m, lf_graph *g, const lf_pass *pass) {
    const modernbert *v = m->impl;
    lf_tensor *x = lf_family_embed(m, g, pass, NULL, NULL);
    return lf_dropout(g, lf_nn_then(g, x, norm(v, g, v->embedding_norm, x)), v->embedding_dropout);
}

/* x through the first n layers. */
static lf_tensor *body(const lf_model *m, lf_graph *g, lf_pass *pass, int64_t n) {
    const modernbert *v = m->impl;
    lf_model_input *in = &pass->in;
    if (!lf_family_check_lengths(m, g, in) || !(in->positions = count_positions(g, in)) ||
        !(pass->rotation = lf_rope_open(v->ropes, N_ROPES, g, in)))
        return NULL;
    lf_tensor *x = lf_pass_begins_late(pass) ? NULL : embed(m, g, pass);
    return lf_model_layers(g, build_layer, pass, v->layers, sizeof *v->layers, n, m->gradient_checkpointing, x);
}

/* The first token's state behind the last layer, which makes no other's. */
static lf_tensor *first_state(const lf_model *m, lf_graph *g, lf_pass *pass) {
    const modernbert *v = m->impl;
    const layer *last = &v->layers[m->n_layers - 1];
    lf_tensor *x = body(m, g, pass, m->n_layers - 1), *first = lf_select_token(g, x, 0);
    if (!x) return NULL; /* it may have failed before there was a rotation */
    lf_tensor *all = lf_nn_then(g, x, attend(last, v, pass, g, x));
    first = after_attention(last, v, pass, g, first, lf_nn_then(g, all, lf_select_token(g, all, 0)));
    return lf_nn_then(g, first, norm(v, g, v->final_norm, first));
}

static lf_tensor *all_states(const lf_model *m, lf_graph *g, lf_pass *pass) {
    const modernbert *v = m->impl;
    lf_tensor *x = body(m, g, pass, m->n_layers);
    return lf_nn_then(g, x, norm(v, g, v->final_norm, x));
}

/* norm(f(x W)) of the layers before both heads. */
static lf_tensor *through_head(const modernbert *v, bool base, lf_graph *g, lf_module *const *inner, lf_tensor *x) {
    x = lf_nn_then(g, x, lf_nn_linear(g, base, inner[DENSE], x));
    x = lf_nn_then(g, x, lf_activation(g, x, v->of_head));
    return lf_nn_then(g, x, norm(v, g, inner[NORM], x));
}

static lf_tensor *modernbert_features(const lf_model *m, lf_graph *g, lf_pass *pass) {
    const modernbert *v = m->impl;
    lf_module *const inner[] = {lf_head_layer(m, pass, DENSE), lf_head_layer(m, pass, NORM)};
    lf_tensor *x;
    if (v->mean) {
        lf_tensor *all = all_states(m, g, pass);
        x = lf_nn_then(g, all, lf_mean_tokens(g, all, 0, pass->in.lengths));
    } else
        x = first_state(m, g, pass);
    if (inner[DENSE] && inner[DENSE]->head) x = lf_to_real(g, x); /* one that is trained with the classifier */
    if (inner[DENSE] && inner[NORM]) x = through_head(v, pass->base, g, inner, x);
    return lf_to_real(g, lf_dropout(g, x, v->classifier_dropout));
}

/* Through the base's own layers, whose adapters are of the classifier. */
static lf_tensor *modernbert_masked(const lf_model *m, lf_graph *g, lf_pass *pass) {
    return through_head(m->impl, true, g, m->base_head.inner, all_states(m, g, pass));
}

static const char *const unused[] = {".rotary_emb.inv_freq", NULL};

const lf_family lf_family_modernbert = {.model_type = "modernbert",
                                        .input = LF_TOKENS,
                                        .prefix = "model.",
                                        .unused = unused,
                                        .declare = modernbert_declare,
                                        .init_param = modernbert_init_param,
                                        .features = modernbert_features,
                                        .masked = modernbert_masked,
                                        .class_name = "ModernBertForSequenceClassification"};
