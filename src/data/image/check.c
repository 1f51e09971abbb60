/* Pictures are looked at some at a time by threads (ahead.h), and what they found is put together in order. */
#include "data/image/check.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/slice.h"
#include "data/ahead.h"
#include "data/image/dataset_internal.h"

enum { PIECE = 16 }; /* pictures that a thread takes at once */

typedef struct piece {
    int64_t begin, n, damaged, which[PIECE]; /* which: of the data set */
    lf_err first;
} piece;

typedef struct work {
    const lf_dataset *d;
    int64_t pictures;
    bool decode;
} work;

static void assign(void *context, void *slot, int64_t number) {
    const work *w = context;
    piece *p = slot;
    const int64_t begin = number * PIECE, left = w->pictures - begin;
    *p = (piece){.begin = begin, .n = left < PIECE ? left : PIECE};
}

/* Only bad content is damage, not a missing file nor a lack of memory: as in the loader. */
static lf_status look(void *context, void *slot, lf_err *err) {
    const work *w = context;
    piece *p = slot;
    for (int64_t i = p->begin; i < p->begin + p->n; i++) {
        lf_err bad = {0};
        const lf_status rc = lf_dataset_check_one(w->d, i, w->decode, &bad);
        if (rc == LF_EDATA) {
            if (!p->damaged) p->first = bad;
            p->which[p->damaged++] = i;
        } else if (rc) {
            *err = bad;
            return rc;
        }
    }
    return LF_OK;
}

static void put_together(lf_checked *out, const lf_dataset *d, const piece *p) {
    char name[4352]; /* PATH_MAX and an index */
    if (p->damaged && !out->damaged) out->first = p->first;
    for (int64_t i = 0; i < p->damaged; i++)
        lf_list_append(out->names, sizeof out->names, lf_dataset_check_name(d, p->which[i], name, sizeof name));
    out->damaged += p->damaged;
    out->pictures += p->n;
}

static lf_status collect(lf_checked *out, lf_ahead *a, const work *w, bool interruptible, lf_err *err) {
    lf_progress bar;
    lf_status rc = LF_OK;
    void *slot = NULL;
    char summary[64] = "";
    lf_progress_begin(&bar, "check pictures", w->pictures);
    while (!rc && !(rc = lf_ahead_next(a, &slot, err)) && slot) {
        put_together(out, w->d, slot);
        lf_progress_update(&bar, out->pictures, "");
        if (interruptible && lf_interrupted())
            rc = lf_fail(err, LF_EINTERRUPTED, "interrupted while checking pictures");
    }
    if (!rc)
        snprintf(summary, sizeof summary, "%" PRId64 " of %" PRId64 " can be read", out->pictures - out->damaged,
                 out->pictures);
    lf_progress_end(&bar, summary);
    return rc;
}

lf_status lf_dataset_check(lf_checked *out, const lf_dataset *d, const lf_check_opts *o, lf_err *err) {
    work w = {d, lf_dataset_check_count(d), o->decode};
    lf_ahead *a = NULL;
    *out = (lf_checked){0};
    piece *slots = lf_calloc((size_t)(o->workers + LF_AHEAD_SPARE), sizeof *slots);
    if (!slots) return lf_no_memory(err, "checking pictures");
    const lf_ahead_work how = {assign, look, &w};
    lf_status rc = lf_ahead_new(&a, &how, slots, sizeof *slots, o->workers, (w.pictures + PIECE - 1) / PIECE, err);
    if (!rc) rc = collect(out, a, &w, o->interruptible, err);
    lf_ahead_free(a);
    lf_free(slots);
    return rc;
}

void lf_dataset_check_identity(const lf_dataset *d, bool decode, char *buf, size_t size) {
    snprintf(buf, size, "%s of %" PRId64 " pictures %016" PRIx64 " by version %s", decode ? "decoded" : "containers",
             lf_dataset_check_count(d), lf_dataset_check_hash(d), lf_version());
}
