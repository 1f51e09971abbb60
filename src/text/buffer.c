#include "text/buffer.h"

#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

bool lf_buffer_reserve(lf_buffer *b, size_t more) {
    if (b->capacity - b->n >= more) return true;
    if (more > SIZE_MAX / 4 || b->n > SIZE_MAX / 4) return false;
    const size_t capacity = (b->n + more) * 2 + 64;
    char *grown = lf_realloc(b->s, capacity);
    if (!grown) return false;
    b->s = grown;
    b->capacity = capacity;
    return true;
}

bool lf_buffer_put(lf_buffer *b, const void *s, size_t n) {
    if (!lf_buffer_reserve(b, n)) return false;
    if (n > 0) memcpy(b->s + b->n, s, n);
    b->n += n;
    return true;
}

bool lf_buffer_put_char(lf_buffer *b, uint32_t c) {
    char s[4];
    return lf_buffer_put(b, s, lf_utf8_put(s, c));
}

void lf_buffer_free(lf_buffer *b) {
    lf_free(b->s);
    *b = (lf_buffer){0};
}

void lf_buffer_swap(lf_buffer *a, lf_buffer *b) {
    const lf_buffer c = *a;
    *a = *b;
    *b = c;
}

bool lf_grow(void *array, size_t *capacity, size_t n, size_t element) {
    if (n < *capacity) return true;
    if (n > SIZE_MAX / 4 / element) return false;
    const size_t wanted = n * 2 + 16;
    void *old, *grown;
    memcpy(&old, array, sizeof old); /* `array` is the address of a pointer of any type */
    if (!(grown = lf_realloc(old, wanted * element))) return false;
    memcpy(array, &grown, sizeof grown);
    *capacity = wanted;
    return true;
}

bool lf_pieces_put(lf_pieces *p, lf_piece piece) {
    if (!lf_grow(&p->at, &p->capacity, p->n, sizeof *p->at)) return false;
    p->at[p->n++] = piece;
    return true;
}

lf_piece lf_piece_part(const lf_piece *piece, size_t begin, size_t size) {
    const size_t head = piece->head > begin ? piece->head - begin : 0;
    return (lf_piece){.begin = piece->begin + begin,
                      .size = size,
                      .head = head < size ? head : size,
                      .id = -1,
                      .part = piece->part,
                      .continues = piece->continues && begin == 0};
}

void lf_pieces_free(lf_pieces *p) {
    lf_buffer_free(&p->text);
    lf_free(p->at);
    *p = (lf_pieces){0};
}
