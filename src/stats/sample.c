/* Means and intervals over seeds. */
#include <math.h>
#include <stddef.h>

#include "stats/stats.h"

/* P(|T| <= t) by the finite series for whole degrees of freedom: Abramowitz and Stegun 26.7.3 (odd) and 26.7.4 (even). */
static double central_share(double t, int64_t dof) {
    const bool odd = dof % 2;
    const double angle = atan2(t, sqrt((double)dof)), c2 = cos(angle) * cos(angle);
    double term = odd ? cos(angle) : 1, sum = dof > 1 ? term : 0;
    for (int64_t k = odd ? 2 : 1; k <= dof - 3; k += 2) {
        term *= c2 * (double)k / (double)(k + 1);
        sum += term;
    }
    return odd ? (angle + sin(angle) * sum) * 2 / acos(-1) : sin(angle) * sum;
}

double lf_t_quantile(double p, int64_t dof) {
    enum { NEARLY_NORMAL = 100000 }; /* beyond, the quantile changes in the sixth digit only, and the series is long */
    if (!(p > 0 && p < 1) || dof < 1) return NAN;
    if (dof > NEARLY_NORMAL) dof = NEARLY_NORMAL;
    const double share = fabs(2 * p - 1);
    double low = 0, high = 1;
    while (central_share(high, dof) < share && high < 1e300) high *= 2;
    for (int i = 0; i < 100; i++) {
        const double middle = low + (high - low) / 2;
        if (central_share(middle, dof) < share) low = middle;
        else high = middle;
    }
    return p < 0.5 ? -high : high;
}

static double difference(const double *a, const double *b, int64_t i) { return b ? a[i] - b[i] : a[i]; }

/* Of a[i], or of a[i] - b[i]. */
static lf_sample sample(const double *a, const double *b, int64_t n) {
    lf_sample s = {n, NAN, NAN, NAN, NAN};
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) sum += difference(a, b, i);
    if (n < 1 || !isfinite(sum)) return s;
    s.mean = sum / (double)n;
    if (n < 2) return s;
    for (int64_t i = 0; i < n; i++) squares += (difference(a, b, i) - s.mean) * (difference(a, b, i) - s.mean);
    s.sd = sqrt(squares / (double)(n - 1));
    const double half = lf_t_quantile(0.975, n - 1) * s.sd / sqrt((double)n);
    s.low = s.mean - half;
    s.high = s.mean + half;
    return s;
}

lf_sample lf_sample_of(const double *x, int64_t n) { return sample(x, NULL, n); }
lf_sample lf_sample_paired(const double *a, const double *b, int64_t n) { return sample(a, b, n); }
