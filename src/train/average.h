/* An exponential moving average of what is trained (ema_decay), as timm's ModelEma keeps it: it begins as the weights,
 * and each step makes it keep a + (1 - keep) w. What is evaluated and handed on is the average; what is trained, and
 * what a checkpoint goes on with, are the weights, with the average beside them. */
#ifndef LF_TRAIN_AVERAGE_H
#define LF_TRAIN_AVERAGE_H

#include "nn/nn.h"

typedef struct lf_average {
    float *values; /* of the tensors one behind the other, in list order; NULL: there is none */
    double keep;   /* 0: none was asked for */
    const lf_kernels *k;
    const lf_trainable *list; /* borrowed */
    int64_t count;
} lf_average;

/* Of the weights as they are now. keep 0: none, and all the others do nothing. */
lf_status lf_average_open(lf_average *a, const lf_kernels *k, const lf_trainable *list, int64_t count, double keep,
                          lf_err *err);
void lf_average_free(lf_average *a);
void lf_average_step(lf_average *a); /* behind a step of the weights */
void lf_average_swap(lf_average *a); /* weights and average change places; twice is as before, to the last bit */
void lf_average_take(lf_average *a); /* the weights become the average, for good */

#endif
