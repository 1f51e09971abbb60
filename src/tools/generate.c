/* The verb `generate`: what a language model writes after a prompt, as it writes it; or a conversation. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "data/text_tokenizer.h"
#include "eval/generate.h"
#include "text/buffer.h"
#include "tools/common.h"

enum { MOST_STOPS = 32 };

typedef struct job {
    const lf_config *cfg;
    FILE *out;
    lf_opened opened;
    lf_text_tokenizer *text;
    lf_generator *generator;
    lf_generate_opts opts;
    const char *stops[MOST_STOPS];
    bool json;
    lf_message *messages; /* of a conversation; contents are ours but for the system's */
    size_t n_messages, capacity;
} job;

static lf_status read_opts(job *j, lf_err *err) {
    const lf_config *cfg = j->cfg;
    const int64_t n = lf_cfg_list_count(cfg, "stop");
    if (n > MOST_STOPS) return lf_cfg_fail(cfg, "stop", err, "expected at most %d strings, found %lld", MOST_STOPS, (long long)n);
    for (int64_t i = 0; i < n; i++)
        if (!*(j->stops[i] = lf_cfg_list_at(cfg, "stop", i))) return lf_cfg_fail(cfg, "stop", err, "an empty string would end every text at once");
    j->opts = (lf_generate_opts){.sampling = {.repetition_penalty = lf_cfg_f64(cfg, "repetition_penalty"), .temperature = lf_cfg_f64(cfg, "temperature"),
                                              .top_k = lf_cfg_i64(cfg, "top_k"), .top_p = lf_cfg_f64(cfg, "top_p"),
                                              .seed = (uint64_t)lf_cfg_i64(cfg, "seed")},
                                 .max_new_tokens = lf_cfg_i64(cfg, "max_new_tokens"), .stops = j->stops, .n_stops = n,
                                 .ignore_eos = lf_cfg_bool(cfg, "ignore_eos")};
    j->json = lf_cfg_bool(cfg, "json");
    return LF_OK;
}

static lf_status open_all(job *j, lf_err *err) {
    const char *tokenizer = lf_cfg_str(j->cfg, "tokenizer"), *model = lf_cfg_str(j->cfg, "model");
    lf_status rc = lf_opened_open(&j->opened, j->cfg, LF_LOAD_FROZEN, err);
    if (rc) return rc;
    const lf_model *m = j->opened.model;
    if (!m->is_lm)
        return lf_fail(err, LF_EUNSUPPORTED, "%s: a model of type '%s' writes no text; use predict for pictures", m->config_path, m->family->model_type);
    const lf_text_tokenizer_opts o = {.path = tokenizer ? tokenizer : model, .chat_template = lf_cfg_str(j->cfg, "chat_template"), .vocab_size = m->vocab_size};
    if ((rc = lf_text_tokenizer_open(&j->text, &o, err))) return rc;
    return lf_generator_new(&j->generator, j->opened.model, j->opened.g, j->text->tokenizer, lf_cfg_is_given(j->cfg, "max_seq_length") ? lf_cfg_i64(j->cfg, "max_seq_length") : 0, err);
}

static void close_all(job *j) {
    lf_generator_free(j->generator);
    lf_text_tokenizer_free(j->text);
    lf_opened_close(&j->opened);
    for (size_t i = 0; i < j->n_messages; i++)
        if (strcmp(j->messages[i].role, "system") != 0) lf_free((char *)(uintptr_t)j->messages[i].content);
    lf_free(j->messages);
}

/* ---- one text ---- */

static lf_status print_piece(void *context, const char *text, size_t n, lf_err *err) {
    FILE *out = context;
    if (fwrite(text, 1, n, out) == n && fflush(out) == 0) return LF_OK;
    return lf_fail(err, LF_EIO, "cannot write to standard output");
}

static cJSON *ids_json(const lf_ids *ids) {
    cJSON *array = cJSON_CreateArray();
    for (int64_t i = 0; array && i < ids->n; i++)
        if (!lf_put_to_array(array, cJSON_CreateNumber(ids->ids[i]))) {
            cJSON_Delete(array);
            return NULL;
        }
    return array;
}

static lf_status print_result(const job *j, const lf_generated *o, int64_t n_prompt, lf_err *err) {
    const double per_second = o->seconds > 0 ? (double)o->ids.n / o->seconds : 0;
    if (!j->json) {
        fputc('\n', j->out);
        lf_info("%lld tokens of the prompt in %.2f s; %lld written, %.1f tokens/s, ended by %s", (long long)o->prompt_tokens, o->prompt_seconds,
                (long long)o->ids.n, per_second, lf_ending_names[o->ending]);
        return LF_OK;
    }
    cJSON *result = cJSON_CreateObject();
    if (lf_put_string(result, "text", o->text) && lf_put(result, "ids", ids_json(&o->ids)) &&
        lf_put_string(result, "finish_reason", lf_ending_names[o->ending]) && lf_put_number(result, "prompt_tokens", (double)n_prompt) &&
        lf_put_number(result, "generated_tokens", (double)o->ids.n) && lf_put_number(result, "prompt_seconds", o->prompt_seconds) &&
        lf_put_number(result, "items_per_second", per_second))
        return lf_print_json(j->out, result, err);
    cJSON_Delete(result);
    return lf_fail(err, LF_ENOMEM, "out of memory for the result");
}

static lf_status answer(job *j, lf_generated *o, const char *text, size_t n, bool rendered, lf_err *err) {
    lf_ids ids = {0};
    lf_status rc = lf_text_tokenizer_prompt(j->text, text, n, rendered, &ids, err);
    if (!rc) rc = lf_generate_text(o, j->generator, ids.ids, ids.n, &j->opts, j->json ? NULL : print_piece, j->out, err);
    if (!rc && (rc = print_result(j, o, ids.n, err))) lf_generated_free(o);
    if (!rc && o->ending == LF_ENDED_INTERRUPT) {
        lf_generated_free(o);
        rc = lf_fail(err, LF_EINTERRUPTED, "interrupted");
    }
    lf_ids_free(&ids);
    return rc;
}

/* ---- conversations ---- */

/* `content` is taken over unless the role is system's. */
static lf_status add_message(job *j, const char *role, const char *content, lf_err *err) {
    if (content && lf_grow(&j->messages, &j->capacity, j->n_messages, sizeof *j->messages)) {
        j->messages[j->n_messages++] = (lf_message){role, content};
        return LF_OK;
    }
    if (strcmp(role, "system") != 0) lf_free((char *)(uintptr_t)content);
    return lf_fail(err, LF_ENOMEM, "out of memory for the conversation");
}

/* The user says `text`, the model answers, and both stay in the conversation. */
static lf_status say(job *j, const char *text, lf_err *err) {
    lf_prompt p = {0};
    lf_generated o = {0};
    lf_status rc = add_message(j, "user", lf_strdup(text), err);
    if (!rc && !(rc = lf_chat_render(j->text->chat_template, j->messages, j->n_messages, true, &p, err)) &&
        !(rc = answer(j, &o, p.text, p.n, true, err)))
        rc = add_message(j, "assistant", lf_strdup(o.text), err);
    lf_generated_free(&o);
    lf_prompt_free(&p);
    return rc;
}

/* A line is a message; an empty one, or the end of input, ends the conversation. */
static lf_status converse(job *j, lf_err *err) {
    char *line = NULL;
    size_t capacity = 0;
    lf_status rc = LF_OK;
    lf_info("a line is a message; an empty line ends the conversation");
    while (!rc) {
        fputs("> ", stderr);
        const ssize_t n = getline(&line, &capacity, stdin);
        if (n <= 0 || line[0] == '\n') break;
        if (line[n - 1] == '\n') line[n - 1] = 0;
        rc = say(j, line, err);
    }
    free(line); /* getline's, not ours */
    return rc;
}

/* ---- the verb ---- */

static lf_status read_stdin(char **out, size_t *size, lf_err *err) {
    lf_buffer b = {0};
    char part[4096];
    size_t n;
    while ((n = fread(part, 1, sizeof part, stdin)) > 0)
        if (!lf_buffer_put(&b, part, n)) break;
    if (ferror(stdin) || n > 0 || !lf_buffer_put(&b, "", 1)) {
        lf_buffer_free(&b);
        return lf_fail(err, n > 0 ? LF_ENOMEM : LF_EIO, "cannot read the prompt from standard input");
    }
    *out = b.s;
    *size = b.n - 1;
    return LF_OK;
}

static lf_status check_prompt(const char *text, size_t n, lf_err *err) {
    if (memchr(text, 0, n)) return lf_fail(err, LF_EUSAGE, "the prompt holds a NUL byte");
    return LF_OK; /* that it is UTF-8 is checked by the tokenizer */
}

static lf_status run(job *j, lf_err *err) {
    const char *given = lf_cfg_str(j->cfg, "prompt"), *system = lf_cfg_str(j->cfg, "system");
    const bool chat = lf_cfg_bool(j->cfg, "chat");
    if (chat && !j->text->chat_template) return lf_fail(err, j->text->no_chat.status, "%s", j->text->no_chat.message);
    lf_status rc = system && chat ? add_message(j, "system", system, err) : LF_OK;
    if (rc) return rc;
    if (chat && !given && isatty(STDIN_FILENO)) return converse(j, err);
    char *read = NULL;
    size_t n = given ? strlen(given) : 0;
    if (!given && (rc = read_stdin(&read, &n, err))) return rc;
    const char *prompt = given ? given : read;
    lf_generated o = {0};
    if (!(rc = check_prompt(prompt, n, err))) rc = chat ? say(j, prompt, err) : answer(j, &o, prompt, n, false, err);
    lf_generated_free(&o);
    lf_free(read);
    return rc;
}

lf_status lf_generate(const lf_config *cfg, FILE *out, lf_err *err) {
    job j = {.cfg = cfg, .out = out};
    lf_status rc;
    if (!(rc = read_opts(&j, err)) && !(rc = open_all(&j, err))) rc = run(&j, err);
    close_all(&j);
    return rc;
}
