/* A table of modules with a ViT's names, random weights, and a trained head: what adapters are tried on. */
#ifndef TESTS_ADAPTER_FIXTURE_H
#define TESTS_ADAPTER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <string.h>

#include "adapter/adapter.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

enum { FIXTURE_LAYERS = 3, FIXTURE_C = 16, FIXTURE_I = 24, FIXTURE_LABELS = 5 };

#define CHECK_OK(call)                                                                                                 \
    do {                                                                                                               \
        lf_err err_ = {0};                                                                                             \
        if ((call)) fail_msg("%s: %s", #call, err_.message);                                                           \
    } while (0)

/* The call fails with this status, and its one line holds all of the words (a NULL-terminated list). */
#define CHECK_FAILS(status_, call, ...)                                                                                \
    do {                                                                                                               \
        lf_err err_ = {0};                                                                                             \
        const lf_status rc_ = (call);                                                                                  \
        check_message(__LINE__, status_, rc_, &err_, (const char *const[]){__VA_ARGS__, NULL});                        \
    } while (0)

static inline void check_message(int line, lf_status expected, lf_status rc, const lf_err *err,
                                 const char *const *words) {
    if (rc != expected) fail_msg("line %d: expected status %d, got %d: %s", line, expected, rc, err->message);
    if (strchr(err->message, '\n')) fail_msg("line %d: more than one line: %s", line, err->message);
    for (; *words; words++)
        if (!strstr(err->message, *words)) fail_msg("line %d: no '%s' in: %s", line, *words, err->message);
}

static inline float fixture_random(uint64_t stream, int64_t i) {
    return (float)lf_rng_normal(lf_rng_make(7, LF_RNG_TEST, stream), (uint64_t)i);
}

static inline lf_module *fixture_linear(lf_nn *nn, lf_module_kind kind, int64_t out, int64_t in, const char *name,
                                        const char *alias) {
    lf_module *m = lf_nn_module(nn, kind, out, in, name, alias);
    assert_non_null(m);
    m->weight = lf_nn_param(nn, name, alias, "weight", 2, (int64_t[]){out, in}, true);
    m->bias = lf_nn_param(nn, name, alias, "bias", 1, (int64_t[]){out}, false);
    CHECK_OK(lf_nn_hold(nn, m->bias, &err_));
    float *W = lf_malloc((size_t)(out * in) * sizeof *W);
    for (int64_t i = 0; i < out * in; i++) W[i] = 0.1f * fixture_random((uint64_t)nn->n_modules, i);
    CHECK_OK(lf_nn_freeze(nn, m, W, &err_));
    lf_free(W);
    return m;
}

static inline lf_module *fixture_new(lf_nn *nn) {
    static const struct {
        int64_t out, in;
        const char *name, *alias;
    } parts[] = {
        {FIXTURE_C, FIXTURE_C, "attention.q_proj", "attention.attention.query"},
        {FIXTURE_C, FIXTURE_C, "attention.k_proj", "attention.attention.key"},
        {FIXTURE_C, FIXTURE_C, "attention.o_proj", "attention.output.dense"},
        {FIXTURE_I, FIXTURE_C, "mlp.fc1", "intermediate.dense"},
        {FIXTURE_C, FIXTURE_I, "mlp.fc2", "output.dense"},
    };
    CHECK_OK(lf_nn_init(nn, &lf_kernels_ref_f32, &err_));
    static const char projection[] = "vit.embeddings.patch_embeddings.projection";
    fixture_linear(nn, LF_MODULE_CONV, FIXTURE_C, 12, projection, projection);
    for (int layer = 0; layer < FIXTURE_LAYERS; layer++) {
        char name[96], alias[96];
        for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
            snprintf(name, sizeof name, "vit.layers.%d.%s", layer, parts[i].name);
            snprintf(alias, sizeof alias, "vit.encoder.layer.%d.%s", layer, parts[i].alias);
            fixture_linear(nn, LF_MODULE_LINEAR, parts[i].out, parts[i].in, name, alias);
        }
        snprintf(name, sizeof name, "vit.layers.%d.layernorm_before", layer);
        snprintf(alias, sizeof alias, "vit.encoder.layer.%d.layernorm_before", layer);
        assert_non_null(lf_nn_module(nn, LF_MODULE_NORM, FIXTURE_C, FIXTURE_C, name, alias));
    }
    lf_module *head = lf_nn_module(nn, LF_MODULE_LINEAR, FIXTURE_LABELS, FIXTURE_C, "classifier", "classifier");
    head->head = LF_CLASS_HEAD;
    head->weight =
        lf_nn_param(nn, "classifier", "classifier", "weight", 2, (int64_t[]){FIXTURE_LABELS, FIXTURE_C}, true);
    head->bias = lf_nn_param(nn, "classifier", "classifier", "bias", 1, (int64_t[]){FIXTURE_LABELS}, false);
    CHECK_OK(lf_nn_hold(nn, head->weight, &err_));
    CHECK_OK(lf_nn_hold(nn, head->bias, &err_));
    CHECK_OK(lf_nn_train(nn, head->weight, &err_));
    CHECK_OK(lf_nn_train(nn, head->bias, &err_));
    for (int64_t i = 0; i < FIXTURE_LABELS * FIXTURE_C; i++)
        ((float *)head->weight->tensor.data)[i] = fixture_random(99, i);
    for (int64_t i = 0; i < FIXTURE_LABELS; i++) ((float *)head->bias->tensor.data)[i] = fixture_random(98, i);
    return head;
}

/* JSON in single quotes, for reading with pleasure. */
static inline cJSON *fixture_json(const char *text) {
    char copy[512];
    snprintf(copy, sizeof copy, "%s", text);
    for (char *s = copy; *s; s++)
        if (*s == '\'') *s = '"';
    cJSON *json = NULL;
    CHECK_OK(lf_json_parse(&json, copy, strlen(copy), "test", &err_));
    return json;
}

#endif
