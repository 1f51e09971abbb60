/* AdamW and SGD over a list of trained tensors; the moments live in one block. */
#ifndef LF_TRAIN_OPTIMIZER_H
#define LF_TRAIN_OPTIMIZER_H

#include "config/config.h"
#include "nn/nn.h"

typedef struct lf_optimizer {
    const lf_kernels *k;
    lf_trainable *list; /* borrowed */
    int64_t count, numbers;
    float *moments[2]; /* numbers each, in list order; [1] NULL for SGD */
    int n_moments;
    int64_t steps; /* done so far */
    double learning_rate, head_learning_rate, weight_decay, beta1, beta2, epsilon, momentum;
    double b_ratio; /* loraplus_lr_ratio: of B and of what is no matrix; 0: as the others */
} lf_optimizer;

/* As a configuration of `train` says. */
lf_status lf_optimizer_init(lf_optimizer *o, const lf_kernels *k, lf_trainable *list, int64_t count,
                            const lf_config *cfg, lf_err *err);
/* For rates, decays and n_moments that the caller has set: takes the list and makes the moments. */
lf_status lf_optimizer_hold(lf_optimizer *o, const lf_kernels *k, lf_trainable *list, int64_t count, lf_err *err);
void lf_optimizer_free(lf_optimizer *o);
void lf_optimizer_clear_gradients(lf_optimizer *o);
/* Norm of all gradients times `scale`; NaN or Inf travels. */
double lf_optimizer_gradient_norm(const lf_optimizer *o, double scale);
/* One step at `factor` times the peak rates; gradients are multiplied by gradient_scale first. */
void lf_optimizer_step(lf_optimizer *o, double factor, double gradient_scale);

#endif
