/* What is learned goes into the weights, and each task starts a new adapter on them: W_t is made of the base and all
 * factors so far, in one sum that is rounded once. What is judged is the base with one adapter of all of them. */
#include "continual/merged.h"

const lf_between lf_between_merge = {
    .name = "merge",
    .says = "After each task what was learned goes into the weights, and a new adapter starts on them.",
    .one_head = true,
    .adds_up = true,
    .check = lf_merged_check,
    .begin = lf_merged_begin};
