/* per_device_train_batch_size auto: as many examples at once as fit into the memory, a step as large as ever; found
 * once, told, recorded, and kept by a run that goes on and by all points of a sweep. */
#define _XOPEN_SOURCE 700
#include "cli/lm_cli_fixture.h"

#define TRAIN_ON                                                                                                       \
    "--model wide/model --train_data long.txt --max_seq_length 256 --logging_steps 1 --lr_scheduler_type "             \
    "constant "
#define TRAIN   "train " TRAIN_ON "--threads 1 --r 2 --lr 3e-3 --save_strategy steps --save_steps 2 "
#define AUTO    "--batch_size auto "
#define WEIGHTS "adapter/adapter_model.safetensors"
enum { STEP = 8 };

/* A model whose passes take some MB a row: it is not as small as the fixture's. */
static int setup_wide(void **state) {
    if (setup(state)) return 1;
    put("wide.json", "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_size\": 128, "
                     "\"intermediate_size\": 256, \"num_hidden_layers\": 2, \"num_attention_heads\": 4, "
                     "\"num_key_value_heads\": 2, \"vocab_size\": 900, \"hidden_act\": \"silu\", "
                     "\"max_position_embeddings\": 256, \"rms_norm_eps\": 1e-5, \"rope_theta\": 10000.0, "
                     "\"initializer_range\": 0.2, \"tie_word_embeddings\": true, \"bos_token_id\": 1, "
                     "\"eos_token_id\": 2}\n");
    must("train --init_model wide.json --tokenizer tokenizer --method full --train_data train.jsonl --max_steps 1 "
         "--threads 1 --output_dir wide",
         0);
    FILE *f = fopen(text("%s/long.txt", root), "w");
    if (!f) return 1;
    for (int i = 0; i < 400; i++) fprintf(f, "%s %d\n", sentences[i % N_SENTENCES], i);
    return fclose(f);
}

/* What the last command said that a run takes, in MB. */
static double said_to_take(int64_t at_once) {
    const char *at = strstr(output, text("auto: %lld of a step's %d examples", (long long)at_once, STEP));
    if (!at || !(at = strstr(at, "takes about ")))
        fail_msg("not said of %lld examples:\n%s", (long long)at_once, output);
    return strtod(at + strlen("takes about "), NULL);
}

static void is_recorded(const char *dir, int64_t at_once) {
    cJSON *o;
    lf_err err = {0};
    if (lf_json_read(&o, text("%s/%s/config.json", root, dir), &err)) fail_msg("%s", err.message);
    const double batch = number(o, "per_device_train_batch_size"), passes = number(o, "gradient_accumulation_steps");
    cJSON_Delete(o);
    if (batch != (double)at_once || batch * passes != STEP)
        fail_msg("%s: %g examples in %g passes, expected %lld of %d", dir, batch, passes, (long long)at_once, STEP);
}

static double all_takes, limit; /* in MB: a whole step at once; what is too little for it */

static void test_less_memory_takes_more_passes(void **state) {
    (void)state;
    must(TRAIN AUTO "--max_steps 4 --output_dir whole", 0);
    all_takes = said_to_take(STEP);
    is_recorded("whole", STEP);
    must(TRAIN AUTO "--max_memory_mb 1 --output_dir none", 2);
    static const char one[] = "with one example at once a run takes about ";
    const char *at = strstr(output, one);
    assert_non_null(at);
    /* a quarter of what the examples take is missing: far from where half of them would not fit, and from where all do
     */
    limit = all_takes - (all_takes - strtod(at + strlen(one), NULL)) * (STEP / 4) / (STEP - 1);
    must(text(TRAIN AUTO "--max_steps 4 --max_memory_mb %g --output_dir halves", limit), 0);
    const double half_takes = said_to_take(STEP / 2);
    assert_true(half_takes <= limit && limit < all_takes);
    is_recorded("halves", STEP / 2);
    /* the same step, but for the last digits of its sums */
    near(first_loss("halves"), first_loss("whole"), 1e-5);
    assert_true(distance("whole", "halves") < 1e-3);
    /* the numbers by hand, and the run's own record, are the same run */
    must(text(TRAIN "--max_steps 4 --batch_size %d --gradient_accumulation_steps 2 --output_dir by_hand", STEP / 2), 0);
    same_files("halves/" WEIGHTS, "by_hand/" WEIGHTS);
    must("train --config halves/config.json --output_dir again", 0);
    same_files("halves/" WEIGHTS, "again/" WEIGHTS);
}

/* It is what a run takes, but for some MB that its reports and the system's pages make of it; its passes take 40. */
static void test_it_is_about_right(void **state) {
    (void)state;
    if (SANITIZED) skip(); /* it keeps what is given back, and what a process takes says little */
    cJSON *o = results("whole");
    const double peak = number(o, "peak_rss_mb");
    cJSON_Delete(o);
    if (fabs(peak - all_takes) > 20) fail_msg("a run took %g MB, said were %g", peak, all_takes);
}

/* Also where there is more memory, or less, than when it began. */
static void test_a_run_that_goes_on_keeps_it(void **state) {
    (void)state;
    if (SANITIZED) skip();
    static const char *const memory[] = {"1e6", "1"};
    for (int i = 0; i < 2; i++) {
        must(text(TRAIN AUTO "--max_memory_mb %g --max_steps 2 --output_dir cut%d", limit, i), 0);
        must(text(TRAIN AUTO "--max_memory_mb %s --max_steps 4 --resume_from_checkpoint true --output_dir cut%d",
                  memory[i], i),
             0);
        is_recorded(text("cut%d", i), STEP / 2);
        same_files("halves/" WEIGHTS, text("cut%d/" WEIGHTS, i));
        must(text(TRAIN AUTO "--max_memory_mb %s --max_steps 4 --resume_from_checkpoint true --output_dir cut%d",
                  memory[i], i),
             0);
        assert_non_null(strstr(output, "the run is finished"));
    }
    must(TRAIN AUTO "--max_memory_mb 1 --max_steps 6 --resume_from_checkpoint cut0/checkpoint-4 --output_dir cut0", 0);
    is_recorded("cut0", STEP / 2);
    /* another step is another run */
    must(TRAIN AUTO "--gradient_accumulation_steps 4 --resume_from_checkpoint true --max_steps 4 --output_dir cut1", 2);
    assert_non_null(strstr(output, "another"));
}

#define SWEEP "sweep " TRAIN_ON AUTO "--config sweep.json --jobs 2 --threads 2 --max_steps 1 "

static void test_a_sweep_finds_it_once(void **state) {
    (void)state;
    if (SANITIZED) skip();
    put("sweep.json", "{\"sweep\": {\"learning_rate\": [1e-3, 2e-3], \"r\": [2, 4]}}");
    must(text(SWEEP "--max_memory_mb %g --output_dir swept", 3 * all_takes), 0);
    must(SWEEP "--max_memory_mb 1 --output_dir swept", 0); /* one that goes on, with less memory, keeps it */
    is_recorded("swept/runs/learning_rate=0.001,r=2", STEP);
    is_recorded("swept/runs/learning_rate=0.002,r=4", STEP);
    must(text(SWEEP "--dry_run --max_memory_mb %g --output_dir shared", 2 * limit), 0);
    said_to_take(STEP / 2); /* each has half of it */
    put("tasks.json",
        "{\"tasks\": [{\"name\": \"a\", \"train_data\": \"long.txt\", \"eval_data\": \"plain.txt\"}, {\"name\": "
        "\"b\", \"train_data\": \"plain.txt\", \"eval_data\": \"long.txt\"}], \"sweep\": "
        "{\"learning_rate\": [1e-3, 2e-3]}}");
    must("sweep --config tasks.json --model wide/model --batch_size auto --output_dir sequences", 2);
    assert_non_null(strstr(output, "not found for a sweep of sequences"));
    assert_false(lf_is_dir(text("%s/shared", root)));
}

/* Texts of many lengths, each batch as long as its longest. */
static void test_texts_of_many_lengths(void **state) {
    (void)state;
    must(
        "train --model wide/model --train_data train.jsonl --r 2 --threads 1 --max_steps 2 --auto_find_batch_size true "
        "--output_dir records",
        0);
    said_to_take(STEP);
    is_recorded("records", STEP);
}

static void test_what_is_said(void **state) {
    (void)state;
    must(TRAIN AUTO "--max_memory_mb 1 --output_dir none", 2);
    assert_non_null(strstr(output, "with one example at once a run takes about"));
    must(TRAIN "--batch_size automatic --output_dir none", 2);
    assert_non_null(strstr(output, "automatic"));
    must(TRAIN AUTO "--dry_run --output_dir none", 0);
    assert_non_null(strstr(output, "steps of 8 examples"));
    assert_false(lf_is_dir(text("%s/none", root)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_less_memory_takes_more_passes), cmocka_unit_test(test_it_is_about_right),
        cmocka_unit_test(test_a_run_that_goes_on_keeps_it),   cmocka_unit_test(test_a_sweep_finds_it_once),
        cmocka_unit_test(test_texts_of_many_lengths),         cmocka_unit_test(test_what_is_said),
    };
    return cmocka_run_group_tests(tests, setup_wide, teardown);
}
