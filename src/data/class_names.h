/* What the classes of a data set are called, and the numbers that go with the names. */
#ifndef LF_DATA_CLASS_NAMES_H
#define LF_DATA_CLASS_NAMES_H

#include <stdint.h>

/* Sorted, each once; returns how many. By number if all of them are, else by bytes. */
int64_t lf_class_names_sort(const char **names, int64_t n);
int64_t lf_class_names_find(const char *name, const char *const *names, int64_t n); /* -1: not among them */
/* "0", "1", ... "999999999"; -1: another name ("01" among them). */
int64_t lf_class_number(const char *name);

#endif
