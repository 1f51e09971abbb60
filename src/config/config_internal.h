/* The table of keys and the inside of lf_config, for the files of this folder. */
#ifndef LF_CONFIG_CONFIG_INTERNAL_H
#define LF_CONFIG_CONFIG_INTERNAL_H

#include <stdarg.h>
#include <stddef.h>

#include "base/pool.h"
#include "base/slice.h"
#include "config/config.h"

/* type, what a message expects, what help shows */
#define LF_KEY_TYPE_LIST(X)                                                                                            \
    X(BOOL, "true or false", "BOOL")                                                                                   \
    X(I64, "a whole number", "INT")                                                                                    \
    X(F64, "a number", "NUMBER")                                                                                       \
    X(STR, "a string", "TEXT")                                                                                         \
    X(LIST, "a list of strings", "LIST")                                                                               \
    X(JSON, "a value", "VALUE")                                                                                        \
    X(PATH, "a path", "PATH")

typedef enum lf_key_type {
#define LF_KEY_TYPE_ENUM(type, expects, shown) LF_KEY_##type,
    LF_KEY_TYPE_LIST(LF_KEY_TYPE_ENUM)
#undef LF_KEY_TYPE_ENUM
} lf_key_type;

typedef struct lf_key {
    const char *name;
    lf_key_type type;
    const char *fallback; /* as in the table: see lf_key_default */
    double min, max;
    const char *choices, *aliases;
    unsigned verbs, traits;
    const char *help;
    const char *folder; /* heading in help */
} lf_key;

typedef struct lf_verb {
    const char *name;
    unsigned bit;
    const char *summary;
    unsigned knows; /* the verbs whose keys it takes: its own, and what it does many times */
} lf_verb;

extern const lf_key lf_keys[LF_N_KEYS]; /* a key's id is its place in it, from 1 */
extern const size_t lf_n_keys;
extern const lf_verb lf_verbs[];
extern const size_t lf_n_verbs;

extern const char *const lf_key_type_expects[];
extern const char *const lf_key_type_shown[];

const char *lf_key_default(const lf_key *key); /* as on the command line; NULL: not set */
/* "1 or more", "a, b, c"; "" where there are no bounds */
void lf_key_range_text(const lf_key *key, char *out, size_t size);
const char *lf_folder_title(const char *folder); /* of a folder's keys, in help */
bool lf_key_is_implied(const lf_key *key);       /* it stands only where the key is not given */
const lf_verb *lf_verb_find(const char *name);
bool lf_same_key_name(const char *typed, lf_slice name); /* dashes in what was typed are underscores */
/* By name or alias among the keys of these verbs; dashes are underscores. NULL if there is none. */
const lf_key *lf_key_find(const char *name, unsigned verbs);

/* The known name or alias of these verbs that is the fewest edits away, or has its words; false if none is near. */
bool lf_key_suggest(lf_slice *out, const char *name, unsigned verbs);

/* One choice: `given` may be written, it is read as `value`; refused if there is a reason. */
typedef struct lf_choice {
    lf_slice given, value, reason;
} lf_choice;
bool lf_next_choice(const char **choices, lf_choice *choice);

typedef struct lf_value {
    cJSON *json;        /* of the type that the key says; NULL: not set */
    const char *source; /* file; NULL: command line */
    bool given;         /* by the user */
} lf_value;

struct lf_config {
    const lf_verb *verb;
    lf_arena *arena;  /* names of files */
    lf_value *values; /* one for each key */
};

/* Where a value came from, for messages. */
typedef struct lf_place {
    const char *key;
    const char *source; /* NULL: command line */
    lf_err *err;
} lf_place;

/* LF_EUSAGE "key 'K' (in FILE | on the command line): ..." */
lf_status lf_place_fail(const lf_place *place, const char *format, ...) LF_PRINTF(2, 3);
lf_status lf_place_fail_args(const lf_place *place, const char *format, va_list args);

/* Text as on the command line to a JSON value that suits the key's type; not yet checked. Caller deletes *out. */
lf_status lf_value_from_text(cJSON **out, const lf_key *key, const char *text, const lf_place *place);
/* Type, range and choices; may replace *json by the form that readers expect. */
lf_status lf_value_check(cJSON **json, const lf_key *key, const lf_place *place);
/* The same for the JSON keys whose inside is known here (see config.h). */
lf_status lf_form_check(cJSON **json, const lf_key *key, const lf_place *place);

/* JSON helpers. The first takes ownership of `value` and replaces *json; LF_ENOMEM if value is NULL. */
lf_status lf_value_replace(cJSON **json, cJSON *value, lf_err *err);
cJSON *lf_split_commas(const char *text); /* array of strings, blanks around them cut; NULL: out of memory */
bool lf_text_to_number(const char *text, double *out); /* decimal only, finite, nothing after it */
bool lf_text_to_bool(const char *text, bool *out);     /* true, yes, on, 1, ...; false: it is none of them */
bool lf_is_bool_word(const char *text);
bool lf_is_string_array(const cJSON *json);
void lf_choices_text(const char *choices, char *out, size_t size); /* "a, b, c" without aliases and refused ones */

/* Checks one key and, if it is right, stores it; takes ownership of json (also on failure). */
lf_status lf_config_store(lf_config *cfg, const lf_key *key, cJSON *json, const char *source, lf_err *err);
/* The same from text as on the command line. */
lf_status lf_config_store_text(lf_config *cfg, const lf_key *key, const char *text, const char *source, lf_err *err);
/* lf_config_set, but a list that the command line gave before is made longer. */
lf_status lf_config_append(lf_config *cfg, const char *name, const char *text, lf_err *err);
/* A configuration file as JSON, from YAML (config_yaml.c). LF_EUSAGE with file and line; LF_ENOTFOUND. Caller:
 * cJSON_Delete.
 */
bool lf_config_is_yaml(const char *path); /* by its name: .yaml, .yml */
lf_status lf_config_read_yaml(cJSON **out, const char *path, lf_err *err);

lf_status lf_unknown_key(const lf_config *cfg, const char *name, const char *source, lf_err *err);

#endif
