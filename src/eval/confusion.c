/* Which class is taken for which. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/csv.h"
#include "base/file.h"
#include "base/obj.h"
#include "base/string.h"
#include "eval/eval.h"

static int64_t examples_of(const lf_confusion *c, int64_t label) {
    int64_t n = 0;
    for (int64_t said = 0; said < c->n; said++) n += c->counts[label * c->n + said];
    return n;
}

static int64_t right_of(const lf_confusion *c, int64_t label) { return c->counts[label * c->n + label]; }

static void write_row(FILE *f, const lf_confusion *c, int64_t label, const char *name) {
    const int64_t n = examples_of(c, label), right = right_of(c, label);
    lf_csv_text(f, name);
    fprintf(f, ",%" PRId64 ",%" PRId64 ",", n, right);
    if (n) fprintf(f, "%.6g", (double)right / (double)n);
    for (int64_t said = 0; said < c->n; said++) fprintf(f, ",%" PRId64, c->counts[label * c->n + said]);
    fputc('\n', f);
}

lf_status lf_confusion_write(const lf_confusion *c, const char *const *names, const char *path, lf_err *err) {
    lf_atomic_file file;
    const lf_status rc = lf_atomic_open(&file, path, err);
    if (rc) return rc;
    fputs("label,samples,right,accuracy", file.f);
    for (int64_t said = 0; said < c->n; said++) {
        fputs(",as ", file.f);
        lf_csv_text(file.f, names[said]);
    }
    fputc('\n', file.f);
    for (int64_t label = 0; label < c->n; label++) write_row(file.f, c, label, names[label]);
    return lf_atomic_commit(&file, err);
}

cJSON *lf_confusion_json(const lf_confusion *c, const char *const *names) {
    lf_obj o = lf_obj_new(), labels = lf_list_new(), rows = lf_list_new();
    for (int64_t label = 0; label < c->n; label++) {
        lf_obj row = lf_list_new();
        for (int64_t said = 0; said < c->n; said++)
            lf_list_put(&row, cJSON_CreateNumber((double)c->counts[label * c->n + said]));
        lf_list_put(&labels, cJSON_CreateString(names[label]));
        lf_list_put(&rows, lf_obj_take(&row));
    }
    lf_obj_put(&o, "labels", lf_obj_take(&labels));
    lf_obj_put(&o, "counts", lf_obj_take(&rows));
    return lf_obj_take(&o);
}

cJSON *lf_confusion_classes(const lf_confusion *c, const char *const *names) {
    lf_obj list = lf_list_new();
    for (int64_t label = 0; label < c->n; label++) {
        const int64_t n = examples_of(c, label);
        if (!n) continue;
        lf_obj one = lf_obj_new();
        lf_obj_string(&one, "label", names[label]);
        lf_obj_number(&one, "samples", (double)n);
        lf_obj_number(&one, "accuracy", (double)right_of(c, label) / (double)n);
        lf_list_put(&list, lf_obj_take(&one));
    }
    return lf_obj_take(&list);
}
