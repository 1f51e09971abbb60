/* The geometry of updates by hand: weights that are diagonal, updates that only scale, only turn, come from outside or
 * are nothing; and the map of a random update against its definition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "eval/geometry.h"
#include "linalg/svd.h"

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        lf_err err = {0};                                                                                              \
        if (call) fail_msg("%s:%d: %s", __FILE__, __LINE__, err.message);                                              \
    } while (0)

#define CLOSE(a, b, tolerance) close_to((a), (b), (tolerance), #a, __LINE__)
static void close_to(double a, double b, double tolerance, const char *what, int line) {
    if (!(fabs(a - b) <= tolerance)) fail_msg("line %d: %s is %.12g, expected %.12g", line, what, a, b);
}

enum { SIDE = 20, RANK = 9 };

/* A weight, its decomposition, and what was measured. */
typedef struct fixture {
    int64_t out, in, n;
    float W[SIDE * SIDE];
    double U[SIDE * SIDE], sigma[SIDE], V[SIDE * SIDE], B[SIDE * RANK], A[RANK * SIDE], cells[SIDE * SIDE];
    lf_geometry g;
} fixture;

static void diagonal(fixture *f, int64_t out, int64_t in, const float *values) {
    *f = (fixture){.out = out, .in = in, .n = out < in ? out : in};
    for (int64_t i = 0; i < f->n; i++) f->W[i * in + i] = values[i];
}

static lf_status try(fixture *f, int64_t r, lf_err *err) {
    const lf_decomposed d = {f->out, f->in, f->U, f->sigma, f->V};
    const lf_update u = {r, f->B, f->A};
    const lf_status rc = lf_svd_full(f->W, f->out, f->in, f->sigma, f->U, f->V, "w", err);
    return rc ? rc : lf_geometry_measure(&f->g, f->W, &d, &u, f->cells, "w", err);
}
static void measure(fixture *f, int64_t r) { OK(try(f, r, &err)); }

/* ---- lists of singular values ---- */

static void ranks_and_shares(void **state) {
    (void)state;
    const double equal[] = {2, 2, 2, 2, 2}, one[] = {7, 0, 0}, zero[] = {0, 0}, uneven[] = {3, 1}, three[] = {2, 1, 1};
    CLOSE(lf_effective_rank(equal, 5), 5, 1e-14);
    CLOSE(lf_effective_rank(one, 3), 1, 1e-14);
    CLOSE(lf_effective_rank(uneven, 2), exp(-0.75 * log(0.75) - 0.25 * log(0.25)), 1e-14);
    assert_true(isnan(lf_effective_rank(zero, 2)));
    CLOSE(lf_energy_share(three, 3, 0, 1), 4.0 / 6, 1e-15);
    CLOSE(lf_energy_share(three, 3, 1, 2), 2.0 / 6, 1e-15);
    assert_true(isnan(lf_energy_share(zero, 2, 0, 1)));
}

/* ---- updates ---- */

static void scaling_one_component(void **state) {
    (void)state;
    fixture f;
    diagonal(&f, 4, 4, (const float[]){4, 3, 2, 1});
    f.B[1] = 0.25; /* dW = 0.5 e1 e1^T */
    f.A[1] = 2;
    measure(&f, 1);
    CLOSE(f.g.norm, 0.5, 1e-15);
    CLOSE(f.g.relative_norm, 0.5 / sqrt(30), 1e-15);
    CLOSE(f.g.sigma_max, 0.5, 1e-15);
    CLOSE(f.g.effective_rank, 1, 1e-14);
    CLOSE(f.g.map_diagonal, 1, 1e-15);
    CLOSE(f.g.map_head, 0, 1e-15); /* of n = 4, only component 0 is below n / 8 */
    CLOSE(f.g.map_inside, 1, 1e-15);
    CLOSE(f.g.rotation, 0, 1e-14);
    assert_int_equal(f.g.intruders, 0);
    assert_int_equal(lf_map_cells(4), 4);
    for (int i = 0; i < 16; i++) CLOSE(f.cells[i], i == 5 ? 0.5 : 0, 1e-15);
}

/* W' = R W with R a turn by t in the plane of e0, e1: u'_0 and u'_1 turned by t, u'_2 and u'_3 as they were. */
static void only_a_rotation(void **state) {
    (void)state;
    const double angles[] = {0.3, 1e-6};
    for (int i = 0; i < 2; i++) {
        const double t = angles[i], c = cos(t), s = sin(t), one_minus_c = 2 * sin(t / 2) * sin(t / 2);
        fixture f;
        diagonal(&f, 4, 4, (const float[]){4, 3, 2, 1});
        f.B[0] = -one_minus_c, f.B[1] = -s, f.B[2] = s, f.B[3] = -one_minus_c; /* R - I, and A the first rows of W */
        f.A[0] = 4, f.A[4 + 1] = 3;
        measure(&f, 2);
        CLOSE(f.g.rotation, t / 2, 1e-13); /* mean of t, t, 0, 0 */
        assert_int_equal(f.g.intruders, 0);
        /* C = (R - I) diag(4, 3): |C|^2 = 25 ((1-c)^2 + s^2) = 25 (2 - 2c) */
        CLOSE(f.g.norm, 5 * sqrt(2 * one_minus_c), 1e-13);
        CLOSE(f.g.map_diagonal, (1 - c) / 2, 1e-12);
        CLOSE(f.g.map_head, 1 - 9 * (1 - c) / 50, 1e-12);
        CLOSE(f.g.map_inside, 1, 1e-12);
    }
}

/* W = diag(3, 2, 1) above rows of zeros; what is added stands in row 5, which no u_i reaches. */
static void an_intruder_from_outside(void **state) {
    (void)state;
    fixture f;
    diagonal(&f, 12, 3, (const float[]){3, 2, 1});
    f.B[5] = 10;
    f.A[0] = 1;
    measure(&f, 1);
    /* the columns of W' are 3 e0 + 10 e5, 2 e1, e2: orthogonal; the first u' has cosine 3 / sqrt(109) = 0.29 with u_0
     */
    assert_int_equal(f.g.intruders, 1);
    CLOSE(f.g.rotation, acos(3 / sqrt(109)) / 3, 1e-12);
    CLOSE(f.g.norm, 10, 1e-13);
    CLOSE(f.g.relative_norm, 10 / sqrt(14), 1e-13);
    CLOSE(f.g.map_inside, 0, 1e-15);
    assert_true(isnan(f.g.map_diagonal) && isnan(f.g.map_head));
    f.B[5] = 3; /* cosine 1 / sqrt(2): not an intruder */
    measure(&f, 1);
    assert_int_equal(f.g.intruders, 0);
    CLOSE(f.g.rotation, acos(sqrt(0.5)) / 3, 1e-12);
}

/* A vector that is spread evenly over all sixteen u_i has cosine 1/4 with each. */
static void an_intruder_from_inside(void **state) {
    (void)state;
    fixture f;
    float values[16];
    for (int i = 0; i < 16; i++) values[i] = 0.001F * (float)(16 - i);
    diagonal(&f, 16, 16, values);
    for (int i = 0; i < 16; i++) f.B[i] = 0.25, f.A[i] = 0.25;
    measure(&f, 1);
    assert_int_equal(f.g.intruders, 1); /* those between two sigma have cosines of about 2 / pi with their neighbours */
    CLOSE(f.g.sigma_max, 1, 1e-14);
    /* every |C_ij| is 1/16: a sixteenth on the diagonal; components 0 and 1 are the head: 16^2 - 14^2 of 16^2 */
    CLOSE(f.g.map_diagonal, 1.0 / 16, 1e-13);
    CLOSE(f.g.map_head, 60.0 / 256, 1e-13);
    for (int i = 0; i < 256; i++) CLOSE(f.cells[i], 1.0 / 16, 1e-13);
}

static void rank_one_in_more_columns(void **state) {
    (void)state;
    fixture f;
    diagonal(&f, 6, 4, (const float[]){4, 3, 2, 1});
    for (int i = 0; i < 6; i++) f.B[i * 3 + 1] = i + 1, f.B[i * 3 + 2] = 2 * (i + 1);
    for (int j = 0; j < 4; j++) f.A[4 + j] = 1, f.A[8 + j] = 0.5;
    measure(&f, 3); /* b a^T twice: 2 |b| |a| = 2 sqrt(91) sqrt(4) */
    CLOSE(f.g.sigma_max, 4 * sqrt(91), 1e-12);
    CLOSE(f.g.norm, 4 * sqrt(91), 1e-12);
    CLOSE(f.g.effective_rank, 1, 1e-10);
    CLOSE(f.g.map_inside, 30.0 / 91, 1e-13); /* rows 4 and 5 are outside: 25 + 36 of 91 */
}

static void nothing(void **state) {
    (void)state;
    fixture f;
    diagonal(&f, 5, 4,
             (const float[]){2, 2, 2, 1}); /* a cluster: its vectors are a matter of taste, and yet nothing turned */
    f.A[3] = 1;
    measure(&f, 2);
    assert_true(f.g.norm == 0 && f.g.relative_norm == 0 && f.g.sigma_max == 0 && f.g.rotation == 0 &&
                f.g.intruders == 0);
    assert_true(isnan(f.g.effective_rank) && isnan(f.g.map_diagonal) && isnan(f.g.map_head) && isnan(f.g.map_inside));
    diagonal(&f, 3, 3, (const float[]){0, 0, 0}); /* no weight */
    f.A[0] = f.B[0] = 1;
    measure(&f, 1);
    assert_true(isnan(f.g.relative_norm));
    CLOSE(f.g.norm, 1, 1e-15);
}

/* ---- against the definition ---- */

static void random_update(fixture *f, int64_t out, int64_t in, int64_t r) {
    const lf_rng_key key = lf_rng_make(5, LF_RNG_TEST, (uint64_t)(out * 100 + in));
    uint64_t at = 0;
    *f = (fixture){.out = out, .in = in, .n = out < in ? out : in};
    for (int64_t i = 0; i < out * in; i++) f->W[i] = (float)lf_rng_normal(key, at++);
    for (int64_t i = 0; i < out * r; i++) f->B[i] = lf_rng_normal(key, at++) / 10;
    for (int64_t i = 0; i < r * in; i++) f->A[i] = lf_rng_normal(key, at++);
}

static double entry(const fixture *f, int64_t r, int64_t i, int64_t j) { /* of C */
    double sum = 0;
    for (int64_t a = 0; a < f->out; a++)
        for (int64_t b = 0; b < f->in; b++) {
            double delta = 0;
            for (int64_t q = 0; q < r; q++) delta += f->B[a * r + q] * f->A[q * f->in + b];
            sum += f->U[a * f->n + i] * delta * f->V[b * f->n + j];
        }
    return sum;
}

static void the_map_is_the_definition_s(void **state) {
    (void)state;
    static const int64_t cases[][3] = {{20, 12, 3}, {9, 17, 9}, {11, 11, 9}}; /* 9 of 9: as many as components */
    for (int c = 0; c < 3; c++) {
        fixture f;
        const int64_t r = cases[c][2];
        random_update(&f, cases[c][0], cases[c][1], r);
        measure(&f, r);
        double all = 0, diagonal_part = 0, head = 0;
        for (int64_t i = 0; i < f.n; i++)
            for (int64_t j = 0; j < f.n; j++) {
                const double x = entry(&f, r, i, j);
                all += x * x;
                if (i == j) diagonal_part += x * x;
                if ((double)i < (double)f.n / 8 || (double)j < (double)f.n / 8) head += x * x;
                CLOSE(f.cells[i * f.n + j], fabs(x), 1e-12);
            }
        CLOSE(f.g.map_diagonal, diagonal_part / all, 1e-12);
        CLOSE(f.g.map_head, head / all, 1e-12);
        CLOSE(f.g.map_inside, all / (f.g.norm * f.g.norm), 1e-12);
        assert_true(f.g.effective_rank > 1 && f.g.effective_rank < (double)r);
    }
}

/* More components than cells: 130 in 64 cells of two or three. */
static void cells_are_means(void **state) {
    (void)state;
    enum { N = 130 };
    static double identity[N * N], B[N], A[N], cells[LF_MAP_CELLS * LF_MAP_CELLS], work[3 * N];
    for (int i = 0; i < N; i++) identity[i * N + i] = B[i] = A[i] = 1;
    const lf_decomposed d = {N, N, identity, NULL, identity};
    lf_geometry g;
    CLOSE(lf_update_map(&g, &d, &(lf_update){1, B, A}, cells, work), (double)N * N, 1e-9);
    assert_int_equal(lf_map_cells(N), LF_MAP_CELLS);
    for (int i = 0; i < LF_MAP_CELLS * LF_MAP_CELLS; i++) CLOSE(cells[i], 1, 1e-12);
    CLOSE(g.map_head, 1 - 113.0 * 113 / (N * N), 1e-12); /* 0 .. 16 are below 16.25 */
}

/* ---- failures ---- */

static void bad_updates(void **state) {
    (void)state;
    fixture f;
    lf_err err = {0};
    random_update(&f, 6, 5, 2);
    f.A[3] = NAN;
    assert_int_equal(try(&f, 2, &err), LF_EDATA);
    assert_non_null(strstr(err.message, "w: the update of the weight holds nan"));
    f.A[3] = 1;
    f.B[11] = INFINITY;
    err = (lf_err){0};
    assert_int_equal(try(&f, 2, &err), LF_EDATA);
}

static void out_of_memory(void **state) {
    (void)state;
    fixture f;
    random_update(&f, 12, 15, 2);
    lf_status rc = LF_ENOMEM;
    int64_t failures = -1;
    for (int64_t n = 0; rc == LF_ENOMEM; n++, failures++) {
        lf_err err = {0};
        lf_alloc_fail_after(n);
        rc = try(&f, 2, &err);
        lf_alloc_fail_after(-1);
        assert_int_equal(lf_alloc_live(), 0);
    }
    assert_int_equal(rc, LF_OK);
    assert_true(failures > 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_and_shares),
        cmocka_unit_test(scaling_one_component),
        cmocka_unit_test(only_a_rotation),
        cmocka_unit_test(an_intruder_from_outside),
        cmocka_unit_test(an_intruder_from_inside),
        cmocka_unit_test(rank_one_in_more_columns),
        cmocka_unit_test(nothing),
        cmocka_unit_test(the_map_is_the_definition_s),
        cmocka_unit_test(cells_are_means),
        cmocka_unit_test(bad_updates),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
