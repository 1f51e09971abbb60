/* Any bytes as a tokenizer.json, and what follows the first NUL as a text and as a pattern: one line of error, or ids
 * that the tokenizer has and text that is UTF-8. */
#include "base/utf8.h"
#include "fuzz.h"
#include "text/pattern.h"
#include "text/tokenizer.h"

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
    require(ids.n == types.n && (rc ? ids.n == 0 : left_out >= 0));
    for (int64_t i = 0; i < ids.n; i++) require(lf_tokenizer_token(t, ids.ids[i]) != NULL && types.ids[i] >= 0);
    lf_tokenizer_work_free(w);
    lf_ids_free(&ids);
    lf_ids_free(&types);
}

/* The text as a pattern: whatever it is, matches lie in order within what was searched. */
static void check_pattern(const char *text, size_t n) {
    char *pattern = malloc(n + 1);
    lf_pattern *p = NULL;
    lf_matcher *m = lf_matcher_new();
    lf_search at = {0};
    lf_err err = {0};
    bool hit = true;
    require(pattern && m);
    memcpy(pattern, text, n);
    pattern[n] = 0;
    lf_status rc = lf_pattern_new(&p, pattern, false, "fuzz", &err);
    require((rc == LF_OK) == (p != NULL));
    for (size_t last = 0; !rc && hit; last = at.end) {
        rc = lf_pattern_next(p, m, usual, sizeof usual - 1, &at, &hit, &err);
        require(rc || !hit || (last <= at.end && at.begin <= sizeof usual && at.end <= sizeof usual - 1));
    }
    require(rc == LF_OK || rc == LF_EDATA || rc == LF_EUNSUPPORTED);
    lf_pattern_free(p);
    lf_matcher_free(m);
    free(pattern);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    const size_t json_size = end ? (size_t)(end - data) : size;
    lf_tokenizer *t = NULL;
    lf_err err = {0};
    const lf_status rc = lf_tokenizer_parse(&t, (const char *)data, json_size, "fuzz", &err);
    check_failure(rc, &err);
    require((rc == LF_OK) == (t != NULL));
    if (t) {
        check_text(t, usual, sizeof usual - 1, true);
        if (end) check_text(t, (const char *)end + 1, size - json_size - 1, false);
        if (end) check_pair(t, (const char *)end + 1, size - json_size - 1);
    }
    lf_tokenizer_free(t);
    const char *rest = end ? (const char *)end + 1 : (const char *)data;
    const size_t n = end ? size - json_size - 1 : 0;
    if (n > 0 && n < 200 && !memchr(rest, 0, n) && lf_utf8_invalid(rest, n) == n) check_pattern(rest, n);
    require(lf_alloc_live() == 0);
    return 0;
}
