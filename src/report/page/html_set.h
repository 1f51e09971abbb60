/* The page of a set of runs in its two files. Within html_set*.c. */
#ifndef LF_REPORT_PAGE_HTML_SET_H
#define LF_REPORT_PAGE_HTML_SET_H

#include <stdio.h>

#include "report/gather/summary.h"

/* html_set_tables.c */
void lf_html_groups(FILE *f, const lf_summary *s); /* one row a group at its best learning rate */
void lf_html_choice(FILE *f, const lf_summary *s); /* how that was chosen, what the figures are */
void lf_html_all_cells(FILE *f, const lf_summary *s);
void lf_html_all_runs(FILE *f, const lf_gathered *g);

#endif
