/* matrix.svg: the scores after each run as squares, by gnuplot; tasks.svg: the same as lines. */
#include "report/figure/sequence.h"

#include <math.h>

#include "base/mem.h"
#include "plot/plot.h"
#include "report/figure/figure.h"

enum { SIDE = 64, LEFT = 150, RIGHT = 110, TOP = 56, BELOW = 110, MOST = 40 };

static const char NAME[] = "matrix", TASKS[] = "tasks";

typedef struct range {
    double low, high;
    int64_t n;
} range;

/* Of shares and correlations all that there can be; of log-probabilities what there is. */
static range range_of(const lf_told *s) {
    const lf_told_shown *how = lf_told_how(s);
    range r = {INFINITY, -INFINITY, 0};
    for (int64_t t = 0; t < s->n_done; t++)
        for (int64_t j = 0; j < s->n_tasks; j++) {
            const double x = s->scores[t * s->n_tasks + j];
            if (!isfinite(x)) continue;
            r.low = fmin(r.low, x);
            r.high = fmax(r.high, x);
            r.n++;
        }
    if (!how->is_open) r.low = fmin(r.low, 0), r.high = 1;
    if (!(r.high > r.low)) r.high = r.low + 1;
    return r;
}

/* Column, row, score, the colour of the number in it, and the number. */
static void write_squares(FILE *f, const lf_told *s, const range *r) {
    const lf_told_shown *how = lf_told_how(s);
    const double scale = how->scale;
    fputs("$squares << END\n", f);
    for (int64_t t = 0; t < s->n_done; t++)
        for (int64_t j = 0; j < s->n_tasks; j++) {
            const double x = s->scores[t * s->n_tasks + j];
            if (!isfinite(x)) continue;
            fprintf(f, "%lld %lld %.6g %d %.*f\n", (long long)j, (long long)t, scale * x,
                    (x - r->low) / (r->high - r->low) > 0.5 ? 0xffffff : 0x222222, how->squares, scale * x);
        }
    fputs("END\n", f);
}

static void write_tics(FILE *f, const char *axis, const char *turn, int64_t n, const char *const *names) {
    fprintf(f, "set %stics %s(", axis, turn);
    for (int64_t i = 0; i < n; i++) {
        char shown[20];
        snprintf(shown, sizeof shown, "%.16s", names[i]);
        fputs(i ? ", '" : "'", f);
        lf_plot_text(f, shown);
        fprintf(f, "' %lld", (long long)i);
    }
    fputs(") font ',12'\n", f);
}

static void write_script(FILE *f, const lf_told *s, const range *r, int width, int height) {
    const lf_told_shown *how = lf_told_how(s);
    write_squares(f, s, r);
    fprintf(f, "set title 'Each task after each%s' font ',19'\n", how->title);
    fputs("unset grid\nunset key\nset border 15\n"
          "set palette defined (0 '#ffffff', 0.5 '#7fb0d8', 1 '#0b3c66')\n",
          f);
    fprintf(f, "set cbrange [%.6g:%.6g]\n", how->scale * r->low, how->scale * r->high);
    fprintf(f,
            "set lmargin at screen %.4f\nset rmargin at screen %.4f\nset bmargin at screen %.4f\nset tmargin at screen "
            "%.4f\n",
            (double)LEFT / width, 1 - (double)RIGHT / width, (double)BELOW / height, 1 - (double)TOP / height);
    write_tics(f, "x", "rotate by 40 right ", s->n_tasks, s->tasks);
    write_tics(f, "y", "", s->n_done, s->after);
    fputs("set ylabel 'after' font ',16'\n", f);
    fprintf(f, "set xrange [-0.5:%lld.5]\nset yrange [%lld.5:-0.5]\n", (long long)s->n_tasks - 1,
            (long long)s->n_done - 1); /* the first one on top */
    fputs("plot $squares using 1:2:(0.5):(0.5):3 with boxxyerror fs solid noborder lc palette, \\\n"
          "     $squares using 1:2:5:4 with labels tc rgb variable font ',13'\n",
          f);
}

static lf_status draw_matrix(bool *made, bool *drawn, const lf_told *s, lf_err *err) {
    const range r = range_of(s);
    const int width = LEFT + RIGHT + SIDE * (int)(s->n_tasks < 4 ? 4 : s->n_tasks),
              height = TOP + BELOW + SIDE * (int)(s->n_done < 2 ? 2 : s->n_done);
    lf_atomic_file a;
    if (!(*made = r.n && s->n_tasks <= MOST)) return LF_OK;
    lf_status rc = lf_plot_open(&a, s->dir, NAME, width, height, err);
    if (rc) return rc;
    write_script(a.f, s, &r, width, height);
    rc = lf_plot_draw(&a, s->dir, NAME, drawn, err);
    lf_atomic_abort(&a);
    return rc;
}

/* ---- over the sequence ---- */

static void add_dot(lf_figure *f, int panel, int64_t series, int64_t done, double y) {
    const lf_dot d = {.panel = panel,
                      .series = series,
                      .x = (double)done,
                      .y = y,
                      .x_band = LF_NO_BAND,
                      .y_band = LF_NO_BAND,
                      .n = 1,
                      .learning_rate = NAN};
    lf_figure_dot(f, &d); /* where there is none, the line is broken */
}

/* The base's own data: of shares in percent, of perplexities as they are. */
static lf_panel base_panel(const lf_told *s, double *scale) {
    bool share = s->base_before <= 1;
    for (int64_t t = 0; t < s->n_done; t++) share = share && !(s->base[t] > 1); /* no perplexity is below 1 */
    *scale = share ? 100 : 1;
    return (lf_panel){"base", share ? "the base's data, accuracy" : "the base's data, perplexity", share ? "%" : "",
                      false};
}

static void fill_base(lf_figure *f, const lf_told *s) {
    double scale;
    const lf_panel p = base_panel(s, &scale);
    bool any = false;
    for (int64_t t = 0; t < s->n_done; t++) any = any || isfinite(s->base[t]);
    if (!any || !isfinite(s->base_before)) return;
    const int panel = f->n_panels++;
    f->panels[panel] = p;
    const int64_t series = lf_figure_series(f, "the base's own data");
    lf_figure_shade(f, series, NAN);
    add_dot(f, panel, series, 0, scale * s->base_before);
    for (int64_t t = 0; t < s->n_done; t++) add_dot(f, panel, series, t + 1, scale * s->base[t]);
    lf_figure_level(
        f, (lf_level){.panel = panel, .value = scale * s->base_before, .band = LF_NO_BAND, .label = "untouched base"});
}

/* One run of all tasks has no course. */
static lf_status draw_tasks(bool *made, bool *drawn, const lf_told *s, lf_err *err) {
    const lf_told_shown *how = lf_told_how(s);
    lf_figure f = {.name = TASKS,
                   .title = "Each task over the sequence",
                   .x_key = "learned",
                   .x_label = "tasks learned",
                   .x_unit = "",
                   .x_counts = true,
                   .joined = true,
                   .n_panels = 1};
    lf_status rc = LF_OK;
    f.panels[0] = (lf_panel){"score", how->label, how->unit, false};
    for (int64_t j = 0; j < s->n_tasks; j++) {
        const int64_t series = lf_figure_series(&f, s->tasks[j]);
        add_dot(&f, 0, series, 0, how->scale * s->before[j]);
        for (int64_t t = 0; t < s->n_done; t++)
            add_dot(&f, 0, series, t + 1, how->scale * s->scores[t * s->n_tasks + j]);
    }
    fill_base(&f, s);
    if ((*made = s->n_runs > 1 && s->n_done > 0)) rc = lf_figure_draw(&f, s->dir, drawn, err);
    lf_figure_free(&f);
    return rc;
}

/* ---- both ---- */

static lf_status remove_files(const char *dir, const char *name, lf_err *err) {
    static const char *const endings[] = {"csv", "gp", "svg"};
    lf_status rc = LF_OK;
    for (int i = 0; i < 3 && !rc; i++) {
        char *file = lf_format("%s.%s", name, endings[i]);
        if (!file) return lf_no_memory(err, "%s", dir);
        if (lf_is_file_in(dir, file) && !(i == 0 && name == NAME)) rc = lf_remove_in(dir, file, err);
        lf_free(file); /* matrix.csv is the sequence's own */
    }
    return rc;
}

lf_status lf_draw_sequence(const lf_told *s, lf_err *err) {
    static const struct {
        const char *name;
        lf_status (*draw)(bool *made, bool *drawn, const lf_told *s, lf_err *err);
    } all[] = {{NAME, draw_matrix}, {TASKS, draw_tasks}};
    bool missing = false;
    lf_status rc = LF_OK;
    for (size_t i = 0; i < sizeof all / sizeof *all && !rc; i++) {
        bool made = false, drawn = false;
        if (!(rc = all[i].draw(&made, &drawn, s, err)) && !made) rc = remove_files(s->dir, all[i].name, err);
        missing = missing || (made && !drawn);
    }
    if (!rc && missing) lf_plot_say_how(s->dir, NULL);
    return rc;
}
