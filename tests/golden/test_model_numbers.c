/* What becomes of a model's numbers on their way through: the weight of a tied model that is there twice, formats wider
 * than ours, and rounding that would lose more than digits. */
#define _XOPEN_SOURCE 700
#include "golden/lm_fixture.h"

#include <unistd.h>

#include "adapter/adapter_internal.h"
#include "base/file.h"

#define TIED LF_TEST_DIR "/golden/lm-qwen2" /* tie_word_embeddings: true */

static char dir[64];

static int make(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/lora-ft-test-numbers-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}
static int remove_made(void **state) {
    (void)state;
    return lf_remove_tree(dir, NULL) == LF_OK && lf_alloc_live() == 0 ? 0 : -1;
}

/* How the copy of the tied model differs from it. */
typedef struct change {
    lf_dtype dtype; /* of all its tensors */
    bool second;    /* lm_head.weight too, a copy of the embeddings */
    lf_dtype second_dtype;
    int64_t bend;     /* element of the second copy that is another, -1: none */
    const char *poke; /* tensor of which element 0 is `value`; NULL: none */
    double value;
} change;

static lf_status write_numbers(lf_st_writer *w, const lf_st_tensor *t, lf_dtype dtype, const char *name,
                               const change *c) {
    lf_status rc = LF_OK;
    double *wide = lf_malloc((size_t)t->numel * sizeof *wide);
    float *x = lf_malloc((size_t)t->numel * sizeof *x);
    lf_to_f32(x, t->data, t->dtype, t->numel);
    if (c->second && strcmp(name, "lm_head.weight") == 0 && c->bend >= 0) x[c->bend] += 1;
    if (c->poke && strcmp(name, c->poke) == 0) x[0] = (float)c->value;
    if (dtype == LF_F64) {
        for (int64_t i = 0; i < t->numel; i++)
            wide[i] = (double)x[i] * (1 + 0x1p-40); /* more digits than a float has */
        if (c->poke && strcmp(name, c->poke) == 0) wide[0] = c->value;
        rc = lf_st_writer_write(w, wide, (size_t)t->numel * sizeof *wide, NULL);
    } else {
        rc = lf_st_writer_write_f32(w, x, t->numel, NULL);
    }
    lf_free(wide);
    lf_free(x);
    return rc;
}

static void write_copy(change c) {
    lf_safetensors *st;
    lf_st_writer *w;
    char path[128];
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    OK(lf_copy_file(TIED "/config.json", dir, "config.json", &err));
    OK(lf_safetensors_open(&st, TIED, &err));
    OK(lf_st_writer_new(&w, path, &err));
    const lf_st_tensor *table = lf_safetensors_find(st, "model.embed_tokens.weight");
    assert_non_null(table);
    for (int64_t i = 0; i < lf_safetensors_count(st); i++) {
        const lf_st_tensor *t = lf_safetensors_at(st, i);
        OK(lf_st_writer_declare(w, t->name, c.dtype, t->ndim, t->shape, &err));
    }
    if (c.second) OK(lf_st_writer_declare(w, "lm_head.weight", c.second_dtype, table->ndim, table->shape, &err));
    for (int64_t i = 0; i < lf_safetensors_count(st); i++) {
        const lf_st_tensor *t = lf_safetensors_at(st, i);
        assert_int_equal(write_numbers(w, t, c.dtype, t->name, &c), LF_OK);
    }
    if (c.second) assert_int_equal(write_numbers(w, table, c.second_dtype, "lm_head.weight", &c), LF_OK);
    OK(lf_st_writer_commit(w, &err));
    lf_safetensors_close(st);
}

static lf_status open_copy(lf_model **out, lf_err *why) {
    return lf_model_open(out, dir, &(lf_model_opts){.k = &lf_kernels_ref_f32, .load = LF_LOAD_NOTHING}, why);
}

/* ---- the tied weight, twice ---- */

static void test_tied_twice(void **state) {
    (void)state;
    static const struct {
        change c;
        lf_status status;
    } rows[] = {
        {{.dtype = LF_F32, .second = true, .second_dtype = LF_F32, .bend = -1}, LF_OK},
        {{.dtype = LF_F32, .second = true, .second_dtype = LF_BF16, .bend = -1}, LF_OK},
        {{.dtype = LF_F32, .second = true, .second_dtype = LF_F16, .bend = -1}, LF_OK},
        {{.dtype = LF_BF16, .second = true, .second_dtype = LF_F32, .bend = -1}, LF_OK}, /* the file has more digits */
        {{.dtype = LF_F64, .second = true, .second_dtype = LF_F64, .bend = -1}, LF_OK},
        {{.dtype = LF_F64, .second = true, .second_dtype = LF_BF16, .bend = -1}, LF_OK},
        {{.dtype = LF_F64, .second = true, .second_dtype = LF_F64, .bend = 2500}, LF_EDATA},
        {{.dtype = LF_F32, .second = true, .second_dtype = LF_F32, .bend = 0}, LF_EDATA},
        {{.dtype = LF_F32, .second = true, .second_dtype = LF_BF16, .bend = 4099}, LF_EDATA},
        {{.dtype = LF_F16, .second = true, .second_dtype = LF_F32, .bend = 7}, LF_EDATA},
        {{.dtype = LF_F32, .second = true, .second_dtype = LF_F32, .bend = -1, .poke = "lm_head.weight", .value = 9},
         LF_EDATA},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        write_copy(rows[i].c);
        lf_model *m = NULL;
        lf_err why = {0};
        const lf_status rc = open_copy(&m, &why);
        if (rc != rows[i].status || (rc && !strstr(why.message, "'lm_head.weight' differs from")))
            fail_msg("case %zu: status %d: %s", i, (int)rc, why.message);
        lf_model_free(m);
    }
}

/* 0 and -0 are the same number. */
static void test_tied_zero(void **state) {
    (void)state;
    lf_model *m = NULL;
    lf_safetensors *st;
    char path[128], *bytes;
    size_t size;
    write_copy((change){.dtype = LF_F32,
                        .second = true,
                        .second_dtype = LF_F32,
                        .bend = -1,
                        .poke = "model.embed_tokens.weight",
                        .value = 0});
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    OK(lf_safetensors_open(&st, dir, &err));
    OK(lf_file_read(&bytes, &size, path, &err));
    const lf_st_tensor *t = lf_safetensors_find(st, "lm_head.weight");
    const float negative = -0.0f; /* the last tensor of the file is the second copy */
    memcpy(bytes + size - t->size, &negative, sizeof negative);
    lf_safetensors_close(st);
    OK(lf_file_write(path, bytes, size, &err));
    lf_free(bytes);
    OK(open_copy(&m, &err));
    lf_model_free(m);
}

/* ---- wider than ours ---- */

static void test_f64(void **state) {
    (void)state;
    lf_model *m = NULL, *again;
    lf_err why = {0};
    char out[80];
    snprintf(out, sizeof out, "%s/out", dir);
    write_copy((change){.dtype = LF_F64, .poke = "model.norm.weight", .value = 1e39});
    assert_int_equal(open_copy(&m, &why), LF_EDATA);
    if (!strstr(why.message, "'model.norm.weight': number 0 is 1e+39")) fail_msg("%s", why.message);
    write_copy((change){.dtype = LF_F64});
    OK(open_copy(&m, &err));
    OK(lf_model_write(m, out, LF_N_DTYPES, NULL, NULL, &err)); /* what nobody touches keeps all its digits */
    OK(lf_model_open(&again, out, &(lf_model_opts){.k = &lf_kernels_ref_f32, .load = LF_LOAD_NOTHING}, &err));
    assert_string_equal(again->hash, m->hash);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(again->config, "dtype")), "float64");
    lf_model_free(again);
    lf_model_free(m);
}

static lf_status merge_nothing(void *context, const lf_module *module, float *W, lf_err *why) {
    (void)context, (void)module, (void)W, (void)why;
    return LF_OK;
}

static void test_f64_merged(void **state) {
    (void)state;
    lf_model *m;
    lf_err why = {0};
    char out[80];
    snprintf(out, sizeof out, "%s/out", dir);
    write_copy((change){.dtype = LF_F64});
    OK(open_copy(&m, &err));
    OK(lf_lora_attach(&m->nn, lf_nn_find(&m->nn, "model.layers.0.mlp.up_proj"), 1, 1, 0, false, false, &err));
    assert_int_equal(lf_model_write(m, out, LF_N_DTYPES, merge_nothing, NULL, &why), LF_EUNSUPPORTED);
    if (!strstr(why.message, "up_proj.weight' is F64") || !strstr(why.message, "save_dtype"))
        fail_msg("%s", why.message);
    OK(lf_model_write(m, out, LF_F32, merge_nothing, NULL, &err));
    lf_model_free(m);
}

/* ---- rounding ---- */

static void test_rounding(void **state) {
    (void)state;
    static const struct {
        double value;
        lf_dtype dtype;
        bool fits;
    } rows[] = {{1e5, LF_F16, false},        {-1e5, LF_F16, false},    {65504, LF_F16, true}, {65519, LF_F16, true},
                {65520, LF_F16, false},      {1e-9, LF_F16, true},     {1e5, LF_BF16, true},  {3.39e38, LF_BF16, true},
                {3.4028e38, LF_BF16, false}, {3.4028e38, LF_F32, true}};
    char out[80];
    snprintf(out, sizeof out, "%s/out", dir);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lf_model *m;
        lf_err why = {0};
        write_copy((change){.dtype = LF_F32, .poke = "model.layers.1.mlp.down_proj.weight", .value = rows[i].value});
        OK(open_copy(&m, &err));
        const lf_status rc = lf_model_write(m, out, rows[i].dtype, NULL, NULL, &why);
        lf_model_free(m);
        if (rc != (rows[i].fits ? LF_OK : LF_EDATA) ||
            (rc && !strstr(why.message, "'model.layers.1.mlp.down_proj.weight': number 0 is")))
            fail_msg("%g in %s: status %d: %s", rows[i].value, lf_dtype_name(rows[i].dtype), (int)rc, why.message);
    }
}

/* ---- none at all ---- */

/* Copied byte by byte, rounded, or merged into: a model that is written has nothing but numbers. */
static void test_not_finite(void **state) {
    (void)state;
    static const char *const tensors[] = {"model.norm.weight", "model.layers.0.mlp.up_proj.weight"};
    static const lf_dtype dtypes[] = {LF_N_DTYPES, LF_BF16};
    char out[80], file[120], says[120];
    snprintf(out, sizeof out, "%s/out", dir);
    snprintf(file, sizeof file, "%s/model.safetensors", out);
    for (int i = 0; i < 2 * 2 * 2 * 2; i++) {
        const char *tensor = tensors[i & 1];
        const bool merged = i & 2, infinite = i & 4;
        lf_model *m;
        lf_err why = {0};
        write_copy((change){.dtype = LF_F32, .poke = tensor, .value = infinite ? -(double)INFINITY : (double)NAN});
        OK(open_copy(&m, &err));
        if (merged)
            OK(lf_lora_attach(&m->nn, lf_nn_find(&m->nn, "model.layers.0.mlp.up_proj"), 1, 1, 0, false, false, &err));
        snprintf(says, sizeof says, "tensor '%s': number 0 is %s", tensor, infinite ? "-inf" : "nan");
        assert_int_equal(lf_model_write(m, out, dtypes[i / 8], merged ? merge_nothing : NULL, NULL, &why), LF_EDATA);
        if (!strstr(why.message, says)) fail_msg("%d: expected '%s': %s", i, says, why.message);
        assert_false(lf_is_file(file));
        lf_model_free(m);
    }
}

static lf_status merge_nan(void *context, const lf_module *module, float *W, lf_err *why) {
    (void)context, (void)why;
    W[module->in] = NAN;
    return LF_OK;
}

/* The model is whole; what was made of it is not. */
static void test_made_not_finite(void **state) {
    (void)state;
    lf_model *m;
    lf_err why = {0};
    char out[80];
    snprintf(out, sizeof out, "%s/out", dir);
    write_copy((change){.dtype = LF_F32});
    OK(open_copy(&m, &err));
    OK(lf_lora_attach(&m->nn, lf_nn_find(&m->nn, "model.layers.0.mlp.up_proj"), 1, 1, 0, false, false, &err));
    assert_int_equal(lf_model_write(m, out, LF_F32, merge_nan, NULL, &why), LF_EDATA);
    if (!strstr(why.message, "'model.layers.0.mlp.up_proj.weight': number") ||
        !strstr(why.message, "would be written as nan"))
        fail_msg("%s", why.message);
    lf_model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tied_twice, make, remove_made),
        cmocka_unit_test_setup_teardown(test_tied_zero, make, remove_made),
        cmocka_unit_test_setup_teardown(test_f64, make, remove_made),
        cmocka_unit_test_setup_teardown(test_f64_merged, make, remove_made),
        cmocka_unit_test_setup_teardown(test_rounding, make, remove_made),
        cmocka_unit_test_setup_teardown(test_not_finite, make, remove_made),
        cmocka_unit_test_setup_teardown(test_made_not_finite, make, remove_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
