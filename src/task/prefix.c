#include "task/prefix.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/large.h"
#include "base/mem.h"

typedef struct kept_row {
    int64_t at;     /* in bytes */
    int64_t tokens; /* 0: it is not kept yet */
    int64_t T;      /* of the batch that it was kept from */
} kept_row;

struct lf_prefix_store {
    lf_prefix_opts opts;
    lf_prefix prefix; /* what passes are given */
    char why[240];    /* nothing is kept */
    double bytes;
    lf_large room; /* no data until the first batch has shown how much is needed */
    size_t used;
    size_t token;   /* bytes */
    kept_row *rows; /* [opts.rows] */
    const lf_example_batch *batch;
};

/* ---- whether it can be ---- */

static lf_status make_room(lf_prefix_store *s, const lf_prefix_seen *seen, lf_err *err) {
    const lf_prefix_opts *o = &s->opts;
    s->token = (size_t)(seen->C * o->number);
    s->prefix.C = seen->C;
    s->bytes = (double)(o->tokens ? o->tokens : (o->few ? o->few : o->rows) * seen->T) * (double)s->token;
    if (!seen->frozen)
        snprintf(s->why, sizeof s->why, "something before those layers is trained");
    else if (seen->drew)
        snprintf(s->why, sizeof s->why,
                 "the model's config.json asks for dropout in the frozen layers, which draws anew each time");
    else if (s->bytes > o->most)
        snprintf(s->why, sizeof s->why,
                 "what the first %lld layers, which are frozen, make of the training data takes %.0f MB, and "
                 "prefix_cache_mb is %.0f",
                 (long long)o->layer, ceil(s->bytes / 1024 / 1024), o->most / 1024 / 1024);
    if (s->why[0]) return LF_OK;
    lf_err cause = {0};
    const lf_status rc = lf_large_open(&s->room, (size_t)s->bytes, o->in_file, "what frozen layers say", &cause);
    if (rc != LF_ENOMEM) return rc ? lf_fail(err, rc, "%s", cause.message) : LF_OK;
    snprintf(s->why, sizeof s->why, "there is no memory for the %.0f MB that would be kept%s",
             ceil(s->bytes / 1024 / 1024), o->in_file ? "" : "; prefix_cache disk keeps them in a file");
    return LF_OK;
}

/* ---- keeping ---- */

static int64_t tokens_of(const lf_example_batch *b, int64_t row, int64_t T) {
    const int64_t n = b->filled ? b->filled[row] : T;
    return n < 1 ? 1 : n;
}

static lf_status keep(void *store, const lf_prefix_seen *seen, lf_err *err) {
    lf_prefix_store *s = store;
    const lf_status rc = s->room.data ? LF_OK : make_room(s, seen, err);
    for (int64_t i = 0; i < seen->B && !rc && !s->why[0]; i++) {
        kept_row *row = &s->rows[s->batch->indices[i]];
        const int64_t n = tokens_of(s->batch, i, seen->T);
        const size_t bytes = (size_t)n * s->token;
        if (!row->tokens) {
            if (bytes > s->room.size - s->used) continue;
            row->at = (int64_t)s->used;
            s->used += bytes;
        } else if (row->tokens != n) {
            continue; /* never, of the same data */
        }
        row->tokens = n;
        row->T = seen->T;
        memcpy(s->room.data + row->at, (const char *)seen->x + (size_t)(i * seen->T) * s->token, bytes);
    }
    return rc;
}

static void put(void *store, void *x, int64_t T) {
    const lf_prefix_store *s = store;
    for (int64_t i = 0; i < s->batch->in.B; i++) {
        const kept_row *row = &s->rows[s->batch->indices[i]];
        const char *from = s->room.data + row->at;
        char *to = (char *)x + (size_t)(i * T) * s->token;
        memcpy(to, from, (size_t)row->tokens * s->token);
        for (int64_t t = row->tokens; t < T; t++) memcpy(to + (size_t)t * s->token, from, s->token);
    }
}

/* ---- a store ---- */

lf_status lf_prefix_open(lf_prefix_store **out, const lf_prefix_opts *o, lf_err *err) {
    lf_prefix_store *s = *out = lf_calloc(1, sizeof *s);
    if (!s) return lf_no_memory(err, "what frozen layers make of the data");
    s->opts = *o;
    s->prefix = (lf_prefix){.layer = o->layer, .store = s, .put = put, .keep = keep};
    s->rows = lf_calloc((size_t)o->rows, sizeof *s->rows);
    return s->rows ? LF_OK : lf_no_memory(err, "a list of %lld examples", (long long)o->rows);
}

void lf_prefix_close(lf_prefix_store *s) {
    if (!s) return;
    lf_large_close(&s->room);
    lf_free(s->rows);
    lf_free(s);
}

lf_prefix *lf_prefix_for(lf_prefix_store *s, const lf_example_batch *b) {
    if (!s || s->why[0]) return NULL;
    s->batch = b;
    s->prefix.known = true;
    s->prefix.T = b->in.T;
    for (int64_t i = 0; i < b->in.B; i++) {
        const kept_row *row = &s->rows[b->indices[i]];
        if (!b->in.T && i == 0) s->prefix.T = row->T; /* pictures: all have as many */
        s->prefix.known = s->prefix.known && row->tokens && row->T == s->prefix.T;
    }
    return &s->prefix;
}

const char *lf_prefix_obstacle(const lf_prefix_store *s) { return s->why[0] ? s->why : NULL; }
double lf_prefix_bytes(const lf_prefix_store *s) { return s->bytes; }

bool lf_prefix_agree(const lf_prefix_store *a, const lf_prefix_store *b) {
    bool same = a->token == b->token;
    for (int64_t i = 0; i < a->opts.rows && i < b->opts.rows && same; i++) {
        const kept_row *x = &a->rows[i], *y = &b->rows[i];
        if (x->tokens && y->tokens)
            same = x->tokens == y->tokens &&
                   memcmp(a->room.data + x->at, b->room.data + y->at, (size_t)x->tokens * a->token) == 0;
    }
    return same;
}

double lf_prefix_to_come(const lf_prefix_store *s) {
    return s && s->room.data && !s->room.in_file ? (double)(s->room.size - s->used) : 0;
}
