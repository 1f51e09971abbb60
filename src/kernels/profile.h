/* Where a step's time goes: a table that calls another one and counts the seconds of each kind of kernel. */
#ifndef LF_KERNELS_PROFILE_H
#define LF_KERNELS_PROFILE_H

#include "kernels/kernels.h"

/* enum, name; kernels.def says which kernel belongs to which */
#define LF_PROFILE_LIST(X)                                                                                             \
    X(LF_PROFILE_FROZEN, "frozen products")                                                                            \
    X(LF_PROFILE_ADAPTER, "adapter products")                                                                          \
    X(LF_PROFILE_ATTENTION, "attention")                                                                               \
    X(LF_PROFILE_NORM, "norms")                                                                                        \
    X(LF_PROFILE_ACTIVATION, "activation functions")                                                                   \
    X(LF_PROFILE_ELEMENTWISE, "other elementwise")                                                                     \
    X(LF_PROFILE_LOSS, "embedding and loss") X(LF_PROFILE_OPTIMISER, "optimiser")

typedef enum lf_profile_kind {
#define LF_PROFILE_ENUM(e, name) e,
    LF_PROFILE_LIST(LF_PROFILE_ENUM)
#undef LF_PROFILE_ENUM
        LF_PROFILE_KINDS,
    LF_PROFILE_UNCOUNTED = LF_PROFILE_KINDS
} lf_profile_kind;

extern const char *const lf_profile_names[LF_PROFILE_KINDS];

/* A table like `k` whose calls are counted. There is one at a time: asking again gives the same table, over another k.
 */
const lf_kernels *lf_profile_table(const lf_kernels *k);
void lf_profile_reset(void);
double lf_profile_seconds(lf_profile_kind kind);

#endif
