#include "continual/plan.h"

#include <ctype.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "continual/between.h"
#include "continual/order.h"

enum { MOST_TASKS = 1000, MAX_NAME = 64 };

/* ---- what is given for all ---- */

/* Why a key of `train` is not one of a whole sequence. */
static const struct {
    lf_key_id key;
    const char *why;
} not_for_all[] = {
    {LF_train_data, "each of 'tasks' gives its own"},
    {LF_eval_data, "each of 'tasks' gives its own"},
    {LF_test_data, "each of 'tasks' gives its own"},
    {LF_train_val_split, "all tasks are judged after each one, on data that stay apart; give each its eval_data"},
    {LF_continue_from, "a sequence begins with the base, in this version; leave it out"},
    {LF_init_model, "a sequence begins with a model that is there; give 'model'"},
    {LF_new_labels, "heads grow with the classes of the tasks"},
};
enum { N_NOT_FOR_ALL = sizeof not_for_all / sizeof *not_for_all };

static lf_status check_for_all(const lf_config *cfg, lf_err *err) {
    for (int i = 0; i < N_NOT_FOR_ALL; i++)
        if (lf_cfg_is_given(cfg, not_for_all[i].key))
            return lf_cfg_fail(cfg, not_for_all[i].key, err, "%s", not_for_all[i].why);
    if (strcmp(lf_cfg_str(cfg, LF_method), "full") != 0) return LF_OK;
    return lf_cfg_fail(cfg, LF_method, err,
                       "tasks one after the other are learned by adapters or heads, in this version; expected lora or "
                       "head, found full");
}

/* What a way or heads of their own cannot be asked for. */
static lf_status check_sequence(const lf_plan *p, lf_err *err) {
    const lf_between *b = p->between;
    if (p->own_heads && b->at_once)
        return lf_cfg_fail(p->cfg, LF_heads, err, "with between %s there is one run, and so one head; leave it out",
                           b->name);
    if (p->own_heads && strcmp(lf_cfg_str(p->cfg, LF_method), "lora") != 0)
        return lf_cfg_fail(p->cfg, LF_heads, err,
                           "with method %s there is no adapter that a task's own head goes out with; take method lora, "
                           "or heads one",
                           lf_cfg_str(p->cfg, LF_method));
    if (!b->adds_up && strcmp(lf_cfg_str(p->cfg, LF_kl_reference), "previous") == 0)
        return lf_cfg_fail(p->cfg, LF_kl_reference, err,
                           "the model before a task is there with between merge or stack, found %s; expected base",
                           b->name);
    return LF_OK;
}

lf_status lf_plan_check_longer(const lf_config *cfg, lf_key_id key, const char *dir, lf_err *err) {
    const lf_between *b = lf_between_find(lf_cfg_str(cfg, LF_between));
    if (b->alone || b->at_once) return LF_OK;
    return lf_cfg_fail(cfg, key, err,
                       "%s was begun with less, and between %s each task goes on from the one before it, so that a "
                       "longer one is another sequence; give what it was, choose another output_dir, or begin it anew "
                       "with overwrite_output_dir and without resume_from_checkpoint",
                       dir, b->name);
}

/* ---- a task ---- */

const lf_key_id lf_plan_data[LF_PLAN_DATA] = {LF_train_data, LF_eval_data, LF_test_data};

bool lf_plan_is_data(lf_key_id key) {
    for (int i = 0; i < LF_PLAN_DATA; i++)
        if (key == lf_plan_data[i]) return true;
    return false;
}

/* The name becomes a folder's. */
static bool is_plain(const char *s) {
    const size_t n = strlen(s);
    bool plain = n > 0 && n <= MAX_NAME && s[0] != '.';
    for (size_t i = 0; i < n; i++) plain = plain && (isalnum((unsigned char)s[i]) || strchr("._+-", s[i]));
    return plain;
}

static lf_status read_name(lf_plan *p, int64_t i, lf_err *err) {
    lf_plan_task *t = &p->tasks[i];
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(t->given, "name"));
    if (!name || !is_plain(name))
        return lf_cfg_fail(p->cfg, LF_tasks, err,
                           "task %lld: expected a \"name\" of letters, digits and . _ + -, which is a folder's too, "
                           "found %s%.80s%s",
                           (long long)i + 1, name ? "'" : "none", name ? name : "", name ? "'" : "");
    for (int64_t k = 0; k < i; k++)
        if (strcmp(p->tasks[k].name, name) == 0)
            return lf_cfg_fail(p->cfg, LF_tasks, err, "tasks %lld and %lld are both called '%s'", (long long)k + 1,
                               (long long)i + 1, name);
    t->name = name;
    return LF_OK;
}

/* What a sequence has one of, or decides itself. */
static lf_status check_own(const lf_plan_task *t, const char *name, lf_err *err) {
    const unsigned traits = lf_key_traits(name);
    const lf_key_id key = lf_key_of(name);
    if (key == LF_decomposition_cache || key == LF_check_cache || key == LF_base_cache) return LF_OK;
    if (key == LF_continue_from || key == LF_init_model || key == LF_train_val_split || key == LF_method ||
        (traits & (LF_IS_OF_SWEEP | LF_IS_RECORD | LF_IS_MODEL)) || (traits & LF_IS_OF_ALL) == LF_IS_OF_FORGETTING)
        return lf_cfg_fail(t->cfg, key, err, "is one of the whole sequence, and no task's; take it out");
    return LF_OK;
}

/* What a task with a head of its own cannot have: what goes out is made of its adapter's factors and that head. */
static const struct {
    lf_key_id key;
    const char *why;
} not_with_own_head[] = {
    {LF_reuse_head, "each task has a new one; leave one of them out"},
    {LF_use_dora, "magnitudes (DoRA) are no factors that go out with another head; leave it out, or take heads one"},
};
enum { N_NOT_WITH_OWN_HEAD = sizeof not_with_own_head / sizeof *not_with_own_head };

static lf_status check_head(const lf_plan *p, const lf_plan_task *t, lf_err *err) {
    for (int i = 0; i < N_NOT_WITH_OWN_HEAD && p->own_heads; i++) {
        const lf_key_id key = not_with_own_head[i].key;
        if (lf_cfg_bool(t->cfg, key))
            return lf_cfg_fail(t->cfg, key, err, "with heads task: %s", not_with_own_head[i].why);
    }
    return LF_OK;
}

static lf_status take_key(lf_plan *p, lf_plan_task *t, const cJSON *member, const char *source, lf_err *err) {
    if (!strcmp(member->string, "name") || cJSON_IsNull(member)) return LF_OK;
    lf_status rc = lf_cfg_set_json(t->cfg, member->string, member, source, err);
    const char *name = rc ? NULL : lf_cfg_key_name("train", member->string);
    if (!name) return rc;
    if (strcmp(name, member->string) && cJSON_GetObjectItemCaseSensitive(t->given, name))
        return lf_cfg_fail(p->cfg, LF_tasks, err, "task '%s' gives '%s' twice, once as '%.64s'; delete one", t->name,
                           name, member->string);
    return check_own(t, name, err);
}

static lf_status make_task(lf_plan *p, int64_t i, lf_err *err) {
    static const char in[] = "tasks, '%s'";
    lf_plan_task *t = &p->tasks[i];
    char *made = lf_format(in, t->name);
    const char *source = made ? lf_arena_strdup(p->arena, made) : NULL;
    const cJSON *member;
    lf_err inner = {0};
    lf_free(made);
    lf_status rc = source ? lf_cfg_derive(&t->cfg, p->cfg, "train", err) : lf_no_memory(err, "the tasks");
    if (rc) return rc;
    cJSON_ArrayForEach(member, t->given) if ((rc = take_key(p, t, member, source, err))) return rc;
    if ((rc = check_head(p, t, err))) return rc;
    if (p->between->check && (rc = p->between->check(p, i, err))) return rc;
    rc = lf_config_finish(t->cfg, &inner);
    return rc ? lf_fail(err, rc, "task '%s': %s", t->name, inner.message) : LF_OK;
}

/* Which of the list each is. */
static lf_status find_order(int64_t **out, const lf_plan *p, int64_t n, lf_err *err) {
    const int64_t k = lf_cfg_i64(p->cfg, LF_task_order);
    *out = NULL;
    if (!lf_task_has_order(n, k))
        return lf_cfg_fail(p->cfg, LF_task_order, err, "%lld tasks have no %lld orders beside that of the list",
                           (long long)n, (long long)k);
    int64_t *order = lf_arena_alloc(p->arena, (size_t)n * sizeof *order),
            *room = lf_calloc((size_t)(k + 1), (size_t)n * sizeof *room);
    if (order && room) lf_task_order(order, n, k, room);
    lf_free(room);
    *out = order;
    return order && room ? LF_OK : lf_no_memory(err, "the tasks");
}

static lf_status read_tasks(lf_plan *p, lf_err *err) {
    const cJSON *item, *list = lf_cfg_json(p->cfg, LF_tasks);
    const int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    int64_t *order;
    if (n < 1 || n > MOST_TASKS)
        return lf_cfg_fail(p->cfg, LF_tasks, err,
                           "expected a list of 1 to %d tasks, each {\"name\": ..., \"train_data\": ..., "
                           "\"eval_data\": ...}",
                           MOST_TASKS);
    if (!(p->tasks = lf_calloc((size_t)n, sizeof *p->tasks))) return lf_no_memory(err, "the tasks");
    lf_status rc = find_order(&order, p, n, err);
    for (int64_t i = 0; i < n && !rc; i++) {
        item = cJSON_GetArrayItem(list, (int)order[i]);
        if (!cJSON_IsObject(item))
            return lf_cfg_fail(p->cfg, LF_tasks, err, "task %lld: expected an object of keys and values",
                               (long long)order[i] + 1);
        p->tasks[i].given = item;
        p->n_tasks = i + 1;
        if (!(rc = read_name(p, i, err))) rc = make_task(p, i, err);
    }
    return rc;
}

/* ---- the runs ---- */

lf_status lf_plan_set(lf_config *cfg, lf_key_id key, cJSON *value, lf_err *err) {
    return lf_cfg_set_taken(cfg, lf_key_name(key), value, "the sequence", err);
}

static const char *keep_text(lf_plan *p, char *made) {
    const char *kept = made ? lf_arena_strdup(p->arena, made) : NULL;
    lf_free(made);
    return kept;
}

bool lf_plan_goes_out(const lf_plan *p) { return p->between->adds_up || p->own_heads; }

const char *lf_plan_judged_by(const lf_plan *p, int64_t run, int64_t task) {
    const lf_plan_run *r = &p->runs[run];
    char *path = r->heads ? lf_path_join(r->heads, p->tasks[task].name) : lf_format("%s", r->adapter);
    const char *kept = path ? lf_arena_strdup(p->arena, path) : NULL;
    lf_free(path);
    return kept;
}

static lf_status place_run(lf_plan *p, lf_plan_run *r, int64_t i, lf_err *err) {
    r->dir = keep_text(p, p->between->at_once ? lf_format("%s/joint", p->dir)
                                              : lf_format("%s/task-%02lld-%s", p->dir, (long long)i + 1, r->name));
    r->adapter = r->own = r->dir ? keep_text(p, lf_path_join(r->dir, "adapter")) : NULL;
    char *after = lf_format("%s/after-%02lld-%s", p->dir, (long long)i + 1, r->name);
    if (after && p->own_heads) r->heads = keep_text(p, lf_path_join(after, LF_PLAN_HEADS));
    if (after && p->between->adds_up) r->model = keep_text(p, lf_path_join(after, "model"));
    if (after && lf_plan_goes_out(p))
        r->adapter = keep_text(p, r->heads ? lf_path_join(r->heads, r->name) : lf_path_join(after, "adapter"));
    const bool made = after && r->own && (r->heads || !p->own_heads) && (r->model || !p->between->adds_up);
    lf_free(after);
    if (!made || !r->adapter) return lf_no_memory(err, "the tasks");
    lf_status rc = lf_plan_set(r->cfg, LF_output_dir, cJSON_CreateString(r->dir), err);
    return rc ? rc : lf_plan_set(r->cfg, LF_json, cJSON_CreateFalse(), err);
}

static bool is_numbered(const char *name, const char *what) {
    const size_t n = strlen(what);
    return strncmp(name, what, n) == 0 && strspn(name + n, "0123456789") >= 2;
}

bool lf_plan_is_after(const char *name) { return is_numbered(name, "after-"); }

bool lf_plan_is_folder(const char *name) {
    return is_numbered(name, "task-") || lf_plan_is_after(name) || strcmp(name, "joint") == 0;
}

/* A run's settings are its task's, or those of all. */
static lf_status make_run(lf_plan *p, int64_t i, lf_err *err) {
    lf_plan_run *r = &p->runs[i];
    const lf_between *b = p->between;
    r->name = b->at_once ? b->name : p->tasks[i].name;
    lf_status rc = lf_cfg_derive(&r->cfg, b->at_once ? p->cfg : p->tasks[i].cfg, "train", err);
    if (!rc && b->gather) rc = b->gather(p, r->cfg, err);
    if (!rc && b->adds_up) rc = lf_cfg_unset(r->cfg, LF_save_dtype, err); /* it is that of the merged models */
    if (!rc) rc = place_run(p, r, i, err);
    return rc ? rc : lf_config_finish(r->cfg, err);
}

static lf_status make_runs(lf_plan *p, lf_err *err) {
    const int64_t n = p->between->at_once ? 1 : p->n_tasks;
    lf_status rc = LF_OK;
    if (!(p->runs = lf_calloc((size_t)n, sizeof *p->runs))) return lf_no_memory(err, "the tasks");
    for (p->n_runs = 0; p->n_runs < n && !rc; p->n_runs++) rc = make_run(p, p->n_runs, err);
    return rc;
}

lf_status lf_plan_open(lf_plan *p, const lf_config *cfg, lf_err *err) {
    *p = (lf_plan){.cfg = cfg,
                   .dir = lf_cfg_str(cfg, LF_output_dir),
                   .between = lf_between_find(lf_cfg_str(cfg, LF_between)),
                   .own_heads = strcmp(lf_cfg_str(cfg, LF_heads), "task") == 0,
                   .arena = lf_arena_new()};
    if (!p->arena) return lf_no_memory(err, "the tasks");
    lf_status rc = check_for_all(cfg, err);
    if (!rc) rc = check_sequence(p, err);
    if (!rc) rc = read_tasks(p, err);
    return rc ? rc : make_runs(p, err);
}

void lf_plan_close(lf_plan *p) {
    for (int64_t i = 0; i < p->n_tasks; i++) lf_config_free(p->tasks[i].cfg);
    for (int64_t i = 0; i < p->n_runs; i++) lf_config_free(p->runs[i].cfg);
    lf_free(p->tasks);
    lf_free(p->runs);
    lf_arena_free(p->arena);
    *p = (lf_plan){0};
}
