#define _XOPEN_SOURCE 700 /* mkstemp, pread */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "data/text/tokens.h"

struct lf_token_store {
    uint32_t
        *kept; /* the id, and in the highest bit that it is not to be predicted; until there is a file, all of them */
    int64_t n, capacity, most;
    int fd; /* -1: none */
};

static const uint32_t no_target = UINT32_C(1) << 31;

lf_status lf_token_store_new(lf_token_store **out, int64_t most_in_memory, lf_err *err) {
    lf_token_store *s = lf_calloc(1, sizeof *s);
    if (!s) return lf_no_memory(err, "tokens");
    s->fd = -1;
    s->most = most_in_memory;
    *out = s;
    return LF_OK;
}

void lf_token_store_free(lf_token_store *s) {
    if (!s) return;
    if (s->fd >= 0) close(s->fd);
    lf_free(s->kept);
    lf_free(s);
}

int64_t lf_token_store_count(const lf_token_store *s) { return s->n; }

/* ---- the file -----------------------------------------------------------------------------------------------------
 */

static lf_status file_failed(const char *doing, lf_err *err) {
    return lf_fail(err, LF_EIO, "cannot %s a temporary file of tokens: %s; is there room in $TMPDIR or /tmp?", doing,
                   strerror(errno));
}

static lf_status write_all(int fd, const void *data, size_t size, int64_t at, lf_err *err) {
    for (const char *s = data; size > 0;) {
        const ssize_t n = pwrite(fd, s, size, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return file_failed("write", err);
        s += n;
        at += n;
        size -= (size_t)n;
    }
    return LF_OK;
}

static lf_status read_all(int fd, void *data, size_t size, int64_t at, lf_err *err) {
    for (char *s = data; size > 0;) {
        const ssize_t n = pread(fd, s, size, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return file_failed("read", err);
        s += n;
        at += n;
        size -= (size_t)n;
    }
    return LF_OK;
}

static lf_status move_to_file(lf_token_store *s, lf_err *err) {
    char *path = lf_format("%s/lora-ft-tokens-XXXXXX", lf_temporary_folder());
    if (!path) return lf_no_memory(err, "tokens");
    s->fd = mkstemp(path);
    if (s->fd >= 0) unlink(path);
    lf_free(path);
    if (s->fd < 0) return file_failed("make", err);
    const lf_status rc = write_all(s->fd, s->kept, (size_t)s->n * sizeof *s->kept, 0, err);
    lf_free(s->kept);
    s->kept = NULL;
    s->capacity = 0;
    return rc;
}

/* ---- tokens -------------------------------------------------------------------------------------------------------
 */

lf_status lf_token_store_append(lf_token_store *s, const lf_text_tokens *t, lf_err *err) {
    lf_status rc = LF_OK;
    if (s->fd < 0 && s->n + t->n > s->most && (rc = move_to_file(s, err))) return rc;
    const int64_t at = s->fd < 0 ? s->n : 0; /* with a file, kept is only the way into it */
    if (!lf_grow(&s->kept, &s->capacity, at + t->n)) return lf_no_memory(err, "%" PRId64 " tokens", s->n + t->n);
    for (int64_t i = 0; i < t->n; i++) s->kept[at + i] = (uint32_t)t->ids[i] | (t->target[i] ? 0 : no_target);
    if (s->fd >= 0)
        rc = write_all(s->fd, s->kept, (size_t)t->n * sizeof *s->kept, s->n * (int64_t)sizeof *s->kept, err);
    if (!rc) s->n += t->n;
    return rc;
}

lf_status lf_token_store_read(const lf_token_store *s, int64_t first, int64_t n, lf_text_tokens *out, lf_err *err) {
    if (!lf_text_tokens_reserve(out, n)) return lf_no_memory(err, "%" PRId64 " tokens", n);
    for (int64_t done = 0; done < n;) {
        uint32_t buffer[4096];
        const uint32_t *from = buffer;
        const int64_t left = n - done, count = left < 4096 ? left : 4096;
        if (s->fd < 0) {
            from = s->kept + first + done;
        } else {
            const int64_t at = (first + done) * (int64_t)sizeof *buffer;
            const lf_status rc = read_all(s->fd, buffer, (size_t)count * sizeof *buffer, at, err);
            if (rc) return rc;
        }
        for (int64_t i = 0; i < count; i++) {
            out->ids[out->n + done + i] = (int32_t)(from[i] & ~no_target);
            out->target[out->n + done + i] = !(from[i] & no_target);
        }
        done += count;
    }
    out->n += n;
    return LF_OK;
}
