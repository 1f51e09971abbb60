#define _GNU_SOURCE
#include "base/child.h"

#include <signal.h>
#include <stddef.h>

void lf_child_signals(void) {
    sigset_t none;
    for (int number = 1; number < NSIG; number++) {
        struct sigaction now;
        if (sigaction(number, NULL, &now) < 0 || now.sa_handler == SIG_DFL) continue;
        if (now.sa_handler != SIG_IGN || number == SIGPIPE) signal(number, SIG_DFL);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}
