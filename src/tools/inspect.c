/* The verb `inspect`: what any file or folder is (tools/what.h), or what is in a model directory, an adapter folder, or
 * both together. Weights are checked, not loaded. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/cells.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/plain.h"
#include "tools/common.h"
#include "tools/what.h"

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

static cJSON *strings(const char *const *values, int64_t n) {
    lf_obj list = lf_list_new();
    for (int64_t i = 0; i < n; i++) lf_list_string(&list, values[i]);
    return lf_obj_take(&list);
}

/* `shared`: the weight of a head that is another module's (tied embeddings). */
static cJSON *module_json(const lf_module *m, const lf_param *shared) {
    lf_obj o = lf_obj_new();
    lf_obj_string(&o, "name", m->name);
    lf_obj_put(&o, "shape", cJSON_CreateDoubleArray((double[]){(double)m->out, (double)m->in}, 2));
    lf_obj_string(&o, "dtype", lf_dtype_name((m->weight ? m->weight : shared)->file_dtype));
    lf_obj_bool(&o, "bias", m->bias != NULL);
    if (m->head) lf_obj_bool(&o, "head", true);
    if (m->lora) lf_obj_number(&o, "r", (double)m->lora->r);
    if (m->lora) lf_obj_number(&o, "scaling", m->lora->scaling);
    return lf_obj_take(&o);
}

static cJSON *modules_json(const lf_model *model) {
    const lf_nn *nn = &model->nn;
    lf_obj list = lf_list_new();
    for (int64_t i = 0; i < nn->n_modules; i++) {
        const lf_module *m = nn->modules[i];
        if (m->kind != LF_MODULE_LINEAR && m->kind != LF_MODULE_CONV && !m->lora) continue;
        if (m->weight || model->tokens.embedding) lf_list_put(&list, module_json(m, model->tokens.embedding));
    }
    return lf_obj_take(&list);
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

static void put_pixel_facts(lf_obj *o, const lf_model *m) {
    lf_obj_number(o, "num_channels", (double)m->pixels.channels);
    lf_obj_number(o, "image_height", (double)m->pixels.height);
    lf_obj_number(o, "image_width", (double)m->pixels.width);
}

static void put_token_facts(lf_obj *o, const lf_model *m) {
    lf_obj_number(o, "num_hidden_layers", (double)m->n_layers);
    lf_obj_number(o, "vocab_size", (double)m->tokens.vocab_size);
    lf_obj_number(o, "max_position_embeddings", m->tokens.max_positions ? (double)m->tokens.max_positions : NAN);
}

static void put_class_facts(lf_obj *o, const lf_model *m) {
    lf_obj_number(o, "num_labels", (double)m->head.n_labels);
    lf_obj_bool(o, "base_head", m->base_head.module != NULL);
    lf_obj_put(o, "labels", strings(m->head.labels, m->head.n_labels));
}

static void put_facts(lf_obj *o, const lf_model *m) {
    if (m->family->input == LF_PIXELS)
        put_pixel_facts(o, m);
    else
        put_token_facts(o, m);
    if (m->lm_head) lf_obj_bool(o, "tie_word_embeddings", m->tied);
    if (m->family->masked) lf_obj_bool(o, "masked_head", m->lm_head != NULL);
    if (lf_model_says(m, LF_CLASSES)) put_class_facts(o, m);
}

static cJSON *model_json(const lf_model *m) {
    lf_obj o = lf_obj_new();
    lf_obj_string(&o, "path", m->path);
    lf_obj_string(&o, "model_type", m->family->model_type);
    lf_obj_string(&o, "hash", m->hash);
    lf_obj_number(&o, "parameters", (double)base_parameters(m));
    lf_obj_number(&o, "hidden_size", (double)m->hidden_size);
    put_facts(&o, m);
    lf_obj_put(&o, "modules", modules_json(m));
    return lf_obj_take(&o);
}

static cJSON *adapter_json(const adapter_files *a, const char *path) {
    lf_obj o = lf_obj_new();
    lf_obj_string(&o, "path", path);
    lf_obj_number(&o, "tensors", (double)lf_safetensors_count(a->weights));
    lf_obj_number(&o, "parameters", (double)a->numbers);
    if (a->config) lf_obj_copy(&o, "adapter_config", a->config);
    if (a->facts) lf_obj_copy(&o, "lora_ft", a->facts);
    return lf_obj_take(&o);
}

/* ---- text ---- */

enum { NAMES = 29 }; /* columns */

static void print_member(FILE *out, const char *name, const char *value, bool cut) {
    char indented[128];
    snprintf(indented, sizeof indented, "  %s", name);
    lf_print_pair(out, indented, NAMES, value, cut);
}

/* One line for each member that is no list of modules; long lists are cut. */
static lf_status print_members(FILE *out, const cJSON *o, lf_err *err) {
    const cJSON *v;
    cJSON_ArrayForEach(v, o) {
        if (strcmp(v->string, "modules") == 0 || cJSON_IsNull(v)) continue;
        char *text = cJSON_IsString(v) ? NULL : lf_json_print_line(v);
        if (!cJSON_IsString(v) && !text) return lf_no_memory(err, "a table");
        print_member(out, v->string, text ? text : v->valuestring, text != NULL);
        lf_free(text);
    }
    return LF_OK;
}

static double number(const cJSON *o, const char *key) { return cJSON_GetObjectItemCaseSensitive(o, key)->valuedouble; }
static const char *words(const cJSON *o, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(o, key)->valuestring;
}

static void put_module(lf_cells *t, const cJSON *m) {
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(m, "shape");
    lf_cells_put(t, "  %s", words(m, "name"));
    lf_cells_put(t, "[%.0f, %.0f]", shape->child->valuedouble, shape->child->next->valuedouble);
    lf_cells_put(t, "%s", words(m, "dtype"));
    if (cJSON_GetObjectItemCaseSensitive(m, "r"))
        lf_cells_put(t, "r %.0f, scaling %g", number(m, "r"), number(m, "scaling"));
    else
        lf_cells_put(t, cJSON_GetObjectItemCaseSensitive(m, "head") ? "head" : "-");
}

static void print_modules(FILE *out, const cJSON *modules) {
    static const char *const heads[] = {"  module", "[out, in]", "dtype", "LoRA"};
    enum { N = sizeof heads / sizeof *heads };
    lf_cells t = lf_cells_new(N, LF_CELLS_HEAD | LF_CELLS_LAST_LEFT);
    const cJSON *m;
    for (int i = 0; i < N; i++) lf_cells_put(&t, "%s", heads[i]);
    cJSON_ArrayForEach(m, modules) put_module(&t, m);
    fputc('\n', out);
    lf_cells_print(&t, out);
}

static lf_status print_text(FILE *out, cJSON *all, lf_err *err) {
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(all, "model");
    const cJSON *adapter = cJSON_GetObjectItemCaseSensitive(all, "adapter");
    lf_status rc = LF_OK;
    lf_make_json_plain(all);
    if (adapter) {
        fputs("adapter\n", out);
        if ((rc = print_members(out, cJSON_GetObjectItemCaseSensitive(adapter, "adapter_config"), err))) return rc;
        if ((rc = print_members(out, cJSON_GetObjectItemCaseSensitive(adapter, "lora_ft"), err))) return rc;
        char text[80];
        snprintf(text, sizeof text, "%.0f in %.0f tensors", number(adapter, "parameters"), number(adapter, "tensors"));
        print_member(out, "parameters", text, false);
    }
    if (model) {
        fputs(adapter ? "\nmodel\n" : "model\n", out);
        if ((rc = print_members(out, model, err))) return rc;
        print_modules(out, cJSON_GetObjectItemCaseSensitive(model, "modules"));
    }
    return LF_OK;
}

/* ---- the verb ---- */

static lf_status inspect_paths(const lf_config *cfg, FILE *out, lf_err *err) {
    lf_obj list = lf_list_new();
    int64_t problems = 0;
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < lf_cfg_list_count(cfg, LF_paths) && !rc; i++)
        rc = lf_what(&list, &problems, lf_cfg_list_at(cfg, LF_paths, i), err);
    cJSON *found = lf_obj_take(&list);
    if (!rc && !found) rc = lf_no_memory(err, "what was found");
    if (!rc && lf_cfg_bool(cfg, LF_json)) {
        lf_obj o = lf_obj_new();
        lf_obj_put(&o, "found", found);
        found = NULL;
        rc = lf_json_write_line(out, lf_obj_take(&o), err);
    }
    const cJSON *what;
    if (!rc) cJSON_ArrayForEach(what, found) lf_what_print(out, what);
    cJSON_Delete(found);
    if (rc || !problems) return rc;
    return lf_fail(err, LF_EDATA, "%lld problem%s", (long long)problems, problems == 1 ? "" : "s");
}

static lf_status inspect_model(const lf_config *cfg, FILE *out, lf_err *err) {
    const char *const model = lf_cfg_str(cfg, LF_model), *const adapter = lf_cfg_str(cfg, LF_adapter);
    lf_opened o = {0};
    adapter_files files = {0};
    lf_obj all = lf_obj_new();
    cJSON *found = NULL;
    lf_status rc = LF_OK;
    if ((adapter && (rc = open_adapter_files(&files, adapter, err))) ||
        (model && (rc = lf_opened_open(&o, cfg, LF_LOAD_NOTHING, err))))
        goto out;
    if (model) lf_obj_put(&all, "model", model_json(o.model));
    if (adapter) lf_obj_put(&all, "adapter", adapter_json(&files, adapter));
    found = lf_obj_take(&all);
    if (lf_cfg_bool(cfg, LF_json)) {
        rc = lf_json_write_line(out, found, err);
        found = NULL;
    } else
        rc = found ? print_text(out, found, err) : lf_no_memory(err, "what was found");
out:
    cJSON_Delete(found);
    cJSON_Delete(lf_obj_take(&all));
    close_adapter_files(&files);
    lf_opened_close(&o);
    return rc;
}

lf_status lf_inspect(const lf_config *cfg, FILE *out, lf_err *err) {
    const bool paths = lf_cfg_list_count(cfg, LF_paths) > 0;
    if (paths && (lf_cfg_is_set(cfg, LF_model) || lf_cfg_is_set(cfg, LF_adapter)))
        return lf_cfg_fail(cfg, LF_paths, err, "and model or adapter are looked at in two ways; give one");
    return paths ? inspect_paths(cfg, out, err) : inspect_model(cfg, out, err);
}
