#include "text/pieces.h"

#include "base/mem.h"

bool lf_pieces_put(lf_pieces *p, lf_piece piece) {
    if (!lf_grow(&p->at, &p->capacity, p->n + 1)) return false;
    p->at[p->n++] = piece;
    return true;
}

void lf_pieces_empty(lf_pieces *p) {
    p->n = 0;
    lf_string_empty(&p->text);
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
    lf_string_free(&p->text);
    lf_free(p->at);
    *p = (lf_pieces){0};
}
