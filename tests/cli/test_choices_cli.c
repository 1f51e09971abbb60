/* Choices of training, through the program on pictures: weights of classes, the balanced sampler, the average of
 * weights, changes of pictures. Each run that goes on is byte for byte the one that was not interrupted. */
#define _XOPEN_SOURCE 700
#include "cli/cli_fixture.h"

#include "io/safetensors.h"

#define TRAIN                                                                                                          \
    "train --model $M --train_data few/train --eval_data data/val --threads 1 --r 2 --batch_size 8 --lr 5e-3 "         \
    "--lr_scheduler_type constant --logging_steps 1 --save_strategy steps --save_steps 4 --eval_strategy steps "       \
    "--eval_steps 1 --max_steps 6 "

/* 13 apples, 5 bees and 2 cats: 20 examples, three steps an epoch. */
static int setup_few(void **state) {
    if (setup(state)) return 1;
    static const char *const names[] = {"apple", "bee", "cat"};
    static const int each[] = {13, 5, 2};
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < each[c]; i++) {
            lf_err err = {0};
            assert_int_equal(lf_mkdir_p(text("%s/few/train/%s", root, names[c]), &err), LF_OK);
            write_picture(text("%s/few/train/%s/%02d.ppm", root, names[c], i), c, (uint64_t)(5000 + 100 * c + i));
        }
    return 0;
}

#define WEIGHTS "adapter/adapter_model.safetensors"

static bool are_same(const char *a, const char *b) {
    size_t na, nb;
    char *x = contents(a, &na), *y = contents(b, &nb);
    const bool same = na == nb && memcmp(x, y, na) == 0;
    lf_free(x);
    lf_free(y);
    return same;
}

/* ---- whatever the choice, a run goes on as if nothing had been ---- */

static const struct {
    const char *name, *flags;
} choices[] = {
    {"plain", ""},
    {"sampler", "--sampler balanced"},
    {"weights", "--class_weights balanced --gradient_accumulation_steps 2"},
    {"list", "--class_weights [1,2,0.5] --label_smoothing_factor 0.1"},
    {"average", "--ema_decay 0.6 --save_steps 1"},
    {"colours", "--color_jitter 0.4 --augmentation flip"},
    {"randaugment", "--randaugment true --augmentation random_resized_crop_flip"},
    {"erasing", "--reprob 0.5"},
    {"mixup", "--mixup 0.4 --class_weights [1,2,3] --label_smoothing_factor 0.1"},
    {"cutmix", "--cutmix 1 --gradient_accumulation_steps 2"},
    {"both", "--cutmix 1 --mixup 0.2 --random_erasing 0.1 --sampler balanced --dataloader_num_workers 3"},
    {"best", "--ema_decay 0.6 --load_best_model_at_end true --method full"},
};
enum { CHOICES = sizeof choices / sizeof *choices };

static void test_resumed_equals_straight(void **state) {
    (void)state;
    for (int i = 0; i < CHOICES; i++) {
        const char *name = choices[i].name, *flags = choices[i].flags;
        const char *written = strstr(flags, "full") ? "model/model.safetensors" : WEIGHTS;
        must(run(TRAIN "%s --output_dir straight-%s", flags, name), 0);
        assert_int_equal(
            system(text("cd %s && mkdir cut-%s && cp -r straight-%s/checkpoint-4 straight-%s/metrics.jsonl "
                        "cut-%s/ && { cp -r straight-%s/checkpoint-[123] cut-%s/ 2>/dev/null || true; }",
                        root, name, name, name, name, name, name)),
            0);
        must(run(TRAIN "%s --output_dir cut-%s --resume_from_checkpoint true", flags, name), 0);
        assert_non_null(strstr(output, "step 4 of 6"));
        same_files(text("straight-%s/%s", name, written), text("cut-%s/%s", name, written));
        same_files(text("straight-%s/checkpoint-6/state.safetensors", name),
                   text("cut-%s/checkpoint-6/state.safetensors", name));
        same_files(text("straight-%s/metrics.jsonl", name), text("cut-%s/metrics.jsonl", name));
        if (i && i < CHOICES - 1 && are_same("straight-plain/" WEIGHTS, text("straight-%s/" WEIGHTS, name)))
            fail_msg("%s changes nothing", name);
    }
}

/* ---- weights of classes ---- */

static void test_weights_of_one_are_none(void **state) {
    (void)state;
    static const char *const same[] = {"[1,1,1]", "balanced"}; /* data has as many of each class */
    for (int i = 0; i < 2; i++) {
        must(run("train --model $M --train_data %s --threads 1 --max_steps 3 %s --output_dir without-%d",
                 i ? "data" : "few/train", "", i),
             0);
        must(run("train --model $M --train_data %s --threads 1 --max_steps 3 --class_weights %s --output_dir ones-%d",
                 i ? "data" : "few/train", same[i], i),
             0);
        same_files(text("without-%d/" WEIGHTS, i), text("ones-%d/" WEIGHTS, i));
        same_files(text("without-%d/checkpoint-3/state.safetensors", i),
                   text("ones-%d/checkpoint-3/state.safetensors", i));
    }
}

static void test_accumulation_equals_the_big_batch(void **state) {
    (void)state;
    must(run("train --model $M --train_data few/train --threads 1 --max_steps 2 --class_weights [1,7,30] "
             "--logging_steps 1 "
             "--batch_size 8 --output_dir big"),
         0);
    must(run("train --model $M --train_data few/train --threads 1 --max_steps 2 --class_weights [1,7,30] "
             "--logging_steps 1 "
             "--batch_size 2 --gradient_accumulation_steps 4 --output_dir small"),
         0);
    for (int i = 0; i < 2; i++) assert_true(fabs(logged_loss("big", i) / logged_loss("small", i) - 1) < 1e-5);
}

static void test_what_balanced_says(void **state) {
    (void)state;
    must(run(TRAIN "--class_weights balanced --dry_run true --output_dir dry"), 0);
    said("class_weights: from 0.5128 ('apple') to 3.333 ('cat')"); /* 20 / (3 * 13), 20 / (3 * 2) */
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *flags, *says;
    } rows[] = {
        {"--class_weights [1,2]",
         "list of 3 numbers above 0, one for each class in the order of the labels (the first is "
         "'apple', the last 'cat')"},
        {"--class_weights [1,2,0]", "numbers above 0"},
        {"--mixup 0.4 --per_device_train_batch_size 1", "expected a per_device_train_batch_size of 2 or more, found 1"},
        {"--class_weights [1,2,1e9]", "numbers above 0"},
        {"--class_weights [1,2,\\\"3\\\"]", "numbers above 0"},
        {"--class_weights heavy", "expected balanced, or a list"},
        {"--sampler heavy", "expected one of random, balanced"},
        {"--ema_decay 1", "expected a number from 0 to 0.9999999"},
        {"--problem_type multi_label_classification --class_weights balanced", "are of examples with one class each"},
        {"--problem_type multi_label_classification --sampler balanced", "is of examples with one class each"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        must(run(TRAIN "%s --output_dir O", rows[i].flags), 2);
        said(rows[i].says);
    }
}

/* ---- the average of weights ---- */

static lf_safetensors *file_of(const char *name) {
    lf_safetensors *st;
    lf_err err = {0};
    if (lf_safetensors_open(&st, text("%s/%s", root, name), &err)) fail_msg("%s", err.message);
    return st;
}

static const float *tensor(const lf_safetensors *st, const char *name, int64_t *n) {
    const lf_st_tensor *t = lf_safetensors_find(st, name);
    if (!t) fail_msg("%s: no '%s'", lf_safetensors_path(st), name);
    *n = t->numel;
    return (const float *)t->data;
}

#define B "vit.layers.0.attention.q_proj.lora_B"

/* Each step keeps 0.6 of it, from lora_B, which begins as zeros; it is what a checkpoint's adapter and the run's are.
 */
static void test_average(void **state) {
    (void)state;
    lf_safetensors *before = NULL;
    int64_t n;
    for (int step = 1; step <= 6; step++) {
        lf_safetensors *now = file_of(text("straight-average/checkpoint-%d/state.safetensors", step)),
                       *adapter = file_of(text("straight-average/checkpoint-%d/" WEIGHTS, step));
        const float *average = tensor(now, "ema." B, &n), *weights = tensor(now, "param." B, &n),
                    *written = tensor(adapter, "base_model.model." B ".weight", &n),
                    *old = before ? tensor(before, "ema." B, &n) : NULL;
        assert_memory_equal(average, written, (size_t)n * sizeof *average);
        for (int64_t i = 0; i < n; i++) {
            const double kept = 0.6 * (old ? (double)old[i] : 0), added = 0.4 * (double)weights[i];
            /* of the terms, which may cancel */
            assert_true(fabs((double)average[i] - (kept + added)) <= 1e-6 * (fabs(kept) + fabs(added)) + 1e-12);
        }
        assert_true(memcmp(average, weights, (size_t)n * sizeof *average) != 0);
        lf_safetensors_close(adapter);
        lf_safetensors_close(before);
        before = now;
    }
    lf_safetensors_close(before);
    same_files("straight-average/checkpoint-6/" WEIGHTS, "straight-average/" WEIGHTS);
    /* what was reported of it is what it scores */
    must(run("eval --model $M --adapter straight-average/adapter --data data/val --json"), 0);
    said(text("\"eval_accuracy\": %.15g", result("straight-average", "eval_accuracy")));
}

/* The best step's average is what the run ends with. */
static void test_best_average(void **state) {
    (void)state;
    must(run(TRAIN
             "--ema_decay 0.5 --load_best_model_at_end true --metric_for_best_model loss --greater_is_better true "
             "--output_dir worst"),
         0); /* the first step has the largest loss */
    said("the best checkpoint is that of step 1");
    same_files("worst/checkpoint-1/" WEIGHTS, "worst/" WEIGHTS);
}

/* The run is the same; one of an earlier version, whose config.json has the key as a word, goes on, too. */
static void test_reported(void **state) {
    (void)state;
    static const char events[] = "tensorboard/events.out.tfevents.0.lora-ft",
                      word[] = "{\"report_to\": \"tensorboard\"}";
    lf_err err = {0};
    must(run(TRAIN "--output_dir untold"), 0);
    must(run(TRAIN "--report_to '[\"tensorboard\"]' --output_dir told"), 0);
    same_files("untold/" WEIGHTS, "told/" WEIGHTS);
    assert_true(lf_is_file(text("%s/told/%s", root, events)) && !lf_is_file(text("%s/untold/%s", root, events)));
    assert_int_equal(lf_file_write(text("%s/word.json", root), word, strlen(word), &err), LF_OK);
    must(run(TRAIN "--config word.json --max_steps 4 --output_dir word"), 0);
    must(run(TRAIN "--config word/config.json --report_to none --resume_from_checkpoint true --output_dir word"), 0);
    must(run(TRAIN "--config told/config.json --resume_from_checkpoint true --output_dir told"), 0);
    said("the run is finished");
    must(run(TRAIN "--batch_size auto --output_dir fits"), 0);
    said("auto: 8 of a step's 8 examples");
    same_files("untold/" WEIGHTS, "fits/" WEIGHTS);
    must(run(TRAIN "--report_to wandb --output_dir sent"), 2);
    said("'wandb': nothing is sent anywhere");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resumed_equals_straight),
        cmocka_unit_test(test_weights_of_one_are_none),
        cmocka_unit_test(test_accumulation_equals_the_big_batch),
        cmocka_unit_test(test_what_balanced_says),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_average),
        cmocka_unit_test(test_best_average),
        cmocka_unit_test(test_reported),
    };
    return cmocka_run_group_tests(tests, setup_few, teardown);
}
