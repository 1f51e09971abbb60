/* A run's folder: whether it may be written, made and locked before anything long begins, and rid of what is not to
 * stay. */
#define _XOPEN_SOURCE 700
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/folder.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "train/checkpoint_internal.h"
#include "train/run.h"

static bool resumes(const lf_run *run) {
    const cJSON *resume = lf_cfg_json(run->cfg, LF_resume_from_checkpoint);
    return resume && !cJSON_IsFalse(resume);
}

/* What a run writes into its folder, and what overwrite_output_dir removes: a user's other files are left alone. */
static bool is_ours(const char *name, size_t n) {
    static const char *const ours[] = {"adapter",          "model",          "config.json",       "metrics.jsonl",
                                       "all_results.json", "error.json",     "report.html",       "curves.csv",
                                       "curves.gp",        "curves.svg",     "confusion.csv",     "confusion.json",
                                       "confusion.gp",     "confusion.svg",  "training.csv",      "training.gp",
                                       "training.svg",     "checked_images", "fisher.safetensors"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (strlen(ours[i]) == n && memcmp(ours[i], name, n) == 0) return true;
    return lf_checkpoint_is_ours(name, n);
}

/* Refuses an input that the run would delete or write over. Links are followed first. */
static lf_status check_input_is_safe(const lf_run *run, lf_key_id key, const char *path, const char *dir, lf_err *err) {
    char input[PATH_MAX];
    const size_t n = strlen(dir);
    if (!realpath(path, input) || strncmp(input, dir, n) != 0) return LF_OK;
    if (!input[n])
        return lf_cfg_fail(run->cfg, LF_output_dir, err, "'%s' is the folder of '%s'; choose another", run->dir,
                           lf_key_name(key));
    if (input[n] != '/' || !is_ours(input + n + 1, strcspn(input + n + 1, "/"))) return LF_OK;
    return lf_cfg_fail(run->cfg, LF_output_dir, err,
                       "the run would write over its own '%s' ('%s'); choose another folder", lf_key_name(key), path);
}

static lf_status check_inputs_are_safe(const lf_run *run, lf_err *err) {
    char dir[PATH_MAX];
    if (!realpath(run->dir, dir)) return LF_OK; /* not there yet, so nothing is in it */
    lf_status rc = LF_OK;
    for (lf_key_id id = LF_NO_KEY; !rc && (id = lf_key_next(id, LF_IS_INPUT));) {
        lf_paths paths = {0};
        rc = lf_cfg_paths(&paths, run->cfg, id, err);
        for (int64_t i = 0; i < paths.n && !rc; i++) rc = check_input_is_safe(run, id, paths.at[i], dir, err);
        lf_paths_free(&paths);
    }
    return rc;
}

lf_status lf_run_check_folder(const lf_run *run, lf_err *err) {
    if (lf_is_file(run->dir))
        return lf_cfg_fail(run->cfg, LF_output_dir, err, "'%s' is a file, expected a folder", run->dir);
    lf_status rc = check_inputs_are_safe(run, err);
    if (rc || !lf_is_dir(run->dir) || resumes(run)) return rc;
    char **names;
    size_t count;
    rc = lf_list_dir(&names, &count, run->dir, err);
    lf_free(names);
    if (rc || count == 0) return rc;
    if (!lf_cfg_bool(run->cfg, LF_overwrite_output_dir))
        return lf_cfg_fail(run->cfg, LF_output_dir, err,
                           "'%s' is not empty; choose another, or set overwrite_output_dir, or resume_from_checkpoint",
                           run->dir);
    return LF_OK;
}

/* Of a folder that is all ours, and of those in it. */
static lf_status remove_leftovers_in(const char *dir, int depth, lf_err *err) {
    char **names;
    size_t count;
    lf_status rc = lf_list_dir(&names, &count, dir, err);
    for (size_t i = 0; i < count && !rc; i++) {
        char *path = lf_leftover_of(names[i]) ? NULL : lf_path_join(dir, names[i]);
        if (lf_leftover_of(names[i]))
            rc = lf_leftover_settle(dir, names[i], err);
        else if (!path)
            rc = lf_no_memory(err, "%s", dir);
        else if (depth > 0 && lf_is_dir(path))
            rc = remove_leftovers_in(path, depth - 1, err);
        lf_free(path);
    }
    lf_free(names);
    return rc;
}

/* What a write that was cut short has left, and what was being replaced: under the lock nobody else writes here. Other
 * folders appear as a whole, so what was left in them goes with them. */
static lf_status remove_leftovers(const char *dir, lf_err *err) {
    char **names, *checked = lf_path_join(dir, "checked_images");
    size_t count;
    if (!checked) return lf_no_memory(err, "%s", dir);
    lf_status rc = lf_list_dir(&names, &count, dir, err);
    for (size_t i = 0; i < count && !rc; i++) {
        const size_t n = lf_leftover_of(names[i]);
        if (n && is_ours(names[i], n)) rc = lf_leftover_settle(dir, names[i], err);
    }
    if (!rc && lf_is_dir(checked)) rc = remove_leftovers_in(checked, 1, err);
    lf_free(names);
    lf_free(checked);
    return rc;
}

/* Two runs in one folder would write over each other's files. Where folders cannot be locked, it is the user's to see
 * to that. */
static lf_status take_folder(lf_run *run, lf_err *err) {
    const lf_status rc = lf_lock_take(&run->lock, run->dir, false, NULL);
    if (rc == LF_EINTERRUPTED || lf_interrupted())
        return lf_fail(err, LF_EINTERRUPTED, "interrupted before the first step");
    if (rc || run->lock >= 0) return LF_OK;
    char holder[320];
    lf_lock_name_holder(holder, sizeof holder, run->dir);
    return lf_cfg_fail(run->cfg, LF_output_dir, err,
                       "another run is at work in '%s' (%s); choose another, or wait for it", run->dir, holder);
}

/* The folder is made first, and locked: what cannot be written, or is another run's, shows before hours are spent. */
lf_status lf_run_open_folder(lf_run *run, lf_err *err) {
    lf_err why = {0};
    lf_status rc = lf_folder_make(run->dir, &run->new_folders, &why);
    if (!rc && (rc = take_folder(run, err))) return rc;
    if (!rc) rc = lf_folder_try(run->dir, "config.json", &why);
    if (rc == LF_EIO) return lf_cfg_fail(run->cfg, LF_output_dir, err, "%s", why.message);
    return rc ? lf_fail(err, rc, "%s", why.message) : remove_leftovers(run->dir, err);
}

void lf_run_settle_folder(const char *dir) {
    int lock = -1;
    if (lf_lock_take(&lock, dir, false, NULL) == LF_OK && lock >= 0) (void)remove_leftovers(dir, NULL);
    lf_lock_drop(lock);
}

lf_status lf_run_clear(const char *dir, lf_err *err) {
    char **names;
    size_t count;
    lf_status rc = lf_list_dir(&names, &count, dir, err);
    for (size_t i = 0; i < count && !rc; i++) {
        if (!is_ours(names[i], strlen(names[i]))) continue;
        rc = lf_remove_in(dir, names[i], err);
    }
    lf_free(names);
    return rc;
}

/* From now on there is something to keep. */
lf_status lf_run_begin_folder(lf_run *run, lf_err *err) {
    run->new_folders = 0;
    return resumes(run) || !lf_cfg_bool(run->cfg, LF_overwrite_output_dir) ? LF_OK : lf_run_clear(run->dir, err);
}
