/* What a set of runs says: figures over seeds, the best learning rate of each method, trade-offs. */
#ifndef LF_REPORT_GATHER_SUMMARY_H
#define LF_REPORT_GATHER_SUMMARY_H

#include "report/gather/gather.h"
#include "stats/stats.h"

/* The runs that differ in their seed alone. */
typedef struct lf_cell {
    int64_t group; /* index of its group */
    double learning_rate;
    int64_t *runs; /* indices into the gathered runs, by seed; a piece of the summary's array */
    int64_t n_runs, n_done, n_diverged, n_failed, n_unfinished;
    int64_t n_collapsed;               /* of those that are done, whose figures count like any */
    lf_sample metrics[LF_MAX_METRICS]; /* over the runs that are done and have the figure */
    lf_candidate candidate; /* what its learning rate is chosen by: means over the runs that have the figure */
    int64_t n_candidates;   /* which are so many */
    lf_outcome outcome; /* means over the runs that are done: gain is accuracy or -ln perplexity; cost is forgetting.
                           NAN where not known */
    bool best;          /* the group's best learning rate */
    bool front; /* on the Pareto front of the cells of its family; of cells with a diverged run none is, nor do they
                   count below */
} lf_cell;

/* Figures of different tasks are not to be compared: groups that differ in a swept key of `model`, `train_data`,
 * `eval_data`, `test_data`, `forgetting_data`, `train_val_split` or the max_*_samples of those data are of different
 * families, each with its own reference, front, matched gain and first group. */

/* What is compared. At the best rates: gain and cost. Over all rates, of each seed by itself, where it was run at all
 * of them: the cost at the gain that both methods get to, and the hypervolume. */
typedef enum lf_differs {
    LF_DIFFERS_GAIN,
    LF_DIFFERS_COST,
    LF_DIFFERS_MATCHED,
    LF_DIFFERS_VOLUME,
    LF_N_DIFFERS
} lf_differs;

/* A method: the runs that agree in every swept key but those of which another value is another draw or rate of the same
 * (config/config.h: `seed`, `learning_rate`, `head_learning_rate`). Its best learning rate is the one of the largest
 * mean gain on evaluation data among those at which every run is done (of equals the one that forgets less, of those
 * the smaller); none where there is no evaluation data: a choice by test data would not be one (then best is -1, and it
 * is said). Where the runs
 * themselves select by forgetting (metric_for_best_model, max_forgetting), rates are chosen in the same way, by the
 * means of what was found on the data that they selected on. A group with one learning rate has nothing to choose: that
 * is its best once every run is done, whatever it was judged by. */
typedef struct lf_cohort {
    char *name;            /* "init_lora_weights intermediate, init_position 0.5"; "all" where nothing else is swept */
    int64_t *cells;        /* indices, by learning rate; in one row: cells[i] is cells[0] + i */
    int64_t n_cells, best; /* best: index of a cell, -1 */
    int64_t family; /* the first group that agrees in all swept keys of model and data: itself, where nothing of that is
                       swept, of all group 0 */
    const cJSON *start; /* of the first of its runs whose files say; NULL (report/gather/start.h) */
    lf_outcome
        reference; /* of its family (docs/method.md, "Gain and cost"). Pictures: accuracy 1 / (number of labels, from
                      run's eval_chance in all_results.json), forgetting = the base's accuracy before. Language: no gain
                      over the untuned model on the new text, forgetting = ln of the vocabulary's size (base_chance) -
                      ln before. NAN where the files do not tell; then no hypervolume. Means over the runs. */
    double matched_gain; /* of its family: the least of the groups' highest gains: all that have one get there */
    double hypervolume;  /* of its cells' outcomes against the reference; 0 if all it did was to diverge, NAN where
                            nothing is known */
    double matched_cost; /* forgetting at `matched_gain`; NAN if it does not get there */
    bool at_edge;        /* its best rate is the least or the largest that was tried: a better one may lie beyond */
    bool beyond;      /* at every rate more was forgotten than max_forgetting: the best is that of least forgetting */
    bool tied;        /* another rate has the same gain: the one that forgets less was taken, of those the smaller */
    int64_t baseline; /* of its family: the group that it is compared with */
    lf_sample differences[LF_N_DIFFERS]; /* from the baseline, paired by seed; NAN for that one itself */
    lf_sample compared[LF_MAX_METRICS];  /* likewise, of each averaged figure whose role is COMPARED */
    double equal_gain;      /* where LF_DIFFERS_MATCHED is of: the mean over seeds of the gain that both get to */
    double p[LF_N_DIFFERS]; /* of t tests of the three that decide, adjusted by Holm for all of the family; NAN for
                               LF_DIFFERS_COST, and with fewer than three pairs */
} lf_cohort;

typedef struct lf_summary {
    const lf_gathered *from; /* borrowed */
    bool judged_by_test; /* rates are chosen by evaluation data, and all that is compared with the baseline is of test
                            data, which every run that is done was judged by */
    bool by_forgetting;  /* some group's rate is chosen by what was forgotten on data that only choose */
    bool by_eval;        /* gains are of evaluation data; else of test data: no run was judged by any other */
    int64_t *runs, *cell_order; /* what the cells and groups point into */
    lf_cell *cells;
    int64_t n_cells;
    lf_cohort *groups;
    int64_t n_groups;
    bool families; /* there is more than one: the runs are of several models or data */
} lf_summary;

/* `baseline`: the name of the method that the others of its family are compared with, or its end behind a space
 * ("kaiming"); NULL: plain LoRA, which subtracts nothing from the weights, where it is there, else the family's first.
 * LF_EUSAGE, with the names, where there is none. Warns where a run is there twice (same settings and seed). */
lf_status lf_summary_new(lf_summary **out, const lf_gathered *g, const char *baseline, lf_err *err);
void lf_summary_free(lf_summary *s);

/* Of sequences that say none: from those of `between: reset` among the gathered, each from the one that agrees with it
 * in most that was swept, of the same draws and tasks. intransigence.c */
lf_status lf_gathered_intransigence(lf_gathered *g, lf_err *err);

/* LF_DIFFERS_MATCHED of any two methods, a less b. */
lf_status lf_compare_matched(lf_sample *out, const lf_summary *s, const lf_cohort *a, const lf_cohort *b, lf_err *err);

/* What repetitions are called: seeds, or, where the order of tasks is drawn too, draws of both. */
typedef struct lf_draw_words {
    const char *one, *many;                 /* "paired by seed", "a mean over seeds" */
    const char *counted_one, *counted_many; /* behind a number: "3 seeds" */
} lf_draw_words;
lf_draw_words lf_draw_words_of(const lf_gathered *g);

bool lf_is_method_key(const char *key); /* a swept key that tells groups apart */

/* Why a group has no best rate: at none is every run done, or those that are have no figure on evaluation data to
 * choose by. */
typedef enum lf_unchosen { LF_CHOSEN, LF_NOT_DONE, LF_NOT_JUDGED } lf_unchosen;
lf_unchosen lf_why_unchosen(const lf_summary *s, const lf_cohort *g);

/* results.csv: a row a run: name, swept keys, state, then every number of all_results.json (times and memory last:
 * only they differ when the same run is run again), when, where and by what it was made, message. summary.csv: a
 * row a cell: the group's keys, learning_rate (and head_learning_rate where that is swept), counts, mean, sd, n,
 * low, high of each metric, best, front; in the row of a group's best cell (its first, where none is) also
 * hypervolume, matched_gain, matched_forgetting, the differences from the baseline with their adjusted p-values,
 * and whether its best rate is at the edge or tied. All as in all_results.json, unscaled; what is not known is
 * empty. RFC 4180, but for the ends of lines. */
lf_status lf_write_results_csv(const lf_gathered *g, const char *path, lf_err *err);
lf_status lf_write_summary_csv(const lf_summary *s, const char *path, lf_err *err);
/* The same for people, what stands below it broken at 80 columns where it is no terminal: one line a group at its best
 * rate (where none could be chosen, a line a rate), means with half of the 95 % interval; what diverged or failed. */
void lf_summary_table(const lf_summary *s, FILE *out);

typedef struct lf_band {
    double low, high;
    bool interval; /* 95 % t interval of the mean; else least and most */
} lf_band;
#define LF_NO_BAND ((lf_band){NAN, NAN, false})
/* What is shown of a sample beside its mean, times `scale`. Two numbers: least and most, since their interval says next
 * to nothing; one: NAN. */
lf_band lf_band_of(lf_sample s, double scale);

#endif
