/* Going on with adapters of picture classifiers: their head, saved beside them, goes on too, with its labels. */
#define _XOPEN_SOURCE 700
#include "cli/cli_fixture.h"

#define TRAIN                                                                                                          \
    "train --model $M --eval_data data/val --threads 1 --batch_size 33 --lr 1e-2 --r 2 --lr_scheduler_type constant "

static const char *const methods[] = {"lora", "head"};

static void test_head_goes_on(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        const char *m = methods[i];
        must(run(TRAIN "--method %s --train_data data/train --optim sgd --momentum 0 --max_steps 6 --output_dir six-%s",
                 m, m),
             0);
        must(run(TRAIN
                 "--method %s --train_data data/train --optim sgd --momentum 0 --max_steps 3 --forgetting_data base "
                 "--output_dir three-%s",
                 m, m),
             0);
        must(run("eval --model $M --adapter three-%s/adapter --data data/val --threads 1 --json > eval.json", m), 0);
        must(run(TRAIN
                 "--method %s --train_data data/train --optim sgd --momentum 0 --max_steps 3 --forgetting_data base "
                 "--continue_from three-%s/adapter --output_dir more-%s",
                 m, m, m),
             0);
        assert_true(result(text("more-%s", m), "eval_accuracy_before") == result(text("three-%s", m), "eval_accuracy"));
        assert_true(result(text("more-%s", m), "base_before") == result(text("three-%s", m), "base_before"));
        assert_true(fabs(result(text("more-%s", m), "eval_loss") - result(text("six-%s", m), "eval_loss")) < 1e-5);
    }
    must(run(TRAIN "--train_data data/train --max_steps 1 --continue_from three-head/adapter --output_dir none"), 2);
    assert_non_null(strstr(output, "holds a head alone, which is gone on with by --method head"));
}

/* The labels are the head's, in its order, however many of them the new data have. */
static void test_labels_are_the_heads(void **state) {
    (void)state;
    lf_err err = {0};
    must(run(TRAIN "--train_data data/train --max_steps 3 --output_dir labelled"), 0);
    static const char *const pairs[][2] = {{"bee", "some/bee"}, {"cat", "some/cat"}};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(lf_mkdir_p(text("%s/%s", root, pairs[i][1]), &err), LF_OK);
        for (int k = 0; k < 3; k++)
            assert_int_equal(lf_copy_file(text("%s/data/train/%s/%02d.ppm", root, pairs[i][0], k),
                                          text("%s/%s", root, pairs[i][1]), text("%d.ppm", k), &err),
                             LF_OK);
    }
    must(run(TRAIN "--train_data some --max_steps 1 --continue_from labelled/adapter --output_dir less"), 0);
    assert_true(result("less", "eval_accuracy_before") == result("labelled", "eval_accuracy"));
    size_t n;
    char *facts = contents("less/adapter/lora_ft.json", &n);
    assert_non_null(strstr(facts, "\"2\": \"cat\""));
    lf_free(facts);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head_goes_on),
        cmocka_unit_test(test_labels_are_the_heads),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
