/* Folders that this program writes, and models. */
#include <string.h>

#include "adapter/adapter.h"
#include "base/file.h"
#include "base/mem.h"
#include "io/safetensors.h"
#include "model/model.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "tools/what_internal.h"
#include "train/run.h"

/* ---- signs ---- */

bool lf_what_is_checkpoint(const char *path) { return lf_is_file_in(path, "trainer_state.json"); }

bool lf_what_is_adapter(const char *path) {
    return lf_is_file_in(path, "adapter_config.json") || lf_is_file_in(path, "adapter_model.safetensors");
}

bool lf_what_is_run(const char *path) {
    cJSON *o = NULL;
    const bool is = lf_is_file_in(path, "config.json") && lf_json_read_in(&o, path, "config.json", NULL) == LF_OK &&
                    cJSON_GetObjectItemCaseSensitive(o, "output_dir");
    cJSON_Delete(o);
    return is;
}

bool lf_what_is_model(const char *path) { return lf_is_file_in(path, "config.json"); }

static bool is_sequence(const char *path) { return lf_is_file_in(path, "continual.json"); }
static bool is_run_or_sequence(const char *path) { return lf_what_is_run(path) || is_sequence(path); }

bool lf_kind_is_checkpoint(const lf_what_of *w) { return lf_what_is_checkpoint(w->path); }
bool lf_kind_is_adapter(const lf_what_of *w) { return lf_what_is_adapter(w->path); }
bool lf_kind_is_sweep(const lf_what_of *w) { return lf_is_file_in(w->path, "sweep.json"); }
bool lf_kind_is_sequence(const lf_what_of *w) { return is_sequence(w->path); }
bool lf_kind_is_run(const lf_what_of *w) { return lf_what_is_run(w->path); }
bool lf_kind_is_model(const lf_what_of *w) { return lf_what_is_model(w->path); }
bool lf_kind_is_tokenizer_folder(const lf_what_of *w) { return lf_tokenizer_is_in(w->path); }

/* ---- parts ---- */

/* Of dir/name those members that are there: the named ones, and with `main` the keys that are told first of a run. What
 * is wrong with the file is a problem. */
static lf_status facts_of(lf_what_of *w, const char *name, bool main, const char *const *keys) {
    cJSON *o = NULL;
    lf_err found = {0};
    const lf_status rc = lf_json_read_in(&o, w->path, name, &found);
    if (!rc) lf_what_members(w, o, main, keys);
    cJSON_Delete(o);
    return lf_what_note(w, rc, &found);
}

static lf_status tensors_in(lf_what_of *w, const char *name) {
    char *path = lf_path_join(w->path, name);
    const lf_status rc = path ? lf_what_tensors(w, path) : LF_ENOMEM;
    lf_free(path);
    return rc;
}

/* Folders in `dir` (NULL: here) that are of a kind; *all: how many folders there are. */
static int64_t count_in(const lf_what_of *w, const char *dir, bool (*is)(const char *path), int64_t *all) {
    char *folder = dir ? lf_path_join(w->path, dir) : lf_strdup(w->path), **names = NULL;
    size_t n = 0;
    int64_t count = 0;
    *all = 0;
    if (folder && lf_is_dir(folder) && lf_list_dir(&names, &n, folder, NULL)) n = 0;
    for (size_t i = 0; i < n; i++) {
        char *path = lf_path_join(folder, names[i]);
        if (path && lf_is_dir(path)) ++*all, count += is(path);
        lf_free(path);
    }
    lf_free(names);
    lf_free(folder);
    return count;
}

static bool is_finished(const char *path) { return lf_is_file_in(path, "all_results.json"); }
static bool has_failed(const char *path) { return !is_finished(path) && lf_is_file_in(path, "error.json"); }

/* A sequence of tasks is one, as a point of a sweep is. */
static void count_runs(lf_what_of *w, const char *dir) {
    int64_t all;
    lf_what_count(w, "runs", count_in(w, dir, is_run_or_sequence, &all));
    lf_what_count(w, "finished", count_in(w, dir, is_finished, &all));
    lf_what_count(w, "failed", count_in(w, dir, has_failed, &all));
}

/* ---- each ---- */

lf_status lf_kind_look_checkpoint(lf_what_of *w) {
    static const char *const keys[] = {"global_step", "max_steps", "best_metric", "train_examples",
                                       "precision",   "kernels",   "version",     NULL};
    lf_err found = {0};
    lf_status rc = facts_of(w, "trainer_state.json", false, keys);
    if (!rc) rc = lf_what_note(w, lf_checkpoint_check_sums(w->path, &found), &found);
    return rc ? rc : tensors_in(w, "state.safetensors");
}

lf_status lf_kind_look_adapter(lf_what_of *w) {
    static const char *const peft[] = {"base_model_name_or_path", "peft_type", NULL};
    static const char *const ours[] = {"kind", "base_hash", "version", NULL};
    lf_adapter_file *file = NULL;
    lf_err found = {0};
    lf_status rc =
        lf_is_file_in(w->path, "adapter_config.json") ? facts_of(w, "adapter_config.json", true, peft) : LF_OK;
    if (!rc && lf_is_file_in(w->path, "lora_ft.json")) rc = facts_of(w, "lora_ft.json", false, ours);
    if (!rc && !(rc = lf_what_note(w, lf_adapter_open(&file, w->path, &found), &found)) && file)
        rc = tensors_in(w, "adapter_model.safetensors");
    lf_adapter_close(file);
    lf_obj_bool(&w->facts, "chat_template", lf_is_file_in(w->path, LF_CHAT_TEMPLATE_JINJA));
    return rc;
}

/* How long the list `key` of a file is; a file that cannot be read is a problem that is noted. *read: it could be. */
static lf_status count_list(lf_what_of *w, bool *read, const char *file, const char *key) {
    cJSON *o = NULL;
    lf_err found = {0};
    const lf_status rc = lf_json_read_in(&o, w->path, file, &found);
    *read = !rc;
    if (!rc) lf_what_count(w, key, cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(o, key)));
    cJSON_Delete(o);
    return rc ? lf_what_note(w, rc, &found) : LF_OK;
}

lf_status lf_kind_look_sweep(lf_what_of *w) {
    static const char *const keys[] = {"version", "swept", "threads", NULL};
    bool read;
    lf_status rc = count_list(w, &read, "sweep.json", "points");
    if (read) rc = facts_of(w, "sweep.json", false, keys);
    count_runs(w, "runs");
    return rc;
}

lf_status lf_kind_look_sequence(lf_what_of *w) {
    static const char *const none[] = {NULL};
    bool read;
    lf_status rc = count_list(w, &read, "continual.json", "tasks");
    if (read) rc = facts_of(w, "continual.json", true, none);
    lf_obj_bool(&w->facts, "done", lf_is_file_in(w->path, "all_results.json"));
    count_runs(w, NULL);
    return rc;
}

lf_status lf_kind_look_run(lf_what_of *w) {
    static const char *const none[] = {NULL};
    static const char *const ends[] = {"steps", "nothing_learned", "eval_accuracy", "eval_loss", "forgetting", NULL};
    static const char *const errors[] = {"exit_code", "state", "message", NULL};
    int64_t all;
    lf_status rc = facts_of(w, "config.json", true, none);
    const bool finished = is_finished(w->path), failed = has_failed(w->path);
    lf_obj_string(&w->facts, "run", finished ? "finished" : failed ? "failed" : "not finished");
    if (!rc && finished) rc = facts_of(w, "all_results.json", false, ends);
    if (!rc && failed) rc = facts_of(w, "error.json", false, errors);
    lf_what_count(w, "checkpoints", count_in(w, NULL, lf_what_is_checkpoint, &all));
    lf_obj_bool(&w->facts, "adapter", lf_what_has_dir(w, "adapter"));
    return rc;
}

lf_status lf_kind_look_model(lf_what_of *w) {
    static const char *const keys[] = {"model_type", "architectures", NULL};
    const lf_kernels *k;
    lf_model *m = NULL;
    lf_err found = {0};
    lf_status rc = facts_of(w, "config.json", false, keys);
    if (rc) return rc;
    if (!(rc = lf_kernels_select(&k, "fp32", &found)))
        rc = lf_model_open(&m, w->path, &(lf_model_opts){.k = k, .load = LF_LOAD_NOTHING}, &found);
    if (!rc) {
        lf_obj_string(&w->facts, "hash", m->hash);
        lf_what_count(w, "hidden_size", m->hidden_size);
        lf_what_count(w, "layers", m->n_layers);
        if (m->tokens.vocab_size) lf_what_count(w, "vocab_size", m->tokens.vocab_size);
        if (m->head.module && m->head.n_labels) lf_what_count(w, "classes", m->head.n_labels);
        lf_obj_bool(&w->facts, "tokenizer", lf_tokenizer_is_in(w->path));
    }
    lf_model_free(m);
    return rc ? lf_what_note(w, rc, &found) : lf_what_tensors(w, w->path);
}

bool lf_kind_is_runs(const lf_what_of *w) {
    int64_t all;
    return count_in(w, NULL, is_run_or_sequence, &all) > 0;
}

lf_status lf_kind_look_runs(lf_what_of *w) {
    count_runs(w, NULL);
    return LF_OK;
}

/* What goes out after a task has them here or, one with each head, in heads. */
bool lf_kind_is_adapters(const lf_what_of *w) {
    int64_t all;
    return count_in(w, NULL, lf_what_is_adapter, &all) + count_in(w, "heads", lf_what_is_adapter, &all) > 0;
}

lf_status lf_kind_look_adapters(lf_what_of *w) {
    int64_t all;
    lf_what_count(w, "adapters", count_in(w, NULL, lf_what_is_adapter, &all));
    lf_what_count(w, "heads", count_in(w, "heads", lf_what_is_adapter, &all));
    lf_obj_bool(&w->facts, "model", lf_what_has_dir(w, "model"));
    return LF_OK;
}

/* Results that are kept to be found again (io/stored.h): each file says what it is of. */
static const char *stored_kind(const lf_safetensors *st) {
    static const char *const kinds[] = {"decomposition", "base", "Fisher"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (lf_safetensors_metadata(st, kinds[i])) return kinds[i];
    return NULL;
}

static lf_status open_in(lf_safetensors **st, const lf_what_of *w, size_t i, lf_err *err) {
    char *path = lf_path_join(w->path, w->names[i]);
    const lf_status rc = path ? lf_safetensors_open(st, path, err) : LF_ENOMEM;
    lf_free(path);
    return rc;
}

static bool is_named_by_hash(const char *name) {
    enum { HEX = 32 };
    return strspn(name, "0123456789abcdef") >= HEX && strstr(name, ".safetensors");
}

bool lf_kind_is_stored(const lf_what_of *w) {
    for (size_t i = 0; i < w->n_names; i++)
        if (is_named_by_hash(w->names[i])) return true;
    return false;
}

lf_status lf_kind_look_stored(lf_what_of *w) {
    lf_status rc = LF_OK;
    int64_t n = 0;
    for (size_t i = 0; i < w->n_names && !rc; i++) {
        lf_safetensors *st = NULL;
        lf_err found = {0};
        if (!is_named_by_hash(w->names[i])) continue;
        lf_status opened = open_in(&st, w, i, &found);
        if (!opened && !stored_kind(st))
            opened = lf_fail(&found, LF_EDATA, "%s/%s: no result that was kept: its metadata do not say of what",
                             w->path, w->names[i]);
        n += !opened;
        lf_safetensors_close(st);
        rc = lf_what_note(w, opened, &found);
    }
    lf_what_count(w, "results", n);
    return rc;
}
