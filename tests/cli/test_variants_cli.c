/* Adapters with more than factors, as a user meets them: each way of training is stopped and resumed, evaluated, gone
 * on with and merged, and the base under it stays what it was. */
#define _XOPEN_SOURCE 700
#include "cli/lm_cli_fixture.h"

#define TRAIN                                                                                                          \
    "train --model biased/model --train_data train.jsonl --max_seq_length 32 --threads 1 --r 2 --lr 3e-3 "             \
    "--batch_size 4 --logging_steps 2 --save_strategy steps --save_steps 3 "
#define TEXTS "--data plain.txt --max_seq_length 32 --threads 1 --json"

/* What is asked for, and a tensor that the adapter must hold for it; NULL: nothing special. */
static const struct {
    const char *flags, *tensor;
    bool merges;
} ways[] = {
    {"--bias lora_only --target_modules q_proj,up_proj", "model.layers.0.self_attn.q_proj.base_layer.bias", true},
    {"--bias all --target_modules q_proj --init intermediate", "model.layers.1.mlp.down_proj.bias", true},
    {"--loraplus_lr_ratio 8", NULL, true},
    {"--target_modules embed_tokens,lm_head,q_proj", "model.embed_tokens.lora_embedding_A", true},
    {"--target_modules embed_tokens,lm_head --init intermediate --gradient_accumulation_steps 2 --bias lora_only",
     "lm_head.lora_B.weight", true},
    {"--target_modules lm_head --init pissa --gradient_checkpointing true", "lm_head.lora_A.weight", true},
    {"--use_dora true --bias lora_only", "model.layers.0.self_attn.k_proj.lora_magnitude_vector", true},
    {"--modules_to_save embed_tokens,lm_head,norm --target_modules q_proj,up_proj", "lm_head.weight", true},
    {"--modules_to_save lm_head --bias all --target_modules q_proj --init intermediate", "lm_head.weight", true},
    {"--modules_to_save embed_tokens,1.self_attn.k_proj,layers.0.mlp --target_modules q_proj",
     "model.layers.0.mlp.gate_proj.bias", true},
};
enum { WAYS = sizeof ways / sizeof ways[0] };

static int start(void **state) {
    if (setup(state)) return 1;
    char *biased = strdup(config), *at = strstr(biased, "\"tie_word_embeddings\"");
    const size_t front = (size_t)(at - biased);
    put("biased.json", text("%.*s\"attention_bias\": true, \"mlp_bias\": true,\n %s", (int)front, biased, at));
    free(biased);
    must("train --init_model biased.json --tokenizer tokenizer --method full --train_data train.jsonl --max_steps 40 "
         "--lr 5e-3 --batch_size 8 --threads 1 --output_dir biased",
         0);
    return 0;
}

static double loss_of(const char *arguments) {
    cJSON *o = json_of(arguments);
    const double loss = number(o, "eval_loss");
    cJSON_Delete(o);
    return loss;
}

static void test_resumed_equals_straight(void **state) {
    (void)state;
    lf_err err = {0};
    for (int i = 0; i < WAYS; i++) {
        const char *args =
            text(TRAIN "--max_steps 7 %s %s", strstr(ways[i].flags, "dora") ? "" : "--lora_dropout 0.1", ways[i].flags);
        must(text("%s --output_dir straight%d", args, i), 0);
        must(text("%s --output_dir cut%d", args, i), 0);
        assert_int_equal(lf_remove_tree(text("%s/cut%d/checkpoint-6", root, i), &err), LF_OK);
        assert_int_equal(lf_remove_tree(text("%s/cut%d/checkpoint-7", root, i), &err), LF_OK);
        assert_int_equal(lf_remove_tree(text("%s/cut%d/all_results.json", root, i), &err), LF_OK);
        must(text("%s --output_dir cut%d --resume_from_checkpoint true", args, i), 0);
        assert_non_null(strstr(output, "step 3 of 7"));
        same_files(text("straight%d/adapter/adapter_model.safetensors", i),
                   text("cut%d/adapter/adapter_model.safetensors", i));
        same_files(text("straight%d/metrics.jsonl", i), text("cut%d/metrics.jsonl", i));
    }
}

static void check_tensor(const char *dir, const char *name) {
    lf_safetensors *st = NULL;
    lf_err err = {0};
    if (lf_safetensors_open(&st, text("%s/%s/adapter/adapter_model.safetensors", root, dir), &err))
        fail_msg("%s", err.message);
    if (!lf_safetensors_find(st, text("base_model.model.%s", name))) fail_msg("%s has no '%s'", dir, name);
    lf_safetensors_close(st);
}

static void test_files_and_base(void **state) {
    (void)state;
    const double base = loss_of("eval --model biased/model " TEXTS);
    for (int i = 0; i < WAYS; i++) {
        must(text(TRAIN "--max_steps 6 %s --forgetting_data plain.txt --eval_data plain.txt --output_dir way%d",
                  ways[i].flags, i),
             0);
        if (ways[i].tensor) check_tensor(text("way%d", i), ways[i].tensor);
        cJSON *r = results(text("way%d", i));
        near(log(number(r, "base_before")), base, 1e-6);
        const double tuned = number(r, "eval_loss");
        assert_true(fabs(tuned - base) > 1e-3 && number(r, "base_kl") > 1e-6);
        near(log(number(r, "base_after")), tuned, 1e-6); /* the same texts */
        const double found = loss_of(text("eval --model biased/model --adapter way%d/adapter " TEXTS, i));
        near(found, tuned, 1e-6);
        /* kl of the adapter beside the base, from the file: the base is shown as it was */
        cJSON *e = json_of(text("eval --model biased/model --adapter way%d/adapter --forgetting_data plain.txt "
                                "--max_seq_length 32 --threads 1 --json",
                                i));
        near(number(e, "base_kl"), number(r, "base_kl"), 1e-6 * number(r, "base_kl"));
        near(log(number(e, "base_before")), base, 1e-6);
        cJSON_Delete(e);
        cJSON_Delete(r);
        if (!ways[i].merges) continue;
        must(text("merge --model biased/model --adapter way%d/adapter -o merged%d --save_dtype fp32", i, i), 0);
        near(loss_of(text("eval --model merged%d " TEXTS, i)), found, 1e-5);
    }
}

/* Going on begins where the adapter is. */
static void test_going_on(void **state) {
    (void)state;
    for (int i = 0; i < WAYS; i++) {
        const char *to = text("go%d", i);
        must(
            text(
                "train --model biased/model --train_data train.jsonl --max_seq_length 32 --threads 1 --lr 1e-9 "
                "--batch_size 4 --max_steps 1 --continue_from straight%d/adapter --eval_data plain.txt --output_dir %s",
                i, to),
            0);
        cJSON *r = results(to);
        near(number(r, "eval_loss"), loss_of(text("eval --model biased/model --adapter straight%d/adapter " TEXTS, i)),
             1e-5);
        cJSON_Delete(r);
        if (ways[i].tensor) check_tensor(to, ways[i].tensor);
    }
}

/* Are the embedding and the output layer all that has an adapter? */
static bool is_of_ends(const char *flags) { return strstr(flags, "lm_head") && !strstr(flags, "q_proj"); }

/* What is not measured is left out of the results, and said. */
static void test_update_ratio_is_left_out(void **state) {
    (void)state;
    for (int i = 0; i < WAYS; i++) {
        const bool dora = strstr(ways[i].flags, "dora") != NULL,
                   ends = strstr(ways[i].flags, "--target_modules") == ways[i].flags && is_of_ends(ways[i].flags);
        const char *args = text("eval --model biased/model --adapter straight%d/adapter --data plain.txt "
                                "--max_seq_length 32 --threads 1",
                                i);
        must(args, 0);
        assert_int_equal(strstr(output, "update_ratio is not measured with use_dora") != NULL, dora);
        assert_int_equal(strstr(output, "update_ratio is not measured on an embedding") != NULL, ends);
        cJSON *o = json_of(text("%s --json", args));
        assert_int_equal(cJSON_GetObjectItemCaseSensitive(o, "update_ratio") == NULL, dora || ends);
        cJSON_Delete(o);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_resumed_equals_straight),
                                       cmocka_unit_test(test_update_ratio_is_left_out),
                                       cmocka_unit_test(test_files_and_base), cmocka_unit_test(test_going_on)};
    return cmocka_run_group_tests(tests, start, teardown);
}
