#include "jinja/tables.h"

#include <string.h>

const lf_jdef lf_jfilters[] = {
#define LF_JINJA_FILTER(name, call, required, params) {name, lf_jfilter_##call, required, params},
#define LF_JINJA_NO_FILTER(name)                      {name, NULL, 0, NULL},
#include "jinja/filters.def"
#undef LF_JINJA_FILTER
#undef LF_JINJA_NO_FILTER
    {NULL, NULL, 0, NULL},
};

/* The types that have methods: a kind, or a form of sequences. */
typedef enum type { STR, DICT, LIST, TUPLE, LOOP, BOUND, INT, FLOAT, MACRO } type;

static const struct {
    type of;
    bool forbidden;
    lf_jdef def;
} methods[] = {
#define LF_JINJA_METHOD(type, name, call, required, params) {type, false, {name, lf_jmethod_##call, required, params}},
#define LF_JINJA_FORBIDDEN(type, name)                      {type, true, {name, NULL, 0, NULL}},
#define LF_JINJA_NO_METHOD(type, name)                      {type, false, {name, NULL, 0, NULL}},
#include "jinja/methods.def"
#undef LF_JINJA_METHOD
#undef LF_JINJA_FORBIDDEN
#undef LF_JINJA_NO_METHOD
};
enum { N_METHODS = sizeof methods / sizeof *methods };

static bool has_methods(const lf_jval *v, type *out) {
    static const int kinds[LF_J_N_KINDS] = {
        [LF_J_STR] = STR + 1, [LF_J_DICT] = DICT + 1, [LF_J_LOOP] = LOOP + 1,   [LF_J_BOUND] = BOUND + 1,
        [LF_J_INT] = INT + 1, [LF_J_BOOL] = INT + 1,  [LF_J_FLOAT] = FLOAT + 1, [LF_J_MACRO] = MACRO + 1};
    if (v->kind == LF_J_SEQ && v->q->form <= LF_J_TUPLE) {
        *out = v->q->form == LF_J_LIST ? LIST : TUPLE;
        return true;
    }
    if (kinds[v->kind]) *out = (type)(kinds[v->kind] - 1);
    return kinds[v->kind] != 0;
}

const lf_jdef *lf_jmethod_find(const lf_jval *v, const char *name, bool *forbidden) {
    type of;
    if (!has_methods(v, &of)) return NULL;
    for (int i = 0; i < N_METHODS; i++) {
        if (methods[i].of != of || strcmp(methods[i].def.name, name) != 0) continue;
        *forbidden = methods[i].forbidden;
        return &methods[i].def;
    }
    return NULL;
}

bool lf_jmethod_lacks(const char *name) {
    bool lacks = false;
    for (int i = 0; i < N_METHODS; i++) {
        if (strcmp(methods[i].def.name, name) != 0) continue;
        if (methods[i].def.call || methods[i].forbidden) return false;
        lacks = true;
    }
    return lacks;
}
