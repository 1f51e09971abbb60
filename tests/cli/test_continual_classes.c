/* Tasks that bring new classes: one head grows, and its rows stay those of their classes; without old examples a
 * sequence says of everything that it is of the last task's classes, with some of them it does not. */
#define _GNU_SOURCE
#include "cli/continual_fixture.h"

#define PAIRS                                                                                                          \
    "continual --model $M --threads 1 --lr 2e-2 --r 2 --batch_size 4 --max_steps 32 --lr_scheduler_type constant "     \
    "--tasks '[{\"name\": \"ab\", \"train_data\": \"ab\"}, {\"name\": \"cd\", \"train_data\": \"cd\"}]' "

static const char *const classes[] = {"apple", "bee", "cat", "dog"};

static int setup_classes(void **state) {
    static const char *const splits[] = {"train", "val"};
    char folder[64];
    lf_err err = {0};
    if (setup(state)) return 1;
    for (int c = 0; c < 4; c++)
        for (int s = 0; s < 2; s++) {
            snprintf(folder, sizeof folder, "%s/%s/%s", c < 2 ? "ab" : "cd", splits[s], classes[c]);
            if (lf_mkdir_p(text("%s/%s", root, folder), &err)) return 1;
            for (int i = 0; i < 8; i++)
                write_picture(text("%s/%s/%02d.ppm", root, folder, i), c, (uint64_t)(1000 * c + 100 * s + i));
        }
    return 0;
}

static void labels_are(const char *path, int n) {
    cJSON *facts = json_at(path), *labels = cJSON_GetObjectItem(facts, "id2label");
    assert_int_equal(cJSON_GetArraySize(labels), n);
    for (int i = 0; i < n; i++)
        assert_string_equal(cJSON_GetObjectItem(labels, text("%d", i))->valuestring, classes[i]);
    cJSON_Delete(facts);
}

/* What `train --new_labels` makes of the first run's adapter. */
static void test_head_grows(void **state) {
    (void)state;
    must(run(PAIRS "--output_dir plain"), 0);
    said("brings 2 classes that none before it had");
    labels_are("plain/task-01-ab/adapter/lora_ft.json", 2);
    labels_are("plain/task-02-cd/adapter/lora_ft.json", 4);
    must(run("train --model $M --threads 1 --lr 2e-2 --batch_size 4 --max_steps 32 --lr_scheduler_type constant "
             "--train_data cd --continue_from plain/task-01-ab/adapter --new_labels cat,dog --output_dir by_hand"),
         0);
    same_run("plain/task-02-cd", "by_hand");
    cJSON *first = json_at("plain/task-01-ab/scores.json");
    assert_true(isnan(number_in(first, "scores", "cd"))); /* it has no row for it yet */
    cJSON_Delete(first);
}

/* The rows that were there are what they were, and the others have numbers. */
static void test_rows_stay(void **state) {
    (void)state;
    lf_safetensors *was = NULL, *now = NULL;
    lf_err err = {0};
    must(run("train --model $M --threads 1 --lr 0 --max_steps 1 --train_data cd --new_labels cat,dog --continue_from "
             "plain/task-01-ab/adapter --output_dir grown"),
         0);
    if (lf_safetensors_open(&was, text("%s/plain/task-01-ab/adapter/adapter_model.safetensors", root), &err) ||
        lf_safetensors_open(&now, text("%s/grown/adapter/adapter_model.safetensors", root), &err))
        fail_msg("%s", err.message);
    static const char *const tensors[] = {"base_model.model.classifier.weight", "base_model.model.classifier.bias"};
    for (int i = 0; i < 2; i++) {
        const lf_st_tensor *a = lf_safetensors_find(was, tensors[i]), *b = lf_safetensors_find(now, tensors[i]);
        assert_true(a && b && a->shape[0] == 2 && b->shape[0] == 4);
        assert_memory_equal(a->data, b->data, a->size);
    }
    const lf_st_tensor *w = lf_safetensors_find(now, tensors[0]);
    float x;
    memcpy(&x, (const char *)w->data + w->size - sizeof x, sizeof x);
    assert_true(x != 0 && fabsf(x) < 1);
    lf_safetensors_close(was);
    lf_safetensors_close(now);
}

/* The picture of the textbooks, in small. */
static void test_old_examples_help(void **state) {
    (void)state;
    must(run(PAIRS "--replay_ratio 0.5 --output_dir replayed"), 0);
    must(run(PAIRS "--between joint --replay_ratio 0.5 --output_dir joint"), 0);
    said("nothing stands before 'joint'");
    must(run(PAIRS "--between merge --replay_ratio 0.5 --output_dir merged"), 0);
    print_message("average accuracy: %g, with old examples %g, merged %g, jointly %g\n",
                  result("plain", "average_accuracy"), result("replayed", "average_accuracy"),
                  result("merged", "average_accuracy"), result("joint", "average_accuracy"));
    assert_true(result("plain", "average_accuracy") <= 0.5); /* nothing of the first task is left */
    assert_true(result("plain", "forgetting") >= 0.5);
    assert_true(result("replayed", "average_accuracy") > 0.8);
    assert_true(result("merged", "average_accuracy") > 0.8);
    assert_true(result("joint", "average_accuracy") > 0.8);
    labels_are("merged/after-02-cd/adapter/lora_ft.json", 4);
    cJSON *config = json_at("merged/after-02-cd/model/config.json");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(config, "id2label")), 4);
    cJSON_Delete(config);
}

/* A memory of bounded size. */
static void test_memory_is_bounded(void **state) {
    (void)state;
    must(run(PAIRS "--replay_ratio 0.5 --max_replay_samples 5 --output_dir bounded"), 0);
    said("replay, old examples beside the new ones: 5 examples");
}

static void test_killed_is_uninterrupted(void **state) {
    (void)state;
    static const char command[] =
        PAIRS "--between merge --replay_ratio 0.5 --eval_strategy steps --eval_steps 4 --save_strategy steps "
              "--save_steps 4 --resume_from_checkpoint true --output_dir ";
    must(run("%sstraight", command), 0);
    const int says = hold("kill.log");
    const pid_t pid = start_run(text("%skilled", command), "kill.log");
    wait_for_words(says, "task 2 of 2");
    wait_for_words(says, "step 8:");
    stop_for_a_while(pid);
    kill(pid, SIGKILL);
    assert_int_equal(code_of(pid), -1);
    let_go(says, "kill.log");
    must(run("%skilled", command), 0);
    said("resumed from killed/task-02-cd/checkpoint-");
    same_files(
        "straight/task-02-cd/adapter/adapter_model.safetensors",
        "killed/task-02-cd/adapter/adapter_model.safetensors"); /* lora_ft.json names the merged model's folder */
    same_files("straight/task-02-cd/metrics.jsonl", "killed/task-02-cd/metrics.jsonl");
    same_files("straight/matrix.csv", "killed/matrix.csv");
    same_files("straight/all_results.json", "killed/all_results.json");
}

static const struct {
    const char *flags, *words;
} refused[] = {
    {"--train_data cd --new_labels cat,dog", "are of a head that stays"},
    {"--train_data cd --continue_from plain/task-01-ab/adapter --new_labels cat,bee", "'bee' is a label already"},
    {"--train_data cd --continue_from plain/task-01-ab/adapter --new_labels cat,dog,cat", "'cat' is a label already"},
};

static void test_what_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        must(run("train --model $M --threads 1 --max_steps 1 --output_dir refused %s", refused[i].flags), 2);
        said(refused[i].words);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head_grows),
        cmocka_unit_test(test_rows_stay),
        cmocka_unit_test(test_old_examples_help),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_killed_is_uninterrupted),
        cmocka_unit_test(test_what_is_refused),
    };
    return cmocka_run_group_tests(tests, setup_classes, teardown);
}
