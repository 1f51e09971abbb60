/* Opening a model: config.json chooses the family, the family declares modules and parameters, and the weights are read
 * into frozen products or held floats. */
#include "model/family.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

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

const char *lf_param_written_name(const lf_param *p) { return p->whole_rows ? p->name : p->file_name; }

/* Does t hold it among other rows? */
static bool is_slice_of(const lf_param *p, const lf_st_tensor *t) {
    return p->whole_rows && t->ndim > 0 && t->shape[0] == p->whole_rows;
}

bool lf_param_stored(const lf_model *m, const lf_param *p, const lf_st_tensor *t, float *out) {
    float *as_stored = p->transposed ? lf_aligned_alloc((size_t)t->numel * sizeof *as_stored) : out;
    const int64_t before = is_slice_of(p, t) ? p->first_row * (t->numel / t->shape[0]) : 0;
    if (!as_stored) return false;
    lf_to_f32(as_stored, (const char *)t->data + (size_t)before * lf_dtype_size(t->dtype), t->dtype, p->tensor.numel);
    lf_safetensors_drop_pages(m->weights, t);
    if (p->transposed) {
        lf_transpose(out, as_stored, p->tensor.shape[1], p->tensor.shape[0]);
        lf_aligned_free(as_stored);
    }
    return true;
}

bool lf_param_read(const lf_model *m, const lf_param *p, const lf_st_tensor *t, float *out) {
    if (!lf_param_stored(m, p, t, out)) return false;
    for (int64_t i = 0; p->plus_one && i < t->numel; i++) out[i] += 1;
    return true;
}

bool lf_family_ignores(const lf_family *f, const char *tensor) {
    const size_t n = strlen(tensor);
    for (const char *const *unused = f->unused; *unused; unused++) {
        const size_t k = strlen(*unused);
        if (k <= n && memcmp((*unused)[0] == '.' ? tensor + n - k : tensor, *unused, k) == 0) return true;
    }
    return false;
}

/* Under a name, and as the first BERTs were written: LayerNorm.gamma and LayerNorm.beta. */
static const lf_st_tensor *find_spelled(const lf_safetensors *st, const char *name) {
    static const char *const spellings[][2] = {{"LayerNorm.weight", "LayerNorm.gamma"},
                                               {"LayerNorm.bias", "LayerNorm.beta"}};
    const lf_st_tensor *t = lf_safetensors_find(st, name);
    const size_t n = strlen(name);
    for (size_t i = 0; !t && i < sizeof spellings / sizeof *spellings; i++) {
        const size_t k = strlen(spellings[i][0]);
        char old[256];
        if (n < k || strcmp(name + n - k, spellings[i][0]) != 0) continue;
        snprintf(old, sizeof old, "%.*s%s", (int)(n - k), name, spellings[i][1]);
        t = lf_safetensors_find(st, old);
    }
    return t;
}

/* By the name number `way`: transformers 4 and 5 may call a module by two names; a bare base model (ViTModel) leaves
 * the prefix out. */
enum { NAMINGS = 4 };
static const lf_st_tensor *find_by(const lf_family *f, const lf_safetensors *st, const lf_param *p, int way) {
    const char *name = way % 2 ? p->name : p->file_name;
    const size_t k = strlen(f->prefix);
    if (way < 2) return find_spelled(st, name);
    return strncmp(name, f->prefix, k) == 0 ? find_spelled(st, name + k) : NULL;
}

const lf_st_tensor *lf_family_find(const lf_family *f, const lf_safetensors *st, const lf_param *p) {
    const lf_st_tensor *t = NULL;
    for (int way = 0; !t && way < NAMINGS; way++) t = find_by(f, st, p, way);
    return t || !p->twin ? t : lf_family_find(f, st, p->twin);
}

/* Numbers are floats here: of F64, that none becomes infinite. */
static lf_status check_range(const lf_st_tensor *t, lf_err *err) {
    for (int64_t i = 0; t->dtype == LF_F64 && i < t->numel; i++) {
        double x;
        memcpy(&x, (const char *)t->data + (size_t)i * sizeof x, sizeof x);
        if (isfinite(x) && fabs(x) > FLT_MAX)
            return lf_fail(err, LF_EDATA,
                           "%s: tensor '%s': number %lld is %g, which is too large for F32; scale the weights, or save "
                           "them again in a format that holds them",
                           t->path, t->name, (long long)i, x);
    }
    return LF_OK;
}

static lf_status check_tensor(const lf_model *m, const lf_st_tensor *t, const lf_param *p, lf_err *err) {
    char want[64], found[64];
    int64_t shape[LF_TENSOR_DIMS];
    lf_param_file_shape(p, shape);
    if (is_slice_of(p, t)) shape[0] = p->whole_rows;
    bool same = t->ndim == p->tensor.ndim;
    const bool rows_alone = same && t->ndim == 2 && t->shape[1] == shape[1];
    const char *const key = rows_alone ? p->rows_key : NULL;
    for (int i = 0; same && i < t->ndim; i++) same = t->shape[i] == shape[i];
    if (!same)
        return lf_fail(err, LF_ESHAPE,
                       "%s: tensor '%s': expected shape %s (by %s%s%s%s), found %s; are the two files from one "
                       "checkpoint?",
                       t->path, t->name, lf_shape_str(want, sizeof want, p->tensor.ndim, shape), m->config_path,
                       key ? ": key '" : "", key ? key : "", key ? "'" : "",
                       lf_shape_str(found, sizeof found, t->ndim, t->shape));
    if (!lf_dtype_is_float(t->dtype))
        return lf_fail(err, LF_EUNSUPPORTED,
                       "%s: tensor '%s': expected F32, F16 or BF16, found %s (quantised models are not supported)",
                       t->path, t->name, lf_dtype_name(t->dtype));
    return check_range(t, err);
}

/* One tensor of the file into its place: a frozen product, or floats. `buffer` holds any parameter. */
static lf_status load_param(lf_model *m, const lf_st_tensor *t, lf_param *p, lf_load load, float *buffer, lf_err *err) {
    lf_module *module = lf_nn_holder(&m->nn, p);
    const bool always_frozen = module && (module->head == LF_CLASS_HEAD || module->head == LF_MASKED_HEAD);
    const bool trained = load == LF_LOAD_TRAINED && !always_frozen;
    if (!lf_param_read(m, p, t, buffer)) return lf_no_memory(err, "%s", p->name);
    if (!trained && module && module->weight == p &&
        (module->kind == LF_MODULE_LINEAR || module->kind == LF_MODULE_CONV))
        return lf_nn_freeze(&m->nn, module, buffer, err);
    lf_status rc = LF_OK;
    if (!trained && p == m->tokens.embedding) {
        rc = lf_nn_hold_act(&m->nn, p, buffer, err);
        return !rc && m->tied && m->lm_head ? lf_nn_freeze(&m->nn, m->lm_head, buffer, err) : rc;
    }
    rc = lf_nn_hold(&m->nn, p, err);
    if (rc) return rc;
    m->nn.k->from_f32(p->tensor.data, buffer, p->tensor.numel);
    return trained ? lf_nn_train(&m->nn, p, err) : LF_OK;
}

static int64_t largest_param(const lf_model *m) {
    int64_t n = 0;
    for (int64_t i = 0; i < m->nn.n_params; i++)
        if (m->nn.params[i]->tensor.numel > n) n = m->nn.params[i]->tensor.numel;
    return n;
}

/* ---- heads that the file has ---- */

bool lf_model_file_has(const lf_model *m, const lf_module *module) {
    return lf_family_find(m->family, m->weights, module->weight) ||
           (module->bias && lf_family_find(m->family, m->weights, module->bias));
}

/* A file has its head whole or (ViTModel) not at all, and then it may lack what stands before a head (a pooler), too:
 * each layer whole or not at all. */
static bool may_lack(const lf_model *m, const lf_module *module) {
    if (!module || !m->head.module || lf_model_file_has(m, m->head.module)) return false;
    bool of_head = module == m->head.module;
    for (int i = 0; i < LF_HEAD_LAYERS; i++) of_head |= module == m->head.inner[i];
    return of_head && !lf_model_file_has(m, module);
}

static void take_base_head(lf_model *m) {
    if (m->head.module && lf_model_file_has(m, m->head.module)) {
        m->base_head = m->head;
        return;
    }
    for (int i = 0; i < LF_HEAD_LAYERS; i++) {
        lf_module *inner = m->head.inner[i];
        m->base_head.inner[i] = inner && lf_model_file_has(m, inner) ? inner : NULL;
    }
}

static bool is_named_masked(const lf_model *m) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(m->config, "architectures"), *item;
    bool named = false;
    cJSON_ArrayForEach(item, list) named |= cJSON_IsString(item) && strstr(item->valuestring, "ForMaskedLM");
    return named;
}

/* Of what is the masked-language-model head's alone: a tied weight is the embedding's too. A head that has nothing of
 * its own is there if config.json says so. */
static bool has_masked_head(const lf_model *m) {
    bool own = false;
    for (int64_t i = 0; i < m->nn.n_modules; i++) {
        const lf_module *module = m->nn.modules[i];
        if (module->head != LF_MASKED_HEAD) continue;
        own |= module->bias || module->weight != m->tokens.embedding;
        if ((module->weight != m->tokens.embedding && lf_family_find(m->family, m->weights, module->weight)) ||
            (module->bias && lf_family_find(m->family, m->weights, module->bias)))
            return true;
    }
    return !own && is_named_masked(m);
}

static void drop_masked_head(lf_model *m) {
    for (int64_t i = m->nn.n_modules; i-- > 0;)
        if (m->nn.modules[i]->head == LF_MASKED_HEAD) lf_nn_drop(&m->nn, m->nn.modules[i]);
    m->lm_head = NULL;
}

static lf_status check_trained(const lf_model *m, lf_err *err) {
    if (!m->family->adapters_only) return LF_OK;
    return lf_fail(err, LF_EUNSUPPORTED,
                   "%s: all weights of a model of type '%s' cannot be trained: %s; try method lora", m->path,
                   m->family->model_type, m->family->adapters_only);
}

static lf_status load_all(lf_model *m, lf_load load, lf_err *err) {
    float *buffer = load == LF_LOAD_NOTHING ? NULL : lf_aligned_alloc((size_t)largest_param(m) * sizeof *buffer);
    if (load != LF_LOAD_NOTHING && !buffer) return lf_no_memory(err, "the largest tensor of %s", m->path);
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < m->nn.n_params && !rc; i++) {
        lf_param *p = m->nn.params[i];
        const lf_st_tensor *t = lf_family_find(m->family, m->weights, p);
        if (!t && may_lack(m, lf_nn_holder(&m->nn, p))) continue;
        if (!t) {
            rc = lf_fail(err, LF_EDATA,
                         "%s: tensor '%s' is missing (config.json asks for it); is the download complete?",
                         lf_safetensors_path(m->weights), p->file_name);
        } else if (!(rc = check_tensor(m, t, p, err))) {
            p->file_dtype = t->dtype;
            if (load != LF_LOAD_NOTHING) rc = load_param(m, t, p, load, buffer, err);
        }
    }
    take_base_head(m);
    lf_aligned_free(buffer);
    return rc;
}

/* Do they hold the same numbers, to the digits of the shorter format? A second copy may have been saved in another one,
 * and 0 may be -0 in it. */
static bool same_numbers(const lf_st_tensor *a, const lf_st_tensor *b) {
    enum { CHUNK = 4096 };
    float x[CHUNK], y[CHUNK];
    double rounded[CHUNK]; /* large and aligned enough for every float type */
    const lf_st_tensor *shorter = lf_dtype_size(a->dtype) < lf_dtype_size(b->dtype) ? a : b;
    if (a->dtype == b->dtype && a->size == b->size && memcmp(a->data, b->data, a->size) == 0) return true; /* usual */
    if (!lf_dtype_is_float(a->dtype) || !lf_dtype_is_float(b->dtype) || a->numel != b->numel) return false;
    for (int64_t i = 0; i < a->numel; i += CHUNK) {
        const int64_t n = a->numel - i < CHUNK ? a->numel - i : CHUNK;
        lf_to_f32(x, (const char *)a->data + (size_t)i * lf_dtype_size(a->dtype), a->dtype, n);
        lf_to_f32(y, (const char *)b->data + (size_t)i * lf_dtype_size(b->dtype), b->dtype, n);
        float *longer = shorter == a ? y : x;
        lf_from_f32(rounded, shorter->dtype, longer, n);
        lf_to_f32(longer, rounded, shorter->dtype, n);
        for (int64_t k = 0; k < n; k++)
            if (x[k] != y[k] && !(isnan(x[k]) && isnan(y[k]))) return false;
    }
    return true;
}

static bool same_tensor(const lf_st_tensor *a, const lf_st_tensor *b) {
    return a->ndim == b->ndim && memcmp(a->shape, b->shape, sizeof *a->shape * (size_t)a->ndim) == 0 &&
           same_numbers(a, b);
}

static bool is_weight_of(const lf_module *module, const char *tensor) {
    const size_t n = strlen(module->name);
    return strncmp(tensor, module->name, n) == 0 && strcmp(tensor + n, ".weight") == 0;
}

/* Files of tied models may hold the output's weight a second time. One with other values would be lost. */
static lf_status check_tied_copy(const lf_model *m, const lf_st_tensor *t, bool *is_copy, lf_err *err) {
    *is_copy = m->tied && m->lm_head && is_weight_of(m->lm_head, t->name);
    const lf_st_tensor *table = *is_copy ? lf_family_find(m->family, m->weights, m->tokens.embedding) : NULL;
    if (!table || same_tensor(table, t)) return LF_OK;
    return lf_fail(err, LF_EDATA,
                   "%s: tensor '%s' differs from '%s', but key 'tie_word_embeddings' in %s says that they are one; set "
                   "it to false "
                   "if the model has both",
                   t->path, t->name, table->name, m->config_path);
}

/* The same of any parameter that the file holds under two of its names (cls.predictions.bias and its decoder's). */
static lf_status check_use(const lf_model *m, const lf_st_tensor *t, const lf_param *p, bool *used, lf_err *err) {
    for (int way = 0; !*used && way < NAMINGS; way++) *used = find_by(m->family, m->weights, p, way) == t;
    const lf_st_tensor *first = *used ? lf_family_find(m->family, m->weights, p) : t;
    const bool unread = !m->tied && m->lm_head && p == m->lm_head->bias; /* an untied head has two, and reads its own */
    if (first == t || unread || same_tensor(first, t)) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: tensor '%s' differs from '%s', but they are two names of one parameter", t->path,
                   t->name, first->name);
}

/* A tensor that nothing asked for means that the model is not what config.json says it is. */
static lf_status check_all_used(const lf_model *m, lf_err *err) {
    const int64_t n = lf_safetensors_count(m->weights);
    for (int64_t i = 0; i < n; i++) {
        const lf_st_tensor *t = lf_safetensors_at(m->weights, i);
        bool used;
        lf_status rc = check_tied_copy(m, t, &used, err);
        used |= lf_family_ignores(m->family, t->name);
        for (int64_t j = 0; j < m->nn.n_params && !rc && !used; j++) rc = check_use(m, t, m->nn.params[j], &used, err);
        if (rc) return rc;
        if (!used)
            return lf_fail(err, LF_EDATA,
                           "%s: tensor '%s' belongs to no part of the model that %s describes (model_type '%s')",
                           t->path, t->name, m->config_path, m->family->model_type);
    }
    return LF_OK;
}

static bool read_original(const void *context, const lf_module *module, float *W) {
    const lf_model *m = context;
    const lf_st_tensor *t = lf_family_find(m->family, m->weights, module->weight);
    return t && lf_param_read(m, module->weight, t, W);
}

lf_status lf_model_open(lf_model **out, const char *path, const lf_kernels *k, lf_load load, lf_err *err) {
    *out = NULL;
    lf_status rc = lf_model_explain_folder(path, err);
    if (rc) return rc;
    lf_model *m = lf_calloc(1, sizeof *m);
    if (!m) return lf_no_memory(err, "%s", path);
    if (!(rc = read_config(m, path, lf_path_join(path, "config.json"), k, err)) &&
        !(load == LF_LOAD_TRAINED && (rc = check_trained(m, err))) &&
        !(rc = lf_safetensors_open(&m->weights, path, err)) && !(rc = m->family->declare(m, err))) {
        if (m->family->masked && !has_masked_head(m)) drop_masked_head(m);
        if (!(rc = check_all_used(m, err)) && !(rc = load_all(m, load, err)) &&
            !(load != LF_LOAD_NOTHING && m->family->loaded && (rc = m->family->loaded(m, err))))
            rc = lf_safetensors_hash(m->weights, m->hash, err);
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
    if (!rc && m->family->masked) drop_masked_head(m); /* what is made new is made for classes */
    if (!rc && !(buffer = lf_aligned_alloc((size_t)largest_param(m) * sizeof *buffer)))
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
    for (int64_t i = 0; i < n; i++) {
        const void *context = (const char *)layers + (size_t)i * size;
        if (!remake) {
            x = layer(context, pass, g, x);
            continue;
        }
        calls[i] = (layer_call){layer, context, pass};
        x = lf_nn_then(g, x, lf_checkpoint(g, call_layer, &calls[i], x));
    }
    return x;
}
