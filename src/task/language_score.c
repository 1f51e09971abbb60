/* A pass over text without a tape: what the model says of every token, and what the untouched base says of the same. */
#include <math.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "task/language.h"

lf_status lf_language_score_batch(lf_task *t, lf_lm_token *out, lf_model *m, const lf_text_batch *b,
                                  lf_scored what_runs, lf_err *err) {
    const lf_pass pass = {.in = lf_language_input(b), .base = what_runs == LF_SCORE_BASE},
                  base = {.in = pass.in, .base = true};
    const lf_frozen *frozen;
    lf_tensor *weight, *of_base = NULL;
    lf_graph_begin(t->g, false, false, 0);
    if (what_runs == LF_SCORE_BESIDE_BASE) of_base = lf_lm_hidden(m, t->g, &base);
    lf_tensor *hidden = lf_lm_hidden(m, t->g, &pass);
    lf_status rc = lf_graph_status(t->g, err);
    if (rc) return rc;
    lf_lm_head(m, &frozen, &weight);
    (void)lf_lm_score(t->g, hidden->data, of_base ? of_base->data : NULL, frozen, weight, b->labels, b->B * b->T, out);
    return lf_graph_status(t->g, err);
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

typedef struct pass {
    lf_task *t;
    lf_data_role role;
    lf_language_score *sum;
    lf_lm_token *tokens;
    int64_t room;
    kept *kept; /* NULL: nothing is kept */
} pass;

static lf_status not_finite(const pass *p, const lf_text_batch *b, int64_t row, lf_err *err) {
    return lf_fail(err, LF_EDIVERGED, "%s: document or window %lld: the probabilities are not finite; are the weights?",
                   lf_text_dataset_path(lf_language_of(p->t)->data[p->role]), (long long)b->indices[row] + 1);
}

static lf_status add(pass *p, const lf_text_batch *b, lf_err *err) {
    lf_language_score *sum = p->sum;
    for (int64_t i = 0; i < b->B * b->T; i++) {
        const lf_lm_token *token = &p->tokens[i];
        if (!token->target) continue;
        if (!isfinite(token->nll) || !isfinite(token->ce)) return not_finite(p, b, i / b->T, err);
        sum->nll += token->nll;
        sum->ce += token->ce;
        sum->kl += token->kl;
        sum->correct += token->correct;
        sum->targets++;
        const lf_status rc = p->kept ? keep(p->kept, (float)token->nll, b->labels[i], err) : LF_OK;
        if (rc) return rc;
    }
    sum->documents += b->n_documents;
    sum->tokens += b->n_tokens;
    return LF_OK;
}

static lf_status make_room(pass *p, const lf_text_batch *b, lf_err *err) {
    const int64_t n = b->B * b->T;
    if (n <= p->room) return LF_OK;
    lf_free(p->tokens);
    p->tokens = lf_malloc((size_t)n * sizeof *p->tokens);
    p->room = p->tokens ? n : 0;
    return p->tokens ? LF_OK : lf_no_memory(err, "the figures of %lld tokens", (long long)n);
}

static lf_status each_batch(pass *p, lf_text_loader *loader, lf_model *m, const char *what, lf_scored what_runs,
                            lf_err *err) {
    const int64_t total = lf_text_loader_rows_per_epoch(loader);
    int64_t rows = 0;
    lf_progress bar;
    lf_progress_begin(&bar, what, total);
    lf_status rc;
    for (;;) {
        const lf_text_batch *b;
        if ((rc = lf_text_loader_next(loader, &b, err)) || !b) break;
        if (p->t->interruptible && lf_interrupted()) {
            rc = lf_fail(err, LF_EINTERRUPTED, "interrupted after %lld of %lld rows of tokens", (long long)rows,
                         (long long)total);
            break;
        }
        if (b->n_targets &&
            ((rc = make_room(p, b, err)) || (rc = lf_language_score_batch(p->t, p->tokens, m, b, what_runs, err)) ||
             (rc = add(p, b, err))))
            break;
        char detail[64] = "";
        if (p->sum->targets)
            snprintf(detail, sizeof detail, "perplexity %.4g", exp(p->sum->nll / (double)p->sum->targets));
        lf_progress_update(&bar, rows += b->B, detail);
    }
    lf_progress_end(&bar, "");
    return rc;
}

lf_status lf_language_score_data(lf_task *t, lf_language_score *out, lf_model *m, lf_data_role role, const char *what,
                                 lf_scored what_runs, const char *save, lf_err *err) {
    *out = (lf_language_score){0};
    kept k = {0};
    pass p = {.t = t, .role = role, .sum = out, .kept = save ? &k : NULL};
    lf_text_loader *loader;
    lf_status rc;
    if (!(rc = lf_language_loader(t, role, &loader, err)) && !(rc = lf_text_loader_restart(loader, 0, 0, err)))
        rc = each_batch(&p, loader, m, what, what_runs, err);
    if (!rc && !out->targets)
        rc = lf_fail(err, LF_EDATA, "%s: holds no token to predict; a text needs two tokens at least",
                     lf_text_dataset_path(lf_language_of(t)->data[role]));
    if (!rc && save) rc = write_kept(save, &k, err);
    lf_free(k.nll);
    lf_free(k.ids);
    lf_free(p.tokens);
    return rc;
}
