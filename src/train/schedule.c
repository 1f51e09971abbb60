#include "train/schedule.h"

#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/slice.h"

static const double PI = 3.14159265358979323846, LR_END = 1e-7;

/* ---- the schedules: transformers' formulas, by their names for things ---- */

static double given(const lf_schedule *s, lf_schedule_setting setting, double otherwise) {
    return isnan(s->settings[setting]) ? otherwise : s->settings[setting];
}

/* How far a step is from the end of the warmup (0) to the end of all (1). */
static double progress_of(const lf_schedule *s, int64_t step) {
    const int64_t rest = s->total - s->warmup;
    const double progress = rest > 0 ? (double)(step - s->warmup) / (double)rest : 1;
    return progress < 1 ? progress : 1;
}

static double wave(double cycles, double progress) { return 0.5 * (1 + cos(PI * (cycles * 2) * progress)); }

static double linear(const lf_schedule *s, int64_t step) { return 1 - progress_of(s, step); }

static double constant(const lf_schedule *s, int64_t step) { return (void)s, (void)step, 1; }

static double cosine(const lf_schedule *s, int64_t step) {
    return wave(given(s, LF_NUM_CYCLES, 0.5), progress_of(s, step));
}

static double cosine_with_min_lr(const lf_schedule *s, int64_t step) {
    const double least = given(s, LF_MIN_LR_RATE, s->peak > 0 ? s->settings[LF_MIN_LR] / s->peak : 0);
    return cosine(s, step) * (1 - least) + least;
}

static double cosine_with_restarts(const lf_schedule *s, int64_t step) {
    const double progress = progress_of(s, step);
    return progress < 1 ? wave(0.5, fmod(given(s, LF_NUM_CYCLES, 1) * progress, 1)) : 0;
}

static double polynomial(const lf_schedule *s, int64_t step) {
    const double end = given(s, LF_LR_END, LR_END), left = 1 - progress_of(s, step);
    return ((s->peak - end) * pow(left, given(s, LF_POWER, 1)) + end) / s->peak;
}

static double inverse_sqrt(const lf_schedule *s, int64_t step) {
    const double scale = given(s, LF_TIMESCALE, s->warmup > 0 ? (double)s->warmup : 10000);
    return 1 / sqrt(((double)(step - s->warmup) + scale) / scale);
}

enum { DECAY_COSINE, DECAY_LINEAR, DECAY_SQRT };
static const char *const decays[] = {"cosine", "linear", "1-sqrt", NULL};

/* Without num_decay_steps, which transformers asks for, the last tenth; below 1 it is a share, as of the warmup. */
static double warmup_stable_decay(const lf_schedule *s, int64_t step) {
    const double asked = given(s, LF_NUM_DECAY_STEPS, 0.1), least = given(s, LF_MIN_LR_RATIO, 0),
                 decay = asked < 1 ? ceil(asked * (double)s->total) : asked,
                 stable = given(s, LF_NUM_STABLE_STEPS, fmax(0, (double)(s->total - s->warmup) - decay)),
                 behind = (double)(step - s->warmup) - stable, progress = behind / fmax(1, decay);
    if (behind < 0) return 1;
    if (behind >= decay) return least;
    double factor = 0;
    switch ((int)given(s, LF_DECAY_TYPE, DECAY_COSINE)) {
    case DECAY_COSINE: factor = wave(given(s, LF_NUM_CYCLES, 0.5), progress); break;
    case DECAY_LINEAR: factor = 1 - progress; break;
    case DECAY_SQRT: factor = 1 - sqrt(progress); break;
    }
    return factor * (1 - least) + least;
}

static double plateau(const lf_schedule *s, int64_t step) { return (void)step, s->plateau.factor; }

#define HAS(setting) (1u << LF_##setting)
static const struct {
    const char *name;
    double (*factor)(const lf_schedule *s, int64_t step);
    bool warms_up;
    unsigned has, needs; /* settings that it reads; of these it needs one */
} schedules[] = {
    {"linear", linear, true, 0, 0},
    {"cosine", cosine, true, HAS(NUM_CYCLES), 0},
    {"cosine_with_min_lr", cosine_with_min_lr, true, HAS(NUM_CYCLES) | HAS(MIN_LR) | HAS(MIN_LR_RATE),
     HAS(MIN_LR) | HAS(MIN_LR_RATE)},
    {"cosine_with_restarts", cosine_with_restarts, true, HAS(NUM_CYCLES), 0},
    {"polynomial", polynomial, true, HAS(POWER) | HAS(LR_END), 0},
    {"inverse_sqrt", inverse_sqrt, true, HAS(TIMESCALE), 0},
    {"warmup_stable_decay", warmup_stable_decay, true,
     HAS(NUM_DECAY_STEPS) | HAS(NUM_STABLE_STEPS) | HAS(DECAY_TYPE) | HAS(MIN_LR_RATIO) | HAS(NUM_CYCLES), 0},
    {"constant", constant, false, 0, 0},
    {"constant_with_warmup", constant, true, 0, 0},
    {"reduce_lr_on_plateau", plateau, false,
     HAS(FACTOR) | HAS(PATIENCE) | HAS(THRESHOLD) | HAS(THRESHOLD_MODE) | HAS(COOLDOWN) | HAS(MIN_LR) | HAS(EPS) |
         HAS(MODE),
     0},
};

/* ---- reading ---- */

enum { REL, ABS };
enum { LESS_IS_BETTER, MORE_IS_BETTER };
static const char *const threshold_modes[] = {"rel", "abs", NULL}, *const modes[] = {"min", "max", NULL};

static const struct {
    const char *name;
    double least, most;
    bool above; /* `least` itself is not one of them */
    bool whole;
    const char *const *words; /* a word instead of a number: its place; NULL behind the last */
} settings[LF_SCHEDULE_SETTINGS] = {
    [LF_NUM_CYCLES] = {.name = "num_cycles", .most = 1e6, .above = true},
    [LF_MIN_LR] = {.name = "min_lr", .most = 1e6},
    [LF_MIN_LR_RATE] = {.name = "min_lr_rate", .most = 1},
    [LF_POWER] = {.name = "power", .most = 100, .above = true},
    [LF_LR_END] = {.name = "lr_end", .most = 1e6},
    [LF_TIMESCALE] = {.name = "timescale", .most = 1e12, .above = true},
    [LF_NUM_DECAY_STEPS] = {.name = "num_decay_steps", .most = 1e12, .above = true},
    [LF_NUM_STABLE_STEPS] = {.name = "num_stable_steps", .most = 1e12},
    [LF_DECAY_TYPE] = {.name = "decay_type", .words = decays},
    [LF_MIN_LR_RATIO] = {.name = "min_lr_ratio", .most = 1},
    [LF_FACTOR] = {.name = "factor", .most = 0.999999},
    [LF_PATIENCE] = {.name = "patience", .most = 1e9, .whole = true},
    [LF_THRESHOLD] = {.name = "threshold", .most = 1e9},
    [LF_THRESHOLD_MODE] = {.name = "threshold_mode", .words = threshold_modes},
    [LF_COOLDOWN] = {.name = "cooldown", .most = 1e9, .whole = true},
    [LF_EPS] = {.name = "eps", .most = 1e6},
    [LF_MODE] = {.name = "mode", .words = modes},
};

static lf_status read_word(double *out, const lf_config *cfg, int setting, const cJSON *value, lf_err *err) {
    const char *text = cJSON_GetStringValue(value), *const *words = settings[setting].words;
    char list[64] = "";
    for (int i = 0; words[i]; i++) {
        *out = i;
        if (text && strcmp(text, words[i]) == 0) return LF_OK;
        lf_list_append(list, sizeof list, words[i]);
    }
    return lf_cfg_fail(cfg, LF_lr_scheduler_kwargs, err, "'%s': expected one of %s", settings[setting].name, list);
}

static lf_status read_number(double *out, const lf_config *cfg, int setting, const cJSON *value, lf_err *err) {
    const double x = cJSON_IsNumber(value) ? value->valuedouble : NAN, least = settings[setting].least;
    *out = x;
    const bool whole = settings[setting].whole;
    if ((settings[setting].above ? x > least : x >= least) && x <= settings[setting].most && (!whole || x == floor(x)))
        return LF_OK;
    return lf_cfg_fail(cfg, LF_lr_scheduler_kwargs, err, "'%s': expected a %snumber %s %g, at most %g",
                       settings[setting].name, whole ? "whole " : "", settings[setting].above ? "above" : "from", least,
                       settings[setting].most);
}

/* "'a', 'b'" of these settings */
static void name_settings(char *out, size_t size, unsigned which) {
    size_t used = 0;
    snprintf(out, size, "none");
    for (int i = 0; i < LF_SCHEDULE_SETTINGS; i++)
        if (which >> i & 1 && used < size)
            used += (size_t)snprintf(out + used, size - used, "%s'%s'", used ? ", " : "", settings[i].name);
}

static lf_status read_setting(lf_schedule *s, unsigned *found, const lf_config *cfg, size_t schedule,
                              const cJSON *value, lf_err *err) {
    int i = 0;
    while (i < LF_SCHEDULE_SETTINGS && strcmp(settings[i].name, value->string) != 0) i++;
    char names[256];
    name_settings(names, sizeof names, schedules[schedule].has);
    if (i == LF_SCHEDULE_SETTINGS || !(schedules[schedule].has >> i & 1))
        return lf_cfg_fail(cfg, LF_lr_scheduler_kwargs, err,
                           "'%.64s' is no setting of lr_scheduler_type %s, which has %s", value->string,
                           schedules[schedule].name, names);
    *found |= 1u << i;
    return (settings[i].words ? read_word : read_number)(&s->settings[i], cfg, i, value, err);
}

static lf_status read_settings(lf_schedule *s, const lf_config *cfg, size_t schedule, lf_err *err) {
    const cJSON *value, *all = lf_cfg_json(cfg, LF_lr_scheduler_kwargs);
    const unsigned needs = schedules[schedule].needs;
    unsigned found = 0;
    lf_status rc = LF_OK;
    for (int i = 0; i < LF_SCHEDULE_SETTINGS; i++) s->settings[i] = NAN;
    cJSON_ArrayForEach(value, all) if (!rc) rc = read_setting(s, &found, cfg, schedule, value, err);
    if (!rc && (schedules[schedule].has & HAS(LR_END)) && given(s, LF_LR_END, LR_END) >= s->peak)
        return lf_cfg_fail(cfg, LF_lr_scheduler_type, err,
                           "%s ends at lr_end, %g, which is not below learning_rate, %g", schedules[schedule].name,
                           given(s, LF_LR_END, LR_END), s->peak);
    if (!rc && s->settings[LF_MIN_LR] > s->peak)
        return lf_cfg_fail(cfg, LF_lr_scheduler_kwargs, err, "'min_lr' %g is above learning_rate %g",
                           s->settings[LF_MIN_LR], s->peak);
    if (rc || !needs) return rc;
    const unsigned both = found & needs;
    char names[256];
    name_settings(names, sizeof names, needs);
    if (!both)
        return lf_cfg_fail(cfg, LF_lr_scheduler_type, err, "%s needs one of %s in lr_scheduler_kwargs",
                           schedules[schedule].name, names);
    if (both & (both - 1)) return lf_cfg_fail(cfg, LF_lr_scheduler_kwargs, err, "give one of %s", names);
    return LF_OK;
}

lf_status lf_schedule_read(lf_schedule *s, const lf_config *cfg, int64_t total, lf_err *err) {
    const char *name = lf_cfg_str(cfg, LF_lr_scheduler_type);
    const double steps = lf_cfg_f64(cfg, LF_warmup_steps), ratio = lf_cfg_f64(cfg, LF_warmup_ratio);
    *s = (lf_schedule){.total = total, .peak = lf_cfg_f64(cfg, LF_learning_rate)};
    for (size_t i = 0; i < sizeof schedules / sizeof schedules[0]; i++) {
        if (strcmp(schedules[i].name, name) != 0) continue;
        s->factor = schedules[i].factor;
        s->watches = schedules[i].factor == plateau;
        s->plateau = s->watches ? (lf_plateau){.factor = 1, .best = NAN} : (lf_plateau){NAN, NAN, NAN, NAN};
        const double share = ratio > 0 ? ratio : steps < 1 ? steps : 0;
        s->warmup = share > 0 ? (int64_t)ceil(share * (double)total) : (int64_t)steps;
        if (!schedules[i].warms_up) s->warmup = 0;
        return read_settings(s, cfg, i, err);
    }
    return lf_cfg_fail(cfg, LF_lr_scheduler_type, err, "there is no schedule '%s'", name);
}

bool lf_schedule_agrees(const lf_schedule *s, bool less_is_better) {
    return given(s, LF_MODE, less_is_better ? LESS_IS_BETTER : MORE_IS_BETTER) ==
           (less_is_better ? LESS_IS_BETTER : MORE_IS_BETTER);
}

lf_status lf_schedule_check(const lf_config *cfg, lf_err *err) {
    lf_schedule s;
    return lf_schedule_read(&s, cfg, 1, err);
}

void lf_schedule_stretch(lf_schedule *s, const lf_config *cfg, int64_t planned) {
    if (planned <= 0 || s->total == planned || lf_cfg_f64(cfg, LF_warmup_steps) < 1) return;
    s->warmup = (int64_t)ceil((double)s->warmup * ((double)s->total / (double)planned));
}

double lf_schedule_factor(const lf_schedule *s, int64_t step) {
    if (step >= s->warmup) return s->factor(s, step);
    const double from = given(s, LF_MIN_LR_RATIO, 0); /* warmup_stable_decay rises from where it ends */
    return (double)step / (double)s->warmup * (1 - from) + from;
}

/* ---- what watches ---- */

static bool is_better(const lf_schedule *s, double found, bool less_is_better) {
    const double best = s->plateau.best, least = given(s, LF_THRESHOLD, 1e-4),
                 by = given(s, LF_THRESHOLD_MODE, REL) == REL ? best * least : least;
    return isnan(best) ? !isnan(found) : less_is_better ? found < best - by : found > best + by;
}

bool lf_schedule_note(lf_schedule *s, double found, bool less_is_better) {
    lf_plateau *p = &s->plateau;
    if (is_better(s, found, less_is_better)) {
        p->best = found;
        p->bad = 0;
    } else
        p->bad++;
    if (p->rest > 0) {
        p->rest--;
        p->bad = 0;
    }
    if (p->bad <= given(s, LF_PATIENCE, 10)) return false;
    const double rate = s->peak * p->factor, lower = fmax(rate * given(s, LF_FACTOR, 0.1), given(s, LF_MIN_LR, 0));
    p->rest = given(s, LF_COOLDOWN, 0);
    p->bad = 0;
    if (!(rate - lower > given(s, LF_EPS, 1e-8))) return false;
    p->factor = lower / s->peak;
    return true;
}
