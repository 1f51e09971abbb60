/* The verb `verify`: is an adapter, a run, a checkpoint or a model what it should be, and whole? Every check is a row;
 * nothing is changed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hub.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/terminal.h"
#include "gguf/format.h"
#include "io/safetensors.h"
#include "tools/common.h"
#include "tools/merged.h"
#include "tools/what.h"
#include "train/run.h"

typedef struct report {
    const lf_config *cfg;
    lf_obj checks; /* [{"path", "check", "ok", "said"}] */
    int64_t bad;
} report;

/* `what` went through, or err says why not; memory that runs out is an error of the verb's own. */
static lf_status note(report *r, const char *path, const char *what, lf_status rc, const lf_err *found,
                      const char *said) {
    if (rc == LF_ENOMEM || rc == LF_EINTERRUPTED) return rc;
    lf_obj o = lf_obj_new();
    lf_obj_string(&o, "path", path);
    lf_obj_string(&o, "check", what);
    lf_obj_bool(&o, "ok", rc == LF_OK);
    lf_obj_string(&o, "said", rc ? found->message : said);
    lf_list_put(&r->checks, lf_obj_take(&o));
    r->bad += rc != LF_OK;
    return LF_OK;
}

/* ---- numbers ---- */

static lf_status check_tensor(const lf_st_tensor *t, lf_err *err) {
    int64_t at;
    float x;
    if (!lf_st_has_no_number(t, &at, &x)) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: tensor '%s': number %lld is %g", t->path, t->name, (long long)at, (double)x);
}

/* Headers, and that every number is one. */
static lf_status tensors(report *r, const char *path, const char *file) {
    lf_safetensors *st = NULL;
    lf_err found = {0};
    char said[100] = "";
    lf_status rc = lf_safetensors_open(&st, file, &found);
    const int64_t n = rc ? 0 : lf_safetensors_count(st);
    for (int64_t i = 0; i < n && !rc; i++) rc = check_tensor(lf_safetensors_at(st, i), &found);
    snprintf(said, sizeof said, "%lld tensors, all numbers finite", (long long)n);
    lf_safetensors_close(st);
    return note(r, path, "tensors", rc, &found, said);
}

static lf_status tensors_in(report *r, const char *dir, const char *name) {
    char *file = lf_path_join(dir, name);
    const lf_status rc = file ? tensors(r, dir, file) : LF_ENOMEM;
    lf_free(file);
    return rc;
}

static lf_status json_in(report *r, const char *dir, const char *name) {
    cJSON *o = NULL;
    lf_err found = {0};
    const lf_status rc = lf_json_read_in(&o, dir, name, &found);
    cJSON_Delete(o);
    return note(r, dir, name, rc, &found, "is JSON");
}

/* ---- an adapter ---- */

static lf_status compare_hash(const char *dir, const lf_model *m, lf_err *err) {
    cJSON *facts = NULL;
    if (!lf_is_file_in(dir, "lora_ft.json")) return LF_OK;
    const lf_status rc = lf_json_read_in(&facts, dir, "lora_ft.json", err);
    const char *was = rc ? NULL : cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(facts, "base_hash"));
    const bool same = !was || !*was || strcmp(was, m->hash) == 0;
    if (!rc && !same)
        lf_fail(err, LF_EDATA, "%s: was trained on a base with the hash %.32s, and %s has %s", dir, was, m->path,
                m->hash);
    cJSON_Delete(facts);
    return rc ? rc : same ? LF_OK : LF_EDATA;
}

static lf_status against_base(report *r, const char *dir, const char *model) {
    lf_adapted a = {0};
    const lf_kernels *k;
    lf_err found = {0};
    lf_status rc = lf_kernels_select(&k, "fp32", &found);
    if (!rc) rc = lf_adapted_open(&a, model, dir, &(lf_model_opts){.k = k, .load = LF_LOAD_FROZEN}, &found);
    lf_status said = note(r, dir, "every tensor has its place in the base", rc, &found, model);
    if (!said && !rc) {
        rc = compare_hash(dir, a.model, &found);
        said = note(r, dir, "the base is that of the training", rc, &found, a.model->hash);
    }
    if (!said && !rc) {
        char text[160] = "";
        rc = lf_merged_agrees(a.model, k, model, dir, text, sizeof text, &found);
        said = note(r, dir, "merged, it says what base and adapter say", rc, &found, text);
    }
    lf_adapted_close(&a);
    return said;
}

/* The base of --model, else the one that the adapter names, where it is there. */
static lf_status adapter(report *r, const char *dir) {
    lf_adapter_file *file = NULL;
    cJSON *config = NULL;
    lf_err found = {0};
    lf_status rc = lf_adapter_open(&file, dir, &found);
    lf_adapter_close(file);
    lf_status said = note(r, dir, "adapter_config.json and tensors fit", rc, &found, "as PEFT reads it");
    if (!said && !rc) said = tensors_in(r, dir, "adapter_model.safetensors");
    const char *base = lf_cfg_str(r->cfg, LF_model);
    if (!base && lf_json_read_in(&config, dir, "adapter_config.json", NULL) == LF_OK)
        base = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(config, "base_model_name_or_path"));
    cJSON *facts = NULL; /* where the base was, if a hub's name stands in its place */
    if (base && !lf_is_dir(base) && lf_is_file_in(dir, "lora_ft.json") &&
        lf_json_read_in(&facts, dir, "lora_ft.json", NULL) == LF_OK) {
        const char *was = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(facts, "base_model"));
        if (was && lf_is_dir(was) && lf_hub_is_name(base)) base = was;
    }
    if (!said && !rc && base && lf_is_dir(base))
        said = against_base(r, dir, base);
    else if (!said && !rc) {
        lf_fail(&found, LF_ENOTFOUND, "the base '%.200s' is not there; give it with --model", base ? base : "");
        said = note(r, dir, "every tensor has its place in the base", LF_ENOTFOUND, &found, "");
    }
    cJSON_Delete(facts);
    cJSON_Delete(config);
    return said;
}

/* ---- the others ---- */

static lf_status checkpoint(report *r, const char *dir) {
    lf_err found = {0};
    const lf_status rc = lf_checkpoint_check_sums(dir, &found);
    lf_status said = note(r, dir, "every file is as it was written", rc, &found, "a run can go on from it");
    return said || rc ? said : tensors_in(r, dir, "state.safetensors");
}

static lf_status model(report *r, const char *dir) {
    lf_model *m = NULL;
    const lf_kernels *k;
    lf_err found = {0};
    lf_status rc = lf_kernels_select(&k, "fp32", &found);
    if (!rc) rc = lf_model_open(&m, dir, &(lf_model_opts){.k = k, .load = LF_LOAD_NOTHING}, &found);
    const lf_status said = note(r, dir, "config.json and tensors fit", rc, &found, m ? m->hash : "");
    lf_model_free(m);
    return said || rc ? said : tensors(r, dir, dir);
}

static lf_status safetensors(report *r, const char *path) { return tensors(r, path, path); }

/* Tensors of plain floats; what is quantised has numbers of its own form, which are not looked at: *left_out grows. */
static lf_status check_gguf_tensor(const char *path, const lf_gguf_tensor *t, int64_t *left_out, lf_err *err) {
    lf_st_tensor plain = {.data = t->data, .numel = (int64_t)t->numel, .size = t->size};
    int64_t at;
    float x;
    const bool is_plain = lf_dtype_parse(lf_gguf_type_name(t->type), &plain.dtype);
    *left_out += !is_plain;
    if (!is_plain || !lf_st_has_no_number(&plain, &at, &x)) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: tensor '%.*s': number %lld is %g", path, (int)t->name_size, t->name,
                   (long long)at, (double)x);
}

static lf_status gguf(report *r, const char *path) {
    lf_gguf *g = NULL;
    lf_err found = {0};
    char said[160] = "";
    int64_t left_out = 0;
    const char *architecture;
    size_t size;
    lf_status rc = lf_gguf_open(&g, path, &found);
    const int64_t n = rc ? 0 : lf_gguf_n_tensors(g);
    if (!rc && !lf_gguf_string(g, "general.architecture", &architecture, &size))
        rc = lf_fail(&found, LF_EDATA, "%s: key 'general.architecture': is not there; is it a model or an adapter?",
                     path);
    if (!rc && n == 0) rc = lf_fail(&found, LF_EDATA, "%s: there is no tensor in it", path);
    for (int64_t i = 0; i < n && !rc; i++) rc = check_gguf_tensor(path, lf_gguf_tensor_at(g, i), &left_out, &found);
    snprintf(said, sizeof said, "%lld tensors, each within the file", (long long)n);
    if (left_out)
        snprintf(said + strlen(said), sizeof said - strlen(said),
                 "; the numbers of %lld are quantised and were not looked at", (long long)left_out);
    lf_gguf_close(g);
    return note(r, path, "keys and tensors", rc, &found, said);
}

static lf_status inner(report *r, const char *dir, const char *name, lf_status (*check)(report *r, const char *path)) {
    char *path = lf_path_join(dir, name);
    const lf_status rc = path ? check(r, path) : LF_ENOMEM;
    lf_free(path);
    return rc;
}

static lf_status checkpoints(report *r, const char *dir) {
    char **names = NULL;
    size_t n = 0;
    lf_status rc = lf_list_dir(&names, &n, dir, NULL);
    for (size_t i = 0; i < n && !rc; i++) {
        char *path = lf_path_join(dir, names[i]);
        rc = !path ? LF_ENOMEM : lf_what_is_checkpoint(path) ? checkpoint(r, path) : LF_OK;
        lf_free(path);
    }
    lf_free(names);
    return rc;
}

/* Its settings are those of `train`, with nothing that it does not know. */
static lf_status settings(report *r, const char *dir) {
    lf_config *cfg = NULL;
    lf_err found = {0};
    char *path = lf_path_join(dir, "config.json");
    lf_status rc = path ? lf_config_new(&cfg, "train", &found) : LF_ENOMEM;
    if (!rc) rc = lf_config_load(cfg, path, &found);
    lf_config_free(cfg);
    lf_free(path);
    return note(r, dir, "config.json is that of a run", rc, &found, "repeats it");
}

static lf_status run(report *r, const char *dir) {
    static const char *const files[] = {"all_results.json", "error.json"};
    static const struct {
        const char *name;
        lf_status (*check)(report *r, const char *path);
    } results[] = {{"adapter", adapter}, {"model", model}};
    lf_status rc = settings(r, dir);
    for (size_t i = 0; i < sizeof files / sizeof *files && !rc; i++)
        if (lf_is_file_in(dir, files[i])) rc = json_in(r, dir, files[i]);
    for (size_t i = 0; i < sizeof results / sizeof *results && !rc; i++) {
        char *path = lf_path_join(dir, results[i].name);
        const bool there = path && lf_is_dir(path);
        lf_free(path);
        if (there) rc = inner(r, dir, results[i].name, results[i].check);
    }
    return rc ? rc : checkpoints(r, dir);
}

/* ---- which of them ---- */

static bool is_file(const char *path) { return lf_is_file(path); }

static bool is_gguf(const char *path) {
    char begins[4];
    size_t n = 0;
    return lf_is_file(path) && lf_file_begins(begins, sizeof begins, &n, path, NULL) == LF_OK && n == sizeof begins &&
           memcmp(begins, LF_GGUF_MAGIC, n) == 0;
}

static const struct {
    const char *name;
    bool (*is)(const char *path);
    lf_status (*check)(report *r, const char *path);
} kinds[] = {
    {"checkpoint", lf_what_is_checkpoint, checkpoint},
    {"adapter", lf_what_is_adapter, adapter},
    {"run", lf_what_is_run, run},
    {"model", lf_what_is_model, model},
    {"gguf", is_gguf, gguf},
    {"safetensors", is_file, safetensors},
};

static lf_status verify_one(report *r, const char *path, lf_err *err) {
    const int64_t before = r->bad;
    lf_err found = {0};
    lf_status rc = LF_OK;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!kinds[i].is(path)) continue;
        rc = kinds[i].check(r, path);
        if (!rc)
            rc = note(r, path, kinds[i].name, r->bad > before ? LF_EDATA : LF_OK, &(lf_err){.message = "is not whole"},
                      "is whole");
        return rc == LF_ENOMEM ? lf_no_memory(err, "%s", path) : rc ? lf_fail(err, rc, "interrupted") : LF_OK;
    }
    lf_fail(&found, LF_EDATA, "%s: is no adapter, run, checkpoint, model, GGUF or safetensors file", path);
    return note(r, path, "what it is", LF_EDATA, &found, "");
}

static void print(FILE *out, const cJSON *checks) {
    const cJSON *c;
    cJSON_ArrayForEach(c, checks) {
        static const char *const parts[] = {"path", "check", "said"};
        const char *said[3];
        for (int i = 0; i < 3; i++) said[i] = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(c, parts[i]));
        const bool ok = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(c, "ok"));
        lf_print_line(out, "%-8s%s: %s: %s", ok ? "ok" : "NOT OK", said[0], said[1], said[2]);
    }
}

lf_status lf_verify(const lf_config *cfg, FILE *out, lf_err *err) {
    int threads;
    report r = {.cfg = cfg, .checks = lf_list_new()};
    lf_status rc = lf_threads_take(&threads, 0, err);
    for (int64_t i = 0; i < lf_cfg_list_count(cfg, LF_paths) && !rc; i++)
        rc = verify_one(&r, lf_cfg_list_at(cfg, LF_paths, i), err);
    cJSON *checks = lf_obj_take(&r.checks);
    if (!rc && !checks) rc = lf_no_memory(err, "what was found");
    if (!rc && lf_cfg_bool(cfg, LF_json)) {
        lf_obj o = lf_obj_new();
        lf_obj_bool(&o, "ok", r.bad == 0);
        lf_obj_put(&o, "checks", checks);
        checks = NULL;
        rc = lf_json_write_line(out, lf_obj_take(&o), err);
    } else if (!rc)
        print(out, checks);
    cJSON_Delete(checks);
    return rc || !r.bad ? rc : lf_fail(err, LF_EDATA, "%lld checks failed", (long long)r.bad);
}
