/* A call of what programs use: one at a time, and a stop that was asked for is of the call that it met. */
#ifndef LF_LIBRARY_CALL_H
#define LF_LIBRARY_CALL_H

#include "base/error.h"

/* LF_EUSAGE while another one lasts: of another thread, or of the function that the library has called. */
lf_status lf_call_begin(lf_err *err);
/* Returns rc, with which the call ends; where that is LF_EINTERRUPTED, what was asked for is done. */
lf_status lf_call_end(lf_status rc);

#endif
