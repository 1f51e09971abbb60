/* CSV as it is written: what several tables share. */
#ifndef LF_BASE_CSV_H
#define LF_BASE_CSV_H

#include <stdio.h>

/* A field of a line, quoted where it must be (RFC 4180): where there is a comma, a quote or a line break. */
void lf_csv_text(FILE *f, const char *text);

#endif
