/* Drawing a token: what each setting leaves to draw from, and that a draw is a function of its arguments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/sampling.h"

enum { V = 6, DRAWS = 20000 };
/* probabilities .4 .3 .15 .1 .04 .01, in another order */
static const double probability[V] = {.1, .4, .01, .3, .04, .15};

static int32_t draw(const lf_sampling *s, uint64_t at) {
    float logits[V];
    lf_token_candidate room[V];
    for (int v = 0; v < V; v++) logits[v] = (float)log(probability[v]) + 3;
    return lf_sample(s, logits, V, NULL, 0, at, room);
}

static void frequencies(const lf_sampling *s, double *out) {
    memset(out, 0, V * sizeof *out);
    for (uint64_t i = 0; i < DRAWS; i++) out[draw(s, i)] += 1.0 / DRAWS;
}

static void assert_near(const double *found,
                        const double *expected) { /* 4 standard deviations of a share of DRAWS, and roundings */
    for (int v = 0; v < V; v++)
        if (fabs(found[v] - expected[v]) > 4 * sqrt(expected[v] * (1 - expected[v]) / DRAWS) + 1e-9)
            fail_msg("token %d: drawn with %g, expected %g", v, found[v], expected[v]);
}

static void test_draws_follow_the_model(void **state) {
    (void)state;
    double f[V];
    frequencies(&(lf_sampling){.repetition_penalty = 1, .temperature = 1, .top_p = 1, .seed = 1}, f);
    assert_near(f, probability);
    double warm[V], sum = 0;
    for (int v = 0; v < V; v++) sum += warm[v] = sqrt(probability[v]);
    for (int v = 0; v < V; v++) warm[v] /= sum;
    frequencies(&(lf_sampling){.repetition_penalty = 1, .temperature = 2, .top_p = 1, .seed = 2}, f);
    assert_near(f, warm);
}

static void test_top_k_and_top_p(void **state) {
    (void)state;
    double f[V];
    frequencies(&(lf_sampling){.repetition_penalty = 1, .temperature = 1, .top_k = 2, .top_p = 1, .seed = 3}, f);
    assert_near(f, (const double[V]){0, 4.0 / 7, 0, 3.0 / 7, 0, 0});
    frequencies(&(lf_sampling){.repetition_penalty = 1, .temperature = 1, .top_p = .8, .seed = 4}, f); /* .4 .3 .15 */
    assert_near(f, (const double[V]){0, .4 / .85, 0, .3 / .85, 0, .15 / .85});
    frequencies(&(lf_sampling){.repetition_penalty = 1, .temperature = 1, .top_p = 1e-6, .seed = 5},
                f); /* never nothing */
    assert_near(f, (const double[V]){0, 1, 0, 0, 0, 0});
    frequencies(&(lf_sampling){.repetition_penalty = 1, .temperature = 1, .top_k = 1, .top_p = .5, .seed = 6}, f);
    assert_near(f, (const double[V]){0, 1, 0, 0, 0, 0});
    assert_int_equal(draw(&(lf_sampling){.repetition_penalty = 1, .top_p = 1}, 0), 1); /* temperature 0 */
}

/* Of .4 the half is .2, and at temperature 2, where shares are square roots, .15 is above it. */
static void test_min_p(void **state) {
    (void)state;
    double f[V];
    frequencies(&(lf_sampling){.repetition_penalty = 1, .temperature = 1, .top_p = 1, .min_p = .5, .seed = 7}, f);
    assert_near(f, (const double[V]){0, 4.0 / 7, 0, 3.0 / 7, 0, 0});
    const double all = sqrt(.4) + sqrt(.3) + sqrt(.15);
    frequencies(&(lf_sampling){.repetition_penalty = 1, .temperature = 2, .top_p = 1, .min_p = .6, .seed = 8}, f);
    assert_near(f, (const double[V]){0, sqrt(.4) / all, 0, sqrt(.3) / all, 0, sqrt(.15) / all});
    frequencies(&(lf_sampling){.repetition_penalty = 1, .temperature = 1, .top_p = 1, .min_p = 1, .seed = 9}, f);
    assert_near(f, (const double[V]){0, 1, 0, 0, 0, 0});
    /* of what top_p leaves (.4 .3 .15), not the other way round: min_p first would leave .4 of .7 for top_p */
    frequencies(&(lf_sampling){.repetition_penalty = 1, .temperature = 1, .top_p = .5, .min_p = .5, .seed = 10}, f);
    assert_near(f, (const double[V]){0, 4.0 / 7, 0, 3.0 / 7, 0, 0});
    frequencies(
        &(lf_sampling){.repetition_penalty = 1, .temperature = 1, .top_k = 3, .top_p = 1, .min_p = .3, .seed = 11}, f);
    assert_near(f, (const double[V]){0, .4 / .85, 0, .3 / .85, 0, .15 / .85});
}

/* A vocabulary of which few, many or all are the likely ones: what is drawn is by the definition, all sorted. */
enum { MANY = 3000 };

static int by_probability(const void *x, const void *y) {
    const lf_token_candidate *a = x, *b = y;
    if (a->value != b->value) return a->value < b->value ? 1 : -1;
    return (a->id > b->id) - (a->id < b->id);
}

static int32_t draw_by_definition(const lf_sampling *s, const float *logits, uint64_t at) {
    static lf_token_candidate c[MANY];
    double most = -INFINITY, sum = 0, kept = 0, reached = 0;
    int n = 0;
    for (int v = 0; v < MANY; v++) most = fmax(most, (double)logits[v]);
    for (int v = 0; v < MANY; v++)
        sum += (c[v] = (lf_token_candidate){exp(((double)logits[v] - most) / s->temperature), v}).value;
    qsort(c, MANY, sizeof *c, by_probability);
    while (n < MANY && kept < s->top_p * sum) kept += c[n++].value;
    const double uniform = lf_rng_uniform(lf_rng_make(s->seed, LF_RNG_SAMPLE, s->text), at);
    for (int i = 0; i < n; i++)
        if ((reached += c[i].value) > uniform * kept) return c[i].id;
    return c[n - 1].id;
}

static void test_the_nucleus_of_many(void **state) {
    (void)state;
    static const double shares[] = {1e-4, .3, .9, .999}, spread[] = {.01, 1, 8};
    static float logits[MANY], copy[MANY];
    static lf_token_candidate room[MANY];
    for (int w = 0; w < 3; w++)
        for (int p = 0; p < 4; p++) {
            const lf_sampling s = {
                .repetition_penalty = 1, .temperature = 1, .top_p = shares[p], .seed = 5, .text = (uint64_t)p};
            for (int v = 0; v < MANY; v++) /* half of them have an equal */
                logits[v] = (float)(spread[w] * lf_rng_normal(lf_rng_make(8, LF_RNG_TEST, (uint64_t)w),
                                                              (uint64_t)(v % 4 ? v : v / 2)));
            for (uint64_t at = 0; at < 20; at++) {
                memcpy(copy, logits, sizeof copy);
                assert_int_equal(lf_sample(&s, copy, MANY, NULL, 0, at, room), draw_by_definition(&s, logits, at));
            }
        }
}

static void test_equal_logits(void **state) {
    (void)state;
    float logits[V] = {1, 2, 2, 2, 0, 2};
    lf_token_candidate room[V];
    assert_int_equal(lf_sample(&(lf_sampling){.repetition_penalty = 1, .top_p = 1}, logits, V, NULL, 0, 0, room), 1);
    for (uint64_t i = 0; i < 200; i++) { /* the two lowest ids of the four */
        const int32_t id = lf_sample(&(lf_sampling){.repetition_penalty = 1, .temperature = 1, .top_k = 2, .top_p = 1},
                                     logits, V, NULL, 0, i, room);
        assert_true(id == 1 || id == 2);
    }
}

/* Not a number is in no order: selecting by it would leave the array. */
static void test_logits_that_are_not_finite(void **state) {
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    static const lf_sampling how[] = {{.repetition_penalty = 1, .top_p = 1},
                                      {.repetition_penalty = 1, .temperature = 1, .top_p = 1},
                                      {.repetition_penalty = 1, .temperature = 1, .top_k = 2, .top_p = 1},
                                      {.repetition_penalty = 2, .temperature = 1, .top_p = .5}};
    for (int v = 0; v < V; v++)
        for (int b = 0; b < 3; b++)
            for (int h = 0; h < 4; h++) {
                float logits[V] = {1, 2, 3, 4, 5, 6};
                lf_token_candidate room[V];
                logits[v] = bad[b];
                assert_int_equal(lf_sample(&how[h], logits, V, NULL, 0, 0, room), -1);
            }
}

static void test_repetition_penalty(void **state) {
    (void)state;
    float logits[V] = {4, -1, 3, 0, 0, 0};
    const int32_t seen[] = {0, 1, 0};
    lf_token_candidate room[V];
    assert_int_equal(lf_sample(&(lf_sampling){.repetition_penalty = 2, .top_p = 1}, logits, V, seen, 3, 0, room), 2);
    assert_true(logits[0] == 2 && logits[1] == -2 && logits[2] == 3); /* once, however often it was there */
}

static void test_a_draw_depends_on_seed_and_place_alone(void **state) {
    (void)state;
    const lf_sampling s = {.repetition_penalty = 1, .temperature = 1, .top_p = 1, .seed = 9},
                      other = {.repetition_penalty = 1, .temperature = 1, .top_p = 1, .seed = 10};
    int differ = 0;
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(draw(&s, i), draw(&s, i));
        differ += draw(&s, i) != draw(&other, i);
    }
    assert_true(differ > 20);
    const lf_sampling second = {.repetition_penalty = 1, .temperature = 1, .top_p = 1, .seed = 9, .text = 1};
    differ = 0;
    for (uint64_t i = 0; i < 100; i++) differ += draw(&s, i) != draw(&second, i); /* another text has others */
    assert_true(differ > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_nucleus_of_many), cmocka_unit_test(test_draws_follow_the_model),
        cmocka_unit_test(test_top_k_and_top_p),     cmocka_unit_test(test_min_p),
        cmocka_unit_test(test_equal_logits),        cmocka_unit_test(test_logits_that_are_not_finite),
        cmocka_unit_test(test_repetition_penalty),  cmocka_unit_test(test_a_draw_depends_on_seed_and_place_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
