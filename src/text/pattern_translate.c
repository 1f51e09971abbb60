/* Oniguruma's Ruby syntax to PCRE2's. The differences that matter to tokenizers:
 *   \s        PCRE2 adds U+180E, Oniguruma does not
 *   \w, \b    Oniguruma's words have marks and other alphabetic characters in them
 *   \p{..}    Oniguruma knows Unicode 16; a script name means Script, in PCRE2 Script_Extensions
 *             (one character is left: U+1171E, which changed from Mn to Mc, is in both here)
 *   {n,m}+    repeats the whole, in PCRE2 it is possessive
 *   \h, (?m)  mean something else; [..&&..] and [..[..]..] do not exist
 * Only what is known to mean the same is let through. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/pattern.h"
#include "text/unicode.h"

enum { MAX_DEPTH = 64 };

typedef struct translator {
    const char *text, *where;
    const char *s; /* what is next */
    lf_string *out;
    lf_err *err;
    bool caseless;
    char last_letter;       /* the caseless letter just before, 0 if none */
    size_t atom;            /* where in out the last atom begins, that a quantifier repeats */
    size_t open[MAX_DEPTH]; /* where open groups begin */
    bool outer[MAX_DEPTH];  /* `caseless` outside of them */
    int depth;
} translator;

static void put(translator *t, const char *s) { lf_string_put(t->out, s, strlen(s)); }

static lf_status unsupported(const translator *t, const char *what, size_t n) {
    return lf_fail(t->err, LF_EUNSUPPORTED, "%s: \"%s\": %.*s in a pattern is not supported", t->where, t->text, (int)n,
                   what);
}

static void put_range(translator *t, uint32_t first, uint32_t last) {
    static const char digits[] = "0123456789abcdef";
    const uint32_t both[2] = {first, last};
    for (int k = 0; k < (first == last ? 1 : 2); k++) {
        char code[16] = "-\\x{000000}";
        for (int i = 0; i < 6; i++) code[4 + i] = digits[both[k] >> (20 - 4 * i) & 15];
        put(t, code + (k == 0));
    }
}

static void put_late(translator *t, const char *name) {
    for (size_t i = 0; i < lf_n_late_ranges; i++) {
        const lf_late_range *late = &lf_late_ranges[i];
        const bool within = name[1] == 0 && late->name[0] == name[0] && late->name[2] == 0; /* "Lu" in "L" */
        if (within || strcmp(late->name, name) == 0) put_range(t, late->first, late->last);
    }
}

/* Word characters, for the inside of a class. The two joiners are none to Oniguruma, and outside of classes six numbers
 * of Latin-1 are. */
static void put_word(translator *t, bool inside) {
    put(t, "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}");
    put_late(t, "L");
    put_late(t, "M");
    put_late(t, "Nd");
    if (!inside) put(t, "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}");
}

/* \p{name} or \P{name}; s is behind the p. Inside a class only what adds characters can be written. */
static lf_status property(translator *t, bool negated, bool inside) {
    static const char *const categories =
        " L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So "
        "Z Zs Zl Zp Cc Cf ";
    static const char *const scripts = " Han Hiragana Katakana Hangul Latin Cyrillic Greek Arabic Thai ";
    const char *end = *t->s == '{' ? strchr(t->s, '}') : NULL;
    char name[16] = " ", code[40];
    const size_t n = end ? (size_t)(end - t->s) - 1 : 0;
    if (n == 0 || n > sizeof name - 4 || memchr(t->s, ' ', n + 1)) return unsupported(t, "this use of \\p", 14);
    memcpy(name + 1, t->s + 1, n);
    bool negative = negated;
    if (name[1] == '^') {
        negative = !negative;
        memmove(name + 1, name + 2, n);
    }
    strcat(name, " ");
    const bool category = strstr(categories, name) != NULL, script = strstr(scripts, name) != NULL;
    if (strchr(name + 1, ' ') != name + strlen(name) - 1 || (!category && !script))
        return unsupported(t, t->s - 2, (size_t)(end - t->s) + 3);
    if (inside && negative) return unsupported(t, "a negated property in a class", 29);
    t->s = end + 1;
    name[strlen(name) - 1] = 0;
    if (!inside) put(t, negative ? "[^" : "[");
    if (!t->caseless && strcmp(name + 1, "L") == 0) put(t, "a-zA-Z"); /* both are in it anyway, and found faster */
    if (strcmp(name + 1, "N") == 0) put(t, "0-9");
    memcpy(code, script ? "\\p{sc:" : "\\p{", script ? 7 : 4);
    strcat(strcat(code, name + 1), "}");
    put(t, code);
    put_late(t, name + 1);
    if (!inside) put(t, "]");
    return LF_OK;
}

/* The number behind \x or \u, as \x{..}. */
static lf_status code_point(translator *t, char kind) {
    char *end;
    const bool braces = kind == 'x' && *t->s == '{';
    const size_t digits = strspn(t->s + braces, "0123456789abcdefABCDEF");
    if (digits == 0 || digits > 6 || (braces ? t->s[1 + digits] != '}' : kind == 'x' || digits < 4))
        return unsupported(t, "this use of \\x or \\u", 20);
    char number[8] = {0};
    memcpy(number, t->s + braces, braces ? digits : 4);
    const uint32_t c = (uint32_t)strtoul(number, &end, 16);
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return unsupported(t, "a number that is no character", 29);
    put_range(t, c, c);
    t->s += braces ? digits + 2 : 4;
    return LF_OK;
}

/* s is behind a backslash. */
static lf_status escape(translator *t, bool inside) {
    if (!*t->s) return lf_fail(t->err, LF_EDATA, "%s: \"%s\" ends with a backslash", t->where, t->text);
    const char c = *t->s++;
    char copy[3] = {'\\', c, 0};
    switch (c) {
    case 'p': return property(t, false, inside);
    case 'P': return property(t, true, inside);
    case 'x':
    case 'u': return code_point(t, c);
    case 's': put(t, inside ? "\\x{9}-\\x{d}\\x{85}\\p{Z}" : "[\\x{9}-\\x{d}\\x{85}\\p{Z}]"); return LF_OK;
    case 'S': put(t, inside ? "\\S\\x{180e}" : "[^\\x{9}-\\x{d}\\x{85}\\p{Z}]"); return LF_OK;
    case 'd':
    case 'D':
        if (inside && c == 'D') return unsupported(t, "\\D in a class", 13);
        if (!inside) put(t, c == 'd' ? "[" : "[^");
        put(t, "\\p{Nd}");
        put_late(t, "Nd");
        if (!inside) put(t, "]");
        return LF_OK;
    case 'w':
    case 'W':
        if (inside && c == 'W') return unsupported(t, "\\W in a class", 13);
        if (!inside) put(t, c == 'w' ? "[" : "[^");
        put_word(t, inside);
        if (!inside) put(t, "]");
        return LF_OK;
    case 'v': put(t, "\\x{b}"); return LF_OK; /* in PCRE2 a class of all vertical spaces */
    case 'b':
    case 'B':
        if (inside) return unsupported(t, "\\b in a class", 13);
        put(t, "(?:(?<=[");
        put_word(t, false);
        put(t, c == 'b' ? "])(?![" : "])(?=[");
        put_word(t, false);
        put(t, "])|(?<![");
        put_word(t, false);
        put(t, c == 'b' ? "])(?=[" : "])(?![");
        put_word(t, false);
        put(t, "]))");
        return LF_OK;
    default: break;
    }
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    const bool same = (strchr("rntfae", c) || (!inside && strchr("AzZ", c)));
    if ((letter && !same) || (unsigned char)c >= 0x80) return unsupported(t, t->s - 2, 2);
    put(t, copy);
    return LF_OK;
}

/* Written out, a set ends in a character: a - behind it would make a range of it. */
static bool is_set(const char *s) { return *s == '\\' && s[1] && strchr("pPsSdDwW", s[1]); }

static lf_status class(translator *t) { /* s is behind [ */
    put(t, "[");
    if (*t->s == '^') put(t, "^"), t->s++;
    for (bool first = true; *t->s != ']' || first; first = false) {
        lf_status rc = LF_OK;
        if (!*t->s) return lf_fail(t->err, LF_EDATA, "%s: \"%s\": a [ is not closed", t->where, t->text);
        if (*t->s == '[') return unsupported(t, "[ in a class", 12);
        if (strncmp(t->s, "&&", 2) == 0) return unsupported(t, "&& in a class", 13);
        if (*t->s == '-' && !first && is_set(t->s + 1)) return unsupported(t, "a range to a set in a class", 27);
        if (*t->s == '\\') {
            const bool set = is_set(t->s);
            t->s++;
            rc = escape(t, true);
            if (!rc && set && *t->s == '-' && t->s[1] != ']')
                return unsupported(t, "a range from a set in a class", 29);
        } else if (*t->s == ']') {
            return unsupported(t, "] at the beginning of a class", 29);
        } else if (t->caseless && (unsigned char)*t->s >= 0x80) {
            return unsupported(t, "a caseless character beyond ASCII", 33);
        } else {
            const char one[2] = {*t->s++, 0};
            put(t, one);
        }
        if (rc) return rc;
    }
    t->s++;
    put(t, "]");
    return LF_OK;
}

static lf_status group(translator *t) { /* s is behind ( */
    static const char *const kinds[] = {"?:", "?=", "?!", "?<=", "?<!", "?>", "?i:", "?-i:"};
    if (t->depth == MAX_DEPTH) return unsupported(t, "so many groups in each other", 28);
    t->open[t->depth] = t->out->n;
    t->outer[t->depth++] = t->caseless;
    if (*t->s != '?') {
        put(t, "(?:"); /* what a group caught is never asked */
        return LF_OK;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const size_t n = strlen(kinds[i]);
        if (strncmp(t->s, kinds[i], n) != 0) continue;
        if (kinds[i][n - 2] == 'i') t->caseless = n == 3;
        put(t, "(");
        put(t, kinds[i]);
        t->s += n;
        return LF_OK;
    }
    return unsupported(t, t->s - 1, strcspn(t->s, ":)") + 2);
}

/* s is at {: *end behind it, or NULL if it is no interval but a plain character. */
static void interval(const char *s, const char **end, bool *no_low, bool *exact) {
    const size_t low = strspn(s + 1, "0123456789");
    const char *p = s + 1 + low;
    *exact = *p != ',';
    const size_t high = *p == ',' ? strspn(p + 1, "0123456789") : 0;
    if (*p == ',') p += 1 + high;
    *no_low = low == 0;
    *end = *p == '}' && (low > 0 || high > 0) ? p + 1 : NULL;
}

static lf_status quantifier(translator *t) {
    const char *end;
    bool no_low, exact;
    char one[2] = {*t->s, 0};
    if (*t->s != '{') {
        put(t, one);
        t->s++;
        return LF_OK;
    }
    interval(t->s, &end, &no_low, &exact);
    if (exact && *end == '?') return unsupported(t, "{n}?", 4);
    put(t, no_low ? "{0" : "{");
    for (t->s++; t->s < end; t->s++) {
        one[0] = *t->s;
        put(t, one);
    }
    if (*t->s == '+' && !t->out->failed) { /* X{n,m}+ is (?:X{n,m})+ */
        static const char head[] = "(?:";
        const size_t size = t->out->n - t->atom;
        put(t, head);
        if (t->out->failed) return LF_OK;
        memmove(t->out->s + t->atom + 3, t->out->s + t->atom, size);
        memcpy(t->out->s + t->atom, head, 3);
        put(t, ")");
    }
    return LF_OK;
}

/* A caseless pair that one character stands for in Unicode (ss and U+00DF): Oniguruma takes that for a match. */
static bool folds_together(char a, char b) {
    static const char *const pairs[] = {"ss", "st", "ff", "fi", "fl", "ij", "dz", "lj", "nj", "aa"};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i][0] == (a | 0x20) && pairs[i][1] == (b | 0x20)) return true;
    return false;
}

static lf_status plain(translator *t) {
    const char c = *t->s++, one[2] = {c, 0};
    const bool letter = ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
    if (t->caseless && (unsigned char)c >= 0x80) return unsupported(t, "a caseless character beyond ASCII", 33);
    if (t->caseless && letter && t->last_letter && folds_together(t->last_letter, c))
        return unsupported(t, t->s - 2, 2);
    if (c == '{' || c == '}' || c == ']') put(t, "\\");
    put(t, one);
    t->last_letter = t->caseless && letter ? c : 0;
    return LF_OK;
}

lf_status lf_pattern_translate(lf_string *out, const char *text, const char *where, lf_err *err) {
    translator t = {.text = text, .where = where, .s = text, .out = out, .err = err};
    lf_status rc = LF_OK;
    while (*t.s && !rc && !out->failed) {
        const char c = *t.s, letter = t.last_letter;
        const char *end = NULL;
        bool no_low, exact;
        if (c == '{') interval(t.s, &end, &no_low, &exact);
        const bool repeats = strchr("*+?", c) || end;
        const bool behind =
            (unsigned char)c >= 0x80 && ((unsigned char)c & 0xc0) == 0x80; /* still the same character */
        if (!repeats && !behind && c != ')') t.atom = out->n;
        t.last_letter = 0;
        if (repeats) {
            rc = quantifier(&t);
        } else if (c == '\\') {
            t.s++;
            rc = escape(&t, false);
        } else if (c == '[') {
            t.s++;
            rc = class(&t);
        } else if (c == '(') {
            t.s++;
            rc = group(&t);
        } else if (c == ')') {
            if (t.depth == 0) return lf_fail(err, LF_EDATA, "%s: \"%s\": a ) closes nothing", where, text);
            t.atom = t.open[--t.depth];
            t.caseless = t.outer[t.depth];
            put(&t, ")");
            t.s++;
        } else if (strchr("|.^$", c)) {
            put(&t, (char[2]){c, 0});
            t.s++;
        } else {
            t.last_letter = letter;
            rc = plain(&t);
        }
    }
    if (!rc && t.depth > 0) return lf_fail(err, LF_EDATA, "%s: \"%s\": a ( is not closed", where, text);
    if (!rc && out->failed) return lf_no_memory(err, "the pattern \"%s\" of %s", text, where);
    return rc;
}
