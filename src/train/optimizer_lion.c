/* Lion (Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", algorithm 2): a step of the learning rate's
 * length in the direction of each number's sign. */
#include "train/optimizer.h"

static void read(lf_optimizer *o, const lf_config *cfg) {
    o->beta1 = lf_cfg_f64(cfg, LF_lion_beta1);
    o->beta2 = lf_cfg_f64(cfg, LF_lion_beta2);
}

static void step(const lf_optimizer *o, lf_tensor *t, float *const moments[LF_MOMENTS_MOST],
                 const lf_optimizer_step_of *s) {
    o->k->lion(t->data, moments[0], t->grad, t->numel, s->learning_rate, o->beta1, o->beta2, s->weight_decay,
               s->gradient_scale);
}

const lf_optimizer_type lf_optimizer_lion = {.name = "lion", .moments = {"exp_avg"}, .read = read, .step = step};
