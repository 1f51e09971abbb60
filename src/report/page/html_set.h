/* The page of a set of runs: one for who asks for it, and the parts that its files share. */
#ifndef LF_REPORT_PAGE_HTML_SET_H
#define LF_REPORT_PAGE_HTML_SET_H

#include <stdio.h>

#include "report/figure/pictures.h"
#include "report/gather/verdict.h"

/* DIR/report.html: the verdicts, what was run, the tables, the pictures, every run, the command and version to repeat
 * it; one file, without a network. */
lf_status lf_report_set_html(const lf_summary *s, const lf_verdict *verdicts, int64_t n_verdicts,
                             const lf_picture *pictures, int n, lf_err *err);

/* html_set_tables.c */
void lf_html_groups(FILE *f, const lf_summary *s); /* one row a group at its best learning rate */
void lf_html_choice(FILE *f, const lf_summary *s); /* how that was chosen, what the figures are */
void lf_html_all_cells(FILE *f, const lf_summary *s);
void lf_html_all_runs(FILE *f, const lf_gathered *g);

#endif
