/* Means over seeds and their intervals. */
#include <float.h>
#include <math.h>
#include <stddef.h>

#include "stats/stats.h"

static const double half_pi = 1.57079632679489661923;
enum { SERIES_MOST = 10000 }; /* degrees of freedom: above, the series is long and the expansion exact */

/* P(|T| <= t), or P(|T| > t) with `tail`: Abramowitz and Stegun 26.7.3-4, where tan(a) = t / sqrt(dof), a finite series
 * in cos(a). The infinite series adds up to 1, so its other terms are the tail: no difference of two numbers close
 * to 1. */
static double t_probability(double t, int64_t dof, bool tail) {
    const double root = sqrt((double)dof), c = root / hypot(root, t), s = t / hypot(root, t);
    const bool odd = dof % 2 == 1;
    const double scale = odd ? s / half_pi : s;
    double term = odd ? c : 1, sum = 0;
    int64_t k = odd; /* term: that of cos(a) to the power k */
    for (; k < dof; k += 2) {
        sum += term;
        term *= (double)(k + 1) / (double)(k + 2) * c * c;
    }
    if (!tail) return (odd ? atan2(t, root) / half_pi : 0) + scale * sum;
    for (sum = 0; term > DBL_EPSILON * s * s * sum; k += 2) { /* what follows a term is at most term / s^2 */
        sum += term;
        term *= (double)(k + 1) / (double)(k + 2) * c * c;
    }
    return scale * sum;
}

/* The same of the normal distribution. */
static double normal_probability(double z, int64_t dof, bool tail) {
    (void)dof;
    return tail ? erfc(z / sqrt(2)) : erf(z / sqrt(2));
}

/* Where P(|X| <= x) is inside, which is 1 - outside. */
static double bisect(double (*probability)(double, int64_t, bool), int64_t dof, double inside, double outside) {
    const bool tail = inside > 0.5; /* whichever of the two is the smaller has more digits */
    double low = 0, high = 1;
    while (high < DBL_MAX / 2 &&
           (tail ? probability(high, dof, true) > outside : probability(high, dof, false) < inside)) {
        low = high;
        high *= 2;
    }
    while (high - low > DBL_EPSILON * high) {
        const double middle = low + (high - low) / 2;
        if (middle <= low || middle >= high) break;
        if (tail ? probability(middle, dof, true) > outside : probability(middle, dof, false) < inside)
            low = middle;
        else
            high = middle;
    }
    return high;
}

/* Abramowitz and Stegun 26.7.5: what the normal quantile lacks, in powers of 1 / dof. */
static double expand(double z, double dof) {
    const double w = z * z;
    const double g1 = z * (w + 1) / 4, g2 = z * ((5 * w + 16) * w + 3) / 96,
                 g3 = z * (((3 * w + 19) * w + 17) * w - 15) / 384;
    return z + (g1 + (g2 + g3 / dof) / dof) / dof;
}

double lf_t_quantile(double p, int64_t dof) {
    if (!(p > 0 && p < 1) || dof < 1) return NAN;
    const double inside = fabs(1 - 2 * p), outside = 2 * (p < 0.5 ? p : 1 - p);
    if (inside <= 0) return 0;
    const double t = dof <= SERIES_MOST ? bisect(t_probability, dof, inside, outside)
                                        : expand(bisect(normal_probability, dof, inside, outside), (double)dof);
    return p < 0.5 ? -t : t;
}

double lf_t_p(lf_sample s) {
    if (s.n < 2 || !isfinite(s.sd)) return NAN;
    if (!(s.sd > 0)) return fabs(s.mean) > 0 ? 0 : 1;
    const double t = fabs(s.mean) * sqrt((double)s.n) / s.sd;
    return t > 0 ? (s.n - 1 <= SERIES_MOST ? t_probability : normal_probability)(t, s.n - 1, true) : 1;
}

/* b may be NULL. */
static lf_sample sample_of(const double *a, const double *b, int64_t n) {
    lf_sample s = {n, NAN, NAN, NAN, NAN};
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) sum += b ? a[i] - b[i] : a[i];
    if (n < 1 || !isfinite(sum)) return s;
    s.mean = sum / (double)n;
    if (n < 2) return s;
    for (int64_t i = 0; i < n; i++) {
        const double d = (b ? a[i] - b[i] : a[i]) - s.mean;
        squares += d * d;
    }
    s.sd = sqrt(squares / (double)(n - 1));
    const double half = lf_t_quantile(0.975, n - 1) * s.sd / sqrt((double)n);
    s.low = s.mean - half;
    s.high = s.mean + half;
    return s;
}

lf_sample lf_sample_of(const double *x, int64_t n) { return sample_of(x, NULL, n); }
lf_sample lf_sample_paired(const double *a, const double *b, int64_t n) { return sample_of(a, b, n); }

void lf_wilson(double p, int64_t n, double *low, double *high) {
    const double z = LF_NORMAL_975;
    *low = *high = NAN;
    if (n < 1 || !(p >= 0 && p <= 1)) return;
    const double N = (double)n, shrunk = 1 + z * z / N, centre = (p + z * z / (2 * N)) / shrunk,
                 half = z / shrunk * sqrt(p * (1 - p) / N + z * z / (4 * N * N));
    *low = fmax(centre - half, 0);
    *high = fmin(centre + half, 1);
}
