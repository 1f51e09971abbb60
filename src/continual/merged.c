#include "continual/merged.h"

#include <string.h>

static const struct {
    lf_key_id key;
    const char *why;
} refused[] = {
    {LF_use_dora, "magnitudes (DoRA) are no factors that add up"},
    {LF_added_tokens, "tokens are added by one adapter alone, and there is one a task"},
    {LF_class_embeddings, "the merged model has a head of its own"},
    {LF_start_from, "what a task starts from is the way's own"},
};
enum { N_REFUSED = sizeof refused / sizeof *refused };

/* A key that is set, and not to false or nothing. */
static bool is_asked(const lf_config *cfg, lf_key_id key) {
    if (key == LF_use_dora) return lf_cfg_bool(cfg, key);
    return lf_cfg_is_given(cfg, key);
}

lf_status lf_merged_check(const lf_plan *p, int64_t task, lf_err *err) {
    const lf_config *cfg = p->tasks[task].cfg;
    const char *way = p->between->name;
    for (int i = 0; i < N_REFUSED; i++)
        if (is_asked(cfg, refused[i].key))
            return lf_cfg_fail(cfg, refused[i].key, err, "with between %s: %s; leave it out, or take between keep", way,
                               refused[i].why);
    if (strcmp(lf_cfg_str(cfg, LF_method), "lora") != 0)
        return lf_cfg_fail(cfg, LF_method, err, "with between %s adapters are merged; expected lora, found %s", way,
                           lf_cfg_str(cfg, LF_method));
    if (lf_cfg_f64(cfg, LF_kl_weight) > 0 && strcmp(lf_cfg_str(p->cfg, LF_kl_reference), "previous") != 0)
        return lf_cfg_fail(cfg, LF_kl_weight, err,
                           "with between %s a task's base is the merged model, not the untouched one; give "
                           "kl_reference previous to keep to that, or take between keep",
                           way);
    if (lf_cfg_selects_by_forgetting(cfg))
        return lf_cfg_fail(cfg, LF_metric_for_best_model, err,
                           "with between %s a run does not know what the untouched base knew; choose by another", way);
    return LF_OK;
}

/* The base's data are judged afterwards, on the base. */
static const lf_key_id of_base[] = {LF_forgetting_data, LF_forgetting_eval_data, LF_max_forgetting_samples,
                                    LF_forgetting_knn, LF_base_cache};

lf_status lf_merged_begin(const lf_plan *p, int64_t run, lf_err *err) {
    lf_config *cfg = p->runs[run].cfg;
    if (run == 0) return LF_OK;
    lf_status rc = LF_OK;
    for (size_t i = 0; i < sizeof of_base / sizeof *of_base && !rc; i++) rc = lf_cfg_unset(cfg, of_base[i], err);
    if (!rc) rc = lf_plan_set(cfg, LF_model, cJSON_CreateString(p->runs[run - 1].model), err);
    if (!rc && p->tasks[run].output == LF_CLASSES && !p->own_heads)
        rc = lf_plan_set(cfg, LF_reuse_head, cJSON_CreateTrue(), err);
    return rc;
}
