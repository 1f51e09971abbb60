/* What is judged by a head that nobody trains: CLIP's and SigLIP's by a file of texts, DeiT's with a teacher by the
 * average of two; before and after training. */
#define _XOPEN_SOURCE 700
#include "cli/cli_fixture.h"

#define GOLDEN(name) LF_TEST_DIR "/golden/" name
#define TEXTS(name)  "--class_embeddings " GOLDEN(name) "/class_embeddings.safetensors "

static const char *const models[] = {"zero-clip", "zero-siglip"};

static int setup_zero(void **state) {
    static const char *const names[] = {"ant", "bee", "cat", "dog", "eel"};
    if (setup(state)) return 1;
    write_folder("known", names, 5, 3, 5000);
    return 0;
}

static double printed(const char *key) {
    const char *at = strstr(output, text("\"%s\": ", key));
    assert_non_null(at);
    return strtod(strchr(at, ':') + 1, NULL);
}

static void test_forgetting(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        char m[1024];
        snprintf(m, sizeof m,
                 "--model %s/golden/%s --class_embeddings %s/golden/%s/class_embeddings.safetensors --threads 1",
                 LF_TEST_DIR, models[i], LF_TEST_DIR, models[i]);
        must(run("eval %s --data known --json ", m), 0); /* the classes are those of the texts */
        const double accuracy = printed("eval_accuracy"), loss = printed("eval_loss");
        must(
            run("train %s --train_data data/train --eval_data data/val --forgetting_data known --max_steps 8 --lr 2e-2 "
                "--batch_size 11 --output_dir %s",
                m, models[i]),
            0);
        assert_true(fabs(result(models[i], "base_before") - accuracy) < 1e-9);
        assert_true(fabs(result(models[i], "base_loss_before") - loss) < 1e-5);
        assert_true(result(models[i], "base_kl") > 1e-4);
        /* what was written, read again, is what was measured; its new head is judged on the new task */
        must(run("eval %s --adapter %s/adapter --data data/val --forgetting_data known --json 2>/dev/null", m,
                 models[i]),
             0);
        assert_true(fabs(printed("base_after") - result(models[i], "base_after")) < 1e-9);
        assert_true(fabs(printed("base_kl") - result(models[i], "base_kl")) < 1e-6);
        assert_true(fabs(printed("eval_accuracy") - result(models[i], "eval_accuracy")) < 1e-9);
        must(run("predict %s --data known --top_k 2 ", m), 0);
        said("\"true_label\": \"ant\"");
        must(run("train %s --method full --train_data data/train --forgetting_data known --max_steps 2 --lr 1e-3 "
                 "--batch_size 11 --output_dir full-%s",
                 m, models[i]),
             0);
        assert_true(fabs(result(text("full-%s", models[i]), "base_before") - accuracy) < 1e-9);
        assert_true(result(text("full-%s", models[i]), "base_kl") > 0);
    }
}

/* DeiT with a teacher has two heads, whose average is what the base says. */
static void test_teacher(void **state) {
    (void)state;
    static const char *const methods[] = {"lora", "full"};
    must(run("eval --model " GOLDEN("deit-teacher") " --data base --threads 1 --json 2>/dev/null"), 0);
    const double accuracy = printed("eval_accuracy");
    for (int i = 0; i < 2; i++) {
        must(run("train --model " GOLDEN(
                     "deit-teacher") " --method %s --train_data data/train --forgetting_data base "
                                     "--max_steps 3 --lr 1e-3 --batch_size 11 --threads 1 --output_dir teacher-%s",
                 methods[i], methods[i]),
             0);
        said("its two heads, of which transformers trains neither, are averaged");
        assert_true(fabs(result(text("teacher-%s", methods[i]), "base_before") - accuracy) < 1e-9);
        assert_true(result(text("teacher-%s", methods[i]), "base_kl") > 0);
    }
}

static void test_refused(void **state) {
    (void)state;
    must(run("train --model $M " TEXTS("zero-clip") "--train_data data/train --max_steps 1 --output_dir no"), 3);
    said("a model of type 'vit'");
    must(run("train --model " GOLDEN(
             "zero-clip") " --class_embeddings no.safetensors --train_data data/train --max_steps 1 "
                          "--output_dir no"),
         3);
    must(run("eval --model " GOLDEN("zero-clip") " " TEXTS("zero-clip") "--data data/val --threads 1"), 3);
    said("are not among the 5 expected ones");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forgetting), cmocka_unit_test(test_teacher),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, setup_zero, teardown);
}
