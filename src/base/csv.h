/* CSV as it is written: what several tables share. */
#ifndef LF_BASE_CSV_H
#define LF_BASE_CSV_H

#include <stdio.h>

/* A field of a line, quoted where it must be (RFC 4180): where there is a comma, a quote or a line break. A text that a
 * spreadsheet would run as a formula, because it begins with = + - @, a tab or a carriage return and is no number, gets
 * a single quote in front, which spreadsheets take for "text": what stands in a cell may come from anywhere. */
void lf_csv_text(FILE *f, const char *text);

#endif
