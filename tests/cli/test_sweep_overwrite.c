/* `lora-ft sweep --overwrite_output_dir` among several processes: what others do, or have done since this one was
 * started, stays; what was there before goes. And what processes leave that were killed. */
#define _GNU_SOURCE
#include "cli/held_fixture.h"

#include "base/lock.h"
#include "base/log.h"
#include "sweep/share.h"

#define SWEEP "sweep --model $M --train_data data --r 4 --per_device_train_batch_size 4 --sweep '{\"seed\": [1, 2]}' "
#define SHORT SWEEP "--max_steps 2 --learning_rate 1e-3 "

static void put(const char *name, const char *content) {
    lf_err err = {0};
    if (lf_file_write(text("%s/%s", root, name), content, strlen(content), &err)) fail_msg("%s", err.message);
}

static bool is_there(const char *path) { return lf_is_file(text("%s/%s", root, path)); }

static size_t count_files(const char *folder) {
    char **names;
    size_t n;
    lf_err err = {0};
    assert_int_equal(lf_list_dir(&names, &n, text("%s/%s", root, folder), &err), LF_OK);
    lf_free(names);
    return n;
}

/* A process that waits for its turn, which the test has, in a folder where nothing is yet; and what others did there
 * meanwhile, as if they had been faster: a copy of `done`. */
static pid_t start_late(int *says, const char *command, const char *dir, const char *done) {
    lf_claims claims;
    lf_claim turn;
    lf_claimed found;
    lf_err err = {0};
    assert_int_equal(lf_claims_open(&claims, text("%s/%s", root, dir), &err), LF_OK);
    assert_int_equal(lf_claim_take(&turn, &claims, "@turn", &found, &err), LF_OK);
    assert_non_null(turn.path);
    *says = hold(text("%s.log", dir));
    const pid_t pid = start_run(text("%s --output_dir %s --overwrite_output_dir", command, dir), text("%s.log", dir));
    wait_for_words(*says, text("waiting for process %d on ", (int)getpid()));
    stop_for_a_while(pid);
    assert_int_equal(system(text("cd %s/%s && cp -r sweep.json points runs logs cache ../%s", root, done, dir)), 0);
    lf_claim_end(&turn, LF_CLAIM_FREE);
    lf_claims_close(&claims);
    return pid;
}

/* The last of those that were started together finds all done, and leaves it. Started again, it does it again. */
static void test_the_last_one_wipes_nothing(void **state) {
    (void)state;
    int says;
    must(run(SHORT "--output_dir early --overwrite_output_dir"), 0);
    put("early/runs/seed=1/kept", "by who joins");
    pid_t pid = start_late(&says, SHORT, "late", "early");
    wait_for_words(says,
                   "late: overwrite_output_dir removes nothing here: it was begun after this process was started");
    wait_for_words(says, "2 are finished already");
    let_go(says, "late.log");
    assert_int_equal(code_of(pid), 0);
    assert_true(is_there("late/runs/seed=1/kept"));
    /* another sweep's work is no more this one's to remove; nor is it mixed with its own */
    pid = start_late(&says, SWEEP "--max_steps 3 --learning_rate 1e-3 ", "other", "early");
    wait_for_words(says, "other: another sweep was begun in this folder after this one was started");
    let_go(says, "other.log");
    assert_int_equal(code_of(pid), 1);
    assert_true(is_there("other/runs/seed=1/kept"));
    must(run(SHORT "--output_dir late --overwrite_output_dir"), 0);
    said("2 runs, 2 to do");
    assert_false(is_there("late/runs/seed=1/kept"));
    assert_true(is_there("late/runs/seed=1/all_results.json"));
}

/* Who comes while others are at work joins them, and takes their number of threads. */
static void test_who_comes_later_joins(void **state) {
    (void)state;
    static const char command[] = SHORT "--jobs 2 --output_dir joined";
    int waited = 0, runs_say[2];
    must(run("%s --print_commands", command), 0); /* its folder, and no run yet */
    for (int i = 0; i < 2; i++) runs_say[i] = hold_at_once(text("joined/logs/seed=%d.log", i + 1));
    const pid_t first = start_run(text("%s --threads 2", command), "first.log");
    while (!is_there("joined/claims/seed=2.1")) wait_a_moment(&waited);
    const int says = hold("second.log");
    const pid_t second = start_run(text("%s --threads 4 --overwrite_output_dir", command), "second.log");
    wait_for_words(says, "overwrite_output_dir removes nothing here: others are at work on it");
    wait_for_words(says, "1 other process is at work on it");
    stop_for_a_while(second);
    for (int i = 0; i < 2; i++) let_go(runs_say[i], text("joined/logs/seed=%d.log", i + 1));
    let_go(says, "second.log");
    assert_int_equal(code_of(first), 0);
    assert_int_equal(code_of(second), 0);
    for (int seed = 1; seed <= 2; seed++) assert_true(result(text("joined/runs/seed=%d", seed), "threads") == 1);
}

/* A run that no sweep knows of, as one that a command of --print_commands started. */
static void test_a_run_at_work_stays(void **state) {
    (void)state;
    int lock;
    char host[256] = "";
    must(run(SHORT "--output_dir byhand"), 0);
    assert_int_equal(lf_lock_take(&lock, text("%s/byhand/runs/seed=2", root), false, NULL), LF_OK);
    assert_true(lock >= 0);
    must(run(SHORT "--output_dir byhand --overwrite_output_dir"), 1);
    assert_int_equal(gethostname(host, sizeof host - 1), 0);
    said("byhand/runs/seed=2: a run is at work there (process ");
    said("; wait for it, or choose another output_dir");
    for (int seed = 1; seed <= 2; seed++) assert_true(is_there(text("byhand/runs/seed=%d/all_results.json", seed)));
    lf_lock_drop(lock);
    must(run(SHORT "--output_dir byhand --overwrite_output_dir"), 0);
}

static void test_a_shard_is_refused(void **state) {
    (void)state;
    must(run(SHORT "--output_dir sharded --shard 2/2 --overwrite_output_dir"), 2);
    said("key 'overwrite_output_dir' (on the command line): a shard would remove what the others have made");
    assert_false(lf_is_dir(text("%s/sharded", root)));
}

/* A file of a process of another machine, untouched for so many seconds. */
static void put_own_file(const char *name, int seconds_ago) {
    struct stat st;
    put(name, "{\"id\": \"far-1\", \"host\": \"far\", \"process\": 1, \"machine\": \"another\", \"since\": 1}\n");
    const char *path = text("%s/%s", root, name);
    assert_int_equal(stat(path, &st), 0);
    const struct timespec then[2] = {{.tv_sec = st.st_mtim.tv_sec - seconds_ago},
                                     {.tv_sec = st.st_mtim.tv_sec - seconds_ago}};
    assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
}

/* Opens the claims of a folder and is killed: its clock stays. */
static void leave_a_clock(const char *folder) {
    int report[2];
    char byte;
    lf_claims c;
    assert_int_equal(pipe(report), 0);
    const pid_t pid = fork();
    if (!pid) {
        if (lf_claims_open(&c, folder, NULL) || write(report[1], "", 1) != 1) _exit(9);
        for (;;) pause();
    }
    assert_int_equal(read(report[0], &byte, 1), 1);
    close(report[0]);
    close(report[1]);
    kill(pid, SIGKILL);
    assert_int_equal(code_of(pid), -1);
}

/* What is left beside the claims goes, and no file of a process that may be alive; one that was silent and lost its
 * clock has another. */
static void test_what_the_killed_left(void **state) {
    (void)state;
    lf_claims alive;
    lf_err err = {0};
    bool recent = false;
    const char *folder = text("%s/left", root);
    assert_int_equal(lf_claims_open(&alive, folder, &err), LF_OK);
    leave_a_clock(folder);
    put_own_file("left/claims/.clock-far-1-0", 300);
    put_own_file("left/claims/.far-1-0-0", 610);
    put_own_file("left/claims/.clock-far-2-0", 610);
    put_own_file("left/claims/x=1.1", 610); /* a claim is no such file */
    assert_int_equal(count_files("left/claims"), 6);
    lf_claims_tidy(&alive);
    assert_int_equal(count_files("left/claims"), 3);
    assert_true(is_there("left/claims/.clock-far-1-0") && is_there("left/claims/x=1.1") && lf_is_file(alive.clock));
    assert_int_equal(unlink(alive.clock), 0);
    assert_int_equal(lf_claims_is_recent(&recent, &alive, text("%s/left/claims/x=1.1", root), 600, &err), LF_OK);
    assert_false(recent);
    assert_int_equal(lf_claims_is_recent(&recent, &alive, text("%s/left/claims/x=1.1", root), 700, &err), LF_OK);
    assert_true(recent && lf_is_file(alive.clock));
    assert_int_equal(lf_claims_is_recent(&recent, &alive, text("%s/left/nothing", root), 700, &err), LF_OK);
    assert_false(recent);
    lf_claims_close(&alive);
    assert_int_equal(count_files("left/claims"), 2);
    /* and a sweep does that at its end */
    must(run(SHORT "--output_dir ended --print_commands"), 0);
    leave_a_clock(text("%s/ended", root));
    must(run(SHORT "--output_dir ended"), 0);
    assert_int_equal(system(text("ls -A %s/ended/claims | grep '^[.]'", root)) >> 8, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_one_wipes_nothing), cmocka_unit_test(test_who_comes_later_joins),
        cmocka_unit_test(test_a_run_at_work_stays),        cmocka_unit_test(test_a_shard_is_refused),
        cmocka_unit_test(test_what_the_killed_left),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
