/* Texts that are classified: their tokens as text again, and their label. */
#include <math.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "task/preview.h"

static void put_numbers(lf_obj *o, const float *values, int64_t n) {
    if (n == 1) {
        lf_obj_number(o, "label", (double)values[0]);
        return;
    }
    lf_obj list = lf_list_new();
    for (int64_t i = 0; i < n; i++) lf_list_put(&list, cJSON_CreateNumber((double)values[i]));
    lf_obj_put(o, "label", lf_obj_take(&list));
}

/* One class by its name, several as a list; a number, or a list of them. */
static void put_label(lf_obj *o, const lf_text_dataset *d, const lf_text_batch *b) {
    int64_t n;
    const char *const *names = lf_text_dataset_classes(d, &n);
    if (lf_text_dataset_problem(d) == LF_REGRESSION) {
        put_numbers(o, b->values, lf_text_dataset_width(d));
        return;
    }
    if (lf_text_dataset_problem(d) == LF_SINGLE_LABEL) {
        lf_obj_string(o, "label", names[b->classes[0]]);
        return;
    }
    lf_obj list = lf_list_new();
    for (int64_t c = 0; c < n; c++)
        if (b->values[c] > 0.5f) lf_list_string(&list, names[c]);
    lf_obj_put(o, "label", lf_obj_take(&list));
}

static lf_status show(lf_obj *records, const lf_text_dataset *d, const lf_tokenizer *tokenizer, const lf_text_batch *b,
                      int64_t cut, lf_err *err) {
    char name[600], *text = NULL;
    size_t size;
    const lf_status rc = lf_tokenizer_decode(tokenizer, b->ids, b->lengths[0], false, &text, &size, err);
    if (rc) return rc;
    lf_obj o = lf_obj_new();
    lf_obj_string(&o, "name", lf_text_dataset_record_name(d, b->indices[0], name, sizeof name));
    lf_obj_string(&o, "text", text);
    put_label(&o, d, b);
    lf_obj_number(&o, "tokens", (double)b->lengths[0]);
    lf_obj_number(&o, "cut", (double)cut);
    lf_list_put(records, lf_obj_take(&o));
    lf_free(text);
    return LF_OK;
}

static void put_classes(lf_obj *o, const lf_text_dataset *d, const double *counts) {
    int64_t n;
    const char *const *names = lf_text_dataset_classes(d, &n);
    lf_obj classes = lf_obj_new();
    for (int64_t c = 0; c < n; c++) lf_obj_number(&classes, names[c], counts[c]);
    lf_obj_string(o, "problem_type", lf_problem_name(lf_text_dataset_problem(d)));
    if (names)
        lf_obj_put(o, "classes", lf_obj_take(&classes));
    else
        cJSON_Delete(lf_obj_take(&classes));
}

static void count(double *counts, const lf_text_dataset *d, const lf_text_batch *b) {
    int64_t n;
    if (!lf_text_dataset_classes(d, &n)) return;
    for (int64_t c = 0; b->values && c < n; c++) counts[c] += b->values[c] > 0.5f;
    if (!b->values) counts[b->classes[0]]++;
}

/* One epoch, a text a batch, of which the first n go into `records`. */
static lf_status walk(const lf_text_dataset *d, lf_text_loader *loader, int64_t n, const lf_tokenizer *tokenizer,
                      lf_obj *records, double *counts, lf_err *err) {
    const int64_t rows = lf_text_loader_rows_per_epoch(loader);
    const lf_text_batch *b;
    lf_progress progress;
    lf_status rc = LF_OK;
    lf_progress_begin(&progress, "counting", rows);
    for (int64_t i = 0; i < rows && !rc; i++) {
        const int64_t cut = lf_text_loader_stats(loader).truncated_tokens;
        if (lf_interrupted()) rc = lf_fail(err, LF_EINTERRUPTED, "interrupted while counting tokens");
        if (rc || (rc = lf_text_loader_next(loader, &b, err)) || !b) break;
        count(counts, d, b);
        if (i < n) rc = show(records, d, tokenizer, b, lf_text_loader_stats(loader).truncated_tokens - cut, err);
        lf_progress_update(&progress, i + 1, "");
    }
    lf_progress_end(&progress, "");
    return rc;
}

lf_status lf_preview_classified(const lf_text_dataset *d, const lf_text_encoder *encoder, const lf_tokenizer *tokenizer,
                                const lf_text_loader_opts *opts, int64_t n, lf_obj *out, lf_err *err) {
    int64_t n_classes;
    (void)lf_text_dataset_classes(d, &n_classes);
    double *counts = lf_calloc((size_t)n_classes + 1, sizeof *counts);
    lf_text_loader *loader = NULL;
    lf_obj records = lf_list_new(), o = lf_obj_new();
    lf_status rc = counts ? lf_text_loader_new(&loader, d, encoder, opts, err)
                          : lf_no_memory(err, "the counts of %lld classes", (long long)n_classes);
    if (!rc && !(rc = walk(d, loader, n, tokenizer, &records, counts, err))) {
        const lf_text_stats s = lf_text_loader_stats(loader);
        if (n) lf_obj_put(out, "records", lf_obj_take(&records));
        lf_obj_number(&o, "records", (double)lf_text_loader_count(loader));
        lf_obj_number(&o, "tokens", (double)s.tokens);
        lf_obj_number(&o, "cut", (double)s.truncated_tokens);
        lf_obj_number(&o, "cut_records", (double)s.truncated_documents);
        lf_obj_number(&o, "skipped_records", (double)s.scan_skipped);
        put_classes(&o, d, counts);
        lf_obj_put(out, "counts", lf_obj_take(&o));
    }
    cJSON_Delete(lf_obj_take(&records));
    cJSON_Delete(lf_obj_take(&o));
    lf_text_loader_free(loader);
    lf_free(counts);
    return rc;
}
