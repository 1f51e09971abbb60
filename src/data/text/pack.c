/* First fit among a bounded number of open rows: one pass, no sorting, and rows of documents that stand near one
 * another in the order given. Rows are numbered as they are opened. */
#include <inttypes.h>

#include "base/mem.h"
#include "data/text/tokens.h"

enum { OPEN = 64 };

typedef struct open_row {
    int64_t number, room;
} open_row;

typedef struct rows {
    open_row open[OPEN]; /* in the order of opening */
    int n_open;
    int64_t n;
} rows;

static void close_row(rows *r, int at) {
    r->n_open--;
    for (int i = at; i < r->n_open; i++) r->open[i] = r->open[i + 1];
}

/* The row for a document of `size` tokens. */
static int64_t place(rows *r, int64_t size, int64_t capacity) {
    int at = 0, fullest = 0;
    for (; at < r->n_open && r->open[at].room < size; at++)
        if (r->open[at].room < r->open[fullest].room) fullest = at;
    if (at == r->n_open) {
        if (r->n_open == OPEN) close_row(r, fullest);
        at = r->n_open++;
        r->open[at] = (open_row){r->n++, capacity};
    }
    const int64_t number = r->open[at].number;
    if ((r->open[at].room -= size) == 0) close_row(r, at);
    return number;
}

lf_status lf_text_pack(lf_text_packing *out, const lf_text_kept *documents, int64_t n, const int64_t *order,
                       int64_t capacity, lf_err *err) {
    rows r = {0};
    *out = (lf_text_packing){0};
    int64_t *row_of = lf_malloc((size_t)n * sizeof *row_of);
    if (!row_of) return lf_no_memory(err, "packing %" PRId64 " documents", n);
    for (int64_t k = 0; k < n; k++) {
        const int64_t size = documents[order ? order[k] : k].n;
        row_of[k] = size ? place(&r, size, capacity) : -1;
    }
    out->n_rows = r.n;
    out->documents = lf_malloc((size_t)n * sizeof *out->documents);
    out->begin = lf_calloc((size_t)r.n + 2, sizeof *out->begin);
    if (!out->documents || !out->begin) {
        lf_free(row_of);
        lf_text_packing_free(out);
        return lf_no_memory(err, "packing %" PRId64 " documents", n);
    }
    /* begin[row + 2] counts, then begin[row + 1] is where the row's next document goes, and in the end where it ends.
     */
    for (int64_t k = 0; k < n; k++)
        if (row_of[k] >= 0) out->begin[row_of[k] + 2]++;
    for (int64_t i = 1; i <= r.n + 1; i++) out->begin[i] += out->begin[i - 1];
    for (int64_t k = 0; k < n; k++)
        if (row_of[k] >= 0) out->documents[out->begin[row_of[k] + 1]++] = order ? order[k] : k;
    lf_free(row_of);
    return LF_OK;
}

void lf_text_packing_free(lf_text_packing *p) {
    lf_free(p->documents);
    lf_free(p->begin);
    *p = (lf_text_packing){0};
}
