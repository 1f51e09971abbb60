/* A split goes by several names: "val", "validation", ... */
#ifndef LF_DATA_SPLITS_H
#define LF_DATA_SPLITS_H

#include <stdbool.h>

/* The i-th of the names that mean the same as `split`, itself included; NULL at the end. A name of no known split has
 * only itself. */
const char *lf_split_alias(const char *split, int i);
/* The i-th split, by the first of its names: "train", "val", "test"; NULL at the end. */
const char *lf_split_at(int i);
/* The i-th of all names of all splits; NULL at the end. */
const char *lf_split_name(int i);
bool lf_split_known(const char *name);

#endif
