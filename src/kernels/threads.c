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

int lf_threads_set(int threads) {
    n_threads = threads > 0 ? threads : default_threads();
    omp_set_dynamic(0); /* else the runtime may give fewer, and sums would depend on the machine's load */
    omp_set_num_threads(n_threads);
    openblas_set_num_threads(n_threads);
#pragma omp parallel num_threads(n_threads)
    take_alternate_stack();
    return n_threads;
}

int lf_threads(void) { return n_threads ? n_threads : lf_threads_set(0); }

void lf_parallel_for(int64_t n, void (*work)(void *context, int64_t i), void *context) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(lf_threads())
    for (int64_t i = 0; i < n; i++) work(context, i);
}
