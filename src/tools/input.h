/* Standard input, read so that Ctrl-C is noticed while it waits for a user: another thread takes the signal, and
 * nothing that the C library reads is interrupted by it. */
#ifndef LF_TOOLS_INPUT_H
#define LF_TOOLS_INPUT_H

#include "base/error.h"
#include "base/string.h"

typedef struct lf_input {
    lf_string read;
    size_t at; /* where the next line begins */
    bool ended;
} lf_input;
void lf_input_free(lf_input *in);

/* The next line without its end, valid until the next call; *line = NULL at the end of the input. LF_EINTERRUPTED after
 * lf_interrupt. */
lf_status lf_input_line(lf_input *in, const char **line, size_t *n, lf_err *err);
/* All that is left, with a NUL behind it; likewise. */
lf_status lf_input_rest(lf_input *in, const char **text, size_t *n, lf_err *err);

#endif
