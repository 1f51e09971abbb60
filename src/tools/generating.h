/* What `generate` has open, whether it goes on with one prompt, a conversation or the prompts of a file. */
#ifndef LF_TOOLS_GENERATING_H
#define LF_TOOLS_GENERATING_H

#include "eval/generate.h"
#include "task/language.h"
#include "tools/common.h"

enum { LF_MOST_STOPS = 32 };

typedef struct lf_generating {
    const lf_config *cfg;
    FILE *out;
    lf_opened opened; /* nothing, where model and tokenizer are somebody else's, as the next */
    lf_text_tokenizer *text_of_own;
    lf_text_tokenizer *text;
    lf_generator *generator;
    lf_generate_opts opts;
    const char *stops[LF_MOST_STOPS + 2]; /* two more, for the end of a turn and what stands between examples */
    bool json;
} lf_generating;

/* Borrows cfg and out. On failure, too, the caller closes. */
lf_status lf_generating_open(lf_generating *j, const lf_config *cfg, FILE *out, lf_err *err);
/* The same over a model that is open. Borrows all; its tokenizer is that of the keys (lf_language_tokenizer). */
lf_status lf_generating_begin(lf_generating *j, const lf_config *cfg, lf_model *m, lf_graph *g, lf_text_tokenizer *text,
                              lf_err *err);
/* An answer ends where its turn does: at the template's token, or, where the tokenizer has no such token, at its text.
 */
void lf_generating_end_turns(lf_generating *j);
void lf_generating_close(lf_generating *j);

/* generate_data.c: answers to all prompts of the key data. */
lf_status lf_generate_data(lf_generating *j, lf_err *err);

#endif
