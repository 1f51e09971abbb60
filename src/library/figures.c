#include "library/figures.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/string.h"

double lf_number_named(const lf_number *numbers, int64_t n, const char *name) {
    for (int64_t i = 0; i < n; i++)
        if (strcmp(numbers[i].name, name) == 0) return numbers[i].value;
    return NAN;
}

void lf_figures_free(lf_figures *f) {
    if (!f) return;
    for (int64_t i = 0; i < f->n; i++) lf_free((char *)(uintptr_t)f->at[i].name);
    lf_free((lf_number *)(uintptr_t)f->at);
    lf_free(f);
}

static bool is_number(const cJSON *item) { return cJSON_IsNumber(item) || cJSON_IsNull(item); }

static int64_t count(const cJSON *object) {
    const cJSON *item;
    int64_t n = 0;
    cJSON_ArrayForEach(item, object) n += cJSON_IsObject(item) ? count(item) : is_number(item);
    return n;
}

/* before: "start.", or "". False: out of memory. */
static bool put(lf_figures *f, lf_number *at, const cJSON *object, const char *before) {
    const cJSON *item;
    bool good = true;
    cJSON_ArrayForEach(item, object) {
        const bool inner = cJSON_IsObject(item);
        if (!good || !(inner || is_number(item))) continue;
        char *name = lf_format("%s%s%s", before, item->string, inner ? "." : "");
        good = name && (!inner || put(f, at, item, name));
        if (inner || !name)
            lf_free(name);
        else
            at[f->n++] = (lf_number){name, cJSON_IsNull(item) ? (double)NAN : item->valuedouble};
    }
    return good;
}

lf_status lf_figures_of(lf_figures **out, const cJSON *object, lf_err *err) {
    lf_figures *f = lf_calloc(1, sizeof *f);
    lf_number *at = f ? lf_calloc((size_t)count(object) + 1, sizeof *at) : NULL;
    if (f) f->at = at;
    if (at && put(f, at, object, "")) {
        *out = f;
        return LF_OK;
    }
    lf_figures_free(f);
    return lf_no_memory(err, "the results");
}
