#include "eval/generate.h"

#include "base/log.h"
#include "base/mem.h"
#include "eval/growing.h"

enum { DEFAULT_CONTEXT = 4096 }; /* of a model without a limit */

const char *const lf_ending_names[] = {[LF_ENDED_EOS] = "eos",
                                       [LF_ENDED_STOP] = "stop",
                                       [LF_ENDED_LENGTH] = "length",
                                       [LF_ENDED_CONTEXT] = "context",
                                       [LF_ENDED_INTERRUPT] = "interrupt"};

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
    o->logits = lf_aligned_alloc(LF_LOGIT_ROWS * (size_t)m->tokens.vocab_size * sizeof *o->logits);
    o->rows = lf_aligned_alloc(LF_LOGIT_ROWS * (size_t)m->hidden_size * lf_dtype_size(m->nn.k->act_dtype));
    o->room = lf_calloc((size_t)m->tokens.vocab_size, sizeof *o->room);
    lf_status rc =
        o->logits && o->rows && o->room ? lf_ending_ids(&o->eos, m, t, err) : lf_no_memory(err, "generating text");
    if (!rc) rc = lf_growing_reserve(o, 1, err);
    if (rc)
        lf_generator_free(o);
    else
        *out = o;
    return rc;
}

void lf_generator_free(lf_generator *o) {
    if (!o) return;
    lf_growing_free(o);
    lf_ids_free(&o->eos);
    lf_aligned_free(o->logits);
    lf_aligned_free(o->rows);
    lf_free(o->room);
    lf_free(o);
}

int64_t lf_generator_context(const lf_generator *o) { return o->context; }

lf_status lf_generator_check(const lf_generator *o, const int32_t *prompt, int64_t n, lf_err *err) {
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
    return LF_OK;
}

/* ---- one text ---- */

lf_status lf_generate_text(lf_generated *out, lf_generator *o, const int32_t *prompt, int64_t n,
                           const lf_generate_opts *opts, lf_generate_visit visit, void *context, lf_err *err) {
    static const int64_t first = 0;
    lf_growing *s = &o->texts[first];
    *out = (lf_generated){0};
    lf_status rc = lf_generator_check(o, prompt, n, err);
    if (rc) return rc;
    rc = lf_growing_begin(o, first, prompt, n, opts, false, visit, context, err);
    while (!rc && !s->ended) rc = lf_growing_step(o, &first, 1, err);
    if (!rc) return lf_growing_end(o, first, out, err);
    lf_growing_drop(s);
    return rc;
}

/* ---- many ---- */

/* What was asked for and is not taken yet: answers that came before those of earlier prompts wait for them. So many
 * places a text that is written at once, so that a long answer holds up the others late, and little is lost when the
 * program ends. */
enum { WAITING = 4 };

typedef struct many {
    lf_generator *o;
    const lf_prompt_source *from;
    const lf_generate_opts *opts;
    int64_t at_once, next, taken; /* the next prompt to begin with, the next answer to be taken */
    int64_t *prompt;              /* [at_once] what the place is at; -1: nothing */
    lf_generated *waiting;        /* [WAITING * at_once] of prompt i, at i modulo their number */
    bool *came;
} many;

static lf_status begin_one(many *w, int64_t place, lf_err *err) {
    lf_ids ids = {0};
    lf_generate_opts opts = *w->opts;
    lf_status rc = w->from->get(w->from->context, w->next, &ids, &opts.sampling.text, err);
    if (!rc) rc = lf_generator_check(w->o, ids.ids, ids.n, err);
    if (!rc) rc = lf_growing_begin(w->o, place, ids.ids, ids.n, &opts, true, NULL, NULL, err);
    lf_ids_free(&ids);
    w->prompt[place] = w->next++;
    return rc;
}

/* A place that is free takes the next prompt, unless too many answers wait already. */
static lf_status begin_more(many *w, lf_err *err) {
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < w->at_once && !rc; i++)
        if (w->prompt[i] < 0 && w->next < w->from->n && w->next < w->taken + WAITING * w->at_once)
            rc = begin_one(w, i, err);
    return rc;
}

static lf_status take_ended(many *w, lf_err *err) {
    const int64_t places = WAITING * w->at_once;
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < w->at_once && !rc; i++) {
        const int64_t at = w->prompt[i] % places;
        if (w->prompt[i] < 0 || !w->o->texts[i].ended) continue;
        rc = lf_growing_end(w->o, i, &w->waiting[at], err);
        w->came[at] = !rc;
        w->prompt[i] = -1;
    }
    for (int64_t at; !rc && w->came[at = w->taken % places]; w->taken++) {
        rc = w->from->take(w->from->context, w->taken, &w->waiting[at], err);
        lf_generated_free(&w->waiting[at]);
        w->came[at] = false;
    }
    return rc;
}

static lf_status one_pass(many *w, int64_t *which, lf_err *err) {
    int64_t n = 0;
    lf_status rc = begin_more(w, err);
    for (int64_t i = 0; i < w->at_once; i++)
        if (w->prompt[i] >= 0) which[n++] = i;
    if (!rc) rc = lf_growing_step(w->o, which, n, err);
    if (!rc && lf_interrupted()) rc = lf_fail(err, LF_EINTERRUPTED, "interrupted");
    return rc ? rc : take_ended(w, err);
}

lf_status lf_generate_all(lf_generator *o, const lf_prompt_source *from, int64_t first, int64_t at_once,
                          const lf_generate_opts *opts, lf_err *err) {
    many w = {.o = o, .from = from, .opts = opts, .at_once = at_once, .next = first, .taken = first};
    const size_t places = (size_t)(WAITING * at_once);
    int64_t *which = lf_calloc((size_t)at_once, sizeof *which);
    w.prompt = lf_calloc((size_t)at_once, sizeof *w.prompt);
    w.waiting = lf_calloc(places, sizeof *w.waiting);
    w.came = lf_calloc(places, sizeof *w.came);
    lf_status rc = which && w.prompt && w.waiting && w.came
                       ? lf_growing_reserve(o, at_once, err)
                       : lf_no_memory(err, "generating %lld texts at once", (long long)at_once);
    for (int64_t i = 0; w.prompt && i < at_once; i++) w.prompt[i] = -1;
    while (!rc && w.taken < from->n) rc = one_pass(&w, which, err);
    for (int64_t i = 0; w.prompt && i < at_once && i < o->n_texts; i++)
        if (w.prompt[i] >= 0) lf_growing_drop(&o->texts[i]);
    for (size_t i = 0; w.waiting && i < places; i++) lf_generated_free(&w.waiting[i]);
    lf_free(w.came);
    lf_free(w.waiting);
    lf_free(w.prompt);
    lf_free(which);
    return rc;
}
