/* Which files a data set is read from, packed files, and several files as one. */
#define _GNU_SOURCE /* mkdtemp, setenv */
#include "stderr_fixture.h"
#include "text_fixture.h"

#include <zlib.h>
#include <zstd.h>

#include "base/string.h"
#include "data/files.h"
#include "io/unpack.h"

/* ---- packing ------------------------------------------------------------------------------------------------------
 */

enum { ROOM = 1 << 16 };

static size_t gzip_bytes(unsigned char *out, const void *bytes, size_t n) {
    enum { GZIP_WINDOW = 16 + MAX_WBITS, MEMORY = 8 };
    z_stream z = {.next_in = (z_const Bytef *)bytes, .avail_in = (uInt)n, .next_out = out, .avail_out = ROOM};
    assert_int_equal(deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, MEMORY, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out;
}

static size_t zstd_bytes(unsigned char *out, const void *bytes, size_t n) {
    const size_t size = ZSTD_compress(out, ROOM, bytes, n, 3);
    assert_false(ZSTD_isError(size));
    return size;
}

typedef size_t pack_fn(unsigned char *out, const void *bytes, size_t n);

static const struct packer {
    const char *extension;
    pack_fn *pack;
} packers[] = {{".gz", gzip_bytes}, {".zst", zstd_bytes}, {".zstd", zstd_bytes}, {"", gzip_bytes}};

enum { N_PACKERS = sizeof packers / sizeof *packers };

static void put_packed(const char *name, pack_fn *pack, const char *text) {
    static unsigned char bytes[ROOM];
    put_bytes(name, bytes, pack(bytes, text, strlen(text)));
}

static const char *text_at(const lf_text_dataset *d, int64_t i) {
    static char text[256];
    lf_text_example e;
    lf_err err = {0};
    assert_ok(lf_text_dataset_example(d, i, &e, &err), err);
    snprintf(text, sizeof text, "%s", e.text);
    lf_text_example_free(&e);
    return text;
}

static void check_texts(lf_text_dataset *d, const char *letters) {
    assert_int_equal(lf_text_dataset_count(d), strlen(letters));
    for (int64_t i = 0; letters[i]; i++) assert_int_equal(text_at(d, i)[0], letters[i]);
    lf_text_dataset_free(d);
}

static void test_packed_records(void **state) {
    (void)state;
    const struct {
        const char *name, *content;
    } files[] = {
        {"p.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\"}\n"},
        {"p.json", "[{\"text\": \"a\"}, {\"text\": \"b\"}]"},
        {"p.csv", "\xef\xbb\xbftext\na\nb\n"},
        {"p.tsv", "x\ttext\n1\ta\n2\tb\n"},
        {"p", "{\"text\": \"a\"}\n{\"text\": \"b\"}\n"},
    };
    for (int p = 0; p < N_PACKERS; p++)
        for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
            char name[64], said[600];
            snprintf(name, sizeof name, "%s%s", files[i].name, packers[p].extension);
            put_packed(name, packers[p].pack, files[i].content);
            lf_text_dataset *d = open_text(name);
            lf_text_dataset_record_name(d, 1, said, sizeof said);
            assert_non_null(strstr(said, name)); /* the packed file is named, and the line of its content */
            assert_non_null(strstr(said, ": line "));
            assert_int_equal(lf_text_dataset_bytes(d), strlen(files[i].content));
            check_texts(d, "ab");
        }
    put_text("plain.jsonl.gz", "{\"text\": \"a\"}\n"); /* what it begins with counts, not its name */
    check_texts(open_text("plain.jsonl.gz"), "a");
}

static void test_packed_in_parts(void **state) {
    (void)state;
    static unsigned char bytes[2 * ROOM];
    for (int p = 0; p < N_PACKERS; p++) {
        char name[64];
        size_t n = packers[p].pack(bytes, "{\"text\": \"a\"}\n{\"text\"", 21);
        n += packers[p].pack(bytes + n, ": \"b\"}\n", 7);
        snprintf(name, sizeof name, "parts.jsonl%s", packers[p].extension);
        put_bytes(name, bytes, n);
        check_texts(open_text(name), "ab");
    }
    const unsigned char skipped[] = "\x50\x2a\x4d\x18\4\0\0\0abcd"; /* a frame that pzstd begins with */
    memcpy(bytes, skipped, sizeof skipped - 1);
    put_bytes("skip.jsonl.zst", bytes,
              sizeof skipped - 1 + zstd_bytes(bytes + sizeof skipped - 1, "{\"text\": \"a\"}", 13));
    check_texts(open_text("skip.jsonl.zst"), "a");
}

/* A file cut anywhere, and one with a byte changed anywhere, must not be half read. */
static void test_damaged(void **state) {
    (void)state;
    static const char content[] = "{\"text\": \"a\"}\n{\"text\": \"b\"}\n{\"text\": \"c\"}\n";
    static unsigned char bytes[ROOM];
    for (int p = 0; p < N_PACKERS; p++) {
        lf_err err = {0};
        lf_text_dataset *d = NULL;
        const size_t n = packers[p].pack(bytes, content, sizeof content - 1);
        for (size_t cut = 8; cut < n; cut++) {
            put_bytes("cut.jsonl", bytes, cut);
            assert_says(try_open(&d, "cut.jsonl", (lf_text_dataset_opts){0}, &err), LF_EDATA, err, "cut.jsonl: ");
            assert_null(d);
        }
        bytes[n] = 'x';
        put_bytes("more.jsonl", bytes, n + 1);
        assert_says(try_open(&d, "more.jsonl", (lf_text_dataset_opts){0}, &err), LF_EDATA, err, "more.jsonl: ");
    }
    lf_err err = {0};
    lf_text_dataset *d = NULL;
    size_t n = gzip_bytes(bytes, content, sizeof content - 1);
    put_bytes("cut.jsonl.gz", bytes, n - 4);
    assert_says(try_open(&d, "cut.jsonl.gz", (lf_text_dataset_opts){0}, &err), LF_EDATA, err,
                "the gzip data end too early; is the download complete?");
    bytes[n - 6] ^= 1; /* of the checksum */
    put_bytes("bad.jsonl.gz", bytes, n);
    assert_says(try_open(&d, "bad.jsonl.gz", (lf_text_dataset_opts){0}, &err), LF_EDATA, err,
                "damaged gzip data (incorrect data check)");
    n = zstd_bytes(bytes, content, sizeof content - 1);
    put_bytes("cut.jsonl.zst", bytes, n - 1);
    assert_says(try_open(&d, "cut.jsonl.zst", (lf_text_dataset_opts){0}, &err), LF_EDATA, err,
                "the Zstandard data end too early");
    static const unsigned char wide[] = {0x28,           0xb5, 0x2f, 0xfd, 0,
                                         (28 - 10) << 3, 1,    0,    0}; /* a window of 2^28 bytes */
    put_bytes("wide.jsonl.zst", wide, sizeof wide);
    assert_says(try_open(&d, "wide.jsonl.zst", (lf_text_dataset_opts){0}, &err), LF_EUNSUPPORTED, err,
                "a window of more than 128 MiB (zstd --long); unpack it before: unzstd --long=31");
}

/* Columns may be called as other files begin. */
static void test_headings_like_marks(void **state) {
    (void)state;
    static const char *const headings[] = {"PAR1", "FEA1", "ARROW1", "Obj", "BZh9", "ustar"};
    for (size_t i = 0; i < sizeof headings / sizeof *headings; i++) {
        char text[64];
        const int n = snprintf(text, sizeof text, "%s,text\n1,hi\n", headings[i]);
        put_bytes("heading.csv", text, (size_t)n);
        check_texts(open_text("heading.csv"), "h");
    }
}

static void test_bomb_and_no_room(void **state) {
    (void)state;
    lf_err err = {0};
    lf_text_dataset *d = NULL;
    const size_t most = (size_t)LF_UNPACK_FREE_BYTES + 1;
    char *blanks = malloc(most);
    unsigned char *packed = malloc(ROOM);
    assert_non_null(blanks);
    assert_non_null(packed);
    memset(blanks, ' ', most);
    put_bytes("bomb.jsonl.zst", packed, zstd_bytes(packed, blanks, most));
    assert_says(
        try_open(&d, "bomb.jsonl.zst", (lf_text_dataset_opts){0}, &err), LF_EDATA, err,
        "unpacks to more than 67108864 bytes, 500 times its size; if it is meant to, unpack it by hand: unzstd");
    put_packed("room.jsonl.gz", gzip_bytes, "{\"text\": \"a\"}\n");
    const char *before = getenv("TMPDIR");
    char *kept = before ? strdup(before) : NULL;
    setenv("TMPDIR", in_scratch("nowhere"), 1);
    assert_says(try_open(&d, "room.jsonl.gz", (lf_text_dataset_opts){0}, &err), LF_EIO, err,
                "cannot make a temporary file in");
    setenv("TMPDIR", in_scratch("."), 1);
    check_texts(open_text("room.jsonl.gz"), "a");
    char **names;
    size_t n;
    assert_int_equal(lf_list_dir(&names, &n, in_scratch("."), &err), LF_OK);
    for (size_t i = 0; i < n; i++) assert_null(strstr(names[i], "unpacked")); /* it has no name that could stay */
    lf_free(names);
    if (kept)
        setenv("TMPDIR", kept, 1);
    else
        unsetenv("TMPDIR");
    free(kept);
    free(packed);
    free(blanks);
}

/* ---- files that are no text ----------------------------------------------------------------------------------------
 */

static void test_kinds(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t at, n;
        const char *says;
    } cases[] = {
        {"ARROW1\0\0", 0, 8, "this is Arrow; turn it into Parquet"},
        {"\xff\xff\xff\xff\x10\0\0\0", 0, 8, "this is an Arrow stream, as `datasets` keeps it"},
        {"FEA1\0\0\0\0", 0, 8, "this is Feather"},
        {"SQLite format 3\0", 0, 16, "this is an SQLite database; write a table as CSV"},
        {"[Content_Types].xml", 30, 19, "this is an Office document; save the table as CSV"},
        {"PK\3\4", 0, 4, "this is a zip archive; unpack it: unzip"},
        {"ustar", 257, 5, "this is a tar archive"},
        {"BZh91AY&SY", 0, 10, "this is compressed by bzip2; unpack it: bunzip2 -k"},
        {"\xfd"
         "7zXZ\0",
         0, 6, "this is compressed by xz; unpack it: unxz -k"},
        {"\x04\x22\x4d\x18", 0, 4, "this is compressed by LZ4"},
        {"%PDF-1.7", 0, 8, "this is a PDF document"},
        {"\x93NUMPY", 0, 6, "this is a NumPy array"},
        {"\x89HDF\r\n\x1a\n", 0, 8, "this is HDF5"},
        {"\x80\x04\x95", 0, 3, "this is a pickle of Python; pickles can run code"},
        {"\x80\x02}q", 0, 4, "this is a pickle of Python"},
        {"\0\0\0\x1c"
         "ftypavif",
         0, 12, "this is an AVIF picture; it is not read; save it as JPEG or PNG"},
        {"\0\0\0\x0cjP  ", 0, 8, "this is a JPEG 2000 picture"},
        {"a\0,\0b\0", 0, 6, "this is UTF-16 text without a mark (little endian); save it as UTF-8"},
        {"\0a\0,\0b", 0, 6, "this is UTF-16 text without a mark (big endian)"},
        {"\xff\xfe{\0", 0, 4, "this is text in UTF-16; save it as UTF-8: iconv"},
    };
    static const char *const names[] = {"kind.jsonl", "kind.csv", "kind.txt", "kind", "kind.txt.gz"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
            lf_err err = {0};
            lf_text_dataset *d = NULL;
            unsigned char bytes[600], packed[ROOM];
            memset(bytes, 'x', sizeof bytes);
            memcpy(bytes + cases[i].at, cases[i].bytes, cases[i].n);
            if (strstr(names[k], ".gz"))
                put_bytes(names[k], packed, gzip_bytes(packed, bytes, sizeof bytes));
            else
                put_bytes(names[k], bytes, sizeof bytes);
            assert_says(try_open(&d, names[k], (lf_text_dataset_opts){0}, &err), LF_EDATA, err, cases[i].says);
            assert_null(d);
        }
}

/* ---- several files -------------------------------------------------------------------------------------------------
 */

/* A spec in which '%' stands for the scratch folder. */
static cJSON *spec_of(const char *spec) {
    lf_string text = {0};
    cJSON *json = NULL;
    for (const char *s = spec; *s; s++) {
        if (*s == '%')
            lf_string_put(&text, scratch, strlen(scratch));
        else
            lf_string_put(&text, s, 1);
    }
    assert_int_equal(lf_json_parse(&json, text.s, text.n, "spec", NULL), LF_OK);
    lf_string_free(&text);
    return json;
}

static lf_status try_spec(lf_text_dataset **out, const char *spec, const char *split, lf_err *err) {
    cJSON *json = spec_of(spec);
    *out = NULL;
    const lf_text_dataset_opts o = {.spec = json, .key = "train_data", .split = split};
    const lf_status rc = lf_text_dataset_open(out, &o, err);
    cJSON_Delete(json);
    return rc;
}

static void put_letter(const char *name, const char *letters) {
    char text[256] = "";
    for (size_t i = 0; letters[i]; i++) snprintf(text + strlen(text), 64, "{\"text\": \"%c\"}\n", letters[i]);
    put_text(name, text);
}

static void test_lists_and_patterns(void **state) {
    (void)state;
    put_letter("many/part-2.jsonl", "c");
    put_letter("many/part-10.jsonl", "b");
    put_letter("many/part-1.jsonl", "ad");
    put_packed("many/part-3.jsonl.gz", gzip_bytes, "{\"text\": \"e\"}\n");
    put_text("many/other.csv", "text\nf\n");
    put_text("many/one.txt", "g");
    put_text("many/two.txt", "h");
    put_text("many/list[1].jsonl", "{\"text\": \"i\"}\n");
    put_letter("many/below/x.jsonl", "z");
    static const struct {
        const char *spec, *letters;
    } good[] = {
        {"\"%/many/part-*.jsonl\"", "adbc"},
        {"\"%/many/part-*.jsonl*\"", "adbce"},
        {"\"%/many/part-[12].jsonl\"", "adc"},
        {"\"%/many/part-?.jsonl\"", "adc"},
        {"\"%/m*y/part-1*.jsonl\"", "adb"},
        {"[\"%/many/part-2.jsonl\", \"%/many/part-1.jsonl\"]", "cad"},
        {"[\"%/many/other.csv\", \"%/many/part-1*.jsonl\"]", "fadb"},
        {"{\"path\": [\"%/many/part-3.jsonl.gz\", \"%/many/other.csv\"]}", "ef"},
        {"{\"path\": \"%/many/part-*.jsonl\", \"format\": \"jsonl\"}", "adbc"},
        {"[\"%/many/part-1.jsonl\", \"%/many/part-1.jsonl\"]", "adad"},
        {"\"%/many/list[1].jsonl\"", "i"}, /* a file by that very name is no pattern */
        {"\"%/many/b*/x.jsonl\"", "z"},
    };
    lf_err err = {0};
    lf_text_dataset *d;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_ok(try_spec(&d, good[i].spec, NULL, &err), err);
        check_texts(d, good[i].letters);
    }
    static const struct {
        const char *spec;
        lf_status status;
        const char *says;
    } bad[] = {
        {"\"%/many/none-*.jsonl\"", LF_ENOTFOUND, "none-*.jsonl: no file matches"},
        {"\"%/many/bel*\"", LF_ENOTFOUND, "only folders match"},
        {"\"%/**/x.jsonl\"", LF_EUSAGE, "'**' is not known"},
        {"[]", LF_EUSAGE, "the list of paths is empty"},
        {"[\"%/many/part-1.jsonl\", 3]", LF_EUSAGE, "expected a path, or a list of paths"},
        {"[\"%/many/part-1.jsonl\", \"\"]", LF_EUSAGE, "expected a path, or a list of paths"},
        {"{\"path\": {}}", LF_EUSAGE, "expected a path, a list of paths"},
        {"\"tatsu-lab/alpaca\"", LF_ENOTFOUND,
         "hf download --repo-type dataset tatsu-lab/alpaca --local-dir alpaca, then --train_data alpaca"},
        {"\"squad\"", LF_ENOTFOUND, "hf download --repo-type dataset squad --local-dir squad"},
        {"\"hf://datasets/a/b\"", LF_ENOTFOUND, "hf download --repo-type dataset a/b --local-dir b"},
        {"\"https://huggingface.co/datasets/a/b\"", LF_ENOTFOUND, "hf download --repo-type dataset a/b --local-dir b"},
        {"\"https://example.org/a/b.jsonl\"", LF_ENOTFOUND, "nothing is fetched from addresses"},
        {"[\"%/many/part-1.jsonl\", \"%/many/part-9.jsonl\"]", LF_ENOTFOUND, "part-9.jsonl: no such file"},
        {"[\"%/many/part-1.jsonl\", \"%/many/below\"]", LF_EUSAGE, "below: a folder among several paths"},
        {"[\"%/many/one.txt\", \"%/many/part-1.jsonl\"]", LF_EUSAGE, "is plain text, but"},
        {"[\"%/many/part-1.jsonl\", \"%/many/one.txt\"]", LF_EUSAGE, "one.txt is plain text, but"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_says(try_spec(&d, bad[i].spec, NULL, &err), bad[i].status, err, bad[i].says);
        assert_null(d);
    }
    assert_says(try_spec(&d, "\"alpaca.json\"", NULL, &err), LF_ENOTFOUND, err, "no such file");
    assert_null(strstr(err.message, "hf download")); /* a file's name, not a data set's */
}

static void test_one_layout(void **state) {
    (void)state;
    lf_err err = {0};
    lf_text_dataset *d;
    put_letter("lay/a.jsonl", "a");
    put_text("lay/b.jsonl", "{\"prompt\": \"p\", \"completion\": \"c\"}\n");
    put_text("lay/c.jsonl", "{\"text\": \"c\"}\n{\"body\": \"c\"}\n");
    put_text("lay/d.jsonl", "{\"body\": \"c\"}\n");
    put_text("lay/e.jsonl", "");
    assert_says(try_spec(&d, "[\"%/lay/a.jsonl\", \"%/lay/b.jsonl\"]", NULL, &err), LF_EDATA, err,
                "b.jsonl: its records are of layout 'prompt_completion', but those of");
    assert_says(try_spec(&d, "[\"%/lay/a.jsonl\", \"%/lay/d.jsonl\"]", NULL, &err), LF_EDATA, err,
                "d.jsonl: line 1: expected the fields");
    assert_says(try_spec(&d, "[\"%/lay/a.jsonl\", \"%/lay/e.jsonl\"]", NULL, &err), LF_EDATA, err,
                "e.jsonl: the file is empty");
    assert_ok(try_spec(&d, "[\"%/lay/a.jsonl\", \"%/lay/c.jsonl\"]", NULL, &err), err);
    lf_text_example e;
    char name[600];
    assert_non_null(strstr(lf_text_dataset_record_name(d, 2, name, sizeof name), "lay/c.jsonl: line 2"));
    assert_non_null(strstr(lf_text_dataset_path(d), "lay/a.jsonl and 1 more file"));
    assert_says(lf_text_dataset_example(d, 2, &e, &err), LF_EDATA, err, "c.jsonl: line 2: expected the fields");
    lf_text_dataset_free(d);
}

static void test_plain_text(void **state) {
    (void)state;
    lf_err err = {0};
    lf_text_dataset *d;
    char name[600];
    put_text("books/b.txt", "two");
    put_packed("books/a.txt.gz", gzip_bytes, "one");
    put_packed("books/c.txt.zst", zstd_bytes, "three");
    static const struct {
        const char *spec;
        int64_t n, bytes;
        const char *first;
    } cases[] = {
        {"\"%/books\"", 3, 11, "a.txt.gz"},
        {"\"%/books/*.txt*\"", 3, 11, "a.txt.gz"},
        {"[\"%/books/b.txt\", \"%/books/a.txt.gz\"]", 2, 6, "b.txt"},
        {"\"%/books/c.txt.zst\"", 1, 5, "c.txt.zst"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_ok(try_spec(&d, cases[i].spec, NULL, &err), err);
        assert_true(lf_text_dataset_windowed(d));
        assert_int_equal(lf_text_dataset_count(d), cases[i].n);
        assert_int_equal(lf_text_dataset_bytes(d), cases[i].bytes);
        assert_non_null(strstr(lf_text_dataset_record_name(d, 0, name, sizeof name), cases[i].first));
        lf_text_dataset_free(d);
    }
}

/* The tokens of packed plain text are those of the text itself, cut into pieces. */
static void test_plain_text_tokens(void **state) {
    (void)state;
    static char text[1 << 20];
    static const char *const names[] = {"long.txt", "long.txt.gz"};
    int64_t count[2], tokens[2];
    for (size_t i = 0; i + 16 < sizeof text; i += 16) memcpy(text + i, "a line of words\n", 16);
    put_text(names[0], text);
    uLongf size = compressBound(sizeof text) + 64;
    unsigned char *packed = malloc(size);
    assert_non_null(packed);
    z_stream z = {
        .next_in = (Bytef *)text, .avail_in = (uInt)strlen(text), .next_out = packed, .avail_out = (uInt)size};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    put_bytes(names[1], packed, z.total_out);
    free(packed);
    for (int i = 0; i < 2; i++) {
        stand_in s = {0};
        const lf_text_encoder encoder = encoder_over(&s);
        lf_text_loader *l = NULL;
        lf_err err = {0};
        lf_text_dataset *d = open_text(names[i]);
        const lf_text_loader_opts o = {.batch_size = 4, .max_seq_length = 64, .workers = 2, .epochs = 1};
        assert_ok(lf_text_loader_new(&l, d, &encoder, &o, &err), err);
        count[i] = lf_text_loader_count(l);
        tokens[i] = lf_text_loader_stats(l).scan_tokens;
        lf_text_loader_free(l);
        lf_text_dataset_free(d);
    }
    assert_true(count[0] > 1000);
    assert_int_equal(count[0], count[1]);
    assert_int_equal(tokens[0], tokens[1]);
}

/* ---- folders -------------------------------------------------------------------------------------------------------
 */

static void test_shards_in_folders(void **state) {
    (void)state;
    static const struct {
        const char *folder, *files[6], *split, *letters; /* letters: of the files that are taken */
    } good[] = {
        {"f1", {"train.jsonl:a", "test.jsonl:b"}, "train", "a"},
        {"f2",
         {"train-00001-of-00002.jsonl:b", "train-00000-of-00002.jsonl:a", "test-00000-of-00001.jsonl:c"},
         "train",
         "ab"},
        {"f3", {"train_2.jsonl:b", "train_1.jsonl:a"}, "train", "ab"},
        {"f4", {"train.2.jsonl:b", "train.1.jsonl:a", "training.jsonl:c"}, "train", "c"},
        {"f5", {"validation-00000-of-00001.jsonl:a", "train.jsonl:b"}, "val", "a"},
        {"f6", {"data/train-00000-of-00001.jsonl:a", "README.md:x"}, "train", "a"},
        {"f7", {"train/0000.jsonl:a", "train/0001.jsonl:b", "test/0000.jsonl:c"}, "train", "ab"},
        {"f8", {"train.jsonl:a", "train-old.jsonl:b", "trainer.jsonl:c"}, "train", "a"},
        {"f9",
         {"train-00000-of-00002-0123456789abcdef.jsonl:a", "train-00001-of-00002-fedcba9876543210.jsonl:b"},
         "train",
         "ab"},
        {"f10", {"dev.jsonl:a"}, "val", "a"},
        {"f11", {"validation/x.jsonl:a"}, "val", "a"},
    };
    static const struct {
        const char *folder, *files[6], *says;
    } bad[] = {
        {"b1",
         {"train-00000-of-00003.jsonl:a", "train-00002-of-00003.jsonl:b"},
         "found 2 shards of the split 'train', but 'train-00000-of-00003.jsonl' is of 3; is the download complete?"},
        {"b2", {"train-00000-of-00002.jsonl:a", "train-00001-of-00003.jsonl:b"}, "may both be meant"},
        {"b3", {"train-00000-of-00001.jsonl:a", "train-new.jsonl:b"}, "may both be meant by the split 'train'"},
        {"b4", {"train.jsonl:a", "train.json:b"}, "'train.json' and 'train.jsonl' may both be meant"},
        {"b5", {"train-1.jsonl:a", "train-2.csv:b"}, "'train-1.jsonl' and 'train-2.csv' may both be meant"},
        {"b6", {"train-00000-of-00002-a.jsonl:a", "train-00000-of-00002-b.jsonl:b"}, "may both be meant"},
        {"b7", {"notes.jsonl:a"}, "expected .txt, .text or .md files, or a file for each split"},
    };
    lf_err err = {0};
    lf_text_dataset *d;
    for (size_t i = 0; i < sizeof good / sizeof *good + sizeof bad / sizeof *bad; i++) {
        const size_t k = i - sizeof good / sizeof *good;
        const bool is_good = i < sizeof good / sizeof *good;
        const char *const *files = is_good ? good[i].files : bad[k].files,
                          *folder = is_good ? good[i].folder : bad[k].folder;
        char name[200], spec[200];
        for (; *files; files++) {
            const char *colon = strchr(*files, ':');
            snprintf(name, sizeof name, "%s/%.*s", folder, (int)(colon - *files), *files);
            put_letter(name, colon + 1);
        }
        snprintf(spec, sizeof spec, "\"%%/%s\"", folder);
        const lf_status rc = try_spec(&d, spec, is_good ? good[i].split : "train", &err);
        if (is_good) {
            assert_ok(rc, err);
            check_texts(d, good[i].letters);
        } else {
            assert_says(rc, rc, err, bad[k].says);
            assert_true(rc == LF_EDATA || rc == LF_EUSAGE);
        }
    }
}

static void test_splits_that_are_there(void **state) {
    (void)state;
    static const struct {
        const char *folder, *split;
        bool there;
    } cases[] = {
        {"f2", "train", true}, {"f2", "test", true}, {"f2", "val", false},  {"f5", "val", true},
        {"f7", "test", true},  {"f7", "val", false}, {"b1", "train", true}, /* and opening says what is wrong with it */
        {"b7", "test", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cJSON *spec = cJSON_CreateString(in_scratch(cases[i].folder));
        if (lf_text_dataset_has_split(spec, cases[i].split) != cases[i].there)
            fail_msg("%s: split %s", cases[i].folder, cases[i].split);
        cJSON_Delete(spec);
    }
}

static bool any_name(const char *name) { return strstr(name, ".jsonl") || strstr(name, ".csv"); }

static void test_what_is_left_out(void **state) {
    (void)state;
    static const char *const files[] = {"train.jsonl", "train-2.jsonl", "test-1.jsonl", "val.csv", "README.md",
                                        "a.PDF",       "b.pdf",         "LICENSE",      ".hidden", "sub/x.txt"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char name[64];
        snprintf(name, sizeof name, "left/%s", files[i]);
        put_text(name, "{\"text\": \"a\"}\n");
    }
    lf_data_files f;
    lf_err err = {0};
    char text[256];
    cJSON *path = cJSON_CreateString(in_scratch("left"));
    assert_ok(lf_data_files_find(&f, path, &(lf_data_wanted){"train_data", "train", any_name}, &err), err);
    assert_int_equal(f.paths.n, 1);
    assert_string_equal(lf_left_out_text(&f.other, text, sizeof text),
                        "2 .pdf, 1 .jsonl, 1 .md, 1 folder, 1 no extension");
    lf_data_files_free(&f);
    cJSON_Delete(path);
    static const char *const hub[] = {"README.md",  "dataset_infos.json", "data/train-1.jsonl", "data/test.jsonl",
                                      "data/x.csv", "test/0.csv",         "other/y.csv"};
    for (size_t i = 0; i < sizeof hub / sizeof *hub; i++) {
        char name[64];
        snprintf(name, sizeof name, "left2/%s", hub[i]);
        put_text(name, "{\"text\": \"a\"}\n");
    }
    path = cJSON_CreateString(in_scratch("left2"));
    assert_ok(lf_data_files_find(&f, path, &(lf_data_wanted){"train_data", "train", any_name}, &err), err);
    assert_int_equal(f.paths.n, 1);
    assert_string_equal(lf_left_out_text(&f.other, text, sizeof text), "1 .csv, 1 .json, 1 .md, 1 folder");
    assert_non_null(strstr(f.searched, "left2"));
    lf_data_files_free(&f);
    cJSON_Delete(path);
}

/* ---- fingerprints --------------------------------------------------------------------------------------------------
 */

static void fingerprint_of(char hash[33], int64_t *files, const char *spec) {
    lf_err err = {0};
    lf_text_dataset *d;
    lf_fingerprint f;
    assert_ok(try_spec(&d, spec, NULL, &err), err);
    assert_ok(lf_text_dataset_fingerprint(&f, d, &err), err);
    memcpy(hash, f.hash, sizeof f.hash);
    *files = f.files;
    lf_text_dataset_free(d);
}

static void test_fingerprints(void **state) {
    (void)state;
    char all[33], again[33], fewer[33], changed[33], elsewhere[33];
    int64_t n;
    put_letter("fp/a.jsonl", "a");
    put_letter("fp/b.jsonl", "b");
    put_letter("gp/a.jsonl", "a");
    put_letter("gp/b.jsonl", "b");
    fingerprint_of(all, &n, "\"%/fp/*.jsonl\"");
    assert_int_equal(n, 2);
    fingerprint_of(again, &n, "[\"%/fp/a.jsonl\", \"%/fp/b.jsonl\"]");
    assert_string_equal(all, again);
    fingerprint_of(elsewhere, &n, "\"%/gp/*.jsonl\"");
    assert_string_equal(all, elsewhere);
    fingerprint_of(fewer, &n, "\"%/fp/a.jsonl\"");
    assert_int_equal(n, 1);
    assert_string_not_equal(all, fewer);
    put_letter("fp/b.jsonl", "c");
    fingerprint_of(changed, &n, "\"%/fp/*.jsonl\"");
    assert_string_not_equal(all, changed);
}

/* ---- Parquet -------------------------------------------------------------------------------------------------------
 */

#define GOLDEN LF_TEST_DIR "/golden/parquet/"

static lf_text_dataset *open_spec(const char *spec, const char *split) {
    static const lf_text_chat chat = {.render = stand_in_render};
    lf_err err = {0};
    lf_text_dataset *d;
    cJSON *json = spec_of(spec);
    const lf_text_dataset_opts o = {.spec = json, .key = "train_data", .split = split, .chat = &chat};
    assert_ok(lf_text_dataset_open(&d, &o, &err), err);
    cJSON_Delete(json);
    return d;
}

/* Every record of two data sets makes the same document. */
static void check_same(lf_text_dataset *a, lf_text_dataset *b) {
    assert_int_equal(lf_text_dataset_count(a), lf_text_dataset_count(b));
    assert_string_equal(lf_text_dataset_layout(a), lf_text_dataset_layout(b));
    for (int64_t i = 0; i < lf_text_dataset_count(a); i++) {
        lf_text_example x, y;
        lf_err err = {0};
        assert_ok(lf_text_dataset_example(a, i, &x, &err), err);
        assert_ok(lf_text_dataset_example(b, i, &y, &err), err);
        assert_string_equal(x.text, y.text);
        assert_int_equal(x.n_answers, y.n_answers);
        for (int64_t k = 0; k < x.n_answers; k++) assert_memory_equal(&x.answers[k], &y.answers[k], sizeof *x.answers);
        lf_text_example_free(&x);
        lf_text_example_free(&y);
    }
    lf_text_dataset_free(a);
    lf_text_dataset_free(b);
}

static void put_copy(const char *name, const char *of) {
    char *bytes;
    size_t n;
    assert_int_equal(lf_file_read(&bytes, &n, of, NULL), LF_OK);
    put_bytes(name, bytes, n);
    lf_free(bytes);
}

static void test_parquet_as_text(void **state) {
    (void)state;
    char name[700];
    check_same(open_spec("\"" GOLDEN "hub.parquet\"", NULL), open_spec("\"" GOLDEN "hub.jsonl\"", NULL));
    check_same(open_spec("\"" GOLDEN "chat.parquet\"", NULL), open_spec("\"" GOLDEN "chat.jsonl\"", NULL));
    check_same(open_spec("\"" GOLDEN "one-page.parquet\"", NULL), open_spec("\"" GOLDEN "one-page.jsonl\"", NULL));
    check_same(open_spec("{\"path\": \"" GOLDEN "odd.parquet\", \"text_field\": \"label\"}", NULL),
               open_spec("{\"path\": \"" GOLDEN "odd.jsonl\", \"text_field\": \"label\"}", NULL));
    check_same(open_spec("[\"" GOLDEN "fallback.parquet\", \"" GOLDEN "hub.jsonl\"]", NULL),
               open_spec("[\"" GOLDEN "fallback.jsonl\", \"" GOLDEN "hub.parquet\"]", NULL));
    lf_text_dataset *d = open_spec("\"" GOLDEN "chat.parquet\"", NULL);
    assert_non_null(strstr(lf_text_dataset_record_name(d, 3, name, sizeof name), "chat.parquet: row 3"));
    assert_true(lf_text_dataset_is(d, LF_TEXT_CHAT));
    assert_true(lf_text_dataset_bytes(d) > 0);
    lf_text_dataset_free(d);
}

/* A column of classes is its names in a document, and its numbers where a number says which choice is right. */
static void test_parquet_classes(void **state) {
    (void)state;
    static const struct { const char *template, *text; } cases[] = {{NULL, "a\nneg"}, {"{answer}? ", "neg? neg"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lf_text_dataset *d;
        lf_text_example e;
        lf_err err = {0};
        cJSON *spec = spec_of("\"" GOLDEN "classes.parquet\"");
        const lf_text_dataset_opts o = {.spec = spec, .key = "train_data", .prompt_template = cases[i].template};
        assert_ok(lf_text_dataset_open(&d, &o, &err), err);
        assert_ok(lf_text_dataset_example(d, 0, &e, &err), err);
        assert_string_equal(e.text, cases[i].text);
        lf_text_example_free(&e);
        lf_text_dataset_free(d);
        cJSON_Delete(spec);
    }
    check_same(open_spec("{\"path\": \"" GOLDEN "classes.parquet\", \"text_field\": \"answer\"}", NULL),
               open_spec("{\"path\": \"" GOLDEN "classes.jsonl\", \"text_field\": \"answer\"}", NULL));
    check_same(open_spec("\"" GOLDEN "classes-choices.parquet\"", NULL),
               open_spec("\"" GOLDEN "classes-choices.jsonl\"", NULL));
}

static void test_parquet_in_folders(void **state) {
    (void)state;
    put_copy("hub/README.md", GOLDEN "hub.jsonl");
    put_copy("hub/data/train-00000-of-00002.parquet", GOLDEN "fallback.parquet");
    put_copy("hub/data/train-00001-of-00002.parquet", GOLDEN "hub.parquet");
    put_copy("hub/data/test-00000-of-00001.parquet", GOLDEN "one-page.parquet");
    check_same(open_spec("\"%/hub\"", "train"),
               open_spec("[\"" GOLDEN "fallback.jsonl\", \"" GOLDEN "hub.jsonl\"]", NULL));
    check_same(open_spec("\"%/hub\"", "test"), open_spec("\"" GOLDEN "one-page.jsonl\"", NULL));
    check_same(open_spec("\"%/hub/data/train-*.parquet\"", NULL), open_spec("\"%/hub\"", "train"));
}

static void test_parquet_by_any_name(void **state) {
    (void)state;
    static unsigned char packed[ROOM];
    lf_err err = {0};
    lf_text_dataset *d;
    char *bytes;
    size_t n;
    put_copy("named.txt", GOLDEN "hub.parquet");
    put_copy("named.csv", GOLDEN "hub.parquet");
    put_copy("named", GOLDEN "hub.parquet");
    check_same(open_spec("\"%/named.txt\"", NULL), open_spec("\"%/named.csv\"", NULL));
    check_same(open_spec("\"%/named\"", NULL), open_spec("{\"path\": \"%/named.txt\", \"format\": \"parquet\"}", NULL));
    put_text("lines.parquet", "{\"text\": \"a\"}\n");
    assert_int_equal(lf_file_read(&bytes, &n, GOLDEN "hub.parquet", NULL), LF_OK);
    put_bytes("packed.parquet.gz", packed, gzip_bytes(packed, bytes, n));
    lf_free(bytes);
    static const struct {
        const char *spec, *says;
    } bad[] = {
        {"\"%/lines.parquet\"", "lines.parquet: no Parquet file: it does not begin with 'PAR1'"},
        {"\"%/packed.parquet.gz\"", "packed.parquet.gz: a packed file; Parquet is packed within, so unpack it first"},
        {"{\"path\": \"%/named\", \"format\": \"jsonl\"}", "named: this is Parquet; give it as it is"},
        {"\"" GOLDEN "empty.parquet\"", "nothing in it; expected records, found none"},
        {"\"" GOLDEN "refused-brotli.parquet\"", "compressed by BROTLI"},
        {"{\"path\": \"" GOLDEN "one-page.parquet\", \"text_field\": \"x\"}",
         "one-page.parquet: row 0: expected the fields 'x'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_says(try_spec(&d, bad[i].spec, NULL, &err), LF_EDATA, err, bad[i].says);
        assert_null(d);
    }
}

/* A file that is whole and has no rows is not one that is cut off: it adds nothing, and that is said. */
static void test_parquet_without_rows(void **state) {
    (void)state;
    static const struct {
        const char *spec, *same_as, *says;
    } cases[] = {
        {"[\"" GOLDEN "empty.parquet\", \"" GOLDEN "hub.parquet\"]", "\"" GOLDEN "hub.jsonl\"",
         "empty.parquet has no rows; the other files are read"},
        {"[\"" GOLDEN "hub.parquet\", \"" GOLDEN "empty.parquet\"]", "\"" GOLDEN "hub.jsonl\"",
         "empty.parquet has no rows"},
        {"[\"" GOLDEN "hub.parquet\", \"" GOLDEN "empty.parquet\", \"%/none.parquet\", \"" GOLDEN "hub.jsonl\"]",
         "[\"" GOLDEN "hub.jsonl\", \"" GOLDEN "hub.parquet\"]", "2 files have no rows, "},
        {"[\"" GOLDEN "hub.parquet\", \"" GOLDEN "hub.parquet\"]",
         "[\"" GOLDEN "hub.jsonl\", \"" GOLDEN "hub.parquet\"]",
         "hub.parquet is in the list twice, so all that it holds is there twice"},
    };
    lf_err err = {0};
    lf_text_dataset *d;
    put_copy("none.parquet", GOLDEN "empty.parquet");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hear_begin(LF_LOG_WARN);
        d = open_spec(cases[i].spec, NULL);
        assert_heard(hear_end(), cases[i].says);
        check_same(d, open_spec(cases[i].same_as, NULL));
    }
    assert_says(try_spec(&d, "[\"" GOLDEN "empty.parquet\", \"%/none.parquet\"]", NULL, &err), LF_EDATA, err,
                "empty.parquet and 1 more file: nothing in it; expected records, found none");
    assert_says(try_spec(&d, "[\"" GOLDEN "empty.parquet\", \"%/many/one.txt\"]", NULL, &err), LF_EUSAGE, err,
                "one.txt is plain text, but");
}

/* ---- memory --------------------------------------------------------------------------------------------------------
 */

static void test_failing_allocations(void **state) {
    (void)state;
    static const char *const specs[] = {"\"%/many/part-*.jsonl*\"",
                                        "\"%/f2\"",
                                        "\"%/f6\"",
                                        "\"%/f7\"",
                                        "\"%/books\"",
                                        "[\"%/many/other.csv\", \"%/many/part-1.jsonl\"]",
                                        "\"%/hub\""};
    for (size_t f = 0; f < sizeof specs / sizeof *specs; f++) {
        const int64_t before = lf_alloc_live();
        lf_status rc = LF_ENOMEM;
        for (int64_t k = 0; rc; k++) {
            lf_err err = {0};
            lf_text_dataset *d = NULL;
            lf_fingerprint print;
            cJSON *json = spec_of(specs[f]);
            const lf_text_dataset_opts o = {.spec = json, .key = "train_data"};
            lf_alloc_fail_after(k);
            rc = lf_text_dataset_open(&d, &o, &err);
            if (!rc) rc = lf_text_dataset_fingerprint(&print, d, &err);
            lf_alloc_fail_after(-1);
            if (rc && rc != LF_ENOMEM) fail_msg("%s: %s", specs[f], err.message);
            lf_text_dataset_free(d);
            cJSON_Delete(json);
            assert_int_equal(lf_alloc_live(), before);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packed_records),
        cmocka_unit_test(test_packed_in_parts),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_bomb_and_no_room),
        cmocka_unit_test(test_headings_like_marks),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_lists_and_patterns),
        cmocka_unit_test(test_one_layout),
        cmocka_unit_test(test_plain_text),
        cmocka_unit_test(test_plain_text_tokens),
        cmocka_unit_test(test_shards_in_folders),
        cmocka_unit_test(test_splits_that_are_there),
        cmocka_unit_test(test_what_is_left_out),
        cmocka_unit_test(test_fingerprints),
        cmocka_unit_test(test_parquet_as_text),
        cmocka_unit_test(test_parquet_classes),
        cmocka_unit_test(test_parquet_in_folders),
        cmocka_unit_test(test_parquet_by_any_name),
        cmocka_unit_test(test_parquet_without_rows),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
