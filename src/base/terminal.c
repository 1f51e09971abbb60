#define _POSIX_C_SOURCE 200809L
#include "base/terminal.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

#include "base/mem.h"
#include "base/plain.h"
#include "base/utf8.h"

bool lf_is_terminal(int fd) { return isatty(fd) == 1; }

/* 0: it is not set, or no number. */
static int asked_columns(void) {
    const char *text = getenv("COLUMNS");
    char *end;
    const long n = text ? strtol(text, &end, 10) : 0;
    return text && *text && !*end && n > 0 && n < 10000 ? (int)n : 0;
}

int lf_columns(int fd) {
    struct winsize w;
    int n = asked_columns();
    if (!n && ioctl(fd, TIOCGWINSZ, &w) == 0) n = w.ws_col;
    return !n ? LF_USUAL_COLUMNS : n < LF_LEAST_COLUMNS ? LF_LEAST_COLUMNS : n;
}

bool lf_shows_colours(int fd) {
    const char *none = getenv("NO_COLOR"), *kind = getenv("TERM");
    return lf_is_terminal(fd) && !(none && *none) && kind && *kind && strcmp(kind, "dumb") != 0;
}

/* Terminals that break their lines anew when they change their width say who they are; the oldest (xterm, the Linux
 * console) cut lines off. A variable that is set, or one that begins so. */
static bool breaks_lines_anew(void) {
    static const struct {
        const char *name, *begins;
    } known[] = {{"TMUX", ""},
                 {"VTE_VERSION", ""},
                 {"KITTY_WINDOW_ID", ""},
                 {"KONSOLE_VERSION", ""},
                 {"WT_SESSION", ""},
                 {"ALACRITTY_WINDOW_ID", ""},
                 {"TERM_PROGRAM", ""},
                 {"TERM", "tmux"},
                 {"TERM", "xterm-kitty"},
                 {"TERM", "alacritty"},
                 {"TERM", "foot"},
                 {"TERM", "xterm-ghostty"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const char *value = getenv(known[i].name);
        if (value && *value && strncmp(value, known[i].begins, strlen(known[i].begins)) == 0) return true;
    }
    return false;
}

int lf_rows_of(int fd, int64_t columns) {
    struct winsize w;
    if (ioctl(fd, TIOCGWINSZ, &w) || w.ws_col == 0 || columns <= w.ws_col || !breaks_lines_anew()) return 1;
    return (int)((columns + w.ws_col - 1) / w.ws_col);
}

/* The character at s (of n > 0 bytes), its size in bytes. */
static int columns_of(const char *s, size_t n, size_t *size) {
    uint32_t c;
    if ((*size = lf_control_size(s))) return 1; /* it shows as '?' (plain.h) */
    if ((*size = lf_utf8_next(s, n, &c)) == 0) {
        *size = 1;
        return 1;
    }
    const int width = utf8proc_charwidth((utf8proc_int32_t)c);
    return width < 0 ? 0 : width;
}

int64_t lf_text_columns(const char *text) {
    int64_t columns = 0;
    for (size_t left = strlen(text), size; left > 0; text += size, left -= size)
        columns += columns_of(text, left, &size);
    return columns;
}

size_t lf_text_fitting(const char *text, int64_t columns) {
    size_t at = 0, size;
    for (size_t n = strlen(text); at < n; at += size)
        if ((columns -= columns_of(text + at, n - at, &size)) < 0) break;
    return at;
}

char *lf_text_cut(char *out, size_t size, const char *text, int64_t columns) {
    static const char more[] = "...";
    const bool fits = lf_text_columns(text) <= columns;
    size_t n = fits ? strlen(text) : columns < 3 ? 0 : lf_text_fitting(text, columns - 3);
    const size_t room = size - sizeof more; /* whole characters here too */
    while (n > room || (n && n == room && (text[n] & 0xc0) == 0x80)) n--;
    while (n && (text[n] & 0xc0) == 0x80) n--;
    memcpy(out, text, n);
    snprintf(out + n, size - n, "%s", fits && !text[n] ? "" : columns < 3 ? "" : more);
    return out;
}

/* Bytes of the next line of text, whose words fit into so many columns; at least one word. */
static size_t next_line(const char *text, int64_t columns) {
    const size_t fitting = lf_text_fitting(text, columns);
    if (!text[fitting]) return fitting;
    size_t n = fitting;
    while (n > 0 && text[n] != ' ') n--;
    while (n > 0 && text[n - 1] == ' ') n--;
    if (n > 0) return n;
    n = strspn(text, " ");
    return n + strcspn(text + n, " ");
}

void lf_print_wrapped(FILE *out, const char *text, int columns, int taken, int indent) {
    int before = 0;
    do {
        const size_t n = next_line(text, columns - taken - before);
        fprintf(out, "%*s%.*s\n", before, "", (int)n, text);
        text += n;
        text += strspn(text, " ");
        before = indent;
        taken = 0;
    } while (*text);
}

int lf_columns_of(FILE *out) {
    const int fd = fileno(out);
    return fd >= 0 && lf_is_terminal(fd) ? lf_columns(fd) : 0;
}

void lf_print_lines(FILE *out, const char *text, int otherwise) {
    const int terminal = lf_columns_of(out), columns = terminal ? terminal : otherwise ? otherwise : INT_MAX / 2;
    char line[4096];
    for (const char *end; *text; text = *end ? end + 1 : end) {
        end = text + strcspn(text, "\n");
        if ((size_t)(end - text) >= sizeof line) { /* no words to break it between are known */
            fprintf(out, "%.*s\n", (int)(end - text), text);
            continue;
        }
        snprintf(line, sizeof line, "%.*s", (int)(end - text), text);
        lf_print_wrapped(out, line, columns, 0, 2);
    }
}

void lf_print_line(FILE *out, const char *format, ...) {
    va_list args, again;
    char usual[2048], *text = usual;
    va_start(args, format);
    va_copy(again, args);
    const int n = vsnprintf(usual, sizeof usual, format, args);
    if (n >= (int)sizeof usual && (text = lf_malloc((size_t)n + 1))) vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    if (!text) text = usual; /* its beginning is better than nothing */
    lf_make_plain(text);
    lf_print_wrapped(out, text, lf_columns_of(out) ? lf_columns_of(out) : INT_MAX / 2, 0, 2);
    if (text != usual) lf_free(text);
}
