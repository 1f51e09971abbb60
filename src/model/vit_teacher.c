/* DeiT with a teacher: two heads, of two tokens, whose average is what the file says. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "model/vit.h"
#include "model/zero_shot.h"

/* Both heads as one layer over both tokens: [W W'] / 2 and (b + b') / 2. */
static void average(float *W, float *b, const lf_st_tensor *const weights[LF_VIT_HEADS],
                    const lf_st_tensor *const biases[LF_VIT_HEADS], float *buffer) {
    const int64_t n = weights[0]->shape[0], C = weights[0]->shape[1];
    for (int h = 0; h < LF_VIT_HEADS; h++) {
        lf_to_f32(buffer, weights[h]->data, weights[h]->dtype, n * C);
        for (int64_t i = 0; i < n * C; i++) W[(i / C * LF_VIT_HEADS + h) * C + i % C] = buffer[i] / LF_VIT_HEADS;
        lf_to_f32(buffer, biases[h]->data, biases[h]->dtype, n);
        for (int64_t i = 0; i < n; i++) b[i] = (h ? b[i] : 0) + buffer[i] / LF_VIT_HEADS;
    }
}

static lf_status take_average(lf_model *m, const lf_st_tensor *const weights[LF_VIT_HEADS],
                              const lf_st_tensor *const biases[LF_VIT_HEADS], lf_err *err) {
    const int64_t n = m->head.n_labels, C = m->hidden_size;
    for (int h = 0; h < LF_VIT_HEADS; h++)
        if (weights[h]->ndim != 2 || weights[h]->shape[0] != n || weights[h]->shape[1] != C || biases[h]->numel != n)
            return lf_fail(err, LF_ESHAPE, "%s: tensor '%s': expected a layer of %lld labels on %lld numbers (by %s)",
                           weights[h]->path, weights[h]->name, (long long)n, (long long)C, m->config_path);
    float *W = lf_aligned_alloc((size_t)(3 * n * C + 2 * n) * sizeof *W), *b = W + 2 * n * C, *buffer = b + n;
    if (!W) return lf_no_memory(err, "the heads of %s", m->path);
    average(W, b, weights, biases, buffer);
    m->base_head = (lf_classifier){.module = lf_model_frozen_layer(m, "cls_classifier+distillation_classifier",
                                                                   LF_CLASS_HEAD, n, LF_VIT_HEADS * C, W, b),
                                   .problem = m->head.problem,
                                   .n_labels = n,
                                   .labels = m->head.labels,
                                   .two_tokens = true};
    lf_aligned_free(W);
    if (!m->base_head.module) return lf_no_memory(err, "the heads of %s", m->path);
    lf_info(
        "%s: its two heads, of which transformers trains neither, are averaged, as it does; a new head is on the class "
        "token alone",
        m->path);
    return LF_OK;
}

lf_status lf_vit_take_teacher(lf_model *m, lf_err *err) {
    static const char *const names[LF_VIT_HEADS] = {"cls_classifier", "distillation_classifier"};
    const lf_st_tensor *weights[LF_VIT_HEADS], *biases[LF_VIT_HEADS];
    bool all = m->weights && !m->base_head.module && !strcmp(m->family->model_type, "deit");
    for (int h = 0; all && h < LF_VIT_HEADS; h++) {
        char weight[64], bias[64];
        snprintf(weight, sizeof weight, "%s.weight", names[h]);
        snprintf(bias, sizeof bias, "%s.bias", names[h]);
        weights[h] = lf_safetensors_find(m->weights, weight);
        biases[h] = lf_safetensors_find(m->weights, bias);
        all = weights[h] && biases[h] && lf_dtype_is_float(weights[h]->dtype) && lf_dtype_is_float(biases[h]->dtype);
    }
    return all ? take_average(m, weights, biases, err) : LF_OK;
}
