#define _DEFAULT_SOURCE /* mkdtemp */
/* Records that are classified: which fields are texts and label, what labels are, and what is said of those that
 * cannot be. */
#include "text_fixture.h"

#include "data/class_names.h"

static lf_status stand_in_pair(void *context, const char *a, size_t na, const char *b, size_t nb, int64_t max_length,
                               lf_ids *ids, lf_ids *types, int64_t *n_left_out, lf_err *err) {
    const int64_t from = ids->n;
    lf_status rc = stand_in_encode(context, a, na, false, ids, err);
    const int64_t first = ids->n - from;
    if (!rc && b) rc = stand_in_encode(context, b, nb, false, ids, err);
    if (rc || !lf_ids_reserve(types, ids->n - from)) return rc ? rc : lf_no_memory(err, "the stand-in");
    for (int64_t i = 0; i < ids->n - from; i++) types->ids[types->n + i] = i >= first;
    *n_left_out = ids->n - from > max_length ? ids->n - from - max_length : 0;
    ids->n -= *n_left_out;
    types->n += ids->n - from;
    return LF_OK;
}

static const lf_text_labelling needed = {.labels = LF_TEXT_LABELS_NEEDED};

/* ---- what is found ---- */

/* A file, and what it says: "a|b" the classes ("#": numbers, "#a b ": and what they are called), and of each record
 * "text>second=label+label" or "text=number;number". What stands behind a bar of the name goes into the spec. */
static const struct {
    const char *name, *content, *text_field, *pair_field, *label_field, *classes, *records;
    int problem;       /* of the key; -1: by the labels */
    const char *forms; /* label_separator and label_columns, as members of a specification; NULL: none */
} good[] = {
    {"a.jsonl", "{\"text\": \"x\", \"label\": \"b\"}\n{\"text\": \"y\", \"label\": \"a\"}\n", NULL, NULL, NULL, "a|b",
     "x=b|y=a", -1, NULL},
    {"trec.jsonl", "{\"text\": \"x\", \"label-coarse\": 10, \"id\": 4}\n{\"text\": \"y\", \"label-coarse\": 9}\n", NULL,
     NULL, NULL, "9|10", "x=10|y=9", -1, NULL}, /* sorted as numbers */
    {"sst2.tsv", "sentence\tlabel\nx y\t1\nz\t0\n", NULL, NULL, NULL, "0|1", "x y=1|z=0", -1, NULL},
    {"Upper.csv", "Text,Category\nx,b\ny,a\n", NULL, NULL, NULL, "a|b", "x=b|y=a", -1, NULL},
    {"ag.csv", "Class Index,Title,Description\n3,t,d\n1,u,e\n", NULL, NULL, NULL, "1|3", "t>d=3|u>e=1", -1, NULL},
    {"mnli.json",
     "[{\"premise\": \"p\", \"hypothesis\": \"h\", \"label\": true, \"idx\": 0},"
     "{\"premise\": \"q\", \"hypothesis\": \"\", \"label\": false}]",
     NULL, NULL, NULL, "false|true", "p>h=true|q>=false", -1, NULL},
    {"qqp.tsv", "id\tquestion1\tquestion2\tis_duplicate\n0\ta\tb\t1\n1\tc\td\t0\n", NULL, NULL, NULL, "0|1",
     "a>b=1|c>d=0", -1, NULL},
    {"chosen.jsonl", "{\"chosen\": \"x\", \"rejected\": \"r\", \"text\": \"t\", \"label\": 1}\n", NULL, NULL, NULL, "1",
     "t=1", -1, NULL}, /* no preference data: the task decides */
    {"instruction.jsonl", "{\"instruction\": \"i\", \"output\": \"o\", \"intent\": \"k\"}\n", "instruction", NULL,
     "intent", "k", "i=k", -1, NULL},
    {"named.jsonl", "{\"a\": \"x\", \"b\": \"y\", \"c\": 1, \"label\": 7, \"text\": \"t\"}\n", "a", "b", "c", "1",
     "x>y=1", -1, NULL},
    {"one.jsonl", "{\"sentence1\": \"x\", \"sentence2\": \"y\", \"label\": 1}\n", "sentence1", NULL, NULL, "1", "x=1",
     -1, NULL}, /* a field that is named is the one text */
    {"sts.csv", "sentence1,sentence2,score\na,b,2.5\nc,d,5.000\ne,f,-1\n", NULL, NULL, NULL, "#",
     "a>b=2.5|c>d=5|e>f=-1", -1, NULL},
    {"stars.csv", "text,stars\na,5\nb,1\n", NULL, NULL, NULL, "#", "a=5|b=1", LF_REGRESSION, NULL},
    {"whole.csv", "text,label\na,1.0\nb,0.0\nc,1\n", NULL, NULL, NULL, "0|1", "a=1|b=0|c=1", -1, NULL},
    {"minus.csv", "text,label\na,-1\nb,0\nc,1\n", NULL, NULL, NULL, "-1|0|1", "a=-1|b=0|c=1", -1, NULL},
    {"many.jsonl",
     "{\"text\": \"a\", \"labels\": [\"x\", \"z\"]}\n{\"text\": \"b\", \"labels\": []}\n"
     "{\"text\": \"c\", \"labels\": [\"y\"]}\n",
     NULL, NULL, NULL, "x|y|z", "a=x+z|b=|c=y", -1, NULL},
    {"many.csv", "text,labels\na,\"[\"\"x\"\", \"\"z\"\"]\"\nb,[]\n", NULL, NULL, NULL, "x|z", "a=x+z|b=", -1, NULL},
    {"ids.jsonl", "{\"text\": \"a\", \"labels\": [2, 10]}\n{\"text\": \"b\", \"labels\": [2]}\n", NULL, NULL, NULL,
     "2|10", "a=2+10|b=2", -1, NULL},
    {"marks.jsonl", "{\"text\": \"a\", \"labels\": [1, 0, 1]}\n{\"text\": \"b\", \"labels\": [0.0, 0.0, 0.0]}\n", NULL,
     NULL, NULL, "0|1|2", "a=0+2|b=", -1, NULL}, /* a mark a class */
    {"single.jsonl", "{\"text\": \"a\", \"labels\": [\"x\"]}\n{\"text\": \"b\", \"labels\": [\"y\"]}\n", NULL, NULL,
     NULL, "x|y", "a=x|b=y", LF_SINGLE_LABEL, NULL},
    /* several numbers of a text: lists of one length of which some is no whole number, or fields */
    {"vad.jsonl", "{\"text\": \"a\", \"label\": [1.5, 2]}\n{\"text\": \"b\", \"label\": [-1, 0.25]}\n", NULL, NULL,
     NULL, "#LABEL_0 LABEL_1 ", "a=1.5;2|b=-1;0.25", -1, NULL},
    {"whole.jsonl", "{\"text\": \"a\", \"label\": [1, 2]}\n{\"text\": \"b\", \"label\": [3, 4]}\n", NULL, NULL, NULL,
     "#LABEL_0 LABEL_1 ", "a=1;2|b=3;4", LF_REGRESSION, NULL},
    {"onelist.jsonl", "{\"text\": \"a\", \"label\": [1.5]}\n{\"text\": \"b\", \"label\": [2]}\n", NULL, NULL, NULL, "#",
     "a=1.5|b=2", -1, NULL},
    {"vad.csv", "text,labels\na,\"[0.5, 1]\"\nb,\"[2, 3]\"\n", NULL, NULL, NULL, "#LABEL_0 LABEL_1 ", "a=0.5;1|b=2;3",
     -1, NULL},
    {"columns.csv|\"label_columns\": [\"valence\", \"arousal\", \"dominance\"]",
     "text,valence,arousal,dominance\na,3.2,4,1\nb,1,2,3\n", NULL, NULL, NULL, "#valence arousal dominance ",
     "a=3.2;4;1|b=1;2;3", LF_REGRESSION, NULL},
    {"order.jsonl|\"label_columns\": [\"y\", \"x\"]", "{\"x\": 7, \"y\": \"0.5\", \"text\": \"a\"}\n", NULL, NULL, NULL,
     "#y x ", "a=0.5;7", LF_REGRESSION, NULL},
    {"marksasnumbers.csv|\"label_columns\": [\"p\", \"q\"]", "text,p,q\na,1,0\nb,0,1\n", NULL, NULL, NULL, "#p q ",
     "a=1;0|b=0;1", LF_REGRESSION, NULL},
    /* TREC's lines */
    {"train_5500.label", "DESC:manner How did it end ?\nENTY:cremat What films\tran ?\nDESC:def What is it ?\n", NULL,
     NULL, NULL, "DESC|ENTY", "How did it end ?=DESC|What films\tran ?=ENTY|What is it ?=DESC", -1, NULL},
    {"fine.label", "DESC:manner How ?\r\n\n  NUM:other_x  What 1:2 ? \r\n", NULL, NULL, "fine_label",
     "DESC:manner|NUM:other_x", "How ?=DESC:manner|What 1:2 ?=NUM:other_x", -1, NULL},
    {"trec.txt", "HUM:ind Who ?\nLOC:city Where : there ?", NULL, NULL, NULL, "HUM|LOC",
     "Who ?=HUM|Where : there ?=LOC", -1, NULL},
    {"bad.label",
     "HUM:ind sister\xf0"
     "city \xc3\xa9 ?\n",
     NULL, NULL, "coarse_label", "HUM", "sister city \xc3\xa9 ?=HUM", -1, NULL},
    {"questions|\"format\": \"trec\", \"label_field\": \"fine_label\"", "AB:c d\n", NULL, NULL, NULL, "AB:c", "d=AB:c",
     -1, NULL},
    /* without a heading */
    {"sst.tsv|\"columns\": \"sentence,label\"", "a \"fine\" film\t1\nno\t0\n", NULL, NULL, NULL, "0|1",
     "a \"fine\" film=1|no=0", -1, NULL},
    {"agnews.csv|\"columns\": \"label, title,description\"", "\"3\",\"t\",\"d, e\"\n\"1\",\"u\",\"v \"\"w\"\"\"\n",
     NULL, NULL, NULL, "1|3", "t>d, e=3|u>v \"w\"=1", -1, NULL},
    {"cola.tsv|\"columns\": \"source,label,mark,sentence\"", "gj04\t1\t\tHe ran.\ngj04\t0\t*\tRan he.\n", NULL, NULL,
     NULL, "0|1", "He ran.=1|Ran he.=0", -1, NULL},
    {"semi.csv|\"columns\": \"text,label\", \"delimiter\": \";\"", "a;x\nb;y\n", NULL, NULL, NULL, "x|y", "a=x|b=y", -1,
     NULL},
    {"plain.jsonl", "{\"text\": \"a\", \"label\": \"x\"}\n{\"text\": \"b\", \"label\": \"y\"}\n", NULL, NULL, NULL,
     "x|y", "a=x|b=y", LF_MULTI_LABEL, NULL},
    {"joined.csv", "text,tags\na,x; z\nb,\nc,y\n", NULL, NULL, NULL, "x|y|z", "a=x+z|b=|c=y", -1,
     "{\"label_separator\": \";\"}"},
    {"toxic.csv", "id,comment_text,toxic,insult\n7,a,1,0\n8,b,0,0\n9,c,1,1\n", NULL, NULL, NULL, "toxic|insult",
     "a=toxic|b=|c=toxic+insult", -1, "{\"label_columns\": [\"toxic\", \"insult\"]}"},
    {"marks2.jsonl", "{\"text\": \"a\", \"u\": true, \"v\": 0}\n{\"text\": \"b\", \"u\": false, \"v\": 1.0}\n", NULL,
     NULL, NULL, "v|u", "a=u|b=v", -1, "{\"label_columns\": [\"v\", \"u\"]}"},
};

/* The content as a file of that name, without a bar and what is behind it, and opened by a spec with that. */
static lf_status open_named(lf_text_dataset **out, const char *name, const char *content, lf_text_dataset_opts o,
                            lf_err *err) {
    char file[200], spec[600];
    snprintf(file, sizeof file, "%.*s", (int)strcspn(name, "|"), name);
    put_text(file, content);
    if (!strchr(name, '|')) return try_open(out, name, o, err);
    snprintf(spec, sizeof spec, "{\"path\": \"%s\", %s}", in_scratch(file), strchr(name, '|') + 1);
    cJSON *json = cJSON_Parse(spec);
    assert_non_null(json);
    o.spec = json;
    o.key = "train_data";
    *out = NULL;
    const lf_status rc = lf_text_dataset_open(out, &o, err);
    cJSON_Delete(json);
    return rc;
}

static void put_label(lf_string *t, const lf_text_dataset *d, int64_t i) {
    int64_t n;
    const char *const *names = lf_text_dataset_classes(d, &n);
    float values[16];
    const char *between = "";
    switch (lf_text_dataset_problem(d)) {
    case LF_SINGLE_LABEL: lf_string_add(t, "%s", names[lf_text_dataset_class(d, i)]); return;
    case LF_REGRESSION:
        lf_text_dataset_values(d, i, values);
        for (int64_t k = 0; k < lf_text_dataset_width(d); k++)
            lf_string_add(t, "%s%g", k ? ";" : "", (double)values[k]);
        return;
    default:
        lf_text_dataset_values(d, i, values);
        for (int64_t c = 0; c < n; c++) {
            if (!(values[c] > 0.5f)) continue;
            lf_string_add(t, "%s%s", between, names[c]);
            between = "+";
        }
    }
}

static char *records_of(const lf_text_dataset *d) {
    lf_string t = {0};
    lf_err err = {0};
    for (int64_t i = 0; i < lf_text_dataset_count(d); i++) {
        lf_text_example e;
        assert_ok(lf_text_dataset_example(d, i, &e, &err), err);
        assert_true(e.classified);
        lf_string_add(&t, "%s%s%s%s=", i ? "|" : "", e.text, e.second ? ">" : "", e.second ? e.second : "");
        put_label(&t, d, i);
        lf_text_example_free(&e);
    }
    return lf_string_take(&t);
}

static char *classes_of(const lf_text_dataset *d) {
    lf_string t = {0};
    int64_t n;
    const char *const *names = lf_text_dataset_classes(d, &n);
    if (!names) lf_string_add(&t, "#");
    const char *const *numbers = names ? NULL : lf_text_dataset_numbers(d);
    for (int64_t i = 0; numbers && i < lf_text_dataset_width(d); i++) lf_string_add(&t, "%s ", numbers[i]);
    for (int64_t i = 0; i < n; i++) lf_string_add(&t, "%s%s", i ? "|" : "", names[i]);
    return lf_string_take(&t);
}

static void check(const lf_text_dataset *d, const char *name, const char *classes, const char *records) {
    char *c = classes_of(d), *r = records_of(d);
    if (strcmp(c, classes) || strcmp(r, records))
        fail_msg("%s: found %s and %s, expected %s and %s", name, c, r, classes, records);
    lf_free(c);
    lf_free(r);
}

static cJSON *forms_of(const char *text, lf_label_form *out) {
    cJSON *all = NULL;
    const cJSON *v;
    lf_err err = {0};
    bool taken;
    if (!text) return NULL;
    assert_ok(lf_json_parse(&all, text, strlen(text), "forms", &err), err);
    cJSON_ArrayForEach(v, all) assert_ok(lf_label_form_take(out, v, &taken, "train_data", &err), err);
    return all;
}

static void test_good(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const lf_text_labelling how = {.label_field = good[i].label_field,
                                       .text_pair_field = good[i].pair_field,
                                       .problem_known = good[i].problem >= 0,
                                       .problem = good[i].problem >= 0 ? (lf_problem)good[i].problem : 0};
        lf_text_labelling formed = how;
        cJSON *forms = forms_of(good[i].forms, &formed.form);
        lf_text_dataset *d;
        lf_err err = {0};
        assert_ok(open_named(&d, good[i].name, good[i].content,
                             (lf_text_dataset_opts){.labelling = &formed, .text_field = good[i].text_field}, &err),
                  err);
        cJSON_Delete(forms); /* what is kept of them is the data set's */
        assert_true(lf_text_dataset_is(d, LF_TEXT_CLASSIFIED) && lf_text_dataset_labelled(d));
        check(d, good[i].name, good[i].classes, good[i].records);
        lf_text_dataset_free(d);
    }
}

/* ---- what cannot be ---- */

static const struct {
    const char *name, *content, *text_field, *pair_field, *label_field;
    int problem;
    const char *words[4];
} bad[] = {
    {"nolabel.jsonl", "{\"text\": \"x\", \"id\": 1}\n", NULL, NULL, NULL, -1, {"a label", "'id'", "label_field"}},
    {"notext.jsonl", "{\"label\": 1, \"words\": \"x\"}\n", NULL, NULL, NULL, -1, {"a text", "'words'", "text_field"}},
    {"field.jsonl", "{\"text\": \"x\", \"label\": 1}\n", NULL, NULL, "kind", -1, {"'kind'", "label_field"}},
    {"pair.jsonl", "{\"text\": \"x\", \"label\": 1}\n", "text", "other", NULL, -1, {"'other'", "text_pair_field"}},
    {"missing.jsonl",
     "{\"text\": \"x\", \"label\": 1}\n{\"text\": \"y\", \"label\": null}\n{\"text\": \"z\"}\n",
     NULL,
     NULL,
     NULL,
     -1,
     {"2 of 3 records have no label", "line 2", "leave them out"}},
    {"blank.csv", "text,label\nx,1\ny,\n", NULL, NULL, NULL, -1, {"1 of 2 records", "line 3"}},
    {"hidden.tsv", "sentence\tlabel\nx\t-1\ny\t-1\n", NULL, NULL, NULL, -1, {"-1", "hidden", "validation"}},
    {"none.jsonl", "{\"text\": \"x\", \"label\": null}\n", NULL, NULL, NULL, -1, {"hidden", "validation"}},
    {"word.csv", "text,score\nx,2.5\ny,high\n", NULL, NULL, NULL, LF_REGRESSION, {"line 3", "a number", "high"}},
    {"several.jsonl",
     "{\"text\": \"x\", \"label\": [\"a\", \"b\"]}\n",
     NULL,
     NULL,
     NULL,
     LF_SINGLE_LABEL,
     {"line 1", "one label", "several"}},
    {"object.jsonl", "{\"text\": \"x\", \"label\": {\"a\": 1}}\n", NULL, NULL, NULL, -1, {"line 1", "a label that is"}},
    {"quotes.csv",
     "text,labels\nx,\"['a']\"\n",
     NULL,
     NULL,
     NULL,
     -1,
     {"line 2", "labels in brackets", "single quote"}},
    {"bare.csv", "text,label\nx,a\ny,\"[b, c]\"\n", NULL, NULL, NULL, -1, {"line 3", "a list as JSON", "[b, c]"}},
    {"empty.jsonl", "{\"text\": \"x\", \"labels\": []}\n", NULL, NULL, NULL, -1, {"lists are empty"}},
    {"plain.txt", "some words\n", NULL, NULL, NULL, -1, {"plain text, which has no labels"}},
    {"almost.txt", "HUM:ind Who ?\nAnd where ?\n", NULL, NULL, NULL, -1, {"plain text, which has no labels"}},
    {"speech.txt", "HAMLET: to be\n", NULL, NULL, NULL, -1, {"plain text, which has no labels"}},
    {"broken.label",
     "HUM:ind Who ?\n\nHUM Who ?\n",
     NULL,
     NULL,
     NULL,
     -1,
     {"line 3", "a class, a subclass", "HUM Who ?"}},
    {"uneven.jsonl",
     "{\"text\": \"a\", \"label\": [1.5, 2]}\n{\"text\": \"b\", \"label\": [1.5]}\n",
     NULL,
     NULL,
     NULL,
     LF_REGRESSION,
     {"line 2", "2 numbers", "found 1"}},
    {"wordlist.jsonl",
     "{\"text\": \"a\", \"label\": [1.5, \"x\"]}\n",
     NULL,
     NULL,
     NULL,
     LF_REGRESSION,
     {"line 1", "a number as label", "x"}},
    {"gap.csv|\"label_columns\": [\"p\", \"q\"]",
     "text,p,q\na,1,2\nb,,3\n",
     NULL,
     NULL,
     NULL,
     LF_REGRESSION,
     {"line 3", "a number in the column 'p'", "nothing"}},
    {"half.csv|\"label_columns\": [\"p\", \"q\"]", "text,p\na,1\n", NULL, NULL, NULL, LF_REGRESSION, {"label_columns"}},
    {"fraction.csv|\"label_columns\": [\"p\"]",
     "text,p\na,0.5\n",
     NULL,
     NULL,
     NULL,
     -1,
     {"line 2", "0 or 1", "problem_type regression"}},
    {"headless.tsv", "a film\t1\nno\t0\n", NULL, NULL, NULL, -1, {"a label", "\"columns\""}},
    {"three.tsv|\"columns\": \"text,label\"",
     "a\t1\tx\n",
     NULL,
     NULL,
     NULL,
     -1,
     {"line 1", "the 2 columns", "found 3"}},
    {"twice.tsv|\"columns\": \"text,text\"", "a\t1\n", NULL, NULL, NULL, -1, {"twice"}},
};

static void test_bad(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const lf_text_labelling how = {.label_field = bad[i].label_field,
                                       .text_pair_field = bad[i].pair_field,
                                       .problem_known = bad[i].problem >= 0,
                                       .problem = bad[i].problem >= 0 ? (lf_problem)bad[i].problem : 0};
        lf_text_dataset *d;
        lf_err err = {0};
        const lf_status rc =
            open_named(&d, bad[i].name, bad[i].content,
                       (lf_text_dataset_opts){.labelling = &how, .text_field = bad[i].text_field}, &err);
        if (rc != LF_EDATA) fail_msg("%s: status %d", bad[i].name, (int)rc);
        for (int w = 0; w < 4 && bad[i].words[w]; w++)
            if (!strstr(err.message, bad[i].words[w]))
                fail_msg("%s: no \"%s\" in: %s", bad[i].name, bad[i].words[w], err.message);
    }
}

/* ---- data that may have labels, and texts alone ---- */

static void test_maybe_and_ignored(void **state) {
    (void)state;
    const lf_text_labelling maybe = {.labels = LF_TEXT_LABELS_MAYBE}, ignored = {.labels = LF_TEXT_LABELS_IGNORED};
    put_text("with.jsonl", "{\"text\": \"x\", \"label\": 1}\n");
    put_text("without.jsonl", "{\"question\": \"x\", \"answer\": \"y\", \"topic\": \"z\"}\n");
    lf_text_dataset *d = open_with("with.jsonl", (lf_text_dataset_opts){.labelling = &maybe});
    assert_true(lf_text_dataset_labelled(d));
    lf_text_dataset_free(d);
    d = open_with("without.jsonl", (lf_text_dataset_opts){.labelling = &maybe});
    assert_false(lf_text_dataset_is(d, LF_TEXT_CLASSIFIED));
    assert_string_equal(lf_text_dataset_layout(d), "question_answer");
    lf_text_dataset_free(d);
    d = open_with("with.jsonl", (lf_text_dataset_opts){.labelling = &ignored});
    assert_true(lf_text_dataset_is(d, LF_TEXT_CLASSIFIED) && !lf_text_dataset_labelled(d));
    assert_int_equal(lf_text_dataset_class(d, 0), -1);
    lf_text_dataset_free(d);
}

/* ---- folders ---- */

static void make_folder(const char *name) {
    lf_err err = {0};
    assert_ok(lf_mkdir_p(in_scratch(name), &err), err);
}

static void test_folders(void **state) {
    (void)state;
    static const char *const folders[] = {"imdb/train/pos", "imdb/train/neg", "imdb/train/unsup", "imdb/test/pos",
                                          "lines"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) make_folder(folders[i]);
    put_text("imdb/README", "about\n");
    put_text("imdb/imdbEr.txt", "1.5\n");
    put_text("imdb/train/urls_pos.txt", "http://a\n");
    put_text("imdb/train/pos/0_9.txt", "good\nfilm");
    put_text("imdb/train/pos/1_7.txt", "fine");
    put_text("imdb/train/neg/0_2.txt", "bad");
    put_text("imdb/train/unsup/0_0.txt", "unknown");
    put_text("imdb/test/pos/0_8.txt", "great");
    lf_text_dataset *d = open_with("imdb", (lf_text_dataset_opts){.labelling = &needed, .split = "train"});
    check(d, "imdb", "neg|pos", "bad=neg|good\nfilm=pos|fine=pos");
    lf_fingerprint all;
    lf_err err = {0};
    assert_ok(lf_text_dataset_fingerprint(&all, d, &err), err);
    lf_text_dataset_free(d);
    d = open_with("imdb/train", (lf_text_dataset_opts){.labelling = &needed, .split = "val"});
    check(d, "imdb/train", "neg|pos", "bad=neg|good\nfilm=pos|fine=pos");
    lf_text_dataset_free(d);
    put_text("lines/neg.txt", "bad\r\n\n  \nworse\n");
    put_text("lines/pos.txt", "good");
    d = open_with("lines", (lf_text_dataset_opts){.labelling = &needed});
    check(d, "lines", "neg|pos", "bad=neg|worse=neg|good=pos");
    char name[600];
    assert_non_null(strstr(lf_text_dataset_record_name(d, 1, name, sizeof name), "neg.txt: line 4"));
    lf_text_dataset_free(d);
    assert_int_equal(try_open(&d, "imdb", (lf_text_dataset_opts){.labelling = &needed, .split = "val"}, &err),
                     LF_EDATA);
    assert_non_null(strstr(err.message, "split 'val'"));
}

/* ---- labels that are another's ---- */

static void test_relabel(void **state) {
    (void)state;
    static const char *const names[] = {"z", "b", "a"};
    const int32_t to[] = {2, 1};
    lf_err err = {0};
    put_text("r.jsonl", "{\"text\": \"x\", \"label\": \"b\"}\n{\"text\": \"y\", \"label\": \"a\"}\n"
                        "{\"text\": \"v\", \"label\": \"b\"}\n{\"text\": \"w\", \"label\": \"a\"}\n");
    lf_text_dataset *d = open_with("r.jsonl", (lf_text_dataset_opts){.labelling = &needed}), *held;
    assert_ok(lf_text_dataset_split(d, 0.5, 1, &held, &err), err);
    assert_ok(lf_text_dataset_relabel(d, names, 3, to, &err), err);
    int64_t n;
    assert_string_equal(lf_text_dataset_classes(held, &n)[0], "z");
    assert_int_equal(n, 3);
    for (int64_t i = 0; i < 2; i++) {
        lf_text_example e;
        assert_ok(lf_text_dataset_example(held, i, &e, &err), err);
        const int expected = *e.text == 'x' || *e.text == 'v' ? 1 : 2;
        assert_int_equal(lf_text_dataset_class(held, i), expected);
        lf_text_example_free(&e);
    }
    lf_text_dataset_free(held);
    lf_text_dataset_free(d);
}

/* ---- batches ---- */

enum { RECORDS = 21 };

static void put_records(const char *name) {
    lf_string t = {0};
    for (int i = 0; i < RECORDS; i++)
        lf_string_add(&t, "{\"sentence1\": \"%.*s\", \"sentence2\": \"%.*s\", \"label\": %d}\n", i,
                      "abcdefghijklmnopqrstu", i % 3, "xyz", i % 4);
    put_text(name, t.s);
    lf_string_free(&t);
}

static lf_text_loader *loader_from(const lf_text_dataset *d, stand_in *s, int64_t workers, int64_t epoch,
                                   int64_t batch) {
    lf_text_encoder e = encoder_over(s);
    e.encode_pair = stand_in_pair;
    const lf_text_loader_opts o = {.batch_size = 4,
                                   .max_seq_length = 16,
                                   .training = true,
                                   .shuffle = true,
                                   .workers = workers,
                                   .seed = 3,
                                   .first_epoch = epoch,
                                   .first_batch = batch,
                                   .epochs = INT64_MAX};
    lf_text_loader *l;
    lf_err err = {0};
    assert_ok(lf_text_loader_new(&l, d, &e, &o, &err), err);
    return l;
}

/* Row i of the data has i bytes and i % 3 of the second text, at most 16, at least one token (of padding). */
static void check_row(const lf_text_batch *b, int64_t row) {
    const int64_t i = b->indices[row], both = i + i % 3, n = both < 1 ? 1 : both > 16 ? 16 : both;
    assert_int_equal(b->lengths[row], n);
    assert_int_equal(b->classes[row], i % 4);
    for (int64_t t = 0; t < b->T; t++) {
        const int32_t id = b->ids[row * b->T + t], type = b->token_types[row * b->T + t];
        assert_int_equal(type, t < n && t >= i && both > 0);
        if (t < i && t < n) assert_int_equal(id, 'a' + t);
        if (t >= n || both == 0) assert_int_equal(id, PAD);
        if (t < n) assert_int_equal(b->positions[row * b->T + t], t);
    }
}

static void test_batches(void **state) {
    (void)state;
    stand_in s = {0};
    lf_err err = {0};
    put_records("batches.jsonl");
    lf_text_dataset *d = open_with("batches.jsonl", (lf_text_dataset_opts){.labelling = &needed});
    lf_text_loader *l = loader_from(d, &s, 2, 0, 0), *other = loader_from(d, &s, 1, 0, 0);
    const lf_text_batch *b, *c;
    bool seen[RECORDS] = {0};
    assert_int_equal(lf_text_loader_batches_per_epoch(l), 6);
    for (int k = 0; k < 6; k++) {
        assert_ok(lf_text_loader_next(l, &b, &err), err);
        assert_ok(lf_text_loader_next(other, &c, &err), err);
        assert_true(b->T % 8 == 0 && b->T <= 16 && b->T == c->T && b->B == (k == 5 ? 1 : 4));
        assert_int_equal(b->n_targets, b->B);
        assert_memory_equal(b->ids, c->ids, (size_t)(b->B * b->T) * sizeof *b->ids);
        for (int64_t row = 0; row < b->B; row++) {
            assert_false(seen[b->indices[row]]);
            seen[b->indices[row]] = true;
            check_row(b, row);
        }
    }
    /* what a run that goes on gets is what it would have got */
    for (int k = 0; k < 3; k++) assert_ok(lf_text_loader_next(l, &b, &err), err);
    lf_text_loader_free(other);
    other = loader_from(d, &s, 2, 1, 2);
    assert_ok(lf_text_loader_next(other, &c, &err), err);
    assert_true(b->epoch == 1 && b->number == 2 && c->epoch == 1 && c->number == 2 && b->T == c->T);
    assert_memory_equal(b->indices, c->indices, (size_t)b->B * sizeof *b->indices);
    assert_memory_equal(b->ids, c->ids, (size_t)(b->B * b->T) * sizeof *b->ids);
    assert_memory_equal(b->classes, c->classes, (size_t)b->B * sizeof *b->classes);
    assert_true(lf_text_loader_stats(l).truncated_documents > 0);
    lf_text_loader_free(l);
    lf_text_loader_free(other);
    lf_text_dataset_free(d);
}

/* Out of memory anywhere is an error and leaves nothing behind. */
static void test_no_memory(void **state) {
    (void)state;
    put_records("memory.jsonl");
    const int64_t live = lf_alloc_live();
    lf_status rc = LF_ENOMEM;
    for (int64_t k = 0; rc; k++) {
        lf_text_dataset *d = NULL;
        lf_err err = {0};
        lf_alloc_fail_after(k);
        rc = try_open(&d, "memory.jsonl", (lf_text_dataset_opts){.labelling = &needed}, &err);
        lf_alloc_fail_after(-1);
        if (rc && rc != LF_ENOMEM) fail_msg("allocation %d: %s", (int)k, err.message);
        lf_text_dataset_free(d);
        assert_int_equal(lf_alloc_live(), live);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),     cmocka_unit_test(test_bad),     cmocka_unit_test(test_maybe_and_ignored),
        cmocka_unit_test(test_folders),  cmocka_unit_test(test_relabel), cmocka_unit_test(test_batches),
        cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
