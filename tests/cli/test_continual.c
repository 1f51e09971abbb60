/* Tasks one after the other, through the program: a task is a run of `train`, what is kept is what was measured, the
 * figures are those of the matrix by the formulas, and a sequence that was killed ends as one that was not. */
#define _GNU_SOURCE
#include "cli/continual_fixture.h"

/* ---- a task is a run ---- */

static void test_one_task_is_train(void **state) {
    (void)state;
    must(run("continual " SHARED "--tasks '[{\"name\": \"one\", \"train_data\": \"one\"}]' --output_dir single"), 0);
    must(run("train " SHARED "--train_data one --output_dir plain"), 0);
    same_run("single/task-01-one", "plain");
    cJSON *scores = json_at("single/task-01-one/scores.json");
    assert_true(number_in(scores, "scores", "one") == result("plain", "eval_accuracy"));
    cJSON_Delete(scores);
    assert_true(result("single", "average_accuracy") == result("plain", "eval_accuracy"));
    assert_true(result("single", "base_before") == result("plain", "base_before"));
    assert_true(result("single", "base_after") == result("plain", "base_after"));
    assert_true(result("single", "base_forgetting") == result("plain", "forgetting"));
    cJSON *all = json_at("single/all_results.json");
    assert_true(isnan(number_in(all, "bwt", NULL)) && isnan(number_in(all, "forgetting", NULL)));
    cJSON_Delete(all);
}

/* What `train --continue_from` makes; the start of the first task has doubled the rank by then, which nobody says. */
static void test_keep_goes_on(void **state) {
    (void)state;
    must(run("continual tasks.json " SHARED "--output_dir kept"), 0);
    must(run("train " SHARED "--train_data one --output_dir first"), 0);
    must(run("train --model $M --threads 1 --lr 2e-2 --batch_size 4 --max_steps 6 --lr_scheduler_type constant "
             "--forgetting_data base --train_data two/train --eval_data two/val --continue_from first/adapter "
             "--output_dir second"),
         0);
    same_run("kept/task-01-one", "first");
    same_run("kept/task-02-two", "second");
}

static void test_reset_begins_again(void **state) {
    (void)state;
    must(run("continual tasks.json " SHARED "--between reset --output_dir reset"), 0);
    must(run("train " SHARED "--train_data three/train --eval_data three/val --output_dir alone"), 0);
    same_run("reset/task-03-three", "alone");
    cJSON *all = json_at("reset/all_results.json");
    assert_true(number_in(all, "when_learned", "three") == result("alone", "eval_accuracy"));
    cJSON_Delete(all);
}

static void test_joint_is_train_on_all(void **state) {
    (void)state;
    must(run("continual " SHARED "--between joint --output_dir joint --tasks '[{\"name\": \"two\", \"train_data\": "
             "\"two/train\", \"eval_data\": \"two/val\"}, {\"name\": \"three\", \"train_data\": \"three/train\", "
             "\"eval_data\": \"three/val\"}]'"),
         0);
    must(run("train " SHARED "--train_data '[\"two/train\", \"three/train\"]' --eval_data '[\"two/val\", "
             "\"three/val\"]' --output_dir together"),
         0);
    same_run("joint/joint", "together");
    cJSON *all = json_at("joint/all_results.json");
    const double mean = (number_in(all, "at_the_end", "two") + number_in(all, "at_the_end", "three")) / 2;
    assert_true(fabs(mean - number_in(all, "average_accuracy", NULL)) < 1e-12);
    assert_true(fabs(mean - result("together", "eval_accuracy")) < 1e-12); /* as many examples of each */
    assert_true(isnan(number_in(all, "bwt", NULL)));
    cJSON_Delete(all);
}

/* ---- what is measured, and what is made of it ---- */

/* R[t][j] and the base's score, from matrix.csv. */
static void read_matrix(double R[N_TASKS][N_TASKS], double base[N_TASKS], const char *path) {
    size_t n;
    char *all = contents(path, &n), *at = strchr(all, '\n');
    if (strncmp(all, "after,one,two,three,base\n", 25) != 0) fail_msg("%s begins with:\n%s", path, all);
    for (int t = 0; t < N_TASKS; t++) {
        char name[16];
        if (sscanf(at + 1, "%15[^,],%lf,%lf,%lf,%lf", name, &R[t][0], &R[t][1], &R[t][2], &base[t]) != 5 ||
            strcmp(name, names[t]))
            fail_msg("line %d of %s:\n%s", t + 1, path, at + 1);
        at = strchr(at + 1, '\n');
    }
    assert_string_equal(at, "\n");
    lf_free(all);
}

static void test_scores_are_those_of_eval(void **state) {
    (void)state;
    double R[N_TASKS][N_TASKS], base[N_TASKS];
    read_matrix(R, base, "kept/matrix.csv");
    for (int t = 0; t < N_TASKS; t++) {
        for (int j = 0; j < N_TASKS; j++) {
            must(
                run("eval --model $M --threads 1 --adapter kept/task-%02d-%s/adapter --data %s/val --compare_with none "
                    "--json 2>/dev/null >eval.json",
                    t + 1, names[t], names[j]),
                0);
            cJSON *o = json_at("eval.json");
            assert_true(number_in(o, "eval_accuracy", NULL) == R[t][j]);
            cJSON_Delete(o);
        }
        assert_true(result(text("kept/task-%02d-%s", t + 1, names[t]), "base_after") == base[t]);
    }
    bool forgot = false; /* else the figures below say nothing */
    for (int t = 1; t < N_TASKS; t++) forgot = forgot || R[t][0] < R[0][0];
    assert_true(forgot);
}

static void is_figure(const cJSON *all, const char *name, double expected) {
    const double found = number_in(all, name, NULL);
    if (!(fabs(found - expected) < 1e-12)) fail_msg("%s is %.17g, expected %.17g", name, found, expected);
}

static void test_figures_are_those_of_the_matrix(void **state) {
    (void)state;
    double R[N_TASKS][N_TASKS], base[N_TASKS];
    read_matrix(R, base, "kept/matrix.csv");
    cJSON *all = json_at("kept/all_results.json");
    const double guess = 1.0 / 3, end = (R[2][0] + R[2][1] + R[2][2]) / 3, half = (R[1][0] + R[1][1]) / 2;
    is_figure(all, "average_accuracy", end);
    is_figure(all, "average_incremental_accuracy", (R[0][0] + half + end) / 3);
    is_figure(all, "average_when_learned_accuracy", (R[0][0] + R[1][1] + R[2][2]) / 3);
    is_figure(all, "bwt", ((R[2][0] - R[0][0]) + (R[2][1] - R[1][1])) / 2);
    is_figure(all, "fwt", ((R[0][1] - guess) + (R[1][2] - guess)) / 2);
    is_figure(all, "forgetting", ((fmax(R[0][0], R[1][0]) - R[2][0]) + (R[1][1] - R[2][1])) / 2);
    is_figure(all, "forgetting_since_learned", ((R[0][0] - R[2][0]) + (R[1][1] - R[2][1])) / 2);
    is_figure(all, "base_before", result("kept/task-01-one", "base_before"));
    is_figure(all, "base_after", base[2]);
    is_figure(all, "base_forgetting", result("kept/task-01-one", "base_before") - base[2]);
    const cJSON *course = cJSON_GetObjectItem(all, "course");
    assert_int_equal(cJSON_GetArraySize(course), N_TASKS);
    is_figure(cJSON_GetArrayItem(course, 1), "average_accuracy", half);
    is_figure(cJSON_GetArrayItem(course, 1), "bwt", R[1][0] - R[0][0]);
    cJSON_Delete(all);
    assert_true(lf_is_file(text("%s/kept/matrix.gp", root))); /* and where there is gnuplot its picture */
    assert_true(lf_is_file(text("%s/kept/matrix.svg", root)) || !lf_is_file("/usr/bin/gnuplot"));
}

/* Of other classes than its head has, a run answers nothing: that is no score of 0. */
static void test_other_classes_are_not_asked(void **state) {
    (void)state;
    must(run("continual --model $M --threads 1 --max_steps 1 --between reset --output_dir apart --tasks '[{\"name\": "
             "\"a\", \"train_data\": \"one\"}, {\"name\": \"b\", \"train_data\": \"base\", \"eval_data\": \"base\"}]'"),
         0);
    cJSON *all = json_at("apart/all_results.json");
    assert_true(isnan(number_in(all, "at_the_end", "a")) && !isnan(number_in(all, "at_the_end", "b")));
    assert_true(isnan(number_in(all, "average_accuracy", NULL)));
    assert_true(isfinite(number_in(all, "average_when_learned_accuracy", NULL)));
    cJSON_Delete(all);
    size_t n;
    char *matrix = contents("apart/matrix.csv", &n);
    assert_non_null(strstr(matrix, "\nb,,"));
    lf_free(matrix);
}

/* ---- what earlier tasks leave ---- */

static bool logs(const char *dir, const char *term) {
    size_t n;
    char *lines = contents(text("%s/metrics.jsonl", dir), &n);
    const bool there = strstr(lines, text("\"%s\":", term)) != NULL;
    lf_free(lines);
    return there;
}

/* A remedy whose data nobody names takes those of the tasks before; the first has none. */
static void test_remedies_take_what_was_before(void **state) {
    (void)state;
    static const struct {
        const char *flags, *term, *key;
        int items;
    } remedies[] = {
        {"--between keep --replay_ratio 0.5", "replay", "replay_data", 2},
        {"--between keep --ewc_weight 1 --ewc_samples 4", "ewc", "ewc_from", 2},
        {"--between merge --orthogonal_weight 1", "orthogonal", "earlier_adapters", 2},
    };
    for (int i = 0; i < 3; i++) {
        must(run("continual tasks.json --model $M --threads 1 --r 2 --max_steps 2 --logging_steps 1 --output_dir "
                 "remedy-%d %s",
                 i, remedies[i].flags),
             0);
        char dirs[N_TASKS][48];
        for (int t = 0; t < N_TASKS; t++) {
            snprintf(dirs[t], sizeof dirs[t], "remedy-%d/task-%02d-%s", i, t + 1, names[t]);
            assert_true(logs(dirs[t], remedies[i].term) == (t > 0));
        }
        cJSON *config = json_at(text("%s/config.json", dirs[2]));
        assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(config, remedies[i].key)), remedies[i].items);
        cJSON_Delete(config);
    }
}

/* ---- killed, and gone on ---- */

#define CUT "continual tasks.json " SHARED "--save_strategy steps --save_steps 2 --eval_strategy steps --eval_steps 1 "

/* Where it is found when it has said this. */
static const char *const said_before[] = {"task 1 of 3", "step 3:", "after 'one': the scores",
                                          "task 2 of 3", "step 3:", "after 'two': the scores",
                                          "task 3 of 3", "step 5:", "after 'three': the scores"};
enum { N_KILLS = sizeof said_before / sizeof *said_before };

static void killed_where(const char *dir, const char *words, int number) {
    char log[48], command[1024];
    snprintf(log, sizeof log, "kill-%s-%d.log", dir, number);
    snprintf(command, sizeof command, CUT "--output_dir %s --resume_from_checkpoint true", dir);
    const int says = hold(log);
    const pid_t pid = start_run(command, log);
    wait_for_words(says, words);
    stop_for_a_while(pid);
    kill(pid, SIGKILL);
    assert_int_equal(code_of(pid), -1);
    let_go(says, log);
}

static void test_killed_is_uninterrupted(void **state) {
    (void)state;
    must(run(CUT "--output_dir straight"), 0);
    for (int i = 0; i < N_KILLS; i++) killed_where("killed", said_before[i], i);
    must(run(CUT "--output_dir killed --resume_from_checkpoint true"), 0);
    same_sequences("straight", "killed");
}

/* With LF_TEST_LONG=1: killed thirty times, wherever a task says something. */
static void test_killed_everywhere(void **state) {
    (void)state;
    static const char *const places[] = {"step 0:", "step 1:", "step 2:",        "step 3:",        "step 4:",
                                         "step 5:", "6 steps", "the adapter is", ": the scores of"};
    enum { N_PLACES = sizeof places / sizeof *places };
    int number = 0;
    if (!getenv("LF_TEST_LONG")) skip();
    for (int t = 0; t < N_TASKS; t++) {
        char begins[32];
        snprintf(begins, sizeof begins, "task %d of 3", t + 1);
        killed_where("often", begins, number++);
        for (int i = 0; i < N_PLACES; i++) killed_where("often", places[i], number++);
    }
    assert_true(number >= 30);
    must(run(CUT "--output_dir often --resume_from_checkpoint true"), 0);
    same_sequences("straight", "often");
}

/* Asked to end, it ends at its next step with what it has; and one that has ended is left as it is. */
static void test_stopped_goes_on(void **state) {
    (void)state;
    const int says = hold("stopped.log");
    const pid_t pid = start_run(CUT "--output_dir stopped", "stopped.log");
    wait_for_words(says, "task 2 of 3");
    wait_for_words(says, "step 1:");
    stop_for_a_while(pid);
    kill(pid, SIGTERM);
    let_go(says, "stopped.log");
    assert_int_equal(code_of(pid), 130);
    assert_false(lf_is_file(text("%s/stopped/all_results.json", root)));
    must(run(CUT "--output_dir stopped --resume_from_checkpoint true"), 0);
    same_sequences("straight", "stopped");
    must(run(CUT "--output_dir stopped --resume_from_checkpoint true"), 0);
    said("the run is finished, nothing to resume");
    same_sequences("straight", "stopped");
}

/* ---- mistakes ---- */

#define BARE "continual --model $M --threads 1 --max_steps 1 --output_dir refused "

static const struct {
    const char *flags;
    const char *words[3]; /* of its one line */
} refused[] = {
    {BARE, {"tasks", "required"}},
    {BARE "--tasks '[]'", {"tasks", "1 to 1000"}},
    {BARE "--tasks '[{\"train_data\": \"one\"}]'", {"task 1", "\"name\"", "none"}},
    {BARE "--tasks '[{\"name\": \"a/b\", \"train_data\": \"one\"}]'", {"task 1", "'a/b'"}},
    {BARE "--tasks '[{\"name\": \"a\", \"train_data\": \"one\"}, {\"name\": \"a\", \"train_data\": \"two\"}]'",
     {"tasks 1 and 2", "'a'"}},
    {BARE "--tasks '[{\"name\": \"a\"}]'", {"task 'a'", "train_data", "required"}},
    {BARE "--tasks '[{\"name\": \"a\", \"train_data\": \"gone\"}]'", {"task 'a'", "gone"}},
    {BARE "--tasks '[{\"name\": \"a\", \"train_data\": \"one/train\"}]'", {"task 'a'", "eval_data"}},
    {BARE "--tasks '[{\"name\": \"a\", \"train_data\": \"one\"}, {\"name\": \"b\", \"train_data\": \"two/train\", "
          "\"eval_data\": \"gone\"}]'",
     {"eval_data", "'b'", "gone"}},
    {BARE "--tasks '[{\"name\": \"a\", \"train_data\": \"one\", \"learning_rat\": 1}]'",
     {"learning_rat", "'a'", "learning_rate"}},
    {BARE "--tasks '[{\"name\": \"a\", \"train_data\": \"one\", \"lr\": 1, \"learning_rate\": 2}]'",
     {"'a'", "learning_rate", "twice"}},
    {BARE "--tasks '[{\"name\": \"a\", \"train_data\": \"one\", \"output_dir\": \"x\"}]'", {"output_dir", "'a'"}},
    {BARE "--tasks '[{\"name\": \"a\", \"train_data\": \"one\", \"model\": \"x\"}]'", {"model", "'a'"}},
    {BARE
     "--tasks '[{\"name\": \"a\", \"train_data\": \"one\"}, {\"name\": \"b\", \"train_data\": \"two\", \"r\": 3}]'",
     {"'r'", "'b'", "between keep"}},
    {BARE "--between joint --tasks '[{\"name\": \"a\", \"train_data\": \"one/train\", \"eval_data\": \"one/val\", "
          "\"r\": 3}]'",
     {"'r'", "'a'", "between joint"}},
    {BARE "--between joint --tasks '[{\"name\": \"a\", \"train_data\": \"one/train\", \"eval_data\": \"one/val\"}, "
          "{\"name\": \"b\", \"train_data\": \"two\"}]'",
     {"eval_data", "'a'", "'b' does not"}},
    {BARE "--tasks '[{\"name\": \"a\", \"train_data\": \"one\", \"max_forgetting_samples\": 3}]'",
     {"max_forgetting_samples", "'a'", "whole sequence"}},
    {BARE "tasks.json --train_data one", {"train_data", "tasks"}},
    {BARE "tasks.json --train_val_split 0.2", {"train_val_split", "eval_data"}},
    {BARE "tasks.json --method full", {"method", "full"}},
    {BARE "tasks.json --ewc_weight 1", {"ewc_samples", "'one'", "ewc_weight"}},
    {BARE "tasks.json --ewc_weight 1 --ewc_samples 4 --between merge", {"ewc_weight", "new adapter", "between keep"}},
    {BARE "tasks.json --orthogonal_weight 1", {"orthogonal_weight", "learned itself", "merge or stack"}},
    /* what `train` would refuse when it is a later task's turn */
    {BARE "tasks.json --orthogonal_weight 1 --between stack --init pissa", {"'two'", "orthogonal_weight", "pissa"}},
    {BARE "--tasks '[{\"name\": \"a\", \"train_data\": \"one\"}, {\"name\": \"b\", \"train_data\": \"two/train\", "
          "\"eval_data\": \"two/val\", \"kl_weight\": 1}]'",
     {"'b'", "kl_weight", "kl_data"}},
    {BARE "tasks.json --between mend", {"between", "mend", "keep"}},
    {BARE "tasks.json --between joint --heads task", {"heads", "one run"}},
    {BARE "tasks.json --heads task --reuse_head true", {"reuse_head", "heads task"}},
    {BARE "--heads task --between reset --tasks '[{\"name\": \"a\", \"train_data\": \"base\", \"eval_data\": \"base\", "
          "\"reuse_head\": true}]'",
     {"reuse_head", "'a'", "heads task"}},
    {BARE "tasks.json --heads task --method head", {"heads", "method head", "heads one"}},
    {BARE "tasks.json --heads task --use_dora true", {"use_dora", "DoRA", "heads one"}},
    {BARE "tasks.json --heads task --replay_ratio 0.5", {"replay_ratio", "heads task"}},
    {BARE "tasks.json --kl_weight 1 --kl_reference previous", {"kl_reference", "merge or stack", "keep"}},
    {BARE "tasks.json --resume_from_checkpoint some", {"resume_from_checkpoint", "true"}},
    {"continual tasks.json --model $M --output_dir kept", {"kept", "not empty", "resume_from_checkpoint"}},
    {"continual tasks.json " SHARED "--between reset --output_dir kept --resume_from_checkpoint true",
     {"kept", "between", "reset"}},
    {"continual tasks.json --model $M --output_dir tasks.json", {"tasks.json", "is a file"}},
    {"continual tasks.json " SHARED "--output_dir plain --overwrite_output_dir", {"plain", "a run of train"}},
    {"continual tasks.json " SHARED "--output_dir plain --resume_from_checkpoint true", {"plain", "a run of train"}},
};

static void test_mistakes(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const int code = run("%s", refused[i].flags);
        if (code != 2 && code != 3) fail_msg("'%s': exit code %d, it said:\n%s", refused[i].flags, code, output);
        for (int w = 0; w < 3 && refused[i].words[w]; w++)
            if (!strstr(output, refused[i].words[w]))
                fail_msg("'%s': no '%s' in: %s", refused[i].flags, refused[i].words[w], output);
        assert_false(lf_exists(text("%s/refused", root)));
    }
}

static void test_dry_run_makes_nothing(void **state) {
    (void)state;
    must(run("continual tasks.json " SHARED "--replay_ratio 0.5 --dry_run --output_dir dry"), 0);
    must(run("continual tasks.json " SHARED "--dry_run --json --output_dir dry 2>/dev/null >dry.json"), 0);
    assert_false(lf_exists(text("%s/dry", root)));
    cJSON *o = json_at("dry.json");
    assert_true(number_in(o, "runs", NULL) == 3);
    const cJSON *second = cJSON_GetArrayItem(cJSON_GetObjectItem(o, "tasks"), 1);
    assert_true(number_in(second, "train_examples", NULL) == 18 && number_in(second, "classes", NULL) == 3);
    cJSON_Delete(o);
    must(run("continual tasks.json " SHARED "--output_dir printed --print_config 2>/dev/null >printed.json"), 0);
    must(run("continual printed.json --dry_run"), 0); /* a resolved configuration is the same again */
}

/* What is overwritten leaves no score behind. */
static void test_overwritten_begins_anew(void **state) {
    (void)state;
    must(run("continual tasks.json " SHARED "--max_steps 1 --between reset --output_dir kept --overwrite_output_dir"),
         0);
    must(run("continual tasks.json " SHARED "--max_steps 1 --between reset --output_dir fresh"), 0);
    same_sequences("kept", "fresh");
    put("kept/task-02-two/notes.txt", "mine");
    must(run("continual tasks.json " SHARED "--max_steps 2 --between reset --tasks '[{\"name\": \"one\", "
             "\"train_data\": \"one\"}]' --output_dir kept --overwrite_output_dir"),
         0);
    assert_false(lf_exists(text("%s/kept/task-03-three", root)));
    assert_false(lf_exists(text("%s/kept/task-02-two/adapter", root)));
    assert_true(lf_exists(text("%s/kept/task-02-two/notes.txt", root)));
}

/* ---- longer than it was ---- */

#define LONGER "continual tasks.json " SHARED "--resume_from_checkpoint true "

/* Where a task stands on the one before it, a longer one would be trained on beneath what has been learned since. */
static void test_longer_is_another(void **state) {
    (void)state;
    must(run("--version; cp -r straight was"), 0);
    must(run(LONGER "--max_steps 8 --output_dir straight"), 2);
    said("max_steps");
    said("between keep");
    said("overwrite_output_dir");
    same_files("straight/continual.json", "was/continual.json");
    assert_false(lf_exists(text("%s/straight/error.json", root)));
    same_sequences("straight", "was");
}

/* Where each begins with the base, it goes on as a run does, if it can. */
static void test_longer_goes_on(void **state) {
    (void)state;
    must(run("--version; cp -r reset cut"), 0);
    must(run(LONGER "--max_steps 7 --between reset --output_dir reset"), 0);
    must(run("continual tasks.json " SHARED "--max_steps 7 --between reset --output_dir long"), 0);
    same_files("reset/matrix.csv", "long/matrix.csv");
    same_files("reset/all_results.json", "long/all_results.json");
    /* stopped on the way there are no results: those of before are of what was asked for before */
    must(run("--version; for f in cut/task-02-two/checkpoint-*/*.*; do : >$f; done"), 0);
    assert_int_not_equal(run(LONGER "--max_steps 7 --between reset --output_dir cut"), 0);
    assert_false(lf_exists(text("%s/cut/all_results.json", root)));
    cJSON *config = json_at("cut/continual.json");
    assert_true(number_in(config, "max_steps", NULL) == 7);
    cJSON_Delete(config);
}

static void test_longer_needs_checkpoints(void **state) {
    (void)state;
    must(run("continual tasks.json " SHARED "--max_steps 1 --between reset --save_strategy no --output_dir bare"), 0);
    must(run("--version; cp -r bare bare-was"), 0);
    must(run(LONGER "--max_steps 2 --between reset --save_strategy no --output_dir bare"), 2);
    said("max_steps");
    said("no checkpoint");
    same_files("bare/continual.json", "bare-was/continual.json");
    same_sequences("bare", "bare-was");
}

/* A refusal to go on costs nothing, and is said on the page. */
static void test_refused_keeps_results(void **state) {
    (void)state;
    must(run("continual tasks.json " SHARED "--max_steps 1 --between reset --output_dir whole"), 0);
    write_folder("three/val", (const char *const[]){"cat", "apple", "bee"}, 3, 5, 31000);
    assert_int_equal(run("continual tasks.json " SHARED "--max_steps 1 --between reset --output_dir whole "
                         "--resume_from_checkpoint true"),
                     2);
    same_files("whole/all_results.json", "fresh/all_results.json");
    same_files("whole/matrix.csv", "fresh/matrix.csv");
    same_files("whole/sequence.json", "fresh/sequence.json");
    size_t n;
    char *page = contents("whole/report.html", &n);
    assert_non_null(strstr(page, "a later try to go on with it failed"));
    lf_free(page);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_task_is_train),
        cmocka_unit_test(test_keep_goes_on),
        cmocka_unit_test(test_reset_begins_again),
        cmocka_unit_test(test_joint_is_train_on_all),
        cmocka_unit_test(test_scores_are_those_of_eval),
        cmocka_unit_test(test_figures_are_those_of_the_matrix),
        cmocka_unit_test(test_other_classes_are_not_asked),
        cmocka_unit_test(test_remedies_take_what_was_before),
        cmocka_unit_test(test_killed_is_uninterrupted),
        cmocka_unit_test(test_killed_everywhere),
        cmocka_unit_test(test_stopped_goes_on),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_dry_run_makes_nothing),
        cmocka_unit_test(test_longer_is_another),
        cmocka_unit_test(test_longer_goes_on),
        cmocka_unit_test(test_longer_needs_checkpoints),
        cmocka_unit_test(test_overwritten_begins_anew),
        cmocka_unit_test(test_refused_keeps_results),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown);
}
