/* Multiple choice by log-likelihood: of the choices of a question the model takes the one whose tokens are the most
 * probable after it; also by the log-likelihood of a byte, for choices of unequal length. */
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "task/language.h"

typedef struct choosing {
    lf_task *t;
    lf_model *m;
    const lf_text_dataset *d;
    lf_text_coder coder;
    lf_text_tokens tokens; /* of all choices of one question, one behind the other */
    int64_t *ends;         /* [n_choices] in tokens */
    double *nll;           /* [n_choices] */
    int64_t most;          /* choices that ends and nll have room for */
    lf_text_batch batch;   /* rows of one question's choices */
    lf_label_score *scores;
    int64_t cells; /* B * T that there is room for */
    lf_answers *answers;
} choosing;

static void free_cells(choosing *c) {
    lf_text_batch *b = &c->batch;
    int32_t **const arrays[] = {&b->ids, &b->labels, &b->positions, &b->document};
    for (int i = 0; i < 4; i++) {
        lf_aligned_free(*arrays[i]);
        *arrays[i] = NULL;
    }
    lf_free(c->scores);
    c->scores = NULL;
    c->cells = 0;
}

static bool reserve(choosing *c, int64_t cells) {
    lf_text_batch *b = &c->batch;
    if (cells <= c->cells) return true;
    free_cells(c);
    const size_t size = (size_t)cells * sizeof(int32_t);
    b->ids = lf_aligned_alloc(size);
    b->labels = lf_aligned_alloc(size);
    b->positions = lf_aligned_alloc(size);
    b->document = lf_aligned_alloc(size);
    c->scores = lf_malloc((size_t)cells * sizeof *c->scores);
    const bool ok = b->ids && b->labels && b->positions && b->document && c->scores;
    if (ok)
        c->cells = cells;
    else
        free_cells(c);
    return ok;
}

static bool reserve_choices(choosing *c, int64_t n) {
    if (n <= c->most) return true;
    lf_free(c->ends);
    lf_free(c->nll);
    c->ends = lf_calloc((size_t)n, sizeof *c->ends);
    c->nll = lf_calloc((size_t)n, sizeof *c->nll);
    c->most = c->ends && c->nll ? n : 0;
    return c->most > 0;
}

/* Choices first .. first + n - 1 as rows; behind a row's end is padding, a document of its own. */
static lf_status lay_out(choosing *c, int64_t first, int64_t n, lf_err *err) {
    lf_text_batch *b = &c->batch;
    int64_t longest = 1;
    for (int64_t k = first; k < first + n; k++) {
        const int64_t length = c->ends[k] - (k ? c->ends[k - 1] : 0);
        if (length > longest) longest = length;
    }
    if (!reserve(c, n * longest))
        return lf_no_memory(err, "the choices of a question of %s", lf_text_dataset_path(c->d));
    b->B = n;
    b->T = longest;
    for (int64_t k = 0; k < n; k++) {
        const int64_t begin = first + k ? c->ends[first + k - 1] : 0, length = c->ends[first + k] - begin;
        for (int64_t i = 0; i < longest; i++) {
            const int64_t at = k * longest + i;
            const bool inside = i < length, target = i + 1 < length && c->tokens.target[begin + i + 1];
            b->ids[at] = inside ? c->tokens.ids[begin + i] : 0;
            b->labels[at] = target ? c->tokens.ids[begin + i + 1] : -1;
            b->positions[at] = (int32_t)(inside ? i : i - length);
            b->document[at] = (int32_t)(inside ? 0 : length);
        }
    }
    return LF_OK;
}

static lf_status score_rows(choosing *c, int64_t first, int64_t n, lf_err *err) {
    lf_status rc = lay_out(c, first, n, err);
    if (rc) return rc;
    const lf_example_batch rows = lf_batch_of_text(&c->batch);
    if ((rc = lf_score_token_batch(c->scores, c->m, c->t->g, &rows, c->t->untouched ? LF_SCORE_BASE : LF_SCORE_MODEL,
                                   err)))
        return rc;
    for (int64_t k = 0; k < n; k++) {
        c->nll[first + k] = 0;
        for (int64_t i = 0; i < c->batch.T; i++) c->nll[first + k] += c->scores[k * c->batch.T + i].nll;
    }
    return LF_OK;
}

/* Of a text of the tokens from `begin` on; the first one of a text is never predicted. An improbability of nothing is
 * 0, and would win. */
static bool has_target(const lf_text_tokens *t, int64_t begin) {
    for (int64_t i = begin + 1; i < t->n; i++)
        if (t->target[i]) return true;
    return false;
}

static lf_status encode_choices(choosing *c, lf_text_example *e, const char *name, lf_err *err) {
    char advice[128];
    c->tokens.n = 0;
    if (!reserve_choices(c, e->n_choices))
        return lf_no_memory(err, "the choices of a question of %s", lf_text_dataset_path(c->d));
    for (int64_t k = 0; k < e->n_choices; k++) {
        int64_t cut;
        lf_status rc;
        if ((rc = lf_text_example_choose(e, k, err)) ||
            (rc = lf_text_encode(&c->tokens, &cut, &c->coder, e, name, err)))
            return rc;
        if (cut)
            return lf_fail(err, LF_EDATA, "%s: question and choice %lld are longer than max_seq_length %lld; %s", name,
                           (long long)k + 1, (long long)c->coder.opts.max_seq_length,
                           lf_text_longer_advice(&c->coder.opts, "the question", advice, sizeof advice));
        if (!has_target(&c->tokens, k ? c->ends[k - 1] : 0))
            return lf_fail(err, LF_EDATA,
                           "%s: choice %lld, \"%.40s\", has no token to be judged by; expected a text that is not "
                           "empty; write one or "
                           "leave the choice out",
                           name, (long long)k + 1, e->choices[k]);
        c->ends[k] = c->tokens.n;
    }
    return LF_OK;
}

/* The first of the least. */
static int64_t least(const double *x, int64_t n, char *const *choices) {
    int64_t best = 0;
    double of_best = INFINITY;
    for (int64_t k = 0; k < n; k++) {
        const size_t bytes = choices ? strlen(choices[k]) : 1;
        const double value = x[k] / (double)(bytes ? bytes : 1);
        if (value < of_best) {
            best = k;
            of_best = value;
        }
    }
    return best;
}

static lf_status hand_on(choosing *c, int64_t i, const lf_text_example *e, int64_t chosen, lf_err *err) {
    if (!c->answers) return LF_OK;
    lf_one_answer a = {.index = i,
                       .right = chosen == e->answer,
                       .loss = c->nll[chosen],
                       .answer = e->choices[chosen],
                       .right_answer = e->choices[e->answer]};
    return lf_answers_take_question(c->answers, &a, err);
}

static lf_status one_question(choosing *c, int64_t i, int64_t *right, int64_t *right_norm, lf_err *err) {
    char name[600];
    lf_text_example e;
    lf_status rc = lf_text_dataset_example(c->d, i, &e, err);
    if (rc) return rc;
    const int64_t rows = lf_language_eval_rows(c->t);
    rc = encode_choices(c, &e, lf_text_dataset_record_name(c->d, i, name, sizeof name), err);
    for (int64_t k = 0; !rc && k < e.n_choices; k += rows)
        rc = score_rows(c, k, e.n_choices - k < rows ? e.n_choices - k : rows, err);
    if (!rc) {
        const int64_t chosen = least(c->nll, e.n_choices, NULL);
        *right += chosen == e.answer;
        *right_norm += least(c->nll, e.n_choices, e.choices) == e.answer;
        rc = hand_on(c, i, &e, chosen, err);
    }
    lf_text_example_free(&e);
    return rc;
}

lf_status lf_language_choose(lf_task *t, lf_accuracy *out, lf_model *m, lf_data_role role, lf_answers *answers,
                             lf_err *err) {
    const lf_language *l = lf_language_of(t);
    const lf_text_encode_opts how = {.max_seq_length = l->max_seq_length, .context = m->tokens.max_positions};
    choosing c = {.t = t, .m = m, .d = l->data[role], .answers = answers};
    const int64_t n = lf_text_dataset_count(c.d);
    int64_t right = 0, right_norm = 0;
    lf_progress bar;
    lf_status rc = lf_text_coder_init(&c.coder, &l->text->encoder, &how, err);
    lf_progress_begin(&bar, "choose", n);
    for (int64_t i = 0; i < n && !rc; i++) {
        if (t->interruptible && lf_interrupted())
            rc = lf_fail(err, LF_EINTERRUPTED, "interrupted after %lld of %lld questions", (long long)i, (long long)n);
        else
            rc = one_question(&c, i, &right, &right_norm, err);
        lf_progress_update(&bar, i + 1, "");
    }
    lf_progress_end(&bar, "");
    out->choices = n;
    out->choice_accuracy = (double)right / (double)n;
    out->choice_accuracy_norm = (double)right_norm / (double)n;
    free_cells(&c);
    lf_free(c.ends);
    lf_free(c.nll);
    lf_text_tokens_free(&c.tokens);
    lf_text_coder_free(&c.coder);
    return rc;
}
