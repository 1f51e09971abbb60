/* A checkpoint that is not as it was written: what the parts of the input, with NULs between, change in one that a run
 * has just saved.
 *   1  trainer_state.json: an object's members take the place of the file's (of its objects, one by one; a name with a
 *      '-' before it takes the member away), any other text that of the file
 *   2  xxh128sums; empty: those of the files as they are now, as somebody would make them who wants to be believed
 *   3  state.safetensors: lines (tensors.h) for tensors of another size or type; "-NAME" takes one away
 *   4  the bytes of all tensors, again and again; empty: small numbers
 * One line of error, or a run whose numbers are such as a run can have. */
#include <math.h>

#include "base/json.h"
#include "base/string.h"
#include "small_run.h"
#include "tensors.h"
#include "train/checkpoint_internal.h"

enum { STEP = 5, TOTAL = 20 };

static lf_run run;
static lf_config *cfg;
static cJSON *state; /* of the checkpoint as it was saved */
static char lines[8192];

/* ---- a run, and what it saved ---- */

static void open_run(void) {
    static const char *const keys[] = {
        "init_lora_weights", "pissa", "target_modules", "q_proj", "resume_from_checkpoint", "true", NULL};
    lf_err err = {0};
    lf_safetensors *st = NULL;
    cfg = small_config(keys);
    must(lf_run_open(&run, cfg, &err), &err);
    run.progress.step = STEP;
    run.optimizer.steps = STEP;
    must(lf_checkpoint_save(&run, &err), &err);
    must(lf_json_read(&state, in_folder("run/checkpoint-5/" LF_STATE_JSON), &err), &err);
    must(lf_safetensors_open(&st, in_folder("run/checkpoint-5/" LF_STATE_FILE), &err), &err);
    size_t n = 0;
    for (int64_t i = 0; i < lf_safetensors_count(st); i++)
        n += (size_t)snprintf(lines + n, sizeof lines - n, "%s F32 %lld\n", lf_safetensors_at(st, i)->name,
                              (long long)lf_safetensors_at(st, i)->numel);
    require(n < sizeof lines && lf_safetensors_count(st) < TENSORS_MOST);
    lf_safetensors_close(st);
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

static void put_state(fuzz_part text) {
    cJSON *changes = NULL;
    const bool is_object = lf_json_parse(&changes, text.s, text.n, "fuzz", NULL) == LF_OK && cJSON_IsObject(changes);
    if (is_object || !text.n) {
        cJSON *all = cJSON_Duplicate(state, true);
        merge(all, changes, 1);
        char *now = lf_json_print(all, false);
        require(now != NULL);
        put_file("run/checkpoint-5/" LF_STATE_JSON, now, strlen(now));
        lf_free(now);
        cJSON_Delete(all);
    } else
        put_part("run/checkpoint-5/" LF_STATE_JSON, text);
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
    char all[sizeof lines + 4096] = "";
    size_t n = 0;
    if (changes.n < 4000) n = (size_t)snprintf(all, sizeof all, "%s\n", changes.s);
    for (const char *line = lines; *line; line = strchr(line, '\n') + 1)
        if (!is_taken_away(changes.s, line))
            n += (size_t)snprintf(all + n, sizeof all - n, "%.*s\n", (int)strcspn(line, "\n"), line);
    put_tensors(in_folder("run/checkpoint-5/" LF_STATE_FILE), (fuzz_part){all, n}, bytes.s, bytes.n);
}

static void put_checkpoint(fuzz_input *in) {
    const fuzz_part json = take_part(in), sums = take_part(in), tensors = take_part(in), bytes = take_rest(in);
    put_state(json);
    put_state_tensors(tensors, bytes);
    if (sums.n)
        put_part("run/checkpoint-5/xxh128sums", sums);
    else
        require(lf_checkpoint_seal(in_folder("run/checkpoint-5"), NULL) == LF_OK);
    free(json.s);
    free(sums.s);
    free(tensors.s);
    free(bytes.s);
}

/* ---- going on from it ---- */

static void check_run(void) {
    const lf_progress_state *p = &run.progress;
    require(p->step >= 0 && p->step <= TOTAL && p->best_step >= 0 && p->best_step <= p->step);
    require(run.optimizer.steps >= 0 && run.optimizer.steps <= p->step);
    require(p->since_log.correct >= 0 && p->since_log.correct <= p->since_log.targets && p->since_log.loss >= 0);
    require(!(p->train_seconds < 0) && !(p->eval_accuracy_before < 0 || p->eval_accuracy_before > 1));
    for (int64_t i = 0; i < run.n_trainables; i++)
        for (int64_t k = 0; k < run.trainables[i].tensor->numel; k++)
            require(isfinite(((const float *)run.trainables[i].tensor->data)[k]));
    require(cJSON_IsArray(run.segments));
}

static void go_on(void) {
    char *path = NULL;
    lf_err err = {0};
    lf_status rc = lf_checkpoint_find(&path, &run, &err);
    require_said(rc, &err);
    require(rc == LF_OK ? path != NULL : rc == LF_EDATA);
    lf_free(path);
    err = (lf_err){0};
    const lf_status found = rc;
    rc = lf_checkpoint_restore(&run, in_folder("run/checkpoint-5"), &err);
    require_said(rc, &err);
    require(rc == LF_OK || rc == LF_EDATA || rc == LF_EUSAGE || rc == LF_EUNSUPPORTED);
    require(found == LF_OK || rc != LF_OK); /* what is passed over is not taken by name either */
    if (!rc) check_run();
    err = (lf_err){0};
    rc = lf_checkpoint_restore_weights(&run, in_folder("run/checkpoint-5"), &err);
    require_said(rc, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    lf_log_set_level(LF_LOG_QUIET);
    if (!cfg) open_run();
    const int64_t live = lf_alloc_live();
    put_checkpoint(&in);
    go_on();
    cJSON_Delete(run.segments);
    run.segments = NULL;
    require(lf_alloc_live() == live);
    return 0;
}
