/* Processes that work on one sweep together: who they are, and their turns at what one alone may do (writing the
 * sweep's files and its tables). A process that was killed, or is not heard of for ten minutes, is counted no longer.
 */
#ifndef LF_SWEEP_SHARE_H
#define LF_SWEEP_SHARE_H

#include "sweep/claims.h"
#include "sweep/points.h"

typedef struct lf_share {
    const char *dir; /* of the sweep, borrowed */
    lf_claims claims;
    lf_claim turn, member; /* one's own */
    int64_t others;        /* that were at work when this one joined */
    lf_process other;      /* one of them */
    bool afresh;           /* what is in the folder is to be removed: as asked for, if it was there before */
    bool begun_since;      /* asked for, but a sweep was begun there after this process was started */
} lf_share;

/* Before anything else. After an error, too, the caller closes it. */
lf_status lf_share_open(lf_share *s, const char *dir, lf_err *err);
void lf_share_close(lf_share *s); /* gives back what it has; zeros are allowed */

/* Waits until nobody else has the turn. LF_EINTERRUPTED after lf_interrupt. */
lf_status lf_share_take_turn(lf_share *s, lf_err *err);
void lf_share_end_turn(lf_share *s);

/* In one's turn, before lf_points_open: who is at work, and whether a folder that is to begin afresh may: what others
 * are doing, or have done since this process was started, `seconds` ago, is not removed, but joined. So one command
 * with overwrite_output_dir may be started on many machines at once, and it does not matter who is late. */
lf_status lf_share_look(lf_share *s, bool afresh, double seconds, lf_err *err);
/* In one's turn: joins those who are at work on these points, or begins with a folder that is written anew. LF_EFAIL
 * where others are at work on another sweep there. */
lf_status lf_share_join(lf_share *s, const lf_points *p, lf_err *err);
void lf_share_leave(lf_share *s);
int64_t lf_share_processes(lf_share *s); /* that are at work, this one among them */
/* To be called again and again, as lf_claim_keep. False: this process was thought dead, and others have begun anew in
 * the folder. */
bool lf_share_keep(lf_share *s);

#endif
