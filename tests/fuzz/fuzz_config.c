/* A configuration: the first byte says of which verb and in which form, then a file of JSON or YAML up to a NUL, then
 * lines "KEY VALUE" as on the command line. One line of error, or a configuration that, written down and read again, is
 * the same. */
#include "base/json.h"
#include "base/utf8.h"
#include "config/config.h"
#include "fuzz.h"

static const char *const verbs[] = {"train", "sweep", "eval", "predict", "merge", "generate", "continual", "report"};
enum { N_VERBS = sizeof verbs / sizeof *verbs, YAML = 16 };

static void check(lf_status rc, const lf_err *err) {
    require_said(rc, err);
    require(rc == LF_OK || rc == LF_EUSAGE || rc == LF_EDATA || rc == LF_EUNSUPPORTED);
}

static lf_status set_lines(lf_config *cfg, fuzz_input *in, lf_err *err) {
    lf_status rc = LF_OK;
    while (in->left && !rc) {
        const fuzz_part key = take_until(in, ' '), value = take_until(in, '\n');
        rc = lf_config_set(cfg, key.s, value.s, err);
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
        check(lf_cfg_check_inputs(cfg, &err), &err);
    }
    lf_config_free(cfg);
    free(file.s);
    require(lf_alloc_live() == 0);
    return 0;
}
