/* What is shown at terminals of different widths: the widths, the program's words, and what must be on the screen when
 * they have ended. What a screen is, the test says. */
#ifndef LF_TESTS_TERMINAL_FIXTURE_H
#define LF_TESTS_TERMINAL_FIXTURE_H

#include "cli/cli_fixture.h"

#include <unistd.h>

static const int widths[] = {40, 80, 132};
enum { N_WIDTHS = sizeof widths / sizeof *widths };

#define TRAIN_ON "train --model m --train_data data --forgetting_data base --r 2 --threads 1 --save_strategy no "
#define SWEEP_ON "sweep --config s.json --model m --train_data data --r 2 --jobs 2 "

static const char *const trained[] = {"before", "after", " steps", "peak", NULL};
static const char *const judged[] = {"before", "after", NULL};
/* Of the runs the rows show the values in which they differ: of the key that is the same in all neither name nor value.
 */
static const char *const swept[] = {"1e-3, 1", "2e-3, 2", "4 runs", NULL}, same_in_all[] = "lora_alpha=8";

/* Names as short as the narrowest terminal. */
static int setup_terminal(void **state) {
    static const char spec[] =
        "{\"sweep\": {\"learning_rate\": [0.001, 0.002], \"seed\": [1, 2], \"lora_alpha\": [8]}}";
    lf_err err = {0};
    return setup(state) || symlink(LF_TEST_DIR "/golden/vit-base", text("%s/m", root)) != 0 ||
           lf_file_write(text("%s/s.json", root), spec, strlen(spec), &err) != LF_OK;
}

/* What a shell does to run "lora-ft words" where `settings` stand in the environment: the shell becomes the program. */
static char *program(const char *settings, const char *words) {
    return text("cd %s && unset COLUMNS NO_COLOR && export %s && exec %s/lora-ft %s", root, settings, LF_BUILD_DIR,
                words);
}

static inline char *train_words(int columns, int steps) {
    return text(TRAIN_ON "--max_steps %d --learning_rate 1e-3 --output_dir t%d", steps, columns);
}
static inline char *eval_words(int columns) {
    return text("eval --model m --adapter t%d/adapter --data data --forgetting_data base --threads 1", columns);
}
static inline char *sweep_words(int columns) { return text(SWEEP_ON "--max_steps 3 --output_dir s%d", columns); }

#endif
