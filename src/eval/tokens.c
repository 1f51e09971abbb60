/* The scorer of next tokens: what the model says of every token of a text, without a tape, and what the untouched base
 * says of the same. */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/world.h"
#include "eval/answers.h"
#include "eval/score.h"

lf_status lf_score_token_batch(lf_label_score *out, lf_model *m, lf_graph *g, const lf_example_batch *b,
                               lf_scored what_runs, lf_err *err) {
    const lf_pass pass = {.in = b->in, .base = what_runs == LF_SCORE_BASE}, base = {.in = b->in, .base = true};
    lf_lm_head head, base_head;
    lf_tensor *of_base = NULL;
    lf_graph_begin(g, false, false, 0);
    if (what_runs == LF_SCORE_BESIDE_BASE) of_base = lf_lm_hidden(m, g, &base);
    lf_tensor *hidden = lf_lm_hidden(m, g, &pass);
    lf_status rc = lf_graph_status(g, err);
    if (rc) return rc;
    lf_model_lm_head(m, pass.base, &head);
    lf_model_lm_head(m, true, &base_head);
    (void)lf_lm_score(g, hidden->data, &head, of_base ? of_base->data : NULL, &base_head, b->labels, b->in.B * b->in.T,
                      out);
    return lf_graph_status(g, err);
}

/* ---- each target's figures, for a file ---- */

typedef struct kept {
    float *nll;
    int32_t *ids;
    int64_t n, capacity;
} kept;

static lf_status keep(kept *k, float nll, int32_t id, lf_err *err) {
    int64_t room = k->capacity;
    if (!lf_grow(&k->nll, &room, k->n + 1) || !lf_grow(&k->ids, &k->capacity, k->n + 1))
        return lf_no_memory(err, "the figures of %lld tokens; try max_samples", (long long)k->n);
    k->nll[k->n] = nll;
    k->ids[k->n++] = id;
    return LF_OK;
}

static lf_status write_kept(const char *path, const kept *k, lf_err *err) {
    lf_st_writer *w = NULL;
    lf_status rc;
    if (!(rc = lf_st_writer_new(&w, path, err)) && !(rc = lf_st_writer_declare(w, "nll", LF_F32, 1, &k->n, err)) &&
        !(rc = lf_st_writer_declare(w, "ids", LF_I32, 1, &k->n, err)) &&
        !(rc = lf_st_writer_write_f32(w, k->nll, k->n, err)) &&
        !(rc = lf_st_writer_write(w, k->ids, (size_t)k->n * sizeof *k->ids, err))) {
        rc = lf_st_writer_commit(w, err);
        w = NULL;
    }
    lf_st_writer_abort(w);
    return rc;
}

/* ---- a pass ---- */

typedef struct scoring {
    lf_model *m;
    lf_graph *g;
    const lf_examples *e;
    lf_scored what_runs;
    lf_label_score *scores;
    int64_t room;
    kept *kept;          /* NULL: nothing is kept */
    lf_answers *answers; /* NULL: not asked */
} scoring;

static lf_status make_room(scoring *s, int64_t n, lf_err *err) {
    if (n <= s->room) return LF_OK;
    lf_free(s->scores);
    s->scores = lf_malloc((size_t)n * sizeof *s->scores);
    s->room = s->scores ? n : 0;
    return s->scores ? LF_OK : lf_no_memory(err, "the figures of %lld tokens", (long long)n);
}

static lf_status look_at(const scoring *s, const lf_example_batch *b, lf_err *err) {
    char name[600];
    for (int64_t i = 0; i < b->in.B * b->in.T; i++) {
        const lf_label_score *score = &s->scores[i];
        if (!score->target) continue;
        if (!isfinite(score->nll) || !isfinite(score->ce))
            return lf_model_blame(s->m,
                                  lf_fail(err, LF_EDIVERGED, "%s: the probabilities are not finite; are the weights?",
                                          s->e->name(s->e->data, b->indices[i / b->in.T], name, sizeof name)),
                                  err);
        const lf_status rc = s->kept ? keep(s->kept, (float)score->nll, b->labels[i], err) : LF_OK;
        if (rc) return rc;
    }
    return LF_OK;
}

/* A batch without a target is not run. */
static lf_status room(void *context, const lf_example_batch *b, lf_said pieces[LF_SAID], int *n, lf_err *err) {
    scoring *s = context;
    const int64_t rows = b->targets ? b->in.B * b->in.T : 0;
    const lf_status rc = make_room(s, rows, err);
    pieces[0] = (lf_said){s->scores, (size_t)rows * sizeof *s->scores};
    *n = 1;
    return rc;
}

static lf_status run(void *context, const lf_example_batch *b, lf_err *err) {
    scoring *s = context;
    return b->targets ? lf_score_token_batch(s->scores, s->m, s->g, b, s->what_runs, err) : LF_OK;
}

static lf_status score(void *context, const lf_example_batch *b, const lf_label_score **scores, int64_t *n,
                       lf_err *err) {
    scoring *s = context;
    lf_status rc;
    *scores = NULL;
    *n = 0;
    if (!b->targets) return LF_OK;
    if ((rc = look_at(s, b, err))) return rc;
    *scores = s->scores;
    *n = b->in.B * b->in.T;
    return s->answers ? lf_answers_take(s->answers, &(lf_answered){.batch = b, .scores = s->scores}, err) : LF_OK;
}

static void say(const lf_score_sum *sum, char *text, size_t size) {
    snprintf(text, size, "perplexity %.4g", exp(sum->nll / (double)sum->targets));
}

lf_status lf_score_tokens(lf_score_sum *out, lf_model *m, lf_graph *g, lf_examples *e, lf_scored what_runs,
                          const lf_eval_opts *opts, const char *save, lf_err *err) {
    kept k = {0};
    scoring s = {.m = m, .g = g, .e = e, .what_runs = what_runs, .kept = save ? &k : NULL, .answers = opts->answers};
    lf_status rc = lf_score_examples(out, e, &(lf_scorer){&s, room, run, score, say}, opts, err);
    if (!rc && !out->targets)
        rc = lf_fail(
            err, LF_EDATA,
            "%s: holds no token to predict; a text needs two tokens at least, and some more where they are hidden",
            e->path);
    if (!rc && save && lf_world_is_first()) rc = write_kept(save, &k, err);
    lf_free(k.nll);
    lf_free(k.ids);
    lf_free(s.scores);
    return rc;
}
