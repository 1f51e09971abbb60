/* What is asked of a row of logits. */
#include <math.h>

#include "eval/eval_internal.h"

int64_t lf_argmax(const float *x, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

double lf_yes_or_no_loss(double x, double t) { return log1p(exp(-fabs(x))) + fmax(x, 0) - x * t; }

double lf_log_sum_exp(const float *x, int64_t n) {
    const double most = (double)x[lf_argmax(x, n)];
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += exp((double)x[i] - most);
    return most + log(sum);
}
