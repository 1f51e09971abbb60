#include "train/optimizer.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

static const lf_optimizer_type *const types[] = {
#define LF_OPTIMIZER(name) &lf_optimizer_##name,
#include "train/optimizers.def"
#undef LF_OPTIMIZER
};

lf_status lf_optimizer_init(lf_optimizer *o, const lf_kernels *k, lf_trainable *list, int64_t count,
                            const lf_config *cfg, lf_err *err) {
    const char *name = lf_cfg_str(cfg, LF_optim);
    *o = (lf_optimizer){.learning_rate = lf_cfg_f64(cfg, LF_learning_rate),
                        .weight_decay = lf_cfg_f64(cfg, LF_weight_decay)};
    o->head_learning_rate =
        lf_cfg_is_set(cfg, LF_head_learning_rate) ? lf_cfg_f64(cfg, LF_head_learning_rate) : o->learning_rate;
    o->b_ratio = lf_cfg_is_set(cfg, LF_loraplus_lr_ratio) ? lf_cfg_f64(cfg, LF_loraplus_lr_ratio) : 0;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i]->name, name) == 0) o->type = types[i];
    if (!o->type) return lf_cfg_fail(cfg, LF_optim, err, "there is no optimiser '%s'", name);
    o->type->read(o, cfg);
    return lf_optimizer_hold(o, k, list, count, err);
}

int64_t lf_optimizer_moment_size(const lf_optimizer *o, const lf_tensor *t, int moment) {
    return o->type->moment_size ? o->type->moment_size(t, moment) : t->numel;
}

lf_status lf_optimizer_hold(lf_optimizer *o, const lf_kernels *k, lf_trainable *list, int64_t count, lf_err *err) {
    o->k = k;
    o->list = list;
    o->count = count;
    for (int64_t i = 0; i < count; i++) o->numbers += list[i].tensor->numel;
    while (o->n_moments < LF_MOMENTS_MOST && o->type->moments[o->n_moments]) o->n_moments++;
    for (int m = 0; m < o->n_moments; m++) {
        int64_t n = 0;
        for (int64_t i = 0; i < count; i++) n += lf_optimizer_moment_size(o, list[i].tensor, m);
        o->moments[m] = lf_aligned_alloc((size_t)n * sizeof **o->moments);
        if (!o->moments[m]) {
            lf_optimizer_free(o);
            return lf_no_memory(err, "the optimiser's state (%lld numbers)", (long long)n);
        }
        memset(o->moments[m], 0, (size_t)n * sizeof **o->moments);
    }
    return LF_OK;
}

void lf_optimizer_free(lf_optimizer *o) {
    for (int i = 0; i < LF_MOMENTS_MOST; i++) {
        lf_aligned_free(o->moments[i]);
        o->moments[i] = NULL;
    }
}

void lf_optimizer_clear_gradients(lf_optimizer *o) {
    for (int64_t i = 0; i < o->count; i++) o->k->wide->fill(o->list[i].tensor->grad, 0, o->list[i].tensor->numel);
}

double lf_optimizer_gradient_norm(const lf_optimizer *o, double scale) {
    double sum = 0;
    for (int64_t i = 0; i < o->count; i++) sum += o->k->sum_squares(o->list[i].tensor->grad, o->list[i].tensor->numel);
    return sqrt(sum) * scale;
}

/* PEFT's loraplus_lr_embedding, as it is unless it is given. */
static const double LORAPLUS_EMBEDDING_RATE = 1e-6;

/* The peak rate of one tensor. LoRA+ (Hayou et al. 2024) has a larger one for B and, in PEFT's version, for all that is
 * no matrix; and one of its own for an embedding's adapter. */
static double rate_of(const lf_optimizer *o, const lf_trainable *t) {
    if (o->b_ratio > 0 && t->of_embedding) return LORAPLUS_EMBEDDING_RATE;
    const double rate = t->is_head ? o->head_learning_rate : o->learning_rate;
    return o->b_ratio > 0 && (t->is_B || t->tensor->ndim == 1) ? o->b_ratio * rate : rate;
}

void lf_optimizer_step(lf_optimizer *o, double factor, double gradient_scale) {
    float *moments[LF_MOMENTS_MOST] = {NULL};
    o->steps++;
    for (int m = 0; m < o->n_moments; m++) moments[m] = o->moments[m];
    for (int64_t i = 0; i < o->count; i++) {
        const lf_trainable *t = &o->list[i];
        const lf_optimizer_step_of s = {.learning_rate = factor * rate_of(o, t),
                                        .weight_decay = t->decays ? o->weight_decay : 0,
                                        .gradient_scale = gradient_scale,
                                        .number = o->steps};
        o->type->step(o, t->tensor, moments, &s);
        for (int m = 0; m < o->n_moments; m++) moments[m] += lf_optimizer_moment_size(o, t->tensor, m);
    }
}
