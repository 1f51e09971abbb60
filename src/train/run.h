/* A training run: everything that lf_train sets up once and the loop, the checkpoints and the closing evaluation share.
 */
#ifndef LF_TRAIN_RUN_H
#define LF_TRAIN_RUN_H

#include "adapter/adapter.h"
#include "base/outlet.h"
#include "task/source.h"
#include "train/average.h"
#include "train/metrics.h"
#include "train/optimizer.h"
#include "train/schedule.h"
#include "train/tree.h"
#include "train/watch.h"

typedef enum lf_method { LF_METHOD_LORA, LF_METHOD_HEAD, LF_METHOD_FULL } lf_method;

/* What a checkpoint restores beside the tensors. */
typedef struct lf_progress_state {
    int64_t step; /* steps done: windows of `accumulation` micro-batches */
    lf_window since_log;
    double best_metric;     /* NAN: none yet */
    double best_forgetting; /* of the same evaluation, as shown (points, nats); NAN: it chooses nothing */
    int64_t best_step;      /* 0: none yet */
    int64_t evals_without_gain;
    int64_t skipped_images;
    double train_seconds;
    double eval_accuracy_before, eval_loss_before;
} lf_progress_state;

typedef struct lf_run {
    const lf_config *cfg;
    const char *dir; /* output_dir */
    int lock;        /* on it; -1: none */
    int new_folders; /* made for it, and removed again if it does not begin */
    double deadline; /* lf_now() after which it ends with a checkpoint; HUGE_VAL: none */
    lf_method method;
    int threads;
    const lf_kernels *k;
    lf_graph *g;
    lf_model *model;
    lf_adapter_file *from;             /* continue_from; NULL: a new adapter */
    char from_hash[33];                /* of its tensors; "": none */
    lf_adapter *adapter;               /* NULL unless method lora */
    lf_task *task;                     /* data, loss and judgement */
    double chance;                     /* of a guess on the new task (lf_task_type.chance) */
    char data_hash[LF_DATA_ROLES][33]; /* of the bytes of each role's files (data/fingerprint.h); "": it has none */
    bool has_eval, has_test, has_base; /* has_base: forgetting_data is given, and the untouched base measured on it */
    bool selects; /* by what is forgotten: the base's data have a part to choose on (LF_DATA_BASE_EVAL) */
    lf_base_score before[LF_DATA_ROLES]; /* of the untouched base, on the data of its roles */
    lf_trainable *trainables;
    int64_t n_trainables;
    lf_optimizer optimizer;
    lf_average average;                    /* of what is trained (ema_decay) */
    void *remedies[LF_N_REMEDIES];         /* what each keeps (remedies.h); NULL: it is not asked for */
    char *remedy_hash[LF_N_REMEDIES];      /* of the files that each reads; NULL: none */
    int64_t remedy_batches[LF_N_REMEDIES]; /* of all examples of its own; 0: it has none */
    lf_prefix_store *prefix;               /* of the training data; NULL: nothing is kept */
    lf_tree tree;                          /* of a step's micro-batches */
    lf_schedule schedule;
    lf_metrics metrics;
    int64_t batches_per_epoch, steps_per_epoch, total_steps, batch_size, accumulation;
    int64_t planned_steps; /* total_steps of the run when it began: a warmup in steps is a share of these */
    cJSON *segments; /* where it went on with other settings; NULL: nowhere yet. Written by checkpoints and ends */
    lf_progress_state progress;
    lf_results results;
    lf_watcher *watcher; /* told of each step and row; NULL: nobody */
} lf_run;

/* train.c: lf_train, of which `watcher` is told (NULL: nobody). What is kept by `to` is what all_results.json has. */
lf_status lf_train_to(const lf_config *cfg, lf_outlet *to, lf_watcher *watcher, lf_err *err);

/* run_setup.c: opens model, data, head, adapter and optimiser; measures the untouched base. After an error, too, the
 * caller closes the run. */
lf_status lf_run_open(lf_run *run, const lf_config *cfg, lf_err *err);
/* What the settings alone tell that cannot be, before anything is read. */
lf_status lf_run_check_settings(const lf_config *cfg, lf_err *err);
/* Its first part: the model and the data, and the hashes of the data's files. */
lf_status lf_run_open_data(lf_run *run, const lf_config *cfg, lf_err *err);
/* For looking at the training data alone: of the model only what its config.json says, no other data, no folder. */
lf_status lf_run_open_to_look(lf_run *run, const lf_config *cfg, lf_err *err);
void lf_run_close(lf_run *run);

/* run_folder.c, in this order: whether output_dir may be this run's; it is made, locked and tried, so that what cannot
 * be written shows in the first second (lf_run_close removes what a run that did not begin has made); what an earlier
 * run left goes, where it is to be overwritten. */
lf_status lf_run_check_folder(const lf_run *run, lf_err *err);
lf_status lf_run_open_folder(lf_run *run, lf_err *err);
lf_status lf_run_begin_folder(lf_run *run, lf_err *err);
/* Of a run that has ended: rid of what a process that was killed has left, where nobody is at work in it. */
void lf_run_settle_folder(const char *dir);
/* Removes all that a run writes into its folder, and leaves what else is there. */
lf_status lf_run_clear(const char *dir, lf_err *err);

/* checkpoint.c: output_dir/checkpoint-<step>, written aside and renamed; by rank 0, which alone reads it again. */
lf_status lf_checkpoint_save(lf_run *run, lf_err *err);
/* LF_EDATA, naming the file and what to try, unless every file is as it was written. checkpoint_sums.c */
lf_status lf_checkpoint_check_sums(const char *dir, lf_err *err);
/* Whether there is one in the folder, whole or not. */
lf_status lf_checkpoint_any(bool *any, const char *dir, lf_err *err);
/* LF_EDATA if the files of the base have changed since they were opened: what was learned since the last checkpoint may
 * have followed them. Asked by every save, and before the end's export. */
lf_status lf_checkpoint_check_base(const lf_run *run, lf_err *err);
/* Where rank 0 is, others are then: the tensors and counters of a checkpoint, restored or not. */
lf_status lf_checkpoint_share(lf_run *run, lf_err *err);
/* Finds what resume_from_checkpoint means; *path NULL: nothing there, start at the beginning. Freed by lf_free. */
lf_status lf_checkpoint_find(char **path, const lf_run *run, lf_err *err);
lf_status lf_checkpoint_restore(lf_run *run, const char *path, lf_err *err);
/* Gives the checkpoints in output_dir that are later than the restored one another name: the run goes another way from
 * here, and the next resume must not find the abandoned one. */
lf_status lf_checkpoint_set_later_aside(const lf_run *run, lf_err *err);
/* Only the trained tensors (load_best_model_at_end), on all ranks; where they are averaged, their average. */
lf_status lf_checkpoint_restore_weights(lf_run *run, const char *path, lf_err *err);

/* loop.c: from run->progress.step to the end; LF_EINTERRUPTED after writing a checkpoint. */
lf_status lf_run_loop(lf_run *run, lf_err *err);
int64_t
lf_run_evaluations(const lf_run *run); /* how many it makes: before the first step, on the way, after the last */

/* What an evaluation found to choose by. */
typedef struct lf_found {
    const lf_accuracy *eval; /* NULL: no evaluation data */
    lf_selection selection;  /* count 0: what is forgotten chooses nothing */
} lf_found;

/* best.c: which evaluation is the best. */
const char *lf_run_best_metric(const lf_run *run); /* "accuracy", "loss", ... */
/* Before anything is trained: is there what the best is to be found by? */
lf_status lf_run_check_choice(const lf_run *run, lf_err *err);
/* The same of the first evaluation: by a metric that these data have no number of, no model would ever be the best. */
lf_status lf_run_check_metric(const lf_run *run, const lf_found *f, lf_err *err);
void lf_run_note_best(lf_run *run, const lf_found *f);
/* The same for a schedule that watches evaluations. */
void lf_run_note_rate(lf_run *run, const lf_found *f);
/* That no evaluation was within max_forgetting, where none was. */
void lf_run_say_best(const lf_run *run);

/* prefix.c: opens run->prefix, where prefix_cache says so. LF_EUSAGE: it was asked for, and cannot be. */
lf_status lf_run_open_prefix(lf_run *run, lf_err *err);
/* The task's loss of a batch of the training data. */
lf_tensor *lf_run_loss(const lf_run *run, const lf_example_batch *b, lf_loss_counts *counts);

/* run_data.c: whether the data are still what they were. */
lf_status lf_run_hash_data(lf_run *run, lf_err *err);
/* Of data under two names where one should not be the other, after that. */
void lf_run_warn_of_same_data(const lf_run *run);
/* Hashes again where they are known to have changed, with a warning for each role that has: a checkpoint that is
 * written then goes on with them as they are now. */
lf_status lf_run_hash_data_again(lf_run *run, lf_err *err);
/* {"model": hash, "train_data": hash, ...} of the model and every role; NULL: out of memory. */
cJSON *lf_run_data_hashes(const lf_run *run);
/* LF_EUSAGE, naming `path`, the key and both hashes, where `was` (such an object) says another hash, or none. */
lf_status lf_run_check_data(const lf_run *run, const cJSON *was, const char *path, lf_err *err);

/* calibrate.c: for a start that looks at data, those that are its own; LF_EUSAGE where they are not given. */
lf_status lf_run_open_calibration(lf_run *run, lf_err *err);
bool lf_run_calibrates(const lf_run *run);                              /* its start looks at data */
lf_status lf_run_calibrate(void *run, lf_init_reads what, lf_err *err); /* lf_calibrate.run */

/* finish.c: update_ratio of an adapter on m; nothing without one, or without data to look at. */
lf_status lf_run_measure_update(lf_run *run, lf_model *m, double *ratio, lf_err *err);

/* facts.c: what the files of a run say of it. */
/* Where the run went on with other settings, as the member `segments`; nothing where it never did. */
void lf_run_put_segments(lf_obj *o, const lf_run *run);
/* Where the adapter started, as the member `start` (adapter/adapter.h); null where there is none. */
void lf_run_put_start(lf_obj *o, const lf_run *run);
lf_status lf_run_adapter_facts(const lf_run *run, lf_adapter_facts *facts, cJSON **extra, lf_err *err);

/* quantised.c: the end of a run whose base was quantised (frozen_precision). Its figures are of the untouched base, so
 * what it knew is measured again by `m`, which has the adapter that was written on a base in `precision`. */
/* Before that is opened: keeps what the quantised base is compared by, and gives its weights' memory back. */
lf_status lf_run_leave_quantised(lf_run *run, lf_kept_base *kept, lf_err *err);
lf_status lf_run_measure_untouched(lf_run *run, const lf_kept_base *kept, lf_model *m, lf_err *err);
/* What both measure, of every role of the base: by the task's model. */
lf_status lf_run_measure_base(lf_run *run, lf_err *err);

/* finish.c: writes the adapter (or model), reads it back, and measures what was written. */
/* What all_results.json holds: the figures, and the start. NULL: out of memory. */
cJSON *lf_run_results(const lf_run *run);
lf_status lf_run_finish(lf_run *run, lf_err *err);

#endif
