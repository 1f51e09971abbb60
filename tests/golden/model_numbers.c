/* For scripts/check-config-keys.py: reads a model's folder a line, and answers with a line of what the model computes
 * of a fixed input, or of why it does not open. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "model/model.h"

enum { B = 2, T = 24 };

/* A few numbers of each tensor would miss a change; the sums of all, weighted, do not. */
static void put(lf_obj *list, lf_graph *g, lf_tensor *t) {
    t = lf_to_real(g, t);
    if (!t) return;
    const float *x = t->data;
    double sum = 0, turned = 0;
    for (int64_t i = 0; i < t->numel; i++) {
        sum += (double)x[i];
        turned += (double)x[i] * cos(0.1 * (double)i);
    }
    lf_list_put(list, cJSON_CreateNumber(sum));
    lf_list_put(list, cJSON_CreateNumber(turned));
}

static lf_model_input make_input(const lf_model *m, float **pixels) {
    static int32_t ids[B * T], positions[B * T];
    lf_model_input in = {.B = B};
    if (m->family->input == LF_PIXELS) {
        const int64_t n = B * m->pixels.channels * m->pixels.height * m->pixels.width;
        *pixels = lf_malloc((size_t)n * sizeof **pixels);
        for (int64_t i = 0; i < n && *pixels; i++) (*pixels)[i] = (float)sin(0.37 * (double)i);
        in.pixels = *pixels;
        return in;
    }
    for (int32_t i = 0; i < B * T; i++) {
        ids[i] = (int32_t)((i * 7 + 5) % m->tokens.vocab_size);
        positions[i] = i % T;
    }
    in.T = T;
    in.ids = ids;
    in.positions = m->family->hidden ? positions : NULL;
    return in;
}

static lf_tensor *vocabulary(const lf_model *m, lf_graph *g, const lf_pass *pass) {
    lf_lm_head head;
    lf_model_lm_head(m, false, &head);
    lf_tensor *logits = lf_to_real(g, lf_linear(g, lf_lm_hidden(m, g, pass), head.frozen, head.weight, NULL, NULL));
    if (logits)
        lf_graph_kernels(g)->lm_logits(logits->data, head.bias ? head.bias->data : NULL,
                                       logits->numel / m->tokens.vocab_size, m->tokens.vocab_size,
                                       head.scale > 0 ? head.scale : 1, head.softcap);
    return logits;
}

/* `training`: as in a step, with what is dropped by chance. */
static lf_status compute(lf_obj *list, const lf_model *m, lf_graph *g, bool training, lf_err *err) {
    float *pixels = NULL;
    const lf_pass pass = {.in = make_input(m, &pixels)};
    lf_status rc = LF_OK;
    if (lf_model_says(m, LF_NEXT_TOKEN) || lf_model_says(m, LF_MASKED_TOKEN)) {
        lf_graph_begin(g, training, training, 0);
        put(list, g, vocabulary(m, g, &pass));
        rc = lf_graph_status(g, err);
    }
    if (!rc && m->base_head.module) {
        lf_graph_begin(g, training, training, 0);
        put(list, g, lf_model_logits(g, m->base_head.module, lf_model_features(m, g, &pass)));
        rc = lf_graph_status(g, err);
    }
    lf_free(pixels);
    return rc;
}

static lf_status answer(lf_obj *out, const char *dir, const lf_kernels *k, lf_err *err) {
    lf_model *m = NULL;
    lf_graph *g = NULL;
    lf_obj list = lf_list_new(), training = lf_list_new(), labels = lf_list_new();
    lf_status rc = lf_model_open(&m, dir, &(lf_model_opts){.k = k, .load = LF_LOAD_FROZEN}, err);
    if (!rc && !(g = lf_graph_new(k, 1))) rc = lf_no_memory(err, "a graph");
    if (!rc) rc = compute(&list, m, g, false, err);
    if (!rc) rc = compute(&training, m, g, true, err);
    if (!rc) {
        static const char *const problems[] = {"single_label", "multi_label", "regression"};
        lf_obj_number(out, "n_labels", (double)m->head.n_labels);
        if (m->head.module) lf_obj_string(out, "problem", problems[m->head.problem]);
        for (int64_t i = 0; i < m->head.n_labels && m->head.labels; i++) lf_list_string(&labels, m->head.labels[i]);
        lf_obj_number(out, "max_positions", (double)m->tokens.max_positions);
    }
    lf_obj_put(out, "numbers", lf_obj_take(&list));
    lf_obj_put(out, "training", lf_obj_take(&training));
    lf_obj_put(out, "labels", lf_obj_take(&labels));
    lf_graph_free(g);
    lf_model_free(m);
    return rc;
}

int main(void) {
    char dir[4096];
    const lf_kernels *k;
    if (lf_kernels_select(&k, "fp32", NULL)) return 1;
    while (fgets(dir, sizeof dir, stdin)) {
        lf_err err = {0};
        lf_obj out = lf_obj_new();
        dir[strcspn(dir, "\n")] = 0;
        if (answer(&out, dir, k, &err)) lf_obj_string(&out, "error", err.message);
        cJSON *json = lf_obj_take(&out);
        char *line = lf_json_print_line(json);
        puts(line ? line : "{\"error\": \"no memory\"}");
        fflush(stdout);
        lf_free(line);
        cJSON_Delete(json);
    }
    return 0;
}
