#define _POSIX_C_SOURCE 200809L
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "parquet/internal.h"

static lf_status map(lf_parquet *p, int fd, lf_err *err) {
    struct stat st;
    if (fstat(fd, &st)) return lf_fail_errno(err, "read", p->path);
    if (!S_ISREG(st.st_mode))
        return lf_fail(err, LF_EDATA, "%s: expected a file; a pipe or device cannot be read in any order", p->path);
    if (st.st_size == 0) return lf_fail(err, LF_EDATA, "%s: the file is empty; expected Parquet", p->path);
    const lf_status rc = lf_mapping_open(&p->mapping, fd, p->path, err);
    if (rc) return rc;
    p->map = p->mapping->data;
    p->size = p->mapping->size;
    return LF_OK;
}

lf_status lf_parquet_open(lf_parquet **out, const char *path, lf_err *err) {
    *out = NULL;
    const int fd = lf_open_to_read(path);
    if (fd < 0) return lf_fail_errno(err, "open", path);
    lf_parquet *p = lf_calloc(1, sizeof *p);
    lf_status rc = p ? LF_OK : lf_no_memory(err, "%s", path);
    if (p) {
        p->arena = lf_arena_new();
        p->path = p->arena ? lf_arena_strdup(p->arena, path) : NULL;
        rc = p->path ? map(p, fd, err) : lf_no_memory(err, "%s", path);
    }
    close(fd);
    if (!rc) rc = lf_pq_footer_read(p, err);
    if (rc)
        lf_parquet_close(p);
    else
        *out = p;
    return rc;
}

void lf_parquet_close(lf_parquet *p) {
    if (!p) return;
    for (int64_t g = 0; g < p->n_groups; g++)
        for (int i = 0; i < p->n_leaves; i++) lf_pq_chunk_free(&p->groups[g].chunks[i]);
    cJSON_Delete(p->features_of);
    lf_mapping_close(p->mapping);
    lf_arena_free(p->arena);
    lf_free(p);
}

int64_t lf_parquet_rows(const lf_parquet *p) { return p->n_rows; }
uint64_t lf_parquet_bytes(const lf_parquet *p) { return p->unpacked; }
int64_t lf_parquet_columns(const lf_parquet *p) { return p->n_columns; }
const lf_parquet_column *lf_parquet_column_at(const lf_parquet *p, int64_t i) { return &p->columns[i]; }

const cJSON *lf_parquet_features(const lf_parquet *p) {
    const cJSON *info = cJSON_GetObjectItemCaseSensitive(p->features_of, "info");
    return cJSON_GetObjectItemCaseSensitive(info, "features");
}
