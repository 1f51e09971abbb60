/* At terminals of 40, 80 and 132 columns: no line is longer, a progress line stays one, and nothing of it is left at
 * the end. In a log the same is plain lines with times, and --quiet and --verbose say less and more. */
#define _GNU_SOURCE
#include "cli/pty_fixture.h"
#include "cli/terminal_fixture.h"

#include <ctype.h>

/* ---- what a terminal shows ---- */

enum { ROWS = 600, MOST_COLUMNS = 160 };
typedef struct screen {
    int columns, row, column, rows; /* where the cursor is; rows that were reached */
    char at[ROWS][MOST_COLUMNS + 1];
    int bars;    /* that were drawn */
    bool colour; /* a colour was asked for */
} screen;

static void clear_from(screen *s, int row, int column) {
    memset(s->at[row] + column, 0, (size_t)(MOST_COLUMNS - column));
}

/* "\033[12A" and the like, those that the program uses. Bytes. */
static size_t command(screen *s, const char *text) {
    char *end;
    const long n = strtol(text + 2, &end, 10);
    if (text[1] != '[') fail_msg("an escape sequence that is none: %.10s", text + 1);
    if (*end == 'K') {
        clear_from(s, s->row, s->column);
    } else if (*end == 'J') {
        clear_from(s, s->row, s->column);
        for (int row = s->row + 1; row < s->rows; row++) clear_from(s, row, 0);
    } else if (*end == 'A') {
        if (n > s->row) fail_msg("%ld rows up from row %d", n, s->row);
        s->row -= (int)n;
    } else if (*end == 'm') {
        s->colour = true;
    } else {
        fail_msg("unexpected escape sequence %.10s", text + 1);
    }
    return (size_t)(end + 1 - text);
}

static void put_character(screen *s, char c) {
    if (((unsigned char)c & 0xc0) == 0x80) return; /* the rest of one: none here is wide */
    if (s->column >= s->columns) fail_msg("a line is longer than %d columns: %s%c", s->columns, s->at[s->row], c);
    s->at[s->row][s->column++] = (unsigned char)c < 0x80 ? c : '~';
    if (c == '[' && strncmp(s->at[s->row], "train", 5) == 0) s->bars++;
}

static void show(screen *s, const char *text, int columns) {
    *s = (screen){.columns = columns, .rows = 1};
    for (size_t size; *text; text += size) {
        size = 1;
        if (*text == '\033') {
            size = command(s, text);
        } else if (*text == '\r') {
            s->column = 0;
        } else if (*text == '\n') {
            assert_true(s->row + 1 < ROWS);
            s->row++;
            s->column = 0;
            if (s->row >= s->rows) s->rows = s->row + 1;
        } else {
            put_character(s, *text);
        }
    }
}

static bool shows(const screen *s, const char *words) {
    for (int row = 0; row < s->rows; row++)
        if (strstr(s->at[row], words)) return true;
    return false;
}

/* What the program writes at a terminal, until it ends: there is no other end. */
static int run_at(screen *s, int columns, const char *words) {
    static char all[1 << 20];
    const int terminal = open_terminal();
    size_t n = 0;
    int status;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) become_program_at(terminal, columns, words);
    for (bool waiting = true; waiting;) {
        struct pollfd p = {.fd = terminal, .events = POLLIN};
        const bool late = poll(&p, 1, GIVE_UP_MS) == 0;
        const ssize_t got = late ? 0 : read(terminal, all + n, sizeof all - 1 - n);
        if (late) kill(child, SIGKILL);
        waiting = got > 0; /* where the program ended, Linux says EIO */
        n += got > 0 ? (size_t)got : 0;
    }
    all[n] = 0;
    close(terminal);
    assert_int_equal(waitpid(child, &status, 0), child);
    show(s, all, columns);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void must_show(int columns, screen *s, const char *words, const char *const *expected) {
    if (run_at(s, columns, words))
        fail_msg("'%s' at %d columns failed; its last line: %s", words, columns, s->at[s->rows > 1 ? s->rows - 2 : 0]);
    for (; *expected; expected++)
        if (!shows(s, *expected)) fail_msg("'%s' at %d columns: no '%s'", words, columns, *expected);
    if (shows(s, "ETA") || shows(s, "##")) fail_msg("'%s' at %d columns: a progress line is left", words, columns);
}

/* ---- the program at one ---- */

static screen s;

static void test_train_and_eval(void **state) {
    (void)state;
    for (int i = 0; i < N_WIDTHS; i++) {
        must_show(widths[i], &s, program("TERM=xterm", train_words(widths[i], 400)), trained);
        assert_true(s.bars > 0 && s.colour);
        must_show(widths[i], &s, program("TERM=xterm NO_COLOR=1", eval_words(widths[i])), judged);
        assert_false(s.colour);
    }
}

static void test_sweep(void **state) {
    (void)state;
    for (int i = 0; i < N_WIDTHS; i++) {
        must_show(widths[i], &s, program("TERM=dumb", sweep_words(widths[i])), swept);
        assert_false(s.colour || shows(&s, same_in_all));
    }
}

static void put_tasks(void) {
    static const char tasks[] = "{\"tasks\": [{\"name\": \"longer-name\", \"train_data\": \"data\"}, {\"name\": "
                                "\"another\", \"train_data\": \"data/train\", \"eval_data\": \"data/test\"}]}";
    lf_err err = {0};
    assert_int_equal(lf_file_write(text("%s/c.json", root), tasks, strlen(tasks), &err), LF_OK);
}

/* Each of the verbs that print a table, or names and what they are. */
static void test_other_verbs(void **state) {
    (void)state;
    static const struct {
        const char *words, *expected[4];
    } verbs[] = {
        {"bench --model m --batch 2 --steps 3 --threads 1 --profile",
         {"items_per_second", "closing", "between kernels"}},
        {"inspect --model m --adapter t40/adapter", {"target_modules", "q_proj", "r 2, scaling 4"}},
        {"inspect m t40", {"a model", "learning_rate", "eval_accuracy"}},
        {"verify t40 m", {"run: is whole", "model: is whole", "rounding"}},
        {"spectrum --model m --adapter t40/adapter --r 4", {"[out, in]", "median", "intruders"}},
        {"rewind --model m --adapter t40/adapter --data data --forgetting_data base --lambdas 0,0.5,1 --threads 1",
         {"lambda", "retention", "100.00"}},
        {"predict --model m --adapter t40/adapter --data data/test --top_k 2", {"probability", "true label", "top k"}},
        {"preview --model m --train_data data", {"apple", "classes"}},
        {"convert --adapter t40/adapter --r 1 --output_dir reduced%d", {"rank was", "q_proj", "was dropped"}},
        {"merge --model m --adapter t40/adapter --output_dir merged%d", {"weights"}},
        {"report s40", {"runs", "learning"}},
        {"continual --config c.json --model m --forgetting_data base --r 2 --max_steps 3 --threads 1 --output_dir c%d",
         {"after", "average_incremental_accuracy", "base_after"}},
    };
    put_tasks();
    for (int i = 0; i < N_WIDTHS; i++)
        for (size_t k = 0; k < sizeof verbs / sizeof *verbs; k++) {
            char words[300];
            snprintf(words, sizeof words, verbs[k].words, widths[i]);
            must_show(widths[i], &s, program("TERM=dumb", words), verbs[k].expected);
        }
}

/* COLUMNS is what the user wants; below 40 there is no use. */
static void test_columns_is_asked_first(void **state) {
    (void)state;
    const char *words = program("COLUMNS=48", "eval --model m --forgetting_data base --threads 1 --verbose");
    must_show(48, &s, words, judged);
    must_show(40, &s, program("COLUMNS=7", "eval --model m --forgetting_data base --threads 1"), judged);
    must_show(80, &s, program("TERM=xterm", "eval --model m --forgetting_data base --threads 1"), judged);
}

/* ---- a log ---- */

static void said_of(const char *words) {
    if (run_shell(text("cd %s && %s/lora-ft %s 2>&1 >/dev/null", root, LF_BUILD_DIR, words)))
        fail_msg("'%s': %s", words, output);
}

static void test_quiet_and_verbose(void **state) {
    (void)state;
    static const char on[] =
        "train --model m --train_data data --r 2 --max_steps 3 --threads 1 --save_strategy no --output_dir ";
    said_of(text("%s plain", on));
    assert_true(strstr(output, "train: 3 steps") && !strchr(output, '\033') && !strchr(output, '\r'));
    const char *at = strstr(output, "train: 3 steps"), *begin = at - strlen("2026-11-30 09:15:02 ");
    for (const char *c = "dddd-dd-dd dd:dd:dd "; *c; c++, begin++)
        if (*c == 'd' ? !isdigit((unsigned char)*begin) : *begin != *c) fail_msg("no time in front of: %s", at);
    said_of(text("%s calm --quiet", on));
    assert_string_equal(output, "");
    said_of(text("%s wordy --verbose", on));
    assert_true(strstr(output, "train: 3 steps") && strstr(output, " threads"));
    assert_true(isdigit((unsigned char)output[0]));
    assert_int_equal(run_shell(text("cd %s && %s/lora-ft %s no --quiet --verbose 2>&1", root, LF_BUILD_DIR, on)), 2);
    assert_non_null(strstr(output, "quiet"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_train_and_eval),    cmocka_unit_test(test_sweep),
        cmocka_unit_test(test_other_verbs),       cmocka_unit_test(test_columns_is_asked_first),
        cmocka_unit_test(test_quiet_and_verbose),
    };
    return cmocka_run_group_tests(tests, setup_terminal, teardown);
}
