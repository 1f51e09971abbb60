/* Records that are given in memory, for a program that has them there. Not in formats.def: no file is like that. */
#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "data/text/internal.h"

static lf_status index_records(lf_text_store *s, lf_err *err) {
    const cJSON **at = NULL, *record;
    int64_t room = 0;
    lf_status rc = LF_OK;
    cJSON_ArrayForEach(record, s->given_records) {
        if (!lf_grow(&at, &room, s->n + 1)) {
            rc = lf_no_memory(err, "an index of %s", s->path);
            break;
        }
        at[s->n++] = record;
    }
    s->source = at;
    return rc;
}

static lf_status record(const lf_text_store *s, int64_t i, cJSON **out, lf_err *err) {
    const cJSON *const *at = s->source;
    *out = cJSON_Duplicate(at[i], true);
    return *out ? LF_OK : lf_no_memory(err, "%s[%" PRId64 "]", s->path, i);
}

static void name_of(const lf_text_store *s, int64_t i, char *buf, size_t size) {
    snprintf(buf, size, "%s[%" PRId64 "]", s->path, i);
}

static void close_records(lf_text_store *s) { lf_free(s->source); }

const lf_text_format lf_text_given = {.name = "given",
                                      .own_file = true,
                                      .index = index_records,
                                      .record = record,
                                      .name_of = name_of,
                                      .close = close_records};
