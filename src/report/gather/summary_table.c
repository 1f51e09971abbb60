/* The summary for a terminal. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cells.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/plain.h"
#include "base/terminal.h"
#include "report/gather/makers.h"
#include "report/gather/summary_internal.h"

enum { MOST_COMPARED = 4 }; /* figures that have columns of their own, and others against the baseline */
enum {
    METHOD,
    RATE,
    SEEDS,
    GAIN,
    COST,
    KEPT,
    COMPARED,
    MATCHED = COMPARED + MOST_COMPARED,
    VOLUME,
    GAIN_AGAINST,
    COST_AGAINST,
    COMPARED_AGAINST,
    N_COLUMNS = COMPARED_AGAINST + MOST_COMPARED
};

typedef struct line {
    char cells[N_COLUMNS][48];
    const char *method; /* in place of its cell: as long as it is */
} line;

static const lf_metric *in_role(const lf_summary *s, lf_role role) {
    return lf_metric_in_role(s->from->yardstick, role);
}

/* Two decimals of a share or points; else four digits. */
static void number(char *text, size_t size, double x, double scale, bool with_sign) {
    text[0] = 0;
    if (isfinite(x))
        snprintf(text, size, with_sign ? (scale != 1 ? "%+.2f" : "%+.4g") : scale != 1 ? "%.2f" : "%.4g", scale * x);
}

static void sample(char *text, size_t size, lf_sample v, double scale, bool with_sign) {
    number(text, size, v.mean, scale, with_sign);
    const lf_band b = lf_band_of(v, scale);
    const size_t used = strlen(text);
    if (!used || !isfinite(b.low)) return;
    if (b.interval)
        snprintf(text + used, size - used, scale != 1 ? " ± %.2f" : " ± %.2g", (b.high - b.low) / 2);
    else
        snprintf(text + used, size - used, scale != 1 ? " (%.2f to %.2f)" : " (%.4g to %.4g)", b.low, b.high);
}

static lf_sample sample_of(const lf_summary *s, const lf_cell *c, const lf_metric *m) {
    return c->metrics[m - s->from->yardstick->metrics];
}

/* The k-th figure that is compared; NULL: there are not so many. */
static const lf_metric *compared(const lf_summary *s, int k) {
    const lf_metric *m = s->from->yardstick->metrics;
    while (m->name && (m->role != LF_ROLE_COMPARED || k-- > 0)) m++;
    return m->name ? m : NULL;
}

static void fill_compared(line *l, const lf_summary *s, const lf_cohort *g, const lf_cell *c, bool first_of_group) {
    enum { SIZE = sizeof l->cells[0] };
    const lf_metric *m;
    for (int k = 0; k < MOST_COMPARED && (m = compared(s, k)); k++) {
        sample(l->cells[COMPARED + k], SIZE, sample_of(s, c, m), m->scale, false);
        if (first_of_group)
            sample(l->cells[COMPARED_AGAINST + k], SIZE, g->compared[m - s->from->yardstick->metrics], m->scale, true);
    }
}

static void fill(line *l, const lf_summary *s, const lf_cohort *g, const lf_cell *c, bool first_of_group) {
    enum { SIZE = sizeof l->cells[0] };
    const double gain_scale = s->from->yardstick->difference_scale;
    const lf_metric *gain = lf_gain_metric(s), *cost = in_role(s, LF_ROLE_COST), *kept = in_role(s, LF_ROLE_KEPT);
    l->method = first_of_group ? g->name : "";
    lf_number_rate(l->cells[RATE], SIZE, c->learning_rate, LF_SETTING_DIGITS);
    snprintf(l->cells[SEEDS], SIZE, "%lld", (long long)c->n_done);
    if (c->n_done < c->n_runs)
        snprintf(l->cells[SEEDS], SIZE, "%lld of %lld", (long long)c->n_done, (long long)c->n_runs);
    if (lf_any_made_otherwise(s->from, c->runs, c->n_runs)) strcat(l->cells[SEEDS], "*");
    sample(l->cells[GAIN], SIZE, sample_of(s, c, gain), gain->scale, false);
    sample(l->cells[COST], SIZE, sample_of(s, c, cost), cost->scale, false);
    sample(l->cells[KEPT], SIZE, sample_of(s, c, kept), kept->scale, false);
    fill_compared(l, s, g, c, first_of_group);
    if (!first_of_group) return;
    number(l->cells[MATCHED], SIZE, g->matched_cost, cost->scale, false);
    number(l->cells[VOLUME], SIZE, g->hypervolume, 1, false);
    sample(l->cells[GAIN_AGAINST], SIZE, g->differences[LF_DIFFERS_GAIN], gain_scale, true);
    sample(l->cells[COST_AGAINST], SIZE, g->differences[LF_DIFFERS_MATCHED], cost->scale, true);
}

static void fill_head(line *l, const lf_summary *s) {
    enum { SIZE = sizeof l->cells[0] };
    const lf_yardstick *y = s->from->yardstick;
    const lf_metric *gain = lf_gain_metric(s), *cost = in_role(s, LF_ROLE_COST), *kept = in_role(s, LF_ROLE_KEPT);
    l->method = "method";
    snprintf(l->cells[RATE], SIZE, "learning rate");
    snprintf(l->cells[SEEDS], SIZE, "runs");
    snprintf(l->cells[GAIN], SIZE, "%s%s%s", gain->label, gain->unit[0] ? ", " : "", gain->unit);
    snprintf(l->cells[COST], SIZE, "%s, %s", cost->label, cost->unit);
    snprintf(l->cells[KEPT], SIZE, "%s, %s", kept->label, kept->unit);
    const double matched = s->groups[0].matched_gain; /* of all, where there is one family */
    if (s->families)
        snprintf(l->cells[MATCHED], SIZE, "%s at matched gain", cost->label);
    else
        snprintf(l->cells[MATCHED], SIZE, y->matched, cost->label, lf_gain_shown(y, matched));
    const lf_metric *m;
    for (int k = 0; k < MOST_COMPARED && (m = compared(s, k)); k++) {
        snprintf(l->cells[COMPARED + k], SIZE, "%s%s%s", m->label, m->unit[0] ? ", " : "", m->unit);
        snprintf(l->cells[COMPARED_AGAINST + k], SIZE, "%s against baseline", m->label);
    }
    snprintf(l->cells[VOLUME], SIZE, "hypervolume");
    snprintf(l->cells[GAIN_AGAINST], SIZE, "gain against baseline, %s", y->difference_unit);
    snprintf(l->cells[COST_AGAINST], SIZE, "%s at equal gain against it", cost->label);
}

static void print_lines(const line *lines, int64_t n, FILE *out) {
    lf_cells t = lf_cells_new(N_COLUMNS, LF_CELLS_HEAD);
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < N_COLUMNS; c++) lf_cells_put(&t, "%s", c == METHOD ? lines[i].method : lines[i].cells[c]);
    lf_cells_print(&t, out);
}

static bool is_shown(const lf_cohort *g, int64_t cell) { return g->best < 0 || g->best == cell; }

static void print_groups(const lf_summary *s, FILE *out) {
    line *lines = lf_calloc((size_t)s->n_cells + 1, sizeof *lines);
    if (!lines) {
        fputs("(no memory for the table of methods)\n", out);
        return;
    }
    int64_t n = 0;
    fill_head(&lines[n++], s);
    for (int64_t i = 0; i < s->n_groups; i++) {
        const lf_cohort *g = &s->groups[i];
        for (int64_t k = 0; k < g->n_cells; k++)
            if (is_shown(g, g->cells[k])) fill(&lines[n++], s, g, &s->cells[g->cells[k]], g->best >= 0 || k == 0);
    }
    print_lines(lines, n, out);
    lf_free(lines);
}

/* How the lines came about, where it is not plain to see. */
static void print_notes(const lf_summary *s, FILE *out) {
    bool chosen = false, not_done = false, not_judged = false, intervals = false, extremes = false, against = false;
    for (int64_t i = 0; i < s->n_groups; i++) {
        const lf_cohort *g = &s->groups[i];
        chosen = chosen || (g->best >= 0 && g->n_cells > 1);
        not_done = not_done || lf_why_unchosen(s, g) == LF_NOT_DONE;
        not_judged = not_judged || lf_why_unchosen(s, g) == LF_NOT_JUDGED;
        against = against || isfinite(g->differences[LF_DIFFERS_GAIN].mean) ||
                  isfinite(g->differences[LF_DIFFERS_MATCHED].mean);
        intervals = intervals || g->differences[LF_DIFFERS_GAIN].n > 2;
        extremes = extremes || g->differences[LF_DIFFERS_GAIN].n == 2;
        for (int64_t k = 0; k < g->n_cells; k++) {
            const lf_sample v = sample_of(s, &s->cells[g->cells[k]], lf_gain_metric(s));
            intervals = intervals || (is_shown(g, g->cells[k]) && v.n > 2);
            extremes = extremes || (is_shown(g, g->cells[k]) && v.n == 2);
        }
    }
    const lf_draw_words w = lf_draw_words_of(s->from);
    if (intervals) fprintf(out, "± half of the 95 %% t interval over %s%s", w.many, extremes ? "; " : "\n");
    if (extremes) fprintf(out, "in brackets, of two %s, least to most\n", w.counted_many);
    if (chosen)
        fprintf(out,
                "each method at its best learning rate on evaluation data%s, among those at which every run is done\n",
                s->by_forgetting ? " and on data of the base's task that choose only" : "");
    if (not_done)
        fputs("where there is no learning rate at which every run is done, none was chosen, and all are shown\n", out);
    if (not_judged)
        fprintf(out,
                "%sno evaluation data, so no learning rate was chosen and all are shown: a choice by test data would "
                "not be one\n",
                s->by_eval ? "of some methods there is " : "");
    if (against) {
        fputs("baseline: ", out);
        lf_print_plain(out, s->groups[s->groups[0].baseline].name);
        fprintf(out, "%s; differences are paired by %s\n",
                s->families ? ", and of other models or data the one there" : "", w.one);
    }
    if (s->families)
        fputs("matched gain, hypervolume and differences are of methods on the same model and data\n", out);
}

static void print_makers(const lf_gathered *g, FILE *out) {
    lf_string t = {0};
    lf_makers_put(&t, g);
    if (t.n && !t.failed) {
        lf_print_plain(out, t.s);
        fputc('\n', out);
    }
    lf_string_free(&t);
}

static void print_states(const lf_gathered *g, FILE *out) {
    int64_t counts[LF_N_RUN_STATES] = {0};
    for (int64_t i = 0; i < g->n_runs; i++) counts[g->runs[i].state]++;
    fprintf(out, "%lld run%s", (long long)g->n_runs, g->n_runs == 1 ? "" : "s");
    for (int k = 0; k < LF_N_RUN_STATES; k++)
        if (counts[k]) fprintf(out, ", %lld %s", (long long)counts[k], lf_run_state_name((lf_run_state)k));
    fputc('\n', out);
    for (int64_t i = 0; i < g->n_runs; i++) {
        const lf_gathered_run *r = &g->runs[i];
        if (r->state == LF_RUN_DONE || r->state == LF_RUN_UNFINISHED) continue;
        fprintf(out, "%s: ", lf_run_state_name(r->state));
        lf_print_plain(out, r->name);
        if (r->message) fputs(": ", out);
        lf_print_plain(out, r->message ? r->message : "");
        fputc('\n', out);
    }
}

/* What stands below the table. */
static void print_rest(const lf_summary *s, FILE *out) {
    print_notes(s, out);
    print_makers(s->from, out);
    print_states(s->from, out);
}

void lf_summary_table(const lf_summary *s, FILE *out) {
    char *text = NULL;
    size_t size;
    FILE *lines = open_memstream(&text, &size);
    print_groups(s, out);
    if (lines) print_rest(s, lines);
    if (lines && fclose(lines) == 0)
        lf_print_lines(out, text, LF_USUAL_COLUMNS);
    else
        fputs("(no memory for what belongs to the table)\n", out);
    free(text);
}
