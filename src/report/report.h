/* Pictures and a page of a run, from its files alone. */
#ifndef LF_REPORT_REPORT_H
#define LF_REPORT_REPORT_H

#include <cjson/cJSON.h>

#include "base/error.h"

/* curves.c: reads run/metrics.jsonl; writes run/curves.csv (every number of the picture), run/curves.gp, and, where gnuplot
 * is installed, run/curves.svg: new-task and base-task accuracy, and training loss, over steps. *drawn: the SVG is there.
 * LF_EDATA if the run has no metrics. */
lf_status lf_report_curves(const char *run, bool *drawn, lf_err *err);

/* html.c: run/report.html, one file without any other: results, configuration, the picture, the command that repeats it. */
lf_status lf_report_html(const char *run, lf_err *err);

#endif
