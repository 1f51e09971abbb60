/* Text and JSON to values of the key's type, within its range and choices. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/mem.h"
#include "config/config_internal.h"

/* ---- from text ----------------------------------------------------------------------------------------------- */

bool lf_text_to_bool(const char *text, bool *out) {
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"true", true},   {"yes", true}, {"on", true},   {"1", true},
                 {"false", false}, {"no", false}, {"off", false}, {"0", false}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(text, words[i].word) != 0) continue;
        *out = words[i].value;
        return true;
    }
    return false;
}

bool lf_is_bool_word(const char *text) {
    bool ignored;
    return lf_text_to_bool(text, &ignored);
}

static lf_status parse_json_text(cJSON **out, const char *text, const lf_place *place) {
    lf_err inner = {0};
    const lf_status rc = lf_json_parse(out, text, strlen(text), "as JSON", &inner);
    if (rc == LF_ENOMEM) return lf_fail(place->err, rc, "%s", inner.message);
    return rc ? lf_place_fail(place, "%s", inner.message) : LF_OK;
}

/* Anything that looks like JSON is JSON, all else a string. */
static lf_status json_from_text(cJSON **out, const char *text, const lf_place *place) {
    double number;
    if (text[0] == '{' || text[0] == '[' || text[0] == '"') return parse_json_text(out, text, place);
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        *out = cJSON_CreateBool(text[0] == 't');
    else if (lf_text_to_number(text, &number))
        *out = cJSON_CreateNumber(number);
    else
        *out = cJSON_CreateString(text);
    return LF_OK;
}

static lf_status expected_type(const lf_key *key, const char *found, const lf_place *place) {
    return lf_place_fail(place, "expected %s, found '%.200s'", lf_key_type_expects[key->type], found);
}

/* A word that stands for a number ("auto=0" among the choices). */
static bool word_of(const lf_key *key, const char *text, double *number) {
    const char *list = key->choices;
    for (lf_choice c; list && lf_next_choice(&list, &c);)
        if (lf_slice_equal(c.given, text)) {
            *number = strtod(c.value.start, NULL);
            return true;
        }
    return false;
}

lf_status lf_value_from_text(cJSON **out, const lf_key *key, const char *text, const lf_place *place) {
    bool flag = false;
    double number = 0;
    lf_status rc = LF_OK;
    *out = NULL;
    if (!*text && key->type != LF_KEY_LIST) return lf_place_fail(place, "the value is empty");
    switch (key->type) {
    case LF_KEY_BOOL:
        if (!lf_text_to_bool(text, &flag)) return expected_type(key, text, place);
        *out = cJSON_CreateBool(flag);
        break;
    case LF_KEY_I64:
    case LF_KEY_F64:
        if (word_of(key, text, &number)) {
            *out = cJSON_CreateNumber(number);
            break;
        }
        if (!lf_text_to_number(text, &number)) return expected_type(key, text, place);
        *out = cJSON_CreateNumber(number);
        break;
    case LF_KEY_STR:
    case LF_KEY_PATH: *out = cJSON_CreateString(text); break;
    case LF_KEY_LIST:
        if (text[0] == '[')
            rc = parse_json_text(out, text, place);
        else
            *out = lf_split_commas(text);
        break;
    case LF_KEY_JSON: rc = json_from_text(out, text, place); break;
    }
    if (rc) return rc;
    return *out ? LF_OK : lf_no_memory(place->err, "key '%s'", key->name);
}

/* ---- checks -------------------------------------------------------------------------------------------------- */

static bool has_type(const cJSON *json, lf_key_type type) {
    switch (type) {
    case LF_KEY_BOOL: return cJSON_IsBool(json);
    case LF_KEY_I64:
    case LF_KEY_F64: return cJSON_IsNumber(json);
    case LF_KEY_STR:
    case LF_KEY_PATH: return cJSON_IsString(json);
    case LF_KEY_LIST: return lf_is_string_array(json);
    case LF_KEY_JSON: return !cJSON_IsNull(json);
    }
    return false;
}

static lf_status wrong_type(const cJSON *json, const lf_key *key, const lf_place *place) {
    char *found = lf_json_print_line(json);
    const lf_status rc = expected_type(key, found ? found : "?", place);
    lf_free(found);
    return rc;
}

static lf_status out_of_range(double found, const lf_key *key, const lf_place *place) {
    const char *kind = lf_key_type_expects[key->type];
    if (key->max >= LF_NO_MAX)
        return lf_place_fail(place, "expected %s from %.9g up, found %.17g", kind, key->min, found);
    return lf_place_fail(place, "expected %s from %.9g to %.9g, found %.17g", kind, key->min, key->max, found);
}

static lf_status check_number(const cJSON *json, const lf_key *key, const lf_place *place) {
    const double x = json->valuedouble;
    const bool bounded = key->min != 0 || key->max != 0;
    int64_t whole;
    if (!isfinite(x) || (key->type == LF_KEY_I64 && !lf_json_exact_i64(json, &whole)))
        return lf_place_fail(place, "expected %s, found %.17g", lf_key_type_expects[key->type], x);
    if (bounded && (x < key->min || x > key->max)) return out_of_range(x, key, place);
    return LF_OK;
}

/* "pissa_niter_16" is a case of "pissa_niter_N". */
static bool choice_matches(lf_slice given, const char *text) {
    if (lf_slice_equal(given, text)) return true;
    const size_t stem = given.length > 2 && given.start[given.length - 1] == 'N' && given.start[given.length - 2] == '_'
                            ? (size_t)given.length - 1
                            : 0;
    if (stem == 0 || strncmp(text, given.start, stem) != 0) return false;
    const char *digits = text + stem;
    const size_t n = strspn(digits, "0123456789");
    return n >= 1 && n <= 3 && !digits[n] && digits[0] != '0';
}

void lf_choices_text(const char *choices, char *out, size_t size) {
    lf_choice c;
    size_t used = 0;
    if (size) out[0] = '\0';
    while (lf_next_choice(&choices, &c)) {
        if (c.reason.length || c.value.start != c.given.start || used >= size) continue;
        const int n = snprintf(out + used, size - used, "%s%.*s", used ? ", " : "", c.given.length, c.given.start);
        used += n > 0 ? (size_t)n : 0;
    }
}

/* "output" takes a word, "output_file" the file: who gives one a file meant the other. */
static const lf_key *file_beside(const lf_key *key) {
    const size_t n = strlen(key->name);
    for (size_t i = 0; i < lf_n_keys; i++) {
        const lf_key *k = &lf_keys[i];
        if (k->type == LF_KEY_PATH && (k->verbs & key->verbs) == key->verbs && !strncmp(k->name, key->name, n) &&
            k->name[n] == '_')
            return k;
    }
    return NULL;
}

static lf_status no_such_choice(const char *text, const lf_key *key, const lf_place *place) {
    char known[512], flag[64] = "";
    lf_choices_text(key->choices, known, sizeof known);
    const lf_key *file = strpbrk(text, "./") ? file_beside(key) : NULL;
    if (!file) return lf_place_fail(place, "expected one of %s, found '%.200s'", known, text);
    if (file->aliases) snprintf(flag, sizeof flag, "-%.1s or ", file->aliases);
    return lf_place_fail(place, "expected one of %s, found '%.200s'; a file is given as %s--%s", known, text, flag,
                         file->name);
}

static lf_status check_choice(cJSON **json, const lf_key *key, const lf_place *place) {
    const char *list = key->choices, *text = NULL;
    lf_choice c;
    if (cJSON_IsString(*json)) text = (*json)->valuestring;
    if (cJSON_IsBool(*json)) text = cJSON_IsTrue(*json) ? "true" : "false";
    if (!text) return wrong_type(*json, key, place);
    while (lf_next_choice(&list, &c)) {
        if (!choice_matches(c.given, text)) continue;
        if (c.reason.length) return lf_place_fail(place, "'%s': %.*s", text, c.reason.length, c.reason.start);
        if (c.value.start == c.given.start) return LF_OK;
        char value[64];
        snprintf(value, sizeof value, "%.*s", c.value.length, c.value.start);
        return lf_value_replace(json, cJSON_CreateString(value), place->err);
    }
    return no_such_choice(text, key, place);
}

/* Each of a list. A choice that is read as nothing ("none=") stands alone and makes the list empty; what is there
 * already is not said twice. */
static lf_status check_choices(cJSON **json, const lf_key *key, const lf_place *place) {
    cJSON *chosen = cJSON_CreateArray(), *item;
    bool ok = chosen != NULL;
    lf_status rc = LF_OK;
    for (item = (*json)->child; item && ok && !rc; item = item->next) {
        cJSON *one = cJSON_CreateString(item->valuestring), *there;
        if (!(ok = one != NULL) || (rc = check_choice(&one, key, place))) {
            cJSON_Delete(one);
            break;
        }
        bool leave = !*one->valuestring;
        if (leave && (*json)->child->next) rc = lf_place_fail(place, "'%.200s' beside others", item->valuestring);
        cJSON_ArrayForEach(there, chosen) leave = leave || strcmp(there->valuestring, one->valuestring) == 0;
        if (leave || !(ok = cJSON_AddItemToArray(chosen, one))) cJSON_Delete(one);
    }
    if (!rc) return lf_value_replace(json, ok ? chosen : (cJSON_Delete(chosen), NULL), place->err);
    cJSON_Delete(chosen);
    return rc;
}

lf_status lf_value_check(cJSON **json, const lf_key *key, const lf_place *place) {
    lf_status rc = LF_OK;
    if (key->type == LF_KEY_LIST && cJSON_IsString(*json)) { /* "a,b" in a file */
        cJSON *list;
        if ((rc = lf_value_from_text(&list, key, (*json)->valuestring, place)) ||
            (rc = lf_value_replace(json, list, place->err)))
            return rc;
    }
    double number;
    const bool counts = key->type == LF_KEY_I64 || key->type == LF_KEY_F64;
    if (counts && cJSON_IsString(*json) && word_of(key, (*json)->valuestring, &number) &&
        (rc = lf_value_replace(json, cJSON_CreateNumber(number), place->err)))
        return rc;
    if (!has_type(*json, key->type)) return wrong_type(*json, key, place);
    if (cJSON_IsString(*json) && !*(*json)->valuestring) return lf_place_fail(place, "the value is empty");
    if (counts) return check_number(*json, key, place);
    if (key->choices && key->type == LF_KEY_LIST) return check_choices(json, key, place);
    if (key->choices && (rc = check_choice(json, key, place))) return rc;
    return key->type == LF_KEY_JSON ? lf_form_check(json, key, place) : LF_OK;
}
