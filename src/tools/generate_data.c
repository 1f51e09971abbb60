/* `generate --data`: an answer to every prompt, in the order of the data, a line of JSON each, written as they come. */
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "io/stored.h"
#include "tools/answer_file.h"
#include "tools/generating.h"
#include "tools/prompts.h"

enum { AT_ONCE = 8 }; /* prompts, where the key does not say how many */

typedef struct answering {
    lf_generating *j;
    lf_prompts prompts;
    char hash[33]; /* of all prompts */
    lf_answer_file file;
    FILE *out;            /* the file's, or standard output */
    lf_one_prompt *asked; /* [n] of those that are being answered: their ids are not kept */
    lf_progress bar;
    double began;
    int64_t prompt_tokens, generated;
} answering;

/* ---- what makes the answers ---- */

static void put_hash(lf_obj *o, const char *key, const char *dir, const char *name) {
    char *path = lf_path_join(dir, name), hash[33];
    if (path && lf_is_file(path) && !lf_stored_hash_file(hash, path, NULL)) lf_obj_string(o, key, hash);
    lf_free(path);
}

static lf_status put_adapter(lf_obj *o, const answering *a, lf_err *err) {
    const lf_adapter_file *adapter = a->j->opened.adapted.file;
    char hash[33];
    const lf_status rc = adapter ? lf_adapter_file_hash(adapter, hash, err) : LF_OK;
    if (rc || !adapter) return rc;
    lf_obj_string(o, "adapter_hash", hash);
    put_hash(o, "adapter_config_hash", lf_cfg_str(a->j->cfg, LF_adapter), "adapter_config.json");
    return LF_OK;
}

/* All that an answer depends on. The prompts' hash stands for data, layout, template and tokenizer. */
static lf_status made_of(cJSON **out, const answering *a, lf_err *err) {
    const lf_generating *j = a->j;
    char date[LF_CHAT_DATE];
    lf_obj made = lf_obj_of(lf_cfg_select(j->cfg, LF_IS_RESULT, LF_IS_INPUT)), all = lf_obj_new();
    lf_obj_drop(&made, lf_key_name(LF_precision));
    lf_obj_string(&made, lf_key_name(LF_precision), j->opened.k->precision); /* what `auto` is here */
    lf_obj_string(&made, "model_hash", j->opened.model->hash);
    lf_obj_number(&made, "prompts", (double)a->prompts.n);
    lf_obj_string(&made, "prompts_hash", a->hash);
    put_hash(&made, "tokenizer_hash", j->text->dir, "tokenizer.json");
    const lf_status rc = put_adapter(&made, a, err);
    lf_obj_string(&all, "version", lf_version());
    if (j->text->chat_template && lf_chat_template_asks_date(j->text->chat_template))
        lf_obj_string(&all, "template_date", lf_chat_template_date(j->text->chat_template, date));
    lf_obj_put(&all, "made_of", lf_obj_take(&made));
    *out = lf_obj_take(&all);
    return rc || *out ? rc : lf_no_memory(err, "what makes the answers");
}

/* A template that writes the date goes on with that of the first answer. */
static lf_status take_date(const answering *a, lf_err *err) {
    const char *date;
    const lf_status rc = lf_json_get_str(a->file.was, "template_date", NULL, &date, a->file.made_path, err);
    if (rc || !date || !a->j->text->chat_template) return rc;
    if (lf_chat_template_set_date(a->j->text->chat_template, date)) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: key 'template_date': expected the like of 2026-11-29T13:10:00, found '%.40s'",
                   a->file.made_path, date);
}

/* What another version answers may differ in the last digits, and so in its words. */
static void say_version(const answering *a) {
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(a->file.was, "version");
    if (cJSON_IsString(version) && strcmp(version->valuestring, lf_version()) != 0)
        lf_warn("%s: was begun by version %.20s, and is gone on with by %s", a->file.path, version->valuestring,
                lf_version());
}

static int64_t record_of(const void *answering_, int64_t i) {
    const answering *a = answering_;
    return lf_text_dataset_record(a->prompts.data, i);
}

static lf_status open_file(answering *a, lf_err *err) {
    const char *path = lf_cfg_str(a->j->cfg, LF_output_file);
    a->out = a->j->out;
    if (!path) return LF_OK;
    lf_status rc = lf_answer_file_open(&a->file, path, err);
    a->out = a->file.f;
    if (!rc && a->file.was) {
        say_version(a);
        rc = take_date(a, err);
    }
    return rc;
}

static lf_status begin_file(answering *a, lf_err *err) {
    cJSON *made = NULL;
    if (!a->file.f) return LF_OK;
    lf_status rc = made_of(&made, a, err);
    if (!rc) rc = lf_answer_file_begin(&a->file, made, a->prompts.n, record_of, a, err);
    cJSON_Delete(made);
    if (!rc && a->file.before)
        lf_info("%s: %lld of %lld answers are there, and are gone on with", a->file.path, (long long)a->file.before,
                (long long)a->prompts.n);
    return rc;
}

/* ---- answering ---- */

static lf_status get(void *answering_, int64_t i, lf_ids *ids, uint64_t *text, lf_err *err) {
    answering *a = answering_;
    lf_one_prompt p;
    const lf_status rc = lf_prompts_get(&a->prompts, i, &p, err);
    if (rc) return rc;
    *text = (uint64_t)p.record;
    *ids = p.ids;
    p.ids = (lf_ids){.n = p.ids.n}; /* how many there were is told with the answer */
    a->asked[i] = p;
    return LF_OK;
}

static cJSON *line_of(const lf_one_prompt *p, const lf_generated *o) {
    lf_obj line = lf_obj_new();
    lf_obj_number(&line, "index", (double)p->record);
    lf_obj_text(&line, "text", o->text, o->n);
    lf_obj_string(&line, "finish_reason", lf_ending_names[o->ending]);
    lf_obj_number(&line, "prompt_tokens", (double)p->ids.n);
    lf_obj_number(&line, "generated_tokens", (double)o->ids.n);
    if (p->wanted) lf_obj_string(&line, "right_answer", p->wanted);
    return lf_obj_take(&line);
}

static lf_status take(void *answering_, int64_t i, const lf_generated *o, lf_err *err) {
    answering *a = answering_;
    char detail[64];
    cJSON *line = line_of(&a->asked[i], o);
    a->prompt_tokens += a->asked[i].ids.n;
    a->generated += o->ids.n;
    lf_one_prompt_free(&a->asked[i]);
    lf_status rc = a->file.f ? lf_answer_file_add(&a->file, line, err) : lf_json_write_line(a->out, line, err);
    if (!rc && fflush(a->out)) rc = lf_fail_to(err, "write", "standard output");
    snprintf(detail, sizeof detail, "%.1f tokens/s", (double)a->generated / (lf_now() - a->began));
    lf_progress_update(&a->bar, i + 1, detail);
    return rc;
}

static lf_status answer_all(answering *a, lf_err *err) {
    const lf_config *cfg = a->j->cfg;
    const int64_t given = lf_cfg_i64(cfg, LF_per_device_eval_batch_size),
                  at_once = lf_cfg_is_given(cfg, LF_per_device_eval_batch_size) ? given : AT_ONCE,
                  left = a->prompts.n - a->file.before;
    const lf_prompt_source from = {.n = a->prompts.n, .get = get, .take = take, .context = a};
    if (!(a->asked = lf_calloc((size_t)a->prompts.n, sizeof *a->asked)))
        return lf_no_memory(err, "%lld prompts", (long long)a->prompts.n);
    lf_progress_begin(&a->bar, "answer", a->prompts.n);
    a->bar.first = a->file.before;
    a->began = lf_now();
    lf_err why = {0};
    lf_status rc =
        lf_generate_all(a->j->generator, &from, a->file.before, at_once < left ? at_once : left, &a->j->opts, &why);
    lf_progress_end(&a->bar, "");
    if (rc == LF_EINTERRUPTED)
        return lf_fail(err, rc, "interrupted%s", a->file.f && a->file.regular ? "; the same command goes on" : "");
    return rc ? lf_fail(err, rc, "%s", why.message) : LF_OK;
}

static lf_status tell(const answering *a, lf_err *err) {
    const double seconds = lf_now() - a->began,
                 per_second = a->began > 0 && seconds > 0 ? (double)a->generated / seconds : 0;
    if (a->file.f && !a->j->json)
        lf_info("%lld answers are in %s: %lld tokens written, %.1f tokens/s", (long long)a->prompts.n, a->file.path,
                (long long)a->generated, per_second);
    if (!a->j->json) return LF_OK;
    lf_obj o = lf_obj_new();
    lf_obj_string(&o, "output_file", a->file.path);
    lf_obj_number(&o, "answers", (double)a->prompts.n);
    lf_obj_number(&o, "answers_before", (double)a->file.before);
    lf_obj_number(&o, "prompt_tokens", (double)a->prompt_tokens);
    lf_obj_number(&o, "generated_tokens", (double)a->generated);
    lf_obj_number(&o, "items_per_second", per_second);
    return lf_json_write_line(a->j->out, lf_obj_take(&o), err);
}

/* ---- all of it ---- */

static void close_all(answering *a) {
    for (int64_t i = 0; a->asked && i < a->prompts.n; i++) lf_one_prompt_free(&a->asked[i]);
    lf_free(a->asked);
    lf_answer_file_close(&a->file);
    lf_prompts_close(&a->prompts);
}

lf_status lf_generate_data(lf_generating *j, lf_err *err) {
    answering a = {.j = j};
    lf_status rc;
    if ((rc = lf_prompts_open(&a.prompts, j->cfg, j->text, err))) goto out;
    if (a.prompts.chat)
        lf_generating_end_turns(j);
    else
        lf_config_say_no_effect(j->cfg, "system", "on prompts that are no conversation");
    if (a.prompts.shots && !a.prompts.chat) j->stops[j->opts.n_stops++] = LF_TEXT_SHOT_END;
    if ((rc = open_file(&a, err)) || (rc = lf_prompts_check(&a.prompts, j->generator, a.hash, err)) ||
        (rc = begin_file(&a, err)))
        goto out;
    if (a.file.before < a.prompts.n) rc = answer_all(&a, err);
    if (!rc) rc = tell(&a, err);
out:
    close_all(&a);
    return rc;
}
