#include "tools/prompts.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/string.h"
#include "io/stored.h"
#include "tools/talk.h"

/* Records that are read like those that `like` will open, with their answers. */
static lf_status open_shots(lf_prompts *p, const lf_config *cfg, const lf_text_dataset_opts *like, lf_err *err) {
    lf_text_dataset_opts o = *like;
    o.spec = lf_cfg_json(cfg, LF_fewshot_data);
    o.key = lf_key_name(LF_fewshot_data);
    o.split = NULL;
    o.prompts = false;
    o.max_samples = 0;
    return lf_text_shots_open(&p->shots, &o, lf_cfg_i64(cfg, LF_num_fewshot), like->seed, err);
}

static lf_status check_kind(const lf_prompts *p, const lf_config *cfg, lf_err *err) {
    const bool chat = lf_text_dataset_is(p->data, LF_TEXT_CHAT);
    if (lf_text_dataset_windowed(p->data))
        return lf_fail(err, LF_EDATA,
                       "%s: plain text is one text, in which no prompt begins or ends; write a record for each, as "
                       "{\"prompt\": \"...\"}, or give one with --prompt",
                       lf_text_dataset_path(p->data));
    if (p->shots && chat)
        return lf_cfg_fail(cfg, LF_num_fewshot, err,
                           "%s has conversations, whose earlier turns are examples already; leave it out",
                           lf_text_dataset_path(p->data));
    if ((chat || lf_cfg_bool(cfg, LF_chat)) && !p->text->chat_template)
        return lf_fail(err, p->text->no_chat.status, "%s", p->text->no_chat.message);
    return LF_OK;
}

lf_status lf_prompts_open(lf_prompts *p, const lf_config *cfg, const lf_text_tokenizer *text, lf_err *err) {
    lf_text_dataset_opts opts = {.spec = lf_cfg_json(cfg, LF_data),
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
    lf_status rc = lf_cfg_i64(cfg, LF_num_fewshot) > 0 ? open_shots(p, cfg, &opts, err) : LF_OK;
    const lf_text_before before = {lf_text_shots_put_before, p->shots};
    if (p->shots && !lf_cfg_bool(cfg, LF_chat)) opts.before = &before;
    if (rc || (rc = lf_text_dataset_open(&p->data, &opts, err)) || (rc = check_kind(p, cfg, err))) return rc;
    p->n = lf_text_dataset_count(p->data);
    p->chat = lf_cfg_bool(cfg, LF_chat) || lf_text_dataset_is(p->data, LF_TEXT_CHAT);
    if (p->chat) p->system = opts.system;
    return LF_OK;
}

void lf_prompts_close(lf_prompts *p) {
    lf_text_dataset_free(p->data);
    lf_text_shots_free(p->shots);
    *p = (lf_prompts){0};
}

void lf_one_prompt_free(lf_one_prompt *p) {
    lf_ids_free(&p->ids);
    lf_free(p->wanted);
    *p = (lf_one_prompt){0};
}

/* ---- conversations ---- */

static lf_status say_shot(void *talk_, const lf_text_example *shot, lf_err *err) {
    const size_t begin = shot->answers[0].begin;
    const lf_status rc = lf_talk_say(talk_, "user", shot->text, begin, err);
    return rc ? rc : lf_talk_say(talk_, "assistant", shot->text + begin, shot->n - begin, err);
}

/* What a record says as the message of a user, behind examples that were answered. */
static lf_status ask(const lf_prompts *p, lf_ids *out, const lf_text_example *e, lf_err *err) {
    lf_talk t = {0};
    lf_status rc = p->system ? lf_talk_say(&t, "system", p->system, strlen(p->system), err) : LF_OK;
    if (!rc && p->shots) rc = lf_text_shots_each(p->shots, e->text, e->n, say_shot, &t, err);
    if (!rc) rc = lf_talk_say(&t, "user", e->text, e->n, err);
    if (!rc) rc = lf_talk_ids(&t, p->text, out, err);
    lf_talk_free(&t);
    return rc;
}

/* ---- one prompt ---- */

static lf_status make_ids(const lf_prompts *p, lf_ids *out, const lf_text_example *e, lf_err *err) {
    if (p->chat && !e->rendered) return ask(p, out, e, err);
    return lf_text_tokenizer_prompt(p->text, e->text, e->n, p->chat, out, err);
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
    if (p->wanted) lf_string_add(&all, "wanted %s", p->wanted); /* which is told with the answer */
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
