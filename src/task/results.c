/* The figures of a run or an evaluation, as JSON and as a table. NAN (and a count of 0) means: not measured. Which
 * figures there are is the task's; those of every run stand here. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "task/source.h"

void lf_results_clear(lf_results *r, const lf_task_type *task) {
    const lf_base_score none = {.accuracy = NAN, .loss = NAN, .ce = NAN, .kl = NAN, .knn = NAN};
    const lf_accuracy nothing = LF_ACCURACY_NONE;
    *r = (lf_results){.task = task,
                      .eval_accuracy = NAN,
                      .eval_loss = NAN,
                      .eval_accuracy_before = NAN,
                      .test_accuracy = NAN,
                      .test_loss = NAN,
                      .eval_perplexity = NAN,
                      .eval_perplexity_before = NAN,
                      .test_perplexity = NAN,
                      .eval_chance = NAN,
                      .base_chance = NAN,
                      .base_before = NAN,
                      .base_after = NAN,
                      .forgetting = NAN,
                      .retention = NAN,
                      .before = none,
                      .after = none,
                      .update_ratio = NAN,
                      .eval = nothing,
                      .test = nothing,
                      .init_seconds = NAN,
                      .train_seconds = NAN,
                      .data_wait_seconds = NAN,
                      .items_per_second = NAN,
                      .peak_rss_mb = NAN};
}

void lf_results_put(lf_results *r, lf_data_role role, const lf_accuracy *a) {
    const bool test = role == LF_DATA_TEST;
    *(test ? &r->test_accuracy : &r->eval_accuracy) = a->accuracy;
    *(test ? &r->test_loss : &r->eval_loss) = a->loss;
    *(test ? &r->test_perplexity : &r->eval_perplexity) = exp(a->loss);
    *(test ? &r->test_count : &r->eval_count) = a->count;
    *(test ? &r->test : &r->eval) = *a;
}

void lf_results_put_base(lf_results *r, const lf_base_score *before, const lf_base_score *after) {
    r->before = *before;
    r->after = *after;
    r->task->compare(r);
}

/* ---- JSON ---- */

/* A line of stats/figures.def: where its number stands. */
typedef enum field_kind { LF_FIELD_REAL, LF_FIELD_WHOLE, LF_FIELD_INT } field_kind;
typedef struct field {
    const char *name;
    field_kind kind;
    bool always;
    size_t offset;
} field;

#define FIELD(kind, always, name, member) {#name, LF_FIELD_##kind, always, offsetof(lf_results, member)},
#define FIGURE(yardstick, kind, always, name, member, role, better, card, decimals, label, unit, scale)                \
    OF_##yardstick(FIELD(kind, always, name, member))
#define BASIS(yardstick, kind, always, name, member) OF_##yardstick(FIELD(kind, always, name, member))
#define PLAIN(yardstick, kind, always, name, member) OF_##yardstick(FIELD(kind, always, name, member))
#define DERIVED(yardstick, name, role, better, label, unit, scale)
#define OF_EVERY(...)    __VA_ARGS__

#define OF_ACCURACY(...) __VA_ARGS__
#define OF_PERPLEXITY(...)
static const field fields_by_accuracy[] = {
#include "stats/figures.def"
    {0}};
#undef OF_ACCURACY
#undef OF_PERPLEXITY

#define OF_ACCURACY(...)
#define OF_PERPLEXITY(...) __VA_ARGS__
static const field fields_by_perplexity[] = {
#include "stats/figures.def"
    {0}};

static const field *const fields_by[LF_N_YARDSTICKS] = {
    [LF_BY_ACCURACY] = fields_by_accuracy, [LF_BY_PERPLEXITY] = fields_by_perplexity};

static double value_of(const lf_results *r, field_kind kind, size_t offset) {
    const char *at = (const char *)r + offset;
    double real;
    int64_t whole;
    int number;
    switch (kind) {
    case LF_FIELD_REAL: memcpy(&real, at, sizeof real); return real;
    case LF_FIELD_WHOLE: memcpy(&whole, at, sizeof whole); return (double)whole;
    case LF_FIELD_INT: memcpy(&number, at, sizeof number); return (double)number;
    }
    return NAN;
}

static void add_fields(lf_obj *o, const lf_results *r, const field *f) {
    for (; f->name; f++) {
        const double value = value_of(r, f->kind, f->offset);
        const bool measured = f->kind == LF_FIELD_REAL ? isfinite(value) : value != 0;
        if (measured || f->always) lf_obj_number(o, f->name, value); /* null where it was not measured */
    }
}

cJSON *lf_results_to_json(const lf_results *r) {
    lf_obj o = lf_obj_new();
    add_fields(&o, r, fields_by[r->task->judged_by]);
    return lf_obj_take(&o);
}

/* ---- table ---- */

static const char *show(char *cell, size_t size, const lf_row *row, double value) {
    if (isfinite(value))
        snprintf(cell, size, row->format, row->scale * value);
    else
        snprintf(cell, size, "-");
    return cell;
}

void lf_results_row(FILE *out, const lf_row *row) {
    char a[32], b[32];
    if (!isfinite(row->before) && !isfinite(row->after)) return;
    fprintf(out, "%-26s %10s %10s", row->name, row->alone ? "" : show(a, sizeof a, row, row->before),
            show(b, sizeof b, row, row->after));
    if (row->count) fprintf(out, "   %lld %s", (long long)row->count, row->unit);
    fputc('\n', out);
}

static void time_line(FILE *out, const lf_results *r) {
    char speed[48];
    snprintf(speed, sizeof speed, "%%.1f %s/s", lf_source_for(r->task->input)->unit);
    const struct {
        const char *format;
        double value;
    } parts[] = {{"start of the adapter %.2f s", r->init_seconds},
                 {"training %.1f s", r->train_seconds},
                 {speed, r->items_per_second},
                 {"peak memory %.0f MB", r->peak_rss_mb}};
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
    r->task->table(r, out);
    lf_results_row(out, &(lf_row){"retention", "%.2f %%", 100, NAN, r->retention, 0, "", true});
    lf_results_row(out, &(lf_row){"KL from the base (nats)", "%.5f", 1, NAN, r->after.kl, 0, "", true});
    lf_results_row(out, &(lf_row){"update, |dW x| / |W x|", "%.4f", 1, NAN, r->update_ratio, 0, "", true});
    time_line(out, r);
}
