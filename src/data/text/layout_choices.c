/* Multiple choice: where the choices are, which of them is right, and the document with the right one behind. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/slice.h"
#include "data/text/making.h"

/* ---- the choices ---- */

typedef struct reading {
    lf_text_making *m;
    int64_t capacity;
    const cJSON *labels; /* what the choices are called: a list, or the members of an object; NULL: by their order */
} reading;

static lf_status add_text(reading *r, char *text) {
    lf_text_example *e = r->m->out;
    if (!text || !lf_grow(&e->choices, &r->capacity, e->n_choices + 1)) {
        lf_free(text);
        return lf_text_out_of_memory(r->m);
    }
    e->choices[e->n_choices++] = text;
    return LF_OK;
}

static lf_status add_value(reading *r, const cJSON *v, const char *field) {
    lf_string b = {0};
    char what[128];
    if (lf_json_put_value(&b, v)) return add_text(r, lf_string_take(&b));
    snprintf(what, sizeof what, "texts as choices in '%.60s'", field);
    return lf_text_bad(r->m, what, "another value among them");
}

/* Is each choice a field of its own? */
static bool has_columns(const reading *r) {
    const char *list = r->m->layout->choices;
    return *list != '=' && strchr(list, '|');
}

/* A text; a list of them; {"text": [...], "label": [...]}; {"A": ..., "B": ...}. */
static lf_status add_field(reading *r, const char *field) {
    const cJSON *v = lf_text_field(r->m->record, field), *item;
    if (!v && has_columns(r)) return add_text(r, lf_strdup(""));
    lf_status rc = LF_OK;
    if (cJSON_IsObject(v)) {
        const cJSON *texts = cJSON_GetObjectItemCaseSensitive(v, "text");
        r->labels = cJSON_IsArray(texts) ? cJSON_GetObjectItemCaseSensitive(v, "label") : v;
        if (cJSON_IsArray(texts)) v = texts;
    }
    if (!cJSON_IsArray(v) && !cJSON_IsObject(v)) return v ? add_value(r, v, field) : lf_text_missing(r->m);
    cJSON_ArrayForEach(item, v) if (!rc) rc = add_value(r, item, field);
    return rc;
}

/* A table has as many columns as the longest question has choices. */
static void drop_empty_end(lf_text_example *e) {
    while (e->n_choices > 2 && !*e->choices[e->n_choices - 1]) lf_free(e->choices[--e->n_choices]);
}

static lf_status read_choices(reading *r) {
    const char *list = r->m->layout->choices;
    const bool fixed = *list == '=';
    char name[LF_TEXT_FIELD];
    lf_status rc = LF_OK;
    list += fixed;
    while (!rc && lf_text_next_field(&list, name, NULL)) rc = fixed ? add_text(r, lf_strdup(name)) : add_field(r, name);
    if (!rc && has_columns(r)) drop_empty_end(r->m->out);
    if (rc || r->m->out->n_choices >= 2) return rc;
    char what[128];
    snprintf(what, sizeof what, "a list of two or more texts in the field '%.60s'", r->m->layout->choices);
    return lf_text_bad(r->m, what, r->m->out->n_choices ? "one" : "none");
}

/* ---- which is right ---- */

static bool same_value(const cJSON *label, const char *s) {
    lf_string b = {0};
    const bool same = lf_json_put_value(&b, label) && b.s && !strcmp(b.s, s);
    lf_string_free(&b);
    return same;
}

/* By what the choices are called; -1: none is called so. */
static int64_t labelled(const cJSON *labels, const char *s) {
    int64_t i = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, labels) {
        if (cJSON_IsObject(labels) ? !strcmp(item->string, s) : same_value(item, s)) return i;
        i++;
    }
    return -1;
}

/* By the name of the field that holds it. */
static int64_t column_of(const reading *r, const char *s) {
    const char *list = r->m->layout->choices;
    char name[LF_TEXT_FIELD];
    for (int64_t i = 0; has_columns(r) && lf_text_next_field(&list, name, NULL); i++)
        if (!strcasecmp(name, s)) return i;
    return -1;
}

/* By its label, else as one of the choices, else as a letter, else as a number in a string. */
static int64_t index_of_text(const reading *r, const char *s, int64_t first) {
    const lf_text_example *e = r->m->out;
    int64_t i = labelled(r->labels, s);
    if (i < 0) i = *r->m->layout->choices == '=' ? lf_text_yes_or_no(s) : column_of(r, s);
    if (i >= 0) return i;
    for (i = 0; i < e->n_choices; i++)
        if (!strcmp(e->choices[i], s)) return i;
    if (s[1] == 0 && isalpha((unsigned char)*s)) return toupper((unsigned char)*s) - 'A';
    return *s && strlen(s) < 10 && !s[strspn(s, "0123456789")] ? strtoll(s, NULL, 10) - first : -1;
}

static lf_status hidden(const lf_text_making *m, const char *field, const char *found) {
    char name[600];
    return lf_fail(
        m->err, LF_EDATA,
        "%s: the answer is hidden ('%s' is %s), as in the test part of a benchmark; take its validation part",
        lf_text_record(m, name, sizeof name), field, found);
}

static lf_status bad_answer(const lf_text_making *m, const cJSON *answer, int64_t first) {
    const int64_t n = m->out->n_choices;
    char expected[160], *found = answer ? lf_json_print_line(answer) : NULL;
    snprintf(expected, sizeof expected,
             "an answer that is a number from %" PRId64 " to %" PRId64 ", one of the choices, or a letter from A to %c",
             first, first + n - 1, (char)('A' + (n < 26 ? n : 26) - 1));
    const lf_status rc = lf_text_bad(m, expected, found ? found : "null");
    lf_free(found);
    return rc;
}

static bool is_hidden(const cJSON *answer) {
    const char *s = cJSON_GetStringValue(answer);
    return !answer || (s && (!*s || !strcmp(s, "-1"))) || (cJSON_IsNumber(answer) && answer->valuedouble == -1);
}

/* Of a prompt whose answer is not told, none: -1. */
static lf_status find_answer(const reading *r) {
    const lf_text_making *m = r->m;
    lf_text_example *e = m->out;
    char field[LF_TEXT_FIELD];
    snprintf(field, sizeof field, "%s", m->layout->answer);
    if (*field == '=') {
        e->answer = field[1] - '0';
        return LF_OK;
    }
    char *minus = strchr(field, '-');
    const int64_t first = minus != NULL; /* the number of the first choice */
    if (minus) *minus = 0;
    const cJSON *answer = lf_text_field(m->record, field);
    const char *s = cJSON_GetStringValue(answer);
    int64_t i = -1;
    if (m->store->prompts && is_hidden(answer)) return LF_OK;
    if (s && (!*s || !strcmp(s, "-1"))) return hidden(m, field, *s ? "\"-1\"" : "empty");
    if (cJSON_IsBool(answer))
        i = *m->layout->choices == '=' ? cJSON_IsTrue(answer) : -1;
    else if (s)
        i = index_of_text(r, s, first);
    else if (lf_json_exact_i64(answer, &i)) {
        if (i == -1) return hidden(m, field, "-1");
        i -= first;
    } else
        i = -1;
    e->answer = i;
    if (i < 0 || i >= e->n_choices) return bad_answer(m, answer, first);
    return *e->choices[i] || !has_columns(r) ? LF_OK
                                             : lf_text_bad(m, "a text in the field of the right choice", "none");
}

/* ---- documents ---- */

static lf_status read(lf_text_making *m) {
    reading r = {.m = m};
    const lf_status rc = read_choices(&r);
    return rc ? rc : find_answer(&r);
}

static lf_status put_choice(lf_text_making *m) {
    const size_t begin = m->text.n;
    if (m->out->answer < 0) return LF_OK;
    const char *right = m->out->choices[m->out->answer];
    if (m->store->prompts) return lf_text_set_wanted(m, right);
    lf_string_put(&m->text, right, strlen(right));
    return lf_text_add_answer(m, begin);
}

lf_status lf_text_make_choices(lf_text_making *m) {
    lf_status rc;
    if ((rc = read(m)) || (rc = lf_text_put_prompt(m))) return rc;
    return put_choice(m);
}

/* A choice is what fills the gap and all that follows it: which makes the likelier sentence. */
lf_status lf_text_make_blank(lf_text_making *m) {
    lf_text_example *e = m->out;
    lf_status rc;
    if (m->store->prompt_template) return lf_text_make_choices(m);
    if ((rc = read(m)) || (rc = lf_text_put_prompt(m))) return rc;
    char *gap = m->text.s ? strchr(m->text.s, '_') : NULL;
    if (!gap) return lf_text_bad(m, "a '_' in the sentence, where the choices go", "none");
    for (int64_t i = 0; i < e->n_choices; i++) {
        char *whole = lf_format("%s%s", e->choices[i], gap + 1);
        if (!whole) return lf_text_out_of_memory(m);
        lf_free(e->choices[i]);
        e->choices[i] = whole;
    }
    *gap = 0;
    m->text.n = (size_t)(gap - m->text.s);
    return put_choice(m);
}
