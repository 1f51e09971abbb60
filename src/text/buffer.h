/* Bytes, and pieces of them: what every step of a tokenizer reads and writes. */
#ifndef LF_TEXT_BUFFER_H
#define LF_TEXT_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lf_buffer {
    char *s;
    size_t n, capacity;
} lf_buffer;

bool lf_buffer_reserve(lf_buffer *b, size_t more); /* room for that many bytes behind n; false: no memory */
bool lf_buffer_put(lf_buffer *b, const void *s, size_t n);
bool lf_buffer_put_char(lf_buffer *b, uint32_t c); /* as UTF-8 */
void lf_buffer_free(lf_buffer *b);
void lf_buffer_swap(lf_buffer *a, lf_buffer *b);

/* Room for n + 1 elements of an array that holds n; doubles. False: no memory, *array as it was. */
bool lf_grow(void *array, size_t *capacity, size_t n, size_t element);

typedef struct lf_piece {
    size_t begin, size; /* in the text that the pieces share */
    size_t head;    /* how many of its first bytes come from the first character of the whole text: 0 unless the piece
                       is at the beginning (Metaspace's "first" asks) */
    int32_t id;     /* an added token, which no step changes; -1: text */
    uint32_t part;  /* how many cuts of the text are before it (lf_tokenizer_encode_cut) */
    bool continues; /* begins at a cut, in the middle of text: no space is put in front of it */
} lf_piece;

typedef struct lf_pieces {
    lf_buffer text;
    lf_piece *at;
    size_t n, capacity;
} lf_pieces;

bool lf_pieces_put(lf_pieces *p, lf_piece piece);
/* The part of a piece that begins `begin` bytes into it. */
lf_piece lf_piece_part(const lf_piece *piece, size_t begin, size_t size);
void lf_pieces_free(lf_pieces *p);

#endif
