/* Messages and progress: all on stderr, stdout is for results. */
#ifndef LF_BASE_LOG_H
#define LF_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* Levels, and who else may hear the lines: lora_ft.h. */
bool lf_log_says(lf_log_level level); /* are lines of it written? */
bool lf_log_draws(void);              /* can a line be written over again: a terminal, and nobody else hears it? */
/* One line; the newline is added. On a terminal it is broken between words where that is narrower (base/terminal.h). */
void lf_info(const char *format, ...) LF_PRINTF(1, 2);
void lf_warn(const char *format, ...) LF_PRINTF(1, 2);      /* "warning: " in front */
void lf_detail(const char *format, ...) LF_PRINTF(1, 2);    /* what few want to know */
void lf_info_lines(const char *text);                       /* a text of several, each as lf_info */
void lf_log_timed(const char *format, ...) LF_PRINTF(1, 2); /* lf_info, with the time in front where no one watches */

double lf_now(void);                    /* seconds of a monotonic clock */
int64_t lf_peak_rss_bytes(void);        /* of this process */
int64_t lf_rss_bytes(void);             /* now; 0 where the system does not say */
void lf_log_set_name(const char *name); /* in front of each line: whose it is, among several processes; kept */
bool lf_interrupted(void);              /* lf_interrupt() or lf_terminate() was called */
bool lf_terminating(void);              /* lf_terminate() was */
/* Between these two something would be lost with the process; they nest, and threads may call them. */
void lf_stake_begin(void);
void lf_stake_end(void);
/* What an interruption does from now on, where that is not at once: a line for people, ASCII, borrowed; NULL: nothing
 * is said. Returns what it was. It is said by lf_interrupt_say (lora_ft.h). */
const char *lf_interrupt_means(const char *line);
bool lf_checkpoint_taken(void); /* lf_checkpoint_request() was called since this was last asked */

/* A line that the next one, or the next of its kind, takes the place of: on a terminal, of at most its columns less
 * three (the terminal puts a "^C" behind it). NULL: none. */
void lf_log_in_place(const char *line);
bool lf_log_stands(void); /* it is still there: no line was written since */

/* A progress line: redrawn in place on a terminal, as wide as that is, else one plain line with the time in front, at
 * most every ten seconds and at the end.
 * `what` and the text of each update are copied. Not thread safe. */
typedef struct lf_progress {
    char what[64];
    int64_t total;
    int64_t first; /* done before the start (a resumed run): set after begin, so that the ETA does not count it */
    double started, last;
    bool terminal, drawn;
} lf_progress;

void lf_progress_begin(lf_progress *p, const char *what, int64_t total);
/* done of total; `detail` ("loss 0.31  acc 0.92  140 images/s") may be "". The ETA is added. */
void lf_progress_update(lf_progress *p, int64_t done, const char *detail);
void lf_progress_end(lf_progress *p, const char *summary); /* leaves the summary as a plain line, "" for none */

#endif
