/* How the text of a role is made rows and batches. */
#include "base/log.h"
#include "task/language.h"

enum {
    EVAL_TOKENS = 8192,
    MOST_EVAL_ROWS = 32 /* classified texts are short, and padded to the longest of a batch: always so many */
};                      /* of a batch of an evaluation, unless a number of rows is asked for */
static const uint64_t SCAN_BYTES = UINT64_C(256) << 20; /* files up to here are read before the first step */

lf_language *lf_language_of(const lf_task *t) { return t->data; }
static bool classifies(const lf_task *t) { return t->type->output == LF_CLASSES; }

lf_text_tokenizer *lf_language_text(const lf_task *t, lf_data_role role) {
    const lf_language *l = t->data;
    return lf_data_is_put_to_base(role) && l->base ? l->base : l->text;
}

int64_t lf_language_eval_rows(const lf_task *t) {
    if (lf_cfg_is_given(t->cfg, LF_per_device_eval_batch_size))
        return lf_cfg_i64(t->cfg, LF_per_device_eval_batch_size);
    const int64_t rows = classifies(t) ? MOST_EVAL_ROWS : EVAL_TOKENS / lf_language_of(t)->max_seq_length;
    return rows < 1 ? 1 : rows > MOST_EVAL_ROWS ? MOST_EVAL_ROWS : rows;
}

static bool is_special(const void *tokenizer, int32_t id) { return lf_tokenizer_is_special(tokenizer, id); }

/* Text that an encoder is judged by: what it says of hidden tokens. */
static bool is_masked(const lf_task *t, lf_data_role role) {
    return lf_data_is_base(role) && lf_model_says(t->model, LF_MASKED_TOKEN) &&
           !lf_text_dataset_is(lf_language_of(t)->data[role], LF_TEXT_CLASSIFIED);
}

lf_status lf_language_check_mask(const lf_task *t, lf_data_role role, lf_err *err) {
    const lf_text_tokenizer *text = lf_language_text(t, role);
    const int32_t mask = lf_tokenizer_mask(text->tokenizer);
    if (!is_masked(t, role) || (mask >= 0 && mask < t->model->tokens.table->in)) return LF_OK;
    return lf_fail(err, LF_EDATA,
                   "%s: no mask_token that the model knows, which %s needs to be judged by hidden tokens; name one in "
                   "tokenizer_config.json, or give forgetting_data with a label",
                   text->dir, t->model->path);
}

/* Training text ends in EOS, may be packed, is shuffled and served without end; text to judge by is served once, in
 * order. */
lf_text_loader_opts lf_language_loader_opts(const lf_task *t, lf_data_role role) {
    const lf_language *l = t->data;
    const bool training = lf_data_is_trained_on(role);
    const lf_text_dataset *d = l->data[role];
    const lf_tokenizer *tokenizer = lf_language_text(t, role)->tokenizer;
    return (lf_text_loader_opts){.batch_size = training ? l->batch_size[role] : lf_language_eval_rows(t),
                                 .max_seq_length = l->max_seq_length,
                                 .context = t->model->tokens.max_positions,
                                 .training = training,
                                 .loss_on_prompt = !lf_cfg_bool(t->cfg, LF_completion_only_loss),
                                 .last_answer = lf_cfg_bool(t->cfg, LF_mask_history),
                                 .overlong = lf_text_overlong_named(lf_cfg_str(t->cfg, LF_overlong)),
                                 .packing = training && lf_cfg_bool(t->cfg, LF_packing) && !classifies(t),
                                 .shuffle = training,
                                 .balanced = role == LF_DATA_TRAIN && classifies(t) && lf_task_balances(t),
                                 .masked = is_masked(t, role),
                                 .masking = {.mask = lf_tokenizer_mask(tokenizer),
                                             .vocab_size = t->model->tokens.table->in,
                                             .is_special = is_special,
                                             .context = tokenizer},
                                 .scan = lf_text_dataset_bytes(d) <= SCAN_BYTES,
                                 .workers = lf_cfg_workers(t->cfg),
                                 .seed = (uint64_t)lf_cfg_i64(t->cfg, LF_seed),
                                 .epochs = training ? INT64_MAX : 1};
}

/* Of the training data's loader: how many rows a step has, where they are to be of like length. */
static int64_t rows_together(const lf_task *t) {
    if (!lf_cfg_bool(t->cfg, LF_group_by_length)) return 0;
    return lf_language_of(t)->batch_size[LF_DATA_TRAIN] * lf_cfg_i64(t->cfg, LF_gradient_accumulation_steps);
}

lf_status lf_language_loader(lf_task *t, lf_data_role role, lf_text_loader **out, lf_err *err) {
    lf_language *l = t->data;
    *out = l->loaders[role];
    if (*out) return LF_OK;
    const lf_text_dataset *d = l->data[role];
    lf_text_loader_opts o = lf_language_loader_opts(t, role);
    if (role == LF_DATA_TRAIN && o.packing) lf_config_say_no_effect(t->cfg, "group_by_length", "with packing");
    if (role == LF_DATA_TRAIN && !o.packing) o.together = rows_together(t);
    lf_status rc = lf_language_check_mask(t, role, err);
    if (rc) return rc;
    rc = lf_text_loader_new(&l->loaders[role], d, &lf_language_text(t, role)->encoder, &o, err);
    if (rc) return rc;
    *out = l->loaders[role];
    const lf_text_stats s = lf_text_loader_stats(*out);
    if (s.scan_skipped)
        lf_warn("%s: %lld of %lld documents are longer than max_seq_length %lld and were skipped",
                lf_text_dataset_path(d), (long long)s.scan_skipped, (long long)s.scan_documents,
                (long long)l->max_seq_length);
    if (s.scan_truncated)
        lf_warn("%s: %lld of %lld documents are longer than max_seq_length %lld and were cut", lf_text_dataset_path(d),
                (long long)s.scan_truncated, (long long)s.scan_documents, (long long)l->max_seq_length);
    return LF_OK;
}
