#include "eval/adapted.h"

#include <stdio.h>

#include "base/mem.h"

static lf_status make_head(lf_model *m, int64_t labels, const char *const *names, lf_err *err) {
    lf_arena *arena = lf_arena_new();
    const char **made = arena ? lf_arena_alloc(arena, (size_t)labels * sizeof *made) : NULL;
    for (int64_t i = 0; made && i < labels; i++) {
        char unnamed[32];
        snprintf(unnamed, sizeof unnamed, "LABEL_%lld", (long long)i);
        if (!(made[i] = lf_arena_strdup(arena, names ? names[i] : unnamed))) made = NULL;
    }
    const lf_status rc =
        made ? lf_model_new_head(m, labels, made, 0, err) : lf_no_memory(err, "%lld labels", (long long)labels);
    lf_arena_free(arena);
    return rc;
}

static lf_status check_head(const lf_adapted *a, lf_err *err) {
    const lf_model *m = a->model;
    char *what =
        lf_format("%s (%s of type '%s')", m->path,
                  lf_model_says(m, LF_NEXT_TOKEN) ? "a causal language model" : "a model", m->family->model_type);
    const lf_status rc =
        what ? lf_adapter_check_head(a->file, &m->nn, m->head.module, what, err) : lf_no_memory(err, "%s", m->path);
    lf_free(what);
    return rc;
}

static lf_status put_on(lf_adapted *a, const char *dir, lf_err *err) {
    lf_model *m = a->model;
    const char *const *names;
    lf_status rc;
    if ((rc = lf_adapter_open(&a->file, dir, err)) || (rc = check_head(a, err))) return rc;
    const int64_t labels = lf_adapter_file_labels(a->file, &names);
    if (labels > 0 && (rc = make_head(m, labels, names, err))) return rc;
    return lf_adapter_apply(&a->adapter, a->file, &m->nn, m->head.module, m->hash, err);
}

lf_status lf_adapted_open(lf_adapted *out, const char *model, const char *adapter, const lf_kernels *k, lf_load load,
                          lf_err *err) {
    *out = (lf_adapted){0};
    const lf_status rc = lf_model_open(&out->model, model, k, load, err);
    return rc || !adapter ? rc : put_on(out, adapter, err);
}

void lf_adapted_close(lf_adapted *a) {
    lf_adapter_close(a->file);
    lf_adapter_free(a->adapter);
    lf_model_free(a->model);
    *a = (lf_adapted){0};
}
