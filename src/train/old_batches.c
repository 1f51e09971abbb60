#include "train/old_batches.h"

#include <math.h>

lf_status lf_old_batch(lf_old_batches *o, const lf_run *run, int64_t number, const lf_example_batch **out,
                       lf_err *err) {
    const lf_source_type *source = run->task->source;
    lf_status rc = LF_OK;
    *out = NULL;
    if (!o->started) rc = source->start(run->task, o->role, number / o->each, number % o->each, (lf_portion){0}, err);
    o->started = true;
    while (!rc) {
        if (!o->early && (rc = source->next(run->task, o->role, &o->early, err))) break;
        const int64_t at = o->early->epoch * o->each + o->early->number;
        if (at > number) break;
        if (at == number) *out = o->early;
        o->early = NULL;
        if (*out) break;
    }
    return rc;
}

uint64_t lf_old_pass(lf_remedy_id id, int64_t micro) {
    static const uint64_t first[LF_N_REMEDIES] = {
        [LF_REMEDY_replay] = UINT64_C(1) << 48, [LF_REMEDY_kl] = UINT64_C(2) << 48};
    return first[id] + (uint64_t)micro;
}

lf_status lf_old_learn(lf_run *run, lf_tensor *loss, double by, const char *what, double *value, lf_err *err) {
    float found;
    const lf_status rc = lf_graph_status(run->g, err);
    if (rc) return rc;
    run->k->to_f32(&found, loss->data, 1);
    *value = (double)found;
    if (!isfinite(found))
        return lf_fail(err, LF_EDIVERGED, "step %lld: %s is %g; try a lower learning_rate",
                       (long long)run->progress.step + 1, what, (double)found);
    return lf_graph_backward(run->g, loss, by, err);
}
