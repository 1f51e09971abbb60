/* Where adapters start: positions, and A0, B0 of every strategy against the decomposition of the whole matrix. */
#include <math.h>
#include <stdlib.h>

#include "adapter/adapter_internal.h"
#include "adapter/calibrate.h"
#include "linalg/covariance.h"
#include "linalg/svd.h"
#include "unit/adapter_fixture.h"

/* ---- positions ---- */

static void test_positions(void **state) {
    (void)state;
    static const double sigma[] = {3, 2, 2, 1, 1, 1, 0.5, 0}; /* squares 9 4 4 1 1 1 0.25 0: 20.25 */
    static const struct {
        lf_position p;
        int64_t n, r, s;
    } cases[] = {
        {{LF_POSITION_FRACTION, 0}, 8, 3, 0},   {{LF_POSITION_FRACTION, 1}, 8, 3, 5},
        {{LF_POSITION_FRACTION, 0.5}, 8, 3, 2}, {{LF_POSITION_FRACTION, 0.99}, 8, 3, 4},
        {{LF_POSITION_FRACTION, 0.5}, 8, 8, 0}, {{LF_POSITION_INDEX, 0}, 8, 3, 0},
        {{LF_POSITION_INDEX, 5}, 8, 3, 5},      {{LF_POSITION_ENERGY, 0.01}, 8, 1, 0},
        {{LF_POSITION_ENERGY, 0.5}, 8, 1, 1}, /* 9 < 10.125 <= 13: k = 2, s = 1 */
        {{LF_POSITION_ENERGY, 0.5}, 8, 2, 0}, /* 2 - 1 - 1 */
        {{LF_POSITION_ENERGY, 0.9}, 8, 3, 3}, /* 18 < 18.225 <= 19: k = 5, s = 5 - 1 - 1 */
        {{LF_POSITION_ENERGY, 1}, 8, 1, 6},   /* all of it is reached at k = 7 */
        {{LF_POSITION_ENERGY, 1}, 8, 4, 4},     {{LF_POSITION_ENERGY, 0.3}, 8, 6, 0}, /* clamped on both sides */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t s = -1;
        CHECK_OK(lf_position_start(cases[i].p, cases[i].n, cases[i].r, sigma, "m", &s, &err_));
        if (s != cases[i].s) fail_msg("case %zu: expected %lld, got %lld", i, (long long)cases[i].s, (long long)s);
    }
    int64_t s;
    CHECK_FAILS(LF_EUSAGE,
                lf_position_start((lf_position){LF_POSITION_INDEX, 6}, 8, 3, NULL, "layers.2.fc1", &s, &err_),
                "layers.2.fc1", "index 6", "5 at");
}

/* ---- matrices with a chosen spectrum ---- */

typedef struct matrix {
    int64_t out, in, n;
    float *W;
    double *sigma, *U, *V; /* of W as it is in fp32, by lf_svd_full */
} matrix;

/* Orthonormal columns [rows, n] by Gram-Schmidt, twice. */
static double *orthonormal(int64_t rows, int64_t n, uint64_t stream) {
    double *Q = lf_malloc((size_t)(rows * n) * sizeof *Q);
    for (int64_t i = 0; i < rows * n; i++) Q[i] = (double)fixture_random(stream, i);
    for (int64_t k = 0; k < n; k++) {
        for (int pass = 0; pass < 2; pass++)
            for (int64_t j = 0; j < k; j++) {
                double dot = 0;
                for (int64_t i = 0; i < rows; i++) dot += Q[i * n + j] * Q[i * n + k];
                for (int64_t i = 0; i < rows; i++) Q[i * n + k] -= dot * Q[i * n + j];
            }
        double norm = 0;
        for (int64_t i = 0; i < rows; i++) norm += Q[i * n + k] * Q[i * n + k];
        for (int64_t i = 0; i < rows; i++) Q[i * n + k] /= sqrt(norm);
    }
    return Q;
}

typedef double (*spectrum_fn)(int64_t i, int64_t n);
static double falling(int64_t i, int64_t n) { return 2.0 - (double)i / (double)n; }
static double graded(int64_t i, int64_t n) { return pow(10, -6.0 * (double)i / (double)(n - 1)); } /* condition 1e6 */
static double deficient(int64_t i, int64_t n) { return i < n / 2 ? falling(i, n) : 0; }
static double clustered(int64_t i, int64_t n) {
    (void)n;
    return 5.0 - (double)(i / 4);
} /* fours of equal values */
static double zero(int64_t i, int64_t n) {
    (void)i, (void)n;
    return 0;
}

static matrix make(int64_t out, int64_t in, spectrum_fn spectrum) {
    matrix m = {.out = out, .in = in, .n = out < in ? out : in};
    double *U = orthonormal(out, m.n, 1), *V = orthonormal(in, m.n, 2);
    m.W = lf_malloc((size_t)(out * in) * sizeof *m.W);
    for (int64_t i = 0; i < out; i++)
        for (int64_t j = 0; j < in; j++) {
            double w = 0;
            for (int64_t k = 0; k < m.n; k++) w += U[i * m.n + k] * spectrum(k, m.n) * V[j * m.n + k];
            m.W[i * in + j] = (float)w;
        }
    lf_free(U);
    lf_free(V);
    m.sigma = lf_malloc((size_t)m.n * sizeof *m.sigma);
    m.U = lf_malloc((size_t)(out * m.n) * sizeof *m.U);
    m.V = lf_malloc((size_t)(in * m.n) * sizeof *m.V);
    CHECK_OK(lf_svd_full(m.W, out, in, m.sigma, m.U, m.V, "test", &err_));
    return m;
}

static void drop(matrix *m) {
    lf_free(m->W);
    lf_free(m->sigma);
    lf_free(m->U);
    lf_free(m->V);
}

/* ---- starts ---- */

typedef struct started {
    int64_t r;
    float *A, *B;
    double *product; /* scaling * B A, [out, in] */
    lf_init_report report;
} started;

static const double SCALING = 1.7;

static lf_init_input input_of(const matrix *m, const char *init, lf_position p, int64_t r) {
    return (lf_init_input){.name = "layers.0.fc1",
                           .W = m->W,
                           .out = m->out,
                           .in = m->in,
                           .r = r,
                           .scaling = SCALING,
                           .position = p,
                           .init = init,
                           .seed = 3,
                           .stream = 5};
}

static started start(const lf_init_input *in) {
    started s = {.r = in->r,
                 .A = lf_malloc((size_t)(in->r * in->in) * sizeof(float)),
                 .B = lf_malloc((size_t)(in->out * in->r) * sizeof(float)),
                 .product = lf_calloc((size_t)(in->out * in->in), sizeof(double))};
    CHECK_OK(lf_init_find(in->init)->fill(in, s.A, s.B, &s.report, &err_));
    for (int64_t o = 0; o < in->out; o++)
        for (int64_t k = 0; k < in->r; k++)
            for (int64_t j = 0; j < in->in; j++)
                s.product[o * in->in + j] += in->scaling * (double)s.B[o * in->r + k] * (double)s.A[k * in->in + j];
    return s;
}

static void end(started *s) {
    lf_free(s->A);
    lf_free(s->B);
    lf_free(s->product);
}

/* |scaling B0 A0 - U_s Sigma_s V_s^T|_F / |block|_F over components s .. s+r-1 */
static double distance(const matrix *m, const started *x, int64_t s) {
    double error = 0, norm = 0;
    for (int64_t i = 0; i < m->out; i++)
        for (int64_t j = 0; j < m->in; j++) {
            double block = 0;
            for (int64_t k = s; k < s + x->r; k++) block += m->U[i * m->n + k] * m->sigma[k] * m->V[j * m->n + k];
            error += pow(x->product[i * m->in + j] - block, 2);
            norm += block * block;
        }
    return sqrt(error / norm);
}

static void test_blocks(void **state) {
    (void)state;
    static const struct {
        int64_t out, in;
        spectrum_fn spectrum;
    } shapes[] = {{30, 18, falling}, {18, 30, falling}, {24, 24, falling},  {30, 18, graded},
                  {24, 24, graded},  {20, 33, graded},  {32, 20, clustered}};
    static const struct {
        const char *init;
        lf_position p;
    } starts[] = {{"pissa", {LF_POSITION_FRACTION, 0.5}},      {"milora", {LF_POSITION_FRACTION, 0.5}},
                  {"intermediate", {LF_POSITION_FRACTION, 0}}, {"intermediate", {LF_POSITION_FRACTION, 0.5}},
                  {"intermediate", {LF_POSITION_FRACTION, 1}}, {"intermediate", {LF_POSITION_INDEX, 4}},
                  {"intermediate", {LF_POSITION_ENERGY, 0.7}}};
    const int64_t r = 4;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        matrix m = make(shapes[i].out, shapes[i].in, shapes[i].spectrum);
        for (size_t k = 0; k < sizeof starts / sizeof starts[0]; k++) {
            int64_t s;
            if (k < 2)
                s = k == 0 ? 0 : m.n - r; /* PiSSA is the first block, MiLoRA the last, whatever the position */
            else
                CHECK_OK(lf_position_start(starts[k].p, m.n, r, m.sigma, "m", &s, &err_));
            if (shapes[i].spectrum == clustered && s % 4)
                continue; /* which of a cluster's are taken is not determined */
            const lf_init_input in = input_of(&m, starts[k].init, starts[k].p, r);
            started x = start(&in);
            assert_int_equal(x.report.start, s);
            assert_int_equal(x.report.n_dead, 0);
            if (!(distance(&m, &x, s) <= 1e-4))
                fail_msg("shape %zu, start %zu: distance %g", i, k, distance(&m, &x, s));
            assert_true(fabs(x.report.sigma_max / m.sigma[0] - 1) < 1e-6);
            end(&x);
        }
        drop(&m);
    }
}

/* A border through a cluster: any choice in it is right if taking it away leaves the rest of the spectrum. */
static void test_cut_cluster(void **state) {
    (void)state;
    matrix m = make(32, 20, clustered);
    const lf_init_input in = input_of(&m, "intermediate", (lf_position){LF_POSITION_INDEX, 6}, 4);
    started x = start(&in);
    float *rest = lf_malloc((size_t)(m.out * m.in) * sizeof *rest);
    double sigma[20];
    for (int64_t i = 0; i < m.out * m.in; i++) rest[i] = (float)((double)m.W[i] - x.product[i]);
    CHECK_OK(lf_svd_values(rest, m.out, m.in, sigma, "rest", &err_));
    for (int64_t k = 0; k < m.n; k++) {
        const double expected = k < 6 ? m.sigma[k] : k < m.n - 4 ? m.sigma[k + 4] : 0;
        if (fabs(sigma[k] - expected) > 1e-5)
            fail_msg("component %lld: expected %g, got %g", (long long)k, expected, sigma[k]);
    }
    lf_free(rest);
    end(&x);
    drop(&m);
}

static bool same_bytes(const started *a, const started *b, const matrix *m) {
    return memcmp(a->A, b->A, (size_t)(a->r * m->in) * sizeof(float)) == 0 &&
           memcmp(a->B, b->B, (size_t)(m->out * a->r) * sizeof(float)) == 0;
}

static void test_ends_are_intermediate(void **state) {
    (void)state;
    matrix m = make(28, 20, falling);
    for (int last = 0; last < 2; last++) {
        const lf_init_input in = input_of(&m, last ? "milora" : "pissa", (lf_position){0}, 5),
                            at = input_of(&m, "intermediate", (lf_position){LF_POSITION_FRACTION, last}, 5);
        started x = start(&in), y = start(&at);
        assert_true(same_bytes(&x, &y, &m));
        end(&x);
        end(&y);
    }
    drop(&m);
}

static void test_dead_components(void **state) {
    (void)state;
    matrix m = make(30, 16, deficient); /* rank 8 */
    const lf_init_input last = input_of(&m, "milora", (lf_position){0}, 4),
                        across = input_of(&m, "intermediate", (lf_position){LF_POSITION_INDEX, 6}, 4);
    started x = start(&last), y = start(&across);
    assert_int_equal(x.report.n_dead, 4);
    for (int64_t i = 0; i < 4 * m.in; i++) assert_true(x.A[i] == 0);
    for (int64_t i = 0; i < 4 * m.out; i++) assert_true(x.B[i] == 0);
    assert_int_equal(y.report.n_dead, 2);
    assert_true(distance(&m, &y, 6) <= 1e-4);
    end(&x);
    end(&y);
    drop(&m);
    m = make(12, 9, zero);
    const lf_init_input in = input_of(&m, "slice_eqmag", (lf_position){LF_POSITION_FRACTION, 0.5}, 3);
    x = start(&in);
    assert_int_equal(x.report.n_dead, 3);
    for (int64_t i = 0; i < 3 * m.in; i++) assert_true(x.A[i] == 0);
    end(&x);
    drop(&m);
}

static void test_equal_magnitude(void **state) {
    (void)state;
    static const spectrum_fn spectra[] = {falling, graded, deficient};
    for (int i = 0; i < 3; i++)
        for (int position = 0; position <= 2; position++) {
            matrix m = make(26, 18, spectra[i]);
            const lf_init_input in =
                input_of(&m, "slice_eqmag", (lf_position){LF_POSITION_FRACTION, position / 2.0}, 4);
            started x = start(&in);
            double mean = 0, sigma[18];
            for (int64_t k = 0; k < m.n; k++) mean += m.sigma[k] / (double)m.n;
            float *product = lf_malloc((size_t)(m.out * m.in) * sizeof *product);
            for (int64_t k = 0; k < m.out * m.in; k++) product[k] = (float)x.product[k];
            CHECK_OK(lf_svd_values(product, m.out, m.in, sigma, "product", &err_));
            assert_int_equal(x.report.n_dead, 0); /* also where sigma is dead: the directions are completed */
            for (int64_t k = 0; k < m.n; k++)
                if (fabs(sigma[k] - (k < 4 ? mean : 0)) > 1e-5 * mean)
                    fail_msg("spectrum %d, position %d, component %lld: %g, mean %g", i, position, (long long)k,
                             sigma[k], mean);
            lf_free(product);
            end(&x);
            drop(&m);
        }
}

/* Which component row k of A stands for: |A_k|^2 = sigma / scaling. */
static int64_t component_of(const matrix *m, const started *x, int64_t k) {
    double sigma = 0;
    for (int64_t j = 0; j < m->in; j++) sigma += SCALING * (double)x->A[k * m->in + j] * (double)x->A[k * m->in + j];
    for (int64_t i = 0; i < m->n; i++)
        if (fabs(sigma - m->sigma[i]) < 1e-5) return i;
    fail_msg("row %lld: %g is no singular value", (long long)k, sigma);
    return -1;
}

static void test_random_components(void **state) {
    (void)state;
    matrix m = make(34, 30, falling);
    lf_init_input in = input_of(&m, "slice_random", (lf_position){0}, 6);
    int64_t drawn[30] = {0};
    for (in.stream = 0; in.stream < 20; in.stream++) {
        started x = start(&in), again = start(&in);
        assert_true(same_bytes(&x, &again, &m)); /* seeded */
        int64_t previous = -1;
        for (int64_t k = 0; k < 6; k++) {
            const int64_t c = component_of(&m, &x, k);
            if (c <= previous)
                fail_msg("component %lld after %lld: not sorted, or drawn twice", (long long)c, (long long)previous);
            drawn[previous = c]++;
        }
        end(&x);
        end(&again);
    }
    int distinct = 0;
    for (int i = 0; i < 30; i++) distinct += drawn[i] > 0;
    assert_true(distinct > 20); /* other modules draw others */
    started x = start(&in);
    in.seed++;
    started y = start(&in);
    assert_false(same_bytes(&x, &y, &m));
    end(&x);
    end(&y);
    in.r = 30; /* all: the whole matrix */
    x = start(&in);
    assert_true(distance(&m, &x, 0) < 1e-4);
    end(&x);
    drop(&m);
}

static void test_randomized(void **state) {
    (void)state;
    matrix m = make(60, 45, graded);
    const lf_init_input in = input_of(&m, "pissa_niter_4", (lf_position){0}, 6);
    started x = start(&in), y = start(&in);
    assert_true(distance(&m, &x, 0) < 1e-4);
    assert_true(same_bytes(&x, &y, &m));
    end(&x);
    end(&y);
    drop(&m);
}

static void test_plain(void **state) {
    (void)state;
    const int64_t in_size = 500, r = 8;
    for (int i = 0; i < 2; i++) {
        lf_init_input in = {.name = "m",
                            .out = 6,
                            .in = in_size,
                            .r = r,
                            .scaling = 1,
                            .init = i ? "gaussian" : "kaiming",
                            .seed = 1,
                            .stream = 2};
        float A[8 * 500], B[6 * 8], other[8 * 500];
        lf_init_report report;
        CHECK_OK(lf_init_find(in.init)->fill(&in, A, B, &report, &err_));
        assert_int_equal(report.start, -1);
        double squares = 0, mean = 0, largest = 0;
        for (int64_t k = 0; k < r * in_size; k++) {
            squares += (double)A[k] * (double)A[k];
            mean += (double)A[k];
            largest = fmax(largest, fabs((double)A[k]));
        }
        for (int k = 0; k < 48; k++) assert_true(B[k] == 0);
        const double deviation = sqrt(squares / 4000), bound = 1 / sqrt(500.0),
                     expected = i ? 1.0 / 8 : bound / sqrt(3);
        assert_true(fabs(deviation / expected - 1) < 0.05 && fabs(mean / 4000) < 0.05 * expected);
        assert_true(i ? largest > 3 * expected : largest <= bound && largest > 0.99 * bound);
        in.stream++;
        CHECK_OK(lf_init_find(in.init)->fill(&in, other, B, &report, &err_));
        assert_memory_not_equal(A, other, sizeof A);
    }
}

/* What the files of a run say of each start: from here whoever reads them has its position. */
static void test_what_a_start_says(void **state) {
    (void)state;
    static const struct {
        const char *init;
        lf_position given;
        int64_t first, other;
        const char *json, *line;
    } cases[] = {
        {"kaiming", {LF_POSITION_FRACTION, 0.5}, -1, -1, "\"plain\":false,\"position\":null", "B zero"},
        {"gaussian", {LF_POSITION_FRACTION, 0.5}, -1, -1, "\"plain\":false,\"position\":null", "B zero"},
        {"pissa", {LF_POSITION_FRACTION, 0.5}, 0, 0, "\"plain\":true,\"position\":0,", "component 0 of"},
        {"pissa_niter_4", {LF_POSITION_FRACTION, 0.5}, 0, 0, "\"plain\":false,\"position\":0,", "component 0 of"},
        {"milora", {LF_POSITION_FRACTION, 0.5}, 56, 24, "\"plain\":true,\"position\":1,", "component 24 to 56, by"},
        {"intermediate", {LF_POSITION_FRACTION, 0.25}, 14, 14, "\"plain\":true,\"position\":0.25", "component 14 of"},
        {"intermediate", {LF_POSITION_INDEX, 3}, 3, 3, "\"plain\":true,\"position\":{\"index\":3}", "component 3 of"},
        {"intermediate", {LF_POSITION_ENERGY, 0.5}, 2, 9, "\"position\":{\"energy\":0.5}", "component 2 to 9, by"},
        {"slice_eqmag", {LF_POSITION_FRACTION, 1}, 8, 8, "\"plain\":false,\"position\":1,", "component 8 of"},
        {"slice_random", {LF_POSITION_FRACTION, 1}, -1, -1, "\"plain\":false,\"position\":null", "at random"},
        {"slice_zero",
         {LF_POSITION_FRACTION, 0.5},
         4,
         4,
         "\"subtracted\":false,\"reads\":\"components\"",
         "component 4 of"},
        {"mica", {LF_POSITION_FRACTION, 1}, 8, 8, "\"plain\":false,\"position\":1,", "component 8 of"},
        {"olora", {LF_POSITION_FRACTION, 1}, -1, -1, "\"subtracted\":true,\"reads\":\"weight\"", "of Q"},
        {"eva", {LF_POSITION_FRACTION, 1}, -1, -1, "\"subtracted\":false,\"reads\":\"target\"", "principal"},
        {"corda_kpm", {LF_POSITION_FRACTION, 1}, -1, -1, "\"subtracted\":true,\"reads\":\"kept\"", "moments"},
        {"orthogonal", {LF_POSITION_FRACTION, 1}, -1, -1, "\"subtracted\":true,\"reads\":\"nothing\"", "r even"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const lf_adapter_opts o = {.init = cases[i].init, .position = cases[i].given};
        const lf_init_report reports[] = {
            {.start = cases[i].first}, {.start = cases[i].other}, {.start = cases[i].first}};
        cJSON *start = lf_start_to_json(&o, lf_init_find(o.init), reports, 3);
        char *text = cJSON_PrintUnformatted(start);
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(start, "name")), cases[i].init);
        if (!strstr(text, cases[i].json)) fail_msg("%s: %s not in %s", cases[i].init, cases[i].json, text);
        const char *line = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(start, "line"));
        if (!strstr(line, cases[i].line)) fail_msg("%s: '%s' not in '%s'", cases[i].init, cases[i].line, line);
        assert_int_equal(strstr(line, "component ") != NULL && strstr(line, "begin with") != NULL, cases[i].first >= 0);
        cJSON_free(text);
        cJSON_Delete(start);
    }
}

static void test_names(void **state) {
    (void)state;
    static const char *const none[] = {"",
                                       "Pissa",
                                       "pissa_niter_",
                                       "pissa_niter_x",
                                       "pissa_niter_N",
                                       "pissa_niter_0",
                                       "pissa_niter_4x",
                                       "pissa_niter_1000",
                                       "slice",
                                       "true"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) assert_null(lf_init_find(none[i]));
    assert_string_equal(lf_init_find("pissa_niter_16")->name, "pissa_niter_N");
    assert_int_equal(lf_init_find("kaiming")->form, LF_FORM_ZERO);
    assert_int_equal(lf_init_find("milora")->form, LF_FORM_SUBTRACTED);
    assert_int_equal(lf_init_find("mica")->form, LF_FORM_HELD);
    assert_int_equal(lf_init_find("milora")->block, LF_BLOCK_LAST);
    assert_int_equal(lf_init_find("slice_random")->block, LF_BLOCK_NONE);
    /* effects.def names those that have no use for decompositions */
    for (const char *list = "true|kaiming|gaussian|pissa|pissa_niter_16|milora|intermediate|slice_random|slice_eqmag|"
                            "slice_zero|mica|olora|orthogonal|corda_ipm|corda_kpm|lora_null|sc_lora|eva|lora_ga",
                    *at;
         (at = list) && *at; list = at[strcspn(at, "|")] ? at + strcspn(at, "|") + 1 : "") {
        char name[32], why[96];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(at, "|"), at);
        const bool plain = !strcmp(name, "true") || lf_init_find(name)->reads != LF_READS_COMPONENTS;
        const char *args[] = {"--init_lora_weights", name};
        lf_config *cfg;
        CHECK_OK(lf_config_new(&cfg, "train", &err_));
        CHECK_OK(lf_config_parse_args(cfg, 2, (char **)args, &(bool){false}, &err_));
        assert_int_equal(lf_config_unread(cfg, LF_decomposition_cache, why, sizeof why) != NULL, plain);
        lf_config_free(cfg);
    }
    /* what the key's own table says of them: each line of init.def is a choice, and has its help */
#define LF_INIT(id, name, title, form, reads, block, plain, help)                                                      \
    assert_non_null(strstr(lf_init_choices, "|" name "|"));                                                            \
    assert_non_null(strstr(lf_init_help, name ": " help));
#define LF_NO_INIT(name, why)                                                                                          \
    assert_non_null(strstr(lf_init_choices, "|" name "!" why));                                                        \
    assert_null(lf_init_find(name));
#include "adapter/init.def"
}

static void test_refusals(void **state) {
    (void)state;
    matrix m = make(12, 9, falling);
    float A[1000], B[1000];
    lf_init_report report;
    lf_init_input in = input_of(&m, "pissa", (lf_position){0}, 10);
    CHECK_FAILS(LF_EUSAGE, lf_init_find(in.init)->fill(&in, A, B, &report, &err_), "layers.0.fc1", "r = 10",
                "9 components", "rank_pattern");
    in = input_of(&m, "intermediate", (lf_position){LF_POSITION_INDEX, 7}, 3);
    CHECK_FAILS(LF_EUSAGE, lf_init_find(in.init)->fill(&in, A, B, &report, &err_), "layers.0.fc1", "index 7",
                "6 at the latest");
    static const char *const of_rank[] = {"mica", "slice_zero", "olora"};
    for (int i = 0; i < 3; i++) {
        in = input_of(&m, of_rank[i], (lf_position){0}, 10);
        CHECK_FAILS(LF_EUSAGE, lf_init_find(in.init)->fill(&in, A, B, &report, &err_), of_rank[i], "r = 10",
                    "9 components");
    }
    m.W[17] = NAN;
    static const char *const inits[] = {"pissa",       "pissa_niter_2", "milora", "slice_random",
                                        "slice_eqmag", "slice_zero",    "mica",   "olora"};
    for (size_t i = 0; i < sizeof inits / sizeof *inits; i++) {
        in = input_of(&m, inits[i], (lf_position){0}, 3);
        CHECK_FAILS(LF_EDATA, lf_init_find(in.init)->fill(&in, A, B, &report, &err_), "layers.0.fc1");
    }
    drop(&m);
}

/* What PEFT's starts that are no draw have (scripts/make-golden-starts.py). */
typedef struct golden {
    lf_safetensors *st;
    const char *name;
    matrix m; /* sizes and W */
    int64_t r;
    double scaling;
} golden;

static float *golden_tensor(const golden *g, const char *what, int64_t numel) {
    char name[32];
    snprintf(name, sizeof name, "%s.%s", g->name, what);
    const lf_st_tensor *t = lf_safetensors_find(g->st, name);
    if (!t || (numel && t->numel != numel)) fail_msg("%s is not there, or of another size", name);
    float *x = lf_malloc((size_t)t->numel * sizeof *x);
    lf_to_f32(x, t->data, t->dtype, t->numel);
    if (!strcmp(what, "W")) assert_int_equal(t->ndim, 2);
    return x;
}

static golden golden_open(lf_safetensors *st, const char *name) {
    char path[32];
    golden g = {.st = st, .name = name};
    snprintf(path, sizeof path, "%s.W", name);
    const lf_st_tensor *W = lf_safetensors_find(st, path);
    assert_non_null(W);
    g.m = (matrix){.out = W->shape[0], .in = W->shape[1], .W = golden_tensor(&g, "W", 0)};
    float *numbers = golden_tensor(&g, "r_alpha", 2);
    g.r = (int64_t)numbers[0];
    g.scaling = (double)numbers[1] / (double)numbers[0];
    lf_free(numbers);
    return g;
}

static started golden_start(const golden *g, const char *init) {
    lf_init_input in = input_of(&g->m, init, (lf_position){LF_POSITION_FRACTION, 1}, g->r);
    in.name = g->name;
    in.scaling = g->scaling;
    return start(&in);
}

/* |x - y| / |y|, y theirs, freed here. */
static void check_near(const char *what, const double *x, float *y, int64_t n, double most) {
    double error = 0, norm = 0;
    for (int64_t k = 0; k < n; k++) {
        error += pow(x[k] - (double)y[k], 2);
        norm += pow((double)y[k], 2);
    }
    if (!(sqrt(error / norm) <= most)) fail_msg("%s: distance %g", what, sqrt(error / norm));
    lf_free(y);
}

static void check_near_f32(const char *what, const float *x, float *y, int64_t n, double most) {
    double *wide = lf_malloc((size_t)n * sizeof *wide);
    for (int64_t i = 0; i < n; i++) wide[i] = (double)x[i];
    check_near(what, wide, y, n, most);
    lf_free(wide);
}

/* A singular vector's sign is anybody's choice: columns of y are turned to be like those of x. */
static float *turned(const float *x, float *y, int64_t rows, int64_t columns) {
    for (int64_t k = 0; k < columns; k++) {
        double dot = 0;
        for (int64_t i = 0; i < rows; i++) dot += (double)x[i * columns + k] * (double)y[i * columns + k];
        for (int64_t i = 0; dot < 0 && i < rows; i++) y[i * columns + k] = -y[i * columns + k];
    }
    return y;
}

static void test_golden(void **state) {
    (void)state;
    static const char *const names[] = {"tall", "wide", "square"};
    lf_safetensors *st;
    CHECK_OK(lf_safetensors_open(&st, LF_TEST_DIR "/golden/starts.safetensors", &err_));
    for (int i = 0; i < 3; i++) {
        const golden g = golden_open(st, names[i]);
        const int64_t out = g.m.out, in = g.m.in, r = g.r;
        started x = golden_start(&g, "pissa");
        check_near("pissa", x.product, golden_tensor(&g, "product", out * in), out * in, 1e-4);
        end(&x);
        x = golden_start(&g, "olora"); /* Householder's signs are LAPACK's in both */
        check_near_f32("olora A", x.A, golden_tensor(&g, "olora_A", r * in), r * in, 1e-5);
        check_near_f32("olora B", x.B, golden_tensor(&g, "olora_B", out * r), out * r, 1e-5);
        end(&x);
        x = golden_start(&g, "mica");
        check_near_f32("mica B", x.B, turned(x.B, golden_tensor(&g, "mica_B", out * r), out, r), out * r, 1e-3);
        for (int64_t k = 0; k < r * in; k++) assert_true(x.A[k] == 0);
        end(&x);
        lf_free(g.m.W);
    }
    lf_safetensors_close(st);
}

/* Starts that take half of a block. */
static void test_halves(void **state) {
    (void)state;
    static const spectrum_fn spectra[] = {falling, deficient};
    for (int i = 0; i < 2; i++)
        for (int end_of = 0; end_of <= 2; end_of++) {
            matrix m = make(26, 18, spectra[i]);
            const lf_position p = {LF_POSITION_FRACTION, end_of / 2.0};
            const lf_init_input whole = input_of(&m, "intermediate", p, 4), hint = input_of(&m, "slice_zero", p, 4),
                                directions = input_of(&m, "mica", p, 4);
            started x = start(&whole), y = start(&hint), z = start(&directions);
            assert_memory_equal(x.A, y.A, (size_t)(4 * m.in) * sizeof(float));
            assert_int_equal(x.report.n_dead, y.report.n_dead);
            assert_int_equal(y.report.start, x.report.start);
            for (int64_t k = 0; k < m.out * 4; k++) assert_true(y.B[k] == 0);
            assert_int_equal(z.report.start, x.report.start);
            assert_int_equal(z.report.n_dead, 0); /* all of it learns, also where sigma is nothing */
            for (int64_t k = 0; k < 4 * m.in; k++) assert_true(z.A[k] == 0);
            for (int64_t a = 0; a < 4; a++)
                for (int64_t b = 0; b < 4; b++) {
                    double dot = 0, sigma = 0;
                    for (int64_t o = 0; o < m.out; o++) dot += (double)z.B[o * 4 + a] * (double)z.B[o * 4 + b];
                    for (int64_t j = 0; j < m.in; j++) { /* |b^T W| = sigma */
                        double w = 0;
                        for (int64_t o = 0; o < m.out; o++) w += (double)z.B[o * 4 + a] * (double)m.W[o * m.in + j];
                        sigma += w * w;
                    }
                    assert_true(fabs(dot - (a == b)) < 1e-6);
                    assert_true(fabs(sqrt(sigma) - m.sigma[z.report.start + a]) < 1e-6 * m.sigma[0]);
                }
            end(&x);
            end(&y);
            end(&z);
            drop(&m);
        }
}

/* W - Q R has nothing left in its first r columns, Q is orthonormal, R a triangle. */
static void test_olora(void **state) {
    (void)state;
    static const int64_t shapes[][2] = {{30, 18}, {18, 30}, {24, 24}};
    for (int i = 0; i < 3; i++)
        for (int64_t r = 5; r <= 18; r += 13) {
            matrix m = make(shapes[i][0], shapes[i][1], falling);
            const lf_init_input in = input_of(&m, "olora", (lf_position){0}, r);
            started x = start(&in);
            for (int64_t o = 0; o < m.out; o++)
                for (int64_t j = 0; j < r; j++)
                    assert_true(fabs(x.product[o * m.in + j] / SCALING - (double)m.W[o * m.in + j]) < 1e-6);
            for (int64_t k = 0; k < r; k++)
                for (int64_t j = 0; j < k; j++) assert_true(x.A[k * m.in + j] == 0);
            for (int64_t a = 0; a < r; a++)
                for (int64_t b = 0; b <= a; b++) {
                    double dot = 0;
                    for (int64_t o = 0; o < m.out; o++) dot += (double)x.B[o * r + a] * (double)x.B[o * r + b];
                    assert_true(fabs(dot - (a == b)) < 1e-6);
                }
            assert_int_equal(x.report.start, -1);
            end(&x);
            drop(&m);
        }
}

/* Neither factor is zero, their product is; each has rank r / 2 and the size that PEFT's has. */
static void test_orthogonal(void **state) {
    (void)state;
    const matrix m = {.out = 300, .in = 400};
    const int64_t r = 6;
    lf_init_input in = input_of(&m, "orthogonal", (lf_position){0}, r);
    in.W = NULL;
    started x = start(&in), again = start(&in);
    assert_true(same_bytes(&x, &again, &m));
    double a = 0, b = 0, product = 0, sigma[6];
    for (int64_t k = 0; k < r * m.in; k++) a += (double)x.A[k] * (double)x.A[k];
    for (int64_t k = 0; k < r * m.out; k++) b += (double)x.B[k] * (double)x.B[k];
    for (int64_t k = 0; k < m.out * m.in; k++) product += x.product[k] * x.product[k];
    assert_true(sqrt(product) < 1e-6 * SCALING * sqrt(a * b));
    assert_true(fabs(a / (0.01 * 3 * 400) - 1) < 0.1 && fabs(b / (0.01 * 3 * 300) - 1) < 0.1);
    CHECK_OK(lf_svd_values(x.A, r, m.in, sigma, "A", &err_));
    assert_true(sigma[2] > 1 && sigma[3] < 1e-5);
    end(&again);
    in.stream++;
    again = start(&in);
    assert_false(same_bytes(&x, &again, &m));
    end(&again);
    end(&x);
    in.r = 5;
    float A[5 * 400], B[5 * 300];
    lf_init_report report;
    CHECK_FAILS(LF_EUSAGE, lf_init_find("orthogonal")->fill(&in, A, B, &report, &err_), "layers.0.fc1", "r = 5",
                "even");
}

/* ---- starts from data ---- */

enum { ROWS = 700 };

/* Rows of inputs of different size in each direction, with a mean; the last `missing` directions of V do not occur. */
static float *rows_of(int64_t in, int64_t missing) {
    double *V = orthonormal(in, in, 21);
    float *X = lf_malloc((size_t)(ROWS * in) * sizeof *X);
    for (int64_t i = 0; i < ROWS; i++)
        for (int64_t j = 0; j < in; j++) {
            double x = 0;
            for (int64_t k = 0; k < in - missing; k++)
                x += V[j * in + k] * (0.7 + (double)fixture_random(22, i * in + k)) / (double)(k + 1);
            X[i * in + j] = (float)x;
        }
    lf_free(V);
    return X;
}

static lf_inputs inputs_of(const float *X, int64_t in) {
    lf_inputs s = {.rows = ROWS, .moments = lf_calloc((size_t)(in * in + in), sizeof(double))};
    s.sum = s.moments + in * in;
    CHECK_OK(lf_moment_add(s.moments, s.sum, X, ROWS / 3, in, &err_));
    CHECK_OK(lf_moment_add(s.moments, s.sum, X + ROWS / 3 * in, ROWS - ROWS / 3, in, &err_));
    lf_moment_close(s.moments, in);
    return s;
}

static void test_moments(void **state) {
    (void)state;
    const int64_t in = 7;
    float *X = rows_of(in, 0);
    lf_inputs s = inputs_of(X, in);
    for (int64_t a = 0; a < in; a++)
        for (int64_t b = 0; b <= in; b++) { /* b = in: the sum */
            double expected = 0;
            for (int64_t i = 0; i < ROWS; i++) expected += (double)X[i * in + a] * (b < in ? (double)X[i * in + b] : 1);
            assert_true(fabs((b < in ? s.moments[b * in + a] : s.sum[a]) - expected) < 1e-9 * ROWS);
        }
    lf_free(s.moments);
    lf_free(X);
}

/* D = C + 0.01 mean(diag C) I, of the mean. */
static double *damped(const lf_inputs *s, int64_t in) {
    double *D = lf_malloc((size_t)(in * in) * sizeof *D), mean = 0;
    for (int64_t i = 0; i < in * in; i++) D[i] = s->moments[i] / ROWS;
    for (int64_t i = 0; i < in; i++) mean += D[i * (in + 1)] / (double)in;
    for (int64_t i = 0; i < in; i++) D[i * (in + 1)] += 0.01 * mean;
    return D;
}

/* X D in double, rounded once at the end. */
static float *times(const double *X, int64_t rows, const double *D, int64_t in) {
    float *Y = lf_malloc((size_t)(rows * in) * sizeof *Y);
    for (int64_t o = 0; o < rows; o++)
        for (int64_t j = 0; j < in; j++) {
            double y = 0;
            for (int64_t k = 0; k < in; k++) y += X[o * in + k] * D[k * in + j];
            Y[o * in + j] = (float)y;
        }
    return Y;
}

/* What is taken of W is a block of W D, of all of it when r is n; what is left has the other singular values. */
static void test_corda(void **state) {
    (void)state;
    static const int64_t shapes[][3] = {{20, 14, 3}, {14, 20, 3}, {14, 14, 14}};
    for (int i = 0; i < 3; i++)
        for (int last = 0; last < 2; last++) {
            matrix m = make(shapes[i][0], shapes[i][1], falling);
            const int64_t r = shapes[i][2], s = last ? m.n - r : 0;
            float *X = rows_of(m.in, 2);
            const lf_inputs inputs = inputs_of(X, m.in);
            const lf_seen seen = {.target = last ? (lf_inputs){0} : inputs, .kept = last ? inputs : (lf_inputs){0}};
            lf_init_input in = input_of(&m, last ? "corda_kpm" : "corda_ipm", (lf_position){0}, r);
            in.seen = &seen;
            started x = start(&in);
            double *D = damped(&inputs, m.in), *W = lf_malloc((size_t)(m.out * m.in) * sizeof *W), all[20], taken[20];
            for (int64_t k = 0; k < m.out * m.in; k++) W[k] = (double)m.W[k];
            float *WD = times(W, m.out, D, m.in), *BAD = times(x.product, m.out, D, m.in);
            CHECK_OK(lf_svd_values(WD, m.out, m.in, all, "WD", &err_));
            CHECK_OK(lf_svd_values(BAD, m.out, m.in, taken, "BAD", &err_));
            for (int64_t k = 0; k < m.n; k++)
                if (fabs(taken[k] - (k < r ? all[s + k] : 0)) > 1e-5 * all[0])
                    fail_msg("shape %d, %s: value %lld is %g", i, in.init, (long long)k, taken[k]);
            for (int64_t k = 0; k < m.out * m.in; k++) WD[k] -= BAD[k];
            CHECK_OK(lf_svd_values(WD, m.out, m.in, taken, "rest", &err_));
            for (int64_t k = 0; k < m.n - r; k++)
                assert_true(fabs(taken[k] - all[last ? k : k + r]) < 1e-5 * all[0]); /* no mixture of the two */
            for (int64_t k = 0; r == m.n && k < m.out * m.in; k++)
                assert_true(fabs(x.product[k] - (double)m.W[k]) < 1e-5);
            lf_free(WD);
            lf_free(BAD);
            lf_free(D);
            lf_free(W);
            lf_free(X);
            lf_free(inputs.moments);
            end(&x);
            drop(&m);
        }
}

/* Kept inputs do not reach A0, where there are directions that they have nothing of; B0 A0 is W on these. */
static void test_lora_null(void **state) {
    (void)state;
    static const int64_t shapes[][2] = {{20, 14}, {14, 20}};
    for (int i = 0; i < 2; i++) {
        matrix m = make(shapes[i][0], shapes[i][1], falling);
        const int64_t r = 4;
        float *X = rows_of(m.in, r);
        const lf_seen seen = {.kept = inputs_of(X, m.in)};
        lf_init_input in = input_of(&m, "lora_null", (lf_position){0}, r);
        in.seen = &seen;
        started x = start(&in);
        double *V = orthonormal(m.in, m.in, 21), largest = 0;
        for (int64_t row = 0; row < ROWS; row++)
            for (int64_t k = 0; k < r; k++) {
                double a = 0;
                for (int64_t j = 0; j < m.in; j++) a += (double)x.A[k * m.in + j] * (double)X[row * m.in + j];
                largest = fmax(largest, fabs(a));
            }
        if (!(largest < 1e-5)) fail_msg("A0 x is %g", largest);
        for (int64_t o = 0; o < m.out; o++)
            for (int64_t k = 0; k < m.in; k++) { /* (B0 A0) v = W v for a missing v, and nothing for others */
                double product = 0, whole = 0;
                for (int64_t j = 0; j < m.in; j++) {
                    product += x.product[o * m.in + j] * V[j * m.in + k];
                    whole += (double)m.W[o * m.in + j] * V[j * m.in + k];
                }
                assert_true(fabs(product - (k < m.in - r ? 0 : whole)) < 1e-5);
            }
        lf_free(V);
        lf_free(X);
        lf_free(seen.kept.moments);
        end(&x);
        drop(&m);
    }
}

/* B0 A0 is W on directions of the outputs in which (1 - beta) E (q^T W x)^2 - beta E (q^T W kept)^2 is largest: each is
 * an eigenvector, none has a smaller value than any outside; with beta 0 these are the outputs' components. */
static void test_sc_lora(void **state) {
    (void)state;
    matrix m = make(12, 15, falling);
    const int64_t r = 3;
    float *X = rows_of(m.in, 0), *kept = rows_of(m.in, 6);
    for (int64_t i = 0; i < ROWS * m.in; i++) kept[i] *= 1.5f;
    const lf_seen seen = {.target = inputs_of(X, m.in), .kept = inputs_of(kept, m.in)};
    for (int b = 0; b <= 2; b++) {
        lf_init_input in = input_of(&m, "sc_lora", (lf_position){0}, r);
        in.seen = &seen;
        in.sc_lora_beta = b / 2.0;
        started x = start(&in);
        double M[12 * 12] = {0}, values[12], vectors[12 * 12];
        for (int which = 0; which < 2; which++)
            for (int64_t i = 0; i < ROWS; i++) {
                double h[12] = {0};
                for (int64_t o = 0; o < m.out; o++)
                    for (int64_t j = 0; j < m.in; j++)
                        h[o] += (double)m.W[o * m.in + j] * (double)(which ? kept : X)[i * m.in + j];
                for (int64_t k = 0; k < m.out * m.out; k++)
                    M[k] += (which ? -in.sc_lora_beta : 1 - in.sc_lora_beta) / ROWS * h[k / m.out] * h[k % m.out];
            }
        CHECK_OK(lf_eigen_block(M, m.out, 0, m.out, values, vectors, "M", &err_));
        for (int64_t k = 0; k < r; k++) {
            double value = 0;
            for (int64_t o = 0; o < m.out; o++)
                for (int64_t p = 0; p < m.out; p++)
                    value += SCALING * (double)x.B[o * r + k] * M[o * m.out + p] * (double)x.B[p * r + k];
            assert_true(fabs(value - values[m.out - r + k]) < 1e-5 * fabs(values[0] - values[m.out - 1]));
        }
        for (int64_t o = 0; o < m.out; o++)
            for (int64_t j = 0; j < m.in; j++) { /* Q Q^T W */
                double expected = 0;
                for (int64_t k = m.out - r; k < m.out; k++)
                    for (int64_t p = 0; p < m.out; p++)
                        expected += vectors[o * m.out + k] * vectors[p * m.out + k] * (double)m.W[p * m.in + j];
                assert_true(fabs(x.product[o * m.in + j] - expected) < 1e-4);
            }
        end(&x);
    }
    lf_free(seen.target.moments);
    lf_free(seen.kept.moments);
    lf_free(X);
    lf_free(kept);
    drop(&m);
}

/* A0 is what a decomposition of the centered rows has on the right. */
static void test_eva(void **state) {
    (void)state;
    matrix m = make(18, 15, falling);
    const int64_t r = 5;
    float *X = rows_of(m.in, 0);
    const lf_seen seen = {.target = inputs_of(X, m.in)};
    lf_init_input in = input_of(&m, "eva", (lf_position){0}, r);
    in.seen = &seen;
    started x = start(&in);
    for (int64_t i = 0; i < ROWS * m.in; i++) X[i] = (float)((double)X[i] - seen.target.sum[i % m.in] / ROWS);
    double *U = lf_malloc((size_t)(ROWS * m.in) * sizeof *U), *V = lf_malloc((size_t)(m.in * m.in) * sizeof *V),
           sigma[15];
    CHECK_OK(lf_svd_full(X, ROWS, m.in, sigma, U, V, "rows", &err_));
    for (int64_t k = 0; k < r; k++)
        for (int64_t j = 0; j < m.in; j++) assert_true(fabs((double)x.A[k * m.in + j] - V[j * m.in + k]) < 1e-5);
    for (int64_t k = 0; k < m.out * r; k++) assert_true(x.B[k] == 0);
    lf_free(U);
    lf_free(V);
    lf_free(X);
    lf_free(seen.target.moments);
    end(&x);
    drop(&m);
}

/* The first step of gradient descent, G A0^T A0 + B0 B0^T G, goes along the best approximation of G of rank 2r. */
static void test_lora_ga(void **state) {
    (void)state;
    static const int64_t shapes[][2] = {{26, 18}, {18, 26}};
    for (int i = 0; i < 2; i++) {
        matrix g = make(shapes[i][0], shapes[i][1], falling);
        const int64_t r = 4;
        const lf_seen seen = {.gradient = g.W};
        lf_init_input in = input_of(&g, "lora_ga", (lf_position){0}, r);
        in.seen = &seen;
        started x = start(&in);
        const double size = sqrt((double)g.out) / 16; /* c^2 */
        double error = 0, norm = 0;
        for (int64_t o = 0; o < g.out; o++)
            for (int64_t j = 0; j < g.in; j++) {
                double step = 0, best = 0;
                for (int64_t k = 0; k < r; k++) {
                    double GA = 0, BG = 0;
                    for (int64_t l = 0; l < g.in; l++) GA += (double)g.W[o * g.in + l] * (double)x.A[k * g.in + l];
                    for (int64_t l = 0; l < g.out; l++) BG += (double)x.B[l * r + k] * (double)g.W[l * g.in + j];
                    step += GA * (double)x.A[k * g.in + j] + (double)x.B[o * r + k] * BG;
                }
                for (int64_t k = 0; k < 2 * r; k++) best += g.U[o * g.n + k] * g.sigma[k] * g.V[j * g.n + k];
                error += pow(step / size - best, 2);
                norm += best * best;
            }
        if (!(sqrt(error / norm) < 1e-5)) fail_msg("distance %g", sqrt(error / norm));
        end(&x);
        in.r = 10;
        float A[10 * 26], B[10 * 26];
        lf_init_report report;
        CHECK_FAILS(LF_EUSAGE, lf_init_find("lora_ga")->fill(&in, A, B, &report, &err_), "layers.0.fc1", "r = 10",
                    "at most 9");
        drop(&g);
    }
}

static int teardown(void **state) {
    (void)state;
    return lf_alloc_live() != 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_cut_cluster),
        cmocka_unit_test(test_ends_are_intermediate),
        cmocka_unit_test(test_dead_components),
        cmocka_unit_test(test_equal_magnitude),
        cmocka_unit_test(test_random_components),
        cmocka_unit_test(test_randomized),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_what_a_start_says),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_olora),
        cmocka_unit_test(test_orthogonal),
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_corda),
        cmocka_unit_test(test_lora_null),
        cmocka_unit_test(test_sc_lora),
        cmocka_unit_test(test_eva),
        cmocka_unit_test(test_lora_ga),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
