#include "sweep/labels.h"

#include <string.h>

#include "base/mem.h"
#include "base/number.h"
#include "base/string.h"
#include "report/gather/gather.h"

enum { VALUE = 128 };

static bool is_rate(const char *key) {
    return strcmp(key, lf_key_name(LF_learning_rate)) == 0 || strcmp(key, lf_key_name(LF_head_learning_rate)) == 0;
}

static const char *value_of(char text[VALUE], const lf_point *at, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(at->values, key);
    snprintf(text, VALUE, "-");
    if (cJSON_IsNumber(value) && is_rate(key))
        lf_number_rate(text, VALUE, value->valuedouble, LF_SETTING_DIGITS);
    else if (value)
        lf_value_text(text, VALUE, value);
    return text;
}

static bool differs(const lf_points *p, const char *key) {
    char first[VALUE], other[VALUE];
    if (!p->n) return false;
    value_of(first, &p->at[0], key);
    for (int64_t i = 1; i < p->n; i++)
        if (strcmp(first, value_of(other, &p->at[i], key)) != 0) return true;
    return false;
}

static bool add(lf_string *t, const char *text) {
    lf_string_add(t, "%s%s", t->n ? ", " : "", text);
    return !t->failed;
}

bool lf_point_labels_make(lf_point_labels *out, const lf_points *p) {
    lf_string keys = {0}, *labels = lf_calloc((size_t)p->n, sizeof *labels);
    bool ok = labels != NULL;
    const cJSON *key;
    *out = (lf_point_labels){.of = lf_calloc((size_t)p->n, sizeof *out->of), .n = p->n};
    cJSON_ArrayForEach(key, p->grid.keys) {
        char text[VALUE];
        if (!ok || !differs(p, key->valuestring)) continue;
        ok = add(&keys, key->valuestring);
        for (int64_t i = 0; i < p->n && ok; i++) ok = add(&labels[i], value_of(text, &p->at[i], key->valuestring));
    }
    if (ok) ok = (out->keys = lf_string_take(&keys)) != NULL && out->of;
    for (int64_t i = 0; i < p->n && ok; i++) ok = (out->of[i] = lf_string_take(&labels[i])) != NULL;
    for (int64_t i = 0; i < p->n && labels; i++) lf_string_free(&labels[i]);
    lf_string_free(&keys);
    lf_free(labels);
    return ok;
}

void lf_point_labels_free(lf_point_labels *l) {
    for (int64_t i = 0; i < l->n && l->of; i++) lf_free(l->of[i]);
    lf_free(l->of);
    lf_free(l->keys);
    *l = (lf_point_labels){0};
}
