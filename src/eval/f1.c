/* F1 of a class: 2 right / (are + taken), the harmonic mean of precision and recall. As scikit-learn has it: where
 * nothing is of a class and nothing was taken for it, it is 0 of several labels, and no class of one label. */
#include <math.h>

#include "eval/counted.h"

static double f1_of(const lf_class_counts *c, int64_t k) {
    const int64_t both = c->are[k] + c->taken[k];
    return both ? 2 * (double)c->right[k] / (double)both : 0;
}

double lf_count_f1_macro(const lf_class_counts *c) {
    double sum = 0;
    int64_t n = 0;
    for (int64_t k = 0; k < c->n; k++) {
        if (!c->several && !c->are[k] && !c->taken[k]) continue;
        sum += f1_of(c, k);
        n++;
    }
    return n && c->rows ? sum / (double)n : NAN;
}

double lf_count_f1_weighted(const lf_class_counts *c) {
    double sum = 0;
    int64_t are = 0;
    for (int64_t k = 0; k < c->n && c->all; k++) {
        sum += (double)c->are[k] * f1_of(c, k);
        are += c->are[k];
    }
    return are ? sum / (double)are : NAN;
}

/* Of one label it is the accuracy, and not said twice. */
double lf_count_f1_micro(const lf_class_counts *c) {
    int64_t right = 0, both = 0;
    for (int64_t k = 0; k < c->n && c->all && c->several; k++) {
        right += c->right[k];
        both += c->are[k] + c->taken[k];
    }
    return both ? 2 * (double)right / (double)both : NAN;
}
