/* How many threads the kernels run on. */
#define _DEFAULT_SOURCE /* sigaltstack, MAP_ANONYMOUS */
#include <cblas.h>
#include <omp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "kernels/kernels.h"

static int n_threads; /* 0: not yet set */

/* What the place where we run says. */
static int default_threads(void) {
    static const char *const names[] = {"OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"};
    const int most = omp_get_thread_limit();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *text = getenv(names[i]);
        const long n = text ? strtol(text, NULL, 10) : 0; /* a list ("4,2") is for nested regions; its head is ours */
        if (n > 0) return n < most ? (int)n : most;
    }
    return omp_get_num_procs();
}

/* For handlers of signals that a thread brings on itself: oneDNN's AVX-512 code keeps its stack pointer in the heap.
 * For the life of the thread. */
static void take_alternate_stack(void) {
    enum { BYTES = 1 << 16 }; /* the frame of a processor with AMX takes 11 KB */
    stack_t now;
    if (sigaltstack(NULL, &now) || !(now.ss_flags & SS_DISABLE)) return;
    void *stack = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack != MAP_FAILED) sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = BYTES}, NULL);
}

/* OpenBLAS has a buffer for each of its threads and one for each thread that calls it; it takes them when they are
 * first needed, and where the system refuses asks again without end. So they are asked for here, where there is an
 * answer, and OpenBLAS is made to take its own at once: it keeps them. Of the 128 MiB only those that are written to
 * take memory. */
extern void *blas_memory_alloc(int place) __attribute__((weak));
extern void blas_memory_free(void *p) __attribute__((weak));

enum { MOST_BUFFERS = 60 }; /* OpenBLAS has places for some more */

static bool is_room_for(int n) {
    const size_t bytes = ((size_t)n * 128 + 16) << 20;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p != MAP_FAILED) munmap(p, bytes);
    return p != MAP_FAILED;
}

static void take_buffers(int n) {
    void *taken[MOST_BUFFERS];
    for (int i = 0; i < n; i++) taken[i] = blas_memory_alloc(0);
    for (int i = 0; i < n; i++) blas_memory_free(taken[i]);
}

static bool set_blas_threads(int threads) {
    static int taken;
    const bool known = blas_memory_alloc && blas_memory_free;
    const int callers = threads < MOST_BUFFERS ? threads : MOST_BUFFERS, own = threads - openblas_get_num_threads(),
              wanted = (own > 0 ? own : 0) + (callers > taken ? callers - taken : 0);
    if (known && wanted && !is_room_for(wanted)) return false;
    openblas_set_num_threads(threads);
    if (known && callers > taken) {
        take_buffers(callers);
        taken = callers;
    }
    return true;
}

int lf_threads_available(void) { return default_threads(); }

int lf_threads_set(int threads) {
    const int wanted = threads > 0 ? threads : default_threads();
    if (!set_blas_threads(wanted)) return 0;
    n_threads = wanted;
    omp_set_dynamic(0); /* else the runtime may give fewer, and sums would depend on the machine's load */
    omp_set_num_threads(n_threads);
#pragma omp parallel num_threads(n_threads)
    take_alternate_stack();
    return n_threads;
}

lf_status lf_threads_take(int *set, int threads, lf_err *err) {
    *set = lf_threads_set(threads);
    if (*set) return LF_OK;
    return lf_no_memory(err,
                        "%d threads: their products take 256 MiB of address space each, which is not there (see ulimit "
                        "-v); try fewer --threads",
                        threads > 0 ? threads : default_threads());
}

int lf_threads(void) { return n_threads ? n_threads : lf_threads_set(0); }

void lf_parallel_for(int64_t n, void (*work)(void *context, int64_t i), void *context) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(lf_threads())
    for (int64_t i = 0; i < n; i++) work(context, i);
}
