/* Matthews' correlation, of several classes as Gorodkin has it (R_K): of n examples, r of them right, a_k of class k
 * and t_k taken for it, (n r - sum a_k t_k) / sqrt((n^2 - sum t_k^2) (n^2 - sum a_k^2)). 0 where that is 0 / 0, as in
 * scikit-learn. */
#include <math.h>

#include "eval/counted.h"

double lf_count_matthews(const lf_class_counts *c) {
    double n = 0, right = 0, at = 0, aa = 0, tt = 0;
    if (!c->all || c->several) return NAN;
    for (int64_t k = 0; k < c->n; k++) {
        const double a = (double)c->are[k], t = (double)c->taken[k];
        n += a;
        right += (double)c->right[k];
        at += a * t;
        aa += a * a;
        tt += t * t;
    }
    if (!(n > 0)) return NAN;
    const double below = (n * n - tt) * (n * n - aa);
    return below > 0 ? (n * right - at) / sqrt(below) : 0;
}
