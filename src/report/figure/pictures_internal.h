/* What the pictures and pages of a set of runs take from its summary. Within pictures*.c and html_set*.c. */
#ifndef LF_REPORT_FIGURE_PICTURES_INTERNAL_H
#define LF_REPORT_FIGURE_PICTURES_INTERNAL_H

#include "report/figure/figure.h"
#include "report/figure/pictures.h"

/* Fills a figure whose name and title are set; leaves it without panels where the runs have too little for it. */
typedef lf_status lf_figure_fill(lf_figure *f, const lf_summary *s, lf_err *err);
lf_figure_fill lf_fill_position, lf_fill_tradeoff, lf_fill_rate; /* pictures_cells.c */
lf_figure_fill lf_fill_curves, lf_fill_update;                   /* pictures_runs.c */
lf_figure_fill lf_fill_bars, lf_fill_sequences;                  /* pictures_sequences.c */

/* Index among the metrics; -1 if no cell has a value of it. */
int lf_metric_index(const lf_summary *s, const char *name);
int lf_role_index(const lf_summary *s, lf_role role); /* of the figure in it */
/* Of the new task: evaluation data, else test data; -1. */
int lf_gain_index(const lf_summary *s);
/* The panel of a metric: perplexities on a logarithmic axis. */
lf_panel lf_panel_of(const lf_summary *s, int metric);

/* A cell's dot of a metric, x to be set; false if the cell has neither a value nor a run that diverged. */
bool lf_dot_of(lf_dot *d, const lf_summary *s, const lf_cell *c, int metric);

/* The best cell of a group, or its only one; NULL. */
const lf_cell *lf_shown_cell(const lf_summary *s, const lf_cohort *g);

/* "position 0.5 (middle), r 8": a group's name for a legend, its start as people call it, without the words that say
 * nothing; lf_free. NULL: out of memory. */
char *lf_group_label(const lf_cohort *g);
/* A series of its own for a group; one that starts at a position is as dark as that says, plain LoRA black. */
int64_t lf_group_series(lf_figure *f, const lf_cohort *g);
/* What a guess, or of text the untouched base, is worth on the new task. */
void lf_chance_level(lf_figure *f, const lf_summary *s, int panel, bool upright);

#endif
