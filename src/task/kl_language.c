/* Of next tokens: a vocabulary's logits are too many to be kept, of a thousand tokens some hundred MB, so the base is
 * asked again each time, by a second pass without the adapter. What is held of it meanwhile are the hidden states; the
 * logits of both are made beside each other, a block at a time. */
#include <string.h>

#include "base/mem.h"
#include "task/kl.h"

static lf_status check(const lf_task *t, lf_key_id key, lf_err *err) {
    (void)t;
    (void)key;
    (void)err;
    return LF_OK; /* a language model always says words */
}

static int64_t width(const lf_task *t) {
    (void)t;
    return 0;
}

static lf_status ask(lf_said_room *out, lf_task *t, const lf_example_batch *b, lf_err *err) {
    const lf_pass pass = {.in = b->in, .base = true};
    lf_graph_begin(t->g, false, false, 0);
    const lf_tensor *hidden = lf_lm_hidden(t->model, t->g, &pass);
    const lf_status rc = lf_graph_status(t->g, err);
    if (rc) return rc;
    const int64_t bytes = hidden->numel * (int64_t)lf_dtype_size(hidden->dtype);
    if (!lf_grow(&out->data, &out->size, bytes)) return lf_no_memory(err, "what the base says of a batch");
    memcpy(out->data, hidden->data, (size_t)bytes);
    return LF_OK;
}

static lf_tensor *loss(lf_task *t, const lf_example_batch *b, const void *said, lf_loss_counts *counts) {
    const lf_pass pass = {.in = b->in};
    lf_lm_head head, base;
    lf_lm_counts found = {0};
    lf_tensor *hidden = lf_lm_hidden(t->model, t->g, &pass);
    lf_model_lm_head(t->model, false, &head);
    lf_model_lm_head(t->model, true, &base);
    lf_tensor *sum =
        lf_lm_kl_to(t->g, hidden, &head, said, &base, b->labels, lf_cfg_bool(t->cfg, LF_kl_mask_target), 1, &found);
    lf_done(t->g, hidden);
    *counts = (lf_loss_counts){.targets = found.targets};
    return sum;
}

const lf_kl_type lf_kl_language = {.check = check, .width = width, .ask = ask, .loss = loss};
