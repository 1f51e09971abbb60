#include "tools/prompts.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/string.h"
#include "io/stored.h"

lf_status lf_prompts_open(lf_prompts *p, const lf_config *cfg, const lf_text_tokenizer *text, lf_err *err) {
    const lf_text_dataset_opts opts = {.spec = lf_cfg_json(cfg, LF_data),
                                       .key = "data",
                                       .split = "test",
                                       .text_field = lf_cfg_str(cfg, LF_text_field),
                                       .prompt_template = lf_cfg_str(cfg, LF_prompt_template),
                                       .chat = &text->chat,
                                       .prompts = true,
                                       .system = lf_cfg_str(cfg, LF_system),
                                       .max_samples = lf_cfg_i64(cfg, LF_max_samples),
                                       .seed = (uint64_t)lf_cfg_i64(cfg, LF_data_seed)};
    *p = (lf_prompts){.text = text};
    const lf_status rc = lf_text_dataset_open(&p->data, &opts, err);
    if (rc) return rc;
    if (lf_text_dataset_windowed(p->data))
        return lf_fail(err, LF_EDATA,
                       "%s: plain text is one text, in which no prompt begins or ends; write a record for each, as "
                       "{\"prompt\": \"...\"}, or give one with --prompt",
                       lf_text_dataset_path(p->data));
    p->n = lf_text_dataset_count(p->data);
    p->chat = lf_cfg_bool(cfg, LF_chat) || lf_text_dataset_is(p->data, LF_TEXT_CHAT);
    if (!p->chat) return LF_OK;
    p->system = opts.system;
    return text->chat_template ? LF_OK : lf_fail(err, text->no_chat.status, "%s", text->no_chat.message);
}

void lf_prompts_close(lf_prompts *p) {
    lf_text_dataset_free(p->data);
    *p = (lf_prompts){0};
}

void lf_one_prompt_free(lf_one_prompt *p) {
    lf_ids_free(&p->ids);
    lf_free(p->wanted);
    *p = (lf_one_prompt){0};
}

/* What a record says as the message of a user. */
static lf_status render(const lf_prompts *p, lf_prompt *out, const lf_text_example *e, lf_err *err) {
    const lf_message messages[] = {{.role = "system", .content = p->system},
                                   {.role = "user", .content = e->text, .n = e->n}};
    const size_t first = p->system ? 0 : 1;
    return lf_chat_render(p->text->chat_template, messages + first, 2 - first, true, out, err);
}

static lf_status make_ids(const lf_prompts *p, lf_ids *out, const lf_text_example *e, lf_err *err) {
    lf_prompt rendered = {0};
    const bool turns = p->chat && !e->rendered;
    lf_status rc = turns ? render(p, &rendered, e, err) : LF_OK;
    if (!rc)
        rc = lf_text_tokenizer_prompt(p->text, turns ? rendered.text : e->text, turns ? rendered.n : e->n, p->chat, out,
                                      err);
    lf_prompt_free(&rendered);
    return rc;
}

/* What is wrong with a prompt is wrong with its record. */
static lf_status of_record(const lf_prompts *p, int64_t i, lf_status rc, const lf_err *why, lf_err *err) {
    char name[600];
    return lf_fail(err, rc == LF_EUSAGE ? LF_EDATA : rc, "%s: %s",
                   lf_text_dataset_record_name(p->data, i, name, sizeof name), why->message);
}

lf_status lf_prompts_get(const lf_prompts *p, int64_t i, lf_one_prompt *out, lf_err *err) {
    lf_text_example e;
    lf_err why = {0};
    *out = (lf_one_prompt){.record = lf_text_dataset_record(p->data, i)};
    lf_status rc = lf_text_dataset_example(p->data, i, &e, err);
    if (rc) return rc;
    if ((rc = make_ids(p, &out->ids, &e, &why))) rc = of_record(p, i, rc, &why, err);
    out->wanted = e.wanted;
    e.wanted = NULL;
    lf_text_example_free(&e);
    if (rc) lf_one_prompt_free(out);
    return rc;
}

/* hash becomes that of itself and what is added. */
static lf_status add_to_hash(char hash[33], const lf_one_prompt *p, lf_err *err) {
    lf_string all = {0};
    lf_string_put(&all, hash, strlen(hash));
    lf_string_put(&all, &p->record, sizeof p->record);
    lf_string_put(&all, p->ids.ids, (size_t)p->ids.n * sizeof *p->ids.ids);
    if (!all.failed) lf_stored_hash(hash, all.s, all.n);
    const lf_status rc = all.failed ? lf_no_memory(err, "a prompt") : LF_OK;
    lf_string_free(&all);
    return rc;
}

lf_status lf_prompts_check(const lf_prompts *p, const lf_generator *g, char hash[33], lf_err *err) {
    lf_status rc = LF_OK;
    hash[0] = 0;
    for (int64_t i = 0; i < p->n && !rc; i++) {
        lf_one_prompt one;
        lf_err why = {0};
        if ((rc = lf_prompts_get(p, i, &one, err))) break;
        if ((rc = lf_generator_check(g, one.ids.ids, one.ids.n, &why)))
            rc = of_record(p, i, rc, &why, err);
        else
            rc = add_to_hash(hash, &one, err);
        lf_one_prompt_free(&one);
        if (!rc && lf_interrupted()) rc = lf_fail(err, LF_EINTERRUPTED, "interrupted before the first answer");
    }
    if (!rc) lf_text_dataset_say_unread(p->data);
    return rc;
}
