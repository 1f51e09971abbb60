/* Many comparisons at once, and answers to the same examples. */
#include <math.h>

#include "stats/stats.h"

/* By rising p, which are few: a search for each place. */
void lf_holm(double *p, int64_t n) {
    int64_t numbers = 0;
    double largest = 0;
    for (int64_t i = 0; i < n; i++) numbers += !isnan(p[i]);
    for (int64_t place = 0; place < numbers; place++) {
        /* those before it hold adjusted values, which are marked by their sign until all are done */
        int64_t next = -1;
        for (int64_t i = 0; i < n; i++)
            if (!isnan(p[i]) && !signbit(p[i]) && (next < 0 || p[i] < p[next])) next = i;
        largest = fmax(largest, fmin((double)(numbers - place) * p[next], 1));
        p[next] = -largest;
    }
    for (int64_t i = 0; i < n; i++) p[i] = fabs(p[i]);
}

/* P(X <= k) of X binomial with n and 1/2, in logarithms. */
static double binomial_below(int64_t k, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i <= k; i++)
        sum += exp(lgamma((double)n + 1) - lgamma((double)i + 1) - lgamma((double)(n - i) + 1) - (double)n * log(2));
    return sum;
}

lf_change lf_change_of(lf_transitions t) {
    const double z = LF_NORMAL_975;
    if (t.n < 1) return (lf_change){NAN, NAN, NAN, NAN};
    const double n = (double)t.n, won = (double)t.won, lost = (double)t.lost, more = n + 2;
    const double centre = (won - lost) / more, half = z * sqrt(fmax(won + lost + 1 - more * centre * centre, 0)) / more;
    const int64_t changed = t.won + t.lost, fewer = t.won < t.lost ? t.won : t.lost;
    return (lf_change){.mean = (won - lost) / n,
                       .low = fmax(centre - half, -1),
                       .high = fmin(centre + half, 1),
                       .p = changed ? fmin(2 * binomial_below(fewer, changed), 1) : 1};
}
