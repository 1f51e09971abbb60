/* What is gained against what is lost. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stats/stats.h"

static bool is_known(lf_outcome p) { return isfinite(p.gain) && isfinite(p.cost); }

static bool dominates(lf_outcome a, lf_outcome b) {
    return is_known(a) && a.gain >= b.gain && a.cost <= b.cost && (a.gain > b.gain || a.cost < b.cost);
}

void lf_pareto(bool *front, const lf_outcome *p, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        front[i] = is_known(p[i]);
        for (int64_t j = 0; j < n && front[i]; j++) front[i] = !dominates(p[j], p[i]);
    }
}

static int by_gain(const void *a, const void *b) {
    const lf_outcome *x = a, *y = b;
    if (x->gain != y->gain) return x->gain < y->gain ? -1 : 1;
    return x->cost < y->cost ? -1 : x->cost > y->cost;
}

/* The front in order of gain, each outcome once; then cost rises with gain. *out is freed by the caller; -1: no memory. */
static int64_t make_front(lf_outcome **out, const lf_outcome *p, int64_t n) {
    int64_t m = 0;
    lf_outcome *sorted = lf_malloc((size_t)(n > 0 ? n : 1) * sizeof *sorted);
    bool *front = lf_malloc((size_t)(n > 0 ? n : 1) * sizeof *front);
    *out = sorted;
    if (sorted && front) {
        lf_pareto(front, p, n);
        for (int64_t i = 0; i < n; i++)
            if (front[i]) sorted[m++] = p[i];
        qsort(sorted, (size_t)m, sizeof *sorted, by_gain);
        int64_t kept = 0;
        for (int64_t i = 0; i < m; i++)
            if (!kept || sorted[kept - 1].gain != sorted[i].gain) sorted[kept++] = sorted[i];
        m = kept;
    } else
        m = -1;
    lf_free(front);
    return m;
}

/* From the reference's gain upwards, each outcome of the front adds the strip from the last gain to its own, as high as its cost
 * is below the reference's. */
double lf_hypervolume(const lf_outcome *p, int64_t n, lf_outcome reference) {
    lf_outcome *front;
    const int64_t m = make_front(&front, p, n);
    double area = m < 0 || !is_known(reference) ? NAN : 0, last = reference.gain;
    for (int64_t i = 0; i < m; i++) {
        if (front[i].gain <= last || front[i].cost >= reference.cost) continue;
        area += (front[i].gain - last) * (reference.cost - front[i].cost);
        last = front[i].gain;
    }
    lf_free(front);
    return area;
}

double lf_cost_at_gain(const lf_outcome *p, int64_t n, double gain) {
    lf_outcome *front;
    const int64_t m = make_front(&front, p, n);
    double cost = NAN;
    if (m > 0 && gain <= front[0].gain) cost = front[0].cost;
    for (int64_t i = 1; i < m && !isfinite(cost); i++)
        if (gain <= front[i].gain)
            cost = front[i - 1].cost + (front[i].cost - front[i - 1].cost) * (gain - front[i - 1].gain) / (front[i].gain - front[i - 1].gain);
    lf_free(front);
    return cost;
}

double lf_harmonic_mean(double a, double b) {
    if (!isfinite(a) || !isfinite(b) || a < 0 || b < 0) return NAN;
    return a + b > 0 ? 2 * a * b / (a + b) : 0;
}
