/* A template to tokens, by the rules of Jinja's lexer (regular expressions there; they are cited where they are not
 * obvious), with trim_blocks and lstrip_blocks. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "jinja/internal.h"

typedef struct lexer {
    lf_jinja *t;
    const char *s; /* with line ends as \n, and a NUL behind it */
    size_t n, at;
    size_t counted; /* the line of this byte is known */
    int line;
    bool line_starting; /* the last thing read ended with a line end */
    char open[200];     /* brackets that are to be closed */
    size_t n_open;
    lf_jtoken *tokens;
    size_t n_tokens, capacity;
    lf_status rc;
    lf_err *err;
} lexer;

static int line_of(lexer *x, size_t at) {
    for (; x->counted < at; x->counted++) x->line += x->s[x->counted] == '\n';
    return x->line;
}

static void fail(lexer *x, lf_status status, size_t at, const char *what) {
    if (!x->rc) x->rc = lf_fail(x->err, status, "%s: line %d: %s", x->t->where, line_of(x, at), what);
}

static lf_jtoken *emit(lexer *x, lf_jtoken_kind kind, size_t at) {
    static lf_jtoken none;
    if (!lf_grow(&x->tokens, &x->capacity, x->n_tokens + 1)) {
        if (!x->rc) x->rc = lf_no_memory(x->err, "%s", x->t->where);
        return &none;
    }
    lf_jtoken *k = &x->tokens[x->n_tokens++];
    *k = (lf_jtoken){.kind = kind, .line = line_of(x, at), .s = ""};
    return k;
}

const char *lf_jintern(lf_jinja *t, const char *s, size_t n) {
    for (const lf_jword *w = t->words; w; w = w->next)
        if (strlen(w->s) == n && memcmp(w->s, s, n) == 0) return w->s;
    lf_jword *w = lf_jmemory_take(&t->memory, sizeof *w + n + 1);
    if (!w) return NULL;
    memcpy(w->s, s, n);
    w->next = t->words;
    t->words = w;
    return w->s;
}

static const char *copy(lexer *x, const char *s, size_t n) {
    char *to = lf_jmemory_take(&x->t->memory, n + 1);
    if (!to) {
        if (!x->rc) x->rc = lf_no_memory(x->err, "%s", x->t->where);
        return "";
    }
    return memcpy(to, s, n);
}

/* ---- white space ---- */

static size_t skip_space(const lexer *x, size_t at) {
    while (at < x->n) {
        uint32_t c;
        const size_t size = lf_utf8_next(x->s + at, x->n - at, &c);
        if (!lf_jspace(c)) break;
        at += size;
    }
    return at;
}

/* Where the white space begins that ends at `end`. */
static size_t before_space(const lexer *x, size_t begin, size_t end) {
    size_t last = begin;
    for (size_t at = begin; at < end;) {
        uint32_t c;
        at += lf_utf8_next(x->s + at, end - at, &c);
        if (!lf_jspace(c)) last = at;
    }
    return last;
}

/* The end of text before a tag at `tag`: `sign` says what the tag says of the white space before it. */
static size_t text_end(const lexer *x, size_t begin, size_t tag, char sign, bool prints) {
    if (sign == '-') return before_space(x, begin, tag);
    if (sign == '+' || prints) return tag;
    size_t line = tag;
    while (line > begin && x->s[line - 1] != '\n') line--;
    if (line == begin && !x->line_starting) return tag;
    return before_space(x, line, tag) == line ? line : tag;
}

static void emit_data(lexer *x, size_t begin, size_t end) {
    if (begin == end || x->rc) return;
    lf_jtoken *k = emit(x, LF_J_T_DATA, begin);
    k->s = copy(x, x->s + begin, end - begin);
    k->n = end - begin;
}

/* ---- what stands between tags ---- */

static char sign_at(const lexer *x, size_t at) {
    const char c = x->s[at];
    return c == '-' || c == '+' ? c : 0;
}

/* Behind the end of a tag, which begins at `at` with its sign or with `close`, "%}" or "#}"; 0 if there is none:
 * (?:\+%}|\-%}\s*|%}\n?) */
static size_t tag_end(const lexer *x, size_t at, const char *close) {
    const char sign = sign_at(x, at);
    at += sign != 0;
    if (x->n - at < 2 || strncmp(x->s + at, close, 2) != 0) return 0;
    at += 2;
    if (sign == '-') return skip_space(x, at);
    return at + (sign == 0 && x->s[at] == '\n');
}

static void jump(lexer *x, size_t to) {
    x->line_starting = to > 0 && x->s[to - 1] == '\n';
    x->at = to;
}

static void read_comment(lexer *x, size_t tag) {
    const size_t begin = tag + 2 + (sign_at(x, tag + 2) != 0);
    const char *close = begin <= x->n ? strstr(x->s + begin, "#}") : NULL;
    if (!close) {
        fail(x, LF_EDATA, tag, "the comment that begins here is not closed by #}");
        return;
    }
    size_t end = (size_t)(close - x->s);
    if (end > begin && sign_at(x, end - 1)) end--;
    jump(x, tag_end(x, end, "#}"));
}

/* {%-? raw -?%}: behind it, or 0. */
static size_t raw_begin(const lexer *x, size_t tag) {
    size_t at = skip_space(x, tag + 2 + (sign_at(x, tag + 2) != 0));
    if (strncmp(x->s + at, "raw", 3) != 0) return 0;
    at = skip_space(x, at + 3);
    if (strncmp(x->s + at, "-%}", 3) == 0) return skip_space(x, at + 3);
    return strncmp(x->s + at, "%}", 2) == 0 ? at + 2 : 0;
}

static void read_raw(lexer *x, size_t tag, size_t begin) {
    jump(x, begin);
    for (size_t at = begin; at + 1 < x->n; at++) {
        if (strncmp(x->s + at, "{%", 2) != 0) continue;
        const char sign = sign_at(x, at + 2);
        size_t end = skip_space(x, at + 2 + (sign != 0));
        if (strncmp(x->s + end, "endraw", 6) != 0) continue;
        end = tag_end(x, skip_space(x, end + 6), "%}");
        if (!end) continue;
        emit_data(x, begin, text_end(x, begin, at, sign, false));
        jump(x, end);
        return;
    }
    fail(x, LF_EDATA, tag, "the raw block that begins here is not closed by {% endraw %}");
}

/* ---- expressions ---- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c); }

/* (\d+_)*\d+ */
static size_t digits(const lexer *x, size_t at) {
    const size_t begin = at;
    while (is_digit(x->s[at]) || (at > begin && x->s[at] == '_' && is_digit(x->s[at + 1]))) at++;
    return at;
}

/* Behind the float at `at`, or `at`. */
static size_t float_end(const lexer *x, size_t at) {
    if (at > 0 && x->s[at - 1] == '.') return at;
    size_t end = digits(x, at), whole = end;
    if (end == at) return at;
    if (x->s[end] == '.' && is_digit(x->s[end + 1])) whole = end = digits(x, end + 1);
    const bool fraction = memchr(x->s + at, '.', end - at) != NULL;
    if (x->s[end] == 'e' || x->s[end] == 'E') {
        end += x->s[end + 1] == '+' || x->s[end + 1] == '-' ? 2 : 1;
        const size_t exponent = digits(x, end);
        if (exponent > end) return exponent;
    }
    return fraction ? whole : at;
}

/* 0x.., 0o.., 0b.., decimal without leading zeros. */
static size_t int_end(const lexer *x, size_t at, int *base) {
    static const struct {
        char letter;
        int base;
        const char *digits;
    } bases[] = {{'b', 2, "01"}, {'o', 8, "01234567"}, {'x', 16, "0123456789abcdefABCDEF"}};
    *base = 10;
    if (x->s[at] != '0') return digits(x, at);
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        if ((x->s[at + 1] | 32) != bases[i].letter) continue;
        size_t end = at + 2;
        for (size_t d = end + (x->s[end] == '_'); x->s[d] && strchr(bases[i].digits, x->s[d]);
             d = end + (x->s[end] == '_'))
            end = d + 1;
        *base = bases[i].base;
        if (end > at + 2) return end;
        *base = 10;
    }
    size_t end = at + 1;
    while (x->s[end] == '0' || (x->s[end] == '_' && x->s[end + 1] == '0')) end++;
    return end;
}

static void read_number(lexer *x) {
    const size_t begin = x->at;
    int base = 10;
    size_t end = float_end(x, begin);
    const bool real = end > begin;
    if (!real) end = int_end(x, begin, &base);
    char text[400];
    size_t n = 0;
    for (size_t i = begin; i < end; i++) {
        if (x->s[i] == '_') continue;
        if (n == sizeof text - 1) {
            fail(x, LF_EUNSUPPORTED, begin, "a number of more than 399 digits");
            return;
        }
        text[n++] = x->s[i];
    }
    text[n] = 0;
    lf_jtoken *k = emit(x, real ? LF_J_T_FLOAT : LF_J_T_INT, begin);
    k->f = strtod(text, NULL);
    for (const char *d = text + (base == 10 ? 0 : 2); !real && *d; d++) {
        const int digit = is_digit(*d) ? *d - '0' : (*d | 32) - 'a' + 10;
        if (__builtin_mul_overflow(k->i, (int64_t)base, &k->i) || __builtin_add_overflow(k->i, (int64_t)digit, &k->i))
            fail(x, LF_EUNSUPPORTED, begin, "an integer beyond 64 bits");
    }
    jump(x, end);
}

/* One escape behind its backslash at `at`; returns the bytes read, and appends. Python reads strings here as
 * s.encode("ascii", "backslashreplace").decode("unicode-escape"). */
static size_t read_escape(lexer *x, size_t at, char *out, size_t *n) {
    static const char letters[] = "abfnrtv\\'\"", meant[] = "\a\b\f\n\r\t\v\\'\"";
    const char c = x->s[at];
    const char *letter = c ? strchr(letters, c) : NULL;
    if (letter) return out[(*n)++] = meant[letter - letters], 1;
    if (c == '\n') return 1;
    uint32_t value = 0;
    size_t used = 0;
    if (c >= '0' && c <= '7') {
        while (used < 3 && x->s[at + used] >= '0' && x->s[at + used] <= '7')
            value = value * 8 + (uint32_t)(x->s[at + used++] - '0');
        *n += lf_utf8_put(out + *n, value);
        return used;
    }
    const size_t wanted = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (c == 'N') fail(x, LF_EUNSUPPORTED, at, "\\N{name} in a string is not supported; write the character");
    if (wanted) {
        for (used = 1; used <= wanted && x->s[at + used] && strchr("0123456789abcdefABCDEF", x->s[at + used]); used++) {
            const char d = x->s[at + used];
            value = value * 16 + (uint32_t)(is_digit(d) ? d - '0' : (d | 32) - 'a' + 10);
        }
        if (used <= wanted || value > 0x10ffff)
            fail(x, LF_EDATA, at, "an escape in a string that is none: expected \\xHH, \\uHHHH or \\UHHHHHHHH");
        else if (value >= 0xd800 && value < 0xe000)
            fail(x, LF_EUNSUPPORTED, at, "half a character (\\uD800 to \\uDFFF) in a string; write \\U with the whole");
        if (!x->rc) *n += lf_utf8_put(out + *n, value);
        return used;
    }
    out[(*n)++] = '\\'; /* no escape: both stay, and what backslashreplace made of the character is no escape now */
    if ((unsigned char)c < 0x80) return 0;
    used = lf_utf8_next(x->s + at, x->n - at, &value);
    static const char hex[] = "0123456789abcdef";
    const int places = value <= 0xff ? 2 : value <= 0xffff ? 4 : 8;
    out[(*n)++] = places == 2 ? 'x' : places == 4 ? 'u' : 'U';
    for (int i = places - 1; i >= 0; i--) out[(*n)++] = hex[value >> (4 * i) & 15];
    return used;
}

static void read_string(lexer *x) {
    const size_t begin = x->at;
    const char quote = x->s[begin];
    size_t end = begin + 1;
    while (end < x->n && x->s[end] != quote) end += x->s[end] == '\\' ? 2 : 1;
    if (end >= x->n) {
        fail(x, LF_EDATA, begin, "the string that begins here is not closed");
        return;
    }
    /* Four times: a backslash before a letter beyond ASCII, 3 bytes in all, becomes "\xe9", and so on. */
    char *out = lf_jmemory_take(&x->t->memory, 4 * (end - begin) + 1);
    size_t n = 0;
    if (!out) {
        x->rc = lf_no_memory(x->err, "%s", x->t->where);
        return;
    }
    for (size_t at = begin + 1; at < end && !x->rc;) {
        if (x->s[at] == '\\')
            at += 1 + read_escape(x, at + 1, out, &n);
        else
            out[n++] = x->s[at++];
    }
    lf_jtoken *k = emit(x, LF_J_T_STRING, begin);
    k->s = out;
    k->n = n;
    if (n < 64 && !lf_jintern(x->t, out, n) && !x->rc) x->rc = lf_no_memory(x->err, "%s", x->t->where);
    jump(x, end + 1);
}

/* Longer ones first. */
static const char *const operators[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
                                        "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};

static bool balance(lexer *x, char c) {
    static const char open[] = "([{", close[] = ")]}";
    const char *o = strchr(open, c), *k = strchr(close, c);
    if (o && x->n_open == sizeof x->open) {
        fail(x, LF_EUNSUPPORTED, x->at, "more than 200 brackets within each other");
        return false;
    }
    if (o) x->open[x->n_open++] = close[o - open];
    if (k && (x->n_open == 0 || x->open[--x->n_open] != c)) {
        fail(x, LF_EDATA, x->at, "a bracket is closed that is not open");
        return false;
    }
    return true;
}

static void read_operator(lexer *x) {
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        const size_t n = strlen(operators[i]);
        if (strncmp(x->s + x->at, operators[i], n) != 0) continue;
        if (n == 1 && !balance(x, *operators[i])) return;
        emit(x, LF_J_T_OP, x->at)->s = operators[i];
        jump(x, x->at + n);
        return;
    }
    if ((unsigned char)x->s[x->at] >= 0x80)
        fail(x, LF_EUNSUPPORTED, x->at, "a name with other letters than a-z, A-Z, digits and _");
    else
        fail(x, LF_EDATA, x->at, "a character that has no meaning in a tag");
}

static void read_name(lexer *x) {
    const size_t begin = x->at;
    size_t end = begin;
    while (is_name(x->s[end])) end++;
    lf_jtoken *k = emit(x, LF_J_T_NAME, begin);
    k->s = lf_jintern(x->t, x->s + begin, end - begin);
    if (!k->s && !x->rc) x->rc = lf_no_memory(x->err, "%s", x->t->where);
    jump(x, end);
}

/* From behind a tag's beginning to behind its end. */
static void read_tag(lexer *x, size_t tag, bool prints) {
    while (!x->rc) {
        size_t end = 0;
        x->at = skip_space(x, x->at);
        if (x->n_open == 0 && prints) {
            const bool minus = x->s[x->at] == '-';
            if (strncmp(x->s + x->at + minus, "}}", 2) == 0) end = x->at + minus + 2;
            if (end && minus) end = skip_space(x, end);
        } else if (x->n_open == 0) {
            end = tag_end(x, x->at, "%}");
        }
        if (end) {
            emit(x, prints ? LF_J_T_PRINT_END : LF_J_T_BLOCK_END, x->at);
            jump(x, end);
            return;
        }
        if (x->at >= x->n)
            fail(x, LF_EDATA, tag, "the tag that begins here is not closed");
        else if (is_digit(x->s[x->at]))
            read_number(x);
        else if (is_name(x->s[x->at]))
            read_name(x);
        else if (x->s[x->at] == '\'' || x->s[x->at] == '"')
            read_string(x);
        else
            read_operator(x);
    }
}

static size_t find_tag(const lexer *x, size_t at) {
    for (; at + 1 < x->n; at++)
        if (x->s[at] == '{' && strchr("{%#", x->s[at + 1])) return at;
    return x->n;
}

static void read_all(lexer *x) {
    while (x->at < x->n && !x->rc) {
        const size_t begin = x->at, tag = find_tag(x, begin);
        if (tag == x->n) {
            emit_data(x, begin, tag);
            break;
        }
        const char kind = x->s[tag + 1], sign = sign_at(x, tag + 2);
        const size_t raw = kind == '%' ? raw_begin(x, tag) : 0;
        emit_data(x, begin, text_end(x, begin, tag, sign, kind == '{'));
        if (kind == '#') {
            read_comment(x, tag);
        } else if (raw) {
            read_raw(x, tag, raw);
        } else {
            emit(x, kind == '{' ? LF_J_T_PRINT_BEGIN : LF_J_T_BLOCK_BEGIN, tag);
            x->at = tag + 2 + (sign != 0);
            read_tag(x, tag, kind == '{');
        }
    }
    if (!x->rc) emit(x, LF_J_T_END, x->n);
}

/* Line ends become \n, and the last one goes. */
static bool normalize(lexer *x, const char *source, size_t n) {
    char *to = lf_jmemory_take(&x->t->memory, n + 1);
    if (!to) return false;
    x->s = to;
    for (size_t i = 0; i < n; i++) {
        if (source[i] == '\r' && i + 1 < n && source[i + 1] == '\n') continue;
        *to++ = source[i] == '\r' ? '\n' : source[i];
    }
    if (to > x->s && to[-1] == '\n') *--to = 0;
    x->n = (size_t)(to - x->s);
    return true;
}

lf_status lf_jlex(lf_jtoken **out, lf_jinja *t, const char *source, size_t n, lf_err *err) {
    lexer x = {.t = t, .line = 1, .line_starting = true, .err = err};
    const char *nul = memchr(source, 0, n);
    *out = NULL;
    if (!normalize(&x, source, n)) return lf_no_memory(err, "%s", t->where);
    if (lf_utf8_invalid(source, n) < n) {
        x.n = 0;
        fail(&x, LF_EDATA, 0, "the template is not UTF-8");
    } else if (nul) {
        fail(&x, LF_EDATA, 0, "the template has a NUL byte in it");
    }
    read_all(&x);
    if (x.rc)
        lf_free(x.tokens);
    else
        *out = x.tokens;
    return x.rc;
}
