/* One safetensors file, for those that read it alone or as a shard of many (safetensors.c). Inside of the folder. */
#ifndef LF_IO_SAFETENSORS_FILE_H
#define LF_IO_SAFETENSORS_FILE_H

#include <cjson/cJSON.h>

#include "base/mapping.h"
#include "io/safetensors.h"

typedef struct lf_st_file {
    char *path;
    const lf_mapping *map;
    lf_file_state known; /* in which its bytes are known to be those of the mapping */
    uint64_t data_begin, data_size;
    cJSON *header;         /* holds the tensors' names */
    lf_st_tensor *tensors; /* in name order */
    int64_t n;
} lf_st_file;

/* Maps it and reads its header: every tensor has a known dtype and a place, and together they cover the data without
 * gap or overlap. *f is zeroed; whatever happens, lf_st_file_close ends it. */
lf_status lf_st_file_open(lf_st_file *f, const char *path, lf_err *err);
void lf_st_file_close(lf_st_file *f);
void lf_st_sort(lf_st_tensor *tensors, int64_t n); /* by name */
/* Of n tensors in name order; NULL: there is none of that name. */
const lf_st_tensor *lf_st_find(const lf_st_tensor *tensors, int64_t n, const char *name);

#endif
