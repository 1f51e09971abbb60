#define _GNU_SOURCE
#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

static void wait_a_moment(void) {
    const struct timespec moment = {.tv_nsec = 20000000};
    nanosleep(&moment, NULL);
}

lf_status lf_lock_take(int *lock, const char *folder, bool wait, lf_err *err) {
    int fd = open(folder, O_RDONLY | O_DIRECTORY);
    lf_status rc = fd < 0 ? lf_fail_errno(err, "open", folder) : LF_OK;
    while (!rc && flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            rc = lf_fail_errno(err, "lock", folder);
        else if (lf_interrupted())
            rc = lf_fail(err, LF_EINTERRUPTED, "interrupted while waiting for %s", folder);
        else if (wait)
            wait_a_moment();
        else {
            lf_lock_drop(fd);
            fd = -1;
            break;
        }
    }
    if (rc) lf_lock_drop(fd);
    *lock = rc ? -1 : fd;
    return rc;
}

void lf_lock_drop(int lock) {
    if (lock >= 0) close(lock);
}
