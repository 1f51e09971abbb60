/* Names of classes, each once: where a name stands among them, found by its hash. The names are the caller's. */
#ifndef LF_DATA_LABEL_TABLE_H
#define LF_DATA_LABEL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lf_label_table {
    int32_t *slots; /* numbers of names, -1: free; freed by lf_free */
    size_t size;    /* a power of two; 0: there is no table yet */
} lf_label_table;

/* Makes the table one of names[n], with room for n more. False: out of memory, and it is as it was. */
bool lf_label_table_fill(lf_label_table *t, const char *const *names, int64_t n);
/* A name's slot: its number, or free, where it would be. */
int32_t *lf_label_table_at(const lf_label_table *t, const char *const *names, const char *name);

#endif
