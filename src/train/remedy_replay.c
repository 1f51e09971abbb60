/* Old examples are mixed into the batches: a micro-batch of them behind one of the new task, with a loss of its own
 * whose targets count like the others, so that a step follows the mean over all of both. */
#include <math.h>

#include "base/mem.h"
#include "train/old_batches.h"
#include "train/remedies.h"
#include "train/replay.h"

lf_replay_pace lf_replay_pace_of(double ratio, int64_t batch_size) {
    const double wanted = (double)batch_size * ratio / (1 - ratio); /* beside each batch */
    const double rows = ceil(wanted - 1e-9);
    return (lf_replay_pace){rows < 1 ? 1 : (int64_t)rows, fmin(1, wanted / fmax(1, rows))};
}

static int64_t before(const lf_replay_pace *p, int64_t k) { return (int64_t)floor((double)k * p->each + 1e-9); }

int64_t lf_replay_at(const lf_replay_pace *p, int64_t k) { return before(p, k + 1) > before(p, k) ? before(p, k) : -1; }

/* ---- the remedy ---- */

typedef struct replay {
    lf_replay_pace pace;
    lf_old_batches batches;
} replay;

static lf_replay_pace pace_of(const lf_run *run) {
    return lf_replay_pace_of(lf_cfg_f64(run->cfg, LF_replay_ratio), run->batch_size);
}

static int64_t rows(const lf_run *run) { return pace_of(run).rows; }

static lf_status check(const lf_run *run, lf_err *err) {
    if (lf_cfg_is_set(run->cfg, LF_replay_data)) return LF_OK;
    return lf_cfg_fail(run->cfg, LF_replay_ratio, err, "needs 'replay_data', the old examples to mix in");
}

static void close(void *state) { lf_free(state); }

static lf_status open(void **state, char **hash, const lf_run *run, lf_err *err) {
    replay *r = *state = lf_calloc(1, sizeof *r);
    (void)hash; /* it is that of a role's data */
    if (!r) return lf_no_memory(err, "a remedy");
    r->pace = pace_of(run);
    r->batches = (lf_old_batches){.role = LF_DATA_REPLAY, .each = run->remedy_batches[LF_REMEDY_replay]};
    return LF_OK;
}

static lf_status learn_batch(lf_run *run, const lf_example_batch *b, int64_t micro, lf_window *w, lf_err *err) {
    lf_loss_counts counts = {0};
    double value;
    lf_graph_begin(run->g, true, true, lf_old_pass(LF_REMEDY_replay, micro));
    lf_tensor *loss = run->task->type->loss(run->task, b, &counts);
    const lf_status rc = lf_old_learn(run, loss, 1, "the loss of old examples", &value, err);
    if (!rc) w->terms[LF_REMEDY_replay] = (lf_term){value, counts.targets};
    return rc;
}

static lf_status learn(void *state, lf_run *run, int64_t micro, lf_window *w, bool *data_failed, lf_err *err) {
    replay *r = state;
    const int64_t number = lf_replay_at(&r->pace, micro);
    const lf_example_batch *b;
    if (number < 0) return LF_OK;
    const lf_status rc = lf_old_batch(&r->batches, run, number, &b, err);
    *data_failed = rc != LF_OK;
    return rc || !b || !b->targets ? rc : learn_batch(run, b, micro, w, err);
}

const lf_remedy_type lf_remedy_replay = {.check = check,
                                         .open = open,
                                         .close = close,
                                         .learn = learn,
                                         .counts = true,
                                         .data = LF_replay_data,
                                         .most = LF_max_replay_samples,
                                         .role = LF_DATA_REPLAY,
                                         .rows = rows};
