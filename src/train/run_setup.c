/* Setting a run up: folder, model, data, head, the untouched base's score, adapter, optimiser. In that order, because
 * the base must be measured before anything is trained, and every mistake in the configuration should show before the
 * long parts begin. */
#include <math.h>
#include <string.h>

#include "adapter/calibrate.h"
#include "base/folder.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/world.h"
#include "data/class_names.h"
#include "eval/adapted.h"
#include "task/base_cache.h"
#include "train/fisher.h"
#include "train/remedies.h"
#include "train/together.h"

static const char *const methods[] = {[LF_METHOD_LORA] = "lora", [LF_METHOD_HEAD] = "head", [LF_METHOD_FULL] = "full"};

static void read_method(lf_run *run) {
    const char *name = lf_cfg_str(run->cfg, LF_method);
    for (int i = 0; i < 3; i++)
        if (strcmp(methods[i], name) == 0) run->method = (lf_method)i;
}

/* ---- data ---- */

static bool is_split(const lf_run *run) {
    return lf_cfg_f64(run->cfg, LF_train_val_split) > 0 && !lf_cfg_json(run->cfg, LF_eval_data);
}

/* The training data, and the share of them that is set aside to evaluate on. */
static lf_status open_train(lf_run *run, lf_err *err) {
    const lf_data_from from = {.key = LF_train_data, .split = "train", .limit = LF_max_train_samples};
    const lf_source_type *source = run->task->source;
    const lf_status rc = source->open_data(run->task, LF_DATA_TRAIN, &from, err);
    return rc || !is_split(run) ? rc
                                : source->split_data(run->task, LF_DATA_TRAIN, LF_DATA_EVAL,
                                                     lf_cfg_f64(run->cfg, LF_train_val_split), err);
}

/* The evaluation data: eval_data, else that share, else val/ beside train/. */
static lf_status open_eval(lf_run *run, lf_err *err) {
    return is_split(run) ? LF_OK : lf_task_open_eval(run->task, err);
}

static lf_status open_data(lf_run *run, lf_err *err) {
    const lf_data_from test = {.key = LF_test_data, .split = "test", .limit = LF_max_test_samples};
    const lf_source_type *source = run->task->source;
    const bool choosing = lf_cfg_selects_by_forgetting(run->cfg);
    lf_status rc;
    if ((rc = open_train(run, err)) || (rc = open_eval(run, err)) ||
        (rc = lf_task_open_part(run->task, LF_DATA_TEST, &test, err)) ||
        (lf_cfg_json(run->cfg, LF_forgetting_data) && (rc = lf_task_open_base(run->task, choosing, err))) ||
        (rc = lf_run_open_calibration(run, err)) || (rc = lf_remedies_open_data(run, err)))
        return rc;
    if (!choosing)
        lf_config_say_no_effect(run->cfg, "forgetting_eval_data",
                                "where nothing is chosen by forgetting (metric_for_best_model, max_forgetting)");
    run->has_eval = source->has_data(run->task, LF_DATA_EVAL);
    run->has_test = source->has_data(run->task, LF_DATA_TEST);
    run->has_base = source->has_data(run->task, LF_DATA_BASE);
    run->selects = source->has_data(run->task, LF_DATA_BASE_EVAL);
    if (!run->has_eval || is_split(run))
        lf_config_say_no_effect(run->cfg, "max_eval_samples",
                                run->has_eval ? "with train_val_split" : "without data for evaluations");
    if (!run->has_test) lf_config_say_no_effect(run->cfg, "max_test_samples", "without test data");
    return lf_run_hash_data(run, err);
}

static void say_data(const lf_run *run) {
    static const struct {
        const char *name, *missing;
    } roles[] = {
        [LF_DATA_TRAIN] = {"train", NULL},
        [LF_DATA_EVAL] = {"evaluation", "none (no eval_data, no val/ beside train/, no train_val_split)"},
        [LF_DATA_TEST] = {"test, read once at the end", NULL},
        [LF_DATA_BASE] = {"forgetting, what the model knew before", "not measured (no forgetting_data)"},
        [LF_DATA_BASE_EVAL] = {"forgetting, to choose by and not to report", NULL},
        [LF_DATA_CALIBRATION] = {"calibration of the start", NULL},
        [LF_DATA_REPLAY] = {"replay, old examples beside the new ones", NULL},
        [LF_DATA_KL] = {"KL, on which the model is to say what the base says", NULL},
    };
    for (int role = 0; role < LF_DATA_ROLES; role++) {
        char text[1200];
        const bool is_there = run->task->source->has_data(run->task, (lf_data_role)role);
        if (is_there) run->task->source->describe(run->task, (lf_data_role)role, text, sizeof text);
        if (is_there || roles[role].missing) lf_info("%s: %s", roles[role].name, is_there ? text : roles[role].missing);
    }
}

/* What cannot be read shows now, not after hours. */
static lf_status check_examples(const lf_run *run, lf_err *err) {
    const lf_source_type *source = run->task->source;
    lf_status rc = LF_OK;
    for (int role = 0; role < LF_DATA_ROLES && !rc && source->check; role++)
        if (source->has_data(run->task, (lf_data_role)role))
            rc = source->check(run->task, (lf_data_role)role, run->data_hash[role], err);
    return rc;
}

/* ---- model, head, adapter ---- */

/* What a quantised base cannot be combined with, before it is read. */
static lf_status check_quantised(const lf_run *run, lf_err *err) {
    const char *format = lf_cfg_str(run->cfg, LF_frozen_precision);
    if (!format) return LF_OK;
    if (run->method == LF_METHOD_FULL)
        return lf_cfg_fail(run->cfg, LF_frozen_precision, err,
                           "with method full all weights are trained and none is frozen, found '%s'; leave it out, or "
                           "train an adapter (method lora)",
                           format);
    if (run->method == LF_METHOD_LORA && lf_cfg_bool(run->cfg, LF_use_dora))
        return lf_cfg_fail(run->cfg, LF_frozen_precision, err,
                           "use_dora divides by the norms of W + BA, which a base in %s does not have in full; leave "
                           "one of the two out",
                           format);
    return LF_OK;
}

static lf_status read_model(lf_run *run, lf_err *err) {
    const char *fresh = lf_cfg_str(run->cfg, LF_init_model), *path = lf_cfg_str(run->cfg, LF_model);
    if (fresh) {
        if (run->method != LF_METHOD_FULL)
            return lf_cfg_fail(run->cfg, LF_init_model, err, "random weights need method 'full', found '%s'",
                               methods[run->method]);
        return lf_model_new(&run->model, fresh, run->k, (uint64_t)lf_cfg_i64(run->cfg, LF_seed), err);
    }
    lf_model_opts opts =
        lf_model_opts_of(run->cfg, run->k, run->method == LF_METHOD_FULL ? LF_LOAD_TRAINED : LF_LOAD_FROZEN);
    opts.cache = lf_cfg_str(run->cfg, LF_decomposition_cache);
    opts.quantised = lf_model_quantised(run->cfg);
    return lf_model_open(&run->model, path, &opts, err);
}

static lf_status open_model(lf_run *run, lf_err *err) {
    const double began = lf_now();
    const lf_status rc = read_model(run, err);
    if (!rc) lf_detail("the model was opened in %.2f s", lf_now() - began);
    return rc;
}

/* The adapter to go on with, and its head in the place of the model's own. */
static lf_status open_from(lf_run *run, lf_err *err) {
    const char *dir = lf_cfg_str(run->cfg, LF_continue_from);
    lf_status rc = LF_OK;
    if (!dir || (rc = lf_adapter_open(&run->from, dir, err)) ||
        (rc = lf_adapter_file_hash(run->from, run->from_hash, err)) ||
        (rc = lf_adapted_head(run->model, run->from, err)))
        return rc;
    const int64_t tokens = lf_adapter_file_vocabulary(run->from, &run->model->nn);
    if (tokens > run->model->tokens.vocab_size) run->model->tokens.vocab_size = tokens;
    lf_adapter_compare_base(run->from, run->model->hash);
    return LF_OK;
}

/* PEFT's model that classifies has no output layer of the vocabulary. */
static bool is_of_another_model(const lf_run *run, const char *name) {
    const lf_module *m = lf_nn_find(&run->model->nn, name);
    return m && m == run->model->lm_head && run->task->type->output == LF_CLASSES;
}

static lf_status check_modules_to_save(const lf_run *run, lf_err *err) {
    const cJSON *item, *names = lf_cfg_list(run->cfg, LF_modules_to_save);
    const lf_module *head = run->model->head.module;
    cJSON_ArrayForEach(item, names) {
        const char *name = item->valuestring;
        if (head && strcmp(name, head->name) == 0) continue;
        if (run->method != LF_METHOD_LORA)
            return lf_cfg_fail(run->cfg, LF_modules_to_save, err,
                               "only beside an adapter are modules trained whole (method lora), found '%s' with method "
                               "%s; leave it out",
                               name, methods[run->method]);
        if (is_of_another_model(run, name))
            return lf_cfg_fail(run->cfg, LF_modules_to_save, err,
                               "a model that classifies does not use '%s'; leave it out", name);
    }
    if (run->method == LF_METHOD_LORA) lf_adapter_mark_saved(&run->model->nn, names);
    return lf_adapter_check_saves(&run->model->nn, names, err);
}

/* More rows for the head that stays, before any data ask for its labels. */
static lf_status grow_head(lf_run *run, lf_err *err) {
    const lf_config *cfg = run->cfg;
    const int64_t n = lf_cfg_list_count(cfg, LF_new_labels);
    if (!n) return LF_OK;
    if (run->task->type->output != LF_CLASSES || !(run->task->keeps_head || lf_cfg_bool(cfg, LF_reuse_head)))
        return lf_cfg_fail(cfg, LF_new_labels, err,
                           "are of a head that stays: give continue_from or reuse_head; a new head has the labels of "
                           "train_data");
    lf_status rc = run->task->keeps_head ? LF_OK : lf_model_train_head(run->model, err);
    const lf_classifier *head = &run->model->head;
    const char **names = lf_calloc((size_t)n, sizeof *names);
    if (!rc && !names) rc = lf_no_memory(err, "%lld labels", (long long)n);
    for (int64_t i = 0; i < n && !rc; i++) {
        names[i] = lf_cfg_list_at(cfg, LF_new_labels, i);
        if (lf_class_names_find(names[i], head->labels, head->n_labels) >= 0 ||
            lf_class_names_find(names[i], names, i) >= 0)
            rc = lf_cfg_fail(cfg, LF_new_labels, err, "'%s' is a label already", names[i]);
    }
    if (!rc) rc = lf_model_grow_head(run->model, n, names, (uint64_t)lf_cfg_i64(cfg, LF_seed), err);
    lf_free(names);
    if (!rc) run->task->keeps_head = true;
    return rc;
}

static lf_status check_added_tokens(const lf_run *run, lf_err *err) {
    if (!lf_cfg_list_count(run->cfg, LF_added_tokens)) return LF_OK;
    if (run->method != LF_METHOD_LORA)
        return lf_cfg_fail(run->cfg, LF_added_tokens, err,
                           "tokens are added beside an adapter alone (method lora), found method %s; leave it out",
                           methods[run->method]);
    if (!run->model->tokens.table) return LF_OK; /* pictures: other_keys.def says it */
    lf_info("added_tokens: embedding and output layer of the vocabulary are trained and saved whole, as by "
            "modules_to_save");
    return LF_OK;
}

static const char *plain_start(void) {
    const char *name;
    (void)lf_init_of(NULL, &name);
    return name;
}

/* Step 0 would not be the base: what is trained whole begins with its own numbers, and the base has rounded ones. */
static lf_status check_trained_beside(const lf_run *run, lf_err *err) {
    const lf_nn *nn = &run->model->nn;
    if (nn->quantised != LF_FROZEN_PLAIN && !lf_nn_is_quantised(nn))
        return lf_cfg_fail(run->cfg, LF_frozen_precision, err, "%s: none of its weights can be held so; leave it out",
                           run->model->path);
    for (int64_t i = 0; i < nn->n_modules; i++) {
        const lf_module *m = nn->modules[i];
        if (lf_nn_quantises(nn, m) && lf_nn_is_beside(nn, m->weight))
            return lf_cfg_fail(run->cfg, LF_frozen_precision, err,
                               "modules_to_save: '%s' would be trained whole, and the base has it in %s; leave one of "
                               "the two out",
                               m->name, lf_cfg_str(run->cfg, LF_frozen_precision));
    }
    return LF_OK;
}

/* Nothing of it stays: its weights are read from its file, one at a time. */
static lf_status open_start(lf_model **out, const lf_run *run, lf_err *err) {
    const char *path = lf_cfg_str(run->cfg, LF_start_from);
    const lf_model_opts opts = lf_model_opts_of(run->cfg, run->k, LF_LOAD_NOTHING);
    *out = NULL;
    return path ? lf_model_open(out, path, &opts, err) : LF_OK;
}

static lf_status make_adapter(lf_run *run, lf_adapter_opts *o, lf_err *err) {
    lf_model *start;
    lf_status rc = open_start(&start, run, err);
    o->start_from = start ? &start->nn : NULL;
    if (!rc) rc = lf_adapter_new(&run->adapter, &run->model->nn, o, err);
    lf_model_free(start);
    return rc;
}

static lf_status attach_adapter(lf_run *run, lf_err *err) {
    if (run->method != LF_METHOD_LORA) return LF_OK;
    lf_adapter_opts o;
    lf_status rc;
    if ((rc = lf_adapter_opts_read(&o, run->cfg, err))) return rc;
    o.from = run->from;
    if (run->model->tokens.table &&
        (lf_cfg_list_count(run->cfg, LF_added_tokens) > 0 || lf_model_has_grown(run->model)))
        o.vocabulary = run->model->tokens.vocab_size;
    if (o.vocabulary && lf_run_calibrates(run))
        return lf_cfg_fail(run->cfg, LF_init_lora_weights, err,
                           "%s looks at data with the base, which does not know the added tokens; choose a start that "
                           "looks at none",
                           o.init);
    const lf_calibrate calibrate = {lf_run_calibrate, run};
    o.calibrate = &calibrate;
    if (lf_run_calibrates(run) && lf_cfg_bool(run->cfg, LF_dry_run)) { /* it is as large */
        lf_info("dry run: the start %s, which looks at data, is not made; %s stands for it", o.init, plain_start());
        o.init = plain_start();
    }
    if ((rc = make_adapter(run, &o, err)) || (rc = check_trained_beside(run, err))) return rc;
    lf_model_take_vocabulary(run->model);
    if (lf_model_has_grown(run->model))
        lf_info("the vocabulary has %lld tokens, %lld of them new", (long long)run->model->tokens.vocab_size,
                (long long)(run->model->tokens.vocab_size - run->model->tokens.table->in));
    lf_info_lines(lf_adapter_coverage(run->adapter));
    run->results.init_seconds = lf_adapter_init_seconds(run->adapter);
    return LF_OK;
}

static lf_status plan_steps(lf_run *run, lf_err *err) {
    run->batch_size = lf_cfg_i64(run->cfg, LF_per_device_train_batch_size);
    run->accumulation = lf_cfg_i64(run->cfg, LF_gradient_accumulation_steps);
    lf_status rc = lf_remedies_plan(run, err);
    if (!rc) rc = run->task->source->plan(run->task, LF_DATA_TRAIN, run->batch_size, &run->batches_per_epoch, err);
    if (rc) return rc;
    run->steps_per_epoch = (run->batches_per_epoch + run->accumulation - 1) / run->accumulation;
    const int64_t max_steps = lf_cfg_i64(run->cfg, LF_max_steps);
    run->total_steps = max_steps > 0
                           ? max_steps
                           : (int64_t)ceil(lf_cfg_f64(run->cfg, LF_num_train_epochs) * (double)run->steps_per_epoch);
    run->planned_steps = run->total_steps;
    return lf_schedule_read(&run->schedule, run->cfg, run->total_steps, err);
}

static lf_status begin(lf_run *run, const lf_config *cfg, lf_err *err) {
    const double minutes = lf_cfg_f64(cfg, LF_max_train_minutes);
    *run = (lf_run){
        .cfg = cfg,
        .dir = lf_cfg_str(cfg, LF_output_dir),
        .lock = -1,
        .deadline = minutes > 0 ? lf_now() + 60 * minutes : HUGE_VAL,
        .progress = {.best_metric = NAN, .best_forgetting = NAN, .eval_accuracy_before = NAN, .eval_loss_before = NAN}};
    lf_results_clear(&run->results, NULL);
    read_method(run);
    return lf_threads_take(&run->threads, (int)lf_cfg_i64(cfg, LF_threads), err);
}

static lf_status open_task(lf_run *run, lf_err *err) {
    if (!(run->g = lf_graph_new(run->k, (uint64_t)lf_cfg_i64(run->cfg, LF_seed))))
        return lf_no_memory(err, "the setup of a run");
    return lf_task_open(&run->task, run->cfg, run->model, run->g, err);
}

lf_status lf_run_open_to_look(lf_run *run, const lf_config *cfg, lf_err *err) {
    const char *fresh = lf_cfg_str(cfg, LF_init_model);
    lf_status rc;
    if ((rc = begin(run, cfg, err)) || (rc = lf_kernels_select(&run->k, "fp32", err)) ||
        (rc = lf_model_outline(&run->model, fresh ? fresh : lf_cfg_str(cfg, LF_model), run->k, err)) ||
        (rc = open_task(run, err)))
        return rc;
    return open_train(run, err);
}

static lf_status check_settings(const lf_run *run, lf_err *err) {
    lf_status rc;
    if ((rc = check_quantised(run, err)) || (rc = lf_schedule_check(run->cfg, err)) ||
        (rc = lf_remedies_check(run, err)))
        return rc;
    return lf_fisher_check(run, err);
}

lf_status lf_run_check_settings(const lf_config *cfg, lf_err *err) {
    lf_run run;
    lf_status rc = begin(&run, cfg, err);
    if (!rc) rc = check_settings(&run, err);
    lf_run_close(&run);
    return rc;
}

static lf_status open_inputs(lf_run *run, lf_err *err) {
    const lf_config *cfg = run->cfg;
    lf_status rc;
    if ((rc = check_settings(run, err)) || (rc = lf_kernels_select(&run->k, lf_cfg_str(cfg, LF_precision), err)) ||
        (rc = open_model(run, err)) || (rc = open_from(run, err)) || (rc = open_task(run, err)))
        return rc;
    run->task->keeps_head = run->from && !lf_cfg_bool(cfg, LF_fresh_head) &&
                            lf_adapter_file_labels(run->from, &(const char *const *){NULL}) > 0;
    if ((rc = grow_head(run, err)) || (rc = check_modules_to_save(run, err)) || (rc = check_added_tokens(run, err)))
        return rc;
    return open_data(run, err);
}

lf_status lf_run_open_data(lf_run *run, const lf_config *cfg, lf_err *err) {
    lf_status rc = begin(run, cfg, err);
    if (!rc) rc = lf_run_check_folder(run, err);
    return rc ? rc : open_inputs(run, err);
}

lf_status lf_run_measure_base(lf_run *run, lf_err *err) {
    lf_status rc = LF_OK;
    for (int role = 0; role < LF_DATA_ROLES && !rc; role++)
        if (lf_data_is_base((lf_data_role)role) && run->task->source->has_data(run->task, (lf_data_role)role))
            rc = lf_measure_base(run->task, (lf_data_role)role, &run->before[role], err);
    return rc;
}

/* Rank 0's, which alone writes. At the end the others need a place of their own (finish.c), and hours later is late to
 * learn that there is none. */
static lf_status open_folder(lf_run *run, lf_err *err) {
    if (!lf_world_is_first()) return lf_folder_try_temporary(err);
    const lf_status rc = lf_run_check_folder(run, err);
    return rc || lf_cfg_bool(run->cfg, LF_dry_run) ? rc : lf_run_open_folder(run, err);
}

/* What needs no other rank. */
static lf_status open_alone(lf_run *run, const lf_config *cfg, lf_err *err) {
    lf_status rc;
    if ((rc = begin(run, cfg, err)) || (rc = open_folder(run, err)) || (rc = open_inputs(run, err)) ||
        (rc = lf_run_check_choice(run, err)) || (rc = plan_steps(run, err)))
        return rc;
    lf_detail("computed in %s, by the kernels %s, with %d threads", run->k->precision, run->k->name, run->threads);
    run->results.task = run->task->type;
    run->task->interruptible = true; /* until the first step there is nothing to lose */
    run->model->gradient_checkpointing = lf_cfg_bool(cfg, LF_gradient_checkpointing);
    run->model->neftune_noise_alpha = lf_cfg_f64(cfg, LF_neftune_noise_alpha);
    say_data(run);
    lf_run_warn_of_same_data(run);
    return check_examples(run, err);
}

static lf_status make_trained(lf_run *run, lf_err *err) {
    lf_status rc;
    if ((rc = attach_adapter(run, err)) ||
        (rc = lf_nn_trainables(&run->model->nn, &run->trainables, &run->n_trainables, err)) ||
        (rc = lf_optimizer_init(&run->optimizer, run->k, run->trainables, run->n_trainables, run->cfg, err)) ||
        (rc = lf_average_open(&run->average, run->k, run->trainables, run->n_trainables,
                              lf_cfg_f64(run->cfg, LF_ema_decay), err)) ||
        (rc = lf_tree_new(&run->tree, run->k, run->trainables, run->n_trainables, run->accumulation, err)) ||
        (rc = lf_run_open_prefix(run, err)) || (rc = lf_remedies_open(run, err)))
        return rc;
    run->results.trainable_parameters = run->optimizer.numbers;
    run->results.threads = run->threads;
    return LF_OK;
}

static lf_status begin_folder(lf_run *run, lf_err *err) {
    return lf_world_is_first() && !lf_cfg_bool(run->cfg, LF_dry_run) ? lf_run_begin_folder(run, err) : LF_OK;
}

lf_status lf_run_open(lf_run *run, const lf_config *cfg, lf_err *err) {
    lf_status rc = lf_world_agree(open_alone(run, cfg, err), err);
    if (rc || (rc = lf_together_check(run, err))) return rc;
    if (!lf_cfg_bool(cfg, LF_dry_run) && (rc = lf_run_measure_base(run, err))) return rc;
    if ((rc = lf_world_agree(lf_task_prepare(run->task, err), err)) || (rc = make_trained(run, err))) return rc;
    return lf_world_agree(begin_folder(run, err), err);
}

void lf_run_close(lf_run *run) {
    lf_folder_unmake(run->dir, run->new_folders);
    lf_lock_drop(run->lock);
    lf_metrics_close(&run->metrics);
    lf_remedies_close(run);
    cJSON_Delete(run->segments);
    lf_prefix_close(run->prefix);
    lf_tree_free(&run->tree);
    lf_optimizer_free(&run->optimizer);
    lf_average_free(&run->average);
    lf_task_close(run->task);
    lf_adapter_free(run->adapter);
    lf_adapter_close(run->from);
    lf_graph_free(run->g);
    lf_model_free(run->model);
}
