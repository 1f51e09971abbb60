/* What the families' conversations look like. */
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "text/chat_template_internal.h"
#include "text/unicode.h"

static void put_n(lf_chat_writer *w, const char *s, size_t n) { lf_string_put(&w->text, s, n); }
static void put(lf_chat_writer *w, const char *s) { put_n(w, s, strlen(s)); }

static size_t size_of(const lf_message *m) { return m->n ? m->n : strlen(m->content); }
static void put_content(lf_chat_writer *w, const lf_message *m) { put_n(w, m->content, size_of(m)); }

/* s without the spaces around it, as Python's strip and Jinja's trim do it. Python also takes U+001C .. U+001F for
 * spaces. */
static void put_trimmed(lf_chat_writer *w, const char *s, size_t n) {
    size_t begin = 0, end = 0;
    bool started = false;
    for (size_t i = 0; i < n;) {
        uint32_t c;
        size_t size = lf_utf8_next(s + i, n - i, &c);
        if (size == 0) size = 1, c = 'x'; /* what is no UTF-8 is no space */
        if (!lf_char_is_space(c) && !(c >= 0x1c && c <= 0x1f)) {
            if (!started) begin = i;
            started = true;
            end = i + size;
        }
        i += size;
    }
    put_n(w, s + begin, end - begin);
}

static void put_content_trimmed(lf_chat_writer *w, const lf_message *m) { put_trimmed(w, m->content, size_of(m)); }

static void begin_answer(lf_chat_writer *w) {
    if (!lf_grow(&w->answers, &w->answers_capacity, w->n_answers + 1)) {
        w->text.failed = true;
        return;
    }
    w->answers[w->n_answers++] = (lf_answer){w->text.n, w->text.n};
}
static void end_answer(lf_chat_writer *w) {
    if (!w->text.failed) w->answers[w->n_answers - 1].end = w->text.n;
}

static bool is(const lf_message *m, const char *role) { return strcmp(m->role, role) == 0; }

static lf_status wrong_role(const lf_chat_writer *w, const lf_message *m, size_t i, const char *expected, lf_err *err) {
    return lf_fail(err, LF_EDATA, "message %zu: role \"%.40s\": expected %s in a %s conversation", i, m->role, expected,
                   w->c->format->name);
}

static lf_status check_roles(const lf_chat_writer *w, const lf_message *messages, size_t n, lf_err *err) {
    for (size_t i = 0; i < n; i++)
        if (!is(&messages[i], "system") && !is(&messages[i], "user") && !is(&messages[i], "assistant"))
            return wrong_role(w, &messages[i], i, "system, user or assistant", err);
    return LF_OK;
}

/* ---- ChatML: <|im_start|>role\ncontent<|im_end|>\n ---- */

static void put_chatml(lf_chat_writer *w, const lf_message *m) {
    const bool answer = is(m, "assistant");
    put(w, "<|im_start|>");
    put(w, m->role);
    put(w, "\n");
    if (answer) begin_answer(w);
    if (w->c->trim)
        put_content_trimmed(w, m);
    else
        put_content(w, m);
    put(w, w->c->format->turn_end);
    if (answer) end_answer(w);
    put(w, "\n");
}

static lf_status write_chatml(lf_chat_writer *w, const lf_message *messages, size_t n, bool add_generation_prompt,
                              lf_err *err) {
    const lf_status rc = check_roles(w, messages, n, err);
    if (rc) return rc;
    if (w->c->starts_bos) put(w, w->c->bos);
    if (w->c->system && (n == 0 || !is(&messages[0], "system")))
        put_chatml(w, &(lf_message){.role = "system", .content = w->c->system});
    for (size_t i = 0; i < n; i++) put_chatml(w, &messages[i]);
    if (add_generation_prompt) put(w, "<|im_start|>assistant\n");
    return LF_OK;
}

/* A system message that stands in the template as it is: text between the header and <|im_end|> with nothing of Jinja
 * in it. Line ends in a Jinja string are \n, two characters. */
static char *find_system(const char *jinja, bool *failed) {
    static const char head[] = "<|im_start|>system";
    for (const char *s = jinja; (s = strstr(s, head));) {
        s += sizeof head - 1;
        s += *s == '\n' ? 1 : strncmp(s, "\\n", 2) == 0 ? 2 : 0;
        const char *end = strstr(s, "<|im_end|>");
        if (!end) return NULL;
        if (end == s || strcspn(s, "'\"{}") < (size_t)(end - s)) continue;
        char *out = lf_malloc((size_t)(end - s) + 1), *to = out;
        *failed = !out;
        if (!out) return NULL;
        for (; s < end; s++) {
            const bool line = strncmp(s, "\\n", 2) == 0;
            *to++ = line ? '\n' : *s;
            s += line;
        }
        *to = 0;
        return out;
    }
    return NULL;
}

static void look_chatml(lf_chat_template *c, const char *jinja) {
    c->system = find_system(jinja, &c->failed);
    c->trim = strstr(jinja, "trim") || strstr(jinja, ".strip()");
    c->starts_bos = strstr(jinja, "bos_token") != NULL;
}

/* ---- Llama 3: <|start_header_id|>role<|end_header_id|>\n\ncontent<|eot_id|> ---- */

static lf_status write_llama3(lf_chat_writer *w, const lf_message *messages, size_t n, bool add_generation_prompt,
                              lf_err *err) {
    const lf_status rc = check_roles(w, messages, n, err);
    if (rc) return rc;
    for (size_t i = 0; i < n; i++) {
        const bool answer = is(&messages[i], "assistant");
        if (i == 0) put(w, w->c->bos);
        put(w, "<|start_header_id|>");
        put(w, messages[i].role);
        put(w, "<|end_header_id|>\n\n");
        if (answer) begin_answer(w);
        put_content_trimmed(w, &messages[i]);
        put(w, w->c->format->turn_end);
        if (answer) end_answer(w);
    }
    if (add_generation_prompt) put(w, "<|start_header_id|>assistant<|end_header_id|>\n\n");
    return LF_OK;
}

/* ---- Llama 2 and Mistral: [INST] question [/INST] answer, in turns; the model answers right after [/INST] ---- */

static lf_status check_turns(const lf_chat_writer *w, const lf_message *messages, size_t n, size_t first, lf_err *err) {
    for (size_t i = 0; i < n; i++) {
        const char *role = i % 2 == 0 ? "user" : "assistant";
        if (!is(&messages[i], role)) return wrong_role(w, &messages[i], i + first, role, err);
    }
    return LF_OK;
}

/* The two are trimmed together. */
static void put_with_system(lf_chat_writer *w, const char *system, const char *content) {
    char *both = lf_format("<<SYS>>\n%s\n<</SYS>>\n\n%s", system, content);
    if (both)
        put_trimmed(w, both, strlen(both));
    else
        w->text.failed = true;
    lf_free(both);
}

static lf_status write_llama2(lf_chat_writer *w, const lf_message *messages, size_t n, bool add_generation_prompt,
                              lf_err *err) {
    const char *system = n > 0 && is(&messages[0], "system") ? messages[0].content : NULL;
    const size_t first = system != NULL;
    (void)add_generation_prompt; /* the question's end is the answer's beginning */
    messages += first;
    n -= first;
    const lf_status rc = check_turns(w, messages, n, first, err);
    if (rc) return rc;
    for (size_t i = 0; i < n; i++) {
        if (i % 2 == 0) {
            put(w, w->c->bos);
            put(w, "[INST] ");
            if (i == 0 && system)
                put_with_system(w, system, messages[i].content);
            else
                put_content_trimmed(w, &messages[i]);
            put(w, " [/INST]");
        } else {
            begin_answer(w);
            put(w, " ");
            put_content_trimmed(w, &messages[i]);
            put(w, " ");
            put(w, w->c->eos);
            end_answer(w);
        }
    }
    return LF_OK;
}

static lf_status write_mistral(lf_chat_writer *w, const lf_message *messages, size_t n, bool add_generation_prompt,
                               lf_err *err) {
    const lf_status rc = check_turns(w, messages, n, 0, err);
    (void)add_generation_prompt;
    if (rc) return rc;
    put(w, w->c->bos);
    for (size_t i = 0; i < n; i++) {
        if (i % 2 == 0) {
            put(w, "[INST] ");
            put_content(w, &messages[i]);
            put(w, " [/INST]");
        } else {
            begin_answer(w);
            if (w->c->answer_space) put(w, " ");
            put_content(w, &messages[i]);
            put(w, w->c->eos);
            end_answer(w);
            if (w->c->space_after) put(w, " ");
        }
    }
    return LF_OK;
}

/* Written as one string with the content or the token, with either kind of quotes. */
static bool has_either(const char *jinja, const char *one, const char *other) {
    return strstr(jinja, one) || strstr(jinja, other);
}

static void look_mistral(lf_chat_template *c, const char *jinja) {
    c->answer_space = has_either(jinja, "' ' + message", "\" \" + message");
    c->space_after = has_either(jinja, "eos_token + ' '", "eos_token + \" \"");
}

/* ---- plain: a line a message, eos behind each answer ---- */

static lf_status write_plain(lf_chat_writer *w, const lf_message *messages, size_t n, bool add_generation_prompt,
                             lf_err *err) {
    const lf_status rc = check_roles(w, messages, n, err);
    (void)add_generation_prompt;
    if (rc) return rc;
    put(w, w->c->bos);
    for (size_t i = 0; i < n; i++) {
        const bool answer = is(&messages[i], "assistant");
        if (answer) begin_answer(w);
        put_content(w, &messages[i]);
        if (answer) put(w, w->c->eos);
        if (answer) end_answer(w);
        put(w, "\n");
    }
    return LF_OK;
}

static const char *const chatml_refused[] = {"<think>", "reasoning_content", NULL};
static const char *const llama3_refused[] = {"Cutting Knowledge", "strftime_now", "date_string", NULL};
static const char *const mistral_refused[] = {"[AVAILABLE_TOOLS]", "[SYSTEM_PROMPT]", "[TOOL_CALLS]", "<<SYS>>", NULL};
static const char *const none_refused[] = {NULL};

const lf_chat_format lf_chat_formats[] = {
    {"chatml", "<|im_start|>", chatml_refused, "", "<|im_end|>", "<|im_end|>", look_chatml, write_chatml},
    {"llama3", "<|start_header_id|>", llama3_refused, "<|begin_of_text|>", "<|eot_id|>", "<|eot_id|>", NULL,
     write_llama3},
    {"llama2", "<<SYS>>", none_refused, "<s>", "</s>", NULL, NULL, write_llama2},
    {"mistral", "[INST]", mistral_refused, "<s>", "</s>", NULL, look_mistral, write_mistral},
    {"plain", NULL, none_refused, "", "", NULL, NULL, write_plain},
};
const size_t lf_n_chat_formats = sizeof lf_chat_formats / sizeof *lf_chat_formats;
