/* Writing a model as transformers reads it, tensor by tensor: what was not loaded or trained streams from the source.
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "model/model_internal.h"

static lf_module *weight_of(const lf_model *m, const lf_param *p) {
    for (int64_t i = 0; i < m->nn.n_modules; i++)
        if (m->nn.modules[i]->weight == p &&
            (m->nn.modules[i]->kind == LF_MODULE_LINEAR || m->nn.modules[i]->kind == LF_MODULE_EMBEDDING))
            return m->nn.modules[i];
    return NULL;
}

lf_status lf_param_values(const lf_model *m, const lf_param *p, float *out, lf_err *err) {
    const lf_st_tensor *t = m->weights ? lf_family_find(m->family, m->weights, p) : NULL;
    if (p->tensor.data && p->tensor.dtype == m->nn.k->dtype)
        m->nn.k->to_f32(out, p->tensor.data, p->tensor.numel);
    else if (t) {
        if (!lf_param_read(m, p, t, out)) return lf_no_memory(err, "%s", p->name);
    } else
        return lf_fail(err, LF_EDATA, "%s: no values for tensor '%s' (the model has no head, and none was made)",
                       m->path, p->file_name);
    return LF_OK;
}

/* The same as a file has them, less the 1 that was added. What nobody trained comes from the source, because some
 * digits of a small w are lost in 1 + w. */
static lf_status file_values(const lf_model *m, const lf_param *p, float *out, lf_err *err) {
    const lf_st_tensor *t = m->weights && p->plus_one ? lf_family_find(m->family, m->weights, p) : NULL;
    if (t && !p->tensor.grad && !p->own)
        return lf_param_stored(m, p, t, out) ? LF_OK : lf_no_memory(err, "%s", p->name);
    const lf_status rc = lf_param_values(m, p, out, err);
    for (int64_t i = 0; !rc && p->plus_one && i < p->tensor.numel; i++) out[i] -= 1;
    return rc;
}

/* The bytes of the source, if they are what is to be written: not held, not merged into, and not in another format. */
static const lf_st_tensor *untouched(const lf_model *m, const lf_param *p, const lf_module *module, lf_dtype dtype) {
    const lf_st_tensor *t = m->weights ? lf_family_find(m->family, m->weights, p) : NULL;
    const bool other = !t || t->dtype != dtype || t->numel != p->tensor.numel;
    return p->tensor.data || (module && module->lora) || other ? NULL : t;
}

/* Of what stands where it is read too, the file's own tensor is named (lf_model_blame). */
static lf_status check_finite(const lf_model *m, const lf_param *p, const lf_st_tensor *t, lf_err *err) {
    int64_t at;
    float x;
    if (!lf_st_has_no_number(t, &at, &x)) return LF_OK;
    return lf_model_blame(m,
                          lf_fail(err, LF_EDATA,
                                  "%s: tensor '%s': number %lld would be written as %g, expected finite numbers",
                                  m->path, lf_param_written_name(p), (long long)at, (double)x),
                          err);
}

static lf_status write_floats(const lf_model *m, lf_st_writer *w, const lf_param *p, const float *values, lf_err *err) {
    const lf_st_tensor t = {.dtype = LF_F32, .data = values, .numel = p->tensor.numel};
    const lf_status rc = check_finite(m, p, &t, err);
    return rc ? rc : lf_st_writer_write_f32(w, values, p->tensor.numel, err);
}

static lf_status copy_tensor(const lf_model *m, lf_st_writer *w, const lf_param *p, const lf_st_tensor *t,
                             lf_err *err) {
    lf_status rc = check_finite(m, p, t, err);
    if (!rc) rc = lf_st_writer_write(w, t->data, t->size, err);
    lf_safetensors_drop_pages(m->weights, t);
    return rc;
}

static bool classifies(const lf_model *m) {
    const lf_module *head = m->head.module;
    return head && (m->base_head.module || head->weight->tensor.data);
}

/* A classifier is written without the head that says masked or next tokens, as transformers' class of it has none; a
 * model without a classifier, without what it might have had. */
static bool is_written(const lf_model *m, const lf_module *module) {
    const lf_classifier *h = &m->head;
    if (!module) return true;
    if (module->head == LF_MASKED_HEAD || module->head == LF_TOKEN_HEAD) return !classifies(m);
    bool of_head = module == h->module;
    for (int i = 0; i < LF_HEAD_LAYERS; i++) of_head |= module == h->inner[i];
    return classifies(m) || !of_head || (m->weights && lf_model_file_has(m, module));
}

bool lf_model_writes(const lf_model *m, const lf_param *p) {
    bool written = false, held = false;
    for (int64_t i = 0; i < m->nn.n_modules; i++) {
        const lf_module *module = m->nn.modules[i];
        if (module->weight != p && module->bias != p) continue;
        held = true;
        written |= is_written(m, module);
    }
    return written || !held;
}

static lf_dtype dtype_for(const lf_param *p, lf_dtype asked) { return asked == LF_N_DTYPES ? p->file_dtype : asked; }

/* Merges into W as it is held: of an embedding [in,out]. `turned` has room for another. */
static lf_status merge_into(const lf_module *module, float *W, float *turned, lf_merge_fn merge, void *context,
                            lf_err *err) {
    if (module->kind != LF_MODULE_EMBEDDING) return merge(context, module, W, err);
    lf_transpose(turned, W, module->in, module->out);
    const lf_status rc = merge(context, module, turned, err);
    if (!rc) lf_transpose(W, turned, module->out, module->in);
    return rc;
}

lf_status lf_model_cut_tie(lf_model *m, lf_err *err) {
    const bool adapted = m->tied && m->lm_head && (m->lm_head->lora || m->tokens.table->lora);
    return adapted && is_written(m, m->lm_head) ? lf_nn_untie(&m->nn, m->lm_head, err) : LF_OK;
}

lf_status lf_model_merged(const lf_model *m, const lf_param *p, lf_merge_fn merge, void *context, float *out,
                          float *room, lf_err *err) {
    const lf_module *module = weight_of(m, p);
    lf_status rc = lf_param_values(m, p, out, err);
    if (!rc && merge && module && module->lora) rc = merge_into(module, out, room, merge, context, err);
    const lf_st_tensor t = {.dtype = LF_F32, .data = out, .numel = p->tensor.numel};
    return rc ? rc : check_finite(m, p, &t, err);
}

static lf_status write_tensors(const lf_model *m, lf_st_writer *w, lf_dtype dtype, lf_merge_fn merge, void *context,
                               lf_err *err) {
    int64_t largest = 0;
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < m->nn.n_params && !rc; i++) {
        const lf_param *p = m->nn.params[i];
        if (!lf_model_writes(m, p)) continue;
        if (p->tensor.numel > largest) largest = p->tensor.numel;
        int64_t shape[LF_TENSOR_DIMS];
        lf_param_file_shape(p, shape);
        rc = lf_st_writer_declare(w, lf_param_written_name(p), dtype_for(p, dtype), p->tensor.ndim, shape, err);
    }
    float *buffer = lf_aligned_alloc(2 * (size_t)largest * sizeof *buffer), *turned = buffer ? buffer + largest : NULL;
    if (!rc && !buffer) rc = lf_no_memory(err, "the largest tensor of %s", m->path);
    for (int64_t i = 0; i < m->nn.n_params && !rc; i++) {
        const lf_param *p = m->nn.params[i];
        if (!lf_model_writes(m, p)) continue;
        const lf_module *module = weight_of(m, p);
        const lf_st_tensor *source = untouched(m, p, module, dtype_for(p, dtype));
        if (source) {
            rc = copy_tensor(m, w, p, source, err);
            continue;
        }
        if (merge && module && module->lora && dtype_for(p, dtype) == LF_F64) {
            rc = lf_fail(err, LF_EUNSUPPORTED,
                         "%s: tensor '%s' is F64, but adapters are merged in F32; choose a save_dtype", m->path,
                         p->file_name);
            break;
        }
        if ((rc = file_values(m, p, buffer, err)) ||
            (merge && module && module->lora && (rc = merge_into(module, buffer, turned, merge, context, err))))
            break;
        if (p->transposed) lf_transpose(turned, buffer, p->tensor.shape[0], p->tensor.shape[1]);
        rc = write_floats(m, w, p, p->transposed ? turned : buffer, err);
    }
    lf_aligned_free(buffer);
    return rc;
}

static bool put_labels(const lf_model *m, cJSON *config) {
    if (!lf_model_says(m, LF_CLASSES)) return true;
    cJSON *id2label = cJSON_CreateObject(), *label2id = cJSON_CreateObject();
    bool ok = id2label && label2id;
    for (int64_t i = 0; ok && i < m->head.n_labels; i++) {
        char id[24];
        snprintf(id, sizeof id, "%lld", (long long)i);
        cJSON_DeleteItemFromObjectCaseSensitive(label2id,
                                                m->head.labels[i]); /* of equal names (ImageNet's "crane") the last */
        ok = cJSON_AddStringToObject(id2label, id, m->head.labels[i]) &&
             cJSON_AddNumberToObject(label2id, m->head.labels[i], (double)i);
    }
    cJSON_DeleteItemFromObjectCaseSensitive(config, "num_labels"); /* the size of id2label says it */
    cJSON_DeleteItemFromObjectCaseSensitive(config, "id2label");
    cJSON_DeleteItemFromObjectCaseSensitive(config, "label2id");
    const bool kept = cJSON_AddItemToObject(config, "id2label", id2label);
    const bool kept_too = cJSON_AddItemToObject(config, "label2id", label2id);
    if (!kept) cJSON_Delete(id2label);
    if (!kept_too) cJSON_Delete(label2id);
    return ok && kept && kept_too;
}

/* LlamaForCausalLM and the like as LlamaForSequenceClassification. What has another form stays, and transformers goes
 * by model_type. NULL: out of memory. */
static cJSON *classifying(const char *architecture) {
    static const char classifier[] = "ForSequenceClassification";
    static const char *const endings[] = {"ForCausalLM", "LMHeadModel", "Model", classifier};
    const size_t n = strlen(architecture);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t k = strlen(endings[i]);
        if (n <= k || strcmp(architecture + n - k, endings[i])) continue;
        char *name = lf_format("%.*s%s", (int)(n - k), architecture, classifier);
        cJSON *out = name ? cJSON_CreateString(name) : NULL;
        lf_free(name);
        return out;
    }
    return cJSON_CreateString(architecture);
}

static bool put_architectures(cJSON *config) {
    const cJSON *item, *list = cJSON_GetObjectItemCaseSensitive(config, "architectures");
    if (!cJSON_IsArray(list)) return true;
    cJSON *made = cJSON_CreateArray();
    bool ok = made;
    cJSON_ArrayForEach(item, list) {
        cJSON *name = ok && cJSON_IsString(item) ? classifying(item->valuestring) : NULL;
        ok = ok && name && cJSON_AddItemToArray(made, name);
    }
    if (!ok || !cJSON_ReplaceItemInObjectCaseSensitive(config, "architectures", made)) {
        cJSON_Delete(made);
        return false;
    }
    return true;
}

/* What the head's logits mean: always of texts; of pictures, of which one class each goes without saying, where it is
 * another or was said. */
static bool put_problem(const lf_model *m, cJSON *config) {
    const bool said = cJSON_IsString(cJSON_GetObjectItemCaseSensitive(config, "problem_type"));
    if (m->family->input != LF_TOKENS && m->head.problem == LF_SINGLE_LABEL && !said) return true;
    cJSON_DeleteItemFromObjectCaseSensitive(config, "problem_type");
    return cJSON_AddStringToObject(config, "problem_type", lf_problem_name(m->head.problem));
}

/* And of a model of texts what pads a text; without that transformers reads no batches. */
static bool put_classification(const lf_model *m, cJSON *config) {
    if (!classifies(m)) return true;
    if (m->family->input != LF_TOKENS) return put_problem(m, config);
    const cJSON *pad = cJSON_GetObjectItemCaseSensitive(config, "pad_token_id");
    const bool padded = cJSON_IsNumber(pad) || m->tokens.pad < 0;
    if (!padded) cJSON_DeleteItemFromObjectCaseSensitive(config, "pad_token_id");
    return (m->family->class_name || put_architectures(config)) && put_problem(m, config) &&
           (padded || cJSON_AddNumberToObject(config, "pad_token_id", m->tokens.pad));
}

/* An adapter may have cut the tie between the embedding and the output layer: two tensors are written then. */
static bool put_tie(const lf_model *m, cJSON *config) {
    if (!m->tied || !m->lm_head || m->lm_head->weight == m->tokens.embedding) return true;
    cJSON_DeleteItemFromObjectCaseSensitive(config, "tie_word_embeddings");
    return cJSON_AddBoolToObject(config, "tie_word_embeddings", false) != NULL;
}

/* An adapter may have brought new tokens. */
static bool put_vocabulary(const lf_model *m, cJSON *config) {
    if (!lf_model_has_grown(m)) return true;
    cJSON_DeleteItemFromObjectCaseSensitive(config, "vocab_size");
    return cJSON_AddNumberToObject(config, "vocab_size", (double)m->tokens.vocab_size) != NULL;
}

static const char *torch_name(lf_dtype t) {
    static const char *const names[LF_N_DTYPES] = {
        [LF_F64] = "float64", [LF_F32] = "float32", [LF_F16] = "float16", [LF_BF16] = "bfloat16"};
    return names[t];
}

/* What transformers is to open it as: a classifier, where it has become one. */
static bool put_class(const lf_model *m, cJSON *config) {
    if (!m->family->class_name || !classifies(m)) return true;
    cJSON_DeleteItemFromObjectCaseSensitive(config, "architectures");
    cJSON *list = cJSON_CreateStringArray(&m->family->class_name, 1);
    if (list && cJSON_AddItemToObject(config, "architectures", list)) return true;
    cJSON_Delete(list);
    return false;
}

/* The whole that a tower is part of, in which transformers has its classifier. Takes the tower's over; NULL: no memory.
 */
static cJSON *wrapped(cJSON *tower, const char *whole_type) {
    cJSON *whole = tower ? cJSON_CreateObject() : NULL;
    if (whole && cJSON_AddStringToObject(whole, "model_type", whole_type) &&
        cJSON_AddItemToObject(whole, "vision_config", tower))
        return whole;
    cJSON_Delete(whole);
    cJSON_Delete(tower);
    return NULL;
}

/* The dtype goes under both names: "dtype" for transformers 5, "torch_dtype" for 4. Floats stay floats: transformers 5
 * refuses 4 where Gemma's class wants 4.0. */
static lf_status write_config(const lf_model *m, const char *dir, lf_dtype dtype, lf_err *err) {
    cJSON *config = cJSON_Duplicate(m->config, true);
    if (m->family->part_of) config = wrapped(config, m->family->part_of);
    const char *name = torch_name(dtype_for(m->nn.params[0], dtype));
    if (config) lf_json_keep_floats(config);
    cJSON_DeleteItemFromObjectCaseSensitive(config, "dtype");
    cJSON_DeleteItemFromObjectCaseSensitive(config, "torch_dtype");
    const bool ok = config && put_labels(m, config) && put_class(m, config) && put_classification(m, config) &&
                    put_tie(m, config) && put_vocabulary(m, config) && cJSON_AddStringToObject(config, "dtype", name) &&
                    cJSON_AddStringToObject(config, "torch_dtype", name);
    const lf_status rc = lf_json_write_in(dir, "config.json", ok ? config : NULL, true, err);
    cJSON_Delete(config);
    return rc;
}

lf_status lf_model_write(lf_model *m, const char *dir, lf_dtype dtype, lf_merge_fn merge, void *context, lf_err *err) {
    lf_status rc = lf_mkdir_p(dir, err);
    if (rc || (merge && (rc = lf_model_cut_tie(m, err)))) return rc;
    char *path = lf_path_join(dir, "model.safetensors");
    lf_st_writer *w = NULL;
    if (!path) rc = lf_no_memory(err, "%s", dir);
    if (!rc && !(rc = lf_st_writer_new(&w, path, err)) && !(rc = write_tensors(m, w, dtype, merge, context, err))) {
        rc = lf_st_writer_commit(w, err);
        w = NULL;
    }
    lf_st_writer_abort(w);
    lf_free(path);
    return rc ? rc : write_config(m, dir, dtype, err);
}
