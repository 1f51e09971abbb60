/* `lora-ft sweep` as a user runs it: killed and gone on with, widened, with points that diverge and fail, and the same
 * as runs by hand. */
#define _GNU_SOURCE
#include "cli/held_fixture.h"

#include <sys/prctl.h>

#include "base/lock.h"

#define SWEEP                                                                                                          \
    "sweep --model $M --train_data data --forgetting_data base --r 4 --max_steps 6 --per_device_train_batch_size 4 "   \
    "--logging_steps 2 "

static void put(const char *name, const char *content) {
    lf_err err = {0};
    if (lf_file_write(text("%s/%s", root, name), content, strlen(content), &err)) fail_msg("%s", err.message);
}

static cJSON *json_at(const char *path) {
    cJSON *o;
    lf_err err = {0};
    if (lf_json_read(&o, text("%s/%s", root, path), &err)) fail_msg("%s", err.message);
    return o;
}

static int is_there(const char *path) { return lf_is_file(text("%s/%s", root, path)); }

static int64_t count_files(const char *folder) {
    char **names;
    size_t n;
    lf_err err = {0};
    assert_int_equal(lf_list_dir(&names, &n, text("%s/%s", root, folder), &err), LF_OK);
    lf_free(names);
    return (int64_t)n;
}

/* ---- a sweep and its runs ---- */

static void test_sweep_equals_runs_by_hand(void **state) {
    (void)state;
    put("three.json",
        "{\"sweep\": {\"init_position\": [0, 0.5], \"learning_rate\": [1e-3, 1e-2], \"seed\": [1, 2]}, // a comment\n"
        " \"init_lora_weights\": \"intermediate\", \"jobs\": 2, \"threads\": 2}");
    must(run(SWEEP "--config three.json --output_dir three"), 0);
    static const char *const files[] = {"sweep.json",
                                        "results.csv",
                                        "summary.csv",
                                        "report.html",
                                        "runs/init_position=0.5,learning_rate=0.01,seed=2/all_results.json",
                                        "points/init_position=0,learning_rate=0.001,seed=1.json",
                                        "logs/init_position=0,learning_rate=0.001,seed=1.log"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (!is_there(text("three/%s", files[i]))) fail_msg("three/%s is missing", files[i]);
    assert_int_equal(count_files("three/runs"), 8);
    assert_int_equal(count_files("three/cache/base"), 1); /* measured once */
    must(run("train --model $M --train_data data --forgetting_data base --r 4 --max_steps 6 "
             "--per_device_train_batch_size 4 --logging_steps 2 "
             "--init_lora_weights intermediate --init_position 0.5 --learning_rate 1e-2 --seed 2 --threads 1 "
             "--output_dir alone"),
         0);
    static const char run_2[] = "three/runs/init_position=0.5,learning_rate=0.01,seed=2";
    same_files(text("%s/adapter/adapter_model.safetensors", run_2), "alone/adapter/adapter_model.safetensors");
    must(run("sweep --config three/sweep-config.json --output_dir again"), 0); /* the command of its page */
    same_files(text("%s/adapter/adapter_model.safetensors", run_2),
               "again/runs/init_position=0.5,learning_rate=0.01,seed=2/adapter/adapter_model.safetensors");
    static const char *const keys[] = {"eval_accuracy", "eval_loss",       "base_before",    "base_after", "base_ce",
                                       "base_kl",       "base_knn_before", "base_knn_after", "forgetting", "threads"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (result(run_2, keys[i]) != result("alone", keys[i]))
            fail_msg("%s: %.17g in the sweep, %.17g alone", keys[i], result(run_2, keys[i]), result("alone", keys[i]));
}

/* Without anything to do nothing is run; a new value runs alone; other settings are refused. */
static void test_sweep_goes_on(void **state) {
    (void)state;
    must(run(SWEEP "--sweep '{\"seed\": [1, 2]}' --learning_rate 1e-3 --output_dir on"), 0);
    struct stat before, after;
    assert_int_equal(stat(text("%s/on/runs/seed=1/all_results.json", root), &before), 0);
    assert_int_equal(system(text("for f in %s/on/cache/base/*/score.safetensors; do printf X | dd of=$f bs=1 seek=900 "
                                 "conv=notrunc status=none; done",
                                 root)),
                     0);
    must(run(SWEEP "--sweep '{\"seed\": [1, 2, 3]}' --learning_rate 1e-3 --output_dir on"), 0);
    assert_int_equal(system(text("grep -q 'base_cache.*measured again' '%s/on/logs/seed=3.log'", root)),
                     0); /* damaged: seen, and of no harm */
    assert_true(result("on/runs/seed=3", "base_before") == result("on/runs/seed=1", "base_before"));
    assert_true(result("on/runs/seed=3", "base_entropy") == result("on/runs/seed=1", "base_entropy"));
    said("2 are finished already");
    assert_int_equal(stat(text("%s/on/runs/seed=1/all_results.json", root), &after), 0);
    assert_true(before.st_ino == after.st_ino);
    assert_true(is_there("on/runs/seed=3/all_results.json"));
    must(run(SWEEP "--sweep '{\"seed\": [1, 2]}' --learning_rate 2e-3 --output_dir on"), 2);
    said("was begun with learning_rate 0.001, which is 0.002 now");
    must(run(SWEEP "--sweep '{\"seed\": [1]}' --learning_rate 2e-3 --output_dir on --overwrite_output_dir"), 0);
    assert_int_equal(count_files("on/runs"), 1);
    assert_int_equal(mkdir(text("%s/mine", root), 0755), 0);
    put("mine/thesis.txt", "years of work");
    must(run(SWEEP "--sweep '{\"seed\": [1]}' --output_dir mine --overwrite_output_dir"), 2);
    said("holds no sweep");
    assert_true(is_there("mine/thesis.txt"));
}

/* A sweep whose first two runs stand at their first steps, and what they say. */
typedef struct held_sweep {
    pid_t pid, runs[2];
    int says[2];
    char logs[2][100];
} held_sweep;

static void start_held_sweep(held_sweep *h, const char *command, const char *dir) {
    must(run("%s%s --print_commands", command, dir), 0); /* its folder, and no run yet */
    for (int i = 0; i < 2; i++) {
        snprintf(h->logs[i], sizeof h->logs[i], "%s/logs/seed=%d.log", dir, i + 1);
        h->says[i] = hold(h->logs[i]);
    }
    h->pid = start_run(text("%s%s", command, dir), text("%s.log", dir));
    for (int i = 0; i < 2; i++) wait_for_words(h->says[i], "step 2:");
    assert_int_equal(children_of(h->pid, h->runs, 2), 2);
    stop_for_a_while(h->pid);
    for (int i = 0; i < 2; i++) stop_for_a_while(h->runs[i]);
}

static void let_runs_go(const held_sweep *h) {
    for (int i = 0; i < 2; i++) let_go(h->says[i], h->logs[i]);
}

static void has_said(const char *log, const char *words) {
    size_t n;
    char *all = contents(log, &n);
    const bool found = memmem(all, n, words, strlen(words)) != NULL;
    if (!found) print_message("%.*s\n", (int)n, all);
    lf_free(all);
    if (!found) fail_msg("expected '%s' in %s", words, log);
}

#define TWO_AT_ONCE "--jobs 2 --threads 2 " TALKATIVE

/* The sweep is killed so that it can do nothing about it; its runs end their steps, and the same command makes of them
 * what would have been. */
static void test_killed_in_the_middle(void **state) {
    (void)state;
    static const char command[] =
        SWEEP "--sweep '{\"seed\": [1, 2, 3]}' --learning_rate 1e-3 " TWO_AT_ONCE "--output_dir ";
    held_sweep h;
    must(run("%sstraight", command), 0);
    needs_the_pipe("straight/logs/seed=1.log");
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0); /* its orphans are ours */
    start_held_sweep(&h, command, "cut");
    kill(h.pid, SIGKILL);
    assert_int_equal(code_of(h.pid), -1);
    for (int i = 0; i < 2; i++) wait_until_taken(h.runs[i], SIGHUP); /* by now the kernel has sent it */
    let_runs_go(&h);
    for (int i = 0; i < 2; i++) assert_int_equal(code_of(h.runs[i]), 130); /* they were told to stop, and did */
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
    for (int seed = 1; seed <= 3; seed++) assert_false(is_there(text("cut/runs/seed=%d/all_results.json", seed)));
    must(run("%scut", command), 0);
    for (int seed = 1; seed <= 2; seed++) has_said(text("cut/logs/seed=%d.log", seed), "resumed from");
    for (int seed = 1; seed <= 3; seed++)
        same_files(text("straight/runs/seed=%d/adapter/adapter_model.safetensors", seed),
                   text("cut/runs/seed=%d/adapter/adapter_model.safetensors", seed));
}

static void test_diverged_and_failed(void **state) {
    (void)state;
    static const char diverging[] =
        "sweep --model $M --train_data data --method full --optim sgd --max_grad_norm 0 --max_steps 200 "
        "--sweep '{\"learning_rate\": [1e-3, 999]}' --output_dir div";
    must(run("%s", diverging), 0);
    said("diverged");
    cJSON *o = json_at("div/runs/learning_rate=999/error.json");
    assert_string_equal(cJSON_GetObjectItem(o, "state")->valuestring, "diverged");
    assert_int_equal(cJSON_GetObjectItem(o, "exit_code")->valueint, 4);
    cJSON_Delete(o);
    assert_true(is_there("div/runs/learning_rate=0.001/all_results.json"));
    must(run("%s", diverging), 0);
    said("1 diverged"); /* and is not run again */
    /* a point that fails before it has a folder: there is nothing in its data; the other one goes on */
    assert_int_equal(mkdir(text("%s/hollow", root), 0755), 0);
    must(run("sweep --model $M --sweep '{\"train_data\": [\"hollow\", \"data\"]}' --max_steps 2 --output_dir bad"), 1);
    said("1 of 2 runs failed");
    o = json_at("bad/runs/train_data=hollow/error.json");
    assert_non_null(strstr(cJSON_GetObjectItem(o, "message")->valuestring, "hollow"));
    cJSON_Delete(o);
    assert_true(is_there("bad/runs/train_data=data/all_results.json"));
    assert_int_equal(system(text("cp -r %s/data/. %s/hollow/", root, root)), 0);
    must(run("sweep --model $M --sweep '{\"train_data\": [\"hollow\", \"data\"]}' --max_steps 2 --output_dir bad"),
         0); /* tried again */
    assert_false(is_there("bad/runs/train_data=hollow/error.json"));
}

/* While the first is at work, a sweep of other settings is refused, and one of the same waits and has nothing to do. */
static void test_two_sweeps_in_one_folder(void **state) {
    (void)state;
    static const char command[] =
        SWEEP "--sweep '{\"seed\": [1, 2]}' --learning_rate 1e-3 " TWO_AT_ONCE "--output_dir ";
    held_sweep first;
    start_held_sweep(&first, command, "both");
    must(run("%sboth --learning_rate 2e-3", command), 2);
    said("was begun with learning_rate 0.001, which is 0.002 now");
    const int says = hold("second.log");
    const pid_t second = start_run(text("%sboth", command), "second.log");
    wait_for_words(says, "waiting for what still runs there");
    kill(second, SIGSTOP); /* it asks every second, and only so often */
    let_runs_go(&first);
    assert_int_equal(code_of(first.pid), 0);
    kill(second, SIGCONT);
    wait_for_words(says, "2 are finished already");
    let_go(says, "second.log");
    assert_int_equal(code_of(second), 0);
    cJSON *o = json_at("both/points/seed=2.json");
    assert_true(cJSON_GetObjectItem(o, "learning_rate")->valuedouble == 1e-3);
    cJSON_Delete(o);
}

/* What it saw before it had to wait is not what it goes by. */
static void test_a_folder_changes_while_a_sweep_waits(void **state) {
    (void)state;
    int lock;
    lf_err err = {0};
    must(run(SWEEP "--sweep '{\"seed\": [1]}' --learning_rate 1e-3 --output_dir early"), 0);
    assert_int_equal(mkdir(text("%s/late", root), 0755), 0);
    assert_int_equal(lf_lock_take(&lock, text("%s/late", root), false, &err), LF_OK);
    assert_int_equal(fcntl(lock, F_SETFD, FD_CLOEXEC), 0); /* it is ours alone */
    const int says = hold("late.log");
    const pid_t pid = start_run(SWEEP "--sweep '{\"seed\": [1]}' --learning_rate 2e-3 --output_dir late", "late.log");
    wait_for_words(says, "waiting for what still runs there");
    stop_for_a_while(pid);
    assert_int_equal(system(text("cp -r %s/early/. %s/late", root, root)), 0);
    lf_lock_drop(lock);
    wait_for_words(says, "was begun with learning_rate 0.001, which is 0.002 now");
    let_go(says, "late.log");
    assert_int_equal(code_of(pid), 2);
}

/* Runs that somebody else stops are not forgotten. */
static void test_a_worker_is_stopped(void **state) {
    (void)state;
    held_sweep h;
    start_held_sweep(&h, SWEEP "--sweep '{\"seed\": [1, 2]}' " TWO_AT_ONCE "--output_dir ", "stopped");
    for (int i = 0; i < 2; i++) send_signal(h.runs[i], SIGTERM);
    let_runs_go(&h);
    assert_int_equal(code_of(h.pid), 1);
    has_said("stopped.log", "2 of 2 runs were stopped by a signal from elsewhere");
}

/* kaiming has no position: it is one run. Runs of one folder do not write over each other, and results of other
 * settings are no results. */
static void test_what_is_the_same(void **state) {
    (void)state;
    must(run(SWEEP "--sweep '{\"init_lora_weights\": [\"kaiming\", \"intermediate\"], \"init_position\": [0, 1]}' "
                   "--output_dir inits"),
         0);
    assert_int_equal(count_files("inits/runs"), 3);
    must(run(SWEEP "--sweep '{\"init_position\": [0, 1], \"init_lora_weights\": [\"kaiming\", \"intermediate\"]}' "
                   "--output_dir inits"),
         0);
    said("3 are finished already");
    must(run("train --config 'inits/points/init_lora_weights=kaiming.json' --learning_rate 0.1"), 2);
    said("was begun with learning_rate");
    static const char one[] =
        "train --config 'inits/points/init_lora_weights=kaiming.json' " TALKATIVE "--output_dir one";
    const int says = hold("one.log");
    const pid_t first = start_run(one, "one.log");
    wait_for_words(says, "step 2:");
    stop_for_a_while(first);
    must(run("%s", one), 2);
    said("another run is at work in 'one'");
    kill(first, SIGKILL);
    assert_int_equal(code_of(first), -1);
    let_go(says, "one.log");
}

static void test_commands(void **state) {
    (void)state;
    must(run(SWEEP "--sweep '{\"seed\": [1, 2]}' --learning_rate 1e-3 --output_dir 'a b' --print_commands 2>/dev/null "
                   ">commands.sh; sh commands.sh"),
         0);
    assert_true(is_there("a b/runs/seed=2/all_results.json"));
    must(run("report 'a b'"), 0);
    assert_int_equal(system(text("cd %s && mkdir half && cp 'a b/runs/seed=2/config.json' half", root)), 0);
    must(run("report half"), 3);
    said("half: there is no all_results.json: the run is still going, or was interrupted; to go on with it: lora-ft");
    assert_true(is_there("a b/results.csv"));
    must(run(SWEEP "--sweep '{\"seed\": [1, 2]}' --learning_rate 1e-3 --output_dir 'a b' --print_commands 2>/dev/null"),
         0);
    assert_string_equal(output, ""); /* nothing is left to run */
}

/* Nothing may run, nor be written, where any point is wrong. */
static void test_refused_before_anything_runs(void **state) {
    (void)state;
    static const struct {
        const char *sweep, *words;
    } cases[] = {
        {"{\"lerning_rate\": [1]}", "did you mean 'learning_rate'"},
        {"{\"seed\": []}", "the list is empty"},
        {"{\"seed\": {\"linear\": [1, 5000, 5000]}, \"learning_rate\": {\"log\": [1e-5, 1, 1000]}}", "5000000 points"},
        {"{\"learning_rate\": [1e-3, -1]}", "learning_rate=-1"},
        {"{\"learning_rate\": [1e-3, \"much\"]}", "learning_rate=much"},
        {"{\"seed\": [1, 2, 1]}", "seed=1 is there twice"},
        {"{\"train_val_split\": [0.1], \"eval_data\": [\"data/val\"]}", "keep one of the two"},
        {"[{\"seed\": [1]}, {\"seed\": [1]}]", "there twice"},
        {"{\"init_lora_weights\": [true, \"kaiming\"]}", "are the same run"},
        {"{\"init_lora_weights\": [\"intermediate\"], \"init_position\": [{\"index\": 3}, \"index:3\"]}",
         "are the same run"},
        {"{\"test_data\": [\"data\", \"nowhere\"]}", "'nowhere': no such file or folder"},
        {"\"all of them\"", "expected an object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        must(run(SWEEP "--sweep '%s' --output_dir refused", cases[i].sweep), 2);
        said(cases[i].words);
        assert_false(lf_is_dir(text("%s/refused", root)));
    }
    must(run(SWEEP "--sweep '{\"seed\": [1, 2]}' --seed 3 --output_dir refused"), 2);
    said("key 'seed' (on the command line): has no effect: the sweep gives each of its points one");
    must(run("sweep --model $M --train_data data --output_dir refused"), 2);
    said("key 'sweep' is required");
    must(run(SWEEP "--sweep '{\"seed\": [1]}'"), 2);
    said("key 'output_dir' is required");
    must(run(SWEEP "--sweep '{\"seed\": [1, 2]}' --output_dir refused --dry_run"), 0);
    said("2 runs");
    assert_false(lf_is_dir(text("%s/refused", root)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sweep_equals_runs_by_hand),
        cmocka_unit_test(test_sweep_goes_on),
        cmocka_unit_test(test_killed_in_the_middle),
        cmocka_unit_test(test_diverged_and_failed),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_refused_before_anything_runs),
        cmocka_unit_test(test_two_sweeps_in_one_folder),
        cmocka_unit_test(test_a_folder_changes_while_a_sweep_waits),
        cmocka_unit_test(test_a_worker_is_stopped),
        cmocka_unit_test(test_what_is_the_same),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
