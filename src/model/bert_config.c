/* config.json of BERT and its relatives, which differ in names, in the layer before the classifier and in how positions
 * count: a table. */
#include <string.h>

#include "base/json.h"
#include "model/bert.h"

/* ---- the relatives ---- */

static lf_bert_names of_bert = {
    "attention.self.query",       "attention.self.key", "attention.self.value", "attention.output.dense",
    "attention.output.LayerNorm", "intermediate.dense", "output.dense",         "output.LayerNorm"};
static lf_bert_names of_distilbert = {"attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin",
                                      "sa_layer_norm",   "ffn.lin1",        "ffn.lin2",        "output_layer_norm"};

static const lf_bert_keys bert_keys = {
    "hidden_size", "num_hidden_layers",   "num_attention_heads",          "intermediate_size",
    "hidden_act",  "hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"};
static const lf_bert_keys distilbert_keys = {"dim",        "n_layers", "n_heads",           "hidden_dim",
                                             "activation", "dropout",  "attention_dropout", "seq_classif_dropout"};

static const char *const bert_targets[] = {"query", "value", NULL};

static const lf_bert_relative relatives[] = {
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

static const lf_bert_relative *relative_of(const lf_model *m) {
    const lf_bert_relative *r = relatives;
    while (strcmp(r->model_type, m->family->model_type) != 0) r++;
    return r;
}

/* ---- config.json ---- */

static lf_status read_sizes(lf_model *m, lf_bert *v, lf_err *err) {
    const lf_bert_keys *k = v->relative->keys;
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

static lf_status read_dropouts(const lf_model *m, lf_bert *v, lf_err *err) {
    const lf_bert_keys *k = v->relative->keys;
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
static lf_status read_positions(lf_model *m, lf_bert *v, lf_err *err) {
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

lf_status lf_bert_read(lf_model *m, lf_bert *v, lf_err *err) {
    lf_status rc;
    v->relative = relative_of(m);
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
