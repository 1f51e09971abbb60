#define _POSIX_C_SOURCE 200809L
#include "sweep/share.h"

#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/string.h"

/* Names in claims/ that are no point's, which begin with a key's name. The files of turns stay for ever: who looks for
 * the last of them begins at the first. */
static const char TURN[] = "@turn", MEMBER[] = "@member-";

lf_status lf_share_open(lf_share *s, const char *dir, lf_err *err) {
    *s = (lf_share){.dir = dir};
    return lf_claims_open(&s->claims, dir, err);
}

void lf_share_close(lf_share *s) {
    lf_share_leave(s);
    lf_share_end_turn(s);
    lf_claims_close(&s->claims);
}

/* ---- turns ---- */

/* Longer from time to time: a folder on a network is not to be asked all the while. */
static void wait_longer(long *milliseconds) {
    const struct timespec pause = {.tv_sec = *milliseconds / 1000, .tv_nsec = *milliseconds % 1000 * 1000000};
    nanosleep(&pause, NULL);
    if (*milliseconds < 1000) *milliseconds *= 2;
}

lf_status lf_share_take_turn(lf_share *s, lf_err *err) {
    lf_claimed found;
    lf_status rc;
    long pause = 10;
    bool said = false;
    while (!(rc = lf_claim_take(&s->turn, &s->claims, TURN, &found, err)) && !s->turn.path) {
        if (lf_interrupted()) return lf_fail(err, LF_EINTERRUPTED, "interrupted while waiting for %s", s->dir);
        if (pause >= 160 && !said) {
            lf_info("%s: waiting for process %lld on %s, which writes its files (or was killed: then for ten minutes)",
                    s->dir, (long long)found.by.number, found.by.host);
            said = true;
        }
        wait_longer(&pause);
    }
    return rc;
}

void lf_share_end_turn(lf_share *s) { lf_claim_end(&s->turn, LF_CLAIM_FREE); }

/* ---- members ---- */

lf_status lf_share_look(lf_share *s, bool afresh, double seconds, lf_err *err) {
    char *sweep = lf_path_join(s->dir, "sweep.json");
    lf_status rc = sweep ? LF_OK : lf_no_memory(err, "a sweep");
    s->begun_since = false;
    if (!rc) rc = lf_claims_held(&s->others, &s->other, &s->claims, MEMBER, err);
    if (!rc && afresh) rc = lf_claims_is_recent(&s->begun_since, &s->claims, sweep, seconds, err);
    s->afresh = afresh && !s->others && !s->begun_since;
    if (!rc && afresh && !s->afresh)
        lf_info("%s: overwrite_output_dir removes nothing here: %s", s->dir,
                s->others ? "others are at work on it, and this process joins them"
                          : "it was begun after this process was started, which goes on with it");
    lf_free(sweep);
    return rc;
}

static lf_status begin(lf_share *s, const lf_points *p, lf_err *err) {
    const lf_status rc = lf_claims_clear(&s->claims, TURN, err);
    return rc ? rc : lf_points_write(p, err);
}

static lf_status check_same(const lf_share *s, const lf_points *p, lf_err *err) {
    bool same = false;
    const lf_status rc = lf_points_are_there(&same, p, err);
    if (rc || same) return rc;
    if (!s->others)
        return lf_fail(err, LF_EFAIL,
                       "%s: another sweep was begun in this folder after this one was started; choose another "
                       "output_dir, or start this one again to overwrite that",
                       s->dir);
    return lf_fail(err, LF_EFAIL,
                   "%s: another sweep is at work in this folder (process %lld on %s; one that was killed on another "
                   "machine counts for ten minutes); wait for it, or choose another output_dir",
                   s->dir, (long long)s->other.number, s->other.host);
}

lf_status lf_share_join(lf_share *s, const lf_points *p, lf_err *err) {
    lf_claimed found;
    lf_status rc = s->others || s->begun_since ? check_same(s, p, err) : LF_OK;
    if (!rc && !s->others) rc = begin(s, p, err);
    if (rc) return rc;
    lf_claims_tidy(&s->claims);
    char *name = lf_format("%s%s", MEMBER, s->claims.id);
    rc = name ? lf_claim_take(&s->member, &s->claims, name, &found, err) : lf_no_memory(err, "a sweep");
    lf_free(name);
    return rc;
}

void lf_share_leave(lf_share *s) { lf_claim_end(&s->member, LF_CLAIM_FREE); }

int64_t lf_share_processes(lf_share *s) {
    lf_process first;
    int64_t n;
    return lf_claims_held(&n, &first, &s->claims, MEMBER, NULL) || n < 1 ? 1 : n;
}

bool lf_share_keep(lf_share *s) { return !s->member.path || lf_claim_keep(&s->member); }
