/* What a language model writes behind a prompt, or says next in a conversation. */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "library/session.h"

void lf_written_free(lf_written *w) {
    lf_free(w->text);
    lf_free(w->ids);
    *w = (lf_written){0};
}

typedef struct listener {
    lf_visit *visit;
    void *context;
    bool enough;
} listener;

/* Who has had enough asks to stop as anybody else does. */
static lf_status hear(void *context, const char *text, size_t n, lf_err *err) {
    listener *to = context;
    (void)err;
    if (to->visit(to->context, text, n)) return LF_OK;
    to->enough = true;
    (void)lf_interrupt();
    return LF_OK;
}

/* Takes what was generated over. */
static void take(lf_written *out, lf_generated *o, int64_t prompt_tokens) {
    *out = (lf_written){.text = o->text,
                        .n = o->n,
                        .ids = o->ids.ids,
                        .n_ids = o->ids.n,
                        .prompt_tokens = prompt_tokens,
                        .ended_by = lf_ending_names[o->ending],
                        .prompt_seconds = o->prompt_seconds,
                        .seconds = o->seconds};
    *o = (lf_generated){0};
}

typedef struct request {
    const char *text;
    size_t n;
    bool rendered; /* by a chat template */
    const lf_generate_opts *opts;
    listener to;
} request;

static lf_status write_behind(lf_written *out, lf_session *s, request *r, lf_err *err) {
    lf_ids ids = {0};
    lf_generated o = {0};
    lf_status rc = lf_text_tokenizer_prompt(s->generating.text, r->text, r->n, r->rendered, &ids, err);
    if (!rc)
        rc = lf_generate_text(&o, s->generating.generator, ids.ids, ids.n, r->opts, r->to.visit ? hear : NULL, &r->to,
                              err);
    if (r->to.enough) lf_interrupt_reset(); /* also where the text had come to its end */
    if (!rc) {
        const bool stopped = o.ending == LF_ENDED_INTERRUPT;
        take(out, &o, ids.n);
        if (stopped) rc = lf_fail(err, LF_EINTERRUPTED, "interrupted");
    }
    lf_generated_free(&o);
    lf_ids_free(&ids);
    return rc;
}

static lf_status begin(lf_session *s, lf_err *err) {
    const lf_model *m = s->opened.model;
    if (!lf_session_writes(s))
        return lf_fail(err, LF_EUNSUPPORTED, "%s: a model of type '%s' writes no text", m->config_path,
                       m->family->model_type);
    lf_status rc = lf_session_begin(s, err);
    if (rc || s->generates) return rc;
    if (!(rc = lf_generating_begin(&s->generating, s->cfg, s->opened.model, s->opened.g, lf_language_of(s->task)->text,
                                   err))) {
        s->generates = true;
        s->alone = s->generating.opts;
        return LF_OK;
    }
    lf_generating_close(&s->generating);
    return lf_call_end(rc);
}

lf_status lf_session_generate(lf_session *s, const char *prompt, lf_visit *visit, void *context, lf_written *out,
                              lf_err *err) {
    *out = (lf_written){0};
    lf_status rc = begin(s, err);
    if (rc) return rc;
    request r = {.text = prompt, .n = strlen(prompt), .opts = &s->alone, .to = {.visit = visit, .context = context}};
    return lf_call_end(write_behind(out, s, &r, err));
}

/* ---- conversations ---- */

static lf_status messages_of(lf_message **out, const lf_turn *turns, int64_t n, lf_err *err) {
    if (n <= 0) return lf_fail(err, LF_EUSAGE, "a conversation without a turn: there is nothing to answer");
    lf_message *m = lf_calloc((size_t)n, sizeof *m);
    if (!(*out = m)) return lf_no_memory(err, "a conversation");
    for (int64_t i = 0; i < n; i++) {
        if (!turns[i].role || !turns[i].content)
            return lf_fail(err, LF_EUSAGE, "turns[%lld]: there is no %s", (long long)i,
                           turns[i].role ? "content" : "role");
        m[i] = (lf_message){
            .role = turns[i].role, .content = turns[i].content, .n = strlen(turns[i].content), .unlearned = true};
    }
    return LF_OK;
}

static lf_status answer(lf_written *out, lf_session *s, const lf_turn *turns, int64_t n, listener to, lf_err *err) {
    const lf_text_tokenizer *text = s->generating.text;
    lf_message *messages = NULL;
    lf_prompt p = {0};
    if (!text->chat_template) return lf_fail(err, text->no_chat.status, "%s", text->no_chat.message);
    if (!s->has_turns) {
        lf_generating_end_turns(&s->generating);
        s->in_turns = s->generating.opts;
        s->has_turns = true;
    }
    lf_status rc = messages_of(&messages, turns, n, err);
    if (!rc && !(rc = lf_chat_render(text->chat_template, messages, (size_t)n, true, &p, err))) {
        request r = {.text = p.text, .n = p.n, .rendered = true, .opts = &s->in_turns, .to = to};
        rc = write_behind(out, s, &r, err);
    }
    lf_prompt_free(&p);
    lf_free(messages);
    return rc;
}

lf_status lf_session_answer(lf_session *s, const lf_turn *turns, int64_t n, lf_visit *visit, void *context,
                            lf_written *out, lf_err *err) {
    *out = (lf_written){0};
    lf_status rc = begin(s, err);
    if (rc) return rc;
    return lf_call_end(answer(out, s, turns, n, (listener){.visit = visit, .context = context}, err));
}
