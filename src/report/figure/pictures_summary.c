/* What the pictures take from a summary. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "report/figure/pictures_internal.h"

int lf_metric_index(const lf_summary *s, const char *name) {
    const lf_metric *m = s->from->yardstick->metrics;
    for (int i = 0; m[i].name; i++) {
        if (strcmp(m[i].name, name) != 0) continue;
        for (int64_t c = 0; c < s->n_cells; c++)
            if (s->cells[c].metrics[i].n > 0) return i;
    }
    return -1;
}

int lf_gain_index(const lf_summary *s) {
    const lf_yardstick *y = s->from->yardstick;
    const int eval = lf_metric_index(s, lf_metric_in_role(y, LF_ROLE_GAIN)->name);
    return eval >= 0 ? eval : lf_metric_index(s, lf_metric_in_role(y, LF_ROLE_TEST_GAIN)->name);
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

/* One "key value" of a group's name, as a legend has it: the kind of start and the method are known by their values,
 * and what is not set says nothing. Returns how many bytes there are. */
static size_t label_part(const char **at, size_t n) {
    static const char *const known[] = {"init_lora_weights ", "method "};
    static const char none[] = " not set";
    const size_t unset = sizeof none - 1;
    if (n > unset && memcmp(*at + n - unset, none, unset) == 0) return 0;
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
        const size_t key = strlen(known[k]);
        if (n <= key || memcmp(*at, known[k], key) != 0) continue;
        *at += key;
        return n - key;
    }
    return n;
}

char *lf_group_label(const lf_cohort *g) {
    char *label = lf_malloc(strlen(g->name) + 1), *to = label;
    if (!label) return NULL;
    for (const char *at = g->name; *at;) {
        const char *comma = strstr(at, ", "), *part = at;
        const size_t n = comma ? (size_t)(comma - at) : strlen(at), shown = label_part(&part, n);
        if (shown && to > label) {
            memcpy(to, ", ", 2);
            to += 2;
        }
        memcpy(to, part, shown);
        to += shown;
        at = comma ? comma + 2 : at + n;
    }
    *to = 0;
    if (to == label) strcpy(label, g->name);
    return label;
}
