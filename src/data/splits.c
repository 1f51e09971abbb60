#include "data/splits.h"

#include <stddef.h>
#include <strings.h>

enum { MAX_ALIASES = 6 };
static const char *const split_names[][MAX_ALIASES] = {
    {"train", "training"}, {"val", "validation", "valid", "dev", "eval", "evaluation"}, {"test", "testing", "t10k"}};
enum { N_SPLITS = sizeof split_names / sizeof *split_names };

static int split_group(const char *name) {
    for (int g = 0; g < N_SPLITS; g++)
        for (int i = 0; i < MAX_ALIASES && split_names[g][i]; i++)
            if (!strcasecmp(name, split_names[g][i])) return g;
    return -1;
}

const char *lf_split_at(int i) { return i < N_SPLITS ? split_names[i][0] : NULL; }

const char *lf_split_name(int i) {
    for (int g = 0; g < N_SPLITS; g++)
        for (int k = 0; k < MAX_ALIASES && split_names[g][k]; k++)
            if (i-- == 0) return split_names[g][k];
    return NULL;
}

bool lf_split_known(const char *name) { return split_group(name) >= 0; }

const char *lf_split_alias(const char *split, int i) {
    const int g = split_group(split);
    if (g < 0) return i == 0 ? split : NULL;
    return i < MAX_ALIASES ? split_names[g][i] : NULL;
}
