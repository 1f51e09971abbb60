#include "continual/specs.h"

#include "base/mem.h"
#include "base/obj.h"

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

lf_status lf_specs_join(cJSON **out, const lf_plan *p, lf_key_id key, int64_t n, lf_err *err) {
    const cJSON *first = lf_cfg_json(p->tasks[0].cfg, key);
    lf_obj list = lf_list_new(), spec = lf_obj_of(cJSON_Duplicate(first, true));
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < n && !rc; i++) {
        const lf_plan_task *t = &p->tasks[i];
        const cJSON *own = lf_cfg_json(t->cfg, key);
        bool ok = true;
        if (!same_beside_paths(first, own, &ok) || !add_paths(&list, own))
            rc = ok ? lf_cfg_fail(t->cfg, key, err,
                                  "is read with those of other tasks as one, so but for their paths they are given "
                                  "alike (format, labels, ...)")
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
