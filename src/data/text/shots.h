/* Worked examples before a prompt (few-shot): records of another data set, drawn by a seed, each as its prompt and its
 * answer. */
#ifndef LF_DATA_TEXT_SHOTS_H
#define LF_DATA_TEXT_SHOTS_H

#include "base/string.h"
#include "data/text/dataset.h"

/* What stands behind each of them; an answer to what follows them ends where it would begin with another. */
#define LF_TEXT_SHOT_END "\n\n"

typedef struct lf_text_shots lf_text_shots;

/* k of the records that `opts` names, in an order drawn by `seed`. LF_EDATA if they have no prompt and answer (plain
 * text, conversations, which have earlier turns of their own), or are fewer than k. */
lf_status lf_text_shots_open(lf_text_shots **out, const lf_text_dataset_opts *opts, int64_t k, uint64_t seed,
                             lf_err *err);
void lf_text_shots_free(lf_text_shots *s);

/* Called with each of the k, which is freed after. The text up to answers[0].begin is its prompt, the rest its answer.
 */
typedef lf_status (*lf_text_shot_visit)(void *context, const lf_text_example *shot, lf_err *err);
/* The first k in the drawn order whose prompt is not `prompt` [n]: what is asked is never among what is shown, also
 * where both come from one file. The same for every call with that prompt; thread safe. LF_EDATA if there are not so
 * many. */
lf_status lf_text_shots_each(const lf_text_shots *s, const char *prompt, size_t n, lf_text_shot_visit visit,
                             void *context, lf_err *err);
/* For a data set's examples (lf_text_before): puts them before the text of e, each with LF_TEXT_SHOT_END behind it. */
lf_status lf_text_shots_put_before(const void *shots, lf_text_example *e, lf_err *err);

#endif
