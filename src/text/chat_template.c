#include "text/chat_template.h"

#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "text/chat_template_internal.h"

void lf_prompt_free(lf_prompt *p) {
    lf_free(p->text);
    lf_free(p->answers);
    *p = (lf_prompt){0};
}

void lf_chat_template_free(lf_chat_template *c) {
    if (!c) return;
    lf_free(c->bos);
    lf_free(c->eos);
    lf_free(c->system);
    lf_free(c);
}

const char *lf_chat_template_name(const lf_chat_template *c) { return c->format->name; }
const char *lf_chat_template_turn_end(const lf_chat_template *c) {
    return c->format->turn_end ? c->format->turn_end : c->eos;
}

lf_status lf_chat_render(const lf_chat_template *c, const lf_message *messages, size_t n, bool add_generation_prompt,
                         lf_prompt *out, lf_err *err) {
    lf_chat_writer w = {.c = c};
    *out = (lf_prompt){0};
    lf_status rc = c->format->write(&w, messages, n, add_generation_prompt, err);
    *out = (lf_prompt){.n = w.text.n, .answers = w.answers, .n_answers = w.n_answers};
    if (!rc && !(out->text = lf_string_take(&w.text))) rc = lf_no_memory(err, "a chat template");
    lf_string_free(&w.text);
    if (rc) lf_prompt_free(out);
    return rc;
}

/* ---- opening ---- */

static lf_status make(lf_chat_template **out, const lf_chat_format *format, const char *jinja, const char *bos,
                      const char *eos, lf_err *err) {
    lf_chat_template *c = lf_calloc(1, sizeof *c);
    if (!c) return lf_no_memory(err, "a chat template");
    c->format = format;
    c->bos = lf_strdup(bos ? bos : format->bos);
    c->eos = lf_strdup(eos ? eos : format->eos);
    if (jinja && format->look) format->look(c, jinja);
    if (c->bos && c->eos && !c->failed) {
        *out = c;
        return LF_OK;
    }
    lf_chat_template_free(c);
    return lf_no_memory(err, "a chat template");
}

#define NAMES "chatml, llama2, llama3, mistral or plain"

lf_status lf_chat_template_parse(lf_chat_template **out, const char *jinja, const char *bos, const char *eos,
                                 const char *where, lf_err *err) {
    *out = NULL;
    for (size_t i = 0; i < lf_n_chat_formats; i++) {
        const lf_chat_format *format = &lf_chat_formats[i];
        if (!format->mark || !strstr(jinja, format->mark)) continue;
        for (const char *const *more = format->refused; *more; more++)
            if (strstr(jinja, *more))
                return lf_fail(
                    err, LF_EUNSUPPORTED,
                    "%s: the chat template is like %s, but has \"%s\", which is not supported; name a template "
                    "to go without it: " NAMES,
                    where, format->name, *more);
        return make(out, format, jinja, bos, eos, err);
    }
    const size_t line = strcspn(jinja, "\r\n");
    return lf_fail(err, LF_EUNSUPPORTED, "%s: the chat template \"%.*s...\" is not one we know; name one: " NAMES,
                   where, (int)(line < 60 ? line : 60), jinja);
}

static const lf_chat_format *find_format(const char *name) {
    for (size_t i = 0; i < lf_n_chat_formats; i++)
        if (strcmp(lf_chat_formats[i].name, name) == 0) return &lf_chat_formats[i];
    return NULL;
}

bool lf_chat_template_is_name(const char *name) { return strcmp(name, "auto") == 0 || find_format(name); }

/* A token in tokenizer_config.json is a string or an object with "content". */
static const char *token_text(const cJSON *config, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(config, key);
    if (cJSON_IsObject(item)) item = cJSON_GetObjectItemCaseSensitive(item, "content");
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

/* "chat_template" is the template or a list of {"name", "template"}, of which we want "default". */
static const char *config_template(const cJSON *config) {
    const cJSON *json = cJSON_GetObjectItemCaseSensitive(config, "chat_template"), *item;
    if (cJSON_IsString(json)) return json->valuestring;
    cJSON_ArrayForEach(item, json) {
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(item, "name");
        const cJSON *text = cJSON_GetObjectItemCaseSensitive(item, "template");
        if (cJSON_IsString(name) && cJSON_IsString(text) && strcmp(name->valuestring, "default") == 0)
            return text->valuestring;
    }
    return NULL;
}

typedef struct model_files {
    char *jinja_path, *config_path;
    char *jinja; /* chat_template.jinja's text, or NULL */
    cJSON *config;
} model_files;

static lf_status read_files(model_files *f, const char *model_dir, lf_err *err) {
    size_t n;
    lf_status rc = LF_OK;
    f->jinja_path = lf_path_join(model_dir, "chat_template.jinja");
    f->config_path = lf_path_join(model_dir, "tokenizer_config.json");
    if (!f->jinja_path || !f->config_path) return lf_no_memory(err, "a chat template");
    if (lf_is_file(f->jinja_path)) rc = lf_file_read(&f->jinja, &n, f->jinja_path, err);
    if (!rc && lf_is_file(f->config_path)) rc = lf_json_read(&f->config, f->config_path, err);
    return rc;
}

lf_status lf_chat_template_open(lf_chat_template **out, const char *name, const char *model_dir, lf_err *err) {
    const bool any = !name || strcmp(name, "auto") == 0;
    const lf_chat_format *format = any ? NULL : find_format(name);
    model_files f = {0};
    *out = NULL;
    if (!any && !format)
        return lf_fail(err, LF_EUNSUPPORTED, "chat template \"%.60s\" is not one we know; expected " NAMES, name);
    lf_status rc = model_dir ? read_files(&f, model_dir, err) : LF_OK;
    const char *jinja = f.jinja ? f.jinja : config_template(f.config);
    const char *bos = token_text(f.config, "bos_token"), *eos = token_text(f.config, "eos_token");
    if (!rc && format)
        rc = make(out, format, NULL, bos, eos, err);
    else if (!rc && jinja)
        rc = lf_chat_template_parse(out, jinja, bos, eos, f.jinja ? f.jinja_path : f.config_path, err);
    else if (!rc)
        rc =
            lf_fail(err, LF_EUNSUPPORTED, "%s: no chat template; name one: " NAMES, model_dir ? model_dir : "no model");
    lf_free(f.jinja_path);
    lf_free(f.config_path);
    lf_free(f.jinja);
    cJSON_Delete(f.config);
    return rc;
}
