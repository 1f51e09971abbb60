/* What is wrong with a file, by the place. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "parquet/internal.h"

lf_status lf_pq_damaged(const lf_pq_where *w, lf_err *err, const char *format, ...) {
    char what[300];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return lf_fail(err, LF_EDATA, "%s: column '%.100s', row group %" PRId64 ": %s; is the download complete?",
                   w->p->path, w->p->nodes[w->p->leaves[w->leaf]].name, w->group, what);
}
