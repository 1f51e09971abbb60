/* Language models as a user runs them: pretraining a tiny one, tuning it, what it forgot, packing, accumulation,
 * resuming, choosing, and mistakes; test_lm_generate.c has what is generated. The model is random and made by the
 * program itself. */
#define _XOPEN_SOURCE 700
#include "cli/lm_cli_fixture.h"

#define TUNE                                                                                                           \
    "train --model pre/model --train_data plain.txt --max_seq_length 24 --threads 1 --r 2 --init pissa --lr 3e-3 "

/* ---- runs ---- */

/* Whether weights are read from the mapped file or copied changes no byte of an adapter: files in fp32 and in bf16,
 * with a tied embedding, computed with in either. */
static void test_mapped_is_copied(void **state) {
    (void)state;
    static const char *const precisions[] = {"fp32", "bf16"}, *const models[] = {"pre/model", "pre16/model"};
    must("train --model pre/model --method full --train_data train.jsonl --max_steps 1 --threads 1 --save_dtype bf16 "
         "--output_dir pre16",
         0);
    for (int i = 0; i < 4; i++) {
        const char *model = models[i / 2], *precision = precisions[i % 2];
        for (int map = 0; map < 2; map++)
            must(text("train --model %s --train_data plain.txt --max_seq_length 24 --threads 1 --r 2 --max_steps 3 "
                      "--lr 3e-3 --precision %s --weights %s --output_dir held%d%d",
                      model, precision, map ? "map" : "copy", i, map),
                 0);
        same_files(text("held%d0/adapter/adapter_model.safetensors", i),
                   text("held%d1/adapter/adapter_model.safetensors", i));
    }
}

static void test_pretrained_folder_is_a_model(void **state) {
    (void)state;
    static const char *const files[] = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        assert_true(lf_is_file(text("%s/pre/model/%s", root, files[i])));
    cJSON *o = json_of("eval --model pre/model --data train.jsonl --threads 1 --json");
    assert_true(number(o, "eval_perplexity") < 60); /* of 900 */
    cJSON_Delete(o);
    must("inspect --model pre/model", 0);
    assert_non_null(strstr(output, "vocab_size"));
    must("predict --model pre/model --data train.jsonl", 3);
    assert_non_null(strstr(output, "a language model"));
}

static void test_tuning_and_forgetting(void **state) {
    (void)state;
    must(TUNE "--max_steps 4 --eval_data eval.jsonl --forgetting_data train.jsonl --batch_size 4 --output_dir tuned",
         0);
    assert_non_null(strstr(output, "perplexity, pretraining"));
    cJSON *r = results("tuned");
    const double before = number(r, "base_before"), after = number(r, "base_after");
    assert_true(after > before);
    near(number(r, "forgetting"), log(after) - log(before), 1e-12);
    near(number(r, "retention"), before / after, 1e-12);
    assert_true(number(r, "base_kl") > 0 && number(r, "base_ce") > number(r, "base_kl"));
    near(number(r, "eval_perplexity"), exp(number(r, "eval_loss")), 1e-9);
    cJSON *e = json_of("eval --model pre/model --adapter tuned/adapter --data eval.jsonl --forgetting_data train.jsonl "
                       "--max_seq_length 24 --threads 1 "
                       "--save-logits nll.safetensors --json");
    static const char *const keys[] = {"eval_perplexity", "eval_loss",  "eval_token_accuracy",
                                       "base_before",     "base_after", "forgetting",
                                       "base_ce",         "base_kl",    "update_ratio"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) near(number(e, keys[i]), number(r, keys[i]), 1e-12);
    lf_safetensors *st;
    lf_err err = {0};
    assert_int_equal(lf_safetensors_open(&st, text("%s/nll.safetensors", root), &err), LF_OK);
    const lf_st_tensor *nll = lf_safetensors_find(st, "nll");
    assert_true(nll && nll->numel == (int64_t)number(e, "eval_tokens") && lf_safetensors_find(st, "ids"));
    double sum = 0;
    for (int64_t i = 0; i < nll->numel; i++) sum += (double)((const float *)nll->data)[i];
    near(sum / (double)nll->numel, number(e, "eval_loss"), 1e-6);
    lf_safetensors_close(st);
    cJSON_Delete(e);
    /* padding does not count: alone in a batch a text has none, in a batch of all the short ones are mostly padding */
    static const char *const sizes[] = {"1", "3", "64"};
    assert_true(number(r, "update_ratio") > 0);
    for (int i = 0; i < 3; i++) {
        e = json_of(text("eval --model pre/model --adapter tuned/adapter --forgetting_data train.jsonl "
                         "--max_seq_length 24 --threads 1 --eval_batch_size %s --json",
                         sizes[i]));
        near(number(e, "update_ratio"), number(r, "update_ratio"), 1e-6 * number(r, "update_ratio"));
        cJSON_Delete(e);
    }
    cJSON_Delete(r);
    e = json_of("eval --model pre/model --forgetting_data train.jsonl --threads 1 --json"); /* no adapter: nothing is
                                                                                               forgotten, exactly */
    assert_true(number(e, "forgetting") == 0 && number(e, "base_kl") == 0 && number(e, "retention") == 1);
    cJSON_Delete(e);
    must("merge --model pre/model --adapter tuned/adapter -o merged", 0);
    cJSON *a = json_of(
        "eval --model pre/model --adapter tuned/adapter --data plain.txt --max_seq_length 24 --threads 1 --json");
    cJSON *b = json_of("eval --model merged --data plain.txt --max_seq_length 24 --threads 1 --json");
    near(number(a, "eval_loss"), number(b, "eval_loss"), 1e-5);
    cJSON_Delete(a);
    cJSON_Delete(b);
    char *readme;
    size_t n;
    assert_int_equal(lf_file_read(&readme, &n, text("%s/tuned/adapter/README.md", root), &err), LF_OK);
    assert_non_null(strstr(readme, "AutoModelForCausalLM"));
    lf_free(readme);
}

#define START                                                                                                          \
    "train --model pre/model --train_data train.jsonl --forgetting_data plain.txt --max_seq_length 24 --threads 1 "    \
    "--r 2 "                                                                                                           \
    "--max_steps 1 --lr 0 --calibration_samples 11 "

/* Starts that look at text: step 0 is the base, padding is not looked at, and what cannot be looked at is said. */
static void test_starts_from_data(void **state) {
    (void)state;
    static const char *const starts[] = {"corda_ipm", "lora_null", "eva", "lora_ga"};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        must(text(START "--init %s --output_dir of_%s", starts[i], starts[i]), 0);
        cJSON *r = results(text("of_%s", starts[i]));
        assert_true(number(r, "base_kl") == 0 && number(r, "forgetting") == 0);
        cJSON_Delete(r);
    }
    must(START "--init eva --eval_batch_size 1 --output_dir alone", 0);
    assert_true(distance("of_eva", "alone") < 1e-4);
    must(START "--init eva --calibration_data plain.txt --output_dir elsewhere", 0);
    assert_true(distance("of_eva", "elsewhere") > 1e-2);
    must(START "--init eva --target_modules q_proj,embed_tokens --output_dir never", 3);
    assert_non_null(strstr(output, "'model.embed_tokens' is an embedding"));
    must(START "--init lora_null --target_modules q_proj,lm_head --output_dir never", 3);
    assert_non_null(strstr(output, "'lm_head' is the output layer"));
}

static void test_resumed_equals_straight(void **state) {
    (void)state;
    lf_err err = {0};
    static const char *const data[] = {"--train_data plain.txt", "--train_data train.jsonl --packing true",
                                       "--train_data train.jsonl --group_by_length true"};
    for (int i = 0; i < 3; i++) {
        const char *args =
            text("train --model pre/model %s --max_seq_length 32 --threads 1 --r 2 --init intermediate --lr 3e-3 "
                 "--lora_dropout 0.2 --batch_size 2 "
                 "--gradient_accumulation_steps 2 --max_steps 7 --save_strategy steps --save_steps 3 --logging_steps 2",
                 data[i]);
        must(text("%s --output_dir straight%d", args, i), 0);
        must(text("%s --output_dir cut%d", args, i), 0);
        assert_int_equal(lf_remove_tree(text("%s/cut%d/checkpoint-6", root, i), &err), LF_OK);
        assert_int_equal(lf_remove_tree(text("%s/cut%d/checkpoint-7", root, i), &err), LF_OK);
        assert_int_equal(lf_remove_tree(text("%s/cut%d/all_results.json", root, i), &err), LF_OK);
        must(text("%s --output_dir cut%d --resume_from_checkpoint true", args, i), 0);
        assert_non_null(strstr(output, "step 3 of 7"));
        same_files(text("straight%d/adapter/adapter_model.safetensors", i),
                   text("cut%d/adapter/adapter_model.safetensors", i));
        same_files(text("straight%d/metrics.jsonl", i), text("cut%d/metrics.jsonl", i));
    }
    must("train --model pre/model --train_data train.jsonl --packing true --max_seq_length 33 --threads 1 --r 2 --init "
         "intermediate --lr 3e-3 --lora_dropout 0.2 "
         "--batch_size 2 --gradient_accumulation_steps 2 --max_steps 7 --output_dir cut1 --resume_from_checkpoint "
         "cut1/checkpoint-3",
         2);
    assert_non_null(strstr(output, "max_seq_length"));
}

#define ONE                                                                                                            \
    "train --model pre/model --train_data train.jsonl --max_seq_length 40 --threads 1 --r 2 --lr 1e-2 --optim sgd "    \
    "--momentum 0 --max_grad_norm 0 --logging_steps 1 "

/* The documents are the same, so the sums of their losses are, whatever rows they stand in. */
/* A template that writes the date writes that of the run's begin, on whatever day it goes on. */
static void test_date_is_of_the_run(void **state) {
    (void)state;
    static const char args[] =
        "train --model pre/model --train_data dated.jsonl --chat_template dated.jinja --threads 1 --r 2 --batch_size 1 "
        "--output_dir dated";
    static const struct {
        const char *epoch, *flags, *date;
    } cases[] = {{"86400", "--max_steps 1", "1970-01-02T00:00:00"},
                 {"864000", "--max_steps 2 --resume_from_checkpoint true", "1970-01-02T00:00:00"},
                 {"864000", "--max_steps 1 --overwrite_output_dir true", "1970-01-11T00:00:00"}};
    put("dated.jinja",
        "{{ strftime_now('%d %b %Y') }}{% for m in messages %}{{ m.role ~ ': ' ~ m.content ~ eos_token }}"
        "{% endfor %}");
    put("dated.jsonl",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": "
        "\"b\"}]}\n");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cJSON *written;
        lf_err err = {0};
        setenv("SOURCE_DATE_EPOCH", cases[i].epoch, 1);
        must(text("%s %s", args, cases[i].flags), 0);
        unsetenv("SOURCE_DATE_EPOCH");
        if (lf_json_read(&written, text("%s/dated/config.json", root), &err)) fail_msg("%s", err.message);
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(written, "template_date")),
                            cases[i].date);
        cJSON_Delete(written);
    }
}

static void test_packing_changes_no_loss(void **state) {
    (void)state;
    must(ONE "--batch_size 24 --max_steps 1 --output_dir loose", 0);
    must(ONE "--batch_size 24 --max_steps 1 --packing true --output_dir packed", 0);
    near(first_loss("loose"), first_loss("packed"), 1e-5);
    assert_true(distance("loose", "packed") < 1e-5);
    must(ONE "--batch_size 24 --max_steps 1 --packing true --gradient_checkpointing true --output_dir again", 0);
    same_files("packed/adapter/adapter_model.safetensors", "again/adapter/adapter_model.safetensors");
}

/* Micro-batches of texts of unequal length weigh by their tokens. */
static void test_accumulation_equals_the_big_batch(void **state) {
    (void)state;
    must(ONE "--batch_size 12 --max_steps 2 --output_dir big", 0);
    must(ONE "--batch_size 3 --gradient_accumulation_steps 4 --max_steps 2 --output_dir small", 0);
    near(first_loss("big"), first_loss("small"), 1e-5);
    assert_true(distance("big", "small") < 1e-5);
    must(ONE "--batch_size 12 --max_steps 2 --seed 1 --output_dir other", 0);
    assert_true(distance("big", "other") > 1e-5); /* else the bound says nothing */
}

/* Of language, and with plain text, which is halved by windows: the best by its own rule, told on the half that chose.
 */
static void test_choosing_by_both(void **state) {
    (void)state;
    static const char *const olds[] = {"train.jsonl", "plain.txt"};
    for (int i = 0; i < 2; i++) {
        must(text(ONE "--eval_data eval.jsonl --forgetting_data %s --metric_for_best_model tradeoff --max_steps 3 "
                      "--eval_strategy steps --eval_steps 1 --max_seq_length 16 --output_dir both%d",
                  olds[i], i),
             0);
        cJSON *r = results(text("both%d", i)), *whole;
        near(number(r, "selection_tradeoff"), number(r, "selection_retention") / number(r, "eval_perplexity"), 1e-12);
        near(number(r, "selection_forgetting"), -log(number(r, "selection_retention")), 1e-12);
        near(number(r, "selection_base_before") * number(r, "selection_retention"),
             number(r, "selection_base_before") * number(r, "selection_base_before") /
                 number(r, "selection_base_after"),
             1e-9);
        whole = json_of(
            text("eval --model pre/model --threads 1 --forgetting_data %s --max_seq_length 16 --json", olds[i]));
        near(number(r, "base_tokens") + number(r, "selection_samples"), number(whole, "base_tokens"), 0);
        cJSON_Delete(whole);
        cJSON_Delete(r);
    }
}

static void test_a_text_without_targets_does_no_harm(void **state) {
    (void)state;
    put("short.jsonl",
        "{\"prompt\": \"a dog\", \"completion\": \"\"}\n{\"prompt\": \"the cat\", \"completion\": \" sat\"}\n");
    must("train --model pre/model --tokenizer pre/model --train_data short.jsonl --threads 1 --r 2 --batch_size 1 "
         "--max_steps 4 --output_dir short",
         0);
}

/* Of the beginnings of what the model was trained on, which end is right: four choices each, the right one at each
 * place in turn. */
static void test_choices(void **state) {
    (void)state;
    static const char *const halves[][2] = {{"the cat sat on", "the mat"},
                                            {"rain falls on the hill", "and runs to the sea"},
                                            {"one two three four", "five six seven"},
                                            {"she said that it would be", "cold tonight, and it was"},
                                            {"stones do", "not float"},
                                            {"where did", "the bird go?"},
                                            {"the cat", "sat on the mat"},
                                            {"rain falls", "on the hill and runs to the sea"},
                                            {"one two", "three four five six seven"},
                                            {"she said", "that it would be cold tonight, and it was"},
                                            {"where did the bird", "go?"},
                                            {"stones", "do not float"}};
    enum { N = sizeof halves / sizeof halves[0] };
    FILE *f = fopen(text("%s/choices.jsonl", root), "w");
    assert_non_null(f);
    for (int i = 0; i < N; i++) {
        fprintf(f, "{\"question\": \"%s\", \"answer\": %d, \"choices\": [", halves[i][0], i % 4);
        for (int k = 0; k < 4; k++) fprintf(f, "%s\"%s\"", k ? ", " : "", halves[(i + (4 + k - i % 4) % 4 * 5) % N][1]);
        fprintf(f, "]}\n");
    }
    fclose(f);
    cJSON *o = json_of("eval --model pre/model --data choices.jsonl --prompt_template '{question} ' --threads 1 "
                       "--save_predictions chosen.jsonl --json");
    must("help >/dev/null; grep -c '\"right\": true' chosen.jsonl", 0);
    near(atoi(output), number(o, "eval_choice_accuracy") * N, 1e-9);
    must("help >/dev/null; head -1 chosen.jsonl | grep '\"right_answer\": \"the mat\".*\"loss\".*\"index\": 0'", 0);
    must("help >/dev/null; wc -l <chosen.jsonl", 0);
    assert_int_equal(atoi(output), N); /* of questions, and not also of their texts */
    assert_true(number(o, "eval_choices") == N);
    assert_true(number(o, "eval_choice_accuracy") >=
                9.0 / N); /* a guess has so many right once in 2600 times, and the first choice 3 */
    assert_true(number(o, "eval_choice_accuracy_norm") >= 9.0 / N);
    cJSON_Delete(o);
    /* of nothing every model is certain */
    put("empty.choices.jsonl", "{\"question\": \"a\", \"choices\": [\"dog\", \"cat\"], \"answer\": 0}\n{\"question\": "
                               "\"a\", \"choices\": [\"dog\", \"\"], \"answer\": 0}\n");
    must("eval --model pre/model --data empty.choices.jsonl", 3);
    assert_non_null(strstr(output, "empty.choices.jsonl: line 2: choice 2"));
    /* what does not fit is to be cut short by the user; a limit of the model cannot be raised */
    char words[601] = "";
    for (int i = 0; i < 200; i++) memcpy(words + 3 * i, "a b", 4);
    put("long.choices.jsonl", text("{\"question\": \"%s\", \"choices\": [\"dog\", \"cat\"], \"answer\": 0}\n", words));
    must("eval --model pre/model --data long.choices.jsonl", 3);
    assert_true(strstr(output, "long.choices.jsonl: line 1") && strstr(output, "no more positions") &&
                !strstr(output, "raise"));
    must("eval --model pre/model --data long.choices.jsonl --max_seq_length 40", 3);
    assert_non_null(strstr(output, "raise max_seq_length"));
}

static void test_bench(void **state) {
    (void)state;
    cJSON *o = json_of("bench --model pre/model --batch 2 --seq 16 --steps 2 --warmup 1 --r 2 --threads 1 --json");
    near(number(o, "items_per_second"), 32 / number(o, "step_seconds"), 1e-6 * number(o, "items_per_second"));
    cJSON_Delete(o);
    must("bench --model pre/model --batch 2 --seq 97 --steps 1", 2); /* of 96 positions */
}

/* ---- mistakes: one line, the right exit code, and what it is about ---- */

static void test_mistakes(void **state) {
    (void)state;
    put("not-utf8.jsonl", "{\"text\": \"fine\"}\n{\"text\": \"bad \xff\"}\n");
    put("not-json.jsonl", "{\"text\": \"fine\"}\n{\"text\": \n");
    put("no-field.jsonl", "{\"text\": \"fine\"}\n{\"txet\": \"not\"}\n");
    put("empty.jsonl", "");
    put("long.jsonl",
        "{\"prompt\": \"a b c d e f g h i j k l m n o p q r s t u v w x y z\", \"completion\": \" z\"}\n");
    put("outside.json", "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_size\": 32, "
                        "\"intermediate_size\": 48, "
                        "\"num_hidden_layers\": 1, \"num_attention_heads\": 4, \"num_key_value_heads\": 2, "
                        "\"vocab_size\": 40, \"max_position_embeddings\": 96}");
    static const struct {
        const char *arguments;
        int code;
        const char *says;
    } cases[] = {
        {TUNE "--train_data not-utf8.jsonl --max_steps 1 --output_dir bad", 3, "not-utf8.jsonl: line 2"},
        {TUNE "--train_data not-json.jsonl --max_steps 1 --output_dir bad", 3, "not-json.jsonl: line 2"},
        {TUNE "--train_data no-field.jsonl --max_steps 1 --output_dir bad", 3, "no-field.jsonl: line 2"},
        {TUNE "--train_data empty.jsonl --max_steps 1 --output_dir bad", 3, "empty.jsonl"},
        {TUNE "--train_data nowhere.jsonl --max_steps 1 --output_dir bad", 3, "nowhere.jsonl"},
        {TUNE "--train_data long.jsonl --max_steps 1 --max_seq_length 8 --output_dir bad", 3, "max_seq_length"},
        {TUNE "--eval_data not-json.jsonl --max_steps 1 --output_dir bad", 3, "not-json.jsonl: line 2"},
        {TUNE "--max_steps 1 --max_seq_length 97 --output_dir bad", 2, "96"},
        {TUNE "--max_steps 1 --chat_template nonsense --output_dir bad", 2, "chat_template"},
        {"generate --model pre/model --prompt a --chat_template nonsense", 2, "chat_template"},
        {"generate --model pre/model --prompt a --max_seq_length 97", 2, "96 positions"},
        {TUNE "--max_steps 1 --method head --output_dir bad", 2, "method"},
        {TUNE "--max_steps 1 --modules_to_save lm_hat --output_dir bad", 2, "modules_to_save"},
        {TUNE "--max_steps 1 --modules_to_save lm_head,proj --output_dir bad", 2, "self_attn.q_proj' too"},
        {TUNE "--max_steps 1 --modules_to_save 0.self_attn.k_proj --init true --use_dora true --output_dir bad", 3,
         "'model.layers.0.self_attn.k_proj', which modules_to_save"},
        {TUNE "--max_steps 1 --modules_to_save x_proj --output_dir bad", 2,
         "try some of: embed_tokens, lm_head, q_proj"},
        {"train --init_model outside.json --tokenizer tokenizer --method full --train_data train.jsonl --max_steps 1 "
         "--output_dir bad",
         3, "train.jsonl"},
        {"train --init_model config.json --method full --train_data train.jsonl --max_steps 1 --output_dir bad", 3,
         "tokenizer.json"},
        {"eval --model pre/model --data plain.txt --answer_pattern x", 2, "answer_pattern"},
        {"generate --model pre/model --prompt 'a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f g h i j "
         "k l m n o p q r s t u v w x y z "
         "a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f g h i j k l m n o p q r s t u v w x y z'",
         2, "context of 96"},
        {"generate --model pre/model --chat true --prompt x", 3, "chat template"},
        {"generate --prompt x", 2, "model"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        must(cases[i].arguments, cases[i].code);
        const char *line = strstr(output, "lora-ft train: ");
        if (!line) line = strstr(output, "lora-ft eval: ");
        if (!line) line = strstr(output, "lora-ft generate: ");
        if (!line || !strstr(line, cases[i].says) || strchr(line, '\n') != line + strlen(line) - 1)
            fail_msg("'%s': expected one line with '%s', found:\n%s", cases[i].arguments, cases[i].says, output);
    }
    assert_false(lf_is_dir(text("%s/bad", root)));
}

static void test_keys_without_effect(void **state) {
    (void)state;
    static const struct {
        const char *arguments, *says, *not ;
    } cases[] = {
        {"--skip_bad_images --augmentation flip", "key 'augmentation' (on the command line) has no effect on text",
         "'max_seq_length'"},
        {"--reuse_head", "key 'reuse_head' (on the command line) has no effect on text", "'lr'"},
        {"--overlong skip", "key 'overlong' (on the command line) has no effect on plain text (plain.txt)", "on text"},
        {"--text_field body", "key 'text_field' (on the command line) has no effect on plain text", "on text"},
        {"--chat_template chatml --train_data train.jsonl",
         "key 'chat_template' (on the command line) has no effect on records of layout '", "on plain text"},
        {"--overlong skip --train_data train.jsonl", "train.jsonl", "has no effect"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        must(text(TUNE "--dry_run --output_dir unread %s", cases[i].arguments), 0);
        if (!strstr(output, cases[i].says) || strstr(output, cases[i].not ))
            fail_msg("case %zu: expected '%s' in:\n%s", i, cases[i].says, output);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pretrained_folder_is_a_model),
        cmocka_unit_test(test_mapped_is_copied),
        cmocka_unit_test(test_tuning_and_forgetting),
        cmocka_unit_test(test_keys_without_effect),
        cmocka_unit_test(test_resumed_equals_straight),
        cmocka_unit_test(test_starts_from_data),
        cmocka_unit_test(test_date_is_of_the_run),
        cmocka_unit_test(test_packing_changes_no_loss),
        cmocka_unit_test(test_accumulation_equals_the_big_batch),
        cmocka_unit_test(test_choosing_by_both),
        cmocka_unit_test(test_a_text_without_targets_does_no_harm),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_bench),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
