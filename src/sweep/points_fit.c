/* per_device_train_batch_size auto in a sweep: found once, for all points, of which as many run at once as there are
 * jobs. Points with other batches would be compared for that, too. */
#include "adapter/adapter.h"
#include "base/json.h"
#include "base/log.h"
#include "sweep/points.h"
#include "train/fitting.h"

/* Every value of a that is no draw and no rate is in b. */
static bool has_all(const cJSON *b, const cJSON *a) {
    const cJSON *value;
    cJSON_ArrayForEach(value, a) {
        bool same = false;
        if (lf_key_traits(value->string) & (LF_IS_DRAW | LF_IS_RATE)) continue;
        const cJSON *other = cJSON_GetObjectItemCaseSensitive(b, value->string);
        if (!other || !lf_json_same(&same, value, other) || !same) return false;
    }
    return true;
}

/* An earlier point takes as much memory. */
static bool is_like_another(const lf_points *p, int64_t i) {
    for (int64_t k = 0; k < i; k++)
        if (has_all(p->at[k].values, p->at[i].values) && has_all(p->at[i].values, p->at[k].values)) return true;
    return false;
}

lf_status lf_point_bare(lf_config **out, const lf_points *p, const lf_point *at, lf_err *err) {
    lf_config *own = NULL;
    lf_status rc = lf_cfg_derive(&own, p->cfg, at->kind->verb, err);
    for (const cJSON *value = at->values->child; value && !rc; value = value->next)
        rc = lf_cfg_set_json(own, value->string, value, "the sweep", err);
    if (!rc) rc = lf_cfg_set_taken(own, "output_dir", cJSON_CreateString(at->run_dir), "the sweep", err);
    if (!rc) rc = lf_cfg_set_taken(own, "threads", cJSON_CreateNumber(p->threads), "the sweep", err);
    if (!rc) rc = lf_cfg_set_taken(own, "resume_from_checkpoint", cJSON_CreateTrue(), "the sweep", err);
    if (!rc) rc = lf_adapter_take_settings(own, err);
    *out = own;
    return rc;
}

static lf_status find(int64_t *most, const lf_points *p, const lf_point *at, int64_t jobs, lf_err *err) {
    lf_config *own;
    lf_status rc = lf_point_bare(&own, p, at, err);
    if (!rc && !(rc = lf_config_finish(own, err))) rc = lf_fitting_find(most, own, jobs, err);
    lf_config_free(own);
    return rc;
}

static lf_status find_least(lf_points *p, int64_t jobs, lf_err *err) {
    for (int64_t i = 0; i < p->n; i++) {
        int64_t most;
        if (!lf_fitting_is_asked(p->at[i].cfg) || is_like_another(p, i)) continue;
        const lf_status rc = find(&most, p, &p->at[i], jobs, err);
        if (rc) return rc;
        if (!p->fits || most < p->fits) p->fits = most;
    }
    return LF_OK;
}

lf_status lf_points_fit(lf_points *p, const cJSON *before, int64_t jobs, lf_err *err) {
    bool asked = false;
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < p->n; i++) {
        if (!lf_fitting_is_asked(p->at[i].cfg)) continue;
        if (!p->at[i].kind->fits)
            return lf_cfg_fail(p->cfg, LF_per_device_train_batch_size, err,
                               "auto: is not found for a sweep of sequences; give a number");
        asked = true;
    }
    if (!asked) return LF_OK;
    if (before) rc = lf_json_get_i64(before, "examples_at_once", p->fits, &p->fits, "sweep.json", err);
    if (!rc && !p->fits) rc = find_least(p, jobs, err);
    for (int64_t i = 0; i < p->n && !rc; i++)
        if (lf_fitting_is_asked(p->at[i].cfg)) rc = lf_fitting_settle(p->at[i].cfg, p->fits, err);
    return rc;
}
