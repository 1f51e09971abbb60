/* A pass that begins behind frozen layers, with what other passes kept: for every family and at every layer it says the
 * same bytes as one that begins at the beginning, although each row was kept alone. */
#define _POSIX_C_SOURCE 200809L
#include "golden/golden_fixture.h"

#include "task/prefix.h"

static const char *const cases[] = {"vit-base",       "vit-resized",
                                    "deit-tiny",      "dinov2-registers",
                                    "dinov2-gated",   "beit-tiny",
                                    "clip-tiny",      "siglip-tiny",
                                    "enc-bert",       "enc-roberta",
                                    "enc-distilbert", "enc-modernbert",
                                    "enc-bert-mlm",   "enc-modernbert-mean",
                                    "lm-llama",       "lm-llama3",
                                    "lm-mistral",     "lm-qwen3",
                                    "lm-gpt2",        "lm-dynamic",
                                    "lm-smollm3",     "lm-olmo2",
                                    "lm-phi3",        "lm-granite",
                                    "lm-gemma2",      "lm-gemma3"};
enum { N_CASES = sizeof cases / sizeof cases[0], MOST = 256 };

/* A batch of texts of unequal lengths, or of pictures. */
typedef struct rows {
    lf_example_batch batch;
    int32_t first[MOST], positions[MOST], types[MOST], filled[8];
    int64_t indices[8];
} rows;

static bool is_text(const fixture *f) { return f->model->family->input == LF_TOKENS; }
static bool is_causal(const fixture *f) { return is_text(f) && lf_model_says(f->model, LF_NEXT_TOKEN); }

static void fill_texts(rows *r, const fixture *f) {
    lf_model_input *in = &r->batch.in;
    const lf_st_tensor *ids = lf_safetensors_find(f->gold, "ids");
    in->B = ids->shape[1];
    in->T = ids->shape[2];
    assert_true(in->B * in->T <= MOST && in->B <= 8);
    in->ids = (const int32_t *)ids->data;
    for (int64_t b = 0; b < in->B; b++) {
        r->filled[b] = (int32_t)(in->T - 3 * b < 2 ? 2 : in->T - 3 * b);
        for (int64_t t = 0; t < in->T; t++) { /* padding is a document of its own */
            const bool inside = t < r->filled[b];
            r->first[b * in->T + t] = inside ? 0 : r->filled[b];
            r->positions[b * in->T + t] = (int32_t)(inside ? t : t - r->filled[b]);
        }
    }
    r->batch.filled = r->filled;
    in->positions = r->positions;
    if (is_causal(f))
        in->first = r->first;
    else
        in->lengths = r->filled;
    if (!is_causal(f)) in->token_types = r->types;
}

static void fill(rows *r, const fixture *f) {
    *r = (rows){0};
    for (int64_t i = 0; i < 8; i++) r->indices[i] = i;
    r->batch.indices = r->indices;
    if (is_text(f)) {
        fill_texts(r, f);
        return;
    }
    const lf_st_tensor *pixels = lf_safetensors_find(f->gold, "pixels");
    r->batch.in.B = pixels->shape[1];
    r->batch.in.pixels = (const float *)pixels->data;
}

static lf_tensor *run(fixture *f, const lf_example_batch *b, lf_prefix *prefix) {
    const lf_pass pass = {.in = b->in, .prefix = prefix};
    const bool classes = !is_text(f) || lf_model_says(f->model, LF_CLASSES);
    lf_graph_begin(f->g, false, false, 0);
    lf_tensor *out = classes ? lf_model_features(f->model, f->g, &pass) : lf_lm_hidden(f->model, f->g, &pass);
    OK(lf_graph_status(f->g, &err));
    return out;
}

/* BLAS multiplies few rows in another order than many: a run asks of its first batch whether that matters
 * (train/prefix.c). */
static bool is_exact(const lf_kernels *k) { return strncmp(k->name, "avx2", 4) && strncmp(k->name, "sse2", 4); }

static bool same(const fixture *f, const lf_tensor *out, const void *a, const void *b, size_t bytes) {
    if (is_exact(f->k) || out->dtype != LF_F32) return memcmp(a, b, bytes) == 0 || !is_exact(f->k);
    const float *x = a, *y = b;
    bool near = true;
    for (size_t i = 0; i < bytes / sizeof *x; i++) near = near && fabsf(x[i] - y[i]) <= 1e-3f * (1 + fabsf(y[i]));
    return near;
}

/* Of states of tokens those that are no padding. */
static void same_rows(const fixture *f, const rows *r, const lf_tensor *out, const char *want, int64_t layer) {
    const size_t token = (size_t)out->shape[out->ndim - 1] * lf_dtype_size(out->dtype);
    const int64_t T = out->ndim == 3 ? out->shape[1] : 1;
    for (int64_t b = 0; b < r->batch.in.B; b++)
        for (int64_t t = 0; t < (T > 1 ? r->filled[b] : 1); t++)
            if (!same(f, out, (const char *)out->data + (size_t)(b * T + t) * token, want + (size_t)(b * T + t) * token,
                      token))
                fail_msg("%s, %s %s: with the first %lld layers kept, row %lld says something else", f->name,
                         f->k->name, f->k->precision, (long long)layer, (long long)b);
}

static void check_layer(fixture *f, const rows *r, int64_t layer, const char *want, uint64_t nodes) {
    const lf_prefix_opts o = {.layer = layer,
                              .rows = 8,
                              .tokens = is_text(f) ? MOST : 0,
                              .most = 1e8,
                              .number = (int64_t)lf_dtype_size(f->k->act_dtype)};
    lf_prefix_store *s;
    OK(lf_prefix_open(&s, &o, &err));
    for (int64_t i = 0; i < r->batch.in.B; i++) {
        const lf_example_batch row = lf_batch_row(&r->batch, i, &f->model->pixels);
        lf_prefix *p = lf_prefix_for(s, &row);
        assert_false(p->known);
        (void)run(f, &row, p);
        assert_true(lf_prefix_for(s, &row)->known);
    }
    lf_prefix *p = lf_prefix_for(s, &r->batch);
    assert_true(p->known);
    const lf_tensor *out = run(f, &r->batch, p);
    same_rows(f, r, out, want, layer);
    assert_true(lf_graph_nodes(f->g) == nodes); /* else dropout behind it would be another */
    lf_prefix_close(s);
}

static void check(const char *name, const lf_kernels *k) {
    fixture f;
    rows r;
    open_model(&f, name, k, LF_LOAD_FROZEN);
    fill(&r, &f);
    const lf_tensor *out = run(&f, &r.batch, NULL);
    const uint64_t nodes = lf_graph_nodes(f.g);
    const size_t bytes = (size_t)out->numel * lf_dtype_size(out->dtype);
    char *want = lf_malloc(bytes);
    assert_non_null(want);
    memcpy(want, out->data, bytes);
    assert_int_equal(lf_model_frozen_layers(f.model), f.model->n_layers);
    for (int64_t layer = 0; layer <= f.model->n_layers; layer++) check_layer(&f, &r, layer, want, nodes);
    lf_free(want);
    close_case(&f);
}

static void test_begins_late(void **state) {
    (void)state;
    each_available("fp32", cases, N_CASES, check);
    each_available("bf16", cases, N_CASES, check);
}

/* Room that no machine has is a reason not to keep anything, not the end of a run; and what keeps two rows of many asks
 * for two. */
static void test_no_memory_for_it(void **state) {
    (void)state;
    const lf_kernels *k;
    fixture f;
    rows r;
    OK(lf_kernels_select(&k, "fp32", &err));
    open_model(&f, "vit-base", k, LF_LOAD_FROZEN);
    fill(&r, &f);
    for (int64_t few = 0; few <= 2; few += 2) {
        const lf_prefix_opts o = {
            .layer = 1, .rows = 8, .tokens = few ? 0 : INT64_C(1) << 50, .few = few, .most = HUGE_VAL, .number = 4};
        lf_prefix_store *s;
        OK(lf_prefix_open(&s, &o, &err));
        const lf_example_batch row = lf_batch_row(&r.batch, 0, &f.model->pixels);
        (void)run(&f, &row, lf_prefix_for(s, &row));
        const char *why = lf_prefix_obstacle(s);
        if (few)
            assert_null(why);
        else if (!why || !strstr(why, "there is no memory for the "))
            fail_msg("found %s", why ? why : "nothing");
        if (few) assert_true(lf_prefix_bytes(s) > 0 && lf_prefix_bytes(s) < 2 * 1e5);
        lf_prefix_close(s);
    }
    close_case(&f);
}

/* What is trained says where the frozen part ends. */
static void test_where_it_ends(void **state) {
    (void)state;
    static const struct {
        const char *model, *param;
        int64_t layers; /* -1: all */
    } trained[] = {
        {"vit-base", "classifier.weight", -1},
        {"vit-base", "vit.layernorm.weight", -1},
        {"vit-base", "vit.layers.1.layernorm_before.weight", 1},
        {"vit-base", "vit.layers.0.mlp.fc2.bias", 0},
        {"vit-base", "vit.embeddings.cls_token", 0},
        {"vit-base", "vit.embeddings.patch_embeddings.projection.weight", 0},
        {"clip-tiny", "vision_model.pre_layrnorm.weight", 0},
        {"clip-tiny", "vision_model.post_layernorm.weight", -1},
        {"lm-llama", "model.norm.weight", -1},
        {"lm-llama", "model.layers.1.input_layernorm.weight", 1},
        {"lm-gpt2", "transformer.wpe.weight", 0},
        {"enc-bert", "bert.embeddings.LayerNorm.weight", 0},
        {"enc-bert", "bert.pooler.dense.weight", -1},
        {"enc-modernbert", "head.norm.weight", -1},
        {"enc-modernbert", "model.embeddings.norm.weight", 0},
        {"enc-modernbert", "model.final_norm.weight", -1},
    };
    const lf_kernels *k;
    OK(lf_kernels_select(&k, "fp32", &err));
    for (size_t i = 0; i < sizeof trained / sizeof *trained; i++) {
        fixture f;
        open_model(&f, trained[i].model, k, LF_LOAD_TRAINED);
        lf_param *found = NULL;
        for (int64_t p = 0; p < f.model->nn.n_params; p++) {
            lf_param *param = f.model->nn.params[p];
            param->tensor.requires_grad = false;
            if (strcmp(param->name, trained[i].param) == 0) found = param;
        }
        if (!found) fail_msg("%s has no '%s'", trained[i].model, trained[i].param);
        found->tensor.requires_grad = true;
        const int64_t want = trained[i].layers < 0 ? f.model->n_layers : trained[i].layers;
        if (lf_model_frozen_layers(f.model) != want)
            fail_msg("%s: with '%s' trained %lld layers are frozen, expected %lld", trained[i].model, trained[i].param,
                     (long long)lf_model_frozen_layers(f.model), (long long)want);
        close_case(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_begins_late),
        cmocka_unit_test(test_no_memory_for_it),
        cmocka_unit_test(test_where_it_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
