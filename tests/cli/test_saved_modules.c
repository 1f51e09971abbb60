#define _DEFAULT_SOURCE /* mkdtemp */
/* Adapters that hold a module whole, on models that can have it and on models that cannot: every verb says so by name,
 * and none of them dies. */
#include "cli/program_fixture.h"

enum { LM_C = 48, LM_I = 56, LM_Q = 60, V = 211, VIT_C = 32, LABELS = 3 }; /* of the models below */

static const char *const model_dirs[] = {LF_TEST_DIR "/golden/lm-llama", LF_TEST_DIR "/golden/vit-base"};
enum { LM, VIT };

/* An adapter of rank 1 on one module, with at most one module saved whole. */
typedef struct adapter {
    const char *name, *task_type, *target, *path, *saved, *tensor;
    int64_t target_out, target_in, rows, columns, bias; /* bias 0: none */
} adapter;

static void write_numbers(lf_st_writer *w, int64_t n) {
    lf_err err = {0};
    float *numbers = lf_calloc((size_t)n, sizeof *numbers);
    assert_non_null(numbers);
    for (int64_t i = 0; i < n; i++) numbers[i] = 0.01f;
    if (lf_st_writer_write_f32(w, numbers, n, &err)) fail_msg("%s", err.message);
    lf_free(numbers);
}

static void write_adapter(const adapter *a) {
    lf_err err = {0};
    lf_st_writer *w;
    if (lf_mkdir_p(text("%s/%s", root, a->name), &err)) fail_msg("%s", err.message);
    FILE *f = fopen(text("%s/%s/adapter_config.json", root, a->name), "w");
    assert_non_null(f);
    fprintf(f, "{\"peft_type\": \"LORA\", \"r\": 1, \"lora_alpha\": 1, \"target_modules\": [\"%s\"], \"task_type\": %s",
            a->target, a->task_type);
    fprintf(f, a->saved ? ", \"modules_to_save\": [%s]}" : "}", a->saved);
    fclose(f);
    const struct {
        char *name;
        int ndim;
        int64_t shape[2];
    } tensors[] = {{text("base_model.model.%s.lora_A.weight", a->path), 2, {1, a->target_in}},
                   {text("base_model.model.%s.lora_B.weight", a->path), 2, {a->target_out, 1}},
                   {text("base_model.model.%s.weight", a->tensor ? a->tensor : ""), 2, {a->rows, a->columns}},
                   {text("base_model.model.%s.bias", a->tensor ? a->tensor : ""), 1, {a->bias, 1}}};
    const int n = !a->tensor ? 2 : a->bias ? 4 : 3;
    if (lf_st_writer_new(&w, text("%s/%s/adapter_model.safetensors", root, a->name), &err)) fail_msg("%s", err.message);
    for (int i = 0; i < n; i++)
        if (lf_st_writer_declare(w, tensors[i].name, LF_F32, tensors[i].ndim, tensors[i].shape, &err))
            fail_msg("%s", err.message);
    for (int i = 0; i < n; i++) write_numbers(w, tensors[i].shape[0] * tensors[i].shape[1]);
    if (lf_st_writer_commit(w, &err)) fail_msg("%s", err.message);
}

#define ON_LM                                                                                                          \
    .target = "0.self_attn.q_proj", .path = "model.layers.0.self_attn.q_proj", .target_out = LM_Q, .target_in = LM_C
#define ON_VIT                                                                                                         \
    .target = "0.attention.q_proj", .path = "vit.layers.0.attention.q_proj", .target_out = VIT_C, .target_in = VIT_C

static const struct {
    adapter a;
    int model;
    const char *words[5]; /* what the message holds; none: the adapter can be put on */
} cases[] = {
    {{"plain-lm", "\"CAUSAL_LM\"", ON_LM}, LM, {NULL}},
    {{"lm-head", "\"CAUSAL_LM\"", ON_LM, .saved = "\"lm_head\"", .tensor = "lm_head", .rows = V, .columns = LM_C},
     LM,
     {NULL}},
    {{"embedding", "\"CAUSAL_LM\"", ON_LM, .saved = "\"embed_tokens\"", .tensor = "model.embed_tokens", .rows = V,
      .columns = LM_C},
     LM,
     {NULL}},
    {{"short-embedding", "\"CAUSAL_LM\"", ON_LM, .saved = "\"embed_tokens\"", .tensor = "model.embed_tokens",
      .rows = V - 1, .columns = LM_C},
     LM,
     {"short-embedding/", "'base_model.model.model.embed_tokens.weight'", "[211, 48]", "[210, 48]"}},
    {{"long-embedding", "\"CAUSAL_LM\"", ON_LM, .saved = "\"embed_tokens\"", .tensor = "model.embed_tokens",
      .rows = V + 1, .columns = LM_C}, /* its output layer, which has grown too, is lost */
     LM,
     {"long-embedding/", "'model.embed_tokens' has 212 rows", "'lm_head' 211", "save both"}},
    {{"wide-embedding", "\"CAUSAL_LM\"", ON_LM, .saved = "\"embed_tokens\"", .tensor = "model.embed_tokens",
      .rows = V + 1, .columns = LM_C + 1},
     LM,
     {"wide-embedding/", "[211, 48]", "[212, 49]"}},
    {{"embedding-unnamed", "\"CAUSAL_LM\"", ON_LM, .tensor = "model.embed_tokens", .rows = V, .columns = LM_C},
     LM,
     {NULL}}, /* as PEFT saves it on its own */
    {{"inner-unnamed", "\"CAUSAL_LM\"", ON_LM, .tensor = "model.layers.1.mlp.up_proj", .rows = LM_I, .columns = LM_C},
     LM,
     {"inner-unnamed/", "model.layers.1.mlp.up_proj.weight'", "modules_to_save"}},
    {{"long-norm", "\"CAUSAL_LM\"", ON_LM, .saved = "\"down_proj\"", .tensor = "model.layers.0.mlp.down_proj",
      .rows = LM_C + 1, .columns = LM_I},
     LM,
     {"long-norm/", "[48, 56]", "[49, 56]"}},
    {{"score", "\"SEQ_CLS\"", ON_LM, .saved = "\"classifier\", \"score\"", .tensor = "score", .rows = LABELS,
      .columns = LM_C},
     LM,
     {NULL}},
    {{"score-bias", "\"SEQ_CLS\"", ON_LM, .saved = "\"classifier\", \"score\"", .tensor = "score", .rows = LABELS,
      .columns = LM_C, .bias = LABELS},
     LM,
     {"score-bias/adapter_model.safetensors", "score.weight'", "[.., 48] without a bias", "[3, 48] with one"}},
    {{"inner", "\"CAUSAL_LM\"", ON_LM, .saved = "\"down_proj\"", .tensor = "model.layers.1.mlp.down_proj", .rows = LM_C,
      .columns = LM_I},
     LM,
     {"inner/adapter_model.safetensors", "model.layers.0.mlp.down_proj.weight'", "missing", "modules_to_save"}},
    {{"inner-bias", "\"CAUSAL_LM\"", ON_LM, .saved = "\"layers.1.mlp.down_proj\"",
      .tensor = "model.layers.1.mlp.down_proj", .rows = LM_C, .columns = LM_I},
     LM,
     {"inner-bias/adapter_model.safetensors", "model.layers.1.mlp.down_proj.bias'", "missing"}},
    {{"whole-inner", "\"CAUSAL_LM\"", ON_LM, .saved = "\"layers.1.mlp.down_proj\"",
      .tensor = "model.layers.1.mlp.down_proj", .rows = LM_C, .columns = LM_I, .bias = LM_C},
     LM,
     {NULL}},
    {{"picture-head-on-lm", "null", ON_LM, .saved = "\"classifier\"", .tensor = "classifier", .rows = LABELS,
      .columns = LM_C, .bias = LABELS},
     LM,
     {"picture-head-on-lm/", "'classifier'", "no such module", "language model", "try"}},
    {{"vit-on-lm", "null", ON_VIT}, LM, {"vit-on-lm/", "no module 'vit.layers.0.attention.q_proj'", "another model"}},
    {{"picture", "null", ON_VIT, .saved = "\"classifier\"", .tensor = "classifier", .rows = LABELS, .columns = VIT_C,
      .bias = LABELS},
     VIT,
     {NULL}},
    {{"lm-on-vit", "\"CAUSAL_LM\"", ON_LM}, VIT, {"lm-on-vit/", "no module 'model.layers.0.self_attn.q_proj'"}},
    {{"lm-head-on-vit", "\"CAUSAL_LM\"", ON_LM, .saved = "\"lm_head\"", .tensor = "lm_head", .rows = V,
      .columns = VIT_C},
     VIT,
     {"lm-head-on-vit/", "'lm_head'", "no such module", "a model of type 'vit'", "try"}},
    {{"score-on-vit", "\"SEQ_CLS\"", ON_VIT, .saved = "\"score\"", .tensor = "score", .rows = LABELS, .columns = VIT_C},
     VIT,
     {"score-on-vit/", "'score'", "no such module", "a model of type 'vit'", "try"}},
    {{"wide-head", "null", ON_VIT, .saved = "\"classifier\"", .tensor = "classifier", .rows = LABELS,
      .columns = VIT_C + 1, .bias = LABELS},
     VIT,
     {"wide-head/", "'base_model.model.classifier.weight'", "[.., 32] with a bias", "[3, 33] with one"}},
    {{"no-bias", "null", ON_VIT, .saved = "\"classifier\"", .tensor = "classifier", .rows = LABELS, .columns = VIT_C},
     VIT,
     {"no-bias/", "classifier.weight'", "with a bias", "[3, 32] without"}},
};

/* What a verb wants beside model and adapter, and how it ends on each kind of model when the adapter is put on. */
static const struct {
    const char *verb, *more;
    int exit_code[2];
} verbs[] = {
    {"inspect", "", {0, 0}},
    {"spectrum", "", {0, 0}},
    {"merge", "-o merged", {0, 0}},
    {"eval", "--data none", {3, 3}},    /* there are no such data, */
    {"predict", "--data none", {3, 3}}, /* and no pictures for a language model */
    {"generate", "--prompt x", {3, 3}}, /* the folder has no tokenizer */
};

static void check(size_t i, size_t v, int code) {
    const char *const *word = cases[i].words;
    const int want = *word ? 3 : verbs[v].exit_code[cases[i].model];
    if (code != want)
        fail_msg("%s, %s: exit code %d, expected %d; it said:\n%s", verbs[v].verb, cases[i].a.name, code, want, output);
    if (!*word && code && strstr(output, text("%s/adapter_", cases[i].a.name)))
        fail_msg("%s: the adapter %s is blamed:\n%s", verbs[v].verb, cases[i].a.name, output);
    for (size_t w = 0; w < sizeof cases[i].words / sizeof cases[i].words[0] && word[w]; w++)
        if (!strstr(output, word[w]))
            fail_msg("%s, %s: no \"%s\" in:\n%s", verbs[v].verb, cases[i].a.name, word[w], output);
}

static void test_every_verb(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_adapter(&cases[i].a);
        for (size_t v = 0; v < sizeof verbs / sizeof verbs[0]; v++) {
            lf_err err = {0};
            if (lf_remove_tree(text("%s/merged", root), &err)) fail_msg("%s", err.message);
            check(i, v,
                  run_shell(text("{ cd %s && %s/lora-ft %s --model %s --adapter %s %s; } 2>&1", root, LF_BUILD_DIR,
                                 verbs[v].verb, model_dirs[cases[i].model], cases[i].a.name, verbs[v].more)));
        }
    }
}

/* A head alone (method head) of a picture model has no adapter_config.json. */
static void test_a_head_alone(void **state) {
    (void)state;
    lf_err err = {0};
    const adapter a = cases[6].a;
    write_adapter(&a);
    FILE *f = fopen(text("%s/%s/lora_ft.json", root, a.name), "w");
    assert_non_null(f);
    fputs("{\"kind\": \"head\"}", f);
    fclose(f);
    lf_st_writer *w;
    if (lf_st_writer_new(&w, text("%s/%s/adapter_model.safetensors", root, a.name), &err) ||
        lf_st_writer_declare(w, "base_model.model.classifier.weight", LF_F32, 2, (int64_t[]){LABELS, VIT_C}, &err) ||
        lf_st_writer_declare(w, "base_model.model.classifier.bias", LF_F32, 1, (int64_t[]){LABELS}, &err))
        fail_msg("%s", err.message);
    write_numbers(w, LABELS * VIT_C);
    write_numbers(w, LABELS);
    if (lf_st_writer_commit(w, &err)) fail_msg("%s", err.message);
    for (size_t v = 0; v < sizeof verbs / sizeof verbs[0]; v++) {
        const int code = run_shell(text("{ cd %s && %s/lora-ft %s --model %s --adapter %s %s; } 2>&1", root,
                                        LF_BUILD_DIR, verbs[v].verb, model_dirs[LM], a.name, verbs[v].more));
        if (code != 3 || !strstr(output, "'classifier'") || !strstr(output, "language model"))
            fail_msg("%s: exit code %d; it said:\n%s", verbs[v].verb, code, output);
    }
}

static int setup(void **state) {
    (void)state;
    return mkdtemp(root) == NULL;
}

static int teardown(void **state) {
    (void)state;
    lf_err err = {0};
    return lf_remove_tree(root, &err) != LF_OK;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_verb), cmocka_unit_test(test_a_head_alone)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
