/* Files and folders: whole or not at all, and nothing left behind; gzip told from plain, and never trusted. */
#define _XOPEN_SOURCE 700
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "folder_fixture.h"

#include "base/folder.h"
#include "base/json.h"
#include "data/text/internal.h"
#include "gguf/format.h"
#include "io/gzip.h"
#include "io/safetensors.h"
#include "io/stored.h"
#include "parquet/parquet.h"

static void holds(const char *name, const char *text) {
    char *s = NULL;
    size_t size = 0;
    lf_err err = {0};
    if (lf_file_read(&s, &size, in_folder(name), &err)) fail_msg("%s", err.message);
    assert_int_equal(size, strlen(text));
    assert_string_equal(s, text);
    lf_free(s);
}

/* Of all names in the folder, separated by blanks. */
static void folder_holds(const char *expected) {
    char **names = NULL, text[500] = "";
    size_t n = 0;
    assert_int_equal(lf_list_dir(&names, &n, folder, NULL), LF_OK);
    assert_null(names[n]);
    for (size_t i = 0; i < n; i++) {
        if (i) strcat(text, " ");
        strcat(text, names[i]);
    }
    lf_free(names);
    assert_string_equal(text, expected);
}

static void test_read(void **state) {
    (void)state;
    char *s = (char *)(uintptr_t)1;
    size_t size = 1;
    lf_err err = {0};
    put_text("empty", "");
    holds("empty", "");
    put_text("text", "a\nb");
    holds("text", "a\nb");
    assert_int_equal(lf_file_read(&s, &size, in_folder("none"), &err), LF_ENOTFOUND);
    assert_non_null(strstr(err.message, "none: cannot open: "));
    assert_null(s);
    err = (lf_err){0};
    assert_int_equal(lf_file_read(&s, &size, folder, &err), LF_EDATA);
    assert_non_null(strstr(err.message, "is a folder, expected a file"));
    /* larger than 2 GiB, on the disk nothing but a hole */
    assert_int_equal(truncate(in_folder("text"), ((off_t)2 << 30) + 1), 0);
    err = (lf_err){0};
    assert_int_equal(lf_file_read(&s, &size, in_folder("text"), &err), LF_EDATA);
    assert_non_null(strstr(err.message, "2 GiB"));
    /* a file that says 0 bytes and has some */
    assert_int_equal(lf_file_read(&s, &size, "/proc/self/status", NULL), LF_OK);
    assert_true(size > 100 && strlen(s) == size);
    lf_free(s);
}

static void test_atomic(void **state) {
    (void)state;
    lf_atomic_file a;
    lf_err err = {0};
    put_text("f", "old");
    assert_int_equal(lf_atomic_open(&a, in_folder("f"), NULL), LF_OK);
    fputs("new", a.f);
    fflush(a.f);
    holds("f", "old");
    lf_atomic_abort(&a);
    lf_atomic_abort(&a);
    holds("f", "old");
    folder_holds("f");

    assert_int_equal(lf_atomic_open(&a, in_folder("f"), NULL), LF_OK);
    fputs("new", a.f);
    assert_int_equal(lf_atomic_commit(&a, NULL), LF_OK);
    lf_atomic_abort(&a); /* safe after commit */
    holds("f", "new");
    folder_holds("f");

    assert_int_equal(lf_atomic_open(&a, in_folder("no/f"), &err), LF_EIO);
    assert_non_null(strstr(err.message, "no/f: cannot create: "));
    lf_atomic_abort(&a);
    assert_int_equal(lf_mkdir_p(in_folder("dir/sub"), NULL), LF_OK);
    assert_int_equal(lf_file_write(in_folder("dir"), "x", 1, NULL), LF_EIO); /* a folder is in the way */
    folder_holds("dir f");

    const mode_t mask = umask(027);
    put_text("mode", "");
    umask(mask);
    struct stat st;
    assert_int_equal(stat(in_folder("mode"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640); /* as any program's files, not as mkstemp's */
}

/* A pipe that stands in a folder from elsewhere, and into which nobody writes, keeps no reader waiting; one with a
 * writer is waited for. */
static void test_a_pipe_of_nobody(void **state) {
    (void)state;
    const char *path = in_folder("nobody");
    lf_err err = {0};
    char *s = NULL, hash[33], begins[4];
    size_t n = 1;
    lf_safetensors *tensors = NULL;
    lf_gguf *gguf = NULL;
    lf_parquet *parquet = NULL;
    lf_text_map map;
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(120); /* what waits is ended, with the test */
    assert_int_equal(lf_file_read(&s, &n, path, &err), LF_EDATA);
    assert_non_null(strstr(err.message, "a pipe that nobody writes into"));
    assert_null(s);
    assert_int_equal(lf_file_begins(begins, sizeof begins, &n, path, &err), LF_OK);
    assert_int_equal(n, 0);
    assert_int_equal(lf_stored_hash_file(hash, path, &err), LF_OK);
    assert_int_not_equal(lf_safetensors_open(&tensors, path, &err), LF_OK);
    assert_int_not_equal(lf_gguf_open(&gguf, path, &err), LF_OK);
    assert_int_not_equal(lf_parquet_open(&parquet, path, &err), LF_OK);
    assert_int_not_equal(lf_text_map_open(&map, path, &err), LF_OK);
    const int writer = open(path, O_RDWR);
    assert_true(writer >= 0);
    FILE *f = lf_fopen_to_read(path);
    assert_non_null(f);
    assert_int_equal(fcntl(fileno(f), F_GETFL) & O_NONBLOCK, 0); /* it waits for this one */
    assert_int_equal(write(writer, "late", 4), 4);
    assert_int_equal(fread(begins, 1, 4, f), 4);
    assert_memory_equal(begins, "late", 4);
    fclose(f);
    close(writer);
    alarm(0);
    unlink(path);
}

/* What is no file must still be there afterwards, whoever runs this. */
static void test_written_in_place(void **state) {
    (void)state;
    struct stat st;
    lf_err err = {0};
    assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
    const int reader = open(in_folder("pipe"), O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    put_text("pipe", "text");
    char text[8] = "";
    assert_int_equal(read(reader, text, sizeof text), 4);
    assert_string_equal(text, "text");
    close(reader);
    assert_true(stat(in_folder("pipe"), &st) == 0 && S_ISFIFO(st.st_mode));
    if (access("/dev/full", W_OK) == 0) {
        assert_int_equal(symlink("/dev/full", in_folder("full")), 0);
        assert_int_equal(lf_file_write(in_folder("full"), "x", 1, &err), LF_EIO);
        assert_non_null(strstr(err.message, "/dev/full: cannot write: "));
        assert_true(stat("/dev/full", &st) == 0 && S_ISCHR(st.st_mode));
        unlink(in_folder("full"));
    }
    put_text("f", "old");
    assert_int_equal(symlink("f", in_folder("link")), 0);
    put_text("link", "new");
    holds("f", "new");
    assert_true(lstat(in_folder("link"), &st) == 0 && S_ISLNK(st.st_mode));
    folder_holds("f link pipe");
}

static void test_full_disk(void **state) {
    (void)state;
    struct rlimit old;
    lf_atomic_file a;
    lf_err err = {0};
    static const char text[10000] = "text";
    put_text("f", "old");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    const struct rlimit small = {100, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const lf_status large = lf_file_write(in_folder("f"), text, sizeof text, &err);
    const lf_status buffered =
        lf_file_write(in_folder("f"), text, 200, NULL); /* seen only when the buffer is written */
    const lf_status opened = lf_atomic_open(&a, in_folder("f"), NULL);
    for (int i = 0; i < 10000; i++) putc('x', a.f); /* nobody looks at the result */
    const lf_status ignored = lf_atomic_commit(&a, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(large, LF_EIO);
    assert_int_equal(buffered, LF_EIO);
    assert_int_equal(opened, LF_OK);
    assert_int_equal(ignored, LF_EIO);
    assert_non_null(strstr(err.message, "/f: cannot write: "));
    holds("f", "old");
    folder_holds("f");
}

static void test_folders(void **state) {
    (void)state;
    lf_err err = {0};
    assert_int_equal(lf_mkdir_p(in_folder("a/b//c/"), NULL), LF_OK);
    assert_int_equal(lf_mkdir_p(in_folder("a/b/c"), NULL), LF_OK); /* it is there */
    assert_true(lf_is_dir(in_folder("a/b/c")));
    assert_false(lf_is_file(in_folder("a/b/c")));
    assert_int_equal(lf_mkdir_p(folder, NULL), LF_OK);
    assert_int_equal(lf_mkdir_p("", NULL), LF_EIO);
    put_text("a/b/file", "x");
    assert_true(lf_is_file(in_folder("a/b/file")));
    assert_false(lf_is_dir(in_folder("a/b/file")));
    assert_true(lf_mkdir_p(in_folder("a/b/file"), &err) != LF_OK);
    assert_non_null(strstr(err.message, "a/b/file"));
    assert_true(lf_mkdir_p(in_folder("a/b/file/d"), NULL) != LF_OK);

    put_text("keep", "x");
    assert_int_equal(symlink(in_folder("keep"), in_folder("a/link")), 0);
    assert_int_equal(symlink(folder, in_folder("a/loop")), 0);
    assert_int_equal(lf_remove_tree(in_folder("a"), NULL), LF_OK); /* links go, what they point to stays */
    folder_holds("keep");
    assert_int_equal(lf_remove_tree(in_folder("a"), NULL), LF_OK); /* it is gone */
    assert_int_equal(lf_remove_tree(in_folder("keep"), NULL), LF_OK);
    folder_holds("");
    char **names = NULL;
    size_t n = 9;
    assert_int_equal(lf_list_dir(&names, &n, in_folder("a"), NULL), LF_ENOTFOUND);
    assert_null(names);
    assert_int_equal(n, 0);
}

static void test_replace_dir(void **state) {
    (void)state;
    lf_err err = {0};
    assert_int_equal(lf_mkdir_p(in_folder("new"), NULL), LF_OK);
    put_text("new/f", "1");
    assert_int_equal(lf_replace_dir(in_folder("new"), in_folder("run"), NULL), LF_OK); /* there was none */
    holds("run/f", "1");
    folder_holds("run");

    assert_int_equal(lf_mkdir_p(in_folder("new"), NULL), LF_OK);
    put_text("new/g", "2");
    assert_int_equal(lf_replace_dir(in_folder("new"), in_folder("run/"), NULL), LF_OK);
    holds("run/g", "2");
    assert_false(lf_is_file(in_folder("run/f"))); /* replaced, not merged */
    folder_holds("run");

    assert_true(lf_replace_dir(in_folder("none"), in_folder("run"), &err) != LF_OK);
    assert_non_null(strstr(err.message, "run"));
    holds("run/g", "2"); /* the old one is still in place */
    assert_int_equal(lf_mkdir_p(in_folder("new"), NULL), LF_OK);
    put_text("file", "x");
    assert_true(lf_replace_dir(in_folder("new"), in_folder("file"), NULL) != LF_OK);
    holds("file", "x");
    folder_holds("file new run");
}

static void test_list(void **state) {
    (void)state;
    char name[32];
    put_text("b", "");
    put_text("B", "");
    put_text(".a", "");
    put_text("\xc3\xa9", "");
    folder_holds(".a B b \xc3\xa9");
    for (int i = 0; i < 700; i++) { /* the list grows more than once */
        snprintf(name, sizeof name, "image_%06d.png", (i * 37) % 700);
        put_text(name, "");
    }
    char **names = NULL;
    size_t n = 0;
    assert_int_equal(lf_list_dir(&names, &n, folder, NULL), LF_OK);
    assert_int_equal(n, 704);
    for (size_t i = 1; i < n; i++) assert_true(strcmp(names[i - 1], names[i]) < 0);
    lf_free(names);
}

static void test_names(void **state) {
    (void)state;
    static const struct {
        const char *a, *b, *joined;
    } joins[] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"/", "b", "/b"}};
    for (size_t i = 0; i < sizeof joins / sizeof *joins; i++) {
        char *s = lf_path_join(joins[i].a, joins[i].b);
        assert_string_equal(s, joins[i].joined);
        lf_free(s);
    }
    assert_string_equal(lf_path_base("a/b.c"), "b.c");
    assert_string_equal(lf_path_base("b.c"), "b.c");
    assert_string_equal(lf_path_base("a/"), "");
}

/* ---- gzip ---- */

static size_t compressed(unsigned char *out, size_t room, const unsigned char *data, size_t size) {
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (z_const Bytef *)data;
    z.avail_in = (uInt)size;
    z.next_out = out;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    const size_t n = z.total_out;
    deflateEnd(&z);
    return n;
}

enum { PLAIN = 60000, ROOM = 70000 };
static unsigned char plain[PLAIN], packed[ROOM];

/* Half noise, half a pattern. */
static size_t fill_and_compress(void) {
    uint32_t x = 1;
    for (int i = 0; i < PLAIN; i++) {
        x = x * 1664525u + 1013904223u;
        plain[i] = (unsigned char)(i < PLAIN / 2 ? x >> 24 : (uint32_t)i / 100);
    }
    return compressed(packed, ROOM, plain, PLAIN);
}

static lf_status read_back(const void *bytes, size_t size, size_t limit, size_t expected, lf_err *err) {
    unsigned char *out = NULL;
    size_t n = 0;
    const char *path = in_folder("f");
    assert_int_equal(lf_file_write(path, bytes, size, NULL), LF_OK);
    const lf_status rc = lf_read_maybe_gzip(&out, &n, path, limit, err);
    if (rc == LF_OK) {
        assert_int_equal(n, expected);
        for (size_t at = 0; at < n; at += PLAIN) assert_memory_equal(out + at, plain, n - at < PLAIN ? n - at : PLAIN);
    } else {
        assert_null(out);
        if (err) assert_non_null(strstr(err->message, path));
    }
    lf_free(out);
    return rc;
}

static void test_gzip(void **state) {
    (void)state;
    const size_t n = fill_and_compress();
    lf_err err = {0};
    assert_int_equal(read_back(packed, n, SIZE_MAX, PLAIN, NULL), LF_OK);
    assert_int_equal(read_back(packed, n, PLAIN, PLAIN, NULL), LF_OK); /* exactly the limit */
    assert_int_equal(read_back(packed, n, PLAIN - 1, 0, &err), LF_EDATA);
    assert_non_null(strstr(err.message, "more than the 59999 bytes"));
    assert_int_equal(read_back(packed, n, 0, 0, NULL), LF_EDATA);
    assert_int_equal(read_back(plain, PLAIN, PLAIN, PLAIN, NULL), LF_OK);
    err = (lf_err){0};
    assert_int_equal(read_back(plain, PLAIN, PLAIN - 1, 0, &err), LF_EDATA);
    assert_non_null(strstr(err.message, "at most 59999"));
    assert_int_equal(read_back("", 0, 0, 0, NULL), LF_OK);
    assert_int_equal(lf_read_maybe_gzip(&(unsigned char *){NULL}, &(size_t){0}, in_folder("none"), 1, NULL),
                     LF_ENOTFOUND);

    static unsigned char twice[2 * ROOM]; /* two members are one file */
    memcpy(twice, packed, n);
    memcpy(twice + n, packed, n);
    assert_int_equal(read_back(twice, 2 * n, SIZE_MAX, 2 * PLAIN, NULL), LF_OK);
    assert_int_equal(read_back(twice, 2 * n, 2 * PLAIN, 2 * PLAIN, NULL), LF_OK);
    assert_int_equal(read_back(twice, 2 * n, 2 * PLAIN - 1, 0, NULL), LF_EDATA);
    memcpy(twice + n, "garbage after the stream", 24);
    assert_int_equal(read_back(twice, n + 24, SIZE_MAX, 0, NULL), LF_EDATA);
    const size_t empty = compressed(twice, ROOM, plain, 0);
    assert_int_equal(read_back(twice, empty, 0, 0, NULL), LF_OK);
}

static void test_gzip_damaged(void **state) {
    (void)state;
    const size_t n = fill_and_compress();
    for (size_t cut = 2; cut < n; cut += cut < 40 || cut > n - 40 ? 1 : 997) {
        lf_err err = {0};
        assert_int_equal(read_back(packed, cut, SIZE_MAX, 0, &err), LF_EDATA);
        assert_non_null(strstr(err.message, "download complete"));
    }
    for (size_t at = 20; at<n; at += at> n - 9 ? 1 : 1999) { /* the checksum sees what the decoder does not */
        packed[at] ^= 0x10;
        assert_int_equal(read_back(packed, n, SIZE_MAX, 0, &(lf_err){0}), LF_EDATA);
        packed[at] ^= 0x10;
    }
}

/* ---- by folder and name ---- */

static lf_status use_members(lf_err *err) {
    lf_atomic_file a;
    lf_status rc = lf_atomic_open_in(&a, folder, "m.json", err);
    if (rc) return rc;
    fputs("{\"a\": 1}", a.f);
    if ((rc = lf_atomic_commit(&a, err))) return rc;
    cJSON *json;
    if ((rc = lf_json_read_in(&json, folder, "m.json", err))) {
        assert_null(json);
        return rc;
    }
    assert_true(cJSON_GetObjectItemCaseSensitive(json, "a")->valuedouble == 1);
    cJSON_Delete(json);
    return lf_remove_in(folder, "m.json", err);
}

static void test_members(void **state) {
    (void)state;
    lf_err err = {0};
    if (use_members(&err)) fail_msg("%s", err.message);
    folder_holds("");
    cJSON *json;
    assert_int_equal(lf_json_read_in(&json, folder, "none", NULL), LF_ENOTFOUND);
    assert_int_equal(lf_remove_in(folder, "none", NULL), LF_OK); /* it is not there */
    int64_t k = 0;
    for (lf_status rc = LF_ENOMEM; rc; k++) {
        err = (lf_err){0};
        lf_alloc_fail_after(k);
        rc = use_members(&err);
        lf_alloc_fail_after(-1);
        assert_true(rc == LF_OK || (rc == LF_ENOMEM && strstr(err.message, "out of memory")));
        assert_int_equal(lf_alloc_live(), 0);
    }
    assert_true(k > 8);
}

/* ---- failing allocations ---- */

static lf_status use_everything(lf_err *err) {
    lf_status rc;
    char *text = NULL, **names = NULL;
    unsigned char *bytes = NULL;
    size_t n = 0;
    if ((rc = lf_mkdir_p(in_folder("x/y"), err)) || (rc = lf_file_write(in_folder("x/y/f"), "abc", 3, err)) ||
        (rc = lf_file_read(&text, &n, "/proc/self/status", err)) ||
        (rc = lf_list_dir(&names, &n, in_folder("x/y"), err)) || (rc = lf_mkdir_p(in_folder("z/z"), err)) ||
        (rc = lf_replace_dir(in_folder("x"), in_folder("z"), err)))
        goto out;
    rc = lf_read_maybe_gzip(&bytes, &n, in_folder("packed"), SIZE_MAX, err);
out:
    lf_free(text);
    lf_free(names);
    lf_free(bytes);
    return rc;
}

static void test_failing_allocations(void **state) {
    (void)state;
    lf_status rc = LF_ENOMEM;
    int64_t k = 0;
    const size_t n = fill_and_compress();
    assert_int_equal(lf_file_write(in_folder("packed"), packed, n, NULL), LF_OK);
    for (; rc == LF_ENOMEM && k < 1000; k++) {
        lf_err err = {0};
        lf_alloc_fail_after(k);
        rc = use_everything(&err);
        lf_alloc_fail_after(-1);
        assert_int_equal(rc == LF_OK, err.message[0] == 0);
        assert_int_equal(lf_alloc_live(), 0);
    }
    assert_int_equal(rc, LF_OK);
    assert_true(k > 10);
    holds("z/y/f", "abc");
    folder_holds("packed z");
}

static void test_folders_are_made_and_unmade(void **state) {
    (void)state;
    static const struct {
        const char *path;
        int made;
    } cases[] = {{"x", 1}, {"x/", 1}, {"x/y//z", 3}, {"x/../w", 1}, {".", 0}};
    lf_err err = {0};
    int made;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const bool through = i == 3; /* x has to be there */
        if (through) assert_int_equal(lf_mkdir_p(in_folder("x"), &err), LF_OK);
        if (lf_folder_make(in_folder(cases[i].path), &made, &err)) fail_msg("%s", err.message);
        assert_int_equal(made, cases[i].made);
        assert_true(lf_is_dir(in_folder(cases[i].path)));
        lf_folder_unmake(in_folder(cases[i].path), made);
        folder_holds(through ? "x" : "");
        if (through) lf_remove_tree(in_folder("x"), NULL);
    }
    assert_int_equal(lf_folder_make(in_folder("a/b"), &made, &err), LF_OK);
    put_text("a/kept", "");
    lf_folder_unmake(in_folder("a/b"), made);
    folder_holds("a");
    holds("a/kept", "");
    assert_int_equal(lf_folder_make(in_folder("a/kept/c/d"), &made, &err), LF_EIO);
    assert_int_equal(made, 0);
    err = (lf_err){0};
    assert_int_equal(lf_folder_try(in_folder("a"), "kept", &err), LF_OK);
    holds("a/kept", "");
    assert_int_equal(lf_folder_try(in_folder("none"), "x", &err), LF_EIO);
    assert_non_null(strstr(err.message, "none/x: cannot create: "));
    err = (lf_err){0};
    assert_int_equal(lf_folder_could(in_folder("a/kept/c"), &err), LF_EIO);
    assert_non_null(strstr(err.message, "a/kept/c: cannot be written: "));
    err = (lf_err){0};
    assert_int_equal(lf_folder_could(in_folder("a"), &err), LF_OK);
    assert_int_equal(lf_folder_could(in_folder("a/new/deep//"), &err), LF_OK);
    assert_int_equal(lf_folder_could("there-is-none", &err), LF_OK); /* in the folder where this runs */
    assert_false(lf_exists(in_folder("a/new")) || lf_exists("there-is-none"));
    lf_remove_tree(in_folder("a"), NULL);
}

static void test_leftovers(void **state) {
    (void)state;
    static const struct {
        const char *name;
        size_t n; /* of the name that it is of */
    } cases[] = {
        {"config.json.tmp-12-0", 11},
        {"checkpoint-4.tmp", 12},
        {"checkpoint-4.old-12-3", 12},
        {"a.tmp.tmp-1-2", 5},
        {"checkpoint-4.old-1", 0},
        {"config.json", 0},
        {"notes.tmp-12", 0},
        {"notes.tmp-12-x", 0},
        {".tmp", 0},
        {"a.tmp-1-2 ", 0},
        {"a.old", 0},
        {"tmp-1-2", 0},
    };
    lf_err err = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (lf_leftover_of(cases[i].name) != cases[i].n) fail_msg("%s", cases[i].name);
    put_text("cut.tmp-1-2", "half");
    put_text("new", "new");
    put_text("new.old-1-2", "old");
    put_text("lost.old-1-2", "old");
    static const char *const all[] = {"cut.tmp-1-2", "new.old-1-2", "lost.old-1-2"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (lf_leftover_settle(folder, all[i], &err)) fail_msg("%s", err.message);
    folder_holds("lost new");
    holds("new", "new");
    holds("lost", "old");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_folders_are_made_and_unmade),
        IN_FOLDER(test_leftovers),
        IN_FOLDER(test_read),
        IN_FOLDER(test_atomic),
        IN_FOLDER(test_a_pipe_of_nobody),
        IN_FOLDER(test_written_in_place),
        IN_FOLDER(test_full_disk),
        IN_FOLDER(test_folders),
        IN_FOLDER(test_replace_dir),
        IN_FOLDER(test_list),
        IN_FOLDER(test_names),
        IN_FOLDER(test_gzip),
        IN_FOLDER(test_gzip_damaged),
        IN_FOLDER(test_members),
        IN_FOLDER(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
