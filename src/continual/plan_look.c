/* What the data of the tasks say: classes, what is judged, and by which bytes. */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "continual/between.h"
#include "data/class_names.h"
#include "io/stored.h"
#include "train/run.h"

static lf_status copy_names(const char ***out, const lf_plan *p, const char *const *names, int64_t n, lf_err *err) {
    const char **copy = lf_arena_alloc(p->arena, (size_t)(n + 1) * sizeof *copy);
    for (int64_t i = 0; i < n && copy; i++)
        if (!(copy[i] = lf_arena_strdup(p->arena, names[i]))) copy = NULL;
    *out = copy;
    return copy ? LF_OK : lf_no_memory(err, "the classes of the tasks");
}

static lf_status take_classes(lf_plan *p, lf_plan_task *t, const lf_data_labels *l, lf_err *err) {
    const lf_status rc = copy_names(&t->classes, p, l->classes, l->n, err);
    if (!rc) t->n_classes = l->n;
    return rc;
}

/* A head that is gone on with has classes before any task. */
static lf_status take_base_classes(lf_plan *p, const lf_model *m, lf_err *err) {
    if (p->base_classes || !lf_cfg_bool(p->tasks[0].cfg, LF_reuse_head)) return LF_OK;
    const lf_status rc = copy_names(&p->base_classes, p, m->head.labels, m->head.labels ? m->head.n_labels : 0, err);
    if (!rc && m->head.labels) p->n_base_classes = m->head.n_labels;
    return rc;
}

static lf_status check_judged(const lf_plan_task *t, const lf_task *opened, lf_err *err) {
    const cJSON *train = lf_cfg_json(t->cfg, LF_train_data);
    if (lf_cfg_is_set(t->cfg, LF_eval_data) || opened->source->has_split(opened, train, "val")) return LF_OK;
    return lf_fail(err, LF_EUSAGE,
                   "task '%s' has nothing that it is judged on: give it eval_data (or train_data with val/ beside "
                   "train/)",
                   t->name);
}

static lf_status hash_role(char out[33], lf_task *t, lf_data_role role, lf_err *err) {
    lf_fingerprint f = {.hash = ""};
    const lf_status rc = t->source->has_data(t, role) ? t->source->fingerprint(t, role, &f, err) : LF_OK;
    memcpy(out, f.hash, sizeof f.hash);
    return rc;
}

/* What is judged: a score is of these bytes. */
static lf_status look_at_judged(lf_plan_task *t, lf_task *opened, lf_err *err) {
    lf_err inner = {0};
    lf_status rc = lf_task_open_eval(opened, &inner);
    if (!rc) rc = hash_role(t->eval_hash, opened, LF_DATA_EVAL, &inner);
    return rc ? lf_fail(err, rc, "task '%s': %s", t->name, inner.message) : LF_OK;
}

/* Where runs are not of the base, the sequence judges its data itself; else each run does, and knows them again. */
static lf_status look_at_base(lf_plan *p, lf_task *opened, lf_err *err) {
    if (!p->between->adds_up || !lf_cfg_is_set(opened->cfg, LF_forgetting_data)) return LF_OK;
    const lf_status rc = lf_task_open_base(opened, false, err);
    return rc ? rc : hash_role(p->base_hash, opened, LF_DATA_BASE, err);
}

/* By the task's configuration, or another that opens the same data. */
static lf_status look_by(lf_plan *p, lf_plan_task *t, const lf_config *cfg, lf_err *err) {
    lf_run run;
    lf_data_labels l;
    lf_err inner = {0};
    lf_status rc = lf_run_open_to_look(&run, cfg, &inner);
    if (rc) {
        rc = lf_fail(err, rc, "task '%s': %s", t->name, inner.message);
    } else if (!(rc = lf_cfg_check_inputs(t->cfg, err)) && !(rc = check_judged(t, run.task, err))) {
        const lf_source_type *source = run.task->source;
        t->output = run.task->type->output;
        t->by = run.task->type->judged_by;
        t->examples = source->count(run.task, LF_DATA_TRAIN);
        if (source->labels(run.task, LF_DATA_TRAIN, &l) && l.classes) rc = take_classes(p, t, &l, err);
        if (!rc) rc = take_base_classes(p, run.model, err);
        if (!rc) rc = look_at_judged(t, run.task, err);
        if (!rc && t == p->tasks) rc = look_at_base(p, run.task, err);
    }
    lf_run_close(&run);
    return rc;
}

/* A head that is gone on with may be given the task's classes when it is its turn; the data are opened without it then.
 */
static lf_status look(lf_plan *p, lf_plan_task *t, lf_err *err) {
    lf_config *cfg = NULL;
    lf_err why = {0};
    lf_status rc = look_by(p, t, t->cfg, &why);
    if (!rc || !lf_cfg_bool(t->cfg, LF_reuse_head) || !p->between->one_head)
        return rc ? lf_fail(err, rc, "%s", why.message) : LF_OK;
    rc = lf_cfg_derive(&cfg, t->cfg, "train", err);
    if (!rc && !(rc = lf_cfg_unset(cfg, LF_reuse_head, err))) rc = look_by(p, t, cfg, err);
    lf_config_free(cfg);
    return rc;
}

static bool has_class(const lf_plan_task *t, const char *name) {
    return lf_class_names_find(name, t->classes, t->n_classes) >= 0;
}

/* Is it a class of one of the tasks first .. last, or of the base's head that is gone on with? */
static bool is_seen(const lf_plan *p, int64_t first, int64_t last, const char *name) {
    bool seen = lf_class_names_find(name, p->base_classes, p->n_base_classes) >= 0;
    for (int64_t i = first; i <= last && !seen; i++) seen = has_class(&p->tasks[i], name);
    return seen;
}

/* One matrix has one measure. */
static lf_status check_measure(const lf_plan *p, const lf_plan_task *t, lf_err *err) {
    const lf_judged_by first = p->tasks[0].by;
    if (t->by == first) return LF_OK;
    return lf_cfg_fail(p->cfg, LF_tasks, err,
                       "task '%s' is judged by %s, and those before it by %s, which cannot be averaged; give tasks of "
                       "one kind",
                       t->name, lf_yardsticks[t->by].name, lf_yardsticks[first].name);
}

/* Next tokens are said by a head that is the model's, whatever the task. */
static lf_status check_has_head(const lf_plan *p, const lf_plan_task *t, lf_err *err) {
    if (!p->own_heads || t->output == LF_CLASSES) return LF_OK;
    return lf_cfg_fail(p->cfg, LF_heads, err,
                       "task '%s' is one of language, which has no head of its own; expected one, found task", t->name);
}

static lf_status hash_data(lf_plan *p, lf_err *err) {
    lf_string all = {0};
    for (int64_t i = 0; i < p->n_tasks; i++) lf_string_add(&all, "%s %s\n", p->tasks[i].name, p->tasks[i].eval_hash);
    lf_string_add(&all, "%s", p->base_hash);
    if (!all.failed) lf_stored_hash(p->data_hash, all.s, all.n);
    const lf_status rc = all.failed ? lf_no_memory(err, "the tasks") : LF_OK;
    lf_string_free(&all);
    return rc;
}

lf_status lf_plan_look(lf_plan *p, bool quiet, lf_err *err) {
    const lf_log_level level = quiet ? lf_log_set_level(LF_LOG_QUIET) : LF_LOG_INFO;
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < p->n_tasks && !rc; i++) {
        rc = look(p, &p->tasks[i], err);
        if (!rc) rc = check_measure(p, &p->tasks[i], err);
        if (!rc) rc = check_has_head(p, &p->tasks[i], err);
    }
    if (quiet) lf_log_set_level(level);
    return rc ? rc : hash_data(p, err);
}

bool lf_plan_answers(const lf_plan *p, int64_t run, int64_t task) {
    const lf_plan_task *t = &p->tasks[task];
    bool all = true;
    if (p->between->at_once) return true; /* of all classes */
    if (p->own_heads) return p->between->alone ? task == run : task <= run;
    for (int64_t i = 0; i < t->n_classes && all; i++)
        all = is_seen(p, p->between->one_head ? 0 : run, run, t->classes[i]);
    return all;
}

bool lf_plan_base_answers(const lf_plan *p, int64_t task) {
    const lf_plan_task *t = &p->tasks[task];
    bool all = true;
    for (int64_t i = 0; i < t->n_classes && all; i++) all = is_seen(p, 0, -1, t->classes[i]);
    return all;
}

lf_status lf_plan_new_labels(cJSON **out, const lf_plan *p, int64_t run, lf_err *err) {
    const lf_plan_task *t = &p->tasks[run];
    lf_obj list = lf_list_new();
    const bool stays = run > 0 || p->base_classes; /* else the first task makes a head of its own */
    for (int64_t i = 0; i < t->n_classes && stays; i++)
        if (!is_seen(p, 0, run - 1, t->classes[i])) lf_list_string(&list, t->classes[i]);
    *out = lf_obj_take(&list);
    return *out ? LF_OK : lf_no_memory(err, "the classes of task '%s'", t->name);
}
