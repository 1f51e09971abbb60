/* Which records or windows a data set has. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "data/text/internal.h"

enum { SAMPLE_STREAM = -1, SPLIT_STREAM = 0 }; /* of LF_RNG_SPLIT, as in dataset.c */

static int by_number(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void permute(int64_t *out, int64_t n, uint64_t seed, int64_t stream) {
    lf_rng_permutation(lf_rng_make(seed, LF_RNG_SPLIT, (uint64_t)stream), out, n);
}

/* The first `held` of a permutation of the n that are left after sampling are held out; the rest is kept. */
static lf_status take_side(int64_t *pick, int64_t *n, const lf_text_draw *draw, const char *path, lf_err *err) {
    const int64_t all = *n, held = llround(draw->held_share * (double)all);
    if (held == 0 || held == all)
        return lf_fail(err, LF_EDATA,
                       "%s: a share of %g leaves nothing on one side of %" PRId64 " examples (train_val_split, or "
                       "forgetting_data that is halved)",
                       path, draw->held_share, all);
    int64_t *order = lf_malloc((size_t)all * sizeof *order), *const from = order + (draw->held ? 0 : held);
    if (!order) return lf_no_memory(err, "splitting %s", path);
    permute(order, all, draw->split_seed, SPLIT_STREAM);
    *n = draw->held ? held : all - held;
    qsort(from, (size_t)*n, sizeof *from, by_number);
    for (int64_t i = 0; i < *n; i++) pick[i] = pick[from[i]]; /* from[i] >= i */
    lf_free(order);
    return LF_OK;
}

lf_status lf_text_draw_from(int64_t **out, int64_t *count, const lf_text_draw *draw, int64_t n, const char *path,
                            lf_err *err) {
    const bool sampled = draw->max_samples > 0 && draw->max_samples < n;
    *out = NULL;
    *count = n;
    if (!sampled && !(draw->held_share > 0)) return LF_OK;
    int64_t *pick = lf_malloc((size_t)n * sizeof *pick);
    if (!pick) return lf_no_memory(err, "drawing from the %" PRId64 " examples of %s", n, path);
    if (sampled) {
        permute(pick, n, draw->seed, SAMPLE_STREAM);
        *count = draw->max_samples;
        qsort(pick, (size_t)*count, sizeof *pick, by_number);
    } else {
        for (int64_t i = 0; i < n; i++) pick[i] = i;
    }
    const lf_status rc = draw->held_share > 0 ? take_side(pick, count, draw, path, err) : LF_OK;
    if (rc)
        lf_free(pick);
    else
        *out = pick;
    return rc;
}
