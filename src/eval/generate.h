/* Text, token by token, by a language model with a cache of keys and values. */
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

/* Called with text as soon as it is certain, whole characters only. */
typedef lf_status (*lf_generate_visit)(void *context, const char *text, size_t n, lf_err *err);
/* What follows the n ids of a prompt. Those that it has in common with the last text of this generator are in the cache
 * and not read again. LF_EUSAGE if the prompt is empty or leaves no room in the context. visit may be NULL. The caller
 * frees out. */
lf_status lf_generate_text(lf_generated *out, lf_generator *o, const int32_t *prompt, int64_t n,
                           const lf_generate_opts *opts, lf_generate_visit visit, void *context, lf_err *err);

#endif
