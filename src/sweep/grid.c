#include "sweep/grid.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/obj.h"
#include "config/config.h"

/* Keys whose values go together: one dimension of a grid. */
typedef struct axis {
    cJSON *values; /* object: key -> array; all of the same length. Owned. */
    int n;
} axis;
enum { MAX_AXES = 64 };
typedef struct grid_axes {
    axis at[MAX_AXES];
    int n;
} grid_axes;

static lf_status fail(lf_err *err, const char *source, const char *key, const char *what) {
    return lf_fail(err, LF_EUSAGE, "key 'sweep' (in %s): %s%.64s%s%s", source, key ? "'" : "", key ? key : "",
                   key ? "': " : "", what);
}

/* ---- values ---- */

/* Numbers that are written as one would write them: 0.001, not 0.0010000000000000002. */
static double rounded(double x, int digits) {
    char text[40];
    snprintf(text, sizeof text, "%.*g", digits, x);
    sscanf(text, "%lf", &x);
    return x;
}

static lf_status spaced(cJSON **out, const cJSON *range, bool is_log, const char *source, const char *key,
                        lf_err *err) {
    static const char expected[] = "expected {\"log\": [first, last, n]} or {\"linear\": [first, last, n]}, n from 2 "
                                   "on (first and last above 0 for log)";
    const cJSON *first = cJSON_GetArrayItem(range, 0), *last = cJSON_GetArrayItem(range, 1);
    int64_t n;
    if (!cJSON_IsArray(range) || cJSON_GetArraySize(range) != 3 || !cJSON_IsNumber(first) || !cJSON_IsNumber(last) ||
        !lf_json_exact_i64(cJSON_GetArrayItem(range, 2), &n) || n < 2)
        return fail(err, source, key, expected);
    const double a = first->valuedouble, b = last->valuedouble;
    if (!isfinite(a) || !isfinite(b) || (is_log && !(a > 0 && b > 0))) return fail(err, source, key, expected);
    if (!isfinite(is_log ? b / a : b - a) || (is_log && b / a == 0))
        return fail(err, source, key, "first and last are too far apart for a number to stand between them");
    if (n > LF_MAX_POINTS) {
        char text[96];
        snprintf(text, sizeof text, "%lld values, expected at most %d", (long long)n, LF_MAX_POINTS);
        return fail(err, source, key, text);
    }
    *out = cJSON_CreateArray();
    for (int64_t i = 0; i < n; i++) {
        const double t = (double)i / (double)(n - 1);
        const double x = i == 0       ? a
                         : i == n - 1 ? b
                         : is_log     ? rounded(a * pow(b / a, t), 6)
                                      : rounded(a + (b - a) * t, 12);
        cJSON *number = cJSON_CreateNumber(x);
        if (!*out || !number || !cJSON_AddItemToArray(*out, number)) {
            cJSON_Delete(number);
            return lf_no_memory(err, "the points of a sweep");
        }
    }
    return LF_OK;
}

static lf_status read_values(cJSON **out, const cJSON *spec, const char *source, const char *key, lf_err *err) {
    *out = NULL;
    if (cJSON_IsObject(spec) && cJSON_GetArraySize(spec) == 1) {
        const bool is_log = strcmp(spec->child->string, "log") == 0;
        if (is_log || strcmp(spec->child->string, "linear") == 0)
            return spaced(out, spec->child, is_log, source, key, err);
    }
    if (!cJSON_IsArray(spec))
        return fail(err, source, key,
                    "expected a list of values, {\"log\": [first, last, n]} or {\"linear\": [first, last, n]}");
    if (cJSON_GetArraySize(spec) == 0)
        return fail(err, source, key, "the list is empty; give a value, or leave the key out");
    return (*out = cJSON_Duplicate(spec, true)) ? LF_OK : lf_no_memory(err, "the points of a sweep");
}

/* ---- axes ---- */

static bool has_key(const grid_axes *g, const char *name) {
    for (int i = 0; i < g->n; i++)
        if (cJSON_GetObjectItemCaseSensitive(g->at[i].values, name)) return true;
    return false;
}

static lf_status add_key(grid_axes *g, axis *a, const cJSON *member, const char *source, lf_err *err) {
    const char *name = lf_cfg_key_name("sweep", member->string);
    if (!name) { /* the message with the nearest name is the configuration's */
        lf_config *cfg = NULL;
        lf_status rc = lf_config_new(&cfg, "train", err);
        if (!rc) rc = lf_cfg_set_json(cfg, member->string, member, source, err);
        lf_config_free(cfg);
        return rc;
    }
    if (lf_key_traits(name) & (LF_IS_OF_SWEEP | LF_IS_RECORD)) /* where results go, how many run at once, ... */
        return fail(err, source, name, "is the sweep's own and cannot be swept");
    if (has_key(g, name) || cJSON_GetObjectItemCaseSensitive(a->values, name))
        return fail(err, source, name, "swept twice; delete one");
    cJSON *values;
    lf_status rc = read_values(&values, member, source, name, err);
    const int n = cJSON_GetArraySize(values);
    if (!rc && a->n && a->n != n) {
        char text[96];
        snprintf(text, sizeof text, "%d values in a zip of %d; expected as many for each key", n, a->n);
        rc = fail(err, source, name, text);
    }
    if (!rc && !cJSON_AddItemToObject(a->values, name, values)) rc = lf_no_memory(err, "the points of a sweep");
    if (rc) cJSON_Delete(values);
    a->n = n;
    return rc;
}

/* One key, or the object of a zip. */
static lf_status add_axis(grid_axes *g, const cJSON *member, bool zip, const char *source, lf_err *err) {
    if (g->n == MAX_AXES) return fail(err, source, NULL, "more keys than a sweep can have (64)");
    axis a = {.values = cJSON_CreateObject()};
    lf_status rc = a.values ? LF_OK : lf_no_memory(err, "the points of a sweep");
    const cJSON *inner;
    if (!rc && !zip)
        rc = add_key(g, &a, member, source, err);
    else if (!rc && (!cJSON_IsObject(member) || !member->child))
        rc = fail(err, source, "zip", "expected an object of keys with lists of the same length");
    else if (!rc)
        cJSON_ArrayForEach(inner, member) if ((rc = add_key(g, &a, inner, source, err))) break;
    if (rc)
        cJSON_Delete(a.values);
    else
        g->at[g->n++] = a;
    return rc;
}

static lf_status read_axes(grid_axes *g, const cJSON *spec, const char *source, lf_err *err) {
    const cJSON *member, *zip;
    lf_status rc = LF_OK;
    if (!cJSON_IsObject(spec) || !spec->child)
        return fail(err, source, NULL,
                    "expected an object of keys with lists of values, found another or an empty one");
    cJSON_ArrayForEach(member, spec) {
        if (strcmp(member->string, "zip") != 0)
            rc = add_axis(g, member, false, source, err);
        else if (!cJSON_IsArray(member) || !member->child)
            rc = add_axis(g, member, true, source, err);
        else
            cJSON_ArrayForEach(zip, member) if ((rc = add_axis(g, zip, true, source, err))) break;
        if (rc) return rc;
    }
    return LF_OK;
}

static void free_axes(grid_axes *g) {
    for (int i = 0; i < g->n; i++) cJSON_Delete(g->at[i].values);
}

/* ---- points ---- */

static double count(const grid_axes *g) {
    double n = 1;
    for (int i = 0; i < g->n; i++) n *= g->at[i].n;
    return n;
}

static bool add_name(cJSON *keys, const char *name) {
    const cJSON *known;
    cJSON_ArrayForEach(known, keys) if (strcmp(known->valuestring, name) == 0) return true;
    cJSON *text = cJSON_CreateString(name);
    if (text && cJSON_AddItemToArray(keys, text)) return true;
    cJSON_Delete(text);
    return false;
}

/* The i-th value of each key of each axis, i in mixed radix. */
static bool add_point(const lf_grid *out, const grid_axes *g, int64_t number) {
    int index[MAX_AXES];
    for (int i = g->n; i-- > 0; number /= g->at[i].n) index[i] = (int)(number % g->at[i].n);
    lf_obj point = lf_obj_new();
    for (int i = 0; i < g->n; i++) {
        const cJSON *values;
        cJSON_ArrayForEach(values, g->at[i].values) {
            lf_obj_copy(&point, values->string, cJSON_GetArrayItem(values, index[i]));
            if (!add_name(out->keys, values->string)) point.failed = true;
        }
    }
    cJSON *made = lf_obj_take(&point);
    if (made && cJSON_AddItemToArray(out->points, made)) return true;
    cJSON_Delete(made);
    return false;
}

static lf_status add_grid(lf_grid *out, const cJSON *spec, double *total, const char *source, lf_err *err) {
    grid_axes g = {0};
    lf_status rc = read_axes(&g, spec, source, err);
    if (!rc && (*total += count(&g)) > LF_MAX_POINTS)
        rc = lf_fail(err, LF_EUSAGE, "key 'sweep' (in %s): %.0f points, expected at most %d; nothing was run", source,
                     *total, LF_MAX_POINTS);
    for (int64_t i = 0; !rc && i < (int64_t)count(&g); i++)
        if (!add_point(out, &g, i)) rc = lf_no_memory(err, "the points of a sweep");
    free_axes(&g);
    return rc;
}

lf_status lf_grid_new(lf_grid *out, const cJSON *spec, const char *source, lf_err *err) {
    *out = (lf_grid){cJSON_CreateArray(), cJSON_CreateArray()};
    double total = 0;
    const cJSON *part;
    lf_status rc = out->keys && out->points ? LF_OK : lf_no_memory(err, "the points of a sweep");
    if (!rc && !cJSON_IsArray(spec))
        rc = add_grid(out, spec, &total, source, err);
    else if (!rc && !spec->child)
        rc = fail(err, source, NULL, "the list is empty; nothing would be run");
    else if (!rc)
        cJSON_ArrayForEach(part, spec) if ((rc = add_grid(out, part, &total, source, err))) break;
    if (rc) lf_grid_free(out);
    return rc;
}

void lf_grid_free(lf_grid *g) {
    cJSON_Delete(g->keys);
    cJSON_Delete(g->points);
    *g = (lf_grid){0};
}
