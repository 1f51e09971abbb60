/* Any bytes as a Parquet file: one line of error, or rows and leaves that are one. */
#include <sys/mman.h>
#include <unistd.h>

#include "base/json.h"
#include "fuzz.h"
#include "parquet/parquet.h"

static void check_failure(lf_status rc, const lf_err *err) {
    require((rc == LF_EDATA || rc == LF_ENOMEM) && err->message[0] && !strchr(err->message, '\n'));
}

static void check_row(const lf_parquet *p, int64_t i) {
    cJSON *row = NULL;
    lf_err err = {0};
    const lf_status rc = lf_parquet_row(p, i, &row, &err);
    require((rc == LF_OK) == (row != NULL));
    if (rc) {
        check_failure(rc, &err);
        return;
    }
    char *line = lf_json_print_line(row);
    require(line);
    lf_free(line);
    cJSON_Delete(row);
}

static void check_leaf(const lf_parquet *p, int64_t column, int64_t i) {
    const int64_t leaf = lf_parquet_leaf(p, lf_parquet_column_at(p, column)->name);
    unsigned char *bytes = NULL;
    size_t n;
    int64_t number;
    bool is_null;
    lf_err err = {0};
    lf_status rc = LF_OK;
    if (leaf < 0) return;
    if (lf_parquet_leaf_is_bytes(p, leaf)) rc = lf_parquet_get_bytes(p, leaf, i, &bytes, &n, &err);
    if (lf_parquet_leaf_is_integer(p, leaf)) rc = lf_parquet_get_integer(p, leaf, i, &number, &is_null, &err);
    if (rc) check_failure(rc, &err);
    lf_free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { MOST_ROWS = 40 };
    lf_parquet *p = NULL;
    lf_err err = {0};
    char path[64];
    const int fd = memfd_create("fuzz", 0);
    require(fd >= 0);
    if (size) require(write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    lf_parquet_cache_limit((size_t)1 << (size % 2 ? 8 : 20)); /* pages come and go, or stay */
    const lf_status rc = lf_parquet_open(&p, path, &err);
    require((rc == LF_OK) == (p != NULL));
    if (rc) check_failure(rc, &err);
    for (int64_t i = 0; p && i < lf_parquet_rows(p) && i < MOST_ROWS; i++) {
        check_row(p, i);
        for (int64_t c = 0; c < lf_parquet_columns(p); c++) check_leaf(p, c, i);
    }
    if (p) (void)lf_parquet_features(p);
    if (p) (void)lf_parquet_bytes(p);
    if (p && lf_parquet_rows(p) > MOST_ROWS) check_row(p, lf_parquet_rows(p) - 1);
    lf_parquet_close(p);
    close(fd);
    require(lf_alloc_live() == 0);
    return 0;
}
