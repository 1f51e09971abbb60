/* The library as a program uses it, beside the program on the same files: training that is watched, models that are
 * kept open, results as numbers. What both find is the same, to the last digit. */
#define _XOPEN_SOURCE 700
#include "cli/lm_cli_fixture.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"

/* Programs that were linked with this version of the ABI have these in their memory. */
_Static_assert(sizeof(lf_err) == 1028 && sizeof(lf_number) == 16 && sizeof(lf_figures) == 16, "LF_ABI is another one");
_Static_assert(sizeof(lf_text) == 16 && sizeof(lf_text_score) == 24 && sizeof(lf_turn) == 16, "LF_ABI is another one");
_Static_assert(sizeof(lf_moment) == 56 && sizeof(lf_written) == 64, "LF_ABI is another one");

/* ---- calling it ---- */

static lf_err said; /* by the last call; zeros: it went well */

static void ok(lf_status rc) {
    const lf_err was = said;
    said = (lf_err){0};
    if (rc || was.status) fail_msg("status %d: %s", (int)rc, was.message);
}

static void fails(lf_status rc, lf_status wanted, const char *words) {
    const lf_err was = said;
    said = (lf_err){0};
    if (rc != wanted || was.status != wanted || !strstr(was.message, words))
        fail_msg("status %d, expected %d with '%s': %s", (int)rc, (int)wanted, words, was.message);
}

/* Of words "key=value". Paths are below the test's folder, as those of the program. */
static lf_status configure(lf_config **cfg, const char *verb, const char *words) {
    char line[2000], *save = NULL, *argv[48];
    bool help = false;
    int argc = 0;
    snprintf(line, sizeof line, "%s", words);
    for (char *word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save)) argv[argc++] = word;
    *cfg = NULL;
    lf_status rc = lf_config_new(cfg, verb, &said);
    if (!rc) rc = lf_config_parse_args(*cfg, argc, argv, &help, &said);
    return rc ? rc : lf_config_finish(*cfg, &said);
}

static lf_config *configured(const char *verb, const char *words) {
    lf_config *cfg;
    ok(configure(&cfg, verb, words));
    return cfg;
}

typedef struct open_model {
    lf_config *cfg;
    lf_session *session;
} open_model;

static open_model open_with(const char *verb, const char *words) {
    open_model m = {.cfg = configured(verb, words)};
    ok(lf_session_open(&m.session, m.cfg, &said));
    return m;
}

static void close_model(open_model *m) {
    lf_session_close(m->session);
    lf_config_free(m->cfg);
}

static cJSON *lines_of(const char *path) {
    cJSON *list = cJSON_CreateArray();
    char *bytes, *save = NULL;
    size_t n;
    ok(lf_file_read(&bytes, &n, text("%s/%s", root, path), &said));
    for (char *line = strtok_r(bytes, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        cJSON_AddItemToArray(list, cJSON_Parse(line));
    lf_free(bytes);
    return list;
}

/* ---- training, watched ---- */

#define RUN                                                                                                            \
    "model=pre/model train_data=train.jsonl eval_data=eval.jsonl forgetting_data=plain.txt r=2 max_steps=6 "           \
    "lr=1e-2 batch_size=4 logging_steps=1 eval_strategy=steps eval_steps=3 save_strategy=steps save_steps=3 "          \
    "max_seq_length=32 threads=1 quiet=true "

static int setup_all(void **state) {
    if (setup(state) || chdir(root)) return 1;
    return run_as("2>&1", "train --model pre/model --train_data train.jsonl --eval_data eval.jsonl --forgetting_data "
                          "plain.txt --r 2 --max_steps 6 --lr 1e-2 --batch_size 4 --logging_steps 1 --eval_strategy "
                          "steps --eval_steps 3 --save_strategy steps --save_steps 3 --max_seq_length 32 --threads 1 "
                          "--output_dir cli");
}

static int teardown_all(void **state) { return chdir("/") || teardown(state); }

typedef struct watched {
    int64_t steps, rows, stop_at; /* stop_at: 0: never */
    cJSON *lines;
    double loss, rate; /* of the last step */
} watched;

static bool same_number(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

/* A row is told with the names and numbers of its line in metrics.jsonl. */
static void compare_row(const cJSON *line, const lf_moment *m) {
    const cJSON *item;
    int64_t i = 0;
    assert_non_null(line);
    cJSON_ArrayForEach(item, line) {
        assert_true(i < m->n_row);
        assert_string_equal(m->row[i].name, item->string);
        if (!same_number(m->row[i].value, cJSON_IsNull(item) ? (double)NAN : item->valuedouble))
            fail_msg("row %s: told %.17g, written %.17g", item->string, m->row[i].value, item->valuedouble);
        i++;
    }
    assert_int_equal(i, m->n_row);
}

static bool watch(void *context, const lf_moment *m) {
    watched *w = context;
    assert_int_equal(m->max_steps, 6);
    if (m->n_row == 0) {
        assert_int_equal(m->step, ++w->steps);
        assert_true(m->loss > 0 && m->learning_rate > 0);
        w->loss = m->loss;
        w->rate = m->learning_rate;
        return true;
    }
    assert_int_equal(m->step, w->steps);
    assert_true(m->epoch == lf_number_named(m->row, m->n_row, "epoch"));
    compare_row(cJSON_GetArrayItem(w->lines, (int)w->rows++), m);
    const double loss = lf_number_named(m->row, m->n_row, "loss");
    if (!isnan(loss)) /* logging_steps 1: of this step alone */
        assert_true(loss == w->loss && lf_number_named(m->row, m->n_row, "learning_rate") == w->rate);
    else
        assert_true(!isnan(lf_number_named(m->row, m->n_row, "eval_loss")));
    return m->step < w->stop_at || !w->stop_at;
}

static bool is_of_time(const char *name) {
    return strstr(name, "seconds") || strstr(name, "per_second") || strstr(name, "rss");
}

/* Every number of the object, those of time aside, is a figure. */
static void compare_figures(const lf_figures *f, const cJSON *o, const char *before) {
    const cJSON *item;
    cJSON_ArrayForEach(item, o) {
        const char *name = text("%s%s", before, item->string);
        if (cJSON_IsObject(item)) compare_figures(f, item, text("%s.", name));
        if (!cJSON_IsNumber(item) || is_of_time(name)) continue;
        const double value = lf_number_named(f->at, f->n, name);
        if (value != item->valuedouble) fail_msg("%s: %.17g, and %.17g is written", name, value, item->valuedouble);
    }
}

static void test_trains_as_the_program_does(void **state) {
    (void)state;
    watched w = {.lines = lines_of("cli/metrics.jsonl")};
    lf_figures *f;
    lf_config *cfg = configured("train", RUN "output_dir=api");
    ok(lf_train_watched(cfg, watch, &w, &f, &said));
    assert_int_equal(w.steps, 6);
    assert_int_equal(w.rows, cJSON_GetArraySize(w.lines));
    cJSON *r = results("cli");
    compare_figures(f, r, "");
    assert_true(f->n > 20 && lf_number_named(f->at, f->n, "steps") == 6);
    assert_true(isnan(lf_number_named(f->at, f->n, "no such figure")));
    lf_figures_free(f);
    same_files("cli/adapter/adapter_model.safetensors", "api/adapter/adapter_model.safetensors");
    same_files("cli/adapter/adapter_config.json", "api/adapter/adapter_config.json");
    same_files("cli/metrics.jsonl", "api/metrics.jsonl");
    lf_config_free(cfg);
    cJSON_Delete(r);
    cJSON_Delete(w.lines);
}

static void test_stops_and_goes_on(void **state) {
    (void)state;
    watched w = {.lines = lines_of("cli/metrics.jsonl"), .stop_at = 4};
    lf_figures *f = (lf_figures *)&w;
    lf_config *cfg = configured("train", RUN "output_dir=stopped");
    fails(lf_train_watched(cfg, watch, &w, &f, &said), LF_EINTERRUPTED, "checkpoint-4 is written");
    assert_null(f);
    assert_int_equal(w.steps, 4);
    lf_config_free(cfg);
    cfg = configured("train", RUN "output_dir=stopped resume_from_checkpoint=true");
    ok(lf_train_watched(cfg, NULL, NULL, NULL, &said));
    same_files("cli/adapter/adapter_model.safetensors", "stopped/adapter/adapter_model.safetensors");
    same_files("cli/metrics.jsonl", "stopped/metrics.jsonl");
    /* once more: it is finished, and left as it is */
    w.steps = w.stop_at = 0;
    ok(lf_train_watched(cfg, watch, &w, &f, &said));
    assert_true(w.steps == 0 && lf_number_named(f->at, f->n, "steps") == 6);
    lf_figures_free(f);
    lf_config_free(cfg);
    cJSON_Delete(w.lines);
}

/* Before the first step nothing is there to be kept: it ends after that. */
static bool never(void *context, const lf_moment *m) {
    if (m->step == 0) assert_true(isnan(m->loss) && m->n_row > 0);
    ++*(int *)context;
    return false;
}

static void test_stops_before_it_begins(void **state) {
    (void)state;
    int calls = 0;
    lf_config *cfg = configured("train", RUN "output_dir=never overwrite_output_dir=true");
    fails(lf_train_watched(cfg, never, &calls, NULL, &said), LF_EINTERRUPTED, "checkpoint-1 is written");
    assert_int_equal(calls, 3); /* the evaluation before, the step, its row */
    lf_config_free(cfg);
    cfg = configured("train", RUN "output_dir=planned dry_run=true");
    lf_figures *f;
    ok(lf_train_watched(cfg, never, &calls, &f, &said));
    assert_int_equal(calls, 3);
    assert_true(lf_number_named(f->at, f->n, "total_steps") == 6 &&
                lf_number_named(f->at, f->n, "counts.records") == 24);
    lf_figures_free(f);
    lf_config_free(cfg);
}

static void test_evaluates_as_the_program_does(void **state) {
    (void)state;
    cJSON *o = json_of("eval --model pre/model --adapter cli/adapter --data eval.jsonl --forgetting_data plain.txt "
                       "--threads 1 --json");
    lf_config *cfg = configured("eval", "model=pre/model adapter=cli/adapter data=eval.jsonl "
                                        "forgetting_data=plain.txt threads=1 quiet=true");
    lf_figures *f;
    ok(lf_eval_figures(cfg, &f, &said));
    assert_true(f->n > 10);
    compare_figures(f, o, "");
    lf_figures_free(f);
    fails(lf_train_watched(cfg, NULL, NULL, NULL, &said), LF_EUSAGE, "expected a configuration of 'train'");
    lf_config_free(cfg);
    cJSON_Delete(o);
}

/* ---- scores ---- */

static double exact(const cJSON *line, const char *key) { return number(line, key); }

static void compare_scores(const lf_text_score *scores, int n, const char *path) {
    cJSON *lines = lines_of(path);
    assert_int_equal(cJSON_GetArraySize(lines), n);
    for (int i = 0; i < n; i++) {
        const cJSON *line = cJSON_GetArrayItem(lines, i);
        assert_int_equal(scores[i].tokens, (int64_t)exact(line, "tokens"));
        assert_int_equal(scores[i].right, (int64_t)exact(line, "tokens_right"));
        if (scores[i].loss != exact(line, "loss")) fail_msg("text %d: %.17g", i, scores[i].loss);
    }
    cJSON_Delete(lines);
}

static void test_scores_as_eval_does(void **state) {
    (void)state;
    static const lf_text pairs[] = {{"the cat sat", " on the mat"}, {"a", " dog"}};
    lf_text alone[24];
    lf_text_score scores[24], all;
    static char kept[24][64]; /* the records of train.jsonl */
    for (int i = 0; i < 24; i++) {
        snprintf(kept[i], sizeof kept[i], "%s %d", sentences[i % N_SENTENCES], i);
        alone[i] = (lf_text){kept[i], NULL};
    }
    open_model m = open_with("eval", "model=pre/model adapter=cli/adapter threads=1 quiet=true compare_with=none");
    assert_true(lf_session_writes(m.session) && !lf_session_takes_pictures(m.session));
    int64_t n_labels = 1;
    assert_null(lf_session_labels(m.session, &n_labels, NULL));
    assert_int_equal(n_labels, 0);
    cJSON *o = json_of("eval --model pre/model --adapter cli/adapter --data eval.jsonl --save_predictions pairs.jsonl "
                       "--threads 1 --json");
    ok(lf_session_score(m.session, pairs, 2, scores, &all, &said));
    compare_scores(scores, 2, "pairs.jsonl");
    assert_true(all.loss == number(o, "eval_loss") && all.tokens == scores[0].tokens + scores[1].tokens);
    cJSON_Delete(o);
    o = json_of("eval --model pre/model --adapter cli/adapter --data train.jsonl --save_predictions alone.jsonl "
                "--threads 1 --json");
    ok(lf_session_score(m.session, alone, 24, scores, NULL, &said));
    compare_scores(scores, 24, "alone.jsonl");
    ok(lf_session_score(m.session, alone, 24, NULL, &all, &said));
    assert_true(all.loss == number(o, "eval_loss"));
    cJSON_Delete(o);
    ok(lf_session_score(m.session, alone, 0, NULL, &all, &said));
    assert_true(all.tokens == 0 && isnan(all.loss));
    static const lf_text mixed[] = {{"a", NULL}, {"a", "b"}}, broken[] = {{"fine", NULL}, {"not \xff so", NULL}},
                         none[] = {{NULL, NULL}};
    fails(lf_session_score(m.session, mixed, 2, scores, NULL, &said), LF_EUSAGE, "texts[1]: there is a second text");
    fails(lf_session_score(m.session, broken, 2, scores, NULL, &said), LF_EDATA, "texts[1]");
    fails(lf_session_score(m.session, none, 1, scores, NULL, &said), LF_EUSAGE, "texts[0]: there is no text");
    ok(lf_session_score(m.session, pairs, 2, scores, NULL, &said)); /* and it goes on */
    compare_scores(scores, 2, "pairs.jsonl");
    close_model(&m);
}

/* ---- classes ---- */

/* scores [n, labels] against the file of `predict --top_k LABELS`. */
static void compare_classes(const lf_session *s, const float *scores, int n, const char *path, const char *called) {
    int64_t n_labels;
    const char *const *labels = lf_session_labels(s, &n_labels, NULL);
    cJSON *lines = lines_of(path);
    assert_int_equal(cJSON_GetArraySize(lines), n);
    for (int i = 0; i < n; i++) {
        const cJSON *line = cJSON_GetArrayItem(lines, i), *guess,
                    *top = cJSON_GetObjectItemCaseSensitive(line, "top_k");
        int64_t found = 0;
        assert_true(cJSON_GetArraySize(top) == n_labels || n_labels == 1);
        if (!top) assert_true((double)scores[i] == number(line, called));
        cJSON_ArrayForEach(guess, top) {
            const char *label = cJSON_GetObjectItemCaseSensitive(guess, "label")->valuestring;
            for (int64_t c = 0; c < n_labels; c++)
                if (!strcmp(labels[c], label)) {
                    assert_true((double)scores[i * n_labels + c] == number(guess, called));
                    found++;
                }
        }
        assert_true(!top || found == n_labels);
    }
    cJSON_Delete(lines);
}

#define TUNE "train --model pre/model --task_type SEQ_CLS --threads 1 --r 2 --max_steps 3 --lr 1e-2 --batch_size 4 "
enum { FILMS = 12 };

static void put_films(const char *name, const char *format, const char *const *labels, int n) {
    FILE *f = fopen(text("%s/%s", root, name), "w");
    assert_non_null(f);
    for (int i = 0; i < FILMS; i++) fprintf(f, format, sentences[i % N_SENTENCES], labels[i % n]);
    fclose(f);
}

static void classify(const char *name, const char *adapter, bool pairs, lf_problem problem) {
    lf_text texts[FILMS];
    float scores[FILMS * 3];
    lf_problem found;
    int64_t n_labels;
    for (int i = 0; i < FILMS; i++) texts[i] = (lf_text){sentences[i % N_SENTENCES], pairs ? "it was so" : NULL};
    must(text("predict --model pre/model --adapter %s/adapter --data %s --threads 1 --top_k 3 --output_file %s.out ",
              adapter, name, name),
         0);
    open_model m = open_with("predict", text("model=pre/model adapter=%s/adapter threads=1 quiet=true", adapter));
    lf_session_labels(m.session, &n_labels, &found);
    assert_true(found == problem && n_labels <= 3 && !lf_session_writes(m.session));
    ok(lf_session_classify_texts(m.session, texts, FILMS, scores, &said));
    compare_classes(m.session, scores, FILMS, text("%s.out", name), "score");
    lf_text_score score;
    lf_written w;
    fails(lf_session_score(m.session, texts, 1, &score, NULL, &said), LF_EUNSUPPORTED, "gives no probability");
    fails(lf_session_generate(m.session, "a", NULL, NULL, &w, &said), LF_EUNSUPPORTED, "writes no text");
    fails(lf_session_classify_pictures(m.session, &(const char *){"x.png"}, 1, scores, &said), LF_EUNSUPPORTED,
          "no classes of pictures");
    close_model(&m);
}

static void test_classifies_texts_as_predict_does(void **state) {
    (void)state;
    static const char *const one[] = {"pos", "neg", "odd"}, *const several[] = {"\"a\"", "\"a\", \"b\"", ""},
                             *const numbers[] = {"4.5", "0.25"};
    put_films("films.jsonl", "{\"text\": \"%s\", \"label\": \"%s\"}\n", one, 3);
    put_films("several.jsonl", "{\"text\": \"%s\", \"labels\": [%s]}\n", several, 3);
    put_films("pairs-of-films.jsonl", "{\"sentence1\": \"%s\", \"sentence2\": \"it was so\", \"score\": %s}\n", numbers,
              2);
    must(TUNE "--train_data films.jsonl --output_dir films", 0);
    must(TUNE "--train_data several.jsonl --output_dir several", 0);
    must(TUNE "--train_data pairs-of-films.jsonl --output_dir pairs", 0);
    classify("films.jsonl", "films", false, LF_SINGLE_LABEL);
    classify("several.jsonl", "several", false, LF_MULTI_LABEL);
    classify("pairs-of-films.jsonl", "pairs", true, LF_REGRESSION);
}

/* ---- pictures ---- */

enum { PICTURES = 5, SIDE = 16 };
static char paths[PICTURES][64];

static void put_pictures(void) {
    lf_err err = {0};
    assert_int_equal(lf_mkdir_p(text("%s/pictures", root), &err), LF_OK);
    for (int i = 0; i < PICTURES; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/pictures/%d.ppm", root, i);
        FILE *f = fopen(paths[i], "wb");
        assert_non_null(f);
        fprintf(f, "P6\n%d %d\n255\n", SIDE, SIDE);
        for (int k = 0; k < SIDE * SIDE * 3; k++) fputc((k * (i + 3) * 7 + i * 31) % 256, f);
        fclose(f);
    }
}

static void test_classifies_pictures_as_predict_does(void **state) {
    (void)state;
    const char *given[PICTURES];
    float scores[PICTURES * 8], turned[PICTURES * 8];
    int64_t n;
    put_pictures();
    must("predict --model " LF_TEST_DIR
         "/golden/vit-base --data pictures --threads 1 --top_k 5 --output_file seen.jsonl",
         0);
    open_model m = open_with("predict", "model=" LF_TEST_DIR "/golden/vit-base threads=1 quiet=true");
    assert_true(lf_session_takes_pictures(m.session) && !lf_session_writes(m.session));
    lf_session_labels(m.session, &n, NULL);
    for (int i = 0; i < PICTURES; i++) given[i] = paths[i];
    ok(lf_session_classify_pictures(m.session, given, PICTURES, scores, &said));
    compare_classes(m.session, scores, PICTURES, "seen.jsonl", "probability");
    /* in the order in which they are given, as often as they are; one alone */
    for (int i = 0; i < PICTURES; i++) given[i] = paths[i == 0 ? 1 : PICTURES - 1 - i];
    ok(lf_session_classify_pictures(m.session, given, PICTURES, turned, &said));
    for (int i = 0; i < PICTURES; i++)
        assert_memory_equal(turned + i * n, scores + (i == 0 ? 1 : PICTURES - 1 - i) * n, (size_t)n * sizeof *scores);
    ok(lf_session_classify_pictures(m.session, given, 1, turned, &said));
    given[3] = "/nowhere/at-all.ppm";
    fails(lf_session_classify_pictures(m.session, given, PICTURES, turned, &said), LF_ENOTFOUND,
          "paths[3]: /nowhere/at-all.ppm");
    lf_written w;
    fails(lf_session_generate(m.session, "a", NULL, NULL, &w, &said), LF_EUNSUPPORTED, "of type 'vit' writes no text");
    fails(lf_session_classify_texts(m.session, &(lf_text){"a", NULL}, 1, turned, &said), LF_EUNSUPPORTED,
          "no classes of texts");
    close_model(&m);
    put("broken.ppm", "P6\n16 16\n255\nnothing");
    for (int i = 0; i < PICTURES; i++) given[i] = paths[i];
    given[2] = "broken.ppm";
    m = open_with("predict", "model=" LF_TEST_DIR "/golden/vit-base threads=1 quiet=true");
    fails(lf_session_classify_pictures(m.session, given, PICTURES, turned, &said), LF_EDATA, "broken.ppm");
    close_model(&m);
    m = open_with("predict", "model=" LF_TEST_DIR "/golden/vit-base threads=1 quiet=true skip_bad_images=true");
    lf_log_set_level(LF_LOG_QUIET);
    ok(lf_session_classify_pictures(m.session, given, PICTURES, turned, &said));
    for (int64_t c = 0; c < n; c++) assert_true(isnan(turned[2 * n + c]) && !isnan(turned[3 * n + c]));
    close_model(&m);
}

/* ---- text ---- */

typedef struct heard {
    char text[400];
    size_t n, pieces, most;
} heard;

static bool hear(void *context, const char *piece, size_t n) {
    heard *h = context;
    memcpy(h->text + h->n, piece, n);
    h->text[h->n += n] = 0;
    return ++h->pieces < h->most || !h->most;
}

static void compare_written(const lf_written *w, const cJSON *o) {
    const cJSON *ids = cJSON_GetObjectItemCaseSensitive(o, "ids");
    assert_string_equal(w->text, cJSON_GetObjectItemCaseSensitive(o, "text")->valuestring);
    assert_string_equal(w->ended_by, cJSON_GetObjectItemCaseSensitive(o, "finish_reason")->valuestring);
    assert_int_equal(w->n_ids, cJSON_GetArraySize(ids));
    assert_int_equal(w->prompt_tokens, (int64_t)number(o, "prompt_tokens"));
    for (int64_t i = 0; i < w->n_ids; i++) assert_int_equal(w->ids[i], cJSON_GetArrayItem(ids, (int)i)->valueint);
}

#define WRITE "max_new_tokens=12 temperature=0.8 top_k=40 seed=3 chat_template=chatml threads=1 quiet=true"

static void test_writes_as_generate_does(void **state) {
    (void)state;
    static const lf_turn turns[] = {{"system", "be brief"}, {"user", "the cat"}};
    heard h = {.most = 0};
    lf_written w;
    cJSON *alone = json_of("generate --model pre/model --adapter cli/adapter --prompt 'the cat' --max_new_tokens 12 "
                           "--temperature 0.8 --top_k 40 --seed 3 --threads 1 --json"),
          *answer = json_of("generate --model pre/model --adapter cli/adapter --prompt 'the cat' --max_new_tokens 12 "
                            "--temperature 0.8 --top_k 40 --seed 3 --threads 1 --json --chat --system 'be brief' "
                            "--chat_template chatml");
    open_model m = open_with("generate", "model=pre/model adapter=cli/adapter " WRITE);
    lf_log_set_level(LF_LOG_QUIET);
    for (int again = 0; again < 2; again++) { /* by what was read before */
        ok(lf_session_answer(m.session, turns, 2, NULL, NULL, &w, &said));
        compare_written(&w, answer);
        lf_written_free(&w);
        h = (heard){.most = 0};
        ok(lf_session_generate(m.session, "the cat", hear, &h, &w, &said));
        compare_written(&w, alone);
        assert_string_equal(h.text, w.text);
        lf_written_free(&w);
    }
    h = (heard){.most = 2};
    fails(lf_session_generate(m.session, "the cat", hear, &h, &w, &said), LF_EINTERRUPTED, "interrupted");
    assert_string_equal(w.ended_by, "interrupt");
    assert_true(w.n_ids > 0 && w.n_ids < 12 && h.pieces == 2);
    lf_written_free(&w);
    assert_true(lf_interrupt()); /* between two calls: the next one ends at once */
    fails(lf_session_generate(m.session, "the cat", NULL, NULL, &w, &said), LF_EINTERRUPTED, "interrupted");
    lf_written_free(&w);
    assert_true(lf_interrupt());
    fails(lf_session_score(m.session, &(lf_text){"the cat", NULL}, 1, &(lf_text_score){0}, NULL, &said),
          LF_EINTERRUPTED, "interrupted");
    ok(lf_session_generate(m.session, "the cat", NULL, NULL, &w, &said)); /* that was of the calls before */
    compare_written(&w, alone);
    lf_written_free(&w);
    /* the same model says what a text's probability is */
    lf_text_score score;
    ok(lf_session_score(m.session, &(lf_text){"the cat sat on the mat", NULL}, 1, &score, NULL, &said));
    assert_true(score.tokens > 4 && score.loss > 0);
    fails(lf_session_answer(m.session, turns, 0, NULL, NULL, &w, &said), LF_EUSAGE, "nothing to answer");
    fails(lf_session_answer(m.session, &(lf_turn){"user", NULL}, 1, NULL, NULL, &w, &said), LF_EUSAGE, "no content");
    assert_null(w.text);
    fails(lf_session_classify_texts(m.session, &(lf_text){"a", NULL}, 1, &(float){0}, &said), LF_EUNSUPPORTED,
          "score and generate are for it");
    close_model(&m);
    cJSON_Delete(alone);
    cJSON_Delete(answer);
}

/* ---- mistakes ---- */

static bool asks_inside(void *session, const lf_moment *m) {
    lf_text_score score;
    (void)m;
    fails(lf_session_score(session, &(lf_text){"a dog", NULL}, 1, &score, NULL, &said), LF_EUSAGE,
          "one call after the other");
    return false;
}

static void test_mistakes(void **state) {
    (void)state;
    lf_config *cfg;
    lf_session *s = (lf_session *)&cfg;
    fails(lf_config_new(&cfg, "predct", &said), LF_EUSAGE, "predct");
    fails(configure(&cfg, "predict", "model=pre/model adaptor=x"), LF_EUSAGE, "adapter");
    lf_config_free(cfg);
    fails(configure(&cfg, "predict", "threads=1"), LF_EUSAGE, "key 'model' is required");
    lf_config_free(cfg);
    cfg = configured("train", RUN "output_dir=x");
    fails(lf_session_open(&s, cfg, &said), LF_EUSAGE, "expected a configuration of predict, eval or generate");
    assert_null(s);
    fails(lf_eval_figures(cfg, NULL, &said), LF_EUSAGE, "expected a configuration of 'eval'");
    lf_config_free(cfg);
    cfg = configured("generate", "model=nowhere");
    fails(lf_session_open(&s, cfg, &said), LF_ENOTFOUND, "nowhere");
    lf_config_free(cfg);
    cfg = configured("generate", "model=pre/model adapter=nothing");
    fails(lf_session_open(&s, cfg, &said), LF_ENOTFOUND, "nothing");
    lf_config_free(cfg);
    open_model m = open_with("eval", "model=pre/model threads=1 quiet=true");
    cfg = configured("train", RUN "output_dir=inside overwrite_output_dir=true");
    fails(lf_train_watched(cfg, asks_inside, m.session, NULL, &said), LF_EINTERRUPTED, "checkpoint-1");
    lf_config_free(cfg);
    close_model(&m);
    lf_session_close(NULL);
    lf_figures_free(NULL);
    cfg = configured("eval", "model=pre/model");
    fails(lf_eval(cfg, stdout, &said), LF_EUSAGE, "key 'data' or 'forgetting_data' is required");
    fails(lf_eval_figures(cfg, NULL, &said), LF_EUSAGE, "key 'data' or 'forgetting_data' is required");
    lf_config_free(cfg);
    cfg = configured("predict", "model=pre/model");
    fails(lf_predict(cfg, stdout, &said), LF_EUSAGE, "key 'data' is required");
    lf_config_free(cfg);
    cfg = configured("sweep", RUN "output_dir=sweep sweep={\"seed\":[1]}");
    fails(lf_sweep(cfg, stdout, &said), LF_EUSAGE, "lf_set_program");
    lf_config_free(cfg);
}

/* ---- messages ---- */

typedef struct heard_lines {
    char all[1 << 14];
    size_t n;
    int of_level[LF_LOG_DETAIL + 1];
} heard_lines;

static void note(void *context, lf_log_level level, const char *line) {
    heard_lines *l = context;
    assert_null(strchr(line, '\n'));
    l->of_level[level]++;
    l->n += (size_t)snprintf(l->all + l->n, sizeof l->all - l->n, "%s\n", line);
}

static void test_messages_go_where_they_are_asked_for(void **state) {
    (void)state;
    static heard_lines all;
    const int kept = dup(2), to = open(text("%s/stderr", root), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    char *bytes;
    size_t size;
    assert_true(kept >= 0 && to >= 0);
    fflush(stderr);
    dup2(to, 2);
    lf_log_set_level(LF_LOG_INFO);
    lf_log_divert(note, &all);
    lf_config *cfg =
        configured("train", "model=pre/model train_data=train.jsonl r=2 max_steps=2 threads=1 output_dir=told "
                            "augmentation=flip");
    const lf_status rc = lf_train_watched(cfg, NULL, NULL, NULL, &said);
    lf_say("and a word of the program's");
    lf_log_divert(NULL, NULL);
    lf_info("as before");
    fflush(stderr);
    dup2(kept, 2);
    close(kept);
    close(to);
    ok(rc);
    lf_config_free(cfg);
    assert_true(all.of_level[LF_LOG_INFO] > 3 && all.of_level[LF_LOG_WARN] >= 2);
    assert_non_null(strstr(all.all, "augmentation"));
    assert_non_null(strstr(all.all, "the adapter is "));
    assert_non_null(strstr(all.all, "and a word of the program's\n"));
    ok(lf_file_read(&bytes, &size, text("%s/stderr", root), &said));
    assert_string_equal(bytes, "as before\n");
    lf_free(bytes);
}

/* ---- the examples, and what is installed ---- */

/* Whether each line of `lines` is the best guess of its text in the file of `predict`. */
static void compare_best(char *lines, const char *path) {
    cJSON *guesses = lines_of(path);
    int i = 0;
    char *save = NULL;
    for (char *line = strtok_r(lines, "\n", &save); line; line = strtok_r(NULL, "\n", &save), i++) {
        const cJSON *guess = cJSON_GetArrayItem(guesses, i);
        char *tab = strchr(line, '\t'), *last = strrchr(line, '\t');
        assert_true(guess && tab && last > tab);
        *tab = 0;
        assert_string_equal(line, cJSON_GetObjectItemCaseSensitive(guess, "label")->valuestring);
        assert_true((double)strtof(last, NULL) == number(guess, "score"));
    }
    assert_int_equal(i, 3);
    cJSON_Delete(guesses);
}

#define ASKED "pre/model films/adapter 'the cat sat on the mat' 'a dog' 'rain falls on the hill and runs to the sea'"

static void test_the_example_in_c(void **state) {
    (void)state;
    if (run_shell("cd " LF_BUILD_DIR "/tests && test -x classify-example")) skip();
    put("asked.jsonl",
        "{\"text\": \"the cat sat on the mat\"}\n{\"text\": \"a dog\"}\n{\"text\": \"rain falls on the hill and "
        "runs to the sea\"}\n");
    must("predict --model pre/model --adapter films/adapter --data asked.jsonl --output_file guesses.jsonl", 0);
    if (run_shell(LF_BUILD_DIR "/tests/classify-example " ASKED " 2>&1")) fail_msg("%s", output);
    compare_best(output, "guesses.jsonl");
    assert_int_equal(run_shell(LF_BUILD_DIR "/tests/classify-example pre/model - 'a dog' 2>&1"), 3);
    assert_non_null(strstr(output, "classify: pre/model"));
}

/* The same source, with what pkg-config says of an installed library: the shared one, and the archive. */
static void test_what_is_installed(void **state) {
    (void)state;
    if (SANITIZED) skip(); /* its programs need the sanitizer's options */
    if (run_shell("test -e " LF_BUILD_DIR "/liblora_ft.so")) skip();
    const char *command =
        "P=$PWD/there; for c in library dev; do cmake --install " LF_BUILD_DIR
        " --prefix $P --component $c >/dev/null || exit 1; done; "
        "PKG_CONFIG_PATH=$(dirname $(find $P -name lora-ft.pc)); export PKG_CONFIG_PATH; "
        "L=$(pkg-config --variable=libdir lora-ft); C=$(find $P -name classify.c); "
        "cc -Wall -Wextra -Werror $C $(pkg-config --cflags --libs lora-ft) -o shared-one && "
        "cc $C $(pkg-config --static --cflags --libs lora-ft | sed s/-llora_ft/-l:liblora_ft.a/) -o whole-one && "
        "LD_LIBRARY_PATH=$L ./shared-one " ASKED " >shared.txt && ./whole-one " ASKED " >whole.txt && "
        "cmp shared.txt whole.txt && cat whole.txt";
    if (run_shell(text("{ %s; } 2>err", command))) {
        run_shell("cat err");
        fail_msg("%s", output);
    }
    compare_best(output, "guesses.jsonl");
}

static void test_the_example_in_python(void **state) {
    (void)state;
    if (SANITIZED) skip(); /* Python is not */
    if (run_shell("test -e " LF_BUILD_DIR "/liblora_ft.so")) skip();
    const char *command = "LORA_FT_LIBRARY=" LF_BUILD_DIR "/liblora_ft.so python3 " LF_SOURCE_DIR
                          "/src/examples/library/tune.py pre/model train.jsonl";
    if (run_shell(text("%s by-python 'the cat sat' r=2 max_steps=4 lr=1e-2 batch_size=4 logging_steps=2 threads=1 2>&1",
                       command)))
        fail_msg("%s", output);
    static char python[sizeof output];
    memcpy(python, output, sizeof python);
    must("train --model pre/model --train_data train.jsonl --r 2 --max_steps 4 --lr 1e-2 --batch_size 4 "
         "--logging_steps 2 "
         "--threads 1 --output_dir by-program",
         0);
    same_files("by-program/adapter/adapter_model.safetensors", "by-python/adapter/adapter_model.safetensors");
    cJSON *rows = lines_of("by-program/metrics.jsonl"), *r = results("by-program"), *scored, *written;
    for (int i = 0; i < 2; i++)
        assert_non_null(
            strstr(python, text("step %d of 4: loss %.17g\n", 2 + 2 * i, number(cJSON_GetArrayItem(rows, i), "loss"))));
    assert_non_null(strstr(python, text("4 steps, %.0f numbers were trained\n", number(r, "trainable_parameters"))));
    put("prompt.jsonl", "{\"text\": \"the cat sat\"}\n");
    scored = json_of("eval --model pre/model --adapter by-program/adapter --data prompt.jsonl --threads 1 --json");
    written =
        json_of("generate --model pre/model --adapter by-program/adapter --prompt 'the cat sat' --max_new_tokens 8 "
                "--threads 1 --json");
    assert_non_null(strstr(python, text("loss %.17g\n", number(scored, "eval_loss"))));
    assert_non_null(
        strstr(python, text("the cat sat%s (%s)\n", cJSON_GetObjectItemCaseSensitive(written, "text")->valuestring,
                            cJSON_GetObjectItemCaseSensitive(written, "finish_reason")->valuestring)));
    assert_int_equal(run_shell(text("%s by-python 'x' rr=2 2>&1", command)), 1);
    assert_non_null(strstr(output, "tune: key 'rr'"));
    cJSON_Delete(rows);
    cJSON_Delete(r);
    cJSON_Delete(scored);
    cJSON_Delete(written);
}

/* ---- nothing is left ---- */

/* Wherever memory ends, it is said, and nothing is kept. */
static void test_without_memory(void **state) {
    (void)state;
    lf_config *cfg = configured("predict", "model=pre/model adapter=films/adapter threads=1 quiet=true");
    const lf_text texts[] = {{"a dog", NULL}, {"yes", NULL}};
    float scores[2 * 3];
    lf_status rc = LF_ENOMEM;
    lf_session *s = NULL;
    lf_log_set_level(LF_LOG_QUIET);
    ok(lf_session_open(&s, cfg, &said)); /* what is kept for the life of the process */
    ok(lf_session_classify_texts(s, texts, 2, scores, &said));
    lf_session_close(s);
    const int64_t before = lf_alloc_live();
    for (int64_t n = 0; rc; n += 1 + n / 24) {
        lf_err err = {0};
        lf_alloc_fail_after(n);
        if (!(rc = lf_session_open(&s, cfg, &err))) rc = lf_session_classify_texts(s, texts, 2, scores, &err);
        lf_alloc_fail_after(-1);
        if (rc && rc != LF_ENOMEM) fail_msg("allocation %lld: status %d: %s", (long long)n, (int)rc, err.message);
        lf_session_close(s);
        assert_int_equal(lf_alloc_live(), before);
    }
    lf_config_free(cfg);
}

static void test_nothing_is_left(void **state) {
    test_mistakes(state); /* what is kept for the life of the process is there */
    const int64_t before = lf_alloc_live();
    test_mistakes(state);
    test_scores_as_eval_does(state);
    test_classifies_pictures_as_predict_does(state);
    test_writes_as_generate_does(state);
    test_stops_before_it_begins(state);
    assert_int_equal(lf_alloc_live(), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trains_as_the_program_does),
        cmocka_unit_test(test_stops_and_goes_on),
        cmocka_unit_test(test_stops_before_it_begins),
        cmocka_unit_test(test_evaluates_as_the_program_does),
        cmocka_unit_test(test_scores_as_eval_does),
        cmocka_unit_test(test_classifies_texts_as_predict_does),
        cmocka_unit_test(test_classifies_pictures_as_predict_does),
        cmocka_unit_test(test_writes_as_generate_does),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_messages_go_where_they_are_asked_for),
        cmocka_unit_test(test_the_example_in_c),
        cmocka_unit_test(test_what_is_installed),
        cmocka_unit_test(test_the_example_in_python),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
