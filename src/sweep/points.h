/* The runs of a sweep: their names, folders and configurations, and how far they are. On disk:
 *
 *   output_dir/sweep.json        the spec, the configuration, and which run has which values (report/gather reads it)
 *   output_dir/sweep-config.json a configuration for `lora-ft sweep` that makes the same runs again
 *   output_dir/points/NAME.json  a configuration for `lora-ft train` (`lora-ft continual`: sweep/kind.h), whole
 *   output_dir/runs/NAME/        the run, or the sequence
 *   output_dir/logs/NAME.log     what it said
 *   output_dir/cache/            decompositions and the base's scores, once for all runs
 *   output_dir/claims/           which process does what (sweep/claims.h)
 *
 * NAME is made of the point's values ("learning_rate=0.001,seed=1"), not of its number, so that a sweep can be widened:
 * what is finished stays finished. */
#ifndef LF_SWEEP_POINTS_H
#define LF_SWEEP_POINTS_H

#include "config/config.h"
#include "sweep/grid.h"
#include "sweep/kind.h"

typedef enum lf_point_state {
    LF_POINT_TODO, /* not begun, interrupted, or failed and to be tried again */
    LF_POINT_DONE,
    LF_POINT_DIVERGED, /* would diverge again */
    LF_POINT_FAILED,   /* in this sweep; never found in a run's folder */
} lf_point_state;

typedef struct lf_point {
    char *name, *config_path, *run_dir, *log_path;
    const cJSON *values; /* borrowed from the grid */
    const lf_point_kind *kind;
    lf_config *cfg;    /* of its kind's verb, checked */
    char identity[33]; /* of its settings, however they were spelled */
    bool dropped,
        again; /* while they are made: an init_position that is not read was taken out; the same as an earlier point */
    bool of_shard; /* among those that this process is to run */
    lf_point_state state;
} lf_point;

typedef struct lf_points {
    const lf_config *cfg; /* of the sweep, borrowed */
    const char *dir;
    lf_grid grid;
    lf_point *at;
    int64_t n;
    bool afresh;  /* what is there is removed when they are written */
    int threads;  /* of each run */
    int64_t fits; /* examples at once, where the batch is left to the memory (train/fitting.h); 0: it is not, or not
                     known */
    char identity[33]; /* of all its points and their threads: who has another one is at work on another sweep */
} lf_points;

/* Reads the spec, makes and checks every point's configuration, and looks at what is on disk already. Writes nothing.
 * `jobs` share the threads; a sweep that was begun keeps the number of threads it was begun with, because results
 * depend on it. LF_EUSAGE for a point whose configuration is wrong or names a file that is not there, for two points
 * that are the same run, for a folder that holds something else, and for a run there that was made with other settings
 * (naming run, key and both values), unless all is to begin afresh. fits: what an earlier call found, or 0. */
lf_status lf_points_open(lf_points *p, const lf_config *cfg, bool afresh, int64_t jobs, int64_t fits, lf_err *err);
/* points_fit.c: per_device_train_batch_size auto becomes a number, the same examples at once for all: `fits`, what the
 * sweep was begun with (before: its sweep.json, or NULL), or what is found. */
lf_status lf_points_fit(lf_points *p, const cJSON *before, int64_t jobs, lf_err *err);
/* points_fit.c: the point's configuration, unfinished, without the sweep's caches: for a trial before anything is made.
 * The caller frees *out, also after an error. */
lf_status lf_point_bare(lf_config **out, const lf_points *p, const lf_point *at, lf_err *err);
/* Writes sweep.json, sweep-config.json and the points' configurations. Where it begins afresh, what an earlier sweep
 * left is removed first: LF_EFAIL, and nothing is, if a run is at work there. */
lf_status lf_points_write(const lf_points *p, lf_err *err);
/* The configuration of one, as it is for whoever runs it: from another folder, paths are others. */
lf_status lf_point_write(const lf_point *at, lf_err *err);
/* Whether the folder's sweep.json is of these points. */
lf_status lf_points_are_there(bool *are, const lf_points *p, lf_err *err);
/* Looks again how far it is; its state is set if it is done, or diverged. */
lf_status lf_point_look(lf_point *at, lf_err *err);
int64_t lf_points_count(const lf_points *p, lf_point_state state); /* of this process's shard */
void lf_points_close(lf_points *p);

#endif
