#define _POSIX_C_SOURCE 200809L
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/plain.h"

static lf_log_level level = LF_LOG_INFO;
enum { NOTHING, INTERRUPT, TERMINATE };
static atomic_int asked; /* of these; lock-free, so that a signal handler may */
static atomic_bool checkpoint_requested;
static atomic_int stakes;
static const char *name = "";
static bool bar_shown; /* a progress bar stands on the current terminal line */

lf_log_level lf_log_set_level(lf_log_level l) {
    const lf_log_level was = level;
    level = l;
    return was;
}

void lf_log_set_name(const char *n) { name = n; }

static bool ask(int what) {
    int before = NOTHING;
    return atomic_compare_exchange_strong(&asked, &before, what);
}
bool lf_interrupt(void) { return ask(INTERRUPT); }
bool lf_terminate(void) {
    if (ask(TERMINATE)) return true;
    atomic_store(&asked, TERMINATE); /* an interruption that is not done yet becomes an end */
    return false;
}
bool lf_interrupted(void) { return atomic_load(&asked) != NOTHING; }
bool lf_terminating(void) { return atomic_load(&asked) == TERMINATE; }
void lf_stake_begin(void) { atomic_fetch_add(&stakes, 1); }
void lf_stake_end(void) { atomic_fetch_sub(&stakes, 1); }
bool lf_ends_at_once(void) { return lf_interrupted() && atomic_load(&stakes) == 0; }
void lf_interrupt_reset(void) {
    int before = INTERRUPT;
    atomic_compare_exchange_strong(&asked, &before, NOTHING);
}
void lf_checkpoint_request(void) { atomic_store(&checkpoint_requested, true); }
bool lf_checkpoint_taken(void) { return atomic_exchange(&checkpoint_requested, false); }

/* Names of files and what stands in them come here too. What is longer than any line that we write is cut, and says so.
 */
static void put_plain(const char *format, va_list args) {
    char text[8192];
    const int n = vsnprintf(text, sizeof text, format, args);
    lf_make_plain(text);
    fputs(text, stderr);
    if (n >= (int)sizeof text) fputs(" ...", stderr);
}

static void line(const char *prefix, const char *format, va_list args) {
    flockfile(stderr); /* the lines of worker threads do not mix */
    if (bar_shown) fputs("\r\033[K", stderr);
    bar_shown = false;
    fputs(name, stderr);
    fputs(prefix, stderr);
    put_plain(format, args);
    fputc('\n', stderr);
    funlockfile(stderr);
}

void lf_info(const char *format, ...) {
    if (level < LF_LOG_INFO) return;
    va_list args;
    va_start(args, format);
    line("", format, args);
    va_end(args);
}

void lf_warn(const char *format, ...) {
    if (level < LF_LOG_WARN) return;
    va_list args;
    va_start(args, format);
    line("warning: ", format, args);
    va_end(args);
}

double lf_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Of this program: getrusage also counts what the process was before it became this program, a large Python, say. */
static int64_t peak_of_program(void) {
    FILE *f = fopen("/proc/self/status", "r");
    char text[256];
    long long kib = 0;
    while (f && kib == 0 && fgets(text, sizeof text, f)) (void)sscanf(text, "VmHWM: %lld kB", &kib);
    if (f) fclose(f);
    return (int64_t)kib * 1024;
}

int64_t lf_peak_rss_bytes(void) {
    const int64_t peak = peak_of_program();
    struct rusage u;
    if (peak > 0) return peak;
    getrusage(RUSAGE_SELF, &u);
    return (int64_t)u.ru_maxrss * 1024;
}

int64_t lf_rss_bytes(void) {
    long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%*d %lld", &pages) != 1) pages = 0;
    if (f) fclose(f);
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

void lf_progress_begin(lf_progress *p, const char *what, int64_t total) {
    memset(p, 0, sizeof *p);
    snprintf(p->what, sizeof p->what, "%s", what);
    p->total = total;
    p->started = lf_now();
    p->last = p->started;
    p->terminal = isatty(STDERR_FILENO) == 1;
}

static void duration(char *buf, size_t size, double seconds) {
    const long s = seconds < 0 ? 0 : (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(buf, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(buf, size, "%ld:%02ld", s / 60, s % 60);
}

void lf_progress_update(lf_progress *p, int64_t done, const char *detail) {
    if (level < LF_LOG_INFO) return;
    const double now = lf_now();
    if (now - p->last < (p->terminal ? 0.1 : 10.0)) return;
    p->last = now;
    char eta[32] = "?";
    if (done > p->first)
        duration(eta, sizeof eta, (now - p->started) / (double)(done - p->first) * (double)(p->total - done));
    const double share = p->total > 0 ? (double)done / (double)p->total : 0;
    if (!p->terminal) {
        fprintf(stderr, "%s %lld/%lld (%.0f%%)  %s  ETA %s\n", p->what, (long long)done, (long long)p->total,
                100 * share, detail, eta);
        return;
    }
    char bar[25];
    const int filled = (int)(share * 24 + 0.5);
    for (int i = 0; i < 24; i++) bar[i] = i < filled ? '#' : '.';
    bar[24] = 0;
    fprintf(stderr, "\r\033[K%s [%s] %lld/%lld  %s  ETA %s", p->what, bar, (long long)done, (long long)p->total, detail,
            eta);
    fflush(stderr);
    bar_shown = true;
}

void lf_progress_end(lf_progress *p, const char *summary) {
    if (bar_shown) fputs("\r\033[K", stderr);
    bar_shown = false;
    if (level >= LF_LOG_INFO && summary[0]) fprintf(stderr, "%s: %s\n", p->what, summary);
}
