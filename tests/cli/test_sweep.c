/* `lora-ft sweep` as a user runs it: killed and gone on with, widened, with points that diverge and fail, and the same
 * as runs by hand. */
#define _GNU_SOURCE
#include "cli/held_fixture.h"

#include <sys/prctl.h>

#include "base/log.h"
#include "sweep/share.h"

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
    said("train_data=hollow failed in ");
    said("; see bad/logs/train_data=hollow.log");
    o = json_at("bad/runs/train_data=hollow/error.json");
    assert_non_null(strstr(cJSON_GetObjectItem(o, "message")->valuestring, "hollow"));
    cJSON_Delete(o);
    assert_true(is_there("bad/runs/train_data=data/all_results.json"));
    assert_int_equal(system(text("cp -r %s/data/. %s/hollow/", root, root)), 0);
    must(run("sweep --model $M --sweep '{\"train_data\": [\"hollow\", \"data\"]}' --max_steps 2 --output_dir bad"),
         0); /* tried again */
    assert_false(is_there("bad/runs/train_data=hollow/error.json"));
}

/* What a report counts as done, because its results are there, is done here too; what is missing is said. */
static void test_a_page_that_cannot_be_written(void **state) {
    (void)state;
    static const char command[] = SWEEP "--sweep '{\"seed\": [1]}' --learning_rate 1e-3 --output_dir pageless";
    must(run("%s --print_commands", command), 0);
    assert_int_equal(lf_mkdir_p(text("%s/pageless/runs/seed=1/report.html/full", root), NULL), LF_OK);
    must(run("%s", command), 0);
    said("warning: seed=1: its results are there, but not all that is made of them: ");
    said("report.html: cannot create: Is a directory; see pageless/logs/seed=1.log");
    said("[1/1] seed=1 done in ");
    said("1 run, 1 done");
    assert_false(is_there("pageless/runs/seed=1/error.json"));
    must(run("%s", command), 0);
    said("1 is finished already");
}

/* While the first is at work, another sweep is refused, and the same one joins it: there it has nothing to do but to
 * wait for what the first one does. */
static void test_two_sweeps_in_one_folder(void **state) {
    (void)state;
    static const char command[] =
        SWEEP "--learning_rate 1e-3 " TWO_AT_ONCE "--sweep '{\"seed\": [1, 2]}' --output_dir ";
    held_sweep first;
    start_held_sweep(&first, command, "both");
    must(run("%sboth --learning_rate 2e-3", command), 2);
    said("was begun with learning_rate 0.001, which is 0.002 now");
    must(run("%sboth --sweep '{\"seed\": [1, 2, 3]}'", command), 1);
    said("both: another sweep is at work in this folder");
    const int says = hold("second.log");
    const pid_t second = start_run(text("%sboth", command), "second.log");
    wait_for_words(says, "1 other process is at work on it");
    wait_for_words(says, "2 runs of other processes are still at work");
    let_runs_go(&first);
    assert_int_equal(code_of(first.pid), 0);
    wait_for_words(says, "done elsewhere");
    let_go(says, "second.log");
    assert_int_equal(code_of(second), 0);
    cJSON *o = json_at("both/points/seed=2.json");
    assert_true(cJSON_GetObjectItem(o, "learning_rate")->valuedouble == 1e-3);
    cJSON_Delete(o);
}

/* What it saw before it had to wait is not what it goes by. */
static void test_a_folder_changes_while_a_sweep_waits(void **state) {
    (void)state;
    lf_claims claims;
    lf_claim turn;
    lf_claimed found;
    lf_err err = {0};
    must(run(SWEEP "--sweep '{\"seed\": [1]}' --learning_rate 1e-3 --output_dir early"), 0);
    assert_int_equal(lf_claims_open(&claims, text("%s/late", root), &err), LF_OK);
    assert_int_equal(lf_claim_take(&turn, &claims, "@turn", &found, &err), LF_OK);
    assert_non_null(turn.path);
    const int says = hold("late.log");
    const pid_t pid = start_run(SWEEP "--sweep '{\"seed\": [1]}' --learning_rate 2e-3 --output_dir late", "late.log");
    wait_for_words(says, text("waiting for process %d on ", (int)getpid()));
    stop_for_a_while(pid);
    assert_int_equal(system(text("cd %s/early && cp -r sweep.json points runs logs cache ../late", root)), 0);
    lf_claim_end(&turn, LF_CLAIM_FREE);
    lf_claims_close(&claims);
    wait_for_words(says, "was begun with learning_rate 0.001, which is 0.002 now");
    let_go(says, "late.log");
    assert_int_equal(code_of(pid), 2);
}

/* ---- several processes, on several machines ---- */

static int64_t lines_with(const char *file, const char *words) {
    size_t n;
    int64_t lines = 0;
    char *all = contents(file, &n);
    for (const char *at = all; (at = strstr(at, words)); at++) lines++;
    lf_free(all);
    return lines;
}

/* Three processes on six points. The one that has the first is killed while that run stands; the others do what is
 * left, also that one, and each point is run to its end once. */
static void test_three_processes_one_is_killed(void **state) {
    (void)state;
    enum { N = 6 };
    static const char command[] = SWEEP "--sweep '{\"seed\": [1, 2, 3, 4, 5, 6]}' --threads 1 --output_dir shared";
    must(run("%s --print_commands", command), 0); /* its folder, and no run yet */
    const int says = hold_at_once("shared/logs/seed=1.log");
    pid_t pids[3];
    int waited = 0;
    pids[0] = start_run(command, "shared0.log");
    while (!is_there("shared/claims/seed=1.1")) wait_a_moment(&waited);
    for (int i = 1; i < 3; i++) pids[i] = start_run(command, text("shared%d.log", i));
    stop_for_a_while(pids[1]);
    assert_int_equal(kill(pids[0], SIGKILL), 0);
    assert_int_equal(code_of(pids[0]), -1);
    while (!is_there("shared/runs/seed=4/all_results.json")) wait_a_moment(&waited);
    let_go(says, "shared/logs/seed=1.log");
    for (int i = 1; i < 3; i++) assert_int_equal(code_of(pids[i]), 0);
    for (int seed = 1; seed <= N; seed++) { /* each was run to its end by one, and another one saw that */
        int64_t ran = 0;
        for (int i = 0; i < 3; i++) ran += lines_with(text("shared%d.log", i), text("seed=%d done in ", seed));
        assert_int_equal(ran, 1);
        if (seed > 1) assert_int_equal(lines_with(text("shared/logs/seed=%d.log", seed), "the adapter is "), 1);
    }
    assert_int_equal(lines_with("shared/results.csv", ",done,"), N);
    assert_int_equal(lines_with("shared1.log", "[6/6]") + lines_with("shared2.log", "[6/6]"), 2);
    must(run("%s", command), 0);
    said("6 are finished already");
}

/* Claims as of another machine, untouched for so many seconds. */
static void put_claim(const char *name, int seconds_ago) {
    put(name, "{\"id\": \"far-1\", \"host\": \"far\", \"process\": 1, \"machine\": \"another\", \"since\": 1}\n");
    struct stat st;
    const char *path = text("%s/%s", root, name);
    assert_int_equal(stat(path, &st), 0);
    const struct timespec then[2] = {{.tv_sec = st.st_mtim.tv_sec - seconds_ago},
                                     {.tv_sec = st.st_mtim.tv_sec - seconds_ago}};
    assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
}

/* "held by far", "taken", "ended done", of a name that this process tries to take. */
static const char *try_to_take(lf_claim *out, lf_claims *c, const char *name) {
    lf_claimed found;
    lf_err err = {0};
    if (lf_claim_take(out, c, name, &found, &err)) fail_msg("%s", err.message);
    if (out->path) return "taken";
    return found.held ? text("held by %s", found.by.host) : text("ended %s", found.ended);
}

static void test_claims(void **state) {
    (void)state;
    lf_claims a, b;
    lf_claim mine, none, theirs;
    lf_err err = {0};
    struct stat st;
    assert_int_equal(lf_claims_open(&a, text("%s/claimed", root), &err), LF_OK);
    assert_int_equal(lf_claims_open(&b, text("%s/claimed", root), &err), LF_OK);
    /* one of two; held while it is touched; free when it says so; over when it says that */
    assert_string_equal(try_to_take(&mine, &a, "x=1"), "taken");
    assert_string_equal(try_to_take(&none, &b, "x=1"), text("held by %s", a.me.host));
    lf_claim_end(&mine, LF_CLAIM_FREE);
    assert_string_equal(try_to_take(&mine, &b, "x=1"), "taken");
    lf_claim_end(&mine, "done");
    assert_string_equal(try_to_take(&none, &a, "x=1"), "ended done");
    /* of another machine: by the time of the file alone */
    put_claim("claimed/claims/x=2.1", 300);
    assert_string_equal(try_to_take(&none, &a, "x=2"), "held by far");
    put_claim("claimed/claims/x=2.1", 610);
    assert_string_equal(try_to_take(&mine, &a, "x=2"), "taken");
    assert_string_equal(try_to_take(&none, &b, "x=2"), text("held by %s", a.me.host));
    /* one that was not heard of: another takes it, and it finds out when it would touch its claim again */
    assert_int_equal(utimensat(AT_FDCWD, mine.path, (struct timespec[2]){{.tv_sec = 1}, {.tv_sec = 1}}, 0), 0);
    mine.touched = lf_now();
    assert_true(lf_claim_keep(&mine)); /* not yet time */
    assert_string_equal(try_to_take(&theirs, &b, "x=2"), "taken");
    mine.touched -= 100;
    assert_false(lf_claim_keep(&mine));
    lf_claim_end(&mine, "done"); /* says nothing: it is another's */
    theirs.touched -= 100;
    assert_int_equal(utimensat(AT_FDCWD, theirs.path, (struct timespec[2]){{.tv_sec = 1}, {.tv_sec = 1}}, 0), 0);
    assert_true(lf_claim_keep(&theirs));
    assert_int_equal(stat(theirs.path, &st), 0);
    assert_true(st.st_mtim.tv_sec > 1); /* touched */
    assert_string_equal(try_to_take(&none, &a, "x=2"), text("held by %s", b.me.host));
    /* all were removed, and another has begun anew under the same name */
    assert_int_equal(unlink(theirs.path), 0);
    theirs.touched -= 100;
    assert_false(lf_claim_keep(&theirs));
    put_claim("claimed/claims/x=2.3", 0);
    assert_false(lf_claim_keep(&theirs) && (theirs.touched -= 100, lf_claim_keep(&theirs)));
    lf_claim_end(&theirs, "done");
    assert_int_equal(lines_with("claimed/claims/x=2.3", "ended"), 0);
    lf_claims_close(&a);
    lf_claims_close(&b);
    assert_int_equal(count_files("claimed/claims"), 5); /* no clocks, nothing aside */
}

/* By which time left is divided. */
static void test_how_many_processes(void **state) {
    (void)state;
    lf_share s;
    lf_err err = {0};
    assert_int_equal(lf_share_open(&s, text("%s/counted", root), &err), LF_OK);
    assert_int_equal(lf_share_processes(&s), 1); /* this one, also before it has joined */
    put_claim("counted/claims/@member-far-1.1", 300);
    put_claim("counted/claims/@member-far-2.1", 0);
    put_claim("counted/claims/@member-far-3.1", 610); /* gone */
    put_claim("counted/claims/seed=1.1", 0);          /* no member */
    assert_int_equal(lf_share_processes(&s), 2);
    lf_share_close(&s);
}

/* Tries when the pipe `go` ends, says 1 or 0 into `report`, and stays: the claim of a process that is gone is free. */
static void be_a_taker(const char *name, int go, int report) {
    lf_claims c;
    lf_claim claim;
    char byte;
    if (lf_claims_open(&c, text("%s/crowd", root), NULL) || read(go, &byte, 1) != 0) _exit(9);
    byte = strcmp(try_to_take(&claim, &c, name), "taken") == 0;
    if (write(report, &byte, 1) != 1) _exit(9);
    for (;;) pause();
}

/* However many want one at the same moment, one has it: a new one, or one of a process that is thought dead. */
static void test_one_claim_many_takers(void **state) {
    (void)state;
    enum { ROUNDS = 20, TAKERS = 8 };
    assert_int_equal(lf_mkdir_p(text("%s/crowd/claims", root), NULL), LF_OK);
    for (int round = 0; round < ROUNDS; round++) {
        const char *name = text("x=%d", round);
        pid_t pids[TAKERS];
        int go[2], report[2], n = 0;
        if (round % 2) put_claim(text("crowd/claims/%s.1", name), 1000);
        assert_true(pipe(go) == 0 && pipe(report) == 0);
        for (int i = 0; i < TAKERS; i++) {
            if ((pids[i] = fork())) continue;
            close(go[1]);
            be_a_taker(name, go[0], report[1]);
        }
        close(go[1]);
        for (int i = 0; i < TAKERS; i++) {
            char byte;
            assert_int_equal(read(report[0], &byte, 1), 1);
            n += byte;
        }
        for (int i = 0; i < TAKERS; i++) {
            kill(pids[i], SIGKILL);
            (void)code_of(pids[i]);
        }
        close(go[0]);
        close(report[0]);
        close(report[1]);
        assert_int_equal(n, 1);
    }
}

/* A process of another machine that died: its member and its claim are old, and its run is done here. */
static void test_a_machine_that_died(void **state) {
    (void)state;
    static const char command[] = SWEEP "--sweep '{\"seed\": [1, 2]}' --learning_rate 1e-3 --output_dir dead";
    must(run("%s --print_commands", command), 0);
    put_claim("dead/claims/@member-far-1.1", 590);
    must(run("%s --sweep '{\"seed\": [1, 2, 3]}'", command), 1);
    said("another sweep is at work in this folder (process 1 on far");
    put_claim("dead/claims/seed=1.1", 301);
    const int says = hold("dead.log");
    const pid_t pid = start_run(command, "dead.log"); /* it joins, does the other, and waits for what may be alive */
    wait_for_words(says, "1 other process is at work on it");
    wait_for_words(says, "seed=1: process 1 on far was last heard of 5 minutes ago; its run is taken over after 10");
    wait_for_words(says, "seed=2 done in ");
    wait_for_words(says, "1 run of another process is still at work, the first of process 1 on far: waiting for it");
    put_claim("dead/claims/seed=1.1", 610);
    wait_for_words(says, "seed=1: taken over from process 1 on far, which is not heard of any more");
    let_go(says, "dead.log");
    assert_int_equal(code_of(pid), 0);
    assert_int_equal(lines_with("dead/results.csv", ",done,"), 2);
    put_claim("dead/claims/@member-far-1.1", 610);
    /* nobody is there any more; and a folder in which somebody has just begun is none that holds something else */
    assert_int_equal(rename(text("%s/dead/sweep.json", root), text("%s/dead/sweep.json.tmp-1-0", root)), 0);
    assert_int_equal(system(text("cd %s/dead && rm -f *.csv *.gp *.svg *.html sweep-config.json", root)), 0);
    must(run("%s --sweep '{\"seed\": [1, 2, 3]}'", command), 0);
    assert_int_equal(lines_with("dead/results.csv", ",done,"), 3);
}

/* As Slurm starts it, with what it puts into the environment. */
static void test_tasks_of_an_array(void **state) {
    (void)state;
    put("array.json", "{\"sweep\": {\"seed\": [1, 2, 3]}, \"r\": 4, \"max_steps\": 2, \"train_data\": \"data\"}");
    for (int task = 4; task <= 6; task += 2) { /* --array=4-6:2 */
        must(run_shell(text("cd / && env -u OMP_NUM_THREADS SLURM_SUBMIT_DIR=%s SLURM_ARRAY_TASK_ID=%d "
                            "SLURM_ARRAY_TASK_MIN=4 SLURM_ARRAY_TASK_MAX=6 "
                            "SLURM_ARRAY_TASK_STEP=2 SLURM_ARRAY_TASK_COUNT=2 SLURM_CPUS_PER_TASK=1 SHARDS=yes "
                            "LORA_FT=%s/lora-ft %s/scripts/slurm-array.sh array.json 'an array' --model "
                            "%s/golden/vit-base 2>&1",
                            root, task, LF_BUILD_DIR, LF_SOURCE_DIR, LF_TEST_DIR)),
             0);
        said(task == 4 ? "of them shard 1/2, 2 to do, 1 at a time with 1 thread each"
                       : "of them shard 2/2, 1 to do, 1 at a time with 1 thread each");
        assert_int_equal(is_there("an array/runs/seed=2/all_results.json"), task == 6);
    }
    assert_int_equal(lines_with("an array/results.csv", ",done,"), 3);
    must(run_shell(text("cd %s && SHARDS=yes %s/scripts/slurm-array.sh array.json none 2>&1", root, LF_SOURCE_DIR)), 2);
    said("slurm-array: SHARDS=yes is of a job's array, and this is none");
    must(run_shell(text("cd %s && SLURM_JOB_END_TIME=$(($(date +%%s) + 3630)) LORA_FT=echo "
                        "%s/scripts/slurm-array.sh array.json none 2>&1",
                        root, LF_SOURCE_DIR)),
         0);
    said("sweep --config array.json --output_dir none --max_train_minutes 56");
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
    char host[256] = "";
    assert_int_equal(gethostname(host, sizeof host - 1), 0);
    said(text("another run is at work in 'one' (process %d on %s); choose another, or wait for it", (int)first, host));
    kill(first, SIGKILL);
    assert_int_equal(code_of(first), -1);
    let_go(says, "one.log");
}

static void test_commands(void **state) {
    (void)state;
    must(run(SWEEP "--sweep '{\"seed\": [1, 2]}' --learning_rate 1e-3 --threads 2 --output_dir 'a b' --print_commands "
                   "2>/dev/null >commands.sh; cd /; unset OMP_NUM_THREADS; SLURM_CPUS_PER_TASK=1 sh %s/commands.sh",
             root),
         0);
    assert_true(result("a b/runs/seed=2", "threads") == 1); /* those of the place where it ran */
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
        {"{\"seed\": [1]}' --shard '2/1", "expected i/n with i from 1 to n"},
        {"{\"seed\": [1]}' --shard '1/2x", "found '1/2x'"},
        {"{\"seed\": [1]}' --shard '0/2", "found '0/2'"},
        {"{\"seed\": [1]}' --shard 'all", "found 'all'"},
        {"{\"shard\": [\"1/2\"]}", "shard"},
        {"{\"max_train_minutes\": [1]}", "max_train_minutes"},
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
    said("2 runs to do, 1 at a time, each as the one that was tried (seed=1): about ");
    said(" MB at once, 12 steps");
    must(run(SWEEP "--sweep '{\"seed\": [1, 2]}' --output_dir refused --dry_run --json --quiet"), 0);
    said("\"to_do\": 2");
    assert_false(lf_is_dir(text("%s/refused", root)));
    assert_false(lf_is_file(text("%s/config.json", root)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sweep_equals_runs_by_hand),
        cmocka_unit_test(test_sweep_goes_on),
        cmocka_unit_test(test_killed_in_the_middle),
        cmocka_unit_test(test_diverged_and_failed),
        cmocka_unit_test(test_a_page_that_cannot_be_written),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_refused_before_anything_runs),
        cmocka_unit_test(test_two_sweeps_in_one_folder),
        cmocka_unit_test(test_a_folder_changes_while_a_sweep_waits),
        cmocka_unit_test(test_a_worker_is_stopped),
        cmocka_unit_test(test_three_processes_one_is_killed),
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_how_many_processes),
        cmocka_unit_test(test_one_claim_many_takers),
        cmocka_unit_test(test_a_machine_that_died),
        cmocka_unit_test(test_tasks_of_an_array),
        cmocka_unit_test(test_what_is_the_same),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
