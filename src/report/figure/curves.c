/* The picture of a run: what it learned and what it forgot over steps. */
#include <math.h>

#include "base/file.h"
#include "base/mem.h"
#include "plot/plot.h"
#include "report/figure/curves.h"
#include "report/gather/steps.h"
#include "stats/figures.h"

/* A column of curves.csv is a key of metrics.jsonl: those of every run, then those of what it is judged by. */
static const char *const shared_columns[] = {"step", "epoch", "loss", "train_accuracy", "learning_rate", "grad_norm"};
enum { N_SHARED = sizeof shared_columns / sizeof shared_columns[0] };

/* The curves of a look, and of a single point, which has no line. */
static const struct {
    const char *line, *alone;
} looks[] = {
    [LF_LOOK_LEARNED] = {"linespoints pt 7 ps 0.5 lw 2.5 lc rgb '#1f6fb2'", "points pt 7 ps 0.5 lc rgb '#1f6fb2'"},
    [LF_LOOK_KEPT] = {"linespoints pt 7 ps 0.5 lw 2.5 lc rgb '#d1571b'", "points pt 7 ps 0.5 lc rgb '#d1571b'"},
    [LF_LOOK_NEIGHBOURS] = {"lines lw 1.5 dt 2 lc rgb '#d1571b'", "points pt 6 ps 0.5 lc rgb '#d1571b'"},
};

/* One curve of the picture; drawn when the run has the column. */
typedef struct curve {
    const char *column, *title, *style, *alone;
    bool right;
} curve;
enum { MAX_CURVES = 8 };

static int curves_of(curve curves[MAX_CURVES], const lf_yardstick *y) {
    int n = 0;
    for (const lf_step_figure *f = y->steps; f->name && n < MAX_CURVES - 1; f++)
        if (f->look != LF_LOOK_NONE)
            curves[n++] = (curve){f->name, f->title, looks[f->look].line, looks[f->look].alone, false};
    curves[n++] = (curve){"loss", "training loss (right)", "lines lw 1.2 lc rgb '#8a8a8a'",
                          "points pt 7 ps 0.5 lc rgb '#8a8a8a'", true};
    return n;
}

/* The one of whose curves the rows have most; the first of equals, and where the run was never judged. */
static const lf_yardstick *yardstick_in(const cJSON *rows) {
    const lf_yardstick *best = lf_yardsticks;
    int most = 0;
    for (const lf_yardstick *y = lf_yardsticks; y < lf_yardsticks + LF_N_YARDSTICKS; y++) {
        int n = 0;
        for (const lf_step_figure *f = y->steps; f->name; f++)
            n += f->look != LF_LOOK_NONE && lf_steps_have(rows, f->name);
        if (n > most) best = y;
        if (n > most) most = n;
    }
    return best;
}

static void put_cell(FILE *f, const cJSON *row, const char *column) {
    const double v = lf_step_value(row, column);
    if (isfinite(v)) fprintf(f, "%.9g", v);
}

static lf_status write_csv(const cJSON *rows, const char *run, lf_err *err) {
    lf_atomic_file a;
    lf_status rc = lf_atomic_open_in(&a, run, "curves.csv", err);
    if (rc) return rc;
    const lf_step_figure *figures = yardstick_in(rows)->steps;
    for (int c = 0; c < N_SHARED; c++) fprintf(a.f, "%s%s", c ? "," : "", shared_columns[c]);
    for (int c = 0; figures[c].name; c++) fprintf(a.f, ",%s", figures[c].name);
    fputc('\n', a.f);
    const cJSON *row;
    cJSON_ArrayForEach(row, rows) {
        for (int c = 0; c < N_SHARED; c++) {
            if (c) fputc(',', a.f);
            put_cell(a.f, row, shared_columns[c]);
        }
        for (int c = 0; figures[c].name; c++) {
            fputc(',', a.f);
            put_cell(a.f, row, figures[c].name);
        }
        fputc('\n', a.f);
    }
    rc = lf_atomic_commit(&a, err);
    lf_atomic_abort(&a);
    return rc;
}

/* The points of one curve as a block of gnuplot data; returns how many there are. A logarithmic axis has no place for
 * zero. */
static int write_points(FILE *f, const cJSON *rows, const char *column, bool log) {
    int n = 0;
    const cJSON *row;
    cJSON_ArrayForEach(row, rows) {
        const double x = lf_step_value(row, "step"), y = lf_step_value(row, column);
        if (!isfinite(x) || !isfinite(y) || (log && y <= 0)) continue;
        if (n++ == 0) fprintf(f, "$%s << END\n", column);
        fprintf(f, "%.9g %.9g\n", x, y);
    }
    if (n) fputs("END\n", f);
    return n;
}

static double last_step(const cJSON *rows) {
    double last = 0;
    const cJSON *row;
    cJSON_ArrayForEach(row, rows) last = fmax(last, lf_step_value(row, "step"));
    return last;
}

/* The axis of the figures that are drawn. */
static void log_axis(FILE *f, const cJSON *rows, const curve *curves, int n) {
    double low = INFINITY, high = 0;
    const cJSON *row;
    for (int i = 0; i < n; i++) cJSON_ArrayForEach(row, rows) {
            const double v = lf_step_value(row, curves[i].column);
            if (curves[i].right || !(v > 0)) continue;
            low = fmin(low, v);
            high = fmax(high, v);
        }
    if (!(high > 0)) return;
    low /= 1.05;
    high *= 1.05;
    lf_plot_log_axis(f, 'y', low, high);
    fprintf(f, "set yrange [%.9g:%.9g]\n", low, high);
}

/* What the run has of each curve, as data of the script. */
typedef struct drawn_curves {
    curve curves[MAX_CURVES];
    int n, points[MAX_CURVES];
    bool left, right;
} drawn_curves;

static drawn_curves write_curves(FILE *f, const cJSON *rows, const lf_yardstick *y) {
    drawn_curves d = {0};
    d.n = curves_of(d.curves, y);
    for (int i = 0; i < d.n; i++) {
        const curve *c = &d.curves[i];
        d.points[i] = write_points(f, rows, c->column, y->log && !c->right);
        if (d.points[i]) *(c->right ? &d.right : &d.left) = true;
    }
    return d;
}

/* Does a curve of one side come to where `beyond` says? */
static bool any_value(const cJSON *rows, const drawn_curves *d, bool right, bool (*beyond)(double)) {
    const cJSON *row;
    bool any = false;
    for (int i = 0; i < d->n; i++) cJSON_ArrayForEach(row, rows) {
            const double v = lf_step_value(row, d->curves[i].column);
            any |= d->curves[i].right == right && isfinite(v) && beyond(v);
        }
    return any;
}

static bool is_above_zero(double v) { return v > 0; }
static bool is_below_zero(double v) { return v < 0; }

/* Of a loss: up to the largest; of one that is zero throughout gnuplot would say that the range is empty. */
static const char *loss_range(const cJSON *rows, const drawn_curves *d) {
    return any_value(rows, d, true, is_above_zero) ? "[0:*]" : "[0:1]";
}

/* Of shares; correlations may be below zero. */
static void share_axis(FILE *f, const cJSON *rows, const drawn_curves *d) {
    fputs(any_value(rows, d, false, is_below_zero) ? "set yrange [-1:1]\nset ytics 0.5\n"
                                                   : "set yrange [0:1]\nset ytics 0.2\n",
          f);
}

/* A run that was never judged has its loss alone, and that on the left. */
static void axes(FILE *f, const cJSON *rows, const drawn_curves *d, const lf_yardstick *y) {
    fputs("set title 'What was learned and what was forgotten' font ',19'\nset xlabel 'step' offset 0,0.6\n", f);
    fprintf(f, "set xrange [0:%.9g]\n", fmax(1, last_step(rows)));
    fputs("set key below maxcols 2 samplen 2 reverse Left font ',16'\n", f);
    if (!d->left) {
        fprintf(f, "set ylabel 'loss'\nset yrange %s\n", loss_range(rows, d));
        return;
    }
    fprintf(f, "set ylabel '%s'\n", y->name);
    if (y->log)
        log_axis(f, rows, d->curves, d->n);
    else
        share_axis(f, rows, d);
    if (d->right)
        fprintf(f, "set y2label 'loss' offset -1.5\nset y2tics\nset y2range %s\nset rmargin 8\nset border 11\n",
                loss_range(rows, d));
}

static lf_status write_script(lf_atomic_file *a, const cJSON *rows, const char *run, bool *any, lf_err *err) {
    const lf_yardstick *y = yardstick_in(rows);
    const lf_status rc = lf_plot_open(a, run, "curves", 640, 480, err);
    if (rc) return rc;
    const drawn_curves d = write_curves(a->f, rows, y);
    *any = d.left || d.right;
    axes(a->f, rows, &d, y);
    for (int i = 0, drawn = 0; i < d.n; i++) {
        const curve *c = &d.curves[i];
        if (d.points[i])
            fprintf(a->f, "%s$%s using 1:2%s with %s title '%s'", drawn++ ? ", \\\n     " : "plot ", c->column,
                    c->right && d.left ? " axes x1y2" : "", d.points[i] == 1 ? c->alone : c->style,
                    c->right && !d.left ? "training loss" : c->title);
    }
    fputc('\n', a->f);
    return LF_OK;
}

lf_status lf_report_curves(const char *run, bool *drawn, lf_err *err) {
    char *metrics = lf_path_join(run, "metrics.jsonl");
    cJSON *rows = NULL;
    lf_atomic_file a = {0};
    bool any = false;
    *drawn = false;
    lf_status rc = metrics ? LF_OK : lf_no_memory(err, "%s", run);
    if (!rc && !(rc = lf_steps_read(&rows, metrics, err)) && !(rc = write_csv(rows, run, err)) &&
        !(rc = write_script(&a, rows, run, &any, err))) {
        if (any)
            rc = lf_plot_draw(&a, run, "curves", drawn, err);
        else
            rc = lf_atomic_commit(&a, err);
        if (!rc && any && !*drawn) lf_plot_say_how(run, NULL);
    }
    lf_atomic_abort(&a);
    cJSON_Delete(rows);
    lf_free(metrics);
    return rc;
}
