/* A model's tokenizer and chat template, by the keys `tokenizer` and `chat_template`. */
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "eval/generate.h"
#include "task/language.h"

static lf_status check_template(const lf_config *cfg, const char *asked, lf_err *err) {
    if (!asked || lf_chat_template_is_name(asked) || lf_is_file(asked)) return LF_OK;
    char names[LF_CHAT_NAMES];
    return lf_cfg_fail(cfg, LF_chat_template, err,
                       "expected %s, auto, or the path of a file with a template, found '%.200s'",
                       lf_chat_template_names(names), asked);
}

/* What ends a text is for lf_ending_ids to say, to generating and training alike; a tokenizer's own comes first there.
 */
static lf_status find_end(lf_text_tokenizer *t, const lf_model *m, lf_err *err) {
    lf_ids ids = {0};
    if (t->encoder.eos >= 0) return LF_OK;
    const lf_status rc = lf_ending_ids(&ids, m, t->tokenizer, err);
    if (!rc && ids.n) {
        const char *token = lf_tokenizer_token(t->tokenizer, ids.ids[0]);
        t->encoder.eos = ids.ids[0];
        if (m->family->hidden) /* an encoder's texts get none */
            lf_info("%s: no eos_token; a text ends in token %d, '%s', which the model's eos_token_id names", t->dir,
                    (int)ids.ids[0], token ? token : "");
    }
    lf_ids_free(&ids);
    return rc;
}

/* What a run that goes on recorded as its date; *out = NULL (else lf_free) if there is none. */
static lf_status recorded_date(char **out, const lf_config *cfg, lf_err *err) {
    const cJSON *resume = lf_cfg_json(cfg, LF_resume_from_checkpoint);
    const char *dir = lf_cfg_str(cfg, LF_output_dir), *date;
    cJSON *was = NULL;
    *out = NULL;
    if (!resume || cJSON_IsFalse(resume) || !dir) return LF_OK;
    char *path = lf_path_join(dir, "config.json");
    lf_status rc = path ? LF_OK : lf_no_memory(err, "%s", dir);
    if (!rc && lf_is_file(path) && !(rc = lf_json_read(&was, path, err)) &&
        !(rc = lf_json_get_str(was, lf_key_name(LF_template_date), NULL, &date, path, err)) && date &&
        !(*out = lf_strdup(date)))
        rc = lf_no_memory(err, "%s", path);
    cJSON_Delete(was);
    lf_free(path);
    return rc;
}

lf_status lf_language_adapter_template(char **out, const lf_config *cfg, lf_err *err) {
    static const lf_key_id keys[] = {LF_adapter, LF_continue_from};
    *out = NULL;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *dir = lf_cfg_str(cfg, keys[i]);
        if (!dir || !lf_is_file_in(dir, LF_CHAT_TEMPLATE_JINJA)) continue;
        *out = lf_path_join(dir, LF_CHAT_TEMPLATE_JINJA);
        return *out ? LF_OK : lf_no_memory(err, "%s", dir);
    }
    return LF_OK;
}

/* The adapter's folder, if there is a tokenizer in it, as there is where tokens were added. */
static const char *of_adapter(const lf_config *cfg) {
    static const lf_key_id keys[] = {LF_adapter, LF_continue_from};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *dir = lf_cfg_str(cfg, keys[i]);
        if (dir && lf_tokenizer_is_in(dir)) return dir;
    }
    return NULL;
}

/* The template that was trained with wins over the base's own, and gives way to one that is named. */
static lf_status take_template(const char **chat, char **trained, bool *other, const lf_config *cfg, const char *base,
                               lf_err *err) {
    char *own = NULL, *text = NULL;
    size_t n;
    const bool named = *chat && strcmp(*chat, "auto") != 0;
    lf_status rc = lf_language_adapter_template(trained, cfg, err);
    *other = named && *trained;
    if (rc || named || !*trained) return rc;
    /* the same is opened as the base's, which may have another for conversations with tools */
    if (!(rc = lf_chat_template_source(&own, base, err)) && !(rc = lf_file_read(&text, &n, *trained, err)))
        *chat = own && strcmp(own, text) == 0 ? NULL : *trained;
    lf_free(own);
    lf_free(text);
    return rc;
}

static lf_status warn_of_other(const lf_text_tokenizer *t, const char *trained, lf_err *err) {
    char *text;
    size_t n;
    const lf_status rc = lf_file_read(&text, &n, trained, err);
    if (rc) return rc;
    if (t->chat_template && strcmp(text, lf_chat_template_text(t->chat_template)) != 0)
        lf_warn(
            "chat_template '%s' is not what the adapter was trained with, which is in %s; leave it out to take that",
            lf_chat_template_name(t->chat_template), trained);
    lf_free(text);
    return LF_OK;
}

/* The key `tokenizer`, else the adapter's folder, else the model's; of a new model, the folder of its config.json. */
static lf_status open_one(lf_text_tokenizer **out, const lf_config *cfg, const lf_model *m, bool base, lf_err *err) {
    const char *asked = lf_cfg_str(cfg, LF_tokenizer), *chat = lf_cfg_str(cfg, LF_chat_template),
               *config = m->config_path;
    *out = NULL;
    lf_status rc = check_template(cfg, chat, err);
    if (rc) return rc;
    const char *end = lf_path_base(config);
    if (end - config > 1) end--; /* without the '/' */
    const int64_t n_added = base ? 0 : lf_cfg_list_count(cfg, LF_added_tokens);
    const char **added = lf_malloc((size_t)(n_added + 1) * sizeof *added);
    char *folder = lf_format("%.*s", (int)(end - config), config), *date = NULL, *trained = NULL;
    bool other = false;
    rc = folder && added ? recorded_date(&date, cfg, err) : lf_no_memory(err, "a tokenizer");
    if (!rc) rc = take_template(&chat, &trained, &other, cfg, folder[0] ? folder : ".", err);
    if (rc) goto out;
    for (int64_t i = 0; i < n_added; i++) added[i] = lf_cfg_list_at(cfg, LF_added_tokens, i);
    if (!asked && !base && (asked = of_adapter(cfg)) && chat == trained && lf_is_file_in(asked, LF_CHAT_TEMPLATE_JINJA))
        chat = NULL; /* it is that folder's own, beside which there may be another for conversations with tools */
    const lf_text_tokenizer_opts o = {.path = asked       ? asked
                                              : folder[0] ? folder
                                                          : ".",
                                      .chat_template = chat,
                                      .vocab_size = base ? m->tokens.table->in : m->tokens.vocab_size,
                                      .added = added,
                                      .n_added = n_added,
                                      .date = date};
    rc = lf_text_tokenizer_open(out, &o, err);
    if (!rc && !(rc = find_end(*out, m, err)) && other && !base) rc = warn_of_other(*out, trained, err);
    if (rc && *out) {
        lf_text_tokenizer_free(*out);
        *out = NULL;
    }
out:
    lf_free(trained);
    lf_free(date);
    lf_free(folder);
    lf_free(added);
    return rc;
}

lf_status lf_language_tokenizer(lf_text_tokenizer **out, const lf_config *cfg, const lf_model *m, lf_err *err) {
    return open_one(out, cfg, m, false, err);
}

lf_status lf_language_base_tokenizer(lf_text_tokenizer **out, const lf_config *cfg, const lf_model *m, lf_err *err) {
    const bool taken = !lf_cfg_str(cfg, LF_tokenizer) && of_adapter(cfg),
               grows = lf_model_has_grown(m) || lf_cfg_list_count(cfg, LF_added_tokens);
    *out = NULL;
    return taken || grows ? open_one(out, cfg, m, true, err) : LF_OK;
}

void lf_language_take_padding(lf_model *m, const lf_text_tokenizer *t) {
    if (m->tokens.pad < 0) m->tokens.pad = t->encoder.pad >= 0 ? t->encoder.pad : t->encoder.eos;
}

lf_status lf_language_check_length(const lf_config *cfg, const lf_model *m, lf_err *err) {
    const int64_t asked = lf_cfg_i64(cfg, LF_max_seq_length);
    if (!lf_cfg_is_given(cfg, LF_max_seq_length) || !m->tokens.max_positions || asked <= m->tokens.max_positions)
        return LF_OK;
    return lf_cfg_fail(cfg, LF_max_seq_length, err, "expected at most the model's %lld positions (%s), found %lld",
                       (long long)m->tokens.max_positions, m->config_path, (long long)asked);
}

lf_status lf_language_save_template(const lf_text_tokenizer *t, const lf_model *m, const char *dir, lf_err *err) {
    const char *now = t->chat_template ? lf_chat_template_text(t->chat_template) : NULL;
    char *folder = lf_format("%.*s", (int)(lf_path_base(m->config_path) - m->config_path), m->config_path), *own = NULL,
         *path = lf_path_join(dir, LF_CHAT_TEMPLATE_JINJA);
    lf_status rc = folder && path ? LF_OK : lf_no_memory(err, "%s", dir);
    if (!rc && now) rc = lf_chat_template_source(&own, folder[0] ? folder : ".", err);
    if (!rc && now && !(own && strcmp(own, now) == 0)) rc = lf_file_write(path, now, strlen(now), err);
    lf_free(folder);
    lf_free(own);
    lf_free(path);
    return rc;
}
