/* The processes that do one verb together, if there are several: "ranks", as MPI calls them, of which each has a number
 * and a part of the work. How they reach each other is the program's (lf_transport of lora_ft.h); alone, there is one
 * rank, number 0, all that is said here is done at once, and nothing can fail.
 *
 * All ranks have the same configuration and come by the same calls in the same order. So what they decide, they decide
 * alike, by numbers that all of them have; what one alone knows (a signal, a file that cannot be read) is agreed on
 * before anybody acts. Sums are not made here: an order of adding would be hidden in it. */
#ifndef LF_BASE_WORLD_H
#define LF_BASE_WORLD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

int lf_world_rank(void);
int lf_world_size(void);
bool lf_world_is_first(void);                                 /* of rank 0, which alone writes */
const char *lf_world_name(int rank, char *text, size_t size); /* "rank 2 (node7)" */

/* ---- one to one ---- */

/* May return before it has arrived: `data` stay as they are until lf_world_sent. Messages of a pair arrive in order,
 * and both know how long they are. */
lf_status lf_world_send(int to, const void *data, size_t bytes, lf_err *err);
lf_status lf_world_sent(lf_err *err); /* all that was sent has left */
lf_status lf_world_receive(int from, void *data, size_t bytes, lf_err *err);

/* ---- all together ---- */

/* The bytes of one of them, to all. */
lf_status lf_world_share(int from, void *data, size_t bytes, lf_err *err);
/* Those of each, to rank 0: all [size], which the others do not read. */
lf_status lf_world_gather(const void *mine, void *all, size_t bytes, lf_err *err);
/* Did it go well on every rank? Else the failure of the first that had one, on all of them, with its name in front. */
lf_status lf_world_agree(lf_status rc, lf_err *err);
/* The same of what rank 0 alone has done. */
lf_status lf_world_first_did(lf_status rc, lf_err *err);
/* Each of n flags: is it so on any rank? */
lf_status lf_world_any(bool *flags, int n, lf_err *err);
/* LF_EUSAGE on all of them, naming rank and texts, unless each rank has the same text as rank 0; `advice` says what to
 * try. */
lf_status lf_world_same(const char *what, const char *text, const char *advice, lf_err *err);

/* ---- failures ---- */

void lf_world_name_failure(lf_err *why, int rank); /* whose it is, in front */
/* Of a failure that every rank returns now, because all have seen what it is made of: it need not be agreed on. */
lf_status lf_world_all_know(lf_status rc);

#endif
