/* Pictures beside the embeddings of texts, as transformers' CLIPModel and SiglipModel compare them
 * (scripts/make-golden-zero-shot.py), and files that cannot be compared with. */
#define _POSIX_C_SOURCE 200809L
#include "golden/golden_fixture.h"

static const char *const cases[] = {"zero-clip", "zero-siglip"};
enum { N_CASES = sizeof cases / sizeof cases[0], PICTURES = 6, CLASSES = 5 };

static const char *embeddings_of(const char *name) {
    static char path[600];
    snprintf(path, sizeof path, "%s/golden/%s/class_embeddings.safetensors", LF_TEST_DIR, name);
    return path;
}

static void check_logits(const char *name, const lf_kernels *k) {
    fixture f;
    open_model(&f, name, k, LF_LOAD_FROZEN);
    const int64_t modules = f.model->nn.n_modules, params = f.model->nn.n_params;
    OK(lf_model_compare_with(f.model, embeddings_of(name), &err));
    assert_true(f.model->nn.n_modules == modules && f.model->nn.n_params == params); /* no one else sees them */
    const lf_classifier *head = &f.model->base_head;
    assert_true(head->n_labels == CLASSES && head->problem == LF_SINGLE_LABEL);
    assert_string_equal(head->labels[4], "eel");
    const lf_pass pass = {.in = {.B = PICTURES, .pixels = golden(&f, "pixels", NULL)}, .base = true, .head = head};
    lf_graph_begin(f.g, false, false, 0);
    const lf_tensor *logits = lf_model_logits(f.g, head->module, lf_model_features(f.model, f.g, &pass));
    OK(lf_graph_status(f.g, &err));
    check_golden(&f, "logits", logits->data, logits->numel, in_bf16(k) ? 3e-2 : 2e-5);
    close_case(&f);
}

static void test_logits(void **state) {
    (void)state;
    each_available("fp32", cases, N_CASES, check_logits);
    each_available("bf16", cases, N_CASES, check_logits);
}

/* A file of `width` numbers a class, with these names. */
static const char *write_embeddings(int64_t width, float value, const char *names) {
    static const char path[] = LF_BUILD_DIR "/class_embeddings.safetensors";
    float values[2 * 64];
    lf_st_writer *w;
    for (int i = 0; i < 2 * 64; i++) values[i] = value;
    OK(lf_st_writer_new(&w, path, &err));
    if (names) OK(lf_st_writer_meta(w, "classes", names, &err));
    OK(lf_st_writer_declare(w, "class_embeddings", LF_F32, 2, (int64_t[]){2, width}, &err));
    OK(lf_st_writer_write_f32(w, values, 2 * width, &err));
    OK(lf_st_writer_commit(w, &err));
    return path;
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *model;
        int64_t width; /* 0: the file of zero-clip */
        float value;
        const char *names, *says;
        lf_status rc;
    } all[] = {
        {"vit-base", 0, 0, NULL, "'class_embeddings': a model of type 'vit'", LF_EUNSUPPORTED},
        {"clip-tiny", 0, 0, NULL, "has a classifier of its own", LF_EDATA},
        {"zero-siglip", 0, 0, NULL, "expected floats of shape [classes, 32], as this model has them, found [5, 20]",
         LF_ESHAPE},
        {"zero-clip", 19, 1, "[\"a\", \"b\"]", "found [2, 19]; is it of another model?", LF_ESHAPE},
        {"zero-clip", 20, 1, "[\"a\"]", "a list in JSON of the names of 2 classes", LF_EDATA},
        {"zero-clip", 20, 1, NULL, "a list in JSON of the names of 2 classes", LF_EDATA},
        {"zero-clip", 20, 1, "[\"a\", 1]", "expected the names of classes", LF_EDATA},
        {"zero-clip", 20, 0, "[\"a\", \"b\"]", "the embedding of class 0 has no direction", LF_EDATA},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        fixture f;
        lf_err err = {0};
        const lf_kernels *k;
        assert_int_equal(lf_kernels_available("fp32", &k, 1) > 0, 1);
        open_model(&f, all[i].model, k, LF_LOAD_FROZEN);
        const char *path =
            all[i].width ? write_embeddings(all[i].width, all[i].value, all[i].names) : embeddings_of("zero-clip");
        const lf_status rc = lf_model_compare_with(f.model, path, &err);
        if (rc != all[i].rc || !strstr(err.message, all[i].says))
            fail_msg("case %d: status %d: %s", (int)i, (int)rc, err.message);
        close_case(&f);
    }
    assert_int_equal(lf_alloc_live(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_logits), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
