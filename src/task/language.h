/* The source of text (text.c), and what the files of the language task share. */
#ifndef LF_TASK_LANGUAGE_H
#define LF_TASK_LANGUAGE_H

#include "data/text/shots.h"
#include "data/text/tokenizer.h"
#include "eval/score.h"
#include "task/source.h"

typedef struct lf_language {
    lf_text_tokenizer *text; /* NULL until the first data set is opened */
    lf_text_tokenizer *base; /* the base's, where the tuned model may have tokens of its own; NULL: `text` is it too */
    lf_text_dataset *data[LF_DATA_ROLES];
    lf_text_shots *shots; /* before each example of the key data; NULL: none */
    lf_text_loader *loaders[LF_DATA_ROLES];
    lf_text_examples examples[LF_DATA_ROLES];
    int64_t max_seq_length;
    int64_t batch_size[LF_DATA_ROLES];     /* rows of a batch to train on */
    lf_example_batch batch[LF_DATA_ROLES]; /* the last one served */
    bool served_all[LF_DATA_ROLES];        /* of those batches all, not a portion */
    lf_text_batch random;                  /* its arrays are ours */
} lf_language;

lf_language *lf_language_of(const lf_task *t);
lf_status lf_language_open_text(lf_task *t, lf_err *err);
/* text_loaders.c: how a role's text is read, and a loader of its own that is made at the first call. */
lf_text_loader_opts lf_language_loader_opts(const lf_task *t, lf_data_role role);
lf_status lf_language_check_mask(const lf_task *t, lf_data_role role,
                                 lf_err *err); /* can tokens be hidden, if it is so judged? */
lf_status lf_language_loader(lf_task *t, lf_data_role role, lf_text_loader **out, lf_err *err);
int64_t lf_language_eval_rows(const lf_task *t); /* of a batch of an evaluation */

/* text_given.c: these records, in the place of what a role had: documents that are judged. They outlive the next call
 * for the role. NULL: none. */
lf_status lf_language_give(lf_task *t, lf_data_role role, const cJSON *records, lf_err *err);

/* text_look.c: `look` of the source. */
lf_status lf_language_look(lf_task *t, lf_model *m, lf_data_role role, const lf_look_opts *look, lf_err *err);

/* language_text.c: the tokenizer and the chat template that the configuration says, and that a max_seq_length that is
 * given is one the model has positions for. */
lf_status lf_language_tokenizer(lf_text_tokenizer **out, const lf_config *cfg, const lf_model *m, lf_err *err);
/* The same of the untouched base: without added_tokens, and not from an adapter's folder. *out NULL: there is no
 * other. */
lf_status lf_language_base_tokenizer(lf_text_tokenizer **out, const lf_config *cfg, const lf_model *m, lf_err *err);
/* *out: the chat template's file in the folder of the adapter, or of the one that training goes on with: what that was
 * trained with, where it is not the base's own. NULL: there is none. Freed by lf_free. */
lf_status lf_language_adapter_template(char **out, const lf_config *cfg, lf_err *err);
/* Writes the template of `t` into dir, where the base's folder has another, or none. */
lf_status lf_language_save_template(const lf_text_tokenizer *t, const lf_model *m, const char *dir, lf_err *err);
/* What encodes a role's data: of those that the base knew before, its own tokenizer. */
lf_text_tokenizer *lf_language_text(const lf_task *t, lf_data_role role);
/* What pads a text, where config.json does not say it. */
void lf_language_take_padding(lf_model *m, const lf_text_tokenizer *t);
lf_status lf_language_check_length(const lf_config *cfg, const lf_model *m, lf_err *err);

/* language_choices.c: the choices of every question by log-likelihood. answers: NULL, or who gets them. */
lf_status lf_language_choose(lf_task *t, lf_accuracy *out, lf_model *m, lf_data_role role, lf_answers *answers,
                             lf_err *err);

/* language_answers.c: generated answers against the right ones, by the key `answer_pattern`. A generator runs with the
 * adapter, so the untouched model is not asked. */
lf_status lf_language_answer(lf_task *t, lf_accuracy *out, lf_model *m, lf_data_role role, lf_answers *answers,
                             lf_err *err);

#endif
