#include "continual/between.h"

#include <string.h>

#define LF_BETWEEN(name) extern const lf_between lf_between_##name;
#include "continual/between.def"
#undef LF_BETWEEN

static const lf_between *const all[] = {
#define LF_BETWEEN(name) &lf_between_##name,
#include "continual/between.def"
#undef LF_BETWEEN
};

const lf_between *lf_between_find(const char *name) {
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i]->name, name) == 0) return all[i];
    return NULL;
}
