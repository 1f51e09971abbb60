/* What ends the program from within: one line that says what is known, and the exit code of the failure that it is. */
#ifndef LF_CLI_CRASH_H
#define LF_CLI_CRASH_H

/* Handlers for SIGBUS (a mapped file was cut short: its name, exit code 3), and for SIGSEGV, SIGABRT, SIGFPE, SIGILL
 * and std::terminate, which is how libraries end where memory runs out (exit code 1). On alternate stacks, which all
 * threads that compute have, and for the reason in signals.h; the caller gets one. Where core files are asked for
 * (ulimit -c), one is written, and the end is the signal's. */
void lf_crashes_name(void);

#endif
