/* A conversation as the variables of a template, and one rendering of it. */
#include <string.h>

#include "text/chat_template_internal.h"

static void put_key(lf_jinja_run *r, lf_jinja_value *m, const char *key, const cJSON *v, int32_t origin) {
    lf_jinja_put(r, m, key, lf_jinja_json(r, v, origin));
}

/* Thoughts go under several names, and templates read one or the other: transformers gives them all. */
static const cJSON *thoughts_of(const cJSON *json) {
    static const char *const names[] = {"reasoning_content", "thinking", "reasoning"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(json, names[i]);
        if (v && !cJSON_IsNull(v)) return v;
    }
    return NULL;
}

static lf_jinja_value *message_of(lf_jinja_run *r, const lf_chat_talk *talk, size_t i) {
    const lf_message *m = &talk->messages[i];
    const char *content = talk->marked && talk->marked[i] ? talk->stand_in : m->content;
    const size_t n = content == m->content && m->n ? m->n : content ? strlen(content) : 0;
    lf_jinja_value *v = lf_jinja_dict(r);
    const cJSON *item, *thoughts = m->json ? thoughts_of(m->json) : NULL;
    lf_jinja_put(r, v, "role", lf_jinja_text(r, m->role, strlen(m->role), lf_chat_origin(i, LF_CHAT_ROLE)));
    if (content) lf_jinja_put(r, v, "content", lf_jinja_text(r, content, n, lf_chat_origin(i, LF_CHAT_CONTENT)));
    if (thoughts) put_key(r, v, "thinking", thoughts, lf_chat_origin(i, LF_CHAT_MORE));
    cJSON_ArrayForEach(item, m->json) {
        const bool is_content = strcmp(item->string, "content") == 0;
        if (cJSON_IsNull(item) || strcmp(item->string, "role") == 0 || (is_content && content)) continue;
        put_key(r, v, item->string, item, lf_chat_origin(i, is_content ? LF_CHAT_CONTENT : LF_CHAT_MORE));
    }
    if (thoughts) put_key(r, v, "reasoning_content", thoughts, lf_chat_origin(i, LF_CHAT_MORE));
    return v;
}

lf_status lf_chat_run(const lf_chat_template *c, const lf_chat_talk *talk, lf_jinja_run **r, lf_jinja_result *out,
                      lf_err *err) {
    const lf_status rc = lf_jinja_run_new(r, NULL, err);
    if (rc) return rc;
    lf_jinja_value *messages = lf_jinja_list(*r);
    for (size_t i = 0; i < talk->n; i++) lf_jinja_add(*r, messages, message_of(*r, talk, i));
    lf_jinja_set(*r, "messages", messages);
    lf_jinja_set(*r, "tools", talk->tools ? lf_jinja_json(*r, talk->tools, 0) : lf_jinja_none(*r));
    lf_jinja_set(*r, "documents", lf_jinja_none(*r));
    lf_jinja_set(*r, "add_generation_prompt", lf_jinja_bool(*r, talk->add_generation_prompt));
    for (int i = 0; i < LF_CHAT_TOKENS; i++) {
        const char *s = c->tokens[i];
        if (s) lf_jinja_set(*r, lf_special_name_keys[i], lf_jinja_text(*r, s, strlen(s), 0));
    }
    lf_jinja_set_now(*r, &c->now);
    return lf_jinja_render(c->jinja, *r, out, err);
}
