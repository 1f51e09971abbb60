#define _GNU_SOURCE /* RTLD_DEFAULT */
#include "crash.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lora_ft.h"

/* A sanitizer says more of a crash than we do. */
#if defined(__SANITIZE_ADDRESS__) || defined(LF_SANITIZE)
enum { SANITIZED = true };
#else
enum { SANITIZED = false };
#endif

/* ---- a line, of what a handler may do ---- */

static char line[4600]; /* a path is at most 4096 bytes */
static size_t length;
static atomic_int speaker; /* the thread whose line it is; 0: nobody's */

/* Two threads may read the same page that is gone. What one says ends the program, so the other waits for that. */
static void begin_line(void) {
    const int me = gettid();
    int was = 0;
    const bool waits = !atomic_compare_exchange_strong(&speaker, &was, me) && was != me;
    while (waits) pause();
    length = 0;
}

/* Without what would break the line or command the terminal. */
static void put(const char *text) {
    for (; *text && length < sizeof line - 1; text++)
        line[length++] = (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text;
}

static void end_line(void) {
    line[length++] = '\n';
    (void)!write(STDERR_FILENO, line, length);
}

/* What it would do without a handler, when this one returns. */
static void leave_to_the_system(int number) {
    signal(number, SIG_DFL);
    raise(number);
}

/* ---- a page that is not there any more ---- */

/* Of a mapped file that was cut short while it is read (or whose disk failed) there is nothing to compute with: the
 * program ends here, in whatever thread that was. Any other SIGBUS does what it does without a handler. */
static void page_is_gone(int number, siginfo_t *info, void *context) {
    const char *path = info->si_code > 0 ? lf_mapped_file(info->si_addr) : NULL;
    (void)context;
    if (!path) {
        leave_to_the_system(number);
        return;
    }
    begin_line();
    put("lora-ft: ");
    put(path);
    put(": it became shorter, or unreadable, while it was in use; put it back as it was and begin again (a training "
        "run: "
        "go on from its last checkpoint with --resume_from_checkpoint true)");
    end_line();
    _exit(lf_status_exit_code(LF_EDATA));
}

/* ---- a library that cannot go on ---- */

static bool memory_is_out(void) {
    enum { SOME = 32 << 20 };
    void *p = mmap(NULL, SOME, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p != MAP_FAILED) munmap(p, SOME);
    return p == MAP_FAILED;
}

static bool core_is_wanted(void) {
    struct rlimit limit;
    return getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur > 0 && limit.rlim_cur != RLIM_INFINITY;
}

static const struct {
    int number;
    const char *name;
} crashes[] = {{SIGSEGV, "SIGSEGV"}, {SIGABRT, "SIGABRT"}, {SIGFPE, "SIGFPE"}, {SIGILL, "SIGILL"}};
enum { N_CRASHES = sizeof crashes / sizeof *crashes };

static void say_what_ended(const char *name) {
    begin_line();
    put("lora-ft: ended by ");
    put(name);
    put(memory_is_out()
            ? ": there is no memory left (see ulimit -v), and a library could not go on without; try fewer "
              "--threads, a smaller batch or shorter texts"
            : ": memory ran out in a library, the stack is too small (ulimit -s), or this is a mistake of the "
              "program; if it comes again, please report it");
    put(" (a training run goes on from its last checkpoint with --resume_from_checkpoint true)");
    end_line();
}

static void crashed(int number) {
    const char *name = "a signal";
    for (int i = 0; i < N_CRASHES; i++)
        if (crashes[i].number == number) name = crashes[i].name;
    say_what_ended(name);
    if (core_is_wanted())
        leave_to_the_system(number);
    else
        _exit(lf_status_exit_code(LF_EFAIL));
}

static void terminated(void) {
    say_what_ended("std::terminate");
    _exit(lf_status_exit_code(LF_EFAIL));
}

/* The program is C; where a library brings C++, its last word is asked for by its name. */
static void name_terminations(void) {
    void (*(*set)(void (*)(void)))(void) = NULL;
    void *found = dlsym(RTLD_DEFAULT, "_ZSt13set_terminatePFvvE");
    memcpy(&set, &found, sizeof set);
    if (found) (void)set(terminated);
}

static void take_stack(void) {
    static _Alignas(64) char stack[1 << 16];
    stack_t now;
    if (sigaltstack(NULL, &now) == 0 && now.ss_flags & SS_DISABLE)
        sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
}

void lf_crashes_name(void) {
    struct sigaction handle = {.sa_sigaction = page_is_gone, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&handle.sa_mask);
    sigaction(SIGBUS, &handle, NULL);
    take_stack();
    if (SANITIZED) return;
    handle = (struct sigaction){.sa_handler = crashed, .sa_flags = SA_ONSTACK | (int)SA_RESETHAND};
    for (int i = 0; i < N_CRASHES; i++) sigaction(crashes[i].number, &handle, NULL);
    name_terminations();
}
