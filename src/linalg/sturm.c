#include "linalg/sturm.h"

#include <float.h>
#include <math.h>

/* The pivots of T - x I have the signs of its eigenvalues (Sylvester's law of inertia). */
int64_t lf_tridiagonal_count_above(const lf_tridiagonal *t, double x) {
    double largest = 1;
    for (int64_t i = 0; i + 1 < t->n; i++) largest = fmax(largest, t->e[i] * t->e[i]);
    const double smallest_pivot = DBL_MIN * largest; /* e^2 / pivot stays finite */
    int64_t count = 0;
    double pivot = 1;
    for (int64_t i = 0; i < t->n; i++) {
        pivot = t->d[i] - x - (i ? t->e[i - 1] * t->e[i - 1] / pivot : 0);
        if (fabs(pivot) < smallest_pivot) pivot = -smallest_pivot;
        count += pivot > 0;
    }
    return count;
}

double lf_tridiagonal_largest(const lf_tridiagonal *t) {
    double low = 0, high = 0; /* no eigenvalue lies above Gershgorin's circles */
    for (int64_t i = 0; i < t->n; i++)
        high = fmax(high, t->d[i] + (i ? fabs(t->e[i - 1]) : 0) + (i + 1 < t->n ? fabs(t->e[i]) : 0));
    for (;;) {
        const double middle = low + (high - low) / 2;
        if (middle <= low || middle >= high) return low;
        if (lf_tridiagonal_count_above(t, middle) > 0)
            low = middle;
        else
            high = middle;
    }
}

bool lf_tridiagonal_is_block(const lf_tridiagonal *t, int64_t s, int64_t r, double first, double last, double cluster) {
    return lf_tridiagonal_count_above(t, first * (1 + cluster)) <= s &&
           lf_tridiagonal_count_above(t, first * (1 - cluster)) > s &&
           lf_tridiagonal_count_above(t, last * (1 + cluster)) < s + r &&
           lf_tridiagonal_count_above(t, last * (1 - cluster)) >= s + r;
}
