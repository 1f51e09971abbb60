/* CSV and TSV as people have them: which records they are, what is said of a guess, and which guesses are refused.
 * Texts and record counts are those of Python's csv module with the dialect that the file was written in. */
#define _POSIX_C_SOURCE 200809L
#include "stderr_fixture.h"
#include "text_fixture.h"

#include "data/text/internal.h"

enum { MOST = 6 };

typedef struct reading {
    const char *name, *content;
    const char *spec;        /* further keys; NULL: none */
    const char *texts[MOST]; /* of the records; none: it is refused */
    const char *says;        /* the error, or a part of what is said; NULL: not a word */
} reading;

static lf_status open_reading(lf_text_dataset **out, const reading *r, lf_err *err) {
    char text[900];
    cJSON *spec = NULL;
    put_text(r->name, r->content);
    snprintf(text, sizeof text, "{\"path\": \"%s\"%s%s}", in_scratch(r->name), r->spec ? ", " : "",
             r->spec ? r->spec : "");
    assert_ok(lf_json_parse(&spec, text, strlen(text), "spec", err), *err);
    *out = NULL;
    const lf_status rc = lf_text_dataset_open(out, &(lf_text_dataset_opts){.spec = spec, .key = "train_data"}, err);
    cJSON_Delete(spec);
    return rc;
}

static void check_texts(const reading *r, const lf_text_dataset *d) {
    int64_t n = 0;
    while (n < MOST && r->texts[n]) n++;
    if (lf_text_dataset_count(d) != n)
        fail_msg("%s: expected %d records, found %d", r->content, (int)n, (int)lf_text_dataset_count(d));
    for (int64_t i = 0; i < n; i++) {
        lf_text_example e;
        lf_err err = {0};
        assert_ok(lf_text_dataset_example(d, i, &e, &err), err);
        assert_string_equal(e.text, r->texts[i]);
        lf_text_example_free(&e);
    }
}

static void check(const reading *all, size_t n) {
    for (size_t i = 0; i < n; i++) {
        lf_text_dataset *d;
        lf_err err = {0};
        hear_begin(LF_LOG_INFO);
        const lf_status rc = open_reading(&d, &all[i], &err);
        const char *said = hear_end();
        if (all[i].texts[0]) {
            assert_ok(rc, err);
            check_texts(&all[i], d);
            assert_heard(said, all[i].says);
        } else {
            assert_says(rc, LF_EDATA, err, all[i].says);
        }
        lf_text_dataset_free(d);
    }
}

#define CHECK(all) check(all, sizeof(all) / sizeof *(all))

#define CHARACTERS "fields are divided by tabs; a quote is a character of the text"
#define ENCLOSING  "fields are divided by tabs; quotes enclose fields, as in CSV"

static void test_quotes_of_tsv(void **state) {
    (void)state;
    static const reading all[] = {
        /* a quote is a character */
        {"a.tsv", "text\tx\nsay \"hi\"\t1\n", NULL, {"say \"hi\""}, NULL},
        {"a.tsv",
         "text\tx\n\"Good film\t1\nBad film\"\t0\nFine\t1\n",
         NULL,
         {"\"Good film", "Bad film\"", "Fine"},
         CHARACTERS},
        {"a.tsv",
         "text\tx\n\"Good film\t1\nBad film\"\t0\n12\" pipe\t0\n",
         NULL,
         {"\"Good film", "Bad film\"", "12\" pipe"},
         CHARACTERS},
        {"a.tsv", "text\tx\n\"Good\" film\t1\nBad\t0\n", NULL, {"\"Good\" film", "Bad"}, CHARACTERS},
        {"a.tsv", "text\tx\n\"never closed\t1\nBad\t0\n", NULL, {"\"never closed", "Bad"}, CHARACTERS},
        {"a.tsv", "text\tx\n\"A sentence all in quotes.\"\t1\n", NULL, {"\"A sentence all in quotes.\""}, CHARACTERS},
        {"a.tab", "x\ttext\n1\t\"\n2\t\"\"\n", NULL, {"\"", "\"\""}, CHARACTERS},
        {"a.tsv", "\xef\xbb\xbftext\tx\r\n\"a\t1\r\nb\"\t2\r\n", NULL, {"\"a", "b\""}, CHARACTERS},
        {"a.tsv", "text\tx\rone\t1\rtwo\t2\r", NULL, {"one", "two"}, NULL},
        /* the file says otherwise: Python's csv with QUOTE_MINIMAL, then with QUOTE_ALL */
        {"a.tsv", "text\tx\n\"a\tb\"\t1\nc\t2\n", NULL, {"a\tb", "c"}, ENCLOSING},
        {"a.tsv", "text\tx\n\"a\nb\"\t1\nc\t2\n", NULL, {"a\nb", "c"}, "warning: "},
        {"a.tsv",
         "text\tx\n\"a\nb\nc\"\t1\nd\t2\n",
         NULL,
         {"a\nb\nc", "d"},
         "run over up to 3 lines (the longest begins in line 2)"},
        {"a.tsv", "text\tx\n\"say \"\"hi\"\"\"\t1\nc\t2\n", NULL, {"say \"hi\"", "c"}, ENCLOSING},
        {"a.tsv", "\"text\"\t\"x\"\n\"a\"\t\"1\"\n\"b\nc\"\t\"2\"\n", NULL, {"a", "b\nc"}, ENCLOSING},
        /* two readings, neither of them certain */
        {"a.tsv",
         "text\n\"a\nb\"\n",
         NULL,
         {NULL},
         "line 2: the field in quotes that begins here runs over lines 2 to 3, each of which could be a record"},
        {"a.tsv", "text\n\"a\nb\"\n", "\"quoting\": \"none\"", {"\"a", "b\""}, CHARACTERS},
        {"a.tsv", "text\n\"a\nb\"\n", "\"quoting\": \"csv\"", {"a\nb"}, ENCLOSING},
        {"a.tsv", "text\tx\n\"a \"\"b\"\"\t1\nc\"\t0\n", NULL, {NULL}, "runs over lines 2 to 3"},
        /* neither reading */
        {"a.tsv",
         "text\tx\n\"a\nb\"\t1\n\"c\" d\t2\n",
         NULL,
         {NULL},
         "line 2: expected 2 fields as the first line has, found 1; is a tab missing, or one too many?"},
        {"a.tsv", "text\tx\na\t1\nb\tc\t2\n", NULL, {NULL}, "line 3: expected 2 fields as the first line has, found 3"},
        {"a.tsv", "text\tx\n\"a\nb\"\t1\n12\" pipe\t2\n", NULL, {NULL}, "say {\"path\": ..., \"quoting\": \"csv\"}"},
        {"a.tsv",
         "text\tx\n\"a\t1\nb\t2\n",
         "\"quoting\": \"csv\"",
         {NULL},
         "line 2: the quoted field that begins here is not closed"},
        {"a.tsv", "text,x\na,1\n", NULL, {NULL}, "found 'text,x'"},
        {"a.tsv",
         "text,x\na,1\n",
         "\"delimiter\": \",\"",
         {"a"},
         "fields are divided by commas; quotes enclose fields"},
    };
    CHECK(all);
}

static void test_csv(void **state) {
    (void)state;
    static const reading all[] = {
        {"a.csv", "text,x\n\"a, \"\"b\"\"\",1\n", NULL, {"a, \"b\""}, NULL},
        {"a.csv", "text,x\n12\" pipe,1\n", NULL, {"12\" pipe"}, NULL}, /* as Python's: it does not begin with one */
        {"a.csv", "text\r\na\r\n\r\nb\r\n", NULL, {"a", "b"}, NULL},
        {"a.csv", "text,x\ra,1\rb,2", NULL, {"a", "b"}, NULL},
        {"a.csv", "\xef\xbb\xbf\"text\",\"x\"\n\"a\",\"1\"\n", NULL, {"a"}, NULL},
        /* a line break in quotes is kept as it is written, CRLF too */
        {"a.csv", "text,x\r\n\"a\r\nb\",1\r\n", NULL, {"a\r\nb"}, "run over up to 2 lines"},
        {"a.csv", "text\n\"a\nb\"\nc\n", NULL, {"a\nb", "c"}, "run over up to 2 lines (the longest begins in line 2)"},
        /* semicolons, as Excel writes them where a comma is decimal */
        {"a.csv",
         "\xef\xbb\xbftext;x\r\na, b;1,5\r\n\"c;d\";2\r\n",
         NULL,
         {"a, b", "c;d"},
         "fields are divided by semicolons"},
        {"a.csv", "sep=;\r\ntext;x\r\na, b;1,5\r\n", NULL, {"a, b"}, "fields are divided by semicolons"},
        {"a.csv", "\"text\";\"a,b\"\nc;1\n", NULL, {"c"}, "fields are divided by semicolons"},
        {"a.csv", "text\tx\na\t1\n", NULL, {"a"}, "fields are divided by tabs"},
        {"a.csv", "text|x\na|1\n", "\"delimiter\": \"|\"", {"a"}, "fields are divided by '|'"},
        {"a.csv", "text\tx\n\"a\t1\n", "\"delimiter\": \"tab\", \"quoting\": \"none\"", {"\"a"}, CHARACTERS},
        /* a stray quote merges records, and each line would be one */
        {"a.csv",
         "text,x\n\"Good film,1\nBad film\",0\n",
         NULL,
         {NULL},
         "line 2: the field in quotes that begins here runs over lines 2 to 3, each of which could be a record"},
        {"a.csv",
         "text,x\n\"Good film,1\nBad film\",0\n",
         "\"quoting\": \"none\"",
         {"\"Good film", "Bad film\""},
         "a quote is a character of the text"},
        {"a.csv",
         "text,x\n\"Good film,1\nBad film\",0\n",
         "\"quoting\": \"csv\"",
         {"Good film,1\nBad film"},
         "run over up to 2 lines"},
        {"a.csv",
         "text,x\n\"Good\" film,1\n",
         NULL,
         {NULL},
         "line 2: text behind the closing quote of the field that begins here; is a quote missing?"},
        {"a.csv", "text,x\na,1\n\"b,2\n", NULL, {NULL}, "line 3: the quoted field that begins here is not closed"},
        {"a.csv", "text\nGood, but long\n", NULL, {NULL}, "line 2: expected 1 fields as the first line has, found 2"},
        {"a.csv", "text\nGood, but long\n", "\"delimiter\": \"tab\"", {"Good, but long"}, "fields are divided by tabs"},
        {"a.csv", "text,x\na,1\rb\n", NULL, {NULL}, "line 3: expected 2 fields as the first line has, found 1"},
    };
    CHECK(all);
}

/* A field of many lines is worth a warning in CSV, too. */
static void test_long_field(void **state) {
    (void)state;
    char content[1024] = "text,x\na,1\n\"b";
    for (int i = 0; i < 150; i++) strcat(content, "\n.");
    strcat(content, "\",2\n");
    put_text("long.csv", content);
    hear_begin(LF_LOG_WARN);
    lf_text_dataset *d = open_text("long.csv");
    assert_heard(hear_end(), "warning: ");
    assert_int_equal(lf_text_dataset_count(d), 2);
    lf_text_dataset_free(d);
}

/* ---- plain text ---------------------------------------------------------------------------------------------------
 */

/* The tokens of all files, in pieces of at least so many bytes; the stand-in's tokens are the bytes. */
static void check_stream(const char *name, const char *expected, uint64_t piece) {
    stand_in s = {0};
    const lf_text_encoder encoder = encoder_over(&s);
    lf_text_coder c;
    lf_text_piece *pieces;
    lf_text_tokens t = {0};
    lf_err err = {0};
    int64_t n;
    lf_text_dataset *d = open_text(name);
    assert_ok(lf_text_coder_init(&c, &encoder, &(lf_text_encode_opts){.max_seq_length = 16}, &err), err);
    assert_ok(lf_text_plain_pieces(&pieces, &n, d->shards->stores[0], piece, &err), err);
    for (int64_t i = 0; i < n; i++)
        assert_ok(lf_text_plain_encode(&t, d->shards->stores[0], &pieces[i], &c, &err), err);
    assert_int_equal(t.n, strlen(expected));
    for (int64_t i = 0; i < t.n; i++) assert_int_equal(t.ids[i], (unsigned char)expected[i]);
    lf_text_tokens_free(&t);
    lf_text_coder_free(&c);
    lf_free(pieces);
    lf_text_dataset_free(d);
}

static void test_line_ends(void **state) {
    (void)state;
    static const struct {
        const char *content, *expected;
    } cases[] = {
        {"A.\r\nB.\r\n", "A.\nB.\n"},         /* Windows */
        {"A.\rB.\r", "A.\nB.\n"},             /* an old Macintosh */
        {"A.\n\rB.\r\r\nC", "A.\n\nB.\n\nC"}, /* a line feed behind nothing, and both kinds mixed */
        {"\r\n\r\nA\r\n", "\n\nA\n"},         /* in front */
        {"\xef\xbb\xbf"
         "A\r\n\r\n\r\nB",
         "A\n\n\nB"},
        {"A\vB\fC\xc2\x85"
         "D\n",
         "A\vB\fC\xc2\x85"
         "D\n"}, /* these divide no lines of a file */
        {"A.\nB.\n", "A.\nB.\n"},
        {"\r", "\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_text("lines.txt", cases[i].content);
        for (uint64_t piece = 1; piece < 14; piece++) check_stream("lines.txt", cases[i].expected, piece);
    }
    lf_text_example e;
    lf_err err = {0};
    put_text("lines.jsonl", "{\"text\": \"A\\r\\nB\"}\r\n"); /* JSON says what it means */
    lf_text_dataset *d = open_text("lines.jsonl");
    assert_ok(lf_text_dataset_example(d, 0, &e, &err), err);
    assert_string_equal(e.text, "A\r\nB");
    lf_text_example_free(&e);
    lf_text_dataset_free(d);
}

static void test_tree_of_texts(void **state) {
    (void)state;
    static const struct {
        const char *name, *content;
    } files[] = {{"tree/b.txt", "2"},         {"tree/a.text", "1"},   {"tree/C.TXT", "0"},
                 {"tree/d.md", "6"},          {"tree/c/x.Md", "4"},   {"tree/c.txt", "3"},
                 {"tree/c/y/z.txt", "5"},     {"tree/empty.txt", ""}, {"tree/README.md", "no"},
                 {"tree/c/readme.txt", "no"}, {"tree/e.rst", "no"},   {"tree/f.html", "no"},
                 {"tree/c/g.HTML", "no"},     {"tree/LICENSE", "no"}, {"tree/.hidden.txt", "no"},
                 {"tree/.git/log.txt", "no"}, {"tree/txt", "no"}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) put_text(files[i].name, files[i].content);
    assert_int_equal(symlink("..", in_scratch("tree/c/up")), 0);
    hear_begin(LF_LOG_WARN);
    lf_text_dataset *d = open_text("tree");
    const char *said = hear_end();
    assert_heard(said,
                 "only .txt, .text and .md files are read; left out: 2 .html, 2 README, 2 no extension, 1 .rst\n");
    assert_heard(said, "1 empty files are left out");
    assert_int_equal(lf_text_dataset_count(d), 7);
    lf_text_dataset_free(d);
    check_stream("tree", "0123456", 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quotes_of_tsv), cmocka_unit_test(test_csv),           cmocka_unit_test(test_long_field),
        cmocka_unit_test(test_line_ends),     cmocka_unit_test(test_tree_of_texts),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
