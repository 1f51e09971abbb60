/* What a file or folder is: the table of kinds is gone through, and the first that knows it looks at it. */
#include "tools/what_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/cells.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/slice.h"
#include "base/terminal.h"
#include "config/config.h"
#include "data/walk.h"

static const struct {
    const char *id;
    bool folder;
    const char *said;
    bool (*is)(const lf_what_of *w);
    lf_status (*look)(lf_what_of *w);
} kinds[] = {
#define LF_WHAT(id, folder, said) {#id, folder, said, lf_kind_is_##id, lf_kind_look_##id},
#include "tools/what.def"
#undef LF_WHAT
};

enum { N_KINDS = sizeof kinds / sizeof *kinds };

/* ---- what kinds say ---- */

void lf_what_problem(lf_what_of *w, const char *message) {
    if (w->n_problems++ < LF_WHAT_PROBLEMS) lf_list_string(&w->problems, message);
}

lf_status lf_what_note(lf_what_of *w, lf_status rc, const lf_err *found) {
    if (rc == LF_OK || rc == LF_ENOMEM || rc == LF_EINTERRUPTED) return rc;
    lf_what_problem(w, found->message);
    return LF_OK;
}

void lf_what_count(lf_what_of *w, const char *key, int64_t n) { lf_obj_number(&w->facts, key, (double)n); }

bool lf_what_has_dir(const lf_what_of *w, const char *name) {
    char *path = lf_path_join(w->path, name);
    const bool is = path && lf_is_dir(path);
    lf_free(path);
    return is;
}

void lf_what_members(lf_what_of *w, const cJSON *o, bool main, const char *const *keys) {
    const cJSON *v;
    cJSON_ArrayForEach(v, o) {
        bool wanted = main && lf_key_traits(v->string) & LF_IS_MAIN;
        for (const char *const *k = keys; *k; k++) wanted = wanted || strcmp(*k, v->string) == 0;
        if (wanted && !cJSON_IsNull(v)) lf_obj_copy(&w->facts, v->string, v);
    }
}

void lf_what_names(lf_what_of *w, const char *key, const char *const *values, int64_t n) {
    enum { SHOWN = 20 };
    lf_obj list = lf_list_new();
    for (int64_t i = 0; i < n && i < SHOWN; i++) lf_list_string(&list, values[i]);
    if (n > SHOWN) lf_list_string(&list, "...");
    lf_obj_put(&w->facts, key, lf_obj_take(&list));
}

/* ---- how large ---- */

typedef struct sizes {
    int64_t files, bytes;
} sizes;

static lf_status add_size(void *context, const char *path, lf_err *err) {
    (void)err;
    sizes *s = context;
    const int64_t bytes = lf_file_size(path);
    s->files++;
    if (bytes > 0) s->bytes += bytes;
    return LF_OK;
}

static lf_status measure(lf_what_of *w, lf_err *err) {
    sizes s = {0};
    if (!w->names) {
        lf_what_count(w, "bytes", lf_file_size(w->path));
        return LF_OK;
    }
    const lf_status rc = lf_walk_files(&(lf_walk){.context = &s, .file = add_size}, w->path, err);
    lf_what_count(w, "files", s.files);
    lf_what_count(w, "bytes", s.bytes);
    return rc;
}

/* ---- which of them ---- */

static lf_status begin(lf_what_of *w, lf_err *err) {
    if (lf_is_dir(w->path)) return lf_list_dir(&w->names, &w->n_names, w->path, err);
    if (!lf_exists(w->path)) return lf_fail(err, LF_ENOTFOUND, "%s: no such file or folder", w->path);
    if (!lf_is_file(w->path)) return lf_fail(err, LF_EDATA, "%s: neither a file nor a folder", w->path);
    const lf_status rc = lf_file_begins(w->begins, sizeof w->begins, &w->n_begins, w->path, err);
    if (!rc && !w->n_begins) return lf_fail(err, LF_EDATA, "%s: the file is empty", w->path);
    if (rc || !lf_has_extension(w->name, "json")) return rc;
    return lf_json_read(&w->json, w->path, &w->not_json) == LF_ENOMEM ? lf_no_memory(err, "%s", w->path) : LF_OK;
}

static lf_status nobody_knows(lf_what_of *w, lf_err *err) {
    if (w->names && !w->n_names) return lf_fail(err, LF_EDATA, "%s: an empty folder", w->path);
    if (w->names)
        return lf_fail(err, LF_EDATA, "%s: a folder of nothing that is known: %zu names, the first of them '%.100s'",
                       w->path, w->n_names, w->names[0]);
    char hex[3 * 8 + 1] = "";
    for (size_t i = 0; i < 8 && i < w->n_begins; i++) snprintf(hex + 3 * i, 4, " %02x", w->begins[i]);
    return lf_fail(err, LF_EDATA, "%s: a file of no kind that is known; it begins with the bytes%s", w->path, hex);
}

/* *kind: N_KINDS where nobody knows it. */
static lf_status look(lf_what_of *w, size_t *kind, lf_err *err) {
    lf_err found = {0};
    lf_status rc = begin(w, &found);
    for (*kind = rc ? N_KINDS : 0; *kind < N_KINDS; ++*kind)
        if (kinds[*kind].folder == (w->names != NULL) && kinds[*kind].is(w)) break;
    if (!rc) rc = measure(w, &found);
    if (!rc) rc = *kind < N_KINDS ? kinds[*kind].look(w) : nobody_knows(w, &found);
    rc = lf_what_note(w, rc, &found);
    return rc == LF_ENOMEM ? lf_no_memory(err, "%s", w->path) : rc ? lf_fail(err, rc, "interrupted") : LF_OK;
}

lf_status lf_what(lf_obj *list, int64_t *problems, const char *path, lf_err *err) {
    lf_what_of w = {.path = path, .name = lf_path_base(path), .facts = lf_obj_new(), .problems = lf_list_new()};
    size_t kind;
    const lf_status rc = look(&w, &kind, err);
    if (w.n_problems > LF_WHAT_PROBLEMS) lf_what_count(&w, "more_problems", w.n_problems - LF_WHAT_PROBLEMS);
    lf_obj o = lf_obj_new();
    lf_obj_string(&o, "path", path);
    if (kind < N_KINDS)
        lf_obj_string(&o, "kind", kinds[kind].id);
    else
        lf_obj_put(&o, "kind", cJSON_CreateNull());
    lf_obj_string(&o, "said", kind < N_KINDS ? kinds[kind].said : "nothing that is known");
    lf_obj_put(&o, "facts", lf_obj_take(&w.facts));
    lf_obj_put(&o, "problems", lf_obj_take(&w.problems));
    lf_list_put(list, lf_obj_take(&o));
    *problems += w.n_problems;
    lf_free(w.names);
    cJSON_Delete(w.json);
    return rc;
}

/* ---- as lines ---- */

enum { NAMES = 29 }; /* columns */

static void print_fact(FILE *out, const char *name, const char *value, bool cut) {
    char indented[128];
    snprintf(indented, sizeof indented, "  %s", name);
    lf_print_pair(out, indented, NAMES, value, cut);
}

void lf_what_print(FILE *out, const cJSON *what) {
    const cJSON *v;
    lf_print_line(out, "%s: %s", cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(what, "path")),
                  cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(what, "said")));
    cJSON_ArrayForEach(v, cJSON_GetObjectItemCaseSensitive(what, "facts")) {
        char *text = cJSON_IsString(v) ? lf_strdup(v->valuestring) : lf_json_print_line(v);
        print_fact(out, v->string, text ? text : "", true);
        lf_free(text);
    }
    cJSON_ArrayForEach(v, cJSON_GetObjectItemCaseSensitive(what, "problems"))
        print_fact(out, "PROBLEM", v->valuestring, false);
}
