/* The labels of all records, read through once: what they are (classes, several of them, numbers), what the classes are
 * called, and which each record has. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "data/text/labelled.h"
#include "data/text/making.h"

typedef struct reading {
    lf_label_reader labels;
    const lf_text_shards *shards;
    int64_t n;                      /* records so far */
    int64_t missing, first_missing; /* without a label */
    int64_t empty, first_empty;     /* without a text */
} reading;

static const char *name_of_record(const void *shards, int64_t i, char *buf, size_t size) {
    const lf_text_store *s = lf_text_shards_at(shards, &i);
    return lf_text_store_record_name(s, i, buf, size);
}

/* A text between whose classes something stands may be empty: then there are none. */
static bool is_missing(const reading *r, const cJSON *label) {
    const bool none = r->labels.form.separator && cJSON_IsString(label) && !*label->valuestring;
    return !cJSON_IsArray(label) && !none && lf_text_is_empty(label);
}

static lf_status add_label(reading *r, const lf_text_store *s, const cJSON *record, lf_err *err) {
    if (r->labels.form.columns) return lf_label_reader_add_columns(&r->labels, record, err);
    const cJSON *v = lf_text_label_of(s, record);
    const bool missing = is_missing(r, v);
    if (missing && r->missing++ == 0) r->first_missing = r->n;
    r->labels.written_lists = s->format->delimited;
    return lf_label_reader_add(&r->labels, missing ? NULL : v, err);
}

static void look_at_texts(reading *r, const lf_text_store *s, const cJSON *record) {
    const bool second = s->fields.second && !lf_text_is_empty(lf_text_field(record, s->fields.second));
    if (second || !lf_text_is_empty(lf_text_field(record, s->fields.text))) return;
    if (r->empty++ == 0) r->first_empty = r->n;
}

static lf_status read_store(reading *r, const lf_text_store *s, lf_progress *bar, lf_err *err) {
    enum { SHOWN_EVERY = 1024 };
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < s->n && !rc; i++) {
        cJSON *record = NULL;
        if (!(rc = s->format->record(s, i, &record, err))) rc = add_label(r, s, record, err);
        if (!rc) look_at_texts(r, s, record);
        cJSON_Delete(record);
        r->n++;
        if (r->n % SHOWN_EVERY) continue;
        lf_progress_update(bar, r->n, "");
        if (!rc && lf_interrupted()) rc = lf_fail(err, LF_EINTERRUPTED, "interrupted while labels were read");
    }
    return rc;
}

static lf_status read_all(reading *r, lf_err *err) {
    const lf_text_shards *s = r->shards;
    lf_progress bar;
    lf_status rc = LF_OK;
    lf_progress_begin(&bar, "reading labels", s->first[s->n_stores]);
    for (int64_t i = 0; i < s->n_stores && !rc; i++) rc = read_store(r, s->stores[i], &bar, err);
    lf_progress_end(&bar, "");
    return rc;
}

static lf_status check_there(const reading *r, lf_err *err) {
    const lf_labels *l = r->labels.out;
    const char *path = r->shards->path;
    char name[600];
    if (r->empty)
        lf_warn("%s: %" PRId64 " of %" PRId64 " texts are empty, first that of %s; they are classified all the same",
                path, r->empty, r->n, name_of_record(r->shards, r->first_empty, name, sizeof name));
    if (l->n_names == 1 && !strcmp(l->names[0], "-1"))
        return lf_fail(err, LF_EDATA,
                       "%s: each of the %" PRId64 " labels is -1: a test part whose labels are hidden, as GLUE's are; "
                       "take the validation part",
                       path, r->n);
    if (!r->missing) return LF_OK;
    return lf_fail(
        err, LF_EDATA,
        "%s: %" PRId64 " of %" PRId64 " records have no label (the field '%s' is absent, empty or null), "
        "first %s; %s",
        path, r->missing, r->n, r->labels.field, name_of_record(r->shards, r->first_missing, name, sizeof name),
        r->missing == r->n ? "a test part whose labels are hidden? take the validation part" : "leave them out");
}

lf_status lf_text_labels_read(lf_labels **out, const lf_text_shards *s, const lf_text_labelling *how, lf_err *err) {
    reading r = {.labels = {.path = s->path,
                            .field = s->stores[0]->fields.label,
                            .form = how->form,
                            .numbers = how->problem_known && how->problem == LF_REGRESSION,
                            .name_of = name_of_record,
                            .data = s},
                 .shards = s};
    lf_status rc = lf_label_reader_open(&r.labels, err);
    if (!rc && !(rc = read_all(&r, err)) && !(rc = check_there(&r, err)))
        rc = lf_label_reader_take(&r.labels, how->problem_known ? &how->problem : NULL, out, err);
    lf_label_reader_free(&r.labels);
    return rc;
}
