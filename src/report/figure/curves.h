/* The picture of one run. */
#ifndef LF_REPORT_FIGURE_CURVES_H
#define LF_REPORT_FIGURE_CURVES_H

#include "base/error.h"

/* Reads run/metrics.jsonl; writes run/curves.csv (every number of the picture), run/curves.gp, and, where gnuplot
 * is installed, run/curves.svg: new-task and base-task accuracy, and training loss, over steps. *drawn: the SVG is
 * there. LF_EDATA if the run has no metrics. */
lf_status lf_report_curves(const char *run, bool *drawn, lf_err *err);

#endif
