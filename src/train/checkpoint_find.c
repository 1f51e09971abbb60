/* Which checkpoint a run goes on from: the newest whole one, or what it is told; and where later ones go. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/string.h"
#include "train/checkpoint_internal.h"

/* Folders get their names when they are whole; one that lost a file since was being removed. */
bool lf_checkpoint_is_whole(const char *dir, const char *name) {
    char *json = lf_format("%s/%s/%s", dir, name, LF_STATE_JSON),
         *state = lf_format("%s/%s/%s", dir, name, LF_STATE_FILE);
    const bool whole = json && state && lf_is_file(json) && lf_is_file(state);
    lf_free(state);
    lf_free(json);
    return whole;
}

lf_status lf_checkpoint_read_json(cJSON **out, const char *dir, lf_err *err) {
    return lf_json_read_in(out, dir, LF_STATE_JSON, err);
}

/* A number that is none would spread over all that is trained. */
static lf_status check_finite(const char *path, const lf_st_tensor *t, lf_err *err) {
    for (int64_t i = 0; t->dtype == LF_F32 && i < t->numel; i++) {
        float x;
        memcpy(&x, (const char *)t->data + (size_t)i * sizeof x, sizeof x);
        if (!isfinite(x))
            return lf_fail(err, LF_EDATA, "%s: tensor '%s': element %lld is %g; take an older checkpoint", path,
                           t->name, (long long)i, (double)x);
    }
    return LF_OK;
}

lf_status lf_checkpoint_open_state(lf_safetensors **out, const char *dir, lf_err *err) {
    char *path = lf_path_join(dir, LF_STATE_FILE);
    const lf_status rc = path ? lf_safetensors_open(out, path, err) : lf_no_memory(err, "%s", dir);
    lf_free(path);
    return rc;
}

static lf_status check_tensors(const char *dir, lf_err *err) {
    lf_safetensors *st = NULL;
    lf_status rc = lf_checkpoint_open_state(&st, dir, err);
    for (int64_t i = 0; !rc && i < lf_safetensors_count(st); i++)
        rc = check_finite(lf_safetensors_path(st), lf_safetensors_at(st, i), err);
    lf_safetensors_close(st);
    return rc;
}

lf_status lf_checkpoint_check(const char *dir, lf_err *err) {
    cJSON *saved = NULL;
    lf_counters c;
    lf_status rc = lf_checkpoint_check_sums(dir, err);
    if (!rc && !(rc = lf_checkpoint_read_json(&saved, dir, err))) rc = lf_counters_read(&c, saved, dir, err);
    if (!rc) rc = check_tensors(dir, err);
    cJSON_Delete(saved);
    return rc;
}

/* The newest checkpoint below `limit`; *step -1: there is none. */
static void newest_below(int64_t *step, const char *dir, char *const *names, size_t count, int64_t limit) {
    *step = -1;
    for (size_t i = 0; i < count; i++) {
        const int64_t s = lf_checkpoint_step(names[i]);
        if (s < limit && s > *step && lf_checkpoint_is_whole(dir, names[i])) *step = s;
    }
}

/* The newest whole one; damaged ones are said. *path NULL: there is none; *refused: how many are damaged. */
static lf_status find_newest(char **path, int *refused, const char *dir, lf_err *err) {
    char **names = NULL;
    size_t count = 0;
    int64_t step = INT64_MAX;
    lf_status rc = lf_is_dir(dir) ? lf_list_dir(&names, &count, dir, err) : LF_OK;
    *refused = 0;
    while (!rc && !*path) {
        lf_err why = {0};
        newest_below(&step, dir, names, count, step);
        if (step < 0) break;
        if (!(*path = lf_format("%s/checkpoint-%lld", dir, (long long)step)))
            rc = lf_no_memory(err, "%s", dir);
        else if ((rc = lf_checkpoint_check(*path, &why)) == LF_ENOMEM)
            lf_fail(err, rc, "%s", why.message);
        else if (rc) {
            lf_warn("checkpoint-%lld is passed over: %s", (long long)step, why.message);
            rc = LF_OK;
            lf_free(*path);
            *path = NULL;
            (*refused)++;
        }
    }
    if (rc) {
        lf_free(*path);
        *path = NULL;
    }
    lf_free(names);
    return rc;
}

/* To begin again would write over what may still be of use to somebody. */
static lf_status find_in_folder(char **path, const lf_run *run, lf_err *err) {
    int refused;
    const lf_status rc = find_newest(path, &refused, run->dir, err);
    if (rc || *path || !refused || lf_cfg_bool(run->cfg, LF_overwrite_output_dir)) return rc;
    return lf_fail(
        err, LF_EDATA,
        "%s: none of its checkpoints can be used (%d passed over); begin again with another output_dir, or set "
        "overwrite_output_dir to begin again in this one",
        run->dir, refused);
}

lf_status lf_checkpoint_find(char **path, const lf_run *run, lf_err *err) {
    *path = NULL;
    const cJSON *from = lf_cfg_json(run->cfg, LF_resume_from_checkpoint);
    if (!from || cJSON_IsFalse(from)) return LF_OK;
    if (!cJSON_IsString(from)) return find_in_folder(path, run, err);
    if (!lf_is_dir(from->valuestring))
        return lf_cfg_fail(run->cfg, LF_resume_from_checkpoint, err,
                           "expected true or a checkpoint folder, found '%s', which is no folder", from->valuestring);
    *path = lf_strdup(from->valuestring);
    return *path ? LF_OK : lf_no_memory(err, "a checkpoint");
}

/* To "checkpoint-N.old-M", a name that is free. */
static lf_status set_aside(const char *dir, const char *name, lf_err *err) {
    lf_status rc = LF_OK;
    char *from = lf_path_join(dir, name), *to = NULL;
    for (int i = 1; from && !rc; i++) {
        lf_free(to);
        if (!(to = lf_format("%s.old-%d", from, i)) || !lf_is_dir(to)) break;
    }
    if (!to)
        rc = lf_no_memory(err, "%s", dir);
    else if (rename(from, to) < 0)
        rc = lf_fail_errno(err, "rename", from);
    else
        lf_info("%s is of steps that are done again: it is %s now", from, lf_path_base(to));
    lf_free(to);
    lf_free(from);
    return rc;
}

lf_status lf_checkpoint_set_later_aside(const lf_run *run, lf_err *err) {
    char **names = NULL;
    size_t count = 0;
    lf_status rc = lf_is_dir(run->dir) ? lf_list_dir(&names, &count, run->dir, err) : LF_OK;
    for (size_t i = 0; i < count && !rc; i++)
        if (lf_checkpoint_step(names[i]) > run->progress.step) rc = set_aside(run->dir, names[i], err);
    lf_free(names);
    return rc;
}
