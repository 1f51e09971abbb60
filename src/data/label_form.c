#include "data/label_form.h"

#include <string.h>

static lf_status check_columns(const cJSON *columns, const char *key, lf_err *err) {
    const cJSON *v, *w;
    bool good = cJSON_IsArray(columns) && columns->child;
    cJSON_ArrayForEach(v, columns) {
        good = good && cJSON_IsString(v) && *v->valuestring;
        for (w = columns->child; good && w != v; w = w->next) good = strcmp(w->valuestring, v->valuestring) != 0;
    }
    if (good) return LF_OK;
    return lf_fail(err, LF_EUSAGE,
                   "%s: 'label_columns': expected a list of the columns of 0 and 1, each once: [\"cat\", \"dog\"]",
                   key);
}

lf_status lf_label_form_take(lf_label_form *out, const cJSON *member, bool *taken, const char *key, lf_err *err) {
    *taken = true;
    if (!strcmp(member->string, "label_columns")) {
        out->columns = member;
        return check_columns(member, key, err);
    }
    *taken = !strcmp(member->string, "label_separator");
    if (!*taken) return LF_OK;
    out->separator = cJSON_GetStringValue(member);
    if (out->separator && *out->separator) return LF_OK;
    return lf_fail(err, LF_EUSAGE, "%s: 'label_separator': expected what stands between the names of classes: \"|\"",
                   key);
}

bool lf_data_names_labels(const cJSON *spec) {
    static const char *const keys[] = {"label_field", "label_separator", "label_columns", "label_map"};
    bool any = false;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        any |= cJSON_GetObjectItemCaseSensitive(spec, keys[i]) != NULL;
    return any;
}

bool lf_label_form_has(const lf_label_form *f, const char *column) {
    const cJSON *v;
    cJSON_ArrayForEach(v, f->columns) if (!strcmp(v->valuestring, column)) return true;
    return false;
}

bool lf_label_form_keep(lf_label_form *f, lf_arena *arena) {
    const int n = cJSON_GetArraySize(f->columns);
    cJSON *list = f->columns ? lf_arena_alloc(arena, (size_t)(n + 1) * sizeof *list) : NULL, *to = list;
    const cJSON *v;
    bool good = list || !f->columns;
    if (list) *list = (cJSON){.type = cJSON_Array, .child = n ? list + 1 : NULL};
    cJSON_ArrayForEach(v, f->columns) {
        if (!good) break;
        to++;
        *to = (cJSON){.type = cJSON_String,
                      .next = to < list + n ? to + 1 : NULL,
                      .valuestring = lf_arena_strdup(arena, v->valuestring)};
        good = to->valuestring;
    }
    f->columns = list;
    if (f->separator && !(f->separator = lf_arena_strdup(arena, f->separator))) good = false;
    return good;
}
