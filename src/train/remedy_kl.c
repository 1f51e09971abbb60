/* Behind each micro-batch a batch of kl_data, on which the model is held to what the untouched base says of them:
 * kl_weight times the mean of KL(base || model), of examples or of tokens (docs/method.md, "Remedies"). What the base
 * says of a picture or of a text that is classified is kept, because they are the same each time; what it says of next
 * tokens is asked again, and so is what kl_cache_mb has no room for. With kl_mask_target what is true of an example is
 * taken out of both, so that the term has no say in it, and the examples may be train_data's themselves. */
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/world.h"
#include "task/kl.h"
#include "train/old_batches.h"
#include "train/remedies.h"

typedef struct kl {
    lf_old_batches batches;
    double weight;
    int64_t examples, width;
    float *kept;       /* [examples,width]; the first number of a row is NAN where it could not be read. NULL: asked */
    lf_said_room said; /* of one batch */
} kl;

static const lf_kl_type *of(const lf_run *run) { return run->task->type->kl; }

/* ---- before anything is measured ---- */

static bool masks(const lf_run *run) { return lf_cfg_bool(run->cfg, LF_kl_mask_target); }

static lf_status check(const lf_run *run, lf_err *err) {
    if (lf_cfg_is_set(run->cfg, LF_kl_data)) return LF_OK;
    if (!masks(run))
        return lf_cfg_fail(run->cfg, LF_kl_weight, err,
                           "needs 'kl_data', examples such as the base was trained on (their labels are not read); "
                           "where there are none, give it train_data, or set kl_mask_target");
    if (lf_cfg_f64(run->cfg, LF_train_val_split) > 0 && !lf_cfg_json(run->cfg, LF_eval_data))
        return lf_cfg_fail(run->cfg, LF_kl_mask_target, err,
                           "takes all of train_data where no kl_data are given, and with train_val_split some of them "
                           "are set aside to judge on; give kl_data or eval_data");
    return LF_OK;
}

/* Without kl_data those of the new task. */
static lf_status place(const lf_run *run, lf_data_from *from, lf_err *err) {
    const lf_kl_type *type = of(run);
    const cJSON *data = lf_cfg_json(run->cfg, LF_kl_data), *train = lf_cfg_json(run->cfg, LF_train_data);
    if (!data) *from = (lf_data_from){.key = LF_train_data, .split = "train", .limit = LF_max_train_samples};
    const lf_status rc = masks(run) ? type->check(run->task, LF_kl_weight, err) : LF_OK;
    if (rc || !masks(run) || !type->check_target) return rc;
    return type->check_target(run->task, !data || cJSON_Compare(data, train, true), err);
}

static int64_t bytes_of(const lf_run *run) {
    return run->task->source->count(run->task, LF_DATA_KL) * of(run)->width(run->task) * (int64_t)sizeof(float);
}

static bool keeps(const lf_run *run) {
    const double most = lf_cfg_f64(run->cfg, LF_kl_cache_mb) * 1024 * 1024;
    return of(run)->width(run->task) > 0 && (double)bytes_of(run) <= most;
}

static lf_status fits(const lf_run *run, lf_err *err) {
    const lf_status rc = of(run)->check(run->task, LF_kl_weight, err);
    if (!rc && run->method == LF_METHOD_HEAD && !(lf_cfg_bool(run->cfg, LF_reuse_head) && !run->task->keeps_head))
        return lf_cfg_fail(run->cfg, LF_kl_weight, err,
                           "with method head nothing is trained that the base's own head stands on; leave it out");
    if (rc || run->method != LF_METHOD_FULL || keeps(run)) return rc;
    if (of(run)->width(run->task))
        return lf_cfg_fail(run->cfg, LF_kl_cache_mb, err,
                           "with method full the base is gone after the first step, and what it says of kl_data takes "
                           "%.0f MB; make room for it, give fewer examples, or train an adapter (method lora)",
                           ceil((double)bytes_of(run) / (1024.0 * 1024.0)));
    return lf_cfg_fail(run->cfg, LF_kl_weight, err,
                       "with method full the base is gone after the first step, and what it says of next tokens is too "
                       "much to be kept; train an adapter (method lora), or take replay_ratio");
}

static int64_t rows(const lf_run *run) { return run->batch_size; }

/* ---- what the base says, kept ---- */

static lf_status keep_batch(kl *s, const lf_run *run, const lf_example_batch *b, lf_err *err) {
    const lf_status rc = of(run)->ask(&s->said, run->task, b, err);
    const float *said = (const float *)(const void *)s->said.data;
    for (int64_t i = 0; i < b->in.B && !rc; i++) {
        float *row = s->kept + b->indices[i] * s->width;
        double sum = 0;
        memcpy(row, said + i * s->width, (size_t)s->width * sizeof *row);
        for (int64_t v = 0; v < s->width; v++) sum += (double)row[v];
        if (!isfinite(sum))
            return lf_fail(err, LF_EDIVERGED,
                           "key 'kl_data': of example %lld the base says numbers that are not finite; are its weights?",
                           (long long)b->indices[i]);
    }
    return rc;
}

/* One pass over all of them, as training will see them. */
static lf_status keep_all(kl *s, const lf_run *run, lf_err *err) {
    const lf_source_type *source = run->task->source;
    lf_progress bar;
    lf_status rc = source->start(run->task, LF_DATA_KL, 0, 0, (lf_portion){0}, err);
    for (int64_t i = 0; i < s->examples; i++) s->kept[i * s->width] = NAN;
    lf_progress_begin(&bar, "base on kl_data", s->batches.each);
    while (!rc) {
        const lf_example_batch *b;
        if ((rc = source->next(run->task, LF_DATA_KL, &b, err)) || b->epoch > 0) break;
        if (lf_interrupted()) rc = lf_fail(err, LF_EINTERRUPTED, "interrupted before the first step");
        if (!rc) rc = keep_batch(s, run, b, err);
        lf_progress_update(&bar, b->number + 1, "");
        if (b->number + 1 == s->batches.each) break;
    }
    lf_progress_end(&bar, "");
    return rc;
}

/* The pass over all of them is paid for by seeing them again. */
static void say_what_is_seen(const kl *s, const lf_run *run) {
    const int64_t seen = run->total_steps * run->accumulation * run->batch_size;
    if (seen < s->examples && run->method != LF_METHOD_FULL)
        lf_info(
            "the base is asked for all %lld examples of kl_data, of which this run sees %lld; with kl_cache_mb 0 for "
            "those alone, as they come",
            (long long)s->examples, (long long)seen);
}

static void close(void *state) {
    kl *s = state;
    lf_free(s->kept);
    lf_free(s->said.data);
    lf_free(s);
}

static lf_status open(void **state, char **hash, const lf_run *run, lf_err *err) {
    kl *s = *state = lf_calloc(1, sizeof *s);
    (void)hash; /* it is that of a role's data */
    if (!s) return lf_no_memory(err, "a remedy");
    s->batches = (lf_old_batches){.role = LF_DATA_KL, .each = run->remedy_batches[LF_REMEDY_kl]};
    s->weight = lf_cfg_f64(run->cfg, LF_kl_weight);
    s->examples = run->task->source->count(run->task, LF_DATA_KL);
    s->width = of(run)->width(run->task);
    if (!keeps(run)) return LF_OK;
    s->kept = lf_calloc((size_t)s->examples, (size_t)s->width * sizeof *s->kept);
    if (!s->kept)
        return lf_no_memory(err, "what the base says of kl_data, %lld x %lld numbers; try a smaller kl_cache_mb",
                            (long long)s->examples, (long long)s->width);
    say_what_is_seen(s, run);
    return lf_cfg_bool(run->cfg, LF_dry_run) ? LF_OK : lf_world_agree(keep_all(s, run, err), err);
}

static double kept_bytes(const void *state) {
    const kl *s = state;
    return s->kept ? (double)s->examples * (double)s->width * (double)sizeof *s->kept : 0;
}

/* ---- a step ---- */

static lf_status take_kept(kl *s, const lf_example_batch *b, lf_err *err) {
    const int64_t bytes = s->width * (int64_t)sizeof *s->kept;
    if (!lf_grow(&s->said.data, &s->said.size, b->in.B * bytes)) return lf_no_memory(err, "a batch of kl_data");
    for (int64_t i = 0; i < b->in.B; i++) {
        const float *row = s->kept + b->indices[i] * s->width;
        if (isnan(row[0]))
            return lf_fail(err, LF_EDATA,
                           "key 'kl_data': example %lld could not be read when the base was asked, but can be now",
                           (long long)b->indices[i]);
        memcpy(s->said.data + i * bytes, row, (size_t)bytes);
    }
    return LF_OK;
}

/* What the base says of a batch, into s->said. */
static lf_status hear(kl *s, lf_run *run, const lf_example_batch *b, bool *data_failed, lf_err *err) {
    if (!s->kept) return of(run)->ask(&s->said, run->task, b, err);
    const lf_status rc = take_kept(s, b, err);
    *data_failed = rc == LF_EDATA;
    return rc;
}

/* The term counts as much as the micro-batch it stands behind. */
static lf_status learn_batch(kl *s, lf_run *run, const lf_example_batch *b, int64_t micro, lf_window *w, lf_err *err) {
    lf_loss_counts counts = {0};
    double value;
    lf_graph_begin(run->g, true, true, lf_old_pass(LF_REMEDY_kl, micro));
    lf_tensor *loss = of(run)->loss(run->task, b, s->said.data, &counts);
    const double by = counts.targets ? s->weight * lf_remedies_targets(w) / (double)counts.targets : 0;
    const lf_status rc = lf_old_learn(run, loss, by, "KL(base || model)", &value, err);
    if (!rc) w->terms[LF_REMEDY_kl] = (lf_term){s->weight * value, counts.targets};
    return rc;
}

static lf_status learn(void *state, lf_run *run, int64_t micro, lf_window *w, bool *data_failed, lf_err *err) {
    kl *s = state;
    const lf_example_batch *b;
    lf_status rc = lf_old_batch(&s->batches, run, micro, &b, err);
    *data_failed = rc != LF_OK;
    if (rc || !b || !b->in.B || (!s->width && !b->targets)) return rc;
    rc = hear(s, run, b, data_failed, err);
    return rc ? rc : learn_batch(s, run, b, micro, w, err);
}

const lf_remedy_type lf_remedy_kl = {.check = check,
                                     .open = open,
                                     .close = close,
                                     .learn = learn,
                                     .data = LF_kl_data,
                                     .role = LF_DATA_KL,
                                     .place = place,
                                     .rows = rows,
                                     .fits = fits,
                                     .kept_bytes = kept_bytes};
