/* Between checkpoint.c, which writes and reads checkpoints, and checkpoint_sums.c, which tells damaged ones. */
#ifndef LF_TRAIN_CHECKPOINT_INTERNAL_H
#define LF_TRAIN_CHECKPOINT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define LF_STATE_FILE "state.safetensors"
#define LF_STATE_JSON "trainer_state.json"

/* Writes down the hash of every file in the folder, last of all. */
lf_status lf_checkpoint_seal(const char *dir, lf_err *err);
/* N of "checkpoint-N", written as we write it (not 00004); -1: no such name. */
int64_t lf_checkpoint_step(const char *name);
/* Whether the n bytes are the name of a checkpoint, or of one that is being written or removed: "checkpoint-N",
 * "checkpoint-N.tmp", "checkpoint-N.old-...". */
bool lf_checkpoint_is_ours(const char *name, size_t n);

#endif
