/* `convert --r`: an adapter with a smaller rank. What is dropped is what a decomposition of dW itself, by another way,
 * says must be; what it says of itself is so; and nothing else of the adapter is another. GGUF: test_gguf_files.c. */
#define _GNU_SOURCE
#include "cli/lm_cli_fixture.h"

#include <sys/stat.h>

#include "linalg/svd.h"

#define TRAIN                                                                                                          \
    "train --model pre/model --train_data plain.txt --max_seq_length 24 --threads 1 --lr 3e-3 --max_steps 3 "          \
    "--per_device_train_batch_size 4 "

static lf_safetensors *open_adapter(const char *dir) {
    lf_safetensors *st = NULL;
    lf_err err = {0};
    if (lf_safetensors_open(&st, text("%s/%s/adapter_model.safetensors", root, dir), &err)) fail_msg("%s", err.message);
    return st;
}

static float *floats_of(const lf_safetensors *st, const char *name, int64_t *rows, int64_t *columns) {
    const lf_st_tensor *t = lf_safetensors_find(st, name);
    if (!t) fail_msg("there is no tensor '%s'", name);
    float *out = lf_malloc((size_t)t->numel * sizeof *out);
    lf_to_f32(out, t->data, t->dtype, t->numel);
    *rows = t->shape[0];
    *columns = t->shape[1];
    return out;
}

/* dW [out,in] of a module, "…q_proj"; *r: its rank. */
static float *update_of(const lf_safetensors *st, const char *module, const char *A_name, const char *B_name,
                        double scaling, int64_t *out, int64_t *in, int64_t *r) {
    int64_t rank;
    float *A = floats_of(st, text("base_model.model.%s.%s", module, A_name), r, in),
          *B = floats_of(st, text("base_model.model.%s.%s", module, B_name), out, &rank),
          *dW = lf_calloc((size_t)(*out * *in), sizeof *dW);
    assert_int_equal(rank, *r);
    for (int64_t i = 0; i < *out; i++)
        for (int64_t j = 0; j < *in; j++) {
            double sum = 0;
            for (int64_t k = 0; k < rank; k++) sum += (double)B[i * rank + k] * (double)A[k * *in + j];
            dW[i * *in + j] = (float)(scaling * sum);
        }
    lf_free(A);
    lf_free(B);
    return dW;
}

static double distance_of(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += ((double)a[i] - (b ? (double)b[i] : 0)) * ((double)a[i] - (b ? (double)b[i] : 0));
    return sum;
}

/* What the verb says of a module, and its two updates, against all singular values of the first. */
static void check_module(const cJSON *said, const lf_safetensors *was, const lf_safetensors *is, double scaling,
                         int64_t r) {
    const char *module = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(said, "module"));
    const bool table = strstr(module, "embed_tokens");
    const char *A = table ? "lora_embedding_A" : "lora_A.weight", *B = table ? "lora_embedding_B" : "lora_B.weight";
    int64_t out, in, before, after;
    float *dW = update_of(was, module, A, B, scaling, &out, &in, &before),
          *less = update_of(is, module, A, B, 1, &out, &in, &after);
    const int64_t n = out < in ? out : in;
    double *sigma = lf_malloc((size_t)n * sizeof *sigma), *U = lf_malloc((size_t)(out * n) * sizeof *U),
           *V = lf_malloc((size_t)(in * n) * sizeof *V), dropped = 0, energy = 0;
    lf_err err = {0};
    if (lf_svd_full(dW, out, in, sigma, U, V, module, &err)) fail_msg("%s", err.message);
    for (int64_t i = 0; i < n; i++) energy += sigma[i] * sigma[i];
    for (int64_t i = r; i < n; i++) dropped += sigma[i] * sigma[i];
    assert_int_equal(after, r);
    assert_true(energy > 0 && dropped > 1e-4 * energy); /* else the test could not fail */
    near(number(said, "r_before"), (double)before, 0);
    near(number(said, "r"), (double)r, 0);
    near(number(said, "energy"), energy, 1e-5 * energy);
    near(number(said, "dropped"), dropped / energy, 1e-5);
    near(distance_of(dW, less, out * in), dropped, 1e-5 * energy); /* the nearest there is */
    near(distance_of(less, NULL, out * in), energy - dropped, 1e-5 * energy);
    lf_free(sigma);
    lf_free(U);
    lf_free(V);
    lf_free(dW);
    lf_free(less);
}

static cJSON *read_json(const char *dir, const char *name) {
    cJSON *o = NULL;
    lf_err err = {0};
    if (lf_json_read(&o, text("%s/%s/%s", root, dir, name), &err)) fail_msg("%s", err.message);
    return o;
}

static void check_reduced(const char *from, const char *to, int64_t r, double scaling, int64_t modules) {
    cJSON *said = json_of(text("convert --adapter %s --r %d -o %s --json", from, (int)r, to));
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(said, "reduced"), *one;
    lf_safetensors *was = open_adapter(from), *is = open_adapter(to);
    double energy = 0, dropped = 0;
    assert_int_equal(cJSON_GetArraySize(list), modules);
    assert_int_equal(lf_safetensors_count(is), lf_safetensors_count(was));
    cJSON_ArrayForEach(one, list) {
        check_module(one, was, is, scaling, r);
        energy += number(one, "energy");
        dropped += number(one, "energy") * number(one, "dropped");
    }
    near(number(said, "modules"), (double)modules, 0);
    near(number(said, "dropped"), dropped / energy, 1e-12);
    cJSON *config_json = read_json(to, "adapter_config.json"), *facts = read_json(to, "lora_ft.json");
    near(number(config_json, "r"), (double)r, 0);
    near(number(config_json, "lora_alpha"), (double)r, 0);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(config_json, "use_rslora")));
    assert_null(cJSON_GetObjectItemCaseSensitive(config_json, "rank_pattern")->child);
    assert_null(cJSON_GetObjectItemCaseSensitive(config_json, "alpha_pattern")->child);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(facts, "delta_form")));
    near(number(facts, "reduced_dropped"), dropped / energy, 1e-12);
    cJSON_Delete(config_json);
    cJSON_Delete(facts);
    lf_safetensors_close(was);
    lf_safetensors_close(is);
    cJSON_Delete(said);
    must(text("eval --model pre/model --adapter %s --data train.jsonl --threads 1", to), 0);
}

static void test_smaller(void **state) {
    (void)state;
    must(TRAIN "--r 6 --lora_alpha 3 --target_modules all-linear --output_dir a", 0);
    check_reduced("a/adapter", "a2", 2, 0.5, 14);
    must(TRAIN "--r 4 --lora_alpha 4 --use_rslora true --target_modules embed_tokens,q_proj --output_dir rs", 0);
    check_reduced("rs/adapter", "rs1", 1, 2, 3);
    /* a residual start, whose file has twice the rank */
    must(TRAIN "--r 3 --lora_alpha 3 --init pissa --target_modules q_proj,down_proj --output_dir p", 0);
    check_reduced("p/adapter", "p3", 3, 1, 4);
    must("convert --adapter a/adapter --r 2 -o text", 0);
    assert_non_null(strstr(output, "rank was  is  dropped"));
    assert_non_null(strstr(output, "text: of the energy of all updates"));
    same_files("a2/adapter_model.safetensors", "text/adapter_model.safetensors");
    must("convert --adapter a/adapter --r 2 -o again --print_config > convert.json", 0);
    must("convert convert.json", 0); /* a resolved configuration is the same again */
    same_files("a2/adapter_model.safetensors", "again/adapter_model.safetensors");
    must("convert --model pre/model --adapter a/adapter --format gguf -o a.gguf --print_config > gguf.json", 0);
    must("convert gguf.json", 0);
}

/* Modules of no larger rank stay byte for byte, with their own scaling; what is saved whole stays, too. */
static void test_what_stays(void **state) {
    (void)state;
    must(TRAIN "--r 4 --lora_alpha 8 --rank_pattern '{\"v_proj\": 2}' --target_modules q_proj,v_proj --modules_to_save "
               "norm --output_dir k",
         0);
    must("convert --adapter k/adapter --r 3 -o k3", 0);
    lf_safetensors *was = open_adapter("k/adapter"), *is = open_adapter("k3");
    int same = 0;
    for (int64_t i = 0; i < lf_safetensors_count(was); i++) {
        const lf_st_tensor *t = lf_safetensors_at(was, i), *u = lf_safetensors_find(is, t->name);
        assert_non_null(u);
        if (strstr(t->name, "q_proj")) continue;
        assert_true(t->size == u->size && t->dtype == u->dtype);
        assert_memory_equal(t->data, u->data, t->size);
        same++;
    }
    assert_true(same >= 5);
    cJSON *o = read_json("k3", "adapter_config.json");
    const cJSON *ranks = cJSON_GetObjectItemCaseSensitive(o, "rank_pattern"),
                *alphas = cJSON_GetObjectItemCaseSensitive(o, "alpha_pattern");
    assert_int_equal(cJSON_GetArraySize(ranks), 2);
    near(number(ranks, "model.layers.1.self_attn.v_proj"), 2, 0);
    near(number(alphas, "model.layers.1.self_attn.v_proj"), 8, 0); /* 8 / 2, as it was */
    cJSON_Delete(o);
    lf_safetensors_close(was);
    lf_safetensors_close(is);
    must("eval --model pre/model --adapter k3 --data train.jsonl --threads 1", 0);
}

static void test_refused(void **state) {
    (void)state;
    must("convert --adapter a/adapter --r 6 -o x", 2);
    assert_non_null(strstr(output, "key 'r': expected less than the adapter's rank 6, found 6"));
    must("convert --adapter a/adapter -o x", 2);
    assert_non_null(strstr(output, "nothing would be changed"));
    must("convert --model pre/model --adapter a/adapter --r 2 --format gguf -o x.gguf", 2);
    assert_non_null(strstr(output, "reduce the rank first"));
    must("convert --adapter a/adapter --r 2 -o a2", 2);
    assert_non_null(strstr(output, "'a2' is not empty"));
    must("convert --adapter a/adapter --r 1 -o a2 --overwrite_output_dir", 0);
    must("convert --adapter a/adapter --r 2 -o a2/ --overwrite_output_dir", 0);
    must("convert --adapter a/adapter --r 2 -o slash/", 0);
    same_files("a2/adapter_model.safetensors", "slash/adapter_model.safetensors");
    if (mkdir(text("%s/b2.part", root), 0777) || mkdir(text("%s/b2.tmp", root), 0777)) fail_msg("cannot make folders");
    put("b2.part/mine", "x");
    put("b2.tmp/mine", "x");
    must("convert --adapter a/adapter --r 2 -o b2", 0);
    assert_true(lf_exists(text("%s/b2.part/mine", root)) && lf_exists(text("%s/b2.tmp/mine", root)));
    must("convert --adapter a/adapter --r 1 -o pre --overwrite_output_dir", 2);
    assert_non_null(strstr(output, "is not an adapter (there is no adapter_config.json)"));
    must("convert --adapter a/adapter --r 1 -o a --overwrite_output_dir", 2);
    assert_non_null(strstr(output, "which is read"));
    must(TRAIN "--r 2 --use_dora true --init true --output_dir dora", 0);
    must("convert --adapter dora/adapter --r 1 -o x", 3);
    assert_non_null(strstr(output, "magnitudes (DoRA)"));
    assert_false(lf_exists(text("%s/x", root)));
    assert_false(lf_exists(text("%s/x.part", root)));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_smaller), cmocka_unit_test(test_what_stays),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
