/* GGUF: what is written is read back, byte by byte where the specification says them; every way for a file to be wrong
 * is refused in one line. What goes into files of models and adapters: tests/cli/test_gguf_files.c. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "folder_fixture.h"

#include "gguf/arch.h"

static lf_err err;

static const char *write_small(const char *name) {
    static const float a[6] = {1, 2, 3, -4, 0.5f, 1e-3f}, b[3] = {7, 8, 9};
    lf_gguf_writer *w;
    const char *path = in_folder(name);
    assert_int_equal(lf_gguf_writer_new(&w, path, &err), LF_OK);
    lf_gguf_put_string(w, "general.architecture", "llama");
    lf_gguf_put_u32(w, "n", 7);
    lf_gguf_put_f32(w, "x", 0.25);
    lf_gguf_put_bool(w, "yes", true);
    lf_gguf_put_array(w, "words", LF_GGUF_STRING, 2);
    lf_gguf_add_string(w, "ab", 2);
    lf_gguf_add_string(w, "", 0);
    lf_gguf_put_array(w, "kinds", LF_GGUF_I32, 2);
    lf_gguf_add_i32(w, -1);
    lf_gguf_add_i32(w, 6);
    assert_int_equal(lf_gguf_declare(w, "a", LF_F32, 2, (int64_t[]){2, 3}, &err), LF_OK);
    assert_int_equal(lf_gguf_declare(w, "b", LF_BF16, 1, (int64_t[]){3}, &err), LF_OK);
    assert_int_equal(lf_gguf_declare(w, "c", LF_F16, 1, (int64_t[]){3}, &err), LF_OK);
    assert_int_equal(lf_gguf_write_f32(w, a, 6, &err), LF_OK);
    assert_int_equal(lf_gguf_write_f32(w, b, 3, &err), LF_OK);
    assert_int_equal(lf_gguf_write_f32(w, b, 3, &err), LF_OK);
    assert_int_equal(lf_gguf_writer_commit(w, &err), LF_OK);
    return path;
}

static void test_round_trip(void **state) {
    (void)state;
    static const float a[6] = {1, 2, 3, -4, 0.5f, 1e-3f};
    static const uint16_t b[3] = {0x40e0, 0x4100, 0x4110}, c[3] = {0x4700, 0x4800, 0x4880};
    const char *s, *path = write_small("a.gguf");
    size_t n;
    double x;
    lf_gguf *g;
    assert_int_equal(lf_gguf_open(&g, path, &err), LF_OK);
    assert_int_equal(lf_gguf_n_keys(g), 6);
    assert_int_equal(lf_gguf_n_tensors(g), 3);
    assert_true(lf_gguf_string(g, "general.architecture", &s, &n) && n == 5 && memcmp(s, "llama", 5) == 0);
    assert_true(lf_gguf_number(g, "n", &x) && x == 7 && lf_gguf_number(g, "x", &x) && x == 0.25);
    assert_false(lf_gguf_number(g, "yes", &x) || lf_gguf_number(g, "kinds", &x) || lf_gguf_string(g, "words", &s, &n));
    assert_false(lf_gguf_find_key(g, "word"));
    const lf_gguf_key *words = lf_gguf_find_key(g, "words"), *kinds = lf_gguf_key_at(g, 5);
    assert_true(words->is_array && words->type == LF_GGUF_STRING && words->count == 2 && words->size == 18);
    assert_memory_equal(words->data, "\2\0\0\0\0\0\0\0ab\0\0\0\0\0\0\0\0", 18);
    assert_memory_equal(kinds->data, "\377\377\377\377\6\0\0\0", 8);
    const lf_gguf_tensor *t = lf_gguf_find(g, "a");
    assert_true(t->ndim == 2 && t->shape[0] == 2 && t->shape[1] == 3 && t->numel == 6 && t->size == 24);
    assert_memory_equal(t->data, a, sizeof a);
    assert_memory_equal(lf_gguf_find(g, "b")->data, b, sizeof b);
    assert_memory_equal(lf_gguf_find(g, "c")->data, c, sizeof c);
    assert_string_equal(lf_gguf_type_name(lf_gguf_find(g, "b")->type), "BF16");
    /* from a multiple of 32 on, and the file ends at one */
    for (int64_t i = 0; i < 3; i++) assert_int_equal((uintptr_t)lf_gguf_tensor_at(g, i)->data % 32, 0);
    assert_int_equal(lf_file_size(path) % 32, 0);
    lf_gguf_close(g);
}

/* Without the care of lf_file_write, which waits for the disk. */
static void put_bytes(const char *path, const void *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_true(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
}

/* Each prefix of a file is refused in one line, and so is each with one byte turned, or it is another good file. */
static void test_damage(void **state) {
    (void)state;
    char *bytes;
    size_t size;
    int64_t good = 0;
    assert_int_equal(lf_file_read(&bytes, &size, write_small("a.gguf"), &err), LF_OK);
    const char *path = in_folder("b.gguf");
    for (size_t n = 0; n < size; n++) {
        lf_gguf *g;
        lf_err found = {0};
        put_bytes(path, bytes, n);
        const lf_status rc = lf_gguf_open(&g, path, &found);
        /* what pads the last tensor may be missing */
        if (n < size - 26 && rc == LF_OK) fail_msg("%zu of %zu bytes were read as a whole file", n, size);
        assert_true((rc == LF_OK) == (found.message[0] == 0) && !strchr(found.message, '\n'));
        lf_gguf_close(g);
    }
    for (size_t i = 0; i < size; i++) {
        lf_gguf *g;
        lf_err found = {0};
        bytes[i] = (char)(bytes[i] ^ 0x81);
        put_bytes(path, bytes, size);
        good += lf_gguf_open(&g, path, &found) == LF_OK;
        lf_gguf_close(g);
        bytes[i] = (char)(bytes[i] ^ 0x81);
    }
    assert_in_range(good, 40, size - 100); /* numbers, letters and padding may be others */
    lf_free(bytes);
}

/* ---- files made by hand ---- */

typedef struct bytes {
    unsigned char b[512];
    size_t n;
} bytes;

static void number(bytes *to, uint64_t value, size_t n) {
    for (size_t i = 0; i < n; i++) to->b[to->n++] = (unsigned char)(value >> (8 * i));
}

static void word(bytes *to, const char *s) {
    number(to, strlen(s), 8);
    memcpy(to->b + to->n, s, strlen(s));
    to->n += strlen(s);
}

static bytes header(uint64_t version, uint64_t tensors, uint64_t keys) {
    bytes out = {.b = "GGUF", .n = 4};
    number(&out, version, 4);
    number(&out, tensors, 8);
    number(&out, keys, 8);
    return out;
}

static void tensor(bytes *to, const char *name, uint64_t ndim, uint64_t extent, uint64_t type, uint64_t offset) {
    word(to, name);
    number(to, ndim, 4);
    for (uint64_t i = 0; i < ndim && i < 8; i++) number(to, extent, 8);
    number(to, type, 4);
    number(to, offset, 8);
}

static void is(const bytes *file, lf_status want, const char *says) {
    lf_gguf *g;
    lf_err found = {0};
    const char *path = in_folder("hand.gguf");
    put_bytes(path, file->b, file->n);
    const lf_status rc = lf_gguf_open(&g, path, &found);
    lf_gguf_close(g);
    if (rc != want || (says && !strstr(found.message, says)))
        fail_msg("expected %d and '%s', found %d and '%s'", (int)want, says, (int)rc, found.message);
}

static void test_by_hand(void **state) {
    (void)state;
    bytes f = header(3, 0, 0);
    is(&f, LF_OK, NULL);
    f = header(2, 0, 0);
    is(&f, LF_OK, NULL);
    f = header(1, 0, 0);
    is(&f, LF_EUNSUPPORTED, "expected GGUF of version 2 or 3, found 1");
    f = header(0x3000000, 0, 0);
    is(&f, LF_EUNSUPPORTED, "found 3 in big-endian order");
    f = header(3, 0, UINT64_MAX);
    is(&f, LF_EDATA, "more than the file has room for");
    f.b[0] = 'g';
    is(&f, LF_EDATA, "does not begin with GGUF");

    const struct {
        uint64_t type, count;
        lf_status want;
        const char *says;
    } values[] = {{13, 0, LF_EDATA, "a type of value below 13, found 13"},
                  {8, UINT64_MAX, LF_EDATA, "the file ends within a string"},
                  {10, 0, LF_EDATA, "the file ends within a value"}};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        f = header(3, 0, 1);
        word(&f, "key");
        number(&f, values[i].type, 4);
        number(&f, values[i].count, values[i].type == 10 ? 4 : 8);
        is(&f, values[i].want, values[i].says);
    }
    f = header(3, 0, 1);
    word(&f, "key");
    number(&f, 7, 4);
    number(&f, 2, 1);
    is(&f, LF_EDATA, "key 'key': expected 0 or 1, found 2");
    f = header(3, 0, 1);
    word(&f, "key");
    number(&f, 9, 4);
    number(&f, 9, 4);
    number(&f, 0, 8);
    is(&f, LF_EUNSUPPORTED, "an array of plain values");
    f = header(3, 0, 1);
    word(&f, "key");
    number(&f, 9, 4);
    number(&f, 12, 4);
    number(&f, UINT64_C(1) << 61, 8);
    is(&f, LF_EDATA, "the file ends within a value"); /* its bytes are more than 64 bits hold */
    f = header(3, 0, 2);
    for (int i = 0; i < 2; i++) {
        word(&f, "key");
        number(&f, 0, 4);
        number(&f, 1, 1);
    }
    is(&f, LF_EDATA, "key 'key' is there twice");
    f = header(3, 0, 1);
    word(&f, "general.alignment");
    number(&f, 4, 4);
    number(&f, 24, 4);
    is(&f, LF_EDATA, "expected a power of two, found 24");

    const struct {
        uint64_t ndim, extent, type, offset;
        lf_status want;
        const char *says;
    } tensors[] = {{1, 4, 0, 0, LF_OK, NULL},
                   {1, 32, 2, 0, LF_OK, NULL}, /* a block of Q4_0 */
                   {1, 31, 2, 0, LF_EDATA, "rows of whole blocks"},
                   {0, 0, 0, 0, LF_EDATA, "expected 1 to 4 dims, found 0"},
                   {5, 1, 0, 0, LF_EDATA, "expected 1 to 4 dims, found 5"},
                   {1, 0, 0, 0, LF_EDATA, "dims above 0"},
                   {4, UINT64_C(1) << 20, 0, 0, LF_EDATA, "63 bits"},
                   {1, 4, 4, 0, LF_EUNSUPPORTED, "a known number format, found 4"},
                   {1, 4, 0, 32, LF_EDATA, "tensor 't': expected offset 0, found 32"},
                   {1, 9, 0, 0, LF_EDATA, "within the file"}};
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        f = header(3, 1, 0);
        tensor(&f, "t", tensors[i].ndim, tensors[i].extent, tensors[i].type, tensors[i].offset);
        if (f.n % 32) f.n += 32 - f.n % 32;
        f.n += 32; /* zeros */
        is(&f, tensors[i].want, tensors[i].says);
    }
    f = header(3, 2, 0);
    tensor(&f, "t", 1, 4, 0, 0);
    tensor(&f, "t", 1, 4, 0, 32);
    is(&f, LF_EDATA, "tensor 't' is there twice");
    f = header(3, 1, 0);
    tensor(&f, "a name of sixty-five bytes, which is one more than a name can have.", 1, 4, 0, 0);
    is(&f, LF_EDATA, "of at most 64 bytes");
}

/* A number that the format has no room for is no number in the file; nothing is left of the file. */
static void test_what_does_not_fit(void **state) {
    (void)state;
    lf_gguf_writer *w;
    const char *path = in_folder("a.gguf");
    err = (lf_err){0};
    assert_int_equal(lf_gguf_writer_new(&w, path, &err), LF_OK);
    assert_int_equal(lf_gguf_declare(w, "a", LF_F16, 1, (int64_t[]){2}, &err), LF_OK);
    assert_int_equal(lf_gguf_write_f32(w, (float[]){1, 70000}, 2, &err), LF_EDATA);
    assert_non_null(strstr(err.message, "tensor 'a': number 1 is 70000, which is too large for F16"));
    lf_gguf_writer_abort(w);
    assert_false(lf_exists(path));
    err = (lf_err){0};
    assert_int_equal(lf_gguf_writer_new(&w, path, &err), LF_OK);
    assert_int_equal(lf_gguf_declare(w, "a", LF_F32, 1, (int64_t[]){2}, &err), LF_OK);
    assert_int_equal(lf_gguf_writer_commit(w, &err), LF_EFAIL); /* not all is written */
    assert_false(lf_exists(path));
    err = (lf_err){0};
}

/* transformers turns number i of a head with i + 4, llama.cpp's "llama" 2 i with 2 i + 1. */
static void test_turned_rows(void **state) {
    (void)state;
    enum { HEADS = 3, D = 8, N = 2 };
    float from[HEADS * D * N], to[HEADS * D * N];
    for (int i = 0; i < HEADS * D * N; i++) from[i] = (float)i;
    lf_gguf_turn_rows(to, from, HEADS, HEADS * D, N);
    for (int h = 0; h < HEADS; h++)
        for (int i = 0; i < D / 2; i++)
            for (int j = 0; j < N; j++) {
                assert_true(to[(h * D + 2 * i) * N + j] == from[(h * D + i) * N + j]);
                assert_true(to[(h * D + 2 * i + 1) * N + j] == from[(h * D + i + D / 2) * N + j]);
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {IN_FOLDER(test_round_trip), IN_FOLDER(test_damage), IN_FOLDER(test_by_hand),
                                       IN_FOLDER(test_what_does_not_fit), cmocka_unit_test(test_turned_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
