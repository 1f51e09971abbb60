/* Before main: OpenBLAS takes 128 MiB of address space for each thread when it is loaded, and where the system refuses
 * (ulimit -v) asks again without end; and on a stack of a few pages (ulimit -s) whoever comes first ends by SIGSEGV.
 * This runs before the libraries begin, and ends the program with a line instead. No library is there yet, so nothing
 * but system calls is made. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MOST_THREADS = 64, EXIT_FAILED = 1 };
static const rlim_t least_stack = (rlim_t)256 << 10; /* 96 KiB were enough for what was tried */
static const size_t each = (size_t)128 << 20, beside = (size_t)16 << 20;

static bool begins(const char *text, const char *with) {
    while (*with)
        if (*text++ != *with++) return false;
    return true;
}

static int number(const char *text) {
    int n = 0;
    for (; *text >= '0' && *text <= '9' && n < 100000; text++) n = 10 * n + (*text - '0');
    return n;
}

/* As OpenBLAS finds it. */
static int threads(char **environment) {
    static const char *const names[] = {"OPENBLAS_NUM_THREADS=", "GOTO_NUM_THREADS=", "OMP_NUM_THREADS="};
    static const size_t lengths[] = {21, 17, 16};
    cpu_set_t on;
    int n = 0;
    for (int k = 0; k < 3 && !n; k++)
        for (char **e = environment; *e; e++)
            if (begins(*e, names[k])) n = number(*e + lengths[k]);
    if (!n && sched_getaffinity(0, sizeof on, &on) == 0) n = CPU_COUNT(&on);
    return n < 1 ? 1 : n < MOST_THREADS ? n : MOST_THREADS;
}

static bool there_is_room(int n) {
    void *got[MOST_THREADS + 1];
    bool all = true;
    int i = 0;
    for (; i <= n && all; i++) {
        got[i] = mmap(NULL, i < n ? each : beside, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        all = got[i] != MAP_FAILED;
    }
    for (int k = 0; k < i; k++)
        if (got[k] != MAP_FAILED) munmap(got[k], k < n ? each : beside);
    return all;
}

/* One write: part of a line would be another. */
#define LEAVE(word)                                                                                                    \
    do {                                                                                                               \
        static const char text[] = word "\n";                                                                          \
        (void)!write(STDERR_FILENO, text, sizeof text - 1);                                                            \
        _exit(EXIT_FAILED);                                                                                            \
    } while (0)

static void check_room(int argc, char **argv, char **environment) {
    struct rlimit limit;
    (void)argc, (void)argv;
    if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < least_stack)
        LEAVE("lora-ft: the stack is limited to less than 256 KiB, which the libraries need; raise the limit "
              "(ulimit -s 8192)");
    if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY || there_is_room(threads(environment))) return;
    LEAVE("lora-ft: there is no room for the libraries: they take 128 MiB of address space for each thread at their "
          "start; raise the limit (ulimit -v), or set OMP_NUM_THREADS=1");
}

__attribute__((section(".preinit_array"), used)) static void (*const before_all)(int, char **, char **) = check_room;
