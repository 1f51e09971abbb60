/* The verb `eval`: a model or adapter on `data`, and what it forgot on `forgetting_data`. */
#include <stdio.h>

#include "base/json.h"
#include "base/log.h"
#include "base/obj.h"
#include "task/source.h"
#include "task/update_ratio.h"
#include "tools/common.h"

/* The names of the classes that were told apart; NULL: none were. */
static const char *const *class_names(const lf_task *t) {
    const lf_classifier *head;
    if (!t->confusion.n || lf_head_in_use(&head, t->model, t->cfg, "key 'data'", &(lf_err){0})) return NULL;
    return head->labels;
}

static lf_status write_confusion(const lf_task *t, lf_err *err) {
    const char *path = lf_cfg_str(t->cfg, LF_confusion_file);
    if (!path) return LF_OK;
    const char *const *names = class_names(t);
    if (!names)
        return lf_cfg_fail(t->cfg, LF_confusion_file, err, "is of data with classes, of at most %d of them",
                           LF_CONFUSION_CLASSES);
    const lf_status rc = lf_confusion_write(&t->confusion, names, path, err);
    if (!rc) lf_info("how well each class is told is in %s", path);
    return rc;
}

static lf_status new_task(lf_results *r, lf_task *t, lf_err *err) {
    const lf_data_from from = {.key = LF_data, .split = "test", .limit = LF_max_samples};
    lf_accuracy a;
    lf_status rc = t->source->open_data(t, LF_DATA_EVAL, &from, err);
    if (rc) return rc;
    const double began = lf_now();
    if ((rc = t->type->evaluate(t, &a, t->model, LF_DATA_EVAL, lf_cfg_str(t->cfg, LF_save_logits), err))) return rc;
    lf_results_put(r, LF_DATA_EVAL, &a);
    r->items_per_second = (double)a.items / (lf_now() - began);
    if (a.skipped) lf_warn("%lld pictures could not be read and were left out", (long long)a.skipped);
    return write_confusion(t, err);
}

static lf_status base_task(lf_results *r, lf_task *t, lf_err *err) {
    lf_base_score before, after;
    lf_status rc;
    if ((rc = lf_task_open_base(t, false, err)) || (rc = lf_task_measure_base(t, LF_DATA_BASE, &before, err)) ||
        (rc = lf_task_measure_tuned(t, LF_DATA_BASE, &after, t->model, err)))
        return rc;
    r->task = t->type; /* which may have become another while its data were opened */
    lf_results_put_base(r, &before, &after);
    return LF_OK;
}

static lf_status print_results(const lf_results *r, const lf_task *t, FILE *out, lf_err *err) {
    if (!lf_cfg_bool(t->cfg, LF_json)) {
        lf_results_table(r, out);
        return LF_OK;
    }
    const char *const *names = class_names(t);
    lf_obj o = lf_obj_of(lf_results_to_json(r));
    if (names) lf_obj_put(&o, "eval_classes", lf_confusion_classes(&t->confusion, names));
    return lf_json_write_line(out, lf_obj_take(&o), err);
}

lf_status lf_eval(const lf_config *cfg, FILE *out, lf_err *err) {
    const bool data = lf_cfg_is_set(cfg, LF_data), base = lf_cfg_is_set(cfg, LF_forgetting_data);
    if (!data && !base)
        return lf_fail(err, LF_EUSAGE, "key 'data' or 'forgetting_data' is required; write --data PATH");
    if (!data && lf_cfg_is_set(cfg, LF_save_logits))
        return lf_cfg_fail(cfg, LF_save_logits, err, "the logits are those of 'data', which is not given");
    lf_config_say_no_effect(cfg, "seed", "in eval: data_seed says which examples are drawn");
    lf_opened o = {0};
    lf_task *t = NULL;
    lf_results r;
    lf_results_clear(&r, NULL);
    lf_status rc;
    if ((rc = lf_opened_open(&o, cfg, LF_LOAD_FROZEN, err)) || (rc = lf_task_open(&t, cfg, o.model, o.g, err)))
        goto out;
    t->interruptible = true;
    t->confuses = true;
    if ((data && (rc = new_task(&r, t, err))) || (base && (rc = base_task(&r, t, err))) ||
        (rc = lf_update_ratio_measure(&r.update_ratio, t, o.model, base ? LF_DATA_BASE : LF_DATA_EVAL, err)))
        goto out;
    r.task = t->type;
    r.threads = o.threads;
    r.trainable_parameters = lf_nn_count(&o.model->nn, true);
    r.peak_rss_mb = lf_peak_rss_mb();
    rc = print_results(&r, t, out, err);
out:
    lf_task_close(t);
    lf_opened_close(&o);
    return rc;
}
