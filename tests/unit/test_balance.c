/* The balanced order: how often classes and examples come, in an epoch and over all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "data/balance.h"

enum { N = 100, CLASSES = 5 };

/* 2, 7, none, 90 and 1 of the classes. */
static int64_t class_of(const void *nothing, int64_t i) {
    (void)nothing;
    return i % 50 == 3 ? 0 : i < 8 ? 1 : i == 77 ? 4 : 3;
}

static int64_t examples_of(int64_t class) {
    int64_t n = 0;
    for (int64_t i = 0; i < N; i++) n += class_of(NULL, i) == class;
    return n;
}

static lf_balance *balance(void) {
    lf_balance *b = NULL;
    lf_err err = {0};
    assert_int_equal(lf_balance_new(&b, N, CLASSES, class_of, NULL, &err), LF_OK);
    return b;
}

static void test_classes_come_alike(void **state) {
    (void)state;
    lf_balance *b = balance();
    int64_t order[N];
    for (int64_t epoch = 0; epoch < 4; epoch++) {
        int64_t times[CLASSES] = {0};
        lf_balance_order(b, 1, epoch, order);
        for (int64_t i = 0; i < N; i++) {
            assert_true(order[i] >= 0 && order[i] < N);
            times[class_of(NULL, order[i])]++;
        }
        for (int c = 0; c < CLASSES; c++) assert_int_equal(times[c], c == 2 ? 0 : N / 4);
    }
    lf_balance_free(b);
}

/* None comes again before all of its class have come: over the epochs any two of a class differ by one at most. */
static void test_all_of_a_class_come(void **state) {
    (void)state;
    lf_balance *b = balance();
    int64_t order[N], times[N] = {0};
    for (int64_t epoch = 0; epoch < 11; epoch++) {
        lf_balance_order(b, 7, epoch, order);
        for (int64_t i = 0; i < N; i++) times[order[i]]++;
        for (int64_t i = 0; i < N; i++) {
            const int64_t c = class_of(NULL, i), low = (epoch + 1) * (N / 4) / examples_of(c);
            assert_true(times[i] == low || times[i] == low + 1);
        }
    }
    lf_balance_free(b);
}

static void test_by_seed_and_epoch_alone(void **state) {
    (void)state;
    lf_balance *a = balance(), *b = balance();
    int64_t x[N], y[N];
    lf_balance_order(a, 3, 0, x);
    lf_balance_order(a, 3, 5, x);
    lf_balance_order(b, 3, 5, y); /* as a run that goes on there */
    assert_memory_equal(x, y, sizeof x);
    lf_balance_order(b, 4, 5, y);
    assert_true(memcmp(x, y, sizeof x) != 0);
    lf_balance_order(b, 3, 6, y);
    assert_true(memcmp(x, y, sizeof x) != 0);
    lf_balance_free(a);
    lf_balance_free(b);
}

static int64_t first(const void *nothing, int64_t i) { return (void)nothing, (void)i, 0; }

static void test_small(void **state) {
    (void)state;
    lf_balance *b = NULL;
    lf_err err = {0};
    int64_t order[3], seen = 0;
    assert_int_equal(lf_balance_new(&b, 3, 2, first, NULL, &err), LF_OK); /* one class: a permutation */
    lf_balance_order(b, 1, 9, order);
    for (int i = 0; i < 3; i++) seen |= (int64_t)1 << order[i];
    assert_int_equal(seen, 7);
    lf_balance_free(b);
    for (long k = 0; k < 6; k++) {
        lf_alloc_fail_after(k);
        assert_int_equal(lf_balance_new(&b, N, CLASSES, class_of, NULL, &err), LF_ENOMEM);
        lf_alloc_fail_after(-1);
        assert_int_equal(lf_alloc_live(), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes_come_alike),
        cmocka_unit_test(test_all_of_a_class_come),
        cmocka_unit_test(test_by_seed_and_epoch_alone),
        cmocka_unit_test(test_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
