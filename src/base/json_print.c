/* JSON as it is printed. Not cJSON's printer: it takes two doubles that differ in the last bit for the same number, and
 * sorts no keys. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/plain.h"
#include "base/string.h"

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
    *same = a == b;
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

void lf_make_json_plain(cJSON *json) {
    cJSON *item;
    if (cJSON_IsString(json)) lf_make_plain(json->valuestring);
    if (json && json->string && !(json->type & cJSON_StringIsConst)) lf_make_plain(json->string);
    cJSON_ArrayForEach(item, json) lf_make_json_plain(item);
}
