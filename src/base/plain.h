/* Text of files and users on its way to a terminal: what would command it, or turn the order of its letters round
 * (bidirectional overrides), shows as '?'. Every message goes through here. */
#ifndef LF_BASE_PLAIN_H
#define LF_BASE_PLAIN_H

#include <stddef.h>
#include <stdio.h>

/* Bytes at s that a terminal may take for a command: ASCII's and Latin-1's control characters, and the bidirectional
 * ones; 0: none. s ends with 0. */
size_t lf_control_size(const char *s);

void lf_make_plain(char *s); /* in place; one line */
void lf_print_plain(FILE *out, const char *text);

#endif
