/* Whether what the frozen layers make of the training data is kept (prefix_cache, task/prefix.h). */
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/world.h"
#include "train/run.h"

static bool pictures_change(const lf_config *cfg) {
    static const lf_key_id strengths[] = {LF_color_jitter, LF_random_erasing, LF_mixup, LF_cutmix};
    bool any = strcmp(lf_cfg_str(cfg, LF_augmentation), "none") != 0 || lf_cfg_i64(cfg, LF_randaugment_magnitude) > 0;
    for (size_t i = 0; i < sizeof strengths / sizeof *strengths; i++) any = any || lf_cfg_f64(cfg, strengths[i]) > 0;
    return any;
}

/* NULL: nothing is against it, as far as the configuration and what is trained say. */
static const char *obstacle(const lf_run *run, int64_t layers) {
    if (layers < 1) return "no layer before the first that is trained is frozen";
    if (run->model->family->input == LF_PIXELS && pictures_change(run->cfg))
        return "augmentation makes another picture of an example each time";
    if (run->model->family->input == LF_TOKENS && lf_cfg_f64(run->cfg, LF_neftune_noise_alpha) > 0)
        return "neftune_noise_alpha adds another noise to an example each time";
    if (run->model->nn.quantised == LF_FROZEN_NF4)
        return "weights in nf4 are multiplied otherwise where rows are few, so a row's numbers depend on those beside "
               "it";
    if (lf_world_size() > 1) return "with several processes an example is another's in each epoch";
    if (run->total_steps <= run->steps_per_epoch) return "the run is one epoch at most, so nothing is seen twice";
    return NULL;
}

/* ---- a trial ---- */

static lf_status pass_over(const lf_run *run, lf_prefix_store *s, const lf_example_batch *b, lf_err *err) {
    const lf_pass pass = {.in = b->in, .prefix = lf_prefix_for(s, b)};
    lf_graph_begin(run->g, true, false, 0);
    if (run->task->type->output == LF_NEXT_TOKEN)
        (void)lf_lm_hidden(run->model, run->g, &pass);
    else
        (void)lf_model_features(run->model, run->g, &pass);
    return lf_graph_status(run->g, err);
}

/* The first and the last row of b, each alone, must be kept as they are in the batch. */
static lf_status try_alone(const lf_run *run, const lf_prefix_opts *o, const lf_example_batch *b, bool *same,
                           lf_err *err) {
    lf_prefix_opts small = *o;
    lf_prefix_store *alone;
    small.in_file = false;
    small.most = HUGE_VAL;
    small.few = 2;
    if (o->tokens) small.tokens = 2 * b->in.T;
    lf_status rc = lf_prefix_open(&alone, &small, err);
    for (int64_t i = 0; i < b->in.B && !rc; i += b->in.B > 1 ? b->in.B - 1 : 1) {
        const lf_example_batch row = lf_batch_row(b, i, &run->model->pixels);
        rc = pass_over(run, alone, &row, err);
    }
    if (!rc && lf_prefix_obstacle(alone)) rc = lf_no_memory(err, "two examples of what frozen layers say");
    *same = !rc && lf_prefix_agree(run->prefix, alone);
    lf_prefix_close(alone);
    return rc;
}

/* Of the first batch that is there: its pass shows how much is to be kept, and two of its rows whether what is kept is
 * the same whatever stands beside them. */
static lf_status try_out(const lf_run *run, const lf_prefix_opts *o, const char **why, lf_err *err) {
    const lf_source_type *source = run->task->source;
    const lf_example_batch *b = NULL;
    bool same = true;
    lf_status rc = source->start(run->task, LF_DATA_TRAIN, 0, 0, (lf_portion){0}, err);
    if (!rc) rc = source->next(run->task, LF_DATA_TRAIN, &b, err);
    while (!rc && b && !b->in.B) rc = source->next(run->task, LF_DATA_TRAIN, &b, err); /* nothing of it could be read */
    if (rc || !b) return rc;
    if ((rc = pass_over(run, run->prefix, b, err))) return rc;
    *why = lf_prefix_obstacle(run->prefix);
    if (!*why) rc = try_alone(run, o, b, &same, err);
    if (!same) *why = "with these weights and kernels a row's numbers depend on the rows beside it";
    return rc;
}

/* ---- what comes of it ---- */

static lf_status leave_out(lf_run *run, const char *why, bool asked, bool say, lf_err *err) {
    lf_status rc = LF_OK;
    if (asked)
        rc = lf_cfg_fail(run->cfg, LF_prefix_cache, err, "%s; leave it at auto, or set it to off", why);
    else if (say)
        lf_info("prefix_cache is off: %s", why);
    else
        lf_detail("prefix_cache is off: %s", why);
    lf_prefix_close(run->prefix); /* after why, which may be its own */
    run->prefix = NULL;
    return rc;
}

lf_status lf_run_open_prefix(lf_run *run, lf_err *err) {
    const char *how = lf_cfg_str(run->cfg, LF_prefix_cache);
    const bool asked = strcmp(how, "auto") != 0;
    lf_prefix_opts o = {.layer = lf_model_frozen_layers(run->model),
                        .most = lf_cfg_f64(run->cfg, LF_prefix_cache_mb) * 1024 * 1024,
                        .in_file = strcmp(how, "disk") == 0,
                        .number = (int64_t)lf_dtype_size(run->k->act_dtype)};
    if (strcmp(how, "off") == 0) return LF_OK;
    const char *why = obstacle(run, o.layer);
    if (!why) why = run->task->source->extent(run->task, LF_DATA_TRAIN, &o.rows, &o.tokens);
    if (why) return leave_out(run, why, asked, false, err);
    lf_status rc = lf_prefix_open(&run->prefix, &o, err);
    if (rc || (rc = try_out(run, &o, &why, err))) return rc;
    if (why) return leave_out(run, why, asked, true, err);
    lf_info("the first %lld layers are frozen: what they make of an example is kept (%.0f MB in %s)",
            (long long)o.layer, ceil(lf_prefix_bytes(run->prefix) / 1024 / 1024),
            o.in_file ? "a temporary file" : "memory");
    return LF_OK;
}

/* ---- a step ---- */

lf_tensor *lf_run_loss(const lf_run *run, const lf_example_batch *b, lf_loss_counts *counts) {
    lf_task *t = run->task;
    t->prefix = run->prefix;
    lf_tensor *loss = t->type->loss(t, b, counts);
    t->prefix = NULL;
    return loss;
}
