#include "data/ahead.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

typedef struct state {
    lf_status status; /* of making it */
    lf_err err;
    bool ready;
} state;

struct lf_ahead {
    lf_ahead_work work;
    char *slots;
    size_t slot_size;
    int64_t n_slots, total;
    pthread_t *threads;
    int64_t n_threads;

    pthread_mutex_t lock; /* guards all below, and the slots between being claimed and ready */
    pthread_cond_t may_claim, may_take;
    bool stop;
    int64_t claimed, taken; /* items so far */
    bool in_hand;           /* item taken - 1 is with the caller */
    double waited;
    state *states; /* [n_slots] */
};

static void *slot_of(const lf_ahead *a, int64_t number) {
    return a->slots + (size_t)(number % a->n_slots) * a->slot_size;
}

static state *state_of(const lf_ahead *a, int64_t number) { return &a->states[number % a->n_slots]; }

static void *run(void *arg) {
    lf_ahead *a = arg;
    pthread_mutex_lock(&a->lock);
    for (;;) {
        /* Items that are not yet given back hold their slots: those from taken (or the one in hand) on. */
        while (!a->stop && a->claimed < a->total && a->claimed - (a->taken - a->in_hand) >= a->n_slots)
            pthread_cond_wait(&a->may_claim, &a->lock);
        if (a->stop || a->claimed >= a->total) break;
        const int64_t number = a->claimed++;
        void *slot = slot_of(a, number);
        state *s = state_of(a, number);
        if (a->work.assign) a->work.assign(a->work.context, slot, number);
        pthread_mutex_unlock(&a->lock);
        s->err = (lf_err){0};
        s->status = a->work.make(a->work.context, slot, &s->err);
        pthread_mutex_lock(&a->lock);
        s->ready = true;
        pthread_cond_signal(&a->may_take);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

lf_status lf_ahead_new(lf_ahead **out, const lf_ahead_work *work, void *slots, size_t slot_size, int64_t workers,
                       int64_t total, lf_err *err) {
    lf_ahead *a = lf_calloc(1, sizeof *a);
    if (!a) return lf_no_memory(err, "data workers");
    *a = (lf_ahead){
        .work = *work, .slots = slots, .slot_size = slot_size, .n_slots = workers + LF_AHEAD_SPARE, .total = total};
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->may_claim, NULL);
    pthread_cond_init(&a->may_take, NULL);
    a->threads = lf_calloc((size_t)workers, sizeof *a->threads);
    a->states = lf_calloc((size_t)a->n_slots, sizeof *a->states);
    lf_status rc = a->threads && a->states ? LF_OK : lf_no_memory(err, "%" PRId64 " data workers", workers);
    while (!rc && a->n_threads < workers) {
        const int failure = pthread_create(&a->threads[a->n_threads], NULL, run, a);
        if (failure)
            rc = lf_fail(err, LF_EFAIL, "cannot start data worker %" PRId64 " of %" PRId64 ": %s", a->n_threads + 1,
                         workers, strerror(failure));
        else
            a->n_threads++;
    }
    if (rc)
        lf_ahead_free(a);
    else
        *out = a;
    return rc;
}

void lf_ahead_free(lf_ahead *a) {
    if (!a) return;
    pthread_mutex_lock(&a->lock);
    a->stop = true;
    pthread_cond_broadcast(&a->may_claim);
    pthread_mutex_unlock(&a->lock);
    for (int64_t i = 0; i < a->n_threads; i++) pthread_join(a->threads[i], NULL);
    pthread_cond_destroy(&a->may_take);
    pthread_cond_destroy(&a->may_claim);
    pthread_mutex_destroy(&a->lock);
    lf_free(a->threads);
    lf_free(a->states);
    lf_free(a);
}

lf_status lf_ahead_next(lf_ahead *a, void **slot, lf_err *err) {
    *slot = NULL;
    lf_status rc = LF_OK;
    pthread_mutex_lock(&a->lock);
    if (a->in_hand) {
        state_of(a, a->taken - 1)->ready = false;
        a->in_hand = false;
        pthread_cond_signal(&a->may_claim);
    }
    if (a->taken < a->total) {
        state *s = state_of(a, a->taken);
        const double began = lf_now();
        while (!s->ready) pthread_cond_wait(&a->may_take, &a->lock);
        if (a->taken > 0) a->waited += lf_now() - began; /* nothing can be ahead of the first */
        if ((rc = s->status)) {
            lf_fail(err, rc, "%s", s->err.message); /* stays in its place: the next call finds it again */
        } else {
            *slot = slot_of(a, a->taken++);
            a->in_hand = true;
        }
    }
    pthread_mutex_unlock(&a->lock);
    return rc;
}

double lf_ahead_waited(const lf_ahead *a) { return a->waited; }
