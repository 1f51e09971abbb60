/* `lora-ft sweep` as a user runs it: killed and gone on with, widened, with points that diverge and fail, and the same
 * as runs by hand. */
#define _POSIX_C_SOURCE 200809L
#include "cli/cli_fixture.h"

#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

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

static void said(const char *words) {
    if (!strstr(output, words)) fail_msg("expected '%s' in:\n%s", words, output);
}

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

/* The sweep is killed so that it can do nothing about it; its runs end their steps, and the same command makes of them
 * what would have been. */
static void test_killed_in_the_middle(void **state) {
    (void)state;
    static const char command[] = SWEEP "--sweep '{\"seed\": [1, 2, 3]}' --max_steps 400 --jobs 2 --threads 2 "
                                        "--learning_rate 1e-3 --eval_strategy no --output_dir ";
    must(run("%sstraight", command), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        (void)!freopen("/dev/null", "w", stderr);
        (void)!freopen("/dev/null", "w", stdout);
        execl("/bin/sh", "sh", "-c",
              text("cd %s && M=%s/golden/vit-base && exec %s/lora-ft %scut", root, LF_TEST_DIR, LF_BUILD_DIR, command),
              (char *)NULL);
        _exit(127);
    }
    const struct timespec moment = {.tv_nsec = 5000000};
    for (int i = 0; i < 4000 && !is_there("cut/runs/seed=1/metrics.jsonl"); i++) nanosleep(&moment, NULL);
    for (int i = 0; i < 10; i++) nanosleep(&moment, NULL);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_false(is_there("cut/runs/seed=3/all_results.json"));
    must(run("%scut", command), 0);
    assert_int_equal(system(text("grep -q 'resumed from' '%s/cut/logs/seed=1.log'", root)),
                     0); /* it was told to stop, and did */
    for (int seed = 1; seed <= 3; seed++) {
        char *a = text("straight/runs/seed=%d/adapter/adapter_model.safetensors", seed),
             *b = text("cut/runs/seed=%d/adapter/adapter_model.safetensors", seed);
        same_files(a, b);
    }
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

/* The second comes while the first is at work: it waits, and finds runs of other settings, which are not its own. */
static void test_two_sweeps_in_one_folder(void **state) {
    (void)state;
    must(run("version; %s/lora-ft " SWEEP
             "--sweep '{\"seed\": [1, 2]}' --max_steps 60 --learning_rate 1e-3 --output_dir both >first.log 2>&1 & "
             "while [ ! -f both/sweep.json ]; do sleep 0.02; done; "
             "%s/lora-ft " SWEEP "--sweep '{\"seed\": [1, 2]}' --max_steps 60 --learning_rate 2e-3 --output_dir both; "
             "code=$?; wait; exit $code",
             LF_BUILD_DIR, LF_BUILD_DIR),
         2);
    said("was begun with learning_rate 0.001, which is 0.002 now");
    cJSON *o = json_at("both/points/seed=2.json");
    assert_true(cJSON_GetObjectItem(o, "learning_rate")->valuedouble == 1e-3);
    cJSON_Delete(o);
}

/* A run that somebody else stops is not forgotten. */
static void test_a_worker_is_stopped(void **state) {
    (void)state;
    must(run("version; %s/lora-ft " SWEEP "--sweep '{\"seed\": [1, 2]}' --jobs 2 --threads 2 --max_steps 100000 "
             "--eval_strategy no --save_strategy no --output_dir stopped "
             ">stopped.log 2>&1 & for i in 1 2 3 4 5 6 7 8 9; do sleep 1; for p in /proc/[0-9]*; do tr '\\0' ' ' "
             "2>/dev/null <$p/cmdline | grep -q '[t]rain --config stopped/points' && "
             "kill -TERM ${p#/proc/} && i=done; done; [ $i = done ] && break; done; wait $!; "
             "code=$?; cat stopped.log; exit $code",
             LF_BUILD_DIR),
         1);
    said("2 of 2 runs were stopped by a signal from elsewhere");
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
    must(run("version; %s/lora-ft train --config 'inits/points/init_lora_weights=kaiming.json' --output_dir one "
             "--max_steps 100000 >one.log 2>&1 & "
             "while [ ! -s one/metrics.jsonl ]; do sleep 0.05; done; "
             "%s/lora-ft train --config 'inits/points/init_lora_weights=kaiming.json' --output_dir one --max_steps "
             "100000; code=$?; kill $!; wait; exit $code",
             LF_BUILD_DIR, LF_BUILD_DIR),
         2);
    said("another run is at work in 'one'");
}

static void test_commands(void **state) {
    (void)state;
    must(run(SWEEP "--sweep '{\"seed\": [1, 2]}' --learning_rate 1e-3 --output_dir 'a b' --print_commands 2>/dev/null "
                   ">commands.sh; sh commands.sh"),
         0);
    assert_true(is_there("a b/runs/seed=2/all_results.json"));
    must(run("report 'a b'"), 0);
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
        {"{\"train_data\": [\"data\", \"nowhere\"]}", "'nowhere': no such file or folder"},
        {"\"all of them\"", "expected an object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        must(run(SWEEP "--sweep '%s' --output_dir refused", cases[i].sweep), 2);
        said(cases[i].words);
        assert_false(lf_is_dir(text("%s/refused", root)));
    }
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
        cmocka_unit_test(test_a_worker_is_stopped),
        cmocka_unit_test(test_what_is_the_same),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
