/* The fingerprint of a data set: what changes it, what does not, and what it cannot see. */
#define _XOPEN_SOURCE 700
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folder_fixture.h"

#include "base/log.h"
#include "data/fingerprint.h"
#include "data/image/dataset.h"
#include "data/text/dataset.h"

enum { MANY = 8 };

/* Nothing is young, so that what is remembered can be tested; files of the test change within a tick, so by size. */
static const lf_fingerprint_limits whole = {.whole = 1 << 20, .blocks = 4, .block = 64, .settled = 1000},
                                   kept = {.whole = 1 << 20, .blocks = 4, .block = 64, .settled = -1000},
                                   sampled = {.whole = 256, .blocks = 4, .block = 64, .settled = 1000};

/* Of files of the test's folder; names end with NULL. */
static lf_status try(lf_fingerprint *out, const char *const *names, bool skip, const lf_fingerprint_limits *l,
                     lf_err *err) {
    char text[MANY][200];
    const char *paths[MANY];
    int64_t n = 0;
    for (; names[n]; n++) {
        snprintf(text[n], sizeof text[n], "%s/%s", folder, names[n]);
        paths[n] = text[n];
    }
    *err = (lf_err){0};
    return lf_fingerprint_files(out, folder, paths, n, skip, l, err);
}

static lf_fingerprint take(const char *const *names, const lf_fingerprint_limits *l) {
    lf_fingerprint f;
    lf_err err;
    if (try(&f, names, false, l, &err)) fail_msg("%s", err.message);
    assert_int_equal(strlen(f.hash), 32);
    assert_int_equal(strspn(f.hash, "0123456789abcdef"), 32);
    return f;
}
#define TAKE(l, ...) take((const char *const[]){__VA_ARGS__, NULL}, l)
#define SAME(a, b)   assert_string_equal((a).hash, (b).hash)
#define DIFFER(a, b) assert_string_not_equal((a).hash, (b).hash)

static void move(const char *from, const char *to) { assert_int_equal(rename(in_folder(from), in_folder(to)), 0); }

static void test_what_counts(void **state) {
    (void)state;
    put_text("a", "one");
    put_text("b", "two");
    const lf_fingerprint first = TAKE(&whole, "a", "b");
    assert_int_equal(first.files, 2);
    assert_int_equal(first.bytes, 6);
    assert_false(first.sampled);
    SAME(first, TAKE(&whole, "a", "b"));
    SAME(first, TAKE(&whole, "b", "a")); /* in whatever order they were listed */
    DIFFER(first, TAKE(&whole, "a"));
    put_text("b", "tvo"); /* a bit */
    DIFFER(first, TAKE(&whole, "a", "b"));
    put_text("b", "two");
    SAME(first, TAKE(&whole, "a", "b"));
    move("b", "c");
    DIFFER(first, TAKE(&whole, "a", "c")); /* the order is the same */
    put_text("b", "one");                  /* the bytes of the two exchanged */
    put_text("a", "two");
    DIFFER(first, TAKE(&whole, "a", "b"));
    put_text("a", "onet"); /* the border moved */
    put_text("b", "wo");
    DIFFER(first, TAKE(&whole, "a", "b"));
    put_text("empty", "");
    DIFFER(TAKE(&whole, "a"), TAKE(&whole, "a", "empty"));
}

static void test_elsewhere(void **state) {
    (void)state;
    char to[200];
    assert_int_equal(lf_mkdir_p(in_folder("x/cat"), NULL), LF_OK);
    assert_int_equal(lf_mkdir_p(in_folder("y/z/cat"), NULL), LF_OK);
    assert_int_equal(lf_mkdir_p(in_folder("y/z/dog"), NULL), LF_OK);
    put_text("x/cat/1", "meow");
    put_text("y/z/cat/1", "meow");
    put_text("y/z/dog/1", "meow");
    snprintf(to, sizeof to, "%s/y/z", folder);
    const char *one[] = {in_folder("x/cat/1")}, *two[] = {in_folder("y/z/cat/1")}, *three[] = {in_folder("y/z/dog/1")};
    lf_fingerprint a, b, c, d;
    assert_int_equal(lf_fingerprint_files(&a, in_folder("x/"), one, 1, false, &whole, NULL), LF_OK);
    assert_int_equal(lf_fingerprint_files(&b, to, two, 1, false, &whole, NULL), LF_OK);
    assert_int_equal(lf_fingerprint_files(&c, to, three, 1, false, &whole, NULL), LF_OK);
    SAME(a, b);
    DIFFER(a, c); /* another class */
    /* a single file goes by its own name, and through a link by the link's */
    snprintf(to, sizeof to, "%s/y/z/cat/1", folder);
    const char *link[] = {in_folder("1")};
    assert_int_equal(symlink(to, link[0]), 0);
    assert_int_equal(lf_fingerprint_files(&c, to, two, 1, false, &whole, NULL), LF_OK);
    assert_int_equal(lf_fingerprint_files(&d, link[0], link, 1, false, &whole, NULL), LF_OK);
    SAME(c, d);
    put_text("y/z/cat/1", "miau");
    assert_int_equal(lf_fingerprint_files(&c, link[0], link, 1, false, &whole, NULL), LF_OK);
    DIFFER(c, d);
}

static void expect(const char *name, lf_status status, const char *says) {
    lf_fingerprint f;
    lf_err err;
    put_text("good", "x");
    assert_int_equal(try(&f, (const char *const[]){"good", name, NULL}, false, &whole, &err), status);
    if (!strstr(err.message, name) || !strstr(err.message, says)) fail_msg("'%s'", err.message);
    assert_string_equal(f.hash, "");
}

static void test_refuses(void **state) {
    (void)state;
    expect("none", LF_ENOTFOUND, "cannot open");
    assert_int_equal(symlink("nowhere", in_folder("dangling")), 0);
    expect("dangling", LF_ENOTFOUND, "cannot open");
    assert_int_equal(symlink("circle", in_folder("circle")), 0);
    expect("circle", LF_EIO, "cannot open");
    assert_int_equal(lf_mkdir_p(in_folder("dir"), NULL), LF_OK);
    expect("dir", LF_EDATA, "expected a file");
    assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
    expect("pipe", LF_EDATA, "expected a file");
    /* counted instead, and seen when it comes back */
    lf_fingerprint without, with;
    lf_err err;
    const char *const names[] = {"good", "dangling", NULL};
    assert_int_equal(try(&without, names, true, &whole, &err), LF_OK);
    assert_int_equal(without.unreadable, 1);
    DIFFER(without, TAKE(&whole, "good"));
    put_text("nowhere", "");
    assert_int_equal(try(&with, names, true, &whole, &err), LF_OK);
    assert_int_equal(with.unreadable, 0);
    DIFFER(without, with);
}

/* A file that has more than its size says is one that grows: those of /proc say 0. */
static void test_grows(void **state) {
    (void)state;
    const char *path[] = {"/proc/self/status"};
    lf_fingerprint f;
    lf_err err = {0};
    assert_int_equal(lf_fingerprint_files(&f, "/proc", path, 1, true, &whole, &err), LF_EDATA);
    assert_non_null(strstr(err.message, "/proc/self/status: changed while it is read; expected 0 bytes"));
}

/* In place, not synced: there are thousands. */
static void put_byte(const char *name, size_t at, char byte) {
    FILE *f = fopen(in_folder(name), "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, (long)at, SEEK_SET), 0);
    assert_int_equal(fputc(byte, f), byte);
    assert_int_equal(fclose(f), 0);
}

/* Of n files of `each` bytes in the sampled mode: how many bytes change the fingerprint? */
static int seen_changes(int n, size_t each) {
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g"};
    const char *list[MANY] = {0};
    char bytes[2048] = "";
    int seen = 0;
    memset(bytes, 'x', each);
    for (int i = 0; i < n; i++) put_text(list[i] = names[i], bytes);
    const lf_fingerprint before = take(list, &sampled);
    assert_true(before.sampled);
    for (int i = 0; i < n; i++) {
        for (size_t k = 0; k < each; k++) {
            put_byte(names[i], k, 'y');
            seen += strcmp(before.hash, take(list, &sampled).hash) != 0;
            put_byte(names[i], k, 'x');
        }
    }
    SAME(before, take(list, &sampled));
    return seen;
}

static void test_samples(void **state) {
    (void)state;
    char note[256];
    assert_string_equal(lf_fingerprint_note(&(lf_fingerprint){0}, note, sizeof note), "");
    /* four blocks of 64 bytes: whatever the files, across their borders, and where nothing is left out */
    assert_int_equal(seen_changes(1, 1000), 256);
    assert_int_equal(seen_changes(7, 40), 256);
    assert_int_equal(seen_changes(2, 129), 256);
    const lf_fingerprint f = TAKE(&sampled, "a", "b");
    assert_non_null(strstr(lf_fingerprint_note(&f, note, sizeof note), "is not seen"));
    /* names and sizes are all compared */
    move("b", "c");
    DIFFER(f, TAKE(&sampled, "a", "c"));
    move("c", "b");
    SAME(f, TAKE(&sampled, "b", "a"));
    FILE *file = fopen(in_folder("b"), "ab");
    assert_non_null(file);
    fputc('x', file);
    fclose(file);
    DIFFER(f, TAKE(&sampled, "a", "b"));
}

static void test_remembers(void **state) {
    (void)state;
    put_text("a", "one");
    assert_false(TAKE(&whole, "a").remembered);
    assert_false(TAKE(&whole, "a").remembered); /* too young */
    const lf_fingerprint read = TAKE(&kept, "a"), again = TAKE(&kept, "a");
    assert_false(read.remembered);
    assert_true(again.remembered);
    SAME(read, again);
    assert_int_equal(again.files, 1);
    assert_int_equal(again.bytes, 3);
    put_text("a", "three"); /* replaced: another inode and size */
    const lf_fingerprint changed = TAKE(&kept, "a");
    assert_false(changed.remembered);
    DIFFER(read, changed);
    assert_false(TAKE(&sampled, "a").remembered); /* limits are part of what was asked */
    move("a", "b");                               /* same inode, another name */
    assert_false(TAKE(&kept, "b").remembered);
    for (int i = 0; i < 40; i++) { /* more than are kept */
        char name[16];
        snprintf(name, sizeof name, "f%d", i);
        put_text(name, name);
        assert_false(TAKE(&kept, name).remembered);
        assert_true(TAKE(&kept, name).remembered);
    }
    assert_false(TAKE(&kept, "b").remembered);
}

static void test_no_memory(void **state) {
    (void)state;
    lf_status rc = LF_ENOMEM;
    lf_fingerprint f;
    lf_err err;
    put_text("a", "x");
    for (int k = 0; rc == LF_ENOMEM && k < 10; k++) {
        lf_alloc_fail_after(k);
        rc = try(&f, (const char *const[]){"a", NULL}, false, &whole, &err);
        lf_alloc_fail_after(-1);
        if (k == 0) assert_int_equal(rc, LF_ENOMEM);
    }
    assert_int_equal(rc, LF_OK);
}

/* ---- of data sets ---- */

static cJSON *spec_of(const char *path) {
    cJSON *spec = cJSON_CreateString(path);
    assert_non_null(spec);
    return spec;
}

static lf_fingerprint of_pictures(const char *path, const char *split) {
    lf_dataset *d = NULL;
    lf_err err = {0};
    lf_fingerprint f = {0};
    cJSON *spec = spec_of(path);
    const lf_dataset_opts o = {.spec = spec, .key = "train_data", .split = split, .max_samples = 1};
    if (lf_dataset_open(&d, &o, &err) || lf_dataset_fingerprint(&f, d, false, &err)) fail_msg("%s", err.message);
    lf_dataset_free(d);
    cJSON_Delete(spec);
    return f;
}

static void test_image_folder(void **state) {
    (void)state;
    for (int split = 0; split < 2; split++)
        for (int class = 0; class < 2; class ++) {
            char name[64];
            snprintf(name, sizeof name, "d/%s/%s", split ? "train" : "val", class ? "cat" : "dog");
            assert_int_equal(lf_mkdir_p(in_folder(name), NULL), LF_OK);
            strcat(name, "/1.pgm");
            put_text(name, "not read by the listing");
        }
    const lf_fingerprint train = of_pictures(in_folder("d"), "train");
    assert_int_equal(train.files, 2); /* though one sample is drawn */
    SAME(train, of_pictures(in_folder("d"), "val"));
    put_text("d/train/cat/README", "no picture");
    put_text("d/val/cat/1.pgm", "another");
    SAME(train, of_pictures(in_folder("d"), "train")); /* nothing that it reads */
    DIFFER(train, of_pictures(in_folder("d"), "val"));
    move("d/train/cat", "d/train/cow");
    DIFFER(train, of_pictures(in_folder("d"), "train"));
}

static void put_idx(const char *images, const char *labels, unsigned char label) {
    const unsigned char pixels[] = {0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 77},
                        classes[] = {0, 0, 8, 1, 0, 0, 0, 1, label};
    assert_int_equal(lf_file_write(in_folder(images), pixels, sizeof pixels, NULL), LF_OK);
    assert_int_equal(lf_file_write(in_folder(labels), classes, sizeof classes, NULL), LF_OK);
}

static void test_idx(void **state) {
    (void)state;
    put_idx("train-images-idx3-ubyte", "train-labels-idx1-ubyte", 0);
    put_idx("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", 0);
    const lf_fingerprint f = of_pictures(folder, "train");
    assert_int_equal(f.files, 2);
    put_idx("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", 1);
    SAME(f, of_pictures(folder, "train"));
    SAME(f, of_pictures(in_folder("train-images-idx3-ubyte"), NULL));
    put_idx("train-images-idx3-ubyte", "train-labels-idx1-ubyte", 1);
    DIFFER(f, of_pictures(folder, "train"));
}

static lf_fingerprint of_text(const char *path, const char *split) {
    lf_text_dataset *d = NULL;
    lf_err err = {0};
    lf_fingerprint f = {0};
    cJSON *spec = spec_of(path);
    const lf_text_dataset_opts o = {.spec = spec, .key = "train_data", .split = split};
    if (lf_text_dataset_open(&d, &o, &err) || lf_text_dataset_fingerprint(&f, d, &err)) fail_msg("%s", err.message);
    lf_text_dataset_free(d);
    cJSON_Delete(spec);
    return f;
}

static void test_text(void **state) {
    (void)state;
    put_text("train.jsonl", "{\"text\": \"a\"}\n");
    put_text("test.jsonl", "{\"text\": \"a\"}\n");
    put_text("1.txt", "a");
    const lf_fingerprint f = of_text(folder, "train");
    assert_int_equal(f.files, 1);
    SAME(f, of_text(in_folder("train.jsonl"), NULL));
    DIFFER(f, of_text(folder, "test")); /* by its name */
    put_text("train.jsonl", "{\"text\": \"b\"}\n");
    DIFFER(f, of_text(folder, "train"));
    const lf_fingerprint texts = of_text(folder, "val"); /* no such file: the folder's plain texts */
    assert_int_equal(texts.files, 1);
    put_text("2.txt", "b");
    assert_int_equal(of_text(folder, "val").files, 2);
    DIFFER(texts, of_text(folder, "val"));
}

int main(void) {
    lf_log_set_level(LF_LOG_QUIET);
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_what_counts), IN_FOLDER(test_elsewhere), IN_FOLDER(test_refuses),   IN_FOLDER(test_grows),
        IN_FOLDER(test_samples),     IN_FOLDER(test_remembers), IN_FOLDER(test_no_memory), IN_FOLDER(test_image_folder),
        IN_FOLDER(test_idx),         IN_FOLDER(test_text),
    };
    return cmocka_run_group_tests_name("fingerprint", tests, NULL, NULL);
}
