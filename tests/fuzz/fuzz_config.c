/* A configuration: the first byte says of which verb and in which form, then a file of JSON or YAML up to a NUL, then
 * lines "KEY VALUE" as on the command line, "+KEY VALUE" for one more of a list, "?NAME" for a name that is none. One
 * line of error, or a configuration that, written down and read again, is the same. */
#include "base/json.h"
#include "base/utf8.h"
#include "config/config_internal.h"
#include "fuzz.h"

static const char *const verbs[] = {"train",     "sweep",   "eval",     "predict", "merge", "generate",
                                    "continual", "report",  "rewind",   "convert", "bench", "inspect",
                                    "verify",    "preview", "spectrum", "report"};
enum { N_VERBS = sizeof verbs / sizeof *verbs, YAML = 16 };

static void check(lf_status rc, const lf_err *err) {
    require_said(rc, err);
    require(rc == LF_OK || rc == LF_EUSAGE || rc == LF_EDATA || rc == LF_EUNSUPPORTED);
}

static lf_status set_lines(lf_config *cfg, fuzz_input *in, lf_err *err) {
    lf_status rc = LF_OK;
    while (in->left && !rc) {
        const fuzz_part key = take_until(in, ' '), value = take_until(in, '\n');
        rc = key.s[0] == '?'   ? lf_config_unknown_name(key.s + 1, err)
             : key.s[0] == '+' ? lf_config_append(cfg, key.s + 1, value.s, err)
                               : lf_config_set(cfg, key.s, value.s, err);
        free(key.s);
        free(value.s);
    }
    return rc;
}

static char *resolved(const lf_config *cfg) {
    cJSON *o = lf_cfg_resolved_to_json(cfg);
    char *text = o ? lf_json_print(o, true) : NULL;
    require(text != NULL);
    cJSON_Delete(o);
    return text;
}

static void read_again(const char *verb, const char *text) {
    lf_config *cfg = NULL;
    lf_err err = {0};
    require(lf_config_new(&cfg, verb, NULL) == LF_OK);
    lf_status rc = lf_config_load(cfg, put_file("again.json", text, strlen(text)), &err);
    if (!rc) rc = lf_config_finish(cfg, &err);
    if (rc) fprintf(stderr, "%s\n", err.message);
    require(rc == LF_OK);
    char *now = resolved(cfg);
    require(strcmp(now, text) == 0);
    lf_free(now);
    lf_config_free(cfg);
}

/* Each key as what it is. */
static void read_key(const lf_config *cfg, lf_key_id id) {
    const lf_key_type type = lf_keys[id - 1].type;
    char why[200];
    if (type == LF_KEY_BOOL) (void)lf_cfg_bool(cfg, id);
    if (type == LF_KEY_I64) (void)lf_cfg_i64(cfg, id);
    if (type == LF_KEY_F64) (void)lf_cfg_f64(cfg, id);
    if (type == LF_KEY_STR || type == LF_KEY_PATH) (void)lf_cfg_str(cfg, id);
    if (type == LF_KEY_JSON) (void)lf_cfg_json(cfg, id);
    if (type == LF_KEY_JSON || type == LF_KEY_PATH || type == LF_KEY_STR) (void)lf_cfg_path(cfg, id);
    for (int64_t i = 0; type == LF_KEY_LIST && i < lf_cfg_list_count(cfg, id); i++)
        require(lf_cfg_list_at(cfg, id, i) != NULL);
    require(type != LF_KEY_LIST || lf_cfg_list_count(cfg, id) == 0 || lf_cfg_list(cfg, id));
    require(!lf_cfg_is_flag(cfg, id) || lf_cfg_is_given(cfg, id));
    require(!lf_cfg_is_given(cfg, id) || lf_cfg_is_set(cfg, id));
    (void)lf_config_unread(cfg, id, why, sizeof why);
}

static void read_all(lf_config *cfg, const char *verb) {
    FILE *null = fopen("/dev/null", "w");
    cJSON *given = lf_cfg_given_to_json(cfg), *some = lf_cfg_select(cfg, LF_IS_RESULT, LF_IS_CALL);
    const cJSON *item;
    require(null && given && some && strcmp(lf_cfg_verb(cfg), verb) == 0);
    lf_config_print(cfg, null);
    fclose(null);
    for (lf_key_id id = LF_NO_KEY; (id = lf_key_next(id, ~0u));) read_key(cfg, id);
    cJSON_ArrayForEach(item, given) require(strcmp(lf_cfg_key_name(verb, item->string), item->string) == 0);
    require(lf_cfg_workers(cfg) >= 1);
    (void)lf_cfg_selects_by_forgetting(cfg);
    require(lf_json_selects_by_forgetting(given) || !lf_json_selects_by_forgetting(some));
    cJSON_Delete(given);
    cJSON_Delete(some);
}

/* What was given is given to another verb, key by key, and taken away again. */
static void derive(const lf_config *cfg, const char *verb) {
    lf_config *other = NULL;
    lf_err err = {0};
    check(lf_cfg_derive(&other, cfg, verb, &err), &err);
    if (!other) return;
    cJSON *given = lf_cfg_given_to_json(other);
    const cJSON *item;
    cJSON_ArrayForEach(item, given) {
        require(lf_cfg_set_taken(other, item->string, cJSON_Duplicate(item, true), "fuzz", NULL) == LF_OK);
        require(lf_cfg_unset(other, lf_key_of(item->string), NULL) == LF_OK);
        require(!lf_cfg_is_given(other, lf_key_of(item->string)));
    }
    err = (lf_err){0};
    check(lf_cfg_set_json(other, "no such key", given, "fuzz", &err), &err);
    cJSON_Delete(given);
    lf_config_free(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    lf_config *cfg = NULL;
    lf_err err = {0};
    lf_log_set_level(LF_LOG_QUIET);
    const uint8_t how = take_byte(&in);
    const char *verb = verbs[how % N_VERBS], *name = how & YAML ? "config.yaml" : "config.json";
    const fuzz_part file = take_part(&in);
    put_part(name, file);
    require(lf_config_new(&cfg, verb, NULL) == LF_OK);
    lf_status rc = file.n ? lf_config_load(cfg, in_folder(name), &err) : LF_OK;
    if (!rc) rc = set_lines(cfg, &in, &err);
    if (!rc) rc = lf_config_finish(cfg, &err);
    check(rc, &err);
    if (!rc) {
        char *text = resolved(cfg);
        lf_config_say_unread(cfg);
        const bool keeps = strcmp(verb, "train") == 0 || strcmp(verb, "sweep") == 0 || strcmp(verb, "continual") == 0;
        if (keeps || lf_utf8_invalid(text, strlen(text)) == strlen(text)) read_again(verb, text); /* others keep none */
        lf_free(text);
        read_all(cfg, verb);
        derive(cfg, verbs[(how + 1) % N_VERBS]);
        rc = lf_cfg_check_inputs(cfg, &err);
        if (rc != LF_ENOTFOUND) check(rc, &err); /* that of a pattern that means no file */
    }
    lf_config_free(cfg);
    free(file.s);
    require(lf_alloc_live() == 0);
    return 0;
}
