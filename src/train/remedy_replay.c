/* Old examples are mixed into the batches: a micro-batch of them behind one of the new task, with a loss of its own
 * whose targets count like the others, so that a step follows the mean over all of both. Which batch stands behind
 * which is said by the number of the micro-batch alone: there is nothing to remember, and ranks need no word about it.
 */
#include <math.h>

#include "base/log.h"
#include "base/mem.h"
#include "train/remedies.h"
#include "train/replay.h"

lf_replay_pace lf_replay_pace_of(double ratio, int64_t batch_size) {
    const double wanted = (double)batch_size * ratio / (1 - ratio); /* beside each batch */
    const double rows = ceil(wanted - 1e-9);
    return (lf_replay_pace){rows < 1 ? 1 : (int64_t)rows, fmin(1, wanted / fmax(1, rows))};
}

static int64_t before(const lf_replay_pace *p, int64_t k) { return (int64_t)floor((double)k * p->each + 1e-9); }

int64_t lf_replay_at(const lf_replay_pace *p, int64_t k) { return before(p, k + 1) > before(p, k) ? before(p, k) : -1; }

/* ---- the data ---- */

lf_status lf_replay_open_data(lf_run *run, lf_err *err) {
    const lf_data_from from = {.key = LF_replay_data, .split = "train"};
    if (!lf_remedy_is_asked(run->cfg, LF_REMEDY_replay)) return LF_OK;
    return run->task->source->open_data(run->task, LF_DATA_REPLAY, &from, err);
}

lf_status lf_replay_plan(lf_run *run, lf_err *err) {
    if (!lf_remedy_is_asked(run->cfg, LF_REMEDY_replay)) return LF_OK;
    const lf_replay_pace pace = lf_replay_pace_of(lf_cfg_f64(run->cfg, LF_replay_ratio), run->batch_size);
    return run->task->source->plan(run->task, LF_DATA_REPLAY, pace.rows, &run->replay_batches, err);
}

/* ---- the remedy ---- */

typedef struct replay {
    lf_replay_pace pace;
    bool started;
    const lf_example_batch *early; /* served already, but of a later place; else NULL */
} replay;

static lf_status check(const lf_run *run, lf_err *err) {
    if (lf_cfg_is_set(run->cfg, LF_replay_data)) return LF_OK;
    return lf_cfg_fail(run->cfg, LF_replay_ratio, err, "needs 'replay_data', the old examples to mix in");
}

static void close(void *state) { lf_free(state); }

static lf_status open(void **state, char **hash, const lf_run *run, lf_err *err) {
    replay *r = *state = lf_calloc(1, sizeof *r);
    (void)hash; /* it is that of a role's data */
    if (!r) return lf_no_memory(err, "a remedy");
    r->pace = lf_replay_pace_of(lf_cfg_f64(run->cfg, LF_replay_ratio), run->batch_size);
    return LF_OK;
}

/* Batch `number` since the beginning; NULL: of it nothing could be read. */
static lf_status serve(replay *r, const lf_run *run, int64_t number, const lf_example_batch **out, lf_err *err) {
    const lf_source_type *source = run->task->source;
    const int64_t each = run->replay_batches;
    lf_status rc = LF_OK;
    *out = NULL;
    if (!r->started) rc = source->start(run->task, LF_DATA_REPLAY, number / each, number % each, (lf_portion){0}, err);
    r->started = true;
    while (!rc) {
        if (!r->early && (rc = source->next(run->task, LF_DATA_REPLAY, &r->early, err))) break;
        const int64_t at = r->early->epoch * each + r->early->number;
        if (at > number) break;
        if (at == number) *out = r->early;
        r->early = NULL;
        if (*out) break;
    }
    return rc;
}

/* Dropout draws masks by the number of a pass: none that a batch of the new task has. */
static const uint64_t OLD_PASSES = UINT64_C(1) << 48;

static lf_status learn_batch(lf_run *run, const lf_example_batch *b, uint64_t pass, lf_window *w, lf_err *err) {
    lf_loss_counts counts = {0};
    float value;
    lf_graph_begin(run->g, true, true, OLD_PASSES + pass);
    lf_tensor *loss = run->task->type->loss(run->task, b, &counts);
    const lf_status rc = lf_graph_status(run->g, err);
    if (rc) return rc;
    run->k->to_f32(&value, loss->data, 1);
    if (!isfinite(value))
        return lf_fail(err, LF_EDIVERGED, "step %lld: the loss of old examples is %g; try a lower learning_rate",
                       (long long)run->progress.step + 1, (double)value);
    w->terms[LF_REMEDY_replay] = (lf_term){(double)value, counts.targets};
    return lf_graph_backward(run->g, loss, 1, err);
}

static lf_status learn(void *state, lf_run *run, int64_t micro, lf_window *w, bool *data_failed, lf_err *err) {
    replay *r = state;
    const int64_t number = lf_replay_at(&r->pace, micro);
    const lf_example_batch *b;
    if (number < 0) return LF_OK;
    const lf_status rc = serve(r, run, number, &b, err);
    *data_failed = rc != LF_OK;
    return rc || !b || !b->targets ? rc : learn_batch(run, b, (uint64_t)micro, w, err);
}

const lf_remedy_type lf_remedy_replay = {.check = check, .open = open, .close = close, .learn = learn, .counts = true};
