/* The verb `generate`: what a language model writes after a prompt, as it writes it; or a conversation. Prompts of a
 * file are generate_data.c's. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "tools/generating.h"
#include "tools/input.h"
#include "tools/talk.h"

typedef struct job {
    lf_generating with;
    lf_input input;
    lf_talk talk;
} job;

static void close_all(job *j) {
    lf_input_free(&j->input);
    lf_generating_close(&j->with);
    lf_talk_free(&j->talk);
}

/* ---- one text ---- */

static lf_status print_piece(void *context, const char *text, size_t n, lf_err *err) {
    FILE *out = context;
    if (fwrite(text, 1, n, out) == n && fflush(out) == 0) return LF_OK;
    return lf_fail(err, LF_EIO, "cannot write to standard output: %s", strerror(errno));
}

static cJSON *ids_json(const lf_ids *ids) {
    lf_obj list = lf_list_new();
    for (int64_t i = 0; i < ids->n; i++) lf_list_put(&list, cJSON_CreateNumber(ids->ids[i]));
    return lf_obj_take(&list);
}

static lf_status print_result(const job *j, const lf_generated *o, int64_t n_prompt, lf_err *err) {
    const double per_second = o->seconds > 0 ? (double)o->ids.n / o->seconds : 0;
    if (!j->with.json) {
        fputc('\n', j->with.out);
        lf_info("%lld tokens of the prompt in %.2f s; %lld written, %.1f tokens/s, ended by %s",
                (long long)o->prompt_tokens, o->prompt_seconds, (long long)o->ids.n, per_second,
                lf_ending_names[o->ending]);
        if (o->ending == LF_ENDED_CONTEXT)
            lf_warn("the text ends here because the context of %lld tokens is full",
                    (long long)lf_generator_context(j->with.generator));
        return LF_OK;
    }
    lf_obj result = lf_obj_new();
    lf_obj_text(&result, "text", o->text, o->n);
    lf_obj_put(&result, "ids", ids_json(&o->ids));
    lf_obj_string(&result, "finish_reason", lf_ending_names[o->ending]);
    lf_obj_number(&result, "prompt_tokens", (double)n_prompt);
    lf_obj_number(&result, "generated_tokens", (double)o->ids.n);
    lf_obj_number(&result, "prompt_seconds", o->prompt_seconds);
    lf_obj_number(&result, "items_per_second", per_second);
    return lf_json_write_line(j->with.out, lf_obj_take(&result), err);
}

/* The caller frees o. */
static lf_status answer(job *j, lf_generated *o, const lf_ids *prompt, lf_err *err) {
    const lf_status rc = lf_generate_text(o, j->with.generator, prompt->ids, prompt->n, &j->with.opts,
                                          j->with.json ? NULL : print_piece, j->with.out, err);
    return rc ? rc : print_result(j, o, prompt->n, err);
}

static lf_status go_on(job *j, lf_generated *o, const char *text, size_t n, lf_err *err) {
    lf_ids ids = {0};
    lf_status rc = lf_text_tokenizer_prompt(j->with.text, text, n, false, &ids, err);
    if (!rc) rc = answer(j, o, &ids, err);
    lf_ids_free(&ids);
    return rc;
}

/* ---- conversations ---- */

/* All that was said, or what the context has room for: an answer is to have max_new_tokens, or a quarter of it. */
static lf_status recall(job *j, lf_ids *ids, lf_err *err) {
    const int64_t context = lf_generator_context(j->with.generator), asked = j->with.opts.max_new_tokens;
    size_t left_out;
    const lf_status rc =
        lf_talk_fit(&j->talk, j->with.text, context, asked < context / 4 ? asked : context / 4, ids, &left_out, err);
    if (!rc && left_out)
        lf_warn("the context of %lld tokens is full: from here on the conversation goes without its oldest %zu turn%s",
                (long long)context, left_out, left_out > 1 ? "s" : "");
    return rc;
}

/* The user says `text`, the model answers, and both stay in the conversation; after a failure neither. */
static lf_status say(job *j, lf_generated *o, const char *text, size_t n, lf_err *err) {
    lf_ids ids = {0};
    lf_status rc = lf_talk_say(&j->talk, "user", text, n, err);
    if (rc) return rc;
    if (!(rc = recall(j, &ids, err)) && !(rc = answer(j, o, &ids, err)))
        rc = lf_talk_say(&j->talk, "assistant", o->text, o->n, err);
    if (rc) lf_talk_unsay(&j->talk);
    lf_ids_free(&ids);
    return rc;
}

static lf_status check_prompt(const char *text, size_t n, lf_err *err) {
    if (n && memchr(text, 0, n)) return lf_fail(err, LF_EUSAGE, "the prompt holds a NUL byte");
    return LF_OK; /* that it is UTF-8 is checked by the tokenizer */
}

/* A message that cannot be answered (bytes that are no text, no room in the context) is not the end of the
 * conversation. */
static lf_status say_or_tell(job *j, const char *line, size_t n, lf_err *err) {
    lf_generated o = {0};
    lf_err why = {0};
    lf_status rc = check_prompt(line, n, &why);
    if (!rc) rc = say(j, &o, line, n, &why);
    if (!rc && o.ending == LF_ENDED_INTERRUPT) lf_interrupt_reset(); /* it was about the answer */
    lf_generated_free(&o);
    if (rc != LF_EUSAGE && rc != LF_EDATA) return rc ? lf_fail(err, rc, "%s", why.message) : LF_OK;
    lf_warn("the message is left out: %s", why.message);
    return LF_OK;
}

/* A line is a message; an empty one, or the end of input, ends the conversation, and so does Ctrl-C where no answer is
 * written. */
static lf_status converse(job *j, lf_err *err) {
    const char *line;
    size_t n;
    lf_status rc = LF_OK;
    lf_info("a line is a message; an empty line ends the conversation, Ctrl-C an answer");
    while (!rc) {
        fputs("> ", stderr);
        if ((rc = lf_input_line(&j->input, &line, &n, err)) || !line || n == 0) break;
        rc = say_or_tell(j, line, n, err);
    }
    if (rc == LF_EINTERRUPTED) fputc('\n', stderr); /* as in run() */
    return rc;
}

/* ---- the verb ---- */

static lf_status one_text(job *j, const char *prompt, size_t n, bool chat, lf_err *err) {
    lf_generated o = {0};
    lf_status rc = check_prompt(prompt, n, err);
    if (!rc) rc = chat ? say(j, &o, prompt, n, err) : go_on(j, &o, prompt, n, err);
    if (!rc && o.ending == LF_ENDED_INTERRUPT) rc = lf_fail(err, LF_EINTERRUPTED, "interrupted");
    lf_generated_free(&o);
    return rc;
}

/* `echo` and editors end a text with a line end, which is no part of what is asked: one, LF or CRLF, is left off. */
static size_t without_line_end(const char *text, size_t n) {
    if (n && text[n - 1] == '\n') n -= n > 1 && text[n - 2] == '\r' ? 2 : 1;
    return n;
}

static lf_status run(job *j, lf_err *err) {
    const char *prompt = lf_cfg_str(j->with.cfg, LF_prompt), *system = lf_cfg_str(j->with.cfg, LF_system);
    const bool chat = lf_cfg_bool(j->with.cfg, LF_chat), terminal = !prompt && isatty(STDIN_FILENO);
    if (chat && !j->with.text->chat_template)
        return lf_fail(err, j->with.text->no_chat.status, "%s", j->with.text->no_chat.message);
    if (chat)
        lf_generating_end_turns(&j->with);
    else
        lf_config_say_no_effect(j->with.cfg, "system", "without chat");
    lf_status rc = system && chat ? lf_talk_say(&j->talk, "system", system, strlen(system), err) : LF_OK;
    if (rc) return rc;
    if (chat && terminal) return converse(j, err);
    if (terminal) lf_info("the prompt is read from the terminal; Ctrl-D on an empty line ends it");
    size_t n = prompt ? strlen(prompt) : 0;
    if (!prompt && !(rc = lf_input_rest(&j->input, &prompt, &n, err))) n = without_line_end(prompt, n);
    if (rc == LF_EINTERRUPTED && terminal) fputc('\n', stderr); /* the error stands on a line of its own */
    return rc ? rc : one_text(j, prompt, n, chat, err);
}

lf_status lf_generate(const lf_config *cfg, FILE *out, lf_err *err) {
    job j = {0};
    lf_status rc = lf_generating_open(&j.with, cfg, out, err);
    if (!rc) {
        lf_stake_begin(); /* a conversation, which Ctrl-C does not end; the answers of a file */
        rc = lf_cfg_is_set(cfg, LF_data) ? lf_generate_data(&j.with, err) : run(&j, err);
        lf_stake_end();
    }
    close_all(&j);
    return rc;
}
