/* The verbs train and eval for a program: watched, and with results as numbers. */
#include <string.h>

#include "library/call.h"
#include "library/figures.h"
#include "tools/common.h"
#include "train/run.h"

static lf_status check_verb(const lf_config *cfg, const char *verb, const char *function, lf_err *err) {
    if (!strcmp(lf_cfg_verb(cfg), verb)) return LF_OK;
    return lf_fail(err, LF_EUSAGE, "%s: expected a configuration of '%s', found one of '%s'", function, verb,
                   lf_cfg_verb(cfg));
}

/* What was kept becomes figures, where they are wanted. */
static lf_status hand_out(lf_figures **figures, lf_outlet *kept, lf_status rc, lf_err *err) {
    if (!rc && figures) rc = lf_figures_of(figures, kept->kept, err);
    cJSON_Delete(kept->kept);
    return rc;
}

lf_status lf_train_watched(const lf_config *cfg, lf_watch *watch, void *context, lf_figures **figures, lf_err *err) {
    lf_watcher watcher = {.watch = watch, .context = context};
    lf_outlet kept = {0};
    if (figures) *figures = NULL;
    lf_status rc = check_verb(cfg, "train", __func__, err);
    if (rc || (rc = lf_call_begin(err))) return rc;
    if (!(rc = lf_config_check_outputs(cfg, err))) rc = lf_train_to(cfg, &kept, watch ? &watcher : NULL, err);
    return hand_out(figures, &kept, lf_call_end(rc), err);
}

lf_status lf_eval_figures(const lf_config *cfg, lf_figures **figures, lf_err *err) {
    lf_outlet kept = {0};
    if (figures) *figures = NULL;
    lf_status rc = check_verb(cfg, "eval", __func__, err);
    if (rc || (rc = lf_call_begin(err))) return rc;
    if (!(rc = lf_config_check_outputs(cfg, err))) rc = lf_eval_to(cfg, &kept, err);
    return hand_out(figures, &kept, lf_call_end(rc), err);
}
