/* Which modules target_modules and its companions select: PEFT's rules, over both spellings of names. */
#include "unit/adapter_fixture.h"

static lf_nn nn;

/* NULL: not given. */
typedef struct rules {
    const char *target, *exclude, *layers, *layers_pattern, *ranks, *alphas;
    bool strict;
} rules;

typedef struct matched {
    cJSON *json[6];
    lf_match match;
} matched;

static lf_status match(matched *m, rules r, lf_err *err) {
    const char *texts[6] = {r.target, r.exclude, r.layers, r.layers_pattern, r.ranks, r.alphas};
    *m = (matched){0};
    for (int i = 0; i < 6; i++) m->json[i] = texts[i] ? fixture_json(texts[i]) : NULL;
    const lf_adapter_opts o = {.r = 4,
                               .lora_alpha = 8,
                               .target_modules = m->json[0],
                               .exclude_modules = m->json[1],
                               .layers_to_transform = m->json[2],
                               .layers_pattern = m->json[3],
                               .rank_pattern = m->json[4],
                               .alpha_pattern = m->json[5],
                               .strict_targets = r.strict};
    return lf_match_modules(&m->match, &nn, &o, err);
}

static void done(matched *m) {
    lf_match_free(&m->match);
    for (int i = 0; i < 6; i++) cJSON_Delete(m->json[i]);
}

/* "0.attention.q_proj 1.mlp.fc1": what follows "vit.layers." of all that were selected. */
static void check_selects(int line, rules r, const char *expected) {
    matched m;
    char found[1024] = "";
    lf_err err = {0};
    if (match(&m, r, &err)) fail_msg("line %d: %s", line, err.message);
    for (int64_t i = 0; i < m.match.count; i++) {
        const char *name = m.match.modules[i]->name + strlen("vit.layers.");
        const size_t n = strlen(found);
        snprintf(found + n, sizeof found - n, "%s%s", i ? " " : "", name);
    }
    if (strcmp(found, expected)) fail_msg("line %d: expected %s, found %s", line, expected, found);
    done(&m);
}
#define SELECTS(expected, ...) check_selects(__LINE__, (rules){__VA_ARGS__}, expected)
#define REFUSES(rules_, ...)                                                                                           \
    do {                                                                                                               \
        matched m_;                                                                                                    \
        CHECK_FAILS(LF_EUSAGE, match(&m_, rules_, &err_), __VA_ARGS__);                                                \
        done(&m_);                                                                                                     \
    } while (0)

#define Q "0.attention.q_proj 1.attention.q_proj 2.attention.q_proj"

static void test_lists(void **state) {
    (void)state;
    SELECTS(Q, .target = "['q_proj']");
    SELECTS(Q, .target = "['attention.q_proj']");
    SELECTS(Q, .target = "['query']");                               /* the old spelling */
    SELECTS(Q, .target = "['q_proj', 'query', 'attention.q_proj']"); /* each once */
    SELECTS("1.mlp.fc1", .target = "['vit.layers.1.mlp.fc1']");
    SELECTS("1.mlp.fc1", .target = "['vit.encoder.layer.1.intermediate.dense']");
    SELECTS("0.attention.o_proj 0.mlp.fc1 0.mlp.fc2", .target = "['dense']", .layers = "[0]");
    REFUSES(((rules){.target = "['proj']"}), "\"proj\"", "matches no module", "q_proj", "query",
            "fc1"); /* no part of a word */
    REFUSES(((rules){.target = "['Q_PROJ']"}), "matches no module");
}

static void test_expressions(void **state) {
    (void)state;
    SELECTS(Q, .target = "'.*\\\\.q_proj'");
    SELECTS("0.mlp.fc1 2.mlp.fc1", .target = "'vit\\\\.layers\\\\.[02]\\\\.mlp\\\\.fc1'");
    SELECTS("1.attention.q_proj 1.attention.k_proj",
            .target = "'.*layer\\\\.1.*\\\\.(?P<what>query|key)'"); /* Python's (?P<>) */
    REFUSES(((rules){.target = "'q_proj'"}), "matches no module");  /* the whole name must match */
    REFUSES(((rules){.target = "'vit.*q_pro'"}), "matches no module");
    REFUSES(((rules){.target = "'.*(q_proj'"}), "target_modules", "regular expression");
    REFUSES(((rules){.target = "'((.*)*)*[yz]'"}), "target_modules", "simpler");
}

static void test_all_linear(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) {
        matched m;
        CHECK_OK(match(&m, (rules){.target = i == 0 ? "'all-linear'" : i == 1 ? "'all'" : "'All-Linear'"}, &err_));
        assert_int_equal(m.match.count, 5 * FIXTURE_LAYERS);
        for (int64_t k = 0; k < m.match.count; k++)
            assert_true(m.match.modules[k]->kind == LF_MODULE_LINEAR && !m.match.modules[k]->head);
        done(&m);
    }
}

static void test_exclusion(void **state) {
    (void)state;
    SELECTS("0.mlp.fc1 1.mlp.fc1 2.mlp.fc1", .target = "'all-linear'",
            .exclude = "['q_proj', 'k_proj', 'attention.output.dense', 'fc2']");
    SELECTS("0.attention.q_proj 2.attention.q_proj", .target = "['q_proj']", .exclude = "'.*layers\\\\.1\\\\..*'");
    REFUSES(((rules){.target = "['q_proj']", .exclude = "['query']"}), "matches no module", "exclude_modules");
}

static void test_layers(void **state) {
    (void)state;
    SELECTS("1.mlp.fc1", .target = "['fc1']", .layers = "1");
    SELECTS("0.mlp.fc1 2.mlp.fc1", .target = "['fc1']", .layers = "[2, 0]");
    SELECTS("1.mlp.fc1 2.mlp.fc1", .target = "['fc1', 'vit.layers.2.mlp.fc1']",
            .layers = "[1]"); /* a whole name is meant */
    SELECTS("1.mlp.fc1", .target = "['fc1']", .layers = "[1]", .layers_pattern = "'layers'");
    SELECTS("1.mlp.fc1", .target = "['intermediate.dense']", .layers = "[1]",
            .layers_pattern = "['blocks', 'layer']"); /* by the alias */
    SELECTS("0.mlp.fc1 1.mlp.fc1 2.mlp.fc1", .target = "['fc1']", .layers = "[]");
    REFUSES(((rules){.target = "['fc1']", .layers = "[1]", .layers_pattern = "'blocks'"}), "matches no module",
            "layers_to_transform");
    REFUSES(((rules){.target = "'.*fc1'", .layers = "[1]"}), "layers_to_transform", "list");
    REFUSES(((rules){.target = "'all-linear'", .layers = "[1]"}), "layers_to_transform", "list");
    REFUSES(((rules){.target = "['fc1']", .layers_pattern = "'layers'"}), "layers_pattern",
            "needs layers_to_transform");
    REFUSES(((rules){.target = "['fc1']", .layers = "[0, 7]", .strict = true}), "no layer 7", "last is 2");
    REFUSES(((rules){.target = "['fc1']", .layers = "[0.5]"}), "layers_to_transform");
    REFUSES(((rules){.target = "['fc1']", .layers = "'x'"}), "layers_to_transform");
}

static void test_ranks(void **state) {
    (void)state;
    matched m;
    CHECK_OK(match(&m,
                   (rules){.target = "['q_proj', 'fc1']",
                           .ranks = "{'layers.1.mlp.fc1': 16, 'fc1': 2, 'f': 7}",
                           .alphas = "{'query': 3.5}"},
                   &err_));
    assert_int_equal(m.match.count, 6);
    for (int64_t i = 0; i < m.match.count; i++) {
        const char *name = m.match.modules[i]->name;
        const bool fc1 = strstr(name, "fc1") != NULL;
        assert_int_equal(m.match.r[i], !fc1                  ? 4
                                       : strstr(name, ".1.") ? 16
                                                             : 2); /* the first that matches; 'f' is no whole word */
        assert_true(m.match.alpha[i] == (fc1 ? 8 : 3.5));
    }
    done(&m);
    REFUSES(((rules){.target = "['fc1']", .ranks = "{'fc3': 2}", .strict = true}), "rank_pattern", "fc3");
    REFUSES(((rules){.target = "['fc1']", .alphas = "{'query': 2}", .strict = true}), "alpha_pattern",
            "query"); /* not selected */
    REFUSES(((rules){.target = "['fc1']", .ranks = "{'fc1': 'x'}"}), "rank_pattern");
    REFUSES(((rules){.target = "['fc1']", .ranks = "{'fc1': 2.5}"}), "rank_pattern", "whole");
    REFUSES(((rules){.target = "['fc1']", .ranks = "{'fc1': 1e300}"}), "rank_pattern", "whole");
    REFUSES(((rules){.target = "['fc1']", .alphas = "{'fc1': 0}"}), "alpha_pattern", "above 0");
    REFUSES(((rules){.target = "['fc1']", .ranks = "{'(': 2}"}), "rank_pattern", "regular expression");
}

static void test_what_cannot_carry(void **state) {
    (void)state;
    REFUSES(((rules){.target = "['layernorm_before']"}), "layernorm_before", "not linear");
    REFUSES(((rules){.target = "['projection', 'fc1']"}), "projection", "not linear");
    REFUSES(((rules){.target = "['classifier']"}), "classifier", "head");
    SELECTS(Q, .target = "'.*(q_proj|layernorm_before)'");
    REFUSES(((rules){.target = "[]"}), "empty");
    REFUSES(((rules){.target = "[3]"}), "target_modules");
    REFUSES(((rules){.target = "['']"}), "target_modules");
    REFUSES(((rules){.target = "7"}), "target_modules");
    REFUSES(((rules){.target = NULL}), "target_modules");
    REFUSES(((rules){.target = "['fc1']", .exclude = "5"}), "exclude_modules");
}

static void test_unevenness(void **state) {
    (void)state;
    REFUSES(((rules){.target = "['vit.layers.1.mlp.fc1', 'q_proj']", .strict = true}), "unevenly", "mlp.fc1", "1 of 3");
    REFUSES(((rules){.target = "['q_proj']", .exclude = "'.*\\\\.0\\\\..*'", .strict = true}), "unevenly", "2 of 3");
    REFUSES(((rules){.target = "['fc1', 'fc7']", .strict = true}), "fc7", "matches no module");
    SELECTS(Q, .target = "['q_proj', 'fc7']");                                               /* a warning only */
    SELECTS("0.mlp.fc1 2.mlp.fc1", .target = "['fc1']", .layers = "[0, 2]", .strict = true); /* what was asked for */
}

static void test_coverage(void **state) {
    (void)state;
    matched m;
    CHECK_OK(match(&m, (rules){.target = "['q_proj', 'mlp.fc1']", .ranks = "{'1.mlp.fc1': 8}"}, &err_));
    const char *t = m.match.coverage;
    /* q_proj: 3 * 4 * (16 + 16); fc1: (4 + 8 + 4) * (16 + 24); head: 5 * 16 + 5 */
    assert_non_null(strstr(t, "q_proj                          3        4           384"));
    assert_non_null(strstr(t, "mlp.fc1                         3      4-8           640"));
    assert_non_null(strstr(t, "6 of 15 linear layers"));
    assert_non_null(strstr(t, "1024 in adapters + 85 others"));
    done(&m);
}

static void test_out_of_memory(void **state) {
    (void)state;
    const rules r = {.target = "['fc1', 'dense']",
                     .exclude = "'.*key'",
                     .layers = "[1]",
                     .layers_pattern = "['layers', 'layer']",
                     .ranks = "{'fc1': 2}",
                     .alphas = "{'fc1': 2}"};
    const char *texts[6] = {r.target, r.exclude, r.layers, r.layers_pattern, r.ranks, r.alphas};
    cJSON *json[6];
    for (int i = 0; i < 6; i++) json[i] = fixture_json(texts[i]);
    const lf_adapter_opts o = {.r = 4,
                               .lora_alpha = 8,
                               .target_modules = json[0],
                               .exclude_modules = json[1],
                               .layers_to_transform = json[2],
                               .layers_pattern = json[3],
                               .rank_pattern = json[4],
                               .alpha_pattern = json[5]};
    const int64_t live = lf_alloc_live();
    lf_status rc = LF_ENOMEM;
    for (int64_t k = 0; rc; k++) {
        lf_match out;
        lf_err err = {0};
        lf_alloc_fail_after(k);
        rc = lf_match_modules(&out, &nn, &o, &err);
        lf_alloc_fail_after(-1);
        if (rc)
            assert_int_equal(rc, LF_ENOMEM);
        else
            assert_int_equal(out.count, 3);
        lf_match_free(&out);
        assert_int_equal(lf_alloc_live(), live);
        assert_true(k < 1000);
    }
    for (int i = 0; i < 6; i++) cJSON_Delete(json[i]);
}

/* The configuration's words become options. */
static void test_options(void **state) {
    (void)state;
    static const struct {
        const char *init, *position, *name;
        lf_position expected;
    } given[] = {
        {NULL, NULL, "kaiming", {LF_POSITION_FRACTION, 0.5}},
        {"true", NULL, "kaiming", {LF_POSITION_FRACTION, 0.5}},
        {"intermediate", "0.25", "intermediate", {LF_POSITION_FRACTION, 0.25}},
        {"slice_eqmag", "index:7", "slice_eqmag", {LF_POSITION_INDEX, 7}},
        {"intermediate", "{\"energy\": 0.9}", "intermediate", {LF_POSITION_ENERGY, 0.9}},
        {"pissa_niter_4", NULL, "pissa_niter_4", {LF_POSITION_FRACTION, 0.5}},
        {"slice_zero", NULL, "slice_zero", {LF_POSITION_FRACTION, 0.5}},
        {"mica", NULL, "mica", {LF_POSITION_FRACTION, 1}}, /* the last block, unless another is asked for */
        {"mica", "0.5", "mica", {LF_POSITION_FRACTION, 0.5}},
        {"mica", "index:2", "mica", {LF_POSITION_INDEX, 2}},
    };
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        lf_config *cfg;
        lf_adapter_opts o;
        CHECK_OK(lf_config_new(&cfg, "train", &err_));
        if (given[i].init) CHECK_OK(lf_config_set(cfg, "init_lora_weights", given[i].init, &err_));
        if (given[i].position) CHECK_OK(lf_config_set(cfg, "init_position", given[i].position, &err_));
        CHECK_OK(lf_config_set(cfg, "r", "12", &err_));
        CHECK_OK(lf_config_set(cfg, "target_modules", "q_proj,fc1", &err_));
        CHECK_OK(lf_adapter_opts_read(&o, cfg, &err_));
        assert_string_equal(o.init, given[i].name);
        assert_true(o.position.kind == given[i].expected.kind && o.position.value == given[i].expected.value);
        assert_true(o.r == 12 && o.lora_alpha == 8 && cJSON_GetArraySize(o.target_modules) == 2);
        lf_config_free(cfg);
    }
    lf_config *cfg;
    lf_adapter_opts o;
    CHECK_OK(lf_config_new(&cfg, "train", &err_));
    CHECK_OK(lf_config_set(cfg, "init_lora_weights", "milora", &err_));
    CHECK_OK(lf_config_set(cfg, "init_position", "0.25", &err_));
    CHECK_FAILS(LF_EUSAGE, lf_adapter_opts_read(&o, cfg, &err_), "init_position",
                "not read by init_lora_weights milora", "only by intermediate, slice_eqmag, slice_zero, mica;");
    lf_config_free(cfg);
}

static int setup(void **state) {
    (void)state;
    lf_log_set_level(LF_LOG_QUIET);
    fixture_new(&nn);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    lf_nn_free(&nn);
    return lf_alloc_live() != 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_expressions),
        cmocka_unit_test(test_all_linear),
        cmocka_unit_test(test_exclusion),
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_what_cannot_carry),
        cmocka_unit_test(test_unevenness),
        cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
