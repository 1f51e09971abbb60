/* The command line: [FILE] [--config FILE] [--key value | --key=value | key=value | --flag | --no-flag | -o value]
 */
#include <string.h>

#include "config/known.h"

enum { MAX_NAME = 128 };

typedef struct walk {
    const lf_config *cfg;
    int argc, at;
    char **argv;
    lf_err *err;
    const char *run; /* given without a name; NULL: none so far */
} walk;

typedef struct argument {
    char name[MAX_NAME]; /* of a key, or "config" */
    const char *value;
} argument;

static void set_name(argument *a, const char *name, size_t length) {
    snprintf(a->name, sizeof a->name, "%.*s", (int)(length < MAX_NAME ? length : MAX_NAME - 1), name);
}

static bool is_config(const argument *a) { return strcmp(a->name, "config") == 0; }

static lf_status take_value(walk *w, argument *a) {
    if (w->at < w->argc && strncmp(w->argv[w->at], "--", 2) != 0) {
        a->value = w->argv[w->at++];
        return LF_OK;
    }
    const lf_place place = {a->name, NULL, w->err};
    return lf_place_fail(&place, "the value is missing; write --%s VALUE", a->name);
}

static lf_status take_flag(walk *w, argument *a) {
    const char *next = w->at < w->argc ? w->argv[w->at] : NULL;
    const bool is_value = next && (lf_is_bool_word(next) || lf_known_has_value(a->name, next));
    a->value = is_value ? next : "true";
    w->at += is_value;
    return LF_OK;
}

/* --flag, --flag false, --no-flag, --key value */
static lf_status after_name(walk *w, argument *a) {
    const unsigned verb = w->cfg->verb->knows;
    if (is_config(a)) return take_value(w, a);
    const lf_key *key = lf_key_find(a->name, verb);
    const lf_known *known = key ? NULL : lf_known_find(a->name, NULL);
    if (known) return known->flag ? take_flag(w, a) : take_value(w, a);
    if (!key && strncmp(a->name, "no", 2) == 0 && (a->name[2] == '-' || a->name[2] == '_')) {
        const lf_key *flag = lf_key_find(a->name + 3, verb);
        if (flag && flag->type == LF_KEY_BOOL) {
            set_name(a, flag->name, strlen(flag->name));
            a->value = "false";
            return LF_OK;
        }
    }
    if (!key) return lf_unknown_key(w->cfg, a->name, NULL, w->err);
    if (key->type != LF_KEY_BOOL) return take_value(w, a);
    return take_flag(w, a);
}

/* Length of KEY in KEY=VALUE, 0 if it is no such thing: runs/lr=1 is a path. */
static size_t key_length(const char *text) {
    const size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    return text[n] == '=' ? n : 0;
}

static bool is_config_file(const char *text) {
    const size_t n = strlen(text);
    return (n > 5 && strcmp(text + n - 5, ".json") == 0) || lf_config_is_yaml(text);
}

/* A value without a name: a config file; for `report`, the run, for `verify` and `inspect` what they look at. */
static lf_status positional(walk *w, argument *a, const char *text) {
    if (w->cfg->verb->bit & (LF_V_verify | LF_V_inspect))
        set_name(a, "paths", 5);
    else if (is_config_file(text))
        set_name(a, "config", 6);
    else if (w->cfg->verb->bit == LF_V_report && !w->run)
        set_name(a, "run", 3), w->run = text;
    else if (w->run)
        return lf_fail(w->err, LF_EUSAGE,
                       "unexpected '%.200s' beside '%.200s'; report takes one folder: give the one that both are in",
                       text, w->run);
    else
        return lf_fail(w->err, LF_EUSAGE,
                       "unexpected '%.200s'; values are given as --key value, a config file ends in .json or .yaml",
                       text);
    a->value = text;
    return LF_OK;
}

static lf_status next_argument(walk *w, argument *a) {
    const char *text = w->argv[w->at++];
    const size_t dashes = strspn(text, "-");
    const char *body = text + dashes;
    if (dashes == 0 && !key_length(text)) return positional(w, a, text);
    const bool short_key = dashes == 1 && body[0] && !body[1];
    if (!*body || dashes > 2 || (dashes == 1 && !short_key))
        return lf_fail(w->err, LF_EUSAGE, "unexpected '%.200s'; keys are given as --key value", text);
    const char *equals = strchr(body, '=');
    set_name(a, body, equals ? (size_t)(equals - body) : strlen(body));
    if (!equals) return after_name(w, a);
    a->value = equals + 1;
    return LF_OK;
}

/* Flags win over files wherever they stand, so files go first. Of a key that is given twice the last one counts; lists
 * are put together. */
static lf_status apply(lf_config *cfg, int argc, char **argv, bool files, lf_err *err) {
    walk w = {.cfg = cfg, .argc = argc, .argv = argv, .err = err};
    argument a;
    lf_status rc = LF_OK;
    while (!rc && w.at < argc) {
        if ((rc = next_argument(&w, &a)) || is_config(&a) != files) continue;
        rc = files ? lf_config_load(cfg, a.value, err) : lf_config_append(cfg, a.name, a.value, err);
    }
    return rc;
}

lf_status lf_config_parse_args(lf_config *cfg, int argc, char **argv, bool *help, lf_err *err) {
    *help = false;
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) *help = true;
    if (*help) return LF_OK; /* whoever asks for help need not have got the rest right */
    const lf_status rc = apply(cfg, argc, argv, true, err);
    return rc ? rc : apply(cfg, argc, argv, false, err);
}
