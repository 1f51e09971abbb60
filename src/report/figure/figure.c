#include "report/figure/figure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/file.h"
#include "base/mem.h"
#include "plot/plot.h"

/* ---- filling ---- */

int64_t lf_figure_series(lf_figure *f, const char *label) {
    char *copy = lf_strdup(label);
    if (!copy || !lf_grow(&f->series, &f->series_capacity, f->n_series + 1)) {
        lf_free(copy);
        f->failed = true;
        return 0;
    }
    lf_series *s = &f->series[f->n_series];
    *s = (lf_series){.label = copy, .point = lf_plot_point(f->n_series)};
    memcpy(s->color, lf_plot_color(f->n_series), sizeof s->color);
    return f->n_series++;
}

void lf_figure_shade(lf_figure *f, int64_t series, double place) {
    if (f->failed) return;
    if (isfinite(place))
        lf_plot_shade(f->series[series].color, place);
    else
        memcpy(f->series[series].color, "#222222", sizeof f->series[series].color);
}

void lf_figure_level(lf_figure *f, lf_level level) {
    if (isfinite(level.value) && f->n_levels < LF_MAX_LEVELS) f->levels[f->n_levels++] = level;
}

void lf_figure_dot(lf_figure *f, const lf_dot *dot) {
    if (f->failed) return;
    f->failed = !lf_grow(&f->dots, &f->capacity, f->n_dots + 1);
    if (!f->failed) f->dots[f->n_dots++] = *dot;
}

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))
static int by_place(const void *a, const void *b) {
    const lf_dot *x = a, *y = b;
    int c = COMPARE(x->panel, y->panel);
    if (!c) c = COMPARE(x->series, y->series);
    if (!c) c = COMPARE(x->x, y->x);
    return c ? c : COMPARE(x->y, y->y);
}

void lf_figure_sort(lf_figure *f) {
    if (f->n_dots) qsort(f->dots, (size_t)f->n_dots, sizeof *f->dots, by_place);
}

void lf_figure_free(lf_figure *f) {
    for (int64_t i = 0; i < f->n_series; i++) lf_free(f->series[i].label);
    lf_free(f->series);
    lf_free(f->dots);
    *f = (lf_figure){0};
}

static void number(FILE *f, double value) {
    fputc(',', f);
    if (isfinite(value)) fprintf(f, "%.9g", value);
}

/* Columns that are empty all the way down are left out. */
typedef struct columns {
    bool run, rate, x_band, diverged;
} columns;

static columns columns_of(const lf_figure *f) {
    columns c = {0};
    for (int64_t i = 0; i < f->n_dots; i++) {
        const lf_dot *d = &f->dots[i];
        c.run = c.run || d->run;
        c.rate = c.rate || isfinite(d->learning_rate);
        c.x_band = c.x_band || isfinite(d->x_band.low);
        c.diverged = c.diverged || d->n_diverged;
    }
    return c;
}

static const char *kind_of(lf_band b) { return !isfinite(b.low) ? "" : b.interval ? "95 % interval" : "least to most"; }

static void write_row(FILE *out, const lf_figure *f, const columns *c, const lf_dot *d) {
    const lf_panel *p = &f->panels[d->panel];
    fprintf(out, "%s,%s,", p->key, p->unit);
    lf_csv_text(out, f->series[d->series].label);
    if (c->run) {
        fputc(',', out);
        lf_csv_text(out, d->run ? d->run : "");
    }
    if (c->rate) number(out, d->learning_rate);
    number(out, d->x);
    if (c->x_band) {
        number(out, d->x_band.low);
        number(out, d->x_band.high);
    }
    number(out, d->y);
    number(out, d->y_band.low);
    number(out, d->y_band.high);
    fprintf(out, ",%s,%lld", kind_of(d->y_band), (long long)d->n);
    if (c->diverged) fprintf(out, ",%lld", (long long)d->n_diverged);
    if (f->marks_best) fprintf(out, ",%d", d->best);
    if (f->marks_front) fprintf(out, ",%d", d->front);
    fputc('\n', out);
}

static void write_level(FILE *out, const lf_figure *f, const columns *c, const lf_level *l) {
    const lf_panel *p = &f->panels[l->panel];
    fprintf(out, "%s,%s,", l->upright ? f->x_key : p->key, l->upright ? f->x_unit : p->unit);
    lf_csv_text(out, l->label);
    fprintf(out, "%s%s,%s", c->run ? "," : "", c->rate ? "," : "", c->x_band ? ",," : "");
    number(out, l->value);
    number(out, l->band.low);
    number(out, l->band.high);
    fprintf(out, ",%s,%s%s%s\n", kind_of(l->band), c->diverged ? "," : "", f->marks_best ? "," : "",
            f->marks_front ? "," : "");
}

static lf_status write_csv(const lf_figure *f, const char *dir, const char *name, lf_err *err) {
    lf_atomic_file a;
    lf_status rc = lf_atomic_open_in(&a, dir, name, err);
    if (rc) return rc;
    const columns c = columns_of(f);
    fprintf(a.f, "figure,unit,series%s%s,%s", c.run ? ",run" : "", c.rate ? ",learning_rate" : "", f->x_key);
    if (c.x_band) fprintf(a.f, ",%s_low,%s_high", f->x_key, f->x_key);
    fprintf(a.f, ",value,low,high,band,n%s%s%s\n", c.diverged ? ",diverged" : "", f->marks_best ? ",best" : "",
            f->marks_front ? ",front" : "");
    for (int64_t i = 0; i < f->n_dots; i++) write_row(a.f, f, &c, &f->dots[i]);
    for (int i = 0; i < f->n_levels; i++) write_level(a.f, f, &c, &f->levels[i]);
    rc = lf_atomic_commit(&a, err);
    lf_atomic_abort(&a);
    return rc;
}

lf_status lf_figure_draw(lf_figure *f, const char *dir, bool *drawn, lf_err *err) {
    char *csv = lf_format("%s.csv", f->name);
    lf_atomic_file a = {0};
    int width, height;
    *drawn = false;
    lf_status rc = csv && !f->failed ? LF_OK : lf_no_memory(err, "picture %s of %s", f->name, dir);
    if (!rc && !(rc = write_csv(f, dir, csv, err))) {
        lf_figure_size(f, &width, &height);
        if (!(rc = lf_plot_open(&a, dir, f->name, width, height, err))) {
            rc = lf_figure_script(a.f, f) ? lf_plot_draw(&a, dir, f->name, drawn, err)
                                          : lf_no_memory(err, "picture %s of %s", f->name, dir);
        }
    }
    lf_atomic_abort(&a);
    lf_free(csv);
    return rc;
}
