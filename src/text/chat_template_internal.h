#ifndef LF_TEXT_CHAT_TEMPLATE_INTERNAL_H
#define LF_TEXT_CHAT_TEMPLATE_INTERNAL_H

#include "base/string.h"
#include "text/chat_template.h"

typedef struct lf_chat_writer {
    const lf_chat_template *c;
    lf_string text; /* failed also stands for the answers: said once, in the end */
    lf_answer *answers;
    size_t n_answers, answers_capacity;
} lf_chat_writer;

typedef struct lf_chat_format {
    const char *name;
    const char *mark;           /* a template with this is of the format */
    const char *const *refused; /* a template with one of these does more; NULL ends the list */
    const char *bos, *eos;      /* where the model names none */
    const char *turn_end;       /* what ends an answer; NULL: eos */
    /* What the template says beyond its mark. */
    void (*look)(lf_chat_template *c, const char *jinja);
    lf_status (*write)(lf_chat_writer *w, const lf_message *messages, size_t n, bool add_generation_prompt,
                       lf_err *err);
} lf_chat_format;
extern const lf_chat_format lf_chat_formats[]; /* in the order in which their marks are looked for */
extern const size_t lf_n_chat_formats;

struct lf_chat_template {
    const lf_chat_format *format;
    char *bos, *eos;
    char *system;      /* ChatML: said where the conversation has no system message; NULL: nothing */
    bool trim;         /* ChatML: contents without spaces around them */
    bool starts_bos;   /* ChatML */
    bool answer_space; /* Mistral: a space before each answer */
    bool space_after;  /* Mistral: a space behind its eos */
    bool failed;       /* no memory for system */
};

#endif
