/* Between the files that gather runs. */
#ifndef LF_REPORT_GATHER_INTERNAL_H
#define LF_REPORT_GATHER_INTERNAL_H

#include "report/gather.h"

/* One more run, all zero; NULL without memory. */
lf_gathered_run *lf_gathered_add(lf_gathered *g);
/* What became of the run in folder `path`: state, message, results. */
lf_status lf_gathered_look(lf_gathered_run *r, const char *path, lf_err *err);
/* Once all folders are read: sweep.json, the swept keys, runs that are not begun, and the order. */
lf_status lf_gathered_finish(lf_gathered *g, lf_err *err);

static inline lf_status lf_gather_no_memory(lf_err *err) { return lf_fail(err, LF_ENOMEM, "out of memory for the runs that are gathered"); }

#endif
