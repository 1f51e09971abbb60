/* Tokens by id and by text. */
#ifndef LF_TEXT_VOCAB_H
#define LF_TEXT_VOCAB_H

#include "base/error.h"
#include "base/string.h"

enum {
    LF_TOKEN_MODEL = 1, /* of the model's vocabulary */
    LF_TOKEN_ADDED = 2,
    LF_TOKEN_SPECIAL = 4,
    LF_TOKEN_SKIPPED = 8, /* by decode, when special tokens are not wanted */
    LF_MAX_TOKENS = 1 << 24
};

typedef struct lf_token {
    size_t begin; /* in text; a NUL follows */
    uint32_t size;
    uint32_t flags;        /* 0: no token has this id */
    uint32_t decoded_size; /* what decode starts from; differs from the token itself for normalized added tokens */
    size_t decoded_begin;
} lf_token;

typedef struct lf_vocab {
    lf_string text;
    lf_token *tokens;   /* by id */
    size_t n, capacity; /* n: 1 + the largest id */
    int32_t *slots;     /* hash table of ids, -1: empty */
    size_t n_slots;     /* a power of two */
    size_t count;       /* tokens in it */
    size_t count_model; /* of them with LF_TOKEN_MODEL */
} lf_vocab;

/* LF_EDATA, naming `where`, for an id below 0, above LF_MAX_TOKENS or that another token has; a text that is there
 * already must have this id, and gets the flags as well. */
lf_status lf_vocab_add(lf_vocab *v, const char *token, int64_t id, uint32_t flags, const char *where, lf_err *err);
/* Sets what decode makes of a token. False: no memory. */
bool lf_vocab_set_decoded(lf_vocab *v, int32_t id, const char *s, size_t n);
int32_t lf_vocab_find(const lf_vocab *v, const char *s, size_t n, uint32_t flags); /* -1: no token with these flags */
void lf_vocab_free(lf_vocab *v);

static inline const char *lf_vocab_text(const lf_vocab *v, int32_t id) { return v->text.s + v->tokens[id].begin; }

#endif
