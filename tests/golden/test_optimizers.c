/* The course of each optimiser over a few steps against torch's and transformers' (scripts/make-golden-optimizers.py),
 * by the reference and by the fast kernels. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "json_fixture.h"
#include "train/optimizer.h"

enum { TENSORS = 4, NUMBERS = 128 };

static cJSON *golden;

static int read_golden(void **state) {
    (void)state;
    golden = golden_json("optimizers");
    return 0;
}

static int drop_golden(void **state) {
    (void)state;
    cJSON_Delete(golden);
    return 0;
}

static lf_config *config(const cJSON *c) {
    lf_config *cfg = NULL;
    lf_err err = {0};
    const cJSON *key;
    char *rate = lf_json_print_line(member(golden, "learning_rate")),
         *decay = lf_json_print_line(member(c, "weight_decay"));
    if (lf_config_new(&cfg, "train", &err) || lf_config_set(cfg, "optim", word(c, "optim"), &err) ||
        lf_config_set(cfg, "learning_rate", rate, &err) || lf_config_set(cfg, "weight_decay", decay, &err))
        fail_msg("%s", err.message);
    cJSON_ArrayForEach(key, member(c, "keys")) if (lf_config_set(cfg, key->string, key->valuestring, &err))
        fail_msg("%s", err.message);
    lf_free(rate);
    lf_free(decay);
    return cfg;
}

/* The tensors one behind the other in p and grad. */
static void list_tensors(lf_trainable *list, lf_tensor *t, float *p, float *grad) {
    const cJSON *shape;
    int i = 0;
    cJSON_ArrayForEach(shape, member(golden, "shapes")) {
        int64_t dims[LF_TENSOR_DIMS];
        const int n = cJSON_GetArraySize(shape);
        for (int d = 0; d < n; d++) dims[d] = cJSON_GetArrayItem(shape, d)->valueint;
        lf_tensor_init(&t[i], LF_F32, n, dims, p, grad);
        p += t[i].numel;
        grad += t[i].numel;
        list[i] = (lf_trainable){.name = "x", .tensor = &t[i], .decays = true};
        i++;
    }
    assert_int_equal(i, TENSORS);
}

/* Gradients are handed over four times as large, with the scale that clipping has for them. */
static void compare(const cJSON *c, const lf_kernels *k) {
    float p[NUMBERS], grad[NUMBERS], want[NUMBERS];
    lf_tensor t[TENSORS];
    lf_trainable list[TENSORS];
    lf_optimizer o;
    lf_err err = {0};
    lf_config *cfg = config(c);
    const cJSON *gradients = member(golden, "gradients"), *course = member(c, "course");
    floats(p, member(golden, "start"));
    list_tensors(list, t, p, grad);
    if (lf_optimizer_init(&o, k, list, TENSORS, cfg, &err)) fail_msg("%s", err.message);
    assert_int_equal(o.numbers, count(golden, "start"));
    for (int step = 0; step < cJSON_GetArraySize(gradients); step++) {
        floats(grad, cJSON_GetArrayItem(gradients, step));
        floats(want, cJSON_GetArrayItem(course, step));
        for (int64_t i = 0; i < o.numbers; i++) grad[i] *= 4;
        lf_optimizer_step(&o, 1, 0.25);
        for (int64_t i = 0; i < o.numbers; i++)
            if (!(fabs((double)p[i] - (double)want[i]) <= 2e-6 * (1 + fabs((double)want[i])))) /* a few roundings */
                fail_msg("%s (%s), step %d, number %d: %.9g, expected %.9g", word(c, "optim"), k->name, step + 1,
                         (int)i, (double)p[i], (double)want[i]);
    }
    lf_optimizer_free(&o);
    lf_config_free(cfg);
}

static void test_as_theirs(void **state) {
    (void)state;
    const lf_kernels *fast;
    const cJSON *c;
    assert_int_equal(lf_kernels_select(&fast, "fp32", NULL), LF_OK);
    assert_true(count(golden, "cases") >= 10);
    cJSON_ArrayForEach(c, member(golden, "cases")) {
        compare(c, &lf_kernels_ref_f32);
        compare(c, fast);
    }
}

/* Of a matrix the means of its rows and columns are kept, of a vector all. */
static void test_what_adafactor_keeps(void **state) {
    (void)state;
    float p[NUMBERS], grad[NUMBERS];
    lf_tensor t[TENSORS];
    lf_trainable list[TENSORS];
    const lf_optimizer o = {.type = &lf_optimizer_adafactor};
    static const int64_t want[TENSORS][3] = {{4, 6, 0}, {5, 1, 0}, {0, 0, 7}, {12, 24, 0}};
    list_tensors(list, t, p, grad);
    for (int i = 0; i < TENSORS; i++)
        for (int m = 0; m < 3; m++) assert_int_equal(lf_optimizer_moment_size(&o, &t[i], m), want[i][m]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_as_theirs), cmocka_unit_test(test_what_adafactor_keeps)};
    return cmocka_run_group_tests(tests, read_golden, drop_golden);
}
