/* Decompositions kept on disk, so that a sweep finds each block of each weight once.
 *
 * A file holds one result. Its name is made of all that the result depends on: the weight's bytes (XXH3-128), what was
 * asked for, and the solver with its BLAS and processor; so files never go stale, two runs may use a folder at once,
 * and any file, or the folder, may be deleted at any time. Numbers are kept as they were computed: a start has the same
 * bytes with the file and without. A file that is damaged is warned of, ignored and written again; a folder that cannot
 * be used is warned of once, and the work goes on without it. */
#ifndef LF_ADAPTER_DECOMPOSITIONS_H
#define LF_ADAPTER_DECOMPOSITIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "io/stored.h"

typedef struct lf_decompositions lf_decompositions;

/* `where` as in the key decomposition_cache: a folder, "auto" ($XDG_CACHE_HOME or ~/.cache), "none" or NULL. *out is
 * NULL, without an error, if there is none or the folder cannot be made; all functions accept that. LF_ENOMEM. */
lf_status lf_decompositions_open(lf_decompositions **out, const char *where, lf_err *err);
void lf_decompositions_close(lf_decompositions *c);
/* Until close: runs that share a folder and begin together would all find the same blocks; so one does, and the others
 * wait and read. Without an error where the folder cannot be locked. LF_EINTERRUPTED. */
lf_status lf_decompositions_lock(lf_decompositions *c, lf_err *err);
const char *lf_decompositions_folder(const lf_decompositions *c);
int64_t lf_decompositions_n_read(const lf_decompositions *c); /* results that were found, so far */

typedef struct lf_stored_weight {
    lf_decompositions *cache; /* NULL: nothing is read nor written */
    char hash[33];
    int64_t out, in;
} lf_stored_weight;
lf_stored_weight lf_decompositions_weight(lf_decompositions *c, const float *W, int64_t out, int64_t in);

/* A result is a few matrices of doubles. `what` was asked for, in letters, digits and dashes: "block-r16-s376". Reading
 * fills all parts (they hold anything if it says false). Thread safe, for weights of different threads. */
bool lf_decompositions_read(const lf_stored_weight *w, const char *what, const lf_stored_part *parts, int n_parts);
void lf_decompositions_write(const lf_stored_weight *w, const char *what, const lf_stored_part *parts, int n_parts);

#endif
