#include "data/class_names.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int64_t lf_class_number(const char *name) {
    const size_t n = strlen(name);
    if (n == 0 || n > 9 || name[strspn(name, "0123456789")] || (n > 1 && name[0] == '0')) return -1;
    return strtoll(name, NULL, 10);
}

static int by_number(const void *a, const void *b) {
    const int64_t x = lf_class_number(*(const char *const *)a), y = lf_class_number(*(const char *const *)b);
    return (x > y) - (x < y);
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

int64_t lf_class_names_sort(const char **names, int64_t n) {
    bool numbers = true;
    for (int64_t i = 0; i < n; i++) numbers = numbers && lf_class_number(names[i]) >= 0;
    if (n) qsort(names, (size_t)n, sizeof *names, numbers ? by_number : by_bytes);
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || strcmp(names[i], names[kept - 1]) != 0) names[kept++] = names[i];
    return kept;
}

int64_t lf_class_names_find(const char *name, const char *const *names, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (!strcmp(names[i], name)) return i;
    return -1;
}
