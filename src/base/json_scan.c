/* What cJSON lets through. It takes control characters for blanks, bad hex digits in \uXXXX for NUL, and 01 for a
 * number, and does not look at UTF-8. So one pass over the text refuses those, and blanks the comments (newlines stay,
 * for the line numbers). */
#include "base/json_scan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/mistaken.h"
#include "base/utf8.h"

lf_status lf_json_bad_text(const lf_json_scan *t, size_t at, const char *what) {
    uint64_t line = t->first_line;
    size_t column = 1;
    for (size_t i = 0; i < at && i < t->size; i++) {
        column = t->s[i] == '\n' ? 1 : column + 1;
        line += t->s[i] == '\n';
    }
    return lf_fail(t->err, LF_EDATA, "%s: line %" PRIu64 ", column %zu: %s", t->name, line, column, what);
}

/* The four digits behind \u; -1: they are none. */
static long code_unit(const char *s) {
    char hex[5] = {0};
    if (s[0] != '\\' || s[1] != 'u' || strspn(s + 2, "0123456789abcdefABCDEF") < 4) return -1;
    memcpy(hex, s + 2, 4);
    return strtol(hex, NULL, 16);
}

/* *at is the backslash of \uXXXX; moves it behind the character, which may be two of them. */
static lf_status scan_escape(const lf_json_scan *t, size_t *at) {
    const char *s = t->s + *at;
    const long first = code_unit(s), second = first >= 0xd800 && first < 0xdc00 ? code_unit(s + 6) : -1;
    if (first < 0) return lf_json_bad_text(t, *at, "\\u is not followed by four hexadecimal digits");
    if (first == 0) return lf_json_bad_text(t, *at, "\\u0000 in a string is not supported");
    if (first >= 0xd800 && first < 0xe000 && !(second >= 0xdc00 && second < 0xe000)) {
        char what[200];
        snprintf(what, sizeof what,
                 "%.6s is half of a character (such as an emoji) whose other half is missing; was the text cut in the "
                 "middle of it? cut it between characters, or delete the half",
                 s);
        return lf_json_bad_text(t, *at, what);
    }
    *at += second >= 0 ? 12 : 6;
    return LF_OK;
}

/* *at is a quote; moves it behind the closing one. */
static lf_status scan_string(const lf_json_scan *t, size_t *at) {
    const size_t begin = *at;
    for (size_t i = begin + 1; i < t->size;) {
        const char *s = t->s + i;
        if (*s == '"') {
            *at = i + 1;
            return LF_OK;
        }
        if (*s == '\n') return lf_json_bad_text(t, begin, "the string that begins here is not closed on its line");
        if ((unsigned char)*s < 0x20)
            return lf_json_bad_text(t, i, "control character in a string; write it as \\uXXXX");
        if (*s == '\\' && s[1] == 'u') {
            const lf_status rc = scan_escape(t, &i);
            if (rc) return rc;
        } else if (*s == '\\') {
            i += 2; /* which letters may follow is cJSON's to check */
        } else {
            uint32_t ignored;
            const size_t n = lf_utf8_next(s, t->size - i, &ignored);
            if (n == 0) return lf_json_bad_text(t, i, "not UTF-8; save the file as UTF-8");
            i += n;
        }
    }
    return lf_json_bad_text(t, begin, "the string that begins here is not closed");
}

static lf_status scan_number(lf_json_scan *t, size_t *at) {
    size_t size;
    bool no_memory;
    const char *wrong = lf_json_scan_number(&t->numbers, t->s, *at, &size, &no_memory);
    if (no_memory) return lf_no_memory(t->err, "the numbers of %s", t->name);
    if (wrong) return lf_json_bad_text(t, *at, wrong);
    *at += size;
    return LF_OK;
}

/* What others write where JSON has nothing, or another word. */
static const struct {
    const char *word, *what;
} foreign[] = {
    {"NaN", "JSON has no NaN, though Python's json writes it; write null, or leave the key out"},
    {"nan", "JSON has no nan; write null, or leave the key out"},
    {"Infinity", "JSON has no Infinity, though Python's json writes it; write null or a number"},
    {"-Infinity", "JSON has no -Infinity, though Python's json writes it; write null or a number"},
    {"inf", "JSON has no inf; write null or a number"},
    {"-inf", "JSON has no -inf; write null or a number"},
    {"True", "True is Python's; JSON's is true. Write the file with json.dumps, not with str or print"},
    {"False", "False is Python's; JSON's is false. Write the file with json.dumps, not with str or print"},
    {"None", "None is Python's; JSON's is null. Write the file with json.dumps, not with str or print"},
    {"undefined", "undefined is JavaScript's; JSON's is null"},
    {"'",
     "a single quote; strings of JSON stand in double quotes. Write the file with json.dumps, not with str or print"},
    {"`", "a backquote; strings of JSON stand in double quotes"},
    {"\xe2\x80\x9c", "a typographic quote, as word processors put it; strings of JSON stand in \"plain\" ones"},
    {"\xe2\x80\x9d", "a typographic quote, as word processors put it; strings of JSON stand in \"plain\" ones"},
    {"\xc2\xa0", "a no-break space outside of a string; put a plain one"},
    {"\xef\xbb\xbf", "a byte order mark in the middle; were files put together? delete it"},
    {"#", "JSON has no # comments; write // or delete it"},
};

/* What stands at s[at], outside of a string, if it is known not to be JSON. */
static const char *foreign_at(const char *s, size_t at) {
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (strncmp(s + at, foreign[i].word, strlen(foreign[i].word)) == 0 &&
            !(at == 0 && foreign[i].word[0] == '\xef'))
            return foreign[i].what;
    return NULL;
}

/* *at is the slash; blanks the comment and moves *at behind it. */
static lf_status blank_comment(const lf_json_scan *t, size_t *at) {
    char *const begin = t->s + *at, *end;
    if (begin[1] == '/') {
        end = begin + strcspn(begin, "\n");
    } else {
        end = strstr(begin + 2, "*/");
        if (!end) return lf_json_bad_text(t, *at, "the comment that begins here is not closed");
        end += 2;
    }
    for (char *s = begin; s < end; s++)
        if (*s != '\n') *s = ' ';
    *at = (size_t)(end - t->s);
    return LF_OK;
}

/* A character outside of strings, numbers and comments; *comma: where the last one was a comma, else SIZE_MAX. */
static lf_status check_mark(const lf_json_scan *t, size_t at, int *depth, size_t *comma) {
    const char c = t->s[at];
    const char *wrong = strchr(" \t\r\n,:[]{}", c) ? NULL : foreign_at(t->s, at);
    if (wrong) return lf_json_bad_text(t, at, wrong);
    if ((unsigned char)c < 0x20 && c != '\n' && c != '\r' && c != '\t')
        return lf_json_bad_text(t, at, "control character; is this a text file?");
    if (c == '[' || c == '{') ++*depth;
    if (c == ']' || c == '}') {
        if (*comma != SIZE_MAX) return lf_json_bad_text(t, *comma, "a comma behind the last element; delete it");
        --*depth;
    }
    if (*depth > CJSON_NESTING_LIMIT) return lf_json_bad_text(t, at, "nested too deep");
    if (!strchr(" \t\r\n", c)) *comma = c == ',' ? at : SIZE_MAX;
    return LF_OK;
}

lf_status lf_json_scan_text(lf_json_scan *t) {
    const char *mistaken = lf_mistaken_text(t->s, t->size);
    int depth = 0;
    size_t comma = SIZE_MAX;
    lf_status rc = LF_OK;
    if (mistaken) return lf_fail(t->err, LF_EDATA, "%s: expected JSON, found %s", t->name, mistaken);
    for (size_t i = 0; i < t->size && rc == LF_OK;) {
        const char c = t->s[i];
        if (c == '/' && (t->s[i + 1] == '/' || t->s[i + 1] == '*')) {
            rc = blank_comment(t, &i);
        } else if (c == '"') {
            comma = SIZE_MAX;
            rc = scan_string(t, &i);
        } else if ((c == '-' && !foreign_at(t->s, i)) || (c >= '0' && c <= '9')) {
            comma = SIZE_MAX;
            rc = scan_number(t, &i);
        } else {
            rc = check_mark(t, i++, &depth, &comma);
        }
    }
    return rc;
}

/* ---- duplicate keys ----
 * Keys are numbered in the order of the text, so that the place of one is found when it is needed. */

typedef struct numbered_key {
    const char *key;
    size_t number;
} numbered_key;

static int by_key_then_number(const void *a, const void *b) {
    const numbered_key *x = a, *y = b;
    const int c = strcmp(x->key, y->key);
    return c ? c : (x->number > y->number) - (x->number < y->number);
}

static lf_status duplicate_key(const lf_json_scan *t, const numbered_key *k) {
    size_t seen = 0, at = 0;
    for (size_t i = 0; i < t->size;) {
        if (t->s[i] != '"') {
            i++;
            continue;
        }
        at = i;
        if (scan_string(t, &i) != LF_OK) break; /* cannot be: the text was parsed */
        if (t->s[i + strspn(t->s + i, " \t\r\n")] == ':' && seen++ == k->number) break;
    }
    char what[256];
    snprintf(what, sizeof what, "key '%.100s' is there twice; delete one", k->key);
    return lf_json_bad_text(t, at, what);
}

lf_status lf_json_scan_keys(const lf_json_scan *t, const cJSON *node, size_t *counter) {
    numbered_key few[16], *keys = few;
    lf_status rc = LF_OK;
    const cJSON *child;
    size_t n = 0;
    if (cJSON_IsObject(node)) {
        cJSON_ArrayForEach(child, node) n++;
        if (n > sizeof few / sizeof *few && !(keys = lf_malloc(n * sizeof *keys)))
            return lf_no_memory(t->err, "the %zu keys of %s", n, t->name);
        n = 0;
    }
    cJSON_ArrayForEach(child, node) {
        if (cJSON_IsObject(node)) keys[n++] = (numbered_key){child->string, (*counter)++};
        if (child->child && (rc = lf_json_scan_keys(t, child, counter)) != LF_OK) goto out;
    }
    qsort(keys, n, sizeof *keys, by_key_then_number);
    for (size_t i = 1; i < n && rc == LF_OK; i++)
        if (strcmp(keys[i - 1].key, keys[i].key) == 0) rc = duplicate_key(t, &keys[i]);
out:
    if (keys != few) lf_free(keys);
    return rc;
}
