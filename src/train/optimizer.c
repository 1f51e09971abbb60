#include "train/optimizer.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

lf_status lf_optimizer_init(lf_optimizer *o, const lf_kernels *k, lf_trainable *list, int64_t count,
                            const lf_config *cfg, lf_err *err) {
    *o = (lf_optimizer){.n_moments = strcmp(lf_cfg_str(cfg, LF_optim), "sgd") == 0 ? 1 : 2,
                        .learning_rate = lf_cfg_f64(cfg, LF_learning_rate),
                        .weight_decay = lf_cfg_f64(cfg, LF_weight_decay),
                        .beta1 = lf_cfg_f64(cfg, LF_adam_beta1),
                        .beta2 = lf_cfg_f64(cfg, LF_adam_beta2),
                        .epsilon = lf_cfg_f64(cfg, LF_adam_epsilon),
                        .momentum = lf_cfg_f64(cfg, LF_momentum)};
    o->head_learning_rate =
        lf_cfg_is_set(cfg, LF_head_learning_rate) ? lf_cfg_f64(cfg, LF_head_learning_rate) : o->learning_rate;
    o->b_ratio = lf_cfg_is_set(cfg, LF_loraplus_lr_ratio) ? lf_cfg_f64(cfg, LF_loraplus_lr_ratio) : 0;
    return lf_optimizer_hold(o, k, list, count, err);
}

lf_status lf_optimizer_hold(lf_optimizer *o, const lf_kernels *k, lf_trainable *list, int64_t count, lf_err *err) {
    o->k = k;
    o->list = list;
    o->count = count;
    for (int64_t i = 0; i < count; i++) o->numbers += list[i].tensor->numel;
    for (int i = 0; i < o->n_moments; i++) {
        o->moments[i] = lf_aligned_alloc((size_t)o->numbers * sizeof **o->moments);
        if (!o->moments[i]) {
            lf_optimizer_free(o);
            return lf_no_memory(err, "the optimiser's state (%lld numbers)", (long long)o->numbers);
        }
        memset(o->moments[i], 0, (size_t)o->numbers * sizeof **o->moments);
    }
    return LF_OK;
}

void lf_optimizer_free(lf_optimizer *o) {
    for (int i = 0; i < 2; i++) {
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
    const bool first = o->steps == 0;
    o->steps++;
    lf_adamw_step a = {.beta1 = o->beta1,
                       .beta2 = o->beta2,
                       .epsilon = o->epsilon,
                       .gradient_scale = gradient_scale,
                       .correction1 = 1 - pow(o->beta1, (double)o->steps),
                       .correction2 = 1 - pow(o->beta2, (double)o->steps)};
    int64_t at = 0;
    for (int64_t i = 0; i < o->count; i++) {
        const lf_trainable *t = &o->list[i];
        a.learning_rate = factor * rate_of(o, t);
        a.weight_decay = t->decays ? o->weight_decay : 0;
        if (o->n_moments == 2)
            o->k->adamw(t->tensor->data, o->moments[0] + at, o->moments[1] + at, t->tensor->grad, t->tensor->numel, &a);
        else
            o->k->sgd(t->tensor->data, o->moments[0] + at, t->tensor->grad, t->tensor->numel, a.learning_rate,
                      o->momentum, a.weight_decay, gradient_scale, first);
        at += t->tensor->numel;
    }
}
