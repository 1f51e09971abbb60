/* The one table of keys, and finding names in it. A new folder's keys are one #include. */
#include <string.h>

#include "config/config_internal.h"

enum {
#define KEYS(name, keys, ...) keys = LF_V_##name,
    LF_VERB_LIST(KEYS)
#undef KEYS
};

/* The traits as the files spell them. */
enum {
#define SHORT(name, bit) name = LF_IS_##name,
    LF_KIND_LIST(SHORT) LF_TRAIT_LIST(SHORT)
#undef SHORT
        OF_ALL = LF_IS_OF_ALL
};

const lf_key lf_keys[LF_N_KEYS] = {
#define LF_KEY(name, type, fallback, min, max, choices, aliases, verbs, traits, help)                                  \
    {#name, LF_KEY_##type, fallback, min, max, choices, aliases, verbs, traits, help, FOLDER},
#include "config/all_keys.def"
#undef LF_KEY
};
const size_t lf_n_keys = LF_N_KEYS;

const lf_verb lf_verbs[] = {
#define VERB(name, keys, shares, aliases, then, summary) {#name, LF_V_##name, summary, LF_V_##name | LF_V_##shares},
    LF_VERB_LIST(VERB)
#undef VERB
};
const size_t lf_n_verbs = sizeof lf_verbs / sizeof *lf_verbs;

const char *const lf_key_type_expects[] = {
#define EXPECTS(type, expects, shown) expects,
    LF_KEY_TYPE_LIST(EXPECTS)
#undef EXPECTS
};
const char *const lf_key_type_shown[] = {
#define SHOWN(type, expects, shown) shown,
    LF_KEY_TYPE_LIST(SHOWN)
#undef SHOWN
};

const char *lf_key_name(lf_key_id id) { return lf_keys[id - 1].name; }

lf_key_id lf_key_next(lf_key_id id, unsigned traits) {
    for (size_t i = (size_t)id; i < lf_n_keys; i++)
        if (lf_keys[i].traits & traits) return (lf_key_id)(i + 1);
    return LF_NO_KEY;
}

void lf_key_names(const char *names[LF_N_KEYS + 1], unsigned traits) {
    size_t n = 0;
    for (lf_key_id id = LF_NO_KEY; (id = lf_key_next(id, traits));) names[n++] = lf_key_name(id);
    names[n] = NULL;
}

lf_key_id lf_key_of(const char *name) {
    for (size_t i = 0; i < lf_n_keys; i++)
        if (strcmp(lf_keys[i].name, name) == 0) return (lf_key_id)(i + 1);
    return LF_NO_KEY;
}

unsigned lf_key_traits(const char *name) {
    const lf_key_id id = lf_key_of(name);
    return id ? lf_keys[id - 1].traits : 0;
}

bool lf_key_is_implied(const lf_key *key) { return key->fallback && key->fallback[0] == '~'; }
const char *lf_key_default(const lf_key *key) { return lf_key_is_implied(key) ? key->fallback + 1 : key->fallback; }

const lf_verb *lf_verb_find(const char *name) {
    for (size_t i = 0; i < lf_n_verbs; i++)
        if (strcmp(lf_verbs[i].name, name) == 0) return &lf_verbs[i];
    return NULL;
}

const char *lf_verb_summary(const char *verb) {
    const lf_verb *v = lf_verb_find(verb);
    return v ? v->summary : NULL;
}

static lf_slice text_part(const char *begin, const char *end) { return (lf_slice){begin, (int)(end - begin)}; }

bool lf_next_choice(const char **choices, lf_choice *choice) {
    lf_slice item;
    if (!lf_next_item(choices, &item)) return false;
    const char *end = item.start + item.length, *mark = item.start;
    while (mark < end && *mark != '=' && *mark != '!') mark++;
    choice->given = text_part(item.start, mark);
    choice->value = mark < end && *mark == '=' ? text_part(mark + 1, end) : choice->given;
    choice->reason = mark < end && *mark == '!' ? text_part(mark + 1, end) : text_part(end, end);
    return true;
}

bool lf_same_key_name(const char *typed, lf_slice name) {
    int i = 0;
    for (; i < name.length && typed[i]; i++)
        if ((typed[i] == '-' ? '_' : typed[i]) != name.start[i]) return false;
    return i == name.length && typed[i] == '\0';
}

const lf_key *lf_key_find(const char *name, unsigned verbs) {
    for (size_t i = 0; i < lf_n_keys; i++) { /* names first: an alias may be the name of another verb's key */
        const lf_slice whole = {lf_keys[i].name, (int)strlen(lf_keys[i].name)};
        if ((lf_keys[i].verbs & verbs) && lf_same_key_name(name, whole)) return &lf_keys[i];
    }
    for (size_t i = 0; i < lf_n_keys; i++) {
        if (!(lf_keys[i].verbs & verbs)) continue;
        const char *aliases = lf_keys[i].aliases;
        lf_slice alias;
        while (lf_next_item(&aliases, &alias))
            if (lf_same_key_name(name, alias)) return &lf_keys[i];
    }
    return NULL;
}
