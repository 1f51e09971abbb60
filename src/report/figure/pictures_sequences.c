/* Pictures of sequences of tasks: methods side by side, and over the tasks. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "report/figure/pictures_internal.h"

/* ---- bars ---- */

/* Starts at one position have one colour, so a number says which bar a name is of. */
static void number_group(lf_figure *f, const lf_cohort *g, int64_t i) {
    const int64_t series = lf_group_series(f, g);
    char *label = f->failed ? NULL : lf_format("%lld  %s", (long long)i + 1, f->series[series].label);
    if (!label) {
        f->failed = true;
        return;
    }
    lf_free(f->series[series].label);
    f->series[series].label = label;
    if (i >= LF_MAX_PLACES) return;
    lf_named_place *p = &f->places[i];
    p->x = (double)i + 1;
    snprintf(p->name, sizeof p->name, "%lld", (long long)i + 1);
    f->n_places = (int)i + 1;
}

/* The average, BWT and what is kept of the base, of each method at its best rate. */
lf_status lf_fill_bars(lf_figure *f, const lf_summary *s, lf_err *err) {
    (void)err;
    const int wanted[] = {lf_role_index(s, LF_ROLE_GAIN), lf_role_index(s, LF_ROLE_COMPARED),
                          lf_role_index(s, LF_ROLE_KEPT)};
    if (!lf_metric_in_role(s->from->yardstick, LF_ROLE_COMPARED)->name) return LF_OK;
    f->x_key = "method";
    f->x_label = f->x_unit = "";
    f->bars = true;
    f->n_places = 1; /* else the axis would have numbers of its own */
    for (int64_t g = 0; g < s->n_groups && !f->failed; g++) number_group(f, &s->groups[g], g);
    for (size_t w = 0; w < sizeof wanted / sizeof *wanted; w++) {
        if (wanted[w] < 0) continue;
        f->panels[f->n_panels] = lf_panel_of(s, wanted[w]);
        for (int64_t g = 0; g < s->n_groups && !f->failed; g++) {
            const lf_cell *c = lf_shown_cell(s, &s->groups[g]);
            lf_dot d;
            if (!c || !lf_dot_of(&d, s, c, wanted[w]) || !isfinite(d.y)) continue;
            d.panel = f->n_panels;
            d.series = g;
            d.x = (double)g + 1;
            d.n_diverged = 0;
            d.best = d.front = false;
            d.learning_rate = NAN;
            lf_figure_dot(f, &d);
        }
        f->n_panels++;
    }
    if (!f->n_dots) f->n_panels = 0;
    return LF_OK;
}

/* ---- over the tasks ---- */

/* A figure that each member of `course` has, in all_results.json of a sequence. */
typedef struct line {
    const char *key;
    const lf_metric *metric;
} line;

static double at_task(const lf_gathered_run *r, const char *key, int64_t t) {
    const cJSON *course = cJSON_GetObjectItemCaseSensitive(r->results, "course");
    return lf_json_number_in(cJSON_GetArrayItem(course, (int)t), key);
}

static int64_t tasks_of(const lf_gathered_run *r) {
    return cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(r->results, "course"));
}

/* The mean over the cell's runs that have it, after so many tasks. */
static void add_mean(lf_figure *f, const lf_summary *s, const lf_cell *c, int64_t series, const line *l, int64_t t,
                     double *values) {
    int64_t n = 0;
    for (int64_t i = 0; i < c->n_runs; i++) {
        values[n] = at_task(&s->from->runs[c->runs[i]], l->key, t);
        n += isfinite(values[n]);
    }
    const lf_sample v = lf_sample_of(values, n);
    const lf_dot d = {.panel = f->n_panels,
                      .series = series,
                      .x = (double)t + 1,
                      .y = l->metric->scale * v.mean,
                      .x_band = LF_NO_BAND,
                      .y_band = lf_band_of(v, l->metric->scale),
                      .n = n,
                      .learning_rate = NAN};
    if (n) lf_figure_dot(f, &d);
}

static void add_line(lf_figure *f, const lf_summary *s, const line *l, double *values) {
    const int64_t before = f->n_dots;
    f->panels[f->n_panels] = (lf_panel){l->key, l->metric->label, l->metric->unit, false};
    for (int64_t g = 0; g < s->n_groups && !f->failed; g++) {
        const lf_cell *c = lf_shown_cell(s, &s->groups[g]);
        int64_t tasks = 0;
        for (int64_t i = 0; c && i < c->n_runs; i++)
            if (tasks_of(&s->from->runs[c->runs[i]]) > tasks) tasks = tasks_of(&s->from->runs[c->runs[i]]);
        for (int64_t t = 0; t < tasks; t++) add_mean(f, s, c, g, l, t, values);
    }
    f->n_panels += f->n_dots > before;
}

lf_status lf_fill_sequences(lf_figure *f, const lf_summary *s, lf_err *err) {
    const lf_yardstick *y = s->from->yardstick;
    const lf_metric *compared = lf_metric_in_role(y, LF_ROLE_COMPARED);
    const lf_role roles[] = {LF_ROLE_GAIN, LF_ROLE_COMPARED, LF_ROLE_KEPT};
    if (!compared->name) return LF_OK;
    double *values = lf_calloc((size_t)s->from->n_runs + 1, sizeof *values);
    if (!values) return lf_no_memory(err, "picture %s of %s", f->name, s->from->dir);
    f->x_key = "learned";
    f->x_label = "tasks learned";
    f->x_unit = "";
    f->x_counts = f->joined = true;
    for (int64_t g = 0; g < s->n_groups; g++) lf_group_series(f, &s->groups[g]);
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        const lf_metric *m = lf_metric_in_role(y, roles[i]);
        add_line(f, s, &(line){m->name, m}, values);
    }
    lf_figure_sort(f);
    lf_free(values);
    return LF_OK;
}
