/* Texts that a model goes on with, some of them at a time: each has a cache of keys and values of its own, and a pass
 * reads the next tokens of all. */
#ifndef LF_EVAL_GROWING_H
#define LF_EVAL_GROWING_H

#include "eval/writing.h"

/* Tokens of a prompt that go through the model at once. */
enum { LF_PREFILL = 256 };

/* A text: its prompt, then what was drawn. */
typedef struct lf_growing {
    lf_kv_cache *cache;
    lf_ids ids;
    int64_t n_prompt;
    int64_t read; /* so many of the ids are in the cache */
    lf_generate_opts opts;
    lf_writing writing;
    lf_generated out;
    bool ended;
    double began;
} lf_growing;

struct lf_generator {
    lf_model *m;
    lf_graph *g;
    const lf_tokenizer *tokenizer;
    int64_t context; /* tokens of prompt and answer together, at most */
    lf_ids eos;
    lf_growing *texts; /* [n_texts] places for them */
    int64_t n_texts;
    float *logits; /* [LF_LOGIT_ROWS, vocab_size] */
    lf_token_candidate *room;
    void *rows; /* hidden states that logits are made of, LF_LOGIT_ROWS of them */
};
enum { LF_LOGIT_ROWS = 16 };

/* Room for n texts at once; what is there stays. */
lf_status lf_growing_reserve(lf_generator *o, int64_t n, lf_err *err);
/* Puts a prompt into place i, whose text has ended. What it has in common with the text that was there is in the cache
 * already. `alone`: of that only what does not depend on how the other one was read, so that the same prompt is the
 * same numbers whatever was there before. */
lf_status lf_growing_begin(lf_generator *o, int64_t i, const int32_t *prompt, int64_t n, const lf_generate_opts *opts,
                           bool alone, lf_generate_visit visit, void *context, lf_err *err);
/* One pass for those of the n texts at `which` that have not ended; where all of a text is read then, its next token is
 * drawn, at which it may end. */
lf_status lf_growing_step(lf_generator *o, const int64_t *which, int64_t n, lf_err *err);
/* What was written, once it has ended; its place is free again. The caller frees *out. */
lf_status lf_growing_end(lf_generator *o, int64_t i, lf_generated *out, lf_err *err);
void lf_growing_drop(lf_growing *s); /* a text that is not ended; what is in its cache stays */
void lf_growing_free(lf_generator *o);

#endif
