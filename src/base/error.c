#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/plain.h"

const char *lf_status_text(lf_status status) {
    switch (status) {
#define CASE(name, code, text)                                                                                         \
    case name: return text;
        LF_STATUS_LIST(CASE)
#undef CASE
    }
    return "unknown status";
}

int lf_status_exit_code(lf_status status) {
    switch (status) {
#define CASE(name, code, text)                                                                                         \
    case name: return code;
        LF_STATUS_LIST(CASE)
#undef CASE
    }
    return 1;
}

/* What is said first is kept. */
static lf_status say(lf_err *err, lf_status status, const char *before, const char *format, va_list args) {
    if (!err) return status;
    if (err->status != LF_OK) return err->status;
    err->status = status;
    const int n = snprintf(err->message, sizeof err->message, "%s", before);
    vsnprintf(err->message + n, sizeof err->message - (size_t)n, format, args);
    lf_make_plain(err->message);
    return status;
}

lf_status lf_fail(lf_err *err, lf_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const lf_status rc = say(err, status, "", format, args);
    va_end(args);
    return rc;
}

lf_status lf_no_memory(lf_err *err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const lf_status rc = say(err, LF_ENOMEM, "out of memory for ", format, args);
    va_end(args);
    return rc;
}

lf_status lf_fail_errno(lf_err *err, const char *doing, const char *path) {
    const int e = errno;
    const lf_status status = e == ENOENT || e == ENOTDIR ? LF_ENOTFOUND : e == ENOMEM ? LF_ENOMEM : LF_EIO;
    return lf_fail(err, status, "%s: cannot %s: %s", path, doing, strerror(e));
}
