/* Tokens that are found in the text before anything else happens to it. */
#ifndef LF_TEXT_ADDED_TOKENS_H
#define LF_TEXT_ADDED_TOKENS_H

#include "base/error.h"
#include "text/pieces.h"
#include "text/vocab.h"

typedef struct lf_added_token {
    int32_t id;
    bool single_word, lstrip, rstrip, normalized;
} lf_added_token;

typedef struct lf_trie_node {
    int32_t child, sibling; /* -1: none */
    int32_t token;          /* number of the added token that ends here, -1: none */
    unsigned char byte;
} lf_trie_node;

/* A trie over bytes, entered by the first byte. */
typedef struct lf_trie {
    lf_trie_node *nodes;
    size_t n, capacity;
    int32_t first[256]; /* -1: no token begins so */
    bool some;
} lf_trie;

typedef struct lf_added_tokens {
    lf_added_token *at;
    size_t n, capacity;
    int64_t largest;    /* id; -1: none */
    lf_trie plain;      /* found in the text as it is */
    lf_trie normalized; /* found, in their normalized form, in the normalized text */
} lf_added_tokens;

void lf_trie_start(lf_trie *trie);
/* Of two tokens with the same text the one added first is found. False: no memory. */
bool lf_trie_add(lf_trie *trie, const char *s, size_t n, int32_t token);
void lf_added_tokens_free(lf_added_tokens *a);

/* Appends to `out` the pieces of s[0 .. n): tokens, and the text between them. s lies in out's text at `base`; `head`
 * is that of s as a piece. False: no memory. */
bool lf_added_tokens_find(const lf_added_tokens *a, const lf_trie *trie, const char *s, size_t n, size_t base,
                          size_t head, lf_pieces *out);

#endif
