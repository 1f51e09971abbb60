#define _POSIX_C_SOURCE 200809L /* fileno */
#include "train/metrics.h"

#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

/* Length of the leading lines whose step is at most `step`; a line that a crash cut in half ends it too. */
static size_t length_until(const char *text, size_t size, int64_t step, const char *path) {
    size_t end = 0;
    while (end < size) {
        const char *newline = memchr(text + end, '\n', size - end);
        if (!newline) break;
        cJSON *row = NULL;
        int64_t at = 0;
        const bool good = !lf_json_parse(&row, text + end, (size_t)(newline - text) - end, path, NULL) &&
                          !lf_json_get_i64(row, "step", 0, &at, path, NULL) && at <= step;
        cJSON_Delete(row);
        if (!good) break;
        end = (size_t)(newline - text) + 1;
    }
    return end;
}

lf_status lf_metrics_open(lf_metrics *m, const char *dir, int64_t keep_until, bool events, lf_err *err) {
    *m = (lf_metrics){.path = lf_path_join(dir, "metrics.jsonl")};
    if (!m->path) return lf_no_memory(err, "%s", dir);
    char *text = NULL;
    size_t size = 0;
    lf_status rc = LF_OK;
    if (keep_until >= 0 && lf_is_file(m->path)) rc = lf_file_read(&text, &size, m->path, err);
    if (!rc)
        rc = lf_file_write(m->path, text ? text : "", text ? length_until(text, size, keep_until, m->path) : 0, err);
    lf_free(text);
    if (!rc && !(m->f = fopen(m->path, "ab"))) rc = lf_fail_errno(err, "append to", m->path);
    if (!rc && events) rc = lf_events_open(&m->events, dir, keep_until, err);
    if (!rc && !events && keep_until < 0) lf_events_remove(dir); /* of a run that was here before */
    if (rc) lf_metrics_close(m);
    return rc;
}

lf_status lf_metrics_write(lf_metrics *m, cJSON *row, lf_err *err) {
    char *line = row && m->f ? lf_json_print_line(row) : NULL;
    lf_status rc = LF_OK;
    if (m->f && !line)
        rc = lf_no_memory(err, "%s", m->path);
    else if (m->f && (fprintf(m->f, "%s\n", line) < 0 || fflush(m->f) != 0))
        rc = lf_fail_errno(err, "write to", m->path);
    else if (m->f)
        rc = lf_events_write(&m->events, row, err);
    lf_free(line);
    cJSON_Delete(row);
    return rc;
}

lf_status lf_metrics_sync(lf_metrics *m, lf_err *err) {
    if (m->f && fsync(fileno(m->f)) != 0) return lf_fail_errno(err, "write to", m->path);
    if (m->events.f && fsync(fileno(m->events.f)) != 0) return lf_fail_errno(err, "write to", m->events.path);
    return LF_OK;
}

void lf_metrics_close(lf_metrics *m) {
    if (m->f) fclose(m->f);
    lf_free(m->path);
    lf_events_close(&m->events);
    *m = (lf_metrics){0};
}
