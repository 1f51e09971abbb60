/* group_by_length, as Hugging Face's Trainer has it (get_length_grouped_indices): stretches of some fifty steps of the
 * permuted rows, each sorted from its longest row to its shortest, so that what stands in a batch is alike and batches
 * still differ from epoch to epoch. The longest row of all changes places with the first, so that a step that is too
 * large for the memory is the first one. */
#include <stdlib.h>

#include "data/text/tokens.h"

enum { MOST_STEPS = 50, STRETCHES = 4 };

static int64_t stretch_of(int64_t n, int64_t together) {
    const int64_t steps = n / (together * STRETCHES);
    return together * (steps > MOST_STEPS ? MOST_STEPS : steps < 1 ? 1 : steps);
}

int64_t lf_text_group_room(int64_t n, int64_t together) {
    const int64_t stretch = stretch_of(n, together);
    return stretch < n ? stretch : n;
}

/* The longest first; of the same length as they were. */
static int by_length(const void *a_, const void *b_) {
    const lf_text_grouped *a = a_, *b = b_;
    if (a->length != b->length) return a->length > b->length ? -1 : 1;
    return a->place < b->place ? -1 : a->place > b->place;
}

static void sort_stretch(int64_t *order, int64_t n, const int32_t *lengths, lf_text_grouped *room) {
    for (int64_t i = 0; i < n; i++) room[i] = (lf_text_grouped){order[i], i, lengths[order[i]]};
    qsort(room, (size_t)n, sizeof *room, by_length);
    for (int64_t i = 0; i < n; i++) order[i] = room[i].row;
}

void lf_text_group(int64_t *order, int64_t n, const int32_t *lengths, int64_t together, lf_text_grouped *room) {
    const int64_t stretch = stretch_of(n, together);
    int64_t longest = 0;
    for (int64_t at = 0; at < n; at += stretch) {
        sort_stretch(order + at, n - at < stretch ? n - at : stretch, lengths, room);
        if (lengths[order[at]] > lengths[order[longest]]) longest = at;
    }
    if (n == 0) return;
    const int64_t first = order[0];
    order[0] = order[longest];
    order[longest] = first;
}
