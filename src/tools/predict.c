/* The verb `predict`: pictures without labels to classes and probabilities. All are kept (a few numbers a picture) and
 * written at the end, so that there is a whole result or none. */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/csv.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/string.h"
#include "base/utf8.h"
#include "eval/eval_internal.h"
#include "tools/common.h"
#include "tools/predictions.h"

typedef struct guess {
    int32_t label;
    float probability;
} guess;

typedef struct predictions {
    const lf_dataset *d;
    const char *const *names;
    int64_t top_k, count, skipped;
    bool labelled;    /* the classes of d are labels of the model: they are said beside what was guessed */
    int64_t *indices; /* [count] into d */
    guess *guesses;   /* [count, top_k], most probable first */
} predictions;

/* The top_k largest, the first of equals before the others. */
static void choose(guess *top, int64_t top_k, const float *logits, int64_t V) {
    const double lse = lf_log_sum_exp(logits, V);
    int64_t n = 0;
    for (int32_t v = 0; v < V; v++) {
        if (n == top_k && !(logits[v] > logits[top[n - 1].label])) continue;
        int64_t at = n < top_k ? n++ : n - 1;
        for (; at > 0 && logits[v] > logits[top[at - 1].label]; at--) top[at] = top[at - 1];
        top[at].label = v;
    }
    for (int64_t i = 0; i < n; i++) top[i].probability = (float)exp((double)logits[top[i].label] - lse);
}

static lf_status visit(void *context, const lf_example_batch *b, const float *features, const float *logits, int64_t V,
                       lf_err *err) {
    (void)features;
    (void)err;
    predictions *p = context;
    for (int64_t i = 0; i < b->in.B; i++, p->count++) {
        p->indices[p->count] = b->indices[i];
        choose(p->guesses + p->count * p->top_k, p->top_k, logits + i * V, V);
    }
    return LF_OK;
}

/* ---- writing ---- */

enum { NAME = 4352 }; /* PATH_MAX and an index */

static void put_guess(lf_obj *o, const predictions *p, const guess *g) {
    lf_obj_string(o, "label", p->names[g->label]);
    lf_obj_number(o, "probability", (double)g->probability);
}

static const char *true_name(const predictions *p, int64_t i) {
    return lf_dataset_class_name(p->d, lf_dataset_label(p->d, p->indices[i]));
}

static bool is_right(const predictions *p, int64_t i) {
    return strcmp(true_name(p, i), p->names[p->guesses[i * p->top_k].label]) == 0;
}

static cJSON *guesses_json(const predictions *p, const guess *top) {
    lf_obj list = lf_list_new();
    for (int64_t k = 0; k < p->top_k; k++) {
        lf_obj one = lf_obj_new();
        put_guess(&one, p, &top[k]);
        lf_list_put(&list, lf_obj_take(&one));
    }
    return lf_obj_take(&list);
}

/* A name that is no UTF-8 also as its bytes, all but letters, digits and -._~/ as %XX: the file can be found by it. */
static void put_name(lf_obj *o, const char *name) {
    static const char plain[] = "-._~/";
    lf_obj_string(o, "file", name);
    if (lf_utf8_invalid(name, strlen(name)) == strlen(name)) return;
    lf_string t = {0};
    for (const char *c = name; *c; c++)
        lf_string_add(&t, isalnum((unsigned char)*c) || strchr(plain, *c) ? "%c" : "%%%02X", (unsigned char)*c);
    char *percent = lf_string_take(&t);
    lf_obj_put(o, "file_percent", percent ? cJSON_CreateString(percent) : NULL);
    lf_free(percent);
}

static cJSON *to_json(const predictions *p, int64_t i) {
    char name[NAME];
    const guess *top = p->guesses + i * p->top_k;
    lf_obj o = lf_obj_new();
    put_name(&o, lf_dataset_example_name(p->d, p->indices[i], name, sizeof name));
    put_guess(&o, p, top);
    if (p->labelled) {
        lf_obj_string(&o, "true_label", true_name(p, i));
        lf_obj_bool(&o, "right", is_right(p, i));
    }
    if (p->top_k > 1) lf_obj_put(&o, "top_k", guesses_json(p, top));
    return lf_obj_take(&o);
}

static cJSON *all_json(const predictions *p) {
    lf_obj list = lf_list_new();
    for (int64_t i = 0; i < p->count; i++) lf_list_put(&list, to_json(p, i));
    return lf_obj_take(&list);
}

static lf_status write_jsonl(const predictions *p, FILE *f, lf_err *err) {
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < p->count && !rc; i++) rc = lf_json_write_line(f, to_json(p, i), err);
    return rc;
}

static lf_status csv_name(FILE *f, const char *name, lf_err *err) {
    char *repaired = lf_string_repaired(name);
    if (!repaired) return lf_no_memory(err, "the predictions");
    lf_csv_text(f, repaired);
    lf_free(repaired);
    return LF_OK;
}

static lf_status write_csv(const predictions *p, FILE *f, lf_err *err) {
    char name[NAME];
    fputs("file,label,probability", f);
    for (int64_t k = 1; k < p->top_k; k++) fprintf(f, ",label_%" PRId64 ",probability_%" PRId64, k + 1, k + 1);
    if (p->labelled) fputs(",true_label,right", f);
    fputc('\n', f);
    for (int64_t i = 0; i < p->count; i++) {
        const lf_status rc = csv_name(f, lf_dataset_example_name(p->d, p->indices[i], name, sizeof name), err);
        if (rc) return rc;
        for (int64_t k = 0; k < p->top_k; k++) {
            const guess *g = &p->guesses[i * p->top_k + k];
            fputc(',', f);
            lf_csv_text(f, p->names[g->label]);
            fprintf(f, ",%.6g", (double)g->probability);
        }
        if (p->labelled) {
            fputc(',', f);
            lf_csv_text(f, true_name(p, i));
            fputs(is_right(p, i) ? ",true" : ",false", f);
        }
        fputc('\n', f);
    }
    return LF_OK;
}

static lf_status write_lines(const predictions *p, const char *format, FILE *f, lf_err *err) {
    return strcmp(format, "csv") == 0 ? write_csv(p, f, err) : write_jsonl(p, f, err);
}

static lf_status write_file(const predictions *p, const char *format, const char *path, lf_err *err) {
    lf_atomic_file file;
    lf_status rc = lf_atomic_open(&file, path, err);
    if (rc) return rc;
    if (!(rc = write_lines(p, format, file.f, err))) return lf_atomic_commit(&file, err);
    lf_atomic_abort(&file);
    return rc;
}

/* With `json`: one object, that holds the predictions or names the file that does. */
static lf_status print_object(const predictions *p, const char *path, FILE *out, lf_err *err) {
    lf_obj o = lf_obj_new();
    lf_obj_number(&o, "count", (double)p->count);
    lf_obj_number(&o, "skipped", (double)p->skipped);
    if (path)
        lf_obj_string(&o, "output_file", path);
    else
        lf_obj_put(&o, "predictions", all_json(p));
    return lf_json_write_line(out, lf_obj_take(&o), err);
}

static lf_status deliver(const predictions *p, const lf_config *cfg, FILE *out, lf_err *err) {
    const char *const path = lf_cfg_str(cfg, LF_output_file), *const format = lf_cfg_str(cfg, LF_output);
    if (path) {
        const lf_status rc = write_file(p, format, path, err);
        if (rc) return rc;
        lf_info("%lld predictions are in %s", (long long)p->count, path);
    }
    if (lf_cfg_bool(cfg, LF_json)) return print_object(p, path, out, err);
    return path ? LF_OK : write_lines(p, format, out, err);
}

/* ---- the verb ---- */

static lf_status allocate(predictions *p, lf_err *err) {
    const size_t n = (size_t)lf_dataset_count(p->d);
    uint64_t all;
    p->indices = lf_calloc(n, sizeof *p->indices);
    p->guesses = lf_mul_overflow(n, (uint64_t)p->top_k, &all) ? NULL : lf_calloc((size_t)all, sizeof *p->guesses);
    return p->indices && p->guesses ? LF_OK : lf_no_memory(err, "%zu predictions", n);
}

static bool is_label(const char *name, const lf_classifier *head) {
    for (int64_t i = 0; i < head->n_labels; i++)
        if (strcmp(head->labels[i], name) == 0) return true;
    return false;
}

/* Are the folders (or what a file of labels says) classes that the model knows, each by its name? Then they are what is
 * right. Folders of other names may mean anything. */
static bool has_true_labels(const lf_dataset *d, int64_t count, const lf_classifier *head) {
    if (lf_dataset_count(d) != count) return false; /* pictures that no label is given of */
    for (int64_t c = 0; c < lf_dataset_n_classes(d); c++)
        if (!is_label(lf_dataset_class_name(d, c), head)) return false;
    return true;
}

/* The pictures, with their labels where they have true ones. */
static lf_status open_pictures(predictions *p, lf_dataset **out, const lf_dataset_opts *opts, const lf_classifier *head,
                               lf_err *err) {
    const lf_status rc = lf_dataset_open(out, opts, err);
    if (rc) return rc;
    lf_dataset_opts labelled = *opts;
    lf_dataset *d = NULL;
    lf_err ignored = {0};
    labelled.unlabelled = false;
    const lf_log_level was = lf_log_set_level(LF_LOG_QUIET); /* what is left out was said */
    const lf_status has_none = lf_dataset_open(&d, &labelled, &ignored);
    lf_log_set_level(was);
    if (has_none) return LF_OK;
    p->labelled = has_true_labels(d, lf_dataset_count(*out), head);
    if (p->labelled) {
        lf_dataset *plain = *out;
        *out = d;
        d = plain;
    }
    lf_dataset_free(d);
    return LF_OK;
}

lf_status lf_predict(const lf_config *cfg, FILE *out, lf_err *err) {
    const lf_dataset_opts data = {.spec = lf_cfg_json(cfg, LF_data),
                                  .key = "data",
                                  .unlabelled = true,
                                  .max_samples = lf_cfg_i64(cfg, LF_max_samples)};
    if (!data.spec) return lf_fail(err, LF_EUSAGE, "key 'data' is required; write --data PATH");
    lf_opened o = {0};
    lf_dataset *d = NULL;
    predictions p = {.top_k = lf_cfg_is_set(cfg, LF_top_k) ? lf_cfg_i64(cfg, LF_top_k) : 1};
    lf_image_processor processor;
    const lf_eval_opts opts = {.batch_size = lf_cfg_i64(cfg, LF_per_device_eval_batch_size),
                               .workers = lf_cfg_i64(cfg, LF_dataloader_num_workers),
                               .skip_bad_images = lf_cfg_bool(cfg, LF_skip_bad_images),
                               .processor = &processor,
                               .what = "predict",
                               .interruptible = true};
    const lf_classifier *head;
    lf_picture_examples pictures;
    lf_accuracy a;
    lf_status rc;
    if ((rc = lf_opened_open(&o, cfg, LF_LOAD_FROZEN, err))) goto out;
    if (o.model->family->input != LF_PIXELS) {
        rc = lf_predict_texts(cfg, o.model, o.g, out, err);
        goto out;
    }
    if ((rc = lf_processor_for(&processor, o.model, err)) ||
        (rc = lf_head_in_use(&head, o.model, cfg, "predict", err)) || (rc = open_pictures(&p, &d, &data, head, err)))
        goto out;
    p.d = d;
    p.names = head->labels;
    if (p.top_k > head->n_labels) p.top_k = head->n_labels;
    if ((rc = allocate(&p, err)) ||
        (rc = lf_evaluate(&a, o.model, o.g, head->module, lf_examples_of_pictures(&pictures, d, &opts), &opts, visit,
                          &p, err)))
        goto out;
    p.skipped = a.skipped;
    if (a.skipped) lf_warn("%lld pictures could not be read and were left out", (long long)a.skipped);
    rc = deliver(&p, cfg, out, err);
out:
    lf_free(p.indices);
    lf_free(p.guesses);
    lf_dataset_free(d);
    lf_opened_close(&o);
    return rc;
}
