/* The parts of which the pages are made: one file each, without a network; light or dark as the reader's system is, on
 * paper light. */
#ifndef LF_REPORT_PAGE_HTML_PARTS_H
#define LF_REPORT_PAGE_HTML_PARTS_H

#include <cjson/cJSON.h>
#include <stdio.h>

#include "base/error.h"

/* Every text that comes from a file or a user goes through here: it means itself, in an element or a quoted attribute.
 */
void lf_html_text(FILE *f, const char *text);
void lf_html_value(FILE *f, const cJSON *value); /* a number, a text, else JSON in one line */

void lf_html_begin(FILE *f, const char *title);
void lf_html_end(FILE *f); /* with the version */

/* Figures in front of all others. */
void lf_html_cards_begin(FILE *f);
void lf_html_card(FILE *f, double value, int decimals, const char *unit,
                  const char *label); /* nothing if it is not finite */
void lf_html_cards_end(FILE *f);

/* Members of an object as a table of two columns, those that are null left out; `keys` (ends with NULL) chooses, NULL:
 * all. */
void lf_html_object(FILE *f, const cJSON *object, const char *const *keys);

/* A wide table scrolls in its own box: begin, its columns, rows, then <tr> by <tr> of the caller's, end. */
void lf_html_table_begin(FILE *f);
void lf_html_column(FILE *f, const char *name, bool number);
void lf_html_rows(FILE *f);
void lf_html_table_end(FILE *f);

/* DIR/NAME.svg inside the page, as an image. Where it is not there, or is no plain drawing as gnuplot makes it, a
 * sentence says so and where the numbers are. html_picture.c */
lf_status lf_html_picture(FILE *f, const char *dir, const char *name, const char *title, const char *caption,
                          lf_err *err);

/* One line of a shell; arguments are quoted where they must be. Ends with NULL. */
void lf_html_command(FILE *f, const char *const *words);

#endif
