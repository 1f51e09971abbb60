#define _XOPEN_SOURCE 700
#include "signals.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "crash.h"
#include "lora_ft.h"

/* ---- what each of them does: async-signal-safe, all of it ---- */

static pid_t parent; /* written before the thread is started */

/* A batch system tells every process of a job to end, and a sweep, or a launcher of ranks, tells those that it started:
 * the same order reaches a run twice, and the second is no order to drop everything. So the first from the parent and
 * the first from anybody else are one. */
static bool is_an_echo(pid_t from) {
    static bool heard[2];
    const bool own = from == parent, first = !heard[own];
    heard[own] = true;
    return first && heard[!own];
}

/* A pipe that is full, or a terminal that is held, does not keep it. */
static void end_at_once(void) {
    static const char word[] = "\nlora-ft: asked twice, ended at once; what was whole before stays\n";
    struct pollfd to = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&to, 1, 0) == 1 && (to.revents & POLLOUT)) (void)!write(STDERR_FILENO, word, sizeof word - 1);
    _exit(lf_status_exit_code(LF_EINTERRUPTED));
}

static void interrupt(pid_t from) {
    if (is_an_echo(from)) return;
    lf_interrupt_say();
    if (!lf_interrupt()) end_at_once();
}

static void terminate(pid_t from) {
    if (is_an_echo(from)) return;
    lf_interrupt_say();
    if (!lf_terminate()) end_at_once();
}

static void hang_up(pid_t from) {
    (void)from;
    (void)lf_terminate();
}

static void keep(pid_t from) {
    (void)from;
    lf_checkpoint_request();
}

static const struct reaction {
    int number;
    void (*act)(pid_t from); /* 0: the system, as for Ctrl-C */
    bool stays_ignored;      /* where it was at the start */
} reactions[] = {
    {SIGINT, interrupt, false},
    {SIGTERM, terminate, false},
    {SIGHUP, hang_up, true},
    {SIGUSR1, keep, false},
};
enum { N_REACTIONS = sizeof reactions / sizeof *reactions };

static void react(int number, pid_t from) {
    for (int i = 0; i < N_REACTIONS; i++)
        if (reactions[i].number == number) reactions[i].act(from);
}

static void handle(int number, siginfo_t *info, void *context) {
    (void)context;
    react(number, info->si_pid);
}

/* ---- an end that nobody comes to ---- */

/* A library may never come back: OpenBLAS asks for memory without end. Where nothing would be lost the program does not
 * wait for it. */
static void end_if_nothing_is_lost(void) {
    static const char word[] = "lora-ft: ended by a signal; nothing was to be kept\n";
    if (!lf_ends_at_once()) return;
    (void)!write(STDERR_FILENO, word, sizeof word - 1);
    _exit(lf_status_exit_code(LF_EINTERRUPTED));
}

/* ---- who takes them ---- */

/* Signals of a thread's own making, where blocking would mean death without a word, and those of job control. */
static const int unblocked[] = {SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,  SIGTRAP, SIGSYS,
                                SIGABRT, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT};

static sigset_t waited_for; /* written before the thread is started */

static void *wait_for_signals(void *nothing) {
    prctl(PR_SET_NAME, "signals");
    pthread_sigmask(SIG_SETMASK, &waited_for, NULL); /* all others may come to this thread */
    static const struct timespec patience = {.tv_nsec = 700 * 1000 * 1000};
    for (;;) {
        siginfo_t info;
        const int number = sigtimedwait(&waited_for, &info, &patience);
        if (number > 0)
            react(number, info.si_pid);
        else
            end_if_nothing_is_lost();
    }
    return nothing;
}

static bool is_ignored(int number) {
    struct sigaction now;
    return sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

/* The handler is for threads that a library started before main (OpenBLAS with threads of its own does): they do not
 * have our mask, and run no code of oneDNN's. */
static void choose_signals(void) {
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction handled = {.sa_sigaction = handle, .sa_flags = SA_RESTART | SA_ONSTACK | SA_SIGINFO};
    sigfillset(&handled.sa_mask);
    sigemptyset(&waited_for);
    for (int i = 0; i < N_REACTIONS; i++) {
        const int number = reactions[i].number;
        if (reactions[i].stays_ignored && is_ignored(number)) continue;
        sigaddset(&waited_for, number);
        sigaction(number, &handled, NULL);
    }
    sigaction(SIGPIPE, &ignore, NULL);
    /* Who ignores it, perhaps by inheritance, cannot wait for children. */
    sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
}

int lf_signals_take(void) {
    pthread_t thread;
    sigset_t blocked;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof unblocked / sizeof *unblocked; i++) sigdelset(&blocked, unblocked[i]);
    parent = getppid();
    choose_signals();
    lf_crashes_name();
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    const int failure = pthread_create(&thread, NULL, wait_for_signals, NULL);
    if (!failure) pthread_detach(thread);
    return failure;
}
