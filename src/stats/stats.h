/* Statistics of comparisons between runs: intervals over seeds, and trade-offs between what is gained and what is lost.
 * Plain functions of numbers: nothing here knows runs, files or models. What each is for: docs/method.md,
 * "Gain and cost". */
#ifndef LF_STATS_STATS_H
#define LF_STATS_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "stats/change.h"

#define LF_NORMAL_975 1.959963984540054 /* the 97.5 % quantile of the normal distribution */

/* The p-quantile of Student's t distribution with `dof` >= 1 degrees of freedom, 0 < p < 1; NAN for anything else.
 * Relative error below 1e-9 for p from 1e-15 to 1 - 1e-15 (from the finite series for whole degrees of freedom,
 * Abramowitz and Stegun 26.7.3-4, by bisection; above 10000 from the expansion around the normal distribution, 26.7.5).
 */
double lf_t_quantile(double p, int64_t dof);

/* n numbers: mean, sample standard deviation (n - 1), two-sided 95 % t interval of the mean. Numbers that are not
 * finite make all NAN; n = 0: all NAN; n = 1: sd, low and high NAN. */
typedef struct lf_sample {
    int64_t n;
    double mean, sd, low, high;
} lf_sample;
lf_sample lf_sample_of(const double *x, int64_t n);
/* Of the differences a[i] - b[i]. */
lf_sample lf_sample_paired(const double *a, const double *b, int64_t n);

/* Two-sided p-value of Student's t test that the mean of the sample's source is 0. 1 where all are 0, 0 where all are
 * the same other number; NAN for n < 2. */
double lf_t_p(lf_sample s);
/* p-values as they are when all of them are looked at together (Holm 1979), in place: each becomes the largest of
 * (m - k) p over those up to it, k from 0 by rising p, at most 1; m counts those that are numbers, the others stay. */
void lf_holm(double *p, int64_t n);

/* 95 % interval of a share `p` found in n trials (Wilson 1927), which stays within 0 and 1 however few they are or
 * however sure; NAN for n < 1 or a p that is no share. */
void lf_wilson(double p, int64_t n, double *low, double *high);

/* An outcome: more `gain` is better, less `cost` is better. Outcomes with a number that is not finite are left out
 * everywhere. */
typedef struct lf_outcome {
    double gain, cost;
} lf_outcome;

/* front[i]: no other outcome is at least as good in both and better in one. Of equal outcomes all are on the front. */
void lf_pareto(bool *front, const lf_outcome *p, int64_t n);

/* The area that the outcomes dominate within gain >= reference.gain, cost <= reference.cost. What is not better than
 * the reference in both adds nothing. 0 for none; NAN for a reference that is not finite, or if there is no memory. */
double lf_hypervolume(const lf_outcome *p, int64_t n, lf_outcome reference);

/* The cost at which a gain is to be had: on the front of the outcomes, linearly between neighbours. A gain below the
 * front's least costs what the least costs; one above its most is not to be had: NAN. */
double lf_cost_at_gain(const lf_outcome *p, int64_t n, double gain);

/* The knee of a curve whose ends are its first and last point: of the points between, the one that lies farthest on the
 * better side of the straight line between the ends, on axes that both run from the least to the most of the curve
 * (Satopaa et al. 2011, for few points). -1: there is none; the line's own points are none, nor is anything on a curve
 * that does not move along both axes. Points that are not finite are passed over; the ends must be finite. */
int64_t lf_knee(const lf_outcome *p, int64_t n);

/* One of several that can be chosen: a figure of it, and what it forgot. NAN: not measured. */
typedef struct lf_candidate {
    double figure, cost;
} lf_candidate;
/* What is wished for. */
typedef struct lf_wish {
    bool less_is_better; /* of the figure */
    double most_cost;    /* NAN: whatever it costs */
} lf_wish;
/* Is a better than b? One that has the figure is better than one that has not; one within most_cost than one beyond; of
 * two beyond, the one that costs less; then the better figure; of equal ones the one that costs less. So where nothing
 * is within, the one that costs least is the best. Of equals in all neither: whoever goes through a list keeps the
 * first. */
bool lf_is_better(const lf_wish *w, lf_candidate a, lf_candidate b);
bool lf_is_within(const lf_wish *w, lf_candidate c);

/* 2ab / (a + b) of shares; 0 if both are 0; NAN if one is negative or not finite. */
double lf_harmonic_mean(double a, double b);

#endif
