/* What a sweep says in a log, line by line: how each run ended, why, and how long the rest will take. */
#define _GNU_SOURCE
#include "stderr_fixture.h"

#include <math.h>

#include "sweep/table.h"

enum { N = 5 };
static lf_point at[N];
static const lf_points points = {.at = at, .n = N};
static lf_table *table;

static int begin(void **state) {
    if (scratch_make(state)) return -1;
    static char names[N][8], log[] = "logs/x.log";
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "seed=%d", i + 1);
        at[i] = (lf_point){.name = names[i], .run_dir = names[i], .log_path = log, .of_shard = true};
    }
    return (table = lf_table_new(&points, 1)) ? 0 : -1;
}

static int end(void **state) {
    lf_table_free(table);
    return scratch_remove(state);
}

/* The line of a run that ended so. */
static const char *ended(int i, lf_point_state how, double seconds, const char *why) {
    hear_begin(LF_LOG_INFO);
    at[i].state = how;
    lf_table_ended(table, i, seconds, why);
    return hear_end();
}

static void is(const char *said, const char *line) { assert_string_equal(said, line); }

/* A mean run for each of those that are left, on all that are at work. */
static void time_left_is_shared(void **state) {
    (void)state;
    is(ended(0, LF_POINT_DONE, 600, NULL), "[1/5] seed=1 done in 600.0 s, about 40 min left\n");
    lf_table_workers(table, 2); /* another process has come */
    is(ended(1, LF_POINT_DONE, 600, ""), "[2/5] seed=2 done in 600.0 s, about 15 min left\n");
    lf_table_workers(table, 8); /* more than there are runs */
    is(ended(2, LF_POINT_DONE, NAN, NULL), "[3/5] seed=3 done elsewhere, about 10 min left\n");
    lf_table_workers(table, 0); /* they are being stopped: nothing is left that would be done */
    is(ended(3, LF_POINT_TODO, 5, NULL), "[3/5] seed=4 stopped in 5.0 s\n");
}

static void why_is_said(void **state) {
    (void)state;
    is(ended(0, LF_POINT_FAILED, 1, "no such file"), "[1/5] seed=1 failed in 1.0 s: no such file; see logs/x.log\n");
    is(ended(1, LF_POINT_FAILED, 1, ""), "[2/5] seed=2 failed in 1.0 s; see logs/x.log\n");
    is(ended(2, LF_POINT_FAILED, NAN, NULL), "[3/5] seed=3 failed elsewhere; see logs/x.log\n");
    is(ended(3, LF_POINT_DIVERGED, 1, "the loss is nan"), "[4/5] seed=4 diverged in 1.0 s\n");
    is(ended(4, LF_POINT_DONE, 1, "report.html: cannot write"),
       "warning: seed=5: its results are there, but not all that is made of them: report.html: cannot write; see "
       "logs/x.log\n[5/5] seed=5 done in 1.0 s\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(time_left_is_shared, begin, end),
        cmocka_unit_test_setup_teardown(why_is_said, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
