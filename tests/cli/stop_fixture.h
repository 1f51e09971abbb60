/* Tests that wait for a program: how long they do, and a way to see that its speed does not matter to them. */
#ifndef LF_TESTS_STOP_FIXTURE_H
#define LF_TESTS_STOP_FIXTURE_H

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { GIVE_UP_MS = 300000 }; /* of silence: a test that waits in vain fails; no other one depends on it */

/* LF_TEST_STOP=2 stops a program for so many seconds where its test has found it. Every test calls it where it has
 * waited for words. */
__attribute__((unused)) static void stop_for_a_while(pid_t pid) {
    const char *seconds = getenv("LF_TEST_STOP");
    if (!seconds) return;
    kill(pid, SIGSTOP);
    sleep((unsigned)atoi(seconds));
    kill(pid, SIGCONT);
}

#endif
