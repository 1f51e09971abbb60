/* Stochastic gradient descent with momentum, as torch.optim.SGD; the decay is part of the gradient. */
#include "train/optimizer.h"

static void read(lf_optimizer *o, const lf_config *cfg) { o->beta1 = lf_cfg_f64(cfg, LF_momentum); }

static void step(const lf_optimizer *o, lf_tensor *t, float *const moments[LF_MOMENTS_MOST],
                 const lf_optimizer_step_of *s) {
    o->k->sgd(t->data, moments[0], t->grad, t->numel, s->learning_rate, o->beta1, s->weight_decay, s->gradient_scale,
              s->number == 1);
}

const lf_optimizer_type lf_optimizer_sgd = {.name = "sgd", .moments = {"exp_avg"}, .read = read, .step = step};
