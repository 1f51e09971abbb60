/* Pieces of a text: what every step of a tokenizer reads and writes. */
#ifndef LF_TEXT_PIECES_H
#define LF_TEXT_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/string.h"

typedef struct lf_piece {
    size_t begin, size; /* in the text that the pieces share */
    size_t head;    /* how many of its first bytes come from the first character of the whole text: 0 unless the piece
                       is at the beginning (Metaspace's "first" asks) */
    int32_t id;     /* an added token, which no step changes; -1: text */
    uint32_t part;  /* how many cuts of the text are before it (lf_tokenizer_encode_cut) */
    bool continues; /* begins at a cut, in the middle of text: no space is put in front of it */
} lf_piece;

typedef struct lf_pieces {
    lf_string text;
    lf_piece *at;
    size_t n, capacity;
} lf_pieces;

bool lf_pieces_put(lf_pieces *p, lf_piece piece);
void lf_pieces_empty(lf_pieces *p); /* of pieces and text */
/* The part of a piece that begins `begin` bytes into it. */
lf_piece lf_piece_part(const lf_piece *piece, size_t begin, size_t size);
void lf_pieces_free(lf_pieces *p);

#endif
