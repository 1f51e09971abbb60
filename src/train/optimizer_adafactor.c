/* Adafactor (Shazeer and Stern 2018) as transformers' Trainer takes it: learning_rate is the rate itself (neither
 * scale_parameter nor relative_step), there is no first moment, and the rest has transformers' defaults. Of the squares
 * of a matrix the means of its rows and columns are kept; what has more dimensions is many matrices. */
#include <math.h>

#include "train/optimizer.h"

static const double EPSILON = 1e-30, THRESHOLD = 1, DECAY = -0.8;

enum { ROW, COL, VECTOR };

typedef struct shape {
    int64_t matrices, rows, cols;
} shape;

static shape shape_of(const lf_tensor *t) {
    shape s = {1, t->shape[t->ndim - 2], t->shape[t->ndim - 1]};
    for (int i = 0; i < t->ndim - 2; i++) s.matrices *= t->shape[i];
    return s;
}

static int64_t moment_size(const lf_tensor *t, int moment) {
    if (t->ndim < 2) return moment == VECTOR ? t->numel : 0;
    const shape s = shape_of(t);
    return moment == ROW ? s.matrices * s.rows : moment == COL ? s.matrices * s.cols : 0;
}

static void read(lf_optimizer *o, const lf_config *cfg) {
    (void)cfg;
    o->epsilon = EPSILON;
}

static void step(const lf_optimizer *o, lf_tensor *t, float *const moments[LF_MOMENTS_MOST],
                 const lf_optimizer_step_of *s) {
    const lf_adafactor_step a = {.learning_rate = s->learning_rate,
                                 .weight_decay = s->weight_decay,
                                 .gradient_scale = s->gradient_scale,
                                 .keep = 1 - pow((double)s->number, DECAY),
                                 .epsilon = o->epsilon,
                                 .threshold = THRESHOLD};
    if (t->ndim < 2) {
        o->k->adafactor_vector(t->data, moments[VECTOR], t->grad, t->numel, &a);
        return;
    }
    const shape m = shape_of(t);
    o->k->adafactor(t->data, moments[ROW], moments[COL], t->grad, m.matrices, m.rows, m.cols, &a);
}

const lf_optimizer_type lf_optimizer_adafactor = {.name = "adafactor",
                                                  .moments = {"exp_avg_sq_row", "exp_avg_sq_col", "exp_avg_sq"},
                                                  .moment_size = moment_size,
                                                  .read = read,
                                                  .step = step};
