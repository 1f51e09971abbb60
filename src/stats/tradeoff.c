/* What is gained against what is lost. The sets are small (a point a learning rate): plain loops over pairs. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "stats/stats.h"

static bool is_known(lf_outcome p) { return isfinite(p.gain) && isfinite(p.cost); }

static bool dominates(lf_outcome a, lf_outcome b) {
    return a.gain >= b.gain && a.cost <= b.cost && (a.gain > b.gain || a.cost < b.cost);
}

static bool on_front(const lf_outcome *p, int64_t n, int64_t i) {
    if (!is_known(p[i])) return false;
    for (int64_t k = 0; k < n; k++)
        if (is_known(p[k]) && dominates(p[k], p[i])) return false;
    return true;
}

void lf_pareto(bool *front, const lf_outcome *p, int64_t n) {
    for (int64_t i = 0; i < n; i++) front[i] = on_front(p, n, i);
}

static int by_falling_gain(const void *a, const void *b) {
    const lf_outcome *x = a, *y = b;
    return (x->gain < y->gain) - (x->gain > y->gain);
}

double lf_hypervolume(const lf_outcome *p, int64_t n, lf_outcome reference) {
    if (!is_known(reference)) return NAN;
    lf_outcome *inside = lf_malloc((n > 0 ? (size_t)n : 1) * sizeof *inside);
    int64_t count = 0;
    double area = 0, lowest = reference.cost;
    if (!inside) return NAN;
    for (int64_t i = 0; i < n; i++)
        if (is_known(p[i]) && p[i].gain > reference.gain && p[i].cost < reference.cost) inside[count++] = p[i];
    qsort(inside, (size_t)count, sizeof *inside, by_falling_gain);
    for (int64_t i = 0; i < count; i++) { /* each adds a strip below all those before it, which reach farther */
        if (inside[i].cost >= lowest) continue;
        area += (inside[i].gain - reference.gain) * (lowest - inside[i].cost);
        lowest = inside[i].cost;
    }
    lf_free(inside);
    return area;
}

double lf_cost_at_gain(const lf_outcome *p, int64_t n, double gain) {
    const lf_outcome *below = NULL, *above = NULL; /* the neighbours on the front */
    if (!isfinite(gain)) return NAN;
    for (int64_t i = 0; i < n; i++) {
        if (!on_front(p, n, i)) continue;
        if (p[i].gain <= gain && (!below || p[i].gain > below->gain)) below = &p[i];
        if (p[i].gain >= gain && (!above || p[i].gain < above->gain)) above = &p[i];
    }
    if (!above) return NAN;
    if (!below || above->gain == below->gain) return above->cost;
    return below->cost + (above->cost - below->cost) * ((gain - below->gain) / (above->gain - below->gain));
}

typedef struct range {
    double low, high;
} range;

static void widen(range *r, double value) {
    r->low = fmin(r->low, value);
    r->high = fmax(r->high, value);
}

static double within(const range *r, double value) { return (value - r->low) / (r->high - r->low); }

int64_t lf_knee(const lf_outcome *p, int64_t n) {
    const double least = 1e-9; /* of the axes: below is rounding */
    range gain = {INFINITY, -INFINITY}, cost = gain;
    int64_t knee = -1;
    if (n < 3 || !is_known(p[0]) || !is_known(p[n - 1])) return -1;
    for (int64_t i = 0; i < n; i++) {
        if (!is_known(p[i])) continue;
        widen(&gain, p[i].gain);
        widen(&cost, p[i].cost);
    }
    if (!(gain.high > gain.low) || !(cost.high > cost.low)) return -1;
    const double x0 = within(&cost, p[0].cost), y0 = within(&gain, p[0].gain);
    const double dx = within(&cost, p[n - 1].cost) - x0, dy = within(&gain, p[n - 1].gain) - y0;
    const double length = hypot(dx, dy);
    if (!(dx > 0) || !(dy > 0)) return -1; /* the end is better than the beginning, or worse, in both: no trade */
    double farthest = least;
    for (int64_t i = 1; i < n - 1; i++) {
        if (!is_known(p[i])) continue;
        const double above = ((within(&gain, p[i].gain) - y0) * dx - (within(&cost, p[i].cost) - x0) * dy) / length;
        if (above > farthest) farthest = above, knee = i;
    }
    return knee;
}

double lf_harmonic_mean(double a, double b) {
    if (!isfinite(a) || !isfinite(b) || a < 0 || b < 0) return NAN;
    return a + b > 0 ? 2 * a * b / (a + b) : 0;
}
