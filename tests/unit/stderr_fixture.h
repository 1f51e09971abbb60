/* What is said on stderr, for tests of warnings. */
#ifndef LF_TEST_STDERR_FIXTURE_H
#define LF_TEST_STDERR_FIXTURE_H

#include "data_fixture.h"

#include <fcntl.h>

static int stderr_kept = -1;

static inline void hear_begin(lf_log_level level) {
    const int to = open(in_scratch("stderr"), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    fflush(stderr);
    stderr_kept = dup(2);
    assert_true(stderr_kept >= 0 && to >= 0 && dup2(to, 2) == 2);
    close(to);
    lf_log_set_level(level);
}

/* All that was said since, valid until the next call. */
static inline const char *hear_end(void) {
    static char said[8192];
    char *bytes = NULL;
    size_t size = 0;
    lf_err err = {0};
    lf_log_set_level(LF_LOG_QUIET);
    fflush(stderr);
    assert_true(dup2(stderr_kept, 2) == 2);
    close(stderr_kept);
    assert_ok(lf_file_read(&bytes, &size, in_scratch("stderr"), &err), err);
    snprintf(said, sizeof said, "%s", bytes);
    lf_free(bytes);
    return said;
}

/* `said` has `text`; NULL: nothing was said. */
static inline void assert_heard(const char *said, const char *text) {
    if (!text && *said) fail_msg("expected no word, found '%s'", said);
    if (text && !strstr(said, text)) fail_msg("'%s' does not say '%s'", said, text);
}

#endif
