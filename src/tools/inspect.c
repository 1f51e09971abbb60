/* The verb `inspect`: what is in a model directory, an adapter folder, or both together. Weights are checked, not
 * loaded. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "tools/common.h"

/* ---- the adapter's own files ---- */

typedef struct adapter_files {
    cJSON *config, *facts; /* adapter_config.json, lora_ft.json; NULL: not there */
    lf_safetensors *weights;
    int64_t numbers;
} adapter_files;

static lf_status read_json(cJSON **out, const char *dir, const char *name, lf_err *err) {
    char *path = lf_path_join(dir, name);
    lf_status rc = LF_OK;
    if (!path)
        rc = lf_no_memory(err, "%s", dir);
    else if (lf_is_file(path))
        rc = lf_json_read(out, path, err);
    lf_free(path);
    return rc;
}

static lf_status open_adapter_files(adapter_files *a, const char *dir, lf_err *err) {
    lf_adapter_file *checked = NULL;
    lf_status rc = lf_adapter_open(&checked, dir, err);
    lf_adapter_close(checked);
    char *path = rc ? NULL : lf_path_join(dir, "adapter_model.safetensors");
    if (rc || (rc = read_json(&a->config, dir, "adapter_config.json", err)) ||
        (rc = read_json(&a->facts, dir, "lora_ft.json", err)))
        goto out;
    rc = path ? lf_safetensors_open(&a->weights, path, err) : lf_no_memory(err, "%s", dir);
    for (int64_t i = 0; !rc && i < lf_safetensors_count(a->weights); i++)
        a->numbers += lf_safetensors_at(a->weights, i)->numel;
out:
    lf_free(path);
    return rc;
}

static void close_adapter_files(adapter_files *a) {
    cJSON_Delete(a->config);
    cJSON_Delete(a->facts);
    lf_safetensors_close(a->weights);
}

/* ---- JSON: everything; the text below prints the same object ---- */

static cJSON *strings(const char *const *list, int64_t n) {
    cJSON *array = cJSON_CreateArray();
    for (int64_t i = 0; array && i < n; i++) {
        cJSON *s = cJSON_CreateString(list[i]);
        if (cJSON_AddItemToArray(array, s)) continue;
        cJSON_Delete(s);
        cJSON_Delete(array);
        return NULL;
    }
    return array;
}

/* `shared`: the weight of a head that is another module's (tied embeddings). */
static cJSON *module_json(const lf_module *m, const lf_param *shared) {
    cJSON *o = cJSON_CreateObject(), *shape = cJSON_CreateDoubleArray((double[]){(double)m->out, (double)m->in}, 2);
    bool ok = lf_put_string(o, "name", m->name);
    ok = lf_put(o, "shape", shape) && ok; /* takes shape over, whatever came before */
    ok = ok && lf_put_string(o, "dtype", lf_dtype_name((m->weight ? m->weight : shared)->file_dtype));
    ok = ok && lf_put(o, "bias", cJSON_CreateBool(m->bias != NULL));
    if (m->head) ok = ok && lf_put(o, "head", cJSON_CreateTrue());
    if (m->lora) ok = ok && lf_put_number(o, "r", (double)m->lora->r) && lf_put_number(o, "scaling", m->lora->scaling);
    if (ok) return o;
    cJSON_Delete(o);
    return NULL;
}

static cJSON *modules_json(const lf_model *model) {
    const lf_nn *nn = &model->nn;
    cJSON *array = cJSON_CreateArray();
    for (int64_t i = 0; array && i < nn->n_modules; i++) {
        const lf_module *m = nn->modules[i];
        if (m->kind != LF_MODULE_LINEAR && m->kind != LF_MODULE_CONV) continue;
        if (!m->weight && !model->tokens.embedding) continue;
        cJSON *o = module_json(m, model->tokens.embedding);
        if (o && cJSON_AddItemToArray(array, o)) continue;
        cJSON_Delete(o);
        cJSON_Delete(array);
        return NULL;
    }
    return array;
}

/* Numbers of the base model alone: neither adapters nor a head that an adapter brought. */
static int64_t base_parameters(const lf_model *m) {
    int64_t n = 0;
    for (int64_t i = 0; m->weights && i < lf_safetensors_count(m->weights); i++) {
        const lf_st_tensor *t = lf_safetensors_at(m->weights, i);
        if (!lf_family_ignores(m->family, t->name)) n += t->numel;
    }
    return n;
}

/* ---- what goes in, and what the heads say ---- */

static bool put_pixel_facts(cJSON *o, const lf_model *m) {
    return lf_put_number(o, "num_channels", (double)m->pixels.channels) &&
           lf_put_number(o, "image_height", (double)m->pixels.height) &&
           lf_put_number(o, "image_width", (double)m->pixels.width);
}

static bool put_token_facts(cJSON *o, const lf_model *m) {
    return lf_put_number(o, "num_hidden_layers", (double)m->n_layers) &&
           lf_put_number(o, "vocab_size", (double)m->tokens.vocab_size) &&
           lf_put(o, "max_position_embeddings",
                  m->tokens.max_positions ? cJSON_CreateNumber((double)m->tokens.max_positions) : cJSON_CreateNull());
}

static bool put_class_facts(cJSON *o, const lf_model *m) {
    return lf_put_number(o, "num_labels", (double)m->head.n_labels) &&
           lf_put(o, "base_head", cJSON_CreateBool(m->base_head.module != NULL)) &&
           lf_put(o, "labels", strings(m->head.labels, m->head.n_labels));
}

static bool put_facts(cJSON *o, const lf_model *m) {
    return (m->family->input == LF_PIXELS ? put_pixel_facts(o, m) : put_token_facts(o, m)) &&
           (!lf_model_says(m, LF_NEXT_TOKEN) || lf_put(o, "tie_word_embeddings", cJSON_CreateBool(m->tied))) &&
           (!lf_model_says(m, LF_CLASSES) || put_class_facts(o, m));
}

static cJSON *model_json(const lf_model *m) {
    cJSON *o = cJSON_CreateObject();
    const bool ok = lf_put_string(o, "path", m->path) && lf_put_string(o, "model_type", m->family->model_type) &&
                    lf_put_string(o, "hash", m->hash) && lf_put_number(o, "parameters", (double)base_parameters(m)) &&
                    lf_put_number(o, "hidden_size", (double)m->hidden_size) && put_facts(o, m) &&
                    lf_put(o, "modules", modules_json(m));
    if (ok) return o;
    cJSON_Delete(o);
    return NULL;
}

static cJSON *adapter_json(const adapter_files *a, const char *path) {
    cJSON *o = cJSON_CreateObject();
    bool ok = lf_put_string(o, "path", path) && lf_put_number(o, "tensors", (double)lf_safetensors_count(a->weights)) &&
              lf_put_number(o, "parameters", (double)a->numbers);
    if (a->config) ok = ok && lf_put(o, "adapter_config", cJSON_Duplicate(a->config, true));
    if (a->facts) ok = ok && lf_put(o, "lora_ft", cJSON_Duplicate(a->facts, true));
    if (ok) return o;
    cJSON_Delete(o);
    return NULL;
}

/* ---- text ---- */

/* One line for each member that is no list of modules; long lists are cut. */
static lf_status print_members(FILE *out, const cJSON *o, lf_err *err) {
    enum { WIDTH = 100 };
    const cJSON *v;
    cJSON_ArrayForEach(v, o) {
        if (strcmp(v->string, "modules") == 0 || cJSON_IsNull(v)) continue;
        char *text = cJSON_IsString(v) ? NULL : lf_json_print_line(v);
        if (!cJSON_IsString(v) && !text) return lf_no_memory(err, "a table");
        const char *shown = text ? text : v->valuestring;
        const bool cut = text && strlen(text) > WIDTH;
        fprintf(out, "  %-26s %.*s%s\n", v->string, cut ? WIDTH : (int)strlen(shown), shown, cut ? " ..." : "");
        lf_free(text);
    }
    return LF_OK;
}

static void print_modules(FILE *out, const cJSON *modules) {
    const cJSON *m;
    fprintf(out, "\n  %-46s %-16s %-6s %s\n", "module", "[out, in]", "dtype", "LoRA");
    cJSON_ArrayForEach(m, modules) {
        char shape[48], lora[48] = "-";
        const cJSON *s = cJSON_GetObjectItemCaseSensitive(m, "shape"), *r = cJSON_GetObjectItemCaseSensitive(m, "r");
        snprintf(shape, sizeof shape, "[%.0f, %.0f]", s->child->valuedouble, s->child->next->valuedouble);
        if (r)
            snprintf(lora, sizeof lora, "r %.0f, scaling %g", r->valuedouble,
                     cJSON_GetObjectItemCaseSensitive(m, "scaling")->valuedouble);
        fprintf(out, "  %-46s %-16s %-6s %s\n", cJSON_GetObjectItemCaseSensitive(m, "name")->valuestring, shape,
                cJSON_GetObjectItemCaseSensitive(m, "dtype")->valuestring,
                cJSON_GetObjectItemCaseSensitive(m, "head") ? "head" : lora);
    }
}

static lf_status print_text(FILE *out, const cJSON *all, lf_err *err) {
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(all, "model");
    const cJSON *adapter = cJSON_GetObjectItemCaseSensitive(all, "adapter");
    lf_status rc = LF_OK;
    if (adapter) {
        fputs("adapter\n", out);
        if ((rc = print_members(out, cJSON_GetObjectItemCaseSensitive(adapter, "adapter_config"), err))) return rc;
        if ((rc = print_members(out, cJSON_GetObjectItemCaseSensitive(adapter, "lora_ft"), err))) return rc;
        fprintf(out, "  %-26s %.0f in %.0f tensors\n", "parameters",
                cJSON_GetObjectItemCaseSensitive(adapter, "parameters")->valuedouble,
                cJSON_GetObjectItemCaseSensitive(adapter, "tensors")->valuedouble);
    }
    if (model) {
        fputs(adapter ? "\nmodel\n" : "model\n", out);
        if ((rc = print_members(out, model, err))) return rc;
        print_modules(out, cJSON_GetObjectItemCaseSensitive(model, "modules"));
    }
    return LF_OK;
}

/* ---- the verb ---- */

lf_status lf_inspect(const lf_config *cfg, FILE *out, lf_err *err) {
    const char *const model = lf_cfg_str(cfg, LF_model), *const adapter = lf_cfg_str(cfg, LF_adapter);
    if (!model && !adapter) return lf_fail(err, LF_EUSAGE, "key 'model' or 'adapter' is required; write --model DIR");
    lf_opened o = {0};
    adapter_files files = {0};
    cJSON *all = cJSON_CreateObject();
    lf_status rc = LF_OK;
    if ((adapter && (rc = open_adapter_files(&files, adapter, err))) ||
        (model && (rc = lf_opened_open(&o, cfg, LF_LOAD_NOTHING, err))))
        goto out;
    if ((model && !lf_put(all, "model", model_json(o.model))) ||
        (adapter && !lf_put(all, "adapter", adapter_json(&files, adapter)))) {
        rc = lf_no_memory(err, "what was found");
        goto out;
    }
    if (lf_cfg_bool(cfg, LF_json)) {
        rc = lf_print_json(out, all, err);
        all = NULL;
    } else
        rc = print_text(out, all, err);
out:
    cJSON_Delete(all);
    close_adapter_files(&files);
    lf_opened_close(&o);
    return rc;
}
