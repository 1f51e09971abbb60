/* Items made ahead by threads and handed out in order. A thread claims the next item whenever one of a few slots is
 * free, so items are made out of order but claimed and handed out in order, and what an item is depends on its number
 * alone. */
#ifndef LF_DATA_AHEAD_H
#define LF_DATA_AHEAD_H

#include "base/error.h"

typedef struct lf_ahead lf_ahead;

typedef struct lf_ahead_work {
    /* Called for 0, 1, ... in order, never two at a time: writes into the slot what it is to hold. May be NULL. */
    void (*assign)(void *context, void *slot, int64_t number);
    /* Called by any thread, beside others. */
    lf_status (*make)(void *context, void *slot, lf_err *err);
    void *context;
} lf_ahead_work;

enum { LF_AHEAD_SPARE = 2 }; /* slots beside those being made: one in the caller's hands, one waiting for it */

/* `total` items; slots: workers + LF_AHEAD_SPARE objects of slot_size bytes, the caller's, which outlive *out. */
lf_status lf_ahead_new(lf_ahead **out, const lf_ahead_work *work, void *slots, size_t slot_size, int64_t workers,
                       int64_t total, lf_err *err);
/* The next slot, valid until the next call; NULL at the end. A failure is returned in the place of its item. */
lf_status lf_ahead_next(lf_ahead *a, void **slot, lf_err *err);
double lf_ahead_waited(const lf_ahead *a); /* seconds that lf_ahead_next waited, the first item left out */
void lf_ahead_free(lf_ahead *a);           /* stops the threads */

#endif
