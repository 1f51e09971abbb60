/* The best of several, where what was forgotten may count. */
#include <math.h>

#include "stats/stats.h"

/* Nobody knows what it costs: it is not within a limit. */
bool lf_is_within(const lf_wish *w, lf_candidate c) { return isnan(w->most_cost) || c.cost <= w->most_cost; }

bool lf_is_better(const lf_wish *w, lf_candidate a, lf_candidate b) {
    if (isnan(a.figure) || isnan(b.figure)) return !isnan(a.figure);
    const bool a_within = lf_is_within(w, a), b_within = lf_is_within(w, b);
    if (a_within != b_within) return a_within;
    if (!a_within && a.cost != b.cost) return a.cost < b.cost || (isnan(b.cost) && !isnan(a.cost));
    if (a.figure != b.figure) return w->less_is_better ? a.figure < b.figure : a.figure > b.figure;
    return a.cost < b.cost;
}
