/* All tasks at once: one run on the data of all of them, the other reference. */
#include "base/mem.h"
#include "base/obj.h"
#include "continual/between.h"

static const lf_key_id data[] = {LF_train_data, LF_eval_data, LF_test_data};
enum { N_DATA = sizeof data / sizeof *data };

static bool is_data(const char *name) {
    for (int i = 0; i < N_DATA; i++)
        if (lf_key_of(name) == data[i]) return true;
    return false;
}

/* There is one run, so there is one value of each key. */
static lf_status check(const lf_plan *p, int64_t task, lf_err *err) {
    const lf_plan_task *t = &p->tasks[task];
    const cJSON *member;
    cJSON_ArrayForEach(member, t->given) {
        const char *name = lf_cfg_key_name("train", member->string);
        if (name && !is_data(name) && !cJSON_IsNull(member))
            return lf_cfg_fail(t->cfg, lf_key_of(name), err,
                               "with between joint all tasks are trained in one run; give it for all tasks");
    }
    return LF_OK;
}

/* ---- several data sets as one ---- */

static const cJSON *paths_of(const cJSON *spec) {
    return cJSON_IsObject(spec) ? cJSON_GetObjectItemCaseSensitive(spec, "path") : spec;
}

static bool add_paths(lf_obj *list, const cJSON *spec) {
    const cJSON *item, *paths = paths_of(spec);
    if (cJSON_IsString(paths)) lf_list_string(list, paths->valuestring);
    if (cJSON_IsArray(paths)) cJSON_ArrayForEach(item, paths) lf_list_put(list, cJSON_Duplicate(item, true));
    return cJSON_IsString(paths) || cJSON_IsArray(paths);
}

/* But for their paths, do two specs say the same? False in *ok: out of memory. */
static bool same_beside_paths(const cJSON *a, const cJSON *b, bool *ok) {
    cJSON *specs[2] = {cJSON_Duplicate(a, true), cJSON_Duplicate(b, true)};
    bool same = cJSON_IsObject(a) == cJSON_IsObject(b);
    for (int i = 0; i < 2; i++)
        if (cJSON_IsObject(specs[i])) cJSON_DeleteItemFromObjectCaseSensitive(specs[i], "path");
    *ok = specs[0] && specs[1];
    if (*ok && same && cJSON_IsObject(a)) *ok = lf_json_same(&same, specs[0], specs[1]);
    for (int i = 0; i < 2; i++) cJSON_Delete(specs[i]);
    return same;
}

/* All tasks' paths in the place of the first's. */
static lf_status join(cJSON **out, const lf_plan *p, lf_key_id key, lf_err *err) {
    const cJSON *first = lf_cfg_json(p->tasks[0].cfg, key);
    lf_obj list = lf_list_new(), spec = lf_obj_of(cJSON_Duplicate(first, true));
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < p->n_tasks && !rc; i++) {
        const lf_plan_task *t = &p->tasks[i];
        const cJSON *own = lf_cfg_json(t->cfg, key);
        bool ok = true;
        if (!same_beside_paths(first, own, &ok) || !add_paths(&list, own))
            rc = ok ? lf_cfg_fail(t->cfg, key, err,
                                  "with between joint the data of all tasks are read as one, so but for their paths "
                                  "they are given alike (format, labels, ...)")
                    : lf_no_memory(err, "the data of all tasks");
    }
    cJSON *paths = lf_obj_take(&list);
    if (cJSON_IsObject(first)) {
        lf_obj_drop(&spec, "path");
        lf_obj_put(&spec, "path", paths);
        *out = lf_obj_take(&spec);
    } else {
        cJSON_Delete(lf_obj_take(&spec));
        *out = paths;
    }
    return rc ? rc : *out ? LF_OK : lf_no_memory(err, "the data of all tasks");
}

/* Evaluation and test data of all tasks, or of none. */
static lf_status gather(const lf_plan *p, lf_config *cfg, lf_err *err) {
    lf_status rc = LF_OK;
    for (int i = 0; i < N_DATA && !rc; i++) {
        int64_t given = 0;
        cJSON *all = NULL;
        for (int64_t t = 0; t < p->n_tasks; t++) given += lf_cfg_is_given(p->tasks[t].cfg, data[i]);
        if (given < p->n_tasks) continue;
        rc = join(&all, p, data[i], err);
        if (!rc) rc = lf_cfg_set_json(cfg, lf_key_name(data[i]), all, "between joint", err);
        cJSON_Delete(all);
    }
    return rc;
}

const lf_between lf_between_joint = {.name = "joint", .at_once = true, .check = check, .gather = gather};
