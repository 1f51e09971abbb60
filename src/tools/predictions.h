/* What `predict` found, and how it is written. All are kept (a few numbers an input) and written at the end, so that
 * there is a whole result or none. */
#ifndef LF_TOOLS_PREDICTIONS_H
#define LF_TOOLS_PREDICTIONS_H

#include "base/obj.h"
#include "config/config.h"
#include "data/text/tokenizer.h"
#include "eval/eval.h"

typedef struct lf_guess {
    int32_t label;
    float score;
} lf_guess;

typedef struct lf_predictions lf_predictions;

/* How an input is shown beside its guesses. */
typedef struct lf_predicted {
    const char *columns, *score; /* of CSV, "file"; what a guess's number is called, "probability" */
    lf_status (*put)(lf_obj *o, const lf_predictions *p, int64_t index, lf_err *err);
    lf_status (*csv)(FILE *f, const lf_predictions *p, int64_t index,
                     lf_err *err); /* the columns, with commas between */
    /* Behind the guesses, of prediction i; NULL: nothing. */
    const char *more_columns; /* ",right" */
    lf_status (*put_more)(lf_obj *o, const lf_predictions *p, int64_t i, lf_err *err);
    lf_status (*csv_more)(FILE *f, const lf_predictions *p, int64_t i, lf_err *err); /* each with a comma before it */
} lf_predicted;

struct lf_predictions {
    const lf_predicted *how;
    const void *data; /* that the indices are of */
    const char *const *names;
    lf_problem problem; /* regression: the score is the number, and has no label; of several numbers all are guessed, in
                         * the order of the labels */
    int64_t n_labels, top_k, count, skipped;
    int64_t *indices;  /* [count] */
    lf_guess *guesses; /* [count, top_k], the best first */
    bool *holds;       /* [count, n_labels] of several labels; NULL of others */
};

/* What `head` says, as many guesses as the key top_k says: sets names, problem and top_k. */
void lf_predictions_of(lf_predictions *p, const lf_classifier *head, const lf_config *cfg);
/* Does class c hold of prediction i? Of several labels each of which may: where it is likelier than not. */
bool lf_predictions_hold_class(const lf_predictions *p, int64_t i, int64_t c);
bool lf_predictions_are_several_numbers(const lf_predictions *p);
/* Room for n inputs; top_k and names are set. */
lf_status lf_predictions_hold(lf_predictions *p, int64_t n, lf_err *err);
void lf_predictions_free(lf_predictions *p);
/* An lf_eval_visit over the predictions. */
lf_status lf_predictions_add(void *predictions, const lf_example_batch *b, const float *features, const float *logits,
                             int64_t V, lf_err *err);
/* A list (taken over; NULL: no memory) as a field of CSV, with a comma before it. */
lf_status lf_predictions_csv_list(FILE *f, cJSON *list, lf_err *err);
/* As the keys output, output_file and json say. */
lf_status lf_predictions_deliver(const lf_predictions *p, const lf_config *cfg, FILE *out, lf_err *err);
/* For people at a terminal. */
lf_status lf_predictions_table(const lf_predictions *p, FILE *out, lf_err *err);

/* The names of those that hold of prediction i, in the order of the labels. */
cJSON *lf_predictions_held(const lf_predictions *p, int64_t i);
/* Prediction i as an object. */
lf_status lf_predictions_json(cJSON **out, const lf_predictions *p, int64_t i, lf_err *err);
/* ---- what says it ----
 */

typedef struct lf_predictor {
    const lf_config *cfg;
    lf_model *model;
    lf_graph *g;
    const lf_classifier *head;
    const char *what; /* of the progress line; "": none */
} lf_predictor;
/* The head that is asked of pictures, texts of class_embeddings among them, and how they are made its input. predict.c
 */
lf_status lf_open_picture_classifier(const lf_classifier **head, lf_image_processor *processor, lf_model *m,
                                     const lf_config *cfg, const char *what, lf_err *err);
/* All of a data set; names, problem and top_k of p are set. predict.c; predict_texts.c, once the model knows what pads
 * a text (lf_language_take_padding). */
lf_status lf_predict_all_pictures(lf_predictions *p, const lf_dataset *d, const lf_image_processor *processor,
                                  const lf_predictor *by, lf_err *err);
lf_status lf_predict_all_texts(lf_predictions *p, const lf_text_dataset *d, const lf_text_tokenizer *t,
                               const lf_predictor *by, lf_err *err);

/* How inputs are shown beside what is right: predict.c, of pictures; predict_texts.c, of texts (alone, or pairs). */
const lf_predicted *lf_predicted_pictures(bool several);
lf_predicted lf_predicted_texts(lf_problem problem, bool pairs, bool known);

/* predict_texts.c, of a model of tokens. */
lf_status lf_predict_texts(const lf_config *cfg, lf_model *m, lf_graph *g, FILE *out, lf_err *err);

#endif
