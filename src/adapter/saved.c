#include "adapter/saved.h"

#include <string.h>

#include "adapter/adapter.h"
#include "base/mem.h"
#include "base/string.h"

/* Do the first n letters of `path` end with the name? whole: only where a segment begins. */
static bool ends_with(const char *name, const char *path, size_t n, bool whole) {
    const size_t k = strlen(name);
    return k > 0 && k <= n && memcmp(path + n - k, name, k) == 0 && (!whole || k == n || path[n - k - 1] == '.');
}

/* Does that of the module, the first `length` letters of `path`, or of one that it is part of? */
static bool means(const char *name, const char *path, size_t length, bool whole) {
    for (size_t n = strcspn(path, "."); n < length; n += 1 + strcspn(path + n + 1, "."))
        if (ends_with(name, path, n, whole)) return true;
    return ends_with(name, path, length, whole);
}

static bool one_means(const cJSON *names, const char *path, size_t length, bool whole) {
    const cJSON *item;
    cJSON_ArrayForEach(item,
                       names) if (cJSON_IsString(item) && means(item->valuestring, path, length, whole)) return true;
    return false;
}

static size_t module_length(const char *param) {
    const char *dot = strrchr(param, '.');
    return dot ? (size_t)(dot - param) : 0;
}

bool lf_saves_by(const char *name, const char *module) { return means(name, module, strlen(module), false); }
bool lf_saves_module(const cJSON *names, const char *module) { return one_means(names, module, strlen(module), false); }
bool lf_saves_param(const cJSON *names, const char *param) {
    return one_means(names, param, module_length(param), false);
}
bool lf_saves_twice(const cJSON *names, const char *param) {
    const size_t length = module_length(param);
    int count = 0;
    for (size_t n = strcspn(param, "."); n <= length; n += 1 + strcspn(param + n + 1, ".")) {
        const cJSON *item;
        bool ends = false;
        cJSON_ArrayForEach(item, names) ends = ends || ends_with(item->valuestring, param, n, false);
        count += ends;
    }
    return count > 1;
}

bool lf_saves_instead(const cJSON *names, const char *module) { return one_means(names, module, strlen(module), true); }

/* ---- a model's names ---- */

/* A tied output layer has no parameter of its own name, and a class token no module. */
static bool is_there(const lf_nn *nn, const char *name) {
    for (int64_t i = 0; i < nn->n_modules; i++) {
        const char *const spelled[] = {nn->modules[i]->name, nn->modules[i]->alias};
        for (int k = 0; k < 2; k++)
            if (means(name, spelled[k], strlen(spelled[k]), false)) return true;
    }
    for (int64_t i = 0; i < nn->n_params; i++) {
        const char *const spelled[] = {nn->params[i]->name, nn->params[i]->file_name};
        for (int k = 0; k < 2; k++)
            if (means(name, spelled[k], module_length(spelled[k]), false)) return true;
    }
    return false;
}

static const char *leaf_of(const lf_module *m) {
    const char *dot = strrchr(m->name, '.');
    return dot ? dot + 1 : m->name;
}

/* The last parts of the modules' names, each once. */
static char *some_names(const lf_nn *nn) {
    enum { MOST = 24 };
    const char *seen[MOST];
    lf_string t = {0};
    int n = 0;
    for (int64_t i = 0; i < nn->n_modules && n < MOST; i++) {
        const char *leaf = leaf_of(nn->modules[i]);
        bool known = !nn->modules[i]->weight;
        for (int k = 0; k < n && !known; k++) known = strcmp(seen[k], leaf) == 0;
        if (known) continue;
        lf_string_add(&t, "%s%s", n ? ", " : "", leaf);
        seen[n++] = leaf;
    }
    return lf_string_take(&t);
}

lf_status lf_adapter_check_saves(const lf_nn *nn, const cJSON *names, lf_err *err) {
    const cJSON *item;
    cJSON_ArrayForEach(item, names) {
        if (is_there(nn, item->valuestring)) continue;
        char *list = some_names(nn);
        const lf_status rc = lf_fail(
            err, LF_EUSAGE, "modules_to_save: this model has no module whose name ends with '%s'; try some of: %s",
            item->valuestring, list ? list : "");
        lf_free(list);
        return rc;
    }
    return LF_OK;
}

void lf_adapter_mark_saved(lf_nn *nn, const cJSON *names) {
    for (int64_t i = 0; i < nn->n_modules; i++) {
        lf_module *m = nn->modules[i];
        if (m->feeds_head && (lf_saves_module(names, m->name) || lf_saves_module(names, m->alias))) m->saved = true;
    }
}
