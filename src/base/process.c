#define _XOPEN_SOURCE 700
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The first bytes of a small file, without what follows its first line; "" if there is none. */
static void read_line(char *to, size_t size, const char *path) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? -1 : read(fd, to, size - 1);
    if (fd >= 0) close(fd);
    to[n > 0 ? n : 0] = 0;
    to[strcspn(to, "\n")] = 0;
}

/* A container has its own numbers, and the kernel of others. */
static void name_machine(char *to, size_t size) {
    char boot[64], space[48];
    read_line(boot, sizeof boot, "/proc/sys/kernel/random/boot_id");
    const ssize_t n = readlink("/proc/self/ns/pid", space, sizeof space - 1);
    space[n > 0 ? n : 0] = 0;
    to[0] = 0;
    if (boot[0] && space[0]) snprintf(to, size, "%s %s", boot, space);
}

/* What the kernel says of it: its state, as a letter, and when it began; 0 where it says nothing. */
static void ask_kernel(int64_t number, char *state, int64_t *since) {
    char path[64], line[1024];
    long long ticks;
    *state = 0;
    *since = 0;
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)number);
    read_line(line, sizeof line, path);
    const char *behind_name = strrchr(line, ')'); /* a name may hold anything */
    if (behind_name && sscanf(behind_name,
                              ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
                              "%*d %lld",
                              state, &ticks) == 2)
        *since = ticks;
}

void lf_process_self(lf_process *p) {
    char state;
    *p = (lf_process){.number = getpid()};
    if (gethostname(p->host, sizeof p->host - 1)) snprintf(p->host, sizeof p->host, "unknown");
    name_machine(p->machine, sizeof p->machine);
    ask_kernel(p->number, &state, &p->since);
}

bool lf_process_is_gone(const lf_process *p) {
    char here[sizeof p->machine], state;
    int64_t since;
    name_machine(here, sizeof here);
    if (!here[0] || strcmp(here, p->machine) != 0 || p->number <= 0) return false;
    if (kill((pid_t)p->number, 0) < 0 && errno == ESRCH) return true;
    ask_kernel(p->number, &state, &since);
    return state == 'Z' || state == 'X' || (since && p->since && since != p->since);
}
