#include "train/fitting.h"

#include <string.h>

#include "base/log.h"
#include "base/machine.h"
#include "base/mem.h"
#include "base/world.h"
#include "train/estimate.h"
#include "train/run.h"

enum { USUAL = 8 };                                    /* the key's default */
enum { TRIED = 4 };                                    /* examples at once of the passes that are measured */
enum { LOOKED_AT = 4096 };                             /* rows whose lengths are seen */
static const double mb = 1024.0 * 1024.0, share = 0.9; /* of the memory that is free: others need some, too */

bool lf_fitting_is_asked(const lf_config *cfg) { return lf_cfg_i64(cfg, LF_per_device_train_batch_size) == 0; }

static int64_t step_of(const lf_config *cfg) { return USUAL * lf_cfg_i64(cfg, LF_gradient_accumulation_steps); }

static int64_t part_of(int64_t step, int64_t most) {
    int64_t passes = 1;
    while (step % passes != 0 || step / passes > most) passes++;
    return step / passes;
}

static lf_status set(lf_config *cfg, lf_key_id key, cJSON *value, lf_err *err) {
    return lf_cfg_set_taken(cfg, lf_key_name(key), value, "the batch that fits", err);
}

static lf_status set_both(lf_config *cfg, int64_t batch, int64_t passes, lf_err *err) {
    const lf_status rc = set(cfg, LF_per_device_train_batch_size, cJSON_CreateNumber((double)batch), err);
    return rc ? rc : set(cfg, LF_gradient_accumulation_steps, cJSON_CreateNumber((double)passes), err);
}

lf_status lf_fitting_settle(lf_config *cfg, int64_t most, lf_err *err) {
    const int64_t step = step_of(cfg), part = part_of(step, most);
    return set_both(cfg, part, step / part, err);
}

lf_status lf_fitting_keep(lf_config *cfg, const cJSON *was, lf_err *err) {
    const cJSON *batch = cJSON_GetObjectItemCaseSensitive(was, lf_key_name(LF_per_device_train_batch_size)),
                *passes = cJSON_GetObjectItemCaseSensitive(was, lf_key_name(LF_gradient_accumulation_steps));
    if (!cJSON_IsNumber(batch) || !cJSON_IsNumber(passes) || batch->valuedouble < 1 ||
        batch->valuedouble * passes->valuedouble != (double)step_of(cfg))
        return LF_OK;
    return set_both(cfg, (int64_t)batch->valuedouble, (int64_t)passes->valuedouble, err);
}

/* ---- what a pass takes ---- */

typedef struct trial {
    lf_run run;
    int32_t *lengths; /* of the first rows of an epoch, with padding: tokens; 1: a picture */
    int64_t rows;
    double elsewhere;            /* bytes of a run at its peak, without the tape's */
    double constant, each_token; /* of the tape */
} trial;

/* Bytes that the tape holds after a pass and its backward, from none. */
static lf_status measure(trial *t, const lf_example_batch *b, double *bytes, lf_err *err) {
    lf_graph *g = t->run.g;
    lf_loss_counts counts = {0};
    lf_optimizer_clear_gradients(&t->run.optimizer);
    lf_graph_begin(g, true, true, 0);
    lf_graph_shrink(g);
    lf_tensor *loss = t->run.task->type->loss(t->run.task, b, &counts);
    lf_status rc = lf_graph_status(g, err);
    if (!rc) rc = lf_graph_backward(g, loss, 1, err);
    *bytes = (double)lf_graph_bytes(g);
    return rc;
}

static int32_t tokens_of(const lf_example_batch *b) { return b->filled ? (int32_t)b->in.T : 1; }

/* By a pass of one row and one of several. */
static lf_status measure_both(trial *t, const lf_example_batch *b, lf_err *err) {
    const lf_example_batch row = lf_batch_row(b, 0, &t->run.model->pixels);
    const double tokens = tokens_of(b);
    double one, all;
    lf_status rc = measure(t, &row, &one, err);
    if (rc || (rc = measure(t, b, &all, err))) return rc;
    t->each_token = b->in.B > 1 ? (all - one) / (double)(b->in.B - 1) / tokens : one / tokens;
    t->constant = one - t->each_token * tokens;
    for (int i = 0; i < LF_N_REMEDIES; i++)
        if (t->run.remedy_batches[i]) { /* examples of its own, of which nobody says how long they are */
            t->each_token *= 2;
            break;
        }
    return LF_OK;
}

/* A row's tokens, padded as a batch of them is. */
static int32_t length_of(const lf_example_batch *b, int64_t i) { return b->filled ? (b->filled[i] + 7) / 8 * 8 : 1; }

static lf_status look_at_rows(trial *t, lf_err *err) {
    const lf_source_type *source = t->run.task->source;
    const int64_t batches = t->run.batches_per_epoch;
    lf_status rc = source->start(t->run.task, LF_DATA_TRAIN, 0, 0, (lf_portion){0}, err);
    if (!rc && !(t->lengths = lf_calloc(LOOKED_AT, sizeof *t->lengths))) rc = lf_no_memory(err, "lengths of texts");
    for (int64_t n = 0; n < batches && t->rows + TRIED <= LOOKED_AT && !rc; n++) {
        const lf_example_batch *b;
        if ((rc = source->next(t->run.task, LF_DATA_TRAIN, &b, err)) || !b) break;
        for (int64_t i = 0; i < b->in.B; i++) t->lengths[t->rows++] = length_of(b, i);
        if (n == 0) rc = measure_both(t, b, err);
    }
    return rc;
}

/* ---- of how many ---- */

/* Blocks of the tape are kept by their sizes, which are rounded to a sixteenth (base/pool.c): what batches of like
 * sizes take is there once, what others take beside it. */
static int64_t rounded(int64_t size) {
    int64_t unit = 1;
    while (unit * 16 < size) unit *= 2;
    return (size + unit - 1) / unit * unit;
}

/* Tokens of all sizes that batches of so many rows have. */
static double tokens_at(const trial *t, int64_t batch) {
    int64_t sizes[1024], n = 0;
    double sum = 0;
    for (int64_t first = 0; first < t->rows; first += batch) {
        const int64_t end = first + batch < t->rows ? first + batch : t->rows;
        int32_t longest = 0;
        for (int64_t i = first; i < end; i++) longest = t->lengths[i] > longest ? t->lengths[i] : longest;
        const int64_t size = rounded(longest * (end - first));
        bool seen = false;
        for (int64_t k = 0; k < n; k++) seen = seen || sizes[k] == size;
        if (seen || n == sizeof sizes / sizeof *sizes) continue;
        sizes[n++] = size;
        sum += (double)size;
    }
    return sum;
}

/* With the pictures that threads make ahead. */
static double bytes_at(const trial *t, int64_t batch) {
    const lf_pixel_facts *p = &t->run.model->pixels;
    const bool pictures = t->run.model->family->input == LF_PIXELS;
    const double ahead = pictures ? 4.0 * (double)(p->channels * p->height * p->width) * (double)sizeof(float) : 0;
    return t->elsewhere + t->constant + t->each_token * tokens_at(t, batch) + ahead * (double)batch;
}

static double limit_for(const trial *t, int64_t runs) {
    const lf_config *cfg = t->run.cfg;
    if (lf_cfg_is_set(cfg, LF_max_memory_mb)) return lf_cfg_f64(cfg, LF_max_memory_mb) * mb / (double)runs;
    const int64_t there = lf_machine_memory("");
    return there < 0 ? -1 : share * (double)(there + lf_rss_bytes()) / (double)runs;
}

static lf_status choose(int64_t *most, const trial *t, int64_t step, int64_t runs, lf_err *err) {
    const double limit = limit_for(t, runs);
    if (limit < 0)
        return lf_cfg_fail(t->run.cfg, LF_per_device_train_batch_size, err,
                           "auto: the system does not say how much memory there is; say it with max_memory_mb, or give "
                           "a number");
    for (int64_t batch = step; batch >= 1; batch = batch > 1 ? part_of(step, batch - 1) : 0) {
        const double bytes = bytes_at(t, batch);
        if (bytes > limit) continue;
        *most = batch;
        lf_info("per_device_train_batch_size auto: %lld of a step's %lld examples go through the model at once, with "
                "which a run takes about %.0f of %.0f MB",
                (long long)batch, (long long)step, bytes / mb, limit / mb);
        return LF_OK;
    }
    return lf_cfg_fail(t->run.cfg, LF_per_device_train_batch_size, err,
                       "auto: with one example at once a run takes about %.0f MB, and there are %.0f for each; try "
                       "gradient_checkpointing, a smaller max_seq_length or fewer jobs, or give the number 1",
                       bytes_at(t, 1) / mb, limit / mb);
}

/* ---- all of it ---- */

static lf_status try(trial *t, int64_t step, lf_err *err) {
    lf_estimate e;
    const lf_status rc = lf_run_estimate(&t->run, &e, err);
    if (rc) return rc;
    t->elsewhere =
        e.peak_mb * mb - (double)lf_graph_bytes(t->run.g) + (double)lf_tree_bytes(step, t->run.optimizer.numbers);
    return look_at_rows(t, err);
}

static lf_status make_trial_config(lf_config **own, const lf_config *cfg, lf_err *err) {
    lf_status rc = lf_cfg_derive(own, cfg, "train", err);
    if (!rc) rc = set_both(*own, TRIED, 1, err);
    if (!rc) rc = set(*own, LF_dry_run, cJSON_CreateTrue(), err);
    return rc;
}

/* What it says, the run will say again. */
static lf_status in_trial(int64_t *most, trial *t, const lf_config *cfg, int64_t step, int64_t runs, lf_err *err) {
    const bool talks = lf_log_says(LF_LOG_INFO);
    const lf_log_level before = lf_log_set_level(LF_LOG_WARN);
    if (!talks) lf_log_set_level(before);
    lf_status rc = lf_run_open(&t->run, cfg, err);
    if (!rc) rc = try(t, step, err);
    lf_log_set_level(before);
    if (!rc) rc = choose(most, t, step, runs, err);
    lf_run_close(&t->run);
    return rc;
}

lf_status lf_fitting_find(int64_t *most, const lf_config *cfg, int64_t runs, lf_err *err) {
    const int64_t step = step_of(cfg);
    trial t = {0};
    lf_config *own = NULL;
    if (lf_world_size() > 1)
        return lf_cfg_fail(cfg, LF_per_device_train_batch_size, err,
                           "auto: of several processes nobody knows which share a memory; give a number");
    lf_status rc = make_trial_config(&own, cfg, err);
    if (!rc) rc = in_trial(most, &t, own, step, runs, err);
    lf_free(t.lengths);
    lf_config_free(own);
    return rc;
}
