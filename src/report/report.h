/* Pictures and a page of a run, or of a set of runs, from their files alone. */
#ifndef LF_REPORT_REPORT_H
#define LF_REPORT_REPORT_H

#include <cjson/cJSON.h>

#include "base/error.h"

/* curves.c: reads run/metrics.jsonl; writes run/curves.csv (every number of the picture), run/curves.gp, and, where gnuplot
 * is installed, run/curves.svg: new-task and base-task accuracy, and training loss, over steps. *drawn: the SVG is there.
 * LF_EDATA if the run has no metrics. */
lf_status lf_report_curves(const char *run, bool *drawn, lf_err *err);

/* html.c: run/report.html, one file without any other: results, configuration, the pictures that stand in the folder, the command that
 * repeats it. Of a run without results but with error.json: how it ended. */
lf_status lf_report_html(const char *run, lf_err *err);

/* report_set.c: of the runs below a folder, results.csv, summary.csv, the pictures and report.html, written there; to `out` the table
 * of the groups or, `json`, one JSON object. */
lf_status lf_report_set(const char *dir, bool json, FILE *out, lf_err *err);

#endif
