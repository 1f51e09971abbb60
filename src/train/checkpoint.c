/* Checkpoints hold all that a run's future depends on: trained tensors, the adapter's start, the optimiser's moments,
 * and the counters. Random numbers and the sampler need no state: they are functions of seed and counters. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/world.h"
#include "train/checkpoint_internal.h"
#include "train/remedies.h"

static const char *const moment_names[] = {"exp_avg", "exp_avg_sq"};

/* ---- the tensors of a checkpoint, as one list that saving and restoring walk alike ---- */

typedef struct entry {
    char name[320];
    float *data;
    int64_t n;
} entry;
typedef lf_status (*visit_fn)(void *context, const entry *e, lf_err *err);

static lf_status each_weight(lf_run *run, visit_fn visit, void *context, lf_err *err) {
    for (int64_t i = 0; i < run->n_trainables; i++) {
        const lf_trainable *t = &run->trainables[i];
        entry e = {.data = t->tensor->data, .n = t->tensor->numel};
        snprintf(e.name, sizeof e.name, "param.%s", t->name);
        const lf_status rc = visit(context, &e, err);
        if (rc) return rc;
    }
    return LF_OK;
}

static lf_status each_start(lf_run *run, visit_fn visit, void *context, lf_err *err) {
    lf_status rc = LF_OK;
    for (int64_t i = 0; run->adapter && i < lf_adapter_count(run->adapter) && !rc; i++) {
        const lf_module *m = lf_adapter_module(run->adapter, i);
        if (!m->lora->A0 && !m->lora->B_is_held) continue;
        entry e = {.data = m->lora->A0, .n = m->lora->A.numel};
        snprintf(e.name, sizeof e.name, "start.%s.lora_A", m->name);
        if (e.data && (rc = visit(context, &e, err))) break;
        e.data = m->lora->B_is_held ? m->lora->B.data : m->lora->B0;
        e.n = m->lora->B.numel;
        snprintf(e.name, sizeof e.name, "start.%s.lora_B", m->name);
        rc = visit(context, &e, err);
    }
    return rc;
}

static lf_status each_moment(lf_run *run, visit_fn visit, void *context, lf_err *err) {
    for (int m = 0; m < run->optimizer.n_moments; m++) {
        int64_t at = 0;
        for (int64_t i = 0; i < run->n_trainables; i++) {
            const lf_trainable *t = &run->trainables[i];
            entry e = {.data = run->optimizer.moments[m] + at, .n = t->tensor->numel};
            snprintf(e.name, sizeof e.name, "%s.%s", moment_names[m], t->name);
            const lf_status rc = visit(context, &e, err);
            if (rc) return rc;
            at += t->tensor->numel;
        }
    }
    return LF_OK;
}

static lf_status each_tensor(lf_run *run, visit_fn visit, void *context, lf_err *err) {
    lf_status rc;
    if ((rc = each_weight(run, visit, context, err)) || (rc = each_start(run, visit, context, err))) return rc;
    return each_moment(run, visit, context, err);
}

/* ---- writing ---- */

static lf_status declare_entry(void *writer, const entry *e, lf_err *err) {
    return lf_st_writer_declare(writer, e->name, LF_F32, 1, &e->n, err);
}
static lf_status write_entry(void *writer, const entry *e, lf_err *err) {
    return lf_st_writer_write_f32(writer, e->data, e->n, err);
}

static lf_status write_state(lf_run *run, const char *dir, lf_err *err) {
    lf_st_writer *w = NULL;
    char *path = lf_path_join(dir, LF_STATE_FILE);
    lf_status rc = path ? lf_st_writer_new(&w, path, err) : lf_no_memory(err, "%s", dir);
    if (!rc && !(rc = each_tensor(run, declare_entry, w, err)) && !(rc = each_tensor(run, write_entry, w, err))) {
        rc = lf_st_writer_commit(w, err);
        w = NULL;
    }
    lf_st_writer_abort(w);
    lf_free(path);
    return rc;
}

/* ---- counters: one line each, for writing, reading and what they may be ---- */

typedef struct counters {
    lf_progress_state at;
    int64_t optimizer_steps, max_steps, planned_steps; /* as total_steps and planned_steps of lf_run */
} counters;

/* WHOLE: an int64_t of 0 or more that is always there, else a double that may be missing (NAN). */
static const struct {
    const char *name;
    bool whole;
    size_t at;
    double least, most;
    const char *most_of; /* another one, before it here, that it does not exceed; NULL: `most` */
} counter_list[] = {
#define WHOLE(name, member, most_of)                                                                                   \
    { name, true, offsetof(counters, member), 0, LF_NO_MAX, most_of }
#define REAL(name, member, least, most)                                                                                \
    { name, false, offsetof(counters, member), least, most, NULL }
    WHOLE("max_steps", max_steps, NULL),
    WHOLE("planned_steps", planned_steps, "max_steps"),
    WHOLE("global_step", at.step, "max_steps"),
    WHOLE("optimizer_steps", optimizer_steps, "global_step"),
    WHOLE("best_global_step", at.best_step, "global_step"),
    WHOLE("evaluations_without_gain", at.evals_without_gain, NULL),
    WHOLE("skipped_images", at.skipped_images, NULL),
    WHOLE("targets_since_log", at.since_log.targets, NULL),
    WHOLE("correct_since_log", at.since_log.correct, "targets_since_log"),
    REAL("loss_since_log", at.since_log.loss, 0, HUGE_VAL),
    REAL("train_seconds", at.train_seconds, 0, HUGE_VAL),
    REAL("best_metric", at.best_metric, -HUGE_VAL, HUGE_VAL),
    REAL("best_forgetting", at.best_forgetting, -HUGE_VAL, HUGE_VAL),
    REAL("eval_accuracy_before", at.eval_accuracy_before, 0, 1),
    REAL("eval_loss_before", at.eval_loss_before, 0, HUGE_VAL),
#undef REAL
#undef WHOLE
};
enum { N_COUNTERS = sizeof counter_list / sizeof counter_list[0] };

static counters counters_of(const lf_run *run) {
    return (counters){run->progress, run->optimizer.steps, run->total_steps, run->planned_steps};
}

static bool put_counters(cJSON *o, const counters *c) {
    for (int i = 0; i < N_COUNTERS; i++) {
        const void *at = (const char *)c + counter_list[i].at;
        const double x = counter_list[i].whole ? (double)*(const int64_t *)at : *(const double *)at;
        if (isfinite(x) && !cJSON_AddNumberToObject(o, counter_list[i].name, x)) return false;
    }
    return true;
}

static lf_status check_counter(const counters *c, int i, double x, const char *path, lf_err *err) {
    double most = counter_list[i].most;
    for (int j = 0; counter_list[i].most_of && j < i; j++)
        if (strcmp(counter_list[j].name, counter_list[i].most_of) == 0)
            most = (double)*(const int64_t *)((const char *)c + counter_list[j].at);
    if (isnan(x) || (x >= counter_list[i].least && x <= most)) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: key '%s': expected %g to %.17g%s%s, found %.17g; take an older checkpoint", path,
                   counter_list[i].name, counter_list[i].least, most, counter_list[i].most_of ? ", which is " : "",
                   counter_list[i].most_of ? counter_list[i].most_of : "", x);
}

static lf_status read_counters(counters *c, const cJSON *saved, const char *path, lf_err *err) {
    lf_status rc = LF_OK;
    for (int i = 0; i < N_COUNTERS && !rc; i++) {
        const char *name = counter_list[i].name;
        void *at = (char *)c + counter_list[i].at;
        rc = counter_list[i].whole ? lf_json_get_i64(saved, name, -1, at, path, err)
                                   : lf_json_get_f64(saved, name, NAN, at, path, err);
        if (!rc) rc = check_counter(c, i, counter_list[i].whole ? (double)*(int64_t *)at : *(double *)at, path, err);
    }
    return rc ? rc : lf_terms_read(c->at.since_log.terms, saved, path, err);
}

/* ---- what the run is ---- */

static const char REDUCTION[] = "reduction"; /* how the micro-batches of a step are summed */

/* What has to be the same beside the keys. The kernels are the machine's: with others, the last digits are. */
static cJSON *facts_of(const lf_run *run) {
    cJSON *o = cJSON_CreateObject();
    if (cJSON_AddNumberToObject(o, "train_examples", (double)run->task->source->count(run->task, LF_DATA_TRAIN)) &&
        cJSON_AddStringToObject(o, "precision", run->k->precision) &&
        cJSON_AddStringToObject(o, "kernels", run->k->name) &&
        (run->accumulation == 1 || cJSON_AddStringToObject(o, REDUCTION, "tree")))
        return o;
    cJSON_Delete(o);
    return NULL;
}

/* The keys; of threads, how many there are. */
static cJSON *keys_of(const lf_run *run) {
    cJSON *o = lf_cfg_select(run->cfg, ~0u, LF_IS_CALL), *threads = cJSON_CreateNumber(run->threads);
    if (o && threads && cJSON_ReplaceItemInObjectCaseSensitive(o, lf_key_name(LF_threads), threads)) return o;
    cJSON_Delete(threads);
    cJSON_Delete(o);
    return NULL;
}

static bool add(cJSON *o, const char *name, cJSON *item) {
    if (item && cJSON_AddItemToObject(o, name, item)) return true;
    cJSON_Delete(item);
    return false;
}

static cJSON *state_json(const lf_run *run) {
    const counters c = counters_of(run);
    cJSON *o = cJSON_CreateObject();
    const bool ok =
        o && put_counters(o, &c) && lf_terms_put(o, c.at.since_log.terms) &&
        cJSON_AddNumberToObject(o, "epoch", (double)c.at.step / (double)run->steps_per_epoch) &&
        add(o, "run", keys_of(run)) && add(o, "facts", facts_of(run)) &&
        add(o, lf_key_name(LF_data_hashes), lf_run_data_hashes(run)) &&
        add(o, lf_key_name(LF_segments), run->segments ? cJSON_Duplicate(run->segments, true) : cJSON_CreateArray());
    if (ok) return o;
    cJSON_Delete(o);
    return NULL;
}

static lf_status write_state_json(const lf_run *run, const char *dir, lf_err *err) {
    cJSON *o = state_json(run);
    const lf_status rc = lf_json_write_in(dir, LF_STATE_JSON, o, false, err);
    cJSON_Delete(o);
    return rc;
}

static lf_status write_adapter(lf_run *run, const char *dir, lf_err *err) {
    if (run->method == LF_METHOD_FULL) return LF_OK;
    lf_adapter_facts facts;
    cJSON *extra = NULL;
    char *path = lf_path_join(dir, "adapter");
    lf_status rc = path ? lf_run_adapter_facts(run, &facts, &extra, err) : lf_no_memory(err, "%s", dir);
    if (!rc) rc = lf_adapter_save(run->adapter, &run->model->nn, path, &facts, err);
    cJSON_Delete(extra);
    lf_free(path);
    return rc;
}

/* Removes the oldest checkpoints beyond save_total_limit; never the newest, nor the best one while it may be wanted. */
static lf_status prune(const lf_run *run, lf_err *err) {
    const int64_t limit = lf_cfg_i64(run->cfg, LF_save_total_limit);
    if (limit <= 0) return LF_OK;
    char **names;
    size_t count;
    lf_status rc = lf_list_dir(&names, &count, run->dir, err);
    if (rc) return rc;
    for (;;) {
        int64_t have = 0, oldest = INT64_MAX;
        for (size_t i = 0; i < count; i++) {
            const int64_t step = lf_checkpoint_step(names[i]);
            if (step < 0) continue;
            have++;
            if (step < oldest && step != run->progress.best_step && step != run->progress.step) oldest = step;
        }
        if (rc || have <= limit || oldest == INT64_MAX) break;
        for (size_t i = 0; i < count; i++) {
            if (lf_checkpoint_step(names[i]) != oldest) continue;
            rc = lf_remove_in(run->dir, names[i], err);
            names[i][0] = 0;
        }
    }
    lf_free(names);
    return rc;
}

lf_status lf_checkpoint_check_base(const lf_run *run, lf_err *err) {
    lf_err why = {0};
    const lf_status rc = lf_model_check_unchanged(run->model, &why);
    if (rc != LF_EDATA) return rc ? lf_fail(err, rc, "%s", why.message) : LF_OK;
    return lf_fail(err, rc,
                   "step %lld: %s; nothing of the steps since the last checkpoint is kept: put the files back and go "
                   "on with --resume_from_checkpoint true",
                   (long long)run->progress.step, why.message);
}

static lf_status write_checkpoint(lf_run *run, lf_err *err) {
    char *path = lf_format("%s/checkpoint-%lld", run->dir, (long long)run->progress.step);
    char *aside = path ? lf_format("%s.tmp", path) : NULL;
    lf_status rc = aside ? LF_OK : lf_no_memory(err, "%s", run->dir);
    if (!rc && !(rc = lf_remove_tree(aside, err)) && !(rc = lf_mkdir_p(aside, err)) &&
        !(rc = write_state(run, aside, err)) && !(rc = write_adapter(run, aside, err)) &&
        !(rc = write_state_json(run, aside, err)) && !(rc = lf_checkpoint_seal(aside, err)) &&
        !(rc = lf_metrics_sync(&run->metrics, err)))
        rc = lf_replace_dir(aside, path, err);
    if (!rc) rc = prune(run, err);
    if (rc && aside) lf_remove_tree(aside, NULL);
    lf_free(aside);
    lf_free(path);
    return rc;
}

lf_status lf_checkpoint_save(lf_run *run, lf_err *err) {
    const lf_status changed = lf_world_agree(lf_checkpoint_check_base(run, err), err);
    return changed ? changed : lf_world_first_did(lf_world_is_first() ? write_checkpoint(run, err) : LF_OK, err);
}

/* ---- sharing ---- */

static lf_status share_entry(void *nothing, const entry *e, lf_err *err) {
    (void)nothing;
    return lf_world_share(0, e->data, (size_t)e->n * sizeof *e->data, err);
}

lf_status lf_checkpoint_share(lf_run *run, lf_err *err) {
    counters c = counters_of(run);
    lf_status rc;
    if (lf_world_size() == 1) return LF_OK;
    if ((rc = lf_world_share(0, &c, sizeof c, err)) || (rc = each_tensor(run, share_entry, NULL, err))) return rc;
    run->progress = c.at;
    run->optimizer.steps = c.optimizer_steps;
    run->planned_steps = c.planned_steps;
    lf_schedule_stretch(&run->schedule, run->cfg, c.planned_steps);
    return LF_OK;
}

/* ---- reading ---- */

/* Folders get their names when they are whole; one that lost a file since was being removed. */
static bool is_whole(const char *dir, const char *name) {
    char *json = lf_format("%s/%s/%s", dir, name, LF_STATE_JSON),
         *state = lf_format("%s/%s/%s", dir, name, LF_STATE_FILE);
    const bool whole = json && state && lf_is_file(json) && lf_is_file(state);
    lf_free(state);
    lf_free(json);
    return whole;
}

static lf_status read_json(cJSON **out, const char *dir, lf_err *err) {
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

static lf_status open_state(lf_safetensors **out, const char *dir, lf_err *err) {
    char *path = lf_path_join(dir, LF_STATE_FILE);
    const lf_status rc = path ? lf_safetensors_open(out, path, err) : lf_no_memory(err, "%s", dir);
    lf_free(path);
    return rc;
}

static lf_status check_tensors(const char *dir, lf_err *err) {
    lf_safetensors *st = NULL;
    lf_status rc = open_state(&st, dir, err);
    for (int64_t i = 0; !rc && i < lf_safetensors_count(st); i++)
        rc = check_finite(lf_safetensors_path(st), lf_safetensors_at(st, i), err);
    lf_safetensors_close(st);
    return rc;
}

/* LF_EDATA unless the files are as they were written, and their numbers are such as a run can have. */
static lf_status check_checkpoint(const char *dir, lf_err *err) {
    cJSON *saved = NULL;
    counters c;
    lf_status rc = lf_checkpoint_check_sums(dir, err);
    if (!rc && !(rc = read_json(&saved, dir, err))) rc = read_counters(&c, saved, dir, err);
    if (!rc) rc = check_tensors(dir, err);
    cJSON_Delete(saved);
    return rc;
}

/* The newest checkpoint below `limit`; *step -1: there is none. */
static void newest_below(int64_t *step, const char *dir, char *const *names, size_t count, int64_t limit) {
    *step = -1;
    for (size_t i = 0; i < count; i++) {
        const int64_t s = lf_checkpoint_step(names[i]);
        if (s < limit && s > *step && is_whole(dir, names[i])) *step = s;
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
        else if ((rc = check_checkpoint(*path, &why)) == LF_ENOMEM)
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

static lf_status read_entry(void *file, const entry *e, lf_err *err) {
    const lf_safetensors *st = file;
    const lf_st_tensor *t = lf_safetensors_find(st, e->name);
    if (!t || t->dtype != LF_F32 || t->numel != e->n)
        return lf_fail(
            err, LF_EDATA,
            "%s: tensor '%s': expected %lld numbers of F32, found %s; is the checkpoint of this configuration?",
            lf_safetensors_path(st), e->name, (long long)e->n, t ? "others" : "none");
    memcpy(e->data, t->data, (size_t)e->n * sizeof *e->data);
    return LF_OK;
}

static lf_status other_fact(const lf_run *run, const cJSON *old, const cJSON *now, const char *path, lf_err *err) {
    const bool machine = strcmp(now->string, "kernels") == 0, older = strcmp(now->string, REDUCTION) == 0 && !old;
    char *a = old ? lf_json_print_line(old) : NULL, *b = lf_json_print_line(now);
    lf_status rc = LF_OK;
    if (machine && lf_cfg_bool(run->cfg, LF_force_resume))
        lf_warn("%s: '%s' was %s and is %s: the result will not be that of an uninterrupted run", path, now->string,
                a ? a : "not recorded", b ? b : "?");
    else
        rc = lf_fail(err, LF_EUSAGE, "%s: cannot resume: '%s' was %s and is %s; %s", path, now->string,
                     a ? a : "not recorded", b ? b : "?",
                     older ? "an earlier version added gradient_accumulation_steps one behind the other, so it would "
                             "become another run; begin again with another output_dir"
                     : machine ? "set force_resume to go on all the same"
                               : "begin again with another output_dir");
    lf_free(a);
    lf_free(b);
    return rc;
}

static lf_status check_facts(const lf_run *run, const cJSON *was, const char *path, lf_err *err) {
    cJSON *facts = facts_of(run);
    const cJSON *now;
    lf_status rc = facts ? LF_OK : lf_no_memory(err, "%s", path);
    cJSON_ArrayForEach(now, facts) {
        const cJSON *old = cJSON_GetObjectItemCaseSensitive(was, now->string);
        bool same = false;
        if (!rc && !lf_json_same(&same, old, now)) rc = lf_no_memory(err, "%s", path);
        if (!rc && !same) rc = other_fact(run, old, now, path, err);
    }
    cJSON_Delete(facts);
    return rc;
}

static lf_status check_keys(lf_run *run, const cJSON *was, const char *path, int64_t step, lf_err *err) {
    cJSON *now = keys_of(run);
    const lf_status rc =
        now ? lf_cfg_check_resume(run->cfg, was, now, path, step, run->segments, err) : lf_no_memory(err, "%s", path);
    cJSON_Delete(now);
    return rc;
}

/* Epochs and steps are compared by what they come to. */
static lf_status check_length(const lf_run *run, const counters *c, const char *path, lf_err *err) {
    if (run->total_steps >= c->max_steps) return LF_OK;
    return lf_fail(err, LF_EUSAGE,
                   "%s: cannot resume: the run was to have %lld steps and is to have %lld now (max_steps, or "
                   "num_train_epochs); a run that goes on can only be longer, choose another output_dir",
                   path, (long long)c->max_steps, (long long)run->total_steps);
}

/* The segments so far, as a list of its own; NULL: out of memory, or no list. */
static lf_status take_segments(lf_run *run, const cJSON *saved, const char *path, lf_err *err) {
    const cJSON *before = cJSON_GetObjectItemCaseSensitive(saved, lf_key_name(LF_segments));
    if (!cJSON_IsArray(before))
        return lf_fail(err, LF_EDATA, "%s: key '%s': expected a list", path, lf_key_name(LF_segments));
    cJSON_Delete(run->segments);
    run->segments = cJSON_Duplicate(before, true);
    return run->segments ? LF_OK : lf_no_memory(err, "%s", path);
}

static int segments_before(const cJSON *saved) {
    return cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(saved, lf_key_name(LF_segments)));
}

/* Whether the steps that are done had the learning rates that a run of the new length gives them: a longer run is then
 * that run, else it has a course of its own. */
static lf_status say_length(const lf_run *run, const counters *c, const char *path, lf_err *err) {
    lf_schedule was;
    const lf_status rc = lf_schedule_read(&was, run->cfg, c->max_steps, err);
    if (rc || run->total_steps == c->max_steps) return rc;
    lf_schedule_stretch(&was, run->cfg, c->planned_steps);
    int64_t same = 0;
    while (same < c->at.step && lf_schedule_factor(&was, same) == lf_schedule_factor(&run->schedule, same)) same++;
    if (same == c->at.step)
        lf_info("%s: longer by %lld steps; as if it had been so long from the beginning", path,
                (long long)(run->total_steps - c->max_steps));
    else
        lf_info("%s: longer by %lld steps; lr_scheduler_type %s goes over all of them now, so the %lld steps that are "
                "done had other learning rates than in a run of this length from the beginning (constant has the same)",
                path, (long long)(run->total_steps - c->max_steps), lf_cfg_str(run->cfg, LF_lr_scheduler_type),
                (long long)c->at.step);
    return LF_OK;
}

static lf_status restore_counters(lf_run *run, const cJSON *saved, const char *path, lf_err *err) {
    counters c;
    lf_status rc;
    if ((rc = read_counters(&c, saved, path, err)) || (rc = take_segments(run, saved, path, err)) ||
        (rc = check_keys(run, cJSON_GetObjectItemCaseSensitive(saved, "run"), path, c.at.step, err)) ||
        (rc =
             lf_run_check_data(run, cJSON_GetObjectItemCaseSensitive(saved, lf_key_name(LF_data_hashes)), path, err)) ||
        (rc = check_facts(run, cJSON_GetObjectItemCaseSensitive(saved, "facts"), path, err)) ||
        (rc = check_length(run, &c, path, err)))
        return rc;
    lf_cfg_say_segments(run->segments, segments_before(saved), path);
    run->progress = c.at;
    run->optimizer.steps = c.optimizer_steps;
    run->planned_steps = c.planned_steps;
    lf_schedule_stretch(&run->schedule, run->cfg, c.planned_steps);
    return say_length(run, &c, path, err);
}

/* The best checkpoint lies beside the resumed one, but not where a run goes on in another folder. */
static void forget_best_elsewhere(lf_run *run) {
    char *name = lf_format("checkpoint-%lld", (long long)run->progress.best_step);
    const bool here = name && is_whole(run->dir, name);
    lf_free(name);
    if (here || run->progress.best_step == 0 || !lf_cfg_bool(run->cfg, LF_load_best_model_at_end)) return;
    lf_warn("%s/checkpoint-%lld, the best so far, is not there: the best is looked for from step %lld on", run->dir,
            (long long)run->progress.best_step, (long long)run->progress.step);
    run->progress.best_step = 0;
    run->progress.best_metric = run->progress.best_forgetting = NAN;
}

static lf_status with_state(lf_run *run, const char *dir, lf_status (*each)(lf_run *, visit_fn, void *, lf_err *),
                            lf_err *err) {
    lf_safetensors *st = NULL;
    lf_status rc = open_state(&st, dir, err);
    if (!rc) rc = each(run, read_entry, st, err);
    lf_safetensors_close(st);
    return rc;
}

lf_status lf_checkpoint_restore_weights(lf_run *run, const char *dir, lf_err *err) {
    lf_status rc = lf_world_is_first() ? check_checkpoint(dir, err) : LF_OK;
    if (!rc && lf_world_is_first()) rc = with_state(run, dir, each_weight, err);
    rc = lf_world_first_did(rc, err);
    return rc || lf_world_size() == 1 ? rc : each_weight(run, share_entry, NULL, err);
}

lf_status lf_checkpoint_restore(lf_run *run, const char *dir, lf_err *err) {
    cJSON *saved = NULL;
    lf_status rc = check_checkpoint(dir, err);
    if (!rc && !(rc = read_json(&saved, dir, err)) && !(rc = restore_counters(run, saved, dir, err)))
        rc = with_state(run, dir, each_tensor, err);
    if (!rc) forget_best_elsewhere(run);
    cJSON_Delete(saved);
    return rc;
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
