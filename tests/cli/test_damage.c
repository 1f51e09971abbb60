/* Pictures that cannot be read: found before the first step, once; and what one that is met later leaves behind. And a
 * model whose files do not stay what they were. */
#define _GNU_SOURCE
#include "cli/held_fixture.h"

#define TRAIN "train --model $M --threads 2 --r 2 --per_device_train_batch_size 1 "

static void shell(const char *command) {
    if (system(text("cd %s && { %s; }", root, command))) fail_msg("%s", command);
}

static void says(const char *words) {
    if (!strstr(output, words)) fail_msg("it does not say '%s' but:\n%s", words, output);
}

static void says_not(const char *words) {
    if (strstr(output, words)) fail_msg("it says '%s':\n%s", words, output);
}

/* Every role, several ways of being damaged, each way of looking. */
static void test_damage_is_found_before_the_first_step(void **state) {
    (void)state;
    static const struct {
        const char *make, *arguments, *says;
    } cases[] = {
        {"cp -r data d1 && echo text > d1/train/bee/x.jpg", "--train_data d1",
         "d1/train: 1 of 34 pictures cannot be read: 'd1/train/bee/x.jpg'; the first of them: d1/train/bee/x.jpg: not "
         "a "
         "picture that can be decoded: it does not begin like one of"},
        {"cp -r data d2 && head -c 200 data/val/bee/00.ppm > d2/val/cat/00.ppm", "--train_data d2",
         "d2/val: 1 of 15 pictures cannot be read: 'd2/val/cat/00.ppm'"},
        {"cp -r data d3 && : > d3/test/cat/00.ppm", "--train_data d3", "d3/test: 1 of 12 pictures cannot be read"},
        {"cp -r base b4 && echo P6 > b4/LABEL_3/00.ppm && cp b4/LABEL_3/00.ppm b4/LABEL_1",
         "--train_data data --forgetting_data b4",
         "b4: 2 of 20 pictures cannot be read: 'b4/LABEL_1/00.ppm', 'b4/LABEL_3/00.ppm'; the first of them: "
         "b4/LABEL_1/00.ppm: not a picture that can be decoded: the PNM header is damaged; set skip_bad_images"},
        {"cp -r data/val v5 && printf 'P3 1 1 9 1 2 x' > v5/bee/y.ppm", "--train_data data --eval_data v5",
         "v5: 1 of 16 pictures cannot be read: 'v5/bee/y.ppm'"},
        {"cp -r data d6 && head -c 100 data/train/bee/00.ppm > d6/train/cat/y.ppm",
         "--train_data d6 --check_images headers", "d6/train: 1 of 34 pictures cannot be read: 'd6/train/cat/y.ppm'"},
        {"cp -r data d7 && head -c 100 data/train/bee/00.ppm > d7/train/cat/y.ppm",
         "--train_data d7 --train_val_split 0.2 --dataloader_num_workers 7",
         "d7/train: 1 of 34 pictures cannot be read"},
        {"cp -r data d8 && echo text > d8/train/bee/x.jpg", "--train_data d8 --dry_run", "d8/train: 1 of 34 pictures"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        shell(cases[i].make);
        must(run(TRAIN "--max_steps 3 --output_dir early%d %s", (int)i, cases[i].arguments), 3);
        says(cases[i].says);
        says("; set skip_bad_images to leave such files out");
        assert_false(lf_is_dir(text("%s/early%d", root, (int)i)));
        must(run(TRAIN "--max_steps 3 --output_dir left%d %s --skip_bad_images", (int)i, cases[i].arguments), 0);
        says("cannot be read and are left out: '");
    }
}

/* What was found is taken for the same bytes, and for no others. */
static void test_pictures_are_checked_once(void **state) {
    (void)state;
    static const char look[] = "check pictures: ";
    shell("cp -r data once && cp -r once/train twice");
    must(run(TRAIN "--train_data once --max_steps 2 --output_dir a"), 0);
    says("check pictures: 33 of 33 can be read");
    must(run(TRAIN "--train_data once --max_steps 4 --output_dir a --resume_from_checkpoint true"), 0);
    says_not(look);
    must(run(TRAIN "--train_data once --max_steps 2 --output_dir a --overwrite_output_dir"), 0);
    says_not(look);
    must(run(TRAIN "--train_data once --max_steps 2 --output_dir b --check_cache seen"), 0);
    says(look);
    must(run(TRAIN "--train_data once --max_steps 2 --output_dir c --check_cache seen"), 0);
    says_not(look);
    must(run(TRAIN "--train_data twice --max_steps 2 --output_dir d --check_cache seen --train_val_split 0.2"), 0);
    says_not(look); /* the same bytes under another name, and parts of what was looked at whole */
    must(run(TRAIN "--train_data once --max_steps 2 --output_dir e --check_cache seen --check_images headers"), 0);
    says(look);
    must(run(TRAIN "--train_data once --max_steps 2 --output_dir f --check_cache seen --max_train_samples 20"), 0);
    says("check pictures: 20 of 20 can be read");
    must(run(TRAIN "--train_data once --max_steps 2 --output_dir g --check_images off"), 0);
    says_not(look);
    shell("echo text > once/train/bee/00.ppm");
    must(run(TRAIN "--train_data once --max_steps 2 --output_dir h --check_cache seen"), 3);
    says("1 of 33 pictures cannot be read");
    must(run(TRAIN "--train_data once --max_steps 2 --output_dir i --check_cache seen --skip_bad_images"), 0);
    says(look);
    must(run(TRAIN "--train_data once --max_steps 2 --output_dir j --check_cache seen --skip_bad_images"), 0);
    says_not(look);
    says("1 of 33 pictures cannot be read and are left out: 'once/train/bee/00.ppm'");
    must(run(TRAIN "--train_data once --max_steps 2 --output_dir k --check_cache seen"),
         3); /* that mark is none here */
    shell("find seen -name checked.json | while read f; do echo '{' > $f; done");
    must(run(TRAIN "--train_data twice --max_steps 2 --output_dir l --check_cache seen"), 0);
    says(look);
}

static void test_a_sweep_checks_once(void **state) {
    (void)state;
    must(run("sweep --model $M --train_data data --threads 2 --r 2 --max_steps 1 --output_dir sweep --sweep "
             "'{\"learning_rate\": [1e-4, 1e-3], \"seed\": [1, 2]}'"),
         0);
    const char *count = "cd %s && find sweep/cache/checked -name checked.json | wc -l";
    must(run_shell(text(count, root)), 0);
    assert_int_equal(atoi(output), 3); /* train, val and test, of four runs */
    must(run_shell(text("cd %s && cat $(find sweep -name '*.log') | grep -c 'check pictures'", root)), 0);
    assert_int_equal(atoi(output), 3);
}

/* Met in training: what was learned until then is there, and goes on as if the picture had been left out from the
 * beginning. */
static void test_damage_met_later_leaves_a_checkpoint(void **state) {
    (void)state;
    shell("cp -r data late && echo text > late/train/bee/03.ppm");
    must(run(TRAIN "--train_data late --max_steps 40 --learning_rate 1e-3 --check_images off --output_dir late1"), 3);
    says("late/train/bee/03.ppm: not a picture that can be decoded");
    const char *at = strstr(output, "late1/checkpoint-");
    assert_non_null(at);
    const int step = atoi(at + strlen("late1/checkpoint-"));
    assert_in_range(step, 1, 32);
    says(text("lora-ft train: step %d: late/train", step + 1));
    says(text("late1/checkpoint-%d is written, go on with --resume_from_checkpoint true --skip_bad_images", step));
    assert_true(lf_is_dir(text("%s/late1/checkpoint-%d", root, step)));
    must(run(TRAIN "--train_data late --max_steps 40 --learning_rate 1e-3 --check_images off --output_dir late1 "
                   "--resume_from_checkpoint true --skip_bad_images"),
         0);
    says(text("resumed from late1/checkpoint-%d", step));
    must(run(TRAIN "--train_data late --max_steps 40 --learning_rate 1e-3 --output_dir late2 --skip_bad_images"), 0);
    same_files("late1/adapter/adapter_model.safetensors", "late2/adapter/adapter_model.safetensors");
    /* in the very first step there is nothing to keep */
    shell("mkdir -p all/train/a && echo text > all/train/a/1.ppm && cp all/train/a/1.ppm all/train/a/2.ppm");
    must(run(TRAIN "--train_data all --max_steps 4 --check_images off --output_dir all1"), 3);
    says_not("checkpoint-");
}

/* Runs the program and, beside it, a command when moved/checkpoint-<step> is there; its $2 is the program's process. */
static int run_until(int step, const char *command, const char *arguments) {
    return run_shell(text("{ cd %s; M=%s/golden/vit-base; %s/lora-ft %s & sh when %d $! '%s'; wait $!; } 2>&1", root,
                          LF_TEST_DIR, LF_BUILD_DIR, arguments, step, command));
}

/* A file that changes under a run, which was checked: the run meets it in its next epoch, whenever that is. */
static void test_a_file_that_changes_under_a_run(void **state) {
    (void)state;
    static const char arguments[] =
        TRAIN "--train_data moving --num_train_epochs 100000 --save_strategy steps --save_steps 1 --save_total_limit 2 "
              "--output_dir moved";
    /* when N PROCESS COMMAND: the command when checkpoint-N is there, or none if the process ends before */
    shell(
        "cp -r data/train moving && echo 'until [ -d moved/checkpoint-$1 ]; do kill -0 $2 || exit; done; eval \"$3\"' "
        "> when");
    must(run_until(2, "echo text > moving/bee/05.ppm", arguments), 3);
    says("moving/bee/05.ppm: not a picture that can be decoded");
    says("train_data: its files hold other bytes than when the run began");
    const char *at = strstr(output, "moved/checkpoint-");
    assert_non_null(at);
    const int step = atoi(at + strlen("moved/checkpoint-"));
    must(run_until(step + 1, "kill -TERM $2", text("%s --resume_from_checkpoint true --skip_bad_images", arguments)),
         130);
    says(text("resumed from moved/checkpoint-%d", step));
    says("1 of 33 pictures cannot be read and are left out: 'moving/bee/05.ppm'");
}

/* ---- the model's files ---- */

/* A run on a model of its own that stands at its first steps, where its weights are mapped. */
static pid_t start_on(const char *name, int *says) {
    *says = hold(text("%s.log", name));
    const pid_t pid = start_run(text("train --model %s-model --train_data data --threads 2 --r 2 --weights map "
                                     "--per_device_train_batch_size 4 --max_steps 200 --eval_strategy steps "
                                     "--eval_steps 1 --save_steps 1 --save_strategy steps --output_dir %s",
                                     name, name),
                                text("%s.log", name));
    wait_for_words(*says, "step 3:"); /* said before checkpoint-3 is written, and after checkpoint-2 was */
    stop_for_a_while(pid);
    return pid;
}

/* The last that it says; in `output`. */
static int rest_of(pid_t pid, int says) {
    struct pollfd p = {.fd = says, .events = POLLIN};
    size_t n = 0;
    for (bool ended = false; !ended;) {
        ended = a_child_has_ended();
        while (poll(&p, 1, ended ? 0 : LOOK_MS) == 1) {
            if (n > sizeof output / 2) n = 0;
            const ssize_t got = read(says, output + n, sizeof output - 1 - n);
            assert_true(got > 0);
            n += (size_t)got;
            output[n] = 0;
        }
    }
    close(says);
    return code_of(pid);
}

/* A change in place is found at the next checkpoint, of which nothing is written; the one before is good, and with the
 * file as it was the run goes on from it. */
static void test_a_model_that_changes_under_a_run(void **state) {
    (void)state;
    int says_fd;
    shell("cp -r " LF_TEST_DIR "/golden/vit-base changed-model && cp -r changed-model kept");
    const pid_t pid = start_on("changed", &says_fd);
    shell("printf XXXX | dd of=changed-model/model.safetensors conv=notrunc bs=1 seek=60000 2>/dev/null");
    assert_int_equal(rest_of(pid, says_fd), 3);
    says("changed-model: the weights changed while they were in use");
    says("go on with --resume_from_checkpoint true");
    shell("cp kept/model.safetensors changed-model");
    must(run("train --model changed-model --train_data data --threads 2 --r 2 --per_device_train_batch_size 4 "
             "--max_steps 200 --eval_strategy steps --eval_steps 1 --save_strategy steps --save_steps 1 "
             "--output_dir changed --resume_from_checkpoint true --dry_run"),
         0);
    shell("ls -d changed/checkpoint-2");
}

/* Shapes are compared with the file before there is memory for them: 786 GB would be "out of memory". */
static void test_a_model_that_claims_too_much(void **state) {
    (void)state;
    shell("cp -r " LF_TEST_DIR "/golden/lm-llama huge && echo text > huge.txt && sed -i "
          "'s/\"vocab_size\": [0-9]*/\"vocab_size\": 16000000/; s/\"hidden_size\": [0-9]*/\"hidden_size\": 12288/' "
          "huge/config.json");
    must(run("eval --model huge --data huge.txt"), 3);
    says("tensor 'model.embed_tokens.weight': expected shape [16000000, 12288] (by huge/config.json), found [");
}

/* Touched, or put back as it was: the same. That is found once, and not again at each checkpoint. */
static void test_a_model_that_is_touched_under_a_run(void **state) {
    (void)state;
    int says_fd;
    shell("cp -r " LF_TEST_DIR "/golden/vit-base touched-model");
    const pid_t pid = start_on("touched", &says_fd);
    shell("touch touched-model/model.safetensors");
    wait_for_words(says_fd, "touched while they were in use; read again, they are the same");
    wait_for_words(says_fd, "step 6:");
    assert_null(strstr(output, "touched while they were in use"));
    kill(pid, SIGTERM);
    assert_int_equal(rest_of(pid, says_fd), 130);
}

/* Pages that are gone: one line with the file's name, whatever thread met it. */
static void test_a_model_that_is_cut_short_under_a_run(void **state) {
    (void)state;
    int says_fd;
    shell("cp -r " LF_TEST_DIR "/golden/vit-base cut-model");
    const pid_t pid = start_on("cut", &says_fd);
    shell("truncate -s 100 cut-model/model.safetensors");
    assert_int_equal(rest_of(pid, says_fd), 3);
    /* a page that is gone, or the look at the files before a checkpoint: whichever comes first after the stop */
    if (!strstr(output, "cut-model: the weights changed while they were in use (cut-model/model.safetensors: "))
        says("lora-ft: cut-model/model.safetensors: it became shorter, or unreadable, while it was in use; put it "
             "back");
    shell("ls -d cut/checkpoint-2");
}

/* Bytes of the model's pages that a process counts as its own share (Pss), and all that it has of them (Rss). */
static void count_pages(pid_t pid, const char *file, double *share, double *all) {
    char line[600];
    bool here = false;
    unsigned long from, to;
    long kb;
    FILE *f = fopen(text("/proc/%d/smaps", (int)pid), "r");
    assert_non_null(f);
    *share = *all = 0;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "%lx-%lx", &from, &to) == 2) here = strstr(line, file) != NULL;
        if (here && sscanf(line, "Pss: %ld kB", &kb) == 1) *share += (double)kb;
        if (here && sscanf(line, "Rss: %ld kB", &kb) == 1) *all += (double)kb;
    }
    fclose(f);
}

static void test_two_runs_share_a_model(void **state) {
    (void)state;
    int says_fd[2];
    pid_t pid[2];
    shell("cp -r " LF_TEST_DIR "/golden/vit-base one-model && ln -s one-model two-model");
    pid[0] = start_on("one", &says_fd[0]);
    pid[1] = start_on("two", &says_fd[1]);
    for (int i = 0; i < 2; i++) {
        double share, all;
        count_pages(pid[i], "one-model/model.safetensors", &share, &all);
        if (!(all > 0 && share <= 0.6 * all)) fail_msg("run %d has %g of %g KB for itself", i, share, all);
    }
    for (int i = 0; i < 2; i++) {
        kill(pid[i], SIGKILL);
        close(says_fd[i]);
        assert_int_equal(code_of(pid[i]), -1);
    }
}

/* ---- verify ---- */

static void one_bit(const char *path, long at) {
    FILE *f = fopen(text("%s/%s", root, path), "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, at, SEEK_END), 0);
    const int c = fgetc(f);
    assert_int_equal(fseek(f, at, SEEK_END), 0);
    fputc(c ^ 0x40, f);
    fclose(f);
}

/* What is whole is said to be, with 0; each kind of damage is found, with 3, as text and as JSON. */
static void test_verify(void **state) {
    (void)state;
    static const struct {
        const char *make, *path, *says;
        long bit; /* from the end of this file's first, 0: none */
        const char *file;
    } cases[] = {
        {"cp -r v whole0", "whole0/checkpoint-2", "is damaged: its hash was", -5,
         "whole0/checkpoint-2/state.safetensors"},
        {"cp -r v whole1 && rm whole1/checkpoint-2/xxh128sums", "whole1", "the checkpoint is not whole", 0, NULL},
        {"cp -r v whole2 && echo '{}' > whole2/adapter/adapter_config.json", "whole2/adapter", "adapter_config.json", 0,
         NULL},
        {"cp -r v whole3 && head -c 3000 v/adapter/adapter_model.safetensors > "
         "whole3/adapter/adapter_model.safetensors",
         "whole3", "the download complete?", 0, NULL},
        {"cp -r v whole4 && sed -i 's/\"base_hash\": \"./\"base_hash\": \"x/' whole4/adapter/lora_ft.json",
         "whole4/adapter", "was trained on a base with the hash x", 0, NULL},
        {"cp -r v whole5 && sed -i 's/base_model_name_or_path\": \"/&nowhere/' whole5/adapter/adapter_config.json",
         "whole5/adapter", "is not there; give it with --model", 0, NULL},
        {"cp -r v whole6 && echo '{' > whole6/all_results.json", "whole6", "all_results.json", 0, NULL},
        {"mkdir whole7 && echo x > whole7/x", "whole7",
         "is no adapter, run, checkpoint, model, GGUF or safetensors file", 0, NULL},
        {"mkdir whole8 && cp $M/*.* whole8 && sed -i 's/hidden_size\": 32/hidden_size\": 64/' whole8/config.json",
         "whole8", "config.json and tensors fit", 0, NULL},
    };
    must(run(TRAIN
             "--train_data data --max_steps 2 --init_lora_weights intermediate --learning_rate 1e-2 --output_dir v"),
         0);
    must(run("verify v v/adapter v/checkpoint-2 $M v/adapter/adapter_model.safetensors"), 0);
    says("v: run: is whole");
    says("v/adapter: every tensor has its place in the base");
    says("v/adapter: the base is that of the training");
    says("largest difference of ");
    says("v/checkpoint-2: every file is as it was written: a run can go on from it");
    says("safetensors: is whole");
    says_not("NOT OK");
    must(run("verify v --json"), 0);
    says("{\"ok\": true, \"checks\": [{\"path\": \"v\"");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        must(run("version; %s", cases[i].make), 0);
        if (cases[i].file) one_bit(cases[i].file, cases[i].bit);
        must(run("verify %s", cases[i].path), 3);
        says(cases[i].says);
        says("NOT OK");
        must(run("verify %s --json 2>/dev/null", cases[i].path), 3);
        says("{\"ok\": false");
    }
    must(run("verify"), 2);
}

/* What rounding may do to a model in 16 bits follows from the rounding: it covers what is found, and not much more. */
static void test_verify_in_16_bits(void **state) {
    (void)state;
    static const char *const dtypes[] = {"bf16", "fp16"};
    double allowed[2] = {0};
    must(run(TRAIN "--train_data data --max_steps 1 --output_dir w"), 0);
    for (int i = 0; i < 2; i++) {
        must(run("merge --model $M --adapter w/adapter --save_dtype %s -o %s", dtypes[i], dtypes[i]), 0);
        must(run("train --model %s --train_data data --r 2 --threads 2 --lr 1e-2 --max_steps 4 --output_dir on-%s",
                 dtypes[i], dtypes[i]),
             0);
        must(run("verify on-%s/adapter --model %s", dtypes[i], dtypes[i]), 0);
        double found;
        const char *at = strstr(output, "root mean square ");
        assert_non_null(at);
        assert_int_equal(sscanf(at, "root mean square %lf, of which rounding explains %lf", &found, &allowed[i]), 2);
        if (!(found > 0 && found <= allowed[i] && allowed[i] < 60 * found))
            fail_msg("%s: found %g, allowed %g", dtypes[i], found, allowed[i]);
    }
    assert_true(allowed[1] < allowed[0] / 2); /* fp16 has three bits more */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damage_is_found_before_the_first_step),
        cmocka_unit_test(test_pictures_are_checked_once),
        cmocka_unit_test(test_a_sweep_checks_once),
        cmocka_unit_test(test_damage_met_later_leaves_a_checkpoint),
        cmocka_unit_test(test_a_file_that_changes_under_a_run),
        cmocka_unit_test(test_a_model_that_changes_under_a_run),
        cmocka_unit_test(test_a_model_that_is_touched_under_a_run),
        cmocka_unit_test(test_a_model_that_claims_too_much),
        cmocka_unit_test(test_a_model_that_is_cut_short_under_a_run),
        cmocka_unit_test(test_two_runs_share_a_model),
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_verify_in_16_bits),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
