/* Tokens by what they begin with: finds all that a text begins with in one walk. */
#ifndef LF_TEXT_PIECE_TRIE_H
#define LF_TEXT_PIECE_TRIE_H

#include <stdint.h>

#include "text/vocab.h"

typedef struct lf_piece_node {
    int32_t id;          /* the token that ends here; -1: none */
    uint32_t children;   /* the first of them: they stand side by side, in the order of their bytes */
    uint32_t n_children; /* at most 256 */
} lf_piece_node;

/* Nodes and, beside them, the byte by which each is reached; node 0 is the root. */
typedef struct lf_piece_trie {
    lf_piece_node *nodes;
    unsigned char *bytes;
    size_t n;
} lf_piece_trie;

/* Of all tokens with LF_TOKEN_MODEL. False: no memory, or more than 2^32 nodes. */
bool lf_piece_trie_make(lf_piece_trie *out, const lf_vocab *vocab);
void lf_piece_trie_free(lf_piece_trie *t);

/* The child of node `at` by `byte`; 0: none. */
uint32_t lf_piece_trie_next(const lf_piece_trie *t, uint32_t at, unsigned char byte);

#endif
