#include "train/together.h"

#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/world.h"
#include "task/ranks.h"

/* ---- before the run ---- */

lf_status lf_together_check(const lf_run *run, lf_err *err) {
    const cJSON *hash;
    if (lf_world_size() == 1) return LF_OK;
    lf_status rc = lf_task_check_ranks(run->task, run->threads, err);
    if (rc) return rc;
    cJSON *hashes = lf_run_data_hashes(run);
    rc = hashes ? LF_OK : lf_no_memory(err, "a run");
    cJSON_ArrayForEach(hash, hashes) {
        char what[100];
        snprintf(what, sizeof what, "key '%s': the hash of its files", hash->string);
        if (!rc) rc = lf_world_same(what, hash->valuestring, "give all of them the same files", err);
    }
    cJSON_Delete(hashes);
    if (!rc && run->accumulation < lf_world_size())
        lf_warn(
            "a step has %lld micro-batches, so %lld of %d ranks compute none of it (they take part in evaluations); "
            "more gradient_accumulation_steps of a smaller per_device_train_batch_size would give them work",
            (long long)run->accumulation, (long long)(lf_world_size() - run->accumulation), lf_world_size());
    return rc;
}

/* ---- a step ---- */

int lf_slow_rank(const double *seconds, const int64_t *leaves, int n) {
    enum { PERCENT = 50 }; /* more than the next slowest */
    double slowest = 0, next = 0;
    int which = -1;
    for (int i = 0; i < n; i++) {
        if (!leaves[i]) continue;
        const double each = seconds[i] / (double)leaves[i];
        next = each > slowest ? slowest : each > next ? each : next;
        if (each > slowest) which = i;
        if (each > slowest) slowest = each;
    }
    return next > 0 && slowest > next * (100 + PERCENT) / 100 ? which : -1;
}

lf_status lf_rank_times_new(lf_rank_times *t, lf_err *err) {
    const size_t n = (size_t)lf_world_size();
    *t = (lf_rank_times){lf_calloc(n, sizeof *t->seconds), lf_calloc(n, sizeof *t->leaves)};
    return t->seconds && t->leaves ? LF_OK : lf_no_memory(err, "the times of %zu ranks", n);
}

void lf_rank_times_free(lf_rank_times *t) {
    lf_free(t->seconds);
    lf_free(t->leaves);
    *t = (lf_rank_times){0};
}

void lf_rank_times_say(lf_rank_times *t) {
    enum { ENOUGH_SECONDS = 10 }; /* of work: less says nothing */
    const int n = lf_world_size(), slow = lf_slow_rank(t->seconds, t->leaves, n);
    char name[300];
    double most = 0;
    for (int i = 0; i < n; i++)
        if (t->seconds[i] > most) most = t->seconds[i];
    if (most < ENOUGH_SECONDS) return;
    if (slow >= 0)
        lf_warn("%s takes %.3g s for a micro-batch, more than half as long again as any other rank; they wait for it",
                lf_world_name(slow, name, sizeof name), t->seconds[slow] / (double)t->leaves[slow]);
    for (int i = 0; i < n; i++) t->seconds[i] = 0;
    for (int i = 0; i < n; i++) t->leaves[i] = 0;
}

static void add_time(lf_rank_times *t, const lf_step_word *w, int rank) {
    t->seconds[rank] += w->seconds;
    t->leaves[rank] += w->leaves;
}

static void add_word(lf_step_word *all, const lf_step_word *one, int rank) {
    if (one->failure.status && !all->failure.status) {
        all->failure = one->failure;
        all->data_failed = one->data_failed;
        lf_world_name_failure(&all->failure, rank);
    }
    all->items += one->items;
    all->skipped += one->skipped;
}

/* Rank 0 hears the others in turn, so no room for all of them is needed. */
static lf_status hear(lf_step_word *word, lf_rank_times *times, lf_err *err) {
    lf_step_word one;
    lf_status rc = LF_OK;
    for (int from = 1; from < lf_world_size() && !rc; from++) {
        if ((rc = lf_world_receive(from, &one, sizeof one, err))) break;
        add_word(word, &one, from);
        add_time(times, &one, from);
    }
    return rc;
}

static lf_status tell(const lf_step_word *word, lf_err *err) {
    const lf_status rc = lf_world_send(0, word, sizeof *word, err);
    return rc ? rc : lf_world_sent(err);
}

lf_status lf_together_step(lf_step_word *word, lf_rank_times *times, lf_err *err) {
    lf_status rc = LF_OK;
    add_time(times, word, lf_world_rank());
    rc = lf_world_is_first() ? hear(word, times, err) : tell(word, err);
    if (rc || (rc = lf_world_share(0, word, sizeof *word, err)) || !word->failure.status) return rc;
    if (err) *err = word->failure;
    return lf_world_all_know(word->failure.status);
}
