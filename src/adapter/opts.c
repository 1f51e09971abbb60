#include "adapter/adapter.h"

static lf_status read_init(lf_adapter_opts *o, const lf_config *cfg, lf_err *err) {
    if (lf_init_of(lf_cfg_json(cfg, LF_init_lora_weights), &o->init)) return LF_OK;
    return lf_cfg_fail(cfg, LF_init_lora_weights, err, "there is no start named '%s'", o->init);
}

static lf_status read_position(lf_adapter_opts *o, const lf_config *cfg, lf_err *err) {
    static const struct {
        const char *member;
        lf_position_kind kind;
    } forms[] = {{"index", LF_POSITION_INDEX}, {"energy", LF_POSITION_ENERGY}};
    const cJSON *position = lf_cfg_json(cfg, LF_init_position);
    const lf_init *init = lf_init_find(o->init);
    const bool given = lf_cfg_is_given(cfg, LF_init_position);
    if (given && !lf_init_is_positioned(init)) {
        char readers[256];
        lf_init_list(readers, sizeof readers, lf_init_is_positioned);
        return lf_cfg_fail(cfg, LF_init_position, err,
                           "is not read by init_lora_weights %s, only by %s; leave out one of the two", o->init,
                           readers);
    }
    if (!given && init->block == LF_BLOCK_KEY_OR_LAST) {
        o->position = (lf_position){LF_POSITION_FRACTION, 1};
        return LF_OK;
    }
    if (cJSON_IsNumber(position)) {
        o->position = (lf_position){LF_POSITION_FRACTION, position->valuedouble};
        return LF_OK;
    }
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(position, forms[i].member);
        if (!cJSON_IsNumber(value)) continue;
        o->position = (lf_position){forms[i].kind, value->valuedouble};
        return LF_OK;
    }
    return lf_cfg_fail(cfg, LF_init_position, err,
                       "expected a fraction from 0 to 1, {\"index\": s} or {\"energy\": e}");
}

lf_status lf_adapter_opts_read(lf_adapter_opts *o, const lf_config *cfg, lf_err *err) {
    *o = (lf_adapter_opts){
        .r = lf_cfg_i64(cfg, LF_r),
        .lora_alpha = lf_cfg_f64(cfg, LF_lora_alpha),
        .lora_dropout = lf_cfg_f64(cfg, LF_lora_dropout),
        .use_rslora = lf_cfg_bool(cfg, LF_use_rslora),
        .use_dora = lf_cfg_bool(cfg, LF_use_dora),
        .target_modules = lf_cfg_json(cfg, LF_target_modules),
        .exclude_modules = lf_cfg_json(cfg, LF_exclude_modules),
        .layers_to_transform = lf_cfg_json(cfg, LF_layers_to_transform),
        .layers_pattern = lf_cfg_json(cfg, LF_layers_pattern),
        .rank_pattern = lf_cfg_json(cfg, LF_rank_pattern),
        .alpha_pattern = lf_cfg_json(cfg, LF_alpha_pattern),
        .sc_lora_beta = lf_cfg_f64(cfg, LF_sc_lora_beta),
        .seed = (uint64_t)lf_cfg_i64(cfg, LF_seed),
        .decomposition_cache = lf_cfg_str(cfg, LF_decomposition_cache),
        .bias = lf_cfg_str(cfg, LF_bias),
        .modules_to_save = lf_cfg_list(cfg, LF_modules_to_save),
        .strict_targets = lf_cfg_bool(cfg, LF_strict_targets),
    };
    const lf_status rc = read_init(o, cfg, err);
    return rc ? rc : read_position(o, cfg, err);
}
