/* Pictures with several classes each: trained on, judged by, forgotten, predicted, merged and shown. */
#define _XOPEN_SOURCE 700
#include "cli/cli_fixture.h"

#define TRAIN "train --threads 1 --batch_size 16 --lr 2e-2 --r 4 --lr_scheduler_type constant --seed 3 "

static const char *const colours[] = {"red", "green", "blue"};

/* Bright in the colours of `mask`, dark in the others. */
static void write_colours(const char *path, int mask, uint64_t stream) {
    const lf_rng_key key = lf_rng_make(9, LF_RNG_TEST, stream);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs("P6\n16 16\n255\n", f);
    for (int i = 0; i < 16 * 16 * 3; i++)
        fputc((mask >> i % 3 & 1 ? 190 : 30) + (int)lf_rng_below(key, (uint64_t)i, 24), f);
    fclose(f);
}

/* The classes of a mask as a list in JSON. */
static const char *list_of(int mask) {
    char *out = text("["); /* of `text`'s buffers */
    for (int c = 0; c < 3; c++)
        if (mask >> c & 1) out = text("%s%s\"%s\"", out, out[1] ? ", " : "", colours[c]);
    return text("%s]", out);
}

/* The same pictures with their labels in lists, and in columns of 0 and 1. */
static void write_several(const char *name, int n, uint64_t stream) {
    lf_err err = {0};
    assert_int_equal(lf_mkdir_p(text("%s/%s", root, name), &err), LF_OK);
    assert_int_equal(lf_mkdir_p(text("%s/%s-columns", root, name), &err), LF_OK);
    FILE *lists = fopen(text("%s/%s/metadata.jsonl", root, name), "w"),
         *columns = fopen(text("%s/%s-columns/metadata.csv", root, name), "w");
    assert_true(lists && columns);
    fputs("file_name,blue,green,red\n", columns);
    for (int i = 0; i < n; i++) {
        const int mask = i % 8;
        write_colours(text("%s/%s/%02d.ppm", root, name, i), mask, stream + (uint64_t)i);
        write_colours(text("%s/%s-columns/%02d.ppm", root, name, i), mask, stream + (uint64_t)i);
        fprintf(lists, "{\"file_name\": \"%02d.ppm\", \"labels\": %s}\n", i, list_of(mask));
        fprintf(columns, "%02d.ppm,%d,%d,%d\n", i, mask >> 2 & 1, mask >> 1 & 1, mask & 1);
    }
    fclose(lists);
    fclose(columns);
}

static int setup_several(void **state) {
    if (setup(state)) return 1;
    write_several("many", 48, 0);
    write_several("other", 16, 500);
    must(run(TRAIN "--model $M --train_data many --eval_data other --forgetting_data base --max_steps 30 "
                   "--output_dir several"),
         0);
    return 0;
}

/* A number of the JSON that the last command printed. */
static double printed(const char *key) {
    const char *at = strstr(output, text("\"%s\": ", key));
    assert_non_null(at);
    return strtod(strchr(at, ':') + 1, NULL);
}

static void test_results(void **state) {
    (void)state;
    size_t n;
    assert_true(result("several", "eval_f1_micro") > 0.9 && result("several", "eval_f1_macro") > 0.9);
    assert_true(result("several", "eval_accuracy") > 0.7 && result("several", "eval_auc") > 0.95);
    assert_true(result("several", "base_before") >= 0 && result("several", "base_kl") > 0);
    char *all = contents("several/all_results.json", &n), *facts = contents("several/adapter/lora_ft.json", &n),
         *table = contents("several/confusion.csv", &n), *page = contents("several/report.html", &n);
    assert_null(strstr(all, "top5"));
    assert_non_null(strstr(facts, "\"problem_type\": \"multi_label_classification\""));
    assert_non_null(strstr(table, "label,samples,said,right,precision,recall,f1\nblue,8,"));
    assert_non_null(strstr(page, "How well each class is told"));
    lf_free(all);
    lf_free(facts);
    lf_free(table);
    lf_free(page);
}

/* Lists and columns are the same data, in the same order of classes; sums of a window are those of its parts. */
static void test_same_data(void **state) {
    (void)state;
    must(run(TRAIN "--model $M --eval_data other --max_steps 5 --logging_steps 1 --output_dir columns --train_data "
                   "'{\"path\": \"many-columns\", \"label_columns\": [\"blue\", \"green\", \"red\"]}'"),
         0);
    must(run(TRAIN "--model $M --train_data many --eval_data other --max_steps 5 --logging_steps 1 --batch_size 8 "
                   "--gradient_accumulation_steps 2 --output_dir lists"),
         0);
    for (int i = 0; i < 5; i++) assert_true(fabs(logged_loss("columns", i) - logged_loss("lists", i)) < 1e-5);
}

static void test_eval_and_predict(void **state) {
    (void)state;
    must(run("eval --model $M --adapter several/adapter --data other --threads 1 --confusion_file told.csv --json"), 0);
    said("\"eval_classes\": [{\"label\": \"blue\", \"samples\": 8, ");
    assert_true(printed("eval_f1_micro") == result("several", "eval_f1_micro"));
    same_files("told.csv", "several/confusion.csv");
    must(run("predict --model $M --adapter several/adapter --data other --threads 1 --output csv 2>/dev/null"), 0);
    said("file,label,probability,label_2,probability_2,label_3,probability_3,labels,true_labels,right\n");
    said("\"[\"\"blue\"\", \"\"green\"\", \"\"red\"\"]\",true\n"); /* the eighth */
    said(",[],true\n");                                            /* the first: of no class */
    must(run("predict --model $M --adapter several/adapter --data other --threads 1 --top_k 1 2>/dev/null"), 0);
    said("\"labels\": [\"blue\", \"green\", \"red\"], \"true_labels\": [\"blue\", \"green\", \"red\"], \"right\": "
         "true}");
    must(run("predict --model $M --adapter several/adapter --data base --threads 1 --top_k 1 2>/dev/null"), 0);
    assert_null(strstr(output, "true_labels")); /* folders of other names */
    /* where it is said where the labels are, they are read, and are classes that the model knows */
    must(run("predict --model $M --adapter several/adapter --data '{\"path\": \"other-columns\", \"label_columns\": "
             "[\"blue\", \"green\", \"red\"]}' --threads 1 --top_k 1 2>/dev/null"),
         0);
    said("\"true_labels\": [\"blue\", \"green\", \"red\"], \"right\": true}");
    must(run("predict --model $M --adapter several/adapter --data '{\"path\": \"other-columns\", \"label_columns\": "
             "[\"blue\", \"red\"]}' --threads 1 --top_k 1 2>/dev/null"),
         0);
    must(run("predict --model $M --adapter several/adapter --data '{\"path\": \"other-columns\", \"label_field\": "
             "\"colour\"}' --threads 1"),
         3);
    said("'label_field' is 'colour'");
}

/* What is merged is a classifier of several labels, as transformers has it; its head is the base of the next run. */
static void test_merged(void **state) {
    (void)state;
    size_t n;
    must(run("merge --model $M --adapter several/adapter --output_dir merged --threads 1"), 0);
    char *config = contents("merged/config.json", &n);
    assert_non_null(strstr(config, "\"problem_type\": \"multi_label_classification\""));
    lf_free(config);
    must(run(TRAIN "--model merged --train_data data/train --eval_data data/val --forgetting_data other --max_steps 3 "
                   "--output_dir next"),
         0);
    assert_true(fabs(result("next", "base_before") - result("several", "eval_accuracy")) < 1e-9);
    assert_true(result("next", "base_kl") > 0 && result("next", "eval_accuracy") > 0);
    config = contents("next/adapter/lora_ft.json", &n);
    assert_null(strstr(config, "problem_type")); /* the new head has one class each */
    lf_free(config);
    must(run("eval --model merged --adapter next/adapter --data data/val --threads 1 --json"), 0);
    assert_true(printed("eval_accuracy") == result("next", "eval_accuracy"));
    must(run("merge --model merged --adapter next/adapter --output_dir again --threads 1"), 0);
    config = contents("again/config.json", &n);
    assert_non_null(strstr(config, "\"problem_type\": \"single_label_classification\""));
    lf_free(config);
    must(
        run(TRAIN "--model merged --train_data many --reuse_head true --eval_data other --max_steps 1 --output_dir on"),
        0);
    assert_true(result("on", "eval_accuracy_before") == result("next", "base_before"));
}

static void test_refused(void **state) {
    (void)state;
    must(run(TRAIN "--model several/none --train_data many --max_steps 1 --output_dir no"), 3);
    must(run(TRAIN "--model $M --train_data many --problem_type single_label --max_steps 1 --output_dir no"), 3);
    said("line 1: expected one label (problem_type single_label_classification), found an empty list");
    must(run(TRAIN "--model $M --train_data data/train --problem_type regression --max_steps 1 --output_dir no"), 2);
    said("problem_type");
    must(run(TRAIN "--model $M --train_data many --reuse_head true --max_steps 1 --output_dir no"), 3);
    must(run(TRAIN "--model $M --train_data base --problem_type multi_label --reuse_head true --max_steps 1 "
                   "--output_dir no"),
         3);
    said("the head that stays has 5 labels for single_label_classification");
}

static void test_preview(void **state) {
    (void)state;
    must(run("preview --model $M --train_data many --output_dir shown --json 2>/dev/null"), 0);
    said("\"label\": [\"blue\", \"green\", \"red\"]");
    said("\"classes\": {\"blue\": 24, \"green\": 24, \"red\": 24}");
    said("\"problem_type\": \"multi_label_classification\"");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results), cmocka_unit_test(test_same_data), cmocka_unit_test(test_eval_and_predict),
        cmocka_unit_test(test_merged),  cmocka_unit_test(test_refused),   cmocka_unit_test(test_preview),
    };
    return cmocka_run_group_tests(tests, setup_several, teardown);
}
