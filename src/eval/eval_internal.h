/* What the files of this folder share, and its tests look at. */
#ifndef LF_EVAL_EVAL_INTERNAL_H
#define LF_EVAL_EVAL_INTERNAL_H

#include "eval/eval.h"

int64_t lf_argmax(const float *x, int64_t n); /* the first of equals */
double lf_log_sum_exp(const float *x, int64_t n);

/* Two distributions over n classes, as logits: *ce = -sum p_base log p_tuned, *kl = sum p_base (log p_base - log
 * p_tuned). The same logits give kl = 0 exactly. */
void lf_divergence(const float *base, const float *tuned, int64_t n, double *ce, double *kl);
/* The same of n labels of which each holds or not: the mean over them. */
void lf_divergence_of_several(const float *base, const float *tuned, int64_t n, double *ce, double *kl);
/* log(1 + exp(-|x|)) + max(x, 0) - x t: the loss of a logit x where the share t is right; it loses nothing far from 0.
 */
double lf_yes_or_no_loss(double x, double t);

/* lf_evaluate, and all logits [N, classes] to a safetensors file. */
lf_status lf_evaluate_saving(lf_accuracy *out, lf_model *m, lf_graph *g, lf_module *head, lf_examples *e,
                             const lf_eval_opts *opts, const char *path, lf_err *err);

enum { LF_KNN_NEIGHBOURS = 20 };
#define LF_KNN_TEMPERATURE 0.07

/* Leave-one-out: each of n features [n, dim] is classified by its nearest others, by cosine; of equally near ones the
 * first, of equal votes the lowest label. labels are 0 .. n_classes - 1. NAN for n < 2. */
lf_status lf_knn_accuracy(double *out, const lf_kernels *k, const float *features, const int32_t *labels, int64_t n,
                          int64_t dim, int64_t n_classes, lf_err *err);

#endif
