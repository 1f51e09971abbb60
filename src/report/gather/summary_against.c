/* Methods against the baseline of their family, seed by seed: what a difference over seeds says is said by pairs of
 * runs that share their seed, and so their data's order and the noise of both. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "report/gather/start.h"
#include "report/gather/summary_internal.h"

/* ---- the baseline ---- */

static lf_status no_such_baseline(const lf_summary *s, const char *wanted, lf_err *err) {
    char names[600] = "";
    for (int64_t i = 0; i < s->n_groups && strlen(names) < sizeof names - 120; i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s'%.100s'", i ? ", " : "", s->groups[i].name);
    return lf_fail(err, LF_EUSAGE, "key 'baseline': expected a method of %s (or the end of its name): %s; found '%s'",
                   s->from->dir, names, wanted);
}

/* "kaiming" names "init_lora_weights kaiming", and not "..., r 8". */
static bool is_named(const lf_cohort *g, const char *name) {
    const size_t n = strlen(g->name), m = strlen(name);
    if (m > n || strcmp(g->name + n - m, name)) return false;
    return m == n || g->name[n - m - 1] == ' ';
}

static bool is_baseline(const lf_cohort *g, const char *wanted) {
    return wanted ? is_named(g, wanted) : lf_start_is_plain(g->start);
}

/* Of each family the first that is one, else its first. */
static lf_status find_baselines(lf_summary *s, const char *wanted, lf_err *err) {
    bool found = !wanted;
    for (int64_t i = 0; i < s->n_groups; i++) s->groups[i].baseline = -1;
    for (int64_t i = 0; i < s->n_groups; i++) {
        lf_cohort *first = &s->groups[s->groups[i].family];
        if (!is_baseline(&s->groups[i], wanted)) continue;
        found = true;
        if (first->baseline < 0) first->baseline = i;
    }
    for (int64_t i = 0; i < s->n_groups; i++) {
        const int64_t family = s->groups[i].family;
        if (s->groups[family].baseline < 0) s->groups[family].baseline = family;
        s->groups[i].baseline = s->groups[family].baseline;
    }
    return found ? LF_OK : no_such_baseline(s, wanted, err);
}

/* ---- at the best rates ---- */

static double cost_of(const lf_summary *s, const lf_gathered_run *r) {
    return lf_run_number(r, lf_metric_in_role(s->from->yardstick, LF_ROLE_COST)->name);
}

/* On the data that chose no rate, where there are some. */
static double judged_gain(const lf_summary *s, const lf_gathered_run *r) {
    if (!s->judged_by_test) return lf_gain_of(s, r);
    const lf_yardstick *y = s->from->yardstick;
    return lf_gain_from(y, lf_run_number(r, lf_metric_in_role(y, LF_ROLE_TEST_GAIN)->name));
}

static bool all_are_tested(const lf_summary *s) {
    const char *name = lf_metric_in_role(s->from->yardstick, LF_ROLE_TEST_GAIN)->name;
    int64_t n = 0;
    for (int64_t i = 0; i < s->from->n_runs; i++) {
        const lf_gathered_run *r = &s->from->runs[i];
        if (!lf_run_is_done(r)) continue;
        if (!isfinite(lf_run_number(r, name))) return false;
        n++;
    }
    return s->by_eval && n > 0;
}

/* A figure of a run: by a function, or one of those that are averaged. */
typedef struct figure {
    double (*by)(const lf_summary *, const lf_gathered_run *);
    const lf_metric *metric;
} figure;

static double value_of(const lf_summary *s, const lf_gathered_run *r, figure f) {
    return f.by ? f.by(s, r) : lf_figure_of(s->from->yardstick, r, f.metric->name);
}

/* Of two cells, whose runs stand by seed, those of the same seed. */
static lf_sample difference(const lf_summary *s, const lf_cell *a, const lf_cell *b, figure f, double *values) {
    double *of_a = values, *of_b = values + s->from->n_runs;
    int64_t n = 0, i = 0, k = 0;
    while (i < a->n_runs && k < b->n_runs) {
        const lf_gathered_run *x = &s->from->runs[a->runs[i]], *y = &s->from->runs[b->runs[k]];
        const int c = lf_draws_compare(x, y);
        if (c == 0) {
            of_a[n] = value_of(s, x, f);
            of_b[n] = value_of(s, y, f);
            n += isfinite(of_a[n]) && isfinite(of_b[n]);
        }
        i += c <= 0;
        k += c >= 0;
    }
    return lf_sample_paired(of_a, of_b, n);
}

static void compare_figures(const lf_summary *s, lf_cohort *g, const lf_cell *own, const lf_cell *base,
                            double *values) {
    const lf_metric *m = s->from->yardstick->metrics;
    g->differences[LF_DIFFERS_GAIN] = difference(s, own, base, (figure){.by = judged_gain}, values);
    g->differences[LF_DIFFERS_COST] = difference(s, own, base, (figure){.by = cost_of}, values);
    for (int i = 0; m[i].name; i++)
        if (m[i].role == LF_ROLE_COMPARED) g->compared[i] = difference(s, own, base, (figure){.metric = &m[i]}, values);
}

/* ---- over all rates ---- */

/* A seed's outcomes at the rates of a method, but for those at which any run diverged. */
typedef struct curve {
    lf_outcome *p;
    int64_t n;
} curve;

static const lf_gathered_run *with_seed(const lf_summary *s, const lf_cell *c, const lf_gathered_run *seed) {
    for (int64_t i = 0; i < c->n_runs; i++) {
        const lf_gathered_run *r = &s->from->runs[c->runs[i]];
        if (lf_draws_compare(r, seed) == 0) return r;
    }
    return NULL;
}

/* False: at one of the rates there is no such run, or it is not done; a part of a curve is not compared. */
static bool take_curve(curve *out, const lf_summary *s, const lf_cohort *g, const lf_gathered_run *seed) {
    out->n = 0;
    for (int64_t i = 0; i < g->n_cells; i++) {
        const lf_cell *c = &s->cells[g->cells[i]];
        if (c->n_diverged) continue;
        const lf_gathered_run *r = with_seed(s, c, seed);
        const lf_outcome o = r ? (lf_outcome){judged_gain(s, r), cost_of(s, r)} : (lf_outcome){NAN, NAN};
        if (!isfinite(o.gain) || !isfinite(o.cost)) return false;
        out->p[out->n++] = o;
    }
    return out->n > 0;
}

static double most_gain(const curve *c) {
    double most = -INFINITY;
    for (int64_t i = 0; i < c->n; i++) most = fmax(most, c->p[i].gain);
    return most;
}

/* Cost at the gain that both get to with this seed, which is given back; what each dominates. */
static double compare_seed(lf_outcome reference, const curve *own, const curve *base, double *matched, double *volume) {
    const double gain = fmin(most_gain(own), most_gain(base));
    *matched = lf_cost_at_gain(own->p, own->n, gain) - lf_cost_at_gain(base->p, base->n, gain);
    *volume = lf_hypervolume(own->p, own->n, reference) - lf_hypervolume(base->p, base->n, reference);
    return gain;
}

static void compare_curves(const lf_summary *s, lf_cohort *g, const lf_cohort *b, curve *own, curve *base,
                           double *values) {
    double *matched = values, *volume = values + s->from->n_runs, gains = 0;
    int64_t n = 0, with_volume = 0;
    /* what an untrained model scores on evaluation data says nothing of test data */
    const bool no_reference = s->judged_by_test && s->from->yardstick->start_is_of_eval;
    const lf_outcome reference = no_reference ? (lf_outcome){NAN, NAN} : g->reference;
    const lf_cell *first = NULL; /* whose seeds are asked for */
    for (int64_t i = 0; i < b->n_cells && !first; i++)
        if (!s->cells[b->cells[i]].n_diverged) first = &s->cells[b->cells[i]];
    for (int64_t i = 0; first && i < first->n_runs; i++) {
        const lf_gathered_run *seed = &s->from->runs[first->runs[i]];
        if (!take_curve(own, s, g, seed) || !take_curve(base, s, b, seed)) continue;
        gains += compare_seed(reference, own, base, &matched[n++], &volume[with_volume]);
        with_volume += isfinite(volume[with_volume]);
    }
    g->differences[LF_DIFFERS_MATCHED] = lf_sample_of(matched, n);
    g->differences[LF_DIFFERS_VOLUME] = lf_sample_of(volume, with_volume);
    g->equal_gain = n ? gains / (double)n : NAN;
}

static void compare_group(const lf_summary *s, lf_cohort *g, curve *own, curve *base, double *values) {
    const lf_cohort *b = &s->groups[g->baseline];
    for (int d = 0; d < LF_N_DIFFERS; d++) g->differences[d] = lf_sample_of(NULL, 0);
    for (int i = 0; i < LF_MAX_METRICS; i++) g->compared[i] = lf_sample_of(NULL, 0);
    if (g == b) return;
    compare_curves(s, g, b, own, base, values);
    if (g->best < 0 || b->best < 0) return;
    compare_figures(s, g, &s->cells[g->best], &s->cells[b->best], values);
}

lf_status lf_compare_matched(lf_sample *out, const lf_summary *s, const lf_cohort *a, const lf_cohort *b, lf_err *err) {
    const size_t n = (size_t)s->from->n_runs;
    lf_outcome *room = lf_calloc(2 * (size_t)s->n_cells, sizeof *room);
    double *values = lf_calloc(2 * n, sizeof *values);
    lf_cohort copy = *a;
    if (room && values) {
        compare_curves(s, &copy, b, &(curve){room, 0}, &(curve){room + s->n_cells, 0}, values);
        *out = copy.differences[LF_DIFFERS_MATCHED];
    }
    const bool ok = room && values;
    lf_free(room);
    lf_free(values);
    return ok ? LF_OK : lf_no_memory(err, "the summary of the runs of %s", s->from->dir);
}

/* One figure of all methods of a family together: a verdict is on one of them, the cost at matched gain, which was
 * chosen before any run. Fewer than three pairs decide nothing. `p` has room for a number a group. */
static void adjust(lf_summary *s, int64_t family, int which, double *p) {
    for (int64_t i = 0; i < s->n_groups; i++) {
        const lf_sample d = s->groups[i].differences[which];
        p[i] = s->groups[i].family != family || d.n < 3 ? NAN : lf_t_p(d);
    }
    lf_holm(p, s->n_groups);
    for (int64_t i = 0; i < s->n_groups; i++)
        if (s->groups[i].family == family) s->groups[i].p[which] = p[i];
}

lf_status lf_summary_against(lf_summary *s, const char *baseline, double *values, lf_err *err) {
    lf_status rc = find_baselines(s, baseline, err);
    if (rc) return rc;
    s->judged_by_test = all_are_tested(s);
    lf_outcome *room = lf_calloc(2 * (size_t)s->n_cells, sizeof *room);
    double *p = lf_calloc((size_t)s->n_groups, sizeof *p);
    if (room && p) {
        curve own = {room, 0}, base = {room + s->n_cells, 0};
        for (int64_t i = 0; i < s->n_groups; i++) {
            for (int d = 0; d < LF_N_DIFFERS; d++) s->groups[i].p[d] = NAN;
            compare_group(s, &s->groups[i], &own, &base, values);
        }
        for (int64_t i = 0; i < s->n_groups; i++)
            for (int d = 0; d < LF_N_DIFFERS && s->groups[i].family == i; d++)
                if (d != LF_DIFFERS_COST) adjust(s, i, d, p); /* the plain cost is of unequal gains */
    } else
        rc = lf_no_memory(err, "the summary of the runs of %s", s->from->dir);
    lf_free(room);
    lf_free(p);
    return rc;
}
