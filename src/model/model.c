/* Opening a model: config.json chooses the family, the family declares modules and parameters, and the weights are read
 * (model_load.c) into frozen products or held floats. */
#include "model/family.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/kept_hash.h"

#define LF_FAMILY(name) extern const lf_family lf_family_##name;
#include "model/families.def"
#undef LF_FAMILY

static const lf_family *const families[] = {
#define LF_FAMILY(name) &lf_family_##name,
#include "model/families.def"
#undef LF_FAMILY
};
enum { N_FAMILIES = sizeof families / sizeof families[0] };

void lf_model_free(lf_model *m) {
    if (!m) return;
    lf_nn_free(&m->nn);
    lf_safetensors_close(m->weights);
    cJSON_Delete(m->config);
    lf_free(m->path);
    lf_free(m->config_path);
    lf_free(m);
}

static lf_status choose_family(lf_model *m, lf_err *err) {
    const char *type;
    lf_status rc = lf_json_get_str(m->config, "model_type", "", &type, m->config_path, err);
    if (rc) return rc;
    if (!*type) return lf_model_explain_config(m->config, m->config_path, err);
    char known[1024] = "";
    for (int i = 0; i < N_FAMILIES; i++) {
        if (strcmp(families[i]->model_type, type) == 0) {
            m->family = families[i];
            return LF_OK;
        }
        const size_t n = strlen(known);
        snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "", families[i]->model_type);
    }
    return lf_fail(err, LF_EUNSUPPORTED, "%s: key 'model_type': '%s' is not supported; this version knows: %s",
                   m->config_path, type, known);
}

/* As many distinct numbers as there are labels, each in range: every label gets its name. */
static lf_status read_names(lf_model *m, const cJSON *id2label, lf_err *err) {
    const cJSON *label;
    cJSON_ArrayForEach(label, id2label) {
        char *end;
        const long long i = strtoll(label->string, &end, 10);
        if (*end || end == label->string || i < 0 || i >= m->head.n_labels || m->head.labels[i] ||
            !cJSON_IsString(label))
            return lf_fail(err, LF_EDATA,
                           "%s: key 'id2label': expected a name for each of 0 to %lld, found the key '%s'%s",
                           m->config_path, (long long)m->head.n_labels - 1, label->string,
                           cJSON_IsString(label) ? "" : " without one");
        m->head.labels[i] = lf_arena_strdup(m->nn.arena, label->valuestring);
        if (!m->head.labels[i]) return lf_no_memory(err, "the labels of %s", m->config_path);
    }
    return LF_OK;
}

static lf_status make_names(lf_model *m, lf_err *err) {
    for (int64_t i = 0; i < m->head.n_labels; i++) {
        char name[32];
        snprintf(name, sizeof name, "LABEL_%lld", (long long)i);
        m->head.labels[i] = lf_arena_strdup(m->nn.arena, name);
        if (!m->head.labels[i]) return lf_no_memory(err, "the labels of %s", m->config_path);
    }
    return LF_OK;
}

/* num_labels as transformers has it: the size of id2label, else num_labels, else 2. */
static lf_status read_labels(lf_model *m, lf_err *err) {
    const cJSON *id2label = cJSON_GetObjectItemCaseSensitive(m->config, "id2label");
    const bool named = cJSON_IsObject(id2label);
    lf_status rc = lf_json_get_i64(m->config, "num_labels", 2, &m->head.n_labels, m->config_path, err);
    if (rc) return rc;
    if (named) m->head.n_labels = cJSON_GetArraySize(id2label);
    if (m->head.n_labels < 1 || m->head.n_labels > 10000000)
        return lf_fail(err, LF_EDATA, "%s: key 'id2label' or 'num_labels': expected 1 to 10000000 labels, found %lld",
                       m->config_path, (long long)m->head.n_labels);
    m->head.labels = lf_arena_alloc(m->nn.arena, (size_t)m->head.n_labels * sizeof *m->head.labels);
    if (!m->head.labels) return lf_no_memory(err, "the labels of %s", m->config_path);
    return named ? read_names(m, id2label, err) : make_names(m, err);
}

/* As transformers takes it: by problem_type, else one label is a number, and of several one is right. */
static lf_status read_problem(lf_model *m, lf_err *err) {
    const char *name;
    const lf_status rc = lf_json_get_str(m->config, "problem_type", NULL, &name, m->config_path, err);
    m->head.problem = m->head.n_labels == 1 && m->family->input == LF_TOKENS ? LF_REGRESSION : LF_SINGLE_LABEL;
    if (rc || !name) return rc;
    const bool known = lf_problem_named(&m->head.problem, name), numbers = m->head.problem == LF_REGRESSION;
    if (known && !(numbers && m->family->input == LF_PIXELS)) return LF_OK;
    return lf_fail(err, LF_EUNSUPPORTED,
                   "%s: key 'problem_type': expected single_label_classification%s, found '%.60s'", m->config_path,
                   m->family->input == LF_PIXELS ? " or multi_label_classification of a model of pictures"
                                                 : ", multi_label_classification or regression",
                   name);
}

static lf_status read_pad(lf_model *m, lf_err *err) {
    int64_t pad;
    const lf_status rc = lf_json_get_i64(m->config, "pad_token_id", -1, &pad, m->config_path, err);
    m->tokens.pad = pad >= 0 && pad <= INT32_MAX ? (int32_t)pad : -1;
    return rc;
}

/* `config_path` is taken over. */
static lf_status read_config(lf_model *m, const char *path, char *config_path, const lf_kernels *k, lf_err *err) {
    lf_status rc = lf_nn_init(&m->nn, k, err);
    m->config_path = config_path;
    m->path = lf_strdup(path);
    if (!rc && (!m->path || !m->config_path)) rc = lf_no_memory(err, "%s", path);
    if (rc || (rc = lf_json_read(&m->config, m->config_path, err)) || (rc = choose_family(m, err)) ||
        (rc = read_labels(m, err)) || (rc = read_problem(m, err)) || (rc = read_pad(m, err)))
        return rc;
    return lf_family_refuse(m, "quantization_config", "quantised weights are", err);
}

static lf_status declare(lf_model *m, const char *path, char *config_path, const lf_kernels *k, lf_err *err) {
    const lf_status rc = read_config(m, path, config_path, k, err);
    return rc ? rc : m->family->declare(m, err);
}

static lf_status check_trained(const lf_model *m, lf_err *err) {
    if (!m->family->adapters_only) return LF_OK;
    return lf_fail(err, LF_EUNSUPPORTED,
                   "%s: all weights of a model of type '%s' cannot be trained: %s; try method lora", m->path,
                   m->family->model_type, m->family->adapters_only);
}

static bool read_original(const void *context, const lf_module *module, float *W) {
    const lf_model *m = context;
    const lf_st_tensor *t = lf_family_find(m->family, m->weights, module->weight);
    return t && lf_param_read(m, module->weight, t, W);
}

lf_model_opts lf_model_opts_of(const lf_config *cfg, const lf_kernels *k, lf_load load) {
    static const char *const names[] = {
        [LF_WEIGHTS_AUTO] = "auto", [LF_WEIGHTS_MAP] = "map", [LF_WEIGHTS_COPY] = "copy"};
    lf_model_opts o = {.k = k, .load = load};
    for (int i = 0; load != LF_LOAD_NOTHING && i < 3; i++)
        if (strcmp(lf_cfg_str(cfg, LF_weights), names[i]) == 0) o.weights = (lf_weights)i;
    return o;
}

lf_frozen_format lf_model_quantised(const lf_config *cfg) {
    const char *format = lf_cfg_str(cfg, LF_frozen_precision);
    if (!format) return LF_FROZEN_PLAIN;
    return strcmp(format, "nf4") == 0 ? LF_FROZEN_NF4 : LF_FROZEN_INT8;
}

/* The hash of the files, and the pages that reading them took are let go. */
static lf_status take_hash(lf_model *m, lf_err *err) {
    char *folder = NULL;
    const char *cache = m->opts.cache;
    if (cache && strcmp(cache, "none") != 0 && lf_cache_folder(&folder, cache, LF_CACHE_OF_WEIGHTS, NULL) == LF_ENOMEM)
        return lf_no_memory(err, "%s", m->path);
    const lf_status rc = lf_kept_hash(m->weights, folder, m->hash, err);
    lf_free(folder);
    lf_safetensors_drop_all(m->weights);
    return rc;
}

lf_status lf_model_open(lf_model **out, const char *path, const lf_model_opts *o, lf_err *err) {
    *out = NULL;
    lf_status rc = lf_model_explain_folder(path, err);
    if (rc) return rc;
    lf_model *m = lf_calloc(1, sizeof *m);
    if (!m) return lf_no_memory(err, "%s", path);
    m->opts = *o;
    if (!(rc = read_config(m, path, lf_path_join(path, "config.json"), o->k, err)) &&
        !(o->load == LF_LOAD_TRAINED && (rc = check_trained(m, err))) &&
        !(rc = lf_safetensors_open(&m->weights, path, err)) && !(rc = m->family->declare(m, err))) {
        if (m->family->masked && !lf_model_has_masked_head(m)) lf_model_drop_masked_head(m);
        if (!(rc = lf_model_check_all_used(m, err)) && !(rc = lf_model_load_all(m, err)) &&
            !(o->load != LF_LOAD_NOTHING && m->family->loaded && (rc = m->family->loaded(m, err))))
            rc = take_hash(m, err);
    }
    if (rc) {
        lf_model_free(m);
        return rc;
    }
    m->nn.original = read_original;
    m->nn.original_context = m;
    *out = m;
    return LF_OK;
}

static int64_t mapped(const void *data, int64_t numbers, lf_dtype type) {
    return data && lf_mapped_file(data) ? numbers * (int64_t)lf_dtype_size(type) : 0;
}

int64_t lf_model_mapped_bytes(const lf_model *m) {
    const lf_tensor *table = m->tokens.embedding ? &m->tokens.embedding->tensor : NULL;
    int64_t bytes = table ? mapped(table->data, table->numel, table->dtype) : 0;
    for (int64_t i = 0; i < m->nn.n_modules; i++) {
        const lf_module *module = m->nn.modules[i];
        const lf_group *group = module->group && module->group->parts[0] == module ? module->group : NULL;
        const lf_frozen *w = group ? &group->frozen : &module->frozen;
        if ((module->group && !group) || (table && w->data == table->data)) continue; /* counted already */
        bytes += mapped(w->data, w->out * w->in, w->act_dtype);
    }
    return bytes;
}

int64_t lf_model_bytes_of_closing(const lf_model *m) {
    const lf_arena *quantised = m->nn.of_quantised;
    const int64_t bytes = (int64_t)lf_arena_bytes(m->nn.arena) + lf_nn_bytes_untouched(&m->nn, m->maps);
    return bytes - (quantised ? (int64_t)lf_arena_bytes(quantised) : 0);
}

lf_status lf_model_blame(const lf_model *m, lf_status rc, lf_err *err) {
    int64_t at;
    float x;
    for (int64_t i = 0; m->weights && i < lf_safetensors_count(m->weights); i++) {
        const lf_st_tensor *t = lf_safetensors_at(m->weights, i);
        if (!lf_family_ignores(m->family, t->name) && lf_st_has_no_number(t, &at, &x)) {
            if (err) *err = (lf_err){0};
            return lf_fail(err, LF_EDATA,
                           "%s: tensor '%s': number %lld is %g, expected finite numbers; is the model file damaged, or "
                           "its training diverged?",
                           t->path, t->name, (long long)at, (double)x);
        }
    }
    return rc;
}

lf_status lf_model_check_unchanged(lf_model *m, lf_err *err) {
    lf_safetensors *now = NULL;
    char hash[33];
    if (!m->weights || lf_safetensors_as_opened(m->weights)) return LF_OK;
    lf_err why = {0};
    lf_status rc = lf_safetensors_open(&now, m->path, &why);
    if (!rc) rc = lf_safetensors_hash(now, hash, &why);
    const bool same = !rc && strcmp(hash, m->hash) == 0;
    if (same) {
        lf_safetensors_note_same(m->weights, now);
        lf_info("%s: the weights' files were touched while they were in use; read again, they are the same", m->path);
    }
    lf_safetensors_close(now);
    if (same) return LF_OK;
    if (rc == LF_ENOMEM) return lf_fail(err, rc, "%s", why.message);
    return lf_fail(err, LF_EDATA,
                   "%s: the weights changed while they were in use (%s); nobody but their owner should write into a "
                   "model's files, and a new version belongs into a new folder",
                   lf_safetensors_path(m->weights), rc ? why.message : "their hash is another");
}

lf_status lf_model_outline(lf_model **out, const char *path, const lf_kernels *k, lf_err *err) {
    *out = NULL;
    char *config = lf_is_dir(path) ? lf_path_join(path, "config.json") : lf_strdup(path);
    lf_model *m = config ? lf_calloc(1, sizeof *m) : NULL;
    lf_status rc = m ? LF_OK : lf_no_memory(err, "%s", path);
    if (!rc && !lf_is_file(config)) rc = lf_model_explain_folder(path, err);
    if (rc) {
        lf_free(config);
        lf_free(m);
        return rc;
    }
    if ((rc = declare(m, path, config, k, err)))
        lf_model_free(m);
    else
        *out = m;
    return rc;
}

lf_status lf_model_new(lf_model **out, const char *config_path, const lf_kernels *k, uint64_t seed, lf_err *err) {
    *out = NULL;
    lf_model *m = lf_calloc(1, sizeof *m);
    if (!m) return lf_no_memory(err, "%s", config_path);
    float *buffer = NULL;
    lf_status rc = declare(m, config_path, lf_strdup(config_path), k, err);
    if (!rc) rc = check_trained(m, err);
    if (!rc && m->family->masked) lf_model_drop_masked_head(m); /* what is made new is made for classes */
    if (!rc && !(buffer = lf_aligned_alloc((size_t)lf_model_largest_param(m) * sizeof *buffer)))
        rc = lf_no_memory(err, "the largest tensor of %s", config_path);
    for (int64_t i = 0; !rc && i < m->nn.n_params; i++) {
        lf_param *p = m->nn.params[i];
        m->family->init_param(m, p, lf_rng_make(seed, LF_RNG_MODEL_INIT, (uint64_t)i), buffer);
        if ((rc = lf_nn_hold(&m->nn, p, err))) break;
        k->from_f32(p->tensor.data, buffer, p->tensor.numel);
        rc = lf_nn_train(&m->nn, p, err);
    }
    lf_aligned_free(buffer);
    if (rc) {
        lf_model_free(m);
        return rc;
    }
    *out = m;
    return LF_OK;
}

void lf_model_take_vocabulary(lf_model *m) {
    const lf_param *table = m->tokens.embedding;
    if (table && table->tensor.shape[0] > m->tokens.vocab_size) m->tokens.vocab_size = table->tensor.shape[0];
}

bool lf_model_has_grown(const lf_model *m) { return m->tokens.table && m->tokens.vocab_size > m->tokens.table->in; }
