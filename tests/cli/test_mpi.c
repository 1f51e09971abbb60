/* lora-ft-mpi under mpirun: any number of ranks makes the files that the program makes alone, to the byte. Processors
 * are shared by more ranks than there are, so nothing here says how fast it is. LF_TEST_LONG=1 asks for all cases. */
#define _GNU_SOURCE
#include "cli/held_fixture.h"

#define MPIRUN   "mpirun --bind-to none -np %d " LF_BUILD_DIR "/lora-ft-mpi "
#define PICTURES "train --model $M --train_data data --forgetting_data base --threads 1 "
#define NOISY                                                                                                          \
    "--lora_dropout 0.2 --augmentation random_resized_crop_flip --init_lora_weights intermediate --r 4 "               \
    "--per_device_train_batch_size 2 --gradient_accumulation_steps 5 --learning_rate 5e-3 --logging_steps 2 "          \
    "--replay_data base --replay_ratio 0.2 --l2_to_base 0.01 --kl_data base --kl_weight 0.5 "
#define STEPS "--max_steps 6 --save_strategy steps --save_steps 3 "

/* In the test's folder, $M the model of pictures; `ranks` 0: the program alone. */
__attribute__((format(printf, 2, 3))) static int run_on(int ranks, const char *format, ...) {
    char arguments[3000], program[300], command[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(arguments, sizeof arguments, format, args);
    va_end(args);
    if (ranks)
        snprintf(program, sizeof program, MPIRUN, ranks);
    else
        snprintf(program, sizeof program, "%s/lora-ft ", LF_BUILD_DIR);
    snprintf(command, sizeof command, "{ cd %s && M=%s/golden/vit-base && %s %s; } 2>&1", root, LF_TEST_DIR, program,
             arguments);
    return run_shell(command);
}

static bool is_long(void) { return getenv("LF_TEST_LONG") != NULL; }

/* dir of what `ranks` ranks made: "on3". */
static void same_run(const char *dir, int ranks) {
    static const char *const files[] = {"adapter/adapter_model.safetensors", "metrics.jsonl",
                                        "checkpoint-6/state.safetensors", "confusion.csv"};
    static const char *const figures[] = {"eval_accuracy", "eval_loss", "base_after", "forgetting", "update_ratio"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        same_files(text("plain/%s", files[i]), text("%s%d/%s", dir, ranks, files[i]));
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        if (result("plain", figures[i]) != result(text("%s%d", dir, ranks), figures[i]))
            fail_msg("%s of plain and %s%d", figures[i], dir, ranks);
}

static void test_pictures(void **state) {
    (void)state;
    static const int ranks[] = {3, 1, 2, 4, 7}; /* 7: more than micro-batches */
    must(run_on(0, PICTURES NOISY STEPS "--output_dir plain"), 0);
    for (size_t i = 0; i < (is_long() ? sizeof ranks / sizeof *ranks : 1); i++) {
        must(run_on(ranks[i], PICTURES NOISY STEPS "--output_dir on%d", ranks[i]), 0);
        same_run("on", ranks[i]);
        if (lf_is_file(text("%s/on%d/error.json", root, ranks[i]))) fail_msg("an error.json");
    }
    assert_true(lf_is_file(text("%s/on3/report.html", root)));
}

/* Begun by 3 (4), gone on with by 2, and by the program alone. */
static void test_another_number_goes_on(void **state) {
    (void)state;
    const int begun = is_long() ? 4 : 3;
    for (int ranks = is_long() ? 0 : 2; ranks <= 2; ranks += 2) {
        assert_int_equal(system(text("cd %s && mkdir cut%d && cp -r on%d/checkpoint-3 on%d/metrics.jsonl cut%d/", root,
                                     ranks, begun, begun, ranks)),
                         0);
        must(run_on(ranks, PICTURES NOISY STEPS "--output_dir cut%d --resume_from_checkpoint true", ranks), 0);
        said("step 3 of 6");
        same_run("cut", ranks);
    }
}

/* What one configuration cannot mean on several ranks, and a verb that is no work for them. */
static void test_refused(void **state) {
    (void)state;
    must(run_on(2, "train --model $M --train_data data " NOISY "--max_steps 1 --output_dir refused"), 2);
    said("results depend on it, so with 2 ranks say how many each of them has");
    must(run_on(2, "train --model $M --train_data data " NOISY "--threads 0 --max_steps 1 --output_dir refused"), 2);
    said("results depend on it, so with 2 ranks say how many each of them has"); /* 0 is each machine's own number */
    if (is_long()) {
        must(run_on(2, "predict --model $M --data data/val"), 2);
        said("predict runs in one process alone, and there are 2");
        must(run_on(2, PICTURES "--max_steps 1 --output_dir plain"), 2);
        said("is not empty");
    }
    assert_false(lf_is_dir(text("%s/refused", root)));
}

/* How many pictures a run of `ranks` says that it left out, which it says once. */
static long long left_out(int ranks) {
    static const char words[] = " pictures could not be read and were left out";
    must(run_on(ranks,
                "train --model $M --train_data torn --threads 1 --r 4 --per_device_train_batch_size 1 "
                "--gradient_accumulation_steps 3 --max_steps 6 --logging_steps 1 --check_images off "
                "--skip_bad_images true --output_dir torn%d",
                ranks),
         0);
    const char *at = strstr(output, words);
    if (!at || strstr(at + 1, words)) fail_msg("'N%s' is not there once in:\n%s", words, output);
    while (at > output && at[-1] >= '0' && at[-1] <= '9') at--;
    return atoll(at);
}

/* Batches of nothing but a picture that cannot be read have their place in a step, whoever's they are. */
static void test_damaged_pictures(void **state) {
    (void)state;
    assert_int_equal(system(text("cd %s && cp -r data torn && for f in torn/train/*/?[05].ppm; do truncate -s 300 $f; "
                                 "done",
                                 root)),
                     0);
    const long long alone = left_out(0);
    assert_true(alone > 1 && left_out(3) == alone);
    same_files("torn0/adapter/adapter_model.safetensors", "torn3/adapter/adapter_model.safetensors");
    same_files("torn0/metrics.jsonl", "torn3/metrics.jsonl");
}

/* Ranks but the first write what they read back into a folder of their own: that there is none is known before the
 * first step, and told once. */
static void test_no_temporary_folder(void **state) {
    (void)state;
    static const char program[] = LF_BUILD_DIR "/lora-ft-mpi " PICTURES "--max_steps 2 --output_dir nowhere";
    must(run_shell(text("{ cd %s && M=%s/golden/vit-base && mpirun --bind-to none -np 1 %s : -np 1 env TMPDIR=/nowhere "
                        "%s; } 2>&1",
                        root, LF_TEST_DIR, program, program)),
         1);
    said("lora-ft train: rank 1 (");
    const char *at = strstr(output, "set TMPDIR to a folder that can be written into");
    assert_true(at && !strstr(at + 1, "set TMPDIR"));
    assert_false(lf_is_dir(text("%s/nowhere/checkpoint-2", root)));
}

/* ---- with LF_TEST_LONG ---- */

static void test_text(void **state) {
    (void)state;
    static const char *const sentences[] = {"the cat sat on the mat", "a dog", "rain falls on the hill", "yes"};
    if (!is_long()) skip();
    FILE *f = fopen(text("%s/train.jsonl", root), "w");
    assert_non_null(f);
    for (int i = 0; i < 48; i++)
        fprintf(f, "{\"text\": \"%s %d\", \"label\": \"%c\"}\n", sentences[i % 4], i, "ab"[i % 3 == 0]);
    fclose(f);
    lf_err err = {0};
    static const char config[] =
        "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_size\": 32, "
        "\"intermediate_size\": 48, \"num_hidden_layers\": 2, \"num_attention_heads\": 4, \"vocab_size\": 900, "
        "\"hidden_act\": \"silu\", \"max_position_embeddings\": 96, \"rms_norm_eps\": 1e-5, "
        "\"tie_word_embeddings\": true, \"bos_token_id\": 1, \"eos_token_id\": 2}\n";
    if (lf_file_write(text("%s/config.json", root), config, sizeof config - 1, &err) ||
        lf_mkdir_p(text("%s/tokenizer", root), &err) ||
        lf_copy_file(LF_TEST_DIR "/golden/tokenizer/llama2.json", text("%s/tokenizer", root), "tokenizer.json", &err))
        fail_msg("%s", err.message);
    must(run_on(0, "train --init_model config.json --tokenizer tokenizer --method full --train_data train.jsonl "
                   "--threads 1 --max_steps 3 --output_dir pre"),
         0);
    static const char *const kinds[] = {
        "--model pre/model --packing --init_lora_weights pissa",
        "--model pre/model --task_type SEQ_CLS --bias lora_only",
        "--init_model config.json --tokenizer tokenizer --method full --group_by_length",
    };
    static const char *const weights[] = {"adapter/adapter_model", "adapter/adapter_model", "model/model"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char keys[600];
        snprintf(keys, sizeof keys,
                 "train %s --train_data train.jsonl --eval_data train.jsonl --forgetting_data train.jsonl --threads 1 "
                 "--lora_dropout 0.1 --batch_size 1 --gradient_accumulation_steps 3 --max_seq_length 24 --max_steps 6 "
                 "--save_strategy steps --save_steps 3",
                 kinds[i]);
        must(run_on(0, "%s --output_dir text%zu", keys, i), 0);
        for (int ranks = 2; ranks <= 4; ranks++) {
            must(run_on(ranks, "%s --output_dir text%zu-%d", keys, i, ranks), 0);
            same_files(text("text%zu/%s.safetensors", i, weights[i]),
                       text("text%zu-%d/%s.safetensors", i, ranks, weights[i]));
            same_files(text("text%zu/metrics.jsonl", i), text("text%zu-%d/metrics.jsonl", i, ranks));
        }
    }
}

static void test_eval(void **state) {
    (void)state;
    if (!is_long()) skip();
    static const char *const figures[] = {"eval_accuracy", "eval_loss", "base_before", "base_after", "update_ratio"};
    cJSON *alone = NULL;
    for (int ranks = 0; ranks <= 3; ranks++) {
        must(
            run_on(ranks,
                   "eval --model $M --adapter plain/adapter --data data/test --forgetting_data base --threads 1 --json "
                   "--per_device_eval_batch_size 3 --save_predictions said%d.jsonl --save_logits logits%d.safetensors "
                   "--confusion_file confusion%d.csv 2>/dev/null",
                   ranks, ranks, ranks),
            0);
        cJSON *o = cJSON_Parse(output);
        if (!o) fail_msg("no JSON: %s", output);
        for (size_t i = 0; alone && i < sizeof figures / sizeof *figures; i++)
            assert_true(cJSON_GetObjectItem(o, figures[i])->valuedouble ==
                        cJSON_GetObjectItem(alone, figures[i])->valuedouble);
        if (alone) {
            same_files("said0.jsonl", text("said%d.jsonl", ranks));
            same_files("logits0.safetensors", text("logits%d.safetensors", ranks));
            same_files("confusion0.csv", text("confusion%d.csv", ranks));
            cJSON_Delete(o);
        } else {
            alone = o;
        }
    }
    cJSON_Delete(alone);
}

/* ---- signals ---- */

/* The process of a rank below mpirun, by what its environment says. */
static pid_t process_of(pid_t mpirun, int rank) {
    pid_t pids[64];
    char wanted[40];
    snprintf(wanted, sizeof wanted, "OMPI_COMM_WORLD_RANK=%d", rank);
    const int n = children_of(mpirun, pids, 64);
    for (int i = 0; i < n; i++) {
        static char environment[1 << 16];
        FILE *f = fopen(text("/proc/%d/environ", (int)pids[i]), "r");
        const size_t size = f ? fread(environment, 1, sizeof environment - 1, f) : 0;
        if (f) fclose(f);
        environment[size] = 0;
        for (size_t at = 0; at < size; at += strlen(environment + at) + 1)
            if (strcmp(environment + at, wanted) == 0) return pids[i];
    }
    fail_msg("mpirun has no rank %d", rank);
    return -1;
}

/* A run without an end, in the background; it has written a checkpoint of that step. */
static pid_t start_long_run(int ranks, const char *dir, const char *keys, long long step) {
    int waited = 0;
    const pid_t pid = fork();
    if (!pid) {
        if (chdir(root)) _exit(99);
        execl("/bin/sh", "sh", "-c",
              text("M=%s/golden/vit-base; exec mpirun --bind-to none -np %d %s/lora-ft-mpi " PICTURES NOISY
                   "--lr_scheduler_type constant --max_steps 1000000 --eval_strategy no --save_strategy steps "
                   "--save_steps 5 --output_dir %s %s >%s.said 2>&1",
                   LF_TEST_DIR, ranks, LF_BUILD_DIR, dir, keys, dir),
              (char *)NULL);
        _exit(99);
    }
    while (!lf_is_dir(text("%s/%s/checkpoint-%lld", root, dir, step))) {
        wait_a_moment(&waited);
        if (a_child_has_ended()) fail_msg("the run has ended: %s", contents(text("%s.said", dir), &(size_t){0}));
    }
    return pid;
}

static long long last_checkpoint(const char *dir) {
    char **names;
    size_t n;
    long long last = -1;
    lf_err err = {0};
    assert_int_equal(lf_list_dir(&names, &n, text("%s/%s", root, dir), &err), LF_OK);
    for (size_t i = 0; i < n; i++) {
        long long step;
        char behind;
        if (sscanf(names[i], "checkpoint-%lld%c", &step, &behind) == 1 && step > last) last = step;
    }
    lf_free(names);
    return last;
}

/* The program alone has the same state there. */
static void is_what_one_alone_has(const char *dir, long long step) {
    must(run_on(0,
                PICTURES NOISY "--lr_scheduler_type constant --max_steps %lld --eval_strategy no --save_strategy steps "
                               "--save_steps %lld --output_dir alone-%s-%lld",
                step, step, dir, step),
         0);
    same_files(text("%s/checkpoint-%lld/state.safetensors", dir, step),
               text("alone-%s-%lld/checkpoint-%lld/state.safetensors", dir, step, step));
}

static void interrupt_and_compare(pid_t mpirun, int rank, const char *dir) {
    size_t n;
    assert_int_equal(kill(process_of(mpirun, rank), SIGINT), 0);
    assert_int_equal(code_of(mpirun), 130);
    char *log = contents(text("%s.said", dir), &n);
    const char *at = strstr(log, "interrupted after step ");
    if (!at) fail_msg("it said:\n%s", log);
    const long long step = atoll(at + strlen("interrupted after step "));
    lf_free(log);
    assert_int_equal(last_checkpoint(dir), step);
    is_what_one_alone_has(dir, step);
}

/* A signal at any rank stops all of them at one step, with a checkpoint. */
static void test_a_signal_at_one_rank_stops_all(void **state) {
    (void)state;
    if (!is_long()) skip();
    interrupt_and_compare(start_long_run(3, "stopped", "", 5), 2, "stopped");
}

/* A rank that dies takes the run with it, which says so, and goes on from its last checkpoint, on fewer ranks. */
static void test_a_killed_rank(void **state) {
    (void)state;
    size_t n;
    if (!is_long()) skip();
    const pid_t mpirun = start_long_run(3, "killed", "", 5);
    assert_int_equal(kill(process_of(mpirun, 1), SIGKILL), 0);
    assert_int_not_equal(code_of(mpirun), 0);
    char *log = contents("killed.said", &n);
    if (!strstr(log, "signal 9") || !strstr(log, "rank 1")) fail_msg("it said:\n%s", log);
    lf_free(log);
    const long long step = last_checkpoint("killed"), next = step - step % 5 + 5;
    interrupt_and_compare(start_long_run(2, "killed", "--resume_from_checkpoint true", next), 1, "killed");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pictures),
        cmocka_unit_test(test_another_number_goes_on),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_damaged_pictures),
        cmocka_unit_test(test_no_temporary_folder),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_eval),
        cmocka_unit_test(test_a_signal_at_one_rank_stops_all),
        cmocka_unit_test(test_a_killed_rank),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
