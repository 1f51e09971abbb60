/* Whether a merged model says what its base says with the adapter. */
#ifndef LF_TOOLS_MERGED_H
#define LF_TOOLS_MERGED_H

#include "model/model.h"

/* Merges `adapter` into the model in folder `base`, in a folder of $TMPDIR that goes again, and compares its logits of
 * a fixed input with those of m, which is the two put together. `said`: the largest difference. LF_EDATA: it is more
 * than rounding explains. A base of more than 2 GiB, as floats, is not merged, which `said` says. */
lf_status lf_merged_agrees(const lf_model *m, const lf_kernels *k, const char *base, const char *adapter, char *said,
                           size_t size, lf_err *err);

#endif
