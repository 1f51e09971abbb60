/* The numbers of which a double does not say all are noted while the text is scanned, and their text is kept in the
 * item: in valuestring, which cJSON uses for strings alone, copies with the item and frees. */
#include "base/json_number.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
    PLAIN_DIGITS = 15, /* an integer of that many is a double */
    CJSON_LONGEST = 63 /* characters, of a number that cJSON parses */
};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* ---- scanning ---- */

/* Bytes of the number that begins at s, as JSON writes them; 0: it is none. */
static size_t number_size(const char *s, bool *is_float) {
    const char *const begin = s;
    if (*s == '-') s++;
    bool good = is_digit(*s);
    *is_float = false;
    if (*s == '0')
        s++;
    else
        while (is_digit(*s)) s++;
    if (*s == '.') {
        *is_float = true;
        good = good && is_digit(*++s);
        while (is_digit(*s)) s++;
    }
    if (*s == 'e' || *s == 'E') {
        *is_float = true;
        s++;
        if (*s == '+' || *s == '-') s++;
        good = good && is_digit(*s);
        while (is_digit(*s)) s++;
    }
    return good && !(*s && strchr("0123456789+-.eE", *s)) ? (size_t)(s - begin) : 0;
}

const char *lf_json_scan_number(lf_json_numbers *numbers, char *text, size_t at, size_t *size, bool *no_memory) {
    bool is_float;
    char *const s = text + at;
    const size_t n = *size = number_size(s, &is_float), number = numbers->count++;
    *no_memory = false;
    if (!n) return "not a number as JSON writes it";
    if (!is_float && n <= PLAIN_DIGITS) return NULL;
    if (!is_float && n > LF_JSON_DIGITS)
        return "an integer of more than 4300 digits, which Python does not read either";
    const double d = strtod(s, NULL);
    if (is_float && isinf(d)) return "a number beyond the range of a double (1.8e308), which would be read as infinity";
    const bool said = is_float ? d != floor(d) : fabs(d) < 0x1p53;
    if (said && n <= CJSON_LONGEST) return NULL;
    if (!lf_grow(&numbers->at, &numbers->capacity, numbers->n + 1)) {
        *no_memory = true;
        return "memory";
    }
    numbers->at[numbers->n++] = (lf_json_noted){at, n, number};
    if (n > CJSON_LONGEST) { /* a stand-in: the value is set below */
        memset(s, ' ', n);
        *s = '0';
    }
    return NULL;
}

/* ---- keeping ---- */

static bool keep_below(const lf_json_numbers *numbers, const char *text, cJSON *item, size_t *seen, size_t *next) {
    cJSON *child;
    if (*next == numbers->n) return true;
    if (cJSON_IsNumber(item) && numbers->at[*next].number == (*seen)++) {
        const lf_json_noted *one = &numbers->at[(*next)++];
        if (!(item->valuestring = lf_copy_text(text + one->at, one->size))) return false;
        item->valuedouble = strtod(item->valuestring, NULL);
    }
    cJSON_ArrayForEach(child, item) if (!keep_below(numbers, text, child, seen, next)) return false;
    return true;
}

bool lf_json_keep_numbers(const lf_json_numbers *numbers, const char *text, cJSON *json) {
    size_t seen = 0, next = 0;
    return keep_below(numbers, text, json, &seen, &next);
}

/* ---- asking ---- */

static bool written_as_float(const cJSON *item) { return item->valuestring[strcspn(item->valuestring, ".eE")]; }

const char *lf_json_long_integer(const cJSON *item) {
    return cJSON_IsNumber(item) && item->valuestring && !written_as_float(item) ? item->valuestring : NULL;
}

bool lf_json_is_float(const cJSON *item) {
    if (!cJSON_IsNumber(item)) return false;
    return item->valuestring ? written_as_float(item) : item->valuedouble != floor(item->valuedouble);
}

void lf_json_keep_floats(cJSON *json) {
    cJSON *child;
    if (lf_json_is_float(json) && json->valuestring) json->type = (json->type & ~0xFF) | cJSON_Raw;
    cJSON_ArrayForEach(child, json) lf_json_keep_floats(child);
}

bool lf_json_exact_i64(const cJSON *item, int64_t *out) {
    const char *text = lf_json_long_integer(item);
    if (text) {
        errno = 0;
        const long long exact = strtoll(text, NULL, 10);
        if (errno) return false;
        *out = exact;
        return true;
    }
    if (!cJSON_IsNumber(item) || !(fabs(item->valuedouble) <= 0x1p53)) return false;
    const int64_t i = (int64_t)item->valuedouble;
    if ((double)i != item->valuedouble) return false;
    *out = i;
    return true;
}

/* ---- as Python prints ---- */

size_t lf_float_repr(char out[40], double f) {
    char digits[32], *e;
    int precision = 0;
    if (isnan(f)) return (size_t)snprintf(out, 40, "nan");
    if (isinf(f)) return (size_t)snprintf(out, 40, f < 0 ? "-inf" : "inf");
    do snprintf(digits, sizeof digits, "%.*e", precision, f);
    while (strtod(digits, &e) != f && ++precision < 17);
    const int exponent = atoi(strchr(digits, 'e') + 1);
    if (exponent >= -4 && exponent < 16) {
        const int places = precision - exponent;
        return (size_t)snprintf(out, 40, "%.*f", places > 1 ? places : 1, f);
    }
    return (size_t)snprintf(out, 40, "%s", digits); /* C writes exponents as Python does */
}

bool lf_json_put_number(lf_string *out, const cJSON *number) {
    char text[40];
    const char *exact = lf_json_long_integer(number);
    if (exact) return lf_string_put(out, exact, strlen(exact));
    if (lf_json_is_float(number)) return lf_string_put(out, text, lf_float_repr(text, number->valuedouble));
    return lf_string_add(out, "%.0f", number->valuedouble + 0.0); /* -0 is the integer 0 */
}

bool lf_json_put_value(lf_string *out, const cJSON *value) {
    if (cJSON_IsString(value)) {
        lf_string_put(out, value->valuestring, strlen(value->valuestring));
        return true;
    }
    if (cJSON_IsNumber(value)) {
        lf_json_put_number(out, value);
        return true;
    }
    if (!cJSON_IsBool(value)) return false;
    lf_string_add(out, "%s", cJSON_IsTrue(value) ? "true" : "false");
    return true;
}
