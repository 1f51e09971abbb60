/* Setting a run up: folder, model, data, head, the untouched base's score, adapter, optimiser. In that order, because the
 * base must be measured before anything is trained, and every mistake in the configuration should show before the long
 * parts begin. */
#define _XOPEN_SOURCE 700
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "train/run.h"

static const char *const methods[] = {[LF_METHOD_LORA] = "lora", [LF_METHOD_HEAD] = "head", [LF_METHOD_FULL] = "full"};

static void read_method(lf_run *run) {
    const char *name = lf_cfg_str(run->cfg, "method");
    for (int i = 0; i < 3; i++)
        if (strcmp(methods[i], name) == 0) run->method = (lf_method)i;
}

static bool resumes(const lf_run *run) {
    const cJSON *resume = lf_cfg_json(run->cfg, "resume_from_checkpoint");
    return resume && !cJSON_IsFalse(resume);
}

/* What a run writes into its folder, and what overwrite_output_dir removes: a user's other files are left alone. */
static bool is_ours(const char *name, size_t n) {
    static const char *const ours[] = {"adapter", "model", "config.json", "metrics.jsonl", "all_results.json", "report.html", "curves.csv",
                                       "curves.gp", "curves.svg"};
    static const char checkpoint[] = "checkpoint-";
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (strlen(ours[i]) == n && memcmp(ours[i], name, n) == 0) return true;
    return n >= sizeof checkpoint - 1 && memcmp(name, checkpoint, sizeof checkpoint - 1) == 0;
}

/* Refuses an input that the run would delete or write over. Links are followed first. */
static lf_status check_input_is_safe(const lf_run *run, const char *key, const char *path, const char *dir, lf_err *err) {
    char input[PATH_MAX];
    const size_t n = strlen(dir);
    if (!path || !realpath(path, input) || strncmp(input, dir, n) != 0) return LF_OK;
    if (!input[n]) return lf_cfg_fail(run->cfg, "output_dir", err, "'%s' is the folder of '%s'; choose another", run->dir, key);
    if (input[n] != '/' || !is_ours(input + n + 1, strcspn(input + n + 1, "/"))) return LF_OK;
    return lf_cfg_fail(run->cfg, "output_dir", err, "the run would write over its own '%s' ('%s'); choose another folder", key, path);
}

static lf_status check_inputs_are_safe(const lf_run *run, lf_err *err) {
    static const char *const models[] = {"model", "init_model"};
    static const char *const data[] = {"train_data", "eval_data", "test_data", "forgetting_data"};
    char dir[PATH_MAX];
    if (!realpath(run->dir, dir)) return LF_OK; /* not there yet, so nothing is in it */
    lf_status rc = LF_OK;
    for (size_t i = 0; i < sizeof models / sizeof models[0] && !rc; i++)
        rc = check_input_is_safe(run, models[i], lf_cfg_str(run->cfg, models[i]), dir, err);
    for (size_t i = 0; i < sizeof data / sizeof data[0] && !rc; i++) {
        const cJSON *spec = lf_cfg_json(run->cfg, data[i]);
        if (cJSON_IsObject(spec)) spec = cJSON_GetObjectItemCaseSensitive(spec, "path");
        rc = check_input_is_safe(run, data[i], cJSON_GetStringValue(spec), dir, err);
    }
    return rc;
}

static lf_status check_output_dir(const lf_run *run, lf_err *err) {
    if (lf_is_file(run->dir)) return lf_cfg_fail(run->cfg, "output_dir", err, "'%s' is a file, expected a folder", run->dir);
    lf_status rc = check_inputs_are_safe(run, err);
    if (rc || !lf_is_dir(run->dir) || resumes(run)) return rc;
    char **names;
    size_t count;
    rc = lf_list_dir(&names, &count, run->dir, err);
    lf_free(names);
    if (rc || count == 0) return rc;
    if (!lf_cfg_bool(run->cfg, "overwrite_output_dir"))
        return lf_cfg_fail(run->cfg, "output_dir", err, "'%s' is not empty; choose another, or set overwrite_output_dir, or resume_from_checkpoint",
                           run->dir);
    return LF_OK;
}

static lf_status clear_output_dir(const lf_run *run, lf_err *err) {
    char **names;
    size_t count;
    lf_status rc = lf_list_dir(&names, &count, run->dir, err);
    for (size_t i = 0; i < count && !rc; i++) {
        if (!is_ours(names[i], strlen(names[i]))) continue;
        char *path = lf_path_join(run->dir, names[i]);
        rc = path ? lf_remove_tree(path, err) : lf_fail(err, LF_ENOMEM, "%s: out of memory", run->dir);
        lf_free(path);
    }
    lf_free(names);
    return rc;
}

/* ---- data ---- */

static lf_dataset_opts data_opts(const lf_run *run, const char *key, const char *split, const char *limit) {
    return (lf_dataset_opts){.spec = lf_cfg_json(run->cfg, key), .key = key, .split = split,
                             .max_samples = limit ? lf_cfg_i64(run->cfg, limit) : 0, .seed = (uint64_t)lf_cfg_i64(run->cfg, "seed")};
}

static const char **class_names(const lf_dataset *d, int64_t *n) {
    *n = lf_dataset_n_classes(d);
    const char **names = lf_calloc((size_t)*n, sizeof *names);
    for (int64_t i = 0; names && i < *n; i++) names[i] = lf_dataset_class_name(d, i);
    return names;
}

/* The evaluation data: eval_data, else val/ beside train/, else a share of the training data. */
static lf_status open_eval(lf_run *run, const char **names, int64_t n, lf_err *err) {
    const double share = lf_cfg_f64(run->cfg, "train_val_split");
    lf_dataset_opts o = data_opts(run, "eval_data", "val", "max_eval_samples");
    if (o.spec) return lf_open_labelled(&run->eval, &o, names, n, err);
    if (share > 0) return lf_dataset_split(run->train, share, o.seed, &run->eval, err);
    o.spec = lf_cfg_json(run->cfg, "train_data");
    o.key = "train_data";
    return lf_dataset_has_split(o.spec, "val") ? lf_open_labelled(&run->eval, &o, names, n, err) : LF_OK;
}

/* The test data: test_data, else test/ beside train/. */
static lf_status open_test(lf_run *run, const char **names, int64_t n, lf_err *err) {
    lf_dataset_opts o = data_opts(run, "test_data", "test", NULL);
    if (o.spec) return lf_open_labelled(&run->test, &o, names, n, err);
    o.spec = lf_cfg_json(run->cfg, "train_data");
    o.key = "train_data";
    return lf_dataset_has_split(o.spec, "test") ? lf_open_labelled(&run->test, &o, names, n, err) : LF_OK;
}

static lf_status open_data(lf_run *run, lf_err *err) {
    const bool reuse = lf_cfg_bool(run->cfg, "reuse_head");
    lf_dataset_opts o = data_opts(run, "train_data", "train", "max_train_samples");
    lf_status rc = reuse ? lf_open_labelled(&run->train, &o, run->model->id2label, run->model->num_labels, err)
                         : lf_dataset_open(&run->train, &o, err);
    if (rc) return rc;
    int64_t n;
    const char **names = class_names(run->train, &n);
    if (!names) return lf_fail(err, LF_ENOMEM, "out of memory for the class names");
    if (!(rc = open_eval(run, names, n, err))) rc = open_test(run, names, n, err);
    lf_free(names);
    if (rc || !lf_cfg_json(run->cfg, "forgetting_data")) return rc;
    if (!run->model->base_head)
        return lf_cfg_fail(run->cfg, "forgetting_data", err, "the model has no head of its own, so there is no base task to forget");
    o = data_opts(run, "forgetting_data", "test", "max_forgetting_samples");
    return lf_open_labelled(&run->base, &o, run->model->base_id2label, run->model->base_num_labels, err);
}

/* What waits for a better metric would wait for ever without data to measure it on. */
static lf_status check_eval_data(const lf_run *run, lf_err *err) {
    const char *key = lf_cfg_bool(run->cfg, "load_best_model_at_end") ? "load_best_model_at_end"
                      : lf_cfg_i64(run->cfg, "early_stopping_patience") > 0 ? "early_stopping_patience" : NULL;
    if (run->eval || !key) return LF_OK;
    return lf_cfg_fail(run->cfg, key, err, "needs evaluation data: set eval_data or train_val_split (there is no val/ beside train/)");
}

static void say_data(const lf_run *run) {
    lf_info("train: %lld examples of %lld classes (%s)", (long long)lf_dataset_count(run->train),
            (long long)lf_dataset_n_classes(run->train), lf_dataset_path(run->train));
    if (run->eval) lf_info("evaluation: %lld examples (%s)", (long long)lf_dataset_count(run->eval), lf_dataset_path(run->eval));
    else lf_info("evaluation: none (no eval_data, no val/ beside train/, no train_val_split)");
    if (run->test) lf_info("test, read once at the end: %lld examples (%s)", (long long)lf_dataset_count(run->test), lf_dataset_path(run->test));
    if (run->base) lf_info("forgetting: %lld examples of the base task (%s)", (long long)lf_dataset_count(run->base), lf_dataset_path(run->base));
    else lf_info("forgetting: not measured (no forgetting_data)");
}

/* ---- model, head, adapter ---- */

static lf_status open_model(lf_run *run, lf_err *err) {
    const char *fresh = lf_cfg_str(run->cfg, "init_model"), *path = lf_cfg_str(run->cfg, "model");
    if (fresh) {
        if (run->method != LF_METHOD_FULL) return lf_cfg_fail(run->cfg, "init_model", err, "random weights need method 'full', found '%s'", methods[run->method]);
        return lf_model_new(&run->model, fresh, run->k, (uint64_t)lf_cfg_i64(run->cfg, "seed"), err);
    }
    return lf_model_open(&run->model, path, run->k, run->method == LF_METHOD_FULL ? LF_LOAD_TRAINED : LF_LOAD_FROZEN, err);
}

static lf_status check_modules_to_save(const lf_run *run, lf_err *err) {
    for (int64_t i = 0; i < lf_cfg_list_count(run->cfg, "modules_to_save"); i++) {
        const char *name = lf_cfg_list_at(run->cfg, "modules_to_save", i);
        if (strcmp(name, run->model->head->name) != 0)
            return lf_cfg_fail(run->cfg, "modules_to_save", err, "only the head ('%s') can be trained whole beside an adapter, found '%s'",
                               run->model->head->name, name);
    }
    return LF_OK;
}

static lf_status make_head(lf_run *run, lf_err *err) {
    if (lf_cfg_bool(run->cfg, "reuse_head")) return lf_model_train_head(run->model, err);
    int64_t n;
    const char **names = class_names(run->train, &n);
    if (!names) return lf_fail(err, LF_ENOMEM, "out of memory for the class names");
    const lf_status rc = lf_model_new_head(run->model, n, names, (uint64_t)lf_cfg_i64(run->cfg, "seed"), err);
    lf_free(names);
    return rc;
}

static lf_status attach_adapter(lf_run *run, lf_err *err) {
    if (run->method != LF_METHOD_LORA) return LF_OK;
    lf_adapter_opts o;
    lf_status rc;
    if ((rc = lf_adapter_opts_read(&o, run->cfg, err)) || (rc = lf_adapter_new(&run->adapter, &run->model->nn, &o, err))) return rc;
    lf_info("%s", lf_adapter_coverage(run->adapter));
    run->results.init_seconds = lf_adapter_init_seconds(run->adapter);
    return LF_OK;
}

static lf_status plan_steps(lf_run *run, lf_err *err) {
    run->batch_size = lf_cfg_i64(run->cfg, "per_device_train_batch_size");
    run->accumulation = lf_cfg_i64(run->cfg, "gradient_accumulation_steps");
    const int64_t batches = (lf_dataset_count(run->train) + run->batch_size - 1) / run->batch_size;
    run->steps_per_epoch = (batches + run->accumulation - 1) / run->accumulation;
    const int64_t max_steps = lf_cfg_i64(run->cfg, "max_steps");
    run->total_steps = max_steps > 0 ? max_steps : (int64_t)ceil(lf_cfg_f64(run->cfg, "num_train_epochs") * (double)run->steps_per_epoch);
    return lf_schedule_read(&run->schedule, run->cfg, run->total_steps, err);
}

lf_status lf_run_open(lf_run *run, const lf_config *cfg, lf_err *err) {
    *run = (lf_run){.cfg = cfg, .dir = lf_cfg_str(cfg, "output_dir"),
                    .at = {.best_metric = NAN, .eval_accuracy_before = NAN}};
    lf_results_clear(&run->results);
    read_method(run);
    run->threads = lf_threads_set((int)lf_cfg_i64(cfg, "threads"));
    lf_status rc;
    if ((rc = check_output_dir(run, err)) || (rc = lf_kernels_select(&run->k, lf_cfg_str(cfg, "precision"), err)) || (rc = open_model(run, err)) ||
        (rc = check_modules_to_save(run, err)) || (rc = lf_processor_for(&run->processor, run->model, err)) || (rc = open_data(run, err)) ||
        (rc = check_eval_data(run, err)) || (rc = plan_steps(run, err)))
        return rc;
    run->model->gradient_checkpointing = lf_cfg_bool(cfg, "gradient_checkpointing");
    say_data(run);
    if (!(run->g = lf_graph_new(run->k, (uint64_t)lf_cfg_i64(cfg, "seed")))) return lf_fail(err, LF_ENOMEM, "out of memory");
    run->eval_opts = (lf_eval_opts){.batch_size = lf_cfg_i64(cfg, "per_device_eval_batch_size"), .workers = lf_cfg_i64(cfg, "dataloader_num_workers"),
                                    .skip_bad_images = lf_cfg_bool(cfg, "skip_bad_images"), .processor = &run->processor, .what = "evaluate"};
    const bool dry = lf_cfg_bool(cfg, "dry_run");
    if (run->base && !dry && (rc = lf_forgetting_new(&run->forgetting, run->model, run->g, run->base, &run->eval_opts, lf_cfg_bool(cfg, "forgetting_knn"), err)))
        return rc;
    if ((rc = make_head(run, err)) || (rc = attach_adapter(run, err)) ||
        (rc = lf_nn_trainables(&run->model->nn, &run->trainables, &run->n_trainables, err)) ||
        (rc = lf_optimizer_init(&run->optimizer, run->k, run->trainables, run->n_trainables, cfg, err)))
        return rc;
    run->results.trainable_parameters = run->optimizer.numbers;
    run->results.threads = run->threads;
    if (dry) return LF_OK;
    if ((rc = lf_mkdir_p(run->dir, err)) || resumes(run) || !lf_cfg_bool(cfg, "overwrite_output_dir")) return rc;
    return clear_output_dir(run, err);
}

void lf_run_close(lf_run *run) {
    lf_metrics_close(&run->metrics);
    lf_optimizer_free(&run->optimizer);
    lf_forgetting_free(run->forgetting);
    lf_adapter_free(run->adapter);
    lf_graph_free(run->g);
    lf_model_free(run->model);
    lf_dataset_free(run->train);
    lf_dataset_free(run->eval);
    lf_dataset_free(run->test);
    lf_dataset_free(run->base);
}
