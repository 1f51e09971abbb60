#include "eval/generate.h"

#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/string.h"
#include "graph/lm_score.h"

enum { PREFILL = 256 };          /* tokens of a prompt that go through the model at once */
enum { DEFAULT_CONTEXT = 4096 }; /* of a model without a limit */

const char *const lf_ending_names[] = {[LF_ENDED_EOS] = "eos",
                                       [LF_ENDED_STOP] = "stop",
                                       [LF_ENDED_LENGTH] = "length",
                                       [LF_ENDED_CONTEXT] = "context",
                                       [LF_ENDED_INTERRUPT] = "interrupt"};

struct lf_generator {
    lf_model *m;
    lf_graph *g;
    const lf_tokenizer *tokenizer;
    lf_kv_cache *cache;
    int64_t context; /* tokens of prompt and answer together, at most */
    lf_ids in_cache; /* the ids whose keys and values it holds */
    lf_ids eos;
    float *logits;
    lf_token_candidate *room;
};

void lf_generated_free(lf_generated *o) {
    lf_free(o->text);
    lf_ids_free(&o->ids);
    *o = (lf_generated){0};
}

lf_status lf_generator_new(lf_generator **out, lf_model *m, lf_graph *g, const lf_tokenizer *t, int64_t most,
                           lf_err *err) {
    *out = NULL;
    lf_generator *o = lf_calloc(1, sizeof *o);
    if (!o) return lf_no_memory(err, "generating text");
    const int64_t limit = m->tokens.max_positions ? m->tokens.max_positions : DEFAULT_CONTEXT;
    *o = (lf_generator){.m = m,
                        .g = g,
                        .tokenizer = t,
                        .context = most > 0 && (most < limit || !m->tokens.max_positions) ? most : limit};
    o->logits = lf_aligned_alloc((size_t)m->tokens.vocab_size * sizeof *o->logits);
    o->room = lf_calloc((size_t)m->tokens.vocab_size, sizeof *o->room);
    lf_status rc = o->logits && o->room ? lf_ending_ids(&o->eos, m, t, err) : lf_no_memory(err, "generating text");
    if (!rc) rc = lf_kv_cache_new(&o->cache, m, 0, err);
    if (rc)
        lf_generator_free(o);
    else
        *out = o;
    return rc;
}

void lf_generator_free(lf_generator *o) {
    if (!o) return;
    lf_kv_cache_free(o->cache);
    lf_ids_free(&o->in_cache);
    lf_ids_free(&o->eos);
    lf_aligned_free(o->logits);
    lf_free(o->room);
    lf_free(o);
}

/* ---- the model ---- */

/* Room for a text of n tokens: exactly that for the first one, half as much again for those of a growing conversation.
 */
static lf_status reserve(lf_generator *o, int64_t n, lf_err *err) {
    const int64_t has = lf_kv_cache_capacity(o->cache), grown = has + has / 2 < o->context ? has + has / 2 : o->context;
    if (n <= has) return LF_OK;
    const int64_t capacity = n > grown ? n : grown;
    if (!lf_ids_reserve(&o->in_cache, capacity - o->in_cache.n))
        return lf_no_memory(err, "a text of %lld tokens", (long long)capacity);
    return lf_kv_cache_reserve(o->cache, capacity, err);
}

static lf_status make_logits(lf_generator *o, const lf_tensor *hidden, lf_err *err) {
    const int64_t last = hidden->numel - o->m->hidden_size;
    lf_lm_head head;
    lf_model_lm_head(o->m, false, &head);
    const void *logits =
        lf_lm_logits(o->g, (const char *)hidden->data + (size_t)last * lf_dtype_size(hidden->dtype), &head);
    const lf_status rc = lf_graph_status(o->g, err);
    if (!rc) lf_graph_kernels(o->g)->wide->to_f32(o->logits, logits, o->m->tokens.vocab_size);
    return rc;
}

/* Puts ids into the cache, `at_once` of them in a pass; the logits after the last one into o->logits. */
static lf_status read_parts(lf_generator *o, const int32_t *ids, int64_t n, int64_t at_once, lf_err *err) {
    for (int64_t i = 0; i < n; i += at_once) {
        const int64_t part = n - i < at_once ? n - i : at_once;
        lf_graph_begin(o->g, false, false, 0);
        const lf_tensor *hidden = lf_lm_hidden_cached(o->m, o->g, ids + i, part, o->cache);
        lf_status rc = lf_graph_status(o->g, err);
        if (rc) return rc;
        if (i + part == n && (rc = make_logits(o, hidden, err))) return rc;
    }
    return LF_OK;
}

/* The same, noted. A text beyond tokens.steady goes through the model at once, because what its keys are depends on its
 * length; one that grows beyond it is read again where the model wants that (longrope). With `dynamic`, keys that are
 * there stay, and the new token alone is turned by the new length. Both as transformers does. */
static lf_status read_ids(lf_generator *o, const int32_t *ids, int64_t n, lf_err *err) {
    const lf_token_facts *f = &o->m->tokens;
    const int64_t had = o->in_cache.n, all = had + n;
    const bool longer = f->steady && all > f->steady, again = longer && f->reads_again && had <= f->steady;
    lf_ids_append(&o->in_cache, ids, n); /* the room is reserved */
    if (again) lf_kv_cache_cut(o->cache, 0);
    const int64_t from = again ? 0 : had;
    const lf_status rc = read_parts(o, o->in_cache.ids + from, all - from, longer ? all : PREFILL, err);
    if (rc) o->in_cache.n = 0;
    return rc;
}

/* The prompt less what the cache has of it; its last token is read in any case, for the logits. */
static lf_status read_prompt(lf_generated *out, lf_generator *o, const int32_t *prompt, int64_t n, lf_err *err) {
    const int64_t steady = o->m->tokens.steady;
    int64_t same = 0;
    if (steady && (n > steady || o->in_cache.n > steady)) o->in_cache.n = 0; /* keys of another length are others */
    while (same < n - 1 && same < o->in_cache.n && o->in_cache.ids[same] == prompt[same]) same++;
    lf_kv_cache_cut(o->cache, same);
    o->in_cache.n = same;
    out->prompt_tokens = n - same;
    const double began = lf_now();
    const lf_status rc = read_ids(o, prompt + same, n - same, err);
    out->prompt_seconds = lf_now() - began;
    return rc;
}

/* ---- the text ---- */

typedef struct writing {
    const lf_generate_opts *opts;
    lf_string text;
    size_t shown;    /* bytes that were given to the visitor */
    lf_ids stop_ids; /* of the stops that are special tokens: they never are text */
    bool stopped;
    lf_generate_visit visit;
    void *context;
} writing;

static lf_status show(writing *w, size_t until, lf_err *err) {
    const lf_status rc =
        w->visit && until > w->shown ? w->visit(w->context, w->text.s + w->shown, until - w->shown, err) : LF_OK;
    if (until > w->shown) w->shown = until;
    return rc;
}

/* Where the first stop string begins behind what was shown; the text's end if there is none. */
static size_t find_stop(const writing *w, bool *found) {
    size_t first = w->text.n;
    *found = false;
    for (int64_t i = 0; i < w->opts->n_stops; i++) {
        const char *stop = w->opts->stops[i];
        const size_t n = strlen(stop);
        for (size_t at = w->shown; n && at + n <= w->text.n && at < first; at++)
            if (memcmp(w->text.s + at, stop, n) == 0) {
                first = at;
                *found = true;
            }
    }
    return first;
}

/* Bytes at the end that may be the beginning of a stop string. */
static size_t count_open(const writing *w) {
    size_t most = 0;
    for (int64_t i = 0; i < w->opts->n_stops; i++) {
        const size_t length = strlen(w->opts->stops[i]), room = w->text.n - w->shown;
        for (size_t n = length && length - 1 < room ? length - 1 : room; n > most; n--)
            if (n < length && memcmp(w->text.s + w->text.n - n, w->opts->stops[i], n) == 0) most = n;
    }
    return most;
}

static lf_status add_text(writing *w, const char *text, size_t n, lf_err *err) {
    if (!n) return LF_OK;
    if (!lf_string_put(&w->text, text, n)) return lf_no_memory(err, "the text");
    const size_t end = find_stop(w, &w->stopped);
    if (w->stopped) w->text.n = end;
    return show(w, w->stopped ? end : end - count_open(w), err);
}

/* The prompt goes through the stream too: whether a token begins with a space depends on what is before it. */
static lf_status begin_stream(lf_stream **out, const lf_tokenizer *t, const int32_t *prompt, int64_t n, lf_err *err) {
    const char *text;
    size_t size;
    lf_status rc = lf_stream_new(out, t, true, err);
    for (int64_t i = 0; i < n && !rc; i++) rc = lf_stream_push(*out, prompt[i], &text, &size, err);
    return rc;
}

/* ---- both ---- */

static bool is_among(const int32_t *ids, int64_t n, int32_t id) {
    for (int64_t i = 0; i < n; i++)
        if (ids[i] == id) return true;
    return false;
}

static lf_status find_stop_ids(writing *w, const lf_tokenizer *t, lf_err *err) {
    for (int64_t i = 0; i < w->opts->n_stops; i++) {
        const int32_t id = lf_tokenizer_id(t, w->opts->stops[i]);
        if (id >= 0 && lf_tokenizer_is_special(t, id) && !lf_ids_append(&w->stop_ids, &id, 1))
            return lf_no_memory(err, "the text");
    }
    return LF_OK;
}

static bool is_end(const lf_generator *o, const lf_generate_opts *opts, int32_t id) {
    return !opts->ignore_eos && (is_among(o->eos.ids, o->eos.n, id) || is_among(opts->ends, opts->n_ends, id));
}

static lf_status diverged(const lf_generator *o, int64_t at, lf_err *err) {
    int64_t bad = 0;
    for (int64_t v = 0; v < o->m->tokens.vocab_size; v++) bad += !isfinite(o->logits[v]);
    const lf_status rc =
        lf_fail(err, LF_EDIVERGED,
                "token %lld: %lld of the %lld logits are NaN or infinite; expected finite numbers; are those of the "
                "model's and the adapter's weights? "
                "if they are, try precision fp32",
                (long long)at + 1, (long long)bad, (long long)o->m->tokens.vocab_size);
    return lf_model_blame(o->m, rc, err);
}

static lf_status write_tokens(lf_generated *out, lf_generator *o, writing *w, lf_stream *stream, lf_err *err) {
    const lf_generate_opts *opts = w->opts;
    for (int64_t at = 0;; at++) {
        const char *text;
        size_t n;
        lf_status rc;
        out->ending = at == opts->max_new_tokens ? LF_ENDED_LENGTH
                      : lf_interrupted()         ? LF_ENDED_INTERRUPT
                                                 : LF_ENDED_CONTEXT;
        if (at == opts->max_new_tokens || lf_interrupted()) return LF_OK;
        const int32_t id = lf_sample(&opts->sampling, o->logits, o->m->tokens.vocab_size, o->in_cache.ids,
                                     o->in_cache.n, (uint64_t)at, o->room);
        if (id < 0) return diverged(o, at, err);
        if (!lf_ids_append(&out->ids, &id, 1)) return lf_no_memory(err, "the text");
        const bool stops = is_among(w->stop_ids.ids, w->stop_ids.n, id);
        if (stops || is_end(o, opts, id)) {
            out->ending = stops ? LF_ENDED_STOP : LF_ENDED_EOS;
            return LF_OK;
        }
        if (lf_tokenizer_token(o->tokenizer, id)) { /* vocabularies are padded with ids that are no tokens */
            if ((rc = lf_stream_push(stream, id, &text, &n, err)) || (rc = add_text(w, text, n, err))) return rc;
        }
        if (w->stopped) {
            out->ending = LF_ENDED_STOP;
            return LF_OK;
        }
        if (at + 1 == opts->max_new_tokens) continue; /* nobody will ask what comes next */
        if (o->in_cache.n == o->context) return LF_OK;
        if ((rc = read_ids(o, &id, 1, err))) return rc;
    }
}

static lf_status end_text(lf_generated *out, writing *w, lf_stream *stream, lf_err *err) {
    const char *text;
    size_t n;
    lf_status rc = LF_OK;
    if (!w->stopped && !(rc = lf_stream_end(stream, &text, &n, err))) rc = add_text(w, text, n, err);
    if (!rc) rc = show(w, w->text.n, err);
    if (rc) return rc;
    out->n = w->text.n;
    out->text = lf_string_take(&w->text);
    return out->text ? LF_OK : lf_no_memory(err, "the text");
}

lf_status lf_generate_text(lf_generated *out, lf_generator *o, const int32_t *prompt, int64_t n,
                           const lf_generate_opts *opts, lf_generate_visit visit, void *context, lf_err *err) {
    *out = (lf_generated){0};
    if (n < 1)
        return lf_fail(err, LF_EUSAGE,
                       "the prompt is empty, and the tokenizer has no token to begin a text with; give a prompt");
    if (n >= o->context)
        return lf_fail(err, LF_EUSAGE,
                       "the prompt has %lld tokens, which leaves no room in the context of %lld; shorten it",
                       (long long)n, (long long)o->context);
    for (int64_t i = 0; i < n; i++)
        if (prompt[i] < 0 || prompt[i] >= o->m->tokens.vocab_size)
            return lf_fail(
                err, LF_EDATA,
                "token id %d of the prompt is outside the model's vocabulary of %lld; is the tokenizer the model's?",
                prompt[i], (long long)o->m->tokens.vocab_size);
    writing w = {.opts = opts, .visit = visit, .context = context};
    lf_stream *stream = NULL;
    lf_status rc = begin_stream(&stream, o->tokenizer, prompt, n, err);
    if (!rc) rc = find_stop_ids(&w, o->tokenizer, err);
    if (!rc) rc = reserve(o, n + (opts->max_new_tokens < o->context - n ? opts->max_new_tokens : o->context - n), err);
    if (!rc && !(rc = read_prompt(out, o, prompt, n, err))) {
        const double began = lf_now();
        rc = write_tokens(out, o, &w, stream, err);
        out->seconds = lf_now() - began;
    }
    if (!rc) rc = end_text(out, &w, stream, err);
    lf_stream_free(stream);
    lf_string_free(&w.text);
    lf_ids_free(&w.stop_ids);
    if (rc) lf_generated_free(out);
    return rc;
}
