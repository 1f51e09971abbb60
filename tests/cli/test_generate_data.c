/* Answers to the prompts of a file: from every format that training reads, the same bytes however many are answered at
 * once, and in a file that is gone on with after whatever end of the program. */
#define _GNU_SOURCE
#include "cli/lm_cli_fixture.h"
#include "cli/stop_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/inotify.h>

#define GENERATE "generate --model pre/model --threads 1 "

/* Exit code `want`, and one line of an error that has `says` in it. */
static void fails(const char *arguments, int want, const char *says) {
    must(arguments, want);
    const char *line = strstr(output, "lora-ft ");
    if (!line || !strstr(line, says) || strchr(line, '\n') != line + strlen(line) - 1)
        fail_msg("'%s': expected one line with '%s', found:\n%s", arguments, says, output);
}

static char *content_of(const char *name, size_t *n) {
    char *bytes;
    lf_err err = {0};
    if (lf_file_read(&bytes, n, text("%s/%s", root, name), &err)) fail_msg("%s", err.message);
    return bytes;
}

/* Line i of a file as an object; the caller deletes it. */
static cJSON *line_of(const char *name, int i) {
    size_t n;
    char *bytes = content_of(name, &n), *at = bytes;
    for (; i > 0 && at; i--) at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL;
    cJSON *o = at && *at ? cJSON_ParseWithLength(at, strcspn(at, "\n")) : NULL;
    if (!o) fail_msg("%s has no such line:\n%s", name, bytes);
    lf_free(bytes);
    return o;
}

static const char *string(const cJSON *o, const char *key) {
    const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));
    if (!s) fail_msg("there is no text '%s'", key);
    return s;
}

static int count_lines(const char *name) {
    size_t n;
    char *bytes = content_of(name, &n);
    int lines = 0;
    for (size_t i = 0; i < n; i++) lines += bytes[i] == '\n';
    lf_free(bytes);
    return lines;
}

/* ---- formats ---- */

/* What the verb writes to one prompt is what stands in the file for it. */
static void answers_as(const char *records, const char *more, const char *alone, const char *right) {
    put("one.jsonl", records);
    must(text("generate --model pre/model --threads 1 --data one.jsonl --max_new_tokens 6 %s > one.out 2> one.err",
              more),
         0);
    assert_int_equal(count_lines("one.out"), 1);
    cJSON *o = line_of("one.out", 0), *a = json_of(text(GENERATE "--max_new_tokens 6 --json %s", alone));
    assert_string_equal(string(o, "text"), string(a, "text"));
    assert_string_equal(string(o, "finish_reason"), string(a, "finish_reason"));
    assert_true(number(o, "index") == 0 && number(o, "prompt_tokens") == number(a, "prompt_tokens") &&
                number(o, "generated_tokens") == number(a, "generated_tokens"));
    const char *found = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "right_answer"));
    if ((found != NULL) != (right != NULL) || (right && strcmp(found, right)))
        fail_msg("%s: the right answer is '%s', expected '%s'", records, found ? found : "none",
                 right ? right : "none");
    cJSON_Delete(o);
    cJSON_Delete(a);
}

#define CHATML "--chat_template chatml "

static void test_formats(void **state) {
    (void)state;
    answers_as("{\"prompt\": \"the cat\"}\n", "", "--prompt 'the cat'", NULL);
    answers_as("{\"text\": \"the cat\"}\n", "", "--prompt 'the cat'", NULL);
    answers_as("{\"prompt\": \"the cat\", \"completion\": \" sat\"}\n", "", "--prompt 'the cat'", " sat");
    answers_as("{\"instruction\": \"add\", \"input\": \"1 2\"}\n", "", "--prompt 'add\n1 2\n'", NULL);
    answers_as("{\"question\": \"who?\", \"choices\": [\"a\", \"b\"], \"answer\": 1}\n", "", "--prompt 'who?\n'", "b");
    answers_as("{\"question\": \"who?\", \"choices\": [\"a\", \"b\"]}\n", "", "--prompt 'who?\n'", NULL);
    answers_as("{\"word\": \"cat\", \"prompt\": \"x\"}\n", "--prompt_template 'the {word}'", "--prompt 'the cat'",
               NULL);
    answers_as("{\"prompt\": \"hi\"}\n", "--chat --system Be. " CHATML, "--chat --system Be. --prompt hi " CHATML,
               NULL);
    answers_as("{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}\n", CHATML, "--chat --prompt hi " CHATML,
               NULL);
    answers_as("{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}, {\"role\": \"assistant\", \"content\": "
               "\"yo\"}]}\n",
               CHATML, "--chat --prompt hi " CHATML, "yo");
    answers_as("{\"messages\": [{\"role\": \"system\", \"content\": \"Be.\"}, {\"role\": \"user\", \"content\": "
               "\"hi\"}]}\n",
               "--system No. " CHATML, "--chat --system Be. --prompt hi " CHATML, NULL);
    answers_as("{\"conversations\": [{\"from\": \"human\", \"value\": \"hi\"}]}\n", "--system Be. " CHATML,
               "--chat --system Be. --prompt hi " CHATML, NULL);
    answers_as("{\"prompt\": [{\"role\": \"user\", \"content\": \"hi\"}]}\n", CHATML, "--chat --prompt hi " CHATML,
               NULL);
    put("p.csv", "prompt,x\n\"the cat\",1\nrain,2\n");
    must(GENERATE "--data p.csv --max_new_tokens 3 > csv.out 2> csv.err", 0);
    assert_int_equal(count_lines("csv.out"), 2);
}

/* ---- the same bytes ---- */

/* Prompts of different lengths, some of them longer than what is read at once and alike in their beginning. */
static void put_prompts(void) {
    char words[2200] = "", line[2600], all[16000] = "";
    for (int i = 0; i < 150; i++) strcat(words, text("w%d runs ", i * 7 % 10));
    for (int i = 0; i < 12; i++) {
        snprintf(line, sizeof line, "{\"prompt\": \"%s%s %d\"}\n", i % 3 == 1 ? words : "", sentences[i % N_SENTENCES],
                 i);
        assert_true(strlen(all) + strlen(line) < sizeof all);
        strcat(all, line);
    }
    put("prompts.jsonl", all);
}

/* config.json of a model that has room for them. */
static void make_long_model(void) {
    static const char *const files[] = {"model.safetensors", "tokenizer.json", "tokenizer_config.json"};
    static char edited[2048];
    lf_err err = {0};
    const char *from = "\"max_position_embeddings\": 96", *at = strstr(config, from);
    assert_non_null(at);
    snprintf(edited, sizeof edited, "%.*s\"max_position_embeddings\": 4096%s", (int)(at - config), config,
             at + strlen(from));
    if (lf_mkdir_p(text("%s/long", root), &err)) fail_msg("%s", err.message);
    for (int i = 0; i < 3; i++)
        if (lf_copy_file(text("%s/pre/model/%s", root, files[i]), text("%s/long", root), files[i], &err))
            fail_msg("%s", err.message);
    put("long/config.json", edited);
}

#define LONG  "generate --model long --threads 1 --data prompts.jsonl --max_new_tokens 24 "
#define DRAWN "--temperature 1 --top_k 50 "

static void test_the_same_bytes(void **state) {
    (void)state;
    must(LONG DRAWN "-o at1.jsonl --per_device_eval_batch_size 1", 0);
    must(LONG DRAWN "-o at5.jsonl --per_device_eval_batch_size 5", 0);
    must(LONG DRAWN "-o at8.jsonl", 0);
    same_files("at1.jsonl", "at5.jsonl");
    same_files("at1.jsonl", "at8.jsonl");
    must(LONG "-o greedy1.jsonl --per_device_eval_batch_size 1", 0);
    must(LONG "-o greedy.jsonl --per_device_eval_batch_size 3", 0);
    same_files("greedy1.jsonl", "greedy.jsonl");
    for (int i = 0; i < 12; i++) {
        cJSON *o = line_of("at1.jsonl", i);
        assert_true(number(o, "index") == i);
        assert_true((number(o, "prompt_tokens") > 512) == (i % 3 == 1)); /* two whole parts and more */
        cJSON_Delete(o);
    }
    /* of some of the prompts those answers, under their own numbers */
    must(LONG DRAWN "-o some.jsonl --max_samples 5", 0);
    assert_int_equal(count_lines("some.jsonl"), 5);
    for (int i = 0; i < 5; i++) {
        cJSON *some = line_of("some.jsonl", i), *all = line_of("at1.jsonl", (int)number(some, "index"));
        assert_string_equal(string(some, "text"), string(all, "text"));
        cJSON_Delete(some);
        cJSON_Delete(all);
    }
    put("twice.jsonl", "{\"prompt\": \"the cat\"}\n{\"prompt\": \"the cat\"}\n");
    must(GENERATE DRAWN "--data twice.jsonl -o twice.out --max_new_tokens 12", 0);
    cJSON *a = line_of("twice.out", 0), *b = line_of("twice.out", 1);
    assert_string_not_equal(string(a, "text"), string(b, "text")); /* other random numbers */
    cJSON_Delete(a);
    cJSON_Delete(b);
}

/* ---- going on ---- */

static void cut_to(const char *from, size_t n, const char *to) {
    size_t size;
    lf_err err = {0};
    char *bytes = content_of(from, &size);
    assert_true(n <= size);
    if (lf_file_write(text("%s/%s", root, to), bytes, n, &err) ||
        lf_copy_file(text("%s/%s.made.json", root, from), root, text("%s.made.json", to), &err))
        fail_msg("%s", err.message);
    lf_free(bytes);
}

/* However much of the file was written. */
static void test_going_on(void **state) {
    (void)state;
    size_t size;
    must(LONG DRAWN "-o whole.jsonl", 0);
    char *bytes = content_of("whole.jsonl", &size);
    const size_t first = strcspn(bytes, "\n") + 1, third = first + strcspn(bytes + first, "\n") + 1;
    const size_t cuts[] = {0, 1, first - 1, first, first + 20, third, size - 1, size};
    lf_free(bytes);
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        cut_to("whole.jsonl", cuts[i], "part.jsonl");
        cJSON *o = json_of(LONG DRAWN "-o part.jsonl --json --per_device_eval_batch_size 2");
        const double before = cuts[i] < first    ? 0
                              : cuts[i] < third  ? 1
                              : cuts[i] == third ? 2
                              : cuts[i] < size   ? 11
                                                 : 12;
        assert_true(number(o, "answers") == 12 && number(o, "answers_before") == before);
        cJSON_Delete(o);
        same_files("whole.jsonl", "part.jsonl");
    }
    must(LONG DRAWN "-o whole.jsonl", 0);
    assert_non_null(strstr(output, "12 of 12 answers are there"));
}

static void test_what_is_not_gone_on_with(void **state) {
    (void)state;
    lf_err err = {0};
    must(LONG DRAWN "-o kept.jsonl", 0);
    fails(LONG DRAWN "-o kept.jsonl --seed 7", 2, "kept.jsonl: its answers were made with 'seed' 42, now it is 7");
    fails(LONG DRAWN "-o kept.jsonl --stop x", 2, "'stop' null");
    fails("generate --model pre/model --threads 1 --data prompts.jsonl --max_new_tokens 24 " DRAWN "-o kept.jsonl", 3,
          "leaves no room"); /* the prompts are looked at first */
    put("others.jsonl", "{\"prompt\": \"x\"}\n");
    fails("generate --model long --threads 1 --data others.jsonl --max_new_tokens 24 " DRAWN "-o kept.jsonl", 2,
          "'prompts' 12, now it is 1");
    put("told.jsonl", "{\"prompt\": \"a\", \"completion\": \" b\"}\n{\"prompt\": \"c\", \"completion\": \" d\"}\n");
    must(GENERATE "--data told.jsonl --max_new_tokens 2 -o told.out", 0);
    put("told.jsonl", "{\"prompt\": \"a\", \"completion\": \" b\"}\n{\"prompt\": \"c\", \"completion\": \" e\"}\n");
    fails(GENERATE "--data told.jsonl --max_new_tokens 2 -o told.out", 2, "'prompts_hash'"); /* what is right is told */
    put("told.out", "{\"index\": 0}\n");                                                     /* no answer */
    put("told.jsonl", "{\"prompt\": \"a\", \"completion\": \" b\"}\n{\"prompt\": \"c\", \"completion\": \" d\"}\n");
    fails(GENERATE "--data told.jsonl --max_new_tokens 2 -o told.out", 3, "told.out: line 1 is not the answer");
    put("told.out.made.json", "null");
    fails(GENERATE "--data told.jsonl --max_new_tokens 2 -o told.out", 3, "told.out.made.json: expected an object");
    cut_to("kept.jsonl", 0, "empty.jsonl"); /* nothing there: anything may come */
    must("generate --model long --threads 1 --data others.jsonl --max_new_tokens 2 -o empty.jsonl", 0);
    size_t size;
    char *bytes = content_of("kept.jsonl", &size);
    const size_t second = strcspn(bytes, "\n") + strlen("\n{\"index\": ");
    assert_true(second < size && bytes[second] == '1');
    bytes[second] = '3';
    if (lf_file_write(text("%s/kept.jsonl", root), bytes, size, &err)) fail_msg("%s", err.message);
    lf_free(bytes);
    fails(LONG DRAWN "-o kept.jsonl", 3, "kept.jsonl: line 2 is not the answer with the index 1");
    if (remove(text("%s/kept.jsonl.made.json", root))) fail_msg("it is not there");
    fails(LONG DRAWN "-o kept.jsonl", 2, "no kept.jsonl.made.json beside it says what made it");
    const int fd = open(text("%s/held.jsonl", root), O_RDWR | O_CREAT, 0666);
    assert_true(fd >= 0 && flock(fd, LOCK_EX) == 0);
    fails(LONG "-o held.jsonl", 2, "held.jsonl: another process is writing it");
    close(fd);
}

/* ---- being ended ---- */

/* The program at work on many long answers, once it has written some of them into `name`. */
static pid_t begin(const char *name) {
    char changes[4096];
    put(name, "");
    const int watch = inotify_init();
    assert_true(watch >= 0 && inotify_add_watch(watch, text("%s/%s", root, name), IN_MODIFY) >= 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const int nowhere = open("/dev/null", O_RDWR);
        dup2(nowhere, 1);
        dup2(nowhere, 2);
        if (chdir(root)) _exit(1);
        execl(LF_BUILD_DIR "/lora-ft", "lora-ft", "generate", "--model", "pre/model", "--threads", "1", "--data",
              "many.jsonl", "--ignore_eos", "--max_new_tokens", "80", "--per_device_eval_batch_size", "3", "-o", name,
              (char *)NULL);
        _exit(1);
    }
    for (int changed = 0; changed < 2; changed++) {
        struct pollfd p = {.fd = watch, .events = POLLIN};
        if (poll(&p, 1, GIVE_UP_MS) != 1 || read(watch, changes, sizeof changes) <= 0) {
            kill(child, SIGKILL);
            fail_msg("no answer came");
        }
    }
    close(watch);
    stop_for_a_while(child);
    return child;
}

static int end_of(pid_t child, int number) {
    int status;
    kill(child, number);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* The lines that are there are the first of the uninterrupted run, and the second start makes them all. */
static void goes_on(const char *name) {
    size_t n, size;
    char *part = content_of(name, &n), *whole = content_of("all.jsonl", &size);
    assert_true(n > 0 && n < size && memcmp(part, whole, n) == 0);
    lf_free(part);
    lf_free(whole);
    must(text("generate --model pre/model --threads 1 --data many.jsonl --ignore_eos --max_new_tokens 80 -o %s", name),
         0);
    assert_non_null(strstr(output, "and are gone on with"));
    same_files("all.jsonl", name);
}

static void test_killed_and_interrupted(void **state) {
    (void)state;
    char lines[20000] = "";
    for (int i = 0; i < 150; i++) strcat(lines, text("{\"prompt\": \"%s %d\"}\n", sentences[i % N_SENTENCES], i));
    put("many.jsonl", lines);
    must("generate --model pre/model --threads 1 --data many.jsonl --ignore_eos --max_new_tokens 80 -o all.jsonl", 0);
    const pid_t killed = begin("killed.jsonl");
    assert_int_equal(end_of(killed, SIGKILL), -SIGKILL);
    goes_on("killed.jsonl");
    const pid_t stopped = begin("stopped.jsonl");
    assert_int_equal(end_of(stopped, SIGINT), 130);
    goes_on("stopped.jsonl");
}

/* ---- examples before a prompt ---- */

/* As if they stood in the record. */
static void test_few_shots(void **state) {
    (void)state;
    put("q.jsonl",
        "{\"question\": \"the cat\", \"answer\": \"sat\"}\n{\"question\": \"a dog\", \"answer\": \"ran\"}\n");
    put("whole.jsonl", "{\"prompt\": \"a dog\\nran\\n\\nthe cat\\n\", \"completion\": \"sat\"}\n"
                       "{\"prompt\": \"the cat\\nsat\\n\\na dog\\n\", \"completion\": \"ran\"}\n");
    put("turns.jsonl", "{\"messages\": [{\"role\": \"user\", \"content\": \"a dog\\n\"}, {\"role\": \"assistant\", "
                       "\"content\": \"ran\"}, {\"role\": \"user\", \"content\": \"the cat\\n\"}]}\n"
                       "{\"messages\": [{\"role\": \"user\", \"content\": \"the cat\\n\"}, {\"role\": \"assistant\", "
                       "\"content\": \"sat\"}, {\"role\": \"user\", \"content\": \"a dog\\n\"}]}\n");
    cJSON *a = json_of(
              "eval --model pre/model --threads 1 --json --data q.jsonl --num_fewshot 1 --fewshot_data q.jsonl"),
          *b = json_of("eval --model pre/model --threads 1 --json --data whole.jsonl");
    assert_true(number(a, "eval_loss") == number(b, "eval_loss") &&
                number(a, "eval_tokens") == number(b, "eval_tokens"));
    cJSON_Delete(a);
    cJSON_Delete(b);
    must(GENERATE "--max_new_tokens 5 --data q.jsonl --num_fewshot 1 --fewshot_data q.jsonl -o shots.out", 0);
    must(GENERATE "--max_new_tokens 5 --data whole.jsonl -o whole.out", 0);
    same_files("shots.out", "whole.out");
    must("generate --model long --threads 1 " CHATML
         "--max_new_tokens 5 --data q.jsonl --num_fewshot 1 --fewshot_data q.jsonl --chat -o chat.out",
         0);
    must("generate --model long --threads 1 " CHATML "--max_new_tokens 5 --data turns.jsonl -o turns.out", 0);
    for (int i = 0; i < 2; i++) {
        a = line_of("chat.out", i), b = line_of("turns.out", i);
        assert_string_equal(string(a, "text"), string(b, "text"));
        assert_true(number(a, "prompt_tokens") == number(b, "prompt_tokens"));
        cJSON_Delete(a);
        cJSON_Delete(b);
    }
    fails(GENERATE "--data q.jsonl --num_fewshot 1", 2, "needs 'fewshot_data'");
    fails("eval --model pre/model --threads 1 --data q.jsonl --num_fewshot 3 --fewshot_data q.jsonl", 3,
          "2 records, expected at least the 3");
    fails(GENERATE CHATML "--data turns.jsonl --num_fewshot 1 --fewshot_data q.jsonl", 2, "earlier turns are examples");
    fails("eval --model pre/model --threads 1 --data train.jsonl --num_fewshot 1 --fewshot_data q.jsonl", 2,
          "have no prompt and answer");
    fails("predict --model pre/model --threads 1 --data q.jsonl", 3, "generate --data writes an answer to each record");
}

/* ---- what is asked for in vain ---- */

static void test_refused(void **state) {
    (void)state;
    fails(GENERATE "--data prompts.jsonl --prompt x", 2, "key 'prompt' (on the command line): 'data' is given too");
    fails(GENERATE "--data eval.jsonl --json", 2, "give output_file");
    fails(GENERATE "--data - < eval.jsonl", 2, "standard input is one prompt");
    fails(GENERATE "--data plain.txt", 3, "plain text is one text");
    put("bad.jsonl", "{\"prompt\": \"a\"}\n{\"question\": \"b\"}\n");
    fails(GENERATE "--data bad.jsonl -o bad.out", 3, "bad.jsonl: line 2: expected the fields 'prompt'");
    assert_false(lf_exists(text("%s/bad.out", root)));
    put("bad.jsonl", "{\"id\": 3}\n");
    fails(GENERATE "--data bad.jsonl", 3, "expected a prompt in a field");
    put("bad.jsonl", "{\"messages\": [{\"role\": \"assistant\", \"content\": \"hi\"}]}\n");
    fails(GENERATE CHATML "--data bad.jsonl", 3, "a message before that of the assistant");
    fails(GENERATE "--data bad.jsonl", 3, "chat template");
    fails(GENERATE "--data prompts.jsonl -o long.out", 3, "prompts.jsonl: line 2: the prompt has");
    assert_false(lf_exists(text("%s/long.out", root)));
    must(GENERATE "--prompt a --max_new_tokens 1 --max_samples 3 -o x", 0);
    assert_non_null(strstr(output, "key 'max_samples' (on the command line) has no effect without data"));
    assert_non_null(strstr(output, "key 'output_file' (on the command line) has no effect without data"));
}

/* Into a pipe, in which nothing can be gone on with. */
static void test_a_pipe(void **state) {
    (void)state;
    must(GENERATE "--data eval.jsonl --max_new_tokens 3 -o /dev/stdout 2>/dev/null | grep -c '\"index\"'", 0);
    assert_string_equal(output, "2\n");
    assert_false(lf_exists("/dev/stdout.made.json"));
}

static int prepare(void **state) {
    const int rc = setup(state);
    if (rc) return rc;
    put_prompts();
    make_long_model();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_the_same_bytes),
        cmocka_unit_test(test_going_on),
        cmocka_unit_test(test_what_is_not_gone_on_with),
        cmocka_unit_test(test_killed_and_interrupted),
        cmocka_unit_test(test_few_shots),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_a_pipe),
    };
    return cmocka_run_group_tests(tests, prepare, teardown);
}
