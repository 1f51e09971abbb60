/* Pictures as they go into the model, on a contact sheet. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "data/image/sheet.h"
#include "task/preview.h"

/* One class by its name, several as a list; `text`: the same for the sheet. */
static void put_label(lf_obj *o, const lf_dataset *d, const lf_batch *b, char *text, size_t size) {
    lf_obj list = lf_list_new();
    text[0] = 0;
    if (!b->values) {
        snprintf(text, size, "%s", lf_dataset_class_name(d, b->labels[0]));
        lf_obj_string(o, "label", text);
        cJSON_Delete(lf_obj_take(&list));
        return;
    }
    for (int64_t c = 0; c < lf_dataset_n_classes(d); c++) {
        const size_t n = strlen(text);
        if (!(b->values[c] > 0.5f)) continue;
        lf_list_string(&list, lf_dataset_class_name(d, c));
        snprintf(text + n, size - n, "%s%s", n ? ", " : "", lf_dataset_class_name(d, c));
    }
    lf_obj_put(o, "label", lf_obj_take(&list));
}

/* Bad pictures that are left out (skip_bad_images) are not among them: the next ones are. */
static lf_status walk(lf_loader *loader, const lf_dataset *d, int64_t n, lf_sheet *sheet, lf_obj *records,
                      lf_err *err) {
    for (int64_t i = 0; i < n; i++) {
        const lf_batch *b;
        const lf_status rc = lf_loader_next(loader, &b, err);
        if (rc || b->epoch > 0) return rc;
        char name[600], label[600];
        lf_obj o = lf_obj_new();
        lf_obj_string(&o, "name", lf_dataset_example_name(d, b->indices[0], name, sizeof name));
        put_label(&o, d, b, label, sizeof label);
        lf_list_put(records, lf_obj_take(&o));
        lf_sheet_put(sheet, b->pixels, label);
    }
    return LF_OK;
}

static lf_status show(const lf_dataset *d, lf_loader *loader, const lf_image_processor *p, int64_t n, const char *path,
                      lf_obj *out, lf_err *err) {
    const int64_t all = lf_dataset_count(d), shown = n < all ? n : all;
    lf_obj records = lf_list_new();
    lf_sheet *sheet = NULL;
    lf_status rc;
    if (!(rc = lf_sheet_new(&sheet, shown, p, err)) && !(rc = walk(loader, d, shown, sheet, &records, err)) &&
        !(rc = lf_sheet_write(sheet, path, err))) {
        lf_obj_put(out, "records", lf_obj_take(&records));
        lf_obj_string(out, "sheet", path);
    }
    cJSON_Delete(lf_obj_take(&records));
    lf_sheet_free(sheet);
    return rc;
}

static lf_status put_counts(lf_obj *out, const lf_dataset *d, lf_err *err) {
    const int64_t n = lf_dataset_n_classes(d), all = lf_dataset_count(d);
    const bool several = lf_dataset_several(d);
    int64_t *count = lf_calloc((size_t)n, sizeof *count);
    float *values = lf_calloc((size_t)n, sizeof *values);
    if (!count || !values) {
        lf_free(values);
        lf_free(count);
        return lf_no_memory(err, "the counts of %lld classes", (long long)n);
    }
    for (int64_t i = 0; i < all; i++) {
        if (several) lf_dataset_values(d, i, values);
        for (int64_t c = 0; several && c < n; c++) count[c] += values[c] > 0.5f;
        if (!several) count[lf_dataset_label(d, i)]++;
    }
    lf_obj classes = lf_obj_new(), o = lf_obj_new();
    for (int64_t i = 0; i < n; i++) lf_obj_number(&classes, lf_dataset_class_name(d, i), (double)count[i]);
    lf_obj_number(&o, "records", (double)all);
    lf_obj_put(&o, "classes", lf_obj_take(&classes));
    if (several) lf_obj_string(&o, "problem_type", lf_problem_name(LF_MULTI_LABEL));
    lf_obj_put(out, "counts", lf_obj_take(&o));
    lf_free(values);
    lf_free(count);
    return LF_OK;
}

lf_status lf_preview_pictures(const lf_dataset *d, lf_loader *loader, const lf_image_processor *p, int64_t n,
                              const char *sheet, lf_obj *out, lf_err *err) {
    const lf_status rc = n > 0 ? show(d, loader, p, n, sheet, out, err) : LF_OK;
    return rc ? rc : put_counts(out, d, err);
}
