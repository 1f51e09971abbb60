/* A part of a string, and the lists that tables ("a|b|c") and messages ('a', 'b') are written in. */
#ifndef LF_BASE_SLICE_H
#define LF_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>

/* Borrowed; prints with "%.*s", length, start. */
typedef struct lf_slice {
    const char *start;
    int length;
} lf_slice;
bool lf_slice_equal(lf_slice text, const char *s);

/* Takes the first item off "a|b|c"; false when nothing is left, as of NULL. An item may be empty, but not the last. */
bool lf_next_item(const char **list, lf_slice *item);
bool lf_has_item(const char *list, const char *s); /* s is one of "a|b|c" */

/* Appends ", 'name'" to a list in a message's buffer, "..." where it ends. */
void lf_list_append(char *buf, size_t size, const char *name);

/* Does a file's name end in one of the extensions "jpg|jpeg", in small letters or capitals? */
bool lf_has_extension(const char *name, const char *extensions);

#endif
