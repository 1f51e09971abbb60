/* Exact match: the model writes an answer to each prompt, greedily, and what a regular expression finds in it must be what it
 * finds in the right answer. The last match counts (a worked answer ends with its result), and of it the first group, where the
 * expression has one. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "eval/generate.h"
#include "eval/language.h"

typedef struct span { size_t begin, end; } span;

typedef struct matching {
    lf_task *t;
    const lf_text_dataset *d;
    pcre2_code *pattern;
    pcre2_match_data *match;
    lf_generator *generator;
    lf_generate_opts opts;
    const char *stops[1];
} matching;

static lf_status compile(matching *w, const char *pattern, lf_err *err) {
    int code;
    PCRE2_SIZE at;
    w->pattern = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_MULTILINE, &code, &at, NULL);
    if (!w->pattern) {
        PCRE2_UCHAR why[128];
        pcre2_get_error_message(code, why, sizeof why);
        return lf_cfg_fail(w->t->cfg, "answer_pattern", err, "expected a regular expression; at offset %zu: %s", (size_t)at, (const char *)why);
    }
    w->match = pcre2_match_data_create_from_pattern(w->pattern, NULL);
    return w->match ? LF_OK : lf_fail(err, LF_ENOMEM, "out of memory for the answer_pattern");
}

/* The last match in text; false if there is none. */
static bool find_last(const matching *w, const char *text, size_t n, span *out) {
    bool found = false;
    size_t at = 0;
    while (at <= n) {
        const int groups = pcre2_match(w->pattern, (PCRE2_SPTR)text, n, at, at ? PCRE2_NO_UTF_CHECK : 0, w->match, NULL);
        if (groups < 1) return found;
        const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(w->match);
        const int group = groups > 1 && ends[2] != PCRE2_UNSET ? 1 : 0;
        *out = (span){ends[2 * group], ends[2 * group + 1]};
        found = true;
        at = ends[1] > at ? ends[1] : at + 1;
        while (at < n && ((unsigned char)text[at] & 0xc0) == 0x80) at++; /* an empty match moves on by a character */
    }
    return found;
}

static bool same(const char *a, span x, const char *b, span y) {
    return x.end - x.begin == y.end - y.begin && memcmp(a + x.begin, b + y.begin, x.end - x.begin) == 0;
}

static lf_status one_answer(matching *w, int64_t i, int64_t *right, lf_err *err) {
    char name[600];
    const lf_language *l = lf_language_of(w->t);
    lf_text_example e;
    lf_generated o = {0};
    lf_ids prompt = {0};
    span wanted, written;
    lf_status rc = lf_text_dataset_example(w->d, i, &e, err);
    if (rc) return rc;
    if (!e.n_answers) {
        rc = lf_cfg_fail(w->t->cfg, "answer_pattern", err, "%s has no answer to compare with (layout '%s')",
                         lf_text_dataset_record_name(w->d, i, name, sizeof name), lf_text_dataset_layout(w->d));
        goto out;
    }
    const lf_text_span *answer = &e.answers[e.n_answers - 1]; /* of a conversation, the last */
    const char *right_text = e.text + answer->begin;
    if (!find_last(w, right_text, answer->end - answer->begin, &wanted)) {
        rc = lf_fail(err, LF_EDATA, "%s: the right answer has nothing that answer_pattern '%s' finds; expected a match in each",
                     lf_text_dataset_record_name(w->d, i, name, sizeof name), lf_cfg_str(w->t->cfg, "answer_pattern"));
        goto out;
    }
    if ((rc = lf_text_tokenizer_prompt(l->text, e.text, answer->begin, e.rendered, &prompt, err)) ||
        (rc = lf_generate_text(&o, w->generator, prompt.ids, prompt.n, &w->opts, NULL, NULL, err)))
        goto out;
    if (find_last(w, o.text, o.n, &written)) *right += same(right_text, wanted, o.text, written);
out:
    lf_generated_free(&o);
    lf_ids_free(&prompt);
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
        if (!rc && lf_interrupted()) rc = lf_fail(err, LF_EINTERRUPTED, "interrupted after %lld of %lld answers", (long long)i + 1, (long long)n);
        snprintf(detail, sizeof detail, "%lld right", (long long)right);
        lf_progress_update(&bar, i + 1, detail);
    }
    lf_progress_end(&bar, "");
    out->matches = n;
    out->exact_match = (double)right / (double)n;
    return rc;
}

lf_status lf_language_answer(lf_task *t, lf_accuracy *out, lf_model *m, lf_data_role role, lf_err *err) {
    const lf_language *l = lf_language_of(t);
    matching w = {.t = t, .d = l->data[role], .stops = {lf_cfg_str(t->cfg, "answer_stop")}};
    w.opts = (lf_generate_opts){.sampling = {.repetition_penalty = 1, .top_p = 1}, .max_new_tokens = lf_cfg_i64(t->cfg, "answer_tokens"),
                                .stops = w.stops, .n_stops = w.stops[0] && w.stops[0][0]};
    lf_status rc;
    if (lf_text_dataset_windowed(w.d)) return lf_cfg_fail(t->cfg, "answer_pattern", err, "%s is plain text, which has no answers", lf_text_dataset_path(w.d));
    if (!(rc = compile(&w, lf_cfg_str(t->cfg, "answer_pattern"), err)) && !(rc = lf_generator_new(&w.generator, m, t->g, l->text->tokenizer, 0, err)))
        rc = each_answer(&w, out, err);
    lf_generator_free(w.generator);
    pcre2_match_data_free(w.match);
    pcre2_code_free(w.pattern);
    return rc;
}
