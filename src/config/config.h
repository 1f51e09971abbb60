/* What the rest of the library reads from a configuration. Keys stand in src/<folder>/keys.def, one line each:
 *
 *   LF_KEY(name, TYPE, default, min, max, choices, aliases, verbs, help)
 *
 *   name     snake_case, Hugging Face's or PEFT's own name where there is one
 *   TYPE     BOOL, I64, F64, STR, LIST (strings), JSON (any value: the reader checks it), PATH
 *   default  text as on the command line; NULL = not set. "~x": x, but the key means another thing when it is given, so
 * a resolved configuration holds it only then min,max  numbers, inclusive, for I64 and F64; 0,0 = no bounds, max
 * LF_NO_MAX = none above choices  "a|b|c" or NULL. "x=a": x is read as a. "x!why": x is known but refused, with that
 * reason. "a_N": a whole number from 1 to 999 stands for N. aliases  "x|y" or NULL; an alias may be the name of another
 * verb's key. One letter: also -x. verbs    TRAIN | EVAL ...: which verbs know the key (LF_V_train, ... are the same
 * bits for other code) help     one sentence
 *
 * What readers of JSON keys find, whatever way the user wrote it:
 *   train_data, eval_data, test_data, forgetting_data, data   a string, or an object with a string "path"
 *   target_modules, exclude_modules    an array of suffixes, or a string: "all-linear" or a regular expression
 *   layers_to_transform                an array of whole numbers >= 0
 *   layers_pattern                     an array of strings
 *   rank_pattern, alpha_pattern        an object of positive numbers (of whole numbers up to 4096, for ranks)
 *   init_lora_weights                  true or a string
 *   init_position                      a number in [0,1], {"index": s} with whole s >= 0, {"energy": e} with 0 < e <= 1
 *   resume_from_checkpoint             true, false or a string
 */
#ifndef LF_CONFIG_CONFIG_H
#define LF_CONFIG_CONFIG_H

#include <cjson/cJSON.h>

#include "base/error.h"

#define LF_NO_MAX 9007199254740991.0 /* 2^53 - 1: whole numbers up to here are exact in JSON */

/* A bit for each verb (LF_VERB_LIST in lora_ft.h): LF_V_train, ... */
enum {
#define LF_VERB_NUMBER(name, ...) LF_VERB_NUMBER_##name,
    LF_VERB_LIST(LF_VERB_NUMBER)
#undef LF_VERB_NUMBER
        LF_N_VERBS
};
enum {
#define LF_VERB_BIT(name, ...) LF_V_##name = 1 << LF_VERB_NUMBER_##name,
    LF_VERB_LIST(LF_VERB_BIT)
#undef LF_VERB_BIT
        LF_V_ALL = (1 << LF_N_VERBS) - 1
};

/* A key's choices and help that are a table of its folder: adapter/init.c. */
extern const char lf_init_choices[], lf_init_help[];

/* Typed access. A key that is not in the table, or of another type, is our own mistake and aborts, in every build. A
 * key that is not set reads as false, 0, NULL or an empty list; one that the verb does not know reads as its default.
 * Strings and JSON values are borrowed from cfg. */
bool lf_cfg_bool(const lf_config *cfg, const char *key);
int64_t lf_cfg_i64(const lf_config *cfg, const char *key);
double lf_cfg_f64(const lf_config *cfg, const char *key);
const char *lf_cfg_str(const lf_config *cfg, const char *key);   /* STR, PATH; NULL if not set */
const cJSON *lf_cfg_json(const lf_config *cfg, const char *key); /* JSON; NULL if not set */
const char *lf_cfg_data_path(const lf_config *cfg,
                             const char *key); /* of a data set given as a path or {"path": ...}; NULL if not set */
int64_t lf_cfg_list_count(const lf_config *cfg, const char *key); /* LIST */
const char *lf_cfg_list_at(const lf_config *cfg, const char *key, int64_t i);
bool lf_cfg_is_set(const lf_config *cfg, const char *key);   /* given by the user, or has a default */
bool lf_cfg_is_given(const lf_config *cfg, const char *key); /* given by the user (file or flag) */
const char *lf_cfg_verb(const lf_config *cfg);
/* Every key that is set, as a JSON object; the caller deletes it. */
cJSON *lf_cfg_to_json(const lf_config *cfg);
/* The resolved configuration: the same without the defaults that stand only where a key is not given. Read as a file it
 * is the same configuration again. */
cJSON *lf_cfg_resolved_to_json(const lf_config *cfg);
/* Those of the keys of one folder's keys.def. */
cJSON *lf_cfg_folder_to_json(const lf_config *cfg, const char *folder);
/* Only what the user gave, which is not the same: some keys mean another thing when they are given. */
cJSON *lf_cfg_given_to_json(const lf_config *cfg);
/* One key from a JSON value (borrowed), as if it stood in a file called `source`, which must outlive cfg. */
lf_status lf_cfg_set_json(lf_config *cfg, const char *key, const cJSON *value, const char *source, lf_err *err);
/* A configuration of another verb with all that was given for `from` and that the verb knows. `from` must outlive it.
 */
lf_status lf_cfg_derive(lf_config **out, const lf_config *from, const char *verb, lf_err *err);
/* LF_EUSAGE, naming `dir`, the key and both values, where `was`, the config.json of a run in that folder, has other
 * settings than cfg; but for keys that change no result. */
lf_status lf_cfg_check_same(const lf_config *cfg, const cJSON *was, const char *dir, lf_err *err);
/* The name of a key of this verb, by name or alias; NULL if there is none. */
const char *lf_cfg_key_name(const char *verb, const char *key);
/* LF_EUSAGE with the message "key 'K' (in FILE | on the command line): ..." so that later checks name the source. */
lf_status lf_cfg_fail(const lf_config *cfg, const char *key, lf_err *err, const char *format, ...) LF_PRINTF(4, 5);

#endif
