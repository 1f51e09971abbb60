/* What the records of a data set hold and nothing here reads, or what in them may be a mistake: counted while they are
 * read, by any thread, and said once. */
#ifndef LF_DATA_TEXT_UNREAD_H
#define LF_DATA_TEXT_UNREAD_H

#include <stdbool.h>

#include "base/error.h"

typedef enum lf_text_unread_kind {
    LF_TEXT_UNREAD_FIELD, /* of a record */
    LF_TEXT_UNREAD_KEY,   /* of a message; "name" with its quotes, or a sentence's part */
    LF_TEXT_UNKNOWN_ROLE, /* of a message */
    LF_TEXT_EMPTY_ANSWER, /* named by its record */
    LF_TEXT_UNREAD_KINDS
} lf_text_unread_kind;

typedef struct lf_text_unread lf_text_unread;
lf_status lf_text_unread_new(lf_text_unread **out, lf_err *err);
void lf_text_unread_free(lf_text_unread *u);

/* One more. Thread safe. False: no memory. After it was said nothing is counted, nor where u is NULL. */
bool lf_text_unread_add(lf_text_unread *u, lf_text_unread_kind kind, const char *name);
/* Says it, the first time: keys of messages, and fields whose name says that they may mean something for what is
 * learned (unread.def), are a warning. */
void lf_text_unread_say(lf_text_unread *u, const char *path);

#endif
