/* What a reader of the user's files does not read, counted by kind, so that one warning says how much it is: nothing is
 * left out in silence, and a thousand files are not a thousand lines. */
#ifndef LF_BASE_LEFT_OUT_H
#define LF_BASE_LEFT_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lf_left_out {
    struct lf_left_out_kind {
        char *name;
        int64_t count;
    } * kinds; /* in the order in which they were first met */
    size_t n, room;
    int64_t total;
} lf_left_out;

/* One more of that kind, whose name (".webp", "key 'weight'") is copied. False: no memory, and it is not counted. Not
 * thread safe. */
bool lf_left_out_add(lf_left_out *l, const char *kind);
/* A file's kind is its extension with the dot, in small letters; a name without one is "no extension". */
bool lf_left_out_add_file(lf_left_out *l, const char *name);

/* "12 .webp, 3 .tiff, 2 of 5 other kinds": the most frequent first, those that are equally frequent by name; ends in
 * " of N other kinds" where `size` ends. Returns buf, "" if nothing was counted. */
const char *lf_left_out_text(const lf_left_out *l, char *buf, size_t size);
void lf_left_out_free(lf_left_out *l); /* *l is as new */

#endif
