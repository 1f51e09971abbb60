/* Statistics of comparisons between runs, against cases worked by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "stats/figures.h"
#include "stats/sequence.h"
#include "stats/stats.h"

static const double pi = 3.14159265358979323846;

/* Within a share of the expected number, or of 1 if that is 0. */
static void near_within(double found, double expected, double share, const char *what) {
    const double size = expected == 0 ? 1 : fabs(expected);
    if (!(fabs(found - expected) <= share * size)) fail_msg("%s: expected %.17g, found %.17g", what, expected, found);
}
#define assert_near(found, expected) near_within(found, expected, 1e-12, #found)

/* ---- Student's t ---- */

static void test_t_closed_forms(void **state) {
    (void)state;
    static const double ps[] = {1e-12, 0.001, 0.2, 0.4999, 0.5, 0.500001, 0.75, 0.9, 0.975, 0.9999};
    for (size_t i = 0; i < sizeof ps / sizeof *ps; i++) {
        const double p = ps[i];
        const double one = p < 0.1 ? -1 / tan(pi * p) : tan(pi * (p - 0.5)), two = (2 * p - 1) / sqrt(2 * p * (1 - p));
        near_within(lf_t_quantile(p, 1), one, 1e-9, "one degree of freedom");
        near_within(lf_t_quantile(p, 2), two, 1e-9, "two degrees of freedom");
    }
}

/* Computed with forty digits from the regularized incomplete beta function; upper is 1 - p. */
static void test_t_table(void **state) {
    (void)state;
    static const struct {
        int64_t dof;
        double upper, t;
    } table[] = {
        {3, 0.025, 3.18244630528371},        {4, 0.025, 2.776445105197794},
        {5, 0.005, 4.032142983555228},       {9, 0.025, 2.262157162798206},
        {19, 0.025, 2.09302405440831},       {30, 0.1, 1.310415025391396},
        {99, 0.025, 1.984216951586417},      {9999, 0.025, 1.960201263621358},
        {10000, 0.025, 1.960201239890626},   {10001, 0.025, 1.960201216164641},
        {1000000, 0.025, 1.959966356814107}, {1000000000000, 0.025, 1.959963984540054},
        {3, 0.499, 0.002720703521734021},    {7, 1e-15, 279.12799927928},
        {50, 1e-12, 9.260139683684145},      {10000, 1e-15, 7.954081681012809},
        {10001, 1e-15, 7.954080405772859},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char what[64];
        snprintf(what, sizeof what, "%lld degrees of freedom, tail %g", (long long)table[i].dof, table[i].upper);
        near_within(lf_t_quantile(table[i].upper, table[i].dof), -table[i].t, 1e-9, what);
        if (table[i].upper > 1e-3) near_within(lf_t_quantile(1 - table[i].upper, table[i].dof), table[i].t, 1e-9, what);
    }
}

static void test_t_refused(void **state) {
    (void)state;
    assert_true(isnan(lf_t_quantile(0, 3)) && isnan(lf_t_quantile(1, 3)) && isnan(lf_t_quantile(-0.1, 3)) &&
                isnan(lf_t_quantile(NAN, 3)));
    assert_true(isnan(lf_t_quantile(0.5, 0)) && isnan(lf_t_quantile(0.9, -1)));
    assert_true(lf_t_quantile(0.5, 5) == 0);
    assert_true(lf_t_quantile(5e-324, 1) < -1e300); /* ends */
}

/* ---- samples ---- */

static void test_sample(void **state) {
    (void)state;
    const double five[] = {2, 4, 4, 5, 10}; /* mean 5, squares 9 1 1 0 25 = 36, sd 3 */
    const lf_sample s = lf_sample_of(five, 5);
    assert_int_equal(s.n, 5);
    assert_near(s.mean, 5);
    assert_near(s.sd, 3);
    assert_near(s.high - s.mean, 2.776445105197794 * 3 / sqrt(5));
    assert_near(s.mean - s.low, 2.776445105197794 * 3 / sqrt(5));
    const double two[] = {0.5, 0.7};
    const lf_sample t = lf_sample_of(two, 2);
    assert_near(t.mean, 0.6);
    assert_near(t.sd, 0.1 * sqrt(2));
    assert_near(t.high, 0.6 + 0.1 * 12.70620473617471);
    const double same[] = {3, 3, 3};
    const lf_sample u = lf_sample_of(same, 3);
    assert_true(u.mean == 3 && u.sd == 0 && u.low == 3 && u.high == 3);
}

static void test_sample_without_interval(void **state) {
    (void)state;
    const double one[] = {7}, bad[] = {1, NAN, 3}, huge[] = {INFINITY, 1};
    const lf_sample none = lf_sample_of(NULL, 0), single = lf_sample_of(one, 1), nan = lf_sample_of(bad, 3),
                    inf = lf_sample_of(huge, 2);
    assert_true(none.n == 0 && isnan(none.mean) && isnan(none.sd) && isnan(none.low) && isnan(none.high));
    assert_true(single.n == 1 && single.mean == 7 && isnan(single.sd) && isnan(single.low) && isnan(single.high));
    assert_true(nan.n == 3 && isnan(nan.mean) && isnan(nan.sd) && isnan(nan.low) && isnan(nan.high));
    assert_true(inf.n == 2 && isnan(inf.mean) && isnan(inf.sd) && isnan(inf.high));
}

/* The seeds differ by much, the methods by little: paired it shows, and only so. */
static void test_paired(void **state) {
    (void)state;
    const double a[] = {11, 22, 33}, b[] = {10, 20, 30}; /* differences 1 2 3: mean 2, sd 1 */
    const lf_sample s = lf_sample_paired(a, b, 3);
    assert_near(s.mean, 2);
    assert_near(s.sd, 1);
    const double t = 0.95 / sqrt(2 * 0.975 * 0.025); /* of two degrees of freedom */
    assert_near(s.low, 2 - t / sqrt(3));
    assert_near(s.high, 2 + t / sqrt(3));
    assert_near(lf_sample_paired(b, a, 3).mean, -2);
    const double c[] = {1, INFINITY}, d[] = {1, INFINITY};
    assert_true(isnan(lf_sample_paired(c, d, 2).mean));
}

/* ---- trade-offs ---- */

static void assert_front(const lf_outcome *p, int64_t n, const char *expected) {
    bool front[16];
    char found[17] = "";
    lf_pareto(front, p, n);
    for (int64_t i = 0; i < n; i++) found[i] = front[i] ? '1' : '0';
    assert_string_equal(found, expected);
}

static void test_pareto(void **state) {
    (void)state;
    const lf_outcome p[] = {
        {0.9, 0.3},  {0.8, 0.1}, {0.8, 0.2} /* same gain, dearer */, {0.7, 0.1} /* same cost, less gain */, {0.85, 0.2},
        {0.6, 0.05}, {0.5, 0.4}};
    assert_front(p, 7, "1100110");
    const lf_outcome equal[] = {{1, 1}, {1, 1}, {0.5, 1}, {1, 2}};
    assert_front(equal, 4, "1100");
    const lf_outcome unknown[] = {{NAN, 0}, {2, NAN}, {1, 1}, {INFINITY, 0}, {3, -INFINITY}};
    assert_front(unknown, 5, "00100");
    lf_pareto(NULL, NULL, 0);
}

static void test_hypervolume(void **state) {
    (void)state;
    const lf_outcome r = {0, 10};
    const lf_outcome one[] = {{3, 4}};
    assert_near(lf_hypervolume(one, 1, r), 18);
    /* 3 x 6, and of 1 x 8 the two below; of 5 x 1 the two beyond 3: 18 + 2 + 2 */
    const lf_outcome steps[] = {{1, 2}, {5, 9}, {3, 4}};
    assert_near(lf_hypervolume(steps, 3, r), 22);
    const lf_outcome inside[] = {{3, 4}, {2, 5}, {3, 4}, {3, 6}, {1, 4}};
    assert_near(lf_hypervolume(inside, 5, r), 18);
    const lf_outcome ties[] = {{3, 6}, {3, 4}};
    assert_near(lf_hypervolume(ties, 2, r), 18);
    const lf_outcome outside[] = {{-1, 2}, {4, 10}, {4, 11}, {0, 1}, {NAN, 1}, {1, NAN}, {INFINITY, 1}};
    assert_true(lf_hypervolume(outside, 7, r) == 0);
    assert_true(lf_hypervolume(NULL, 0, r) == 0);
    const lf_outcome negative[] = {{-2, -0.5}}; /* gains and costs may be less than nothing: logarithms are */
    assert_near(lf_hypervolume(negative, 1, (lf_outcome){-4, 1}), 3);
    assert_true(isnan(lf_hypervolume(one, 1, (lf_outcome){NAN, 1})) &&
                isnan(lf_hypervolume(one, 1, (lf_outcome){0, INFINITY})));
    lf_alloc_fail_after(0);
    const double starved = lf_hypervolume(one, 1, r);
    lf_alloc_fail_after(-1);
    assert_true(isnan(starved));
}

static void test_cost_at_gain(void **state) {
    (void)state;
    /* The front is (1, 1) (3, 2) (4, 6); (2, 3) costs more than (3, 2), (3, 5) is dearer, the rest is not known. */
    const lf_outcome p[] = {{4, 6}, {2, 3}, {1, 1}, {3, 5}, {3, 2}, {5, NAN}, {NAN, 0}};
    assert_near(lf_cost_at_gain(p, 7, 2), 1.5);
    assert_near(lf_cost_at_gain(p, 7, 1.5), 1.25);
    assert_near(lf_cost_at_gain(p, 7, 3.25), 3);
    assert_near(lf_cost_at_gain(p, 7, 3), 2);
    assert_near(lf_cost_at_gain(p, 7, 4), 6);
    assert_near(lf_cost_at_gain(p, 7, 0.5), 1);
    assert_true(isnan(lf_cost_at_gain(p, 7, 4.0001)));
    assert_true(isnan(lf_cost_at_gain(p, 7, NAN)));
    assert_true(isnan(lf_cost_at_gain(p, 0, 1)));
    const lf_outcome alone[] = {{2, 7}}, twice[] = {{2, 7}, {2, 7}};
    assert_near(lf_cost_at_gain(alone, 1, 2), 7);
    assert_near(lf_cost_at_gain(alone, 1, -9), 7);
    assert_true(isnan(lf_cost_at_gain(alone, 1, 2.5)));
    assert_near(lf_cost_at_gain(twice, 2, 2), 7);
}

static void test_t_p(void **state) {
    (void)state;
    /* the quantile's inverse: where the interval ends at 0, p is 0.05 */
    for (int64_t n = 2; n < 40; n += 3) {
        lf_sample s = {n, 0, 1, 0, 0};
        s.mean = lf_t_quantile(0.975, n - 1) / sqrt((double)n);
        assert_true(fabs(lf_t_p(s) - 0.05) < 1e-9);
        s.mean = -lf_t_quantile(0.9995, n - 1) / sqrt((double)n);
        assert_true(fabs(lf_t_p(s) - 0.001) < 1e-10);
    }
    const double x[] = {1, 2, 3}; /* t = 2 sqrt 3, two degrees: p = 1 - t / sqrt(2 + t^2) */
    assert_true(fabs(lf_t_p(lf_sample_of(x, 3)) - (1 - sqrt(12.0 / 14))) < 1e-12);
    const double same[] = {0.5, 0.5, 0.5}, nothing[] = {0, 0, 0};
    assert_true(lf_t_p(lf_sample_of(same, 3)) == 0 && lf_t_p(lf_sample_of(nothing, 3)) == 1);
    assert_true(isnan(lf_t_p(lf_sample_of(x, 1))) && isnan(lf_t_p(lf_sample_of(x, 0))));
    const double around[] = {-1, 1};
    assert_true(lf_t_p(lf_sample_of(around, 2)) == 1);
}

static void test_holm(void **state) {
    (void)state;
    double p[] = {0.01, NAN, 0.04, 0.03, 0.005}; /* of four: .02 = 4 x .005, .03 = 3 x .01, .06 = 2 x .03, .06 */
    const double want[] = {0.03, NAN, 0.06, 0.06, 0.02};
    lf_holm(p, 5);
    for (int i = 0; i < 5; i++) assert_true(isnan(want[i]) ? isnan(p[i]) : fabs(p[i] - want[i]) < 1e-15);
    double large[] = {0.9, 0.8, 0};
    lf_holm(large, 3);
    assert_true(large[0] == 1 && large[1] == 1 && large[2] == 0);
    double one[] = {0.04};
    lf_holm(one, 1);
    assert_true(one[0] == 0.04);
    lf_holm(NULL, 0);
}

static void test_change(void **state) {
    (void)state;
    /* McNemar's exact test by hand: of 5 changes 1 or fewer one way: 2 (1 + 5) / 32 */
    lf_change c = lf_change_of((lf_transitions){.lost = 1, .won = 4, .n = 100});
    assert_true(fabs(c.mean - 0.03) < 1e-15 && fabs(c.p - 12.0 / 32) < 1e-12);
    assert_true(fabs((c.low + c.high) / 2 - 3.0 / 102) < 1e-12 && c.low < 0 && c.high > 0.03);
    c = lf_change_of((lf_transitions){.lost = 40, .won = 0, .n = 100});
    assert_true(c.high < -0.25 && c.p < 1e-11);
    c = lf_change_of((lf_transitions){.n = 50});
    assert_true(c.mean == 0 && c.p == 1 && c.low < 0 && c.high > 0);
    c = lf_change_of((lf_transitions){.lost = 3, .won = 3, .n = 6});
    assert_true(c.p == 1 && c.low >= -1 && c.high <= 1);
    c = lf_change_of((lf_transitions){.won = 2000000, .lost = 1999000, .n = 10000000});
    assert_true(c.p > 0.6 && c.p < 0.63); /* z = 1000 / sqrt(3999000) = .50006 */
    assert_true(isnan(lf_change_of((lf_transitions){0}).mean));
}

static double normal_draw(lf_rng_key key, uint64_t i) {
    const double u = (lf_rng_u32(key, 2 * i) + 0.5) / 4294967296.0,
                 v = (lf_rng_u32(key, 2 * i + 1) + 0.5) / 4294967296.0;
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

/* 95 % intervals hold the truth in 95 of 100 simulated studies: of means, of paired differences whose pairs share most
 * of their noise, and of the change of a share. */
static void test_intervals_cover(void **state) {
    (void)state;
    enum { STUDIES = 4000, EXAMPLES = 300 };
    static const int64_t sizes[] = {3, 5, 10};
    for (int k = 0; k < 3; k++) {
        const lf_rng_key key = lf_rng_make(5, LF_RNG_TEST, (uint64_t)k);
        int mean = 0, paired = 0;
        for (int s = 0; s < STUDIES; s++) {
            double a[10], b[10];
            for (int64_t i = 0; i < sizes[k]; i++) {
                const uint64_t at = (uint64_t)(s * 10 + i) * 3;
                const double shared = 5 * normal_draw(key, at);
                a[i] = 2 + shared + normal_draw(key, at + 1);
                b[i] = 1.5 + shared + normal_draw(key, at + 2);
            }
            const lf_sample of_a = lf_sample_of(a, sizes[k]), difference = lf_sample_paired(a, b, sizes[k]);
            mean += of_a.low <= 2 && 2 <= of_a.high;
            paired += difference.low <= 0.5 && 0.5 <= difference.high;
        }
        assert_in_range(mean, STUDIES * 93 / 100, STUDIES * 97 / 100);
        assert_in_range(paired, STUDIES * 93 / 100, STUDIES * 97 / 100);
    }
    const lf_rng_key key = lf_rng_make(6, LF_RNG_TEST, 0);
    int covered = 0;
    for (int s = 0; s < STUDIES; s++) { /* an example is lost with .10, won with .06 */
        lf_transitions t = {.n = EXAMPLES};
        for (int i = 0; i < EXAMPLES; i++) {
            const double u = (lf_rng_u32(key, (uint64_t)(s * EXAMPLES + i)) + 0.5) / 4294967296.0;
            t.lost += u < 0.10;
            t.won += u >= 0.10 && u < 0.16;
        }
        const lf_change c = lf_change_of(t);
        covered += c.low <= -0.04 && -0.04 <= c.high;
    }
    assert_in_range(covered, STUDIES * 93 / 100, STUDIES * 97 / 100);
}

static void test_knee(void **state) {
    (void)state;
    /* gain rises fast, cost late: the corner, whatever the axes' units */
    const lf_outcome corner[] = {{0.1, 0}, {0.7, 0.01}, {0.9, 0.02}, {0.92, 0.2}, {0.93, 0.5}};
    assert_int_equal(lf_knee(corner, 5), 2);
    lf_outcome scaled[5];
    for (int i = 0; i < 5; i++) scaled[i] = (lf_outcome){1000 * corner[i].gain - 7, corner[i].cost / 300};
    assert_int_equal(lf_knee(scaled, 5), 2);
    /* by hand: from (0, 0) to (1, 1), the distances of (0.5, 0.25) and (0.6, 0.5) above the line are .25 and .1 / sqrt
     * 2 */
    const lf_outcome two[] = {{0, 0}, {0.5, 0.25}, {0.6, 0.5}, {1, 1}};
    assert_int_equal(lf_knee(two, 4), 1);
    const lf_outcome straight[] = {{0, 0}, {0.25, 0.25}, {0.5, 0.5}, {1, 1}};
    assert_int_equal(lf_knee(straight, 4), -1);
    const lf_outcome below[] = {{0, 0}, {0.1, 0.5}, {1, 1}}; /* pays first */
    assert_int_equal(lf_knee(below, 3), -1);
    const lf_outcome free_lunch[] = {{0, 0.5}, {0.5, 0.3}, {1, 0}}; /* no trade at all */
    assert_int_equal(lf_knee(free_lunch, 3), -1);
    const lf_outcome flat[] = {{0.5, 0}, {0.5, 0.1}, {0.5, 0.2}};
    assert_int_equal(lf_knee(flat, 3), -1);
    const lf_outcome unknown[] = {{0, 0}, {NAN, 0.1}, {0.9, 0.2}, {1, 1}};
    assert_int_equal(lf_knee(unknown, 4), 2);
    const lf_outcome end[] = {{0, 0}, {0.9, 0.2}, {NAN, 1}};
    assert_int_equal(lf_knee(end, 3), -1);
    assert_int_equal(lf_knee(corner, 2), -1);
    assert_int_equal(lf_knee(NULL, 0), -1);
}
/* ---- the best of several ---- */

static void test_better(void **state) {
    (void)state;
    static const struct {
        lf_wish wish;
        lf_candidate a, b;
        bool a_is, b_is; /* better than the other */
    } cases[] = {
#define ANY {false, NAN}
#define LEAST                                                                                                          \
    { true, NAN }
#define UP_TO_5                                                                                                        \
    { false, 5 }
        {ANY, {0.9, NAN}, {0.8, NAN}, true, false},
        {LEAST, {0.9, NAN}, {0.8, NAN}, false, true},
        {ANY, {0.9, NAN}, {0.9, NAN}, false, false}, /* ties: neither, the first stays */
        {ANY, {0.9, 2}, {0.9, 3}, true, false},      /* ties go to less forgetting */
        {LEAST, {0.9, 3}, {0.9, 2}, false, true},
        {ANY, {0.9, 2}, {0.9, NAN}, false, false},
        {ANY, {0.8, -9}, {0.9, 9}, false, true}, /* else nobody asks what it costs */
        {ANY, {NAN, 0}, {0.1, 9}, false, true},  /* what was not measured is no best */
        {ANY, {NAN, 0}, {NAN, 9}, false, false},
        {UP_TO_5, {0.8, 5}, {0.9, 5.01}, true, false}, /* within the limit, which is within */
        {UP_TO_5, {0.8, 5}, {0.9, 4}, false, true},
        {UP_TO_5, {0.8, 5}, {0.9, NAN}, true, false}, /* not known is not within */
        {UP_TO_5, {0.8, 6}, {0.9, 7}, true, false},   /* none within: least forgetting */
        {UP_TO_5, {0.8, 6}, {0.9, 6}, false, true},
        {UP_TO_5, {0.9, 6}, {0.8, NAN}, true, false},
        {UP_TO_5, {0.9, 6}, {0.9, 6}, false, false},
        {{true, 5}, {0.8, 4}, {0.9, 3}, true, false},
#undef ANY
#undef LEAST
#undef UP_TO_5
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const bool a_is = lf_is_better(&cases[i].wish, cases[i].a, cases[i].b),
                   b_is = lf_is_better(&cases[i].wish, cases[i].b, cases[i].a);
        if (a_is != cases[i].a_is || b_is != cases[i].b_is) fail_msg("case %zu: %d and %d", i, a_is, b_is);
    }
}

static void test_tradeoff(void **state) {
    (void)state;
    const lf_yardstick *y = lf_yardsticks;
    assert_near(lf_tradeoff_of(&y[LF_BY_ACCURACY], 0.5, 1), 2.0 / 3);
    assert_near(lf_tradeoff_of(&y[LF_BY_ACCURACY_BESIDE_TEXT], 0.5, 0.5), 0.5);
    assert_near(lf_tradeoff_of(&y[LF_BY_CORRELATION], -0.5, 1), 0);
    /* a nat learned is worth a nat kept */
    assert_near(lf_tradeoff_of(&y[LF_BY_PERPLEXITY], 10, 0.8), 0.08);
    assert_near(lf_tradeoff_of(&y[LF_BY_PERPLEXITY], 10 * exp(0.3), 0.8),
                lf_tradeoff_of(&y[LF_BY_PERPLEXITY], 10, 0.8 * exp(-0.3)));
    assert_true(isnan(lf_tradeoff_of(&y[LF_BY_PERPLEXITY], 0, 0.8)) && isnan(lf_tradeoff_of(y, NAN, 0.8)) &&
                isnan(lf_tradeoff_of(y, 0.5, NAN)));
}

static void test_harmonic_mean(void **state) {
    (void)state;
    assert_near(lf_harmonic_mean(0.5, 1), 2.0 / 3);
    assert_near(lf_harmonic_mean(0.3, 0.6), 0.4);
    assert_near(lf_harmonic_mean(0.7, 0.7), 0.7);
    assert_true(lf_harmonic_mean(0, 0) == 0 && lf_harmonic_mean(0, 1) == 0);
    assert_true(isnan(lf_harmonic_mean(-0.1, 1)) && isnan(lf_harmonic_mean(1, NAN)) &&
                isnan(lf_harmonic_mean(INFINITY, 1)));
}

/* ---- the table of figures ---- */

static int count_role(const lf_yardstick *y, lf_role role) {
    int n = 0;
    for (const lf_metric *m = y->metrics; m->name; m++) n += m->role == role;
    return n;
}

static bool has_figure(const lf_yardstick *y, const char *name) {
    int n = 0;
    for (const lf_metric *m = y->figures; m->name; m++) n += strcmp(m->name, name) == 0;
    assert_true(n <= 1);
    return n == 1;
}

/* Of each yardstick there is one of each role that others ask for, every averaged figure has what a table shows, and
 * what the yardstick names is there. */
static void test_figures_whole(void **state) {
    (void)state;
    for (const lf_yardstick *y = lf_yardsticks; y < lf_yardsticks + LF_N_YARDSTICKS; y++) {
        static const lf_role single[] = {LF_ROLE_GAIN, LF_ROLE_TEST_GAIN, LF_ROLE_COST, LF_ROLE_KEPT};
        for (size_t i = 0; i < sizeof single / sizeof *single; i++) assert_int_equal(count_role(y, single[i]), 1);
        assert_int_equal(count_role(y, LF_ROLE_START) + count_role(y, LF_ROLE_CARD), 0);
        for (const lf_metric *m = y->metrics; m->name; m++) {
            assert_true(m->label && m->unit && m->scale > 0);
            assert_true(has_figure(y, m->name));
        }
        assert_true(has_figure(y, y->start) && has_figure(y, "base_before"));
        assert_true(!y->worst || has_figure(y, y->worst));
    }
}

/* A gain tells two yardsticks apart: results of one do not have that of another, but of two of which the later has a
 * mark. */
static void test_figures_told_apart(void **state) {
    (void)state;
    for (int a = 0; a < LF_N_YARDSTICKS; a++)
        for (int b = 0; b < a; b++) {
            const lf_yardstick *later = &lf_yardsticks[a], *sooner = &lf_yardsticks[b];
            const bool same = has_figure(sooner, lf_metric_in_role(later, LF_ROLE_GAIN)->name);
            assert_int_equal(same, has_figure(later, lf_metric_in_role(sooner, LF_ROLE_GAIN)->name));
            assert_true(!same || (later->mark && !sooner->mark));
        }
}

static void test_gain(void **state) {
    (void)state;
    const lf_yardstick *accuracy = &lf_yardsticks[LF_BY_ACCURACY], *perplexity = &lf_yardsticks[LF_BY_PERPLEXITY];
    assert_near(lf_gain_from(accuracy, 0.75), 0.75);
    assert_near(lf_gain_shown(accuracy, 0.75), 75);
    assert_near(lf_gain_from(perplexity, exp(2)), -2);
    assert_near(lf_gain_shown(perplexity, -2), exp(2));
    assert_true(lf_gain_from(accuracy, 0) == 0 && isnan(lf_gain_from(perplexity, 0)));
    assert_true(isnan(lf_gain_from(accuracy, NAN)) && isnan(lf_gain_from(perplexity, NAN)));
    assert_true(isnan(lf_gain_shown(accuracy, NAN)) && isnan(lf_gain_shown(perplexity, NAN)));
}

/* The roots q of n (p - q)^2 = z^2 q (1 - q), solved with 30 digits. */
static void test_wilson(void **state) {
    (void)state;
    static const struct {
        double p;
        int64_t n;
        double low, high;
    } cases[] = {{0.5, 10, 0.2365930905, 0.7634069095},
                 {0, 10, 0, 0.2775327998},
                 {1, 1, 0.2065493143, 1},
                 {0.9, 1000, 0.8798480368, 0.9170905564}};
    double low, high;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lf_wilson(cases[i].p, cases[i].n, &low, &high);
        if (fabs(low - cases[i].low) > 1e-6 || fabs(high - cases[i].high) > 1e-6)
            fail_msg("%g of %lld: %.9f to %.9f", cases[i].p, (long long)cases[i].n, low, high);
    }
    lf_wilson(0.5, 0, &low, &high);
    assert_true(isnan(low) && isnan(high));
    lf_wilson(NAN, 5, &low, &high);
    assert_true(isnan(low) && isnan(high));
}

/* ---- tasks one after the other ---- */

/* Worked by hand: three tasks; the second learned worse after the first, the first forgotten in two steps. */
static void test_sequence(void **state) {
    (void)state;
    static const double after[] = {0.9, 0.2, 0.1, 0.7, 0.8, 0.3, 0.4, 0.85, 0.6};
    static const double before[] = {0.1, 0.1, 0.25}, alone[] = {0.9, 0.9, 0.7};
    const lf_sequence s = {.n = 3, .after = after, .before = before, .alone = alone};
    const lf_sequence_figures end = lf_sequence_at(&s, 2);
    assert_near(end.average_accuracy, (0.4 + 0.85 + 0.6) / 3);
    assert_near(end.average_incremental_accuracy, (0.9 + 0.75 + (0.4 + 0.85 + 0.6) / 3) / 3);
    assert_near(end.bwt, (-0.5 + 0.05) / 2);
    assert_near(end.fwt, (0.1 + 0.05) / 2);
    assert_near(end.forgetting, (0.5 - 0.05) / 2);
    assert_near(end.forgetting_since_learned, (0.5 - 0.05) / 2);
    assert_near(end.intransigence, (0 + 0.1 + 0.1) / 3);

    /* The best time of the first task is not when it was learned: the two forgettings part. */
    static const double later[] = {0.5, 0.2, 0.1, 0.9, 0.8, 0.3, 0.4, 0.85, 0.6};
    const lf_sequence_figures parted = lf_sequence_at(&(lf_sequence){.n = 3, .after = later}, 2);
    assert_near(parted.forgetting, (0.5 - 0.05) / 2);
    assert_near(parted.forgetting_since_learned, (0.1 - 0.05) / 2);
    assert_true(isnan(parted.fwt) && isnan(parted.intransigence));

    /* In the middle, and of one task: what needs two is unknown, not zero. */
    assert_near(lf_sequence_at(&s, 1).bwt, -0.2);
    assert_near(lf_sequence_at(&s, 1).forgetting, 0.2);
    const lf_sequence_figures first = lf_sequence_at(&s, 0);
    assert_near(first.average_accuracy, 0.9);
    assert_true(isnan(first.bwt) && isnan(first.fwt) && isnan(first.forgetting));
    assert_near(first.intransigence, 0);

    /* A score that was not measured makes unknown what needs it, and nothing else. */
    static const double gap[] = {0.5, NAN, NAN, NAN, 0.8, NAN, 0.4, 0.85, 0.6};
    const lf_sequence_figures holes = lf_sequence_at(&(lf_sequence){.n = 3, .after = gap, .before = before}, 2);
    assert_true(isnan(holes.average_incremental_accuracy) && isnan(holes.forgetting) && isnan(holes.fwt));
    assert_near(holes.bwt, (-0.1 + 0.05) / 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sequence),
        cmocka_unit_test(test_t_closed_forms),
        cmocka_unit_test(test_t_table),
        cmocka_unit_test(test_t_refused),
        cmocka_unit_test(test_sample),
        cmocka_unit_test(test_sample_without_interval),
        cmocka_unit_test(test_wilson),
        cmocka_unit_test(test_paired),
        cmocka_unit_test(test_pareto),
        cmocka_unit_test(test_hypervolume),
        cmocka_unit_test(test_cost_at_gain),
        cmocka_unit_test(test_knee),
        cmocka_unit_test(test_t_p),
        cmocka_unit_test(test_holm),
        cmocka_unit_test(test_change),
        cmocka_unit_test(test_intervals_cover),
        cmocka_unit_test(test_better),
        cmocka_unit_test(test_tradeoff),
        cmocka_unit_test(test_harmonic_mean),
        cmocka_unit_test(test_figures_whole),
        cmocka_unit_test(test_figures_told_apart),
        cmocka_unit_test(test_gain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
