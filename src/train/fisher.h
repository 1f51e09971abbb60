/* The diagonal of the empirical Fisher information of what was trained, for runs that go on with it (remedy_ewc.c).
 *
 * F_i = (sum over examples of (d nll / d x_i)^2) / (number of their targets), nll the sum of an example's losses: of an
 * example with one label the square of its gradient, of a text that of a token, where tokens are taken to be
 * independent. Examples are the first rows of the first epoch, without dropout. */
#ifndef LF_TRAIN_FISHER_H
#define LF_TRAIN_FISHER_H

#include "train/run.h"

#define LF_FISHER_FILE "fisher.safetensors"

/* Can a run be asked for it? LF_EUSAGE where what is exported has other numbers than what is trained. */
lf_status lf_fisher_check(const lf_run *run, lf_err *err);
/* At the end of a run with ewc_samples: output_dir/fisher.safetensors. Nothing in others. */
lf_status lf_fisher_write(lf_run *run, lf_err *err);
/* The two tensors of one that was trained: floats, of one size, finite, F not below 0. Both NULL: the file has none of
 * it. */
lf_status lf_fisher_find(const lf_st_tensor **fisher, const lf_st_tensor **value, const lf_safetensors *st,
                         const char *name, lf_err *err);

#endif
