/* Training goes on with an adapter that is there: exactly from where it was, with its settings, against the untouched
 * base; and what contradicts it is refused by name. */
#define _XOPEN_SOURCE 700
#include "cli/lm_cli_fixture.h"

/* All documents in each step, so that the order of the epochs is no difference; nothing of a step but the weights. */
#define PLAIN                                                                                                          \
    "train --model pre/model --train_data train.jsonl --max_seq_length 40 --threads 1 --lr 2e-2 --optim sgd "          \
    "--momentum 0 --lr_scheduler_type constant --batch_size 24 --logging_steps 1 "

static cJSON *read_json(const char *path) {
    cJSON *o;
    lf_err err = {0};
    if (lf_json_read(&o, text("%s/%s", root, path), &err)) fail_msg("%s", err.message);
    return o;
}

static double logged(const char *dir, const char *key, int n) {
    char *lines;
    size_t size;
    lf_err err = {0};
    if (lf_file_read(&lines, &size, text("%s/%s/metrics.jsonl", root, dir), &err)) fail_msg("%s", err.message);
    const char *at = lines;
    for (int i = 0; at && i <= n; i++)
        if ((at = strstr(at, text("\"%s\":", key)))) at += strlen(key) + 3;
    const double value = at ? strtod(at, NULL) : NAN;
    lf_free(lines);
    return value;
}

/* Six steps are three and three more: every kind of adapter that training writes, a slice too, whose 2r factors are
 * others than those that were trained: its first loss is the same, its way is not. */
static const struct {
    const char *name, *flags;
    bool plain;
} kinds[] = {
    {"kaiming", "--r 2", true},
    {"rslora", "--r 4 --use_rslora true --lora_alpha 6", true},
    {"patterns", "--r 2 --rank_pattern '{\"q_proj\": 3}' --alpha_pattern '{\"up_proj\": 5}'", true},
    {"some", "--r 2 --target_modules v_proj,down_proj --layers_to_transform 1", true},
    {"regex", "--r 2 --target_modules '.*layers.0.*_proj'", true},
    {"slice", "--r 2 --init intermediate", false},
    {"slice-patterns", "--r 2 --init pissa --rank_pattern '{\"q_proj\": 3}'", false},
};

static void test_three_and_three_are_six(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const char *name = kinds[i].name, *flags = kinds[i].flags;
        must(text(PLAIN "%s --max_steps 6 --output_dir six-%s", flags, name), 0);
        must(text(PLAIN "%s --max_steps 3 --output_dir three-%s", flags, name), 0);
        must(text(PLAIN "--max_steps 3 --continue_from three-%s/adapter --output_dir more-%s", name, name), 0);
        near(logged(text("more-%s", name), "loss", 0), logged(text("six-%s", name), "loss", 3), 1e-5);
        for (int step = 0; step < 3 && kinds[i].plain; step++)
            near(logged(text("more-%s", name), "loss", step), logged(text("six-%s", name), "loss", 3 + step), 1e-5);
        if (kinds[i].plain) assert_true(distance(text("six-%s", name), text("more-%s", name)) < 2e-5);
        /* written again as it came, but for the numbers */
        cJSON *a = read_json(text("three-%s/adapter/adapter_config.json", name)),
              *b = read_json(text("more-%s/adapter/adapter_config.json", name));
        static const char *const keys[] = {
            "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "target_modules"};
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
            bool same;
            assert_true(lf_json_same(&same, cJSON_GetObjectItem(a, keys[k]), cJSON_GetObjectItem(b, keys[k])));
            if (!same) fail_msg("%s: '%s' is another", name, keys[k]);
        }
        cJSON_Delete(a);
        cJSON_Delete(b);
    }
    must(PLAIN "--max_steps 1 --continue_from three-slice/adapter --output_dir said", 0);
    assert_non_null(strstr(output, "a plain LoRA of twice the rank"));
}

/* Step 0 is the adapter, and forgetting is that of the base. */
static void test_step_0_is_the_adapter(void **state) {
    (void)state;
    must(PLAIN "--r 2 --init intermediate --max_steps 3 --output_dir first", 0);
    must(PLAIN "--max_steps 2 --eval_data eval.jsonl --forgetting_data plain.txt --continue_from first/adapter "
               "--output_dir second",
         0);
    cJSON *r = results("second"),
          *e = json_of("eval --model pre/model --adapter first/adapter --data eval.jsonl --forgetting_data plain.txt "
                       "--max_seq_length 40 --threads 1 --json");
    near(number(r, "eval_perplexity_before"), number(e, "eval_perplexity"), 1e-12);
    near(number(r, "base_before"), number(e, "base_before"), 1e-12);
    near(logged("second", "base_kl", 0), number(e, "base_kl"), 1e-12);
    assert_true(number(e, "base_kl") > 0);
    const cJSON *start = cJSON_GetObjectItem(r, "start");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(start, "name")), "continued");
    cJSON *settings = read_json("second/config.json"), *facts = read_json("second/adapter/lora_ft.json");
    near(number(settings, "r"), 4, 0); /* the slice as it was written */
    const char *hash = cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetObjectItem(facts, "run"), "continued_from"));
    assert_true(hash && strlen(hash) == 32);
    cJSON_Delete(settings);
    cJSON_Delete(facts);
    cJSON_Delete(r);
    cJSON_Delete(e);
    /* the resolved configuration is the same run */
    must("train second/config.json --output_dir again --resume_from_checkpoint false", 0);
    same_files("second/adapter/adapter_model.safetensors", "again/adapter/adapter_model.safetensors");
    must(PLAIN "--max_steps 2 --continue_from first/adapter --output_dir printed --print_config > printed.json", 0);
    must("train printed.json --dry_run", 0); /* also the one that says nothing of the adapter, of rank 4 */
    /* and going on is going on: not one step back to the base */
    must(PLAIN "--max_steps 2 --adapter second/adapter --output_dir third", 0);
}

#define CUT                                                                                                            \
    "train --model pre/model --train_data train.jsonl --max_seq_length 40 --threads 1 --lr 3e-3 --lora_dropout 0.1 "   \
    "--batch_size 4 --max_steps 7 --save_strategy steps --save_steps 3 --continue_from from/adapter "

static void test_resumed_equals_straight(void **state) {
    (void)state;
    lf_err err = {0};
    must(PLAIN "--r 3 --max_steps 2 --output_dir from", 0);
    must(PLAIN "--r 3 --max_steps 3 --output_dir other", 0);
    must(CUT "--output_dir straight", 0);
    must(CUT "--output_dir cut", 0);
    assert_int_equal(lf_remove_tree(text("%s/cut/checkpoint-6", root), &err), LF_OK);
    assert_int_equal(lf_remove_tree(text("%s/cut/checkpoint-7", root), &err), LF_OK);
    assert_int_equal(lf_remove_tree(text("%s/cut/all_results.json", root), &err), LF_OK);
    must(CUT "--output_dir cut --resume_from_checkpoint true", 0);
    assert_non_null(strstr(output, "step 3 of 7"));
    same_files("straight/adapter/adapter_model.safetensors", "cut/adapter/adapter_model.safetensors");
    must(CUT "--output_dir cut --resume_from_checkpoint true", 0); /* finished */
    assert_non_null(strstr(output, "nothing to resume"));
    /* another adapter under the same path is another run, whether the old one is finished or not */
    assert_int_equal(lf_remove_tree(text("%s/from", root), &err), LF_OK);
    assert_int_equal(rename(text("%s/other", root), text("%s/from", root)), 0);
    must(CUT "--output_dir straight --resume_from_checkpoint true", 2);
    assert_non_null(strstr(output, "'continue_from' hold other bytes"));
    must(CUT "--output_dir cut --resume_from_checkpoint cut/checkpoint-3", 2);
    assert_non_null(strstr(output, "'continue_from' hold other bytes"));
}

/* The adapter of `base`, of which adapter_config.json says another thing. */
static void write_config(const char *dir, const char *key, const char *value) {
    lf_err err = {0};
    cJSON *o = read_json("base/adapter/adapter_config.json");
    cJSON_DeleteItemFromObject(o, key);
    cJSON_AddItemToObject(o, key, cJSON_Parse(value));
    assert_int_equal(lf_mkdir_p(text("%s/%s", root, dir), &err), LF_OK);
    assert_int_equal(lf_copy_file(text("%s/base/adapter/adapter_model.safetensors", root), text("%s/%s", root, dir),
                                  "adapter_model.safetensors", &err),
                     LF_OK);
    assert_int_equal(lf_json_write(text("%s/%s/adapter_config.json", root, dir), o, false, &err), LF_OK);
    cJSON_Delete(o);
}

static void test_contradictions_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *flags, *says;
        int code;
    } cases[] = {
        {"--continue_from base/adapter --r 4", "key 'r' (on the command line): expected 3", 2},
        {"--continue_from base/adapter --lora_alpha 16", "key 'lora_alpha' (on the command line): expected 8", 2},
        {"--continue_from base/adapter --use_rslora true", "key 'use_rslora' (on the command line): expected false", 2},
        {"--continue_from base/adapter --target_modules q_proj", "does not select 'model.layers.0.mlp.down_proj'", 2},
        {"--continue_from base/adapter --exclude_modules k_proj", "does not select", 2},
        {"--continue_from some/adapter --target_modules all-linear", "has no tensors", 2},
        {"--continue_from base/adapter --rank_pattern '{\"k_proj\": 2}'", "would have rank 2, and has 3", 2},
        {"--continue_from base/adapter --alpha_pattern '{\"k_proj\": 2}'", "would have lora_alpha 2, and has 8", 2},
        {"--continue_from base/adapter --init pissa", "a new start beside a frozen adapter is not in this version", 2},
        {"--continue_from base/adapter --method full", "by --method lora, found 'full'", 2},
        {"--continue_from base/adapter --method head", "by --method lora, found 'head'", 2},
        {"--continue_from nowhere", "nowhere: no such adapter folder", 3},
        {"--continue_from dora", "expected a lora_magnitude_vector", 3},
        {"--continue_from base/adapter --use_dora true", "key 'use_dora' (on the command line): expected false", 2},
        {"--continue_from base/adapter --bias all", "key 'bias' (on the command line): expected \"none\"", 2},
        {"--continue_from unwritten", "\"pissa\" subtracts its start", 3},
        {"--continue_from base/adapter --output_dir base --overwrite_output_dir", "would write over its own", 2},
        {"--continue_from " LF_TEST_DIR "/golden/variants/lm-qwen2-saved_tied", "key 'ensure_weight_tying' is true", 2},
        {"--continue_from " LF_TEST_DIR "/golden/variants/lm-llama3-ends_tied", "key 'ensure_weight_tying' is true", 2},
    };
    must(PLAIN "--r 3 --max_steps 1 --output_dir base", 0);
    must(PLAIN "--r 3 --max_steps 1 --target_modules q_proj --output_dir some", 0);
    write_config("dora", "use_dora", "true");
    write_config("unwritten", "init_lora_weights", "\"pissa\"");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        must(text("train --model pre/model --train_data train.jsonl --max_steps 1 --threads 1 --output_dir none%zu %s",
                  i, cases[i].flags),
             cases[i].code);
        if (!strstr(output, cases[i].says)) fail_msg("'%s' said: %s", cases[i].flags, output);
    }
    /* what says the same is no contradiction, and dropout is the training's own */
    must(PLAIN "--continue_from base/adapter --r 3 --lora_alpha 8 --target_modules all-linear --init true "
               "--lora_dropout 0.1 --max_steps 1 --output_dir same",
         0);
}

static void test_a_sweep_goes_on_with_an_adapter(void **state) {
    (void)state;
    must(PLAIN "--r 3 --max_steps 1 --output_dir origin", 0);
    static const char sweep[] =
        "sweep --model pre/model --train_data train.jsonl --max_seq_length 40 --max_steps 2 --threads 1 "
        "--continue_from origin/adapter --sweep '{\"learning_rate\": [1e-3, 2e-3]}' --output_dir swept";
    must(sweep, 0);
    must(sweep, 0); /* all are there, and the same */
    assert_true(lf_is_file(text("%s/swept/runs/learning_rate=0.001/all_results.json", root)));
    must("sweep --model pre/model --train_data train.jsonl --continue_from origin/adapter --sweep '{\"r\": [3, 4]}' "
         "--output_dir refused",
         2);
    assert_non_null(strstr(output, "point r=4: key 'r' (in the sweep): expected 3"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_and_three_are_six),         cmocka_unit_test(test_step_0_is_the_adapter),
        cmocka_unit_test(test_resumed_equals_straight),         cmocka_unit_test(test_contradictions_are_refused),
        cmocka_unit_test(test_a_sweep_goes_on_with_an_adapter),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
