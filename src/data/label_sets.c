#include "data/label_sets.h"

#include "base/mem.h"

/* ---- which classes an example is of ---- */

void lf_class_sets_free(lf_class_sets *s) {
    lf_free(s->ids);
    lf_free(s->begin);
    *s = (lf_class_sets){0};
}

void lf_class_sets_values(const lf_class_sets *s, int64_t i, int64_t n_classes, float *out) {
    for (int64_t c = 0; c < n_classes; c++) out[c] = 0;
    for (int64_t k = s->begin[i]; k < s->begin[i + 1]; k++) out[s->ids[k]] = 1;
}

void lf_class_sets_renumber(lf_class_sets *s, const int32_t *to) {
    for (int64_t k = 0; k < s->begin[s->n]; k++) s->ids[k] = to[s->ids[k]];
}

/* ---- labels ---- */

void lf_labels_free(lf_labels *l) {
    if (!l) return;
    lf_class_sets_free(&l->sets);
    lf_arena_free(l->arena);
    lf_free(l->names);
    lf_free(l->numbers);
    lf_free(l);
}

lf_status lf_labels_rename(lf_labels *l, const char *const *names, int64_t n, const int32_t *to, const char *path,
                           lf_err *err) {
    const char **copies = lf_malloc((size_t)n * sizeof *copies);
    bool good = copies;
    for (int64_t i = 0; i < n && good; i++) good = (copies[i] = lf_arena_strdup(l->arena, names[i]));
    if (!good) {
        lf_free(copies);
        return lf_no_memory(err, "the classes of %s", path);
    }
    lf_class_sets_renumber(&l->sets, to);
    lf_free(l->names);
    l->names = copies;
    l->n_names = n;
    return LF_OK;
}
