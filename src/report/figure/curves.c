/* The picture of a run: what it learned and what it forgot over steps; accuracies, or perplexities of a language model.
 */
#include <math.h>

#include "base/file.h"
#include "base/mem.h"
#include "plot/plot.h"
#include "report/figure/curves.h"
#include "report/gather/steps.h"

/* A column of curves.csv is a key of metrics.jsonl. Which they are is told by the first key that a run has. */
static const char *const picture_columns[] = {
    "step",      "epoch",         "loss",      "train_accuracy", "learning_rate", "grad_norm", "eval_accuracy",
    "eval_loss", "base_accuracy", "base_loss", "base_ce",        "base_kl",       "base_knn",  NULL};
static const char *const language_columns[] = {"step",
                                               "epoch",
                                               "loss",
                                               "train_accuracy",
                                               "learning_rate",
                                               "grad_norm",
                                               "eval_perplexity",
                                               "eval_loss",
                                               "eval_token_accuracy",
                                               "eval_choice_accuracy",
                                               "eval_exact_match",
                                               "base_perplexity",
                                               "base_loss",
                                               "base_token_accuracy",
                                               "base_ce",
                                               "base_kl",
                                               NULL};

/* One curve of the picture; drawn when the run has the column. */
static const struct {
    const char *column, *title, *style, *alone /* a single point has no line */;
    bool right;
} curves[] = {
    {"eval_accuracy", "new task", "linespoints pt 7 ps 0.5 lw 2.5 lc rgb '#1f6fb2'",
     "points pt 7 ps 0.5 lc rgb '#1f6fb2'", false},
    {"eval_perplexity", "new text", "linespoints pt 7 ps 0.5 lw 2.5 lc rgb '#1f6fb2'",
     "points pt 7 ps 0.5 lc rgb '#1f6fb2'", false},
    {"base_perplexity", "pretraining text", "linespoints pt 7 ps 0.5 lw 2.5 lc rgb '#d1571b'",
     "points pt 7 ps 0.5 lc rgb '#d1571b'", false},
    {"base_accuracy", "base task, its own head", "linespoints pt 7 ps 0.5 lw 2.5 lc rgb '#d1571b'",
     "points pt 7 ps 0.5 lc rgb '#d1571b'", false},
    {"base_knn", "base task, nearest neighbours", "lines lw 1.5 dt 2 lc rgb '#d1571b'",
     "points pt 6 ps 0.5 lc rgb '#d1571b'", false},
    {"loss", "training loss (right)", "lines lw 1.2 lc rgb '#8a8a8a'", "points pt 7 ps 0.5 lc rgb '#8a8a8a'", true},
};
enum { N_CURVES = sizeof curves / sizeof curves[0] };

static bool is_language(const cJSON *rows) {
    return lf_steps_have(rows, "eval_perplexity") || lf_steps_have(rows, "base_perplexity");
}

static lf_status write_csv(const cJSON *rows, const char *path, lf_err *err) {
    lf_atomic_file a;
    lf_status rc = lf_atomic_open(&a, path, err);
    if (rc) return rc;
    const char *const *columns = is_language(rows) ? language_columns : picture_columns;
    for (int c = 0; columns[c]; c++) fprintf(a.f, "%s%s", c ? "," : "", columns[c]);
    fputc('\n', a.f);
    const cJSON *row;
    cJSON_ArrayForEach(row, rows) {
        for (int c = 0; columns[c]; c++) {
            const double v = lf_step_value(row, columns[c]);
            if (c) fputc(',', a.f);
            if (isfinite(v)) fprintf(a.f, "%.9g", v);
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

/* The axis of the perplexities that are drawn. */
static void perplexity_axis(FILE *f, const cJSON *rows) {
    double low = INFINITY, high = 0;
    const cJSON *row;
    for (int i = 0; i < N_CURVES; i++) cJSON_ArrayForEach(row, rows) {
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
    int points[N_CURVES];
    bool left, right;
} drawn_curves;

static drawn_curves write_curves(FILE *f, const cJSON *rows, bool language) {
    drawn_curves d = {0};
    for (int i = 0; i < N_CURVES; i++) {
        d.points[i] = write_points(f, rows, curves[i].column, language && !curves[i].right);
        if (d.points[i]) *(curves[i].right ? &d.right : &d.left) = true;
    }
    return d;
}

/* A run that was never judged has its loss alone, and that on the left. */
static void axes(FILE *f, const cJSON *rows, const drawn_curves *d, bool language) {
    fputs("set title 'What was learned and what was forgotten' font ',19'\nset xlabel 'step' offset 0,0.6\n", f);
    fprintf(f, "set xrange [0:%.9g]\n", fmax(1, last_step(rows)));
    fputs("set key below maxcols 2 samplen 2 reverse Left font ',16'\n", f);
    if (!d->left) {
        fputs("set ylabel 'loss'\nset yrange [0:*]\n", f);
        return;
    }
    fprintf(f, "set ylabel '%s'\n", language ? "perplexity" : "accuracy");
    if (language)
        perplexity_axis(f, rows);
    else
        fputs("set yrange [0:1]\nset ytics 0.2\n", f);
    if (d->right)
        fputs("set y2label 'loss' offset -1.5\nset y2tics\nset y2range [0:*]\nset rmargin 8\nset border 11\n", f);
}

static lf_status write_script(lf_atomic_file *a, const cJSON *rows, const char *run, bool *any, lf_err *err) {
    const bool language = is_language(rows);
    const lf_status rc = lf_plot_open(a, run, "curves", 640, 480, err);
    if (rc) return rc;
    const drawn_curves d = write_curves(a->f, rows, language);
    *any = d.left || d.right;
    axes(a->f, rows, &d, language);
    for (int i = 0, drawn = 0; i < N_CURVES; i++)
        if (d.points[i])
            fprintf(a->f, "%s$%s using 1:2%s with %s title '%s'", drawn++ ? ", \\\n     " : "plot ", curves[i].column,
                    curves[i].right && d.left ? " axes x1y2" : "", d.points[i] == 1 ? curves[i].alone : curves[i].style,
                    curves[i].right && !d.left ? "training loss" : curves[i].title);
    fputc('\n', a->f);
    return LF_OK;
}

lf_status lf_report_curves(const char *run, bool *drawn, lf_err *err) {
    char *metrics = lf_path_join(run, "metrics.jsonl"), *csv = lf_path_join(run, "curves.csv");
    cJSON *rows = NULL;
    lf_atomic_file a = {0};
    bool any = false;
    *drawn = false;
    lf_status rc = metrics && csv ? LF_OK : lf_fail(err, LF_ENOMEM, "%s: out of memory", run);
    if (!rc && !(rc = lf_steps_read(&rows, metrics, err)) && !(rc = write_csv(rows, csv, err)) &&
        !(rc = write_script(&a, rows, run, &any, err))) {
        if (any)
            rc = lf_plot_draw(&a, run, "curves", drawn, err);
        else
            rc = lf_atomic_commit(&a, err);
        if (!rc && any && !*drawn) lf_plot_say_how(run);
    }
    lf_atomic_abort(&a);
    cJSON_Delete(rows);
    lf_free(csv);
    lf_free(metrics);
    return rc;
}
