/* The figures of a run or an evaluation, as JSON and as a table. NAN (and a count of 0) means: not measured. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "eval/eval.h"

void lf_results_clear(lf_results *r) {
    const lf_base_score none = {.accuracy = NAN, .loss = NAN, .ce = NAN, .kl = NAN, .knn = NAN};
    *r = (lf_results){.eval_accuracy = NAN, .eval_loss = NAN, .eval_accuracy_before = NAN, .test_accuracy = NAN,
                      .test_loss = NAN, .base_before = NAN, .base_after = NAN, .forgetting = NAN, .retention = NAN,
                      .before = none, .after = none, .init_seconds = NAN, .train_seconds = NAN,
                      .items_per_second = NAN, .peak_rss_mb = NAN};
}

/* ---- JSON ---- */

typedef enum field_kind { REAL, WHOLE, INT } field_kind;

/* `always`: the contract's keys are there in every file, null if not measured; the others only where measured. */
static const struct {
    const char *name;
    field_kind kind;
    bool always;
    size_t offset;
} fields[] = {
    {"eval_accuracy", REAL, true, offsetof(lf_results, eval_accuracy)},
    {"eval_loss", REAL, false, offsetof(lf_results, eval_loss)},
    {"eval_accuracy_before", REAL, false, offsetof(lf_results, eval_accuracy_before)},
    {"eval_samples", WHOLE, false, offsetof(lf_results, eval_count)},
    {"test_accuracy", REAL, false, offsetof(lf_results, test_accuracy)},
    {"test_loss", REAL, false, offsetof(lf_results, test_loss)},
    {"test_samples", WHOLE, false, offsetof(lf_results, test_count)},
    {"base_before", REAL, true, offsetof(lf_results, base_before)},
    {"base_after", REAL, true, offsetof(lf_results, base_after)},
    {"forgetting", REAL, true, offsetof(lf_results, forgetting)},
    {"retention", REAL, true, offsetof(lf_results, retention)},
    {"base_samples", WHOLE, false, offsetof(lf_results, after.count)},
    {"base_loss_before", REAL, false, offsetof(lf_results, before.loss)},
    {"base_loss_after", REAL, false, offsetof(lf_results, after.loss)},
    {"base_entropy", REAL, false, offsetof(lf_results, before.ce)},
    {"base_ce", REAL, false, offsetof(lf_results, after.ce)},
    {"base_kl", REAL, false, offsetof(lf_results, after.kl)},
    {"base_knn_before", REAL, false, offsetof(lf_results, before.knn)},
    {"base_knn_after", REAL, false, offsetof(lf_results, after.knn)},
    {"base_knn_samples", WHOLE, false, offsetof(lf_results, after.knn_count)},
    {"init_seconds", REAL, true, offsetof(lf_results, init_seconds)},
    {"train_seconds", REAL, true, offsetof(lf_results, train_seconds)},
    {"items_per_second", REAL, true, offsetof(lf_results, items_per_second)},
    {"peak_rss_mb", REAL, true, offsetof(lf_results, peak_rss_mb)},
    {"trainable_parameters", WHOLE, true, offsetof(lf_results, trainable_parameters)},
    {"steps", WHOLE, false, offsetof(lf_results, steps)},
    {"threads", INT, true, offsetof(lf_results, threads)},
};

static double value_of(const lf_results *r, field_kind kind, size_t offset) {
    const char *at = (const char *)r + offset;
    double real;
    int64_t whole;
    int number;
    switch (kind) {
    case REAL: memcpy(&real, at, sizeof real); return real;
    case WHOLE: memcpy(&whole, at, sizeof whole); return (double)whole;
    case INT: memcpy(&number, at, sizeof number); return (double)number;
    }
    return NAN;
}

cJSON *lf_results_to_json(const lf_results *r) {
    cJSON *o = cJSON_CreateObject();
    bool ok = o;
    for (size_t i = 0; ok && i < sizeof fields / sizeof *fields; i++) {
        const double value = value_of(r, fields[i].kind, fields[i].offset);
        const bool measured = fields[i].kind == REAL ? isfinite(value) : value != 0;
        if (isfinite(value) && (measured || fields[i].always)) ok = cJSON_AddNumberToObject(o, fields[i].name, value);
        else if (fields[i].always) ok = cJSON_AddNullToObject(o, fields[i].name);
    }
    if (ok) return o;
    cJSON_Delete(o);
    return NULL;
}

/* ---- table ---- */

enum { CELL = 24 };

static const char *percent(char *cell, double share) {
    if (isfinite(share)) snprintf(cell, CELL, "%.2f %%", 100 * share);
    else snprintf(cell, CELL, "-");
    return cell;
}

static void row(FILE *out, const char *name, double before, double after, int64_t count) {
    char a[CELL], b[CELL];
    if (!isfinite(before) && !isfinite(after)) return;
    fprintf(out, "%-26s %10s %10s", name, percent(a, before), percent(b, after));
    if (count) fprintf(out, "   %lld examples", (long long)count);
    fputc('\n', out);
}

static void one(FILE *out, const char *name, double value, const char *format, double scale) {
    char cell[CELL];
    if (!isfinite(value)) return;
    snprintf(cell, sizeof cell, format, scale * value);
    fprintf(out, "%-26s %10s %10s\n", name, "", cell);
}

static void time_line(FILE *out, const lf_results *r) {
    const struct { const char *format; double value; } parts[] = {
        {"start of the adapter %.2f s", r->init_seconds}, {"training %.1f s", r->train_seconds},
        {"%.1f images/s", r->items_per_second}, {"peak memory %.0f MB", r->peak_rss_mb}};
    const char *between = "";
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (!isfinite(parts[i].value)) continue;
        fprintf(out, "%-*s", between[0] ? 0 : 27, between[0] ? between : "time");
        char part[64];
        snprintf(part, sizeof part, parts[i].format, parts[i].value);
        fputs(part, out);
        between = ", ";
    }
    if (between[0]) fputc('\n', out);
}

void lf_results_table(const lf_results *r, FILE *out) {
    if (isfinite(r->eval_accuracy) || isfinite(r->test_accuracy) || isfinite(r->base_after))
        fprintf(out, "%-26s %10s %10s\n", "", "before", "after");
    row(out, "new task", r->eval_accuracy_before, r->eval_accuracy, r->eval_count);
    row(out, "new task, test", NAN, r->test_accuracy, r->test_count);
    row(out, "base task", r->base_before, r->base_after, r->after.count);
    row(out, "base task, neighbours", r->before.knn, r->after.knn, r->after.knn_count);
    one(out, "forgetting (points)", r->forgetting, "%.2f", 100);
    one(out, "retention", r->retention, "%.2f %%", 100);
    one(out, "KL from the base (nats)", r->after.kl, "%.5f", 1);
    time_line(out, r);
}
