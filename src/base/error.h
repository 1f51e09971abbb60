/* Filling an lf_err. The types are public, in lora_ft.h. */
#ifndef LF_BASE_ERROR_H
#define LF_BASE_ERROR_H

#include "lora_ft.h"

#define LF_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Sets err (may be NULL) and returns status, so that `return lf_fail(err, LF_EDATA, "...")` is one line. If err
 * already holds a failure, the first one is kept: a lower message is never overwritten. */
lf_status lf_fail(lf_err *err, lf_status status, const char *format, ...) LF_PRINTF(3, 4);

/* LF_ENOMEM, "out of memory for ..." what the format says. What to try may follow: "a batch of %d; try a smaller one".
 */
lf_status lf_no_memory(lf_err *err, const char *format, ...) LF_PRINTF(2, 3);

/* "path: strerror(errno)" with LF_ENOTFOUND for ENOENT/ENOTDIR, LF_EIO otherwise. `doing` is a verb: "open", "read". */
lf_status lf_fail_errno(lf_err *err, const char *doing, const char *path);

#endif
