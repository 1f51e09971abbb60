#include "continual/earlier.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "continual/between.h"
#include "continual/specs.h"

static lf_status train_data(cJSON **out, const lf_plan *p, int64_t n, lf_err *err) {
    return lf_specs_join(out, p, LF_train_data, n, err);
}

static lf_status list(cJSON **out, const lf_plan *p, int64_t n, bool adapters, lf_err *err) {
    lf_obj o = lf_list_new();
    for (int64_t i = 0; i < n; i++) lf_list_string(&o, adapters ? p->runs[i].own : p->runs[i].dir);
    *out = lf_obj_take(&o);
    return *out ? LF_OK : lf_no_memory(err, "the earlier tasks");
}

static lf_status own_adapters(cJSON **out, const lf_plan *p, int64_t n, lf_err *err) {
    return list(out, p, n, true, err);
}
static lf_status folders(cJSON **out, const lf_plan *p, int64_t n, lf_err *err) { return list(out, p, n, false, err); }

static const struct {
    lf_key_id weight, from;
    lf_status (*give)(cJSON **out, const lf_plan *p, int64_t n, lf_err *err); /* of the first n tasks */
} given[] = {
    {LF_replay_ratio, LF_replay_data, train_data},
    {LF_orthogonal_weight, LF_earlier_adapters, own_adapters},
    {LF_ewc_weight, LF_ewc_from, folders},
};
enum { N_GIVEN = sizeof given / sizeof *given };

static lf_status give(const lf_plan *p, int64_t run, int i, lf_err *err) {
    lf_config *cfg = p->runs[run].cfg;
    cJSON *value = NULL;
    if (lf_cfg_f64(cfg, given[i].weight) <= 0 || lf_cfg_is_given(cfg, given[i].from)) return LF_OK;
    if (run == 0 || !p->between->one_head) {
        lf_info("%s: nothing stands before '%s', which is trained without it", lf_key_name(given[i].weight),
                p->runs[run].name);
        return lf_cfg_unset(cfg, given[i].weight, err);
    }
    lf_status rc = given[i].give(&value, p, run, err);
    if (!rc) rc = lf_cfg_set_json(cfg, lf_key_name(given[i].from), value, "the sequence", err);
    cJSON_Delete(value);
    return rc;
}

lf_status lf_earlier_give(const lf_plan *p, int64_t run, lf_err *err) {
    lf_status rc = LF_OK;
    for (int i = 0; i < N_GIVEN && !rc; i++) rc = give(p, run, i, err);
    return rc;
}
