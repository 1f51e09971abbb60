#include "data/delimited.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

enum { LONG_FIELD = 100 }; /* lines; of one that is warned of even in CSV */

/* ---- what the user says -------------------------------------------------------------------------------------------
 */

static char delimiter_of(const char *text) {
    if (strcmp(text, "tab") == 0) return '\t';
    const bool good = text[0] && !text[1] && !strchr("\"\r\n", text[0]) && (unsigned char)text[0] < 0x80;
    return good ? text[0] : '\0';
}

lf_status lf_dialect_check(const lf_dialect_spec *spec, const char *key, lf_err *err) {
    if (spec->delimiter && !delimiter_of(spec->delimiter))
        return lf_fail(err, LF_EUSAGE, "%s: 'delimiter': expected a character such as \";\", or \"tab\", found '%s'",
                       key, spec->delimiter);
    if (spec->quoting && strcmp(spec->quoting, "csv") != 0 && strcmp(spec->quoting, "none") != 0)
        return lf_fail(err, LF_EUSAGE,
                       "%s: 'quoting': expected \"csv\" (quotes enclose a field) or \"none\" (a quote is a character), "
                       "found '%s'",
                       key, spec->quoting);
    return LF_OK;
}

/* ---- fields -------------------------------------------------------------------------------------------------------
 */

static bool ends_line(const char *s, const char *end) { return s < end && (*s == '\n' || *s == '\r'); }

/* Behind the line break at s: CRLF is one. */
static const char *behind_line(const char *s, const char *end) {
    return s + (s[0] == '\r' && s + 1 < end && s[1] == '\n' ? 2 : 1);
}

static void put(lf_string *out, const char *s, const char *end) {
    if (out) lf_string_put(out, s, (size_t)(end - s));
}

/* Behind the closing quote; NULL: there is none. */
static const char *read_quoted(const lf_fields *f, lf_string *out) {
    const char *s = f->at;
    do {
        const char *quote = memchr(s + 1, '"', (size_t)(f->end - s - 1));
        if (!quote) return NULL;
        /* of a doubled quote, the second begins the next part and is put with it */
        put(out, s > f->at ? s : s + 1, quote);
        s = quote + 1;
    } while (s < f->end && *s == '"');
    return s;
}

static const char *read_plain(const lf_fields *f, lf_string *out) {
    const char *s = f->at;
    while (s < f->end && *s != f->dialect.delimiter && *s != '\n' && *s != '\r') s++;
    put(out, f->at, s);
    return s;
}

lf_field_end lf_field_next(lf_fields *f, lf_string *out) {
    const bool quoted = f->dialect.quotes && f->at < f->end && *f->at == '"';
    const char *const s = quoted ? read_quoted(f, out) : read_plain(f, out);
    if (!s) return LF_QUOTE_NOT_CLOSED;
    f->at = s;
    if (s == f->end) return LF_RECORD_ENDS;
    if (ends_line(s, f->end)) {
        f->at = behind_line(s, f->end);
        return LF_RECORD_ENDS;
    }
    if (*s != f->dialect.delimiter) return LF_TEXT_BEHIND_QUOTE;
    f->at = s + 1;
    return LF_MORE_FIELDS;
}

static void skip_blank_lines(lf_fields *f) {
    while (ends_line(f->at, f->end)) f->at++;
}

uint64_t lf_delimited_line(const char *text, size_t n, size_t at) {
    uint64_t line = 1;
    for (size_t i = 0; i < at && i < n; i++)
        line += text[i] == '\n' || (text[i] == '\r' && !(i + 1 < n && text[i + 1] == '\n'));
    return line;
}

/* ---- what a reading finds -----------------------------------------------------------------------------------------
 */

typedef enum problem { NONE, NOT_CLOSED, BEHIND_QUOTE, UNEVEN } problem;

/* Of all records in one dialect, or of those before the first problem. */
typedef struct findings {
    problem problem;
    size_t at;              /* where it begins: the field, or the record */
    int64_t columns, found; /* fields of the heading, and of the record of the problem */
    int64_t records;
    bool quoted_heading; /* all its fields are quoted */
    bool opening;        /* a field begins with a quote */
    bool stray;          /* there is a quote in a field that does not begin with one: Python's csv writes none */
    bool doubled;        /* a quoted field holds a quote, written twice: who did that knew CSV */
    bool needless;       /* a quoted field holds neither delimiter, line break nor quote */
    uint64_t lines;      /* that the longest field runs over */
    size_t longest;      /* its place */
} findings;

/* Line breaks in [s, end). */
static uint64_t count_breaks(const char *s, const char *end) {
    uint64_t n = 0;
    for (; s < end; s++) n += *s == '\n' || (*s == '\r' && !(s + 1 < end && s[1] == '\n'));
    return n;
}

/* A field, with what ends it, is [s, end). */
static void look_at_field(findings *f, const lf_dialect *d, const char *text, const char *s, const char *end) {
    if (s == end || *s != '"') {
        if (!f->stray) f->stray = memchr(s, '"', (size_t)(end - s)) != NULL;
        return;
    }
    f->opening = true;
    if (!d->quotes) return;
    const char *closing = end - 1; /* there is one, behind the first */
    while (*closing != '"') closing--;
    const size_t n = (size_t)(closing - s - 1);
    const uint64_t lines = 1 + count_breaks(s + 1, closing);
    if (lines > f->lines) {
        f->lines = lines;
        f->longest = (size_t)(s - text);
    }
    const bool doubled = memchr(s + 1, '"', n);
    f->doubled |= doubled;
    f->needless |= lines == 1 && !doubled && !memchr(s + 1, d->delimiter, n);
}

static void note_problem(findings *f, problem p, const char *text, const char *at) {
    f->problem = p;
    f->at = (size_t)(at - text);
}

/* Goes on to the next record. */
static void read_record(findings *f, lf_fields *c, const char *text) {
    const char *const record = c->at;
    const bool heading = f->records == 0;
    int64_t n = 0;
    lf_field_end end = LF_MORE_FIELDS;
    for (; end == LF_MORE_FIELDS; n++) {
        const char *const field = c->at;
        end = lf_field_next(c, NULL);
        if (end > LF_RECORD_ENDS) {
            note_problem(f, end == LF_QUOTE_NOT_CLOSED ? NOT_CLOSED : BEHIND_QUOTE, text, field);
            return;
        }
        const bool needless = f->needless;
        look_at_field(f, &c->dialect, text, field, c->at);
        if (heading) f->quoted_heading = (n == 0 || f->quoted_heading) && *field == '"' && field < c->at;
        if (heading) f->needless = needless; /* names that are quoted say enough by quoted_heading */
    }
    if (heading) f->columns = n;
    if (n != f->columns) {
        f->found = n;
        note_problem(f, UNEVEN, text, record);
    }
    f->records++;
}

/* From `begin` on. `tell`: the records are told to d's owner. */
static lf_status go_through(findings *f, const lf_delimited *d, size_t begin, lf_dialect dialect, bool tell,
                            lf_err *err) {
    lf_fields c = {d->text + begin, d->text + d->n, dialect};
    lf_status rc = LF_OK;
    *f = (findings){.lines = 1};
    for (skip_blank_lines(&c); c.at < c.end && !rc && !f->problem; skip_blank_lines(&c)) {
        const size_t at = (size_t)(c.at - d->text);
        read_record(f, &c, d->text);
        if (tell && !f->problem) rc = d->record(d->context, at, err);
    }
    return rc;
}

/* ---- saying it ----------------------------------------------------------------------------------------------------
 */

static uint64_t line_of(const lf_delimited *d, size_t at) { return lf_delimited_line(d->text, d->n, at); }

static lf_status refuse(const lf_delimited *d, const findings *f, const char *advice, lf_err *err) {
    const uint64_t line = line_of(d, f->at);
    if (f->problem == UNEVEN)
        return lf_fail(err, LF_EDATA,
                       "%s: line %" PRIu64 ": expected %" PRId64 " fields as the first line has, found %" PRId64 "; %s",
                       d->path, line, f->columns, f->found, advice);
    return lf_fail(err, LF_EDATA, "%s: line %" PRIu64 ": %s; %s", d->path, line,
                   f->problem == NOT_CLOSED ? "the quoted field that begins here is not closed"
                                            : "text behind the closing quote of the field that begins here",
                   advice);
}

static lf_status refuse_to_guess(const lf_delimited *d, const findings *f, lf_err *err) {
    const uint64_t line = line_of(d, f->longest);
    return lf_fail(err, LF_EDATA,
                   "%s: line %" PRIu64 ": the field in quotes that begins here runs over lines %" PRIu64 " to %" PRIu64
                   ", each of which could be a record; say which it is: {\"path\": ..., \"quoting\": \"csv\"}, or "
                   "\"none\" if a quote is a character of the text",
                   d->path, line, line, line + f->lines - 1);
}

static const char *delimiter_name(char c, char buf[4]) {
    static const struct {
        char c;
        const char *name;
    } names[] = {{',', "commas"}, {';', "semicolons"}, {'\t', "tabs"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].c == c) return names[i].name;
    snprintf(buf, 4, "'%c'", c);
    return buf;
}

static void say(const lf_delimited *d, lf_dialect chosen, const findings *f) {
    char buf[4];
    const bool usual = !d->tabs && chosen.delimiter == ',' && chosen.quotes;
    if (!usual && (f->opening || chosen.delimiter != (d->tabs ? '\t' : ',')))
        lf_info("%s: fields are divided by %s; %s (\"delimiter\" and \"quoting\" of the data say otherwise)", d->path,
                delimiter_name(chosen.delimiter, buf),
                chosen.quotes ? "quotes enclose fields, as in CSV" : "a quote is a character of the text");
    if (f->lines == 1) return;
    void (*const speak)(const char *, ...) = d->tabs || f->lines > LONG_FIELD ? lf_warn : lf_info;
    speak("%s: fields in quotes run over up to %" PRIu64 " lines (the longest begins in line %" PRIu64 ")", d->path,
          f->lines, line_of(d, f->longest));
}

/* ---- deciding -----------------------------------------------------------------------------------------------------
 */

#define ADVICE_QUOTED                                                                                                  \
    "is a quote missing? Inside quotes, write a quote twice; where a quote is a character of the text, say "           \
    "{\"path\": "                                                                                                      \
    "..., \"quoting\": \"none\"}"

typedef struct deciding {
    const lf_delimited *d;
    size_t begin; /* of the heading */
    char delimiter;
    lf_err *err;
} deciding;

static lf_status read_as(findings *f, const deciding *q, bool quotes, bool tell) {
    return go_through(f, q->d, q->begin, (lf_dialect){q->delimiter, quotes}, tell, q->err);
}

/* Quotes are as in CSV, but where every line would be a record by itself, a quote that merges some is too much to
 * guess, unless something else speaks for it. One column tells nothing: there every line is one. */
static lf_status decide_csv(findings *f, bool *quotes, const deciding *q) {
    findings plain;
    lf_status rc = read_as(f, q, true, true);
    *quotes = true;
    if (rc) return rc;
    if (f->problem) return refuse(q->d, f, ADVICE_QUOTED, q->err);
    if (f->lines == 1 || f->quoted_heading || f->doubled || f->columns == 1) return LF_OK;
    if ((rc = read_as(&plain, q, false, false))) return rc;
    return plain.problem ? LF_OK : refuse_to_guess(q->d, f, q->err);
}

/* Does the file itself say that its quotes enclose fields? `plain` is what the reading without them found. */
static lf_status is_quoted_tsv(bool *yes, const deciding *q, const findings *plain) {
    findings f;
    const lf_status rc = read_as(&f, q, true, false);
    *yes = false;
    if (rc || f.problem || f.stray || (f.needless && !f.quoted_heading)) return rc;
    if (f.quoted_heading || plain->problem || f.lines == 1) {
        *yes = true;
        return LF_OK;
    }
    return f.columns == 1 || f.doubled ? refuse_to_guess(q->d, &f, q->err) : LF_OK;
}

static lf_status decide_tsv(findings *f, bool *quotes, const deciding *q) {
    lf_status rc = read_as(f, q, false, true);
    *quotes = false;
    if (rc || (!f->opening && !f->problem)) return rc;
    if ((rc = is_quoted_tsv(quotes, q, f))) return rc;
    if (!*quotes)
        return f->problem ? refuse(q->d, f,
                                   "is a tab missing, or one too many? Where quotes enclose fields, say "
                                   "{\"path\": ..., \"quoting\": \"csv\"}",
                                   q->err)
                          : LF_OK;
    q->d->again(q->d->context);
    return read_as(f, q, true, true);
}

static lf_status as_told(findings *f, bool *quotes, const deciding *q) {
    *quotes = strcmp(q->d->spec.quoting, "csv") == 0;
    const lf_status rc = read_as(f, q, *quotes, true);
    if (rc || !f->problem) return rc;
    return refuse(q->d, f, *quotes ? "inside quotes, write a quote twice" : "is a line cut?", q->err);
}

/* "sep=;" in the first line names the delimiter. */
static void read_excel_line(deciding *q) {
    const lf_delimited *d = q->d;
    if (d->n < 6 || strncmp(d->text, "sep=", 4) != 0 || !ends_line(d->text + 5, d->text + d->n)) return;
    if (!strchr(",;\t|:", d->text[4])) return;
    q->delimiter = d->text[4];
    q->begin = (size_t)(behind_line(d->text + 5, d->text + d->n) - d->text);
}

/* Of the heading's line, quotes passed over. */
static char guess_delimiter(const lf_delimited *d, size_t begin) {
    lf_fields c = {d->text + begin, d->text + d->n, {'\0', false}};
    bool quoted = false;
    size_t commas = 0, semicolons = 0, tabs = 0;
    skip_blank_lines(&c);
    for (const char *s = c.at; s < c.end && (quoted || !ends_line(s, c.end)); s++) {
        if (*s == '"') quoted = !quoted;
        if (quoted) continue;
        commas += *s == ',';
        semicolons += *s == ';';
        tabs += *s == '\t';
    }
    return commas ? ',' : semicolons ? ';' : tabs ? '\t' : ',';
}

lf_status lf_delimited_index(lf_dialect *out, const lf_delimited *d, lf_err *err) {
    deciding q = {.d = d, .err = err};
    findings f;
    bool quotes;
    if (d->spec.delimiter)
        q.delimiter = delimiter_of(d->spec.delimiter);
    else if (d->tabs)
        q.delimiter = '\t';
    else
        read_excel_line(&q);
    if (!q.delimiter) q.delimiter = guess_delimiter(d, q.begin);
    const lf_status rc = d->spec.quoting                  ? as_told(&f, &quotes, &q)
                         : d->tabs && q.delimiter == '\t' ? decide_tsv(&f, &quotes, &q)
                                                          : decide_csv(&f, &quotes, &q);
    if (rc) return rc;
    *out = (lf_dialect){q.delimiter, quotes};
    say(d, *out, &f);
    return LF_OK;
}
