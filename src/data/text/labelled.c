/* Classified records: which fields are texts and which is the label. Their layout is none of layouts.def: that a record
 * is to be classified is the task's to say, not the record's. */
#include "data/text/labelled.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/slice.h"
#include "data/text/making.h"

static lf_status make(lf_text_making *m);
static const lf_text_layout classified = {.name = "classified", .make = make, .traits = LF_TEXT_CLASSIFIED};

/* ---- a record ---- */

static lf_status put_second(lf_text_making *m, const char *field) {
    lf_text_making part = *m;
    part.text = (lf_string){0};
    const lf_status rc = lf_text_put_field(&part, field);
    m->out->n_second = part.text.n;
    m->out->second = rc ? NULL : lf_string_take(&part.text);
    lf_string_free(&part.text);
    return rc || m->out->second ? rc : lf_text_out_of_memory(m);
}

static lf_status make(lf_text_making *m) {
    const lf_text_store *s = m->store;
    m->out->classified = true;
    const lf_status rc = lf_text_put_field(m, s->fields.text);
    return rc || !s->fields.second ? rc : put_second(m, s->fields.second);
}

const cJSON *lf_text_label_of(const lf_text_store *s, const cJSON *record) {
    return s->fields.label ? lf_text_field(record, s->fields.label) : NULL;
}

bool lf_text_labelled_reads(const lf_text_store *s, const char *field) {
    if (s->labelling && lf_label_form_has(&s->labelling->form, field)) return true;
    const char *const read[] = {s->fields.text, s->fields.second, s->fields.label};
    for (size_t i = 0; i < sizeof read / sizeof *read; i++)
        if (read[i] && !strcmp(read[i], field)) return true;
    return false;
}

/* ---- by what fields are called ---- */

/* The record's own name of the first of the fields "a|b" that it has, in small letters or capitals; NULL: none. */
static const char *find_one(const cJSON *record, const char *fields) {
    lf_slice item;
    while (lf_next_item(&fields, &item)) {
        char name[LF_TEXT_FIELD];
        snprintf(name, sizeof name, "%.*s", item.length, item.start);
        const cJSON *field = cJSON_GetObjectItem(record, name);
        if (field) return field->string;
    }
    return NULL;
}

static const char *const labels[] = {
#define LF_TEXT_LABEL(fields) fields,
#define LF_TEXT_PAIR(first, second)
#define LF_TEXT_ONE(fields)
#include "data/text/labelled.def"
};
#undef LF_TEXT_LABEL
#undef LF_TEXT_PAIR
#undef LF_TEXT_ONE

static const struct {
    const char *first, *second; /* second NULL: `first` are the names of one text */
} texts[] = {
#define LF_TEXT_LABEL(fields)
#define LF_TEXT_PAIR(first, second) {first, second},
#define LF_TEXT_ONE(fields)         {fields, NULL},
#include "data/text/labelled.def"
};
#undef LF_TEXT_LABEL
#undef LF_TEXT_PAIR
#undef LF_TEXT_ONE

static const char *label_by_name(const cJSON *record, bool by_any_name) {
    const char *found = NULL;
    const size_t n = by_any_name ? sizeof labels / sizeof *labels : 1;
    for (size_t i = 0; i < n && !found; i++) found = find_one(record, labels[i]);
    return found;
}

static void texts_by_name(const cJSON *record, const char **first, const char **second) {
    *first = *second = NULL;
    for (size_t i = 0; i < sizeof texts / sizeof *texts && !*first; i++) {
        *first = find_one(record, texts[i].first);
        *second = *first && texts[i].second ? find_one(record, texts[i].second) : NULL;
        if (texts[i].second && !*second) *first = NULL;
    }
}

/* ---- choosing ---- */

static lf_status no_field(const lf_text_store *s, const cJSON *record, const char *what, const char *key,
                          const char *asked, lf_err *err) {
    char name[600], found[256] = "", field[128] = "";
    const cJSON *v;
    cJSON_ArrayForEach(v, record) lf_list_append(found, sizeof found, v->string);
    if (asked) snprintf(field, sizeof field, "the field '%.60s' (%s)", asked, key);
    const bool headless = s->format->delimited && !s->dialect_spec.columns;
    return lf_fail(err, LF_EDATA, "%s: expected %s, found %s%s%s%s", lf_text_store_record_name(s, 0, name, sizeof name),
                   asked ? field : what, *found ? found : "none",
                   asked ? "" : "; which field it is, is for you to say: ", asked ? "" : key,
                   headless ? "; if the first line is no heading, name the columns: {\"path\": ..., \"columns\": "
                              "\"text,label\"}"
                            : "");
}

/* The name, where it is given, as the record's own string would be. */
static const char *named(const cJSON *record, const char *given) {
    const cJSON *field = given ? cJSON_GetObjectItemCaseSensitive(record, given) : NULL;
    return field ? field->string : NULL;
}

/* The record's own name of the label: of columns the first, if all of them are there. */
static const char *choose_label(const lf_text_store *s, const cJSON *record, const char *given) {
    const lf_text_labelling *how = s->labelling;
    const bool by_any_name = how->labels != LF_TEXT_LABELS_MAYBE || s->format->labelled;
    const cJSON *column;
    const char *first = NULL;
    if (!how->form.columns) return given ? named(record, given) : label_by_name(record, by_any_name);
    cJSON_ArrayForEach(column, how->form.columns) {
        const char *name = named(record, column->valuestring);
        if (!name) return NULL;
        if (!first) first = name;
    }
    return first;
}

static lf_status keep(lf_text_store *s, const char **to, const char *name, lf_err *err) {
    *to = name ? lf_arena_strdup(s->arena, name) : NULL;
    return *to || !name ? LF_OK : lf_no_memory(err, "%s", s->path);
}

lf_status lf_text_labelled_choose(lf_text_store *s, const cJSON *record, bool *found, lf_err *err) {
    const lf_text_labelling *how = s->labelling;
    const bool needed = how->labels == LF_TEXT_LABELS_NEEDED,
               maybe = how->labels == LF_TEXT_LABELS_MAYBE || how->labels == LF_TEXT_LABELS_HOPED;
    const bool named_here = s->format->many_files; /* its fields are ours */
    const char *text_field = named_here ? NULL : s->text_field, *label_field = named_here ? NULL : how->label_field,
               *pair_field = named_here ? NULL : how->text_pair_field;
    const char *first = NULL, *second = NULL, *label = NULL;
    *found = false;
    if (how->labels != LF_TEXT_LABELS_IGNORED) label = choose_label(s, record, label_field);
    if (!label && maybe) return LF_OK;
    if (!label && needed)
        return no_field(s, record, how->form.columns ? "all of label_columns" : "a label", "label_field", label_field,
                        err);
    if (!text_field) texts_by_name(record, &first, &second);
    if (text_field) first = named(record, text_field);
    if (text_field || pair_field) second = named(record, pair_field);
    if (!first && maybe) return LF_OK;
    if (!first) return no_field(s, record, "a text", "text_field", text_field, err);
    if (pair_field && !second) return no_field(s, record, "a second text", "text_pair_field", pair_field, err);
    lf_status rc;
    if ((rc = keep(s, &s->fields.text, first, err)) || (rc = keep(s, &s->fields.second, second, err)) ||
        (rc = keep(s, &s->fields.label, label, err)))
        return rc;
    s->layout = &classified;
    *found = true;
    return LF_OK;
}
