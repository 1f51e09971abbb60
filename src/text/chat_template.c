/* Opening a chat template, and a conversation's text with its answers. */
#define _XOPEN_SOURCE 700 /* localtime_r, strptime */
#include "text/chat_template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/json.h"
#include "base/machine.h"
#include "base/mem.h"
#include "base/mistaken.h"
#include "base/string.h"
#include "text/chat_template_internal.h"

void lf_prompt_free(lf_prompt *p) {
    lf_free(p->text);
    lf_free(p->answers);
    *p = (lf_prompt){0};
}

void lf_chat_template_free(lf_chat_template *c) {
    if (!c) return;
    for (int i = 0; i < LF_CHAT_TOKENS; i++) lf_free(c->tokens[i]);
    lf_chat_template_free(c->with_tools);
    lf_jinja_free(c->jinja);
    lf_free(c->name);
    lf_free(c->text);
    lf_free(c->turn_end);
    lf_free(c->inner_end);
    lf_free(c->header);
    lf_free(c);
}

const char *lf_chat_template_name(const lf_chat_template *c) { return c->name; }
const char *lf_chat_template_text(const lf_chat_template *c) { return c->text; }
const char *lf_chat_template_turn_end(const lf_chat_template *c) { return c->turn_end; }
bool lf_chat_template_reads(const lf_chat_template *c, const char *key) {
    if (c->with_tools && (strcmp(key, "tools") == 0 || lf_chat_template_reads(c->with_tools, key))) return true;
    return lf_jinja_mentions(c->jinja, key);
}

lf_status lf_chat_template_use_vocabulary(lf_chat_template *c, const lf_chat_vocabulary *known, lf_err *err) {
    lf_free(c->turn_end);
    lf_free(c->inner_end);
    lf_free(c->header);
    c->turn_end = c->inner_end = c->header = NULL;
    c->spelled = false;
    c->known = *known;
    const lf_status rc = lf_chat_template_probe(c, err);
    return rc || !c->with_tools ? rc : lf_chat_template_use_vocabulary(c->with_tools, known, err);
}

/* ---- rendering ---- */

/* What is no template at all renders too, as itself: no question is in it then. */
static lf_status check_asked(const lf_chat_template *c, const lf_chat_talk *talk, const lf_jinja_result *t,
                             lf_err *err) {
    bool asked = false;
    if (t->n_lost) return LF_OK; /* a field went through a number: its bytes may well be there */
    for (size_t i = 0; i < talk->n; i++) {
        const lf_message *m = &talk->messages[i];
        if (strcmp(m->role, "user") != 0 || !m->content) continue;
        if (lf_chat_shows(t, i) || strspn(m->content, " \t\r\n\v\f") == strlen(m->content)) return LF_OK;
        asked = true;
    }
    if (!asked) return LF_OK;
    return lf_fail(
        err, LF_EUNSUPPORTED,
        "chat template '%s' writes nothing of what the user says; is it a chat template? set chat_template to "
        "another",
        c->name);
}

lf_status lf_chat_render_tools(const lf_chat_template *c, const lf_message *messages, size_t n, const cJSON *tools,
                               bool add_generation_prompt, lf_prompt *out, lf_err *err) {
    const lf_chat_talk talk = {
        .messages = messages, .n = n, .tools = tools, .add_generation_prompt = add_generation_prompt};
    lf_jinja_run *r = NULL;
    lf_jinja_result result;
    *out = (lf_prompt){0};
    if (tools && c->with_tools) c = c->with_tools;
    lf_status rc = lf_chat_run(c, &talk, &r, &result, err);
    if (!rc) rc = check_asked(c, &talk, &result, err);
    if (!rc) {
        out->n = result.n;
        out->text = lf_malloc(result.n + 1);
        rc = out->text ? lf_chat_answers(c, &talk, &result, out, err) : lf_no_memory(err, "a conversation");
    }
    if (!rc) memcpy(out->text, result.text, result.n + 1);
    if (rc) lf_prompt_free(out);
    lf_jinja_run_free(r);
    return rc;
}

lf_status lf_chat_render(const lf_chat_template *c, const lf_message *messages, size_t n, bool add_generation_prompt,
                         lf_prompt *out, lf_err *err) {
    return lf_chat_render_tools(c, messages, n, NULL, add_generation_prompt, out, err);
}

/* ---- opening ---- */

const char *lf_chat_template_names(char buf[LF_CHAT_NAMES]) {
    size_t n = 0;
    buf[0] = 0;
    for (const lf_chat_format *f = lf_chat_formats; f->name && n < LF_CHAT_NAMES; f++)
        n += (size_t)snprintf(buf + n, LF_CHAT_NAMES - n, "%s%s", n == 0 ? "" : f[1].name ? ", " : " or ", f->name);
    return buf;
}

/* Today, for templates that write the date. Of the clock the day alone: runs of one day see the same text, and share
 * what is kept of the base. */
static struct tm today(void) {
    bool fixed;
    const time_t now = lf_machine_now(&fixed);
    struct tm out = {0};
    if (fixed)
        gmtime_r(&now, &out);
    else
        localtime_r(&now, &out);
    if (!fixed) out.tm_hour = out.tm_min = out.tm_sec = 0;
    return out;
}

static const char date_form[] = "%Y-%m-%dT%H:%M:%S";

const char *lf_chat_template_date(const lf_chat_template *c, char buf[LF_CHAT_DATE]) {
    if (!strftime(buf, LF_CHAT_DATE, date_form, &c->now)) buf[0] = 0;
    return buf;
}

bool lf_chat_template_set_date(lf_chat_template *c, const char *date) {
    struct tm at = {0};
    const char *end = strptime(date, date_form, &at); /* the day of the week too */
    if (!end || *end) return false;
    c->now = at;
    if (c->with_tools) c->with_tools->now = at;
    return true;
}

bool lf_chat_template_asks_date(const lf_chat_template *c) { return lf_chat_template_reads(c, "strftime_now"); }

/* tokens: as lf_special_name_keys, NULL where there is none. */
static lf_status make(lf_chat_template **out, const char *name, const char *jinja, const char *const *tokens,
                      const char *where, lf_err *err) {
    lf_chat_template *c = lf_calloc(1, sizeof *c);
    if (!c) return lf_no_memory(err, "a chat template");
    c->now = today();
    lf_status rc =
        (c->name = lf_strdup(name)) && (c->text = lf_strdup(jinja)) ? LF_OK : lf_no_memory(err, "a chat template");
    for (int i = 0; i < LF_CHAT_TOKENS && !rc; i++)
        if (tokens[i] && !(c->tokens[i] = lf_strdup(tokens[i]))) rc = lf_no_memory(err, "a chat template");
    const char *mistaken = lf_mistaken_text(jinja, strlen(jinja));
    if (!rc && mistaken) rc = lf_fail(err, LF_EDATA, "%s: expected a chat template, found %s", where, mistaken);
    if (!rc) rc = lf_jinja_parse(&c->jinja, jinja, strlen(jinja), where, err);
    if (!rc) rc = lf_chat_template_probe(c, err);
    if (rc)
        lf_chat_template_free(c);
    else
        *out = c;
    return rc;
}

lf_status lf_chat_template_parse(lf_chat_template **out, const char *jinja, const char *bos, const char *eos,
                                 const char *where, lf_err *err) {
    const char *const tokens[LF_CHAT_TOKENS] = {bos, eos};
    *out = NULL;
    return make(out, where, jinja, tokens, where, err);
}

static const lf_chat_format *find_format(const char *name) {
    for (const lf_chat_format *f = lf_chat_formats; f->name; f++)
        if (strcmp(f->name, name) == 0) return f;
    return NULL;
}

bool lf_chat_template_is_name(const char *name) { return strcmp(name, "auto") == 0 || find_format(name); }

/* "chat_template" is the template, which is the "default", or a list of {"name", "template"}, or {name: template}. */
static const char *config_template(const cJSON *config, const char *name) {
    const cJSON *json = cJSON_GetObjectItemCaseSensitive(config, "chat_template"), *item;
    const char *found = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
    if (cJSON_IsString(json) && strcmp(name, "default") == 0) return json->valuestring;
    if (cJSON_IsObject(json)) return found;
    cJSON_ArrayForEach(item, json) {
        const char *its_name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "name"));
        const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "template"));
        if (its_name && text && strcmp(its_name, name) == 0) found = text; /* the last one, as in transformers */
    }
    return found;
}

/* A template, and where it is from. */
typedef struct source {
    char *path, *text; /* of its file; text NULL: there is none */
} source;

typedef struct model_files {
    source jinja, tool_use;
    char *config_path;
    cJSON *config;
} model_files;

static lf_status read_source(source *s, const char *dir, const char *name, lf_err *err) {
    size_t n;
    s->path = dir ? lf_path_join(dir, name) : lf_strdup(name);
    if (!s->path) return lf_no_memory(err, "a chat template");
    return dir && !lf_is_file(s->path) ? LF_OK : lf_file_read(&s->text, &n, s->path, err);
}

/* `path` is the template's file; NULL: the folder's own, if `own`. */
static lf_status read_files(model_files *f, const char *path, const char *model_dir, bool own, lf_err *err) {
    lf_status rc = LF_OK;
    if (path)
        rc = read_source(&f->jinja, NULL, path, err);
    else if (model_dir && own && !(rc = read_source(&f->jinja, model_dir, LF_CHAT_TEMPLATE_JINJA, err)))
        rc = read_source(&f->tool_use, model_dir, LF_CHAT_MORE_TEMPLATES "/tool_use.jinja", err);
    if (!rc && model_dir) rc = lf_special_names_read(&f->config, &f->config_path, model_dir, err);
    return rc;
}

static void free_files(model_files *f) {
    lf_free(f->jinja.path);
    lf_free(f->jinja.text);
    lf_free(f->tool_use.path);
    lf_free(f->tool_use.text);
    lf_free(f->config_path);
    cJSON_Delete(f->config);
}

/* The model's own: files win over all that tokenizer_config.json has. */
static lf_status make_own(lf_chat_template **out, const model_files *f, const char *const *tokens, lf_err *err) {
    const bool in_files = f->jinja.text || f->tool_use.text;
    const char *text = in_files ? f->jinja.text : config_template(f->config, "default");
    const char *tool_use = in_files ? f->tool_use.text : config_template(f->config, "tool_use");
    const char *where = in_files ? f->jinja.path : f->config_path;
    if (!text) return LF_OK;
    lf_status rc = make(out, where, text, tokens, where, err);
    if (rc || !tool_use) return rc;
    where = in_files ? f->tool_use.path : f->config_path;
    rc = make(&(*out)->with_tools, where, tool_use, tokens, where, err);
    if (!rc) return LF_OK;
    lf_chat_template_free(*out);
    *out = NULL;
    return rc;
}

lf_status lf_chat_template_source(char **out, const char *model_dir, lf_err *err) {
    model_files f = {0};
    *out = NULL;
    lf_status rc = read_files(&f, NULL, model_dir, true, err);
    const char *text = f.jinja.text ? f.jinja.text : config_template(f.config, "default");
    if (!rc && text && !(*out = lf_strdup(text))) rc = lf_no_memory(err, "a chat template");
    free_files(&f);
    return rc;
}

/* One of ours, with the tokens that the model has no name for: who reads its text elsewhere finds them in it. */
static lf_status make_format(lf_chat_template **out, const lf_chat_format *f, const char **tokens, lf_err *err) {
    const char *const own[] = {f->bos, f->eos};
    lf_string text = {0};
    for (int i = 0; i < 2; i++) {
        if (tokens[i]) continue;
        tokens[i] = own[i];
        if (*own[i] && strstr(f->jinja, lf_special_name_keys[i]))
            lf_string_add(&text, "{%% set %s = '%s' %%}", lf_special_name_keys[i], own[i]);
    }
    lf_string_put(&text, f->jinja, strlen(f->jinja));
    const lf_status rc =
        text.failed ? lf_no_memory(err, "a chat template") : make(out, f->name, text.s, tokens, f->name, err);
    lf_string_free(&text);
    return rc;
}

lf_status lf_chat_template_open(lf_chat_template **out, const char *name, const char *model_dir, lf_err *err) {
    const bool own = !name || strcmp(name, "auto") == 0;
    const lf_chat_format *format = own ? NULL : find_format(name);
    const char *tokens[LF_CHAT_TOKENS];
    char names[LF_CHAT_NAMES];
    model_files f = {0};
    *out = NULL;
    if (!own && !format && !lf_is_file(name))
        return lf_fail(err, LF_EUNSUPPORTED, "chat template \"%.60s\" is no file and not one we know; expected %s",
                       name, lf_chat_template_names(names));
    lf_status rc = read_files(&f, own || format ? NULL : name, model_dir, own, err);
    for (int i = 0; i < LF_CHAT_TOKENS; i++) tokens[i] = lf_special_name(f.config, lf_special_name_keys[i]);
    if (!rc && own)
        rc = make_own(out, &f, tokens, err);
    else if (!rc)
        rc = format ? make_format(out, format, tokens, err) : make(out, name, f.jinja.text, tokens, name, err);
    if (!rc && !*out)
        rc = lf_fail(err, LF_EUNSUPPORTED, "%s: no chat template; name one: %s", model_dir ? model_dir : "no model",
                     lf_chat_template_names(names));
    free_files(&f);
    return rc;
}
