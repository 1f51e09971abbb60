/* The order of the tasks. */
#ifndef LF_CONTINUAL_ORDER_H
#define LF_CONTINUAL_ORDER_H

#include <stdbool.h>
#include <stdint.h>

/* Order number k of n things, into order [n]: 0 is 0, 1, ...; each k from 1 on a permutation that no smaller k has,
 * drawn at random, the same for all who ask. false: n things have not so many orders. `room`: n * (k + 1) numbers. */
bool lf_task_order(int64_t *order, int64_t n, int64_t k, int64_t *room);
/* Are there more than k? */
bool lf_task_has_order(int64_t n, int64_t k);

#endif
