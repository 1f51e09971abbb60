/* Pictures of single runs: their curves, and the size of their updates. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "report/figure/pictures_internal.h"
#include "report/gather/steps.h"

static void group_names(lf_figure *f, const lf_summary *s) {
    for (int64_t g = 0; g < s->n_groups && !f->failed; g++) lf_group_series(f, &s->groups[g]);
}

/* ---- curves ---- */

typedef struct curve {
    const char *key, *label, *unit;
    double scale;
    bool log;
} curve;
enum { LEARNED, KEPT, LOSS, N_CURVES };

static void curves_of(curve curves[N_CURVES], const lf_yardstick *y) {
    for (const lf_step_figure *f = y->steps; f->name; f++)
        if (f->look == LF_LOOK_LEARNED || f->look == LF_LOOK_KEPT)
            curves[f->look == LF_LOOK_LEARNED ? LEARNED : KEPT] = (curve){f->name, f->label, f->unit, f->scale, y->log};
    curves[LOSS] = (curve){"loss", "training loss", "nats", 1, false};
}

typedef struct measured {
    int curve;
    double step, value;
} measured;
typedef struct measurements {
    measured *m;
    int64_t n, capacity;
    int64_t runs[N_CURVES]; /* that have the curve */
} measurements;

static bool add_measured(measurements *all, measured m) {
    if (!lf_grow(&all->m, &all->capacity, all->n + 1)) return false;
    all->m[all->n++] = m;
    return true;
}

/* A finished run without a log (its file was tidied away) has no curve. */
static lf_status read_run(measurements *all, const curve *curves, const char *dir, const char *name, lf_err *err) {
    char *run = lf_path_join(dir, name), *path = run ? lf_path_join(run, "metrics.jsonl") : NULL;
    cJSON *rows = NULL;
    lf_status rc = path ? LF_OK : lf_no_memory(err, "%s", dir);
    if (!rc && lf_file_size(path) > 0) rc = lf_steps_read(&rows, path, err);
    for (int c = 0; c < N_CURVES && !rc; c++) {
        const int64_t before = all->n;
        const cJSON *row;
        cJSON_ArrayForEach(row, rows) {
            const measured m = {c, lf_step_value(row, "step"), curves[c].scale * lf_step_value(row, curves[c].key)};
            if (isfinite(m.step) && isfinite(m.value) && !add_measured(all, m)) {
                rc = lf_no_memory(err, "%s", dir);
                break;
            }
        }
        all->runs[c] += all->n > before;
    }
    cJSON_Delete(rows);
    lf_free(path);
    lf_free(run);
    return rc;
}

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))
static int by_curve_and_step(const void *a, const void *b) {
    const measured *x = a, *y = b;
    int c = COMPARE(x->curve, y->curve);
    if (!c) c = COMPARE(x->step, y->step);
    return c ? c : COMPARE(x->value, y->value);
}

/* A loss of each step is more than a picture shows: dots from `first` on become means of equally many in a row. */
static void thin_out(lf_figure *f, int64_t first) {
    enum { MOST = 300 };
    const int64_t block = (f->n_dots - first + MOST - 1) / MOST;
    int64_t to = first;
    for (int64_t i = first; block > 1 && i < f->n_dots; i += block) {
        const int64_t n = f->n_dots - i < block ? f->n_dots - i : block;
        lf_dot d = f->dots[i + n - 1];
        d.y = 0;
        for (int64_t k = 0; k < n; k++) d.y += f->dots[i + k].y / (double)n;
        f->dots[to++] = d;
    }
    if (block > 1) f->n_dots = to;
}

/* Means of the steps that every run of the cell has: with other runs in it, a mean would jump. */
static void add_means(lf_figure *f, const measurements *all, int64_t series, bool *any) {
    double *values = lf_malloc((size_t)(all->n + 1) * sizeof *values);
    int64_t losses = -1;
    if (!values) {
        f->failed = true;
        return;
    }
    for (int64_t i = 0, n; i < all->n && !f->failed; i += n) {
        const measured *m = &all->m[i];
        for (n = 0; i + n < all->n && m[n].curve == m->curve && m[n].step == m->step; n++) values[n] = m[n].value;
        if (n < all->runs[m->curve]) continue;
        const lf_sample v = lf_sample_of(values, n);
        lf_dot d = {.panel = m->curve,
                    .series = series,
                    .x = m->step,
                    .y = v.mean,
                    .x_band = LF_NO_BAND,
                    .y_band = LF_NO_BAND,
                    .n = n,
                    .learning_rate = NAN};
        if (m->curve != LOSS)
            d.y_band = lf_band_of(v, 1); /* a batch's loss is noise enough */
        else if (losses < 0)
            losses = f->n_dots;
        lf_figure_dot(f, &d);
        any[m->curve] = true;
    }
    if (losses >= 0 && !f->failed) thin_out(f, losses); /* the last curve: nothing stands behind it */
    lf_free(values);
}

/* Panels that nothing is in are left out. */
static void close_panels(lf_figure *f, const bool *any) {
    int to[N_CURVES], n = 0;
    for (int p = 0; p < N_CURVES; p++) {
        to[p] = n;
        if (any[p]) f->panels[n++] = f->panels[p];
    }
    for (int64_t i = 0; i < f->n_dots; i++) f->dots[i].panel = to[f->dots[i].panel];
    f->n_panels = n;
}

lf_status lf_fill_curves(lf_figure *f, const lf_summary *s, lf_err *err) {
    if (!s->from->yardstick->steps->name) return LF_OK; /* of sequences, which have no steps of their own */
    curve curves[N_CURVES];
    curves_of(curves, s->from->yardstick);
    bool any[N_CURVES] = {0};
    lf_status rc = LF_OK;
    f->x_key = f->x_label = "step";
    f->x_unit = "";
    f->joined = true;
    for (int c = 0; c < N_CURVES; c++)
        f->panels[c] = (lf_panel){curves[c].key, curves[c].label, curves[c].unit, curves[c].log};
    group_names(f, s);
    for (int64_t g = 0; g < s->n_groups && !rc && !f->failed; g++) {
        const lf_cell *cell = lf_shown_cell(s, &s->groups[g]);
        measurements all = {0};
        for (int64_t i = 0; cell && i < cell->n_runs && !rc; i++) {
            const lf_gathered_run *run = &s->from->runs[cell->runs[i]];
            if (lf_run_is_done(run)) rc = read_run(&all, curves, s->from->dir, run->name, err);
        }
        if (all.n) qsort(all.m, (size_t)all.n, sizeof *all.m, by_curve_and_step);
        if (!rc && all.n) add_means(f, &all, g, any);
        lf_free(all.m);
    }
    lf_figure_sort(f);
    bool line = false;
    for (int64_t i = 1; i < f->n_dots && !line; i++)
        line = f->dots[i].panel == f->dots[i - 1].panel && f->dots[i].x != f->dots[i - 1].x;
    if (!rc && line) close_panels(f, any);
    return rc;
}

/* ---- forgetting over the size of the update ---- */

lf_status lf_fill_update(lf_figure *f, const lf_summary *s, lf_err *err) {
    (void)err;
    const int size = lf_metric_index(s, "update_ratio"), lost = lf_role_index(s, LF_ROLE_COST);
    if (size < 0 || lost < 0) return LF_OK;
    const lf_metric *metrics = s->from->yardstick->metrics;
    const lf_panel x = lf_panel_of(s, size);
    f->x_key = x.key;
    f->x_label = x.label;
    f->x_unit = x.unit;
    f->x_log = true;
    f->panels[0] = lf_panel_of(s, lost);
    group_names(f, s);
    for (int64_t g = 0; g < s->n_groups; g++)
        for (int64_t c = 0; c < s->groups[g].n_cells; c++) {
            const lf_cell *cell = &s->cells[s->groups[g].cells[c]];
            for (int64_t i = 0; i < cell->n_runs; i++) {
                const lf_gathered_run *run = &s->from->runs[cell->runs[i]];
                const lf_dot d = {.series = g,
                                  .x = metrics[size].scale * lf_run_number(run, metrics[size].name),
                                  .y = metrics[lost].scale * lf_run_number(run, metrics[lost].name),
                                  .x_band = LF_NO_BAND,
                                  .y_band = LF_NO_BAND,
                                  .n = 1,
                                  .learning_rate = cell->learning_rate,
                                  .run = run->name};
                if (lf_run_is_done(run) && d.x > 0 && isfinite(d.x) && isfinite(d.y)) lf_figure_dot(f, &d);
            }
        }
    f->n_panels = f->n_dots > 1;
    return LF_OK;
}
