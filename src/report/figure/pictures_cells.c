/* Pictures of cells: a dot is the mean over seeds at one learning rate. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/number.h"
#include "config/config.h"
#include "plot/plot.h"
#include "report/figure/pictures_internal.h"
#include "report/gather/start.h"

/* Panels of the new task and of forgetting, as far as they were measured; returns which metrics those are. */
static int two_panels(int metrics[2], lf_figure *f, const lf_summary *s) {
    const int both[2] = {lf_gain_index(s), lf_role_index(s, LF_ROLE_COST)};
    int n = 0;
    for (int i = 0; i < 2; i++)
        if (both[i] >= 0) {
            f->panels[n] = lf_panel_of(s, both[i]);
            metrics[n++] = both[i];
        }
    return n;
}

/* How many different x stand in the dots, counted to two. */
static int distinct_x(const lf_figure *f) {
    for (int64_t i = 1; i < f->n_dots; i++)
        if (f->dots[i].x != f->dots[0].x) return 2;
    return f->n_dots > 0;
}

static bool any_group_chose(const lf_summary *s) {
    for (int64_t g = 0; g < s->n_groups; g++)
        if (s->groups[g].best >= 0 && s->groups[g].n_cells > 1) return true;
    return false;
}

/* ---- over the learning rate ---- */

lf_status lf_fill_rate(lf_figure *f, const lf_summary *s, lf_err *err) {
    (void)err;
    int metrics[2];
    const int n = two_panels(metrics, f, s);
    f->x_key = f->x_label = "learning_rate";
    f->x_label = "learning rate";
    f->x_unit = "";
    f->x_log = f->x_rates = f->joined = true;
    f->marks_best = any_group_chose(s);
    for (int64_t g = 0; g < s->n_groups; g++) lf_group_series(f, &s->groups[g]);
    for (int p = 0; p < n && !f->failed; p++)
        for (int64_t g = 0; g < s->n_groups; g++)
            for (int64_t i = 0; i < s->groups[g].n_cells; i++) {
                const lf_cell *c = &s->cells[s->groups[g].cells[i]];
                lf_dot d;
                if (!(c->learning_rate > 0) || !lf_dot_of(&d, s, c, metrics[p])) continue;
                d.panel = p;
                d.series = g;
                d.x = c->learning_rate;
                d.learning_rate = NAN;
                lf_figure_dot(f, &d);
            }
    f->n_panels = distinct_x(f) > 1 ? n : 0;
    return LF_OK;
}

/* ---- over the position of the components ---- */

/* What distinguishes lines of one learning rate: every swept key that tells methods apart but those that say where the
 * adapter starts, and the name of a start that is no mere block at another position. */
static char *family_of(const lf_summary *s, const lf_cohort *g) {
    const lf_gathered *from = s->from;
    const cJSON *config = from->runs[s->cells[g->cells[0]].runs[0]].config;
    const char *own = lf_start_own_curve(g->start);
    char *name = own ? lf_format("%s, ", own) : lf_strdup("");
    for (int64_t k = 0; name && k < from->n_swept; k++) {
        const char *key = from->swept[k];
        if (!lf_is_method_key(key) || (lf_key_traits(key) & LF_IS_START)) continue;
        char value[200];
        lf_value_text(value, sizeof value, cJSON_GetObjectItemCaseSensitive(config, key));
        char *longer = lf_format("%s%s %s, ", name, key, value);
        lf_free(name);
        name = longer;
    }
    return name;
}

static int64_t line_series(lf_figure *f, const lf_summary *s, const lf_cohort *g, double rate) {
    char *family = family_of(s, g), value[40];
    lf_number_rate(value, sizeof value, rate, LF_SETTING_DIGITS);
    char *label = family ? lf_format("%slearning rate %s", family, value) : NULL;
    int64_t series = -1;
    for (int64_t i = 0; label && i < f->n_series && series < 0; i++)
        if (strcmp(f->series[i].label, label) == 0) series = i;
    if (!label)
        f->failed = true;
    else if (series < 0)
        series = lf_figure_series(f, label);
    lf_free(label);
    lf_free(family);
    return series;
}

/* Series in the order of the learning rate, so that colours and legend follow it. */
static void series_by_rate(lf_figure *f, const lf_summary *s) {
    for (double last = 0, next; !f->failed; last = next) {
        next = INFINITY;
        for (int64_t i = 0; i < s->n_cells; i++)
            if (s->cells[i].learning_rate > last && s->cells[i].learning_rate < next) next = s->cells[i].learning_rate;
        if (!isfinite(next)) return;
        for (int64_t i = 0; i < s->n_cells && !f->failed; i++)
            if (s->cells[i].learning_rate == next && isfinite(lf_start_position(s->groups[s->cells[i].group].start)))
                line_series(f, s, &s->groups[s->cells[i].group], next);
    }
}

/* Plain LoRA has no position: a line across, at its own best rate. */
static void plain_level(lf_figure *f, const lf_summary *s, int panel, int metric) {
    const lf_cohort *g = NULL;
    lf_dot d;
    for (int64_t i = 0; i < s->n_groups && !s->families; i++)
        if (lf_start_is_plain(s->groups[i].start) && s->groups[i].baseline == i) g = &s->groups[i];
    const lf_cell *c = g ? lf_shown_cell(s, g) : NULL;
    if (!c || !lf_dot_of(&d, s, c, metric)) return;
    lf_level level = {.panel = panel, .value = d.y, .band = d.y_band};
    char rate[40];
    lf_number_rate(rate, sizeof rate, c->learning_rate, LF_SETTING_DIGITS);
    snprintf(level.label, sizeof level.label, g->n_cells > 1 ? "plain LoRA, %s" : "plain LoRA", rate);
    lf_figure_level(f, level);
}

/* What has a name first; then those that there is room for. */
static void add_place(lf_figure *f, double x) {
    const double room = 0.085; /* for "0.25" */
    const char *name = lf_start_place(x);
    double nearest = INFINITY;
    for (int i = 0; i < f->n_places; i++) {
        const double away = fabs(f->places[i].x - x);
        nearest = fmin(nearest, lf_start_place(f->places[i].x) ? away : 2 * away); /* names are longer */
    }
    if (f->n_places == LF_MAX_PLACES || nearest < room) return;
    lf_named_place *p = &f->places[f->n_places++];
    p->x = x;
    snprintf(p->name, sizeof p->name, name ? "%.3g (%s)" : "%.3g", x, name);
}

static void name_places(lf_figure *f) {
    for (int named = 1; named >= 0; named--)
        for (int64_t i = 0; i < f->n_dots; i++)
            if ((lf_start_place(f->dots[i].x) != NULL) == named) add_place(f, f->dots[i].x);
}

lf_status lf_fill_position(lf_figure *f, const lf_summary *s, lf_err *err) {
    (void)err;
    int metrics[2];
    const int n = two_panels(metrics, f, s);
    f->x_key = "init_position";
    f->x_label = "position of the components";
    f->x_unit = "0 largest, 1 smallest";
    f->joined = true;
    f->marks_best = any_group_chose(s);
    series_by_rate(f, s);
    for (int p = 0; p < n && !f->failed; p++)
        for (int64_t i = 0; i < s->n_cells && !f->failed; i++) {
            const lf_cell *c = &s->cells[i];
            const lf_cohort *g = &s->groups[c->group];
            const double position = lf_start_position(g->start);
            lf_dot d;
            if (!isfinite(position) || !(c->learning_rate > 0) || !lf_dot_of(&d, s, c, metrics[p])) continue;
            d.panel = p;
            d.series = line_series(f, s, g, c->learning_rate);
            d.x = position;
            lf_figure_dot(f, &d);
        }
    lf_figure_sort(f);
    name_places(f);
    for (int p = 0; p < n; p++) {
        plain_level(f, s, p, metrics[p]);
        if (metrics[p] == lf_gain_index(s)) lf_chance_level(f, s, p, false);
    }
    f->n_panels = distinct_x(f) > 1 ? n : 0;
    return LF_OK;
}

/* ---- gain against retention ---- */

static bool passes(const lf_figure *f, const lf_dot *a, const lf_dot *b) {
    const double gain = f->x_reversed ? b->x - a->x : a->x - b->x;
    return gain >= 0 && a->y >= b->y && (gain > 0 || a->y > b->y);
}

/* A line goes along what is best of its method; the other rates stand beside it. */
static void set_aside(lf_figure *f) {
    for (int64_t i = 0; i < f->n_dots; i++)
        for (int64_t k = 0; k < f->n_dots && !f->dots[i].aside; k++)
            f->dots[i].aside = f->dots[k].series == f->dots[i].series && passes(f, &f->dots[k], &f->dots[i]);
    lf_figure_sort(f);
}

lf_status lf_fill_tradeoff(lf_figure *f, const lf_summary *s, lf_err *err) {
    (void)err;
    const int gain = lf_gain_index(s), kept = lf_role_index(s, LF_ROLE_KEPT);
    if (gain < 0 || kept < 0) return LF_OK;
    const lf_panel x = lf_panel_of(s, gain);
    f->x_key = x.key;
    f->x_label = x.label;
    f->x_unit = x.unit;
    f->x_log = x.log;
    f->x_reversed = s->from->yardstick->metrics[gain].better == LF_LESS_IS_BETTER; /* right is better here too */
    f->joined = f->sized = f->marks_front = true;
    f->marks_best = any_group_chose(s);
    f->panels[0] = lf_panel_of(s, kept);
    for (int64_t g = 0; g < s->n_groups; g++) lf_group_series(f, &s->groups[g]);
    for (int64_t g = 0; g < s->n_groups && !f->failed; g++)
        for (int64_t i = 0; i < s->groups[g].n_cells; i++) {
            const lf_cell *c = &s->cells[s->groups[g].cells[i]];
            lf_dot d, across;
            if (!lf_dot_of(&d, s, c, kept) || !lf_dot_of(&across, s, c, gain) || !isfinite(d.y) || !isfinite(across.y))
                continue;
            d.series = g;
            d.x = across.y;
            d.x_band = across.y_band;
            d.n_diverged = 0; /* that stands in the picture of learning rates */
            lf_figure_dot(f, &d);
        }
    set_aside(f);
    lf_chance_level(f, s, 0, true);
    lf_figure_level(f, (lf_level){.value = 100, .band = LF_NO_BAND, .label = "untouched base"});
    f->n_panels = f->n_dots > 1;
    return LF_OK;
}
