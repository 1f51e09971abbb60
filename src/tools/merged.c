#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "tools/merged.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/config.h"
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

/* Weights that the file has in fewer bits are rounded once more by the merge. */
static double tolerance(const lf_model *m) {
    bool narrow = false;
    for (int64_t i = 0; i < lf_safetensors_count(m->weights); i++)
        narrow = narrow || lf_dtype_size(lf_safetensors_at(m->weights, i)->dtype) < 4;
    return narrow ? 0.1 : 1e-3;
}

static lf_status compare(const lf_model *m, const lf_model *merged, const lf_kernels *k, char *said, size_t size,
                         lf_err *err) {
    float *a = NULL, *b = NULL;
    int64_t n = 0, other = 0;
    double most = 0, largest = 1;
    lf_status rc = compute(&a, &n, m, k, m->tokens.vocab_size, err);
    if (!rc) rc = compute(&b, &other, merged, k, m->tokens.vocab_size, err);
    if (!rc && n != other)
        rc = lf_fail(err, LF_EDATA, "the merged model has %lld logits, expected %lld", (long long)other, (long long)n);
    for (int64_t i = 0; i < n && !rc; i++) {
        const double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= most)) most = d;
        largest = fmax(largest, fabs((double)a[i]));
    }
    snprintf(said, size, "largest difference of %lld logits: %.2g", (long long)n, most);
    if (!rc && !(most <= tolerance(m) * largest))
        rc = lf_fail(err, LF_EDATA, "%s; expected at most %.2g", said, tolerance(m) * largest);
    lf_free(a);
    lf_free(b);
    return rc;
}

static int64_t bytes_of(const lf_model *m) {
    int64_t n = 0;
    for (int64_t i = 0; i < lf_safetensors_count(m->weights); i++) {
        const lf_st_tensor *t = lf_safetensors_at(m->weights, i);
        n += t->numel * (int64_t)lf_dtype_size(t->dtype);
    }
    return n;
}

lf_status lf_merged_agrees(const lf_model *m, const lf_kernels *k, const char *base, const char *adapter, char *said,
                           size_t size, lf_err *err) {
    const char *tmp = getenv("TMPDIR");
    if (bytes_of(m) > (int64_t)2 << 30) {
        snprintf(said, size, "not compared: the base has more than 2 GiB (lora-ft merge, then eval, does it)");
        return LF_OK;
    }
    char *folder = lf_format("%s/lora-ft-verify-XXXXXX", tmp && *tmp ? tmp : "/tmp"), *to = NULL;
    lf_model *merged = NULL;
    lf_status rc = folder ? LF_OK : lf_no_memory(err, "%s", base);
    if (!rc && !mkdtemp(folder)) rc = lf_fail_to(err, "make", folder);
    const bool made = !rc;
    if (!rc && !(to = lf_path_join(folder, "merged"))) rc = lf_no_memory(err, "%s", folder);
    if (!rc && !(rc = merge(base, adapter, to, err)) &&
        !(rc = lf_model_open(&merged, to, &(lf_model_opts){.k = k, .load = LF_LOAD_FROZEN}, err)))
        rc = compare(m, merged, k, said, size, err);
    lf_model_free(merged);
    if (made) (void)lf_remove_tree(folder, NULL);
    lf_free(to);
    lf_free(folder);
    return rc;
}
