/* Exact match: the model writes an answer to each prompt, greedily, and what a regular expression finds in it must be
 * what it finds in the right answer. The last match counts (a worked answer ends with its result), and of it the first
 * group, where the expression has one. */
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/pcre.h"
#include "eval/generate.h"
#include "task/language.h"

typedef struct span {
    size_t begin, end;
} span;
enum { MAX_STEPS = 10000000 }; /* of a match; PCRE2's own default */

typedef struct matching {
    lf_task *t;
    const lf_text_dataset *d;
    lf_pcre *pattern;
    lf_pcre_matcher *matcher;
    lf_generator *generator;
    int64_t record; /* whose answer is looked at */
    lf_answers *answers;
    lf_generate_opts opts;
    const char *stops[3]; /* the key's, the text of a turn's end that is no token, what stands between examples */
} matching;

static lf_status compile(matching *w, const char *pattern, lf_err *err) {
    lf_pcre_fault fault;
    w->pattern = lf_pcre_new(pattern, strlen(pattern), PCRE2_UTF | PCRE2_MULTILINE, false, &fault);
    if (!w->pattern && !fault.no_memory)
        return lf_cfg_fail(w->t->cfg, LF_answer_pattern, err, "expected a regular expression; at offset %zu: %s",
                           fault.at, fault.why);
    w->matcher = w->pattern ? lf_pcre_matcher_new(w->pattern, &(lf_pcre_limits){.steps = MAX_STEPS}) : NULL;
    return w->matcher ? LF_OK : lf_no_memory(err, "the answer_pattern");
}

/* For messages alone: it counts lines. */
static const char *record_name(const matching *w, char buf[600]) {
    return lf_text_dataset_record_name(w->d, w->record, buf, 600);
}

static lf_status match_failed(const matching *w, const lf_pcre_fault *fault, lf_err *err) {
    char name[600];
    if (fault->no_memory) return lf_no_memory(err, "the answer_pattern");
    return lf_cfg_fail(w->t->cfg, LF_answer_pattern, err, "it cannot be looked for in an answer to %s: %s; simplify it",
                       record_name(w, name), fault->why);
}

/* The last match in text that is not empty, else an empty one: *found is false if there is none. A pattern that matches
 * nothing does so behind every other match, at the end of the text. */
static lf_status find_last(const matching *w, const char *text, size_t n, bool *found, span *out, lf_err *err) {
    *found = false;
    for (size_t at = 0; at <= n;) {
        lf_pcre_fault fault;
        const lf_pcre_found hit =
            lf_pcre_match(w->pattern, w->matcher, text, n, at, at ? PCRE2_NO_UTF_CHECK : 0, &fault);
        if (hit == LF_PCRE_NONE) break;
        if (hit == LF_PCRE_FAULT) return match_failed(w, &fault, err);
        span whole = {0}, s;
        lf_pcre_group(w->matcher, 0, &whole.begin, &whole.end);
        if (!lf_pcre_group(w->matcher, 1, &s.begin, &s.end)) s = whole;
        if (s.end > s.begin || !*found || out->end <= out->begin) *out = s;
        *found = true;
        at = whole.end > at ? whole.end : at + 1;
        while (at < n && ((unsigned char)text[at] & 0xc0) == 0x80) at++; /* an empty match moves on by a character */
    }
    return LF_OK;
}

static bool same(const char *a, span x, const char *b, span y) {
    return x.end > x.begin && x.end - x.begin == y.end - y.begin &&
           memcmp(a + x.begin, b + y.begin, x.end - x.begin) == 0;
}

/* What the right answer says: of a conversation the last one, without the mark of its end, which a model draws but does
 * not say. */
static lf_answer content_of(const matching *w, const lf_text_example *e) {
    lf_answer s = e->answers[e->n_answers - 1];
    const lf_chat_template *chat = lf_language_of(w->t)->text->chat_template;
    const char *mark = e->rendered && chat ? lf_chat_template_turn_end(chat) : "";
    const size_t n = strlen(mark);
    if (n <= s.end - s.begin && memcmp(e->text + s.end - n, mark, n) == 0) s.end -= n;
    return s;
}

static lf_status find_wanted(const matching *w, const char *right, size_t n, span *wanted, lf_err *err) {
    char name[600];
    bool found;
    const lf_status rc = find_last(w, right, n, &found, wanted, err);
    if (rc || (found && wanted->end > wanted->begin)) return rc;
    return lf_fail(err, LF_EDATA,
                   "%s: the right answer has nothing that answer_pattern '%s' finds; expected a match in each%s",
                   record_name(w, name), lf_cfg_str(w->t->cfg, LF_answer_pattern), found ? " that is not empty" : "");
}

/* The model's answer. What is wrong with the prompt is wrong with the record. */
static lf_status write_answer(matching *w, lf_generated *out, const lf_text_example *e, size_t begin, lf_err *err) {
    char name[600];
    lf_ids prompt = {0};
    lf_err why = {0};
    lf_status rc = lf_text_tokenizer_prompt(lf_language_of(w->t)->text, e->text, begin, e->rendered, &prompt, &why);
    if (!rc) rc = lf_generate_text(out, w->generator, prompt.ids, prompt.n, &w->opts, NULL, NULL, &why);
    lf_ids_free(&prompt);
    return rc ? lf_fail(err, rc == LF_EUSAGE ? LF_EDATA : rc, "%s: %s", record_name(w, name), why.message) : LF_OK;
}

static lf_status hand_on(const matching *w, bool right, const lf_generated *said, const char *answer, size_t n,
                         lf_err *err) {
    if (!w->answers) return LF_OK;
    char *wanted = lf_format("%.*s", (int)n, answer);
    lf_one_answer a = {.index = w->record, .right = right, .loss = NAN, .answer = said->text, .right_answer = wanted};
    const lf_status rc =
        wanted ? lf_answers_take_question(w->answers, &a, err) : lf_no_memory(err, "the answer to a question");
    lf_free(wanted);
    return rc;
}

static lf_status one_answer(matching *w, int64_t i, int64_t *right, lf_err *err) {
    char name[600];
    lf_text_example e;
    lf_generated o = {0};
    span wanted, written;
    bool found;
    lf_status rc = lf_text_dataset_example(w->d, i, &e, err);
    if (rc) return rc;
    w->record = i;
    if (!e.n_answers) {
        rc = lf_cfg_fail(w->t->cfg, LF_answer_pattern, err, "%s has no answer to compare with (layout '%s')",
                         record_name(w, name), lf_text_dataset_layout(w->d));
        goto out;
    }
    const lf_answer answer = content_of(w, &e);
    const char *right_text = e.text + answer.begin;
    if ((rc = find_wanted(w, right_text, answer.end - answer.begin, &wanted, err)) ||
        (rc = write_answer(w, &o, &e, answer.begin, err)) || (rc = find_last(w, o.text, o.n, &found, &written, err)))
        goto out;
    const bool is = found && same(right_text, wanted, o.text, written);
    *right += is;
    rc = hand_on(w, is, &o, right_text, answer.end - answer.begin, err);
out:
    lf_generated_free(&o);
    lf_text_example_free(&e);
    return rc;
}

static lf_status each_answer(matching *w, lf_accuracy *out, lf_err *err) {
    const int64_t n = lf_text_dataset_count(w->d);
    int64_t right = 0;
    lf_progress bar;
    lf_status rc = LF_OK;
    lf_progress_begin(&bar, "answer", n);
    for (int64_t i = 0; i < n && !rc; i++) {
        char detail[64];
        rc = one_answer(w, i, &right, err);
        if (!rc && lf_interrupted())
            rc =
                lf_fail(err, LF_EINTERRUPTED, "interrupted after %lld of %lld answers", (long long)i + 1, (long long)n);
        snprintf(detail, sizeof detail, "%lld right", (long long)right);
        lf_progress_update(&bar, i + 1, detail);
    }
    lf_progress_end(&bar, "");
    out->matches = n;
    out->exact_match = (double)right / (double)n;
    return rc;
}

/* Answers end where the key answer_stop says, and of conversations where the template ends a turn. */
static void set_opts(matching *w) {
    const lf_text_tokenizer *text = lf_language_of(w->t)->text;
    const bool chat = text->chat_template && lf_text_dataset_is(w->d, LF_TEXT_CHAT);
    const char *stop = lf_cfg_str(w->t->cfg, LF_answer_stop),
               *mark = chat ? lf_chat_template_turn_end(text->chat_template) : "";
    w->opts = (lf_generate_opts){.sampling = {.repetition_penalty = 1, .top_p = 1},
                                 .max_new_tokens = lf_cfg_i64(w->t->cfg, LF_answer_tokens),
                                 .stops = w->stops,
                                 .ends = &text->turn_end,
                                 .n_ends = chat && text->turn_end >= 0};
    if (stop && *stop) w->stops[w->opts.n_stops++] = stop;
    if (*mark && text->turn_end < 0) w->stops[w->opts.n_stops++] = mark;
    if (lf_language_of(w->t)->shots) w->stops[w->opts.n_stops++] = LF_TEXT_SHOT_END;
}

lf_status lf_language_answer(lf_task *t, lf_accuracy *out, lf_model *m, lf_data_role role, lf_answers *answers,
                             lf_err *err) {
    const lf_language *l = lf_language_of(t);
    matching w = {.t = t, .d = l->data[role], .answers = answers};
    lf_status rc;
    if (lf_text_dataset_windowed(w.d))
        return lf_cfg_fail(t->cfg, LF_answer_pattern, err, "%s is plain text, which has no answers",
                           lf_text_dataset_path(w.d));
    set_opts(&w);
    if (!(rc = compile(&w, lf_cfg_str(t->cfg, LF_answer_pattern), err)) &&
        !(rc = lf_generator_new(&w.generator, m, t->g, l->text->tokenizer, 0, err)))
        rc = each_answer(&w, out, err);
    lf_generator_free(w.generator);
    lf_pcre_matcher_free(w.matcher);
    lf_pcre_free(w.pattern);
    return rc;
}
