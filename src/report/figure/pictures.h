/* The pictures of a set of runs. Each NAME.svg has NAME.csv with every number in it and NAME.gp beside it, all in the
 * gathered folder. A picture for which the runs have too little (one position, no forgetting) is not drawn, and its
 * files of an earlier report are removed.
 *
 *   position       new task and forgetting against the position of the components, a line a learning rate, with
 *                  bands over seeds: the twin of the paper's first figure
 *   tradeoff       gain against retention, a colour a group, a point a learning rate, and the Pareto front
 *   learning-rate  gain and forgetting against the learning rate (log), a line a group; diverged runs marked
 *   curves         training loss, new task and base task over steps, of each group at its best rate (mean over seeds)
 *   update         forgetting against update_ratio, a point a run, coloured by group
 *   bars           of sequences of tasks: average, BWT and retention of the base, a bar a group
 *   sequences      the same after each task
 */
#ifndef LF_REPORT_FIGURE_PICTURES_H
#define LF_REPORT_FIGURE_PICTURES_H

#include "report/gather/summary.h"

typedef struct lf_picture {
    const char *name, *title, *caption /* a sentence or two on how to read it */;
    bool made /* there is a script */, drawn /* there is an SVG */;
} lf_picture;
enum { LF_MAX_PICTURES = 8 };

/* *n of `out` are filled, in the order of a report. One warning says how to get the pictures if gnuplot is not there.
 */
lf_status lf_draw_pictures(lf_picture out[LF_MAX_PICTURES], int *n, const lf_summary *s, lf_err *err);

#endif
