#include "adapter/targets.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "adapter/adapter.h"
#include "adapter/regex.h"
#include "base/json.h"
#include "base/mem.h"

/* A list of strings, or one regular expression. */
typedef struct names {
    int64_t count;
    const char **list;
    lf_regex *regex;
    char *source; /* of the regex's errors */
} names;

struct lf_targets {
    names targets, excluded;
    bool all_linear;
    int64_t n_layers, n_layer_patterns;
    int64_t *layers;
    lf_regex **layer_patterns;
    char *layer_source;
};

bool lf_json_given(const cJSON *item) { return item && !cJSON_IsNull(item); }

bool lf_name_ends(const char *name, const char *suffix) {
    const size_t n = strlen(name), k = strlen(suffix);
    if (n == k) return strcmp(name, suffix) == 0;
    return n > k && name[n - k - 1] == '.' && strcmp(name + n - k, suffix) == 0;
}

static bool all_digits(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (s[i] < '0' || s[i] > '9') return false;
    return n > 0 && n < 19;
}

bool lf_layer_number(const char *name, int64_t *layer, size_t *begin, size_t *end) {
    const char *s = name;
    for (int segment = 0;; segment++) {
        const size_t n = strcspn(s, ".");
        if (!s[n]) return false;
        if (segment >= 2 && all_digits(s, n)) {
            *layer = strtoll(s, NULL, 10);
            *begin = (size_t)(s - name);
            *end = *begin + n;
            return true;
        }
        s += n + 1;
    }
}

/* ---- from JSON ---- */

static lf_status wrong_type(const char *source, const char *key, const char *expected, lf_err *err) {
    return lf_fail(err, LF_EUSAGE, "%skey '%s': expected %s", source, key, expected);
}

static lf_status read_list(names *n, const cJSON *item, const char *source, const char *key, lf_err *err) {
    n->list = lf_calloc((size_t)cJSON_GetArraySize(item), sizeof *n->list);
    if (!n->list) return lf_no_memory(err, "%skey '%s'", source, key);
    const cJSON *entry;
    cJSON_ArrayForEach(entry, item) {
        if (!cJSON_IsString(entry) || !entry->valuestring[0])
            return wrong_type(source, key, "a list of names that are not empty", err);
        n->list[n->count++] = entry->valuestring;
    }
    return LF_OK;
}

static lf_status read_names(names *n, const cJSON *item, const char *source, const char *key, lf_err *err) {
    if (!lf_json_given(item)) return LF_OK;
    if (cJSON_IsArray(item)) return read_list(n, item, source, key, err);
    if (!cJSON_IsString(item)) return wrong_type(source, key, "a list of names or a regular expression", err);
    n->source = lf_format("%skey '%s'", source, key);
    if (!n->source) return lf_no_memory(err, "%skey '%s'", source, key);
    return lf_regex_new(&n->regex, "", item->valuestring, "", n->source, err);
}

static bool is_all_linear(const cJSON *item) {
    return cJSON_IsString(item) &&
           (!strcasecmp(item->valuestring, "all-linear") || !strcasecmp(item->valuestring, "all"));
}

static lf_status read_layers(lf_targets *t, const lf_target_rules *rules, lf_err *err) {
    static const char key[] = "layers_to_transform", expected[] = "layer numbers from 0";
    const cJSON *item = rules->layers_to_transform, *entry;
    if (!lf_json_given(item)) return LF_OK;
    const int n = cJSON_IsArray(item) ? cJSON_GetArraySize(item) : 1;
    t->layers = lf_calloc((size_t)n, sizeof *t->layers);
    if (!t->layers) return lf_no_memory(err, "%skey '%s'", rules->source, key);
    if (!cJSON_IsArray(item)) {
        t->n_layers = 1;
        return lf_json_exact_i64(item, t->layers) && t->layers[0] >= 0 ? LF_OK
                                                                       : wrong_type(rules->source, key, expected, err);
    }
    cJSON_ArrayForEach(entry, item) {
        int64_t *to = &t->layers[t->n_layers++];
        if (!lf_json_exact_i64(entry, to) || *to < 0) return wrong_type(rules->source, key, expected, err);
    }
    return LF_OK;
}

static lf_status read_layer_patterns(lf_targets *t, const lf_target_rules *rules, lf_err *err) {
    static const char key[] = "layers_pattern";
    const cJSON *item = rules->layers_pattern;
    if (!lf_json_given(item)) return LF_OK;
    if (!cJSON_IsString(item) && !cJSON_IsArray(item))
        return wrong_type(rules->source, key, "a name or a list of names", err);
    t->layer_source = lf_format("%skey '%s'", rules->source, key);
    const int n = cJSON_IsArray(item) ? cJSON_GetArraySize(item) : 1;
    t->layer_patterns = lf_calloc((size_t)n, sizeof *t->layer_patterns);
    if (!t->layer_patterns || !t->layer_source) return lf_no_memory(err, "%skey '%s'", rules->source, key);
    for (int i = 0; i < n; i++) {
        const cJSON *entry = cJSON_IsArray(item) ? cJSON_GetArrayItem(item, i) : item;
        if (!cJSON_IsString(entry)) return wrong_type(rules->source, key, "a name or a list of names", err);
        if (!cJSON_IsArray(item) && !entry->valuestring[0]) return LF_OK; /* PEFT: an empty pattern is none */
        const lf_status rc = lf_regex_new(&t->layer_patterns[t->n_layer_patterns], "(?:|.*?\\.)(?:", entry->valuestring,
                                          ")\\.(?<layer>\\d+)\\..*", t->layer_source, err);
        if (rc) return rc;
        t->n_layer_patterns++;
    }
    return LF_OK;
}

static lf_status check_combination(const lf_targets *t, const lf_target_rules *rules, lf_err *err) {
    const bool list = cJSON_IsArray(rules->target_modules);
    if (!list && (t->n_layers || t->n_layer_patterns))
        return lf_fail(
            err, LF_EUSAGE,
            "%skey '%s': works only with target_modules as a list of names, as in PEFT; with a regular expression put "
            "the layers into the expression",
            rules->source, t->n_layers ? "layers_to_transform" : "layers_pattern");
    if (t->n_layer_patterns && !lf_json_given(rules->layers_to_transform))
        return lf_fail(err, LF_EUSAGE, "%skey 'layers_pattern': needs layers_to_transform, the layers to take",
                       rules->source);
    return LF_OK;
}

lf_status lf_targets_new(lf_targets **out, const lf_target_rules *rules, lf_err *err) {
    lf_status rc;
    *out = NULL;
    lf_targets *t = lf_calloc(1, sizeof *t);
    if (!t) return lf_no_memory(err, "%skey '%s'", rules->source, "target_modules");
    t->all_linear = is_all_linear(rules->target_modules);
    if (!lf_json_given(rules->target_modules)) {
        rc = wrong_type(rules->source, "target_modules", "a list of names, a regular expression or all-linear", err);
        goto out;
    }
    if ((rc = t->all_linear ? LF_OK
                            : read_names(&t->targets, rules->target_modules, rules->source, "target_modules", err)) ||
        (rc = read_names(&t->excluded, rules->exclude_modules, rules->source, "exclude_modules", err)) ||
        (rc = read_layers(t, rules, err)) || (rc = read_layer_patterns(t, rules, err)) ||
        (rc = check_combination(t, rules, err)))
        goto out;
    if (!t->targets.list) { /* one pattern: the string itself, for the coverage table */
        t->targets.list = lf_calloc(1, sizeof *t->targets.list);
        if (!t->targets.list) {
            rc = lf_no_memory(err, "%skey '%s'", rules->source, "target_modules");
            goto out;
        }
        t->targets.list[t->targets.count++] = rules->target_modules->valuestring;
    }
    *out = t;
    t = NULL;
out:
    lf_targets_free(t);
    return rc;
}

static void free_names(names *n) {
    lf_free(n->list);
    lf_regex_free(n->regex);
    lf_free(n->source);
}

void lf_targets_free(lf_targets *t) {
    if (!t) return;
    free_names(&t->targets);
    free_names(&t->excluded);
    for (int64_t i = 0; i < t->n_layer_patterns; i++) lf_regex_free(t->layer_patterns[i]);
    lf_free(t->layer_patterns);
    lf_free(t->layer_source);
    lf_free(t->layers);
    lf_free(t);
}

int64_t lf_targets_count(const lf_targets *t) { return t->targets.count; }
const char *lf_targets_pattern(const lf_targets *t, int64_t i) { return t->targets.list[i]; }
bool lf_targets_all_linear(const lf_targets *t) { return t->all_linear; }
int64_t lf_targets_layers(const lf_targets *t) { return t->n_layers; }
int64_t lf_targets_layer(const lf_targets *t, int64_t i) { return t->layers[i]; }

bool lf_targets_wants_layer(const lf_targets *t, int64_t layer) {
    for (int64_t i = 0; i < t->n_layers; i++)
        if (t->layers[i] == layer) return true;
    return t->n_layers == 0;
}

/* ---- looking ---- */

static lf_status is_excluded(const lf_targets *t, const char *name, bool *excluded, lf_err *err) {
    *excluded = false;
    if (t->excluded.regex) return lf_regex_match(t->excluded.regex, name, excluded, err);
    for (int64_t i = 0; i < t->excluded.count && !*excluded; i++) *excluded = lf_name_ends(name, t->excluded.list[i]);
    return LF_OK;
}

static lf_status layer_is_wanted(const lf_targets *t, const char *name, bool *wanted, lf_err *err) {
    int64_t layer = -1;
    size_t begin, end;
    bool found = false;
    if (t->n_layers == 0) {
        *wanted = true;
        return LF_OK;
    }
    if (t->n_layer_patterns == 0) found = lf_layer_number(name, &layer, &begin, &end);
    for (int64_t i = 0; i < t->n_layer_patterns && !found; i++) {
        const lf_status rc = lf_regex_match_number(t->layer_patterns[i], name, &found, &layer, err);
        if (rc) return rc;
    }
    *wanted = found && lf_targets_wants_layer(t, layer);
    return LF_OK;
}

lf_status lf_targets_look(const lf_targets *t, const char *name, bool *hits, bool *excluded, lf_err *err) {
    lf_status rc = is_excluded(t, name, excluded, err);
    if (rc || *excluded) return rc;
    if (t->all_linear) {
        hits[0] = true;
        return LF_OK;
    }
    if (t->targets.regex) {
        bool hit;
        rc = lf_regex_match(t->targets.regex, name, &hit, err);
        hits[0] |= hit;
        return rc;
    }
    bool wanted;
    if ((rc = layer_is_wanted(t, name, &wanted, err))) return rc;
    for (int64_t i = 0; i < t->targets.count; i++) /* a whole name is meant whatever its layer */
        hits[i] |= strcmp(name, t->targets.list[i]) == 0 || (wanted && lf_name_ends(name, t->targets.list[i]));
    return LF_OK;
}

/* ---- rank_pattern, alpha_pattern ---- */

struct lf_patterns {
    int64_t count;
    lf_regex **regex;
    const cJSON **items;
    char *source;
};

void lf_patterns_free(lf_patterns *p) {
    if (!p) return;
    for (int64_t i = 0; i < p->count; i++) lf_regex_free(p->regex[i]);
    lf_free(p->regex);
    lf_free(p->items);
    lf_free(p->source);
    lf_free(p);
}

lf_status lf_patterns_new(lf_patterns **out, const cJSON *object, const char *source, const char *key, lf_err *err) {
    lf_status rc = LF_OK;
    *out = NULL;
    if (lf_json_given(object) && !cJSON_IsObject(object))
        return wrong_type(source, key, "an object from name patterns to numbers", err);
    const bool ranks = strcmp(key, "rank_pattern") == 0;
    const size_t n = lf_json_given(object) ? (size_t)cJSON_GetArraySize(object) : 0;
    lf_patterns *p = lf_calloc(1, sizeof *p);
    if (!p) return lf_no_memory(err, "%skey '%s'", source, key);
    p->regex = lf_calloc(n, sizeof *p->regex);
    p->items = lf_calloc(n, sizeof *p->items);
    p->source = lf_format("%skey '%s'", source, key);
    if (!p->regex || !p->items || !p->source) {
        rc = lf_no_memory(err, "%skey '%s'", source, key);
        goto out;
    }
    const cJSON *item;
    for (item = n ? object->child : NULL; item; item = item->next) {
        int64_t whole;
        const bool fits = cJSON_IsNumber(item) && item->valuedouble > 0 && isfinite(item->valuedouble);
        if (!fits || (ranks && !lf_json_exact_i64(item, &whole))) {
            rc = wrong_type(source, key, ranks ? "whole numbers above 0" : "numbers above 0", err);
            goto out;
        }
        if ((rc = lf_regex_new(&p->regex[p->count], "(?:.*\\.)?(?:", item->string, ")", p->source, err))) goto out;
        p->items[p->count++] = item;
    }
    *out = p;
    p = NULL;
out:
    lf_patterns_free(p);
    return rc;
}

lf_status lf_patterns_find(const lf_patterns *p, const char *name, const char *alias, double *value, int64_t *index,
                           lf_err *err) {
    *index = -1;
    for (int64_t i = 0; i < p->count; i++) {
        bool hit;
        lf_status rc = lf_regex_match(p->regex[i], name, &hit, err);
        if (!rc && !hit && alias) rc = lf_regex_match(p->regex[i], alias, &hit, err);
        if (rc) return rc;
        if (!hit) continue;
        *value = p->items[i]->valuedouble;
        *index = i;
        return LF_OK;
    }
    return LF_OK;
}

int64_t lf_patterns_count(const lf_patterns *p) { return p->count; }
const char *lf_patterns_at(const lf_patterns *p, int64_t i) { return p->items[i]->string; }
