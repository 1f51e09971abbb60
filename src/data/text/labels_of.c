/* The labels of a data set, as others ask for them. */
#include <string.h>

#include "data/text/labelled.h"

bool lf_text_dataset_labelled(const lf_text_dataset *d) { return d->shards->labels; }
lf_problem lf_text_dataset_problem(const lf_text_dataset *d) { return d->shards->labels->problem; }

const char *const *lf_text_dataset_classes(const lf_text_dataset *d, int64_t *n) {
    const lf_labels *l = d->shards->labels;
    *n = l ? l->n_names : 0;
    return *n ? l->names : NULL;
}

lf_status lf_text_dataset_relabel(lf_text_dataset *d, const char *const *names, int64_t n, const int32_t *to,
                                  lf_err *err) {
    return lf_labels_rename(d->shards->labels, names, n, to, d->shards->path, err);
}

const char *const *lf_text_dataset_numbers(const lf_text_dataset *d) { return d->shards->labels->parts; }

int64_t lf_text_dataset_width(const lf_text_dataset *d) {
    const lf_labels *l = d->shards->labels;
    return !l || l->problem == LF_SINGLE_LABEL ? 0 : l->problem == LF_REGRESSION ? l->width : l->n_names;
}

void lf_text_dataset_values(const lf_text_dataset *d, int64_t i, float *out) {
    const lf_labels *l = d->shards->labels;
    if (d->pick) i = d->pick[i];
    if (l->problem == LF_REGRESSION)
        memcpy(out, l->numbers + i * l->width, (size_t)l->width * sizeof *out);
    else
        lf_class_sets_values(&l->sets, i, l->n_names, out);
}

int32_t lf_text_dataset_class(const lf_text_dataset *d, int64_t i) {
    const lf_labels *l = d->shards->labels;
    if (!l || l->problem != LF_SINGLE_LABEL) return -1;
    return l->sets.ids[l->sets.begin[d->pick ? d->pick[i] : i]];
}
