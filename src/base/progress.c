/* Progress lines. Of a narrow terminal the name, the numbers and the time that is left stay, the bar becomes shorter,
 * and what is said beside it is left out from its end. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/terminal.h"

enum { MOST_BAR = 24, LEAST_BAR = 6, AROUND_BAR = 3 }; /* "[" and "] " */

void lf_progress_begin(lf_progress *p, const char *what, int64_t total) {
    memset(p, 0, sizeof *p);
    snprintf(p->what, sizeof p->what, "%s", what);
    p->total = total;
    p->started = lf_now();
    p->last = p->started;
    p->terminal = lf_log_draws();
}

static void duration(char *buf, size_t size, double seconds) {
    const long s = seconds < 0 ? 0 : (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(buf, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(buf, size, "%ld:%02ld", s / 60, s % 60);
}

/* "loss 0.31  acc 0.92  140 images/s": so many whole parts of it as take at most `room` columns, each with its two
 * spaces. Bytes. */
static size_t parts_fitting(const char *detail, int64_t room) {
    size_t fitting = 0;
    for (const char *end = detail; *end;) {
        const char *next = strstr(end + (end > detail ? 2 : 0), "  ");
        end = next ? next : detail + strlen(detail);
        char part[256];
        snprintf(part, sizeof part, "%.*s", (int)(end - detail), detail);
        if (lf_text_columns(part) + 2 > room) break;
        fitting = (size_t)(end - detail);
    }
    return fitting;
}

static void put_bar(char *text, size_t size, double share, int64_t columns) {
    const bool colours = lf_shows_colours(STDERR_FILENO);
    char done[MOST_BAR + 1], left[MOST_BAR + 1];
    const int n = columns > MOST_BAR ? MOST_BAR : (int)columns, filled = (int)(share * n + 0.5);
    memset(done, '#', sizeof done);
    memset(left, '.', sizeof left);
    snprintf(text, size, "[%s%.*s%s%.*s] ", colours ? "\033[32m" : "", filled, done, colours ? "\033[0m" : "",
             n - filled, left);
}

static void draw(const lf_progress *p, int64_t done, double share, const char *detail, const char *eta) {
    char what[200], counts[64], bar[64] = "", line[800], fitting[1000];
    const int64_t columns = lf_columns(STDERR_FILENO) - 3; /* the others are for the cursor, behind a "^C" */
    lf_text_cut(what, sizeof what, p->what, columns / 2);
    snprintf(counts, sizeof counts, "%lld/%lld", (long long)done, (long long)p->total);
    int64_t room = columns - lf_text_columns(what) - 1 - lf_text_columns(counts) - lf_text_columns("  ETA ") -
                   lf_text_columns(eta);
    const bool with_bar = room >= LEAST_BAR + AROUND_BAR;
    const size_t n = parts_fitting(detail, room - (with_bar ? LEAST_BAR + AROUND_BAR : 0));
    char said[256];
    snprintf(said, sizeof said, "%s%.*s", n ? "  " : "", (int)n, detail);
    room -= lf_text_columns(said);
    if (with_bar) put_bar(bar, sizeof bar, share, room - AROUND_BAR);
    snprintf(line, sizeof line, "%s %s%s%s  ETA %s", what, bar, counts, said, eta);
    lf_log_in_place(with_bar ? line : lf_text_cut(fitting, sizeof fitting, line, columns));
}

void lf_progress_update(lf_progress *p, int64_t done, const char *detail) {
    if (!lf_log_says(LF_LOG_INFO)) return;
    const double now = lf_now();
    const bool taken_away = p->terminal && p->drawn && !lf_log_stands(); /* by a line, which may come each few ms */
    if (now - p->last < (p->terminal ? 0.1 : 10.0) && !taken_away) return;
    p->drawn = true;
    p->last = now;
    char eta[32] = "?";
    if (done > p->first)
        duration(eta, sizeof eta, (now - p->started) / (double)(done - p->first) * (double)(p->total - done));
    double share = p->total > 0 ? (double)done / (double)p->total : 0;
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    if (p->terminal)
        draw(p, done, share, detail, eta);
    else
        lf_log_timed("%s %lld/%lld (%.0f%%)  %s  ETA %s", p->what, (long long)done, (long long)p->total, 100 * share,
                     detail, eta);
}

void lf_progress_end(lf_progress *p, const char *summary) {
    lf_log_in_place(NULL);
    if (summary[0]) lf_log_timed("%s: %s", p->what, summary);
}
