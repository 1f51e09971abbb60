/* prefix_cache as a user meets it: what frozen layers make of texts and of pictures is kept, and not a byte of a run
 * changes; where it cannot be, a line says why. */
#define _XOPEN_SOURCE 700
#include "cli/lm_cli_fixture.h"

#define TRAIN                                                                                                          \
    "train --threads 1 --r 2 --lr 3e-3 --logging_steps 2 --save_strategy steps --save_steps 4 --eval_strategy no "
#define TEXT TRAIN "--model pre/model --max_seq_length 32 --batch_size 3 --max_steps 21 "
#define LAST "--target_modules q_proj,v_proj --layers_to_transform [1] "
#define PICTURES                                                                                                       \
    TRAIN "--model " LF_TEST_DIR                                                                                       \
          "/golden/vit-base --train_data pictures --batch_size 5 --max_steps 9 --lora_dropout 0.2 "
#define KEPT "what they make of an example is kept"

static const char *const ways[] = {
    TEXT LAST "--train_data train.jsonl --packing true --lora_dropout 0.2 --gradient_accumulation_steps 2",
    TEXT LAST "--train_data train.jsonl --packing true --gradient_checkpointing true --lora_dropout 0.1",
    TEXT LAST "--train_data plain.txt --bias lora_only",
    TEXT LAST "--train_data plain.txt --use_dora true --modules_to_save 1.mlp.gate_proj",
    PICTURES LAST,
    PICTURES "--method head",
    PICTURES LAST "--precision bf16 --init intermediate",
};
enum { WAYS = sizeof ways / sizeof *ways };

static void write_picture(int class, int i) {
    FILE *f = fopen(text("%s/pictures/%c/%d.ppm", root, 'a' + class, i), "wb");
    assert_non_null(f);
    fputs("P6\n16 16\n255\n", f);
    for (int at = 0; at < 16 * 16 * 3; at++) fputc(class ? (at * 7 + i * 13) % 200 : (at / 48 * 11 + i * 29) % 256, f);
    fclose(f);
}

static int start(void **state) {
    lf_err err = {0};
    if (setup(state)) return 1;
    for (int class = 0; class < 2; class ++) {
        if (lf_mkdir_p(text("%s/pictures/%c", root, 'a' + class), &err)) return 1;
        for (int i = 0; i < 7; i++) write_picture(class, i);
    }
    return 0;
}

static void same_run(const char *a, const char *b) {
    same_files(text("%s/adapter/adapter_model.safetensors", a), text("%s/adapter/adapter_model.safetensors", b));
    same_files(text("%s/metrics.jsonl", a), text("%s/metrics.jsonl", b));
}

static void test_same_bytes(void **state) {
    (void)state;
    lf_err err = {0};
    for (int i = 0; i < WAYS; i++) {
        must(text("%s --prefix_cache off --output_dir off%d", ways[i], i), 0);
        assert_null(strstr(output, KEPT));
        must(text("%s --prefix_cache memory --output_dir memory%d", ways[i], i), 0);
        assert_non_null(strstr(output, KEPT));
        same_run(text("off%d", i), text("memory%d", i));
        must(text("%s --prefix_cache disk --output_dir disk%d", ways[i], i), 0);
        assert_non_null(strstr(output, "in a temporary file"));
        same_run(text("off%d", i), text("disk%d", i));
        for (int step = 8; step <= 24; step += 4)
            (void)lf_remove_tree(text("%s/disk%d/checkpoint-%d", root, i, step), &err);
        (void)lf_remove_tree(text("%s/disk%d/checkpoint-%d", root, i, i < 4 ? 21 : 9), &err);
        assert_int_equal(lf_remove_tree(text("%s/disk%d/all_results.json", root, i), &err), LF_OK);
        must(text("%s --output_dir disk%d --resume_from_checkpoint true", ways[i], i), 0);
        assert_non_null(strstr(output, "step 4 of"));
        assert_non_null(strstr(output, KEPT)); /* auto, from what a run that goes on sees again */
        same_run(text("off%d", i), text("disk%d", i));
    }
}

/* As the default it is silent, or a line of the log; asked for, it is an error. */
static void test_where_it_cannot_be(void **state) {
    (void)state;
    static const struct {
        const char *args, *why;
        bool said; /* by auto too */
    } cases[] = {
        {TEXT "--train_data train.jsonl", "no layer before the first that is trained is frozen", false},
        {TEXT "--train_data train.jsonl --target_modules embed_tokens,lm_head", "no layer before", false},
        {TEXT LAST "--train_data train.jsonl", "texts that are not packed", false},
        {TEXT LAST "--train_data plain.txt --prefix_cache_mb 0.001", "and prefix_cache_mb is 0", true},
        {TEXT LAST "--train_data plain.txt --max_steps 2", "one epoch at most", false},
        {PICTURES LAST "--augmentation flip", "augmentation makes another picture", false},
        {"train --threads 1 --model dropping/model --max_seq_length 32 --batch_size 3 --max_steps 21 " LAST
         "--train_data plain.txt",
         "asks for dropout in the frozen layers", true},
    };
    char *drops = strdup(config), *at = strstr(drops, "\"rms_norm_eps\"");
    put("drops.json", text("%.*s\"attention_dropout\": 0.1, %s", (int)(at - drops), drops, at));
    free(drops);
    must("train --init_model drops.json --tokenizer tokenizer --method full --train_data train.jsonl --max_steps 1 "
         "--threads 1 --output_dir dropping",
         0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        must(text("%s --prefix_cache memory --output_dir never --overwrite_output_dir true", cases[i].args), 2);
        if (!strstr(output, cases[i].why)) fail_msg("expected '%s' in: %s", cases[i].why, output);
        assert_non_null(strstr(output, "'prefix_cache'"));
        must(text("%s --output_dir without --overwrite_output_dir true", cases[i].args), 0);
        assert_null(strstr(output, KEPT));
        if ((strstr(output, cases[i].why) != NULL) != cases[i].said) fail_msg("%s: %s", cases[i].args, output);
    }
}

/* A file that cannot be made is a clear end. */
static void test_no_room_on_disk(void **state) {
    (void)state;
    setenv("TMPDIR", "/nowhere", 1);
    must(TEXT LAST "--train_data plain.txt --prefix_cache disk --output_dir nowhere", 1);
    unsetenv("TMPDIR");
    assert_non_null(strstr(output, "set TMPDIR to a folder with room"));
}

/* Before it is run: the memory is counted, and later epochs are quicker. */
static void test_dry_run(void **state) {
    (void)state;
    cJSON *o = json_of(TEXT LAST "--train_data plain.txt --dry_run --json --output_dir dry");
    const cJSON *estimate = cJSON_GetObjectItemCaseSensitive(o, "estimate");
    assert_true(number(estimate, "peak_mb") > 0 && number(estimate, "train_seconds") > 0);
    cJSON_Delete(o);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_where_it_cannot_be),
        cmocka_unit_test(test_no_room_on_disk),
        cmocka_unit_test(test_dry_run),
    };
    return cmocka_run_group_tests(tests, start, teardown);
}
