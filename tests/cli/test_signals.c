/* Signals, as the program takes them: in a thread of their own, never in one that computes; what each of them does to a
 * run and to a sweep; and what the program's children find. */
#define _GNU_SOURCE
#include "cli/held_fixture.h"

#include <sys/prctl.h>
#include <sys/time.h>

#include "base/child.h"
#include "cli/signals.h"
#include "lora_ft.h"

#define TRAIN                                                                                                          \
    "train --model $M --train_data data --threads 2 --r 4 --per_device_train_batch_size 4 --learning_rate 5e-3 "

/* ---- a timer beside the arithmetic ---- */

static volatile sig_atomic_t alarms, alarms_elsewhere;

static void on_alarm(int number) {
    char name[17] = "";
    (void)number;
    prctl(PR_GET_NAME, name);
    alarms++;
    alarms_elsewhere += strcmp(name, "signals") != 0;
}

static void every(long microseconds) {
    const struct itimerval t = {.it_interval.tv_usec = microseconds, .it_value.tv_usec = microseconds};
    assert_int_equal(setitimer(ITIMER_REAL, &t, NULL), 0);
}

static void train_here(const char *precision, const char *name) {
    const char *const settings[][2] = {{"model", LF_TEST_DIR "/golden/vit-base"},
                                       {"train_data", text("%s/data", root)},
                                       {"max_steps", "60"},
                                       {"per_device_train_batch_size", "4"},
                                       {"threads", "2"},
                                       {"save_strategy", "no"},
                                       {"eval_strategy", "no"},
                                       {"method", "full"},
                                       {"precision", precision},
                                       {"output_dir", text("%s/%s", root, name)},
                                       {"overwrite_output_dir", "true"}};
    lf_config *cfg = NULL;
    lf_err err = {0};
    lf_status rc = lf_config_new(&cfg, "train", &err);
    for (size_t i = 0; !rc && i < sizeof settings / sizeof *settings; i++)
        rc = lf_config_set(cfg, settings[i][0], settings[i][1], &err);
    FILE *nowhere = fopen("/dev/null", "w");
    if (!rc && !(rc = lf_config_finish(cfg, &err))) rc = lf_train(cfg, nowhere, &err);
    fclose(nowhere);
    lf_config_free(cfg);
    if (rc) fail_msg("%s", err.message);
}

/* Runs in a process of its own: this one is to have no threads yet. What it finds wrong is its exit code. */
static int train_beside_a_timer(const char *precision) {
    const struct sigaction handle = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    if (sigaction(SIGALRM, &handle, NULL) || lf_signals_take()) return 2;
    every(900);
    do train_here(precision, text("timed-%s", precision));
    while (alarms < 100);
    every(0);
    return alarms_elsewhere ? 3 : 0;
}

/* A handler without an alternate stack, as a profiler has it, must not run where oneDNN computes: its AVX-512 code
 * keeps its stack pointer in the heap. On a processor without AVX-512 the heap is safe in any case, so what is looked
 * at on all of them is the thread in which the handler ran; on one with it, the bytes and the end of the run say the
 * same. */
static void a_timer_beside_training(const char *precision) {
    const pid_t quiet = fork();
    if (quiet == 0) {
        train_here(precision, text("quiet-%s", precision));
        _exit(0);
    }
    assert_int_equal(code_of(quiet), 0);
    const pid_t timed = fork();
    if (timed == 0) _exit(train_beside_a_timer(precision));
    assert_int_equal(code_of(timed), 0);
    same_files(text("quiet-%s/model/model.safetensors", precision),
               text("timed-%s/model/model.safetensors", precision));
}

static void test_a_timer_beside_training_in_fp32(void **state) {
    (void)state;
    a_timer_beside_training("fp32");
}

static void test_a_timer_beside_training_in_bf16(void **state) {
    (void)state;
    a_timer_beside_training("bf16");
}

/* ---- what a run does ---- */

/* A run that stands at its first steps. */
static pid_t start_held(const char *name, const char *before, int *says) {
    *says = hold(text("%s.log", name));
    const pid_t pid = start_run(text("%s --output_dir %s", before, name), text("%s.log", name));
    wait_for_words(*says, "step 2:");
    stop_for_a_while(pid);
    return pid;
}

static void stops_and_goes_on(const char *name, int number, int times) {
    int says;
    const pid_t pid = start_held(name, TRAIN TALKATIVE, &says);
    for (int i = 0; i < times; i++) send_signal(pid, number);
    wait_for_words(says, "go on with --resume_from_checkpoint true");
    let_go(says, text("%s.log", name));
    assert_int_equal(code_of(pid), 130);
    must(run(TRAIN TALKATIVE "--resume_from_checkpoint true --output_dir %s", name), 0);
    assert_non_null(strstr(output, "resumed from"));
    same_files("straight/adapter/adapter_model.safetensors", text("%s/adapter/adapter_model.safetensors", name));
}

static void test_a_run_stops_with_a_checkpoint(void **state) {
    (void)state;
    must(run(TRAIN TALKATIVE "--output_dir straight 2>straight.log"), 0);
    needs_the_pipe("straight.log");
    stops_and_goes_on("interrupted", SIGINT, 1);
    stops_and_goes_on("terminated", SIGTERM, 1);
    stops_and_goes_on("hung-up", SIGHUP, 2); /* the shell says it again */
}

/* Twice is meant: nobody waits for a step that takes too long. */
static void test_the_second_one_ends_at_once(void **state) {
    (void)state;
    int says;
    const pid_t pid = start_held("twice", TRAIN TALKATIVE, &says);
    send_signal(pid, SIGINT);
    assert_int_equal(kill(pid, SIGINT), 0);
    assert_int_equal(code_of(pid), 130); /* while it stands */
    let_go(says, "twice.log");
}

static void test_nohup(void **state) {
    (void)state;
    int says;
    signal(SIGHUP, SIG_IGN);
    const pid_t pid = start_held("nohup", TRAIN TALKATIVE, &says);
    signal(SIGHUP, SIG_DFL);
    send_signal(pid, SIGHUP);
    let_go(says, "nohup.log"); /* nobody reads any more, which ends no run either */
    assert_int_equal(code_of(pid), 0);
    same_files("straight/adapter/adapter_model.safetensors", "nohup/adapter/adapter_model.safetensors");
}

static void test_a_checkpoint_on_request(void **state) {
    (void)state;
    int says, step = 0;
    const pid_t pid = start_held("asked", TRAIN TALKATIVE, &says);
    send_signal(pid, SIGUSR1);
    wait_for_words(says, "is written, as requested");
    sscanf(strstr(output, "asked/checkpoint-"), "asked/checkpoint-%d", &step);
    assert_true(step > 0 && step < 200);
    assert_true(lf_is_file(text("%s/asked/checkpoint-%d/state.safetensors", root, step)));
    let_go(says, "asked.log");
    assert_int_equal(code_of(pid), 0);
    same_files("straight/adapter/adapter_model.safetensors", "asked/adapter/adapter_model.safetensors");
}

static void test_output_that_nobody_reads(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    const pid_t pid = fork();
    if (pid == 0) {
        if (chdir(root) || dup2(ends[1], 1) < 0 || !freopen("unread.log", "w", stderr)) _exit(99);
        execl(LF_BUILD_DIR "/lora-ft", "lora-ft", "inspect", "--model", LF_TEST_DIR "/golden/vit-base", (char *)NULL);
        _exit(99);
    }
    close(ends[1]);
    assert_int_equal(code_of(pid), 1);
    assert_int_equal(system(text("grep -q 'cannot write to standard output: Broken pipe' '%s/unread.log'", root)), 0);
}

/* ---- what a sweep does ---- */

static void test_a_sweep_passes_the_request_on(void **state) {
    (void)state;
    static const char sweep[] = "sweep --model $M --train_data data --r 4 --per_device_train_batch_size 4 " TALKATIVE
                                "--sweep '{\"seed\": [1, 2]}' --jobs 2 --threads 2 --output_dir many ";
    static const char *const logs[] = {"many/logs/seed=1.log", "many/logs/seed=2.log"};
    int says[2];
    must(run("%s --print_commands", sweep), 0); /* its folder, and no run yet */
    for (int i = 0; i < 2; i++) says[i] = hold(logs[i]);
    const pid_t pid = start_run(sweep, "many.log");
    for (int i = 0; i < 2; i++) wait_for_words(says[i], "step 2:");
    send_signal(pid, SIGUSR1);
    for (int i = 0; i < 2; i++) wait_for_words(says[i], "is written, as requested");
    for (int i = 0; i < 2; i++) let_go(says[i], logs[i]);
    assert_int_equal(code_of(pid), 0);
    for (int i = 1; i <= 2; i++) assert_true(lf_is_file(text("%s/many/runs/seed=%d/all_results.json", root, i)));
}

/* ---- what a child finds ---- */

static unsigned long long bits_of(const char *status, const char *name) {
    unsigned long long bits = 0;
    const char *line = strstr(status, name);
    if (!line || sscanf(line + strlen(name), ": %llx", &bits) != 1) fail_msg("no %s in:\n%s", name, status);
    return bits;
}

static bool has(unsigned long long bits, int number) { return bits >> (number - 1) & 1; }

static void nothing_to_do(int number) { (void)number; }

/* Blocks, ignores and handles; then what /proc says of a program that was started so. */
static void become_a_child(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, nothing_to_do);
    lf_child_signals();
    struct sigaction now;
    if (sigaction(SIGINT, NULL, &now) || now.sa_handler != SIG_DFL) _exit(98); /* also before exec */
    if (!freopen(text("%s/child.status", root), "w", stdout)) _exit(99);
    execlp("cat", "cat", "/proc/self/status", (char *)NULL);
    _exit(99);
}

static void test_children_find_what_a_program_expects(void **state) {
    (void)state;
    char status[4096];
    const pid_t pid = fork();
    if (pid == 0) become_a_child();
    assert_int_equal(code_of(pid), 0);
    assert_true(read_small(text("%s/child.status", root), status, sizeof status));
    assert_true(bits_of(status, "SigBlk") == 0);
    assert_false(has(bits_of(status, "SigIgn"), SIGPIPE));
    assert_true(has(bits_of(status, "SigIgn"), SIGHUP));
}

/* In place of gnuplot a program that notes what it found. */
static void test_gnuplot_gets_an_empty_mask(void **state) {
    (void)state;
    static const char pretended[] = "#!/bin/sh\nexec cat /proc/self/status >\"$LF_TEST_STATUS\"\n";
    lf_err err = {0};
    char status[4096];
    const char *path = text("%s/bin/gnuplot", root);
    assert_int_equal(lf_mkdir_p(text("%s/bin", root), &err), LF_OK);
    assert_int_equal(lf_file_write(path, pretended, strlen(pretended), &err), LF_OK);
    assert_int_equal(chmod(path, 0755), 0);
    must(run("version; PATH=%s/bin:$PATH LF_TEST_STATUS=%s/gnuplot.status %s/lora-ft " TRAIN
             "--max_steps 2 --output_dir drawn",
             root, root, LF_BUILD_DIR),
         0);
    assert_true(read_small(text("%s/gnuplot.status", root), status, sizeof status));
    assert_true(bits_of(status, "SigBlk") == 0);
    assert_false(has(bits_of(status, "SigIgn"), SIGPIPE));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_timer_beside_training_in_fp32), /* before the first threads of this process */
        cmocka_unit_test(test_a_timer_beside_training_in_bf16),
        cmocka_unit_test(test_a_run_stops_with_a_checkpoint),
        cmocka_unit_test(test_the_second_one_ends_at_once),
        cmocka_unit_test(test_nohup),
        cmocka_unit_test(test_a_checkpoint_on_request),
        cmocka_unit_test(test_output_that_nobody_reads),
        cmocka_unit_test(test_a_sweep_passes_the_request_on),
        cmocka_unit_test(test_children_find_what_a_program_expects),
        cmocka_unit_test(test_gnuplot_gets_an_empty_mask),
    };
    signal(SIGHUP, SIG_DFL); /* this program may be under nohup */
    return cmocka_run_group_tests(tests, setup, teardown);
}
