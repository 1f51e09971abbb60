/* A run that goes on and learns nothing: gradients that are exactly 0 for many steps (one class, units that all died),
 * or a loss that jumped to that of a guess and stays there. Told by the rows of
 * metrics.jsonl, while they are written and again at the end, so that a run that was stopped and went on is judged like
 * one that was not. */
#ifndef LF_TRAIN_STUCK_H
#define LF_TRAIN_STUCK_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct lf_stuck {
    double guess; /* the loss of one: ln(classes); NAN: it has none */
    double least; /* loss of the rows so far */
    double start; /* loss of the evaluation before the first step; 0: there was none */
    int64_t zero_from, at_guess_from,
        above_from; /* steps of the first rows that are so without a break; -1: the last is not */
    int64_t step;   /* of the last row */
} lf_stuck;

/* chance: of one of the classes (1/10), or of how many it is one (50257); anything else: there are none. */
lf_stuck lf_stuck_begin(double chance);
void lf_stuck_row(lf_stuck *s, const cJSON *row); /* without a loss: passed over, but for the start */
/* Since when, and how it shows; for at least 20 steps. False: it is not stuck, as far as can be told. */
bool lf_stuck_how(const lf_stuck *s, char *text, size_t size);
/* Has the loss stood far above a guess's, and above that of the start, for as long? That may have learned (a model that
 * is sure of all it says, also where it is wrong), so it is no result: a word while it runs. */
bool lf_stuck_is_above(const lf_stuck *s);
double lf_stuck_bar(const lf_stuck *s); /* the loss that is far above */
/* All rows of DIR/metrics.jsonl. */
lf_status lf_stuck_read(lf_stuck *s, const char *dir, lf_err *err);

#endif
