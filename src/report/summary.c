#define _GNU_SOURCE /* qsort_r */
#include "report/summary.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

static lf_status no_memory(lf_err *err) { return lf_fail(err, LF_ENOMEM, "out of memory for a summary of runs"); }

/* ---- metrics ---- */

static const lf_metric of_pictures[] = {
    {"eval_accuracy", "new task, accuracy", "%", 100},      {"test_accuracy", "new task, test accuracy", "%", 100}, {"base_after", "base task, accuracy after", "%", 100},
    {"forgetting", "forgetting", "points", 100},  {"retention", "retention", "%", 100},          {"base_kl", "KL from the base", "nats", 1},
    {"base_ce", "CE to the base", "nats", 1},     {"harmonic_mean", "harmonic mean", "%", 100},  {"update_ratio", "size of the update", "", 1},
    {0}};
static const lf_metric of_language[] = {
    {"eval_perplexity", "perplexity, new text", "", 1}, {"test_perplexity", "perplexity, test", "", 1}, {"base_after", "perplexity, pretraining text after", "", 1},
    {"forgetting", "forgetting", "nats", 1},            {"retention", "retention", "%", 100},           {"base_kl", "KL from the base", "nats", 1},
    {"base_ce", "CE to the base", "nats", 1},           {"update_ratio", "size of the update", "", 1},  {0}};

const lf_metric *lf_metrics_of(bool language) { return language ? of_language : of_pictures; }

/* A figure of one run; NAN if it has none. */
static double figure(const lf_gathered_run *r, const char *name) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(r->results, name);
    return cJSON_IsNumber(v) ? v->valuedouble : NAN;
}

static double new_task(const lf_gathered_run *r, bool language) {
    const double eval = figure(r, language ? "eval_perplexity" : "eval_accuracy");
    return isfinite(eval) ? eval : figure(r, language ? "test_perplexity" : "test_accuracy");
}

static double metric_of(const lf_gathered_run *r, const char *name) {
    return strcmp(name, "harmonic_mean") == 0 ? lf_harmonic_mean(new_task(r, false), figure(r, "base_after")) : figure(r, name);
}

static double gain_of(const lf_gathered_run *r, bool language) {
    const double x = new_task(r, language);
    return language ? -log(x) : x;
}

/* ---- groups and cells ---- */

static const cJSON *value_of(const lf_gathered_run *r, const char *key) { return cJSON_GetObjectItemCaseSensitive(r->config, key); }

/* The keys that do not make a method: a method is judged over seeds, at its own best learning rate. */
static bool makes_no_group(const char *key) {
    return strcmp(key, "seed") == 0 || strcmp(key, "learning_rate") == 0 || strcmp(key, "head_learning_rate") == 0;
}

static bool is_grouping(const lf_gathered *g, int64_t key) { return !makes_no_group(g->swept[key]); }

static bool same_value(const cJSON *a, const cJSON *b) { return a && b ? cJSON_Compare(a, b, true) : a == b; }

static bool same_group(const lf_gathered *g, int64_t a, int64_t b) {
    for (int64_t i = 0; i < g->n_swept; i++)
        if (is_grouping(g, i) && !same_value(value_of(&g->runs[a], g->swept[i]), value_of(&g->runs[b], g->swept[i]))) return false;
    return true;
}

static double number(const lf_gathered_run *r, const char *key, double fallback) {
    const cJSON *v = value_of(r, key);
    return cJSON_IsNumber(v) ? v->valuedouble : fallback;
}

/* As a fraction; where the position is not given, its default is the middle. */
static double position_of(const lf_gathered_run *r) {
    const cJSON *init = value_of(r, "init_lora_weights"), *position = value_of(r, "init_position");
    const char *name = cJSON_IsString(init) ? init->valuestring : "";
    if (strcmp(name, "pissa") == 0) return 0;
    if (strcmp(name, "milora") == 0) return 1;
    if (strcmp(name, "intermediate") != 0 && strcmp(name, "slice_eqmag") != 0) return NAN;
    return cJSON_IsNumber(position) ? position->valuedouble : position && !cJSON_IsNull(position) ? NAN : 0.5;
}

static char *name_of(const lf_gathered *g, int64_t run) {
    char text[160], name[1024] = "";
    for (int64_t i = 0; i < g->n_swept; i++) {
        const cJSON *v = value_of(&g->runs[run], g->swept[i]);
        if (!is_grouping(g, i) || !v || cJSON_IsNull(v)) continue;
        lf_value_text(text, sizeof text, v);
        const size_t used = strlen(name);
        snprintf(name + used, sizeof name - used, "%s%s %s", used ? ", " : "", g->swept[i], text);
    }
    return lf_strdup(name[0] ? name : "all");
}

/* Index of the group of a run, made if it is the first. */
static int64_t group_of(lf_summary *s, int64_t run) {
    const lf_gathered *g = s->from;
    for (int64_t i = 0; i < s->n_groups; i++)
        if (same_group(g, s->cells[s->groups[i].cells[0]].runs[0], run)) return i;
    lf_group *grown = lf_realloc(s->groups, (size_t)(s->n_groups + 1) * sizeof *grown);
    if (!grown) return -1;
    s->groups = grown;
    s->groups[s->n_groups] = (lf_group){.name = name_of(g, run), .best = -1, .position = position_of(&g->runs[run]), .hypervolume = NAN, .matched_cost = NAN};
    s->groups[s->n_groups].gain_difference = s->groups[s->n_groups].cost_difference = lf_sample_of(NULL, 0);
    return s->n_groups++;
}

static bool push(int64_t **list, int64_t *n, int64_t value) {
    int64_t *grown = lf_realloc(*list, (size_t)(*n + 1) * sizeof *grown);
    if (!grown) return false;
    *list = grown;
    grown[(*n)++] = value;
    return true;
}

/* The cell of a run: its group's at its learning rate. */
static int64_t cell_of(lf_summary *s, int64_t run) {
    const int64_t group = group_of(s, run);
    const double rate = number(&s->from->runs[run], "learning_rate", NAN);
    if (group < 0) return -1;
    lf_group *g = &s->groups[group];
    for (int64_t i = 0; i < g->n_cells; i++) {
        const double other = s->cells[g->cells[i]].learning_rate;
        if (other == rate || (isnan(other) && isnan(rate))) return g->cells[i];
    }
    lf_cell *grown = lf_realloc(s->cells, (size_t)(s->n_cells + 1) * sizeof *grown);
    if (!grown) return -1;
    s->cells = grown;
    s->cells[s->n_cells] = (lf_cell){.group = group, .learning_rate = rate, .outcome = {NAN, NAN}};
    if (!push(&g->cells, &g->n_cells, s->n_cells)) return -1;
    return s->n_cells++;
}

static lf_status sort_into_cells(lf_summary *s, lf_err *err) {
    for (int64_t i = 0; i < s->from->n_runs; i++) {
        const int64_t c = cell_of(s, i);
        lf_cell *cell = c < 0 ? NULL : &s->cells[c];
        if (!cell || !push(&cell->runs, &cell->n_runs, i) || !s->groups[cell->group].name) return no_memory(err);
        const lf_run_state state = s->from->runs[i].state;
        *(state == LF_RUN_DONE ? &cell->n_done : state == LF_RUN_DIVERGED ? &cell->n_diverged : state == LF_RUN_FAILED ? &cell->n_failed : &cell->n_unfinished) += 1;
    }
    return LF_OK;
}

static int by_rate(const void *a, const void *b, void *summary) {
    const lf_summary *s = summary;
    const double x = s->cells[*(const int64_t *)a].learning_rate, y = s->cells[*(const int64_t *)b].learning_rate;
    return (x > y) - (x < y);
}

static int by_seed(const void *a, const void *b, void *summary) {
    const lf_summary *s = summary;
    const double x = number(&s->from->runs[*(const int64_t *)a], "seed", 0), y = number(&s->from->runs[*(const int64_t *)b], "seed", 0);
    return (x > y) - (x < y);
}

/* ---- figures ---- */

static void fill_cell(const lf_summary *s, lf_cell *c, double *x) {
    const lf_metric *metrics = lf_metrics_of(s->from->language);
    for (int m = 0; metrics[m].name; m++) {
        int64_t n = 0;
        for (int64_t i = 0; i < c->n_runs; i++) {
            const double v = metric_of(&s->from->runs[c->runs[i]], metrics[m].name);
            if (isfinite(v)) x[n++] = v;
        }
        c->metrics[m] = lf_sample_of(x, n);
    }
    double gain = 0, cost = 0;
    for (int64_t i = 0; i < c->n_runs; i++) {
        const lf_gathered_run *r = &s->from->runs[c->runs[i]];
        if (r->state != LF_RUN_DONE) continue;
        gain += gain_of(r, s->from->language);
        cost += figure(r, "forgetting");
    }
    if (c->n_done) c->outcome = (lf_outcome){gain / (double)c->n_done, cost / (double)c->n_done};
}

/* On evaluation data, where every seed came through. */
static void find_best(lf_summary *s, lf_group *g) {
    const char *key = s->from->language ? "eval_perplexity" : "eval_accuracy";
    double best = -INFINITY;
    for (int64_t i = 0; i < g->n_cells; i++) {
        const lf_cell *c = &s->cells[g->cells[i]];
        bool eligible = c->n_done == c->n_runs && isfinite(c->outcome.gain) && isfinite(c->learning_rate);
        for (int64_t j = 0; j < c->n_runs && eligible; j++) eligible = isfinite(figure(&s->from->runs[c->runs[j]], key));
        if (!eligible || !(c->outcome.gain > best)) continue;
        best = c->outcome.gain;
        g->best = g->cells[i];
    }
    if (g->best >= 0) s->cells[g->best].best = true;
}

/* ---- comparisons ---- */

static void find_reference(lf_summary *s) {
    s->reference = (lf_outcome){NAN, NAN};
    for (int64_t i = 0; i < s->from->n_runs; i++) {
        const lf_gathered_run *r = &s->from->runs[i];
        if (r->state != LF_RUN_DONE) continue;
        const double before = figure(r, "base_before");
        if (s->from->language) s->reference = (lf_outcome){-log(figure(r, "eval_perplexity_before")), log(figure(r, "base_chance")) - log(before)};
        else s->reference = (lf_outcome){figure(r, "eval_chance"), before};
        return;
    }
}

/* The runs of two cells with the same seed. */
static void compare(const lf_summary *s, const lf_cell *a, const lf_cell *b, lf_group *g, double *x, double *y) {
    for (int which = 0; which < 2; which++) {
        int64_t n = 0;
        for (int64_t i = 0; i < a->n_runs; i++)
            for (int64_t j = 0; j < b->n_runs; j++) {
                const lf_gathered_run *p = &s->from->runs[a->runs[i]], *q = &s->from->runs[b->runs[j]];
                if (!same_value(value_of(p, "seed"), value_of(q, "seed"))) continue;
                x[n] = which ? figure(p, "forgetting") : gain_of(p, s->from->language);
                y[n] = which ? figure(q, "forgetting") : gain_of(q, s->from->language);
                n += n < s->from->n_runs - 1 && isfinite(x[n]) && isfinite(y[n]);
                break;
            }
        *(which ? &g->cost_difference : &g->gain_difference) = lf_sample_paired(x, y, n);
    }
}

static void compare_groups(lf_summary *s, double *x, double *y, lf_outcome *points) {
    s->matched_gain = INFINITY;
    for (int64_t i = 0; i < s->n_groups; i++) {
        double most = -INFINITY;
        for (int64_t j = 0; j < s->groups[i].n_cells; j++) most = fmax(most, s->cells[s->groups[i].cells[j]].outcome.gain);
        if (isfinite(most)) s->matched_gain = fmin(s->matched_gain, most);
    }
    if (!isfinite(s->matched_gain)) s->matched_gain = NAN;
    for (int64_t i = 0; i < s->n_groups; i++) {
        lf_group *g = &s->groups[i];
        for (int64_t j = 0; j < g->n_cells; j++) points[j] = s->cells[g->cells[j]].outcome;
        g->hypervolume = lf_hypervolume(points, g->n_cells, s->reference);
        g->matched_cost = lf_cost_at_gain(points, g->n_cells, s->matched_gain);
        if (i > 0 && g->best >= 0 && s->groups[0].best >= 0) compare(s, &s->cells[g->best], &s->cells[s->groups[0].best], g, x, y);
    }
}

static lf_status fill(lf_summary *s, lf_err *err) {
    const size_t n = (size_t)s->from->n_runs;
    double *x = lf_malloc(n * sizeof *x), *y = lf_malloc(n * sizeof *y);
    lf_outcome *points = lf_malloc(n * sizeof *points);
    bool *front = lf_malloc(n * sizeof *front);
    const bool ok = x && y && points && front;
    if (ok) {
        for (int64_t i = 0; i < s->n_groups; i++) qsort_r(s->groups[i].cells, (size_t)s->groups[i].n_cells, sizeof(int64_t), by_rate, s);
        for (int64_t i = 0; i < s->n_cells; i++) {
            qsort_r(s->cells[i].runs, (size_t)s->cells[i].n_runs, sizeof(int64_t), by_seed, s);
            fill_cell(s, &s->cells[i], x);
            points[i] = s->cells[i].outcome;
        }
        lf_pareto(front, points, s->n_cells);
        for (int64_t i = 0; i < s->n_cells; i++) s->cells[i].front = front[i];
        for (int64_t i = 0; i < s->n_groups; i++) find_best(s, &s->groups[i]);
        find_reference(s);
        compare_groups(s, x, y, points);
    }
    lf_free(x);
    lf_free(y);
    lf_free(points);
    lf_free(front);
    return ok ? LF_OK : no_memory(err);
}

lf_status lf_summary_new(lf_summary **out, const lf_gathered *g, lf_err *err) {
    *out = NULL;
    lf_summary *s = lf_calloc(1, sizeof *s);
    if (!s) return no_memory(err);
    s->from = g;
    lf_status rc = sort_into_cells(s, err);
    if (!rc) rc = fill(s, err);
    if (rc) lf_summary_free(s);
    else *out = s;
    return rc;
}

void lf_summary_free(lf_summary *s) {
    if (!s) return;
    for (int64_t i = 0; i < s->n_cells; i++) lf_free(s->cells[i].runs);
    for (int64_t i = 0; i < s->n_groups; i++) {
        lf_free(s->groups[i].name);
        lf_free(s->groups[i].cells);
    }
    lf_free(s->cells);
    lf_free(s->groups);
    lf_free(s);
}
