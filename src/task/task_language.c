/* The task of predicting the next token: text, cross-entropy over the vocabulary, perplexity. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "task/kl.h"
#include "task/language.h"

static lf_status check(const lf_task *t, lf_err *err) {
    if (strcmp(lf_cfg_str(t->cfg, LF_method), "head")) return LF_OK;
    return lf_cfg_fail(t->cfg, LF_method, err,
                       "a language model has no head to train alone; expected 'lora' or 'full'");
}

static lf_tensor *loss(lf_task *t, const lf_example_batch *b, lf_loss_counts *counts) {
    const lf_pass pass = {.in = b->in, .prefix = lf_prefix_for(t->prefix, b)};
    lf_lm_head head;
    lf_lm_counts found = {0};
    lf_tensor *hidden = lf_lm_hidden(t->model, t->g, &pass);
    lf_model_lm_head(t->model, false, &head);
    lf_tensor *sum =
        lf_lm_loss(t->g, hidden, &head, b->labels, 1, lf_cfg_f64(t->cfg, LF_label_smoothing_factor), &found);
    lf_done(t->g, hidden);
    *counts = (lf_loss_counts){.targets = found.targets, .correct = found.correct, .weight = (double)found.targets};
    return sum;
}

/* ---- judging ---- */

static lf_status evaluate(lf_task *t, lf_accuracy *out, lf_model *m, lf_data_role role, const char *save, lf_err *err) {
    lf_eval_opts o = lf_task_judge_opts(t, role, "evaluate");
    const bool choices = lf_text_dataset_is(lf_language_of(t)->data[role], LF_TEXT_CHOICES),
               written = lf_cfg_is_set(t->cfg, LF_answer_pattern);
    lf_score_sum s;
    lf_examples *e;
    lf_answers *const answers = o.answers; /* of questions, where there are some, which are more than their tokens */
    if (choices || written) o.answers = NULL;
    lf_status rc = t->source->examples(t, role, &e, err);
    if (rc || (rc = lf_score_tokens(&s, m, t->g, e, o.base ? LF_SCORE_BASE : LF_SCORE_MODEL, &o, save, err))) return rc;
    *out = (lf_accuracy)LF_ACCURACY_NONE;
    out->count = s.examples;
    out->items = s.items;
    out->targets = s.targets;
    out->loss = s.nll / (double)s.targets;
    out->accuracy = (double)s.correct / (double)s.targets;
    if (choices) rc = lf_language_choose(t, out, m, role, written ? NULL : answers, err);
    if (!rc && written && !t->untouched) rc = lf_language_answer(t, out, m, role, answers, err);
    if (answers) out->changes = answers->changes;
    return rc;
}

/* ---- results ---- */

static double chance(const lf_model *m, bool base) {
    return (double)(base ? m->tokens.table->in : m->tokens.vocab_size);
}

static void say(char *text, size_t size, const lf_accuracy *a, const lf_base_score *base) {
    text[0] = 0;
    if (a) snprintf(text, size, "perplexity %.4g  loss %.4f  ", exp(a->loss), a->loss);
    if (base) snprintf(text + strlen(text), size - strlen(text), "pretraining text %.4g", exp(base->loss));
    if (base && isfinite(base->kl)) snprintf(text + strlen(text), size - strlen(text), "  KL %.5f", base->kl);
}

const lf_task_type lf_task_language = {
    .best_metric = "loss",
    .auto_class = "AutoModelForCausalLM",
    .peft_task_type = "CAUSAL_LM",
    .hub_task = "text-generation",
    .base_data = "pretraining text",
    .input = LF_TOKENS,
    .output = LF_NEXT_TOKEN,
    .check = check,
    .loss = loss,
    .kl = &lf_kl_language,
    .evaluate = evaluate,
    .judged_by = LF_BY_PERPLEXITY,
    .chance = chance,
    .compare = lf_results_compare_text,
    .say = say,
};
