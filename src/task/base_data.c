/* The data of the task that the model knew before: those that forgetting is reported on, and, where it chooses, those
 * that it chooses on. */
#include <string.h>

#include "base/log.h"
#include "task/source.h"

lf_key_id lf_task_base_key(const lf_task *t, lf_data_role role) {
    return role == LF_DATA_BASE_EVAL && !t->base_is_halved ? LF_forgetting_eval_data : LF_forgetting_data;
}

/* One half that is too small says so here, where it is known why it is one. */
static lf_status halve(lf_task *t, lf_err *err) {
    lf_err why = {0};
    const int64_t n = t->source->count(t, LF_DATA_BASE);
    t->base_is_halved = true;
    const lf_status rc = t->source->split_data(t, LF_DATA_BASE, LF_DATA_BASE_EVAL, 0.5, &why);
    if (!rc) return LF_OK;
    return lf_fail(err, rc,
                   "key 'forgetting_data': of its %lld examples one half is to choose and the other to report on "
                   "(give forgetting_eval_data to choose on others): %s",
                   (long long)n, why.message);
}

/* ---- data that choose, and data that report ---- */

lf_status lf_task_hold_same(const lf_task *t, lf_data_role a, lf_data_role b, bool *same, lf_err *err) {
    lf_fingerprint x = {.hash = ""}, y = {.hash = ""};
    lf_status rc = t->source->fingerprint(t, a, &x, err);
    if (!rc) rc = t->source->fingerprint(t, b, &y, err);
    *same = !rc && strcmp(x.hash, y.hash) == 0;
    return rc;
}

/* Two names of one file would be no two halves. */
static lf_status check_other_files(const lf_task *t, lf_err *err) {
    bool same;
    const lf_status rc = lf_task_hold_same(t, LF_DATA_BASE, LF_DATA_BASE_EVAL, &same, err);
    if (rc || !same) return rc;
    return lf_cfg_fail(t->cfg, LF_forgetting_eval_data, err,
                       "holds the same as forgetting_data, and what is chosen on some data is not reported on them; "
                       "leave it out (then one half of forgetting_data chooses), or give others");
}

/* What the base is judged by is one thing: by labels, or by the words of texts. */
static lf_status check_same_kind(const lf_task *t, lf_err *err) {
    lf_data_labels l;
    const bool reports = t->source->labels(t, LF_DATA_BASE, &l), chooses = t->source->labels(t, LF_DATA_BASE_EVAL, &l);
    if (reports == chooses) return LF_OK;
    return lf_cfg_fail(t->cfg, LF_forgetting_eval_data, err, "its examples have %s, and those of forgetting_data %s",
                       chooses ? "labels" : "none", reports ? "have" : "have not");
}

static lf_status open(lf_task *t, lf_data_role role, lf_key_id key, const char *split, lf_err *err) {
    const lf_data_from from = {.key = key, .split = split, .limit = LF_max_forgetting_samples};
    return t->source->open_data(t, role, &from, err);
}

lf_status lf_task_open_base(lf_task *t, bool choosing, lf_err *err) {
    lf_status rc = open(t, LF_DATA_BASE, LF_forgetting_data, "test", err);
    if (rc || !choosing) return rc;
    if (!lf_cfg_is_set(t->cfg, LF_forgetting_eval_data)) return halve(t, err);
    if ((rc = open(t, LF_DATA_BASE_EVAL, LF_forgetting_eval_data, "val", err)) || (rc = check_other_files(t, err)))
        return rc;
    return check_same_kind(t, err);
}
