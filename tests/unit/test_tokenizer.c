/* Tokenizers against Hugging Face `tokenizers` (tests/golden/tokenizer), what is refused and how, long words, threads,
 * and every failing allocation. */
#define _XOPEN_SOURCE 700
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "memory_fixture.h"

#include "base/file.h"
#include "base/json.h"
#include "io/gzip.h"
#include "text/tokenizer.h"

static const char *const kinds[] = {"gpt2",           "prefix_space", "llama3",          "qwen",
                                    "o200k",          "llama2",       "metaspace_first", "metaspace_always",
                                    "gemma",          "flags",        "deepseek",        "clip",
                                    "wordpiece_like", "behaviors",    "regexes",         "bert_uncased",
                                    "bert_cased",     "bert_odd",     "xlm_roberta",     "albert",
                                    "unigram_bytes"};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

static const char *golden_path(const char *name, const char *suffix) {
    static char path[512];
    snprintf(path, sizeof path, "%s/golden/tokenizer/%s%s", LF_TEST_DIR, name, suffix);
    return path;
}

static cJSON *read_json(const char *path) {
    unsigned char *text = NULL;
    size_t size = 0;
    cJSON *json = NULL;
    lf_err err = {0};
    if (lf_read_maybe_gzip(&text, &size, path, 64 << 20, &err) ||
        lf_json_parse(&json, (const char *)text, size, path, &err))
        fail_msg("%s", err.message);
    lf_free(text);
    return json;
}

static lf_tokenizer *open_path(const char *path) {
    lf_tokenizer *t = NULL;
    lf_err err = {0};
    if (lf_tokenizer_open(&t, path, &err)) fail_msg("%s", err.message);
    return t;
}

static lf_tokenizer *open_golden(const char *name) { return open_path(golden_path(name, ".json")); }

static void same_ids(const lf_ids *got, const cJSON *expected, const char *name, const char *text) {
    const cJSON *id;
    int64_t i = 0;
    cJSON_ArrayForEach(id, expected) {
        if (i >= got->n || got->ids[i] != (int32_t)id->valuedouble)
            fail_msg("%s: \"%.200s\": id %" PRId64 ": expected %.0f, found %d", name, text, i, id->valuedouble,
                     i < got->n ? got->ids[i] : -1);
        i++;
    }
    if (i != got->n) fail_msg("%s: \"%.200s\": expected %" PRId64 " ids, found %" PRId64, name, text, i, got->n);
}

/* Member `number` of what differs, or what it differs from. */
static const cJSON *either(const cJSON *different, int number, const cJSON *otherwise) {
    char key[16];
    snprintf(key, sizeof key, "%d", number);
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(different, key);
    return item ? item : otherwise;
}

static void encodes(lf_tokenizer *t, const char *s, bool special, lf_ids *ids) {
    lf_err err = {0};
    ids->n = 0;
    if (lf_tokenizer_encode(t, s, strlen(s), special, ids, &err)) fail_msg("%s", err.message);
}

static void decodes(const lf_tokenizer *t, const lf_ids *ids, bool skip, const char *expected, const char *name) {
    char *text = NULL;
    size_t n = 0;
    lf_err err = {0};
    if (lf_tokenizer_decode(t, ids->ids, ids->n, skip, &text, &n, &err)) fail_msg("%s", err.message);
    if (n != strlen(text) || strcmp(text, expected) != 0)
        fail_msg("%s: expected \"%.300s\", found \"%.300s\"", name, expected, text);
    lf_free(text);
}

static void streams(const lf_tokenizer *t, const lf_ids *ids, const char *expected, const char *name) {
    lf_stream *s = NULL;
    lf_err err = {0};
    char *all = calloc(1, strlen(expected) + 1000), *end = all;
    assert_int_equal(lf_stream_new(&s, t, true, &err), LF_OK);
    for (int64_t i = 0; i <= ids->n; i++) {
        const char *text = NULL;
        size_t n = 0;
        if (i < ids->n ? lf_stream_push(s, ids->ids[i], &text, &n, &err) : lf_stream_end(s, &text, &n, &err))
            fail_msg("%s", err.message);
        assert_true((size_t)(end - all) + n < strlen(expected) + 1000);
        memcpy(end, text, n);
        end += n;
    }
    if (strcmp(all, expected) != 0) fail_msg("%s: expected \"%.300s\", streamed \"%.300s\"", name, expected, all);
    free(all);
    lf_stream_free(s);
}

static void test_golden(void **state) {
    (void)state;
    cJSON *root = read_json(golden_path("strings", ".json.gz"));
    const cJSON *strings = cJSON_GetObjectItemCaseSensitive(root, "strings");
    assert_true(cJSON_GetArraySize(strings) >= 500);
    for (size_t k = 0; k < N_KINDS; k++) {
        lf_tokenizer *t = open_golden(kinds[k]);
        cJSON *golden = read_json(golden_path(kinds[k], ".ids.json.gz"));
        const cJSON *encoded = cJSON_GetObjectItemCaseSensitive(golden, "encoded")->child;
        const cJSON *decoded = cJSON_GetObjectItemCaseSensitive(golden, "decoded")->child;
        const cJSON *special = cJSON_GetObjectItemCaseSensitive(golden, "special");
        const cJSON *skipped = cJSON_GetObjectItemCaseSensitive(golden, "skipped");
        const cJSON *string;
        lf_ids ids = {0};
        int i = 0;
        cJSON_ArrayForEach(string, strings) {
            if (!encoded) break; /* of some kinds there are fewer */
            const char *s = string->valuestring, *rest = either(skipped, i, decoded)->valuestring;
            encodes(t, s, false, &ids);
            same_ids(&ids, encoded, kinds[k], s);
            encodes(t, s, true, &ids);
            same_ids(&ids, either(special, i, encoded), kinds[k], s);
            decodes(t, &ids, false, decoded->valuestring, kinds[k]);
            decodes(t, &ids, true, rest, kinds[k]);
            streams(t, &ids, rest, kinds[k]);
            encoded = encoded->next;
            decoded = decoded->next;
            i++;
        }
        assert_true(i >= 300);
        lf_ids_free(&ids);
        cJSON_Delete(golden);
        lf_tokenizer_free(t);
    }
    cJSON_Delete(root);
}

static void test_tokens(void **state) {
    (void)state;
    for (size_t k = 0; k < N_KINDS; k++) {
        lf_tokenizer *t = open_golden(kinds[k]);
        const int64_t n = lf_tokenizer_vocab_size(t);
        assert_true(n > 200);
        for (int32_t i = 0; i < n; i++)
            if (lf_tokenizer_token(t, i)) assert_int_equal(lf_tokenizer_id(t, lf_tokenizer_token(t, i)), i);
        assert_null(lf_tokenizer_token(t, -1));
        assert_null(lf_tokenizer_token(t, (int32_t)n));
        assert_int_equal(lf_tokenizer_id(t, "no such token \xf0\x9f\xa6\x99"), -1);
        lf_tokenizer_free(t);
    }
}

/* NUL is a character like others; encode appends. */
static void test_nul_and_append(void **state) {
    (void)state;
    lf_tokenizer *t = open_golden("gpt2");
    lf_ids ids = {0};
    char *text = NULL;
    size_t n = 0;
    assert_int_equal(lf_tokenizer_encode(t, "a\0\0b", 4, false, &ids, NULL), LF_OK);
    assert_int_equal(lf_tokenizer_encode(t, " the end", 8, false, &ids, NULL), LF_OK);
    assert_int_equal(lf_tokenizer_encode(t, NULL, 0, false, &ids, NULL), LF_OK);
    assert_int_equal(lf_tokenizer_decode(t, ids.ids, ids.n, false, &text, &n, NULL), LF_OK);
    assert_int_equal(n, 12);
    assert_memory_equal(text, "a\0\0b the end", 13);
    lf_free(text);
    lf_ids_free(&ids);
    assert_int_equal(lf_tokenizer_decode(t, NULL, 0, false, &text, &n, NULL), LF_OK);
    assert_string_equal(text, "");
    lf_free(text);
    lf_tokenizer_free(t);
}

static void test_not_utf8(void **state) {
    (void)state;
    static const struct {
        const char *s;
        size_t n, offset;
    } bad[] = {{"\xff", 1, 0},       {"abcdefghij\x80", 11, 10},      {"a\xc3", 2, 1},
               {"\xc0\x80", 2, 0},   {"\xed\xa0\x80", 3, 0},          {"ab\xf4\x90\x80\x80", 6, 2},
               {"\xe2\x82 x", 4, 0}, {"12345678\xf0\x9f\xa6 ", 12, 8}};
    lf_tokenizer *t = open_golden("llama2");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        lf_ids ids = {0};
        lf_err err = {0};
        char offset[40];
        snprintf(offset, sizeof offset, "offset %zu ", bad[i].offset);
        assert_int_equal(lf_tokenizer_encode(t, bad[i].s, bad[i].n, false, &ids, &err), LF_EDATA);
        if (!strstr(err.message, offset) || ids.n != 0) fail_msg("'%s' instead of '%s'", err.message, offset);
    }
    lf_tokenizer_free(t);
}

static void test_unknown_ids(void **state) {
    (void)state;
    lf_tokenizer *t = open_golden("llama2");
    lf_stream *s = NULL;
    const int32_t bad[] = {-1, INT32_MIN, (int32_t)lf_tokenizer_vocab_size(t), INT32_MAX};
    const char *part;
    char *text;
    size_t n;
    assert_int_equal(lf_stream_new(&s, t, false, NULL), LF_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const int32_t ids[2] = {1, bad[i]};
        lf_err err = {0};
        assert_int_equal(lf_tokenizer_decode(t, ids, 2, false, &text, &n, &err), LF_EDATA);
        assert_non_null(strstr(err.message, "position 1"));
        assert_null(text);
        assert_int_equal(lf_stream_push(s, bad[i], &part, &n, NULL), LF_EDATA);
    }
    assert_int_equal(lf_stream_push(s, lf_tokenizer_id(t, "a"), &part, &n, NULL), LF_OK); /* and goes on */
    assert_string_equal(part, "a");
    lf_stream_free(s);
    lf_tokenizer_free(t);
}

/* ---- cuts ---- */

/* Byte-level ids stand for bytes, so what is before a cut decodes to the text before it. */
static void test_cuts(void **state) {
    (void)state;
    cJSON *root = read_json(golden_path("strings", ".json.gz"));
    const cJSON *string;
    lf_tokenizer *t = open_golden("llama3");
    lf_tokenizer_work *w;
    lf_ids ids = {0};
    uint32_t random = 1;
    assert_int_equal(lf_tokenizer_work_new(&w, t, NULL), LF_OK);
    cJSON_ArrayForEach(string, cJSON_GetObjectItemCaseSensitive(root, "strings")) {
        const char *s = string->valuestring;
        const size_t n = strlen(s);
        size_t cuts[4], at = 0;
        int64_t starts[4];
        lf_err err = {0};
        if (strstr(s, "<|")) continue; /* a cut in a token moves */
        for (int i = 0; i < 4; i++) {
            random = random * 1664525 + 1013904223;
            at += (n - at) * (random >> 16 & 255) / 400;
            while (at < n && ((unsigned char)s[at] & 0xc0) == 0x80) at++;
            cuts[i] = at;
        }
        ids.n = 0;
        if (lf_tokenizer_encode_cut(w, s, n, cuts, 4, true, &ids, starts, &err)) fail_msg("%s", err.message);
        for (int i = 0; i < 4; i++) {
            char *text;
            size_t n_text;
            assert_true(starts[i] >= 1 && starts[i] <= ids.n);
            assert_int_equal(lf_tokenizer_decode(t, ids.ids, starts[i], true, &text, &n_text, NULL), LF_OK);
            if (n_text != cuts[i] || memcmp(text, s, n_text) != 0)
                fail_msg("\"%s\": cut at %zu: \"%s\"", s, cuts[i], text);
            lf_free(text);
        }
    }
    const size_t bad[] = {2, 1, 9}, inside = 1;
    int64_t starts[3];
    assert_int_equal(lf_tokenizer_encode_cut(w, "abcdefgh", 8, bad, 2, true, &ids, starts, NULL), LF_EDATA);
    assert_int_equal(lf_tokenizer_encode_cut(w, "abcdefgh", 8, bad + 2, 1, true, &ids, starts, NULL), LF_EDATA);
    assert_int_equal(lf_tokenizer_encode_cut(w, "\xc3\xa9", 2, &inside, 1, true, &ids, starts, NULL), LF_EDATA);
    lf_tokenizer_work_free(w);
    lf_ids_free(&ids);
    lf_tokenizer_free(t);
    cJSON_Delete(root);
}

/* Where a token ends anyway, a cut changes nothing: no space is put in front of what follows it. */
static void test_cut_answers(void **state) {
    (void)state;
    static const char *const names[] = {"llama2", "metaspace_first", "metaspace_always",
                                        "gemma",  "prefix_space",    "llama3"};
    static const char text[] = "[INST] What now? [/INST] There is nothing </s>";
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        lf_tokenizer *t = open_golden(names[k]);
        lf_tokenizer_work *w;
        lf_ids whole = {0}, cut = {0};
        const size_t cuts[3] = {0, 24, sizeof text - 1};
        int64_t starts[3];
        assert_int_equal(lf_tokenizer_work_new(&w, t, NULL), LF_OK);
        encodes(t, text, true, &whole);
        assert_int_equal(lf_tokenizer_encode_cut(w, text, sizeof text - 1, cuts, 3, true, &cut, starts, NULL), LF_OK);
        if (whole.n != cut.n) fail_msg("%s: %" PRId64 " and %" PRId64 " ids", names[k], whole.n, cut.n);
        assert_memory_equal(whole.ids, cut.ids, (size_t)cut.n * sizeof *cut.ids);
        assert_true(starts[0] <= 1 && starts[1] > 10 && starts[1] < starts[2] && starts[2] <= cut.n);
        lf_ids_free(&whole);
        lf_ids_free(&cut);
        lf_tokenizer_work_free(w);
        lf_tokenizer_free(t);
    }
}

/* ---- tokens of the user ---- */

static void same_text(lf_tokenizer *t, const char *s, const int32_t *want, int64_t n) {
    lf_ids ids = {0};
    encodes(t, s, false, &ids);
    if (ids.n != n || memcmp(ids.ids, want, (size_t)n * sizeof *want)) fail_msg("'%s' has other ids", s);
    lf_ids_free(&ids);
}

/* As `tokenizers` adds them: by the vocabulary's id, else by the next; a text that is added twice is one token. */
static void test_added_texts(void **state) {
    (void)state;
    static const char json[] =
        "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1, \"ab\": 2}, \"merges\": [\"a b\"]}}";
    static const char *const texts[] = {"<t>", "b", "<t>", "a b"}, *const nothing[] = {""};
    lf_tokenizer *t;
    lf_err err = {0};
    assert_int_equal(lf_tokenizer_parse(&t, json, strlen(json), "t.json", &err), LF_OK);
    same_text(t, "abab", (const int32_t[]){2, 2}, 2);
    lf_tokenizer_free(t);
    assert_int_equal(lf_tokenizer_parse(&t, json, strlen(json), "t.json", &err), LF_OK);
    bool made[4];
    assert_int_equal(lf_tokenizer_add_texts(t, texts, 4, made, &err), LF_OK);
    assert_true(made[0] && made[1] && !made[2] && made[3]);
    assert_int_equal(lf_tokenizer_vocab_size(t), 5);
    same_text(t, "ab<t>a b", (const int32_t[]){0, 1, 3, 4}, 4);
    same_text(t, "abab", (const int32_t[]){0, 1, 0, 1}, 4);
    assert_false(lf_tokenizer_is_special(t, 3));
    assert_int_equal(lf_tokenizer_add_texts(t, nothing, 1, NULL, &err), LF_EUSAGE);
    lf_tokenizer_free(t);
}

/* How often the token is in the text. */
static int times_in(lf_tokenizer *t, const char *s, int32_t token) {
    lf_ids ids = {0};
    int found = 0;
    encodes(t, s, false, &ids);
    for (int64_t i = 0; i < ids.n; i++) found += ids.ids[i] == token;
    lf_ids_free(&ids);
    return found;
}

/* They are found as they are written, wherever they stand: behind a letter too, where the normalizer puts a mark before
 * a text (llama2), and not in other letters (bert_uncased). */
static void test_added_texts_normalized(void **state) {
    (void)state;
    static const char *const texts[] = {"<Tool>", "\u00dcnd so"}, *const names[] = {"bert_uncased", "llama2"};
    lf_err err = {0};
    for (int i = 0; i < 2; i++) {
        lf_tokenizer *t = open_path(golden_path(names[i], ".json"));
        const int32_t first = (int32_t)lf_tokenizer_vocab_size(t);
        assert_int_equal(lf_tokenizer_add_texts(t, texts, 2, NULL, &err), LF_OK);
        same_text(t, "<Tool>\u00dcnd so<Tool>", (const int32_t[]){first, first + 1, first}, 3);
        assert_int_equal(times_in(t, "a<Tool>b <Tool>", first), 2);
        assert_int_equal(times_in(t, "<tool> <TOOL>", first), 0);
        lf_tokenizer_free(t);
    }
}

/* ---- one text or two, cut to a length ---- */

/* The golden tokenizer whose texts are cut at the end or at the beginning. */
static lf_tokenizer *open_cutting(const char *name, bool left) {
    cJSON *root = read_json(golden_path(name, ".json"));
    lf_tokenizer *t = NULL;
    lf_err err = {0};
    cJSON_DeleteItemFromObjectCaseSensitive(root, "truncation");
    cJSON_AddItemToObject(root, "truncation", cJSON_Parse(left ? "{\"direction\": \"Left\"}" : "null"));
    char *json = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    if (lf_tokenizer_parse(&t, json, strlen(json), name, &err)) fail_msg("%s", err.message);
    cJSON_free(json);
    return t;
}

static const char *text_of(const cJSON *o, const char *key) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));
}
static int64_t number_of(const cJSON *o, const char *key) {
    return (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(o, key));
}

static void test_pairs(void **state) {
    (void)state;
    cJSON *root = read_json(golden_path("pairs", ".json.gz"));
    const cJSON *p;
    const char *name = "";
    lf_tokenizer *t[2] = {NULL, NULL}; /* cutting at the end, at the beginning */
    lf_tokenizer_work *w[2] = {NULL, NULL};
    lf_ids ids = {0}, types = {0};
    cJSON_ArrayForEach(p, root) {
        const char *a = text_of(p, "a"), *b = text_of(p, "b");
        const bool left = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(p, "left"));
        int64_t left_out = -1;
        lf_err err = {0};
        for (int i = 0; i < 2 && strcmp(name, text_of(p, "tokenizer")) != 0; i++) {
            lf_tokenizer_work_free(w[i]);
            lf_tokenizer_free(t[i]);
            t[i] = open_cutting(text_of(p, "tokenizer"), i == 1);
            assert_int_equal(lf_tokenizer_work_new(&w[i], t[i], NULL), LF_OK);
        }
        name = text_of(p, "tokenizer");
        ids.n = types.n = 0;
        if (lf_tokenizer_encode_pair(w[left], a, strlen(a), b, b ? strlen(b) : 0, number_of(p, "max_length"), &ids,
                                     &types, &left_out, &err))
            fail_msg("%s", err.message);
        same_ids(&ids, cJSON_GetObjectItemCaseSensitive(p, "ids"), name, a);
        same_ids(&types, cJSON_GetObjectItemCaseSensitive(p, "types"), name, a);
        assert_int_equal(left_out, number_of(p, "left_out"));
    }
    for (int i = 0; i < 2; i++) lf_tokenizer_work_free(w[i]), lf_tokenizer_free(t[i]);
    lf_ids_free(&ids);
    lf_ids_free(&types);
    cJSON_Delete(root);
}

static void test_pairs_refused(void **state) {
    (void)state;
    lf_tokenizer *t = open_golden("wordpiece_like");
    lf_tokenizer_work *w;
    lf_ids ids = {0}, types = {0};
    lf_err err = {0};
    assert_int_equal(lf_tokenizer_work_new(&w, t, NULL), LF_OK);
    assert_int_equal(lf_tokenizer_encode_pair(w, "a", 1, NULL, 0, 0, &ids, NULL, NULL, &err), LF_OK);
    assert_int_equal(ids.n, 3);
    assert_int_equal(lf_tokenizer_encode_pair(w, "a", 1, "b", 1, 3, &ids, &types, NULL, &err), LF_EDATA);
    if (!strstr(err.message, "3 tokens has no room")) fail_msg("%s", err.message);
    err = (lf_err){0};
    assert_int_equal(lf_tokenizer_encode_pair(w, "a", 1, "\xff", 1, 9, &ids, &types, NULL, &err), LF_EDATA);
    assert_int_equal(ids.n, 3); /* as it was */
    assert_int_equal(types.n, 0);
    lf_tokenizer_work_free(w);
    lf_tokenizer_free(t);
    lf_ids_free(&ids);
    static const char *const bad[][2] = {
        {"{\"type\": \"TemplateProcessing\", \"single\": [{\"Sequence\": {\"id\": \"A\"}}]}", "key 'pair': none"},
        {"{\"type\": \"Sequence\", \"processors\": [{\"type\": \"BertProcessing\", \"cls\": [\"a\", 0], \"sep\": "
         "[\"b\", 1]}, {\"type\": \"BertProcessing\", \"cls\": [\"a\", 0], \"sep\": [\"b\", 1]}]}",
         "processors[1]: a second step"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *json = lf_format("{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1}, \"merges\": []}, "
                               "\"post_processor\": %s}",
                               bad[i][0]);
        err = (lf_err){0};
        assert_int_equal(lf_tokenizer_parse(&t, json, strlen(json), "t.json", &err), LF_OK);
        assert_int_equal(lf_tokenizer_work_new(&w, t, NULL), LF_OK);
        assert_int_equal(lf_tokenizer_encode_pair(w, "a", 1, "b", 1, 9, &ids, &types, NULL, &err), LF_EUNSUPPORTED);
        if (!strstr(err.message, bad[i][1])) fail_msg("'%s' does not say '%s'", err.message, bad[i][1]);
        lf_tokenizer_work_free(w);
        lf_tokenizer_free(t);
        lf_free(json);
    }
}

/* ---- what is refused ---- */

#define MODEL        "\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1, \"ab\": 2}, \"merges\": [\"a b\"]}"

#define TEMPLATE     "\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": "
#define SEQUENCE(id) "{\"Sequence\": {\"id\": \"" id "\"}}"
static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *json;
        lf_status status;
        const char *names;
    } bad[] = {
        {"[]", LF_EDATA, "'model'"},
        {"{}", LF_EDATA, "'model'"},
        {"{\"model\": {\"type\": \"WordLevel\", \"vocab\": {}}}", LF_EUNSUPPORTED, "WordLevel"},
        {"{\"model\": {\"type\": \"WordPiece\", \"vocab\": {}}}", LF_EDATA, "'unk_token': \"[UNK]\""},
        {"{\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"u\": 0}, \"unk_token\": \"u\", "
         "\"max_input_chars_per_word\": "
         "-1}}",
         LF_EDATA, "'max_input_chars_per_word'"},
        {"{\"model\": {\"type\": \"WordPiece\", \"vocab\": [\"u\"], \"unk_token\": \"u\"}}", LF_EDATA, "'vocab'"},
        {"{\"model\": {\"type\": \"Unigram\", \"vocab\": {}}}", LF_EDATA, "'vocab'"},
        {"{\"model\": {\"type\": \"Unigram\", \"vocab\": [[\"a\", 0], [\"b\"]]}}", LF_EDATA, "entry 1"},
        {"{\"model\": {\"type\": \"Unigram\", \"vocab\": [[\"a\", 1e999]]}}", LF_EDATA, ""},
        {"{\"model\": {\"type\": \"Unigram\", \"vocab\": [[\"a\", 0], [\"a\", 0]]}}", LF_EDATA, "id 0 elsewhere"},
        {"{\"model\": {\"type\": \"Unigram\", \"vocab\": [[\"a\", 0]], \"unk_id\": 1}}", LF_EDATA, "'unk_id'"},
        {"{\"model\": {\"type\": \"Unigram\", \"vocab\": [[\"a\", 0]], \"alpha\": 0.1}}", LF_EUNSUPPORTED, "'alpha'"},
        {"{\"model\": {\"vocab\": {}}}", LF_EUNSUPPORTED, "'type'"},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": {}, \"merges\": [], \"dropout\": 0.1}}", LF_EUNSUPPORTED,
         "dropout"},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 0}, \"merges\": []}}", LF_EDATA, "same id 0"},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": -1}, \"merges\": []}}", LF_EDATA, "found -1"},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 1e15}, \"merges\": []}}", LF_EDATA, "1000000000000000"},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 1.5}, \"merges\": []}}", LF_EDATA,
         "\"a\" has no integer id"},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [\"a c\"]}}", LF_EDATA, "\"c\" is not in"},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [\"a a\"]}}", LF_EDATA,
         "\"aa\" is not in"},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [\"aa\"]}}", LF_EDATA, "merge 0"},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [[\"a\"]]}}", LF_EDATA, "merge 0"},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}}}", LF_EDATA, "'merges'"},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": {}, \"merges\": [], \"unk_token\": \"u\"}}", LF_EDATA,
         "'unk_token'"},
        {"{" MODEL ", \"normalizer\": {\"type\": \"Precompiled\"}}", LF_EDATA, "'precompiled_charsmap'"},
        {"{" MODEL ", \"normalizer\": {\"type\": \"Precompiled\", \"precompiled_charsmap\": \"AA?A\"}}", LF_EDATA,
         "not base64"},
        {"{" MODEL ", \"normalizer\": {\"type\": \"Precompiled\", \"precompiled_charsmap\": \"AAAAAAAAAAA=\"}}",
         LF_EDATA, "a trie of 0"},
        {"{" MODEL ", \"normalizer\": {\"type\": \"Precompiled\", \"precompiled_charsmap\": \"CAAAAAAAAAA=\"}}",
         LF_EDATA, "a trie of 8"},
        {"{" MODEL ", \"normalizer\": {\"type\": \"Precompiled\", \"precompiled_charsmap\": \"BAAAAAAAAAD/\"}}",
         LF_EDATA, "not UTF-8"},
        {"{" MODEL ", \"normalizer\": {\"type\": \"Fold\"}}", LF_EUNSUPPORTED, "normalizer: key 'type': \"Fold\""},
        {"{" MODEL ", \"pre_tokenizer\": {\"type\": \"CharDelimiterSplit\", \"delimiter\": \"ab\"}}", LF_EDATA,
         "'delimiter'"},
        {"{" MODEL ", \"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Digits\"}, "
         "{\"type\": \"X\"}]}}",
         LF_EUNSUPPORTED, "pre_tokenizer.pretokenizers[1]: key 'type': \"X\""},
        {"{" MODEL ", \"pre_tokenizer\": {\"type\": \"Sequence\"}}", LF_EDATA, "'pretokenizers'"},
        {"{" MODEL ", \"pre_tokenizer\": 3}", LF_EDATA, "pre_tokenizer"},
        {"{" MODEL ", \"decoder\": {\"type\": \"CTC\"}}", LF_EUNSUPPORTED, "CTC"},
        {"{" MODEL ", \"decoder\": {\"type\": \"Strip\", \"content\": \"ab\"}}", LF_EDATA, "one character"},
        {"{" MODEL
         ", \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"s\"}}]}}",
         LF_EDATA, "special_tokens"},
        {"{" MODEL ", \"post_processor\": {\"type\": \"BertProcessing\", \"cls\": [\"c\", 7], \"sep\": [\"s\", 1]}}",
         LF_EDATA, "no token has id 7"},
        {"{" MODEL ", \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"Sequence\": {\"id\": "
         "\"B\"}}]}}",
         LF_EDATA, "key 'single': sequence \"B\"; expected \"A\""},
        {"{" MODEL ", " TEMPLATE "[" SEQUENCE("A") "], \"pair\": [" SEQUENCE("C") "]}}", LF_EDATA,
         "key 'pair': sequence \"C\"; expected \"A\" or \"B\""},
        {"{" MODEL ", " TEMPLATE "[]}}", LF_EUNSUPPORTED, "key 'single': expected the sequence \"A\" once"},
        {"{" MODEL ", " TEMPLATE "[" SEQUENCE("A") ", " SEQUENCE("A") "]}}", LF_EUNSUPPORTED, "key 'single': expected"},
        {"{" MODEL ", " TEMPLATE "[" SEQUENCE("A") "], \"pair\": [" SEQUENCE("A") "]}}", LF_EUNSUPPORTED,
         "key 'pair': expected each of the sequences \"A\" and \"B\" once"},
        {"{" MODEL ", \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"Sequence\": {\"id\": "
         "\"A\", \"type_id\": -1}}]}}",
         LF_EDATA, "'type_id'"},
        {"{" MODEL
         ", \"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"Regex\": \"(\"}, \"behavior\": \"Isolated\"}}",
         LF_EDATA, "pre_tokenizer"},
        {"{" MODEL
         ", \"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"Regex\": \"[\\\\p{L}&&[^a]]\"}, \"behavior\": "
         "\"Isolated\"}}",
         LF_EUNSUPPORTED, "&& in a class"},
        {"{" MODEL
         ", \"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"String\": \" \"}, \"behavior\": \"Gone\"}}",
         LF_EDATA, "\"Gone\""},
        {"{" MODEL ", \"pre_tokenizer\": {\"type\": \"Metaspace\", \"replacement\": \"__\"}}", LF_EDATA,
         "'replacement'"},
        {"{" MODEL ", \"added_tokens\": [{\"id\": 5, \"content\": \"x\"}]}", LF_EDATA, "its place is 3"},
        {"{" MODEL ", \"added_tokens\": [{\"id\": 1, \"content\": \"a\"}]}", LF_EDATA, "its place is 0"},
        {"{" MODEL ", \"added_tokens\": [{\"id\": 3, \"content\": \"\"}]}", LF_EDATA, "'content'"},
        {"{" MODEL ", \"added_tokens\": {}}", LF_EDATA, "added_tokens"},
        {"{\"model\": ", LF_EDATA, "line 1"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        lf_tokenizer *t = (lf_tokenizer *)(uintptr_t)1;
        lf_err err = {0};
        const lf_status rc = lf_tokenizer_parse(&t, bad[i].json, strlen(bad[i].json), "t.json", &err);
        if (rc != bad[i].status || !strstr(err.message, bad[i].names) || strncmp(err.message, "t.json", 6) != 0)
            fail_msg("%s: status %d, message '%s'; expected '%s'", bad[i].json, rc, err.message, bad[i].names);
        assert_null(t);
        assert_int_equal(lf_alloc_live(), 0);
    }
}

/* A "normalizer" that replaces what the pattern matches. */
static lf_status open_pattern(const char *pattern, lf_err *err) {
    char json[400];
    lf_tokenizer *t;
    snprintf(json, sizeof json,
             "{" MODEL
             ", \"normalizer\": {\"type\": \"Replace\", \"pattern\": {\"Regex\": \"%s\"}, \"content\": \"\"}}",
             pattern);
    const lf_status rc = lf_tokenizer_parse(&t, json, strlen(json), "t.json", err);
    lf_tokenizer_free(t);
    return rc;
}

static void test_patterns(void **state) {
    (void)state;
    static const char *const unsupported[] = {
        "\\\\h",      "\\\\X",     "(?m:a)", "(?<n>a)", "[a[b]]",    "\\\\p{Foo}", "\\\\p{Cn}", "a{2}?", "[^\\\\W]",
        "[\\\\P{L}]", "(?i:stra)", "(?i:é)", "\\\\1",   "[\\\\w-z]", "[a-\\\\d]",  "\\\\xZ",    "[]a]"};
    static const char *const wrong[] = {"a\\\\", "[a\\\\",  "[a",       "a)", "(a", "(a\\\\",   "*",
                                        "[b-a]", "(?<=a+)", "(?i:\\\\", "[^", "[",  "a{1}{\\\\"};
    for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++) {
        lf_err err = {0};
        const lf_status rc = open_pattern(unsupported[i], &err);
        if (rc != LF_EUNSUPPORTED) fail_msg("%s: status %d, '%s'", unsupported[i], rc, err.message);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        lf_err err = {0};
        const lf_status rc = open_pattern(wrong[i], &err);
        if (rc != LF_EDATA) fail_msg("%s: status %d, '%s'", wrong[i], rc, err.message);
    }
}

/* ---- names ---- */

static void test_names(void **state) {
    (void)state;
    char folder[] = "/tmp/lf-tokenizer-XXXXXX", *text = NULL, *path;
    size_t n = 0;
    lf_err err = {0};
    assert_non_null(mkdtemp(folder));
    assert_int_equal(lf_file_read(&text, &n, golden_path("llama2", ".json"), NULL), LF_OK);
    static const struct {
        const char *name, *text;
    } files[] = {{"special_tokens_map.json", "{\"bos_token\": {\"content\": \"</s>\"}, \"pad_token\": \"<unk>\"}"},
                 {"tokenizer_config.json",
                  "{\"bos_token\": \"<s>\", \"eos_token\": {\"content\": \"</s>\"}, \"unk_token\": null}"}};
    path = lf_path_join(folder, "tokenizer.json");
    assert_int_equal(lf_file_write(path, text, n, NULL), LF_OK);
    lf_free(path);
    lf_free(text);
    lf_tokenizer *t = open_path(folder);
    assert_int_equal(lf_tokenizer_bos(t), -1);
    assert_int_equal(lf_tokenizer_unk(t), 0);
    lf_tokenizer_free(t);
    for (size_t i = 0; i < 2; i++) {
        path = lf_path_join(folder, files[i].name);
        assert_int_equal(lf_file_write(path, files[i].text, strlen(files[i].text), NULL), LF_OK);
        lf_free(path);
    }
    t = open_path(folder);
    assert_int_equal(lf_tokenizer_bos(t), 2); /* without "added_tokens_decoder" the older file wins */
    assert_int_equal(lf_tokenizer_eos(t), 2);
    assert_int_equal(lf_tokenizer_pad(t), 0);
    assert_int_equal(lf_tokenizer_unk(t), 0);
    assert_true(lf_tokenizer_is_special(t, 1) && !lf_tokenizer_is_special(t, 300));
    lf_tokenizer_free(t);
    path = lf_path_join(folder, "tokenizer_config.json");
    assert_int_equal(lf_file_write(path, "{\"eos_token\": [\"a\"]}", 20, NULL), LF_OK);
    lf_free(path);
    assert_int_equal(lf_tokenizer_open(&t, folder, &err), LF_EDATA);
    assert_non_null(strstr(err.message, "tokenizer_config.json: key 'eos_token'"));
    assert_null(t);
    static const char listed[] =
        "{\"added_tokens_decoder\": {\"1\": {\"content\": \"<s>\"}, \"901\": {\"content\": \"<x>\"}}}";
    path = lf_path_join(folder, "tokenizer_config.json");
    assert_int_equal(lf_file_write(path, listed, sizeof listed - 1, NULL), LF_OK);
    lf_free(path);
    err = (lf_err){0};
    assert_int_equal(lf_tokenizer_open(&t, folder, &err), LF_EUNSUPPORTED);
    assert_non_null(strstr(err.message, "\"<x>\" has id 901 here, and 900 by"));
    assert_int_equal(lf_tokenizer_open(&t, "/nowhere", NULL), LF_ENOTFOUND);
    static const char *const others[] = {"vocab.json", "spiece.model", "tokenizer.model"}; /* the last one is named */
    path = lf_path_join(folder, "tokenizer.json");
    assert_int_equal(lf_remove_tree(path, NULL), LF_OK);
    lf_free(path);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        path = lf_path_join(folder, others[i]);
        assert_int_equal(lf_file_write(path, "x", 1, NULL), LF_OK);
        lf_free(path);
        err = (lf_err){0};
        assert_int_equal(lf_tokenizer_open(&t, folder, &err), LF_ENOTFOUND);
        assert_non_null(strstr(err.message, "there is no tokenizer.json, but "));
        assert_non_null(strstr(err.message, others[i]));
        assert_non_null(strstr(err.message, "t.from_pretrained(d).save_pretrained(d)"));
    }
    assert_int_equal(lf_remove_tree(folder, NULL), LF_OK);
}

/* ---- vocab.txt ---- */

/* What transformers' (5.24) BertTokenizer makes of a text with this vocabulary and these switches. */
static void test_vocab_txt(void **state) {
    (void)state;
#define FIRST "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"
#define WORDS "a\nb\n##b\n\u00e9\ne\nabc\n\u4f60\nA\n"
    static const struct {
        const char *vocab, *config; /* config NULL: no tokenizer_config.json */
        int32_t ids[16], n, size;
    } cases[] = {
        {FIRST WORDS, NULL, {2, 5, 5, 7, 9, 9, 11, 5, 5, 4, 1, 3}, 12, 13},
        {FIRST WORDS, "{\"do_lower_case\": true}", {2, 5, 5, 7, 9, 9, 11, 5, 5, 4, 1, 3}, 12, 13},
        {FIRST WORDS, "{\"do_lower_case\": false}", {2, 5, 5, 7, 8, 1, 11, 5, 12, 4, 1, 3}, 12, 13},
        {FIRST WORDS, "{\"strip_accents\": false}", {2, 5, 5, 7, 8, 9, 11, 5, 5, 4, 1, 3}, 12, 13},
        {FIRST WORDS, "{\"strip_accents\": null}", {2, 5, 5, 7, 9, 9, 11, 5, 5, 4, 1, 3}, 12, 13},
        {FIRST WORDS, "{\"tokenize_chinese_chars\": false}", {2, 5, 5, 7, 9, 9, 1, 5, 4, 1, 3}, 11, 13},
        {FIRST WORDS,
         "{\"never_split\": [\"a\"], \"tokenizer_class\": \"DistilBertTokenizerFast\"}",
         {2, 5, 5, 7, 9, 9, 11, 5, 5, 4, 1, 3},
         12,
         13},
        {FIRST WORDS "a\n", NULL, {2, 13, 13, 7, 9, 9, 11, 13, 13, 4, 1, 3}, 12, 14},
        {FIRST WORDS "\nz\n", NULL, {2, 5, 5, 7, 9, 9, 11, 5, 5, 4, 1, 3}, 12, 15},
        {FIRST "a \r\nb\t\n##b\n\u00e9\r\ne\nabc\n\u4f60\nA\u3000",
         NULL,
         {2, 5, 5, 7, 9, 9, 11, 5, 5, 4, 1, 3},
         12,
         13},
        {"[PAD]\n[UNK]\n[CLS]\n[SEP]\n" WORDS, NULL, {2, 4, 4, 6, 8, 8, 10, 4, 4, 12, 1, 3}, 12, 13},
        {"[PAD]\n[UNK]\n[SEP]\n[MASK]\n" WORDS, NULL, {12, 4, 4, 6, 8, 8, 10, 4, 4, 3, 1, 2}, 12, 13},
        {"<p>\n<u>\n<s>\n</s>\n[MASK]\n" WORDS,
         "{\"unk_token\": \"<u>\", \"cls_token\": \"<s>\", \"sep_token\": {\"content\": \"</s>\"}, \"pad_token\": "
         "\"<p>\"}",
         {2, 5, 5, 7, 9, 9, 11, 5, 5, 4, 1, 3},
         12,
         13},
    };
    static const char text[] = "a ab \u00e9 E \u4f60a A [MASK]x";
    char folder[] = "/tmp/lf-tokenizer-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *vocab = lf_path_join(folder, "vocab.txt"), *config = lf_path_join(folder, "tokenizer_config.json");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(lf_file_write(vocab, cases[i].vocab, strlen(cases[i].vocab), NULL), LF_OK);
        remove(config);
        if (cases[i].config)
            assert_int_equal(lf_file_write(config, cases[i].config, strlen(cases[i].config), NULL), LF_OK);
        lf_tokenizer *t = open_path(i % 2 ? folder : vocab);
        lf_ids ids = {0};
        encodes(t, text, true, &ids);
        if (ids.n != cases[i].n || memcmp(ids.ids, cases[i].ids, (size_t)ids.n * sizeof *ids.ids) != 0)
            fail_msg("vocabulary %zu: %" PRId64 " ids, not those of transformers", i, ids.n);
        assert_int_equal(lf_tokenizer_vocab_size(t), cases[i].size);
        lf_ids_free(&ids);
        lf_tokenizer_free(t);
    }
    static const char *const refused[][3] = {
        {FIRST, "{\"tokenizer_class\": \"MPNetTokenizer\"}", "tokenizer_class \"MPNetTokenizer\""},
        {FIRST, "{\"tokenizer_class\": \"BertJapaneseTokenizer\"}", "tokenizer_class \"BertJapanese"},
        {FIRST, "{\"do_lower_case\": 1}", "'do_lower_case'"},
        {FIRST, "{\"cls_token\": null}", "'cls_token'"},
        {"[PAD]\n", "{}", "\"[UNK]\" is not in 'vocab'"},
        {"a\n\xff\n", "{}", "not UTF-8 text, at byte 2"},
        {"\xef\xbb\xbf" FIRST, "{}", "byte order mark"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        lf_tokenizer *t = NULL;
        lf_err err = {0};
        assert_int_equal(lf_file_write(vocab, refused[i][0], strlen(refused[i][0]), NULL), LF_OK);
        assert_int_equal(lf_file_write(config, refused[i][1], strlen(refused[i][1]), NULL), LF_OK);
        assert_true(lf_tokenizer_open(&t, folder, &err) != LF_OK);
        if (!strstr(err.message, refused[i][2])) fail_msg("'%s' does not say '%s'", err.message, refused[i][2]);
        assert_null(t);
    }
    lf_free(vocab);
    lf_free(config);
    assert_int_equal(lf_remove_tree(folder, NULL), LF_OK);
}

/* tokenizer_config.json of a BertTokenizer wins over the normalizer of tokenizer.json (transformers 5.24). */
static void test_bert_switches(void **state) {
    (void)state;
    static const struct {
        const char *config;
        int32_t id;                                /* of "É" */
    } cases[] = {{"{}", 2},                        /* as tokenizer.json says: neither */
                 {"{\"do_lower_case\": true}", 2}, /* of no class that reads it */
                 {"{\"tokenizer_class\": \"BertTokenizer\", \"do_lower_case\": false}", 2},
                 {"{\"tokenizer_class\": \"BertTokenizerFast\"}", 0},
                 {"{\"tokenizer_class\": \"BertTokenizer\", \"strip_accents\": false}", 1},
                 {"{\"tokenizer_class\": \"BertTokenizer\", \"strip_accents\": true, \"do_lower_case\": false}", 3}};
    static const char json[] =
        "{\"normalizer\": {\"type\": \"BertNormalizer\", \"lowercase\": false}, \"model\": {\"type\": \"WordPiece\", "
        "\"vocab\": {\"e\": 0, \"\u00e9\": 1, \"\u00c9\": 2, \"E\": 3, \"[UNK]\": 4}}}";
    char folder[] = "/tmp/lf-tokenizer-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *path = lf_path_join(folder, "tokenizer.json"), *config = lf_path_join(folder, "tokenizer_config.json");
    assert_int_equal(lf_file_write(path, json, sizeof json - 1, NULL), LF_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(lf_file_write(config, cases[i].config, strlen(cases[i].config), NULL), LF_OK);
        lf_tokenizer *t = open_path(folder);
        lf_ids ids = {0};
        encodes(t, "\u00c9", false, &ids);
        assert_int_equal(ids.n, 1);
        if (ids.ids[0] != cases[i].id) fail_msg("%s: id %d", cases[i].config, ids.ids[0]);
        lf_ids_free(&ids);
        lf_tokenizer_free(t);
    }
    lf_free(path);
    lf_free(config);
    assert_int_equal(lf_remove_tree(folder, NULL), LF_OK);
}

/* ---- files beside it ---- */

/* tokenizer.json and "added_tokens_decoder" say different things of one token: what transformers 5.24 makes of it. */
static void test_flags_differ(void **state) {
    (void)state;
#define NOT ", \"normalized\": false, \"special\": "
#define YES ", \"normalized\": true, \"special\": "
    static const char text[] = "a <T> b<t>b<T>x";
    static const struct {
        const char *old, *now; /* now NULL: no "added_tokens_decoder" */
        int32_t ids[13], n;
        const char *decoded; /* without special tokens */
    } cases[] = {
        {NOT "true", NULL, {0, 5, 8, 5, 1, 3, 2, 4, 1, 8, 7}, 11, "a     b < t > b x"},
        {NOT "false", NOT "true", {0, 5, 8, 5, 1, 3, 2, 4, 1, 8, 7}, 11, "a     b < t > b x"},
        {NOT "false", YES "false", {0, 5, 8, 5, 1, 8, 1, 8, 7}, 9, "a   <t>   b <t> b <t> x"},
        {NOT "true", NOT "false", {0, 5, 8, 5, 1, 3, 2, 4, 1, 8, 7}, 11, "a     b < t > b x"},
        {NOT "true", YES "false", {0, 5, 8, 5, 1, 8, 1, 8, 7}, 9, "a   <t>   b <t> b <t> x"},
        {NOT "true", YES "true", {0, 5, 8, 5, 1, 8, 1, 8, 7}, 9, "a   <t>   b <t> b <t> x"},
        {YES "false", NOT "true", {0, 5, 8, 5, 1, 3, 2, 4, 1, 8, 7}, 11, "a   <t>   b < t > b <t> x"},
        {YES "true", NOT "false", {0, 5, 8, 5, 1, 3, 2, 4, 1, 8, 7}, 11, "a   <t>   b < t > b <t> x"},
        {NOT "true, \"single_word\": true", NOT "true", {0, 5, 8, 5, 1, 3, 2, 4, 1, 8, 7}, 11, "a     b < t > b x"},
        {NOT "true",
         NOT "true, \"single_word\": true",
         {0, 5, 8, 5, 1, 3, 2, 4, 1, 3, 2, 4, 7},
         13,
         "a     b < t > b < t > x"},
        {NOT "true, \"lstrip\": true",
         ", \"special\": true",
         {0, 5, 8, 5, 1, 3, 2, 4, 1, 8, 7},
         11,
         "a     b < t > b x"},
        {NOT "true, \"lstrip\": true", "", {0, 5, 8, 5, 1, 8, 1, 8, 7}, 9, "a   <t>   b <t> b <t> x"},
    };
#undef NOT
#undef YES
    char folder[] = "/tmp/lf-tokenizer-XXXXXX";
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *files[] = {lf_format("{\"normalizer\": {\"type\": \"Lowercase\"}, \"added_tokens\": [{\"id\": 8, "
                                   "\"content\": \"<T>\"%s}], \"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, "
                                   "\"b\": 1, \"t\": 2, \"<\": 3, \">\": 4, \" \": 5, \".\": 6, \"x\": 7}, "
                                   "\"merges\": []}}",
                                   cases[i].old),
                         cases[i].now
                             ? lf_format("{\"added_tokens_decoder\": {\"8\": {\"content\": \"<T>\"%s}}}", cases[i].now)
                             : lf_strdup("{}")};
        static const char *const names[] = {"tokenizer.json", "tokenizer_config.json"};
        for (size_t k = 0; k < 2; k++) {
            char *path = lf_path_join(folder, names[k]);
            assert_int_equal(lf_file_write(path, files[k], strlen(files[k]), NULL), LF_OK);
            lf_free(path);
            lf_free(files[k]);
        }
        lf_tokenizer *t = open_path(folder);
        lf_ids ids = {0};
        char *decoded;
        size_t n;
        assert_int_equal(lf_tokenizer_encode(t, text, sizeof text - 1, true, &ids, NULL), LF_OK);
        assert_int_equal(lf_tokenizer_decode(t, ids.ids, ids.n, true, &decoded, &n, NULL), LF_OK);
        assert_int_equal(ids.n, cases[i].n);
        assert_memory_equal(ids.ids, cases[i].ids, (size_t)ids.n * sizeof *ids.ids);
        assert_string_equal(decoded, cases[i].decoded);
        lf_free(decoded);
        lf_ids_free(&ids);
        lf_tokenizer_free(t);
    }
    assert_int_equal(lf_remove_tree(folder, NULL), LF_OK);
}

/* What transformers 5.24 makes of a text with a tokenizer of 13 tokens and these files beside it. */
static void test_config(void **state) {
    (void)state;
    static const char tokenizer[] = "{\"added_tokens\": [{\"id\": 0, \"content\": \"<unk>\", \"special\": true, "
                                    "\"normalized\": false}], \"model\": "
                                    "{\"type\": \"BPE\", \"unk_token\": \"<unk>\", \"vocab\": {\"<unk>\": 0, \"</s>\": "
                                    "1, \"a\": 2, \"b\": 3, \"ab\": 4, "
                                    "\"<\": 5, \"/\": 6, \"s\": 7, \">\": 8, \"x\": 9, \"[\": 10, \"]\": 11, \"P\": "
                                    "12}, \"merges\": [[\"a\", \"b\"]]}}";
    static const struct {
        const char *config, *map, *older; /* tokenizer_config.json, special_tokens_map.json, added_tokens.json */
        const char *text;
        int32_t ids[8], n, bos, eos, pad;
    } cases[] = {
        {"{}", NULL, NULL, "ab</s>x", {4, 5, 6, 7, 8, 9}, 6, -1, -1, -1},
        {NULL, NULL, NULL, "ab</s>x", {4, 5, 6, 7, 8, 9}, 6, -1, -1, -1},
        {"{\"eos_token\": \"</s>\"}", NULL, NULL, "ab</s>x", {4, 1, 9}, 3, -1, 1, -1},
        {"{\"eos_token\": {\"__type\": \"AddedToken\", \"content\": \"</s>\", \"lstrip\": false, \"normalized\": "
         "false, "
         "\"rstrip\": false, \"single_word\": false}}",
         NULL,
         NULL,
         "ab</s>x",
         {4, 1, 9},
         3,
         -1,
         1,
         -1},
        {"{\"pad_token\": \"[P]\"}", NULL, NULL, "ab[P]x", {4, 13, 9}, 3, -1, -1, 13},
        {"{\"added_tokens_decoder\": {\"0\": {\"content\": \"<unk>\", \"special\": true}, \"13\": {\"content\": "
         "\"<x>\", "
         "\"special\": true}}}",
         NULL,
         NULL,
         "a<x>b",
         {2, 13, 3},
         3,
         -1,
         -1,
         -1},
        {"{\"added_tokens_decoder\": {\"14\": {\"content\": \"<y>\"}, \"13\": {\"content\": \"<x>\"}}}",
         NULL,
         NULL,
         "a<x><y>b",
         {2, 13, 14, 3},
         4,
         -1,
         -1,
         -1},
        {"{\"added_tokens_decoder\": {\"13\": {\"content\": \"<x>\", \"special\": true, \"lstrip\": true}}}",
         NULL,
         NULL,
         "a <x>b",
         {2, 13, 3},
         3,
         -1,
         -1,
         -1},
        {"{\"added_tokens_decoder\": {\"1\": {\"content\": \"</s>\", \"special\": true}}}",
         NULL,
         NULL,
         "ab</s>x",
         {4, 1, 9},
         3,
         -1,
         -1,
         -1},
        {"{\"additional_special_tokens\": [\"<x>\", \"<y>\"]}", NULL, NULL, "a<y><x>b", {2, 14, 13, 3}, 4, -1, -1, -1},
        {"{\"extra_special_tokens\": [\"<x>\"]}", NULL, NULL, "a<x>b", {2, 13, 3}, 3, -1, -1, -1},
        {"{\"image_token\": \"<x>\"}", NULL, NULL, "a<x>b", {2, 13, 3}, 3, -1, -1, -1},
        {"{\"extra_special_tokens\": {\"image_token\": \"<x>\"}}", NULL, NULL, "a<x>b", {2, 13, 3}, 3, -1, -1, -1},
        {"{}", "{\"eos_token\": \"</s>\"}", NULL, "ab</s>x", {4, 1, 9}, 3, -1, 1, -1},
        {"{\"eos_token\": \"ab\"}", "{\"eos_token\": \"</s>\"}", NULL, "ab</s>x", {4, 1, 9}, 3, -1, 1, -1},
        {"{\"eos_token\": null}", "{\"eos_token\": \"</s>\"}", NULL, "ab</s>x", {4, 1, 9}, 3, -1, 1, -1},
        {"{\"eos_token\": \"ab\", \"added_tokens_decoder\": {\"0\": {\"content\": \"<unk>\"}}}",
         "{\"eos_token\": \"</s>\", \"pad_token\": \"x\"}",
         NULL,
         "ab</s>x",
         {4, 5, 6, 7, 8, 9},
         6,
         -1,
         4,
         -1},
        {"{\"extra_special_tokens\": [\"<y>\"]}",
         "{\"extra_special_tokens\": [\"<x>\"]}",
         NULL,
         "a<y><x>b",
         {2, 13, 14, 3},
         4,
         -1,
         -1,
         -1},
        {"{}", NULL, "{\"<x>\": 13}", "a<x>b", {2, 13, 3}, 3, -1, -1, -1},
        {"{\"eos_token\": \"<x>\"}", NULL, "{\"<x>\": 13, \"<y>\": 14}", "a<x><y>b", {2, 13, 14, 3}, 4, -1, 13, -1},
        {"{\"add_eos_token\": true, \"add_bos_token\": true, \"eos_token\": \"</s>\", \"bos_token\": \"ab\"}",
         NULL,
         NULL,
         "x",
         {9},
         1,
         4,
         1,
         -1},
        {"{\"pad_token\": \"<p>\", \"eos_token\": \"<e>\", \"bos_token\": \"<b>\", \"additional_special_tokens\": "
         "[\"<x>\"], "
         "\"added_tokens_decoder\": {\"13\": {\"content\": \"<z>\"}}}",
         NULL,
         NULL,
         "<b><e><p><x><z>",
         {14, 15, 16, 17, 13},
         5,
         14,
         15,
         16},
    };
    char folder[] = "/tmp/lf-tokenizer-XXXXXX";
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const files[][2] = {{"tokenizer.json", tokenizer},
                                        {"tokenizer_config.json", cases[i].config},
                                        {"special_tokens_map.json", cases[i].map},
                                        {"added_tokens.json", cases[i].older}};
        for (size_t k = 0; k < 4; k++) {
            char *path = lf_path_join(folder, files[k][0]);
            remove(path);
            if (files[k][1]) assert_int_equal(lf_file_write(path, files[k][1], strlen(files[k][1]), NULL), LF_OK);
            lf_free(path);
        }
        lf_tokenizer *t = open_path(folder);
        lf_ids ids = {0};
        lf_err err = {0};
        assert_int_equal(lf_tokenizer_encode(t, cases[i].text, strlen(cases[i].text), true, &ids, &err), LF_OK);
        assert_int_equal(ids.n, cases[i].n);
        assert_memory_equal(ids.ids, cases[i].ids, (size_t)ids.n * sizeof *ids.ids);
        assert_int_equal(lf_tokenizer_bos(t), cases[i].bos);
        assert_int_equal(lf_tokenizer_eos(t), cases[i].eos);
        assert_int_equal(lf_tokenizer_pad(t), cases[i].pad);
        lf_ids_free(&ids);
        lf_tokenizer_free(t);
    }
    static const char *const refused[][2] = {
        {"{\"split_special_tokens\": true}", "'split_special_tokens'"},
        {"{\"added_tokens_decoder\": {\"20\": {\"content\": \"<x>\"}}}",
         "\"<x>\" has id 20 here, and 13 by tokenizer.json"},
        {"{\"added_tokens_decoder\": {\"x\": {\"content\": \"<x>\"}}}", "expected tokens by id"},
        {"{\"added_tokens_decoder\": {\"13\": {}}}", "expected tokens by id"},
        {"{\"eos_token\": 3}", "key 'eos_token': expected a token"},
        {"[]", "expected an object"},
    };
    char *path = lf_path_join(folder, "tokenizer_config.json");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        lf_tokenizer *t = NULL;
        lf_err err = {0};
        assert_int_equal(lf_file_write(path, refused[i][0], strlen(refused[i][0]), NULL), LF_OK);
        assert_true(lf_tokenizer_open(&t, folder, &err) != LF_OK);
        if (!strstr(err.message, refused[i][1])) fail_msg("'%s' does not say '%s'", err.message, refused[i][1]);
        assert_null(t);
    }
    lf_free(path);
    assert_int_equal(lf_remove_tree(folder, NULL), LF_OK);
}

/* ---- a very long word, threads, memory ---- */

/* Of this thread's work: what else the machine does is not in them. */
static double own_seconds(void) {
    struct timespec t;
    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void test_long_word(void **state) {
    (void)state;
    enum { N = 1 << 20 };
    char *text = malloc(N);
    for (size_t i = 0; i < N; i++) text[i] = "etaoinshrdlu"[i * i % 7919 % 12];
    for (size_t k = 0; k < N_KINDS; k++) {
        lf_tokenizer *t = open_golden(kinds[k]);
        lf_ids ids = {0};
        const double started = own_seconds();
        assert_int_equal(lf_tokenizer_encode(t, text, N, false, &ids, NULL), LF_OK);
        const double took = own_seconds() - started;
        if (took > 30)
            fail_msg("%s: %.0f s for a word of 1 MB", kinds[k], took);    /* pairs of its bytes would be hours */
        assert_true(ids.n > (strncmp(kinds[k], "bert", 4) ? N / 20 : 0)); /* a long word is unknown to BERT */
        lf_ids_free(&ids);
        lf_tokenizer_free(t);
    }
    free(text);
}

typedef struct job {
    const lf_tokenizer *t;
    const cJSON *strings, *encoded;
    bool same;
} job;

static void *encode_all(void *argument) {
    job *j = argument;
    const cJSON *string, *expected = j->encoded->child;
    lf_tokenizer_work *w;
    lf_ids ids = {0};
    j->same = lf_tokenizer_work_new(&w, j->t, NULL) == LF_OK;
    cJSON_ArrayForEach(string, j->strings) {
        const cJSON *id = expected->child;
        ids.n = 0;
        if (lf_tokenizer_encode_with(w, string->valuestring, strlen(string->valuestring), false, &ids, NULL))
            j->same = false;
        for (int64_t i = 0; i < ids.n; i++, id = id ? id->next : NULL)
            if (!id || (int32_t)id->valuedouble != ids.ids[i]) j->same = false;
        expected = expected->next;
    }
    lf_ids_free(&ids);
    lf_tokenizer_work_free(w);
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    cJSON *root = read_json(golden_path("strings", ".json.gz")),
          *golden = read_json(golden_path("flags", ".ids.json.gz"));
    lf_tokenizer *t = open_golden("flags");
    pthread_t threads[4];
    job jobs[4];
    for (int i = 0; i < 4; i++) {
        jobs[i] = (job){t, cJSON_GetObjectItemCaseSensitive(root, "strings"),
                        cJSON_GetObjectItemCaseSensitive(golden, "encoded"), false};
        assert_int_equal(pthread_create(&threads[i], NULL, encode_all, &jobs[i]), 0);
    }
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++) assert_true(jobs[i].same);
    lf_tokenizer_free(t);
    cJSON_Delete(root);
    cJSON_Delete(golden);
}

/* A charsmap with one replacement. */
#define A_TO_X                                                                                                         \
    "hAEAAAAEAAAAAACAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"             \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"             \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"             \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"             \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"             \
    "AAAAAAAAAAAAAAAAAGGFAQBYAA=="

/* Everything once, in small. */
static lf_status use(const char *json, lf_err *err) {
    static const char text[] = "ab <T> a\xcc\x81"
                               "bb AB";
    lf_tokenizer *t = NULL;
    lf_stream *s = NULL;
    lf_ids ids = {0};
    const char *part;
    char *out = NULL;
    size_t n;
    lf_status rc = lf_tokenizer_parse(&t, json, strlen(json), "t.json", err);
    if (!rc) rc = lf_tokenizer_encode(t, text, sizeof text - 1, true, &ids, err);
    if (!rc) rc = lf_tokenizer_decode(t, ids.ids, ids.n, false, &out, &n, err);
    if (!rc) rc = lf_stream_new(&s, t, true, err);
    for (int64_t i = 0; i < ids.n && !rc; i++) rc = lf_stream_push(s, ids.ids[i], &part, &n, err);
    if (!rc) rc = lf_stream_end(s, &part, &n, err);
    lf_stream_free(s);
    lf_free(out);
    lf_ids_free(&ids);
    lf_tokenizer_free(t);
    return rc;
}

static void runs_out_of_memory(const char *json) {
    lf_err err = {0};
    if (use(json, &err)) fail_msg("%s", err.message);
    lf_status rc = LF_ENOMEM;
    int64_t k = 0;
    for (; rc != LF_OK && k < 100000; k++) {
        err = (lf_err){0};
        lf_alloc_fail_after(k);
        rc = use(json, &err);
        lf_alloc_fail_after(-1);
        if (rc != LF_OK && rc != LF_ENOMEM) fail_msg("allocation %" PRId64 ": status %d, '%s'", k, rc, err.message);
        assert_int_equal(lf_alloc_live(), 0);
    }
    assert_int_equal(rc, LF_OK);
    assert_true(k > 50);
}

static void test_no_memory(void **state) {
    (void)state;
    static const char *const json =
        "{\"added_tokens\": [{\"id\": 4, \"content\": \"<T>\", \"special\": true, \"normalized\": true}],"
        "\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFC\"}, {\"type\": \"Lowercase\"}, "
        "{\"type\": \"Replace\", \"pattern\": {\"Regex\": \"\\\\s+\"}, \"content\": \" \"}, {\"type\": \"Prepend\", "
        "\"prepend\": \" \"}]},"
        "\"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Metaspace\", \"replacement\": "
        "\"b\"},"
        "{\"type\": \"ByteLevel\"}, {\"type\": \"Digits\"}]},"
        "\"post_processor\": {\"type\": \"BertProcessing\", \"cls\": [\"a\", 0], \"sep\": [\"b\", 1]},"
        "\"decoder\": {\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\", \"pattern\": {\"String\": "
        "\"a\"}, \"content\": "
        "\"aa\"}, {\"type\": \"ByteFallback\"}, {\"type\": \"ByteLevel\"}, {\"type\": \"Strip\", \"content\": \" \", "
        "\"start\": 1}]},"
        "\"model\": {\"type\": \"BPE\", \"unk_token\": \"?\", \"byte_fallback\": true, \"continuing_subword_prefix\": "
        "\"a\", "
        "\"vocab\": {\"a\": 0, \"b\": 1, \"ab\": 2, \"?\": 3}, \"merges\": [[\"a\", \"ab\"]]}}";
    runs_out_of_memory(json);
    static const char bert[] =
        "{\"normalizer\": {\"type\": \"BertNormalizer\"}, \"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"}, "
        "\"decoder\": {\"type\": \"WordPiece\"}, \"model\": {\"type\": \"WordPiece\", \"vocab\": {\"a\": 0, \"##b\": "
        "1, "
        "\"[UNK]\": 2}}}";
    runs_out_of_memory(bert);
    /* "a" becomes "X" */
    static const char unigram[] =
        "{\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"Nmt\"}, {\"type\": "
        "\"StripAccents\"}, "
        "{\"type\": \"Precompiled\", \"precompiled_charsmap\": \"" A_TO_X "\"}]}, \"pre_tokenizer\": {\"type\": "
        "\"CharDelimiterSplit\", \"delimiter\": \"<\"}, \"decoder\": {\"type\": \"Metaspace\", \"replacement\": "
        "\"_\"}, "
        "\"model\": {\"type\": \"Unigram\", \"unk_id\": 0, \"byte_fallback\": true, \"vocab\": [[\"?\", 0], [\"X\", "
        "-1], "
        "[\"b\", -2.5], [\"Xb\", -3]]}}";
    runs_out_of_memory(unigram);
}

/* ---- real tokenizers, where they are ---- */

static const char *shared_path(const char *name) {
    static char path[1024];
    const char *root = getenv("LF_SHARED_DATA");
    snprintf(path, sizeof path, "%s/%s", root ? root : LF_SOURCE_DIR "/../shared/data", name);
    return path;
}

static void test_gpt2_vectors(void **state) {
    (void)state;
    static const char mark[] = "\n__ggml_vocab_test__\n";
    char *texts = NULL, *ids = NULL;
    size_t n, n_ids;
    if (!lf_is_file(shared_path("tokenizers/gpt2/tokenizer.json"))) {
        print_message("skipped: no %s\n", shared_path("tokenizers/gpt2/tokenizer.json"));
        skip();
    }
    lf_tokenizer *t = open_path(shared_path("tokenizers/gpt2"));
    assert_int_equal(lf_tokenizer_vocab_size(t), 50257);
    assert_int_equal(lf_file_read(&texts, &n, shared_path("tokenizers/vectors/ggml-vocab-gpt-2.gguf.inp"), NULL),
                     LF_OK);
    assert_int_equal(lf_file_read(&ids, &n_ids, shared_path("tokenizers/vectors/ggml-vocab-gpt-2.gguf.out"), NULL),
                     LF_OK);
    int count = 0;
    lf_ids got = {0};
    for (char *s = texts, *line = ids, *next; s; s = next, count++) {
        if ((next = strstr(s, mark))) {
            *next = 0;
            next += sizeof mark - 1;
        }
        encodes(t, s, false, &got);
        char *end = line + strcspn(line, "\n");
        for (int64_t i = 0; i < got.n; i++) {
            if (line >= end || strtol(line, &line, 10) != got.ids[i]) fail_msg("text %d, id %" PRId64, count, i);
        }
        assert_true(line == end);
        if (*end) line = end + 1;
        decodes(t, &got, false, s, "gpt2");
    }
    assert_int_equal(count, 47);
    lf_ids_free(&got);
    lf_free(texts);
    lf_free(ids);
    lf_tokenizer_free(t);
}

static void test_stories(void **state) {
    (void)state;
    if (!lf_is_file(shared_path("models/stories260K/reference.json"))) {
        print_message("skipped: no %s\n", shared_path("models/stories260K/reference.json"));
        skip();
    }
    cJSON *root = read_json(shared_path("models/stories260K/reference.json"));
    lf_tokenizer *t = open_path(shared_path("models/stories260K/hf"));
    const cJSON *text;
    lf_ids ids = {0};
    assert_int_equal(lf_tokenizer_bos(t), 1);
    assert_int_equal(lf_tokenizer_eos(t), 2);
    cJSON_ArrayForEach(text, cJSON_GetObjectItemCaseSensitive(root, "texts")) {
        const char *s = cJSON_GetObjectItemCaseSensitive(text, "text")->valuestring;
        encodes(t, s, true, &ids);
        same_ids(&ids, cJSON_GetObjectItemCaseSensitive(text, "ids"), "stories260K", s);
        decodes(t, &ids, true, s, "stories260K");
    }
    lf_ids_free(&ids);
    cJSON_Delete(root);
    lf_tokenizer_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LEAKLESS(test_golden),
        LEAKLESS(test_tokens),
        LEAKLESS(test_nul_and_append),
        LEAKLESS(test_not_utf8),
        LEAKLESS(test_unknown_ids),
        LEAKLESS(test_cuts),
        LEAKLESS(test_cut_answers),
        LEAKLESS(test_refused),
        LEAKLESS(test_pairs),
        LEAKLESS(test_pairs_refused),
        LEAKLESS(test_vocab_txt),
        LEAKLESS(test_bert_switches),
        LEAKLESS(test_patterns),
        LEAKLESS(test_names),
        LEAKLESS(test_config),
        LEAKLESS(test_flags_differ),
        LEAKLESS(test_long_word),
        LEAKLESS(test_threads),
        LEAKLESS(test_no_memory),
        LEAKLESS(test_gpt2_vectors),
        LEAKLESS(test_stories),
        LEAKLESS(test_added_texts),
        LEAKLESS(test_added_texts_normalized),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
