/* The verb `bench`: how fast and how large a training step (or inference) is, with random pictures or tokens, so that
 * config.json and weights are all it needs. The calls of a step are those of a training run. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cells.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "kernels/profile.h"
#include "task/source.h"
#include "tools/common.h"
#include "train/optimizer.h"

typedef struct bench {
    const lf_config *cfg;
    int threads;
    bool inference;
    int64_t batch, seq, steps, warmup;
    const lf_kernels *k;
    lf_model *m;
    lf_adapter *adapter;
    lf_graph *g;
    lf_task *task;
    const lf_example_batch *data;
    lf_trainable *trained;
    int64_t n_trained, numbers; /* numbers: trained */
    lf_optimizer optimizer;
    double *seconds; /* of the timed steps, sorted at the end */
} bench;

static lf_status attach_adapter(bench *b, lf_err *err) {
    lf_adapter_opts o;
    lf_status rc;
    if ((rc = lf_adapter_opts_read(&o, b->cfg, err)) || (rc = lf_adapter_new(&b->adapter, &b->m->nn, &o, err)) ||
        (rc = lf_nn_trainables(&b->m->nn, &b->trained, &b->n_trained, err)))
        return rc;
    for (int64_t i = 0; i < b->n_trained; i++) b->numbers += b->trained[i].tensor->numel;
    return LF_OK;
}

static lf_status allocate(bench *b, lf_err *err) {
    b->seconds = lf_calloc((size_t)b->steps, sizeof *b->seconds);
    if (!b->seconds) return lf_no_memory(err, "%lld steps", (long long)b->steps);
    if (b->inference) return LF_OK;
    b->optimizer = (lf_optimizer){.type = &lf_optimizer_adamw,
                                  .learning_rate = 1e-4,
                                  .head_learning_rate = 1e-4,
                                  .beta1 = 0.9,
                                  .beta2 = 0.999,
                                  .epsilon = 1e-8};
    return lf_optimizer_hold(&b->optimizer, b->k, b->trained, b->n_trained, err);
}

/* The batch first: a picture model's new head comes with it. */
static lf_status set_up(bench *b, lf_err *err) {
    lf_status rc;
    if ((rc = lf_kernels_select(&b->k, lf_cfg_str(b->cfg, LF_precision), err))) return rc;
    if (lf_cfg_bool(b->cfg, LF_profile)) b->k = lf_profile_table(b->k);
    lf_model_opts opts = lf_model_opts_of(b->cfg, b->k, LF_LOAD_FROZEN);
    opts.quantised = lf_model_quantised(b->cfg);
    if ((rc = lf_model_open(&b->m, lf_cfg_str(b->cfg, LF_model), &opts, err))) return rc;
    if (!(b->g = lf_graph_new(b->k, (uint64_t)lf_cfg_i64(b->cfg, LF_seed))))
        return lf_no_memory(err, "the steps to be timed");
    if ((rc = lf_task_open(&b->task, b->cfg, b->m, b->g, err)) || (rc = lf_task_prepare(b->task, err)) ||
        (rc = b->task->source->random_batch(b->task, b->batch, b->seq, &b->data, err)) || (rc = attach_adapter(b, err)))
        return rc;
    b->m->gradient_checkpointing = lf_cfg_bool(b->cfg, LF_gradient_checkpointing);
    return allocate(b, err);
}

/* ---- one step ---- */

static lf_status one_step(bench *b, int64_t step, lf_err *err) {
    lf_graph *g = b->g;
    lf_loss_counts counts;
    lf_graph_begin(g, !b->inference, !b->inference, (uint64_t)step);
    if (!b->inference) lf_optimizer_clear_gradients(&b->optimizer);
    lf_tensor *loss = b->task->type->loss(b->task, b->data, &counts);
    lf_status rc = lf_graph_status(g, err);
    if (rc || b->inference || (rc = lf_graph_backward(g, loss, 1, err))) return rc;
    const double mean = 1 / (double)counts.targets, norm = lf_optimizer_gradient_norm(&b->optimizer, mean);
    lf_optimizer_step(&b->optimizer, 1, norm > 1 ? mean / norm : mean); /* clipped, as max_grad_norm does it */
    return LF_OK;
}

static int by_size(const void *x, const void *y) {
    const double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

static lf_status time_steps(bench *b, lf_err *err) {
    const int64_t total = b->warmup + b->steps;
    lf_progress bar;
    lf_progress_begin(&bar, b->inference ? "bench, inference" : "bench, training", total);
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < total && !rc; i++) {
        const double began = lf_now();
        if (i == b->warmup) lf_profile_reset();
        rc = one_step(b, i, err);
        if (i >= b->warmup) b->seconds[i - b->warmup] = lf_now() - began;
        lf_progress_update(&bar, i + 1, "");
        if (!rc && lf_interrupted() && i + 1 < total)
            rc = lf_fail(err, LF_EINTERRUPTED, "interrupted after step %lld of %lld", (long long)i + 1,
                         (long long)total);
    }
    lf_progress_end(&bar, "");
    qsort(b->seconds, (size_t)b->steps, sizeof *b->seconds, by_size);
    return rc;
}

/* ---- results ---- */

static double median(const double *sorted, int64_t n) { return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2; }

/* Seconds of a step in each kind of kernel; what is left is the loop between them. With json into `o`, else as lines.
 */
static void print_profile(const bench *b, FILE *out, lf_obj *o) {
    lf_obj profile = lf_obj_new();
    lf_cells shown = lf_cells_new(3, 0);
    double all = 0, counted = 0;
    for (int64_t i = 0; i < b->steps; i++) all += b->seconds[i] / (double)b->steps;
    for (int i = 0; i <= LF_PROFILE_KINDS; i++) {
        const double s =
            i < LF_PROFILE_KINDS ? lf_profile_seconds((lf_profile_kind)i) / (double)b->steps : all - counted;
        const char *name = i < LF_PROFILE_KINDS ? lf_profile_names[i] : "between kernels";
        counted += s;
        lf_obj_number(&profile, name, s);
        lf_cells_put(&shown, "  %s", name);
        lf_cells_put(&shown, "%.4f", s);
        lf_cells_put(&shown, "%.1f %%", 100 * s / all);
    }
    if (o) lf_obj_put(o, "profile_seconds", lf_obj_take(&profile));
    if (!o) lf_cells_print(&shown, out);
    cJSON_Delete(lf_obj_take(&profile));
    lf_cells_free(&shown);
}

enum { NAMES = 23 }; /* columns */

static lf_status print_results(const bench *b, FILE *out, lf_err *err) {
    const double step = median(b->seconds, b->steps), init = lf_adapter_init_seconds(b->adapter), mb = 1024 * 1024;
    const lf_arena *quantised = b->m->nn.of_quantised;
    const double mapped = (double)lf_model_mapped_bytes(b->m) / mb,
                 own = (double)(lf_arena_bytes(b->m->nn.arena) + (quantised ? lf_arena_bytes(quantised) : 0)) / mb,
                 at_end = (double)(lf_rss_bytes() + lf_model_bytes_of_closing(b->m)) / mb,
                 train_peak = at_end > lf_peak_rss_mb() ? at_end : lf_peak_rss_mb();
    const struct {
        const char *name, *format, *unit;
        double value;
    } numbers[] = {
        {"items_per_second", "%.2f", "", (double)b->data->items / step},
        {"step_seconds", "%.4f", " (median)", step},
        {"step_seconds_min", "%.4f", "", b->seconds[0]},
        {"step_seconds_max", "%.4f", "", b->seconds[b->steps - 1]},
        {"init_seconds", "%.3f", "", init},
        {"peak_rss_mb", "%.0f", "", lf_peak_rss_mb()},
        {"mapped_mb", "%.0f", " (of the peak: the model's file, which runs share)", mapped},
        {"own_weights_mb", "%.0f", "", own},
        {"activations_mb", "%.0f", "", (double)lf_graph_bytes(b->g) / mb},
        {"train_peak_mb", "%.0f", " (of train, with its closing evaluation)", train_peak},
        {"trainable_parameters", "%.0f", "", (double)b->numbers},
        {"batch", "%.0f", "", (double)b->batch},
        {"seq", "%.0f", "", (double)b->seq},
        {"steps", "%.0f", "", (double)b->steps},
        {"warmup", "%.0f", "", (double)b->warmup},
        {"r", "%.0f", "", (double)lf_cfg_i64(b->cfg, LF_r)},
        {"threads", "%.0f", "", (double)b->threads},
    };
    const struct {
        const char *name, *value;
    } words[] = {{"mode", b->inference ? "inference" : "training"},
                 {"model", lf_cfg_str(b->cfg, LF_model)},
                 {"precision", b->k->precision},
                 {"kernels", b->k->name}};
    const bool json = lf_cfg_bool(b->cfg, LF_json);
    lf_obj o = lf_obj_new();
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (json) {
            lf_obj_number(&o, numbers[i].name, numbers[i].value);
            continue;
        }
        char number[32], text[128];
        snprintf(number, sizeof number, numbers[i].format, numbers[i].value);
        snprintf(text, sizeof text, "%12s%s", number, numbers[i].unit);
        lf_print_pair(out, numbers[i].name, NAMES, text, false);
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (json)
            lf_obj_string(&o, words[i].name, words[i].value);
        else {
            char text[1024];
            snprintf(text, sizeof text, "%12s", words[i].value);
            lf_print_pair(out, words[i].name, NAMES, text, false);
        }
    }
    const cJSON *start = lf_cfg_json(b->cfg, LF_init_lora_weights);
    if (json) lf_obj_copy(&o, "init_lora_weights", start);
    if (lf_cfg_bool(b->cfg, LF_profile)) print_profile(b, out, json ? &o : NULL);
    cJSON *results = lf_obj_take(&o);
    if (json) return lf_json_write_line(out, results, err);
    cJSON_Delete(results);
    return LF_OK;
}

lf_status lf_bench(const lf_config *cfg, FILE *out, lf_err *err) {
    bench b = {.cfg = cfg,
               .inference = lf_cfg_bool(cfg, LF_eval),
               .batch = lf_cfg_i64(cfg, LF_batch),
               .seq = lf_cfg_i64(cfg, LF_seq),
               .steps = lf_cfg_i64(cfg, LF_steps),
               .warmup = lf_cfg_i64(cfg, LF_warmup)};
    lf_status rc;
    if (!(rc = lf_threads_take(&b.threads, (int)lf_cfg_i64(cfg, LF_threads), err)) && !(rc = set_up(&b, err)) &&
        !(rc = time_steps(&b, err)))
        rc = print_results(&b, out, err);
    lf_task_close(b.task);
    lf_graph_free(b.g);
    lf_adapter_free(b.adapter);
    lf_model_free(b.m);
    lf_optimizer_free(&b.optimizer);
    lf_free(b.seconds);
    return rc;
}
