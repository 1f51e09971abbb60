#include <math.h>

#include "task/source.h"

void lf_kept_base_free(lf_kept_base *kept) {
    lf_forgetting_free(kept->forgetting);
    lf_base_rows_free(&kept->rows);
    *kept = (lf_kept_base){0};
}

static bool is_of_text(const lf_task *t) { return lf_task_base_output(t) != LF_CLASSES; }

static lf_status take_rows(lf_base_rows *rows, lf_task *t, lf_err *err) {
    lf_examples *e;
    const lf_status rc = t->source->examples(t, LF_DATA_BASE, &e, err);
    return rc ? rc : lf_base_rows_take(rows, t->model, t->g, e, err);
}

lf_status lf_task_keep_base(lf_kept_base *out, lf_task *t, lf_err *err) {
    *out = (lf_kept_base){.forgetting = t->forgetting[LF_DATA_BASE]};
    t->forgetting[LF_DATA_BASE] = NULL;
    return out->forgetting && is_of_text(t) ? take_rows(&out->rows, t, err) : LF_OK;
}

lf_status lf_task_kept_kl(double *out, const lf_kept_base *kept, lf_task *t, lf_err *err) {
    const lf_forgetting *now = t->forgetting[LF_DATA_BASE];
    *out = NAN;
    if (!kept->forgetting || !now) return LF_OK;
    *out = lf_forgetting_kl(now, kept->forgetting);
    if (!is_of_text(t)) return LF_OK;
    lf_base_rows rows;
    const lf_status rc = take_rows(&rows, t, err);
    if (!rc) *out = lf_base_rows_kl(&rows, &kept->rows);
    lf_base_rows_free(&rows);
    return rc;
}
