/* Between the files that know kinds (what_*.c) and the one that asks them (what.c). */
#ifndef LF_TOOLS_WHAT_INTERNAL_H
#define LF_TOOLS_WHAT_INTERNAL_H

#include "io/unpack.h"
#include "tools/what.h"

enum {
    LF_WHAT_PROBLEMS = 3,     /* that are told in full; the others are counted */
    LF_WHAT_RECORDS = 100000, /* of one data set that are looked at */
    LF_WHAT_DECODED = 10000,  /* pictures of a folder; of those beyond, whether all of the file is there */
};

typedef struct lf_what_of {
    const char *path, *name; /* name: what follows the last '/' */
    char **names;            /* of a folder; [n_names] */
    size_t n_names;
    unsigned char begins[LF_KIND_BYTES]; /* of a file; [n_begins] */
    size_t n_begins;
    cJSON *json;     /* of a file that is called *.json and is JSON; NULL: another */
    lf_err not_json; /* of one that is called so and is none */
    lf_obj facts, problems;
    int64_t n_problems;
} lf_what_of;

/* The first few are kept, all are counted. An error of the program's own is returned, and is none of the file's. */
lf_status lf_what_note(lf_what_of *w, lf_status rc, const lf_err *found);
void lf_what_problem(lf_what_of *w, const char *message);
void lf_what_count(lf_what_of *w, const char *key, int64_t n);
/* dir/name; false where memory runs out, too: then somebody else says so. */
bool lf_what_has_dir(const lf_what_of *w, const char *name);
/* Those members of o that are there and not null: the named ones (ends with NULL), and with `main` the keys that are
 * told first of a run. */
void lf_what_members(lf_what_of *w, const cJSON *o, bool main, const char *const *keys);
/* The names of `values`, as many as a line holds. */
void lf_what_names(lf_what_of *w, const char *key, const char *const *values, int64_t n);
/* Tensors, numbers and number formats of a file or a model's set of files. */
lf_status lf_what_tensors(lf_what_of *w, const char *path);
/* Records, layout, classes and what is wrong with the first of them, of a file or of a folder's split. */
lf_status lf_what_records(lf_what_of *w, const char *path, const char *split);

#define LF_WHAT(id, folder, said)                                                                                      \
    bool lf_kind_is_##id(const lf_what_of *w);                                                                         \
    lf_status lf_kind_look_##id(lf_what_of *w);
#include "tools/what.def"
#undef LF_WHAT

#endif
