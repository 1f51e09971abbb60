#include "continual/outcome.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/cells.h"
#include "base/csv.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/obj.h"
#include "continual/between.h"
#include "stats/sequence.h"

/* ---- matrix.csv ---- */

static void put_cell(FILE *f, double x) {
    char text[40];
    fputc(',', f);
    if (!isfinite(x)) return;
    lf_float_repr(text, x);
    fputs(text, f);
}

static lf_status write_csv(const lf_plan *p, const lf_scores *rows, int64_t done, lf_err *err) {
    lf_atomic_file a;
    const lf_status rc = lf_atomic_open_in(&a, p->dir, "matrix.csv", err);
    if (rc) return rc;
    fputs("after", a.f);
    for (int64_t i = 0; i < p->n_tasks; i++) {
        fputc(',', a.f);
        lf_csv_text(a.f, p->tasks[i].name);
    }
    fputs(",base\n", a.f);
    for (int64_t r = 0; r < done; r++) {
        lf_csv_text(a.f, p->runs[r].name);
        for (int64_t i = 0; i < p->n_tasks; i++) put_cell(a.f, rows[r].tasks[i]);
        put_cell(a.f, rows[r].base_after);
        fputc('\n', a.f);
    }
    return lf_atomic_commit(&a, err);
}

/* ---- sequence.json ---- */

/* The name says the measure: average_accuracy, average_log_probability, average_correlation. */
static const char *measure_of(lf_judged_by by) {
    static const char *const names[LF_N_YARDSTICKS] = {[LF_BY_ACCURACY] = "accuracy",
                                                       [LF_BY_ACCURACY_BESIDE_TEXT] = "accuracy",
                                                       [LF_BY_PERPLEXITY] = "log_probability",
                                                       [LF_BY_CORRELATION] = "correlation",
                                                       [LF_BY_CORRELATION_BESIDE_TEXT] = "correlation"};
    return names[by];
}

static cJSON *numbers(const double *x, int64_t n) {
    lf_obj list = lf_list_new();
    for (int64_t i = 0; i < n; i++) lf_list_put(&list, isfinite(x[i]) ? cJSON_CreateNumber(x[i]) : cJSON_CreateNull());
    return lf_obj_take(&list);
}

static void put_rows(lf_obj *o, const lf_plan *p, const lf_scores *rows, int64_t done) {
    lf_obj list = lf_list_new();
    for (int64_t r = 0; r < done; r++) {
        lf_obj row = lf_obj_new();
        lf_obj_string(&row, "name", p->runs[r].name);
        lf_obj_put(&row, "scores", numbers(rows[r].tasks, p->n_tasks));
        lf_obj_number(&row, "base", rows[r].base_after);
        lf_list_put(&list, lf_obj_take(&row));
    }
    lf_obj_put(o, "after", lf_obj_take(&list));
}

static lf_status write_told(const lf_plan *p, const lf_scores *rows, int64_t done, lf_err *err) {
    lf_obj o = lf_obj_new(), names = lf_list_new();
    for (int64_t i = 0; i < p->n_tasks; i++) lf_list_string(&names, p->tasks[i].name);
    lf_obj_string(&o, "between", p->between->name);
    lf_obj_string(&o, "says", p->between->says);
    lf_obj_string(&o, "measure", measure_of(p->tasks[0].by));
    lf_obj_number(&o, "runs", (double)p->n_runs);
    lf_obj_put(&o, "tasks", lf_obj_take(&names));
    lf_obj_put(&o, "before", numbers(rows[0].before, p->n_tasks));
    lf_obj_number(&o, "base_before", rows[0].base_before);
    put_rows(&o, p, rows, done);
    return lf_obj_write_in(&o, p->dir, "sequence.json", false, err);
}

lf_status lf_outcome_write_matrix(const lf_plan *p, const lf_scores *rows, int64_t done, lf_err *err) {
    const lf_status rc = write_csv(p, rows, done, err);
    return rc ? rc : write_told(p, rows, done, err);
}

/* ---- the figures ---- */

static const lf_sequence_figures none = {NAN, NAN, NAN, NAN, NAN, NAN, NAN};

static double mean(const double *x, int64_t n, int64_t stride) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i * stride];
    return sum / (double)n;
}

/* One run of all tasks has an average, and no course. */
static lf_sequence_figures figures_at(const lf_plan *p, const lf_scores *rows, const double *after, int64_t t) {
    if (p->between->at_once) {
        lf_sequence_figures f = none;
        f.average_accuracy = mean(after, p->n_tasks, 1);
        return f;
    }
    const lf_sequence s = {.n = p->n_tasks, .after = after, .before = rows[0].before, .alone = p->alone};
    return lf_sequence_at(&s, t);
}

static void put_measure(lf_obj *o, const char *what, lf_judged_by by, double x) {
    char name[80];
    snprintf(name, sizeof name, "%s_%s", what, measure_of(by));
    lf_obj_number(o, name, x);
}

static void put_figures(lf_obj *o, lf_judged_by by, const lf_sequence_figures *f, const lf_scores *row) {
    put_measure(o, "average", by, f->average_accuracy);
    put_measure(o, "average_incremental", by, f->average_incremental_accuracy);
    lf_obj_number(o, "bwt", f->bwt);
    lf_obj_number(o, "fwt", f->fwt);
    lf_obj_number(o, "forgetting", f->forgetting);
    lf_obj_number(o, "forgetting_since_learned", f->forgetting_since_learned);
    if (isfinite(f->intransigence)) lf_obj_number(o, "intransigence", f->intransigence);
    lf_scores_put_base(o, row);
}

static double *matrix_of(const lf_plan *p, const lf_scores *rows) {
    double *after = lf_calloc((size_t)p->n_runs, (size_t)p->n_tasks * sizeof *after);
    for (int64_t r = 0; r < p->n_runs && after; r++)
        memcpy(after + r * p->n_tasks, rows[r].tasks, (size_t)p->n_tasks * sizeof *after);
    return after;
}

static cJSON *course(const lf_plan *p, const lf_scores *rows, const double *after) {
    lf_obj list = lf_list_new();
    for (int64_t r = 0; r < p->n_runs; r++) {
        const lf_sequence_figures f = figures_at(p, rows, after, r);
        lf_obj o = lf_obj_new();
        lf_obj_string(&o, "after", p->runs[r].name);
        put_figures(&o, p->tasks[0].by, &f, &rows[r]);
        lf_list_put(&list, lf_obj_take(&o));
    }
    return lf_obj_take(&list);
}

static bool is_beside_text(lf_judged_by by) {
    return by == LF_BY_ACCURACY_BESIDE_TEXT || by == LF_BY_CORRELATION_BESIDE_TEXT;
}

/* For a report of many sequences: which adapter came of it, where the first one started, and what made it. */
static void put_for_reports(lf_obj *o, const lf_plan *p, const lf_scores *rows) {
    const lf_plan_run *last = &p->runs[p->n_runs - 1];
    cJSON *first = NULL;
    lf_obj_number(o, "average_before", mean(rows[0].before, p->n_tasks, 1));
    if (is_beside_text(p->tasks[0].by)) lf_obj_bool(o, "base_by_perplexity", true);
    if (p->between->alone) lf_obj_bool(o, "alone", true);
    lf_obj_string(o, "adapter", last->adapter + strlen(p->dir) + 1);
    if (lf_json_read_in(&first, p->runs[0].dir, "all_results.json", NULL)) return; /* it was there when it was judged */
    const cJSON *start = cJSON_GetObjectItemCaseSensitive(first, "start");
    cJSON *made = cJSON_DetachItemFromObjectCaseSensitive(first, "made");
    if (start) lf_obj_copy(o, "start", start);
    cJSON_DeleteItemFromObjectCaseSensitive(made, "date"); /* the same sequence on another day is the same file */
    if (made) lf_obj_put(o, "made", made);
    cJSON_Delete(first);
}

static cJSON *results_of(const lf_plan *p, const lf_scores *rows) {
    const lf_scores *last = &rows[p->n_runs - 1];
    double *after = matrix_of(p, rows);
    if (!after) return NULL;
    const lf_sequence_figures f = figures_at(p, rows, after, p->n_runs - 1);
    const bool at_once = p->between->at_once;
    lf_obj o = lf_obj_new();
    lf_obj_string(&o, "between", p->between->name);
    lf_obj_number(&o, "tasks", (double)p->n_tasks);
    put_figures(&o, p->tasks[0].by, &f, last);
    put_measure(&o, "average_when_learned", p->tasks[0].by, at_once ? NAN : mean(after, p->n_tasks, p->n_tasks + 1));
    lf_obj_put(&o, "at_the_end", lf_scores_by_task(p, last->tasks, 1));
    const double test = mean(last->test, p->n_tasks, 1);
    if (isfinite(test)) put_measure(&o, "test_average", p->tasks[0].by, test);
    if (isfinite(test)) lf_obj_put(&o, "test_at_the_end", lf_scores_by_task(p, last->test, 1));
    lf_obj_put(&o, "before", lf_scores_by_task(p, rows[0].before, 1));
    if (!at_once) lf_obj_put(&o, "when_learned", lf_scores_by_task(p, after, p->n_tasks + 1));
    if (!at_once) lf_obj_put(&o, "course", course(p, rows, after));
    put_for_reports(&o, p, rows);
    lf_free(after);
    return lf_obj_take(&o);
}

lf_status lf_outcome_write_results(const lf_plan *p, const lf_scores *rows, lf_err *err) {
    cJSON *o = results_of(p, rows);
    const lf_status rc = lf_json_write_in(p->dir, "all_results.json", o, false, err);
    cJSON_Delete(o);
    return rc;
}

/* ---- the table ---- */

static void put_score(lf_cells *t, double x) {
    if (isfinite(x))
        lf_cells_put(t, "%.4g", x);
    else
        lf_cells_put(t, "-");
}

static void print_matrix(const lf_plan *p, const lf_scores *rows, FILE *out) {
    lf_cells t = lf_cells_new((int)p->n_tasks + 2, LF_CELLS_HEAD);
    lf_cells_put(&t, "after");
    for (int64_t i = 0; i < p->n_tasks; i++) lf_cells_put(&t, "%s", p->tasks[i].name);
    lf_cells_put(&t, "base");
    for (int64_t r = 0; r < p->n_runs; r++) {
        lf_cells_put(&t, "%s", p->runs[r].name);
        for (int64_t i = 0; i < p->n_tasks; i++) put_score(&t, rows[r].tasks[i]);
        put_score(&t, rows[r].base_after);
    }
    lf_cells_print(&t, out);
}

static void print_figures(const cJSON *results, FILE *out) {
    const cJSON *figure;
    lf_cells t = lf_cells_new(2, 0);
    cJSON_ArrayForEach(figure, results) {
        if (!cJSON_IsNumber(figure) || strcmp(figure->string, "tasks") == 0) continue;
        lf_cells_put(&t, "%s", figure->string);
        put_score(&t, figure->valuedouble);
    }
    fputc('\n', out);
    lf_cells_print(&t, out);
}

lf_status lf_outcome_print(const lf_plan *p, const lf_scores *rows, FILE *out, lf_err *err) {
    cJSON *o = results_of(p, rows);
    if (!o) return lf_no_memory(err, "the figures of the sequence");
    if (lf_cfg_bool(p->cfg, LF_json)) return lf_json_write_line(out, o, err);
    print_matrix(p, rows, out);
    print_figures(o, out);
    cJSON_Delete(o);
    return LF_OK;
}
