/* What the figures of a run mean, for whoever writes, averages or draws them: figures.def as data. It stands here
 * because the tasks that measure and the reports that know files alone both read it. */
#ifndef LF_STATS_FIGURES_H
#define LF_STATS_FIGURES_H

#include <stdbool.h>

/* GAIN and TEST_GAIN: what was learned, on evaluation and on test data; COST: what that cost of the old; KEPT: the
 * share that is left; MEAN: averaged over seeds too; COMPARED: and shown against the baseline. START: others are
 * calculated from it; CARD: of a single run alone. A yardstick has one each of
 * the first four. */
typedef enum lf_role {
    LF_ROLE_GAIN,
    LF_ROLE_TEST_GAIN,
    LF_ROLE_COST,
    LF_ROLE_KEPT,
    LF_ROLE_MEAN,
    LF_ROLE_COMPARED,
    LF_ROLE_START,
    LF_ROLE_CARD
} lf_role;
typedef enum lf_better { LF_MORE_IS_BETTER, LF_LESS_IS_BETTER } lf_better;

typedef struct lf_metric {
    const char *name;  /* its key in all_results.json; harmonic_mean is the report's own */
    const char *label; /* "new task, accuracy" */
    const char *unit;  /* "%", "points", "nats", "" */
    double scale;      /* shown = scale x value */
    lf_role role;
    lf_better better;
    const char *card; /* in front of a run's page; NULL: not there */
    int decimals;     /* on the card */
} lf_metric;
enum { LF_MAX_METRICS = 12 }; /* that are averaged */

/* LF_COUNTED_accuracy, ...: what is made from the counts of each class. */
enum {
#define COUNTED(name) LF_COUNTED_##name,
#include "stats/figures.def"
    LF_N_COUNTED
};

/* A figure of metrics.jsonl that stands in a run's curves.csv. */
typedef enum lf_look { LF_LOOK_NONE, LF_LOOK_LEARNED, LF_LOOK_KEPT, LF_LOOK_NEIGHBOURS } lf_look;
typedef struct lf_step_figure {
    const char *name;
    lf_look look;             /* how it is drawn; NONE: not */
    const char *title;        /* in a run's picture */
    const char *label, *unit; /* in that of many runs, which draws the learned and the kept; shown = scale x value */
    double scale;
} lf_step_figure;

/* What the new task is judged by; BESIDE_TEXT: and the base by the perplexity of text, else by accuracy. */
typedef enum lf_judged_by {
    LF_BY_ACCURACY,
    LF_BY_PERPLEXITY,
    LF_BY_CORRELATION,
    LF_BY_ACCURACY_BESIDE_TEXT, /* of two with the same gain the one with a mark comes later */
    LF_BY_CORRELATION_BESIDE_TEXT,
    /* Of sequences of such tasks (stats/sequence_figures.h). No task is judged by them. */
    LF_N_TASK_YARDSTICKS,
    LF_BY_SEQUENCE_OF_ACCURACY = LF_N_TASK_YARDSTICKS,
    LF_BY_SEQUENCE_OF_PERPLEXITY,
    LF_BY_SEQUENCE_OF_CORRELATION,
    LF_BY_SEQUENCE_OF_ACCURACY_BESIDE_TEXT,
    LF_BY_SEQUENCE_OF_CORRELATION_BESIDE_TEXT,
    LF_N_YARDSTICKS
} lf_judged_by;

/* What the runs of a task are judged by. Which one a run has, the gain in its all_results.json tells. */
typedef struct lf_yardstick {
    const char *name, *article; /* "accuracy", "an" */
    const char *of;             /* "pictures": whose runs they are, for messages */
    const char *mark;           /* a key of all_results.json that tells it from one of the same gain; NULL */
    bool log;                   /* compared and drawn by its logarithm */
    bool base_log;              /* what the base knew is a perplexity: compared by its logarithm */
    const char *start;          /* the figure of a model that learned nothing */
    bool start_is_of_eval;      /* and it says nothing about test data */
    const char *worst;          /* the figure of a base that forgot all; NULL: 0 */
    const char *difference, *difference_unit; /* of two gains; shown times difference_scale */
    double difference_scale;
    const char *matched;         /* format of "forgetting at a gain of": the label of the cost, the gain as shown */
    bool writes;                 /* a model that is judged so writes text */
    const lf_metric *metrics;    /* those that are averaged; ends with name NULL */
    const lf_metric *figures;    /* all but the plain; ends with name NULL */
    const lf_step_figure *steps; /* ends with name NULL */
} lf_yardstick;
extern const lf_yardstick lf_yardsticks[LF_N_YARDSTICKS];

/* The first of the averaged figures that has the role; the end of the list, name NULL, where none has. */
const lf_metric *lf_metric_in_role(const lf_yardstick *y, lf_role role);
/* A figure as a gain: more is better, differences mean something. And back. NAN stays NAN; a perplexity that is not
 * positive is NAN. */
double lf_gain_from(const lf_yardstick *y, double figure);
/* What the base knew, in the same way. */
double lf_kept_from(const lf_yardstick *y, double figure);
/* What was learned (the gain's figure) and the share that is left of the old, as one number of which more is better:
 * their harmonic mean; of perplexities retention / perplexity, so that a nat learned is worth a nat kept. Of a
 * correlation below 0: 0. NAN stays NAN. */
double lf_tradeoff_of(const lf_yardstick *y, double figure, double retention);
double lf_gain_shown(const lf_yardstick *y, double gain); /* times the scale of the gain's figure */

#endif
