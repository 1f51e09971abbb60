/* Records to documents: one line of layouts.def a layout, one function here for each way of making a document. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/slice.h"
#include "data/image/dataset_internal.h"
#include "data/text/internal.h"

typedef struct making {
    const lf_text_store *store;
    const lf_text_layout *layout;
    const cJSON *record;
    int64_t index;
    lf_string text;
    lf_text_example *out;
    lf_err *err;
} making;

struct lf_text_layout {
    const char *name;
    lf_status (*make)(making *m);
    const char *required, *optional, *prompt, *short_prompt;
    unsigned traits;
};

static lf_status whole(making *m);
static lf_status pair(making *m);
static lf_status choices(making *m);
static lf_status messages(making *m);

static const lf_text_layout layouts[] = {
#define LF_TEXT_LAYOUT(name, make, required, optional, prompt, short_prompt, traits)                                   \
    {#name, make, required, optional, prompt, short_prompt, traits},
#include "data/text/layouts.def"
#undef LF_TEXT_LAYOUT
};

enum { N_LAYOUTS = sizeof layouts / sizeof *layouts };

#define LF_TEXT_LAYOUT(name, make, required, optional, prompt, short_prompt, traits) +!!((traits)&LF_TEXT_ONE_FIELD)
_Static_assert(0
#include "data/text/layouts.def"
                   == 1,
               "text_field is of one layout");
#undef LF_TEXT_LAYOUT

const char *lf_text_layout_name(const lf_text_layout *l) { return l->name; }
bool lf_text_layout_is(const lf_text_layout *l, lf_text_trait trait) { return l->traits & trait; }

static const lf_text_layout *layout_with(lf_text_trait trait) {
    const lf_text_layout *l = layouts;
    while (!(l->traits & trait)) l++;
    return l;
}

/* ---- fields -------------------------------------------------------------------------------------------------------
 */

/* Takes the first of "a|b|c" into name; false when nothing is left. */
static bool next_field(const char **list, char name[64]) {
    lf_slice item;
    if (!lf_next_item(list, &item)) return false;
    snprintf(name, 64, "%.*s", item.length, item.start);
    return true;
}

static const cJSON *field(const cJSON *record, const char *name) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(record, name);
    return cJSON_IsNull(v) ? NULL : v;
}

static bool has_all(const cJSON *record, const char *required) {
    char name[64];
    while (next_field(&required, name))
        if (!cJSON_GetObjectItemCaseSensitive(record, name)) return false;
    return true;
}

static void list_fields(char *buf, size_t size, const cJSON *record) {
    const cJSON *v;
    *buf = 0;
    cJSON_ArrayForEach(v, record) lf_list_append(buf, size, v->string);
    if (!*buf) snprintf(buf, size, "none");
}

static const char *name_of(const making *m, char *buf, size_t size) {
    return lf_text_store_record_name(m->store, m->index, buf, size);
}

static lf_status fail(const making *m, const char *expected, const char *found) {
    char name[600];
    return lf_fail(m->err, LF_EDATA, "%s: expected %s, found %s", name_of(m, name, sizeof name), expected, found);
}

/* The field of a layout that has one; text_field may name another. */
static const char *one_field(const lf_text_store *s) { return s->text_field ? s->text_field : s->layout->required; }

/* Appends "'question', 'answer'". */
static void append_required(char *buf, size_t size, const lf_text_layout *l) {
    char name[64];
    const char *list = l->required;
    while (next_field(&list, name)) lf_list_append(buf, size, name);
}

static lf_status missing(const making *m) {
    char found[256], expected[160] = "", what[256];
    list_fields(found, sizeof found, m->record);
    if (m->layout->traits & LF_TEXT_ONE_FIELD)
        lf_list_append(expected, sizeof expected, one_field(m->store));
    else
        append_required(expected, sizeof expected, m->layout);
    snprintf(what, sizeof what, "the fields %s%s", expected, m->index ? " as in the first record" : "");
    return fail(m, what, found);
}

/* A value that is text, or can be written as text. */
static lf_status put_field(making *m, const char *name) {
    char what[96];
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(m->record, name);
    if (v && lf_text_put_value(&m->text, v)) return LF_OK;
    if (!v) return missing(m);
    snprintf(what, sizeof what, "text in the field '%.60s'", name);
    return fail(m, what, cJSON_IsNull(v) ? "null" : cJSON_IsArray(v) ? "a list" : "an object");
}

/* ---- choosing -----------------------------------------------------------------------------------------------------
 */

static lf_status no_layout(const lf_text_store *s, const cJSON *record, lf_err *err) {
    char name[600], found[256], expected[512] = "";
    list_fields(found, sizeof found, record);
    for (int i = 0; i < N_LAYOUTS; i++) {
        char fields[160] = "";
        append_required(fields, sizeof fields, &layouts[i]);
        const size_t used = strlen(expected);
        snprintf(expected + used, sizeof expected - used, "%s%s", i ? ", or " : "", fields);
    }
    return lf_fail(err, LF_EDATA, "%s: expected the fields %s; found %s; text_field may name another",
                   lf_text_store_record_name(s, 0, name, sizeof name), expected, found);
}

lf_status lf_text_layout_choose(lf_text_store *s, const cJSON *record, lf_err *err) {
    if (s->text_field) {
        s->layout = layout_with(LF_TEXT_ONE_FIELD);
        const making m = {.store = s, .layout = s->layout, .record = record, .err = err};
        if (!cJSON_GetObjectItemCaseSensitive(record, s->text_field)) return missing(&m);
    }
    for (int i = 0; i < N_LAYOUTS && !s->layout; i++)
        if (has_all(record, layouts[i].required)) s->layout = &layouts[i];
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

/* ---- making -------------------------------------------------------------------------------------------------------
 */

static lf_status put_prompt(making *m) {
    const lf_text_layout *l = m->layout;
    const char *text = m->store->prompt_template ? m->store->prompt_template : l->prompt;
    char name[600];
    if (!m->store->prompt_template && l->short_prompt) {
        const cJSON *v = field(m->record, l->optional);
        if (!v || (cJSON_IsString(v) && !*v->valuestring)) text = l->short_prompt;
    }
    const lf_status rc = lf_text_template_render(&m->text, text, m->record, l->optional, m->store->path, NULL);
    if (!rc) return LF_OK; /* the name counts lines: only for a failure */
    return lf_text_template_render(&m->text, text, m->record, l->optional, name_of(m, name, sizeof name), m->err);
}

/* Everything put so far from `begin` on is the answer. */
static lf_status add_answer(making *m, size_t begin) {
    lf_text_example *e = m->out;
    if (m->text.failed || !(e->answers = lf_malloc(sizeof *e->answers)))
        return lf_no_memory(m->err, "a record of %s", m->store->path);
    e->answers[0] = (lf_answer){begin, m->text.n};
    e->n_answers = 1;
    return LF_OK;
}

static lf_status whole(making *m) { return put_field(m, one_field(m->store)); }

static lf_status pair(making *m) {
    lf_status rc = put_prompt(m);
    const size_t begin = m->text.n;
    const char *answer = strrchr(m->layout->required, '|') + 1;
    if (rc || (rc = put_field(m, answer))) return rc;
    return add_answer(m, begin);
}

/* The answer as number from 0, else as one of the choices, else as a letter, else as a number in a string. */
static int64_t answer_index(const lf_text_example *e, const cJSON *answer) {
    int64_t i;
    if (lf_json_exact_i64(answer, &i)) return i >= 0 && i < e->n_choices ? i : -1;
    const char *s = cJSON_GetStringValue(answer);
    if (!s || !*s) return -1;
    for (i = 0; i < e->n_choices; i++)
        if (!strcmp(e->choices[i], s)) return i;
    if (s[1] == 0 && isalpha((unsigned char)*s))
        i = toupper((unsigned char)*s) - 'A';
    else if (strlen(s) < 10 && !s[strspn(s, "0123456789")])
        for (i = 0; *s; s++) i = 10 * i + (*s - '0');
    return i < e->n_choices ? i : -1;
}

static lf_status read_choices(making *m) {
    lf_text_example *e = m->out;
    const cJSON *list = field(m->record, "choices"), *v;
    const int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    if (n < 2) return fail(m, "a list of two or more texts in the field 'choices'", n ? "one" : "none");
    if (!(e->choices = lf_calloc((size_t)n, sizeof *e->choices)))
        return lf_no_memory(m->err, "a record of %s", m->store->path);
    cJSON_ArrayForEach(v, list) {
        lf_string b = {0};
        if (!lf_text_put_value(&b, v)) return fail(m, "texts in the list 'choices'", "another value among them");
        if (!(e->choices[e->n_choices] = lf_string_take(&b)))
            return lf_no_memory(m->err, "a record of %s", m->store->path);
        e->n_choices++;
    }
    return LF_OK;
}

static lf_status choices(making *m) {
    lf_text_example *e = m->out;
    lf_status rc;
    if (!has_all(m->record, m->layout->required)) return missing(m);
    if ((rc = read_choices(m)) || (rc = put_prompt(m))) return rc;
    const cJSON *answer = field(m->record, "answer");
    e->answer = answer_index(e, answer);
    if (e->answer < 0) {
        char expected[128], *found = answer ? lf_json_print_line(answer) : NULL;
        snprintf(expected, sizeof expected,
                 "an answer that is a number from 0 to %" PRId64 ", one of the choices, or a letter from A to %c",
                 e->n_choices - 1, (char)('A' + (e->n_choices < 26 ? e->n_choices : 26) - 1));
        rc = fail(m, expected, found ? found : "null");
        lf_free(found);
        return rc;
    }
    const size_t begin = m->text.n;
    lf_string_put(&m->text, e->choices[e->answer], strlen(e->choices[e->answer]));
    return add_answer(m, begin);
}

/* What a template returned is checked: spans index into text. */
static bool good_spans(const lf_text_example *e) {
    size_t at = 0;
    for (int64_t i = 0; i < e->n_answers; i++) {
        if (e->answers[i].begin < at || e->answers[i].end < e->answers[i].begin || e->answers[i].end > e->n)
            return false;
        at = e->answers[i].end;
    }
    return true;
}

static lf_status render(making *m, const lf_message *list, size_t n) {
    lf_text_example *e = m->out;
    lf_err err = {0};
    char name[600];
    const lf_text_chat *chat = &m->store->chat;
    lf_prompt p = {0};
    const cJSON *tools = field(m->record, "tools");
    const lf_status rc = chat->render(chat->context, list, n, tools, &p, &err);
    e->text = p.text;
    e->n = p.n;
    e->answers = p.answers;
    e->n_answers = (int64_t)p.n_answers;
    if (rc) return lf_fail(m->err, rc, "%s: %s", name_of(m, name, sizeof name), err.message);
    e->rendered = true;
    if (!good_spans(e)) return fail(m, "answers inside the text of the chat template", "others");
    return e->n_answers ? LF_OK : fail(m, "a message of role 'assistant'", "none");
}

/* {"role", "content"}, or more that the template may read; "weight": 0 or "train": false: not to be learned. */
static bool read_message(lf_message *out, const cJSON *v) {
    const cJSON *weight = cJSON_GetObjectItemCaseSensitive(v, "weight");
    *out = (lf_message){.role = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(v, "role")),
                        .content = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(v, "content")),
                        .json = v,
                        .unlearned = (cJSON_IsNumber(weight) && weight->valuedouble == 0) ||
                                     cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(v, "train"))};
    return out->role && (out->content || cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(v, "content")) ||
                         cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(v, "tool_calls")));
}

static lf_status messages(making *m) {
    const cJSON *list = field(m->record, "messages"), *v;
    const int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    if (!cJSON_GetObjectItemCaseSensitive(m->record, "messages")) return missing(m);
    if (n == 0) return fail(m, "a list of messages in the field 'messages'", list ? "none" : "null");
    lf_message *all = lf_calloc((size_t)n, sizeof *all);
    if (!all) return lf_no_memory(m->err, "a record of %s", m->store->path);
    lf_status rc = LF_OK;
    int64_t i = 0;
    cJSON_ArrayForEach(v, list) {
        if (!read_message(&all[i++], v) && !rc)
            rc = fail(m,
                      "each message to be {\"role\": \"...\", \"content\": \"...\"}, with a text, a list of parts or "
                      "tool_calls",
                      "another form");
    }
    if (!rc) rc = render(m, all, (size_t)n);
    lf_free(all);
    return rc;
}

/* ---- one example --------------------------------------------------------------------------------------------------
 */

lf_status lf_text_layout_example(const lf_text_store *s, int64_t i, const cJSON *record, lf_text_example *out,
                                 lf_err *err) {
    *out = (lf_text_example){.answer = -1};
    making m = {.store = s, .layout = s->layout, .record = record, .index = i, .out = out, .err = err};
    lf_status rc = LF_OK;
    if (!(s->layout->traits & LF_TEXT_ONE_FIELD) && !has_all(record, s->layout->required)) rc = missing(&m);
    if (!rc) rc = s->layout->make(&m);
    if (!rc && !out->text) {
        out->n = m.text.n;
        if (!(out->text = lf_string_take(&m.text))) rc = lf_no_memory(m.err, "a record of %s", m.store->path);
    }
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
    lf_free(e->answers);
    for (int64_t i = 0; i < e->n_choices; i++) lf_free(e->choices[i]);
    lf_free(e->choices);
    *e = (lf_text_example){0};
}
