/* What a language model writes: texts, answers, conversations at a terminal, and what is made of them. */
#define _XOPEN_SOURCE 700
#include "cli/lm_cli_fixture.h"
#include "cli/pty_fixture.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

/* Exit code `want`, and one line of an error that has `says` in it. */
static void fails(const char *arguments, int want, const char *says) {
    must(arguments, want);
    const char *line = strstr(output, "lora-ft ");
    if (!line || !strstr(line, says) || strchr(line, '\n') != line + strlen(line) - 1)
        fail_msg("'%s': expected one line with '%s', found:\n%s", arguments, says, output);
}

static const char *string(const cJSON *o, const char *key) {
    const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));
    if (!s) fail_msg("there is no text '%s'", key);
    return s;
}

/* A folder with the pretrained model, and another config.json if one is given. */
static void copy_model(const char *to, const char *config_json) {
    static const char *const files[] = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"};
    lf_err err = {0};
    if (lf_mkdir_p(text("%s/%s", root, to), &err)) fail_msg("%s", err.message);
    for (int i = 0; i < 4; i++)
        if (lf_copy_file(text("%s/pre/model/%s", root, files[i]), text("%s/%s", root, to), files[i], &err))
            fail_msg("%s", err.message);
    if (config_json) put(text("%s/config.json", to), config_json);
}

/* config.json of the tests with one thing in it replaced. */
static const char *config_with(const char *from, const char *to) {
    static char edited[2048];
    const char *at = strstr(config, from);
    assert_non_null(at);
    snprintf(edited, sizeof edited, "%.*s%s%s", (int)(at - config), config, to, at + strlen(from));
    return edited;
}

/* ---- generating ---- */

static void test_generate(void **state) {
    (void)state;
    cJSON *a = json_of("generate --model pre/model --prompt 'the cat' --max_new_tokens 12 --temperature 1 --top_k 20 "
                       "--top_p 0.9 --seed 5 --threads 1 --json");
    cJSON *b = json_of("generate --model pre/model --prompt 'the cat' --max_new_tokens 12 --temperature 1 --top_k 20 "
                       "--top_p 0.9 --seed 5 --threads 1 --json");
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(a, "text")->valuestring,
                        cJSON_GetObjectItemCaseSensitive(b, "text")->valuestring);
    cJSON_Delete(b);
    b = json_of("generate --model pre/model --prompt 'the cat' --max_new_tokens 12 --temperature 1 --seed 6 --threads "
                "1 --json");
    assert_string_not_equal(cJSON_GetObjectItemCaseSensitive(a, "text")->valuestring,
                            cJSON_GetObjectItemCaseSensitive(b, "text")->valuestring);
    cJSON_Delete(a);
    cJSON_Delete(b);
    a = json_of("generate --model pre/model --prompt 'the cat sat on the' --max_new_tokens 200 --ignore_eos true "
                "--threads 1 --json"); /* 96 positions */
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(a, "finish_reason")->valuestring, "context");
    assert_true(number(a, "generated_tokens") + number(a, "prompt_tokens") == 97); /* the last one needs no place */
    const char *whole = cJSON_GetObjectItemCaseSensitive(a, "text")->valuestring;
    assert_true(strlen(whole) > 12);
    char stop[8];
    snprintf(stop, sizeof stop, "%.*s", 3, whole + 5);
    b = json_of(text("generate --model pre/model --prompt 'the cat sat on the' --max_new_tokens 200 --ignore_eos true "
                     "--stop '[\"%s\"]' --threads 1 --json",
                     stop));
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(b, "finish_reason")->valuestring, "stop");
    const char *cut = cJSON_GetObjectItemCaseSensitive(b, "text")->valuestring;
    assert_true(strlen(cut) <= 5 && strncmp(cut, whole, strlen(cut)) == 0 &&
                strncmp(whole + strlen(cut), stop, 3) == 0);
    cJSON_Delete(a);
    cJSON_Delete(b);
    must("generate --model pre/model --chat true --chat_template chatml --prompt 'hi' --max_new_tokens 3 --threads 1",
         0);
}

/* The line end that echo puts behind a prompt is no part of it; a second one is. */
static void test_a_line_end_of_standard_input(void **state) {
    (void)state;
    static const struct {
        const char *in, *is;
    } prompts[] = {{"the cat\\n", "the cat"},
                   {"the cat\\r\\n", "the cat"},
                   {"the cat", "the cat"},
                   {"the cat\\n\\n", "the cat\n"}};
    for (size_t i = 0; i < sizeof prompts / sizeof *prompts; i++) {
        for (int chat = 0; chat < 2; chat++) {
            const char *how = chat ? "--max_new_tokens 1 --threads 1 --json --chat --chat_template plain"
                                   : "--max_new_tokens 1 --threads 1 --json";
            char piped[400];
            snprintf(piped, sizeof piped, "%s", text("generate --model pre/model %s < prompt.txt", how));
            run_shell(text("printf '%s' > %s/prompt.txt", prompts[i].in, root));
            cJSON *a = json_of(piped),
                  *b = json_of(text("generate --model pre/model %s --prompt '%s'", how, prompts[i].is));
            assert_int_equal((int)number(a, "prompt_tokens"), (int)number(b, "prompt_tokens"));
            assert_string_equal(string(a, "text"), string(b, "text"));
            cJSON_Delete(a);
            cJSON_Delete(b);
        }
    }
}

/* What is written greedily with the cache is what a pass over the whole text finds most probable. */
static void test_the_cache_changes_no_token(void **state) {
    (void)state;
    cJSON *o = json_of(
        "generate --model pre/model --prompt 'rain falls' --max_new_tokens 6 --ignore_eos true --threads 1 --json");
    put("whole.jsonl", text("{\"prompt\": \"rain falls\", \"completion\": \"%s\"}\n",
                            cJSON_GetObjectItemCaseSensitive(o, "text")->valuestring));
    cJSON *e = json_of("eval --model pre/model --data whole.jsonl --threads 1 --json");
    assert_true(number(e, "eval_tokens") == number(o, "generated_tokens")); /* the same tokens again */
    assert_true(number(e, "eval_token_accuracy") == 1);
    cJSON_Delete(e);
    cJSON_Delete(o);
}

static const char *stories(void) {
    static char path[1024];
    const char *data = getenv("LF_SHARED_DATA");
    if (data)
        snprintf(path, sizeof path, "%s/models/stories260K", data);
    else
        snprintf(path, sizeof path, "%s/../shared/data/models/stories260K", LF_SOURCE_DIR);
    return lf_is_dir(path) ? path : NULL;
}

static void test_the_story_of_the_reference(void **state) {
    (void)state;
    lf_err err = {0};
    cJSON *reference;
    if (!stories()) {
        print_message("[  SKIPPED ] stories260K is not beside the project\n");
        skip();
    }
    if (lf_json_read(&reference, text("%s/reference.json", stories()), &err)) fail_msg("%s", err.message);
    const cJSON *want = cJSON_GetObjectItemCaseSensitive(reference, "greedy_from_bos");
    const int n = cJSON_GetArraySize(want) - 1; /* it begins with BOS */
    cJSON *o = json_of(text("generate --model %s/hf --max_new_tokens %d --json < /dev/null", stories(), n));
    const cJSON *got = cJSON_GetObjectItemCaseSensitive(o, "ids");
    assert_int_equal(cJSON_GetArraySize(got), n);
    for (int i = 0; i < n; i++)
        assert_int_equal(cJSON_GetArrayItem(got, i)->valueint, cJSON_GetArrayItem(want, i + 1)->valueint);
    cJSON_Delete(o);
    cJSON_Delete(reference);
}

/* ---- what ends a text ---- */

#define CHATML "--chat_template chatml --threads 1 "

static const char conversations[] =
    "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}, {\"role\": \"assistant\", \"content\": \"the cat sat "
    "on the mat\"}]}\n"
    "{\"messages\": [{\"role\": \"user\", \"content\": \"who\"}, {\"role\": \"assistant\", \"content\": \"a dog\"}]}\n"
    "{\"messages\": [{\"role\": \"user\", \"content\": \"and\"}, {\"role\": \"assistant\", \"content\": \"stones do "
    "not float\"}]}\n";

/* The text of a tokenizer.json with the tokens of ChatML, 900 and 901. */
static const char *with_tokens(const char *path, bool normalized) {
    static char all[200000];
    cJSON *t, *token;
    lf_err err = {0};
    if (lf_json_read(&t, text("%s/%s", root, path), &err)) fail_msg("%s", err.message);
    for (int i = 0; i < 2; i++) {
        token = cJSON_Parse(text("{\"id\": %d, \"content\": \"%s\", \"single_word\": false, \"lstrip\": false, "
                                 "\"rstrip\": false, \"normalized\": %s, \"special\": %s}",
                                 900 + i, i ? "<|im_end|>" : "<|im_start|>", normalized ? "true" : "false",
                                 normalized ? "false" : "true"));
        assert_true(token && cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(t, "added_tokens"), token));
    }
    char *json = lf_json_print(t, false);
    assert_true(json && strlen(json) < sizeof all);
    strcpy(all, json);
    lf_free(json);
    cJSON_Delete(t);
    return all;
}

/* A tokenizer with the tokens of ChatML, and a model that was taught three answers with it. */
static void teach_conversations(void) {
    lf_err err = {0};
    if (lf_is_dir(text("%s/chat", root))) return;
    if (lf_mkdir_p(text("%s/chatml", root), &err)) fail_msg("%s", err.message);
    put("chatml/tokenizer.json", with_tokens("tokenizer/tokenizer.json", false));
    put("chatml/tokenizer_config.json",
        "{\"bos_token\": \"<s>\", \"eos_token\": \"</s>\", \"unk_token\": \"<unk>\"}\n");
    put("chatml/config.json", config_with("\"vocab_size\": 900", "\"vocab_size\": 902"));
    put("chatml/generation_config.json", "{\"eos_token_id\": null, \"max_length\": 7}\n");
    put("messages.jsonl", conversations);
    must("train --init_model chatml/config.json --method full --train_data messages.jsonl --max_steps 120 --lr 5e-3 "
         "--batch_size 3 " CHATML "--output_dir chat",
         0);
    assert_null(strstr(output, "warning: chat template"));
}

static void test_an_answer_ends_its_turn(void **state) {
    (void)state;
    teach_conversations();
    cJSON *o = json_of("generate --model chat/model --chat --prompt hi --max_new_tokens 40 --json " CHATML);
    assert_string_equal(string(o, "text"), "the cat sat on the mat");
    assert_string_equal(string(o, "finish_reason"), "eos");
    cJSON_Delete(o);
    o = json_of("generate --model chat/model --chat --prompt hi --max_new_tokens 40 --ignore_eos --json " CHATML);
    assert_string_equal(string(o, "finish_reason"), "length");
    cJSON_Delete(o);
    /* the whole answer is compared, without the mark of its end, and written up to there */
    static const char *const patterns[] = {".+", "\\S+$", "^.*$"};
    for (int i = 0; i < 3; i++) {
        o = json_of(text(
            "eval --model chat/model --data messages.jsonl --answer_pattern '%s' --answer_tokens 40 --json " CHATML,
            patterns[i]));
        assert_true(number(o, "eval_exact_match") == 1 && number(o, "eval_answers") == 3);
        cJSON_Delete(o);
    }
}

static void test_a_template_whose_mark_is_no_token(void **state) {
    (void)state;
    must("generate --model pre/model --chat --prompt hi --max_new_tokens 3 " CHATML, 0);
    assert_non_null(strstr(output, "warning: chat template 'chatml': the end of a turn, '<|im_end|>'"));
    must("generate --model pre/model --chat --prompt hi --max_new_tokens 3 --chat_template llama2 --threads 1",
         0); /* </s> is one */
    assert_null(strstr(output, "warning: chat template"));
    put("messages.jsonl", conversations);
    must("train --model pre/model --train_data messages.jsonl --r 2 --max_steps 1 --output_dir marked " CHATML, 0);
    const char *said = strstr(output, "warning: chat template 'chatml'");
    assert_true(said && !strstr(said + 1, "warning: chat template"));
    /* a token that is found at the beginning of a text alone, where the normalizer puts its mark, ends no answer */
    copy_model("begins", NULL);
    put("begins/tokenizer.json", with_tokens("tokenizer/tokenizer.json", true));
    teach_conversations();
    must("generate --model chat/model --tokenizer begins --chat --prompt hi --max_new_tokens 3 " CHATML, 0);
    assert_non_null(strstr(output, "warning: chat template 'chatml': the end of a turn, '<|im_end|>'"));
    must("train --model pre/model --train_data messages.jsonl --r 2 --max_steps 1 --added_tokens "
         "'<|im_start|>,<|im_end|>' --output_dir added " CHATML,
         0);
    assert_null(strstr(output, "warning: chat template"));
}

/* Greedy, so that the same template says the same. */
#define SAY "--chat --prompt hi --max_new_tokens 6 --threads 1 "

static void test_an_adapter_brings_its_template(void **state) {
    (void)state;
    static const char other[] = "is not what the adapter was trained with";
    put("messages.jsonl", conversations);
    must("train --model pre/model --train_data messages.jsonl --r 2 --max_steps 2 --lr 1e-2 --threads 1 "
         "--output_dir own --chat_template llama2",
         0);
    assert_true(lf_is_file(text("%s/own/adapter/chat_template.jinja", root)));
    cJSON *a = json_of("generate --model pre/model --adapter own/adapter --json " SAY),
          *b = json_of("generate --model pre/model --adapter own/adapter --chat_template llama2 --json " SAY);
    assert_string_equal(string(a, "text"), string(b, "text"));
    assert_true(number(a, "prompt_tokens") == number(b, "prompt_tokens"));
    cJSON_Delete(b);
    must("generate --model pre/model --adapter own/adapter --chat_template llama2 " SAY, 0);
    assert_null(strstr(output, other));
    must("generate --model pre/model --adapter own/adapter --chat_template plain " SAY, 0);
    assert_non_null(strstr(output, other));
    fails("generate --model pre/model " SAY, 3, "no chat template; name one: chatml,");
    must("eval --model pre/model --adapter own/adapter --data messages.jsonl --threads 1", 0);
    must("inspect own/adapter --json", 0);
    assert_non_null(strstr(output, "\"chat_template\": true"));
    /* it goes into what is made of the adapter */
    must("train --model pre/model --train_data messages.jsonl --r 2 --max_steps 1 --threads 1 --output_dir own2 "
         "--continue_from own/adapter",
         0);
    same_files("own/adapter/chat_template.jinja", "own2/adapter/chat_template.jinja");
    must("merge --model pre/model --adapter own/adapter -o own-merged", 0);
    assert_null(strstr(output, "chat template"));
    same_files("own/adapter/chat_template.jinja", "own-merged/chat_template.jinja");
    b = json_of("generate --model own-merged --json " SAY);
    assert_true(number(a, "prompt_tokens") == number(b, "prompt_tokens"));
    cJSON_Delete(a);
    cJSON_Delete(b);
    must("train --model own-merged --train_data messages.jsonl --r 2 --max_steps 1 --threads 1 --output_dir own3", 0);
    assert_false(lf_is_file(text("%s/own3/adapter/chat_template.jinja", root))); /* it is the base's */
    must("merge --model pre/model --adapter own/adapter --format gguf -o own.gguf", 0);
    must("inspect own.gguf --json", 0);
    assert_non_null(strstr(output, "\"chat_template\": true"));
    /* none */
    must("train --model pre/model --train_data train.jsonl --r 2 --max_steps 1 --threads 1 --output_dir none "
         "--chat_template llama2",
         0);
    assert_false(lf_is_file(text("%s/none/adapter/chat_template.jinja", root)));
    must("merge --model pre/model --adapter none/adapter -o none-merged", 0);
    assert_non_null(strstr(output, "has a chat template"));
    must("merge --model pre/model --adapter none/adapter --format gguf -o none.gguf", 0);
    assert_non_null(strstr(output, "has no chat template"));
    must("inspect none.gguf --json", 0);
    assert_non_null(strstr(output, "\"chat_template\": false"));
}

#define RENDERED                                                                                                       \
    "generate --model ended --prompt '<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n' --max_new_tokens 40 "   \
    "--threads 1 "

static void test_a_token_ends_a_text_where_files_say_so(void **state) {
    (void)state;
    static const char *const files[] = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
                                        "generation_config.json"};
    lf_err err = {0};
    teach_conversations();
    if (lf_mkdir_p(text("%s/ended", root), &err)) fail_msg("%s", err.message);
    for (int i = 0; i < 5; i++) /* the last one: a trained model is as whole as the one it was made from */
        if (lf_copy_file(text("%s/chat/model/%s", root, files[i]), text("%s/ended", root), files[i], &err))
            fail_msg("%s", err.message);
    same_files("chatml/generation_config.json", "ended/generation_config.json");
    cJSON *o = json_of(RENDERED "--json");
    assert_string_equal(string(o, "finish_reason"), "length");
    cJSON_Delete(o);
    o = json_of(RENDERED "--json --stop '<|im_end|>'");
    assert_string_equal(string(o, "finish_reason"), "stop");
    assert_string_equal(string(o, "text"), "the cat sat on the mat");
    cJSON_Delete(o);
    static const char *const good[] = {"901", "[2, 901]"};
    for (int i = 0; i < 2; i++) {
        put("ended/generation_config.json", text("{\"eos_token_id\": %s}", good[i]));
        o = json_of(RENDERED "--json");
        assert_string_equal(string(o, "finish_reason"), "eos");
        cJSON_Delete(o);
    }
    static const char *const bad[] = {"\"901\"", "[901, \"x\"]", "true", "9.5", "{}"};
    for (int i = 0; i < 5; i++) {
        put("ended/generation_config.json", text("{\"eos_token_id\": %s}", bad[i]));
        fails(RENDERED, 3, "ended/generation_config.json: key 'eos_token_id'");
    }
    put("ended/generation_config.json", "[]");
    fails(RENDERED, 3, "ended/generation_config.json");
    put("ended/generation_config.json", "{}");
    put("ended/config.json", config_with("\"vocab_size\": 900", "\"vocab_size\": 902"));
    must(RENDERED, 0);
    put("ended/config.json",
        config_with("\"vocab_size\": 900, \"hidden_act\": \"silu\"", "\"vocab_size\": 902, \"pad_token_id\": 0"));
    must(RENDERED, 0);
    put("ended/config.json", config_with("\"eos_token_id\": 2", "\"eos_token_id\": \"2\""));
    fails("generate --model ended --prompt a --tokenizer tokenizer", 3, "config.json");
}

/* ---- numbers that are none ---- */

static void test_not_a_number(void **state) {
    (void)state;
    static const char *const how[] = {"", "--temperature 1 --top_k 5", "--temperature 1 --top_p 0.5", "--temperature 1",
                                      "--temperature 1 --repetition_penalty 2"};
    lf_err err = {0};
    char *bytes;
    size_t n;
    uint64_t header;
    cJSON *json;
    copy_model("nan", NULL);
    if (lf_file_read(&bytes, &n, text("%s/nan/model.safetensors", root), &err)) fail_msg("%s", err.message);
    memcpy(&header, bytes, sizeof header);
    if (lf_json_parse(&json, bytes + 8, header, "the header", &err)) fail_msg("%s", err.message);
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(json, "model.embed_tokens.weight"), "data_offsets");
    assert_non_null(offsets);
    char *row = bytes + 8 + header + (size_t)cJSON_GetArrayItem(offsets, 0)->valuedouble + 700 * 32 * sizeof(float);
    for (int i = 0; i < 100 * 32; i++) memcpy(row + 4 * i, &(float){NAN}, 4); /* of the tokens 700 .. 799 */
    assert_int_equal(lf_file_write(text("%s/nan/model.safetensors", root), bytes, n, &err), LF_OK);
    cJSON_Delete(json);
    lf_free(bytes);
    for (size_t i = 0; i < sizeof how / sizeof *how; i++)
        fails(text("generate --model nan --prompt 'the cat' --max_new_tokens 4 --threads 1 %s", how[i]), 3,
              "'model.embed_tokens.weight': number 22400 is nan");
}

/* ---- exact match ---- */

static void test_exact_match(void **state) {
    (void)state;
    put("answers.jsonl", "{\"prompt\": \"the cat sat on\", \"completion\": \" the qqq\"}\n");
    cJSON *o = json_of(
        "eval --model pre/model --data answers.jsonl --answer_pattern '(q+)' --answer_tokens 8 --threads 1 --json");
    assert_true(number(o, "eval_exact_match") == 0 && number(o, "eval_answers") == 1);
    cJSON_Delete(o);
    o = json_of("generate --model pre/model --prompt 'the cat sat on' --max_new_tokens 8 --threads 1 --json");
    put("answers.jsonl", text("{\"prompt\": \"the cat sat on\", \"completion\": \"%s\"}\n",
                              cJSON_GetObjectItemCaseSensitive(o, "text")->valuestring));
    cJSON_Delete(o);
    o = json_of(
        "eval --model pre/model --data answers.jsonl --answer_pattern '\\w+' --answer_tokens 8 --threads 1 --json");
    assert_true(number(o, "eval_exact_match") == 1);
    cJSON_Delete(o);
}

/* A pattern that matches nothing finds that at the end of every text. */
static void test_nothing_is_no_answer(void **state) {
    (void)state;
    put("answers.jsonl", "{\"prompt\": \"the cat sat on\", \"completion\": \" the qqq\"}\n");
    static const char *const patterns[] = {".*", "q*", "(q*)", "q*|"};
    for (int i = 0; i < 4; i++) {
        cJSON *o = json_of(text(
            "eval --model pre/model --data answers.jsonl --answer_pattern '%s' --answer_tokens 8 --threads 1 --json",
            patterns[i]));
        assert_true(number(o, "eval_exact_match") == 0);
        cJSON_Delete(o);
    }
    fails("eval --model pre/model --data answers.jsonl --answer_pattern '7*' --answer_tokens 8", 3,
          "answers.jsonl: line 1");
    put("answers.jsonl",
        "{\"prompt\": \"a\", \"completion\": \" aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"}\n");
    fails("eval --model pre/model --data answers.jsonl --answer_pattern '(a|aa)+$'", 2,
          "answer_pattern"); /* takes longer than PCRE2 tries */
    assert_non_null(strstr(output, "match limit"));
}

static void test_a_prompt_without_room_is_named(void **state) {
    (void)state;
    char words[601] = "";
    for (int i = 0; i < 200; i++) memcpy(words + 3 * i, "a b", 4);
    put("room.jsonl",
        text("{\"prompt\": \"a\", \"completion\": \" dog\"}\n{\"prompt\": \"%s\", \"completion\": \" dog\"}\n", words));
    put("short.jsonl", "{\"prompt\": \"a\", \"completion\": \" dog\"}\n");
    fails("eval --model pre/model --data room.jsonl --answer_pattern '\\w+'", 3, "room.jsonl: line 2");
    assert_null(strstr(output, "raise"));
    put("room.jsonl", text("{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", "
                           "\"content\": \"dog\"}, {\"role\": \"user\", \"content\": \"%s\"}, "
                           "{\"role\": \"assistant\", \"content\": \"dog\"}]}\n",
                           words));
    fails("eval --model pre/model --data room.jsonl --answer_pattern '\\w+' --chat_template plain", 3,
          "room.jsonl: line 1");
}

/* ---- output ---- */

/* Token 3 is the byte 0. At this temperature every token is as probable as every other. */
static void test_a_nul_byte_is_kept(void **state) {
    (void)state;
    for (int seed = 0; seed < 400; seed++) {
        cJSON *o = json_of(text("generate --model pre/model --prompt a --max_new_tokens 90 --temperature 100 "
                                "--ignore_eos --seed %d --threads 1 --json",
                                seed));
        const cJSON *ids = cJSON_GetObjectItemCaseSensitive(o, "ids"), *id;
        bool has = false;
        cJSON_ArrayForEach(id, ids) has = has || id->valueint == 3;
        cJSON_Delete(o);
        if (!has) continue;
        const char *nul = strstr(output, "\\u0000");
        assert_non_null(nul);
        assert_true(strstr(nul, "\", \"ids\": ") != NULL);
        return;
    }
    fail_msg("no text had a NUL byte");
}

static void test_output_that_is_lost(void **state) {
    (void)state;
    assert_int_equal(run_as("2>&1", "generate --model pre/model --prompt a --max_new_tokens 4 --threads 1 >/dev/full"),
                     1);
    const char *line = strstr(output, "lora-ft");
    assert_true(line && !strstr(line + 1, "lora-ft") && strstr(line, "standard output"));
    assert_int_equal(
        run_as("2>&1", "generate --model pre/model --prompt a --max_new_tokens 4 --threads 1 --json >/dev/full"), 1);
    line = strstr(output, "lora-ft");
    assert_true(line && !strstr(line + 1, "lora-ft") && strstr(line, "standard output"));
}

static void test_stops_are_put_together(void **state) {
    (void)state;
    cJSON *o = json_of(
        "generate --model pre/model --prompt 'the cat sat on the' --max_new_tokens 20 --ignore_eos --threads 1 --json");
    char stop[4];
    snprintf(stop, sizeof stop, "%.3s", string(o, "text") + 5);
    cJSON_Delete(o);
    o = json_of(text("generate --model pre/model --prompt 'the cat sat on the' --max_new_tokens 20 --ignore_eos "
                     "--threads 1 --json --stop '[\"%s\"]' --stop '[\"qqqq\"]'",
                     stop));
    assert_string_equal(string(o, "finish_reason"), "stop");
    cJSON_Delete(o);
}

/* A model of 2^27 positions, whose cache for all of them is 32 GiB. */
static void test_memory_is_that_of_the_text(void **state) {
    (void)state;
    if (SANITIZED) skip(); /* which takes more address space than there is memory */
    copy_model("wide", config_with("\"max_position_embeddings\": 96", "\"max_position_embeddings\": 134217728"));
    char command[1024];
    snprintf(command, sizeof command,
             "cd %s && ulimit -v 8388608 && %s/lora-ft generate --model wide --prompt 'the cat' --max_new_tokens 20 "
             "--threads 1",
             root, LF_BUILD_DIR);
    assert_int_equal(system(command), 0);
}

/* ---- at a terminal ---- */

enum { WIDE = 200 }; /* columns: no line that a step waits for is broken, whatever the digits in it */

typedef struct step {
    const char *wait; /* until this was printed behind what the last step waited for, */
    size_t more;      /* and so many bytes behind it, */
    const char *send; /* then type this */
} step;

static bool has_come(const char *from, const step *s) {
    const char *at = strstr(from, s->wait);
    return at && strlen(at) >= strlen(s->wait) + s->more;
}

/* Runs the program at a terminal and does what the steps say; its exit code, with all it printed in `output`. */
static int drive(const char *arguments, const step *steps, size_t n_steps) {
    const int terminal = open_terminal();
    size_t n = 0, at = 0;
    const char *from = output;
    bool waiting = true;
    int status;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        become_program_at(terminal, WIDE, text("cd %s && exec %s/lora-ft %s", root, LF_BUILD_DIR, arguments));
    output[0] = 0;
    while (waiting) {
        struct pollfd p = {.fd = terminal, .events = POLLIN};
        const bool late = poll(&p, 1, GIVE_UP_MS) == 0;
        const ssize_t got = late || n + 1 >= sizeof output ? 0 : read(terminal, output + n, sizeof output - 1 - n);
        waiting = got > 0; /* where the program ended, Linux says EIO */
        n += got > 0 ? (size_t)got : 0;
        output[n] = 0;
        if (late) kill(child, SIGKILL);
        while (at < n_steps && has_come(from, &steps[at])) {
            from = strstr(from, steps[at].wait) + strlen(steps[at].wait);
            const size_t size = strlen(steps[at].send);
            stop_for_a_while(child);
            assert_int_equal(write(terminal, steps[at].send, size), size);
            at++;
        }
    }
    close(terminal);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (at < n_steps || !WIFEXITED(status))
        fail_msg("'%s': waited for '%s' in vain; it printed:\n%s", arguments, at < n_steps ? steps[at].wait : "the end",
                 output);
    return WEXITSTATUS(status);
}

#define DRIVE(arguments, steps, want)                                                                                  \
    do {                                                                                                               \
        const int code_ = drive(arguments, steps, sizeof(steps) / sizeof *(steps));                                    \
        if (code_ != (want))                                                                                           \
            fail_msg("'%s': exit code %d, expected %d; it printed:\n%s", arguments, code_, want, output);              \
    } while (0)

#define CONVERSE "generate --chat --chat_template plain --threads 1 --ignore_eos "

static void test_a_conversation(void **state) {
    (void)state;
    static const step talk[] = {{"> ", 0, "hello\n"},
                                {"ended by length", 0, ""},
                                {"> ", 0, "and\n"},
                                {"ended by length", 0, ""},
                                {"> ", 0, "\n"}};
    static const step no_text[] = {
        {"> ", 0, "a\xff\n"}, {"left out: ", 0, ""}, {"> ", 0, "hi\n"}, {"ended by length", 0, ""}, {"> ", 0, "\n"}};
    char words[304] = "";
    for (int i = 0; i < 100; i++) memcpy(words + 3 * i, "a b", 4);
    memcpy(words + 300, "\n", 2);
    const step too_long[] = {
        {"> ", 0, words}, {"left out: ", 0, ""}, {"> ", 0, "hi\n"}, {"ended by length", 0, ""}, {"> ", 0, "\n"}};
    static const step end[] = {{"> ", 0, "\x04"}};
    DRIVE(CONVERSE "--model pre/model --max_new_tokens 4", talk, 0);
    DRIVE(CONVERSE "--model pre/model --max_new_tokens 4", no_text, 0);
    assert_non_null(strstr(output, "UTF-8"));
    DRIVE(CONVERSE "--model pre/model --max_new_tokens 4", too_long, 0);
    assert_non_null(strstr(output, "context of 96"));
    DRIVE(CONVERSE "--model pre/model --max_new_tokens 4", end, 0);
}

/* A context of 96 tokens, of which answers are to have 24: the second message finds it full, and is answered as if the
 * first one had not been. The template makes something else of answers. */
static void test_a_conversation_that_is_too_long(void **state) {
    (void)state;
    put("shout.jinja", "{% for m in messages %}{{ m.role }}: {{ m.content | upper }}\n{% endfor %}");
    char first[60] = "", asked[64];
    for (int i = 0; i < 15; i++) memcpy(first + 3 * i, "a b", 4);
    memcpy(first + 45, "\n", 2);
    const step too_long[] = {
        {"> ", 0, first}, {"items_per_second", 0, ""}, {"> ", 0, "hi\n"}, {"items_per_second", 0, ""}, {"> ", 0, "\n"}};
    static const step alone[] = {{"> ", 0, "hi\n"}, {"items_per_second", 0, ""}, {"> ", 0, "\n"}};
#define SHOUT                                                                                                          \
    "generate --chat --chat_template shout.jinja --threads 1 --ignore_eos --model pre/model --max_new_tokens 24 "      \
    "--json --system yes"
    DRIVE(SHOUT, alone, 0);
    const char *line = strstr(output, "{\"text\"");
    assert_true(line && !strstr(output, "left out"));
    const size_t size = strcspn(line, "]"); /* the text and its ids */
    char *want = lf_copy_text(line, size), *prompt = strstr(line, "\"prompt_tokens\"");
    snprintf(asked, sizeof asked, "%.*s", (int)strcspn(prompt, ","), prompt);
    DRIVE(SHOUT, too_long, 0);
    const char *told = strstr(output, "the context of 96 tokens is full: from here on the conversation goes without "
                                      "its oldest 1 turn");
    if (!told || !strstr(told, want) || !strstr(told, asked)) fail_msg("expected %s, found:\n%s", want, output);
    lf_free(want);
    /* an answer that the context ends says so */
    must("generate --model pre/model --prompt 'the cat' --ignore_eos --max_new_tokens 4000 --threads 1", 0);
    assert_non_null(strstr(output, "the text ends here because the context of 96 tokens is full"));
}

/* An endless answer ends at Ctrl-C, as often as one likes, and the conversation at the next one. */
static void test_interrupting_a_conversation(void **state) {
    (void)state;
    static const step at_once[] = {{"> ", 0, "\x03"}};
    static const step answers[] = {{"> ", 0, "hello\n"}, {"hello\r\n", 1, "\x03"}, {"ended by interrupt", 0, ""},
                                   {"> ", 0, "and\n"},   {"and\r\n", 1, "\x03"},   {"ended by interrupt", 0, ""},
                                   {"> ", 0, "\x03"}};
    DRIVE(CONVERSE "--model pre/model", at_once, 130);
    copy_model("long", config_with("\"max_position_embeddings\": 96", "\"max_position_embeddings\": 1048576"));
    DRIVE(CONVERSE "--model long --max_new_tokens 1000000", answers, 130);
}

static void test_a_prompt_from_the_terminal(void **state) {
    (void)state;
    static const step once[] = {{"Ctrl-D", 0, "the cat\n\x04"}};
    static const step interrupted[] = {{"Ctrl-D", 0, "\x03"}};
    DRIVE("generate --model pre/model --max_new_tokens 4 --threads 1", once, 0);
    assert_non_null(strstr(output, "ended by "));
    DRIVE("generate --model pre/model --max_new_tokens 4 --threads 1", interrupted, 130);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generate),
        cmocka_unit_test(test_a_line_end_of_standard_input),
        cmocka_unit_test(test_the_cache_changes_no_token),
        cmocka_unit_test(test_the_story_of_the_reference),
        cmocka_unit_test(test_an_answer_ends_its_turn),
        cmocka_unit_test(test_an_adapter_brings_its_template),
        cmocka_unit_test(test_a_template_whose_mark_is_no_token),
        cmocka_unit_test(test_a_token_ends_a_text_where_files_say_so),
        cmocka_unit_test(test_not_a_number),
        cmocka_unit_test(test_exact_match),
        cmocka_unit_test(test_nothing_is_no_answer),
        cmocka_unit_test(test_a_prompt_without_room_is_named),
        cmocka_unit_test(test_a_nul_byte_is_kept),
        cmocka_unit_test(test_output_that_is_lost),
        cmocka_unit_test(test_stops_are_put_together),
        cmocka_unit_test(test_memory_is_that_of_the_text),
        cmocka_unit_test(test_a_conversation),
        cmocka_unit_test(test_a_conversation_that_is_too_long),
        cmocka_unit_test(test_interrupting_a_conversation),
        cmocka_unit_test(test_a_prompt_from_the_terminal),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
