/* What a changed value means for a run that is there: the same run, the same run gone on, or another one. */
#define _XOPEN_SOURCE 700
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/slice.h"
#include "config/config_internal.h"

/* From the mildest to the gravest. */
typedef enum change {
    CHANGE_NONE, /* the values say the same, or the key changes no number */
    CHANGE_FORM,
    CHANGE_MACHINE,
    CHANGE_LONGER, /* as far as the key tells */
    CHANGE_MORE,   /* of another key that grows */
    CHANGE_LESS,
    CHANGE_OTHER /* another run */
} change;

/* ---- one key ---- */

static double number_of(const cJSON *o, lf_key_id id) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, lf_key_name(id));
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static bool weighs_forgetting(const char *metric) {
    return metric && lf_has_item("retention|forgetting|tradeoff", metric);
}

bool lf_json_selects_by_forgetting(const cJSON *keys) {
    const cJSON *metric = cJSON_GetObjectItemCaseSensitive(keys, lf_key_name(LF_metric_for_best_model));
    return weighs_forgetting(cJSON_GetStringValue(metric)) ||
           cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(keys, lf_key_name(LF_max_forgetting)));
}

bool lf_cfg_selects_by_forgetting(const lf_config *cfg) {
    return weighs_forgetting(lf_cfg_str(cfg, LF_metric_for_best_model)) || lf_cfg_is_set(cfg, LF_max_forgetting);
}

static bool looks_for_best(const lf_config *cfg) {
    return lf_cfg_bool(cfg, LF_load_best_model_at_end) || lf_cfg_i64(cfg, LF_early_stopping_patience) > 0;
}

/* Steps between evaluations, where eval_steps does not say: logging_steps is more than logging then. */
static bool stands_for_eval_steps(const lf_config *cfg, lf_key_id id) {
    return id == LF_logging_steps && !lf_cfg_is_set(cfg, LF_eval_steps) &&
           strcmp(lf_cfg_str(cfg, LF_eval_strategy), "steps") == 0;
}

/* max_steps wins over num_train_epochs where it is positive; which of the two is longer, only the data tell. */
static change length_change(lf_key_id id, const cJSON *was, const cJSON *now) {
    const double steps[2] = {number_of(was, LF_max_steps), number_of(now, LF_max_steps)};
    const bool counts_steps = id == LF_max_steps;
    if (!counts_steps && steps[1] > 0) return CHANGE_NONE;
    if ((steps[0] > 0) != (steps[1] > 0)) return CHANGE_LONGER;
    if (counts_steps && steps[0] <= 0) return CHANGE_NONE;
    return number_of(now, id) > number_of(was, id) ? CHANGE_LONGER : CHANGE_LESS;
}

static change growth(lf_key_id id, const cJSON *was, const cJSON *now) {
    if (id == LF_max_steps || id == LF_num_train_epochs) return length_change(id, was, now);
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(now, lf_key_name(id))) ? CHANGE_MORE : CHANGE_LESS;
}

/* The key's value is another than it was. */
static change kind_of_change(const lf_config *cfg, lf_key_id id, const cJSON *was, const cJSON *now) {
    const unsigned traits = lf_keys[id - 1].traits;
    if (traits & LF_IS_GROWS) return growth(id, was, now);
    if (traits & LF_IS_MACHINE) return CHANGE_MACHINE;
    if (traits & LF_IS_FORM) return CHANGE_FORM;
    const bool of_best = (traits & LF_IS_CHOICE) || stands_for_eval_steps(cfg, id);
    /* by forgetting: which data are reported changes too */
    const bool counts = looks_for_best(cfg) || lf_json_selects_by_forgetting(was) || lf_json_selects_by_forgetting(now);
    if (of_best) return counts ? CHANGE_OTHER : CHANGE_NONE;
    return traits & (LF_IS_ASIDE | LF_IS_RECORD) ? CHANGE_NONE : CHANGE_OTHER;
}

/* What another key said until there was one for it. */
static const struct { lf_key_id key, was_said_by; } inherited[] = {{LF_data_seed, LF_seed}};
enum { N_INHERITED = sizeof inherited / sizeof *inherited };

static const cJSON *member(const cJSON *o, lf_key_id id) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, lf_key_name(id));
    for (int i = 0; i < N_INHERITED && !item; i++)
        if (inherited[i].key == id) item = cJSON_GetObjectItemCaseSensitive(o, lf_key_name(inherited[i].was_said_by));
    return cJSON_IsNull(item) ? NULL : item;
}

lf_status lf_cfg_take_inherited(lf_config *cfg, const cJSON *was, const char *source, lf_err *err) {
    lf_status rc = LF_OK;
    for (int i = 0; i < N_INHERITED && !rc; i++) {
        const cJSON *value = member(was, inherited[i].key);
        const char *name = lf_key_name(inherited[i].key);
        if (!value || lf_cfg_is_given(cfg, inherited[i].key) || cJSON_GetObjectItemCaseSensitive(was, name)) continue;
        rc = lf_cfg_set_json(cfg, name, value, source, err);
    }
    return rc;
}

static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The same file or folder, however its path is spelled; or one of the same name where the old one is not any more, as
 * when a folder was moved with all that is in it. What its bytes are, hashes tell. */
static bool same_path(const char *a, const char *b) {
    char x[PATH_MAX], y[PATH_MAX];
    if (!realpath(b, y)) return false;
    if (!realpath(a, x)) return strcmp(last_part(a), last_part(b)) == 0;
    return strcmp(x, y) == 0;
}

static bool same_place(const cJSON *a, const cJSON *b) {
    if (cJSON_IsString(a) && cJSON_IsString(b)) return same_path(a->valuestring, b->valuestring);
    if (!cJSON_IsArray(a) || !cJSON_IsArray(b) || cJSON_GetArraySize(a) != cJSON_GetArraySize(b)) return false;
    bool same = true;
    for (const cJSON *x = a->child, *y = b->child; x && same; x = x->next, y = y->next) same = same_place(x, y);
    return same;
}

/* A default that is not in the file is that of a newer version, or one that is not written. */
static lf_status compare(change *out, const lf_config *cfg, lf_key_id id, const cJSON *was, const cJSON *now,
                         lf_err *err) {
    const cJSON *a = member(was, id), *b = member(now, id);
    bool same = !a && (!b || !lf_cfg_is_given(cfg, id));
    *out = CHANGE_NONE;
    if (a && b && !lf_json_same(&same, a, b)) return lf_no_memory(err, "a comparison");
    if (!same && (lf_keys[id - 1].traits & LF_IS_INPUT)) same = same_place(a, b);
    if (!same && (lf_keys[id - 1].verbs & cfg->verb->knows)) *out = kind_of_change(cfg, id, was, now);
    return LF_OK;
}

/* ---- messages ---- */

typedef struct values {
    char *was, *now;
} values;

static values values_of(lf_key_id id, const cJSON *was, const cJSON *now) {
    const cJSON *a = member(was, id), *b = member(now, id);
    return (values){a ? lf_json_print_line(a) : NULL, b ? lf_json_print_line(b) : NULL};
}

static const char *text_of(const char *value) { return value ? value : "not set"; }

static void free_values(values v) {
    lf_free(v.was);
    lf_free(v.now);
}

static lf_status refuse_finished(const char *dir, lf_key_id id, const cJSON *was, const cJSON *now, lf_err *err) {
    const values v = values_of(id, was, now);
    const lf_status rc = lf_fail(
        err, LF_EUSAGE,
        "%.300s: was begun with %s %.150s, which is %.150s now; choose another output_dir, or set overwrite_output_dir "
        "to run it again",
        dir, lf_key_name(id), text_of(v.was), text_of(v.now));
    free_values(v);
    return rc;
}

static lf_status refuse_resume(const char *path, lf_key_id id, const cJSON *was, const cJSON *now, const char *advice,
                               lf_err *err) {
    const values v = values_of(id, was, now);
    const lf_status rc = lf_fail(err, LF_EUSAGE, "%.300s: cannot resume: key '%s' was %.150s and is %.150s; %s", path,
                                 lf_key_name(id), text_of(v.was), text_of(v.now), advice);
    free_values(v);
    return rc;
}

/* ---- a run that is finished ---- */

lf_status lf_cfg_check_finished(const lf_config *cfg, const cJSON *was, const char *dir, lf_key_id *longer,
                                lf_err *err) {
    *longer = LF_NO_KEY;
    cJSON *now = lf_cfg_to_json(cfg);
    lf_status rc = now ? LF_OK : lf_no_memory(err, "%s", dir);
    for (lf_key_id id = LF_NO_KEY; !rc && (id = lf_key_next(id, ~0u));) {
        change c;
        if ((rc = compare(&c, cfg, id, was, now, err))) break;
        if (c == CHANGE_LONGER) *longer = id;
        if (c == CHANGE_FORM || c >= CHANGE_LESS) rc = refuse_finished(dir, id, was, now, err);
    }
    cJSON_Delete(now);
    return rc;
}

/* ---- a run that goes on ---- */

static bool put_copy(cJSON *o, const char *name, const cJSON *value) {
    cJSON *copy = value ? cJSON_Duplicate(value, true) : cJSON_CreateNull();
    if (copy && cJSON_AddItemToObject(o, name, copy)) return true;
    cJSON_Delete(copy);
    return false;
}

static lf_status record(cJSON *segments, const char *path, int64_t step, lf_key_id id, const cJSON *was,
                        const cJSON *now, lf_err *err) {
    cJSON *o = cJSON_CreateObject();
    if (cJSON_AddNumberToObject(o, "from_step", (double)step) && cJSON_AddStringToObject(o, "key", lf_key_name(id)) &&
        put_copy(o, "old", member(was, id)) && put_copy(o, "new", member(now, id)) && cJSON_AddItemToArray(segments, o))
        return LF_OK;
    cJSON_Delete(o);
    return lf_no_memory(err, "%s", path);
}

static lf_status machine_changed(const lf_config *cfg, const char *path, lf_key_id id, const cJSON *was,
                                 const cJSON *now, lf_err *err) {
    if (!lf_cfg_bool(cfg, LF_force_resume))
        return refuse_resume(path, id, was, now, "set force_resume to go on all the same", err);
    lf_warn("%s: '%s' is another: the result will not be that of an uninterrupted run", path, lf_key_name(id));
    return LF_OK;
}

lf_status lf_cfg_check_resume(const lf_config *cfg, const cJSON *was, const cJSON *now, const char *path, int64_t step,
                              cJSON *segments, lf_err *err) {
    lf_status rc = LF_OK;
    for (lf_key_id id = LF_NO_KEY; !rc && (id = lf_key_next(id, ~0u));) {
        change c;
        if ((rc = compare(&c, cfg, id, was, now, err)) || c <= CHANGE_FORM) continue;
        if (c == CHANGE_MACHINE) rc = machine_changed(cfg, path, id, was, now, err);
        if (c == CHANGE_LESS)
            rc = refuse_resume(path, id, was, now,
                               "a run that goes on can only have more of it; choose another output_dir", err);
        if (c == CHANGE_OTHER)
            rc = refuse_resume(path, id, was, now, "ask for what it was, or begin again with another output_dir", err);
        if (!rc) rc = record(segments, path, step, id, was, now, err);
    }
    return rc;
}

void lf_cfg_say_segments(const cJSON *segments, int from, const char *path) {
    for (int i = from; i < cJSON_GetArraySize(segments); i++) {
        const cJSON *o = cJSON_GetArrayItem(segments, i), *was = cJSON_GetObjectItemCaseSensitive(o, "old"),
                    *now = cJSON_GetObjectItemCaseSensitive(o, "new");
        const values v = {cJSON_IsNull(was) ? NULL : lf_json_print_line(was),
                          cJSON_IsNull(now) ? NULL : lf_json_print_line(now)};
        lf_info("%s: from step %.0f on, %s is %.150s, which was %.150s", path,
                cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(o, "from_step")),
                cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "key")), text_of(v.now), text_of(v.was));
        free_values(v);
    }
}
