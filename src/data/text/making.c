/* What the makers of documents share: fields, messages, the text before an answer. */
#include "data/text/making.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/slice.h"

/* ---- fields ---- */

bool lf_text_next_field(const char **list, char name[LF_TEXT_FIELD], const char **kind) {
    lf_slice item;
    if (!lf_next_item(list, &item)) return false;
    snprintf(name, LF_TEXT_FIELD, "%.*s", item.length, item.start);
    char *colon = strchr(name, ':');
    if (colon) *colon = 0;
    if (kind) *kind = colon ? colon + 1 : "";
    return true;
}

/* As a question of yes or no is answered, in JSON or in CSV. */
static bool is_yes_or_no(const cJSON *v) {
    const char *s = cJSON_GetStringValue(v);
    int64_t i = -1;
    if (s) return lf_text_yes_or_no(s) >= 0;
    return cJSON_IsBool(v) || (lf_json_exact_i64(v, &i) && (i == 0 || i == 1));
}

int lf_text_yes_or_no(const char *s) {
    static const char *const words[] = {"no", "yes", "false", "true", "0", "1"};
    for (int i = 0; i < (int)(sizeof words / sizeof *words); i++)
        if (!strcasecmp(s, words[i])) return i % 2;
    return -1;
}

static bool is_kind(const cJSON *v, const char *kind) {
    if (!strcmp(kind, "list")) return cJSON_IsArray(v) && v->child;
    if (!strcmp(kind, "object")) return cJSON_IsObject(v);
    if (!strcmp(kind, "bool")) return cJSON_IsBool(v);
    if (!strcmp(kind, "yesno")) return is_yes_or_no(v);
    return v != NULL;
}

bool lf_text_has_fields(const cJSON *record, const char *required) {
    char name[LF_TEXT_FIELD];
    const char *kind;
    while (lf_text_next_field(&required, name, &kind))
        if (!is_kind(cJSON_GetObjectItemCaseSensitive(record, name), kind)) return false;
    return true;
}

bool lf_text_layout_answered_by(const lf_text_layout *l, const char *field) {
    const size_t n = l->answer ? strcspn(l->answer, "-") : 0;
    return n && strlen(field) == n && !strncmp(l->answer, field, n);
}

bool lf_text_is_answer(const lf_text_layout *l, const char *field) {
    const char *last = strrchr(l->required, '|');
    if (l->choices) return lf_text_layout_answered_by(l, field);
    return last && !strncmp(last + 1, field, strlen(field)) && strchr(":", last[1 + strlen(field)]);
}

bool lf_text_has_question(const cJSON *record, const lf_text_layout *l) {
    const char *list = l->required, *kind;
    char name[LF_TEXT_FIELD];
    while (lf_text_next_field(&list, name, &kind))
        if (!lf_text_is_answer(l, name) && !is_kind(cJSON_GetObjectItemCaseSensitive(record, name), kind)) return false;
    return true;
}

const cJSON *lf_text_field(const cJSON *record, const char *name) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(record, name);
    return cJSON_IsNull(v) ? NULL : v;
}

bool lf_text_is_empty(const cJSON *v) {
    if (!v || cJSON_IsNull(v)) return true;
    if (cJSON_IsString(v)) return !*v->valuestring;
    return (cJSON_IsArray(v) || cJSON_IsObject(v)) && !v->child;
}

const char *lf_text_one_field(const lf_text_making *m) {
    return m->store->text_field ? m->store->text_field : m->layout->required;
}

/* ---- messages ---- */

const char *lf_text_record(const lf_text_making *m, char *buf, size_t size) {
    return lf_text_store_record_name(m->store, m->index, buf, size);
}

lf_status lf_text_bad(const lf_text_making *m, const char *expected, const char *found) {
    char name[600];
    return lf_fail(m->err, LF_EDATA, "%s: expected %s, found %s", lf_text_record(m, name, sizeof name), expected,
                   found);
}

lf_status lf_text_missing(const lf_text_making *m) {
    char found[256] = "", expected[256] = "", what[320], name[LF_TEXT_FIELD];
    const char *list = m->layout->required;
    const cJSON *v;
    cJSON_ArrayForEach(v, m->record) lf_list_append(found, sizeof found, v->string);
    const char *const classified[] = {m->store->fields.text, m->store->fields.second, m->store->fields.label};
    if (m->layout->traits & LF_TEXT_CLASSIFIED) {
        for (size_t i = 0; i < sizeof classified / sizeof *classified; i++)
            if (classified[i]) lf_list_append(expected, sizeof expected, classified[i]);
    } else if (m->layout->traits & LF_TEXT_ONE_FIELD)
        lf_list_append(expected, sizeof expected, lf_text_one_field(m));
    else
        while (lf_text_next_field(&list, name, NULL))
            if (!m->store->prompts || !lf_text_is_answer(m->layout, name))
                lf_list_append(expected, sizeof expected, name);
    snprintf(what, sizeof what, "the fields %s%s", expected, m->index ? " as in the first record" : "");
    return lf_text_bad(m, what, *found ? found : "none");
}

lf_status lf_text_out_of_memory(const lf_text_making *m) {
    return lf_no_memory(m->err, "a record of %s", m->store->path);
}

/* ---- text ---- */

lf_status lf_text_put_field(lf_text_making *m, const char *name) {
    char what[96];
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(m->record, name);
    if (v && lf_json_put_value(&m->text, v)) return LF_OK;
    if (!v) return lf_text_missing(m);
    snprintf(what, sizeof what, "text in the field '%.60s'", name);
    return lf_text_bad(m, what, cJSON_IsNull(v) ? "null" : cJSON_IsArray(v) ? "a list" : "an object");
}

/* "{a}\n{b}\n" without the lines of fields that may be there and are empty. */
static bool put_lines(lf_string *out, const lf_text_making *m, const char *lines) {
    while (*lines) {
        const size_t n = strcspn(lines, "\n") + (lines[strcspn(lines, "\n")] == '\n');
        const char *close = memchr(lines, '}', n);
        char name[LF_TEXT_FIELD] = "";
        if (*lines == '{' && close && close[1] == '\n')
            snprintf(name, sizeof name, "%.*s", (int)(close - lines) - 1, lines + 1);
        const bool left_out =
            lf_has_item(m->layout->optional, name) && lf_text_is_empty(lf_text_field(m->record, name));
        if (!left_out && !lf_string_put(out, lines, n)) return false;
        lines += n;
    }
    return true;
}

lf_status lf_text_put_prompt(lf_text_making *m) {
    const char *given = m->store->prompt_template;
    const lf_text_filling f = {m->record, m->layout->optional, m->out->choices, m->out->n_choices};
    lf_string lines = {0};
    char name[600];
    if (!given && !put_lines(&lines, m, m->layout->prompt)) {
        lf_string_free(&lines);
        return lf_text_out_of_memory(m);
    }
    const char *text = given ? given : lines.s ? lines.s : "";
    lf_status rc = lf_text_template_render(&m->text, text, &f, m->store->path, NULL);
    if (rc) /* the name counts lines: only for a failure */
        rc = lf_text_template_render(&m->text, text, &f, lf_text_record(m, name, sizeof name), m->err);
    lf_string_free(&lines);
    return rc;
}

lf_status lf_text_add_answer(lf_text_making *m, size_t begin) {
    lf_text_example *e = m->out;
    if (m->text.failed || !(e->answers = lf_malloc(sizeof *e->answers))) return lf_text_out_of_memory(m);
    e->answers[0] = (lf_answer){begin, m->text.n};
    e->n_answers = 1;
    return LF_OK;
}

bool lf_text_is_blank(const char *text, size_t n) {
    size_t i = 0;
    while (i < n && memchr(" \t\r\n\v\f", text[i], 6)) i++;
    return i == n;
}

lf_status lf_text_count_empty_answer(const lf_text_making *m) {
    char name[600];
    const char *record = lf_path_base(lf_text_record(m, name, sizeof name)); /* the path is said before it */
    return lf_text_unread_add(m->unread, LF_TEXT_EMPTY_ANSWER, record) ? LF_OK : lf_text_out_of_memory(m);
}

lf_status lf_text_set_wanted(lf_text_making *m, const char *text) {
    return (m->out->wanted = lf_strdup(text)) ? LF_OK : lf_text_out_of_memory(m);
}

/* ---- documents without choices or messages ---- */

lf_status lf_text_make_whole(lf_text_making *m) { return lf_text_put_field(m, lf_text_one_field(m)); }

lf_status lf_text_make_pair(lf_text_making *m) {
    lf_status rc = lf_text_put_prompt(m);
    const size_t begin = m->text.n;
    const char *answer = strrchr(m->layout->required, '|') + 1;
    if (rc || (m->store->prompts && !lf_text_field(m->record, answer)) || (rc = lf_text_put_field(m, answer)))
        return rc;
    if (!m->store->prompts) {
        const bool empty = !m->text.failed && (!m->text.s || lf_text_is_blank(m->text.s + begin, m->text.n - begin));
        if (empty && (rc = lf_text_count_empty_answer(m))) return rc;
        return lf_text_add_answer(m, begin);
    }
    if (m->text.failed) return lf_text_out_of_memory(m);
    rc = lf_text_set_wanted(m, m->text.s ? m->text.s + begin : "");
    m->text.n = begin;
    return rc;
}
