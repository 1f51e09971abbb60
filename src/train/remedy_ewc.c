/* Elastic weight consolidation (arXiv 1612.00796) on what is trained: weight / 2 times the sum of F (x - x*)^2 over the
 * numbers x of each earlier run, x* what they ended with, F the diagonal of the empirical Fisher information there. A
 * run with ewc_samples writes both into fisher.safetensors; a later one, which goes on with the same numbers, reads
 * them. */
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/string.h"
#include "train/fisher.h"
#include "train/remedies.h"

double lf_ewc_penalty(const lf_anchor *anchors, int64_t n, double weight, double by) {
    double sum = 0;
    for (int64_t a = 0; a < n; a++) {
        const float *x = anchors[a].tensor->data, *was = anchors[a].value, *F = anchors[a].fisher;
        float *grad = anchors[a].tensor->grad;
        for (int64_t i = 0; i < anchors[a].n; i++) {
            const double moved = (double)x[i] - (double)was[i], pull = (double)F[i] * moved;
            sum += pull * moved;
            grad[i] += (float)(by * weight * pull);
        }
    }
    return weight / 2 * sum;
}

/* ---- the remedy ---- */

typedef struct ewc {
    lf_anchor *anchors;
    int64_t n, room;
    double weight;
} ewc;

static lf_status check(const lf_run *run, lf_err *err) {
    if (!lf_cfg_is_set(run->cfg, LF_ewc_from))
        return lf_cfg_fail(run->cfg, LF_ewc_weight, err,
                           "needs 'ewc_from', the folders of earlier runs that were trained with ewc_samples");
    if (run->method == LF_METHOD_LORA && !lf_cfg_is_set(run->cfg, LF_continue_from))
        return lf_cfg_fail(run->cfg, LF_ewc_weight, err,
                           "holds the numbers of an adapter where an earlier run left them: needs 'continue_from', the "
                           "adapter of the last of these runs (a new one beside it has other numbers)");
    return LF_OK;
}

static void close(void *state) {
    ewc *e = state;
    for (int64_t i = 0; i < e->n; i++) lf_free(e->anchors[i].value);
    lf_free(e->anchors);
    lf_free(e);
}

/* A head may have got further classes since, whose rows are the last. */
static bool fits(const lf_trainable *t, const lf_st_tensor *was) {
    return was->numel == t->tensor->numel || (t->is_head && was->numel < t->tensor->numel);
}

static lf_status take_tensor(ewc *e, const lf_trainable *t, const lf_safetensors *st, lf_err *err) {
    const lf_st_tensor *F, *value;
    const lf_status rc = lf_fisher_find(&F, &value, st, t->name, err);
    if (rc || !F) return rc;
    if (!fits(t, F))
        return lf_fail(err, LF_EUSAGE,
                       "%s: '%s' has %lld numbers there and %lld here; go on with the adapter of that run "
                       "(continue_from), or leave ewc_from out",
                       lf_safetensors_path(st), t->name, (long long)F->numel, (long long)t->tensor->numel);
    float *both = lf_malloc((size_t)(2 * F->numel) * sizeof *both);
    if (!both || !lf_grow(&e->anchors, &e->room, e->n + 1)) {
        lf_free(both);
        return lf_no_memory(err, "the Fisher information of '%s'", t->name);
    }
    memcpy(both, value->data, (size_t)F->numel * sizeof *both);
    memcpy(both + F->numel, F->data, (size_t)F->numel * sizeof *both);
    e->anchors[e->n++] = (lf_anchor){.tensor = t->tensor, .value = both, .fisher = both + F->numel, .n = F->numel};
    return LF_OK;
}

static lf_status take_run(void *state, char hash[33], const lf_run *run, const char *place, lf_err *err) {
    ewc *e = state;
    lf_safetensors *st = NULL;
    char *path = lf_is_dir(place) ? lf_path_join(place, LF_FISHER_FILE) : lf_strdup(place);
    const int64_t before = e->n;
    lf_status rc = path ? lf_safetensors_open(&st, path, err) : lf_no_memory(err, "%s", place);
    if (!rc) rc = lf_safetensors_hash(st, hash, err);
    for (int64_t i = 0; !rc && i < run->n_trainables; i++) rc = take_tensor(e, &run->trainables[i], st, err);
    if (!rc && e->n == before)
        rc = lf_cfg_fail(run->cfg, LF_ewc_from, err, "'%s' holds none of the tensors that are trained here", path);
    lf_safetensors_close(st);
    lf_free(path);
    return rc;
}

static lf_status open(void **state, char **hash, const lf_run *run, lf_err *err) {
    ewc *e = *state = lf_calloc(1, sizeof *e);
    if (!e) return lf_no_memory(err, "a remedy");
    e->weight = lf_cfg_f64(run->cfg, LF_ewc_weight);
    return lf_remedy_take_places(e, hash, run, LF_ewc_from, take_run, err);
}

static double penalty(void *state, const lf_run *run, double by) {
    const ewc *e = state;
    (void)run;
    return lf_ewc_penalty(e->anchors, e->n, e->weight, by);
}

const lf_remedy_type lf_remedy_ewc = {
    .check = check, .open = open, .close = close, .penalty = penalty, .files = LF_ewc_from};
