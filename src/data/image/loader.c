/* Batches of pictures, made ahead by threads (ahead.h); what is in a batch depends on its place alone. */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "data/ahead.h"
#include "data/balance.h"
#include "data/image/dataset.h"
#include "data/image/internal.h"

enum { NAMED = 5 }; /* pictures that are left out; further ones are counted alone */

typedef struct slot {
    lf_batch batch;
    float *held;       /* room for mixing; NULL: nothing is mixed */
    lf_err bad[NAMED]; /* of the first pictures left out */
    int64_t left_out;
} slot;

struct lf_loader {
    const lf_dataset *data;
    lf_loader_opts opts;
    lf_image_processor processor;
    int64_t per_epoch, total; /* batches */
    size_t pixels;            /* floats a picture */

    int64_t *order, order_epoch; /* touched in assign alone */
    lf_balance *balance;         /* the same; NULL: classes come as they are */
    slot *slots;
    int64_t n_slots;
    lf_ahead *ahead;

    lf_status failed; /* sticky; with err */
    lf_err err;
    int64_t skipped, served_epoch, served_in_epoch;
};

/* ---- making a batch -------------------------------------------------------------------------------------------------
 */

/* Which examples belong to the batch. A ticket is the number of a batch, counted from where this loader starts. */
static void assign(void *context, void *item, int64_t ticket) {
    lf_loader *l = context;
    slot *s = item;
    const lf_loader_opts *o = &l->opts;
    const lf_batch_place at = lf_portion_place(o->portion, l->per_epoch, o->first_epoch, o->first_batch, ticket);
    const int64_t epoch = at.epoch, number = at.number, n = lf_dataset_count(l->data);
    if (l->opts.shuffle && epoch != l->order_epoch) {
        if (l->balance)
            lf_balance_order(l->balance, o->seed, epoch, l->order);
        else
            lf_rng_permutation(lf_rng_make(o->seed, LF_RNG_SHUFFLE, (uint64_t)epoch), l->order, n);
        l->order_epoch = epoch;
    }
    const int64_t begin = number * l->opts.batch_size;
    const int64_t size = n - begin < l->opts.batch_size ? n - begin : l->opts.batch_size;
    for (int64_t i = 0; i < size; i++) s->batch.indices[i] = l->opts.shuffle ? l->order[begin + i] : begin + i;
    s->batch.B = size;
    s->batch.epoch = epoch;
    s->batch.number = number;
    s->left_out = 0;
    s->bad[0] = (lf_err){0};
}

/* `draw`: whose random changes the picture gets. */
static lf_status make_example(const lf_loader *l, float *out, int64_t index, int64_t epoch, int64_t draw, lf_err *err) {
    lf_image img = {0};
    const lf_rng_key key = lf_rng_make(l->opts.seed, LF_RNG_AUGMENT, (uint64_t)epoch);
    lf_status rc = lf_dataset_image(l->data, index, &img, err);
    if (!rc &&
        (rc = lf_image_process_changed(out, &img, &l->processor, l->opts.augmentation, &l->opts.changes, key,
                                       (uint64_t)draw, err)) &&
        err) {
        char name[512];
        lf_err named = {0};
        lf_fail(&named, rc, "%s: %s", lf_dataset_example_name(l->data, index, name, sizeof name), err->message);
        *err = named;
    }
    lf_image_free(&img);
    return rc;
}

/* Each picture with the one before it; labels beside their own. */
static void mix(const lf_loader *l, slot *s) {
    lf_batch *b = &s->batch;
    lf_mixed_batch m = {.pixels = b->pixels,
                        .values = b->values,
                        .B = b->B,
                        .n_values = b->n_values,
                        .channels = l->processor.channels,
                        .held = s->held};
    lf_image_processor_out_size(&l->processor, &m.H, &m.W);
    for (int64_t i = 0; i < b->B; i++) b->partners[i] = b->labels[i ? i - 1 : b->B - 1];
    b->share = lf_mix(&m, &l->opts.mixing, lf_rng_make(l->opts.seed, LF_RNG_MIX, (uint64_t)b->epoch), b->number);
}

/* Bad pictures close up; only bad content may be skipped, not a missing file nor a lack of memory. */
static lf_status fill(void *context, void *item, lf_err *err) {
    const lf_loader *l = context;
    slot *s = item;
    lf_batch *b = &s->batch;
    int64_t good = 0;
    for (int64_t i = 0; i < b->B; i++) {
        lf_err bad = {0};
        const int64_t index = b->indices[i];
        /* one that comes several times in an epoch is changed in another way each time */
        const int64_t draw = l->balance ? b->number * l->opts.batch_size + i : index;
        const lf_status rc = make_example(l, b->pixels + (size_t)good * l->pixels, index, b->epoch, draw, &bad);
        if (rc == LF_EDATA && l->opts.skip_bad_images) {
            lf_image_drop_advice(&bad);
            if (s->left_out < NAMED) s->bad[s->left_out] = bad;
            s->left_out++;
            continue;
        }
        if (rc) {
            *err = bad;
            return rc;
        }
        b->indices[good] = index;
        if (b->values) lf_dataset_values(l->data, index, b->values + good * lf_dataset_n_classes(l->data));
        b->labels[good++] = (int32_t)lf_dataset_label(l->data, index);
    }
    b->B = good;
    if (s->held) mix(l, s);
    return LF_OK;
}

/* ---- making and freeing a loader ------------------------------------------------------------------------------------
 */

static lf_status plan(lf_loader *l, lf_err *err) {
    const lf_loader_opts *o = &l->opts;
    const int64_t n = lf_dataset_count(l->data);
    if (o->batch_size < 1 || o->workers < 1 || o->first_epoch < 0 || o->first_batch < 0 || o->epochs < 0)
        return lf_fail(err, LF_EUSAGE, "batch size and data workers must be 1 or more, epochs and positions 0 or more");
    l->per_epoch = n / o->batch_size + (!o->drop_last && n % o->batch_size != 0);
    if (l->per_epoch == 0)
        return lf_fail(err, LF_EDATA,
                       "%s: %" PRId64 " examples are less than one batch of %" PRId64 "; lower the batch size",
                       lf_dataset_path(l->data), n, o->batch_size);
    l->total = lf_portion_total(o->portion, l->per_epoch, o->epochs, o->first_batch);
    l->served_epoch = -1;
    l->order_epoch = -1;
    return LF_OK;
}

static bool mixing_alloc(slot *s, int64_t batch_size, size_t pixels) {
    const size_t width = (size_t)s->batch.n_values;
    s->held = lf_aligned_alloc((pixels > width ? pixels : width) * sizeof *s->held);
    s->batch.partners = lf_calloc((size_t)batch_size, sizeof *s->batch.partners);
    return s->held && s->batch.partners;
}

static bool slot_alloc(slot *s, const lf_dataset *d, int64_t batch_size, size_t pixels) {
    const int64_t width = lf_dataset_several(d) ? lf_dataset_n_classes(d) : 0;
    uint64_t floats, bytes;
    if (lf_mul_overflow((uint64_t)batch_size, pixels, &floats) || lf_mul_overflow(floats, sizeof(float), &bytes))
        return false;
    s->batch.pixels = lf_aligned_alloc((size_t)bytes);
    s->batch.labels = lf_calloc((size_t)batch_size, sizeof *s->batch.labels);
    s->batch.indices = lf_calloc((size_t)batch_size, sizeof *s->batch.indices);
    s->batch.n_values = width;
    s->batch.values = width ? lf_calloc((size_t)(batch_size * width), sizeof *s->batch.values) : NULL;
    return s->batch.pixels && s->batch.labels && s->batch.indices && (s->batch.values || !width);
}

static int64_t class_of(const void *data, int64_t i) { return lf_dataset_label(data, i); }

static lf_status allocate(lf_loader *l, lf_err *err) {
    int H, W;
    lf_image_processor_out_size(&l->processor, &H, &W);
    l->pixels = (size_t)l->processor.channels * (size_t)H * (size_t)W;
    l->n_slots = l->opts.workers + LF_AHEAD_SPARE;
    l->slots = lf_calloc((size_t)l->n_slots, sizeof *l->slots);
    if (l->opts.shuffle) l->order = lf_calloc((size_t)lf_dataset_count(l->data), sizeof *l->order);
    bool ok = l->slots && (l->order || !l->opts.shuffle);
    for (int64_t i = 0; i < l->n_slots && ok; i++)
        ok = slot_alloc(&l->slots[i], l->data, l->opts.batch_size, l->pixels) &&
             (!lf_mixes(&l->opts.mixing) || mixing_alloc(&l->slots[i], l->opts.batch_size, l->pixels));
    if (ok && l->opts.balanced)
        return lf_balance_new(&l->balance, lf_dataset_count(l->data), lf_dataset_n_classes(l->data), class_of, l->data,
                              err);
    return ok ? LF_OK
              : lf_no_memory(err, "%" PRId64 " batches of %" PRId64 " pictures of %d x %d pixels", l->n_slots,
                             l->opts.batch_size, W, H);
}

static lf_status start(lf_loader *l, lf_err *err) {
    const lf_ahead_work work = {assign, fill, l};
    return lf_ahead_new(&l->ahead, &work, l->slots, sizeof *l->slots, l->opts.workers, l->total, err);
}

lf_status lf_loader_new(lf_loader **out, const lf_dataset *d, const lf_loader_opts *opts, lf_err *err) {
    lf_loader *l = lf_calloc(1, sizeof *l);
    if (!l) return lf_no_memory(err, "a loader");
    l->data = d;
    l->opts = *opts;
    l->processor = *opts->processor;
    l->opts.processor = &l->processor;
    lf_status rc;
    if ((rc = plan(l, err)) || (rc = allocate(l, err)) || (rc = start(l, err)))
        lf_loader_free(l);
    else
        *out = l;
    return rc;
}

void lf_loader_free(lf_loader *l) {
    if (!l) return;
    lf_ahead_free(l->ahead);
    for (int64_t i = 0; l->slots && i < l->n_slots; i++) {
        lf_aligned_free(l->slots[i].batch.pixels);
        lf_free(l->slots[i].batch.labels);
        lf_free(l->slots[i].batch.values);
        lf_free(l->slots[i].batch.partners);
        lf_aligned_free(l->slots[i].held);
        lf_free(l->slots[i].batch.indices);
    }
    lf_free(l->slots);
    lf_free(l->order);
    lf_balance_free(l->balance);
    lf_free(l);
}

/* ---- serving --------------------------------------------------------------------------------------------------------
 */

static void count_skipped(lf_loader *l, const slot *s) {
    for (int64_t i = 0; i < s->left_out && l->skipped + i < NAMED; i++) lf_warn("left out: %s", s->bad[i].message);
    if (s->left_out && l->skipped <= NAMED && l->skipped + s->left_out > NAMED)
        lf_warn("further pictures are left out without their names");
    l->skipped += s->left_out;
    if (s->batch.epoch != l->served_epoch) l->served_in_epoch = 0;
    l->served_epoch = s->batch.epoch;
    l->served_in_epoch += s->batch.B;
}

lf_status lf_loader_next(lf_loader *l, const lf_batch **out, lf_err *err) {
    void *item = NULL;
    *out = NULL;
    while (!l->failed && !(l->failed = lf_ahead_next(l->ahead, &item, &l->err)) && item) {
        const slot *s = item;
        count_skipped(l, s);
        if (s->batch.B || !lf_portion_is_all(l->opts.portion)) {
            *out = &s->batch;
            return LF_OK;
        }
        const bool last = s->batch.number == l->per_epoch - 1;
        if (last && !l->served_in_epoch)
            l->failed =
                lf_fail(&l->err, LF_EDATA, "%s: not one picture of epoch %" PRId64 " can be decoded; the first: %.400s",
                        lf_dataset_path(l->data), s->batch.epoch, s->bad[0].message);
    }
    return l->failed ? lf_fail(err, l->failed, "%s", l->err.message) : LF_OK;
}

int64_t lf_loader_batches_per_epoch(const lf_loader *l) { return l->per_epoch; }
int64_t lf_loader_skipped(const lf_loader *l) { return l->skipped; }

double lf_loader_waited(const lf_loader *l) { return l->ahead ? lf_ahead_waited(l->ahead) : 0; }
