/* A chat model's folder and a conversation: tokenizer_config.json, chat_template.jinja (empty: there is none), the
 * messages and the tools as JSON, with NULs between. One line of error, or a text whose answers lie in it in order. */
#include "base/json.h"
#include "fuzz.h"
#include "text/chat_template.h"

enum { MOST_MESSAGES = 8 };

static size_t read_messages(const cJSON *json, lf_message *out) {
    const cJSON *m;
    size_t n = 0;
    cJSON_ArrayForEach(m, json) {
        const char *role = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(m, "role"));
        if (n < MOST_MESSAGES && role)
            out[n++] = (lf_message){.role = role,
                                    .content = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(m, "content")),
                                    .json = m,
                                    .unlearned = cJSON_HasObjectItem(m, "unlearned")};
    }
    return n;
}

static void render(const lf_chat_template *c, const lf_message *m, size_t n, const cJSON *tools, bool asks) {
    lf_prompt p = {0};
    lf_err err = {0};
    const lf_status rc = lf_chat_render_tools(c, m, n, tools, asks, &p, &err);
    require_said(rc, &err);
    require(rc == LF_OK || rc == LF_EDATA || rc == LF_EUNSUPPORTED);
    size_t at = 0;
    if (!rc) require(p.text[p.n] == 0);
    for (size_t i = 0; !rc && i < p.n_answers; i++) {
        require(p.answers[i].begin >= at && p.answers[i].begin <= p.answers[i].end && p.answers[i].end <= p.n);
        at = p.answers[i].end;
    }
    lf_prompt_free(&p);
}

/* What looks like a token is one. */
static size_t token_at(const void *context, const char *s, size_t n) {
    (void)context;
    const char *end = n && *s == '<' ? memchr(s, '>', n) : NULL;
    return end ? (size_t)(end - s) + 1 : 0;
}

static void use(lf_chat_template *c, const cJSON *messages, const cJSON *tools) {
    static const lf_chat_vocabulary known = {.token_at = token_at};
    lf_message m[MOST_MESSAGES];
    const size_t n = read_messages(messages, m);
    char date[LF_CHAT_DATE];
    lf_err err = {0};
    require(lf_chat_template_name(c) && lf_chat_template_turn_end(c));
    (void)lf_chat_template_reads(c, "tool_calls");
    (void)lf_chat_template_asks_date(c);
    require(lf_chat_template_set_date(c, lf_chat_template_date(c, date)) && !lf_chat_template_set_date(c, "soon"));
    render(c, m, n, NULL, false);
    render(c, m, n, tools, true);
    require_said(lf_chat_template_use_vocabulary(c, &known, &err), &err);
    render(c, m, n, NULL, false);
}

/* Our own, with the tokens that the model's files name; and the model's, as its text. */
static void use_ours(const cJSON *messages, const cJSON *tools) {
    static const char *const names[] = {"chatml", "llama2", "llama3", "mistral", "plain", "no such"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        lf_chat_template *c = NULL, *again = NULL;
        lf_err err = {0};
        const lf_status rc = lf_chat_template_open(&c, names[i], own_folder(), &err);
        require_said(rc, &err);
        require((rc == LF_OK) == (c != NULL) && (!c || lf_chat_template_is_name(names[i])));
        if (!c) continue;
        use(c, messages, tools);
        require(lf_chat_template_parse(&again, lf_chat_template_text(c), "<s>", NULL, "fuzz", NULL) == LF_OK);
        lf_chat_template_free(again);
        lf_chat_template_free(c);
    }
}

static void use_text(const cJSON *messages) {
    char *text = NULL;
    lf_chat_template *c = NULL;
    lf_prompt p = {0};
    lf_message m[MOST_MESSAGES];
    lf_err err = {0};
    lf_status rc = lf_chat_template_source(&text, own_folder(), &err);
    require_said(rc, &err);
    require(!text || rc == LF_OK);
    if (text && lf_chat_template_parse(&c, text, NULL, "</s>", "fuzz", &err) == LF_OK) {
        rc = lf_chat_render(c, m, read_messages(messages, m), true, &p, NULL);
        require((rc == LF_OK) == (p.text != NULL));
    }
    lf_prompt_free(&p);
    lf_chat_template_free(c);
    lf_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    lf_log_set_level(LF_LOG_QUIET);
    const fuzz_part config = take_part(&in), template = take_part(&in), messages = take_part(&in),
                    tools = take_rest(&in);
    put_part("tokenizer_config.json", config);
    if (template.n)
        put_part("chat_template.jinja", template);
    else
        remove(in_folder("chat_template.jinja"));
    lf_chat_template *c = NULL;
    cJSON *said = NULL, *known = NULL;
    lf_err err = {0};
    const lf_status rc = lf_chat_template_open(&c, "auto", own_folder(), &err);
    require_said(rc, &err);
    require((rc == LF_OK) == (c != NULL) && (rc == LF_OK || rc == LF_EDATA || rc == LF_EUNSUPPORTED));
    (void)lf_json_parse(&said, messages.s, messages.n, "fuzz", NULL);
    (void)lf_json_parse(&known, tools.s, tools.n, "fuzz", NULL);
    if (c) use(c, said, cJSON_IsArray(known) ? known : NULL);
    use_text(said);
    if (!template.n) use_ours(said, cJSON_IsArray(known) ? known : NULL);
    lf_chat_template_free(c);
    cJSON_Delete(said);
    cJSON_Delete(known);
    free(config.s);
    free(template.s);
    free(messages.s);
    free(tools.s);
    require(lf_alloc_live() == 0);
    return 0;
}
