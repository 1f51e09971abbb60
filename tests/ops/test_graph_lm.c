/* The loss of a language model and its scores, next to plain logits: in every precision, over several blocks, in a warm
 * step, out of memory; and that a block of a language model is one graph in bf16 as it is in floats. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "graph/lm_score.h"
#include "graph/ops.h"

enum { B = 3, T = 300, ROWS = B * T, C = 24, V = 1031 }; /* blocks are of 512 rows */

static lf_err err;
#define OK(call)                                                                                                       \
    do {                                                                                                               \
        if ((call) != LF_OK) fail_msg("%s: %s", #call, err.message);                                                   \
    } while (0)

static void *block(int64_t n, lf_dtype type) {
    void *p = lf_aligned_alloc((size_t)n * lf_dtype_size(type));
    assert_non_null(p);
    return p;
}

/* n normal numbers times scale, as `type`. */
static void *numbers(int64_t n, lf_dtype type, uint64_t stream, double scale) {
    float *x = block(n, LF_F32);
    void *to = block(n, type);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(scale * lf_rng_normal(lf_rng_make(3, LF_RNG_TEST, stream), (uint64_t)i));
    if (type == LF_F64)
        for (int64_t i = 0; i < n; i++) ((double *)to)[i] = (double)x[i];
    else
        lf_from_f32(to, type, x, n);
    lf_aligned_free(x);
    return to;
}

static double get(const void *x, lf_dtype type, int64_t i) {
    return type == LF_F64   ? ((const double *)x)[i]
           : type == LF_F32 ? (double)((const float *)x)[i]
                            : (double)lf_bf16_to_f32(((const uint16_t *)x)[i]);
}

static void some_labels(int32_t *labels, int64_t step) {
    for (int64_t i = 0; i < ROWS; i++) labels[i] = i % (5 + step) == 3 ? -100 : (int32_t)(i * 97 % V);
}

/* What all tests start from: numbers, and W frozen for the backend. */
typedef struct setup {
    const lf_kernels *k;
    lf_graph *g;
    void *hidden, *dhidden, *base, *W, *dW;
    float *W_float;
    lf_frozen frozen;
    int32_t labels[ROWS];
} setup;

#define FROZEN(s)  ((lf_lm_head){.frozen = &(s).frozen})
#define TRAINED(W) ((lf_lm_head){.weight = &(W)})

static void setup_begin(setup *s, const lf_kernels *k) {
    *s = (setup){.k = k, .g = lf_graph_new(k, 1)};
    s->hidden = numbers(ROWS * C, k->act_dtype, 1, 1);
    s->base = numbers(ROWS * C, k->act_dtype, 2, 1);
    s->dhidden = numbers(ROWS * C, k->act_dtype, 3, 0);
    s->W_float = numbers(V * C, LF_F32, 4, 0.4);
    for (int64_t i = 0; i < V * C; i++)
        s->W_float[i] = lf_bf16_to_f32(lf_f32_to_bf16(s->W_float[i])); /* a number of every type */
    s->W = block(V * C, k->dtype);
    k->from_f32(s->W, s->W_float, V * C);
    s->dW = numbers(V * C, k->dtype, 5, 0);
    s->frozen = (lf_frozen){.out = V, .in = C, .act_dtype = k->act_dtype};
    s->frozen.data = lf_aligned_alloc((size_t)k->frozen_size(LF_FROZEN_PLAIN, V, C));
    assert_non_null(s->frozen.data);
    assert_true(k->frozen_prepare(&s->frozen, s->W_float));
    some_labels(s->labels, 0);
}

static void setup_end(setup *s) {
    void *const all[] = {s->hidden, s->dhidden, s->base, s->W, s->dW, s->W_float, s->frozen.data};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) lf_aligned_free(all[i]);
    lf_graph_free(s->g);
    assert_int_equal(lf_alloc_live(), 0);
}

static void leaf(lf_tensor *t, lf_dtype type, int64_t rows, int64_t columns, void *data, void *grad) {
    lf_tensor_init(t, type, 2, (int64_t[]){rows, columns}, data, grad);
}

/* One row's distribution over the first n tokens in double: log p of all. */
static void log_p_of(double *out, const setup *s, const void *hidden, int64_t row, int64_t n) {
    double max = -INFINITY, sum = 0;
    for (int64_t v = 0; v < n; v++) {
        out[v] = 0;
        for (int64_t c = 0; c < C; c++)
            out[v] += get(hidden, s->k->act_dtype, row * C + c) * (double)s->W_float[v * C + c];
        max = fmax(max, out[v]);
    }
    for (int64_t v = 0; v < n; v++) sum += exp(out[v] - max);
    for (int64_t v = 0; v < n; v++) out[v] -= max + log(sum);
}

static void log_p(double *out, const setup *s, const void *hidden, int64_t row) { log_p_of(out, s, hidden, row, V); }

static lf_label_score expected_token(const setup *s, int64_t row, bool with_base) {
    static double p[V], q[V];
    lf_label_score t = {.target = s->labels[row] >= 0};
    if (!t.target) return t;
    log_p(p, s, s->hidden, row);
    log_p(q, s, s->base, row);
    t.nll = -p[s->labels[row]];
    t.correct = true;
    for (int64_t v = 0; v < V; v++) {
        t.correct = t.correct && p[v] <= p[s->labels[row]];
        t.ce -= with_base ? exp(q[v]) * p[v] : 0;
        t.kl += with_base ? exp(q[v]) * (q[v] - p[v]) : 0;
    }
    return t;
}

/* dloss/dhidden[row] for loss = sum of nll. */
static void expected_dhidden(double *out, const setup *s, int64_t row) {
    static double p[V];
    memset(out, 0, C * sizeof *out);
    if (s->labels[row] < 0) return;
    log_p(p, s, s->hidden, row);
    for (int64_t v = 0; v < V; v++)
        for (int64_t c = 0; c < C; c++) out[c] += (exp(p[v]) - (v == s->labels[row])) * (double)s->W_float[v * C + c];
}

static void assert_near(double got, double want, double tolerance, const char *what, const lf_kernels *k, int64_t row) {
    if (!(fabs(got - want) <= tolerance))
        fail_msg("%s %s, row %d: expected %.9g, got %.9g", k->name, what, (int)row, want, got);
}

/* ---- the tests, for one backend ---- */

static void check_loss(const lf_kernels *k, bool frozen) {
    setup s;
    setup_begin(&s, k);
    lf_tensor hidden, W;
    leaf(&hidden, k->act_dtype, ROWS, C, s.hidden, s.dhidden);
    leaf(&W, k->dtype, V, C, s.W, s.dW);
    lf_lm_counts counts;
    lf_graph_begin(s.g, true, true, 0);
    const lf_lm_head head = frozen ? FROZEN(s) : TRAINED(W);
    lf_tensor *loss = lf_lm_loss(s.g, &hidden, &head, s.labels, 10, 0, &counts);
    OK(lf_graph_status(s.g, &err));
    assert_int_equal(loss->dtype, k->dtype);
    const double value = get(loss->data, k->dtype, 0);
    OK(lf_graph_backward(s.g, loss, 5, &err));
    const double rounding = k->act_dtype == LF_BF16 ? 1e-2 : 1e-5; /* of dlogits and of dhidden */
    double nll = 0;
    int64_t targets = 0, correct = 0;
    for (int64_t row = 0; row < ROWS; row++) {
        const lf_label_score t = expected_token(&s, row, false);
        nll += t.nll;
        targets += t.target;
        correct += t.correct;
        double dhidden[C];
        if (row % 7 == 0) {
            expected_dhidden(dhidden, &s, row);
            for (int64_t c = 0; c < C; c++)
                assert_near(get(s.dhidden, k->act_dtype, row * C + c), 0.5 * dhidden[c], rounding, "dhidden", k, row);
        }
    }
    assert_int_equal(counts.targets, targets);
    assert_int_equal(counts.correct, correct);
    assert_near(counts.nll, nll, 1e-5 * nll, "nll", k, -1);
    assert_near(value, nll / 10, 1e-5 * nll, "loss", k, -1);
    double dW = 0; /* the sum over the vocabulary of dlogits is zero, so that of dW is too */
    bool any = false;
    for (int64_t i = 0; i < V * C; i++) {
        dW += get(s.dW, k->dtype, i);
        any = any || get(s.dW, k->dtype, i) != 0;
    }
    assert_true(any == !frozen);
    assert_near(dW, 0, k->act_dtype == LF_BF16 ? 5 : 1e-2, "sum of dW", k, -1);
    setup_end(&s);
}

static void check_score(const lf_kernels *k) {
    setup s;
    setup_begin(&s, k);
    static lf_label_score got[ROWS], trained[ROWS], alone[ROWS];
    lf_tensor W;
    leaf(&W, k->dtype, V, C, s.W, NULL);
    lf_graph_begin(s.g, false, false, 0);
    OK(lf_lm_score(s.g, s.hidden, &FROZEN(s), s.base, &FROZEN(s), s.labels, ROWS, got));
    OK(lf_lm_score(s.g, s.hidden, &TRAINED(W), s.hidden, &TRAINED(W), s.labels, ROWS, trained));
    OK(lf_lm_score(s.g, s.hidden, &FROZEN(s), NULL, NULL, s.labels, ROWS, alone));
    for (int64_t row = 0; row < ROWS; row++) {
        const lf_label_score t = expected_token(&s, row, true);
        assert_true(got[row].target == t.target && got[row].correct == t.correct && alone[row].correct == t.correct);
        assert_near(got[row].nll, t.nll, 1e-5, "nll", k, row);
        assert_near(got[row].ce, t.ce, 1e-5, "ce", k, row);
        assert_near(got[row].kl, t.kl, 1e-5, "kl", k, row);
        assert_near(trained[row].nll, t.nll, 1e-5, "nll of a trained weight", k, row);
        assert_true(trained[row].kl == 0 && alone[row].kl == 0 && alone[row].ce == 0 && alone[row].nll == got[row].nll);
    }
    s.labels[1] = V;
    assert_int_equal(lf_lm_score(s.g, s.hidden, &FROZEN(s), NULL, NULL, s.labels, ROWS, got), LF_ESHAPE);
    setup_end(&s);
}

/* A base that knows fewer tokens than the tuned model: to it the others are impossible, and the tuned model's share of
 * them counts. More rows than a block takes, so that both heads' blocks have to be of the same rows. */
static void check_fewer_tokens(const lf_kernels *k) {
    enum { FEWER = V - 3 };
    static double p[V], q[FEWER];
    static lf_label_score got[ROWS];
    setup s;
    setup_begin(&s, k);
    lf_tensor W, first;
    leaf(&W, k->dtype, V, C, s.W, NULL);
    leaf(&first, k->dtype, FEWER, C, s.W, NULL);
    for (int64_t i = 0; i < ROWS; i++)
        if (s.labels[i] >= FEWER) s.labels[i] = FEWER - 1;
    lf_graph_begin(s.g, false, false, 0);
    OK(lf_lm_score(s.g, s.hidden, &TRAINED(W), s.base, &TRAINED(first), s.labels, ROWS, got));
    for (int64_t row = 0; row < ROWS; row++) {
        double ce = 0, kl = 0;
        if (s.labels[row] < 0) continue;
        log_p(p, &s, s.hidden, row);
        log_p_of(q, &s, s.base, row, FEWER);
        for (int64_t v = 0; v < FEWER; v++) {
            ce -= exp(q[v]) * p[v];
            kl += exp(q[v]) * (q[v] - p[v]);
        }
        assert_near(got[row].nll, -p[s.labels[row]], 1e-5, "nll beside a smaller base", k, row);
        assert_near(got[row].ce, ce, 1e-5, "ce to a smaller base", k, row);
        assert_near(got[row].kl, kl, 1e-5, "kl to a smaller base", k, row);
    }
    setup_end(&s);
}

/* A head with a bias, a scale and a soft-cap: its logits by their definition, and scores and the loss by those. */
static void check_head(const lf_kernels *k) {
    enum { AT = 5, N = 8 };
    setup s;
    setup_begin(&s, k);
    lf_tensor bias, hidden;
    lf_label_score got[N];
    lf_lm_counts counts;
    leaf(&bias, k->dtype, 1, V, numbers(V, k->dtype, 6, 1), NULL);
    leaf(&hidden, k->act_dtype, N, C, s.hidden, NULL);
    const lf_lm_head head = {.frozen = &s.frozen, .bias = &bias, .scale = 0.7, .softcap = 3};
    lf_graph_begin(s.g, false, false, 0);
    const void *logits = lf_lm_logits(s.g, (char *)s.hidden + AT * C * lf_dtype_size(k->act_dtype), 1, &head);
    OK(lf_graph_status(s.g, &err));
    double sum = 0;
    for (int64_t v = 0; v < V; v++) {
        double product = 0;
        for (int64_t c = 0; c < C; c++)
            product += get(s.hidden, k->act_dtype, AT * C + c) * (double)s.W_float[v * C + c];
        const double want = 3 * tanh((0.7 * product + get(bias.data, k->dtype, v)) / 3);
        assert_near(get(logits, k->dtype, v), want, 1e-5, "logit", k, v);
        sum += exp(want);
    }
    OK(lf_lm_score(s.g, s.hidden, &head, s.base, &head, s.labels, N, got));
    assert_near(got[AT].nll, log(sum) - get(logits, k->dtype, s.labels[AT]), 1e-5, "nll", k, AT);
    const lf_tensor *loss = lf_lm_loss(s.g, &hidden, &head, s.labels, 1, 0, &counts);
    OK(lf_graph_status(s.g, &err));
    double nll = 0;
    for (int i = 0; i < N; i++) nll += got[i].nll;
    assert_near(get(loss->data, k->dtype, 0), nll, 1e-4, "loss", k, -1);
    lf_aligned_free(bias.data);
    setup_end(&s);
}

/* An adapter with numbers of its own, on the weight. */
enum { RANK = 3 };
typedef struct adapter {
    lf_lora lora;
    void *owned[6];
} adapter;

static void adapter_begin(adapter *a, const lf_kernels *k, bool delta, double dropout) {
    static const struct { int64_t rows, columns; } shapes[] = {{RANK, C}, {V, RANK}};
    a->lora = (lf_lora){.r = RANK, .scaling = 1.7, .dropout = dropout};
    lf_tensor *const factors[] = {&a->lora.A, &a->lora.B};
    void **const starts[] = {&a->lora.A0, &a->lora.B0};
    for (uint64_t i = 0; i < 2; i++) {
        const int64_t n = shapes[i].rows * shapes[i].columns;
        void **own = a->owned + 3 * i;
        own[0] = numbers(n, k->dtype, 30 + i, 0.2);
        own[1] = numbers(n, k->dtype, 0, 0);
        own[2] = numbers(n, k->dtype, 40 + i, 0.2);
        leaf(factors[i], k->dtype, shapes[i].rows, shapes[i].columns, own[0], own[1]);
        *starts[i] = delta ? own[2] : NULL;
    }
}

static void adapter_end(adapter *a) {
    for (int i = 0; i < 6; i++) lf_aligned_free(a->owned[i]);
}

/* W + scaling (B A - B0 A0), as floats. */
static float *merged_weight(const setup *s, const adapter *a) {
    const lf_lora *l = &a->lora;
    const lf_dtype type = s->k->dtype;
    float *W = block(V * C, LF_F32);
    for (int64_t v = 0; v < V; v++)
        for (int64_t c = 0; c < C; c++) {
            double sum = 0;
            for (int64_t r = 0; r < RANK; r++) {
                sum += get(l->B.data, type, v * RANK + r) * get(l->A.data, type, r * C + c);
                if (l->A0) sum -= get(l->B0, type, v * RANK + r) * get(l->A0, type, r * C + c);
            }
            W[v * C + c] = (float)((double)s->W_float[v * C + c] + 1.7 * sum);
        }
    return W;
}

/* With an adapter a head says what the merged weight says; without it, what it said. */
static void check_adapter(const lf_kernels *k, bool delta) {
    setup s;
    adapter a;
    lf_tensor W, merged;
    static lf_label_score got[ROWS], plain[ROWS];
    setup_begin(&s, k);
    adapter_begin(&a, k, delta, 0.5); /* no dropout where nothing is trained */
    float *floats = merged_weight(&s, &a);
    void *numbers_of = block(V * C, k->dtype);
    k->from_f32(numbers_of, floats, V * C);
    leaf(&W, k->dtype, V, C, s.W, NULL);
    leaf(&merged, k->dtype, V, C, numbers_of, NULL);
    const lf_lm_head heads[] = {{.frozen = &s.frozen, .lora = &a.lora, .scale = 0.8, .softcap = 5},
                                {.weight = &W, .lora = &a.lora, .scale = 0.8, .softcap = 5}};
    const lf_lm_head whole = {.weight = &merged, .scale = 0.8, .softcap = 5},
                     base = {.frozen = &s.frozen, .scale = 0.8, .softcap = 5};
    const double rounding = k->act_dtype == LF_BF16 ? 2e-3 : 1e-6;
    for (int i = 0; i < 2; i++) {
        lf_graph_begin(s.g, false, false, 0);
        OK(lf_lm_score(s.g, s.hidden, &heads[i], s.hidden, &whole, s.labels, ROWS, got));
        for (int64_t row = 0; row < ROWS; row++) assert_near(got[row].kl, 0, rounding, "kl to the merged", k, row);
        OK(lf_lm_score(s.g, s.hidden, &heads[i], s.hidden, &base, s.labels, ROWS, got));
        OK(lf_lm_score(s.g, s.hidden, &base, s.hidden, &heads[i], s.labels, ROWS, plain));
        assert_true(got[0].kl > 0.01 && fabs(got[0].nll - plain[0].nll) > 1e-3);
    }
    lf_aligned_free(numbers_of);
    lf_aligned_free(floats);
    adapter_end(&a);
    setup_end(&s);
}
static void check_plain_adapter(const lf_kernels *k) { check_adapter(k, false); }
static void check_delta_adapter(const lf_kernels *k) { check_adapter(k, true); }

/* With a number of threads the adapter's gradients are the same bytes each time, and two losses a step add up. */
static void check_same_bytes(const lf_kernels *k) {
    setup s;
    adapter a[2];
    lf_tensor hidden;
    setup_begin(&s, k);
    for (int i = 0; i < 2; i++) {
        adapter_begin(&a[i], k, true, 0);
        lf_threads_set(3);
        leaf(&hidden, k->act_dtype, ROWS, C, s.hidden, NULL);
        const lf_lm_head head = {.frozen = &s.frozen, .lora = &a[i].lora};
        lf_graph_begin(s.g, true, true, 0);
        lf_tensor *loss = lf_lm_loss(s.g, &hidden, &head, s.labels, 10, 0, NULL),
                  *again = lf_lm_loss(s.g, &hidden, &head, s.labels, 10, 0, NULL);
        OK(lf_graph_backward(s.g, lf_add(s.g, loss, again), 1, &err));
    }
    lf_threads_set(2);
    for (int f = 0; f < 2; f++)
        assert_memory_equal(a[0].owned[3 * f + 1], a[1].owned[3 * f + 1],
                            (size_t)(f ? V * RANK : RANK * C) * lf_dtype_size(k->dtype));
    for (int i = 0; i < 2; i++) adapter_end(&a[i]);
    setup_end(&s);
}

/* Steps with other numbers of targets take the memory that the first took. */
static void check_warm_step(const lf_kernels *k) {
    setup s;
    adapter adapted;
    setup_begin(&s, k);
    adapter_begin(&adapted, k, true, 0.1);
    lf_tensor hidden, W;
    leaf(&hidden, k->act_dtype, ROWS, C, s.hidden, s.dhidden);
    leaf(&W, k->dtype, V, C, s.W, s.dW);
    uint64_t calls = 0;
    int64_t bytes = 0;
    for (int64_t step = 0; step < 6; step++) {
        static lf_label_score got[ROWS];
        if (step == 2) {
            calls = lf_alloc_calls();
            bytes = lf_graph_bytes(s.g);
        }
        some_labels(s.labels, step);
        lf_graph_begin(s.g, true, true, (uint64_t)step);
        lf_tensor *a = lf_lm_loss(s.g, &hidden, &FROZEN(s), s.labels, 10, 0.1, NULL);
        lf_tensor *b = lf_lm_loss(s.g, &hidden, &TRAINED(W), s.labels, 10, 0.1, NULL);
        const lf_lm_head heads[] = {{.frozen = &s.frozen, .lora = &adapted.lora},
                                    {.weight = &W, .lora = &adapted.lora}};
        lf_tensor *c = lf_lm_loss(s.g, &hidden, &heads[0], s.labels, 10, 0.1, NULL),
                  *d = lf_lm_loss(s.g, &hidden, &heads[1], s.labels, 10, 0, NULL);
        OK(lf_graph_backward(s.g, lf_add(s.g, lf_add(s.g, a, b), lf_add(s.g, c, d)), 1, &err));
        lf_graph_begin(s.g, false, false, (uint64_t)step);
        OK(lf_lm_score(s.g, s.hidden, &heads[0], s.base, &FROZEN(s), s.labels, ROWS, got));
        OK(lf_lm_score(s.g, s.hidden, &FROZEN(s), s.base, &FROZEN(s), s.labels, ROWS, got));
    }
    assert_true(calls > 0 && lf_alloc_calls() == calls);
    assert_true(bytes > 0 && lf_graph_bytes(s.g) == bytes);
    adapter_end(&adapted);
    setup_end(&s);
}

/* A small decoder block with every op, forward and backward; returns its loss. */
static double decoder(lf_graph *g, const lf_kernels *k, lf_tensor *leaves, const int32_t *ids,
                      const int32_t *positions) {
    static const float cosines[] = {1, 1, 0.5f, -0.8f, 0.3f, 0.9f, -1, 0.6f},
                       sines[] = {0, 0, 0.8f, 0.6f, -0.9f, 0.4f, 0, -0.8f};
    enum { TABLE, NORM, QKV, NORM_Q, NORM_K, OUT, GATE_UP, DOWN };
    lf_graph_begin(g, true, true, 0);
    lf_tensor *x = lf_embed(g, ids, 2, 4, &leaves[TABLE], NULL, NULL, NULL), *h = lf_rmsnorm(g, x, &leaves[NORM], 1e-5);
    lf_tensor *qkv = lf_linear(g, h, NULL, &leaves[QKV], NULL, NULL);
    lf_tensor *normed = lf_head_norm(g, qkv, &leaves[NORM_Q], &leaves[NORM_K], 2, 1, 1e-5);
    lf_tensor *turned = lf_rope(g, normed, cosines, sines, positions, 4, 2, 1);
    lf_tensor *o = lf_attention(g, turned, &(lf_attention_opts){.heads = 2, .kv_heads = 1, .causal = true});
    lf_tensor *x1 = lf_add(g, x, lf_linear(g, o, NULL, &leaves[OUT], NULL, NULL));
    lf_tensor *gate_up = lf_linear(g, x1, NULL, &leaves[GATE_UP], NULL, NULL), *up = lf_gated(g, gate_up, LF_SILU);
    lf_tensor *y = lf_add(g, x1, lf_linear(g, up, NULL, &leaves[DOWN], NULL, NULL));
    lf_tensor *const done[] = {x, h, qkv, normed, turned, o, x1, gate_up, up};
    for (size_t i = 0; i < sizeof done / sizeof done[0]; i++) lf_done(g, done[i]);
    lf_tensor *loss = lf_lm_loss(g, y, &TRAINED(leaves[TABLE]), ids, 8, 0, NULL);
    OK(lf_graph_status(g, &err));
    const double value = get(loss->data, k->dtype, 0);
    OK(lf_graph_backward(g, loss, 1, &err));
    return value;
}

/* Loss and gradients next to those of double. */
static void check_decoder(const lf_kernels *k) {
    static const int64_t shapes[][2] = {{9, 8}, {1, 8}, {16, 8}, {1, 4}, {1, 4}, {8, 8}, {12, 8}, {8, 6}};
    static const int32_t ids[] = {3, 0, 8, 3, 5, 5, 1, 7}, positions[] = {0, 1, 2, 3, 0, 0, 1, 2};
    enum { LEAVES = sizeof shapes / sizeof shapes[0] };
    const lf_kernels *const both[] = {&lf_kernels_ref_f64, k};
    lf_tensor leaves[2][LEAVES];
    double loss[2];
    for (int t = 0; t < 2; t++) {
        lf_graph *g = lf_graph_new(both[t], 1);
        for (int i = 0; i < LEAVES; i++) {
            const int64_t n = shapes[i][0] * shapes[i][1];
            leaf(&leaves[t][i], both[t]->dtype, shapes[i][0], shapes[i][1],
                 numbers(n, both[t]->dtype, 10 + (uint64_t)i, 0.5), numbers(n, both[t]->dtype, 0, 0));
        }
        loss[t] = decoder(g, both[t], leaves[t], ids, positions);
        lf_graph_free(g);
    }
    const double rounding = k->act_dtype == LF_BF16 ? 3e-2 : 1e-5;
    assert_near(loss[1], loss[0], rounding, "decoder's loss", k, -1);
    for (int i = 0; i < LEAVES; i++) {
        double largest = 0;
        for (int64_t j = 0; j < leaves[0][i].numel; j++)
            largest = fmax(largest, fabs(get(leaves[0][i].grad, LF_F64, j)));
        assert_true(largest > 1e-4);
        for (int64_t j = 0; j < leaves[0][i].numel; j++)
            assert_near(get(leaves[1][i].grad, k->dtype, j), get(leaves[0][i].grad, LF_F64, j), 2 * rounding * largest,
                        "decoder's gradient", k, i);
    }
    for (int t = 0; t < 2; t++)
        for (int i = 0; i < LEAVES; i++) {
            lf_aligned_free(leaves[t][i].data);
            lf_aligned_free(leaves[t][i].grad);
        }
    assert_int_equal(lf_alloc_live(), 0);
}

static void check_frozen_loss(const lf_kernels *k) { check_loss(k, true); }
static void check_trained_loss(const lf_kernels *k) { check_loss(k, false); }

/* The backend that runs here in either precision; the reference in double too. */
static void with_backends(void (*check)(const lf_kernels *k)) {
    static const char *const precisions[] = {"fp32", "bf16"};
    for (int i = 0; i < 2; i++) {
        const lf_kernels *k;
        OK(lf_kernels_select(&k, precisions[i], &err));
        check(k);
    }
    check(&lf_kernels_ref_f64);
}

static void test_frozen_loss(void **state) {
    (void)state;
    with_backends(check_frozen_loss);
}
static void test_trained_loss(void **state) {
    (void)state;
    with_backends(check_trained_loss);
}
static void test_score(void **state) {
    (void)state;
    with_backends(check_score);
    with_backends(check_fewer_tokens);
}
static void test_head(void **state) {
    (void)state;
    with_backends(check_head);
}
static void test_warm_step(void **state) {
    (void)state;
    with_backends(check_warm_step);
}
static void test_decoder(void **state) {
    (void)state;
    with_backends(check_decoder);
}

/* Wherever memory ends, it is an error, and nothing leaks. */
static void test_out_of_memory(void **state) {
    (void)state;
    lf_status rc = LF_ENOMEM;
    int64_t n = 0;
    setup s;
    adapter adapted;
    setup_begin(&s, &lf_kernels_ref_f32);
    adapter_begin(&adapted, s.k, true, 0.1);
    lf_tensor hidden, W;
    leaf(&hidden, LF_F32, 8, C, s.hidden, s.dhidden);
    leaf(&W, LF_F32, V, C, s.W, s.dW);
    for (; rc == LF_ENOMEM; n++) {
        lf_label_score got[8];
        const int64_t live = lf_alloc_live();
        lf_alloc_fail_after(n);
        lf_graph *g = lf_graph_new(s.k, 1);
        if (g) {
            lf_graph_begin(g, true, true, 0);
            lf_tensor *a = lf_lm_loss(g, &hidden, &FROZEN(s), s.labels, 1, 0, NULL),
                      *b = lf_lm_loss(g, &hidden, &TRAINED(W), s.labels, 1, 0, NULL);
            const lf_lm_head head = {.frozen = &s.frozen, .lora = &adapted.lora};
            lf_tensor *c = lf_lm_loss(g, &hidden, &head, s.labels, 1, 0, NULL);
            rc = lf_graph_backward(g, lf_add(g, lf_add(g, a, b), c), 1, NULL);
            if (!rc) rc = lf_lm_score(g, s.hidden, &FROZEN(s), s.base, &FROZEN(s), s.labels, 8, got);
        }
        lf_graph_free(g);
        assert_int_equal(lf_alloc_live(), live);
    }
    lf_alloc_fail_after(-1);
    assert_int_equal(rc, LF_OK);
    assert_true(n > 4);
    adapter_end(&adapted);
    setup_end(&s);
}

static void test_wrong_shapes(void **state) {
    (void)state;
    setup s;
    setup_begin(&s, &lf_kernels_ref_f32);
    lf_tensor hidden, narrow, W;
    static const int32_t ids[] = {1, V};
    leaf(&hidden, LF_F32, ROWS, C, s.hidden, s.dhidden);
    leaf(&narrow, LF_F32, ROWS, C - 1, s.hidden, s.dhidden);
    leaf(&W, LF_F32, V, C, s.W, s.dW);
    enum { TRIES = 6 };
    for (int i = 0; i < TRIES; i++) {
        lf_graph_begin(s.g, true, true, 0);
        if (i == 5) s.labels[2] = V;
        const lf_tensor *t = i == 0   ? lf_rmsnorm(s.g, &narrow, &W, 1e-5)
                             : i == 1 ? lf_gated(s.g, &narrow, LF_SILU)
                             : i == 2 ? lf_rope(s.g, &hidden, NULL, NULL, NULL, 2, 2, 1)
                             : i == 3 ? lf_embed(s.g, ids, 1, 2, &W, NULL, NULL, NULL)
                                      : lf_lm_loss(s.g, i == 4 ? &narrow : &hidden, &FROZEN(s), s.labels, 1, 0, NULL);
        assert_null(t);
        err = (lf_err){0};
        assert_int_equal(lf_graph_status(s.g, &err), LF_ESHAPE);
        assert_true(strlen(err.message) > 10);
    }
    setup_end(&s);
}

static void test_adapter(void **state) {
    (void)state;
    with_backends(check_plain_adapter);
    with_backends(check_delta_adapter);
}
static void test_same_bytes(void **state) {
    (void)state;
    with_backends(check_same_bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frozen_loss),   cmocka_unit_test(test_trained_loss), cmocka_unit_test(test_score),
        cmocka_unit_test(test_head),          cmocka_unit_test(test_warm_step),    cmocka_unit_test(test_decoder),
        cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_wrong_shapes), cmocka_unit_test(test_adapter),
        cmocka_unit_test(test_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
