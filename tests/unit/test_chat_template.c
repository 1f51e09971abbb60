/* Chat templates against transformers' apply_chat_template (tests/golden/chat.json), which bytes are answers, and what
 * is refused. */
#define _XOPEN_SOURCE 700
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory_fixture.h"

#include "base/file.h"
#include "base/json.h"
#include "base/string.h"
#include "io/gzip.h"
#include "text/chat_template.h"

static const char *text_of(const cJSON *o, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

static size_t read_messages(const cJSON *json, lf_message *out, size_t most) {
    const cJSON *m;
    size_t n = 0;
    cJSON_ArrayForEach(m, json) {
        assert_true(n < most);
        out[n++] = (lf_message){.role = text_of(m, "role"), .content = text_of(m, "content")};
    }
    return n;
}

/* Each answer is what its message says, perhaps without spaces around it, and the token that ends answers. */
static void check_answers(const lf_prompt *p, const lf_message *messages, size_t n, const char *end) {
    static const char spaces[] = " \t\n\x1c\xe3\x80";
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(messages[i].role, "assistant") != 0) continue;
        assert_true(k < p->n_answers);
        const lf_answer a = p->answers[k++];
        const char *said = messages[i].content + strspn(messages[i].content, spaces), *s = p->text + a.begin;
        size_t size = a.end - a.begin, n_said = strlen(said);
        assert_true(a.end <= p->n && size >= strlen(end));
        size -= strlen(end);
        assert_memory_equal(s + size, end, strlen(end));
        while (size > 0 && strchr(spaces, s[size - 1])) size--;
        while (n_said > 0 && strchr(spaces, said[n_said - 1])) n_said--;
        const size_t lead = size > 0 ? strspn(s, spaces) : 0;
        assert_int_equal(size - lead, n_said);
        assert_memory_equal(s + lead, said, n_said);
    }
    assert_int_equal(k, p->n_answers);
}

static void test_golden(void **state) {
    (void)state;
    cJSON *root = NULL;
    const cJSON *one;
    lf_err err = {0};
    int count = 0;
    if (lf_json_read(&root, LF_TEST_DIR "/golden/chat.json", &err)) fail_msg("%s", err.message);
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(root, "cases")) {
        lf_chat_template *c = NULL;
        lf_prompt p;
        lf_message messages[16];
        const size_t n = read_messages(cJSON_GetObjectItemCaseSensitive(one, "messages"), messages, 16);
        const char *expected = text_of(one, "text"), *format = text_of(one, "format");
        if (lf_chat_template_parse(&c, text_of(one, "template"), text_of(one, "bos"), text_of(one, "eos"), "t.json",
                                   &err))
            fail_msg("%s", err.message);
        assert_string_equal(lf_chat_template_name(c), "t.json");
        const lf_status rc =
            lf_chat_render(c, messages, n, cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(one, "generate")), &p, &err);
        if (!expected) {
            assert_int_equal(rc, LF_EDATA);
            assert_non_null(strstr(err.message, "refuses the conversation: turns"));
            err = (lf_err){0};
        } else {
            if (rc) fail_msg("%s", err.message);
            if (strcmp(p.text, expected) != 0)
                fail_msg("case %d, %s:\n%s\ninstead of\n%s", count, format, p.text, expected);
            assert_int_equal(p.n, strlen(expected));
            check_answers(&p, messages, n, strcmp(format, "llama3") == 0 ? "<|eot_id|>" : text_of(one, "eos"));
        }
        lf_prompt_free(&p);
        lf_chat_template_free(c);
        count++;
    }
    assert_true(count > 100);
    cJSON_Delete(root);
}

static void test_named(void **state) {
    (void)state;
    static const lf_message talk[] = {{.role = "user", .content = "Hi"}, {.role = "assistant", .content = "Ho"}};
    static const struct {
        const char *name, *text, *answer;
    } named[] = {
        {"chatml", "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHo<|im_end|>\n", "Ho<|im_end|>"},
        {"llama2", "<s>[INST] Hi [/INST] Ho </s>", " Ho </s>"},
        {"llama3",
         "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant"
         "<|end_header_id|>\n\nHo<|eot_id|>",
         "Ho<|eot_id|>"},
        {"mistral", "<s>[INST] Hi [/INST]Ho</s>", "Ho</s>"},
        {"plain", "Hi\nHo\n", "Ho"},
    };
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        lf_chat_template *c = NULL;
        lf_prompt p;
        assert_int_equal(lf_chat_template_open(&c, named[i].name, NULL, NULL), LF_OK);
        assert_int_equal(lf_chat_render(c, talk, 2, false, &p, NULL), LF_OK);
        assert_string_equal(p.text, named[i].text);
        assert_int_equal(p.n_answers, 1);
        assert_int_equal(p.answers[0].end - p.answers[0].begin, strlen(named[i].answer));
        assert_memory_equal(p.text + p.answers[0].begin, named[i].answer, strlen(named[i].answer));
        lf_prompt_free(&p);
        lf_chat_template_free(c);
    }
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *jinja, *names;
    } bad[] = {
        {"{{ '<|im_start|>' | xmlattr }}", "xmlattr"},
        {"{% include 'other' %}", "include"},
        {"{{ messages[0].content.swapcase() }}", "swapcase"},
    };
    lf_chat_template *c;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        lf_err err = {0};
        assert_int_equal(lf_chat_template_parse(&c, bad[i].jinja, NULL, NULL, "t.json", &err), LF_EUNSUPPORTED);
        if (!strstr(err.message, bad[i].names) || strncmp(err.message, "t.json", 6) != 0) fail_msg("%s", err.message);
        assert_null(c);
    }
    lf_err err = {0};
    assert_int_equal(lf_chat_template_open(&c, "gemma", NULL, &err), LF_EUNSUPPORTED);
    assert_non_null(strstr(err.message, "gemma"));
    err = (lf_err){0};
    assert_int_equal(lf_chat_template_open(&c, NULL, "/nowhere", &err), LF_EUNSUPPORTED);
    assert_non_null(strstr(err.message, "/nowhere"));
}

/* ---- which bytes are answers ---- */

enum { MOST = 16 };

/* The messages of a JSON list, as data sets hand them on. */
static size_t read_all(const cJSON *list, lf_message *out) {
    const cJSON *m;
    size_t n = 0;
    cJSON_ArrayForEach(m, list) {
        assert_true(n < MOST);
        out[n++] = (lf_message){.role = text_of(m, "role"),
                                .content = text_of(m, "content"),
                                .json = m,
                                .unlearned = cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(m, "train"))};
    }
    return n;
}

/* "one|two": the answers of a text. */
static char *joined_answers(const lf_prompt *p) {
    lf_string s = {0};
    for (size_t i = 0; i < p->n_answers; i++) {
        if (i) lf_string_put(&s, "|", 1);
        lf_string_put(&s, p->text + p->answers[i].begin, p->answers[i].end - p->answers[i].begin);
    }
    return lf_string_take(&s);
}

static lf_status render_list(const char *jinja, const char *list, lf_prompt *p, lf_err *err) {
    cJSON *json = NULL;
    lf_chat_template *c = NULL;
    lf_message messages[MOST];
    assert_int_equal(lf_json_parse(&json, list, strlen(list), "list", NULL), LF_OK);
    const size_t n = read_all(json, messages);
    lf_status rc = lf_chat_template_parse(&c, jinja, "<s>", "</s>", "t.jinja", err);
    if (!rc) rc = lf_chat_render(c, messages, n, false, p, err);
    lf_chat_template_free(c);
    cJSON_Delete(json);
    return rc;
}

#define USER(text)      "{\"role\": \"user\", \"content\": \"" text "\"}"
#define ASSISTANT(text) "{\"role\": \"assistant\", \"content\": \"" text "\"}"
#define TWO             "[" USER("A") ", " ASSISTANT(" B ") ", " USER("C") ", " ASSISTANT("D") "]"

/* Templates of tests/golden/jinja, the families' styles. */
static void test_answers_of_families(void **state) {
    (void)state;
    static const struct {
        const char *name, *messages, *answers;
    } cases[] = {
        {"chatml", TWO, " B <|im_end|>|D<|im_end|>"},
        {"chatml-default-system", TWO, "B<|im_end|>|D<|im_end|>"},
        {"chatml-bos-generation", TWO, " B <|im_end|>|D<|im_end|>"},
        {"llama2", TWO, " B </s>| D </s>"},
        {"llama3", TWO, "B<|eot_id|>|D<|eot_id|>"},
        {"mistral-v1", TWO, " B </s>|D</s>"},
        {"mistral-v3-tools", TWO, " B</s>| D</s>"},
        {"gemma", TWO, "B<end_of_turn>|D<end_of_turn>"},
        {"phi3", TWO, " B <|end|>|D<|end|>"},
        {"phi4", TWO, " B <|end|>|D<|end|>"},
        {"qwen25-tools", TWO, " B <|im_end|>|D<|im_end|>"},
        {"deepseek", TWO, "  B </s>| D</s>"},
        {"command-r", TWO, "B<|END_OF_TURN_TOKEN|>|D<|END_OF_TURN_TOKEN|>"},
        {"zephyr", TWO, " B </s>|D</s>"},
        {"smollm2", TWO, " B <|im_end|>|D<|im_end|>"},
        {"granite", TWO, " B <|end_of_text|>|D<|end_of_text|>"},
        {"olmo", TWO, " B </s>|D"}, /* the last answer has no end there */
        {"falcon", TWO, " B| D"},
        {"vicuna", TWO, " B</s>| D</s>"},
        {"gpt-oss", TWO, " B <|end|>|D<|return|>"},
        {"alpaca", TWO, "B</s>|D</s>"},
        /* Earlier thoughts are dropped, the last ones are learned. */
        {"qwen3-thinking",
         "[" USER("A") ", " ASSISTANT("<think>\\nno\\n</think>\\n\\nB") ", " USER("C") ", " ASSISTANT(
             "<think>\\nyes\\n</think>\\n\\nD") "]",
         "B<|im_end|>|yes\n</think>\n\nD<|im_end|>"},
        {"qwen3-thinking",
         "[" USER("A") ", {\"role\": \"assistant\", \"content\": \"B\", \"reasoning_content\": \"hm\"}]",
         "<think>\nhm\n</think>\n\nB<|im_end|>"},
        {"qwen3-thinking",
         "[" USER(
             "A") ", {\"role\": \"assistant\", \"content\": \"\", \"tool_calls\": [{\"function\": {\"name\": \"f\", "
                  "\"arguments\": {\"x\": 1}}}]}, {\"role\": \"tool\", \"content\": \"9\"}, " ASSISTANT("D") "]",
         "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": "
         "1}}\n</tool_call><|im_end|>|D<|im_end|>"},
        /* A call ends in a token of its own, and the tool's header names it again. */
        {"gpt-oss",
         "[" USER(
             "A") ", {\"role\": \"assistant\", \"content\": \"\", \"tool_calls\": [{\"function\": {\"name\": \"f\", "
                  "\"arguments\": {\"x\": 1}}}]}, {\"role\": \"tool\", \"content\": \"9\"}, " ASSISTANT("D") "]",
         " to=functions.f<|channel|>commentary json<|message|>{\"x\": 1}<|call|>|D<|return|>"},
        /* Empty answers are learned as what ends them. */
        {"chatml", "[" USER("A") ", " ASSISTANT("") ", " USER("") ", " ASSISTANT("") "]", "<|im_end|>|<|im_end|>"},
        {"llama3", "[" USER("A") ", " ASSISTANT(" \\n") "]", "<|eot_id|>"},
        {"chatml", "[" ASSISTANT("A") ", " ASSISTANT("<|im_end|>") "]", "A<|im_end|>|<|im_end|><|im_end|>"},
        /* What is not to be learned. */
        {"chatml",
         "[" USER("A") ", {\"role\": \"assistant\", \"content\": \"B\", \"train\": false}, " ASSISTANT("C") "]",
         "C<|im_end|>"},
        {"chatml-bos-generation",
         "[" USER("A") ", {\"role\": \"assistant\", \"content\": \"B\", \"train\": false}, " ASSISTANT("C") "]",
         "C<|im_end|>"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = lf_format(LF_TEST_DIR "/golden/jinja/%s.jinja", cases[i].name), *jinja = NULL;
        size_t n;
        lf_prompt p = {0};
        lf_err err = {0};
        assert_int_equal(lf_file_read(&jinja, &n, path, NULL), LF_OK);
        if (render_list(jinja, cases[i].messages, &p, &err)) fail_msg("%s: %s", cases[i].name, err.message);
        char *got = joined_answers(&p);
        if (strcmp(got, cases[i].answers) != 0)
            fail_msg("%s %s:\n%s\nhas the answers\n%s\ninstead of\n%s", cases[i].name, cases[i].messages, p.text, got,
                     cases[i].answers);
        lf_free(got);
        lf_prompt_free(&p);
        lf_free(jinja);
        lf_free(path);
    }
}

/* Another way to the same answers, where a template only appends: what a message adds behind the generation prompt. */
static bool grows(const lf_chat_template *c, const lf_message *m, size_t i, const lf_prompt *whole, size_t *begin,
                  size_t *end) {
    lf_prompt asked = {0}, said = {0};
    bool same = lf_chat_render(c, m, i, true, &asked, NULL) == LF_OK &&
                lf_chat_render(c, m, i + 1, false, &said, NULL) == LF_OK;
    same = same && asked.n < said.n && said.n <= whole->n && memcmp(asked.text, said.text, asked.n) == 0 &&
           memcmp(said.text, whole->text, said.n) == 0;
    *begin = asked.n;
    *end = said.n;
    lf_prompt_free(&asked);
    lf_prompt_free(&said);
    return same;
}

static cJSON *conversations(void) {
    unsigned char *text = NULL;
    size_t n;
    cJSON *json = NULL;
    assert_int_equal(lf_read_maybe_gzip(&text, &n, LF_TEST_DIR "/golden/jinja/results.json.gz", 64 << 20, NULL), LF_OK);
    assert_int_equal(lf_json_parse(&json, (const char *)text, n, "results", NULL), LF_OK);
    lf_free(text);
    return json;
}

static void test_answers_as_growing_prefixes(void **state) {
    (void)state;
    cJSON *root = conversations();
    const cJSON *one, *talk;
    int compared = 0;
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(root, "templates")) {
        char *path = lf_format(LF_TEST_DIR "/golden/jinja/%s.jinja", text_of(one, "name"));
        lf_chat_template *c = NULL;
        assert_int_equal(lf_chat_template_open(&c, path, NULL, NULL), LF_OK);
        lf_free(path);
        cJSON_ArrayForEach(talk, cJSON_GetObjectItemCaseSensitive(root, "conversations")) {
            lf_message m[MOST];
            lf_prompt p = {0};
            const size_t n = read_all(cJSON_GetObjectItemCaseSensitive(talk, "messages"), m);
            if (lf_chat_render(c, m, n, false, &p, NULL)) continue;
            for (size_t i = 1, k = 0; i < n; i++) {
                size_t begin, end;
                if (strcmp(m[i].role, "assistant") != 0 || !grows(c, m, i, &p, &begin, &end)) continue;
                while (k < p.n_answers && p.answers[k].begin < begin) k++;
                if (k == p.n_answers || p.answers[k].begin >= end) continue; /* no byte of it is shown */
                if (p.answers[k].end > end)
                    fail_msg("%s: an answer goes on beyond its turn:\n%s", text_of(one, "name"), p.text);
                compared++;
            }
            lf_prompt_free(&p);
        }
        lf_chat_template_free(c);
    }
    assert_true(compared > 400);
    cJSON_Delete(root);
}

/* Where the answer's bytes cannot be found again, nothing is guessed. */
static void test_answers_lost(void **state) {
    (void)state;
    static const struct {
        const char *jinja, *says;
    } cases[] = {
        {"{% for m in messages %}{{ m.content | int }};{% endfor %}", "message 1: the chat template makes a number"},
        {"{% for m in messages %}{{ m.content }}{% endfor %}{% for m in messages %}{{ m.content }}{% endfor %}",
         "message 1: the chat template does not write what the assistant says in one piece"},
        {"{% for m in messages | reverse %}{{ m.content }}{% endfor %}",
         "does not write what the assistant says in one piece"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lf_prompt p = {0};
        lf_err err = {0};
        assert_int_equal(render_list(cases[i].jinja, TWO, &p, &err), LF_EUNSUPPORTED);
        if (!strstr(err.message, cases[i].says)) fail_msg("%s", err.message);
        assert_null(p.text);
    }
}

static void test_turn_ends(void **state) {
    (void)state;
    static const struct {
        const char *jinja, *end;
    } cases[] = {
        {"{% for m in messages %}{{ m.role ~ ': ' ~ m.content ~ '\\n' }}{% endfor %}", ""},
        {"{% for m in messages %}{{ m.content + '<|im_end|>' + eos_token }}{% endfor %}", "</s>"},
        {"{% for m in messages %}{{ m.content + '\\n###' + eos_token + '\\n' }}{% endfor %}", "</s>"},
        {"{% for m in messages %}{{ m.role ~ m.content + '</assistant>' + eos_token }}{% endfor %}", "</s>"},
        {"{% for m in messages %}{{ m.content + '[|endofturn|]\\n' }}{% endfor %}", "[|endofturn|]"},
        {"{% for m in messages %}{{ m.content + ' ' + eos_token + ' ' }}{% endfor %}", "</s>"},
        {"{% for m in messages %}{{ m.content + ('<|end|>' if not loop.last else '<|return|>') }}{% endfor %}",
         "<|return|>"},
        {"{{ raise_exception('never') }}", "</s>"},
        {"nothing", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lf_chat_template *c = NULL;
        assert_int_equal(lf_chat_template_parse(&c, cases[i].jinja, NULL, "</s>", "t", NULL), LF_OK);
        if (strcmp(lf_chat_template_turn_end(c), cases[i].end) != 0)
            fail_msg("%s: %s", cases[i].jinja, lf_chat_template_turn_end(c));
        lf_chat_template_free(c);
    }
}

/* A vocabulary of these tokens, with a NUL behind each and behind the last. */
static size_t token_at(const void *tokens, const char *s, size_t n) {
    for (const char *t = tokens; *t; t += strlen(t) + 1)
        if (strlen(t) <= n && memcmp(t, s, strlen(t)) == 0) return strlen(t);
    return 0;
}

/* Where it is known what is a token, an answer ends in one, if the template writes one behind it. */
static void test_turn_ends_by_vocabulary(void **state) {
    (void)state;
#define TALK(behind) "{% for m in messages %}{{ m.role ~ '\\n' ~ m.content ~ '" behind "' }}{% endfor %}"
    static const char odd[] = "</s>\0<|eot|>\0###\0\n\0";
    static const struct {
        const char *jinja, *tokens, *end, *answer;
    } cases[] = {
        {TALK("<|stop|></s>\\n"), odd, "</s>", "Yo<|stop|></s>"},
        {TALK("\\n###</s>\\n"), odd, "</s>", "Yo\n###</s>"},
        {TALK("<|eot|></s>"), odd, "</s>", "Yo<|eot|></s>"},
        {TALK("<end><|eot|>\\n"), odd, "<|eot|>", "Yo<end><|eot|>"},
        {TALK("\\nEND <|eot|>\\n"), odd, "<|eot|>", "Yo\nEND <|eot|>"},
        {TALK("\\n### \\n"), odd, "###", "Yo\n###"},      /* the line's end is a token, but ends nothing */
        {TALK("\\n<end>\\n"), odd, "<end>", "Yo\n<end>"}, /* nothing better is there */
        {"{% for m in messages %}{{ m.role ~ m.content ~ '<end>' }}{{ eos_token if loop.last }}{% endfor %}", odd,
         "<end>", "Yo<end></s>"},
        {"{% for m in messages %}{{ m.role ~ m.content ~ '<|eot|>' }}{{ eos_token if loop.last }}{% endfor %}", odd,
         "<|eot|>", "Yo<|eot|>"},
        {"{% for m in messages %}{{ m.content ~ ('<|eot|>' if not loop.last else '<|done|>') }}{% endfor %}", odd,
         "<|done|>", "Yo<|done|>"},
    };
#undef TALK
    const lf_message talk[] = {{.role = "user", .content = "Hi"}, {.role = "assistant", .content = "Yo"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const lf_chat_vocabulary known = {.token_at = token_at, .context = cases[i].tokens};
        lf_chat_template *c = NULL;
        lf_prompt p = {0};
        assert_int_equal(lf_chat_template_parse(&c, cases[i].jinja, NULL, "</s>", "t", NULL), LF_OK);
        assert_int_equal(lf_chat_template_use_vocabulary(c, &known, NULL), LF_OK);
        assert_string_equal(lf_chat_template_turn_end(c), cases[i].end);
        assert_int_equal(lf_chat_render(c, talk, 2, false, &p, NULL), LF_OK);
        char *got = joined_answers(&p);
        if (strcmp(got, cases[i].answer) != 0) fail_msg("%s: %s", cases[i].jinja, got);
        lf_free(got);
        lf_prompt_free(&p);
        lf_chat_template_free(c);
    }
}

static void put_file(const char *folder, const char *name, const char *text) {
    char *path = lf_path_join(folder, name);
    assert_int_equal(lf_file_write(path, text, strlen(text), NULL), LF_OK);
    lf_free(path);
}

static void test_files(void **state) {
    (void)state;
    char folder[] = "/tmp/lf-chat-XXXXXX";
    const lf_message hi = {.role = "user", .content = "Hi"};
    lf_chat_template *c = NULL;
    lf_prompt p;
    assert_non_null(mkdtemp(folder));
    put_file(folder, "tokenizer_config.json",
             "{\"bos_token\": {\"content\": \"[B]\"}, \"chat_template\": [{\"name\": \"tool_use\", \"template\": "
             "\"\"}, {\"name\": "
             "\"default\", \"template\": \"{{ bos_token }}{{ messages[0].content }}[/]\"}]}");
    assert_int_equal(lf_chat_template_open(&c, "auto", folder, NULL), LF_OK);
    assert_int_equal(lf_chat_render(c, &hi, 1, true, &p, NULL), LF_OK);
    assert_string_equal(p.text, "[B]Hi[/]");
    lf_prompt_free(&p);
    lf_chat_template_free(c);
    put_file(folder, "chat_template.jinja", "<|im_start|>{{ messages[0].content }}"); /* newer, so it wins */
    assert_int_equal(lf_chat_template_open(&c, NULL, folder, NULL), LF_OK);
    assert_non_null(strstr(lf_chat_template_name(c), "chat_template.jinja"));
    lf_chat_template_free(c);
    char *path = lf_path_join(folder, "by-path.txt"); /* the tokens are the model's all the same */
    put_file(folder, "by-path.txt",
             "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}{{ pad_token is defined }}");
    assert_int_equal(lf_chat_template_open(&c, path, folder, NULL), LF_OK);
    assert_int_equal(lf_chat_render(c, &hi, 1, true, &p, NULL), LF_OK);
    assert_string_equal(p.text, "[B]HiFalse");
    lf_prompt_free(&p);
    lf_chat_template_free(c);
    lf_free(path);
    lf_status rc = LF_ENOMEM;
    for (int64_t k = 0; rc == LF_ENOMEM; k++) {
        lf_alloc_fail_after(k);
        rc = lf_chat_template_open(&c, NULL, folder, NULL);
        if (!rc) rc = lf_chat_render(c, &hi, 1, true, &p, NULL);
        lf_alloc_fail_after(-1);
        if (!rc) lf_prompt_free(&p);
        lf_chat_template_free(c);
        assert_int_equal(lf_alloc_live(), 0);
    }
    assert_int_equal(rc, LF_OK);
    assert_int_equal(lf_remove_tree(folder, NULL), LF_OK);
}

/* Templates with names, as transformers' get_chat_template takes them: "tool_use" where there are tools. */
static void test_tool_use(void **state) {
    (void)state;
#define SAYS(letter) "{% for m in messages %}" letter "{{ m.content }}{% endfor %}"
    static const char as_list[] = "{\"chat_template\": [{\"name\": \"default\", \"template\": \"" SAYS(
        "D") "\"}, {\"name\": \"tool_use\", \"template\": \"" SAYS("T") "\"}]}";
    static const char as_object[] =
        "{\"chat_template\": {\"default\": \"" SAYS("d") "\", \"tool_use\": \"" SAYS("t") "\"}}";
    static const char as_text[] = "{\"chat_template\": \"" SAYS("C") "\"}";
    static const struct {
        const char *config, *jinja, *tool_use, *plain, *with_tools; /* plain NULL: there is no template */
    } cases[] = {
        {as_list, NULL, NULL, "DHi", "THi"},           {as_object, NULL, NULL, "dHi", "tHi"},
        {as_text, NULL, NULL, "CHi", "CHi"},           {as_list, SAYS("F"), NULL, "FHi", "FHi"},
        {as_list, SAYS("F"), SAYS("U"), "FHi", "UHi"}, {"{}", SAYS("F"), SAYS("U"), "FHi", "UHi"},
        {as_list, NULL, SAYS("U"), NULL, NULL},
    };
#undef SAYS
    const lf_message hi = {.role = "user", .content = "Hi"};
    cJSON *none = cJSON_CreateArray();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char folder[] = "/tmp/lf-chat-XXXXXX";
        lf_chat_template *c = NULL;
        lf_prompt p;
        assert_non_null(mkdtemp(folder));
        char *more = lf_path_join(folder, LF_CHAT_MORE_TEMPLATES);
        assert_int_equal(lf_mkdir_p(more, NULL), LF_OK);
        put_file(folder, "tokenizer_config.json", cases[i].config);
        if (cases[i].jinja) put_file(folder, "chat_template.jinja", cases[i].jinja);
        if (cases[i].tool_use) put_file(more, "tool_use.jinja", cases[i].tool_use);
        assert_int_equal(lf_chat_template_open(&c, NULL, folder, NULL), cases[i].plain ? LF_OK : LF_EUNSUPPORTED);
        for (int tools = 0; tools < 2 && c; tools++) {
            assert_int_equal(lf_chat_render_tools(c, &hi, 1, tools ? none : NULL, false, &p, NULL), LF_OK);
            assert_string_equal(p.text, tools ? cases[i].with_tools : cases[i].plain);
            lf_prompt_free(&p);
        }
        lf_chat_template_free(c);
        lf_free(more);
        assert_int_equal(lf_remove_tree(folder, NULL), LF_OK);
    }
    cJSON_Delete(none);
}

/* What is no template: by its first bytes, or because nothing of a question is in its text. */
static void test_no_template(void **state) {
    (void)state;
    static const struct {
        const char *jinja, *says; /* says NULL: it is one */
    } cases[] = {
        {"version https://git-lfs.github.com/spec/v1\noid sha256:aaaa\n", "git-lfs pointer"},
        {"<!DOCTYPE html>\n<html></html>", "a web page"},
        {"{\"error\": \"not found\"}", "writes nothing of what the user says"},
        {"{% for m in messages %}{{ m.role }}{% endfor %}", "writes nothing of what the user says"},
        {"{% for m in messages if m.role == 'assistant' %}{{ m.content }}{% endfor %}", "nothing of what the user"},
        {"{{ messages[0].content | upper }}", NULL},
        {"{{ messages[0].content | tojson }}", NULL},
        {"{{ messages[0] }}", NULL},
        {"{{ messages | map(attribute='content') | join(' ') }}", NULL},
        {"{{ messages[0].content.split('i')[0] }}", NULL},
        {"{{ messages[0].content | length }}", "nothing of what the user"},
    };
    const lf_message talk[] = {{.role = "user", .content = "Hi"}, {.role = "assistant", .content = "Yo"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lf_chat_template *c = NULL;
        lf_prompt p = {0};
        lf_err err = {0};
        lf_status rc = lf_chat_template_parse(&c, cases[i].jinja, NULL, "</s>", "t", &err);
        if (!rc) rc = lf_chat_render(c, talk, 1, true, &p, &err);
        if (cases[i].says ? !rc || !strstr(err.message, cases[i].says) : rc != LF_OK)
            fail_msg("%s: %s", cases[i].jinja, rc ? err.message : p.text);
        lf_prompt_free(&p);
        lf_chat_template_free(c);
    }
}

/* What a model wrote may hold a NUL; what ends its turn is said for each format. */
/* A template's date is a fact that can be set and read, day of the week included. */
static void test_dates(void **state) {
    (void)state;
    static const char source[] = "{{ strftime_now('%a %d %b %Y %H:%M:%S') }}";
    static const struct {
        const char *set, *text; /* text NULL: refused */
    } cases[] = {{"2026-11-29T13:10:05", "Sun 29 Nov 2026 13:10:05"},
                 {"1970-01-01T00:00:00", "Thu 01 Jan 1970 00:00:00"},
                 {"2024-02-29T00:00:00", "Thu 29 Feb 2024 00:00:00"},
                 {"2026-11-29", NULL},
                 {"2026-11-29T13:10:05Z", NULL},
                 {"", NULL}};
    const lf_message m = {.role = "system", .content = "x"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lf_chat_template *c;
        lf_prompt p;
        char date[LF_CHAT_DATE];
        lf_err err = {0};
        assert_int_equal(lf_chat_template_parse(&c, source, NULL, NULL, "t", &err), LF_OK);
        assert_true(lf_chat_template_asks_date(c));
        assert_int_equal(lf_chat_template_set_date(c, cases[i].set), cases[i].text != NULL);
        if (cases[i].text) {
            assert_string_equal(lf_chat_template_date(c, date), cases[i].set);
            assert_int_equal(lf_chat_render(c, &m, 1, true, &p, &err), LF_OK);
            assert_string_equal(p.text, cases[i].text);
            lf_prompt_free(&p);
        }
        lf_chat_template_free(c);
    }
    lf_chat_template *c;
    assert_int_equal(lf_chat_template_open(&c, "chatml", NULL, NULL), LF_OK);
    assert_false(lf_chat_template_asks_date(c));
    lf_chat_template_free(c);
}

static void test_nul_and_turn_ends(void **state) {
    (void)state;
    static const struct {
        const char *name, *end;
    } formats[] = {
        {"chatml", "<|im_end|>"}, {"llama3", "<|eot_id|>"}, {"llama2", "</s>"}, {"mistral", "</s>"}, {"plain", ""}};
    const lf_message talk[] = {{.role = "user", .content = "q"}, {.role = "assistant", .content = "a\0b", .n = 3}};
    lf_chat_template *c;
    lf_prompt p;
    for (int i = 0; i < 5; i++) {
        assert_true(lf_chat_template_is_name(formats[i].name));
        assert_int_equal(lf_chat_template_open(&c, formats[i].name, NULL, NULL), LF_OK);
        assert_string_equal(lf_chat_template_turn_end(c), formats[i].end);
        assert_int_equal(lf_chat_render(c, talk, 2, false, &p, NULL), LF_OK);
        assert_int_equal(p.n_answers, 1);
        const size_t n = strlen(formats[i].end), end = p.answers[0].end;
        assert_memory_equal(p.text + end - n, formats[i].end, n);
        const char *said = memchr(p.text + p.answers[0].begin, 'a', end - p.answers[0].begin);
        assert_true(said && said + 3 <= p.text + end && memcmp(said, "a\0b", 3) == 0);
        lf_prompt_free(&p);
        lf_chat_template_free(c);
    }
    assert_false(lf_chat_template_is_name("nonsense"));
}

/* The text of each of ours is a whole template: it says the same where nobody names tokens. The key's help names all.
 */
static void test_texts_of_ours(void **state) {
    (void)state;
    const lf_message talk[] = {
        {.role = "user", .content = "q"}, {.role = "assistant", .content = "a"}, {.role = "user", .content = "r"}};
    char names[LF_CHAT_NAMES], *keys, *help;
    size_t size;
    int n = 0;
    assert_int_equal(lf_file_read(&keys, &size, LF_SOURCE_DIR "/docs/config.md", NULL), LF_OK);
    assert_non_null(help = strstr(keys, "\n| `chat_template` |"));
    help[1 + strcspn(help + 1, "\n")] = 0;
    lf_chat_template_names(names);
    for (char *name = strtok(names, ", "); name; name = strtok(NULL, ", ")) {
        lf_chat_template *c, *again;
        lf_prompt p, q;
        if (strcmp(name, "or") == 0) continue;
        assert_non_null(strstr(help, name));
        assert_int_equal(lf_chat_template_open(&c, name, NULL, NULL), LF_OK);
        assert_int_equal(lf_chat_template_parse(&again, lf_chat_template_text(c), NULL, NULL, "t.jinja", NULL), LF_OK);
        assert_int_equal(lf_chat_render(c, talk, 3, true, &p, NULL), LF_OK);
        assert_int_equal(lf_chat_render(again, talk, 3, true, &q, NULL), LF_OK);
        assert_string_equal(p.text, q.text);
        assert_int_equal(p.answers[0].begin, q.answers[0].begin);
        assert_int_equal(p.answers[0].end, q.answers[0].end);
        lf_prompt_free(&p);
        lf_prompt_free(&q);
        lf_chat_template_free(c);
        lf_chat_template_free(again);
        n++;
    }
    assert_int_equal(n, 5);
    lf_free(keys);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LEAKLESS(test_texts_of_ours),
        LEAKLESS(test_golden),
        LEAKLESS(test_named),
        LEAKLESS(test_refused),
        LEAKLESS(test_files),
        LEAKLESS(test_dates),
        LEAKLESS(test_nul_and_turn_ends),
        LEAKLESS(test_answers_of_families),
        LEAKLESS(test_answers_as_growing_prefixes),
        LEAKLESS(test_answers_lost),
        LEAKLESS(test_turn_ends),
        LEAKLESS(test_turn_ends_by_vocabulary),
        LEAKLESS(test_tool_use),
        LEAKLESS(test_no_template),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
