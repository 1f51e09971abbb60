/* Signals, as the program takes them: in a thread of their own, never in one that computes; what each of them does to a
 * run and to a sweep; and what the program's children find. */
#define _GNU_SOURCE
#include "cli/held_fixture.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "base/child.h"
#include "base/log.h"
#include "base/mapping.h"
#include "cli/crash.h"
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

/* ---- what never comes back ---- */

/* A verb that hangs: with nothing to lose it is ended by the first signal; else it is left to itself (7). */
static int hangs(bool at_stake, int number) {
    const pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        if (lf_signals_take()) _exit(2);
        if (at_stake) lf_stake_begin();
        kill(getpid(), number);
        struct timespec left = {.tv_sec = at_stake ? 2 : 3600};
        while (nanosleep(&left, &left) && getppid() == parent)
            ;
        _exit(7);
    }
    return code_of(pid);
}

static void test_a_hanging_verb(void **state) {
    (void)state;
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    for (int i = 0; i < 3; i++) assert_int_equal(hangs(false, numbers[i]), 130);
    assert_int_equal(hangs(true, SIGTERM), 7);
}

static int lines_that_begin(const char *said, const char *with) {
    int n = 0;
    for (const char *at = said; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
        n += strncmp(at, with, strlen(with)) == 0;
    return n;
}

/* Libraries that are refused memory ask again without end, or die. Whatever the limit, a run comes to an end: it has
 * all, or one line says what it lacks. */
static void test_address_space_that_runs_out(void **state) {
    (void)state;
#ifdef __SANITIZE_ADDRESS__ /* which takes terabytes of addresses */
    skip();
#endif
    int failed = 0, done = 0;
    for (int mb = 200; mb <= 1100; mb += 60) {
        const int code = run("version; (ulimit -v %d; OMP_NUM_THREADS=2 timeout -k 1 60 %s/lora-ft " TRAIN
                             "--max_steps 1 --overwrite_output_dir true --output_dir limited 2>limited.log)",
                             mb * 1000, LF_BUILD_DIR);
        char said[16384] = "";
        assert_true(read_small(text("%s/limited.log", root), said, sizeof said));
        if (strstr(said, "error while loading shared libraries")) continue; /* not even those have room */
        if (code != 0 && code != 1) fail_msg("%d MB: exit code %d: %s", mb, code, said);
        if (code == 1 && lines_that_begin(said, "lora-ft") != 1) fail_msg("%d MB: %s", mb, said);
        failed += code == 1;
        done += code == 0;
    }
    if (!failed || !done) fail_msg("%d failed and %d went through: the limits test nothing", failed, done);
}

/* A stack of a few pages: one line, and no SIGSEGV; from 256 KiB on a run comes to its end, its threads included. */
static void test_a_small_stack(void **state) {
    (void)state;
#ifdef __SANITIZE_ADDRESS__ /* whose frames are larger */
    skip();
#endif
    static const int kib[] = {32, 64, 128, 255, 256, 512};
    for (size_t i = 0; i < sizeof kib / sizeof *kib; i++) {
        const int code = run("version; (ulimit -s %d; OMP_NUM_THREADS=2 %s/lora-ft " TRAIN
                             "--max_steps 1 --init_lora_weights intermediate --decomposition_cache none "
                             "--overwrite_output_dir true --output_dir stacked 2>&1)",
                             kib[i], LF_BUILD_DIR);
        must(code, kib[i] < 256);
        if (kib[i] < 256)
            said(
                "lora-ft: the stack is limited to less than 256 KiB, which the libraries need; raise the limit (ulimit "
                "-s 8192)\n");
    }
}

/* ---- a page that is gone, under several threads ---- */

enum { READERS = 4 };
static const lf_mapping *cut;
static pthread_barrier_t at_once;

static void *read_what_is_gone(void *unused) {
    (void)unused;
    pthread_barrier_wait(&at_once);
    return cut->data[cut->size - 1] ? NULL : &at_once;
}

/* Its standard error is `to`; it does not come back. */
static void read_at_once(int to) {
    pthread_t readers[READERS];
    lf_err err = {0};
    const int fd = open(text("%s/cut.bin", root), O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (dup2(to, 2) < 0 || fd < 0 || ftruncate(fd, 1 << 20) || lf_mapping_open(&cut, fd, "cut.bin", &err)) _exit(99);
    lf_crashes_name();
    if (ftruncate(fd, 1) || pthread_barrier_init(&at_once, NULL, READERS)) _exit(99);
    for (int i = 0; i < READERS; i++)
        if (pthread_create(&readers[i], NULL, read_what_is_gone, NULL)) _exit(99);
    for (int i = 0; i < READERS; i++) pthread_join(readers[i], NULL);
    _exit(98);
}

/* One line, whole, whoever comes first. */
static void test_threads_that_meet_a_gone_page_say_it_once(void **state) {
    (void)state;
    for (int i = 0; i < 50; i++) {
        int ends[2], status;
        size_t n = 0;
        ssize_t got;
        assert_int_equal(pipe(ends), 0);
        const pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) read_at_once(ends[1]);
        close(ends[1]);
        while ((got = read(ends[0], output + n, sizeof output - 1 - n)) > 0) n += (size_t)got;
        close(ends[0]);
        output[n] = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
        assert_int_equal(strncmp(output, "lora-ft: cut.bin: it became shorter", 35), 0);
        assert_ptr_equal(strchr(output, '\n'), output + n - 1);
    }
}

static void test_a_crash_has_a_line(void **state) {
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip();
#endif
    static const struct {
        int number;
        const char *name;
    } ends[] = {{SIGSEGV, "SIGSEGV"}, {SIGABRT, "SIGABRT"}, {SIGFPE, "SIGFPE"}, {SIGILL, "SIGILL"}};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        int fd[2];
        char said[2048] = "";
        assert_int_equal(pipe(fd), 0);
        const pid_t pid = fork();
        if (pid == 0) {
            const struct rlimit none = {0, 0};
            dup2(fd[1], 2);
            if (setrlimit(RLIMIT_CORE, &none) || lf_signals_take()) _exit(2);
            raise(ends[i].number);
            _exit(7);
        }
        close(fd[1]);
        assert_int_equal(code_of(pid), 1);
        assert_true(read(fd[0], said, sizeof said - 1) > 0);
        close(fd[0]);
        if (!strstr(said, ends[i].name) || strchr(said, '\n')[1]) fail_msg("%s: %s", ends[i].name, said);
    }
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

static int64_t times_in(const char *all, const char *words) {
    int64_t n = 0;
    for (const char *at = all; (at = strstr(at, words)); at += strlen(words)) n++;
    return n;
}

/* What Ctrl-C does is said at once, once, and before the step has ended; with --quiet it is not. */
static void test_an_interruption_is_answered(void **state) {
    (void)state;
    static const char answer[] =
        "\nstopping after this step, with a checkpoint; a second Ctrl-C ends it at once, without one\n";
    for (int quiet = 0; quiet < 2; quiet++) {
        const char *name = quiet ? "answered-quietly" : "answered", *log = text("%s.log", name);
        char path[100];
        int waited = 0;
        snprintf(path, sizeof path, "%s/metrics.jsonl", name);
        const pid_t pid = start_run(text(TRAIN "--max_steps 1000000 --logging_steps 1 --eval_strategy steps "
                                               "--eval_steps 1 --save_strategy no %s--output_dir %s",
                                         quiet ? "--quiet " : "", name),
                                    log);
        while (lf_file_size(text("%s/%s", root, path)) < 400) wait_a_moment(&waited); /* it trains */
        stop_for_a_while(pid);
        assert_int_equal(kill(pid, SIGINT), 0);
        assert_int_equal(code_of(pid), 130);
        assert_int_equal(run_shell(text("cat %s/%s.log", root, name)), 0);
        const char *said = strstr(output, answer), *end = strstr(output, "interrupted after step ");
        if (times_in(output, "stopping after this step") != !quiet || !end || (said == NULL) != quiet ||
            (said && said > end))
            fail_msg("%s", output);
    }
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

/* However short the time is, each call comes a step further. */
static void test_a_limit_of_time(void **state) {
    (void)state;
    static const char timed[] = TRAIN "--max_steps 3 --resume_from_checkpoint true --output_dir timed ";
    must(run(TRAIN "--max_steps 3 --output_dir untimed"), 0);
    for (int step = 1; step <= 2; step++) {
        must(run("%s--max_train_minutes 1e-9", timed), 130);
        if (!strstr(output,
                    text("max_train_minutes are over after step %d; timed/checkpoint-%d is written", step, step)))
            fail_msg("step %d:\n%s", step, output);
    }
    must(run("%s--max_train_minutes 1e-9", timed), 0); /* the last step is the end */
    same_files("untimed/adapter/adapter_model.safetensors", "timed/adapter/adapter_model.safetensors");
    must(
        run("sweep --model $M --train_data data --r 4 --max_steps 3 --sweep '{\"seed\": [1]}' --max_train_minutes 1e-9 "
            "--output_dir late"),
        130);
    said("stopped, because max_train_minutes are over; the same command goes on");
    must(run("sweep --model $M --train_data data --r 4 --max_steps 3 --sweep '{\"seed\": [1]}' --max_train_minutes 1e9 "
             "--output_dir late"),
         0);
}

/* With `blocks` of 512 bytes as the most that a file may have. */
static int run_limited(int blocks, const char *arguments) {
    return run_shell(text("{ cd %s && M=%s/golden/vit-base && (ulimit -f %d && exec %s/lora-ft %s); } 2>&1", root,
                          LF_TEST_DIR, blocks, LF_BUILD_DIR, arguments));
}

static void says(const char *words) {
    const size_t n = strlen(output);
    if (!strstr(output, words)) fail_msg("no '%s' in the last of\n%s", words, output + (n > 900 ? n - 900 : 0));
}

/* SIGXFSZ: a file that may not grow is an error like a full disk. A log ends the run with a checkpoint, which the run
 * goes on from; a checkpoint does not end it. */
static void test_files_that_may_not_grow(void **state) {
    (void)state;
    static const char log[] =
        TRAIN "--method head --max_steps 120 --logging_steps 1 --eval_strategy steps --eval_steps 1 "
              "--save_strategy no --output_dir ";
    must(run_limited(40, text("%slog", log)), 1);
    says("log/metrics.jsonl: ");
    says("is written, make room and go on with --resume_from_checkpoint true");
    must(run("%slog --resume_from_checkpoint true", log), 0);
    says("resumed from log/checkpoint-");
    must(run("%sunlimited", log), 0);
    same_files("unlimited/adapter/adapter_model.safetensors", "log/adapter/adapter_model.safetensors");
    must(run_limited(20, TRAIN "--max_steps 4 --save_strategy steps --save_steps 2 --output_dir state"), 1);
    says("no checkpoint of step 2: state/checkpoint-2.tmp/state.safetensors: cannot write: File too large; training "
         "goes");
    says("state/adapter");
    assert_false(lf_exists(text("%s/state/checkpoint-2.tmp", root)));
}

/* What a run that was killed has left is gone when the next one has begun, and what it was replacing is back; a user's
 * files stay, whatever they are called. */
static void test_leftovers_are_removed(void **state) {
    (void)state;
    static const char *const gone[] = {"checkpoint-2.tmp", "checkpoint-1.old-77-0", "adapter.tmp-77-1",
                                       "metrics.jsonl.tmp-77-2", "checked_images/0/checked.json.tmp-77-4"};
    static const char *const stay[] = {"checkpoint-1.old-1", "notes.tmp-77-0", "thesis.tmp", "checkpoint-1"};
    const char *resume = TRAIN "--max_steps 2 --save_strategy steps --save_steps 1 --resume_from_checkpoint true "
                               "--output_dir left";
    must(run("%s --max_steps 1", resume), 0);
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        assert_int_equal(lf_mkdir_p(text("%s/left/%s", root, gone[i]), NULL), LF_OK);
    for (size_t i = 0; i + 1 < sizeof stay / sizeof *stay; i++)
        assert_int_equal(lf_mkdir_p(text("%s/left/%s", root, stay[i]), NULL), LF_OK);
    assert_int_equal(rename(text("%s/left/config.json", root), text("%s/left/config.json.old-77-3", root)), 0);
    assert_int_equal(unlink(text("%s/left/all_results.json", root)), 0); /* it was killed, so it had not ended */
    must(run("%s --dry_run", resume), 0);                                /* touches nothing */
    assert_true(lf_is_dir(text("%s/left/%s", root, gone[0])));
    must(run("%s", resume), 0);
    assert_non_null(strstr(output, "left/config.json is put back"));
    assert_non_null(strstr(output, "resumed from left/checkpoint-1"));
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        if (lf_exists(text("%s/left/%s", root, gone[i]))) fail_msg("%s is there", gone[i]);
    for (size_t i = 0; i < sizeof stay / sizeof *stay; i++)
        if (!lf_exists(text("%s/left/%s", root, stay[i]))) fail_msg("%s is gone", stay[i]);
    assert_int_equal(lf_mkdir_p(text("%s/left/curves.csv.tmp-77-5", root), NULL), LF_OK); /* after its end */
    must(run("%s", resume), 0);
    assert_non_null(strstr(output, "the run is finished"));
    assert_false(lf_exists(text("%s/left/curves.csv.tmp-77-5", root)));
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

/* A batch system tells all processes of a job, and the sweep tells its runs: that is one order to end, not two. */
static void test_a_job_that_is_told_to_end(void **state) {
    (void)state;
    static const char sweep[] = "sweep --model $M --train_data data --r 4 --per_device_train_batch_size 4 " TALKATIVE
                                "--sweep '{\"seed\": [1, 2]}' --jobs 2 --threads 2 --output_dir told ";
    static const char *const logs[] = {"told/logs/seed=1.log", "told/logs/seed=2.log"};
    int says[2], runs[2];
    must(run("%s --print_commands", sweep), 0);
    for (int i = 0; i < 2; i++) says[i] = hold(logs[i]);
    const pid_t pid = start_run(sweep, "told.log");
    for (int i = 0; i < 2; i++) wait_for_words(says[i], "step 2:");
    FILE *f = fopen(text("/proc/%d/task/%d/children", (int)pid, (int)pid), "r");
    if (!f || fscanf(f, "%d %d", &runs[0], &runs[1]) != 2) fail_msg("the runs of the sweep are not there");
    fclose(f);
    for (int i = 0; i < 2; i++) assert_int_equal(kill(runs[i], SIGTERM), 0);
    assert_int_equal(kill(pid, SIGTERM), 0);
    for (int i = 0; i < 2; i++) wait_for_words(says[i], "go on with --resume_from_checkpoint true");
    for (int i = 0; i < 2; i++) let_go(says[i], logs[i]);
    assert_int_equal(code_of(pid), 130);
    must(run("%s", sweep), 0);
    for (int i = 1; i <= 2; i++) {
        size_t n;
        char *log = contents(text("told/logs/seed=%d.log", i), &n);
        if (!strstr(log, "resumed from")) fail_msg("seed %d began anew:\n%s", i, log);
        lf_free(log);
    }
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
        cmocka_unit_test(test_a_hanging_verb),
        cmocka_unit_test(test_threads_that_meet_a_gone_page_say_it_once),
        cmocka_unit_test(test_a_crash_has_a_line),
        cmocka_unit_test(test_address_space_that_runs_out),
        cmocka_unit_test(test_a_small_stack),
        cmocka_unit_test(test_a_run_stops_with_a_checkpoint),
        cmocka_unit_test(test_an_interruption_is_answered),
        cmocka_unit_test(test_the_second_one_ends_at_once),
        cmocka_unit_test(test_nohup),
        cmocka_unit_test(test_a_checkpoint_on_request),
        cmocka_unit_test(test_a_limit_of_time),
        cmocka_unit_test(test_files_that_may_not_grow),
        cmocka_unit_test(test_leftovers_are_removed),
        cmocka_unit_test(test_output_that_nobody_reads),
        cmocka_unit_test(test_a_sweep_passes_the_request_on),
        cmocka_unit_test(test_a_job_that_is_told_to_end),
        cmocka_unit_test(test_children_find_what_a_program_expects),
        cmocka_unit_test(test_gnuplot_gets_an_empty_mask),
    };
    signal(SIGHUP, SIG_DFL); /* this program may be under nohup */
    return cmocka_run_group_tests(tests, setup, teardown);
}
