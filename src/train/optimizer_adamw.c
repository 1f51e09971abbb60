/* AdamW (Loshchilov and Hutter 2019), as torch.optim.AdamW. */
#include <math.h>

#include "train/optimizer.h"

static void read(lf_optimizer *o, const lf_config *cfg) {
    o->beta1 = lf_cfg_f64(cfg, LF_adam_beta1);
    o->beta2 = lf_cfg_f64(cfg, LF_adam_beta2);
    o->epsilon = lf_cfg_f64(cfg, LF_adam_epsilon);
}

static void step(const lf_optimizer *o, lf_tensor *t, float *const moments[LF_MOMENTS_MOST],
                 const lf_optimizer_step_of *s) {
    const lf_adamw_step a = {.learning_rate = s->learning_rate,
                             .beta1 = o->beta1,
                             .beta2 = o->beta2,
                             .epsilon = o->epsilon,
                             .weight_decay = s->weight_decay,
                             .correction1 = 1 - pow(o->beta1, (double)s->number),
                             .correction2 = 1 - pow(o->beta2, (double)s->number),
                             .gradient_scale = s->gradient_scale};
    o->k->adamw(t->data, moments[0], moments[1], t->grad, t->numel, &a);
}

const lf_optimizer_type lf_optimizer_adamw = {
    .name = "adamw", .moments = {"exp_avg", "exp_avg_sq"}, .read = read, .step = step};
