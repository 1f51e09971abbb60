#define _POSIX_C_SOURCE 200809L
#include "base/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/plain.h"
#include "base/terminal.h"

static lf_log_level level = LF_LOG_INFO;
enum { NOTHING, INTERRUPT, TERMINATE };
static atomic_int asked; /* of these; lock-free, so that a signal handler may */
static atomic_bool checkpoint_requested;
static atomic_int stakes;
static const char *_Atomic meaning; /* of an interruption; NULL: nothing is said */
static const char *name = "";
static int64_t in_place;  /* columns of a line on the terminal that the next one takes the place of; 0: there is none */
static lf_log_sink *sink; /* who hears the lines; NULL: standard error */
static void *sink_context;

/* Not while a thread of the library says something. */
void lf_log_divert(lf_log_sink *to, void *context) {
    sink = to;
    sink_context = context;
}

bool lf_log_draws(void) { return !sink && lf_is_terminal(STDERR_FILENO); }

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

/* ---- lines ---- */

/* Of an interruption the terminal itself may have put a "^C" where the line was. */
static void take_away(void) {
    const int rows = in_place ? lf_rows_of(STDERR_FILENO, in_place) : 1;
    if (rows > 1) fprintf(stderr, "\033[%dA\r\033[J", rows - 1);
    if (in_place || (lf_interrupted() && lf_is_terminal(STDERR_FILENO))) fputs("\r\033[K", stderr);
    in_place = 0;
}

/* ---- a line that waits for nobody ---- */

const char *lf_interrupt_means(const char *line) { return atomic_exchange(&meaning, line); }

/* Bytes of a text of ASCII that are one row: up to a space. */
static size_t row_of(const char *text, size_t columns) {
    size_t n = strlen(text);
    if (n <= columns) return n;
    for (n = columns; n > 0 && text[n] != ' '; n--) {
    }
    return n ? n : columns;
}

/* Broken as other lines are, on a terminal in the place of what stands there. Returns its bytes. */
static size_t lay_out(char *to, size_t size, const char *text, bool terminal) {
    static const char erase[] = "\r\033[K";
    const size_t columns = terminal ? (size_t)lf_columns(STDERR_FILENO) : size;
    size_t n = terminal ? sizeof erase - 1 : 0, indent = 0;
    memcpy(to, erase, n);
    while (*text && n + indent + 1 < size) {
        size_t bytes = row_of(text, columns - indent);
        if (bytes > size - n - indent - 1) bytes = size - n - indent - 1;
        memset(to + n, ' ', indent);
        memcpy(to + n + indent, text, bytes);
        n += indent + bytes;
        to[n++] = '\n';
        text += bytes;
        text += strspn(text, " ");
        indent = 2;
    }
    return n;
}

/* A thread may be in the middle of a line, or stand at a pipe that is full. */
static bool lock_soon(void) {
    static const struct timespec moment = {.tv_nsec = 1000000};
    for (int i = 0; i < 20; i++) {
        if (ftrylockfile(stderr) == 0) return true;
        nanosleep(&moment, NULL);
    }
    return false;
}

void lf_interrupt_say(void) {
    const char *text = atomic_load(&meaning);
    struct pollfd to = {.fd = STDERR_FILENO, .events = POLLOUT};
    char row[1024];
    if (!text || lf_interrupted() || sink || level < LF_LOG_INFO) return;
    const bool alone = lock_soon();
    const size_t n = lay_out(row, sizeof row, text, lf_is_terminal(STDERR_FILENO));
    if (poll(&to, 1, 0) == 1 && (to.revents & POLLOUT)) (void)!write(STDERR_FILENO, row, n);
    if (!alone) return;
    in_place = 0;
    funlockfile(stderr);
}

/* Without what asks for colours. */
static int64_t columns_shown(const char *text) {
    int64_t n = lf_text_columns(text);
    for (const char *at = text; (at = strstr(at, "\033[")); at++) n -= (int64_t)strcspn(at, "m") + 1;
    return n;
}

void lf_log_in_place(const char *text) {
    if (sink) return;
    flockfile(stderr);
    take_away();
    if (text) {
        fputs("\r\033[K", stderr);
        fputs(text, stderr);
        in_place = columns_shown(text);
    }
    fflush(stderr);
    funlockfile(stderr);
}

bool lf_log_stands(void) { return in_place > 0; }

/* "2026-11-30 09:15:02 " */
static const char *time_text(char *text, size_t size) {
    const time_t now = time(NULL);
    struct tm t;
    if (!localtime_r(&now, &t) || !strftime(text, size, "%Y-%m-%d %H:%M:%S ", &t)) text[0] = '\0';
    return text;
}

/* What stands in front of the words of a line. */
typedef struct front {
    lf_log_level level;
    bool time;
    const char *kind, *colour; /* "warning: ", and a terminal's escape sequence; NULL: none */
} front;

/* Returns how many columns it takes. */
static int put_front(const front *f) {
    const bool colours = f->colour && lf_shows_colours(STDERR_FILENO);
    char when[64] = "";
    if (f->time || level >= LF_LOG_DETAIL) time_text(when, sizeof when);
    fprintf(stderr, "%s%s%s%s%s", when, name, colours ? f->colour : "", f->kind, colours ? "\033[0m" : "");
    return (int)(lf_text_columns(when) + lf_text_columns(name) + lf_text_columns(f->kind));
}

static void print(const front *f, const char *text) {
    take_away();
    const int taken = put_front(f);
    if (lf_is_terminal(STDERR_FILENO))
        lf_print_wrapped(stderr, text, lf_columns(STDERR_FILENO), taken, 2);
    else
        fprintf(stderr, "%s\n", text);
}

/* Names of files and what stands in them come here too. What is longer than any line that we write is cut, and says so.
 */
static void line(const front *f, const char *format, va_list args) {
    static const char cut[] = " ...";
    char text[8192 + sizeof cut];
    const int n = vsnprintf(text, sizeof text - sizeof cut, format, args);
    if (n >= (int)(sizeof text - sizeof cut)) strcat(text, cut);
    lf_make_plain(text);
    flockfile(stderr); /* the lines of worker threads do not mix */
    if (sink)
        sink(sink_context, f->level, text);
    else
        print(f, text);
    funlockfile(stderr);
}

#define SAY(of_level, ...)                                                                                             \
    va_list args;                                                                                                      \
    if (level < (of_level)) return;                                                                                    \
    va_start(args, format);                                                                                            \
    line(&(front){.level = (of_level), __VA_ARGS__}, format, args);                                                    \
    va_end(args)

void lf_info(const char *format, ...) { SAY(LF_LOG_INFO, .kind = ""); }
void lf_warn(const char *format, ...) { SAY(LF_LOG_WARN, .kind = "warning: ", .colour = "\033[33m"); }
void lf_detail(const char *format, ...) { SAY(LF_LOG_DETAIL, .kind = ""); }
void lf_log_timed(const char *format, ...) { SAY(LF_LOG_INFO, .kind = "", .time = !lf_log_draws()); }

void lf_say(const char *text) {
    char line[4096];
    snprintf(line, sizeof line, "%s", text);
    lf_make_plain(line);
    flockfile(stderr);
    if (sink) {
        sink(sink_context, LF_LOG_WARN, line);
    } else {
        take_away();
        lf_print_lines(stderr, line, 0);
    }
    funlockfile(stderr);
}

void lf_info_lines(const char *text) {
    for (const char *end; *text; text = *end ? end + 1 : end) {
        end = text + strcspn(text, "\n");
        lf_info("%.*s", (int)(end - text), text);
    }
}

bool lf_log_says(lf_log_level of) { return level >= of; }

/* ---- the process ---- */

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
