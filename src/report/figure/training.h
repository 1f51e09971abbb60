/* The picture of how the training of a run went. */
#ifndef LF_REPORT_FIGURE_TRAINING_H
#define LF_REPORT_FIGURE_TRAINING_H

#include <stdbool.h>

#include "base/error.h"

/* Of run/metrics.jsonl: training.csv, training.gp and, where gnuplot is installed, training.svg: the loss in training
 * and on evaluation data, the learning rate, and the norm of the gradients, over steps. *drawn: the SVG is there. */
lf_status lf_report_training(const char *run, bool *drawn, lf_err *err);

#endif
