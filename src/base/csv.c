#include "base/csv.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_number(const char *text) {
    char *end;
    (void)strtod(text, &end);
    return end > text && !*end;
}

static bool is_formula(const char *text) { return text[0] && strchr("=+-@\t\r", text[0]) && !is_number(text); }

void lf_csv_text(FILE *f, const char *text) {
    const bool quoted = strpbrk(text, ",\"\r\n") != NULL;
    if (quoted) fputc('"', f);
    if (is_formula(text)) fputc('\'', f);
    for (; *text; text++) {
        if (*text == '"') fputc('"', f);
        fputc(*text, f);
    }
    if (quoted) fputc('"', f);
}
