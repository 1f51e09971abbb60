/* The terms against forgetting: each gradient against differences of the term itself, and what it must be worth. */
#include "unit/adapter_fixture.h"

#include <math.h>

#include "train/remedies.h"
#include "train/replay.h"

typedef struct fixture {
    lf_nn nn;
    lf_adapter *adapter;
    lf_trainable *list;
    int64_t count;
    double *work;
} fixture;

/* Factors that have moved from their start, on weights of both shapes. */
static void begin(fixture *f, const char *init) {
    *f = (fixture){0};
    fixture_new(&f->nn);
    cJSON *targets = fixture_json("['q_proj', 'fc1', 'fc2']");
    const lf_adapter_opts o = {
        .r = 2, .lora_alpha = 3, .init = init, .target_modules = targets, .seed = 5, .position = {.value = 0.5}};
    CHECK_OK(lf_adapter_new(&f->adapter, &f->nn, &o, &err_));
    CHECK_OK(lf_nn_trainables(&f->nn, &f->list, &f->count, &err_));
    cJSON_Delete(targets);
    for (int64_t i = 0; i < f->count; i++) {
        lf_tensor *t = f->list[i].tensor;
        for (int64_t j = 0; j < t->numel; j++) {
            ((float *)t->data)[j] += 0.125f * fixture_random(1000 + (uint64_t)i, j);
            ((float *)t->grad)[j] = 0;
        }
    }
    f->work = lf_malloc((size_t)lf_l2_room(&f->nn) * sizeof *f->work);
    assert_non_null(f->work);
}

static void end(fixture *f) {
    lf_free(f->work);
    lf_adapter_free(f->adapter);
    lf_nn_free(&f->nn);
}

/* The gradient that `term` leaves, against differences that are exact for what has no power above the fourth. `by` of
 * the differences is 0: a term alone. */
static void check_gradient(fixture *f, double (*term)(fixture *f, double by)) {
    enum { EACH = 11 };
    const float h = 0.015625f;
    const double scale = 3;
    int64_t seen = 0;
    (void)term(f, scale);
    for (int64_t i = 0; i < f->count; i++) {
        lf_tensor *t = f->list[i].tensor;
        for (int64_t j = i % 5; j < t->numel; j += EACH, seen++) {
            float *x = (float *)t->data + j;
            const float was = *x;
            double at[5];
            for (int k = 0; k < 5; k++) {
                *x = was + (float)(k - 2) * h;
                at[k] = term(f, 0);
            }
            *x = was;
            const double wide = (double)(was + 2 * h) - (double)(was - 2 * h),
                         narrow = (double)(was + h) - (double)(was - h),
                         slope = 4.0 / 3 * (at[3] - at[1]) / narrow - 1.0 / 3 * (at[4] - at[0]) / wide,
                         found = (double)((float *)t->grad)[j];
            if (!(fabs(found - scale * slope) <= 2e-5 * fabs(scale * slope) + 1e-5))
                fail_msg("%s[%lld]: gradient %.9g, differences %.9g", f->list[i].name, (long long)j, found,
                         scale * slope);
        }
    }
    assert_true(seen > 25);
}

/* ---- l2_to_base ---- */

static double l2(fixture *f, double by) { return lf_l2_penalty(&f->nn, 0.7, by, f->work); }

/* Of plain factors, of a held B (mica), and in delta form. */
static const char *const starts[] = {"kaiming", "gaussian", "pissa", "intermediate", "mica"};

static void test_l2_gradient(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        fixture f;
        begin(&f, starts[i]);
        check_gradient(&f, l2);
        end(&f);
    }
}

/* By way of dW itself, which the term never forms. */
static void test_l2_is_of_the_update(void **state) {
    (void)state;
    for (size_t s = 0; s < sizeof starts / sizeof *starts; s++) {
        fixture f;
        double sum = 0, A[2 * 2 * FIXTURE_I], B[2 * 2 * FIXTURE_I];
        begin(&f, starts[s]);
        for (int64_t i = 0; i < lf_adapter_count(f.adapter); i++) {
            const lf_module *m = lf_adapter_module(f.adapter, i);
            const int64_t R = lf_lora_rank(m->lora);
            lf_lora_factors(m, B, A);
            for (int64_t cell = 0; cell < m->out * m->in; cell++) {
                double w = 0;
                for (int64_t k = 0; k < R; k++) w += B[cell / m->in * R + k] * A[k * m->in + cell % m->in];
                sum += w * w;
            }
        }
        const double found = l2(&f, 0);
        if (!(fabs(found - 0.35 * sum) <= 1e-12 * sum)) fail_msg("%s: %.15g, not %.15g", starts[s], found, 0.35 * sum);
        end(&f);
    }
}

/* Where it starts, a slice is nothing to pull back, and nothing pulls. */
static void test_l2_is_zero_at_the_start(void **state) {
    (void)state;
    fixture f;
    begin(&f, "intermediate");
    for (int64_t i = 0; i < lf_adapter_count(f.adapter); i++) {
        const lf_lora *l = lf_adapter_module(f.adapter, i)->lora;
        memcpy(l->A.data, l->A0, (size_t)l->A.numel * sizeof(float));
        memcpy(l->B.data, l->B0, (size_t)l->B.numel * sizeof(float));
    }
    assert_true(l2(&f, 5) == 0);
    for (int64_t i = 0; i < f.count; i++)
        for (int64_t j = 0; j < f.list[i].tensor->numel; j++) assert_true(((float *)f.list[i].tensor->grad)[j] == 0);
    end(&f);
}

/* ---- orthogonal_weight ---- */

enum { EARLIER_ROWS = 3 };

/* Two earlier adapters, one of them on the first module alone. */
static int64_t earlier_of(lf_earlier_rows rows[16], const fixture *f, float *memory) {
    int64_t n = 0;
    for (int64_t i = 0; i < lf_adapter_count(f->adapter); i++)
        for (int which = 0; which < (i == 0 ? 2 : 1); which++, memory += EARLIER_ROWS * FIXTURE_I) {
            for (int64_t j = 0; j < EARLIER_ROWS * FIXTURE_I; j++) memory[j] = fixture_random(2000 + (uint64_t)n, j);
            rows[n++] = (lf_earlier_rows){lf_adapter_module(f->adapter, i), memory, EARLIER_ROWS};
        }
    return n;
}

static double orthogonal(fixture *f, double by) {
    float memory[16 * EARLIER_ROWS * FIXTURE_I];
    lf_earlier_rows rows[16];
    return lf_orthogonal_penalty(rows, earlier_of(rows, f, memory), 0.3, by);
}

static void test_orthogonal_gradient(void **state) {
    (void)state;
    fixture f;
    begin(&f, "kaiming");
    check_gradient(&f, orthogonal);
    end(&f);
}

/* Nothing of rows that are orthogonal to it; of its own first row that row's fourth power, and what the others share.
 */
static void test_orthogonal_is_zero_when_it_is(void **state) {
    (void)state;
    fixture f;
    begin(&f, "kaiming");
    const lf_module *m = lf_adapter_module(f.adapter, 0);
    float *A = m->lora->A.data, E[2 * FIXTURE_C] = {0};
    memset(A, 0, 2 * FIXTURE_C * sizeof *A);
    A[0] = 3; /* row 0 is along 0, row 1 along 1 */
    A[FIXTURE_C + 1] = 2;
    E[2] = E[FIXTURE_C + 5] = 7;
    lf_earlier_rows rows = {m, E, 2};
    assert_true(lf_orthogonal_penalty(&rows, 1, 0.5, 0) == 0);
    E[0] = 4;
    assert_true(lf_orthogonal_penalty(&rows, 1, 0.5, 0) == 0.5 * 144);
    end(&f);
}

/* ---- ewc_weight ---- */

static double ewc(fixture *f, double by) {
    static float memory[64][2 * FIXTURE_I * FIXTURE_I];
    lf_anchor anchors[64];
    for (int64_t i = 0; i < f->count; i++) {
        lf_tensor *t = f->list[i].tensor;
        const int64_t n = i == 0 ? t->numel / 2 : t->numel; /* a head that has grown */
        anchors[i] = (lf_anchor){.tensor = t, .value = memory[i], .fisher = memory[i] + n, .n = n};
        for (int64_t j = 0; j < n; j++) {
            memory[i][j] = fixture_random(3000 + (uint64_t)i, j);
            memory[i][n + j] = fabsf(fixture_random(4000 + (uint64_t)i, j));
        }
    }
    return lf_ewc_penalty(anchors, f->count, 1.3, by);
}

static void test_ewc_gradient(void **state) {
    (void)state;
    fixture f;
    begin(&f, "gaussian");
    assert_true(f.count < 64);
    check_gradient(&f, ewc);
    end(&f);
}

/* By hand: 1.5 / 2 (2 * 3^2 + 0.5 * 1^2) */
static void test_ewc_by_hand(void **state) {
    (void)state;
    float x[3] = {5, 1, 9}, grad[3] = {0}, anchor[4] = {2, 2, 2, 0.5f};
    lf_tensor t;
    lf_tensor_init(&t, LF_F32, 1, (int64_t[]){3}, x, grad);
    const lf_anchor a = {.tensor = &t, .value = anchor, .fisher = anchor + 2, .n = 2};
    assert_true(lf_ewc_penalty(&a, 1, 1.5, 2) == 0.75 * 18.5);
    assert_true(grad[0] == 18 && grad[1] == -1.5f && grad[2] == 0);
}

/* ---- replay_ratio ---- */

/* The share is what was asked for, to one batch; the batches are numbered without a gap, one behind a micro-batch at
 * most. */
static void test_replay_pace(void **state) {
    (void)state;
    static const double ratios[] = {0.01, 0.05, 0.1, 0.2, 1.0 / 3, 0.5, 0.75, 0.95};
    static const int64_t sizes[] = {1, 4, 8, 33};
    for (size_t i = 0; i < sizeof ratios / sizeof *ratios; i++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            const lf_replay_pace p = lf_replay_pace_of(ratios[i], sizes[s]);
            int64_t n = 0;
            for (int64_t k = 0; k < 3000; k++) {
                const int64_t at = lf_replay_at(&p, k);
                if (at >= 0 && at != n++) fail_msg("batch %lld behind %lld", (long long)at, (long long)k);
                const double old = (double)(n * p.rows), new = (double)((k + 1) * sizes[s]);
                if (!(fabs(old - ratios[i] * (old + new)) <= (double)p.rows + 1e-6))
                    fail_msg("ratio %g, batches of %lld: %g old beside %g new", ratios[i], (long long)sizes[s], old,
                             new);
            }
            assert_true(n > 0);
        }
    assert_int_equal(lf_replay_pace_of(0.5, 8).rows, 8);
    assert_int_equal(lf_replay_pace_of(0.2, 8).rows, 2);
}

/* ---- kl_weight ---- */

/* By hand: q = (1/2, 1/2), p = (3/4, 1/4), so KL = log(4/3) / 2 and its slope p - q; the second row is the base's own.
 */
static void test_kl_by_hand(void **state) {
    (void)state;
    double logits[4] = {log(3), 0, 2, -1}, grad[4] = {0};
    static const float base[4] = {0.5f, 0.5f, 2, -1};
    lf_tensor t;
    lf_graph *g = lf_graph_new(&lf_kernels_ref_f64, 1);
    assert_non_null(g);
    lf_tensor_init(&t, LF_F64, 2, (int64_t[]){2, 2}, logits, grad);
    t.requires_grad = true;
    lf_graph_begin(g, true, true, 0);
    lf_tensor *kl = lf_kl_to(g, &t, base, NULL, 2);
    CHECK_OK(lf_graph_status(g, &err_));
    assert_true(fabs(*(double *)kl->data - log(4.0 / 3) / 4) < 1e-12);
    CHECK_OK(lf_graph_backward(g, kl, 6, &err_));
    assert_true(fabs(grad[0] - 0.75) < 1e-12 && fabs(grad[1] + 0.75) < 1e-12 && grad[2] == 0 && grad[3] == 0);
    lf_graph_free(g);
}

/* By hand, three classes, the first of them true: q = (3/4, 1/4) and p = (1/2, 1/2) of the other two, however sure
 * either is of the first: KL = 3/4 log(3/2) + 1/4 log(1/2), and its slope p - q. Nothing is taken out of the second
 * row, whose p and q are (1/3, 1/3, 1/3) and (1/2, 1/4, 1/4); the third row differs in nothing but the entry that is
 * out. */
static void test_kl_without_the_target_by_hand(void **state) {
    (void)state;
    double logits[9] = {9, 2, 2, 1, 1, 1, 0.5, -40, 0.25}, grad[9] = {0};
    static const double slope[9] = {0, -0.25, 0.25, -1.0 / 6, 1.0 / 12, 1.0 / 12};
    const float base[9] = {-3, logf(3), 0, logf(2), 0, 0, 0.5f, 70, 0.25f};
    static const int32_t without[3] = {0, -1, 1};
    lf_tensor t;
    lf_graph *g = lf_graph_new(&lf_kernels_ref_f64, 1);
    assert_non_null(g);
    lf_tensor_init(&t, LF_F64, 2, (int64_t[]){3, 3}, logits, grad);
    t.requires_grad = true;
    lf_graph_begin(g, true, true, 0);
    lf_tensor *kl = lf_kl_to(g, &t, base, without, 2);
    CHECK_OK(lf_graph_status(g, &err_));
    const double first = 0.75 * log(1.5) + 0.25 * log(0.5), second = 0.5 * log(1.5) + 0.5 * log(0.75);
    assert_true(fabs(*(double *)kl->data - (first + second) / 2) < 1e-7); /* log 3 is a float */
    CHECK_OK(lf_graph_backward(g, kl, 6, &err_));
    for (int i = 0; i < 9; i++) assert_true(fabs(grad[i] - 3 * slope[i]) < 1e-6);
    assert_true(grad[0] == 0);
    for (int i = 6; i < 9; i++) assert_true(grad[i] == 0);
    /* an entry that is not there */
    static const int32_t wrong[3] = {0, 3, 1};
    lf_graph_begin(g, true, true, 0);
    (void)lf_kl_to(g, &t, base, wrong, 2);
    CHECK_FAILS(LF_ESHAPE, lf_graph_status(g, &err_), "kl_to", "3", "row 1");
    lf_graph_free(g);
}

/* The chain rule: all of a divergence is that of "is it the target?", and of the rest so much as the base has there. */
static void test_kl_is_of_the_target_and_the_rest(void **state) {
    (void)state;
    enum { ROWS = 40, CLASSES = 9 };
    double logits[ROWS * CLASSES], base[ROWS * CLASSES], ce[ROWS], all[ROWS], rest[ROWS];
    int32_t target[ROWS];
    for (int i = 0; i < ROWS * CLASSES; i++) {
        logits[i] = 3 * (double)fixture_random(5000, i);
        base[i] = 3 * (double)fixture_random(5001, i);
    }
    for (int32_t i = 0; i < ROWS; i++) target[i] = i % CLASSES;
    lf_kernels_ref_f64.lm_compare(ce, all, logits, base, NULL, ROWS, CLASSES);
    lf_kernels_ref_f64.lm_compare(ce, rest, logits, base, target, ROWS, CLASSES);
    for (int i = 0; i < ROWS; i++) {
        double p = 0, q = 0;
        for (int v = 0; v < CLASSES; v++) {
            p += exp(logits[i * CLASSES + v] - logits[i * CLASSES + target[i]]);
            q += exp(base[i * CLASSES + v] - base[i * CLASSES + target[i]]);
        }
        p = 1 / p;
        q = 1 / q;
        const double of_target = q * log(q / p) + (1 - q) * log((1 - q) / (1 - p));
        if (!(fabs(all[i] - of_target - (1 - q) * rest[i]) < 1e-12))
            fail_msg("row %d: %.15g is not %.15g and %.15g of the rest", i, all[i], of_target, rest[i]);
    }
}

/* ---- the sums of a checkpoint ---- */

static void test_terms_are_kept(void **state) {
    (void)state;
    lf_term terms[LF_N_REMEDIES] = {[LF_REMEDY_l2_to_base] = {0.1, 3}}, again[LF_N_REMEDIES];
    cJSON *o = cJSON_CreateObject();
    assert_true(lf_terms_put(o, (lf_term[LF_N_REMEDIES]){{0}}));
    assert_null(o->child); /* as a run without remedies has it */
    assert_true(lf_terms_put(o, terms));
    CHECK_OK(lf_terms_read(again, o, "file", &err_));
    assert_true(again[LF_REMEDY_l2_to_base].sum == 0.1 && again[LF_REMEDY_l2_to_base].count == 3);
    cJSON_Delete(o);
    o = fixture_json("{'terms_since_log': {'l2_to_base': {'sum': 1, 'count': -1}}}");
    CHECK_FAILS(LF_EDATA, lf_terms_read(again, o, "file", &err_), "file", "l2_to_base", "older checkpoint");
    cJSON_Delete(o);
}

int main(void) {
    lf_log_set_level(LF_LOG_QUIET);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_l2_gradient),
        cmocka_unit_test(test_l2_is_of_the_update),
        cmocka_unit_test(test_l2_is_zero_at_the_start),
        cmocka_unit_test(test_orthogonal_gradient),
        cmocka_unit_test(test_orthogonal_is_zero_when_it_is),
        cmocka_unit_test(test_ewc_gradient),
        cmocka_unit_test(test_ewc_by_hand),
        cmocka_unit_test(test_replay_pace),
        cmocka_unit_test(test_kl_by_hand),
        cmocka_unit_test(test_kl_without_the_target_by_hand),
        cmocka_unit_test(test_kl_is_of_the_target_and_the_rest),
        cmocka_unit_test(test_terms_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
