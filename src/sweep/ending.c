#define _GNU_SOURCE
#include "sweep/ending.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/obj.h"

static const char error_name[] = "error.json", results_name[] = "all_results.json";

lf_status lf_ending_expect(bool *had_results, const lf_point *at, lf_err *err) {
    *had_results = lf_is_file_in(at->run_dir, results_name);
    return lf_remove_in(at->run_dir, error_name, err);
}

/* ---- why ---- */

/* The last line of the log, for a run that could not say more. */
static void last_line(const char *path, char *text, size_t size) {
    char *log = NULL;
    size_t n;
    text[0] = '\0';
    if (lf_file_read(&log, &n, path, NULL) == LF_OK) {
        while (n && (log[n - 1] == '\n' || log[n - 1] == '\r')) log[--n] = '\0';
        const char *line = n ? memrchr(log, '\n', n) : NULL;
        snprintf(text, size, "%s", line ? line + 1 : log);
    }
    lf_free(log);
}

static void describe(const lf_point *at, int status, const char *program, char *text, size_t size) {
    if (WIFSIGNALED(status))
        snprintf(text, size, "ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) == 126)
        snprintf(text, size, "%s: cannot be written", at->log_path);
    else if (WEXITSTATUS(status) == 127)
        snprintf(text, size, "%s: cannot be run", program);
    else
        last_line(at->log_path, text, size);
}

/* The first line of what the run itself said; false where it said nothing. */
static bool was_told(const lf_point *at, char *text, size_t size) {
    cJSON *o = NULL;
    const bool read = lf_json_read_in(&o, at->run_dir, error_name, NULL) == LF_OK;
    const char *message = read ? cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "message")) : NULL;
    if (message) {
        snprintf(text, size, "%s", message);
        text[strcspn(text, "\n")] = '\0';
    }
    cJSON_Delete(o);
    return message;
}

/* A run that failed before it had a folder, or was killed, has not recorded it itself. */
static lf_status record(const lf_point *at, int status, const char *message, lf_err *err) {
    const lf_status rc = lf_mkdir_p(at->run_dir, err);
    if (rc) return rc;
    lf_obj o = lf_obj_new();
    lf_obj_number(&o, "exit_code", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    lf_obj_string(&o, "state", "failed");
    lf_obj_string(&o, "message", message);
    return lf_obj_write_in(&o, at->run_dir, error_name, false, err);
}

/* ---- how ---- */

lf_status lf_ending_note(lf_point *at, int status, bool had_results, const char *program, char *why, size_t size,
                         lf_err *err) {
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    const int by = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    const bool stopped = by == SIGTERM || by == SIGINT || by == SIGHUP; /* before it could take the signal */
    why[0] = '\0';
    if (stopped || code == lf_status_exit_code(LF_EINTERRUPTED)) return LF_OK; /* still to do */
    at->state = code == 0                                   ? LF_POINT_DONE
                : code == lf_status_exit_code(LF_EDIVERGED) ? LF_POINT_DIVERGED
                                                            : LF_POINT_FAILED;
    if (at->state == LF_POINT_DONE) return LF_OK;
    if (!was_told(at, why, size)) describe(at, status, program, why, size);
    if (lf_is_file_in(at->run_dir, error_name)) return LF_OK;
    if (!had_results && lf_is_file_in(at->run_dir, results_name)) { /* only what follows them (a page) is missing */
        at->state = LF_POINT_DONE;
        return LF_OK;
    }
    return record(at, status, why, err);
}
