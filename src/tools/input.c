#define _POSIX_C_SOURCE 200809L
#include "tools/input.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

void lf_input_free(lf_input *in) {
    lf_string_free(&in->read);
    *in = (lf_input){0};
}

enum { LOOK_MS = 100 };

/* Until there is something to read, or lf_interrupt was called. It looks up now and then, because that is done by
 * another thread, which does not end poll. */
static lf_status wait_for_input(lf_err *err) {
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    int ready = 0;
    while (!lf_interrupted() && ready == 0) {
        ready = poll(&in, 1, LOOK_MS);
        if (ready < 0 && errno == EINTR) ready = 0;
    }
    if (lf_interrupted()) return lf_fail(err, LF_EINTERRUPTED, "interrupted");
    return ready < 0 ? lf_fail_errno(err, "wait for", "standard input") : LF_OK;
}

static lf_status read_more(lf_input *in, lf_err *err) {
    char part[4096];
    const lf_status rc = wait_for_input(err);
    if (rc) return rc;
    const ssize_t n = read(STDIN_FILENO, part, sizeof part);
    if (n < 0) return errno == EINTR || errno == EAGAIN ? LF_OK : lf_fail_errno(err, "read", "standard input");
    in->ended = n == 0;
    return lf_string_put(&in->read, part, (size_t)n) ? LF_OK : lf_no_memory(err, "standard input");
}

lf_status lf_input_line(lf_input *in, const char **line, size_t *n, lf_err *err) {
    const char *end;
    *line = NULL;
    while (!(end = in->read.n > in->at ? memchr(in->read.s + in->at, '\n', in->read.n - in->at) : NULL) && !in->ended) {
        const lf_status rc = read_more(in, err);
        if (rc) return rc;
    }
    const size_t begin = in->at, left = in->read.n - begin;
    if (!end && left == 0) return LF_OK;
    *n = end ? (size_t)(end - in->read.s) - begin : left;
    *line = in->read.s + begin;
    in->at = begin + *n + (end != NULL);
    return LF_OK;
}

lf_status lf_input_rest(lf_input *in, const char **text, size_t *n, lf_err *err) {
    while (!in->ended) {
        const lf_status rc = read_more(in, err);
        if (rc) return rc;
    }
    *text = in->read.s + in->at;
    *n = in->read.n - in->at;
    return LF_OK;
}
