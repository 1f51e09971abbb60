/* What pages call things: a run by its model and task, figures by words, and where, when and by what they were made. */
#ifndef LF_REPORT_PAGE_HTML_NAMES_H
#define LF_REPORT_PAGE_HTML_NAMES_H

#include "report/gather/gather.h"

/* "fashion-vit on letters", of a config.json; "" where it says neither. lf_free; NULL: out of memory. */
char *lf_page_subject(const cJSON *config);
/* The figures of all_results.json by names in words, with their units. */
void lf_html_figures(FILE *f, const cJSON *results);
/* A sentence: the days, the machines, the kernels and versions, and how long n runs took. */
void lf_html_made(FILE *f, const cJSON *const *results, int64_t n);

#endif
