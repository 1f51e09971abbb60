#define _GNU_SOURCE
#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/process.h"

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

lf_status lf_lock_is_held(bool *held, const char *folder) {
    int lock = -1;
    const lf_status rc = lf_is_dir(folder) ? lf_lock_take(&lock, folder, false, NULL) : LF_ENOTFOUND;
    *held = !rc && lock < 0;
    if (!rc) lf_lock_drop(lock);
    return rc == LF_EINTERRUPTED ? rc : LF_OK;
}

/* ---- whose ---- */

static bool read_name(char name[32], long long process) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%lld/comm", process);
    FILE *f = fopen(path, "re");
    const bool read = f && fgets(name, 32, f);
    if (f) fclose(f);
    return read;
}

/* Some file systems (btrfs) show programs another device than the kernel's list has; a process of this program's name
 * is believed all the same. */
static bool is_a_sibling(long long process) {
    char own[32], other[32];
    return read_name(own, getpid()) && read_name(other, process) && strcmp(own, other) == 0;
}

/* The number of the process that has the folder's lock; 0: it is not in the kernel's list. */
static long long find_holder(const char *folder) {
    struct stat st;
    char line[256];
    long long holder = 0;
    FILE *f = stat(folder, &st) ? NULL : fopen("/proc/locks", "re");
    while (f && !holder && fgets(line, sizeof line, f)) {
        long long process;
        unsigned major_of, minor_of;
        unsigned long long inode;
        if (sscanf(line, "%*d: FLOCK %*s WRITE %lld %x:%x:%llu", &process, &major_of, &minor_of, &inode) == 4 &&
            process > 0 && inode == st.st_ino &&
            ((major_of == major(st.st_dev) && minor_of == minor(st.st_dev)) || is_a_sibling(process)))
            holder = process;
    }
    if (f) fclose(f);
    return holder;
}

void lf_lock_name_holder(char *to, size_t size, const char *folder) {
    lf_process me;
    const long long holder = find_holder(folder);
    lf_process_self(&me);
    if (holder)
        snprintf(to, size, "process %lld on %s", holder, me.host);
    else
        snprintf(to, size, "a process of another machine, or container");
}
