/* The verbs eval, predict, merge, bench and inspect through the public API, on the golden ViT and PEFT's adapter for
 * it. */
#define _POSIX_C_SOURCE 200809L
#include "../unit/data_fixture.h"

#include <math.h>

#include "eval/eval_internal.h"
#include "lora_ft.h"

enum { LABELS = 5, ADAPTER_LABELS = 7, SIDE = 16, PICTURES = 11 };
#define GOLDEN LF_TEST_DIR "/golden/vit-base"

typedef lf_status verb(const lf_config *cfg, FILE *out, lf_err *err);

static char printed[1 << 16]; /* by the last verb */
static lf_err said;           /* by the last verb that failed */

/* Runs a verb over arguments separated by one space; "@x" is the scratch folder's x. */
static lf_status run(verb *v, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
static lf_status run(verb *v, const char *name, const char *format, ...) {
    char line[4096], expanded[8192], *argv[64];
    int argc = 0;
    size_t n = 0;
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    for (const char *c = line; *c; c++) {
        if (*c == '@')
            n += (size_t)snprintf(expanded + n, sizeof expanded - n, "%s/", scratch);
        else
            expanded[n++] = *c;
    }
    expanded[n] = 0;
    for (char *save, *word = strtok_r(expanded, " ", &save); word; word = strtok_r(NULL, " ", &save))
        argv[argc++] = word;
    said = (lf_err){0};
    memset(printed, 0, sizeof printed);
    lf_config *cfg = NULL;
    bool help = false;
    FILE *out = tmpfile();
    assert_non_null(out);
    lf_status rc;
    if (!(rc = lf_config_new(&cfg, name, &said)) && !(rc = lf_config_parse_args(cfg, argc, argv, &help, &said)) &&
        !(rc = lf_config_finish(cfg, &said)))
        rc = v(cfg, out, &said);
    lf_config_free(cfg);
    rewind(out);
    assert_true(fread(printed, 1, sizeof printed - 1, out) < sizeof printed - 1);
    fclose(out);
    assert_int_equal(rc, said.status);
    return rc;
}

#define RUN(v, ...) assert_ok(run(lf_##v, #v, __VA_ARGS__), said)
#define FAILS(v, wanted, text, ...)                                                                                    \
    do {                                                                                                               \
        const lf_status got = run(lf_##v, #v, __VA_ARGS__);                                                            \
        assert_string_equal(printed, "");                                                                              \
        assert_says(got, wanted, said, text);                                                                          \
    } while (0)

/* The one object that was printed. */
static cJSON *object(void) {
    cJSON *o;
    lf_err err = {0};
    assert_ok(lf_json_parse(&o, printed, strlen(printed), "stdout", &err), err);
    assert_true(cJSON_IsObject(o));
    return o;
}

static const cJSON *member(const cJSON *o, const char *key) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);
    if (!v) fail_msg("no key '%s'", key);
    return v;
}
static double number(const cJSON *o, const char *key) {
    if (!cJSON_IsNumber(member(o, key))) fail_msg("'%s' is no number", key);
    return member(o, key)->valuedouble;
}

static lf_safetensors *open_logits(const char *name, int64_t rows, int64_t columns) {
    lf_err err = {0};
    lf_safetensors *st;
    assert_ok(lf_safetensors_open(&st, in_scratch(name), &err), err);
    assert_int_equal(lf_safetensors_count(st), 1);
    const lf_st_tensor *t = lf_safetensors_at(st, 0);
    assert_string_equal(t->name, "logits");
    assert_true(t->ndim == 2 && t->shape[0] == rows && t->shape[1] == columns && t->dtype == LF_F32);
    return st;
}

static void same_logits(const char *a, const char *b, int64_t columns, double tolerance) {
    lf_safetensors *x = open_logits(a, PICTURES, columns), *y = open_logits(b, PICTURES, columns);
    const float *p = lf_safetensors_at(x, 0)->data, *q = lf_safetensors_at(y, 0)->data;
    double worst = 0, most = 0;
    for (int64_t i = 0; i < PICTURES * columns; i++) {
        worst = fmax(worst, fabs((double)p[i] - (double)q[i]));
        most = fmax(most, fabs((double)q[i]));
    }
    if (!(worst <= tolerance * most)) fail_msg("%s and %s differ by %g, of %g", a, b, worst, most);
    lf_safetensors_close(x);
    lf_safetensors_close(y);
}

/* Nothing unfinished lies about. */
static void no_leftovers(void) {
    char **names;
    size_t n;
    lf_err err = {0};
    assert_ok(lf_list_dir(&names, &n, scratch, &err), err);
    for (size_t i = 0; i < n; i++)
        if (strstr(names[i], "tmp")) fail_msg("%s is left", names[i]);
    lf_free(names);
}

/* ---- pictures and models ---- */

static void put_noise(const char *name, uint64_t stream) {
    unsigned char bytes[13 + SIDE * SIDE] = "P5 16 16 255\n";
    const lf_rng_key key = lf_rng_make(11, LF_RNG_TEST, stream);
    for (int j = 0; j < SIDE * SIDE; j++) bytes[13 + j] = (unsigned char)lf_rng_u32(key, (uint64_t)j);
    put_bytes(name, bytes, sizeof bytes);
}

static void copy(const char *from, const char *to) {
    char *bytes;
    size_t size;
    lf_err err = {0};
    assert_ok(lf_file_read(&bytes, &size, from, &err), err);
    put_bytes(to, bytes, size);
    lf_free(bytes);
}

/* The golden model without its head, as a ViTModel would be saved. */
static void put_headless(void) {
    lf_err err = {0};
    lf_safetensors *st;
    lf_st_writer *w;
    copy(GOLDEN "/config.json", "headless/config.json");
    assert_ok(lf_safetensors_open(&st, GOLDEN "/model.safetensors", &err), err);
    assert_ok(lf_st_writer_new(&w, in_scratch("headless/model.safetensors"), &err), err);
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < lf_safetensors_count(st); i++) {
            const lf_st_tensor *t = lf_safetensors_at(st, i);
            if (strncmp(t->name, "classifier", 10) == 0) continue;
            if (pass)
                assert_ok(lf_st_writer_write(w, t->data, t->size, &err), err);
            else
                assert_ok(lf_st_writer_declare(w, t->name, t->dtype, t->ndim, t->shape, &err), err);
        }
    assert_ok(lf_st_writer_commit(w, &err), err);
    lf_safetensors_close(st);
}

static int set_up(void **state) {
    static const char processor[] =
        "{\"image_processor_type\": \"ViTImageProcessor\", \"size\": {\"height\": 16, \"width\": 16}, "
        "\"resample\": 2, \"image_mean\": [0.4, 0.4, 0.4], \"image_std\": [0.3, 0.3, 0.3]}";
    if (scratch_make(state)) return -1;
    copy(GOLDEN "/config.json", "model/config.json");
    copy(GOLDEN "/model.safetensors", "model/model.safetensors");
    put_bytes("model/preprocessor_config.json", processor, sizeof processor - 1);
    copy(GOLDEN "/peft_adapter/adapter_config.json", "adapter/adapter_config.json");
    copy(GOLDEN "/peft_adapter/adapter_model.safetensors", "adapter/adapter_model.safetensors");
    put_headless();
    for (int i = 0; i < PICTURES; i++) {
        char name[64];
        snprintf(name, sizeof name, "base/LABEL_%d/%02d.pgm", i % LABELS, i);
        put_noise(name, (uint64_t)i);
    }
    return 0;
}

/* ---- eval ---- */

static void eval_of_the_model(void **state) {
    (void)state;
    RUN(eval, "--model @model --data @base --forgetting_data @base --save-logits @own.safetensors --json");
    cJSON *o = object();
    lf_safetensors *st = open_logits("own.safetensors", PICTURES, LABELS);
    const float *logits = lf_safetensors_at(st, 0)->data;
    int correct = 0, at = 0;
    for (int label = 0; label < LABELS; label++) /* class folder by class folder */
        for (int i = label; i < PICTURES; i += LABELS, at++)
            correct += lf_argmax(logits + at * LABELS, LABELS) == label;
    lf_safetensors_close(st);
    assert_true(fabs(number(o, "eval_accuracy") - (double)correct / PICTURES) < 1e-12);
    assert_true(number(o, "eval_samples") == PICTURES);
    assert_true(number(o, "base_before") == number(o, "eval_accuracy"));
    assert_true(number(o, "base_after") == number(o, "base_before"));
    assert_true(number(o, "forgetting") == 0);
    assert_true(number(o, "base_kl") == 0);
    assert_true(number(o, "base_ce") > 0);
    assert_true(number(o, "base_knn_samples") == PICTURES);
    assert_true(number(o, "threads") >= 1);
    assert_true(cJSON_IsNull(member(o, "train_seconds")));
    cJSON_Delete(o);
    RUN(eval, "--model @model --data @base --max_samples 4 --save-logits @few.safetensors");
    assert_non_null(strstr(printed, "4 examples"));
    lf_safetensors_close(open_logits("few.safetensors", 4, LABELS));
}

/* Which class is taken for which: in JSON and as CSV, by the logits that are saved beside. */
static void eval_tells_classes_apart(void **state) {
    (void)state;
    RUN(eval, "--model @model --data @base --save-logits @own.safetensors --confusion_file @confusion.csv --json");
    cJSON *o = object();
    lf_safetensors *st = open_logits("own.safetensors", PICTURES, LABELS);
    const float *logits = lf_safetensors_at(st, 0)->data;
    int taken[LABELS][LABELS] = {0}, at = 0;
    char want[512] = "label,samples,right,accuracy,as LABEL_0,as LABEL_1,as LABEL_2,as LABEL_3,as LABEL_4\n", *text;
    for (int label = 0; label < LABELS; label++)
        for (int i = label; i < PICTURES; i += LABELS, at++) taken[label][lf_argmax(logits + at * LABELS, LABELS)]++;
    lf_safetensors_close(st);
    const cJSON *one = member(o, "eval_classes")->child;
    for (int label = 0; label < LABELS; label++, one = one->next) {
        int n = 0;
        for (int v = 0; v < LABELS; v++) n += taken[label][v];
        assert_true(number(one, "samples") == n);
        assert_true(fabs(number(one, "accuracy") - (double)taken[label][label] / n) < 1e-12);
        snprintf(want + strlen(want), sizeof want - strlen(want), "LABEL_%d,%d,%d,%.6g", label, n, taken[label][label],
                 (double)taken[label][label] / n);
        for (int v = 0; v < LABELS; v++)
            snprintf(want + strlen(want), sizeof want - strlen(want), ",%d", taken[label][v]);
        strcat(want, "\n");
    }
    assert_null(one);
    assert_true(number(o, "eval_accuracy_low") < number(o, "eval_accuracy") || number(o, "eval_accuracy") == 0);
    assert_true(number(o, "eval_accuracy_high") > number(o, "eval_accuracy"));
    assert_true(number(o, "eval_f1_macro") >= 0);
    assert_null(cJSON_GetObjectItemCaseSensitive(o, "eval_top5")); /* of five classes all are among the first five */
    cJSON_Delete(o);
    size_t size;
    lf_err err = {0};
    assert_ok(lf_file_read(&text, &size, in_scratch("confusion.csv"), &err), err);
    assert_string_equal(text, want);
    lf_free(text);
    RUN(eval, "--model @model --data @base");
    assert_non_null(strstr(printed, "interval (Wilson)"));
    RUN(eval, "--model @model --adapter @adapter --data @base --json"); /* seven classes */
    o = object();
    assert_true(number(o, "eval_top5") >= number(o, "eval_accuracy") && number(o, "eval_top5") <= 1);
    cJSON_Delete(o);
}

static void eval_of_an_adapter(void **state) {
    (void)state;
    RUN(eval, "--model @model --adapter @adapter --data @base --save-logits @adapter.safetensors --forgetting_data "
              "@base --json");
    cJSON *o = object();
    assert_true(fabs(number(o, "base_kl")) > 1e-4);
    assert_true(number(o, "forgetting") == number(o, "base_before") - number(o, "base_after"));
    const double after = number(o, "base_after"), loss = number(o, "base_loss_after");
    cJSON_Delete(o);
    lf_safetensors_close(open_logits("adapter.safetensors", PICTURES, ADAPTER_LABELS));
    RUN(eval, "--model @model --adapter @adapter --head base --data @base --forgetting_knn false --json");
    o = object();
    assert_true(number(o, "eval_accuracy") == after); /* the base's head on tuned features, by two ways */
    assert_true(fabs(number(o, "eval_loss") - loss) < 1e-12);
    cJSON_Delete(o);
}

/* Of a file with a line an example: how many of a task went from right to wrong and back, how many there are, and how
 * many are right. */
typedef struct counted {
    int n, right, lost, won;
} counted;

static counted count_lines(const char *name, const char *task) {
    counted c = {0};
    char *all;
    size_t size;
    double last = -1;
    lf_err err = {0};
    assert_ok(lf_file_read(&all, &size, in_scratch(name), &err), err);
    for (char *save, *line = strtok_r(all, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        cJSON *o = cJSON_Parse(line);
        assert_non_null(o);
        if (!strcmp(member(o, "task")->valuestring, task)) {
            const bool right = cJSON_IsTrue(member(o, "right")),
                       same = !strcmp(member(o, "label")->valuestring, member(o, "true_label")->valuestring);
            const cJSON *was = cJSON_GetObjectItemCaseSensitive(o, "was_right");
            assert_true(right == same && number(o, "probability") > 0 && number(o, "loss") > 0);
            if (right) assert_true(fabs(number(o, "loss") + log(number(o, "probability"))) < 1e-5);
            assert_non_null(strstr(member(o, "file")->valuestring, member(o, "true_label")->valuestring));
            assert_true(number(o, "index") > last); /* in their order */
            last = number(o, "index");
            c.n++;
            c.right += right;
            c.lost += was && cJSON_IsTrue(was) && !right;
            c.won += was && cJSON_IsFalse(was) && right;
        }
        cJSON_Delete(o);
    }
    lf_free(all);
    return c;
}

static void eval_tells_which_examples_changed(void **state) {
    (void)state;
    static const struct { const char *task, *of; } tasks[] = {{"new", "eval"}, {"base", "base"}};
    RUN(eval, "--model @model --adapter @adapter --adapter_scale 20 --data @base --forgetting_data @base "
              "--save_predictions @said.jsonl --json");
    cJSON *o = object();
    for (int i = 0; i < 2; i++) {
        const counted c = count_lines("said.jsonl", tasks[i].task);
        char key[4][40];
        static const char *const parts[] = {"became_wrong", "became_right", "change", "change_p"};
        for (int k = 0; k < 4; k++) snprintf(key[k], sizeof key[k], "%s_%s", tasks[i].of, parts[k]);
        assert_int_equal(c.n, PICTURES);
        assert_true(number(o, key[0]) == c.lost && number(o, key[1]) == c.won);
        assert_true(fabs(number(o, key[2]) - (double)(c.won - c.lost) / PICTURES) < 1e-12);
        assert_true(number(o, key[3]) > 0 && number(o, key[3]) <= 1);
        assert_true(fabs((double)c.right / PICTURES - number(o, i ? "base_after" : "eval_accuracy")) < 1e-12);
        const double before = number(o, i ? "base_before" : "eval_accuracy_before");
        assert_true(fabs((double)(c.right + c.lost - c.won) / PICTURES - before) < 1e-12);
    }
    const double lost = number(o, "base_became_wrong"), won = number(o, "base_became_right");
    assert_true(lost + won > 0); /* else the test says little */
    cJSON_Delete(o);
    RUN(eval, "--model @model --adapter @adapter --data @base --adapter_scale 0 --json"); /* the same, by another way */
    o = object();
    assert_true(number(o, "eval_accuracy_before") == number(o, "eval_accuracy"));
    assert_true(number(o, "eval_became_wrong") == 0 && number(o, "eval_became_right") == 0);
    cJSON_Delete(o);
    RUN(eval, "--model @model --adapter @adapter --data @base --forgetting_data @base --compare_with @adapter "
              "--save_predictions @said.jsonl --json");
    o = object(); /* with itself */
    assert_true(number(o, "eval_became_wrong") + number(o, "eval_became_right") == 0);
    assert_true(number(o, "base_became_wrong") + number(o, "base_became_right") == 0);
    assert_null(cJSON_GetObjectItemCaseSensitive(o, "eval_accuracy_before"));
    cJSON_Delete(o);
    RUN(eval, "--model @model --adapter @adapter --data @base --compare_with none --save_predictions @said.jsonl "
              "--json");
    o = object();
    assert_null(cJSON_GetObjectItemCaseSensitive(o, "eval_became_wrong"));
    cJSON_Delete(o);
    const counted alone = count_lines("said.jsonl", "new");
    assert_true(alone.n == PICTURES && alone.lost + alone.won == 0);
    RUN(eval, "--model @model --adapter @adapter --data @base --forgetting_data @base");
    assert_non_null(strstr(printed, "base task: "));
    assert_non_null(strstr(printed, " right answers became wrong, "));
    assert_non_null(strstr(printed, "before: the model without the adapter"));
    FAILS(eval, LF_EIO, "no-folder", "--model @model --data @base --save_predictions @no-folder/x.jsonl");
    FAILS(eval, LF_ENOTFOUND, "nowhere", "--model @model --adapter @adapter --data @base --compare_with @nowhere");
    FAILS(eval, LF_EUSAGE, "what is judged 5", "--model @model --data @base --compare_with @adapter");
    put_bytes("said.jsonl", "old", 3); /* what cannot be judged leaves the file as it was */
    FAILS(eval, LF_ENOTFOUND, "nowhere",
          "--model @model --data @base --forgetting_data @nowhere --save_predictions "
          "@said.jsonl");
    char *old;
    size_t size;
    lf_err err = {0};
    assert_ok(lf_file_read(&old, &size, in_scratch("said.jsonl"), &err), err);
    assert_string_equal(old, "old");
    lf_free(old);
}

/* Without a head of its own a model is judged by the neighbours of its features, on classes of any names. */
static void eval_of_a_base_without_a_head(void **state) {
    (void)state;
    enum { OF_EACH = 3 };
    for (int i = 0; i < 2 * OF_EACH; i++) { /* alike within a class, so that neighbours know it */
        char name[64];
        snprintf(name, sizeof name, "alike/%s/%d.pgm", i % 2 ? "cat" : "dog", i);
        put_noise(name, (uint64_t)(i % 2));
    }
    RUN(eval, "--model @headless --adapter @adapter --forgetting_data @alike --forgetting_knn false --json");
    cJSON *o = object();
    assert_true(number(o, "base_by_neighbours") == 1);
    assert_true(number(o, "base_before") == number(o, "base_knn_before"));
    assert_true(number(o, "base_after") == number(o, "base_knn_after"));
    assert_true(number(o, "forgetting") == number(o, "base_before") - number(o, "base_after"));
    assert_true(number(o, "base_before") == 1);
    assert_true(number(o, "base_samples") == 2 * OF_EACH);
    assert_null(cJSON_GetObjectItemCaseSensitive(o, "base_kl"));
    cJSON_Delete(o);
    RUN(eval, "--model @model --forgetting_data @base --json"); /* has one */
    o = object();
    assert_null(cJSON_GetObjectItemCaseSensitive(o, "base_by_neighbours"));
    cJSON_Delete(o);
    RUN(eval, "--model @headless --adapter @adapter --forgetting_data @alike --save_predictions @neighbours.jsonl");
    char *lines;
    size_t size;
    lf_err err = {0};
    assert_ok(lf_file_read(&lines, &size, in_scratch("neighbours.jsonl"), &err), err);
    assert_int_equal(size, 0); /* they give no answers */
    lf_free(lines);
    RUN(eval, "--model @headless --forgetting_data @alike");
    assert_non_null(strstr(printed, "judged by nearest neighbours"));
}

static void eval_says_what_is_wrong(void **state) {
    (void)state;
    FAILS(eval, LF_EUSAGE, "data", "--model @model");
    FAILS(eval, LF_EUSAGE, "save_logits", "--model @model --forgetting_data @base --save-logits @x.safetensors");
    FAILS(eval, LF_ENOTFOUND, "nowhere", "--model @nowhere --data @base");
    FAILS(eval, LF_ENOTFOUND, "nowhere", "--model @model --data @nowhere");
    FAILS(eval, LF_EDATA, "no classification head", "--model @headless --data @base");
    RUN(eval, "--model @headless --adapter @adapter --data @base"); /* the adapter brings one */
    FAILS(eval, LF_EIO, "no-folder", "--model @model --data @base --save-logits @no-folder/x.safetensors");
    for (int i = 0; i < LABELS + 1; i++) {
        char name[64];
        snprintf(name, sizeof name, "many/class%d/a.pgm", i);
        put_noise(name, 1);
    }
    FAILS(eval, LF_EDATA, "of its 6 classes 6 are not among the 5 expected ones", "--model @model --data @many");
    no_leftovers();
}

/* ---- merge ---- */

static void merge_gives_the_adapter_s_logits(void **state) {
    (void)state;
    RUN(merge, "--model @model --adapter @adapter -o @out/merged/");
    assert_non_null(strstr(printed, "weights changed"));
    RUN(eval, "--model @model --adapter @adapter --data @base --save-logits @adapter.safetensors");
    RUN(eval, "--model @out/merged --data @base --save-logits @merged.safetensors");
    same_logits("merged.safetensors", "adapter.safetensors", ADAPTER_LABELS, 1e-5);
    char **names;
    size_t n;
    lf_err err = {0};
    assert_ok(lf_list_dir(&names, &n, in_scratch("out"), &err), err);
    assert_int_equal(n, 1); /* nothing aside */
    lf_free(names);
    assert_true(lf_is_file(in_scratch("out/merged/preprocessor_config.json")));

    RUN(merge, "--model @model --adapter @adapter -o @out/bf16 --save_dtype bf16 --json");
    cJSON *o = object();
    assert_true(number(o, "max_abs_delta") > 0);
    assert_true(number(o, "merged_modules") == 12);
    cJSON_Delete(o);
    RUN(inspect, "--model @out/bf16 --json");
    o = object();
    assert_string_equal(member(member(member(o, "model"), "modules")->child, "dtype")->valuestring, "BF16");
    cJSON_Delete(o);
    RUN(eval, "--model @out/bf16 --data @base --save-logits @bf16.safetensors");
    same_logits("bf16.safetensors", "adapter.safetensors", ADAPTER_LABELS, 0.1);
}

static void merge_spares_what_is_there(void **state) {
    (void)state;
    put_bytes("full/notes.txt", "mine", 4);
    FAILS(merge, LF_EUSAGE, "not empty", "--model @model --adapter @adapter -o @full");
    FAILS(merge, LF_EUSAGE, "is not a model", "--model @model --adapter @adapter -o @full --overwrite_output_dir");
    FAILS(merge, LF_EUSAGE, "is a file", "--model @model --adapter @adapter -o @full/notes.txt");
    FAILS(merge, LF_EUSAGE, "which is read", "--model @model --adapter @adapter -o @model --overwrite_output_dir");
    FAILS(merge, LF_EUSAGE, "which is read", "--model @model --adapter @adapter -o @ --overwrite_output_dir");
    assert_true(lf_is_file(in_scratch("full/notes.txt")));
    RUN(merge, "--model @model --adapter @adapter -o @again");
    FAILS(merge, LF_EUSAGE, "not empty", "--model @model --adapter @adapter -o @again");
    RUN(merge, "--model @model --adapter @adapter -o @again --overwrite_output_dir");
    FAILS(merge, LF_ENOTFOUND, "nowhere", "--model @model --adapter @nowhere -o @never");
    assert_false(lf_is_dir(in_scratch("never")));
    no_leftovers();
}

/* A folder that fails half way leaves nothing: here by memory, at every point. */
static void merge_leaves_nothing_half_written(void **state) {
    (void)state;
    lf_status rc = LF_ENOMEM;
    int64_t failures = 0;
    for (int64_t n = 0; rc; n += 7) {
        lf_config *cfg = NULL;
        lf_err err = {0};
        assert_ok(lf_config_new(&cfg, "merge", &err), err);
        assert_ok(lf_config_set(cfg, "model", in_scratch("model"), &err), err);
        assert_ok(lf_config_set(cfg, "adapter", in_scratch("adapter"), &err), err);
        assert_ok(lf_config_set(cfg, "output_dir", in_scratch("short"), &err), err);
        const int64_t live = lf_alloc_live();
        FILE *out = tmpfile();
        assert_non_null(out);
        lf_alloc_fail_after(n);
        rc = lf_merge(cfg, out, &err);
        lf_alloc_fail_after(-1);
        fclose(out);
        assert_int_equal(lf_alloc_live(), live);
        if (rc && rc != LF_ENOMEM) fail_msg("%s", err.message);
        no_leftovers();
        if (rc) lf_remove_tree(in_scratch("short"), NULL); /* printing may have failed after the work was done */
        failures += rc != LF_OK;
        lf_config_free(cfg);
    }
    assert_true(failures > 10);
}

/* Two labels of one name (ImageNet's cranes) must not become a file that we cannot read. */
static void merge_of_labels_with_one_name(void **state) {
    (void)state;
    char *text;
    size_t size;
    lf_err err = {0};
    assert_ok(lf_file_read(&text, &size, in_scratch("headless/config.json"), &err), err);
    char *label = strstr(text, "LABEL_3"); /* the first stands in id2label */
    assert_non_null(label);
    label[6] = '1';
    put_bytes("cranes/config.json", text, size);
    lf_free(text);
    copy(GOLDEN "/model.safetensors", "cranes/model.safetensors");
    put_bytes("lora/adapter_config.json", "{\"peft_type\": \"LORA\", \"r\": 1, \"target_modules\": [\"q_proj\"]}", 59);
    lf_st_writer *w;
    assert_ok(lf_st_writer_new(&w, in_scratch("lora/adapter_model.safetensors"), &err), err);
    const float numbers[32] = {1, 2, 3};
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < 4; i++) {
            char name[128];
            snprintf(name, sizeof name, "base_model.model.vit.layers.%d.attention.q_proj.lora_%c.weight", i / 2,
                     i % 2 ? 'B' : 'A');
            const int64_t shape[2] = {i % 2 ? 32 : 1, i % 2 ? 1 : 32};
            if (pass)
                assert_ok(lf_st_writer_write_f32(w, numbers, 32, &err), err);
            else
                assert_ok(lf_st_writer_declare(w, name, LF_F32, 2, shape, &err), err);
        }
    assert_ok(lf_st_writer_commit(w, &err), err);
    RUN(merge, "--model @cranes --adapter @lora -o @merged-cranes");
    RUN(inspect, "--model @merged-cranes");
}

/* ---- predict ---- */

static int lines(const char *s) {
    int n = 0;
    for (; *s; s++) n += *s == '\n';
    return n;
}

static void predict_as_jsonl(void **state) {
    (void)state;
    RUN(predict, "--model @model --data @base --top_k 1000");
    assert_int_equal(lines(printed), PICTURES);
    *strchr(printed, '\n') = 0;
    cJSON *o = object();
    assert_non_null(strstr(member(o, "file")->valuestring, "base/LABEL_0/00.pgm"));
    double sum = 0, last = 1;
    const cJSON *top;
    assert_int_equal(cJSON_GetArraySize(member(o, "top_k")), LABELS);
    assert_string_equal(member(o, "label")->valuestring, member(member(o, "top_k")->child, "label")->valuestring);
    cJSON_ArrayForEach(top, member(o, "top_k")) {
        assert_true(number(top, "probability") <= last);
        sum += last = number(top, "probability");
    }
    assert_true(fabs(sum - 1) < 1e-6);
    cJSON_Delete(o);
    RUN(predict, "--model @model --adapter @adapter --data @base/LABEL_2/02.pgm --json");
    o = object();
    assert_true(number(o, "count") == 1);
    assert_null(cJSON_GetObjectItemCaseSensitive(member(o, "predictions")->child, "top_k"));
    cJSON_Delete(o);
}

/* Folders of the model's labels are what is right; folders of other names are only folders. */
static void predict_says_what_is_right(void **state) {
    (void)state;
    RUN(predict, "--model @model --data @base --json");
    cJSON *o = object();
    const cJSON *one;
    int right = 0;
    cJSON_ArrayForEach(one, member(o, "predictions")) {
        const char *label = member(one, "true_label")->valuestring;
        assert_non_null(strstr(member(one, "file")->valuestring, label));
        const bool is = strcmp(label, member(one, "label")->valuestring) == 0;
        assert_int_equal(cJSON_IsTrue(member(one, "right")), is);
        right += is;
    }
    cJSON_Delete(o);
    RUN(eval, "--model @model --data @base --json");
    o = object();
    assert_true(fabs(number(o, "eval_accuracy") - (double)right / PICTURES) < 1e-12);
    cJSON_Delete(o);
    RUN(predict, "--model @model --data @base --output csv");
    assert_int_equal(strncmp(printed, "file,label,probability,true_label,right\n", 40), 0);
    put_noise("names/pets/a.pgm", 1);
    RUN(predict, "--model @model --data @names");
    assert_null(strstr(printed, "true_label"));
}

static void predict_as_csv(void **state) {
    (void)state;
    put_noise("odd/a,\"b\".pgm", 1);
    RUN(predict, "--model @model --data @odd --output csv --top_k 2");
    assert_int_equal(strncmp(printed, "file,label,probability,label_2,probability_2\n\"", 46), 0);
    assert_non_null(strstr(printed, "/a,\"\"b\"\".pgm\",LABEL_"));
    assert_int_equal(lines(printed), 2);
}

/* Names are bytes; lines are JSON all the same, and say which file it was. */
static void predict_names_that_are_no_utf8(void **state) {
    (void)state;
    static const struct {
        const char *name, *file, *percent; /* below the scratch folder; percent NULL: there is none */
    } cases[] = {
        {"bytes1/plain.pgm", "bytes1/plain.pgm", NULL},
        {"bytes2/na\xc3\xafve.pgm", "bytes2/na\xc3\xafve.pgm", NULL},
        {"bytes3/bad\xff.pgm", "bytes3/bad\xef\xbf\xbd.pgm", "bytes3/bad%FF.pgm"},
        {"bytes4/latin \xe9t\xe9 100%.pgm", "bytes4/latin \xef\xbf\xbdt\xef\xbf\xbd 100%.pgm",
         "bytes4/latin%20%E9t%E9%20100%25.pgm"},
        {"bytes5/cut\xe2\x82.pgm", "bytes5/cut\xef\xbf\xbd.pgm", "bytes5/cut%E2%82.pgm"},
        {"bytes6/\xed\xa0\x80.pgm", "bytes6/\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd.pgm", "bytes6/%ED%A0%80.pgm"},
        {"bytes7/\xc0\xaf.pgm", "bytes7/\xef\xbf\xbd\xef\xbf\xbd.pgm", "bytes7/%C0%AF.pgm"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_noise(cases[i].name, 1);
        RUN(predict, "--model @model --data @bytes%zu", i + 1);
        cJSON *o = object(); /* fails where it is no JSON */
        const cJSON *percent = cJSON_GetObjectItemCaseSensitive(o, "file_percent");
        assert_non_null(strstr(member(o, "file")->valuestring, cases[i].file));
        assert_int_equal(percent != NULL, cases[i].percent != NULL);
        if (percent && !strstr(percent->valuestring, cases[i].percent)) fail_msg("%s", percent->valuestring);
        cJSON_Delete(o);
        RUN(predict, "--model @model --data @bytes%zu --output csv", i + 1);
        assert_non_null(strstr(printed, cases[i].file));
    }
}

static void predictions_are_whole_or_not_there(void **state) {
    (void)state;
    put_noise("some/a.pgm", 1);
    put_bytes("some/b.jpg", "not a picture", 13);
    put_bytes("old.jsonl", "old", 3);
    FAILS(predict, LF_EDATA, "b.jpg", "--model @model --data @some -o @old.jsonl");
    FAILS(predict, LF_EDATA, "b.jpg", "--model @model --data @some");
    char *text;
    size_t size;
    lf_err err = {0};
    assert_ok(lf_file_read(&text, &size, in_scratch("old.jsonl"), &err), err);
    assert_string_equal(text, "old");
    lf_free(text);
    RUN(predict, "--model @model --data @some -o @old.jsonl --skip_bad_images --json");
    cJSON *o = object();
    assert_true(number(o, "count") == 1 && number(o, "skipped") == 1);
    cJSON_Delete(o);
    assert_ok(lf_file_read(&text, &size, in_scratch("old.jsonl"), &err), err);
    assert_int_equal(lines(text), 1);
    lf_free(text);
    FAILS(predict, LF_EDATA, "no classification head", "--model @headless --data @some");
    no_leftovers();
}

/* ---- bench and inspect ---- */

static void bench_needs_only_config_and_weights(void **state) {
    (void)state;
    RUN(bench, "--model @headless --batch 3 --steps 3 --warmup 1 --r 2 --json");
    cJSON *o = object();
    assert_true(number(o, "step_seconds_min") <= number(o, "step_seconds"));
    assert_true(number(o, "step_seconds") <= number(o, "step_seconds_max"));
    assert_true(fabs(number(o, "items_per_second") * number(o, "step_seconds") - 3) < 1e-9);
    /* r (in + out) for q, k, v, o [32,32], fc1 [48,32], fc2 [32,48] in two layers, and a head of 100 */
    assert_true(number(o, "trainable_parameters") == 2 * 2 * (4 * 64 + 2 * 80) + 100 * 33);
    assert_true(number(o, "init_seconds") >= 0 && number(o, "peak_rss_mb") > 0 && number(o, "threads") >= 1);
    assert_true(number(o, "mapped_mb") > 0 && number(o, "own_weights_mb") > 0 && number(o, "activations_mb") > 0);
    assert_true(number(o, "train_peak_mb") >= number(o, "peak_rss_mb"));
    cJSON_Delete(o);
    RUN(bench, "--model @model --batch 2 --steps 2 --warmup 0 --r 2 --init intermediate --eval");
    assert_non_null(strstr(printed, "inference"));
    char count[32]; /* its own head of 5 */
    snprintf(count, sizeof count, "%d\n", 2 * 2 * (4 * 64 + 2 * 80) + LABELS * 33);
    assert_non_null(strstr(printed, count));
    FAILS(bench, LF_EUSAGE, "seq", "--model @model --seq 128");
    FAILS(bench, LF_EUSAGE, "nothing-like-it", "--model @model --target_modules nothing-like-it");
}

static void inspect_shows_what_is_there(void **state) {
    (void)state;
    RUN(inspect, "--model @model --adapter @adapter --json");
    cJSON *o = object();
    const cJSON *model = member(o, "model"), *module;
    int with_lora = 0, heads = 0;
    assert_string_equal(member(model, "model_type")->valuestring, "vit");
    assert_int_equal(strlen(member(model, "hash")->valuestring), 32);
    assert_true(number(model, "num_labels") == ADAPTER_LABELS);
    cJSON_ArrayForEach(module, member(model, "modules")) {
        with_lora += cJSON_GetObjectItemCaseSensitive(module, "r") != NULL;
        heads += cJSON_GetObjectItemCaseSensitive(module, "head") != NULL;
    }
    assert_int_equal(with_lora, 12);
    assert_int_equal(heads, 1);
    assert_true(number(member(member(o, "adapter"), "adapter_config"), "lora_alpha") == 6);
    cJSON_Delete(o);
    RUN(inspect, "--adapter @adapter");
    assert_non_null(strstr(printed, "target_modules"));
    RUN(inspect, "--model @headless");
    assert_non_null(strstr(printed, "vit.layers.1.mlp.fc2"));
    FAILS(inspect, LF_EUSAGE, "model", "--json");
    FAILS(inspect, LF_ENOTFOUND, "nowhere", "--adapter @nowhere");
}

/* ---- spectrum ---- */

/* |W|_F^2, or with `other` |W - other|_F^2, of a tensor of model files. */
static double squares(const char *model, const char *other, const char *tensor) {
    char path[2][512];
    const char *const dirs[2] = {model, other};
    lf_safetensors *st[2] = {NULL, NULL};
    lf_err err = {0};
    for (int i = 0; i < 2 && dirs[i]; i++) {
        snprintf(path[i], sizeof path[i], "%s/model.safetensors", dirs[i]);
        assert_ok(lf_safetensors_open(&st[i], path[i], &err), err);
    }
    const lf_st_tensor *t = lf_safetensors_find(st[0], tensor), *u = other ? lf_safetensors_find(st[1], tensor) : NULL;
    assert_true(t && (!other || (u && u->numel == t->numel)));
    float *a = lf_calloc((size_t)t->numel, sizeof *a), *b = lf_calloc((size_t)t->numel, sizeof *b);
    lf_to_f32(a, t->data, t->dtype, t->numel);
    if (u) lf_to_f32(b, u->data, u->dtype, u->numel);
    double sum = 0;
    for (int64_t i = 0; i < t->numel; i++) sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    lf_free(a);
    lf_free(b);
    lf_safetensors_close(st[0]);
    lf_safetensors_close(st[1]);
    return sum;
}

static const cJSON *module(const cJSON *o, const char *name) {
    const cJSON *m;
    cJSON_ArrayForEach(m, member(o, "modules")) if (strcmp(member(m, "name")->valuestring, name) == 0) return m;
    fail_msg("no module '%s'", name);
    return NULL;
}

static int lines_of(const char *name) {
    char *text;
    size_t size;
    lf_err err = {0};
    assert_ok(lf_file_read(&text, &size, in_scratch(name), &err), err);
    const int n = lines(text);
    lf_free(text);
    return n;
}

/* Sum of sigma^2 of one module in singular-values.csv; they descend. */
static double listed_squares(const char *csv, const char *name, int64_t *n) {
    char *text, *save;
    size_t size;
    lf_err err = {0};
    assert_ok(lf_file_read(&text, &size, in_scratch(csv), &err), err);
    double sum = 0, last = INFINITY;
    *n = 0;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (strncmp(line, name, strlen(name)) != 0 || line[strlen(name)] != ',') continue;
        const double sigma = strtod(strrchr(line, ',') + 1, NULL);
        assert_true(sigma <= last && strtoll(line + strlen(name) + 1, NULL, 10) == *n);
        last = sigma;
        sum += sigma * sigma;
        ++*n;
    }
    lf_free(text);
    return sum;
}

static void close_to(double a, double b, double tolerance) {
    if (!(fabs(a - b) <= tolerance * fabs(b))) fail_msg("%.12g is not %.12g", a, b);
}

static void spectrum_of_a_model(void **state) {
    (void)state;
    RUN(spectrum, "--model @model --r 16 --init milora -o @spectrum --json"); /* of 32 components */
    cJSON *o = object();
    assert_int_equal(cJSON_GetArraySize(member(o, "modules")), 12);
    const cJSON *m;
    cJSON_ArrayForEach(m, member(o, "modules")) {
        close_to(number(m, "energy_first") + number(m, "energy_last"), 1, 1e-12);
        assert_true(number(m, "energy_first") > number(m, "energy_middle") &&
                    number(m, "energy_middle") > number(m, "energy_last"));
        assert_true(number(m, "energy_chosen") == number(m, "energy_last") && number(m, "start_chosen") == 16 &&
                    number(m, "start_middle") == 8);
        close_to(number(m, "condition"), number(m, "sigma_max") / number(m, "sigma_min"), 1e-12);
        assert_true(number(m, "effective_rank") > 1 && number(m, "effective_rank") < 32);
        assert_null(cJSON_GetObjectItemCaseSensitive(m, "update_norm"));
    }
    cJSON_Delete(o);
    int64_t n;
    close_to(listed_squares("spectrum/singular-values.csv", "vit.layers.1.mlp.fc1", &n),
             squares(GOLDEN, NULL, "vit.encoder.layer.1.intermediate.dense.weight"), 1e-9);
    assert_int_equal(n, 32);
    assert_int_equal(lines_of("spectrum/singular-values.csv"), 1 + 12 * 32);
    assert_int_equal(lines_of("spectrum/spectrum.csv"), 1 + 12);
    assert_true(lf_is_file(in_scratch("spectrum/spectrum.gp")));
    RUN(spectrum, "--model @model --target_modules q_proj,fc2 --init slice_eqmag --init_position energy:0.5 --r 4");
    assert_int_equal(lines(printed), 1 + 4 + 1 + 1);
    assert_non_null(strstr(printed, "slice_eqmag"));
    RUN(spectrum, "--model @model --json"); /* nothing chosen */
    o = object();
    assert_true(cJSON_IsNull(member(member(o, "modules")->child, "energy_chosen")));
    assert_true(cJSON_IsNull(member(o, "adapter")) && cJSON_IsNull(member(o, "output_dir")));
    cJSON_Delete(o);
    no_leftovers();
}

/* GPT-2's files hold [in,out]. */
static void spectrum_of_a_transposed_model(void **state) {
    (void)state;
    RUN(spectrum,
        "--model " LF_TEST_DIR "/golden/lm-gpt2 --adapter " LF_TEST_DIR "/golden/lm-gpt2/peft_adapter -o @gpt2 --json");
    cJSON *o = object();
    const cJSON *m = module(o, "transformer.h.0.attn.c_attn"), *shape = member(m, "shape");
    assert_true(shape->child->valuedouble == 3 * shape->child->next->valuedouble);
    assert_true(number(m, "update_relative_norm") > 0 && number(m, "map_inside") < 1 && number(m, "map_inside") > 0);
    const double norm = number(m, "update_norm");
    cJSON_Delete(o);
    int64_t n;
    close_to(listed_squares("gpt2/singular-values.csv", "transformer.h.0.attn.c_attn", &n),
             squares(LF_TEST_DIR "/golden/lm-gpt2", NULL, "transformer.h.0.attn.c_attn.weight"), 1e-9);
    RUN(merge, "--model " LF_TEST_DIR "/golden/lm-gpt2 --adapter " LF_TEST_DIR
               "/golden/lm-gpt2/peft_adapter --save_dtype fp32 -o @gpt2-merged");
    char merged[512];
    snprintf(merged, sizeof merged, "%s", in_scratch("gpt2-merged"));
    close_to(norm * norm, squares(LF_TEST_DIR "/golden/lm-gpt2", merged, "transformer.h.0.attn.c_attn.weight"), 1e-5);
}

static void spectrum_of_an_adapter(void **state) {
    (void)state;
    RUN(spectrum, "--model @model --adapter @adapter --init intermediate -o @seen --json");
    cJSON *o = object();
    const cJSON *m;
    assert_int_equal(cJSON_GetArraySize(member(o, "modules")), 12);
    cJSON_ArrayForEach(m, member(o, "modules")) {
        assert_true(number(m, "update_rank") == 4 && number(m, "update_effective_rank") <= 4 &&
                    number(m, "update_effective_rank") > 1);
        assert_true(number(m, "update_sigma_max") <= number(m, "update_norm") &&
                    number(m, "update_norm") <= 2 * number(m, "update_sigma_max"));
        assert_true(number(m, "map_diagonal") > 0 && number(m, "map_head") < 1 && number(m, "map_inside") <= 1 + 1e-12);
        assert_true(number(m, "rotation") > 0 && number(m, "rotation") < 1.5707964 && number(m, "intruders") <= 10);
    }
    const double norm = number(module(o, "vit.layers.0.mlp.fc2"), "update_norm");
    cJSON_Delete(o);
    RUN(merge, "--model @model --adapter @adapter -o @seen-merged");
    char merged[512];
    snprintf(merged, sizeof merged, "%s", in_scratch("seen-merged"));
    close_to(norm * norm, squares(GOLDEN, merged, "vit.encoder.layer.0.output.dense.weight"),
             1e-5); /* rounded once, to fp32 */
    assert_int_equal(lines_of("seen/update-map.csv"), 1 + 32 * 32);
    assert_true(lf_is_file(in_scratch("seen/update-map.gp")));
    RUN(spectrum, "--model @model --adapter @adapter --target_modules q_proj");
    assert_non_null(strstr(printed, "intruders"));
    assert_null(strstr(printed, "fc1"));
    RUN(spectrum, "--model @model -o @seen"); /* that map is no picture of these files */
    assert_false(lf_is_file(in_scratch("seen/update-map.csv")) || lf_is_file(in_scratch("seen/update-map.svg")));
    no_leftovers();
}

static void spectrum_says_what_is_wrong(void **state) {
    (void)state;
    FAILS(spectrum, LF_EUSAGE, "key 'model' is required", "--json");
    FAILS(spectrum, LF_ENOTFOUND, "nowhere", "--model @nowhere");
    FAILS(spectrum, LF_EUSAGE, "has only 32 components", "--model @model --r 33 -o @never");
    FAILS(spectrum, LF_EUSAGE, "init_position index 25", "--model @model --init intermediate --init_position index:25");
    FAILS(spectrum, LF_EUSAGE, "kaiming, only by intermediate, slice_eqmag, slice_zero, mica;",
          "--model @model --init_position 0.3");
    FAILS(spectrum, LF_EUSAGE, "nothing-like-it", "--model @model --target_modules nothing-like-it");
    put_bytes("a-file", "x", 1);
    FAILS(spectrum, LF_EUSAGE, "is a file", "--model @model -o @a-file");
    FAILS(spectrum, LF_EUSAGE, "lora_alpha", "--model @model --lora_alpha 3");
    copy(GOLDEN "/peft_adapter/adapter_config.json", "other/adapter_config.json");
    FAILS(spectrum, LF_ENOTFOUND, "other", "--model @model --adapter @other");
    assert_false(lf_is_dir(in_scratch("never")));
}

static void spectrum_without_memory(void **state) {
    (void)state;
    lf_status rc = LF_ENOMEM;
    int64_t failures = 0;
    for (int64_t n = 0; rc; n += 13) {
        lf_config *cfg = NULL;
        lf_err err = {0};
        assert_ok(lf_config_new(&cfg, "spectrum", &err), err);
        assert_ok(lf_config_set(cfg, "model", in_scratch("model"), &err), err);
        assert_ok(lf_config_set(cfg, "adapter", in_scratch("adapter"), &err), err);
        assert_ok(lf_config_set(cfg, "output_dir", in_scratch("scarce"), &err), err);
        const int64_t live = lf_alloc_live();
        FILE *out = tmpfile();
        assert_non_null(out);
        lf_alloc_fail_after(n);
        rc = lf_spectrum(cfg, out, &err);
        lf_alloc_fail_after(-1);
        fclose(out);
        assert_int_equal(lf_alloc_live(), live);
        if (rc && rc != LF_ENOMEM) fail_msg("%s", err.message);
        failures += rc != LF_OK;
        lf_config_free(cfg);
    }
    assert_true(failures > 10);
    no_leftovers();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eval_of_the_model),
        cmocka_unit_test(eval_tells_classes_apart),
        cmocka_unit_test(eval_of_an_adapter),
        cmocka_unit_test(eval_tells_which_examples_changed),
        cmocka_unit_test(eval_of_a_base_without_a_head),
        cmocka_unit_test(eval_says_what_is_wrong),
        cmocka_unit_test(merge_gives_the_adapter_s_logits),
        cmocka_unit_test(merge_spares_what_is_there),
        cmocka_unit_test(merge_leaves_nothing_half_written),
        cmocka_unit_test(merge_of_labels_with_one_name),
        cmocka_unit_test(predict_as_jsonl),
        cmocka_unit_test(predict_says_what_is_right),
        cmocka_unit_test(predict_as_csv),
        cmocka_unit_test(predict_names_that_are_no_utf8),
        cmocka_unit_test(predictions_are_whole_or_not_there),
        cmocka_unit_test(bench_needs_only_config_and_weights),
        cmocka_unit_test(inspect_shows_what_is_there),
        cmocka_unit_test(spectrum_of_a_model),
        cmocka_unit_test(spectrum_of_a_transposed_model),
        cmocka_unit_test(spectrum_of_an_adapter),
        cmocka_unit_test(spectrum_says_what_is_wrong),
        cmocka_unit_test(spectrum_without_memory),
    };
    return cmocka_run_group_tests(tests, set_up, scratch_remove);
}
