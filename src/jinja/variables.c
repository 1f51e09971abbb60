/* What a run is given: the public functions that make values. */
#include <string.h>

#include "base/json_number.h"
#include "jinja/internal.h"

static lf_jinja_value *boxed(lf_jinja_run *r, lf_jval v) {
    lf_jinja_value *p = lf_jtake(r, sizeof *p);
    if (p) *p = v;
    return p;
}

lf_jinja_value *lf_jinja_none(lf_jinja_run *r) { return boxed(r, lf_jnone()); }
lf_jinja_value *lf_jinja_bool(lf_jinja_run *r, bool b) { return boxed(r, lf_jbool(b)); }
lf_jinja_value *lf_jinja_list(lf_jinja_run *r) { return boxed(r, lf_jseq_new(r, LF_J_LIST)); }
lf_jinja_value *lf_jinja_dict(lf_jinja_run *r) { return boxed(r, lf_jdict_new(r)); }

static lf_jval text_of(lf_jinja_run *r, const char *s, size_t n, int32_t origin) {
    lf_jbuilder b = {.r = r};
    lf_jb_put_of(&b, s, n, (lf_jinja_span){.origin = origin});
    return lf_jb_value(&b);
}

lf_jinja_value *lf_jinja_text(lf_jinja_run *r, const char *s, size_t n, int32_t origin) {
    return boxed(r, text_of(r, s, n, origin));
}

/* What is missing fails the run, once. */
static bool there(lf_jinja_run *r, const lf_jinja_value *a, const lf_jinja_value *b) {
    if (!a || !b) lf_jno_memory(r);
    return !lf_jstop(r);
}

lf_jinja_value *lf_jinja_add(lf_jinja_run *r, lf_jinja_value *list, const lf_jinja_value *v) {
    if (!there(r, list, v)) return NULL;
    lf_jseq_add(r, list->q, *v);
    return list;
}

lf_jinja_value *lf_jinja_put(lf_jinja_run *r, lf_jinja_value *dict, const char *key, const lf_jinja_value *v) {
    if (!there(r, dict, v)) return NULL;
    lf_jdict_put(r, dict->d, lf_jliteral(r, key), *v);
    return dict;
}

void lf_jinja_set(lf_jinja_run *r, const char *name, const lf_jinja_value *v) {
    if (there(r, v, v)) lf_jdict_put(r, &r->variables, lf_jliteral(r, name), *v);
}

void lf_jinja_set_now(lf_jinja_run *r, const struct tm *now) {
    r->now = *now;
    r->has_now = true;
}

static lf_jval json_value(lf_jinja_run *r, const cJSON *json, int32_t origin);

static lf_jval json_children(lf_jinja_run *r, const cJSON *json, int32_t origin) {
    const bool object = cJSON_IsObject(json);
    lf_jval v = object ? lf_jdict_new(r) : lf_jseq_new(r, LF_J_LIST);
    const cJSON *item;
    if (!lf_jenter(r)) return v;
    cJSON_ArrayForEach(item, json) {
        const lf_jval one = json_value(r, item, origin);
        if (lf_jstop(r)) break;
        if (object)
            lf_jdict_put(r, v.d, lf_jliteral(r, item->string), one);
        else
            lf_jseq_add(r, v.q, one);
    }
    lf_jleave(r);
    return v;
}

static lf_jval json_value(lf_jinja_run *r, const cJSON *json, int32_t origin) {
    if (cJSON_IsString(json)) return text_of(r, json->valuestring, strlen(json->valuestring), origin);
    if (cJSON_IsBool(json)) return lf_jbool(cJSON_IsTrue(json));
    if (cJSON_IsNumber(json)) {
        int64_t whole;
        const char *text = lf_json_long_integer(json);
        if (!lf_json_is_float(json) && lf_json_exact_i64(json, &whole)) return lf_jint(whole);
        if (!text) return lf_jfloat(json->valuedouble);
        return lf_jfail(r, LF_EUNSUPPORTED, "the integer %.40s is beyond 64 bits, which no value here can be", text);
    }
    if (cJSON_IsArray(json) || cJSON_IsObject(json)) return json_children(r, json, origin);
    return lf_jnone();
}

lf_jinja_value *lf_jinja_json(lf_jinja_run *r, const cJSON *json, int32_t origin) {
    return boxed(r, json_value(r, json, origin));
}
