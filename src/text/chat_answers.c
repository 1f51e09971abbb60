/* Which bytes of a rendered conversation are the assistant's. */
#define _GNU_SOURCE /* memmem */
#include <string.h>

#include "base/mem.h"
#include "text/chat_template_internal.h"

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static size_t spaces(const char *s, size_t n) {
    size_t i = 0;
    while (i < n && is_space(s[i])) i++;
    return i;
}

static bool begins(const char *s, size_t n, const char *with) {
    const size_t size = with ? strlen(with) : 0;
    return size > 0 && size <= n && memcmp(s, with, size) == 0;
}

static lf_status add_answer(lf_prompt *p, size_t *capacity, size_t begin, size_t end, lf_err *err) {
    if (!lf_grow(&p->answers, capacity, p->n_answers + 1)) return lf_no_memory(err, "a conversation");
    p->answers[p->n_answers++] = (lf_answer){begin, end};
    return LF_OK;
}

/* ---- what came from a message ---- */

typedef struct place {
    size_t begin, end; /* of the bytes that came from a message's content or other keys; the same: none */
    size_t before;     /* where the bytes of the messages before it end */
    size_t next;       /* where the next message's bytes begin, or the text's end */
    bool mixed;        /* bytes of another message are among them */
    bool more;         /* the first are of another key than the content */
    bool any_more;     /* one is */
} place;

static size_t message_of(const lf_jinja_span *s) { return (size_t)(s->origin - 1) / LF_CHAT_FIELDS; }
static bool is_said(const lf_jinja_span *s) {
    return s->origin > 0 && (s->origin - 1) % LF_CHAT_FIELDS != (int)LF_CHAT_ROLE;
}

/* In the first `limit` bytes of the text. */
static place find_place(const lf_jinja_result *t, size_t message, size_t limit) {
    place p = {.next = limit};
    bool other = false, found = false;
    for (size_t i = 0; i < t->n_spans && t->spans[i].begin < limit; i++) {
        const lf_jinja_span *s = &t->spans[i];
        if (s->origin == 0) continue;
        if (message_of(s) != message) {
            if (found && p.next == limit) p.next = s->begin;
            if (!found) p.before = s->end;
            other = found;
        } else if (is_said(s)) {
            if (!found) p.begin = s->begin;
            if (!found) p.more = (s->origin - 1) % LF_CHAT_FIELDS == (int)LF_CHAT_MORE;
            p.mixed |= other;
            p.any_more |= (s->origin - 1) % LF_CHAT_FIELDS == (int)LF_CHAT_MORE;
            p.end = s->end;
            p.next = limit;
            found = true;
        }
    }
    return p;
}

bool lf_chat_shows(const lf_jinja_result *t, size_t message) {
    const place at = find_place(t, message, t->n);
    return at.end > at.begin;
}

/* Behind the token that ends the turn, if the fixed text from `end` to `next` has it. */
static size_t turn_end(const lf_chat_template *c, const char *text, size_t end, size_t next) {
    const char *tokens[] = {c->spelled ? c->tokens[1] : c->turn_end, c->spelled ? c->turn_end : c->tokens[1],
                            c->inner_end};
    for (int i = 0; i < 3; i++) {
        const size_t size = tokens[i] ? strlen(tokens[i]) : 0;
        const char *found = size ? memmem(text + end, next - end, tokens[i], size) : NULL;
        if (found) return (size_t)(found - text) + size;
    }
    return end;
}

/* Behind the header of the turn, where only white space follows it: the model writes that too. So it does with the
 * fixed text in front of thoughts and calls, which is the form in which it says them. */
static size_t turn_begin(const lf_chat_template *c, const char *text, const place *at) {
    const size_t n = strlen(c->header), size = at->begin - at->before;
    for (size_t k = size; n > 0 && k >= n; k--) {
        const char *behind = text + at->before + k;
        if (memcmp(behind - n, c->header, n) != 0) continue;
        return at->more || spaces(behind, size - k) == size - k ? at->before + k : at->begin;
    }
    return at->begin;
}

/* ---- answers that leave no byte: the empty ones ---- */

#define STAND_IN "[-lora-ft-]"

/* Where the empty answers stand: rendered with something in their place, the text has to be the same without it.
 * *r is NULL if it is not: then the template writes another text for an empty answer, and its place is not known. */
static lf_status with_stand_ins(const lf_chat_template *c, const lf_chat_talk *talk, const bool *marked,
                                const lf_jinja_result *plain, lf_jinja_run **r, lf_jinja_result *out, lf_err *err) {
    lf_chat_talk other = *talk;
    lf_err ignored = {0};
    size_t at = 0, left = 0;
    other.stand_in = STAND_IN;
    other.marked = marked;
    const lf_status rc = lf_chat_run(c, &other, r, out, &ignored);
    if (rc == LF_ENOMEM) return lf_fail(err, rc, "%s", ignored.message);
    bool same = rc == LF_OK;
    for (size_t i = 0; same && i <= out->n_spans; i++) {
        const lf_jinja_span *s = i < out->n_spans ? &out->spans[i] : NULL;
        const bool stands_in = s && is_said(s) && marked[message_of(s)];
        if (s && !stands_in) continue;
        const size_t end = s ? s->begin : out->n;
        same = left + end - at <= plain->n && memcmp(out->text + at, plain->text + left, end - at) == 0;
        left += end - at;
        at = s ? s->end : end;
    }
    if (same && left == plain->n) return LF_OK;
    lf_jinja_run_free(*r);
    *r = NULL;
    return LF_OK;
}

/* Bytes of stand-ins before a place in that text. */
static size_t stand_in_bytes(const lf_jinja_result *t, const bool *marked, size_t before) {
    size_t n = 0;
    for (size_t i = 0; i < t->n_spans && t->spans[i].begin < before; i++)
        if (is_said(&t->spans[i]) && marked[message_of(&t->spans[i])]) n += t->spans[i].end - t->spans[i].begin;
    return n;
}

/* ---- all answers ---- */

static bool is_assistant(const lf_message *m) { return strcmp(m->role, "assistant") == 0; }
static bool is_learned(const lf_message *m) { return is_assistant(m) && !m->unlearned; }

static lf_status check_lost(const lf_jinja_result *t, const lf_chat_talk *talk, lf_err *err) {
    for (size_t i = 0; i < t->n_lost; i++) {
        const size_t message = (size_t)(t->lost[i] - 1) / LF_CHAT_FIELDS;
        if (message < talk->n && is_learned(&talk->messages[message]))
            return lf_fail(err, LF_EUNSUPPORTED,
                           "message %zu: the chat template makes a number of what the assistant says, so its answer "
                           "cannot be told from the rest of the text",
                           message);
    }
    return LF_OK;
}

/* By {% generation %}: spans that touch are one answer, unless a message in it is not to be learned. */
static lf_status generated(const lf_chat_talk *talk, const lf_jinja_result *t, lf_prompt *p, lf_err *err) {
    size_t capacity = 0;
    lf_status rc = LF_OK;
    for (size_t i = 0; i < t->n_spans && !rc;) {
        const size_t begin = t->spans[i].begin;
        size_t end = begin;
        bool learned = true;
        for (; i < t->n_spans && (end == begin || t->spans[i].begin == end); i++) {
            if (!t->spans[i].generated) break;
            end = t->spans[i].end;
            learned = learned && (t->spans[i].origin == 0 || !talk->messages[message_of(&t->spans[i])].unlearned);
        }
        if (end == begin)
            i++;
        else if (learned)
            rc = add_answer(p, &capacity, begin, end, err);
    }
    return rc;
}

/* *limit: where the text of the messages up to this one ends, if the whole text begins with it; else 0. */
static lf_status turn_limit(const lf_chat_template *c, const lf_chat_talk *talk, size_t message,
                            const lf_jinja_result *t, size_t *limit, lf_err *err) {
    lf_chat_talk first = *talk;
    lf_jinja_run *r = NULL;
    lf_jinja_result part;
    lf_err ignored = {0};
    first.n = message + 1;
    first.add_generation_prompt = false;
    const lf_status rc = lf_chat_run(c, &first, &r, &part, &ignored);
    *limit = 0;
    if (!rc && part.n <= t->n && memcmp(part.text, t->text, part.n) == 0) *limit = part.n;
    lf_jinja_run_free(r);
    return rc == LF_ENOMEM ? lf_fail(err, rc, "%s", ignored.message) : LF_OK;
}

/* The answer of a message in t, which is the text, or the one with stand-ins; begin and end the same: none of it is
 * shown. */
static lf_status find_answer(const lf_chat_template *c, const lf_chat_talk *talk, size_t message, size_t before,
                             const lf_jinja_result *t, lf_answer *out, lf_err *err) {
    size_t limit = 0;
    place at = find_place(t, message, t->n);
    if (at.any_more) { /* calls: a later message may name the tool again, and they may end in a token of their own */
        const lf_status rc = turn_limit(c, talk, message, t, &limit, err);
        if (rc) return rc;
        if (limit) at = find_place(t, message, limit);
    }
    *out = (lf_answer){at.begin, at.begin};
    if (at.begin == at.end) return LF_OK;
    if (at.mixed || at.begin < before)
        return lf_fail(
            err, LF_EUNSUPPORTED,
            "message %zu: the chat template does not write what the assistant says in one piece and in order, so "
            "its answer cannot be told from the rest of the text",
            message);
    *out = (lf_answer){turn_begin(c, t->text, &at), turn_end(c, t->text, at.end, at.next)};
    if (limit && out->end == at.end) {
        while (limit > at.end && is_space(t->text[limit - 1])) limit--;
        out->end = limit;
    }
    return LF_OK;
}

static lf_status said(const lf_chat_template *c, const lf_chat_talk *talk, const lf_jinja_result *t, const bool *marked,
                      lf_prompt *p, lf_err *err) {
    size_t capacity = 0, before = 0;
    for (size_t i = 0; i < talk->n; i++) {
        lf_answer a;
        if (!is_learned(&talk->messages[i])) continue;
        lf_status rc = find_answer(c, talk, i, before, t, &a, err);
        if (!rc && a.end > a.begin)
            rc = add_answer(p, &capacity, a.begin - stand_in_bytes(t, marked, a.begin),
                            a.end - stand_in_bytes(t, marked, a.end), err);
        if (rc) return rc;
        if (a.end > before) before = a.end;
    }
    return LF_OK;
}

lf_status lf_chat_answers(const lf_chat_template *c, const lf_chat_talk *talk, const lf_jinja_result *result,
                          lf_prompt *p, lf_err *err) {
    lf_jinja_run *r = NULL;
    lf_jinja_result other;
    bool any = false;
    if (lf_jinja_has_generation(c->jinja)) return generated(talk, result, p, err);
    lf_status rc = check_lost(result, talk, err);
    if (rc) return rc;
    bool *marked = lf_calloc(talk->n + 1, sizeof *marked);
    if (!marked) return lf_no_memory(err, "a conversation");
    for (size_t i = 0; i < talk->n; i++) {
        const lf_message *m = &talk->messages[i];
        const place at = find_place(result, i, result->n);
        marked[i] = is_learned(m) && m->content && at.begin == at.end &&
                    spaces(m->content, strlen(m->content)) == (m->n ? m->n : strlen(m->content));
        any |= marked[i];
    }
    if (any) rc = with_stand_ins(c, talk, marked, result, &r, &other, err);
    if (any && !r) memset(marked, 0, talk->n);
    if (!rc) rc = said(c, talk, r ? &other : result, marked, p, err);
    lf_jinja_run_free(r);
    lf_free(marked);
    return rc;
}

/* ---- what ends a turn ---- */

/* "<...>" at the beginning: how long; 0: it does not begin so. */
static size_t bracketed(const char *s, size_t n) {
    const char *close = n > 0 && *s == '<' ? memchr(s, '>', n) : NULL;
    for (const char *at = s + 1; close && at < close; at++)
        if (*at == '<' || is_space(*at)) return 0;
    return close ? (size_t)(close - s) + 1 : 0;
}

/* The first token of the vocabulary in a text, of which white space is none; *n becomes its size. NULL: none, or the
 * vocabulary is not known. */
static const char *first_token(const lf_chat_vocabulary *known, const char *s, size_t *n) {
    for (size_t i = 0; known->token_at && i < *n; i++) {
        const size_t size = known->token_at(known->context, s + i, *n - i);
        if (size == 0 || spaces(s + i, size) == size) continue;
        *n = size;
        return s + i;
    }
    return NULL;
}

/* What ends a turn: of the text behind an answer in the middle (n bytes) and behind the last one (n_last bytes), eos if
 * it is in what both begin with, whatever stands before it; else the first token there, else what looks like one. */
static void find_turn_end(lf_chat_template *c, const char *middle, size_t n, const char *last, size_t n_last) {
    const char *eos = c->tokens[1];
    size_t same = 0;
    while (same < n && same < n_last && middle[same] == last[same]) same++;
    const size_t skip = spaces(middle, same);
    const char *s = middle + skip, *token;
    size_t left = same - skip, size = left;
    if (begins(s, n - skip, eos) || (eos && *eos && memmem(s, left, eos, strlen(eos)))) {
        s = eos;
        left = strlen(eos);
    } else if ((token = first_token(&c->known, s, &size))) {
        s = token;
        left = size;
    } else if (bracketed(s, left)) {
        left = bracketed(s, left);
        c->spelled = c->known.token_at;
    } else if (left > 0 && *s != '<') { /* no such token: a word of another kind, without the white space behind it */
        c->spelled = true;
        while (is_space(s[left - 1])) left--;
        const char *cut = memchr(s, '<', left);
        if (cut) left = (size_t)(cut - s);
    } else { /* the last answer ends in a way of its own */
        const size_t at = spaces(last, n_last), inner = spaces(middle, n);
        size = bracketed(last + at, n_last - at);
        if (size && !(c->inner_end = lf_copy_text(middle + inner, bracketed(middle + inner, n - inner)))) return;
        s = last + at;
        left = size;
    }
    c->turn_end = lf_copy_text(s, left);
}

/* The end of a generation prompt, without what ends the question's turn. */
static char *find_header(const lf_chat_template *c, const lf_jinja_result *question) {
    const place asked = find_place(question, 0, question->n);
    const size_t begin = asked.end > asked.begin ? turn_end(c, question->text, asked.end, question->n) : question->n;
    const size_t skip = begin > asked.end ? spaces(question->text + begin, question->n - begin) : 0;
    return lf_copy_text(question->text + begin + skip, question->n - begin - skip);
}

lf_status lf_chat_template_probe(lf_chat_template *c, lf_err *err) {
    const lf_message talk[] = {{.role = "user", .content = "Question one?"},
                               {.role = "assistant", .content = "Answer one."},
                               {.role = "user", .content = "Question two?"},
                               {.role = "assistant", .content = "Answer two."}};
    lf_chat_talk whole = {.messages = talk, .n = 4}, asked = {.messages = talk, .n = 1, .add_generation_prompt = true};
    lf_jinja_run *r = NULL, *r_asked = NULL;
    lf_jinja_result t, question;
    lf_err ignored = {0};
    const lf_status rc = lf_chat_run(c, &whole, &r, &t, &ignored);
    const lf_status rc_asked = lf_chat_run(c, &asked, &r_asked, &question, &ignored);
    if (!rc) {
        const place first = find_place(&t, 1, t.n), last = find_place(&t, 3, t.n);
        if (last.end > last.begin && first.next >= first.end)
            find_turn_end(c, t.text + first.end, first.next - first.end, t.text + last.end, t.n - last.end);
        else
            c->turn_end = lf_strdup("");
        if (!rc_asked && c->turn_end) c->header = find_header(c, &question);
    } else {
        c->turn_end = lf_strdup(c->tokens[1] ? c->tokens[1] : ""); /* it wants another conversation */
    }
    lf_jinja_run_free(r);
    lf_jinja_run_free(r_asked);
    c->known = (lf_chat_vocabulary){0};
    if (rc == LF_EUNSUPPORTED) return lf_fail(err, rc, "%s", ignored.message);
    if (!c->header) c->header = lf_strdup("");
    if (rc == LF_ENOMEM || rc_asked == LF_ENOMEM || !c->header || !c->turn_end)
        return lf_no_memory(err, "a chat template");
    return LF_OK;
}
