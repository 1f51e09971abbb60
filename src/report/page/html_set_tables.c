#include "report/page/html_set.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/number.h"
#include "plot/plot.h"
#include "report/figure/pictures_internal.h"
#include "report/gather/makers.h"
#include "report/page/html_parts.h"

/* ---- figures ---- */

/* Shares and points with one decimal, the rest with four digits. */
static void number(FILE *f, double value, const lf_metric *m) {
    if (m->scale != 1)
        fprintf(f, "%.1f", value);
    else
        fprintf(f, "%.4g", value);
}

static void half(FILE *f, double value, const lf_metric *m) {
    if (m->scale != 1)
        fprintf(f, "%.1f", value);
    else
        fprintf(f, "%.2g", value);
}

/* Mean ± half the interval; of two least to most, of one alone. */
static void sample_cell(FILE *f, lf_sample v, const lf_metric *m, bool with_sign) {
    fputs("<td class=\"n\">", f);
    if (v.n > 0 && isfinite(v.mean)) {
        const lf_band b = lf_band_of(v, m->scale);
        if (with_sign && m->scale * v.mean > 0) fputc('+', f);
        number(f, m->scale * v.mean, m);
        if (isfinite(b.low) && b.interval) {
            fputs(" <small>± ", f);
            half(f, (b.high - b.low) / 2, m);
            fputs("</small>", f);
        } else if (isfinite(b.low)) {
            fputs(" <small>(", f);
            number(f, b.low, m);
            fputs(" to ", f);
            number(f, b.high, m);
            fputs(")</small>", f);
        }
    }
    fputs("</td>", f);
}

static void plain_cell(FILE *f, const char *format, double value) {
    fputs("<td class=\"n\">", f);
    if (isfinite(value)) fprintf(f, format, value);
    fputs("</td>", f);
}

static void text_cell(FILE *f, const char *text) {
    fputs("<td>", f);
    lf_html_text(f, text);
    fputs("</td>", f);
}

/* As the legends name it. */
static void group_name(FILE *f, const lf_cohort *g) {
    char *label = lf_group_label(g);
    lf_html_text(f, label ? label : g->name);
    lf_free(label);
}

static void group_cell(FILE *f, const lf_cohort *g) {
    fputs("<td>", f);
    group_name(f, g);
    fputs("</td>", f);
}

static void rate_cell(FILE *f, double rate) {
    char text[40];
    lf_number_rate(text, sizeof text, rate, LF_SETTING_DIGITS);
    fprintf(f, "<td class=\"n\">%s</td>", isfinite(rate) ? text : "");
}

static void metric_column(FILE *f, const lf_metric *m, const char *before) {
    fputs("<th class=\"n\">", f);
    lf_html_text(f, before);
    lf_html_text(f, m->label);
    if (m->unit[0]) {
        fputs("<br><small>", f);
        lf_html_text(f, m->unit);
        fputs("</small>", f);
    }
    fputs("</th>", f);
}

static bool is_measured(const lf_summary *s, int metric) {
    return lf_metric_index(s, s->from->yardstick->metrics[metric].name) == metric;
}

/* What decides, which a screen has room for; the rest; or all. */
typedef enum part { SHOW_MAIN, SHOW_REST, SHOW_ALL } part;

static bool is_shown(const lf_summary *s, int metric, part what) {
    const lf_role role = s->from->yardstick->metrics[metric].role;
    const bool decides = role == LF_ROLE_GAIN || role == LF_ROLE_TEST_GAIN || role == LF_ROLE_COST ||
                         role == LF_ROLE_KEPT || role == LF_ROLE_COMPARED;
    return is_measured(s, metric) && (what == SHOW_ALL || decides == (what == SHOW_MAIN));
}

static void metric_columns(FILE *f, const lf_summary *s, part what) {
    const lf_metric *m = s->from->yardstick->metrics;
    for (int i = 0; m[i].name; i++)
        if (is_shown(s, i, what)) metric_column(f, &m[i], "");
}

static void metric_cells(FILE *f, const lf_summary *s, const lf_cell *c, part what) {
    const lf_metric *m = s->from->yardstick->metrics;
    for (int i = 0; m[i].name; i++)
        if (is_shown(s, i, what)) sample_cell(f, c->metrics[i], &m[i], false);
}

/* ---- groups ---- */

static const lf_metric *forgetting_of(const lf_summary *s) {
    return lf_metric_in_role(s->from->yardstick, LF_ROLE_COST);
}

/* A difference of gains is in points of accuracy, or in nats. */
static lf_metric gain_difference(const lf_summary *s) {
    const lf_yardstick *y = s->from->yardstick;
    return (lf_metric){
        .name = "gain", .label = y->difference, .unit = y->difference_unit, .scale = y->difference_scale};
}

/* Some method has a difference of it from the baseline. */
static bool is_compared(const lf_summary *s, const lf_metric *m) {
    bool any = false;
    for (int64_t i = 0; i < s->n_groups; i++)
        any = any || isfinite(s->groups[i].compared[m - s->from->yardstick->metrics].mean);
    return any && m->role == LF_ROLE_COMPARED;
}

typedef struct extras {
    bool volume, matched, gain, cost, at_equal;
} extras;

static extras extras_of(const lf_summary *s) {
    extras e = {0};
    for (int64_t i = 0; i < s->n_groups; i++) {
        const lf_cohort *g = &s->groups[i];
        e.volume = e.volume || isfinite(g->hypervolume);
        e.matched = e.matched || isfinite(g->matched_cost);
        e.gain = e.gain || isfinite(g->differences[LF_DIFFERS_GAIN].mean);
        e.cost = e.cost || isfinite(g->differences[LF_DIFFERS_COST].mean);
        e.at_equal = e.at_equal || isfinite(g->differences[LF_DIFFERS_MATCHED].mean);
    }
    return e;
}

static void group_columns(FILE *f, const lf_summary *s, const extras *e, part what) {
    const lf_metric *forgetting = forgetting_of(s), gain = gain_difference(s);
    lf_html_column(f, "method", false);
    lf_html_column(f, "best learning rate", true);
    if (what == SHOW_MAIN) {
        lf_html_column(f, "runs done", true);
        metric_columns(f, s, what);
        if (e->at_equal && forgetting) metric_column(f, forgetting, "against the baseline, at equal gain: ");
        return;
    }
    if (e->gain) metric_column(f, &gain, "against the baseline: ");
    if (e->cost && forgetting) metric_column(f, forgetting, "against the baseline: ");
    for (const lf_metric *m = s->from->yardstick->metrics; m->name; m++)
        if (is_compared(s, m)) metric_column(f, m, "against the baseline: ");
    if (e->matched && forgetting) metric_column(f, forgetting, "at the matched gain: ");
    if (e->volume) lf_html_column(f, "hypervolume", true);
    metric_columns(f, s, what);
}

static void runs_done(FILE *f, const lf_summary *s, const lf_cell *c) {
    fputs("<td class=\"n\">", f);
    if (c)
        fprintf(f, "%lld of %lld%s", (long long)c->n_done, (long long)c->n_runs,
                lf_any_made_otherwise(s->from, c->runs, c->n_runs) ? "*" : "");
    fputs("</td>", f);
}

static void group_row(FILE *f, const lf_summary *s, const lf_cohort *g, const extras *e, part what) {
    const lf_metric *forgetting = forgetting_of(s), gain = gain_difference(s);
    const lf_cell *c = lf_shown_cell(s, g), none = {.learning_rate = NAN};
    fputs("<tr>", f);
    group_cell(f, g);
    rate_cell(f, c ? c->learning_rate : NAN);
    if (what == SHOW_MAIN) {
        runs_done(f, s, c);
        metric_cells(f, s, c ? c : &none, what);
        if (e->at_equal && forgetting) sample_cell(f, g->differences[LF_DIFFERS_MATCHED], forgetting, true);
    } else {
        if (e->gain) sample_cell(f, g->differences[LF_DIFFERS_GAIN], &gain, true);
        if (e->cost && forgetting) sample_cell(f, g->differences[LF_DIFFERS_COST], forgetting, true);
        for (const lf_metric *m = s->from->yardstick->metrics; m->name; m++)
            if (is_compared(s, m)) sample_cell(f, g->compared[m - s->from->yardstick->metrics], m, true);
        if (e->matched && forgetting)
            plain_cell(f, forgetting->scale != 1 ? "%.1f" : "%.4g", forgetting->scale * g->matched_cost);
        if (e->volume) plain_cell(f, "%.4g", g->hypervolume);
        metric_cells(f, s, c ? c : &none, what);
    }
    fputs("</tr>\n", f);
}

static void groups_table(FILE *f, const lf_summary *s, part what) {
    const extras e = extras_of(s);
    lf_html_table_begin(f);
    group_columns(f, s, &e, what);
    lf_html_rows(f);
    for (int64_t i = 0; i < s->n_groups; i++) group_row(f, s, &s->groups[i], &e, what);
    lf_html_table_end(f);
}

void lf_html_groups(FILE *f, const lf_summary *s) {
    groups_table(f, s, SHOW_MAIN);
    fputs("<details><summary>More figures of each</summary>\n", f);
    groups_table(f, s, SHOW_REST);
    fputs("</details>\n", f);
}

static void say_unchosen(FILE *f, const lf_summary *s, const lf_cohort *g) {
    fputs("<p>Of ", f);
    group_name(f, g);
    fputs(lf_why_unchosen(s, g) == LF_NOT_JUDGED
              ? " no learning rate was chosen: there is no evaluation data, and a choice by test data would not be "
                "one.</p>\n"
              : " no learning rate was chosen: there is none at which every run is done.</p>\n",
          f);
}

static void say_matched(FILE *f, const lf_summary *s) {
    const lf_yardstick *y = s->from->yardstick;
    const char *unit = lf_metric_in_role(y, LF_ROLE_GAIN)->unit;
    fputs(" The matched gain is ", f);
    if (!s->families)
        fprintf(f, "%s %s of %.4g%s%s, ", y->article, y->name, lf_gain_shown(y, s->groups[0].matched_gain),
                unit[0] ? " " : "", unit);
    fputs("the least of the methods' highest: forgetting there compares methods that learned equally well.", f);
}

void lf_html_choice(FILE *f, const lf_summary *s) {
    const extras e = extras_of(s);
    const lf_yardstick *y = s->from->yardstick;
    const bool less = lf_metric_in_role(y, LF_ROLE_GAIN)->better == LF_LESS_IS_BETTER;
    bool rates = false;
    for (int64_t i = 0; i < s->n_groups; i++) rates = rates || (s->groups[i].best >= 0 && s->groups[i].n_cells > 1);
    const lf_draw_words w = lf_draw_words_of(s->from);
    fprintf(f, "<p>Means over %s ± half of the 95 %% t interval; of two %s, least to most.", w.many, w.counted_many);
    if (rates)
        fprintf(
            f,
            " The best learning rate of a method is the one of the %s mean %s on evaluation data, among those at which "
            "every run is done; of equals the one that forgets less. Test data had no part in the choice.",
            less ? "lowest" : "highest", y->name);
    if (e.gain || e.cost) {
        fputs(" “Against the baseline” is the difference from ", f);
        if (s->families)
            fputs("plain LoRA, or the first method, on the same model and data", f);
        else
            group_name(f, &s->groups[s->groups[0].baseline]);
        fprintf(
            f,
            ", each at its best rate, paired by %s. “At equal gain” takes of each %s what both methods forget, over "
            "all their learning rates, at the gain that both get to.",
            w.one, w.one);
    }
    if (e.matched) say_matched(f, s);
    if (e.volume)
        fputs(" Hypervolume: the area of outcomes that a method's learning rates dominate together, in gain times "
              "forgetting avoided; more is better.",
              f);
    if (s->families)
        fputs(" The runs are of several models or data: front, matched gain, hypervolume and differences are among "
              "methods on the same.",
              f);
    fputs("</p>\n", f);
    for (int64_t i = 0; i < s->n_groups; i++)
        if (s->groups[i].best < 0) say_unchosen(f, s, &s->groups[i]);
}

/* ---- cells ---- */

void lf_html_all_cells(FILE *f, const lf_summary *s) {
    lf_html_table_begin(f);
    lf_html_column(f, "method", false);
    lf_html_column(f, "learning rate", true);
    lf_html_column(f, "runs done", true);
    lf_html_column(f, "diverged", true);
    lf_html_column(f, "", false);
    metric_columns(f, s, SHOW_ALL);
    lf_html_rows(f);
    for (int64_t i = 0; i < s->n_groups; i++)
        for (int64_t k = 0; k < s->groups[i].n_cells; k++) {
            const lf_cell *c = &s->cells[s->groups[i].cells[k]];
            fprintf(f, "<tr%s>", c->best ? " class=\"best\"" : "");
            group_cell(f, &s->groups[i]);
            rate_cell(f, c->learning_rate);
            runs_done(f, s, c);
            fprintf(f, "<td class=\"n\">%lld</td>", (long long)c->n_diverged);
            fprintf(f, "<td class=\"mark\">%s%s%s</td>", c->best ? "best" : "", c->best && c->front ? ", " : "",
                    c->front ? "front" : "");
            metric_cells(f, s, c, SHOW_ALL);
            fputs("</tr>\n", f);
        }
    lf_html_table_end(f);
}

/* ---- runs ---- */

static void result_cell(FILE *f, const lf_gathered_run *run, const lf_metric *m) {
    const double v = m->scale * lf_run_number(run, m->name);
    fputs("<td class=\"n\">", f);
    if (isfinite(v)) number(f, v, m);
    fputs("</td>", f);
}

static bool any_has(const lf_gathered *g, const char *name) {
    for (int64_t i = 0; i < g->n_runs; i++)
        if (isfinite(lf_run_number(&g->runs[i], name))) return true;
    return false;
}

void lf_html_all_runs(FILE *f, const lf_gathered *g) {
    const lf_metric *m = g->yardstick->metrics;
    int64_t columns = 2 + g->n_swept;
    bool shown[LF_MAX_METRICS] = {0};
    lf_html_table_begin(f);
    lf_html_column(f, "run", false);
    for (int64_t k = 0; k < g->n_swept; k++) lf_html_column(f, g->swept[k], false);
    lf_html_column(f, "state", false);
    for (int k = 0; m[k].name; k++)
        if ((shown[k] = any_has(g, m[k].name))) {
            metric_column(f, &m[k], "");
            columns++;
        }
    lf_html_rows(f);
    for (int64_t i = 0; i < g->n_runs; i++) {
        const lf_gathered_run *run = &g->runs[i];
        fputs("<tr>", f);
        text_cell(f, run->name);
        for (int64_t k = 0; k < g->n_swept; k++) {
            char value[300];
            lf_value_text(value, sizeof value, cJSON_GetObjectItemCaseSensitive(run->config, g->swept[k]));
            text_cell(f, value);
        }
        fprintf(f, "<td%s>%s%s</td>", run->state == LF_RUN_DONE ? "" : " class=\"bad\"", lf_run_state_name(run->state),
                lf_made_otherwise(g, run) ? "*" : "");
        for (int k = 0; m[k].name; k++)
            if (shown[k]) result_cell(f, run, &m[k]);
        fputs("</tr>\n", f);
        if (!run->message) continue; /* in a row of its own: behind all columns nobody would see it */
        fprintf(f, "<tr><td colspan=\"%lld\"><div class=\"message\">", (long long)columns);
        lf_html_text(f, run->message);
        fputs("</div></td></tr>\n", f);
    }
    lf_html_table_end(f);
}
