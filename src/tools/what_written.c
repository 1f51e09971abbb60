/* What a run writes beside its folders: what was measured, step by step, and tables of figures. They are no data to
 * train on, though of the same formats. */
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/slice.h"
#include "data/rows.h"
#include "tools/what_internal.h"

/* ---- metrics.jsonl ---- */

bool lf_kind_is_metrics(const lf_what_of *w) {
    static const char first[] = "{\"step\": ";
    return lf_has_extension(w->name, "jsonl") && w->n_begins >= sizeof first - 1 &&
           memcmp(w->begins, first, sizeof first - 1) == 0;
}

/* One line of n bytes, number `line`. */
static lf_status look_at_line(int64_t *step, const char *text, size_t n, uint64_t line, const char *path, lf_err *err) {
    cJSON *o = NULL;
    lf_status rc = lf_json_parse_at(&o, text, n, path, line, err);
    const cJSON *at = cJSON_GetObjectItemCaseSensitive(o, "step");
    if (!rc && !cJSON_IsNumber(at))
        rc = lf_fail(err, LF_EDATA, "%s: line %llu: expected an object with a number 'step'", path,
                     (unsigned long long)line);
    if (!rc) *step = (int64_t)at->valuedouble;
    cJSON_Delete(o);
    return rc;
}

lf_status lf_kind_look_metrics(lf_what_of *w) {
    char *text = NULL;
    size_t n = 0;
    int64_t rows = 0, step = 0;
    lf_err found = {0};
    lf_status rc = lf_file_read(&text, &n, w->path, &found);
    if (rc) return lf_what_note(w, rc, &found);
    uint64_t line = 1;
    for (const char *at = text, *const end = text + n; at < end && !rc; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const size_t size = (size_t)((stop ? stop : end) - at);
        found = (lf_err){0};
        const lf_status one = look_at_line(&step, at, size, line, w->path, &found);
        rows += !one;
        rc = lf_what_note(w, one, &found);
        at += size + (stop != NULL);
    }
    lf_free(text);
    lf_what_count(w, "rows", rows);
    lf_what_count(w, "last_step", step);
    return rc;
}

/* ---- tables ---- */

/* Each by its name (NULL: any) and by what stands in its heading, at the beginning or after a comma. */
static const struct {
    const char *name, *heading, *what;
} tables[] = {
    {"matrix.csv", "after,", "what each task's score was after each (continual)"},
    {NULL, "figure,unit,series,", "the numbers of a picture (report)"},
    {"curves.csv", "step,", "what was measured, a row a step (report)"},
    {"confusion.csv", "label,samples,", "what was taken for what"},
    {"results.csv", "name,", "the runs of a folder, one a row (report)"},
    {"summary.csv", ",runs,done,", "the runs of a folder, over seeds (report)"},
    {"rewind.csv", "lambda,", "the scores along an adapter's scale (rewind)"},
    {"spectrum.csv", "module,", "the singular values of each module (spectrum)"},
    {"singular-values.csv", "module,", "all singular values (spectrum)"},
    {"update-map.csv", "left_first,", "where in the base's components updates lie (spectrum)"},
};

/* NULL: none of these. */
static const char *table_of(const lf_what_of *w) {
    char heading[LF_KIND_BYTES + 1] = "";
    memcpy(heading, w->begins, w->n_begins);
    heading[strcspn(heading, "\r\n")] = 0;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        const bool named = !tables[i].name || strcmp(w->name, tables[i].name) == 0;
        const char *at = named ? strstr(heading, tables[i].heading) : NULL;
        if (at && (at == heading || *tables[i].heading == ',')) return tables[i].what;
    }
    return NULL;
}

bool lf_kind_is_figures(const lf_what_of *w) { return table_of(w) != NULL; }

typedef struct counted {
    int64_t rows, columns;
} counted;

static lf_status count_row(void *context, const lf_row *row, lf_err *err) {
    (void)err;
    counted *c = context;
    c->rows++;
    c->columns = row->n;
    return LF_OK;
}

lf_status lf_kind_look_figures(lf_what_of *w) {
    counted c = {0};
    lf_err found = {0};
    lf_obj_string(&w->facts, "what", table_of(w));
    const lf_status rc = lf_rows_each(w->path, count_row, &c, &found);
    lf_what_count(w, "rows", c.rows ? c.rows - 1 : 0); /* but for the heading */
    lf_what_count(w, "columns", c.columns);
    return lf_what_note(w, rc, &found);
}
