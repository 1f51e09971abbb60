/* The verb `continual`: tasks one after the other. Each is a run of `train` in a folder of its own; after it all tasks
 * are judged, which is kept beside the run. Nothing else is remembered: whoever goes on finds the runs that have ended,
 * and the scores that are there, and does the rest. */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/folder.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "continual/between.h"
#include "continual/earlier.h"
#include "continual/outcome.h"
#include "continual/outgoing.h"
#include "continual/reference.h"
#include "report/gather/sequence.h"
#include "report/page/report.h"
#include "train/run.h"

/* The resolved configuration; not config.json, by which a report would take the whole for one run of train. */
#define CONFIG  LF_SEQUENCE_CONFIG
#define ERROR   "error.json"
#define RESULTS "all_results.json"

typedef struct course {
    lf_plan plan;
    lf_scores *rows; /* [n_runs] */
    int lock;
    int new_folders; /* made for it, and removed again if it does not begin */
    bool has_results;
    double began;
    FILE *tables; /* where each run's goes */
} course;

static bool resumes(const lf_config *cfg) { return cJSON_IsTrue(lf_cfg_json(cfg, LF_resume_from_checkpoint)); }

/* ---- the folder ---- */

static lf_status check_resume(const lf_config *cfg, lf_err *err) {
    const cJSON *asked = lf_cfg_json(cfg, LF_resume_from_checkpoint);
    if (!cJSON_IsString(asked)) return LF_OK;
    return lf_cfg_fail(cfg, LF_resume_from_checkpoint, err,
                       "a sequence goes on where it was: expected true, found '%s'", asked->valuestring);
}

static lf_status check_empty(const lf_plan *p, lf_err *err) {
    char **names;
    size_t count;
    if (lf_is_file(p->dir)) return lf_cfg_fail(p->cfg, LF_output_dir, err, "'%s' is a file, expected a folder", p->dir);
    if (lf_is_file_in(p->dir, "config.json"))
        return lf_cfg_fail(p->cfg, LF_output_dir, err, "'%s' is the folder of a run of train; choose another", p->dir);
    if (!lf_is_dir(p->dir) || resumes(p->cfg) || lf_cfg_bool(p->cfg, LF_overwrite_output_dir)) return LF_OK;
    const lf_status rc = lf_list_dir(&names, &count, p->dir, err);
    if (rc) return rc;
    lf_free(names);
    if (count == 0) return LF_OK;
    return lf_cfg_fail(p->cfg, LF_output_dir, err,
                       "'%s' is not empty; choose another, or set overwrite_output_dir, or resume_from_checkpoint",
                       p->dir);
}

/* A task that is to be longer goes on from its checkpoints, or would refuse when its turn comes. */
static lf_status check_checkpoints(const lf_plan *p, lf_key_id key, lf_err *err) {
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < p->n_runs && !rc; i++) {
        bool any = true;
        if (lf_is_file_in(p->runs[i].dir, RESULTS)) rc = lf_checkpoint_any(&any, p->runs[i].dir, err);
        if (!rc && !any)
            rc = lf_cfg_fail(p->cfg, key, err,
                             "%s was begun with less, is finished and has no checkpoint to go on from (save_strategy "
                             "no keeps none); give what it was, or choose another output_dir",
                             p->runs[i].dir);
    }
    return rc;
}

/* What was begun there must be what is asked for now. A task may become longer, as a run may, where no other stands on
 * it. */
static lf_status check_same(bool *is_longer, const lf_plan *p, lf_err *err) {
    cJSON *was;
    lf_key_id longer;
    *is_longer = false;
    if (!resumes(p->cfg) || !lf_is_file_in(p->dir, CONFIG)) return LF_OK;
    lf_status rc = lf_json_read_in(&was, p->dir, CONFIG, err);
    if (rc) return rc;
    rc = lf_cfg_check_finished(p->cfg, was, p->dir, &longer, err);
    cJSON_Delete(was);
    if (rc || !longer) return rc;
    *is_longer = true;
    rc = lf_plan_check_longer(p->cfg, longer, p->dir, err);
    return rc ? rc : check_checkpoints(p, longer, err);
}

static lf_status take_folder(course *c, lf_err *err) {
    const lf_plan *p = &c->plan;
    lf_err why = {0};
    lf_status rc = lf_folder_make(p->dir, &c->new_folders, &why);
    const lf_status locked = rc ? LF_OK : lf_lock_take(&c->lock, p->dir, false, NULL);
    if (!rc && !locked && c->lock < 0) { /* where folders cannot be locked, it is the user's to see to that */
        char holder[320];
        lf_lock_name_holder(holder, sizeof holder, p->dir);
        return lf_cfg_fail(p->cfg, LF_output_dir, err,
                           "another sequence is at work in '%s' (%s); choose another, or wait", p->dir, holder);
    }
    if (!rc) rc = lf_folder_try(p->dir, CONFIG, &why);
    if (rc == LF_EIO) return lf_cfg_fail(p->cfg, LF_output_dir, err, "%s", why.message);
    return rc ? lf_fail(err, rc, "%s", why.message) : LF_OK;
}

/* ---- what an earlier sequence left, where it is to be overwritten ---- */

/* What a sequence writes into its folder when there is something to say. */
static const char *const ends[] = {"matrix.csv",    "matrix.gp",   "matrix.svg", "tasks.csv", "tasks.gp", "tasks.svg",
                                   "sequence.json", "report.html", RESULTS,      ERROR,       CONFIG};
enum { N_ENDS = sizeof ends / sizeof *ends };

static lf_status clear_folder(const char *dir, const char *name, lf_err *err) {
    const bool ours = lf_plan_is_folder(name);
    char *path = ours ? lf_path_join(dir, name) : NULL;
    lf_status rc = LF_OK;
    if (ours && !path) return lf_no_memory(err, "the folders of an earlier sequence");
    if (ours && lf_is_dir(path)) {
        if (!(rc = lf_run_clear(path, err))) rc = lf_scores_remove(path, err);
        if (!rc && lf_plan_is_after(name)) rc = lf_remove_in(path, LF_PLAN_HEADS, err);
        lf_folder_unmake(path, 1);
    }
    lf_free(path);
    return rc;
}

/* A run of it would be taken for one of this sequence by whoever goes on with this, or reports it. */
static lf_status clear(const char *dir, lf_err *err) {
    char **names;
    size_t count;
    lf_status rc = lf_list_dir(&names, &count, dir, err);
    for (size_t i = 0; i < count && !rc && lf_is_file_in(dir, CONFIG); i++) rc = clear_folder(dir, names[i], err);
    for (int i = 0; i < N_ENDS && !rc; i++) /* the configuration last: by it a sequence is known */
        if (lf_is_file_in(dir, ends[i])) rc = lf_remove_in(dir, ends[i], err);
    lf_free(names);
    return rc;
}

/* What a process that was killed has left where it wrote. */
static lf_status settle(const char *dir, lf_err *err) {
    char **names;
    size_t count;
    lf_status rc = lf_list_dir(&names, &count, dir, err);
    if (rc) return rc;
    for (size_t i = 0; i < count && !rc; i++)
        for (int k = 0; k < N_ENDS && !rc; k++)
            if (lf_leftover_of(names[i]) == strlen(ends[k]) && !strncmp(names[i], ends[k], strlen(ends[k])))
                rc = lf_leftover_settle(dir, names[i], err);
    lf_free(names);
    return rc;
}

/* One that goes on leaves its results until there are new ones, as a run does; but those of shorter tasks are gone
 * before a configuration stands beside them that they are not of. */
static lf_status begin_folder(course *c, lf_err *err) {
    const lf_plan *p = &c->plan;
    bool longer;
    lf_status rc;
    if ((rc = take_folder(c, err)) || (rc = settle(p->dir, err)) || (rc = check_same(&longer, p, err))) return rc;
    if (!resumes(p->cfg) && (rc = clear(p->dir, err))) return rc;
    if (longer && (rc = lf_remove_in(p->dir, RESULTS, err))) return rc;
    c->new_folders = 0;                                     /* from now on there is something to keep */
    if ((rc = lf_remove_in(p->dir, ERROR, err))) return rc; /* of an earlier try */
    lf_obj o = lf_obj_of(lf_cfg_resolved_to_json(p->cfg));
    return lf_obj_write_in(&o, p->dir, CONFIG, false, err);
}

/* ---- the runs ---- */

/* A limit of time is the whole sequence's. */
static lf_status limit_time(const course *c, lf_config *cfg, lf_err *err) {
    const double limit = lf_cfg_f64(c->plan.cfg, LF_max_train_minutes), left = limit - (lf_now() - c->began) / 60;
    if (limit <= 0) return LF_OK;
    if (left > 0) return lf_plan_set(cfg, LF_max_train_minutes, cJSON_CreateNumber(left), err);
    return lf_fail(err, LF_EINTERRUPTED,
                   "max_train_minutes are over; resume_from_checkpoint goes on with the next task");
}

/* Classes that no task had before get rows of the head. */
static lf_status grow_head(const lf_plan *p, int64_t run, lf_err *err) {
    cJSON *names;
    lf_status rc = lf_plan_new_labels(&names, p, run, err);
    const int n = cJSON_GetArraySize(names);
    if (rc || n == 0) {
        cJSON_Delete(names);
        return rc;
    }
    lf_info("task '%s' brings %d classes that none before it had: the head grows", p->tasks[run].name, n);
    return lf_plan_set(p->runs[run].cfg, LF_new_labels, names, err);
}

static lf_status prepare_run(const course *c, int64_t run, lf_err *err) {
    const lf_plan *p = &c->plan;
    lf_plan_run *r = &p->runs[run];
    const bool there = resumes(p->cfg) && lf_is_dir(r->dir);
    lf_status rc = lf_plan_set(r->cfg, LF_resume_from_checkpoint, cJSON_CreateBool(there), err);
    if (!rc) rc = limit_time(c, r->cfg, err);
    if (!rc) rc = lf_earlier_give(p, run, err);
    if (!rc && p->between->one_head && !p->own_heads) rc = grow_head(p, run, err);
    return rc || !p->between->begin ? rc : p->between->begin(p, run, err);
}

/* One that has ended is left as it is, once its settings and data are found to be the same. */
static lf_status do_run(course *c, int64_t run, lf_err *err) {
    const lf_plan *p = &c->plan;
    const lf_plan_run *r = &p->runs[run];
    lf_err inner = {0};
    lf_status rc = prepare_run(c, run, err);
    if (rc) return rc;
    lf_info("%s %lld of %lld, '%s': %s", p->between->at_once ? "run" : "task", (long long)run + 1, (long long)p->n_runs,
            r->name, r->dir);
    rc = lf_train(r->cfg, c->tables, &inner);
    if (rc) return lf_fail(err, rc, "'%s': %s", r->name, inner.message);
    if (lf_plan_goes_out(p) && (rc = lf_outgoing_make(p, run, err))) return rc;
    if (lf_interrupted())
        return lf_fail(err, LF_EINTERRUPTED, "interrupted after '%s'; resume_from_checkpoint goes on", r->name);
    if ((rc = lf_scores_of(&c->rows[run], p, run, err))) return rc;
    if (run + 1 < p->n_runs && lf_is_file_in(p->dir, RESULTS)) return LF_OK; /* finished once: its rows are all there */
    return lf_outcome_write_matrix(p, c->rows, run + 1, err);
}

/* Does it say more than what it is called and which data are its? */
static bool has_own_settings(const lf_plan_task *t) {
    const cJSON *member;
    cJSON_ArrayForEach(member, t->given) {
        const char *name = lf_cfg_key_name("train", member->string);
        if (name && !lf_plan_is_data(lf_key_of(name))) return true;
    }
    return false;
}

/* What has no effect in a task is said before the first one. */
static void say_unread(const lf_plan *p) {
    for (int64_t r = 0; r < p->n_runs; r++)
        if (r == 0 || has_own_settings(&p->tasks[r])) lf_config_say_unread(p->runs[r].cfg);
}

static lf_status do_all(course *c, FILE *out, lf_err *err) {
    const lf_plan *p = &c->plan;
    lf_status rc = LF_OK;
    say_unread(p);
    for (int64_t r = 0; r < p->n_runs && !rc; r++) rc = do_run(c, r, err);
    if (rc || (rc = lf_outcome_write_results(p, c->rows, err))) return rc;
    c->has_results = true;
    if ((rc = lf_report_sequence(p->dir, err))) return rc;
    return lf_outcome_print(p, c->rows, out, err);
}

/* ---- what would be done ---- */

static cJSON *plan_json(const lf_plan *p) {
    lf_obj o = lf_obj_new(), list = lf_list_new();
    for (int64_t i = 0; i < p->n_tasks; i++) {
        lf_obj t = lf_obj_new();
        lf_obj_string(&t, "name", p->tasks[i].name);
        lf_obj_number(&t, "train_examples", (double)p->tasks[i].examples);
        lf_obj_number(&t, "classes", (double)p->tasks[i].n_classes);
        lf_list_put(&list, lf_obj_take(&t));
    }
    lf_obj_string(&o, "between", p->between->name);
    lf_obj_number(&o, "runs", (double)p->n_runs);
    lf_obj_put(&o, "tasks", lf_obj_take(&list));
    return lf_obj_take(&o);
}

/* The first run says what one takes; those after it begin with what is not there yet. */
static lf_status show(course *c, FILE *out, lf_err *err) {
    const lf_plan *p = &c->plan;
    say_unread(p);
    lf_status rc = prepare_run(c, 0, err);
    if (rc || (rc = lf_train(p->runs[0].cfg, c->tables, err))) return rc;
    lf_info("%lld runs (between %s), of which that was the first:", (long long)p->n_runs, p->between->name);
    for (int64_t i = 0; i < p->n_tasks; i++)
        lf_info("  %s: %lld examples of %lld classes", p->tasks[i].name, (long long)p->tasks[i].examples,
                (long long)p->tasks[i].n_classes);
    return lf_cfg_bool(p->cfg, LF_json) ? lf_json_write_line(out, plan_json(p), err) : LF_OK;
}

/* ---- the verb ---- */

/* How it ended without results, as a run says it; a page of what there is. That they cannot be written changes nothing.
 */
static void record_failure(const course *c, lf_status status, const lf_err *err) {
    if (status == LF_EINTERRUPTED || c->has_results) return;
    lf_obj o = lf_obj_new();
    lf_obj_number(&o, "exit_code", lf_status_exit_code(status));
    lf_obj_string(&o, "state", status == LF_EDIVERGED ? "diverged" : "failed");
    lf_obj_string(&o, "message", err ? err->message : lf_status_text(status));
    if (!lf_obj_write_in(&o, c->plan.dir, ERROR, false, NULL) && lf_is_file_in(c->plan.dir, "sequence.json"))
        lf_report_sequence(c->plan.dir, NULL);
}

static lf_status run(course *c, FILE *out, lf_err *err) {
    lf_plan *p = &c->plan;
    const bool dry = lf_cfg_bool(p->cfg, LF_dry_run);
    lf_status rc;
    if ((rc = check_empty(p, err)) || (rc = lf_reference_read(p, err)) || (rc = lf_earlier_check(p, err)) ||
        (rc = lf_plan_look(p, !dry, err)))
        return rc;
    if (dry) return show(c, out, err);
    if (!(c->rows = lf_calloc((size_t)p->n_runs, sizeof *c->rows))) return lf_no_memory(err, "the scores");
    if ((rc = begin_folder(c, err))) return rc;
    if ((rc = do_all(c, out, err))) record_failure(c, rc, err);
    return rc;
}

lf_status lf_continual(const lf_config *cfg, FILE *out, lf_err *err) {
    course c = {.lock = -1, .began = lf_now(), .tables = out};
    FILE *nowhere = NULL;
    lf_status rc = check_resume(cfg, err);
    if (rc) return rc;
    if (lf_cfg_bool(cfg, LF_json)) {
        if (!(nowhere = fopen("/dev/null", "w"))) return lf_fail_errno(err, "open", "/dev/null");
        c.tables = nowhere;
    }
    rc = lf_plan_open(&c.plan, cfg, err);
    if (!rc) rc = run(&c, out, err);
    lf_folder_unmake(c.plan.dir, c.new_folders);
    lf_lock_drop(c.lock);
    lf_plan_close(&c.plan);
    lf_free(c.rows);
    if (nowhere) fclose(nowhere);
    return rc;
}
