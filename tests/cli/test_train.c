/* The program as a user runs it: train, resume, eval, merge, and every mistake of the contract with its exit code. */
#define _GNU_SOURCE
#include "cli/held_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "train/stuck.h"

#define TRAIN "train --model $M --train_data data --threads 2 "
#define NOISY                                                                                                          \
    "--lora_dropout 0.2 --augmentation random_resized_crop_flip --init_lora_weights intermediate --r 4 "               \
    "--per_device_train_batch_size 4 --gradient_accumulation_steps 2 --max_steps 12 --learning_rate 5e-3 "

/* ---- training ---- */

/* ---- a run that learns nothing ---- */

/* Rows of `every` steps: "loss grad_norm ...", judged at the end. */
static bool is_stuck(double chance, int every, const char *rows, char *how, size_t size) {
    lf_stuck s = lf_stuck_begin(chance);
    int step = 0, used;
    double loss, norm;
    for (; sscanf(rows, "%lf %lf%n", &loss, &norm, &used) == 2; rows += used) {
        cJSON *row = cJSON_CreateObject(), *judged = cJSON_CreateObject();
        cJSON_AddNumberToObject(row, "step", step += every);
        cJSON_AddNumberToObject(row, "loss", loss);
        cJSON_AddNumberToObject(row, "grad_norm", norm);
        cJSON_AddNumberToObject(judged, "step", step);
        cJSON_AddNumberToObject(judged, "eval_accuracy", 0.5);
        lf_stuck_row(&s, row);
        lf_stuck_row(&s, judged); /* says nothing of it */
        cJSON_Delete(judged);
        cJSON_Delete(row);
    }
    return lf_stuck_how(&s, how, size);
}

static void test_who_learns_nothing(void **state) {
    (void)state;
    static const struct {
        double chance;
        int every;
        const char *rows, *how; /* NULL: it may learn */
    } cases[] = {
        {0.1, 10, "0 0  0 0  0 0", "all gradients are exactly 0 from step 10 on"},
        {0.1, 10, "2 1  2 0  2 0  2 0", "from step 20 on"},
        {0.1, 9, "0 0  0 0  0 0", NULL}, /* 18 steps */
        {0.1, 10, "0 0  0 0  0 1e-30", NULL},
        {0.1, 10, "2 1  0 0  0 0", NULL},
        {NAN, 10, "0 0  0 0  0 0", "exactly 0"}, /* of any task */
        {0.1, 10, "2.3 1  1 1  2.3 1  2.31 1  2.29 1", "that of a guess (2.3) from step 30 on, after it was 1"},
        {0.1, 10, "2.3 1  2.3 1  2.3 1  2.3 1", NULL}, /* not yet: it was never lower */
        {0.1, 10, "1 1  2.3 1  2.3 1", NULL},          /* too short */
        {0.1, 10, "1 1  2.3 1  2.3 1  2.1 1", NULL},   /* it learns again */
        {0.1, 10, "1 1  9 1  9 1  9 1", NULL},         /* worse than a guess is another matter */
        {50000, 10, "3 1  10.8 1  10.8 1  10.8 1", "that of a guess (10.8)"},
        {0, 10, "1 1  2.3 1  2.3 1  2.3 1", NULL}, /* several labels */
        {NAN, 10, "1 1  2.3 1  2.3 1  2.3 1", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char how[160] = "";
        const bool stuck = is_stuck(cases[i].chance, cases[i].every, cases[i].rows, how, sizeof how);
        if (stuck != (cases[i].how != NULL) || (stuck && !strstr(how, cases[i].how))) fail_msg("case %zu: %s", i, how);
    }
}

static void test_whose_rate_is_too_high(void **state) {
    (void)state;
    static const struct {
        double chance, start; /* 0: nothing was judged before the first step */
        double loss[4];
        bool is;
    } cases[] = {
        {0.1, 0, {9, 9, 9, 9}, true},  {0.1, 2.3, {1, 30, 25, 28}, true}, {0.1, 2.3, {30, 30, 30, 2}, false},
        {0.1, 9, {9, 9, 9, 9}, false}, {0.1, 0, {1, 1, 30, 30}, false},   {0.1, 0, {2.4, 2.5, 2.4, 2.6}, false},
        {NAN, 1, {30, 30, 30}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lf_stuck s = lf_stuck_begin(cases[i].chance);
        for (int k = 0; k <= 4; k++) {
            cJSON *row = cJSON_CreateObject();
            cJSON_AddNumberToObject(row, "step", k * 10);
            if (k || cases[i].start > 0)
                cJSON_AddNumberToObject(row, k ? "loss" : "eval_loss", k ? cases[i].loss[k - 1] : cases[i].start);
            lf_stuck_row(&s, row);
            cJSON_Delete(row);
        }
        if (lf_stuck_is_above(&s) != cases[i].is) fail_msg("case %zu", i);
    }
}

/* One class has nothing to tell apart: said while it runs, in its results, on its page, and in a sweep's table; also of
 * a run that was stopped on the way. */
static void test_one_class_alone(void **state) {
    (void)state;
    static const char *const one[] = {"one"};
    write_folder("alone", one, 1, 6, 0);
    must(run("train --model $M --train_data alone --threads 2 --logging_steps 5 --max_steps 30 --output_dir stuck "
             "2>stuck.log"),
         0);
    must(run("version; grep -q 'nothing is learned: all gradients are exactly 0' stuck.log"), 0);
    must(run("version; grep -q 'warning.*stuck: all gradients are exactly 0.*docs/troubleshooting.md' stuck.log"), 0);
    must(run("version; grep -q 'This run collapsed:.*exactly 0' stuck/report.html"), 0);
    must(run("train --model $M --train_data alone --threads 2 --logging_steps 5 --max_steps 40 --output_dir stuck "
             "--resume_from_checkpoint true"),
         0);
    must(run("version; grep -q '\"nothing_learned\": \"all gradients are exactly 0 from step 5 on\"' "
             "stuck/all_results.json"),
         0);
    must(run("version; mkdir swept && mv stuck swept && %s/lora-ft report swept", LF_BUILD_DIR), 0);
    assert_non_null(strstr(output, "collapsed"));
}

/* A run without data to be judged by has no confusion, and not that of the run that it replaces. */
static void test_nothing_stays_of_what_is_replaced(void **state) {
    (void)state;
    static const char *const files[] = {"confusion.csv", "confusion.json", "confusion.gp", "curves.gp"};
    must(run(TRAIN "--max_steps 1 --output_dir replaced"), 0);
    for (size_t i = 0; i < 4; i++) assert_true(lf_is_file(text("%s/replaced/%s", root, files[i])));
    must(run("train --model $M --threads 2 --train_data base --max_steps 1 --output_dir replaced "
             "--overwrite_output_dir"),
         0);
    for (size_t i = 0; i < 4; i++)
        if (lf_is_file(text("%s/replaced/%s", root, files[i])) != (i == 3)) fail_msg("replaced/%s", files[i]);
}

static void test_run_has_all_its_files(void **state) {
    (void)state;
    must(run(TRAIN "--test_data data --forgetting_data base --init_lora_weights intermediate --r 4 --num_train_epochs "
                   "8 --learning_rate 1e-2 "
                   "--per_device_train_batch_size 8 --output_dir full"),
         0);
    static const char *const files[] = {"config.json",
                                        "metrics.jsonl",
                                        "all_results.json",
                                        "adapter/adapter_config.json",
                                        "adapter/adapter_model.safetensors",
                                        "adapter/lora_ft.json",
                                        "adapter/README.md",
                                        "report.html",
                                        "curves.csv",
                                        "training.csv",
                                        "confusion.csv",
                                        "confusion.json",
                                        "confusion.gp",
                                        "checkpoint-40/adapter/adapter_model.safetensors"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (!lf_is_file(text("%s/full/%s", root, files[i]))) fail_msg("full/%s is missing", files[i]);
    static const char *const keys[] = {"eval_accuracy", "base_before",          "base_after",    "forgetting",
                                       "retention",     "init_seconds",         "train_seconds", "items_per_second",
                                       "peak_rss_mb",   "trainable_parameters", "threads",       "test_accuracy"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) assert_true(isfinite(result("full", keys[i])));
    assert_true(result("full", "eval_accuracy") > 0.8); /* three plain classes */
    assert_true(fabs(result("full", "forgetting") - (result("full", "base_before") - result("full", "base_after"))) <
                1e-12);
    cJSON *results;
    lf_err error = {0};
    assert_int_equal(lf_json_read(&results, text("%s/full/all_results.json", root), &error), LF_OK);
    const cJSON *start = cJSON_GetObjectItem(results, "start");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(start, "name")), "intermediate");
    assert_true(cJSON_GetObjectItem(start, "position")->valuedouble == 0.5);
    assert_int_equal(system(text("grep -q 'The adapter starts from intermediate: .* begin with component ' "
                                 "%s/full/report.html",
                                 root)),
                     0);
    cJSON_Delete(results);
    assert_int_equal(system(text("grep -q 'Which class is taken for which' %s/full/report.html", root)), 0);
    assert_int_equal(system(text("grep -q '^bee,4,' %s/full/confusion.csv", root)), 0); /* of the test data */
    must(run("spectrum --model $M --adapter full/adapter"), 0); /* knows where the adapter started */
    assert_non_null(strstr(output, "those of init_lora_weights intermediate"));
    /* eval of the written adapter says the same */
    must(run("eval --model $M --adapter full/adapter --data data/val --forgetting_data base --json 2>/dev/null > "
             "eval.json"),
         0);
    cJSON *o;
    lf_err err = {0};
    assert_int_equal(lf_json_read(&o, text("%s/eval.json", root), &err), LF_OK);
    assert_true(cJSON_GetObjectItem(o, "eval_accuracy")->valuedouble == result("full", "eval_accuracy"));
    assert_true(cJSON_GetObjectItem(o, "base_before")->valuedouble == result("full", "base_before"));
    assert_true(cJSON_GetObjectItem(o, "base_after")->valuedouble == result("full", "base_after"));
    assert_true(cJSON_GetObjectItem(o, "update_ratio")->valuedouble == result("full", "update_ratio") &&
                result("full", "update_ratio") > 0);
    cJSON_Delete(o);
    /* on other data it is another; in batches of another size it is the same but for the rounding of sums */
    must(run("eval --model $M --adapter full/adapter --forgetting_data base --per_device_eval_batch_size 3 --json "
             "2>/dev/null > eval.json"),
         0);
    assert_int_equal(lf_json_read(&o, text("%s/eval.json", root), &err), LF_OK);
    assert_true(fabs(cJSON_GetObjectItem(o, "update_ratio")->valuedouble / result("full", "update_ratio") - 1) < 1e-5);
    cJSON_Delete(o);
    must(run("eval --model $M --adapter full/adapter --data data/val --json 2>/dev/null > eval.json"), 0);
    assert_int_equal(lf_json_read(&o, text("%s/eval.json", root), &err), LF_OK);
    assert_true(fabs(cJSON_GetObjectItem(o, "update_ratio")->valuedouble / result("full", "update_ratio") - 1) > 1e-5);
    cJSON_Delete(o);
    must(run("eval --model $M --forgetting_data base --json 2>/dev/null > eval.json"),
         0); /* no adapter, nothing to measure */
    assert_int_equal(lf_json_read(&o, text("%s/eval.json", root), &err), LF_OK);
    assert_null(cJSON_GetObjectItem(o, "update_ratio"));
    cJSON_Delete(o);
}

static void test_same_bytes_twice(void **state) {
    (void)state;
    must(run(TRAIN NOISY "--output_dir twice1"), 0);
    must(run(TRAIN NOISY "--output_dir twice2"), 0);
    same_files("twice1/adapter/adapter_model.safetensors", "twice2/adapter/adapter_model.safetensors");
    same_files("twice1/adapter/lora_ft.json", "twice2/adapter/lora_ft.json");
    must(run(TRAIN NOISY "--seed 1 --output_dir twice3"), 0);
    size_t n, m;
    char *a = contents("twice1/adapter/adapter_model.safetensors", &n),
         *b = contents("twice3/adapter/adapter_model.safetensors", &m);
    assert_true(n == m && memcmp(a, b, n) != 0); /* the seed matters, so equality above says something */
    lf_free(a);
    lf_free(b);
}

/* Steps 5 an epoch: the checkpoint of step 7 stands in the middle of the second one. */
static void test_resumed_equals_straight(void **state) {
    (void)state;
    must(run(TRAIN NOISY "--save_strategy steps --save_steps 7 --logging_steps 1 --output_dir straight"), 0);
    assert_int_equal(
        system(text("cd %s && mkdir cut && cp -r straight/checkpoint-7 straight/metrics.jsonl cut/", root)), 0);
    must(run(TRAIN NOISY
             "--save_strategy steps --save_steps 7 --logging_steps 1 --output_dir cut --resume_from_checkpoint true"),
         0);
    assert_non_null(strstr(output, "step 7 of 12"));
    same_files("straight/adapter/adapter_model.safetensors", "cut/adapter/adapter_model.safetensors");
    same_files("straight/checkpoint-12/state.safetensors", "cut/checkpoint-12/state.safetensors");
    same_files("straight/metrics.jsonl", "cut/metrics.jsonl");
    /* on a finished run nothing changes */
    must(run(TRAIN NOISY
             "--save_strategy steps --save_steps 7 --logging_steps 1 --output_dir cut --resume_from_checkpoint true"),
         0);
    same_files("straight/adapter/adapter_model.safetensors", "cut/adapter/adapter_model.safetensors");
    /* another thread count is refused */
    assert_int_equal(system(text("cd %s && rm cut/all_results.json", root)), 0);
    must(run("train --model $M --train_data data --threads 1 " NOISY
             "--output_dir cut --resume_from_checkpoint cut/checkpoint-7"),
         2);
    assert_non_null(strstr(output, "threads"));
}

/* In bf16: the same bytes twice and after a resume; eval agrees; the written facts say so; fp32 cannot go on from
 * there. */
static void test_bf16(void **state) {
    (void)state;
    must(run(TRAIN NOISY "--precision bf16 --save_strategy steps --save_steps 7 --logging_steps 1 --output_dir half1"),
         0);
    must(run(TRAIN NOISY "--precision bf16 --save_strategy steps --save_steps 7 --logging_steps 1 --output_dir half2"),
         0);
    same_files("half1/adapter/adapter_model.safetensors", "half2/adapter/adapter_model.safetensors");
    same_files("half1/adapter/lora_ft.json", "half2/adapter/lora_ft.json");
    assert_int_equal(system(text("cd %s && mkdir half3 && cp -r half1/checkpoint-7 half1/metrics.jsonl half3/", root)),
                     0);
    must(run(TRAIN NOISY "--precision fp32 --save_strategy steps --save_steps 7 --logging_steps 1 --output_dir half3 "
                         "--resume_from_checkpoint true"),
         2);
    assert_non_null(strstr(output, "bf16"));
    must(run(TRAIN NOISY "--precision bf16 --save_strategy steps --save_steps 7 --logging_steps 1 --output_dir half3 "
                         "--resume_from_checkpoint true"),
         0);
    assert_non_null(strstr(output, "step 7 of 12"));
    same_files("half1/adapter/adapter_model.safetensors", "half3/adapter/adapter_model.safetensors");
    same_files("half1/checkpoint-12/state.safetensors", "half3/checkpoint-12/state.safetensors");
    same_files("half1/metrics.jsonl", "half3/metrics.jsonl");
    must(run("eval --model $M --adapter half1/adapter --precision bf16 --data data/val --json 2>/dev/null > half.json"),
         0);
    cJSON *o, *facts;
    lf_err err = {0};
    assert_int_equal(lf_json_read(&o, text("%s/half.json", root), &err), LF_OK);
    assert_true(cJSON_GetObjectItem(o, "eval_accuracy")->valuedouble == result("half1", "eval_accuracy"));
    assert_int_equal(lf_json_read(&facts, text("%s/half1/adapter/lora_ft.json", root), &err), LF_OK);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetObjectItem(facts, "run"), "precision")),
                        "bf16");
    cJSON_Delete(o);
    cJSON_Delete(facts);
    must(run("bench --model $M --precision auto --batch 2 --steps 1 --json 2>/dev/null"), 0);
    assert_non_null(strstr(output, "\"precision\""));
    assert_null(strstr(output, "\"auto\""));
    must(run(TRAIN NOISY "--output_dir full_precision"),
         0); /* fp32 gives other numbers, so equality above says something */
    size_t n, m;
    char *a = contents("half1/adapter/adapter_model.safetensors", &n),
         *b = contents("full_precision/adapter/adapter_model.safetensors", &m);
    assert_true(n == m && memcmp(a, b, n) != 0);
    lf_free(a);
    lf_free(b);
}

/* What a user may change between a stop and a resume, and what not; nothing is written where it is refused. */
static void test_resume_with_other_keys(void **state) {
    (void)state;
#define STOPPED TRAIN "--r 4 --max_steps 6 --save_strategy steps --save_steps 3 --logging_steps 1 "
    static const struct {
        const char *more;
        int code;
        const char *says;
    } changes[] = {
        {"--learning_rate 5e-3", 2, "'learning_rate' was 5e-05 and is 0.005"},
        {"--weight_decay 0.5", 2, "'weight_decay' was 0 and is 0.5"},
        {"--warmup_steps 5", 2, "'warmup_steps' was 0 and is 5"},
        {"--label_smoothing_factor 0.3", 2, "'label_smoothing_factor' was 0 and is 0.3"},
        {"--max_grad_norm 0.01", 2, "'max_grad_norm' was 1 and is 0.01"},
        {"--r 8", 2, "'r' was 4 and is 8"},
        {"--eval_data data/val", 2, "'eval_data' was not set and is"},
        {"--max_steps 5", 2, "'max_steps' was 6 and is 5"},
        {"--logging_steps 3 --save_steps 2 --gradient_checkpointing true --dataloader_num_workers 1", 0, "step 3 of 6"},
        {"--max_steps 8", 0, "from step 3 on, max_steps is 8, which was 6"},
        {"--train_data ./data", 0, "step 3 of 6"}, /* the same place */
        {"--skip_bad_images", 0, "from step 3 on, skip_bad_images is true, which was false"},
    };
    must(run(STOPPED "--output_dir kept"), 0);
    assert_int_equal(system(text("cd %s && rm -r kept/checkpoint-6 kept/all_results.json", root)), 0);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        assert_int_equal(system(text("cd %s && rm -rf other && cp -r kept other", root)), 0);
        must(run(STOPPED "--output_dir other --resume_from_checkpoint true %s", changes[i].more), changes[i].code);
        if (!strstr(output, changes[i].says))
            fail_msg("%s: '%s' is not in:\n%s", changes[i].more, changes[i].says, output);
        if (changes[i].code)
            same_files("kept/config.json", "other/config.json");
        else if (!strstr(changes[i].says, "from step"))
            same_files("kept/adapter/adapter_model.safetensors", "other/adapter/adapter_model.safetensors");
    }
    /* what was let pass is recorded, in both files */
    cJSON *o;
    lf_err err = {0};
    static const char *const files[] = {"other/config.json", "other/adapter/lora_ft.json"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(lf_json_read(&o, text("%s/%s", root, files[i]), &err), LF_OK);
        const cJSON *in = i ? cJSON_GetObjectItem(o, "run") : o,
                    *segment = cJSON_GetArrayItem(cJSON_GetObjectItem(in, "segments"), 0);
        assert_true(cJSON_GetObjectItem(segment, "from_step")->valuedouble == 3);
        assert_string_equal(cJSON_GetObjectItem(segment, "key")->valuestring, "skip_bad_images");
        assert_true(cJSON_IsFalse(cJSON_GetObjectItem(segment, "old")) &&
                    cJSON_IsTrue(cJSON_GetObjectItem(segment, "new")));
        cJSON_Delete(o);
    }
    /* of a finished run the same keys are another run, or are nothing */
    must(run(STOPPED "--output_dir other --skip_bad_images --resume_from_checkpoint true --logging_steps 3 "
                     "--gradient_checkpointing true"),
         0);
    assert_non_null(strstr(output, "nothing to resume"));
    must(run(STOPPED "--output_dir other --skip_bad_images --resume_from_checkpoint true --weight_decay 0.5"), 2);
    assert_non_null(strstr(output, "weight_decay"));
}

/* The run goes another way from an older checkpoint; the next resume goes on from there, not from the way that was
 * left. */
static void test_resume_from_an_older_checkpoint(void **state) {
    (void)state;
    static const char arguments[] =
        TRAIN "--r 4 --save_strategy steps --save_steps 2 --logging_steps 1 --output_dir branch ";
    must(run("%s --max_steps 6", arguments), 0);
    must(run("%s --max_steps 7 --resume_from_checkpoint branch/checkpoint-2", arguments), 0);
    assert_non_null(strstr(output, "step 2 of 7"));
    assert_non_null(
        strstr(output, "branch/checkpoint-6 is of steps that are done again: it is checkpoint-6.old-1 now"));
    assert_true(lf_is_dir(text("%s/branch/checkpoint-6.old-1", root)) &&
                lf_is_dir(text("%s/branch/checkpoint-7", root)));
    must(run("%s --max_steps 9 --resume_from_checkpoint true", arguments), 0);
    assert_non_null(strstr(output, "step 7 of 9"));
}

/* Another corpus under the same name, for a run that stopped and for one that is finished. */
static void test_resume_with_other_data(void **state) {
    (void)state;
    static const char *const roles[] = {"train_data", "eval_data", "test_data", "forgetting_data"};
    static const char arguments[] =
        "train --model $M --threads 2 --train_data moved/train --eval_data moved/val "
        "--test_data moved/test --forgetting_data moved/base --max_steps 2 --output_dir content ";
    assert_int_equal(
        system(text("cd %s && mkdir moved && cp -r data/train data/val moved && cp -r data/val moved/test && "
                    "cp -r base moved/base",
                    root)),
        0);
    must(run("%s", arguments), 0);
    /* another model under the same name */
    assert_int_equal(system(text("cd %s && cp -r %s/golden/vit-base same", root, LF_TEST_DIR)), 0);
    must(run("train --model same --train_data data --max_steps 1 --output_dir other_model"), 0);
    size_t size;
    char *bytes = contents("same/model.safetensors", &size);
    bytes[size - 2] ^= 1;
    assert_int_equal(lf_file_write(text("%s/same/model.safetensors", root), bytes, size, NULL), LF_OK);
    lf_free(bytes);
    must(run("train --model same --train_data data --max_steps 1 --output_dir other_model --resume_from_checkpoint "
             "true"),
         2);
    assert_non_null(strstr(output, "the files of 'model' hold other bytes"));
    for (int finished = 1; finished >= 0; finished--) {
        for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
            static const char *const folders[] = {"train", "val", "test", "base"};
            /* one byte behind the end of a picture, which no decoder looks at */
            assert_int_equal(
                system(text("cd %s/moved && f=$(find %s -type f | sort | head -1) && cp $f ../aside && printf "
                            "x >> $f && echo $f > ../name",
                            root, folders[i])),
                0);
            must(run("%s--resume_from_checkpoint true", arguments), 2);
            if (!strstr(output, text("the files of '%s' hold other bytes", roles[i])))
                fail_msg("%s:\n%s", roles[i], output);
            assert_int_equal(system(text("cd %s && cp aside moved/$(cat name)", root)), 0);
        }
        must(run("%s--resume_from_checkpoint true", arguments), 0);
        if (finished) assert_int_equal(system(text("rm %s/content/all_results.json", root)), 0);
    }
}

static void test_resume_without_checkpoint_starts_over(void **state) {
    (void)state;
    must(run(TRAIN "--max_steps 2 --output_dir fresh --resume_from_checkpoint true"), 0);
    assert_non_null(strstr(output, "starting at the beginning"));
}

/* Ctrl-C in the middle of what makes noise (dropout, augmentation, accumulation): exit 130, a whole checkpoint, and the
 * resumed run ends as the straight one. */
static void test_interrupt(void **state) {
    (void)state;
    const char *const arguments = TRAIN NOISY TALKATIVE "--logging_steps 1 ";
    must(run("%s --output_dir long", arguments), 0);
    const int says = hold("stopped.log");
    const pid_t pid = start_run(text("%s --output_dir stopped", arguments), "stopped.log");
    wait_for_words(says, "step 3:");
    send_signal(pid, SIGINT);
    let_go(says, "stopped.log");
    assert_int_equal(code_of(pid), 130);
    must(run("%s --output_dir stopped --resume_from_checkpoint true", arguments), 0);
    assert_non_null(strstr(output, "resumed from"));
    same_files("long/adapter/adapter_model.safetensors", "stopped/adapter/adapter_model.safetensors");
}

static void test_accumulation_equals_the_big_batch(void **state) {
    (void)state;
    must(run(TRAIN "--init_lora_weights pissa --max_steps 6 --logging_steps 1 --per_device_train_batch_size 8 "
                   "--learning_rate 1e-3 --output_dir big"),
         0);
    must(run(TRAIN "--init_lora_weights pissa --max_steps 6 --logging_steps 1 --per_device_train_batch_size 2 "
                   "--gradient_accumulation_steps 4 "
                   "--learning_rate 1e-3 --output_dir small"),
         0);
    for (int i = 0; i < 6; i++) /* step 5 is the last window of the first epoch: one example of 33 */
        if (!(fabs(logged_loss("big", i) - logged_loss("small", i)) <= 1e-4 * logged_loss("big", i)))
            fail_msg("step %d: loss %g with one batch of 8, %g with four of 2", i + 1, logged_loss("big", i),
                     logged_loss("small", i));
}

static void test_merged_equals_adapter(void **state) {
    (void)state;
    must(run(TRAIN "--init_lora_weights milora --max_steps 6 --learning_rate 5e-3 --output_dir tomerge"), 0);
    must(run("merge --model $M --adapter tomerge/adapter -o merged"), 0);
    must(run("eval --model $M --adapter tomerge/adapter --data data/val --save-logits a.safetensors"), 0);
    must(run("eval --model merged --data data/val --save-logits b.safetensors"), 0);
    lf_safetensors *a, *b;
    lf_err err = {0};
    assert_int_equal(lf_safetensors_open(&a, text("%s/a.safetensors", root), &err), LF_OK);
    assert_int_equal(lf_safetensors_open(&b, text("%s/b.safetensors", root), &err), LF_OK);
    const lf_st_tensor *x = lf_safetensors_find(a, "logits"), *y = lf_safetensors_find(b, "logits");
    assert_true(x && y && x->ndim == 2 && x->shape[0] == 15 && x->shape[1] == 3 && y->numel == x->numel);
    const float *p = x->data, *q = y->data;
    for (int64_t i = 0; i < x->numel; i++) assert_true(fabsf(p[i] - q[i]) <= 1e-4f);
    lf_safetensors_close(a);
    lf_safetensors_close(b);
    must(run("merge --model $M --adapter tomerge/adapter -o merged"), 2); /* not over somebody's model */
}

/* Step 0 is the base to the last bit, written and read again, whatever the start. */
static void test_starts(void **state) {
    (void)state;
    static const char *const starts[] = {"mica", "orthogonal", "corda_kpm", "lora_ga", "sc_lora"};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        must(run(TRAIN "--forgetting_data base --r 4 --max_steps 1 --learning_rate 0 --init_lora_weights %s "
                       "%s --output_dir start_%s",
                 starts[i], i < 2 ? "" : "--calibration_samples 9", starts[i]),
             0);
        assert_true(result(text("start_%s", starts[i]), "base_kl") == 0.0);
        assert_true(result(text("start_%s", starts[i]), "forgetting") == 0.0);
    }
    /* what stays is the checkpoint's, and a run that goes on from it is the one that was not stopped */
    must(run(TRAIN "--init_lora_weights mica --r 4 --max_steps 4 --learning_rate 1e-2 --save_strategy steps "
                   "--save_steps 2 --output_dir mica"),
         0);
    assert_int_equal(system(text("cd %s && mkdir micut && cp -r mica/checkpoint-2 mica/metrics.jsonl micut/", root)),
                     0);
    must(run(TRAIN "--init_lora_weights mica --r 4 --max_steps 4 --learning_rate 1e-2 --save_strategy steps "
                   "--save_steps 2 --output_dir micut --resume_from_checkpoint true"),
         0);
    same_files("mica/adapter/adapter_model.safetensors", "micut/adapter/adapter_model.safetensors");
    must(run("train --model $M --train_data data --threads 2 --continue_from mica/adapter --max_steps 1 "
             "--output_dir mica_on"),
         0);
    assert_non_null(strstr(output, "from here on it is trained"));
}

/* Which data are looked at, and what cannot be. */
static void test_calibration(void **state) {
    (void)state;
    must(run(TRAIN "--init_lora_weights corda_kpm --max_steps 1 --output_dir cal_kept"), 2);
    assert_non_null(strstr(output, "examples of what is to be kept"));
    must(run(TRAIN "--init_lora_weights corda_kpm --r 4 --max_steps 1 --forgetting_data base --calibration_samples 9 "
                   "--output_dir cal_kept"),
         0);
    assert_non_null(strstr(output, "is read off forgetting_data"));
    must(run(TRAIN "--init_lora_weights corda_kpm --r 4 --max_steps 1 --calibration_data base --calibration_samples 9 "
                   "--output_dir cal_kept_alone"),
         0);
    assert_non_null(strstr(output, "calibration of the start: "));
    assert_null(strstr(output, "is read off forgetting_data"));
    same_files("cal_kept/adapter/adapter_model.safetensors", "cal_kept_alone/adapter/adapter_model.safetensors");
    must(run(TRAIN "--init_lora_weights eva --dry_run --output_dir never"), 0);
    must(run("bench --model $M --init_lora_weights eva"), 2);
    assert_non_null(strstr(output, "looks at data"));
    must(run(TRAIN "--calibration_samples 9 --max_steps 1 --output_dir cal_plain"), 0);
    assert_non_null(strstr(output, "calibration_samples"));
}

static void test_other_methods(void **state) {
    (void)state;
    must(run(TRAIN "--method head --forgetting_data base --max_steps 6 --learning_rate 1e-2 --output_dir head"), 0);
    assert_true(result("head", "forgetting") == 0.0); /* the base is not touched */
    must(run("eval --model $M --adapter head/adapter --data data/val"), 0);
    must(run(TRAIN
             "--method full --forgetting_data base --max_steps 6 --learning_rate 1e-3 --optim sgd --output_dir all"),
         0);
    must(run("eval --model all/model --data data/val"), 0);
    must(run(TRAIN "--max_steps 4 --eval_strategy steps --eval_steps 1 --save_strategy steps --save_steps 1 "
                   "--load_best_model_at_end "
                   "--save_total_limit 1 --output_dir best"),
         0);
    must(run(TRAIN "--max_steps 40 --learning_rate 0 --eval_strategy steps --eval_steps 1 --early_stopping_patience 2 "
                   "--output_dir early"),
         0);
    assert_true(result("early", "steps") == 3.0);
    /* every gain is below the threshold: the first evaluation, at step 3, and two that count as without one */
    must(run(TRAIN "--max_steps 40 --learning_rate 1e-4 --eval_strategy steps --eval_steps 1 --eval_delay 3 "
                   "--early_stopping_patience 2 --early_stopping_threshold 1e6 --metric_for_best_model loss "
                   "--output_dir delayed"),
         0);
    assert_true(result("delayed", "steps") == 5.0);
    must(run("predict --model $M --adapter full/adapter --data data/val/apple 2>/dev/null"), 0);
    int lines = 0;
    for (const char *c = output; *c; c++) lines += *c == '\n';
    assert_int_equal(lines, 5);
}

static void test_skipped_pictures_are_counted(void **state) {
    (void)state;
    assert_int_equal(system(text("cd %s && cp -r data bad && echo 'not a picture' > bad/train/bee/99.jpg", root)), 0);
    must(run("train --model $M --train_data bad --max_steps 20 --output_dir skips"), 3);
    assert_non_null(strstr(output, "99.jpg"));
    must(run("train --model $M --train_data bad --max_steps 20 --output_dir skips2 --skip_bad_images"), 0);
    assert_non_null(strstr(output, "could not be read"));
}

/* Batches of one: each bad picture is a step without anything to learn, and the steps after it stay where they were. */
static void test_resumed_equals_straight_with_bad_pictures(void **state) {
    (void)state;
    static const char arguments[] =
        "train --model $M --train_data gaps --skip_bad_images --threads 2 --r 4 --per_device_train_batch_size 1 "
        "--gradient_accumulation_steps 2 --max_steps 40 --save_strategy steps --save_steps 25 --logging_steps 7 ";
    assert_int_equal(
        system(text("cd %s && cp -r data gaps && for i in 1 2 3; do echo text > gaps/train/bee/9$i.jpg; done", root)),
        0);
    must(run("%s --output_dir gaps1", arguments), 0);
    assert_int_equal(system(text("cd %s && mkdir gaps2 && cp -r gaps1/checkpoint-25 gaps1/metrics.jsonl gaps2/", root)),
                     0);
    must(run("%s --output_dir gaps2 --resume_from_checkpoint true", arguments), 0);
    same_files("gaps1/adapter/adapter_model.safetensors", "gaps2/adapter/adapter_model.safetensors");
    same_files("gaps1/metrics.jsonl", "gaps2/metrics.jsonl");
}

/* The best step lies between two checkpoints of save_steps; a run that was stopped early stays so. */
static void test_the_best_step_has_a_checkpoint(void **state) {
    (void)state;
    static const char arguments[] = TRAIN
        "--max_steps 40 --learning_rate 0 --eval_strategy steps --eval_steps 1 --save_strategy steps --save_steps 8 "
        "--load_best_model_at_end --early_stopping_patience 3 ";
    must(run("%s --output_dir between", arguments), 0);
    assert_non_null(strstr(output, "the best checkpoint is that of step 1 "));
    assert_int_equal(system(text("cd %s && rm between/all_results.json", root)), 0);
    must(run("%s --output_dir between --resume_from_checkpoint true", arguments), 0);
    assert_true(result("between", "steps") == 4.0);
}

/* ---- mistakes ---- */

static void test_never_over_its_own_input(void **state) {
    (void)state;
    assert_int_equal(system(text("cd %s && mkdir -p own/checkpoint-1 && cp -r %s/golden/vit-base own/model && cp -r "
                                 "data own/checkpoint-1/data "
                                 "&& ln -s own/model link",
                                 root, LF_TEST_DIR)),
                     0);
    static const char *const inputs[] = {"--model own/model --train_data data", "--model link --train_data data",
                                         "--model $M --train_data own/checkpoint-1/data",
                                         "--model $M --train_data data --forgetting_data own"};
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        must(run("train %s --max_steps 1 --overwrite_output_dir --output_dir own", inputs[i]), 2);
        assert_non_null(strstr(output, "output_dir"));
    }
    assert_true(lf_is_file(text("%s/own/model/config.json", root)) &&
                lf_is_dir(text("%s/own/checkpoint-1/data/train", root)));
}

/* Pictures under another label than the model gives them: nothing to forget, and a run that could not say so would
 * report a forgetting of 0. */
static void test_labels_that_do_not_fit(void **state) {
    (void)state;
    must(run("predict --model $M --data base --output csv 2>/dev/null > base.csv"), 0);
    static const char script[] =
        "cd %s && awk -F, 'NR > 1 { sub(/LABEL_/, \"\", $2); c = \"/LABEL_\" ($2 + 1) %% 5; put(\"wrong\" c); "
        "if (NR < 12) put(\"few\" c) } function put(d) { print \"mkdir -p \" d \" && cp \" $1 \" \" d \"/\" NR "
        "\".ppm\" }' "
        "base.csv | sh";
    char command[1024];
    snprintf(command, sizeof command, script, root);
    assert_int_equal(system(command), 0);
    must(run(TRAIN "--forgetting_data wrong --max_steps 1 --output_dir unfit"), 3);
    said("untouched base gets none right");
    assert_false(lf_is_file(text("%s/unfit/all_results.json", root)));
    must(run("eval --model $M --forgetting_data wrong"), 3);
    must(run(TRAIN "--forgetting_data few --max_steps 1 --output_dir unfit"), 0); /* so few may be chance: */
    said("of 10 examples the untouched base gets none right");
    size_t size;
    char *results = contents("unfit/all_results.json", &size); /* but it was not measured */
    assert_non_null(strstr(results, "\"forgetting\": null"));
    lf_free(results);
}

/* A model of nothing but NaN. */
static void write_nan_model(void) {
    assert_int_equal(system(text("cp -r %s/golden/vit-base %s/nan", LF_TEST_DIR, root)), 0);
    size_t size;
    uint64_t header;
    char *bytes = contents("nan/model.safetensors", &size);
    memcpy(&header, bytes, sizeof header);
    memset(bytes + 8 + header, 0xff, size - 8 - header);
    assert_int_equal(lf_file_write(text("%s/nan/model.safetensors", root), bytes, size, NULL), LF_OK);
    lf_free(bytes);
}

/* One number that is none, in a tensor that no adapter is on. */
static void write_model_with_a_nan(void) {
    lf_safetensors *st;
    lf_err err = {0};
    assert_int_equal(system(text("cp -r %s/golden/vit-base %s/a-nan", LF_TEST_DIR, root)), 0);
    if (lf_safetensors_open(&st, text("%s/a-nan", root), &err)) fail_msg("%s", err.message);
    const lf_st_tensor *t = lf_safetensors_find(st, "vit.layernorm.weight");
    assert_true(t && t->dtype == LF_F32);
    size_t size;
    char *bytes = contents("a-nan/model.safetensors", &size), *at = memmem(bytes, size, t->data, t->size);
    assert_non_null(at);
    const float nan = NAN;
    memcpy(at, &nan, sizeof nan);
    lf_safetensors_close(st);
    assert_int_equal(lf_file_write(text("%s/a-nan/model.safetensors", root), bytes, size, NULL), LF_OK);
    lf_free(bytes);
}

static void prepare_broken_models(void) {
    write_nan_model();
    write_model_with_a_nan();
    static const char script[] =
        "cd %s && M=%s/golden/vit-base && for b in trunc huge shape nofile; do cp -r $M $b; done && "
        "head -c 3000 $M/model.safetensors > trunc/model.safetensors && "
        "printf '\\000\\000\\000\\000\\000\\000\\000\\100' > huge/model.safetensors && tail -c +9 $M/model.safetensors "
        ">> huge/model.safetensors && "
        "sed -i 's/\"intermediate_size\": 48/\"intermediate_size\": 47/' shape/config.json && rm "
        "nofile/model.safetensors && "
        "cp -r data emptyclass && mkdir emptyclass/train/dog && cp -r data notjpg && for i in 0 1 2 3; do echo text > "
        "notjpg/train/cat/x$i.jpg; done && "
        "echo '{\"model\": \"m\", \"learning_rat\": 1}' > misspelt.json && echo '{\"model\": ' > broken.json";
    char command[2048];
    snprintf(command, sizeof command, script, root, LF_TEST_DIR);
    assert_int_equal(system(command), 0);
}

static void test_mistakes(void **state) {
    (void)state;
    prepare_broken_models();
    static const struct {
        const char *arguments;
        int code;
        const char *says;
    } mistakes[] = {
        {"train --config misspelt.json --train_data data --output_dir O", 2, "learning_rate"},
        {"train --config broken.json", 2, "broken.json"},
        {TRAIN "--learning_rte 1 --output_dir O", 2, "learning_rate"},
        {TRAIN "--r 0 --output_dir O", 2, "'r'"},
        {TRAIN "--lora_dropout 1.5 --output_dir O", 2, "lora_dropout"},
        {TRAIN "--init_position 2 --init_lora_weights intermediate --output_dir O", 2, "init_position"},
        {TRAIN "--init_lora_weights intermediate --init_position index:31 --output_dir O", 2, "init_position"},
        {TRAIN "--r 33 --init_lora_weights pissa --output_dir O", 2, "r"},
        {TRAIN "--target_modules nothing --output_dir O", 2, "nothing"},
        {TRAIN "--target_modules projection --output_dir O", 2, "projection"},
        {TRAIN "--precision fp8 --output_dir O", 2, "bf16"},
        {TRAIN "--use_dora true --init pissa --output_dir O", 2, "use_dora"},
        {TRAIN "--use_dora true --lora_dropout 0.1 --output_dir O", 2, "use_dora"},
        {TRAIN "--lr_scheduler_type reduce_lr_on_plateau --eval_strategy no --output_dir O", 2, "watches evaluations"},
        {TRAIN "--lr_scheduler_type reduce_lr_on_plateau --lr_scheduler_kwargs '{\"mode\": \"max\"}' --output_dir O", 2,
         "less of 'loss' is better"},
        {"train --model $M --train_data base --lr_scheduler_type reduce_lr_on_plateau --output_dir O", 2,
         "needs evaluation data"},
        {"train --model nowhere --train_data data --output_dir O", 3, "nowhere"},
        {"train --model $M --train_data nowhere --output_dir O", 3, "nowhere"},
        {"train --model trunc --train_data data --output_dir O", 3, "trunc/model.safetensors"},
        {"train --model huge --train_data data --output_dir O", 3, "huge/model.safetensors"},
        {"train --model shape --train_data data --output_dir O", 3, "intermediate.dense.weight"},
        {"train --model nofile --train_data data --output_dir O", 3, "nofile"},
        {"train --model nan --train_data data --init_lora_weights pissa --output_dir O", 3, "expected finite numbers"},
        {"train --model nan --train_data base --output_dir O", 3, "number 0 is -nan, expected finite numbers"},
        {"train --model nan --train_data base --method full --output_dir O", 3, "expected finite numbers"},
        {"train --model nan --train_data base --init_lora_weights lora_ga --output_dir O", 3,
         "expected finite numbers"},
        {"eval --model nan --data base", 3, "expected finite numbers"},
        {"predict --model nan --data base", 3, "expected finite numbers"},
        {"train --model $M --train_data emptyclass --output_dir O", 3, "dog"},
        {"train --model $M --train_data notjpg --max_steps 50 --output_dir O", 3, ".jpg"},
        {"eval --model $M --adapter data --data data/val", 3, "adapter_config.json"},
        {"eval --model $M --data base --forgetting_data nowhere", 3, "nowhere"},
        {"eval --model $M", 2, "data"},
        {"merge --model trunc --adapter full/adapter -o O", 3, "trunc"},
        {"merge --model a-nan --adapter full/adapter -o O", 3, "number 0 is nan, expected finite numbers"},
        {"generate --prompt x", 2, "generate"},
        {"frobnicate", 2, "frobnicate"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        const int code = run("%s", mistakes[i].arguments);
        if (code != mistakes[i].code || !strstr(output, mistakes[i].says))
            fail_msg("lora-ft %s\nexit code %d, expected %d, with '%s' in what it says:\n%s", mistakes[i].arguments,
                     code, mistakes[i].code, mistakes[i].says, output);
        const size_t n = strlen(output); /* the last line is the error, and the error is one line */
        const char *last = output + (n ? n - 1 : 0);
        while (last > output && last[-1] != '\n') last--;
        if (strncmp(last, "lora-ft", 7) != 0)
            fail_msg("lora-ft %s: the last line should be the error:\n%s", mistakes[i].arguments, output);
        if (lf_is_file(text("%s/O/adapter/adapter_model.safetensors", root)) ||
            lf_is_dir(text("%s/O/adapter.tmp", root)))
            fail_msg("lora-ft %s left output behind", mistakes[i].arguments);
        assert_int_equal(system(text("rm -rf %s/O", root)), 0);
    }
}

static void test_not_over_a_used_folder(void **state) {
    (void)state;
    must(run(TRAIN "--max_steps 1 --output_dir used"), 0);
    must(run(TRAIN "--max_steps 1 --output_dir used"), 2);
    assert_non_null(strstr(output, "overwrite_output_dir"));
    must(run(TRAIN "--max_steps 1 --output_dir used --overwrite_output_dir"), 0);
}

/* The log must not take the number of a stream that the caller closed, and with it what is said there. */
static void test_closed_streams(void **state) {
    (void)state;
    must(run(TRAIN "--eval_data data/val --max_steps 2 --logging_steps 1 --output_dir quiet 2>&-"), 0);
    must(run(TRAIN "--eval_data data/val --max_steps 2 --logging_steps 1 --output_dir closed <&- >&- 2>&-"), 1);
    same_files("quiet/metrics.jsonl", "closed/metrics.jsonl");
    size_t size;
    char *log = contents("quiet/metrics.jsonl", &size);
    for (const char *line = log; *line; line = strchr(line, '\n') + 1) assert_int_equal(*line, '{');
    lf_free(log);
}

static void test_divergence(void **state) {
    (void)state;
    must(run(TRAIN
             "--method full --optim sgd --learning_rate 1000 --max_grad_norm 0 --max_steps 200 --output_dir diverged"),
         4);
    assert_non_null(strstr(output, "step "));
    assert_false(lf_is_file(text("%s/diverged/adapter/adapter_model.safetensors", root)));
}

/* Said of what was asked for, and once: what a file holds as a default was not. */
static void test_keys_of_text(void **state) {
    (void)state;
    FILE *f = fopen(text("%s/text.json", root), "w");
    fputs("{\"packing\": false, \"max_seq_length\": 64, \"momentum\": 0.9, \"max_eval_samples\": 5}", f);
    fclose(f);
    must(run(TRAIN "--config text.json --packing --prompt_template x --dry_run --output_dir unread"), 0);
    said("key 'packing' (on the command line) has no effect on pictures");
    said("key 'prompt_template' (on the command line) has no effect on pictures");
    said("key 'max_seq_length' (in text.json) has no effect on pictures");
    assert_null(strstr(output, "'momentum'"));
    assert_null(strstr(output, "'max_eval_samples'")); /* there is val/ beside train/ */
    must(run(TRAIN "--max_test_samples 5 --dry_run --output_dir unread"), 0);
    said("test, read once at the end: 5 examples");
    must(run(TRAIN "--config text.json --train_data data/train --max_test_samples 5 --dry_run --output_dir unread"), 0);
    said("key 'max_eval_samples' (in text.json) has no effect without data for evaluations");
    said("key 'max_test_samples' (on the command line) has no effect without test data");
    assert_null(strstr(output, "'packing'"));
    must(run(TRAIN "--config text.json --train_val_split 0.2 --dry_run --output_dir unread"), 0);
    said("key 'max_eval_samples' (in text.json) has no effect with train_val_split");
}

/* Memory is the same each time, so it can be compared with that of the run; time is there, and adds up. */
static void test_dry_run_says_what_it_takes(void **state) {
    (void)state;
    static const char keys[] = TRAIN "--forgetting_data base --r 2 --per_device_train_batch_size 4 --max_steps 10 ";
    must(run("%s --output_dir dry --dry_run --json 2>/dev/null", keys), 0);
    cJSON *o = cJSON_Parse(output);
    const cJSON *e = cJSON_GetObjectItemCaseSensitive(o, "estimate");
    double number[5] = {0};
    static const char *const names[] = {"peak_mb", "mapped_mb", "step_seconds", "train_seconds", "judging_seconds"};
    for (int i = 0; i < 5; i++) {
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(e, names[i]);
        if (!cJSON_IsNumber(v) || !(v->valuedouble > 0)) fail_msg("no '%s' in:\n%s", names[i], output);
        number[i] = v->valuedouble;
    }
    cJSON_Delete(o);
    assert_true(fabs(10 * number[2] - number[3]) <= 1e-9 * number[3]);
    assert_false(lf_is_dir(text("%s/dry", root)));
    must(run("%s --output_dir wet", keys), 0);
    const double peak = result("wet", "peak_rss_mb");
    if (!(fabs(number[0] - peak) <= 0.2 * peak)) fail_msg("%g MB were said, it took %g", number[0], peak);
    must(run("%s --output_dir dry --dry_run", keys), 0);
    said("it will take about ");
    said("10 steps");
}

/* Old pictures beside new ones, through the base's own head, which a new one does not replace: of what it knew the run
 * loses less. Augmented, shuffled, cut and gone on with it ends with the same bytes. */
static void test_replay(void **state) {
    (void)state;
    lf_err err = {0};
    static const char on[] = TRAIN "--forgetting_data base --init_lora_weights true --max_steps 14 --logging_steps 4 "
                                   "--per_device_train_batch_size 8 --learning_rate 2e-2 --augmentation shift_flip "
                                   "--gradient_accumulation_steps 2 "
                                   "--save_strategy steps --save_steps 5 ";
    must(run("%s --output_dir new-alone", on), 0);
    must(run("%s --replay_data base --replay_ratio 0.3 --output_dir replay", on), 0);
    if (!(result("replay", "base_after") > result("new-alone", "base_after")))
        fail_msg("base %g, alone %g, replay %g", result("new-alone", "base_before"), result("new-alone", "base_after"),
                 result("replay", "base_after"));
    must(run("%s --replay_data base --replay_ratio 0.3 --output_dir replay-cut", on), 0);
    assert_int_equal(lf_remove_tree(text("%s/replay-cut/checkpoint-10", root), &err), LF_OK);
    assert_int_equal(lf_remove_tree(text("%s/replay-cut/checkpoint-14", root), &err), LF_OK);
    assert_int_equal(lf_remove_tree(text("%s/replay-cut/all_results.json", root), &err), LF_OK);
    must(run("%s --replay_data base --replay_ratio 0.3 --output_dir replay-cut --resume_from_checkpoint true", on), 0);
    said("step 5 of 14");
    same_files("replay/adapter/adapter_model.safetensors", "replay-cut/adapter/adapter_model.safetensors");
    same_files("replay/metrics.jsonl", "replay-cut/metrics.jsonl");
    must(run("%s --replay_data data --replay_ratio 0.3 --output_dir strange", on), 3);
    said("replay_data");
}

/* Held to what the base says of old pictures, a run forgets less; what the base says is kept, or asked each time, which
 * differs in the last digits; cut and gone on with it ends with the same bytes. */
static void test_kl(void **state) {
    (void)state;
    lf_err err = {0};
    static const char on[] = TRAIN "--forgetting_data base --init_lora_weights true --max_steps 14 --logging_steps 4 "
                                   "--per_device_train_batch_size 8 --learning_rate 2e-2 --augmentation shift_flip "
                                   "--gradient_accumulation_steps 2 --save_strategy steps --save_steps 5 ";
    must(run("%s --kl_data base --kl_weight 0 --output_dir no-kl", on), 0);
    must(run("%s --kl_data base --kl_weight 10 --output_dir kl", on), 0);
    said("kl_data hold the same as forgetting_data");
    if (!(result("kl", "base_kl") < result("no-kl", "base_kl") / 2))
        fail_msg("KL %g without, %g with", result("no-kl", "base_kl"), result("kl", "base_kl"));
    must(run("%s --kl_data base --kl_weight 10 --output_dir kl-cut", on), 0);
    assert_int_equal(lf_remove_tree(text("%s/kl-cut/checkpoint-10", root), &err), LF_OK);
    assert_int_equal(lf_remove_tree(text("%s/kl-cut/checkpoint-14", root), &err), LF_OK);
    assert_int_equal(lf_remove_tree(text("%s/kl-cut/all_results.json", root), &err), LF_OK);
    must(run("%s --kl_data base --kl_weight 10 --output_dir kl-cut --resume_from_checkpoint true", on), 0);
    said("step 5 of 14");
    same_files("kl/adapter/adapter_model.safetensors", "kl-cut/adapter/adapter_model.safetensors");
    same_files("kl/metrics.jsonl", "kl-cut/metrics.jsonl");
    must(run("%s --kl_data base --kl_weight 10 --kl_cache_mb 0 --output_dir kl-asked", on), 0);
    const double kept = last_logged("kl", "kl"), asked = last_logged("kl-asked", "kl");
    if (!(kept > 0 && fabs(kept - asked) <= 1e-3 * kept)) fail_msg("kept %g, asked each time %g", kept, asked);
    /* pictures of classes that the base does not know */
    must(run("%s --kl_data data --kl_weight 1 --output_dir kl-new", on), 0);
    assert_true(last_logged("kl-new", "kl") > 0);
}

/* Of classes: with the base's head trained on, of the training pictures; beside a new head, of old ones. The labels are
 * then read, so they must be the base's. */
static void test_kl_without_the_class(void **state) {
    (void)state;
    static const char of_base[] = "train --model $M --train_data base --threads 2 --reuse_head --max_steps 8 "
                                  "--logging_steps 1 --learning_rate 1e-2 --kl_mask_target true ";
    must(run("%s --kl_weight 1e-9 --output_dir rest-far", of_base), 0);
    must(run("%s --kl_weight 10 --output_dir rest-near", of_base), 0);
    const double far = last_logged("rest-far", "kl") / 1e-9, near = last_logged("rest-near", "kl") / 10;
    if (!(near > 0 && near < far / 2)) fail_msg("KL is %g with the term, and %g next to without", near, far);
    must(run("%s --kl_weight 10 --kl_cache_mb 0 --output_dir rest-asked", of_base), 0);
    const double asked = last_logged("rest-asked", "kl") / 10;
    if (!(fabs(near - asked) <= 1e-3 * near)) fail_msg("kept %g, asked each time %g", near, asked);
    static const char of_new[] = TRAIN "--max_steps 3 --logging_steps 1 --kl_weight 1 --kl_mask_target true ";
    must(run("%s --kl_data base --output_dir rest-old", of_new), 0);
    assert_true(last_logged("rest-old", "kl") > 0);
    must(run("%s --output_dir rest-new", of_new), 2);
    said("'kl_mask_target'");
    said("reuse_head");
    must(run("%s --kl_data data --output_dir rest-new", of_new), 2);
    said("'kl_mask_target'");
}

/* All weights: the base is gone after the first step, and what it said is kept. */
static void test_kl_of_all_weights(void **state) {
    (void)state;
    static const char on[] = TRAIN "--method full --max_steps 6 --learning_rate 1e-3 --logging_steps 1 --kl_data base ";
    must(run("%s --kl_weight 1e-9 --output_dir full-far", on), 0);
    must(run("%s --kl_weight 10 --output_dir full-near", on), 0);
    const double far = last_logged("full-far", "kl") / 1e-9, near = last_logged("full-near", "kl") / 10;
    if (!(near > 0 && near < far / 2)) fail_msg("KL is %g with the term, and %g next to without", near, far);
    must(run("%s --kl_weight 1 --kl_cache_mb 0 --output_dir full-asked", on), 2);
    said("kl_cache_mb");
    must(run(TRAIN "--method head --kl_data base --kl_weight 1 --output_dir head-kl"), 2);
    said("with method head nothing is trained");
    must(run(TRAIN "--kl_data base --kl_weight 1 --output_dir kl-dry --dry_run"), 0);
    said("it will take about ");
    must(run(TRAIN "--kl_data base --kl_weight 1 --max_steps 1 --per_device_train_batch_size 2 --output_dir kl-few"),
         0);
    said("of which this run sees 2; with kl_cache_mb 0 for those alone");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing_stays_of_what_is_replaced),
                                       cmocka_unit_test(test_who_learns_nothing),
                                       cmocka_unit_test(test_whose_rate_is_too_high),
                                       cmocka_unit_test(test_one_class_alone),
                                       cmocka_unit_test(test_dry_run_says_what_it_takes),
                                       cmocka_unit_test(test_replay),
                                       cmocka_unit_test(test_kl),
                                       cmocka_unit_test(test_kl_without_the_class),
                                       cmocka_unit_test(test_kl_of_all_weights),
                                       cmocka_unit_test(test_run_has_all_its_files),
                                       cmocka_unit_test(test_keys_of_text),
                                       cmocka_unit_test(test_same_bytes_twice),
                                       cmocka_unit_test(test_resumed_equals_straight),
                                       cmocka_unit_test(test_resume_with_other_keys),
                                       cmocka_unit_test(test_resume_with_other_data),
                                       cmocka_unit_test(test_resume_from_an_older_checkpoint),
                                       cmocka_unit_test(test_bf16),
                                       cmocka_unit_test(test_resume_without_checkpoint_starts_over),
                                       cmocka_unit_test(test_interrupt),
                                       cmocka_unit_test(test_accumulation_equals_the_big_batch),
                                       cmocka_unit_test(test_merged_equals_adapter),
                                       cmocka_unit_test(test_other_methods),
                                       cmocka_unit_test(test_starts),
                                       cmocka_unit_test(test_calibration),
                                       cmocka_unit_test(test_skipped_pictures_are_counted),
                                       cmocka_unit_test(test_labels_that_do_not_fit),
                                       cmocka_unit_test(test_mistakes),
                                       cmocka_unit_test(test_resumed_equals_straight_with_bad_pictures),
                                       cmocka_unit_test(test_the_best_step_has_a_checkpoint),
                                       cmocka_unit_test(test_never_over_its_own_input),
                                       cmocka_unit_test(test_not_over_a_used_folder),
                                       cmocka_unit_test(test_closed_streams),
                                       cmocka_unit_test(test_divergence)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
