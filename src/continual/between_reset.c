/* Each task from the base, as if there were no other: what a sequence is compared with. */
#include "continual/between.h"

const lf_between lf_between_reset = {
    .name = "reset",
    .alone = true,
    .says = "Each task begins with the base, as if there were no other: what sequences are compared with."};
