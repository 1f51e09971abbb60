#include "data/balance.h"

#include "base/mem.h"
#include "base/rng.h"

struct lf_balance {
    int64_t n, classes, present, quota; /* quota: draws of a class in an epoch, of which some may not be used */
    int64_t *begin;                     /* [classes + 1] where a class's examples are in */
    int64_t *examples;                  /* [n] by class, in their order */
    int64_t *drawn, *places;            /* [present * quota] of an epoch; and the order of those */
    int64_t *turn;                      /* [n at most] a permutation of a class's examples */
};

static void sort_by_class(lf_balance *b, lf_class_of *class_of, const void *data) {
    for (int64_t i = 0; i < b->n; i++) b->begin[class_of(data, i) + 1]++;
    for (int64_t c = 0; c < b->classes; c++) b->present += b->begin[c + 1] > 0;
    for (int64_t c = 0; c < b->classes; c++) b->begin[c + 1] += b->begin[c];
    for (int64_t i = 0; i < b->n; i++) b->examples[b->begin[class_of(data, i)]++] = i; /* each is the next one's now */
    for (int64_t c = b->classes; c > 0; c--) b->begin[c] = b->begin[c - 1];
    b->begin[0] = 0;
}

static bool allocate(lf_balance *b, lf_class_of *class_of, const void *data) {
    b->begin = lf_calloc((size_t)b->classes + 1, sizeof *b->begin);
    b->examples = lf_malloc((size_t)b->n * sizeof *b->examples);
    b->turn = lf_malloc((size_t)b->n * sizeof *b->turn);
    if (!b->begin || !b->examples || !b->turn) return false;
    sort_by_class(b, class_of, data);
    b->quota = b->n ? (b->n + b->present - 1) / b->present : 0;
    b->drawn = lf_malloc((size_t)(b->present * b->quota) * sizeof *b->drawn);
    b->places = lf_malloc((size_t)(b->present * b->quota) * sizeof *b->places);
    return b->drawn && b->places;
}

lf_status lf_balance_new(lf_balance **out, int64_t n, int64_t classes, lf_class_of *class_of, const void *data,
                         lf_err *err) {
    lf_balance *b = lf_calloc(1, sizeof *b);
    if (b) *b = (lf_balance){.n = n, .classes = classes};
    if (!b || !allocate(b, class_of, data)) {
        lf_balance_free(b);
        return lf_no_memory(err, "the order of %lld examples", (long long)n);
    }
    *out = b;
    return LF_OK;
}

void lf_balance_free(lf_balance *b) {
    if (!b) return;
    lf_free(b->begin);
    lf_free(b->examples);
    lf_free(b->turn);
    lf_free(b->drawn);
    lf_free(b->places);
    lf_free(b);
}

/* A class's draws of the epoch: those behind all that it had in earlier ones. */
static void draw_class(lf_balance *b, int64_t class, uint64_t seed, int64_t epoch, int64_t *out) {
    const int64_t n = b->begin[class + 1] - b->begin[class], *examples = b->examples + b->begin[class];
    int64_t turn = -1;
    for (int64_t k = 0; k < b->quota; k++) {
        const int64_t draw = epoch * b->quota + k;
        if (draw / n != turn) {
            turn = draw / n;
            lf_rng_permutation(lf_rng_make(seed, LF_RNG_BALANCE, (uint64_t) class << 40 | (uint64_t)turn), b->turn, n);
        }
        out[k] = examples[b->turn[draw % n]];
    }
}

void lf_balance_order(lf_balance *b, uint64_t seed, int64_t epoch, int64_t *order) {
    int64_t at = 0;
    for (int64_t c = 0; c < b->classes; c++) {
        if (b->begin[c + 1] == b->begin[c]) continue;
        draw_class(b, c, seed, epoch, b->drawn + at);
        at += b->quota;
    }
    lf_rng_permutation(lf_rng_make(seed, LF_RNG_SHUFFLE, (uint64_t)epoch), b->places, at);
    for (int64_t i = 0; i < b->n; i++) order[i] = b->drawn[b->places[i]];
}
