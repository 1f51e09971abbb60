/* Text that a model is run on for the probes that hang on its adapters, which leave padding out. */
#include "base/mem.h"
#include "task/language.h"

/* Of classified texts: the padding. */
static int64_t mark_padding(bool *ignored, const lf_text_batch *b) {
    for (int64_t i = 0; i < b->B * b->T; i++) ignored[i] = i % b->T >= b->lengths[i / b->T];
    return b->n_tokens;
}

/* Tokens of a batch that are padding, or stand in a row without anything to predict (an empty document is nothing but
 * padding). A row of an evaluation is one document from column 0 on. Returns how many are neither. */
static int64_t mark_ignored(bool *ignored, const lf_text_batch *b) {
    int64_t counted = 0;
    for (int64_t row = 0; row < b->B; row++) {
        bool any = false;
        for (int64_t i = row * b->T; i < (row + 1) * b->T; i++) any = any || b->labels[i] >= 0;
        for (int64_t i = row * b->T; i < (row + 1) * b->T; i++) {
            ignored[i] = !any || b->document[i] != 0;
            counted += !ignored[i];
        }
    }
    return counted;
}

/* What is looked at next. */
typedef struct looking {
    lf_task *t;
    lf_model *m;
    int64_t examples, tokens; /* that are left */
} looking;

/* Which rows the probes leave out; NULL, 0: none. */
static void tell_probes(const lf_nn *nn, const bool *ignored, int64_t rows) {
    for (int64_t i = 0; i < nn->n_modules; i++) {
        lf_lora_probe *probe = nn->modules[i]->lora ? nn->modules[i]->lora->probe : NULL;
        if (!probe) continue;
        probe->ignored = ignored;
        probe->n_ignored = rows;
    }
}

static lf_status look_at(looking *l, const lf_text_batch *b, lf_err *err) {
    const lf_pass pass = {.in = lf_batch_of_text(b).in};
    lf_graph *g = l->t->g;
    bool *ignored = lf_malloc((size_t)(b->B * b->T) * sizeof *ignored);
    if (!ignored) return lf_no_memory(err, "the marks of %lld tokens", (long long)(b->B * b->T));
    l->tokens -= b->lengths ? mark_padding(ignored, b) : mark_ignored(ignored, b);
    for (int64_t i = 0; i < b->B * b->T; i++) ignored[i] = ignored[i] || i / b->T >= l->examples;
    l->examples -= b->B;
    tell_probes(&l->m->nn, ignored, b->B * b->T);
    lf_graph_begin(g, false, false, 0);
    (void)(l->m->family->hidden ? lf_lm_hidden(l->m, g, &pass) : lf_model_features(l->m, g, &pass));
    const lf_status rc = lf_graph_status(g, err);
    tell_probes(&l->m->nn, NULL, 0);
    lf_free(ignored);
    return rc;
}

/* Rows of one document each, of the training data too, once, in an order of their own. */
static lf_status drawn_loader(lf_text_loader **out, lf_task *t, lf_data_role role, uint64_t seed, lf_err *err) {
    lf_text_loader_opts o = lf_language_loader_opts(t, role);
    const lf_status rc = lf_language_check_mask(t, role, err);
    if (rc) return rc;
    o.batch_size = lf_language_eval_rows(t);
    o.packing = o.scan = false;
    o.shuffle = true;
    o.seed = seed;
    o.epochs = 1;
    return lf_text_loader_new(out, lf_language_of(t)->data[role], &lf_language_text(t, role)->encoder, &o, err);
}

lf_status lf_language_look(lf_task *t, lf_model *m, lf_data_role role, const lf_look_opts *look, lf_err *err) {
    looking l = {t, m, look->drawn ? look->examples : INT64_MAX, look->tokens ? look->tokens : INT64_MAX};
    lf_text_loader *loader = NULL;
    lf_status rc =
        look->drawn ? drawn_loader(&loader, t, role, look->seed, err) : lf_language_loader(t, role, &loader, err);
    if (!rc) rc = lf_text_loader_restart(loader, 0, 0, (lf_portion){0}, err);
    while (!rc && l.examples > 0 && l.tokens > 0) {
        const lf_text_batch *b;
        if ((rc = lf_text_loader_next(loader, &b, err)) || !b) break;
        rc = look_at(&l, b, err);
    }
    if (look->drawn) lf_text_loader_free(loader);
    return rc;
}
