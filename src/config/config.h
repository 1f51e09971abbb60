/* What the rest of the library reads from a configuration. Keys stand in src/<folder>/keys.def, one line each:
 *
 *   LF_KEY(name, TYPE, default, min, max, choices, aliases, verbs, help)
 *
 *   name     snake_case, Hugging Face's or PEFT's own name where there is one
 *   TYPE     BOOL, I64, F64, STR, LIST (strings), JSON (any value: the reader checks it), PATH
 *   default  text as on the command line; NULL = not set
 *   min,max  numbers, inclusive, for I64 and F64; 0,0 = no bounds
 *   choices  "a|b|c" or NULL
 *   aliases  "x|y" or NULL
 *   verbs    LF_V_TRAIN | LF_V_EVAL ...: which verbs know the key
 *   help     one sentence
 */
#ifndef LF_CONFIG_CONFIG_H
#define LF_CONFIG_CONFIG_H

#include <cjson/cJSON.h>

#include "base/error.h"

/* Verb name, bit, one-line summary. The CLI's table of verbs follows the same names. */
#define LF_VERB_LIST(X)                                                                                              \
    X(train, 0, "fine-tune a model and measure what it learned and what it forgot")                                  \
    X(eval, 1, "accuracy of a model or adapter on a data set, and forgetting on another")                            \
    X(predict, 2, "classify inputs without labels")                                                                  \
    X(merge, 3, "write the model with an adapter merged into its weights")                                           \
    X(bench, 4, "measure training and inference speed, initialisation time and memory")                              \
    X(inspect, 5, "show what is in a model or adapter")                                                              \
    X(report, 6, "draw the curves of a run")

enum {
#define LF_VERB_BIT(name, bit, help) LF_V_##name = 1 << bit,
    LF_VERB_LIST(LF_VERB_BIT)
#undef LF_VERB_BIT
    LF_V_ALL = 0xffff
};

/* Typed access. A key that is not in the table, or of another type, is our own mistake: asserted. Strings and JSON
 * values are borrowed from cfg. */
bool lf_cfg_bool(const lf_config *cfg, const char *key);
int64_t lf_cfg_i64(const lf_config *cfg, const char *key);
double lf_cfg_f64(const lf_config *cfg, const char *key);
const char *lf_cfg_str(const lf_config *cfg, const char *key);    /* STR, PATH; NULL if not set */
const cJSON *lf_cfg_json(const lf_config *cfg, const char *key);  /* JSON; NULL if not set */
int64_t lf_cfg_list_count(const lf_config *cfg, const char *key); /* LIST */
const char *lf_cfg_list_at(const lf_config *cfg, const char *key, int64_t i);
bool lf_cfg_is_set(const lf_config *cfg, const char *key);        /* given by the user, or has a default */
bool lf_cfg_is_given(const lf_config *cfg, const char *key);      /* given by the user (file or flag) */
const char *lf_cfg_verb(const lf_config *cfg);
/* The resolved configuration as a JSON object; the caller deletes it. */
cJSON *lf_cfg_to_json(const lf_config *cfg);
/* LF_EUSAGE with the message "key 'K' (in FILE | on the command line): ..." so that later checks name the source. */
lf_status lf_cfg_fail(const lf_config *cfg, const char *key, lf_err *err, const char *format, ...) LF_PRINTF(4, 5);

#endif
