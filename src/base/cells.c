#include "base/cells.h"

#include <limits.h>
#include <stdarg.h>
#include <string.h>

#include "base/mem.h"
#include "base/plain.h"
#include "base/terminal.h"

enum {
    WIDEST = 60,      /* first column: what is longer has a line of its own */
    BETWEEN = 2,      /* spaces */
    NARROW_HEAD = 10, /* heads are broken so that they take no more, if their words are not longer */
    VALUE = 100       /* a value that is cut */
};

lf_cells lf_cells_new(int columns, int how) { return (lf_cells){.columns = columns, .how = how}; }

void lf_cells_put(lf_cells *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char short_one[256], *cell = short_one;
    va_list again;
    va_copy(again, args);
    const int n = vsnprintf(short_one, sizeof short_one, format, args);
    if (n >= (int)sizeof short_one && (cell = lf_malloc((size_t)n + 1))) vsnprintf(cell, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    if (cell) {
        lf_make_plain(cell);
        lf_string_put(&t->text, cell, strlen(cell) + 1);
        t->n++;
    } else
        t->text.failed = true;
    if (cell != short_one) lf_free(cell);
}

/* ---- how wide ---- */

typedef struct layout {
    const lf_cells *t;
    const char **cells;      /* row by row */
    int64_t rows, first_row; /* first_row: behind the heads */
    int *widths;             /* 0: the column is left out */
    int columns;             /* of the terminal; 0: as many as there may be */
} layout;

static int width_of(const char *text) { return (int)lf_text_columns(text); }
static const char *at(const layout *l, int64_t row, int c) { return l->cells[row * l->t->columns + c]; }

/* 0: nothing is known of it but its head. */
static int widest_in(const layout *l, int c) {
    int widest = 0;
    bool known = !(l->t->how & LF_CELLS_HEAD);
    for (int64_t i = l->first_row; i < l->rows; i++) {
        const char *cell = at(l, i, c);
        known = known || (*cell && strcmp(cell, "-"));
        if (width_of(cell) > widest) widest = width_of(cell);
    }
    return known ? widest : 0;
}

/* Bytes of the first line of a head that is broken at so many columns. */
static size_t head_line(const char *head, int columns) {
    const size_t n = strlen(head), fits = lf_text_fitting(head, columns);
    if (fits == n) return n;
    size_t end = fits;
    while (end > 0 && head[end] != ' ') end--;
    return end ? end : strcspn(head, " ");
}

/* Its k-th line; "" if it has none. */
static const char *head_part(char *part, size_t size, const char *head, int columns, int k) {
    for (; k > 0 && *head; k--) {
        head += head_line(head, columns);
        head += strspn(head, " ");
    }
    snprintf(part, size, "%.*s", (int)head_line(head, columns), head);
    return part;
}

static int longest_word(const char *text) {
    int longest = 0;
    char word[256];
    for (size_t n; *text; text += n, text += strspn(text, " ")) {
        n = strcspn(text, " ");
        snprintf(word, sizeof word, "%.*s", (int)n, text);
        if (width_of(word) > longest) longest = width_of(word);
    }
    return longest;
}

/* How wide a column with this head is, in which nothing is wider than `widest`. */
static int with_head(const char *head, int widest, bool broken) {
    int n = width_of(head);
    if (broken && n > NARROW_HEAD) n = longest_word(head) > NARROW_HEAD ? longest_word(head) : NARROW_HEAD;
    return n > widest ? n : widest;
}

/* Columns of all behind the first. */
static int taken(const layout *l) {
    int sum = 0;
    for (int c = 1; c < l->t->columns; c++) sum += l->widths[c] ? BETWEEN + l->widths[c] : 0;
    return sum;
}

static void set_widths(layout *l, bool broken) {
    const bool head = l->t->how & LF_CELLS_HEAD;
    for (int c = 1; c < l->t->columns; c++) {
        const int widest = widest_in(l, c);
        l->widths[c] = widest && head ? with_head(at(l, 0, c), widest, broken) : widest;
    }
}

/* The first column is as wide as it has to be where there is room, and else at most half of the terminal: a longer name
 * has a line of its own. */
static void set_first(layout *l) {
    int most = WIDEST, widest = 0;
    const int room = l->columns - taken(l);
    if (l->columns && room < most) most = room > l->columns / 2 ? room : l->columns / 2;
    for (int64_t i = 0; i < l->rows; i++) {
        const int n = width_of(at(l, i, 0));
        if (n > widest && n <= most) widest = n;
    }
    l->widths[0] = widest;
}

static void lay_out(layout *l) {
    const int names = widest_in(l, 0);
    set_widths(l, false);
    if (l->columns && (names < WIDEST ? names : WIDEST) + taken(l) > l->columns) set_widths(l, true);
    set_first(l);
}

/* ---- printing ---- */

static void put_row(const layout *l, int64_t row, const char *name, int head_row, int first, int end, FILE *out) {
    const int left = l->widths[0] - width_of(name), last = l->t->columns - 1;
    int spaces = left < 0 ? l->widths[0] : left;
    char part[256], cut[1024];
    fputs(l->columns ? lf_text_cut(cut, sizeof cut, name, l->columns) : name, out);
    if (left < 0) fputc('\n', out);
    for (int c = first; c < end; c++) {
        if (!l->widths[c]) continue;
        const char *cell = at(l, row, c);
        if (row < l->first_row) cell = head_part(part, sizeof part, cell, l->widths[c], head_row);
        const int more = l->widths[c] - width_of(cell);
        const bool stands_left = c == last && (l->t->how & LF_CELLS_LAST_LEFT);
        spaces += BETWEEN + (stands_left ? 0 : more);
        if (*cell) fprintf(out, "%*s%s", spaces, "", cell);
        spaces = *cell ? 0 : spaces;
    }
    fputc('\n', out);
}

/* Columns `first` up to `end` of all rows, behind the first. A head that is broken stands at the bottom of its lines.
 */
static void put_block(const layout *l, int first, int end, FILE *out) {
    int lines = 0;
    char part[256];
    for (int c = first; c < end && l->first_row; c++)
        for (int k = lines; l->widths[c] && *head_part(part, sizeof part, at(l, 0, c), l->widths[c], k); k++)
            lines = k + 1;
    for (int k = 0; k < lines || (k == 0 && l->first_row); k++) put_row(l, 0, k ? "" : at(l, 0, 0), k, first, end, out);
    for (int64_t i = l->first_row; i < l->rows; i++) put_row(l, i, at(l, i, 0), 0, first, end, out);
}

static void put_blocks(const layout *l, FILE *out) {
    const int n = l->t->columns;
    for (int first = 1; first < n || first == 1;) {
        int end = first, wide = l->widths[0];
        do {
            wide += end < n && l->widths[end] ? BETWEEN + l->widths[end] : 0;
            end++;
        } while (end < n && (!l->columns || !l->widths[end] || wide + BETWEEN + l->widths[end] <= l->columns));
        if (first > 1) fputc('\n', out);
        put_block(l, first, end < n ? end : n, out);
        first = end;
    }
}

void lf_cells_print(lf_cells *t, FILE *out) {
    layout l = {.t = t, .rows = t->n / t->columns, .first_row = t->how & LF_CELLS_HEAD, .columns = lf_columns_of(out)};
    l.cells = t->text.failed ? NULL : lf_calloc((size_t)t->n + 1, sizeof *l.cells);
    l.widths = lf_calloc((size_t)t->columns, sizeof *l.widths);
    if (l.cells && l.widths) {
        const char *cell = t->text.s;
        for (int64_t i = 0; i < t->n; i++, cell += strlen(cell) + 1) l.cells[i] = cell;
        lay_out(&l);
        put_blocks(&l, out);
    } else
        fputs("(no memory for a table)\n", out);
    lf_free(l.cells);
    lf_free(l.widths);
    lf_cells_free(t);
}

void lf_cells_free(lf_cells *t) {
    lf_string_free(&t->text);
    t->n = 0;
}

void lf_print_pair(FILE *out, const char *name, int width, const char *value, bool cut) {
    const int columns = lf_columns_of(out), most = columns && columns - 4 < VALUE ? columns - 4 : VALUE;
    lf_string shown = {0};
    char text[4 * VALUE + 4];
    const bool kept = !cut && lf_string_add(&shown, "%s", value);
    const char *v = cut ? lf_text_cut(text, sizeof text, value, most) : kept ? shown.s : value;
    if (kept) lf_make_plain(shown.s);
    if (cut) lf_make_plain(text);
    const int taken = width_of(name) < width ? width : width_of(name) + 1;
    const bool beside =
        !columns || taken + width_of(v) <= columns || (taken <= columns / 2 && longest_word(v) <= columns - taken);
    if (beside)
        fprintf(out, "%s%*s", name, taken - width_of(name), "");
    else
        fprintf(out, "%s\n    ", name);
    lf_print_wrapped(out, v, columns ? columns : INT_MAX / 2, beside ? taken : 4, beside ? taken : 4);
    lf_string_free(&shown);
}
