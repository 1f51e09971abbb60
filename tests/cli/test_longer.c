/* A finished run is made longer: with a constant learning rate it becomes, byte for byte, the run that it would have
 * been; and its results stand until there are new ones. */
#define _XOPEN_SOURCE 700
#include "cli/lm_cli_fixture.h"

#define RUN                                                                                                            \
    "train --model pre/model --train_data train.jsonl --max_seq_length 40 --threads 1 --r 2 --lr 3e-3 --batch_size 4 " \
    "--lora_dropout 0.1 --logging_steps 1 "

static const struct {
    const char *name, *flags, *shorter, *longer;
    bool same;
} cases[] = {
    {"steps", "--lr_scheduler_type constant", "--max_steps 4", "--max_steps 9", true},
    {"epochs", "--lr_scheduler_type constant", "--epochs 1", "--epochs 1.5", true},
    {"slice", "--lr_scheduler_type constant --init intermediate", "--max_steps 4", "--max_steps 9", true},
    {"warm", "--lr_scheduler_type constant_with_warmup --warmup_steps 0", "--max_steps 4", "--max_steps 6", true},
    {"sgd", "--lr_scheduler_type constant --optim sgd --gradient_accumulation_steps 2", "--max_steps 2",
     "--max_steps 5", true},
    {"lion", "--lr_scheduler_type constant --optim lion --lr 5e-4", "--max_steps 2", "--max_steps 5", true},
    {"adafactor", "--lr_scheduler_type constant --optim adafactor --bias lora_only", "--max_steps 2", "--max_steps 5",
     true},
    {"plateau",
     "--lr_scheduler_type reduce_lr_on_plateau --lr_scheduler_kwargs '{\"patience\": 1, \"factor\": 0.5, "
     "\"threshold\": 10, \"threshold_mode\": \"abs\", \"cooldown\": 1}' --eval_data train.jsonl --eval_strategy steps "
     "--eval_steps 1",
     "--max_steps 5", "--max_steps 8", true},
    {"neftune", "--lr_scheduler_type constant --neftune_noise_alpha 5", "--max_steps 2", "--max_steps 5", true},
    {"average",
     "--lr_scheduler_type constant --ema_decay 0.7 --eval_data train.jsonl --eval_strategy steps --eval_steps 1",
     "--max_steps 2", "--max_steps 5", true},
    {"linear", "--lr_scheduler_type linear", "--max_steps 4", "--max_steps 9", false},
    {"cosine", "--lr_scheduler_type cosine", "--epochs 1", "--epochs 2", false},
};

static void test_longer_is_as_long_from_the_beginning(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *name = cases[i].name;
        must(text(RUN "%s %s --output_dir straight-%s", cases[i].flags, cases[i].longer, name), 0);
        must(text(RUN "%s %s --output_dir grown-%s", cases[i].flags, cases[i].shorter, name), 0);
        must(text(RUN "%s %s --output_dir grown-%s --resume_from_checkpoint true", cases[i].flags, cases[i].longer,
                  name),
             0);
        const char *says = cases[i].same ? "as if it had been so long from the beginning" : "had other learning rates";
        if (!strstr(output, says)) fail_msg("%s: it said %s", name, output);
        cJSON *a = results(text("straight-%s", name)), *b = results(text("grown-%s", name));
        near(number(b, "steps"), number(a, "steps"), 0);
        cJSON_Delete(a);
        cJSON_Delete(b);
        if (cases[i].same) {
            same_files(text("straight-%s/adapter/adapter_model.safetensors", name),
                       text("grown-%s/adapter/adapter_model.safetensors", name));
            same_files(text("straight-%s/metrics.jsonl", name), text("grown-%s/metrics.jsonl", name));
        } else
            assert_true(distance(text("straight-%s", name), text("grown-%s", name)) > 0);
        /* it is what its config.json says now: nothing to do, and not shorter again */
        must(text(RUN "%s %s --output_dir grown-%s --resume_from_checkpoint true", cases[i].flags, cases[i].longer,
                  name),
             0);
        assert_non_null(strstr(output, "nothing to resume"));
        must(text(RUN "%s %s --output_dir grown-%s --resume_from_checkpoint true", cases[i].flags, cases[i].shorter,
                  name),
             2);
    }
}

#define GROWN RUN "--lr_scheduler_type constant --max_steps 5 --output_dir kept --resume_from_checkpoint true"

/* A longer run that is killed at its end leaves the results of the shorter one, its config.json and its adapter; asked
 * for again, it goes on. */
static void test_old_results_stand_until_the_new_are_there(void **state) {
    (void)state;
    lf_err err = {0};
    static const char *const files[] = {"all_results.json", "config.json", "adapter/adapter_model.safetensors"},
                             *const copies[] = {"results.old", "config.old", "weights.old"};
    must(RUN "--lr_scheduler_type constant --max_steps 5 --output_dir five", 0);
    must(RUN "--lr_scheduler_type constant --max_steps 3 --output_dir kept", 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(lf_copy_file(text("%s/kept/%s", root, files[i]), root, copies[i], &err), LF_OK);
    /* no file may grow beyond some kilobytes: the next checkpoint kills it */
    const char *command =
        text("cd %s && { ulimit -f 8; exec %s/lora-ft " GROWN "; } > killed.log 2>&1", root, LF_BUILD_DIR);
    assert_true(run_shell(command) != 0);
    for (int i = 0; i < 3; i++) same_files(text("kept/%s", files[i]), copies[i]);
    must(RUN "--lr_scheduler_type constant --max_steps 3 --output_dir kept --resume_from_checkpoint true", 0);
    assert_non_null(strstr(output, "nothing to resume"));
    must(GROWN, 0);
    same_files("kept/adapter/adapter_model.safetensors", "five/adapter/adapter_model.safetensors");
    cJSON *r = results("kept");
    near(number(r, "steps"), 5, 0);
    cJSON_Delete(r);
}

/* Without a checkpoint it says what to do. */
static void test_without_a_checkpoint(void **state) {
    (void)state;
    must(RUN "--max_steps 3 --save_strategy no --output_dir bare", 0);
    must(RUN "--max_steps 5 --save_strategy no --output_dir bare --resume_from_checkpoint true", 2);
    assert_non_null(strstr(output, "--continue_from bare/adapter"));
    cJSON *r = results("bare");
    near(number(r, "steps"), 3, 0);
    cJSON_Delete(r);
    must(RUN "--max_steps 2 --continue_from bare/adapter --output_dir beyond", 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_longer_is_as_long_from_the_beginning),
        cmocka_unit_test(test_old_results_stand_until_the_new_are_there),
        cmocka_unit_test(test_without_a_checkpoint),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
