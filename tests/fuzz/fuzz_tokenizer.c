/* A tokenizer and a text: the first byte says how, then the text up to a NUL, then a tokenizer.json or the files of a
 * model's folder (files.h). One line of error, or ids that the tokenizer has and text that is UTF-8. */
#include "base/utf8.h"
#include "files.h"
#include "text/tokenizer.h"

enum { FOLDER = 1, VOCAB_TXT = 2, ADD = 4, COPY = 8 };
static const char usual[] = "<s> ab\xc3\xa9 \xe2\x96\x81 a  12.\r\n the\xf0\x9f\xa6\x99 e\xcc\x81\xcc\xa3 <0x41>'s";

static void check_failure(lf_status rc, const lf_err *err) {
    require((rc == LF_OK) == (err->message[0] == 0) && !strchr(err->message, '\n'));
    require(rc == LF_OK || rc == LF_EDATA || rc == LF_EUNSUPPORTED);
}

static void check_ids(lf_tokenizer *t, const lf_ids *ids) {
    char *text = NULL;
    size_t n = 0;
    lf_err err = {0};
    lf_stream *s = NULL;
    const char *part;
    for (int64_t i = 0; i < ids->n; i++) require(lf_tokenizer_token(t, ids->ids[i]) != NULL);
    check_failure(lf_tokenizer_decode(t, ids->ids, ids->n, false, &text, &n, &err), &err);
    require(lf_utf8_invalid(text, n) == n);
    lf_free(text);
    require(lf_stream_new(&s, t, true, NULL) == LF_OK);
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < ids->n && i < 50 && !rc; i++) {
        rc = lf_stream_push(s, ids->ids[i], &part, &n, NULL);
        require(rc || lf_utf8_invalid(part, n) == n);
    }
    (void)lf_stream_end(s, &part, &n, NULL);
    lf_stream_free(s);
}

static void check_text(lf_tokenizer *t, const char *text, size_t n, bool special) {
    lf_ids ids = {0};
    lf_err err = {0};
    const lf_status rc = lf_tokenizer_encode(t, text, n, special, &ids, &err);
    check_failure(rc, &err);
    if (rc == LF_OK) check_ids(t, &ids);
    lf_ids_free(&ids);
}

/* The usual text and another as a pair, cut to a few tokens. */
static void check_pair(lf_tokenizer *t, const char *text, size_t n) {
    lf_tokenizer_work *w = NULL;
    lf_ids ids = {0}, types = {0};
    int64_t left_out = 0;
    lf_err err = {0};
    require(lf_tokenizer_work_new(&w, t, NULL) == LF_OK);
    const int64_t most = 1 + (int64_t)(n % 40);
    const lf_status rc =
        lf_tokenizer_encode_pair(w, usual, sizeof usual - 1, text, n, most, &ids, &types, &left_out, &err);
    check_failure(rc, &err);
    require(ids.n == types.n && ids.n <= most && (rc ? ids.n == 0 : left_out >= 0));
    for (int64_t i = 0; i < ids.n; i++) require(lf_tokenizer_token(t, ids.ids[i]) != NULL && types.ids[i] >= 0);
    lf_tokenizer_work_free(w);
    lf_ids_free(&ids);
    lf_ids_free(&types);
}

/* In parts between which no token reaches, at every third character. */
static void check_cut(lf_tokenizer *t, const char *text, size_t n) {
    enum { MOST = 40 };
    size_t cuts[MOST], n_cuts = 0, characters = 0;
    int64_t starts[MOST];
    lf_tokenizer_work *w = NULL;
    lf_ids ids = {0};
    lf_err err = {0};
    for (size_t i = 0; i < n && n_cuts < MOST; i++)
        if ((text[i] & 0xc0) != 0x80 && ++characters % 3 == 0) cuts[n_cuts++] = i;
    require(lf_tokenizer_work_new(&w, t, NULL) == LF_OK);
    const lf_status rc = lf_tokenizer_encode_cut(w, text, n, cuts, n_cuts, true, &ids, starts, &err);
    check_failure(rc, &err);
    for (size_t i = 0; i < n_cuts && !rc; i++) require(starts[i] >= (i ? starts[i - 1] : 0) && starts[i] <= ids.n);
    lf_tokenizer_work_free(w);
    lf_ids_free(&ids);
}

static void add_texts(lf_tokenizer *t) {
    static const char *const texts[] = {"ab", "the llama", "<s>"}, *const none[] = {""};
    bool made[3];
    lf_err err = {0};
    const int64_t before = lf_tokenizer_vocab_size(t);
    require(lf_tokenizer_add_texts(t, none, 1, NULL, NULL) == LF_EUSAGE);
    const lf_status rc = lf_tokenizer_add_texts(t, texts, 3, made, &err);
    check_failure(rc, &err);
    for (int i = 0; i < 3 && !rc; i++) require(lf_tokenizer_is_added(t, lf_tokenizer_id(t, texts[i])));
    require(rc || lf_tokenizer_vocab_size(t) >= before);
}

static void ask(const lf_tokenizer *t) {
    const int32_t named[] = {lf_tokenizer_bos(t), lf_tokenizer_eos(t), lf_tokenizer_pad(t), lf_tokenizer_unk(t),
                             lf_tokenizer_mask(t)};
    const int64_t n = lf_tokenizer_vocab_size(t);
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) require(named[i] >= -1 && named[i] < n);
    for (int32_t i = -1; i <= n && i < 300; i++) {
        const char *token = lf_tokenizer_token(t, i);
        require((i >= 0 && i < n) || !token);
        if (token) require(lf_tokenizer_is_added(t, i) || lf_tokenizer_is_of_model(t, i));
        (void)lf_tokenizer_is_special(t, i);
    }
    require(lf_tokenizer_added_at(t, usual, sizeof usual - 1) < sizeof usual);
}

/* A folder's files are copied to where an adapter goes, and are a tokenizer there too. */
static void copy(const char *dir) {
    const char *to = in_folder("copy");
    lf_err err = {0};
    require(lf_remove_tree(to, NULL) == LF_OK && lf_mkdir_p(to, NULL) == LF_OK);
    require(lf_tokenizer_copy_files(dir, to, &err) == LF_OK && lf_tokenizer_is_in(dir) == lf_tokenizer_is_in(to));
}

static lf_status open_folder(lf_tokenizer **t, uint8_t how, fuzz_input *in, lf_err *err) {
    put_folder("tokenizer", in);
    if (how & COPY) copy(in_folder("tokenizer"));
    return lf_tokenizer_open(t, in_folder(how & VOCAB_TXT ? "tokenizer/vocab.txt" : "tokenizer"), err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    lf_tokenizer *t = NULL;
    lf_err err = {0};
    lf_log_set_level(LF_LOG_QUIET);
    const uint8_t how = take_byte(&in);
    const fuzz_part text = take_part(&in);
    const lf_status rc = how & FOLDER ? open_folder(&t, how, &in, &err)
                                      : lf_tokenizer_parse(&t, (const char *)in.at, in.left, "fuzz", &err);
    require((rc == LF_ENOTFOUND && (how & FOLDER)) || rc == LF_OK || rc == LF_EDATA || rc == LF_EUNSUPPORTED);
    require_said(rc, &err);
    require((rc == LF_OK) == (t != NULL));
    if (t) {
        if (how & ADD) add_texts(t);
        ask(t);
        check_text(t, usual, sizeof usual - 1, true);
        check_text(t, text.s, text.n, false);
        check_pair(t, text.s, text.n);
        check_cut(t, usual, sizeof usual - 1);
    }
    lf_tokenizer_free(t);
    free(text.s);
    require(lf_alloc_live() == 0);
    return 0;
}
