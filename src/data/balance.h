/* An order of examples in which every class that has any comes as often as every other, whatever there are of it (the
 * key `sampler`). An epoch is as long as without. A class goes through a permutation of its examples before one comes
 * again, from epoch to epoch; what an epoch holds is a pure function of (seed, epoch). */
#ifndef LF_DATA_BALANCE_H
#define LF_DATA_BALANCE_H

#include <stdint.h>

#include "base/error.h"

typedef struct lf_balance lf_balance;
typedef int64_t lf_class_of(const void *data, int64_t i);

/* Of n examples of `classes` classes. Everything that orders need is allocated here. */
lf_status lf_balance_new(lf_balance **out, int64_t n, int64_t classes, lf_class_of *class_of, const void *data,
                         lf_err *err);
void lf_balance_free(lf_balance *b);
/* order [n]: numbers of examples. */
void lf_balance_order(lf_balance *b, uint64_t seed, int64_t epoch, int64_t *order);

#endif
