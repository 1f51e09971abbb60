/* Builds agree: the same small trainings by each set of kernels that this processor runs, and by another build of the
 * program where LF_OTHER_BUILD names its folder (scripts/two-builds.sh), end within bounds of the reference. Bytes are
 * the same only on one kind of processor with one build. */
#define _GNU_SOURCE
#include "cli/cli_fixture.h"

#include "base/dtype.h"

static const char *const kernels[] = {"ref", "sse2", "avx2", "avx512"};
enum { N_KERNELS = sizeof kernels / sizeof *kernels, REF = 0 };

/* How far a training's adapter (its root mean square difference, as a share of the adapter's own) and its last loss may
 * be from the reference's: measured on an EPYC of family 25, gcc and clang, times ten. docs/trust.md has the figures.
 */
static const struct trained {
    const char *name, *arguments;
    double adapter, loss;
} trainings[] = {
    {"vit", "train --model $M --train_data data --init_lora_weights intermediate --precision fp32", 1e-5, 2e-5},
    {"vit16", "train --model $M --train_data data --init_lora_weights intermediate --precision bf16", 0.2, 0.1},
    {"lm", "train --model lm/model --train_data texts.jsonl --init_lora_weights kaiming --precision fp32", 1e-5, 2e-5},
    {"lm16", "train --model lm/model --train_data texts.jsonl --init_lora_weights kaiming --precision bf16", 0.2, 0.1},
};
enum { N_TRAININGS = sizeof trainings / sizeof *trainings };

/* false: the processor cannot run these kernels. */
static bool train(const char *build, const char *kernel, const struct trained *t, const char *dir) {
    const int code =
        run_shell(text("{ cd %s && M=%s/golden/vit-base && export LF_KERNELS=%s && %s/lora-ft %s --threads "
                       "2 --r 2 --lr 1e-2 --batch_size 4 --max_steps 8 --logging_steps 1 "
                       "--decomposition_cache none --output_dir %s; } 2>&1",
                       root, LF_TEST_DIR, kernel, build, t->arguments, dir));
    if (code == 2 && strstr(output, "this processor cannot run")) return false;
    must(code, 0);
    return true;
}

static double apart(const char *a, const char *b) {
    lf_safetensors *x = NULL, *y = NULL;
    lf_err err = {0};
    if (lf_safetensors_open(&x, text("%s/%s/adapter/adapter_model.safetensors", root, a), &err) ||
        lf_safetensors_open(&y, text("%s/%s/adapter/adapter_model.safetensors", root, b), &err))
        fail_msg("%s", err.message);
    double difference = 0, all = 0;
    assert_int_equal(lf_safetensors_count(x), lf_safetensors_count(y));
    for (int64_t i = 0; i < lf_safetensors_count(x); i++) {
        const lf_st_tensor *t = lf_safetensors_at(x, i), *u = lf_safetensors_at(y, i);
        assert_string_equal(t->name, u->name);
        assert_int_equal(t->numel, u->numel);
        for (int64_t j = 0; j < t->numel; j++) {
            float p, q;
            lf_to_f32(&p, (const char *)t->data + (size_t)j * lf_dtype_size(t->dtype), t->dtype, 1);
            lf_to_f32(&q, (const char *)u->data + (size_t)j * lf_dtype_size(u->dtype), u->dtype, 1);
            difference += ((double)p - (double)q) * ((double)p - (double)q);
            all += (double)p * (double)p;
        }
    }
    lf_safetensors_close(x);
    lf_safetensors_close(y);
    return sqrt(difference / all);
}

static void compare(const struct trained *t, const char *who, const char *dir, const char *ref) {
    const double adapter = apart(ref, dir), was = last_logged(ref, "loss"), loss = fabs(last_logged(dir, "loss") - was);
    print_message("%-6s %-14s adapter %.2e, loss %.2e\n", t->name, who, adapter, loss / was);
    if (!(adapter <= t->adapter && loss <= t->loss * was))
        fail_msg("%s by %s: the adapter is %g from the reference's, expected at most %g; the loss %g, at most %g",
                 t->name, who, adapter, t->adapter, loss / was, t->loss);
}

static void test_builds_agree(void **state) {
    (void)state;
    const char *other = getenv("LF_OTHER_BUILD");
    int compared = 0;
    for (int i = 0; i < N_TRAININGS; i++) {
        const struct trained *t = &trainings[i];
        char ref[64], dir[64], who[32];
        snprintf(ref, sizeof ref, "%s-%s", t->name, kernels[REF]);
        assert_true(train(LF_BUILD_DIR, kernels[REF], t, ref));
        for (int k = 0; k < N_KERNELS; k++) {
            snprintf(dir, sizeof dir, "%s-%s", t->name, kernels[k]);
            if (k != REF && !train(LF_BUILD_DIR, kernels[k], t, dir)) continue;
            if (k != REF) compare(t, kernels[k], dir, ref);
            snprintf(dir, sizeof dir, "%s-%s-other", t->name, kernels[k]);
            snprintf(who, sizeof who, "other %s", kernels[k]);
            if (other && train(other, kernels[k], t, dir)) compare(t, who, dir, ref);
            compared++;
        }
    }
    assert_true(compared >= 2 * N_TRAININGS); /* sse2 at least */
}

static void write_text(const char *name, const char *content) {
    lf_err err = {0};
    if (lf_file_write(text("%s/%s", root, name), content, strlen(content), &err)) fail_msg("%s", err.message);
}

/* A language model that was trained a little, so that its logits are not all the same. */
static int setup_models(void **state) {
    if (setup(state)) return 1;
    write_text("config.json",
               "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_size\": 32, "
               "\"intermediate_size\": 48, \"num_hidden_layers\": 2, \"num_attention_heads\": 4, "
               "\"num_key_value_heads\": 2, \"vocab_size\": 900, \"hidden_act\": \"silu\", "
               "\"max_position_embeddings\": 96, \"rms_norm_eps\": 1e-5, \"rope_theta\": 10000.0, "
               "\"initializer_range\": 0.2, \"tie_word_embeddings\": true, \"bos_token_id\": 1, \"eos_token_id\": 2}");
    char lines[4096];
    size_t n = 0;
    for (int i = 0; i < 24; i++)
        n += (size_t)snprintf(lines + n, sizeof lines - n, "{\"text\": \"rain falls on hill %d, and %d birds sing\"}\n",
                              i * 7 % 10, i);
    write_text("texts.jsonl", lines);
    must(run("version; mkdir tokenizer; cp %s/golden/tokenizer/llama2.json tokenizer/tokenizer.json", LF_TEST_DIR), 0);
    write_text("tokenizer/tokenizer_config.json",
               "{\"bos_token\": \"<s>\", \"eos_token\": \"</s>\", \"unk_token\": \"<unk>\"}\n");
    must(run("train --init_model config.json --tokenizer tokenizer --method full --train_data texts.jsonl --max_steps "
             "10 "
             "--lr 5e-3 --batch_size 8 --threads 2 --output_dir lm"),
         0);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_builds_agree)};
    return cmocka_run_group_tests(tests, setup_models, teardown);
}
