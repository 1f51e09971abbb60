/* Who does what, among processes on any machines that share a folder. Nothing but the folder is needed: no locks, which
 * network file systems may lack, and no clock but the file server's.
 *
 *   FOLDER/claims/NAME.1, NAME.2, ...   a claim each: who has it, in one line of JSON, and in another how it ended
 *
 * The claim of NAME is the last of them. A file is made by linking one that is whole to its name, which of two can only
 * one do, on every version of NFS. Its owner touches it every 30 s. Where it has ended, was not touched for 10 minutes,
 * or is of a process of this machine that is gone, it may be taken over: the next file is made. An owner that comes
 * back (a machine that slept, a network that was cut) finds it, and knows that the claim is its own no longer.
 *
 * Taken over is by a new file and not by renaming the old one aside: a second process that also saw it stale, but was
 * slower, would rename the claim of the first. */
#ifndef LF_SWEEP_CLAIMS_H
#define LF_SWEEP_CLAIMS_H

#include "base/error.h"
#include "base/process.h"

typedef struct lf_claims {
    char *dir, *clock; /* the folder; a file of this process's own, by whose time the file server tells its own */
    char *line;        /* who it is */
    char id[64];
    lf_process me;
    unsigned made; /* files for linking, so far */
} lf_claims;
lf_status lf_claims_open(lf_claims *c, const char *folder, lf_err *err); /* makes FOLDER/claims */
void lf_claims_close(lf_claims *c);                                      /* zeros are allowed */

/* One that is this process's. Zeros: none. */
typedef struct lf_claim {
    const struct lf_claims *of; /* borrowed */
    char *path, *next;          /* its file, and the one by which it would be lost */
    double touched;             /* lf_now() */
} lf_claim;

/* How a claim is found that is not free. */
typedef struct lf_claimed {
    bool held;      /* by a process that is at work, as far as can be known */
    double silent;  /* seconds since its process was last heard of, where it is held or lost */
    bool lost;      /* its process is gone, or was not heard of for 10 minutes: it may be taken over */
    char ended[16]; /* else how it ended, for good: not LF_CLAIM_FREE */
    lf_process by;
} lf_claimed;

/* How NAME is found; neither held nor ended: it is free. */
lf_status lf_claim_ask(lf_claimed *found, lf_claims *c, const char *name, lf_err *err);

#define LF_CLAIM_FREE "free" /* ended so that the next one may have it at once */

/* Takes NAME if it is free; else out->path is NULL and *found says why. */
lf_status lf_claim_take(lf_claim *out, lf_claims *c, const char *name, lf_claimed *found, lf_err *err);
/* To be called again and again: touches it when it is time. False: it is another's now. */
bool lf_claim_keep(lf_claim *c);
/* Says how it ended, for all to read, if it is still this process's; and frees it. Where that cannot be written, it
 * shows as not touched. */
void lf_claim_end(lf_claim *c, const char *how);

/* Of the names that begin with `prefix`, how many are held by others; *first is one who does. */
lf_status lf_claims_held(int64_t *n, lf_process *first, lf_claims *c, const char *prefix, lf_err *err);
/* Removes all but those whose names begin with `prefix`: only while nobody is at work. */
lf_status lf_claims_clear(lf_claims *c, const char *prefix, lf_err *err);
/* Removes what processes left that were killed, beside their claims: as far as they are known to be gone, or were not
 * heard of for 10 minutes. At any time: whose clock is missing makes it anew. */
void lf_claims_tidy(const lf_claims *c);

/* Was the file, if there is one, written in the last `seconds`, by the file server's clock? */
lf_status lf_claims_is_recent(bool *is, const lf_claims *c, const char *path, double seconds, lf_err *err);

#endif
