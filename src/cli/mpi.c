/* Ranks by MPI: plain messages and broadcasts of bytes. No reduction of MPI's is used, because the order in which it
 * adds is its own. */
#include "world.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PIECE = 1 << 30, /* bytes of one message: MPI counts in int */
    MOST_PIECES = 256,
    TAG = 0,
};

typedef struct requests {
    MPI_Request of[MOST_PIECES];
    int n;
} requests;

static lf_transport transport;
static requests sends, receives;
static char (*hosts)[MPI_MAX_PROCESSOR_NAME];

static const char *host(int rank) { return hosts[rank]; }

static lf_status check(int code, const char *what, lf_err *err) {
    char why[MPI_MAX_ERROR_STRING];
    int n = 0;
    if (code == MPI_SUCCESS) return LF_OK;
    MPI_Error_string(code, why, &n);
    if (err) {
        err->status = LF_EIO;
        snprintf(err->message, sizeof err->message, "MPI: %s: %s; is another rank gone?", what, why);
    }
    return LF_EIO;
}

/* ---- messages ---- */

typedef enum kind { SEND, RECEIVE, SHARE } kind;

static int begin_piece(kind what, int peer, char *data, int bytes, MPI_Request *r) {
    switch (what) {
    case SEND: return MPI_Isend(data, bytes, MPI_BYTE, peer, TAG, MPI_COMM_WORLD, r);
    case RECEIVE: return MPI_Irecv(data, bytes, MPI_BYTE, peer, TAG, MPI_COMM_WORLD, r);
    case SHARE: return MPI_Ibcast(data, bytes, MPI_BYTE, peer, MPI_COMM_WORLD, r);
    }
    return MPI_ERR_OTHER;
}

static lf_status begin(kind what, int peer, void *data, size_t bytes, lf_err *err) {
    static const char *const names[] = {[SEND] = "sending", [RECEIVE] = "receiving", [SHARE] = "sharing"};
    requests *to = what == SEND ? &sends : &receives;
    for (size_t at = 0; at < bytes; at += PIECE) {
        if (to->n == MOST_PIECES) return check(MPI_ERR_COUNT, names[what], err);
        const size_t left = bytes - at;
        const int code = begin_piece(what, peer, (char *)data + at, left < PIECE ? (int)left : PIECE, &to->of[to->n]);
        if (code) return check(code, names[what], err);
        to->n++;
    }
    return LF_OK;
}

static lf_status send(int to, const void *data, size_t bytes, lf_err *err) {
    return begin(SEND, to, (void *)data, bytes, err);
}
static lf_status receive(int from, void *data, size_t bytes, lf_err *err) {
    return begin(RECEIVE, from, data, bytes, err);
}
static lf_status share(int from, void *data, size_t bytes, lf_err *err) { return begin(SHARE, from, data, bytes, err); }

static lf_status test(requests *r, lf_err *err) {
    int through = 1;
    const int code = r->n ? MPI_Testall(r->n, r->of, &through, MPI_STATUSES_IGNORE) : MPI_SUCCESS;
    if (through) r->n = 0;
    return check(code, "waiting", err);
}

static lf_status advance(lf_under_way *left, lf_err *err) {
    lf_status rc;
    if ((rc = test(&sends, err)) || (rc = test(&receives, err))) return rc;
    *left = (lf_under_way){sends.n, receives.n};
    return LF_OK;
}

/* ---- beginning and ending ---- */

static lf_status name_hosts(lf_err *err) {
    char mine[MPI_MAX_PROCESSOR_NAME] = "";
    int n = 0;
    lf_status rc = check(MPI_Get_processor_name(mine, &n), "the name of the machine", err);
    if (!rc && !(hosts = calloc((size_t)transport.size, sizeof *hosts))) rc = check(MPI_ERR_NO_MEM, "names", err);
    if (!rc)
        rc = check(MPI_Allgather(mine, sizeof mine, MPI_CHAR, hosts, sizeof mine, MPI_CHAR, MPI_COMM_WORLD), "names",
                   err);
    return rc;
}

/* One thread alone calls MPI, the one that runs the verb. */
lf_status lf_world_begin(const lf_transport **out, lf_err *err) {
    int given;
    lf_status rc;
    *out = NULL;
    if ((rc = check(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &given), "beginning", err))) return rc;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    transport = (lf_transport){.host = host, .send = send, .receive = receive, .share = share, .advance = advance};
    MPI_Comm_rank(MPI_COMM_WORLD, &transport.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &transport.size);
    if ((rc = name_hosts(err))) return rc;
    *out = &transport;
    return LF_OK;
}

void lf_world_end(bool failed_alone, int code) {
    int begun = 0;
    MPI_Initialized(&begun);
    if (!begun) return;
    if (failed_alone && transport.size > 1) MPI_Abort(MPI_COMM_WORLD, code);
    MPI_Finalize();
    free(hosts);
    hosts = NULL;
}
