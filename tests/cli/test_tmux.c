/* In tmux, with windows of 40, 80 and 132 columns: what stands there while train, eval and sweep run, where their
 * windows change their width, and what is left in the end. No line is broken by the window, and a bar is one line. */
#define _GNU_SOURCE
#include "cli/terminal_fixture.h"
#include "cli/tmux_fixture.h"

static window w;

/* To the end: what is expected is there, and no bar. */
static void must_end(int columns, const char *words, const char *const *expected) {
    open_window(&w, columns, "ETA ", words);
    const int code = window_ended(&w);
    const int bars = bars_that_fit(&w);
    if (code || bars) fail_msg("in %d columns: exit code %d, %d bars: %s\n%s", columns, code, bars, words, output);
    for (; *expected; expected++)
        if (!strstr(output, *expected)) fail_msg("in %d columns: no '%s' in\n%s", columns, *expected, output);
    if (strstr(output, "##")) fail_msg("in %d columns: something is left of a bar:\n%s", columns, output);
    close_window(&w);
}

static void test_ends(void **state) {
    (void)state;
    for (int i = 0; i < N_WIDTHS; i++) {
        must_end(widths[i], program("TERM=tmux-256color", train_words(widths[i], 40)), trained);
        must_end(widths[i], program("TERM=tmux-256color", eval_words(widths[i])), judged);
        must_end(widths[i], program("TERM=tmux-256color", sweep_words(widths[i])), swept);
    }
}

/* A bar stands there, and nothing beside it that does not fit. Between two bars there is a moment without one: then
 * the next is looked at. */
static void must_show_a_bar(void) {
    int bars = 0;
    while (!bars) {
        hear_all(&w);
        wait_for(&w, w.bar);
        bars = bars_that_fit(&w);
    }
}

/* Ctrl-C; of a run of training, what that does is said in the place of its bar. */
static void must_stop(const char *words) {
    tmux("send-keys C-c");
    const int code = window_ended(&w);
    if (bars_that_fit(&w) || code != 130 || !strstr(output, words))
        fail_msg("exit code %d, expected '%s', and there stands:\n%s", code, words, output);
    close_window(&w);
}

#define LONG "--max_steps 1000000 --output_dir "

static void open_long(int columns, const char *name) {
    open_window(&w, columns, "/1000000 ", program("TERM=tmux-256color", text(TRAIN_ON LONG "%s", name)));
}

static void test_train(void **state) {
    (void)state;
    for (int i = 0; i < N_WIDTHS; i++) {
        open_long(widths[i], text("l%d", widths[i]));
        for (int k = 0; k < 3; k++) must_show_a_bar();
        must_stop("\nstopping after this step, with a");
    }
}

/* More black pictures than are looked at while this test runs. */
static void put_many_pictures(void) {
    enum { N = 400000, SIDE = 16 };
    const unsigned char images[16] = {0, 0, 8, 3, 0, N >> 16, N >> 8 & 255, N & 255, 0, 0, 0, SIDE, 0, 0, 0, SIDE},
                        labels[8] = {0, 0, 8, 1, 0, N >> 16, N >> 8 & 255, N & 255};
    const struct {
        const char *name;
        const unsigned char *head;
        size_t n;
        off_t size;
    } files[] = {{"t10k-images-idx3-ubyte", images, sizeof images, sizeof images + (off_t)N * SIDE * SIDE},
                 {"t10k-labels-idx1-ubyte", labels, sizeof labels, sizeof labels + (off_t)N}};
    for (int i = 0; i < 2; i++) {
        const int fd = open(text("%s/%s", root, files[i].name), O_WRONLY | O_CREAT, 0600);
        assert_true(fd >= 0 && write(fd, files[i].head, files[i].n) == (ssize_t)files[i].n);
        assert_int_equal(ftruncate(fd, files[i].size), 0); /* zeros, which take no room */
        close(fd);
    }
}

static void test_eval(void **state) {
    (void)state;
    put_many_pictures();
    for (int i = 0; i < N_WIDTHS; i++) {
        open_window(&w, widths[i], "/400000 ",
                    program("TERM=tmux-256color", "eval --model m --data t10k-images-idx3-ubyte --threads 1"));
        for (int k = 0; k < 2; k++) must_show_a_bar();
        must_stop("");
    }
}

/* Its bar is a line above those of the two runs. */
static void test_sweep(void **state) {
    (void)state;
    for (int i = 0; i < N_WIDTHS; i++) {
        open_window(&w, widths[i], " of 4 runs done",
                    program("TERM=tmux-256color", text(SWEEP_ON LONG "n%d", widths[i])));
        w.below = 2;
        must_show_a_bar();
        must_stop("");
    }
}

/* What was drawn before is broken anew by the window, and taken away all the same. */
static void test_window_changes(void **state) {
    (void)state;
    static const int then[] = {40, 132, 60, 59, 132, 40, 80};
    open_long(80, "resized");
    must_show_a_bar();
    for (size_t i = 0; i < sizeof then / sizeof *then; i++) {
        resize(&w, then[i]);
        must_show_a_bar();
        must_show_a_bar();
    }
    must_stop("\nstopping after this step, with a");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_ends, end_tmux),           cmocka_unit_test_teardown(test_train, end_tmux),
        cmocka_unit_test_teardown(test_eval, end_tmux),           cmocka_unit_test_teardown(test_sweep, end_tmux),
        cmocka_unit_test_teardown(test_window_changes, end_tmux),
    };
    return cmocka_run_group_tests(tests, setup_terminal, teardown);
}
