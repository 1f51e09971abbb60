#include "adapter/peft_config.h"

#include <string.h>

#include "adapter/adapter_internal.h"
#include "adapter/targets.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/string.h"

/* Keys that change what the adapter computes when they are on. */
static const struct {
    const char *key, *what;
} refused[] = {
    {"use_qalora", "QA-LoRA"},
    {"use_bdlora", "block-diagonal LoRA"},
    {"lora_bias", "a bias in lora_B"},
    {"alora_invocation_tokens", "activated LoRA"},
    {"kasa_config", "KaSA"},
    {"velora_config", "VeLoRA"},
    {"monteclora_config", "MonteCLoRA"},
    {"arrow_config", "Arrow routing"},
    {"target_parameters", "LoRA on bare parameters"},
    {"trainable_token_indices", "trained tokens"},
    {"layer_replication", "replicated layers"},
};

/* Read here, or without effect on what a loaded adapter computes. */
static const char *const known[] = {"alpha_pattern",
                                    "auto_mapping",
                                    "base_model_name_or_path",
                                    "bias",
                                    "corda_config",
                                    "ensure_weight_tying",
                                    "eva_config",
                                    "exclude_modules",
                                    "fan_in_fan_out",
                                    "inference_mode",
                                    "init_lora_weights",
                                    "layers_pattern",
                                    "layers_to_transform",
                                    "loftq_config",
                                    "lora_alpha",
                                    "lora_dropout",
                                    "lora_ga_config",
                                    "megatron_config",
                                    "megatron_core",
                                    "modules_to_save",
                                    "peft_type",
                                    "peft_version",
                                    "qalora_group_size",
                                    "r",
                                    "rank_pattern",
                                    "revision",
                                    "runtime_config",
                                    "target_modules",
                                    "task_type",
                                    "use_dora",
                                    "use_rslora"};

/* Starts that leave the base weights alone: the file is the whole update. */
static const char *const plain_starts[] = {"gaussian", "eva", "orthogonal", "mica"};

static bool is_on(const cJSON *item) {
    if (!lf_json_given(item) || cJSON_IsFalse(item)) return false;
    return !(cJSON_IsArray(item) || cJSON_IsObject(item)) || item->child;
}

static bool is_listed(const char *s, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], s) == 0) return true;
    return false;
}

static const cJSON *member(const lf_peft_config *c, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(c->json, key);
}

static lf_status check_refused(const lf_peft_config *c, const char *path, lf_err *err) {
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (is_on(member(c, refused[i].key)))
            return lf_fail(err, LF_EUNSUPPORTED, "%s: key '%s': %s is not supported; only plain LoRA adapters are",
                           path, refused[i].key, refused[i].what);
    return LF_OK;
}

static lf_status check_type(const lf_peft_config *c, const char *path, lf_err *err) {
    const cJSON *type = member(c, "peft_type");
    if (!cJSON_IsString(type))
        return lf_fail(err, LF_EDATA, "%s: key 'peft_type': expected \"LORA\", found none; is this a PEFT adapter?",
                       path);
    if (strcmp(type->valuestring, "LORA"))
        return lf_fail(err, LF_EUNSUPPORTED, "%s: key 'peft_type': expected \"LORA\", found \"%s\"", path,
                       type->valuestring);
    return LF_OK;
}

static lf_status check_start(const lf_peft_config *c, const char *path, lf_err *err) {
    const cJSON *init = member(c, "init_lora_weights");
    if (!lf_json_given(init) || cJSON_IsBool(init)) return LF_OK;
    if (!cJSON_IsString(init))
        return lf_fail(err, LF_EDATA, "%s: key 'init_lora_weights': expected true, false or a name", path);
    if (is_listed(init->valuestring, plain_starts, sizeof plain_starts / sizeof plain_starts[0])) return LF_OK;
    return lf_fail(
        err, LF_EUNSUPPORTED,
        "%s: key 'init_lora_weights': \"%s\" subtracts its start from the base weights, so this file is not the whole "
        "update: PEFT decomposes the base again when it loads it; write it from PEFT as a plain LoRA by "
        "save_pretrained(..., path_initial_model_for_weight_conversion=...)",
        path, init->valuestring);
}

static lf_status warn_of_unknown(const lf_peft_config *c, const char *path, lf_err *err) {
    lf_string t = {0};
    for (const cJSON *item = c->json->child; item; item = item->next) {
        bool is_known = is_listed(item->string, known, sizeof known / sizeof known[0]);
        for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
            is_known |= strcmp(refused[i].key, item->string) == 0;
        if (!is_known) lf_string_add(&t, "%s'%s'", t.n ? ", " : "", item->string);
    }
    char *names = lf_string_take(&t);
    if (!names) return lf_no_memory(err, "%s", path);
    if (names[0]) lf_warn("%s: keys that this version does not know are ignored: %s", path, names);
    lf_free(names);
    return LF_OK;
}

static lf_status read_bias(lf_peft_config *c, const char *path, lf_err *err) {
    const char *name;
    const lf_status rc = lf_json_get_str(c->json, "bias", LF_BIAS_NONE, &name, path, err);
    if (rc || (c->bias = lf_bias_named(name))) return rc;
    return lf_fail(err, LF_EDATA, "%s: key 'bias': expected none, all or lora_only, found \"%s\"", path, name);
}

static lf_status read_values(lf_peft_config *c, const char *path, lf_err *err) {
    lf_status rc = read_bias(c, path, err);
    if (rc) return rc;
    if ((rc = lf_json_get_i64(c->json, "r", 8, &c->r, path, err)) ||
        (rc = lf_json_get_f64(c->json, "lora_alpha", 8, &c->lora_alpha, path, err)) ||
        (rc = lf_json_get_f64(c->json, "lora_dropout", 0, &c->lora_dropout, path, err)) ||
        (rc = lf_json_get_bool(c->json, "use_rslora", false, &c->use_rslora, path, err)) ||
        (rc = lf_json_get_bool(c->json, "use_dora", false, &c->use_dora, path, err)) ||
        (rc = lf_json_get_bool(c->json, "ensure_weight_tying", false, &c->ensure_weight_tying, path, err)))
        return rc;
    if (c->r < 1) return lf_fail(err, LF_EDATA, "%s: key 'r': expected at least 1, found %lld", path, (long long)c->r);
    if (!(c->lora_dropout >= 0 && c->lora_dropout < 1))
        return lf_fail(err, LF_EDATA, "%s: key 'lora_dropout': expected at least 0 and below 1, found %g", path,
                       c->lora_dropout);
    const struct {
        const char *key;
        const cJSON **to;
    } values[] = {
        {"target_modules", &c->target_modules},
        {"exclude_modules", &c->exclude_modules},
        {"layers_to_transform", &c->layers_to_transform},
        {"layers_pattern", &c->layers_pattern},
        {"rank_pattern", &c->rank_pattern},
        {"alpha_pattern", &c->alpha_pattern},
        {"modules_to_save", &c->modules_to_save},
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        const cJSON *value = member(c, values[i].key);
        *values[i].to = lf_json_given(value) ? value : NULL;
    }
    const cJSON *name = NULL, *names = c->modules_to_save;
    bool right = !names || cJSON_IsArray(names);
    cJSON_ArrayForEach(name, names) right = right && cJSON_IsString(name);
    return right ? LF_OK : lf_fail(err, LF_EDATA, "%s: key 'modules_to_save': expected a list of names", path);
}

lf_status lf_peft_config_read(lf_peft_config *c, const char *path, lf_err *err) {
    *c = (lf_peft_config){0};
    lf_status rc = lf_json_read(&c->json, path, err);
    if (!rc && !cJSON_IsObject(c->json)) rc = lf_fail(err, LF_EDATA, "%s: expected a JSON object", path);
    if (rc || (rc = check_type(c, path, err)) || (rc = check_refused(c, path, err)) ||
        (rc = check_start(c, path, err)) || (rc = warn_of_unknown(c, path, err)) || (rc = read_values(c, path, err)))
        lf_peft_config_clear(c);
    return rc;
}

void lf_peft_config_clear(lf_peft_config *c) {
    cJSON_Delete(c->json);
    *c = (lf_peft_config){0};
}
