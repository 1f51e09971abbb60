/* What the pictures take from a summary. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "report/figure/pictures_internal.h"
#include "report/gather/start.h"

int lf_metric_index(const lf_summary *s, const char *name) {
    const lf_metric *m = s->from->yardstick->metrics;
    for (int i = 0; m[i].name && name; i++) {
        if (strcmp(m[i].name, name) != 0) continue;
        for (int64_t c = 0; c < s->n_cells; c++)
            if (s->cells[c].metrics[i].n > 0) return i;
    }
    return -1;
}

int lf_role_index(const lf_summary *s, lf_role role) {
    return lf_metric_index(s, lf_metric_in_role(s->from->yardstick, role)->name);
}

int lf_gain_index(const lf_summary *s) {
    const int eval = lf_role_index(s, LF_ROLE_GAIN);
    return eval >= 0 ? eval : lf_role_index(s, LF_ROLE_TEST_GAIN);
}

lf_panel lf_panel_of(const lf_summary *s, int metric) {
    const lf_metric *m = &s->from->yardstick->metrics[metric];
    const bool is_gain = m->role == LF_ROLE_GAIN || m->role == LF_ROLE_TEST_GAIN;
    return (lf_panel){m->name, m->label, m->unit, s->from->yardstick->log && is_gain};
}

bool lf_dot_of(lf_dot *d, const lf_summary *s, const lf_cell *c, int metric) {
    const lf_sample v = c->metrics[metric];
    const double scale = s->from->yardstick->metrics[metric].scale;
    *d = (lf_dot){.y = v.n ? scale * v.mean : NAN,
                  .x_band = LF_NO_BAND,
                  .y_band = lf_band_of(v, scale),
                  .n = v.n,
                  .n_diverged = c->n_diverged,
                  .best = c->best,
                  .front = c->front,
                  .front_of = s->groups[c->group].family,
                  .learning_rate = c->learning_rate};
    return isfinite(d->y) || c->n_diverged;
}

const lf_cell *lf_shown_cell(const lf_summary *s, const lf_cohort *g) {
    return g->best >= 0 ? &s->cells[g->best] : g->n_cells == 1 ? &s->cells[g->cells[0]] : NULL;
}

/* ---- names ---- */

static bool begins(const char *part, size_t n, const char *key) {
    const size_t k = strlen(key);
    return n > k && memcmp(part, key, k) == 0;
}

/* One "key value" of a group's name, as a legend has it: the method is known by its value, what is not set says
 * nothing, and what a start's title says stands there already. Returns how many bytes there are. */
static size_t label_part(const char **at, size_t n, const lf_cohort *g) {
    static const char *const known[] = {"init_lora_weights ", "method "};
    static const char none[] = " not set";
    const size_t unset = sizeof none - 1;
    const bool titled = lf_start_title(g->start) != NULL,
               placed = titled && (isfinite(lf_start_position(g->start)) || lf_start_varies(g->start));
    if (n > unset && memcmp(*at + n - unset, none, unset) == 0) return 0;
    if ((titled && begins(*at, n, known[0])) || (placed && begins(*at, n, "init_position "))) return 0;
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
        if (!begins(*at, n, known[k])) continue;
        *at += strlen(known[k]);
        return n - strlen(known[k]);
    }
    return n;
}

/* "PiSSA", "position 0.5 (middle)". */
static char *start_label(const lf_cohort *g) {
    const char *title = lf_start_title(g->start),
               *place = lf_start_own_curve(g->start) ? NULL : lf_start_place(lf_start_position(g->start));
    if (!title) return lf_strdup("");
    return place && strcmp(place, title) ? lf_format("%s (%s)", title, place) : lf_strdup(title);
}

static bool names_start(const lf_cohort *g) { return strstr(g->name, "init_") != NULL; }

char *lf_group_label(const lf_cohort *g) {
    char *label = names_start(g) ? start_label(g) : lf_strdup("");
    for (const char *at = g->name; label && *at;) {
        const char *comma = strstr(at, ", "), *part = at;
        const size_t n = comma ? (size_t)(comma - at) : strlen(at), shown = label_part(&part, n, g);
        char *longer = shown ? lf_format("%s%s%.*s", label, label[0] ? ", " : "", (int)shown, part) : NULL;
        if (shown) {
            lf_free(label);
            label = longer;
        }
        at = comma ? comma + 2 : at + n;
    }
    if (!label || label[0]) return label;
    lf_free(label);
    return lf_strdup(g->name);
}

int64_t lf_group_series(lf_figure *f, const lf_cohort *g) {
    char *label = lf_group_label(g);
    if (!label) f->failed = true;
    const int64_t series = label ? lf_figure_series(f, label) : 0;
    const double position = lf_start_position(g->start);
    if (isfinite(position) || lf_start_is_plain(g->start)) lf_figure_shade(f, series, position);
    lf_free(label);
    return series;
}

/* ---- what is known without the methods ---- */

/* A figure of the runs that is one number: that of a guess, or of the untouched base. */
static double mean_of(const lf_summary *s, const char *name) {
    double sum = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < s->from->n_runs; i++) {
        const double v = lf_run_number(&s->from->runs[i], name);
        sum += isfinite(v) ? v : 0;
        n += isfinite(v);
    }
    return n ? sum / (double)n : NAN;
}

void lf_chance_level(lf_figure *f, const lf_summary *s, int panel, bool upright) {
    const lf_yardstick *y = s->from->yardstick;
    const lf_metric *gain = &y->metrics[lf_gain_index(s)];
    if (s->families) return; /* each has another */
    lf_level level = {
        .panel = panel, .upright = upright, .value = gain->scale * mean_of(s, y->start), .band = LF_NO_BAND};
    snprintf(level.label, sizeof level.label, "%s", y->log ? "untouched base" : "chance");
    lf_figure_level(f, level);
}
