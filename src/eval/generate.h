/* Text, token by token, by a language model with caches of keys and values: one text at a time, or several in one pass,
 * each of which comes out as it would alone. */
#ifndef LF_EVAL_GENERATE_H
#define LF_EVAL_GENERATE_H

#include "eval/sampling.h"
#include "model/model.h"
#include "text/tokenizer.h"

typedef struct lf_generate_opts {
    lf_sampling sampling;
    int64_t max_new_tokens;
    const char *const
        *stops; /* strings that end the text, and are not part of it; or each a special token, which is no text */
    int64_t n_stops;
    const int32_t *ends; /* tokens that end the text as the EOS does: a chat template's end of a turn */
    int64_t n_ends;
    bool ignore_eos; /* and `ends` */
} lf_generate_opts;

/* Why a text ended. */
typedef enum lf_ending { LF_ENDED_EOS, LF_ENDED_STOP, LF_ENDED_LENGTH, LF_ENDED_CONTEXT, LF_ENDED_INTERRUPT } lf_ending;
extern const char *const lf_ending_names[];

typedef struct lf_generated {
    char *text; /* with a NUL behind it */
    size_t n;
    lf_ids ids; /* what was drawn, the token that ended it included */
    lf_ending ending;
    double prompt_seconds, seconds; /* of reading the prompt, and of writing */
    int64_t prompt_tokens;          /* read anew: what the cache held already is not */
} lf_generated;
void lf_generated_free(lf_generated *o);

/* Appends the ids that end a text: the tokenizer's EOS, and eos_token_id of config.json and of the
 * generation_config.json beside it. The first is what training puts behind a document. LF_EDATA naming file and key if
 * that is neither a number nor a list of numbers. */
lf_status lf_ending_ids(lf_ids *out, const lf_model *m, const lf_tokenizer *t, lf_err *err);

typedef struct lf_generator lf_generator;
/* Of the model with its adapter. `most`: tokens of prompt and answer together; 0, or more than
 * the model has positions: those. Memory is taken for what a text may need, not for all of it. All are borrowed. */
lf_status lf_generator_new(lf_generator **out, lf_model *m, lf_graph *g, const lf_tokenizer *t, int64_t most,
                           lf_err *err);
void lf_generator_free(lf_generator *o);
int64_t lf_generator_context(const lf_generator *o); /* tokens of prompt and answer together, at most */
/* Can a prompt of these ids be gone on with? LF_EUSAGE if it is empty or leaves no room in the context, LF_EDATA if an
 * id is none of the model's. */
lf_status lf_generator_check(const lf_generator *o, const int32_t *prompt, int64_t n, lf_err *err);

/* Called with text as soon as it is certain, whole characters only. */
typedef lf_status (*lf_generate_visit)(void *context, const char *text, size_t n, lf_err *err);
/* What follows the n ids of a prompt. Those that it has in common with the last text of this generator are in the cache
 * and not read again. Fails as lf_generator_check. visit may be NULL. The caller frees out. */
lf_status lf_generate_text(lf_generated *out, lf_generator *o, const int32_t *prompt, int64_t n,
                           const lf_generate_opts *opts, lf_generate_visit visit, void *context, lf_err *err);

/* Prompts 0 .. n - 1, and who takes what is written after them. */
typedef struct lf_prompt_source {
    int64_t n;
    /* Appends the ids of prompt i; *text: the number of its random numbers (lf_sampling). */
    lf_status (*get)(void *context, int64_t i, lf_ids *ids, uint64_t *text, lf_err *err);
    lf_status (*take)(void *context, int64_t i, const lf_generated *o, lf_err *err); /* in the order of i */
    void *context;
} lf_prompt_source;
/* What follows prompts first .. n - 1, at_once of them in a pass; where a text ends, the next prompt takes its place. A
 * text's tokens depend on nothing but its own prompt, the options and its random numbers, as far as a product's row
 * does not depend on how many rows there are: to the last bit where oneDNN or the reference multiplies; BLAS may round
 * otherwise. LF_EINTERRUPTED after lf_interrupt: what was written and not taken is lost. */
lf_status lf_generate_all(lf_generator *o, const lf_prompt_source *from, int64_t first, int64_t at_once,
                          const lf_generate_opts *opts, lf_err *err);

#endif
