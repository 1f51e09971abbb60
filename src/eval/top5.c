/* Top-5 accuracy: the share of examples whose label is among the five that the head holds likeliest. It says nothing of
 * five classes or fewer. */
#include <math.h>

#include "eval/counted.h"

double lf_count_top5(const lf_class_counts *c) {
    return c->several || c->n <= LF_TOP || !c->rows ? NAN : (double)c->near / (double)c->rows;
}
