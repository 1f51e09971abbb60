/* A run that cannot end before the test lets it. What it says goes into a named pipe that holds a page, and a run that
 * evaluates after each step says more than that: while nobody reads, it stands. So a test waits for an event (words of
 * the run, a signal that was taken), and a busy machine changes nothing but how long that takes. */
#ifndef LF_TESTS_HELD_FIXTURE_H
#define LF_TESTS_HELD_FIXTURE_H

#include "cli/cli_fixture.h"
#include "cli/stop_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Behind --max_steps: the 200 lines are about four times what the pipe holds. */
#define TALKATIVE "--max_steps 200 --eval_strategy steps --eval_steps 1 --save_strategy no "

enum {
    PIPE_HOLDS = 4096,
    LOOK_MS = 1000, /* how often a wait looks whether there is anybody left to wait for */
};

/* Makes the pipe; the reader that is returned never sees its end, also while no run has opened it. */
__attribute__((unused)) static int hold(const char *name) {
    const char *path = text("%s/%s", root, name);
    if (mkfifo(path, 0644)) fail_msg("%s: %s", path, strerror(errno));
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fcntl(fd, F_SETPIPE_SZ, PIPE_HOLDS) != PIPE_HOLDS) fail_msg("%s: %s", path, strerror(errno));
    return fd;
}

/* The reader's own bytes fill the pipe: a run stands when it says its first word. */
__attribute__((unused)) static int hold_at_once(const char *name) {
    const int fd = hold(name);
    char page[PIPE_HOLDS];
    memset(page, '.', sizeof page);
    assert_int_equal(write(fd, page, sizeof page), PIPE_HOLDS);
    return fd;
}

static bool a_child_has_ended(void) {
    siginfo_t child = {0};
    return waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) == 0 && child.si_pid;
}

/* There is something to read. A run that has ended will not say more than is in the pipe. */
static void wait_for_more(int fd, const char *words) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (int waited = 0; poll(&p, 1, LOOK_MS) != 1; waited += LOOK_MS)
        if (waited > GIVE_UP_MS || (a_child_has_ended() && poll(&p, 1, 0) != 1))
            fail_msg("waited for '%s' in vain; it said:\n%s", words, output);
}

/* Reads until the run has said this, and no byte more. */
__attribute__((unused)) static void wait_for_words(int fd, const char *words) {
    size_t n = 0;
    output[0] = 0;
    while (!strstr(output, words)) {
        wait_for_more(fd, words);
        assert_int_equal(read(fd, output + n, 1), 1);
        output[++n] = 0;
        assert_true(n + 1 < sizeof output);
    }
}

/* That a run with this log would stand at a full pipe. */
__attribute__((unused)) static void needs_the_pipe(const char *log) {
    size_t n;
    lf_free(contents(log, &n));
    if (n < 2 * PIPE_HOLDS) fail_msg("%s has only %zu bytes: a run would not stand at a full pipe", log, n);
}

/* The run goes on to its end; what else it says is lost, as with any program whose reader has gone. */
__attribute__((unused)) static void let_go(int fd, const char *name) {
    assert_int_equal(unlink(text("%s/%s", root, name)), 0);
    close(fd);
}

static void wait_a_moment(int *waited_ms) {
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    if (++*waited_ms > GIVE_UP_MS) fail_msg("waited in vain");
}

/* ---- processes ---- */

/* lora-ft itself, no shell around it, its stderr in the pipe (or file) `says`. */
__attribute__((unused)) static pid_t start_run(const char *arguments, const char *says) {
    const pid_t pid = fork();
    if (pid) return pid;
    if (chdir(root)) _exit(99);
    execl(
        "/bin/sh", "sh", "-c",
        text("M=%s/golden/vit-base; exec %s/lora-ft %s >%s.out 2>%s", LF_TEST_DIR, LF_BUILD_DIR, arguments, says, says),
        (char *)NULL);
    _exit(99);
}

/* Its exit code; -1 when a signal ended it. */
__attribute__((unused)) static int code_of(pid_t pid) {
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool read_small(const char *path, char *to, size_t size) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? -1 : read(fd, to, size - 1);
    if (fd >= 0) close(fd);
    to[n > 0 ? n : 0] = 0;
    return n > 0;
}

/* Those that /proc shows as started by `parent`; how many. */
__attribute__((unused)) static int children_of(pid_t parent, pid_t *pids, int most) {
    DIR *all = opendir("/proc");
    int n = 0;
    assert_non_null(all);
    for (const struct dirent *e; (e = readdir(all)) && n < most;) {
        char stat[512];
        int of = 0;
        if (!read_small(text("/proc/%.20s/stat", e->d_name), stat, sizeof stat)) continue;
        const char *behind_name = strrchr(stat, ')');
        if (behind_name && sscanf(behind_name, ") %*c %d", &of) == 1 && of == parent) pids[n++] = atoi(e->d_name);
    }
    closedir(all);
    return n;
}

static bool is_pending(pid_t pid, int number) {
    char status[4096];
    unsigned long long bits = 0;
    if (!read_small(text("/proc/%d/status", (int)pid), status, sizeof status)) fail_msg("%d is gone", (int)pid);
    const char *line = strstr(status, "ShdPnd:");
    if (!line || sscanf(line, "ShdPnd: %llx", &bits) != 1) fail_msg("no pending signals in:\n%s", status);
    return bits >> (number - 1) & 1;
}

/* The thread that takes signals is back at waiting. */
__attribute__((unused)) static bool is_waiting(pid_t pid) {
    DIR *threads = opendir(text("/proc/%d/task", (int)pid));
    bool waiting = false;
    if (!threads) fail_msg("%d is gone", (int)pid);
    for (const struct dirent *e; (e = readdir(threads)) && !waiting;) {
        char stat[512];
        if (!read_small(text("/proc/%d/task/%.20s/stat", (int)pid, e->d_name), stat, sizeof stat)) continue;
        if (strstr(stat, ") Z")) fail_msg("%d has ended, and was to stand", (int)pid);
        waiting = strstr(stat, "(signals) S") != NULL;
    }
    closedir(threads);
    return waiting;
}

/* Until the signal, sent already, has had its effect. */
static void wait_until_taken(pid_t pid, int number) {
    int waited = 0;
    while (is_pending(pid, number) || !is_waiting(pid)) wait_a_moment(&waited);
}

__attribute__((unused)) static void send_signal(pid_t pid, int number) {
    stop_for_a_while(pid);
    assert_int_equal(kill(pid, number), 0);
    wait_until_taken(pid, number);
}

#endif
