/* Text records of every format and layout, what is wrong with bad ones, and the tokens of a document. */
#define _POSIX_C_SOURCE 200809L
#include "text_fixture.h"

#include "data/text/internal.h"

/* ---- documents ----------------------------------------------------------------------------------------------------
 */

/* Record i of d is this text, of which `answer` (NULL: nothing marked) is the last answer. */
static void check_example(const lf_text_dataset *d, int64_t i, const char *text, const char *answer) {
    lf_text_example e;
    lf_err err = {0};
    assert_ok(lf_text_dataset_example(d, i, &e, &err), err);
    assert_string_equal(e.text, text);
    assert_int_equal(e.n, strlen(text));
    if (answer) {
        assert_true(e.n_answers > 0);
        const lf_answer s = e.answers[e.n_answers - 1];
        assert_int_equal(s.end - s.begin, strlen(answer));
        assert_memory_equal(e.text + s.begin, answer, strlen(answer));
    } else {
        assert_int_equal(e.n_answers, 0);
    }
    lf_text_example_free(&e);
}

/* A file of one record. */
static void check_file(const char *name, const char *content, const char *layout, const char *text,
                       const char *answer) {
    put_text(name, content);
    lf_text_dataset *d = open_text(name);
    assert_int_equal(lf_text_dataset_count(d), 1);
    assert_string_equal(lf_text_dataset_layout(d), layout);
    check_example(d, 0, text, answer);
    lf_text_dataset_free(d);
}

/* What others ask of a layout. */
static void check_traits(const char *content, unsigned expected) {
    put_text("a.jsonl", content);
    lf_text_dataset *d = open_text("a.jsonl");
    for (unsigned trait = LF_TEXT_ONE_FIELD; trait <= LF_TEXT_CHAT; trait *= 2)
        assert_int_equal(lf_text_dataset_is(d, (lf_text_trait)trait), (expected & trait) != 0);
    lf_text_dataset_free(d);
}

static void test_traits(void **state) {
    (void)state;
    check_traits("{\"text\": \"x\"}", LF_TEXT_ONE_FIELD);
    check_traits("{\"question\": \"x\", \"answer\": \"y\"}", 0);
    check_traits("{\"question\": \"x\", \"choices\": [\"a\", \"b\"], \"answer\": \"a\"}", LF_TEXT_CHOICES);
    check_traits("{\"messages\": [{\"role\": \"assistant\", \"content\": \"yes\"}]}", LF_TEXT_CHAT);
}

static void test_layouts(void **state) {
    (void)state;
    check_file("a.jsonl", "{\"text\": \"once\\nupon\", \"x\": 1}", "text", "once\nupon", NULL);
    check_file("a.jsonl", "{\"prompt\": \"Hello\", \"completion\": \" world\"}", "prompt_completion", "Hello world",
               " world");
    check_file("a.jsonl", "{\"instruction\": \"Add.\", \"input\": \"1 2\", \"output\": \"3\"}", "instruction",
               "Add.\n1 2\n3", "3");
    check_file("a.jsonl", "{\"instruction\": \"Sing.\", \"input\": \"\", \"output\": \"la\"}", "instruction",
               "Sing.\nla", "la");
    check_file("a.jsonl", "{\"instruction\": \"Sing.\", \"input\": null, \"output\": \"la\"}", "instruction",
               "Sing.\nla", "la");
    check_file("a.jsonl", "{\"instruction\": \"Sing.\", \"output\": \"la\"}", "instruction", "Sing.\nla", "la");
    check_file("a.jsonl", "{\"question\": \"2+2?\", \"answer\": 4}", "question_answer", "2+2?\n4", "4");
    static const char *const numbers[][2] = {{"9007199254740993", "9007199254740993"}, /* as they stand in the file */
                                             {"-123456789012345678", "-123456789012345678"},
                                             {"100000000000000000000", "100000000000000000000"},
                                             {"-0", "0"}, /* the rest as Python's str() */
                                             {"1.0", "1.0"},
                                             {"1e5", "100000.0"},
                                             {"0.1", "0.1"},
                                             {"2.5e-7", "2.5e-07"},
                                             {"1e16", "1e+16"}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char record[96], text[64];
        snprintf(record, sizeof record, "{\"question\": \"q\", \"answer\": %s}", numbers[i][0]);
        snprintf(text, sizeof text, "q\n%s", numbers[i][1]);
        check_file("a.jsonl", record, "question_answer", text, numbers[i][1]);
    }
    check_file("a.jsonl", "{\"question\": \"Wet?\", \"answer\": true}", "question_answer", "Wet?\ntrue", "true");
    check_file(
        "a.jsonl",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}, {\"role\": \"assistant\", \"content\": \"yes\"}]}",
        "messages", "<user>hi;<assistant>yes;", "yes;");
    check_file(
        "a.jsonl",
        "{\"messages\": [{\"role\": \"assistant\", \"content\": \"no\", \"weight\": 0}, {\"role\": \"assistant\", "
        "\"content\": \"nor\", \"train\": false}, {\"role\": \"assistant\", \"content\": \"yes\", \"weight\": 1}]}",
        "messages", "<assistant>no;<assistant>nor;<assistant>yes;", "yes;");
    check_file("a.jsonl",
               "{\"tools\": [], \"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\"}]}, {\"role\": "
               "\"assistant\", \"content\": null, \"tool_calls\": []}]}",
               "messages", "[tools]<user>...;<assistant>...;", "...;");
    check_file("a.jsonl", "{\"question\": \"Sky?\", \"choices\": [\"red\", \"blue\"], \"answer\": 1}", "choices",
               "Sky?\nblue", "blue");
    check_file("a.csv", "question,choices,answer\nSky?,\"[\"\"red\"\", \"\"blue\"\"]\",B\n", "choices", "Sky?\nblue",
               "blue");
    check_file("a.csv", "question,A,B,C,D,answer\nWho?,Noah,Adam,Eve,Abel,C\n", "columns", "Who?\nEve", "Eve");
    check_file("a.csv", "question,passage,answer\nis it,Rain.,Yes\n", "boolq", "Rain.\nQuestion: is it?\nAnswer: yes",
               "yes");
    check_file("a.tsv", "prompt\tcompletion\na, b\tc\n", "prompt_completion", "a, bc", "c");
    check_file("a.ndjson", "{\"text\": \"x\"}", "text", "x", NULL);
    check_file("a.JSON", "[\n{\"text\": \"x{]\\\"\"}\n]\n", "text", "x{]\"", NULL);
    check_file("unnamed", "\n  [{\"text\": \"x\"}]", "text", "x", NULL);
    check_file("unnamed2", "{\"text\": \"x\"}", "text", "x", NULL);
}

static void test_answers_of_choices(void **state) {
    (void)state;
    const struct {
        const char *choices, *answer;
        int64_t is;
    } cases[] = {{"[\"x\", \"y\", \"z\"]", "2", 2},     {"[\"x\", \"y\", \"z\"]", "\"y\"", 1},
                 {"[\"x\", \"y\", \"z\"]", "\"c\"", 2}, {"[\"x\", \"y\", \"z\"]", "\"A\"", 0},
                 {"[\"B\", \"A\"]", "\"A\"", 1},        {"[\"2\", \"1\", \"0\"]", "\"2\"", 0},
                 {"[\"x\", \"y\"]", "\"1\"", 1},        {"[10, 20]", "\"20\"", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[256];
        lf_text_example e;
        lf_err err = {0};
        snprintf(line, sizeof line, "{\"question\": \"?\", \"choices\": %s, \"answer\": %s}", cases[i].choices,
                 cases[i].answer);
        put_text("c.jsonl", line);
        lf_text_dataset *d = open_text("c.jsonl");
        assert_ok(lf_text_dataset_example(d, 0, &e, &err), err);
        assert_int_equal(e.answer, cases[i].is);
        for (int64_t k = 0; k < e.n_choices; k++) {
            assert_ok(lf_text_example_choose(&e, k, &err), err);
            assert_string_equal(e.text + e.answers[0].begin, e.choices[k]);
            assert_int_equal(e.answers[0].end, strlen(e.text));
        }
        lf_text_example_free(&e);
        lf_text_dataset_free(d);
    }
}

static void test_templates(void **state) {
    (void)state;
    put_text("t.jsonl", "{\"instruction\": \"Do\", \"input\": \"it\", \"output\": \"so\", \"n\": 7}\n"
                        "{\"instruction\": \"Do\", \"output\": \"so\"}\n");
    lf_text_dataset *d =
        open_with("t.jsonl", (lf_text_dataset_opts){.prompt_template = "{{{instruction}}}\n\n{input}\n\n"});
    check_example(d, 0, "{Do}\n\nit\n\nso", "so");
    check_example(d, 1, "{Do}\n\n\n\nso", "so");
    lf_text_dataset_free(d);
    d = open_with("t.jsonl", (lf_text_dataset_opts){.prompt_template = "{n}:"});
    check_example(d, 0, "7:so", "so");
    lf_text_example e;
    lf_err err = {0};
    assert_says(lf_text_dataset_example(d, 1, &e, &err), LF_EDATA, err, "t.jsonl: line 2: expected a text 'n'");
    lf_text_dataset_free(d);
    const char *const bad[] = {"{instruction", "{}", "a } b", "{a{b}}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_says(try_open(&d, "t.jsonl", (lf_text_dataset_opts){.prompt_template = bad[i]}, &err), LF_EUSAGE, err,
                    "prompt_template: character");
    put_text("t.jsonl", "{\"text\": \"x\", \"body\": \"y\"}");
    assert_says(try_open(&d, "t.jsonl", (lf_text_dataset_opts){.prompt_template = "{text}"}, &err), LF_EUSAGE, err,
                "no prompt and answer");
    d = open_with("t.jsonl", (lf_text_dataset_opts){.text_field = "body"});
    check_example(d, 0, "y", NULL);
    lf_text_dataset_free(d);
    assert_says(try_open(&d, "t.jsonl", (lf_text_dataset_opts){.text_field = "title"}, &err), LF_EDATA, err,
                "line 1: expected the fields 'title', found 'text', 'body'");
}

/* ---- formats ------------------------------------------------------------------------------------------------------
 */

static void check_texts(const char *name, const char *content, int64_t n, const char *const *texts) {
    put_text(name, content);
    lf_text_dataset *d = open_text(name);
    assert_int_equal(lf_text_dataset_count(d), n);
    for (int64_t i = 0; i < n; i++) check_example(d, i, texts[i], NULL);
    lf_text_dataset_free(d);
}

static void test_lines(void **state) {
    (void)state;
    check_texts("l.jsonl", "\xef\xbb\xbf\r\n{\"text\": \"a\"}\r\n \t\r\n\n{\"text\": \"\xc3\xa4\"}\r\n", 2,
                (const char *[]){"a", "\xc3\xa4"});
    check_texts("l.json", "\xef\xbb\xbf [ {\"text\":\n\"a\"},\r\n{\"text\": \"[{\"}]", 2, (const char *[]){"a", "[{"});
    check_texts("l.json", "{\"text\": \"a\"}\n{\"text\": \"b\"} {\"text\": \"c\"}", 3, (const char *[]){"a", "b", "c"});
    check_texts("l.csv", "\xef\xbb\xbftext,x\r\n\r\n\"a \"\"quoted\"\", b\r\nc\",1\r\n\r\nplain \" quote,2\r\n\"\",3",
                3, (const char *[]){"a \"quoted\", b\r\nc", "plain \" quote", ""});
    check_texts("l.csv", "text\n\"\"\"\"\n\"\"\"\"\"\"\nb\rc\n", 4, (const char *[]){"\"", "\"\"", "b", "c"});
    check_texts("l.tsv", "x\ttext\n1\t\"a\tb\"\n", 1, (const char *[]){"a\tb"});
}

static void test_what_is_wrong(void **state) {
    (void)state;
    const struct {
        const char *name, *content, *says;
    } opening[] = {
        {"e.jsonl", "", "e.jsonl: the file is empty"},
        {"e.jsonl", "\n \n", "nothing in it; expected records"},
        {"e.csv", "text,x\n", "nothing in it; expected records"},
        {"e.txt", "", "nothing in it; expected text"},
        {"e.jsonl", "not json", "e.jsonl: line 1, column 1: invalid JSON"},
        {"e.jsonl", "{\"text\": \"a", "line 1, column 10: the string that begins here is not closed"},
        {"e.jsonl", "[{\"text\": \"a\"}]",
         "line 1: expected an object such as {\"text\": \"...\"}, found a list; is it a .json file?"},
        {"e.jsonl", "{\"body\": 1, \"title\": 2}", "line 1: expected the fields '"},
        {"e.jsonl", "{\"body\": 1, \"title\": 2}", ", or 'prompt', 'completion', or "},
        {"e.jsonl", "{\"body\": 1, \"title\": 2}", "; found 'body', 'title'; text_field may name another"},
        {"e.jsonl", "{\"body\": 1, \"title\": 2}", "found 'body', 'title'"},
        {"e.jsonl", "{\"text\": \"\xff\"}", "line 1, column 11: not UTF-8"},
        {"e.json", "[{\"text\": \"a\"},\n{\"text\": \"b\"", "line 2: the object that begins here is not closed"},
        {"e.json", "[{\"text\": \"a\"},\n", "line 2: expected an object, '{', found the end of the file"},
        {"e.json", "[{\"text\": \"a\"}\n{\"text\": \"b\"}]", "line 2: expected ',' or ']', found '{'"},
        {"e.json", "[{\"text\": \"a\"}] x", "expected nothing behind the list"},
        {"e.json", "[]", "nothing in it"},
        {"e.json", "<!DOCTYPE html>\n<html>", "e.json: expected JSON, found a web page"},
        {"e.jsonl", "<html>", "e.jsonl: expected JSON, found a web page"},
        {"e.jsonl", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a git-lfs pointer"},
        {"e.jsonl", "{\"text\": \"A cat.\", \"score\": NaN}", "line 1, column 29: JSON has no NaN"},
        {"e.json", "[3]", "expected an object, '{', found '3'"},
        {"e.csv", "<!DOCTYPE html>\n<html>\n", "e.csv: expected a table, found a web page"},
        {"e.tsv", "\n<HTML lang=en>\n", "e.tsv: expected a table, found a web page"},
        {"e.csv", "a|b\n1|2\n", "is '|' what is between columns? {\"path\": ..., \"delimiter\": \"|\"}"},
        {"e.jsonl", "{\"text\": \"a\"}\r{\"text\": \"b\"}\r", "end in a carriage return alone"},
        {"e.parquet", "PAR1\x15\x04\x15\x10", "it begins as Parquet and ends after 8 bytes; is the download complete?"},
        {"e.csv", "text,x\n\"a,1\n", "line 2: the quoted field that begins here is not closed"},
        {"e.csv", "text,x\n\"a\"b,1\n", "line 2: text behind the closing quote"},
        {"e.csv", "text,text\na,1\n", "column 'text' is there twice"},
        {"e.csv", "te\xffxt\na\n", "line 1: byte 0xff is not UTF-8"},
        {"e.csv", "text,x\na\n", "line 2: expected 2 fields as the first line has, found 1"},
        {"e.csv", "text\na,b,c\n", "line 2: expected 1 fields as the first line has, found 3"},
        {"e.csv", "text,x\na,1\nb\n", "e.csv: line 3: expected 2 fields"},
        {"e.csv", "a,b\n1,2\n", "found 'a', 'b'"},
        {"e.bin", "\x01\x02", "expected a .jsonl, .json, .csv, .tsv, .parquet or .txt file"},
    };
    lf_err err = {0};
    lf_text_dataset *d;
    for (size_t i = 0; i < sizeof opening / sizeof *opening; i++) {
        put_text(opening[i].name, opening[i].content);
        assert_says(try_open(&d, opening[i].name, (lf_text_dataset_opts){0}, &err), LF_EDATA, err, opening[i].says);
        assert_null(d);
    }
    assert_says(try_open(&d, "none.jsonl", (lf_text_dataset_opts){0}, &err), LF_ENOTFOUND, err, "no such file");

    /* The first record is good, the one in line 3 is not. */
    const struct {
        const char *name, *content, *says;
    } reading[] = {
        {"r.jsonl", "{\"text\": \"a\"}\n\n{\"text\": \"b\"\n", "r.jsonl: line 3, column"},
        {"r.jsonl", "{\"text\": \"a\"}\n\nnot json\n", "r.jsonl: line 3, column 1: invalid JSON"},
        {"r.jsonl", "{\"text\": \"a\"}\n\n{\"txt\": \"b\"}\n",
         "r.jsonl: line 3: expected the fields 'text' as in the first record, found 'txt'"},
        {"r.jsonl", "{\"text\": \"a\"}\n\n{\"text\": [1]}\n",
         "line 3: expected text in the field 'text', found a list"},
        {"r.jsonl", "{\"text\": \"a\"}\n\n{\"text\": null}\n", "line 3: expected text in the field 'text', found null"},
        {"r.jsonl", "{\"text\": \"a\"}\n\n{\"text\": \"\xc3\"}\n", "line 3, column 11: not UTF-8"},
        {"r.jsonl", "{\"question\": \"a\", \"answer\": \"b\"}\n\n{\"question\": \"a\"}\n",
         "line 3: expected the fields 'question', 'answer' as in the first record, found 'question'"},
        {"r.jsonl",
         "{\"question\": \"a\", \"choices\": [\"x\", \"y\"], \"answer\": 0}\n\n{\"question\": \"a\", \"choices\": "
         "[\"x\", \"y\"], \"answer\": 2}\n",
         "line 3: expected an answer that is a number from 0 to 1, one of the choices, or a letter from A to B, found "
         "2"},
        {"r.jsonl",
         "{\"question\": \"a\", \"choices\": [\"x\", \"y\"], \"answer\": 0}\n\n{\"question\": \"a\", \"choices\": "
         "[\"x\"], \"answer\": 0}\n",
         "line 3: expected a list of two or more texts in the field 'choices', found one"},
        {"r.jsonl",
         "{\"messages\": [{\"role\": \"assistant\", \"content\": \"x\"}]}\n\n{\"messages\": [{\"role\": \"user\", "
         "\"content\": \"x\"}]}\n",
         "line 3: expected a message of role 'assistant', found none"},
        {"r.jsonl",
         "{\"messages\": [{\"role\": \"assistant\", \"content\": \"x\"}]}\n\n{\"messages\": [{\"role\": \"user\"}]}\n",
         "line 3: expected each message to be"},
        {"r.jsonl",
         "{\"messages\": [{\"role\": \"assistant\", \"content\": \"x\"}]}\n\n{\"messages\": [{\"role\": \"nobody\", "
         "\"content\": \"x\"}]}\n",
         "line 3: the template knows no role 'nobody'"},
        {"r.csv", "text\na\n\xff\n", "r.csv: line 3: byte 0xff is not UTF-8"},
        {"r.csv", "question,choices,answer\nq,\"[1,2]\",0\nq,[1,0\n", "line 3: column 'choices': expected a JSON list"},
    };
    for (size_t i = 0; i < sizeof reading / sizeof *reading; i++) {
        lf_text_example e;
        put_text(reading[i].name, reading[i].content);
        d = open_text(reading[i].name);
        assert_int_equal(lf_text_dataset_count(d), 2);
        assert_ok(lf_text_dataset_example(d, 0, &e, &err), err);
        lf_text_example_free(&e);
        assert_says(lf_text_dataset_example(d, 1, &e, &err), LF_EDATA, err, reading[i].says);
        lf_text_dataset_free(d);
    }
    const char nul[] = "text\na\0b\n";
    put_bytes("nul.csv", nul, sizeof nul - 1);
    assert_says(try_open(&d, "nul.csv", (lf_text_dataset_opts){0}, &err), LF_EDATA, err,
                "line 2: a NUL byte in column 'text'");
}

/* ---- the spec, folders, drawing -----------------------------------------------------------------------------------
 */

static void test_spec(void **state) {
    (void)state;
    put_text("spec.dat", "body\nx\n");
    const struct {
        const char *rest, *says;
    } cases[] = {
        {"", "name the format"},
        {", \"format\": \"csv\"", "found 'body'"},
        {", \"format\": \"csv\", \"text_field\": \"body\"", NULL},
        {", \"format\": \"text\"", NULL},
        {", \"format\": \"xml\"",
         "unknown format 'xml'; expected one of 'jsonl', 'json', 'csv', 'tsv', 'trec', 'text'"},
        {", \"format\": 3", "'format': expected a string"},
        {", \"fields\": \"\"", "unknown key 'fields'"},
        {", \"format\": \"csv\", \"quoting\": \"none\"", "found 'body'"},
        {", \"format\": \"csv\", \"quoting\": \"both\"",
         "'quoting': expected \"csv\" (quotes enclose a field) or \"none\""},
        {", \"format\": \"csv\", \"delimiter\": \"; \"", "'delimiter': expected a character such as \";\", or \"tab\""},
        {", \"format\": \"csv\", \"delimiter\": \"\"", "'delimiter': expected a character"},
        {", \"format\": \"csv\", \"delimiter\": \"\\\"\"", "'delimiter': expected a character"},
        {", \"format\": \"text\", \"delimiter\": \";\"", "are for CSV and TSV; "}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[700];
        lf_err err = {0};
        cJSON *spec = NULL;
        lf_text_dataset *d = NULL;
        snprintf(text, sizeof text, "{\"path\": \"%s\"%s}", in_scratch("spec.dat"), cases[i].rest);
        assert_ok(lf_json_parse(&spec, text, strlen(text), "spec", &err), err);
        const lf_status rc = lf_text_dataset_open(&d, &(lf_text_dataset_opts){.spec = spec, .key = "data"}, &err);
        if (cases[i].says)
            assert_says(rc, err.status, err, cases[i].says);
        else
            assert_ok(rc, err);
        lf_text_dataset_free(d);
        cJSON_Delete(spec);
    }
}

static void test_folders(void **state) {
    (void)state;
    lf_err err = {0};
    lf_text_dataset *d;
    put_text("splits/train.jsonl", "{\"text\": \"a\"}");
    put_text("splits/validation.csv", "text\nb\n");
    put_text("splits/README.md", "no data");
    d = open_text("splits");
    check_example(d, 0, "a", NULL);
    lf_text_dataset_free(d);
    d = open_with("splits", (lf_text_dataset_opts){.split = "val"});
    check_example(d, 0, "b", NULL);
    lf_text_dataset_free(d);
    cJSON *spec = cJSON_CreateString(in_scratch("splits"));
    assert_true(lf_text_dataset_has_split(spec, "val"));
    assert_false(lf_text_dataset_has_split(spec, "test"));
    cJSON_Delete(spec);
    assert_says(
        try_open(&d, "splits", (lf_text_dataset_opts){.split = "test"}, &err), LF_EDATA, err,
        "expected .txt, .text or .md files, or a file for each split such as train.jsonl; found 1 .csv, 1 .jsonl, "
        "1 README");
    put_text("books/b.txt", "two");
    put_text("books/a.txt", "one");
    put_text("books/empty.txt", "");
    put_text("books/c.doc", "no text");
    d = open_text("books");
    assert_true(lf_text_dataset_windowed(d));
    assert_int_equal(lf_text_dataset_count(d), 2);
    char name[600];
    assert_non_null(strstr(lf_text_dataset_record_name(d, 0, name, sizeof name), "books/a.txt"));
    lf_text_dataset_free(d);
}

static void put_numbers(const char *name, int n) {
    char text[4096] = "";
    for (int i = 0; i < n; i++) snprintf(text + strlen(text), sizeof text - strlen(text), "{\"text\": \"%d\"}\n", i);
    put_text(name, text);
}

static int64_t number_at(const lf_text_dataset *d, int64_t i) {
    lf_text_example e;
    lf_err err = {0};
    assert_ok(lf_text_dataset_example(d, i, &e, &err), err);
    const int64_t number = atoi(e.text);
    lf_text_example_free(&e);
    return number;
}

static void test_drawing(void **state) {
    (void)state;
    enum { ALL = 50, MOST = 20 };
    lf_err err = {0};
    put_numbers("n.jsonl", ALL);
    const lf_text_dataset_opts o = {.max_samples = MOST, .seed = 3};
    lf_text_dataset *d = open_with("n.jsonl", o), *again = open_with("n.jsonl", o), *held = NULL, *none = NULL;
    assert_int_equal(lf_text_dataset_count(d), MOST);
    for (int64_t i = 0; i < MOST; i++) {
        assert_int_equal(number_at(d, i), number_at(again, i));
        assert_true(i == 0 || number_at(d, i) > number_at(d, i - 1));
    }
    assert_ok(lf_text_dataset_split(d, 0.25, 7, &held, &err), err);
    assert_int_equal(lf_text_dataset_count(d), 15);
    assert_int_equal(lf_text_dataset_count(held), 5);
    int seen[ALL] = {0};
    for (int64_t i = 0; i < 15; i++) seen[number_at(d, i)]++;
    for (int64_t i = 0; i < 5; i++) seen[number_at(held, i)]++;
    for (int64_t i = 0; i < MOST; i++) assert_int_equal(seen[number_at(again, i)], 1);
    assert_says(lf_text_dataset_split(d, 0.5, 7, &none, &err), LF_EUSAGE, err, "cannot be split again");
    assert_says(lf_text_dataset_split(again, 0.01, 7, &none, &err), LF_EDATA, err, "a share of 0.01 leaves nothing");
    assert_says(lf_text_dataset_split(again, 1, 7, &none, &err), LF_EUSAGE, err, "expected a share above 0");
    assert_int_equal(lf_text_dataset_count(again), MOST);
    lf_text_dataset_free(d); /* held lives on */
    assert_int_equal(seen[number_at(held, 0)], 1);
    lf_text_dataset_free(held);
    lf_text_dataset_free(again);
}

/* ---- tokens -------------------------------------------------------------------------------------------------------
 */

typedef struct wanted {
    const char *record;
    lf_text_encode_opts opts;
    bool adds_bos, adds_eos;
    const char *ids;     /* letters; ^ is BOS, $ EOS, an upper case letter the lower case one with a space in front */
    const char *targets; /* x or . */
    int64_t cut;
} wanted;

static void check_tokens(const wanted *w) {
    stand_in s = {w->adds_bos, w->adds_eos};
    const lf_text_encoder encoder = encoder_over(&s);
    lf_text_coder c;
    lf_err err = {0};
    lf_text_tokens t = {0};
    int64_t cut;
    put_text("t.jsonl", w->record);
    lf_text_dataset *d = open_text("t.jsonl");
    assert_ok(lf_text_coder_init(&c, &encoder, &w->opts, &err), err);
    assert_ok(lf_text_dataset_tokens(d, 0, &c, &t, &cut, &err), err);
    char ids[128], targets[128];
    assert_true(t.n < 128);
    for (int64_t i = 0; i < t.n; i++) {
        const int32_t id = t.ids[i];
        ids[i] = (char)(id == BOS ? '^' : id == EOS ? '$' : id >= SPACED ? id - SPACED - 'a' + 'A' : id);
        targets[i] = t.target[i] ? 'x' : '.';
    }
    ids[t.n] = targets[t.n] = 0;
    assert_string_equal(ids, w->ids);
    assert_string_equal(targets, w->targets);
    assert_int_equal(cut, w->cut);
    lf_text_tokens_free(&t);
    lf_text_coder_free(&c);
    lf_text_dataset_free(d);
}

static void test_tokens(void **state) {
    (void)state;
    const lf_text_encode_opts train = {.max_seq_length = 100, .training = true}, eval = {.max_seq_length = 100},
                              all = {.max_seq_length = 100, .training = true, .loss_on_prompt = true};
    const wanted cases[] = {
        {"{\"text\": \"ab c\"}", eval, true, false, "^abC", "xxxx", 0},
        {"{\"text\": \"ab c\"}", train, true, false, "^abC$", "xxxxx", 0},
        {"{\"text\": \"ab c\"}", train, true, true, "^abC$", "xxxxx", 0}, /* the post-processor's own is enough */
        {"{\"text\": \"ab c\"}", eval, false, true, "abC$", "xxxx", 0},
        {"{\"text\": \"\"}", train, false, false, "$", "x", 0},
        {"{\"text\": \"\"}", eval, false, false, "", "", 0},
        {"{\"prompt\": \"q:\", \"completion\": \"ab\"}", eval, true, false, "^q:ab", "...xx", 0},
        {"{\"prompt\": \"q:\", \"completion\": \"ab\"}", train, true, false, "^q:ab$", "...xxx", 0},
        {"{\"prompt\": \"q:\", \"completion\": \"ab\"}", train, true, true, "^q:ab$", "...xxx", 0},
        {"{\"prompt\": \"q:\", \"completion\": \"ab\"}", all, true, false, "^q:ab$", "xxxxxx", 0},
        {"{\"prompt\": \"q: \", \"completion\": \"ab\"}", eval, true, false, "^q:Ab", "...xx",
         0}, /* across the border */
        {"{\"prompt\": \"\", \"completion\": \"ab\"}", eval, false, false, "ab", "xx", 0},
        {"{\"prompt\": \"q:\", \"completion\": \"\"}", train, true, false, "^q:$", "...x", 0},
        {"{\"text\": \"abcdef\"}", {.max_seq_length = 4, .training = true}, true, false, "^abc", "xxxx", 4},
        {"{\"prompt\": \"q:\", \"completion\": \"abc\"}",
         {.max_seq_length = 4, .training = true},
         true,
         false,
         "^q:a",
         "...x",
         3},
        {"{\"messages\": [{\"role\": \"assistant\", \"content\": \"a\"}, {\"role\": \"u\", \"content\": \"b\"}, "
         "{\"role\": \"assistant\", \"content\": \"c\"}]}",
         train, true, false, "<assistant>a;<u>b;<assistant>c;", "...........xx................xx", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_tokens(&cases[i]);
}

static void test_bad_tokens(void **state) {
    (void)state;
    const struct {
        const char *record, *says;
        int32_t eos;
    } cases[] = {
        {"{\"text\": \"a@\"}",
         "t.jsonl: line 1: token id 603 is outside the model's vocabulary of 603; is the tokenizer.json", EOS},
        {"{\"text\": \"a@\"}", "token id 603, the 'eos_token' of tokenizer_config.json, is outside the model's", 603},
        {"{\"prompt\": \"a long one\", \"completion\": \"ab\"}",
         "t.jsonl: line 1: the prompt has 9 tokens, which leaves nothing of the answer within max_seq_length 8; raise",
         EOS},
    };
    stand_in s = {.adds_bos = true};
    lf_text_encoder encoder = encoder_over(&s);
    lf_text_coder c;
    lf_err err = {0};
    assert_says(lf_text_coder_init(&c, &encoder, &(lf_text_encode_opts){.max_seq_length = 1}, &err), LF_EUSAGE, err,
                "max_seq_length: expected 2 to");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lf_text_tokens t = {0};
        int64_t cut;
        encoder.eos = cases[i].eos;
        assert_ok(lf_text_coder_init(&c, &encoder, &(lf_text_encode_opts){.max_seq_length = 8}, &err), err);
        put_text("t.jsonl", cases[i].record);
        lf_text_dataset *d = open_text("t.jsonl");
        assert_says(lf_text_dataset_tokens(d, 0, &c, &t, &cut, &err), LF_EDATA, err, cases[i].says);
        assert_int_equal(t.n, 0);
        lf_text_tokens_free(&t);
        lf_text_dataset_free(d);
        lf_text_coder_free(&c);
    }
}

/* ---- memory -------------------------------------------------------------------------------------------------------
 */

static void test_failing_allocations(void **state) {
    (void)state;
    const char *const files[] = {"m.jsonl", "m.csv", "m.json", "c.jsonl", "books", "chat.jsonl"};
    put_text(
        "m.jsonl",
        "{\"instruction\": \"a\", \"input\": 3, \"output\": \"b\"}\n{\"instruction\": \"a\", \"output\": \"b\"}\n");
    put_text("m.csv", "question,answer\na,\"b\"\n");
    put_text("m.json", "[{\"text\": \"a\"}]");
    put_text("c.jsonl", "{\"question\": \"a\", \"choices\": [\"x\", \"y\"], \"answer\": \"B\"}\n");
    put_text("chat.jsonl", "{\"messages\": [{\"role\": \"assistant\", \"content\": \"x\"}]}\n");
    put_text("books/a.txt", "one");
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        const int64_t before = lf_alloc_live();
        lf_status rc = LF_ENOMEM;
        for (int64_t k = 0; rc; k++) {
            lf_err err = {0};
            lf_text_dataset *d = NULL;
            lf_text_example e = {0};
            lf_alloc_fail_after(k);
            rc = try_open(&d, files[f], (lf_text_dataset_opts){.max_samples = 1}, &err);
            if (!rc && !lf_text_dataset_windowed(d)) rc = lf_text_dataset_example(d, 0, &e, &err);
            lf_alloc_fail_after(-1);
            if (rc && rc != LF_ENOMEM) fail_msg("%s: %s", files[f], err.message);
            lf_text_example_free(&e);
            lf_text_dataset_free(d);
            assert_int_equal(lf_alloc_live(), before);
        }
    }
}

/* ---- data sets as they are in the world ---------------------------------------------------------------------------
 */

static void test_shared_data(void **state) {
    (void)state;
    const struct {
        const char *path, *layout, *text_field;
        int64_t n;
    } sets[] = {{"gsm8k", "question_answer", NULL, 7473},
                {"banking77", "text", NULL, 10003},
                {"banking77", "text", "category", 10003},
                {"tinyshakespeare/input.txt", "text", NULL, 1}};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        char path[512];
        shared_path(path, sizeof path, sets[i].path);
        if (access(path, R_OK)) {
            print_message("skipped: %s is not there\n", path);
            skip();
        }
        lf_err err = {0};
        lf_text_dataset *d = NULL;
        cJSON *spec = cJSON_CreateString(path);
        const lf_text_dataset_opts o = {.spec = spec, .key = "data", .text_field = sets[i].text_field};
        assert_ok(lf_text_dataset_open(&d, &o, &err), err);
        cJSON_Delete(spec);
        assert_int_equal(lf_text_dataset_count(d), sets[i].n);
        assert_string_equal(lf_text_dataset_layout(d), sets[i].layout);
        for (int64_t k = 0; k < sets[i].n && !lf_text_dataset_windowed(d); k++) {
            lf_text_example e;
            assert_ok(lf_text_dataset_example(d, k, &e, &err), err);
            assert_true(e.n > 0);
            lf_text_example_free(&e);
        }
        lf_text_dataset_free(d);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_traits),
        cmocka_unit_test(test_answers_of_choices),
        cmocka_unit_test(test_templates),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_what_is_wrong),
        cmocka_unit_test(test_spec),
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_drawing),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_bad_tokens),
        cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_shared_data),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
