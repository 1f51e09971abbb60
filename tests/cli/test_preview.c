/* The verb preview on text: what it shows is what training sees. The table has a record or file of each kind, with what
 * of it is trained written down by hand. */
#define _XOPEN_SOURCE 700
#include "base/utf8.h"
#include "cli/lm_cli_fixture.h"

/* Characters [begin, end) of s. */
static char *part(const char *s, int64_t begin, int64_t end) {
    int64_t i = 0;
    const char *from = NULL;
    for (;; s += lf_utf8_size(s), i++) {
        if (i == begin) from = s;
        if (i == end || !*s) break;
    }
    assert_true(i == end && from);
    return text("%.*s", (int)(s - from), from);
}

static const cJSON *member(const cJSON *o, const char *key) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);
    if (!v) fail_msg("there is no '%s' in: %s", key, output);
    return v;
}

/* The trained parts, "[a][b]"; checks that spans are ascending and inside of the text. */
static char *trained_of(const cJSON *record) {
    const cJSON *span;
    static char all[4096];
    double last = -1;
    const char *s = cJSON_GetStringValue(member(record, "text"));
    assert_int_equal(lf_utf8_invalid(s, strlen(s)), strlen(s));
    all[0] = 0;
    cJSON_ArrayForEach(span, member(record, "spans")) {
        assert_int_equal(cJSON_GetArraySize(span), 2);
        const double begin = cJSON_GetArrayItem(span, 0)->valuedouble, end = cJSON_GetArrayItem(span, 1)->valuedouble;
        assert_true(last < begin && begin < end);
        snprintf(all + strlen(all), sizeof all - strlen(all), "[%s]", part(s, (int64_t)begin, (int64_t)end));
        last = end;
    }
    return all;
}

static const struct {
    const char *data, *flags;
    struct {
        const char *name, *text, *trained;
    } records[3];                                       /* the first ones; name NULL: no more are looked at */
    double all, tokens, trained_tokens, cut, untrained; /* tokens -1: not written down */
} cases[] = {
    {"eval.jsonl",
     "",
     {{"eval.jsonl: line 1", "<s> the cat sat on the mat</s>", "[ on the mat</s>]"},
      {"eval.jsonl: line 2", "<s> a dog</s>", "[ dog</s>]"}},
     2,
     18,
     10,
     0,
     0},
    {"eval.jsonl",
     "--completion_only_loss false",
     {{"eval.jsonl: line 1", "<s> the cat sat on the mat</s>", "[ the cat sat on the mat</s>]"}},
     2,
     18,
     16,
     0,
     0},
    {"eval.jsonl",
     "--max_seq_length 8",
     {{"eval.jsonl: line 1", "<s> the cat sat on the", "[ on the]"}},
     2,
     14,
     6,
     4,
     0},
    {"eval.jsonl",
     "--max_train_samples 1",
     {{"eval.jsonl: line 1", "<s> the cat sat on the mat</s>", "[ on the mat</s>]"}},
     1,
     12,
     6,
     0,
     0},
    {"instruction.jsonl",
     "",
     {{"instruction.jsonl: line 1", "<s> Name it.\nBlue.</s>", "[Blue.</s>]"},
      {"instruction.jsonl: line 2", "<s> Add.\n2 and 3\n5</s>", "[5</s>]"}},
     2,
     -1,
     -1,
     0,
     0},
    {"instruction.jsonl",
     "--packing true",
     {{"instruction.jsonl: line 1 and 1 more", "<s> Name it.\nBlue.</s><s> Add.\n2 and 3\n5</s>",
       "[Blue.</s>][5</s>]"}},
     2,
     -1,
     -1,
     0,
     0},
    {"chat.jsonl",
     "--chat_template plain",
     {{"chat.jsonl: line 1", "<s> Be brief.\nA cat?\nIt naps. ñ 猫 😺</s> \nA dog?\nBarks.</s> \n",
       "[It naps. ñ 猫 😺</s>][Barks.</s>]"}},
     1,
     -1,
     -1,
     0,
     0},
    {"chat.jsonl",
     "--chat_template plain --mask_history true",
     {{"chat.jsonl: line 1", "<s> Be brief.\nA cat?\nIt naps. ñ 猫 😺</s> \nA dog?\nBarks.</s> \n", "[Barks.</s>]"}},
     1,
     -1,
     -1,
     0,
     0},
    /* a character of which a window has only some bytes is U+FFFD there, each byte its token's, and none is torn */
    {"bytes.txt",
     "--max_seq_length 4",
     {{"bytes.txt: window 1", "<s> a\ufffd\ufffd", "[ a\ufffd\ufffd]"},
      {"bytes.txt: window 2", "\ufffd\ufffd\ufffd\ufffd", "[\ufffd\ufffd\ufffd]"},
      {"bytes.txt: window 3", "\ufffdé</s>", "[é</s>]"}},
     3,
     11,
     8,
     0,
     0},
    /* ... and one that is begun by a token that is not trained, and ended by one that is, is trained */
    {"begun.txt",
     "--max_seq_length 4",
     {{"begun.txt: window 1", NULL, NULL}, {"begun.txt: window 2", "猫b", "[猫b]"}},
     2,
     -1,
     -1,
     0,
     0},
    {"empty.jsonl", "", {{"empty.jsonl: line 1", "<s></s>", "[</s>]"}}, 2, 6, 4, 0, 0},
};

static void test_texts_are_shown_as_they_are_trained(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cJSON *o = json_of(text("preview --model pre/model --train_data %s %s --json", cases[i].data, cases[i].flags));
        const cJSON *counts = member(o, "counts");
        for (int k = 0; k < 3 && cases[i].records[k].name; k++) {
            const cJSON *r = cJSON_GetArrayItem(member(o, "records"), k);
            assert_string_equal(cJSON_GetStringValue(member(r, "name")), cases[i].records[k].name);
            if (cases[i].records[k].text)
                assert_string_equal(cJSON_GetStringValue(member(r, "text")), cases[i].records[k].text);
            const char *trained = trained_of(r);
            if (cases[i].records[k].trained) assert_string_equal(trained, cases[i].records[k].trained);
        }
        near(number(counts, "records"), cases[i].all, 0);
        if (cases[i].tokens >= 0) near(number(counts, "tokens"), cases[i].tokens, 0);
        if (cases[i].tokens >= 0) near(number(counts, "trained"), cases[i].trained_tokens, 0);
        near(number(counts, "cut"), cases[i].cut, 0);
        near(number(counts, "untrained_records"), cases[i].untrained, 0);
        cJSON_Delete(o);
    }
}

static void test_packed_documents_have_their_places(void **state) {
    (void)state;
    cJSON *o = json_of("preview --model pre/model --train_data instruction.jsonl --packing true --json");
    const cJSON *r = member(o, "records")->child, *second = member(r, "documents")->child->next;
    near(second->valuedouble, 22, 0);
    assert_string_equal(part(cJSON_GetStringValue(member(r, "text")), 22, 25), "<s>");
    near(number(member(o, "counts"), "rows"), 1, 0);
    cJSON_Delete(o);
}

/* What is left out is counted, and not shown. */
static void test_skipped_records(void **state) {
    (void)state;
    cJSON *o = json_of("preview --model pre/model --train_data eval.jsonl --max_seq_length 8 --overlong skip --json");
    const cJSON *counts = member(o, "counts"), *records = member(o, "records");
    near(number(counts, "records"), 1, 0);
    near(number(counts, "skipped_records"), 1, 0);
    near(number(counts, "cut_records"), 0, 0);
    near(number(counts, "tokens"), 6, 0);
    near(number(counts, "untrained_records"), 0, 0);
    assert_int_equal(cJSON_GetArraySize(records), 1);
    assert_string_equal(cJSON_GetStringValue(member(records->child, "name")), "eval.jsonl: line 2");
    cJSON_Delete(o);
}

/* Marks where there is no terminal; control characters are shown, not done; a terminal's are never written. */
static void test_text_is_marked(void **state) {
    (void)state;
    must("preview --model pre/model --train_data eval.jsonl --n 1", 0);
    assert_non_null(strstr(output, "== eval.jsonl: line 1: 12 tokens, 6 trained\n<s> the cat sat\u27e6 on the "
                                   "mat</s>\u27e7\n\nrecords"));
    assert_null(strstr(output, "line 2"));
    must("preview --model pre/model --train_data control.jsonl", 0);
    assert_non_null(strstr(output, "a\u241b[31mb"));
    assert_null(strchr(output, 27));
    must("preview --model pre/model --train_data eval.jsonl --max_seq_length 8", 0);
    assert_non_null(strstr(output, "8 tokens, 2 trained, 4 cut off"));
}

/* As dry_run counts: the same numbers from the loader that training has. */
static void test_dry_run_counts_the_same(void **state) {
    (void)state;
    static const char *const data[] = {"train.jsonl --packing true --max_seq_length 24", "plain.txt",
                                       "eval.jsonl --max_seq_length 8 --overlong skip", "eval.jsonl --max_seq_length 8",
                                       "train.jsonl --train_val_split 0.25"};
    for (size_t i = 0; i < sizeof data / sizeof data[0]; i++) {
        cJSON *a = json_of(text("preview --model pre/model --train_data %s --json", data[i])),
              *b = json_of(text("train --model pre/model --train_data %s --dry_run --output_dir none --json", data[i]));
        bool same;
        assert_true(lf_json_same(&same, member(a, "counts"), member(b, "counts")) && same);
        cJSON_Delete(a);
        cJSON_Delete(b);
    }
    assert_false(lf_is_dir(text("%s/none", root)));
}

/* Of the model only config.json and the tokenizer are read. */
static void test_weights_are_not_needed(void **state) {
    (void)state;
    lf_err err = {0};
    assert_int_equal(lf_mkdir_p(text("%s/bare", root), &err), LF_OK);
    static const char *const files[] = {"config.json", "tokenizer.json", "tokenizer_config.json"};
    for (int i = 0; i < 3; i++)
        assert_int_equal(lf_copy_file(text("%s/pre/model/%s", root, files[i]), text("%s/bare", root), files[i], &err),
                         LF_OK);
    must("preview --model bare --train_data eval.jsonl", 0);
    must("preview --init_model config.json --method full --tokenizer tokenizer --train_data eval.jsonl", 0);
    must("inspect --model bare", 3);
}

static void test_mistakes(void **state) {
    (void)state;
    static const struct {
        const char *flags, *says;
        int code;
    } mistakes[] = {
        {"--train_data eval.jsonl", "'model' or 'init_model' is required", 2},
        {"--model pre/model", "'train_data' is required", 2},
        {"--model nowhere --train_data eval.jsonl", "nowhere: no such folder", 3},
        {"--model pre/model --train_data eval.jsonl --n 0", "'n'", 2},
        {"--model pre/model --train_data eval.jsonl --max_seq_length 6", "line 1: the prompt has 6 tokens", 3},
        {"--model pre/model --train_data nowhere.jsonl", "nowhere.jsonl", 3},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        must(text("preview %s", mistakes[i].flags), mistakes[i].code);
        if (!strstr(output, mistakes[i].says)) fail_msg("'%s' said: %s", mistakes[i].flags, output);
    }
}

static int setup_texts(void **state) {
    if (setup(state)) return 1;
    put("instruction.jsonl", "{\"instruction\": \"Name it.\", \"output\": \"Blue.\"}\n"
                             "{\"instruction\": \"Add.\", \"input\": \"2 and 3\", \"output\": \"5\"}\n");
    put("chat.jsonl", "{\"messages\": [{\"role\": \"system\", \"content\": \"Be brief.\"}, {\"role\": \"user\", "
                      "\"content\": \"A cat?\"}, {\"role\": \"assistant\", \"content\": \"It naps. ñ 猫 😺\"}, "
                      "{\"role\": \"user\", \"content\": \"A dog?\"}, {\"role\": \"assistant\", \"content\": "
                      "\"Barks.\"}]}\n");
    put("bytes.txt", "a猫😺é");
    put("begun.txt", "abc猫b");
    put("empty.jsonl", "{\"text\": \"\"}\n{\"text\": \"x\"}\n");
    put("control.jsonl", "{\"text\": \"a\\u001b[31mb\"}\n");
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_are_shown_as_they_are_trained),
        cmocka_unit_test(test_packed_documents_have_their_places),
        cmocka_unit_test(test_skipped_records),
        cmocka_unit_test(test_text_is_marked),
        cmocka_unit_test(test_dry_run_counts_the_same),
        cmocka_unit_test(test_weights_are_not_needed),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, setup_texts, teardown);
}
