/* The prompts of `generate --data`: records of all formats that training reads, each as the ids that are to be gone on
 * with. */
#ifndef LF_TOOLS_PROMPTS_H
#define LF_TOOLS_PROMPTS_H

#include "config/config.h"
#include "data/text/shots.h"
#include "data/text/tokenizer.h"
#include "eval/generate.h"

typedef struct lf_prompts {
    const lf_text_tokenizer *text;
    lf_text_dataset *data;
    int64_t n;
    bool chat;            /* answers are those of conversations */
    const char *system;   /* of prompts that become the message of a user; NULL: none */
    lf_text_shots *shots; /* worked examples before each: of its text, or as turns before its own; NULL: none */
} lf_prompts;

typedef struct lf_one_prompt {
    lf_ids ids;
    int64_t record; /* its number in the data, counted from 0 */
    char *wanted;   /* the answer that the record has; NULL: none */
} lf_one_prompt;
void lf_one_prompt_free(lf_one_prompt *p);

/* By the keys data, chat, system, max_samples, text_field, prompt_template, num_fewshot. Borrows cfg and text. LF_EDATA
 * for plain text, which has no prompts, LF_EUNSUPPORTED for conversations without a chat template. */
lf_status lf_prompts_open(lf_prompts *p, const lf_config *cfg, const lf_text_tokenizer *text, lf_err *err);
void lf_prompts_close(lf_prompts *p);
/* Prompt i, below p->n. LF_EDATA naming the record. The caller frees *out. */
lf_status lf_prompts_get(const lf_prompts *p, int64_t i, lf_one_prompt *out, lf_err *err);
/* Makes each of them, so that one that cannot be answered (lf_generator_check) shows before the first answer: LF_EDATA
 * naming the record. hash: of all ids and numbers, so of all that the prompts depend on. */
lf_status lf_prompts_check(const lf_prompts *p, const lf_generator *g, char hash[33], lf_err *err);

#endif
