#include "library/call.h"

#include <stdatomic.h>

static atomic_flag at_work = ATOMIC_FLAG_INIT;

lf_status lf_call_begin(lf_err *err) {
    if (!atomic_flag_test_and_set(&at_work)) return LF_OK;
    return lf_fail(err, LF_EUSAGE,
                   "the library is at work already, for another thread or for the call that this one was made in; make "
                   "one call after the other");
}

lf_status lf_call_end(lf_status rc) {
    if (rc == LF_EINTERRUPTED) lf_interrupt_reset();
    atomic_flag_clear(&at_work);
    return rc;
}
