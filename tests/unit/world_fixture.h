/* Several ranks without MPI: processes of the test, with a pair of sockets between any two. Messages of a test are
 * small enough to wait in a socket, so nothing has to be moved on. */
#ifndef LF_TESTS_WORLD_FIXTURE_H
#define LF_TESTS_WORLD_FIXTURE_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/world.h"

enum { MOST_RANKS = 12 };
static int lines[MOST_RANKS][MOST_RANKS]; /* from, to */
static lf_transport ranks;

static const char *host_of(int rank) {
    static char name[16];
    snprintf(name, sizeof name, "node%d", rank);
    return name;
}

static lf_status broken(lf_err *err) { return lf_fail(err, LF_EIO, "a line is broken"); }

static lf_status send_to(int to, const void *data, size_t bytes, lf_err *err) {
    return write(lines[ranks.rank][to], data, bytes) == (ssize_t)bytes ? LF_OK : broken(err);
}

static lf_status receive_from(int from, void *data, size_t bytes, lf_err *err) {
    size_t n = 0;
    for (ssize_t got; n < bytes; n += (size_t)got)
        if ((got = read(lines[ranks.rank][from], (char *)data + n, bytes - n)) <= 0) return broken(err);
    return LF_OK;
}

static lf_status share_from(int from, void *data, size_t bytes, lf_err *err) {
    lf_status rc = LF_OK;
    if (from != ranks.rank) return receive_from(from, data, bytes, err);
    for (int to = 0; to < ranks.size && !rc; to++)
        if (to != from) rc = send_to(to, data, bytes, err);
    return rc;
}

static lf_status advance_nothing(lf_under_way *left, lf_err *err) {
    (void)err;
    *left = (lf_under_way){0};
    return LF_OK;
}

/* Does `work` say true on each of so many ranks? (cmocka's asserts do not work there.) */
static bool on_ranks(int size, bool (*work)(void *context), void *context) {
    pid_t pids[MOST_RANKS];
    bool good = true;
    for (int a = 0; a < size; a++)
        for (int b = a + 1; b < size; b++) {
            int two[2];
            if (socketpair(AF_UNIX, SOCK_STREAM, 0, two)) return false;
            lines[a][b] = two[0];
            lines[b][a] = two[1];
        }
    for (int rank = 0; rank < size; rank++) {
        if ((pids[rank] = fork())) continue;
        ranks = (lf_transport){rank, size, host_of, send_to, receive_from, share_from, advance_nothing};
        lf_world_join(&ranks);
        _exit(!work(context));
    }
    for (int rank = 0; rank < size; rank++) {
        int status;
        good = waitpid(pids[rank], &status, 0) == pids[rank] && WIFEXITED(status) && !WEXITSTATUS(status) && good;
        for (int to = 0; to < size; to++)
            if (to != rank) close(lines[rank][to]);
    }
    return good;
}

#endif
