/* Which layout the records of a file are of, and a record's document. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/slice.h"
#include "data/text/labelled.h"
#include "data/text/making.h"

static const lf_text_layout layouts[] = {
#define LF_TEXT_REFUSED(fields, why)
#define LF_TEXT_LAYOUT(name, make, required, optional, prompt, traits)                                                 \
    {#name, lf_text_make_##make, required, optional, prompt, NULL, NULL, traits},
#define LF_TEXT_CHOOSING(name, make, required, optional, prompt, choices, answer)                                      \
    {#name, lf_text_make_##make, required, optional, prompt, choices, answer, LF_TEXT_CHOICES},
#include "data/text/layouts.def"
#undef LF_TEXT_LAYOUT
#undef LF_TEXT_CHOOSING
#undef LF_TEXT_REFUSED
};

static const struct {
    const char *fields, *why;
} refused[] = {
#define LF_TEXT_REFUSED(fields, why) {fields, why},
#define LF_TEXT_LAYOUT(name, make, required, optional, prompt, traits)
#define LF_TEXT_CHOOSING(name, make, required, optional, prompt, choices, answer)
#include "data/text/layouts.def"
};

#undef LF_TEXT_LAYOUT
#define LF_TEXT_LAYOUT(name, make, required, optional, prompt, traits) +!!((traits)&LF_TEXT_ONE_FIELD)
#undef LF_TEXT_REFUSED
#define LF_TEXT_REFUSED(fields, why)
_Static_assert(0
#include "data/text/layouts.def"
                   == 1,
               "text_field is of one layout");
#undef LF_TEXT_LAYOUT
#undef LF_TEXT_CHOOSING
#undef LF_TEXT_REFUSED

enum { N_LAYOUTS = sizeof layouts / sizeof *layouts, N_REFUSED = sizeof refused / sizeof *refused };

const char *lf_text_layout_name(const lf_text_layout *l) { return l->name; }
bool lf_text_layout_is(const lf_text_layout *l, lf_text_trait trait) { return l->traits & trait; }

static const lf_text_layout *layout_with(lf_text_trait trait) {
    const lf_text_layout *l = layouts;
    while (!(l->traits & trait)) l++;
    return l;
}

/* ---- choosing ---- */

/* Appends "'prompt', 'completion'" of each layout of which the record has a field; false: there is none. */
static bool list_near(char *buf, size_t size, const cJSON *record) {
    const size_t begin = strlen(buf);
    for (int i = 0; i < N_LAYOUTS; i++) {
        char fields[160] = "", name[LF_TEXT_FIELD];
        const char *list = layouts[i].required;
        bool near = false;
        while (lf_text_next_field(&list, name, NULL)) {
            near = near || cJSON_GetObjectItemCaseSensitive(record, name);
            lf_list_append(fields, sizeof fields, name);
        }
        const size_t used = strlen(buf);
        if (near && used + strlen(fields) + 8 < size)
            snprintf(buf + used, size - used, "%s%s", used > begin ? ", or " : "", fields);
    }
    return strlen(buf) > begin;
}

/* A table of one column with a '|' in its name has another delimiter than those that are found out. */
static const char *advice(const lf_text_store *s, const cJSON *record) {
    const cJSON *first = record->child;
    if (s->format->delimited && first && !first->next && strchr(first->string, '|'))
        return "is '|' what is between columns? {\"path\": ..., \"delimiter\": \"|\"}";
    return "text_field may name another";
}

static lf_status no_layout(const lf_text_store *s, const cJSON *record, lf_err *err) {
    char name[600], found[256] = "", expected[512] = "the fields ";
    const cJSON *v;
    cJSON_ArrayForEach(v, record) lf_list_append(found, sizeof found, v->string);
    if (s->prompts)
        snprintf(expected, sizeof expected,
                 "a prompt in a field 'prompt', 'text', 'messages', 'instruction' or 'question' (docs/text-data.md has "
                 "them all)");
    else if (!list_near(expected, sizeof expected, record))
        snprintf(expected, sizeof expected,
                 "the fields 'text', or 'messages', or 'prompt', 'completion', or 'question', "
                 "'answer' (docs/text-data.md has them all)");
    return lf_fail(err, LF_EDATA, "%s: expected %s; found %s; %s", lf_text_store_record_name(s, 0, name, sizeof name),
                   expected, *found ? found : "none", advice(s, record));
}

static lf_status check_refused(const lf_text_making *m) {
    char name[600], fields[160] = "", field[LF_TEXT_FIELD];
    int i = 0;
    if (m->store->text_field) return LF_OK; /* it was asked for by name */
    while (i < N_REFUSED && !lf_text_has_fields(m->record, refused[i].fields)) i++;
    if (i == N_REFUSED) return LF_OK;
    const char *list = refused[i].fields;
    while (lf_text_next_field(&list, field, NULL)) lf_list_append(fields, sizeof fields, field);
    return lf_fail(m->err, LF_EDATA, "%s: %s: %s", lf_text_record(m, name, sizeof name), fields, refused[i].why);
}

lf_status lf_text_layout_choose(lf_text_store *s, const cJSON *record, lf_err *err) {
    lf_text_making m = {.store = s, .record = record, .err = err};
    bool classified = false;
    lf_status rc = s->labelling ? lf_text_labelled_choose(s, record, &classified, err) : LF_OK;
    if (rc || classified || (rc = check_refused(&m))) return rc;
    if (s->text_field) {
        m.layout = s->layout = layout_with(LF_TEXT_ONE_FIELD);
        if (!cJSON_GetObjectItemCaseSensitive(record, s->text_field)) return lf_text_missing(&m);
    }
    for (int i = 0; i < N_LAYOUTS && !s->layout; i++)
        if (lf_text_has_fields(record, layouts[i].required)) s->layout = &layouts[i];
    for (int i = 0; i < N_LAYOUTS && !s->layout && s->prompts; i++)
        if (lf_text_has_question(record, &layouts[i])) s->layout = &layouts[i];
    if (!s->layout) return no_layout(s, record, err);
    if (s->prompt_template && !s->layout->prompt)
        return lf_fail(err, LF_EUSAGE,
                       "prompt_template: %s has records of layout '%s', which have no prompt and answer; "
                       "leave it out",
                       s->path, s->layout->name);
    if (s->layout->traits & LF_TEXT_CHAT && !s->chat.render)
        return lf_fail(err, LF_EDATA,
                       "%s: messages need a chat template, and the model's tokenizer has none; give one "
                       "with chat_template",
                       s->path);
    return LF_OK;
}

/* ---- what is not read ---- */

static bool is_listed(const char *list, const char *field) {
    char name[LF_TEXT_FIELD];
    while (lf_text_next_field(&list, name, NULL))
        if (!strcmp(name, field)) return true;
    return false;
}

static bool is_read(const lf_text_making *m, const char *field) {
    const lf_text_layout *l = m->layout;
    if (l->traits & LF_TEXT_CLASSIFIED) return lf_text_labelled_reads(m->store, field);
    const char *given = l->prompt ? m->store->prompt_template : NULL, *answer = strrchr(l->required, '|');
    if (l->traits & LF_TEXT_ONE_FIELD) return !strcmp(field, lf_text_one_field(m));
    if (!given) return is_listed(l->required, field) || is_listed(l->optional, field);
    return lf_text_template_has(given, field) || is_listed(l->choices, field) ||
           (l->answer ? !strncmp(l->answer, field, strlen(field)) : answer && is_listed(answer + 1, field));
}

static lf_status count_unread(const lf_text_making *m) {
    const cJSON *v;
    cJSON_ArrayForEach(v, m->record) {
        if (lf_text_is_empty(v) || is_read(m, v->string)) continue;
        if (!lf_text_unread_add(m->unread, LF_TEXT_UNREAD_FIELD, v->string)) return lf_text_out_of_memory(m);
    }
    return LF_OK;
}

/* ---- marks of what is not to be learned ---- */

/* Of a record: these say 0 or false of all of it, and these hold a mark for each of its parts. */
static const char *const whole_marks[] = {"weight", "sample_weight", "train", "training", "trainable", "loss"};
static const char *const part_marks[] = {"weights", "masks", "mask", "loss_mask"};

static bool is_one(const cJSON *v) { return cJSON_IsTrue(v) || (cJSON_IsNumber(v) && v->valuedouble == 1); }
static bool is_off(const cJSON *v) {
    if (cJSON_IsString(v)) /* all that a CSV file has is text */
        return lf_has_item("0|0.0|false|False|FALSE", v->valuestring);
    return cJSON_IsFalse(v) || (cJSON_IsNumber(v) && v->valuedouble == 0);
}

static bool marks_parts(const cJSON *list) {
    const cJSON *v = cJSON_IsArray(list) ? list->child : NULL;
    while (v && is_one(v)) v = v->next;
    return v;
}

static lf_status bad_mark(const lf_text_making *m, const char *field, const char *says) {
    char name[600];
    return lf_fail(m->err, LF_EDATA, "%s: '%s' %s", lf_text_record(m, name, sizeof name), field, says);
}

/* Learning what a record says not to learn would be the opposite of what was asked for. */
static lf_status check_marks(const lf_text_making *m) {
    if (m->store->text_field) return LF_OK; /* one field was asked for by name, and nothing else */
    for (size_t i = 0; i < sizeof whole_marks / sizeof *whole_marks; i++)
        if (!is_read(m, whole_marks[i]) && is_off(lf_text_field(m->record, whole_marks[i])))
            return bad_mark(m, whole_marks[i],
                            "says that the record is not to be learned; leave the record out, or the field if it means "
                            "something else");
    for (size_t i = 0; i < sizeof part_marks / sizeof *part_marks; i++)
        if (!is_read(m, part_marks[i]) && marks_parts(lf_text_field(m->record, part_marks[i])))
            return bad_mark(
                m, part_marks[i],
                "is a list of what is to be learned of the record, which is not followed; mark the messages "
                "themselves (\"train\": false), or leave the field out if it means something else");
    return LF_OK;
}

/* ---- one example ---- */

lf_status lf_text_layout_example(const lf_text_store *s, int64_t i, const cJSON *record, lf_text_unread *unread,
                                 lf_text_example *out, lf_err *err) {
    *out = (lf_text_example){.answer = -1};
    lf_text_making m = {
        .store = s, .layout = s->layout, .record = record, .index = i, .unread = unread, .out = out, .err = err};
    const bool classified = s->layout->traits & LF_TEXT_CLASSIFIED,
               one = classified || s->layout->traits & LF_TEXT_ONE_FIELD;
    lf_status rc = classified ? LF_OK : check_refused(&m);
    const bool there =
        s->prompts ? lf_text_has_question(record, s->layout) : lf_text_has_fields(record, s->layout->required);
    if (!rc && !one && !there) rc = lf_text_missing(&m);
    if (!rc && !s->prompts) rc = check_marks(&m); /* nothing is learned of a prompt */
    if (!rc) rc = s->layout->make(&m);
    if (!rc && !out->text) {
        out->n = m.text.n;
        if (!(out->text = lf_string_take(&m.text))) rc = lf_text_out_of_memory(&m);
    }
    const bool asked = !classified || s->labelling->labels != LF_TEXT_LABELS_IGNORED; /* else only texts are */
    if (!rc && unread && asked) rc = count_unread(&m);
    lf_string_free(&m.text);
    if (rc) lf_text_example_free(out);
    return rc;
}

lf_status lf_text_example_choose(lf_text_example *e, int64_t k, lf_err *err) {
    const size_t begin = e->answers[0].begin, n = strlen(e->choices[k]);
    char *text = lf_realloc(e->text, begin + n + 1);
    if (!text) return lf_no_memory(err, "a choice of %zu bytes", n);
    memcpy(text + begin, e->choices[k], n + 1);
    e->text = text;
    e->n = begin + n;
    e->answers[0].end = e->n;
    return LF_OK;
}

void lf_text_example_free(lf_text_example *e) {
    lf_free(e->text);
    lf_free(e->second);
    lf_free(e->answers);
    lf_free(e->wanted);
    for (int64_t i = 0; i < e->n_choices; i++) lf_free(e->choices[i]);
    lf_free(e->choices);
    *e = (lf_text_example){0};
}
