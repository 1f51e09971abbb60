/* What remedies (remedies.h) add to the loss, as it is summed for the log and kept by checkpoints. */
#ifndef LF_TRAIN_TERMS_H
#define LF_TRAIN_TERMS_H

#include <stdint.h>

/* LF_REMEDY_l2_to_base, ... */
typedef enum lf_remedy_id {
#define LF_REMEDY(name, weight) LF_REMEDY_##name,
#include "train/remedies.def"
#undef LF_REMEDY
    LF_N_REMEDIES
} lf_remedy_id;

typedef struct lf_term {
    double sum;    /* with its weight */
    int64_t count; /* of steps or, of terms of examples, of targets: what the log divides by */
} lf_term;

#endif
