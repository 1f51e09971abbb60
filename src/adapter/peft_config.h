/* adapter_config.json, read and checked. Inside of the folder. */
#ifndef LF_ADAPTER_PEFT_CONFIG_H
#define LF_ADAPTER_PEFT_CONFIG_H

#include <cjson/cJSON.h>

#include "base/error.h"

typedef struct lf_peft_config {
    cJSON *json;
    int64_t r;
    double lora_alpha, lora_dropout;
    bool use_rslora, use_dora, ensure_weight_tying;
    const char *bias; /* static */
    const cJSON *target_modules, *exclude_modules, *layers_to_transform,
        *layers_pattern; /* borrowed from json; may be NULL */
    const cJSON *rank_pattern, *alpha_pattern, *modules_to_save;
} lf_peft_config;

/* Keys that lack have PEFT's defaults. Unknown keys: a warning. Keys that would change the function in a way that is
 * not supported, and starts that changed the base weights: LF_EUNSUPPORTED. */
lf_status lf_peft_config_read(lf_peft_config *c, const char *path, lf_err *err);
void lf_peft_config_clear(lf_peft_config *c);

#endif
