/* One pass over examples: what is summed, what is not, and that what was begun is ended. */
#include "eval/score.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "eval/answers.h"
#include "unit/world_fixture.h"

enum { BATCHES = 3, ROWS = 2, T = 3 };

/* Batches of two rows of three labels each; the last batch is of one row. */
typedef struct made {
    lf_examples examples;
    lf_example_batch batch;
    int64_t served, begun, ended;
    lf_portion portion;
    int64_t indices[ROWS];
    int64_t fails_at; /* the batch in whose place an error is; -1: none */
} made;

static lf_status begin(void *data, lf_portion portion, lf_err *err) {
    made *m = data;
    (void)err;
    m->portion = portion;
    m->served = 0;
    m->begun++;
    return LF_OK;
}

static lf_status next(void *data, const lf_example_batch **out, lf_err *err) {
    made *m = data;
    *out = NULL;
    if (m->served == lf_portion_count(m->portion, BATCHES)) return LF_OK;
    const int64_t number = lf_portion_number(m->portion, m->served);
    if (number == m->fails_at) return lf_fail(err, LF_EDATA, "batch %lld is bad", (long long)number);
    m->served++;
    for (int64_t i = 0; i < ROWS; i++) m->indices[i] = number * ROWS + i;
    m->batch = (lf_example_batch){.in = {.B = number + 1 == BATCHES ? 1 : ROWS, .T = T},
                                  .indices = m->indices,
                                  .examples = 5,
                                  .items = 7,
                                  .number = number};
    *out = &m->batch;
    return LF_OK;
}

static void end(void *data) {
    made *m = data;
    m->ended++;
    m->served = -100; /* nothing may be asked of it now */
}

static int64_t skipped(const void *data) {
    const made *m = data;
    assert_true(m->served >= 0);
    return m->served; /* one for each batch */
}

static void make(made *m) {
    *m = (made){.fails_at = -1};
    m->examples = (lf_examples){.data = m,
                                .count = ROWS * BATCHES - 1,
                                .unit = "rows",
                                .path = "made",
                                .begin = begin,
                                .next = next,
                                .end = end,
                                .skipped = skipped};
}

/* What the model says is the batch's number and, in a second piece, its rows'. */
typedef struct scorer {
    int64_t fails_at, number, next, runs;
    int64_t rows[ROWS];
} scorer;

static lf_status room(void *context, const lf_example_batch *b, lf_said pieces[LF_SAID], int *n, lf_err *err) {
    scorer *x = context;
    (void)err;
    pieces[0] = (lf_said){&x->number, sizeof x->number};
    pieces[1] = (lf_said){x->rows, (size_t)b->in.B * sizeof *x->rows};
    *n = 2;
    return LF_OK;
}

static lf_status run_batch(void *context, const lf_example_batch *b, lf_err *err) {
    scorer *x = context;
    (void)err;
    x->runs++;
    x->number = b->number;
    for (int64_t i = 0; i < b->in.B; i++) x->rows[i] = b->indices[i];
    return LF_OK;
}

/* Of each row the first label is right, the second wrong, and the third none, whatever numbers stand in it. */
static lf_status score(void *context, const lf_example_batch *b, const lf_label_score **scores, int64_t *n,
                       lf_err *err) {
    static lf_label_score s[ROWS * T];
    scorer *x = context;
    if (b->number == x->fails_at) return lf_fail(err, LF_EDIVERGED, "batch %lld is no number", (long long)b->number);
    if (x->number != b->number || b->number != x->next++) return lf_fail(err, LF_EFAIL, "not in the order of the data");
    for (int64_t i = 0; i < b->in.B; i++)
        if (x->rows[i] != b->indices[i] || b->indices[i] != b->number * ROWS + i)
            return lf_fail(err, LF_EFAIL, "rows of another batch");
    for (int64_t i = 0; i < b->in.B * T; i++)
        s[i] = (lf_label_score){.target = i % T != 2, .correct = i % T != 1, .nll = 0.5, .ce = 2, .kl = 0.25};
    *scores = s;
    *n = b->in.B * T;
    return LF_OK;
}

static void say(const lf_score_sum *sum, char *text, size_t size) {
    assert_true(sum->targets > 0 && size > 0);
    text[0] = '\0';
}

static lf_status run(made *m, lf_score_sum *sum, int64_t scorer_fails_at, bool interruptible, lf_err *err) {
    const lf_eval_opts opts = {.what = "", .interruptible = interruptible};
    scorer x = {.fails_at = scorer_fails_at};
    return lf_score_examples(sum, &m->examples, &(lf_scorer){&x, room, run_batch, score, say}, &opts, err);
}

static void sums_are_of_the_targets(void **state) {
    (void)state;
    made m;
    lf_score_sum sum;
    lf_err err = {0};
    make(&m);
    for (int64_t again = 1; again <= 2; again++) { /* from its beginning each time */
        assert_int_equal(run(&m, &sum, -1, false, &err), LF_OK);
        assert_int_equal(sum.rows, 5);
        assert_int_equal(sum.examples, 15);
        assert_int_equal(sum.items, 21);
        assert_int_equal(sum.skipped, BATCHES);
        assert_int_equal(sum.targets, 10);
        assert_int_equal(sum.correct, 5);
        assert_true(sum.nll == 5 && sum.ce == 20 && sum.kl == 2.5);
        assert_true(m.begun == again && m.ended == again);
    }
}

static void a_failure_is_passed_on_and_ends_the_reading(void **state) {
    (void)state;
    made m;
    lf_score_sum sum;
    lf_err err = {0};
    make(&m);
    m.fails_at = 1;
    assert_int_equal(run(&m, &sum, -1, false, &err), LF_EDATA);
    assert_string_equal(err.message, "batch 1 is bad");
    assert_int_equal(m.ended, 1);
    make(&m);
    err = (lf_err){0};
    assert_int_equal(run(&m, &sum, 2, false, &err), LF_EDIVERGED);
    assert_string_equal(err.message, "batch 2 is no number");
    assert_true(m.ended == 1 && sum.rows == 4);
}

static void an_interruption_says_how_far_it_came(void **state) {
    (void)state;
    made m;
    lf_score_sum sum;
    lf_err err = {0};
    make(&m);
    lf_interrupt();
    assert_int_equal(run(&m, &sum, -1, false, &err), LF_OK); /* in training an evaluation ends first */
    assert_int_equal(run(&m, &sum, -1, true, &err), LF_EINTERRUPTED);
    lf_interrupt_reset();
    assert_string_equal(err.message, "interrupted after 0 of 5 rows");
    assert_int_equal(m.ended, 2);
}

/* ---- ranks ---- */

static bool scores_with_others(void *nothing) {
    (void)nothing;
    made m;
    lf_score_sum sum;
    scorer x = {.fails_at = -1};
    lf_err err = {0};
    make(&m);
    if (lf_score_examples(&sum, &m.examples, &(lf_scorer){&x, room, run_batch, score, say}, &(lf_eval_opts){0}, &err))
        return false;
    const int64_t mine = lf_portion_count(m.portion, BATCHES);
    return x.runs == mine && x.next == BATCHES && sum.rows == 5 && sum.examples == 15 && sum.items == 21 &&
           sum.skipped == BATCHES && sum.targets == 10 && sum.correct == 5 && sum.nll == 5 && m.ended == 1;
}

/* The batch that cannot be read is another rank's, or the numbers are none. */
static bool fails_with_others(void *nothing) {
    (void)nothing;
    made m;
    lf_score_sum sum;
    lf_err err = {0};
    make(&m);
    m.fails_at = 1;
    if (run(&m, &sum, -1, false, &err) != LF_EDATA || !lf_world_agreed()) return false;
    if (strcmp(err.message, "rank 1 (node1): batch 1 is bad")) return false;
    make(&m);
    err = (lf_err){0};
    return run(&m, &sum, 2, false, &err) == LF_EDIVERGED && lf_world_agreed() && sum.rows == 4;
}

/* One rank alone is asked to stop. */
static bool stops_with_others(void *nothing) {
    (void)nothing;
    made m;
    lf_score_sum sum;
    lf_err err = {0};
    make(&m);
    if (lf_world_rank() == 1) lf_interrupt();
    return run(&m, &sum, -1, true, &err) == LF_EINTERRUPTED && lf_world_agreed() && sum.rows == 2;
}

static void ranks_find_what_one_does(void **state) {
    (void)state;
    for (int size = 1; size <= 5; size++)
        if (!on_ranks(size, scores_with_others, NULL)) fail_msg("%d ranks", size);
    assert_true(on_ranks(2, fails_with_others, NULL));
    assert_true(on_ranks(3, stops_with_others, NULL));
}

/* ---- answers of two passes ---- */

enum { N = 5 };
typedef struct told {
    int n;
    lf_one_answer at[N];
} told;

static lf_status tell(void *context, const lf_one_answer *a, lf_err *err) {
    told *t = context;
    (void)err;
    assert_true(t->n < N);
    t->at[t->n++] = *a;
    return LF_OK;
}

/* A letter a label: R right, W wrong, - none. `rows` of them, from example `first` on. */
static void hand_over(lf_answers *a, const char *letters, int64_t rows, int64_t each, int64_t first, bool judged) {
    lf_label_score s[(N + 1) * T] = {0};
    int64_t indices[N + 1];
    float logits = 0;
    lf_err err = {0};
    for (int64_t i = 0; i < rows; i++) indices[i] = first + i;
    for (int64_t i = 0; i < rows * each; i++)
        s[i] = (lf_label_score){.target = letters[i] != '-', .correct = letters[i] == 'R', .nll = (double)(i + 1)};
    const lf_example_batch b = {.in = {.B = rows, .T = each}, .indices = indices};
    const lf_answered said = {&b, s, each == 1 ? &logits : NULL, 1, judged};
    assert_int_equal(lf_answers_take(a, &said, &err), LF_OK);
}

static void are(lf_transitions t, int64_t lost, int64_t won, int64_t n) {
    assert_true(t.lost == lost && t.won == won && t.n == n);
}

/* Of six examples the third has no label, and the last could not be read before. */
static void answers_are_compared_by_their_example(void **state) {
    (void)state;
    told t = {0};
    lf_answers a = {.visit = tell, .context = &t};
    lf_answers_begin(&a, LF_ANSWERS_KEEP);
    hand_over(&a, "RR-", 3, 1, 0, true);
    hand_over(&a, "WW", 2, 1, 3, true);
    assert_int_equal(t.n, 0); /* nothing is told of what is kept */
    lf_answers_begin(&a, LF_ANSWERS_AGAINST_KEPT);
    hand_over(&a, "RW-RWW", 6, 1, 0, true);
    are(a.changes, 1, 1, 4);
    assert_int_equal(t.n, 5);
    static const int64_t index[N] = {0, 1, 3, 4, 5}, right[N] = {1, 0, 1, 0, 0}, was[N] = {1, 1, 0, 0, -1};
    for (int i = 0; i < N; i++)
        assert_true(t.at[i].index == index[i] && t.at[i].right == right[i] && t.at[i].was_right == was[i] &&
                    t.at[i].targets == 1 && t.at[i].loss == (double)(index[i] + 1));
    t.n = 0;
    lf_answers_begin(&a, LF_ANSWERS_AGAINST_KEPT); /* and again, from nothing */
    hand_over(&a, "RR", 2, 1, 3, true);
    are(a.changes, 0, 2, 2);
    lf_answers_begin(&a, LF_ANSWERS_AGAINST_KEPT);
    hand_over(&a, "WW", 2, 1, 0, false); /* numbers are neither right nor wrong */
    are(a.changes, 0, 0, 0);
    assert_true(t.n == 4 && t.at[3].was_right == -1);
    lf_answers_free(&a);
}

/* Of texts every next token is a label; the second has none. */
static void answers_of_texts_are_their_tokens(void **state) {
    (void)state;
    told t = {0};
    lf_answers a = {.visit = tell, .context = &t};
    lf_answers_begin(&a, LF_ANSWERS_KEEP);
    hand_over(&a,
              "RW-"
              "---",
              2, T, 0, false);
    hand_over(&a, "RRW", 1, T, 2, false);
    lf_answers_begin(&a, LF_ANSWERS_AGAINST_KEPT);
    hand_over(&a,
              "WR-"
              "---",
              2, T, 0, false);
    hand_over(&a, "RWW", 1, T, 2, false);
    are(a.changes, 2, 1, 5);
    assert_int_equal(t.n, 2);
    assert_true(t.at[0].index == 0 && t.at[0].targets == 2 && t.at[0].right == 1 && t.at[0].was_right == 1);
    assert_true(t.at[1].index == 2 && t.at[1].targets == 3 && t.at[1].right == 1 && t.at[1].was_right == 2);
    assert_true(t.at[0].loss == 1.5 && t.at[1].loss == 2);
    lf_answers_free(&a);
}

/* What the base says of the same, beside it; where it does not, nothing is compared. */
static void answers_beside_the_base(void **state) {
    (void)state;
    lf_answers a = {0};
    lf_err err = {0};
    const int64_t index = 0;
    const lf_example_batch b = {.in = {.B = 1, .T = T}, .indices = &index};
    lf_label_score s[T] = {{.target = true, .correct = true, .compared = true},
                           {.target = true, .compared = true, .base_correct = true},
                           {.target = true, .compared = true}};
    lf_answers_begin(&a, LF_ANSWERS_AGAINST_BASE);
    assert_int_equal(lf_answers_take(&a, &(lf_answered){.batch = &b, .scores = s}, &err), LF_OK);
    are(a.changes, 1, 1, 3);
    for (int i = 0; i < T; i++) s[i].compared = false;
    lf_answers_begin(&a, LF_ANSWERS_AGAINST_BASE);
    assert_int_equal(lf_answers_take(&a, &(lf_answered){.batch = &b, .scores = s}, &err), LF_OK);
    are(a.changes, 0, 0, 0);
    lf_answers_free(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_of_the_targets),
        cmocka_unit_test(a_failure_is_passed_on_and_ends_the_reading),
        cmocka_unit_test(an_interruption_says_how_far_it_came),
        cmocka_unit_test(ranks_find_what_one_does),
        cmocka_unit_test(answers_are_compared_by_their_example),
        cmocka_unit_test(answers_of_texts_are_their_tokens),
        cmocka_unit_test(answers_beside_the_base),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
