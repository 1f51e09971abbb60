#define _POSIX_C_SOURCE 200809L
#include "plot/plot.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/utf8.h"

static char *file_of(const char *dir, const char *name, const char *ending) {
    char *file = lf_format("%s.%s", name, ending), *path = file ? lf_path_join(dir, file) : NULL;
    lf_free(file);
    return path;
}

/* ---- the script ---- */

/* The letters are large for the size: on a telephone a picture is shown at half of it. */
lf_status lf_plot_open(lf_atomic_file *a, const char *dir, const char *name, int width, int height, lf_err *err) {
    char *script = lf_format("%s.gp", name), *picture = file_of(dir, name, "svg");
    *a = (lf_atomic_file){0};
    lf_status rc = script && picture ? LF_OK : lf_no_memory(err, "%s", dir);
    if (!rc && !(rc = lf_remove_tree(picture, err)) && !(rc = lf_atomic_open_in(a, dir, script, err)))
        fprintf(a->f,
                "# gnuplot %s.gp, in this folder, draws %s.svg\n"
                "set terminal svg size %d,%d dynamic enhanced background '#ffffff' font 'Helvetica,17'\n"
                "set encoding utf8\n"
                "set output '%s.svg'\n"
                "set border 3 lc rgb '#555555'\n"
                "set tics nomirror textcolor rgb '#222222'\n"
                "set grid xtics ytics lt 1 lw 0.7 lc rgb '#dddddd'\n",
                name, name, width, height, name);
    lf_free(picture);
    lf_free(script);
    return rc;
}

const char *lf_plot_color(int64_t i) {
    static const char *const colors[] = {"#1f6fb2", "#d1571b", "#0e4d3a", "#7a9a01",
                                         "#5b2a86", "#1f9aa8", "#8a1c1c", "#c2559a"};
    enum { N = sizeof colors / sizeof colors[0] };
    return colors[(i % N + N) % N];
}

/* Points of matplotlib's "plasma", without the yellow that white paper swallows. */
void lf_plot_shade(char color[8], double p) {
    static const int scale[][3] = {{13, 8, 135}, {126, 3, 168}, {204, 71, 120}, {240, 131, 66}, {226, 168, 20}};
    enum { N = sizeof scale / sizeof scale[0] - 1 };
    const double at = fmin(fmax(p, 0), 1) * N;
    const int i = at >= N ? N - 1 : (int)at;
    int rgb[3];
    for (int c = 0; c < 3; c++) rgb[c] = (int)lround(scale[i][c] + (at - i) * (scale[i + 1][c] - scale[i][c]));
    snprintf(color, 8, "#%02x%02x%02x", (unsigned)rgb[0] & 255, (unsigned)rgb[1] & 255, (unsigned)rgb[2] & 255);
}

/* Filled and open circles, squares, triangles, diamonds; a number that shares nothing with that of the colours, so that
 * the two together tell 72 series apart. */
int lf_plot_point(int64_t i) {
    static const int points[] = {7, 5, 9, 13, 11, 4, 8, 12, 10};
    enum { N = sizeof points / sizeof points[0] };
    return points[(i % N + N) % N];
}

/* Enhanced mode reads ^ _ { } @ & ~ \ as commands, a quote ends the string, a newline the statement; what is no
 * character of XML would make the whole picture unreadable. A quote is written twice, but one that is the first of its
 * string, or follows another, gnuplot 5.4 takes for the end: {}, which is nothing, stands between. */
void lf_plot_text(FILE *f, const char *text) {
    size_t left = strlen(text);
    bool after_quote = true;
    while (left) {
        uint32_t c = 0;
        const size_t good = lf_utf8_next(text, left, &c), n = good ? good : lf_utf8_bad_size(text, left);
        if (!good)
            fputs("\xef\xbf\xbd", f);
        else if (c < 0x20 || (c >= 0x7f && c < 0xa0) || (c & 0xfffe) == 0xfffe)
            fputc(' ', f);
        else if (c == '\'')
            fputs(after_quote ? "{}''" : "''", f);
        else {
            if (c < 0x80 && strchr("^_{}@&~\\", (int)c)) fputc('\\', f);
            fwrite(text, 1, n, f);
        }
        after_quote = c == '\'';
        text += n;
        left -= n;
    }
}

/* ---- axes ---- */

/* Calls for each tic in [low, high]: the multiples `of` (n of them) of the powers 10^(k stride). Returns how many. */
static int walk_decades(FILE *f, double low, double high, const double *of, int n, int stride) {
    int count = 0;
    const int first = (int)floor(log10(low)) - 1, last = (int)ceil(log10(high)) + 1;
    for (int k = first; k <= last; k++)
        for (int i = 0; i < n && k % stride == 0; i++) {
            const double at = of[i] * pow(10, k);
            if (at < low * (1 - 1e-9) || at > high * (1 + 1e-9)) continue;
            char text[40];
            lf_number_short(text, sizeof text, at);
            if (f) fprintf(f, "%s'%s' %.9g", count ? ", " : "", text, at);
            count++;
        }
    return count;
}

/* A range too narrow for 1, 2, 5: even steps. */
static void even_steps(FILE *f, double low, double high) {
    const double rough = (high - low) / 5, power = pow(10, floor(log10(rough))), m = rough / power;
    const double step = power * (m <= 1 ? 1 : m <= 2 ? 2 : m <= 5 ? 5 : 10);
    int count = 0;
    for (double k = ceil(low / step); k * step <= high * (1 + 1e-12) && count < 20; k++) {
        char text[40];
        lf_number_short(text, sizeof text, k * step);
        fprintf(f, "%s'%s' %.9g", count++ ? ", " : "", text, k * step);
    }
}

void lf_plot_log_axis(FILE *f, char axis, double low, double high) {
    static const double of[] = {1, 2, 5}, halves[] = {1, 3};
    fprintf(f, "set logscale %c\nset %ctics (", axis, axis);
    int stride = 1;
    while (walk_decades(NULL, low, high, of, 1, stride) > 8) stride++;
    if (stride > 1 || walk_decades(NULL, low, high, of, 1, 1) >= 4)
        walk_decades(f, low, high, of, 1, stride);
    else if (walk_decades(NULL, low, high, halves, 2, 1) >= 4)
        walk_decades(f, low, high, halves, 2, 1);
    else if (walk_decades(NULL, low, high, of, 3, 1) >= 3)
        walk_decades(f, low, high, of, 3, 1);
    else if (high > low)
        even_steps(f, low, high);
    fputs(")\n", f);
}

/* ---- the program ---- */

/* By its whole path, found before the folder is entered, and never by a part of PATH that is relative: the folder may
 * be from elsewhere and have a "gnuplot" of its own. lf_free; NULL: there is none. */
static char *find_gnuplot(void) {
    const char *part = getenv("PATH");
    if (!part) part = "/usr/local/bin:/usr/bin:/bin"; /* as a shell does */
    for (;;) {
        const size_t n = strcspn(part, ":");
        char *path = part[0] == '/' ? lf_format("%.*s/gnuplot", (int)n, part) : NULL;
        if (path && lf_is_file(path) && access(path, X_OK) == 0) return path;
        lf_free(path);
        if (!part[n]) return NULL;
        part += n + 1;
    }
}

bool lf_plot_can_draw(void) {
    char *path = find_gnuplot();
    lf_free(path);
    return path;
}

enum { NOT_STARTED = 127 };

/* How it ended, as waitpid has it; exit code NOT_STARTED also where it is not there. Nothing of the user's own settings
 * is read (-d), and whatever it says goes to stderr: stdout is for results. */
static int run_gnuplot(const char *gnuplot, const char *dir, const char *script) {
    const pid_t pid = gnuplot ? fork() : -1;
    if (pid == 0) {
        lf_child_signals();
        setenv("LC_ALL", "C.UTF-8",
               1); /* it warns of one that this machine does not have, or that has no degree sign */
        if (chdir(dir) == 0 && dup2(STDERR_FILENO, STDOUT_FILENO) >= 0)
            execl(gnuplot, "gnuplot", "-d", script, (char *)NULL);
        _exit(NOT_STARTED);
    }
    int status = 0;
    if (pid < 0) return NOT_STARTED << 8;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return NOT_STARTED << 8;
    return status;
}

static bool is_whole(const char *path) {
    static const char end[] = "</svg>";
    char *text = NULL;
    size_t size = 0;
    if (!lf_is_file(path) || lf_file_read(&text, &size, path, NULL)) return false;
    while (size && strchr(" \t\r\n", text[size - 1])) size--;
    const bool whole = size >= sizeof end - 1 && memcmp(text + size - (sizeof end - 1), end, sizeof end - 1) == 0;
    lf_free(text);
    return whole;
}

/* Why what gnuplot wrote to is not whole, which it says nothing of: whether there is room is tried on what will be
 * removed. */
static void try_to_write(char *why, size_t size, const char *picture) {
    static const char page[4096];
    FILE *f = fopen(picture, "ab");
    const bool failed = !f || fwrite(page, 1, sizeof page, f) != sizeof page || fflush(f);
    if (failed)
        snprintf(why, size, "cannot be written: %s", strerror(errno));
    else
        snprintf(why, size, "is not whole, although it can be written now");
    if (f) (void)fclose(f);
}

static void say_failure(const char *gnuplot, int status, const char *dir, const char *name, const char *picture) {
    char why[256];
    if (WIFSIGNALED(status))
        lf_warn("%s/%s.gp: %s was ended by signal %d (%s)", dir, name, gnuplot, WTERMSIG(status),
                strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) == NOT_STARTED)
        lf_warn("%s/%s.gp: %s could not be started", dir, name, gnuplot);
    else if (WEXITSTATUS(status))
        lf_warn("%s/%s.gp: %s failed on it (exit code %d)", dir, name, gnuplot, WEXITSTATUS(status));
    else {
        try_to_write(why, sizeof why, picture);
        lf_warn("%s: %s ended as if all were well, but this picture %s", picture, gnuplot, why);
    }
}

lf_status lf_plot_draw(lf_atomic_file *a, const char *dir, const char *name, bool *drawn, lf_err *err) {
    char *picture = file_of(dir, name, "svg"), *script = lf_format("%s.gp", name), *gnuplot = NULL;
    *drawn = false;
    lf_status rc = picture && script ? lf_atomic_commit(a, err) : lf_no_memory(err, "%s", dir);
    if (!rc) {
        gnuplot = find_gnuplot();
        const int status = run_gnuplot(gnuplot, dir, script);
        *drawn = status == 0 && is_whole(picture);
        if (!*drawn && gnuplot) say_failure(gnuplot, status, dir, name, picture);
        if (!*drawn) rc = lf_remove_tree(picture, err);
    }
    lf_free(gnuplot);
    lf_free(script);
    lf_free(picture);
    return rc;
}

void lf_plot_say_how(const char *dir, const char *scripts) {
    if (lf_plot_can_draw())
        lf_warn("%s: a picture is missing, because gnuplot failed (see above); its numbers and script are there", dir);
    else
        lf_warn("no pictures, only their numbers and scripts: gnuplot is not there; install it (Debian: gnuplot-nox), "
                "then%s%s: %s%s",
                scripts ? ", in " : "", scripts ? dir : "", scripts ? "gnuplot " : "lora-ft report ",
                scripts ? scripts : dir);
}
