/* What the rest of the library reads from a configuration. Keys stand in src/<folder>/keys.def, one line each:
 *
 *   LF_KEY(name, TYPE, default, min, max, choices, aliases, verbs, traits, help)
 *
 *   name     snake_case, Hugging Face's or PEFT's own name where there is one
 *   TYPE     BOOL, I64, F64, STR, LIST (strings), JSON (any value: the reader checks it), PATH
 *   default  text as on the command line; NULL = not set. "~x": x, but the key means another thing when it is given, so
 *            a resolved configuration holds it only then (implied.def: of some verbs only)
 *   min,max  numbers, inclusive, for I64 and F64; 0,0 = no bounds, max LF_NO_MAX = none above
 *   choices  "a|b|c" or NULL. "x=a": x is read as a ("x=", of a list: as an empty one; of a
 *            number: a word for it). "x!why": x is known but
 * refused, with that reason. "a_N": a whole number from 1 to 999 stands for N aliases  "x|y" or NULL; an alias may be
 * the name of another verb's key. One letter: also -x verbs    TRAIN | EVAL ...: which verbs know the key (LF_V_train,
 * ... are the same bits for other code) traits   what others need to know of it: RESULT | MAIN ..., listed below
 * (LF_IS_RESULT, ... for other code) help     one sentence
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
#include "base/paths.h"

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

/* What a key is to those who compare, resume, repeat, cache or show runs. Each key has exactly one of the first list,
 * which says what it means that its value is another than before. */
#define LF_KIND_LIST(X)                                                                                                \
    X(RESULT, 0)  /* changes the numbers */                                                                            \
    X(MODEL, 1)   /* names the model: the same as RESULT, and runs with others are not compared */                     \
    X(DATA, 2)    /* says which examples there are: the same */                                                        \
    X(CHOICE, 3)  /* decides which step is the best: RESULT where that is asked for, ASIDE elsewhere */                \
    X(GROWS, 4)   /* RESULT, but a run that goes on may have more of it, which is recorded */                          \
    X(MACHINE, 5) /* how the machine works: the same run, perhaps with other last digits */                            \
    X(FORM, 6)    /* the same numbers, written in another form */                                                      \
    X(ASIDE, 7)   /* only where, how fast and how loudly */                                                            \
    X(RECORD, 8)  /* nobody sets it: a run writes into its config.json what became of it */

/* And any of these. */
#define LF_TRAIT_LIST(X)                                                                                               \
    X(CALL, 9)      /* belongs to one call of the program and says nothing of what is run */                           \
    X(OF_SWEEP, 10) /* a sweep decides it for all its runs */                                                          \
    X(INPUT, 11)    /* a file or folder that is read: it must be there, and is never written over */                   \
    X(MAIN, 12)     /* told first of a run, and beside its adapter */                                                  \
    X(OF_TRAIN, 13) /* whose examples it changes: the training data's, ... */                                          \
    X(OF_EVAL, 14)                                                                                                     \
    X(OF_TEST, 15)                                                                                                     \
    X(OF_FORGETTING, 16)                                                                                               \
    X(DRAW, 17)   /* another draw of the same: runs that differ in it alone are repetitions */                         \
    X(RATE, 18)   /* what a method is tried at, the first of them on an axis: runs that differ in it are one method */ \
    X(OUTPUT, 20) /* a file (output_dir: a folder) that is written: that it can be shows before anything else */       \
    X(START, 19)  /* where an adapter starts; a run's files say what came of it */

enum {
#define LF_TRAIT_BIT(name, bit) LF_IS_##name = 1 << bit,
    LF_KIND_LIST(LF_TRAIT_BIT) LF_TRAIT_LIST(LF_TRAIT_BIT)
#undef LF_TRAIT_BIT
        LF_IS_OF_ALL = LF_IS_OF_TRAIN | LF_IS_OF_EVAL | LF_IS_OF_TEST | LF_IS_OF_FORGETTING,
    /* kinds of keys that change no number by intention */
    LF_IS_BESIDE = LF_IS_MACHINE | LF_IS_FORM | LF_IS_ASIDE | LF_IS_RECORD
};

/* LF_learning_rate, ...: a key is asked for by its id, so that a wrong name does not compile. */
typedef enum lf_key_id {
    LF_NO_KEY, /* 0: none */
#define LF_KEY(name, ...) LF_##name,
#include "config/all_keys.def"
#undef LF_KEY
    LF_KEY_END,
    LF_N_KEYS = LF_KEY_END - 1
} lf_key_id;

const char *lf_key_name(lf_key_id id);
lf_key_id lf_key_of(const char *name); /* by its proper name; LF_NO_KEY: there is none */
/* The next key after `id` (LF_NO_KEY: the first) that has one of these traits; LF_NO_KEY: there is none. */
lf_key_id lf_key_next(lf_key_id id, unsigned traits);
/* The names of those keys, in the table's order, and a NULL. */
void lf_key_names(const char *names[LF_N_KEYS + 1], unsigned traits);
/* Of a key of any verb, by the name that stands in a file; 0: there is no such key. */
unsigned lf_key_traits(const char *name);

/* Typed access. Reading a key as another type is our own mistake and aborts, in every build. A key that is not set
 * reads as false, 0, NULL or an empty list; one that the verb does not know reads as its default. Strings and JSON
 * values are borrowed from cfg. */
bool lf_cfg_bool(const lf_config *cfg, lf_key_id key);
int64_t lf_cfg_i64(const lf_config *cfg, lf_key_id key);
int64_t lf_cfg_workers(const lf_config *cfg); /* dataloader_num_workers, whose 0 is one thread too */
double lf_cfg_f64(const lf_config *cfg, lf_key_id key);
const char *lf_cfg_str(const lf_config *cfg, lf_key_id key);   /* STR, PATH; NULL if not set */
const cJSON *lf_cfg_json(const lf_config *cfg, lf_key_id key); /* JSON; NULL if not set */
/* STR, PATH, or a data set given as a path or {"path": ...}; NULL if not set, or if it is a list of paths */
const char *lf_cfg_path(const lf_config *cfg, lf_key_id key);
/* Appends all paths of it, also those of a list and what matches a pattern (base/paths.h); none if it is not set. */
lf_status lf_cfg_paths(lf_paths *out, const lf_config *cfg, lf_key_id key, lf_err *err);
/* Are the files and folders that its keys name there? LF_EUSAGE, naming key and path; LF_ENOTFOUND of
 * a pattern that means none. Nothing is opened. */
lf_status lf_cfg_check_inputs(const lf_config *cfg, lf_err *err);
const cJSON *lf_cfg_list(const lf_config *cfg, lf_key_id key); /* LIST, strings; NULL if not set */
int64_t lf_cfg_list_count(const lf_config *cfg, lf_key_id key);
const char *lf_cfg_list_at(const lf_config *cfg, lf_key_id key, int64_t i);
bool lf_cfg_writes_file(const lf_config *cfg);             /* output_dir is a file, not a folder (format gguf) */
bool lf_cfg_is_set(const lf_config *cfg, lf_key_id key);   /* given by the user, or has a default */
bool lf_cfg_is_given(const lf_config *cfg, lf_key_id key); /* given by the user (file or flag) */
bool lf_cfg_is_flag(const lf_config *cfg, lf_key_id key);  /* given on the command line */
/* Why a key is not read (effects.def): "with method head", "without forgetting_data", into buf; NULL: it is. */
const char *lf_config_unread(const lf_config *cfg, lf_key_id id, char *buf, size_t size);
/* Warns of each of `keys` ("a|b") that was given (defaults in a file aside) that it has no effect `why` ("on
 * pictures"). For what shows only when model and data are known; the rest is in effects.def. */
void lf_config_say_no_effect(const lf_config *cfg, const char *keys, const char *why);
const char *lf_cfg_verb(const lf_config *cfg);
/* Every key that is set, as a JSON object; the caller deletes it. */
cJSON *lf_cfg_to_json(const lf_config *cfg);
/* The resolved configuration: the same without the defaults that stand only where a key is not given. Read as a file it
 * is the same configuration again. */
cJSON *lf_cfg_resolved_to_json(const lf_config *cfg);
/* Every key that is set and has one of the traits `any` and none of `none`. */
cJSON *lf_cfg_select(const lf_config *cfg, unsigned any, unsigned none);
/* Only what the user gave, which is not the same: some keys mean another thing when they are given. */
cJSON *lf_cfg_given_to_json(const lf_config *cfg);
/* One key from a JSON value (borrowed), as if it stood in a file called `source`, which must outlive cfg. */
lf_status lf_cfg_set_json(lf_config *cfg, const char *key, const cJSON *value, const char *source, lf_err *err);
/* The same of a value that is taken over; NULL: it could not be made, LF_ENOMEM. */
lf_status lf_cfg_set_taken(lf_config *cfg, const char *key, cJSON *value, const char *source, lf_err *err);
/* As if the key had not been given: its default, or nothing. */
lf_status lf_cfg_unset(lf_config *cfg, lf_key_id key, lf_err *err);
/* A configuration of another verb with all that was given for `from` and that the verb knows. `from` must outlive it.
 */
lf_status lf_cfg_derive(lf_config **out, const lf_config *from, const char *verb, lf_err *err);
/* Does what is forgotten decide what is the best (metric_for_best_model, max_forgetting)? Then that is found on data
 * which nothing is reported of. Of a configuration as JSON: of a run's config.json. */
bool lf_cfg_selects_by_forgetting(const lf_config *cfg);
bool lf_json_selects_by_forgetting(const cJSON *keys);
/* Keys that earlier versions did not have, because another key said it too, as `was`, the keys of a run, had them by
 * that other one: as if given, where the user gave none. `source` must outlive cfg. */
lf_status lf_cfg_take_inherited(lf_config *cfg, const cJSON *was, const char *source, lf_err *err);
/* Whether a run that is finished, whose config.json is `was`, is the one that is asked for now: LF_EUSAGE, naming
 * `dir`, the key and both values, where it is not. *longer: it is, but for its length, which this key says, and goes
 * on; LF_NO_KEY: it is just that. */
lf_status lf_cfg_check_finished(const lf_config *cfg, const cJSON *was, const char *dir, lf_key_id *longer,
                                lf_err *err);
/* Whether a run can go on from a checkpoint. `was` and `now` hold the keys of lf_cfg_select(cfg, ~LF_IS_BESIDE |
 * LF_IS_MACHINE, 0), whose values may have been resolved further (threads). LF_EUSAGE, naming `path`, the key, both
 * values and what to do, for a change that makes it another run; one of MACHINE passes with force_resume. What was let
 * pass and changes numbers is appended to the array `segments` as {"from_step", "key", "old", "new"}. A
 * length is compared here as far as the keys tell: epochs and steps only where they are given alike. */
lf_status lf_cfg_check_resume(const lf_config *cfg, const cJSON *was, const cJSON *now, const char *path, int64_t step,
                              cJSON *segments, lf_err *err);
/* A line of the log for each of these segments, which lf_cfg_check_resume appended, from number `from` on. */
void lf_cfg_say_segments(const cJSON *segments, int from, const char *path);
/* The name of a key of this verb, by name or alias; NULL if there is none. */
const char *lf_cfg_key_name(const char *verb, const char *key);
/* LF_EUSAGE with the message "key 'K' (in FILE | on the command line): ..." so that later checks name the source. */
lf_status lf_cfg_fail(const lf_config *cfg, lf_key_id key, lf_err *err, const char *format, ...) LF_PRINTF(4, 5);

#endif
