#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json_scan.h"
#include "base/mem.h"

/* ---- memory ---- */

static _Thread_local bool exhausted; /* cJSON says NULL for bad text and for no memory alike: this tells which */

static void *json_malloc(size_t size) {
    void *p = lf_malloc(size);
    if (!p) exhausted = true;
    return p;
}

/* Before main: no block may be taken with one allocator's count and given back with the other's. */
__attribute__((constructor)) static void install_hooks(void) {
    cJSON_Hooks hooks = {json_malloc, lf_free};
    cJSON_InitHooks(&hooks);
}

/* ---- reading ---- */

static lf_status parse_checked(cJSON **out, const lf_json_scan *t) {
    const char *end = NULL;
    exhausted = false;
    *out = cJSON_ParseWithLengthOpts(t->s, t->size + 1, &end, true);
    if (*out) return LF_OK;
    if (exhausted) return lf_no_memory(t->err, "the %zu bytes of JSON in %s", t->size, t->name);
    if (t->s[strspn(t->s, " \t\r\n")] == 0) return lf_fail(t->err, LF_EDATA, "%s: empty; expected JSON", t->name);
    const size_t at = end ? (size_t)(end - t->s) : 0;
    return lf_json_bad_text(t, at, "invalid JSON; is a comma, quote or bracket missing or one too many?");
}

lf_status lf_json_parse_at(cJSON **out, const char *text, size_t size, const char *name, uint64_t first_line,
                           lf_err *err) {
    lf_json_scan t = {.size = size, .first_line = first_line, .name = name, .err = err};
    cJSON *json = NULL;
    size_t counter = 0;
    lf_status rc;
    *out = NULL;
    if (!(t.s = size < SIZE_MAX ? lf_malloc(size + 1) : NULL))
        return lf_no_memory(err, "the %zu bytes of JSON in %s", size, name);
    if (size > 0) memcpy(t.s, text, size);
    t.s[size] = 0;
    if ((rc = lf_json_scan_text(&t)) || (rc = parse_checked(&json, &t)) || (rc = lf_json_scan_keys(&t, json, &counter)))
        goto out;
    if (!lf_json_keep_numbers(&t.numbers, text, json)) {
        rc = lf_no_memory(err, "the numbers of %s", name);
        goto out;
    }
    *out = json;
    json = NULL;
out:
    cJSON_Delete(json);
    lf_free(t.numbers.at);
    lf_free(t.s);
    return rc;
}

lf_status lf_json_parse(cJSON **out, const char *text, size_t size, const char *name, lf_err *err) {
    return lf_json_parse_at(out, text, size, name, 1, err);
}

lf_status lf_json_read(cJSON **out, const char *path, lf_err *err) {
    char *text = NULL;
    size_t size = 0;
    *out = NULL;
    lf_status rc = lf_file_read(&text, &size, path, err);
    if (rc == LF_OK) rc = lf_json_parse(out, text, size, path, err);
    lf_free(text);
    return rc;
}

lf_status lf_json_read_in(cJSON **out, const char *dir, const char *name, lf_err *err) {
    *out = NULL;
    char *path = lf_path_join(dir, name);
    lf_status rc = path ? LF_OK : lf_no_memory(err, "%s", dir);
    if (!rc && lf_exists(path) && !lf_is_file(path)) /* a folder may be from elsewhere, and a pipe has no end */
        rc = lf_fail(err, LF_EDATA, "%s: expected a file, found something else", path);
    if (!rc) rc = lf_json_read(out, path, err);
    lf_free(path);
    return rc;
}

/* ---- typed members ---- */

static void found_number(char *buf, size_t size, const cJSON *item) {
    const char *exact = lf_json_long_integer(item);
    if (exact)
        snprintf(buf, size, "%.60s", exact);
    else
        snprintf(buf, size, "%.17g", item->valuedouble);
}

static lf_status wrong_type(const cJSON *item, const char *key, const char *expected, const char *name, lf_err *err) {
    char found[64] = "nothing";
    if (cJSON_IsString(item))
        snprintf(found, sizeof found, "\"%.50s\"", item->valuestring);
    else if (cJSON_IsNumber(item))
        found_number(found, sizeof found, item);
    else if (cJSON_IsBool(item))
        snprintf(found, sizeof found, "%s", cJSON_IsTrue(item) ? "true" : "false");
    else if (cJSON_IsObject(item))
        snprintf(found, sizeof found, "an object");
    else if (cJSON_IsArray(item))
        snprintf(found, sizeof found, "a list");
    return lf_fail(err, LF_EDATA, "%s: key '%.100s': expected %s, found %s", name, key, expected, found);
}

/* *out = NULL if absent or null. */
static lf_status member(const cJSON **out, const cJSON *o, const char *key, const char *name, lf_err *err) {
    *out = NULL;
    if (o && !cJSON_IsObject(o)) return lf_fail(err, LF_EDATA, "%s: expected an object with key '%s'", name, key);
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);
    if (!cJSON_IsNull(item)) *out = item;
    return LF_OK;
}

lf_status lf_json_get_i64(const cJSON *o, const char *key, int64_t fallback, int64_t *out, const char *name,
                          lf_err *err) {
    const cJSON *item;
    const lf_status rc = member(&item, o, key, name, err);
    *out = fallback;
    if (rc || !item) return rc;
    return lf_json_exact_i64(item, out) ? LF_OK : wrong_type(item, key, "an integer of 64 bits", name, err);
}

double lf_json_number(const cJSON *value) {
    return cJSON_IsNumber(value) && isfinite(value->valuedouble) ? value->valuedouble : NAN;
}

double lf_json_number_in(const cJSON *o, const char *key) {
    return lf_json_number(cJSON_GetObjectItemCaseSensitive(o, key));
}

lf_status lf_json_get_f64(const cJSON *o, const char *key, double fallback, double *out, const char *name,
                          lf_err *err) {
    const cJSON *item;
    const lf_status rc = member(&item, o, key, name, err);
    *out = fallback;
    if (rc || !item) return rc;
    if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble))
        return wrong_type(item, key, "a finite number", name, err);
    *out = item->valuedouble;
    return LF_OK;
}

lf_status lf_json_get_bool(const cJSON *o, const char *key, bool fallback, bool *out, const char *name, lf_err *err) {
    const cJSON *item;
    const lf_status rc = member(&item, o, key, name, err);
    *out = fallback;
    if (rc || !item) return rc;
    if (!cJSON_IsBool(item)) return wrong_type(item, key, "true or false", name, err);
    *out = cJSON_IsTrue(item);
    return LF_OK;
}

lf_status lf_json_get_str(const cJSON *o, const char *key, const char *fallback, const char **out, const char *name,
                          lf_err *err) {
    const cJSON *item;
    const lf_status rc = member(&item, o, key, name, err);
    *out = fallback;
    if (rc || !item) return rc;
    if (!cJSON_IsString(item)) return wrong_type(item, key, "a string", name, err);
    *out = item->valuestring;
    return LF_OK;
}
