/* matrix.svg: the scores after each run as squares, by gnuplot (plot/plot.h). */
#ifndef LF_CONTINUAL_PICTURE_H
#define LF_CONTINUAL_PICTURE_H

#include "continual/scores.h"

/* Of all runs; nothing where no score was measured or there are too many tasks for one. Without gnuplot matrix.gp is
 * there, and a line says how to draw it. */
lf_status lf_matrix_draw(const lf_plan *p, const lf_scores *rows, lf_err *err);

#endif
