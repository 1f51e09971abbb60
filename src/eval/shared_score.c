/* Batches in rounds of one a rank: each runs its own, and then all hear of each, in the order of the data. What travels
 * is the batch without what went into the model, and what was said of it. */
#include "eval/shared_score.h"

#include <string.h>

#include "base/mem.h"
#include "base/world.h"

lf_portion lf_score_portion(void) { return (lf_portion){lf_world_size(), lf_world_rank(), 1}; }

/* What a rank has for a round. */
typedef struct turn {
    bool ended;             /* nothing, nor have those behind it */
    lf_err failure;         /* status LF_OK: none */
    lf_example_batch batch; /* its pointers are of its rank */
    bool has_values;
    int64_t skipped; /* since the last round */
    size_t bytes;    /* that follow */
} turn;

typedef struct parcel {
    char *bytes;
    int64_t room;
} parcel;

typedef struct shared {
    lf_scoring *s;
    lf_take_batch *take;
    int64_t skipped;     /* by this rank, so far */
    parcel mine, theirs; /* what follows a turn */
} shared;

/* ---- packing: labels, values, indices, and what was said ---- */

enum { PIECES = 3 + LF_SAID };

/* The pieces of a batch whose arrays are where `b` says. */
static int pieces_of(lf_said *out, const lf_example_batch *b, const lf_said *said, int n_said) {
    out[0] = (lf_said){(void *)b->indices, (size_t)b->in.B * sizeof *b->indices};
    out[1] = (lf_said){(void *)b->values, (size_t)b->n_values * sizeof *b->values};
    out[2] = (lf_said){(void *)b->labels, (size_t)b->n_labels * sizeof *b->labels};
    for (int i = 0; i < n_said; i++) out[3 + i] = said[i];
    return 3 + n_said;
}

static lf_status reserve(parcel *p, size_t bytes, lf_err *err) {
    if (lf_grow(&p->bytes, &p->room, (int64_t)bytes)) return LF_OK;
    return lf_no_memory(err, "%zu bytes of what was said of a batch", bytes);
}

static lf_status pack(shared *x, turn *t, const lf_said *said, int n_said, lf_err *err) {
    lf_said pieces[PIECES];
    const int n = pieces_of(pieces, &t->batch, said, n_said);
    for (int i = 0; i < n; i++) t->bytes += pieces[i].bytes;
    const lf_status rc = reserve(&x->mine, t->bytes, err);
    char *to = x->mine.bytes;
    for (int i = 0; i < n && !rc; to += pieces[i++].bytes)
        if (pieces[i].bytes) memcpy(to, pieces[i].data, pieces[i].bytes);
    return rc;
}

/* The other way round: the batch's arrays are those in the parcel, and the scorer's room gets the rest. */
static lf_status unpack(const shared *x, turn *t, const parcel *from, lf_err *err) {
    const lf_scorer *scorer = x->s->scorer;
    lf_example_batch *b = &t->batch;
    lf_said said[LF_SAID];
    int n;
    const char *at = from->bytes;
    b->indices = (const int64_t *)at;
    at += (size_t)b->in.B * sizeof *b->indices;
    b->values = t->has_values ? (const float *)at : NULL;
    at += (size_t)b->n_values * sizeof *b->values;
    b->labels = (const int32_t *)at;
    at += (size_t)b->n_labels * sizeof *b->labels;
    b->in = (lf_model_input){.B = b->in.B, .T = b->in.T};
    const lf_status rc = scorer->room(scorer->context, b, said, &n, err);
    for (int i = 0; i < n && !rc; at += said[i++].bytes)
        if (said[i].bytes) memcpy(said[i].data, at, said[i].bytes);
    return rc;
}

/* ---- a round ---- */

static lf_status run_own(shared *x, turn *t, lf_err *err) {
    lf_scoring *s = x->s;
    const lf_scorer *scorer = s->scorer;
    const lf_example_batch *b;
    lf_said said[LF_SAID];
    int n;
    lf_status rc = s->e->next(s->e->data, &b, err);
    const int64_t skipped = s->e->skipped(s->e->data);
    t->skipped = skipped - x->skipped;
    x->skipped = skipped;
    t->ended = !b;
    if (rc || !b) return rc;
    if (s->interruptible && lf_interrupted()) return lf_score_interrupted(s, err);
    t->batch = *b;
    t->has_values = b->values;
    if (!b->in.B) return LF_OK;
    if ((rc = scorer->room(scorer->context, b, said, &n, err)) || (rc = scorer->run(scorer->context, b, err)))
        return rc;
    return pack(x, t, said, n, err);
}

/* Of the rank whose turn it is, to all. */
static lf_status hear(shared *x, turn *t, int whose, lf_err *err) {
    parcel *p = whose == lf_world_rank() ? &x->mine : &x->theirs;
    lf_status rc = lf_world_share(whose, t, sizeof *t, err);
    if (rc) return rc;
    if (t->failure.status) {
        if (whose && t->failure.status != LF_EINTERRUPTED) lf_world_name_failure(&t->failure, whose);
        if (err) *err = t->failure;
        return lf_world_all_know(t->failure.status);
    }
    x->s->sum->skipped += t->skipped;
    if (t->ended || !t->batch.in.B) return LF_OK;
    if ((rc = reserve(p, t->bytes, err)) || (rc = lf_world_share(whose, p->bytes, t->bytes, err)) ||
        (rc = unpack(x, t, p, err)))
        return rc;
    return x->take(x->s, &t->batch, err);
}

static lf_status one_round(shared *x, bool *ended, lf_err *err) {
    turn own = {0};
    lf_err why = {0};
    if (run_own(x, &own, &why)) own.failure = why;
    for (int whose = 0; whose < lf_world_size() && !*ended; whose++) {
        turn t = own;
        const lf_status rc = hear(x, &t, whose, err);
        if (rc) return rc;
        *ended = t.ended;
    }
    return LF_OK;
}

lf_status lf_score_interrupted(const lf_scoring *s, lf_err *err) {
    return lf_fail(err, LF_EINTERRUPTED, "interrupted after %lld of %lld %s", (long long)s->sum->rows,
                   (long long)s->e->count, s->e->unit);
}

lf_status lf_score_shared(lf_scoring *s, lf_take_batch *take, lf_err *err) {
    shared x = {.s = s, .take = take};
    bool ended = false;
    lf_status rc = LF_OK;
    while (!rc && !ended) rc = one_round(&x, &ended, err);
    lf_free(x.mine.bytes);
    lf_free(x.theirs.bytes);
    return rc;
}
