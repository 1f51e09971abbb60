/* Masked tokens: as many as BERT hides, in the same places whatever stands around them, and never a special one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "data/text/masking.h"

enum { V = 1000, MASK = 4, SPECIAL = 5, N = 400, DOCUMENTS = 200 };

static bool is_special(const void *context, int32_t id) {
    (void)context;
    return id < SPECIAL;
}

static const lf_text_masking masking = {.mask = MASK, .vocab_size = V, .is_special = is_special};

static int32_t id_of(int64_t document, int64_t i) {
    return i == 0 ? 2 : i + 1 == N ? 3 : (int32_t)(SPECIAL + (document * 31 + i * 7) % (V - SPECIAL));
}

static int64_t masked(int64_t document, int64_t n, int32_t *ids, int32_t *labels) {
    for (int64_t i = 0; i < n; i++) ids[i] = id_of(document, i);
    return lf_text_mask(&masking, document, ids, labels, n);
}

static void test_shares(void **state) {
    (void)state;
    int64_t chosen = 0, hidden = 0, kept = 0, random = 0;
    for (int64_t d = 0; d < DOCUMENTS; d++) {
        int32_t ids[N], labels[N];
        int64_t here = 0;
        const int64_t said = masked(d, N, ids, labels);
        for (int64_t i = 0; i < N; i++) {
            if (labels[i] < 0) {
                assert_int_equal(ids[i], id_of(d, i));
                continue;
            }
            assert_int_equal(labels[i], id_of(d, i));
            assert_true(labels[i] >= SPECIAL && ids[i] >= 0 && ids[i] < V);
            hidden += ids[i] == MASK;
            kept += ids[i] == labels[i];
            random += ids[i] != MASK && ids[i] != labels[i];
            here++;
        }
        assert_int_equal(said, here);
        chosen += here;
    }
    const double n = (double)DOCUMENTS * (N - 2), of = (double)chosen;
    assert_true(fabs(of / n - 0.15) < 5 * sqrt(0.15 * 0.85 / n));
    assert_true(fabs((double)hidden / of - 0.8) < 5 * sqrt(0.16 / of));
    assert_true(fabs((double)kept / of - 0.1) < 5 * sqrt(0.09 / of));
    assert_true(fabs((double)random / of - 0.1) < 5 * sqrt(0.09 / of));
}

/* A document that is cut has the masks of its beginning; another document has others. */
static void test_places(void **state) {
    (void)state;
    int32_t ids[N], labels[N], short_ids[N], short_labels[N], other_ids[N], other_labels[N];
    masked(7, N, ids, labels);
    masked(7, N / 2, short_ids, short_labels);
    assert_memory_equal(ids, short_ids, N / 2 * sizeof *ids);
    assert_memory_equal(labels, short_labels, N / 2 * sizeof *labels);
    masked(8, N, other_ids, other_labels);
    bool same = true;
    for (int64_t i = 0; i < N; i++) same = same && (labels[i] < 0) == (other_labels[i] < 0);
    assert_false(same);
}

static void test_nothing(void **state) {
    (void)state;
    int32_t ids[3] = {2, MASK, 3}, labels[3];
    assert_int_equal(lf_text_mask(&masking, 0, ids, labels, 3), 0);
    assert_int_equal(lf_text_mask(&masking, 0, ids, labels, 0), 0);
    for (int i = 0; i < 3; i++) assert_int_equal(labels[i], -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shares), cmocka_unit_test(test_places),
                                       cmocka_unit_test(test_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
