/* Pictures and a page of a run, or of a set of runs, from their files alone. */
#ifndef LF_REPORT_PAGE_REPORT_H
#define LF_REPORT_PAGE_REPORT_H

#include <cjson/cJSON.h>

#include "base/error.h"

/* html.c: run/report.html, one file without any other: results, configuration, the pictures that stand in the folder,
 * the command that repeats it. Of a run without results but with error.json: how it ended. */
lf_status lf_report_html(const char *run, lf_err *err);

/* html_sequence.c: the page of a sequence of tasks (`lora-ft continual`), and its pictures, however far it is. */
lf_status lf_report_sequence(const char *dir, lf_err *err);

/* report_set.c: of the runs below a folder, results.csv, summary.csv, the pictures and report.html, written there; to
 * `out` the table of the groups or, `json`, one JSON object. baseline: see lf_summary_new. */
lf_status lf_report_set(const char *dir, const char *baseline, bool json, FILE *out, lf_err *err);

#endif
