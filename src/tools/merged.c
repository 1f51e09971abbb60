#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "tools/merged.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "adapter/adapter.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/config.h"
#include "eval/adapted.h"
#include "lora_ft.h"

enum { B = 2, T = 16 };

static lf_status make_input(lf_model_input *in, float **pixels, int32_t ids[B * T], int32_t positions[B * T],
                            const lf_model *m, int64_t vocabulary, lf_err *err) {
    *in = (lf_model_input){.B = B};
    if (m->family->input == LF_PIXELS) {
        const int64_t n = B * m->pixels.channels * m->pixels.height * m->pixels.width;
        if (!(*pixels = lf_malloc((size_t)n * sizeof **pixels))) return lf_no_memory(err, "%s", m->path);
        for (int64_t i = 0; i < n; i++) (*pixels)[i] = (float)sin(0.37 * (double)i);
        in->pixels = *pixels;
        return LF_OK;
    }
    for (int32_t i = 0; i < B * T; i++) {
        ids[i] = (int32_t)((i * 7 + 5) % vocabulary);
        positions[i] = i % T;
    }
    in->T = T;
    in->ids = ids;
    in->positions = m->family->hidden ? positions : NULL;
    return LF_OK;
}

static lf_tensor *vocabulary_logits(const lf_model *m, lf_graph *g, const lf_pass *pass) {
    lf_lm_head head;
    lf_model_lm_head(m, false, &head);
    return lf_to_real(g, lf_linear(g, lf_lm_hidden(m, g, pass), head.frozen, head.weight, NULL, NULL));
}

/* Of a classifier where it has one in use, else of its vocabulary; a model of neither shows its features. */
static lf_tensor *output(const lf_model *m, lf_graph *g, const lf_pass *pass) {
    const bool has_words = lf_model_says(m, LF_NEXT_TOKEN) || lf_model_says(m, LF_MASKED_TOKEN);
    if (!m->head.module && has_words) return vocabulary_logits(m, g, pass);
    lf_tensor *features = lf_model_features(m, g, pass);
    return lf_to_real(g, m->head.module ? lf_model_logits(g, m->head.module, features) : features);
}

/* *logits: lf_free. */
static lf_status compute(float **logits, int64_t *n, const lf_model *m, const lf_kernels *k, int64_t vocabulary,
                         lf_err *err) {
    int32_t ids[B * T], positions[B * T];
    float *pixels = NULL;
    lf_pass pass = {0};
    lf_graph *g = lf_graph_new(k, 1);
    lf_status rc =
        g ? make_input(&pass.in, &pixels, ids, positions, m, vocabulary, err) : lf_no_memory(err, "%s", m->path);
    if (!rc) {
        lf_graph_begin(g, false, false, 0);
        const lf_tensor *t = output(m, g, &pass);
        rc = lf_graph_status(g, err);
        *n = rc ? 0 : t->numel;
        if (!rc && !(*logits = lf_malloc((size_t)*n * sizeof **logits))) rc = lf_no_memory(err, "%s", m->path);
        if (!rc) memcpy(*logits, t->data, (size_t)*n * sizeof **logits);
    }
    lf_free(pixels);
    lf_graph_free(g);
    return rc;
}

static lf_status merge(const char *base, const char *adapter, const char *to, lf_err *err) {
    lf_config *cfg = NULL;
    FILE *nowhere = fopen("/dev/null", "w");
    const lf_log_level level = lf_log_set_level(LF_LOG_QUIET);
    lf_status rc = nowhere ? lf_config_new(&cfg, "merge", err) : lf_fail_errno(err, "open", "/dev/null");
    const char *const keys[][2] = {{"model", base}, {"adapter", adapter}, {"output_dir", to}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys && !rc; i++) rc = lf_config_set(cfg, keys[i][0], keys[i][1], err);
    if (!rc && !(rc = lf_config_finish(cfg, err))) rc = lf_merge(cfg, nowhere, err);
    lf_log_set_level(level);
    lf_config_free(cfg);
    if (nowhere) fclose(nowhere);
    return rc;
}

/* ---- what the rounding of merged weights may do ----
 * Merged weights are rounded to the format of the file, so each is off by at most u |w|, where u is half the distance
 * of neighbouring numbers: 2^-8 of bf16, 2^-11 of fp16. What that does to the logits is measured: a model whose merged
 * weights are moved by exactly u |w|, up or down as bits without a pattern say, and are rounded no more. Errors of
 * rounding are smaller (their root mean square is at most u / sqrt(3)), so to first order the root mean square of what
 * they do is 0.58 of the measured one; TIMES it is what is allowed, because a few logits are a small sample. */
enum { TIMES = 4 };
static const double float_slack = 1e-3; /* of the largest logit: sums of floats in another order */

static double rounding_of(const lf_model *m) {
    double u = 0;
    for (int64_t i = 0; i < lf_safetensors_count(m->weights); i++) {
        const lf_dtype dtype = lf_safetensors_at(m->weights, i)->dtype;
        if (dtype == LF_BF16) u = 0x1p-8;
        if (dtype == LF_F16) u = fmax(u, 0x1p-11);
    }
    return u;
}

/* A bit that has no pattern over i. */
static bool is_up(uint64_t i) {
    i = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    i = (i ^ i >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    return (i ^ i >> 27) >> 17 & 1;
}

static lf_status shake(void *context, const lf_module *m, float *W, lf_err *err) {
    const double *u = context;
    const lf_status rc = m->lora ? lf_adapter_merge(m, W, err) : LF_OK;
    if (rc || !(m->lora || m->saved || m->head)) return rc;
    for (int64_t i = 0; i < m->out * m->in; i++) W[i] *= (float)(is_up((uint64_t)i) ? 1 + *u : 1 - *u);
    return LF_OK;
}

static double rms(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return n ? sqrt(sum / (double)n) : 0;
}

/* What is allowed, as a root mean square. */
static lf_status tolerance(double *most, const lf_model *m, const float *logits, int64_t n, const lf_kernels *k,
                           const char *base, const char *adapter, const char *folder, lf_err *err) {
    double u = rounding_of(m), largest = 1;
    for (int64_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)logits[i]));
    *most = float_slack * largest;
    if (u == 0) return LF_OK;
    lf_adapted a = {0};
    lf_model *shaken = NULL;
    float *other = NULL;
    int64_t n_other = 0;
    char *to = lf_path_join(folder, "shaken");
    lf_status rc = to ? LF_OK : lf_no_memory(err, "%s", folder);
    if (!rc && !(rc = lf_adapted_open(&a, base, adapter, &(lf_model_opts){.k = k, .load = LF_LOAD_NOTHING}, err)) &&
        !(rc = lf_model_write(a.model, to, LF_F32, shake, &u, err)) &&
        !(rc = lf_model_open(&shaken, to, &(lf_model_opts){.k = k, .load = LF_LOAD_FROZEN}, err)))
        rc = compute(&other, &n_other, shaken, k, m->tokens.vocab_size, err);
    if (!rc && n_other == n) *most += TIMES * rms(logits, other, n);
    lf_free(other);
    lf_model_free(shaken);
    lf_adapted_close(&a);
    lf_free(to);
    return rc;
}

static lf_status compare(const lf_model *m, const lf_model *merged, const lf_kernels *k, const char *base,
                         const char *adapter, const char *folder, char *said, size_t size, lf_err *err) {
    float *a = NULL, *b = NULL;
    int64_t n = 0, other = 0;
    double most = 0, allowed = 0;
    lf_status rc = compute(&a, &n, m, k, m->tokens.vocab_size, err);
    if (!rc) rc = compute(&b, &other, merged, k, m->tokens.vocab_size, err);
    if (!rc && n != other)
        rc = lf_fail(err, LF_EDATA, "the merged model has %lld logits, expected %lld", (long long)other, (long long)n);
    if (!rc) rc = tolerance(&allowed, m, a, n, k, base, adapter, folder, err);
    for (int64_t i = 0; i < n && !rc; i++) {
        const double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= most)) most = d;
    }
    const double found = rc ? 0 : rms(a, b, n);
    snprintf(said, size,
             "largest difference of %lld logits: %.2g; root mean square %.2g, of which rounding explains %.2g",
             (long long)n, most, found, allowed);
    if (!rc && !(found <= allowed)) rc = lf_fail(err, LF_EDATA, "%s", said);
    lf_free(a);
    lf_free(b);
    return rc;
}

/* As floats, in which the shaken model is written. */
static int64_t bytes_of(const lf_model *m) {
    int64_t n = 0;
    for (int64_t i = 0; i < lf_safetensors_count(m->weights); i++) n += lf_safetensors_at(m->weights, i)->numel;
    return n * (int64_t)sizeof(float);
}

lf_status lf_merged_agrees(const lf_model *m, const lf_kernels *k, const char *base, const char *adapter, char *said,
                           size_t size, lf_err *err) {
    if (bytes_of(m) > (int64_t)2 << 30) {
        snprintf(said, size,
                 "not compared: the base has more than 2 GiB as floats (lora-ft merge, then eval, does it)");
        return LF_OK;
    }
    char *folder = lf_format("%s/lora-ft-verify-XXXXXX", lf_temporary_folder()), *to = NULL;
    lf_model *merged = NULL;
    lf_status rc = folder ? LF_OK : lf_no_memory(err, "%s", base);
    if (!rc && !mkdtemp(folder)) rc = lf_fail_to(err, "make", folder);
    const bool made = !rc;
    if (!rc && !(to = lf_path_join(folder, "merged"))) rc = lf_no_memory(err, "%s", folder);
    if (!rc && !(rc = merge(base, adapter, to, err)) &&
        !(rc = lf_model_open(&merged, to, &(lf_model_opts){.k = k, .load = LF_LOAD_FROZEN}, err)))
        rc = compare(m, merged, k, base, adapter, folder, said, size, err);
    lf_model_free(merged);
    if (made) (void)lf_remove_tree(folder, NULL);
    lf_free(to);
    lf_free(folder);
    return rc;
}
