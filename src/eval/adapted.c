#include "eval/adapted.h"

#include <stdio.h>
#include <string.h>

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

/* A layer before the head that neither of the two has was random when the adapter was trained, and is lost. */
static lf_status check_inner(lf_model *m, const lf_adapter_file *f, lf_err *err) {
    for (int i = 0; i < LF_HEAD_LAYERS; i++) {
        lf_module *inner = m->head.inner[i];
        if (!inner) continue;
        inner->saved = lf_adapter_file_holds(f, inner);
        if (!inner->saved && !m->base_head.inner[i])
            return lf_fail(err, LF_EDATA,
                           "%s: module '%s' is neither in the model nor in the adapter: it was random when the adapter "
                           "was trained, and PEFT saves it only where modules_to_save names it; train again, here or "
                           "with that",
                           m->path, inner->name);
    }
    return LF_OK;
}

static lf_status check_head(const lf_model *m, const lf_adapter_file *f, lf_err *err) {
    char *what =
        lf_format("%s (%s of type '%s')", m->path,
                  lf_model_says(m, LF_NEXT_TOKEN) ? "a causal language model" : "a model", m->family->model_type);
    const lf_status rc =
        what ? lf_adapter_check_head(f, &m->nn, m->head.module, what, err) : lf_no_memory(err, "%s", m->path);
    lf_free(what);
    return rc;
}

/* A causal language model gets a classifier's head by an adapter that has one. */
static lf_status make_place(lf_model *m, const lf_adapter_file *f, lf_err *err) {
    const char *head = lf_adapter_file_head(f);
    if (!head || m->head.module || !m->family->hidden || strcmp(head, LF_CAUSAL_CLASSIFIER)) return LF_OK;
    return lf_model_add_classifier(m, err);
}

/* What an adapter of texts does not say of its head follows from the number of its labels, as in transformers. */
static void take_problem(lf_model *m, const lf_adapter_file *f, int64_t labels) {
    lf_problem *p = &m->head.problem;
    if (lf_adapter_file_problem(f, p) || m->family->input != LF_TOKENS) return;
    *p = labels == 1 ? LF_REGRESSION : *p == LF_REGRESSION ? LF_SINGLE_LABEL : *p;
}

/* Room for the head that the file holds, if it holds one. */
static lf_status take_head(lf_model *m, const lf_adapter_file *f, lf_err *err) {
    const char *const *names;
    lf_status rc;
    if ((rc = make_place(m, f, err)) || (rc = check_head(m, f, err))) return rc;
    const int64_t labels = lf_adapter_file_labels(f, &names);
    if (labels <= 0 || (rc = check_inner(m, f, err))) return rc;
    if (!(rc = make_head(m, labels, names, err))) take_problem(m, f, labels);
    return rc;
}

lf_status lf_adapted_head(lf_model *m, const lf_adapter_file *f, lf_err *err) {
    const lf_status rc = take_head(m, f, err);
    return rc ? rc : lf_adapter_apply_head(f, &m->nn, m->head.module, err);
}

static lf_status put_on(lf_adapted *a, const char *dir, lf_err *err) {
    lf_model *m = a->model;
    lf_status rc;
    if ((rc = lf_adapter_open(&a->file, dir, err)) || (rc = take_head(m, a->file, err))) return rc;
    rc = lf_adapter_apply(&a->adapter, a->file, &m->nn, m->head.module, m->hash, err);
    if (!rc) lf_model_take_vocabulary(m);
    return rc;
}

lf_status lf_adapted_open(lf_adapted *out, const char *model, const char *adapter, const lf_model_opts *o,
                          lf_err *err) {
    *out = (lf_adapted){0};
    const lf_status rc = lf_model_open(&out->model, model, o, err);
    return rc || !adapter ? rc : put_on(out, adapter, err);
}

void lf_adapted_close(lf_adapted *a) {
    lf_adapter_close(a->file);
    lf_adapter_free(a->adapter);
    lf_model_free(a->model);
    *a = (lf_adapted){0};
}
