/* Which examples are drawn, and what is chosen on which of them. */
#define _XOPEN_SOURCE 700
#include "cli/cli_fixture.h"

#define TRAIN                                                                                                          \
    "train --model $M --threads 1 --per_device_train_batch_size 8 --r 4 --learning_rate 1e-2 --train_data data "       \
    "--forgetting_data base "

/* A number that metrics.jsonl has of a step; NAN: none. */
static double logged(const char *dir, const char *key, int step) {
    size_t size;
    char *lines = contents(text("%s/metrics.jsonl", dir), &size);
    double value = NAN;
    for (char *line = lines, *end; (end = strchr(line, '\n')); line = end + 1) {
        cJSON *row = cJSON_ParseWithLength(line, (size_t)(end - line));
        const cJSON *found = cJSON_GetObjectItem(row, key);
        if (cJSON_GetObjectItem(row, "step")->valueint == step && found) value = found->valuedouble;
        cJSON_Delete(row);
    }
    lf_free(lines);
    return value;
}

/* ---- which examples ---- */

/* The head stays, so what it says at step 0 depends on the examples alone. */
static void test_data_seed_draws(void **state) {
    (void)state;
    static const struct {
        const char *seeds;
        bool same;
    } cases[] = {{"--seed 7", true}, {"--data_seed 42 --seed 8", true}, {"--data_seed 3", false}};
    static const char run_it[] = TRAIN "--train_data base --reuse_head true --train_val_split 0.5 --max_steps 1 "
                                       "--max_forgetting_samples 9 --output_dir %s %s";
    must(run(run_it, "first", ""), 0);
    for (int i = 0; i < 3; i++) {
        char dir[16];
        snprintf(dir, sizeof dir, "seeds%d", i);
        must(run(run_it, dir, cases[i].seeds), 0);
        assert_int_equal(logged(dir, "eval_loss", 0) == logged("first", "eval_loss", 0), cases[i].same);
        assert_int_equal(result(dir, "base_entropy") == result("first", "base_entropy"), cases[i].same);
    }
    must(run("eval --model $M --threads 1 --data base --max_samples 7 --seed 5"), 0);
    said("data_seed says which");
}

/* A run of a version that had one seed goes on with the examples that it drew. */
static void test_a_run_without_data_seed(void **state) {
    (void)state;
    static const char old[] = TRAIN "--train_val_split 0.3 --lr_scheduler_type constant --seed 7 --output_dir old ";
    must(run("%s--data_seed 7 --max_steps 4", old), 0);
    must(run_shell(text("sed -i '/\"data_seed\"/d' %s/old/config.json && ! grep -q data_seed %s/old/config.json", root,
                        root)),
         0);
    must(run("%s--resume_from_checkpoint true --max_steps 4 --data_seed 42", old), 2);
    said("data_seed");
    must(run("%s--resume_from_checkpoint true --max_steps 8", old), 0);
    must(run(TRAIN "--train_val_split 0.3 --lr_scheduler_type constant --seed 7 --data_seed 7 --max_steps 8 "
                   "--output_dir straight"),
         0);
    same_files("old/adapter/adapter_model.safetensors", "straight/adapter/adapter_model.safetensors");
    must(run(TRAIN "--train_val_split 0.3 --seed 7 --max_steps 8 --output_dir old --resume_from_checkpoint "
                   "old/checkpoint-4 --lr_scheduler_type constant --data_seed 1"),
         2);
    said("data_seed");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_data_seed_draws),
                                       cmocka_unit_test(test_a_run_without_data_seed)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
