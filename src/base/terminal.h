/* How wide a terminal is, how wide a text is on it, and texts made to fit. */
#ifndef LF_BASE_TERMINAL_H
#define LF_BASE_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

enum { LF_LEAST_COLUMNS = 40, LF_USUAL_COLUMNS = 80 };

/* Columns of what `fd` writes to: what the variable COLUMNS says, else the terminal, else 80; at least 40. Asked anew
 * each time, so that a window that changes its size (SIGWINCH) has its new one at the next line. */
int lf_columns(int fd);
bool lf_is_terminal(int fd);
/* It shows colours, and nobody asked for none: a terminal, TERM is neither missing nor "dumb", NO_COLOR is not set (or
 * empty: no-color.org). */
bool lf_shows_colours(int fd);

/* Rows that a line of so many columns takes now, which took one when it was written: more where the terminal became
 * narrower, and is one that breaks its lines anew then. */
int lf_rows_of(int fd, int64_t columns);

/* Columns that a text takes: by Unicode, 2 for a wide character, none for one that combines; bytes that are no UTF-8
 * count one each. */
int64_t lf_text_columns(const char *text);
/* Bytes at the beginning of text that take at most so many columns, whole characters. */
size_t lf_text_fitting(const char *text, int64_t columns);
/* text, cut to so many columns, with "..." where something was cut; out: `size` bytes. Returns out. */
char *lf_text_cut(char *out, size_t size, const char *text, int64_t columns);

/* text and a newline, broken between words so that no line takes more columns: of the first `taken` are taken already,
 * and the others begin `indent` columns further in. A word longer than a line stays whole, so that a path can be
 * copied. */
void lf_print_wrapped(FILE *out, const char *text, int columns, int taken, int indent);

/* Columns for what is written to `out`: those of its terminal; 0 where it is none. */
int lf_columns_of(FILE *out);
/* Text of several lines, each broken so; on no terminal, at `otherwise` columns (0: not at all). */
void lf_print_lines(FILE *out, const char *text, int otherwise);
/* One such line, by a format; what a terminal may obey is a '?'. */
void lf_print_line(FILE *out, const char *format, ...) LF_PRINTF(2, 3);

#endif
