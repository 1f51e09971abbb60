/* How much an adapter changes what its layers say, on real inputs: F_Delta = |dW x| / |W x| (docs/method.md, "Size of
 * an update"; after CLoRA's |dW x| / |x|), both without the bias: the mean over an adapter's modules of the mean over
 * the rows x that each of them sees. Rows are tokens, in pictures those of the patches and of the class; padding and
 * rows with W x = 0 are left out. A module counts like any other however many rows it sees. */
#ifndef LF_TASK_UPDATE_RATIO_H
#define LF_TASK_UPDATE_RATIO_H

#include "task/source.h"

typedef struct lf_update_ratio lf_update_ratio;

/* What is looked at: enough for three digits, little beside an evaluation. */
enum { LF_UPDATE_EXAMPLES = 256, LF_UPDATE_TOKENS = 8192 };

/* Puts probes on all adapters of nn until lf_update_ratio_end, which gives the ratio (NAN: no adapter, or none saw a
 * row), takes them off and frees u (NULL is accepted: NAN). Forward passes between the two count. */
lf_status lf_update_ratio_begin(lf_update_ratio **u, lf_nn *nn, lf_err *err);
double lf_update_ratio_end(lf_update_ratio *u);
/* Of m on a role's data: 256 pictures, the same ones in every run on the same data whatever its seed; or text from its
 * beginning, to the batch in which token 8192 is. *out NAN if m has no adapter (nothing is run then). */
lf_status lf_update_ratio_measure(double *out, lf_task *t, lf_model *m, lf_data_role role, lf_err *err);

#endif
