/* The tape: no heap call in a warm step, memory that does not grow, failures that stick, gradients that stop where
 * nothing is trained; and optimisers against torch's formulas worked by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "adapter/adapter.h"
#include "base/mem.h"
#include "model/model.h"
#include "train/optimizer.h"

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        lf_err err = {0};                                                                                              \
        if (call) fail_msg("%s:%d: %s", __FILE__, __LINE__, err.message);                                              \
    } while (0)

static lf_config *config(const char *const *pairs, size_t n) {
    lf_config *cfg;
    OK(lf_config_new(&cfg, "train", &err));
    OK(lf_config_set(cfg, "model", "m", &err));
    OK(lf_config_set(cfg, "train_data", "d", &err));
    OK(lf_config_set(cfg, "output_dir", "o", &err));
    for (size_t i = 0; i < n; i += 2) OK(lf_config_set(cfg, pairs[i], pairs[i + 1], &err));
    OK(lf_config_finish(cfg, &err));
    return cfg;
}

static void check_warm_step(const char *precision, bool checkpointing) {
    static const char *const keys[] = {"init_lora_weights", "intermediate", "r", "4", "lora_dropout", "0.1"};
    static const char *const names[] = {"a", "b", "c"};
    static const int32_t labels[] = {0, 1, 2, 0, 1, 2, 1};
    static float pixels[7 * 3 * 16 * 16];
    lf_config *cfg = config(keys, 6);
    const lf_kernels *k;
    lf_model *m;
    lf_adapter *a;
    lf_adapter_opts opts;
    lf_trainable *list;
    lf_optimizer o;
    int64_t count;
    OK(lf_kernels_select(&k, precision, &err));
    OK(lf_model_open(&m, LF_TEST_DIR "/golden/vit-base", &(lf_model_opts){.k = k, .load = LF_LOAD_FROZEN}, &err));
    OK(lf_model_new_head(m, 3, names, 1, &err));
    OK(lf_adapter_opts_read(&opts, cfg, &err));
    OK(lf_adapter_new(&a, &m->nn, &opts, &err));
    OK(lf_nn_trainables(&m->nn, &list, &count, &err));
    OK(lf_optimizer_init(&o, k, list, count, cfg, &err));
    m->gradient_checkpointing = checkpointing;
    lf_graph *g = lf_graph_new(k, 1);
    uint64_t calls = 0;
    int64_t bytes = 0;
    for (uint64_t step = 0; step < 8; step++) {
        const int64_t B = step % 2 ? 4 : 7; /* the last batch of an epoch is smaller */
        if (step == 4) {
            calls = lf_alloc_calls();
            bytes = lf_graph_bytes(g);
        }
        lf_optimizer_clear_gradients(&o);
        lf_graph_begin(g, true, true, step);
        lf_tensor *x = lf_model_features(m, g, &(lf_pass){.in = {.B = B, .pixels = pixels}});
        lf_tensor *loss = lf_cross_entropy(g, lf_model_logits(g, m->head.module, x), labels, 1, 0);
        OK(lf_graph_backward(g, loss, 1, &err));
        lf_optimizer_step(&o, 1, 1.0 / (double)B);
    }
    assert_true(calls > 0 && lf_alloc_calls() == calls);
    assert_true(bytes > 0 && lf_graph_bytes(g) == bytes);
    lf_graph_free(g);
    lf_optimizer_free(&o);
    lf_adapter_free(a);
    lf_model_free(m);
    lf_config_free(cfg);
    assert_int_equal(lf_alloc_live(), 0);
}

static void test_warm_step_calls_no_heap(void **state) {
    (void)state;
    static const char *const precisions[] = {"fp32", "bf16"};
    for (int i = 0; i < 4; i++) check_warm_step(precisions[i % 2], i / 2);
}

/* A linear layer of more rows than one block takes, against the same rows in parts of one block each. */
enum { BLOCK_ROWS = 4600, WIDTH = 512, RANK = 4, FACTOR = RANK * WIDTH };

typedef struct layer_result {
    float y[BLOCK_ROWS], dx[BLOCK_ROWS], dA[FACTOR], dB[FACTOR];
} layer_result; /* a column of y and dx */

static void run_layer(layer_result *out, lf_graph *g, const lf_frozen *W, float *x, int parts, float *factors) {
    static int32_t labels[BLOCK_ROWS];
    const int64_t rows = BLOCK_ROWS / parts;
    float *dx = lf_aligned_alloc(sizeof *dx * BLOCK_ROWS * WIDTH);
    memset(out, 0, sizeof *out);
    for (int part = 0; part < parts; part++) {
        lf_lora l = {.r = RANK, .scaling = 1.5, .A0 = factors + 2 * FACTOR, .B0 = factors + 3 * FACTOR};
        lf_tensor t;
        memset(dx, 0, sizeof *dx * BLOCK_ROWS * WIDTH);
        lf_tensor_init(&l.A, LF_F32, 2, (int64_t[]){RANK, WIDTH}, factors, out->dA);
        lf_tensor_init(&l.B, LF_F32, 2, (int64_t[]){WIDTH, RANK}, factors + FACTOR, out->dB);
        lf_tensor_init(&t, LF_F32, 2, (int64_t[]){rows, WIDTH}, x + part * rows * WIDTH, dx);
        for (int64_t i = 0; i < rows; i++) labels[i] = (int32_t)((part * rows + i) * 7 % WIDTH);
        lf_graph_begin(g, true, true, 0);
        lf_tensor *y = lf_linear(g, &t, W, NULL, NULL, &l), *loss = lf_cross_entropy(g, y, labels, 100, 0);
        OK(lf_graph_status(g, &err));
        for (int64_t i = 0; i < rows; i++)
            out->y[part * rows + i] = ((const float *)y->data)[i * WIDTH + (part * rows + i) % WIDTH];
        OK(lf_graph_backward(g, loss, 1, &err));
        for (int64_t i = 0; i < rows; i++) out->dx[part * rows + i] = dx[i * WIDTH + (part * rows + i) % WIDTH];
    }
    lf_aligned_free(dx);
}

static void test_rows_in_blocks(void **state) {
    (void)state;
    static layer_result whole, parts;
    static float factors[4 * FACTOR];
    const lf_kernels *k;
    const lf_rng_key key = lf_rng_make(3, LF_RNG_TEST, 0);
    OK(lf_kernels_select(&k, "fp32", &err));
    float *x = lf_aligned_alloc(sizeof *x * BLOCK_ROWS * WIDTH), *W = lf_aligned_alloc(sizeof *W * WIDTH * WIDTH);
    for (int64_t i = 0; i < BLOCK_ROWS * WIDTH; i++) x[i] = (float)lf_rng_normal(key, (uint64_t)i);
    for (int64_t i = 0; i < WIDTH * WIDTH; i++) W[i] = (float)lf_rng_normal(key, (uint64_t)(i + 7)) / 20;
    for (int64_t i = 0; i < 4 * FACTOR; i++) factors[i] = (float)lf_rng_normal(key, (uint64_t)(i + 9)) / 20;
    lf_frozen frozen = {.out = WIDTH,
                        .in = WIDTH,
                        .data = lf_aligned_alloc((size_t)k->frozen_size(LF_FROZEN_PLAIN, WIDTH, WIDTH)),
                        .act_dtype = LF_F32};
    assert_true(k->frozen_prepare(&frozen, W));
    lf_graph *g = lf_graph_new(k, 1);
    run_layer(&whole, g, &frozen, x, 1, factors);
    run_layer(&parts, g, &frozen, x, 4, factors);
    const float *a = (const float *)&whole, *b = (const float *)&parts;
    for (size_t i = 0; i < sizeof whole / sizeof *a; i++)
        if (!(fabsf(a[i] - b[i]) <= 1e-4f * (0.1f + fabsf(a[i]))))
            fail_msg("number %zu: %g in one piece, %g in parts", i, (double)a[i], (double)b[i]);
    lf_graph_free(g);
    lf_aligned_free(frozen.data);
    lf_aligned_free(x);
    lf_aligned_free(W);
    assert_int_equal(lf_alloc_live(), 0);
}

/* ---- probes ---- */

enum { PROBED_ROWS = 4600, PROBED_IN = 512, PROBED_OUT = 300, PROBED_R = 3 };

typedef struct probed_part {
    float *A, *B, *A0, *B0;
} probed_part;

static float *random_floats(int64_t n, uint64_t stream, float scale) {
    const lf_rng_key key = lf_rng_make(13, LF_RNG_TEST, stream);
    float *x = lf_aligned_alloc((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = scale * (float)lf_rng_normal(key, (uint64_t)i);
    return x;
}

/* |dW x| / |W x| of one row by its definition, in double. */
static double ratio_of(const float *W, const probed_part *f, double scaling, const float *x) {
    double term = 0, product = 0, u[PROBED_R] = {0}, u0[PROBED_R] = {0};
    for (int q = 0; q < PROBED_R; q++)
        for (int j = 0; j < PROBED_IN; j++) {
            u[q] += (double)f->A[q * PROBED_IN + j] * (double)x[j];
            if (f->A0) u0[q] += (double)f->A0[q * PROBED_IN + j] * (double)x[j];
        }
    for (int o = 0; o < PROBED_OUT; o++) {
        double y = 0, t = 0;
        for (int j = 0; j < PROBED_IN; j++) y += (double)W[o * PROBED_IN + j] * (double)x[j];
        for (int q = 0; q < PROBED_R; q++)
            t += (double)f->B[o * PROBED_R + q] * u[q] - (f->A0 ? (double)f->B0[o * PROBED_R + q] * u0[q] : 0);
        product += y * y;
        term += scaling * scaling * t * t;
    }
    return sqrt(term / product);
}

/* Two layers over one x, rows in several blocks: one adapter in delta form, one plain. Row 2 is nothing, and every
 * seventh is padding. */
static void check_probe(const char *precision, double tolerance) {
    enum { W_SIZE = PROBED_OUT * PROBED_IN, A_SIZE = PROBED_R * PROBED_IN, B_SIZE = PROBED_OUT * PROBED_R };
    const lf_kernels *k;
    OK(lf_kernels_select(&k, precision, &err));
    const probed_part f[2] = {{random_floats(A_SIZE, 1, 0.1F), random_floats(B_SIZE, 2, 0.1F),
                               random_floats(A_SIZE, 3, 0.1F), random_floats(B_SIZE, 4, 0.1F)},
                              {random_floats(A_SIZE, 5, 0.1F), random_floats(B_SIZE, 6, 0.1F), NULL, NULL}};
    float *W = random_floats(2 * W_SIZE, 7, 0.05F), *x = random_floats(PROBED_ROWS * PROBED_IN, 8, 1),
          *bias = random_floats(PROBED_OUT, 9, 30);
    memset(x + 2 * PROBED_IN, 0, sizeof *x * PROBED_IN);
    static bool ignored[PROBED_ROWS];
    for (int i = 0; i < PROBED_ROWS; i++) ignored[i] = i % 7 == 6;
    void *act = lf_aligned_alloc(lf_dtype_size(k->act_dtype) * PROBED_ROWS * PROBED_IN);
    k->to_act(act, false, x, PROBED_ROWS * PROBED_IN);
    lf_frozen frozen = {.out = 2 * PROBED_OUT,
                        .in = PROBED_IN,
                        .data = lf_aligned_alloc((size_t)k->frozen_size(LF_FROZEN_PLAIN, 2 * PROBED_OUT, PROBED_IN)),
                        .act_dtype = k->act_dtype};
    assert_true(k->frozen_prepare(&frozen, W));
    lf_tensor bias_tensor;
    lf_tensor_init(&bias_tensor, LF_F32, 1, (int64_t[]){PROBED_OUT}, bias, NULL);
    lf_lora l[2];
    lf_lora_probe probes[2] = {{.ignored = ignored, .n_ignored = PROBED_ROWS},
                               {.ignored = ignored, .n_ignored = PROBED_ROWS + 1}};
    lf_linear_part parts[2];
    for (int p = 0; p < 2; p++) {
        l[p] = (lf_lora){.r = PROBED_R, .scaling = p ? 0.5 : 2, .A0 = f[p].A0, .B0 = f[p].B0};
        lf_tensor_init(&l[p].A, LF_F32, 2, (int64_t[]){PROBED_R, PROBED_IN}, f[p].A, NULL);
        lf_tensor_init(&l[p].B, LF_F32, 2, (int64_t[]){PROBED_OUT, PROBED_R}, f[p].B, NULL);
        parts[p] = (lf_linear_part){PROBED_OUT, NULL, p ? &bias_tensor : NULL, &l[p]};
    }
    lf_graph *g = lf_graph_new(k, 1);
    void *unprobed = NULL;
    uint64_t calls = 0;
    for (int pass = 0; pass < 4; pass++) {
        if (pass == 3) calls = lf_alloc_calls();
        for (int p = 0; p < 2; p++) l[p].probe = pass ? &probes[p] : NULL;
        lf_graph_begin(g, false, false, 0);
        const lf_tensor *y =
            lf_linear_group(g, lf_graph_input(g, 2, (int64_t[]){PROBED_ROWS, PROBED_IN}, act), &frozen, parts, 2);
        OK(lf_graph_status(g, &err));
        const size_t size = lf_dtype_size(k->act_dtype) * (size_t)y->numel;
        if (!pass) memcpy(unprobed = lf_malloc(size), y->data, size);
        assert_memory_equal(y->data, unprobed, size); /* looking changes nothing */
    }
    assert_true(lf_alloc_calls() == calls);
    for (int p = 0; p < 2; p++) {
        double sum = 0;
        int64_t rows = 0;
        for (int64_t i = 0; i < PROBED_ROWS; i++) {
            if (i == 2 || (p == 0 && ignored[i])) continue;
            sum += ratio_of(W + p * W_SIZE, &f[p], l[p].scaling, x + i * PROBED_IN);
            rows++;
        }
        assert_int_equal(probes[p].rows, 3 * rows);
        const double found = probes[p].sum / (double)probes[p].rows, want = sum / (double)rows;
        if (!(fabs(found - want) <= tolerance * want))
            fail_msg("%s, part %d: %.9g, expected %.9g", precision, p, found, want);
        lf_aligned_free(f[p].A);
        lf_aligned_free(f[p].B);
        lf_aligned_free(f[p].A0);
        lf_aligned_free(f[p].B0);
    }
    lf_graph_free(g);
    lf_free(unprobed);
    lf_aligned_free(frozen.data);
    lf_aligned_free(act);
    lf_aligned_free(W);
    lf_aligned_free(x);
    lf_aligned_free(bias);
    assert_int_equal(lf_alloc_live(), 0);
}

/* What calibration asks for: the rows that count, as they are, and the gradient that a trained weight has. */
typedef struct shown {
    float *rows;
    int64_t n;
} shown;

static void show(void *context, const void *rows, int64_t n) {
    shown *s = context;
    memcpy(s->rows + s->n * PROBED_IN, rows, (size_t)(n * PROBED_IN) * sizeof *s->rows);
    s->n += n;
}

static void check_calibration(const char *precision, double tolerance) {
    enum { W_SIZE = PROBED_OUT * PROBED_IN };
    const lf_kernels *k;
    OK(lf_kernels_select(&k, precision, &err));
    float *W = random_floats(W_SIZE, 7, 0.05F), *x = random_floats(PROBED_ROWS * PROBED_IN, 8, 1),
          *A = random_floats(PROBED_R * PROBED_IN, 9, 0.1F), *B = random_floats(PROBED_OUT * PROBED_R, 10, 0.1F),
          *grads = lf_calloc(3 * (size_t)W_SIZE, sizeof *grads);
    static bool ignored[PROBED_ROWS];
    static int32_t labels[PROBED_ROWS];
    for (int i = 0; i < PROBED_ROWS; i++) ignored[i] = i % 5 == 1;
    for (int i = 0; i < PROBED_ROWS; i++) labels[i] = i % PROBED_OUT;
    void *act = lf_aligned_alloc(lf_dtype_size(k->act_dtype) * PROBED_ROWS * PROBED_IN);
    k->to_act(act, false, x, PROBED_ROWS * PROBED_IN);
    k->to_real(x, false, act, PROBED_ROWS * PROBED_IN); /* as the layer sees it */
    lf_frozen frozen = {.out = PROBED_OUT,
                        .in = PROBED_IN,
                        .data = lf_aligned_alloc((size_t)k->frozen_size(LF_FROZEN_PLAIN, PROBED_OUT, PROBED_IN)),
                        .act_dtype = k->act_dtype};
    assert_true(k->frozen_prepare(&frozen, W));
    lf_tensor weight;
    lf_tensor_init(&weight, LF_F32, 2, (int64_t[]){PROBED_OUT, PROBED_IN}, W, grads + W_SIZE);
    weight.requires_grad = true;
    float *dA = lf_calloc((size_t)(PROBED_R * PROBED_IN), sizeof *dA);
    lf_lora l = {.r = PROBED_R, .scaling = 1};
    lf_tensor_init(&l.A, LF_F32, 2, (int64_t[]){PROBED_R, PROBED_IN}, A, dA);
    lf_tensor_init(&l.B, LF_F32, 2, (int64_t[]){PROBED_OUT, PROBED_R}, B, NULL);
    l.A.requires_grad = true;
    shown s = {.rows = lf_malloc((size_t)(PROBED_ROWS * PROBED_IN) * sizeof *s.rows)};
    lf_lora_probe probe = {.see = show, .context = &s, .gradient = grads, .ignored = ignored, .n_ignored = PROBED_ROWS};
    lf_graph *g = lf_graph_new(k, 1);
    for (int trained = 0; trained < 2; trained++) {
        l.probe = trained ? NULL : &probe;
        lf_graph_begin(g, false, true, 0);
        lf_tensor *in = lf_graph_input(g, 2, (int64_t[]){PROBED_ROWS, PROBED_IN}, act);
        lf_tensor *y = lf_linear(g, in, trained ? NULL : &frozen, trained ? &weight : NULL, NULL, &l);
        lf_tensor *loss = lf_cross_entropy(g, lf_to_real(g, y), labels, 1, 0);
        OK(lf_graph_status(g, &err));
        OK(lf_graph_backward(g, loss, 1, &err));
    }
    assert_int_equal(probe.rows, 0); /* the ratio is not measured beside */
    int64_t n = 0;
    for (int64_t i = 0; i < PROBED_ROWS; i++)
        if (!ignored[i]) assert_memory_equal(s.rows + n++ * PROBED_IN, x + i * PROBED_IN, PROBED_IN * sizeof *x);
    assert_int_equal(s.n, n);
    double error = 0, norm = 0;
    for (int64_t i = 0; i < W_SIZE; i++) {
        error += pow((double)grads[i] - (double)grads[W_SIZE + i], 2);
        norm += pow((double)grads[W_SIZE + i], 2);
    }
    if (!(norm > 0 && sqrt(error / norm) <= tolerance)) fail_msg("%s: distance %g", precision, sqrt(error / norm));
    lf_graph_free(g);
    lf_aligned_free(frozen.data);
    lf_aligned_free(act);
    lf_aligned_free(W);
    lf_aligned_free(x);
    lf_aligned_free(A);
    lf_aligned_free(B);
    lf_free(grads);
    lf_free(dA);
    lf_free(s.rows);
}

static void test_calibration(void **state) {
    (void)state;
    check_calibration("fp32", 1e-5);
    check_calibration("bf16", 2e-2);
}

static void test_probes(void **state) {
    (void)state;
    check_probe("fp32", 1e-6);
    check_probe("bf16", 2e-3); /* of thousands of rows the roundings of x, W and the factors mostly cancel */
}

static void test_failure_sticks(void **state) {
    (void)state;
    double x[6] = {0}, y[4] = {0}, grad[6];
    lf_tensor a, b;
    lf_tensor_init(&a, LF_F64, 2, (int64_t[]){2, 3}, x, grad);
    lf_tensor_init(&b, LF_F64, 2, (int64_t[]){2, 2}, y, NULL);
    lf_graph *g = lf_graph_new(&lf_kernels_ref_f64, 1);
    lf_graph_begin(g, true, true, 0);
    lf_tensor *bad = lf_add(g, &a, &b);
    assert_null(bad);
    assert_null(lf_activation(g, bad, LF_GELU));
    lf_err err = {0};
    assert_int_equal(lf_graph_status(g, &err), LF_ESHAPE);
    assert_non_null(strstr(err.message, "add"));
    lf_graph_begin(g, true, true, 1); /* a new step starts clean */
    assert_non_null(lf_add(g, &a, &a));
    assert_int_equal(lf_graph_status(g, NULL), LF_OK);
    lf_graph_free(g);
}

static void test_out_of_memory_is_an_error(void **state) {
    (void)state;
    static double x[1000];
    static double grad[1000];
    lf_tensor a;
    lf_tensor_init(&a, LF_F64, 1, (int64_t[]){1000}, x, grad);
    lf_status rc = LF_ENOMEM;
    int64_t n = 0;
    for (; rc == LF_ENOMEM; n++) {
        lf_alloc_fail_after(n);
        lf_graph *g = lf_graph_new(&lf_kernels_ref_f64, 1);
        if (g) {
            lf_graph_begin(g, true, true, 0);
            lf_tensor *y = lf_activation(g, lf_add(g, &a, &a), LF_GELU);
            rc = lf_graph_status(g, NULL);
            assert_true((rc == LF_OK) == (y != NULL));
        }
        lf_graph_free(g);
        assert_int_equal(lf_alloc_live(), 0);
    }
    lf_alloc_fail_after(-1);
    assert_true(n > 4); /* several allocations did fail */
}

static void test_nothing_trained_nothing_taped(void **state) {
    (void)state;
    double x[4] = {1, 2, 3, 4};
    lf_tensor a;
    lf_tensor_init(&a, LF_F64, 1, (int64_t[]){4}, x, NULL);
    lf_graph *g = lf_graph_new(&lf_kernels_ref_f64, 1);
    lf_graph_begin(g, true, true, 0);
    const lf_tensor *y = lf_activation(g, &a, LF_GELU);
    assert_false(y->requires_grad);
    assert_null(y->producer);
    lf_graph_free(g);
}

/* Behind a frozen weight without an adapter, backward needs no x: the builder's lf_done gives it back. */
static void test_frozen_linear_keeps_no_input(void **state) {
    (void)state;
    double x[6] = {1, 2, 3, 4, 5, 6}, grad[6] = {0}, W[4] = {1, 2, 3, 4}, w_grad[4] = {0};
    lf_tensor a, weight;
    lf_tensor_init(&a, LF_F64, 2, (int64_t[]){3, 2}, x, grad);
    lf_tensor_init(&weight, LF_F64, 2, (int64_t[]){2, 2}, W, w_grad);
    const lf_frozen frozen = {.out = 2, .in = 2, .data = W};
    lf_graph *g = lf_graph_new(&lf_kernels_ref_f64, 1);
    for (int trained = 0; trained < 2; trained++) {
        lf_graph_begin(g, true, true, 0);
        lf_tensor *h = lf_add(g, &a, &a);
        lf_tensor *y = lf_linear(g, h, trained ? NULL : &frozen, trained ? &weight : NULL, NULL, NULL);
        lf_done(g, h);
        assert_non_null(y);
        assert_true((h->data != NULL) == (trained == 1));
    }
    lf_graph_free(g);
}

/* Two numbers, two steps, worked from torch.optim.AdamW's definition in double. */
static void test_adamw_by_hand(void **state) {
    (void)state;
    static const char *const keys[] = {"learning_rate", "0.1", "weight_decay", "0.5", "head_learning_rate", "0.2"};
    lf_config *cfg = config(keys, 6);
    float p[2][1] = {{1}, {1}}, grad[2][1] = {{0.5f}, {-2}};
    lf_tensor t[2];
    lf_trainable list[2] = {{"a", &t[0], .decays = true}, {"b", &t[1], .is_head = true}};
    for (int i = 0; i < 2; i++) lf_tensor_init(&t[i], LF_F64, 1, (int64_t[]){1}, p[i], grad[i]);
    lf_optimizer o;
    OK(lf_optimizer_init(&o, &lf_kernels_ref_f32, list, 2, cfg, &err));
    assert_true(fabs(lf_optimizer_gradient_norm(&o, 2) - 2 * sqrt(4.25)) < 1e-6);
    double want[2] = {1, 1}, m[2] = {0}, v[2] = {0};
    for (int step = 1; step <= 2; step++) {
        lf_optimizer_step(&o, 0.5, 1);
        for (int i = 0; i < 2; i++) {
            const double g = (double)grad[i][0], lr = 0.5 * (i ? 0.2 : 0.1), decay = i ? 0 : 0.5;
            want[i] *= 1 - lr * decay;
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            want[i] -= lr * (m[i] / (1 - pow(0.9, step))) / (sqrt(v[i] / (1 - pow(0.999, step))) + 1e-8);
            assert_true(fabs((double)p[i][0] - want[i]) < 1e-6);
        }
    }
    lf_optimizer_free(&o);
    lf_config_free(cfg);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_warm_step_calls_no_heap),
                                       cmocka_unit_test(test_rows_in_blocks),
                                       cmocka_unit_test(test_calibration),
                                       cmocka_unit_test(test_probes),
                                       cmocka_unit_test(test_failure_sticks),
                                       cmocka_unit_test(test_out_of_memory_is_an_error),
                                       cmocka_unit_test(test_nothing_trained_nothing_taped),
                                       cmocka_unit_test(test_frozen_linear_keeps_no_input),
                                       cmocka_unit_test(test_adamw_by_hand)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
