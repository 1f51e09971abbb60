/* Values of keys as cells of a table, and their order. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "report/gather/gather.h"

/* ---- text ---- */

/* A character of several bytes is there whole or not at all. */
static void copy_text(char *text, size_t size, const char *from) {
    size_t n = strlen(from);
    if (n >= size) {
        n = size - 1;
        while (n > 0 && ((unsigned char)from[n] & 0xc0) == 0x80) n--;
    }
    memcpy(text, from, n);
    text[n] = 0;
}

void lf_number_text(char *text, size_t size, double x) {
    char number[40];
    if (fabs(x) <= 0x1p53 && x == floor(x))
        snprintf(number, sizeof number, "%.0f", x == 0 ? 0 : x);
    else
        for (int digits = 15; digits <= 17; digits++) {
            snprintf(number, sizeof number, "%.*g", digits, x);
            if (strtod(number, NULL) == x) break;
        }
    copy_text(text, size, number);
}

void lf_value_text(char *text, size_t size, const cJSON *value) {
    if (size == 0) return;
    text[0] = 0;
    if (!value || cJSON_IsNull(value)) return;
    if (cJSON_IsString(value))
        copy_text(text, size, value->valuestring);
    else if (cJSON_IsNumber(value))
        lf_number_text(text, size, value->valuedouble);
    else {
        char *line = lf_json_print_line(value);
        copy_text(text, size, line ? line : "(no memory)");
        lf_free(line);
    }
}

/* ---- order ---- */

enum { NOTHING, TRUTH, NUMBER, TEXT, LIST, OBJECT };

static int kind_of(const cJSON *v) {
    if (!v || cJSON_IsNull(v) || cJSON_IsInvalid(v)) return NOTHING;
    if (cJSON_IsBool(v)) return TRUTH;
    if (cJSON_IsNumber(v)) return NUMBER;
    if (cJSON_IsArray(v)) return LIST;
    return cJSON_IsObject(v) ? OBJECT : TEXT;
}

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

int lf_value_compare(const cJSON *a, const cJSON *b) {
    const int kind = kind_of(a), other = kind_of(b);
    if (kind != other) return COMPARE(kind, other);
    switch (kind) {
    case NOTHING: return 0;
    case TRUTH: return COMPARE(cJSON_IsTrue(a), cJSON_IsTrue(b));
    case NUMBER: return COMPARE(a->valuedouble, b->valuedouble);
    case TEXT: return strcmp(a->valuestring, b->valuestring);
    default: break;
    }
    /* Not cJSON_Compare: it has no order, and its time doubles with every level of nesting. */
    const cJSON *x = a->child, *y = b->child;
    for (; x && y; x = x->next, y = y->next) {
        int c = kind == OBJECT ? strcmp(x->string, y->string) : 0;
        if (!c) c = lf_value_compare(x, y);
        if (c) return c;
    }
    return (x != NULL) - (y != NULL);
}
