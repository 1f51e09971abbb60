/* What one key alone cannot tell: required keys, and keys that must fit together. */
#include <math.h>
#include <string.h>

#include "base/hub.h"
#include "base/log.h"
#include "base/slice.h"
#include "config/config_internal.h"

static bool is(const lf_config *cfg, lf_key_id key, const char *text) {
    const char *value = lf_cfg_str(cfg, key);
    return value && strcmp(value, text) == 0;
}

/* At least one of the keys must be set. */
/* How much is said, from here on. */
static lf_status take_level(const lf_config *cfg, lf_err *err) {
    const bool quiet = lf_cfg_bool(cfg, LF_quiet), verbose = lf_cfg_bool(cfg, LF_verbose);
    if (quiet && verbose) return lf_cfg_fail(cfg, LF_quiet, err, "and verbose contradict each other; leave one out");
    if (quiet) lf_log_set_level(LF_LOG_WARN);
    if (verbose) lf_log_set_level(LF_LOG_DETAIL);
    return LF_OK;
}

/* What eval and predict are asked about they require themselves: a session (lora_ft.h) is opened by their keys without
 * it.
 */
static const struct {
    unsigned verbs;
    lf_key_id keys[3]; /* one of them; LF_NO_KEY, which is 0, where there are fewer */
} required[] = {
    {LF_V_train | LF_V_preview, {LF_model, LF_init_model}},
    {LF_V_eval | LF_V_predict | LF_V_merge | LF_V_bench | LF_V_generate | LF_V_spectrum, {LF_model}},
    {LF_V_inspect, {LF_model, LF_adapter, LF_paths}},
    {LF_V_train | LF_V_preview, {LF_train_data}},
    {LF_V_rewind, {LF_model}},
    {LF_V_rewind, {LF_adapter}},
    {LF_V_rewind, {LF_data}},
    {LF_V_rewind, {LF_forgetting_data}},
    {LF_V_merge | LF_V_convert, {LF_adapter}},
    {LF_V_train | LF_V_merge | LF_V_convert | LF_V_sweep | LF_V_continual, {LF_output_dir}},
    {LF_V_continual, {LF_model}},
    {LF_V_continual, {LF_tasks}},
    {LF_V_sweep, {LF_sweep}},
    {LF_V_report, {LF_run}},
    {LF_V_verify, {LF_paths}},
};

/* "'model', 'adapter' or 'paths'" */
static void name_keys(char *text, size_t size, const lf_key_id keys[3]) {
    size_t used = 0;
    for (int i = 0; i < 3 && (!i || keys[i]) && used < size; i++) {
        const bool last = i && (i == 2 || !keys[i + 1]);
        used += (size_t)snprintf(text + used, size - used, "%s'%s'",
                                 !i     ? ""
                                 : last ? " or "
                                        : ", ",
                                 lf_key_name(keys[i]));
    }
}

static lf_status check_required(const lf_config *cfg, lf_err *err) {
    for (size_t i = 0; i < sizeof required / sizeof *required; i++) {
        const lf_key_id *keys = required[i].keys;
        bool given = !(required[i].verbs & cfg->verb->bit);
        for (int k = 0; k < 3; k++) given = given || ((!k || keys[k]) && lf_cfg_is_set(cfg, keys[k]));
        if (given) continue;
        char names[120];
        name_keys(names, sizeof names, keys);
        return lf_fail(err, LF_EUSAGE, "key %s is required; write --%s VALUE", names, lf_key_name(keys[0]));
    }
    return LF_OK;
}

static lf_status check_start(const lf_config *cfg, lf_err *err) {
    if (!lf_cfg_is_set(cfg, LF_init_model)) return LF_OK;
    if (lf_cfg_is_set(cfg, LF_model))
        return lf_cfg_fail(cfg, LF_init_model, err, "'model' is given too; a run starts from one of the two");
    if (!is(cfg, LF_method, "full"))
        return lf_cfg_fail(cfg, LF_init_model, err, "random weights need --method full, found '%s'",
                           lf_cfg_str(cfg, LF_method));
    return LF_OK;
}

static lf_status check_length(const lf_config *cfg, lf_err *err) {
    if (lf_cfg_i64(cfg, LF_max_steps) > 0 || lf_cfg_f64(cfg, LF_num_train_epochs) > 0) return LF_OK;
    return lf_cfg_fail(cfg, LF_num_train_epochs, err,
                       "expected more than 0 (or max_steps more than 0): nothing would be trained");
}

static lf_status check_warmup(const lf_config *cfg, lf_err *err) {
    const double steps = lf_cfg_f64(cfg, LF_warmup_steps);
    if (steps > 0 && lf_cfg_f64(cfg, LF_warmup_ratio) > 0)
        return lf_cfg_fail(cfg, LF_warmup_ratio, err, "'warmup_steps' is given too; keep one of the two");
    if (steps >= 1 && steps != floor(steps))
        return lf_cfg_fail(cfg, LF_warmup_steps, err,
                           "expected a whole number of steps, or a share below 1, found %.9g", steps);
    return LF_OK;
}

static lf_status check_validation(const lf_config *cfg, lf_err *err) {
    if (lf_cfg_f64(cfg, LF_train_val_split) > 0 && lf_cfg_is_set(cfg, LF_eval_data))
        return lf_cfg_fail(cfg, LF_train_val_split, err, "'eval_data' is given too; keep one of the two");
    return LF_OK;
}

static int64_t eval_interval(const lf_config *cfg) {
    return lf_cfg_i64(cfg, lf_cfg_is_set(cfg, LF_eval_steps) ? LF_eval_steps : LF_logging_steps);
}

/* The best checkpoint can be found only if each evaluation that may be the best has one. */
static lf_status check_best(const lf_config *cfg, lf_err *err) {
    const char *const eval = lf_cfg_str(cfg, LF_eval_strategy), *const save = lf_cfg_str(cfg, LF_save_strategy);
    if (lf_cfg_i64(cfg, LF_early_stopping_patience) > 0 && strcmp(eval, "no") == 0)
        return lf_cfg_fail(cfg, LF_early_stopping_patience, err,
                           "needs evaluations; set eval_strategy to steps or epoch");
    if (!lf_cfg_bool(cfg, LF_load_best_model_at_end)) return LF_OK;
    if (strcmp(eval, "no") == 0)
        return lf_cfg_fail(cfg, LF_load_best_model_at_end, err,
                           "needs evaluations; set eval_strategy to steps or epoch");
    if (strcmp(eval, save) != 0)
        return lf_cfg_fail(cfg, LF_load_best_model_at_end, err,
                           "expected save_strategy to be eval_strategy, found '%s' and '%s'", save, eval);
    if (strcmp(eval, "steps") == 0 && lf_cfg_i64(cfg, LF_save_steps) % eval_interval(cfg) != 0)
        return lf_cfg_fail(cfg, LF_load_best_model_at_end, err,
                           "expected save_steps to be a multiple of the steps between evaluations, found %lld and %lld",
                           (long long)lf_cfg_i64(cfg, LF_save_steps), (long long)eval_interval(cfg));
    return LF_OK;
}

static lf_status check_selection(const lf_config *cfg, lf_err *err) {
    if (!lf_cfg_selects_by_forgetting(cfg) || lf_cfg_is_set(cfg, LF_forgetting_data)) return LF_OK;
    return lf_cfg_fail(cfg, lf_cfg_is_set(cfg, LF_max_forgetting) ? LF_max_forgetting : LF_metric_for_best_model, err,
                       "needs forgetting_data, of which one half is to choose by (forgetting_eval_data: all of that)");
}

static lf_status check_layers(const lf_config *cfg, lf_err *err) {
    if (lf_cfg_is_set(cfg, LF_layers_pattern) && !lf_cfg_is_set(cfg, LF_layers_to_transform))
        return lf_cfg_fail(cfg, LF_layers_pattern, err, "needs 'layers_to_transform'");
    if (lf_cfg_is_set(cfg, LF_layers_to_transform) && !cJSON_IsArray(lf_cfg_json(cfg, LF_target_modules)))
        return lf_cfg_fail(cfg, LF_layers_to_transform, err, "needs 'target_modules' as a list of names");
    return LF_OK;
}

static lf_status check_shots(const lf_config *cfg, lf_err *err) {
    if (lf_cfg_i64(cfg, LF_num_fewshot) == 0 || lf_cfg_is_set(cfg, LF_fewshot_data)) return LF_OK;
    return lf_cfg_fail(cfg, LF_num_fewshot, err, "needs 'fewshot_data', the records that the examples are taken from");
}

static lf_status check_prompts(const lf_config *cfg, lf_err *err) {
    const cJSON *data = lf_cfg_json(cfg, LF_data);
    if (!data) return LF_OK;
    if (lf_cfg_is_set(cfg, LF_prompt))
        return lf_cfg_fail(cfg, LF_prompt, err, "'data' is given too, which has the prompts; leave one out");
    if (cJSON_IsString(data) && !strcmp(data->valuestring, "-"))
        return lf_cfg_fail(cfg, LF_data, err,
                           "standard input is one prompt, which is read without this key; give a file of prompts");
    if (lf_cfg_bool(cfg, LF_json) && !lf_cfg_str(cfg, LF_output_file))
        return lf_cfg_fail(cfg, LF_json, err,
                           "the answers are a line each; give output_file for them, and one object tells of it");
    return LF_OK;
}

/* Of one format the output is a folder, of the other a file. */
static lf_status check_format(const lf_config *cfg, lf_err *err) {
    const char *path = lf_cfg_str(cfg, LF_output_dir);
    const bool named = lf_has_extension(path, "gguf"), wanted = lf_cfg_writes_file(cfg);
    if (wanted && !named)
        return lf_cfg_fail(cfg, LF_output_dir, err, "expected the name of the file, FILE.gguf, found '%s'", path);
    if (named && !wanted)
        return lf_cfg_fail(cfg, LF_output_dir, err, "'%s' is the name of a gguf file; set format to gguf", path);
    if (wanted && !lf_cfg_is_set(cfg, LF_model))
        return lf_cfg_fail(cfg, LF_format, err, "gguf needs 'model', the folder of the adapter's base model");
    return LF_OK;
}

static lf_status check_hub(const lf_config *cfg, lf_err *err) {
    const char *name = lf_cfg_str(cfg, LF_hub_model_id);
    if (!name || lf_hub_is_name(name)) return LF_OK;
    return lf_cfg_fail(cfg, LF_hub_model_id, err, "expected a name like org/name, found '%s'", name);
}

static lf_status check_convert(const lf_config *cfg, lf_err *err) {
    const bool file = lf_cfg_writes_file(cfg);
    if (file == lf_cfg_is_given(cfg, LF_r))
        return lf_cfg_fail(cfg, LF_r, err,
                           file ? "is for another adapter folder; reduce the rank first, then convert that to gguf"
                                : "is not given, and format is not gguf: nothing would be changed");
    if (!file && lf_cfg_is_given(cfg, LF_save_dtype))
        return lf_cfg_fail(cfg, LF_save_dtype, err, "is for format gguf: factors of PEFT's files are fp32");
    if (!file && lf_cfg_is_given(cfg, LF_adapter_scale))
        return lf_cfg_fail(cfg, LF_adapter_scale, err,
                           "is for format gguf; `lora-ft rewind` writes an adapter of another size");
    return LF_OK;
}

static const struct {
    unsigned verbs;
    lf_status (*check)(const lf_config *cfg, lf_err *err);
} checks[] = {
    {LF_V_ALL, take_level},
    {LF_V_ALL, check_required},
    {LF_V_train | LF_V_preview, check_start},
    {LF_V_train, check_length},
    {LF_V_train, check_warmup},
    {LF_V_train | LF_V_preview, check_validation},
    {LF_V_train, check_best},
    {LF_V_train, check_selection},
    {LF_V_train | LF_V_bench | LF_V_spectrum, check_layers},
    {LF_V_generate, check_prompts},
    {LF_V_merge | LF_V_convert, check_format},
    {LF_V_convert, check_convert},
    {LF_V_eval | LF_V_generate, check_shots},
    {LF_V_train | LF_V_sweep | LF_V_continual, check_hub},
};

lf_status lf_config_finish(lf_config *cfg, lf_err *err) {
    lf_status rc = LF_OK;
    for (size_t i = 0; i < sizeof checks / sizeof *checks && !rc; i++)
        if (checks[i].verbs & cfg->verb->bit) rc = checks[i].check(cfg, err);
    return rc;
}
