/* Remedies against forgetting through the program: one at weight 0 is none, to the last byte; one that is asked for
 * shows in metrics.jsonl, does what it is for, and goes on where it was; what cannot be combined is refused by name. */
#define _XOPEN_SOURCE 700
#include "cli/lm_cli_fixture.h"

#define PLAIN                                                                                                          \
    "train --model pre/model --train_data train.jsonl --max_seq_length 40 --threads 1 --lr 2e-2 --batch_size 4 "       \
    "--logging_steps 1 --r 2 "

/* The fixture's, and old text. */
static int setup_all(void **state) {
    if (setup(state)) return 1;
    FILE *f = fopen(text("%s/old.jsonl", root), "w"), *labelled = fopen(text("%s/labelled.jsonl", root), "w");
    if (!f || !labelled) return 1;
    for (int i = 0; i < 24; i++) {
        fprintf(f, "{\"text\": \"%s %d\"}\n", sentences[(i * 3 + 1) % N_SENTENCES], 200 + i);
        fprintf(labelled, "{\"text\": \"%s %d\", \"label\": \"%s\"}\n", sentences[i % N_SENTENCES], i,
                i % 3 ? "yes" : "no");
    }
    fclose(f);
    fclose(labelled);
    must(PLAIN "--max_steps 3 --ewc_samples 9 --output_dir earlier", 0);
    return 0;
}

/* ---- every remedy ---- */

static const struct {
    const char *name;   /* its member in metrics.jsonl */
    const char *key;    /* of its weight */
    const char *value;  /* that shows */
    const char *beside; /* what else it needs */
} remedies[] = {
    {"l2_to_base", "l2_to_base", "0.05", ""},
    {"orthogonal", "orthogonal_weight", "0.01", "--earlier_adapters earlier/adapter"},
    {"ewc", "ewc_weight", "100", "--ewc_from earlier --continue_from earlier/adapter"},
    {"replay", "replay_ratio", "0.4", "--replay_data old.jsonl"},
    {"kl", "kl_weight", "0.7", "--kl_data old.jsonl"},
    {"kl", "kl_weight", "0.7", "--kl_mask_target true"},
};
enum { N_REMEDIES = sizeof remedies / sizeof *remedies };

static bool log_has(const char *dir, const char *key) {
    char *lines;
    size_t size;
    lf_err err = {0};
    if (lf_file_read(&lines, &size, text("%s/%s/metrics.jsonl", root, dir), &err)) fail_msg("%s", err.message);
    const bool has = strstr(lines, text("\"%s\":", key)) != NULL;
    lf_free(lines);
    return has;
}

static void test_weight_0_is_none(void **state) {
    (void)state;
    must(PLAIN "--init intermediate --max_steps 4 --output_dir none", 0);
    for (int i = 0; i < N_REMEDIES; i++) {
        must(text(PLAIN "--init intermediate --max_steps 4 --%s 0 --output_dir zero-%d", remedies[i].key, i), 0);
        same_files("none/adapter/adapter_model.safetensors", text("zero-%d/adapter/adapter_model.safetensors", i));
        same_files("none/adapter/lora_ft.json", text("zero-%d/adapter/lora_ft.json", i));
        same_files("none/metrics.jsonl", text("zero-%d/metrics.jsonl", i));
        assert_false(log_has("none", remedies[i].name));
    }
}

#define CUT                                                                                                            \
    "train --model pre/model --train_data train.jsonl --max_seq_length 40 --threads 1 --lr 3e-3 --lora_dropout 0.1 "   \
    "--batch_size 4 --gradient_accumulation_steps 2 --logging_steps 2 --r 2 --max_steps 7 --save_strategy steps "      \
    "--save_steps 3 "

/* Cut between two lines of the log, whose sums go on. */
static void test_resumed_equals_straight(void **state) {
    (void)state;
    lf_err err = {0};
    for (int i = 0; i < N_REMEDIES; i++) {
        char flags[400]; /* text() has few */
        snprintf(flags, sizeof flags, "--%s %s %s", remedies[i].key, remedies[i].value, remedies[i].beside);
        must(text(CUT "%s --output_dir straight-%d", flags, i), 0);
        assert_true(log_has(text("straight-%d", i), remedies[i].name));
        must(text(CUT "%s --output_dir cut-%d", flags, i), 0);
        assert_int_equal(lf_remove_tree(text("%s/cut-%d/checkpoint-6", root, i), &err), LF_OK);
        assert_int_equal(lf_remove_tree(text("%s/cut-%d/checkpoint-7", root, i), &err), LF_OK);
        assert_int_equal(lf_remove_tree(text("%s/cut-%d/all_results.json", root, i), &err), LF_OK);
        must(text(CUT "%s --output_dir cut-%d --resume_from_checkpoint true", flags, i), 0);
        assert_non_null(strstr(output, "step 3 of 7"));
        same_files(text("straight-%d/adapter/adapter_model.safetensors", i),
                   text("cut-%d/adapter/adapter_model.safetensors", i));
        same_files(text("straight-%d/adapter/lora_ft.json", i), text("cut-%d/adapter/lora_ft.json", i));
        same_files(text("straight-%d/metrics.jsonl", i), text("cut-%d/metrics.jsonl", i));
    }
}

static const struct {
    const char *flags;
    const char *words[3]; /* of its one line */
} refused[] = {
    {"--l2_to_base 1 --use_dora true", {"l2_to_base", "use_dora"}},
    {"--l2_to_base 1 --method full", {"l2_to_base", "method full", "method lora"}},
    {"--l2_to_base -1", {"l2_to_base", "0"}},
    {"--orthogonal_weight 1", {"orthogonal_weight", "earlier_adapters"}},
    {"--orthogonal_weight 1 --earlier_adapters earlier/adapter --init pissa", {"orthogonal_weight", "pissa", "B = 0"}},
    {"--orthogonal_weight 1 --earlier_adapters earlier/adapter --target_modules lm_head",
     {"earlier_adapters", "none of the modules"}},
    {"--replay_ratio 0.1", {"replay_ratio", "replay_data"}},
    {"--replay_ratio 1 --replay_data old.jsonl", {"replay_ratio", "0.95"}},
    {"--kl_weight 1", {"kl_weight", "kl_data", "train_data"}},
    {"--kl_weight 1 --kl_data old.jsonl --method full", {"kl_weight", "method full", "replay_ratio"}},
    {"--kl_weight 1 --kl_mask_target true --train_val_split 0.3", {"kl_mask_target", "train_val_split", "eval_data"}},
    {"--kl_weight 1 --kl_data labelled.jsonl --task_type SEQ_CLS --train_data labelled.jsonl",
     {"kl_weight", "pre/model", "no head that says classes"}},
    {"--ewc_weight 1", {"ewc_weight", "ewc_from", "ewc_samples"}},
    {"--ewc_weight 1 --ewc_from earlier", {"ewc_weight", "continue_from"}},
    {"--ewc_samples 4 --init pissa", {"ewc_samples", "pissa", "twice its rank"}},
    {"--ewc_weight 1 --ewc_from earlier --continue_from other/adapter", {"fisher.safetensors", "numbers there"}},
};

static void test_what_cannot_be_combined(void **state) {
    (void)state;
    must(PLAIN "--r 3 --max_steps 1 --output_dir other", 0);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        must(text("train --model pre/model --train_data train.jsonl --max_seq_length 40 --threads 1 --max_steps 1 "
                  "--output_dir refused %s",
                  refused[i].flags),
             2);
        for (int w = 0; w < 3 && refused[i].words[w]; w++)
            if (!strstr(output, refused[i].words[w]))
                fail_msg("'%s': no '%s' in: %s", refused[i].flags, refused[i].words[w], output);
    }
}

/* ---- each one ---- */

/* What pulls harder leaves less of an update; the term is of the weights before the step that logs it. */
static void test_l2_to_base_pulls(void **state) {
    (void)state;
    must(PLAIN "--init pissa --max_steps 12 --l2_to_base 1e-9 --output_dir loose", 0);
    must(PLAIN "--init pissa --max_steps 12 --l2_to_base 0.5 --output_dir tight", 0);
    const double loose = last_logged("loose", "l2_to_base") / 1e-9, tight = last_logged("tight", "l2_to_base") / 0.5;
    if (!(tight < loose / 2)) fail_msg("|dW|^2 / 2 is %g with the term, and %g next to without", tight, loose);
    cJSON *facts;
    lf_err err = {0};
    if (lf_json_read(&facts, text("%s/tight/adapter/lora_ft.json", root), &err)) fail_msg("%s", err.message);
    near(number(cJSON_GetObjectItem(facts, "run"), "l2_to_base"), 0.5, 0);
    cJSON_Delete(facts);
}

/* The angle to an earlier adapter of the same start opens. */
static void test_orthogonal_turns_away(void **state) {
    (void)state;
    must(PLAIN "--max_steps 12 --earlier_adapters earlier/adapter --orthogonal_weight 1e-9 --output_dir along", 0);
    must(PLAIN "--max_steps 12 --earlier_adapters '[\"earlier/adapter\"]' --orthogonal_weight 1 --output_dir away", 0);
    const double along = last_logged("along", "orthogonal") / 1e-9, away = last_logged("away", "orthogonal");
    if (!(away < along / 2)) fail_msg("|A E^T|^2 is %g with the term, and %g next to without", away, along);
}

/* Held hard, the run stays where the earlier one left it; files that change between a stop and a resume are noticed. */
static void test_ewc_holds(void **state) {
    (void)state;
    lf_err err = {0};
    static const char on[] = PLAIN "--max_steps 6 --continue_from earlier/adapter --ewc_from moved ";
    assert_int_equal(lf_mkdir_p(text("%s/moved", root), &err), LF_OK);
    assert_int_equal(
        lf_copy_file(text("%s/earlier/fisher.safetensors", root), text("%s/moved", root), "fisher.safetensors", &err),
        LF_OK);
    must(text("%s --ewc_weight 1e-6 --output_dir free", on), 0);
    must(text("%s --ewc_weight 1e4 --output_dir held", on), 0);
    assert_true(distance("earlier", "held") < distance("earlier", "free"));
    assert_true(last_logged("held", "ewc") > 0);
    must(PLAIN "--max_steps 2 --ewc_samples 5 --output_dir third", 0);
    assert_int_equal(
        lf_copy_file(text("%s/third/fisher.safetensors", root), text("%s/moved", root), "fisher.safetensors", &err),
        LF_OK);
    assert_int_equal(lf_remove_tree(text("%s/held/all_results.json", root), &err), LF_OK);
    must(text("%s --ewc_weight 1e4 --output_dir held --resume_from_checkpoint true", on), 2);
    assert_non_null(strstr(output, "the files of 'ewc_from' hold other bytes"));
}

/* The Fisher information of all examples is the same however they are batched. */
static void test_fisher_is_of_each_example(void **state) {
    (void)state;
    must(PLAIN "--max_steps 3 --ewc_samples 1000 --per_device_train_batch_size 3 --lr 0 --output_dir three", 0);
    must(PLAIN "--max_steps 3 --ewc_samples 1000 --per_device_train_batch_size 8 --lr 0 --output_dir eight", 0);
    assert_non_null(strstr(output, "24 examples"));
    lf_safetensors *x = NULL, *y = NULL, *adapter = NULL;
    lf_err err = {0};
    if (lf_safetensors_open(&x, text("%s/three/fisher.safetensors", root), &err) ||
        lf_safetensors_open(&y, text("%s/eight/fisher.safetensors", root), &err) ||
        lf_safetensors_open(&adapter, text("%s/eight/adapter/adapter_model.safetensors", root), &err))
        fail_msg("%s", err.message);
    assert_int_equal(lf_safetensors_count(x), 2 * lf_safetensors_count(adapter));
    double largest = 0;
    for (int64_t i = 0; i < lf_safetensors_count(x); i++) {
        const lf_st_tensor *t = lf_safetensors_at(x, i), *u = lf_safetensors_at(y, i);
        for (int64_t j = 0; j < t->numel; j++) {
            float p, q;
            memcpy(&p, (const char *)t->data + (size_t)j * sizeof p, sizeof p);
            memcpy(&q, (const char *)u->data + (size_t)j * sizeof q, sizeof q);
            if (!(fabs((double)p - (double)q) <= 1e-4 * fabs((double)p) + 1e-9)) fail_msg("%s: %g, %g", t->name, p, q);
            if (strncmp(t->name, "fisher.", 7) == 0) largest = fmax(largest, (double)p);
        }
    }
    assert_true(largest > 0);
    lf_safetensors_close(x);
    lf_safetensors_close(y);
    lf_safetensors_close(adapter);
}

/* Half old and half new is the batch of both: the same gradients, so (plain descent) the same adapter. */
static void test_replay_is_the_mixed_batch(void **state) {
    (void)state;
    static const char on[] =
        "train --model pre/model --max_seq_length 40 --threads 1 --lr 2e-2 --optim sgd --momentum 0 "
        "--lr_scheduler_type constant --logging_steps 1 --r 2 --max_steps 4 ";
    must(text("%s --train_data train.jsonl --batch_size 24 --replay_data old.jsonl --replay_ratio 0.5 --output_dir two",
              on),
         0);
    must(text("%s --train_data '[\"train.jsonl\", \"old.jsonl\"]' --batch_size 48 --output_dir both", on), 0);
    must(text("%s --train_data train.jsonl --batch_size 24 --output_dir new", on), 0);
    near(distance("two", "both"), 0, 2e-6);
    assert_true(distance("two", "new") > 1e-4);
    const double old = last_logged("two", "replay"), new = last_logged("two", "loss"),
                 both = last_logged("both", "loss");
    assert_true(fmin(old, new) < both && both < fmax(old, new));
    /* in smaller pieces it is still that batch */
    must(text("%s --train_data train.jsonl --batch_size 6 --gradient_accumulation_steps 4 --replay_data old.jsonl "
              "--replay_ratio 0.5 --output_dir pieces",
              on),
         0);
    near(distance("two", "pieces"), 0, 2e-6);
}

/* A run next to without the term, and one with it: the second is nearer to the base. */
static void holds_nearer(const char *on, const char *without, const char *with) {
    must(text("%s --max_steps 20 --kl_weight 1e-9 --output_dir %s", on, without), 0);
    must(text("%s --max_steps 20 --kl_weight 10 --output_dir %s", on, with), 0);
    const double far = last_logged(without, "kl") / 1e-9, close = last_logged(with, "kl") / 10;
    if (!(close > 0 && close < far / 2)) fail_msg("KL is %g with the term, and %g next to without", close, far);
}

/* Of next tokens the base is asked again, by a pass without the adapter: at the start both say the same, to the last
 * bit, whatever the start, and what holds harder leaves the model nearer. */
static void test_kl_holds(void **state) {
    (void)state;
    static const char on[] = PLAIN "--init pissa --kl_data old.jsonl ";
    must(text("%s --max_steps 1 --kl_weight 1 --output_dir first", on), 0);
    near(last_logged("first", "kl"), 0, 0);
    holds_nearer(PLAIN "--init pissa --kl_data old.jsonl --lr 4e-3", "far", "close");
    must(text("%s --max_steps 4 --kl_weight 1 --gradient_checkpointing true --output_dir again", on), 0);
    must(text("%s --max_steps 4 --kl_weight 1 --output_dir once", on), 0);
    same_files("once/adapter/adapter_model.safetensors", "again/adapter/adapter_model.safetensors");
    /* beside replay, which is not in its way */
    must(text("%s --max_steps 4 --kl_weight 1 --replay_data train.jsonl --replay_ratio 0.3 --output_dir beside", on),
         0);
    assert_true(last_logged("beside", "kl") > 0 && last_logged("beside", "replay") > 0);
    /* words that the base does not have */
    must(text("%s --max_steps 4 --kl_weight 1 --added_tokens '[\"<x>\"]' --output_dir grown", on), 0);
    assert_true(last_logged("grown", "kl") > 0);
}

/* Without what is true of each token it holds the rest: nothing at the start, less the harder it holds. */
static void test_kl_without_the_target(void **state) {
    (void)state;
    static const char on[] = PLAIN "--init pissa --lr 4e-3 ";
    must(text("%s --max_steps 1 --kl_weight 1 --kl_mask_target true --output_dir rest-first", on), 0);
    near(last_logged("rest-first", "kl"), 0, 0);
    holds_nearer(PLAIN "--init pissa --lr 4e-3 --kl_mask_target true", "rest-far", "rest-near");
    /* what is not given is train_data, and as many of them */
    must(text("%s --max_steps 4 --kl_weight 1 --kl_mask_target true --max_train_samples 9 --output_dir own", on), 0);
    assert_non_null(strstr(output, "KL, on which the model is to say what the base says: 9 documents"));
    must(text("%s --max_steps 4 --kl_weight 1 --kl_mask_target true --output_dir implied", on), 0);
    must(text("%s --max_steps 4 --kl_weight 1 --kl_mask_target true --kl_data train.jsonl --output_dir named", on), 0);
    same_files("implied/adapter/adapter_model.safetensors", "named/adapter/adapter_model.safetensors");
    same_files("implied/metrics.jsonl", "named/metrics.jsonl");
    must(text("%s --max_steps 4 --kl_weight 1 --kl_data train.jsonl --output_dir whole", on), 0);
    assert_true(fabs(last_logged("whole", "kl") - last_logged("named", "kl")) > 1e-9);
    /* without a weight it is nothing, and that is said */
    must(text("%s --max_steps 4 --output_dir without", on), 0);
    must(text("%s --max_steps 4 --kl_mask_target true --output_dir unread", on), 0);
    assert_non_null(strstr(output, "'kl_mask_target' (on the command line) has no effect with kl_weight 0"));
    same_files("without/adapter/adapter_model.safetensors", "unread/adapter/adapter_model.safetensors");
    same_files("without/metrics.jsonl", "unread/metrics.jsonl");
    /* words that the base does not have */
    must(text("%s --max_steps 4 --kl_weight 1 --kl_mask_target true --added_tokens '[\"<x>\"]' --output_dir rest-grown",
              on),
         0);
    assert_true(last_logged("rest-grown", "kl") > 0);
}

/* Texts with labels: of the training data's, where nothing but a new head says classes. */
static void test_replay_of_labelled_texts(void **state) {
    (void)state;
    static const char on[] =
        "train --model pre/model --task_type SEQ_CLS --train_data labelled.jsonl --max_seq_length 40 "
        "--threads 1 --r 2 --max_steps 4 --batch_size 6 --logging_steps 1 ";
    must(text("%s --replay_data labelled.jsonl --replay_ratio 0.25 --output_dir labels", on), 0);
    assert_true(last_logged("labels", "replay") > 0);
    put("strange.jsonl", "{\"text\": \"a dog\", \"label\": \"maybe\"}\n");
    must(text("%s --replay_data strange.jsonl --replay_ratio 0.25 --output_dir refused", on), 3);
    assert_non_null(strstr(output, "replay_data"));
    assert_non_null(strstr(output, "maybe"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weight_0_is_none),          cmocka_unit_test(test_resumed_equals_straight),
        cmocka_unit_test(test_what_cannot_be_combined),   cmocka_unit_test(test_l2_to_base_pulls),
        cmocka_unit_test(test_orthogonal_turns_away),     cmocka_unit_test(test_ewc_holds),
        cmocka_unit_test(test_replay_is_the_mixed_batch), cmocka_unit_test(test_replay_of_labelled_texts),
        cmocka_unit_test(test_fisher_is_of_each_example), cmocka_unit_test(test_kl_holds),
        cmocka_unit_test(test_kl_without_the_target),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown);
}
