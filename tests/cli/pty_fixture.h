/* A pseudo terminal, and a program at it. */
#ifndef LF_TESTS_PTY_FIXTURE_H
#define LF_TESTS_PTY_FIXTURE_H

#include "cli/program_fixture.h"
#include "cli/stop_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>

/* The end that the test has. */
static int open_terminal(void) {
    const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
    return terminal;
}

/* In a child: the shell's words, in the test's folder, at the other end. columns 0: a terminal that says no size. */
static void become_program_at(int terminal, int columns, const char *words) {
    const struct winsize size = {.ws_row = 50, .ws_col = (unsigned short)columns};
    const char *name = ptsname(terminal);
    setsid();
    const int fd = open(name, O_RDWR); /* the terminal of the new session */
    if (fd < 0 || dup2(fd, 0) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0) _exit(99);
    if (columns && ioctl(fd, TIOCSWINSZ, &size)) _exit(99);
    execl("/bin/sh", "sh", "-c", words, (char *)NULL);
    _exit(99);
}

#endif
