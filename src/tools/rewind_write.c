/* What `rewind` found: table, JSON, CSV and picture. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/cells.h"
#include "base/csv.h"
#include "base/file.h"
#include "base/log.h"
#include "base/terminal.h"
#include "plot/plot.h"
#include "tools/rewind.h"

double lf_rewind_figure(const lf_rewind_point *p, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(p->figures, name);
    return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

/* ---- for a terminal ---- */

/* What is shown of a point. The base's own score has no role of its own. */
enum { N_SHOWN = 4 };

static void columns(const lf_rewinding *r, bool of_test, const lf_metric *out[N_SHOWN]) {
    const lf_yardstick *y = r->yardstick;
    out[0] = lf_metric_in_role(y, of_test ? LF_ROLE_TEST_GAIN : LF_ROLE_GAIN);
    out[1] = y->metrics;
    while (strcmp(out[1]->name, "base_after")) out[1]++;
    out[2] = lf_metric_in_role(y, LF_ROLE_COST);
    out[3] = lf_metric_in_role(y, LF_ROLE_KEPT);
}

static void put_head(lf_cells *t, const lf_metric *const *column) {
    static const char *const heads[N_SHOWN] = {"new task", "base task", "forgetting", "retention"};
    lf_cells_put(t, "lambda");
    for (int c = 0; c < N_SHOWN; c++) lf_cells_put(t, column[c]->unit[0] ? "%s, %s" : "%s", heads[c], column[c]->unit);
    lf_cells_put(t, "%s", "");
}

static void put_point(lf_cells *t, const lf_rewind_point *p, const lf_metric *const *column, const char *mark) {
    lf_cells_put(t, "%g", p->lambda);
    for (int c = 0; c < N_SHOWN; c++) {
        const double value = column[c]->scale * lf_rewind_figure(p, column[c]->name);
        if (isfinite(value))
            lf_cells_put(t, "%.*f", column[c]->decimals, value);
        else
            lf_cells_put(t, "-");
    }
    lf_cells_put(t, "%s", mark);
}

static lf_cells new_table(const lf_metric *const *column) {
    lf_cells t = lf_cells_new(N_SHOWN + 2, LF_CELLS_HEAD | LF_CELLS_LAST_LEFT);
    put_head(&t, column);
    return t;
}

static void print_points(const lf_rewinding *r, FILE *out) {
    const lf_metric *column[N_SHOWN];
    columns(r, false, column);
    lf_cells t = new_table(column);
    for (int64_t i = 0; i < r->n; i++)
        put_point(&t, &r->points[i], column, i == r->knee ? "knee" : i == r->chosen ? "chosen" : "");
    lf_cells_print(&t, out);
}

/* How the choice does on data that did not choose, or that there are none. */
static void print_judged(const lf_rewinding *r, FILE *out) {
    const lf_metric *column[N_SHOWN];
    columns(r, r->has_test, column);
    if (!r->apart && r->chosen >= 0)
        lf_print_line(out, "it was chosen and is judged on the same data, %s; with test_data it is judged on others",
                      r->chosen_on);
    if (!r->apart) return;
    lf_print_line(out, "chosen on %s; judged on %s:", r->chosen_on, r->judged_on);
    lf_cells t = new_table(column);
    for (int64_t i = 0; i < r->n_judged; i++) {
        const bool chosen = r->chosen >= 0 && r->judged[i].lambda == r->points[r->chosen].lambda;
        put_point(&t, &r->judged[i], column, chosen ? "chosen" : "");
    }
    lf_cells_print(&t, out);
}

void lf_rewind_table(const lf_rewinding *r, FILE *out) {
    print_points(r, out);
    if (r->chosen >= 0)
        lf_print_line(out, "lambda %g is chosen, by %s", r->points[r->chosen].lambda, r->chosen_by);
    else
        lf_print_line(out, "the curve has no knee: no lambda is better than going straight from one end to the other");
    print_judged(r, out);
    if (r->dir)
        lf_print_line(out, "files: %s/rewind.csv%s%s%s", r->dir, r->drawn ? ", rewind.svg" : "",
                      r->adapter_dir ? "; adapter: " : "", r->adapter_dir ? r->adapter_dir : "");
}

/* ---- JSON ---- */

static cJSON *point_json(const lf_rewind_point *p) {
    lf_obj o = lf_obj_new();
    lf_obj_number(&o, "lambda", p->lambda);
    const cJSON *item;
    cJSON_ArrayForEach(item, p->figures) lf_obj_copy(&o, item->string, item);
    return lf_obj_take(&o);
}

static double lambda_of(const lf_rewinding *r, int64_t i) { return i < 0 ? NAN : r->points[i].lambda; }

static cJSON *points_json(const lf_rewind_point *p, int64_t n) {
    lf_obj list = lf_list_new();
    for (int64_t i = 0; i < n; i++) lf_list_put(&list, point_json(&p[i]));
    return lf_obj_take(&list);
}

lf_status lf_rewind_json(const lf_rewinding *r, FILE *out, lf_err *err) {
    lf_obj o = lf_obj_new();
    lf_obj_put(&o, "points", points_json(r->points, r->n));
    lf_obj_number(&o, "knee", lambda_of(r, r->knee));
    lf_obj_number(&o, "chosen", lambda_of(r, r->chosen));
    lf_obj_string(&o, "chosen_by", r->chosen < 0 ? NULL : r->chosen_by);
    lf_obj_string(&o, "chosen_on", r->chosen_on);
    lf_obj_string(&o, "judged_on", r->judged_on);
    lf_obj_put(&o, "judged", points_json(r->judged, r->n_judged));
    lf_obj_string(&o, "output_dir", r->dir);
    lf_obj_string(&o, "adapter", r->adapter_dir);
    return lf_json_write_line(out, lf_obj_take(&o), err);
}

/* ---- CSV ---- */

static void add_figures(lf_obj *names, const lf_rewind_point *p, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        const cJSON *item;
        cJSON_ArrayForEach(item, p[i].figures) {
            if (!cJSON_IsNumber(item)) continue;
            if (!cJSON_GetObjectItemCaseSensitive(names->json, item->string)) lf_obj_number(names, item->string, 0);
        }
    }
}

/* Every figure that some point has, in the order of the first that has it. */
static cJSON *figures_of_all(const lf_rewinding *r) {
    lf_obj o = lf_obj_new();
    add_figures(&o, r->points, r->n);
    add_figures(&o, r->judged, r->n_judged);
    return lf_obj_take(&o);
}

static void write_rows(const lf_rewind_point *p, int64_t n, const cJSON *names, const char *rows, FILE *f) {
    for (int64_t i = 0; i < n; i++) {
        const cJSON *item;
        fprintf(f, "%.9g", p[i].lambda);
        cJSON_ArrayForEach(item, names) {
            const double value = lf_rewind_figure(&p[i], item->string);
            fputc(',', f);
            if (isfinite(value)) fprintf(f, "%.17g", value);
        }
        fprintf(f, ",%s\n", rows);
    }
}

static lf_status write_csv(const lf_rewinding *r, lf_err *err) {
    lf_atomic_file a;
    cJSON *names = figures_of_all(r);
    const cJSON *item;
    lf_status rc = names ? lf_atomic_open_in(&a, r->dir, "rewind.csv", err) : lf_no_memory(err, "rewind.csv");
    if (rc) {
        cJSON_Delete(names);
        return rc;
    }
    fputs("lambda", a.f);
    cJSON_ArrayForEach(item, names) fprintf(a.f, ",%s", item->string);
    fputs(",rows\n", a.f);
    write_rows(r->points, r->n, names, "points", a.f);
    write_rows(r->judged, r->n_judged, names, "judged", a.f);
    rc = lf_atomic_commit(&a, err);
    lf_atomic_abort(&a);
    cJSON_Delete(names);
    return rc;
}

/* ---- the picture ---- */

static void write_points(const lf_rewinding *r, const lf_metric *const *column, FILE *f) {
    fputs("$points << END\n", f);
    for (int64_t i = 0; i < r->n; i++) {
        fprintf(f, "%.9g", r->points[i].lambda);
        for (int c = 0; c < 2; c++)
            fprintf(f, " %.9g", column[c]->scale * lf_rewind_figure(&r->points[i], column[c]->name));
        fprintf(f, " %d\n", i == r->chosen || (r->chosen < 0 && i == r->knee));
    }
    fputs("END\n", f);
}

static void set_label(FILE *f, const char *axis, const lf_metric *m) {
    fprintf(f, "set %slabel '", axis);
    lf_plot_text(f, m->label);
    if (m->unit[0]) {
        fputs(" (", f);
        lf_plot_text(f, m->unit);
        fputc(')', f);
    }
    fputs("'\n", f);
}

/* A line with its points, and a ring around the one that is chosen. */
static void plot(FILE *f, const char *x, int y, int64_t color) {
    fprintf(f,
            "plot $points using %s:%d with linespoints lw 2 pt 7 ps 0.6 lc rgb '%s' notitle, \\\n"
            "     $points using %s:($4 > 0 ? $%d : NaN) with points pt 6 ps 1.8 lw 2 lc rgb '#d1571b' notitle\n",
            x, y, lf_plot_color(color), x, y);
}

static lf_status draw(lf_rewinding *r, lf_err *err) {
    lf_atomic_file a;
    const lf_metric *column[N_SHOWN];
    columns(r, false, column);
    lf_status rc = lf_plot_open(&a, r->dir, "rewind", 1080, 400, err);
    if (!rc) {
        write_points(r, column, a.f);
        fputs("set tics font ',14'\nset multiplot layout 1,3\nset xlabel 'lambda'\n", a.f);
        set_label(a.f, "y", column[0]);
        plot(a.f, "1", 2, 0);
        set_label(a.f, "y", column[1]);
        plot(a.f, "1", 3, 1);
        set_label(a.f, "x", column[1]);
        set_label(a.f, "y", column[0]);
        plot(a.f, "3", 2, 2);
        fputs("unset multiplot\n", a.f);
        rc = lf_plot_draw(&a, r->dir, "rewind", &r->drawn, err);
    }
    lf_atomic_abort(&a);
    if (!rc && !r->drawn) lf_plot_say_how(r->dir, "rewind.gp");
    return rc;
}

lf_status lf_rewind_files(lf_rewinding *r, lf_err *err) {
    const lf_status rc = write_csv(r, err);
    return rc ? rc : draw(r, err);
}
