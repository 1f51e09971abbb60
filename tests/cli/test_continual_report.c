/* The page of a sequence: what is on it, also of one that is not finished, and whatever stands in the names; and what
 * going on makes of a folder that was moved, of data that changed, of a sequence that was killed where it overwrote
 * another. */
#define _GNU_SOURCE
#include "cli/continual_fixture.h"

static void holds(const char *path, const char *words, bool should) {
    size_t n;
    char *all = contents(path, &n);
    const bool there = strstr(all, words) != NULL;
    lf_free(all);
    if (there != should) fail_msg("%s: '%s' is %s", path, words, there ? "there" : "not there");
}

/* ---- the page ---- */

static void test_page(void **state) {
    (void)state;
    must(run("continual tasks.json " SHARED "--output_dir seq"), 0);
    static const char *const words[] = {"3 tasks one after the other, keep",
                                        "average of all tasks",
                                        "BWT",
                                        "kept of the base",
                                        "<th>three</th>",
                                        "Each task after each",
                                        "After each task",
                                        "--config"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) holds("seq/report.html", words[i], true);
    holds("seq/report.html", "is not finished", false);
    assert_true(lf_is_file(text("%s/seq/tasks.csv", root)));
    holds("seq/tasks.csv", "base,%,the base's own data,0,", true); /* before anything is learned */
    if (lf_is_file("/usr/bin/gnuplot")) {
        assert_true(lf_is_file(text("%s/seq/tasks.svg", root)) && lf_is_file(text("%s/seq/matrix.svg", root)));
        holds("seq/report.html", "data:image/svg+xml;base64,", true);
    }
    /* from the files alone it is the same again */
    must(run("report seq > said.txt"), 0);
    holds("said.txt", "seq/report.html", true);
    must(run("continual tasks.json " SHARED
             "--between joint --tasks '[{\"name\": \"two\", \"train_data\": \"two/train\", "
             "\"eval_data\": \"two/val\"}]' --output_dir all"),
         0);
    holds("all/report.html", "the data of all tasks at once", true);
    assert_false(lf_is_file(text("%s/all/tasks.csv", root))); /* one run has no course */
}

static void change(const char *path, const char *key, cJSON *value) {
    cJSON *o = json_at(path);
    lf_err err = {0};
    assert_true(cJSON_ReplaceItemInObjectCaseSensitive(o, key, value));
    if (lf_json_write(text("%s/%s", root, path), o, false, &err)) fail_msg("%s", err.message);
    cJSON_Delete(o);
}

static void test_hostile_names(void **state) {
    (void)state;
    static const char trick[] =
        "</td><script>alert(1)</script><img src=x onerror=alert(1)>'; system(\"touch HACKED\") #";
    must(run("continual tasks.json " SHARED "--max_steps 1 --output_dir trick"), 0);
    change("trick/sequence.json", "tasks",
           cJSON_CreateStringArray((const char *const[]){trick, "\xe2\x80\xae", "c"}, 3));
    change("trick/sequence.json", "between", cJSON_CreateString(trick));
    change("trick/sequence.json", "says", cJSON_CreateString(trick));
    change("trick/continual.json", "init_lora_weights", cJSON_CreateString(trick));
    must(run("report trick"), 0);
    holds("trick/report.html", "<script>", false);
    holds("trick/report.html", "<img src=x", false);
    holds("trick/report.html", "&lt;script&gt;", true);
    assert_false(lf_exists(text("%s/trick/HACKED", root)) || lf_exists(text("%s/HACKED", root)));
}

static const struct {
    const char *key, *value, *words; /* of sequence.json, and of the line that says it */
} damaged[] = {
    {"tasks", "[]", "'tasks'"},
    {"tasks", "[1, 2, 3]", "'tasks'"},
    {"before", "[1]", "'before'"},
    {"runs", "0", "'runs'"},
    {"runs", "1e9", "'runs'"},
    {"after", "[{\"name\": \"a\", \"scores\": [1]}]", "'after'"},
    {"after", "{}", "'after'"},
    {"after", "[{\"scores\": [1, 2, 3]}]", "'after'"},
    {"base_before", "\"x\"", "base_before"},
};

/* A correlation is no share: it has no percent, on the page and in the pictures. */
static void test_correlations_are_no_shares(void **state) {
    (void)state;
    must(run("--version; cp -r seq numbers"), 0);
    holds("numbers/report.html", "in percent", true);
    change("numbers/sequence.json", "measure", cJSON_CreateString("correlation"));
    must(run("report numbers"), 0);
    holds("numbers/report.html", "Pearson's correlations", true);
    holds("numbers/report.html", "in percent", false);
    holds("numbers/matrix.gp", "Each task after each, correlation", true);
}

static void test_damaged_files(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        must(run("--version; cp -r seq damaged"), 0);
        change("damaged/sequence.json", damaged[i].key, cJSON_Parse(damaged[i].value));
        must(run("report damaged"), 3);
        said("sequence.json");
        said(damaged[i].words);
        must(run("--version; rm -r damaged"), 0);
    }
}

/* ---- not finished ---- */

#define CUT "continual tasks.json " SHARED "--save_strategy steps --save_steps 2 --eval_strategy steps --eval_steps 1 "

static void killed_at(const char *command, const char *first, const char *then, const char *log) {
    const int says = hold(log);
    const pid_t pid = start_run(command, log);
    wait_for_words(says, first);
    if (then) wait_for_words(says, then);
    stop_for_a_while(pid);
    kill(pid, SIGKILL);
    assert_int_equal(code_of(pid), -1);
    let_go(says, log);
}

static const char *const ways[] = {CUT "--init true --ewc_weight 1 --ewc_samples 6 --output_dir ",
                                   CUT "--between merge --output_dir "};
enum { N_WAYS = sizeof ways / sizeof *ways };

static void test_moved_goes_on(void **state) {
    (void)state;
    for (int i = 0; i < N_WAYS; i++) {
        char command[1024];
        must(run("%sstraight-%d", ways[i], i), 0);
        snprintf(command, sizeof command, "%shere-%d", ways[i], i);
        killed_at(command, "task 3 of 3", "step 3:", text("moved-%d.log", i));
        must(run("report here-%d", i), 0);
        holds(text("here-%d/report.html", i), "2 of 3 runs have ended", true);
        must(run("--version; mkdir -p there; mv here-%d there/%d", i, i), 0);
        must(run("%sthere/%d --resume_from_checkpoint true", ways[i], i), 0);
        same_files(text("straight-%d/matrix.csv", i), text("there/%d/matrix.csv", i));
        same_files(text("straight-%d/all_results.json", i), text("there/%d/all_results.json", i));
        same_files(text("straight-%d/task-03-three/adapter/adapter_model.safetensors", i),
                   text("there/%d/task-03-three/adapter/adapter_model.safetensors", i));
    }
}

/* Killed in the first task of what takes another's place, nothing of that one is left to be taken for its own. */
static void test_killed_where_it_overwrote(void **state) {
    (void)state;
    static const char other[] = "continual tasks.json " SHARED "--lr 1e-2 --between reset --output_dir over";
    must(run("%s", other), 0);
    killed_at(CUT "--output_dir over --overwrite_output_dir", "task 1 of 3", "step 3:", "over.log");
    assert_false(lf_is_file(text("%s/over/all_results.json", root)) || lf_is_file(text("%s/over/report.html", root)));
    assert_false(lf_exists(text("%s/over/task-02-two/adapter", root)));
    must(run(CUT "--output_dir over --resume_from_checkpoint true"), 0);
    must(run(CUT "--output_dir fresh"), 0);
    same_sequences("fresh", "over");
}

/* ---- other data ---- */

/* What a later task is judged by changed before it was its turn: its scores are all of the new data. */
static void test_changed_data_are_judged_again(void **state) {
    (void)state;
    static const char *const order[] = {"cat", "apple", "bee"}, *const turned[] = {"bee", "cat", "apple"};
    killed_at(CUT "--output_dir changed", "task 2 of 3", "step 1:", "changed.log");
    cJSON *before = json_at("changed/task-01-one/scores.json");
    must(run("--version; rm -r three/val"), 0);
    write_folder("three/val", turned, 3, 5, 22000); /* the same pictures, called otherwise */
    must(run(CUT "--output_dir changed --resume_from_checkpoint true"), 0);
    said("after 'one': the scores");
    must(run(CUT "--output_dir anew"), 0);
    same_sequences("anew", "changed");
    cJSON *after = json_at("changed/task-01-one/scores.json");
    assert_string_not_equal(cJSON_GetObjectItem(before, "data_hash")->valuestring,
                            cJSON_GetObjectItem(after, "data_hash")->valuestring);
    cJSON_Delete(before);
    cJSON_Delete(after);
    must(run("--version; rm -r three/val"), 0);
    write_folder("three/val", order, 3, 5, 22000);
}

/* ---- a head that the base has ---- */

static void test_base_head_goes_on(void **state) {
    (void)state;
    static const char tasks[] =
        "--tasks '[{\"name\": \"own\", \"train_data\": \"base\", \"eval_data\": \"base\"}, {\"name\": \"one\", "
        "\"train_data\": \"one\"}, {\"name\": \"again\", \"train_data\": \"base\", \"eval_data\": \"base\"}]'";
    static const char *const between[] = {"keep", "merge"};
    for (int i = 0; i < 2; i++) {
        must(
            run("continual --model $M --threads 1 --r 2 --max_steps 2 --batch_size 4 --reuse_head true --between %s %s "
                "--output_dir reuse-%d",
                between[i], tasks, i),
            0);
        said("task 'one' brings 3 classes");
        cJSON *facts = json_at(text("reuse-%d/task-03-again/adapter/lora_ft.json", i));
        assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(facts, "id2label")), 8);
        cJSON_Delete(facts);
        cJSON *first = json_at(text("reuse-%d/task-01-own/scores.json", i)); /* the base knows them before any task */
        assert_true(isfinite(number_in(first, "before", "own")));
        assert_true(isnan(number_in(first, "scores", "one")) && !isnan(number_in(first, "scores", "again")));
        cJSON_Delete(first);
    }
}

/* A head that the base has, of which the first task's classes are none: before it there is no score of it, and of
 * what the base has a head for there is. */
static void test_base_head_lacks_the_first(void **state) {
    (void)state;
    must(run("continual --model $M --threads 1 --r 2 --max_steps 1 --batch_size 4 --reuse_head true --tasks "
             "'[{\"name\": "
             "\"one\", \"train_data\": \"one\"}, {\"name\": \"own\", \"train_data\": \"base\", \"eval_data\": "
             "\"base\"}]' --output_dir lacks"),
         0);
    cJSON *first = json_at("lacks/task-01-one/scores.json");
    assert_true(isnan(number_in(first, "before", "one")) && isfinite(number_in(first, "before", "own")));
    assert_true(isfinite(number_in(first, "scores", "one")));
    cJSON_Delete(first);
}

/* A head that grows has rows that no earlier run's Fisher information is of: they are free, the others are not. */
static void test_ewc_with_growing_head(void **state) {
    (void)state;
    static const char tasks[] =
        "--tasks '[{\"name\": \"own\", \"train_data\": \"base\", \"eval_data\": \"base\"}, {\"name\": "
        "\"one\", \"train_data\": \"one\"}]'";
    must(run("continual --model $M --threads 1 --r 2 --max_steps 6 --logging_steps 1 --batch_size 4 --ewc_samples 8 %s "
             "--ewc_weight 1e3 --output_dir ewc",
             tasks),
         0);
    holds("ewc/task-02-one/metrics.jsonl", "\"ewc\":", true);
    must(run("continual --model $M --threads 1 --r 2 --max_steps 6 --logging_steps 1 --batch_size 4 --ewc_samples 8 %s "
             "--ewc_weight 0 --output_dir no-ewc",
             tasks),
         0);
    must(run("continual --model $M --threads 1 --r 2 --max_steps 6 --logging_steps 1 --batch_size 4 %s --output_dir "
             "none",
             tasks),
         0);
    same_files("no-ewc/task-02-one/adapter/adapter_model.safetensors",
               "none/task-02-one/adapter/adapter_model.safetensors");
    holds("none/task-02-one/metrics.jsonl", "\"ewc\":", false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page),
        cmocka_unit_test(test_hostile_names),
        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_correlations_are_no_shares),
        cmocka_unit_test(test_moved_goes_on),
        cmocka_unit_test(test_killed_where_it_overwrote),
        cmocka_unit_test(test_changed_data_are_judged_again),
        cmocka_unit_test(test_base_head_goes_on),
        cmocka_unit_test(test_base_head_lacks_the_first),
        cmocka_unit_test(test_ewc_with_growing_head),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown);
}
