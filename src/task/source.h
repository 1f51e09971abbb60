/* Data, by what goes into the model: a source, one for pictures (pictures.c) and one for text (text.c), each a line of
 * sources.def, serves every task on a model of that input. Opens the data of a role, serves batches of them from any
 * place, and knows what belongs beside the model's weights. Processor or tokenizer are read when the first data set is
 * opened, so that `bench` needs neither. */
#ifndef LF_TASK_SOURCE_H
#define LF_TASK_SOURCE_H

#include "task/task.h"

/* The labels of a role's data. */
typedef struct lf_data_labels {
    const char *path;
    lf_problem problem;
    const char *const *classes; /* [n] in the order of their labels; NULL of numbers */
    int64_t width;              /* of numbers: how many an example has */
    const char *const *numbers; /* [width] what they are called; NULL: there is one */
    int64_t n, count;           /* classes; examples */
    const void *data;
    int64_t (*class_of)(const void *data, int64_t i); /* of one class each */
} lf_data_labels;

/* Which part of a role's data is looked at. Pictures are drawn from all of them in any case. */
typedef struct lf_look_opts {
    int64_t examples,
        tokens;    /* at most so many pictures; text up to the batch that holds so many tokens; 0: no limit */
    bool drawn;    /* texts, too, are drawn from all, at most `examples` of them; else from the beginning */
    uint64_t seed; /* of the draw */
} lf_look_opts;

struct lf_source_type {
    lf_input_kind input;
    const char *unit;                           /* of items: "images" */
    lf_status (*open)(lf_task *t, lf_err *err); /* fills t->data */
    void (*close)(lf_task *t);

    /* ---- the data of a role ---- */
    bool (*has_split)(const lf_task *t, const cJSON *spec, const char *split);
    lf_status (*open_data)(lf_task *t, lf_data_role role, const lf_data_from *from, lf_err *err);
    /* A share of the data of a role, drawn by data_seed, becomes those of another. */
    lf_status (*split_data)(lf_task *t, lf_data_role from, lf_data_role to, double share, lf_err *err);
    bool (*has_data)(const lf_task *t, lf_data_role role);
    int64_t (*count)(const lf_task *t, lf_data_role role);
    /* Of a role that is trained on, once it is planned: its batches' `indices` are below *indices, and *tokens is what
     * all rows have together; 0: all have as many. Not NULL: why this is not known, or batches are of many lengths. */
    const char *(*extent)(const lf_task *t, lf_data_role role, int64_t *indices, int64_t *tokens);
    /* Of the files that a role's data are read from (data/fingerprint.h). */
    lf_status (*fingerprint)(const lf_task *t, lf_data_role role, lf_fingerprint *out, lf_err *err);
    /* Before the first step: can all of a role's data be read? `hash` is their fingerprint's; what was found of the
     * same bytes before is taken for it. LF_EDATA saying how many cannot and which, unless skip_bad_images leaves them
     * out. NULL: opening reads them. */
    lf_status (*check)(lf_task *t, lf_data_role role, const char *hash, lf_err *err);
    lf_status (*keep_checks)(const lf_task *t, const char *dir, lf_err *err); /* for a run that goes on in dir */
    void (*describe)(const lf_task *t, lf_data_role role, char *text,
                     size_t size); /* "60 examples of 3 classes (data/x)" */
    /* False: there are none: no such data, or texts without labels. */
    bool (*labels)(const lf_task *t, lf_data_role role, lf_data_labels *out);
    /* The files that belong beside the model's weights (processor, tokenizer). */
    /* What the source takes from the time of the call, for the run's record and whoever keeps its results. NULL:
     * nothing. */
    void (*put_moment)(const lf_task *t, lf_obj *o);
    lf_status (*save_beside)(const lf_task *t, const char *dir, lf_err *err);
    /* Those that an adapter needs and its base does not have, for its folder (lf_adapter_facts.beside); NULL: none. */
    lf_status (*save_with_adapter)(void *task, const char *dir, lf_err *err);

    /* ---- batches of roles that are trained on; each has its own place ---- */
    /* LF_DATA_TRAIN last: then all that is to be read is looked at. */
    lf_status (*plan)(lf_task *t, lf_data_role role, int64_t batch_size, int64_t *batches_per_epoch, lf_err *err);
    /* Of the batches that `portion` says: from there, without end. */
    lf_status (*start)(lf_task *t, lf_data_role role, int64_t epoch, int64_t batch, lf_portion portion, lf_err *err);
    /* The next batch, valid until the next call for its role. One of which nothing is left may be missing: count by
     * `number`. Of a portion that is not all of them it may be there, without a row or a target. */
    lf_status (*next)(lf_task *t, lf_data_role role, const lf_example_batch **out, lf_err *err);
    int64_t (*skipped)(const lf_task *t); /* pictures that could not be read since `start`, of all roles */
    double (*waited)(
        const lf_task *t); /* seconds that `next` waited for those of TRAIN since `start`, the first left out */
    /* For measuring speed: a batch of random numbers that the task's `loss` takes; of the task until it is closed. */
    lf_status (*random_batch)(lf_task *t, int64_t batch, int64_t seq, const lf_example_batch **out, lf_err *err);

    /* ---- for people to look at ---- */
    /* What training will see (docs/preview.md): the first n of the training data into the member "records" (n 0: no
     * such member), and of all of them "counts". Pictures are drawn into the file `sheet`. Nothing of the model is
     * needed but its config.json. */
    lf_status (*preview)(lf_task *t, int64_t n, const char *sheet, lf_obj *out, lf_err *err);

    /* ---- judging ---- */
    /* A role's data, in order; of the source. */
    lf_status (*examples)(lf_task *t, lf_data_role role, lf_examples **out, lf_err *err);
    /* Forward passes of m, its adapter on, over a small part of a role's data, for the probes that hang on its
     * adapters; they are told which rows are padding. */
    lf_status (*look)(lf_task *t, lf_model *m, lf_data_role role, const lf_look_opts *o, lf_err *err);
};

#define LF_SOURCE(name) extern const lf_source_type lf_source_##name;
#include "task/sources.def"
#undef LF_SOURCE

const lf_source_type *lf_source_for(lf_input_kind input);

#endif
