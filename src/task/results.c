/* The figures of a run or an evaluation, as JSON and as a table. NAN (and a count of 0) means: not measured. Which
 * figures there are is the task's; those of every run stand here. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/terminal.h"
#include "stats/stats.h"
#include "task/source.h"

#define LF_FIGURES_AGAIN

void lf_results_clear(lf_results *r, const lf_task_type *task) {
    const lf_base_score none = {.accuracy = NAN, .loss = NAN, .ce = NAN, .kl = NAN, .knn = NAN};
    lf_accuracy nothing = LF_ACCURACY_NONE;
    for (int i = 0; i < LF_N_COUNTED; i++) nothing.counted[i] = NAN;
    const lf_changed uncounted = {NAN, NAN, NAN, NAN, NAN, NAN};
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
                      .quantised_base = NAN,
                      .quantised_kl = NAN,
                      .selection = LF_NO_SELECTION,
                      .update_ratio = NAN,
                      .eval = nothing,
                      .test = nothing,
                      .eval_changed = uncounted,
                      .base_changed = uncounted,
                      .init_seconds = NAN,
                      .train_seconds = NAN,
                      .data_wait_seconds = NAN,
                      .items_per_second = NAN,
                      .peak_rss_mb = NAN};
}

static lf_changed changed_of(lf_transitions t) {
    const lf_change c = lf_change_of(t);
    const bool counted = t.n > 0;
    return (lf_changed){counted ? (double)t.lost : NAN, counted ? (double)t.won : NAN, c.mean, c.low, c.high, c.p};
}

void lf_results_put(lf_results *r, lf_data_role role, const lf_accuracy *a) {
    const bool test = role == LF_DATA_TEST;
    *(test ? &r->test_accuracy : &r->eval_accuracy) = a->accuracy;
    *(test ? &r->test_loss : &r->eval_loss) = a->loss;
    *(test ? &r->test_perplexity : &r->eval_perplexity) = exp(a->loss);
    *(test ? &r->test_count : &r->eval_count) = a->count;
    *(test ? &r->test : &r->eval) = *a;
    if (!test) r->eval_changed = changed_of(a->changes);
}

void lf_results_put_before(lf_results *r, const lf_accuracy *before) {
    r->eval_accuracy_before = before->accuracy;
    r->eval_perplexity_before = exp(before->loss);
}

void lf_results_compare_text(lf_results *r) {
    r->base_before = exp(r->before.loss);
    r->base_after = exp(r->after.loss);
    r->forgetting = r->after.loss - r->before.loss; /* ln after - ln before */
    r->retention = exp(r->before.loss - r->after.loss);
}

void lf_results_put_base(lf_results *r, const lf_base_score *before, const lf_base_score *after) {
    r->before = *before;
    r->after = *after;
    r->base_changed = changed_of(after->changes);
    r->task->compare(r);
}

void lf_results_put_quantised(lf_results *r, const lf_base_score *base, double kl) {
    lf_results of_it = {.task = r->task}; /* compared with itself: what base_before is called, in its unit */
    lf_results_put_base(&of_it, base, base);
    r->quantised_base = of_it.base_before;
    r->quantised_kl = kl;
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
#define LF_TABLE_BEGIN(yardstick)                    static const field fields_by_##yardstick[] = {
#define LF_TABLE_END                                                                                                   \
    { 0 }                                                                                                              \
    }                                                                                                                  \
    ;
#include "stats/each_yardstick.inc"

/* A table's array for each yardstick. */
#define BY_YARDSTICK(table)                                                                                            \
    {                                                                                                                  \
        [LF_BY_ACCURACY] = table##_by_ACCURACY, [LF_BY_PERPLEXITY] = table##_by_PERPLEXITY,                            \
        [LF_BY_CORRELATION] = table##_by_CORRELATION, [LF_BY_ACCURACY_BESIDE_TEXT] = table##_by_ACCURACY_BESIDE_TEXT,  \
        [LF_BY_CORRELATION_BESIDE_TEXT] = table##_by_CORRELATION_BESIDE_TEXT                                           \
    }

static const field *const fields_by[LF_N_YARDSTICKS] = BY_YARDSTICK(fields);

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

/* By its name in all_results.json. */
static double number_of(const lf_results *r, const char *name) {
    const field *f = fields_by[r->task->judged_by];
    while (f->name && strcmp(f->name, name)) f++;
    return f->name ? value_of(r, f->kind, f->offset) : NAN;
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

/* ---- what a selection goes by ---- */

lf_selection lf_results_selection(const lf_task_type *task, const lf_accuracy *a, const lf_base_score *before,
                                  const lf_base_score *after) {
    const lf_yardstick *y = &lf_yardsticks[task->judged_by];
    lf_results r;
    lf_results_clear(&r, task);
    if (a) lf_results_put(&r, LF_DATA_EVAL, a);
    lf_results_put_base(&r, before, after);
    return (lf_selection){.count = after->count,
                          .before = r.base_before,
                          .after = r.base_after,
                          .forgetting = r.forgetting,
                          .retention = r.retention,
                          .tradeoff =
                              lf_tradeoff_of(y, number_of(&r, lf_metric_in_role(y, LF_ROLE_GAIN)->name), r.retention)};
}

void lf_selection_put(lf_obj *row, const lf_selection *c) {
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"selection_forgetting", c->forgetting},
                   {"selection_retention", c->retention},
                   {"selection_tradeoff", c->tradeoff}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (isfinite(numbers[i].value)) lf_obj_number(row, numbers[i].name, numbers[i].value);
}

/* ---- lines of metrics.jsonl ---- */

/* Of STEP_EVAL and STEP_BASE: where the number stands, in which of the two. */
typedef enum step_when { LF_STEP_ALWAYS, LF_STEP_FINITE } step_when;
typedef enum step_how { LF_STEP_SAME, LF_STEP_EXP } step_how;
typedef struct step_field {
    const char *name;
    bool of_base;
    step_when when;
    step_how how;
    size_t offset;
} step_field;

#undef FIGURE
#undef BASIS
#undef PLAIN
#undef STEP_EVAL
#undef STEP_BASE
#define STEP_EVAL(yardstick, when, how, name, member, look, title, label, unit, scale)                                 \
    OF_##yardstick({#name, false, LF_STEP_##when, LF_STEP_##how, offsetof(lf_accuracy, member)}, )
#define STEP_BASE(yardstick, when, how, name, member, look, title, label, unit, scale)                                 \
    OF_##yardstick({#name, true, LF_STEP_##when, LF_STEP_##how, offsetof(lf_base_score, member)}, )
#define LF_TABLE_BEGIN(yardstick) static const step_field steps_by_##yardstick[] = {
#define LF_TABLE_END                                                                                                   \
    { 0 }                                                                                                              \
    }                                                                                                                  \
    ;
#include "stats/each_yardstick.inc"

static const step_field *const steps_by[LF_N_YARDSTICKS] = BY_YARDSTICK(steps);

void lf_results_step(lf_obj *row, lf_judged_by by, const lf_accuracy *a, const lf_base_score *base) {
    for (const step_field *f = steps_by[by]; f->name; f++) {
        const char *from = f->of_base ? (const char *)base : (const char *)a;
        double value;
        if (!from) continue;
        memcpy(&value, from + f->offset, sizeof value);
        if (f->how == LF_STEP_EXP) value = exp(value);
        if (f->when == LF_STEP_ALWAYS || isfinite(value)) lf_obj_number(row, f->name, value);
    }
}

/* ---- table ---- */

/* A row; left out where nothing was measured. alone: there is no before. */
typedef struct table_row {
    const char *title, *format;
    double scale;
    size_t before, after, count; /* where they stand in lf_results; NOWHERE */
    const char *of;
    bool alone;
} table_row;
enum { NOWHERE = sizeof(lf_results) };

#undef STEP_EVAL
#undef STEP_BASE
#undef ROW
#undef ROW_AFTER
#undef ROW_ALONE
#define AT(member) offsetof(lf_results, member)
#define ROW(yardstick, title, format, scale, before, after, count, of)                                                 \
    OF_##yardstick({title, format, scale, AT(before), AT(after), AT(count), of, false}, )
#define ROW_AFTER(yardstick, title, format, scale, after, count, of)                                                   \
    OF_##yardstick({title, format, scale, NOWHERE, AT(after), AT(count), of, false}, )
#define ROW_ALONE(yardstick, title, format, scale, after)                                                              \
    OF_##yardstick({title, format, scale, NOWHERE, AT(after), NOWHERE, NULL, true}, )
#define LF_TABLE_BEGIN(yardstick) static const table_row rows_by_##yardstick[] = {
#define LF_TABLE_END                                                                                                   \
    { 0 }                                                                                                              \
    }                                                                                                                  \
    ;
#include "stats/each_yardstick.inc"

static const table_row *const rows_by[LF_N_YARDSTICKS] = BY_YARDSTICK(rows);

static double number_at(const lf_results *r, size_t offset, field_kind kind) {
    return offset == NOWHERE ? NAN : value_of(r, kind, offset);
}

static const char *show(char *cell, size_t size, const table_row *row, double value) {
    if (isfinite(value))
        snprintf(cell, size, row->format, row->scale * value);
    else
        snprintf(cell, size, "-");
    return cell;
}

/* The names become narrower with the terminal, and what does not fit beside the numbers stands in a line of its own. */
enum { NAMES = 26, NUMBERS = 22 };

static void put_cells(FILE *out, int columns, const char *title, const char *before, const char *after,
                      const char *note) {
    const int names = columns < NAMES + NUMBERS ? columns - NUMBERS : NAMES, taken = (int)lf_text_columns(title);
    fputs(title, out);
    if (taken > names) fputc('\n', out);
    fprintf(out, "%*s %10s %10s", taken > names ? names : names - taken, "", before, after);
    if (note[0]) fprintf(out, names + NUMBERS + 3 + (int)strlen(note) > columns ? "\n  %s" : "   %s", note);
    fputc('\n', out);
}

static void print_row(FILE *out, int columns, const lf_results *r, const table_row *row) {
    const double before = number_at(r, row->before, LF_FIELD_REAL), after = number_at(r, row->after, LF_FIELD_REAL),
                 count = number_at(r, row->count, LF_FIELD_WHOLE);
    char a[32], b[32], note[80] = "";
    if (!isfinite(before) && !isfinite(after)) return;
    if (count > 0) snprintf(note, sizeof note, "%.0f %s", count, row->of);
    put_cells(out, columns, row->title, row->alone ? "" : show(a, sizeof a, row, before), show(b, sizeof b, row, after),
              note);
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
        fputs(between[0] ? between : "time: ", out);
        char part[64];
        snprintf(part, sizeof part, parts[i].format, parts[i].value);
        fputs(part, out);
        between = ", ";
    }
    if (between[0]) fputc('\n', out);
}

static void say_interval(FILE *out, const char *what, const lf_accuracy *a) {
    if (a->accuracy_high > 0)
        fprintf(out, "%s: 95 %% interval (Wilson) %.2f to %.2f %%\n", what, 100 * a->accuracy_low,
                100 * a->accuracy_high);
}

/* Which answers are others now. */
static void say_changed(FILE *out, const char *what, const lf_changed *c) {
    if (isfinite(c->wrong))
        fprintf(out,
                "%s: %.0f right answers became wrong, %.0f wrong ones right: %+.2f points, 95 %% interval %+.2f to "
                "%+.2f\n",
                what, c->wrong, c->right, 100 * c->change, 100 * c->low, 100 * c->high);
}

static void say_selection(FILE *out, const lf_results *r) {
    const lf_metric *cost = lf_metric_in_role(&lf_yardsticks[r->task->judged_by], LF_ROLE_COST);
    fprintf(
        out,
        "forgetting is of data that chose nothing; on those that chose (%lld) it is %.4g %s, and retention %.2f %%\n",
        (long long)r->selection.count, cost->scale * r->selection.forgetting, cost->unit, 100 * r->selection.retention);
}

static void put_table(FILE *out, int columns, const lf_results *r) {
    if (isfinite(r->eval_accuracy) || isfinite(r->test_accuracy) || isfinite(r->base_after))
        put_cells(out, columns, "", "before", "after", "");
    for (const table_row *row = rows_by[r->task->judged_by]; row->title; row++) print_row(out, columns, r, row);
    say_interval(out, "new task", &r->eval);
    say_interval(out, "new task, test", &r->test);
    say_changed(out, "new task", &r->eval_changed);
    say_changed(out, r->task->base_data, &r->base_changed);
    if (r->after.by_neighbours)
        fputs("the base task is judged by nearest neighbours of features: the model has no head of its own\n", out);
    if (r->selection.count) say_selection(out, r);
    time_line(out, r);
}

void lf_results_table(const lf_results *r, FILE *out) {
    const int terminal = lf_columns_of(out), columns = terminal ? terminal : LF_USUAL_COLUMNS;
    char *text = NULL;
    size_t size;
    FILE *lines = open_memstream(&text, &size);
    if (lines) put_table(lines, columns, r);
    if (lines && fclose(lines) == 0)
        lf_print_lines(out, text, columns);
    else
        fputs("(no memory for the table of results)\n", out);
    free(text);
}
