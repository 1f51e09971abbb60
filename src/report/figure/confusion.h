/* The picture of which class a run takes for which. */
#ifndef LF_REPORT_FIGURE_CONFUSION_H
#define LF_REPORT_FIGURE_CONFUSION_H

#include <stdbool.h>

#include "base/error.h"

/* Of run/confusion.json: run/confusion.gp and, where gnuplot is installed, run/confusion.svg, a square a pair of
 * classes: the darker, the larger its share of those of the row's class. Its numbers are in confusion.csv, which the
 * run has written. *drawn: the SVG is there. Nothing is drawn, and what an earlier report drew is removed, where there
 * is no such file, where it has fewer than two classes or too many to be told apart, or several labels an example. */
lf_status lf_report_confusion(const char *run, bool *drawn, lf_err *err);

#endif
