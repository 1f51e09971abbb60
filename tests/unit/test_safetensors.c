/* safetensors: what is written is read back; every way for a file to be wrong is refused in one line; nothing leaks
 * and no half-written file remains. */
#define _XOPEN_SOURCE 700
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "folder_fixture.h"

#include "base/log.h"
#include "io/kept_hash.h"

static char file[96];

static size_t files_in_folder(void) {
    char **names = NULL;
    size_t n = 0;
    assert_int_equal(lf_list_dir(&names, &n, folder, NULL), LF_OK);
    lf_free(names);
    return n;
}

static int make_folder_and_file(void **state) {
    if (make_folder(state)) return -1;
    snprintf(file, sizeof file, "%s/a.safetensors", folder);
    return 0;
}

/* ---- files made by hand ---- */

/* A member of a header, as text. */
#define TENSOR(name, dtype, shape, offsets)                                                                            \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void put_file(const char *path, uint64_t header_length, const char *header, size_t data_size) {
    static unsigned char bytes[8192];
    const size_t n = strlen(header);
    assert_true(8 + n + data_size <= sizeof bytes);
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(header_length >> (8 * i));
    memcpy(bytes + 8, header, n);
    for (size_t i = 0; i < data_size; i++) bytes[8 + n + i] = (unsigned char)i;
    assert_int_equal(lf_file_write(path, bytes, 8 + n + data_size, NULL), LF_OK);
}

static void refused(const char *path, lf_status status, const char *why) {
    lf_err err = {0};
    lf_safetensors *st = (lf_safetensors *)(uintptr_t)8;
    const lf_status rc = lf_safetensors_open(&st, path, &err);
    if (rc != status || !strstr(err.message, why) || !strstr(err.message, path) || strchr(err.message, '\n'))
        fail_msg("status %d, message '%s'; expected '%s'", rc, err.message, why);
    assert_null(st);
    assert_int_equal(lf_alloc_live(), 0);
}

static void test_refused_headers(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t data;
        lf_status status;
        const char *why;
    } cases[] = {
        {"", 0, LF_EDATA, "empty"},
        {"[]", 0, LF_EDATA, "JSON object"},
        {"{\"a\":", 0, LF_EDATA, "invalid JSON"},
        {"{\"a\":1}", 0, LF_EDATA, "tensor 'a': expected an object"},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, LF_EDATA, "'dtype'"},
        {"{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, LF_EDATA, "'dtype'"},
        {"{" TENSOR("a", "F8_E4M3", "[4]", "[0,4]") "}", 4, LF_EUNSUPPORTED, "'F8_E4M3' is not supported"},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, LF_EDATA, "'shape'"},
        {"{" TENSOR("a", "F32", "[-1]", "[0,4]") "}", 4, LF_EDATA, "non-negative integers"},
        {"{" TENSOR("a", "F32", "[1.5]", "[0,6]") "}", 6, LF_EDATA, "non-negative integers"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[\"1\"],\"data_offsets\":[0,4]}}", 4, LF_EDATA, "non-negative integers"},
        {"{" TENSOR("a", "F32", "[1e300]", "[0,4]") "}", 4, LF_EDATA, "non-negative integers"},
        {"{" TENSOR("a", "F32", "[4294967296,4294967297]", "[0,4]") "}", 4, LF_EDATA, "63 bits"},
        {"{" TENSOR("a", "F64", "[2147483648,1073741824]", "[0,4]") "}", 4, LF_EDATA, "63 bits"},
        {"{" TENSOR("a", "F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, LF_EDATA, "at most 8 dims"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, LF_EDATA, "'data_offsets'"},
        {"{" TENSOR("a", "F32", "[1]", "[0]") "}", 4, LF_EDATA, "'data_offsets'"},
        {"{" TENSOR("a", "F32", "[1]", "[0,4,8]") "}", 4, LF_EDATA, "'data_offsets'"},
        {"{" TENSOR("a", "F32", "[1]", "[-4,0]") "}", 4, LF_EDATA, "'data_offsets'"},
        {"{" TENSOR("a", "F32", "[1]", "[4,0]") "}", 4, LF_EDATA, "'data_offsets'"},
        {"{" TENSOR("a", "F32", "[1]", "[0,4.5]") "}", 4, LF_EDATA, "'data_offsets'"},
        {"{" TENSOR("a", "F32", "[1]", "[0,1e19]") "}", 4, LF_EDATA, "'data_offsets'"},
        {"{" TENSOR("a", "F32", "[1]", "[9007199254740988,9007199254740992]") "}", 4, LF_EDATA, "download"},
        {"{" TENSOR("a", "F32", "[2]", "[0,8]") "}", 4, LF_EDATA, "4 data bytes"},
        {"{" TENSOR("a", "F32", "[2]", "[0,4]") "}", 4, LF_EDATA, "expected 8 bytes for F32 [2]"},
        {"{" TENSOR("a", "F32", "[1]", "[4,8]") "}", 8, LF_EDATA, "gap"},
        {"{" TENSOR("a", "F32", "[1]", "[0,4]") "}", 8, LF_EDATA, "expected 4 data bytes"},
        {"{}", 1, LF_EDATA, "expected 0 data bytes"},
        {"{" TENSOR("a", "F32", "[1]", "[0,4]") "," TENSOR("b", "F32", "[1]", "[2,6]") "}", 6, LF_EDATA, "overlap"},
        {"{" TENSOR("a", "F32", "[1]", "[0,4]") "," TENSOR("b", "F32", "[1]", "[0,4]") "}", 4, LF_EDATA, "overlap"},
        {"{" TENSOR("a", "F32", "[1]", "[0,4]") "," TENSOR("b", "F32", "[1]", "[8,12]") "}", 12, LF_EDATA, "gap"},
        {"{" TENSOR("a", "F32", "[2]", "[0,8]") "," TENSOR("z", "F32", "[0]", "[4,4]") "}", 8, LF_EDATA, "overlap"},
        {"{" TENSOR("a", "F32", "[1]", "[0,4]") "," TENSOR("a", "F32", "[1]", "[4,8]") "}", 8, LF_EDATA,
         "'a' is there twice"},
        {"{\"__metadata__\":[]," TENSOR("a", "F32", "[1]", "[0,4]") "}", 4, LF_EDATA, "__metadata__"},
        {"{\"__metadata__\":{\"n\":1}}", 0, LF_EDATA, "key 'n': expected a string"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_file(file, strlen(cases[i].header), cases[i].header, cases[i].data);
        refused(file, cases[i].status, cases[i].why);
    }
}

static void test_refused_files(void **state) {
    (void)state;
    static const char header[] = "{" TENSOR("a", "F32", "[1]", "[0,4]") "}";
    static const uint64_t lengths[] = {UINT64_C(1) << 62, UINT64_MAX, UINT64_MAX - 7, 100000001, sizeof header + 4};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        put_file(file, lengths[i], header, 4);
        refused(file, LF_EDATA, "header length of");
    }
    put_file(file, strlen(header), header, 4);
    for (size_t size = 0; size < 8 + strlen(header) + 4; size++) { /* cut at every byte */
        char *bytes = NULL;
        size_t whole = 0;
        assert_int_equal(lf_file_read(&bytes, &whole, file, NULL), LF_OK);
        assert_int_equal(lf_file_write(in_folder("cut"), bytes, size, NULL), LF_OK);
        lf_free(bytes);
        refused(in_folder("cut"), LF_EDATA,
                size < 8                    ? "only"
                : size < 8 + strlen(header) ? "header length"
                                            : "data bytes");
    }
    assert_int_equal(lf_file_write(file, "version https://git-lfs", 23, NULL), LF_OK);
    refused(file, LF_EDATA, "git lfs pull");
    refused(in_folder("none.safetensors"), LF_ENOTFOUND, "cannot open");
    refused(folder, LF_ENOTFOUND, "model.safetensors.index.json");
    refused("/dev/null", LF_EDATA, "not a regular file");
}

static void test_read(void **state) {
    (void)state;
    /* not in name order, empty tensors at both ends of another, a scalar, padding, unaligned data, unknown members */
    static const char header[] = "{\"__metadata__\":{\"format\":\"pt\"}," TENSOR(
        "z", "F32", "[2,0]", "[1,1]") ","
                                      "\"c\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[1,5],\"more\":1},\"b\":{"
                                      "\"dtype\":\"U8\",\"shape\":[1]"
                                      ","
                                      "\"data_offsets\":[0,1]}," TENSOR("e", "I64", "[0]", "[5,5]") "}   ";
    lf_safetensors *st = NULL;
    lf_err err = {0};
    put_file(file, strlen(header), header, 5);
    if (lf_safetensors_open(&st, file, &err)) fail_msg("%s", err.message);
    assert_int_equal(lf_safetensors_count(st), 4);
    static const char *const names[] = {"b", "c", "e", "z"};
    for (int i = 0; i < 4; i++) assert_string_equal(lf_safetensors_at(st, i)->name, names[i]);
    const lf_st_tensor *c = lf_safetensors_find(st, "c"), *z = lf_safetensors_find(st, "z");
    assert_int_equal(c->ndim, 0);
    assert_int_equal(c->numel, 1);
    assert_memory_equal(c->data, "\1\2\3\4", 4);
    assert_string_equal(c->path, file);
    assert_int_equal(z->numel, 0);
    assert_int_equal(z->shape[0], 2);
    assert_null(lf_safetensors_find(st, "d"));
    assert_string_equal(lf_safetensors_metadata(st, "format"), "pt");
    assert_null(lf_safetensors_metadata(st, "none"));
    for (int i = 0; i < 4; i++) lf_safetensors_drop_pages(st, lf_safetensors_at(st, i));
    assert_memory_equal(c->data, "\1\2\3\4", 4); /* it comes back from the file */
    lf_safetensors_close(st);
    lf_safetensors_close(NULL);

    put_file(file, 2, "{}", 0);
    assert_int_equal(lf_safetensors_open(&st, file, NULL), LF_OK);
    assert_int_equal(lf_safetensors_count(st), 0);
    assert_null(lf_safetensors_metadata(st, "format"));
    assert_null(lf_safetensors_find(st, ""));
    lf_safetensors_close(st);
}

/* ---- shards ---- */

static void put_shard(const char *name, const char *tensor_a, const char *tensor_b) {
    char header[256];
    snprintf(header, sizeof header, "{" TENSOR("%s", "U8", "[2]", "[0,2]") "," TENSOR("%s", "U8", "[1]", "[2,3]") "}",
             tensor_a, tensor_b);
    put_file(in_folder(name), strlen(header), header, 3);
}

static void test_shards(void **state) {
    (void)state;
    static const char good[] = "{\"metadata\":{},\"weight_map\":{\"w2\":\"m-2.safetensors\",\"w1\":\"m-1.safetensors\","
                               "\"w3\":\"m-1.safetensors\"}}";
    static const struct {
        const char *index, *why;
    } bad[] = {
        {"{\"weight_map\":{\"w1\":\"../m-1.safetensors\"}}", "same folder"},
        {"{\"weight_map\":{\"w1\":\"/etc/passwd\"}}", "same folder"},
        {"{\"weight_map\":{\"w1\":\"sub/m-1.safetensors\"}}", "same folder"},
        {"{\"weight_map\":{\"w1\":\"..\"}}", "same folder"},
        {"{\"weight_map\":{\"w1\":\".\"}}", "same folder"},
        {"{\"weight_map\":{\"w1\":\"\"}}", "same folder"},
        {"{\"weight_map\":{\"w1\":3}}", "same folder"},
        {"{\"weight_map\":[]}", "'weight_map'"},
        {"{}", "'weight_map'"},
        {"[]", "'weight_map'"},
        {"{\"weight_map\":{\"w1\":\"m-1.safetensors\",\"w1\":\"m-2.safetensors\"}}", "there twice"},
        {"{\"weight_map\":{\"w1\":\"m-1.safetensors\",\"w9\":\"m-2.safetensors\"}}", "no shard has it"},
        {"{\"weight_map\":{\"w1\":\"m-1.safetensors\",\"w2\":\"m-1.safetensors\",\"x2\":\"m-2.safetensors\"}}",
         "expected in m-1.safetensors, found in m-2.safetensors"},
    };
    lf_safetensors *st = NULL;
    lf_err err = {0};
    put_shard("m-1.safetensors", "w1", "w3");
    put_shard("m-2.safetensors", "w2", "x2");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_text("model.safetensors.index.json", bad[i].index);
        err = (lf_err){0};
        assert_int_equal(lf_safetensors_open(&st, folder, &err), LF_EDATA);
        if (!strstr(err.message, bad[i].why) || !strstr(err.message, "model.safetensors.index.json"))
            fail_msg("%s", err.message);
        assert_int_equal(lf_alloc_live(), 0);
    }
    put_text("model.safetensors.index.json", "{\"weight_map\":{\"w1\":\"m-3.safetensors\"}}");
    refused(folder, LF_ENOTFOUND, "m-3.safetensors");

    put_text("model.safetensors.index.json", good);
    err = (lf_err){0};
    lf_log_set_level(LF_LOG_QUIET);
    if (lf_safetensors_open(&st, folder, &err)) fail_msg("%s", err.message);
    lf_log_set_level(LF_LOG_INFO);
    assert_int_equal(lf_safetensors_count(st), 3); /* x2 is not in the index */
    assert_string_equal(lf_path_base(lf_safetensors_find(st, "w2")->path), "m-2.safetensors");
    assert_string_equal(lf_safetensors_at(st, 2)->name, "w3");
    assert_memory_equal(lf_safetensors_at(st, 2)->data, "\2", 1);
    assert_string_equal(lf_safetensors_path(st), folder);
    lf_safetensors_close(st);

    put_shard("model.safetensors", "w1", "w2"); /* a single file wins */
    assert_int_equal(lf_safetensors_open(&st, folder, NULL), LF_OK);
    assert_int_equal(lf_safetensors_count(st), 2);
    lf_safetensors_close(st);
}

/* ---- writing ---- */

static const int64_t shape_a[] = {3, 5}, shape_empty[] = {4, 0};
static const float numbers[15] = {0, 1, -2, 0.5f, 1e-3f, 3, 4, 5, 6, 7, 8, 9, 10, 11, 65504};

static lf_status write_all(const char *path, lf_err *err) {
    static const struct {
        const char *name;
        lf_dtype dtype;
    } floats[] = {{"z.f32", LF_F32}, {"a.bf16", LF_BF16}, {"m.f16", LF_F16}, {"f64", LF_F64}};
    lf_st_writer *w = NULL;
    lf_status rc = lf_st_writer_new(&w, path, err);
    if (rc || (rc = lf_st_writer_meta(w, "who", "caf\xc3\xa9 \"1\"", err)) ||
        (rc = lf_st_writer_meta(w, "who", "me", err)))
        goto out;
    for (int i = 0; i < 4 && !rc; i++) rc = lf_st_writer_declare(w, floats[i].name, floats[i].dtype, 2, shape_a, err);
    if (rc || (rc = lf_st_writer_declare(w, "scalar", LF_I64, 0, NULL, err)) ||
        (rc = lf_st_writer_declare(w, "empty", LF_F32, 2, shape_empty, err)))
        goto out;
    for (int i = 0; i < 4 && !rc; i++) rc = lf_st_writer_write_f32(w, numbers, 15, err);
    const int64_t scalar = -7;
    if (rc || (rc = lf_st_writer_write(w, &scalar, sizeof scalar, err)) ||
        (rc = lf_st_writer_write_f32(w, NULL, 0, err)))
        goto out;
    rc = lf_st_writer_commit(w, err);
    w = NULL;
out:
    lf_st_writer_abort(w);
    return rc;
}

static void test_write_and_read(void **state) {
    (void)state;
    static const char *const names[] = {"a.bf16", "empty", "f64", "m.f16", "scalar", "z.f32"};
    lf_safetensors *st = NULL;
    lf_err err = {0};
    float back[15];
    if (write_all(file, &err) || lf_safetensors_open(&st, file, &err)) fail_msg("%s", err.message);
    assert_int_equal(files_in_folder(), 1);
    assert_int_equal(lf_safetensors_count(st), 6);
    for (int i = 0; i < 6; i++) {
        const lf_st_tensor *t = lf_safetensors_at(st, i);
        assert_string_equal(t->name, names[i]);
        if (!lf_dtype_is_float(t->dtype) || t->numel == 0) continue;
        assert_int_equal(t->ndim, 2);
        assert_int_equal(t->shape[1], 5);
        lf_to_f32(back, t->data, t->dtype, t->numel);
        for (int k = 0; k < 15; k++) {
            const float want = t->dtype == LF_BF16  ? lf_bf16_to_f32(lf_f32_to_bf16(numbers[k]))
                               : t->dtype == LF_F16 ? lf_f16_to_f32(lf_f32_to_f16(numbers[k]))
                                                    : numbers[k];
            assert_true(back[k] == want);
        }
    }
    assert_int_equal((uintptr_t)lf_safetensors_find(st, "z.f32")->data % 8,
                     0); /* declared first: data starts aligned */
    assert_memory_equal(lf_safetensors_find(st, "scalar")->data, "\xf9\xff\xff\xff\xff\xff\xff\xff", 8);
    assert_string_equal(lf_safetensors_metadata(st, "format"), "pt");
    assert_string_equal(lf_safetensors_metadata(st, "who"), "me");
    lf_safetensors_close(st);
}

/* More than one chunk of the float conversion, and of the stream's buffer. */
static void test_large_tensor(void **state) {
    (void)state;
    enum { N = 10001 };
    static float data[N], back[N];
    const int64_t shape[] = {N};
    lf_safetensors *st = NULL;
    lf_st_writer *w = NULL;
    for (int i = 0; i < N; i++) data[i] = (float)(i % 256);
    assert_int_equal(lf_st_writer_new(&w, file, NULL), LF_OK);
    assert_int_equal(lf_st_writer_declare(w, "x", LF_BF16, 1, shape, NULL), LF_OK);
    assert_int_equal(lf_st_writer_write_f32(w, data, N, NULL), LF_OK);
    assert_int_equal(lf_st_writer_commit(w, NULL), LF_OK);
    assert_int_equal(lf_safetensors_open(&st, file, NULL), LF_OK);
    lf_to_f32(back, lf_safetensors_at(st, 0)->data, LF_BF16, N);
    assert_memory_equal(back, data, sizeof data);
    lf_safetensors_close(st);
}

static void hash_of(const char *name, const char *tensor, lf_dtype dtype, int64_t rows, const char *bytes,
                    char out[33]) {
    const int64_t shape[] = {rows, 4 / rows / (int64_t)lf_dtype_size(dtype)};
    lf_st_writer *w = NULL;
    lf_safetensors *st = NULL;
    assert_int_equal(lf_st_writer_new(&w, in_folder(name), NULL), LF_OK);
    assert_int_equal(lf_st_writer_meta(w, "note", name, NULL), LF_OK); /* does not count */
    assert_int_equal(lf_st_writer_declare(w, tensor, dtype, 2, shape, NULL), LF_OK);
    assert_int_equal(lf_st_writer_write(w, bytes, 4, NULL), LF_OK);
    assert_int_equal(lf_st_writer_commit(w, NULL), LF_OK);
    assert_int_equal(lf_safetensors_open(&st, in_folder(name), NULL), LF_OK);
    assert_int_equal(lf_safetensors_hash(st, out, NULL), LF_OK);
    lf_safetensors_close(st);
}

static void test_hash(void **state) {
    (void)state;
    char same[33], h[33];
    hash_of("1", "w", LF_I16, 1, "abcd", same);
    assert_int_equal(strlen(same), 32);
    assert_int_equal(strspn(same, "0123456789abcdef"), 32);
    hash_of("2", "w", LF_I16, 1, "abcd", h);
    assert_string_equal(h, same);
    hash_of("3", "w", LF_I16, 1, "abce", h);
    assert_string_not_equal(h, same);
    hash_of("4", "v", LF_I16, 1, "abcd", h);
    assert_string_not_equal(h, same);
    hash_of("5", "w", LF_U16, 1, "abcd", h);
    assert_string_not_equal(h, same);
    hash_of("6", "w", LF_I16, 2, "abcd", h);
    assert_string_not_equal(h, same);
}

/* Misuse is our own mistake, but it must not leave a wrong file behind. */
/* ---- the same file again, and a file that changes ---- */

static void write_one(const char *path, const char *bytes) {
    lf_st_writer *w;
    const int64_t shape = (int64_t)strlen(bytes);
    assert_int_equal(lf_st_writer_new(&w, path, NULL), LF_OK);
    assert_int_equal(lf_st_writer_declare(w, "w", LF_U8, 1, &shape, NULL), LF_OK);
    assert_int_equal(lf_st_writer_write(w, bytes, strlen(bytes), NULL), LF_OK);
    assert_int_equal(lf_st_writer_commit(w, NULL), LF_OK);
}

static void shell(const char *command) {
    char line[300];
    snprintf(line, sizeof line, "cd %s && { %s; }", folder, command);
    assert_int_equal(system(line), 0);
}

static void test_opened_twice(void **state) {
    (void)state;
    lf_safetensors *a, *b;
    write_one(file, "abcd");
    assert_int_equal(lf_safetensors_open(&a, file, NULL), LF_OK);
    assert_int_equal(lf_safetensors_open(&b, file, NULL), LF_OK);
    const void *data = lf_safetensors_find(a, "w")->data;
    assert_ptr_equal(lf_safetensors_find(b, "w")->data, data);
    assert_string_equal(lf_mapped_file(data), file);
    lf_safetensors_close(a);
    assert_memory_equal(data, "abcd", 4);
    lf_safetensors_drop_all(b);
    assert_memory_equal(data, "abcd", 4);
    lf_safetensors_close(b);
    assert_null(lf_mapped_file(data));
    assert_int_equal(lf_alloc_live(), 0);
}

/* What makes a file another: its bytes, its place, its times. */
static void test_as_opened(void **state) {
    (void)state;
    static const char *const changes[] = {"printf X | dd of=a.safetensors conv=notrunc seek=3 bs=1 2>/dev/null",
                                          "touch -d @1000000000 a.safetensors",
                                          "cp a.safetensors b && mv b a.safetensors",
                                          "chmod 600 a.safetensors",
                                          "rm a.safetensors",
                                          "truncate -s 9 a.safetensors"};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        lf_safetensors *st;
        write_one(file, "abcd");
        shell("touch -d @900000000 a.safetensors");
        assert_int_equal(lf_safetensors_open(&st, file, NULL), LF_OK);
        assert_true(lf_safetensors_as_opened(st));
        shell(changes[i]);
        if (lf_safetensors_as_opened(st)) fail_msg("'%s' was not noticed", changes[i]);
        lf_safetensors_close(st);
    }
}

/* A hash is kept when the file has been what it is for a while; what is kept is not taken where it is damaged, nor for
 * a file that is another by now, and a folder that cannot be made does no harm. */
static void test_kept_hash(void **state) {
    (void)state;
    static const char lie[] = "00112233445566778899aabbccddeeff";
    char cache[100], h[33], right[33], path[400];
    lf_safetensors *st;
    snprintf(cache, sizeof cache, "%s/cache", folder);
    write_one(file, "abcd");
    assert_int_equal(lf_safetensors_open(&st, file, NULL), LF_OK);
    assert_int_equal(lf_kept_hash(st, cache, right, NULL), LF_OK); /* too new to be kept */
    assert_int_equal(rmdir(cache), 0);
    lf_safetensors_close(st);
    /* ctime cannot be set, so it is waited for */
    char **names;
    size_t n = 0;
    for (int waited = 0; n == 0 && waited < 600; waited++) {
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        assert_int_equal(lf_safetensors_open(&st, file, NULL), LF_OK);
        assert_int_equal(lf_kept_hash(st, cache, h, NULL), LF_OK);
        assert_string_equal(h, right);
        assert_int_equal(lf_list_dir(&names, &n, cache, NULL), LF_OK);
        if (n) snprintf(path, sizeof path, "%s/%s", cache, names[0]);
        lf_free(names);
        if (!n) lf_safetensors_close(st);
    }
    assert_int_equal(n, 1);
    char *bytes;
    size_t size;
    assert_int_equal(lf_file_read(&bytes, &size, path, NULL), LF_OK);
    char *at = NULL;
    for (size_t i = 0; i + 32 <= size && !at; i++)
        if (memcmp(bytes + i, right, 32) == 0) at = bytes + i;
    assert_non_null(at);
    memcpy(at, lie, 32);
    assert_int_equal(lf_file_write(path, bytes, size, NULL), LF_OK);
    lf_free(bytes);
    assert_int_equal(lf_kept_hash(st, cache, h, NULL), LF_OK); /* its checksum is not of it */
    assert_string_equal(h, right);
    assert_int_equal(lf_kept_hash(st, NULL, h, NULL), LF_OK);
    assert_string_equal(h, right);
    assert_int_equal(lf_kept_hash(st, "/dev/null/x", h, NULL), LF_OK);
    assert_string_equal(h, right);
    lf_safetensors_close(st);
    shell("printf X | dd of=a.safetensors conv=notrunc bs=1 seek=$(($(stat -c %s a.safetensors) - 1)) 2>/dev/null");
    assert_int_equal(lf_safetensors_open(&st, file, NULL), LF_OK);
    assert_int_equal(lf_kept_hash(st, cache, h, NULL), LF_OK);
    assert_string_not_equal(h, right);
    lf_safetensors_close(st);
    assert_int_equal(lf_alloc_live(), 0);
}

static void test_writer_misuse(void **state) {
    (void)state;
    const int64_t shape[] = {2}, negative[] = {-1}, huge[] = {INT64_C(1) << 40, INT64_C(1) << 40},
                  many[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    lf_st_writer *w = NULL;
    lf_err err = {0};
    assert_int_equal(lf_st_writer_new(&w, file, NULL), LF_OK);
    assert_int_equal(lf_st_writer_declare(w, "n", LF_F32, 1, negative, NULL), LF_EFAIL);
    assert_int_equal(lf_st_writer_declare(w, "h", LF_F32, 2, huge, NULL), LF_EFAIL);
    assert_int_equal(lf_st_writer_declare(w, "m", LF_F32, 9, many, NULL), LF_EFAIL);
    assert_int_equal(lf_st_writer_declare(w, "__metadata__", LF_F32, 1, shape, NULL), LF_EFAIL);
    assert_int_equal(lf_st_writer_declare(w, "i", LF_I32, 1, shape, NULL), LF_OK);
    assert_int_equal(lf_st_writer_write_f32(w, numbers, 2, NULL), LF_EFAIL); /* floats into I32 */
    assert_int_equal(lf_st_writer_write(w, numbers, 7, NULL), LF_EFAIL);
    assert_int_equal(lf_st_writer_declare(w, "late", LF_F32, 1, shape, NULL), LF_EFAIL);
    assert_int_equal(lf_st_writer_meta(w, "late", "x", NULL), LF_EFAIL);
    assert_int_equal(lf_st_writer_commit(w, &err), LF_EFAIL);
    assert_non_null(strstr(err.message, "'i' was declared and not written"));
    assert_int_equal(files_in_folder(), 0);

    assert_int_equal(lf_st_writer_new(&w, file, NULL), LF_OK);
    assert_int_equal(lf_st_writer_declare(w, "twice", LF_F32, 1, shape, NULL), LF_OK);
    assert_int_equal(lf_st_writer_declare(w, "twice", LF_F32, 1, shape, NULL), LF_OK);
    err = (lf_err){0};
    assert_int_equal(lf_st_writer_write(w, numbers, 8, &err), LF_EFAIL);
    assert_non_null(strstr(err.message, "'twice'"));
    lf_st_writer_abort(w);
    assert_int_equal(files_in_folder(), 0);

    assert_int_equal(lf_st_writer_new(&w, file, NULL), LF_OK);
    assert_int_equal(lf_st_writer_write(w, numbers, 0, NULL), LF_EFAIL); /* none declared */
    assert_int_equal(lf_st_writer_commit(w, NULL), LF_OK);               /* a file of no tensors is one */
    assert_int_equal(files_in_folder(), 1);
    err = (lf_err){0};
    assert_int_equal(lf_st_writer_new(&w, in_folder("no/such/file"), &err), LF_EIO);
    assert_null(w);
}

/* A disk that is full, at any point: the error says so, the old file stays, no temporary remains. */
static void test_failing_writes(void **state) {
    (void)state;
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    put_text("a.safetensors", "old");
    lf_status rc = LF_EIO;
    rlim_t limit = 0;
    for (; rc == LF_EIO && limit < 4000; limit += 7) {
        const struct rlimit small = {limit, old.rlim_max};
        lf_err err = {0};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        rc = write_all(file, &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        if (rc == LF_OK) break;
        assert_non_null(strstr(err.message, "cannot write"));
        char *text = NULL;
        size_t size = 0;
        assert_int_equal(lf_file_read(&text, &size, file, NULL), LF_OK);
        assert_string_equal(text, "old");
        lf_free(text);
        assert_int_equal(files_in_folder(), 1);
        assert_int_equal(lf_alloc_live(), 0);
    }
    assert_int_equal(rc, LF_OK);
    assert_true(limit > 700);
}

static void test_failing_allocations(void **state) {
    (void)state;
    lf_status rc = LF_ENOMEM;
    int64_t k = 0;
    for (; rc == LF_ENOMEM && k < 2000; k++) {
        lf_err err = {0};
        lf_alloc_fail_after(k);
        rc = write_all(file, &err);
        lf_alloc_fail_after(-1);
        if (rc && !err.message[0]) fail_msg("allocation %d fails without a message", (int)k);
        assert_int_equal(files_in_folder(), rc == LF_OK);
        assert_int_equal(lf_alloc_live(), 0);
    }
    assert_int_equal(rc, LF_OK);
    assert_true(k > 50);

    put_shard("m-1.safetensors", "w1", "w3");
    put_shard("m-2.safetensors", "w2", "w4");
    put_text("model.safetensors.index.json", "{\"weight_map\":{\"w2\":\"m-2.safetensors\",\"w1\":\"m-1.safetensors\","
                                             "\"w3\":\"m-1.safetensors\",\"w4\":\"m-2.safetensors\"}}");
    const char *const paths[] = {file, folder};
    for (int p = 0; p < 2; p++) {
        rc = LF_ENOMEM;
        for (k = 0; rc == LF_ENOMEM && k < 2000; k++) {
            lf_safetensors *st = NULL;
            lf_err err = {0};
            lf_alloc_fail_after(k);
            rc = lf_safetensors_open(&st, paths[p], &err);
            lf_alloc_fail_after(-1);
            assert_int_equal(rc == LF_OK, st != NULL);
            lf_safetensors_close(st);
            assert_int_equal(lf_alloc_live(), 0);
        }
        assert_int_equal(rc, LF_OK);
        assert_true(k > 20);
    }
}

static void test_shape_str(void **state) {
    (void)state;
    const int64_t shape[] = {768, 3072};
    char buf[32], small[6];
    assert_string_equal(lf_shape_str(buf, sizeof buf, 2, shape), "[768, 3072]");
    assert_string_equal(lf_shape_str(buf, sizeof buf, 0, NULL), "[]");
    assert_string_equal(lf_shape_str(small, sizeof small, 2, shape), "[768,");
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder_and_file, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(test_refused_headers), TEST(test_refused_files),       TEST(test_read),      TEST(test_shards),
        TEST(test_write_and_read),  TEST(test_large_tensor),        TEST(test_hash),      TEST(test_writer_misuse),
        TEST(test_failing_writes),  TEST(test_failing_allocations), TEST(test_shape_str), TEST(test_opened_twice),
        TEST(test_as_opened),       TEST(test_kept_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
