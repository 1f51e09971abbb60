/* The live table of a sweep on stderr: on a terminal what runs, step and loss of each and how long the rest will take,
 * redrawn once a second; elsewhere a line for each run that ends. */
#ifndef LF_SWEEP_TABLE_H
#define LF_SWEEP_TABLE_H

#include "sweep/points.h"

typedef struct lf_table lf_table;
lf_table *lf_table_new(const lf_points *p, int64_t jobs); /* p is borrowed; NULL: out of memory */
void lf_table_started(lf_table *t, int64_t point);
/* How many runs are at work at a time, in all processes; 0: they are being stopped, and no time is said. */
void lf_table_workers(lf_table *t, int64_t runs);
/* Its state stands in p. seconds NAN: another process ran it. why: of one that failed, or is done all the same
 * (sweep/ending.h); NULL and "": none. */
void lf_table_ended(lf_table *t, int64_t point, double seconds, const char *why);
void lf_table_draw(lf_table *t);                  /* when it is time */
void lf_table_say(lf_table *t, const char *line); /* above the table */
void lf_table_clear(lf_table *t);                 /* off the terminal, for a line of somebody else's */
void lf_table_free(lf_table *t);                  /* takes the table off the terminal; NULL is allowed */

#endif
