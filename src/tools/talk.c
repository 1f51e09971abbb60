#include "tools/talk.h"

#include <string.h>

#include "base/mem.h"
#include "base/string.h"
#include "text/chat_template.h"

static void drop(lf_message *m) { lf_free((char *)(uintptr_t)m->content); }

void lf_talk_free(lf_talk *t) {
    for (size_t i = 0; i < t->n; i++) drop(&t->messages[i]);
    lf_free(t->messages);
    *t = (lf_talk){0};
}

/* Nothing of it is to be learned, so a template may make of earlier answers what it likes. */
lf_status lf_talk_say(lf_talk *t, const char *role, const char *content, size_t n, lf_err *err) {
    char *copy = lf_copy_text(content, n);
    if (copy && lf_grow(&t->messages, &t->capacity, t->n + 1)) {
        t->messages[t->n++] = (lf_message){.role = role, .content = copy, .n = n, .unlearned = true};
        return LF_OK;
    }
    lf_free(copy);
    return lf_no_memory(err, "a conversation");
}

void lf_talk_unsay(lf_talk *t) { drop(&t->messages[--t->n]); }

static lf_status make_ids(const lf_message *messages, size_t n, const lf_text_tokenizer *text, lf_ids *ids,
                          lf_err *err) {
    lf_prompt p = {0};
    lf_status rc = lf_chat_render(text->chat_template, messages, n, true, &p, err);
    lf_ids_free(ids);
    if (!rc) rc = lf_text_tokenizer_prompt(text, p.text, p.n, true, ids, err);
    lf_prompt_free(&p);
    return rc;
}

lf_status lf_talk_ids(const lf_talk *t, const lf_text_tokenizer *text, lf_ids *ids, lf_err *err) {
    return make_ids(t->messages, t->n, text, ids, err);
}

static size_t systems(const lf_talk *t) { return t->n && strcmp(t->messages[0].role, "system") == 0; }

/* view: room for all messages. */
static lf_status ids_without(const lf_talk *t, size_t turns, lf_message *view, const lf_text_tokenizer *text,
                             lf_ids *ids, lf_err *err) {
    const size_t kept = systems(t), from = kept + 2 * turns;
    if (kept) view[0] = t->messages[0];
    memcpy(view + kept, t->messages + from, (t->n - from) * sizeof *view);
    return make_ids(view, kept + t->n - from, text, ids, err);
}

static void leave_out(lf_talk *t, size_t turns) {
    const size_t kept = systems(t), from = kept + 2 * turns;
    for (size_t i = kept; i < from; i++) drop(&t->messages[i]);
    memmove(t->messages + kept, t->messages + from, (t->n - from) * sizeof *t->messages);
    t->n -= 2 * turns;
}

lf_status lf_talk_fit(lf_talk *t, const lf_text_tokenizer *text, int64_t context, int64_t room, lf_ids *ids,
                      size_t *left_out, lf_err *err) {
    const size_t most = (t->n - systems(t) - 1) / 2;
    lf_message *view = lf_calloc(t->n, sizeof *view);
    size_t turns = 0;
    *left_out = 0;
    lf_status rc = view ? lf_talk_ids(t, text, ids, err) : lf_no_memory(err, "a conversation");
    if (!rc && ids->n + room > context)
        while (!rc && turns < most && (turns == 0 || ids->n + context / 4 > context))
            rc = ids_without(t, ++turns, view, text, ids, err);
    if (!rc && ids->n < context) leave_out(t, *left_out = turns);
    lf_free(view);
    return rc;
}
