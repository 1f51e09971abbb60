/* What starts that look at data are told of them (init.def: reads TARGET, KEPT, BOTH or GRADIENT).
 *
 * This folder knows modules and no data: who attaches the adapter brings the passes (train/calibrate.c), and probes on
 * the adapters, which leave the base as it is, collect what is wanted while it computes. All in all:
 *
 *   inputs     C = sum of x x^T [in,in] and the sum of x, in double, over the rows x that are no padding
 *   gradient   of the loss by the weight, [out,in] in float
 *
 * Modules that see the same x (q, k, v) share their inputs.
 *
 * Memory is bounded: where all modules' take more than lf_calibration_bytes, some modules are started at a time, and
 * the passes run again for the next. What is found does not depend on that: an adapter that is started leaves the base
 * as it is to the last bit, and passes are the same each time. It does depend, in its last digits, on the number of
 * threads. */
#ifndef LF_ADAPTER_CALIBRATE_H
#define LF_ADAPTER_CALIBRATE_H

#include "adapter/adapter.h"

extern size_t lf_calibration_bytes; /* 1 GiB; a test makes it less */

struct lf_calibrate {
    /* Runs the base, adapters on, over its examples, TARGET or KEPT: forward for inputs; or GRADIENT: back too. The
     * same passes at each call. Fills nothing but what probes ask for. */
    lf_status (*run)(void *context, lf_init_reads what, lf_err *err);
    void *context;
};

/* Of the inputs of one module: C and the sum, over `rows` rows. */
typedef struct lf_inputs {
    int64_t rows;
    double *moments, *sum;
} lf_inputs;

/* Of one module. What the start does not read is NULL. */
typedef struct lf_seen {
    lf_inputs target, kept; /* of the new task's examples, of those that are to be kept */
    float *gradient;
} lf_seen;

typedef struct lf_calibration lf_calibration;

/* Can o's start be calibrated on all of these? LF_EUNSUPPORTED where one is no linear layer of the body (an embedding,
 * the output layer), LF_EUSAGE without passes. */
lf_status lf_calibration_check(lf_module *const *modules, int64_t n, const lf_adapter_opts *o, lf_err *err);
/* Runs the passes for the first of the modules, as many as memory is meant for, at least one: *n, in and out. They have
 * adapters. LF_EDATA where a module sees no row, or numbers that are not finite. */
lf_status lf_calibration_collect(lf_calibration **out, lf_module *const *modules, int64_t *n, lf_init_reads reads,
                                 const lf_calibrate *calibrate, lf_err *err);
/* What was found of a module; NULL if c is NULL or m is not among them. Of c. */
const lf_seen *lf_calibration_seen(const lf_calibration *c, const lf_module *m);
void lf_calibration_free(lf_calibration *c);

#endif
