#ifndef LF_TEXT_CHAT_TEMPLATE_INTERNAL_H
#define LF_TEXT_CHAT_TEMPLATE_INTERNAL_H

#include "jinja/jinja.h"
#include "text/chat_template.h"
#include "text/special_names.h"

/* A template of ours. */
typedef struct lf_chat_format {
    const char *name;
    const char *bos, *eos; /* where the model names none */
    const char *jinja;
} lf_chat_format;
extern const lf_chat_format lf_chat_formats[]; /* the last has no name */

enum { LF_CHAT_TOKENS = LF_SPECIAL_NAMES };

struct lf_chat_template {
    char *name, *text;
    lf_chat_template *with_tools; /* what is rendered instead where there are tools; NULL: nothing else */
    lf_jinja *jinja;
    char *tokens[LF_CHAT_TOKENS]; /* NULL: the model has none, and the template finds it undefined */
    char *turn_end;               /* never NULL once the template is open */
    char *inner_end;          /* what ends an answer that another message follows, if that is another token; or NULL */
    bool spelled;             /* turn_end is several tokens, so an answer ends in eos where that follows it */
    lf_chat_vocabulary known; /* while turn_end is looked for */
    char *header;             /* what a generation prompt puts behind a question; "" if that is not known */
    struct tm now;            /* when it was opened */
};

/* Finds turn_end and header by rendering a conversation (chat_answers.c). */
lf_status lf_chat_template_probe(lf_chat_template *c, lf_err *err);

/* Where a byte of a rendering came from: a field of a message. */
typedef enum lf_chat_field { LF_CHAT_ROLE, LF_CHAT_CONTENT, LF_CHAT_MORE, LF_CHAT_FIELDS } lf_chat_field;
static inline int32_t lf_chat_origin(size_t message, lf_chat_field field) {
    return (int32_t)(1 + message * LF_CHAT_FIELDS + field);
}

/* What is rendered. */
typedef struct lf_chat_talk {
    const lf_message *messages;
    size_t n;
    const cJSON *tools;
    bool add_generation_prompt;
    /* If not NULL: what stands for the content of the messages that are marked. */
    const char *stand_in;
    const bool *marked;
} lf_chat_talk;
/* One rendering; the result is *r's, which the caller frees, in failure too. */
lf_status lf_chat_run(const lf_chat_template *c, const lf_chat_talk *talk, lf_jinja_run **r, lf_jinja_result *out,
                      lf_err *err);
bool lf_chat_shows(const lf_jinja_result *t, size_t message); /* a byte of what it says is in the text */
/* Fills p->answers. */
lf_status lf_chat_answers(const lf_chat_template *c, const lf_chat_talk *talk, const lf_jinja_result *result,
                          lf_prompt *p, lf_err *err);

#endif
