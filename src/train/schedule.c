#include "train/schedule.h"

#include <math.h>
#include <string.h>

static double linear(double progress) { return 1 - progress; }
static double cosine(double progress) { return 0.5 * (1 + cos(3.14159265358979323846 * progress)); }
static double constant(double progress) { return (void)progress, 1; }

static const struct {
    const char *name;
    double (*factor)(double);
    bool warms_up;
} schedules[] = {{"linear", linear, true},
                 {"cosine", cosine, true},
                 {"constant", constant, false},
                 {"constant_with_warmup", constant, true}};

lf_status lf_schedule_read(lf_schedule *s, const lf_config *cfg, int64_t total, lf_err *err) {
    const char *name = lf_cfg_str(cfg, LF_lr_scheduler_type);
    const double steps = lf_cfg_f64(cfg, LF_warmup_steps), ratio = lf_cfg_f64(cfg, LF_warmup_ratio);
    *s = (lf_schedule){.total = total};
    for (size_t i = 0; i < sizeof schedules / sizeof schedules[0]; i++) {
        if (strcmp(schedules[i].name, name) != 0) continue;
        s->factor = schedules[i].factor;
        const double share = ratio > 0 ? ratio : steps < 1 ? steps : 0;
        s->warmup = share > 0 ? (int64_t)ceil(share * (double)total) : (int64_t)steps;
        if (!schedules[i].warms_up) s->warmup = 0;
        return LF_OK;
    }
    return lf_cfg_fail(cfg, LF_lr_scheduler_type, err, "there is no schedule '%s'", name);
}

void lf_schedule_stretch(lf_schedule *s, const lf_config *cfg, int64_t planned) {
    if (planned <= 0 || s->total == planned || lf_cfg_f64(cfg, LF_warmup_steps) < 1) return;
    s->warmup = (int64_t)ceil((double)s->warmup * ((double)s->total / (double)planned));
}

double lf_schedule_factor(const lf_schedule *s, int64_t step) {
    if (step < s->warmup) return (double)step / (double)s->warmup;
    const int64_t rest = s->total - s->warmup;
    const double progress = rest > 0 ? (double)(step - s->warmup) / (double)rest : 1;
    return s->factor(progress < 1 ? progress : 1);
}
