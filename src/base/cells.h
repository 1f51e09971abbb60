/* A table of texts, as wide as the terminal that it is for. Cells are put row by row; there is one question about
 * memory, which printing answers.
 *
 *     lf_cells t = lf_cells_new(2, LF_CELLS_HEAD);
 *     lf_cells_put(&t, "module");
 *     lf_cells_put(&t, "rank");
 *     for (...) { lf_cells_put(&t, "%s", name); lf_cells_put(&t, "%d", rank); }
 *     lf_cells_print(&t, out);
 */
#ifndef LF_BASE_CELLS_H
#define LF_BASE_CELLS_H

#include <stdio.h>

#include "base/string.h"

enum {
    LF_CELLS_HEAD =
        1, /* the first row says what the columns are; those below which there is nothing, or "-", are left out */
    LF_CELLS_LAST_LEFT = 2 /* the last column stands left, as the first does; all others stand right */
};

typedef struct lf_cells {
    int columns, how;
    int64_t n;
    lf_string text; /* each cell ends with a NUL */
} lf_cells;

lf_cells lf_cells_new(int columns, int how);
void lf_cells_put(lf_cells *t, const char *format, ...)
    LF_PRINTF(2, 3); /* the next one; what a terminal may obey is a '?' */
/* Frees it. Where the table is wider than the terminal, heads are broken between words; then some columns follow below,
 * each time behind the first; and what is too long in the first has a line of its own, cut if that is too short, too.
 * On no terminal it is one table, however wide. */
void lf_cells_print(lf_cells *t, FILE *out);
void lf_cells_free(lf_cells *t); /* of one that is not printed after all */

/* A name and what it is, "name      value", the value behind `width` columns; where that is too long for the terminal
 * it stands below. cut: then it is no longer than the rest of the line, or than 100 columns; else it is broken between
 * words. */
void lf_print_pair(FILE *out, const char *name, int width, const char *value, bool cut);

#endif
