/* The cross-entropy with weights of classes against torch's (scripts/make-golden-losses.py), by the reference and by
 * the fast kernels; divided by what the targets weigh, as a step divides it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "json_fixture.h"
#include "kernels/kernels.h"

enum { ROWS = 6, CLASSES = 4 };

static void close_to(double found, double want, const char *what, const lf_kernels *k) {
    if (!(fabs(found - want) <= 2e-6)) /* floats: a few roundings of numbers up to 10 */
        fail_msg("%s by %s: %.9g, expected %.9g", what, k->name, found, want);
}

static void compare(const cJSON *c, const lf_kernels *k) {
    float logits[ROWS * CLASSES], want[ROWS * CLASSES], weights[CLASSES], lse[ROWS], dx[ROWS * CLASSES];
    int32_t labels[ROWS];
    double weight = 0;
    const bool weighted = floats(weights, member(c, "weights")) > 0;
    const double smoothing = number(c, "smoothing");
    assert_true(floats(logits, member(c, "logits")) == ROWS * CLASSES &&
                floats(want, member(c, "gradient")) == ROWS * CLASSES);
    for (int i = 0; i < ROWS; i++) {
        labels[i] = cJSON_GetArrayItem(member(c, "labels"), i)->valueint;
        weight += labels[i] < 0 ? 0 : weighted ? (double)weights[labels[i]] : 1;
    }
    const float *w = weighted ? weights : NULL;
    close_to(k->cross_entropy(lse, logits, labels, w, ROWS, CLASSES, smoothing) / weight, number(c, "loss"), "loss", k);
    k->cross_entropy_backward(dx, false, 1 / weight, lse, logits, labels, w, ROWS, CLASSES, smoothing);
    for (int i = 0; i < ROWS * CLASSES; i++) close_to((double)dx[i], (double)want[i], "gradient", k);
}

static void test_as_torch(void **state) {
    (void)state;
    cJSON *golden = golden_json("losses");
    const lf_kernels *k[8];
    const int n = lf_kernels_available("fp32", k, 8);
    const cJSON *c, *cases = member(golden, "cases");
    assert_int_equal(cJSON_GetArraySize(cases), 6);
    cJSON_ArrayForEach(c, cases) for (int i = 0; i < n; i++) compare(c, k[i]);
    cJSON_Delete(golden);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_as_torch)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
