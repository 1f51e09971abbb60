#include "base/problem.h"

#include <string.h>

static const char *const names[LF_N_PROBLEMS] = {[LF_SINGLE_LABEL] = "single_label_classification",
                                                 [LF_MULTI_LABEL] = "multi_label_classification",
                                                 [LF_REGRESSION] = "regression"};

const char *lf_problem_name(lf_problem p) { return names[p]; }

bool lf_problem_named(lf_problem *out, const char *name) {
    for (int i = 0; i < LF_N_PROBLEMS; i++) {
        if (strcmp(names[i], name)) continue;
        *out = (lf_problem)i;
        return true;
    }
    return false;
}
