/* Which class is taken for which; of several labels, how well each is told. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/csv.h"
#include "base/file.h"
#include "base/obj.h"
#include "base/string.h"
#include "eval/eval.h"

/* ---- of several labels ---- */

typedef struct told {
    int64_t are, said, right;
} told;

void lf_confusion_count(lf_confusion *c, int64_t label, bool is, bool said) {
    int64_t *counts = c->counts + label * LF_CONFUSION_COUNTS;
    counts[0] += is;
    counts[1] += said;
    counts[2] += is && said;
}

static told told_of(const lf_confusion *c, int64_t label) {
    const int64_t *counts = c->counts + label * LF_CONFUSION_COUNTS;
    return (told){counts[0], counts[1], counts[2]};
}

/* part / of; NAN of nothing. */
static double share(int64_t part, int64_t of) { return of ? (double)part / (double)of : NAN; }

/* Precision, recall and F1. */
static void shares_of(double out[3], const told *t) {
    out[0] = share(t->right, t->said);
    out[1] = share(t->right, t->are);
    out[2] = share(2 * t->right, t->are + t->said);
}

static void write_told(FILE *f, const lf_confusion *c, int64_t label, const char *name) {
    const told t = told_of(c, label);
    double shares[3];
    shares_of(shares, &t);
    lf_csv_text(f, name);
    fprintf(f, ",%" PRId64 ",%" PRId64 ",%" PRId64, t.are, t.said, t.right);
    for (int i = 0; i < 3; i++) {
        fputc(',', f);
        if (isfinite(shares[i])) fprintf(f, "%.6g", shares[i]);
    }
    fputc('\n', f);
}

static cJSON *told_json(const lf_confusion *c, int64_t label, const char *name) {
    static const char *const keys[3] = {"precision", "recall", "f1"};
    const told t = told_of(c, label);
    double shares[3];
    shares_of(shares, &t);
    lf_obj one = lf_obj_new();
    lf_obj_string(&one, "label", name);
    lf_obj_number(&one, "samples", (double)t.are);
    lf_obj_number(&one, "said", (double)t.said);
    lf_obj_number(&one, "right", (double)t.right);
    for (int i = 0; i < 3; i++)
        if (isfinite(shares[i])) lf_obj_number(&one, keys[i], shares[i]);
    return lf_obj_take(&one);
}

static cJSON *all_told(const lf_confusion *c, const char *const *names) {
    lf_obj list = lf_list_new();
    for (int64_t label = 0; label < c->n; label++) lf_list_put(&list, told_json(c, label, names[label]));
    return lf_obj_take(&list);
}

/* ---- of one label ---- */

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

static void write_heading(FILE *f, const lf_confusion *c, const char *const *names) {
    fputs(c->several ? "label,samples,said,right,precision,recall,f1" : "label,samples,right,accuracy", f);
    for (int64_t said = 0; said < c->n && !c->several; said++) {
        fputs(",as ", f);
        lf_csv_text(f, names[said]);
    }
    fputc('\n', f);
}

/* ---- both ---- */

lf_status lf_confusion_write(const lf_confusion *c, const char *const *names, const char *path, lf_err *err) {
    lf_atomic_file file;
    const lf_status rc = lf_atomic_open(&file, path, err);
    if (rc) return rc;
    write_heading(file.f, c, names);
    for (int64_t label = 0; label < c->n; label++)
        (c->several ? write_told : write_row)(file.f, c, label, names[label]);
    return lf_atomic_commit(&file, err);
}

cJSON *lf_confusion_json(const lf_confusion *c, const char *const *names) {
    lf_obj o = lf_obj_new(), labels = lf_list_new(), rows = lf_list_new();
    for (int64_t label = 0; label < c->n; label++) {
        lf_obj row = lf_list_new();
        for (int64_t said = 0; said < c->n && !c->several; said++)
            lf_list_put(&row, cJSON_CreateNumber((double)c->counts[label * c->n + said]));
        lf_list_put(&labels, cJSON_CreateString(names[label]));
        lf_list_put(&rows, lf_obj_take(&row));
    }
    cJSON *counts = lf_obj_take(&rows);
    lf_obj_put(&o, "labels", lf_obj_take(&labels));
    lf_obj_put(&o, c->several ? "classes" : "counts", c->several ? all_told(c, names) : counts);
    if (c->several) cJSON_Delete(counts);
    return lf_obj_take(&o);
}

cJSON *lf_confusion_classes(const lf_confusion *c, const char *const *names) {
    if (c->several) return all_told(c, names);
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
