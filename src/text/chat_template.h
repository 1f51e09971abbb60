/* A conversation as the one text that a chat model was trained on.
 *
 * Chat models come with a template in Jinja, a programming language that we do not run. We have the formats of the
 * families below, and recognise by its marks which of them a template is; a template that does more than its format
 * (tools, dates, hidden thoughts) is refused by name, and a format can be named instead. */
#ifndef LF_TEXT_CHAT_TEMPLATE_H
#define LF_TEXT_CHAT_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

typedef struct lf_message {
    const char *role; /* "system", "user" or "assistant" */
    const char *content;
    size_t n; /* bytes of content, which may hold a NUL; 0: up to its first one */
} lf_message;

typedef struct lf_answer {
    size_t begin, end; /* bytes of the text */
} lf_answer;

typedef struct lf_prompt {
    char *text; /* with a NUL behind it */
    size_t n;
    /* What the assistant says, in order: what a model is trained to write. Each ends with the token that ends an answer
     * and has nothing of the header before it. */
    lf_answer *answers;
    size_t n_answers;
} lf_prompt;
void lf_prompt_free(lf_prompt *p);

typedef struct lf_chat_template lf_chat_template;

/* `name` is "chatml" (Qwen), "llama2", "llama3", "mistral" or "plain"; NULL or "auto": whatever the model's
 * chat_template.jinja or tokenizer_config.json has. LF_EUNSUPPORTED, naming it, if that is none of these or there is
 * none. bos and eos come from tokenizer_config.json where it has them. model_dir may be NULL if a name is given. */
lf_status lf_chat_template_open(lf_chat_template **out, const char *name, const char *model_dir, lf_err *err);
/* The same for a template's text; `where` stands for its file in errors. bos, eos: NULL for the family's own. */
lf_status lf_chat_template_parse(lf_chat_template **out, const char *jinja, const char *bos, const char *eos,
                                 const char *where, lf_err *err);
void lf_chat_template_free(lf_chat_template *c);
const char *lf_chat_template_name(const lf_chat_template *c);
bool lf_chat_template_is_name(const char *name); /* one of those above */
/* What ends an answer: a token of the models that know the format. "" where the format has none. Borrowed. */
const char *lf_chat_template_turn_end(const lf_chat_template *c);

/* The text has its bos token in it where the format has one: encode it without special tokens. add_generation_prompt
 * ends it with the header of an answer to come. A role that the format does not have at its place is LF_EDATA with the
 * message's number (0 is the first). The caller frees *out. */
lf_status lf_chat_render(const lf_chat_template *c, const lf_message *messages, size_t n, bool add_generation_prompt,
                         lf_prompt *out, lf_err *err);

#endif
