/* What a session has open. */
#ifndef LF_LIBRARY_SESSION_H
#define LF_LIBRARY_SESSION_H

#include "library/call.h"
#include "task/language.h"
#include "tools/generating.h"
#include "tools/predictions.h"

struct lf_session {
    const lf_config *cfg;
    lf_opened opened;
    const lf_classifier *head; /* NULL: it does not classify */
    lf_image_processor processor;
    lf_task *task;            /* of texts, with the tokenizer; NULL of pictures */
    lf_generating generating; /* of what writes text, from the first call that does */
    bool generates;
    lf_generate_opts alone, in_turns; /* its options behind a prompt, and where an answer ends with its turn */
    bool has_turns;
};

/* Every call of a session: alone, and on as many threads as it was opened with, on which the order of sums depends. */
lf_status lf_session_begin(lf_session *s, lf_err *err);

#endif
