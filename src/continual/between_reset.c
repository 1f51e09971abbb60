/* Each task from the base, as if there were no other: what a sequence is compared with. */
#include "continual/between.h"

const lf_between lf_between_reset = {.name = "reset"};
