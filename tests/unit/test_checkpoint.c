/* What a run leaves behind and goes on from: checkpoints, the log that is cut back, the learning rate's course. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>

#include "data_fixture.h"

#include "adapter/calibrate.h"
#include "base/lock.h"
#include "config/config_internal.h"
#include "train/checkpoint_internal.h"
#include "train/run.h"

/* ---- a run over a tiny model; `keys` is "key value key value ..." beside the usual ones ---- */

static void set(lf_config *cfg, const char *key, const char *value) {
    lf_err err = {0};
    assert_ok(lf_config_set(cfg, key, value, &err), err);
}

static lf_config *config(const char *const *keys) {
    lf_err err = {0};
    lf_config *cfg;
    assert_ok(lf_config_new(&cfg, "train", &err), err);
    set(cfg, "model", LF_TEST_DIR "/golden/vit-base");
    set(cfg, "train_data", in_scratch("data"));
    set(cfg, "output_dir", in_scratch("run"));
    set(cfg, "init_lora_weights", "pissa");
    set(cfg, "r", "2");
    set(cfg, "threads", "1");
    set(cfg, "max_steps", "20");
    for (; keys && keys[0]; keys += 2) set(cfg, keys[0], keys[1]);
    assert_ok(lf_config_finish(cfg, &err), err);
    return cfg;
}

static lf_config *open_run(lf_run *run, const char *const *keys) {
    lf_config *cfg = config(keys);
    lf_err err = {0};
    assert_ok(lf_run_open(run, cfg, &err), err);
    lf_lock_drop(run->lock); /* two are compared that are of one folder */
    run->lock = -1;
    return cfg;
}

static void close_run(lf_run *run, lf_config *cfg) {
    lf_run_close(run);
    lf_config_free(cfg);
}

static const char *const again[] = {"resume_from_checkpoint", "true", NULL};

static int make_data(void **state) {
    if (scratch_make(state)) return -1;
    for (int i = 0; i < 6; i++) {
        char name[64];
        snprintf(name, sizeof name, "data/%s/%d.pgm", i % 2 ? "dark" : "light", i);
        put_picture(name, 16, 16, (unsigned char)(i % 2 ? 20 + i : 220 - i));
    }
    return 0;
}

static int clean_run(void **state) {
    (void)state;
    lf_alloc_fail_after(-1);
    return lf_remove_tree(in_scratch("run"), NULL) ? -1 : 0;
}

static bool is_there(const char *name) { return lf_is_dir(in_scratch(name)); }

/* ---- save and restore ---- */

/* Gives all that a checkpoint holds values of its own. */
static void stir(lf_run *run, float offset) {
    for (int64_t i = 0; i < run->n_trainables; i++)
        for (int64_t j = 0; j < run->trainables[i].tensor->numel; j++)
            ((float *)run->trainables[i].tensor->data)[j] += offset + (float)i;
    for (int m = 0; m < run->optimizer.n_moments; m++)
        for (int64_t j = 0; j < run->optimizer.numbers; j++)
            run->optimizer.moments[m][j] = offset * (float)(j % 97) + (float)m;
    run->optimizer.steps = 4;
    run->progress = (lf_progress_state){.step = 5,
                                        .since_log = {.loss = 0.1 + 0.2, .targets = 7, .correct = 3},
                                        .best_metric = 1.0 / 3,
                                        .best_forgetting = -0.1, /* the base got better */
                                        .best_step = 2,
                                        .evals_without_gain = 1,
                                        .skipped_images = 9,
                                        .train_seconds = 12.5,
                                        .eval_accuracy_before = 0.25};
}

static void assert_same_run(const lf_run *a, const lf_run *b) {
    assert_int_equal(a->n_trainables, b->n_trainables);
    for (int64_t i = 0; i < a->n_trainables; i++)
        assert_memory_equal(a->trainables[i].tensor->data, b->trainables[i].tensor->data,
                            (size_t)a->trainables[i].tensor->numel * sizeof(float));
    for (int m = 0; m < 2; m++)
        assert_memory_equal(a->optimizer.moments[m], b->optimizer.moments[m],
                            (size_t)a->optimizer.numbers * sizeof(float));
    for (int64_t i = 0; i < lf_adapter_count(a->adapter); i++) {
        const lf_lora *x = lf_adapter_module(a->adapter, i)->lora, *y = lf_adapter_module(b->adapter, i)->lora;
        if (x->A0) assert_memory_equal(x->A0, y->A0, (size_t)x->A.numel * sizeof(float));
        if (x->B0) assert_memory_equal(x->B0, y->B0, (size_t)x->B.numel * sizeof(float));
        assert_memory_equal(x->B.data, y->B.data, (size_t)x->B.numel * sizeof(float));
    }
    assert_int_equal(a->optimizer.steps, b->optimizer.steps);
    const lf_progress_state *p = &a->progress, *q = &b->progress;
    assert_true(p->step == q->step && p->best_step == q->best_step && p->evals_without_gain == q->evals_without_gain);
    assert_true(p->skipped_images == q->skipped_images && p->since_log.targets == q->since_log.targets &&
                p->since_log.correct == q->since_log.correct);
    assert_true(p->since_log.loss == q->since_log.loss && p->best_metric == q->best_metric);
    assert_true(p->best_forgetting == q->best_forgetting);
    assert_true(p->train_seconds == q->train_seconds && p->eval_accuracy_before == q->eval_accuracy_before);
}

static void test_restored_is_what_was_saved(void **state) {
    (void)state;
    lf_run a, b;
    lf_err err = {0};
    lf_config *ca = open_run(&a, NULL);
    stir(&a, 0.37f);
    assert_ok(lf_checkpoint_save(&a, &err), err);
    lf_config *cb = open_run(&b, again);
    char *path;
    assert_ok(lf_checkpoint_find(&path, &b, &err), err);
    assert_string_equal(path, in_scratch("run/checkpoint-5"));
    assert_ok(lf_checkpoint_restore(&b, path, &err), err);
    assert_same_run(&a, &b);
    stir(&b, -2);
    b.progress = a.progress;
    assert_ok(lf_checkpoint_restore_weights(&b, path, &err), err);
    assert_memory_equal(a.trainables[0].tensor->data, b.trainables[0].tensor->data,
                        (size_t)a.trainables[0].tensor->numel * sizeof(float));
    assert_true(b.optimizer.moments[0][1] != a.optimizer.moments[0][1]); /* the weights alone */
    lf_free(path);
    close_run(&b, cb);
    close_run(&a, ca);
}

/* A factor that is not trained is the checkpoint's too, whatever a new start would find. */
static void test_held_factor_is_restored(void **state) {
    (void)state;
    static const char *const mica[] = {"init_lora_weights", "mica", NULL}, *const resumed[] = {
                                                                               "init_lora_weights", "mica",
                                                                               "resume_from_checkpoint", "true", NULL};
    lf_run a, b;
    lf_err err = {0};
    lf_config *ca = open_run(&a, mica);
    stir(&a, 0.37f);
    ((float *)lf_adapter_module(a.adapter, 1)->lora->B.data)[3] = 0.125f;
    assert_ok(lf_checkpoint_save(&a, &err), err);
    lf_config *cb = open_run(&b, resumed);
    assert_ok(lf_checkpoint_restore(&b, in_scratch("run/checkpoint-5"), &err), err);
    assert_same_run(&a, &b);
    close_run(&b, cb);
    close_run(&a, ca);
}

/* Where memory is meant for one module at a time, the passes run for each; nothing else changes. */
static void test_calibration_in_parts(void **state) {
    (void)state;
    static const char *const starts[] = {"corda_ipm", "eva", "lora_ga"};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        const char *const keys[] = {"init_lora_weights", starts[i], "calibration_samples", "5", NULL};
        lf_run a, b;
        lf_config *ca = open_run(&a, keys);
        const size_t most = lf_calibration_bytes;
        lf_calibration_bytes = 1;
        lf_config *cb = open_run(&b, keys);
        lf_calibration_bytes = most;
        for (int64_t j = 0; j < lf_adapter_count(a.adapter); j++) {
            const lf_lora *x = lf_adapter_module(a.adapter, j)->lora, *y = lf_adapter_module(b.adapter, j)->lora;
            assert_memory_equal(x->A.data, y->A.data, (size_t)x->A.numel * sizeof(float));
            assert_memory_equal(x->B.data, y->B.data, (size_t)x->B.numel * sizeof(float));
            assert_null(x->probe);
        }
        close_run(&b, cb);
        close_run(&a, ca);
    }
}

static void test_another_run_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *keys[7];
        lf_status status;
        const char *says;
    } others[] = {
        {{"resume_from_checkpoint", "true", "lora_alpha", "32", NULL}, LF_EUSAGE, "lora_alpha"},
        {{"resume_from_checkpoint", "true", "seed", "1", NULL}, LF_EUSAGE, "seed"},
        {{"resume_from_checkpoint", "true", "batch_size", "3", NULL}, LF_EUSAGE, "batch_size"},
        {{"resume_from_checkpoint", "true", "model", LF_TEST_DIR "/golden/vit-long", NULL}, LF_EUSAGE, "model"},
        {{"resume_from_checkpoint", "true", "threads", "2", NULL}, LF_EUSAGE, "force_resume"},
        {{"resume_from_checkpoint", "true", "threads", "2", "force_resume", "true", NULL}, LF_OK, ""},
        {{"resume_from_checkpoint", "true", "learning_rate", "0.005", NULL},
         LF_EUSAGE,
         "'learning_rate' was 5e-05 and is 0.005"},
        {{"resume_from_checkpoint", "true", "max_steps", "4", NULL}, LF_EUSAGE, "max_steps"},
        {{"resume_from_checkpoint", "true", "max_steps", "50", NULL},
         LF_OK,
         ""}, /* going on for longer is one's right */
    };
    lf_run a;
    lf_err err = {0};
    static const char *const five[] = {"max_steps", "5", NULL};
    lf_config *ca = open_run(&a, five);
    stir(&a, 1);
    assert_ok(lf_checkpoint_save(&a, &err), err);
    close_run(&a, ca);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        const char *keys[9] = {"max_steps", "9"};
        for (int j = 0; j < 7 && others[i].keys[j]; j++) keys[2 + j] = others[i].keys[j];
        lf_run b;
        lf_config *cb = open_run(&b, keys);
        const lf_status rc = lf_checkpoint_restore(&b, in_scratch("run/checkpoint-5"), &err);
        assert_says(rc, others[i].status, err, others[i].says);
        close_run(&b, cb);
    }
}

/* Takes a member out of a checkpoint's facts, as an earlier version wrote none. */
static void forget_fact(const char *name) {
    cJSON *o;
    lf_err err = {0};
    assert_ok(lf_json_read(&o, in_scratch("run/checkpoint-5/trainer_state.json"), &err), err);
    cJSON_DeleteItemFromObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(o, "facts"), name);
    assert_ok(lf_json_write_in(in_scratch("run/checkpoint-5"), "trainer_state.json", o, false, &err), err);
    cJSON_Delete(o);
    assert_ok(lf_checkpoint_seal(in_scratch("run/checkpoint-5"), &err), err);
}

/* Earlier versions added the micro-batches of a step one behind the other. Of steps of one there is nothing to add. */
static void test_another_sum_of_micro_batches_is_refused(void **state) {
    (void)state;
    for (int more = 0; more <= 1; more++) {
        const char *const keys[] = {"gradient_accumulation_steps", more ? "3" : "1", NULL}, *const resumed[] = {
                                                                                                keys[0], keys[1],
                                                                                                again[0], again[1],
                                                                                                NULL};
        lf_run a, b;
        lf_err err = {0};
        lf_config *ca = open_run(&a, keys);
        stir(&a, 1);
        assert_ok(lf_checkpoint_save(&a, &err), err);
        close_run(&a, ca);
        lf_config *cb = open_run(&b, resumed);
        assert_ok(lf_checkpoint_restore(&b, in_scratch("run/checkpoint-5"), &err), err);
        forget_fact("reduction");
        const lf_status rc = lf_checkpoint_restore(&b, in_scratch("run/checkpoint-5"), &err);
        assert_says(rc, more ? LF_EUSAGE : LF_OK, err, more ? "'reduction' was not recorded and is \"tree\"" : "");
        close_run(&b, cb);
        assert_int_equal(clean_run(NULL), 0);
    }
}

static void test_damaged_checkpoints_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *file, *bytes, *says;
    } damage[] = {
        {"run/checkpoint-5/state.safetensors", "half of a f", "state.safetensors"},
        {"run/checkpoint-5/trainer_state.json", "{\"run\": {", "trainer_state.json"},
        {"run/checkpoint-5/trainer_state.json", "{}", "trainer_state.json"},
        {"run/checkpoint-5/trainer_state.json", "[1]", "trainer_state.json"},
    };
    lf_run a;
    lf_err err = {0};
    lf_config *ca = open_run(&a, NULL);
    for (size_t i = 0; i < sizeof damage / sizeof damage[0]; i++) {
        stir(&a, 1);
        assert_ok(lf_checkpoint_save(&a, &err), err);
        put_bytes(damage[i].file, damage[i].bytes, strlen(damage[i].bytes));
        const lf_status rc = lf_checkpoint_restore(&a, in_scratch("run/checkpoint-5"), &err);
        assert_int_not_equal(rc, LF_OK);
        assert_says(rc, rc, err, damage[i].says);
    }
    close_run(&a, ca);
}

/* Out of memory anywhere in saving: nothing leaks, no half of a checkpoint stays, and the one before is whole. */
static void test_a_failed_save_loses_nothing(void **state) {
    (void)state;
    lf_run a, b;
    lf_err err = {0};
    static const char *const one[] = {"save_total_limit", "1", NULL};
    lf_config *ca = open_run(&a, one);
    stir(&a, 0.5f);
    assert_ok(lf_checkpoint_save(&a, &err), err);
    a.progress.step = 6;
    lf_status rc = LF_ENOMEM;
    for (int64_t n = 0; rc; n++) {
        const int64_t live = lf_alloc_live();
        lf_alloc_fail_after(n);
        rc = lf_checkpoint_save(&a, &err);
        lf_alloc_fail_after(-1);
        assert_int_equal(lf_alloc_live(), live);
        assert_false(is_there("run/checkpoint-6.tmp"));
        if (!rc) break;
        assert_says(rc, LF_ENOMEM, err, "memory");
        assert_true(is_there("run/checkpoint-5") || is_there("run/checkpoint-6"));
    }
    assert_true(is_there("run/checkpoint-6") && !is_there("run/checkpoint-5"));
    lf_config *cb = open_run(&b, again);
    assert_ok(lf_checkpoint_restore(&b, in_scratch("run/checkpoint-6"), &err), err);
    assert_same_run(&a, &b);
    close_run(&b, cb);
    close_run(&a, ca);
}

static void test_the_newest_and_the_best_are_kept(void **state) {
    (void)state;
    static const char *const two[] = {"save_total_limit", "2", NULL};
    lf_run a;
    lf_err err = {0};
    lf_config *ca = open_run(&a, two);
    put_bytes("run/checkpoint-notes/mine.txt", "x", 1);
    for (a.progress.step = 1; a.progress.step <= 12; a.progress.step++) {
        if (a.progress.step == 2) a.progress.best_step = 2;
        assert_ok(lf_checkpoint_save(&a, &err), err);
    }
    char **names;
    size_t count;
    assert_ok(lf_list_dir(&names, &count, in_scratch("run"), &err), err);
    assert_int_equal(count, 3);
    assert_string_equal(names[0], "checkpoint-12");
    assert_string_equal(names[1], "checkpoint-2");
    assert_string_equal(names[2], "checkpoint-notes");
    lf_free(names);
    close_run(&a, ca);
}

/* ---- which checkpoint ---- */

static char *find(const char *from, lf_status expected, const char *says) {
    const char *const keys[] = {"resume_from_checkpoint", from, NULL};
    lf_config *cfg = config(keys);
    const lf_run run = {.cfg = cfg, .dir = lf_cfg_str(cfg, LF_output_dir)};
    lf_err err = {0};
    char *path;
    const lf_status rc = lf_checkpoint_find(&path, &run, &err);
    assert_says(rc, expected, err, says);
    lf_config_free(cfg);
    return path;
}

static void put_checkpoint(const char *name) {
    char file[160];
    static const char counters[] =
        "{\"max_steps\": 9, \"planned_steps\": 9, \"global_step\": 9, \"optimizer_steps\": 9, "
        "\"best_global_step\": 0, \"evaluations_without_gain\": 0, \"skipped_images\": 0, "
        "\"targets_since_log\": 0, \"correct_since_log\": 0}";
    static const char no_tensors[] = "\10\0\0\0\0\0\0\0{}      ";
    snprintf(file, sizeof file, "run/%s/trainer_state.json", name);
    put_bytes(file, counters, sizeof counters - 1);
    snprintf(file, sizeof file, "run/%s/state.safetensors", name);
    put_bytes(file, no_tensors, sizeof no_tensors - 1);
    lf_err err = {0};
    snprintf(file, sizeof file, "run/%s", name);
    assert_ok(lf_checkpoint_seal(in_scratch(file), &err), err);
}

static void test_find_takes_the_newest_whole_one(void **state) {
    (void)state;
    assert_null(find("true", LF_OK, "")); /* no folder at all */
    put_bytes("run/metrics.jsonl", "", 0);
    put_bytes("run/checkpoint-300/trainer_state.json", "{}", 2); /* lost its tensors: its removal was cut short */
    put_bytes("run/checkpoint-400/state.safetensors", "x", 1);
    put_checkpoint("checkpoint-200.tmp");
    put_checkpoint("checkpoint-150.old-1-1");
    put_checkpoint("checkpoint-");
    put_checkpoint("checkpoint--7");
    assert_null(find("true", LF_OK, ""));
    put_checkpoint("checkpoint-9");
    put_checkpoint("checkpoint-20"); /* by number, not by name */
    char *path = find("true", LF_OK, "");
    assert_string_equal(path, in_scratch("run/checkpoint-20"));
    lf_free(path);
    assert_null(find("false", LF_OK, ""));
    path = find(in_scratch("run/checkpoint-9"), LF_OK, "");
    assert_string_equal(path, in_scratch("run/checkpoint-9"));
    lf_free(path);
    assert_null(find(in_scratch("run/checkpoint-8"), LF_EUSAGE, "checkpoint-8"));
}

/* None of them is as it was written: to begin again would write over them. */
static void test_nothing_is_begun_over_damaged_ones(void **state) {
    (void)state;
    put_checkpoint("checkpoint-9");
    put_bytes("run/checkpoint-9/trainer_state.json", "{}", 2);
    assert_null(find("true", LF_EDATA, "none of its checkpoints can be used (1 passed over)"));
    const char *const keys[] = {"resume_from_checkpoint", "true", "overwrite_output_dir", "true", NULL};
    lf_config *cfg = config(keys);
    const lf_run run = {.cfg = cfg, .dir = lf_cfg_str(cfg, LF_output_dir)};
    lf_err err = {0};
    char *path;
    assert_ok(lf_checkpoint_find(&path, &run, &err), err);
    assert_null(path);
    lf_config_free(cfg);
}

/* ---- what may change between a stop and a resume ---- */

/* Two values of the key's type, the second larger. */
static cJSON *value_of(const lf_key *key, int which) {
    if (key->type == LF_KEY_BOOL) return cJSON_CreateBool(which);
    if (key->type == LF_KEY_I64 || key->type == LF_KEY_F64) return cJSON_CreateNumber(which ? 40 : 20);
    return cJSON_CreateString(which ? "b" : "a");
}

static lf_status resume_with(const lf_config *cfg, const lf_key *key, int was_which, int *segments, lf_err *err) {
    cJSON *was = lf_cfg_to_json(cfg), *now = lf_cfg_to_json(cfg), *list = cJSON_CreateArray();
    cJSON_DeleteItemFromObjectCaseSensitive(was, key->name);
    cJSON_DeleteItemFromObjectCaseSensitive(now, key->name);
    cJSON_AddItemToObject(was, key->name, value_of(key, was_which));
    cJSON_AddItemToObject(now, key->name, value_of(key, !was_which));
    const lf_status rc = lf_cfg_check_resume(cfg, was, now, "checkpoint-5", 5, list, err);
    *segments = cJSON_GetArraySize(list);
    cJSON_Delete(list);
    cJSON_Delete(now);
    cJSON_Delete(was);
    return rc;
}

/* Every key of a training run, by its trait: refused by name, taken, or taken and recorded. */
static void test_every_key_as_its_trait_says(void **state) {
    (void)state;
    int refused = 0, taken = 0, grown = 0, choices = 0;
    for (size_t i = 0; i < lf_n_keys; i++) {
        const lf_key *key = &lf_keys[i];
        if (!(key->verbs & LF_V_train)) continue;
        /* epochs count only where no number of steps is given */
        static const char *const by_epochs[] = {"max_steps", "-1", NULL};
        lf_config *cfg = config(strcmp(key->name, "num_train_epochs") == 0 ? by_epochs : NULL);
        lf_err err = {0};
        int segments;
        const lf_status rc = resume_with(cfg, key, 0, &segments, &err);
        if (key->traits & (LF_IS_RESULT | LF_IS_MODEL | LF_IS_DATA | LF_IS_MACHINE)) {
            assert_says(rc, LF_EUSAGE, err, key->name);
            refused++;
        } else if (key->traits & LF_IS_GROWS) {
            assert_ok(rc, err);
            assert_int_equal(segments, 1);
            assert_says(resume_with(cfg, key, 1, &segments, &err), LF_EUSAGE, err, key->name);
            grown++;
        } else {
            assert_ok(rc, err);
            assert_int_equal(segments, 0);
            taken++;
        }
        if (key->traits & LF_IS_CHOICE) { /* another best step, where one is looked for */
            static const char *const best[] = {"load_best_model_at_end", "true", NULL};
            lf_config *looks = config(best);
            assert_says(resume_with(looks, key, 0, &segments, &err), LF_EUSAGE, err, key->name);
            lf_config_free(looks);
            choices++;
        }
        lf_config_free(cfg);
    }
    assert_true(refused > 30 && taken > 15 && grown == 3 && choices == 5);
}

/* What the traits themselves have to say of some keys: a wrong trait would pass the walk above. */
static void test_the_traits_of_some_keys(void **state) {
    (void)state;
    static const struct {
        const char *key;
        unsigned trait;
    } known[] = {
        {"learning_rate", LF_IS_RESULT},
        {"weight_decay", LF_IS_RESULT},
        {"warmup_steps", LF_IS_RESULT},
        {"label_smoothing_factor", LF_IS_RESULT},
        {"max_grad_norm", LF_IS_RESULT},
        {"seed", LF_IS_RESULT},
        {"r", LF_IS_RESULT},
        {"train_data", LF_IS_DATA},
        {"augmentation", LF_IS_RESULT},
        {"model", LF_IS_MODEL},
        {"logging_steps", LF_IS_ASIDE},
        {"gradient_checkpointing", LF_IS_ASIDE},
        {"save_steps", LF_IS_ASIDE},
        {"output_dir", LF_IS_ASIDE},
        {"threads", LF_IS_MACHINE},
        {"max_steps", LF_IS_GROWS},
        {"num_train_epochs", LF_IS_GROWS},
        {"skip_bad_images", LF_IS_GROWS},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (!(lf_key_traits(known[i].key) & known[i].trait)) fail_msg("key %s", known[i].key);
    /* what is only beside a run changes no example, so what is kept of data (base_cache) does not depend on it */
    for (lf_key_id id = LF_NO_KEY; (id = lf_key_next(id, LF_IS_ASIDE | LF_IS_FORM));)
        if (lf_key_traits(lf_key_name(id)) & LF_IS_OF_ALL) fail_msg("key %s", lf_key_name(id));
}

/* A run of a version that did not know a role had no data for it; what it says of the others counts. */
static void test_a_role_that_was_not_there(void **state) {
    (void)state;
    lf_run a;
    lf_err err = {0};
    lf_config *ca = open_run(&a, NULL);
    cJSON *was = lf_run_data_hashes(&a);
    cJSON_DeleteItemFromObjectCaseSensitive(was, "forgetting_eval_data");
    assert_ok(lf_run_check_data(&a, was, "old", &err), err);
    cJSON_DeleteItemFromObjectCaseSensitive(was, "train_data");
    assert_says(lf_run_check_data(&a, was, "old", &err), LF_EUSAGE, err, "'train_data'");
    cJSON_Delete(was);
    close_run(&a, ca);
}

/* The same name, other pictures. */
static void test_another_corpus_is_refused(void **state) {
    (void)state;
    lf_run a;
    lf_err err = {0};
    lf_config *ca = open_run(&a, NULL);
    a.progress.step = 5;
    assert_ok(lf_checkpoint_save(&a, &err), err);
    close_run(&a, ca);
    put_picture("data/light/0.pgm", 16, 16, 7);
    ca = open_run(&a, again);
    assert_says(lf_checkpoint_restore(&a, in_scratch("run/checkpoint-5"), &err), LF_EUSAGE, err, "'train_data'");
    close_run(&a, ca);
    put_picture("data/light/0.pgm", 16, 16, 220);
    ca = open_run(&a, again);
    assert_ok(lf_checkpoint_restore(&a, in_scratch("run/checkpoint-5"), &err), err);
    close_run(&a, ca);
}

/* One bit, anywhere in it, and the older one is taken. */
static void test_one_bit_is_seen(void **state) {
    static const char *const files[] = {"state.safetensors", "trainer_state.json", "adapter/adapter_model.safetensors"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        lf_run a;
        lf_err err = {0};
        assert_int_equal(clean_run(state), 0);
        lf_config *ca = open_run(&a, NULL);
        for (int64_t step = 4; step <= 5; step++) {
            a.progress.step = step;
            assert_ok(lf_checkpoint_save(&a, &err), err);
        }
        close_run(&a, ca);
        char file[128], *bytes;
        size_t size;
        snprintf(file, sizeof file, "run/checkpoint-5/%s", files[i]);
        assert_ok(lf_file_read(&bytes, &size, in_scratch(file), &err), err);
        bytes[size - 3] ^= 4;
        put_bytes(file, bytes, size);
        lf_free(bytes);
        char *path = find("true", LF_OK, "");
        assert_string_equal(path, in_scratch("run/checkpoint-4"));
        lf_free(path);
        ca = open_run(&a, again);
        assert_says(lf_checkpoint_restore(&a, in_scratch("run/checkpoint-5"), &err), LF_EDATA, err, files[i]);
        close_run(&a, ca);
    }
}

/* A number that is none was written as it was: the hash is right, and the older one is taken all the same. */
static void test_no_number_is_seen(void **state) {
    (void)state;
    lf_run a;
    lf_err err = {0};
    lf_config *ca = open_run(&a, NULL);
    a.progress.step = 4;
    assert_ok(lf_checkpoint_save(&a, &err), err);
    a.progress.step = 5;
    ((float *)a.trainables[0].tensor->data)[3] = NAN;
    assert_ok(lf_checkpoint_save(&a, &err), err);
    char *path = find("true", LF_OK, "");
    assert_string_equal(path, in_scratch("run/checkpoint-4"));
    lf_free(path);
    assert_says(lf_checkpoint_restore(&a, in_scratch("run/checkpoint-5"), &err), LF_EDATA, err, "element 3 is nan");
    close_run(&a, ca);
}

/* What overwrite_output_dir may remove, and what is somebody else's. */
static void test_names_of_checkpoints(void **state) {
    (void)state;
    static const char *const ours[] = {"checkpoint-0", "checkpoint-12", "checkpoint-12.tmp", "checkpoint-3.old-1-1"};
    static const char *const others[] = {"checkpoint-",     "checkpoint-notes", "checkpoint-007",
                                         "checkpoint-1.md", "checkpoint-1.old", "checkpoint--7"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        assert_true(lf_checkpoint_is_ours(ours[i], strlen(ours[i])));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(lf_checkpoint_is_ours(others[i], strlen(others[i])));
    assert_true(lf_checkpoint_is_ours("checkpoint-1/data", strlen("checkpoint-1"))); /* the first part of a path */
}

/* ---- metrics.jsonl ---- */

static void assert_log(const char *wanted) {
    lf_err err = {0};
    char *text;
    size_t size;
    assert_ok(lf_file_read(&text, &size, in_scratch("run/metrics.jsonl"), &err), err);
    assert_string_equal(text, wanted);
    lf_free(text);
}

#define ROW_0  "{\"step\": 0, \"eval_accuracy\": 0.1}\n"
#define ROW_5  "{\"step\": 5, \"loss\": 2}\n"
#define ROW_10 "{\"step\": 10, \"loss\": 1}\n"

static void test_the_log_is_cut_back(void **state) {
    (void)state;
    static const struct {
        const char *before;
        int64_t keep;
        const char *after;
    } cases[] = {
        {ROW_0 ROW_5 ROW_10, 10, ROW_0 ROW_5 ROW_10},
        {ROW_0 ROW_5 ROW_5 ROW_10, 7, ROW_0 ROW_5 ROW_5}, /* a line of the loss and one of the evaluation */
        {ROW_0 ROW_5 ROW_10, 4, ROW_0},
        {ROW_0 ROW_5 ROW_10, -1, ""},
        {ROW_0 ROW_5 "{\"step\": 6, \"lo", 10, ROW_0 ROW_5}, /* a crash in the middle of a line */
        {ROW_0 "{\"step\": 5, \"lo\n" ROW_10, 10, ROW_0},
        {"", 10, ""},
        {"{\"step\": 1}", 10, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lf_err err = {0};
        put_bytes("run/metrics.jsonl", cases[i].before, strlen(cases[i].before));
        lf_metrics m;
        assert_ok(lf_metrics_open(&m, in_scratch("run"), cases[i].keep, false, &err), err);
        assert_log(cases[i].after);
        cJSON *row = cJSON_CreateObject();
        cJSON_AddNumberToObject(row, "step", 11);
        assert_ok(lf_metrics_write(&m, row, &err), err);
        char wanted[256]; /* written through at once */
        snprintf(wanted, sizeof wanted, "%s{\"step\": 11}\n", cases[i].after);
        assert_log(wanted);
        lf_metrics_close(&m);
    }
}

static void test_a_full_disk_is_an_error(void **state) {
    (void)state;
    lf_err err = {0};
    lf_metrics m = {.f = fopen("/dev/full", "ab"), .path = lf_strdup("/dev/full")};
    assert_non_null(m.f);
    assert_says(lf_metrics_write(&m, cJSON_CreateObject(), &err), LF_EIO, err, "/dev/full");
    lf_metrics_close(&m);
}

#define IN_A_CLEAN_RUN(test) cmocka_unit_test_setup_teardown(test, clean_run, clean_run)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_A_CLEAN_RUN(test_restored_is_what_was_saved),
        IN_A_CLEAN_RUN(test_held_factor_is_restored),
        IN_A_CLEAN_RUN(test_calibration_in_parts),
        IN_A_CLEAN_RUN(test_another_run_is_refused),
        IN_A_CLEAN_RUN(test_another_sum_of_micro_batches_is_refused),
        IN_A_CLEAN_RUN(test_damaged_checkpoints_are_refused),
        IN_A_CLEAN_RUN(test_a_failed_save_loses_nothing),
        IN_A_CLEAN_RUN(test_the_newest_and_the_best_are_kept),
        IN_A_CLEAN_RUN(test_find_takes_the_newest_whole_one),
        IN_A_CLEAN_RUN(test_nothing_is_begun_over_damaged_ones),
        IN_A_CLEAN_RUN(test_every_key_as_its_trait_says),
        IN_A_CLEAN_RUN(test_the_traits_of_some_keys),
        IN_A_CLEAN_RUN(test_a_role_that_was_not_there),
        IN_A_CLEAN_RUN(test_another_corpus_is_refused),
        IN_A_CLEAN_RUN(test_one_bit_is_seen),
        IN_A_CLEAN_RUN(test_no_number_is_seen),
        cmocka_unit_test(test_names_of_checkpoints),
        IN_A_CLEAN_RUN(test_the_log_is_cut_back),
        IN_A_CLEAN_RUN(test_a_full_disk_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_data, scratch_remove);
}
