/* Between the files that gather runs. */
#ifndef LF_REPORT_GATHER_GATHER_INTERNAL_H
#define LF_REPORT_GATHER_GATHER_INTERNAL_H

#include "report/gather/gather.h"

/* sweep.json of the gathered folder; json NULL: there is none. */
typedef struct lf_sweep_file {
    char *path;
    cJSON *json;
    const cJSON *swept, *runs, *points, *config;
} lf_sweep_file;
lf_status lf_sweep_file_read(lf_sweep_file *f, const char *dir, lf_err *err);
void lf_sweep_file_close(lf_sweep_file *f);
/* Whether the run is one of those that are gathered: every one where there is no sweep.json. */
bool lf_sweep_file_lists(const lf_sweep_file *f, const char *name);

/* One more run, all zero; NULL without memory. */
lf_gathered_run *lf_gathered_add(lf_gathered *g);
/* What became of the run in folder `path`: state, message, results. */
lf_status lf_gathered_look(lf_gathered_run *r, const char *path, lf_err *err);
/* Once all folders are read: the swept keys, runs that are not begun, and the order. */
lf_status lf_gathered_finish(lf_gathered *g, const lf_sweep_file *sweep, lf_err *err);

#endif
