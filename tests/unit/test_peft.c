/* Adapter folders: what is written is a plain LoRA with the trained function, what is read is checked to the last
 * tensor. */
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "adapter/peft_readme.h"
#include "unit/adapter_fixture.h"

#ifndef LF_BUILD_DIR
#define LF_BUILD_DIR "."
#endif
#define DIR LF_BUILD_DIR "/test_peft.tmp"

/* One model with one adapter on it. */
typedef struct tuned {
    lf_nn nn;
    lf_module *head;
    lf_adapter *adapter;
    cJSON *target, *ranks, *alphas;
} tuned;

typedef struct recipe {
    const char *init, *target, *ranks, *alphas;
    bool use_rslora;
} recipe;

static lf_status tune(tuned *t, recipe r, lf_err *err) {
    t->head = fixture_new(&t->nn);
    t->adapter = NULL;
    t->target = fixture_json(r.target);
    t->ranks = r.ranks ? fixture_json(r.ranks) : NULL;
    t->alphas = r.alphas ? fixture_json(r.alphas) : NULL;
    const lf_adapter_opts o = {.r = 3,
                               .lora_alpha = 6,
                               .use_rslora = r.use_rslora,
                               .target_modules = t->target,
                               .rank_pattern = t->ranks,
                               .alpha_pattern = t->alphas,
                               .init = r.init,
                               .position = {LF_POSITION_FRACTION, 0.5},
                               .seed = 11};
    return lf_adapter_new(&t->adapter, &t->nn, &o, err);
}

static tuned tuned_new(recipe r) {
    tuned t;
    CHECK_OK(tune(&t, r, &err_));
    return t;
}

static void tuned_free(tuned *t) {
    lf_adapter_free(t->adapter);
    lf_nn_free(&t->nn);
    cJSON_Delete(t->target);
    cJSON_Delete(t->ranks);
    cJSON_Delete(t->alphas);
}

/* As if it had been trained. */
static void train(tuned *t) {
    for (int64_t i = 0; i < lf_adapter_count(t->adapter); i++) {
        lf_lora *l = lf_adapter_module(t->adapter, i)->lora;
        for (int64_t k = 0; k < l->A.numel; k++)
            ((float *)l->A.data)[k] += 0.01f * fixture_random(100 + (uint64_t)i, k);
        for (int64_t k = 0; k < l->B.numel && !l->B_is_held; k++)
            ((float *)l->B.data)[k] += 0.01f * fixture_random(200 + (uint64_t)i, k);
    }
}

static const char *const labels[FIXTURE_LABELS] = {"a", "b", "\"c\"", "d\303\251", "e"};

static lf_adapter_facts facts_of(const tuned *t) {
    return (lf_adapter_facts){.base_path = "models/base",
                              .base_hash = "0123",
                              .head = t->head,
                              .num_labels = FIXTURE_LABELS,
                              .id2label = (const char **)(uintptr_t)labels,
                              .seed = 11,
                              .threads = 2};
}

static void save(const tuned *t, const char *dir, bool old_names) {
    lf_adapter_facts f = facts_of(t);
    f.old_names = old_names;
    CHECK_OK(lf_adapter_save(t->adapter, &t->nn, dir, &f, &err_));
}

static float *numbers_of(const lf_st_tensor *t) {
    float *x = lf_malloc((size_t)t->numel * sizeof *x);
    lf_to_f32(x, t->data, t->dtype, t->numel);
    return x;
}

/* The update that a folder's tensors make of module m: scaling * B A, in double. */
static double *stored_update(const lf_safetensors *st, const lf_module *m, const char *name, double scaling) {
    char path[160];
    snprintf(path, sizeof path, "base_model.model.%s.lora_A.weight", name);
    const lf_st_tensor *a = lf_safetensors_find(st, path);
    snprintf(path, sizeof path, "base_model.model.%s.lora_B.weight", name);
    const lf_st_tensor *b = lf_safetensors_find(st, path);
    if (!a || !b) fail_msg("no tensors for %s", name);
    const int64_t r = a->shape[0];
    assert_true(a->ndim == 2 && b->ndim == 2 && a->shape[1] == m->in && b->shape[0] == m->out && b->shape[1] == r);
    float *A = numbers_of(a), *B = numbers_of(b);
    double *W = lf_calloc((size_t)(m->out * m->in), sizeof *W);
    for (int64_t o = 0; o < m->out; o++)
        for (int64_t k = 0; k < r; k++)
            for (int64_t j = 0; j < m->in; j++)
                W[o * m->in + j] += scaling * (double)B[o * r + k] * (double)A[k * m->in + j];
    lf_free(A);
    lf_free(B);
    return W;
}

/* scaling * (B A - B0 A0) */
static double *trained_update(const lf_module *m) {
    const lf_lora *l = m->lora;
    const float *A = l->A.data, *B = l->B.data, *A0 = l->A0, *B0 = l->B0;
    double *W = lf_calloc((size_t)(m->out * m->in), sizeof *W);
    for (int64_t o = 0; o < m->out; o++)
        for (int64_t k = 0; k < l->r; k++)
            for (int64_t j = 0; j < m->in; j++) {
                const double start = A0 ? (double)B0[o * l->r + k] * (double)A0[k * m->in + j] : 0;
                W[o * m->in + j] += l->scaling * ((double)B[o * l->r + k] * (double)A[k * m->in + j] - start);
            }
    return W;
}

static double distance(const double *a, const double *b, int64_t n) {
    double error = 0, norm = 0;
    for (int64_t i = 0; i < n; i++) {
        error += (a[i] - b[i]) * (a[i] - b[i]);
        norm += b[i] * b[i];
    }
    return sqrt(error / norm);
}

static double number(const cJSON *config, const char *key) {
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(config, key));
}

/* The scale that PEFT would use for this module. */
static double peft_scaling(const cJSON *config, const char *name) {
    double r = number(config, "r"), alpha = number(config, "lora_alpha");
    const cJSON *ranks = cJSON_GetObjectItemCaseSensitive(config, "rank_pattern"),
                *alphas = cJSON_GetObjectItemCaseSensitive(config, "alpha_pattern");
    for (const cJSON *i = ranks->child; i; i = i->next) /* the tests' patterns are plain suffixes */
        if (strlen(name) >= strlen(i->string) && !strcmp(name + strlen(name) - strlen(i->string), i->string))
            r = i->valuedouble;
    for (const cJSON *i = alphas->child; i; i = i->next)
        if (strlen(name) >= strlen(i->string) && !strcmp(name + strlen(name) - strlen(i->string), i->string))
            alpha = i->valuedouble;
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(config, "use_rslora")) ? alpha / sqrt(r) : alpha / r;
}

static const recipe recipes[] = {
    {.init = "kaiming", .target = "'all-linear'"},
    {.init = "intermediate", .target = "['q_proj', 'fc1']"},
    {.init = "pissa", .target = "'all-linear'", .use_rslora = true},
    {.init = "milora", .target = "['query', 'mlp.fc2']", .ranks = "{'fc2': 5}", .alphas = "{'q_proj': 2.5}"},
    {.init = "slice_eqmag",
     .target = "['output.dense', 'key']",
     .ranks = "{'key': 2}"}, /* old names, in rank_pattern too */
    {.init = "gaussian", .target = "['dense']", .use_rslora = true, .ranks = "{'fc1': 7}"},
    {.init = "slice_zero", .target = "['q_proj', 'fc2']"},
    {.init = "mica", .target = "'all-linear'"},
    {.init = "olora", .target = "['fc1', 'fc2', 'o_proj']"},
    {.init = "orthogonal", .target = "['fc1']", .ranks = "{'fc1': 4}"},
};
enum { N_RECIPES = sizeof recipes / sizeof recipes[0] };

static void open_written(const char *dir, lf_safetensors **st, cJSON **config) {
    char path[256];
    snprintf(path, sizeof path, "%s/adapter_model.safetensors", dir);
    CHECK_OK(lf_safetensors_open(st, path, &err_));
    snprintf(path, sizeof path, "%s/adapter_config.json", dir);
    CHECK_OK(lf_json_read(config, path, &err_));
}

static void test_written_update(void **state) {
    (void)state;
    for (int i = 0; i < 2 * N_RECIPES; i++) {
        const bool old_names = i >= N_RECIPES;
        tuned t = tuned_new(recipes[i % N_RECIPES]);
        for (int trained = 0; trained < 2; trained++) {
            if (trained) train(&t);
            save(&t, DIR, old_names);
            lf_safetensors *st;
            cJSON *config;
            open_written(DIR, &st, &config);
            assert_string_equal(lf_safetensors_metadata(st, "format"), "pt");
            assert_int_equal(lf_safetensors_count(st), 2 * lf_adapter_count(t.adapter) + 2);
            for (int64_t k = 0; k < lf_adapter_count(t.adapter); k++) {
                const lf_module *m = lf_adapter_module(t.adapter, k);
                const char *name = old_names ? m->alias : m->name;
                double *stored = stored_update(st, m, name, peft_scaling(config, name)), *expected = trained_update(m);
                for (int64_t e = 0; !trained && e < m->out * m->in; e++)
                    if (stored[e] != 0) fail_msg("recipe %d, %s: step 0 is not exact: %g", i, name, stored[e]);
                if (trained && !(distance(stored, expected, m->out * m->in) <= 1e-6))
                    fail_msg("recipe %d, %s: %g", i, name, distance(stored, expected, m->out * m->in));
                lf_free(stored);
                lf_free(expected);
            }
            lf_safetensors_close(st);
            cJSON_Delete(config);
        }
        tuned_free(&t);
    }
}

static void check_config(const cJSON *config, const char *key, const char *expected) {
    char *text = lf_json_print_line(cJSON_GetObjectItemCaseSensitive(config, key));
    assert_string_equal(text, expected);
    lf_free(text);
}

static void test_config(void **state) {
    (void)state;
    tuned t = tuned_new(recipes[3]);
    save(&t, DIR, false);
    lf_safetensors *st;
    cJSON *config;
    open_written(DIR, &st, &config);
    static const char *const expected[][2] = {
        {"peft_type", "\"LORA\""},   {"task_type", "null"},         {"base_model_name_or_path", "\"models/base\""},
        {"revision", "null"},        {"inference_mode", "true"},    {"r", "6"},
        {"lora_alpha", "12"},        {"lora_dropout", "0"},         {"bias", "\"none\""},
        {"fan_in_fan_out", "false"}, {"init_lora_weights", "true"}, {"layers_to_transform", "null"},
        {"layers_pattern", "null"},  {"use_rslora", "false"},       {"use_dora", "false"}};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        check_config(config, expected[i][0], expected[i][1]);
    assert_int_equal(cJSON_GetArraySize(config), 19);
    const cJSON *targets = cJSON_GetObjectItemCaseSensitive(config, "target_modules");
    assert_int_equal(cJSON_GetArraySize(targets), 2);
    assert_string_equal(cJSON_GetArrayItem(targets, 0)->valuestring, "fc2");
    assert_string_equal(cJSON_GetArrayItem(targets, 1)->valuestring, "q_proj");
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(config, "modules_to_save")->child->valuestring, "classifier");
    assert_true(number(cJSON_GetObjectItemCaseSensitive(config, "rank_pattern"), "fc2") == 10);
    assert_true(number(cJSON_GetObjectItemCaseSensitive(config, "alpha_pattern"), "q_proj") == 5);
    cJSON_Delete(config);
    lf_safetensors_close(st);

    save(&t, DIR, true); /* 'dense' would also take o_proj and fc1: whole names; so do patterns that speak of q_proj */
    open_written(DIR, &st, &config);
    const cJSON *first = cJSON_GetObjectItemCaseSensitive(config, "target_modules")->child;
    assert_string_equal(first->valuestring, "vit.encoder.layer.0.attention.attention.query");
    assert_true(number(cJSON_GetObjectItemCaseSensitive(config, "rank_pattern"), "vit.encoder.layer.1.output.dense") ==
                10);
    assert_true(number(cJSON_GetObjectItemCaseSensitive(config, "alpha_pattern"),
                       "vit.encoder.layer.2.attention.attention.query") == 5);
    cJSON_Delete(config);
    lf_safetensors_close(st);
    tuned_free(&t);

    t = tuned_new(recipes[2]); /* rsLoRA: alpha grows by sqrt(2) only */
    save(&t, DIR, false);
    open_written(DIR, &st, &config);
    assert_true(fabs(number(config, "lora_alpha") - 6 * sqrt(2)) < 1e-14 && number(config, "r") == 6);
    cJSON_Delete(config);
    lf_safetensors_close(st);
    tuned_free(&t);
}

/* y of every module for the same x, through the op. */
static void outputs(tuned *t, bool base, float *y) {
    enum { ROWS = 7 };
    float x[ROWS * FIXTURE_I];
    for (int i = 0; i < ROWS * FIXTURE_I; i++) x[i] = fixture_random(300, i);
    lf_graph *g = lf_graph_new(t->nn.k, 1);
    assert_non_null(g);
    for (int64_t i = 0; i < t->nn.n_modules; i++) {
        lf_module *m = t->nn.modules[i];
        if (m->kind != LF_MODULE_LINEAR) continue;
        lf_graph_begin(g, false, false, 0);
        const lf_tensor *out = lf_nn_linear(g, base, m, lf_graph_input(g, 2, (int64_t[]){ROWS, m->in}, x));
        CHECK_OK(lf_graph_status(g, &err_));
        for (int64_t k = 0; k < ROWS * m->out; k++) *y++ = ((const float *)out->data)[k];
    }
    lf_graph_free(g);
}
enum { N_OUTPUTS = 7 * (FIXTURE_LAYERS * (4 * FIXTURE_C + FIXTURE_I) + FIXTURE_LABELS) };

static void test_round_trip(void **state) {
    (void)state;
    for (int i = 0; i < 2 * N_RECIPES; i++) {
        tuned t = tuned_new(recipes[i % N_RECIPES]), u = {0};
        static float y[N_OUTPUTS], z[N_OUTPUTS];
        train(&t);
        save(&t, DIR, i >= N_RECIPES);
        outputs(&t, false, y);
        u.head = fixture_new(&u.nn);
        memset(u.head->weight->tensor.data, 0, (size_t)u.head->weight->tensor.numel * sizeof(float));
        memset(u.head->bias->tensor.data, 0, (size_t)u.head->bias->tensor.numel * sizeof(float));
        lf_adapter_file *f;
        CHECK_OK(lf_adapter_open(&f, DIR, &err_));
        const char *const *names;
        assert_int_equal(lf_adapter_file_labels(f, &names), FIXTURE_LABELS);
        for (int k = 0; k < FIXTURE_LABELS; k++) assert_string_equal(names[k], labels[k]);
        CHECK_OK(lf_adapter_apply(&u.adapter, f, &u.nn, u.head, "0123", &err_));
        lf_adapter_close(f);
        assert_int_equal(lf_adapter_count(u.adapter), lf_adapter_count(t.adapter));
        outputs(&u, false, z);
        double error = 0, largest = 0;
        for (int k = 0; k < N_OUTPUTS; k++) {
            error = fmax(error, fabs((double)y[k] - (double)z[k]));
            largest = fmax(largest, fabs((double)y[k]));
        }
        if (!(error <= 1e-6 * largest)) fail_msg("recipe %d: outputs differ by %g of %g", i, error, largest);

        outputs(&t, true, y); /* the base is untouched in both */
        outputs(&u, true, z);
        assert_memory_equal(y, z, sizeof y);
        tuned_free(&t);
        tuned_free(&u);
    }
}

static void test_merge(void **state) {
    (void)state;
    for (int i = 0; i < N_RECIPES; i++) {
        tuned t = tuned_new(recipes[i]);
        train(&t);
        for (int64_t k = 0; k < t.nn.n_modules; k++) {
            const lf_module *m = t.nn.modules[k];
            if (m->kind != LF_MODULE_LINEAR) continue;
            float base[FIXTURE_I * FIXTURE_I], W[FIXTURE_I * FIXTURE_I];
            CHECK_OK(lf_nn_weight(&t.nn, m, base, &err_));
            memcpy(W, base, sizeof W);
            CHECK_OK(lf_adapter_merge(m, W, &err_));
            if (!m->lora) {
                assert_memory_equal(W, base, (size_t)(m->out * m->in) * sizeof *W);
                continue;
            }
            double *update = trained_update(m);
            for (int64_t e = 0; e < m->out * m->in; e++) {
                const double expected = (double)base[e] + update[e];
                assert_true(fabs((double)W[e] - expected) <= 6e-8 * fabs(expected) + 1e-12); /* rounded once */
            }
            lf_free(update);
        }
        tuned_free(&t);
    }
}

static void test_parallel_is_serial(void **state) {
    (void)state;
    static const char *const inits[] = {"kaiming",     "intermediate", "slice_random", "pissa_niter_2",
                                        "slice_eqmag", "mica",         "olora"};
    for (size_t i = 0; i < sizeof inits / sizeof *inits; i++) {
        const recipe r = {.init = inits[i], .target = "'all-linear'"};
        lf_threads_set(1);
        tuned serial = tuned_new(r);
        lf_threads_set(4);
        tuned parallel = tuned_new(r);
        for (int64_t k = 0; k < lf_adapter_count(serial.adapter); k++) {
            const lf_lora *a = lf_adapter_module(serial.adapter, k)->lora,
                          *b = lf_adapter_module(parallel.adapter, k)->lora;
            assert_memory_equal(a->A.data, b->A.data, (size_t)a->A.numel * sizeof(float));
            assert_memory_equal(a->B.data, b->B.data, (size_t)a->B.numel * sizeof(float));
            if (!a->A0) continue;
            assert_memory_equal(a->A.data, a->A0, (size_t)a->A.numel * sizeof(float));
            assert_memory_equal(a->B.data, a->B0, (size_t)a->B.numel * sizeof(float));
        }
        tuned_free(&serial);
        tuned_free(&parallel);
    }
    lf_threads_set(0);
}

static void test_refused_starts(void **state) {
    (void)state;
    tuned t;
    CHECK_FAILS(LF_EUSAGE, tune(&t, (recipe){.init = "pissa", .target = "['fc1']", .ranks = "{'fc1': 17}"}, &err_),
                "fc1", "r = 17", "16 components");
    for (int64_t i = 0; i < t.nn.n_modules; i++) assert_null(t.nn.modules[i]->lora);
    tuned_free(&t);
    CHECK_FAILS(
        LF_EUSAGE,
        tune(&t, (recipe){.init = "milora", .target = "['fc1']", .ranks = "{'fc1': 2}", .use_rslora = true}, &err_),
        "use_rslora", "rank_pattern");
    tuned_free(&t);
    CHECK_FAILS(LF_EUSAGE, tune(&t, (recipe){.init = "loftq", .target = "['fc1']"}, &err_), "loftq");
    tuned_free(&t);
}

/* B is computed with and written, and nobody trains it or counts it as trained: here, and read again. */
static void test_held(void **state) {
    (void)state;
    tuned t = tuned_new((recipe){.init = "mica", .target = "['fc1']"}), u = {0};
    lf_trainable *list;
    int64_t n, of_A = 0, numbers = 0;
    CHECK_OK(lf_nn_trainables(&t.nn, &list, &n, &err_));
    for (int64_t i = 0; i < n; i++) {
        if (strstr(list[i].name, "lora_B")) fail_msg("%s is trained", list[i].name);
        of_A += strstr(list[i].name, "fc1.lora_A") != NULL;
        numbers += list[i].tensor->numel;
    }
    assert_int_equal(of_A, FIXTURE_LAYERS);
    assert_int_equal(lf_nn_count(&t.nn, true), numbers);
    assert_int_equal(lf_nn_count(&t.nn, false) - lf_nn_count(&t.nn, true) > FIXTURE_LAYERS * 3 * FIXTURE_I, true);
    assert_non_null(strstr(lf_adapter_coverage(t.adapter), "trainable: 144 in adapters")); /* 3 layers, r 3, in 16 */
    for (int64_t i = 0; i < lf_adapter_count(t.adapter); i++) {
        const lf_lora *l = lf_adapter_module(t.adapter, i)->lora;
        assert_true(l->B_is_held && !l->B.grad && !l->B.requires_grad && l->A.grad && !l->A0 && !l->B0);
    }
    train(&t);
    save(&t, DIR, false);
    u.head = fixture_new(&u.nn);
    lf_adapter_file *f;
    CHECK_OK(lf_adapter_open(&f, DIR, &err_));
    CHECK_OK(lf_adapter_apply(&u.adapter, f, &u.nn, u.head, NULL, &err_));
    assert_true(lf_adapter_module(u.adapter, 0)->lora->B_is_held);
    assert_int_equal(lf_nn_count(&u.nn, true), numbers);
    lf_adapter_close(f);
    tuned_free(&u);
    tuned_free(&t);
}

/* ---- a head alone ---- */

static void test_head_only(void **state) {
    (void)state;
    tuned t = {0}, u = {0};
    t.head = fixture_new(&t.nn);
    u.head = fixture_new(&u.nn);
    memset(u.head->weight->tensor.data, 0, (size_t)u.head->weight->tensor.numel * sizeof(float));
    save(&t, DIR, false);
    assert_false(lf_is_file(DIR "/adapter_config.json"));
    lf_adapter_file *f;
    CHECK_OK(lf_adapter_open(&f, DIR, &err_));
    CHECK_OK(lf_adapter_apply(&u.adapter, f, &u.nn, u.head, NULL, &err_));
    lf_adapter_close(f);
    assert_memory_equal(t.head->weight->tensor.data, u.head->weight->tensor.data,
                        (size_t)t.head->weight->tensor.numel * sizeof(float));
    assert_int_equal(lf_adapter_count(u.adapter), 0);
    tuned_free(&t);
    tuned_free(&u);
}

/* ---- nothing half-written ---- */

static void check_alone(void) {
    char **names;
    size_t n;
    CHECK_OK(lf_list_dir(&names, &n, LF_BUILD_DIR, &err_));
    for (size_t i = 0; i < n; i++)
        if (strstr(names[i], "test_peft.tmp") && strcmp(names[i], "test_peft.tmp"))
            fail_msg("left behind: %s", names[i]);
    lf_free(names);
}

/* The lines beside an adapter, by what its base is a file of: scripts/check-with-peft.py and its kin run them. */
static void test_readme(void **state) {
    (void)state;
    tuned t = tuned_new(recipes[3]);
    static const struct {
        const char *class;
        bool tower, names;
        const char *problem;
        const char *said[4], *not [2];
    } cases[] = {
        {NULL, .names = true,
         .said = {"import AutoModelForImageClassification\n",
                  "base = AutoModelForImageClassification.from_pretrained(\n",
                  "BASE, id2label=id2label, label2id=", "makes a new head"},
         .not = {"tower", "problem_type"}},
        {"AutoModelForSequenceClassification", .names = true, .problem = "regression",
         .said = {"    dtype=\"float32\", ignore_mismatched_sizes=True)\nbase.config.problem_type = \"regression\"\n",
                  "base.config.pad_token_id = 3"},
         .not = {"tower"}},
        {"ViTForImageClassification",
         .said = {"base = ViTForImageClassification.from_pretrained(\n    BASE, num_labels=5,\n    dtype=\"float32\", "
                  "ignore_mismatched_sizes=True)\n"},
         .not = {"id2label", "import json"}},
        {"CLIPForImageClassification", .tower = true, .names = true,
         .said = {"import CLIPConfig, CLIPForImageClassification, CLIPVisionModel\n",
                  "tower = CLIPVisionModel.from_pretrained(BASE, dtype=\"float32\")",
                  "base = CLIPForImageClassification(CLIPConfig(\n    vision_config=tower.config.to_dict(),\n"
                  "    id2label=id2label, label2id={name: i for i, name in id2label.items()})).to(tower.dtype)\n"
                  "base.vision_model = tower\nmodel = "},
         .not = {"ignore_mismatched_sizes", "makes a new head"}},
        {"SiglipForImageClassification", .tower = true,
         .said = {"import SiglipConfig, SiglipForImageClassification, SiglipVisionModel\n",
                  "vision_config=tower.config.to_dict(),\n    num_labels=5)).to(tower.dtype)\n"},
         .not = {"id2label", "import json"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lf_adapter_facts f = facts_of(&t);
        f.auto_class = cases[i].class;
        f.tower = cases[i].tower;
        f.problem_type = cases[i].problem;
        f.pad_token_id = 3;
        if (!cases[i].names) f.id2label = NULL;
        char *lines = lf_peft_readme(t.adapter, &t.nn, &f);
        assert_non_null(lines);
        for (int k = 0; k < 4 && cases[i].said[k]; k++)
            if (!strstr(lines, cases[i].said[k])) fail_msg("case %zu: no '%s' in\n%s", i, cases[i].said[k], lines);
        for (int k = 0; k < 2 && cases[i].not [k]; k++)
            if (strstr(lines, cases[i].not [k])) fail_msg("case %zu: '%s' in\n%s", i, cases[i].not [k], lines);
        lf_free(lines);
    }
    tuned_free(&t);
}

static void test_failing_save(void **state) {
    (void)state;
    tuned t = tuned_new(recipes[3]);
    const lf_adapter_facts f = facts_of(&t);
    CHECK_OK(lf_remove_tree(DIR, &err_));
    const int64_t live = lf_alloc_live();
    lf_status rc = LF_ENOMEM;
    for (int64_t k = 0; rc; k++) { /* there is none, then an old one that stays as it is */
        if (k == 40) save(&t, DIR, false);
        if (k == 40) train(&t);
        lf_err err = {0};
        lf_alloc_fail_after(k);
        rc = lf_adapter_save(t.adapter, &t.nn, DIR, &f, &err);
        lf_alloc_fail_after(-1);
        if (rc && rc != LF_ENOMEM) fail_msg("allocation %lld: %s", (long long)k, err.message);
        assert_int_equal(lf_alloc_live(), live);
        assert_true(k < 5000);
        check_alone();
        if (rc && k < 40) assert_false(lf_is_dir(DIR));
        if (!rc || k < 40) continue;
        lf_adapter_file *old;
        CHECK_OK(lf_adapter_open(&old, DIR, &err_));
        lf_adapter_close(old);
    }
    CHECK_OK(lf_file_write(DIR ".file", "x", 1, &err_));
    CHECK_FAILS(LF_EIO, lf_adapter_save(t.adapter, &t.nn, DIR ".file/adapter", &f, &err_), "test_peft.tmp.file");
    assert_int_equal(remove(DIR ".file"), 0);
    CHECK_OK(lf_adapter_save(t.adapter, &t.nn, DIR "/", &f, &err_)); /* a slash at the end is no part of the name */
    check_alone();
    tuned_free(&t);
}

static void test_failing_read(void **state) {
    (void)state;
    tuned t = tuned_new(recipes[3]), u = {0};
    u.head = fixture_new(&u.nn);
    save(&t, DIR, true);
    lf_status rc = LF_ENOMEM;
    const int64_t live = lf_alloc_live();
    for (int64_t k = 0; rc; k++) {
        lf_adapter_file *f = NULL;
        lf_adapter *a = NULL;
        lf_err err = {0};
        lf_alloc_fail_after(k);
        rc = lf_adapter_open(&f, DIR, &err);
        if (!rc) rc = lf_adapter_apply(&a, f, &u.nn, u.head, NULL, &err);
        lf_alloc_fail_after(-1);
        if (rc && rc != LF_ENOMEM) fail_msg("allocation %lld: %s", (long long)k, err.message);
        lf_adapter_close(f);
        lf_adapter_free(a);
        assert_int_equal(lf_alloc_live(), live);
        assert_true(k < 5000);
    }
    tuned_free(&t);
    tuned_free(&u);
}

/* ---- files that are wrong ---- */

enum { R = 2 };
typedef struct folder {
    const char *config;            /* NULL: a right one */
    const char *skip, *add, *bend; /* a tensor that is left out, added as F32 [2, 2], or given a wrong shape */
    const char *poison;            /* a tensor with an infinity */
    lf_dtype dtype;
    const char *named; /* the adapter's name, in the tensors of layers below `named_to` and of the head */
    int named_to;
} folder;

static const char right[] =
    "{'peft_type': 'LORA', 'r': 2, 'target_modules': ['q_proj'], 'modules_to_save': ['classifier']}";

static void write_tensor(lf_st_writer *w, const char *name, int64_t rows, int64_t columns, const folder *f, bool now) {
    const bool bend = f->bend && strstr(name, f->bend);
    if (f->skip && strstr(name, f->skip)) return;
    if (bend) rows++;
    const int64_t n = rows * (columns ? columns : 1);
    if (!now) {
        CHECK_OK(lf_st_writer_declare(w, name, f->dtype, columns ? 2 : 1, (int64_t[]){rows, columns}, &err_));
        return;
    }
    float *x = lf_malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = 0.25f * (float)(i % 5);
    if (f->poison && strstr(name, f->poison)) x[n - 1] = INFINITY;
    if (lf_dtype_is_float(f->dtype))
        CHECK_OK(lf_st_writer_write_f32(w, x, n, &err_));
    else
        CHECK_OK(lf_st_writer_write(w, x, (size_t)n * lf_dtype_size(f->dtype), &err_)); /* any bytes */
    lf_free(x);
}

static void write_folder(folder f) {
    CHECK_OK(lf_remove_tree(DIR, &err_));
    CHECK_OK(lf_mkdir_p(DIR, &err_));
    char config[1024];
    snprintf(config, sizeof config, "%s", f.config ? f.config : right);
    for (char *s = config; *s; s++)
        if (*s == '\'') *s = '"';
    CHECK_OK(lf_file_write(DIR "/adapter_config.json", config, strlen(config), &err_));
    if (!f.dtype) f.dtype = LF_F32;
    lf_st_writer *w;
    CHECK_OK(lf_st_writer_new(&w, DIR "/adapter_model.safetensors", &err_));
    for (int now = 0; now < 2; now++) {
        for (int layer = 0; layer < FIXTURE_LAYERS; layer++) {
            char name[128];
            const char *dot = f.named && layer < f.named_to ? "." : "", *named = *dot ? f.named : "";
#define NAME(part)                                                                                                     \
    snprintf(name, sizeof name, "base_model.model.vit.layers.%d.attention.q_proj." part "%s%s.weight", layer, dot,     \
             named)
            NAME("lora_A");
            write_tensor(w, name, R, FIXTURE_C, &f, now);
            NAME("lora_B");
            write_tensor(w, name, FIXTURE_C, R, &f, now);
        }
        const bool named = f.named != NULL;
        write_tensor(w,
                     named ? "base_model.model.classifier.modules_to_save.default.weight"
                           : "base_model.model.classifier.weight",
                     FIXTURE_LABELS, FIXTURE_C, &f, now);
        write_tensor(
            w, named ? "base_model.model.classifier.modules_to_save.default.bias" : "base_model.model.classifier.bias",
            FIXTURE_LABELS, 0, &f, now);
        if (f.add) write_tensor(w, f.add, 2, 2, &(folder){.dtype = f.dtype}, now);
    }
    CHECK_OK(lf_st_writer_commit(w, &err_));
}

static lf_status read_folder(lf_err *err) {
    lf_nn nn;
    lf_module *head = fixture_new(&nn);
    lf_adapter_file *f = NULL;
    lf_adapter *a = NULL;
    lf_status rc = lf_adapter_open(&f, DIR, err);
    if (!rc) rc = lf_adapter_apply(&a, f, &nn, head, NULL, err);
    for (int64_t i = 0; rc && i < nn.n_modules; i++) assert_null(nn.modules[i]->lora);
    lf_adapter_free(a);
    lf_adapter_close(f);
    lf_nn_free(&nn);
    return rc;
}

#define REJECTS(status, folder_, ...)                                                                                  \
    do {                                                                                                               \
        write_folder(folder_);                                                                                         \
        CHECK_FAILS(status, read_folder(&err_), __VA_ARGS__);                                                          \
    } while (0)

static void test_right_folders(void **state) {
    (void)state;
    static const char *const configs[] = {
        "{'peft_type': 'LORA', 'r': 2, 'target_modules': '.*q_proj', 'modules_to_save': ['classifier', 'score']}",
        "{'peft_type': 'LORA', 'target_modules': ['q_proj'], 'modules_to_save': ['classifier'], 'rank_pattern': "
        "{'q_proj': 2}, 'use_rslora': true}",
        "{'peft_type': 'LORA', 'r': 2, 'target_modules': ['q_proj'], 'modules_to_save': ['classifier'], 'use_dora': "
        "false, 'loftq_config': {}, "
        "'layer_replication': null, 'a_key_of_2031': 3, 'init_lora_weights': 'gaussian'}",
        "{'peft_type': 'LORA', 'r': 2, 'modules_to_save': ['classifier']}"};
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++) {
        write_folder((folder){.config = configs[i], .dtype = i % 2 ? LF_BF16 : LF_F16});
        CHECK_OK(read_folder(&err_));
    }
}

/* As torch.save of a model's state_dict names them. */
static void test_named_tensors(void **state) {
    (void)state;
    write_folder((folder){.named = "default", .named_to = FIXTURE_LAYERS});
    CHECK_OK(read_folder(&err_));
    REJECTS(LF_EDATA, ((folder){.named = "other", .named_to = FIXTURE_LAYERS}), "'default'", "'other'", "one adapter");
    REJECTS(LF_EDATA, ((folder){.named = "default", .named_to = 1}), "'default'", "''", "one adapter");
}

/* Named by other tools. */
static void test_strange_tensors(void **state) {
    (void)state;
    static const struct {
        const char *tensor, *word;
    } cases[] = {{"_orig_mod.base_model.model.x.lora_A.weight", "torch.compile"},
                 {"module.base_model.model.x.lora_A.weight", "distributed"},
                 {"unet.x.lora_down.weight", "lora_down"},
                 {"lora_te_x.lora_up.weight", "lora_up"},
                 {"model.layers.0.self_attn.q_proj.lora_a", "mlx"},
                 {"layers.0.attn.q_proj.lora_b.weight", "torchtune"},
                 {"base_model.model.classifier.original_module.weight", "whole state"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        REJECTS(LF_EUNSUPPORTED, ((folder){.add = cases[i].tensor}), cases[i].tensor, cases[i].word);
}

static lf_status open_folder(lf_err *err) {
    lf_adapter_file *f = NULL;
    const lf_status rc = lf_adapter_open(&f, DIR, err);
    lf_adapter_close(f);
    return rc;
}

/* With bias "all" PEFT writes biases of what is saved whole again, by names of its own; weights never. */
static void test_second_biases(void **state) {
    (void)state;
    static const char all[] = "{'peft_type': 'LORA', 'r': 2, 'bias': 'all', 'modules_to_save': ['classifier']}";
    static const char *const seconds[] = {
        "base_model.model.classifier.original_module.bias", "base_model.model.classifier.original_module.dense.bias",
        "base_model.model.vit.layers.0.mlp.original_module.fc1.bias",
        "base_model.model.classifier.modules_to_save.bias", "base_model.model.classifier.modules_to_save.default.bias"};
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
        write_folder((folder){.config = all, .add = seconds[i]});
        CHECK_OK(open_folder(&err_));
    }
    write_folder((folder){.config = all, .named = "default", .named_to = FIXTURE_LAYERS}); /* the only one */
    CHECK_OK(open_folder(&err_));
    REJECTS(LF_EUNSUPPORTED, ((folder){.add = seconds[1]}), seconds[1], "whole state");
    REJECTS(LF_EUNSUPPORTED,
            ((folder){.config = all, .add = "base_model.model.classifier.original_module.dense.weight"}),
            "whole state");
}

/* modules_to_save means whatever ends so. */
static void test_saved_norms(void **state) {
    (void)state;
    REJECTS(LF_EDATA,
            ((folder){.config = "{'peft_type': 'LORA', 'r': 2, 'modules_to_save': ['classifier', 'norm']}",
                      .add = "base_model.model.vit.layernorm.weight"}),
            "vit.layernorm.weight'", "no such parameter", "another model");
    REJECTS(LF_EDATA,
            ((folder){.config = "{'peft_type': 'LORA', 'r': 2, 'modules_to_save': ['classifier', 'lm_head']}",
                      .add = "base_model.model.lm_head.weight"}),
            "lm_head.weight'", "no such parameter");
}

static void test_wrong_tensors(void **state) {
    (void)state;
    REJECTS(LF_EDATA, ((folder){.skip = "layers.1.attention.q_proj.lora_B"}), "adapter_model.safetensors",
            "layers.1.attention.q_proj.lora_B.weight", "missing");
    REJECTS(LF_EDATA, ((folder){.skip = "layers.1.attention.q_proj.lora_A"}), "layers.1.attention.q_proj.lora_A.weight",
            "missing");
    REJECTS(LF_EDATA, ((folder){.skip = "layers.2"}), "layers.2.attention.q_proj.lora_A.weight", "missing",
            "target_modules");
    REJECTS(LF_EDATA, ((folder){.skip = "classifier"}), "modules_to_save", "classifier");
    REJECTS(LF_EDATA, ((folder){.skip = "classifier.weight"}), "classifier.weight", "missing");
    REJECTS(LF_ESHAPE, ((folder){.skip = "classifier.bias"}), "classifier", "without");
    REJECTS(LF_ESHAPE, ((folder){.bend = "layers.0.attention.q_proj.lora_A"}), "layers.0.attention.q_proj", "rank 2",
            "[3, 16]");
    REJECTS(LF_ESHAPE, ((folder){.bend = "layers.0.attention.q_proj.lora_B"}), "layers.0.attention.q_proj", "[17, 2]",
            "another model");
    REJECTS(LF_ESHAPE, ((folder){.bend = "classifier.bias"}), "classifier.bias", "found 6");
    REJECTS(LF_ESHAPE, ((folder){.bend = "classifier"}), "classifier.weight", "[5, 16]", "[6, 16]");
    REJECTS(LF_EDATA, ((folder){.poison = "layers.0.attention.q_proj.lora_A"}),
            "layers.0.attention.q_proj.lora_A.weight", "inf", "diverged");
    REJECTS(LF_EDATA, ((folder){.poison = "classifier.bias"}), "classifier.bias", "inf");
    REJECTS(LF_EUNSUPPORTED, ((folder){.dtype = LF_I16}), "F32", "I16");
    REJECTS(LF_EDATA, ((folder){.add = "vit.layers.0.attention.k_proj.lora_A.weight"}),
            "begins with 'base_model.model.'");
    REJECTS(LF_EDATA, ((folder){.add = "base_model.model.vit.x"}), "'base_model.model.vit.x'");
    REJECTS(LF_EDATA, ((folder){.add = "base_model.model.vit.layernorm.weight"}), "vit.layernorm.weight",
            "modules_to_save");
    REJECTS(LF_ESHAPE, ((folder){.add = "base_model.model.vit.layers.0.attention.q_proj.lora_magnitude_vector"}),
            "lora_magnitude_vector", "1 dimensions");
    REJECTS(LF_EDATA, ((folder){.add = "base_model.model.vit.embed.lora_embedding_A"}), "vit.embed.lora_embedding_B'",
            "missing");
    REJECTS(LF_EDATA, ((folder){.add = "base_model.model.vit.layers.0.attention.q_proj.lora_embedding_A"}),
            "layers.0.attention.q_proj'", "an embedding", "a linear layer");
    REJECTS(LF_EUNSUPPORTED, ((folder){.add = "base_model.model.vit.layers.0.attention.q_proj.base_layer.weight"}),
            "q_proj.base_layer.weight'", "not the base model's weight", "merge_and_unload");
}

static void test_wrong_targets(void **state) {
    (void)state;
#define CONFIG(rest) "{'peft_type': 'LORA', 'r': 2, 'modules_to_save': ['classifier'], " rest "}"
    REJECTS(LF_EDATA, ((folder){.config = CONFIG("'target_modules': ['q_proj', 'k_proj']")}), "k_proj.lora_A.weight",
            "missing");
    REJECTS(LF_EDATA, ((folder){.config = CONFIG("'target_modules': ['k_proj']")}), "target_modules");
    REJECTS(LF_EDATA, ((folder){.config = CONFIG("'target_modules': ['q_proj'], 'layers_to_transform': [0, 1]")}),
            "layers.2", "does not name it");
    REJECTS(LF_EDATA, ((folder){.config = CONFIG("'target_modules': '.*(q_proj'")}), "adapter_config.json",
            "regular expression");
    REJECTS(LF_EDATA, ((folder){.config = CONFIG("'target_modules': ['q_proj'], 'rank_pattern': {'(': 2}")}),
            "adapter_config.json", "rank_pattern");
    REJECTS(LF_ESHAPE,
            ((folder){.config = CONFIG("'target_modules': ['q_proj'], 'rank_pattern': {'1.attention.q_proj': 4}")}),
            "layers.1", "rank 4");
    REJECTS(LF_EDATA, ((folder){.config = CONFIG("'target_modules': ['q_proj']"), .skip = "lora_"}), "holds no lora_A");
}

static void test_wrong_configs(void **state) {
    (void)state;
#define TARGET "'target_modules': ['q_proj'], 'modules_to_save': ['classifier']"
    static const char *const refused[] = {"'use_qalora': true",
                                          "'use_bdlora': {'nblocks': 2}",
                                          "'lora_bias': true",
                                          "'alora_invocation_tokens': [1]",
                                          "'kasa_config': {'x': 1}",
                                          "'velora_config': {'x': 1}",
                                          "'target_parameters': ['x']",
                                          "'trainable_token_indices': [3]",
                                          "'layer_replication': [[0, 1]]",
                                          "'init_lora_weights': 'pissa'",
                                          "'init_lora_weights': 'pissa_niter_4'",
                                          "'init_lora_weights': 'olora'",
                                          "'init_lora_weights': 'corda'",
                                          "'init_lora_weights': 'loftq'",
                                          "'init_lora_weights': 'intermediate'"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        char config[512], key[64];
        snprintf(config, sizeof config, "{'peft_type': 'LORA', 'r': 2, " TARGET ", %s}", refused[i]);
        snprintf(key, sizeof key, "%.*s", (int)strcspn(refused[i], ":") - 2, refused[i] + 1);
        REJECTS(LF_EUNSUPPORTED, ((folder){.config = config}), "adapter_config.json", key);
    }
    REJECTS(LF_EUNSUPPORTED, ((folder){.config = "{'peft_type': 'IA3'}"}), "IA3");
    REJECTS(LF_EDATA, ((folder){.config = "{'peft_type': 'LORA', 'r': 2, " TARGET ", 'bias': 'some'}"}), "'bias'",
            "some");
    REJECTS(LF_EDATA, ((folder){.config = "{'peft_type': 'LORA', 'r': 2, " TARGET ", 'bias': 'all'}"}), "is missing",
            "'bias'");
    REJECTS(LF_EDATA, ((folder){.config = "{'peft_type': 'LORA', 'r': 2, " TARGET ", 'use_dora': true}"}), "'use_dora'",
            "expected a lora_magnitude_vector");
    REJECTS(LF_EDATA, ((folder){.config = "{}"}), "peft_type");
    REJECTS(LF_EDATA, ((folder){.config = "[]"}), "object");
    REJECTS(LF_EDATA, ((folder){.config = "{'peft_type': 'LORA', 'r': 0}"}), "'r'");
    REJECTS(LF_EDATA, ((folder){.config = "{'peft_type': 'LORA', 'r': 2.5}"}), "'r'");
    REJECTS(LF_EDATA, ((folder){.config = "{'peft_type': 'LORA', 'lora_alpha': 'x'}"}), "'lora_alpha'");
    REJECTS(LF_EDATA, ((folder){.config = "{'peft_type': 'LORA', 'lora_dropout': 1}"}), "'lora_dropout'");
    REJECTS(LF_EDATA, ((folder){.config = "{'peft_type': 'LORA', 'modules_to_save': 'x'}"}), "'modules_to_save'");
    REJECTS(LF_EDATA, ((folder){.config = "{'peft_type': 'LORA', 'modules_to_save': ['x', 3]}"}), "'modules_to_save'");
    REJECTS(LF_EDATA, ((folder){.config = "{'peft_type'"}), "adapter_config.json");
}

static void test_wrong_files(void **state) {
    (void)state;
    CHECK_OK(lf_remove_tree(DIR, &err_));
    CHECK_FAILS(LF_ENOTFOUND, read_folder(&err_), "test_peft.tmp", "no such adapter folder");
    CHECK_OK(lf_mkdir_p(DIR, &err_));
    CHECK_FAILS(LF_ENOTFOUND, read_folder(&err_), "adapter_config.json");
    write_folder((folder){0});
    assert_int_equal(remove(DIR "/adapter_model.safetensors"), 0);
    CHECK_FAILS(LF_ENOTFOUND, read_folder(&err_), "adapter_model.safetensors", "download");
    CHECK_OK(lf_file_write(DIR "/adapter_model.bin", "x", 1, &err_));
    CHECK_FAILS(LF_EUNSUPPORTED, read_folder(&err_), "adapter_model.bin", "pickle", "safe_serialization");
    CHECK_OK(lf_file_write(DIR "/adapter_model.safetensors", "x", 1, &err_));
    CHECK_FAILS(LF_EDATA, read_folder(&err_), "adapter_model.safetensors");
    write_folder((folder){0});
    CHECK_OK(lf_file_write(DIR "/lora_ft.json", "{\"id2label\": {\"0\": \"x\"}}", 24, &err_));
    CHECK_FAILS(LF_EDATA, read_folder(&err_), "lora_ft.json", "id2label", "5 names");
    CHECK_OK(lf_file_write(DIR "/lora_ft.json", "{\"kind\": \"head\"}", 16, &err_));
    CHECK_FAILS(LF_EDATA, read_folder(&err_), "only a head");
}

static int setup(void **state) {
    (void)state;
    lf_log_set_level(LF_LOG_QUIET);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    if (lf_remove_tree(DIR, NULL)) return 1;
    return lf_alloc_live() != 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written_update),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_parallel_is_serial),
        cmocka_unit_test(test_refused_starts),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_head_only),
        cmocka_unit_test(test_failing_save),
        cmocka_unit_test(test_failing_read),
        cmocka_unit_test(test_right_folders),
        cmocka_unit_test(test_named_tensors),
        cmocka_unit_test(test_strange_tensors),
        cmocka_unit_test(test_saved_norms),
        cmocka_unit_test(test_wrong_tensors),
        cmocka_unit_test(test_wrong_targets),
        cmocka_unit_test(test_wrong_configs),
        cmocka_unit_test(test_wrong_files),
        cmocka_unit_test(test_readme),
        cmocka_unit_test(test_second_biases),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
