/* `rewind`, and the key adapter_scale: an adapter at other sizes is what eval, the written adapter and merge say. */
#define _XOPEN_SOURCE 700
#include "cli/cli_fixture.h"

#define MODEL "--model $M --threads 1 "
#define DATA  "--data data/test --forgetting_data base --json 2>log"

static cJSON *json_of(const char *arguments) {
    cJSON *o;
    lf_err err = {0};
    must(run("%s", arguments), 0);
    if (lf_json_parse(&o, output, strlen(output), "stdout", &err)) fail_msg("%s in:\n%s", err.message, output);
    return o;
}

static const cJSON *point(const cJSON *o, double lambda) {
    const cJSON *p;
    cJSON_ArrayForEach(p, cJSON_GetObjectItemCaseSensitive(o, "points")) {
        if (cJSON_GetObjectItemCaseSensitive(p, "lambda")->valuedouble == lambda) return p;
    }
    fail_msg("no point at %g", lambda);
    return NULL;
}

/* Every number that both have, to the last digit. */
static void same_numbers(const cJSON *p, const cJSON *of_eval, const char *begins, int at_least) {
    static const char *const of_a_run[] = {"init_seconds", "train_seconds", "data_wait_seconds",   "items_per_second",
                                           "peak_rss_mb",  "threads",       "trainable_parameters"};
    const cJSON *v;
    int n = 0;
    cJSON_ArrayForEach(v, of_eval) {
        bool skip = !cJSON_IsNumber(v) || strncmp(v->string, begins, strlen(begins));
        for (size_t i = 0; i < sizeof of_a_run / sizeof *of_a_run; i++) skip |= !strcmp(v->string, of_a_run[i]);
        if (skip) continue;
        const cJSON *mine = cJSON_GetObjectItemCaseSensitive(p, v->string);
        if (!cJSON_IsNumber(mine)) fail_msg("the point has no number '%s'", v->string);
        if (mine->valuedouble != v->valuedouble)
            fail_msg("%s: %.17g, eval says %.17g", v->string, mine->valuedouble, v->valuedouble);
        n++;
    }
    if (n < at_least) fail_msg("only %d numbers begin with '%s'", n, begins);
}

static double number(const cJSON *o, const char *key) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);
    if (!cJSON_IsNumber(v)) fail_msg("no number '%s'", key);
    return v->valuedouble;
}

/* One with a start that is subtracted, and a head. */
static int start(void **state) {
    if (setup(state)) return 1;
    must(run("train " MODEL
             "--train_data data --max_steps 20 --per_device_train_batch_size 8 --r 4 --learning_rate 1e-2 "
             "--init_lora_weights intermediate --eval_strategy no --output_dir run"),
         0);
    return 0;
}

static void points_are_those_of_eval(void **state) {
    (void)state;
    cJSON *r = json_of("rewind " MODEL "--adapter run/adapter --lambdas 0,0.5,1 " DATA);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(r, "points")), 3);
    cJSON *e = json_of("eval " MODEL "--adapter run/adapter " DATA);
    same_numbers(point(r, 1), e, "", 12);
    assert_true(number(e, "eval_accuracy_before") == number(point(r, 0), "eval_accuracy"));
    assert_true(number(e, "trainable_parameters") == result("run", "trainable_parameters"));
    assert_true(number(e, "eval_became_right") > 0 && number(point(r, 0), "eval_became_right") == 0);
    cJSON_Delete(e);
    e = json_of("eval " MODEL "--adapter run/adapter --adapter_scale 0.5 " DATA);
    same_numbers(point(r, 0.5), e, "", 12);
    assert_true(number(e, "base_kl") > 0 && number(e, "base_kl") < number(point(r, 1), "base_kl"));
    cJSON_Delete(e);
    e = json_of("eval " MODEL "--adapter run/adapter --adapter_scale 0 " DATA);
    same_numbers(point(r, 0), e, "eval_", 4);
    assert_true(number(e, "forgetting") == 0);
    cJSON_Delete(e);
    e = json_of("eval " MODEL "--forgetting_data base --json 2>log");
    same_numbers(point(r, 0), e, "base_", 6);
    cJSON_Delete(e);
    cJSON_Delete(r);
}

/* What is written at a size is that size, for those who know nothing of it. */
static void the_written_adapter(void **state) {
    (void)state;
    cJSON *r = json_of("rewind " MODEL "--adapter run/adapter --lambda 0.35 --lambdas 0,1 --output_dir back " DATA);
    assert_true(number(r, "chosen") == 0.35);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(r, "chosen_by")), "lambda");
    cJSON *e = json_of("eval " MODEL "--adapter back/adapter --save_logits back.safetensors " DATA);
    same_numbers(point(r, 0.35), e, "", 12);
    cJSON_Delete(e);
    cJSON_Delete(r);
    must(run("eval " MODEL
             "--adapter run/adapter --adapter_scale 0.35 --data data/test --save_logits scaled.safetensors"),
         0);
    same_files("back.safetensors", "scaled.safetensors");
    same_files("back/adapter/adapter_config.json", "run/adapter/adapter_config.json");
    must(run_shell(text("grep -q '\"adapter_scale\":\\s*0.35' %s/back/adapter/lora_ft.json", root)), 0);
    must(run_shell(text("grep 'λ = 0.35 of those that were trained' %s/back/adapter/README.md", root)), 0);
    must(run_shell(text("grep -q 'eval_accuracy .*, forgetting .*, retention .*chosen by lambda' "
                        "%s/back/adapter/README.md",
                        root)),
         0);
    must(run_shell(text("head -1 %s/back/rewind.csv | grep -q '^lambda,eval_accuracy,' && test $(wc -l < "
                        "%s/back/rewind.csv) = 4 && test -f %s/back/rewind.gp",
                        root, root, root)),
         0);
    must(run_shell(text("! command -v gnuplot || test -s %s/back/rewind.svg", root)), 0);
    must(run("merge --model $M --adapter run/adapter --adapter_scale 0.35 -o merged && %s/lora-ft eval --model merged "
             "--threads 1 --data data/test --save_logits merged.safetensors",
             LF_BUILD_DIR),
         0);
    /* rewound twice is the product */
    must(run("rewind " MODEL "--adapter back/adapter --lambda 2 --lambdas 0 --output_dir twice " DATA), 0);
    must(run_shell(text("grep -q 'lambda 2, 2 of 2; about .* left' %s/log", root)), 0);
    must(run_shell(text("grep -q '\"adapter_scale\":\\s*0.7' %s/twice/adapter/lora_ft.json", root)), 0);
}

/* What is trained beside the factors goes from the base's numbers to its own. */
static void beside_the_factors(void **state) {
    (void)state;
    must(run("train " MODEL
             "--train_data data --max_steps 10 --per_device_train_batch_size 8 --r 2 --learning_rate 1e-2 "
             "--target_modules q_proj --bias all --modules_to_save layernorm_before,patch_embeddings,o_proj "
             "--eval_strategy no "
             "--output_dir beside"),
         0);
    cJSON *r =
        json_of("rewind " MODEL "--adapter beside/adapter --lambda 0.5 --lambdas 0,0.5,1 --output_dir half " DATA);
    cJSON *e = json_of("eval " MODEL "--adapter beside/adapter " DATA);
    same_numbers(point(r, 1), e, "", 12);
    cJSON_Delete(e);
    e = json_of("eval " MODEL "--forgetting_data base --json 2>log");
    same_numbers(point(r, 0), e, "base_", 6);
    cJSON_Delete(e);
    e = json_of("eval " MODEL "--adapter half/adapter " DATA);
    same_numbers(point(r, 0.5), e, "", 12);
    cJSON_Delete(e);
    cJSON_Delete(r);
}

static void wishes(void **state) {
    (void)state;
    static const char grid[] = "rewind " MODEL "--adapter run/adapter --lambdas 0,0.4,0.8,1.2 ";
    cJSON *r = json_of(text("%s--max_forgetting 1000 " DATA, grid));
    double best = -1, at = NAN;
    const cJSON *p;
    cJSON_ArrayForEach(p, cJSON_GetObjectItemCaseSensitive(r, "points")) {
        if (number(p, "eval_accuracy") > best) best = number(p, "eval_accuracy"), at = number(p, "lambda");
    }
    assert_true(number(r, "chosen") == at); /* the smallest of equals */
    cJSON_Delete(r);
    r = json_of(text("%s--max_forgetting 0 --min_retention 1 " DATA, grid));
    assert_true(number(point(r, number(r, "chosen")), "forgetting") <= 0);
    cJSON_Delete(r);
    must(run("%s--max_forgetting -1000 --output_dir none " DATA, grid), 2);
    must(
        run_shell(text("grep -q 'no lambda that was tried forgets so little' %s/log && test -f %s/none/rewind.csv && ! "
                       "test -e %s/none/adapter",
                       root, root, root)),
        0);
    must(run("%s--data data/test --forgetting_data base", grid), 0);
    said("lambda");
    said("retention");
}

/* With data that judge, the points are of the data that choose, and what is chosen and the adapter as it is are judged
 * on the others. */
static void chosen_and_judged_apart(void **state) {
    (void)state;
    static const char *const own[] = {"LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3", "LABEL_4"};
    static const struct {
        const char *keys, *chosen_on, *judged_on;
        int chooses, reports; /* examples of the base's task */
        const char *test;     /* what the judged figures of the new task begin with */
    } cases[] = {
        {"", "data and forgetting_data", "data and forgetting_data", 20, 0, NULL},
        {"--test_data data/test", "data and one half of forgetting_data",
         "test_data and the other half of forgetting_data", 10, 10, "test_"},
        {"--forgetting_eval_data other", "data and forgetting_eval_data",
         "data, which chose it too, and forgetting_data", 15, 20, "eval_"},
        {"--test_data data/test --forgetting_eval_data other", "data and forgetting_eval_data",
         "test_data and forgetting_data", 15, 20, "test_"},
    };
    write_folder("other", own, 5, 3, 9000);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cJSON *r = json_of(text("rewind " MODEL "--adapter run/adapter --lambda 0.5 --lambdas 0.5 --data data/val "
                                "--forgetting_data base --json %s 2>log",
                                cases[i].keys));
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(r, "chosen_on")), cases[i].chosen_on);
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(r, "judged_on")), cases[i].judged_on);
        assert_true(number(point(r, 0.5), "base_samples") == cases[i].chooses);
        const cJSON *judged = cJSON_GetObjectItem(r, "judged");
        assert_int_equal(cJSON_GetArraySize(judged), cases[i].reports ? 2 : 0);
        for (int k = 0; k < cJSON_GetArraySize(judged); k++) {
            const cJSON *p = cJSON_GetArrayItem(judged, k);
            assert_true(number(p, "lambda") == (k ? 1 : 0.5) && number(p, "base_samples") == cases[i].reports);
            cJSON *e = json_of(text("eval " MODEL "--adapter run/adapter --adapter_scale %g --data %s "
                                    "--forgetting_data base --json 2>log",
                                    k ? 1 : 0.5, cases[i].test[0] == 't' ? "data/test" : "data/val"));
            assert_true(number(p, text("%saccuracy", cases[i].test)) == number(e, "eval_accuracy"));
            assert_true(number(p, text("%sloss", cases[i].test)) == number(e, "eval_loss"));
            if (cases[i].reports == 20) same_numbers(p, e, "base_", 6);
            cJSON_Delete(e);
        }
        cJSON_Delete(r);
    }
    must(run("rewind " MODEL "--adapter run/adapter --lambda 0.5 --data data/val --forgetting_data base"), 0);
    said("chosen and is judged on the same data, data and forgetting_data");
    must(run("rewind " MODEL "--adapter run/adapter --lambda 0.5 --lambdas 1 --data data/val --forgetting_data base "
             "--test_data data/test"),
         0);
    said("judged on test_data and the other half of forgetting_data:");
    must(run("rewind " MODEL
             "--adapter run/adapter --lambda 0.5 --lambdas 0.5,1 --data data/val --forgetting_data base "
             "--test_data data/test --output_dir judged"),
         0);
    must(run_shell(text("cd %s/judged && head -1 rewind.csv | grep -q ',test_accuracy,.*,rows$' && "
                        "test \"$(sed 1d rewind.csv | sed 's/,.*,/ /')\" = \"$(printf "
                        "'0.5 points\\n1 points\\n0.5 judged\\n1 judged')\"",
                        root)),
         0);
    must(
        run("rewind " MODEL "--adapter run/adapter --data data/val --forgetting_data base --forgetting_eval_data base"),
        2);
    said("forgetting_eval_data");
    must(run("rewind " MODEL "--adapter run/adapter --data data/test --forgetting_data base --test_data data"), 2);
    said("holds the same as data");
}

static void mistakes(void **state) {
    (void)state;
    static const char rewind_it[] = "rewind " MODEL "--adapter run/adapter --data data/test --forgetting_data base ";
    must(run("%s--output_dir run", rewind_it), 2); /* its own adapter would be replaced */
    said("is the adapter that is read");
    must(run("%s--lambda 1 --lambdas 0 --output_dir again", rewind_it), 0);
    must(run("%s--lambda 1 --lambdas 0 --output_dir again", rewind_it), 2);
    said("overwrite_output_dir");
    must(run("%s--lambdas -1,2", rewind_it), 2);
    said("lambdas");
    must(run("%s--lambdas []", rewind_it), 2);
    must(run("rewind " MODEL "--data data/test --forgetting_data base"), 2);
    said("key 'adapter' is required");
    must(run("rewind " MODEL "--adapter run/adapter --data data/test"), 2);
    said("key 'forgetting_data' is required");
    must(run("eval " MODEL "--adapter run --data data/test"), 3);
    said("did you mean run/adapter?");
    must(run("train " MODEL "--train_data data --max_steps 2 --eval_strategy no --method head --output_dir headed"), 0);
    must(run("rewind " MODEL "--adapter headed/adapter --data data/test --forgetting_data base"), 2);
    said("a head alone");
    must(run("eval " MODEL "--adapter headed/adapter --adapter_scale 0.5 --data data/test"), 2);
    must(run("train " MODEL "--train_data data --max_steps 2 --eval_strategy no --use_dora true --output_dir dora"), 0);
    must(run("rewind " MODEL "--adapter dora/adapter --lambdas 0.5 --data data/test --forgetting_data base"), 3);
    said("DoRA");
    must(run("eval " MODEL "--data base --adapter_scale 0.5"), 0);
    said("adapter_scale");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_are_those_of_eval), cmocka_unit_test(the_written_adapter),
        cmocka_unit_test(beside_the_factors),       cmocka_unit_test(wishes),
        cmocka_unit_test(chosen_and_judged_apart),  cmocka_unit_test(mistakes)};
    return cmocka_run_group_tests(tests, start, teardown);
}
