#include "eval/counted.h"

#define COUNTED(name) lf_count_fn lf_count_##name;
#include "stats/figures.def"

static lf_count_fn *const functions[LF_N_COUNTED] = {
#define COUNTED(name) lf_count_##name,
#include "stats/figures.def"
};

void lf_count_all(double counted[LF_N_COUNTED], const lf_class_counts *c) {
    for (int i = 0; i < LF_N_COUNTED; i++) counted[i] = functions[i](c);
}
