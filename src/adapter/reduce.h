/* An adapter's file with a smaller rank. */
#ifndef LF_ADAPTER_REDUCE_H
#define LF_ADAPTER_REDUCE_H

#include "adapter/adapter.h"

/* What became of a module's update dW. */
typedef struct lf_reduced {
    const char *name;       /* as the file spells it; borrowed from it */
    int64_t was, r;         /* ranks of the two files */
    double energy, dropped; /* |dW|^2, the sum of its squares, and what of that is not in the new one */
} lf_reduced;

/* Writes f's adapter with rank r into the folder `dir` (aside, then renamed): of each module whose rank is larger the
 * nearest update of rank r, all else as it stands in f's folder. *modules [*n], freed by lf_free. LF_EUSAGE: no module
 * has a larger rank. LF_EUNSUPPORTED for magnitudes (DoRA) and heads alone. LF_EDATA: factors that are not finite. */
lf_status lf_adapter_save_reduced(lf_reduced **modules, int64_t *n, const lf_adapter_file *f, int64_t r,
                                  const char *dir, lf_err *err);

#endif
