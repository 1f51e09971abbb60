/* The verb `predict`: pictures without labels to classes and probabilities; texts are predict_texts.c's. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/csv.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/string.h"
#include "base/utf8.h"
#include "data/class_names.h"
#include "data/label_form.h"
#include "eval/eval_internal.h"
#include "tools/common.h"
#include "tools/predictions.h"

/* ---- how a picture is shown ---- */

enum { NAME = 4352 }; /* PATH_MAX and an index */

/* A name that is no UTF-8 also as its bytes, all but letters, digits and -._~/ as %XX: the file can be found by it. */
static lf_status put_name(lf_obj *o, const lf_predictions *p, int64_t index, lf_err *err) {
    static const char plain[] = "-._~/";
    char buf[NAME];
    const char *name = lf_dataset_example_name(p->data, index, buf, sizeof buf);
    (void)err;
    lf_obj_string(o, "file", name);
    if (lf_utf8_invalid(name, strlen(name)) == strlen(name)) return LF_OK;
    lf_string t = {0};
    for (const char *c = name; *c; c++)
        lf_string_add(&t, isalnum((unsigned char)*c) || strchr(plain, *c) ? "%c" : "%%%02X", (unsigned char)*c);
    char *percent = lf_string_take(&t);
    lf_obj_put(o, "file_percent", percent ? cJSON_CreateString(percent) : NULL);
    lf_free(percent);
    return LF_OK;
}

static lf_status csv_name(FILE *f, const lf_predictions *p, int64_t index, lf_err *err) {
    char buf[NAME];
    char *repaired = lf_string_repaired(lf_dataset_example_name(p->data, index, buf, sizeof buf));
    if (!repaired) return lf_no_memory(err, "the predictions");
    lf_csv_text(f, repaired);
    lf_free(repaired);
    return LF_OK;
}

/* ---- beside what is right ---- */

static const char *true_name(const lf_predictions *p, int64_t i) {
    return lf_dataset_class_name(p->data, lf_dataset_label(p->data, p->indices[i]));
}

static bool is_right(const lf_predictions *p, int64_t i) {
    return strcmp(true_name(p, i), p->names[p->guesses[i * p->top_k].label]) == 0;
}

static lf_status put_right(lf_obj *o, const lf_predictions *p, int64_t i, lf_err *err) {
    (void)err;
    lf_obj_string(o, "true_label", true_name(p, i));
    lf_obj_bool(o, "right", is_right(p, i));
    return LF_OK;
}

static lf_status csv_right(FILE *f, const lf_predictions *p, int64_t i, lf_err *err) {
    (void)err;
    fputc(',', f);
    lf_csv_text(f, true_name(p, i));
    fputs(is_right(p, i) ? ",true" : ",false", f);
    return LF_OK;
}

/* Of several labels: those of the picture as a list, and whether they are those that hold. */
static lf_status true_names(cJSON **out, bool *right, const lf_predictions *p, int64_t i, lf_err *err) {
    float *values = lf_malloc((size_t)p->n_labels * sizeof *values);
    lf_obj list = lf_list_new();
    *right = true;
    if (!values) {
        cJSON_Delete(lf_obj_take(&list));
        return lf_no_memory(err, "the predictions");
    }
    lf_dataset_values(p->data, p->indices[i], values);
    for (int64_t c = 0; c < p->n_labels; c++) {
        const bool is = values[c] > 0.5f;
        *right = *right && is == lf_predictions_hold_class(p, i, c);
        if (is) lf_list_string(&list, p->names[c]);
    }
    lf_free(values);
    *out = lf_obj_take(&list);
    return LF_OK;
}

static lf_status put_all_right(lf_obj *o, const lf_predictions *p, int64_t i, lf_err *err) {
    cJSON *names;
    bool right;
    const lf_status rc = true_names(&names, &right, p, i, err);
    if (rc) return rc;
    lf_obj_put(o, "true_labels", names);
    lf_obj_bool(o, "right", right);
    return LF_OK;
}

static lf_status csv_all_right(FILE *f, const lf_predictions *p, int64_t i, lf_err *err) {
    cJSON *names;
    bool right;
    lf_status rc = true_names(&names, &right, p, i, err);
    if (!rc && !(rc = lf_predictions_csv_list(f, names, err))) fputs(right ? ",true" : ",false", f);
    return rc;
}

static const lf_predicted plain_pictures = {.columns = "file",
                                            .score = "probability",
                                            .put = put_name,
                                            .csv = csv_name},
                          labelled_pictures = {.columns = "file",
                                               .score = "probability",
                                               .put = put_name,
                                               .csv = csv_name,
                                               .more_columns = ",true_label,right",
                                               .put_more = put_right,
                                               .csv_more = csv_right},
                          several_labels = {.columns = "file",
                                            .score = "probability",
                                            .put = put_name,
                                            .csv = csv_name,
                                            .more_columns = ",true_labels,right",
                                            .put_more = put_all_right,
                                            .csv_more = csv_all_right};

const lf_predicted *lf_predicted_pictures(bool several) { return several ? &several_labels : &labelled_pictures; }

/* ---- the verb ---- */

/* Are the folders (or what a file of labels says) classes that the model knows, each by its name? Then they are what is
 * right. Folders of other names may mean anything. */
static bool has_true_labels(const lf_dataset *d, int64_t count, const lf_classifier *head) {
    if (lf_dataset_count(d) != count) return false; /* pictures that no label is given of */
    for (int64_t c = 0; c < lf_dataset_n_classes(d); c++)
        if (lf_class_names_find(lf_dataset_class_name(d, c), head->labels, head->n_labels) < 0) return false;
    return true;
}

/* Classes get the numbers that the head's labels have, each by its name. */
static lf_status take_numbers(lf_dataset *d, const lf_classifier *head, lf_err *err) {
    const int64_t n = lf_dataset_n_classes(d);
    int32_t *to = lf_malloc((size_t)n * sizeof *to);
    if (!to) return lf_no_memory(err, "the classes of %s", lf_dataset_path(d));
    for (int64_t c = 0; c < n; c++)
        to[c] = (int32_t)lf_class_names_find(lf_dataset_class_name(d, c), head->labels, head->n_labels);
    const lf_status rc = lf_dataset_relabel(d, head->labels, head->n_labels, to, err);
    lf_free(to);
    return rc;
}

/* Pictures whose labels are asked for: they are the model's. */
static lf_status open_named(lf_predictions *p, lf_dataset **out, const lf_dataset_opts *labelled,
                            const lf_classifier *head, lf_err *err) {
    const lf_status rc = lf_open_labelled(out, labelled, head->labels, head->n_labels, err);
    if (!rc) p->how = lf_predicted_pictures(lf_dataset_several(*out));
    return rc;
}

/* The pictures, with their labels where they have true ones. */
static lf_status open_pictures(lf_predictions *p, lf_dataset **out, const lf_dataset_opts *opts,
                               const lf_classifier *head, lf_err *err) {
    lf_dataset_opts labelled = *opts;
    lf_dataset *d = NULL;
    lf_err ignored = {0};
    labelled.unlabelled = false;
    labelled.problem_known = true;
    labelled.problem = head->problem;
    if (lf_data_names_labels(opts->spec)) return open_named(p, out, &labelled, head, err);
    const lf_status rc = lf_dataset_open(out, opts, err);
    if (rc) return rc;
    const lf_log_level was = lf_log_set_level(LF_LOG_QUIET); /* what is left out was said */
    const lf_status has_none = lf_dataset_open(&d, &labelled, &ignored);
    lf_log_set_level(was);
    if (has_none) return LF_OK;
    lf_status made = LF_OK;
    if (has_true_labels(d, lf_dataset_count(*out), head)) {
        const bool several = lf_dataset_several(d);
        p->how = lf_predicted_pictures(several);
        made = several ? take_numbers(d, head, err) : LF_OK;
        lf_dataset *plain = *out;
        *out = d;
        d = plain;
    }
    lf_dataset_free(d);
    return made;
}

lf_status lf_predict_all_pictures(lf_predictions *p, const lf_dataset *d, const lf_image_processor *processor,
                                  const lf_predictor *by, lf_err *err) {
    const lf_eval_opts opts = {.batch_size = lf_cfg_i64(by->cfg, LF_per_device_eval_batch_size),
                               .workers = lf_cfg_workers(by->cfg),
                               .skip_bad_images = lf_cfg_bool(by->cfg, LF_skip_bad_images),
                               .processor = processor,
                               .what = by->what,
                               .interruptible = true};
    lf_picture_examples pictures;
    lf_accuracy a;
    lf_status rc;
    if ((rc = lf_predictions_hold(p, lf_dataset_count(d), err)) ||
        (rc = lf_evaluate(&a, by->model, by->g, by->head->module, lf_examples_of_pictures(&pictures, d, &opts), &opts,
                          lf_predictions_add, p, err)))
        return rc;
    p->skipped = a.skipped;
    if (a.skipped) lf_warn("%lld pictures could not be read and were left out", (long long)a.skipped);
    return LF_OK;
}

lf_status lf_open_picture_classifier(const lf_classifier **head, lf_image_processor *processor, lf_model *m,
                                     const lf_config *cfg, const char *what, lf_err *err) {
    const char *texts = lf_cfg_str(cfg, LF_class_embeddings);
    lf_status rc = texts ? lf_model_compare_with(m, texts, err) : LF_OK;
    if (rc || (rc = lf_processor_for(processor, m, err))) return rc;
    return lf_head_in_use(head, m, cfg, what, err);
}

lf_status lf_predict(const lf_config *cfg, FILE *out, lf_err *err) {
    const lf_dataset_opts data = {.spec = lf_cfg_json(cfg, LF_data),
                                  .key = "data",
                                  .unlabelled = true,
                                  .max_samples = lf_cfg_i64(cfg, LF_max_samples)};
    if (!data.spec) return lf_fail(err, LF_EUSAGE, "key 'data' is required; write --data PATH");
    lf_opened o = {0};
    lf_dataset *d = NULL;
    lf_predictions p = {.how = &plain_pictures};
    lf_image_processor processor;
    lf_predictor by = {.cfg = cfg, .what = "predict"};
    lf_status rc;
    if ((rc = lf_opened_open(&o, cfg, LF_LOAD_FROZEN, err))) goto out;
    if (o.model->family->input != LF_PIXELS) {
        rc = lf_predict_texts(cfg, o.model, o.g, out, err);
        goto out;
    }
    by.model = o.model;
    by.g = o.g;
    if ((rc = lf_open_picture_classifier(&by.head, &processor, o.model, cfg, by.what, err)) ||
        (rc = open_pictures(&p, &d, &data, by.head, err)))
        goto out;
    p.data = d;
    lf_predictions_of(&p, by.head, cfg);
    if (!(rc = lf_predict_all_pictures(&p, d, &processor, &by, err))) rc = lf_predictions_deliver(&p, cfg, out, err);
out:
    lf_predictions_free(&p);
    lf_dataset_free(d);
    lf_opened_close(&o);
    return rc;
}
