#include "continual/picture.h"

#include <math.h>

#include "plot/plot.h"

enum { SIDE = 64, LEFT = 150, RIGHT = 110, TOP = 56, BELOW = 110, MOST = 40 };

static const char NAME[] = "matrix", SCRIPT[] = "matrix.gp";

typedef struct range {
    double low, high;
    int64_t n;
} range;

/* Of shares and correlations all that there can be; of log-probabilities what there is. */
static range range_of(const lf_plan *p, const lf_scores *rows) {
    const bool log = lf_yardsticks[p->tasks[0].by].log;
    range r = {INFINITY, -INFINITY, 0};
    for (int64_t t = 0; t < p->n_runs; t++)
        for (int64_t j = 0; j < p->n_tasks; j++) {
            const double x = rows[t].tasks[j];
            if (!isfinite(x)) continue;
            r.low = fmin(r.low, x);
            r.high = fmax(r.high, x);
            r.n++;
        }
    if (!log) r.low = fmin(r.low, 0), r.high = 1;
    if (!(r.high > r.low)) r.high = r.low + 1;
    return r;
}

/* Column, row, score, the colour of the number in it, and the number. */
static void write_squares(FILE *f, const lf_plan *p, const lf_scores *rows, const range *r) {
    const bool log = lf_yardsticks[p->tasks[0].by].log;
    fputs("$squares << END\n", f);
    for (int64_t t = 0; t < p->n_runs; t++)
        for (int64_t j = 0; j < p->n_tasks; j++) {
            const double x = rows[t].tasks[j];
            if (!isfinite(x)) continue;
            fprintf(f, "%lld %lld %.6g %d %.*f\n", (long long)j, (long long)t, x,
                    (x - r->low) / (r->high - r->low) > 0.5 ? 0xffffff : 0x222222, log ? 2 : 1, log ? x : 100 * x);
        }
    fputs("END\n", f);
}

static void write_tics(FILE *f, const char *axis, const char *turn, int64_t n,
                       const char *(*name)(const lf_plan *p, int64_t i), const lf_plan *p) {
    fprintf(f, "set %stics %s(", axis, turn);
    for (int64_t i = 0; i < n; i++) {
        char shown[20];
        snprintf(shown, sizeof shown, "%.16s", name(p, i)); /* names of tasks are plain ASCII */
        fputs(i ? ", '" : "'", f);
        lf_plot_text(f, shown);
        fprintf(f, "' %lld", (long long)i);
    }
    fputs(") font ',12'\n", f);
}

static const char *task_name(const lf_plan *p, int64_t i) { return p->tasks[i].name; }
static const char *run_name(const lf_plan *p, int64_t i) { return p->runs[i].name; }

static void write_script(FILE *f, const lf_plan *p, const lf_scores *rows, const range *r, int width, int height) {
    const bool log = lf_yardsticks[p->tasks[0].by].log;
    write_squares(f, p, rows, r);
    fprintf(f, "set title 'Each task after each%s' font ',19'\n", log ? ", mean log-probability" : ", %");
    fputs("unset grid\nunset key\nset border 15\n"
          "set palette defined (0 '#ffffff', 0.5 '#7fb0d8', 1 '#0b3c66')\n",
          f);
    fprintf(f, "set cbrange [%.6g:%.6g]\n", r->low, r->high);
    fprintf(f,
            "set lmargin at screen %.4f\nset rmargin at screen %.4f\nset bmargin at screen %.4f\nset tmargin at screen "
            "%.4f\n",
            (double)LEFT / width, 1 - (double)RIGHT / width, (double)BELOW / height, 1 - (double)TOP / height);
    write_tics(f, "x", "rotate by 40 right ", p->n_tasks, task_name, p);
    write_tics(f, "y", "", p->n_runs, run_name, p);
    fputs("set ylabel 'after' font ',16'\n", f);
    fprintf(f, "set xrange [-0.5:%lld.5]\nset yrange [%lld.5:-0.5]\n", (long long)p->n_tasks - 1,
            (long long)p->n_runs - 1); /* the first one on top */
    fputs("plot $squares using 1:2:(0.5):(0.5):3 with boxxyerror fs solid noborder lc palette, \\\n"
          "     $squares using 1:2:5:4 with labels tc rgb variable font ',13'\n",
          f);
}

lf_status lf_matrix_draw(const lf_plan *p, const lf_scores *rows, lf_err *err) {
    const range r = range_of(p, rows);
    const int width = LEFT + RIGHT + SIDE * (int)(p->n_tasks < 4 ? 4 : p->n_tasks),
              height = TOP + BELOW + SIDE * (int)(p->n_runs < 2 ? 2 : p->n_runs);
    lf_atomic_file a;
    bool drawn = false;
    if (!r.n || p->n_tasks > MOST) return LF_OK;
    lf_status rc = lf_plot_open(&a, p->dir, NAME, width, height, err);
    if (rc) return rc;
    write_script(a.f, p, rows, &r, width, height);
    rc = lf_plot_draw(&a, p->dir, NAME, &drawn, err);
    lf_atomic_abort(&a);
    if (!rc && !drawn) lf_plot_say_how(p->dir, SCRIPT);
    return rc;
}
