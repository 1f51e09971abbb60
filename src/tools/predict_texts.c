/* `predict` of texts: records, a text a line, a text a file, or standard input. */
#define _XOPEN_SOURCE 700 /* mkstemps */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/csv.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "data/label_form.h"
#include "task/language.h"
#include "tools/input.h"
#include "tools/predictions.h"

/* ---- how a text is shown ---- */

static lf_status put_texts(lf_obj *o, const lf_predictions *p, int64_t index, lf_err *err) {
    lf_text_example e;
    const lf_status rc = lf_text_dataset_example(p->data, index, &e, err);
    if (rc) return rc;
    lf_obj_string(o, "text", e.text);
    if (e.second) lf_obj_string(o, "text_pair", e.second);
    lf_text_example_free(&e);
    return LF_OK;
}

static lf_status csv_texts(FILE *f, const lf_predictions *p, int64_t index, lf_err *err) {
    lf_text_example e;
    const lf_status rc = lf_text_dataset_example(p->data, index, &e, err);
    if (rc) return rc;
    lf_csv_text(f, e.text);
    if (e.second) {
        fputc(',', f);
        lf_csv_text(f, e.second);
    }
    lf_text_example_free(&e);
    return LF_OK;
}

/* ---- what is right, where the data say it ---- */

/* Of prediction i: the label by its name; a list of names; a number, or several by what they are called. *right: was it
 * guessed? Of numbers it is not set. */
static lf_status true_label(cJSON **out, bool *right, const lf_predictions *p, int64_t i, lf_err *err) {
    const lf_text_dataset *d = p->data;
    const int64_t at = p->indices[i], n = lf_text_dataset_width(d);
    lf_obj all = p->problem == LF_REGRESSION ? lf_obj_new() : lf_list_new();
    float *values = lf_calloc((size_t)n + 1, sizeof *values);
    *right = true;
    if (values && n) lf_text_dataset_values(d, at, values);
    for (int64_t c = 0; values && p->problem == LF_MULTI_LABEL && c < n; c++) {
        const bool is = values[c] > 0.5f;
        *right = *right && is == lf_predictions_hold_class(p, i, c);
        if (is) lf_list_string(&all, p->names[c]);
    }
    for (int64_t c = 0; values && p->problem == LF_REGRESSION && c < n; c++)
        lf_obj_number(&all, p->names[c], (double)values[c]);
    *out = lf_obj_take(&all);
    if (p->problem == LF_SINGLE_LABEL) {
        const int32_t label = lf_text_dataset_class(d, at);
        cJSON_Delete(*out);
        *out = cJSON_CreateString(p->names[label]);
        *right = lf_predictions_hold_class(p, i, label);
    } else if (*out && p->problem == LF_REGRESSION && n == 1) {
        cJSON_Delete(*out);
        *out = cJSON_CreateNumber((double)values[0]);
    }
    const bool good = values && *out;
    lf_free(values);
    if (good) return LF_OK;
    cJSON_Delete(*out);
    return lf_no_memory(err, "the predictions");
}

static lf_status put_right(lf_obj *o, const lf_predictions *p, int64_t i, lf_err *err) {
    cJSON *label;
    bool right;
    const lf_status rc = true_label(&label, &right, p, i, err);
    if (rc) return rc;
    const bool numbers = p->problem == LF_REGRESSION;
    lf_obj_put(o,
               cJSON_IsArray(label)    ? "true_labels"
               : cJSON_IsObject(label) ? "true_scores"
               : numbers               ? "true_score"
                                       : "true_label",
               label);
    if (!numbers) lf_obj_bool(o, "right", right);
    return LF_OK;
}

static lf_status csv_right(FILE *f, const lf_predictions *p, int64_t i, lf_err *err) {
    cJSON *label;
    const cJSON *one;
    bool right;
    lf_status rc = true_label(&label, &right, p, i, err);
    if (rc) return rc;
    if (cJSON_IsArray(label)) {
        rc = lf_predictions_csv_list(f, label, err);
        label = NULL;
    }
    cJSON_ArrayForEach(one, label) fprintf(f, ",%.6g", one->valuedouble);
    if (cJSON_IsNumber(label)) fprintf(f, ",%.6g", label->valuedouble);
    if (cJSON_IsString(label)) {
        fputc(',', f);
        lf_csv_text(f, label->valuestring);
    }
    if (p->problem != LF_REGRESSION) fputs(right ? ",true" : ",false", f);
    cJSON_Delete(label);
    return rc;
}

lf_predicted lf_predicted_texts(lf_problem problem, bool pairs, bool known) {
    static const char *const columns_of_right[LF_N_PROBLEMS] = {[LF_SINGLE_LABEL] = ",true_label,right",
                                                                [LF_MULTI_LABEL] = ",true_labels,right",
                                                                [LF_REGRESSION] = ",true_score"};
    return (lf_predicted){.columns = pairs ? "text,text_pair" : "text",
                          .score = "score",
                          .put = put_texts,
                          .csv = csv_texts,
                          .more_columns = known ? columns_of_right[problem] : NULL,
                          .put_more = known ? put_right : NULL,
                          .csv_more = known ? csv_right : NULL};
}

/* ---- standard input ---- */

/* All of it in a temporary file, which is a text a line as any other; *path: freed and removed by the caller. */
static lf_status keep_input(char **path, lf_err *err) {
    static const char extension[] = ".txt";
    lf_input in = {0};
    const char *text;
    size_t n;
    lf_status rc = lf_input_rest(&in, &text, &n, err);
    if (!rc && !(*path = lf_format("%s/lora-ft-input-XXXXXX%s", lf_temporary_folder(), extension)))
        rc = lf_no_memory(err, "standard input");
    if (!rc) {
        const int fd = mkstemps(*path, (int)strlen(extension));
        FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
        const bool good = f && fwrite(text, 1, n, f) == n;
        if (!f || fclose(f) || !good) rc = lf_fail_errno(err, "write", *path);
        if (!f && fd >= 0) close(fd);
    }
    lf_input_free(&in);
    return rc;
}

/* ---- the verb ---- */

typedef struct opened {
    lf_text_tokenizer *tokenizer;
    lf_text_dataset *data;
    char *input; /* the temporary file; NULL: none */
    bool known;  /* the data say what is right */
    lf_predicted how;
} opened;

static void close_all(opened *o) {
    lf_text_dataset_free(o->data);
    lf_text_tokenizer_free(o->tokenizer);
    if (o->input) unlink(o->input);
    lf_free(o->input);
}

static lf_status match_labels(lf_text_dataset *d, const char *key, const lf_classifier *head, lf_err *err) {
    if (head->problem != LF_REGRESSION) return lf_match_texts(d, key, head->labels, head->n_labels, err);
    if (lf_text_dataset_width(d) == head->n_labels) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: %lld numbers as label of each text, but the head says %lld",
                   lf_text_dataset_path(d), (long long)lf_text_dataset_width(d), (long long)head->n_labels);
}

/* The same data with their labels, if they have some that the head knows. Where a field is named for them, they must.
 */
static lf_status look_for_labels(opened *o, const lf_text_dataset_opts *opts, const lf_config *cfg,
                                 const lf_classifier *head, lf_err *err) {
    lf_text_labelling how = *opts->labelling;
    lf_text_dataset_opts with = *opts;
    lf_text_dataset *d = NULL;
    lf_err why = {0};
    how.labels = LF_TEXT_LABELS_NEEDED;
    how.label_field = lf_cfg_str(cfg, LF_label_field);
    how.problem_known = true;
    how.problem = head->problem;
    with.labelling = &how;
    const bool asked = how.label_field || lf_data_names_labels(opts->spec);
    const lf_log_level was = lf_log_set_level(LF_LOG_QUIET); /* what there is to say of the texts was said */
    lf_status rc = lf_text_dataset_open(&d, &with, &why);
    if (!rc) rc = match_labels(d, opts->key, head, &why);
    lf_log_set_level(was);
    o->known = !rc;
    lf_text_dataset_free(rc ? d : o->data);
    if (!rc) o->data = d;
    const bool matters = rc && (asked || rc == LF_ENOMEM);
    if (matters) *err = why;
    return matters ? rc : LF_OK;
}

static lf_status open_data(opened *o, const lf_config *cfg, const lf_classifier *head, lf_err *err) {
    const lf_text_labelling how = {.labels = LF_TEXT_LABELS_IGNORED,
                                   .text_pair_field = lf_cfg_str(cfg, LF_text_pair_field)};
    const cJSON *asked = lf_cfg_json(cfg, LF_data);
    const bool from_input = cJSON_IsString(asked) && !strcmp(asked->valuestring, "-");
    lf_status rc = from_input ? keep_input(&o->input, err) : LF_OK;
    if (rc) return rc;
    const cJSON input = {.type = cJSON_String, .valuestring = o->input};
    const lf_text_dataset_opts opts = {.spec = from_input ? &input : asked,
                                       .key = "data",
                                       .split = "test",
                                       .text_field = lf_cfg_str(cfg, LF_text_field),
                                       .labelling = &how,
                                       .max_samples = lf_cfg_i64(cfg, LF_max_samples)};
    rc = lf_text_dataset_open(&o->data, &opts, err);
    return rc || from_input ? rc : look_for_labels(o, &opts, cfg, head, err);
}

static lf_status open_loader(lf_text_loader **out, const lf_text_dataset *d, const lf_text_tokenizer *t,
                             const lf_predictor *by, lf_err *err) {
    const int64_t asked = lf_cfg_i64(by->cfg, LF_max_seq_length), context = by->model->tokens.max_positions;
    const lf_text_loader_opts opts = {.batch_size = lf_cfg_i64(by->cfg, LF_per_device_eval_batch_size),
                                      .max_seq_length = context && context < asked ? context : asked,
                                      .context = context,
                                      .workers = lf_cfg_workers(by->cfg),
                                      .epochs = 1};
    return lf_text_loader_new(out, d, &t->encoder, &opts, err);
}

lf_status lf_predict_all_texts(lf_predictions *p, const lf_text_dataset *d, const lf_text_tokenizer *t,
                               const lf_predictor *by, lf_err *err) {
    const lf_eval_opts opts = {.what = by->what, .interruptible = true};
    lf_text_loader *loader = NULL;
    lf_text_examples examples;
    lf_accuracy a;
    lf_status rc;
    if ((rc = open_loader(&loader, d, t, by, err)) || (rc = lf_predictions_hold(p, lf_text_dataset_count(d), err)) ||
        (rc = lf_evaluate(&a, by->model, by->g, by->head->module, lf_examples_of_text(&examples, d, loader), &opts,
                          lf_predictions_add, p, err)))
        goto out;
    const int64_t cut = lf_text_loader_stats(loader).truncated_documents;
    if (cut)
        lf_warn("%lld of %lld texts are longer than max_seq_length and were cut", (long long)cut, (long long)p->count);
out:
    lf_text_loader_free(loader);
    return rc;
}

static lf_status open_all(opened *o, const lf_predictor *by, lf_err *err) {
    lf_status rc;
    if ((rc = lf_language_check_length(by->cfg, by->model, err)) ||
        (rc = lf_language_tokenizer(&o->tokenizer, by->cfg, by->model, err)) ||
        (rc = open_data(o, by->cfg, by->head, err)))
        return rc;
    lf_language_take_padding(by->model, o->tokenizer);
    return LF_OK;
}

static lf_status run(lf_predictions *p, opened *o, const lf_predictor *by, lf_err *err) {
    lf_text_example first;
    const lf_status rc = lf_text_dataset_example(o->data, 0, &first, err);
    if (rc) return rc;
    o->how = lf_predicted_texts(by->head->problem, first.second, o->known);
    *p = (lf_predictions){.how = &o->how, .data = o->data};
    lf_predictions_of(p, by->head, by->cfg);
    lf_text_example_free(&first);
    return lf_predict_all_texts(p, o->data, o->tokenizer, by, err);
}

lf_status lf_predict_texts(const lf_config *cfg, lf_model *m, lf_graph *g, FILE *out, lf_err *err) {
    lf_predictor by = {.cfg = cfg, .model = m, .g = g, .what = "predict"};
    opened o = {0};
    lf_predictions p = {0};
    if (!lf_model_says(m, LF_CLASSES))
        return lf_fail(
            err, LF_EUNSUPPORTED,
            "%s: a language model without a classifier's head, and predict says classes; generate --data writes an "
            "answer "
            "to each record, eval with save_predictions takes one of its choices; or give an adapter that has a head",
            m->path);
    lf_status rc = lf_head_in_use(&by.head, m, cfg, "predict", err);
    if (!rc && !(rc = open_all(&o, &by, err)) && !(rc = run(&p, &o, &by, err)))
        rc = lf_predictions_deliver(&p, cfg, out, err);
    lf_predictions_free(&p);
    close_all(&o);
    return rc;
}
