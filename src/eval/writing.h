/* The text of tokens as they are drawn: what of it is certain, and whether it ended at a stop string. */
#ifndef LF_EVAL_WRITING_H
#define LF_EVAL_WRITING_H

#include "base/string.h"
#include "eval/generate.h"

typedef struct lf_writing {
    const lf_generate_opts *opts;
    const lf_tokenizer *tokenizer;
    lf_stream *stream;
    lf_string text;
    size_t shown;    /* bytes that were given to the visitor */
    lf_ids stop_ids; /* of the stops that are special tokens: they never are text */
    bool stopped;
    lf_generate_visit visit;
    void *context;
} lf_writing;

/* Behind a prompt, which goes through the stream too: whether a token begins with a space depends on what is before it.
 * All is borrowed but the ids, which are copied. The caller frees, on failure too. */
lf_status lf_writing_begin(lf_writing *w, const lf_tokenizer *t, const lf_generate_opts *opts, const int32_t *prompt,
                           int64_t n, lf_generate_visit visit, void *context, lf_err *err);
void lf_writing_free(lf_writing *w);
bool lf_writing_stops_at(const lf_writing *w, int32_t id); /* is it a stop that is no text? */
/* Goes on with a token; w->stopped: a stop string has come, and the text ends before it. */
lf_status lf_writing_add(lf_writing *w, int32_t id, lf_err *err);
/* The whole text, freed by lf_free. */
lf_status lf_writing_end(lf_writing *w, char **text, size_t *n, lf_err *err);

#endif
