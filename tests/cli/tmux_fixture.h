/* A terminal that is real: tmux, with a server of the test's own (its own socket and configuration, a locale and a TERM
 * that are not the caller's). A program runs in its window; the window can be looked at while it runs and after. tmux
 * hands on what the program writes in the moment in which it draws it, so who has read words finds them drawn. */
#ifndef LF_TESTS_TMUX_FIXTURE_H
#define LF_TESTS_TMUX_FIXTURE_H

#include "cli/program_fixture.h"
#include "cli/stop_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/terminal.h"

enum { WINDOW_ROWS = 30 };
#define WINDOW_ENDED "(ended with "

typedef struct window {
    int columns, said; /* said: a pipe, from which comes what the program writes */
    const char *bar;   /* words that stand in every bar, however narrow */
    int below;         /* lines that may stand below it */
    bool resized;
    int older; /* so often may be found what was drawn before it was resized: what is heard lags behind */
    char tail[1 << 16];
    size_t n;
    pid_t pid; /* of the program */
} window;

static int run_tmux(const char *words) {
    char command[3000];
    snprintf(
        command, sizeof command,
        "env -u TMUX -u COLUMNS -u NO_COLOR LC_ALL=C.UTF-8 TERM=xterm tmux -u -S %s/socket -f %s/tmux.conf %s 2>&1",
        root, root, words);
    return run_shell(command);
}

static void tmux(const char *words) { /* what it says is in `output` */
    if (run_tmux(words)) fail_msg("tmux %s: %s", words, output);
}

/* As a teardown: where a test has failed, too. */
static int end_tmux(void **state) {
    (void)state;
    (void)run_tmux("kill-server"); /* it may have ended */
    return 0;
}

static void put_words(const char *name, const char *words) {
    lf_err err = {0};
    if (lf_file_write(text("%s/%s", root, name), words, strlen(words), &err)) fail_msg("%s", err.message);
}

static void make_pipe(const char *name) {
    unlink(text("%s/%s", root, name));
    if (mkfifo(text("%s/%s", root, name), 0600)) fail_msg("%s: %s", name, strerror(errno));
}

/* Reads what there is; waits for it, but not for ever. */
static void hear(window *w) {
    struct pollfd p = {.fd = w->said, .events = POLLIN};
    if (poll(&p, 1, GIVE_UP_MS) <= 0) fail_msg("silence, after: %s", w->tail);
    if (w->n > sizeof w->tail / 2) { /* words that are waited for are short */
        memmove(w->tail, w->tail + w->n - 200, 201);
        w->n = 200;
    }
    const ssize_t got = read(w->said, w->tail + w->n, sizeof w->tail - 1 - w->n);
    assert_true(got > 0);
    for (ssize_t i = 0; i < got; i++, w->n++)
        if (!w->tail[w->n]) w->tail[w->n] = '?';
    w->tail[w->n] = 0;
}

/* What was written until now: words that come after it are new. */
static void hear_all(window *w) {
    struct pollfd p = {.fd = w->said, .events = POLLIN};
    while (poll(&p, 1, 0) > 0) hear(w);
    w->n = 0;
    w->tail[0] = 0;
}

/* Until the words were written, anew at each call. */
static void wait_for(window *w, const char *words) {
    const char *at;
    while (!(at = strstr(w->tail, words))) hear(w);
    at += strlen(words);
    w->n -= (size_t)(at - w->tail);
    memmove(w->tail, at, w->n + 1);
}

/* A window in which the shell's words run, which become the program. It stays when that has ended. */
static void open_window(window *w, int columns, const char *bar, const char *words) {
    *w = (window){.columns = columns, .bar = bar};
    put_words("tmux.conf", "set -g history-limit 10000\nset -g status off\nset -g default-shell /bin/sh\n");
    put_words("words", words);
    put_words("outer", text("trap : INT\ncd %s\nread x <begin\nsh -c 'echo \"(is $$)\"; exec sh words'\n"
                            "printf '\\n" WINDOW_ENDED "%%d)\\n' $?\nread x <begin\n",
                            root));
    make_pipe("said");
    make_pipe("begin");
    assert_true((w->said = open(text("%s/said", root), O_RDWR | O_CLOEXEC)) >=
                0); /* itself a writer, so there is no end */
    tmux(text("new-session -d -x %d -y %d 'exec sh %s/outer'", columns, WINDOW_ROWS, root));
    tmux(text("pipe-pane -O 'cat >%s/said || tmux kill-server'", root)); /* where the test was killed */
    const int begin = open(text("%s/begin", root), O_WRONLY);            /* once the window's shell waits for it */
    assert_true(begin >= 0 && write(begin, "\n", 1) == 1);
    close(begin);
    wait_for(w, "(is ");
    while (!strchr(w->tail, ')')) hear(w);
    w->pid = (pid_t)strtol(w->tail, NULL, 10);
    assert_true(w->pid > 0);
}

/* Its lines, those that have gone out of sight too, into `output`; a line that was broken because it was longer than
 * the window is one. */
static void look(void) { tmux("capture-pane -p -J -S -"); }

/* No line is longer than the window, but for those that were there before it became narrower; and at most one is of a
 * bar, the last, or the last but those that belong to it. How many bars there are. */
static int bars_that_fit(window *w) {
    int bars = 0, below = 0;
    char line[2000];
    look();
    for (char *at = output, *end; *at; at = *end ? end + 1 : end) {
        end = at + strcspn(at, "\n");
        int n = (int)(end - at);
        while (n > 0 && at[n - 1] == ' ') n--;
        if (n == 0) continue;
        if (n > 2 && strncmp(at, "^C", 2) == 0) at += 2, n -= 2; /* the terminal's own, of one that is interrupted */
        snprintf(line, sizeof line, "%.*s", n, at);
        const bool bar = strstr(line, w->bar) != NULL, fits = lf_text_columns(line) <= w->columns;
        if (bars && (bar || ++below > w->below)) fail_msg("below a bar stands: %s", line);
        if (bar && !fits && w->older-- > 0) continue;
        if ((bar || !w->resized) && !fits)
            fail_msg("of %d columns, in a window of %d: %s", (int)lf_text_columns(line), w->columns, line);
        bars += bar;
    }
    if (bars) w->older = 0;
    return bars;
}

/* Until the program ended; its exit code. */
static int window_ended(window *w) {
    wait_for(w, WINDOW_ENDED);
    while (!strchr(w->tail, ')')) hear(w);
    return (int)strtol(w->tail, NULL, 10);
}

static void close_window(window *w) {
    tmux("kill-server");
    close(w->said);
}

/* The window's user makes it so wide: while the program stands still, so that it is nowhere between two columns. */
static void resize(window *w, int columns) {
    struct winsize size;
    kill(w->pid, SIGSTOP);
    tmux("display-message -p '#{pane_tty}'");
    output[strcspn(output, "\n")] = 0;
    const int fd = open(output, O_RDONLY | O_NOCTTY);
    assert_true(fd >= 0);
    tmux(text("resize-window -x %d", columns));
    do {
        usleep(1000); /* tmux tells the terminal a little later */
        assert_int_equal(ioctl(fd, TIOCGWINSZ, &size), 0);
    } while (size.ws_col != columns);
    close(fd);
    w->columns = columns;
    w->resized = true;
    w->older = 50;
    kill(w->pid, SIGCONT);
}

#endif
