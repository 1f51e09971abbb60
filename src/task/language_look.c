/* Forward passes over the beginning of a text, for what is measured inside the model. */
#include "base/mem.h"
#include "task/language.h"
#include "task/update_ratio.h"

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

static lf_status look_at(lf_task *t, lf_update_ratio *u, lf_model *m, const lf_text_batch *b, int64_t *left,
                         lf_err *err) {
    const lf_pass pass = {.in = lf_language_input(b)};
    bool *ignored = lf_malloc((size_t)(b->B * b->T) * sizeof *ignored);
    if (!ignored) return lf_no_memory(err, "the marks of %lld tokens", (long long)(b->B * b->T));
    *left -= mark_ignored(ignored, b);
    lf_update_ratio_ignore(u, ignored, b->B * b->T);
    lf_graph_begin(t->g, false, false, 0);
    (void)lf_lm_hidden(m, t->g, &pass);
    const lf_status rc = lf_graph_status(t->g, err);
    lf_update_ratio_ignore(u, NULL, 0);
    lf_free(ignored);
    return rc;
}

lf_status lf_language_look(lf_task *t, lf_update_ratio *u, lf_model *m, lf_data_role role, lf_err *err) {
    lf_text_loader *loader;
    lf_status rc;
    if ((rc = lf_language_loader(t, role, &loader, err)) || (rc = lf_text_loader_restart(loader, 0, 0, err))) return rc;
    for (int64_t left = LF_UPDATE_TOKENS; !rc && left > 0;) {
        const lf_text_batch *b;
        if ((rc = lf_text_loader_next(loader, &b, err)) || !b) break;
        rc = look_at(t, u, m, b, &left, err);
    }
    return rc;
}
