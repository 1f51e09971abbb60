#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/mistaken.h"
#include "base/string.h"
#include "base/utf8.h"

/* ---- memory ---- */

static _Thread_local bool exhausted; /* cJSON says NULL for bad text and for no memory alike: this tells which */

static void *json_malloc(size_t size) {
    void *p = lf_malloc(size);
    if (!p) exhausted = true;
    return p;
}

/* Before main: no block may be taken with one allocator's count and given back with the other's. */
__attribute__((constructor)) static void install_hooks(void) {
    cJSON_Hooks hooks = {json_malloc, lf_free};
    cJSON_InitHooks(&hooks);
}

/* ---- checks before cJSON sees the text ----
 * cJSON takes control characters for blanks, bad hex digits in \uXXXX for NUL, and 01 for a number, and does not look
 * at UTF-8. So one pass over the text refuses those, and blanks the comments (newlines stay, for the line numbers). */

typedef struct scan {
    char *s; /* NUL-terminated copy of the text */
    size_t size;
    uint64_t first_line; /* of the text in its file */
    const char *name;
    lf_json_numbers numbers;
    lf_err *err;
} scan;

static lf_status bad_text(const scan *t, size_t at, const char *what) {
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
static lf_status scan_escape(const scan *t, size_t *at) {
    const char *s = t->s + *at;
    const long first = code_unit(s), second = first >= 0xd800 && first < 0xdc00 ? code_unit(s + 6) : -1;
    if (first < 0) return bad_text(t, *at, "\\u is not followed by four hexadecimal digits");
    if (first == 0) return bad_text(t, *at, "\\u0000 in a string is not supported");
    if (first >= 0xd800 && first < 0xe000 && !(second >= 0xdc00 && second < 0xe000)) {
        char what[200];
        snprintf(what, sizeof what,
                 "%.6s is half of a character (such as an emoji) whose other half is missing; was the text cut in the "
                 "middle of it? cut it between characters, or delete the half",
                 s);
        return bad_text(t, *at, what);
    }
    *at += second >= 0 ? 12 : 6;
    return LF_OK;
}

/* *at is a quote; moves it behind the closing one. */
static lf_status scan_string(const scan *t, size_t *at) {
    const size_t begin = *at;
    for (size_t i = begin + 1; i < t->size;) {
        const char *s = t->s + i;
        if (*s == '"') {
            *at = i + 1;
            return LF_OK;
        }
        if (*s == '\n') return bad_text(t, begin, "the string that begins here is not closed on its line");
        if ((unsigned char)*s < 0x20) return bad_text(t, i, "control character in a string; write it as \\uXXXX");
        if (*s == '\\' && s[1] == 'u') {
            const lf_status rc = scan_escape(t, &i);
            if (rc) return rc;
        } else if (*s == '\\') {
            i += 2; /* which letters may follow is cJSON's to check */
        } else {
            uint32_t ignored;
            const size_t n = lf_utf8_next(s, t->size - i, &ignored);
            if (n == 0) return bad_text(t, i, "not UTF-8; save the file as UTF-8");
            i += n;
        }
    }
    return bad_text(t, begin, "the string that begins here is not closed");
}

static lf_status scan_number(scan *t, size_t *at) {
    size_t size;
    bool no_memory;
    const char *wrong = lf_json_scan_number(&t->numbers, t->s, *at, &size, &no_memory);
    if (no_memory) return lf_no_memory(t->err, "the numbers of %s", t->name);
    if (wrong) return bad_text(t, *at, wrong);
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
static lf_status blank_comment(const scan *t, size_t *at) {
    char *const begin = t->s + *at, *end;
    if (begin[1] == '/') {
        end = begin + strcspn(begin, "\n");
    } else {
        end = strstr(begin + 2, "*/");
        if (!end) return bad_text(t, *at, "the comment that begins here is not closed");
        end += 2;
    }
    for (char *s = begin; s < end; s++)
        if (*s != '\n') *s = ' ';
    *at = (size_t)(end - t->s);
    return LF_OK;
}

/* A character outside of strings, numbers and comments; *comma: where the last one was a comma, else SIZE_MAX. */
static lf_status check_mark(const scan *t, size_t at, int *depth, size_t *comma) {
    const char c = t->s[at];
    const char *wrong = strchr(" \t\r\n,:[]{}", c) ? NULL : foreign_at(t->s, at);
    if (wrong) return bad_text(t, at, wrong);
    if ((unsigned char)c < 0x20 && c != '\n' && c != '\r' && c != '\t')
        return bad_text(t, at, "control character; is this a text file?");
    if (c == '[' || c == '{') ++*depth;
    if (c == ']' || c == '}') {
        if (*comma != SIZE_MAX) return bad_text(t, *comma, "a comma behind the last element; delete it");
        --*depth;
    }
    if (*depth > CJSON_NESTING_LIMIT) return bad_text(t, at, "nested too deep");
    if (!strchr(" \t\r\n", c)) *comma = c == ',' ? at : SIZE_MAX;
    return LF_OK;
}

static lf_status check_text(scan *t) {
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

static lf_status duplicate_key(const scan *t, const numbered_key *k) {
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
    return bad_text(t, at, what);
}

static lf_status check_keys(const scan *t, const cJSON *node, size_t *counter) {
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
        if (child->child && (rc = check_keys(t, child, counter)) != LF_OK) goto out;
    }
    qsort(keys, n, sizeof *keys, by_key_then_number);
    for (size_t i = 1; i < n && rc == LF_OK; i++)
        if (strcmp(keys[i - 1].key, keys[i].key) == 0) rc = duplicate_key(t, &keys[i]);
out:
    if (keys != few) lf_free(keys);
    return rc;
}

/* ---- reading ---- */

static lf_status parse_checked(cJSON **out, const scan *t) {
    const char *end = NULL;
    exhausted = false;
    *out = cJSON_ParseWithLengthOpts(t->s, t->size + 1, &end, true);
    if (*out) return LF_OK;
    if (exhausted) return lf_no_memory(t->err, "the %zu bytes of JSON in %s", t->size, t->name);
    if (t->s[strspn(t->s, " \t\r\n")] == 0) return lf_fail(t->err, LF_EDATA, "%s: empty; expected JSON", t->name);
    const size_t at = end ? (size_t)(end - t->s) : 0;
    return bad_text(t, at, "invalid JSON; is a comma, quote or bracket missing or one too many?");
}

lf_status lf_json_parse_at(cJSON **out, const char *text, size_t size, const char *name, uint64_t first_line,
                           lf_err *err) {
    scan t = {.size = size, .first_line = first_line, .name = name, .err = err};
    cJSON *json = NULL;
    size_t counter = 0;
    lf_status rc;
    *out = NULL;
    if (!(t.s = size < SIZE_MAX ? lf_malloc(size + 1) : NULL))
        return lf_no_memory(err, "the %zu bytes of JSON in %s", size, name);
    if (size > 0) memcpy(t.s, text, size);
    t.s[size] = 0;
    if ((rc = check_text(&t)) || (rc = parse_checked(&json, &t)) || (rc = check_keys(&t, json, &counter))) goto out;
    if (!lf_json_keep_numbers(&t.numbers, text, json)) {
        rc = lf_no_memory(err, "the numbers of %s", name);
        goto out;
    }
    *out = json;
    json = NULL;
out:
    cJSON_Delete(json);
    lf_free(t.numbers.at);
    lf_free(t.s);
    return rc;
}

lf_status lf_json_parse(cJSON **out, const char *text, size_t size, const char *name, lf_err *err) {
    return lf_json_parse_at(out, text, size, name, 1, err);
}

lf_status lf_json_read(cJSON **out, const char *path, lf_err *err) {
    char *text = NULL;
    size_t size = 0;
    *out = NULL;
    lf_status rc = lf_file_read(&text, &size, path, err);
    if (rc == LF_OK) rc = lf_json_parse(out, text, size, path, err);
    lf_free(text);
    return rc;
}

lf_status lf_json_read_in(cJSON **out, const char *dir, const char *name, lf_err *err) {
    *out = NULL;
    char *path = lf_path_join(dir, name);
    const lf_status rc = path ? lf_json_read(out, path, err) : lf_no_memory(err, "%s", dir);
    lf_free(path);
    return rc;
}

/* ---- typed members ---- */

static void found_number(char *buf, size_t size, const cJSON *item) {
    const char *exact = lf_json_long_integer(item);
    if (exact)
        snprintf(buf, size, "%.60s", exact);
    else
        snprintf(buf, size, "%.17g", item->valuedouble);
}

static lf_status wrong_type(const cJSON *item, const char *key, const char *expected, const char *name, lf_err *err) {
    char found[64] = "nothing";
    if (cJSON_IsString(item))
        snprintf(found, sizeof found, "\"%.50s\"", item->valuestring);
    else if (cJSON_IsNumber(item))
        found_number(found, sizeof found, item);
    else if (cJSON_IsBool(item))
        snprintf(found, sizeof found, "%s", cJSON_IsTrue(item) ? "true" : "false");
    else if (cJSON_IsObject(item))
        snprintf(found, sizeof found, "an object");
    else if (cJSON_IsArray(item))
        snprintf(found, sizeof found, "a list");
    return lf_fail(err, LF_EDATA, "%s: key '%.100s': expected %s, found %s", name, key, expected, found);
}

/* *out = NULL if absent or null. */
static lf_status member(const cJSON **out, const cJSON *o, const char *key, const char *name, lf_err *err) {
    *out = NULL;
    if (o && !cJSON_IsObject(o)) return lf_fail(err, LF_EDATA, "%s: expected an object with key '%s'", name, key);
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);
    if (!cJSON_IsNull(item)) *out = item;
    return LF_OK;
}

lf_status lf_json_get_i64(const cJSON *o, const char *key, int64_t fallback, int64_t *out, const char *name,
                          lf_err *err) {
    const cJSON *item;
    const lf_status rc = member(&item, o, key, name, err);
    *out = fallback;
    if (rc || !item) return rc;
    return lf_json_exact_i64(item, out) ? LF_OK : wrong_type(item, key, "an integer of 64 bits", name, err);
}

lf_status lf_json_get_f64(const cJSON *o, const char *key, double fallback, double *out, const char *name,
                          lf_err *err) {
    const cJSON *item;
    const lf_status rc = member(&item, o, key, name, err);
    *out = fallback;
    if (rc || !item) return rc;
    if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble))
        return wrong_type(item, key, "a finite number", name, err);
    *out = item->valuedouble;
    return LF_OK;
}

lf_status lf_json_get_bool(const cJSON *o, const char *key, bool fallback, bool *out, const char *name, lf_err *err) {
    const cJSON *item;
    const lf_status rc = member(&item, o, key, name, err);
    *out = fallback;
    if (rc || !item) return rc;
    if (!cJSON_IsBool(item)) return wrong_type(item, key, "true or false", name, err);
    *out = cJSON_IsTrue(item);
    return LF_OK;
}

lf_status lf_json_get_str(const cJSON *o, const char *key, const char *fallback, const char **out, const char *name,
                          lf_err *err) {
    const cJSON *item;
    const lf_status rc = member(&item, o, key, name, err);
    *out = fallback;
    if (rc || !item) return rc;
    if (!cJSON_IsString(item)) return wrong_type(item, key, "a string", name, err);
    *out = item->valuestring;
    return LF_OK;
}

/* ---- printing ----
 * Not cJSON's printer: it takes two doubles that differ in the last bit for the same number, and sorts no keys. */

typedef struct printer {
    lf_string text;
    bool sort_keys, lines;
    int depth;
} printer;

static void put(printer *p, const char *s, size_t n) { lf_string_put(&p->text, s, n); }
static void put_text(printer *p, const char *s) { put(p, s, strlen(s)); }

static void put_newline(printer *p) {
    if (!p->lines) return;
    put_text(p, "\n");
    for (int i = 0; i < p->depth; i++) put_text(p, "  ");
}

static void put_string_n(printer *p, const char *s, size_t n) {
    const char *const end = s + n;
    static const char *const letters = "\b\f\n\r\t\"\\", *const escapes[] = {"\\b", "\\f",  "\\n", "\\r",
                                                                             "\\t", "\\\"", "\\\\"};
    put_text(p, "\"");
    while (s < end) {
        size_t plain = 0;
        while (s + plain < end && (unsigned char)s[plain] >= 0x20 && s[plain] != '"' && s[plain] != '\\') plain++;
        put(p, s, plain);
        s += plain;
        if (s == end) break;
        const char *known = *s ? strchr(letters, *s) : NULL;
        char code[8];
        snprintf(code, sizeof code, "\\u%04x", (unsigned)(unsigned char)*s);
        put_text(p, known ? escapes[known - letters] : code);
        s++;
    }
    put_text(p, "\"");
}

static void put_string(printer *p, const char *s) { put_string_n(p, s, strlen(s)); }

static void put_number(printer *p, const cJSON *item) {
    char text[40];
    const double d = item->valuedouble;
    const char *exact = lf_json_long_integer(item);
    if (exact) {
        put_text(p, exact);
        return;
    }
    if (!isfinite(d)) {
        put_text(p, "null");
        return;
    }
    if (fabs(d) <= 0x1p53 && d == floor(d)) {
        snprintf(text, sizeof text, "%.0f", d);
    } else {
        for (int digits = 15; digits <= 17; digits++) {
            snprintf(text, sizeof text, "%.*g", digits, d);
            if (strtod(text, NULL) == d) break;
        }
    }
    put_text(p, text);
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(const cJSON *const *)a)->string, (*(const cJSON *const *)b)->string);
}

static void put_value(printer *p, const cJSON *v);

static void put_children(printer *p, const cJSON *parent) {
    const size_t n = (size_t)cJSON_GetArraySize(parent);
    const cJSON **children = lf_malloc(n * sizeof *children), *child;
    size_t i = 0;
    if (!children) {
        p->text.failed = true;
        return;
    }
    cJSON_ArrayForEach(child, parent) children[i++] = child;
    const bool object = cJSON_IsObject(parent);
    if (object && p->sort_keys) qsort(children, n, sizeof(const cJSON *), by_name);
    put_text(p, object ? "{" : "[");
    p->depth++;
    for (i = 0; i < n && !p->text.failed; i++) {
        if (i > 0) put_text(p, p->lines ? "," : ", ");
        put_newline(p);
        if (object) {
            put_string(p, children[i]->string);
            put_text(p, ": ");
        }
        put_value(p, children[i]);
    }
    p->depth--;
    if (n > 0) put_newline(p);
    put_text(p, object ? "}" : "]");
    lf_free(children);
}

static void put_value(printer *p, const cJSON *v) {
    if (cJSON_IsObject(v) || cJSON_IsArray(v))
        put_children(p, v);
    else if (cJSON_IsString(v))
        put_string(p, v->valuestring);
    else if (cJSON_IsNumber(v))
        put_number(p, v);
    else if (cJSON_IsRaw(v))
        put_text(p, v->valuestring);
    else
        put_text(p, cJSON_IsTrue(v) ? "true" : cJSON_IsFalse(v) ? "false" : "null");
}

static char *print(printer p, const cJSON *json) {
    put_value(&p, json);
    if (p.lines) put_text(&p, "\n");
    return lf_string_take(&p.text);
}

char *lf_json_print(const cJSON *json, bool sort_keys) {
    return print((printer){.sort_keys = sort_keys, .lines = true}, json);
}

char *lf_json_print_line(const cJSON *json) { return print((printer){.lines = false}, json); }

lf_status lf_json_write(const char *path, const cJSON *json, bool sort_keys, lf_err *err) {
    char *text = json ? lf_json_print(json, sort_keys) : NULL;
    const lf_status rc = text ? lf_file_write(path, text, strlen(text), err) : lf_no_memory(err, "%s", path);
    lf_free(text);
    return rc;
}

lf_status lf_json_write_in(const char *dir, const char *name, const cJSON *json, bool sort_keys, lf_err *err) {
    char *path = lf_path_join(dir, name);
    const lf_status rc = path ? lf_json_write(path, json, sort_keys, err) : lf_no_memory(err, "%s", dir);
    lf_free(path);
    return rc;
}

lf_status lf_json_write_line(FILE *out, cJSON *json, lf_err *err) {
    char *text = json ? lf_json_print_line(json) : NULL;
    if (text) fprintf(out, "%s\n", text);
    lf_free(text);
    cJSON_Delete(json);
    return text ? LF_OK : lf_no_memory(err, "a line of JSON");
}

bool lf_json_same(bool *same, const cJSON *a, const cJSON *b) {
    *same = false;
    if (!a || !b) return true;
    char *x = lf_json_print(a, true), *y = lf_json_print(b, true);
    const bool ok = x && y;
    *same = ok && strcmp(x, y) == 0;
    lf_free(x);
    lf_free(y);
    return ok;
}

cJSON *lf_json_create_text(const char *s, size_t n) {
    printer p = {.lines = false};
    put_string_n(&p, s, n);
    cJSON *json = p.text.failed ? NULL : cJSON_CreateRaw(p.text.s);
    lf_string_free(&p.text);
    return json;
}
