/* Which label a class of pictures gets: by folder, by a label_map, by a file of labels; what is no class at all; and
 * what is said where it cannot be known. */
#define _POSIX_C_SOURCE 200809L
#include "stderr_fixture.h"

#include "eval/eval.h"

enum { MOST = 12 };

/* A data set as text: pictures, "|" between them ("train/cat/0"; their level is their place), and files with content.
 */
typedef struct tree {
    const char *pictures;
    struct {
        const char *name, *content;
    } files[3];
} tree;

static void make_tree(const tree *t) {
    char all[600], *save = NULL;
    unsigned char level = 0;
    assert_int_equal(lf_remove_tree(in_scratch("t"), NULL), LF_OK);
    put_bytes("t/.keep", "", 0);
    snprintf(all, sizeof all, "%s", t->pictures);
    for (char *name = strtok_r(all, "|", &save); name; name = strtok_r(NULL, "|", &save)) {
        char path[200];
        snprintf(path, sizeof path, "t/%s.pgm", name);
        put_picture(path, 2, 2, level++);
    }
    for (size_t i = 0; i < 3 && t->files[i].name; i++) {
        char path[200];
        snprintf(path, sizeof path, "t/%s", t->files[i].name);
        put_bytes(path, t->files[i].content, strlen(t->files[i].content));
    }
}

/* Opens t for a split, with further keys of the spec (%s in them is the scratch folder); names NULL: the data's own. */
static lf_status open_tree(lf_dataset **d, const char *split, const char *keys, const char *names, int problem,
                           lf_err *err) {
    char more[300], text[900], list[300], *save = NULL;
    const char *labels[MOST];
    int64_t n = 0;
    cJSON *spec = NULL;
    snprintf(list, sizeof list, "%s", names ? names : "");
    for (char *name = strtok_r(list, "|", &save); name; name = strtok_r(NULL, "|", &save)) labels[n++] = name;
    snprintf(more, sizeof more, keys ? keys : "", scratch);
    snprintf(text, sizeof text, "{\"path\": \"%s/t\"%s%s}", scratch, keys ? ", " : "", more);
    assert_ok(lf_json_parse(&spec, text, strlen(text), "spec", err), *err);
    const lf_dataset_opts o = {.spec = spec,
                               .key = "data",
                               .split = split,
                               .problem_known = problem > 0,
                               .problem = problem > 0 ? (lf_problem)(problem - 1) : LF_SINGLE_LABEL};
    *d = NULL;
    const lf_status rc = names ? lf_open_labelled(d, &o, labels, n, err) : lf_dataset_open(d, &o, err);
    cJSON_Delete(spec);
    return rc;
}

/* The class of example i, or several: "cat+dog". */
static void put_classes(char *out, size_t size, const lf_dataset *d, int64_t i) {
    float values[MOST];
    out[0] = 0;
    if (!lf_dataset_several(d)) {
        snprintf(out, size, "%s", lf_dataset_class_name(d, lf_dataset_label(d, i)));
        return;
    }
    assert_int_equal(lf_dataset_label(d, i), -1);
    lf_dataset_values(d, i, values);
    for (int64_t c = 0; c < lf_dataset_n_classes(d); c++) {
        const size_t used = strlen(out);
        assert_true(values[c] == 0 || values[c] == 1);
        if (values[c] > 0) snprintf(out + used, size - used, "%s%s", used ? "+" : "", lf_dataset_class_name(d, c));
    }
}

/* "1=cat 0=dog": of each example its picture's level and its class, or several. */
static void list_labels(char *out, size_t size, const lf_dataset *d) {
    out[0] = 0;
    for (int64_t i = 0; i < lf_dataset_count(d); i++) {
        lf_image img;
        lf_err err = {0};
        assert_ok(lf_dataset_image(d, i, &img, &err), err);
        const size_t used = strlen(out);
        char classes[200];
        put_classes(classes, sizeof classes, d, i);
        snprintf(out + used, size - used, "%s%d=%s", i ? " " : "", img.pixels[0], classes);
        lf_image_free(&img);
    }
}

typedef struct reading {
    tree tree;
    const char *split, *keys, *names;
    const char *is;   /* NULL: it is refused */
    const char *says; /* the error, or a part of what is said; NULL: not a word */
} reading;

/* problem 0: what the labels look like; else 1 + what is asked for. */
static void check_asked(const reading *r, int problem) {
    char is[400];
    lf_dataset *d;
    lf_err err = {0};
    const int64_t live = lf_alloc_live();
    make_tree(&r->tree);
    hear_begin(LF_LOG_INFO);
    const lf_status rc = open_tree(&d, r->split, r->keys, r->names, problem, &err);
    const char *said = hear_end();
    if (r->is) {
        assert_ok(rc, err);
        list_labels(is, sizeof is, d);
        assert_string_equal(is, r->is);
        assert_heard(said, r->says);
    } else {
        assert_says(rc, rc == LF_EUSAGE ? LF_EUSAGE : LF_EDATA, err, r->says);
        assert_null(d);
    }
    lf_dataset_free(d);
    assert_int_equal(lf_alloc_live(), live);
}

static void check(const reading *r) { check_asked(r, 0); }

#define CHECK(all)                                                                                                     \
    for (size_t i = 0; i < sizeof(all) / sizeof *(all); i++) check(&(all)[i])

#define THREE "apple|bear|cat"

static void test_names(void **state) {
    (void)state;
    static const reading all[] = {
        {{"apple/0|bear/0|cat/0", {{0}}}, NULL, NULL, "cat|bear|apple", "0=apple 1=bear 2=cat", NULL},
        {{"cat/0", {{0}}}, NULL, NULL, THREE, "0=cat", NULL}, /* some of them are enough */
        {{"Cat/0|apple/0|bear/0", {{0}}},
         NULL,
         NULL,
         THREE,
         NULL,
         "of its 3 classes 1 are not among the 3 expected ones: 'Cat'; expected 'apple', 'bear', 'cat'; is 'Cat' "
         "called 'cat'?"},
        {{"Cat/0|Apple/0|Bear/0", {{0}}}, NULL, NULL, THREE, NULL, "is 'Apple' called 'apple'?"}, /* not sorted: they
                                                                                                     have names */
        {{"dog/0|apple/0", {{0}}},
         NULL,
         NULL,
         THREE,
         NULL,
         "not among the 3 expected ones: 'dog'; expected 'apple', 'bear', 'cat'; rename"},
        {{"apple/0|bear/0|cat/0|dog/0", {{0}}}, NULL, NULL, THREE, NULL, "of its 4 classes 1 are not among"},
        {{"golden_retriever/0", {{0}}},
         NULL,
         NULL,
         "Golden Retriever|pug",
         NULL,
         "is 'golden_retriever' called 'Golden Retriever'?"},
        {{"tench/0", {{0}}},
         NULL,
         NULL,
         "goldfish, Carassius auratus|tench, Tinca tinca",
         NULL,
         "is 'tench' called 'tench, Tinca tinca'?"},
        {{"apple /0|bear/0|cat/0", {{0}}}, NULL, NULL, THREE, NULL, "is 'apple ' called 'apple'?"},
        /* no name is known */
        {{"n01/0|n02/0|n03/0", {{0}}},
         NULL,
         NULL,
         THREE,
         "0=apple 1=bear 2=cat",
         "none of its classes ('n01', ...) is among the labels ('apple', ...); there are as many, so in sorted order"},
        {{"n01/0|n02/0", {{0}}},
         NULL,
         NULL,
         THREE,
         NULL,
         "of its 2 classes 2 are not among the 3 expected ones: 'n01', 'n02'; expected 'apple', 'bear', 'cat'"},
        {{"n01/0|n02/0|n03/0|n04/0", {{0}}}, NULL, NULL, THREE, NULL, "of its 4 classes 4 are not among"},
        /* numbers are labels */
        {{"0/0|2/0", {{0}}}, NULL, NULL, THREE, "0=apple 1=cat", "its classes are numbers"},
        {{"0/0|1/0|10/0|2/0", {{0}}},
         NULL,
         NULL,
         "a|b|c|d|e|f|g|h|i|j|k|l",
         "0=a 1=b 2=k 3=c",
         "its classes are numbers, taken for those of the labels: 0 is 'a'"},
        {{"001/0|002/0|010/0", {{0}}}, NULL, NULL, "1|2|10", NULL, "is '001' called '1'?"},
        {{"0/0|3/0", {{0}}},
         NULL,
         NULL,
         THREE,
         NULL,
         "numbers up to 3; expected 0 to 2, for the labels ('apple', ...)"},
        {{"00/0|01/0|02/0", {{0}}}, NULL, NULL, THREE, "0=apple 1=bear 2=cat", "in sorted order"},
        {{"1/0|2/0", {{0}}}, NULL, NULL, "1|2|3", "0=1 1=2", NULL}, /* they are names */
    };
    CHECK(all);
}

/* What examples are of, by number: names cannot tell. */
static void check_numbers(const lf_dataset *d, const char *wanted) {
    char is[200] = "";
    for (int64_t i = 0; i < lf_dataset_count(d); i++) {
        const size_t used = strlen(is);
        snprintf(is + used, sizeof is - used, "%s%d", i ? " " : "", (int)lf_dataset_label(d, i));
    }
    assert_string_equal(is, wanted);
}

/* Two labels of one name, as ImageNet has them. */
static void test_labels_of_one_name(void **state) {
    (void)state;
    static const struct {
        const char *pictures, *keys, *labels;
        const char *numbers; /* NULL: it is refused */
        const char *says;
    } cases[] = {
        {"crane/0|owl/0", NULL, "owl|crane|cat|crane", NULL,
         "the class 'crane' may be label 1 or label 3, which have the same name; name its number in a label_map: "
         "{\"crane\": 1}"},
        {"crane/0", NULL, "crane|crane", NULL, "may be label 0 or label 1"},
        {"n1/0|n2/0", "\"label_map\": {\"n1\": \"crane\", \"n2\": \"owl\"}", "owl|crane|cat|crane", NULL,
         "name its number in a label_map: {\"n1\": 1}"},
        {"owl/0|cat/0", NULL, "owl|crane|cat|crane", "2 0", NULL}, /* in the order of folders: cat, owl */
        {"crane/0|owl/0", "\"label_map\": {\"crane\": 3}", NULL, NULL, "class 'owl' is neither"},
        {"crane/0|owl/0", "\"label_map\": {\"crane\": 3, \"owl\": \"owl\"}", "owl|crane|cat|crane", "3 0", NULL},
        {"crane/0|owl/0", "\"label_map\": {\"crane\": \"1\", \"owl\": \"owl\"}", "owl|crane|cat|crane", "1 0", NULL},
        {"n1/0|n2/0|owl/0", "\"label_map\": {\"n1\": 3, \"n2\": 1, \"owl\": \"owl\"}", "owl|crane|cat|crane", "3 1 0",
         NULL},
        {"n1/0|n2/0|n3/0", "\"label_map\": {\"n1\": 1, \"n2\": 1, \"n3\": 0}", "owl|crane|cat|crane", "1 1 0", NULL},
        {"n1/0|0/0", "\"label_map\": {\"n1\": 2, \"0\": 0}", "owl|crane|cat|crane", "0 2", NULL},
        {"crane/0|owl/0", "\"label_map\": {\"crane\": 4, \"owl\": \"owl\"}", "owl|crane|cat|crane", NULL,
         "are not among the 4 expected ones: 'crane -> 4'"},
        {"crane/0|owl/0|3/0", NULL, "owl|crane|cat|bear", NULL, "are not among the 4 expected ones: '3'"},
        {"n1/0|owl/0", "\"label_map\": {\"n1\": 3, \"owl\": \"owl\"}", "owl|3|cat|crane", "1 0", NULL}, /* a name */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const tree t = {cases[i].pictures, {{0}}};
        lf_dataset *d;
        lf_err err = {0};
        make_tree(&t);
        const lf_status rc = open_tree(&d, NULL, cases[i].keys, cases[i].labels, 0, &err);
        if (cases[i].numbers) {
            assert_ok(rc, err);
            check_numbers(d, cases[i].numbers);
        } else {
            assert_says(rc, LF_EDATA, err, cases[i].says);
        }
        lf_dataset_free(d);
    }
}

static void test_label_map(void **state) {
    (void)state;
    static const reading all[] = {
        {{"n01/0|n02/0", {{"m.json", "{\"n01\": \"cat\", \"n02\": \"apple\", \"n99\": \"unused\"}"}}},
         NULL,
         "\"label_map\": \"%s/t/m.json\"",
         THREE,
         "0=cat 1=apple",
         NULL},
        {{"n01/0|n02/0", {{".m.csv", "folder,class\nn01,cat\nn02,\"bear\"\n"}}},
         NULL,
         "\"label_map\": \"%s/t/.m.csv\"",
         THREE,
         "0=cat 1=bear",
         NULL},
        {{"n01/0|n02/0", {{".m.csv", "n01;cat\r\nn02;bear\r\n"}}},
         NULL,
         "\"label_map\": \"%s/t/.m.csv\"",
         THREE,
         "0=cat 1=bear",
         "semicolons"},
        {{"n01/0|n02/0", {{".m.tsv", "n01\ttench, Tinca\nn02\tbear\n"}}},
         NULL,
         "\"label_map\": \"%s/t/.m.tsv\"",
         "bear|tench, Tinca",
         "0=tench, Tinca 1=bear",
         NULL},
        {{"n01/0|cat/0", {{0}}},
         NULL,
         "\"label_map\": {\"n01\": \"cat\"}",
         THREE,
         "1=cat 0=cat",
         NULL}, /* two folders of one class, one by its own name */
        {{"n02/0|n01/0", {{0}}},
         NULL,
         "\"label_map\": {\"n01\": 2, \"n02\": 0}",
         THREE,
         "1=cat 0=apple",
         "its classes are numbers"},
        {{"n01/0|n02/0", {{0}}},
         NULL,
         "\"label_map\": {\"n01\": \"pug\", \"n02\": \"corgi\"}",
         NULL,
         "0=pug 1=corgi",
         NULL}, /* for a new head */
        {{"n01/0|n02/0", {{0}}},
         NULL,
         "\"label_map\": {\"n01\": \"tiger\", \"n02\": \"cat\"}",
         THREE,
         NULL,
         "not among the 3 expected ones: 'n01 -> tiger'; expected 'apple', 'bear', 'cat'"},
        {{"n01/0|n02/0", {{0}}},
         NULL,
         "\"label_map\": {\"n01\": \"cat\"}",
         NULL,
         NULL,
         "class 'n02' is neither a name nor a class in the label_map label_map, which has 'n01'"},
        {{"cat/0|bear/0", {{0}}},
         NULL,
         "\"label_map\": {\"Katze\": \"cat\", \"Bear\": \"bear\"}",
         THREE,
         NULL,
         "has the class 'bear' on its right side only; "},
        {{"aardvark/0|cat/0|zebra/0", {{0}}},
         NULL,
         "\"label_map\": {\"Katze\": \"cat\", \"Zebra\": \"zebra\"}",
         THREE,
         NULL,
         "has the class 'cat' on its right side only; expected names in the data on the left and classes on the right; "
         "is it the other way round?"},
        {{"n01/0", {{0}}},
         NULL,
         "\"label_map\": {\"n01\": [\"n01\", \"cat\"]}",
         THREE,
         NULL,
         "key 'n01': expected the name of a class"},
        {{"n01/0", {{0}}}, NULL, "\"label_map\": {}", THREE, NULL, "there is nothing in it"},
        {{"n01/0", {{0}}}, NULL, "\"label_map\": 3", THREE, NULL, "'label_map': expected a path, or an object"},
        {{"n01/0", {{".m.csv", "n01,cat\nn01,bear\n"}}},
         NULL,
         "\"label_map\": \"%s/t/.m.csv\"",
         THREE,
         NULL,
         "'n01' is there twice, in lines 1 and 2"},
        {{"n01/0", {{".m.csv", "n01,cat,x\n"}}},
         NULL,
         "\"label_map\": \"%s/t/.m.csv\"",
         THREE,
         NULL,
         "line 1: expected two fields, a name in the data and its class, found 3"},
    };
    CHECK(all);
}

/* An adapter's files could not hold them: what comes back would be another name. */
static void test_names_that_are_not_utf8(void **state) {
    (void)state;
    static const reading all[] = {
        {{"\xff\xfe/0|dog/0", {{0}}},
         NULL,
         NULL,
         NULL,
         NULL,
         "t: the name of the class '\\xff\\xfe' is not UTF-8; expected text that is; rename the class's folder"},
        {{"caf\xe9/0|dog/0", {{0}}}, NULL, NULL, THREE, NULL, "the class 'caf\\xe9' is not UTF-8"},
        {{"\xc3\xa9\xed\xa0\x80/0|dog/0", {{0}}}, NULL, NULL, NULL, NULL, "class '\xc3\xa9\\xed\\xa0\\x80' is not"},
        {{"train/\xc0\xaf/0|train/dog/0", {{0}}},
         "train",
         NULL,
         NULL,
         NULL,
         "train: the name of the class '\\xc0\\xaf'"},
        {{"\x80/0", {{0}}}, NULL, "\"label_map\": {\"a\": \"cat\"}", NULL, NULL, "the class '\\x80' is not UTF-8"},
        {{"caf\xc3\xa9/0|\xf0\x9f\x90\x95/0", {{0}}}, NULL, NULL, NULL, "0=caf\xc3\xa9 1=\xf0\x9f\x90\x95", NULL},
    };
    CHECK(all);
}

static void test_folders_of_splits(void **state) {
    (void)state;
    static const reading all[] = {
        {{"train/a|test/b", {{0}}},
         "train",
         NULL,
         NULL,
         NULL,
         "pictures lie directly in 'test', 'train', which are names of splits and no classes; expected "
         "train/CLASS/picture.jpg, or a metadata.csv"},
        {{"train/a", {{0}}}, "train", NULL, NULL, NULL, "pictures lie directly in 'train'"},
        {{"Train/a|Validation/b", {{0}}}, "train", NULL, NULL, NULL, "pictures lie directly in 'Train', 'Validation'"},
        {{"training/a|dev/b|testing/c", {{0}}},
         NULL,
         NULL,
         NULL,
         NULL,
         "pictures lie directly in 'dev', 'testing', 'training'"},
        {{"TRAIN/a|eval/b", {{0}}}, "val", NULL, NULL, NULL, "pictures lie directly in 'TRAIN', 'eval'"},
        {{"train/a|valid/b|extra/c", {{0}}}, "train", NULL, NULL, NULL, "pictures lie directly in 'train', 'valid'"},
        {{"train/a|val/cat/b|val/dog/c", {{0}}}, "train", NULL, NULL, NULL, "pictures lie directly in 'train'"},
        {{"train/cat/a|train/dog/b|eval/cat/c", {{0}}}, "val", NULL, NULL, "2=cat", NULL},
        {{"train/a|car/b", {{0}}}, "train", NULL, NULL, "1=car 0=train", NULL}, /* a class of trains */
        {{"val/cat/a|validation/cat/b", {{0}}},
         "val",
         NULL,
         NULL,
         NULL,
         "'val' and 'validation' may both be the split 'val'"},
        {{"pets/train/cat/a|pets/test/cat/b", {{0}}},
         "train",
         NULL,
         NULL,
         NULL,
         "its only folder 'pets' is no class but holds 'train', 'test'; expected FOLDER/CLASS/picture.jpg, or"},
        {{"cat/train/a|cat/test/b|dog/x", {{0}}},
         NULL,
         NULL,
         NULL,
         "1=cat 0=cat 2=dog",
         "t/cat holds 'train', 'test': the pictures of all of them are read as one"},
        {{"pets/eval/cat/a|pets/t10k/cat/b", {{0}}},
         "train",
         NULL,
         NULL,
         NULL,
         "its only folder 'pets' is no class but holds 'eval', 't10k'; expected"},
        {{"cat/evaluation/a|dog/x", {{0}}}, NULL, NULL, NULL, "0=cat 1=dog", "t/cat holds 'evaluation': the pictures"},
        {{"train/cat/a|train/dog/b|test/c|test/d", {{0}}}, /* as competitions have it */
         "train",
         NULL,
         NULL,
         "0=cat 1=dog",
         "pictures lie directly in 'test', which have no class there; nothing is read from it; expected test/CLASS/"},
        {{"train/cat/a|train/dog/b|val/cat/c|val/dog/d|val/e", {{0}}},
         "train",
         NULL,
         NULL,
         "0=cat 1=dog",
         "pictures lie directly in 'val', which have no class there"},
        {{"train/cat/a|train/dog/b|stray|x/y", {{0}}},
         "train",
         NULL,
         NULL,
         "0=cat 1=dog",
         "beside the folders of splits there are 1 pictures and the folders 'x', which are not read"},
    };
    CHECK(all);
}

#define META(text)                                                                                                     \
    {                                                                                                                  \
        { "metadata.csv", text }                                                                                       \
    }

static void test_labels_file(void **state) {
    (void)state;
    static const reading all[] = {
        {{"a|b|sub/c", META("file_name,label\nb.pgm,dog\na.pgm,cat\nsub/c.pgm,cat\n")},
         "train",
         NULL,
         NULL,
         "0=cat 1=dog 2=cat",
         "the labels are those of "},
        {{"train/a|train/b|test/c",
          {{"train/metadata.csv", "file_name,label\na.pgm,dog\nb.pgm,cat\n"},
           {"test/metadata.csv", "file_name,label\nc.pgm,dog\n"}}},
         "test",
         NULL,
         "cat|dog",
         "2=dog",
         "the labels are those of "},
        {{"train/a|test/c", META("file_name,label\ntrain/a.pgm,dog\n./test/c.pgm,cat\n")},
         "train",
         NULL,
         NULL,
         "0=dog",
         "the labels are those of "},
        {{"a|b",
          {{"metadata.jsonl",
            "{\"file_name\": \"a.pgm\", \"label\": \"x\"}\n\n{\"label\": 1, \"file_name\": \"b.pgm\"}\n"}}},
         NULL,
         NULL,
         NULL,
         "0=x 1=1",
         "the labels are those of "},
        {{"a|b",
          {{"labels.csv", "\xef\xbb\xbf"
                          "file_name;class\r\na.pgm;\"one; two\"\r\nb.pgm;three\r\n"}}},
         NULL,
         NULL,
         NULL,
         "0=one; two 1=three",
         "the labels are those of "},
        {{"a|b", {{"labels.tsv", "category\tfile_name\n\"x\ta.pgm\ny\tb.pgm\n"}}},
         NULL,
         NULL,
         NULL,
         "0=\"x 1=y",
         "the labels are those of "},
        {{"a|b", META("file_name,breed,label\na.pgm,pug,dog\nb.pgm,corgi,dog\n")},
         NULL,
         "\"label_field\": \"breed\"",
         NULL,
         "0=pug 1=corgi",
         "its columns 'label' are not read"},
        {{"a|b|c", META("file_name,label\na.pgm,10\nb.pgm,9\nc.pgm,9\n")},
         NULL,
         NULL,
         "a|b|c|d|e|f|g|h|i|j|k",
         "0=k 1=j 2=j",
         "the labels are those of "}, /* numbers */
        {{"cat/a|cat/b", META("file_name,label\ncat/a.pgm,x\ncat/b.pgm,y\n")},
         NULL,
         NULL,
         NULL,
         "0=x 1=y",
         "the labels are those of "}, /* it wins over folders, as in datasets */
        {{"a|b", META("file_name,label\na.pgm,n01\nb.pgm,n02\n")},
         NULL,
         "\"label_map\": {\"n01\": \"cat\", \"n02\": \"apple\"}",
         THREE,
         "0=cat 1=apple",
         "the labels are those of "},
        {{"a|b|c", META("file_name,label\na.pgm,x\n")}, NULL, NULL, NULL, "0=x", "2 pictures are left out: "},
        {{"cat/a|dog/b", META("file_name,text\ncat/a.pgm,a cat\n")},
         NULL,
         NULL,
         NULL,
         "0=cat 1=dog",
         "metadata.csv is not read: no column label, class or category; it has 'file_name', 'text'"},
        {{"cat/a|dog/b", {{"labels.csv", "id,breed\n1,pug\n"}}},
         NULL,
         NULL,
         NULL,
         "0=cat 1=dog",
         "labels.csv is not read: no column 'file_name'; it has 'id', 'breed'"},
        /* refused */
        {{"a|b", META("file_name,label\na.pgm,x\nc.pgm,y\nd.pgm,y\n")},
         NULL,
         NULL,
         NULL,
         NULL,
         "of 3 files that it names, 2 are not there, or are no pictures that are read: 'c.pgm', 'd.pgm'"},
        {{"a", META("file_name,label\na.pgm,x\na.pgm,y\n")},
         NULL,
         NULL,
         NULL,
         NULL,
         "'a.pgm' is named twice, in lines 2 and 3; a picture has one label"},
        {{"a", META("file_name,label,class\na.pgm,x,y\n")},
         NULL,
         NULL,
         NULL,
         NULL,
         "'label' and 'class' may both be the label; say which: "},
        {{"a", META("file_name,breed\na.pgm,x\n")},
         NULL,
         NULL,
         NULL,
         NULL,
         "names no labels: no column label, class or category; it has 'file_name', 'breed'; \"label_field\" may name "
         "another"},
        {{"a", META("id,label\n1,x\n")}, NULL, NULL, NULL, NULL, "no column 'file_name'; it has 'id', 'label'"},
        {{"a", META("file_name,label\na.pgm,x\n")},
         NULL,
         "\"label_field\": \"breed\"",
         NULL,
         NULL,
         "'label_field' is 'breed', but "},
        {{"cat/a", {{0}}}, NULL, "\"label_field\": \"breed\"", NULL, NULL, "there is no metadata.csv"},
        {{"a", META("file_name,label\n../a.pgm,x\n")},
         NULL,
         NULL,
         NULL,
         NULL,
         "line 2: file_name '../a.pgm': expected a path below"},
        {{"a", META("file_name,label\n/etc/passwd,x\n")},
         NULL,
         NULL,
         NULL,
         NULL,
         "line 2: file_name '/etc/passwd': expected a path below"},
        {{"a", META("file_name,label\na.pgm,\n")}, NULL, NULL, NULL, NULL, "line 2: the label is empty"},
        {{"a", META("file_name,label\na.pgm\n")},
         NULL,
         NULL,
         NULL,
         NULL,
         "line 2: expected 2 fields as the first line has, found 1"},
        {{"a", META("file_name,label\n")}, NULL, NULL, NULL, NULL, "a heading, and no row"},
        {{"a", META("")}, NULL, NULL, NULL, NULL, "nothing in it"},
        {{"a", {{"metadata.csv", "file_name,label\na.pgm,x\n"}, {"labels.csv", "file_name,label\na.pgm,y\n"}}},
         NULL,
         NULL,
         NULL,
         NULL,
         "may both hold the labels"},
        {{"a", {{"metadata.jsonl", "{\"file_name\": \"a.pgm\", \"label\": {}}\n"}}},
         NULL,
         NULL,
         NULL,
         NULL,
         "line 1: expected a label that is a text or a number, or a list of them"},
        {{"a", {{"metadata.jsonl", "{\"file_name\": \"a.pgm\", \"label\": null}\n"}}},
         NULL,
         NULL,
         NULL,
         NULL,
         "line 1: expected 'label' with a text or a number, or a list of them, found none"},
        {{"a", {{"metadata.jsonl", "{\"file_name\": \"a.pgm\"\n"}}}, NULL, NULL, NULL, NULL, "metadata.jsonl: line 1"},
        {{"a|b", {{0}}},
         NULL,
         NULL,
         NULL,
         NULL,
         "there are pictures, but no class folders; expected FOLDER/CLASS/picture.jpg, or "
         "FOLDER/train/CLASS/picture.jpg (also val, test), or a metadata.csv"},
    };
    CHECK(all);
}

#define LINES(text)                                                                                                    \
    {                                                                                                                  \
        { "metadata.jsonl", text }                                                                                     \
    }
#define LINE(name, label) "{\"file_name\": \"" name ".pgm\", \"labels\": " label "}\n"
#define SEVERAL           (1 + LF_MULTI_LABEL)
#define ONE               (1 + LF_SINGLE_LABEL)

/* Where pictures have several classes, and where they have one although it is written as if there were several. */
static void test_several(void **state) {
    (void)state;
    static const struct {
        reading reading;
        int problem;
    } all[] = {
        {{{"a|b|c", LINES(LINE("a", "[\"y\", \"x\"]") LINE("b", "[]") LINE("c", "[\"z\"]"))},
          NULL,
          NULL,
          NULL,
          "0=x+y 1= 2=z",
          "the labels are those of "},
         0},
        {{{"a|b", LINES(LINE("a", "[10, 9]") LINE("b", "[9]"))},
          NULL,
          NULL,
          NULL,
          "0=9+10 1=9",
          "the labels are those of "},
         0},
        {{{"a|b", LINES(LINE("a", "[1, 0, 1]") LINE("b", "[0, 0, 0]"))},
          NULL,
          NULL,
          NULL,
          "0=0+2 1=",
          "the labels are those of "},
         0}, /* a mark a class */
        {{{"a|b", LINES(LINE("a", "[\"x\"]") LINE("b", "[\"y\"]"))},
          NULL,
          NULL,
          NULL,
          "0=x 1=y",
          "the labels are those of "},
         ONE},
        {{{"a|b", LINES(LINE("a", "[\"x\", \"y\"]") LINE("b", "[\"y\"]"))},
          NULL,
          NULL,
          NULL,
          NULL,
          "line 1: expected one label (problem_type single_label_classification), found several"},
         ONE},
        {{{"a|b", META("file_name,label\na.pgm,\"[\"\"x\"\", \"\"z\"\"]\"\nb.pgm,[]\n")},
          NULL,
          NULL,
          NULL,
          "0=x+z 1=",
          "the labels are those of "},
         0}, /* as JSON, in a table */
        {{{"a|b|c", META("file_name,tags\na.pgm,haze primary\nb.pgm,primary\nc.pgm,\n")},
          NULL,
          "\"label_separator\": \" \"",
          NULL,
          "0=haze+primary 1=primary 2=",
          "the labels are those of "},
         0},
        {{{"a|b", META("file_name,findings,label\na.pgm,x | y||x,1\nb.pgm,y,2\n")},
          NULL,
          "\"label_separator\": \"|\", \"label_field\": \"findings\"",
          NULL,
          "0=x+y 1=y",
          "its columns 'label' are not read"},
         0},
        {{{"a|b", META("file_name,label\na.pgm,x|y\nb.pgm,y\n")},
          NULL,
          NULL,
          NULL,
          "0=x|y 1=y",
          "one of its 2 classes is 'x|y'; are these several classes? \"label_separator\": \"|\""},
         0},
        {{{"a|b|c", META("file_name,dog,id,cat\na.pgm,1,7,0\nb.pgm,0.0,8,1.0\nc.pgm,false,9,FALSE\n")},
          NULL,
          "\"label_columns\": [\"dog\", \"cat\"]",
          NULL,
          "0=dog 1=cat 2=",
          "its columns 'id' are not read"},
         0},
        {{{"a|b", LINES("{\"file_name\": \"a.pgm\", \"sun\": true, \"rain\": 1}\n"
                        "{\"file_name\": \"b.pgm\", \"sun\": 0, \"rain\": false}\n")},
          NULL,
          "\"label_columns\": [\"rain\", \"sun\"]",
          NULL,
          "0=rain+sun 1=",
          "the labels are those of "},
         0},
        {{{"a|b", META("file_name,dog,cat\na.pgm,1,0\nb.pgm,0,1\n")},
          NULL,
          "\"label_columns\": [\"dog\", \"cat\"]",
          NULL,
          "0=dog 1=cat",
          "the labels are those of "},
         ONE},
        {{{"train/a|test/c",
           META("file_name,label\ntrain/a.pgm,\"[\"\"x\"\"]\"\ntest/c.pgm,\"[\"\"y\"\", \"\"z\"\"]\"\n")},
          "test",
          NULL,
          NULL,
          "1=y+z",
          "the labels are those of "},
         0}, /* of classes those that the part has */
        {{{"cat/0|dog/0|dog/1", {{0}}}, NULL, NULL, NULL, "0=cat 1=dog 2=dog", NULL}, SEVERAL},
        {{{"cat/0|dog/0", {{0}}}, NULL, NULL, "owl|dog|cat", "0=cat 1=dog", NULL}, SEVERAL},
        {{{"a|b", LINES(LINE("a", "[\"cat\", \"apple\"]") LINE("b", "[\"cat\"]"))},
          NULL,
          NULL,
          THREE,
          "0=apple+cat 1=cat",
          "the labels are those of "},
         SEVERAL},
        {{{"a|b", LINES(LINE("a", "[\"n1\", \"n2\"]") LINE("b", "[\"n3\"]"))},
          NULL,
          "\"label_map\": {\"n1\": \"cat\", \"n2\": \"apple\", \"n3\": \"apple\"}",
          NULL,
          "0=apple+cat 1=apple",
          "the labels are those of "},
         0},
        /* refused */
        {{{"a|b", META("file_name,dog,cat\na.pgm,1,0\nb.pgm,,1\n")},
          NULL,
          "\"label_columns\": [\"dog\", \"cat\"]",
          NULL,
          NULL,
          "line 3: expected 0 or 1 in the column 'dog' (label_columns), found ''"},
         0},
        {{{"a", META("file_name,dog\na.pgm,-1\n")},
          NULL,
          "\"label_columns\": [\"dog\"]",
          NULL,
          NULL,
          "line 2: expected 0 or 1 in the column 'dog'"},
         0},
        {{{"a", META("file_name,dog\na.pgm,1\n")},
          NULL,
          "\"label_columns\": [\"dog\", \"owl\"]",
          NULL,
          NULL,
          "no column 'owl' (label_columns)"},
         0},
        {{{"a", META("file_name,dog\na.pgm,1\n")},
          NULL,
          "\"label_columns\": [\"dog\"], \"label_field\": \"dog\"",
          NULL,
          NULL,
          "both say where labels are"},
         0},
        {{{"a", META("file_name,dog\na.pgm,1\n")},
          NULL,
          "\"label_columns\": [\"dog\", \"dog\"]",
          NULL,
          NULL,
          "'label_columns': expected a list of the columns"},
         0},
        {{{"a", META("file_name,dog\na.pgm,1\n")},
          NULL,
          "\"label_columns\": \"dog\"",
          NULL,
          NULL,
          "'label_columns': expected a list of the columns"},
         0},
        {{{"a", META("file_name,label\na.pgm,1\n")},
          NULL,
          "\"label_separator\": \"\"",
          NULL,
          NULL,
          "'label_separator': expected what stands between"},
         0},
        {{{"cat/a", {{0}}}, NULL, "\"label_separator\": \"|\"", NULL, NULL, "'label_separator' is '|', but "}, 0},
        {{{"cat/a", {{0}}}, NULL, "\"label_columns\": [\"x\"]", NULL, NULL, "'label_columns' are given, but "}, 0},
        {{{"a|b", LINES(LINE("a", "[]") LINE("b", "[]"))},
          NULL,
          NULL,
          NULL,
          NULL,
          "no record has a label: all lists are empty"},
         0},
        {{{"a|b", LINES(LINE("a", "[null]") LINE("b", "[]"))},
          NULL,
          NULL,
          NULL,
          NULL,
          "line 1: expected a label that is a text or a number, or a list of them, found null"},
         0},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) check_asked(&all[i].reading, all[i].problem);
}

static void test_without_labels(void **state) {
    (void)state;
    const tree t = {"a", META("file_name,label\na.pgm,x\n")};
    static const char nul[] = "{\"file_name\": \"a.pgm\", \"label\": \"x\"}\n\0\n";
    char text[400];
    cJSON *spec = NULL;
    lf_dataset *d = NULL;
    lf_err err = {0};
    make_tree(&t);
    snprintf(text, sizeof text, "{\"path\": \"%s/t\", \"label_map\": {\"x\": \"y\"}}", scratch);
    assert_ok(lf_json_parse(&spec, text, strlen(text), "spec", &err), err);
    const lf_dataset_opts o = {.spec = spec, .key = "data", .unlabelled = true};
    assert_says(lf_dataset_open(&d, &o, &err), LF_EUSAGE, err, "are for data with labels, which are not read here");
    cJSON_Delete(spec);
    assert_int_equal(lf_remove_tree(in_scratch("t/metadata.csv"), NULL), LF_OK);
    put_bytes("t/metadata.jsonl", nul, sizeof nul - 1);
    assert_says(open_tree(&d, NULL, NULL, NULL, 0, &err), LF_EDATA, err, "metadata.jsonl: a NUL byte");
}

/* The file of labels is part of what was read: another label is another data set. */
static void test_fingerprint(void **state) {
    (void)state;
    static const char *const contents[] = {"file_name,label\na.pgm,x\nb.pgm,y\n",
                                           "file_name,label\na.pgm,y\nb.pgm,x\n"};
    static const char *const maps[] = {"{\"x\": \"1\", \"y\": \"2\"}", "{\"x\": \"2\", \"y\": \"1\"}"};
    char hashes[4][33];
    for (int i = 0; i < 4; i++) {
        const tree t = {"a|b", {{"metadata.csv", contents[i / 2]}, {".map.json", maps[i % 2]}}};
        lf_dataset *d;
        lf_fingerprint f;
        lf_err err = {0};
        make_tree(&t);
        assert_ok(open_tree(&d, NULL, "\"label_map\": \"%s/t/.map.json\"", NULL, 0, &err), err);
        assert_ok(lf_dataset_fingerprint(&f, d, false, &err), err);
        snprintf(hashes[i], sizeof hashes[i], "%s", f.hash);
        for (int k = 0; k < i; k++) assert_string_not_equal(hashes[i], hashes[k]);
        lf_dataset_free(d);
    }
}

static void test_failing_allocations(void **state) {
    (void)state;
    const tree t = {"a|b|c", META("file_name,label\na.pgm,n01\nb.pgm,n02\n")};
    make_tree(&t);
    const int64_t live = lf_alloc_live();
    lf_status rc = LF_ENOMEM;
    cJSON *spec = NULL;
    char text[600];
    const char *names[] = {"cat", "dog"};
    lf_err err = {0};
    snprintf(text, sizeof text, "{\"path\": \"%s/t\", \"label_map\": {\"n01\": \"cat\", \"n02\": \"dog\"}}", scratch);
    assert_ok(lf_json_parse(&spec, text, strlen(text), "spec", &err), err);
    const lf_dataset_opts o = {.spec = spec, .key = "data"};
    for (int64_t k = 0; rc == LF_ENOMEM; k++) {
        lf_dataset *d = NULL;
        err = (lf_err){0};
        lf_alloc_fail_after(k);
        rc = lf_open_labelled(&d, &o, names, 2, &err);
        lf_alloc_fail_after(-1);
        if (rc != LF_ENOMEM) assert_ok(rc, err);
        lf_dataset_free(d);
    }
    cJSON_Delete(spec);
    assert_int_equal(lf_alloc_live(), live);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_labels_of_one_name),
        cmocka_unit_test(test_label_map),
        cmocka_unit_test(test_names_that_are_not_utf8),
        cmocka_unit_test(test_folders_of_splits),
        cmocka_unit_test(test_labels_file),
        cmocka_unit_test(test_several),
        cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_fingerprint),
        cmocka_unit_test(test_without_labels),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
