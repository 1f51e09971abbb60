/* BertModel and its relatives as transformers has them (Devlin et al. 2019): learned positions, post-norm blocks, every
 * token sees both sides. What says classes looks at the first token; what says masked tokens, at all. The relatives
 * differ in names, in the layer before the classifier and in how positions count, which are a table (bert_config.c). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/bert.h"

/* ---- the table of modules ---- */

static bool declare_layer(lf_model *m, const lf_bert *v, lf_bert_layer *l, int64_t number) {
    const int64_t C = m->hidden_size, I = v->intermediate_size;
    const int64_t out[LF_BERT_PARTS] = {C, C, C, C, 0, I, C, 0},
                  in[LF_BERT_PARTS] = {C, C, C, C, C, C, I, C}; /* 0: norms */
    const bool last = number + 1 == m->n_layers;
    lf_layer_part parts[LF_BERT_PARTS];
    char layers[64];
    l->model = m;
    snprintf(layers, sizeof layers, "%s.%s", v->relative->body, v->relative->layers);
    for (int i = 0; i < LF_BERT_PARTS; i++)
        parts[i] = (lf_layer_part){&l->parts[i], out[i], in[i], true, (*v->relative->parts)[i], NULL, false};
    return lf_family_layer(&m->nn, layers, layers, number, parts, LF_BERT_PARTS) &&
           !lf_nn_group(&m->nn, &l->attention, l->parts + last, 3 - last, NULL);
}

/* "<body>.embeddings.<name>", rows of a table that is looked up; rows_key says how many. NULL: out of memory. */
static lf_param *table(lf_model *m, const lf_bert *v, const char *name, int64_t rows, const char *rows_key) {
    char path[96];
    snprintf(path, sizeof path, "%s.embeddings.%s", v->relative->body, name);
    lf_module *module = lf_nn_module(&m->nn, LF_MODULE_EMBEDDING, m->hidden_size, rows, path, path);
    if (!module) return NULL;
    module->weight = lf_nn_param(&m->nn, path, path, "weight", 2, (int64_t[]){rows, m->hidden_size}, false);
    if (module->weight) module->weight->rows_key = rows_key;
    return module->weight;
}

static bool declare_embeddings(lf_model *m, lf_bert *v) {
    char words[96], norm[96];
    snprintf(words, sizeof words, "%s.embeddings.word_embeddings", v->relative->body);
    snprintf(norm, sizeof norm, "%s.embeddings.LayerNorm", v->relative->body);
    if (!lf_family_embedding(m, words)) return false;
    lf_family_padding(m, v->relative->pad < 0 ? 0 : v->relative->pad);
    return (v->positions = table(m, v, "position_embeddings", v->rows, "max_position_embeddings")) &&
           (!v->types || (v->token_types = table(m, v, "token_type_embeddings", v->types, "type_vocab_size"))) &&
           (v->norm = lf_family_norm(&m->nn, m->hidden_size, true, norm, NULL));
}

static bool declare_masked_head(lf_model *m, lf_bert *v) {
    const lf_bert_masked_names *names = &v->relative->masked;
    const int64_t C = m->hidden_size;
    if (!(v->transform = lf_family_linear(&m->nn, C, C, true, names->transform, NULL)) ||
        !(v->transform_norm = lf_family_norm(&m->nn, C, true, names->norm, NULL)))
        return false;
    v->transform->head = v->transform_norm->head = LF_MASKED_HEAD;
    return lf_family_masked_head(m, names->decoder, true, names->bias);
}

static bool declare_heads(lf_model *m, lf_bert *v) {
    const lf_bert_inner *inner = &v->relative->inner;
    const int64_t C = m->hidden_size;
    lf_module *made = m->head.inner[0] = lf_family_linear(&m->nn, C, C, true, inner->name, NULL);
    if (!made) return false;
    made->feeds_head = true;
    if (inner->of_head) made->head = LF_CLASS_HEAD;
    return lf_family_classifier(m, C, true, v->relative->classifier) && declare_masked_head(m, v);
}

static lf_status bert_declare(lf_model *m, lf_err *err) {
    lf_bert *v = m->impl = lf_arena_alloc(m->nn.arena, sizeof *v);
    if (!v) return lf_no_memory(err, "%s", m->path);
    *v = (lf_bert){0};
    const lf_status rc = lf_bert_read(m, v, err);
    if (rc) return rc;
    m->nn.default_targets = v->relative->targets;
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
    const lf_bert *v = m->impl;
    if (v->sinusoids && p == v->positions)
        sinusoids(p, out);
    else
        lf_family_init_param(p, key, v->initializer_range, out);
}

/* ---- forward: embeddings ---- */

/* Which row of the table of positions is a token's: they count from 0; those of roberta from behind pad's, and pad
 * tokens, wherever they stand, have pad's own. What stands behind a text is looked at by nobody. */
static int32_t *rows_of_positions(const lf_bert *v, lf_graph *g, const lf_model_input *in) {
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
    const lf_bert *v = m->impl;
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
    const lf_bert *v = m->impl;
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

static lf_attention_opts attention_opts(const lf_bert *v, const lf_pass *pass) {
    return (lf_attention_opts){
        .heads = v->heads, .kv_heads = v->heads, .lengths = pass->in.lengths, .dropout = v->attention_dropout};
}

/* norm(x + dropout(branch)); both are done. */
static lf_tensor *add_and_norm(const lf_bert *v, lf_graph *g, lf_module *norm, lf_tensor *x, lf_tensor *branch) {
    lf_tensor *sum = lf_nn_residual(g, x, lf_dropout(g, branch, v->dropout));
    return lf_nn_then(g, sum, lf_nn_layernorm(g, norm, sum, v->epsilon));
}

/* The rest of a layer, of what attention made: x is what the layer was given, of the same tokens. */
static lf_tensor *after_attention(const lf_bert *v, const lf_bert_layer *l, const lf_pass *pass, lf_graph *g,
                                  lf_tensor *x, lf_tensor *attended) {
    lf_module *const *p = l->parts;
    lf_tensor *o = lf_nn_then(g, attended, lf_nn_linear(g, pass->base, p[LF_BERT_O], attended));
    x = add_and_norm(v, g, p[LF_BERT_NORM_1], x, o);
    lf_tensor *up = lf_nn_linear(g, pass->base, p[LF_BERT_FC1], x);
    lf_tensor *act = lf_nn_then(g, up, lf_activation(g, up, v->activation));
    lf_tensor *down = lf_nn_then(g, act, lf_nn_linear(g, pass->base, p[LF_BERT_FC2], act));
    return add_and_norm(v, g, p[LF_BERT_NORM_2], x, down);
}

static lf_tensor *build_layer(const void *layer_, const lf_pass *pass, lf_graph *g, lf_tensor *x) {
    const lf_bert_layer *l = layer_;
    const lf_bert *v = l->model->impl;
    const lf_attention_opts opts = attention_opts(v, pass);
    lf_tensor *qkv = lf_nn_linear_group(g, pass->base, l->attention, x);
    return after_attention(v, l, pass, g, x, lf_nn_then(g, qkv, lf_attention(g, qkv, &opts)));
}

/* The last layer for `some` of the tokens of x, which are its first [B,C] or all [B,T,C]; x is not done. */
static lf_tensor *last_layer(const lf_model *m, const lf_pass *pass, lf_graph *g, lf_tensor *x, lf_tensor *some) {
    const lf_bert *v = m->impl;
    const lf_bert_layer *l = &v->layers[m->n_layers - 1];
    const lf_attention_opts opts = attention_opts(v, pass);
    lf_tensor *kv = lf_nn_linear_group(g, pass->base, l->attention, x),
              *q = lf_nn_linear(g, pass->base, l->parts[LF_BERT_Q], some);
    lf_tensor *attended = lf_attention_of(g, q, kv, &opts);
    lf_done(g, q);
    lf_done(g, kv);
    return after_attention(v, l, pass, g, some, attended);
}

static lf_tensor *to_last_layer(const lf_model *m, const lf_pass *pass, lf_graph *g) {
    const lf_bert *v = m->impl;
    return lf_model_layers(g, build_layer, pass, v->layers, sizeof *v->layers, m->n_layers - 1,
                           m->gradient_checkpointing, lf_pass_begins_late(pass) ? NULL : embed(m, pass, g));
}

/* ---- forward: heads ---- */

/* The head's own layers are in full precision, as the classifier is. */
static lf_tensor *through_inner(const lf_bert *v, const lf_pass *pass, lf_graph *g, lf_module *inner, lf_tensor *x) {
    const lf_bert_inner *kind = &v->relative->inner;
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
    const lf_bert *v = m->impl;
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
