/* The summary on a terminal: a method a line, at its best learning rate. */
#include <math.h>
#include <string.h>

#include "report/summary.h"

/* Metrics that a line has room for. */
static const char *const shown_of_pictures[] = {"eval_accuracy", "test_accuracy", "base_after", "forgetting", NULL};
static const char *const shown_of_language[] = {"eval_perplexity", "test_perplexity", "base_after", "forgetting", NULL};
enum { NAME_WIDTH = 44, FIGURE_WIDTH = 20 };

static int metric_index(const lf_metric *metrics, const char *name) {
    for (int i = 0; metrics[i].name; i++)
        if (strcmp(metrics[i].name, name) == 0) return i;
    return -1;
}

/* Mean and half the interval. */
static void figure(FILE *out, const lf_metric *m, const lf_sample *s) {
    char text[48] = "-";
    const double half = m->scale * (s->high - s->low) / 2;
    if (isfinite(s->mean) && isfinite(half)) snprintf(text, sizeof text, "%.4g +- %.2g", m->scale * s->mean, half);
    else if (isfinite(s->mean)) snprintf(text, sizeof text, "%.4g", m->scale * s->mean);
    fprintf(out, " %*s", FIGURE_WIDTH, text);
}

static void heading(FILE *out, const lf_metric *metrics, const char *const *shown) {
    fprintf(out, "%-*s %9s %3s", NAME_WIDTH, "at the best learning rate", "rate", "n");
    for (; *shown; shown++) {
        const lf_metric *m = &metrics[metric_index(metrics, *shown)];
        char text[64];
        snprintf(text, sizeof text, "%s%s%s", *shown, m->unit[0] ? " " : "", m->unit);
        fprintf(out, " %*s", FIGURE_WIDTH, text);
    }
    fputc('\n', out);
}

static void line(FILE *out, const lf_summary *s, const lf_group *g, const lf_metric *metrics, const char *const *shown) {
    fprintf(out, "%-*s", NAME_WIDTH, g->name);
    if (g->best < 0) {
        fputs(" no rate at which every run ended and was evaluated\n", out);
        return;
    }
    const lf_cell *c = &s->cells[g->best];
    fprintf(out, " %9.4g %3lld", c->learning_rate, (long long)c->n_done);
    for (; *shown; shown++) {
        const int m = metric_index(metrics, *shown);
        figure(out, &metrics[m], &c->metrics[m]);
    }
    fputc('\n', out);
}

static int64_t count(const lf_gathered *g, lf_run_state state) {
    int64_t n = 0;
    for (int64_t i = 0; i < g->n_runs; i++) n += g->runs[i].state == state;
    return n;
}

void lf_summary_table(const lf_summary *s, FILE *out) {
    const bool language = s->from->language;
    const lf_metric *metrics = lf_metrics_of(language);
    const char *const *shown = language ? shown_of_language : shown_of_pictures;
    heading(out, metrics, shown);
    for (int64_t i = 0; i < s->n_groups; i++) line(out, s, &s->groups[i], metrics, shown);
    fprintf(out, "%lld runs: %lld done", (long long)s->from->n_runs, (long long)count(s->from, LF_RUN_DONE));
    for (int state = LF_RUN_DIVERGED; state <= LF_RUN_UNFINISHED; state++)
        if (count(s->from, (lf_run_state)state)) fprintf(out, ", %lld %s", (long long)count(s->from, (lf_run_state)state), lf_run_state_name((lf_run_state)state));
    fputs("; mean +- half the 95 % interval over seeds; rates chosen by evaluation data\n", out);
}
