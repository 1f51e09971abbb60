/* A checkpoint that is not as it was written: what the parts of the input, with NULs between, change in one that a run
 * has just saved. The first byte says in which of two.
 *   1  trainer_state.json: an object's members take the place of the file's (of its objects, one by one; a name with a
 *      '-' before it takes the member away), any other text that of the file
 *   2  xxh128sums; empty: those of the files as they are now, as somebody would make them who wants to be believed;
 *      "-": there is none
 *   3  state.safetensors: lines (tensors.h) for tensors of another size or type; "-NAME" takes one away
 *   4  the bytes of all tensors, again and again; empty: small numbers
 * One line of error, or a run whose numbers are such as a run can have. */
#include <math.h>

#include "base/json.h"
#include "base/string.h"
#include "small_run.h"
#include "tensors.h"
#include "train/checkpoint_internal.h"

enum { STEP = 5, TOTAL = 20, N_RUNS = 2 };

/* Two runs: one that takes the newest of its checkpoints, and one that is told which, on any machine, keeps one and the
 * best, and follows a plateau. */
static struct one {
    const char *dir, *checkpoint, *const *keys;
    lf_run run;
    lf_config *cfg;
    cJSON *state;     /* of the checkpoint as it was saved */
    char lines[8192]; /* its tensors */
} runs[N_RUNS], *the;

static void put_name(char out[200], const char *folder, const char *name) {
    require(snprintf(out, 200, "%s%s", folder, name) < 200);
}

static const char *within(const char *name) {
    char path[200];
    put_name(path, the->checkpoint, name);
    return in_folder(path);
}

/* ---- a run, and what it saved ---- */

static void save(int64_t step) {
    lf_err err = {0};
    the->run.progress.step = step;
    the->run.optimizer.steps = step;
    must(lf_checkpoint_save(&the->run, &err), &err);
}

/* Without the adapter beside it, which nobody goes on from: each file is read several times an input. */
static void open_run(void) {
    lf_err err = {0};
    lf_safetensors *st = NULL;
    the->cfg = small_config(the->dir, the->keys);
    must(lf_run_open(&the->run, the->cfg, &err), &err);
    save(STEP - 1);
    save(STEP);
    require(lf_remove_tree(in_folder("run/checkpoint-4"), NULL) == LF_OK); /* the other keeps one alone */
    require(lf_remove_tree(within("/adapter"), NULL) == LF_OK);
    must(lf_json_read(&the->state, within("/" LF_STATE_JSON), &err), &err);
    must(lf_safetensors_open(&st, within("/" LF_STATE_FILE), &err), &err);
    size_t n = 0;
    for (int64_t i = 0; i < lf_safetensors_count(st); i++)
        n += (size_t)snprintf(the->lines + n, sizeof the->lines - n, "%s F32 %lld\n", lf_safetensors_at(st, i)->name,
                              (long long)lf_safetensors_at(st, i)->numel);
    require(n < sizeof the->lines && lf_safetensors_count(st) < TENSORS_MOST);
    lf_safetensors_close(st);
}

static void open_runs(void) {
    static char path[640];
    static const char *const plain[] = {
        "init_lora_weights", "pissa", "target_modules", "q_proj", "resume_from_checkpoint", "true", NULL};
    static const char *const other[] = {"init_lora_weights",
                                        "pissa",
                                        "target_modules",
                                        "q_proj",
                                        "resume_from_checkpoint",
                                        path,
                                        "force_resume",
                                        "true",
                                        "validation_data",
                                        path + 320,
                                        "eval_strategy",
                                        "steps",
                                        "eval_steps",
                                        "5",
                                        "save_strategy",
                                        "steps",
                                        "save_steps",
                                        "5",
                                        "save_total_limit",
                                        "1",
                                        "load_best_model_at_end",
                                        "true",
                                        "lr_scheduler_type",
                                        "reduce_lr_on_plateau",
                                        NULL};
    snprintf(path, 320, "%s", in_folder("run-told/checkpoint-5"));
    snprintf(path + 320, 320, "%s", in_folder("data"));
    runs[0] = (struct one){.dir = "run", .checkpoint = "run/checkpoint-5", .keys = plain};
    runs[1] = (struct one){.dir = "run-told", .checkpoint = "run-told/checkpoint-5", .keys = other};
    for (int i = 0; i < N_RUNS; i++) {
        the = &runs[i];
        open_run();
    }
}

/* ---- the changes ---- */

static void merge(cJSON *into, const cJSON *from, int depth) {
    const cJSON *item;
    cJSON_ArrayForEach(item, from) {
        const bool away = item->string[0] == '-';
        cJSON *old = cJSON_GetObjectItemCaseSensitive(into, item->string + away);
        if (away)
            cJSON_DeleteItemFromObjectCaseSensitive(into, item->string + 1);
        else if (depth && cJSON_IsObject(old) && cJSON_IsObject(item))
            merge(old, item, depth - 1);
        else {
            cJSON_DeleteItemFromObjectCaseSensitive(into, item->string);
            require(cJSON_AddItemToObject(into, item->string, cJSON_Duplicate(item, true)));
        }
    }
}

static void put_within(const char *name, fuzz_part part) {
    char path[200];
    put_name(path, the->checkpoint, name);
    put_part(path, part);
}

static void put_state(fuzz_part text) {
    cJSON *changes = NULL;
    const bool is_object = lf_json_parse(&changes, text.s, text.n, "fuzz", NULL) == LF_OK && cJSON_IsObject(changes);
    if (is_object || !text.n) {
        cJSON *all = cJSON_Duplicate(the->state, true);
        merge(all, changes, 1);
        char *now = lf_json_print(all, false);
        require(now != NULL);
        put_within("/" LF_STATE_JSON, (fuzz_part){now, strlen(now)});
        lf_free(now);
        cJSON_Delete(all);
    } else
        put_within("/" LF_STATE_JSON, text);
    cJSON_Delete(changes);
}

/* Is there the line "-NAME", for the name that the line begins with? */
static bool is_taken_away(const char *changes, const char *line) {
    const size_t n = strcspn(line, " ");
    for (const char *at = changes; at; at = (at = strchr(at, '\n')) ? at + 1 : NULL)
        if (*at == '-' && strncmp(at + 1, line, n) == 0 && (at[n + 1] == '\n' || !at[n + 1])) return true;
    return false;
}

static void put_state_tensors(fuzz_part changes, fuzz_part bytes) {
    char all[sizeof the->lines + 4096] = "";
    size_t n = 0;
    if (changes.n < 4000) n = (size_t)snprintf(all, sizeof all, "%s\n", changes.s);
    for (const char *line = the->lines; *line; line = strchr(line, '\n') + 1)
        if (!is_taken_away(changes.s, line))
            n += (size_t)snprintf(all + n, sizeof all - n, "%.*s\n", (int)strcspn(line, "\n"), line);
    put_tensors(within("/" LF_STATE_FILE), (fuzz_part){all, n}, bytes.s, bytes.n);
}

static void put_checkpoint(fuzz_input *in) {
    const fuzz_part json = take_part(in), sums = take_part(in), tensors = take_part(in), bytes = take_rest(in);
    put_state(json);
    put_state_tensors(tensors, bytes);
    if (sums.n == 1 && sums.s[0] == '-')
        remove(within("/xxh128sums"));
    else if (sums.n)
        put_within("/xxh128sums", sums);
    else
        require(lf_checkpoint_seal(in_folder(the->checkpoint), NULL) == LF_OK);
    free(json.s);
    free(sums.s);
    free(tensors.s);
    free(bytes.s);
}

/* ---- going on from it ---- */

static void check_run(const lf_run *run) {
    const lf_progress_state *p = &run->progress;
    require(p->step >= 0 && p->step <= TOTAL && p->best_step >= 0 && p->best_step <= p->step);
    require(run->optimizer.steps >= 0 && run->optimizer.steps <= p->step);
    require(p->since_log.correct >= 0 && p->since_log.correct <= p->since_log.targets && p->since_log.loss >= 0);
    require(!(p->train_seconds < 0) && !(p->eval_accuracy_before < 0 || p->eval_accuracy_before > 1));
    for (int64_t i = 0; i < run->n_trainables; i++)
        for (int64_t k = 0; k < run->trainables[i].tensor->numel; k++)
            require(isfinite(((const float *)run->trainables[i].tensor->data)[k]));
    require(cJSON_IsArray(run->segments));
}

/* What stands behind the step is put aside, and is put back here for the next input. */
static void put_aside(void) {
    char later[200], old[200], aside[200];
    bool any = false;
    put_name(later, the->dir, "/checkpoint-9");
    require(lf_mkdir_p(in_folder(later), NULL) == LF_OK);
    require(lf_checkpoint_set_later_aside(&the->run, NULL) == LF_OK && !lf_is_dir(in_folder(later)));
    put_name(old, the->dir, "/checkpoint-9.old-1");
    put_name(aside, the->checkpoint, ".old-1");
    require(lf_checkpoint_is_ours("checkpoint-9.old-1", 18) && !lf_checkpoint_is_ours("checkpoint-9.odd", 16));
    require(lf_remove_tree(in_folder(old), NULL) == LF_OK);
    if (lf_is_dir(in_folder(aside))) require(rename(in_folder(aside), in_folder(the->checkpoint)) == 0);
    require(lf_checkpoint_any(&any, the->run.dir, NULL) == LF_OK && any);
}

/* The keys that a checkpoint says its run had, as those of a run that is finished. */
static void ask_of_finished(const cJSON *saved) {
    const cJSON *was = cJSON_GetObjectItemCaseSensitive(saved, "run");
    lf_config *cfg = NULL;
    lf_key_id longer = LF_NO_KEY;
    lf_err err = {0};
    lf_status rc = lf_cfg_check_finished(the->cfg, was, the->dir, &longer, &err);
    require_said(rc, &err);
    require(rc == LF_OK || rc == LF_EUSAGE);
    err = (lf_err){0};
    require(lf_config_new(&cfg, "train", NULL) == LF_OK);
    rc = lf_cfg_take_inherited(cfg, was, "fuzz", &err);
    require_said(rc, &err);
    lf_config_free(cfg);
}

static void go_on(void) {
    char *path = NULL;
    cJSON *saved = NULL;
    lf_err err = {0};
    lf_status rc = lf_checkpoint_find(&path, &the->run, &err);
    require_said(rc, &err);
    require(rc == LF_OK ? path != NULL : rc == LF_EDATA);
    lf_free(path);
    err = (lf_err){0};
    const lf_status found = rc;
    rc = lf_checkpoint_restore(&the->run, in_folder(the->checkpoint), &err);
    require_said(rc, &err);
    require(rc == LF_OK || rc == LF_EDATA || rc == LF_EUSAGE || rc == LF_EUNSUPPORTED);
    require(found == LF_OK || rc != LF_OK); /* what is passed over is not taken by name either */
    if (!rc) check_run(&the->run);
    const bool taken = !rc;
    err = (lf_err){0};
    rc = lf_checkpoint_restore_weights(&the->run, in_folder(the->checkpoint), &err);
    require_said(rc, &err);
    if (lf_json_read(&saved, within("/" LF_STATE_JSON), NULL) == LF_OK) ask_of_finished(saved);
    cJSON_Delete(saved);
    if (taken) put_aside();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    lf_log_set_level(LF_LOG_QUIET);
    if (!the) open_runs();
    the = &runs[take_byte(&in) % N_RUNS];
    const int64_t live = lf_alloc_live();
    put_checkpoint(&in);
    go_on();
    cJSON_Delete(the->run.segments);
    the->run.segments = NULL;
    require(lf_alloc_live() == live);
    return 0;
}
