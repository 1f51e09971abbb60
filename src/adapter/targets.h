/* The rules by which PEFT chooses modules from their names. Inside of the folder. */
#ifndef LF_ADAPTER_TARGETS_H
#define LF_ADAPTER_TARGETS_H

#include <cjson/cJSON.h>

#include "base/error.h"

/* Each may be NULL or JSON null. Borrowed by what is made from them. */
typedef struct lf_target_rules {
    const cJSON
        *target_modules; /* array of suffixes, or a string: all-linear, or a regular expression for the whole name */
    const cJSON *exclude_modules;
    const cJSON *layers_to_transform; /* number or array of numbers */
    const cJSON *layers_pattern;      /* string or array of strings */
    const char *source;               /* in front of keys in errors: "" or "FILE: " */
} lf_target_rules;

typedef struct lf_targets lf_targets;

lf_status lf_targets_new(lf_targets **out, const lf_target_rules *rules, lf_err *err);
void lf_targets_free(lf_targets *t);
int64_t lf_targets_count(const lf_targets *t); /* patterns in target_modules; 1 for a string */
const char *lf_targets_pattern(const lf_targets *t, int64_t i);
bool lf_targets_all_linear(const lf_targets *t); /* selects every name: the caller knows what is linear */

/* Sets hits[i] for each pattern that selects the name (others are left alone); *excluded if exclude_modules matches,
 * and then no hits. */
lf_status lf_targets_look(const lf_targets *t, const char *name, bool *hits, bool *excluded, lf_err *err);

/* layers_to_transform: how many were given, and which. */
int64_t lf_targets_layers(const lf_targets *t);
int64_t lf_targets_layer(const lf_targets *t, int64_t i);
bool lf_targets_wants_layer(const lf_targets *t, int64_t layer); /* true when none were given */

/* rank_pattern and alpha_pattern (the key): an object from patterns to positive numbers, whole ones for ranks. */
typedef struct lf_patterns lf_patterns;
lf_status lf_patterns_new(lf_patterns **out, const cJSON *object, const char *source, const char *key, lf_err *err);
void lf_patterns_free(lf_patterns *p);
/* The value of the first pattern that matches name or (may be NULL) alias. *index: which one; -1: none, *value
 * unchanged. */
lf_status lf_patterns_find(const lf_patterns *p, const char *name, const char *alias, double *value, int64_t *index,
                           lf_err *err);
int64_t lf_patterns_count(const lf_patterns *p);
const char *lf_patterns_at(const lf_patterns *p, int64_t i);

bool lf_json_given(const cJSON *item);                   /* not NULL, not JSON null */
bool lf_name_ends(const char *name, const char *suffix); /* the name itself, or a "."suffix of it */

#endif
