/* Pictures of `spectrum`: the singular values of each kind of module over its layers, and the map |U^T dW V|. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "plot/plot.h"
#include "tools/spectrum.h"

/* ---- kinds of modules ---- */

/* What follows the layer number; of a module outside of layers, its whole name. */
static const char *kind_of(const lf_spectrum_row *row) {
    int64_t layer;
    size_t begin, end;
    return lf_layer_number(row->m->name, &layer, &begin, &end) ? row->m->name + end + 1 : row->m->name;
}

static bool same_kind(const lf_spectrum_row *a, const lf_spectrum_row *b) {
    return a->n == b->n && strcmp(kind_of(a), kind_of(b)) == 0;
}

static bool is_first_of_kind(const lf_spectra *s, int64_t i) {
    for (int64_t j = 0; j < i; j++)
        if (same_kind(&s->rows[j], &s->rows[i])) return false;
    return true;
}

/* ---- spectrum.svg ---- */

enum { MOST_POINTS = 512 };         /* of a curve: more than the picture can show; all are in singular-values.csv */
static const double DEEPEST = 1e-8; /* of the largest: what is below is rounding */

typedef struct band {
    double low, median, high;
} band;

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of component k over the layers of row i's kind; `values` has room for all. Returns how many layers there are. */
static int64_t over_layers(const lf_spectra *s, int64_t i, int64_t k, double *values, band *b) {
    int64_t n = 0;
    for (int64_t j = i; j < s->match.count; j++)
        if (same_kind(&s->rows[j], &s->rows[i])) values[n++] = s->rows[j].sigma[k];
    qsort(values, (size_t)n, sizeof *values, by_value);
    *b = (band){values[0], n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2, values[n - 1]};
    return n;
}

/* The width of the x axis: all have as many components, and these are counted; else 1, and places are shares. */
static double axis_length(const lf_spectra *s) {
    for (int64_t i = 1; i < s->match.count; i++)
        if (s->rows[i].n != s->rows[0].n) return 1;
    return (double)s->rows[0].n;
}

static void axes(const lf_spectra *s, FILE *f, double length) {
    double high = 0, low = INFINITY;
    for (int64_t i = 0; i < s->match.count; i++) high = fmax(high, s->rows[i].sigma[0]);
    for (int64_t i = 0; i < s->match.count; i++)
        for (int64_t k = 0; k < s->rows[i].n; k++)
            if (s->rows[i].sigma[k] > DEEPEST * high) low = fmin(low, s->rows[i].sigma[k]);
    if (!(high > 0)) low = high = 1; /* weights of zeros */
    low /= 1.1;
    high *= 1.1;
    lf_plot_log_axis(f, 'y', low, high);
    fprintf(f, "set yrange [%.9g:%.9g]\nset ylabel 'singular value'\nset xrange [0:%.9g]\n", low, high, length);
    if (length > 1)
        fprintf(f, "set xlabel 'component, of %.0f'\n", length);
    else
        fputs("set xlabel 'place in the spectrum (component / their number)'\n", f);
    fputs("set key below maxcols 3 samplen 2 reverse Left\n", f);
}

static const char CHOSEN[] = "#f6e3ad";

/* Where init_lora_weights takes its block, if it does: the same share of the axis in all modules, but for positions by
 * energy, of which the whole range is marked. */
static bool mark_chosen(const lf_spectra *s, FILE *f, double length) {
    double from = INFINITY, to = -INFINITY;
    for (int64_t i = 0; i < s->match.count; i++) {
        const lf_spectrum_row *row = &s->rows[i];
        if (row->start_chosen < 0) continue;
        from = fmin(from, (double)row->start_chosen / (double)row->n * length);
        to = fmax(to, (double)(row->start_chosen + row->r) / (double)row->n * length);
    }
    if (!(from < to)) return false;
    fprintf(
        f,
        "set object 1 rectangle from first %.9g, graph 0 to first %.9g, graph 1 behind fc rgb '%s' fs solid noborder\n",
        from, to, CHOSEN);
    return true;
}

/* "$kind" with x, median, low, high. */
static void points(const lf_spectra *s, FILE *f, int64_t i, double length, double *values) {
    const int64_t n = s->rows[i].n, shown = n < MOST_POINTS ? n : MOST_POINTS;
    fprintf(f, "$kind%lld << END\n", (long long)i);
    for (int64_t p = 0; p < shown; p++) {
        const int64_t k = shown > 1 ? p * (n - 1) / (shown - 1) : 0;
        band b;
        over_layers(s, i, k, values, &b);
        fprintf(f, "%.6g %.6g %.6g %.6g\n", ((double)k + 0.5) / (double)n * length, b.median, b.low, b.high);
    }
    fputs("END\n", f);
}

static int64_t layers_of(const lf_spectra *s, int64_t i) {
    int64_t n = 0;
    for (int64_t j = i; j < s->match.count; j++) n += same_kind(&s->rows[j], &s->rows[i]);
    return n;
}

static void curves(const lf_spectra *s, FILE *f, bool chosen) {
    const char *between = "plot ";
    if (chosen) { /* for its line in the key */
        fprintf(f, "%sNaN with boxes fs solid noborder lc rgb '%s' title 'block of ", between, CHOSEN);
        lf_plot_text(f, s->o.init);
        fputc('\'', f);
        between = ", \\\n     ";
    }
    int64_t color = 0;
    for (int64_t i = 0; i < s->match.count; i++) {
        if (!is_first_of_kind(s, i)) continue;
        if (layers_of(s, i) > 1) {
            fprintf(f,
                    "%s$kind%lld using 1:3:4 with filledcurves fs transparent solid 0.15 noborder lc rgb '%s' notitle",
                    between, (long long)i, lf_plot_color(color));
            between = ", \\\n     ";
        }
        fprintf(f, "%s$kind%lld using 1:2 with lines lw 2 lc rgb '%s' title '", between, (long long)i,
                lf_plot_color(color++));
        lf_plot_text(f, kind_of(&s->rows[i]));
        fputc('\'', f);
        between = ", \\\n     ";
    }
    fputc('\n', f);
}

static lf_status draw_spectrum(lf_spectra *s, lf_err *err) {
    lf_atomic_file a;
    double *values = lf_malloc((size_t)s->match.count * sizeof *values);
    if (!values) return lf_no_memory(err, "the picture of %lld modules", (long long)s->match.count);
    lf_status rc = lf_plot_open(&a, s->dir, "spectrum", 800, 560, err);
    if (!rc) {
        const double length = axis_length(s);
        axes(s, a.f, length);
        const bool chosen = mark_chosen(s, a.f, length);
        for (int64_t i = 0; i < s->match.count; i++)
            if (is_first_of_kind(s, i)) points(s, a.f, i, length, values);
        fputs("set title 'singular values: median over layers, and their range'\n", a.f);
        curves(s, a.f, chosen);
        rc = lf_plot_draw(&a, s->dir, "spectrum", &s->drawn, err);
    }
    lf_atomic_abort(&a);
    lf_free(values);
    return rc;
}

/* ---- update-map.svg ---- */

typedef struct map {
    const lf_spectrum_row *of; /* a module of the shape that is shown */
    int64_t modules, m;        /* cells [m,m] */
    double *cells;             /* mean over the modules */
    double high;
} map;

static bool same_shape(const lf_spectrum_row *a, const lf_spectrum_row *b) {
    return a->m->out == b->m->out && a->m->in == b->m->in;
}

static double squares_of_shape(const lf_spectra *s, const lf_spectrum_row *of) {
    double sum = 0;
    for (int64_t i = 0; i < s->match.count; i++)
        if (s->rows[i].update_rank && same_shape(&s->rows[i], of))
            sum += s->rows[i].update.norm * s->rows[i].update.norm;
    return sum;
}

/* The shape whose updates hold most of what all of them do, by the sum of |dW|_F^2. */
static lf_status make_map(const lf_spectra *s, map *out, lf_err *err) {
    double most = -1;
    for (int64_t i = 0; i < s->match.count; i++) {
        const double sum = s->rows[i].update_rank ? squares_of_shape(s, &s->rows[i]) : -1;
        if (sum > most) *out = (map){.of = &s->rows[i]}, most = sum;
    }
    out->m = lf_map_cells(out->of->n);
    out->cells = lf_calloc((size_t)(out->m * out->m), sizeof *out->cells);
    if (!out->cells) return lf_no_memory(err, "the map of updates");
    for (int64_t i = 0; i < s->match.count; i++) {
        if (!s->rows[i].update_rank || !same_shape(&s->rows[i], out->of)) continue;
        for (int64_t c = 0; c < out->m * out->m; c++) out->cells[c] += s->rows[i].cells[c];
        out->modules++;
    }
    for (int64_t c = 0; c < out->m * out->m; c++) {
        out->cells[c] /= (double)out->modules;
        out->high = fmax(out->high, out->cells[c]);
    }
    return LF_OK;
}

/* First component of cell c, of m over n. */
static int64_t cell_begin(const map *p, int64_t c) { return (c * p->of->n + p->m - 1) / p->m; }

static lf_status write_map(const lf_spectra *s, const map *p, lf_err *err) {
    lf_atomic_file a;
    lf_status rc = lf_atomic_open_in(&a, s->dir, "update-map.csv", err);
    if (!rc) {
        fputs("left_first,left_last,right_first,right_last,mean_abs\n", a.f);
        for (int64_t i = 0; i < p->m; i++)
            for (int64_t j = 0; j < p->m; j++)
                fprintf(a.f, "%lld,%lld,%lld,%lld,%.9g\n", (long long)cell_begin(p, i),
                        (long long)cell_begin(p, i + 1) - 1, (long long)cell_begin(p, j),
                        (long long)cell_begin(p, j + 1) - 1, p->cells[i * p->m + j]);
        rc = lf_atomic_commit(&a, err);
    }
    lf_atomic_abort(&a);
    return rc;
}

/* Colours over at most four decades; what is below has the colour of the lowest. */
static void map_script(const lf_spectra *s, const map *p, FILE *f) {
    const double n = (double)p->of->n, width = n / (double)p->m, floor_of = p->high * 1e-4;
    double low = p->high;
    for (int64_t c = 0; c < p->m * p->m; c++) low = fmin(low, p->cells[c]);
    low = fmax(low, floor_of);
    if (!(low < p->high)) low = p->high / 10;
    fprintf(f, "set title 'mean |u_i^T dW v_j| over %lld module%s of shape [%lld, %lld]' noenhanced\n",
            (long long)p->modules, p->modules == 1 ? "" : "s", (long long)p->of->m->out, (long long)p->of->m->in);
    fprintf(f,
            "set xlabel 'right singular vector j'\nset ylabel 'left singular vector i'\nset xrange [0:%.0f]\nset "
            "yrange [%.0f:0]\n",
            n, n);
    fprintf(
        f,
        "unset grid\nset border 15\nset size square\nset logscale cb\nset cbrange [%.9g:%.9g]\nset format cb '%%.0e'\n",
        low, p->high);
    fputs("set palette defined (0 '#ffffff', 1 '#cfe1f2', 2 '#7fb2d9', 3 '#2f6ea8', 4 '#0a2f5c')\n", f);
    if (p->of->start_chosen >= 0 && s->o.position.kind != LF_POSITION_ENERGY)
        fprintf(f,
                "set object 1 rectangle from first %lld, %lld to first %lld, %lld front fs empty border lc rgb "
                "'#d1571b' lw 1.5\n",
                (long long)p->of->start_chosen, (long long)p->of->start_chosen,
                (long long)(p->of->start_chosen + p->of->r), (long long)(p->of->start_chosen + p->of->r));
    fputs("$map << END\n", f);
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->m; j++)
            fprintf(f, "%.6g%c", fmax(p->cells[i * p->m + j], low), j + 1 < p->m ? ' ' : '\n');
    fprintf(f, "END\nplot $map matrix using (($1 + 0.5) * %.9g):(($2 + 0.5) * %.9g):3 with image pixels notitle\n",
            width, width);
}

static lf_status remove_map(const lf_spectra *s, lf_err *err) {
    static const char *const names[] = {"update-map.csv", "update-map.gp", "update-map.svg"};
    lf_status rc = LF_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names && !rc; i++) {
        rc = lf_remove_in(s->dir, names[i], err);
    }
    return rc;
}

static lf_status draw_map(lf_spectra *s, lf_err *err) {
    lf_atomic_file a = {0};
    map p = {0};
    lf_status rc = remove_map(s, err); /* of an earlier call: the adapter may be another, or none */
    if (rc || !s->adapted || (rc = make_map(s, &p, err)) || (rc = write_map(s, &p, err))) goto out;
    if (!(p.high > 0)) {
        lf_warn("no picture of the update: the adapter changes nothing of what the singular vectors reach");
        goto out;
    }
    if ((rc = lf_plot_open(&a, s->dir, "update-map", 720, 620, err))) goto out;
    map_script(s, &p, a.f);
    rc = lf_plot_draw(&a, s->dir, "update-map", &s->map_drawn, err);
out:
    lf_atomic_abort(&a);
    lf_free(p.cells);
    return rc;
}

lf_status lf_spectra_pictures(lf_spectra *s, lf_err *err) {
    lf_status rc;
    if ((rc = draw_spectrum(s, err)) || (rc = draw_map(s, err))) return rc;
    if (!s->drawn) lf_plot_say_how(s->dir, s->adapted ? "spectrum.gp update-map.gp" : "spectrum.gp");
    return LF_OK;
}
