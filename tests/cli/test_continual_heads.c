/* A head a task, adapters that add up, a memory that is balanced: what goes out is what was judged, in PEFT's form, on
 * the untouched base; and over ten tasks in bf16 nothing drifts. */
#define _GNU_SOURCE
#include "cli/continual_fixture.h"

#define OTHERS                                                                                                         \
    "continual --model $M --threads 1 --lr 2e-2 --r 2 --batch_size 4 --max_steps 6 --lr_scheduler_type constant "      \
    "--save_strategy no "                                                                                              \
    "--tasks '[{\"name\": \"one\", \"train_data\": \"one\"}, {\"name\": \"own\", \"train_data\": \"base\", "           \
    "\"eval_data\": \"base\"}, {\"name\": \"two\", \"train_data\": \"two/train\", \"eval_data\": \"two/val\"}]' "

static const char *const tasks[] = {"one", "own", "two"}, *const judged[] = {"one/val", "base", "two/val"};
static const int labels[] = {3, 5, 3};

static double evaluated(const char *flags, const char *data) {
    must(run("eval --threads 1 %s --data %s --compare_with none --json 2>/dev/null >eval.json", flags, data), 0);
    cJSON *o = json_at("eval.json");
    const double x = number_in(o, "eval_accuracy", NULL);
    cJSON_Delete(o);
    return x;
}

/* After each run each task so far has a folder with its own head, and its score is that of the folder. */
static void heads_are_judged(const char *dir, bool alone) {
    for (int t = 0; t < 3; t++) {
        cJSON *scores = json_at(text("%s/task-%02d-%s/scores.json", dir, t + 1, tasks[t]));
        for (int j = 0; j < 3; j++) {
            char folder[128], flags[256];
            snprintf(folder, sizeof folder, "%s/after-%02d-%s/heads/%s", dir, t + 1, tasks[t], tasks[j]);
            const bool there = alone ? j == t : j <= t;
            assert_true(lf_exists(text("%s/%s", root, folder)) == there);
            assert_true(isnan(number_in(scores, "scores", tasks[j])) == !there);
            if (!there || t < 2) continue; /* by the program, after the last */
            cJSON *facts = json_at(text("%s/lora_ft.json", folder));
            assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(facts, "id2label")), labels[j]);
            cJSON_Delete(facts);
            snprintf(flags, sizeof flags, "--model $M --adapter %s", folder);
            assert_true(evaluated(flags, judged[j]) == number_in(scores, "scores", tasks[j]));
        }
        cJSON_Delete(scores);
    }
}

static void test_heads_of_each_way(void **state) {
    (void)state;
    static const char *const ways[] = {"keep", "merge", "stack", "reset"};
    for (int w = 0; w < 4; w++) {
        char dir[32];
        snprintf(dir, sizeof dir, "heads-%d", w);
        must(run(OTHERS "--heads task --between %s --output_dir %s", ways[w], dir), 0);
        heads_are_judged(dir, w == 3);
    }
    /* the first task is what it is without heads, and what the adapter holds of a later one is the last run's */
    must(run(OTHERS "--between keep --output_dir plain"), 0);
    same_files("plain/task-01-one/adapter/adapter_model.safetensors",
               "heads-0/task-01-one/adapter/adapter_model.safetensors");
    must(run(OTHERS "--heads task --between keep --resume_from_checkpoint true --output_dir heads-0"), 0);
    said("the run is finished, nothing to resume");
    assert_null(strstr(output, "what is learned so far")); /* nothing is made again */
}

static float *floats(const char *path, const char *name, int64_t *n) {
    lf_safetensors *st = NULL;
    lf_err err = {0};
    if (lf_safetensors_open(&st, text("%s/%s", root, path), &err)) fail_msg("%s", err.message);
    const lf_st_tensor *t = name ? lf_safetensors_find(st, name) : lf_safetensors_at(st, 0);
    if (!t) fail_msg("%s: no tensor '%s'", path, name);
    float *x = lf_malloc((size_t)t->numel * sizeof *x);
    assert_non_null(x);
    lf_to_f32(x, t->data, t->dtype, t->numel);
    *n = t->numel;
    lf_safetensors_close(st);
    return x;
}

/* One head of a keep's sequence is, tensor by tensor, the head of the run that trained it. */
static void test_head_is_its_run_s(void **state) {
    (void)state;
    static const char head[] = "base_model.model.classifier.weight";
    int64_t n, m;
    float *own = floats("heads-0/task-01-one/adapter/adapter_model.safetensors", head, &n),
          *out = floats("heads-0/after-03-two/heads/one/adapter_model.safetensors", head, &m);
    assert_int_equal(n, m);
    assert_memory_equal(own, out, (size_t)n * sizeof *own);
    lf_free(own);
    lf_free(out);
}

/* One head for tasks of the same classes: none is added, and all tasks are asked from the first on. */
static void test_one_head_of_one_domain(void **state) {
    (void)state;
    must(run("continual tasks.json " SHARED "--between stack --output_dir domains"), 0);
    assert_null(strstr(output, "the head grows"));
    for (int t = 0; t < N_TASKS; t++) {
        cJSON *facts = json_at(text("domains/after-%02d-%s/adapter/lora_ft.json", t + 1, names[t])),
              *scores = json_at(text("domains/task-%02d-%s/scores.json", t + 1, names[t]));
        assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(facts, "id2label")), 3);
        for (int j = 0; j < N_TASKS; j++) assert_true(isfinite(number_in(scores, "scores", names[j])));
        cJSON_Delete(facts);
        cJSON_Delete(scores);
    }
}

static double largest_difference(const char *a, const char *b, double *largest) {
    int64_t n, m;
    float *x = floats(a, NULL, &n), *y = floats(b, NULL, &m);
    double most = 0;
    *largest = 0;
    assert_int_equal(n, m);
    for (int64_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)x[i] - (double)y[i]));
        *largest = fmax(*largest, fabs((double)x[i]));
    }
    lf_free(x);
    lf_free(y);
    return most;
}

/* The old adapters stay: what the third run has trained on the sum of the first two is the sum of all three. */
static void test_stack_adds_up(void **state) {
    (void)state;
    double largest;
    must(run("eval --threads 1 --precision fp32 --model $M --adapter domains/after-03-three/adapter --data one/val "
             "--compare_with none --save_logits sum.safetensors"),
         0);
    must(run("eval --threads 1 --precision fp32 --model domains/after-02-two/model --adapter "
             "domains/task-03-three/adapter "
             "--data one/val --compare_with none --save_logits trained.safetensors"),
         0);
    assert_true(largest_difference("sum.safetensors", "trained.safetensors", &largest) < 1e-5);
    /* each starts from the untouched base: with nothing learned, the second starts as the first */
    must(run("continual tasks.json " SHARED "--lr 0 --between stack --output_dir still"), 0);
    cJSON *first = json_at("still/task-01-one/config.json"), *second = json_at("still/task-02-two/config.json");
    assert_null(cJSON_GetObjectItem(first, "start_from"));
    assert_non_null(cJSON_GetObjectItem(second, "start_from"));
    cJSON_Delete(first);
    cJSON_Delete(second);
}

/* Ten tasks, a base in bf16: the merged model is the base with the one adapter that goes out, to bf16's rounding, after
 * the last as after the first. */
static void test_ten_tasks_in_bf16(void **state) {
    (void)state;
    char list_of[2048] = "", *at = list_of;
    double largest, first = 0;
    must(run("train --model $M --threads 1 --method full --lr 0 --max_steps 1 --train_data one --save_dtype bf16 "
             "--output_dir "
             "rounded"),
         0);
    for (int i = 0; i < 10; i++)
        at += snprintf(at, sizeof list_of - (size_t)(at - list_of),
                       "%s{\"name\": \"t%d\", \"train_data\": \"%s/train\", \"eval_data\": \"%s/val\"}", i ? ", " : "",
                       i, names[i % 3], names[i % 3]);
    must(run("continual --model rounded/model --threads 1 --lr 1e-2 --r 2 --batch_size 4 --max_steps 4 --init "
             "intermediate "
             "--between merge --tasks '[%s]' --output_dir ten",
             list_of),
         0);
    for (int i = 0; i < 10; i += 9) {
        must(run("eval --threads 1 --precision fp32 --model rounded/model --adapter ten/after-%02d-t%d/adapter --data "
                 "one/val "
                 "--compare_with none --save_logits adapter.safetensors",
                 i + 1, i),
             0);
        must(
            run("eval --threads 1 --precision fp32 --model ten/after-%02d-t%d/model --data one/val --compare_with none "
                "--save_logits merged.safetensors",
                i + 1, i),
            0);
        const double off = largest_difference("adapter.safetensors", "merged.safetensors", &largest) / largest;
        print_message("after %d tasks: logits differ by %.2g of the largest\n", i + 1, off);
        assert_true(off > 0 && off < 0.02); /* a weight is rounded to 8 bits: 0.4 %, in two layers and a head */
        if (i == 0) first = off;
        if (i == 9) assert_true(off < 4 * first + 0.004); /* rounded once, not ten times */
    }
    cJSON *config = json_at("ten/after-10-t9/adapter/adapter_config.json");
    assert_true(number_in(config, "r", NULL) == 40); /* ten of rank two, each with its start beside it */
    cJSON_Delete(config);
}

/* Of each class as many, however unequal what there is. */
static void test_balanced_memory(void **state) {
    (void)state;
    static const char *const three[] = {"apple", "bee", "cat"};
    write_folder("uneven/train", three, 3, 4, 40000);
    write_folder("uneven/train", (const char *const[]){"cat"}, 1, 30, 41000); /* more of one */
    write_folder("uneven/val", three, 3, 4, 42000);
    for (int balanced = 0; balanced < 2; balanced++) {
        must(
            run("continual --model $M --threads 1 --r 2 --batch_size 4 --max_steps 2 --between keep --replay_ratio 0.5 "
                "--max_replay_samples 9 --replay_choice %s --tasks '[{\"name\": \"a\", \"train_data\": \"uneven\"}, "
                "{\"name\": "
                "\"b\", \"train_data\": \"two/train\", \"eval_data\": \"two/val\"}]' --output_dir memory-%d",
                balanced ? "balanced" : "random", balanced),
            0);
        said("replay, old examples beside the new ones: 9 examples");
    }
    size_t n, m;
    char *random = contents("memory-0/task-02-b/metrics.jsonl", &n),
         *even = contents("memory-1/task-02-b/metrics.jsonl", &m);
    assert_string_not_equal(random, even); /* which are drawn: tests/unit/test_dataset.c */
    lf_free(random);
    lf_free(even);
}

/* What is overwritten leaves no head behind, which would pass for one of the new sequence; a user's file stays. */
static void test_overwritten_heads_are_gone(void **state) {
    (void)state;
    put("heads-3/after-02-own/mine.txt", "mine");
    assert_true(lf_exists(text("%s/heads-3/after-01-one/heads/one", root)));
    must(run(OTHERS "--between reset --overwrite_output_dir true --output_dir heads-3"), 0);
    assert_false(lf_exists(text("%s/heads-3/after-01-one", root)));
    assert_false(lf_exists(text("%s/heads-3/after-02-own/heads", root)));
    assert_true(lf_exists(text("%s/heads-3/after-02-own/mine.txt", root)));
}

static void test_previous_answers(void **state) {
    (void)state;
    must(run("continual tasks.json " SHARED
             "--between merge --kl_weight 1 --kl_data base --kl_reference previous --output_dir kl"),
         0);
    size_t n;
    char *log = contents("kl/task-02-two/metrics.jsonl", &n);
    assert_non_null(strstr(log, "\"kl\":"));
    lf_free(log);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads_of_each_way),      cmocka_unit_test(test_head_is_its_run_s),
        cmocka_unit_test(test_one_head_of_one_domain), cmocka_unit_test(test_stack_adds_up),
        cmocka_unit_test(test_ten_tasks_in_bf16),      cmocka_unit_test(test_balanced_memory),
        cmocka_unit_test(test_previous_answers),       cmocka_unit_test(test_overwritten_heads_are_gone),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown);
}
