#include "eval/growing.h"

#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "graph/lm_score.h"

/* ---- places ---- */

lf_status lf_growing_reserve(lf_generator *o, int64_t n, lf_err *err) {
    lf_status rc = LF_OK;
    if (n <= o->n_texts) return LF_OK;
    lf_growing *texts = lf_realloc(o->texts, (size_t)n * sizeof *texts);
    if (!texts) return lf_no_memory(err, "generating %lld texts at once", (long long)n);
    o->texts = texts;
    for (; o->n_texts < n && !rc; o->n_texts += !rc) {
        o->texts[o->n_texts] = (lf_growing){0};
        rc = lf_kv_cache_new(&o->texts[o->n_texts].cache, o->m, 0, err);
    }
    return rc;
}

void lf_growing_drop(lf_growing *s) {
    lf_writing_free(&s->writing);
    lf_generated_free(&s->out);
    s->ended = true;
}

void lf_growing_free(lf_generator *o) {
    for (int64_t i = 0; i < o->n_texts; i++) {
        lf_growing_drop(&o->texts[i]);
        lf_kv_cache_free(o->texts[i].cache);
        lf_ids_free(&o->texts[i].ids);
    }
    lf_free(o->texts);
}

/* Room for a text of n tokens: exactly that for the first one, half as much again for those of a growing conversation.
 */
static lf_status reserve(const lf_generator *o, lf_growing *s, int64_t n, lf_err *err) {
    const int64_t has = lf_kv_cache_capacity(s->cache), grown = has + has / 2 < o->context ? has + has / 2 : o->context;
    if (n <= has) return LF_OK;
    const int64_t capacity = n > grown ? n : grown;
    if (!lf_ids_reserve(&s->ids, capacity - s->ids.n))
        return lf_no_memory(err, "a text of %lld tokens", (long long)capacity);
    return lf_kv_cache_reserve(s->cache, capacity, err);
}

/* How much of a new prompt is in the cache; its last token is read in any case, for the logits. Keys of texts of
 * another length may be others (tokens.steady). Alone: whole parts of the old prompt, which are read alike wherever
 * they are read. */
static int64_t count_same(const lf_generator *o, const lf_growing *s, const int32_t *prompt, int64_t n, bool alone) {
    const int64_t steady = o->m->tokens.steady, old = alone ? s->n_prompt / LF_PREFILL * LF_PREFILL : s->read,
                  most = old < s->read ? old : s->read;
    int64_t same = 0;
    if (steady && (alone || n > steady || s->read > steady)) return 0;
    while (same < n - 1 && same < most && s->ids.ids[same] == prompt[same]) same++;
    return alone ? same / LF_PREFILL * LF_PREFILL : same;
}

lf_status lf_growing_begin(lf_generator *o, int64_t i, const int32_t *prompt, int64_t n, const lf_generate_opts *opts,
                           bool alone, lf_generate_visit visit, void *context, lf_err *err) {
    lf_growing *s = &o->texts[i];
    const int64_t room = o->context - n, more = opts->max_new_tokens < room ? opts->max_new_tokens : room;
    s->opts = *opts;
    s->out = (lf_generated){0};
    lf_status rc = lf_writing_begin(&s->writing, o->tokenizer, &s->opts, prompt, n, visit, context, err);
    if (!rc) rc = reserve(o, s, n + more, err);
    if (rc) return rc;
    s->read = count_same(o, s, prompt, n, alone);
    lf_kv_cache_cut(s->cache, s->read);
    s->ids.n = 0;
    lf_ids_append(&s->ids, prompt, n); /* the room is reserved */
    s->n_prompt = n;
    s->out.prompt_tokens = n - s->read;
    s->ended = false;
    s->began = lf_now();
    return LF_OK;
}

/* ---- reading ---- */

/* What of a text is read next. A text beyond tokens.steady goes through the model at once, because what its keys are
 * depends on its length; one that grows beyond it is read again where the model wants that (longrope). With `dynamic`,
 * keys that are there stay, and the new token alone is turned by the new length. Both as transformers does. */
static lf_cached_text next_part(const lf_generator *o, lf_growing *s) {
    const lf_token_facts *f = &o->m->tokens;
    const bool longer = f->steady && s->ids.n > f->steady;
    if (longer && f->reads_again && s->read <= f->steady) {
        lf_kv_cache_cut(s->cache, 0);
        s->read = 0;
    }
    const int64_t rest = s->ids.n - s->read;
    return (lf_cached_text){s->cache, s->ids.ids + s->read, longer || rest < LF_PREFILL ? rest : LF_PREFILL};
}

/* ---- drawing ---- */

static bool is_among(const int32_t *ids, int64_t n, int32_t id) {
    for (int64_t i = 0; i < n; i++)
        if (ids[i] == id) return true;
    return false;
}

static bool is_end(const lf_generator *o, const lf_generate_opts *opts, int32_t id) {
    return !opts->ignore_eos && (is_among(o->eos.ids, o->eos.n, id) || is_among(opts->ends, opts->n_ends, id));
}

static lf_status diverged(const lf_generator *o, const float *logits, int64_t at, lf_err *err) {
    int64_t bad = 0;
    for (int64_t v = 0; v < o->m->tokens.vocab_size; v++) bad += !isfinite(logits[v]);
    const lf_status rc =
        lf_fail(err, LF_EDIVERGED,
                "token %lld: %lld of the %lld logits are NaN or infinite; expected finite numbers; are those of the "
                "model's and the adapter's weights? "
                "if they are, try precision fp32",
                (long long)at + 1, (long long)bad, (long long)o->m->tokens.vocab_size);
    return lf_model_blame(o->m, rc, err);
}

static void ends(lf_growing *s, lf_ending why) {
    s->out.ending = why;
    s->ended = true;
}

static lf_status take_token(const lf_generator *o, lf_growing *s, int32_t id, lf_err *err) {
    const bool stops = lf_writing_stops_at(&s->writing, id);
    lf_status rc;
    if (!lf_ids_append(&s->out.ids, &id, 1)) return lf_no_memory(err, "the text");
    if (stops || is_end(o, &s->opts, id)) {
        ends(s, stops ? LF_ENDED_STOP : LF_ENDED_EOS);
        return LF_OK;
    }
    if ((rc = lf_writing_add(&s->writing, id, err))) return rc;
    if (s->writing.stopped)
        ends(s, LF_ENDED_STOP);
    else if (s->out.ids.n == s->opts.max_new_tokens) /* nobody will ask what comes next */
        ends(s, LF_ENDED_LENGTH);
    else if (s->ids.n == o->context)
        ends(s, LF_ENDED_CONTEXT);
    else
        lf_ids_append(&s->ids, &id, 1); /* the room is reserved */
    return LF_OK;
}

static lf_status draw(lf_generator *o, lf_growing *s, float *logits, lf_err *err) {
    const uint64_t at = (uint64_t)s->out.ids.n;
    if (!at) s->out.prompt_seconds = lf_now() - s->began;
    if (lf_interrupted()) {
        ends(s, LF_ENDED_INTERRUPT);
        return LF_OK;
    }
    const int32_t id = lf_sample(&s->opts.sampling, logits, o->m->tokens.vocab_size, s->ids.ids, s->ids.n, at, o->room);
    return id < 0 ? diverged(o, logits, (int64_t)at, err) : take_token(o, s, id, err);
}

/* The next tokens of texts whose last hidden states stand at `rows`, n of them, at most LF_LOGIT_ROWS. */
static lf_status draw_rows(lf_generator *o, lf_growing *const *texts, int64_t n, lf_err *err) {
    const int64_t V = o->m->tokens.vocab_size;
    lf_lm_head head;
    lf_model_lm_head(o->m, false, &head);
    void *logits = lf_lm_logits(o->g, o->rows, n, &head);
    lf_status rc = lf_graph_status(o->g, err);
    if (!rc) lf_graph_kernels(o->g)->wide->to_f32(o->logits, logits, n * V);
    lf_graph_give(o->g, logits);
    for (int64_t i = 0; i < n && !rc; i++) rc = draw(o, texts[i], o->logits + i * V, err);
    return rc;
}

/* Gathers the last states of texts that are read to their end, LF_LOGIT_ROWS at a time. */
static lf_status draw_all(lf_generator *o, lf_growing *const *texts, const lf_cached_text *parts, int64_t n,
                          const lf_tensor *hidden, lf_err *err) {
    const size_t size = (size_t)o->m->hidden_size * lf_dtype_size(hidden->dtype);
    lf_growing *drawn[LF_LOGIT_ROWS];
    int64_t n_drawn = 0, column = 0;
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < n && !rc; i++) {
        column += parts[i].n;
        if (texts[i]->read < texts[i]->ids.n) continue;
        memcpy((char *)o->rows + (size_t)n_drawn * size, (const char *)hidden->data + (size_t)(column - 1) * size,
               size);
        drawn[n_drawn++] = texts[i];
        if (n_drawn < LF_LOGIT_ROWS) continue;
        rc = draw_rows(o, drawn, n_drawn, err);
        n_drawn = 0;
    }
    return rc || !n_drawn ? rc : draw_rows(o, drawn, n_drawn, err);
}

/* ---- both ---- */

/* A pass reads long prompts one at a time, and short ones together with the next tokens of others. */
enum { MOST_TOKENS = 2 * LF_PREFILL };

lf_status lf_growing_step(lf_generator *o, const int64_t *which, int64_t n, lf_err *err) {
    lf_graph_begin(o->g, false, false, 0);
    lf_cached_text *parts = lf_graph_take_bytes(o->g, n * (int64_t)sizeof *parts);
    lf_growing **texts = lf_graph_take_bytes(o->g, n * (int64_t)sizeof *texts);
    lf_status rc = lf_graph_status(o->g, err);
    if (rc) return rc;
    int64_t n_parts = 0, tokens = 0;
    for (int64_t i = 0; i < n; i++) {
        lf_growing *s = &o->texts[which[i]];
        if (s->ended) continue;
        const lf_cached_text part = next_part(o, s);
        if (part.n > 1 && tokens && tokens + part.n > MOST_TOKENS) continue; /* in a later pass */
        tokens += part.n > 1 ? part.n : 0;
        texts[n_parts] = s;
        parts[n_parts++] = part;
    }
    const lf_tensor *hidden = n_parts ? lf_lm_hidden_of_texts(o->m, o->g, parts, n_parts) : NULL;
    rc = lf_graph_status(o->g, err);
    for (int64_t i = 0; i < n_parts; i++) texts[i]->read = rc ? 0 : texts[i]->read + parts[i].n;
    return rc || !n_parts ? rc : draw_all(o, texts, parts, n_parts, hidden, err);
}

lf_status lf_growing_end(lf_generator *o, int64_t i, lf_generated *out, lf_err *err) {
    lf_growing *s = &o->texts[i];
    s->out.seconds = lf_now() - s->began - s->out.prompt_seconds;
    const lf_status rc = lf_writing_end(&s->writing, &s->out.text, &s->out.n, err);
    if (!rc) {
        *out = s->out;
        s->out = (lf_generated){0};
    }
    lf_growing_drop(s);
    return rc;
}
