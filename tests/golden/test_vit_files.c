/* Files of models of pictures: towers of larger models and models without heads, models written, all weights trained,
 * and what config.json may ask for in vain. */
#define _XOPEN_SOURCE 700
#include "golden/golden_fixture.h"

#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "model/vision.h"

enum { NEW_LABELS = 7 };

static char *scratch(void) {
    static char path[64];
    snprintf(path, sizeof path, "/tmp/lora-ft-test-vit-XXXXXX");
    if (!mkdtemp(path)) fail_msg("no temporary folder");
    return path;
}

static cJSON *config_of(const char *name) {
    char path[600];
    cJSON *json;
    snprintf(path, sizeof path, "%s/golden/%s/config.json", LF_TEST_DIR, name);
    OK(lf_json_read(&json, path, &err));
    return json;
}

static lf_tensor *features_of(lf_model *m, lf_graph *g, const float *pixels, bool grad) {
    const lf_pass pass = {.in = {.B = 5, .pixels = pixels}};
    lf_graph_begin(g, grad, grad, 0);
    return lf_model_features(m, g, &pass);
}

/* ---- written, and read again ---- */

static const char *const families[] = {"vit-resized",    "deit-tiny",        "dinov2-tiny",
                                       "dinov2-resized", "dinov2-registers", "beit-tiny",
                                       "beit-shared",    "clip-tiny",        "siglip-tiny"};
enum { N_FAMILIES = sizeof families / sizeof *families };

static void check_written(const char *name, const lf_kernels *k) {
    fixture f;
    char *dir = scratch();
    lf_model *again;
    open_model(&f, name, k, LF_LOAD_NOTHING);
    OK(lf_model_write(f.model, dir, LF_N_DTYPES, NULL, NULL, &err));
    OK(lf_model_open(&again, dir, &(lf_model_opts){.k = k, .load = LF_LOAD_NOTHING}, &err));
    assert_string_equal(again->hash, f.model->hash); /* nothing of a classifier's file is lost */
    lf_model_free(again);
    OK(lf_remove_tree(dir, &err));
    close_case(&f);
}

static void test_written(void **state) {
    (void)state;
    each_available("fp32", families, N_FAMILIES, check_written);
}

/* ---- a tower alone, in its own file ---- */

/* Everything of `name` but the classifier, with vision_config as config.json: what CLIPVisionModel is saved as. */
static void put_tower(const fixture *f, const char *dir, const char *without) {
    cJSON *whole = config_of(f->name), *tower = cJSON_DetachItemFromObjectCaseSensitive(whole, "vision_config");
    lf_st_writer *w;
    char path[600];
    OK(lf_json_write_in(dir, "config.json", tower, true, &err));
    cJSON_Delete(tower);
    cJSON_Delete(whole);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    OK(lf_st_writer_new(&w, path, &err));
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < lf_safetensors_count(f->model->weights); i++) {
            const lf_st_tensor *t = lf_safetensors_at(f->model->weights, i);
            const char *name = t->name + (strncmp(t->name, without, strlen(without)) == 0 ? strlen(without) : 0);
            if (strncmp(t->name, "classifier", 10) == 0) continue;
            if (pass)
                OK(lf_st_writer_write(w, t->data, t->size, &err));
            else
                OK(lf_st_writer_declare(w, name, t->dtype, t->ndim, t->shape, &err));
        }
    OK(lf_st_writer_commit(w, &err));
}

/* The features of the tower are those of the whole; without a head of its own. With one it is written as the whole. */
static void check_tower(const char *name, const lf_kernels *k, const char *without) {
    fixture f;
    char *dir = scratch();
    lf_model *tower, *written;
    const char *labels[NEW_LABELS];
    static float want[5 * 32];
    open_model(&f, name, k, LF_LOAD_FROZEN);
    put_tower(&f, dir, without);
    OK(lf_model_open(&tower, dir, &(lf_model_opts){.k = k, .load = LF_LOAD_FROZEN}, &err));
    assert_null(tower->base_head.module);
    const float *pixels = golden(&f, "pixels", NULL);
    const lf_tensor *features = features_of(f.model, f.g, pixels, false);
    assert_int_equal(features->numel, sizeof want / sizeof *want);
    memcpy(want, features->data, sizeof want);
    features = features_of(tower, f.g, pixels, false);
    assert_memory_equal(features->data, want, sizeof want);
    for (int i = 0; i < NEW_LABELS; i++) labels[i] = "x";
    OK(lf_model_new_head(tower, NEW_LABELS, labels, 1, &err));
    char out[100];
    snprintf(out, sizeof out, "%s/written", dir);
    OK(lf_model_write(tower, out, LF_N_DTYPES, NULL, NULL, &err));
    OK(lf_model_open(&written, out, &(lf_model_opts){.k = k, .load = LF_LOAD_FROZEN}, &err));
    assert_non_null(written->base_head.module);
    assert_string_equal(written->family->model_type, f.model->family->model_type);
    features = features_of(written, f.g, pixels, false);
    assert_memory_equal(features->data, want, sizeof want);
    lf_model_free(written);
    lf_model_free(tower);
    OK(lf_remove_tree(dir, &err));
    close_case(&f);
}

static void check_clip(const char *name, const lf_kernels *k) { check_tower(name, k, "vision_model."); }
static void check_whole_names(const char *name, const lf_kernels *k) { check_tower(name, k, "-"); }
static void test_towers(void **state) {
    (void)state;
    static const char *const names[] = {"clip-tiny", "siglip-tiny"};
    each_available("fp32", names, 2, check_clip);
    each_available("fp32", names, 2, check_whole_names);
}

/* ---- names of targets ---- */

/* PEFT sees the layers of SigLIP's pooling head, which carry no adapter: what is written must not mean them. */
static void check_targets(const char *name, const lf_kernels *k) {
    static const char *const idle[] = {"vision_model.head.attention.out_proj", "vision_model.head.mlp.fc1",
                                       "vision_model.head.mlp.fc2"};
    fixture f;
    training t;
    cJSON *config;
    const cJSON *target;
    char *dir = scratch();
    open_model(&f, name, k, LF_LOAD_FROZEN);
    open_training(&t, &f, "pissa", NULL, 0);
    assert_int_equal(lf_adapter_count(t.adapter), 6 * f.model->n_layers);
    OK(lf_adapter_save(t.adapter, &f.model->nn, dir, &(lf_adapter_facts){.base_path = name}, &err));
    OK(lf_json_read_in(&config, dir, "adapter_config.json", &err));
    cJSON_ArrayForEach(target, cJSON_GetObjectItemCaseSensitive(config, "target_modules")) {
        for (size_t i = 0; i < sizeof idle / sizeof *idle; i++) {
            const size_t n = strlen(idle[i]), m = strlen(target->valuestring);
            if (m <= n && strcmp(idle[i] + n - m, target->valuestring) == 0)
                fail_msg("%s means %s", target->valuestring, idle[i]);
        }
    }
    cJSON_Delete(config);
    close_training(&t);
    OK(lf_remove_tree(dir, &err));
    close_case(&f);
}

static void test_targets(void **state) {
    (void)state;
    static const char *const names[] = {"siglip-tiny"};
    each_available("fp32", names, 1, check_targets);
}

/* ---- parameters that nothing is made of ---- */

/* Saved with their module, as PEFT wants it, and not trained: they stay what the base has, and carry no gradient. */
static void check_idle(const char *name, const lf_kernels *k) {
    fixture f;
    lf_adapter *a;
    lf_adapter_opts opts;
    lf_safetensors *st;
    char *dir = scratch(), path[600];
    int n_idle = 0, n_used = 0;
    open_model(&f, name, k, LF_LOAD_FROZEN);
    lf_config *cfg = config_for("true", NULL);
    OK(lf_config_set(cfg, "modules_to_save", "embeddings", &err));
    OK(lf_adapter_opts_read(&opts, cfg, &err));
    OK(lf_adapter_new(&a, &f.model->nn, &opts, &err));
    OK(lf_adapter_save(a, &f.model->nn, dir, &(lf_adapter_facts){.base_path = name}, &err));
    snprintf(path, sizeof path, "%s/adapter_model.safetensors", dir);
    OK(lf_safetensors_open(&st, path, &err));
    for (int64_t i = 0; i < f.model->nn.n_params; i++) {
        const lf_param *p = f.model->nn.params[i];
        if (!lf_nn_is_beside(&f.model->nn, p)) continue;
        snprintf(path, sizeof path, "base_model.model.%s", p->name);
        const lf_st_tensor *t = lf_safetensors_find(st, path);
        if (!t) fail_msg("%s: '%s' is not in the adapter", name, path);
        if ((p->use == LF_PARAM_IDLE) != (p->tensor.grad == NULL)) fail_msg("%s: %s and its gradient", name, p->name);
        n_idle += p->use == LF_PARAM_IDLE;
        n_used += p->use != LF_PARAM_IDLE;
        const lf_st_tensor *base = lf_safetensors_find(f.model->weights, p->file_name);
        if (p->use == LF_PARAM_IDLE)
            assert_true(base && base->size == t->size && !memcmp(base->data, t->data, t->size));
    }
    assert_true(n_idle == 1 && n_used >= 4); /* a mask token; a class token, positions, a projection and its bias */
    lf_safetensors_close(st);
    lf_adapter_free(a);
    lf_config_free(cfg);
    OK(lf_remove_tree(dir, &err));
    close_case(&f);
}

static void test_idle(void **state) {
    (void)state;
    static const char *const names[] = {"dinov2-tiny", "dinov2-registers"};
    each_available("fp32", names, 2, check_idle);
}

/* ---- all weights trained ---- */

/* What a classifier does not use: of SigLIP's pooling head and CLIP's last norm nothing is learned. */
static bool is_used(const lf_param *p) {
    static const char *const idle[] = {"vision_model.head.", "vision_model.post_layernorm.", "mask_token"};
    if (strstr(p->name, idle[0]) || strstr(p->name, idle[2])) return false;
    return !strstr(p->name, idle[1]);
}

static void check_all_trained(const char *name, const lf_kernels *k) {
    fixture f;
    open_model(&f, name, k, LF_LOAD_TRAINED);
    const bool siglip = strcmp(f.model->family->model_type, "siglip") == 0;
    lf_tensor *features = features_of(f.model, f.g, golden(&f, "pixels", NULL), true);
    const int32_t labels[] = {0, 1, 2, 0, 1};
    OK(lf_model_train_head(f.model, &err));
    lf_tensor *loss = lf_cross_entropy(f.g, lf_model_logits(f.g, f.model->head.module, features), labels, 5, 0);
    OK(lf_graph_status(f.g, &err));
    OK(lf_graph_backward(f.g, loss, 1, &err));
    for (int64_t i = 0; i < f.model->nn.n_params; i++) {
        const lf_param *p = f.model->nn.params[i];
        double size = 0;
        assert_non_null(p->tensor.grad);
        for (int64_t j = 0; j < p->tensor.numel; j++) size += fabs((double)((const float *)p->tensor.grad)[j]);
        const bool used = is_used(p) || (siglip && strstr(p->name, "post_layernorm"));
        /* of k's bias softmax takes nothing: its gradient is rounding alone */
        if (!isfinite(size) || (used && !strstr(p->name, "k_proj.bias") ? size < 1e-7 : !used && size != 0))
            fail_msg("%s: %s: gradients sum to %g", name, p->name, size);
    }
    close_case(&f);
}

static void test_all_trained(void **state) {
    (void)state;
    static const char *const names[] = {"vit-resized",      "deit-tiny", "dinov2-tiny", "dinov2-resized",
                                        "dinov2-registers", "clip-tiny", "siglip-tiny"};
    each_available("fp32", names, sizeof names / sizeof *names, check_all_trained);
    lf_err err = {0};
    lf_model *m;
    char path[600];
    snprintf(path, sizeof path, "%s/golden/beit-tiny", LF_TEST_DIR);
    const lf_kernels *k[8];
    assert_true(lf_kernels_available("fp32", k, 8) > 0);
    assert_int_equal(lf_model_open(&m, path, &(lf_model_opts){.k = k[0], .load = LF_LOAD_TRAINED}, &err),
                     LF_EUNSUPPORTED);
    assert_non_null(strstr(err.message, "relative position"));
}

/* ---- what config.json asks for in vain ---- */

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *name, *key, *value, *says;
    } bad[] = {
        {"dinov2-tiny", "image_size", "[16, 20]", "image_size"},
        {"dinov2-tiny", "mlp_ratio", "0", "mlp_ratio"},
        {"dinov2-tiny", "drop_path_rate", "1", "drop_path_rate"},
        {"dinov2-registers", "num_register_tokens", "-1", "num_register_tokens"},
        {"dinov2-registers", "patch_size", "5", "patch_size"},
        {"beit-tiny", "use_shared_relative_position_bias", "true", "both"},
        {"beit-tiny", "image_size", "[16, 20]", "image_size"},
        {"beit-tiny", "hidden_act", "\"mish\"", "hidden_act"},
        {"deit-tiny", "patch_size", "[4, 2]", "patch_size"},
        {"clip-tiny", "vision_config", "null", "vision_config"},
        {"clip-tiny", "vision_config_dict", "{\"image_size\": 30}", "patch_size"}, /* stands in the other's place */
        {"siglip-tiny", "vision_config", "{\"hidden_size\": 10}", "num_attention_heads"},
    };
    const lf_kernels *k[8];
    assert_true(lf_kernels_available("fp32", k, 8) > 0);
    char *dir = scratch(), path[100];
    snprintf(path, sizeof path, "%s/config.json", dir);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cJSON *config = config_of(bad[i].name);
        lf_model *m = NULL;
        lf_err said = {0};
        cJSON_DeleteItemFromObjectCaseSensitive(config, bad[i].key);
        cJSON_AddItemToObject(config, bad[i].key, cJSON_Parse(bad[i].value));
        OK(lf_json_write_in(dir, "config.json", config, true, &err));
        cJSON_Delete(config);
        const lf_status rc = lf_model_outline(&m, path, k[0], &said);
        if ((rc != LF_EUNSUPPORTED && rc != LF_EDATA) || !strstr(said.message, bad[i].says))
            fail_msg("%s, %s = %s: %d: %s", bad[i].name, bad[i].key, bad[i].value, rc, said.message);
    }
    OK(lf_remove_tree(dir, &err));
    assert_int_equal(lf_alloc_live(), 0);
}

/* ---- the size of pictures ---- */

static void test_prepared_size(void **state) {
    (void)state;
    static const struct {
        const char *processor;
        int64_t height, width; /* 16: left as it was */
    } cases[] = {
        {"{\"size\": {\"height\": 24, \"width\": 20}}", 24, 20},
        {"{\"size\": 28}", 28, 28},
        {"{\"size\": {\"shortest_edge\": 32}, \"crop_size\": {\"height\": 20, \"width\": 24}, \"do_center_crop\": "
         "true}",
         20, 24},
        {"{\"size\": {\"shortest_edge\": 32}, \"crop_size\": 24}", 24, 24},
        {"{\"size\": 24, \"crop_size\": 20, \"do_center_crop\": false}", 24, 24},
        {"{\"size\": {\"shortest_edge\": 32}}", 16, 16},
        {"{\"size\": 28, \"do_resize\": false}", 16, 16},
        {"{\"size\": 0}", 16, 16},
        {"{}", 16, 16},
    };
    const lf_kernels *k[8];
    assert_true(lf_kernels_available("fp32", k, 8) > 0);
    char *dir = scratch(), path[100];
    cJSON *config = config_of("vit-base");
    OK(lf_json_write_in(dir, "config.json", config, true, &err));
    cJSON_Delete(config);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cJSON *processor = cJSON_Parse(cases[i].processor);
        lf_model *m;
        OK(lf_json_write_in(dir, "preprocessor_config.json", processor, true, &err));
        cJSON_Delete(processor);
        snprintf(path, sizeof path, "%s/config.json", dir);
        OK(lf_model_outline(&m, path, k[0], &err));
        if (m->pixels.height != cases[i].height || m->pixels.width != cases[i].width)
            fail_msg("%s: %lld x %lld", cases[i].processor, (long long)m->pixels.height, (long long)m->pixels.width);
        lf_model_free(m);
    }
    OK(lf_remove_tree(dir, &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_written),      cmocka_unit_test(test_towers),
                                       cmocka_unit_test(test_targets),      cmocka_unit_test(test_idle),
                                       cmocka_unit_test(test_all_trained),  cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_prepared_size)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
