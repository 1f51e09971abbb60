/* Classifying texts as a user does it: a tiny causal language model learns what films are good, forgets, goes on,
 * resumes, is judged, merged and asked; numbers, several labels and pairs; and mistakes. */
#define _XOPEN_SOURCE 700
#include "cli/lm_cli_fixture.h"

#define TUNE                                                                                                           \
    "train --model pre/model --task_type SEQ_CLS --threads 1 --r 4 --lr 1e-2 --batch_size 8 --max_seq_length 40 "

static const char *const things[] = {"film", "book", "song", "meal"};
static const char *const good[] = {"good", "great", "lovely", "fine"}, *const bad[] = {"bad", "poor", "awful", "dull"};

enum { TRAINED = 48, JUDGED = 24 };

/* Text i, good or bad, and two or three things about it. */
static const char *text_of(int i) {
    const bool is_good = (i / 3) % 2 == 0;
    return text("the %s was %s%s%s", things[i % 4], i % 5 == 0 ? "very " : "", (is_good ? good : bad)[(i / 2) % 4],
                i % 4 == 3 ? " and long indeed" : "");
}
static const char *label_of(int i) { return (i / 3) % 2 == 0 ? "pos" : "neg"; }

static void put_records(const char *name, int begin, int end, const char *format) {
    FILE *f = fopen(text("%s/%s", root, name), "w");
    assert_non_null(f);
    for (int i = begin; i < end; i++) {
        char written[200];
        snprintf(written, sizeof written, "%s", text_of(i));
        if (!strcmp(format, "jsonl"))
            fprintf(f, "{\"text\": \"%s\", \"label\": \"%s\"}\n", written, label_of(i));
        else if (!strcmp(format, "several"))
            fprintf(f, "{\"text\": \"%s\", \"labels\": [%s%s%s]}\n", written, *label_of(i) == 'p' ? "\"pos\"" : "",
                    *label_of(i) == 'p' && i % 4 == 3 ? ", " : "", i % 4 == 3 ? "\"long\"" : "");
        else
            fprintf(f, "%s\"%s\",it was so,%g\n", i == begin ? "sentence1,sentence2,score\n" : "", written,
                    *label_of(i) == 'p' ? 4.5 : 0.25);
    }
    fclose(f);
}

static int setup_all(void **state) {
    if (setup(state)) return 1;
    put_records("films.jsonl", 0, TRAINED, "jsonl");
    put_records("judged.jsonl", TRAINED, TRAINED + JUDGED, "jsonl");
    put_records("several.jsonl", 0, TRAINED, "several");
    put_records("numbers.csv", 0, TRAINED, "csv");
    must(TUNE "--train_data films.jsonl --eval_data judged.jsonl --forgetting_data train.jsonl --max_steps 60 "
              "--save_strategy steps --save_steps 30 --eval_strategy steps --eval_steps 30 --output_dir tuned",
         0);
    return 0;
}

/* ---- one class of two ---- */

static void test_learns_and_forgets(void **state) {
    (void)state;
    cJSON *r = results("tuned");
    assert_true(number(r, "eval_accuracy") > 0.9 && number(r, "eval_accuracy_before") < 0.9);
    near(number(r, "eval_chance"), 0.5, 0);
    static const char *const scores[] = {"eval_f1_macro", "eval_f1_weighted", "eval_auc", "eval_matthews"};
    for (size_t i = 0; i < sizeof scores / sizeof *scores; i++) assert_true(number(r, scores[i]) > 0.7);
    assert_null(cJSON_GetObjectItemCaseSensitive(r, "eval_f1_micro")); /* it is the accuracy */
    /* what it knew before is text, and its own output layer reads it */
    near(number(r, "forgetting"), log(number(r, "base_after")) - log(number(r, "base_before")), 1e-12);
    assert_true(number(r, "base_tokens") > 100 && number(r, "base_kl") > 0 && number(r, "update_ratio") > 0);
    cJSON *e = json_of("eval --model pre/model --adapter tuned/adapter --data judged.jsonl --forgetting_data "
                       "train.jsonl --max_seq_length 40 --threads 1 --json");
    static const char *const keys[] = {"eval_accuracy", "eval_loss",  "eval_f1_macro", "eval_matthews", "eval_auc",
                                       "base_before",   "base_after", "base_kl",       "update_ratio"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) near(number(e, keys[i]), number(r, keys[i]), 1e-12);
    cJSON_Delete(e);
    cJSON_Delete(r);
}

/* What a text's neighbours in a batch are, and so its padding, changes nothing. */
static void test_padding_does_not_count(void **state) {
    (void)state;
    static const char *const sizes[] = {"1", "5", "64"};
    cJSON *first = NULL;
    for (int i = 0; i < 3; i++) {
        cJSON *e = json_of(text("eval --model pre/model --adapter tuned/adapter --data judged.jsonl --max_seq_length "
                                "40 --eval_batch_size %s --threads 1 --json",
                                sizes[i]));
        if (!first) first = cJSON_Duplicate(e, true);
        near(number(e, "eval_loss"), number(first, "eval_loss"), 1e-6);
        near(number(e, "update_ratio"), number(first, "update_ratio"), 1e-6);
        cJSON_Delete(e);
    }
    cJSON_Delete(first);
}

static void test_the_same_bytes_after_a_stop(void **state) {
    (void)state;
    must(TUNE "--train_data films.jsonl --eval_data judged.jsonl --forgetting_data train.jsonl --max_steps 60 "
              "--save_strategy steps --save_steps 30 --eval_strategy steps --eval_steps 30 --output_dir again",
         0);
    same_files("tuned/adapter/adapter_model.safetensors", "again/adapter/adapter_model.safetensors");
    must(TUNE "--train_data films.jsonl --eval_data judged.jsonl --forgetting_data train.jsonl --max_steps 60 "
              "--save_strategy steps --save_steps 30 --eval_strategy steps --eval_steps 30 --output_dir again "
              "--dataloader_num_workers 4 --resume_from_checkpoint again/checkpoint-30",
         0);
    same_files("tuned/adapter/adapter_model.safetensors", "again/adapter/adapter_model.safetensors");
}

/* ---- adapters and merged models ---- */

static void test_peft_names(void **state) {
    (void)state;
    cJSON *o;
    lf_err err = {0};
    assert_int_equal(lf_json_read(&o, text("%s/tuned/adapter/adapter_config.json", root), &err), LF_OK);
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(o, "task_type")->valuestring, "SEQ_CLS");
    const cJSON *saved = cJSON_GetObjectItemCaseSensitive(o, "modules_to_save");
    assert_int_equal(cJSON_GetArraySize(saved), 2);
    assert_string_equal(saved->child->valuestring, "classifier");
    assert_string_equal(saved->child->next->valuestring, "score");
    cJSON_Delete(o);
    lf_safetensors *st;
    assert_int_equal(lf_safetensors_open(&st, text("%s/tuned/adapter/adapter_model.safetensors", root), &err), LF_OK);
    const lf_st_tensor *t = lf_safetensors_find(st, "base_model.model.score.weight");
    assert_true(t && t->shape[0] == 2 && t->shape[1] == 32);
    lf_safetensors_close(st);
}

static void test_merged_model_classifies(void **state) {
    (void)state;
    must("merge --model pre/model --adapter tuned/adapter --output_dir merged", 0);
    cJSON *o, *e;
    lf_err err = {0};
    assert_int_equal(lf_json_read(&o, text("%s/merged/config.json", root), &err), LF_OK);
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(o, "architectures")->child->valuestring,
                        "LlamaForSequenceClassification");
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(o, "problem_type")->valuestring,
                        "single_label_classification");
    near(number(o, "pad_token_id"), 2, 0); /* there is no pad_token: the end of a text */
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(o, "id2label");
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(names, "0")->valuestring, "neg");
    cJSON_Delete(o);
    e = json_of("eval --model merged --data judged.jsonl --max_seq_length 40 --threads 1 --json");
    o = json_of("eval --model pre/model --adapter tuned/adapter --data judged.jsonl --max_seq_length 40 --threads 1 "
                "--json");
    near(number(e, "eval_loss"), number(o, "eval_loss"), 1e-5);
    cJSON_Delete(e);
    cJSON_Delete(o);
    /* labels: it reads them by its own head; text alone: it has nothing to read it with */
    e = json_of("eval --model merged --forgetting_data judged.jsonl --threads 1 --json");
    near(number(e, "base_before"), number(e, "base_after"), 0);
    assert_true(number(e, "base_before") > 0.9 && number(e, "base_knn_samples") == JUDGED);
    cJSON_Delete(e);
    must("eval --model merged --forgetting_data train.jsonl --threads 1", 3);
    assert_non_null(strstr(output, "no head of the vocabulary"));
    /* held to what its own head says of texts, which need no label; with that head trained on, or all weights too */
    static const char held[] = "train --model merged --train_data films.jsonl --kl_data train.jsonl --kl_weight 2 "
                               "--max_steps 3 --logging_steps 1 --max_seq_length 40 --threads 1 --output_dir ";
    static const char *const ways[] = {"held-new", "held-head --reuse_head --method head",
                                       "held-all --reuse_head --method full"};
    for (int i = 0; i < 3; i++) {
        char *lines;
        size_t size;
        must(text("%s%s", held, ways[i]), 0);
        if (lf_file_read(&lines, &size, text("%s/%.*s/metrics.jsonl", root, (int)strcspn(ways[i], " "), ways[i]), &err))
            fail_msg("%s", err.message);
        assert_non_null(strstr(lines, "\"kl\":"));
        lf_free(lines);
    }
    must(text("%sheld-rest --reuse_head --kl_mask_target true", held), 2); /* of two classes one is left */
    assert_non_null(strstr(output, "'kl_mask_target'"));
    assert_non_null(strstr(output, "has 2 classes"));
    /* all weights trained on, with its own head */
    must("train --model merged --method full --reuse_head --train_data films.jsonl --forgetting_data judged.jsonl "
         "--max_steps 4 --lr 1e-3 --threads 1 --output_dir full",
         0);
    e = json_of("eval --model full/model --data judged.jsonl --threads 1 --json");
    assert_true(number(e, "eval_accuracy") > 0.9);
    cJSON_Delete(e);
}

static void test_goes_on(void **state) {
    (void)state;
    must("train --model pre/model --continue_from tuned/adapter --train_data judged.jsonl --eval_data judged.jsonl "
         "--max_steps 6 --lr 1e-3 --threads 1 --output_dir on",
         0);
    cJSON *r = results("on");
    assert_true(number(r, "eval_accuracy") > 0.9 && number(r, "eval_accuracy_before") > 0.9);
    cJSON_Delete(r);
}

/* The head alone: what the model knew stays as it was. */
static void test_head_alone(void **state) {
    (void)state;
    must("train --model pre/model --task_type SEQ_CLS --method head --train_data films.jsonl --eval_data judged.jsonl "
         "--forgetting_data train.jsonl --max_steps 30 --lr 3e-2 --threads 1 --output_dir head",
         0);
    cJSON *r = results("head");
    near(number(r, "forgetting"), 0, 0);
    near(number(r, "base_kl"), 0, 0);
    near(number(r, "trainable_parameters"), 64, 0);
    cJSON *e = json_of("eval --model pre/model --adapter head/adapter --data judged.jsonl --threads 1 --json");
    near(number(e, "eval_loss"), number(r, "eval_loss"), 1e-12);
    cJSON_Delete(e);
    cJSON_Delete(r);
}

/* ---- other labels ---- */

static void test_several_labels(void **state) {
    (void)state;
    must(TUNE "--train_data several.jsonl --eval_data several.jsonl --max_steps 80 --metric_for_best_model f1_macro "
              "--output_dir several",
         0);
    cJSON *r = results("several");
    assert_true(number(r, "eval_f1_micro") > 0.8 && number(r, "eval_f1_macro") > 0.7 && number(r, "eval_auc") > 0.8);
    assert_true(number(r, "eval_accuracy") <= number(r, "eval_f1_micro")); /* all labels of a text must be right */
    assert_null(cJSON_GetObjectItemCaseSensitive(r, "eval_matthews"));
    cJSON *e = json_of("eval --model pre/model --adapter several/adapter --data several.jsonl --max_seq_length 40 "
                       "--threads 1 --json");
    near(number(e, "eval_loss"), number(r, "eval_loss"), 1e-12);
    near(number(e, "eval_f1_macro"), number(r, "eval_f1_macro"), 1e-12);
    cJSON_Delete(e);
    cJSON_Delete(r);
}

static void test_numbers_of_pairs(void **state) {
    (void)state;
    must(TUNE "--train_data numbers.csv --train_val_split 0.25 --forgetting_data films.jsonl --max_steps 60 "
              "--output_dir numbers",
         0);
    assert_non_null(strstr(output, "Pearson"));
    cJSON *r = results("numbers");
    assert_true(number(r, "eval_pearson") > -1 && number(r, "eval_spearman") > -1 && number(r, "eval_samples") == 12);
    assert_null(cJSON_GetObjectItemCaseSensitive(r, "eval_accuracy"));
    /* no head of its own for the labels of films.jsonl: neighbours */
    near(number(r, "base_by_neighbours"), 1, 0);
    near(number(r, "forgetting"), number(r, "base_before") - number(r, "base_after"), 1e-12);
    cJSON *e = json_of("eval --model pre/model --adapter numbers/adapter --data numbers.csv --max_seq_length 40 "
                       "--threads 1 --json");
    assert_true(number(e, "eval_pearson") > 0.6 && number(e, "eval_spearman") > 0.6 && number(e, "eval_loss") > 0);
    cJSON_Delete(e);
    cJSON_Delete(r);
    must("report --run numbers", 0);
}

/* ---- which examples ---- */

static cJSON *line_of(const char *name, int n) {
    char *all;
    size_t size;
    lf_err err = {0};
    if (lf_file_read(&all, &size, text("%s/%s", root, name), &err)) fail_msg("%s", err.message);
    char *at = all;
    while (n-- > 0) at = strchr(at, '\n') + 1;
    cJSON *o = cJSON_ParseWithOpts(at, NULL, false);
    assert_non_null(o);
    lf_free(all);
    return o;
}

static int count_of(const char *name, const char *words) {
    must(text("help >/dev/null; grep -c '%s' %s", words, name), 0);
    return atoi(output);
}

/* Of classes, of several labels, of numbers, and of the words beside them. */
static void test_saved_predictions(void **state) {
    (void)state;
    cJSON *e = json_of("eval --model pre/model --adapter tuned/adapter --data judged.jsonl --forgetting_data "
                       "train.jsonl --max_seq_length 40 --threads 1 --save_predictions said.jsonl --json");
    assert_int_equal(count_of("said.jsonl", "\"task\": \"new\""), JUDGED);
    assert_true(count_of("said.jsonl", "\"right\": true, \"was_right\": false") == (int)number(e, "eval_became_right"));
    assert_true(number(e, "eval_became_right") - number(e, "eval_became_wrong") ==
                round(JUDGED * (number(e, "eval_accuracy") - number(e, "eval_accuracy_before"))));
    /* of the words of before, how many of the next ones */
    must("help >/dev/null; grep '\"task\": \"base\"' said.jsonl >base.jsonl", 0);
    double tokens = 0, right = 0, were = 0;
    for (int i = 0; i < count_of("base.jsonl", "tokens_were_right"); i++) {
        cJSON *one = line_of("base.jsonl", i);
        tokens += number(one, "tokens");
        right += number(one, "tokens_right");
        were += number(one, "tokens_were_right");
        near(number(one, "perplexity"), exp(number(one, "loss")), 1e-9 * number(one, "perplexity"));
        cJSON_Delete(one);
    }
    assert_true(tokens == number(e, "base_tokens"));
    near(right / tokens, number(e, "base_token_accuracy_after"), 1e-12);
    near(were / tokens, number(e, "base_token_accuracy_before"), 1e-12);
    assert_true(right - were == number(e, "base_became_right") - number(e, "base_became_wrong"));
    assert_true(number(e, "base_became_wrong") > 0);
    cJSON *r = results("tuned"); /* the run counted the same */
    near(number(r, "base_became_wrong"), number(e, "base_became_wrong"), 0);
    near(number(r, "base_change_p"), number(e, "base_change_p"), 0);
    cJSON_Delete(r);
    cJSON_Delete(e);
    e = json_of("eval --model pre/model --adapter several/adapter --data several.jsonl --max_seq_length 40 --threads 1 "
                "--save_predictions several.out --json");
    cJSON *one = line_of("several.out", 3);
    assert_true(cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(one, "labels")));
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(one, "true_labels")),
                     *label_of(3) == 'p' ? 2 : 1);
    cJSON_Delete(one);
    near(count_of("several.out", "\"right\": true"), number(e, "eval_accuracy") * TRAINED, 1e-9);
    cJSON_Delete(e);
    e = json_of("eval --model pre/model --adapter numbers/adapter --data numbers.csv --max_seq_length 40 --threads 1 "
                "--save_predictions numbers.out --json");
    double squares = 0;
    for (int i = 0; i < TRAINED; i++) {
        one = line_of("numbers.out", i);
        squares += number(one, "loss");
        near(number(one, "loss"), pow(number(one, "score") - number(one, "true_score"), 2), 1e-5);
        cJSON_Delete(one);
    }
    near(squares / TRAINED, number(e, "eval_loss"), 1e-9);
    assert_null(cJSON_GetObjectItemCaseSensitive(e, "eval_became_wrong"));
    cJSON_Delete(e);
}

/* ---- looking ---- */

static void test_preview_and_dry_run(void **state) {
    (void)state;
    cJSON *o = json_of("preview --model pre/model --task_type SEQ_CLS --train_data films.jsonl --n 2 --json");
    const cJSON *first = cJSON_GetObjectItemCaseSensitive(o, "records")->child,
                *counts = cJSON_GetObjectItemCaseSensitive(o, "counts");
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(first, "label")->valuestring, "pos");
    assert_non_null(strstr(cJSON_GetObjectItemCaseSensitive(first, "text")->valuestring, text_of(0)));
    near(number(counts, "records"), TRAINED, 0);
    near(number(cJSON_GetObjectItemCaseSensitive(counts, "classes"), "neg"), TRAINED / 2, 0);
    cJSON_Delete(o);
    must("preview --model pre/model --task_type SEQ_CLS --train_data several.jsonl --n 4", 0);
    assert_non_null(strstr(output, "label 'pos'"));
    must(TUNE "--train_data films.jsonl --dry_run --output_dir dry", 0);
    assert_non_null(strstr(output, "pos 24"));
    must("bench --model pre/model --task_type SEQ_CLS --batch 2 --seq 16 --steps 1 --warmup 0 --threads 1", 0);
}

/* ---- asking ---- */

static void test_predict(void **state) {
    (void)state;
    cJSON *o = json_of("predict --model pre/model --adapter tuned/adapter --data judged.jsonl --threads 1 --json");
    const cJSON *one;
    int i = TRAINED, right = 0;
    near(number(o, "count"), JUDGED, 0);
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(o, "predictions")) {
        assert_string_equal(cJSON_GetObjectItemCaseSensitive(one, "text")->valuestring, text_of(i));
        assert_true(number(one, "score") > 0.5);
        right += !strcmp(cJSON_GetObjectItemCaseSensitive(one, "label")->valuestring, label_of(i++));
    }
    assert_true(right > 0.9 * JUDGED);
    cJSON_Delete(o);
    /* a text a line, and lines with nothing in them left out */
    put("lines.txt", "the film was good\n\nthe book was \"awful\", and dull\n");
    must("predict --model merged --data - --output csv --top_k 2 --threads 1 < lines.txt", 0);
    assert_non_null(strstr(output, "text,label,score,label_2,score_2\nthe film was good,pos,"));
    assert_non_null(strstr(output, "\n\"the book was \"\"awful\"\", and dull\","));
    must("predict --model merged --data lines.txt --threads 1 --output_file said.jsonl", 0);
    char *said;
    size_t n;
    lf_err err = {0};
    assert_int_equal(lf_file_read(&said, &n, text("%s/said.jsonl", root), &err), LF_OK);
    assert_non_null(strstr(said, "{\"text\": \"the film was good\", \"label\": \"pos\", \"score\": "));
    lf_free(said);
    /* the file's ending says the format, unless that is given */
    static const char *const forms[][2] = {
        {"said.csv", "text,label,score\nthe film was good,pos,"},
        {"said.CSV", "text,label,score\n"},
        {"said.json", "{\"count\": 2, \"skipped\": 0, \"predictions\": [{\"text\": "},
        {"said.csv --output jsonl", "{\"text\": \"the film was good\""}};
    for (size_t k = 0; k < sizeof forms / sizeof *forms; k++) {
        must(text("predict --model merged --data lines.txt --threads 1 -o %s", forms[k][0]), 0);
        assert_int_equal(
            lf_file_read(&said, &n, text("%s/%.*s", root, (int)strcspn(forms[k][0], " "), forms[k][0]), &err), LF_OK);
        if (strncmp(said, forms[k][1], strlen(forms[k][1]))) fail_msg("%s: found %s", forms[k][0], said);
        lf_free(said);
    }
    /* each of several labels, and a number of a pair */
    o = json_of("predict --model pre/model --adapter several/adapter --data several.jsonl --threads 1 --json");
    one = cJSON_GetObjectItemCaseSensitive(o, "predictions")->child;
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(one, "top_k")), 2);
    cJSON_Delete(o);
    o = json_of("predict --model pre/model --adapter numbers/adapter --data numbers.csv --threads 1 --json");
    one = cJSON_GetObjectItemCaseSensitive(o, "predictions")->child;
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(one, "text_pair")->valuestring, "it was so");
    assert_null(cJSON_GetObjectItemCaseSensitive(one, "label"));
    assert_true(number(one, "score") > 1);
    cJSON_Delete(o);
}

/* What the data say beside what was guessed, where they have labels that the head knows. */
static void test_true_labels(void **state) {
    (void)state;
    static const struct {
        const char *arguments;
        int code;
        const char *says, *not ; /* NULL: nothing that must not be */
    } rows[] = {
        {"tuned/adapter --data judged.jsonl", 0, "\"true_label\": \"neg\", \"right\": true", NULL},
        {"tuned/adapter --data swapped.csv --label_field wanted", 0, "\"true_label\": \"neg\", \"right\": false", NULL},
        {"tuned/adapter --data numbered.tsv", 0, "\"true_label\": \"pos\"", NULL}, /* label 1 */
        {"tuned/adapter --data judged.jsonl --output csv", 0, "text,label,score,true_label,right\n", NULL},
        {"tuned/adapter --data swapped.csv", 0, "\"score\"", "true_label"}, /* no field that is a label by its name */
        {"tuned/adapter --data other.jsonl", 0, "\"score\"", "true_label"}, /* a class that is none of the head's */
        {"tuned/adapter --data lines.txt", 0, "\"score\"", "true_label"},
        {"tuned/adapter --data judged.jsonl --label_field kind", 3, "'kind' (label_field)", NULL},
        {"tuned/adapter --data other.jsonl --label_field label", 3, "'meh'", NULL},
        {"several/adapter --data several.jsonl", 0, "\"true_labels\": [\"long\", \"pos\"], \"right\": ", NULL},
        {"several/adapter --data several.jsonl --top_k 1", 0, "\"true_labels\": [\"pos\"], \"right\": ", NULL},
        {"several/adapter --data several.jsonl --output csv", 0, ",\"[\"\"pos\"\"]\",", NULL},
        {"several/adapter --data several.jsonl --output csv", 0, ",labels,true_labels,right\n", NULL},
        {"numbers/adapter --data numbers.csv", 0, "\"true_score\": 4.5", "right"},
        {"numbers/adapter --data numbers.csv --output csv", 0, "text,text_pair,score,true_score\n", NULL},
        {"numbers/adapter --data films.jsonl", 0, "\"score\"", "true_score"},
    };
    put("other.jsonl", "{\"text\": \"x\", \"label\": \"pos\"}\n{\"text\": \"y\", \"label\": \"meh\"}\n");
    put("swapped.csv", "text,wanted\nthe film was good,neg\nthe book was awful,pos\n");
    put("numbered.tsv", "sentence\tlabel\nthe film was good\t1\n");
    put("lines.txt", "the film was good\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const int code = run_as("2>&1", text("predict --model pre/model --threads 1 --adapter %s", rows[i].arguments));
        if (code != rows[i].code || !strstr(output, rows[i].says) || (rows[i].not &&strstr(output, rows[i].not )))
            fail_msg("%s: exit code %d, expected %d and '%s', without '%s'; it said:\n%s", rows[i].arguments, code,
                     rows[i].code, rows[i].says, rows[i].not ? rows[i].not : "", output);
    }
}

/* Several numbers of a text, each with a column of its own. */
#define FEELINGS "'{\"path\": \"feelings.csv\", \"label_columns\": [\"valence\", \"length\"]}' "

static void test_several_numbers(void **state) {
    (void)state;
    FILE *f = fopen(text("%s/feelings.csv", root), "w");
    assert_non_null(f);
    fputs("text,valence,length\n", f);
    for (int i = 0; i < TRAINED; i++)
        fprintf(f, "%s,%g,%g\n", text_of(i), *label_of(i) == 'p' ? 1.5 : -1.0, i % 4 == 3 ? 2.0 : 0.5);
    fclose(f);
    must(TUNE "--train_data " FEELINGS "--eval_data " FEELINGS
              "--problem_type regression --max_steps 80 --output_dir feelings",
         0);
    assert_non_null(strstr(output, "Pearson"));
    cJSON *r = results("feelings");
    assert_true(number(r, "eval_pearson") > 0.7 && number(r, "eval_loss") < 0.7);
    cJSON *e = json_of("eval --model pre/model --adapter feelings/adapter --data " FEELINGS
                       "--max_seq_length 40 --threads 1 --json");
    near(number(e, "eval_loss"), number(r, "eval_loss"), 1e-12);
    near(number(e, "eval_spearman"), number(r, "eval_spearman"), 1e-12);
    cJSON_Delete(e);
    cJSON_Delete(r);
    must("eval --model pre/model --adapter feelings/adapter --data numbers.csv --threads 1", 3);
    assert_non_null(strstr(output, "1 numbers as label of each example, expected 2, as the head says"));
    must("train --model pre/model --task_type SEQ_CLS --problem_type regression --train_data " FEELINGS
         "--eval_data numbers.csv --threads 1 --dry_run --output_dir w",
         3);
    assert_non_null(strstr(output, "expected 2, as the training data have"));
    must("merge --model pre/model --adapter feelings/adapter --output_dir felt", 0);
    must("predict --model felt --data " FEELINGS "--threads 1", 0);
    assert_non_null(strstr(output, "\"scores\": {\"valence\": "));
    assert_non_null(strstr(output, "\"true_scores\": {\"valence\": 1.5, \"length\": 0.5}"));
    must("predict --model felt --data " FEELINGS "--output csv --threads 1", 0);
    assert_non_null(strstr(output, "text,valence,length,true valence,true length\n"));
    must("predict --model felt --data lines.txt --output csv --threads 1", 0);
    assert_non_null(strstr(output, "text,valence,length\n"));
    must("predict --model felt --data '{\"path\": \"feelings.csv\", \"label_columns\": [\"valence\"]}' --threads 1", 3);
    assert_non_null(strstr(output, "the head says 2"));
    e = json_of("preview --model pre/model --task_type SEQ_CLS --problem_type regression --train_data " FEELINGS
                "--n 1 --json");
    const cJSON *first = cJSON_GetObjectItemCaseSensitive(e, "records")->child;
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(first, "label")), 2);
    cJSON_Delete(e);
}

/* TREC's lines, by class and by subclass, and a table without a heading. */
static void test_forms(void **state) {
    (void)state;
    FILE *f = fopen(text("%s/questions.txt", root), "w"), *g = fopen(text("%s/bare.tsv", root), "w");
    assert_true(f && g);
    for (int i = 0; i < TRAINED; i++) {
        fprintf(f, "%s:%s %s ?\n", *label_of(i) == 'p' ? "GOOD" : "BAD", i % 2 ? "odd" : "even", text_of(i));
        fprintf(g, "%s\t%s\n", text_of(i), label_of(i));
    }
    fclose(f);
    fclose(g);
    static const struct {
        const char *arguments, *says;
    } rows[] = {
        {"--train_data questions.txt", "2 classes: 'BAD', 'GOOD'"},
        {"--train_data questions.txt", "as TREC has them"},
        {"--train_data questions.txt --label_field fine_label", "'BAD:even', 'BAD:odd', 'GOOD:even', 'GOOD:odd'"},
        {"--train_data '{\"path\": \"bare.tsv\", \"columns\": \"sentence,label\"}'", "2 classes: 'neg', 'pos'"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        must(text("train --model pre/model --task_type SEQ_CLS --threads 1 --dry_run --output_dir w %s",
                  rows[i].arguments),
             0);
        if (!strstr(output, rows[i].says)) fail_msg("%s: no \"%s\" in:\n%s", rows[i].arguments, rows[i].says, output);
    }
    must("predict --model merged --data questions.txt --threads 1 --top_k 2", 0);
    assert_non_null(strstr(output, "\"text\": \"the ")); /* without the class in front */
}

/* ---- an encoder ---- */

static const char bert_config[] =
    "{\"architectures\": [\"BertModel\"], \"model_type\": \"bert\", \"hidden_size\": 32, \"intermediate_size\": 48, "
    "\"num_hidden_layers\": 2, \"num_attention_heads\": 4, \"vocab_size\": 900, \"max_position_embeddings\": 64, "
    "\"initializer_range\": 0.2, \"pad_token_id\": 0, \"hidden_dropout_prob\": 0.0, "
    "\"attention_probs_dropout_prob\": 0.0}\n";

/* The same task on a model that sees both sides: from nothing, then an adapter, judged by neighbours of its features.
 */
static void test_encoder(void **state) {
    (void)state;
    put("bert.json", bert_config);
    must("train --init_model bert.json --tokenizer tokenizer --method full --train_data films.jsonl --eval_data "
         "judged.jsonl --max_steps 60 --lr 3e-3 --batch_size 8 --threads 1 --output_dir bert",
         0);
    cJSON *r = results("bert");
    assert_true(number(r, "eval_accuracy") > 0.8);
    cJSON_Delete(r);
    must("train --model bert/model --train_data several.jsonl --eval_data several.jsonl --forgetting_data films.jsonl "
         "--max_steps 40 --r 4 --lr 1e-2 --batch_size 8 --threads 1 --output_dir bert2",
         0);
    r = results("bert2");
    assert_true(number(r, "eval_f1_micro") > 0.6 && number(r, "base_before") > 0.8 && number(r, "base_kl") > 0);
    cJSON *e = json_of("eval --model bert/model --adapter bert2/adapter --data several.jsonl --forgetting_data "
                       "films.jsonl --threads 1 --json");
    near(number(e, "eval_loss"), number(r, "eval_loss"), 1e-12);
    near(number(e, "base_after"), number(r, "base_after"), 1e-12);
    cJSON_Delete(e);
    cJSON_Delete(r);
    must("merge --model bert/model --adapter bert2/adapter --output_dir bert3", 0);
    must("predict --model bert3 --data lines.txt --threads 1", 0);
}

/* ---- mistakes ---- */

static void test_wrong_inputs(void **state) {
    (void)state;
    static const struct {
        const char *arguments;
        int code;
        const char *says;
    } wrong[] = {
        {"--train_data plain.txt", 3, "plain text, which has no labels"},
        {"--train_data train.jsonl", 3, "expected a label"},
        {"--train_data films.jsonl --label_field kind", 3, "'kind' (label_field)"},
        {"--train_data films.jsonl --text_field body", 3, "'body' (text_field)"},
        {"--train_data films.jsonl --eval_data other.jsonl", 3, "'meh'"},
        {"--train_data hidden.tsv", 3, "hidden"},
        {"--train_data films.jsonl --problem_type regression", 3, "expected a number as label"},
        {"--train_data films.jsonl --problem_type both", 2, "problem_type"},
        {"--train_data films.jsonl --reuse_head", 3, "no classification head"},
        {"--train_data films.jsonl --packing --dry_run", 0, "'packing' (on the command line) has no effect on texts"},
        {"--train_data several.jsonl --label_smoothing_factor 0.1 --dry_run", 0, "'label_smoothing_factor'"},
        {"--train_data rare.jsonl --dry_run", 0, "one example or none: 'once'"},
        {"--train_data alone.jsonl --dry_run", 0, "one class alone"},
        {"--train_data empty.jsonl --dry_run", 0, "1 of 2 texts are empty"},
        {"--train_data films.jsonl --max_seq_length 4 --dry_run", 0, "were cut"},
        {"--train_data films.jsonl --max_seq_length 4 --overlong error", 3, "overlong: error"},
        {"--train_data half.jsonl", 3, "line 2: expected the fields 'sentence1', 'sentence2', 'label' as in the first"},
        {"--train_data huge.jsonl", 3,
         "line 1: expected a number as label (problem_type regression), not above 3.4e38"},
        {"--train_data films.jsonl --eval_data judged.jsonl --metric_for_best_model pearson", 2,
         "'pearson' is not measured on these evaluation data; expected one of 'accuracy', 'loss', 'f1_macro', "
         "'f1_weighted', 'matthews', 'auc'"},
    };
    put("other.jsonl", "{\"text\": \"x\", \"label\": \"pos\"}\n{\"text\": \"y\", \"label\": \"meh\"}\n");
    put("hidden.tsv", "sentence\tlabel\nx\t-1\n");
    put("rare.jsonl", "{\"text\": \"x\", \"label\": \"once\"}\n{\"text\": \"y\", \"label\": \"a\"}\n"
                      "{\"text\": \"z\", \"label\": \"a\"}\n");
    put("alone.jsonl", "{\"text\": \"x\", \"label\": \"a\"}\n{\"text\": \"y\", \"label\": \"a\"}\n");
    put("empty.jsonl", "{\"text\": \"\", \"label\": \"a\"}\n{\"text\": \"y\", \"label\": \"b\"}\n");
    put("half.jsonl", "{\"sentence1\": \"x\", \"sentence2\": \"y\", \"label\": 0}\n"
                      "{\"sentence1\": \"x\", \"label\": 1}\n");
    put("huge.jsonl", "{\"text\": \"x\", \"label\": 1e300}\n{\"text\": \"y\", \"label\": 0.5}\n");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const int code = run_as("2>&1", text("train --model pre/model --task_type SEQ_CLS --threads 1 %s --output_dir "
                                             "wrong",
                                             wrong[i].arguments));
        if (code != wrong[i].code || !strstr(output, wrong[i].says))
            fail_msg("%s: exit code %d, expected %d and \"%s\"; it said:\n%s", wrong[i].arguments, code, wrong[i].code,
                     wrong[i].says, output);
    }
    must("eval --model pre/model --task_type SEQ_CLS --data judged.jsonl --threads 1", 3);
    assert_non_null(strstr(output, "no classification head of its own"));
    must("eval --model merged --task_type CAUSAL_LM --data judged.jsonl --threads 1", 2);
    assert_non_null(strstr(output, "lm_head"));
    must("train --model pre/model --train_data films.jsonl --label_field label --threads 1 --dry_run --output_dir w",
         0);
    assert_non_null(strstr(output, "'label_field' (on the command line) has no effect on text"));
}

/* ---- models of transformers ---- */

/* tests/golden/lm-olmo2 as Olmo2Model is saved: without lm_head. */
static void put_bare(const char *name) {
    cJSON *c;
    lf_safetensors *st;
    lf_st_writer *w;
    lf_err err = {0};
    const char *architecture = "Olmo2Model";
    assert_int_equal(lf_json_read(&c, LF_TEST_DIR "/golden/lm-olmo2/config.json", &err), LF_OK);
    cJSON_ReplaceItemInObjectCaseSensitive(c, "architectures", cJSON_CreateStringArray(&architecture, 1));
    assert_int_equal(lf_mkdir_p(text("%s/%s", root, name), &err), LF_OK);
    assert_int_equal(lf_json_write_in(text("%s/%s", root, name), "config.json", c, true, &err), LF_OK);
    assert_int_equal(lf_safetensors_open(&st, LF_TEST_DIR "/golden/lm-olmo2/model.safetensors", &err), LF_OK);
    assert_int_equal(lf_st_writer_new(&w, text("%s/%s/model.safetensors", root, name), &err), LF_OK);
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < lf_safetensors_count(st); i++) {
            const lf_st_tensor *t = lf_safetensors_at(st, i);
            if (!strcmp(t->name, "lm_head.weight")) continue;
            assert_int_equal(
                pass ? lf_st_writer_write(w, t->data, t->size, &err)
                     : lf_st_writer_declare(w, t->name + strlen("model."), t->dtype, t->ndim, t->shape, &err),
                LF_OK);
        }
    assert_int_equal(lf_st_writer_commit(w, &err), LF_OK);
    lf_safetensors_close(st);
    cJSON_Delete(c);
}

/* A tokenizer of letters, for models of 120 tokens. */
static void put_letters(void) {
    lf_err err = {0};
    char vocabulary[1000] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
    for (char c = 'a'; c <= 'z'; c++) strcat(vocabulary, text("%c\n##%c\n", c, c));
    assert_int_equal(lf_mkdir_p(text("%s/letters", root), &err), LF_OK);
    put("letters/vocab.txt", vocabulary);
}

/* A file without the output layer says no next token, but it can be trained to say classes. */
static void test_bare_model(void **state) {
    (void)state;
    put_bare("bare");
    put_letters();
    must("train --model bare --tokenizer letters --train_data films.jsonl --threads 1 --output_dir none", 2);
    assert_non_null(strstr(output, "expected SEQ_CLS"));
    must("generate --model bare --tokenizer letters --prompt x --threads 1", 3);
    assert_non_null(strstr(output, "writes no text"));
    must("train --model bare --tokenizer letters --task_type SEQ_CLS --train_data films.jsonl --eval_data "
         "judged.jsonl "
         "--max_steps 2 --r 2 --threads 1 --max_seq_length 40 --output_dir of-bare",
         0);
    must("merge --model bare --adapter of-bare/adapter --output_dir bare-merged", 0);
    cJSON *r = results("of-bare"), *e = json_of("eval --model bare-merged --tokenizer letters --data judged.jsonl "
                                                "--max_seq_length 40 --threads 1 --json");
    near(number(e, "eval_loss"), number(r, "eval_loss"), 1e-5);
    cJSON_Delete(e);
    cJSON_Delete(r);
}

static void test_no_class_in_transformers(void **state) {
    (void)state;
    put_letters();
    must("train --model " LF_TEST_DIR "/golden/lm-granite --tokenizer letters --task_type SEQ_CLS --train_data "
         "films.jsonl --dry_run --threads 1 --max_seq_length 40 --output_dir none",
         0);
    if (!strstr(output, "transformers has no ...ForSequenceClassification")) fail_msg("it said: %s", output);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_learns_and_forgets),
                                       cmocka_unit_test(test_padding_does_not_count),
                                       cmocka_unit_test(test_the_same_bytes_after_a_stop),
                                       cmocka_unit_test(test_peft_names),
                                       cmocka_unit_test(test_merged_model_classifies),
                                       cmocka_unit_test(test_goes_on),
                                       cmocka_unit_test(test_head_alone),
                                       cmocka_unit_test(test_several_labels),
                                       cmocka_unit_test(test_numbers_of_pairs),
                                       cmocka_unit_test(test_saved_predictions),
                                       cmocka_unit_test(test_preview_and_dry_run),
                                       cmocka_unit_test(test_predict),
                                       cmocka_unit_test(test_true_labels),
                                       cmocka_unit_test(test_several_numbers),
                                       cmocka_unit_test(test_forms),
                                       cmocka_unit_test(test_encoder),
                                       cmocka_unit_test(test_wrong_inputs),
                                       cmocka_unit_test(test_bare_model),
                                       cmocka_unit_test(test_no_class_in_transformers)};
    return cmocka_run_group_tests(tests, setup_all, teardown);
}
