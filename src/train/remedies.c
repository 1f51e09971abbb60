#include "train/remedies.h"

#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

static const struct {
    const char *name;
    lf_key_id weight;
    const lf_remedy_type *type;
} remedies[LF_N_REMEDIES] = {
#define LF_REMEDY(name, weight) {#name, LF_##weight, &lf_remedy_##name},
#include "train/remedies.def"
#undef LF_REMEDY
};

bool lf_remedy_is_asked(const lf_config *cfg, lf_remedy_id id) { return lf_cfg_f64(cfg, remedies[id].weight) > 0; }

/* ---- a run's ---- */

lf_status lf_remedies_check(const lf_run *run, lf_err *err) {
    lf_status rc = LF_OK;
    for (int i = 0; i < LF_N_REMEDIES && !rc; i++)
        if (lf_remedy_is_asked(run->cfg, (lf_remedy_id)i)) rc = remedies[i].type->check(run, err);
    return rc;
}

/* Those with examples of their own. */
static bool has_data(const lf_run *run, int id) {
    return remedies[id].type->data != LF_NO_KEY && lf_remedy_is_asked(run->cfg, (lf_remedy_id)id);
}

lf_status lf_remedies_open_data(lf_run *run, lf_err *err) {
    lf_status rc = LF_OK;
    for (int i = 0; i < LF_N_REMEDIES && !rc; i++) {
        const lf_remedy_type *r = remedies[i].type;
        if (!has_data(run, i)) continue;
        lf_data_from from = {.key = r->data, .split = "train", .limit = r->most};
        if (r->place) rc = r->place(run, &from, err);
        if (!rc) rc = run->task->source->open_data(run->task, r->role, &from, err);
        if (!rc && r->fits) rc = r->fits(run, err);
    }
    return rc;
}

lf_status lf_remedies_plan(lf_run *run, lf_err *err) {
    lf_status rc = LF_OK;
    for (int i = 0; i < LF_N_REMEDIES && !rc; i++)
        if (has_data(run, i))
            rc = run->task->source->plan(run->task, remedies[i].type->role, remedies[i].type->rows(run),
                                         &run->remedy_batches[i], err);
    return rc;
}

double lf_remedies_kept_bytes(const lf_run *run, lf_data_role role) {
    double bytes = 0;
    for (int i = 0; i < LF_N_REMEDIES; i++)
        if (run->remedies[i] && remedies[i].type->kept_bytes && remedies[i].type->role == role)
            bytes += remedies[i].type->kept_bytes(run->remedies[i]);
    return bytes;
}

lf_status lf_remedies_open(lf_run *run, lf_err *err) {
    lf_status rc = LF_OK;
    for (int i = 0; i < LF_N_REMEDIES && !rc; i++)
        if (lf_remedy_is_asked(run->cfg, (lf_remedy_id)i))
            rc = remedies[i].type->open(&run->remedies[i], &run->remedy_hash[i], run, err);
    return rc;
}

void lf_remedies_close(lf_run *run) {
    for (int i = 0; i < LF_N_REMEDIES; i++) {
        if (run->remedies[i]) remedies[i].type->close(run->remedies[i]);
        run->remedies[i] = NULL;
        lf_free(run->remedy_hash[i]);
        run->remedy_hash[i] = NULL;
    }
}

lf_status lf_remedies_learn(lf_run *run, int64_t micro, lf_window *w, bool *data_failed, lf_err *err) {
    lf_status rc = LF_OK;
    for (int i = 0; i < LF_N_REMEDIES && !rc; i++)
        if (run->remedies[i] && remedies[i].type->learn)
            rc = remedies[i].type->learn(run->remedies[i], run, micro, w, data_failed, err);
    return rc;
}

double lf_remedies_targets(const lf_window *w) {
    int64_t n = 0;
    for (int i = 0; i < LF_N_REMEDIES; i++)
        if (remedies[i].type->counts) n += w->terms[i].count;
    return w->weight + (double)n;
}

void lf_remedies_penalise(lf_run *run, double targets) {
    for (int i = 0; i < LF_N_REMEDIES; i++) {
        if (!run->remedies[i] || !remedies[i].type->penalty) continue;
        lf_term *term = &run->progress.since_log.terms[i];
        term->sum += remedies[i].type->penalty(run->remedies[i], run, targets);
        term->count++;
    }
}

/* ---- what they read ---- */

bool lf_remedies_put_hashes(cJSON *o, const lf_run *run) {
    bool ok = true;
    for (int i = 0; i < LF_N_REMEDIES && ok; i++)
        if (run->remedy_hash[i])
            ok = cJSON_AddStringToObject(o, lf_key_name(remedies[i].type->files), run->remedy_hash[i]) != NULL;
    return ok;
}

lf_status lf_remedies_check_hashes(const lf_run *run, const cJSON *was, const char *path, lf_err *err) {
    for (int i = 0; i < LF_N_REMEDIES; i++) {
        const char *now = run->remedy_hash[i], *name = now ? lf_key_name(remedies[i].type->files) : NULL,
                   *then = now ? cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(was, name)) : NULL;
        if (now && (!then || strcmp(now, then) != 0))
            return lf_fail(
                err, LF_EUSAGE,
                "%s: the files of '%s' hold other bytes than when the run began (their hash was %.40s and is "
                "%.40s); put back what they were, or begin again with another output_dir",
                path, name, then ? then : "not recorded", now);
    }
    return LF_OK;
}

/* ---- what is written of them ---- */

void lf_terms_log(lf_obj *row, const lf_term terms[LF_N_REMEDIES]) {
    for (int i = 0; i < LF_N_REMEDIES; i++)
        if (terms[i].count) lf_obj_number(row, remedies[i].name, terms[i].sum / (double)terms[i].count);
}

void lf_remedies_put(lf_obj *o, const lf_config *cfg) {
    for (int i = 0; i < LF_N_REMEDIES; i++)
        if (lf_remedy_is_asked(cfg, (lf_remedy_id)i))
            lf_obj_number(o, lf_key_name(remedies[i].weight), lf_cfg_f64(cfg, remedies[i].weight));
}

#define TERMS "terms_since_log"

bool lf_terms_put(cJSON *counters, const lf_term terms[LF_N_REMEDIES]) {
    lf_obj all = lf_obj_new();
    bool any = false;
    for (int i = 0; i < LF_N_REMEDIES; i++) {
        if (!terms[i].count) continue;
        lf_obj one = lf_obj_new();
        lf_obj_number(&one, "sum", terms[i].sum);
        lf_obj_number(&one, "count", (double)terms[i].count);
        lf_obj_put(&all, remedies[i].name, lf_obj_take(&one));
        any = true;
    }
    cJSON *o = lf_obj_take(&all);
    if (o && any && cJSON_AddItemToObject(counters, TERMS, o)) return true;
    cJSON_Delete(o);
    return o && !any;
}

lf_status lf_terms_read(lf_term terms[LF_N_REMEDIES], const cJSON *counters, const char *path, lf_err *err) {
    const cJSON *all = cJSON_GetObjectItemCaseSensitive(counters, TERMS);
    for (int i = 0; i < LF_N_REMEDIES; i++) {
        const cJSON *one = cJSON_GetObjectItemCaseSensitive(all, remedies[i].name);
        lf_status rc;
        terms[i] = (lf_term){0};
        if (!one) continue;
        if ((rc = lf_json_get_f64(one, "sum", NAN, &terms[i].sum, path, err)) ||
            (rc = lf_json_get_i64(one, "count", 0, &terms[i].count, path, err)))
            return rc;
        if (!isfinite(terms[i].sum) || terms[i].count < 0)
            return lf_fail(err, LF_EDATA, "%s: key '" TERMS "': '%s' is no sum; take an older checkpoint", path,
                           remedies[i].name);
    }
    return LF_OK;
}
