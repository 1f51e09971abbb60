#include "library/records.h"

#include <string.h>

#include "base/obj.h"
#include "base/utf8.h"

static lf_status put_text(lf_obj *record, const char *name, const char *text, int64_t i, lf_err *err) {
    const size_t n = strlen(text), at = lf_utf8_invalid(text, n);
    if (at < n)
        return lf_fail(err, LF_EDATA, "texts[%lld]: not UTF-8: byte 0x%02x at offset %zu", (long long)i,
                       (unsigned char)text[at], at);
    lf_obj_put(record, name, cJSON_CreateString(text));
    return LF_OK;
}

static lf_status put_record(lf_obj *list, const lf_text *t, bool pair, int64_t i, const lf_record_names *names,
                            lf_err *err) {
    if (!t->text) return lf_fail(err, LF_EUSAGE, "texts[%lld]: there is no text", (long long)i);
    if (!t->second == pair)
        return lf_fail(err, LF_EUSAGE, "texts[%lld]: there is %s second text, unlike texts[0]", (long long)i,
                       pair ? "no" : "a");
    lf_obj record = lf_obj_new();
    lf_status rc = put_text(&record, pair ? names->first : names->alone, t->text, i, err);
    if (!rc && pair) rc = put_text(&record, names->second, t->second, i, err);
    lf_list_put(list, lf_obj_take(&record));
    return rc;
}

lf_status lf_records_of(cJSON **out, const lf_text *texts, int64_t n, const lf_record_names *names, lf_err *err) {
    lf_obj list = lf_list_new();
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < n && !rc; i++) rc = put_record(&list, &texts[i], texts[0].second, i, names, err);
    *out = lf_obj_take(&list);
    return rc || *out ? rc : lf_no_memory(err, "%lld texts", (long long)n);
}
