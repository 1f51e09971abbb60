#define _POSIX_C_SOURCE 200809L
#include "base/world.h"

#include <assert.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"

static const lf_transport *transport; /* NULL: alone */
static bool agreed;                   /* the last failure is known to all */

/* What all ranks would say in the same words is said by the first. */
void lf_world_join(const lf_transport *t) {
    static char name[300];
    transport = t && t->size > 1 ? t : NULL;
    if (transport) lf_stake_begin(); /* an end is agreed on */
    if (lf_world_is_first()) return;
    snprintf(name, sizeof name, "rank %d (%.200s): ", t->rank, t->host(t->rank));
    lf_log_set_name(name);
    lf_log_set_level(LF_LOG_QUIET);
}

bool lf_world_agreed(void) { return agreed || !transport; }

int lf_world_rank(void) { return transport ? transport->rank : 0; }
int lf_world_size(void) { return transport ? transport->size : 1; }
bool lf_world_is_first(void) { return lf_world_rank() == 0; }

const char *lf_world_name(int rank, char *text, size_t size) {
    snprintf(text, size, "rank %d (%.200s)", rank, transport ? transport->host(rank) : "this machine");
    return text;
}

/* ---- waiting ---- */

/* mpirun ends a process one second after it has told it to; a step that others are still at may take as long. */
static const double END_WORD_SECONDS = 0.4;
enum { SPIN_MS = 5, NAP_US = 100, FIRST_WORD_SECONDS = 60 };

/* A rank that is slow, or gone, is named by those that wait for it: at first after a minute, then after two, four. */
typedef struct wait {
    double began, next_word;
    double told; /* to end, when that was first seen; 0: was not */
    bool said_end;
} wait;

static void say(const char *text) {
    const lf_log_level level = lf_log_set_level(LF_LOG_WARN);
    lf_warn("%s", text);
    lf_log_set_level(level);
}

static void say_who_is_waited_for(wait *w, int peer) {
    const double waited = lf_now() - w->began;
    char text[500], who[300] = "the other ranks";
    if (peer != transport->rank) (void)lf_world_name(peer, who, sizeof who);
    if (waited >= w->next_word) {
        snprintf(text, sizeof text, "%.0f s of waiting for %s", waited, who);
        say(text);
        w->next_word *= 2;
    }
    if (lf_terminating() && w->told == 0) w->told = lf_now();
    if (w->told > 0 && lf_now() - w->told > END_WORD_SECONDS && !w->said_end) {
        snprintf(text, sizeof text,
                 "told to end while it waits for %s; if that is gone, the run goes on from its last checkpoint, with "
                 "--resume_from_checkpoint true",
                 who);
        say(text);
        w->said_end = true;
    }
}

static lf_status wait_for(bool receiving, int peer, lf_err *err) {
    wait w = {.began = lf_now(), .next_word = FIRST_WORD_SECONDS};
    for (;;) {
        lf_under_way left = {0};
        const lf_status rc = transport->advance(&left, err);
        if (rc || !(receiving ? left.receives : left.sends)) return rc;
        if (lf_now() - w.began < SPIN_MS / 1e3) {
            sched_yield();
            continue;
        }
        nanosleep(&(struct timespec){.tv_nsec = NAP_US * 1000}, NULL);
        say_who_is_waited_for(&w, peer);
    }
}

/* ---- one to one ---- */

static int last_sent_to;

lf_status lf_world_send(int to, const void *data, size_t bytes, lf_err *err) {
    agreed = false;
    last_sent_to = to;
    return transport->send(to, data, bytes, err);
}

lf_status lf_world_sent(lf_err *err) { return transport ? wait_for(false, last_sent_to, err) : LF_OK; }

lf_status lf_world_receive(int from, void *data, size_t bytes, lf_err *err) {
    agreed = false;
    const lf_status rc = transport->receive(from, data, bytes, err);
    return rc ? rc : wait_for(true, from, err);
}

/* ---- all together ---- */

lf_status lf_world_share(int from, void *data, size_t bytes, lf_err *err) {
    if (!transport || !bytes) return LF_OK;
    agreed = false;
    const lf_status rc = transport->share(from, data, bytes, err);
    return rc ? rc : wait_for(true, from, err);
}

lf_status lf_world_gather(const void *mine, void *all, size_t bytes, lf_err *err) {
    lf_status rc = LF_OK;
    if (lf_world_is_first()) memcpy(all, mine, bytes);
    if (!transport) return LF_OK;
    if (!lf_world_is_first()) return (rc = lf_world_send(0, mine, bytes, err)) ? rc : lf_world_sent(err);
    for (int from = 1; from < transport->size && !rc; from++)
        rc = lf_world_receive(from, (char *)all + (size_t)from * bytes, bytes, err);
    return rc;
}

void lf_world_name_failure(lf_err *why, int rank) {
    lf_err named = {0};
    char name[300];
    lf_fail(&named, why->status, "%s: %s", lf_world_name(rank, name, sizeof name), why->message);
    *why = named;
}

lf_status lf_world_agree(lf_status rc, lf_err *err) {
    lf_err mine = {.status = rc}, all;
    lf_status failed = LF_OK;
    if (!transport) return rc;
    if (rc && err) mine = *err;
    if (!lf_world_is_first()) {
        if ((failed = lf_world_send(0, &mine, sizeof mine, err)) || (failed = lf_world_sent(err))) return failed;
    }
    all = mine;
    for (int from = 1; lf_world_is_first() && from < transport->size; from++) {
        lf_err theirs;
        if ((failed = lf_world_receive(from, &theirs, sizeof theirs, err))) return failed;
        if (!theirs.status || all.status) continue;
        all = theirs;
        lf_world_name_failure(&all, from);
    }
    if ((failed = lf_world_share(0, &all, sizeof all, err))) return failed;
    if (!all.status) return LF_OK;
    agreed = true;
    if (err) *err = all;
    return all.status;
}

lf_status lf_world_all_know(lf_status rc) {
    agreed = rc;
    return rc;
}

lf_status lf_world_any(bool *flags, int n, lf_err *err) {
    enum { MOST = 8 };
    bool theirs[MOST];
    lf_status rc = LF_OK;
    assert(n <= MOST);
    if (!transport) return LF_OK;
    if (!lf_world_is_first() &&
        ((rc = lf_world_send(0, flags, (size_t)n * sizeof *flags, err)) || (rc = lf_world_sent(err))))
        return rc;
    for (int from = 1; lf_world_is_first() && from < transport->size; from++) {
        if ((rc = lf_world_receive(from, theirs, (size_t)n * sizeof *flags, err))) return rc;
        for (int i = 0; i < n; i++) flags[i] = flags[i] || theirs[i];
    }
    return lf_world_share(0, flags, (size_t)n * sizeof *flags, err);
}

lf_status lf_world_first_did(lf_status rc, lf_err *err) {
    lf_err of_first = {.status = rc};
    if (!transport) return rc;
    if (rc && err) of_first = *err;
    const lf_status failed = lf_world_share(0, &of_first, sizeof of_first, err);
    if (failed || !of_first.status) return failed;
    agreed = true;
    if (err) *err = of_first;
    return of_first.status;
}

lf_status lf_world_same(const char *what, const char *text, const char *advice, lf_err *err) {
    char mine[512], first[512];
    snprintf(mine, sizeof mine, "%s", text);
    memcpy(first, mine, sizeof first);
    lf_status rc = lf_world_share(0, first, sizeof first, err);
    if (!rc && strcmp(first, mine) != 0)
        rc = lf_fail(err, LF_EUSAGE, "%s here is %.200s, and on rank 0 %.200s; %s", what, mine, first, advice);
    return lf_world_agree(rc, err);
}
