/* What earlier versions wrote (tests/golden/versions, scripts/make-golden-version.sh): their adapters, checkpoints and
 * caches are read by today's program, or refused with a line that says what they are. */
#define _GNU_SOURCE
#include "cli/cli_fixture.h"

#define VERSIONS LF_TEST_DIR "/golden/versions"

static void shell(const char *command) {
    if (run_shell(text("cd %s && { %s; } 2>&1", root, command))) fail_msg("%s: %s", command, output);
}

/* Either it is read, or it is refused: with exit code 3, and a line that names it. */
static bool is_read(int code, const char *name) {
    if (code == 0) return true;
    must(code, 3);
    said("lora-ft");
    said(name);
    return false;
}

static void look_at_adapter(const char *version) {
    if (!is_read(run("eval --model model --adapter adapter --data data --json 2>/dev/null"), "adapter")) return;
    must(run("verify adapter --model model"), 0);
    said("adapter: the base is that of the training");
    said("adapter: adapter: is whole");
    print_message("%s: the adapter is read\n", version);
}

/* A result of the same solver on the same kind of processor is found; else it is computed, and stands beside the old.
 */
static int count_results(void) {
    must(run_shell(text("ls %s/cache | grep -c block", root)), 0);
    return atoi(output);
}

/* It goes on, and ends as the run of that version ended: to the last digits, which are the processor's. */
static void go_on(const char *version) {
    const int results = count_results();
    const int code =
        run("train --model model --train_data data --r 1 --init_lora_weights intermediate --target_modules "
            "q_proj --layers_to_transform 0 --per_device_train_batch_size 4 --learning_rate 1e-2 "
            "--max_steps 4 --save_strategy steps --save_steps 2 --threads 1 --decomposition_cache cache "
            "--output_dir begun --resume_from_checkpoint true");
    if (!is_read(code, "begun/checkpoint-2")) return;
    said("resumed from begun/checkpoint-2");
    lf_safetensors *a = NULL, *b = NULL;
    lf_err err = {0};
    if (lf_safetensors_open(&a, text("%s/begun/adapter/adapter_model.safetensors", root), &err) ||
        lf_safetensors_open(&b, text("%s/adapter/adapter_model.safetensors", root), &err))
        fail_msg("%s", err.message);
    assert_int_equal(lf_safetensors_count(a), lf_safetensors_count(b));
    for (int64_t i = 0; i < lf_safetensors_count(a); i++) {
        const lf_st_tensor *t = lf_safetensors_at(a, i), *u = lf_safetensors_at(b, i);
        assert_string_equal(t->name, u->name);
        for (int64_t j = 0; j < t->numel; j++) {
            float x, y;
            memcpy(&x, (const char *)t->data + (size_t)j * sizeof x, sizeof x);
            memcpy(&y, (const char *)u->data + (size_t)j * sizeof y, sizeof y);
            if (!(fabs((double)x - (double)y) <= 1e-4 * fmax(1, fabs((double)y))))
                fail_msg("%s: %s[%lld] is %g, and was %g", version, t->name, (long long)j, (double)x, (double)y);
        }
    }
    lf_safetensors_close(a);
    lf_safetensors_close(b);
    print_message("%s: the checkpoint is read; of the cache %d results, now %d\n", version, results, count_results());
}

static void test_every_version(void **state) {
    (void)state;
    char **names;
    size_t n;
    lf_err err = {0};
    if (lf_list_dir(&names, &n, VERSIONS, &err)) fail_msg("%s", err.message);
    assert_true(n > 0);
    for (size_t i = 0; i < n; i++) {
        shell(text("rm -rf data begun cache adapter model && cp -r " VERSIONS "/%s/* . && cp -r " LF_TEST_DIR
                   "/golden/vit-base model",
                   names[i]));
        look_at_adapter(names[i]);
        must(run("verify begun"), 0);
        must(run("inspect cache begun begun/checkpoint-2 adapter"), 0);
        said("cache: a cache");
        go_on(names[i]);
    }
    lf_free(names);
}

/* Results that are kept are taken by their identity: the cache of this version on this processor is used, not filled
 * again. */
static void test_a_cache_is_used(void **state) {
    (void)state;
    const char *train =
        "train --model $M --train_data data --r 1 --init_lora_weights intermediate --target_modules q_proj "
        "--max_steps 1 --decomposition_cache used --threads 1 --output_dir";
    must(run("%s one", train), 0);
    shell("ls -l --time-style=full-iso used > before");
    must(run("%s two", train), 0);
    shell("ls -l --time-style=full-iso used > after && cmp before after");
    same_files("one/adapter/adapter_model.safetensors", "two/adapter/adapter_model.safetensors");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_version),
        cmocka_unit_test(test_a_cache_is_used),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
