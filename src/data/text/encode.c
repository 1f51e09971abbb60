/* A document's tokens, and which of them are to be predicted. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "data/text/internal.h"

/* ---- lists of tokens ----------------------------------------------------------------------------------------------
 */

bool lf_text_tokens_reserve(lf_text_tokens *t, int64_t more) {
    int64_t room = t->capacity; /* after a failure ids may be longer than capacity says: no harm */
    return lf_grow(&t->ids, &room, t->n + more) && lf_grow(&t->target, &t->capacity, t->n + more);
}

void lf_text_tokens_free(lf_text_tokens *t) {
    lf_free(t->ids);
    lf_free(t->target);
    *t = (lf_text_tokens){0};
}

/* ---- what the post-processor adds ---------------------------------------------------------------------------------
 */

static lf_status encode(const lf_text_coder *c, const char *text, size_t n, bool special, lf_ids *out, lf_err *err) {
    out->n = 0;
    return c->encoder.encode(c->encoder.context, text, n, special, out, err);
}

static bool equal(const int32_t *a, const int32_t *b, int64_t n) {
    return n == 0 || memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

lf_status lf_text_coder_init(lf_text_coder *c, const lf_text_encoder *encoder, const lf_text_encode_opts *opts,
                             lf_err *err) {
    *c = (lf_text_coder){.encoder = *encoder, .opts = *opts};
    lf_ids plain = {0}, full = {0};
    lf_status rc = LF_OK;
    if (opts->max_seq_length < 2 || opts->max_seq_length > INT32_MAX / 2)
        return lf_fail(err, LF_EUSAGE, "max_seq_length: expected 2 to %d tokens, found %" PRId64, INT32_MAX / 2,
                       opts->max_seq_length);
    if ((rc = encode(c, "a", 1, false, &plain, err)) || (rc = encode(c, "a", 1, true, &full, err))) goto out;
    int64_t at = 0;
    while (at + plain.n <= full.n && !equal(full.ids + at, plain.ids, plain.n)) at++;
    const int64_t rest = at + plain.n;
    if (rest > full.n)
        rc = lf_fail(err, LF_EUNSUPPORTED,
                     "the tokenizer's post-processor changes the tokens that it should only enclose");
    else if (!lf_ids_append(&c->before, full.ids, at) || !lf_ids_append(&c->after, full.ids + rest, full.n - rest))
        rc = lf_no_memory(err, "a tokenizer's special tokens");
out:
    lf_ids_free(&plain);
    lf_ids_free(&full);
    if (rc) lf_text_coder_free(c);
    return rc;
}

lf_status lf_text_coder_for_thread(lf_text_coder *out, const lf_text_coder *c, lf_err *err) {
    const lf_text_encoder *e = &c->encoder;
    *out = (lf_text_coder){.encoder = *e, .opts = c->opts};
    if (!lf_ids_append(&out->before, c->before.ids, c->before.n) ||
        !lf_ids_append(&out->after, c->after.ids, c->after.n)) {
        lf_text_coder_free(out);
        return lf_no_memory(err, "a tokenizer's special tokens");
    }
    const lf_status rc = e->open_thread ? e->open_thread(e->context, &out->encoder.context, err) : LF_OK;
    out->owned = !rc && e->open_thread;
    if (rc) lf_text_coder_free(out);
    return rc;
}

void lf_text_coder_free(lf_text_coder *c) {
    if (c->owned) c->encoder.close_thread(c->encoder.context);
    c->owned = false;
    lf_ids_free(&c->before);
    lf_ids_free(&c->after);
}

lf_status lf_text_check_ids(const int32_t *ids, int64_t n, const lf_text_coder *c, const char *name, lf_err *err) {
    for (int64_t i = 0; i < n; i++) {
        if (ids[i] >= 0 && ids[i] < c->encoder.vocab_size) continue;
        const bool end = ids[i] == c->encoder.eos;
        return lf_fail(err, LF_EDATA, "%s: token id %" PRId32 "%s is outside the model's vocabulary of %" PRId64 "; %s",
                       name, ids[i], end ? ", the 'eos_token' of tokenizer_config.json," : "", c->encoder.vocab_size,
                       end ? "name a token there that tokenizer.json has" : "is the tokenizer.json of another model?");
    }
    return LF_OK;
}

/* ---- a document ---------------------------------------------------------------------------------------------------
 */

typedef struct document {
    const lf_text_coder *coder;
    const lf_text_example *example;
    lf_ids whole, part; /* part: of the text before a border */
    lf_err *err;
} document;

/* The token at which byte `at` begins: where the tokens of the text before it cease to be those of the whole. */
static lf_status border(document *d, size_t at, int64_t *out) {
    const bool special = !d->example->rendered;
    const int64_t after = special ? d->coder->after.n : 0;
    const lf_status rc = encode(d->coder, d->example->text, at, special, &d->part, d->err);
    const int64_t n = d->part.n - after < d->whole.n ? d->part.n - after : d->whole.n;
    int64_t same = 0;
    while (same < n && d->part.ids[same] == d->whole.ids[same]) same++;
    *out = same;
    return rc;
}

static lf_status mark_answers(document *d, uint8_t *target) {
    const lf_text_example *e = d->example;
    const bool everywhere = e->n_answers == 0 || d->coder->opts.loss_on_prompt;
    if (d->whole.n) memset(target, everywhere, (size_t)d->whole.n);
    for (int64_t i = d->coder->opts.last_answer ? e->n_answers - 1 : 0; i < e->n_answers && !everywhere; i++) {
        int64_t begin, end = d->whole.n; /* what is put behind the text belongs to an answer that goes up to its end */
        lf_status rc = border(d, e->answers[i].begin, &begin);
        if (!rc && e->answers[i].end < e->n) rc = border(d, e->answers[i].end, &end);
        if (rc) return rc;
        if (begin < end) memset(target + begin, 1, (size_t)(end - begin));
    }
    return LF_OK;
}

/* The first token is never predicted. */
static int64_t count_targets(const uint8_t *target, int64_t n) {
    int64_t count = 0;
    for (int64_t i = 1; i < n; i++) count += target[i];
    return count;
}

const char *lf_text_longer_advice(const lf_text_encode_opts *o, const char *what, char *buf, size_t size) {
    const bool raise = !o->context || o->max_seq_length < o->context;
    snprintf(buf, size, raise ? "raise max_seq_length or shorten %s" : "the model has no more positions; shorten %s",
             what);
    return buf;
}

static lf_status no_answer_left(const lf_text_coder *c, const uint8_t *target, int64_t n, const char *name,
                                lf_err *err) {
    char advice[128];
    int64_t prompt = 0;
    while (prompt < n && !target[prompt]) prompt++;
    return lf_fail(err, LF_EDATA,
                   "%s: the prompt has %" PRId64
                   " tokens, which leaves nothing of the answer within max_seq_length %" PRId64 "; %s",
                   name, prompt, c->opts.max_seq_length,
                   lf_text_longer_advice(&c->opts, "the prompt", advice, sizeof advice));
}

static lf_status too_many(const lf_text_coder *c, int64_t n, const char *name, lf_err *err) {
    char advice[128];
    return lf_fail(err, LF_EDATA,
                   "%s: %" PRId64 " tokens, more than max_seq_length %" PRId64
                   " (overlong: error); %s, or set overlong to skip or truncate",
                   name, n, c->opts.max_seq_length, lf_text_longer_advice(&c->opts, "the text", advice, sizeof advice));
}

lf_text_overlong lf_text_overlong_named(const char *name) {
    if (!strcmp(name, "skip")) return LF_TEXT_SKIP;
    return strcmp(name, "error") ? LF_TEXT_TRUNCATE : LF_TEXT_STOP;
}

/* ---- classified texts ---------------------------------------------------------------------------------------------
 */

static lf_status append_typed(lf_text_tokens *out, const lf_ids *ids, const lf_ids *types, const char *name,
                              lf_err *err) {
    if (!lf_text_tokens_reserve(out, ids->n)) return lf_no_memory(err, "the tokens of %s", name);
    if (ids->n) memcpy(out->ids + out->n, ids->ids, (size_t)ids->n * sizeof *ids->ids);
    for (int64_t i = 0; i < ids->n; i++) out->target[out->n + i] = types->ids[i] != 0;
    out->n += ids->n;
    return LF_OK;
}

/* A text without tokens has one of padding, whose state transformers takes too. */
static bool pad_empty(lf_ids *ids, lf_ids *types, const lf_text_encoder *e) {
    const int32_t pad = e->pad >= 0 ? e->pad : e->eos >= 0 ? e->eos : 0, first = 0;
    return ids->n > 0 || (lf_ids_append(ids, &pad, 1) && lf_ids_append(types, &first, 1));
}

static lf_status encode_classified(lf_text_tokens *out, int64_t *cut, const lf_text_coder *c, const lf_text_example *e,
                                   const char *name, lf_err *err) {
    lf_ids ids = {0}, types = {0};
    lf_status rc = c->encoder.encode_pair(c->encoder.context, e->text, e->n, e->second, e->n_second,
                                          c->opts.max_seq_length, &ids, &types, cut, err);
    if (!rc && !pad_empty(&ids, &types, &c->encoder)) rc = lf_no_memory(err, "the tokens of %s", name);
    if (!rc) rc = lf_text_check_ids(ids.ids, ids.n, c, name, err);
    if (!rc && *cut && c->opts.overlong == LF_TEXT_STOP) rc = too_many(c, ids.n + *cut, name, err);
    if (!rc && *cut && c->opts.overlong == LF_TEXT_SKIP) {
        *cut += ids.n;
        ids.n = types.n = 0;
    }
    if (!rc) rc = append_typed(out, &ids, &types, name, err);
    lf_ids_free(&ids);
    lf_ids_free(&types);
    return rc;
}

/* ---- documents ----------------------------------------------------------------------------------------------------
 */

lf_status lf_text_encode(lf_text_tokens *out, int64_t *cut, const lf_text_coder *c, const lf_text_example *e,
                         const char *name, lf_err *err) {
    document d = {.coder = c, .example = e, .err = err};
    *cut = 0;
    if (e->classified) return encode_classified(out, cut, c, e, name, err);
    if (e->marked && c->opts.loss_on_prompt)
        return lf_fail(err, LF_EDATA,
                       "%s: a message is marked not to be learned (\"weight\": 0, \"train\": false), but "
                       "completion_only_loss false learns everything; leave out one of the two",
                       name);
    const int32_t eos = c->encoder.eos;
    lf_status rc = encode(c, e->text, e->n, !e->rendered, &d.whole, err);
    if (!rc && c->opts.training && !e->rendered && eos >= 0 && !(d.whole.n && d.whole.ids[d.whole.n - 1] == eos) &&
        !lf_ids_append(&d.whole, &eos, 1))
        rc = lf_no_memory(err, "the tokens of %s", name);
    if (!rc) rc = lf_text_check_ids(d.whole.ids, d.whole.n, c, name, err);
    if (!rc && !lf_text_tokens_reserve(out, d.whole.n + 1)) /* never nothing, so that there is a list to point into */
        rc = lf_no_memory(err, "the tokens of %s", name);
    if (rc) goto out;
    uint8_t *const target = out->target + out->n;
    if ((rc = mark_answers(&d, target))) goto out;
    const bool too_long = d.whole.n > c->opts.max_seq_length;
    if (too_long && c->opts.overlong == LF_TEXT_STOP) {
        rc = too_many(c, d.whole.n, name, err);
        goto out;
    }
    if (too_long && c->opts.overlong == LF_TEXT_SKIP) {
        *cut = d.whole.n;
        goto out;
    }
    const int64_t kept = d.whole.n < c->opts.max_seq_length ? d.whole.n : c->opts.max_seq_length;
    if (kept < d.whole.n && count_targets(target, d.whole.n) && !count_targets(target, kept)) {
        rc = no_answer_left(c, target, d.whole.n, name, err);
        goto out;
    }
    if (kept) memcpy(out->ids + out->n, d.whole.ids, (size_t)kept * sizeof *d.whole.ids);
    out->n += kept;
    *cut = d.whole.n - kept;
out:
    lf_ids_free(&d.whole);
    lf_ids_free(&d.part);
    return rc;
}

lf_status lf_text_dataset_tokens(const lf_text_dataset *d, int64_t i, const lf_text_coder *c, lf_text_tokens *out,
                                 int64_t *cut, lf_err *err) {
    lf_text_example e;
    lf_status rc = lf_text_dataset_example(d, i, &e, err);
    if (rc) return rc;
    if ((rc = lf_text_encode(out, cut, c, &e, lf_text_dataset_path(d), NULL))) {
        char name[600]; /* counts lines: only for a failure */
        rc = lf_text_encode(out, cut, c, &e, lf_text_dataset_record_name(d, i, name, sizeof name), err);
    }
    lf_text_example_free(&e);
    return rc;
}
