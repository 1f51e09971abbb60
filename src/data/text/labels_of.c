/* The labels of a data set, as others ask for them. */
#include "base/mem.h"
#include "data/text/labelled.h"

void lf_text_labels_free(lf_text_labels *l) {
    if (!l) return;
    lf_arena_free(l->arena);
    lf_free(l->names);
    lf_free(l->ids);
    lf_free(l->begin);
    lf_free(l->numbers);
    lf_free(l);
}

bool lf_text_dataset_labelled(const lf_text_dataset *d) { return d->shards->labels; }
lf_problem lf_text_dataset_problem(const lf_text_dataset *d) { return d->shards->labels->problem; }

const char *const *lf_text_dataset_classes(const lf_text_dataset *d, int64_t *n) {
    const lf_text_labels *l = d->shards->labels;
    *n = l ? l->n_names : 0;
    return *n ? l->names : NULL;
}

lf_status lf_text_dataset_relabel(lf_text_dataset *d, const char *const *names, int64_t n, const int32_t *to,
                                  lf_err *err) {
    lf_text_labels *l = d->shards->labels;
    const char **copies = lf_malloc((size_t)n * sizeof *copies);
    bool good = copies;
    for (int64_t i = 0; i < n && good; i++) good = (copies[i] = lf_arena_strdup(l->arena, names[i]));
    if (!good) {
        lf_free(copies);
        return lf_no_memory(err, "the classes of %s", d->shards->path);
    }
    for (int64_t i = 0; i < l->begin[l->n]; i++) l->ids[i] = to[l->ids[i]];
    lf_free(l->names);
    l->names = copies;
    l->n_names = n;
    return LF_OK;
}

int64_t lf_text_dataset_width(const lf_text_dataset *d) {
    const lf_text_labels *l = d->shards->labels;
    return !l || l->problem == LF_SINGLE_LABEL ? 0 : l->problem == LF_REGRESSION ? 1 : l->n_names;
}

void lf_text_dataset_values(const lf_text_dataset *d, int64_t i, float *out) {
    const lf_text_labels *l = d->shards->labels;
    if (d->pick) i = d->pick[i];
    if (l->problem == LF_REGRESSION) {
        *out = l->numbers[i];
        return;
    }
    for (int64_t k = 0; k < l->n_names; k++) out[k] = 0;
    for (int64_t k = l->begin[i]; k < l->begin[i + 1]; k++) out[l->ids[k]] = 1;
}

int32_t lf_text_dataset_class(const lf_text_dataset *d, int64_t i) {
    const lf_text_labels *l = d->shards->labels;
    if (!l || l->problem != LF_SINGLE_LABEL) return -1;
    return l->ids[l->begin[d->pick ? d->pick[i] : i]];
}
