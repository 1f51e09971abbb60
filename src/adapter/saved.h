/* The key modules_to_save: what its names mean, by PEFT's rules. Inside of the folder. */
#ifndef LF_ADAPTER_SAVED_H
#define LF_ADAPTER_SAVED_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "nn/nn.h"

/* `names`: a list of strings; NULL, null or empty: nothing is saved. A module is saved whole if its name, or that of
 * one that it is part of, ends with one of them: "norm" is also input_layernorm, "pooler" all that is in bert.pooler.
 */
bool lf_saves_module(const cJSON *names, const char *module);
bool lf_saves_by(const char *name, const char *module);     /* by this one alone */
bool lf_saves_param(const cJSON *names, const char *param); /* of a saved module; param: "<module>.<leaf>" */
/* Is such a module part of another one that is saved? PEFT cannot load what is named so. */
bool lf_saves_twice(const cJSON *names, const char *param);
/* Which modules never get an adapter because of it: of those the ones where a whole part of the name is meant
 * ("norm" not in input_layernorm), as PEFT leaves them out of its targets. */
bool lf_saves_instead(const cJSON *names, const char *module);

#endif
