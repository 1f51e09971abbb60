/* BertModel and its relatives as transformers has them (Devlin et al. 2019): learned positions, post-norm blocks, every
 * token sees both sides. What says classes looks at the first token; what says masked tokens, at all. The relatives
 * differ in names, in the layer before the classifier and in how positions count, which are a table. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "model/family.h"

typedef enum part { Q, K, V, O, NORM_1, FC1, FC2, NORM_2, N_PARTS } part;

typedef struct layer {
    lf_module *parts[N_PARTS];
    lf_group *attention; /* q, k, v; k, v in the last layer, whose q may be that of the first token alone */
    const lf_model *model;
} layer;

typedef struct bert {
    const struct relative *relative;
    int64_t heads, intermediate_size, rows, types; /* rows of the table of positions; kinds of token types, 0: none */
    int64_t pad;
    double epsilon, dropout, attention_dropout, head_dropout, initializer_range;
    bool sinusoids; /* the positions of a new model */
    lf_activation_kind activation, of_masked;
    lf_param *positions, *token_types;
    lf_module *norm, *transform, *transform_norm;
    layer *layers;
} bert;

/* ---- the relatives ---- */

/* Names of a layer's parts, below the layer's own. */
typedef const char *const part_names[N_PARTS];
static part_names of_bert = {
    "attention.self.query",       "attention.self.key", "attention.self.value", "attention.output.dense",
    "attention.output.LayerNorm", "intermediate.dense", "output.dense",         "output.LayerNorm"};
static part_names of_distilbert = {"attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin",
                                   "sa_layer_norm",   "ffn.lin1",        "ffn.lin2",        "output_layer_norm"};

/* Keys of config.json for the same things. */
typedef struct keys {
    const char *hidden_size, *n_layers, *heads, *intermediate_size, *activation, *dropout, *attention_dropout,
        *head_dropout;
} keys;
static const keys bert_keys = {
    "hidden_size", "num_hidden_layers",   "num_attention_heads",          "intermediate_size",
    "hidden_act",  "hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"};
static const keys distilbert_keys = {"dim",        "n_layers", "n_heads",           "hidden_dim",
                                     "activation", "dropout",  "attention_dropout", "seq_classif_dropout"};

/* The layer between the first token's state and the classifier. */
typedef struct inner_layer {
    const char *name;
    lf_activation_kind activation;
    bool of_head;        /* it is trained with the classifier, not with the body */
    bool dropout_before; /* and not only after */
} inner_layer;

typedef struct masked_names {
    const char *transform, *norm, *decoder, *bias;
} masked_names;

static const char *const bert_targets[] = {"query", "value", NULL};

static const struct relative {
    const char *model_type, *body, *layers;
    part_names *parts;
    const keys *keys;
    inner_layer inner;
    const char *classifier;
    masked_names masked;
    bool gelu_masked;           /* the masked head's activation is GELU whatever config.json says of the others */
    bool types;                 /* it has token types */
    int64_t pad;                /* its pad_token_id, if config.json does not say; < 0: positions count from 0 */
    const char *const *targets; /* PEFT's; NULL: it has none */
} relatives[] = {
    {"bert",
     "bert",
     "encoder.layer",
     &of_bert,
     &bert_keys,
     {"bert.pooler.dense", LF_TANH, false, false},
     "classifier",
     {"cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.decoder",
      "cls.predictions.bias"},
     false,
     true,
     -1,
     bert_targets},
    {"roberta",
     "roberta",
     "encoder.layer",
     &of_bert,
     &bert_keys,
     {"classifier.dense", LF_TANH, true, true},
     "classifier.out_proj",
     {"lm_head.dense", "lm_head.layer_norm", "lm_head.decoder", "lm_head.bias"},
     true,
     true,
     1,
     bert_targets},
    {"xlm-roberta",
     "roberta",
     "encoder.layer",
     &of_bert,
     &bert_keys,
     {"classifier.dense", LF_TANH, true, true},
     "classifier.out_proj",
     {"lm_head.dense", "lm_head.layer_norm", "lm_head.decoder", "lm_head.bias"},
     true,
     true,
     1,
     bert_targets},
    {"distilbert",
     "distilbert",
     "transformer.layer",
     &of_distilbert,
     &distilbert_keys,
     {"pre_classifier", LF_RELU, true, false},
     "classifier",
     {"vocab_transform", "vocab_layer_norm", "vocab_projector", NULL},
     false,
     false,
     -1,
     NULL},
};

static const struct relative *relative_of(const lf_model *m) {
    const struct relative *r = relatives;
    while (strcmp(r->model_type, m->family->model_type) != 0) r++;
    return r;
}

/* ---- config.json ---- */

static lf_status read_sizes(lf_model *m, bert *v, lf_err *err) {
    const keys *k = v->relative->keys;
    const struct {
        const char *key;
        int64_t fallback, max, *to;
    } sizes[] = {
        {"vocab_size", 30522, 1 << 24, &m->tokens.vocab_size},
        {k->hidden_size, 768, 65536, &m->hidden_size},
        {k->n_layers, v->relative->types ? 12 : 6, 1024, &m->n_layers},
        {k->heads, 12, 4096, &v->heads},
        {k->intermediate_size, 3072, 1 << 20, &v->intermediate_size},
        {"max_position_embeddings", 512, 1 << 24, &v->rows},
    };
    lf_status rc = LF_OK;
    for (size_t i = 0; !rc && i < sizeof sizes / sizeof sizes[0]; i++)
        rc = lf_family_size(m, sizes[i].key, sizes[i].fallback, sizes[i].max, sizes[i].to, err);
    if (!rc && v->relative->types) rc = lf_family_size(m, "type_vocab_size", 2, 1 << 24, &v->types, err);
    return rc ? rc : lf_family_multiple(m, k->hidden_size, m->hidden_size, k->heads, v->heads, err);
}

static bool is_given(const lf_model *m, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(m->config, key);
    return item && !cJSON_IsNull(item);
}

static lf_status read_dropouts(const lf_model *m, bert *v, lf_err *err) {
    const keys *k = v->relative->keys;
    lf_status rc;
    if ((rc = lf_family_share(m, k->dropout, 0.1, &v->dropout, err)) ||
        (rc = lf_family_share(m, k->attention_dropout, 0.1, &v->attention_dropout, err)))
        return rc;
    v->head_dropout = v->relative->types ? v->dropout : 0.2; /* where it is not given, or null */
    return is_given(m, k->head_dropout) ? lf_family_share(m, k->head_dropout, 0, &v->head_dropout, err) : LF_OK;
}

/* position_embedding_type is of transformers 4, where there were others than learned ones. */
static lf_status refuse_others(const lf_model *m, lf_err *err) {
    const char *positions;
    lf_status rc;
    if ((rc = lf_family_check_class(m, false, err)) || (rc = lf_family_refuse(m, "is_decoder", "a decoder is", err)) ||
        (rc = lf_family_refuse(m, "add_cross_attention", "cross attention is", err)) ||
        (rc = lf_json_get_str(m->config, "position_embedding_type", "absolute", &positions, m->config_path, err)))
        return rc;
    if (strcmp(positions, "absolute") == 0) return LF_OK;
    return lf_fail(err, LF_EUNSUPPORTED,
                   "%s: key 'position_embedding_type': '%s' is not supported for %s; known: absolute", m->config_path,
                   positions, m->family->model_type);
}

/* Positions begin behind that of padding: as many rows are no token's. */
static lf_status read_positions(lf_model *m, bert *v, lf_err *err) {
    m->tokens.max_positions = v->rows;
    v->pad = -1;
    if (v->relative->pad < 0) return LF_OK;
    const lf_status rc = lf_json_get_i64(m->config, "pad_token_id", v->relative->pad, &v->pad, m->config_path, err);
    if (rc) return rc;
    if (v->pad >= 0 && v->pad < v->rows - 1) {
        m->tokens.max_positions -= v->pad + 1;
        return LF_OK;
    }
    return lf_fail(err, LF_EDATA,
                   "%s: key 'pad_token_id': positions begin behind it, so it has to be in 0 to %lld (by "
                   "max_position_embeddings), found %lld",
                   m->config_path, (long long)v->rows - 2, (long long)v->pad);
}

static lf_status read_config(lf_model *m, bert *v, lf_err *err) {
    lf_status rc;
    if ((rc = refuse_others(m, err)) || (rc = read_sizes(m, v, err)) || (rc = read_dropouts(m, v, err)) ||
        (rc = read_positions(m, v, err)) ||
        (rc = lf_family_activation(m, v->relative->keys->activation, "gelu", &v->activation, err)) ||
        (rc = lf_json_get_f64(m->config, "initializer_range", 0.02, &v->initializer_range, m->config_path, err)) ||
        (rc = lf_json_get_bool(m->config, "tie_word_embeddings", true, &m->tied, m->config_path, err)))
        return rc;
    v->of_masked = v->relative->gelu_masked ? LF_GELU : v->activation;
    v->epsilon = 1e-12;
    if (v->relative->types) return lf_family_positive(m, "layer_norm_eps", 1e-12, &v->epsilon, err);
    return lf_json_get_bool(m->config, "sinusoidal_pos_embds", false, &v->sinusoids, m->config_path, err);
}

/* ---- the table of modules ---- */

static bool declare_layer(lf_model *m, const bert *v, layer *l, int64_t number) {
    const int64_t C = m->hidden_size, I = v->intermediate_size;
    const int64_t out[N_PARTS] = {C, C, C, C, 0, I, C, 0}, in[N_PARTS] = {C, C, C, C, C, C, I, C}; /* 0: norms */
    const bool last = number + 1 == m->n_layers;
    lf_layer_part parts[N_PARTS];
    char layers[64];
    l->model = m;
    snprintf(layers, sizeof layers, "%s.%s", v->relative->body, v->relative->layers);
    for (int i = 0; i < N_PARTS; i++)
        parts[i] = (lf_layer_part){&l->parts[i], out[i], in[i], true, (*v->relative->parts)[i], NULL, false};
    return lf_family_layer(&m->nn, layers, layers, number, parts, N_PARTS) &&
           !lf_nn_group(&m->nn, &l->attention, l->parts + last, 3 - last, NULL);
}

/* "<body>.embeddings.<name>", rows of a table that is looked up; rows_key says how many. NULL: out of memory. */
static lf_param *table(lf_model *m, const bert *v, const char *name, int64_t rows, const char *rows_key) {
    char path[96];
    snprintf(path, sizeof path, "%s.embeddings.%s", v->relative->body, name);
    lf_module *module = lf_nn_module(&m->nn, LF_MODULE_EMBEDDING, m->hidden_size, rows, path, path);
    if (!module) return NULL;
    module->weight = lf_nn_param(&m->nn, path, path, "weight", 2, (int64_t[]){rows, m->hidden_size}, false);
    if (module->weight) module->weight->rows_key = rows_key;
    return module->weight;
}

static bool declare_embeddings(lf_model *m, bert *v) {
    char words[96], norm[96];
    snprintf(words, sizeof words, "%s.embeddings.word_embeddings", v->relative->body);
    snprintf(norm, sizeof norm, "%s.embeddings.LayerNorm", v->relative->body);
    if (!lf_family_embedding(m, words)) return false;
    lf_family_padding(m, v->relative->pad < 0 ? 0 : v->relative->pad);
    return (v->positions = table(m, v, "position_embeddings", v->rows, "max_position_embeddings")) &&
           (!v->types || (v->token_types = table(m, v, "token_type_embeddings", v->types, "type_vocab_size"))) &&
           (v->norm = lf_family_norm(&m->nn, m->hidden_size, true, norm, NULL));
}

static bool declare_masked_head(lf_model *m, bert *v) {
    const masked_names *names = &v->relative->masked;
    const int64_t C = m->hidden_size;
    if (!(v->transform = lf_family_linear(&m->nn, C, C, true, names->transform, NULL)) ||
        !(v->transform_norm = lf_family_norm(&m->nn, C, true, names->norm, NULL)))
        return false;
    v->transform->head = v->transform_norm->head = LF_MASKED_HEAD;
    return lf_family_masked_head(m, names->decoder, true, names->bias);
}

static bool declare_heads(lf_model *m, bert *v) {
    const inner_layer *inner = &v->relative->inner;
    const int64_t C = m->hidden_size;
    lf_module *made = m->head.inner[0] = lf_family_linear(&m->nn, C, C, true, inner->name, NULL);
    if (!made) return false;
    made->feeds_head = true;
    if (inner->of_head) made->head = LF_CLASS_HEAD;
    return lf_family_classifier(m, C, true, v->relative->classifier) && declare_masked_head(m, v);
}

static lf_status bert_declare(lf_model *m, lf_err *err) {
    bert *v = m->impl = lf_arena_alloc(m->nn.arena, sizeof *v);
    if (!v) return lf_no_memory(err, "%s", m->path);
    *v = (bert){.relative = relative_of(m)};
    m->nn.default_targets = v->relative->targets;
    const lf_status rc = read_config(m, v, err);
    if (rc) return rc;
    v->layers = lf_arena_alloc(m->nn.arena, (size_t)m->n_layers * sizeof *v->layers);
    bool ok = v->layers && declare_embeddings(m, v);
    for (int64_t i = 0; ok && i < m->n_layers; i++) ok = declare_layer(m, v, &v->layers[i], i);
    return ok && declare_heads(m, v) ? LF_OK : lf_no_memory(err, "the table of modules of %s", m->path);
}

/* Positions of distilbert may begin as those of Vaswani et al. 2017: sine and cosine side by side. */
static void sinusoids(const lf_param *p, float *out) {
    const int64_t C = p->tensor.shape[1];
    for (int64_t i = 0; i < p->tensor.numel; i++) {
        const int64_t j = i % C;
        const double angle = (double)(i / C) / pow(10000, (double)(j / 2 * 2) / (double)C);
        out[i] = (float)(j % 2 ? cos(angle) : sin(angle));
    }
}

static void bert_init_param(const lf_model *m, const lf_param *p, lf_rng_key key, float *out) {
    const bert *v = m->impl;
    if (v->sinusoids && p == v->positions)
        sinusoids(p, out);
    else
        lf_family_init_param(p, key, v->initializer_range, out);
}

/* ---- forward: embeddings ---- */

/* Which row of the table of positions is a token's: they count from 0; those of roberta from behind pad's, and pad
 * tokens, wherever they stand, have pad's own. What stands behind a text is looked at by nobody. */
static int32_t *rows_of_positions(const bert *v, lf_graph *g, const lf_model_input *in) {
    int32_t *rows = lf_graph_take_bytes(g, in->B * in->T * (int64_t)sizeof *rows);
    for (int64_t b = 0; rows && b < in->B; b++) {
        int32_t next = (int32_t)v->pad + 1;
        for (int64_t t = 0; t < in->T; t++) {
            const bool counts = t < lf_text_length(in, b) && !(v->pad >= 0 && in->ids[b * in->T + t] == v->pad);
            rows[b * in->T + t] = counts ? next++ : (int32_t)(v->pad > 0 ? v->pad : 0);
        }
    }
    return rows;
}

/* A tokenizer may give a second text a type that the model has none of: another model's. */
static bool check_types(const lf_model *m, lf_graph *g, const lf_model_input *in) {
    const bert *v = m->impl;
    for (int64_t i = 0; v->types && in->token_types && i < in->B * in->T; i++) {
        if (in->token_types[i] >= 0 && in->token_types[i] < v->types) continue;
        lf_graph_fail(g, LF_EDATA,
                      "%s: the tokenizer gives a token type %d, but key 'type_vocab_size' in %s says %lld; is the "
                      "tokenizer that of another model?",
                      m->path, in->token_types[i], m->config_path, (long long)v->types);
        return false;
    }
    return true;
}

static lf_tensor *embed(const lf_model *m, const lf_pass *pass, lf_graph *g) {
    const bert *v = m->impl;
    const lf_model_input *in = &pass->in;
    const bool good = lf_family_check_lengths(m, g, in) && check_types(m, g, in);
    int32_t *rows = good ? rows_of_positions(v, g, in) : NULL;
    if (!rows) return NULL;
    lf_tensor *x = lf_family_embed(m, g, pass, &v->positions->tensor, rows);
    const int32_t *types = in->token_types;
    if (v->types && !types) {
        int32_t *zeros = lf_graph_take_bytes(g, in->B * in->T * (int64_t)sizeof *zeros);
        if (zeros) memset(zeros, 0, (size_t)(in->B * in->T) * sizeof *zeros);
        types = zeros;
    }
    if (v->types) {
        if (!types) return NULL;
        x = lf_nn_residual(g, x, lf_embed(g, types, in->B, in->T, &v->token_types->tensor, NULL, NULL, NULL));
    }
    x = lf_nn_then(g, x, lf_nn_layernorm(g, v->norm, x, v->epsilon));
    return lf_dropout(g, x, v->dropout);
}

/* ---- forward: layers ---- */

static lf_attention_opts attention_opts(const bert *v, const lf_pass *pass) {
    return (lf_attention_opts){
        .heads = v->heads, .kv_heads = v->heads, .lengths = pass->in.lengths, .dropout = v->attention_dropout};
}

/* norm(x + dropout(branch)); both are done. */
static lf_tensor *add_and_norm(const bert *v, lf_graph *g, lf_module *norm, lf_tensor *x, lf_tensor *branch) {
    lf_tensor *sum = lf_nn_residual(g, x, lf_dropout(g, branch, v->dropout));
    return lf_nn_then(g, sum, lf_nn_layernorm(g, norm, sum, v->epsilon));
}

/* The rest of a layer, of what attention made: x is what the layer was given, of the same tokens. */
static lf_tensor *after_attention(const bert *v, const layer *l, const lf_pass *pass, lf_graph *g, lf_tensor *x,
                                  lf_tensor *attended) {
    lf_module *const *p = l->parts;
    lf_tensor *o = lf_nn_then(g, attended, lf_nn_linear(g, pass->base, p[O], attended));
    x = add_and_norm(v, g, p[NORM_1], x, o);
    lf_tensor *up = lf_nn_linear(g, pass->base, p[FC1], x);
    lf_tensor *act = lf_nn_then(g, up, lf_activation(g, up, v->activation));
    lf_tensor *down = lf_nn_then(g, act, lf_nn_linear(g, pass->base, p[FC2], act));
    return add_and_norm(v, g, p[NORM_2], x, down);
}

static lf_tensor *build_layer(const void *layer_, const lf_pass *pass, lf_graph *g, lf_tensor *x) {
    const layer *l = layer_;
    const bert *v = l->model->impl;
    const lf_attention_opts opts = attention_opts(v, pass);
    lf_tensor *qkv = lf_nn_linear_group(g, pass->base, l->attention, x);
    return after_attention(v, l, pass, g, x, lf_nn_then(g, qkv, lf_attention(g, qkv, &opts)));
}

/* The last layer for `some` of the tokens of x, which are its first [B,C] or all [B,T,C]; x is not done. */
static lf_tensor *last_layer(const lf_model *m, const lf_pass *pass, lf_graph *g, lf_tensor *x, lf_tensor *some) {
    const bert *v = m->impl;
    const layer *l = &v->layers[m->n_layers - 1];
    const lf_attention_opts opts = attention_opts(v, pass);
    lf_tensor *kv = lf_nn_linear_group(g, pass->base, l->attention, x),
              *q = lf_nn_linear(g, pass->base, l->parts[Q], some);
    lf_tensor *attended = lf_attention_of(g, q, kv, &opts);
    lf_done(g, q);
    lf_done(g, kv);
    return after_attention(v, l, pass, g, some, attended);
}

static lf_tensor *to_last_layer(const lf_model *m, const lf_pass *pass, lf_graph *g) {
    const bert *v = m->impl;
    return lf_model_layers(g, build_layer, pass, v->layers, sizeof *v->layers, m->n_layers - 1,
                           m->gradient_checkpointing, lf_pass_begins_late(pass) ? NULL : embed(m, pass, g));
}

/* ---- forward: heads ---- */

/* The head's own layers are in full precision, as the classifier is. */
static lf_tensor *through_inner(const bert *v, const lf_pass *pass, lf_graph *g, lf_module *inner, lf_tensor *x) {
    const inner_layer *kind = &v->relative->inner;
    if (inner->head) x = lf_to_real(g, x);
    if (kind->dropout_before) x = lf_dropout(g, x, v->head_dropout);
    x = lf_nn_then(g, x, lf_nn_linear(g, pass->base, inner, x));
    return lf_dropout(g, lf_nn_then(g, x, lf_activation(g, x, kind->activation)), v->head_dropout);
}

static lf_tensor *bert_features(const lf_model *m, lf_graph *g, lf_pass *pass) {
    lf_module *inner = lf_head_layer(m, pass, 0);
    lf_tensor *x = to_last_layer(m, pass, g), *first = lf_select_token(g, x, 0);
    first = lf_nn_then(g, x, last_layer(m, pass, g, x, first));
    return lf_to_real(g, inner ? through_inner(m->impl, pass, g, inner, first) : first);
}

static lf_tensor *bert_masked(const lf_model *m, lf_graph *g, lf_pass *pass) {
    const bert *v = m->impl;
    lf_tensor *x = to_last_layer(m, pass, g);
    x = last_layer(m, pass, g, x, x);
    lf_tensor *h = lf_nn_then(g, x, lf_nn_linear(g, true, v->transform, x));
    h = lf_nn_then(g, h, lf_activation(g, h, v->of_masked));
    return lf_nn_then(g, h, lf_nn_layernorm(g, v->transform_norm, h, v->epsilon));
}

/* Heads of other tasks; buffers of old files; and roberta's and xlm-roberta's poolers, which their classifiers do not
 * read. */
static const char *const unused[] = {"cls.seq_relationship.", "qa_outputs.", ".position_ids", ".token_type_ids", NULL};
static const char *const unused_of_roberta[] = {"qa_outputs.",   "roberta.pooler.", "pooler.",
                                                ".position_ids", ".token_type_ids", NULL};

#define RELATIVE(name, type, prefix_, class, unused_)                                                                  \
    const lf_family lf_family_##name = {.model_type = type,                                                            \
                                        .input = LF_TOKENS,                                                            \
                                        .prefix = prefix_,                                                             \
                                        .unused = unused_,                                                             \
                                        .declare = bert_declare,                                                       \
                                        .init_param = bert_init_param,                                                 \
                                        .features = bert_features,                                                     \
                                        .masked = bert_masked,                                                         \
                                        .class_name = class "ForSequenceClassification"};
RELATIVE(bert, "bert", "bert.", "Bert", unused)
RELATIVE(roberta, "roberta", "roberta.", "Roberta", unused_of_roberta)
RELATIVE(xlm_roberta, "xlm-roberta", "roberta.", "XLMRoberta", unused_of_roberta)
RELATIVE(distilbert, "distilbert", "distilbert.", "DistilBert", unused)
