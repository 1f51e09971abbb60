/* A file of answers that grows by whole lines, a JSON object each, in the order of what they answer. A program that is
 * killed loses at most the line that it was writing, and the next one goes on behind the last whole line.
 *
 * What made the lines stands beside the file, in FILE.made.json, and not in it: every line of FILE is an answer, to
 * whatever reads it. It is written, whole or not at all, before the first line; lines without it, or of other settings,
 * are not gone on with. */
#ifndef LF_TOOLS_ANSWER_FILE_H
#define LF_TOOLS_ANSWER_FILE_H

#include "base/json.h"

typedef struct lf_answer_file {
    FILE *f;
    const char *path; /* borrowed */
    char *made_path;
    cJSON *was;     /* FILE.made.json of the lines that are there; NULL: there are none */
    int64_t before; /* whole lines that are there */
    bool regular;   /* else a pipe or a terminal, which nothing is known of */
    bool locked;
} lf_answer_file;

/* Takes the file for this process. LF_EUSAGE if another one writes it, or if it has lines and nothing says what made
 * them. The caller closes, on failure too. */
lf_status lf_answer_file_open(lf_answer_file *a, const char *path, lf_err *err);
/* `made` {"made_of": {name: value, ...}, ...}: what the lines depend on. LF_EUSAGE, naming the file, the first name
 * whose value is another than it was, and both. Then lines may be added: `before` is known, and what is behind the last
 * whole line is gone. index_of: the number that line i has as its "index"; n lines at most. */
lf_status lf_answer_file_begin(lf_answer_file *a, const cJSON *made, int64_t n,
                               int64_t (*index_of)(const void *context, int64_t i), const void *context, lf_err *err);
/* Takes line over (NULL: it could not be made). It is on the disk when this returns. */
lf_status lf_answer_file_add(lf_answer_file *a, cJSON *line, lf_err *err);
void lf_answer_file_close(lf_answer_file *a);

#endif
