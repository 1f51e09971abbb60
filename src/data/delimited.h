/* Delimited text: CSV as RFC 4180 has it, and lines of fields in which a quote is a character as any other (TSV, as
 * most corpora have it). Which of them a file is, its dialect, is decided once, over all of it; where two readings fit
 * and would give other records, it is an error that asks for a word, never a guess.
 *
 * A record ends with a line feed, a carriage return, or both; lines with nothing in them are passed over. */
#ifndef LF_DATA_DELIMITED_H
#define LF_DATA_DELIMITED_H

#include "base/string.h"

typedef struct lf_dialect {
    char delimiter;
    bool quotes; /* a field may stand in quotes, hold delimiters and line breaks (kept as they are), and doubled quotes
                  * for one; a quote in a field that does not begin with one stands for itself */
} lf_dialect;

/* What the user says of a file; NULL: not said. */
typedef struct lf_dialect_spec {
    const char *delimiter; /* a character, or "tab" */
    const char *quoting;   /* "csv", "none" */
    const char *columns; /* "a,b": what the columns are called, of a file without a heading; for its reader, not here */
} lf_dialect_spec;
/* LF_EUSAGE, naming `key`, if it is neither. */
lf_status lf_dialect_check(const lf_dialect_spec *spec, const char *key, lf_err *err);

/* ---- fields -------------------------------------------------------------------------------------------------------
 */

typedef struct lf_fields {
    const char *at, *end;
    lf_dialect dialect;
} lf_fields;

typedef enum lf_field_end { LF_MORE_FIELDS, LF_RECORD_ENDS, LF_QUOTE_NOT_CLOSED, LF_TEXT_BEHIND_QUOTE } lf_field_end;

/* Moves behind the field and what ends it; the field's text is put into `out`, which may be NULL. The last two are
 * failures, which a file that was indexed does not have. */
lf_field_end lf_field_next(lf_fields *f, lf_string *out);

/* ---- a file -------------------------------------------------------------------------------------------------------
 */

typedef struct lf_delimited {
    const char *path; /* for messages */
    const char *text; /* without a byte order mark */
    size_t n;
    bool tabs; /* by its name: tabs divide the fields, and a quote is a character unless the file says otherwise */
    lf_dialect_spec spec;
    /* Called with the place of each record, the heading the first. A file may be gone through twice: `again` comes
     * before the first record of the second time. */
    lf_status (*record)(void *context, size_t begin, lf_err *err);
    void (*again)(void *context);
    void *context;
} lf_delimited;

/* Decides the dialect and goes through all records; each has as many fields as the heading. LF_EDATA with the line
 * else.
 *
 * The delimiter: as given; tabs for `tabs`; that of a first line "sep=;" (Excel's); a comma, or, where the heading has
 * none, its semicolons or tabs. Quotes: as given; of `tabs`, they are characters wherever that gives records of equal
 * length, unless the heading's fields are all quoted or each quoted field is as Python's csv writes it and holds a
 * doubled quote; where it does not, CSV's reading is taken if every quoted field needs its quotes. What was decided is
 * said where it matters. */
lf_status lf_delimited_index(lf_dialect *out, const lf_delimited *d, lf_err *err);

/* Number of the line that byte `at` is in. */
uint64_t lf_delimited_line(const char *text, size_t n, size_t at);

#endif
