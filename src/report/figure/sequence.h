/* The pictures of a sequence of tasks. */
#ifndef LF_REPORT_FIGURE_SEQUENCE_H
#define LF_REPORT_FIGURE_SEQUENCE_H

#include "report/gather/sequence.h"

/* Of what has been measured:
 *
 *   matrix     each task after each run, as squares
 *   tasks      the same over the sequence, a line a task, and the base's own data below
 *
 * each NAME.gp and, where there is gnuplot, NAME.svg (else a line says how to draw it); tasks.csv too. One for which
 * there is too little is not drawn, and what an earlier report left of it is removed. */
lf_status lf_draw_sequence(const lf_told *t, lf_err *err);

#endif
