/* What keeps a model from forgetting while it is trained (docs/method.md, "Remedies"): terms that are added to the
 * loss. A remedy is one file, remedy_<name>.c, one line in remedies.def, and its keys; the loop knows no more of it
 * than this table. One whose weight is 0 is not opened: a run without it and one with weight 0 do the same to the last
 * bit. */
#ifndef LF_TRAIN_REMEDIES_H
#define LF_TRAIN_REMEDIES_H

#include "train/run.h"

typedef struct lf_remedy_type {
    /* Of the configuration and the method alone, before anything is read. LF_EUSAGE: they cannot be combined. */
    lf_status (*check)(const lf_run *run, lf_err *err);
    /* What is trained is there; its start is not yet that of a checkpoint. On failure, too, a state is closed. *hash is
     * NULL; with `files` it becomes that of what was read, freed by lf_free. */
    lf_status (*open)(void **state, char **hash, const lf_run *run, lf_err *err);
    void (*close)(void *state);
    /* A term of the weights, once a step: adds `by` times its gradient to those of the trained tensors, and returns the
     * term, with its weight. The same on every rank, whose gradients are the same by then. */
    double (*penalty)(void *state, const lf_run *run, double by);
    /* Learns from examples of its own behind micro-batch `micro` of the run: adds to the gradients, and to the window,
     * whose targets with those of the terms that count are what the step divides by. */
    lf_status (*learn)(void *state, lf_run *run, int64_t micro, lf_window *w, bool *data_failed, lf_err *err);
    bool counts;       /* its term's count are targets like any other */
    lf_key_id data;    /* of the examples that `learn` is served (old_batches.h); LF_NO_KEY: it has none */
    lf_key_id most;    /* how many of them at most; LF_NO_KEY: all */
    lf_data_role role; /* theirs */
    int64_t (*rows)(const lf_run *run); /* of a batch of them */
    /* Training data are open: are they from elsewhere than `data` says? LF_EUSAGE: they cannot be used. NULL: never. */
    lf_status (*place)(const lf_run *run, lf_data_from *from, lf_err *err);
    /* They are open, and the model; nothing is measured yet. LF_EUSAGE: it cannot be followed. NULL: it always can. */
    lf_status (*fits)(const lf_run *run, lf_err *err);
    /* Bytes that a dry run, which does not fill them, leaves out, and which one pass over those examples fills. NULL:
     * none */
    double (*kept_bytes)(const void *state);
    lf_key_id files; /* what the run must find as it was when it goes on; LF_NO_KEY: nothing */
} lf_remedy_type;

#define LF_REMEDY(name, weight) extern const lf_remedy_type lf_remedy_##name;
#include "train/remedies.def"
#undef LF_REMEDY

bool lf_remedy_is_asked(const lf_config *cfg, lf_remedy_id id);
lf_status lf_remedies_check(const lf_run *run, lf_err *err);
lf_status lf_remedies_open_data(lf_run *run, lf_err *err); /* their own examples */
lf_status lf_remedies_plan(lf_run *run, lf_err *err);
lf_status lf_remedies_open(lf_run *run, lf_err *err);
void lf_remedies_close(lf_run *run);

double lf_remedies_kept_bytes(const lf_run *run, lf_data_role role); /* of those that learn from a role's examples */

/* Behind a micro-batch, number `micro` since the beginning of the run. */
lf_status lf_remedies_learn(lf_run *run, int64_t micro, lf_window *w, bool *data_failed, lf_err *err);
/* What the sum of a step's micro-batches is divided by. */
double lf_remedies_targets(const lf_window *w);
/* Before it is, behind them: the terms of the weights. */
void lf_remedies_penalise(lf_run *run, double targets);

/* The hashes of what remedies read, into data_hashes; LF_EUSAGE, naming `path`, the key and both, where one was another
 * in `was`. */
bool lf_remedies_put_hashes(cJSON *o, const lf_run *run);
lf_status lf_remedies_check_hashes(const lf_run *run, const cJSON *was, const char *path, lf_err *err);

/* Each term that is there, by its name: into a line of metrics.jsonl its mean; the weights, into the facts of a run. */
void lf_terms_log(lf_obj *row, const lf_term terms[LF_N_REMEDIES]);
void lf_remedies_put(lf_obj *o, const lf_config *cfg);
/* The sums since the last line, as a member of a checkpoint's counters; nothing where all are zero. LF_EDATA where they
 * are none, naming `path`. */
bool lf_terms_put(cJSON *counters, const lf_term terms[LF_N_REMEDIES]);
lf_status lf_terms_read(lf_term terms[LF_N_REMEDIES], const cJSON *counters, const char *path, lf_err *err);

/* remedy_parts.c: what several of them have in common. LF_EUSAGE, naming `key`, with method head or full, and with
 * use_dora. */
lf_status lf_remedy_needs_factors(const lf_run *run, lf_key_id key, lf_err *err);

/* Calls `take` for each place that `key` lists; *hash becomes their hashes, in that order. */
typedef lf_status lf_remedy_take(void *state, char hash[33], const lf_run *run, const char *place, lf_err *err);
lf_status lf_remedy_take_places(void *state, char **hash, const lf_run *run, lf_key_id key, lf_remedy_take *take,
                                lf_err *err);

/* ---- their mathematics, for tests ---- */

/* weight / 2 times the sum over nn's adapters of |dW|^2. work: lf_l2_room(nn) doubles. */
double lf_l2_penalty(const lf_nn *nn, double weight, double by, double *work);
int64_t lf_l2_room(const lf_nn *nn);

/* What an earlier adapter has on a module of this one. */
typedef struct lf_earlier_rows {
    const lf_module *module;
    float *A; /* [R, in]; owned */
    int64_t R;
} lf_earlier_rows;
/* weight times the sum over them of |A E^T|^2, A what is trained on the module, E those rows. */
double lf_orthogonal_penalty(const lf_earlier_rows *earlier, int64_t n, double weight, double by);

/* Where an earlier run left the first n numbers of a tensor, and what each of them meant to it. */
typedef struct lf_anchor {
    lf_tensor *tensor;
    float *value; /* [n], and behind them fisher [n]; owned */
    const float *fisher;
    int64_t n;
} lf_anchor;
/* weight / 2 times the sum of fisher (x - value)^2. */
double lf_ewc_penalty(const lf_anchor *anchors, int64_t n, double weight, double by);

#endif
