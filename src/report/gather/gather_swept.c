/* Which keys a set of runs is about, which runs are still to come, and the order of all. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/obj.h"
#include "config/config.h"
#include "report/gather/gather_internal.h"

/* What is evaluated when is not among them: the best checkpoint depends on it. */
static bool is_beside(const char *key) { return (lf_key_traits(key) & LF_IS_BESIDE) != 0; }

static const cJSON *value_of(const lf_gathered_run *r, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(r->config, key);
}

/* ---- swept keys ---- */

static bool is_swept(const lf_gathered *g, const char *key) {
    for (int64_t i = 0; i < g->n_swept; i++)
        if (strcmp(g->swept[i], key) == 0) return true;
    return false;
}

static lf_status add_swept(lf_gathered *g, const char *key, lf_err *err) {
    if (is_swept(g, key)) return LF_OK;
    char *copy = lf_strdup(key);
    if (!copy || !lf_grow(&g->swept, &g->swept_capacity, g->n_swept + 1)) {
        lf_free(copy);
        return lf_no_memory(err, "the runs that are gathered");
    }
    g->swept[g->n_swept++] = copy;
    return LF_OK;
}

static bool differs(const lf_gathered *g, const char *key) {
    for (int64_t i = 1; i < g->n_runs; i++)
        if (lf_value_compare(value_of(&g->runs[0], key), value_of(&g->runs[i], key)) != 0) return true;
    return false;
}

/* Keys of the first run, then those that it does not have. */
static lf_status add_differing(lf_gathered *g, lf_err *err) {
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < g->n_runs && !rc; i++) {
        const cJSON *v;
        cJSON_ArrayForEach(v, g->runs[i].config) {
            if (i > 0 && value_of(&g->runs[0], v->string)) continue;
            if (!is_beside(v->string) && differs(g, v->string) && (rc = add_swept(g, v->string, err))) break;
        }
    }
    return rc;
}

/* ---- sweep.json ---- */

static lf_status list_of(const cJSON **out, const lf_sweep_file *f, const char *key, bool objects, lf_err *err) {
    const cJSON *v;
    *out = cJSON_GetObjectItemCaseSensitive(f->json, key);
    if (!cJSON_IsArray(*out))
        return lf_fail(err, LF_EDATA, "%s: key '%s': expected a list; was the file written by lora-ft sweep?", f->path,
                       key);
    cJSON_ArrayForEach(v, *out) if (objects ? !cJSON_IsObject(v) : !cJSON_IsString(v)) return lf_fail(
        err, LF_EDATA, "%s: key '%s': expected a list of %s only", f->path, key, objects ? "objects" : "strings");
    return LF_OK;
}

lf_status lf_sweep_file_read(lf_sweep_file *f, const char *dir, lf_err *err) {
    if (!(f->path = lf_path_join(dir, "sweep.json"))) return lf_no_memory(err, "the runs that are gathered");
    if (!lf_is_file(f->path)) return LF_OK;
    lf_status rc;
    if ((rc = lf_json_read(&f->json, f->path, err)) || (rc = list_of(&f->swept, f, "swept", false, err)) ||
        (rc = list_of(&f->runs, f, "runs", false, err)) || (rc = list_of(&f->points, f, "points", true, err)))
        return rc;
    f->config = cJSON_GetObjectItemCaseSensitive(f->json, "config");
    const int n = cJSON_GetArraySize(f->runs), m = cJSON_GetArraySize(f->points);
    return n == m ? LF_OK
                  : lf_fail(err, LF_EDATA, "%s: expected as many points as runs, found %d and %d", f->path, m, n);
}

void lf_sweep_file_close(lf_sweep_file *f) {
    cJSON_Delete(f->json);
    lf_free(f->path);
    *f = (lf_sweep_file){0};
}

bool lf_sweep_file_lists(const lf_sweep_file *f, const char *name) {
    const cJSON *v;
    if (!f->json) return true;
    cJSON_ArrayForEach(v, f->runs) if (strcmp(v->valuestring, name) == 0) return true;
    return false;
}

/* A path below the folder, and not out of it again. */
static bool is_below(const char *name) {
    if (!name[0] || name[0] == '/') return false;
    for (const char *part = name; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (!part[2] || part[2] == '/')) return false;
    }
    return true;
}

static int64_t find_run(const lf_gathered *g, int64_t n, const char *name) {
    for (int64_t i = 0; i < n; i++)
        if (strcmp(g->runs[i].name, name) == 0) return i;
    return -1;
}

/* ---- runs that are not begun ---- */

static bool same_keys(const cJSON *a, const cJSON *b) {
    const cJSON *v;
    cJSON_ArrayForEach(v, a) if (!cJSON_GetObjectItemCaseSensitive(b, v->string)) return false;
    return cJSON_GetArraySize(a) == cJSON_GetArraySize(b);
}

/* A run of the sweep that has begun, best one whose point sets the same keys; -1: none has. */
static int64_t find_sibling(const lf_gathered *g, int64_t begun, const lf_sweep_file *f, const cJSON *point) {
    int64_t any = -1;
    for (const cJSON *name = f->runs->child, *other = f->points->child; name && other;
         name = name->next, other = other->next) {
        const int64_t i = find_run(g, begun, name->valuestring);
        if (i >= 0 && same_keys(other, point)) return i;
        if (i >= 0 && any < 0) any = i;
    }
    return any;
}

static void set(lf_obj *o, const cJSON *value) {
    lf_obj_drop(o, value->string);
    lf_obj_copy(o, value->string, value);
}

/* What is not swept is as in the runs that have begun. */
static cJSON *planned_config(const lf_gathered *g, int64_t begun, const lf_sweep_file *f, const cJSON *point) {
    const int64_t sibling = find_sibling(g, begun, f, point);
    const cJSON *v, *from = sibling >= 0 ? g->runs[sibling].config : f->config;
    lf_obj o = cJSON_IsObject(from) ? lf_obj_of(cJSON_Duplicate(from, true)) : lf_obj_new();
    lf_obj_drop(&o, "output_dir");
    cJSON_ArrayForEach(v, point) set(&o, v);
    return lf_obj_take(&o);
}

static lf_status add_planned(lf_gathered *g, int64_t begun, const lf_sweep_file *f, const char *name,
                             const cJSON *point, lf_err *err) {
    if (!is_below(name))
        return lf_fail(err, LF_EDATA, "%s: key 'runs': expected paths below the sweep's folder, found '%.200s'",
                       f->path, name);
    if (find_run(g, g->n_runs, name) >= 0) return LF_OK;
    cJSON *config = planned_config(g, begun, f, point);
    char *copy = lf_strdup(name), *path = lf_path_join(g->dir, name);
    lf_gathered_run *r = config && copy && path ? lf_gathered_add(g) : NULL;
    if (!r) {
        cJSON_Delete(config);
        lf_free(copy);
        lf_free(path);
        return lf_no_memory(err, "the runs that are gathered");
    }
    r->name = copy;
    r->config = config;
    double rate;
    int64_t seed;
    lf_status rc = lf_json_get_f64(config, "learning_rate", 0, &rate, f->path, err);
    if (!rc) rc = lf_json_get_i64(config, "seed", 0, &seed, f->path, err);
    if (!rc) rc = lf_gathered_look(r, path, err); /* it may have failed before it wrote its configuration */
    lf_free(path);
    return rc;
}

/* ---- order ---- */

typedef struct place {
    const lf_gathered *g;
    lf_gathered_run run;
} place;

static int by_swept_then_name(const void *a, const void *b) {
    const place *x = a, *y = b;
    for (int64_t i = 0; i < x->g->n_swept; i++) {
        const int c = lf_value_compare(value_of(&x->run, x->g->swept[i]), value_of(&y->run, x->g->swept[i]));
        if (c) return c;
    }
    return strcmp(x->run.name, y->run.name);
}

static lf_status sort_runs(lf_gathered *g, lf_err *err) {
    place *places = lf_calloc((size_t)g->n_runs, sizeof *places);
    if (!places) return lf_no_memory(err, "the runs that are gathered");
    for (int64_t i = 0; i < g->n_runs; i++) places[i] = (place){g, g->runs[i]};
    qsort(places, (size_t)g->n_runs, sizeof *places, by_swept_then_name);
    for (int64_t i = 0; i < g->n_runs; i++) g->runs[i] = places[i].run;
    lf_free(places);
    return LF_OK;
}

lf_status lf_gathered_finish(lf_gathered *g, const lf_sweep_file *sweep, lf_err *err) {
    const cJSON *key;
    const int64_t begun = g->n_runs;
    lf_status rc = LF_OK;
    cJSON_ArrayForEach(key, sweep->swept) if ((rc = add_swept(g, key->valuestring, err))) break;
    if (!rc) rc = add_differing(g, err);
    if (!rc && sweep->json)
        for (const cJSON *name = sweep->runs->child, *point = sweep->points->child; name && point && !rc;
             name = name->next, point = point->next)
            rc = add_planned(g, begun, sweep, name->valuestring, point, err);
    return rc ? rc : sort_runs(g, err);
}
