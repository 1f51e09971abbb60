/* What the untouched base says of examples, and how far what the tuned model says is from it: for a loss that keeps
 * the one near the other (train/remedy_kl.c). Of classes (kl_classes.c) or of next tokens (kl_language.c); a task has
 * one of them (lf_task_type.kl). */
#ifndef LF_TASK_KL_H
#define LF_TASK_KL_H

#include "task/task.h"

/* Room that grows, for what is said of one batch; `data` is freed by lf_free. */
typedef struct lf_said_room {
    char *data;
    int64_t size;
} lf_said_room;

struct lf_kl_type {
    /* Model and data are open: has the base something to say that can be compared? LF_EUSAGE, naming `key`. */
    lf_status (*check)(const lf_task *t, lf_key_id key, lf_err *err);
    /* Of kl_mask_target, when the training data are open, and the others not yet: has the base an entry for what is
     * true of them, which can be taken out? of_train: they are the training data. LF_EUSAGE, naming the key. NULL: it
     * always has. */
    lf_status (*check_target)(const lf_task *t, bool of_train, lf_err *err);
    /* Floats that the base says of an example, which may be kept instead of asking again; 0: too many to be kept. */
    int64_t (*width)(const lf_task *t);
    /* One pass of the base over b, without a tape: out->data holds what it says of each row, in order. */
    lf_status (*ask)(lf_said_room *out, lf_task *t, const lf_example_batch *b, lf_err *err);
    /* In a step of its own: the sum over the rows [1] (of text, over the tokens with a target) of KL(what was said ||
     * what the model says), and how many, counts->targets; with kl_mask_target what is true of a row is taken out of
     * both, and the rest sums to 1. `said` and b outlive backward. NULL after a failure, which is the graph's. */
    lf_tensor *(*loss)(lf_task *t, const lf_example_batch *b, const void *said, lf_loss_counts *counts);
};

extern const lf_kl_type lf_kl_classes, lf_kl_language;

#endif
