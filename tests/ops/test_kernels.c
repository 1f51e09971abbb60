/* Every kernel of every backend that runs here, with activations in fp32 and in bf16, against the reference in double,
 * from one table (kernel_cases.h): same inputs (rounded as the backend holds them), then all buffers are compared, also
 * those that must not change. Each case is run twice (same bytes), may not allocate, and carries NaN from an input to
 * an output. A kernel of kernels.def without a case fails. */
#define _POSIX_C_SOURCE 200809L
#include "ops/kernel_cases.h"

#include <stdlib.h>

#include "base/mem.h"
#include "kernels/profile.h"

/* ---- the table's machine ------------------------------------------------------------------------------------------
 */

static void *must(void *p) {
    assert_non_null(p);
    return p;
}

/* Drawn once for all cases, which took most of the time that they need. */
static struct {
    double *x;
    int64_t n, capacity;
} normal[BUFFERS];

static double start_value(const kernel_case *kc, int buffer, int64_t i) {
    if (i >= normal[buffer].n) {
        assert_true(lf_grow(&normal[buffer].x, &normal[buffer].capacity, i + 1));
        for (int64_t k = normal[buffer].n; k <= i; k++)
            normal[buffer].x[k] =
                (double)(float)lf_rng_normal(lf_rng_make(7, LF_RNG_TEST, (uint64_t)buffer), (uint64_t)k);
        normal[buffer].n = i + 1;
    }
    const double x = normal[buffer].x[i];
    return kc->positive >> buffer & 1 ? (double)(float)(0.1 + fabs(x)) : x;
}

/* `like`: a table whose roundings the inputs have, so that all tables are given the same numbers. */
static double input_value(const kernel_case *kc, const lf_kernels *like, int buffer, int64_t i) {
    const double x = start_value(kc, buffer, i);
    return type_of(kc, like, buffer) == LF_BF16 ? (double)lf_bf16_to_f32(lf_f32_to_bf16((float)x)) : x;
}

static context context_new(const kernel_case *kc, const lf_kernels *k, const lf_kernels *like, const int64_t *s,
                           unsigned variant, bool with_nan) {
    context c = {.k = k, .s = s, .variant = variant};
    kc->sizes(s, c.n);
    for (int b = 0; b < BUFFERS; b++) {
        c.b[b] = must(lf_aligned_alloc((size_t)(c.n[b] + 1) * lf_dtype_size(type_of(kc, k, b))));
        for (int64_t i = 0; i < c.n[b]; i++)
            put_number(c.b[b], type_of(kc, k, b), i,
                       with_nan && b == kc->nan[0] && i == 0 ? NAN : input_value(kc, like, b, i));
    }
    c.scratch = must(lf_aligned_alloc(kc->scratch ? (size_t)kc->scratch(&c) : 1));
    return c;
}

static void context_free(context *c) {
    for (int b = 0; b < BUFFERS; b++) lf_aligned_free(c->b[b]);
    lf_aligned_free(c->scratch);
}

static void run_counted(const kernel_case *kc, context *c) {
    const uint64_t calls = lf_alloc_calls();
    kc->run(c);
    if (lf_alloc_calls() != calls) fail_msg("%s/%s allocates", c->k->name, kc->name);
}

/* What is stored in bf16 may be half a unit in the last place off, 2^-8 of itself. */
static double tolerance_of(const kernel_case *kc, const lf_kernels *k, int buffer, double value, double largest) {
    const double base = kc->tolerance * largest;
    if (k->act_dtype != LF_BF16) return base;
    return base + (type_of(kc, k, buffer) == LF_BF16 ? 0x1.02p-8 * fabs(value) : 0) + kc->tolerance_bf16 * largest;
}

static void compare(const kernel_case *kc, const context *want, const context *got, int shape) {
    for (int b = 0; b < BUFFERS; b++) {
        const lf_dtype type = type_of(kc, got->k, b);
        double largest = 1;
        for (int64_t i = 0; i < want->n[b]; i++) largest = fmax(largest, fabs(get(want->b[b], LF_F64, i)));
        for (int64_t i = 0; i < want->n[b]; i++) {
            const double x = get(want->b[b], LF_F64, i), y = get(got->b[b], type, i),
                         tolerance = tolerance_of(kc, got->k, b, x, largest);
            if (!(fabs(x - y) <= tolerance) && !(isnan(x) && isnan(y)))
                fail_msg("%s/%s shape %d variant %u: buffer %d [%lld]: expected %.9g, got %.9g (tolerance %.2g)",
                         got->k->name, kc->name, shape, got->variant, b, (long long)i, x, y, tolerance);
        }
    }
}

static void check_same_bytes(const kernel_case *kc, const context *a, const context *b) {
    for (int i = 0; i < BUFFERS; i++)
        if (memcmp(a->b[i], b->b[i], (size_t)a->n[i] * lf_dtype_size(type_of(kc, a->k, i))) != 0)
            fail_msg("%s/%s: two runs differ in buffer %d", a->k->name, kc->name, i);
}

static void check_nan_travels(const kernel_case *kc, const lf_kernels *k, const int64_t *s, unsigned variant) {
    context c = context_new(kc, k, k, s, variant, true);
    int64_t n = 0;
    kc->run(&c);
    for (int64_t i = 0; i < c.n[kc->nan[1]]; i++) n += isnan(get(c.b[kc->nan[1]], type_of(kc, k, kc->nan[1]), i)) != 0;
    if (n == 0) fail_msg("%s/%s variant %u: NaN in buffer %d is lost", k->name, kc->name, variant, kc->nan[0]);
    context_free(&c);
}

static bool is_reference(const lf_kernels *k) { return k == &lf_kernels_ref_f32 || k == &lf_kernels_ref_bf16; }

/* One table against what the reference in double made of the same numbers. The plain references are sequential: asking
 * whether they give the same bytes twice would only take time. */
static void check_table(const kernel_case *kc, const context *want, const lf_kernels *k, int shape, unsigned variant) {
    const int64_t *s = kc->shapes[shape];
    context got = context_new(kc, k, k, s, variant, false);
    run_counted(kc, &got);
    compare(kc, want, &got, shape);
    if (!is_reference(k)) {
        context again = context_new(kc, k, k, s, variant, false);
        run_counted(kc, &again);
        check_same_bytes(kc, &got, &again);
        context_free(&again);
    }
    if (kc->nan[0] != kc->nan[1]) check_nan_travels(kc, k, s, variant);
    context_free(&got);
}

static char *const *only; /* names of the cases that are asked for on the command line; none: all */

static bool is_asked_for(const kernel_case *kc) {
    for (char *const *name = only; *name; name++)
        if (strcmp(*name, kc->name) == 0) return true;
    return !*only;
}

static unsigned variants_of(const kernel_case *kc) { return kc->variants ? kc->variants : 1; }

static void check_all(const char *precision) {
    const lf_kernels *k[8];
    const int n = lf_kernels_available(precision, k, 8);
    assert_true(n >= 2);
    for (int j = 0; j < N_CASES; j++)
        for (int shape = 0; is_asked_for(&cases[j]) && cases[j].shapes[shape][0] > 0; shape++)
            for (unsigned v = 0; v < variants_of(&cases[j]); v++) {
                context want = context_new(&cases[j], &lf_kernels_ref_f64, k[0], cases[j].shapes[shape], v, false);
                run_counted(&cases[j], &want);
                for (int i = 0; i < n; i++) check_table(&cases[j], &want, k[i], shape, v);
                context_free(&want);
            }
}

static void test_fp32(void **state) {
    (void)state;
    check_all("fp32");
}

static void test_bf16(void **state) {
    (void)state;
    check_all("bf16");
}

/* ---- every kernel, and the table that counts ----------------------------------------------------------------------
 */

static const lf_kernels *within;
static struct {
#define LF_KERNEL(kind, result, name, parameters, arguments) bool name;
#include "kernels/kernels.def"
#undef LF_KERNEL
} was_called;

#define RETURN_void
#define RETURN_bool    return
#define RETURN_int64_t return
#define RETURN_double  return
#define LF_KERNEL(kind, result, name, parameters, arguments)                                                           \
    static result noting_##name parameters {                                                                           \
        was_called.name = true;                                                                                        \
        RETURN_##result within->name arguments;                                                                        \
    }
#include "kernels/kernels.def"
#undef LF_KERNEL

/* Like `k`, and notes which of its kernels are called. */
static lf_kernels noting_table(const lf_kernels *k) {
    lf_kernels table = *k;
    within = k;
#define LF_KERNEL(kind, result, name, parameters, arguments) table.name = noting_##name;
#include "kernels/kernels.def"
#undef LF_KERNEL
    return table;
}

/* The second shape, whose numbers all differ: an argument in another's place would show. */
static void check_counted(const kernel_case *kc, const lf_kernels *k, const lf_kernels *counted) {
    const int64_t *s = kc->shapes[kc->shapes[1][0] > 0];
    for (unsigned v = 0; v < variants_of(kc); v++) {
        context plain = context_new(kc, k, k, s, v, false), through = context_new(kc, counted, k, s, v, false);
        kc->run(&plain);
        kc->run(&through);
        check_same_bytes(kc, &plain, &through);
        context_free(&plain);
        context_free(&through);
    }
}

static void test_every_kernel_has_a_case(void **state) {
    (void)state;
    const lf_kernels *k = &lf_kernels_ref_f32, counted = noting_table(lf_profile_table(k));
    for (int i = 0; i < N_CASES; i++) check_counted(&cases[i], k, &counted);
#define LF_KERNEL(kind, result, name, parameters, arguments)                                                           \
    if (!was_called.name) fail_msg("kernel '%s' of kernels.def has no case", #name);
#include "kernels/kernels.def"
#undef LF_KERNEL
    for (int i = 0; i < LF_PROFILE_KINDS; i++)
        if (!(lf_profile_seconds((lf_profile_kind)i) > 0)) fail_msg("no time was counted for %s", lf_profile_names[i]);
}

/* ---- what the table does not say -----------------------------------------------------------------------------------
 */

/* At -3, -0.5 and 2, by the formulas of transformers in Python's math. */
static const struct {
    const char *name;
    double at[3];
} definitions[LF_ACTIVATIONS] = {
    [LF_GELU] = {"gelu", {-0.004049694094890287, -0.15426876936299344, 1.9544997361036416}},
    [LF_GELU_TANH] = {"gelu_tanh", {-0.0036373920817729943, -0.15428599017485606, 1.954597694087775}},
    [LF_QUICK_GELU] = {"quick_gelu", {-0.01807130970778597, -0.1496115633936199, 1.9356586231442083}},
    [LF_SILU] = {"silu", {-0.14227761953270035, -0.1887703343990727, 1.7615941559557646}},
    [LF_RELU] = {"relu", {0, 0, 2}},
    [LF_TANH] = {"tanh", {-0.9950547536867305, -0.46211715726000973, 0.9640275800758169}},
};

static void test_definitions(void **state) {
    (void)state;
    static const double x[] = {-3, -0.5, 2};
    for (lf_activation_kind f = 0; f < LF_ACTIVATIONS; f++) {
        double y[3];
        if (!definitions[f].name) fail_msg("activation function %d has no values to compare with", (int)f);
        lf_kernels_ref_f64.activation(y, x, 3, f);
        for (int i = 0; i < 3; i++)
            if (!(fabs(y[i] - definitions[f].at[i]) <= 1e-12))
                fail_msg("%s(%g): expected %.15g, got %.15g", definitions[f].name, x[i], definitions[f].at[i], y[i]);
    }
}

/* Relative to each value, over where e^x ends: the exponent is rounded to 6e-8 of itself, and x^2/2 is 84 at -13. */
static void test_activations_everywhere(void **state) {
    (void)state;
    enum { N = 26001 };
    static float x[N], y[N], slope[N], one[N];
    static double xd[N], yd[N], sd[N], od[N];
    const lf_kernels *k[8];
    const int n = lf_kernels_available("fp32", k, 8);
    for (int i = 0; i < N; i++) {
        x[i] = -13.0f + (float)i * 1e-3f;
        xd[i] = (double)x[i];
        one[i] = 1;
        od[i] = 1;
    }
    for (int i = 0; i < n; i++)
        for (lf_activation_kind f = 0; f < LF_ACTIVATIONS; f++) {
            k[i]->activation(y, x, N, f);
            k[i]->activation_backward(slope, false, one, x, N, f);
            lf_kernels_ref_f64.activation(yd, xd, N, f);
            lf_kernels_ref_f64.activation_backward(sd, false, od, xd, N, f);
            for (int j = 0; j < N; j++) {
                /* the reference of the tanh form cancels far below zero: its 1 + tanh is a multiple of 1e-16 */
                const double tolerance = 1e-5 * fabs(yd[j]) + (f == LF_GELU_TANH ? 1e-14 : 1e-37);
                if (!(fabs((double)y[j] - yd[j]) <= tolerance))
                    fail_msg("%s %s(%g): expected %.9g, got %.9g", k[i]->name, definitions[f].name, xd[j], yd[j],
                             (double)y[j]);
                if (!(fabs((double)slope[j] - sd[j]) <= 1e-6))
                    fail_msg("%s %s'(%g): expected %.9g, got %.9g", k[i]->name, definitions[f].name, xd[j], sd[j],
                             (double)slope[j]);
            }
        }
}

/* Where exponentials overflow or vanish, where numbers nearly do, and at infinity: as the reference in double. */
static const float ends[] = {0, 1e-30f, -1e-30f, 20, -20, 100, -100, 1e20f, -1e20f, 3e38f, -3e38f};
enum { ENDS = (int)(sizeof ends / sizeof *ends) };

static void check_end(const lf_kernels *k, lf_activation_kind f, const char *what, float x, float found, double want) {
    const double tolerance = 1e-6 * fabs(want) + (fabsf(x) < 1 ? 0 : 1e-6);
    if (isnan(want) || !((double)found == want || found == (float)want || fabs((double)found - want) <= tolerance))
        fail_msg("%s %s(%g), %s: expected %g, got %g", k->name, definitions[f].name, (double)x, what, want,
                 (double)found);
}

static void check_ends(const lf_kernels *k, lf_activation_kind f) {
    float x[2 * ENDS], one[ENDS], y[ENDS], dx[2 * ENDS];
    double xd[2 * ENDS], oned[ENDS], yd[ENDS], dxd[2 * ENDS];
    for (int i = 0; i < ENDS; i++) {
        x[i] = ends[i];
        xd[i] = (double)ends[i];
        x[ENDS + i] = one[i] = 1;
        xd[ENDS + i] = oned[i] = 1;
    }
    k->activation(y, x, ENDS, f);
    lf_kernels_ref_f64.activation(yd, xd, ENDS, f);
    for (int i = 0; i < ENDS; i++) check_end(k, f, "value", x[i], y[i], yd[i]);
    k->activation_backward(dx, false, one, x, ENDS, f);
    lf_kernels_ref_f64.activation_backward(dxd, false, oned, xd, ENDS, f);
    for (int i = 0; i < ENDS; i++) check_end(k, f, "slope", x[i], dx[i], dxd[i]);
    k->gated(y, x, 1, ENDS, f);
    for (int i = 0; i < ENDS; i++) check_end(k, f, "value of the gate", x[i], y[i], yd[i]);
    k->gated_backward(dx, false, one, x, 1, ENDS, f);
    for (int i = 0; i < ENDS; i++) {
        check_end(k, f, "slope of the gate", x[i], dx[i], dxd[i]);
        check_end(k, f, "what the gate lets through", x[i], dx[ENDS + i], yd[i]);
    }
}

static void test_ends(void **state) {
    (void)state;
    const lf_kernels *k[8];
    const int n = lf_kernels_available("fp32", k, 8);
    for (int i = 0; i < n; i++)
        for (lf_activation_kind f = 0; f < LF_ACTIVATIONS; f++) {
            const float x = INFINITY;
            const double xd = (double)INFINITY;
            float y;
            double yd;
            check_ends(k[i], f);
            k[i]->activation(&y, &x, 1, f);
            lf_kernels_ref_f64.activation(&yd, &xd, 1, f);
            check_end(k[i], f, "value", x, y, yd);
        }
}

/* Scores of any size: softmax takes the largest out first. */
static void test_softmax_of_large_scores(void **state) {
    (void)state;
    const float logits[] = {1e30f, -1e30f, 200, -200, 88, 90};
    const int32_t label[] = {0, 1, 1};
    const lf_kernels *k[8];
    const int n = lf_kernels_available("fp32", k, 8);
    float lse[3], d[6];
    for (int i = 0; i < n; i++) {
        const double loss = k[i]->cross_entropy(lse, logits, label, NULL, 3, 2, 0);
        assert_true(fabs(loss - 400 - 0.126928) < 1e-4);
        k[i]->cross_entropy_backward(d, false, 1, lse, logits, label, NULL, 3, 2, 0);
        assert_true(d[0] == 0 && d[1] == 0 && d[2] == 1 && d[3] == -1 && fabsf(d[4] - 0.119203f) < 1e-5f);
    }
}

/* Of equal logits the first is what a model would say. Logits of any size are no harm. */
static void test_vocabulary_loss(void **state) {
    (void)state;
    const float logits[] = {5, 1, 5, 1e30f, -1e30f, 0, 88, 90, 89};
    const int32_t first[] = {0, 0, 1}, other[] = {2, 1, 2};
    const lf_kernels *k[8];
    const int n = lf_kernels_available("fp32", k, 8);
    float lse[3];
    double nll[3];
    bool correct[3];
    for (int i = 0; i < n; i++) {
        k[i]->lm_cross_entropy(lse, nll, NULL, correct, logits, first, 3, 3);
        assert_true(correct[0] && correct[1] && correct[2] && nll[1] == 0 && fabs(nll[2] - 0.407606) < 1e-5);
        k[i]->lm_cross_entropy(lse, nll, NULL, correct, logits, other, 3, 3);
        assert_true(!correct[0] && !correct[1] && !correct[2] && nll[1] > 1e30);
    }
}

/* Binary cross-entropy of logits of any size, by the formula in Python's math; and a missing target adds nothing. */
static void test_value_losses(void **state) {
    (void)state;
    const float logits[] = {1000, -1000, 100, -100, 0, 2, 7}, targets[] = {1, 0, 0, 1, 1, 0.25f, NAN};
    const lf_kernels *k[8];
    const int n = lf_kernels_available("fp32", k, 8);
    float d[7];
    for (int i = 0; i < n; i++) {
        assert_true(k[i]->value_loss(logits, targets, 2, LF_BCE) == 0);
        assert_true(fabs(k[i]->value_loss(logits + 2, targets + 2, 5, LF_BCE) - 202.3200751916029) < 1e-9);
        assert_true(k[i]->value_loss(logits + 4, targets + 4, 3, LF_MSE) == 4.0625);
        k[i]->value_loss_backward(d, false, 1, logits, targets, 7, LF_BCE);
        assert_true(d[0] == 0 && d[1] == 0 && d[2] == 1 && d[3] == -1 && d[4] == -0.5f && d[6] == 0);
        k[i]->value_loss_backward(d, false, 0.5, logits, targets, 7, LF_MSE);
        assert_true(d[4] == -1 && d[5] == 1.75f && d[6] == 0);
    }
}

/* Which keys a query sees: with q = 0 and v the identity, o is 1 / n at each of its n keys. */
static const struct {
    lf_attention_dims d;
    const char *sees[6]; /* a character for each key */
} masks[] = {
    {{.causal = true, .window = 2}, {"x.....", "xx....", ".xx...", "..xx..", "...xx.", "....xx"}},
    {{.window = 1}, {"xx....", "xxx...", ".xxx..", "..xxx.", "...xxx", "....xx"}},
    {{.window = 1, .lengths = (const int32_t[]){3}}, {"xx....", "xxx...", ".xx...", "..x...", "......", "......"}},
    {{.lengths = (const int32_t[]){4}}, {"xxxx..", "xxxx..", "xxxx..", "xxxx..", "xxxx..", "xxxx.."}},
    {{.window = 9, .lengths = (const int32_t[]){6}}, {"xxxxxx", "xxxxxx", "xxxxxx", "xxxxxx", "xxxxxx", "xxxxxx"}},
    {{.Tq = 2, .window = 2}, {"..xxxx", "...xxx"}},
    {{.Tq = 2, .causal = true, .window = 2}, {"...xx.", "....xx"}},
};

static void check_mask(const lf_kernels *k, int row) {
    enum { N = 6 };
    lf_attention_dims d = masks[row].d;
    if (!d.Tq) d.Tq = N;
    d.B = d.H = d.Hkv = 1;
    d.T = d.D = d.ldq = d.ldkv = d.ldo = N;
    d.scale = 1;
    float q[N * N] = {0}, v[N * N] = {0}, o[N * N], lse[N];
    for (int i = 0; i < N; i++) v[i * N + i] = 1;
    void *scratch = must(lf_aligned_alloc((size_t)k->attention_scratch(&d, false)));
    k->attention(o, lse, q, source, v, &d, scratch);
    for (int i = 0; i < d.Tq; i++) {
        int seen = 0;
        for (int j = 0; j < N; j++) seen += masks[row].sees[i][j] == 'x';
        assert_true(fabs((double)lse[i] - (seen ? log(seen) : 0)) < 1e-6);
        for (int j = 0; j < N; j++)
            if (!(fabs((double)o[i * N + j] - (masks[row].sees[i][j] == 'x' ? 1.0 / seen : 0)) < 1e-6))
                fail_msg("%s mask %d: query %d, key %d has %g", k->name, row, i, j, (double)o[i * N + j]);
    }
    lf_aligned_free(scratch);
}

static void test_masks(void **state) {
    (void)state;
    const lf_kernels *k[8];
    const int n = lf_kernels_available("fp32", k, 8);
    for (int i = 0; i < n; i++)
        for (int row = 0; row < (int)(sizeof masks / sizeof *masks); row++) check_mask(k[i], row);
}

static void test_select(void **state) {
    (void)state;
    const lf_kernels *k = NULL, *all[8];
    lf_err err = {0};
    unsetenv("LF_KERNELS");
    assert_int_equal(lf_kernels_available("fp32", all, 8) >= 2, 1);
    assert_int_equal(lf_kernels_select(&k, "fp32", &err), LF_OK);
    assert_ptr_equal(k, all[0]);
    setenv("LF_KERNELS", "ref", 1);
    assert_int_equal(lf_kernels_select(&k, "fp32", &err), LF_OK);
    assert_ptr_equal(k, &lf_kernels_ref_f32);
    setenv("LF_KERNELS", "mmx", 1);
    assert_int_equal(lf_kernels_select(&k, "fp32", &err), LF_EUSAGE);
    assert_non_null(strstr(err.message, "mmx"));
    assert_non_null(strstr(err.message, "ref"));
    unsetenv("LF_KERNELS");
}

static void count(void *seen, int64_t i) { ((int *)seen)[i]++; }

static void test_threads(void **state) {
    (void)state;
    int seen[100] = {0};
    setenv("OMP_NUM_THREADS", "3,1", 1);
    assert_int_equal(lf_threads_set(0), 3);
    assert_int_equal(lf_threads(), 3);
    assert_int_equal(lf_threads_set(2), 2);
    lf_parallel_for(100, count, seen);
    for (int i = 0; i < 100; i++) assert_int_equal(seen[i], 1);
}

/* Column sums and whatever else is cut into fixed pieces does not depend on the threads at all. */
static void test_sums_whatever_the_threads(void **state) {
    (void)state;
    const lf_kernels *k;
    float one[200] = {0}, four[200] = {0}, table_one[100 * 150] = {0}, table_four[100 * 150] = {0},
          columns_one[5 * 100] = {0}, columns_four[5 * 100] = {0};
    const int32_t *ids = some_ids(400, 100);
    assert_int_equal(lf_kernels_select(&k, "fp32", NULL), LF_OK);
    lf_threads_set(1);
    const double a = k->sum_squares(source, SOURCE);
    k->column_sums(one, source, 200, SOURCE / 200, 200);
    k->scatter_rows(table_one, source, ids, 400, 150);
    k->scatter_columns(columns_one, source, ids, 7, 400, 5, 2, 100);
    lf_threads_set(4);
    const double b = k->sum_squares(source, SOURCE);
    k->column_sums(four, source, 200, SOURCE / 200, 200);
    k->scatter_rows(table_four, source, ids, 400, 150);
    k->scatter_columns(columns_four, source, ids, 7, 400, 5, 2, 100);
    lf_threads_set(2);
    assert_memory_equal(&a, &b, sizeof a);
    assert_memory_equal(one, four, sizeof one);
    assert_memory_equal(table_one, table_four, sizeof table_one);
    assert_memory_equal(columns_one, columns_four, sizeof columns_one);
    for (int r = 0; r < 5; r++) assert_true(columns_one[r * 100 + 7] == 0); /* padding */
}

int main(int argc, char **argv) {
    (void)argc;
    only = argv + 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_fp32),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_every_kernel_has_a_case),
        cmocka_unit_test(test_definitions),
        cmocka_unit_test(test_activations_everywhere),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_softmax_of_large_scores),
        cmocka_unit_test(test_vocabulary_loss),
        cmocka_unit_test(test_value_losses),
        cmocka_unit_test(test_masks),
        cmocka_unit_test(test_sums_whatever_the_threads),
    };
    for (int64_t i = 0; i < SOURCE; i++) source[i] = (float)lf_rng_normal(lf_rng_make(11, LF_RNG_TEST, 0), (uint64_t)i);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (int b = 0; b < BUFFERS; b++) lf_free(normal[b].x);
    return failed;
}
