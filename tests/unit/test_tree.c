/* The sum of a step's micro-batches: against trees written out by hand, with leaves that are not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/mem.h"
#include "train/together.h"
#include "unit/world_fixture.h"

enum { TENSORS = 2, MOST = 13 };

/* What is trained: two tensors, of 3 and 5 numbers. */
typedef struct trained {
    float data[8], gradients[8];
    lf_tensor tensors[TENSORS];
    lf_trainable list[TENSORS];
    unsigned there;      /* bit i: leaf i is */
    int64_t asked, next; /* leaves so far, and which may be asked for now */
    int64_t fails;       /* this leaf does; -1: none */
} trained;

static void set_up(trained *t) {
    *t = (trained){.there = ~0u, .fails = -1};
    lf_tensor_init(&t->tensors[0], LF_F32, 1, (int64_t[]){3}, t->data, t->gradients);
    lf_tensor_init(&t->tensors[1], LF_F32, 1, (int64_t[]){5}, t->data + 3, t->gradients + 3);
    for (int i = 0; i < TENSORS; i++) t->list[i] = (lf_trainable){.tensor = &t->tensors[i]};
}

static bool is_there(const trained *t, int64_t leaf) { return t->there >> leaf & 1; }

/* Numbers of such different sizes that each order of adding them has bytes of its own. */
static float number(int64_t leaf, int64_t j) { return (leaf % 3 ? 1e-3f : 1e4f) * (1.0f + (float)(leaf * 8 + j) / 7); }
static double loss(int64_t leaf) { return (leaf % 2 ? 1e-9 : 1e6) * (1.0 + (double)leaf / 7); }

static lf_status leaf(void *context, int64_t i, lf_window *w, bool *there, lf_err *err) {
    trained *t = context;
    t->asked++;
    assert_true(i >= t->next); /* in the order of the data */
    t->next = i + 1;
    for (int64_t j = 0; j < 8; j++) t->gradients[j] = is_there(t, i) ? number(i, j) : -77;
    *w = (lf_window){.loss = loss(i), .targets = i + 1, .correct = i};
    *there = is_there(t, i);
    return i == t->fails ? lf_fail(err, LF_EDATA, "leaf %lld", (long long)i) : LF_OK;
}

static lf_window sum(trained *t, int64_t leaves, int64_t n) {
    lf_tree tree;
    lf_err err = {0};
    lf_tree_result r;
    t->asked = t->next = 0;
    if (lf_tree_new(&tree, &lf_kernels_ref_f32, t->list, TENSORS, leaves, &err) ||
        lf_tree_sum(&tree, n, leaf, t, &r, &err))
        fail_msg("%s", err.message);
    assert_int_equal(r.failure.status, LF_OK);
    assert_int_equal(t->asked, n);
    lf_tree_free(&tree);
    return r.w;
}

static void is_gradient(const trained *t, int64_t j, float expected) {
    if (memcmp(&t->gradients[j], &expected, sizeof expected))
        fail_msg("gradient %lld: %.9g, expected %.9g", (long long)j, (double)t->gradients[j], (double)expected);
}

#define G(i) number(i, j)
#define L(i) loss(i)

static void test_by_hand(void **state) {
    (void)state;
    trained t;
    set_up(&t);
    lf_window w = sum(&t, 1, 1);
    for (int64_t j = 0; j < 8; j++) is_gradient(&t, j, G(0));
    assert_true(w.loss == L(0) && w.targets == 1 && w.correct == 0);
    w = sum(&t, 6, 6);
    for (int64_t j = 0; j < 8; j++) is_gradient(&t, j, ((G(0) + G(1)) + (G(2) + G(3))) + (G(4) + G(5)));
    assert_true(w.loss == ((L(0) + L(1)) + (L(2) + L(3))) + (L(4) + L(5)) && w.targets == 21 && w.correct == 15);
    int64_t others = 0;
    for (int64_t j = 0; j < 8; j++) others += t.gradients[j] != G(0) + G(1) + G(2) + G(3) + G(4) + G(5);
    assert_true(others > 0); /* so it is not one behind the other */
    w = sum(&t, 8, 7);       /* a short window of the same tree */
    for (int64_t j = 0; j < 8; j++) is_gradient(&t, j, ((G(0) + G(1)) + (G(2) + G(3))) + ((G(4) + G(5)) + G(6)));
    assert_true(w.targets == 28);
    t.there = ~(1u << 1 | 1u << 4 | 1u << 5); /* a leaf, and a whole node */
    w = sum(&t, 8, 8);
    for (int64_t j = 0; j < 8; j++) is_gradient(&t, j, (G(0) + (G(2) + G(3))) + (G(6) + G(7)));
    assert_true(w.loss == (L(0) + (L(2) + L(3))) + (L(6) + L(7)) && w.targets == 1 + 3 + 4 + 7 + 8);
}

/* Every number of leaves, and every set of them that is there. */
typedef struct value {
    float g;
    bool there;
} value;

static value of_node(const trained *t, int64_t begin, int64_t end, int64_t n, int64_t j) {
    if (begin >= n) return (value){0};
    if (end - begin == 1) return (value){number(begin, j), is_there(t, begin)};
    const int64_t half = begin + (end - begin) / 2;
    const value a = of_node(t, begin, half, n, j), b = of_node(t, half, end, n, j);
    if (a.there && b.there) return (value){a.g + b.g, true};
    return a.there ? a : b;
}

static void test_every_set_of_leaves(void **state) {
    (void)state;
    trained t;
    set_up(&t);
    for (int64_t n = 1; n <= 9; n++)
        for (t.there = 0; t.there < 1u << n; t.there++) {
            const lf_window w = sum(&t, n, n);
            int64_t targets = 0;
            for (int64_t i = 0; i < n; i++) targets += is_there(&t, i) ? i + 1 : 0;
            assert_int_equal(w.targets, targets);
            for (int64_t j = 0; j < 8 && t.there; j++) is_gradient(&t, j, of_node(&t, 0, 16, n, j).g);
        }
}

static void test_memory(void **state) {
    (void)state;
    static const struct {
        int64_t leaves, buffers;
    } cases[] = {{1, 0}, {2, 1}, {3, 2}, {4, 2}, {5, 3}, {8, 3}, {65536, 16}};
    trained t;
    lf_tree tree;
    lf_tree_result r;
    lf_err err = {0};
    set_up(&t);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t live = lf_alloc_live();
        assert_int_equal(lf_tree_bytes(cases[i].leaves, 8), cases[i].buffers * 32);
        assert_int_equal(lf_tree_new(&tree, &lf_kernels_ref_f32, t.list, TENSORS, cases[i].leaves, &err), LF_OK);
        assert_int_equal(lf_alloc_live() - live, cases[i].buffers);
        const uint64_t calls = lf_alloc_calls();
        t.next = 0;
        assert_int_equal(lf_tree_sum(&tree, cases[i].leaves < 8 ? cases[i].leaves : 8, leaf, &t, &r, &err), LF_OK);
        assert_true(lf_alloc_calls() == calls);
        lf_tree_free(&tree);
        assert_int_equal(lf_alloc_live(), live);
    }
    const int64_t live = lf_alloc_live();
    lf_alloc_fail_after(2);
    assert_int_equal(lf_tree_new(&tree, &lf_kernels_ref_f32, t.list, TENSORS, 8, &err), LF_ENOMEM);
    lf_alloc_fail_after(-1);
    assert_int_equal(lf_alloc_live(), live);
}

static void test_a_leaf_that_fails_ends_it(void **state) {
    (void)state;
    trained t;
    lf_tree tree;
    lf_tree_result r;
    lf_err err = {0};
    set_up(&t);
    t.fails = 3;
    assert_int_equal(lf_tree_new(&tree, &lf_kernels_ref_f32, t.list, TENSORS, MOST, &err), LF_OK);
    assert_int_equal(lf_tree_sum(&tree, MOST, leaf, &t, &r, &err), LF_OK);
    assert_int_equal(r.failure.status, LF_EDATA);
    assert_string_equal(r.failure.message, "leaf 3");
    assert_int_equal(t.asked, 4);
    lf_tree_free(&tree);
}

/* ---- ranks ---- */

static bool is_sum(const trained *t, int64_t n) {
    for (int64_t j = 0; j < 8; j++) {
        const float expected = of_node(t, 0, 16, n, j).g;
        if (memcmp(&t->gradients[j], &expected, sizeof expected)) return false;
    }
    return true;
}

/* Every length of a window of so many leaves, with and without one in the middle; and the leaves that this rank
 * computes are those that its batches are for. */
static bool sums_with_others(void *context) {
    const int64_t leaves = *(const int64_t *)context;
    trained t;
    lf_tree tree;
    lf_tree_result r;
    lf_err err = {0};
    set_up(&t);
    if (lf_tree_new(&tree, &lf_kernels_ref_f32, t.list, TENSORS, leaves, &err)) return false;
    const lf_portion mine = lf_tree_portion(&tree);
    for (int64_t n = 1; n <= leaves; n++)
        for (int without = 0; without <= 1; without++) {
            int64_t targets = 0;
            t.there = without ? ~(1u << n / 2) : ~0u;
            t.asked = t.next = 0;
            for (int64_t i = 0; i < n; i++) targets += is_there(&t, i) ? i + 1 : 0;
            if (lf_tree_sum(&tree, n, leaf, &t, &r, &err) || lf_tree_spread(&tree, &err)) return false;
            if (t.asked != lf_portion_count(mine, n) && leaves != mine.n) return false;
            if (lf_world_is_first() && r.w.targets != targets) return false;
            if (targets && !is_sum(&t, n)) return false;
        }
    lf_tree_free(&tree);
    return true;
}

static void test_ranks_get_the_same_sum(void **state) {
    (void)state;
    for (int size = 1; size <= 9; size++)
        for (int64_t leaves = 1; leaves <= MOST; leaves += size > 4 ? 3 : 1)
            if (!on_ranks(size, sums_with_others, &leaves)) fail_msg("%d ranks, %lld leaves", size, (long long)leaves);
}

/* A leaf of rank 1's fails: nobody waits for ever, and the step's word has it on all. */
static bool fails_with_others(void *nothing) {
    (void)nothing;
    trained t;
    lf_tree tree;
    lf_tree_result r;
    lf_rank_times times;
    lf_err err = {0};
    set_up(&t);
    t.fails = 3;
    if (lf_tree_new(&tree, &lf_kernels_ref_f32, t.list, TENSORS, 8, &err) || lf_rank_times_new(&times, &err))
        return false;
    if (lf_tree_sum(&tree, 8, leaf, &t, &r, &err)) return false;
    lf_step_word word = {.failure = r.failure, .data_failed = r.failure.status, .items = 5};
    const lf_status rc = lf_together_step(&word, &times, &err);
    lf_rank_times_free(&times);
    lf_tree_free(&tree);
    return rc == LF_EDATA && word.data_failed && word.items == 15 && lf_world_agreed() &&
           strcmp(err.message, "rank 1 (node1): leaf 3") == 0;
}

static bool agrees(void *nothing) {
    (void)nothing;
    const int rank = lf_world_rank();
    bool flags[] = {rank == 1, false};
    char name[16];
    lf_err err = {0};
    if (lf_world_agree(LF_OK, &err) || lf_world_any(flags, 2, &err) || !flags[0] || flags[1]) return false;
    if (lf_world_same("key 'x'", "a", "no", &err)) return false;
    snprintf(name, sizeof name, "%s", rank == 2 ? "avx2" : "avx512");
    if (lf_world_same("kernels", name, "set them", &err) != LF_EUSAGE || !lf_world_agreed()) return false;
    if (strcmp(err.message, "rank 2 (node2): kernels here is avx2, and on rank 0 avx512; set them")) return false;
    err = (lf_err){0};
    if (lf_world_first_did(rank ? LF_OK : lf_fail(&err, LF_EIO, "full"), &err) != LF_EIO) return false;
    return strcmp(err.message, "full") == 0;
}

static void test_ranks_agree(void **state) {
    (void)state;
    assert_true(on_ranks(3, fails_with_others, NULL));
    assert_true(on_ranks(4, agrees, NULL));
}

static void test_slow_rank(void **state) {
    (void)state;
    static const struct {
        double seconds[3];
        int64_t leaves[3];
        int slow;
    } cases[] = {
        {{1, 1.4, 1}, {1, 1, 1}, -1},  {{1, 1.6, 1}, {1, 1, 1}, 1}, {{2, 3, 2}, {1, 3, 1}, -1},
        {{2, 0, 4}, {2, 0, 2}, 2},     {{9, 0, 0}, {1, 0, 0}, -1},  {{0, 0, 0}, {0, 0, 0}, -1},
        {{3, 3.1, 2.9}, {3, 1, 3}, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(lf_slow_rank(cases[i].seconds, cases[i].leaves, 3), cases[i].slow);
}

/* Each batch of an epoch is in one portion, and places go on where they were begun. */
static void test_portions(void **state) {
    (void)state;
    for (int64_t period = 1; period <= 5; period++)
        for (int64_t first = 0; first <= period; first++)
            for (int64_t n = 0; first + n <= period; n++)
                for (int64_t per_epoch = 1; per_epoch <= 11; per_epoch++) {
                    const lf_portion p = {period, first, n};
                    int64_t at = 0;
                    for (int64_t b = 0; b < 3 * per_epoch; b++) {
                        const int64_t number = b % per_epoch, in = number % period;
                        if (in < first || in >= first + n) continue;
                        const lf_batch_place place = lf_portion_place(p, per_epoch, 7, 0, at++);
                        assert_true(place.epoch == 7 + b / per_epoch && place.number == number);
                    }
                    assert_int_equal(lf_portion_total(p, per_epoch, 3, 0), at);
                    if (!n || period > per_epoch) continue;
                    const lf_batch_place place = lf_portion_place(p, per_epoch, 7, period, 0);
                    const int64_t number = period + first;
                    if (number < per_epoch) assert_true(place.epoch == 7 && place.number == number);
                }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_by_hand),
                                       cmocka_unit_test(test_every_set_of_leaves),
                                       cmocka_unit_test(test_memory),
                                       cmocka_unit_test(test_a_leaf_that_fails_ends_it),
                                       cmocka_unit_test(test_ranks_get_the_same_sum),
                                       cmocka_unit_test(test_ranks_agree),
                                       cmocka_unit_test(test_slow_rank),
                                       cmocka_unit_test(test_portions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
