/* A model's tokenizer and chat template as text data sets want them. */
#ifndef LF_DATA_TEXT_TOKENIZER_H
#define LF_DATA_TEXT_TOKENIZER_H

#include "data/text/dataset.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

typedef struct lf_text_tokenizer {
    lf_tokenizer *tokenizer;
    lf_text_encoder encoder;
    lf_text_chat chat;
    lf_chat_template *chat_template; /* NULL: the model has none that we know; `no_chat` says why */
    lf_err no_chat;
    int32_t turn_end; /* the token that ends an answer of chat_template; -1: none, or more than one token */
    bool warned;
    cJSON *added; /* a list: tokens that were added, and are in no file of `dir`; NULL: none */
    char *dir;    /* where it came from: a folder, or a tokenizer.json */
} lf_text_tokenizer;

typedef struct lf_text_tokenizer_opts {
    const char *path;          /* a folder with a tokenizer.json, or such a file */
    const char *chat_template; /* name, or the path of a file; NULL: the folder's own */
    int64_t vocab_size;        /* of the model: ids must be below it */
    const char *const *added;  /* n_added texts that become tokens; ids may then be beyond vocab_size */
    int64_t n_added;
    const char *date; /* what the template takes for now (lf_chat_template_date); NULL: now */
} lf_text_tokenizer_opts;

/* A chat template that is asked for and not known fails here; one that the folder has and we do not know, or lacks,
 * fails when a record with messages is read. The caller frees *out, which stays where it is: the others point to it. */
lf_status lf_text_tokenizer_open(lf_text_tokenizer **out, const lf_text_tokenizer_opts *opts, lf_err *err);
void lf_text_tokenizer_free(lf_text_tokenizer *t);
/* Appends the ids of a text that goes on: with what the post-processor puts before a text, without what it puts behind
 * it. `rendered`: by a chat template, so all special tokens are in it. */
lf_status lf_text_tokenizer_prompt(const lf_text_tokenizer *t, const char *text, size_t n, bool rendered, lf_ids *out,
                                   lf_err *err);
/* Says once that the end of a turn is no token, if so: the model then does not end its answers as chat models do. */
void lf_text_tokenizer_warn_turn_end(lf_text_tokenizer *t);
/* Writes tokenizer.json, and the files that stand beside it, into `dir`; tokens that were added are in them, as
 * transformers writes and reads them. */
lf_status lf_text_tokenizer_copy(const lf_text_tokenizer *t, const char *dir, lf_err *err);

#endif
