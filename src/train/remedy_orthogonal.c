/* weight times the sum, over the earlier adapters and the modules that they share with this one, of |A E^T|^2: the rows
 * of this A against the rows E of an earlier one, whose span is what that task's update listens to (O-LoRA, arXiv
 * 2310.14152). E is as it was exported: of a slice [A; A - A0], which spans what its dW listens to. */
#include <string.h>

#include "base/mem.h"
#include "train/remedies.h"

double lf_orthogonal_penalty(const lf_earlier_rows *earlier, int64_t n, double weight, double by) {
    double sum = 0;
    for (int64_t e = 0; e < n; e++) {
        lf_lora *l = earlier[e].module->lora;
        const float *A = l->A.data, *E = earlier[e].A;
        const int64_t in = l->A.numel / l->r;
        for (int64_t j = 0; j < l->r; j++)
            for (int64_t k = 0; k < earlier[e].R; k++) {
                double product = 0;
                for (int64_t i = 0; i < in; i++) product += (double)A[j * in + i] * (double)E[k * in + i];
                sum += product * product;
                const double c = 2 * by * weight * product;
                for (int64_t i = 0; by != 0 && i < in; i++)
                    ((float *)l->A.grad)[j * in + i] += (float)(c * (double)E[k * in + i]);
            }
    }
    return weight * sum;
}

/* ---- the remedy ---- */

typedef struct orthogonal {
    lf_earlier_rows *rows;
    int64_t n, room;
    double weight;
} orthogonal;

static lf_status check(const lf_run *run, lf_err *err) {
    const char *name;
    const lf_init *init = lf_init_of(lf_cfg_json(run->cfg, LF_init_lora_weights), &name);
    const lf_status rc = lf_remedy_needs_factors(run, LF_orthogonal_weight, err);
    if (rc) return rc;
    if (!lf_cfg_is_set(run->cfg, LF_earlier_adapters))
        return lf_cfg_fail(run->cfg, LF_orthogonal_weight, err,
                           "needs 'earlier_adapters', the folders of those that this one is to be orthogonal to");
    if (init && init->form == LF_FORM_SUBTRACTED && !lf_cfg_is_set(run->cfg, LF_continue_from))
        return lf_cfg_fail(run->cfg, LF_orthogonal_weight, err,
                           "is a term of A, which init_lora_weights %s starts at components of the weight that are "
                           "subtracted again: A is then no direction of dW; choose a start with B = 0 (true, eva)",
                           name);
    return LF_OK;
}

static void close(void *state) {
    orthogonal *o = state;
    for (int64_t i = 0; i < o->n; i++) lf_free(o->rows[i].A);
    lf_free(o->rows);
    lf_free(o);
}

static lf_status take_rows(orthogonal *o, lf_module *m, const lf_adapter_file *f, lf_err *err) {
    lf_earlier_rows rows = {.module = m};
    const lf_status rc = lf_adapter_file_A(&rows.A, &rows.R, f, m, err);
    if (rc || !rows.A) return rc;
    if (lf_grow(&o->rows, &o->room, o->n + 1)) {
        o->rows[o->n++] = rows;
        return LF_OK;
    }
    lf_free(rows.A);
    return lf_no_memory(err, "the earlier adapters");
}

static lf_status take_adapter(void *state, char hash[33], const lf_run *run, const char *dir, lf_err *err) {
    orthogonal *o = state;
    lf_adapter_file *f = NULL;
    const int64_t before = o->n;
    lf_status rc = lf_adapter_open(&f, dir, err);
    if (!rc) rc = lf_adapter_file_hash(f, hash, err);
    for (int64_t i = 0; !rc && i < lf_adapter_count(run->adapter); i++)
        rc = take_rows(o, lf_adapter_module(run->adapter, i), f, err);
    if (!rc && o->n == before)
        rc = lf_cfg_fail(run->cfg, LF_earlier_adapters, err,
                         "'%s' is on none of the modules that this adapter is on; leave it out", dir);
    lf_adapter_close(f);
    return rc;
}

static lf_status open(void **state, char **hash, const lf_run *run, lf_err *err) {
    orthogonal *o = *state = lf_calloc(1, sizeof *o);
    if (!o) return lf_no_memory(err, "a remedy");
    o->weight = lf_cfg_f64(run->cfg, LF_orthogonal_weight);
    return lf_remedy_take_places(o, hash, run, LF_earlier_adapters, take_adapter, err);
}

static double penalty(void *state, const lf_run *run, double by) {
    const orthogonal *o = state;
    (void)run;
    return lf_orthogonal_penalty(o->rows, o->n, o->weight, by);
}

const lf_remedy_type lf_remedy_orthogonal = {
    .check = check, .open = open, .close = close, .penalty = penalty, .files = LF_earlier_adapters};
