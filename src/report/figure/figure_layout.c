#include "report/figure/figure_layout.h"

#include <math.h>
#include <string.h>

enum { PANEL = 240, ONLY_PANEL = 340, X_AXIS = 78, NOTE_LETTERS = 74 };
static const double letter = 8.1; /* of the legend, in pixels: a guess on the safe side */

/* ---- legend and notes: how much room ---- */

bool lf_series_has_dots(const lf_figure *f, int64_t series) {
    for (int64_t i = 0; i < f->n_dots; i++)
        if (f->dots[i].series == series) return true;
    return false;
}

int64_t lf_letters(const char *text) {
    int64_t n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

/* Where the part of a name that begins at `at` ends: a comma within brackets (a list of modules) ends none. */
static const char *part_end(const char *at) {
    int depth = 0;
    for (; *at; at++) {
        if (strchr("[{", *at)) depth++;
        if (strchr("]}", *at)) depth--;
        if (depth <= 0 && at[0] == ',' && at[1] == ' ') break;
    }
    return at;
}

static bool has_part(const char *name, const char *part, size_t n) {
    for (const char *at = name, *end; *at; at = *end ? end + 2 : end) {
        end = part_end(at);
        if ((size_t)(end - at) == n && memcmp(at, part, n) == 0) return true;
    }
    return false;
}

static bool all_have_part(const lf_figure *f, const char *part, size_t n) {
    for (int64_t s = 0; s < f->n_series; s++)
        if (!has_part(f->series[s].label, part, n) && lf_series_has_dots(f, s)) return false;
    return true;
}

static const char *skip_letters(const char *text, int64_t n) {
    for (; n > 0 && *text; n--)
        for (text++; ((unsigned char)*text & 0xc0) == 0x80;) text++;
    return text;
}

static bool any_is_long(const lf_figure *f) {
    for (int64_t s = 0; s < f->n_series; s++)
        if (lf_letters(f->series[s].label) > LF_FIGURE_LETTERS && lf_series_has_dots(f, s)) return true;
    return false;
}

/* As much as there is room for; a character of several bytes is there whole or not at all. */
static void append(lf_label *l, const char *from, size_t n) {
    const size_t used = strlen(l->text), room = sizeof l->text - 1 - used;
    if (n > room) {
        n = room;
        while (n > 0 && ((unsigned char)from[n] & 0xc0) == 0x80) n--;
    }
    memcpy(l->text + used, from, n);
    l->text[used + n] = 0;
}

/* What tells series apart may stand anywhere, most often at the end: the middle goes. */
lf_label lf_label_of(const char *name) {
    enum { HEAD = LF_FIGURE_LETTERS / 2 - 1, TAIL = LF_FIGURE_LETTERS - HEAD - 1 };
    lf_label l = {""};
    const int64_t letters = lf_letters(name);
    if (letters <= LF_FIGURE_LETTERS) {
        append(&l, name, strlen(name));
        return l;
    }
    append(&l, name, (size_t)(skip_letters(name, HEAD) - name));
    append(&l, "…", strlen("…"));
    const char *tail = skip_letters(name, letters - TAIL);
    append(&l, tail, strlen(tail));
    return l;
}

/* Without the parts that all series have in common, where one of them is too long as a whole. */
lf_label lf_series_label(const lf_figure *f, int64_t series) {
    const char *name = f->series[series].label;
    if (!any_is_long(f)) return lf_label_of(name);
    char own[1000] = "";
    size_t used = 0;
    for (const char *at = name, *end; *at; at = *end ? end + 2 : end) {
        end = part_end(at);
        const size_t n = (size_t)(end - at);
        if (all_have_part(f, at, n)) continue;
        if (used + n + 3 > sizeof own) return lf_label_of(name);
        if (used) memcpy(own + used, ", ", 2);
        used += used ? 2 : 0;
        memcpy(own + used, at, n);
        own[used += n] = 0;
    }
    return lf_label_of(used ? own : name);
}

lf_legend lf_legend_of(const lf_figure *f) {
    lf_legend l = {.columns = 1};
    int64_t longest = 0;
    for (int64_t s = 0; s < f->n_series; s++) {
        if (!lf_series_has_dots(f, s)) continue;
        if (l.named == LF_FIGURE_SERIES) {
            l.unnamed++;
            continue;
        }
        l.named++;
        const lf_label label = lf_series_label(f, s);
        const int64_t n = lf_letters(label.text);
        if (n > longest) longest = n;
    }
    l.width = LF_FIGURE_SAMPLE + 20 + letter * (double)longest;
    l.columns = (int)((LF_FIGURE_WIDTH - 20) / l.width);
    if (l.columns < 1) l.columns = 1;
    if (l.columns > 5) l.columns = 5;
    if (l.columns > l.named && l.named) l.columns = (int)l.named;
    l.rows = (int)((l.named + l.columns - 1) / l.columns);
    return l;
}

static void add_note(lf_notes *n, const char *text) {
    char *last = n->n ? n->text[n->n - 1] : NULL;
    if (last && lf_letters(last) + 2 + lf_letters(text) <= NOTE_LETTERS)
        strcat(strcat(last, "; "), text);
    else if (n->n < 5)
        strcpy(n->text[n->n++], text);
}

static bool is_value_beside(const lf_figure *f, int64_t i, int64_t step) {
    const lf_dot *d = &f->dots[i];
    for (int64_t k = i + step;
         k >= 0 && k < f->n_dots && f->dots[k].panel == d->panel && f->dots[k].series == d->series; k += step)
        if (isfinite(f->dots[k].y)) return true;
    return false;
}

/* The band of a line; of a single dot, and where dots are not joined, it is a bar. */
static bool is_shaded(const lf_figure *f, int64_t i) {
    return f->joined && !f->sized && (is_value_beside(f, i, -1) || is_value_beside(f, i, 1));
}

lf_notes lf_notes_of(const lf_figure *f) {
    lf_notes n = {0};
    bool interval = false, extremes = false, shaded = false, bars = false, best = false, front = false,
         diverged = false, aside = false;
    for (int64_t i = 0; i < f->n_dots; i++) {
        const lf_dot *d = &f->dots[i];
        const bool band = isfinite(d->y_band.low) || isfinite(d->x_band.low);
        if (band && isfinite(d->y)) *(is_shaded(f, i) ? &shaded : &bars) = true;
        interval = interval || (band && (d->y_band.interval || d->x_band.interval));
        extremes = extremes || (band && !d->y_band.interval && !d->x_band.interval);
        best = best || (f->marks_best && d->best);
        front = front || (f->marks_front && d->front);
        diverged = diverged || d->n_diverged;
        aside = aside || d->aside;
    }
    const char *what = shaded && bars ? "shaded, bars" : shaded ? "shaded" : "bars";
    const char *draws = f->draws ? f->draws : "seeds", *two = strcmp(draws, "seeds") == 0 ? "seeds" : "runs";
    char text[96];
    if (interval && extremes)
        snprintf(text, sizeof text, "%s: 95 %% interval over %.20s (of two %s: least to most)", what, draws, two);
    else if (interval)
        snprintf(text, sizeof text, "%s: 95 %% interval of the mean over %.20s", what, draws);
    else
        snprintf(text, sizeof text, "%s: least to most of two %s", what, two);
    if (interval || extremes) add_note(&n, text);
    if (best) add_note(&n, "ring: best learning rate");
    if (f->sized) add_note(&n, "larger dot: higher learning rate");
    if (front) add_note(&n, "dashed: Pareto front");
    if (diverged) add_note(&n, "cross at the top: a run diverged");
    if (aside) add_note(&n, "small: passed by its own line");
    for (int i = 0; i < f->n_levels; i++) {
        const lf_level *l = &f->levels[i];
        const char *unit = l->upright ? f->x_unit : f->panels[l->panel].unit;
        if (lf_level_is_near(f, l)) continue;
        snprintf(text, sizeof text, "%.60s: %.3g%s%s", l->label, l->value, unit[0] ? " " : "", unit);
        add_note(&n, text);
    }
    const lf_legend l = lf_legend_of(f);
    snprintf(text, sizeof text, "not named here: %lld more, see the CSV", (long long)l.unnamed);
    if (l.unnamed) add_note(&n, text);
    return n;
}

int lf_panel_height(const lf_figure *f) { return f->n_panels == 1 ? ONLY_PANEL : PANEL; }

int lf_legend_top(const lf_figure *f) {
    return LF_FIGURE_TITLE + f->n_panels * lf_panel_height(f) + (f->n_panels - 1) * LF_FIGURE_GAP + X_AXIS;
}

void lf_figure_size(const lf_figure *f, int *width, int *height) {
    *width = LF_FIGURE_WIDTH;
    *height = lf_legend_top(f) + lf_legend_of(f).rows * LF_FIGURE_LINE + lf_notes_of(f).n * LF_FIGURE_NOTE +
              2 * LF_FIGURE_BELOW;
}

/* ---- ranges ---- */

static double to_axis(lf_range r, double v) { return r.log ? log10(v) : v; }
static double from_axis(lf_range r, double v) { return r.log ? pow(10, v) : v; }

static lf_range widened(lf_range r, double low, double high) {
    double a = to_axis(r, r.low), b = to_axis(r, r.high), span = b - a;
    if (!(span > 0)) span = r.log ? 0.1 : fmax(fabs(a) * 0.1, 1e-6);
    return (lf_range){from_axis(r, a - low * span), from_axis(r, b + high * span), r.log};
}

bool lf_fits(bool log, double v) { return fabs(v) < 1e300 && (!log || v > 1e-300); }

/* A line that is far from all that is drawn would press that together. */
static bool is_near(const lf_level *l, lf_range r) {
    const lf_range reach = widened(r, 0.35, 0.35);
    return lf_fits(r.log, l->value) && l->value >= reach.low && l->value <= reach.high;
}

static lf_range with_levels(const lf_figure *f, int panel, bool upright, lf_range r) {
    const lf_range of_dots = r;
    for (int i = 0; i < f->n_levels; i++) {
        const lf_level *l = &f->levels[i];
        if (l->upright != upright || (!upright && l->panel != panel) || !is_near(l, of_dots)) continue;
        r.low = fmin(r.low, l->value);
        r.high = fmax(r.high, l->value);
    }
    return r;
}

/* Of the values themselves, then of bands up to a third of that beyond. */
static lf_range values_range(const lf_figure *f, int panel, bool levels) {
    lf_range r = {INFINITY, -INFINITY, f->panels[panel].log};
    double low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < f->n_dots; i++) {
        const lf_dot *d = &f->dots[i];
        if (d->panel != panel || !lf_fits(r.log, d->y)) continue;
        r.low = fmin(r.low, d->y);
        r.high = fmax(r.high, d->y);
        if (lf_fits(r.log, d->y_band.low)) low = fmin(low, d->y_band.low);
        if (lf_fits(r.log, d->y_band.high)) high = fmax(high, d->y_band.high);
    }
    if (f->bars) {
        r.low = fmin(r.low, 0);
        r.high = fmax(r.high, 0);
    }
    if (!(r.low <= r.high)) return (lf_range){r.log ? 1 : 0, r.log ? 10 : 1, r.log};
    const lf_range most = widened(r, 0.35, 0.35);
    if (low < r.low) r.low = fmax(low, most.low);
    if (high > r.high) r.high = fmin(high, most.high);
    return levels ? widened(with_levels(f, panel, false, r), 0.06, 0.06) : r;
}

static lf_range x_values(const lf_figure *f) {
    lf_range r = {INFINITY, -INFINITY, f->x_log};
    for (int64_t i = 0; i < f->n_dots; i++) {
        if (!lf_fits(r.log, f->dots[i].x)) continue;
        r.low = fmin(r.low, f->dots[i].x);
        r.high = fmax(r.high, f->dots[i].x);
    }
    return r.low <= r.high ? r : (lf_range){r.log ? 1 : 0, r.log ? 10 : 1, r.log};
}

lf_range lf_x_range(const lf_figure *f) {
    const lf_range r = with_levels(f, 0, true, x_values(f));
    return f->bars ? (lf_range){r.low - 0.7, r.high + 0.7, false} : widened(r, 0.05, 0.05);
}

bool lf_level_is_near(const lf_figure *f, const lf_level *l) {
    return is_near(l, l->upright ? x_values(f) : values_range(f, l->panel, false));
}

/* ---- crosses of what diverged ---- */

static const double cross_height = 0.07; /* of the panel */
enum { MOST_CROSSES = 7 };               /* one above the other; the next stands where the last does */

/* How many dots of the panel before dot i diverged at its x. */
static int64_t crosses_before(const lf_figure *f, int64_t i) {
    int64_t n = 0;
    for (int64_t k = 0; k < i; k++)
        n += f->dots[k].panel == f->dots[i].panel && f->dots[k].n_diverged && f->dots[k].x == f->dots[i].x;
    return n < MOST_CROSSES ? n : MOST_CROSSES - 1;
}

lf_range lf_y_range(const lf_figure *f, int panel) {
    const lf_range r = values_range(f, panel, true);
    int64_t rows = 0;
    for (int64_t i = 0; i < f->n_dots; i++)
        if (f->dots[i].panel == panel && f->dots[i].n_diverged && crosses_before(f, i) >= rows)
            rows = crosses_before(f, i) + 1;
    const double share = cross_height * (double)rows;
    return rows ? widened(r, 0, share / (1 - share)) : r;
}

double lf_cross_y(const lf_figure *f, int64_t dot, lf_range y) {
    const double a = to_axis(y, y.low), b = to_axis(y, y.high);
    return from_axis(y, b - (b - a) * cross_height * ((double)crosses_before(f, dot) + 0.5));
}
