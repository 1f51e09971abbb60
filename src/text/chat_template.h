/* A conversation as the one text that a chat model was trained on: its chat template, a program in Jinja, is run
 * (jinja.h), with the variables that transformers' apply_chat_template gives it. Where a template is named instead
 * ("chatml"), one of ours is run the same way. */
#ifndef LF_TEXT_CHAT_TEMPLATE_H
#define LF_TEXT_CHAT_TEMPLATE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

typedef struct lf_message {
    const char *role; /* "system", "user", "assistant", or what else the template knows */
    const char *content;
    size_t n; /* bytes of content, which may hold a NUL; 0: up to its first one */
    /* The message as it stands in the data, for templates that read more of it ("tool_calls"): its other keys, and
     * "content" where `content` is NULL (parts, none). Null values count as absent, as in transformers. May be NULL. */
    const cJSON *json;
    bool unlearned; /* nothing of it is an answer, though the assistant says it */
} lf_message;

typedef struct lf_answer {
    size_t begin, end; /* bytes of the text */
} lf_answer;

typedef struct lf_prompt {
    char *text; /* with a NUL behind it */
    size_t n;
    /* What the assistant says, in order: what a model is trained to write. What is within {% generation %}, if the
     * template has that; else for each message of the assistant that is shown the bytes that came from it and the fixed
     * text up to the token that ends its turn, with nothing of the header before it. */
    lf_answer *answers;
    size_t n_answers;
} lf_prompt;
void lf_prompt_free(lf_prompt *p);

typedef struct lf_chat_template lf_chat_template;
#define LF_CHAT_TEMPLATE_JINJA "chat_template.jinja"       /* a folder's template; as transformers has it */
#define LF_CHAT_MORE_TEMPLATES "additional_chat_templates" /* a model's folder of templates with other names */

/* `name` is "chatml" (Qwen), "llama2", "llama3", "mistral" or "plain", or the path of a file with a template; NULL or
 * "auto": the model's chat_template.jinja, else what its tokenizer_config.json has; and the one that either names
 * "tool_use", which renders the conversations with tools, as in transformers. LF_EUNSUPPORTED if there is none,
 * or if it has something of Jinja that we do not run, which is named. The special tokens are those of the model's
 * tokenizer_config.json whichever template it is. model_dir may be NULL if a name or path is given. */
lf_status lf_chat_template_open(lf_chat_template **out, const char *name, const char *model_dir, lf_err *err);
/* The same for a template's text; `where` stands for its file in errors. bos, eos: NULL where there are none. */
lf_status lf_chat_template_parse(lf_chat_template **out, const char *jinja, const char *bos, const char *eos,
                                 const char *where, lf_err *err);
/* The text of the model's own template, for a program that runs it itself; freed by lf_free. *out NULL: it has none. */
lf_status lf_chat_template_source(char **out, const char *model_dir, lf_err *err);
/* The tokenizer's tokens: an answer then ends in one that its template writes behind it, not in what looks like one. */
typedef struct lf_chat_vocabulary {
    size_t (*token_at)(const void *context, const char *s, size_t n); /* bytes of the added token at s; 0: none */
    const void *context;
} lf_chat_vocabulary;
lf_status lf_chat_template_use_vocabulary(lf_chat_template *c, const lf_chat_vocabulary *known, lf_err *err);
void lf_chat_template_free(lf_chat_template *c);
const char *lf_chat_template_name(const lf_chat_template *c); /* as it was asked for, or its file */
/* What is run, as a file of it has to be. Of ours it sets the tokens itself that the model does not name. */
const char *lf_chat_template_text(const lf_chat_template *c);
bool lf_chat_template_is_name(const char *name); /* "auto", or one of ours */
enum { LF_CHAT_NAMES = 80 };
const char *lf_chat_template_names(char buf[LF_CHAT_NAMES]); /* ours: "chatml, llama3, ... or plain" */
/* When strftime_now says it is: as "2026-11-29T13:10:00"; that of opening until another is set. False: no such text. A
 * template that does not ask writes none. */
enum { LF_CHAT_DATE = 20 }; /* bytes, with the NUL */
const char *lf_chat_template_date(const lf_chat_template *c, char buf[LF_CHAT_DATE]);
bool lf_chat_template_set_date(lf_chat_template *c, const char *date);
bool lf_chat_template_asks_date(const lf_chat_template *c);
/* What ends an answer: a token of the models that know the template. "" where it has none. Borrowed. */
const char *lf_chat_template_turn_end(const lf_chat_template *c);
/* The template may read this key of a message; if not, the key changes nothing. */
bool lf_chat_template_reads(const lf_chat_template *c, const char *key);

/* The text has all special tokens in it: encode it without more. add_generation_prompt ends it with the header of an
 * answer to come, where the template has one. LF_EDATA: the template refuses the conversation, and says why;
 * LF_EUNSUPPORTED: it makes something of an answer in which its bytes cannot be found again. The caller frees *out. */
lf_status lf_chat_render(const lf_chat_template *c, const lf_message *messages, size_t n, bool add_generation_prompt,
                         lf_prompt *out, lf_err *err);
/* The same with `tools`, a list of JSON schemas of functions, or NULL. */
lf_status lf_chat_render_tools(const lf_chat_template *c, const lf_message *messages, size_t n, const cJSON *tools,
                               bool add_generation_prompt, lf_prompt *out, lf_err *err);

#endif
