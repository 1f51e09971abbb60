/* The signals of the program. No handler may run in a thread that computes: oneDNN's AVX-512 code keeps its stack
 * pointer in a buffer of the heap, and the kernel would write the handler's frame over whatever lies below it. So what
 * comes from outside is blocked in every thread, and taken by one that computes nothing:
 *
 *   SIGINT, SIGTERM  lf_interrupt, lf_terminate; a second one ends the program at once, with exit code 130
 *   SIGHUP           lf_terminate, however often it comes: a shell repeats what the terminal said. Where it was ignored
 *                    at the start (nohup), it still is
 *   SIGUSR1          lf_checkpoint_request
 *   SIGPIPE          ignored: writing to a closed pipe is an error like any other
 *   all others       the handler or the default that they have (a profiler's timer, SIGQUIT), in that thread
 *
 * Those that a thread brings on itself cannot be blocked: SIGBUS has a handler that says which mapped file was cut
 * short, on an alternate stack, and ends the program with exit code 3; SIGSEGV and its like have one that says a line
 * (crash.h). Those of job control keep their defaults, which need no frame.
 *
 * Where nothing would be lost, before the first step of a run and in verbs that only say something, the program does
 * not wait long for a verb that does not end when it is asked to. */
#ifndef LF_CLI_SIGNALS_H
#define LF_CLI_SIGNALS_H

/* Call it once, before any thread is started: threads inherit what is blocked, and so does what a child executes
 * (base/child.h). 0, or the errno that says why there is no thread. */
int lf_signals_take(void);

#endif
