/* A figure as a gnuplot script. Axes are set here to what the means need; where a band is much wider than that gnuplot
 * clips it: it holds the true numbers, and a bar that goes on beyond the axis has no cap there. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/number.h"
#include "plot/plot.h"
#include "report/figure/figure_layout.h"

static const char ink[] = "#222222";

/* ---- data ---- */

/* An end of a band; where the axis has no such number (a perplexity below 0), one that is out of sight. */
static double band_end(double v, double alone, lf_range r) {
    if (!isfinite(v)) return alone;
    return lf_fits(r.log, v) ? v : v > 0 ? r.high * 1e3 : r.log ? r.low * 1e-3 : r.low - 1e3 * (r.high - r.low);
}

/* Larger for higher learning rates, by their order of magnitude. */
static double dot_size(const lf_figure *f, const lf_dot *d) {
    double low = INFINITY, high = 0;
    if (!f->sized || !(d->learning_rate > 0)) return f->joined ? 0.7 : 0.9;
    for (int64_t i = 0; i < f->n_dots; i++) {
        const double rate = f->dots[i].learning_rate;
        if (!(rate > 0)) continue;
        low = fmin(low, rate);
        high = fmax(high, rate);
    }
    return high > low ? 0.6 + 0.9 * log(d->learning_rate / low) / log(high / low) : 1;
}

typedef struct block {
    int64_t n, banded, aside;
} block;

/* Dots beside the line of their series. */
static int64_t write_aside(FILE *out, const lf_figure *f, int panel, int64_t series, lf_range x, lf_range y) {
    int64_t n = 0;
    for (int64_t i = 0; i < f->n_dots; i++) {
        const lf_dot *d = &f->dots[i];
        if (!d->aside || d->panel != panel || d->series != series || !lf_fits(y.log, d->y) || !lf_fits(x.log, d->x))
            continue;
        if (n++ == 0) fprintf(out, "$a%d_%lld << END\n", panel, (long long)series);
        fprintf(out, "%.9g %.9g\n", d->x, d->y);
    }
    if (n) fputs("END\n", out);
    return n;
}

/* x y low high x_low x_high size; a line is broken where there is no value. */
static block write_series(FILE *out, const lf_figure *f, int panel, int64_t series, lf_range x, lf_range y) {
    block b = {.aside = write_aside(out, f, panel, series, x, y)};
    bool gap = false;
    for (int64_t i = 0; i < f->n_dots; i++) {
        const lf_dot *d = &f->dots[i];
        if (d->panel != panel || d->series != series || d->aside) continue;
        if (!lf_fits(y.log, d->y) || !lf_fits(x.log, d->x)) {
            gap = b.n > 0;
            continue;
        }
        if (b.n++ == 0) fprintf(out, "$p%d_%lld << END\n", panel, (long long)series);
        if (gap) fputc('\n', out);
        gap = false;
        const bool band = isfinite(d->y_band.low), x_band = isfinite(d->x_band.low);
        b.banded += band || x_band;
        fprintf(out, "%.9g %.9g %.9g %.9g %.9g %.9g %.3g\n", d->x, d->y, band_end(d->y_band.low, d->y, y),
                band_end(d->y_band.high, d->y, y), band_end(d->x_band.low, d->x, x), band_end(d->x_band.high, d->x, x),
                dot_size(f, d));
    }
    if (b.n) fputs("END\n", out);
    return b;
}

typedef enum mark { MARK_BEST, MARK_FRONT, MARK_DIVERGED } mark;
static const struct {
    const char *block, *style;
} marks[] = {
    [MARK_BEST] = {"best", "points pt 6 ps 1.8 lw 1.5"},
    [MARK_FRONT] = {"front", "lines dt 2 lw 1.6"},
    [MARK_DIVERGED] = {"diverged", "points pt 2 ps 1.2 lw 3"},
};
enum { N_MARKS = sizeof marks / sizeof marks[0] };

static bool is_marked(const lf_figure *f, const lf_dot *d, mark m) {
    if (m == MARK_DIVERGED) return d->n_diverged > 0;
    return m == MARK_BEST ? f->marks_best && d->best && isfinite(d->y) : f->marks_front && d->front && isfinite(d->y);
}

static int by_front_and_x(const void *a, const void *b) {
    const lf_dot *x = a, *y = b;
    const int c = (x->front_of > y->front_of) - (x->front_of < y->front_of);
    return c ? c : (x->x > y->x) - (x->x < y->x);
}

/* How many; -1: out of memory. A line through the front goes from dot to dot by x, whatever their series. */
static int64_t write_marks(FILE *out, const lf_figure *f, int panel, mark m, lf_range x, lf_range y) {
    lf_dot *chosen = lf_malloc(((size_t)f->n_dots + 1) * sizeof *chosen);
    int64_t n = 0;
    if (!chosen) return -1;
    for (int64_t i = 0; i < f->n_dots; i++) {
        lf_dot d = f->dots[i];
        if (d.panel != panel || !is_marked(f, &d, m) || !lf_fits(x.log, d.x)) continue;
        if (m == MARK_DIVERGED) d.y = lf_cross_y(f, i, y);
        if (lf_fits(y.log, d.y)) chosen[n++] = d;
    }
    if (m == MARK_FRONT && n) qsort(chosen, (size_t)n, sizeof *chosen, by_front_and_x);
    if (n) fprintf(out, "$%s%d << END\n", marks[m].block, panel);
    for (int64_t i = 0; i < n; i++) {
        if (m == MARK_FRONT && i && chosen[i].front_of != chosen[i - 1].front_of) fputc('\n', out);
        fprintf(out, "%.9g %.9g %ld\n", chosen[i].x, chosen[i].y,
                strtol(f->series[chosen[i].series].color + 1, NULL, 16));
    }
    if (n) fputs("END\n", out);
    lf_free(chosen);
    return n;
}

/* ---- a panel ---- */

static void between(FILE *out, int *n) { fputs((*n)++ ? ", \\\n     " : "plot ", out); }

static void plot_bands(FILE *out, const lf_figure *f, int panel, int64_t s, block b, int *n) {
    const char *color = f->series[s].color + 1;
    if (!b.banded) return;
    between(out, n);
    if (f->bars) { /* on the bar; with error bars gnuplot leaves a hole in it */
        fprintf(out,
                "$p%d_%lld using 1:3:(0):($4-$3) with vectors heads size screen 0.008,90 lw 1.6 lc rgb '%s' notitle",
                panel, (long long)s, ink);
        return;
    }
    if (f->sized)
        fprintf(out, "$p%d_%lld using 1:2:5:6:3:4 with xyerrorbars pt -1 lw 0.8 lc rgb '#90%s' notitle", panel,
                (long long)s, color);
    else if (f->joined && b.n > 1)
        fprintf(out, "$p%d_%lld using 1:3:4 with filledcurves fs transparent solid 0.16 noborder lc rgb '#%s' notitle",
                panel, (long long)s, color);
    else
        fprintf(out, "$p%d_%lld using 1:2:3:4 with yerrorbars pt -1 lw 1.2 lc rgb '#%s' notitle", panel, (long long)s,
                color);
}

static void plot_series(FILE *out, const lf_figure *f, int panel, int64_t s, block b, int *n) {
    const char *color = f->series[s].color;
    const int point = f->series[s].point;
    if (b.aside) {
        between(out, n);
        fprintf(out, "$a%d_%lld using 1:2 with points pt %d ps 0.45 lc rgb '#80%s' notitle", panel, (long long)s, point,
                color + 1);
    }
    if (!b.n) return;
    if (f->bars) {
        between(out, n);
        fprintf(out, "$p%d_%lld using 1:2:(0.7) with boxes fs solid 0.85 noborder lc rgb '%s' notitle", panel,
                (long long)s, color);
        return;
    }
    if (f->joined && b.n > 1) {
        between(out, n);
        fprintf(out, "$p%d_%lld using 1:2 with lines lw 2.2 lc rgb '%s' notitle", panel, (long long)s, color);
    }
    if (f->joined && b.n > 60) return; /* dots would be a thicker line */
    between(out, n);
    fprintf(out, "$p%d_%lld using 1:2:7 with points pt %d ps variable lc rgb '%s' notitle", panel, (long long)s, point,
            color);
}

/* Learning rates that were tried, each where there is room for it; named below the last panel. */
static void rate_tics(FILE *out, const lf_figure *f, lf_range r, bool named) {
    double last = -INFINITY;
    const double room = (log10(r.high) - log10(r.low)) / 8;
    fputs("set logscale x\nset xtics (", out);
    for (int count = 0;;) {
        double next = INFINITY; /* the least above the last one */
        for (int64_t i = 0; i < f->n_dots; i++)
            if (f->dots[i].x > 0 && f->dots[i].x < next && (!isfinite(last) || log10(f->dots[i].x) - last >= room))
                next = f->dots[i].x;
        if (!isfinite(next)) break;
        char text[40];
        lf_number_rate(text, sizeof text, next, LF_SETTING_DIGITS);
        fprintf(out, "%s'%s' %.9g", count++ ? ", " : "", named ? text : "", next);
        last = log10(next);
    }
    fputs(")\n", out);
}

/* Texts stand where they are put, in pixels from the top left, not where gnuplot finds room for them. `place` is "left"
 * or "center", and may say more. */
static void begin_text(FILE *out) { fputs("set label '", out); }

static void end_text(FILE *out, double x, double y, int height, const char *place, int font, const char *color) {
    fprintf(out, "' at screen %.6f, screen %.6f %s font ',%d' textcolor rgb '%s'\n", x / LF_FIGURE_WIDTH,
            1 - y / height, place, font, color);
}

static void axis_text(FILE *out, const char *label, const char *unit) {
    begin_text(out);
    lf_plot_text(out, label);
    if (!unit[0]) return;
    fputs(" (", out);
    lf_plot_text(out, unit);
    fputc(')', out);
}

/* Of the series that have dots, row by row; each a dot, on a line where they are joined, and its name. */
static void write_legend(FILE *out, const lf_figure *f, int height) {
    const lf_legend l = lf_legend_of(f);
    const double left = (LF_FIGURE_WIDTH - l.columns * l.width) / 2;
    for (int64_t s = 0, named = 0; s < f->n_series && named < l.named; s++) {
        if (!lf_series_has_dots(f, s)) continue;
        const double x = left + (double)(named % l.columns) * l.width,
                     y = lf_legend_top(f) + ((double)(named / l.columns) + 0.5) * LF_FIGURE_LINE;
        if (f->joined)
            fprintf(out,
                    "set arrow from screen %.6f, screen %.6f to screen %.6f, screen %.6f nohead lw 2.2 lc rgb '%s'\n",
                    x / LF_FIGURE_WIDTH, 1 - y / height, (x + LF_FIGURE_SAMPLE) / LF_FIGURE_WIDTH, 1 - y / height,
                    f->series[s].color);
        fprintf(out, "set label '' at screen %.6f, screen %.6f point pt %d ps 1 lc rgb '%s'\n",
                (x + LF_FIGURE_SAMPLE / 2.0) / LF_FIGURE_WIDTH, 1 - y / height, f->series[s].point, f->series[s].color);
        begin_text(out);
        const lf_label label = lf_series_label(f, s);
        lf_plot_text(out, label.text);
        end_text(out, x + LF_FIGURE_SAMPLE + 8, y, height, "left", 16, ink);
        named++;
    }
}

/* The last panel carries what all have in common: the x axis, the legend, the notes. */
static void write_shared(FILE *out, const lf_figure *f, int height) {
    const lf_notes notes = lf_notes_of(f);
    const double middle = (LF_FIGURE_LEFT + LF_FIGURE_WIDTH - LF_FIGURE_RIGHT) / 2.0;
    double y = lf_legend_top(f);
    fputs("set format x\n", out);
    axis_text(out, f->x_label, f->x_unit);
    end_text(out, middle, y - LF_FIGURE_LINE, height, "center", 16, ink);
    write_legend(out, f, height);
    y += lf_legend_of(f).rows * LF_FIGURE_LINE + LF_FIGURE_BELOW;
    for (int i = 0; i < notes.n; i++, y += LF_FIGURE_NOTE) {
        begin_text(out);
        lf_plot_text(out, notes.text[i]);
        end_text(out, LF_FIGURE_WIDTH / 2.0, y + LF_FIGURE_NOTE / 2.0, height, "center", 15, "#555555");
    }
}

/* The name stands above the line, at its right end, or where the axis has places between those of a quarter and a half,
 * where dots are not; beside an upright line at its foot. */
static void draw_level(FILE *out, const lf_figure *f, const lf_level *l, lf_range y) {
    static const char grey[] = "#555555";
    if (isfinite(l->band.low) && isfinite(l->band.high))
        fprintf(out,
                "set object rectangle from graph 0, first %.9g to graph 1, first %.9g behind fillstyle solid 0.12 "
                "noborder fillcolor rgb '%s'\n",
                fmax(l->band.low, y.low), fmin(l->band.high, y.high), ink);
    if (l->upright)
        fprintf(out, "set arrow from first %.9g, graph 0 to first %.9g, graph 1 nohead dt 3 lw 1.6 lc rgb '%s'\n",
                l->value, l->value, grey);
    else
        fprintf(out, "set arrow from graph 0, first %.9g to graph 1, first %.9g nohead dt 3 lw 1.6 lc rgb '%s'\n",
                l->value, l->value, grey);
    begin_text(out);
    lf_plot_text(out, l->label);
    if (l->upright)
        fprintf(out, "' at first %.9g, graph 0.04 left offset 0.5,0", l->value);
    else
        fprintf(out, "' at graph %s, first %.9g %s offset 0,0.5", f->n_places ? "0.385" : "0.99", l->value,
                f->n_places ? "center" : "right");
    fprintf(out, " font ',12' textcolor rgb '%s'\n", grey);
}

static void draw_levels(FILE *out, const lf_figure *f, int panel, lf_range y) {
    for (int i = 0; i < f->n_levels; i++)
        if ((f->levels[i].upright || f->levels[i].panel == panel) && lf_level_is_near(f, &f->levels[i]))
            draw_level(out, f, &f->levels[i], y);
}

/* Names of places on the x axis, below the last panel. */
static void place_tics(FILE *out, const lf_figure *f, bool named) {
    fputs("set xtics (", out);
    for (int i = 0; i < f->n_places; i++) {
        fputs(i ? ", '" : "'", out);
        if (named) lf_plot_text(out, f->places[i].name);
        fprintf(out, "' %.9g", f->places[i].x);
    }
    fputs(")\n", out);
}

static void panel_axes(FILE *out, const lf_figure *f, int panel, lf_range y, int height) {
    const lf_panel *p = &f->panels[panel];
    const int top = LF_FIGURE_TITLE + panel * (lf_panel_height(f) + LF_FIGURE_GAP), bottom = top + lf_panel_height(f);
    fprintf(out, "set tmargin at screen %.6f\nset bmargin at screen %.6f\n", 1 - (double)top / height,
            1 - (double)bottom / height);
    fputs("unset logscale y\nset ytics autofreq\n", out);
    if (y.log) lf_plot_log_axis(out, 'y', y.low, y.high);
    fprintf(out, "set yrange [%.9g:%.9g]\n", y.low, y.high);
    axis_text(out, p->label, p->unit);
    const int64_t letters = lf_letters(p->label) + lf_letters(p->unit) + 3;
    end_text(out, 16, (top + bottom) / 2.0, height, "center rotate by 90", letters > 30 ? (int)(16 * 30 / letters) : 16,
             ink);
    if (panel == f->n_panels - 1)
        write_shared(out, f, height);
    else
        fputs("set format x ''\n", out);
}

enum { MOST_COUNTS = 12 };

static bool write_panel(FILE *out, const lf_figure *f, int panel, lf_range x, int height) {
    const lf_range y = lf_y_range(f, panel);
    block *blocks = lf_calloc((size_t)f->n_series + 1, sizeof *blocks);
    int64_t n_marked[N_MARKS];
    bool ok = blocks;
    int n = 0;
    panel_axes(out, f, panel, y, height);
    draw_levels(out, f, panel, y);
    if (f->x_rates) rate_tics(out, f, x, panel == f->n_panels - 1);
    if (f->x_counts && x.high - x.low < MOST_COUNTS) fputs("set xtics 1\n", out); /* of more gnuplot's are whole */
    if (f->n_places) place_tics(out, f, panel == f->n_panels - 1);
    for (int64_t s = 0; ok && s < f->n_series; s++) blocks[s] = write_series(out, f, panel, s, x, y);
    for (int m = 0; ok && m < N_MARKS; m++) ok = (n_marked[m] = write_marks(out, f, panel, (mark)m, x, y)) >= 0;
    for (int64_t s = 0; ok && s < f->n_series && !f->bars; s++) plot_bands(out, f, panel, s, blocks[s], &n);
    for (int64_t s = 0; ok && s < f->n_series; s++) plot_series(out, f, panel, s, blocks[s], &n);
    for (int64_t s = 0; ok && s < f->n_series && f->bars; s++) plot_bands(out, f, panel, s, blocks[s], &n);
    for (int m = 0; ok && m < N_MARKS; m++) {
        if (!n_marked[m]) continue;
        between(out, &n);
        fprintf(out, "$%s%d using 1:2", marks[m].block, panel);
        if (m == MARK_DIVERGED)
            fprintf(out, ":3 with %s lc rgb variable notitle", marks[m].style);
        else
            fprintf(out, " with %s lc rgb '%s' notitle", marks[m].style, ink);
    }
    fputs(n ? "\nunset label\nunset arrow\nunset object\n" : "plot NaN notitle\n", out);
    lf_free(blocks);
    return ok;
}

bool lf_figure_script(FILE *out, const lf_figure *f) {
    int width, height;
    const lf_range x = lf_x_range(f);
    lf_figure_size(f, &width, &height);
    fprintf(out, "set multiplot\nset lmargin at screen %.6f\nset rmargin at screen %.6f\n",
            (double)LF_FIGURE_LEFT / width, 1 - (double)LF_FIGURE_RIGHT / width);
    begin_text(out);
    lf_plot_text(out, f->title);
    end_text(out, LF_FIGURE_WIDTH / 2.0, LF_FIGURE_TITLE / 2.0, height, "center", 19, ink);
    if (x.log && !f->x_rates) lf_plot_log_axis(out, 'x', x.low, x.high);
    /* Not "reverse": that turns only ranges that gnuplot finds itself. */
    fprintf(out, "set xrange [%.9g:%.9g]\n", f->x_reversed ? x.high : x.low, f->x_reversed ? x.low : x.high);
    bool ok = true;
    for (int panel = 0; ok && panel < f->n_panels; panel++) ok = write_panel(out, f, panel, x, height);
    fputs("unset multiplot\n", out);
    return ok;
}
