/* The verb `eval`: accuracy of a model or adapter on `data`, and what it forgot on `forgetting_data`. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "tools/common.h"

/* All logits of the data set: safetensors wants a tensor's size before its bytes, and a picture that is left out changes
 * it. N x classes floats. */
typedef struct logits_kept {
    float *values;
    int64_t rows, capacity;
} logits_kept;

static lf_status keep_logits(void *context, const lf_batch *b, const float *features, const float *logits, int64_t V,
                             lf_err *err) {
    (void)features;
    logits_kept *kept = context;
    if (kept->rows + b->B > kept->capacity) return lf_fail(err, LF_EFAIL, "more examples than the data set said");
    memcpy(kept->values + kept->rows * V, logits, (size_t)(b->B * V) * sizeof *logits);
    kept->rows += b->B;
    return LF_OK;
}

static lf_status write_logits(const char *path, const logits_kept *kept, int64_t V, lf_err *err) {
    lf_st_writer *w = NULL;
    lf_status rc;
    if (!(rc = lf_st_writer_new(&w, path, err)) &&
        !(rc = lf_st_writer_declare(w, "logits", LF_F32, 2, (int64_t[]){kept->rows, V}, err)) &&
        !(rc = lf_st_writer_write_f32(w, kept->values, kept->rows * V, err))) {
        rc = lf_st_writer_commit(w, err);
        w = NULL;
    }
    lf_st_writer_abort(w);
    return rc;
}

static lf_status open_data(lf_dataset **out, const lf_config *cfg, const char *key, const char *limit,
                           const char *const *names, int64_t n, lf_err *err) {
    const lf_dataset_opts o = {.spec = lf_cfg_json(cfg, key), .key = key, .split = "test",
                               .max_samples = lf_cfg_i64(cfg, limit), .seed = (uint64_t)lf_cfg_i64(cfg, "seed")};
    return lf_open_labelled(out, &o, names, n, err);
}

static lf_status new_task(lf_results *r, lf_opened *o, const lf_config *cfg, const lf_image_processor *processor,
                          lf_err *err) {
    const char *const save = lf_cfg_str(cfg, "save_logits");
    const lf_eval_opts opts = lf_eval_opts_read(cfg, processor, "evaluate");
    lf_dataset *d = NULL;
    logits_kept kept = {0};
    lf_module *head;
    const char **names;
    lf_status rc;
    if ((rc = lf_opened_head(o, cfg, "key 'data'", &head, &names, err)) ||
        (rc = open_data(&d, cfg, "data", "max_samples", names, head->out, err)))
        goto out;
    if (save) {
        kept.capacity = lf_dataset_count(d);
        kept.values = lf_aligned_alloc((size_t)(kept.capacity * head->out) * sizeof *kept.values);
        if (!kept.values) {
            rc = lf_fail(err, LF_ENOMEM, "out of memory for the logits of %lld examples x %lld classes; try max_samples",
                         (long long)kept.capacity, (long long)head->out);
            goto out;
        }
    }
    lf_accuracy a;
    const double began = lf_now();
    if ((rc = lf_evaluate(&a, o->model, o->g, head, d, &opts, save ? keep_logits : NULL, &kept, err))) goto out;
    r->eval_accuracy = a.accuracy;
    r->eval_loss = a.loss;
    r->eval_count = a.count;
    r->items_per_second = (double)a.count / (lf_now() - began);
    if (a.skipped) lf_warn("%lld pictures could not be read and were left out", (long long)a.skipped);
    if (save) rc = write_logits(save, &kept, head->out, err);
out:
    lf_aligned_free(kept.values);
    lf_dataset_free(d);
    return rc;
}

static lf_status base_task(lf_results *r, lf_opened *o, const lf_config *cfg, const lf_image_processor *processor,
                           lf_err *err) {
    lf_eval_opts opts = lf_eval_opts_read(cfg, processor, "untouched base");
    lf_model *m = o->model;
    lf_dataset *d = NULL;
    lf_forgetting *f = NULL;
    lf_status rc = LF_OK;
    if (!m->base_head)
        rc = lf_cfg_fail(cfg, "forgetting_data", err, "the model has no head of its own, so there is no base task to forget");
    if (rc || (rc = open_data(&d, cfg, "forgetting_data", "max_forgetting_samples", m->base_id2label, m->base_num_labels, err)) ||
        (rc = lf_forgetting_new(&f, m, o->g, d, &opts, lf_cfg_bool(cfg, "forgetting_knn"), err)))
        goto out;
    r->before = *lf_forgetting_before(f);
    opts.what = "base task";
    if ((rc = lf_forgetting_measure(&r->after, f, m, o->g, &opts, err))) goto out;
    r->base_before = r->before.accuracy;
    r->base_after = r->after.accuracy;
    r->forgetting = r->base_before - r->base_after;
    r->retention = r->base_before > 0 ? r->base_after / r->base_before : NAN;
out:
    lf_forgetting_free(f);
    lf_dataset_free(d);
    return rc;
}

static lf_status print_results(const lf_results *r, const lf_config *cfg, FILE *out, lf_err *err) {
    if (lf_cfg_bool(cfg, "json")) return lf_print_json(out, lf_results_to_json(r), err);
    lf_results_table(r, out);
    return LF_OK;
}

lf_status lf_eval(const lf_config *cfg, FILE *out, lf_err *err) {
    const bool data = lf_cfg_is_set(cfg, "data"), base = lf_cfg_is_set(cfg, "forgetting_data");
    if (!data && !base) return lf_fail(err, LF_EUSAGE, "key 'data' or 'forgetting_data' is required; write --data PATH");
    if (!data && lf_cfg_is_set(cfg, "save_logits"))
        return lf_cfg_fail(cfg, "save_logits", err, "the logits are those of 'data', which is not given");
    lf_opened o = {0};
    lf_image_processor processor;
    lf_results r;
    lf_results_clear(&r);
    lf_status rc;
    if ((rc = lf_opened_open(&o, cfg, LF_LOAD_FROZEN, err)) || (rc = lf_processor_for(&processor, o.model, err)) ||
        (data && (rc = new_task(&r, &o, cfg, &processor, err))) || (base && (rc = base_task(&r, &o, cfg, &processor, err))))
        goto out;
    r.threads = o.threads;
    r.trainable_parameters = lf_nn_count(&o.model->nn, true);
    r.peak_rss_mb = lf_peak_rss_mb();
    rc = print_results(&r, cfg, out, err);
out:
    lf_opened_close(&o);
    return rc;
}
