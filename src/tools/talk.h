/* A conversation: what was said so far, and the prompt for what is said next. */
#ifndef LF_TOOLS_TALK_H
#define LF_TOOLS_TALK_H

#include "data/text/tokenizer.h"

/* All zero: nothing was said. */
typedef struct lf_talk {
    lf_message *messages; /* [n]; contents are the talk's */
    size_t n, capacity;
} lf_talk;
void lf_talk_free(lf_talk *t);

/* `role` is borrowed, `content` copied. */
lf_status lf_talk_say(lf_talk *t, const char *role, const char *content, size_t n, lf_err *err);
void lf_talk_unsay(lf_talk *t); /* the last message */

/* The ids of all that was said, and of the header of an answer to come. */
lf_status lf_talk_ids(const lf_talk *t, const lf_text_tokenizer *text, lf_ids *ids, lf_err *err);

/* The same for a context of so many tokens. Where they leave less room than `room` tokens for the answer, the oldest
 * turns (of two messages, the user's and the assistant's) are left out for good, until a quarter of the context is free
 * or the last message stands alone behind the system's, which stays; *left_out: how many turns. What is left may still
 * be too long for the context: then none is left out, and the ids are those of the last message (lf_generator_check
 * refuses them). */
lf_status lf_talk_fit(lf_talk *t, const lf_text_tokenizer *text, int64_t context, int64_t room, lf_ids *ids,
                      size_t *left_out, lf_err *err);

#endif
