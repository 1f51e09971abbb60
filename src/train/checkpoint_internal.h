/* Between the files of checkpoints: checkpoint.c writes them, checkpoint_find.c finds whole ones, checkpoint_restore.c
 * goes on with one, checkpoint_sums.c tells damaged ones; checkpoint_state.c says what is in them. */
#ifndef LF_TRAIN_CHECKPOINT_INTERNAL_H
#define LF_TRAIN_CHECKPOINT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "io/safetensors.h"
#include "train/run.h"

#define LF_STATE_FILE "state.safetensors"
#define LF_STATE_JSON "trainer_state.json"

/* Writes down the hash of every file in the folder, last of all. */
lf_status lf_checkpoint_seal(const char *dir, lf_err *err);
/* N of "checkpoint-N", written as we write it (not 00004); -1: no such name. */
int64_t lf_checkpoint_step(const char *name);
/* Whether the n bytes are the name of a checkpoint, or of one that is being written or removed: "checkpoint-N",
 * "checkpoint-N.tmp", "checkpoint-N.old-...". */
bool lf_checkpoint_is_ours(const char *name, size_t n);

/* ---- what is in one ---- */

/* A tensor of it, and where it is in the run. */
typedef struct lf_entry {
    char name[320];
    float *data;
    int64_t n;
} lf_entry;
typedef lf_status (*lf_visit_entry)(void *context, const lf_entry *e, lf_err *err);
/* All of them, as one list that saving and restoring walk alike; or what a run hands on alone, into what is trained:
 * the weights, or their average. Stops at the first failure. */
lf_status lf_checkpoint_each_tensor(lf_run *run, lf_visit_entry visit, void *context, lf_err *err);
lf_status lf_checkpoint_each_result(lf_run *run, lf_visit_entry visit, void *context, lf_err *err);

typedef struct lf_counters {
    lf_progress_state at;
    int64_t optimizer_steps, max_steps, planned_steps; /* as total_steps and planned_steps of lf_run */
    lf_plateau plateau;                                /* of lf_run's schedule */
} lf_counters;

lf_counters lf_counters_of(const lf_run *run);
bool lf_counters_put(cJSON *o, const lf_counters *c);
/* LF_EDATA, naming the key, for one that no run can have. */
lf_status lf_counters_read(lf_counters *c, const cJSON *saved, const char *path, lf_err *err);

/* What the run is: what has to be the same beside the keys, and the keys (of threads, how many there are). NULL: out of
 * memory. The caller deletes them. */
#define LF_REDUCTION "reduction" /* how the micro-batches of a step are summed */
cJSON *lf_checkpoint_facts(const lf_run *run);
cJSON *lf_checkpoint_keys(const lf_run *run);

/* ---- reading one ---- */

bool lf_checkpoint_is_whole(const char *dir, const char *name);
lf_status lf_checkpoint_read_json(cJSON **out, const char *dir, lf_err *err);
lf_status lf_checkpoint_open_state(lf_safetensors **out, const char *dir, lf_err *err);
/* LF_EDATA unless the files are as they were written, and their numbers are such as a run can have. */
lf_status lf_checkpoint_check(const char *dir, lf_err *err);

#endif
