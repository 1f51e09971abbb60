/* Rows of a Parquet file as records. The file is read by src/parquet, not by way of the store's map. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
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

/* The name of class k in place of its number; null where the number is none of a class, as -1 is not. */
static cJSON *class_name(const cJSON *names, int64_t k) {
    const cJSON *name = k >= 0 && k < cJSON_GetArraySize(names) ? cJSON_GetArrayItem(names, (int)k) : NULL;
    return cJSON_IsString(name) ? cJSON_CreateString(name->valuestring) : cJSON_CreateNull();
}

/* The classes of a list by their names; NULL: out of memory. */
static cJSON *class_list(const cJSON *names, const cJSON *list) {
    cJSON *out = cJSON_CreateArray();
    const cJSON *v;
    int64_t k;
    cJSON_ArrayForEach(v, list) {
        cJSON *name = lf_json_exact_i64(v, &k) ? class_name(names, k) : cJSON_Duplicate(v, true);
        if (out && name && cJSON_AddItemToArray(out, name)) continue;
        cJSON_Delete(name);
        cJSON_Delete(out);
        return NULL;
    }
    return out;
}

/* Classes by their names, as text means them. The number stays where it says which choice is right, and until the
 * layout is known. */
static lf_status name_classes(const lf_text_store *s, cJSON *row, lf_err *err) {
    const cJSON *feature;
    cJSON_ArrayForEach(feature, lf_parquet_features(s->source)) {
        const cJSON *names = cJSON_GetObjectItemCaseSensitive(feature, "names");
        const cJSON *inner = cJSON_GetObjectItemCaseSensitive(feature, "feature"); /* of a list */
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(row, feature->string);
        int64_t k = -1;
        const bool list = cJSON_IsArray(value) && cJSON_IsObject(inner);
        if (list) names = cJSON_GetObjectItemCaseSensitive(inner, "names");
        if (!cJSON_IsArray(names) || (!list && !(cJSON_IsNumber(value) && lf_json_exact_i64(value, &k)))) continue;
        if (lf_text_layout_answered_by(s->layout, feature->string)) continue;
        cJSON *named = list ? class_list(names, value) : class_name(names, k);
        if (!named || !cJSON_ReplaceItemInObjectCaseSensitive(row, feature->string, named)) {
            cJSON_Delete(named);
            return lf_no_memory(err, "a row of %s", s->path);
        }
    }
    return LF_OK;
}

static lf_status record(const lf_text_store *s, int64_t i, cJSON **out, lf_err *err) {
    lf_status rc = lf_parquet_row(s->source, i, out, err);
    if (rc || !s->layout || !(rc = name_classes(s, *out, err))) return rc;
    cJSON_Delete(*out);
    *out = NULL;
    return rc;
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
