/* The life of a store: opened by a format, shared by the data sets that are made over it. */
#include "base/mem.h"
#include "data/image/dataset_internal.h"

void lf_store_release(lf_store *s) {
    if (!s || atomic_fetch_sub(&s->users, 1) > 1) return;
    if (s->format) s->format->close(s);
    lf_free(s->labels);
    lf_class_sets_free(&s->several);
    lf_arena_free(s->arena);
    lf_free(s);
}

lf_status lf_store_open(lf_store **out, const lf_data_format *format, const lf_data_request *r, lf_err *err) {
    lf_store *s = lf_calloc(1, sizeof *s);
    if (!s) return lf_no_memory(err, "%s", r->path);
    atomic_init(&s->users, 1);
    s->format = format;
    s->arena = lf_arena_new();
    s->path = s->arena ? lf_arena_strdup(s->arena, r->path) : NULL;
    lf_status rc = s->path ? format->open(s, r, err) : lf_no_memory(err, "%s", r->path);
    if (!rc && r->label_map && !r->unlabelled) rc = lf_store_map_labels(s, r, err);
    const bool several = r->problem && *r->problem == LF_MULTI_LABEL && !r->unlabelled;
    if (!rc && several && !s->several.begin) rc = lf_store_make_several(s, err);
    if (rc)
        lf_store_release(s);
    else
        *out = s;
    return rc;
}
