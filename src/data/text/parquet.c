/* Rows of a Parquet file as records. The file is read by src/parquet, not by way of the store's map. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "data/text/internal.h"
#include "parquet/parquet.h"

/* Columns that cannot be fields, in one warning; shards of one data set have the same ones, which are said once. */
static void warn_of_columns(const lf_text_store *s, const lf_parquet *p) {
    enum { ROOM = 600 };
    static char said[ROOM];
    char text[ROOM] = "";
    for (int64_t i = 0; i < lf_parquet_columns(p); i++) {
        const lf_parquet_column *c = lf_parquet_column_at(p, i);
        const size_t used = strlen(text);
        if (c->left_out)
            snprintf(text + used, ROOM - used, "%s'%.60s' (%.120s)", used ? ", " : "", c->name, c->left_out);
    }
    if (!*text || !strcmp(said, text)) return;
    snprintf(said, ROOM, "%s", text);
    lf_warn("%s: columns that are not read: %s", s->path, text);
}

static lf_status index_rows(lf_text_store *s, lf_err *err) {
    lf_parquet *p;
    const lf_status rc = lf_parquet_open(&p, s->path, err);
    if (rc) return rc;
    s->source = p;
    s->n = lf_parquet_rows(p);
    s->bytes = lf_parquet_bytes(p);
    warn_of_columns(s, p);
    return LF_OK;
}

static lf_status record(const lf_text_store *s, int64_t i, cJSON **out, lf_err *err) {
    return lf_parquet_row(s->source, i, out, err);
}

static void name_row(const lf_text_store *s, int64_t i, char *buf, size_t size) {
    snprintf(buf, size, "%s: row %" PRId64, s->path, i);
}

static void close_file(lf_text_store *s) { lf_parquet_close(s->source); }

const lf_text_format lf_text_parquet = {.name = "parquet",
                                        .own_file = true,
                                        .index = index_rows,
                                        .record = record,
                                        .name_of = name_row,
                                        .close = close_file};
