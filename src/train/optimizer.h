/* Optimisers over a list of trained tensors. One is a file, optimizer_<name>.c, and a line in optimizers.def; what it
 * remembers from step to step, its moments, stands in blocks here, and in checkpoints. */
#ifndef LF_TRAIN_OPTIMIZER_H
#define LF_TRAIN_OPTIMIZER_H

#include "config/config.h"
#include "nn/nn.h"

enum { LF_MOMENTS_MOST = 3 };

typedef struct lf_optimizer_type lf_optimizer_type;

typedef struct lf_optimizer {
    const lf_optimizer_type *type;
    const lf_kernels *k;
    lf_trainable *list; /* borrowed */
    int64_t count, numbers;
    float *moments[LF_MOMENTS_MOST]; /* those of each tensor one behind the other, in list order */
    int n_moments;
    int64_t steps; /* done so far */
    double learning_rate, head_learning_rate, weight_decay;
    double beta1, beta2, epsilon; /* as the type reads them; beta1 of sgd is its momentum */
    double b_ratio;               /* loraplus_lr_ratio: of B and of what is no matrix; 0: as the others */
} lf_optimizer;

/* A step of one tensor. */
typedef struct lf_optimizer_step_of {
    double learning_rate, weight_decay, gradient_scale;
    int64_t number; /* of the step, from 1 */
} lf_optimizer_step_of;

struct lf_optimizer_type {
    const char *name;                     /* the value of `optim` */
    const char *moments[LF_MOMENTS_MOST]; /* their names in checkpoints; NULL behind the last */
    /* Numbers of a moment for a tensor; 0: that has none of it. NULL: as many as the tensor has. */
    int64_t (*moment_size)(const lf_tensor *t, int moment);
    void (*read)(lf_optimizer *o, const lf_config *cfg); /* its own settings */
    void (*step)(const lf_optimizer *o, lf_tensor *t, float *const moments[LF_MOMENTS_MOST],
                 const lf_optimizer_step_of *s);
};

#define LF_OPTIMIZER(name) extern const lf_optimizer_type lf_optimizer_##name;
#include "train/optimizers.def"
#undef LF_OPTIMIZER

/* As a configuration of `train` says. */
lf_status lf_optimizer_init(lf_optimizer *o, const lf_kernels *k, lf_trainable *list, int64_t count,
                            const lf_config *cfg, lf_err *err);
/* For a type, rates and settings that the caller has set: takes the list and makes the moments. */
lf_status lf_optimizer_hold(lf_optimizer *o, const lf_kernels *k, lf_trainable *list, int64_t count, lf_err *err);
void lf_optimizer_free(lf_optimizer *o);
/* Numbers of a moment that a tensor has. */
int64_t lf_optimizer_moment_size(const lf_optimizer *o, const lf_tensor *t, int moment);
void lf_optimizer_clear_gradients(lf_optimizer *o);
/* Norm of all gradients times `scale`; NaN or Inf travels. */
double lf_optimizer_gradient_norm(const lf_optimizer *o, double scale);
/* One step at `factor` times the peak rates; gradients are multiplied by gradient_scale first. */
void lf_optimizer_step(lf_optimizer *o, double factor, double gradient_scale);

#endif
