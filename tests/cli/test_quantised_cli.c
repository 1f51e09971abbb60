/* Training on a quantised base (frozen_precision) as a user runs it: the final figures are of the untouched base, a run
 * that was cut goes on to the same bytes, and what cannot be combined is said. */
#define _XOPEN_SOURCE 700
#include "cli/lm_cli_fixture.h"

#define TUNE                                                                                                           \
    "train --model pre/model --train_data plain.txt --eval_data eval.jsonl --forgetting_data train.jsonl "             \
    "--max_seq_length 24 --threads 1 --r 2 --init pissa --lr 3e-3 --batch_size 4 --max_steps 6 "                       \
    "--save_strategy steps --save_steps 3 --target_modules all-linear "

static void test_final_figures_are_of_the_untouched_base(void **state) {
    (void)state;
    static const struct {
        const char *format;
        double kl; /* at most */
    } formats[] = {{"int8", 0.02}, {"nf4", 1}};
    must(TUNE "--output_dir exact", 0);
    cJSON *exact = results("exact");
    assert_null(cJSON_GetObjectItemCaseSensitive(exact, "quantised_kl"));
    for (int i = 0; i < 2; i++) {
        must(text(TUNE "--frozen_precision %s --output_dir %s", formats[i].format, formats[i].format), 0);
        assert_non_null(strstr(output, "KL of the quantised base"));
        cJSON *r = results(formats[i].format);
        /* what was before is of the same base to the last bit, although nothing in training saw it */
        assert_true(number(r, "base_before") == number(exact, "base_before"));
        assert_true(number(r, "eval_perplexity_before") == number(exact, "eval_perplexity_before"));
        assert_true(number(r, "quantised_base") != number(r, "base_before"));
        near(number(r, "quantised_base") / number(r, "base_before"), 1, i ? 1 : 0.05);
        assert_true(number(r, "quantised_kl") > 0 && number(r, "quantised_kl") < formats[i].kl);
        const cJSON *made = cJSON_GetObjectItemCaseSensitive(r, "made");
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(made, "frozen_precision")),
                            formats[i].format);
        /* what `eval` says of the adapter that was written is what the run said */
        cJSON *e = json_of(text("eval --model pre/model --adapter %s/adapter --data eval.jsonl --forgetting_data "
                                "train.jsonl --max_seq_length 24 --threads 1 --json",
                                formats[i].format));
        static const char *const keys[] = {"eval_perplexity", "base_before", "base_after", "base_kl", "update_ratio"};
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) near(number(e, keys[k]), number(r, keys[k]), 1e-12);
        cJSON_Delete(e);
        cJSON_Delete(r);
    }
    cJSON_Delete(exact);
    assert_true(distance("exact", "int8") > 0); /* it was another base that they trained on */
    must("report --run int8", 0);
    char *page;
    size_t n;
    lf_err err = {0};
    assert_int_equal(lf_file_read(&page, &n, text("%s/int8/report.html", root), &err), LF_OK);
    assert_non_null(strstr(page, "KL of the quantised base"));
    assert_non_null(strstr(page, "frozen weights in int8"));
    lf_free(page);
}

/* The untouched base is the same whether its weights are mapped, copied, or converted: what is let go in the end is
 * pages of a file alone, not memory of the program's own (the fixture's table and output layer are one). */
static void test_end_on_copies(void **state) {
    (void)state;
    must("merge --model pre/model --adapter exact/adapter --save_dtype bf16 -o half", 0);
    static const struct {
        const char *model, *more;
    } cases[] = {{"pre/model", "--weights copy"}, {"half", "--weights map"}, {"half", "--weights copy"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        must(text(TUNE "--model %s --output_dir whole%d", cases[i].model, (int)i), 0);
        must(text(TUNE "--model %s %s --frozen_precision int8 --output_dir copied%d", cases[i].model, cases[i].more,
                  (int)i),
             0);
        cJSON *exact = results(text("whole%d", (int)i)), *r = results(text("copied%d", (int)i));
        assert_true(number(r, "base_before") == number(exact, "base_before"));
        cJSON *e = json_of(text("eval --model %s --adapter copied%d/adapter --data eval.jsonl --forgetting_data "
                                "train.jsonl --max_seq_length 24 --threads 1 --json",
                                cases[i].model, (int)i));
        near(number(e, "eval_perplexity"), number(r, "eval_perplexity"), 1e-12);
        near(number(e, "base_after"), number(r, "base_after"), 1e-12);
        cJSON_Delete(exact), cJSON_Delete(r), cJSON_Delete(e);
    }
}

static void test_resumed_equals_straight(void **state) {
    (void)state;
    lf_err err = {0};
    must(TUNE "--frozen_precision int8 --lora_dropout 0.2 --output_dir straight", 0);
    must(TUNE "--frozen_precision int8 --lora_dropout 0.2 --output_dir cut", 0);
    assert_int_equal(lf_remove_tree(text("%s/cut/checkpoint-6", root), &err), LF_OK);
    assert_int_equal(lf_remove_tree(text("%s/cut/all_results.json", root), &err), LF_OK);
    must(TUNE "--lora_dropout 0.2 --output_dir cut --resume_from_checkpoint true", 2);
    assert_non_null(strstr(output, "frozen_precision"));
    must(TUNE "--frozen_precision int8 --lora_dropout 0.2 --output_dir cut --resume_from_checkpoint true", 0);
    assert_non_null(strstr(output, "step 3 of 6"));
    same_files("straight/adapter/adapter_model.safetensors", "cut/adapter/adapter_model.safetensors");
    same_files("straight/metrics.jsonl", "cut/metrics.jsonl");
}

static void test_bench(void **state) {
    (void)state;
    must("bench --model pre/model --frozen_precision int8 --batch 2 --seq 16 --r 2 --steps 1 --warmup 0 --json", 0);
    must("bench --model pre/model --frozen_precision nf4 --batch 2 --seq 16 --r 2 --steps 1 --warmup 0 --json", 0);
}

static void test_what_cannot_be_combined(void **state) {
    (void)state;
    static const struct {
        const char *arguments, *said;
    } mistakes[] = {{"--method full", "method full"},
                    {"--init kaiming --use_dora true", "use_dora"},
                    {"--modules_to_save q_proj", "'model.layers.0.self_attn.q_proj' would be trained whole"},
                    {"--frozen_precision int4", "int8"}};
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        must(text(TUNE "--frozen_precision int8 %s --output_dir never", mistakes[i].arguments), 2);
        if (!strstr(output, mistakes[i].said) || !strstr(output, "frozen_precision"))
            fail_msg("%s: it said\n%s", mistakes[i].arguments, output);
    }
    /* what is not quantised may be trained beside the adapter */
    must(TUNE "--frozen_precision int8 --init kaiming --target_modules q_proj,v_proj --modules_to_save lm_head "
              "--output_dir beside",
         0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_final_figures_are_of_the_untouched_base),
                                       cmocka_unit_test(test_end_on_copies),
                                       cmocka_unit_test(test_resumed_equals_straight), cmocka_unit_test(test_bench),
                                       cmocka_unit_test(test_what_cannot_be_combined)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
