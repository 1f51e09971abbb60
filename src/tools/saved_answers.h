/* A file with a line of JSON for each example that was judged: what was answered, and what is right. */
#ifndef LF_TOOLS_SAVED_ANSWERS_H
#define LF_TOOLS_SAVED_ANSWERS_H

#include "base/file.h"
#include "task/source.h"
#include "tools/predictions.h"

typedef struct lf_saved_answers {
    const lf_task *task;
    lf_data_role role;
    const char *of; /* "new", "base" */
    lf_predictions one;
    lf_predicted how; /* of texts */
    lf_atomic_file file;
} lf_saved_answers;

/* The lines are written aside, and are there when they are committed. path NULL: none are asked for. */
lf_status lf_saved_answers_open(lf_saved_answers *s, const lf_task *t, const char *path, lf_err *err);
/* Of the answers of the passes that come, which are to data of this role: a line each. Without a file nothing. */
void lf_saved_answers_of(lf_saved_answers *s, lf_answers *a, lf_data_role role);
lf_status lf_saved_answers_commit(lf_saved_answers *s, lf_err *err);
void lf_saved_answers_close(lf_saved_answers *s);

#endif
