#define _XOPEN_SOURCE 700
#include "signals.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lora_ft.h"

/* ---- what each of them does: async-signal-safe, all of it ---- */

static void interrupt(void) {
    if (!lf_interrupt()) _exit(lf_status_exit_code(LF_EINTERRUPTED));
}

static void terminate(void) {
    if (!lf_terminate()) _exit(lf_status_exit_code(LF_EINTERRUPTED));
}

static void hang_up(void) { (void)lf_terminate(); }

static const struct reaction {
    int number;
    void (*act)(void);
    bool stays_ignored; /* where it was at the start */
} reactions[] = {
    {SIGINT, interrupt, false},
    {SIGTERM, terminate, false},
    {SIGHUP, hang_up, true},
    {SIGUSR1, lf_checkpoint_request, false},
};
enum { N_REACTIONS = sizeof reactions / sizeof *reactions };

static void react(int number) {
    for (int i = 0; i < N_REACTIONS; i++)
        if (reactions[i].number == number) reactions[i].act();
}

/* ---- a page that is not there any more ---- */

/* A copy of the text, without what would break the line or command the terminal. */
static size_t put(char *line, size_t room, size_t n, const char *text) {
    for (; *text && n < room; text++) line[n++] = (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text;
    return n;
}

/* Of a mapped file that was cut short while it is read (or whose disk failed) there is nothing to compute with: the
 * program ends here, in whatever thread that was. Any other SIGBUS does what it does without a handler. */
static void page_is_gone(int number, siginfo_t *info, void *context) {
    static char line[4600]; /* a path is at most 4096 bytes */
    const char *path = info->si_code > 0 ? lf_mapped_file(info->si_addr) : NULL;
    (void)context;
    if (!path) {
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    size_t n = put(line, sizeof line - 1, 0, "lora-ft: ");
    n = put(line, sizeof line - 1, n, path);
    n = put(line, sizeof line - 1, n,
            ": it became shorter, or unreadable, while it was in use; put it back as it was and begin again (a "
            "training run: go on from its last checkpoint with --resume_from_checkpoint true)");
    line[n++] = '\n';
    (void)!write(STDERR_FILENO, line, n);
    _exit(lf_status_exit_code(LF_EDATA));
}

/* On a stack of its own, as all threads that compute have one (lf_threads_set): for the reason in signals.h. */
static void name_lost_pages(void) {
    struct sigaction handle = {.sa_sigaction = page_is_gone, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&handle.sa_mask);
    sigaction(SIGBUS, &handle, NULL);
}

/* ---- who takes them ---- */

/* Signals of a thread's own making, where blocking would mean death without a word, and those of job control. */
static const int unblocked[] = {SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,  SIGTRAP, SIGSYS,
                                SIGABRT, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT};

static sigset_t waited_for; /* written before the thread is started */

static void *wait_for_signals(void *nothing) {
    prctl(PR_SET_NAME, "signals");
    pthread_sigmask(SIG_SETMASK, &waited_for, NULL); /* all others may come to this thread */
    for (int number;;)
        if (sigwait(&waited_for, &number) == 0) react(number);
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
    struct sigaction handle = {.sa_handler = react, .sa_flags = SA_RESTART | SA_ONSTACK};
    sigfillset(&handle.sa_mask);
    sigemptyset(&waited_for);
    for (int i = 0; i < N_REACTIONS; i++) {
        const int number = reactions[i].number;
        if (reactions[i].stays_ignored && is_ignored(number)) continue;
        sigaddset(&waited_for, number);
        sigaction(number, &handle, NULL);
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
    choose_signals();
    name_lost_pages();
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    const int failure = pthread_create(&thread, NULL, wait_for_signals, NULL);
    if (!failure) pthread_detach(thread);
    return failure;
}
