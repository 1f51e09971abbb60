/* Tasks one after the other, what is learned going into the weights: what goes out after each is one adapter on the
 * untouched base, which says what the merged model says, and what the run that was last trained says. */
#define _GNU_SOURCE
#include "cli/continual_fixture.h"

#define MERGED "continual tasks.json " SHARED "--between merge "

static int setup_merged(void **state) {
    if (setup_all(state)) return 1;
    must(run(MERGED "--output_dir merged"), 0);
    return 0;
}

/* The logits of what `flags` say, on a task's evaluation data. */
static void save_logits(const char *flags, const char *task, const char *file) {
    must(run("eval %s --threads 1 --precision fp32 --data %s/val --compare_with none --save_logits %s", flags, task,
             file),
         0);
}

static double largest_difference(const char *a, const char *b) {
    lf_safetensors *x = NULL, *y = NULL;
    lf_err err = {0};
    if (lf_safetensors_open(&x, text("%s/%s", root, a), &err) || lf_safetensors_open(&y, text("%s/%s", root, b), &err))
        fail_msg("%s", err.message);
    const lf_st_tensor *t = lf_safetensors_at(x, 0), *u = lf_safetensors_at(y, 0);
    assert_true(t->numel == u->numel && t->numel == 45);
    double most = 0;
    for (int64_t i = 0; i < t->numel; i++) {
        float p, q;
        memcpy(&p, (const char *)t->data + (size_t)i * sizeof p, sizeof p);
        memcpy(&q, (const char *)u->data + (size_t)i * sizeof q, sizeof q);
        most = fmax(most, fabs((double)p - (double)q));
    }
    lf_safetensors_close(x);
    lf_safetensors_close(y);
    return most;
}

/* Three ways to say the same, after each task. */
static void test_merged_is_base_and_adapter(void **state) {
    (void)state;
    char flags[160];
    for (int t = 0; t < N_TASKS; t++) {
        snprintf(flags, sizeof flags, "--model $M --adapter merged/after-%02d-%s/adapter", t + 1, names[t]);
        save_logits(flags, "one", "one_adapter.safetensors");
        snprintf(flags, sizeof flags, "--model merged/after-%02d-%s/model", t + 1, names[t]);
        save_logits(flags, "one", "merged.safetensors");
        if (t == 0)
            snprintf(flags, sizeof flags, "--model $M --adapter merged/task-01-one/adapter");
        else
            snprintf(flags, sizeof flags, "--model merged/after-%02d-%s/model --adapter merged/task-%02d-%s/adapter", t,
                     names[t - 1], t + 1, names[t]);
        save_logits(flags, "one", "trained.safetensors");
        const double merged = largest_difference("one_adapter.safetensors", "merged.safetensors"),
                     trained = largest_difference("one_adapter.safetensors", "trained.safetensors");
        if (!(merged < 1e-5 && trained < 1e-5)) fail_msg("after '%s': %g and %g", names[t], merged, trained);
    }
    assert_true(largest_difference("one_adapter.safetensors", "one_adapter.safetensors") == 0);
    save_logits("--model $M --adapter merged/after-02-two/adapter", "one", "earlier.safetensors");
    assert_true(largest_difference("one_adapter.safetensors", "earlier.safetensors") > 1e-2); /* it could differ */
}

/* The first task is as in any sequence; the others start anew, on another base, with the head that goes on. */
static void test_runs_are_train(void **state) {
    (void)state;
    must(run("train " SHARED "--train_data one --output_dir first"), 0);
    same_run("merged/task-01-one", "first");
    must(
        run("train --model merged/after-01-one/model --reuse_head true --threads 1 --lr 2e-2 --r 2 --batch_size 4 "
            "--max_steps 6 --lr_scheduler_type constant --init intermediate --train_data two/train --eval_data two/val "
            "--output_dir second"),
        0);
    same_run("merged/task-02-two", "second");
}

/* What is judged is the one adapter on the untouched base, of the base's own data too. */
static void test_scores_are_of_the_base(void **state) {
    (void)state;
    for (int t = 0; t < N_TASKS; t++) {
        cJSON *scores = json_at(text("merged/task-%02d-%s/scores.json", t + 1, names[t]));
        must(run("eval --model $M --threads 1 --adapter merged/after-%02d-%s/adapter --data two/val --forgetting_data "
                 "base "
                 "--compare_with none --json 2>/dev/null >eval.json",
                 t + 1, names[t]),
             0);
        cJSON *o = json_at("eval.json");
        assert_true(number_in(o, "eval_accuracy", NULL) == number_in(scores, "scores", "two"));
        assert_true(number_in(o, "base_before", NULL) == number_in(scores, "base_before", NULL));
        assert_true(number_in(o, "base_after", NULL) == number_in(scores, "base_after", NULL));
        assert_true(number_in(o, "forgetting", NULL) == number_in(scores, "base_forgetting", NULL));
        cJSON_Delete(o);
        cJSON_Delete(scores);
    }
}

/* Ranks add up (each start has doubled its own), scalings are 1, and the names say the untouched base. */
static void test_adapter_is_peft(void **state) {
    (void)state;
    cJSON *config = json_at("merged/after-03-three/adapter/adapter_config.json"),
          *facts = json_at("merged/after-03-three/adapter/lora_ft.json"),
          *own = json_at("merged/task-01-one/adapter/lora_ft.json");
    assert_true(number_in(config, "r", NULL) == 12 && number_in(config, "lora_alpha", NULL) == 12);
    assert_string_equal(cJSON_GetObjectItem(facts, "base_hash")->valuestring,
                        cJSON_GetObjectItem(own, "base_hash")->valuestring);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(cJSON_GetObjectItem(facts, "run"), "sum_of")), 3);
    cJSON_Delete(config);
    cJSON_Delete(facts);
    cJSON_Delete(own);
}

static const char *const said_before[] = {"task 1 of 3", "all that is learned so far", "after 'one': the scores",
                                          "task 2 of 3", "after 'two': the scores",    "task 3 of 3"};
enum { N_KILLS = sizeof said_before / sizeof *said_before };

static void test_killed_is_uninterrupted(void **state) {
    (void)state;
    for (int i = 0; i < N_KILLS; i++) {
        char log[32];
        snprintf(log, sizeof log, "kill-%d.log", i);
        const int says = hold(log);
        const pid_t pid = start_run(MERGED "--output_dir killed --resume_from_checkpoint true", log);
        wait_for_words(says, said_before[i]);
        stop_for_a_while(pid);
        kill(pid, SIGKILL);
        assert_int_equal(code_of(pid), -1);
        let_go(says, log);
    }
    must(run(MERGED "--output_dir killed --resume_from_checkpoint true"), 0);
    for (int i = 0; i < N_TASKS; i++) {
        char a[96], b[96];
        snprintf(a, sizeof a, "merged/after-%02d-%s/model/model.safetensors", i + 1, names[i]);
        snprintf(b, sizeof b, "killed/after-%02d-%s/model/model.safetensors", i + 1, names[i]);
        same_files(a, b);
    }
    same_files("merged/matrix.csv", "killed/matrix.csv");
    same_files("merged/all_results.json", "killed/all_results.json");
}

/* Of what went out a file is lost, or cut off: it is made again, and the sequence is as it was. */
static void test_damaged_is_made_again(void **state) {
    (void)state;
    static const char *const harm[] = {"rm adapter/adapter_model.safetensors",
                                       "rm adapter/adapter_config.json",
                                       "truncate -s -4 adapter/adapter_model.safetensors",
                                       "rm -r adapter",
                                       "rm model/model.safetensors",
                                       "truncate -s -4 model/model.safetensors",
                                       "rm model/config.json"};
    for (size_t i = 0; i < sizeof harm / sizeof *harm; i++) {
        assert_int_equal(run_shell(text("cd %s/killed/after-02-two && %s", root, harm[i])), 0);
        must(run(MERGED "--output_dir killed --resume_from_checkpoint true"), 0);
        said("all that is learned so far is killed/after-02-two/adapter");
        assert_null(strstr(output, "all that is learned so far is killed/after-01-one/adapter"));
        same_files("merged/after-02-two/adapter/adapter_model.safetensors",
                   "killed/after-02-two/adapter/adapter_model.safetensors");
        same_files("merged/after-02-two/model/model.safetensors", "killed/after-02-two/model/model.safetensors");
        same_files("merged/after-02-two/model/config.json", "killed/after-02-two/model/config.json");
        same_files("merged/all_results.json", "killed/all_results.json");
    }
}

static const struct {
    const char *flags;
    const char *words[2]; /* of its one line */
} refused[] = {
    {"--use_dora true --init true", {"use_dora", "between merge"}},
    {"--method head", {"method", "between merge"}},
    {"--kl_weight 1 --kl_data base", {"kl_weight", "between merge"}},
    {"--max_forgetting 5", {"between merge", "untouched"}},
    {"--start_from $M", {"start_from", "between merge"}},
};

static void test_what_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        must(run(MERGED "%s --output_dir refused", refused[i].flags), 2);
        said(refused[i].words[0]);
        said(refused[i].words[1]);
        assert_false(lf_exists(text("%s/refused", root)));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merged_is_base_and_adapter),
        cmocka_unit_test(test_runs_are_train),
        cmocka_unit_test(test_scores_are_of_the_base),
        cmocka_unit_test(test_adapter_is_peft),
        cmocka_unit_test(test_killed_is_uninterrupted),
        cmocka_unit_test(test_damaged_is_made_again),
        cmocka_unit_test(test_what_is_refused),
    };
    return cmocka_run_group_tests(tests, setup_merged, teardown);
}
